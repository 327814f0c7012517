//! Life events over the exchange: agencies tell the register what happens to people.
//!
//! ```text
//! database ─ trigger ─ adapter's outbox ── hub of the agency ── hub `register` ── register
//! ```

use std::fmt::Write as _;

use adapter_kit::{AdapterConfig, OutboxConfig};
use anyhow::Context as _;
use hub_core::policy::{Grant, GrantedPurpose};
use hub_server::config::Service;

use crate::Layout;
use crate::agencies::{Agency, LEGAL_BASIS, PURPOSE};
use crate::layout::REGISTER_HUB;

/// The register's service.
pub const EVENTS: &str = "UZ/GOV/NASP/register/life-events";
/// The agencies that tell events, each with the kinds that it may tell.
const TELLING: [(&str, &[&str]); 3] = [
    ("civil-registry", &["birth", "death", "marriage"]),
    ("tax", &["wage"]),
    ("vehicles", &["vehicle"]),
];

/// Lets the agencies of a layout that know life events tell them: outboxes, the register's service,
/// grants, and the register's list of sources.
///
/// # Errors
/// When a configuration file cannot be read or written.
pub fn wire(layout: &Layout) -> anyhow::Result<()> {
    let mut sources = String::new();
    let mut grants = Vec::new();
    for (name, kinds) in TELLING {
        let Some(agency) = layout.agencies.iter().find(|agency| agency.name == name) else {
            continue;
        };
        add_outbox(layout, agency)?;
        grants.push(grant(agency)?);
        // Safe because: writing to a String cannot fail.
        let _ = write!(
            sources,
            "\n[[event_sources]]\nclient = \"{}\"\nname = \"{name}\"\nkinds = {kinds:?}\n",
            agency.subsystem_id(),
        );
    }
    let service = Service {
        id: EVENTS.parse()?,
        title: "Life events".to_owned(),
        url: format!("http://{}", layout.register.1),
        contract: Some("../../schemas/openapi/life-events.json".into()),
        timeout_seconds: Some(10),
        disabled: None,
    };
    layout.edit_hub(REGISTER_HUB, |config| {
        config.services.push(service);
        config.grants.extend(grants);
    })?;
    let file = &layout.register.0;
    let text = std::fs::read_to_string(file)? + &sources;
    Ok(std::fs::write(file, text)?)
}

fn add_outbox(layout: &Layout, agency: &Agency) -> anyhow::Result<()> {
    let (file, _) = layout.adapters.get(agency.name).context("an agency without adapter")?;
    let mut config: AdapterConfig = toml::from_str(&std::fs::read_to_string(file)?)?;
    config.outbox = Some(OutboxConfig {
        rows: None,
        hub_url: format!("http://{}", layout.place(agency.name)?.edge_plain),
        client: agency.subsystem_id().parse()?,
        service: EVENTS.parse()?,
        position_file: layout.dir.join("databases").join(format!("{}.position", agency.name)),
    });
    Ok(std::fs::write(file, toml::to_string_pretty(&config)?)?)
}

fn grant(agency: &Agency) -> anyhow::Result<Grant> {
    Ok(Grant {
        id: format!("life-events-{}", agency.name),
        client: Some(agency.subsystem_id().parse()?),
        group: None,
        service: EVENTS.parse()?,
        endpoint: Some("POST /events".to_owned()),
        purposes: vec![GrantedPurpose {
            code: PURPOSE.to_owned(),
            legal_basis: LEGAL_BASIS.to_owned(),
        }],
        valid_from: None,
        valid_until: None,
        rate_per_minute: None,
        subjects_max: Some(1),
    })
}
