//! The three query forms, read into one [`Filter`].
//!
//! ```text
//! idtype-value  {"type":"UIN","value":"…"}
//! expression    {"type":"…","value":{"expression":{"collection":"Group","query":{"$and":[{"group_size":{"$lt":5}}]}}}}
//! predicate     [{"seq_num":1,"expression1":{…},"condition":"and","expression2":{…}}]
//! ```
//! Source: SPDCI OpenAPI v1.0.0, `SearchRequest`. What it leaves open is decided here: the entries
//! of a predicate list all hold, `not` negates the second expression, or the first when it is alone.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::codes::{Reason, Rejection};
use crate::filter::{Filter, Operator, invalid};
use crate::limits::{COMPARISONS_MAX_COUNT, DEPTH_MAX};
use crate::registry::RecordKind;

/// A query as it stands in criteria, with the name of its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// `query_type` or `filter_type`.
    pub form: &'a str,
    /// `query` or `filter`.
    pub body: &'a Json,
}

impl Query<'_> {
    /// The collection that an expression names.
    #[must_use]
    pub fn collection(&self) -> Option<&str> {
        expression(self.body).and_then(|inner| inner.get("collection")?.as_str())
    }

    /// Reads the query for records of `kind`.
    ///
    /// # Errors
    /// [`Rejection`] that says what cannot be read or asked.
    pub fn read(&self, kind: &RecordKind) -> Result<Filter, Rejection> {
        let mut reader = Reader { kind, comparisons_count: 0 };
        match self.form {
            "idtype-value" => reader.identifier(self.body),
            "expression" => {
                let wrapped = expression(self.body);
                let body = wrapped.and_then(|inner| inner.get("query")).or(wrapped);
                let query = body.unwrap_or(self.body).as_object();
                reader.expression(query.ok_or_else(|| invalid("an expression is an object"))?, 0)
            }
            "predicate" => reader.predicates(self.body),
            _ => Err(Rejection::new(
                Reason::Criteria,
                "query_type is idtype-value, expression or predicate",
            )),
        }
    }
}

/// `value.expression` of an expression, where it is wrapped so.
fn expression(body: &Json) -> Option<&Json> {
    body.get("value")?.get("expression")
}

#[derive(Deserialize)]
struct Predicate {
    #[serde(default)]
    seq_num: Option<serde_json::Number>,
    expression1: Comparison,
    condition: Option<String>,
    expression2: Option<Comparison>,
}

#[derive(Deserialize)]
struct Comparison {
    attribute_name: String,
    operator: String,
    attribute_value: Json,
}

struct Reader<'a> {
    kind: &'a RecordKind,
    comparisons_count: usize,
}

impl Reader<'_> {
    fn identifier(&mut self, body: &Json) -> Result<Filter, Rejection> {
        let (Some(Json::String(name)), Some(value)) = (body.get("type"), body.get("value")) else {
            return Err(invalid("an idtype-value query has `type` and `value`"));
        };
        let known = self.kind.identifiers.iter().find(|(known, _)| known == name);
        let (_, attribute) =
            known.ok_or_else(|| invalid("this registry has no identifiers of that type"))?;
        let attribute = attribute.clone();
        self.compare(&attribute, Operator::Equal, value)
    }

    fn expression(&mut self, query: &Map<String, Json>, depth: usize) -> Result<Filter, Rejection> {
        if depth >= DEPTH_MAX {
            return Err(invalid("the query is nested deeper than 8"));
        }
        let mut parts = Vec::new();
        for (name, body) in query {
            match name.strip_prefix('$').unwrap_or("") {
                "and" => parts.push(Filter::All(self.list(body, depth)?)),
                "or" => parts.push(Filter::Any(self.list(body, depth)?)),
                "not" => {
                    let body = body.as_object().ok_or_else(|| invalid("$not takes an object"))?;
                    parts.push(Filter::Not(Box::new(self.expression(body, depth + 1)?)));
                }
                "" => self.attribute(name, body, &mut parts)?,
                _ => return Err(invalid("an expression knows $and, $or and $not")),
            }
        }
        match parts.len() {
            0 => Err(invalid("the expression is empty: name at least one attribute")),
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(Filter::All(parts)),
        }
    }

    fn list(&mut self, body: &Json, depth: usize) -> Result<Vec<Filter>, Rejection> {
        let list = body.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| invalid("$and and $or take a list with entries"))?;
        list.iter()
            .map(|part| {
                let part = part.as_object().ok_or_else(|| invalid("an entry is an object"))?;
                self.expression(part, depth + 1)
            })
            .collect()
    }

    fn attribute(
        &mut self,
        name: &str,
        body: &Json,
        parts: &mut Vec<Filter>,
    ) -> Result<(), Rejection> {
        let Some(comparisons) = body.as_object() else {
            parts.push(self.compare(name, Operator::Equal, body)?);
            return Ok(());
        };
        for (operator, value) in comparisons {
            let operator = Operator::parse(operator).ok_or_else(unknown_operator)?;
            parts.push(self.compare(name, operator, value)?);
        }
        Ok(())
    }

    fn predicates(&mut self, body: &Json) -> Result<Filter, Rejection> {
        let shape = "a predicate query is a list of {expression1, condition, expression2}";
        let mut list: Vec<Predicate> =
            Deserialize::deserialize(body).map_err(|_| invalid(shape))?;
        if list.is_empty() {
            return Err(invalid(shape));
        }
        list.sort_by_key(|predicate| {
            predicate.seq_num.as_ref().and_then(serde_json::Number::as_u64)
        });
        list.iter()
            .map(|predicate| self.predicate(predicate))
            .collect::<Result<_, _>>()
            .map(Filter::All)
    }

    fn predicate(&mut self, predicate: &Predicate) -> Result<Filter, Rejection> {
        let first = self.comparison(&predicate.expression1)?;
        let second = predicate.expression2.as_ref().map(|second| self.comparison(second));
        Ok(match (predicate.condition.as_deref(), second.transpose()?) {
            (None | Some("and" | "or"), None) => first,
            (Some("not"), None) => Filter::Not(Box::new(first)),
            (None | Some("and"), Some(second)) => Filter::All(vec![first, second]),
            (Some("or"), Some(second)) => Filter::Any(vec![first, second]),
            (Some("not"), Some(second)) => Filter::All(vec![first, Filter::Not(Box::new(second))]),
            _ => return Err(invalid("condition is and, or, not")),
        })
    }

    fn comparison(&mut self, comparison: &Comparison) -> Result<Filter, Rejection> {
        let operator = Operator::parse(&comparison.operator).ok_or_else(unknown_operator)?;
        self.compare(&comparison.attribute_name, operator, &comparison.attribute_value)
    }

    fn compare(
        &mut self,
        name: &str,
        operator: Operator,
        value: &Json,
    ) -> Result<Filter, Rejection> {
        self.comparisons_count += 1;
        if self.comparisons_count > COMPARISONS_MAX_COUNT {
            return Err(invalid("a query has at most 64 comparisons"));
        }
        let kind = self.kind.attribute(name).ok_or_else(|| {
            let known: Vec<&str> = self.kind.attributes.keys().map(String::as_str).collect();
            let text = format!("an attribute cannot be asked here; known are {}", known.join(", "));
            invalid(&text)
        })?;
        let values = kind.values(operator, value)?;
        Ok(Filter::Compare { attribute: name.to_owned(), operator, values })
    }
}

fn unknown_operator() -> Rejection {
    invalid("an operator is one of gt, lt, eq, ge, le, in")
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
