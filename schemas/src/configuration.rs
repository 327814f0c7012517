//! The global configuration: who takes part in the exchange, with which keys, for which purposes.
//!
//! One canonical JSON document per version, on one line, signed as a C2SP signed note by the central
//! server's configuration keys. These are the wire types; `hub_core::configuration` verifies them
//! and builds the configuration in force.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::digest::Sha256;
use crate::identifier::{MemberId, ServerId, SubsystemId};

/// What a newcomer needs to trust an instance: its configuration keys and where to ask.
///
/// Handed over out of band (its fingerprint is printed by `koprik central` and `koprik demo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The instance code, such as `UZ`.
    pub instance: String,
    /// The configuration keys in force when the anchor was made.
    pub keys: ConfigurationKeys,
    /// Addresses of the central server, `http://host:port`, tried in order.
    pub central: Vec<String>,
}

/// The keys that sign configurations, and how many of them must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationKeys {
    /// How many of the keys must sign.
    pub threshold: usize,
    /// Verifier keys in the text form of C2SP signed-note: `name+keyid+base64`.
    pub verifiers: Vec<String>,
}

/// One version of the global configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalConfiguration {
    /// Version of this document's form: 1.
    pub format: u32,
    /// The instance code.
    pub instance: String,
    /// Grows by one with each published configuration, from 1.
    pub version: u64,
    /// When it was signed.
    pub issued: UnixMillis,
    /// When it stops being valid; hubs refuse traffic after it.
    pub expires: UnixMillis,
    /// SHA-256 of the document of version − 1; absent in version 1.
    pub previous: Option<Sha256>,
    /// The keys that sign the next version.
    pub keys: ConfigurationKeys,
    /// What belongs to the instance; kept by the administrator of the exchange.
    #[serde(flatten)]
    pub content: Content,
}

/// What the administrator of the exchange decides: everything but version, validity and keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Certification authorities whose signing certificates are accepted.
    pub authorities: Vec<Authority>,
    /// Classes of members, such as `GOV` and `BANK`.
    pub member_classes: Vec<MemberClass>,
    /// Members with their subsystems and signing certificates.
    pub members: Vec<Member>,
    /// Security servers.
    pub servers: Vec<SecurityServer>,
    /// Groups of subsystems that a grant may name.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The purpose catalogue.
    pub purposes: Vec<Purpose>,
    /// The central server's own transparency log of published versions.
    pub central_log: Option<String>,
    /// Timestamp authorities, in the order in which servers ask them. Left out of the document when
    /// there are none, so that earlier documents keep their one spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamp_authorities: Vec<TimestampAuthority>,
    /// Witnesses of the logs of security servers and central server. Left out of the document when there are
    /// none, so that earlier documents keep their one spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<Witness>,
    /// How many witnesses must have cosigned a checkpoint; 0 and left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub witness_quorum: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if gives a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A witness of message logs (C2SP tlog-witness): a security server, or somebody else at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Verifier key of its cosignatures, signature type 0x04 (C2SP tlog-cosignature).
    pub key: String,
    /// The security server that it is, reached like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerId>,
    /// Its submission prefix, `http://host[:port]/path`, when it is no security server. The way needs no
    /// protection: what comes over it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A certification authority of the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Name for people.
    pub name: String,
    /// The CA certificate, DER.
    #[serde(with = "crate::encoding::base64_bytes")]
    pub certificate: Vec<u8>,
}

/// An authority that stamps the checkpoints of message logs (RFC 3161).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampAuthority {
    /// Name for people, once in a configuration.
    pub name: String,
    /// Where it answers, `http://host[:port]/path` (RFC 3161 §3.4). The way needs no protection:
    /// what comes over it is signed.
    pub url: String,
    /// The certificate that signs its tokens, or that of the authority which issues it; DER.
    #[serde(with = "crate::encoding::base64_bytes")]
    pub certificate: Vec<u8>,
}

/// A class of members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberClass {
    /// The code, such as `GOV`.
    pub code: String,
    /// What it stands for.
    pub description: String,
}

/// A member of the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The identifier.
    pub id: MemberId,
    /// Name for people.
    pub name: String,
    /// Set while the administrator has suspended the member: everything to and from it is refused.
    #[serde(default)]
    pub suspended: bool,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
    /// Its signing certificates, in force and revoked.
    pub signing_certificates: Vec<SigningCertificate>,
}

/// A subsystem of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsystem {
    /// The identifier.
    pub id: SubsystemId,
    /// Name for people.
    pub name: String,
}

/// A member's signing certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningCertificate {
    /// The certificate, DER; its SHA-256 is the `keyid` of the member's signatures.
    #[serde(with = "crate::encoding::base64_bytes")]
    pub certificate: Vec<u8>,
    /// When it was revoked, if it was: signatures made later are refused.
    #[serde(default)]
    pub revoked: Option<UnixMillis>,
}

/// A security server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityServer {
    /// The identifier.
    pub id: ServerId,
    /// Where other security servers reach it, `host:port`.
    pub address: String,
    /// SHA-256 of the DER of each authentication certificate in force.
    pub authentication_certificates: Vec<Sha256>,
    /// Subsystems that send and receive through it.
    pub clients: Vec<SubsystemId>,
    /// Verifier key of its message log, C2SP signed-note text form; the name is the log's origin.
    pub log_key: String,
    /// Set while the administrator has suspended the server.
    #[serde(default)]
    pub suspended: bool,
}

/// A named group of subsystems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The code.
    pub code: String,
    /// What the group is.
    pub description: String,
    /// The subsystems in it.
    pub members: Vec<SubsystemId>,
}

/// A purpose for which data may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// The code that `Koprik-Purpose` carries.
    pub code: String,
    /// A sentence that a citizen understands.
    pub description: String,
    /// The laws that the purpose may rest on.
    pub legal_bases: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_round_trips_and_refuses_unknown_member_fields() {
        let configuration = GlobalConfiguration {
            format: 1,
            instance: "UZ".into(),
            version: 1,
            issued: UnixMillis(1),
            expires: UnixMillis(2),
            previous: None,
            keys: ConfigurationKeys { threshold: 1, verifiers: vec![] },
            content: Content::default(),
        };
        let text = serde_json_canonicalizer::to_string(&configuration).unwrap();
        let read: GlobalConfiguration = serde_json::from_str(&text).unwrap();
        assert_eq!(read, configuration);
        assert!(!text.contains("witness"), "earlier documents keep their spelling: {text}");
        assert!(!text.contains("timestamp"), "earlier documents keep their spelling: {text}");
        let odd = text.replace("\"members\":[]", "\"members\":[{\"id\":\"UZ/A/B\",\"odd\":1}]");
        assert!(serde_json::from_str::<GlobalConfiguration>(&odd).is_err());
    }
}
