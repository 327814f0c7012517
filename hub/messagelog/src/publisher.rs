//! The follower that publishes: grows the tree from durable records, writes its tiles, and signs
//! checkpoints (promise P5).
//!
//! A checkpoint is signed only for a tree that grew, record by record, from the tree of the last
//! checkpoint, whose root was compared when the log was opened; and only over records that are
//! durable, so that no crash can take back what it promises:
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | while tiles are written | old checkpoint, some new tiles | the tiles are written again |
//! | after signing, before the file is replaced | old checkpoint | nobody saw the new one; the next extends the old |
//! | the disk is full, or a sync fails | old checkpoint | no restart: the tree is taken up from the old checkpoint at the next attempt |
//! | the disk is full when the log is opened | old checkpoint | it opens with that one, once its root was compared |
//! | after the file is replaced | new checkpoint, its records durable | the tree is compared with it |

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use schemas::tlog::tile::TILE_WIDTH;
use schemas::tlog::{Checkpoint, Note, NoteSignature, NoteSigner, NoteVerifier};
use tokio::sync::watch;

use crate::LogError;
use crate::disk::{Last, replace};
use crate::segments::{RecordReader, Segments};
use crate::tiles::{Tiles, Tree};

/// How often the tree grows for each time that it is signed: what a busy hub records in between fits into
/// the memory for fresh leaves, so that none is read back.
const GROWN_COUNT: u32 = 4;

/// What the publisher is asked to do before its interval is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Publish what is durable now.
    Publish,
    /// Publish what is durable now, and end.
    Close,
}

/// What has been published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Records that the latest checkpoint covers.
    pub(crate) size: u64,
    /// The latest checkpoint, a signed note.
    pub(crate) note: Arc<str>,
    /// Why the last attempt to publish failed, if it did.
    pub(crate) failure: Option<LogError>,
    /// Attempts so far.
    pub(crate) attempts: u64,
}

/// A checkpoint that was read back, and the note that it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    note: Arc<str>,
}

/// The log's identity: who signs which origin.
pub(crate) struct Identity {
    pub(crate) origin: Arc<str>,
    pub(crate) signer: Arc<dyn NoteSigner>,
    pub(crate) verifier: NoteVerifier,
}

impl Identity {
    /// Reads the last checkpoint; `None` when there is none.
    ///
    /// # Errors
    /// When it is not one of this log under this key.
    pub(crate) fn read_checkpoint(&self, tiles: &Tiles) -> Result<Option<Signed>, LogError> {
        let path = checkpoint_path(tiles);
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(LogError::io("reading", &path, &cause)),
        };
        let opened = Checkpoint::open(&note, &self.origin, &self.verifier);
        let checkpoint = opened.map_err(|cause| LogError::Contradiction {
            cause: format!("{} is not this log's: {cause}", path.display()),
            repair: "give the hub the log key and origin that this log was begun with, or restore \
                     the checkpoint from a backup",
        })?;
        Ok(Some(Signed { checkpoint, note: note.into() }))
    }

    /// Signs a checkpoint and gives its note.
    fn sign(&self, checkpoint: &Checkpoint) -> Result<String, LogError> {
        let text = checkpoint.to_string();
        let failed = |cause: String| LogError::Signer { cause };
        let signature = self.signer.sign(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
        let (name, id) = (self.verifier.name(), self.verifier.key_id());
        let note = NoteSignature::new(name, id, signature.to_vec())
            .and_then(|line| Note::new(&text, vec![line]))
            .and_then(|note| self.verifier.verify(&note).map(|()| note));
        note.map(|note| note.to_string()).map_err(|cause| failed(cause.to_string()))
    }
}

fn checkpoint_path(tiles: &Tiles) -> PathBuf {
    tiles.dir().join("checkpoint")
}

/// The tree and the reader that it grows from, at the same record.
struct Growing {
    tree: Tree,
    records: RecordReader,
    /// Whether the unfinished tiles of this size are on the disk.
    written: bool,
}

/// The publisher; it lives on a thread of its own.
pub(crate) struct Publisher {
    identity: Identity,
    segments: Arc<Segments>,
    tiles: Tiles,
    /// `None` after a failure: the tree is taken up again from the last checkpoint.
    growing: Option<Growing>,
    last: Option<Checkpoint>,
    published: watch::Sender<Published>,
}

impl Publisher {
    /// Compares the records with the last checkpoint and publishes what is durable and not covered by it. Where
    /// there is no room for that, the last checkpoint stays the latest and the thread tries again: a full disk
    /// keeps nobody from reading.
    ///
    /// # Errors
    /// When they contradict each other, or a first checkpoint cannot be written.
    pub(crate) fn open(
        identity: Identity,
        segments: Arc<Segments>,
        tiles: Tiles,
        last: Option<Signed>,
    ) -> Result<Self, LogError> {
        let known = Published {
            size: last.as_ref().map_or(0, |last| last.checkpoint.size),
            note: last.as_ref().map_or_else(|| Arc::from(""), |last| last.note.clone()),
            failure: None,
            attempts: 0,
        };
        let (last, published) = (last.map(|last| last.checkpoint), watch::Sender::new(known));
        let mut publisher = Self { identity, segments, tiles, growing: None, last, published };
        publisher.growing = Some(publisher.take_up()?);
        match publisher.publish() {
            Err(failure @ LogError::NoRoom { .. }) if publisher.last.is_some() => {
                publisher.failed(failure);
            }
            published => published?,
        }
        Ok(publisher)
    }

