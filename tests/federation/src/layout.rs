//! Writes a federation to a folder: what each administrator would, one configuration file per process.
//!
//! ```text
//! DIR/anchor.json                     what everyone trusts
//! DIR/central/central.toml, content.json, keys
//! DIR/hubs/NAME/hub.toml, keys, certificates, data/
//! DIR/agencies/NAME.toml              one adapter process each
//! DIR/databases/NAME.sqlite           the agencies' own data
//! DIR/register/register.toml
//! DIR/payments/NAME.toml              treasury and paying bank, where there are payments
//! DIR/timestamps/timestamp-authority.toml, key, certificate
//! DIR/adapters, DIR/schemas           definitions and contracts
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use hub_core::policy::{Grant, GrantedPurpose};
use hub_server::config::{
    AdminListener, Client, ConfigurationSource, EdgeListener, HubConfig, LogSection, MemberKeys,
    PeerListener, Service, WitnessSection,
};
use pki::authority::{Authority, AuthorityFiles, Validity};
use pki::signer::{self, NoteKey};
use pki::trust::Algorithm;
use schemas::clock::UnixMillis;
use schemas::configuration::{
    Anchor, Authority as ListedAuthority, ConfigurationKeys, Content, MemberClass, Purpose,
};
use serde::{Deserialize, Serialize};

use crate::agencies::{
    self, Agency, INSTANCE, LEGAL_BASIS, PURPOSE, REGISTER, REGISTER_MEMBER, TREASURY,
};
use crate::member::{NewMember, Registered};
use crate::payments::{self, Payments};
use crate::register_config::{self, RegisterAddresses};
use crate::stamps::{self, Timestamps};
use crate::{assets, ports, witnesses};

/// Name of the register's security server among [`Layout::hubs`].
pub const REGISTER_HUB: &str = "register";
/// The layout itself, written last: a folder without it is not laid out whole.
const LAYOUT_FILE: &str = "layout.json";
/// Configuration keys that sign, of [`CONFIGURATION_KEYS`].
const THRESHOLD: usize = 2;
/// Configuration keys of the central server.
const CONFIGURATION_KEYS: usize = 3;

/// What is laid out.
#[derive(Clone, Debug)]
pub struct Options {
    /// The agencies that take part.
    pub agencies: Vec<Agency>,
    /// Bodies up to this size are kept as evidence; 0 keeps none.
    pub keep_bodies_bytes: usize,
    /// Seconds between two looks at the central server.
    pub refresh_seconds: u64,
    /// The time at which keys and certificates are made.
    pub now: UnixMillis,
    /// How many witnesses have to cosign a checkpoint; all security servers and the central server are listed.
    /// 0: none are.
    pub witness_quorum: usize,
    /// Seconds between two looks whether a log has grown that the witnesses are to see.
    pub witness_seconds: u64,
    /// Who stamps the checkpoints.
    pub timestamps: Timestamps,
    /// Whether money moves.
    pub payments: Payments,
}

impl Options {
    /// As [`Options::all`], with the treasury, and money that moves.
    #[must_use]
    pub fn paying(now: UnixMillis) -> Self {
        let mut options = Self { payments: Payments::Own, ..Self::all(now) };
        options.agencies.push(TREASURY);
        options
    }

    /// All agencies, bodies kept, the default refresh interval.
    #[must_use]
    pub fn all(now: UnixMillis) -> Self {
        Self {
            agencies: agencies::ALL.to_vec(),
            keep_bodies_bytes: 65_536,
            refresh_seconds: 30,
            now,
            witness_quorum: 0,
            witness_seconds: 10,
            timestamps: Timestamps::None,
            payments: Payments::None,
        }
    }
}

/// A federation on disk; itself kept as `layout.json`, so that it can be started again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The folder.
    pub dir: PathBuf,
    /// The anchor file.
    pub anchor: PathBuf,
    /// The central server's configuration file, and where it listens.
    pub central: (PathBuf, SocketAddr),
    /// The central server's content file.
    pub content: PathBuf,
    /// Each security server: its configuration file and addresses, by agency name or [`REGISTER_HUB`].
    pub hubs: BTreeMap<String, HubPlace>,
    /// Each adapter: its configuration file, and where it listens, by agency name.
    pub adapters: BTreeMap<String, (PathBuf, SocketAddr)>,
    /// The register's configuration file, and where it listens.
    pub register: (PathBuf, SocketAddr),
    /// The timestamp authority's configuration file, and where it listens, if there is one.
    #[serde(default)]
    pub timestamp_authority: Option<(PathBuf, SocketAddr)>,
    /// Treasury and paying bank, if there are any: the configuration file, and where it listens, by hub.
    #[serde(default)]
    pub payment_parties: BTreeMap<String, (PathBuf, SocketAddr)>,
    /// The agencies that take part.
    #[serde(with = "agencies::names")]
    pub agencies: Vec<Agency>,
}

