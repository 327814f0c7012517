//! The SPDCI interfaces of the civil registry and the social register, used by a client in Python
//! that was written from the published OpenAPI documents only, directly and through two hubs.
//!
//! ```text
//! spdci_client.py ─────────────────────────────► SPDCI interface ─► SQL source, store
//!        └──► hub `register` ──► hub of the agency ──┘
//!        ◄──────────────── callbacks ────────────────┘
//! ```

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use adapter_kit::spdci::SqlRegistry;
use adapter_kit::{AdapterConfig, Definition};
use conformance::programs::{folder, python_with, run};
use federation::agencies::{Agency, REGISTER};
use federation::stage::grant;
use federation::{Federation, Options, lay_out, recorded};
use hub_server::config::Service;
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::Sha256;
use schemas::record::{Kind, Side};
use serde_json::{Value, json};
use spdci::{RunningSpdci, SpdciConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const FATHER: &str = "31505850010011";
const MOTHER: &str = "42007870010023";
const YOUNGEST: &str = "62509240010052";

/// What a run of the client needs to know.
pub(crate) struct Partner {
    pub(crate) receiver: &'static str,
    keys: std::path::PathBuf,
    jwks: Value,
    callback: String,
    /// Where the registry's clock stands still, in seconds.
    now: Option<u64>,
}

impl Partner {
    /// A partner with new keys and a free port for its callbacks.
    pub(crate) fn new(receiver: &'static str, dir: &Path) -> Self {
        let keys = dir.join("partner");
        let python = python_with("cryptography").unwrap();
        let script = folder().join("spdci_client.py");
        let mut command = std::process::Command::new(python);
        let said = run(command.arg(script).arg("keys").arg(&keys)).unwrap();
        assert_eq!(said.code, Some(0), "{}", said.text);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let callback = format!("http://127.0.0.1:{port}/");
        let jwks = serde_json::from_str(&said.text).unwrap();
        Self { receiver, keys, jwks, callback, now: None }
    }

    /// The configuration of an interface that knows this partner.
    pub(crate) fn config(&self, dir: &Path, form: &str) -> SpdciConfig {
        let secret = Sha256::of(b"partner secret").to_string();
        serde_json::from_value(json!({
            "listen": "127.0.0.1:0", "id": self.receiver, "key_file": dir.join("spdci.key"),
            "store": {"directory": dir.join("spdci-store")},
            "partners": [{"id": "spmis.uz", "secret_sha256": secret, "keys": self.jwks,
                "callbacks": [self.callback], "signature_form": form}],
        }))
        .unwrap()
    }

    fn plan(&self, base: &str, form: &str, headers: &Value, steps: &Value) -> Value {
        json!({"base": base, "client": "spmis.uz", "secret": "partner secret",
            "receiver": self.receiver, "keys": self.keys, "form": form,
            "callback": self.callback, "headers": headers, "steps": steps, "now": self.now})
    }

    /// Runs the client; `when_said` is called when it says that it waits.
    pub(crate) async fn runs(
        &self,
        (base, form): (&str, &str),
        headers: Value,
        steps: Value,
        when_said: impl AsyncFn(&str),
    ) -> Value {
        let python = python_with("cryptography").unwrap();
        let mut command = tokio::process::Command::new(python);
        command.arg(folder().join("spdci_client.py")).arg("run").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let plan = self.plan(base, form, &headers, &steps);
        stdin.write_all(format!("{plan}\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(said) = line.strip_prefix("waiting: ") {
                when_said(said).await;
                stdin.write_all(b"\n").await.unwrap();
            }
            last = line;
        }
        drop(stdin);
        let ended = child.wait_with_output().await.unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{text}");
        serde_json::from_str(&last).unwrap()
    }
}

/// The civil registry's interface on its seeded database.
async fn civil_registry(
    dir: &Path,
    partner: &Partner,
    form: &str,
) -> (RunningSpdci<SqlRegistry>, Definition) {
    let path = folder().join("../../adapters/civil-registry/definition.toml");
    let url = format!("sqlite://{}", dir.join("civil.db").display());
    let definition = Definition::load(&path).unwrap().with_source(&url).unwrap();
    adapter_kit::prepare(&definition).await.unwrap();
    adapter_kit::load_seed(&definition, definition.seed().unwrap()).await.unwrap();
    let config = partner.config(dir, form);
    let registry = SqlRegistry::open(&definition).unwrap();
    let running = spdci::start(config, Clock::machine(), registry).await.unwrap();
    (running, definition)
}

fn by_uin(value: &str) -> Value {
    json!({"query_type": "idtype-value", "query": {"type": "UIN", "value": value}})
}

fn expression(query: Value, page_size: u32, page_number: u32) -> Value {
    json!({"query_type": "expression", "reg_record_type": "Person",
        "query": {"type": "q", "value": {"expression": {"collection": "Person", "query": query}}},
        "sort": [{"attribute_name": "birth_date", "sort_order": "desc"}],
        "pagination": {"page_size": page_size, "page_number": page_number}})
}

/// Reading steps, whose answers must be the same on every way.
fn questions() -> Value {
    let minors = json!({"$and": [{"birth_date": {"$ge": "2014-01-01"}}, {"sex": "female"}]});
    let predicate = json!({"query_type": "predicate", "query": [{
        "seq_num": 1,
        "expression1": {"attribute_name": "parent1_identifier", "operator": "eq", "attribute_value": MOTHER},
        "condition": "not",
        "expression2": {"attribute_name": "sex", "operator": "eq", "attribute_value": "male"}}]});
    json!([
        ["search", "father", by_uin(FATHER)],
        ["search", "unknown", by_uin("31505850010012")],
        ["search", "daughters", expression(minors.clone(), 10, 1)],
        ["search", "second", expression(minors, 1, 2)],
        ["search", "predicate", predicate],
    ])
}

fn uins(entry: &Value) -> Vec<&str> {
    let records = entry["data"]["reg_records"].as_array().unwrap().iter();
    records.map(|record| record["identifier"]["identifier_value"].as_str().unwrap()).collect()
}

/// The answers are the family of the seed, as asked for.
fn check_answers(results: &Value) {
    let father = &results["father"]["data"]["reg_records"][0];
    assert_eq!(uins(&results["father"]), [FATHER]);
    assert_eq!(father["birth_date"], "1985-05-15T00:00:00Z");
    assert_eq!(father["marital_status"], "M");
    assert_eq!(father["marriage_date"], "2012-06-16T00:00:00Z");
    assert_eq!(father["parent2_identifier"]["identifier_value"], "30101500010069");
    assert_eq!(father.get("parent1_identifier"), None, "an unknown mother is left out");
    assert_eq!(father.get("death_date"), None);
    assert_eq!(uins(&results["unknown"]), Vec::<&str>::new(), "no record is an answer");
    assert_eq!(uins(&results["daughters"]), [YOUNGEST, "61206180010047"]);
    assert_eq!(uins(&results["second"]), ["61206180010047"]);
    assert_eq!(results["second"]["pagination"]["total_count"], 2);
    assert_eq!(uins(&results["predicate"]), ["61206180010047", YOUNGEST]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn civil_registry_serves_a_client_written_from_the_documents() {
    let dir = tempfile::tempdir().unwrap();
    let partner = Partner::new("crvs.uz", dir.path());
    let (running, definition) = civil_registry(dir.path(), &partner, "jws").await;
    let base = format!("http://{}", running.address);
    let mut steps = questions();
    let own = json!({"type": "UIN", "value": FATHER});
    let died = json!({"expression1": {"attribute_name": "sex", "operator": "eq", "attribute_value": "male"}});
    steps.as_array_mut().unwrap().extend([
        json!(["search", "by-rsa", by_uin(FATHER), "rsa"]),
        json!(["search", "by-header-like", by_uin(FATHER), "header-like"]),
        json!(["search_later", "later", by_uin(FATHER), 2]),
        json!(["unknown_status"]),
        json!(["refusals", by_uin(FATHER)]),
        json!(["rejections", by_uin(FATHER)]),
        json!(["callbacks_are_taken"]),
        json!(["subscribe", "Death", "Person", "predicate", [died]]),
        json!(["subscribe", "Death", "Person", "predicate", [died], "rjct"]),
        json!(["subscribe", "LiveBirth", "Person", "idtype-value", own, "succ"]),
        json!(["say", "waiting: death"]),
        json!(["notified", "Death", "30101500010069"]),
        json!(["unsubscribe"]),
        json!(["unsubscribe", null, "rjct"]),
        json!(["unsubscribe", ["sub-unknown"], "rjct"]),
    ]);
    let events = dir.path().join("events.sql");
    let happened = "INSERT INTO vital_events (sequence, event, person, happened) VALUES \
        (5, 'Death', '42007870010023', '2026-05-01'), (6, 'Death', '30101500010069', '2026-05-02');";
    std::fs::write(&events, happened).unwrap();
    let register = async |_: &str| adapter_kit::load_seed(&definition, &events).await.unwrap();
    let results = partner.runs((&base, "jws"), json!({}), steps, register).await;
    check_answers(&results);
    for other in ["later", "by-rsa", "by-header-like"] {
        assert_eq!(results[other], results["father"], "{other}");
    }
    assert_eq!(results["subscribe-rjct"], "rjct.event.already_subscribed");
    assert_eq!(results["unsubscribe-rjct"], "rjct.subscription_code.invalid");
    assert_eq!(results["signed-as"], "jws");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_civil_registry_answers_the_same_directly_and_through_two_hubs() {
    let dir = tempfile::tempdir().unwrap();
    let partner = Partner::new("crvs.uz", dir.path());
    let (running, _) = civil_registry(dir.path(), &partner, "header-like").await;
    let agency = ("civil-registry", "spdci-civil");
    let (federation, base) = behind_hubs(dir.path(), agency, running.address).await;
    let headers = json!({"X-Road-Client": REGISTER});
    let mut steps = questions();
    steps.as_array_mut().unwrap().push(json!(["search_later", "later", by_uin(FATHER)]));
    let nothing = async |_: &str| ();
    let through = partner.runs((&base, "jws"), headers, steps.clone(), nothing).await;
    let direct = format!("http://{}", running.address);
    let directly = partner.runs((&direct, "header-like"), json!({}), steps, nothing).await;
    check_answers(&through);
    assert_eq!(through, directly);
    assert_eq!(through["signed-as"], "header-like");
    // By identifier, by an unknown one that is no PINFL, by attributes, by attributes, by a parent.
    searches_name(&federation, ("register", "civil-registry"), &[1, 0, 0, 0, 1]);
    federation.stop().await;
    running.stop().await;
}

/// Two hubs with the interface as a service of the agency's; the base address of the service.
pub(crate) async fn behind_hubs(
    dir: &Path,
    (agency, contract): (&str, &str),
    interface: SocketAddr,
) -> (Federation, String) {
    let clock = Clock::machine();
    let agencies = vec![Agency::named(agency).unwrap()];
    let options = Options { agencies, ..Options::all(clock.now()) };
    let layout = lay_out(&dir.join("federation"), &options).unwrap();
    let subsystem = Agency::named(agency).unwrap().subsystem_id();
    let id = format!("{subsystem}/spdci");
    let service = Service {
        id: id.parse().unwrap(),
        title: "SPDCI".to_owned(),
        url: format!("http://{interface}"),
        contract: Some(format!("../../schemas/openapi/{contract}.json").into()),
        timeout_seconds: Some(10),
        disabled: None,
    };
    let granted = grant("spdci", &id).unwrap();
    layout
        .edit_hub(agency, |config| {
            config.services.push(service);
            config.grants.push(granted);
        })
        .unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.start_central().await.unwrap();
    federation.start_hub(agency).await.unwrap();
    federation.start_hub(federation::layout::REGISTER_HUB).await.unwrap();
    let edge = federation.layout.place(federation::layout::REGISTER_HUB).unwrap().edge_plain;
    (federation, format!("http://{edge}/r1/{id}"))
}

/// How many people the records of searches name, in their order: the same on both hubs, and the
/// first and the last that name somebody name them apart where they are different people.
fn searches_name(federation: &Federation, (consumer, provider): (&str, &str), counts: &[usize]) {
    for (hub, side) in [(consumer, Side::Consumer), (provider, Side::Provider)] {
        let log = federation.hub(hub).unwrap().log();
        let searches = recorded(log).into_iter().filter(|record| {
            record.endpoint.as_deref() == Some("POST /registry/sync/search")
                && (record.side, record.kind) == (side, Kind::Answer)
        });
        let people: Vec<_> = searches.map(|record| record.subjects).collect();
        let found: Vec<usize> = people.iter().map(Vec::len).collect();
        assert_eq!(found, counts, "{hub}");
        let named: Vec<_> = people.iter().filter(|people| !people.is_empty()).collect();
        assert_ne!(named.first(), named.last(), "{hub}");
    }
}

/// The `[spdci]` section of a register's configuration file.
fn section(config: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut out = format!(
        "\n[spdci]\nlisten = \"127.0.0.1:0\"\nid = \"{}\"\nkey_file = \"{}\"\n\n\
         [[spdci.partners]]\nid = \"spmis.uz\"\n\
         secret_sha256 = \"{}\"\ncallbacks = [\"{}\"]\n",
        text(&config["id"]),
        text(&config["key_file"]),
        text(&config["secret_sha256"]),
        text(&config["callback"]),
    );
    for key in config["keys"].as_array().unwrap() {
        out.push_str("[[spdci.partners.keys]]\n");
        for (name, value) in key.as_object().unwrap() {
            out.push_str(&format!("{name} = \"{}\"\n", text(value)));
        }
    }
    out
}

/// The whole federation with the worked example, the register with its interface behind its own hub
/// and granted to the tax committee.
async fn register(dir: &Path, partner: &mut Partner) -> (Federation, String) {
    // The day of the worked example, which can be filed.
    let clock = Clock::manual(UnixMillis::from_rfc3339("2026-03-02T05:00:00Z").unwrap());
    partner.now = Some(clock.now().seconds());
    let layout = lay_out(&dir.join("federation"), &Options::all(clock.now())).unwrap();
    let config = json!({"id": partner.receiver, "key_file": dir.join("spdci.key"),
        "keys": partner.jwks, "callback": partner.callback,
        "secret_sha256": Sha256::of(b"partner secret").to_string()});
    let file = &layout.register.0;
    // No source is late here, however busy the machine is.
    let text = std::fs::read_to_string(file).unwrap();
    let text = text
        .replace("deadline_ms = 2000", "deadline_ms = 60000")
        .replace("\nwave = ", "\ntimeout_ms = 30000\nwave = ")
        + &section(&config);
    std::fs::write(file, text).unwrap();
    let mut federation = Federation::new(layout, clock);
    federation.seed().await.unwrap();
    federation.start_all().await.unwrap();
    let interface = federation.register.as_ref().unwrap().spdci.as_ref().unwrap().address;
    let id = format!("{REGISTER}/spdci");
    let service = Service {
        id: id.parse().unwrap(),
        title: "SPDCI".to_owned(),
        url: format!("http://{interface}"),
        contract: Some("../../schemas/openapi/spdci-social.json".into()),
        timeout_seconds: Some(10),
        disabled: None,
    };
    let tax = Agency::named("tax").unwrap().subsystem_id();
    let granted = hub_core::policy::Grant {
        client: Some(tax.parse().unwrap()),
        ..grant("spdci", &id).unwrap()
    };
    let own = federation::layout::REGISTER_HUB;
    federation
        .layout
        .edit_hub(own, |config| {
            config.services.push(service);
            config.grants.push(granted);
        })
        .unwrap();
    federation.hub(own).unwrap().refresh().await.unwrap();
    let edge = federation.layout.place("tax").unwrap().edge_plain;
    let base = format!("http://{edge}/r1/{id}");
    (federation, base)
}

async fn officer(federation: &Federation, path: &str, body: Value) -> Value {
    let address = federation.register.as_ref().unwrap().address;
    let headers = [("Content-Type", "application/json")];
    let method = if body.is_null() { "GET" } else { "POST" };
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = federation::raw::request(method, path, &headers, &body);
    let answer = federation::raw::talk(address, &request).await.unwrap();
    let answer = federation::raw::Message::parse_all(&answer).remove(0);
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Registers the father's family, from filing to the final rating.
async fn registers(federation: &Federation) {
    let filed = officer(federation, "/applications", json!({"pinfl": FATHER})).await;
    let path = format!("/applications/{}", filed["application"]["id"].as_str().unwrap());
    let visit = json!({"visited_on": "2026-03-02", "family_confirmed": true, "note": ""});
    officer(federation, &format!("{path}/questionnaire"), visit).await;
    let rated = officer(federation, &format!("{path}/final-rating"), json!({})).await;
    assert_eq!(rated["application"]["state"]["state"], "registered", "{rated}");
}

/// The father buys a car, and the month's monitoring finds it.
async fn is_stopped(federation: &Federation, dir: &Path) {
    let file = dir.join("car.sql");
    let car = format!(
        "INSERT INTO vehicles (plate, make, year, working) VALUES ('01A123BC', 'Cobalt', 2025, 1); \
         INSERT INTO holdings (pinfl, plate, title, since) \
         VALUES ('{FATHER}', '01A123BC', 'owner', '2026-03-02');"
    );
    std::fs::write(&file, car).unwrap();
    let config = AdapterConfig::load(&federation.layout.adapters["vehicles"].0).unwrap();
    adapter_kit::load_seed(&config.definition().unwrap(), &file).await.unwrap();
    officer(federation, "/monitoring", json!({"month": "2026-03"})).await;
    let watch = federation.clock.stopwatch();
    loop {
        let seen = officer(federation, "/monitoring/2026-03", Value::Null).await;
        if seen["monitoring"]["progress"] == "finished" {
            assert_eq!(seen["monitoring"]["counts"]["stopped"], 1, "{seen}");
            return;
        }
        assert!(watch.elapsed() < Duration::from_secs(60), "{seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn the_answers_fit_the_family(answers: &Value) {
    assert_eq!(uins(&answers["father"]), [FATHER]);
    let father = &answers["father"]["data"]["reg_records"][0]["demographic_info"];
    assert_eq!(father["birth_date"], "1985-05-15T00:00:00Z");
    assert_eq!(uins(&answers["nobody"]), Vec::<&str>::new(), "the grandfather is no member");
    assert_eq!(uins(&answers["children"]), ["61206180010047", YOUNGEST]);
    let score = &answers["group"]["data"]["reg_records"][0]["poverty_score"];
    assert_eq!(
        answers["poor"]["pagination"]["total_count"], 1,
        "the score is {score}, group {}",
        answers["group"]["data"]["reg_records"][0]["additional_attributes"]
    );
    assert_eq!(answers["poorest"]["pagination"]["total_count"], 0);
    let group = &answers["group"]["data"]["reg_records"][0];
    assert_eq!(
        (&group["group_size"], group["member_list"].as_array().unwrap().len()),
        (&json!(5), 5)
    );
    let enrolled = &answers["enrolled"]["data"]["reg_records"][0];
    assert_eq!(enrolled["benefits"][0]["benefit_value"], "UZS 635000");
    assert_eq!(answers["not-enrolled"]["pagination"]["total_count"], 0);
}

async fn partners_are_told_of_a_stop(
    federation: &Federation,
    partner: &Partner,
    (direct, dir): (&str, &Path),
) {
    let his = json!({"type": "UIN", "value": FATHER});
    let who = json!({"$and": [{"person_identifier": {"eq": FATHER}}]});
    let last = json!([
        ["subscribe", "enrollement_status_change", "Beneficiary", "idtype-value", his],
        ["say", "waiting: monitoring"],
        ["notified", "enrollement_status_change", FATHER],
        ["enrolled", "stopped", who],
    ]);
    let stopped = async |_: &str| is_stopped(federation, dir).await;
    let results = partner.runs((direct, "jws"), json!({}), last, stopped).await;
    let records = results["stopped"]["data"]["reg_records"].as_array().unwrap();
    assert_eq!((records.len(), &records[0]["enrollment_status"]), (1, &json!("4")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_social_register_answers_from_its_families_directly_and_through_two_hubs() {
    let dir = tempfile::tempdir().unwrap();
    let mut partner = Partner::new("sr.uz", dir.path());
    let (federation, through) = register(dir.path(), &mut partner).await;
    let direct = federation.register.as_ref().unwrap().spdci.as_ref().unwrap().address;
    let direct = format!("http://{direct}");
    let first = json!([
        ["search", "before", by_uin(FATHER)],
        ["subscribe", "REGISTER", "Group", "idtype-value", {"type": "UIN", "value": FATHER}],
        ["say", "waiting: registration"],
        ["notified", "REGISTER", MOTHER],
        ["unsubscribe"],
        ["refusals", by_uin(FATHER)],
        ["rejections", by_uin(FATHER)],
    ]);
    let registered = async |_: &str| registers(&federation).await;
    let results = partner.runs((&direct, "jws"), json!({}), first, registered).await;
    assert_eq!(results["before"]["pagination"]["total_count"], 0, "nobody is registered yet");

    let children = json!({"query_type": "predicate", "reg_record_type": "Member", "query": [{
        "seq_num": 1,
        "expression1": {"attribute_name": "age", "operator": "lt", "attribute_value": "25"},
        "condition": "and",
        "expression2": {"attribute_name": "sex", "operator": "eq", "attribute_value": "female"}}],
        "sort": [{"attribute_name": "birth_date", "sort_order": "asc"}]});
    let poor = |most: u32| {
        json!({"query_type": "expression", "query": {"type": "q", "value": {"expression": {
            "collection": "Group",
            "query": {"$and": [{"group_size": {"$lt": 6}}, {"poverty_score": {"$lt": most}}]}}}}})
    };
    let group = json!({"query_type": "idtype-value", "response_entity": "Group",
        "query": {"type": "UIN", "value": MOTHER}});
    let who = |pinfl: &str| json!({"$and": [{"person_identifier": {"eq": pinfl}}]});
    let steps = json!([
        ["search", "father", by_uin(FATHER)],
        ["search", "nobody", by_uin("30101500010069")],
        ["search", "children", children],
        ["search", "poor", poor(1500)],
        ["search", "poorest", poor(1)],
        ["search", "group", group],
        ["search_later", "later", by_uin(FATHER)],
        ["enrolled", "enrolled", who(FATHER)],
        ["enrolled", "not-enrolled", who("30101500010069")],
    ]);
    let nothing = async |_: &str| ();
    let headers = json!({"X-Road-Client": Agency::named("tax").unwrap().subsystem_id()});
    let by_hubs = partner.runs((&through, "rsa"), headers, steps.clone(), nothing).await;
    let mut more = steps;
    more.as_array_mut().unwrap().extend([
        json!(["report", [
            {"assistance_unit": "1", "programme_identifier": [{"identifier_value": "P-2"}],
             "enrollment_status": "4", "enrollment_date": "2026-03-01",
             "member": {"demographic_info": {"identifier": [{"identifier_value": MOTHER}]}}},
            {"member": {}}], ["succ", "rjct"]]),
        json!(["enrolled", "reported", who(MOTHER)]),
    ]);
    let mut directly = partner.runs((&direct, "header-like"), json!({}), more, nothing).await;
    let reported = directly.as_object_mut().unwrap().remove("reported").unwrap();
    assert_eq!(reported["data"]["reg_records"][0]["enrollment_status"], "4");
    assert_eq!(by_hubs, directly);
    the_answers_fit_the_family(&by_hubs);
    searches_name(&federation, ("tax", "register"), &[1, 1, 0, 0, 0, 1]);
    partners_are_told_of_a_stop(&federation, &partner, (&direct, dir.path())).await;
    federation.stop().await;
}
