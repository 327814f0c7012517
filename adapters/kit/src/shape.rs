//! The shape of an answer as its JSON Schema describes it, and how database columns fill it.
//!
//! A column fills the field of its name; `share.numerator` fills a field of the object `share`.
//! Databases have fewer types than JSON, so the schema decides: 0 and 1 become a boolean where the
//! schema has one, and an object whose columns are all NULL becomes null where the schema allows
//! it. Nothing else is converted: what does not fit is left for the check to refuse.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::limits::ROWS_MAX_COUNT;

/// One row: column names with their values, in the order of the query.
pub(crate) type Columns = Vec<(String, Value)>;

/// What stands at one place of an answer.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A boolean: 0 and 1 of the database are meant.
    Boolean,
    /// Any other scalar, taken as the database gives it.
    Scalar,
    /// An object with named fields.
    Object {
        /// Fields by name.
        fields: BTreeMap<String, Shape>,
        /// Whether null may stand for the object.
        nullable: bool,
    },
    /// A list of rows.
    List {
        /// Shape of each row.
        item: Box<Shape>,
        /// `maxItems` of the schema.
        max_count: usize,
    },
}

impl Shape {
    /// Reads the shape from a JSON Schema with inlined references.
    pub(crate) fn of(schema: &Value) -> Self {
        let types = types(schema);
        if types.contains(&"object") {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            let fields = fields.map(|(name, field)| (name.clone(), Self::of(field))).collect();
            return Self::Object { fields, nullable: types.contains(&"null") };
        }
        if types.contains(&"array") {
            let max_count = schema.get("maxItems").and_then(Value::as_u64);
            let max_count = max_count.and_then(|count| usize::try_from(count).ok());
            return Self::List {
                item: Box::new(schema.get("items").map_or(Self::Scalar, Self::of)),
                max_count: max_count.unwrap_or(ROWS_MAX_COUNT),
            };
        }
        if types.contains(&"boolean") { Self::Boolean } else { Self::Scalar }
    }

    /// The field of this name, if this is an object that has it.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object { fields, .. } => fields.get(name),
            _ => None,
        }
    }

    /// Makes the JSON of one row: an object, or the single column's value in a list of scalars.
    pub(crate) fn fill(&self, columns: Columns) -> Value {
        match self {
            Self::Boolean | Self::Scalar => {
                let first = columns.into_iter().next();
                first.map_or(Value::Null, |(_, value)| self.scalar(value))
            }
            Self::Object { .. } | Self::List { .. } => {
                let mut object = Map::new();
                for (column, value) in columns {
                    place(Some(self), &mut object, &column, value);
                }
                self.fold_absent(&mut object);
                Value::Object(object)
            }
        }
    }

    fn scalar(&self, value: Value) -> Value {
        match (self, value.as_i64()) {
            (Self::Boolean, Some(0)) => Value::Bool(false),
            (Self::Boolean, Some(1)) => Value::Bool(true),
            _ => value,
        }
    }

    /// Replaces nullable objects that hold only nulls by null.
    fn fold_absent(&self, object: &mut Map<String, Value>) {
        for (name, value) in object {
            if let (Some(shape), Value::Object(inner)) = (self.field(name), &mut *value) {
                shape.fold_absent(inner);
                let nullable = matches!(shape, Self::Object { nullable: true, .. });
                if nullable && inner.values().all(Value::is_null) {
                    *value = Value::Null;
                }
            }
        }
    }
}

fn place(shape: Option<&Shape>, object: &mut Map<String, Value>, column: &str, value: Value) {
    match column.split_once('.') {
        Some((head, rest)) => {
            let inner = object.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                place(shape.and_then(|shape| shape.field(head)), inner, rest, value);
            }
        }
        None => {
            let field = shape.and_then(|shape| shape.field(column)).unwrap_or(&Shape::Scalar);
            object.insert(column.to_owned(), field.scalar(value));
        }
    }
}

/// The `type` keyword as a list.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Shape {
        Shape::of(&json!({"type": "object", "properties": {
            "working": {"type": "boolean"},
            "year": {"type": "integer"},
            "address": {"type": ["object", "null"], "properties": {"street": {"type": "string"}}},
            "share": {"type": "object", "properties": {"numerator": {"type": "integer"}}},
        }}))
    }

    fn columns<const N: usize>(columns: [(&str, Value); N]) -> Columns {
        columns.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    #[test]
    fn schema_decides_what_a_column_becomes() {
        let row = columns([
            ("working", json!(1)),
            ("year", json!(1)),
            ("share.numerator", json!(2)),
            ("address.street", json!("Bunyodkor, 12")),
        ]);
        let expected = json!({"working": true, "year": 1, "share": {"numerator": 2},
            "address": {"street": "Bunyodkor, 12"}});
        assert_eq!(shape().fill(row), expected);
    }

    #[test]
    fn object_of_nulls_is_null_only_where_the_schema_allows_it() {
        let row = columns([("address.street", Value::Null), ("share.numerator", Value::Null)]);
        assert_eq!(shape().fill(row), json!({"address": null, "share": {"numerator": null}}));
    }

    #[test]
    fn column_outside_the_contract_is_kept_for_the_check_to_refuse() {
        let row = columns([("salary", json!(5)), ("working", json!(7))]);
        assert_eq!(shape().fill(row), json!({"salary": 5, "working": 7}));
    }
}