/// A security server on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubPlace {
    /// Its configuration file.
    pub config: PathBuf,
    /// Its folder with keys and data.
    pub dir: PathBuf,
    /// Edge over TLS.
    pub edge: SocketAddr,
    /// Edge without TLS.
    pub edge_plain: SocketAddr,
    /// Other security servers.
    pub peer: SocketAddr,
    /// The operator.
    pub admin: SocketAddr,
}

impl Layout {
    /// Reads the layout of a folder; `None` when nothing is laid out there.
    ///
    /// # Errors
    /// When `layout.json` is damaged.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = dir.join(LAYOUT_FILE);
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file)?;
        let damaged = || format!("{} is damaged; lay out in another folder", file.display());
        serde_json::from_str(&text).with_context(damaged).map(Some)
    }

    /// SQLite URL of an agency's database.
    #[must_use]
    pub fn database_url(&self, agency: &str) -> String {
        let file = self.dir.join("databases").join(format!("{agency}.sqlite"));
        format!("sqlite://{}?mode=rwc", file.display())
    }

    /// Where a hub lies and listens.
    ///
    /// # Errors
    /// When there is no such hub.
    pub fn place(&self, hub: &str) -> anyhow::Result<&HubPlace> {
        self.hubs.get(hub).with_context(|| format!("no hub {hub}"))
    }

    /// Reads the content that the central server publishes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_content(&self) -> anyhow::Result<Content> {
        Ok(serde_json::from_str(&std::fs::read_to_string(&self.content)?)?)
    }

    /// Replaces the content that the central server publishes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_content(&self, content: &Content) -> anyhow::Result<()> {
        let next = self.content.with_extension("next");
        std::fs::write(&next, serde_json::to_vec_pretty(content)?)?;
        Ok(std::fs::rename(next, &self.content)?)
    }

    /// Changes a hub's configuration file.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn edit_hub(&self, hub: &str, edit: impl FnOnce(&mut HubConfig)) -> anyhow::Result<()> {
        let place = self.hubs.get(hub).context("no such hub")?;
        let mut config: HubConfig = toml::from_str(&std::fs::read_to_string(&place.config)?)?;
        edit(&mut config);
        let next = place.config.with_extension("next");
        std::fs::write(&next, toml::to_string_pretty(&config)?)?;
        Ok(std::fs::rename(next, &place.config)?)
    }
}

