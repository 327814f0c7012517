//! This hub as a witness of the central server's log of configurations.
//!
//! ```text
//!  GET /log/add-checkpoint?old=N ──► add-checkpoint, as another log would send it ──► the hub's own witness
//!                                                                                     │ cosignature │ alarm
//!                 POST /log/cosignatures ◄────────────────────────────────────────────┘             └─► record
//! ```
//!
//! Two members that are shown two worlds are shown two trees of one log: the witness of one of them refuses, and both
//! signed checkpoints are the proof.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, StatusCode};
use http_body_util::Full;
use hub_core::configuration::ConfigurationInForce;
use hub_witness::{Alarm, Answered, Asker, Witness};
use schemas::limits::WITNESS_TIMEOUT;
use schemas::tlog::witness::{AddCheckpoint, OWN_COSIGNATURES, OWN_REQUEST, WitnessAnswer};
use schemas::tlog::{Note, NoteVerifier};

use crate::refresh::fetch;
use crate::state::Hub;

/// The size that was cosigned last, and what went wrong last.
#[derive(Debug, Default)]
pub(super) struct Last(Mutex<Seen>);

#[derive(Clone, Debug, Default)]
struct Seen {
    size: u64,
    trouble: Option<String>,
}

impl Last {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the central server's newest checkpoint, cosigns it and brings the cosignature back. Gives the alarm that
/// this raised.
pub(super) async fn look(hub: &Hub, configuration: &ConfigurationInForce) -> Option<Alarm> {
    let own = hub.witnessing.witness.as_ref()?;
    // A cosignature of a witness that is not listed counts for nobody.
    let listed =
        configuration.witnesses().iter().any(|witness| witness.verifier == *own.verifier());
    let key = configuration.document().content.central_log.as_ref().filter(|_| listed)?;
    let key: NoteVerifier = key.parse().ok()?;
    let mut trouble = None;
    for central in &hub.anchor.central {
        match at(hub, central, &key).await {
            Ok(alarm) => {
                if alarm.is_none() {
                    note_trouble(hub, None);
                }
                return alarm;
            }
            Err(reason) => trouble = Some(format!("{central}: {reason}")),
        }
    }
    note_trouble(hub, trouble);
    None
}

/// Says once what keeps the log from being cosigned: the central server may be away (promise P7).
fn note_trouble(hub: &Hub, trouble: Option<String>) {
    let mut seen = hub.witnessing.central.seen();
    if let Some(reason) = trouble.as_ref().filter(|_| seen.trouble != trouble) {
        tracing::warn!(reason, "the central server's log is not cosigned by this hub now");
    }
    seen.trouble = trouble;
}

async fn at(hub: &Hub, central: &str, key: &NoteVerifier) -> Result<Option<Alarm>, String> {
    let own = hub.witnessing.witness.as_ref().ok_or("this hub is no witness")?;
    let mut old = hub.witnessing.central.seen().size;
    // Once more when the witness knows another size, as after a restart.
    for _ in 0..2 {
        let uri = format!("{central}{OWN_REQUEST}?old={old}");
        let body = fetch(hub, &uri, None).await?.ok_or("it gives no checkpoint")?;
        let request: AddCheckpoint = body.parse().map_err(|e| format!("{e}"))?;
        if own.verifier().verify(request.note()).is_ok() {
            return Ok(None);
        }
        let size = request.checkpoint().size;
        let Answered { answer, alarm } = judge(own.clone(), body, key.clone()).await?;
        match answer {
            WitnessAnswer::Cosigned(lines) => {
                let note = Note::new(request.note().text(), lines).map_err(|e| e.to_string())?;
                hub.witnessing.central.seen().size = size;
                return bring(hub, central, note.to_string()).await.map(|()| alarm);
            }
            WitnessAnswer::Size(known) if known > size => {
                return Err(format!(
                    "its log has {size} versions and this hub has cosigned {known}: it was restored from an old \
                     copy, or another copy of it runs elsewhere; stop the wrong one"
                ));
            }
            WitnessAnswer::Size(known) => old = known,
            WitnessAnswer::Contradicted { .. } if alarm.is_some() => return Ok(alarm),
            WitnessAnswer::Contradicted { .. } => {
                return Err(
                    "this hub has cosigned another history of its log; see the alarms".into()
                );
            }
            WitnessAnswer::Refused { text, .. } => return Err(text),
        }
    }
    Err("its checkpoint does not extend the one that this hub has cosigned".to_owned())
}

/// Shows the request to this hub's own witness.
async fn judge(own: Arc<Witness>, body: String, key: NoteVerifier) -> Result<Answered, String> {
    let judged = tokio::task::spawn_blocking(move || {
        // Over plain HTTP anybody may have answered: a wrong proof casts no doubt, but from a power of two on.
        own.add_checkpoint(body.as_bytes(), &Asker::Anyone, |origin| {
            (origin == key.name()).then(|| key.clone())
        })
    });
    judged.await.map_err(|_| "the witness failed; see the program log".to_owned())
}

/// Brings the checkpoint with this hub's cosignature.
async fn bring(hub: &Hub, central: &str, note: String) -> Result<(), String> {
    let request = Request::post(format!("{central}{OWN_COSIGNATURES}")).body(Full::from(note));
    let sent = hub.central.request(request.map_err(|error| error.to_string())?);
    let answer = tokio::time::timeout(WITNESS_TIMEOUT, sent).await;
    let answer = answer.map_err(|_| "it does not take the cosignature in time")?;
    let status = answer.map_err(|error| crate::consumer::chain(&error))?.status();
    match status {
        StatusCode::NO_CONTENT => Ok(()),
        status => Err(format!("it answers {status} to the cosignature")),
    }
}
