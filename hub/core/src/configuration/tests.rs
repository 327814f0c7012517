//! A chain of configurations as a hub sees it, honest and not.

use std::sync::Arc;
use std::time::Duration;

use pki::authority::{Authority, Validity};
use pki::signer::{NoteKey, SigningKey};
use pki::trust::Algorithm;
use schemas::clock::UnixMillis;
use schemas::configuration as wire;
use schemas::configuration::{Anchor, ConfigurationKeys, Content, GlobalConfiguration};
use schemas::digest::Sha256;
use schemas::tlog::NoteSigner;

use super::*;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Signers = Vec<Arc<dyn NoteSigner>>;

fn signers(count: usize) -> Signers {
    let key = |at| NoteKey::ephemeral(&format!("UZ/configuration/{at}")).unwrap();
    (0..count).map(|at| -> Arc<dyn NoteSigner> { Arc::new(key(at)) }).collect()
}

fn keys(signers: &Signers, threshold: usize) -> ConfigurationKeys {
    use schemas::tlog::NoteVerifier;
    let verifier = |key: &Arc<dyn NoteSigner>| {
        NoteVerifier::ed25519(key.name(), key.public_key()).unwrap().to_string()
    };
    ConfigurationKeys { threshold, verifiers: signers.iter().map(verifier).collect() }
}

fn trust(keys: ConfigurationKeys) -> Trusted {
    Trusted::from_anchor(&Anchor { instance: "UZ".into(), keys, central: vec![] }).unwrap()
}

fn document(
    version: u64,
    previous: Option<Sha256>,
    keys: ConfigurationKeys,
) -> GlobalConfiguration {
    GlobalConfiguration {
        format: 1,
        instance: "UZ".into(),
        version,
        issued: NOW,
        expires: NOW.plus(DAY),
        previous,
        keys,
        content: content(),
    }
}

fn content() -> Content {
    let member: schemas::identifier::MemberId = "UZ/GOV/TAX".parse().unwrap();
    let log_key = NoteKey::ephemeral("UZ/GOV/TAX/hub1").unwrap();
    Content {
        member_classes: vec![wire::MemberClass { code: "GOV".into(), description: "State".into() }],
        members: vec![wire::Member {
            id: member,
            name: "Tax".into(),
            suspended: false,
            subsystems: vec![wire::Subsystem {
                id: "UZ/GOV/TAX/tax".parse().unwrap(),
                name: "Tax".into(),
            }],
            signing_certificates: vec![],
        }],
        servers: vec![wire::SecurityServer {
            id: "UZ/GOV/TAX/hub1".parse().unwrap(),
            address: "127.0.0.1:5500".into(),
            authentication_certificates: vec![Sha256::of(b"certificate")],
            clients: vec!["UZ/GOV/TAX/tax".parse().unwrap()],
            log_key: log_key.verifier().to_string(),
            suspended: false,
        }],
        groups: vec![wire::Group {
            code: "payers".into(),
            description: "Payers".into(),
            members: vec!["UZ/GOV/TAX/tax".parse().unwrap()],
        }],
        purposes: vec![wire::Purpose {
            code: "benefit".into(),
            description: "A benefit is decided".into(),
            legal_bases: vec!["CM res. 35".into()],
        }],
        ..Content::default()
    }
}

/// Versions 1 and 2 of one instance with a single key, and the trust after version 1.
struct Chain {
    signers: Signers,
    keys: ConfigurationKeys,
    first: Accepted,
}

impl Chain {
    fn new() -> Self {
        let signers = signers(1);
        let keys = keys(&signers, 1);
        let note = sign(&document(1, None, keys.clone()), &signers).unwrap();
        let first = trust(keys.clone()).accept(&note, NOW).unwrap();
        Self { signers, keys, first }
    }

    fn next(&self) -> GlobalConfiguration {
        document(2, self.first.trusted.hash(), self.keys.clone())
    }

    fn offer(&self, document: &GlobalConfiguration) -> Result<Accepted, ConfigurationRefusal> {
        self.first.trusted.accept(&sign(document, &self.signers).unwrap(), NOW)
    }
}

