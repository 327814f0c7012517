//! Refreshing: the global configuration from the central server, clients, services and grants from the file.
//!
//! A refused configuration changes nothing: the last good one stays in force until it expires (promise
//! P7), and the refusal is a record. What is accepted is on disk before it is in force.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hub_core::configuration::{Accepted, ConfigurationInForce, Stored, Trusted, offered_version};
use schemas::clock::UnixMillis;
use schemas::configuration::Anchor;
use schemas::limits::CONFIGURATION_MAX_BYTES;
use tokio::sync::watch;

use crate::config::HubConfig;
use crate::local::Local;
use crate::state::Hub;

/// Seconds between tries while there is no configuration at all.
const FIRST_SECONDS: u64 = 1;

/// Refreshes until told to stop.
pub(crate) async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(reason) = once(&hub).await {
            tracing::warn!(reason, "refresh failed; what is in force stays");
        }
        let missing = hub.in_force.load().is_none();
        let seconds = if missing { FIRST_SECONDS } else { hub.refresh_seconds };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One look at the central server and the file.
pub(crate) async fn once(hub: &Hub) -> Result<(), String> {
    let local = reload_local(hub);
    let configuration = refresh_configuration(hub).await;
    local.and(configuration)
}

/// Reads clients, services and grants again; a faulty file changes nothing.
fn reload_local(hub: &Hub) -> Result<(), String> {
    let Some(file) = &hub.file else { return Ok(()) };
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let hash = schemas::digest::Sha256::of(text.as_bytes());
    {
        let mut seen = hub.file_seen.lock().unwrap_or_else(|lock| lock.into_inner());
        match *seen {
            Some(old) if old == hash => return Ok(()),
            // The state at the start was read from this file already.
            None => {
                *seen = Some(hash);
                return Ok(());
            }
            Some(_) => *seen = Some(hash),
        }
    }
    let loaded = HubConfig::load(file).and_then(|config| Local::load(&config));
    let local = loaded.map_err(|error| error.to_string())?;
    hub.local.store(Arc::new(local));
    drop(hub.journal.act("configuration-file-reloaded"));
    tracing::info!("clients, services and grants are reloaded");
    Ok(())
}

async fn refresh_configuration(hub: &Hub) -> Result<(), String> {
    let mut reasons = Vec::new();
    for central in &hub.anchor.central {
        match from_central(hub, central).await {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(format!("{central}: {reason}")),
        }
    }
    Err(reasons.join("; "))
}

async fn from_central(hub: &Hub, central: &str) -> Result<(), String> {
    let trusted = hub.trusted.lock().unwrap_or_else(|lock| lock.into_inner()).clone();
    let Some(latest) = fetch(hub, &format!("{central}/v1/configuration"), trusted.hash()).await?
    else {
        return Ok(());
    };
    let accepted = match catch_up(hub, central, trusted, &latest).await {
        Ok(accepted) => accepted,
        Err(reason) => {
            drop(hub.journal.act("configuration-refused"));
            return Err(reason);
        }
    };
    let Some(accepted) = accepted else { return Ok(()) };
    let version = accepted.in_force.version();
    store(&hub.data_dir, &accepted).map_err(|error| {
        let dir = hub.data_dir.display();
        format!(
            "version {version} cannot be stored in {dir}: {error}; make room, or repair the disk"
        )
    })?;
    {
        let mut trusted = hub.trusted.lock().unwrap_or_else(|lock| lock.into_inner());
        if trusted.version().is_some_and(|held| held >= version) {
            return Ok(());
        }
        *trusted = accepted.trusted;
    }
    for warning in accepted.in_force.warnings() {
        tracing::warn!(warning, version, "global configuration");
    }
    hub.put_in_force(accepted.in_force);
    drop(hub.journal.act(&format!("configuration-{version}-in-force")));
    tracing::info!(version, "global configuration in force");
    Ok(())
}

