//! The configuration file of a security server: one TOML, unknown keys refused, paths relative to the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hub_core::policy::Grant;
use hub_core::target::{DIGITS_MAX_COUNT, is_service_code};
use schemas::identifier::{MemberId, ServerId, ServiceId, SubsystemId};
use schemas::limits::PEER_TIMEOUT;
use serde::{Deserialize, Serialize};

use crate::retention::Retention;

/// A security server's configuration.
///
/// `clients`, `services` and `grants` take effect within one refresh interval after the file changes;
/// the rest needs a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// This security server, as registered in the global configuration.
    pub server: ServerId,
    /// Where the hub keeps its log, spool and last good global configuration.
    pub data_dir: PathBuf,
    /// Where the global configuration comes from.
    pub configuration: ConfigurationSource,
    /// The door for the agency's own systems.
    pub edge: EdgeListener,
    /// The door for other security servers.
    pub peer: PeerListener,
    /// The door for the operator; loopback only.
    pub admin: AdminListener,
    /// The message log.
    pub log: LogSection,
    /// Witnessing others' logs; left out when this hub is no witness.
    #[serde(default)]
    pub witness: Option<WitnessSection>,
    /// Members that sign through this hub.
    #[serde(default)]
    pub members: Vec<MemberKeys>,
    /// Subsystems that call through this hub.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// Services that this hub publishes.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Who may call the services, for what.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Where the global configuration comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationSource {
    /// The anchor file.
    pub anchor: PathBuf,
    /// Seconds between two looks at the central server; a revocation takes effect within this time.
    #[serde(default = "default_refresh_seconds")]
    pub refresh_seconds: u64,
}

fn default_refresh_seconds() -> u64 {
    30
}

/// The door for the agency's own systems.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeListener {
    /// TLS listener.
    pub listen: SocketAddr,
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Key, PKCS#8 PEM, mode 0600.
    pub key: PathBuf,
    /// Listener without TLS, loopback addresses only; for clients with `plain_loopback`.
    pub plain_listen: Option<SocketAddr>,
}

/// The door for other security servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerListener {
    /// TLS 1.3 listener.
    pub listen: SocketAddr,
    /// Authentication certificate, PEM; registered in the global configuration.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 PEM, mode 0600.
    pub key: PathBuf,
}

/// The door for the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminListener {
    /// Loopback address; requests carry the token of `admin.token` in the data directory.
    pub listen: SocketAddr,
}

/// The message log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// Ed25519 key that signs checkpoints, PKCS#8 PEM, mode 0600.
    pub key: PathBuf,
    /// Bodies up to this size are kept, sealed, in the evidence; 0 keeps none.
    #[serde(default)]
    pub keep_bodies_bytes: usize,
    /// Seconds between two looks whether the newest checkpoint is to be shown to the witnesses.
    #[serde(default = "default_witness_seconds")]
    pub witness_seconds: u64,
    /// Seconds between two timestamps on checkpoints, where the global configuration lists
    /// timestamp authorities and records have come.
    #[serde(default = "default_timestamp_seconds")]
    pub timestamp_seconds: u64,
    /// Whole calendar years, after the year of the record, that evidence is kept; its keys are
    /// destroyed then. Left out: until `koprik log erase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_evidence_years: Option<u16>,
    /// The same for the keys that link people to their records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_pseudonym_years: Option<u16>,
    /// Services whose evidence is kept for another time than the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<RetentionClass>,
}

fn default_witness_seconds() -> u64 {
    10
}

/// Witnessing others' logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSection {
    /// Ed25519 key that cosigns, PKCS#8 PEM, mode 0600; not the log's.
    pub key: PathBuf,
}

fn default_timestamp_seconds() -> u64 {
    60
}

/// A retention class: services whose evidence is sealed and erased apart from the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClass {
    /// Its code: a lower-case letter, then lower-case letters and digits.
    pub code: String,
    /// The services, of this hub or of others that this hub's clients call.
    pub services: Vec<ServiceId>,
    /// As `retention_evidence_years` of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_evidence_years: Option<u16>,
}

