//! A service contract: an OpenAPI 3.1 document as far as an adapter needs it.
//!
//! Read: paths with their operations, path and query parameters, the JSON request body, the JSON
//! answer of status 200 and 404. Left out: everything that OpenAPI has beside these; what the kit
//! cannot honour (header parameters, list-valued parameters) is refused, not ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::Method;
use serde_json::Value;

use crate::bundle::bundle;
use crate::check::CheckedSchema;

/// Paths that every adapter answers itself.
pub(crate) const OWN_PATHS: [&str; 2] = ["/health", "/openapi.json"];

/// Why a contract cannot be used. Every text names the place and what to change.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// A file of the contract cannot be read.
    #[error(
        "contract file {path} cannot be read: {source}; give an existing file",
        path = .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of the contract is not JSON.
    #[error("contract file {path} is not JSON: {source}; repair the file", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause with line and column.
        source: serde_json::Error,
    },
    /// A `$ref` leads nowhere.
    #[error(
        "contract file {path}: $ref `{reference}`: {reason}; correct the reference",
        path = .path.display()
    )]
    Reference {
        /// The file that holds the reference.
        path: PathBuf,
        /// The reference.
        reference: String,
        /// The cause.
        reason: &'static str,
    },
    /// A part of the document is missing or is not what the kit can serve.
    #[error("contract: {place}: {reason}; change the contract")]
    Content {
        /// Path template and method, or operation.
        place: String,
        /// What is wrong there.
        reason: String,
    },
}

/// A contract with compiled schemas.
#[derive(Debug)]
pub struct Contract {
    document: Value,
    operations: Vec<Operation>,
}

/// One operation of a contract.
#[derive(Debug)]
pub struct Operation {
    /// `operationId`.
    pub id: String,
    /// HTTP method.
    pub method: Method,
    /// Path template, for example `/persons/{pinfl}/family`.
    pub template: String,
    pub(crate) segments: Vec<Segment>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) request: Option<CheckedSchema>,
    pub(crate) answer: CheckedSchema,
    pub(crate) no_record: Option<CheckedSchema>,
}

/// One segment of a path template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Named(String),
}

/// Where a parameter stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
}

/// The type of a parameter, by its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Boolean,
}

/// A path or query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
    pub(crate) schema: CheckedSchema,
}

impl Contract {
    /// Reads a contract and every file it refers to.
    ///
    /// # Errors
    /// [`ContractError`], with the file or the place in the document.
    pub fn load(path: &Path) -> Result<Self, ContractError> {
        Self::from_document(bundle(path)?)
    }

    /// Takes a document whose references are inlined.
    ///
    /// # Errors
    /// [`ContractError::Content`].
    pub fn from_document(document: Value) -> Result<Self, ContractError> {
        let paths = document.get("paths").and_then(Value::as_object);
        let paths = paths.ok_or_else(|| content("paths", "missing"))?;
        let mut operations: Vec<Operation> = Vec::new();
        for (template, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let place = format!("{method} {template}");
                let Some(method) = method_of(method) else {
                    return Err(content(&place, "only get, post, put, patch and delete are known"));
                };
                let operation = read_operation(&place, method, template, operation)?;
                if operations.iter().any(|other| other.collides(&operation)) {
                    return Err(content(&place, "another operation has this id, or this path"));
                }
                operations.push(operation);
            }
        }
        if operations.is_empty() {
            return Err(content("paths", "no operation"));
        }
        Ok(Self { document, operations })
    }

    /// The document with every reference inlined.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The operations, in the order of their path templates.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

impl Operation {
    /// Parameters that are there in every valid request, with their types: required path and query
    /// parameters and required scalar members of the request body.
    pub(crate) fn certain_parameters(&self) -> BTreeMap<String, Kind> {
        let named = self.parameters.iter().filter(|parameter| parameter.required);
        let named = named.map(|parameter| (parameter.name.clone(), parameter.kind));
        named.chain(self.body_parameters()).collect()
    }

    fn body_parameters(&self) -> Vec<(String, Kind)> {
        let Some(schema) = self.request.as_ref().map(CheckedSchema::schema) else {
            return Vec::new();
        };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let kind = |name: &str| kind_of(schema.get("properties")?.get(name)?);
        required
            .filter_map(Value::as_str)
            .filter_map(|name| Some((name.to_owned(), kind(name)?)))
            .collect()
    }

