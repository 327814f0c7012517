//! The embedded store: the suite, what a crash leaves, and what lies on disk.

use std::fs;
use std::path::{Path, PathBuf};

use register_store::{Changes, Store, StoreConfig, StoreError, StoreQuery};
use tempfile::TempDir;

use crate::disk::{copy, holds};
use crate::suite::{FATHER, MOTHER, NAME, Note, Tally, insert, note, suite};

fn empty() -> (StoreConfig, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (StoreConfig::embedded(folder.path().join("store")), folder)
}

suite!(empty:
    documents_come_back_as_they_were_also_after_a_restart,
    a_commit_that_comes_second_is_refused_whole,
    of_many_writers_at_once_none_is_lost,
    queries_answer_in_order_page_by_page,
    a_changed_document_is_found_by_its_new_keys_only,
    an_erased_person_is_gone_and_nobody_else,
    what_is_beyond_a_limit_is_refused_with_its_repair,
);

async fn reopen(directory: &Path) -> Result<Store, StoreError> {
    Store::open(&StoreConfig::embedded(directory)).await
}

/// Moves one from `a` to `b`, so that their sum tells whether a commit is whole.
async fn move_one(store: &Store) {
    let mut a = store.get::<Tally>("a").await.unwrap().unwrap();
    let mut b = store.get::<Tally>("b").await.unwrap().unwrap();
    a.value.count -= 1;
    b.value.count += 1;
    let person = note(&format!("n{}", b.value.count), FATHER, "moved");
    let changes = Changes::new().update(&a).unwrap().update(&b).unwrap();
    store.commit(changes.insert(&person).unwrap()).await.unwrap();
}

async fn begin(store: &Store) {
    let tallies = [Tally { id: "a".into(), count: 1000 }, Tally { id: "b".into(), count: 0 }];
    let changes = tallies.iter().fold(Changes::new(), |c, tally| c.insert(tally).unwrap());
    store.commit(changes).await.unwrap();
}

/// Commits made, when all of them are whole.
async fn moved(store: &Store) -> u64 {
    let a = store.get::<Tally>("a").await.unwrap().unwrap().value.count;
    let b = store.get::<Tally>("b").await.unwrap().unwrap().value.count;
    let found = store.find::<Note>(StoreQuery::equal("state", "moved")).await.unwrap();
    assert_eq!((a + b, found.len()), (1000, usize::try_from(b).unwrap()));
    b
}

fn segment(store: &Path) -> PathBuf {
    store.join("journal").join(format!("{:020}.seg", 0))
}

#[tokio::test]
async fn a_commit_cut_at_any_byte_is_there_whole_or_not_at_all() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    begin(&store).await;
    move_one(&store).await;
    let before = fs::metadata(segment(&directory)).unwrap().len();
    move_one(&store).await;
    let whole = fs::read(segment(&directory)).unwrap();
    drop(store);
    let before = usize::try_from(before).unwrap();
    let copied = folder.path().join("copy");
    copy(&directory, &copied);
    for cut in (before..whole.len()).step_by(173).chain([whole.len() - 1, whole.len()]) {
        for with_view in [true, false] {
            let dir = folder.path().join("cut");
            copy(&copied, &dir);
            fs::write(segment(&dir), &whole[..cut]).unwrap();
            if !with_view {
                fs::remove_dir_all(dir.join("view")).unwrap();
            }
            let store = reopen(&dir).await.unwrap();
            let expected = if cut == whole.len() { 2 } else { 1 };
            assert_eq!(moved(&store).await, expected, "cut at {cut}, {with_view}");
            // And it goes on from there.
            move_one(&store).await;
            drop(store);
            assert_eq!(moved(&reopen(&dir).await.unwrap()).await, expected + 1);
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_at_any_moment_has_whole_commits_and_all_acknowledged_ones() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    begin(&store).await;
    let mut writer = tokio::task::JoinSet::new();
    let (progress, acknowledged) = tokio::sync::watch::channel(0);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = store.clone();
    writer.spawn(async move {
        let mut stopped = stopped;
        for done in 1..900 {
            move_one(&writing).await;
            progress.send(done).unwrap();
            if stopped.try_recv().is_ok() {
                break;
            }
        }
    });
    for round in 0..8 {
        let mut seen = acknowledged.clone();
        seen.wait_for(|done| *done >= round * 5).await.unwrap();
        let at_least = *acknowledged.borrow();
        let dir = folder.path().join(format!("copy{round}"));
        let from = directory.clone();
        let to = dir.clone();
        tokio::task::spawn_blocking(move || copy(&from, &to)).await.unwrap();
        let copied = reopen(&dir).await.unwrap();
        assert!(moved(&copied).await >= at_least);
    }
    stop.send(()).unwrap();
    writer.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn damage_before_the_end_is_refused_and_never_cut_off() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    begin(&store).await;
    for _ in 0..3 {
        move_one(&store).await;
    }
    drop(store);
    let whole = fs::read(segment(&directory)).unwrap();
    for at in [0, 5, 25, whole.len() / 3] {
        let mut rotten = whole.clone();
        rotten[at] ^= 1;
        fs::write(segment(&directory), &rotten).unwrap();
        fs::remove_dir_all(directory.join("view")).unwrap_or_default();
        let refused = reopen(&directory).await.unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "byte {at}: {refused}");
        assert_eq!(fs::read(segment(&directory)).unwrap(), rotten, "byte {at}");
    }
}

