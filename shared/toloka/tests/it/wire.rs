//! Every recorded body reads into the wire types and is written back without losing a field.

use std::fmt::Debug;

use proptest::prelude::*;
use quorate_toloka::{
    filter::{ClientType, client_type, languages, skill},
    types::*,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    compare::difference,
    data::{self, Exchange, Flow},
};

/// Reads a value as `T` and says what is lost on the way back.
fn trip<T: DeserializeOwned + Serialize + PartialEq + Debug>(value: &Value) -> Result<(), String> {
    let read: T = serde_path_to_error::deserialize(value).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(&read).map_err(|error| error.to_string())?;
    if let Some(difference) = difference(value, &written) {
        return Err(difference);
    }
    let again: T = serde_json::from_value(written).map_err(|error| error.to_string())?;
    if again == read {
        Ok(())
    } else {
        Err(format!("{again:?} is not {read:?}"))
    }
}

/// An object, a page of them, or several that were created at once.
fn trip_any<T: DeserializeOwned + Serialize + PartialEq + Debug>(
    value: &Value,
) -> Result<(), String> {
    if value.get("has_more").is_some() {
        trip::<Page<T>>(value)
    } else if value.get("items").is_some() {
        trip::<BatchCreated<T>>(value)
    } else if value.is_array() {
        trip::<Vec<T>>(value)
    } else {
        trip::<T>(value)
    }
}

/// Reads the answer of a route.
fn trip_response(exchange: &Exchange) -> Result<(), String> {
    let value = &exchange.response;
    if exchange.status >= 400 {
        return trip::<ApiError>(value);
    }
    let is_operation = value.get("type").is_some() && value.get("submitted").is_some();
    let resource = exchange
        .route
        .trim_start_matches("/api/v1/")
        .split('/')
        .next()
        .unwrap();
    match resource {
        _ if exchange.route.ends_with("/log") => trip::<Vec<OperationLogItem>>(value),
        _ if is_operation && resource != "operations" => trip::<Operation>(value),
        "requester" => trip::<Requester>(value),
        "projects" => trip_any::<Project>(value),
        "pools" => trip_any::<Pool>(value),
        "trainings" => trip_any::<Training>(value),
        "tasks" => trip_any::<Task>(value),
        "task-suites" => trip_any::<TaskSuite>(value),
        "assignments" => trip_any::<Assignment>(value),
        "skills" => trip_any::<Skill>(value),
        "user-skills" => trip_any::<UserSkill>(value),
        "user-restrictions" => trip_any::<UserRestriction>(value),
        "user-bonuses" => trip_any::<UserBonus>(value),
        "user-metadata" => trip_any::<UserMetadata>(value),
        "attachments" => trip_any::<Attachment>(value),
        "operations" => trip_any::<Operation>(value),
        "aggregated-solutions" => trip_any::<AggregatedSolution>(value),
        "webhook-subscriptions" => trip_any::<WebhookSubscription>(value),
        "message-threads" => trip_any::<MessageThread>(value),
        _ if exchange.route.ends_with("/check") => trip::<ProjectCheck>(value),
        _ => Err("no type for this route".into()),
    }
}

/// Reads the body of a request.
fn trip_request(exchange: &Exchange) -> Result<(), String> {
    trip_body(&exchange.method, &exchange.route, &exchange.body)
}

fn trip_body(method: &str, route: &str, body: &Value) -> Result<(), String> {
    match (method, route.trim_start_matches("/api/v1/")) {
        ("POST", "/api/staging/analytics-2") => trip::<Vec<AnalyticsRequest>>(body),
        ("POST" | "PUT", "projects" | "projects/{id}") => trip::<Project>(body),
        ("POST" | "PUT", "pools" | "pools/{id}") => trip::<Pool>(body),
        ("PATCH", "pools/{id}") => trip::<PoolPatch>(body),
        ("POST" | "PUT", "trainings" | "trainings/{id}") => trip::<Training>(body),
        ("POST", "tasks") => trip_any::<Task>(body),
        ("PATCH", "tasks/{id}") => trip::<TaskPatch>(body),
        ("PATCH", "tasks/{id}/set-overlap-or-min" | "task-suites/{id}/set-overlap-or-min") => {
            trip::<OverlapPatch>(body)
        }
        ("POST", "task-suites") => trip_any::<TaskSuite>(body),
        ("PATCH", "task-suites/{id}") => trip::<TaskSuitePatch>(body),
        ("PATCH", "assignments/{id}") => trip::<AssignmentPatch>(body),
        ("POST" | "PUT", "skills" | "skills/{id}") => trip::<Skill>(body),
        ("PUT", "user-skills") => trip::<SetUserSkill>(body),
        ("PUT", "user-restrictions") => trip::<UserRestriction>(body),
        ("POST", "user-bonuses") => trip_any::<UserBonus>(body),
        ("PUT", "webhook-subscriptions") => trip_any::<WebhookSubscription>(body),
        ("POST", "/api/staging/projects/{id}/check") => trip::<Project>(body),
        (
            "POST",
            "aggregated-solutions/aggregate-by-pool" | "aggregated-solutions/aggregate-by-task",
        ) => trip::<AggregationRequest>(body),
        ("POST", "message-threads/compose") => trip::<ComposeMessage>(body),
        ("POST", "message-threads/{id}/reply") => trip::<ReplyMessage>(body),
        (
            "POST",
            "message-threads/{id}/add-to-folders" | "message-threads/{id}/remove-from-folders",
        ) => trip::<MessageFolders>(body),
        _ => Err("no type for this body".into()),
    }
}

