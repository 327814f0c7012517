//! The central server as a witness of the logs of security servers (C2SP tlog-witness), and the cosignatures of
//! its own log, which the hubs bring. Plain HTTP: what is asked and answered is signed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hub_messagelog::MessageLog;
use hub_witness::{Alarms, Asker, Gatherer, Witness};
use pki::signer::NoteKey;
use schemas::clock::Clock;
use schemas::limits::WITNESS_REQUESTS_MAX_COUNT;
use schemas::tlog::Note;
use schemas::tlog::policy::own_witness_name;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::api::Public;
use crate::{CentralConfig, CentralError};

/// The witness, if the central server is one, and what it has seen.
#[derive(Debug)]
pub(crate) struct Witnessing {
    witness: Option<Arc<Witness>>,
    pub(crate) alarms: Arc<Alarms>,
    /// The cosignatures of this server's own log.
    pub(crate) gatherer: Gatherer,
    places: Semaphore,
}

impl Witnessing {
    /// Opens what was cosigned and seen before. Blocking.
    pub(crate) fn open(
        config: &CentralConfig,
        log: &MessageLog,
        clock: &Clock,
    ) -> Result<Self, CentralError> {
        let dir = config.data_dir.join("witness");
        let alarms = Alarms::open(dir.join("alarms"), clock.clone());
        let alarms = alarms.map_err(|cause| CentralError::io("opening", &dir, cause))?;
        let alarms = Arc::new(alarms);
        let open = |file| -> Result<Arc<Witness>, CentralError> {
            let key = Arc::new(NoteKey::load(&own_witness_name(&config.origin()), file)?);
            let witness = Witness::open(dir.join("logs"), key, clock.clone(), alarms.clone())?;
            tracing::info!(key = %witness.verifier(), "the central server is a witness");
            Ok(Arc::new(witness))
        };
        let witness = config.witness_key_file.as_deref().map(open).transpose()?;
        let gatherer = Gatherer::open(log.clone(), clock.clone(), alarms.clone());
        let places = Semaphore::new(WITNESS_REQUESTS_MAX_COUNT);
        Ok(Self { witness, alarms, gatherer, places })
    }
}

/// `POST add-checkpoint`.
pub(crate) async fn add_checkpoint(State(public): State<Public>, body: Bytes) -> Response {
    let refuse =
        |status: StatusCode, text: &str| (status, format!("witness: {text}\n")).into_response();
    let Some(witness) = public.witnessing.witness.clone() else {
        let text = "this central server is none; take it out of the global configuration";
        return refuse(StatusCode::NOT_FOUND, text);
    };
    let Some(served) = public.served.load_full() else {
        let text = "no global configuration names a log yet; ask again in a second";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let Ok(_place) = public.witnessing.places.try_acquire() else {
        let text = "too many logs ask at once; ask again later";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let judged = tokio::task::spawn_blocking(move || {
        witness.add_checkpoint(&body, &Asker::Anyone, |origin| served.log_key(origin).cloned())
    });
    let Ok(answered) = judged.await else {
        let text = "it failed; its operator reads its program log";
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    let answer = answered.answer;
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, [(CONTENT_TYPE, answer.content_type())], answer.body()).into_response()
}

/// From which tree on a witness knows the log.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    old: u64,
}

/// The request by which a witness cosigns this server's log.
pub(crate) async fn request(State(public): State<Public>, Query(known): Query<Known>) -> Response {
    match public.witnessing.gatherer.request_from(known.old).await {
        Ok(request) => request.into_response(),
        Err(reason) => {
            let text = format!("central server: its log cannot be cosigned now: {reason}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// Takes the checkpoint with cosignatures that a witness brings.
pub(crate) async fn cosignatures(State(public): State<Public>, body: String) -> Response {
    let refuse = |status, text: &str| (status, format!("central server: {text}\n")).into_response();
    let Ok(brought) = Note::parse(&body) else {
        let text = "this is no signed note; send the checkpoint with the cosignatures";
        return refuse(StatusCode::BAD_REQUEST, text);
    };
    let Some(served) = public.served.load_full() else {
        let text = "no global configuration names a witness yet; come again in a second";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let Ok(_place) = public.witnessing.places.try_acquire() else {
        let text = "too many witnesses come at once; come again later";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    match public.witnessing.gatherer.take(&served, &brought).await {
        Some(0) => {
            let text = "no cosignature is of a witness that the global configuration lists; compare its key";
            refuse(StatusCode::FORBIDDEN, text)
        }
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => {
            let text =
                "this is not the newest checkpoint, or no witness is listed; ask for the newest";
            refuse(StatusCode::CONFLICT, text)
        }
    }
}
