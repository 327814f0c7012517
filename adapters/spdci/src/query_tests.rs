//! Tests of the query forms.

use serde_json::{Value as Json, json};

use super::Query;
use crate::filter::{AttributeType, Attributes, Value};
use crate::registry::RecordKind;

fn kind() -> RecordKind {
    RecordKind::new("ns:org:RegistryType:Social", "Group")
        .attribute_of("group_size", AttributeType::Number)
        .attribute_of("district", AttributeType::Text)
        .attribute_of("uin", AttributeType::Text)
        .attribute_of("birth_date", AttributeType::Date)
        .identified_by("UIN", "uin")
}

fn record(size: i64, district: &str) -> Attributes {
    let text = |text: &str| Value::Text(text.to_owned());
    Attributes::from([
        ("group_size".to_owned(), Value::Number(size)),
        ("district".to_owned(), text(district)),
        ("uin".to_owned(), text("31505850010011")),
    ])
}

fn fits(form: &str, body: &Json, of: &Attributes) -> bool {
    Query { form, body }.read(&kind()).unwrap().fits(of)
}

fn reason(form: &str, body: &Json) -> &'static str {
    Query { form, body }.read(&kind()).unwrap_err().reason.as_str()
}

#[test]
fn identifiers_find_their_record_and_no_other() {
    let body = |value: &str| json!({"type": "UIN", "value": value});
    assert!(fits("idtype-value", &body("31505850010011"), &record(5, "1")));
    assert!(!fits("idtype-value", &body("42007870010023"), &record(5, "1")));
    assert_eq!(
        reason("idtype-value", &json!({"type": "BRN", "value": "1"})),
        "rjct.filter.invalid"
    );
    assert_eq!(reason("idtype-value", &json!({"value": "1"})), "rjct.filter.invalid");
}

#[test]
fn expressions_join_and_nest() {
    let body = |query: Json| json!({"type": "q", "value": {"expression": {"collection": "Group", "query": query}}});
    let both = body(json!({"$and": [{"group_size": {"$lt": 5}}, {"district": {"$eq": "1726"}}]}));
    assert!(fits("expression", &both, &record(4, "1726")));
    assert!(!fits("expression", &both, &record(5, "1726")), "less is not less or equal");
    assert!(!fits("expression", &both, &record(4, "1727")));
    let either =
        body(json!({"$or": [{"group_size": {"$gte": 7}}, {"$not": {"district": "1726"}}]}));
    assert!(fits("expression", &either, &record(1, "1727")));
    assert!(fits("expression", &either, &record(7, "1726")));
    assert!(!fits("expression", &either, &record(6, "1726")));
    let range = body(json!({"group_size": {"$gt": 2, "$le": 4}}));
    assert_eq!(
        [2, 3, 4, 5].map(|n| fits("expression", &range, &record(n, "1"))),
        [false, true, true, false]
    );
    let bare = json!({"$and": [{"uin": {"eq": "31505850010011"}}]});
    assert!(fits("expression", &bare, &record(1, "1")), "the form of the IBR document");
}

#[test]
fn predicates_join_with_and_or_not_and_in() {
    let expression = |name: &str, operator: &str, value: &str| json!({"attribute_name": name, "operator": operator, "attribute_value": value});
    let two = |condition: &str| {
        json!([{"seq_num": 1, "expression1": expression("group_size", "ge", "4"),
            "condition": condition, "expression2": expression("district", "in", "1726, 1727")}])
    };
    let outcomes = |condition: &str| {
        [(4, "1727"), (4, "1"), (3, "1726"), (3, "1")]
            .map(|(size, district)| fits("predicate", &two(condition), &record(size, district)))
    };
    assert_eq!(outcomes("and"), [true, false, false, false]);
    assert_eq!(outcomes("or"), [true, true, true, false]);
    assert_eq!(outcomes("not"), [false, true, false, false]);
    let alone = json!([{"expression1": expression("district", "eq", "1"), "condition": "not"}]);
    assert!(
        !fits("predicate", &alone, &record(1, "1")) && fits("predicate", &alone, &record(1, "2"))
    );
}

#[test]
fn unknown_attributes_operators_values_and_forms_are_rejected_by_name() {
    let one = |name: &str, operator: &str, value: Json| json!([{"expression1": {"attribute_name": name, "operator": operator, "attribute_value": value}}]);
    for body in [
        one("income", "eq", json!("1")),
        one("group_size", "like", json!("1")),
        one("group_size", "lt", json!("2.5")),
        one("birth_date", "lt", json!("1985-02-30")),
        one("district", "eq", json!({"a": 1})),
        json!([]),
        json!({"a": 1}),
    ] {
        assert_eq!(reason("predicate", &body), "rjct.filter.invalid", "{body}");
    }
    assert_eq!(reason("graphql", &json!({})), "rjct.search_criteria.invalid");
    let mut deep = json!({"district": "1"});
    for _ in 0..9 {
        deep = json!({"$and": [deep]});
    }
    assert_eq!(reason("expression", &deep), "rjct.filter.invalid");
    let wide: Vec<Json> = (0..65).map(|n| json!({"group_size": n})).collect();
    assert_eq!(reason("expression", &json!({"$or": wide})), "rjct.filter.invalid");
}

#[test]
fn what_a_filter_certainly_says_is_found_and_what_it_may_say_is_not() {
    let certain = |query: Json| {
        let filter = Query { form: "expression", body: &query }.read(&kind()).unwrap();
        filter.certain("uin").cloned()
    };
    assert!(certain(json!({"$and": [{"uin": "1"}, {"group_size": 1}]})).is_some());
    assert_eq!(certain(json!({"$or": [{"uin": "1"}, {"group_size": 1}]})), None);
    assert_eq!(certain(json!({"$not": {"uin": "1"}})), None);
    assert_eq!(certain(json!({"uin": {"$ne": "1"}})), None);
}