#[test]
fn next_version_is_accepted_and_the_held_one_again() {
    let chain = Chain::new();
    let second = chain.offer(&chain.next()).unwrap();
    assert_eq!(second.in_force.version(), 2);
    assert_eq!(second.trusted.version(), Some(2));
    let again = chain.first.trusted.accept(chain.first.in_force.note(), NOW).unwrap();
    assert_eq!(again.in_force.hash(), chain.first.in_force.hash());
}

#[test]
fn newcomer_accepts_a_later_version_that_the_anchors_keys_sign() {
    let chain = Chain::new();
    let note = sign(&document(7, Some(Sha256::of(b"6")), chain.keys.clone()), &chain.signers);
    let accepted = trust(chain.keys.clone()).accept(&note.unwrap(), NOW).unwrap();
    assert_eq!(accepted.trusted.version(), Some(7));
}

#[test]
fn rollback_gap_and_fork_are_refused() {
    let chain = Chain::new();
    let second = chain.offer(&chain.next()).unwrap();
    let rollback = second.trusted.accept(chain.first.in_force.note(), NOW).unwrap_err();
    assert_eq!(rollback, ConfigurationRefusal::Rollback { offered: 1, held: 2 });

    let gap = GlobalConfiguration { version: 3, ..chain.next() };
    let gap = chain.offer(&gap).unwrap_err();
    assert_eq!(gap, ConfigurationRefusal::Gap { offered: 3, held: 1 });

    let other =
        GlobalConfiguration { expires: NOW.plus(DAY / 2), ..document(1, None, chain.keys.clone()) };
    assert_eq!(chain.offer(&other).unwrap_err(), ConfigurationRefusal::Fork { version: 1 });
    let of_other = GlobalConfiguration { previous: Some(Sha256::of(b"1")), ..chain.next() };
    assert_eq!(chain.offer(&of_other).unwrap_err(), ConfigurationRefusal::Fork { version: 1 });
}

#[test]
fn expired_version_is_passed_through_but_not_put_into_force() {
    let chain = Chain::new();
    let note = sign(&chain.next(), &chain.signers).unwrap();
    let late = NOW.plus(DAY);
    let expired = ConfigurationRefusal::Expired { expires: late };
    assert_eq!(chain.first.trusted.accept(&note, late).unwrap_err(), expired);
    assert!(chain.first.trusted.accept(&note, late.minus(Duration::from_millis(1))).is_ok());
    let passed = chain.first.trusted.accept_intermediate(&note, late).unwrap();
    assert_eq!(passed.version(), Some(2));
    assert!(chain.first.in_force.expired_at(late));
    assert!(!chain.first.in_force.expired_at(NOW));
}

#[test]
fn version_of_the_future_is_refused_beyond_the_clocks_difference() {
    let chain = Chain::new();
    let future = NOW.plus(Duration::from_secs(6));
    let early = GlobalConfiguration { issued: future, ..chain.next() };
    let refused = chain.offer(&early).unwrap_err();
    assert_eq!(refused, ConfigurationRefusal::NotYetIssued { issued: future });
    let skewed = GlobalConfiguration { issued: NOW.plus(Duration::from_secs(5)), ..chain.next() };
    assert!(chain.offer(&skewed).is_ok());
}

#[test]
fn threshold_counts_distinct_trusted_keys() {
    let three = signers(3);
    let trusted = trust(keys(&three, 2));
    let document = document(1, None, keys(&three, 2));
    let one = sign(&document, &three[..1]).unwrap();
    let below = ConfigurationRefusal::BelowThreshold { valid: 1, needed: 2 };
    assert_eq!(trusted.accept(&one, NOW).unwrap_err(), below);
    // The same key twice, or a stranger's, does not count.
    let twice = sign(&document, &[three[0].clone(), three[0].clone()]).unwrap();
    assert_eq!(trusted.accept(&twice, NOW).unwrap_err(), below);
    let strangers = sign(&document, &[three[0].clone(), signers(1)[0].clone()]).unwrap();
    assert_eq!(trusted.accept(&strangers, NOW).unwrap_err(), below);
    assert!(trusted.accept(&sign(&document, &three[1..]).unwrap(), NOW).is_ok());
}