/// Writes a federation below `dir`, which is created.
///
/// # Errors
/// When a file, key or certificate cannot be made; the text says which.
pub fn lay_out(dir: &Path, options: &Options) -> anyhow::Result<Layout> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    assets::write(&dir).context("cannot write definitions and contracts")?;
    std::fs::create_dir_all(dir.join("databases"))?;
    let validity = Validity { from: options.now.minus(Duration::from_secs(3600)), days: 90 };
    let central_dir = dir.join("central");
    std::fs::create_dir_all(&central_dir)?;
    let (ca_key, ca_file) = (central_dir.join("authority.key"), central_dir.join("authority.pem"));
    let files = AuthorityFiles { key: &ca_key, certificate: &ca_file };
    let authority =
        Authority::create("Koprik demonstration authority", files, Algorithm::EcdsaP256, validity)?;
    let mut free = ports::free(6 + 5 + options.agencies.len() * 5)?.into_iter();
    let mut port = || free.next().context("too few ports");
    let central = (central_dir.join("central.toml"), port()?);
    let central_admin = port()?;
    let register = (dir.join("register/register.toml"), port()?);
    let mut layout = Layout {
        anchor: dir.join("anchor.json"),
        content: central_dir.join("content.json"),
        central,
        hubs: BTreeMap::new(),
        adapters: BTreeMap::new(),
        register,
        timestamp_authority: None,
        payment_parties: BTreeMap::new(),
        agencies: options.agencies.clone(),
        dir,
    };
    let mut registered = Vec::new();
    for agency in [None].into_iter().chain(options.agencies.iter().map(Some)) {
        let name = agency.map_or(REGISTER_HUB, |agency| agency.name).to_owned();
        let hub_dir = layout.dir.join("hubs").join(&name);
        let place = HubPlace {
            config: hub_dir.join("hub.toml"),
            dir: hub_dir,
            edge: port()?,
            edge_plain: port()?,
            peer: port()?,
            admin: port()?,
        };
        // The treasury's side of the payments is no source of profiles, and no adapter.
        let source = agency.filter(|agency| **agency != TREASURY);
        if let Some(agency) = source {
            let file = layout.dir.join("agencies").join(format!("{name}.toml"));
            layout.adapters.insert(name.clone(), (file, port()?));
            write_adapter(&layout, agency)?;
        }
        let member = new_member(agency, &place)?;
        registered.push(member.equip(&place.dir, &authority, validity)?);
        std::fs::write(place.dir.join("authority.pem"), authority.certificate().to_pem())?;
        write_hub(&layout, options, source, &place, &member)?;
        layout.hubs.insert(name, place);
    }
    let witnesses = registered.iter().map(Registered::witness).collect();
    write_central(&layout, central_admin, &authority, registered)?;
    witnesses::list(&layout, witnesses, options.witness_quorum)?;
    write_register(&layout)?;
    if options.payments == Payments::Own {
        payments::add(&mut layout, [port()?, port()?])?;
    }
    if options.timestamps == Timestamps::Own {
        stamps::add(&mut layout, port()?, &authority, validity)?;
    }
    std::fs::write(layout.dir.join(LAYOUT_FILE), serde_json::to_vec_pretty(&layout)?)?;
    Ok(layout)
}

fn new_member<'a>(agency: Option<&'a Agency>, place: &HubPlace) -> anyhow::Result<NewMember<'a>> {
    let peer_address = place.peer.to_string();
    Ok(match agency {
        None => NewMember {
            id: format!("{INSTANCE}/{REGISTER_MEMBER}").parse()?,
            title: "National agency for social protection",
            subsystem: REGISTER.parse()?,
            peer_address,
        },
        Some(agency) => NewMember {
            id: agency.member_id().parse()?,
            title: agency.title,
            subsystem: agency.subsystem_id().parse()?,
            peer_address,
        },
    })
}

fn write_hub(
    layout: &Layout,
    options: &Options,
    agency: Option<&Agency>,
    place: &HubPlace,
    member: &NewMember<'_>,
) -> anyhow::Result<()> {
    let config = HubConfig {
        server: member.server()?,
        data_dir: "data".into(),
        configuration: ConfigurationSource {
            anchor: layout.anchor.clone(),
            refresh_seconds: options.refresh_seconds,
        },
        edge: EdgeListener {
            listen: place.edge,
            certificate: "edge.pem".into(),
            key: "edge.key".into(),
            plain_listen: Some(place.edge_plain),
        },
        peer: PeerListener {
            listen: place.peer,
            certificate: "peer.pem".into(),
            key: "peer.key".into(),
        },
        admin: AdminListener { listen: place.admin },
        log: LogSection {
            key: "log.key".into(),
            keep_bodies_bytes: options.keep_bodies_bytes,
            witness_seconds: options.witness_seconds,
            timestamp_seconds: 1,
            ..LogSection::default()
        },
        witness: Some(WitnessSection { key: "witness.key".into() }),
        members: vec![MemberKeys {
            id: member.id.clone(),
            certificate: "signing.pem".into(),
            key: "signing.key".into(),
        }],
        clients: vec![Client {
            subsystem: member.subsystem.clone(),
            certificates: vec!["client.pem".into()],
            plain_loopback: true,
        }],
        services: agency.map(|agency| service(layout, agency)).transpose()?.into_iter().collect(),
        grants: agency.map(grant).transpose()?.into_iter().collect(),
    };
    Ok(std::fs::write(&place.config, toml::to_string_pretty(&config)?)?)
}

fn service(layout: &Layout, agency: &Agency) -> anyhow::Result<Service> {
    let (_, listen) = layout.adapters.get(agency.name).context("adapter without address")?;
    Ok(Service {
        id: agency.service_id().parse()?,
        title: agency.title.to_owned(),
        url: format!("http://{listen}"),
        contract: Some(format!("../../schemas/openapi/{}.json", agency.service).into()),
        timeout_seconds: Some(10),
        disabled: None,
    })
}

