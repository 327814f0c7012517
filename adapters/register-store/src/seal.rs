//! The keys under which documents lie: a master key file, one random key for each person wrapped
//! by it, one key for each collection and one for pseudonyms derived from it.
//!
//! Sealed form: version 1 · key id 8 bytes · nonce 12 bytes · ciphertext · tag 16 bytes, AES-256-GCM.
//! The nonce is random; NIST SP 800-38D §8.3 allows 2^32 sealings under one key. A person's key seals
//! a few hundred documents; a collection's key seals what is about nobody, so choose subjects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use schemas::digest::Sha256;
use schemas::encoding::hex;
use schemas::pinfl::Pinfl;
use zeroize::Zeroizing;

use crate::error::StoreError;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Bytes of a wrapped key: key id, nonce, key, tag.
pub(crate) const WRAPPED_BYTES: usize = KEY_ID_BYTES + NONCE_BYTES + KEY_BYTES + 16;

type Secret = Zeroizing<[u8; KEY_BYTES]>;

/// A person in the store: HMAC-SHA-256 of the PINFL under a key derived from the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject(pub(crate) [u8; 32]);

impl Subject {
    /// The text that stands in an index.
    pub(crate) fn index_value(&self) -> String {
        hex(&self.0)
    }
}

/// A person's key as it is kept.
pub(crate) type Wrapped = [u8; WRAPPED_BYTES];

/// A key that seals documents.
pub(crate) struct SealingKey {
    id: [u8; KEY_ID_BYTES],
    aead: LessSafeKey,
}

/// What a document is bound to: it opens nowhere else.
pub(crate) struct Binding<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) version: u64,
}

impl Binding<'_> {
    /// Neither part holds NUL, so that no two bindings have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        [self.kind.as_bytes(), b"\0", self.id.as_bytes(), b"\0", &version].concat()
    }
}

/// The master key and what is derived from it.
pub(crate) struct MasterKey {
    root: hmac::Key,
    pseudonyms: hmac::Key,
    wrapping: LessSafeKey,
    random: SystemRandom,
}

impl MasterKey {
    /// Reads the key file.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let bytes = Zeroizing::new(fs::read(path).map_err(|cause| unusable(path, &cause))?);
        let mode = fs::metadata(path).map_err(|cause| unusable(path, &cause))?.permissions().mode();
        if mode & 0o077 != 0 {
            let repair = "run `chmod 600` on it, and find out who could read it";
            return Err(refused(path, "others than its owner have rights on it", repair));
        }
        let key: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| {
            refused(path, "it does not hold 32 bytes", "restore it from the backup of the keys")
        })?;
        Ok(Self::of(key))
    }

    /// Reads the key file of an empty store, and makes it when it is missing. It is durable before
    /// anything is sealed with it.
    pub(crate) fn read_or_make(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let mut key: Secret = Zeroizing::new([0; KEY_BYTES]);
            SystemRandom::new().fill(&mut *key).map_err(|_| no_randomness())?;
            make_file(path, &*key).map_err(|cause| unusable(path, &cause))?;
            tracing::info!(key = %path.display(), "made the store's master key; keep a backup apart from the store's");
        }
        Self::read(path)
    }

    fn of(key: &[u8; KEY_BYTES]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let pseudonyms = hmac::Key::new(hmac::HMAC_SHA256, &*derive(&root, "pseudonyms", ""));
        let wrapping = aead(&derive(&root, "wrapping", ""));
        Self { root, pseudonyms, wrapping, random: SystemRandom::new() }
    }

    /// Tells master keys apart without telling anything about them.
    pub(crate) fn id(&self) -> String {
        hex(derive(&self.root, "id", "").get(..KEY_ID_BYTES).unwrap_or_default())
    }

    /// The person as the store knows her.
    pub(crate) fn subject(&self, pinfl: &Pinfl) -> Subject {
        let tag = hmac::sign(&self.pseudonyms, pinfl.as_str().as_bytes());
        Subject(first_32(tag.as_ref()))
    }

    /// The key of a collection.
    pub(crate) fn collection(&self, kind: &str) -> SealingKey {
        SealingKey::of(&derive(&self.root, "collection", kind))
    }

    /// A new key for a person, wrapped.
    pub(crate) fn new_person(&self, subject: &Subject) -> Result<Wrapped, StoreError> {
        let mut key: Secret = Zeroizing::new([0; KEY_BYTES]);
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut *key).map_err(|_| no_randomness())?;
        self.random.fill(&mut nonce).map_err(|_| no_randomness())?;
        let id = key_id(&key);
        let tag = self
            .wrapping
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(wrapping_aad(subject, &id)),
                &mut *key,
            )
            .map_err(|_| no_randomness())?;
        let parts = [&id[..], &nonce, &*key, tag.as_ref()].concat();
        parts.try_into().map_err(|_| no_randomness())
    }

    /// The person's key; `None` when these bytes are no key of hers under this master key.
    pub(crate) fn unwrap_person(&self, subject: &Subject, wrapped: &Wrapped) -> Option<SealingKey> {
        let (id, rest) = wrapped.split_first_chunk::<KEY_ID_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(wrapping_aad(subject, id));
        let key: &[u8; KEY_BYTES] =
            (&*self.wrapping.open_in_place(nonce, aad, &mut bytes).ok()?).try_into().ok()?;
        Some(SealingKey::of(key))
    }

    /// Seals a document.
    pub(crate) fn seal(
        &self,
        key: &SealingKey,
        binding: &Binding<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce).map_err(|_| no_randomness())?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(HEAD_BYTES..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.aead.seal_in_place_separate_tag(nonce, Aad::from(binding.bytes()), body);
        sealed.extend_from_slice(tag.map_err(|_| no_randomness())?.as_ref());
        Ok(sealed)
    }
}