#[test]
fn keys_that_cannot_be_meant_are_refused() {
    let two = signers(2);
    let named = |name: &str| {
        schemas::tlog::NoteVerifier::ed25519(name, two[0].public_key()).unwrap().to_string()
    };
    let twice = ConfigurationKeys { threshold: 2, verifiers: vec![named("a"), named("b")] };
    for bad in [keys(&two, 0), keys(&two, 3), keys(&vec![], 0), twice] {
        let anchor = Anchor { instance: "UZ".into(), keys: bad.clone(), central: vec![] };
        assert!(Trusted::from_anchor(&anchor).is_err());
        let chain = Chain::new();
        let document = GlobalConfiguration { keys: bad, ..chain.next() };
        assert!(matches!(chain.offer(&document), Err(ConfigurationRefusal::Malformed { .. })));
    }
}

#[test]
fn anchor_of_other_keys_or_another_instance_refuses() {
    let chain = Chain::new();
    let stranger = trust(keys(&signers(1), 1));
    let refused = stranger.accept(chain.first.in_force.note(), NOW).unwrap_err();
    assert_eq!(refused, ConfigurationRefusal::BelowThreshold { valid: 0, needed: 1 });
    let anchor = Anchor { instance: "KZ".into(), keys: chain.keys.clone(), central: vec![] };
    let refused = Trusted::from_anchor(&anchor).unwrap().accept(chain.first.in_force.note(), NOW);
    let wrong = ConfigurationRefusal::WrongInstance { offered: "UZ".into(), own: "KZ".into() };
    assert_eq!(refused.unwrap_err(), wrong);
}

#[test]
fn keys_rotate_by_the_old_ones_signing_the_new() {
    let chain = Chain::new();
    let new = signers(2);
    let rotated = GlobalConfiguration { keys: keys(&new, 2), ..chain.next() };
    // The new keys cannot bring themselves in.
    let usurped = chain.first.trusted.accept(&sign(&rotated, &new).unwrap(), NOW);
    assert!(matches!(usurped, Err(ConfigurationRefusal::BelowThreshold { .. })));
    let second = chain.offer(&rotated).unwrap();

    let third = document(3, second.trusted.hash(), keys(&new, 2));
    let by_old = second.trusted.accept(&sign(&third, &chain.signers).unwrap(), NOW);
    assert!(matches!(by_old, Err(ConfigurationRefusal::BelowThreshold { .. })));
    assert!(second.trusted.accept(&sign(&third, &new).unwrap(), NOW).is_ok());

    // From disk, and when the central server gives the same version again.
    let again = second.trusted.accept(second.in_force.note(), NOW).unwrap();
    for accepted in [&second, &again] {
        let restored = Trusted::restore(&accepted.stored(), NOW.plus(DAY * 9)).unwrap();
        assert_eq!(restored.trusted.hash(), second.trusted.hash());
        assert!(restored.trusted.accept(&sign(&third, &new).unwrap(), NOW).is_ok());
    }
}

#[test]
fn changed_file_on_disk_is_refused() {
    let mut stored = Chain::new().first.stored();
    stored.note = stored.note.replace("127.0.0.1:5500", "127.0.0.2:5500");
    let refused = Trusted::restore(&stored, NOW).unwrap_err();
    assert!(matches!(refused, ConfigurationRefusal::Malformed { .. }), "{refused}");
}

#[test]
fn every_changed_byte_of_a_signed_configuration_is_refused() {
    let chain = Chain::new();
    let note = chain.first.in_force.note().as_bytes();
    let trusted = trust(chain.keys.clone());
    for at in 0..note.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = note.to_vec();
            changed[at] ^= flip;
            // What is not UTF-8 does not even reach the check.
            let Ok(text) = str::from_utf8(&changed) else { continue };
            assert!(trusted.accept(text, NOW).is_err(), "byte {at} with {flip:#x}");
        }
    }
    assert!(trusted.accept(str::from_utf8(note).unwrap(), NOW).is_ok());
}

#[test]
fn malformed_documents_are_refused() {
    let chain = Chain::new();
    let base = chain.next();
    let malformed = [
        GlobalConfiguration { format: 2, ..base.clone() },
        GlobalConfiguration { version: 0, previous: None, ..base.clone() },
        GlobalConfiguration { previous: None, ..base.clone() },
        GlobalConfiguration { expires: NOW, ..base },
    ];
    for document in malformed {
        let refused = chain.offer(&document).unwrap_err();
        assert!(matches!(refused, ConfigurationRefusal::Malformed { .. }), "{refused}");
    }
}

