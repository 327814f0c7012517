//! The chain of versions on disk: `versions/0000000001.note` and so on, without gaps.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hub_core::configuration::{Accepted, Stored, Trusted};
use schemas::clock::UnixMillis;
use schemas::configuration::{Anchor, ConfigurationKeys, GlobalConfiguration};

use crate::CentralError;

/// Where the signed versions lie.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    dir: PathBuf,
}

impl Versions {
    /// Opens the folder, making it when missing, and removes what a crash left half written.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, CentralError> {
        let made = fs::create_dir_all(&dir).and_then(|()| sync_parent(&dir));
        made.map_err(|cause| CentralError::io("making", &dir, cause))?;
        Ok(Self { dir })
    }

    fn path(&self, version: u64) -> PathBuf {
        self.dir.join(format!("{version:010}.note"))
    }

    /// The number of the newest version, 0 when there is none.
    pub(crate) fn newest(&self) -> Result<u64, CentralError> {
        let failed = |cause| CentralError::io("listing", &self.dir, cause);
        let mut newest = 0;
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".note"));
            newest = newest.max(number.and_then(|digits| digits.parse().ok()).unwrap_or(0));
        }
        Ok(newest)
    }

    /// Reads a version; `None` when there is none with this number.
    pub(crate) fn read(&self, version: u64) -> Result<Option<String>, CentralError> {
        let path = self.path(version);
        match fs::read_to_string(&path) {
            Ok(note) => Ok(Some(note)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(CentralError::io("reading", &path, cause)),
        }
    }

    /// Writes a version; it is durable when this returns.
    pub(crate) async fn write(self, version: u64, note: String) -> Result<(), CentralError> {
        let path = self.path(version);
        let written = tokio::task::spawn_blocking(move || replace(&path, note.as_bytes())).await;
        written.unwrap_or(Err(CentralError::Stopping))
    }

    /// The newest version, verified with the keys that the version before it names. `None` when
    /// nothing has been published yet.
    pub(crate) fn load(
        &self,
        instance: &str,
        now: UnixMillis,
    ) -> Result<Option<Accepted>, CentralError> {
        let newest = self.newest()?;
        if newest == 0 {
            return Ok(None);
        }
        let note = self.existing(newest)?;
        let signed_by = match newest {
            1 => keys_in(&note)?,
            later => keys_in(&self.existing(later - 1)?)?,
        };
        let stored = Stored { instance: instance.to_owned(), keys: signed_by, note };
        let accepted = Trusted::restore(&stored, now);
        accepted.map(Some).map_err(|cause| CentralError::Chain { version: newest, cause })
    }

    fn existing(&self, version: u64) -> Result<String, CentralError> {
        let missing = || {
            let cause = io::Error::from(io::ErrorKind::NotFound);
            CentralError::io("reading", &self.path(version), cause)
        };
        self.read(version)?.ok_or_else(missing)
    }
}

/// The trust that the first version is checked against.
pub(crate) fn first_trust(anchor: &Anchor) -> Result<Trusted, CentralError> {
    Trusted::from_anchor(anchor).map_err(|refused| CentralError::Config(refused.to_string()))
}

/// The keys that a stored version names for the next one.
fn keys_in(note: &str) -> Result<ConfigurationKeys, CentralError> {
    let line = note.split('\n').next().unwrap_or_default();
    let document: Result<GlobalConfiguration, _> = serde_json::from_str(line);
    let document = document.map_err(|cause| CentralError::ContentText(cause.to_string()))?;
    Ok(document.keys)
}

/// Replaces a file so that after a crash it is the old or the new one, and the new one once this
/// has returned: file synced, renamed, folder synced.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CentralError> {
    let failed = |cause| CentralError::io("writing", path, cause);
    let temporary = path.with_added_extension("tmp");
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    sync_parent(path).map_err(failed)
}

/// Syncs the folder that a file or folder stands in, so that its name is durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
