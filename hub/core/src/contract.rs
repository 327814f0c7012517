//! The contract of a service: an OpenAPI 3.1 document with JSON Schemas (2020-12).
//!
//! It says which endpoints there are, where the subjects of a request stand (`x-koprik-subjects`),
//! and what request and answer bodies look like. The hub holds both sides to it: a request that
//! does not follow it is not sent to the source, an answer that does not follow it does not leave.

use std::collections::BTreeMap;

use jsonschema::Validator;
use schemas::limits::BASIS_TEXT_MAX_BYTES;
use serde::Deserialize;
use serde_json::Value;

use crate::path::{DecodedPath, NotAPattern, PathPattern};

/// Methods that a contract may use.
const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

/// Why a contract cannot be used. The texts name the place in the contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The document is not of the expected form.
    #[error("the contract is not an OpenAPI 3.1 document: {0}")]
    Form(#[from] serde_json::Error),
    /// A method and path are longer than a record holds.
    #[error("`{0}…` of the contract: a method and path may be {BASIS_TEXT_MAX_BYTES} bytes long")]
    Endpoint(String),
    /// A path is no pattern.
    #[error("path of the contract: {0}")]
    Path(#[from] NotAPattern),
    /// A `$ref` leads nowhere.
    #[error("the contract refers to `{0}`, which cannot be read; keep schemas beside the contract")]
    Reference(String),
    /// A schema is not valid JSON Schema.
    #[error("schema of {endpoint}: {reason}")]
    Schema {
        /// Method and path.
        endpoint: String,
        /// What the schema compiler says.
        reason: String,
    },
    /// A subject locator is malformed.
    #[error(
        "x-koprik-subjects of {endpoint}: `{locator}` is none of path.NAME, query.NAME, \
         body:/POINTER, pinfls:/POINTER"
    )]
    Subject {
        /// Method and path.
        endpoint: String,
        /// The locator as written.
        locator: String,
    },
}

/// A service's contract, compiled once when a hub starts or reloads.
#[derive(Debug)]
pub struct Contract {
    endpoints: Vec<Endpoint>,
}

/// One endpoint of a contract.
#[derive(Debug)]
pub struct Endpoint {
    /// The method in upper case.
    pub method: String,
    /// The path template.
    pub pattern: PathPattern,
    /// Where the subjects stand.
    pub subjects: Vec<SubjectLocator>,
    request: Option<BodyRule>,
    /// The contract has a request body, and it is no JSON.
    opaque: bool,
    answers: BTreeMap<String, Option<Validator>>,
}

#[derive(Debug)]
struct BodyRule {
    required: bool,
    schema: Validator,
}

/// Where in a request the identifier of a subject stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectLocator {
    /// A named segment of the path template.
    Path(String),
    /// A query parameter.
    Query(String),
    /// A JSON pointer (RFC 6901) into the body; to an array: each item.
    Body(String),
    /// A JSON pointer into the body: every PINFL that is a text below it, alone or between commas;
    /// for queries, in which people stand anywhere or nowhere.
    Pinfls(String),
}

impl SubjectLocator {
    /// Reads `path.NAME`, `query.NAME`, `body:/POINTER` or `pinfls:/POINTER`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("path.") {
            return Some(Self::Path(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query.") {
            return Some(Self::Query(name.to_owned()));
        }
        let (form, pointer) = text.split_once(':').filter(|(_, at)| at.starts_with('/'))?;
        match form {
            "body" => Some(Self::Body(pointer.to_owned())),
            "pinfls" => Some(Self::Pinfls(pointer.to_owned())),
            _ => None,
        }
    }

    /// Whether the body has to be read for it.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Body(_) | Self::Pinfls(_))
    }
}

impl std::fmt::Display for SubjectLocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(name) => write!(f, "path.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Body(pointer) => write!(f, "body:{pointer}"),
            Self::Pinfls(pointer) => write!(f, "pinfls:{pointer}"),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    openapi: String,
    paths: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    #[serde(default, rename = "x-koprik-subjects")]
    subjects: Vec<String>,
    request_body: Option<RequestBody>,
    #[serde(default)]
    responses: BTreeMap<String, Response>,
}

#[derive(Deserialize)]
struct RequestBody {
    #[serde(default)]
    required: bool,
    content: BTreeMap<String, MediaType>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    content: BTreeMap<String, MediaType>,
}

#[derive(Deserialize)]
struct MediaType {
    schema: Option<Value>,
}

/// Replaces every `$ref` to another file by the file's content; references inside a document (`#/…`) stay.
///
/// # Errors
/// [`ContractError::Reference`] when `read` has no such file, or files refer to each other in a circle.
pub fn bundle(
    document: &mut Value,
    read: &dyn Fn(&str) -> Option<Value>,
) -> Result<(), ContractError> {
    bundle_to_depth(document, read, 16)
}

