//! The keys that make records readable, and their destruction (promise P6).
//!
//! Evidence is sealed with AES-256-GCM under a key for each retention class and calendar year;
//! people are pseudonyms under another of each year. Destroying a key file erases all evidence of
//! its class, or all links between people and records, of that year, in every backup of the log at
//! once, and leaves every proof valid. So keep backups of `keys/` apart from those of the log, and
//! destroy them together.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | before the key's bytes are overwritten | the key | it is due again |
//! | overwritten, not renamed | zeros under the key's name | opens nothing; [`Vault::open`] leaves the mark |
//! | renamed to `.gone`, its end not recorded | the empty mark | [`Vault::destroyed`] names it until [`Vault::forget`] |
//!
//! Sealed form: version 1 · key id 4 bytes · nonce 12 bytes · ciphertext · tag 16 bytes. The nonce
//! is random; NIST SP 800-38D §8.3 allows 2^32 sealings under one key, more than a hub makes in a
//! year at 130 records a second, and the chance of a collision stays below 2^-32.
//!
//! A key is made durable before it is used, and used by nobody once its destruction has begun:
//!
//! | cut short | on disk | afterwards |
//! |---|---|---|
//! | making: before the rename | no key, `.tmp` in any state | nothing was sealed with it; another is made |
//! | making: before the directory is synced | the key, or none | the same |
//! | destroying: before zeros are synced | the key, or zeros | the key still opens, or is gone: destroy again |
//! | destroying: before the new name is durable | zeros, under the key's name or the mark's | the key is gone; zeros count as no key, and are given the mark's name |

mod name;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use schemas::digest::{Pseudonym, Sha256};
use zeroize::Zeroizing;

pub use self::name::{Class, KeyName, KeyUse, NotAClass, NotAKeyName};

use crate::disk::{Disk, Last, Open, OsDisk, make_dirs, replace, sync_parent};

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
/// Extension of the mark that a destroyed key leaves.
const GONE: &str = "gone";
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// What a key is overwritten with; a file that holds it is a key whose removal was cut short.
const DESTROYED: [u8; KEY_BYTES] = [0; KEY_BYTES];

type Key = Zeroizing<[u8; KEY_BYTES]>;
type Keys = HashMap<KeyName, Arc<Prepared>>;

/// A key as it is used, made once: a message is sealed, and its people named, many times a second.
struct Prepared {
    id: [u8; KEY_ID_BYTES],
    aead: LessSafeKey,
    hmac: hmac::Key,
}

impl Prepared {
    fn of(key: &Key) -> Arc<Self> {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        Arc::new(Self { id: key_id(key), aead: aead_key(key), hmac })
    }
}

/// What the vault cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key was destroyed; what it sealed is gone for good, and meant to be.
    #[error("own hub: this evidence was erased: its key {key} was destroyed; nothing repairs it")]
    Erased {
        /// The key.
        key: KeyName,
    },
    /// The bytes are not what was sealed, or not for this record.
    #[error(
        "own hub: sealed evidence of {year} does not open under its key: its bytes or its record \
         were changed; restore the record from a backup"
    )]
    Changed {
        /// The calendar year.
        year: i16,
    },
    /// A key file is not usable.
    #[error("own hub: the key file {path} is not usable: {cause}; {repair}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
        /// What the operator does.
        repair: &'static str,
    },
    /// The machine gave no randomness, or the text is longer than the cipher takes.
    #[error("own hub: evidence could not be sealed; retry, and restart the hub if it stays so")]
    NotSealed,
}

/// Seals evidence and makes pseudonyms; shared between threads.
pub struct Vault {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    keys: Mutex<Keys>,
    random: SystemRandom,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.dir.display())
    }
}

