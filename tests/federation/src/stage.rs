//! The stage for what must not happen: two hubs, a source that does as the test says, one clock that
//! stands still until the test moves it.
//!
//! ```text
//! caller → hub `register` → hub `tax` → scripted source        hub `pensions`: laid out, not started
//! ```

use bytes::Bytes;
use http::{Method, Request};
use hub_core::policy::{Grant, GrantedPurpose};
use hub_server::RunningHub;
use hub_server::config::{HubConfig, Service};
use schemas::clock::{Clock, UnixMillis};
use serde_json::{Value, json};

use crate::agencies::{Agency, LEGAL_BASIS, PURPOSE, REGISTER};
use crate::layout::{HubPlace, REGISTER_HUB};
use crate::rogue::{self, Connection, RogueConsumer, SigningKeys};
use crate::scripted::{Play, Scripted};
use crate::{Answer, Caller, Federation, Options, lay_out};

/// The consumer's hub.
pub const CONSUMER: &str = REGISTER_HUB;
/// The provider's hub.
pub const PROVIDER: &str = "tax";
/// The provider's subsystem.
pub const PROVIDER_SUBSYSTEM: &str = "UZ/GOV/TAX/tax";
/// A hub whose keys are registered and that does not run.
pub const BYSTANDER: &str = "pensions";
/// A service with the contract [`contract`].
pub const PEOPLE: &str = "UZ/GOV/TAX/tax/people";
/// A service without contract.
pub const FILES: &str = "UZ/GOV/TAX/tax/files";
/// A good call to [`PEOPLE`]; the person is invented.
pub const PERSON: &str = "/persons/31505850010011";
/// The moment at which every stage begins, 2026-06-01T00:00:00Z.
pub const BEGIN: UnixMillis = UnixMillis(1_780_272_000_000);

/// What is on the stage.
#[derive(Debug)]
pub struct Stage {
    /// The federation.
    pub federation: Federation,
    /// The source behind [`PEOPLE`] and [`FILES`].
    pub source: Scripted,
    /// The register's own system at the plain edge of its hub.
    pub caller: Caller,
    /// The clock of all parties.
    pub clock: Clock,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// Everything runs; the source answers [`person`].
    ///
    /// # Errors
    /// The first part that does not start, with its reason.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// As [`Stage::start`], with the provider's configuration changed before.
    ///
    /// # Errors
    /// The first part that does not start, with its reason.
    pub async fn start_with(edit: impl FnOnce(&mut HubConfig)) -> anyhow::Result<Self> {
        let mut stage = Self::lay_out().await?;
        stage.federation.layout.edit_hub(PROVIDER, edit)?;
        stage.federation.start_central().await?;
        stage.federation.start_hub(PROVIDER).await?;
        stage.federation.start_hub(CONSUMER).await?;
        Ok(stage)
    }