fn bundle_to_depth(
    value: &mut Value,
    read: &dyn Fn(&str) -> Option<Value>,
    depth: usize,
) -> Result<(), ContractError> {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str)
        && !reference.starts_with('#')
    {
        let unreadable = || ContractError::Reference(reference.to_owned());
        let mut content = read(reference).filter(|_| depth > 0).ok_or_else(unreadable)?;
        bundle_to_depth(&mut content, read, depth - 1)?;
        *value = content;
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|v| bundle_to_depth(v, read, depth)),
        Value::Object(map) => map.values_mut().try_for_each(|v| bundle_to_depth(v, read, depth)),
        _ => Ok(()),
    }
}

impl Contract {
    /// Compiles a bundled contract (see [`bundle`]).
    ///
    /// # Errors
    /// [`ContractError`] naming the endpoint at fault.
    pub fn compile(bundled: &Value) -> Result<Self, ContractError> {
        let document = Document::deserialize(bundled)?;
        if !document.openapi.starts_with("3.1") {
            return Err(ContractError::Form(serde::de::Error::custom("openapi is not 3.1")));
        }
        let mut endpoints = Vec::new();
        for (path, operations) in &document.paths {
            let methods = operations.iter().filter(|(key, _)| METHODS.contains(&key.as_str()));
            for (method, operation) in methods {
                endpoints.push(Endpoint::compile(method, path, operation)?);
            }
        }
        // The most exact template wins, as OpenAPI 3.1 §4.8.8.2 has it.
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.pattern.literal_count()));
        Ok(Self { endpoints })
    }

    /// The endpoint for a method and path.
    #[must_use]
    pub fn endpoint(&self, method: &str, path: &DecodedPath) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.method == method && e.pattern.matches(path))
    }

    /// All endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl Endpoint {
    fn compile(method: &str, path: &str, operation: &Value) -> Result<Self, ContractError> {
        let method = method.to_ascii_uppercase();
        let name = format!("{method} {path}");
        if name.len() > BASIS_TEXT_MAX_BYTES {
            return Err(ContractError::Endpoint(name.chars().take(64).collect()));
        }
        let operation = Operation::deserialize(operation)?;
        let locate = |text: &String| {
            SubjectLocator::parse(text).ok_or_else(|| ContractError::Subject {
                endpoint: name.clone(),
                locator: text.clone(),
            })
        };
        let subjects = operation.subjects.iter().map(locate).collect::<Result<_, _>>()?;
        let schemas = operation.request_body.as_ref().map(|body| schema_of(&body.content));
        let opaque = matches!(schemas, Some(None));
        let request = match &operation.request_body {
            None => None,
            Some(body) => schema_of(&body.content)
                .map(|schema| compile_schema(&name, schema))
                .transpose()?
                .map(|schema| BodyRule { required: body.required, schema }),
        };
        let mut answers = BTreeMap::new();
        for (status, response) in &operation.responses {
            let schema =
                schema_of(&response.content).map(|s| compile_schema(&name, s)).transpose()?;
            answers.insert(status.clone(), schema);
        }
        Ok(Self { method, pattern: PathPattern::parse(path)?, subjects, request, opaque, answers })
    }

    /// Method and template, `GET /persons/{pinfl}/income`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.pattern.as_str())
    }

    /// Whether request bodies are of another kind than JSON, such as forms: then no schema holds
    /// them, and no subject stands in them.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Whether the endpoint has a schema for its request body.
    #[must_use]
    pub fn has_request_schema(&self) -> bool {
        self.request.is_some()
    }

    /// Whether an answer with this status has a schema.
    #[must_use]
    pub fn has_answer_schema(&self, status: u16) -> bool {
        self.answer_rule(status).is_some_and(Option::is_some)
    }

    fn answer_rule(&self, status: u16) -> Option<&Option<Validator>> {
        let range = format!("{}XX", status / 100);
        let keys = [status.to_string(), range, "default".to_owned()];
        keys.iter().find_map(|key| self.answers.get(key))
    }

    /// Checks a request body; `None` is an empty one.
    ///
    /// # Errors
    /// [`BodyRefusal`], which names places in the schema and never values.
    pub fn check_request(&self, body: Option<&Value>) -> Result<(), BodyRefusal> {
        match (&self.request, body) {
            (None, Some(_)) => Err(BodyRefusal::NotExpected),
            (Some(rule), None) if rule.required => Err(BodyRefusal::Missing),
            (Some(rule), Some(value)) => validate(&rule.schema, value),
            _ => Ok(()),
        }
    }

    /// Checks an answer's body; `None` is an empty one.
    ///
    /// # Errors
    /// [`BodyRefusal`], which names places in the schema and never values.
    pub fn check_answer(&self, status: u16, body: Option<&Value>) -> Result<(), BodyRefusal> {
        match (self.answer_rule(status), body) {
            (None, _) => Err(BodyRefusal::Status(status)),
            (Some(None), Some(_)) => Err(BodyRefusal::NotExpected),
            (Some(Some(_)), None) => Err(BodyRefusal::Missing),
            (Some(Some(schema)), Some(value)) => validate(schema, value),
            (Some(None), None) => Ok(()),
        }
    }
}

