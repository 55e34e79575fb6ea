//! When two JSON values say the same.

use quorate_toloka::types::Time;
use serde_json::{Value, json};

/// The first place where the right value does not say what the left one says, or `None`. Four
/// differences do not count: an absent key against `null` or an empty string; a list or object that
/// must be there, which is written empty where it was absent; a number written as `1` or `1.0`; and
/// a time with other fraction digits (to the millisecond, which is what the API writes).
pub(crate) fn difference(left: &Value, right: &Value) -> Option<String> {
    differ("$", left, right)
}

fn differ(path: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.filter_map(|key| {
                let path = format!("{path}.{key}");
                differ(
                    &path,
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                )
            })
            .next()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .filter_map(|(i, (a, b))| differ(&format!("{path}[{i}]"), a, b))
                .next()
        }
        _ if same(left, right) => None,
        _ => Some(format!("{path}: {left} against {right}")),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    let absent = |value: &Value| value.is_null() || value.as_str() == Some("");
    let empty = |value: &Value| *value == json!([]) || *value == json!({});
    let time = |value: &Value| value.as_str()?.parse::<Time>().ok();
    left == right
        || (absent(left) && (absent(right) || empty(right)))
        || left
            .as_f64()
            .is_some_and(|number| right.as_f64() == Some(number))
        || time(left).is_some_and(|at| time(right) == Some(at))
}

#[test]
fn a_lost_field_or_another_value_is_a_difference() {
    let value = json!({ "a": [1, { "b": "x" }], "at": "2020-01-01T00:00:00" });
    let same = json!({ "a": [1.0, { "b": "x", "c": null }], "at": "2020-01-01T00:00:00.000Z" });
    assert_eq!(difference(&value, &same), None);
    let lost = json!({ "a": [1, {}], "at": "2020-01-01T00:00:00" });
    assert_eq!(
        difference(&value, &lost).unwrap(),
        "$.a[1].b: \"x\" against null"
    );
    assert!(difference(&json!({ "and": [] }), &json!({})).is_some());
    let moved = json!({ "a": [1, { "b": "x" }], "at": "2020-01-01T00:00:01" });
    assert!(difference(&value, &moved).is_some());
}
