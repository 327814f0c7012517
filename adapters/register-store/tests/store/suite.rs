//! The suite that both engines pass: each test takes a configuration of an empty store.

use register_store::{
    Changes, Cursor, Entity, Store, StoreConfig, StoreError, StoreKey, StoreQuery,
};
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};

pub(crate) const FATHER: &str = "31505850010011";
pub(crate) const MOTHER: &str = "42007870010023";
/// A name that no other file holds.
pub(crate) const NAME: &str = "Zulfiqorbek Sinovqulov";

/// A document about a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) whom: Pinfl,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) count: u64,
}

impl Entity for Note {
    const KIND: &'static str = "note";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn subject(&self) -> Option<Pinfl> {
        Some(self.whom)
    }
    fn keys(&self) -> Vec<StoreKey> {
        vec![StoreKey::plain("state", &self.state), StoreKey::person("whom", self.whom)]
    }
}

/// A document about nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) id: String,
    pub(crate) count: u64,
}

impl Entity for Tally {
    const KIND: &'static str = "tally";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn subject(&self) -> Option<Pinfl> {
        None
    }
    fn keys(&self) -> Vec<StoreKey> {
        vec![]
    }
}

pub(crate) fn note(id: &str, whom: &str, state: &str) -> Note {
    let (whom, name) = (whom.parse().unwrap(), NAME.to_owned());
    Note { id: id.into(), whom, name, state: state.into(), count: 0 }
}

pub(crate) async fn insert(store: &Store, notes: &[Note]) {
    let changes = notes.iter().fold(Changes::new(), |changes, note| changes.insert(note).unwrap());
    store.commit(changes).await.unwrap();
}

async fn ids(store: &Store, query: StoreQuery) -> Vec<String> {
    let found = store.find::<Note>(query).await.unwrap();
    found.into_iter().map(|stored| stored.value.id).collect()
}

pub(crate) async fn documents_come_back_as_they_were_also_after_a_restart(config: StoreConfig) {
    let first = note("a", FATHER, "open");
    let store = Store::open(&config).await.unwrap();
    insert(&store, std::slice::from_ref(&first)).await;
    let mut seen = store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!((&seen.value, seen.version), (&first, 1));
    seen.value.count = 7;
    store.commit(Changes::new().update(&seen).unwrap()).await.unwrap();
    drop(store);
    let store = Store::open(&config).await.unwrap();
    let seen = store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!((seen.value.count, seen.version), (7, 2));
    store.commit(Changes::new().delete(&seen)).await.unwrap();
    assert!(store.get::<Note>("a").await.unwrap().is_none());
    assert!(store.get::<Tally>("a").await.unwrap().is_none());
    assert!(ids(&store, StoreQuery::all()).await.is_empty());
    assert!(ids(&store, StoreQuery::equal("state", "open")).await.is_empty());
}

pub(crate) async fn a_commit_that_comes_second_is_refused_whole(config: StoreConfig) {
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a", FATHER, "open")]).await;
    let seen = store.get::<Note>("a").await.unwrap().unwrap();
    store.commit(Changes::new().update(&seen).unwrap()).await.unwrap();
    let tally = Tally { id: "t".into(), count: 1 };
    let late = [
        Changes::new().insert(&tally).unwrap().update(&seen).unwrap(),
        Changes::new().insert(&tally).unwrap().delete(&seen),
        Changes::new().insert(&tally).unwrap().insert(&seen.value).unwrap(),
    ];
    for changes in late {
        let refused = store.commit(changes).await.unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
        assert!(store.get::<Tally>("t").await.unwrap().is_none());
    }
    let twice = Changes::new().insert(&tally).unwrap().insert(&tally).unwrap();
    assert!(matches!(store.commit(twice).await, Err(StoreError::Refused { .. })));
}

