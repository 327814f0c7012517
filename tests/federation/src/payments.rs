//! Payments over the exchange: register, treasury and bank, each behind its own hub.
//!
//! ```text
//! register ── hub `register` ──┬── hub `treasury` ── treasury
//!                              └── hub `bank-agro` ── bank
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use ::payments::PaymentPartyConfig;
use ::payments::sender::Pauses;
use anyhow::Context as _;
use hub_core::policy::{Grant, GrantedPurpose};
use hub_server::config::Service;
use register::payment::message::Role;
use schemas::clock::Clock;
use schemas::configuration::Purpose;

use crate::agencies::{Agency, REGISTER, TREASURY};
use crate::layout::REGISTER_HUB;
use crate::{Federation, Layout, Options, lay_out};

/// The bank's hub.
pub const BANK: &str = "bank-agro";
/// The register's service.
pub const PAYMENTS: &str = "UZ/GOV/NASP/register/payments";
/// The bank's service for payments.
pub const PAYOUTS: &str = "UZ/BANK/AGROBANK/accounts/payouts";
/// The bank's service for GovStack's callers.
pub const G2P: &str = "UZ/BANK/AGROBANK/accounts/g2p";
/// Purpose of all calls.
pub const PURPOSE: &str = "social-payment";
/// Its legal basis.
pub const LEGAL_BASIS: &str = "Cabinet of Ministers resolution 35 of 29 January 2026";
/// Short, so that tests wait little.
const PAUSES: Pauses = Pauses { first_ms: 20, longest_ms: 200 };

/// Whether money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payments {
    /// No: neither treasury nor paying bank.
    None,
    /// [`TREASURY`] and [`BANK`] take part, which stand among the agencies.
    Own,
}

/// Lays out and starts hubs, register, treasury and bank below `dir`; no source of profiles runs.
///
/// # Errors
/// The first part that does not start, with its reason.
pub async fn start(dir: &Path) -> anyhow::Result<Federation> {
    let clock = Clock::machine();
    // The register's configuration asks for a civil registry, which does not run here.
    let bank = [BANK, "civil-registry"].into_iter().filter_map(Agency::named);
    let agencies = bank.chain([TREASURY]).collect();
    let options = Options { agencies, payments: Payments::Own, ..Options::all(clock.now()) };
    let mut federation = Federation::new(lay_out(dir, &options)?, clock);
    federation.start_central().await?;
    for hub in [REGISTER_HUB, TREASURY.name, BANK] {
        federation.start_hub(hub).await?;
    }
    federation.start_treasury().await?;
    federation.start_bank().await?;
    federation.start_register().await?;
    Ok(federation)
}

/// Adds treasury and bank to what is laid out: their files, services and grants, the purpose, and the
/// register's section.
pub(crate) fn add(layout: &mut Layout, [treasury, bank]: [SocketAddr; 2]) -> anyhow::Result<()> {
    let dir = layout.dir.join("payments");
    std::fs::create_dir_all(&dir)?;
    for (hub, listen) in [(TREASURY.name, treasury), (BANK, bank)] {
        let file = dir.join(format!("{hub}.toml"));
        std::fs::write(&file, toml::to_string_pretty(&party(layout, hub, listen)?)?)?;
        layout.payment_parties.insert(hub.to_owned(), (file, listen));
    }
    publish_services(layout, [treasury, bank])?;
    add_purpose(layout)?;
    add_to_register(layout)
}

fn party(layout: &Layout, hub: &str, listen: SocketAddr) -> anyhow::Result<PaymentPartyConfig> {
    let subsystem = if hub == BANK { PAYOUTS } else { &TREASURY.service_id() };
    let client = subsystem.rsplit_once('/').context("a service has a subsystem")?.0;
    let services = [
        (Role::Register, PAYMENTS.parse()?),
        (Role::Treasury, TREASURY.service_id().parse()?),
        (Role::Bank, PAYOUTS.parse()?),
    ];
    Ok(PaymentPartyConfig {
        listen,
        database: layout.dir.join("databases").join(format!("{hub}-payments.sqlite")),
        hub: layout.place(hub)?.edge_plain,
        client: client.parse()?,
        purpose: PURPOSE.to_owned(),
        pay_every_ms: 50,
        services: BTreeMap::from(services),
        pauses: PAUSES,
    })
}