    fn collides(&self, other: &Self) -> bool {
        let shape = |operation: &Self| -> Vec<Option<String>> {
            let segments = operation.segments.iter();
            segments
                .map(|segment| match segment {
                    Segment::Literal(text) => Some(text.clone()),
                    Segment::Named(_) => None,
                })
                .collect()
        };
        self.id == other.id || (self.method == other.method && shape(self) == shape(other))
    }
}

fn content(place: &str, reason: impl Into<String>) -> ContractError {
    ContractError::Content { place: place.to_owned(), reason: reason.into() }
}

fn method_of(name: &str) -> Option<Method> {
    match name {
        "get" => Some(Method::GET),
        "post" => Some(Method::POST),
        "put" => Some(Method::PUT),
        "patch" => Some(Method::PATCH),
        "delete" => Some(Method::DELETE),
        _ => None,
    }
}

fn read_operation(
    place: &str,
    method: Method,
    template: &str,
    operation: &Value,
) -> Result<Operation, ContractError> {
    let id = operation.get("operationId").and_then(Value::as_str);
    let id = id.ok_or_else(|| content(place, "operationId is missing"))?.to_owned();
    let segments = read_template(place, template)?;
    let listed = operation.get("parameters").and_then(Value::as_array);
    let parameters = listed.into_iter().flatten().map(|parameter| read_parameter(place, parameter));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    for segment in &segments {
        let Segment::Named(name) = segment else { continue };
        if !parameters.iter().any(|p| p.place == Place::Path && p.name == *name) {
            return Err(content(place, format!("path parameter `{name}` is not declared")));
        }
    }
    let compiled = |pointer: &str| -> Result<Option<CheckedSchema>, ContractError> {
        let schema = operation.pointer(&format!("{pointer}/content/application~1json/schema"));
        schema.map(|schema| compile(place, pointer, schema)).transpose()
    };
    let operation = Operation {
        id,
        method,
        template: template.to_owned(),
        segments,
        request: compiled("/requestBody")?,
        answer: compiled("/responses/200")?
            .ok_or_else(|| content(place, "response 200 has no application/json schema"))?,
        no_record: compiled("/responses/404")?,
        parameters,
    };
    let body = operation.body_parameters();
    match operation.parameters.iter().find(|p| body.iter().any(|(name, _)| *name == p.name)) {
        Some(twice) => Err(content(place, format!("`{}` stands also in the body", twice.name))),
        None => Ok(operation),
    }
}

fn read_template(place: &str, template: &str) -> Result<Vec<Segment>, ContractError> {
    if OWN_PATHS.contains(&template) {
        return Err(content(place, "the adapter answers this path itself"));
    }
    let Some(path) = template.strip_prefix('/') else {
        return Err(content(place, "a path begins with /"));
    };
    path.split('/')
        .map(|segment| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !name.is_empty() => Ok(Segment::Named(name.to_owned())),
            None if !segment.is_empty() && !segment.contains(['{', '}']) => {
                Ok(Segment::Literal(segment.to_owned()))
            }
            _ => Err(content(place, "a segment of a path is a text or one {name}")),
        })
        .collect()
}

fn read_parameter(place: &str, parameter: &Value) -> Result<Parameter, ContractError> {
    let name = parameter.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| content(place, "a parameter has no name"))?;
    let refuse = |reason: &str| content(place, format!("parameter `{name}`: {reason}"));
    let position = match parameter.get("in").and_then(Value::as_str) {
        Some("path") => Place::Path,
        Some("query") => Place::Query,
        _ => return Err(refuse("`in` is neither path nor query")),
    };
    let schema = parameter.get("schema").ok_or_else(|| refuse("has no schema"))?;
    Ok(Parameter {
        name: name.to_owned(),
        place: position,
        required: parameter.get("required") == Some(&Value::Bool(true)),
        kind: kind_of(schema).ok_or_else(|| refuse("is not a string, integer or boolean"))?,
        schema: compile(place, name, schema)?,
    })
}

fn compile(place: &str, part: &str, schema: &Value) -> Result<CheckedSchema, ContractError> {
    CheckedSchema::compile(schema.clone()).map_err(|pointer| {
        content(place, format!("{part}: the schema is no JSON Schema 2020-12 at `{pointer}`"))
    })
}

fn kind_of(schema: &Value) -> Option<Kind> {
    match schema.get("type").and_then(Value::as_str)? {
        "string" => Some(Kind::Text),
        "integer" => Some(Kind::Integer),
        "boolean" => Some(Kind::Boolean),
        _ => None,
    }
}