#[tokio::test]
async fn a_missing_old_or_damaged_view_is_made_again() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    begin(&store).await;
    move_one(&store).await;
    drop(store);
    let old = folder.path().join("old");
    copy(&directory.join("view"), &old);
    let store = reopen(&directory).await.unwrap();
    move_one(&store).await;
    store.erase_person(&MOTHER.parse().unwrap()).await.unwrap();
    drop(store);
    let view = directory.join("view");
    let empty_files = |view: &Path| {
        for file in crate::disk::files(view) {
            fs::write(file, b"").unwrap();
        }
    };
    let noise = |view: &Path| {
        for file in crate::disk::files(view) {
            let mut bytes = fs::read(&file).unwrap();
            bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
            fs::write(file, bytes).unwrap();
        }
    };
    let old_one = |view: &Path| {
        fs::remove_dir_all(view).unwrap();
        copy(&old, view);
    };
    let missing = |view: &Path| fs::remove_dir_all(view).unwrap();
    let damages: [&dyn Fn(&Path); 4] = [&missing, &old_one, &empty_files, &noise];
    for (at, damage) in damages.iter().enumerate() {
        damage(&view);
        let store = reopen(&directory).await.unwrap();
        assert_eq!(moved(&store).await, 2, "damage {at}");
    }
}

#[tokio::test]
async fn the_disk_holds_no_pinfl_and_no_name() {
    let (config, folder) = empty();
    let store = Store::open(&config).await.unwrap();
    let mut shown = note("a", FATHER, "a-state-in-the-clear");
    insert(&store, std::slice::from_ref(&shown)).await;
    shown.id = "b".into();
    shown.whom = MOTHER.parse().unwrap();
    insert(&store, &[shown]).await;
    drop(store);
    for secret in [FATHER, MOTHER, NAME] {
        assert!(!holds(folder.path(), secret), "{secret}");
    }
    // The search would see them.
    assert!(holds(folder.path(), "a-state-in-the-clear"));
}

#[tokio::test]
async fn an_erased_key_is_not_on_the_disk_any_more() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let people = directory.join("keys").join("people");
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a", FATHER, "open"), note("b", MOTHER, "open")]).await;
    let keys = fs::read(&people).unwrap();
    store.erase_person(&FATHER.parse().unwrap()).await.unwrap();
    let left = fs::read(&people).unwrap();
    let erased: Vec<&[u8]> =
        keys.chunks(128).zip(left.chunks(128)).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert_eq!(erased.len(), 1);
    drop(store);
    for file in crate::disk::files(&directory) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(68).any(|window| window == &erased[0][32..100]), "{file:?}");
    }
    // Also when the view is from before.
    fs::remove_dir_all(directory.join("view")).unwrap();
    let store = reopen(&directory).await.unwrap();
    assert!(matches!(store.get::<Note>("a").await, Err(StoreError::Erased { .. })));
    assert!(store.get::<Note>("b").await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_opens_for_one_process_with_its_own_key_and_form_only() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a", FATHER, "open")]).await;
    assert!(matches!(Store::open(&config).await, Err(StoreError::InUse { .. })));
    drop(store);

    let key = directory.join("keys").join("master.key");
    let right = fs::read(&key).unwrap();
    let refused = |refused: StoreError, words: &str| {
        assert!(refused.to_string().contains(words), "{refused}");
    };
    fs::write(&key, [7; 32]).unwrap();
    refused(reopen(&directory).await.unwrap_err(), "not the key that this store was written with");
    fs::remove_file(&key).unwrap();
    refused(reopen(&directory).await.unwrap_err(), "copy the key file from its backup");
    fs::write(&key, &right).unwrap();
    refused(reopen(&directory).await.unwrap_err(), "chmod 600");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, private).unwrap();
    assert!(reopen(&directory).await.unwrap().get::<Note>("a").await.unwrap().is_some());

    let description = directory.join("store.json");
    let text = fs::read_to_string(&description).unwrap();
    fs::write(&description, text.replace("\"form\":1", "\"form\":2,\"more\":true")).unwrap();
    refused(reopen(&directory).await.unwrap_err(), "start the newer program");
    fs::remove_file(&description).unwrap();
    refused(reopen(&directory).await.unwrap_err(), "no store.json");
    fs::write(&description, text).unwrap();
    assert!(reopen(&directory).await.is_ok());
}

#[tokio::test]
async fn a_document_put_under_another_name_or_version_does_not_open() {
    let (config, folder) = empty();
    let directory = folder.path().join("store");
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a1", FATHER, "open"), note("a2", FATHER, "open")]).await;
    drop(store);
    // The journal's checksums protect against rot, not against a hand: recompute them.
    let path = segment(&directory);
    let mut bytes = fs::read(&path).unwrap();
    let swap = |bytes: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
    };
    swap(&mut bytes, b"\"id\":\"a1\"", b"\"id\":\"a3\"");
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[4..8]), &bytes[12..]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    fs::remove_dir_all(directory.join("view")).unwrap();
    let store = reopen(&directory).await.unwrap();
    assert!(matches!(store.get::<Note>("a3").await, Err(StoreError::Damaged { .. })));
    assert!(store.get::<Note>("a2").await.unwrap().is_some());
}
