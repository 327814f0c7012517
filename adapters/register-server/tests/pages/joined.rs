//! Case, card and payments on a family's page: who sees what, in a caller and in a real browser.

use std::path::Path;

use http::StatusCode;
use register::payment::line::{Claim, Line, LineId, LineState};
use register::payment::office::Document;
use register::payment::party::Commit;
use serde_json::{Value, json};

use crate::accessibility::{Tree, assert_readable};
use crate::browser::{ENTER, with_browser};
use crate::sample::{BABY, FATHER, MOTHER};
use crate::texts::{assert_says, plain};
use crate::world::{Office, Page, named_family};

pub(crate) const WORKER: &str = "worker-1";
pub(crate) const AGENCY: &str = "agency-1";
const ELSEWHERE: &str = "worker-2";
const DISTRICT: &str = "1726269";

/// Tables of a register with desk and payments.
pub(crate) fn tables(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "[store]\ndirectory = \"{}\"\n\
         [payments]\npurpose = \"social-payment\"\n\
         treasury = \"UZ/GOV/TREASURY/treasury/treasury\"\n\
         bank = \"UZ/BANK/AGROBANK/accounts/payouts\"\n\
         [[officers]]\nid = \"{WORKER}\"\nrole = \"caseworker\"\ndistrict = \"{DISTRICT}\"\n\
         [[officers]]\nid = \"{ELSEWHERE}\"\nrole = \"caseworker\"\ndistrict = \"1703\"\n\
         [[officers]]\nid = \"{AGENCY}\"\nrole = \"officer\"\n\
         [[event_sources]]\nclient = \"UZ/GOV/JUSTICE/civil-registry\"\nname = \"civil-registry\"\n\
         kinds = [\"birth\", \"death\"]\n",
        path("store")
    )
}

/// Opens a case of the mother, a card of the father, and a paid month.
async fn lives(office: &Office) {
    let case = json!({"pinfl": MOTHER, "district": DISTRICT, "ground": "asked for help"});
    office.act(WORKER, "/cases", &case).await;
    office.act(AGENCY, "/cards", &json!({"pinfl": FATHER, "ground": "asked for"})).await;
    let month = "2026-02".parse().unwrap();
    let paid = Line {
        id: LineId::at(month, 1),
        claim: Claim {
            family: "f-1".parse().unwrap(),
            benefit: "child-benefit".parse().unwrap(),
            month,
        },
        rolled_over_from: None,
        recipient: MOTHER.parse().unwrap(),
        account: "20208000000000000001".parse().unwrap(),
        amount_soum: register::money::Soum::new(635_000).unwrap(),
        ground: "d-1".parse().unwrap(),
        branch: "00401".parse().unwrap(),
        state: LineState::Paid,
    };
    let payments = office.register.payments.as_ref().unwrap();
    let commit = Commit { documents: vec![Document::Line(paid)], ..Commit::default() };
    payments.act(|_| Ok::<_, ()>(commit)).await.unwrap();
}

async fn page_of(office: &Office, user: Option<&'static str>) -> Page {
    let mut caller = office.caller();
    caller.user = user;
    caller.family(FATHER).await
}

/// What one section of the page says.
fn section(page: &Page, name: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("<section id=\"{name}\"")).unwrap();
    let text = rest.split_once("</section>").unwrap().0.to_owned();
    plain(&Page { status: page.status, headers: page.headers.clone(), text })
}

#[tokio::test]
async fn an_officer_sees_the_case_the_card_and_the_paid_month_of_a_family() {
    let office = Office::joined(named_family()).await;
    let empty = page_of(&office, Some(AGENCY)).await;
    for part in ["case", "card", "payments"] {
        assert!(section(&empty, part).contains("Nothing is known"), "{part}");
    }
    lives(&office).await;
    for officer in [AGENCY, WORKER] {
        let page = page_of(&office, Some(officer)).await;
        assert!(
            section(&page, "case").contains("awaits the questionnaire 02.03.2026"),
            "{officer}"
        );
        assert!(section(&page, "card").contains("Namuna Sinov, valid until in use 02.03.2036"));
        let payments = section(&page, "payments");
        assert!(
            payments.contains("2026-02, to Sinova") && payments.contains("paid 635 000"),
            "{payments}"
        );
    }
}

#[tokio::test]
async fn who_may_not_see_is_told_so_and_learns_nothing() {
    let office = Office::joined(named_family()).await;
    let before = page_of(&office, Some(ELSEWHERE)).await;
    lives(&office).await;
    let reasons = [
        (None, "has not said who you are", "has not said who you are"),
        (Some("stranger"), "does not know you", "does not know you"),
        (Some(ELSEWHERE), "Nothing is known. Only what is of your district", "in your district"),
    ];
    for (user, of_case, of_support) in reasons {
        let page = page_of(&office, user).await;
        assert!(section(&page, "case").contains(of_case), "{user:?}: {}", section(&page, "case"));
        for part in ["card", "payments"] {
            let text = section(&page, part);
            assert!(text.contains(of_support) && !text.contains("635"), "{user:?}: {text}");
        }
    }
    let after = page_of(&office, Some(ELSEWHERE)).await;
    for part in ["case", "card", "payments"] {
        assert_eq!(
            section(&before, part),
            section(&after, part),
            "{part} tells of another district"
        );
    }
}