async fn catch_up(
    hub: &Hub,
    central: &str,
    mut trusted: Trusted,
    latest: &str,
) -> Result<Option<Accepted>, String> {
    let offered = offered_version(latest).ok_or("the answer is no global configuration")?;
    let now = hub.clock.now();
    let versions = trusted.versions_to_fetch(offered).map_err(|error| error.to_string())?;
    let Some(versions) = versions else {
        // The same version: it must be the same content.
        return trusted.accept(latest, now).map(|_| None).map_err(|error| error.to_string());
    };
    for version in versions.clone().take_while(|version| version != versions.end()) {
        let uri = format!("{central}/v1/configuration/{version}");
        let note = fetch(hub, &uri, None).await?.ok_or("a version is missing")?;
        keep(&hub.data_dir, version, &note).map_err(|error| error.to_string())?;
        trusted = trusted.accept_intermediate(&note, now).map_err(|error| error.to_string())?;
    }
    trusted.accept(latest, now).map(Some).map_err(|error| error.to_string())
}

/// `None` when the server says that nothing has changed.
pub(crate) async fn fetch(
    hub: &Hub,
    uri: &str,
    held: Option<schemas::digest::Sha256>,
) -> Result<Option<String>, String> {
    let mut request = Request::get(uri);
    if let Some(hash) = held {
        request = request.header("if-none-match", format!("\"{hash}\""));
    }
    let request = request.body(Full::default()).map_err(|error| error.to_string())?;
    let answer = async {
        let answer = hub.central.request(request).await.map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            200 => {}
            304 => return Ok(None),
            status => return Err(format!("the central server answers {status}")),
        }
        let body = Limited::new(answer.into_body(), CONFIGURATION_MAX_BYTES).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some).map_err(|_| "the answer is not UTF-8".to_owned())
    };
    tokio::time::timeout(Duration::from_secs(20), answer)
        .await
        .map_err(|_| "the central server is too slow".to_owned())?
}

/// The last good configuration on disk, or trust in the anchor alone.
pub(crate) fn restore(
    data_dir: &Path,
    anchor: &Anchor,
    now: UnixMillis,
) -> Result<(Trusted, Option<ConfigurationInForce>), String> {
    let from_anchor = || Trusted::from_anchor(anchor).map_err(|error| error.to_string());
    let path = data_dir.join("configuration.json");
    let refused = |error: &dyn std::fmt::Display| {
        format!("{}: {error}; remove the file to start from the anchor again", path.display())
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((from_anchor()?, None)),
        // Not from the anchor in silence: this file is what holds off a rollback.
        Err(error) => return Err(refused(&error)),
    };
    let stored: Stored = serde_json::from_str(&text).map_err(|error| refused(&error))?;
    if stored.instance != anchor.instance {
        return Err(refused(&"it is of another instance than the anchor"));
    }
    let accepted = Trusted::restore(&stored, now).map_err(|error| refused(&error))?;
    Ok((accepted.trusted, Some(accepted.in_force)))
}

/// Writes what is accepted: the version for later evidence, then the state to start from.
///
/// | cut short | on disk | afterwards |
/// |---|---|---|
/// | before the version is renamed | the old state, an unfinished file | it lies there unused; the version is fetched again |
/// | between the two | the version as well | the same; it is written over with the same bytes |
/// | after the rename of the state, before its directory is synced | the old state or the new | the hub starts from either; the new one was not in force yet |
/// | the disk is full, or a sync fails | the old state | it stays in force until it expires; the next refresh tries again |
/// | bits rot | any bytes | the hub does not start and names the file: signatures no longer verify |
fn store(data_dir: &Path, accepted: &Accepted) -> std::io::Result<()> {
    keep(data_dir, accepted.in_force.version(), accepted.in_force.note())?;
    let text = serde_json::to_vec(&accepted.stored()).map_err(std::io::Error::other)?;
    write_durably(data_dir, "configuration.json", &text)
}

fn keep(data_dir: &Path, version: u64, note: &str) -> std::io::Result<()> {
    let name = format!("{version:010}.note");
    write_durably(&data_dir.join("configurations"), &name, note.as_bytes())
}

/// The global configuration that was in force at a version.
pub(crate) fn kept(data_dir: &Path, version: u64) -> std::io::Result<String> {
    std::fs::read_to_string(data_dir.join("configurations").join(format!("{version:010}.note")))
}

/// Makes a directory whose name is durable on return, also when it was there.
pub(crate) fn make_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    std::fs::File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes a file as a whole, for its owner alone: afterwards it is there with all its bytes, or as it was before.
pub(crate) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name)).map_err(|error| error.error)?;
    std::fs::File::open(dir)?.sync_all()
}
