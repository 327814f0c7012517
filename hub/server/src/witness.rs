//! Witnessing: this hub looks at the logs of others, and others look at its own (C2SP tlog-witness).
//!
//! The central server's own log is looked at too (`central`): it cannot ask hubs, so that they go to it.
//!
//! Nothing here is on the path of a message (promise P7). Requests come and go over the connections between
//! security servers, or plain to a witness with a url; what they carry is signed.

mod central;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hub_core::configuration::{ConfigurationInForce, WitnessPlace};
use hub_messagelog::{IndexKind, MessageLog};
use hub_witness::{Alarm, Alarms, AskWitness, Asker, Gatherer, Witness};
use hyper::body::Incoming;
use pki::signer::NoteKey;
use schemas::clock::Clock;
use schemas::digest::Sha256;
use schemas::limits::{
    BODY_IDLE_TIMEOUT, WITNESS_ANSWER_MAX_BYTES, WITNESS_REQUEST_MAX_BYTES,
    WITNESS_REQUESTS_MAX_COUNT,
};
use schemas::record::{Kind, Record, Side};
use schemas::tlog::policy::own_witness_name;
use schemas::tlog::witness::{ADD_CHECKPOINT, OWN_PREFIX, WitnessAnswer};
use schemas::tlog::{Note, NoteVerifier, WitnessPolicy};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::admin::Fault;
use crate::config::HubConfig;
use crate::hub::{StartError, log_origin, trust};
use crate::listener::Caller;
use crate::reply::{Reply, reply};
use crate::search::{Search, Wanted};
use crate::spool::memory_body;
use crate::state::Hub;

/// Both sides of witnessing at a hub.
#[derive(Debug)]
pub(crate) struct Witnessing {
    /// Absent when this hub is no witness.
    witness: Option<Arc<Witness>>,
    pub(crate) gatherer: Gatherer,
    pub(crate) alarms: Arc<Alarms>,
    places: Arc<Semaphore>,
    central: central::Last,
    /// Seconds between two rounds.
    seconds: u64,
}

impl Witnessing {
    /// Opens what this hub knows of others' logs, and what others have cosigned of its own.
    pub(crate) fn open(
        config: &HubConfig,
        log: &MessageLog,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let dir = config.data_dir.join("witness");
        let alarms = Alarms::open(dir.join("alarms"), clock.clone());
        let alarms = alarms.map_err(|error| StartError::Data {
            path: dir.join("alarms"),
            reason: error.to_string(),
        })?;
        let alarms = Arc::new(alarms);
        let witness = match &config.witness {
            None => None,
            Some(section) => {
                let name = own_witness_name(&log_origin(&config.server));
                let shown = section.key.display().to_string();
                let key = NoteKey::load(&name, &section.key).map_err(|e| trust(&shown, e))?;
                let opened =
                    Witness::open(dir.join("logs"), Arc::new(key), clock.clone(), alarms.clone());
                let witness = opened.map_err(|error| trust("witness", error))?;
                tracing::info!(key = %witness.verifier(), "this hub is a witness");
                Some(Arc::new(witness))
            }
        };
        let gatherer = Gatherer::open(log.clone(), clock.clone(), alarms.clone());
        let places = Arc::new(Semaphore::new(WITNESS_REQUESTS_MAX_COUNT));
        let (central, seconds) = (central::Last::default(), config.log.witness_seconds);
        Ok(Self { witness, gatherer, alarms, places, central, seconds })
    }

    /// What the operator should look at.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.alarms.warning().into_iter().chain(self.gatherer.warnings()).collect()
    }
}

/// A checkpoint with the cosignatures that count under a policy, in its one spelling, and whether they are
/// enough. An auditor knows no other witnesses.
pub(crate) fn counted(
    note: Note,
    policy: Option<&WitnessPolicy>,
    log: &NoteVerifier,
) -> (Note, bool) {
    let kept = policy.and_then(|policy| {
        let kept = policy.keep(&note, log).ok()?;
        let reached = policy.check(&kept).ok()?.reached();
        Some((kept, reached))
    });
    kept.unwrap_or_else(|| (note.signed_by(log), false))
}

/// Whether a request of another security server is for the witness.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    request.uri().path().strip_prefix(OWN_PREFIX) == Some(ADD_CHECKPOINT)
}

/// Answers `add-checkpoint` of another security server.
pub(crate) async fn serve(hub: Arc<Hub>, caller: Caller, request: Request<Incoming>) -> Reply {
    let answer = judge(&hub, caller, request).await;
    let answer = answer.unwrap_or_else(|(status, text)| WitnessAnswer::Refused {
        status: status.as_u16(),
        text: format!("witness: {text}\n"),
    });
    reply(answer.status(), answer.content_type(), answer.body())
}

