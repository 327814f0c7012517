//! What is to change, all of it or nothing.

use std::fmt;

use schemas::limits::{
    STORE_CHANGES_MAX_COUNT, STORE_DOCUMENT_MAX_BYTES, STORE_KEY_MAX_BYTES, STORE_KEYS_MAX_COUNT,
};
use schemas::pinfl::Pinfl;
use zeroize::Zeroizing;

use crate::entity::{Entity, StoreKey, Stored};
use crate::error::StoreError;

/// One document to write or delete.
pub(crate) struct Change {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// The version that must stand; `None` when the document must not be there.
    pub(crate) seen: Option<u64>,
    /// `None` deletes.
    pub(crate) new: Option<NewDocument>,
}

/// A document before it is sealed.
pub(crate) struct NewDocument {
    pub(crate) subject: Option<Pinfl>,
    pub(crate) keys: Vec<StoreKey>,
    pub(crate) json: Zeroizing<Vec<u8>>,
}

/// Changes of one commit, of any collections; at most 1 000.
#[derive(Default)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the document, its id or its keys are beyond a limit.
    pub fn insert<T: Entity>(self, value: &T) -> Result<Self, StoreError> {
        self.write(value, None)
    }

    /// Replaces the document that was read by what `seen.value` holds now.
    ///
    /// # Errors
    /// As [`Changes::insert`].
    pub fn update<T: Entity>(self, seen: &Stored<T>) -> Result<Self, StoreError> {
        self.write(&seen.value, Some(seen.version))
    }

    /// Deletes the document that was read.
    #[must_use]
    pub fn delete<T: Entity>(mut self, seen: &Stored<T>) -> Self {
        let (kind, id) = (T::KIND, seen.value.id());
        self.0.push(Change { kind, id, seen: Some(seen.version), new: None });
        self
    }

    /// Whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes in one order for all nodes, so that two never wait for each other.
    pub(crate) fn into_sorted(mut self) -> Result<Vec<Change>, StoreError> {
        let refused = |cause, repair| StoreError::Refused { kind: "commit", cause, repair };
        if self.0.len() > STORE_CHANGES_MAX_COUNT {
            let repair = "commit at most 1 000 documents at a time";
            return Err(refused("it changes too many documents", repair));
        }
        self.0.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        if self.0.is_sorted_by(|a, b| (a.kind, &a.id) != (b.kind, &b.id)) {
            return Ok(self.0);
        }
        Err(refused("it changes a document twice", "give its last state only"))
    }

    fn write<T: Entity>(mut self, value: &T, seen: Option<u64>) -> Result<Self, StoreError> {
        let refused = |cause, repair| StoreError::Refused { kind: T::KIND, cause, repair };
        let (id, keys) = (value.id(), value.keys());
        let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=STORE_KEY_MAX_BYTES).contains(&id.len()) {
            return Err(refused(
                "its id is no text of 1 to 255 visible ASCII characters",
                "use a UUID",
            ));
        }
        if keys.len() > STORE_KEYS_MAX_COUNT || !keys.iter().all(fits) {
            let repair = "give at most 256 keys of up to 255 bytes without NUL";
            return Err(refused("its keys are beyond the limit", repair));
        }
        // What serde says may quote the document.
        let json = serde_json_canonicalizer::to_vec(value)
            .map(Zeroizing::new)
            .map_err(|_| refused("it has no canonical JSON form", "report this as a defect"))?;
        if json.len() > STORE_DOCUMENT_MAX_BYTES {
            return Err(refused("it is larger than 4 MiB", "keep less in one document"));
        }
        let new = NewDocument { subject: value.subject(), keys, json };
        self.0.push(Change { kind: T::KIND, id, seen, new: Some(new) });
        Ok(self)
    }
}

fn fits(key: &StoreKey) -> bool {
    match key {
        StoreKey::Plain { value, .. } => {
            value.len() <= STORE_KEY_MAX_BYTES && !value.contains('\0')
        }
        StoreKey::Person { .. } => true,
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({} documents)", self.0.len())
    }
}
