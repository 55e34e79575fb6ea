//! What the pipeline tells the outside is what the project's `events/` promises: fixtures and
//! schemas against the types that write them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeSet;

use quorate_core::event::{Detail, Event, PoolClosed, Problem, ProblemKind, RoundAggregated};
use quorate_core::{CampaignName, RoundId, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

const POOL_CLOSED: &str = include_str!("../../../events/pool-closed.json");
const ROUND_AGGREGATED: &str = include_str!("../../../events/round-aggregated.json");
const PROBLEM: &str = include_str!("../../../events/problem.json");
const CROWD_MOVED: &str = include_str!("../../../events/crowd-moved.json");
const POOL_CLOSED_SCHEMA: &str = include_str!("../../../events/schemas/pool-closed.schema.json");
const ROUND_AGGREGATED_SCHEMA: &str =
    include_str!("../../../events/schemas/round-aggregated.schema.json");
const PROBLEM_SCHEMA: &str = include_str!("../../../events/schemas/problem.schema.json");
const CROWD_MOVED_SCHEMA: &str = include_str!("../../../events/schemas/crowd-moved.schema.json");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// What is wrong with `value` by the keywords that our schemas use. A whole validator would bring
/// forty crates for these few; a keyword that is not checked here fails the test. Stricter than
/// JSON Schema in one thing: a field that the schema does not tell of is wrong.
fn faults(at: &str, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for (keyword, rule) in object(schema) {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => true,
            // The types that write these fields have tests of their own.
            "format" | "pattern" => true,
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is(one, value)),
                one => is(one, value),
            },
            "minimum" => value.as_f64().is_none_or(|is| is >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|is| is <= rule.as_f64().unwrap()),
            "required" => {
                let names = rule.as_array().unwrap().iter();
                let mut names = names.map(|name| name.as_str().unwrap());
                names.all(|name| value.get(name).is_some())
            }
            "items" => {
                let items = value.as_array().unwrap().iter();
                faults.extend(items.flat_map(|item| self::faults(at, rule, item)));
                true
            }
            "properties" => {
                for (name, value) in object(value) {
                    let at = format!("{at}/{name}");
                    match rule.get(name) {
                        Some(schema) => faults.extend(self::faults(&at, schema, value)),
                        None => faults.push(format!("{at}: the schema does not tell of it")),
                    }
                }
                true
            }
            other => panic!("{at}: this test cannot check the keyword {other}"),
        };
        if !holds {
            faults.push(format!("{at}: {value} breaks {keyword}: {rule}"));
        }
    }
    faults
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("this test does not know the type {other}"),
    }
}

#[track_caller]
fn assert_valid(schema: &str, value: &Value) {
    assert_eq!(faults("", &json(schema), value), [""; 0], "{value:#}");
}

