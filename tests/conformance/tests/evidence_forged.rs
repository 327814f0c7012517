//! Evidence files by a forger who holds every key: signatures and proofs are right, so that only
//! the rules about what they say can refuse a file. Python and Rust must agree on each.

use std::sync::Arc;
use std::time::Duration;

use federation::agencies::REGISTER;
use federation::forger::Forger;
use federation::pair::{CONSUMER, PROVIDER};
use federation::rogue::SigningKeys;
use hub_core::batch::{self, Batch};
use hub_core::evidence;
use hub_core::signature::signature_value;
use pki::authority::AuthorityFiles;
use pki::signer::NoteKey;
use pki::timestamp::{TimestampAuthority, TimestampQuery, read_reply};
use schemas::clock::UnixMillis;
use schemas::configuration::GlobalConfiguration;
use schemas::digest::Sha256;
use schemas::encoding::base64;
use schemas::evidence::{EvidenceFile, RecordedLeaf};
use schemas::problem::ProblemCode;
use schemas::record::{self, Kind, Record, Side};
use schemas::tlog::cosignature::signed_message;
use schemas::tlog::merkle::{leaf_hash, root_of};
use schemas::tlog::{Checkpoint, Note, NoteSignature, NoteSigner as _, WitnessVerifier};

use crate::evidence_by_python::Court;
use crate::exchanges::Exchanges;

/// What the forger writes; all that follows from it is made right.
pub(crate) struct Parts {
    pub(crate) configuration: GlobalConfiguration,
    pub(crate) records: Vec<Record>,
    /// Signature bases.
    bases: Vec<String>,
    /// Lines of the checkpoint after the root.
    extension: String,
    /// Changes a leaf to what no hub writes.
    respell: fn(String) -> String,
    /// Positions among the configuration's witnesses (consumer's, provider's, central server's) of those that
    /// cosign, in the order of their lines, with the seconds that each states.
    pub(crate) cosigners: Vec<(usize, u64)>,
    /// What time the timestamp authority's clock shows when it stamps; `None`: it does not.
    pub(crate) stamped: Option<UnixMillis>,
}

/// Every key of the federation in one hand.
pub(crate) struct Forge {
    forger: Forger,
    log: Arc<NoteKey>,
    /// The consumer's and the provider's.
    keys: [SigningKeys; 2],
    witnesses: [NoteKey; 3],
    stamps: TimestampAuthority,
}

impl Forge {
    pub(crate) fn new(exchanges: &Exchanges) -> Self {
        let dir = |hub| exchanges.layout.place(hub).unwrap().dir.clone();
        let server = "UZ/GOV/NASP/hub-1".parse().unwrap();
        let origin = hub_server::hub::log_origin(&server);
        let log = Arc::new(NoteKey::load(&origin, &dir(CONSUMER).join("log.key")).unwrap());
        let keys = [CONSUMER, PROVIDER].map(|hub| SigningKeys::load(&dir(hub)).unwrap());
        let central = exchanges.layout.dir.join("central");
        let witnesses = [
            ("UZ/GOV/NASP/hub-1", dir(CONSUMER)),
            ("UZ/GOV/TAX/hub-1", dir(PROVIDER)),
            ("UZ/central", central),
        ];
        let witnesses = witnesses.map(|(of, dir)| {
            NoteKey::load(&format!("koprik/{of}/witness"), &dir.join("witness.key")).unwrap()
        });
        let dir = exchanges.layout.dir.join("timestamps");
        let (key, certificate) = (dir.join("timestamps.key"), dir.join("timestamps.pem"));
        let files = AuthorityFiles { key: &key, certificate: &certificate };
        let stamps = TimestampAuthority::load(files, "1.3.6.1.4.1.32473.1").unwrap();
        Self { forger: Forger::new(&exchanges.layout).unwrap(), log, keys, witnesses, stamps }
    }

