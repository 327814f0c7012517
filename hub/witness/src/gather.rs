//! The log's side: asks the witnesses to cosign the newest checkpoint, and publishes it once enough have.
//!
//! The log's own `checkpoint` is left as it is: it is what the log remembers to have signed (promise P5), it
//! may not go back to an older tree, and no witness may hold it up. Beside it lies `checkpoint.cosigned`, the newest that
//! the quorum has cosigned, which a reader of signed notes opens in the same way.

mod brought;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hub_core::configuration::{ConfigurationInForce, ListedWitness, WitnessPlace};
use hub_messagelog::{LogError, MessageLog, replace_durably};
use schemas::clock::{Clock, Stopwatch, UnixMillis};
use schemas::limits::{WITNESS_REST, WITNESS_TIMEOUT};
use schemas::tlog::witness::{AddCheckpoint, WitnessAnswer};
use schemas::tlog::{Checkpoint, Note, NoteSignature, SplitView, WitnessPolicy, WitnessVerifier};

use crate::{Alarm, Alarms};

/// Carries a request to a witness.
pub trait AskWitness: Sync {
    /// `POST add-checkpoint` with this body; an error says in words why there is no answer. The caller sets the
    /// deadline.
    fn ask(
        &self,
        place: &WitnessPlace,
        body: String,
    ) -> impl Future<Output = Result<WitnessAnswer, String>> + Send;
}

/// Gathers the cosignatures of one log.
#[derive(Debug)]
pub struct Gatherer {
    log: MessageLog,
    clock: Clock,
    alarms: Arc<Alarms>,
    file: PathBuf,
    /// Held while the file is written: cosignatures come several at a time.
    publishing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What each witness cosigned last, by name.
    sizes: HashMap<String, u64>,
    /// Witnesses that gave no cosignature in the last round: since when, and why.
    troubles: BTreeMap<String, (UnixMillis, String)>,
    /// Witnesses that let their time pass, since then.
    resting: HashMap<String, Stopwatch>,
    /// The checkpoint that is being cosigned.
    gathering: Option<Tree>,
    /// The newest that the quorum has cosigned.
    cosigned: Option<Tree>,
    /// Since when rounds end without the quorum.
    short_since: Option<UnixMillis>,
    /// Why the newest cosigned checkpoint is not in its file.
    not_stored: Option<String>,
}

/// A checkpoint with what has been gathered.
#[derive(Clone, Debug)]
struct Tree {
    size: u64,
    note: Note,
}

/// Why a witness gave no cosignature.
enum Trouble {
    /// It is away or answers nonsense.
    Away(String),
    /// It let its time pass.
    Silent,
    /// It knows another history of this log.
    OtherHistory(String, Option<Box<Alarm>>),
}

impl Gatherer {
    /// Takes up what was published before. Blocking.
    #[must_use]
    pub fn open(log: MessageLog, clock: Clock, alarms: Arc<Alarms>) -> Self {
        let file = log.published_dir().join("checkpoint.cosigned");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let size = Checkpoint::open(&text, log.origin(), log.verifier()).map(|read| read.size);
        let size = size.ok().filter(|size| *size <= log.published_size());
        let cosigned = size.and_then(|size| Some(Tree { size, note: Note::parse(&text).ok()? }));
        let state = Mutex::new(State { cosigned, ..State::default() });
        Self { log, clock, alarms, file, publishing: tokio::sync::Mutex::default(), state }
    }

    /// The newest checkpoint that the quorum has cosigned, if it covers the record.
    #[must_use]
    pub fn covering(&self, index: u64) -> Option<Note> {
        let state = self.state();
        let tree = state.cosigned.as_ref().filter(|tree| tree.size > index)?;
        Some(tree.note.clone())
    }

    /// The checkpoint for others to build on, a timestamp for one: the newest that the quorum has cosigned.
    /// Where no witness counts for this log, or too few answer, the log's own newest. `None` until the
    /// witnesses have been asked, or when it cannot be read.
    #[must_use]
    pub fn settled(&self, configuration: &ConfigurationInForce) -> Option<Note> {
        let policy = configuration.witness_policy(self.log.origin());
        let state = self.state();
        if policy.witnesses().is_empty() || state.short_since.is_some() {
            return Note::parse(&self.log.latest_checkpoint()).ok();
        }
        state.cosigned.as_ref().map(|tree| tree.note.clone())
    }

    /// Records under a checkpoint that the quorum has cosigned.
    #[must_use]
    pub fn cosigned_size(&self) -> u64 {
        self.state().cosigned.as_ref().map_or(0, |tree| tree.size)
    }

    /// Witnesses that gave no cosignature in the last round.
    #[must_use]
    pub fn missing_count(&self) -> usize {
        self.state().troubles.len()
    }