#[test]
fn versions_to_fetch_lead_from_the_held_one_to_the_latest() {
    let chain = Chain::new();
    let held = &chain.first.trusted;
    assert_eq!(held.versions_to_fetch(1), Ok(None));
    assert_eq!(held.versions_to_fetch(4), Ok(Some(2..=4)));
    let back = ConfigurationRefusal::Rollback { offered: 0, held: 1 };
    assert_eq!(held.versions_to_fetch(0), Err(back));
    let far = held.versions_to_fetch(u64::MAX);
    assert!(matches!(far, Err(ConfigurationRefusal::TooFarBehind { .. })));
    assert_eq!(trust(chain.keys.clone()).versions_to_fetch(9), Ok(Some(9..=9)));
    assert_eq!(offered_version(chain.first.in_force.note()), Some(1));
    assert_eq!(offered_version("nonsense\n"), None);
}

#[test]
fn configuration_in_force_finds_what_it_holds_and_nothing_else() {
    let in_force = Chain::new().first.in_force;
    let subsystem = "UZ/GOV/TAX/tax".parse().unwrap();
    let server = "UZ/GOV/TAX/hub1".parse().unwrap();
    let by_certificate = in_force.server_by_certificate(&Sha256::of(b"certificate")).unwrap();
    assert_eq!(by_certificate.id, server);
    assert!(in_force.server_by_certificate(&Sha256::of(b"other")).is_none());
    assert_eq!(in_force.servers_of(&subsystem), std::slice::from_ref(by_certificate));
    assert!(in_force.servers_of(&"UZ/GOV/TAX/other".parse().unwrap()).is_empty());
    assert_eq!(in_force.server(&server), Some(by_certificate));
    assert_eq!(in_force.subsystem(&subsystem).unwrap().name, "Tax");
    assert!(in_force.member(&"UZ/GOV/OTHER".parse().unwrap()).is_none());
    assert!(in_force.purpose("benefit").is_some() && in_force.purpose("Benefit").is_none());
    assert!(in_force.in_group("payers", &subsystem) && !in_force.in_group("other", &subsystem));
    assert_eq!(in_force.log_key("UZ/GOV/TAX/hub1").unwrap().name(), "UZ/GOV/TAX/hub1");
    assert!(in_force.log_key("UZ/GOV/TAX/hub2").is_none());
}

/// An authority, a member's certificate by it, and the content that lists both.
fn content_with_certificate(days: u32) -> (Content, Vec<u8>) {
    let validity = Validity { from: NOW, days: 365 };
    let authority = Authority::ephemeral("UZ test authority", validity).unwrap();
    let key = SigningKey::ephemeral(Algorithm::Ed25519).unwrap();
    let member = "UZ/GOV/TAX".parse().unwrap();
    let validity = Validity { from: NOW, days };
    let issued = authority.issue_signing(&member, key.public_key(), validity).unwrap();
    let mut content = content();
    content.authorities = vec![wire::Authority {
        name: "test authority".into(),
        certificate: authority.certificate().der().to_vec(),
    }];
    let listed = wire::SigningCertificate { certificate: issued.der().to_vec(), revoked: None };
    content.members[0].signing_certificates = vec![listed];
    (content, issued.der().to_vec())
}

fn in_force(content: Content, now: UnixMillis) -> ConfigurationInForce {
    let chain = Chain::new();
    let document =
        GlobalConfiguration { content, issued: now, expires: now.plus(DAY), ..chain.next() };
    let note = sign(&document, &chain.signers).unwrap();
    chain.first.trusted.accept(&note, now).unwrap().in_force
}

