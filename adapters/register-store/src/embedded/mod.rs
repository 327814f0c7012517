//! The store of one process: a journal that is the truth, a sled view that says where things lie,
//! and a file of people's keys. Every step blocks, so each runs on a thread of its own pool.

mod journal;
mod key_slots;
mod payload;
mod recovery;
mod view;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use self::journal::{Frame, Journal, read_bytes};
use self::key_slots::KeySlots;
use self::payload::Head;
use self::view::{Placed, View, ViewFault, Watermark};
use crate::backend::{Kept, Lookup, Write};
use crate::error::StoreError;
use crate::query::Cursor;
use crate::seal::{MasterKey, Subject, Wrapped};

/// Commits after which the view is made durable; what a crash takes of it is replayed.
const FLUSH_EVERY_COUNT: u64 = 1024;

/// An open embedded store.
pub(crate) struct Embedded(Arc<Files>);

struct Files {
    journal_dir: PathBuf,
    view: View,
    slots: KeySlots,
    /// The one writer, of journal and keys alike.
    writer: Mutex<Writer>,
    /// Held as long as the store is open.
    _lock: File,
}

struct Writer {
    journal: Journal,
    /// The view has not taken what the journal holds: versions can no longer be compared.
    behind: bool,
}

impl Embedded {
    /// Opens or makes the store in a directory.
    pub(crate) async fn open(
        directory: PathBuf,
        key_file: PathBuf,
    ) -> Result<(Self, MasterKey), StoreError> {
        blocking(move || {
            let (files, master) = recovery::open(&directory, &key_file)?;
            Ok((Self(Arc::new(files)), master))
        })
        .await
    }

    pub(crate) async fn get(
        &self,
        kind: &'static str,
        id: &str,
    ) -> Result<Option<Kept>, StoreError> {
        let at = Cursor { value: String::new(), id: id.to_owned() };
        self.run(move |files| files.kept(kind, at)).await
    }

    pub(crate) async fn find(&self, lookup: Lookup) -> Result<Vec<Kept>, StoreError> {
        self.run(move |files| files.find(lookup)).await
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.run(move |files| files.commit(&writes)).await
    }

    pub(crate) async fn key(&self, subject: Subject) -> Result<Option<Wrapped>, StoreError> {
        self.run(move |files| files.key(&subject)).await
    }

    pub(crate) async fn make_key(
        &self,
        subject: Subject,
        wrapped: Wrapped,
    ) -> Result<Wrapped, StoreError> {
        self.run(move |files| files.make_key(&subject, wrapped)).await
    }

    pub(crate) async fn erase_key(&self, subject: Subject) -> Result<(), StoreError> {
        self.run(move |files| files.erase_key(&subject)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Files) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let files = Arc::clone(&self.0);
        blocking(move || step(&files)).await
    }
}

/// Runs a step to its end, also when the caller goes away.
async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(step).await.unwrap_or_else(|cause| {
        let check = "the program log: a step of the store panicked";
        Err(StoreError::Unavailable { doing: "a step of the store", check, cause: cause.into() })
    })
}

impl Files {
    fn kept(&self, kind: &str, at: Cursor) -> Result<Option<Kept>, StoreError> {
        let Some(entry) = self.view.entry(kind, &at.id).map_err(view_failed)? else {
            return Ok(None);
        };
        let place = journal::Place { segment: entry.segment, offset: entry.offset };
        let length = usize::try_from(entry.head.sealed_bytes).unwrap_or(usize::MAX);
        let sealed = read_bytes(&self.journal_dir, place, length)?;
        let (version, subject) = (entry.head.version, entry.head.subject());
        let wrapped = match subject {
            Some(subject) => self.key(&subject)?,
            None => None,
        };
        Ok(Some(Kept { at, version, subject, wrapped, sealed }))
    }

    fn find(&self, mut lookup: Lookup) -> Result<Vec<Kept>, StoreError> {
        let mut found = Vec::new();
        let limit = lookup.limit;
        while found.len() < limit {
            lookup.limit = limit - found.len();
            let page = self.view.find(&lookup).map_err(view_failed)?;
            let last = page.len() < lookup.limit;
            lookup.after = page.last().cloned();
            for at in page {
                // A document that was deleted meanwhile is passed over.
                found.extend(self.kept(lookup.kind, at)?);
            }
            if last {
                break;
            }
        }
        Ok(found)
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.behind {
            let cause = "an earlier commit is durable but not visible yet; restart".into();
            let (doing, check) = ("committing", "the disk");
            return Err(StoreError::Unavailable { doing, check, cause });
        }
        for write in writes {
            let stands = self.view.entry(write.kind, &write.id).map_err(view_failed)?;
            if stands.map(|entry| entry.head.version) != write.seen {
                return Err(write.conflict());
            }
        }
        let (cause, repair) = ("it has no form in the journal", "report this as a defect");
        let unwritable = || StoreError::Refused { kind: "commit", cause, repair };
        let payload = payload::encode(writes).ok_or_else(unwritable)?;
        let frame = writer.journal.append(payload)?;
        writer.behind = true;
        apply(&self.view, &frame)?;
        writer.behind = false;
        if frame.sequence % FLUSH_EVERY_COUNT == FLUSH_EVERY_COUNT - 1
            && let Err(fault) = self.view.flush()
        {
            tracing::warn!(%fault, "the store's view could not be made durable; a restart replays the journal");
        }
        Ok(())
    }

    fn key(&self, subject: &Subject) -> Result<Option<Wrapped>, StoreError> {
        let Some(slot) = self.view.slot(subject).map_err(view_failed)? else { return Ok(None) };
        // A slot that was erased and taken out of the view a moment later is nobody's.
        Ok(self.slots.read(slot)?.filter(|(whose, _)| whose == subject).map(|(_, wrapped)| wrapped))
    }

    fn make_key(&self, subject: &Subject, wrapped: Wrapped) -> Result<Wrapped, StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stands) = self.key(subject)? {
            return Ok(stands);
        }
        let slot = self.slots.add(subject, &wrapped)?;
        self.view.add_slot(slot, Some(subject)).map_err(view_failed)?;
        Ok(wrapped)
    }

    fn erase_key(&self, subject: &Subject) -> Result<(), StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = self.view.slot(subject).map_err(view_failed)? else { return Ok(()) };
        self.slots.erase(slot)?;
        self.view.remove_slot(subject).map_err(view_failed)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Only saves the next start a replay.
        let _ = self.view.flush();
    }
}

/// Takes a frame into the view.
fn apply(view: &View, frame: &Frame) -> Result<(), StoreError> {
    let unreadable =
        || StoreError::damaged("the journal", "a commit is not as this program writes it");
    let heads = payload::decode(&frame.payload).ok_or_else(unreadable)?;
    let placed = |(Head { kind, id, document }, at)| {
        let document = document.map(|document| (document, frame.place_of(at)));
        Placed { kind, id, document }
    };
    let placed: Vec<Placed> = heads.into_iter().map(placed).collect();
    let (segment, offset) = (frame.place.segment, frame.place.offset);
    let watermark =
        Watermark { sequence: frame.sequence, checksum: frame.checksum, segment, offset };
    view.apply(&placed, watermark).map_err(view_failed)
}

fn view_failed(fault: ViewFault) -> StoreError {
    StoreError::Unavailable {
        doing: "using the store's view",
        check: "the disk; a restart makes the view again",
        cause: fault.into(),
    }
}

/// The directory of the view.
fn view_dir(directory: &Path) -> PathBuf {
    directory.join("view")
}
