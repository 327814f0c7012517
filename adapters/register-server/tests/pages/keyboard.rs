//! The pages in a real browser, with the keyboard alone.

use serde_json::json;

use crate::accessibility::{Tree, assert_readable};
use crate::browser::{Browser, ENTER, TAB, with_browser};
use crate::fake_hub::Fault;
use crate::sample::{FATHER, MOTHER, Sample};
use crate::world::{Office, named_family};

/// More than any page has places for the focus.
const PLACES_MAX_COUNT: usize = 200;

/// Presses Tab until `selector` has the focus; every place on the way shows that it has it.
async fn tab_to(browser: &Browser, selector: &str) {
    let there = format!("return document.activeElement.matches({selector:?})");
    let shown = "const style = getComputedStyle(document.activeElement); \
                 return document.activeElement === document.body \
                     || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";
    for _ in 0..PLACES_MAX_COUNT {
        browser.press(TAB).await;
        assert_eq!(browser.see(shown).await, json!(true), "the focus is not to be seen");
        if browser.see(&there).await == json!(true) {
            return;
        }
    }
    panic!("the keyboard does not reach {selector}");
}

/// Searches for the father's family with the keyboard alone.
async fn find_family(browser: &Browser, office: &Office) {
    browser.open(&format!("{}/pages", office.caller().origin())).await;
    tab_to(browser, "#pinfl").await;
    browser.press(FATHER).await;
    browser.press(ENTER).await;
    browser.wait_until("return location.pathname.startsWith('/pages/families/')").await;
    browser.wait_until("return document.readyState === 'complete'").await;
}

async fn heading(browser: &Browser) -> String {
    let text = browser.see("return document.querySelector('h1').textContent").await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn caseworker_finds_reads_and_switches_language_with_the_keyboard_alone() {
    let office = Office::new(named_family(), &[]).await;
    with_browser("en", async |browser| {
        browser.resize(1280).await;
        browser.open(&format!("{}/pages", office.caller().origin())).await;
        browser.press(TAB).await;
        let first = browser.see("return document.activeElement.className").await;
        assert_eq!(first, json!("skip"), "the first Tab offers to skip to the content");
        let tree = Tree::of(browser).await;
        tree.assert_sound();
        assert_eq!(tree.names("textbox"), ["PINFL of the applicant"]);
        assert_eq!(tree.descriptions("textbox"), ["14 digits, as on the identity card"]);
        assert!(tree.names("button").contains(&"Ask the agencies"));
        find_family(browser, &office).await;
        assert!(!browser.address().await.contains(FATHER));
        assert_eq!(heading(browser).await, "Family of Namuna Sinov");
        let verdict = browser.see("return document.querySelector('.verdict').textContent").await;
        assert_eq!(verdict, json!("Entitled"));
        tab_to(browser, "a[lang=ru]").await;
        browser.press(ENTER).await;
        browser.wait_until("return document.documentElement.lang === 'ru'").await;
        assert_eq!(heading(browser).await, "Семья: Namuna Sinov");
        tab_to(browser, ".scroll").await;
        tab_to(browser, "details > summary").await;
        browser.press(ENTER).await;
        browser.wait_until("return document.querySelector('details').open").await;
    })
    .await;
}

#[tokio::test]
async fn screen_reader_hears_landmarks_headings_tables_and_the_drawing() {
    let office = Office::new(named_family(), &[]).await;
    with_browser("en", async |browser| {
        find_family(browser, &office).await;
        let tree = Tree::of(browser).await;
        tree.assert_sound();
        assert_eq!(tree.names("navigation"), ["Language", "On this page"]);
        let tables = tree.names("table");
        let wanted = ["Step by step", "The family as a table"];
        assert!(wanted.iter().all(|name| tables.contains(name)), "{tables:?}");
        let headers = tree.names("columnheader");
        assert!(["Person", "Why", "Answered"].iter().all(|h| headers.contains(h)), "{headers:?}");
        let pictures = [tree.names("img"), tree.names("image")].concat();
        assert_eq!(pictures, ["The family as a drawing"]);
        let told = [tree.descriptions("img"), tree.descriptions("image")].concat();
        assert!(
            told[0].starts_with("Members: 5, not counted: 0, others at the same address: 1"),
            "{told:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn refused_entry_is_announced_and_described_at_its_field() {
    let office = Office::new(named_family(), &[]).await;
    with_browser("en", async |browser| {
        browser.open(&format!("{}/pages", office.caller().origin())).await;
        tab_to(browser, "#pinfl").await;
        browser.press("31505850010012").await;
        browser.press(ENTER).await;
        browser.wait_until("return document.querySelector('[role=alert]') !== null").await;
        let tree = Tree::of(browser).await;
        tree.assert_sound();
        assert_eq!(tree.names("alert").len(), 1);
        let told = tree.descriptions("textbox");
        assert!(told[0].contains("check digit of the PINFL is wrong"), "{told:?}");
        assert_readable(browser).await;
        browser.resize(390).await;
        browser.picture("refused-390").await;
    })
    .await;
}

/// A large family with somebody away, a contradiction and absent sources.
fn eventful() -> (Sample, [(&'static str, Fault); 2]) {
    let mut sample = named_family();
    sample.answer(MOTHER, "population")["abroad_since"] = json!("2025-01-01");
    sample.answer(FATHER, "population")["surname"] = json!("Namunaviy-Sinovchiyeva-Uzunova");
    sample.vehicle(FATHER, "01A777AA", 2021);
    let denied = Fault::Problem("server.serverproxy.access_denied");
    (sample, [("cadastre", denied), ("bank", Fault::Answers(500, json!({})))])
}

#[tokio::test]
async fn pages_are_readable_at_1280_and_390_pixels_in_every_language() {
    let (sample, faults) = eventful();
    let offices = [
        ("good", Office::new(named_family(), &[]).await),
        ("eventful", Office::new(sample, &faults).await),
    ];
    with_browser("en", async |browser| {
        for (name, office) in &offices {
            find_family(browser, office).await;
            let place = browser.address().await;
            for language in ["uz", "ru", "en"] {
                for width in [1280, 390] {
                    browser.resize(width).await;
                    browser.open(&format!("{place}?language={language}")).await;
                    assert_readable(browser).await;
                    Tree::of(browser).await.assert_sound();
                    browser.picture(&format!("{name}-{language}-{width}")).await;
                }
            }
            browser.open(&format!("{}/pages?language=uz", office.caller().origin())).await;
            browser.picture(&format!("{name}-search-390")).await;
        }
        browser.resize(1280).await;
        browser.inspect("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
        browser.open(&format!("{}/pages?language=en", offices[0].1.caller().origin())).await;
        find_family(browser, &offices[0].1).await;
        browser.picture("good-print").await;
    })
    .await;
}