/// A member's signing key and certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberKeys {
    /// The member.
    pub id: MemberId,
    /// Signing certificate, PEM; registered in the global configuration.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 PEM, mode 0600.
    pub key: PathBuf,
}

/// A subsystem that calls through this hub, and how it shows who it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The subsystem.
    pub subsystem: SubsystemId,
    /// Certificates of its systems, PEM files.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
    /// Whether it may call without TLS on `plain_listen`.
    #[serde(default)]
    pub plain_loopback: bool,
}

/// A service that this hub publishes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The service.
    pub id: ServiceId,
    /// Name for people, shown by `listMethods`.
    #[serde(default)]
    pub title: String,
    /// Base URL of the source, `http://host:port[/base]`.
    pub url: String,
    /// Contract: an OpenAPI 3.1 document; without it nothing is validated.
    pub contract: Option<PathBuf>,
    /// Seconds that the source has to answer, 1 to 60: the caller's hub waits no longer.
    pub timeout_seconds: Option<u64>,
    /// Set to switch the service off; the text goes to callers.
    pub disabled: Option<String>,
}

/// Why a configuration cannot be used. Each text names the file and the repair.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file is not of the expected form.
    #[error("{path}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// A setting is unsafe or contradicts another.
    #[error("{path}: {reason}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// What is wrong and what repairs it.
        reason: String,
    },
}

/// Reads a text file of the configuration.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Read { path: path.to_owned(), reason: error.to_string() })
}

