//! Every agency answers for the family of the worked example, the same on SQLite and PostgreSQL.
//!
//! ```text
//! definition.toml + schema.sql + seed.sql → adapter on SQLite      ┐
//!                                         → adapter on PostgreSQL  ┘ → the same answers
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod agency;
mod postgres;

use std::net::SocketAddr;

use agency::{AGENCIES, ask, definition, get, serve_seeded};
use http::{Method, StatusCode};
use postgres::Postgres;
use serde_json::{Value, json};

const FATHER: &str = "31505850010011";
const MOTHER: &str = "42007870010023";
const SON: &str = "50303140010034";
const DAUGHTER: &str = "61206180010047";
const INFANT: &str = "62509240010052";
const GRANDFATHER: &str = "30101500010069";
const FAMILY: [&str; 6] = [FATHER, MOTHER, SON, DAUGHTER, INFANT, GRANDFATHER];
/// A valid PINFL that no seed knows.
const STRANGER: &str = "31210632040244";
const DWELLING: &str = "10:01:02:03:04:0005";

/// Asks an agency about a person.
async fn about(address: SocketAddr, agency: &str, pinfl: &str) -> (StatusCode, Value) {
    let operation = match agency {
        "bank" => {
            let body = json!({"pinfl": pinfl, "threshold_soum": 470_000}).to_string();
            return ask(address, Method::POST, "/deposit-test", body).await;
        }
        "civil-registry" => "/family",
        "population" => "",
        "tax" => "/income?from=2025-12&to=2026-02",
        "education" => "/enrolment",
        "social-agency" => "/status",
        "cadastre" => "/properties",
        same => &format!("/{same}"),
    };
    get(address, &format!("/persons/{pinfl}{operation}")).await
}

/// What each agency says about one member of the family, whole.
fn expected(agency: &str) -> (&'static str, Value) {
    let child = |pinfl: &str, born: &str| json!({"pinfl": pinfl, "born": born, "died": null, "relation": "birth"});
    match agency {
        "civil-registry" => (
            FATHER,
            json!({"pinfl": FATHER, "sex": "male", "born": "1985-05-15", "died": null,
            "mother": null, "father": GRANDFATHER,
            "marriages": [{"spouse": MOTHER, "married": "2012-06-16", "ended": null,
                "end_reason": null}],
            "children": [child(SON, "2014-03-03"), child(DAUGHTER, "2018-06-12"),
                child(INFANT, "2024-09-25")]}),
        ),
        "population" => (
            MOTHER,
            json!({"pinfl": MOTHER, "surname": "Karimova", "given_name": "Dilnoza",
            "patronymic": "Bahodirovna", "citizenship": "UZ",
            "address": {"region": "Toshkent shahri", "district": "Chilonzor",
                "street": "Bunyodkor, 12", "dwelling": DWELLING},
            "residents": [GRANDFATHER, FATHER, MOTHER, SON, DAUGHTER, INFANT],
            "abroad_since": null, "in_prison": false, "in_institution": false,
            "conscript": false, "died": null}),
        ),
        "tax" => (MOTHER, mother_income()),
        "pensions" => (
            GRANDFATHER,
            json!({"pinfl": GRANDFATHER, "pensions": [{"kind": "old-age",
            "amount_soum": 1_250_000, "from": "2010-01-01", "to": null}]}),
        ),
        "bank" => (
            FATHER,
            json!({"pinfl": FATHER, "at_least_threshold": true, "threshold_soum": 470_000}),
        ),
        "cadastre" => (
            FATHER,
            json!({"pinfl": FATHER, "properties": [{"cadastre_number": DWELLING,
            "kind": "dwelling", "share": {"numerator": 1, "denominator": 1},
            "address": "Toshkent shahri, Chilonzor, Bunyodkor, 12", "since": "2013-04-02"}]}),
        ),
        "vehicles" => (FATHER, json!({"pinfl": FATHER, "vehicles": []})),
        "employment" => (
            FATHER,
            json!({"pinfl": FATHER, "registered_unemployed_since": null, "able_to_work": true,
            "contracts": [{"employer_stir": "301234567", "employer_name": "Chilonzor Non MChJ",
                "position": "Baker", "from": "2019-09-02", "to": null}]}),
        ),
        "education" => (
            SON,
            json!({"pinfl": SON, "enrolments": [{"institution": "School 114, Chilonzor",
            "kind": "school", "from": "2021-09-02", "to": null}]}),
        ),
        "social-agency" => {
            (INFANT, json!({"pinfl": INFANT, "disability_group": null, "benefits": []}))
        }
        other => panic!("no expectation for {other}"),
    }
}

