//! X-Road's metadata services: `listClients` at the edge; `listMethods`, `allowedMethods` and
//! `getOpenAPI` as services of every subsystem, signed and recorded like any other, open to all.
//!
//! Source: X-Road's service metadata protocol for REST §4.

use http::{HeaderMap, HeaderValue, Request, header};
use hub_core::configuration::ConfigurationInForce;
use hub_core::target::query_values;
use schemas::identifier::{ServiceId, SubsystemId};
use schemas::limits::{JSON_BODY_MAX_BYTES, SOURCE_TIMEOUT};
use schemas::problem::{Problem, ProblemCode};
use serde_json::{Value, json};

use crate::local::LocalService;
use crate::reply::{Reply, escape_xml, reply};
use crate::source::{self, SourceAnswer};
use crate::spool::{self, Hashes, SpoolRules, memory_body};
use crate::state::Hub;

/// A metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    ListMethods,
    AllowedMethods,
    GetOpenApi,
}

impl Metadata {
    const ALL: [Self; 3] = [Self::ListMethods, Self::AllowedMethods, Self::GetOpenApi];

    /// The metadata service with this service code.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metadata| metadata.name() == code)
    }

    /// The service code.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListMethods => "listMethods",
            Self::AllowedMethods => "allowedMethods",
            Self::GetOpenApi => "getOpenAPI",
        }
    }
}

/// Who asks a metadata service, of whom.
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a SubsystemId,
    pub(crate) provider: &'a SubsystemId,
    pub(crate) query: Option<&'a str>,
    pub(crate) configuration: &'a ConfigurationInForce,
}

/// Answers a metadata service.
pub(crate) async fn answer(
    hub: &Hub,
    metadata: Metadata,
    asker: &Asker<'_>,
) -> Result<SourceAnswer, Problem> {
    let document = match metadata {
        Metadata::GetOpenApi => openapi(hub, asker).await?,
        Metadata::ListMethods => methods(hub, asker, |_, _| true),
        Metadata::AllowedMethods => methods(hub, asker, |service, endpoint| {
            let in_group =
                |code: &str, client: &SubsystemId| asker.configuration.in_group(code, client);
            let policy = &hub.local.load().policy;
            policy.allows_endpoint(asker.client, &service.id, endpoint, hub.clock.now(), in_group)
        }),
    };
    // Safe because: a JSON value always serialises.
    let bytes = serde_json::to_vec(&document).unwrap_or_default();
    let rules = SpoolRules {
        dir: &hub.spool_dir,
        limit_bytes: JSON_BODY_MAX_BYTES,
        hashes: Hashes::Sha256,
    };
    let body = spool::receive(memory_body(bytes), rules)
        .await
        .map_err(|error| Problem::new(ProblemCode::ProviderInternal, error.to_string()))?;
    let mut headers = HeaderMap::new();
    let json_type = HeaderValue::from_static("application/json;charset=utf-8");
    headers.insert(header::CONTENT_TYPE, json_type);
    Ok(SourceAnswer { status: 200, headers, body })
}

fn methods(
    hub: &Hub,
    asker: &Asker<'_>,
    include: impl Fn(&LocalService, (&str, &str)) -> bool,
) -> Value {
    let local = hub.local.load();
    let mut own: Vec<_> =
        local.services.values().filter(|s| s.id.subsystem() == *asker.provider).collect();
    own.sort_by(|a, b| a.id.cmp(&b.id));
    let services: Vec<Value> = own
        .into_iter()
        .filter_map(|service| {
            let endpoints: Vec<Value> = endpoints(service)
                .into_iter()
                .filter(|(method, path)| include(service, (method, path)))
                .map(|(method, path)| json!({"method": method, "path": path}))
                .collect();
            (!endpoints.is_empty()).then(|| service_object(&service.id, service, endpoints))
        })
        .collect();
    json!({ "service": services })
}

fn endpoints(service: &LocalService) -> Vec<(String, String)> {
    match &service.contract {
        None => vec![("*".to_owned(), "/**".to_owned())],
        Some(contract) => contract
            .endpoints()
            .iter()
            .map(|endpoint| (endpoint.method.clone(), endpoint.pattern.as_str().to_owned()))
            .collect(),
    }
}

fn service_object(id: &ServiceId, service: &LocalService, endpoints: Vec<Value>) -> Value {
    let codes = id.codes();
    let code = |nth: usize| codes.get(nth).cloned().unwrap_or_default();
    json!({
        "object_type": "SERVICE",
        "xroad_instance": code(0),
        "member_class": code(1),
        "member_code": code(2),
        "subsystem_code": code(3),
        "service_code": code(4),
        "service_type": if service.contract.is_some() { "OPENAPI" } else { "REST" },
        "title": service.title,
        "endpoint_list": endpoints,
    })
}

