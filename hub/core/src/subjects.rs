//! The people of a call: read from the request at the places that the contract names.
//!
//! What cannot be read unambiguously is refused: a query parameter given twice would let a caller be recorded for
//! one person and answered about another.

use schemas::pinfl::Pinfl;
use serde_json::Value;

use crate::contract::SubjectLocator;
use crate::path::{DecodedPath, PathPattern};
use crate::target::query_values;

/// Where the identifiers may stand.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The endpoint's template.
    pub pattern: &'a PathPattern,
    /// The decoded path.
    pub path: &'a DecodedPath,
    /// The raw query.
    pub query: Option<&'a str>,
    /// The body, when it is JSON.
    pub body: Option<&'a Value>,
}

/// The subjects cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the people that the call asks about do not stand, once each, where the contract says")]
pub struct Ambiguous;

/// Reads the identifiers, without repetitions, in the order of the locators.
///
/// # Errors
/// [`Ambiguous`] when a locator finds nothing, or a query parameter is repeated.
pub fn read(locators: &[SubjectLocator], places: &Places<'_>) -> Result<Vec<String>, Ambiguous> {
    let mut found: Vec<String> = Vec::new();
    for locator in locators {
        let identifiers = match locator {
            SubjectLocator::Path(name) => {
                vec![places.pattern.capture(name, places.path).ok_or(Ambiguous)?.to_owned()]
            }
            SubjectLocator::Query(name) => match query_values(places.query, name).as_slice() {
                [only] => vec![only.clone()],
                _ => return Err(Ambiguous),
            },
            SubjectLocator::Body(pointer) => in_body(places.body.ok_or(Ambiguous)?, pointer)?,
            SubjectLocator::Pinfls(pointer) => {
                let mut pinfls = Vec::new();
                let place = places.body.ok_or(Ambiguous)?.pointer(pointer);
                collect_pinfls(place.ok_or(Ambiguous)?, &mut pinfls);
                pinfls
            }
        };
        for identifier in identifiers {
            if !found.contains(&identifier) {
                found.push(identifier);
            }
        }
    }
    Ok(found)
}

fn in_body(body: &Value, pointer: &str) -> Result<Vec<String>, Ambiguous> {
    match body.pointer(pointer).ok_or(Ambiguous)? {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(many) => {
            many.iter().map(|v| v.as_str().map(ToOwned::to_owned).ok_or(Ambiguous)).collect()
        }
        _ => Err(Ambiguous),
    }
}

/// Every text below `value` that is a PINFL, also between commas, as lists of predicates have it.
/// The depth is that of a parsed body, which the parser bounds.
fn collect_pinfls(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let parts = text.split(',').map(str::trim);
            found.extend(parts.filter(|part| part.parse::<Pinfl>().is_ok()).map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_pinfls(item, found)),
        Value::Object(map) => map.values().for_each(|item| collect_pinfls(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_from(
        locator: &str,
        query: Option<&str>,
        body: &Value,
    ) -> Result<Vec<String>, Ambiguous> {
        let pattern = PathPattern::parse("/persons/{pinfl}").unwrap();
        let path = DecodedPath::parse("/persons/%31").unwrap();
        let places = Places { pattern: &pattern, path: &path, query, body: Some(body) };
        read(&[SubjectLocator::parse(locator).unwrap()], &places)
    }

    #[test]
    fn subjects_are_read_decoded_from_path_query_and_body() {
        let body = json!({"one": "1", "many": ["1", "2", "1"]});
        assert_eq!(read_from("path.pinfl", None, &body).unwrap(), ["1"]);
        assert_eq!(read_from("query.p", Some("p=%32"), &body).unwrap(), ["2"]);
        assert_eq!(read_from("body:/one", None, &body).unwrap(), ["1"]);
        assert_eq!(read_from("body:/many", None, &body).unwrap(), ["1", "2"]);
    }

    #[test]
    fn people_of_a_query_are_found_wherever_they_stand_and_none_is_no_fault() {
        let (father, mother) = ("31505850010011", "42007870010023");
        let body = json!({"query": {"$or": [{"uin": {"eq": father}}, {"list": format!("{mother}, x")}]},
            "wrong_digit": "31505850010012", "ts": "2026-03-02", "again": [father], "n": 5});
        assert_eq!(read_from("pinfls:/query", None, &body).unwrap(), [father, mother]);
        assert_eq!(read_from("pinfls:/wrong_digit", None, &body).unwrap(), Vec::<String>::new());
        assert_eq!(read_from("pinfls:/none", None, &body), Err(Ambiguous));
    }

    #[test]
    fn repeated_missing_or_odd_subjects_are_refused() {
        let body = json!({"one": 1, "many": ["1", 2]});
        assert_eq!(read_from("query.p", Some("p=1&p=2"), &body), Err(Ambiguous));
        assert_eq!(read_from("query.p", None, &body), Err(Ambiguous));
        for pointer in ["body:/one", "body:/many", "body:/none"] {
            assert_eq!(read_from(pointer, None, &body), Err(Ambiguous), "{pointer}");
        }
    }
}
