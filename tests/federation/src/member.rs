//! A member's keys and certificates, as its administrator would make them.

use std::path::Path;

use anyhow::Context as _;
use pki::authority::{Authority, Validity};
use pki::signer::{self, NoteKey};
use pki::trust::{Algorithm, Certificate};
use schemas::configuration::{Member, SecurityServer, SigningCertificate, Subsystem, Witness};
use schemas::identifier::{ClientId, MemberId, ServerId, SubsystemId};
use schemas::tlog::policy::own_witness_name;

use crate::witnesses::cosigner_key;

/// A member with its subsystem and security server.
pub(crate) struct NewMember<'a> {
    pub(crate) id: MemberId,
    pub(crate) title: &'a str,
    pub(crate) subsystem: SubsystemId,
    pub(crate) peer_address: String,
}

/// What the central server registers.
pub(crate) struct Registered {
    pub(crate) member: Member,
    pub(crate) server: SecurityServer,
    witness_key: String,
}

impl Registered {
    /// The security server as a witness.
    pub(crate) fn witness(&self) -> Witness {
        let (key, server) = (self.witness_key.clone(), Some(self.server.id.clone()));
        Witness { key, server, url: None }
    }
}

impl NewMember<'_> {
    /// The member's only security server.
    pub(crate) fn server(&self) -> anyhow::Result<ServerId> {
        Ok(format!("{}/hub-1", self.id).parse()?)
    }

    /// Makes keys and certificates in `dir`: `signing`, `peer`, `edge`, `client`, `log` and `witness`.
    pub(crate) fn equip(
        &self,
        dir: &Path,
        authority: &Authority,
        validity: Validity,
    ) -> anyhow::Result<Registered> {
        std::fs::create_dir_all(dir)?;
        let server = self.server()?;
        let key = |name: &str, algorithm| {
            signer::generate(algorithm, &dir.join(format!("{name}.key"))).context("making a key")
        };
        let write = |name: &str, certificate: &Certificate| {
            std::fs::write(dir.join(format!("{name}.pem")), certificate.to_pem())
        };
        let signing = key("signing", Algorithm::Ed25519)?;
        let signing = authority.issue_signing(&self.id, signing.public_key(), validity)?;
        write("signing", &signing)?;
        let names = ["localhost", "127.0.0.1"];
        let peer = key("peer", Algorithm::EcdsaP256)?;
        let peer = authority.issue_authentication(&server, peer.public_key(), &names, validity)?;
        write("peer", &peer)?;
        let edge = key("edge", Algorithm::EcdsaP256)?;
        let edge = authority.issue_authentication(&server, edge.public_key(), &names, validity)?;
        write("edge", &edge)?;
        let client = key("client", Algorithm::EcdsaP256)?;
        let client_id = ClientId::from(self.subsystem.clone());
        write("client", &authority.issue_client(&client_id, client.public_key(), validity)?)?;
        let origin = hub_server::hub::log_origin(&server);
        let log = NoteKey::new(&origin, key("log", Algorithm::Ed25519)?)?;
        let witness =
            NoteKey::new(&own_witness_name(&origin), key("witness", Algorithm::Ed25519)?)?;
        let subsystem = Subsystem { id: self.subsystem.clone(), name: self.title.to_owned() };
        Ok(Registered {
            witness_key: cosigner_key(&witness)?,
            member: Member {
                id: self.id.clone(),
                name: self.title.to_owned(),
                suspended: false,
                subsystems: vec![subsystem],
                signing_certificates: vec![SigningCertificate {
                    certificate: signing.der().to_vec(),
                    revoked: None,
                }],
            },
            server: SecurityServer {
                id: server,
                address: self.peer_address.clone(),
                authentication_certificates: vec![peer.fingerprint()],
                clients: vec![self.subsystem.clone()],
                log_key: log.verifier().to_string(),
                suspended: false,
            },
        })
    }
}
