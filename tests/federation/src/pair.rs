//! Two security servers with a scripted source behind the second: the smallest federation that carries a byte.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source that keeps what it heard
//! ```

use std::path::Path;

use hub_core::policy::{Grant, GrantedPurpose};
use hub_server::config::{HubConfig, Service};
use schemas::clock::Clock;

use crate::agencies::{Agency, LEGAL_BASIS, PURPOSE, REGISTER};
use crate::raw::{self, Message};
use crate::source::Source;
use crate::{Federation, Options, lay_out};

/// The service without contract that the provider publishes from the source.
pub const ECHO: &str = "UZ/GOV/TAX/tax/echo";
/// Name of the consumer's hub.
pub const CONSUMER: &str = "register";
/// Name of the provider's hub.
pub const PROVIDER: &str = "tax";

/// Two hubs and a source that run.
#[derive(Debug)]
pub struct Pair {
    /// The federation; its tax adapter does not run.
    pub federation: Federation,
    /// The source behind [`ECHO`].
    pub source: Source,
}

impl Pair {
    /// Lays out and starts two hubs with the service [`ECHO`], open to the register as a whole.
    ///
    /// # Errors
    /// The first part that does not start, with its reason.
    pub async fn start(dir: &Path, source: Source) -> anyhow::Result<Self> {
        Self::start_with(dir, source, 65_536, |_| ()).await
    }

    /// As [`Pair::start`], with bodies up to `keep_bodies_bytes` kept as evidence, and the provider's
    /// configuration changed before the start.
    ///
    /// # Errors
    /// The first part that does not start, with its reason.
    pub async fn start_with(
        dir: &Path,
        source: Source,
        keep_bodies_bytes: usize,
        edit: impl FnOnce(&mut HubConfig),
    ) -> anyhow::Result<Self> {
        Self::start_under(Clock::machine(), dir, source, (keep_bodies_bytes, edit)).await
    }

    /// As [`Pair::start_with`], under a clock of the test's.
    ///
    /// # Errors
    /// The first part that does not start, with its reason.
    pub async fn start_under<F: FnOnce(&mut HubConfig)>(
        clock: Clock,
        dir: &Path,
        source: Source,
        (keep_bodies_bytes, edit): (usize, F),
    ) -> anyhow::Result<Self> {
        let agencies = Agency::named("tax").into_iter().collect();
        let options = Options { agencies, keep_bodies_bytes, ..Options::all(clock.now()) };
        let layout = lay_out(dir, &options)?;
        let (service, grant) = (echo(&source)?, whole_service(ECHO)?);
        layout.edit_hub(PROVIDER, |config| {
            config.services.push(service);
            config.grants.push(grant);
            edit(config);
        })?;
        let mut federation = Federation::new(layout, clock);
        federation.start_central().await?;
        federation.start_hub(PROVIDER).await?;
        federation.start_hub(CONSUMER).await?;
        Ok(Self { federation, source })
    }

    /// Sends raw bytes to the consumer's edge without TLS and reads all answers.
    ///
    /// # Errors
    /// Those of [`raw::talk`].
    pub async fn say(&self, bytes: &[u8]) -> std::io::Result<Vec<Message>> {
        let edge = self.federation.layout.hubs.get(CONSUMER).map(|place| place.edge_plain);
        let edge = edge.ok_or_else(|| std::io::Error::other("the layout has no consumer"))?;
        Ok(Message::parse_all(&raw::talk(edge, bytes).await?))
    }

    /// Sends one request for `path` of [`ECHO`] with `X-Road-Client` and `headers`, and gives its answer.
    ///
    /// # Errors
    /// Those of [`Pair::say`]; also when there is not exactly one answer.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Message> {
        let headers = [&[("X-Road-Client", REGISTER)], headers].concat();
        let bytes = raw::request(method, &format!("/r1/{ECHO}{path}"), &headers, body);
        let mut answers = self.say(&bytes).await?;
        let only = answers.pop().filter(|_| answers.is_empty());
        only.ok_or_else(|| anyhow::anyhow!("expected one answer, not {}", answers.len()))
    }
}

/// The service [`ECHO`], without contract, in front of a source.
///
/// # Errors
/// Never: its identifier is well-formed.
pub fn echo(source: &Source) -> anyhow::Result<Service> {
    Ok(Service {
        id: ECHO.parse()?,
        title: "Echo".to_owned(),
        url: format!("http://{}", source.address),
        contract: None,
        timeout_seconds: Some(5),
        disabled: None,
    })
}

/// A grant of a whole service to the register.
///
/// # Errors
/// When `service` is no identifier.
pub fn whole_service(service: &str) -> anyhow::Result<Grant> {
    Ok(Grant {
        id: "whole-service".to_owned(),
        client: Some(REGISTER.parse()?),
        group: None,
        service: service.parse()?,
        endpoint: None,
        purposes: vec![GrantedPurpose {
            code: PURPOSE.to_owned(),
            legal_basis: LEGAL_BASIS.to_owned(),
        }],
        valid_from: None,
        valid_until: None,
        rate_per_minute: None,
        subjects_max: None,
    })
}
