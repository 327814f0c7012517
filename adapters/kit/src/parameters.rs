//! Turns a request into named, typed parameters, each checked by the contract's schema.

use std::collections::BTreeMap;

use schemas::identifier::decode_segment;
use serde_json::Value;

use crate::contract::{Kind, Operation, Parameter, Place, Segment};
use crate::refusal::Refusal;

/// A value to bind.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    Text(String),
    Integer(i64),
}

/// Parameters by name. No `Debug`: they are personal data.
pub(crate) type Parameters = BTreeMap<String, Binding>;

/// Names and raw values of the named segments of a path.
pub(crate) type Named<'a> = Vec<(&'a str, &'a str)>;

/// Raw values of the named segments when `path` has the form of the operation's template.
pub(crate) fn match_path<'a>(operation: &'a Operation, path: &'a str) -> Option<Named<'a>> {
    let mut raw = path.strip_prefix('/')?.split('/');
    let mut named = Vec::new();
    for segment in &operation.segments {
        match (segment, raw.next()?) {
            (Segment::Literal(literal), text) if literal == text => {}
            (Segment::Named(name), text) if !text.is_empty() => named.push((name.as_str(), text)),
            _ => return None,
        }
    }
    raw.next().is_none().then_some(named)
}

/// Collects and checks all parameters of a request.
///
/// # Errors
/// [`Refusal::Parameter`] and [`Refusal::Body`]; neither holds a value.
pub(crate) fn collect(
    operation: &Operation,
    path: &[(&str, &str)],
    query: Option<&str>,
    body: &[u8],
) -> Result<Parameters, Refusal> {
    let mut parameters = Parameters::new();
    for (name, raw) in path {
        take(operation, Place::Path, (name, raw), &mut parameters)?;
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
        take(operation, Place::Query, (name, &raw.replace('+', "%20")), &mut parameters)?;
    }
    for Parameter { name, required, .. } in &operation.parameters {
        if *required && !parameters.contains_key(name) {
            return Err(bad(name, "is missing"));
        }
    }
    collect_body(operation, body, &mut parameters)?;
    Ok(parameters)
}

fn bad(name: &str, reason: &'static str) -> Refusal {
    Refusal::Parameter { name: name.to_owned(), reason }
}

fn take(
    operation: &Operation,
    place: Place,
    (name, raw): (&str, &str),
    parameters: &mut Parameters,
) -> Result<(), Refusal> {
    let declared = operation.parameters.iter().find(|p| p.place == place && p.name == name);
    // The name is the caller's text here, so it is not repeated.
    let declared = declared.ok_or_else(|| bad("?", "is not in the contract"))?;
    let text = decode_segment(raw).map_err(|_| bad(name, "is not percent-encoded UTF-8"))?;
    let value = match declared.kind {
        Kind::Text => Some(Value::String(text)),
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Boolean => text.parse::<bool>().ok().map(Value::Bool),
    };
    let value = value.ok_or_else(|| bad(name, "has the wrong type"))?;
    let binding = binding(&value).ok_or_else(|| bad(name, "cannot be bound"))?;
    if declared.schema.check(&value).is_err() {
        return Err(bad(name, "breaks its schema"));
    }
    match parameters.insert(name.to_owned(), binding) {
        None => Ok(()),
        Some(_) => Err(bad(name, "stands twice")),
    }
}

fn collect_body(
    operation: &Operation,
    body: &[u8],
    parameters: &mut Parameters,
) -> Result<(), Refusal> {
    let Some(schema) = &operation.request else { return Ok(()) };
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| Refusal::Body { reason: "is not JSON".to_owned() })?;
    schema.check(&body).map_err(|violation| Refusal::Body {
        reason: format!("breaks its schema at `{}`", violation.rule),
    })?;
    for (name, value) in body.as_object().into_iter().flatten() {
        match binding(value) {
            Some(binding) => {
                parameters.insert(name.clone(), binding);
            }
            // Lists, objects and nulls are checked by the schema and cannot be bound.
            None if value.is_array() || value.is_object() || value.is_null() => {}
            None => {
                let reason = "holds a text with NUL, a fraction or a number over 64 bits";
                return Err(Refusal::Body { reason: reason.to_owned() });
            }
        }
    }
    Ok(())
}

fn binding(value: &Value) -> Option<Binding> {
    match value {
        // PostgreSQL refuses NUL in text; no contract needs it.
        Value::String(text) if !text.contains('\0') => Some(Binding::Text(text.clone())),
        Value::Bool(yes) => Some(Binding::Integer(i64::from(*yes))),
        Value::Number(number) => number.as_i64().map(Binding::Integer),
        _ => None,
    }
}