#[test]
fn every_recorded_answer_survives_the_types() {
    let mut count = 0;
    let failures: Vec<_> = data::exchanges()
        .iter()
        .filter(|exchange| {
            let file = ["__text__", "__bytes__"];
            !exchange.response.is_null()
                && file.iter().all(|key| exchange.response.get(key).is_none())
        })
        .filter_map(|exchange| {
            count += 1;
            let error = trip_response(exchange).err()?;
            Some(format!("{} {}: {error}", exchange.method, exchange.path))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(count, 493);
}

#[test]
fn every_recorded_request_survives_the_types() {
    let mut count = 0;
    let failures: Vec<_> = data::exchanges()
        .iter()
        .filter(|exchange| !exchange.body.is_null())
        .filter_map(|exchange| {
            count += 1;
            let error = trip_request(exchange).err()?;
            Some(format!("{} {}: {error}", exchange.method, exchange.path))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(count, 161);
}

#[test]
fn every_request_of_the_published_examples_survives_the_types() {
    for flow in data::read::<Vec<Flow>>("flows.json") {
        for request in flow
            .requests
            .iter()
            .filter(|request| !request.body.is_null())
        {
            trip_body(&request.method, &request.path, &request.body)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", flow.flow, request.path));
        }
    }
}

#[test]
fn files_that_people_write_are_read() {
    let project: Value = data::read("clickbait/project.json");
    let pool: Value = data::read("clickbait/pool.json");
    let exam: Value = data::read("clickbait/exam.json");
    trip::<Project>(&project).unwrap();
    trip::<Pool>(&pool).unwrap();
    trip::<Training>(&exam).unwrap();

    let pool: Pool = serde_json::from_value(pool).unwrap();
    assert_eq!(pool.reward_per_assignment, Some("0.05".parse().unwrap()));
    assert_eq!(pool.project_id, "");
    let Some(Filter::And(parts)) = pool.filter else {
        panic!("not an and: {:?}", pool.filter)
    };
    assert_eq!(parts[0], languages().includes("EN"));
    let browser = client_type().is(ClientType::Browser);
    let app = client_type().is(ClientType::TolokaApp);
    assert_eq!(parts[1], app | browser);
}

#[test]
fn an_unknown_field_or_value_is_written_back() {
    let pool = json!({ "status": "FROZEN", "shape": { "x": [1] }, "defaults": { "new": true } });
    trip::<Pool>(&pool).unwrap();
    let read: Pool = serde_json::from_value(pool).unwrap();
    assert_eq!(read.status, Some(PoolStatus::Unknown("FROZEN".into())));
    assert_eq!(read.other["shape"], json!({ "x": [1] }));
}

#[test]
fn null_reads_like_an_absent_field() {
    let task =
        json!({ "pool_id": null, "input_values": null, "overlap": null, "infinite_overlap": true });
    let task: Task = serde_json::from_value(task).unwrap();
    assert_eq!(
        task,
        Task {
            infinite_overlap: Some(true),
            ..Task::default()
        }
    );
}

#[test]
fn money_is_exact_and_a_json_number() {
    for text in ["0.005", "0.01", "0.1", "0.3", "19.99", "4000.07", "0"] {
        let pool: Pool =
            serde_json::from_str(&format!(r#"{{"reward_per_assignment":{text}}}"#)).unwrap();
        assert_eq!(pool.reward_per_assignment, Some(text.parse().unwrap()));
        let written = serde_json::to_value(&pool).unwrap();
        assert_eq!(written["reward_per_assignment"].as_f64(), text.parse().ok());
    }
}

#[test]
fn times_are_written_in_one_form_and_read_in_many() {
    for (read, written) in [
        ("2016-03-07T15:47:00", "2016-03-07T15:47:00.000"),
        ("2021-08-24T06:30:08.51", "2021-08-24T06:30:08.510"),
        ("2021-08-24T06:30:11.99999", "2021-08-24T06:30:11.999"),
        ("2021-09-29T15:13:38.491000", "2021-09-29T15:13:38.491"),
        ("2021-09-29T15:13:38Z", "2021-09-29T15:13:38.000"),
        ("2021-09-29T15:13:38.5+03:00", "2021-09-29T12:13:38.500"),
    ] {
        let time: Time = read.parse().unwrap();
        assert_eq!(time.to_string(), written);
        assert_eq!(serde_json::to_value(time).unwrap(), written);
    }
    assert!("yesterday".parse::<Time>().is_err());
    assert!(serde_json::from_str::<Time>("5").is_err());
}

#[test]
fn filters_nest_freely() {
    let missing = json!({ "category": "skill", "key": "7", "operator": "EQ", "value": null });
    for filter in [
        json!({ "and": [] }),
        missing.clone(),
        json!({ "and": [missing, { "or": [missing, { "and": [{ "or": [] }] }] }] }),
    ] {
        trip::<Filter>(&filter).unwrap();
    }
    let filter = skill("7").is_missing();
    assert!(
        serde_json::to_value(&filter)
            .unwrap()
            .as_object()
            .unwrap()
            .contains_key("value")
    );
    assert_eq!(
        serde_json::from_str::<Filter>("{}").unwrap(),
        Filter::And(Vec::new())
    );
    assert_eq!(
        skill("7").at_least(80) | skill("7").is_missing(),
        serde_json::from_value(json!({ "or": [
            { "category": "skill", "key": "7", "operator": "GTE", "value": 80 },
            { "category": "skill", "key": "7", "operator": "EQ", "value": null },
        ] }))
        .unwrap()
    );
}

#[test]
fn a_filter_that_says_two_things_is_refused() {
    for filter in [
        json!({ "and": [], "or": [] }),
        json!({ "and": {} }),
        json!({ "category": "skill" }),
        json!([]),
    ] {
        assert!(
            serde_json::from_value::<Filter>(filter.clone()).is_err(),
            "{filter}"
        );
    }
}

#[test]
fn the_log_of_a_creation_tells_what_became_of_each_item() {
    let log = json!([
        { "type": "TASK_CREATE", "success": true, "input": { "pool_id": "1", "__item_idx": "7" },
          "output": { "task_id": "0001--a" } },
        { "type": "TASK_VALIDATE", "success": false, "input": { "__item_idx": "8" },
          "output": { "overlap": { "code": "VALUE_REQUIRED", "message": "Value must be present" } } },
        { "type": "POOL_OPEN", "success": false, "input": {}, "output": {} },
    ]);
    let log: Vec<OperationLogItem> = serde_json::from_value(log).unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|item| (item.item_index(), item.task_id()))
        .collect();
    assert_eq!(
        told,
        [(Some(7), Some("0001--a")), (Some(8), None), (None, None)]
    );

    let mut task = Task {
        pool_id: "1".into(),
        ..Task::default()
    };
    task.set_item_index(7);
    let sent = serde_json::to_value(&task).unwrap();
    assert_eq!(
        sent,
        json!({ "pool_id": "1", "input_values": {}, "__item_idx": "7" })
    );
}

#[test]
fn statistics_are_numbers_in_either_form() {
    let request = AnalyticsRequest::pool(AnalyticsName::CompletionPercentage, "1");
    let results = json!({ "value": [
        { "request": request, "result": { "type": "NORMAL", "value": 42.5, "infinite": false } },
        { "request": request, "result": 75 },
    ] });
    let operation = Operation {
        details: Some(results),
        ..Operation::default()
    };
    let numbers: Vec<_> = operation
        .analytics()
        .unwrap()
        .iter()
        .map(AnalyticsResult::number)
        .collect();
    assert_eq!(numbers, [Some(42.5), Some(75.0)]);
}

/// Any tree of filters.
fn any_filter() -> impl Strategy<Value = Filter> {
    let fact = ("[a-z_]{1,8}", 0..100i32).prop_map(|(key, value)| skill(key).at_least(value));
    let leaf = prop_oneof![fact, "[0-9]{1,3}".prop_map(|key| skill(key).is_missing())];
    leaf.prop_recursive(4, 24, 4, |part| {
        let parts = prop::collection::vec(part, 0..4);
        prop_oneof![
            parts.clone().prop_map(Filter::And),
            parts.prop_map(Filter::Or)
        ]
    })
}

/// Whether a worker passes for whom exactly the facts with a short key hold.
fn passes(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(passes),
        Filter::Or(parts) => parts.iter().any(passes),
        Filter::Condition(fact) => fact.key.len() < 3,
    }
}

proptest! {
    #[test]
    fn joined_filters_mean_both_or_one_of_them(a in any_filter(), b in any_filter()) {
        let (left, right) = (passes(&a), passes(&b));
        prop_assert_eq!(passes(&(a.clone() & b.clone())), left && right);
        prop_assert_eq!(passes(&(a | b)), left || right);
    }

    #[test]
    fn any_filter_survives_the_wire(filter in any_filter()) {
        let text = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
    }

    #[test]
    fn any_time_survives_the_wire_and_sorts_as_text(a in 0i64..4_000_000_000_000, b in 0i64..4_000_000_000_000) {
        let time = |millis| Time::from(jiff::Timestamp::from_millisecond(millis).unwrap());
        prop_assert_eq!(time(a).to_string().parse::<Time>().unwrap(), time(a));
        prop_assert_eq!(time(a).to_string().cmp(&time(b).to_string()), a.cmp(&b));
    }
}