fn publish_services(layout: &Layout, [treasury_at, bank]: [SocketAddr; 2]) -> anyhow::Result<()> {
    let bank_client = PAYOUTS.rsplit_once('/').context("a service has a subsystem")?.0.to_owned();
    let treasury = TREASURY.service_id();
    let treasury_client = TREASURY.subsystem_id();
    let register = layout.register.1;
    let services = [
        (TREASURY.name, service(&treasury, "treasury", treasury_at)?),
        (BANK, service(PAYOUTS, "payouts", bank)?),
        (BANK, service(G2P, "g2p", bank)?),
        (REGISTER_HUB, service(PAYMENTS, "payments", register)?),
    ];
    for (hub, service) in services {
        layout.edit_hub(hub, |config| config.services.push(service))?;
    }
    let grants = [
        (BANK, PAYOUTS, REGISTER, "POST /account-checks"),
        (BANK, PAYOUTS, REGISTER, "POST /statements"),
        (BANK, PAYOUTS, &treasury_client, "POST /financings"),
        (BANK, G2P, REGISTER, "POST /prepayment-validation"),
        (BANK, G2P, REGISTER, "POST /register-beneficiary"),
        (TREASURY.name, &treasury, REGISTER, "POST /payment-orders"),
        (TREASURY.name, &treasury, &bank_client, "POST /settlements"),
        (REGISTER_HUB, PAYMENTS, &treasury_client, "POST /financed-orders"),
        (REGISTER_HUB, PAYMENTS, &bank_client, "POST /releases"),
        (REGISTER_HUB, PAYMENTS, &bank_client, "POST /confirmations"),
    ];
    for (nth, (hub, service, client, endpoint)) in grants.into_iter().enumerate() {
        let grant = Grant {
            id: format!("payments-{nth}"),
            client: Some(client.parse()?),
            group: None,
            service: service.parse()?,
            endpoint: Some(endpoint.to_owned()),
            purposes: vec![GrantedPurpose {
                code: PURPOSE.to_owned(),
                legal_basis: LEGAL_BASIS.to_owned(),
            }],
            valid_from: None,
            valid_until: None,
            rate_per_minute: None,
            subjects_max: None,
        };
        layout.edit_hub(hub, |config| config.grants.push(grant))?;
    }
    Ok(())
}

fn service(id: &str, contract: &str, at: SocketAddr) -> anyhow::Result<Service> {
    Ok(Service {
        id: id.parse()?,
        title: contract.to_owned(),
        url: format!("http://{at}"),
        contract: Some(format!("../../schemas/openapi/{contract}.json").into()),
        timeout_seconds: Some(10),
        disabled: None,
    })
}

fn add_purpose(layout: &Layout) -> anyhow::Result<()> {
    let mut content = layout.read_content()?;
    content.purposes.push(Purpose {
        code: PURPOSE.to_owned(),
        description: "To pay your family the social support that it is entitled to.".to_owned(),
        legal_bases: vec![LEGAL_BASIS.to_owned()],
    });
    layout.write_content(&content)
}

fn add_to_register(layout: &Layout) -> anyhow::Result<()> {
    let (file, _) = &layout.register;
    let text = std::fs::read_to_string(file)?;
    let section = format!(
        "\n[payments]\npurpose = \"{PURPOSE}\"\ntreasury = \"{}\"\n\
         bank = \"{PAYOUTS}\"\npauses = {{ first_ms = {}, longest_ms = {} }}\n",
        TREASURY.service_id(),
        PAUSES.first_ms,
        PAUSES.longest_ms,
    );
    Ok(std::fs::write(file, text + &section)?)
}
