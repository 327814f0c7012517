//! X-Road's metadata services: who takes part, what they publish, what the caller may call.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use federation::agencies::REGISTER;
use federation::pair::PROVIDER;
use federation::raw::{self, Message};
use federation::{Pair, Source};
use serde_json::{Value, json};

async fn started() -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    (Pair::start(dir.path(), source).await.unwrap(), dir)
}

async fn get(pair: &Pair, target: &str, headers: &[(&str, &str)]) -> Message {
    pair.say(&raw::request("GET", target, headers, b"")).await.unwrap().remove(0)
}

async fn ask(pair: &Pair, service: &str) -> Message {
    get(pair, &format!("/r1/UZ/GOV/TAX/tax/{service}"), &[("X-Road-Client", REGISTER)]).await
}

fn json_of(answer: &Message) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn list_clients_names_members_and_subsystems_in_json_and_xml() {
    let (pair, _dir) = started().await;
    // No X-Road header: anyone who reaches the edge may ask.
    let list = json_of(&get(&pair, "/listClients", &[("Accept", "application/json")]).await);
    let members = list["member"].as_array().unwrap();
    assert_eq!(members.len(), 4, "two members, two subsystems: {list}");
    let subsystem = json!({
        "id": {"object_type": "SUBSYSTEM", "xroad_instance": "UZ", "member_class": "GOV",
            "member_code": "TAX", "subsystem_code": "tax"},
        "name": "Tax committee", "subsystem_name": "Tax committee"});
    assert!(members.contains(&subsystem), "{list}");
    let member = json!({
        "id": {"object_type": "MEMBER", "xroad_instance": "UZ", "member_class": "GOV",
            "member_code": "TAX"},
        "name": "Tax committee"});
    assert!(members.contains(&member), "{list}");
    for headers in [&[("Accept", "text/xml")][..], &[]] {
        let answer = get(&pair, "/listClients?xRoadInstance=UZ", headers).await;
        assert_eq!(answer.header("content-type"), Some("text/xml;charset=utf-8"));
        let text = String::from_utf8(answer.body).unwrap();
        let member = "<xroad:member><xroad:id id:objectType=\"SUBSYSTEM\">\
            <id:xRoadInstance>UZ</id:xRoadInstance><id:memberClass>GOV</id:memberClass>\
            <id:memberCode>TAX</id:memberCode><id:subsystemCode>tax</id:subsystemCode></xroad:id>\
            <xroad:name>Tax committee</xroad:name>";
        assert!(text.contains(member), "{text}");
        assert!(text.contains("xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\""), "{text}");
        assert_eq!(text.matches("<xroad:member>").count(), 4);
    }
}

#[tokio::test]
async fn list_clients_is_refused_for_another_method_and_empty_for_another_instance() {
    let (pair, _dir) = started().await;
    let accept = [("Accept", "application/json")];
    let other = json_of(&get(&pair, "/listClients?xRoadInstance=EE", &accept).await);
    assert_eq!(other, json!({"member": []}));
    let posted = pair.say(&raw::request("POST", "/listClients", &accept, b"x")).await.unwrap();
    assert_eq!(posted[0].header("x-road-error"), Some("server.clientproxy.invalid_http_method"));
}

#[tokio::test]
async fn list_methods_shows_every_service_with_its_endpoints() {
    let (pair, _dir) = started().await;
    let answer = ask(&pair, "listMethods").await;
    let list = json_of(&answer);
    let services = list["service"].as_array().unwrap();
    assert_eq!(services.len(), 2);
    let of = |code: &str| services.iter().find(|s| s["service_code"] == code).unwrap();
    assert_eq!(of("echo")["service_type"], "REST");
    assert_eq!(of("tax")["service_type"], "OPENAPI");
    assert_eq!(
        of("tax")["endpoint_list"],
        json!([{"method": "GET", "path": "/persons/{pinfl}/income"}])
    );
    for (name, value) in [
        ("object_type", "SERVICE"),
        ("xroad_instance", "UZ"),
        ("member_class", "GOV"),
        ("member_code", "TAX"),
        ("subsystem_code", "tax"),
    ] {
        assert_eq!(of("tax")[name], value, "{name}");
    }
    // It is an exchange like any other: signed, recorded, with a receipt.
    assert_eq!(answer.header("x-road-service"), Some("UZ/GOV/TAX/tax/listMethods"));
    assert!(
        answer.header("koprik-receipt").is_some() && answer.header("x-road-request-hash").is_some()
    );
    assert!(pair.source.take().is_empty(), "the source has nothing to do with it");
}

