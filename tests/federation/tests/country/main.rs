//! A whole synthetic country asked for its families: what the register composes from the registers is held
//! against what the generator knows and no agency does.
//!
//! ```text
//! each family ──► register ──► stand-in for the hubs ──► adapters on the databases of the country
//!      └── truth of the generator ──► equal members, or the injected fault is flagged
//! ```
//!
//! The hubs carry answers and change none, so a stand-in passes the questions on; other tests go through
//! real hubs. `KOPRIK_HOUSEHOLDS=N` sets the size (500 dwellings, about 900 families), `KOPRIK_SEED=S` the
//! country. With `KOPRIK_PROGRESS=FILE` a run that was stopped goes on after its last thousand families.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code outside #[test] functions"
)]

mod stand_in;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use federation::raw::{self, Message};
use federation::{Federation, Options, lay_out};
use fixtures::truth::{FamilyTruth, Fault, Role};
use fixtures::{Databases, Population, Progress, REFERENCE_DATE};
use futures_util::{StreamExt as _, stream};
use register::composition::{DiscrepancyKind, Family};
use register::profile::Profile;
use register_server::RegisterConfig;
use schemas::clock::Clock;
use schemas::pinfl::Pinfl;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use stand_in::StandIn;

/// The registers that say who is a family; the others only know what its members have.
const REGISTERS: [&str; 2] = ["civil-registry", "population"];
/// Families after which the progress is written.
const CHUNK_COUNT: usize = 1_000;
/// Profiles asked for at once.
const AT_ONCE: usize = 16;

fn number(name: &str, usual: u64) -> u64 {
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    let text = std::env::var(name).ok();
    text.map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A register over the two registers of a country, without hubs.
async fn started(people: Population) -> (Federation, StandIn, tempfile::TempDir) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::machine());
    let layout = lay_out(dir.path(), &Options::all(clock.now())).unwrap();
    let databases = Databases::in_folder(&layout.dir.join("databases"));
    fixtures::write(people, &databases, Progress::Silent).await.unwrap();
    let mut federation = Federation::new(layout, clock.clone());
    let mut services = BTreeMap::new();
    for agency in federation.layout.agencies.clone() {
        if REGISTERS.contains(&agency.name) {
            federation.start_adapter(agency.name).await.unwrap();
            services.insert(agency.service_id(), federation.adapters[agency.name].address);
        }
    }
    let stand_in = StandIn::start(services).await.unwrap();
    let mut config = RegisterConfig::load(&federation.layout.register.0).unwrap();
    config.hub_url = format!("http://{}", stand_in.address);
    config.tls = None;
    config.deadline_ms = 60_000;
    config.sources.retain(|source| REGISTERS.contains(&source.name.to_string().as_str()));
    config.sources.iter_mut().for_each(|source| source.timeout_ms = 60_000);
    config.concurrent_profiles_count = AT_ONCE;
    federation.register = Some(register_server::start(config, clock).await.unwrap());
    (federation, stand_in, dir)
}

/// Who is there and may apply: the head, or else the spouse.
fn applicant(family: &FamilyTruth) -> Option<Pinfl> {
    let adults = family.members.iter().filter(|member| member.role != Role::Child);
    adults.filter(|member| member.away.is_none()).map(|member| member.pinfl).next()
}

async fn composed(federation: &Federation, applicant: Pinfl) -> Family {
    let body = json!({"pinfl": applicant.as_str(), "application_date": REFERENCE_DATE.to_string()});
    let headers = [("Content-Type", "application/json")];
    let request = raw::request("POST", "/profiles", &headers, body.to_string().as_bytes());
    let address = federation.register.as_ref().unwrap().address;
    let answer = Message::parse_all(&raw::talk(address, &request).await.unwrap()).remove(0);
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let profile: Profile = serde_json::from_value(answer["profile"].take()).unwrap();
    profile.family
}