fn schema_of(content: &BTreeMap<String, MediaType>) -> Option<&Value> {
    content.iter().find(|(kind, _)| kind.contains("json")).and_then(|(_, m)| m.schema.as_ref())
}

fn compile_schema(endpoint: &str, schema: &Value) -> Result<Validator, ContractError> {
    jsonschema::draft202012::options().build(schema).map_err(|error| ContractError::Schema {
        endpoint: endpoint.to_owned(),
        reason: error.to_string(),
    })
}

fn validate(schema: &Validator, value: &Value) -> Result<(), BodyRefusal> {
    if schema.is_valid(value) {
        return Ok(());
    }
    let place = schema.iter_errors(value).next().map(|e| e.schema_path().to_string());
    Err(BodyRefusal::Schema(place.unwrap_or_default()))
}

/// Why a body does not follow the contract. Holds places of the schema, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefusal {
    /// A body where the contract has none.
    #[error("the contract has no body here")]
    NotExpected,
    /// No body where the contract requires one.
    #[error("the contract requires a body here")]
    Missing,
    /// The contract does not have this status.
    #[error("the contract does not have status {0}")]
    Status(u16),
    /// A rule of the schema does not hold.
    #[error("the body does not follow the schema's rule {0}")]
    Schema(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contract() -> Contract {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["pinfl"],
            "properties": {"pinfl": {"type": "string", "pattern": "^[0-9]{14}$"}}});
        let mut document = json!({"openapi": "3.1.0", "paths": {
            "/persons/{pinfl}": {"get": {"x-koprik-subjects": ["path.pinfl"], "responses": {
                "200": {"content": {"application/json": {"schema": {"$ref": "answer.json"}}}},
                "404": {}}}},
            "/persons/self": {"get": {"responses": {}}},
            "/test": {"post": {"x-koprik-subjects": ["body:/pinfl"],
                "requestBody": {"required": true,
                    "content": {"application/json": {"schema": {"$ref": "answer.json"}}}},
                "responses": {"default": {}}}}}});
        bundle(&mut document, &|name| (name == "answer.json").then(|| schema.clone())).unwrap();
        Contract::compile(&document).unwrap()
    }

    #[test]
    fn most_exact_endpoint_wins() {
        let contract = contract();
        let path = |raw| DecodedPath::parse(raw).unwrap();
        let name = |raw| contract.endpoint("GET", &path(raw)).map(Endpoint::name);
        assert_eq!(name("/persons/self").as_deref(), Some("GET /persons/self"));
        assert_eq!(name("/persons/1").as_deref(), Some("GET /persons/{pinfl}"));
        assert_eq!(name("/persons/1/2"), None);
        assert!(contract.endpoint("POST", &path("/persons/1")).is_none());
    }

    #[test]
    fn answer_with_a_field_that_the_contract_does_not_have_is_refused() {
        let contract = contract();
        let endpoint =
            contract.endpoint("GET", &DecodedPath::parse("/persons/1").unwrap()).unwrap();
        let good = json!({"pinfl": "31505850010011"});
        let more = json!({"pinfl": "31505850010011", "salary": 1});
        assert_eq!(endpoint.check_answer(200, Some(&good)), Ok(()));
        let refusal = endpoint.check_answer(200, Some(&more)).unwrap_err();
        assert!(!refusal.to_string().contains("315"), "{refusal}");
        assert_eq!(endpoint.check_answer(200, None), Err(BodyRefusal::Missing));
        assert_eq!(endpoint.check_answer(404, None), Ok(()));
        assert_eq!(endpoint.check_answer(404, Some(&good)), Err(BodyRefusal::NotExpected));
        assert_eq!(endpoint.check_answer(201, None), Err(BodyRefusal::Status(201)));
    }

    #[test]
    fn request_body_is_held_to_the_contract() {
        let contract = contract();
        let endpoint = contract.endpoint("POST", &DecodedPath::parse("/test").unwrap()).unwrap();
        assert_eq!(endpoint.check_request(None), Err(BodyRefusal::Missing));
        assert!(endpoint.check_request(Some(&json!({"pinfl": 1}))).is_err());
        assert_eq!(endpoint.check_request(Some(&json!({"pinfl": "31505850010011"}))), Ok(()));
    }

    #[test]
    fn broken_contracts_say_where() {
        let mut lost = json!({"$ref": "lost.json"});
        let error = bundle(&mut lost, &|_| None).unwrap_err();
        assert!(error.to_string().contains("lost.json"));
        let mut circle = json!({"$ref": "circle.json"});
        assert!(bundle(&mut circle, &|_| Some(json!({"$ref": "circle.json"}))).is_err());
        let subject = json!({"openapi": "3.1.0", "paths": {"/a": {"get":
            {"x-koprik-subjects": ["header.x"], "responses": {}}}}});
        let error = Contract::compile(&subject).unwrap_err();
        assert!(error.to_string().contains("GET /a"), "{error}");
        assert!(Contract::compile(&json!({"openapi": "3.0.0", "paths": {}})).is_err());
    }
}