/// What opening a document finds.
pub(crate) enum Opened {
    Plain(Zeroizing<Vec<u8>>),
    /// It was sealed under another key than this one, which is no more.
    OtherKey,
    /// Its bytes, or what it is bound to, are not those that were sealed.
    Changed,
}

impl SealingKey {
    fn of(key: &[u8; KEY_BYTES]) -> Self {
        Self { id: key_id(key), aead: aead(key) }
    }

    /// Opens a document.
    pub(crate) fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Opened {
        let head = sealed.strip_prefix(&[VERSION]);
        let Some((id, rest)) = head.and_then(|body| body.split_first_chunk()) else {
            return Opened::Changed;
        };
        let Some((nonce, ciphertext)) = rest.split_first_chunk() else { return Opened::Changed };
        if *id != self.id {
            return Opened::OtherKey;
        }
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match self.aead.open_in_place(nonce, Aad::from(binding.bytes()), &mut plain) {
            Ok(opened) => {
                let length = opened.len();
                plain.truncate(length);
                Opened::Plain(plain)
            }
            Err(_) => Opened::Changed,
        }
    }
}

fn derive(root: &hmac::Key, purpose: &str, name: &str) -> Secret {
    let mut context = hmac::Context::with_key(root);
    for part in ["koprik register store\0", purpose, "\0", name] {
        context.update(part.as_bytes());
    }
    Zeroizing::new(first_32(context.sign().as_ref()))
}

fn first_32(tag: &[u8]) -> [u8; 32] {
    // Safe because: HMAC-SHA-256 gives 32 bytes.
    tag.try_into().unwrap_or([0; 32])
}

fn key_id(key: &[u8; KEY_BYTES]) -> [u8; KEY_ID_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = Sha256::of_parts(&[b"koprik store key id", key]).0;
    [a, b, c, d, e, f, g, h]
}

fn wrapping_aad(subject: &Subject, id: &[u8; KEY_ID_BYTES]) -> Vec<u8> {
    [&subject.0[..], id].concat()
}

fn aead(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    #[allow(clippy::expect_used, reason = "AES-256 takes any 32 bytes")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"))
}

/// Writes a file for its owner alone, whole or not at all, durable on return.
fn make_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(above)?;
    let unfinished = path.with_added_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(above)?.sync_all()
}

fn unusable(path: &Path, cause: &io::Error) -> StoreError {
    let repair = if cause.kind() == io::ErrorKind::NotFound {
        "the store is not empty: copy the key file from its backup, or from another node"
    } else {
        "check its rights and the disk"
    };
    refused(path, &cause.to_string(), repair)
}

fn refused(path: &Path, cause: &str, repair: &'static str) -> StoreError {
    let path = path.display().to_string();
    StoreError::MasterKey { path, cause: cause.to_owned(), repair }
}

fn no_randomness() -> StoreError {
    StoreError::Unavailable {
        doing: "sealing a document",
        check: "the machine's random numbers",
        cause: "the cipher or the random generator refused".into(),
    }
}
