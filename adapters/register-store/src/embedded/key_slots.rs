//! The people's keys: one slot of 128 bytes each in `keys/people`, so that a key can be destroyed
//! where it stands.
//!
//! ```text
//! subject 32 · wrapped key 68 · crc32c 4 · zeros 24
//! ```
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | adding a slot | a part of it at the end | cut off; nothing was sealed with the key |
//! | added, not yet in the view | the slot | replayed into the view |
//! | erasing: before the sync has returned | the slot, zeros, or a part | the key is there, or gone: erase again |
//!
//! A slot lies within one sector of 512 bytes, which disks write as a whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::error::StoreError;
use crate::seal::{Subject, WRAPPED_BYTES, Wrapped};

const SLOT_BYTES: usize = 128;
/// The same, as files are measured.
const SLOT_SIZE: u64 = 128;
const KEY_BYTES: usize = 32 + WRAPPED_BYTES;

/// The file of people's keys.
pub(crate) struct KeySlots {
    file: File,
}

impl KeySlots {
    /// Opens or makes the file; cuts off a slot that was not written whole.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(path)?;
            let length = file.metadata()?.len();
            file.set_len(length - length % SLOT_SIZE)?;
            file.sync_all()?;
            path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())?;
            Ok(Self { file })
        };
        opened().map_err(StoreError::disk("opening the people's keys"))
    }

    /// Slots in the file, erased ones too.
    pub(crate) fn count(&self) -> Result<u64, StoreError> {
        let length = self.file.metadata().map_err(StoreError::disk("reading the people's keys"))?;
        Ok(length.len() / SLOT_SIZE)
    }

    /// Adds a key behind all others; durable on return. Gives its slot.
    pub(crate) fn add(&self, subject: &Subject, wrapped: &Wrapped) -> Result<u64, StoreError> {
        let slot = self.count()?;
        let mut bytes = [&subject.0[..], wrapped].concat();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(SLOT_BYTES, 0);
        self.write(slot, &bytes, "adding a person's key")?;
        Ok(slot)
    }

    /// The key in a slot, with whose it is; `None` when it was erased.
    pub(crate) fn read(&self, slot: u64) -> Result<Option<(Subject, Wrapped)>, StoreError> {
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, slot.saturating_mul(SLOT_SIZE));
        match read {
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(StoreError::disk("reading the people's keys"))?,
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let damaged =
            || StoreError::damaged(format!("keys/people, slot {slot}"), "its checksum is wrong");
        parse(&bytes).map(Some).ok_or_else(damaged)
    }

    /// Overwrites a key with zeros; durable on return.
    pub(crate) fn erase(&self, slot: u64) -> Result<(), StoreError> {
        self.write(slot, &[0; SLOT_BYTES], "erasing a person's key")
    }

    fn write(&self, slot: u64, bytes: &[u8], doing: &'static str) -> Result<(), StoreError> {
        let written = self.file.write_all_at(bytes, slot.saturating_mul(SLOT_SIZE));
        written.and_then(|()| self.file.sync_data()).map_err(StoreError::disk(doing))
    }
}

fn parse(bytes: &[u8; SLOT_BYTES]) -> Option<(Subject, Wrapped)> {
    let (key, rest) = bytes.split_first_chunk::<KEY_BYTES>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    if crc32c::crc32c(key) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (subject, wrapped) = key.split_first_chunk::<32>()?;
    Some((Subject(*subject), wrapped.try_into().ok()?))
}