fn mother_income() -> Value {
    let month = |month: &str, turnover_soum: u64, income_soum: u64| json!({"month": month, "turnover_soum": turnover_soum, "income_soum": income_soum});
    json!({"pinfl": MOTHER, "from": "2025-12", "to": "2026-02", "wages": [], "plots": [],
        "remittances": [], "business": [month("2025-12", 420_000, 300_000),
            month("2026-01", 0, 0), month("2026-02", 610_000, 450_000)]})
}

async fn agency_answers(agency: &str, url: &str) {
    let adapter = serve_seeded(definition(agency, url)).await;
    let address = adapter.address;

    let (person, answer) = expected(agency);
    assert_eq!(about(address, agency, person).await, (StatusCode::OK, answer), "{agency}");
    for person in FAMILY {
        let (status, answer) = about(address, agency, person).await;
        let no_record =
            (status, &answer) == (StatusCode::NOT_FOUND, &json!({"error": "no_record"}));
        let known = status == StatusCode::OK && answer["pinfl"] == person;
        assert!(known || no_record, "{agency}: {status} {answer}");
    }
    let no_record = (StatusCode::NOT_FOUND, json!({"error": "no_record"}));
    assert_eq!(about(address, agency, STRANGER).await, no_record, "{agency}");
    for bad in ["123", "71505850010011", "3150585001001x", "315058500100111"] {
        let (status, answer) = about(address, agency, bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{agency}: {answer}");
        assert!(!answer.to_string().contains(bad), "{agency} repeats the value: {answer}");
    }
    assert_eq!(get(address, "/health").await.0, StatusCode::OK, "{agency}");
    let (_, contract) = get(address, "/openapi.json").await;
    assert!(!contract.to_string().contains("$ref"), "{agency}: references are not inlined");
    assert_eq!(contract["openapi"], "3.1.0");
    adapter.stop().await;
}

#[tokio::test]
async fn every_agency_answers_from_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for agency in AGENCIES {
        let file = folder.path().join(format!("{agency}.db"));
        agency_answers(agency, &format!("sqlite://{}", file.display())).await;
    }
}

#[tokio::test]
async fn every_agency_answers_from_postgresql_and_503_when_it_stops() {
    let server = Postgres::start();
    for agency in AGENCIES {
        agency_answers(agency, &server.database(agency)).await;
    }
    let adapter = serve_seeded(definition("tax", &server.database("last"))).await;
    assert_eq!(about(adapter.address, "tax", FATHER).await.0, StatusCode::OK);
    server.stop();
    for target in ["/health", "/persons/31505850010011/income?from=2025-12&to=2026-02"] {
        let (status, answer) = get(adapter.address, target).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("source_down"))
        );
    }
    adapter.stop().await;
}

#[tokio::test]
async fn two_banks_share_one_definition_and_keep_their_customers_apart() {
    let folder = tempfile::tempdir().unwrap();
    let url = |bank: &str| format!("sqlite://{}", folder.path().join(bank).display());
    let agro = serve_seeded(definition("bank", &url("agro.db"))).await;
    let empty = definition("bank", &url("xalq.db"));
    adapter_kit::prepare(&empty).await.unwrap();
    let xalq = agency::serve(empty).await;
    assert_eq!(about(agro.address, "bank", FATHER).await.0, StatusCode::OK);
    assert_eq!(about(xalq.address, "bank", FATHER).await.0, StatusCode::NOT_FOUND);
    let above = json!({"pinfl": FATHER, "threshold_soum": 470_001}).to_string();
    let (_, answer) = ask(agro.address, Method::POST, "/deposit-test", above).await;
    assert_eq!(answer["at_least_threshold"], false);
}

#[tokio::test]
async fn worked_example_sums_to_8_100_000_soum_over_three_months() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tax.db").display());
    let adapter = serve_seeded(definition("tax", &url)).await;
    let mut sum_soum = 0;
    for person in [FATHER, MOTHER] {
        let (_, income) = about(adapter.address, "tax", person).await;
        let amounts = |list: &str, field: &str| -> i64 {
            let list = income[list].as_array().unwrap();
            list.iter().map(|entry| entry[field].as_i64().unwrap()).sum()
        };
        sum_soum += amounts("wages", "amount_soum") + amounts("business", "income_soum");
    }
    assert_eq!(sum_soum, 8_100_000);
    let january = "/persons/31505850010011/income?from=2026-01&to=2026-01";
    let (_, income) = get(adapter.address, january).await;
    assert_eq!(income["wages"].as_array().unwrap().len(), 1);
}