#[test]
fn signing_key_is_found_by_its_certificate_until_it_is_revoked() {
    let (mut content, certificate) = content_with_certificate(30);
    let keyid = Sha256::of(&certificate);
    let found = in_force(content.clone(), NOW);
    assert!(found.warnings().is_empty(), "{:?}", found.warnings());
    let key = found.signing_key(&keyid).unwrap();
    assert_eq!(key.member.as_str(), "UZ/GOV/TAX");
    assert_eq!(key.usable_at(NOW), Ok(()));
    assert!(matches!(key.usable_at(NOW.plus(DAY * 31)), Err(KeyNotUsable::Validity(_))));

    content.members[0].signing_certificates[0].revoked = Some(NOW);
    let revoked = in_force(content, NOW);
    let key = revoked.signing_key(&keyid).unwrap();
    assert!(matches!(key.usable_at(NOW), Err(KeyNotUsable::Revoked { .. })));
    assert_eq!(key.usable_at(NOW.minus(Duration::from_millis(1))), Ok(()));
}

#[test]
fn signing_certificate_that_does_not_count_is_left_out_with_a_warning() {
    let (expiring, _) = content_with_certificate(1);
    let (mut foreign, _) = content_with_certificate(30);
    foreign.authorities = content_with_certificate(30).0.authorities;
    let mut broken = content();
    let listed = wire::SigningCertificate { certificate: vec![1, 2, 3], revoked: None };
    broken.members[0].signing_certificates = vec![listed];
    for (content, now) in [(expiring.clone(), NOW.plus(DAY * 2)), (foreign, NOW), (broken, NOW)] {
        let listed = content.members[0].signing_certificates[0].certificate.clone();
        let found = in_force(content, now);
        assert!(found.signing_key(&Sha256::of(&listed)).is_none());
        let [warning] = found.warnings() else { panic!("{:?}", found.warnings()) };
        assert!(warning.starts_with("member UZ/GOV/TAX: "), "{warning}");
    }
    assert!(in_force(expiring, NOW).warnings().is_empty());
}

#[test]
fn content_with_unknown_references_or_duplicates_is_refused() {
    type Break = fn(&mut Content);
    let cases: [(&str, Break); 14] = [
        ("listed twice", |content| content.members.push(content.members[0].clone())),
        ("listed twice", |content| content.purposes.push(content.purposes[0].clone())),
        ("authentication certificate", |content| {
            let repeated = content.servers[0].authentication_certificates[0];
            content.servers[0].authentication_certificates.push(repeated);
        }),
        ("class GOV is not listed", |content| content.member_classes.clear()),
        ("this instance is UZ", |content| content.members[0].id = "KZ/GOV/TAX".parse().unwrap()),
        ("stands under member", |content| {
            content.members[0].subsystems[0].id = "UZ/GOV/OTHER/tax".parse().unwrap();
        }),
        ("its owner is not listed", |content| {
            content.servers[0].id = "UZ/GOV/OTHER/hub1".parse().unwrap();
        }),
        ("client UZ/GOV/TAX/x is not listed", |content| {
            content.servers[0].clients.push("UZ/GOV/TAX/x".parse().unwrap());
        }),
        ("its address", |content| content.servers[0].address = "127.0.0.1".into()),
        ("log key of", |content| content.servers[0].log_key = "x".into()),
        ("origin UZ/GOV/TAX/hub1 is used twice", |content| {
            content.central_log = Some(content.servers[0].log_key.clone());
        }),
        ("no legal basis", |content| content.purposes[0].legal_bases.clear()),
        ("timestamp authority stamps is listed twice", |content| {
            content.timestamp_authorities = vec![stamps("http://127.0.0.1/tsa"); 2];
        }),
        ("its url is not", |content| {
            content.timestamp_authorities = vec![stamps("https://127.0.0.1/tsa")];
        }),
    ];
    assert_eq!(check_content("UZ", &content()), Ok(()));
    for (expected, change) in cases {
        let mut content = content();
        change(&mut content);
        let faults = check_content("UZ", &content).unwrap_err().to_string();
        assert!(faults.contains(expected), "{expected} is missing in: {faults}");
    }
    let (sound, _) = content_with_certificate(1);
    assert_eq!(check_certificates(&sound), Ok(()));
    let orphan = Content { authorities: vec![], ..sound };
    assert!(check_certificates(&orphan).is_err());
}

fn witness(seed: u8, name: &str) -> wire::Witness {
    let key = schemas::tlog::WitnessVerifier::new(name, [seed; 32]).unwrap().to_string();
    wire::Witness { key, server: None, url: Some("http://127.0.0.1:7000/tlog-witness".into()) }
}