/// The OpenAPI document, fetched live, with the source's address replaced.
async fn openapi(hub: &Hub, asker: &Asker<'_>) -> Result<Value, Problem> {
    let codes = query_values(asker.query, "serviceCode");
    let [code] = codes.as_slice() else {
        let text = "getOpenAPI needs one serviceCode";
        return Err(Problem::new(ProblemCode::AmbiguousPath, text));
    };
    let unknown = || Problem::new(ProblemCode::UnknownService, "no such service with OpenAPI");
    let id = ServiceId::of(asker.provider, code).map_err(|_| unknown())?;
    let service = hub.local.load().services.get(&id).cloned().ok_or_else(unknown)?;
    if service.contract.is_none() {
        return Err(unknown());
    }
    let request = Request::get(format!("{}/openapi.json", service.url))
        .body(memory_body(Vec::new()))
        .map_err(|error| Problem::new(ProblemCode::ProviderInternal, error.to_string()))?;
    let answer = source::fetch(hub, request, SOURCE_TIMEOUT, JSON_BODY_MAX_BYTES).await?;
    let refuse = |text: String| Problem::new(ProblemCode::InvalidAnswer, text);
    let whole = answer.body.read_whole().await.map_err(|error| refuse(error.to_string()))?;
    let mut document: Value = serde_json::from_slice(&whole)
        .map_err(|_| refuse("the source's OpenAPI document is not JSON".into()))?;
    let Some(object) = document.as_object_mut() else {
        return Err(refuse("the source's OpenAPI document is no object".into()));
    };
    object.insert("servers".into(), json!([{"url": format!("/r1/{id}")}]));
    Ok(document)
}

/// `GET /listClients`: the members and subsystems of the instance, JSON or XML as the caller accepts.
pub(crate) fn list_clients(
    configuration: &ConfigurationInForce,
    query: Option<&str>,
    accept: Option<&str>,
) -> Reply {
    let document = configuration.document();
    let instances = query_values(query, "xRoadInstance");
    let own = instances.first().is_none_or(|instance| *instance == document.instance);
    let mut clients: Vec<(Vec<String>, String, Option<String>)> = Vec::new();
    for member in document.content.members.iter().filter(|_| own) {
        clients.push((member.id.codes(), member.name.clone(), None));
        for subsystem in &member.subsystems {
            let name = Some(subsystem.name.clone());
            clients.push((subsystem.id.codes(), member.name.clone(), name));
        }
    }
    if accept.is_some_and(|accept| accept.contains("application/json")) {
        let members: Vec<Value> = clients.iter().map(client_json).collect();
        let body = json!({ "member": members }).to_string();
        return reply(200, "application/json;charset=utf-8", body);
    }
    let members: String = clients.iter().map(client_xml).collect();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xroad:clientList \
         xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\">{members}</xroad:clientList>"
    );
    reply(200, "text/xml;charset=utf-8", xml)
}

type ListedClient = (Vec<String>, String, Option<String>);

fn client_json((codes, name, subsystem_name): &ListedClient) -> Value {
    let code = |nth: usize| codes.get(nth).cloned().unwrap_or_default();
    let mut id = json!({
        "object_type": if codes.len() == 4 { "SUBSYSTEM" } else { "MEMBER" },
        "xroad_instance": code(0),
        "member_class": code(1),
        "member_code": code(2),
    });
    let mut client = json!({ "name": name });
    if let (Some(code), Some(id)) = (codes.get(3), id.as_object_mut()) {
        id.insert("subsystem_code".into(), json!(code));
    }
    if let Some(client) = client.as_object_mut() {
        client.insert("id".into(), id);
        if let Some(name) = subsystem_name {
            client.insert("subsystem_name".into(), json!(name));
        }
    }
    client
}

fn client_xml((codes, name, subsystem_name): &ListedClient) -> String {
    let tags = ["xRoadInstance", "memberClass", "memberCode", "subsystemCode"];
    let parts: String = tags
        .iter()
        .zip(codes)
        .map(|(tag, code)| format!("<id:{tag}>{}</id:{tag}>", escape_xml(code)))
        .collect();
    let kind = if codes.len() == 4 { "SUBSYSTEM" } else { "MEMBER" };
    let subsystem = subsystem_name.as_ref().map_or_else(String::new, |name| {
        format!("<xroad:subsystemName>{}</xroad:subsystemName>", escape_xml(name))
    });
    format!(
        "<xroad:member><xroad:id id:objectType=\"{kind}\">{parts}</xroad:id>\
         <xroad:name>{}</xroad:name>{subsystem}</xroad:member>",
        escape_xml(name)
    )
}