pub(crate) async fn of_many_writers_at_once_none_is_lost(config: StoreConfig) {
    let store = Store::open(&config).await.unwrap();
    let tally = Tally { id: "t".into(), count: 0 };
    store.commit(Changes::new().insert(&tally).unwrap()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            let mut added = 0;
            while added < 10 {
                let mut seen = store.get::<Tally>("t").await.unwrap().unwrap();
                seen.value.count += 1;
                match store.commit(Changes::new().update(&seen).unwrap()).await {
                    Ok(()) => added += 1,
                    Err(StoreError::Conflict { .. }) => (),
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let seen = store.get::<Tally>("t").await.unwrap().unwrap();
    assert_eq!((seen.value.count, seen.version), (40, 41));
}

pub(crate) async fn queries_answer_in_order_page_by_page(config: StoreConfig) {
    let store = Store::open(&config).await.unwrap();
    let states = ["c", "a", "b", "a", "ab", "a-", "B"];
    let notes: Vec<Note> = (0..states.len() * 30)
        .map(|at| {
            note(&format!("{at:04}"), if at % 2 == 0 { FATHER } else { MOTHER }, states[at % 7])
        })
        .collect();
    insert(&store, &notes).await;
    let model = |keep: &dyn Fn(&Note) -> bool| {
        let mut kept: Vec<&Note> = notes.iter().filter(|note| keep(note)).collect();
        kept.sort_by(|a, b| (&a.state, &a.id).cmp(&(&b.state, &b.id)));
        kept.into_iter().map(|note| note.id.clone()).collect::<Vec<_>>()
    };
    let equal = ids(&store, StoreQuery::equal("state", "a")).await;
    assert_eq!(equal, model(&|note| note.state == "a"));
    let range = ids(&store, StoreQuery::range("state", "a", "b")).await;
    assert_eq!(range, model(&|note| ("a".."b").contains(&note.state.as_str())));
    assert!(ids(&store, StoreQuery::range("state", "b", "a")).await.is_empty());
    let mother = ids(&store, StoreQuery::person("whom", MOTHER.parse().unwrap())).await;
    assert_eq!(mother.len(), 105);
    assert!(ids(&store, StoreQuery::equal("whom", MOTHER)).await.is_empty());
    assert!(ids(&store, StoreQuery::equal("nothing", "a")).await.is_empty());

    // Page by page, every selection gives the same.
    for (query, whole) in [
        (StoreQuery::all(), ids(&store, StoreQuery::all()).await),
        (StoreQuery::equal("state", "a"), equal),
        (StoreQuery::range("state", "a", "b"), range),
    ] {
        let mut pages = Vec::new();
        let mut next = query.clone().limit(7);
        loop {
            let page = store.find::<Note>(next).await.unwrap();
            let Some(last) = page.last() else { break };
            let Note { state, id, .. } = &last.value;
            next = query.clone().limit(7).after(Cursor { value: state.clone(), id: id.clone() });
            pages.extend(page.into_iter().map(|stored| stored.value.id));
        }
        assert_eq!(pages, whole);
    }
    assert_eq!(ids(&store, StoreQuery::all().after_id("0207")).await, ["0208", "0209"]);
}

pub(crate) async fn a_changed_document_is_found_by_its_new_keys_only(config: StoreConfig) {
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a", FATHER, "open")]).await;
    let mut seen = store.get::<Note>("a").await.unwrap().unwrap();
    seen.value.state = "closed".into();
    seen.value.whom = MOTHER.parse().unwrap();
    store.commit(Changes::new().update(&seen).unwrap()).await.unwrap();
    assert!(ids(&store, StoreQuery::equal("state", "open")).await.is_empty());
    assert!(ids(&store, StoreQuery::person("whom", FATHER.parse().unwrap())).await.is_empty());
    assert_eq!(ids(&store, StoreQuery::equal("state", "closed")).await, ["a"]);
    assert_eq!(ids(&store, StoreQuery::person("whom", MOTHER.parse().unwrap())).await, ["a"]);
    // Her key seals it now, his destruction changes nothing.
    store.erase_person(&FATHER.parse().unwrap()).await.unwrap();
    assert!(store.get::<Note>("a").await.unwrap().is_some());
}

pub(crate) async fn an_erased_person_is_gone_and_nobody_else(config: StoreConfig) {
    let (father, mother): (Pinfl, Pinfl) = (FATHER.parse().unwrap(), MOTHER.parse().unwrap());
    let store = Store::open(&config).await.unwrap();
    store.erase_person(&father).await.unwrap();
    insert(&store, &[note("a", FATHER, "open"), note("b", MOTHER, "open")]).await;
    store.erase_person(&father).await.unwrap();
    for _ in 0..2 {
        let store = Store::open_again(&config, &store).await;
        let erased = store.get::<Note>("a").await.unwrap_err();
        assert!(matches!(erased, StoreError::Erased { .. }), "{erased}");
        assert_eq!(ids(&store, StoreQuery::equal("state", "open")).await, ["b"]);
        assert_eq!(ids(&store, StoreQuery::all().limit(1)).await, ["b"]);
    }
    // She may come again, with a new key that does not open what is erased.
    insert(&store, &[note("c", FATHER, "open")]).await;
    assert!(store.get::<Note>("c").await.unwrap().is_some());
    assert!(matches!(store.get::<Note>("a").await, Err(StoreError::Erased { .. })));
    store.erase_person(&mother).await.unwrap();
    assert_eq!(ids(&store, StoreQuery::all()).await, ["c"]);
}

/// Reads through the same store twice: engines keep no key in memory.
trait OpenAgain {
    async fn open_again(config: &StoreConfig, open: &Store) -> Store;
}

impl OpenAgain for Store {
    async fn open_again(config: &StoreConfig, open: &Store) -> Store {
        // A directory is held by the store that is open; a database takes another.
        Store::open(config).await.unwrap_or_else(|_| open.clone())
    }
}

pub(crate) async fn what_is_beyond_a_limit_is_refused_with_its_repair(config: StoreConfig) {
    let store = Store::open(&config).await.unwrap();
    let mut large = note("a", FATHER, "open");
    large.name = "x".repeat(4 * 1024 * 1024);
    let mut nul = note("a", FATHER, "open");
    nul.state = "a\0b".into();
    for bad in [large, nul, note("", FATHER, "open"), note("a b", FATHER, "open")] {
        let refused = Changes::new().insert(&bad).unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
        assert!(!refused.to_string().contains(FATHER));
    }
    let many = (0..1001).fold(Changes::new(), |changes, at| {
        changes.insert(&Tally { id: at.to_string(), count: 0 }).unwrap()
    });
    assert!(matches!(store.commit(many).await, Err(StoreError::Refused { .. })));
    assert!(ids(&store, StoreQuery::all()).await.is_empty());
}

/// Runs the whole suite: `suite!(make)` where `make` gives a configuration and what to keep alive.
macro_rules! suite {
    ($make:path: $($name:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (config, _kept) = $make();
            crate::suite::$name(config).await;
        }
    )*};
}
pub(crate) use suite;