#[tokio::test]
async fn allowed_methods_shows_only_what_the_caller_may_call_now() {
    let (pair, _dir) = started().await;
    let codes = async || {
        let list = json_of(&ask(&pair, "allowedMethods").await);
        let services = list["service"].as_array().unwrap().clone();
        services.iter().map(|s| s["service_code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["echo", "tax"]);
    let hub = pair.federation.hub(PROVIDER).unwrap();
    hub.refresh().await.unwrap();
    let withdraw = |config: &mut hub_server::HubConfig| {
        config.grants.retain(|grant| grant.id == "whole-service")
    };
    pair.federation.layout.edit_hub(PROVIDER, withdraw).unwrap();
    hub.refresh().await.unwrap();
    assert_eq!(codes().await, ["echo"], "the grant for tax is withdrawn");
    let all = json_of(&ask(&pair, "listMethods").await);
    assert_eq!(all["service"].as_array().unwrap().len(), 2, "listMethods still shows it");
}

#[tokio::test]
async fn allowed_methods_shows_an_endpoint_that_a_wider_grant_covers() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    let pair = Pair::start_with(dir.path(), source, 0, |config| {
        config.grants.iter_mut().for_each(|grant| {
            if grant.id != "whole-service" {
                grant.endpoint = Some("GET /persons/**".to_owned());
            }
        });
    });
    let list = json_of(&ask(&pair.await.unwrap(), "allowedMethods").await);
    let codes: Vec<_> =
        list["service"].as_array().unwrap().iter().map(|s| &s["service_code"]).collect();
    assert_eq!(codes, ["echo", "tax"]);
}

#[tokio::test]
async fn get_openapi_is_fetched_live_without_the_sources_address() {
    let (mut pair, _dir) = started().await;
    pair.federation.start_adapter("tax").await.unwrap();
    let document = json_of(&ask(&pair, "getOpenAPI?serviceCode=tax").await);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/persons/{pinfl}/income"]["get"].is_object());
    let text = document.to_string();
    let (_, adapter) = pair.federation.layout.adapters["tax"];
    assert!(!text.contains(&adapter.port().to_string()), "{}", document["servers"]);
    pair.federation.stop_adapter("tax").await;
    let gone = ask(&pair, "getOpenAPI?serviceCode=tax").await;
    let code = "server.serverproxy.service_failed.network_error";
    assert_eq!(gone.header("x-road-error"), Some(code), "live: not from a copy");
}

#[tokio::test]
async fn metadata_services_refuse_what_they_do_not_have() {
    let (pair, _dir) = started().await;
    for (service, code) in [
        ("getOpenAPI", "server.serverproxy.bad_request"),
        ("getOpenAPI?serviceCode=a&serviceCode=b", "server.serverproxy.bad_request"),
        ("getOpenAPI?serviceCode=none", "server.serverproxy.unknown_service"),
        ("getOpenAPI?serviceCode=echo", "server.serverproxy.unknown_service"),
        ("listMethods/x", "server.serverproxy.bad_request"),
        ("getWsdl", "server.serverproxy.unknown_service"),
    ] {
        assert_eq!(ask(&pair, service).await.header("x-road-error"), Some(code), "{service}");
    }
    let target = "/r1/UZ/GOV/TAX/tax/listMethods";
    let posted = raw::request("POST", target, &[("X-Road-Client", REGISTER)], b"{}");
    let posted = pair.say(&posted).await.unwrap();
    assert_eq!(posted[0].header("x-road-error"), Some("server.serverproxy.bad_request"));
    let stranger = get(&pair, target, &[("X-Road-Client", "UZ/GOV/NOBODY/none")]).await;
    assert_eq!(stranger.header("x-road-error"), Some("server.clientproxy.unknown_member"));
    assert!(pair.source.take().is_empty());
}

#[tokio::test]
async fn disabled_service_is_refused_with_its_notice() {
    let (pair, _dir) = started().await;
    let hub = pair.federation.hub(PROVIDER).unwrap();
    hub.refresh().await.unwrap();
    let notice = "back on Monday";
    let off = |config: &mut hub_server::HubConfig| {
        config.services.iter_mut().for_each(|service| service.disabled = Some(notice.to_owned()));
    };
    pair.federation.layout.edit_hub(PROVIDER, off).unwrap();
    hub.refresh().await.unwrap();
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(answer.header("x-road-error"), Some("server.serverproxy.service_disabled"));
    assert!(String::from_utf8(answer.body).unwrap().contains(notice));
    assert!(pair.source.take().is_empty());
}
