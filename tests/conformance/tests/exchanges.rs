//! Two hubs that carry exchanges, and the evidence files that they give: every way in which a
//! message is signed, answered or refused.
//!
//! ```text
//! raw bytes → hub `register` (Ed25519, batches) ─┐
//! rogue with its keys (Ed25519 plain, batch) ────┴→ hub `tax` (ECDSA P-256) → source
//! ```
//!
//! Both logs are cosigned by two witnesses and stamped, so that each file has all that it can have.

use std::time::Duration;

use bytes::Bytes;
use federation::agencies::{Agency, REGISTER};
use federation::pair::{self, CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::rogue::{self, RogueConsumer, SigningKeys};
use federation::source::{self, Source};
use federation::stamps::Timestamps;
use federation::{Federation, Layout, Options, lay_out, witnesses};
use http::{Method, Request};
use pki::authority::{Authority, AuthorityFiles, Validity};
use pki::signer;
use pki::trust::Algorithm;
use schemas::clock::{Clock, UnixMillis};
use schemas::configuration::Anchor;
use schemas::evidence::EvidenceFile;
use schemas::identifier::MemberId;
use schemas::tlog::Note;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The moment of all exchanges but the slow one, 2026-06-01T00:00:00Z.
const BEGIN: UnixMillis = UnixMillis(1_780_272_000_000);

/// Longer than a round of witnesses and one of timestamps take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What two hubs have given out; they have been stopped.
pub(crate) struct Exchanges {
    pub(crate) layout: Layout,
    /// Evidence files by what they are about.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    _dir: TempDir,
}

impl Exchanges {
    /// Carries the exchanges and takes their evidence.
    pub(crate) async fn carried() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(BEGIN);
        let agencies = Agency::named(PROVIDER).into_iter().collect();
        let options = Options {
            agencies,
            witness_quorum: 2,
            witness_seconds: 1,
            timestamps: Timestamps::Own,
            ..Options::all(BEGIN)
        };
        let layout = lay_out(dir.path(), &options).unwrap();
        sign_with_p256(&layout, PROVIDER, "UZ/GOV/TAX");
        let source =
            Source::start(|_| source::answer(200, &[("Content-Type", "text/plain")], b"hi"));
        let source = source.await.unwrap();
        let (service, grant) = (pair::echo(&source).unwrap(), pair::whole_service(ECHO).unwrap());
        layout
            .edit_hub(PROVIDER, |config| {
                config.services.push(service);
                config.grants.push(grant);
            })
            .unwrap();
        let mut federation = Federation::new(layout.clone(), clock.clone());
        federation.start_central().await.unwrap();
        federation.start_timestamp_authority().await.unwrap();
        federation.start_hub(PROVIDER).await.unwrap();
        federation.start_hub(CONSUMER).await.unwrap();
        let files = carry(&federation, &clock).await;
        federation.stop().await;
        Self { layout, files, _dir: dir }
    }

    pub(crate) fn anchor(&self) -> Anchor {
        serde_json::from_str(&std::fs::read_to_string(&self.layout.anchor).unwrap()).unwrap()
    }

    /// The file about something, read.
    pub(crate) fn read(&self, name: &str) -> EvidenceFile {
        let (_, file) = self.files.iter().find(|(known, _)| *known == name).unwrap();
        serde_json::from_slice(file).unwrap()
    }
}

async fn carry(federation: &Federation, clock: &Clock) -> Vec<(&'static str, Vec<u8>)> {
    let asked = ask(federation, "POST", &format!("/r1/{ECHO}/a?b=c"), b"question").await;
    let denied = ask(federation, "GET", "/r1/UZ/GOV/TAX/tax/tax/persons/x", b"").await;
    let other = ask(federation, "GET", &format!("/r1/{ECHO}/b"), b"").await;
    let (plain, batch) = ask_as_rogue(federation, clock).await;
    let slow = ask_slowly(federation, clock).await;
    for hub in [CONSUMER, PROVIDER] {
        let hub = federation.hub(hub).unwrap();
        witnesses::cosigned(hub, &clock.stopwatch()).await.unwrap();
    }
    let mut files = Vec::new();
    for (name, hub, exchange) in [
        ("consumer's", CONSUMER, &asked),
        ("provider's", PROVIDER, &asked),
        ("consumer's of another exchange", CONSUMER, &other),
        ("consumer's of a refusal", CONSUMER, &denied),
        ("provider's of a refusal", PROVIDER, &denied),
        ("plain Ed25519", PROVIDER, &plain),
        ("batch of five", PROVIDER, &batch),
        ("consumer's of a slow body", CONSUMER, &slow),
    ] {
        files.push((name, take(federation, hub, exchange).await));
    }
    files
}

