//! Quality rules: facts about a worker in, actions out.
//!
//! A collector counts something; each of its rules fires when all its conditions hold. The counts
//! come from the database ([`quality`](crate::quality)); everything else is here and pure.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use quorate_toloka::types::{Action, KnownSolution, Operator, Rule, RuleCondition, Values};
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use crate::{filter::compare, model::Kind, quality::Reason};

/// What a collector knows, by the condition's key. A rate over nothing is not known.
pub(crate) type Facts = BTreeMap<&'static str, Value>;

/// The actions of the rules that fire, in order.
pub(crate) fn fired<'a>(rules: &'a [Rule], facts: &Facts) -> impl Iterator<Item = &'a Action> {
    let fires = |rule: &Rule| {
        !rule.conditions.is_empty() && rule.conditions.iter().all(|one| holds(one, facts))
    };
    rules
        .iter()
        .filter(move |rule| fires(rule))
        .map(|rule| &rule.action)
        .collect::<Vec<_>>()
        .into_iter()
}

fn holds(condition: &RuleCondition, facts: &Facts) -> bool {
    let Some(fact) = facts.get(condition.key.as_str()) else {
        return false;
    };
    let Some(ordering) = compare(fact, &condition.value) else {
        return condition.operator == Operator::Ne;
    };
    match condition.operator {
        Operator::Eq => ordering == Ordering::Equal,
        Operator::Ne => ordering != Ordering::Equal,
        Operator::Gt => ordering == Ordering::Greater,
        Operator::Gte => ordering != Ordering::Less,
        Operator::Lt => ordering == Ordering::Less,
        Operator::Lte => ordering != Ordering::Greater,
        _ => false,
    }
}

/// The value of a fact by the name that `SET_SKILL_FROM_OUTPUT_FIELD` gives it.
pub(crate) fn output_field(facts: &Facts, field: &str) -> Option<f64> {
    // Some pages of the reference call it so.
    let field = if field == "wrong_answers_rate" {
        "incorrect_answers_rate"
    } else {
        field
    };
    facts.get(field).and_then(Value::as_f64)
}

/// Facts of `GOLDEN_SET` and of a training, from answers to tasks with a known solution: the
/// task's kind and how right the answer is (0–1).
pub(crate) fn known_answers(answers: &[(Kind, f64)]) -> Facts {
    let all: Vec<f64> = answers.iter().map(|(_, score)| *score).collect();
    let golden: Vec<f64> = answers
        .iter()
        .filter(|(kind, _)| *kind == Kind::Golden)
        .map(|(_, score)| *score)
        .collect();
    let mut facts = votes(&all);
    facts.insert("golden_set_answers_count", golden.len().into());
    rates(
        &mut facts,
        &golden,
        "golden_set_correct_answers_rate",
        "golden_set_incorrect_answers_rate",
    );
    facts
}

/// Facts of `MAJORITY_VOTE`: 1 for each answer that agreed with the majority, else 0.
pub(crate) fn votes(scores: &[f64]) -> Facts {
    let mut facts = Facts::from([("total_answers_count", scores.len().into())]);
    rates(
        &mut facts,
        scores,
        "correct_answers_rate",
        "incorrect_answers_rate",
    );
    facts
}

/// Facts of `ASSIGNMENT_SUBMIT_TIME`, from how long each page took.
pub(crate) fn submit_times(millis: &[i64], threshold_seconds: u32) -> Facts {
    let threshold = i64::from(threshold_seconds) * 1000;
    let fast = millis.iter().filter(|taken| **taken < threshold).count();
    Facts::from([
        ("total_submitted_count", millis.len().into()),
        ("fast_submitted_count", fast.into()),
    ])
}

/// Facts of `ACCEPTANCE_RATE`, from the reviews: accepted or not.
pub(crate) fn reviews(accepted: &[bool]) -> Facts {
    let scores: Vec<f64> = accepted
        .iter()
        .map(|yes| f64::from(u8::from(*yes)))
        .collect();
    let mut facts = Facts::from([("total_assignments_count", scores.len().into())]);
    rates(
        &mut facts,
        &scores,
        "accepted_assignments_rate",
        "rejected_assignments_rate",
    );
    facts
}

/// Facts of `USERS_ASSESSMENT`: why a worker lost access.
pub(crate) fn access_revoked(reason: Reason) -> Facts {
    match reason {
        Reason::Skill(skill) => Facts::from([
            ("pool_access_revoked_reason", "SKILL_CHANGE".into()),
            ("skill_id", skill.to_string().into()),
        ]),
        Reason::Restriction => Facts::from([("pool_access_revoked_reason", "RESTRICTION".into())]),
    }
}

/// Percentages of right and wrong; nothing when there is nothing to divide by.
fn rates(facts: &mut Facts, scores: &[f64], right: &'static str, wrong: &'static str) {
    if scores.is_empty() {
        return;
    }
    let rate = 100.0 * scores.iter().sum::<f64>() / scores.len() as f64;
    facts.insert(right, rate.into());
    facts.insert(wrong, (100.0 - rate).into());
}

