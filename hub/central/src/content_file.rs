//! The content file: what the administrator of the exchange wants to be published.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use hub_core::configuration::{check_certificates, check_content};
use schemas::configuration::Content;
use schemas::digest::Sha256;
use schemas::limits::CONFIGURATION_MAX_BYTES;

use crate::{CentralError, chain};

/// The file, and the digest of what was read from it last.
#[derive(Debug)]
pub(crate) struct ContentFile {
    path: PathBuf,
    instance: String,
    seen: Option<Sha256>,
}

impl ContentFile {
    pub(crate) fn new(path: PathBuf, instance: String) -> Self {
        Self { path, instance, seen: None }
    }

    /// The content if the file has changed since it was last taken. A file that does not exist is
    /// no content: the last good version stays.
    pub(crate) fn changed(&mut self) -> Result<Option<Content>, CentralError> {
        let bytes = match self.read() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                self.seen = None;
                return Ok(None);
            }
            read => read.map_err(|cause| CentralError::io("reading", &self.path, cause))?,
        };
        let digest = Sha256::of(&bytes);
        if self.seen == Some(digest) {
            return Ok(None);
        }
        let content = self.parse(&bytes)?;
        self.check(&content)?;
        self.seen = Some(digest);
        Ok(Some(content))
    }

    /// Writes a content into the file; it is published when the file is looked at next.
    pub(crate) fn replace(&self, content: &Content) -> Result<(), CentralError> {
        if self.is_toml() {
            return Err(CentralError::ContentIsToml(self.path.display().to_string()));
        }
        self.check(content)?;
        let text = serde_json::to_vec_pretty(content);
        let text = text.map_err(|cause| CentralError::ContentText(cause.to_string()))?;
        chain::replace(&self.path, &text)
    }

    fn check(&self, content: &Content) -> Result<(), CentralError> {
        check_content(&self.instance, content)?;
        Ok(check_certificates(content)?)
    }

    fn is_toml(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "toml")
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(CONFIGURATION_MAX_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Content, CentralError> {
        let refused = |cause: String| CentralError::ContentText(cause);
        if !self.is_toml() {
            return serde_json::from_slice(bytes).map_err(|cause| refused(cause.to_string()));
        }
        let text = str::from_utf8(bytes).map_err(|cause| refused(cause.to_string()))?;
        toml::from_str(text).map_err(|cause| refused(cause.to_string()))
    }
}