/// Whether the family is flagged for the fault.
fn is_flagged(fault: &Fault, family: &Family) -> bool {
    use DiscrepancyKind::{
        ChildOfTwoFamilies, CoResidenceDiffers, DeadInOneRegister, StaleMarriage,
    };
    let has = |kind, person: &Pinfl| {
        family.discrepancies.iter().any(|d| d.kind == kind && d.persons.contains(person))
    };
    match fault {
        Fault::SharedChild { child, .. } => has(ChildOfTwoFamilies, child),
        // Who has not married again is married to the former spouse in every register; that the spouse
        // never was registered at the dwelling is all that can be seen.
        Fault::StaleMarriage { person, former_spouse } => {
            has(StaleMarriage, person) || has(CoResidenceDiffers, former_spouse)
        }
        Fault::DeadInOneRegister { person, .. } => has(DeadInOneRegister, person),
    }
}

/// What came out for the country.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Figures {
    families: usize,
    equal: usize,
    /// Families that nobody who is there can apply for.
    nobody: usize,
    faults: usize,
    flagged: usize,
    /// Discrepancies about families without a fault.
    false_alarms: usize,
}

impl Figures {
    fn add(&mut self, truth: &FamilyTruth, family: &Family) {
        if !truth.faults.is_empty() {
            self.faults += truth.faults.len();
            for fault in &truth.faults {
                if is_flagged(fault, family) {
                    self.flagged += 1;
                } else {
                    println!("not flagged: {}", json!({"truth": truth, "composed": family}));
                }
            }
            return;
        }
        let there = truth.members.iter().filter(|member| member.away.is_none());
        let there: BTreeSet<Pinfl> = there.map(|member| member.pinfl).collect();
        let found: BTreeSet<Pinfl> = family.certain().map(|member| member.pinfl).collect();
        let certain = family.awaited().is_empty();
        self.families += 1;
        self.equal += usize::from(there == found && certain);
        self.false_alarms += family.discrepancies.len();
    }
}

/// Which country a run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Country {
    seed: u64,
    households: u32,
}

/// What a stopped run has left, or nothing yet.
fn resumed(file: Option<&PathBuf>, country: Country) -> (usize, Figures) {
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    let Some(text) = text else { return Default::default() };
    let (of, asked, figures): (Country, usize, Figures) = serde_json::from_str(&text).unwrap();
    assert_eq!(of, country, "the progress is of another country; remove its file");
    println!("goes on after {asked} families");
    (asked, figures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_of_a_country_are_those_of_its_truth_and_every_injected_fault_is_flagged() {
    let households = u32::try_from(number("KOPRIK_HOUSEHOLDS", 500)).unwrap();
    let country = Country { seed: number("KOPRIK_SEED", 2026), households };
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    let progress = std::env::var_os("KOPRIK_PROGRESS").map(PathBuf::from);
    let (mut asked, mut figures) = resumed(progress.as_ref(), country);
    let people = || Population::new(country.seed, households, REFERENCE_DATE).unwrap();
    let (federation, _stand_in, _dir) = started(people()).await;
    let truth: Vec<FamilyTruth> = people().flat_map(|household| household.families).collect();
    let watch = federation.clock.stopwatch();
    let federation = &federation;
    let left = truth.get(asked..).unwrap();
    for families in left.chunks(CHUNK_COUNT) {
        let questions: Vec<_> = families.iter().filter_map(|f| Some((f, applicant(f)?))).collect();
        figures.nobody += families.len() - questions.len();
        let questions = questions
            .into_iter()
            .map(async |(family, applicant)| (family, composed(federation, applicant).await));
        let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
        while let Some((truth, family)) = answers.next().await {
            figures.add(truth, &family);
        }
        asked += families.len();
        if let Some(file) = &progress {
            let text = serde_json::to_vec(&(country, asked, figures)).unwrap();
            let new = file.with_extension("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, file).unwrap();
        }
    }
    let rate = f64::from(u32::try_from(left.len()).unwrap()) / watch.elapsed().as_secs_f64();
    println!("{country:?}: {asked} families, {figures:?}, {rate:.0} families/s");
    assert!(figures.families > 0 && figures.faults > 0, "{figures:?}");
    assert_eq!(figures.equal, figures.families, "families that are not those of the truth");
    assert_eq!(figures.flagged, figures.faults, "injected faults that nobody flagged");
    assert_eq!(figures.false_alarms, 0, "contradictions where no fault was injected");
}
