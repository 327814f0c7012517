//! The configuration in force with its indexes, built once per version and then only read.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use pki::timestamp::TrustedAuthority;
use pki::trust::{Certificate, CertificateError, PublicKey};
use schemas::clock::UnixMillis;
use schemas::configuration::{
    GlobalConfiguration, Member, Purpose, SecurityServer, SigningCertificate, Subsystem,
};
use schemas::digest::Sha256;
use schemas::identifier::{MemberId, ServerId, SubsystemId};
use schemas::tlog::{NoteVerifier, WitnessPolicy};

use super::content::{authorities, signing_certificate, timestamp_authorities};
use super::witnesses::{self, ListedWitness};

/// A member's key for signing messages. Only a configuration in force makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberKey {
    /// Whose key it is.
    pub member: MemberId,
    /// The signing certificate, issued by a listed authority.
    pub certificate: Certificate,
    /// The key.
    pub public_key: PublicKey,
    /// When it was revoked, if it was.
    pub revoked: Option<UnixMillis>,
}

/// Why a member's key does not count at a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyNotUsable {
    /// The certificate was revoked.
    #[error(
        "signing certificate of {member} was revoked at {at}; the member signs with another \
         certificate"
    )]
    Revoked {
        /// Whose certificate.
        member: MemberId,
        /// Since when.
        at: UnixMillis,
    },
    /// The certificate is not within its validity.
    #[error(transparent)]
    Validity(CertificateError),
}

impl MemberKey {
    /// Checks that a signature made at `at` counts: not revoked by then, certificate within its
    /// validity.
    ///
    /// # Errors
    /// [`KeyNotUsable`].
    pub fn usable_at(&self, at: UnixMillis) -> Result<(), KeyNotUsable> {
        if let Some(revoked) = self.revoked.filter(|revoked| *revoked <= at) {
            return Err(KeyNotUsable::Revoked { member: self.member.clone(), at: revoked });
        }
        self.certificate.valid_at(at).map_err(KeyNotUsable::Validity)
    }
}

/// One accepted version with its indexes. Suspended members and servers are found like others: the
/// caller looks at `suspended`, so that a refusal can say so.
#[derive(Clone)]
pub struct ConfigurationInForce(Arc<Indexed>);

struct Indexed {
    document: GlobalConfiguration,
    note: String,
    hash: Sha256,
    servers: HashMap<ServerId, Arc<SecurityServer>>,
    by_certificate: HashMap<Sha256, Arc<SecurityServer>>,
    by_client: HashMap<SubsystemId, Vec<Arc<SecurityServer>>>,
    /// Positions in `document.content.members`.
    members: HashMap<MemberId, usize>,
    signing_keys: HashMap<Sha256, MemberKey>,
    /// Positions in `document.content.purposes`.
    purposes: HashMap<String, usize>,
    groups: HashMap<String, HashSet<SubsystemId>>,
    log_keys: HashMap<String, NoteVerifier>,
    witnesses: Vec<ListedWitness>,
    timestamp_authorities: Vec<TrustedAuthority>,
    warnings: Vec<String>,
}

impl ConfigurationInForce {
    pub(super) fn new(
        document: GlobalConfiguration,
        note: String,
        hash: Sha256,
        now: UnixMillis,
    ) -> Self {
        let mut warnings = Vec::new();
        let signing_keys = signing_keys(&document, now, &mut warnings);
        let content = &document.content;
        let timestamp_authorities = timestamp_authorities(content)
            .filter_map(|listed| listed.map_err(|fault| warnings.push(fault)).ok())
            .collect();
        let servers: Vec<_> = content.servers.iter().cloned().map(Arc::new).collect();
        let mut by_certificate = HashMap::new();
        let mut by_client: HashMap<_, Vec<_>> = HashMap::new();
        for server in &servers {
            for certificate in &server.authentication_certificates {
                by_certificate.insert(*certificate, server.clone());
            }
            for client in &server.clients {
                by_client.entry(client.clone()).or_default().push(server.clone());
            }
        }
        let indexed = Indexed {
            hash,
            members: positions(content.members.iter().map(|member| member.id.clone())),
            purposes: positions(content.purposes.iter().map(|purpose| purpose.code.clone())),
            groups: groups(&document),
            log_keys: log_keys(&document),
            witnesses: witnesses::listed(content),
            servers: servers.into_iter().map(|server| (server.id.clone(), server)).collect(),
            by_certificate,
            by_client,
            signing_keys,
            timestamp_authorities,
            warnings,
            note,
            document,
        };
        Self(Arc::new(indexed))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &GlobalConfiguration {
        &self.0.document
    }

    /// The signed note, byte for byte as received.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.0.note
    }

    /// SHA-256 of the document.
    #[must_use]
    pub fn hash(&self) -> Sha256 {
        self.0.hash
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.document.version
    }

    /// The security server that an authentication certificate belongs to, by SHA-256 of its DER.
    #[must_use]
    pub fn server_by_certificate(&self, fingerprint: &Sha256) -> Option<&Arc<SecurityServer>> {
        self.0.by_certificate.get(fingerprint)
    }

