//! The central server as a witness, over real HTTP. The log that is looked at is any whose key the
//! configuration has: here its own, signed by the test.

use pki::signer::NoteKey;
use schemas::limits::WITNESS_REQUEST_MAX_BYTES;
use schemas::tlog::merkle::{leaf_hash, root_of};
use schemas::tlog::witness::WitnessAnswer;
use schemas::tlog::{Checkpoint, Note, NoteSignature, NoteSigner as _, SplitView, WitnessVerifier};

use super::*;

const ORIGIN: &str = "koprik/UZ/central";

fn site() -> Site {
    let mut site = Site::new();
    let key = site.path("witness.pem");
    generate(Algorithm::Ed25519, &key).unwrap();
    site.config.witness_key_file = Some(key);
    site
}

/// A first request about a log of some records.
fn request(site: &Site, records: &[&str]) -> (String, Note) {
    let key = NoteKey::load(ORIGIN, &site.config.log_key_file).unwrap();
    let leaves: Vec<_> = records.iter().map(|record| leaf_hash(record.as_bytes())).collect();
    let (size, root) = (u64::try_from(leaves.len()).unwrap(), root_of(&leaves));
    let text = Checkpoint { origin: ORIGIN.into(), size, root }.to_string();
    let signature = key.sign(text.as_bytes()).unwrap().to_vec();
    let line = NoteSignature::new(ORIGIN, key.verifier().key_id(), signature).unwrap();
    let note = Note::new(&text, vec![line]).unwrap();
    (format!("old 0\n\n{note}"), note)
}

async fn add(central: &RunningCentral, body: String) -> WitnessAnswer {
    let uri = format!("http://{}/tlog-witness/add-checkpoint", central.address);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let asked = client.request(Request::post(uri).body(Full::<Bytes>::from(body)).unwrap());
    let answer = tokio::time::timeout(DEADLINE, asked).await.unwrap().unwrap();
    let (head, body) = answer.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    WitnessAnswer::read(head.status.as_u16(), &kind.unwrap_or_default(), &body)
}

#[tokio::test]
async fn registered_log_is_cosigned_and_remembered_over_a_restart() {
    let site = site();
    let central = site.start().await;
    let (body, note) = request(&site, &["one", "two"]);
    let WitnessAnswer::Cosigned(lines) = add(&central, body).await else { panic!() };
    let key = NoteKey::load("any", site.config.witness_key_file.as_ref().unwrap()).unwrap();
    let verifier = WitnessVerifier::new("koprik/UZ/central/witness", key.public_key()).unwrap();
    let cosigned = Note::new(note.text(), lines).unwrap();
    assert_eq!(verifier.verify(&cosigned), Ok(NOW));
    central.stop().await;
    let central = site.start().await;
    let (body, _) = request(&site, &["one", "two", "three"]);
    assert_eq!(add(&central, body).await, WitnessAnswer::Size(2), "C2SP tlog-witness, 409");
    central.stop().await;
}

#[tokio::test]
async fn split_view_is_an_alarm_with_both_checkpoints_that_verify_offline() {
    let site = site();
    let central = site.start().await;
    add(&central, request(&site, &["one", "two"]).0).await;
    health(&central, |report| report["warnings"] == serde_json::json!([])).await;
    assert_eq!(add(&central, request(&site, &["one", "other"]).0).await.status(), 409);
    let warned = |report: &serde_json::Value| {
        report["warnings"][0].as_str().is_some_and(|text| text.contains(ORIGIN))
    };
    health(&central, warned).await;
    let uri = format!("http://{}/admin/v1/alarms", central.admin_address);
    let listed = send(Request::get(uri).body(Full::default()).unwrap()).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    let [alarm] = listed["alarms"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let split_view: SplitView = serde_json::from_value(alarm["split_view"].clone()).unwrap();
    let key = NoteKey::load(ORIGIN, &site.config.log_key_file).unwrap();
    assert!(split_view.verify(key.verifier()).unwrap().0.proved());
    assert_eq!((&alarm["proved"], &alarm["log"]), (&true.into(), &ORIGIN.into()));
    central.stop().await;
}

#[tokio::test]
async fn unknown_log_and_long_request_are_refused_and_without_a_key_everything() {
    let mut site = site();
    let central = site.start().await;
    let (body, _) = request(&site, &["one"]);
    assert_eq!(add(&central, body.replace(ORIGIN, "another")).await.status(), 404);
    let long = format!("old 0\n{}", "A".repeat(WITNESS_REQUEST_MAX_BYTES));
    assert_eq!(add(&central, long).await.status(), 413);
    assert_eq!(add(&central, body.clone()).await.status(), 200);
    assert_eq!(get(&central, "/tlog-witness/add-checkpoint").await.status, 405);
    central.stop().await;
    site.config.witness_key_file = None;
    let central = site.start().await;
    assert_eq!(add(&central, body).await.status(), 404);
    central.stop().await;
}