    /// Told of each attempt to publish.
    pub(crate) fn watch(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Publishes each interval, and when asked, until it is told to close or nobody can ask. In between the
    /// tree grows, while the leaves are still in memory.
    pub(crate) fn run(mut self, wake: &Receiver<Wake>, interval: Duration) {
        let mut grown_count = 0;
        loop {
            let closing = match wake.recv_timeout(interval / GROWN_COUNT) {
                Err(RecvTimeoutError::Timeout) if grown_count + 1 < GROWN_COUNT => {
                    grown_count += 1;
                    // What fails here fails again when it is published, and is told then.
                    self.growing = self.grown().ok();
                    continue;
                }
                Ok(Wake::Publish) | Err(RecvTimeoutError::Timeout) => false,
                Ok(Wake::Close) => true,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            grown_count = 0;
            if let Err(failure) = self.publish() {
                self.failed(failure);
            }
            if closing {
                return;
            }
        }
    }

    fn failed(&self, failure: LogError) {
        tracing::error!(%failure, "no checkpoint was published; trying again");
        self.published.send_modify(|published| {
            published.attempts += 1;
            published.failure = Some(failure);
        });
    }

    /// The tree with what is durable now. After a failure the tree in memory is dropped: what it held and
    /// what its files hold may differ.
    fn grown(&mut self) -> Result<Growing, LogError> {
        let goal = self.segments.size();
        let mut growing = match self.growing.take() {
            Some(growing) => growing,
            None => self.take_up()?,
        };
        grow(&mut growing, goal)?;
        Ok(growing)
    }

    /// Grows the tree by what is durable now, and signs it if it has grown. Where it has not, nothing is written.
    fn publish(&mut self) -> Result<(), LogError> {
        let mut growing = self.grown()?;
        let size = growing.tree.size();
        let known = self.published.borrow().clone();
        if !growing.written {
            growing.tree.write_partial()?;
            growing.written = true;
        }
        if known.note.is_empty() || size > known.size {
            let origin = self.identity.origin.to_string();
            let checkpoint = Checkpoint { origin, size, root: growing.tree.root() };
            let note = self.identity.sign(&checkpoint)?;
            let path = checkpoint_path(&self.tiles);
            let replaced = replace(self.tiles.disk(), &path, note.as_bytes(), Last::Durable);
            replaced.map_err(|cause| LogError::io("writing", &path, &cause))?;
            self.last = Some(checkpoint);
            self.published.send_modify(|published| {
                published.size = size;
                published.note = note.into();
            });
        }
        self.growing = Some(growing);
        self.published.send_modify(|published| {
            published.attempts += 1;
            published.failure = None;
        });
        Ok(())
    }

    /// The tree of the last checkpoint, with its root: from the tiles, or where they fail from
    /// the records. Cost: with whole tiles eight files; else the records after the first bad tile. A process that
    /// was killed between a full tile and the checkpoint over it has left no unfinished one: at most 255 records.
    fn take_up(&self) -> Result<Growing, LogError> {
        let Some(last) = &self.last else {
            return Ok(self.growing_from(Tree::empty(self.tiles.clone())));
        };
        let first_missing = self.tiles.first_missing(last.size);
        let width = u64::from(TILE_WIDTH);
        let first = first_missing.map_or(last.size, |tile| tile * width);
        // At the end of a full tile nothing unfinished is needed.
        let mut starts = vec![first, first - first % width, 0];
        starts.dedup();
        for start in starts {
            if let Ok(tree) = Tree::load(self.tiles.clone(), start, last.size) {
                let mut growing = self.growing_from(tree);
                grow(&mut growing, last.size)?;
                if growing.tree.root() == last.root {
                    return Ok(growing);
                }
            }
            tracing::warn!(start, size = last.size, "writing the tiles again from the records");
        }
        Err(LogError::Contradiction {
            cause: format!(
                "the records up to {} do not have the root that the checkpoint signs",
                last.size
            ),
            repair: "stop here: a record before the checkpoint has been changed; restore the log's \
                     directory from a backup or another node, and keep this one as evidence",
        })
    }

    /// The unfinished tiles of a tree that was loaded are where it was loaded from.
    fn growing_from(&self, tree: Tree) -> Growing {
        let records = self.segments.reader(tree.size());
        Growing { tree, records, written: true }
    }
}

/// Adds the records up to the size `goal`.
fn grow(growing: &mut Growing, goal: u64) -> Result<(), LogError> {
    while growing.records.position() < goal {
        let Some((_, leaf)) = growing.records.next_leaf()? else { break };
        growing.written = false;
        growing.tree.push(&leaf)?;
    }
    Ok(())
}
