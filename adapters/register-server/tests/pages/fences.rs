//! What the pages refuse and hide: other origins, other sessions, forms without token, PINFLs in
//! addresses.

use http::{StatusCode, header};

use crate::sample::FATHER;
use crate::world::{Office, named_family, search};

#[tokio::test]
async fn every_answer_forbids_scripts_frames_foreign_resources_and_keeping() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let refused = caller.send("/pages/search", Some("pinfl=1"), &[]).await;
    let gone = caller.get("/pages/families/none").await;
    let found = caller.post("/pages/search", &search(FATHER, "", &token)).await;
    let style = caller.get("/pages/style.css").await;
    for page in [refused, gone, found, style, caller.get("/pages/none").await] {
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[tokio::test]
async fn pages_have_no_script_no_inline_style_and_no_address_elsewhere() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    for page in [caller.get("/pages").await, caller.family(FATHER).await] {
        for bad in ["<script", "style=", "<style", "onclick", "src=", "//"] {
            let text = page.text.replace("<!DOCTYPE html>", "");
            assert!(!text.contains(bad), "{bad}");
        }
    }
}

#[tokio::test]
async fn no_pinfl_stands_in_any_address_that_a_browser_may_keep() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let found = caller.post("/pages/search", &search(FATHER, "2026-03-02", &token)).await;
    let page = caller.get(found.location()).await;
    let addresses = page.text.split("href=\"").chain(page.text.split("action=\"")).skip(1);
    let mut addresses =
        addresses.map(|rest| rest.split('"').next().unwrap()).chain([found.location()]);
    assert!(addresses.all(|address| !address.contains(FATHER)));
    assert!(page.text.contains(FATHER), "the page itself shows it");
}

#[tokio::test]
async fn forms_without_the_sessions_token_and_from_other_origins_ask_no_agency() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let mut other = office.caller();
    let others = other.get("/pages").await.token().to_owned();
    let good = search(FATHER, "2026-03-02", &token);
    let origin = caller.origin();
    let no_token = caller.post("/pages/search", &search(FATHER, "", "")).await;
    let wrong_token = caller.post("/pages/search", &search(FATHER, "", &others)).await;
    assert_eq!([no_token.status, wrong_token.status], [StatusCode::FORBIDDEN; 2]);
    assert!(wrong_token.text.contains("Search again from this page"));
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[],
        &[("origin", origin.as_str()), ("host", "rebound.example")],
    ] {
        let refused = caller.send("/pages/search", Some(&good), headers).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let rebound = caller.send("/pages", None, &[("host", "rebound.example")]).await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);
    assert!(office.world.hub.calls.lock().unwrap().is_empty());
    assert_eq!(caller.post("/pages/search", &good).await.status, StatusCode::SEE_OTHER);
    assert!(!office.world.hub.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_family_opens_in_its_own_session_only_and_may_be_asked_for_again_there() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let found = caller.post("/pages/search", &search(FATHER, "2026-03-02", &token)).await;
    let place = found.location().to_owned();
    assert_eq!(caller.get(&place).await.status, StatusCode::OK);
    let mut other = office.caller();
    let others = other.get("/pages").await.token().to_owned();
    assert_eq!(other.get(&place).await.status, StatusCode::NOT_FOUND);
    let again = format!("{place}/again");
    let calls = office.world.hub.calls.lock().unwrap().len();
    let refused = other.post(&again, &format!("token={others}")).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let refused = caller.post(&again, &format!("token={others}")).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(office.world.hub.calls.lock().unwrap().len(), calls);
    let renewed = caller.post(&again, &format!("token={token}")).await;
    assert_eq!(renewed.status, StatusCode::SEE_OTHER);
    assert_ne!(renewed.location(), place);
    assert_eq!(office.world.hub.calls.lock().unwrap().len(), 2 * calls);
}

#[tokio::test]
async fn session_cookie_is_strict_and_unreadable_for_scripts() {
    let office = Office::new(named_family(), &[]).await;
    let page = office.caller().get("/pages").await;
    let cookie = page.headers[header::SET_COOKIE].to_str().unwrap();
    for rule in ["HttpOnly", "SameSite=Strict", "Path=/pages"] {
        assert!(cookie.contains(rule), "{cookie}");
    }
}

#[tokio::test]
async fn officer_named_by_the_front_reaches_the_hub_and_the_page() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    let token = caller.get("/pages").await.token().to_owned();
    let origin = caller.origin();
    let headers = [("origin", origin.as_str()), ("x-road-userid", "officer-7")];
    let form = search(FATHER, "2026-03-02", &token);
    caller.send("/pages/search", Some(&form), &headers).await;
    let calls = office.world.hub.calls.lock().unwrap().clone();
    assert!(!calls.is_empty());
    assert!(calls.iter().all(|call| call.headers["x-road-userid"] == "officer-7"));
    let page = caller.send("/pages", None, &[("x-road-userid", "officer-7")]).await;
    assert!(page.text.contains("Asked by officer-7"));
}

#[tokio::test]
async fn a_register_without_pages_in_its_configuration_has_none() {
    let office = Office::new(named_family(), &[]).await;
    let mut caller = office.caller();
    caller.set_address(office.world.register.address);
    assert_eq!(caller.get("/pages").await.status, StatusCode::NOT_FOUND);
}
