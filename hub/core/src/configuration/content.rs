//! Whether a content hangs together: every reference known, every identifier once, of this
//! instance. The central server asks before it publishes, the hub before it accepts, with the same
//! function.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use pki::timestamp::TrustedAuthority;
use pki::trust::{Certificate, PublicKey};
use schemas::configuration::{Content, Member, SecurityServer};
use schemas::digest::Sha256;
use schemas::identifier::{MemberId, SubsystemId};
use schemas::limits::TIMESTAMP_AUTHORITIES_MAX_COUNT;
use schemas::tlog::NoteVerifier;

use super::witnesses;

/// Faults that are listed; the rest is counted.
const FAULTS_SHOWN_COUNT: usize = 20;

/// Everything that is wrong with a content, a sentence each with the place and the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentFaults(Vec<String>);

impl ContentFaults {
    /// The sentences.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.0
    }

    fn none_or(faults: Vec<String>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }
}

impl fmt::Display for ContentFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().take(FAULTS_SHOWN_COUNT).map(String::as_str).collect();
        f.write_str(&shown.join("; "))?;
        match self.0.len().saturating_sub(FAULTS_SHOWN_COUNT) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for ContentFaults {}

/// Checks structure and references.
///
/// # Errors
/// [`ContentFaults`] with all faults found.
pub fn check_content(instance: &str, content: &Content) -> Result<(), ContentFaults> {
    let mut check = Check { instance, content, faults: Vec::new() };
    check.codes();
    let members = content.members.iter().map(|member| &member.id);
    let members: HashSet<&MemberId> = check.unique("member", members);
    let subsystems = content.members.iter().flat_map(|member| &member.subsystems);
    let subsystems: HashSet<&SubsystemId> =
        check.unique("subsystem", subsystems.map(|subsystem| &subsystem.id));
    content.members.iter().for_each(|member| check.member(member));
    check.unique("security server", content.servers.iter().map(|server| &server.id));
    let certificates =
        content.servers.iter().flat_map(|server| &server.authentication_certificates);
    check.unique("authentication certificate", certificates);
    for server in &content.servers {
        check.server(server, &members, &subsystems);
    }
    for group in &content.groups {
        for unknown in group.members.iter().filter(|id| !subsystems.contains(id)) {
            check
                .fault(format!("group {}: subsystem {unknown} is not listed; list it", group.code));
        }
    }
    check.log_keys();
    check.faults.extend(witnesses::faults(content));
    check.timestamp_authorities();
    ContentFaults::none_or(check.faults)
}

/// Checks that authorities and signing certificates can be used: parsed, issued by a listed
/// authority. Expired ones are left alone: time passes without the administrator's doing.
///
/// # Errors
/// [`ContentFaults`] with all faults found.
pub fn check_certificates(content: &Content) -> Result<(), ContentFaults> {
    let mut faults = Vec::new();
    let authorities: Vec<_> = authorities(content)
        .filter_map(|listed| listed.map_err(|fault| faults.push(fault)).ok())
        .collect();
    for member in &content.members {
        for listed in &member.signing_certificates {
            if let Err(refused) = signing_certificate(&listed.certificate, &authorities) {
                faults.push(format!("member {}: {refused}", member.id));
            }
        }
    }
    faults.extend(timestamp_authorities(content).filter_map(Result::err));
    ContentFaults::none_or(faults)
}

/// The timestamp authorities with their certificates, or a sentence for one that cannot be read.
pub(crate) fn timestamp_authorities(
    content: &Content,
) -> impl Iterator<Item = Result<TrustedAuthority, String>> {
    content.timestamp_authorities.iter().map(|listed| {
        let name = listed.name.clone();
        match Certificate::parse(&listed.certificate) {
            Ok(certificate) => Ok(TrustedAuthority { name, certificate }),
            Err(refused) => Err(format!("timestamp authority {name}: {refused}")),
        }
    })
}

/// The authorities' certificates, or a sentence for one that cannot be read.
pub(super) fn authorities(content: &Content) -> impl Iterator<Item = Result<Certificate, String>> {
    content.authorities.iter().map(|authority| {
        let parsed = Certificate::parse(&authority.certificate);
        parsed.map_err(|refused| format!("authority {}: {refused}", authority.name))
    })
}