impl Vault {
    /// Opens the vault whose key files are in `dir`, `keys/` of a log; makes the directory. Ends every destruction
    /// that was cut short once its key was gone, so that it is recorded like any other.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or a key file can be read by others or not be changed.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        Self::open_on(dir, Arc::new(OsDisk))
    }

    pub(crate) fn open_on(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, VaultError> {
        let refused = |cause: io::Error| key_file(dir, &cause);
        make_dirs(&*disk, dir).map_err(refused)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(refused)?;
        let keys = Mutex::new(HashMap::new());
        let vault = Self { dir: dir.to_owned(), disk, keys, random: SystemRandom::new() };
        for name in vault.names()? {
            if vault.existing_key(&name)?.is_none() {
                vault.destroy(&name)?;
            }
        }
        Ok(vault)
    }

    /// Seals evidence of a class and year, given in parts. `aad` binds it to its record and must be given again to
    /// open it.
    ///
    /// # Errors
    /// When the year's key cannot be read or made.
    pub fn seal(
        &self,
        class: &Class,
        year: i16,
        aad: &[u8],
        plain: &[&[u8]],
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.key(KeyName::evidence(class, year))?;
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce).map_err(|_| VaultError::NotSealed)?;
        let plain_bytes: usize = plain.iter().map(|part| part.len()).sum();
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain_bytes + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        plain.iter().for_each(|part| sealed.extend_from_slice(part));
        let body = sealed.get_mut(HEAD_BYTES..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.aead.seal_in_place_separate_tag(nonce, Aad::from(aad), body);
        sealed.extend_from_slice(tag.map_err(|_| VaultError::NotSealed)?.as_ref());
        Ok(sealed)
    }

    /// Opens sealed evidence of a class and year.
    ///
    /// # Errors
    /// [`VaultError::Erased`] when its key is gone; [`VaultError::Changed`] when the bytes or
    /// `aad` are not those that were sealed.
    pub fn open_sealed(
        &self,
        class: &Class,
        year: i16,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let changed = VaultError::Changed { year };
        let body = sealed.strip_prefix(&[VERSION]).ok_or(changed.clone())?;
        let (id, body) = body.split_first_chunk::<KEY_ID_BYTES>().ok_or(changed.clone())?;
        let (nonce, ciphertext) = body.split_first_chunk().ok_or(changed.clone())?;
        let name = KeyName::evidence(class, year);
        let key = self.existing_key(&name)?;
        // Another key of the same name: the one that sealed this was destroyed before.
        let key = key.filter(|key| key_id(key) == *id);
        let key = key.ok_or(VaultError::Erased { key: name })?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = aead_key(&key).open_in_place(nonce, Aad::from(aad), &mut plain);
        let length = opened.map_err(|_| changed)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The pseudonym of a person in records of a year.
    ///
    /// # Errors
    /// When the year's key cannot be read or made.
    pub fn pseudonym(&self, year: i16, identifier: &str) -> Result<Pseudonym, VaultError> {
        let key = self.key(KeyName::pseudonym(year))?;
        Ok(Pseudonym::of(identifier, &key.hmac))
    }

    /// The pseudonyms of a person in every year whose key is kept, ascending: what to search for.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn pseudonyms(&self, identifier: &str) -> Result<Vec<(i16, Pseudonym)>, VaultError> {
        let mut found = Vec::new();
        for name in self.names()?.iter().filter(|name| name.key_use == KeyUse::Pseudonym) {
            if let Some(key) = self.existing_key(name)? {
                found.push((name.year, pseudonym(&key, identifier)));
            }
        }
        Ok(found)
    }

    /// Destroys a key on this machine: its bytes are overwritten and its file becomes an empty mark,
    /// which stays until [`Vault::forget`]. On disks that move data, and in backups, the file
    /// system's own means have to follow.
    ///
    /// # Errors
    /// When the file cannot be changed. A key that is already gone is no error.
    pub fn destroy(&self, name: &KeyName) -> Result<(), VaultError> {
        let mut keys = self.keys();
        keys.remove(name);
        let path = self.path(name);
        let destroyed = || {
            let file = self.disk.open(&path, Open::Existing)?;
            file.write_at(&DESTROYED, 0)?;
            file.sync_all()?;
            self.disk.rename(&path, &path.with_extension(GONE))?;
            // Emptied only under its durable new name: an empty key file would keep the hub from starting.
            sync_parent(&*self.disk, &path)?;
            file.set_len(0)?;
            file.sync_all()
        };
        match destroyed() {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(key_file(&path, &cause)),
            _ => Ok(()),
        }
    }

    /// Keys that were destroyed and whose end has not been recorded yet.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn destroyed(&self) -> Result<Vec<KeyName>, VaultError> {
        self.list(GONE)
    }

    /// Removes the mark of a destroyed key, once its end is recorded.
    ///
    /// # Errors
    /// When the file cannot be removed. A mark that is not there is no error.
    pub fn forget(&self, name: &KeyName) -> Result<(), VaultError> {
        let mark = self.path(name).with_extension(GONE);
        match self.disk.remove_file(&mark).and_then(|()| sync_parent(&*self.disk, &mark)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(key_file(&mark, &cause)),
            _ => Ok(()),
        }
    }

    /// The keys that are kept, by use, class and year. One whose file was removed is not used any more from now on.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<KeyName>, VaultError> {
        let mut keys = self.keys();
        let names = self.list("key")?;
        keys.retain(|name, _| names.contains(name));
        Ok(names)
    }

    /// The key; made when it is missing.
    fn key(&self, name: KeyName) -> Result<Arc<Prepared>, VaultError> {
        let mut keys = self.keys();
        if let Some(key) = keys.get(&name) {
            return Ok(key.clone());
        }
        let path = self.path(&name);
        let key = match read_key(&path)? {
            Some(key) => key,
            None => self.make_key(&path)?,
        };
        let prepared = Prepared::of(&key);
        keys.insert(name, prepared.clone());
        Ok(prepared)
    }

    /// The key from its file, never from memory: a file that was removed erases at once.
    fn existing_key(&self, name: &KeyName) -> Result<Option<Key>, VaultError> {
        let mut keys = self.keys();
        let key = read_key(&self.path(name))?;
        if key.is_none() {
            keys.remove(name);
        }
        Ok(key)
    }

    /// Makes a key that is durable before anything is sealed with it.
    fn make_key(&self, path: &Path) -> Result<Key, VaultError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.random.fill(&mut *key).map_err(|_| VaultError::NotSealed)?;
        replace(&*self.disk, path, &*key, Last::Secret).map_err(|cause| key_file(path, &cause))?;
        tracing::info!(key = %path.display(), "made the year's key; keep its backup apart from the log's");
        Ok(key)
    }

    /// The keys that have a file with this extension, ascending.
    fn list(&self, extension: &str) -> Result<Vec<KeyName>, VaultError> {
        let refused = |cause: io::Error| key_file(&self.dir, &cause);
        let mut names = Vec::new();
        for file in fs::read_dir(&self.dir).map_err(refused)? {
            let path = file.map_err(refused)?.path();
            if path.extension().is_some_and(|found| found == extension) {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                names.extend(stem.and_then(|stem| stem.parse::<KeyName>().ok()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_key(path: &Path) -> Result<Option<Key>, VaultError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(key_file(path, &cause)),
    };
    let refused = |cause: &str, repair| VaultError::KeyFile {
        path: path.display().to_string(),
        cause: cause.to_owned(),
        repair,
    };
    let file = File::open(path).and_then(|file| file.metadata());
    let mode = file.map_err(|cause| key_file(path, &cause))?.permissions().mode();
    if mode & 0o077 != 0 {
        let repair = "run `chmod 600` on it, and find out who could read it";
        return Err(refused("others than its owner have rights on it", repair));
    }
    let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| {
        refused("it does not hold 32 bytes", "restore it from the backup of the keys")
    })?;
    Ok((key != DESTROYED).then(|| Zeroizing::new(key)))
}

fn key_file(path: &Path, cause: &io::Error) -> VaultError {
    VaultError::KeyFile {
        path: path.display().to_string(),
        cause: cause.to_string(),
        repair: "check its rights and the disk",
    }
}

fn aead_key(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    #[allow(clippy::expect_used, reason = "AES-256 takes any 32 bytes")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"))
}

/// Tells keys of a year apart without telling anything about them.
fn key_id(key: &[u8; KEY_BYTES]) -> [u8; KEY_ID_BYTES] {
    let [a, b, c, d, ..] = Sha256::of_parts(&[b"koprik evidence key id", key]).0;
    [a, b, c, d]
}

fn pseudonym(key: &[u8; KEY_BYTES], identifier: &str) -> Pseudonym {
    Pseudonym::of(identifier, &hmac::Key::new(hmac::HMAC_SHA256, key))
}

#[cfg(test)]
mod tests;