    /// Only the source runs; the rest is on disk.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub async fn lay_out() -> anyhow::Result<Self> {
        Self::lay_out_at(BEGIN).await
    }

    /// As [`Stage::lay_out`], for a stage that begins at another moment.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub async fn lay_out_at(begin: UnixMillis) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let clock = Clock::manual(begin);
        let agencies = [PROVIDER, BYSTANDER].into_iter().filter_map(Agency::named).collect();
        let layout = lay_out(dir.path(), &Options { agencies, ..Options::all(clock.now()) })?;
        let source = Scripted::start(Play::json(200, &person())).await?;
        let contract_file = layout.dir.join("people.json");
        std::fs::write(&contract_file, contract().to_string())?;
        let service = |id: &str, contract| -> anyhow::Result<Service> {
            let url = format!("http://{}", source.address);
            let (title, timeout_seconds) = ("Scripted".to_owned(), Some(10));
            Ok(Service { id: id.parse()?, title, url, contract, timeout_seconds, disabled: None })
        };
        let services = [service(PEOPLE, Some(contract_file))?, service(FILES, None)?];
        let grants = [grant("people", PEOPLE)?, grant("files", FILES)?];
        layout.edit_hub(PROVIDER, |config| {
            config.services.extend(services);
            config.grants.extend(grants);
        })?;
        let federation = Federation::new(layout, clock.clone());
        let edge = federation.layout.place(CONSUMER)?.edge_plain;
        let caller = Caller::new(edge, REGISTER);
        Ok(Self { federation, source, caller, clock, _dir: dir })
    }

    /// Where a hub lies and listens.
    ///
    /// # Errors
    /// When there is no such hub.
    pub fn place(&self, hub: &str) -> anyhow::Result<&HubPlace> {
        self.federation.layout.place(hub)
    }

    /// A hub that runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn hub(&self, name: &str) -> anyhow::Result<&RunningHub> {
        self.federation.hub(name)
    }

    /// The good call.
    ///
    /// # Errors
    /// When the hub breaks off.
    pub async fn ask(&self) -> anyhow::Result<Answer> {
        self.caller.get(PEOPLE, PERSON).await
    }

    /// Changes the provider's configuration file and lets the hub look at it, as the next refresh would.
    ///
    /// # Errors
    /// When the hub refuses the file.
    pub async fn reconfigure(&self, edit: impl FnOnce(&mut HubConfig)) -> anyhow::Result<()> {
        self.federation.layout.edit_hub(PROVIDER, edit)?;
        self.hub(PROVIDER)?.refresh().await.map_err(anyhow::Error::msg)
    }

    /// The signing keys in a hub's folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn signing_keys(&self, hub: &str) -> anyhow::Result<SigningKeys> {
        SigningKeys::load(&self.place(hub)?.dir)
    }

    /// A connection to the provider's peer port with the authentication keys in a hub's folder.
    ///
    /// # Errors
    /// When the provider breaks off.
    pub async fn connect_as(&self, hub: &str) -> anyhow::Result<Connection> {
        let identity = rogue::identity(&self.place(hub)?.dir, "peer")?;
        RogueConsumer::new(&identity, &self.clock)?.connect(self.place(PROVIDER)?.peer).await
    }

    /// A request of the register that its own hub could have signed now: method, path and query of
    /// [`PEOPLE`], and body.
    ///
    /// # Errors
    /// When the path is none.
    pub fn signed(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Request<Bytes>> {
        let mut request = rogue::request(method, REGISTER, &format!("{PEOPLE}{path}"), body)?;
        let keys = self.signing_keys(CONSUMER)?;
        rogue::sign_request(&mut request, &keys, &keys.parameters(self.clock.now()))?;
        Ok(request)
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.federation.stop().await;
    }
}

/// A grant of a whole service to the register for its one purpose.
///
/// # Errors
/// When `service` is no identifier.
pub fn grant(id: &str, service: &str) -> anyhow::Result<Grant> {
    Ok(Grant {
        id: id.to_owned(),
        client: Some(REGISTER.parse()?),
        group: None,
        service: service.parse()?,
        endpoint: None,
        purposes: vec![purpose(PURPOSE)],
        valid_from: None,
        valid_until: None,
        rate_per_minute: None,
        subjects_max: None,
    })
}

/// A purpose as a grant names it.
#[must_use]
pub fn purpose(code: &str) -> GrantedPurpose {
    GrantedPurpose { code: code.to_owned(), legal_basis: LEGAL_BASIS.to_owned() }
}

/// A good answer of the source to [`PERSON`].
#[must_use]
pub fn person() -> Value {
    json!({"pinfl": "31505850010011", "income_soum": 1_200_000})
}

/// The contract of [`PEOPLE`]: one person by path, many by body, and one to be forgotten.
#[must_use]
pub fn contract() -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let pinfl = json!({"type": "string", "pattern": "^[1-6][0-9]{13}$"});
    let record = json!({"type": "object", "additionalProperties": false,
        "required": ["pinfl", "income_soum"],
        "properties": {"pinfl": pinfl, "income_soum": {"type": "integer", "minimum": 0}}});
    let error = json!({"type": "object", "additionalProperties": false, "required": ["error"],
        "properties": {"error": {"type": "string", "pattern": "^[a-z_]+$"}}});
    let no_record = json!({"type": "object", "additionalProperties": false, "required": ["error"],
        "properties": {"error": {"const": "no_record"}}});
    let many = json!({"type": "object", "additionalProperties": false, "required": ["pinfls"],
        "properties": {"pinfls": {"type": "array", "items": pinfl}}});
    let answers = json!({
        "200": {"description": "the record", "content": content(record)},
        "404": {"description": "no such person", "content": content(no_record)},
        "503": {"description": "the database is away", "content": content(error)},
    });
    json!({"openapi": "3.1.0", "info": {"title": "People", "version": "1"}, "paths": {
        "/persons/{pinfl}": {
            "get": {"x-koprik-subjects": ["path.pinfl"], "responses": answers},
            "delete": {"x-koprik-subjects": ["path.pinfl"], "responses": answers},
        },
        "/people": {"post": {
            "x-koprik-subjects": ["body:/pinfls"],
            "requestBody": {"required": true, "content": content(many)},
            "responses": answers,
        }},
    }})
}
