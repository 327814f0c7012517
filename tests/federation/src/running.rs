//! A federation in one process: every server a task tree of its own, one clock for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapter_kit::{AdapterConfig, Outbox, RunningAdapter, RunningOutbox};
use anyhow::Context as _;
use hub_central::{
    CentralConfig, RunningCentral, RunningTimestampAuthority, TimestampAuthorityConfig,
    start_timestamp_authority,
};
use hub_server::{HubConfig, RunningHub};
use payments::bank::Bank;
use payments::treasury::Treasury;
use payments::{PaymentPartyConfig, RunningParty};
use register_server::{RegisterConfig, RunningRegister};
use schemas::clock::Clock;

use crate::agencies::TREASURY;
use crate::layout::Layout;
use crate::payments::BANK;

/// Servers that run; each can be stopped and started alone.
#[derive(Debug)]
pub struct Federation {
    /// Where everything lies.
    pub layout: Layout,
    /// The clock that all servers share.
    pub clock: Clock,
    /// The central server, while it runs.
    pub central: Option<RunningCentral>,
    /// Security servers that run, by agency name or `register`.
    pub hubs: BTreeMap<String, RunningHub>,
    /// Adapters that run, by agency name.
    pub adapters: BTreeMap<String, RunningAdapter>,
    /// Their outboxes that run, by agency name.
    pub outboxes: BTreeMap<String, RunningOutbox>,
    /// The register, while it runs.
    pub register: Option<RunningRegister>,
    /// The treasury's side of the payments, if there is one, while it runs.
    pub treasury: Option<RunningParty<Treasury>>,
    /// The paying bank's side, if there is one, while it runs.
    pub bank: Option<RunningParty<Bank>>,
    /// The timestamp authority, if there is one, while it runs.
    pub timestamp_authority: Option<RunningTimestampAuthority>,
}

impl Federation {
    /// A federation of which nothing runs yet.
    #[must_use]
    pub fn new(layout: Layout, clock: Clock) -> Self {
        let (hubs, adapters, outboxes) = Default::default();
        let (central, register, timestamp_authority) = (None, None, None);
        let (treasury, bank) = (None, None);
        Self {
            layout,
            clock,
            central,
            hubs,
            adapters,
            outboxes,
            register,
            treasury,
            bank,
            timestamp_authority,
        }
    }

