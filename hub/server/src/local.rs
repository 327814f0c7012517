//! What this hub itself is configured for: its members' keys, its clients, its services and grants.
//! Built whole from the configuration file and swapped whole, so that an exchange sees one state.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_core::contract::{self, Contract};
use hub_core::policy::Policy;
use pki::signer::SigningKey;
use pki::trust::Certificate;
use schemas::digest::Sha256;
use schemas::identifier::{MemberId, ServiceId, SubsystemId};
use schemas::limits::SOURCE_TIMEOUT;
use serde_json::Value;

use crate::config::{self, ConfigError, HubConfig};
use crate::signing::MemberSigner;

/// The services, clients and grants in force at this hub.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) members: HashMap<MemberId, Arc<MemberSigner>>,
    pub(crate) clients: HashMap<SubsystemId, LocalClient>,
    pub(crate) services: HashMap<ServiceId, Arc<LocalService>>,
    pub(crate) policy: Policy,
}

/// How a subsystem's own systems show who they are.
#[derive(Debug)]
pub(crate) struct LocalClient {
    pub(crate) fingerprints: Vec<Sha256>,
    pub(crate) plain_loopback: bool,
}

/// A service that this hub publishes.
#[derive(Debug)]
pub(crate) struct LocalService {
    pub(crate) id: ServiceId,
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) contract: Option<Contract>,
    pub(crate) timeout: Duration,
    pub(crate) disabled: Option<String>,
}

impl Local {
    /// Reads keys, certificates and contracts that the configuration names.
    pub(crate) fn load(config: &HubConfig) -> Result<Self, ConfigError> {
        let mut members = HashMap::new();
        for member in &config.members {
            let certificate = certificate(&member.certificate)?;
            let key = SigningKey::load(&member.key).map_err(|e| setting(&member.key, e))?;
            if certificate.public_key().ok() != Some(key.public_key()) {
                return Err(setting(&member.key, "the key is not that of the signing certificate"));
            }
            let signer = MemberSigner::new(key, certificate.fingerprint());
            members.insert(member.id.clone(), Arc::new(signer));
        }
        let mut clients = HashMap::new();
        for client in &config.clients {
            if !members.contains_key(&client.subsystem.member()) {
                let subsystem = &client.subsystem;
                let text = format!("client {subsystem}: add a [[members]] with its member's keys");
                return Err(setting(&config.data_dir, text));
            }
            let read = |path: &std::path::PathBuf| Ok(certificate(path)?.fingerprint());
            let fingerprints = client.certificates.iter().map(read).collect::<Result<_, _>>()?;
            let plain_loopback = client.plain_loopback;
            clients.insert(client.subsystem.clone(), LocalClient { fingerprints, plain_loopback });
        }
        let mut services = HashMap::new();
        for service in &config.services {
            let contract = service.contract.as_deref().map(load_contract).transpose()?;
            let local = LocalService {
                id: service.id.clone(),
                title: service.title.clone(),
                url: service.url.trim_end_matches('/').to_owned(),
                contract,
                timeout: service.timeout_seconds.map_or(SOURCE_TIMEOUT, Duration::from_secs),
                disabled: service.disabled.clone(),
            };
            services.insert(service.id.clone(), Arc::new(local));
        }
        let policy = Policy::new(&config.grants).map_err(|e| setting(&config.data_dir, e))?;
        Ok(Self { members, clients, services, policy })
    }

    /// Whether this hub publishes anything of the subsystem.
    pub(crate) fn provides(&self, subsystem: &SubsystemId) -> bool {
        self.services.keys().any(|service| service.subsystem() == *subsystem)
            || self.clients.contains_key(subsystem)
    }
}

fn setting(path: &Path, reason: impl std::fmt::Display) -> ConfigError {
    ConfigError::Setting { path: path.to_owned(), reason: reason.to_string() }
}

/// Reads a PEM certificate.
pub(crate) fn certificate(path: &Path) -> Result<Certificate, ConfigError> {
    Certificate::from_pem(&config::read_text(path)?).map_err(|error| setting(path, error))
}

fn load_contract(path: &Path) -> Result<Contract, ConfigError> {
    let mut document: Value =
        serde_json::from_str(&config::read_text(path)?).map_err(|e| setting(path, e))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let read = |reference: &str| {
        let text = config::read_text(&folder.join(reference)).ok()?;
        serde_json::from_str(&text).ok()
    };
    contract::bundle(&mut document, &read).map_err(|e| setting(path, e))?;
    Contract::compile(&document).map_err(|e| setting(path, e))
}
