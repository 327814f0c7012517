//! The central server's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::CentralError;

/// The central server's TOML file; unknown keys are refused.
///
/// ```
/// let config = hub_central::CentralConfig::from_toml(r#"
///     instance = "UZ"
///     listen = "127.0.0.1:7000"
///     admin_listen = "127.0.0.1:7001"
///     data_dir = "/var/lib/koprik/central"
///     content_file = "/etc/koprik/content.toml"
///     log_key_file = "/etc/koprik/keys/central-log.pem"
///     [keys]
///     threshold = 1
///     signing = [{ name = "UZ/configuration/1", file = "/etc/koprik/keys/configuration-1.pem" }]
/// "#)?;
/// assert_eq!(config.validity_hours, 24);
/// # Ok::<(), hub_central::CentralError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentralConfig {
    /// The instance code, such as `UZ`.
    pub instance: String,
    /// Where hubs fetch configurations, plain HTTP: what is served is signed and public.
    pub listen: SocketAddr,
    /// Where the administrator of the exchange publishes; a loopback address.
    pub admin_listen: SocketAddr,
    /// Addresses that the anchor names, `http://host:port`; `listen` when empty.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Versions and the transparency log.
    pub data_dir: PathBuf,
    /// The content, `.toml` or `.json`.
    pub content_file: PathBuf,
    /// The configuration keys.
    pub keys: KeysConfig,
    /// The log key, Ed25519 PKCS#8 PEM, 0600.
    pub log_key_file: PathBuf,
    /// The key that cosigns the logs of security servers, Ed25519 PKCS#8 PEM, 0600; not the log key. Left out when
    /// the central server is no witness.
    #[serde(default)]
    pub witness_key_file: Option<PathBuf>,
    /// The log's origin; `koprik/{instance}/central` when left out.
    #[serde(default)]
    pub log_origin: Option<String>,
    /// How long a version is valid, hours.
    #[serde(default = "validity_hours")]
    pub validity_hours: u32,
    /// How often the content file is looked at, milliseconds.
    #[serde(default = "content_poll_ms")]
    pub content_poll_ms: u64,
}

/// The configuration keys and how many of them hubs ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// How many of `signing` must have signed.
    pub threshold: usize,
    /// The keys in force: they sign, and each version names them for the next one.
    pub signing: Vec<KeyFile>,
    /// Keys on their way out: they still sign, for hubs and anchors that do not know the new ones
    /// yet.
    #[serde(default)]
    pub retiring: Vec<KeyFile>,
}

/// A configuration key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The key name of its signature lines, without spaces and plus signs.
    pub name: String,
    /// Ed25519 PKCS#8 PEM, 0600.
    pub file: PathBuf,
}

fn validity_hours() -> u32 {
    24
}

fn content_poll_ms() -> u64 {
    1000
}

impl CentralConfig {
    /// Reads the text of a configuration file and checks it.
    ///
    /// # Errors
    /// [`CentralError::Config`].
    pub fn from_toml(text: &str) -> Result<Self, CentralError> {
        let config: Self =
            toml::from_str(text).map_err(|refused| CentralError::Config(refused.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Reads and checks a configuration file; relative paths in it count from its folder.
    ///
    /// # Errors
    /// [`CentralError::Config`], [`CentralError::Io`].
    pub fn load(path: &Path) -> Result<Self, CentralError> {
        let text = std::fs::read_to_string(path).map_err(|cause| CentralError::Io {
            action: "reading",
            place: path.display().to_string(),
            cause,
        })?;
        let mut config = Self::from_toml(&text)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let keys = config.keys.signing.iter_mut().chain(&mut config.keys.retiring);
        let files = [&mut config.data_dir, &mut config.content_file, &mut config.log_key_file];
        let files = files.into_iter().chain(&mut config.witness_key_file);
        for file in files.chain(keys.map(|key| &mut key.file)) {
            *file = base.join(&*file);
        }
        Ok(config)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`CentralError::Config`].
    pub fn check(&self) -> Result<(), CentralError> {
        let refuse = |cause: &str| Err(CentralError::Config(cause.to_owned()));
        if !self.admin_listen.ip().is_loopback() {
            return refuse(
                "admin_listen is not a loopback address; use 127.0.0.1, as who reaches it decides \
                 who takes part",
            );
        }
        if self.validity_hours == 0 {
            return refuse("validity_hours is 0; 24 is usual");
        }
        if self.content_poll_ms == 0 {
            return refuse("content_poll_ms is 0; 1000 is usual");
        }
        let extension = self.content_file.extension().and_then(|found| found.to_str());
        if !matches!(extension, Some("toml" | "json")) {
            return refuse("content_file ends neither in .toml nor in .json; rename it");
        }
        Ok(())
    }

    /// How long a version is valid.
    #[must_use]
    pub fn validity(&self) -> Duration {
        Duration::from_secs(u64::from(self.validity_hours) * 60 * 60)
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> String {
        let usual = || format!("koprik/{}/central", self.instance);
        self.log_origin.clone().unwrap_or_else(usual)
    }
}
