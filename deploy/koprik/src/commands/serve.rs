//! `koprik hub|central|timestamp-authority|register|adapter|treasury|bank --config FILE`: one process, one configuration file.

use std::path::PathBuf;

use adapter_kit::{AdapterConfig, Outbox};
use hub_central::{CentralConfig, TimestampAuthorityConfig, start_timestamp_authority};
use hub_server::HubConfig;
use payments::{PaymentPartyConfig, RunningParty};
use register::payment::party::Party;
use register_server::RegisterConfig;
use schemas::clock::Clock;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// One server process.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration file and end.
    #[arg(long)]
    check_config: bool,
}

impl Serve {
    pub(crate) async fn hub(self, json: bool) -> anyhow::Result<()> {
        let config = HubConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        let file = Some(self.config.clone());
        let mut hub = hub_server::start(config, file, Clock::machine()).await?;
        let at = hub.addresses();
        let plain = at.edge_plain.map(|address| address.to_string());
        announce(
            json,
            &json!({ "edge": at.edge, "edge_plain": plain, "peer": at.peer, "admin": at.admin }),
        );
        tokio::select! {
            signal = asked_to_stop() => signal?,
            () = hub.failed() => anyhow::bail!("a part of the hub has failed; see the log"),
        }
        hub.stop().await;
        Ok(())
    }

    pub(crate) async fn central(self, json: bool) -> anyhow::Result<()> {
        let config = CentralConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        let mut central = hub_central::start(config, Clock::machine()).await?;
        announce(json, &json!({ "listen": central.address, "admin": central.admin_address }));
        tokio::select! {
            signal = asked_to_stop() => signal?,
            () = central.ended() => anyhow::bail!("a part of the central server has failed; see the log"),
        }
        central.stop().await;
        Ok(())
    }

    pub(crate) async fn timestamp_authority(self, json: bool) -> anyhow::Result<()> {
        let config = TimestampAuthorityConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        let mut authority = start_timestamp_authority(config, Clock::machine()).await?;
        announce(json, &json!({ "listen": authority.address }));
        tokio::select! {
            signal = asked_to_stop() => signal?,
            () = authority.ended() => anyhow::bail!("the timestamp authority has failed; see the log"),
        }
        authority.stop().await;
        Ok(())
    }

    pub(crate) async fn register(self, json: bool) -> anyhow::Result<()> {
        let config = RegisterConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        let register = register_server::start(config, Clock::machine()).await?;
        announce(json, &json!({ "listen": register.address }));
        asked_to_stop().await?;
        register.stop().await;
        Ok(())
    }

    pub(crate) async fn adapter(self, json: bool) -> anyhow::Result<()> {
        let config = AdapterConfig::load(&self.config)?;
        let definition = config.definition()?;
        let outbox = config.outbox.as_ref().map(|outbox| Outbox::open(&definition, outbox));
        let outbox = outbox.transpose()?;
        let spdci = adapter_kit::spdci::configured(&config, &definition)?;
        if self.checked(json)? {
            return Ok(());
        }
        let spdci = match spdci {
            Some(spdci) => {
                Some(adapter_kit::spdci::start(spdci, &definition, Clock::machine()).await?)
            }
            None => None,
        };
        let mut adapter = adapter_kit::start(definition, config.listen).await?;
        // Runs until the adapter ends.
        let _outbox = outbox.map(Outbox::run);
        let mut addresses = json!({ "listen": adapter.address });
        if let (Some(spdci), Value::Object(addresses)) = (&spdci, &mut addresses) {
            addresses.insert("spdci".to_owned(), json!(spdci.address));
        }
        announce(json, &addresses);
        tokio::select! {
            signal = asked_to_stop() => signal?,
            () = adapter.ended() => anyhow::bail!("the adapter has failed; see the log"),
        }
        adapter.stop().await;
        if let Some(spdci) = spdci {
            spdci.stop().await;
        }
        Ok(())
    }

    pub(crate) async fn treasury(self, json: bool) -> anyhow::Result<()> {
        let config = PaymentPartyConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        run_party(json, payments::start_treasury(config, Clock::machine()).await?).await
    }

    pub(crate) async fn bank(self, json: bool) -> anyhow::Result<()> {
        let config = PaymentPartyConfig::load(&self.config)?;
        if self.checked(json)? {
            return Ok(());
        }
        run_party(json, payments::start_bank(config, Clock::machine()).await?).await
    }

    fn checked(&self, json: bool) -> anyhow::Result<bool> {
        if self.check_config {
            let file = self.config.display().to_string();
            output::print(json, &json!({ "config": file, "ok": true }), || {
                format!("{file} is good")
            })?;
        }
        Ok(self.check_config)
    }
}

async fn run_party<P: Party>(json: bool, mut party: RunningParty<P>) -> anyhow::Result<()> {
    announce(json, &json!({ "listen": party.address }));
    tokio::select! {
        signal = asked_to_stop() => signal?,
        () = party.ended() => anyhow::bail!("a part of the server has failed; see the log"),
    }
    party.stop().await;
    Ok(())
}

/// Tells where the server listens, once it does. It goes on where nobody can be told.
fn announce(json: bool, addresses: &Value) {
    let announced = output::print(json, &json!({ "ready": addresses }), || {
        let mut text = String::from("listening");
        for (name, address) in addresses.as_object().into_iter().flatten() {
            if let Some(address) = address.as_str() {
                text.push_str(&format!("  {name} {address}"));
            }
        }
        text
    });
    if let Err(error) = announced {
        output::complain(format_args!("{error:#}"));
    }
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
