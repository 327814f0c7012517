//! The central server as a witness of the logs of security servers (C2SP tlog-witness), plain HTTP: what is
//! asked and answered is signed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hub_witness::{Alarms, Asker, Witness};
use pki::signer::NoteKey;
use schemas::clock::Clock;
use schemas::limits::WITNESS_REQUESTS_MAX_COUNT;
use schemas::tlog::policy::own_witness_name;
use tokio::sync::Semaphore;

use crate::api::Public;
use crate::{CentralConfig, CentralError};

/// The witness, if the central server is one, and what it has seen.
#[derive(Debug)]
pub(crate) struct Witnessing {
    witness: Option<Arc<Witness>>,
    pub(crate) alarms: Arc<Alarms>,
    places: Semaphore,
}

impl Witnessing {
    /// Opens what was cosigned and seen before. Blocking.
    pub(crate) fn open(config: &CentralConfig, clock: &Clock) -> Result<Self, CentralError> {
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
        Ok(Self { witness, alarms, places: Semaphore::new(WITNESS_REQUESTS_MAX_COUNT) })
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