type Refusal = (StatusCode, &'static str);

/// The outcome of an alarm's record.
const SPLIT_VIEW: &str = "split-view";

async fn judge(
    hub: &Arc<Hub>,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<WitnessAnswer, Refusal> {
    let no_witness = "this security server is none; take it out of the global configuration";
    let witness = hub.witnessing.witness.clone().ok_or((StatusCode::NOT_FOUND, no_witness))?;
    if request.method() != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "add-checkpoint is a POST"));
    }
    let unknown = (StatusCode::FORBIDDEN, "the calling security server is not registered");
    let configuration = hub.in_force.load_full().ok_or(unknown)?;
    let asker = asker(&configuration, caller).ok_or(unknown)?;
    let busy = (StatusCode::SERVICE_UNAVAILABLE, "too many logs ask at once; ask again later");
    let place = hub.witnessing.places.clone().try_acquire_owned().map_err(|_| busy)?;
    let body = Limited::new(request.into_body(), WITNESS_REQUEST_MAX_BYTES).collect();
    let slow = (StatusCode::REQUEST_TIMEOUT, "the request does not arrive; send it at once");
    let body = tokio::time::timeout(BODY_IDLE_TIMEOUT, body).await.map_err(|_| slow)?;
    let large = (StatusCode::PAYLOAD_TOO_LARGE, "the request is cut or too long; send less");
    let body = body.map_err(|_| large)?.to_bytes();
    let (hub, runtime) = (hub.clone(), Handle::current());
    // Goes on to its end: an asker that breaks off, and who is accused may well, takes no alarm's record along.
    let judged = tokio::task::spawn_blocking(move || {
        let _place = place;
        let key_of = |origin: &str| configuration.log_key(origin).cloned();
        let answered = witness.add_checkpoint(&body, &asker, key_of);
        if let Some(alarm) = &answered.alarm {
            runtime.block_on(record(&hub, &configuration, alarm));
        }
        answered.answer
    });
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "it failed; its operator reads its log");
    judged.await.map_err(|_| failed)
}

/// The log of the calling server; `None` when no registered server calls.
fn asker(configuration: &ConfigurationInForce, caller: Caller) -> Option<Asker> {
    let Caller::Tls(Some(fingerprint)) = caller else { return None };
    let server = configuration.server_by_certificate(&fingerprint)?;
    let log = server.log_key.parse::<NoteVerifier>().ok();
    Some(log.map_or(Asker::Anyone, |log| Asker::ServerOf(log.name().to_owned())))
}

/// Makes an alarm a record (promise P3): whose log, and the digest of the split view.
async fn record(hub: &Hub, configuration: &ConfigurationInForce, alarm: &Alarm) {
    let text = alarm.split_view.to_text();
    let servers = &configuration.document().content.servers;
    let of_log = servers.iter().find(|server| {
        server.log_key.parse::<NoteVerifier>().is_ok_and(|key| key.name() == alarm.log())
    });
    let mut record = Record::new(Kind::Act, Side::Hub, hub.clock.now(), SPLIT_VIEW);
    record.peer = of_log.map(|server| server.id.to_string());
    record.body = Some(Sha256::of(text.as_bytes()));
    record.body_bytes = u64::try_from(text.len()).ok();
    record.configuration = Some(configuration.version());
    if let Err(error) = hub.journal.submit(&mut record, None).await {
        tracing::error!(%error, log = alarm.log(), "an alarm could not be recorded");
    }
}

/// Makes records of the alarms that have none: the hub was stopped, or killed, between the two.
async fn record_missing(
    hub: &Arc<Hub>,
    configuration: &ConfigurationInForce,
    alarms: &[Alarm],
) -> Result<(), Fault> {
    if alarms.is_empty() {
        return Ok(());
    }
    let outcome = Wanted::value(IndexKind::Outcome, SPLIT_VIEW.to_owned());
    let recorded = Search::of(outcome).run(hub).await?.records;
    for alarm in alarms {
        let digest = Some(Sha256::of(alarm.split_view.to_text().as_bytes()));
        if !recorded.iter().any(|found| found.record.body == digest) {
            record(hub, configuration, alarm).await;
        }
    }
    Ok(())
}

/// Shows the newest checkpoint to the witnesses, and looks at that of the central server, at each interval until told
/// to stop.
pub(crate) async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    let mut found_at_start = hub.witnessing.alarms.all();
    let rounds = async {
        loop {
            // First a pause: a hub that starts has exchanges to carry.
            tokio::time::sleep(Duration::from_secs(hub.witnessing.seconds)).await;
            if let Some(configuration) = hub.in_force.load_full() {
                match record_missing(&hub, &configuration, &found_at_start).await {
                    Ok(()) => found_at_start.clear(),
                    Err(fault) => tracing::error!(cause = fault.1, "alarms may be without records"),
                }
                let witnesses = Witnesses { hub: &hub, configuration: &configuration };
                let own = hub.witnessing.gatherer.round(&configuration, &witnesses);
                let (own, of_central) = tokio::join!(own, central::look(&hub, &configuration));
                for alarm in own.into_iter().chain(of_central) {
                    record(&hub, &configuration, &alarm).await;
                }
            }
        }
    };
    tokio::select! {
        () = rounds => {}
        // What is cut off here is a question, or a file that is not yet renamed: nothing is torn.
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// The ways to the witnesses.
struct Witnesses<'a> {
    hub: &'a Hub,
    configuration: &'a ConfigurationInForce,
}

impl AskWitness for Witnesses<'_> {
    async fn ask(&self, place: &WitnessPlace, body: String) -> Result<WitnessAnswer, String> {
        match place {
            WitnessPlace::Server(id) => {
                let server = self.configuration.server(id).ok_or("the server is not registered")?;
                let uri = format!("https://{}{OWN_PREFIX}{ADD_CHECKPOINT}", server.address);
                let request = Request::post(uri).body(memory_body(body));
                let client = self.hub.peers.load_full();
                answer(client.request(request.map_err(|error| error.to_string())?)).await
            }
            WitnessPlace::Url(prefix) => {
                let request = Request::post(format!("{prefix}{ADD_CHECKPOINT}"));
                let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
                answer(self.hub.central.request(request)).await
            }
        }
    }
}

async fn answer(
    sent: impl Future<Output = Result<http::Response<Incoming>, hyper_util::client::legacy::Error>>,
) -> Result<WitnessAnswer, String> {
    let answer = sent.await.map_err(|error| crate::consumer::chain(&error))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, WITNESS_ANSWER_MAX_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = String::from_utf8_lossy(&body);
    Ok(WitnessAnswer::read(head.status.as_u16(), kind.unwrap_or_default(), &text))
}
