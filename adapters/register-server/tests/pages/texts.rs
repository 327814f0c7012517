//! What the pages say: the worked example, refusals, absent sources, three languages.

use http::StatusCode;
use serde_json::json;

use crate::fake_hub::Fault;
use crate::sample::{FATHER, MOTHER, SON};
use crate::world::{Office, Page, named_family, search};

/// The text without its tags, one space between words.
pub(crate) fn plain(page: &Page) -> String {
    let mut plain = String::new();
    for part in page.text.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        if !tag.starts_with("/span") {
            plain.push(' ');
        }
        plain.push_str(text);
    }
    plain
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
}

pub(crate) fn assert_says(page: &Page, texts: &[&str]) {
    let plain = plain(page);
    for text in texts {
        assert!(plain.contains(text), "{text} is missing in: {plain}");
    }
}

#[tokio::test]
async fn worked_example_shows_family_arithmetic_income_and_receipts() {
    let office = Office::new(named_family(), &[]).await;
    let page = office.caller().family(FATHER).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_says(
        &page,
        &[
            "Family of Namuna Sinov",
            "Entitled",
            "635 000 soum",
            "poor family",
            "8 100 000 × 100 = 810 000 000 < 1 072 500 000 = 3 × 5 × 715 000 × 100",
            "360 000 + 165 000 + 110 000 = 635 000, × 100 / 100 = 635 000",
            "married to the applicant since 01.09.2010",
            "child by birth: of the applicant and the spouse",
            "no: lives at the same address",
            "wage, Paxta LLC (301234567)",
            "540 000",
            "0.755",
            "Every source answered",
            "log=\"koprik.example/hub/NASP-1\"; index=42; exchange=\"e-42\"",
            "Not connected to this register yet",
        ],
    );
}

#[tokio::test]
async fn refusal_names_the_clause_the_record_and_the_right_to_appeal() {
    let mut sample = named_family();
    sample.vehicle(FATHER, "01A777AA", 2021);
    let office = Office::new(sample, &[]).await;
    let page = office.caller().family(FATHER).await;
    let wanted = [
        "Not entitled",
        "The family holds a working vehicle up to 7 years old",
        "vehicle 01A777AA, Chevrolet Cobalt, made in 2021",
        "You may appeal",
    ];
    assert_says(&page, &wanted);
}

#[tokio::test]
async fn absent_forbidden_and_no_record_are_told_apart_and_the_decision_awaits() {
    let faults = [
        ("cadastre", Fault::Problem("server.serverproxy.access_denied")),
        ("bank", Fault::Answers(500, json!({}))),
        ("vehicles", Fault::Answers(404, json!({"error": "no_record"}))),
    ];
    let office = Office::new(named_family(), &faults).await;
    let page = office.caller().family(FATHER).await;
    let wanted = [
        "Cannot be decided yet Awaited: Bank (bank), Cadastre (cadastre)",
        "forbidden no grant permits the question (server.serverproxy.access_denied)",
        "unavailable the source answered with an error (HTTP 500)",
        "no record",
        "Bank (bank) 0 of 5",
        "Road safety (vehicles) 5 of 5",
    ];
    assert_says(&page, &wanted);
}

#[tokio::test]
async fn who_left_and_contradictions_are_shown_with_reasons() {
    let mut sample = named_family();
    sample.answer(MOTHER, "population")["abroad_since"] = json!("2025-01-01");
    sample.answer(SON, "population")["residents"] = json!([]);
    sample.answer(FATHER, "population")["residents"] = json!([FATHER]);
    let office = Office::new(sample, &[]).await;
    let page = office.caller().family(FATHER).await;
    assert_says(&page, &["no: lives abroad", "Not registered at the applicant's dwelling"]);
}

#[tokio::test]
async fn every_language_says_the_same_without_an_unfilled_place() {
    let faults = [("bank", Fault::Answers(500, json!({})))];
    let mut sample = named_family();
    sample.vehicle(FATHER, "01A777AA", 2021);
    let office = Office::new(sample, &faults).await;
    let verdicts = [("uz", "Huquqi yoʻq"), ("ru", "Не имеет права"), ("en", "Not entitled")];
    for (language, verdict) in verdicts {
        let mut caller = office.caller();
        caller.language = language;
        let page = caller.family(FATHER).await;
        assert!(page.text.contains(&format!("<html lang=\"{language}\">")));
        assert_says(&page, &[verdict, "01A777AA"]);
        assert!(!page.text.contains('{'), "{language}: an unfilled place");
        for code in ["vehicle-age", "source_problem", "social-agency<"] {
            assert!(!page.text.contains(code), "{language}: {code} has no word");
        }
    }
}

#[tokio::test]
async fn chosen_language_is_remembered_before_the_browsers_own() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    assert_says(&caller.get("/pages?language=ru").await, &["Найти семью"]);
    assert_says(&caller.get("/pages").await, &["Найти семью"]);
    assert_says(&caller.get("/pages?language=xx").await, &["Найти семью"]);
    assert_says(&office.caller().get("/pages").await, &["Find a family"]);
}

#[tokio::test]
async fn wrong_entries_are_refused_in_words_at_their_field_before_any_call() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let cases = [
        ("31505850010012", "", "check digit", "pinfl"),
        ("315", "", "14 digits", "pinfl"),
        (FATHER, "2026-02-30", "not a date", "day"),
        (FATHER, "2020-01-01", "No rules are in force", "day"),
    ];
    for (pinfl, day, reason, field) in cases {
        let page = caller.post("/pages/search", &search(pinfl, day, &token)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{reason}");
        assert_says(&page, &[reason]);
        let (_, input) = page.text.split_once(&format!("<input id=\"{field}\"")).unwrap();
        let input = input.split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("problem "), "{input}");
    }
    assert!(office.world.hub.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn pinfl_with_gaps_as_people_copy_it_is_understood() {
    let office = Office::new(named_family(), &[]).await;
    let page = office.caller().family("315+0585+001+0011").await;
    assert_says(&page, &["Family of Namuna Sinov"]);
}

#[tokio::test]
async fn markup_in_a_sources_answer_stays_text() {
    let mut sample = named_family();
    sample.answer(FATHER, "population")["surname"] = json!("<script>alert(1)</script>");
    let office = Office::new(sample, &[]).await;
    let page = office.caller().family(FATHER).await;
    assert!(!page.text.contains("<script") && page.text.contains("&lt;script&gt;"));
}