    /// Starts everything and waits until every hub has the global configuration.
    ///
    /// # Errors
    /// The first server that does not start, with its reason.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        self.start_central().await?;
        self.start_timestamp_authority().await?;
        for adapter in self.layout.adapters.keys().cloned().collect::<Vec<_>>() {
            self.start_adapter(&adapter).await?;
        }
        if !self.layout.payment_parties.is_empty() {
            self.start_treasury().await?;
            self.start_bank().await?;
        }
        for hub in self.layout.hubs.keys().cloned().collect::<Vec<_>>() {
            self.start_hub(&hub).await?;
        }
        self.start_register().await
    }

    /// Starts the central server.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_central(&mut self) -> anyhow::Result<()> {
        let config = CentralConfig::load(&self.layout.central.0)?;
        let running = hub_central::start(config, self.clock.clone()).await?;
        self.central = Some(running);
        Ok(())
    }

    /// Starts the timestamp authority, if the layout has one.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_timestamp_authority(&mut self) -> anyhow::Result<()> {
        if let Some((file, _)) = &self.layout.timestamp_authority {
            let config = TimestampAuthorityConfig::load(file)?;
            let running = start_timestamp_authority(config, self.clock.clone()).await?;
            self.timestamp_authority = Some(running);
        }
        Ok(())
    }

    /// Starts a security server and gives it the global configuration if it can have it.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_hub(&mut self, name: &str) -> anyhow::Result<()> {
        let place = self.layout.hubs.get(name).context("no such hub")?;
        let config = HubConfig::load(&place.config)?;
        let file = Some(place.config.clone());
        let hub = hub_server::start(config, file, self.clock.clone())
            .await
            .with_context(|| format!("hub {name}"))?;
        // A hub starts without its central server too (promise P7); then it keeps what it has.
        let _ = hub.refresh().await;
        self.hubs.insert(name.to_owned(), hub);
        Ok(())
    }

    /// Starts an adapter on its database, with the tables made if they are missing, and its outbox.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_adapter(&mut self, name: &str) -> anyhow::Result<()> {
        let (file, _) = self.layout.adapters.get(name).context("no such adapter")?;
        let config = AdapterConfig::load(file)?;
        let definition = config.definition()?;
        adapter_kit::prepare(&definition).await?;
        if let Some(outbox) = &config.outbox {
            let running = Outbox::open(&definition, outbox)?.run();
            self.outboxes.insert(name.to_owned(), running);
        }
        let running = adapter_kit::start(definition, config.listen).await?;
        self.adapters.insert(name.to_owned(), running);
        Ok(())
    }

    /// Starts the treasury's side of the payments on its database.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_treasury(&mut self) -> anyhow::Result<()> {
        let config = self.payment_party(TREASURY.name)?;
        self.treasury = Some(::payments::start_treasury(config, self.clock.clone()).await?);
        Ok(())
    }

    /// Starts the paying bank's side on its database.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_bank(&mut self) -> anyhow::Result<()> {
        let config = self.payment_party(BANK)?;
        self.bank = Some(::payments::start_bank(config, self.clock.clone()).await?);
        Ok(())
    }

    fn payment_party(&self, hub: &str) -> anyhow::Result<PaymentPartyConfig> {
        let (file, _) = self.layout.payment_parties.get(hub).context("there are no payments")?;
        Ok(PaymentPartyConfig::load(file)?)
    }

    /// Starts the register.
    ///
    /// # Errors
    /// Its reason.
    pub async fn start_register(&mut self) -> anyhow::Result<()> {
        let config = RegisterConfig::load(&self.layout.register.0)?;
        self.register = Some(register_server::start(config, self.clock.clone()).await?);
        Ok(())
    }

    /// Puts the six people of the worked example into the databases of the adapters.
    ///
    /// # Errors
    /// The database's reason.
    pub async fn seed(&self) -> anyhow::Result<()> {
        for (file, _) in self.layout.adapters.values() {
            let definition = AdapterConfig::load(file)?.definition()?;
            adapter_kit::prepare(&definition).await?;
            if let Some(seed) = definition.seed() {
                adapter_kit::load_seed(&definition, seed).await?;
            }
        }
        Ok(())
    }

    /// A security server that runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn hub(&self, name: &str) -> anyhow::Result<&RunningHub> {
        self.hubs.get(name).with_context(|| format!("hub {name} does not run"))
    }

    /// Stops a security server.
    pub async fn stop_hub(&mut self, name: &str) {
        if let Some(hub) = self.hubs.remove(name) {
            hub.stop().await;
        }
    }

    /// Stops an adapter and its outbox, which ends at once, as a kill would end it.
    pub async fn stop_adapter(&mut self, name: &str) {
        drop(self.outboxes.remove(name));
        if let Some(adapter) = self.adapters.remove(name) {
            adapter.stop().await;
        }
    }

    /// Stops the central server.
    pub async fn stop_central(&mut self) {
        if let Some(central) = self.central.take() {
            central.stop().await;
        }
    }

    /// Publishes changed content and brings it into force at every hub that runs.
    ///
    /// # Errors
    /// When the central server does not publish it within ten seconds, or a hub refuses it.
    pub async fn publish(
        &self,
        edit: impl FnOnce(&mut schemas::configuration::Content),
    ) -> anyhow::Result<()> {
        let before = self.versions();
        let mut content = self.layout.read_content()?;
        edit(&mut content);
        self.layout.write_content(&content)?;
        let deadline = self.clock.stopwatch();
        loop {
            for (name, hub) in &self.hubs {
                hub.refresh().await.map_err(|e| anyhow::anyhow!("hub {name}: {e}"))?;
            }
            if self.versions().iter().zip(&before).all(|(new, old)| new > old) {
                return Ok(());
            }
            if deadline.elapsed() > Duration::from_secs(10) {
                anyhow::bail!("the new content is not in force after 10 s");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn versions(&self) -> Vec<Option<u64>> {
        self.hubs.values().map(RunningHub::configuration_version).collect()
    }

    /// Stops everything: the register first, the central server last.
    pub async fn stop(mut self) {
        if let Some(register) = self.register.take() {
            register.stop().await;
        }
        self.outboxes.clear();
        if let Some(treasury) = self.treasury.take() {
            treasury.stop().await;
        }
        if let Some(bank) = self.bank.take() {
            bank.stop().await;
        }
        for (_, hub) in std::mem::take(&mut self.hubs) {
            hub.stop().await;
        }
        for (_, adapter) in std::mem::take(&mut self.adapters) {
            adapter.stop().await;
        }
        if let Some(authority) = self.timestamp_authority.take() {
            authority.stop().await;
        }
        self.stop_central().await;
    }
}

/// A federation in a temporary folder that goes with it; for tests and benches.
#[derive(Debug)]
pub struct Temporary {
    /// The federation.
    pub federation: Federation,
    /// The folder.
    pub dir: Arc<tempfile::TempDir>,
}
