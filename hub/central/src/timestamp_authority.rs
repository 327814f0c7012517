//! The timestamp authority as a server of its own (RFC 3161 §3.4): queries over HTTP in, tokens out.
//!
//! For exchanges that have no other. It keeps nothing: a token is worth what its key is worth, so it
//! runs apart from every hub, under other hands. Who may ask is not limited; what is asked is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use pki::authority::AuthorityFiles;
use pki::timestamp::TimestampAuthority;
use pki::trust::Certificate;
use schemas::clock::Clock;
use schemas::limits::{BODY_IDLE_TIMEOUT, TIMESTAMP_QUERY_MAX_BYTES};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::CentralError;
use crate::http::serve;
use crate::start::{bind, local, pass_on_panic};

/// The media type of a query (RFC 3161 §3.4).
const QUERY: &str = "application/timestamp-query";
/// The media type of a reply (RFC 3161 §3.4).
const REPLY: &str = "application/timestamp-reply";

/// The timestamp authority's TOML file; unknown keys are refused.
///
/// ```
/// let config: hub_central::TimestampAuthorityConfig = toml::from_str(r#"
///     listen = "127.0.0.1:3180"
///     certificate = "/etc/koprik/timestamps.pem"
///     key = "/etc/koprik/timestamps.key"
///     policy = "1.3.6.1.4.1.32473.1"
/// "#)?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampAuthorityConfig {
    /// Where hubs ask, plain HTTP: what is served is signed.
    pub listen: SocketAddr,
    /// The certificate, PEM; its only extended key usage is timeStamping, critical.
    pub certificate: PathBuf,
    /// Its key, ECDSA P-256 PKCS#8 PEM, 0600.
    pub key: PathBuf,
    /// The object identifier of the policy that tokens are made under.
    pub policy: String,
}

impl TimestampAuthorityConfig {
    /// Reads a configuration file; relative paths in it count from its folder.
    ///
    /// # Errors
    /// [`CentralError::Config`], [`CentralError::Io`].
    pub fn load(path: &Path) -> Result<Self, CentralError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|cause| CentralError::io("reading", path, cause))?;
        let refused = |cause: toml::de::Error| CentralError::Config(cause.to_string());
        let mut config: Self = toml::from_str(&text).map_err(refused)?;
        let base = path.parent().unwrap_or(Path::new("."));
        for file in [&mut config.certificate, &mut config.key] {
            *file = base.join(&*file);
        }
        Ok(config)
    }
}

/// A timestamp authority that runs.
#[derive(Debug)]
pub struct RunningTimestampAuthority {
    /// Where it answers.
    pub address: SocketAddr,
    /// Its certificate, as the global configuration may list it.
    pub certificate: Certificate,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl RunningTimestampAuthority {
    /// Waits until the server ends, which it does only by a panic.
    pub async fn ended(&mut self) {
        if let Some(ended) = self.tasks.join_next().await {
            pass_on_panic(ended);
        }
    }

    /// Stops; running requests end first.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.ended().await;
    }
}

/// Starts a timestamp authority.
///
/// # Errors
/// A key or certificate that is not fit for timestamps, an address in use.
pub async fn start_timestamp_authority(
    config: TimestampAuthorityConfig,
    clock: Clock,
) -> Result<RunningTimestampAuthority, CentralError> {
    let files = AuthorityFiles { key: &config.key, certificate: &config.certificate };
    let authority = TimestampAuthority::load(files, &config.policy)?;
    let certificate = authority.certificate().clone();
    let listener = bind(config.listen).await?;
    let address = local(&listener, config.listen)?;
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(
        listener,
        router(Stamps { authority: Arc::new(authority), clock }),
        stopping,
    ));
    Ok(RunningTimestampAuthority { address, certificate, stop, tasks })
}

#[derive(Clone)]
struct Stamps {
    authority: Arc<TimestampAuthority>,
    clock: Clock,
}

fn router(stamps: Stamps) -> Router {
    Router::new()
        .route("/", post(stamp))
        .route("/health", get(async || "live\n"))
        .layer(DefaultBodyLimit::max(TIMESTAMP_QUERY_MAX_BYTES))
        .with_state(stamps)
}

async fn stamp(State(stamps): State<Stamps>, request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind != Some(QUERY) {
        let text = format!("send the query as {QUERY} (RFC 3161 §3.4)\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let received = Bytes::from_request(request, &());
    let query = match tokio::time::timeout(BODY_IDLE_TIMEOUT, received).await {
        Ok(Ok(query)) => query,
        Ok(Err(refused)) => return refused.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let answered = stamps.authority.answer(&query, stamps.clock.now());
    let reply = answered.unwrap_or_else(|(refusal, reply)| {
        tracing::info!(%refusal, "a timestamp query was refused");
        reply
    });
    ([(CONTENT_TYPE, REPLY)], reply).into_response()
}