    /// The file with its parts changed, signed and proved anew.
    pub(crate) fn remake(
        &self,
        file: &EvidenceFile,
        change: impl FnOnce(&mut Parts),
    ) -> EvidenceFile {
        let document = file.configuration.lines().next().unwrap();
        let records = file.records.iter();
        let mut parts = Parts {
            configuration: serde_json::from_str(document).unwrap(),
            records: records.map(|r| Record::from_leaf(r.leaf.as_bytes()).unwrap()).collect(),
            bases: file.messages.iter().map(|message| message.base.clone()).collect(),
            extension: String::new(),
            respell: |leaf| leaf,
            cosigners: Vec::new(),
            stamped: None,
        };
        change(&mut parts);
        let mut file = file.clone();
        file.messages.truncate(parts.bases.len());
        let mut request_signature = Vec::new();
        for (nth, base) in parts.bases.iter().enumerate() {
            let base = bound(base, &request_signature);
            let signature = self.sign(nth, &base);
            if let Some(record) = parts.records.get_mut(nth) {
                record.signed = Some(record::signed(leaf_hash(base.as_bytes()), &signature));
            }
            file.messages[nth].base = base;
            file.messages[nth].signature = base64(&signature);
            request_signature = signature;
        }
        // A refusal after the request is of the request's message, unless the change says another.
        let of_request = parts.records[0].signed;
        for later in parts.records.iter_mut().skip(parts.bases.len()) {
            later.signed = later.signed.or(of_request);
        }
        file.configuration = self.forger.sign(&parts.configuration, 3).unwrap();
        self.prove(&mut file, &parts);
        file.timestamp = parts.stamped.map(|at| self.stamp(&file, at));
        file
    }

    /// What a timestamp is over: the checkpoint with the log's own signature alone.
    pub(crate) fn to_stamp(&self, file: &EvidenceFile) -> String {
        Note::parse(&file.checkpoint).unwrap().signed_by(self.log.verifier()).to_string()
    }

    fn stamp(&self, file: &EvidenceFile, at: UnixMillis) -> String {
        let imprint = Sha256::of(self.to_stamp(file).as_bytes());
        let query = TimestampQuery::new(imprint).unwrap().to_der().unwrap();
        let reply = self.stamps.answer(&query, at).map_err(|(refusal, _)| refusal).unwrap();
        base64(&read_reply(&reply).unwrap())
    }

    fn sign(&self, nth: usize, base: &str) -> Vec<u8> {
        let key = &self.keys[nth].key;
        if !base.contains(batch::ALGORITHM) {
            return key.sign(base.as_bytes()).unwrap();
        }
        // The second of three, so that the path has two hashes.
        let leaves = [b"first", base.as_bytes(), b"third"].map(leaf_hash);
        let batch = Batch::new(leaves.to_vec());
        let root = key.sign(&batch.to_sign()).unwrap();
        batch.signatures(root.as_slice().try_into().unwrap()).remove(1)
    }

    /// A tree of these records alone, and its checkpoint.
    fn prove(&self, file: &mut EvidenceFile, parts: &Parts) {
        let leaf = |record: &Record| String::from_utf8(record.to_leaf()).unwrap();
        let leaves = parts.records.iter().map(|record| (parts.respell)(leaf(record)).into_bytes());
        let leaves: Vec<Vec<u8>> = leaves.collect();
        let hashes: Vec<Sha256> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let others = |nth: usize| hashes.iter().enumerate().filter(move |(at, _)| *at != nth);
        let recorded = |(nth, leaf): (usize, Vec<u8>)| RecordedLeaf {
            index: u64::try_from(nth).unwrap(),
            leaf: String::from_utf8(leaf).unwrap(),
            proof: others(nth).map(|(_, hash)| *hash).collect(),
        };
        file.records = leaves.into_iter().enumerate().map(recorded).collect();
        let verifier = self.log.verifier();
        let (origin, size) = (verifier.name().to_owned(), u64::try_from(hashes.len()).unwrap());
        let checkpoint = Checkpoint { origin, size, root: root_of(&hashes) };
        let text = format!("{checkpoint}{}", parts.extension);
        let signature = self.log.sign(text.as_bytes()).unwrap().to_vec();
        let line = NoteSignature::new(verifier.name(), verifier.key_id(), signature).unwrap();
        let cosigners = parts.cosigners.iter().map(|cosigner| self.cosign(&text, *cosigner));
        let lines = [line].into_iter().chain(cosigners).collect();
        file.checkpoint = Note::new(&text, lines).unwrap().to_string();
    }

    fn cosign(&self, text: &str, (nth, seconds): (usize, u64)) -> NoteSignature {
        let (key, at) = (&self.witnesses[nth], UnixMillis::from_seconds(seconds));
        let verifier = WitnessVerifier::new(key.name(), key.public_key()).unwrap();
        verifier.line(at, &key.sign(&signed_message(text, at)).unwrap()).unwrap()
    }
}

