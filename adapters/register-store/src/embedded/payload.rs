//! The payload of a frame: what a commit writes, as a head in JSON and the sealed bytes behind it.
//!
//! ```text
//! head length u32, little-endian · head · sealed bytes of each document in turn
//! ```

use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::backend::{IndexKey, SealedDocument, Write};
use crate::seal::Subject;

/// One document of a commit, without its bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) kind: String,
    pub(crate) id: String,
    /// `None` when it is deleted.
    pub(crate) document: Option<DocumentHead>,
}

/// A document that is written.
#[derive(Serialize, Deserialize)]
pub(crate) struct DocumentHead {
    pub(crate) version: u64,
    /// Whose key seals it; a [`Subject`] in digits.
    pub(crate) subject: Option<Sha256>,
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) sealed_bytes: u32,
}

impl DocumentHead {
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.subject.map(|subject| Subject(subject.0))
    }

    pub(crate) fn index_keys(&self) -> Vec<IndexKey> {
        let keys = self.keys.iter().cloned();
        keys.map(|(name, value)| IndexKey { name, value }).collect()
    }
}

/// Writes a payload; `None` when it has no JSON form, which every commit has.
pub(crate) fn encode(writes: &[Write]) -> Option<Vec<u8>> {
    let heads: Option<Vec<Head>> = writes.iter().map(head).collect();
    let head = serde_json::to_vec(&heads?).ok()?;
    let mut payload = u32::try_from(head.len()).ok()?.to_le_bytes().to_vec();
    payload.extend_from_slice(&head);
    for document in writes.iter().filter_map(|write| write.new.as_ref()) {
        payload.extend_from_slice(&document.sealed);
    }
    Some(payload)
}

fn head(write: &Write) -> Option<Head> {
    let document = match &write.new {
        None => None,
        Some(SealedDocument { version, subject, keys, sealed }) => Some(DocumentHead {
            version: *version,
            subject: subject.map(|subject| Sha256(subject.0)),
            keys: keys.iter().map(|key| (key.name.clone(), key.value.clone())).collect(),
            sealed_bytes: u32::try_from(sealed.len()).ok()?,
        }),
    };
    Some(Head { kind: write.kind.to_owned(), id: write.id.clone(), document })
}

/// Reads a payload: the heads, each with the place of its sealed bytes in the payload; `None` when
/// it is not one.
pub(crate) fn decode(payload: &[u8]) -> Option<Vec<(Head, u64)>> {
    let (head_bytes, rest) = payload.split_first_chunk::<4>()?;
    let head_bytes = u32::from_le_bytes(*head_bytes);
    let head = rest.get(..usize::try_from(head_bytes).ok()?)?;
    let heads: Vec<Head> = serde_json::from_slice(head).ok()?;
    let mut at = 4 + u64::from(head_bytes);
    let mut placed = Vec::with_capacity(heads.len());
    for head in heads {
        let bytes = head.document.as_ref().map_or(0, |document| document.sealed_bytes);
        placed.push((head, at));
        at = at.checked_add(u64::from(bytes))?;
    }
    (usize::try_from(at).ok()? == payload.len()).then_some(placed)
}