fn written(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

/// A fixture without what the bus puts around an event.
fn told(fixture: &str) -> Value {
    let mut event = json(fixture);
    for name in ["version", "source", "account", "region", "resources"] {
        event.as_object_mut().unwrap().remove(name).unwrap();
    }
    event
}

fn cells() -> CampaignName {
    "cells".parse().unwrap()
}

fn aggregated(golden_accuracy: Option<f64>) -> RoundAggregated {
    RoundAggregated {
        campaign: cells(),
        round: 1,
        manifest: "cells/round=1/_manifest.json".to_owned(),
        labelled: 118,
        unlabelled: 2,
        cost: Decimal::new(432, 2),
        golden_accuracy,
    }
}

fn problem(kind: ProblemKind) -> Problem {
    Problem {
        kind,
        campaign: "cells".to_owned(),
        round: None,
        key: None,
        message: "what happened and what to do".to_owned(),
    }
}

/// Every kind: the compiler asks for a new one here.
fn kinds() -> Vec<ProblemKind> {
    use ProblemKind::*;
    let next = |kind| match kind {
        CampaignInvalid => Some(CampaignChanged),
        CampaignChanged => Some(UploadRejected),
        UploadRejected => Some(UploadMisnamed),
        UploadMisnamed => Some(UploadOverwritten),
        UploadOverwritten => Some(BudgetReached),
        BudgetReached => Some(TrainingWithoutTasks),
        TrainingWithoutTasks => Some(NotEnoughBalance),
        NotEnoughBalance => Some(PoolClosedEarly),
        PoolClosedEarly => Some(Stuck),
        Stuck => None,
    };
    std::iter::successors(Some(CampaignInvalid), |kind| next(*kind)).collect()
}

#[test]
fn the_fixtures_are_what_the_pipeline_writes() {
    let at = |time: &str| Timestamp::from(time.parse::<jiff::Timestamp>().unwrap());
    let round = RoundId {
        campaign: cells(),
        number: 1,
    };
    let closed = Event::pool_closed(&round, at("2026-01-05T10:30:00Z"));
    assert_eq!(told(POOL_CLOSED), written(&closed));
    let done = Event::round_aggregated(aggregated(Some(0.925)), at("2026-01-05T10:31:12Z"));
    assert_eq!(told(ROUND_AGGREGATED), written(&done));
    let event: Event = serde_json::from_str(PROBLEM).unwrap();
    assert!(matches!(event.detail, Detail::Problem(_)));
    assert_eq!(told(PROBLEM), written(&event));
}

#[test]
fn the_fixtures_keep_their_schemas() {
    assert_valid(POOL_CLOSED_SCHEMA, &json(POOL_CLOSED));
    assert_valid(ROUND_AGGREGATED_SCHEMA, &json(ROUND_AGGREGATED));
    assert_valid(PROBLEM_SCHEMA, &json(PROBLEM));
    assert_valid(CROWD_MOVED_SCHEMA, &json(CROWD_MOVED));
}

#[test]
fn every_event_keeps_its_schema() {
    let now = Timestamp(1_767_607_200_000);
    let round = RoundId {
        campaign: cells(),
        number: u32::MAX,
    };
    assert_valid(
        POOL_CLOSED_SCHEMA,
        &written(&Event::pool_closed(&round, now)),
    );
    for golden_accuracy in [None, Some(0.0), Some(1.0)] {
        let event = Event::round_aggregated(aggregated(golden_accuracy), now);
        assert_valid(ROUND_AGGREGATED_SCHEMA, &written(&event));
    }
    for kind in kinds() {
        let short = problem(kind);
        let full = Problem {
            round: Some(2),
            key: Some("cells/images/1.jpg".to_owned()),
            ..short.clone()
        };
        for problem in [short, full] {
            assert_valid(PROBLEM_SCHEMA, &written(&Event::problem(problem, "x", now)));
        }
    }
}

#[test]
fn the_schema_names_every_kind_of_problem_and_no_other() {
    let kinds: BTreeSet<String> = kinds()
        .into_iter()
        .map(|kind| json!(kind).as_str().unwrap().to_owned())
        .collect();
    let schema = json(PROBLEM_SCHEMA);
    let kind = &schema["properties"]["detail"]["properties"]["kind"];
    let named = kind["enum"].as_array().unwrap().iter();
    let named: BTreeSet<String> = named
        .map(|kind| kind.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, kinds);
    for name in named {
        let explained = format!("{name}: ");
        assert!(kind["description"].as_str().unwrap().contains(&explained));
    }
}

#[test]
fn every_field_of_a_schema_is_explained() {
    fn explained(at: &str, schema: &Value) {
        let fields = schema.get("properties").into_iter().flat_map(object);
        for (name, schema) in fields {
            assert!(schema["description"].is_string(), "{at}/{name}");
            explained(&format!("{at}/{name}"), schema);
        }
    }
    for schema in [
        POOL_CLOSED_SCHEMA,
        ROUND_AGGREGATED_SCHEMA,
        PROBLEM_SCHEMA,
        CROWD_MOVED_SCHEMA,
    ] {
        explained("", &json(schema));
    }
}

#[test]
fn what_breaks_a_schema_is_found() {
    let good = told(ROUND_AGGREGATED);
    for (pointer, bad) in [
        ("/detail-type", json!("PoolClosed")),
        ("/time", json!(7)),
        ("/detail", json!({})),
        ("/detail/round", json!(0)),
        ("/detail/round", json!(1.5)),
        ("/detail/cost", json!("4.32")),
        ("/detail/golden_accuracy", json!(1.1)),
        ("/detail/labelled", json!(null)),
    ] {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = bad;
        let faults = faults("", &json(ROUND_AGGREGATED_SCHEMA), &event);
        assert_eq!(faults.len(), 1, "{pointer}: {faults:?}");
    }
    let mut event = good;
    event["detail"]["secret"] = json!(1);
    assert_eq!(faults("", &json(ROUND_AGGREGATED_SCHEMA), &event).len(), 1);
}

#[test]
fn what_a_queue_wraps_is_what_the_bus_delivers() {
    for (batch, events) in [
        (
            include_str!("../../../events/sqs-pool-closed.json"),
            POOL_CLOSED,
        ),
        (
            include_str!("../../../events/sqs-s3-object-created.json"),
            include_str!("../../../events/s3-object-created.json"),
        ),
        (
            include_str!("../../../events/sqs-malformed.json"),
            include_str!("../../../events/s3-object-created.json"),
        ),
    ] {
        let body = json(batch)["Records"][0]["body"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(json(&body), json(events));
    }
}

#[test]
fn a_pool_closed_is_read_back() {
    let event: Event = serde_json::from_str(POOL_CLOSED).unwrap();
    let expected = PoolClosed {
        campaign: cells(),
        round: 1,
    };
    assert_eq!(event.detail, Detail::PoolClosed(expected));
}