/// Gives a member a P-256 signing key before anything runs: it signs without batches.
fn sign_with_p256(layout: &Layout, hub: &str, member: &str) {
    let central = layout.dir.join("central");
    let (key, certificate) = (central.join("authority.key"), central.join("authority.pem"));
    let files = AuthorityFiles { key: &key, certificate: &certificate };
    let authority = Authority::load(files).unwrap();
    let dir = &layout.place(hub).unwrap().dir;
    std::fs::remove_file(dir.join("signing.key")).unwrap();
    let key = signer::generate(Algorithm::EcdsaP256, &dir.join("signing.key")).unwrap();
    let member: MemberId = member.parse().unwrap();
    let validity = Validity { from: BEGIN, days: 30 };
    let issued = authority.issue_signing(&member, key.public_key(), validity).unwrap();
    std::fs::write(dir.join("signing.pem"), issued.to_pem()).unwrap();
    let mut content = layout.read_content().unwrap();
    let listed = content.members.iter_mut().find(|listed| listed.id == member).unwrap();
    listed.signing_certificates[0].certificate = issued.der().to_vec();
    layout.write_content(&content).unwrap();
}

/// Asks at the consumer's edge; gives the exchange's id.
async fn ask(federation: &Federation, method: &str, target: &str, body: &[u8]) -> String {
    let request = raw::request(method, target, &[("X-Road-Client", REGISTER)], body);
    let edge = federation.layout.place(CONSUMER).unwrap().edge_plain;
    exchange_of(&raw::talk(edge, &request).await.unwrap())
}

/// Asks with a body that comes half a minute after its head: when it is signed is later than when it was
/// begun, by more than clocks may differ.
async fn ask_slowly(federation: &Federation, clock: &Clock) -> String {
    let (headers, body) = ([("X-Road-Client", REGISTER), ("Expect", "100-continue")], b"slow");
    let request = raw::request("POST", &format!("/r1/{ECHO}/slow"), &headers, body);
    let (head, body) = request.split_at(request.len() - body.len());
    let edge = federation.layout.place(CONSUMER).unwrap().edge_plain;
    let mut stream = TcpStream::connect(edge).await.unwrap();
    stream.write_all(head).await.unwrap();
    // The hub says so when it begins to wait for the body.
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&go_on));
    clock.advance(Duration::from_secs(30));
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    exchange_of(&answer)
}

/// The exchange's id in a raw answer.
fn exchange_of(answer: &[u8]) -> String {
    let answer = Message::parse_all(answer).remove(0);
    let body = || serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap();
    let id = answer.header("x-road-request-id").map(ToOwned::to_owned);
    id.unwrap_or_else(|| body()["detail"].as_str().unwrap().to_owned())
}

/// Asks the provider with the consumer's keys: one request alone, and one of five under one root.
async fn ask_as_rogue(federation: &Federation, clock: &Clock) -> (String, String) {
    let place = federation.layout.place(CONSUMER).unwrap();
    let identity = rogue::identity(&place.dir, "peer").unwrap();
    let keys = SigningKeys::load(&place.dir).unwrap();
    let mut requests: Vec<Request<Bytes>> = (0..6)
        .map(|_| rogue::request(Method::GET, REGISTER, &format!("{ECHO}/r"), "").unwrap())
        .collect();
    rogue::sign_request(&mut requests[0], &keys, &keys.parameters(clock.now())).unwrap();
    rogue::sign_batch(&mut requests[1..], &keys, clock.now()).unwrap();
    let provider = federation.layout.place(PROVIDER).unwrap().peer;
    let rogue = RogueConsumer::new(&identity, clock).unwrap();
    let mut connection = rogue.connect(provider).await.unwrap();
    let mut ids = Vec::new();
    for request in [requests.remove(0), requests.remove(3)] {
        ids.push(request.headers()["x-road-request-id"].to_str().unwrap().to_owned());
        let answer = connection.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    (ids.remove(0), ids.remove(0))
}

/// The evidence of an exchange, once its checkpoint is stamped and cosigned by both that count.
async fn take(federation: &Federation, hub: &str, exchange: &str) -> Vec<u8> {
    let operator = federation::operator::Operator::of(federation.hub(hub).unwrap());
    let watch = Clock::machine().stopwatch();
    loop {
        let answer = operator.get(&format!("/v1/evidence/{exchange}")).await.unwrap();
        assert_eq!(answer.status, 200, "{hub}: {answer:?}");
        let file: EvidenceFile = serde_json::from_slice(&answer.body).unwrap();
        let lines = Note::parse(&file.checkpoint).unwrap().signatures().len();
        if file.timestamp.is_some() && lines == 3 {
            return answer.body.to_vec();
        }
        assert!(watch.elapsed() < DEADLINE, "{hub}: {lines} signatures, {:?}", file.timestamp);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
