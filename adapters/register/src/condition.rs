//! Conditions of the rules in the Common Expression Language (CEL, github.com/google/cel-spec).
//!
//! A condition looks at one record that a source has answered, such as a vehicle, and says whether
//! it counts. So it is two-valued: what is unknown are further records, and counting them is
//! three-valued and ours (`exclusion.rs`). Money never enters a condition.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::parser::Expression;
use cel::{Context, Env, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Characters of a condition: a line of a rule file.
const CONDITION_MAX_CHARS: usize = 200;
/// Nested operators in a condition; the parser's recursion is the stack that this bounds.
const CONDITION_MAX_DEPTH: u16 = 12;
/// Opening brackets in a condition, for the same reason.
const BRACKETS_MAX_COUNT: usize = 8;

/// CEL with its standard functions: no clock, no randomness, no way out.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition of a rule.
#[derive(Clone)]
pub struct Condition {
    text: String,
    expression: Expression,
}

/// The variables of one record, by name.
pub(crate) type Record = Vec<(&'static str, Value)>;

/// A condition could not be evaluated on a record; it holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition `{0}` cannot be evaluated: use the variables of its clause, and yes or no")]
pub(crate) struct NotEvaluated(pub(crate) String);

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let brackets = text.chars().filter(|c| matches!(c, '(' | '[' | '{')).count();
        if text.chars().count() > CONDITION_MAX_CHARS || brackets > BRACKETS_MAX_COUNT {
            return Err(format!(
                "a condition has at most {CONDITION_MAX_CHARS} characters and {BRACKETS_MAX_COUNT} brackets"
            ));
        }
        let parser = LANGUAGE.parser().max_recursion_depth(CONDITION_MAX_DEPTH);
        let parsed = parser.parse(text);
        let expression = parsed.map_err(|fault| format!("not a CEL expression: {fault}"))?;
        Ok(Self { text: text.to_owned(), expression })
    }

    /// The condition as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first name in the condition that is none of `record`'s variables.
    pub(crate) fn foreign_name(&self, record: &Record) -> Option<String> {
        let references = self.expression.references();
        let known = |name: &str| record.iter().any(|(variable, _)| *variable == name);
        references.variables().into_iter().find(|name| !known(name)).map(str::to_owned)
    }

    /// Whether `record` counts.
    pub(crate) fn holds(&self, record: Record) -> Result<bool, NotEvaluated> {
        let mut context = Context::with_env(LANGUAGE.clone());
        for (name, value) in record {
            context.add_variable_from_value(name, value);
        }
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) | Err(_) => Err(NotEvaluated(self.text.clone())),
        }
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn car(working: bool, age_years: i64) -> Record {
        vec![("working", working.into()), ("age_years", age_years.into()), ("figure", 7.into())]
    }

    #[test]
    fn a_condition_says_whether_a_record_counts() {
        let young = Condition::parse("working && age_years <= figure").unwrap();
        let counts = |working, age| young.holds(car(working, age)).unwrap();
        assert_eq!([counts(true, 7), counts(true, 8), counts(false, 1)], [true, false, false]);
    }

    #[test]
    fn foreign_names_and_answers_other_than_yes_or_no_are_found() {
        let condition = |text| Condition::parse(text).unwrap();
        let foreign = condition("working || colour == 'red'").foreign_name(&car(true, 1));
        assert_eq!(foreign, Some("colour".to_owned()));
        assert_eq!(condition("working").foreign_name(&car(true, 1)), None);
        assert!(condition("age_years").holds(car(true, 1)).is_err());
        assert!(condition("age_years / 0 == 1").holds(car(true, 1)).is_err());
    }

    #[test]
    fn texts_that_are_no_expression_or_too_deep_are_refused() {
        assert!(Condition::parse("working &&").is_err());
        assert!(Condition::parse(&"!".repeat(201)).is_err());
        assert!(Condition::parse(&format!("{}true{}", "(".repeat(40), ")".repeat(40))).is_err());
    }
}