impl HubConfig {
    /// Reads a configuration file; relative paths in it count from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, the place and the repair.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(&read_text(path)?).map_err(|error| {
            ConfigError::Form { path: path.to_owned(), reason: error.to_string() }
        })?;
        config.resolve(path.parent().unwrap_or(Path::new(".")));
        config.check().map_err(|reason| ConfigError::Setting { path: path.to_owned(), reason })?;
        Ok(config)
    }

    fn resolve(&mut self, base: &Path) {
        let Self {
            data_dir,
            configuration,
            edge,
            peer,
            log,
            witness,
            members,
            clients,
            services,
            ..
        } = self;
        let fixed = [
            data_dir,
            &mut configuration.anchor,
            &mut edge.certificate,
            &mut edge.key,
            &mut peer.certificate,
            &mut peer.key,
            &mut log.key,
        ];
        let members = members.iter_mut().flat_map(|m| [&mut m.certificate, &mut m.key]);
        let clients = clients.iter_mut().flat_map(|client| client.certificates.iter_mut());
        let services = services.iter_mut().filter_map(|service| service.contract.as_mut());
        let witness = witness.iter_mut().map(|witness| &mut witness.key);
        let fixed = fixed.into_iter().chain(witness);
        for path in fixed.chain(members).chain(clients).chain(services) {
            *path = base.join(&*path);
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.edge.plain_listen.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(
                "edge.plain_listen must be a loopback address: without TLS a caller cannot \
                        be told from another; use edge.listen for other machines"
                    .into(),
            );
        }
        if !self.admin.listen.ip().is_loopback() {
            return Err("admin.listen must be a loopback address".into());
        }
        if self.edge.plain_listen.is_none()
            && let Some(client) = self.clients.iter().find(|client| client.plain_loopback)
        {
            let subsystem = &client.subsystem;
            return Err(format!(
                "client {subsystem} has plain_loopback, but edge.plain_listen is not set"
            ));
        }
        if self.configuration.refresh_seconds == 0 {
            return Err("configuration.refresh_seconds must be at least 1".into());
        }
        if self.log.witness_seconds == 0 {
            return Err("log.witness_seconds must be at least 1".into());
        }
        if self.log.timestamp_seconds == 0 {
            return Err("log.timestamp_seconds must be at least 1".into());
        }
        Retention::new(&self.log)?;
        for service in &self.services {
            let scheme_ok = service.url.parse::<http::Uri>().is_ok_and(|url| {
                url.scheme_str() == Some("http") && url.host().is_some() && url.query().is_none()
            });
            if !scheme_ok {
                return Err(format!("service {}: url must be http://host:port[/base]", service.id));
            }
            if !is_service_code(&service.id.code()) {
                return Err(format!(
                    "service {}: its code must not have more than {DIGITS_MAX_COUNT} digits in a row: \
                     calls to it would look like calls that name a person there",
                    service.id
                ));
            }
            let longest = PEER_TIMEOUT.as_secs();
            if service.timeout_seconds.is_some_and(|seconds| seconds == 0 || seconds > longest) {
                return Err(format!(
                    "service {}: timeout_seconds must be 1 to {longest}: the caller's hub waits no longer",
                    service.id
                ));
            }
        }
        for grant in &self.grants {
            if !self.services.iter().any(|service| service.id == grant.service) {
                return Err(format!(
                    "grant {}: this hub has no service {}",
                    grant.id, grant.service
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        server = "UZ/GOV/TAX/hub-1"
        data_dir = "data"
        [configuration]
        anchor = "anchor.json"
        [edge]
        listen = "127.0.0.1:0"
        certificate = "edge.pem"
        key = "edge.key"
        [peer]
        listen = "127.0.0.1:0"
        certificate = "peer.pem"
        key = "peer.key"
        [admin]
        listen = "127.0.0.1:0"
        [log]
        key = "log.key"
    "#;

    fn load(text: &str) -> Result<HubConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.toml");
        std::fs::write(&path, text).unwrap();
        HubConfig::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_count_from_the_file() {
        let config = load(MINIMAL).unwrap();
        assert!(config.peer.key.is_absolute() && config.peer.key.ends_with("peer.key"));
        assert_eq!(config.configuration.refresh_seconds, 30);
        assert_eq!(config.log.timestamp_seconds, 60);
    }

    #[test]
    fn unknown_keys_and_unsafe_settings_are_refused_with_their_name() {
        let unknown = MINIMAL.replace("data_dir", "data_folder");
        assert!(load(&unknown).unwrap_err().contains("data_folder"));
        let open = MINIMAL.replace("[peer]", "plain_listen = \"0.0.0.0:8080\"\n[peer]");
        assert!(load(&open).unwrap_err().contains("edge.plain_listen"));
        let admin = MINIMAL.replace(
            "[admin]\n        listen = \"127.0.0.1:0\"",
            "[admin]\n listen = \"0.0.0.0:1\"",
        );
        assert!(load(&admin).unwrap_err().contains("admin.listen"));
        let never = format!("{MINIMAL}\ntimestamp_seconds = 0");
        assert!(load(&never).unwrap_err().contains("log.timestamp_seconds"));
        let service = |seconds: u64| {
            load(&format!(
                "{MINIMAL}\n[[services]]\nid = \"UZ/GOV/TAX/tax/tax\"\nurl = \"http://127.0.0.1:1\"\ntimeout_seconds = {seconds}"
            ))
        };
        assert!(service(0).unwrap_err().contains("timeout_seconds must be 1 to 60"));
        assert!(service(61).unwrap_err().contains("timeout_seconds must be 1 to 60"));
        assert!(service(60).is_ok());
        let number = format!(
            "{MINIMAL}\n[[services]]\nid = \"UZ/GOV/TAX/tax/form-20260301\"\nurl = \"http://127.0.0.1:1\""
        );
        assert!(load(&number).unwrap_err().contains("5 digits in a row"));
        assert!(load(&number.replace("20260301", "2026-03")).is_ok());
        let grant = format!(
            "{MINIMAL}\n[[grants]]\nid = \"g\"\nclient = \"UZ/A/B/C\"\nservice = \"UZ/GOV/TAX/tax/tax\"\npurposes = []"
        );
        assert!(load(&grant).unwrap_err().contains("this hub has no service"));
    }
}
