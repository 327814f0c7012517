//! Opening: the form of the store, its lock and master key, the journal to its end, the view
//! brought up to it.
//!
//! | found | done |
//! |---|---|
//! | an empty directory | made, with its master key |
//! | a `store.json` of a newer form | refused |
//! | a commit cut short at the journal's end | cut off |
//! | damage before that | refused |
//! | a view that is behind | replayed |
//! | a view that is missing, damaged, or of another journal | moved aside and made again |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::journal::{Journal, JournalReader, Place, frame_at};
use super::key_slots::KeySlots;
use super::view::{View, ViewFault, Watermark};
use super::{Files, Writer, apply, view_dir, view_failed};
use crate::error::StoreError;
use crate::seal::MasterKey;

/// The form of the directory that this program writes. A later form brings a step in
/// [`migrate`] from each form before it.
const FORM: u32 = 1;

/// How long a store that is in use is waited for: 1 s.
const LOCK_ATTEMPTS_COUNT: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// `store.json`: what the directory is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    form: u32,
    master_key: String,
}

pub(super) fn open(directory: &Path, key_file: &Path) -> Result<(Files, MasterKey), StoreError> {
    let making = || StoreError::disk("making the store's directory");
    for dir in [directory.to_owned(), directory.join("journal"), directory.join("keys")] {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(making())?;
    }
    let lock = lock(directory)?;
    let master = describe(directory, key_file)?;
    let journal_dir = directory.join("journal");
    let slots = KeySlots::open(&directory.join("keys").join("people"))?;
    let view = usable_view(directory, &journal_dir)?;
    for slot in view.slots().map_err(view_failed)?..slots.count()? {
        let key = slots.read(slot)?;
        view.add_slot(slot, key.as_ref().map(|(subject, _)| subject)).map_err(view_failed)?;
    }
    let journal = replay(&journal_dir, &view)?;
    let writer = Mutex::new(Writer { journal, behind: false });
    Ok((Files { journal_dir, view, slots, writer, _lock: lock }, master))
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    let path = directory.join("lock");
    let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = opened.map_err(StoreError::disk("opening the store's lock"))?;
    // A process that is just ending gives it up within moments.
    for _ in 0..LOCK_ATTEMPTS_COUNT {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(cause)) => {
                return Err(StoreError::disk("locking the store")(cause));
            }
        }
    }
    Err(StoreError::InUse { directory: directory.display().to_string() })
}

/// Reads what the directory is, or writes it into an empty one; gives the master key.
fn describe(directory: &Path, key_file: &Path) -> Result<MasterKey, StoreError> {
    let path = directory.join("store.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            refuse_journal_without_description(directory)?;
            let master = MasterKey::read_or_make(key_file)?;
            let description = Description { form: FORM, master_key: master.id() };
            write_description(directory, &description)?;
            return Ok(master);
        }
        Err(cause) => return Err(StoreError::disk("reading store.json")(cause)),
    };
    let damaged =
        || StoreError::damaged(path.display().to_string(), "it is no description of a store");
    let form: Form = serde_json::from_slice(&text).map_err(|_| damaged())?;
    if form.form > FORM {
        return Err(StoreError::Newer { found: form.form, known: FORM });
    }
    let description: Description = serde_json::from_slice(&text).map_err(|_| damaged())?;
    let master = MasterKey::read(key_file)?;
    if master.id() != description.master_key {
        let path = key_file.display().to_string();
        let cause = "it is not the key that this store was written with".to_owned();
        let repair = "restore the right key file from the backup of the keys";
        return Err(StoreError::MasterKey { path, cause, repair });
    }
    migrate(directory, description)?;
    Ok(master)
}

/// The one field of `store.json` that every form has.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

/// Brings an older form to this program's, one step at a time, each recorded before the next.
fn migrate(directory: &Path, mut description: Description) -> Result<(), StoreError> {
    while description.form < FORM {
        // Form 1 is the first; a step from form 1 to 2 goes here.
        description.form += 1;
        write_description(directory, &description)?;
    }
    Ok(())
}

/// A journal whose description is gone is not an empty store: its key would be made anew.
fn refuse_journal_without_description(directory: &Path) -> Result<(), StoreError> {
    let journal = directory.join("journal");
    let mut files = fs::read_dir(&journal).map_err(StoreError::disk("listing the journal"))?;
    if files.next().is_some() {
        return Err(StoreError::damaged(
            directory.display().to_string(),
            "it has a journal and no store.json",
        ));
    }
    Ok(())
}

fn write_description(directory: &Path, description: &Description) -> Result<(), StoreError> {
    let write = || {
        let path = directory.join("store.json");
        let unfinished = path.with_added_extension("tmp");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(description)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(StoreError::disk("writing store.json"))
}

/// The view, if it is one of this journal; else a new one.
fn usable_view(directory: &Path, journal_dir: &Path) -> Result<View, StoreError> {
    let dir = view_dir(directory);
    let opened = View::open(&dir).and_then(|view| {
        let of_this_journal = match view.watermark()? {
            None => view.slots()? == 0,
            Some(watermark) => stands(journal_dir, watermark).unwrap_or(false),
        };
        if of_this_journal { Ok(view) } else { Err(ViewFault::Unreadable) }
    });
    match opened {
        Ok(view) => Ok(view),
        Err(fault) => {
            tracing::warn!(%fault, "the store's view is made again from the journal");
            move_aside(&dir).map_err(StoreError::disk("moving the store's view aside"))?;
            View::open(&dir).map_err(view_failed)
        }
    }
}

/// Whether the journal has the frame that a view has come to.
fn stands(journal_dir: &Path, watermark: Watermark) -> Result<bool, StoreError> {
    let place = Place { segment: watermark.segment, offset: watermark.offset };
    let frame = frame_at(journal_dir, place)?;
    Ok(frame.is_some_and(|frame| {
        (frame.sequence, frame.checksum) == (watermark.sequence, watermark.checksum)
    }))
}

/// Takes the frames behind the view's watermark into it, and opens the journal behind the last.
fn replay(journal_dir: &Path, view: &View) -> Result<Journal, StoreError> {
    let mut reader = match view.watermark().map_err(view_failed)? {
        None => JournalReader::new(journal_dir, Place { segment: 0, offset: 0 }, 0)?,
        Some(Watermark { sequence, segment, offset, .. }) => {
            let mut reader = JournalReader::new(journal_dir, Place { segment, offset }, sequence)?;
            // The frame that the view has come to is in it already.
            reader.next()?;
            reader
        }
    };
    let mut replayed_count: u64 = 0;
    while let Some(frame) = reader.next()? {
        apply(view, &frame)?;
        replayed_count += 1;
    }
    if replayed_count > 0 {
        tracing::info!(replayed_count, "replayed the store's journal into its view");
        view.flush().map_err(view_failed)?;
    }
    let (end, next) = reader.end();
    Journal::open(journal_dir, end, next)
}

fn move_aside(dir: &Path) -> io::Result<()> {
    let aside = dir.with_added_extension("damaged");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    if dir.exists() { fs::rename(dir, aside) } else { Ok(()) }
}
