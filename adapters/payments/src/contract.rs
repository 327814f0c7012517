//! A party's contract at `/openapi.json`: the documents of `schemas/openapi` that this build was made with,
//! each reference to a schema replaced by the schema, so that the document stands alone.

use std::sync::LazyLock;

use axum::Json;
use include_dir::{Dir, include_dir};
use register::payment::message::Role;
use serde_json::{Map, Value};

static CONTRACTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../schemas/openapi");
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../schemas/json");

static REGISTER: LazyLock<Value> = LazyLock::new(|| read("payments.json"));
static TREASURY: LazyLock<Value> = LazyLock::new(|| read("treasury.json"));
static BANK: LazyLock<Value> = LazyLock::new(|| {
    let (mut document, other) = (read("payouts.json"), read("g2p.json"));
    // The bank has two services at one address, each with a contract of its own at its hub.
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    if let (Some(paths), Some(others)) = (paths, other.get("paths").and_then(Value::as_object)) {
        paths.extend(others.clone());
    }
    document
});

/// The contract of a party.
#[must_use]
pub fn of(role: Role) -> &'static Value {
    match role {
        Role::Register => &REGISTER,
        Role::Treasury => &TREASURY,
        Role::Bank => &BANK,
    }
}

/// `GET /openapi.json`.
pub(crate) async fn answer(role: Role) -> Json<&'static Value> {
    Json(of(role))
}

/// A contract of this build. A reference that leads nowhere stays, which a test rules out.
fn read(name: &str) -> Value {
    let file = CONTRACTS.get_file(name);
    let document = file.and_then(|file| serde_json::from_slice(file.contents()).ok());
    inlined(document.unwrap_or_default())
}

fn inlined(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            match fields.get("$ref").and_then(Value::as_str).and_then(schema) {
                Some(schema) => schema,
                None => fields
                    .into_iter()
                    .map(|(name, v)| (name, inlined(v)))
                    .collect::<Map<_, _>>()
                    .into(),
            }
        }
        Value::Array(items) => items.into_iter().map(inlined).collect(),
        scalar => scalar,
    }
}

/// The schema that a contract refers to as `../json/…`; the schemas of the payments refer to no others.
fn schema(reference: &str) -> Option<Value> {
    let file = SCHEMAS.get_file(reference.strip_prefix("../json/")?)?;
    let mut schema: Value = serde_json::from_slice(file.contents()).ok()?;
    // The dialect is the document's.
    schema.as_object_mut()?.remove("$schema");
    Some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::paths;

    #[test]
    fn contracts_stand_alone_and_name_every_path_at_which_messages_are_taken() {
        for role in [Role::Register, Role::Treasury, Role::Bank] {
            let document = of(role);
            assert!(!document.to_string().contains("$ref"), "{role:?}");
            for path in paths(role) {
                assert!(document["paths"][path]["post"]["operationId"].is_string(), "{path}");
            }
        }
        let own = of(Role::Bank)["paths"].as_object().unwrap().len() - paths(Role::Bank).len();
        assert_eq!(own, 4, "GovStack's operations");
    }
}
