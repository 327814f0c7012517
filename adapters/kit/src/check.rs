//! A JSON Schema (2020-12) compiled once, and what it says about a document without quoting it.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Validator};
use serde_json::Value;

/// A compiled schema together with its source.
pub(crate) struct CheckedSchema {
    schema: Value,
    validator: Validator,
}

/// Where a document broke its schema. Holds words of the schema and, for an answer, field names;
/// never a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// JSON pointer into the schema.
    pub(crate) rule: String,
    /// Fields that the contract does not have.
    pub(crate) unexpected: Vec<String>,
}

impl CheckedSchema {
    /// Compiles a schema whose references are already inlined.
    ///
    /// # Errors
    /// The JSON pointer of the part that is no JSON Schema.
    pub(crate) fn compile(schema: Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| error.instance_path().to_string())?;
        Ok(Self { schema, validator })
    }

    /// The schema as JSON.
    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// Checks a document; the first violation is enough.
    pub(crate) fn check(&self, document: &Value) -> Result<(), Violation> {
        self.validator.validate(document).map_err(|error| Violation {
            rule: error.schema_path().to_string(),
            unexpected: match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => unexpected.clone(),
                _ => Vec::new(),
            },
        })
    }
}

impl std::fmt::Debug for CheckedSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckedSchema")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn violation_names_the_rule_and_never_the_value() {
        let schema = json!({"type": "object", "properties": {"pinfl": {"pattern": "^[1-6]"}}});
        let checked = CheckedSchema::compile(schema).unwrap();
        let violation = checked.check(&json!({"pinfl": "SECRET"})).unwrap_err();
        assert_eq!(violation.rule, "/properties/pinfl/pattern");
        assert!(!format!("{violation:?}").contains("SECRET"));
        assert_eq!(checked.check(&json!({"pinfl": "3"})), Ok(()));
    }

    #[test]
    fn formats_are_rules_not_comments() {
        let checked = CheckedSchema::compile(json!({"type": "string", "format": "date"})).unwrap();
        assert!(checked.check(&json!("2026-02-30")).is_err());
        assert!(checked.check(&json!("2026-02-28")).is_ok());
    }
}