    /// What the operator should look at; traffic is not touched by it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let state = self.state();
        let short = state.short_since.map(|since| {
            format!(
                "too few witnesses have cosigned this log's checkpoints since {since}; look at those \
                 named here, or at witness_quorum"
            )
        });
        let each = state.troubles.iter().map(|(name, (since, reason))| {
            format!("witness {name} has not cosigned since {since}: {reason}")
        });
        short.into_iter().chain(state.not_stored.clone()).chain(each).collect()
    }

    /// Asks every witness that has not cosigned the newest checkpoint yet, all at once, and publishes as soon as the
    /// quorum is there. Gives the alarms that it raised. Ends after two timeouts at the latest.
    pub async fn round(
        &self,
        configuration: &ConfigurationInForce,
        witnesses: &impl AskWitness,
    ) -> Vec<Alarm> {
        let policy = configuration.witness_policy(self.log.origin());
        let Some(tree) = self.newest(&policy) else { return Vec::new() };
        let listed = configuration.witnesses().iter();
        let listed = listed.filter(|witness| policy.witnesses().contains(&witness.verifier));
        let due = listed.filter(|witness| witness.verifier.verify(&tree.note).is_err());
        let due = due.filter(|witness| !self.rests(witness.verifier.name()));
        let mut asked: FuturesUnordered<_> = due
            .map(async |witness| (&witness.verifier, self.ask(witness, &tree, witnesses).await))
            .collect();
        let (mut raised, mut published) = (Vec::new(), false);
        while let Some((witness, outcome)) = asked.next().await {
            raised.extend(self.note_down(witness, &tree, outcome));
            if !published && self.reached(&policy) {
                published = true;
                self.publish(&policy).await;
            }
        }
        let reached = self.reached(&policy);
        if reached {
            self.publish(&policy).await;
        }
        let mut state = self.state();
        state.short_since = match reached {
            true => None,
            false => state.short_since.or_else(|| Some(self.clock.now())),
        };
        raised
    }

    /// The newest checkpoint with what has been gathered for it; `None` when nobody is to be asked.
    fn newest(&self, policy: &WitnessPolicy) -> Option<Tree> {
        let names = policy.witnesses().iter().map(WitnessVerifier::name);
        let names: Vec<&str> = names.collect();
        let mut state = self.state();
        state.troubles.retain(|name, _| names.contains(&name.as_str()));
        state.sizes.retain(|name, _| names.contains(&name.as_str()));
        state.resting.retain(|name, _| names.contains(&name.as_str()));
        if names.is_empty() {
            (state.gathering, state.short_since) = (None, None);
            return None;
        }
        let note = self.log.latest_checkpoint();
        let size = Checkpoint::open(&note, self.log.origin(), self.log.verifier()).ok()?.size;
        let note = Note::parse(&note).ok()?.signed_by(self.log.verifier());
        if state.gathering.as_ref().is_none_or(|tree| tree.note.text() != note.text()) {
            state.gathering = Some(Tree { size, note });
        }
        state.gathering.clone()
    }

    fn rests(&self, name: &str) -> bool {
        self.state().resting.get(name).is_some_and(|since| since.elapsed() < WITNESS_REST)
    }

    async fn ask(
        &self,
        witness: &ListedWitness,
        tree: &Tree,
        witnesses: &impl AskWitness,
    ) -> Result<NoteSignature, Trouble> {
        let known = self.state().sizes.get(witness.verifier.name()).copied();
        let mut old = known.unwrap_or(0).min(tree.size);
        // Once more when the witness says what it has seen last.
        for _ in 0..2 {
            let (request, _) = self.request(old, tree).await.map_err(Trouble::Away)?;
            let answer = witnesses.ask(&witness.place, request);
            let answer = tokio::time::timeout(WITNESS_TIMEOUT, answer).await;
            match answer.map_err(|_| Trouble::Silent)?.map_err(Trouble::Away)? {
                WitnessAnswer::Cosigned(lines) => {
                    return own_line(&witness.verifier, tree, lines).map_err(Trouble::Away);
                }
                WitnessAnswer::Size(size) if size > tree.size => return Err(ahead(size)),
                WitnessAnswer::Size(size) => old = size,
                WitnessAnswer::Contradicted { status, text } => {
                    return Err(self.contradicted(&text, status, tree).await);
                }
                WitnessAnswer::Refused { status, text } => {
                    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                    return Err(Trouble::Away(format!("it refuses with {status}: {text}")));
                }
            }
        }
        Err(Trouble::Away("it names one tree size after another".to_owned()))
    }

    /// The request's text, and the proof in it.
    async fn request(
        &self,
        old: u64,
        tree: &Tree,
    ) -> Result<(String, Vec<schemas::digest::Sha256>), String> {
        let (log, size) = (self.log.clone(), tree.size);
        let proof = tokio::task::spawn_blocking(move || log.consistency_proof(old, size)).await;
        let proof = proof.unwrap_or(Err(LogError::Closed)).map_err(|error| error.to_string())?;
        let request = AddCheckpoint::new(old, proof.clone(), tree.note.clone());
        Ok((request.map_err(|error| error.to_string())?.to_string(), proof))
    }

    /// The witness says that it holds a checkpoint that this log's newest does not extend. It gives it, and so the
    /// split view is known here too. The proof between the two is this log's own, whatever was asked: by it no earlier
    /// checkpoint of an honest log contradicts the newest.
    async fn contradicted(&self, text: &str, status: u16, tree: &Tree) -> Trouble {
        let split_view = self.split_view(text, tree).await;
        let (key, alarms) = (self.log.verifier().clone(), self.alarms.clone());
        let raised = tokio::task::spawn_blocking(move || {
            split_view.and_then(|split_view| alarms.raise(split_view, &key).ok())
        });
        match raised.await {
            Ok(Some(alarm)) => {
                let text = "it has cosigned another history of this log; see the alarm";
                Trouble::OtherHistory(text.to_owned(), alarm.map(Box::new))
            }
            _ => Trouble::Away(format!("it refuses with {status} and shows no reason for it")),
        }
    }

    async fn split_view(&self, cosigned: &str, tree: &Tree) -> Option<SplitView> {
        let cosigned = Note::parse(cosigned).ok()?;
        let size = cosigned.text().parse::<Checkpoint>().ok()?.size;
        let (_, proof) = self.request(size, tree).await.ok()?;
        Some(SplitView::new(cosigned.to_string(), tree.note.to_string(), &proof))
    }

    fn note_down(
        &self,
        witness: &WitnessVerifier,
        tree: &Tree,
        outcome: Result<NoteSignature, Trouble>,
    ) -> Option<Alarm> {
        let name = witness.name().to_owned();
        let mut state = self.state();
        state.resting.remove(&name);
        let trouble = match outcome {
            Ok(line) => {
                if state.troubles.remove(&name).is_some() {
                    tracing::info!(witness = name, "witness cosigns again");
                }
                state.sizes.insert(name, tree.size);
                // The log may have grown meanwhile: the line is of the checkpoint that was asked about.
                let same = |gathering: &&mut Tree| gathering.note.text() == tree.note.text();
                if let Some(gathering) = state.gathering.as_mut().filter(same)
                    && let Ok(note) = gathering.note.clone().with_signature(line)
                {
                    gathering.note = note;
                }
                return None;
            }
            Err(trouble) => trouble,
        };
        if matches!(trouble, Trouble::Silent) {
            state.resting.insert(name.clone(), self.clock.stopwatch());
        }
        let known = state.troubles.get(&name);
        let news = |text: &str| known.is_none_or(|(_, before)| before != text);
        let (text, alarm) = match trouble {
            Trouble::Silent => ("it does not answer in time".to_owned(), None),
            Trouble::Away(text) => (text, None),
            Trouble::OtherHistory(text, alarm) => {
                if news(&text) {
                    tracing::error!(witness = name, reason = text, "witness saw another history");
                }
                (text, alarm)
            }
        };
        if news(&text) {
            tracing::warn!(witness = name, reason = text, "witness does not cosign");
        }
        let since = known.map_or_else(|| self.clock.now(), |(since, _)| *since);
        state.troubles.insert(name, (since, text));
        alarm.map(|alarm| *alarm)
    }

    fn reached(&self, policy: &WitnessPolicy) -> bool {
        let state = self.state();
        let note = state.gathering.as_ref().map(|tree| &tree.note);
        note.and_then(|note| policy.check(note).ok()).is_some_and(|cosigned| cosigned.reached())
    }

    /// Makes the gathered checkpoint the newest cosigned one, if it is still one that the quorum has cosigned.
    async fn publish(&self, policy: &WitnessPolicy) {
        let _alone = self.publishing.lock().await;
        if !self.reached(policy) {
            return;
        }
        let Some(tree) = self.state().gathering.clone() else { return };
        let (file, text) = (self.file.clone(), tree.note.to_string());
        let same = |held: &Tree| held.note == tree.note;
        let is_stored =
            |state: &State| state.cosigned.as_ref().is_some_and(same) && state.not_stored.is_none();
        if is_stored(&self.state()) {
            return;
        }
        let written = tokio::task::spawn_blocking(move || replace_durably(&file, text.as_bytes()));
        let written = written.await.map_err(std::io::Error::other).flatten();
        let not_stored = written.err().map(|error| {
            let file = self.file.display();
            format!("the cosigned checkpoint cannot be stored in {file}: {error}; check the disk")
        });
        let mut state = self.state();
        if let Some(reason) = not_stored.as_ref().filter(|_| state.not_stored.is_none()) {
            tracing::error!("{reason}");
        }
        state.not_stored = not_stored;
        state.cosigned = Some(tree);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The witness has seen more of this log than this log has.
fn ahead(size: u64) -> Trouble {
    let text = format!(
        "it has cosigned {size} records of this log, more than there are: this log was restored from an \
         old copy, or another copy of it runs elsewhere; stop the wrong one"
    );
    Trouble::OtherHistory(text, None)
}

/// The witness's cosignature among the lines of an answer; those of unknown keys are ignored.
fn own_line(
    witness: &WitnessVerifier,
    tree: &Tree,
    lines: Vec<NoteSignature>,
) -> Result<NoteSignature, String> {
    let own = lines.into_iter().find(|line| witness.names(line));
    let own = own.ok_or("its answer has no cosignature of its key; compare the key listed")?;
    let note = Note::new(tree.note.text(), vec![own.clone()]).map_err(|e| e.to_string())?;
    witness.verify(&note).map_err(|error| error.to_string())?;
    Ok(own)
}