/// A signing certificate that one of the authorities issued, with its key.
pub(super) fn signing_certificate(
    der: &[u8],
    authorities: &[Certificate],
) -> Result<(Certificate, PublicKey), String> {
    let certificate = Certificate::parse(der).map_err(|refused| refused.to_string())?;
    let subject = || format!("certificate `{}`", certificate.subject());
    if !authorities.iter().any(|authority| certificate.issued_by(authority).is_ok()) {
        return Err(format!("{} was issued by no listed authority; list its authority", subject()));
    }
    certificate.allows_signing().map_err(|refused| refused.to_string())?;
    let key = certificate.public_key().map_err(|refused| format!("{}: {refused}", subject()))?;
    let key = key.clone();
    Ok((certificate, key))
}

struct Check<'a> {
    instance: &'a str,
    content: &'a Content,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    fn unique<K: Hash + Eq + fmt::Display + ?Sized>(
        &mut self,
        what: &str,
        keys: impl Iterator<Item = &'a K>,
    ) -> HashSet<&'a K> {
        let mut seen = HashSet::new();
        for key in keys {
            if !seen.insert(key) {
                self.fault(format!("{what} {key} is listed twice; remove one"));
            }
        }
        seen
    }

    fn codes(&mut self) {
        let content = self.content;
        self.unique("member class", content.member_classes.iter().map(|class| &class.code));
        self.unique("group", content.groups.iter().map(|group| &group.code));
        self.unique("purpose", content.purposes.iter().map(|purpose| &purpose.code));
        for purpose in content.purposes.iter().filter(|purpose| purpose.legal_bases.is_empty()) {
            self.fault(format!("purpose {}: it has no legal basis; name the law", purpose.code));
        }
    }

    fn member(&mut self, member: &Member) {
        let id = &member.id;
        let codes = id.codes();
        let [instance, class, ..] = codes.as_slice() else { return };
        if instance != self.instance {
            let own = self.instance;
            self.fault(format!("member {id}: this instance is {own}; correct the identifier"));
        }
        if !self.content.member_classes.iter().any(|listed| listed.code == *class) {
            self.fault(format!("member {id}: class {class} is not listed; list it"));
        }
        for foreign in member.subsystems.iter().filter(|subsystem| subsystem.id.member() != *id) {
            let foreign = &foreign.id;
            self.fault(format!("subsystem {foreign} stands under member {id}; move it to its own"));
        }
    }

    fn server(
        &mut self,
        server: &SecurityServer,
        members: &HashSet<&MemberId>,
        subsystems: &HashSet<&SubsystemId>,
    ) {
        let id = &server.id;
        if !members.contains(&id.owner()) {
            self.fault(format!("security server {id}: its owner is not listed; list the member"));
        }
        for unknown in server.clients.iter().filter(|client| !subsystems.contains(client)) {
            self.fault(format!("security server {id}: client {unknown} is not listed; list it"));
        }
        let port = server.address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0)) {
            self.fault(format!("security server {id}: its address is not `host:port`; correct it"));
        }
    }

    fn timestamp_authorities(&mut self) {
        let listed = &self.content.timestamp_authorities;
        self.unique("timestamp authority", listed.iter().map(|authority| &authority.name));
        if listed.len() > TIMESTAMP_AUTHORITIES_MAX_COUNT {
            self.fault(format!(
                "there are more than {TIMESTAMP_AUTHORITIES_MAX_COUNT} timestamp authorities; \
                 remove the last"
            ));
        }
        for authority in listed {
            let url = authority.url.parse::<http::Uri>();
            if !url.is_ok_and(|url| url.scheme_str() == Some("http") && url.host().is_some()) {
                let name = &authority.name;
                self.fault(format!(
                    "timestamp authority {name}: its url is not `http://host[:port]/path`; its \
                     tokens are signed and need no TLS: correct it"
                ));
            }
        }
    }

    /// Two logs with one origin could pass off a checkpoint of one for the other's.
    fn log_keys(&mut self) {
        let content = self.content;
        let servers = content.servers.iter().map(|server| (server.id.as_str(), &server.log_key));
        let central = content.central_log.iter().map(|key| ("central server", key));
        let mut origins = HashSet::new();
        for (owner, text) in servers.chain(central) {
            match text.parse::<NoteVerifier>() {
                Err(refused) => self.fault(format!("log key of {owner}: {refused}")),
                Ok(key) if !origins.insert(key.name().to_owned()) => {
                    let origin = key.name();
                    self.fault(format!(
                        "log key of {owner}: origin {origin} is used twice; rename it"
                    ));
                }
                Ok(_) => {}
            }
        }
        let mut fingerprints = HashSet::new();
        let certificates = content.members.iter().flat_map(|member| &member.signing_certificates);
        for certificate in certificates {
            let keyid = Sha256::of(&certificate.certificate);
            if !fingerprints.insert(keyid) {
                self.fault(format!("signing certificate {keyid} is listed twice; remove one"));
            }
        }
    }
}