    /// The security servers that a subsystem sends and receives through; empty when there is none.
    #[must_use]
    pub fn servers_of(&self, subsystem: &SubsystemId) -> &[Arc<SecurityServer>] {
        self.0.by_client.get(subsystem).map_or(&[], Vec::as_slice)
    }

    /// A security server.
    #[must_use]
    pub fn server(&self, id: &ServerId) -> Option<&Arc<SecurityServer>> {
        self.0.servers.get(id)
    }

    /// A member.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.0.members.get(id).and_then(|at| self.0.document.content.members.get(*at))
    }

    /// A subsystem.
    #[must_use]
    pub fn subsystem(&self, id: &SubsystemId) -> Option<&Subsystem> {
        self.member(&id.member())?.subsystems.iter().find(|subsystem| subsystem.id == *id)
    }

    /// The signing key with this `keyid` (SHA-256 of the certificate). Ask [`MemberKey::usable_at`]
    /// before a signature counts.
    #[must_use]
    pub fn signing_key(&self, keyid: &Sha256) -> Option<&MemberKey> {
        self.0.signing_keys.get(keyid)
    }

    /// A purpose of the catalogue.
    #[must_use]
    pub fn purpose(&self, code: &str) -> Option<&Purpose> {
        self.0.purposes.get(code).and_then(|at| self.0.document.content.purposes.get(*at))
    }

    /// Whether a subsystem is in a group; false when there is no such group.
    #[must_use]
    pub fn in_group(&self, code: &str, subsystem: &SubsystemId) -> bool {
        self.0.groups.get(code).is_some_and(|members| members.contains(subsystem))
    }

    /// The key of the message log with this origin: a security server's or the central server's.
    #[must_use]
    pub fn log_key(&self, origin: &str) -> Option<&NoteVerifier> {
        self.0.log_keys.get(origin)
    }

    /// The witnesses, in the document's order.
    #[must_use]
    pub fn witnesses(&self) -> &[ListedWitness] {
        &self.0.witnesses
    }

    /// Whose cosignatures count for the log with this origin, and how many are enough.
    #[must_use]
    pub fn witness_policy(&self, origin: &str) -> WitnessPolicy {
        let verifiers = self.0.witnesses.iter().map(|witness| &witness.verifier);
        WitnessPolicy::for_log(verifiers, self.0.document.content.witness_quorum, origin)
    }

    /// The timestamp authorities whose tokens count; where they answer stands in the document.
    #[must_use]
    pub fn timestamp_authorities(&self) -> &[TrustedAuthority] {
        &self.0.timestamp_authorities
    }

    /// Whether the validity is over: no traffic then.
    #[must_use]
    pub fn expired_at(&self, now: UnixMillis) -> bool {
        self.0.document.expires <= now
    }

    /// Certificates that were left out, each with its member, cause and repair.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }
}

impl fmt::Debug for ConfigurationInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigurationInForce(version {}, {})", self.version(), self.0.hash)
    }
}

fn positions<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    keys.enumerate().map(|(at, key)| (key, at)).collect()
}

fn groups(document: &GlobalConfiguration) -> HashMap<String, HashSet<SubsystemId>> {
    let set = |members: &[SubsystemId]| members.iter().cloned().collect();
    document.content.groups.iter().map(|group| (group.code.clone(), set(&group.members))).collect()
}

fn log_keys(document: &GlobalConfiguration) -> HashMap<String, NoteVerifier> {
    let servers = document.content.servers.iter().map(|server| &server.log_key);
    let texts = servers.chain(&document.content.central_log);
    // `check_content` has parsed every one of them.
    let verifiers = texts.filter_map(|text| text.parse::<NoteVerifier>().ok());
    verifiers.map(|verifier| (verifier.name().to_owned(), verifier)).collect()
}

/// The signing keys that were issued by a listed authority and have not expired. A certificate that
/// becomes valid later stays in, so that a renewal can be published ahead of time.
fn signing_keys(
    document: &GlobalConfiguration,
    now: UnixMillis,
    warnings: &mut Vec<String>,
) -> HashMap<Sha256, MemberKey> {
    let authorities: Vec<Certificate> = authorities(&document.content)
        .filter_map(|listed| listed.map_err(|fault| warnings.push(fault)).ok())
        .collect();
    let mut keys = HashMap::new();
    for member in &document.content.members {
        for listed in &member.signing_certificates {
            match member_key(&member.id, listed, &authorities, now) {
                Ok(key) => {
                    keys.insert(key.certificate.fingerprint(), key);
                }
                Err(refused) => warnings.push(format!("member {}: {refused}", member.id)),
            }
        }
    }
    keys
}

fn member_key(
    member: &MemberId,
    listed: &SigningCertificate,
    authorities: &[Certificate],
    now: UnixMillis,
) -> Result<MemberKey, String> {
    let (certificate, public_key) = signing_certificate(&listed.certificate, authorities)?;
    match certificate.valid_at(now) {
        Err(expired @ CertificateError::Expired { .. }) => Err(expired.to_string()),
        _ => Ok(MemberKey {
            member: member.clone(),
            certificate,
            public_key,
            revoked: listed.revoked,
        }),
    }
}