/// How right an answer is, 0–1: the weight of the best known solution whose fields it all gives.
pub(crate) fn correctness(known: &[KnownSolution], answer: &Values) -> f64 {
    known
        .iter()
        .filter(|solution| {
            solution
                .output_values
                .iter()
                .all(|(field, value)| same(answer.get(field).unwrap_or(&Value::Null), value))
        })
        .map(|solution| {
            solution
                .correctness_weight
                .and_then(|weight| weight.to_f64())
                .unwrap_or(1.0)
                .clamp(0.0, 1.0)
        })
        .fold(0.0, f64::max)
}

/// Whether two values are the same answer: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// The answer that at least `threshold` workers gave and nobody else matched in number.
/// Answers are compared as their JSON text, whose keys are sorted.
pub(crate) fn majority<'a>(answers: &[&'a str], threshold: u32) -> Option<&'a str> {
    let distinct: BTreeSet<&str> = answers.iter().copied().collect();
    let mut counted: Vec<(usize, &str)> = distinct
        .into_iter()
        .map(|one| (answers.iter().filter(|answer| **answer == one).count(), one))
        .collect();
    counted.sort_unstable_by(|a, b| b.cmp(a));
    match counted.as_slice() {
        [(first, _), (second, _), ..] if first == second => None,
        [(count, answer), ..] if *count >= threshold as usize => Some(answer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(conditions: Value) -> Vec<Rule> {
        serde_json::from_value(json!([{
            "conditions": conditions,
            "action": {"type": "RESTRICTION_V2", "parameters": {"scope": "POOL"}}
        }]))
        .unwrap()
    }

    #[test]
    fn a_rule_fires_when_all_its_conditions_hold() {
        let rules = rule(json!([
            {"key": "golden_set_correct_answers_rate", "operator": "LT", "value": 60.0},
            {"key": "golden_set_answers_count", "operator": "GTE", "value": 3}]));
        let wrong = [(Kind::Golden, 0.0); 2];
        assert_eq!(fired(&rules, &known_answers(&wrong)).count(), 0);
        let wrong = [(Kind::Golden, 0.0); 3];
        assert_eq!(fired(&rules, &known_answers(&wrong)).count(), 1);
        let right = [(Kind::Golden, 1.0); 3];
        assert_eq!(fired(&rules, &known_answers(&right)).count(), 0);
        assert_eq!(fired(&rule(json!([])), &Facts::new()).count(), 0);
    }

    #[test]
    fn rates_over_nothing_are_not_known() {
        let rules = rule(json!([{"key": "correct_answers_rate", "operator": "LTE", "value": 100}]));
        assert_eq!(fired(&rules, &votes(&[])).count(), 0);
        assert_eq!(fired(&rules, &votes(&[1.0])).count(), 1);
    }

    #[test]
    fn golden_rates_leave_training_answers_out_and_total_rates_do_not() {
        let facts = known_answers(&[(Kind::Golden, 1.0), (Kind::Training, 0.0)]);
        assert_eq!(
            output_field(&facts, "golden_set_correct_answers_rate"),
            Some(100.0)
        );
        assert_eq!(output_field(&facts, "correct_answers_rate"), Some(50.0));
        assert_eq!(output_field(&facts, "wrong_answers_rate"), Some(50.0));
        assert_eq!(facts.get("total_answers_count"), Some(&json!(2)));
        assert_eq!(facts.get("golden_set_answers_count"), Some(&json!(1)));
    }

    #[test]
    fn a_page_is_fast_when_it_took_less_than_the_threshold() {
        let facts = submit_times(&[6_999, 7_000, 60_000], 7);
        assert_eq!(facts.get("fast_submitted_count"), Some(&json!(1)));
        assert_eq!(facts.get("total_submitted_count"), Some(&json!(3)));
    }

    #[test]
    fn reviews_count_accepted_against_all() {
        let facts = reviews(&[true, true, true, false]);
        assert_eq!(facts.get("accepted_assignments_rate"), Some(&json!(75.0)));
        assert_eq!(facts.get("rejected_assignments_rate"), Some(&json!(25.0)));
    }

    #[test]
    fn an_answer_earns_the_weight_of_the_best_solution_that_it_gives() {
        let known: Vec<KnownSolution> = serde_json::from_value(json!([
            {"output_values": {"color": "white"}},
            {"output_values": {"color": "gray"}, "correctness_weight": 0.71}]))
        .unwrap();
        let score = |answer: Value| correctness(&known, answer.as_object().unwrap());
        assert!((score(json!({"color": "white", "comment": "x"})) - 1.0).abs() < f64::EPSILON);
        assert!((score(json!({"color": "gray"})) - 0.71).abs() < 1e-12);
        assert!(score(json!({"color": "black"})) < f64::EPSILON);
        assert!(score(json!({})) < f64::EPSILON);
    }

    #[test]
    fn a_majority_needs_the_threshold_and_no_tie() {
        assert_eq!(majority(&["a", "a", "b"], 2), Some("a"));
        assert_eq!(majority(&["a", "b", "c"], 2), None);
        assert_eq!(majority(&["a", "a", "b", "b"], 2), None);
        assert_eq!(majority(&["b", "a", "b"], 3), None);
        assert_eq!(majority(&[], 1), None);
    }
}
