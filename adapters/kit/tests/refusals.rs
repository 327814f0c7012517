//! What an adapter refuses: attacks, requests and answers outside the contract, a source that is
//! away, definitions that do not fit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod agency;

use std::path::{Path, PathBuf};

use adapter_kit::{Definition, DefinitionError, load_seed, prepare};
use agency::{adapters, ask, definition, get, serve, serve_seeded};
use http::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

const FATHER: &str = "31505850010011";
const INCOME: &str = "/persons/31505850010011/income?from=2025-12&to=2026-02";

fn sqlite(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("source.db").display())
}

/// A definition of its own, with the contract of the tax committee without months.
fn own_definition(folder: &TempDir, root: &str, more: &str) -> PathBuf {
    let answer = json!({"type": "object", "additionalProperties": false, "required": ["pinfl"],
        "properties": {"pinfl": {"type": "string"}, "name": {"type": "string"}}});
    let no_record = json!({"type": "object", "additionalProperties": false,
        "required": ["error"], "properties": {"error": {"const": "no_record"}}});
    let content = |schema| json!({"content": {"application/json": {"schema": schema}}});
    // The pattern is missing on purpose: binding alone has to hold.
    let contract = json!({"openapi": "3.1.0", "paths": {"/persons/{pinfl}": {"get": {
        "operationId": "person",
        "parameters": [
            {"name": "pinfl", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "year", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": content(answer), "404": content(no_record)}}}}});
    std::fs::write(folder.path().join("contract.json"), contract.to_string()).unwrap();
    let tables =
        "CREATE TABLE IF NOT EXISTS persons (pinfl TEXT PRIMARY KEY, name TEXT, year BIGINT);
        INSERT INTO persons VALUES ('a''b', 'one', 1), ('plain', 'two', 2);";
    std::fs::write(folder.path().join("schema.sql"), tables).unwrap();
    let text = format!(
        "service = \"own\"\ncontract = \"contract.json\"\nschema = \"schema.sql\"\n\
         health = \"SELECT 1 AS ready FROM persons LIMIT 1\"\n\
         [source]\nurl = \"{}\"\n[operations.person]\nroot = \"{root}\"\n{more}",
        sqlite(folder)
    );
    let path = folder.path().join("definition.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn refused(path: &Path) -> String {
    Definition::load(path).unwrap_err().to_string()
}

#[tokio::test]
async fn injection_through_a_parameter_is_only_an_unknown_person() {
    let folder = tempfile::tempdir().unwrap();
    let path = own_definition(&folder, "SELECT pinfl, name FROM persons WHERE pinfl = :pinfl", "");
    let definition = Definition::load(&path).unwrap();
    prepare(&definition).await.unwrap();
    let adapter = serve(definition).await;
    let attacks = [
        "x'%20OR%20'1'='1",
        "x'%3B%20DROP%20TABLE%20persons%3B%20--",
        "plain'--",
        "x%22%20OR%201=1",
        "$1",
        ":pinfl",
        "x'%20UNION%20SELECT%20name,%20pinfl%20FROM%20persons--",
    ];
    for attack in attacks {
        let answer = get(adapter.address, &format!("/persons/{attack}")).await;
        assert_eq!(answer, (StatusCode::NOT_FOUND, json!({"error": "no_record"})), "{attack}");
    }
    let quoted = get(adapter.address, "/persons/a'b").await;
    assert_eq!(quoted, (StatusCode::OK, json!({"pinfl": "a'b", "name": "one"})));
    assert_eq!(get(adapter.address, "/persons/plain").await.0, StatusCode::OK);
}

#[tokio::test]
async fn injection_through_months_and_body_is_refused_by_the_contract() {
    let (folder, bank) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tax = serve_seeded(definition("tax", &sqlite(&folder))).await;
    let attack = "2026-02'%3B%20DELETE%20FROM%20wages%3B--";
    for query in [format!("from={attack}&to=2026-02"), format!("from=2025-12&to={attack}")] {
        let target = format!("/persons/{FATHER}/income?{query}");
        assert_eq!(get(tax.address, &target).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(get(tax.address, INCOME).await.1["wages"].as_array().unwrap().len(), 3);

    let bank = serve_seeded(definition("bank", &sqlite(&bank))).await;
    for body in [
        json!({"pinfl": "' OR 1=1 --", "threshold_soum": 1}),
        json!({"pinfl": FATHER, "threshold_soum": "1; DROP TABLE deposits"}),
        json!({"pinfl": FATHER, "threshold_soum": -1}),
        json!({"pinfl": FATHER, "threshold_soum": 1, "balance": true}),
        json!([FATHER]),
    ] {
        let (status, answer) =
            ask(bank.address, Method::POST, "/deposit-test", body.to_string()).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("bad_body")));
        assert!(!answer.to_string().contains(FATHER), "{answer}");
    }
    let body = json!({"pinfl": FATHER, "threshold_soum": 1}).to_string();
    assert_eq!(ask(bank.address, Method::POST, "/deposit-test", body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn requests_outside_the_contract_have_their_own_answers() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = serve_seeded(definition("tax", &sqlite(&folder))).await;
    let cases = [
        (Method::GET, "/persons", 404, "unknown_operation"),
        (Method::GET, "/persons//income?from=2025-12&to=2026-02", 404, "unknown_operation"),
        (Method::GET, "/persons/31505850010011/income/", 404, "unknown_operation"),
        (Method::POST, INCOME, 405, "wrong_method"),
        (Method::DELETE, "/health", 405, "wrong_method"),
        (Method::GET, "/persons/31505850010011/income?from=2025-12", 400, "bad_parameter"),
        (
            Method::GET,
            "/persons/31505850010011/income?from=2025-13&to=2026-02",
            400,
            "bad_parameter",
        ),
        (Method::GET, &format!("{INCOME}&to=2026-03"), 400, "bad_parameter"),
        (Method::GET, &format!("{INCOME}&salary=1"), 400, "bad_parameter"),
        (
            Method::GET,
            "/persons/3150585001001%/income?from=2025-12&to=2026-02",
            400,
            "bad_parameter",
        ),
    ];
    for (method, target, status, code) in cases {
        let (got, answer) = ask(adapter.address, method, target, "").await;
        assert_eq!((got.as_u16(), &answer["error"]), (status, &json!(code)), "{target}");
    }
    let unknown = get(adapter.address, "/nothing").await;
    assert_eq!(unknown, (StatusCode::NOT_FOUND, json!({"error": "unknown_operation"})));
}

#[tokio::test]
async fn too_large_body_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = serve_seeded(definition("bank", &sqlite(&folder))).await;
    let (status, answer) =
        ask(adapter.address, Method::POST, "/deposit-test", vec![b' '; 65 * 1024]).await;
    assert_eq!((status.as_u16(), &answer["error"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn answer_outside_the_contract_does_not_leave() {
    for (root, hint) in [
        ("SELECT pinfl, year AS salary FROM persons WHERE pinfl = :pinfl", "salary"),
        ("SELECT name FROM persons WHERE pinfl = :pinfl", "required"),
        ("SELECT pinfl, year AS name FROM persons WHERE pinfl = :pinfl", "/properties/name/type"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = own_definition(&folder, root, "");
        let definition = Definition::load(&path).unwrap();
        prepare(&definition).await.unwrap();
        let adapter = serve(definition).await;
        let (status, answer) = get(adapter.address, "/persons/plain").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer["error"], "answer_breaks_contract");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("definition.toml") && message.contains(hint), "{message}");
        assert!(!message.contains("plain"), "{message}");
    }
}

#[tokio::test]
async fn data_outside_the_contract_does_not_leave() {
    let folder = tempfile::tempdir().unwrap();
    let definition = definition("tax", &sqlite(&folder));
    prepare(&definition).await.unwrap();
    load_seed(&definition, definition.seed().unwrap()).await.unwrap();
    let bad = folder.path().join("bad.sql");
    std::fs::write(&bad, format!("INSERT INTO plots VALUES ('{FATHER}', '2026-01', -5);")).unwrap();
    load_seed(&definition, &bad).await.unwrap();
    let adapter = serve(definition).await;
    let (status, answer) = get(adapter.address, INCOME).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("/properties/plots/items/properties/income_soum/minimum"),
        "{message}"
    );
}

#[tokio::test]
async fn absent_source_is_503_and_comes_back_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(&folder);
    let adapter = serve(definition("tax", &url)).await;
    for target in ["/health", INCOME] {
        let (status, answer) = get(adapter.address, target).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["error"], "source_down");
        assert!(answer["message"].as_str().unwrap().contains("tax/definition.toml"), "{answer}");
    }
    let definition = definition("tax", &url);
    prepare(&definition).await.unwrap();
    load_seed(&definition, definition.seed().unwrap()).await.unwrap();
    assert_eq!(get(adapter.address, "/health").await.0, StatusCode::OK);
    assert_eq!(get(adapter.address, INCOME).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sql_that_the_source_refuses_names_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    let path = own_definition(&folder, "SELECT pinfl FROM people WHERE pinfl = :pinfl", "");
    let definition = Definition::load(&path).unwrap();
    prepare(&definition).await.unwrap();
    let adapter = serve(definition).await;
    let (status, answer) = get(adapter.address, "/persons/plain").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer["error"], "definition_fails");
    assert!(answer["message"].as_str().unwrap().contains("people"), "{answer}");
}

#[tokio::test]
async fn running_adapter_cannot_write_to_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        own_definition(&folder, "DELETE FROM persons WHERE pinfl = :pinfl RETURNING pinfl", "");
    let definition = Definition::load(&path).unwrap();
    prepare(&definition).await.unwrap();
    let adapter = serve(definition).await;
    for _ in 0..2 {
        let (status, answer) = get(adapter.address, "/persons/plain").await;
        assert_eq!((status.as_u16(), &answer["error"]), (500, &json!("definition_fails")));
    }
}

#[tokio::test]
async fn http_source_is_checked_like_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = serve_seeded(definition("tax", &sqlite(&folder))).await;
    let contract = adapters().join("../schemas/openapi/tax.json");
    let text = format!(
        "service = \"tax\"\ncontract = \"{}\"\nhealth = \"/health\"\n[source]\nhttp = \"http://{}\"\n",
        contract.display(),
        upstream.address
    );
    let path = folder.path().join("definition.toml");
    std::fs::write(&path, text).unwrap();
    let adapter = serve(Definition::load(&path).unwrap()).await;

    assert_eq!(get(adapter.address, INCOME).await, get(upstream.address, INCOME).await);
    let stranger = "/persons/31210632040244/income?from=2025-12&to=2026-02";
    let no_record = (StatusCode::NOT_FOUND, json!({"error": "no_record"}));
    assert_eq!(get(adapter.address, stranger).await, no_record);
    assert_eq!(get(adapter.address, "/health").await.0, StatusCode::OK);

    // A 404 of a wrong address is a failure of the source, not an unknown person.
    let lost = Definition::load(&path).unwrap();
    let lost = lost.with_source(&format!("http://{}/elsewhere", upstream.address)).unwrap();
    let lost = serve(lost).await;
    let (status, answer) = get(lost.address, INCOME).await;
    assert_eq!((status.as_u16(), &answer["error"]), (503, &json!("source_down")));

    upstream.stop().await;
    assert_eq!(get(adapter.address, INCOME).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(adapter.address, "/health").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn definition_that_does_not_fit_its_contract_is_refused_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let good = "SELECT pinfl FROM persons WHERE pinfl = :pinfl";
    assert!(Definition::load(&own_definition(&folder, good, "")).is_ok());
    let cases = [
        ("SELECT pinfl FROM persons WHERE pinfl = :person", "", "no parameter `person`"),
        ("SELECT pinfl FROM persons WHERE year = :year", "", "no parameter `year`"),
        ("SELECT 1; SELECT 2", "", "only one SQL statement"),
        (good, "[operations.person.lists]\nwages = \"SELECT 1\"", "no such list"),
        (good, "[operations.family]\nroot = \"SELECT 1\"", "no such operationId"),
        (good, "surprise = 1", "unknown field `surprise`"),
    ];
    for (root, more, hint) in cases {
        let text = refused(&own_definition(&folder, root, more));
        assert!(text.contains(hint) && text.contains("definition.toml"), "{text}");
    }
}

#[test]
fn definition_without_an_operation_of_the_contract_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = own_definition(&folder, "SELECT 1", "");
    let text = std::fs::read_to_string(&path).unwrap();
    let (without, _) = text.split_once("[operations.person]").unwrap();
    std::fs::write(&path, without).unwrap();
    assert!(refused(&path).contains("operations.person: missing"));
    std::fs::write(&path, text.replace("sqlite://", "oracle://")).unwrap();
    assert!(refused(&path).contains("sqlite://"));
    std::fs::write(&path, text.replace("contract.json", "absent.json")).unwrap();
    assert!(matches!(Definition::load(&path), Err(DefinitionError::Contract { .. })));
}

#[test]
fn password_of_the_source_is_in_no_text() {
    let definition = definition("tax", "postgres://tax:SECRET@localhost/tax");
    assert!(!format!("{definition:?}").contains("SECRET"));
    let folder = tempfile::tempdir().unwrap();
    let path = own_definition(&folder, "SELECT 1", "");
    std::fs::write(&path, "service = 1\n[source]\nurl = \"postgres://tax:SECRET@h/t\" x").unwrap();
    assert!(!refused(&path).contains("SECRET"));
}
