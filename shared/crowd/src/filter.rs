//! Whether a worker passes a pool's filter.

use std::cmp::Ordering;

use quorate_toloka::types::{Filter, FilterCategory, FilterCondition, Operator, Values};
use serde_json::Value;

use crate::error::Result;

/// Whether a worker passes. `profile` holds what is known about the worker, by key; `skill` looks
/// up the value of a skill by its id. A fact that is not known makes its condition false.
pub(crate) fn passes(
    filter: &Filter,
    profile: &Values,
    skill: &impl Fn(&str) -> Result<Option<f64>>,
) -> Result<bool> {
    match filter {
        Filter::And(parts) => {
            for part in parts {
                if !passes(part, profile, skill)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Filter::Or(parts) => {
            for part in parts {
                if passes(part, profile, skill)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Filter::Condition(condition) => {
            if condition.category == FilterCategory::Skill {
                Ok(skill_holds(condition, skill(&condition.key)?))
            } else {
                Ok(profile
                    .get(&condition.key)
                    .is_some_and(|known| holds(known, &condition.operator, &condition.value)))
            }
        }
    }
}

/// A condition on a skill; the value `null` asks whether the worker has it at all.
fn skill_holds(condition: &FilterCondition, value: Option<f64>) -> bool {
    match (&condition.value, value, &condition.operator) {
        (Value::Null, value, Operator::Eq) => value.is_none(),
        (Value::Null, value, Operator::Ne) => value.is_some(),
        (_, None, _) => false,
        (wanted, Some(value), operator) => holds(&Value::from(value), operator, wanted),
    }
}

fn holds(known: &Value, operator: &Operator, wanted: &Value) -> bool {
    let ordering = || compare(known, wanted);
    match operator {
        Operator::Eq => ordering() == Some(Ordering::Equal),
        Operator::Ne => ordering() != Some(Ordering::Equal),
        Operator::Gt => ordering() == Some(Ordering::Greater),
        Operator::Gte => matches!(ordering(), Some(Ordering::Greater | Ordering::Equal)),
        Operator::Lt => ordering() == Some(Ordering::Less),
        Operator::Lte => matches!(ordering(), Some(Ordering::Less | Ordering::Equal)),
        Operator::In => contains(known, wanted),
        Operator::NotIn => !contains(known, wanted),
        Operator::Unknown(_) => false,
    }
}

/// Whether `wanted` is among the worker's values. Some clients write a list instead of one value.
fn contains(known: &Value, wanted: &Value) -> bool {
    match (known, wanted) {
        (Value::Array(known), _) => known.iter().any(|one| contains(one, wanted)),
        (_, Value::Array(wanted)) => wanted.iter().any(|one| contains(known, one)),
        _ => compare(known, wanted) == Some(Ordering::Equal),
    }
}

/// Compares two values; numbers may be written as text.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn admits(filter: Value, profile: Value, skills: &[(&str, f64)]) -> bool {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let profile: Values = serde_json::from_value(profile).unwrap();
        passes(&filter, &profile, &|id| {
            Ok(skills
                .iter()
                .find(|(known, _)| *known == id)
                .map(|(_, value)| *value))
        })
        .unwrap()
    }

    #[test]
    fn languages_and_client_type_as_the_seeds_send_them() {
        let filter = json!({"and": [
            {"category": "profile", "key": "languages", "operator": "IN", "value": "EN"},
            {"or": [
                {"category": "computed", "key": "client_type", "operator": "EQ", "value": "TOLOKA_APP"},
                {"category": "computed", "key": "client_type", "operator": "EQ", "value": "BROWSER"}]}]});
        assert!(admits(
            filter.clone(),
            json!({"languages": ["RU", "EN"], "client_type": "BROWSER"}),
            &[]
        ));
        assert!(!admits(
            filter.clone(),
            json!({"languages": ["RU"], "client_type": "BROWSER"}),
            &[]
        ));
        assert!(!admits(
            filter.clone(),
            json!({"languages": ["EN"], "client_type": "OTHER"}),
            &[]
        ));
        assert!(
            !admits(filter, json!({}), &[]),
            "what is not known is not true"
        );
    }

    #[test]
    fn a_skill_may_be_required_or_required_to_be_missing() {
        let filter = json!({"and": [{"or": [
            {"category": "skill", "key": "7", "operator": "GTE", "value": 80},
            {"category": "skill", "key": "7", "operator": "EQ", "value": null}]}]});
        assert!(admits(filter.clone(), json!({}), &[]));
        assert!(admits(filter.clone(), json!({}), &[("7", 80.0)]));
        assert!(!admits(filter, json!({}), &[("7", 79.9)]));
        let has = json!({"category": "skill", "key": "7", "operator": "NE", "value": null});
        assert!(!admits(has.clone(), json!({}), &[]));
        assert!(admits(has, json!({}), &[("7", 0.0)]));
        let not = json!({"category": "skill", "key": "7", "operator": "NE", "value": 5});
        assert!(!admits(not, json!({}), &[]));
    }

    #[test]
    fn comparisons_inclusion_and_unknown_operators() {
        let one = |operator: &str, value: Value| {
            let filter =
                json!({"category": "computed", "key": "x", "operator": operator, "value": value});
            admits(filter, json!({"x": 10}), &[])
        };
        assert!(one("GT", json!(9)) && !one("GT", json!(10)));
        assert!(one("LTE", json!("10")) && !one("LT", json!(10)));
        assert!(one("NE", json!(11)) && !one("NE", json!(10)));
        assert!(one("IN", json!([9, 10])) && one("NOT_IN", json!(11)));
        assert!(!one("ABOUT", json!(10)));
        assert!(admits(json!({"and": []}), json!({}), &[]));
        assert!(!admits(json!({"or": []}), json!({}), &[]));
    }
}