#[test]
fn listed_witnesses_count_for_every_log_but_their_own() {
    let chain = Chain::new();
    let mut next = chain.next();
    let own = wire::Witness {
        server: "UZ/GOV/TAX/hub1".parse().ok(),
        url: None,
        ..witness(1, "UZ/GOV/TAX/hub1/witness")
    };
    next.content.witnesses = vec![own, witness(2, "a"), witness(3, "b")];
    next.content.witness_quorum = 2;
    let in_force = chain.offer(&next).unwrap().in_force;
    assert_eq!(in_force.witnesses().len(), 3);
    let names = |origin: &str| -> Vec<String> {
        let policy = in_force.witness_policy(origin);
        assert_eq!(policy.quorum(), 2);
        policy.witnesses().iter().map(|witness| witness.name().to_owned()).collect()
    };
    assert_eq!(names("UZ/GOV/TAX/hub1"), ["a", "b"]);
    assert_eq!(names("another"), ["UZ/GOV/TAX/hub1/witness", "a", "b"]);
}

#[test]
fn witnesses_that_cannot_be_a_quorum_are_refused() {
    type Break = fn(&mut Content);
    let cases: [(&str, Break); 11] = [
        ("it lies between", |content| content.witness_quorum = 0),
        ("it lies between", |content| content.witness_quorum = 4),
        ("it lies between", |content| content.witnesses.clear()),
        ("does not count for its own log", |content| content.witness_quorum = 3),
        ("is listed twice", |content| content.witnesses[2] = witness(9, "a")),
        ("its key is used twice", |content| content.witnesses[2] = witness(2, "b")),
        ("exactly one of", |content| content.witnesses[1].url = None),
        ("its url is not", |content| content.witnesses[1].url = Some("https://a/b".into())),
        ("its url is not", |content| content.witnesses[1].url = Some("http://a/b/".into())),
        ("is not listed", |content| {
            content.witnesses[0].server = "UZ/GOV/TAX/hub9".parse().ok();
        }),
        ("verifier key", |content| content.witnesses[1].key = content.servers[0].log_key.clone()),
    ];
    let mut sound = content();
    let own = wire::Witness {
        server: "UZ/GOV/TAX/hub1".parse().ok(),
        url: None,
        ..witness(1, "UZ/GOV/TAX/hub1/witness")
    };
    sound.witnesses = vec![own, witness(2, "a"), witness(3, "b")];
    sound.witness_quorum = 2;
    assert_eq!(check_content("UZ", &sound), Ok(()));
    for (expected, change) in cases {
        let mut broken = sound.clone();
        change(&mut broken);
        let faults = check_content("UZ", &broken).unwrap_err();
        assert!(faults.to_string().contains(expected), "expected {expected}: {faults}");
    }
    let mut misnamed = sound.clone();
    misnamed.witnesses[0].key = witness(1, "hub1/witness").key;
    assert!(check_content("UZ", &misnamed).unwrap_err().to_string().contains("has the name"));
}

fn stamps(url: &str) -> wire::TimestampAuthority {
    let issuer = Authority::ephemeral("ca", Validity { from: NOW, days: 9 }).unwrap();
    wire::TimestampAuthority {
        name: "stamps".to_owned(),
        url: url.to_owned(),
        certificate: issuer.certificate().der().to_vec(),
    }
}

#[test]
fn timestamp_authorities_are_in_force_and_damaged_ones_are_left_out_with_a_warning() {
    let chain = Chain::new();
    let mut next = chain.next();
    let sound = stamps("http://127.0.0.1:318/tsa");
    let damaged = wire::TimestampAuthority { name: "other".into(), certificate: vec![1], ..sound };
    next.content.timestamp_authorities = vec![stamps("http://127.0.0.1:318/tsa"), damaged];
    let note = sign(&next, &chain.signers).unwrap();
    let accepted = chain.first.trusted.accept(&note, NOW).unwrap().in_force;
    let names: Vec<_> = accepted.timestamp_authorities().iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["stamps"]);
    assert!(accepted.warnings()[0].starts_with("timestamp authority other: "));
    assert!(check_certificates(&next.content).is_err());
}
