//! What a query asks, typed: comparisons of attributes joined by and, or, not.
//!
//! All three query forms become one [`Filter`]. A registry gives it to its source as bound
//! parameters, or asks [`Filter::fits`] of each record.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::codes::{Reason, Rejection};
use crate::limits::{VALUE_MAX_CHARS, VALUES_MAX_COUNT};
use crate::moment;

/// The type of an attribute, which decides how values are read and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// Compared as text.
    Text,
    /// A calendar date.
    Date,
    /// A whole number.
    Number,
}

/// A value of a query or a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text, and dates as `YYYY-MM-DD`, whose order as text is theirs in time.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be personal.
        f.write_str("Value")
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Equal,
    /// Not equal.
    Unequal,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// One of the values.
    In,
}

/// What a record has to be. A comparison with an attribute that a record does not have is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them; of none: every record.
    All(Vec<Filter>),
    /// One of them.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// An attribute compared with values; all operators but `In` have one.
    Compare {
        /// The attribute.
        attribute: String,
        /// The comparison.
        operator: Operator,
        /// The values.
        values: Vec<Value>,
    },
}

/// The attributes of a record by name.
pub type Attributes = BTreeMap<String, Value>;

impl Filter {
    /// Whether a record with these attributes fits.
    #[must_use]
    pub fn fits(&self, record: &Attributes) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.fits(record)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(record)),
            Self::Not(part) => !part.fits(record),
            Self::Compare { attribute, operator, values } => {
                let Some(value) = record.get(attribute) else { return false };
                values.iter().any(|wanted| operator.holds(value.cmp(wanted)))
            }
        }
    }

    /// The value that an attribute certainly equals in every record that fits, so that a registry
    /// finds it by its key.
    #[must_use]
    pub fn certain(&self, name: &str) -> Option<&Value> {
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.certain(name)),
            Self::Compare { attribute, operator: Operator::Equal, values } if attribute == name => {
                values.first()
            }
            _ => None,
        }
    }
}

impl Operator {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal | Self::In => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Reads `lt` or `$lt` and its kin; `le` and `lte` are one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.strip_prefix('$').unwrap_or(text) {
            "eq" => Self::Equal,
            "ne" => Self::Unequal,
            "lt" => Self::Less,
            "le" | "lte" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "ge" | "gte" => Self::GreaterOrEqual,
            "in" => Self::In,
            _ => return None,
        })
    }
}

impl AttributeType {
    /// Reads the value or values of a comparison.
    pub(crate) fn values(
        self,
        operator: Operator,
        json: &serde_json::Value,
    ) -> Result<Vec<Value>, Rejection> {
        let few = |count: usize| match count {
            1..=VALUES_MAX_COUNT => Ok(()),
            _ => Err(invalid("`in` takes 1 to 100 values")),
        };
        match (operator, json) {
            (Operator::In, serde_json::Value::Array(list)) => {
                few(list.len())?;
                list.iter().map(|json| self.value(json)).collect()
            }
            // The OpenAPI documents give a comparison one value: then a list is a text with commas.
            (Operator::In, serde_json::Value::String(list)) => {
                let list: Vec<&str> = list.split(',').map(str::trim).collect();
                few(list.len())?;
                list.into_iter().map(|text| self.value(&text.into())).collect()
            }
            _ => Ok(vec![self.value(json)?]),
        }
    }

    fn value(self, json: &serde_json::Value) -> Result<Value, Rejection> {
        let text = match json {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(flag) => flag.to_string(),
            _ => return Err(invalid("a value is a text, a number or true or false")),
        };
        if text.is_empty() || text.chars().count() > VALUE_MAX_CHARS {
            return Err(invalid("a value has 1 to 255 characters"));
        }
        match self {
            Self::Text => Ok(Value::Text(text)),
            Self::Date => moment::date(&text)
                .map(Value::Text)
                .ok_or_else(|| invalid("a date is YYYY-MM-DD or a moment with zone")),
            Self::Number => text
                .parse()
                .map(Value::Number)
                .map_err(|_| invalid("this attribute is compared with a whole number")),
        }
    }
}

pub(crate) fn invalid(message: &str) -> Rejection {
    Rejection::new(Reason::Filter, message)
}