/// An answer's base, bound to the request's new signature; a request's as it is.
fn bound(base: &str, request_signature: &[u8]) -> String {
    let begin = "\"signature\";req: ";
    let line = |line: &str| match line.strip_prefix(begin) {
        Some(_) => format!("{begin}{}", signature_value(request_signature)),
        None => line.to_owned(),
    };
    base.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

pub(crate) type Change = fn(&mut Parts);

pub(crate) fn judge(changes: &[(&str, bool, Change)], exchanges: &Exchanges) {
    let forge = Forge::new(exchanges);
    let mut court = Court::new(exchanges.anchor());
    for (name, good, change) in changes {
        let file = forge.remake(&exchanges.read("consumer's"), *change);
        court.bring((*name).to_owned(), evidence::to_text(&file).into_bytes(), Some(*good));
    }
    println!("{:?}", court.judge());
}

/// The moment of the first record.
pub(crate) fn at(parts: &Parts) -> UnixMillis {
    parts.records[0].time
}

const SECOND: Duration = Duration::from_secs(1);

const CONFIGURATIONS: &[(&str, bool, Change)] = &[
    ("nothing changed", true, |_| ()),
    ("a later version", true, |parts| {
        parts.configuration.version = 7;
        parts.configuration.previous = Some(Sha256::of(b"six"));
        parts.records.iter_mut().for_each(|record| record.configuration = Some(7));
    }),
    ("a later version without the one before", false, |parts| {
        parts.configuration.version = 7;
        parts.records.iter_mut().for_each(|record| record.configuration = Some(7));
    }),
    ("a first version with one before", false, |parts| {
        parts.configuration.previous = Some(Sha256::of(b"none"));
    }),
    ("another version than recorded", false, |parts| {
        parts.configuration.version = 2;
        parts.configuration.previous = Some(Sha256::of(b"one"));
    }),
    ("version 0", false, |parts| parts.configuration.version = 0),
    ("format 2", false, |parts| parts.configuration.format = 2),
    ("another instance", false, |parts| parts.configuration.instance = "EE".to_owned()),
    ("issued five seconds later", true, |parts| {
        parts.configuration.issued = at(parts).plus(SECOND * 5);
    }),
    ("issued six seconds later", false, |parts| {
        parts.configuration.issued = at(parts).plus(SECOND * 6);
    }),
    ("expired at that moment", false, |parts| parts.configuration.expires = at(parts)),
    ("expired before it was issued", false, |parts| {
        parts.configuration.expires = at(parts).plus(SECOND);
        parts.configuration.issued = at(parts).plus(SECOND * 2);
    }),
    ("no authority", false, |parts| parts.configuration.content.authorities.clear()),
    ("a signing certificate as authority", false, |parts| {
        let content = &mut parts.configuration.content;
        let certificate = &content.members[0].signing_certificates[0].certificate;
        content.authorities[0].certificate.clone_from(certificate);
    }),
    ("revoked before the signature", false, |parts| {
        let moment = at(parts);
        let members = &mut parts.configuration.content.members;
        members[0].signing_certificates[0].revoked = Some(moment.minus(SECOND));
    }),
    ("revoked after the signature", true, |parts| {
        let moment = at(parts);
        let members = &mut parts.configuration.content.members;
        members[0].signing_certificates[0].revoked = Some(moment.plus(SECOND));
    }),
    ("the provider's certificate revoked", false, |parts| {
        let moment = at(parts);
        let members = &mut parts.configuration.content.members;
        members[1].signing_certificates[0].revoked = Some(moment);
    }),
    ("certificates at each other's members", false, |parts| {
        let members = &mut parts.configuration.content.members;
        let own = std::mem::take(&mut members[0].signing_certificates);
        members[0].signing_certificates =
            std::mem::replace(&mut members[1].signing_certificates, own);
    }),
    ("a certificate twice", false, |parts| {
        let listed = &mut parts.configuration.content.members[0].signing_certificates;
        listed.push(listed[0].clone());
    }),
    ("a member twice", false, |parts| {
        let members = &mut parts.configuration.content.members;
        let mut again = members[0].clone();
        again.subsystems.clear();
        again.signing_certificates.clear();
        members.push(again);
    }),
    ("a server twice", false, |parts| {
        let servers = &mut parts.configuration.content.servers;
        servers.push(servers[0].clone());
    }),
    ("a log of two servers", false, |parts| {
        let servers = &mut parts.configuration.content.servers;
        servers[1].log_key = servers[0].log_key.clone();
    }),
    ("no server", false, |parts| parts.configuration.content.servers.clear()),
    ("a server without clients", false, |parts| {
        parts.configuration.content.servers[0].clients.clear();
    }),
    ("a suspended member", true, |parts| {
        parts.configuration.content.members[0].suspended = true;
    }),
];

#[tokio::test]
async fn configurations_that_say_something_else_are_judged_alike() {
    judge(CONFIGURATIONS, &Exchanges::carried().await);
}

/// The log's server has client and provider behind it.
fn serve_both(parts: &mut Parts) {
    let provider = parts.configuration.content.servers[1].clients.clone();
    parts.configuration.content.servers[0].clients.extend(provider);
}

/// A leaf with a field that stands right before `time`, where it has none of that name.
fn before_time(leaf: String, name: &str, value: &str) -> String {
    if leaf.contains(&format!("\"{name}\":")) {
        return leaf;
    }
    let at = leaf.find(",\"time\":").unwrap();
    format!("{},\"{name}\":{value}{}", &leaf[..at], &leaf[at..])
}

/// A leaf with another duration.
fn duration(leaf: String, value: &str) -> String {
    let (before, after) = leaf.split_once("\"duration_us\":").unwrap();
    let (_, after) = after.split_once(',').unwrap();
    format!("{before}\"duration_us\":{value},{after}")
}

/// The exchange ends in a refusal, as the consumer's hub records it.
fn refused_later(parts: &mut Parts) {
    parts.bases.truncate(1);
    let refusal = &mut parts.records[1];
    refusal.kind = Kind::Refusal;
    refusal.outcome = ProblemCode::AccessDenied.as_str().to_owned();
    (refusal.signed, refusal.status) = (None, None);
}

/// The same in the log of the provider's hub.
fn refused_at_the_provider(parts: &mut Parts, code: ProblemCode) {
    serve_both(parts);
    refused_later(parts);
    parts.records.iter_mut().for_each(|record| record.side = Side::Provider);
    parts.records[1].outcome = code.as_str().to_owned();
}

const RECORDS: &[(&str, bool, Change)] = &[
    ("a later refusal", true, refused_later),
    ("the refusal of another message", false, |parts| {
        refused_later(parts);
        parts.records[1].signed = Some(Sha256::of(b"another"));
    }),
    ("a later refusal at the provider", true, |parts| {
        refused_at_the_provider(parts, ProblemCode::SourceTimeout);
    }),
    ("the refusal of the request's replay", false, |parts| {
        refused_at_the_provider(parts, ProblemCode::Replayed);
    }),
    ("another outcome and purpose", true, |parts| {
        parts.records[1].outcome = "odd \u{7f}\u{1}\"\\\n§".to_owned();
        parts.records[1].purpose = Some("another".to_owned());
    }),
    ("subjects", true, |parts| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[1; 32]);
        parts.records[0].subjects = vec![schemas::digest::Pseudonym::of("s", &key)];
    }),
    ("another exchange", false, |parts| parts.records[0].exchange = Some("x".to_owned())),
    ("no exchange", false, |parts| parts.records[1].exchange = None),
    ("another client", false, |parts| parts.records[0].client = Some(REGISTER.replace('r', "R"))),
    ("no client", false, |parts| parts.records[0].client = None),
    ("another service", false, |parts| {
        parts.records[1].service = Some("UZ/GOV/TAX/tax/tax".to_owned());
    }),
    ("no configuration", false, |parts| parts.records[0].configuration = None),
    ("the other side", false, |parts| parts.records[0].side = Side::Provider),
    ("a log of both sides", true, serve_both),
    ("a log of both sides, a record of each", false, |parts| {
        serve_both(parts);
        parts.records[1].side = Side::Provider;
    }),
    ("no side", false, |parts| parts.records[1].side = Side::Hub),
    ("another status", false, |parts| parts.records[1].status = Some(404)),
    ("no status", false, |parts| parts.records[1].status = None),
    ("another body", false, |parts| parts.records[1].body = Some(Sha256::of(b"x"))),
    ("no body", false, |parts| parts.records[0].body = None),
    ("a refusal with an answer", false, |parts| parts.records[1].kind = Kind::Refusal),
    ("an act", false, |parts| parts.records[0].kind = Kind::Act),
    ("another version of its form", false, |parts| parts.records[0].version = 2),
    ("no status, neither in answer nor record", false, |parts| {
        parts.records[1].status = None;
        replace(parts, 1, "\"@status\": 200\n", "");
        replace(parts, 1, "\"@status\" ", "");
    }),
    ("a record long ago", false, |parts| {
        parts.records[0].time = schemas::clock::UnixMillis(1);
    }),
    ("a status that no answer has", false, |parts| {
        parts.respell = |leaf| before_time(leaf, "status", "70000");
    }),
    ("the largest status", true, |parts| {
        parts.respell = |leaf| before_time(leaf, "status", "65535");
    }),
    ("a time of more than 64 bits", false, |parts| {
        parts.respell = |leaf| duration(leaf, "18446744073709551616");
    }),
    ("the largest duration", true, |parts| {
        parts.respell = |leaf| duration(leaf, "18446744073709551615");
    }),
    ("subjects that are no texts", false, |parts| {
        parts.respell = |leaf| before_time(leaf, "subjects", r#"["a",5,"b"]"#);
    }),
    ("subjects that are any texts", true, |parts| {
        parts.respell = |leaf| before_time(leaf, "subjects", r#"["a\"]","b"]"#);
    }),
    ("a client in another spelling", false, |parts| {
        parts.respell = |leaf| leaf.replace("\"UZ/GOV/NASP", "\"UZ/GOV/%4EASP");
    }),
    ("a service in another spelling", false, |parts| {
        parts.respell = |leaf| leaf.replace("\"UZ/GOV/TAX/tax", "\"UZ/GOV/TAX/%74ax");
    }),
    ("an extension line", false, |parts| parts.extension = "extension\n".to_owned()),
];

#[tokio::test]
async fn records_and_checkpoints_that_say_something_else_are_judged_alike() {
    judge(RECORDS, &Exchanges::carried().await);
}

const COSIGNATURES: &[(&str, bool, Change)] = &[
    ("both that count", true, |parts| parts.cosigners = vec![(1, 1), (2, 1)]),
    ("one of two", true, |parts| parts.cosigners = vec![(2, 1)]),
    ("at other times", true, |parts| parts.cosigners = vec![(1, 0), (2, 4_000_000_000)]),
    ("in another order", false, |parts| parts.cosigners = vec![(2, 1), (1, 1)]),
    ("one twice", false, |parts| parts.cosigners = vec![(1, 1), (1, 1)]),
    ("one twice at two times", false, |parts| parts.cosigners = vec![(1, 1), (1, 2)]),
    ("the log's own witness", false, |parts| parts.cosigners = vec![(0, 1)]),
    ("the log's own and others", false, |parts| parts.cosigners = vec![(0, 1), (1, 1), (2, 1)]),
    ("one that is not listed", false, |parts| {
        parts.configuration.content.witnesses.pop();
        parts.configuration.content.witness_quorum = 1;
        parts.cosigners = vec![(2, 1)];
    }),
    ("one with another's key", false, |parts| {
        let witnesses = &mut parts.configuration.content.witnesses;
        let key = WitnessVerifier::new("koprik/UZ/central/witness", [9; 32]).unwrap();
        witnesses[2].key = key.to_string();
        parts.cosigners = vec![(2, 1)];
    }),
    ("a quorum of one", true, |parts| {
        parts.configuration.content.witness_quorum = 1;
        parts.cosigners = vec![(1, 1)];
    }),
    ("no quorum", false, |parts| parts.configuration.content.witness_quorum = 0),
    ("a quorum of more than there are", false, |parts| {
        parts.configuration.content.witness_quorum = 4;
    }),
    ("a witness listed twice", false, |parts| {
        let witnesses = &mut parts.configuration.content.witnesses;
        witnesses.push(witnesses[2].clone());
    }),
    ("no witnesses", true, |parts| {
        parts.configuration.content.witnesses.clear();
        parts.configuration.content.witness_quorum = 0;
    }),
    ("no witnesses and a cosignature", false, |parts| {
        parts.configuration.content.witnesses.clear();
        parts.configuration.content.witness_quorum = 0;
        parts.cosigners = vec![(1, 1)];
    }),
];

#[tokio::test]
async fn cosignatures_that_are_right_and_do_not_count_are_judged_alike() {
    judge(COSIGNATURES, &Exchanges::carried().await);
}

fn replace(parts: &mut Parts, nth: usize, from: &str, to: &str) {
    let changed = parts.bases[nth].replacen(from, to, 1);
    assert_ne!(changed, parts.bases[nth], "{from}");
    parts.bases[nth] = changed;
}

/// Gives the request's path another beginning, in the base of the request or of its answer.
fn repath(parts: &mut Parts, nth: usize, begin: &str) {
    let name = ["\"@path\": ", "\"@path\";req: "][nth];
    replace(parts, nth, &format!("{name}/r1/UZ/GOV/TAX/tax/echo/"), &format!("{name}{begin}"));
}

const MESSAGES: &[(&str, bool, Change)] = &[
    ("a request signed plainly", true, |parts| {
        replace(parts, 0, batch::ALGORITHM, "ed25519");
    }),
    ("an algorithm of another key", false, |parts| {
        replace(parts, 0, batch::ALGORITHM, "ecdsa-p256-sha256");
    }),
    ("an algorithm of no key", false, |parts| replace(parts, 0, batch::ALGORITHM, "rsa")),
    ("the answer's algorithm", false, |parts| {
        replace(parts, 1, "ecdsa-p256-sha256", "ed25519");
    }),
    ("the client in another encoding", true, |parts| {
        replace(parts, 0, "NASP/register", "N%41SP/%72egister");
    }),
    ("another client", false, |parts| replace(parts, 0, "NASP/register", "NASP/other")),
    ("another client's member", false, |parts| {
        replace(parts, 0, "UZ/GOV/NASP/register", "UZ/GOV/TAX/tax");
    }),
    ("a member as client", false, |parts| replace(parts, 0, "NASP/register", "NASP")),
    ("another service", false, |parts| {
        replace(parts, 0, "tax/echo", "tax/tax");
        replace(parts, 1, "tax/echo", "tax/tax");
    }),
    ("the service in another encoding", false, |parts| replace(parts, 0, "tax/echo", "t%61x/echo")),
    ("the service in another encoding in both", true, |parts| {
        replace(parts, 0, "/tax/echo", "/t%61x/echo");
        replace(
            parts,
            1,
            "\"@path\";req: /r1/UZ/GOV/TAX/tax",
            "\"@path\";req: /r1/UZ/GOV/TAX/t%61x",
        );
    }),
    // Rules for calls are made and changed; what was signed under others stays proved.
    ("a service code that no hub lets pass any more", true, |parts| {
        let service = "UZ/GOV/TAX/tax/echo-20250101";
        for nth in [0, 1] {
            repath(parts, nth, &format!("/r1/{service}/"));
            parts.records[nth].service = Some(service.to_owned());
        }
    }),
    ("a path that no hub lets pass", true, |parts| {
        for nth in [0, 1] {
            repath(parts, nth, "/r1/UZ/GOV/TAX/tax/echo/%zz/../%2541//");
        }
    }),
    ("another version of the protocol", false, |parts| replace(parts, 0, "/r1/", "/r2/")),
    ("a path that ends early", false, |parts| replace(parts, 0, "/tax/echo/a", "/tax")),
    ("another exchange", false, |parts| {
        replace(parts, 0, "\"x-road-request-id\": ", "\"x-road-request-id\": 0");
    }),
    ("another digest", false, |parts| replace(parts, 0, "sha-256=:", "sha-256=:A")),
    ("another status", false, |parts| replace(parts, 1, "\"@status\": 200", "\"@status\": 404")),
    ("an answer to another path", false, |parts| {
        replace(parts, 1, "\"@path\";req: /r1", "\"@path\";req: /r2");
    }),
    ("an answer to another method", false, |parts| {
        replace(parts, 1, "\"@method\";req: POST", "\"@method\";req: GET");
    }),
    ("an answer that is bound to no signature", false, |parts| {
        replace(parts, 1, "\"signature\";req: ", "\"signatura\";req: ");
        replace(parts, 1, " \"signature\";req", " \"signatura\";req");
    }),
    ("a signature in two days' time", false, |parts| {
        replace(parts, 0, "created=1780272000", "created=1780444800");
    }),
    ("a signature in a year", false, |parts| {
        replace(parts, 0, "created=1780272000", "created=1811808000");
    }),
    ("a signature of last year", false, |parts| {
        replace(parts, 0, "created=1780272000", "created=1748736000");
    }),
    ("a moment beyond numbers", false, |parts| {
        replace(parts, 0, "created=1780272000", "created=99999999999999999999");
    }),
    ("a moment with a zero before", false, |parts| replace(parts, 0, "created=", "created=0")),
    ("an unknown certificate", false, |parts| {
        let key_id = Sha256::of(b"unknown").to_string();
        let begin = parts.bases[0].find("keyid=\"").unwrap() + 7;
        parts.bases[0].replace_range(begin..begin + 64, &key_id);
    }),
    ("a covered name that is not there", false, |parts| {
        replace(parts, 0, "(\"@method\"", "(\"@method\" \"x-more\"");
    }),
    ("a line that is not covered", false, |parts| {
        replace(parts, 0, "\"@path\": ", "\"x-more\": 1\n\"@path\": ");
    }),
    ("a name in capitals", false, |parts| {
        replace(parts, 0, "\"x-road-id\"", "\"X-road-id\"");
        replace(parts, 0, " \"x-road-id\"", " \"X-road-id\"");
    }),
];

/// The moment of the request's signature and of both records, in seconds.
const MADE: u64 = 1_780_272_000;

/// Sets `created` and `expires` of a message, in seconds after [`MADE`].
fn lives(parts: &mut Parts, nth: usize, created: i64, expires: i64) {
    let base = &mut parts.bases[nth];
    let (begin, end) = (base.find(";created=").unwrap(), base.find(";keyid=").unwrap());
    let at = |offset| MADE.checked_add_signed(offset).unwrap();
    base.replace_range(begin..end, &format!(";created={};expires={}", at(created), at(expires)));
}

/// Moves a record, in milliseconds after [`MADE`].
fn recorded(parts: &mut Parts, nth: usize, offset: i64) {
    parts.records[nth].time = UnixMillis((MADE * 1_000).checked_add_signed(offset).unwrap());
}

/// Leaves the request alone, refused at this offset.
fn refused(parts: &mut Parts, offset: i64) {
    parts.records.truncate(1);
    parts.bases.truncate(1);
    parts.records[0].kind = Kind::Refusal;
    recorded(parts, 0, offset);
}

const TIMES: &[(&str, bool, Change)] = &[
    ("a signature as hubs make it", true, |parts| lives(parts, 0, 0, 60)),
    ("one of a clock that is five seconds ahead", true, |parts| lives(parts, 0, 5, 65)),
    ("one of a clock that is six seconds ahead", false, |parts| lives(parts, 0, 6, 66)),
    ("one that expired five seconds before", true, |parts| lives(parts, 0, -65, -5)),
    ("one that expired six seconds before", false, |parts| lives(parts, 0, -66, -6)),
    ("one that lives a second too long", false, |parts| lives(parts, 0, 0, 61)),
    ("one that lives no time", true, |parts| lives(parts, 0, 0, 0)),
    ("one that expires before it is made", false, |parts| lives(parts, 0, 1, 0)),
    ("one that never expires", false, |parts| {
        replace(parts, 0, "expires=1780272060", "expires=18446744073709551615");
    }),
    ("an answer as hubs make it", true, |parts| lives(parts, 1, 0, 60)),
    ("an answer made six seconds after its record", false, |parts| lives(parts, 1, 6, 66)),
    ("an answer that had expired", false, |parts| lives(parts, 1, -66, -6)),
    ("an answer that lives too long", false, |parts| lives(parts, 1, 0, 61)),
    ("records as late as can be", true, |parts| {
        recorded(parts, 0, 65_999);
        recorded(parts, 1, 65_999);
    }),
    ("a request's record too late", false, |parts| recorded(parts, 0, 66_000)),
    ("an answer's record too late", false, |parts| recorded(parts, 1, 66_000)),
    ("an answer's record too early", false, |parts| recorded(parts, 1, -5_001)),
    ("an answer's record as early as can be", true, |parts| recorded(parts, 1, -5_000)),
    ("a refusal at once", true, |parts| refused(parts, 0)),
    ("a refusal after the body was awaited", true, |parts| refused(parts, 600_000)),
    ("a refusal before the request", false, |parts| refused(parts, -5_001)),
];

#[tokio::test]
async fn signatures_outside_the_time_of_their_records_are_judged_alike() {
    judge(TIMES, &Exchanges::carried().await);
}

#[tokio::test]
async fn messages_that_say_something_else_are_judged_alike() {
    judge(MESSAGES, &Exchanges::carried().await);
}