fn grant(agency: &Agency) -> anyhow::Result<Grant> {
    Ok(Grant {
        id: format!("{}-register-1", agency.name),
        client: Some(REGISTER.parse()?),
        group: None,
        service: agency.service_id().parse()?,
        endpoint: Some(agency.endpoint.to_owned()),
        purposes: vec![GrantedPurpose {
            code: PURPOSE.to_owned(),
            legal_basis: LEGAL_BASIS.to_owned(),
        }],
        valid_from: Some("2026-01-01T00:00:00Z".to_owned()),
        valid_until: Some("2036-01-01T00:00:00Z".to_owned()),
        rate_per_minute: Some(6_000_000),
        subjects_max: Some(1),
    })
}

fn write_adapter(layout: &Layout, agency: &Agency) -> anyhow::Result<()> {
    let (file, listen) = layout.adapters.get(agency.name).context("adapter without address")?;
    let config = adapter_kit::AdapterConfig {
        definition: format!("../adapters/{}/definition.toml", agency.definition).into(),
        listen: *listen,
        source_url: Some(layout.database_url(agency.name)),
        outbox: None,
        spdci: None,
    };
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(std::fs::write(file, toml::to_string_pretty(&config)?)?)
}

fn write_central(
    layout: &Layout,
    admin: SocketAddr,
    authority: &Authority,
    registered: Vec<Registered>,
) -> anyhow::Result<()> {
    let (config, listen) = &layout.central;
    let dir = layout.dir.join("central");
    let mut verifiers = Vec::new();
    let mut keys = Vec::new();
    for nth in 1..=CONFIGURATION_KEYS {
        let name = format!("{INSTANCE}/configuration/{nth}");
        let file = dir.join(format!("configuration-{nth}.key"));
        let key = NoteKey::new(&name, signer::generate(Algorithm::Ed25519, &file)?)?;
        verifiers.push(key.verifier().to_string());
        keys.push(format!("    {{ name = \"{name}\", file = \"{}\" }},\n", file.display()));
    }
    let log_key = dir.join("log.key");
    let origin = format!("koprik/{INSTANCE}/central");
    let log = NoteKey::new(&origin, signer::generate(Algorithm::Ed25519, &log_key)?)?;
    let text = format!(
        "# The central server: builds, signs and serves the global configuration.\n\
         instance = \"{INSTANCE}\"\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"\n\
         data_dir = \"{}\"\ncontent_file = \"{}\"\nlog_key_file = \"{}\"\n\
         witness_key_file = \"witness.key\"\ncontent_poll_ms = 200\n\n\
         [keys]\nthreshold = {THRESHOLD}\nsigning = [\n{}]\n",
        dir.join("data").display(),
        layout.content.display(),
        log_key.display(),
        keys.concat(),
    );
    std::fs::write(config, text)?;
    let anchor = Anchor {
        instance: INSTANCE.to_owned(),
        keys: ConfigurationKeys { threshold: THRESHOLD, verifiers },
        central: vec![format!("http://{listen}")],
    };
    std::fs::write(&layout.anchor, serde_json::to_vec_pretty(&anchor)?)?;
    let (members, servers) = registered.into_iter().map(|r| (r.member, r.server)).unzip();
    let class = |code: &str, description: &str| MemberClass {
        code: code.to_owned(),
        description: description.to_owned(),
    };
    layout.write_content(&Content {
        authorities: vec![ListedAuthority {
            name: "Koprik demonstration authority".to_owned(),
            certificate: authority.certificate().der().to_vec(),
        }],
        member_classes: vec![class("GOV", "public authorities"), class("BANK", "banks")],
        members,
        servers,
        groups: Vec::new(),
        purposes: vec![Purpose {
            code: PURPOSE.to_owned(),
            description: "To decide whether your family is entitled to social support.".to_owned(),
            legal_bases: vec![LEGAL_BASIS.to_owned()],
        }],
        central_log: Some(log.verifier().to_string()),
        ..Content::default()
    })
}

fn write_register(layout: &Layout) -> anyhow::Result<()> {
    let (config, listen) = &layout.register;
    let hub = layout.hubs.get(REGISTER_HUB).context("the register has no hub")?;
    let addresses = RegisterAddresses { listen: *listen, hub_edge: hub.edge };
    if let Some(parent) = config.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(std::fs::write(config, register_config::text(&addresses, &hub.dir, &layout.agencies))?)
}
