//! What can be kept, and by what it is found again.

use std::fmt;

use schemas::pinfl::Pinfl;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of document. A field that is added later needs a default (`#[serde(default)]`): documents
/// are read back as they were written.
///
/// ```
/// use register_store::{Entity, StoreKey};
/// use schemas::pinfl::Pinfl;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Visit {
///     id: String,
///     whom: Pinfl,
///     due: String,
/// }
///
/// impl Entity for Visit {
///     const KIND: &'static str = "visit";
///     fn id(&self) -> String {
///         self.id.clone()
///     }
///     fn subject(&self) -> Option<Pinfl> {
///         Some(self.whom)
///     }
///     fn keys(&self) -> Vec<StoreKey> {
///         vec![StoreKey::plain("due", &self.due), StoreKey::person("whom", self.whom)]
///     }
/// }
/// ```
pub trait Entity: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the collection, `a-z`, `0-9`, `-`; never changed once documents are kept.
    const KIND: &'static str;

    /// Identifier within the collection, never used twice: 1 to 255 visible ASCII characters. It is
    /// kept in the clear, so it tells nothing about a person; a random UUID does.
    fn id(&self) -> String;

    /// The person under whose key the document is sealed; `None` seals it under a key of the
    /// collection, which is never destroyed.
    fn subject(&self) -> Option<Pinfl>;

    /// By what the document is found again.
    fn keys(&self) -> Vec<StoreKey>;
}

/// A key by which a document is found again.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreKey {
    /// Text that sorts byte by byte: a state, a district, a due date. It is kept in the clear.
    Plain {
        /// Name of the key.
        name: &'static str,
        /// Value, up to 255 bytes without NUL.
        value: String,
    },
    /// A person; kept as an HMAC.
    Person {
        /// Name of the key.
        name: &'static str,
        /// The person.
        pinfl: Pinfl,
    },
}

impl StoreKey {
    /// A key with a plain value.
    #[must_use]
    pub fn plain(name: &'static str, value: impl Into<String>) -> Self {
        Self::Plain { name, value: value.into() }
    }

    /// A key with a person.
    #[must_use]
    pub fn person(name: &'static str, pinfl: Pinfl) -> Self {
        Self::Person { name, pinfl }
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { name, value } => write!(f, "{name}={value}"),
            Self::Person { name, .. } => write!(f, "{name}=(a person)"),
        }
    }
}

/// A document as it was read, with the version to say when changing it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// The document.
    pub value: T,
    /// Counts its changes, from 1.
    pub version: u64,
}

impl<T> fmt::Debug for Stored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored(version {})", self.version)
    }
}