#[tokio::test]
async fn every_language_has_words_for_case_card_and_payments() {
    let office = Office::joined(named_family()).await;
    lives(&office).await;
    let wanted = [
        ("uz", ["soʻrovnoma kutilmoqda", "amalda", "toʻlangan"]),
        ("ru", ["ожидается анкета", "действует", "выплачено"]),
        ("en", ["awaits the questionnaire", "in use", "paid"]),
    ];
    for (language, texts) in wanted {
        let mut caller = office.caller();
        caller.user = Some(AGENCY);
        caller.language = language;
        let page = caller.family(FATHER).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_says(&page, &texts);
        assert!(!page.text.contains('{'), "{language}: an unfilled place");
    }
}

#[tokio::test]
async fn a_browser_shows_the_case_the_card_and_the_paid_month() {
    let office = Office::joined(named_family()).await;
    lives(&office).await;
    with_browser("en", async |browser| {
        browser.name_officer(WORKER).await;
        browser.open(&format!("{}/pages", office.caller().origin())).await;
        browser.wait_until("document.querySelector('#pinfl').focus(); return true").await;
        browser.press(FATHER).await;
        browser.press(ENTER).await;
        browser.wait_until("return location.pathname.startsWith('/pages/families/')").await;
        browser.wait_until("return document.readyState === 'complete'").await;
        let seen = |part: &str| format!("return document.querySelector('#{part}').innerText");
        let text = async |part: &str| -> Value { browser.see(&seen(part)).await };
        for (part, wanted) in
            [("case", "awaits the questionnaire"), ("card", "in use"), ("payments", "635")]
        {
            let shown = text(part).await;
            assert!(shown.as_str().unwrap().contains(wanted), "{part}: {shown}");
        }
        let tree = Tree::of(browser).await;
        tree.assert_sound();
        let tables = tree.names("table");
        assert!(["Case", "Social card", "Payments"].iter().all(|name| tables.contains(name)));
        for width in [1280, 390] {
            browser.resize(width).await;
            assert_readable(browser).await;
            browser.picture(&format!("joined-{width}")).await;
        }
    })
    .await;
}

/// Tells a birth to the father.
async fn birth(office: &Office) {
    let birth = json!({"id": "e-1", "person": FATHER, "sequence": 1, "on": "2026-03-01",
        "what": {"kind": "birth", "child": BABY}});
    office.tell("UZ/GOV/JUSTICE/civil-registry", "/events", &birth).await;
}

#[tokio::test]
async fn in_a_browser_an_officer_files_the_application_that_a_birth_proposes() {
    let office = Office::joined(named_family()).await;
    birth(&office).await;
    with_browser("en", async |browser| {
        browser.name_officer(AGENCY).await;
        browser.open(&format!("{}/pages", office.caller().origin())).await;
        browser.wait_until("document.querySelector('#pinfl').focus(); return true").await;
        browser.press(FATHER).await;
        browser.press(ENTER).await;
        browser.wait_until("return document.querySelector('#proposals button') !== null").await;
        let tree = Tree::of(browser).await;
        tree.assert_sound();
        let button = "File the application: birth of a child: Namuna Sinov";
        assert!(tree.names("button").contains(&button), "{:?}", tree.names("button"));
        browser.resize(390).await;
        assert_readable(browser).await;
        browser.picture("proposal-390").await;
        browser
            .wait_until("document.querySelector('#proposals button').focus(); return true")
            .await;
        browser.press(ENTER).await;
        let filed = "return document.querySelector('#proposals')?.innerText \
                     .includes('the application is filed') ?? false";
        browser.wait_until(filed).await;
        assert_eq!(
            browser.see("return document.querySelector('#proposals button')").await,
            Value::Null
        );
    })
    .await;
}

#[tokio::test]
async fn a_proposal_is_closed_with_its_reason_by_who_may_and_in_the_own_session_only() {
    let office = Office::joined(named_family()).await;
    birth(&office).await;
    lives(&office).await;
    let worker = page_of(&office, Some(WORKER)).await;
    let seen = section(&worker, "proposals");
    assert!(seen.contains("an application is proposed 01.03.2026"), "{seen}");
    assert!(!worker.text.contains("/refusal"), "a caseworker sees and does not answer");
    let mut caller = office.caller();
    caller.user = Some(AGENCY);
    let page = caller.family(FATHER).await;
    let (before, _) = page.text.split_once("/refusal\"").unwrap();
    let path = format!("{}/refusal", before.rsplit_once("action=\"").unwrap().1);
    let token = page.token().to_owned();
    let form = |token: &str, reason: &str| format!("token={token}&reason={reason}");
    let refused = [
        (caller.post(&path, &form("other", "so")).await, StatusCode::NOT_FOUND),
        (caller.post(&path, &form(&token, "+")).await, StatusCode::BAD_REQUEST),
        (
            caller.post(&path.replace("proposals/", "proposals/0"), &form(&token, "so")).await,
            StatusCode::INTERNAL_SERVER_ERROR,
        ),
    ];
    for (page, status) in refused {
        assert_eq!(page.status, status, "{}", plain(&page));
    }
    caller.user = Some(WORKER);
    let denied = caller.post(&path, &form(&token, "so")).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    caller.user = Some(AGENCY);
    let closed = caller.post(&path, &form(&token, "lives+elsewhere")).await;
    assert_eq!(closed.status, StatusCode::SEE_OTHER);
    let place = closed.location().split_once('#').unwrap().0.to_owned();
    assert_says(&caller.get(&place).await, &["closed by an officer"]);
    let late =
        caller.post(&path.replace("refusal", "application"), &format!("token={token}")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_says(&late, &["answered this proposal already"]);
}
