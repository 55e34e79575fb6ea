//! What the builders of filters, quality rules and messages write.

use quorate_toloka::{
    filter::{
        ClientType, Education, adult_allowed, city, client_type, country, date_of_birth, education,
        languages, os_version, skill,
    },
    limits,
    quality::{
        AcceptanceRate, Action, AnswerCount, AssessmentEvent, AssignmentsAssessment, BanFor,
        BanScope, Captcha, GoldenSet, Income, MajorityVote, RevokedReason, SkippedInRow,
        SubmitTime, UsersAssessment,
    },
    types::{AggregationRequest, ComposeMessage, Decimal, Filter, LocalizedText, QualityControl},
};
use serde_json::{Value, json};

fn written(filter: &Filter) -> Value {
    serde_json::to_value(filter).unwrap()
}

#[test]
fn every_fact_is_compared_by_its_own_operators() {
    let condition = |category: &str, key: &str, operator: &str, value: Value| json!({ "category": category, "key": key, "operator": operator, "value": value });
    let third = "33.5".parse::<Decimal>().unwrap();
    for (filter, expected) in [
        (
            skill("7").at_least(80),
            condition("skill", "7", "GTE", json!(80)),
        ),
        (
            skill("7").above(third),
            condition("skill", "7", "GT", json!(33.5)),
        ),
        (
            skill("7").below(90),
            condition("skill", "7", "LT", json!(90)),
        ),
        (
            skill("7").at_most(90),
            condition("skill", "7", "LTE", json!(90)),
        ),
        (
            skill("7").is(100),
            condition("skill", "7", "EQ", json!(100)),
        ),
        (
            skill("7").is_not(0),
            condition("skill", "7", "NE", json!(0)),
        ),
        (
            skill("7").is_missing(),
            condition("skill", "7", "EQ", Value::Null),
        ),
        (
            skill("7").is_there(),
            condition("skill", "7", "NE", Value::Null),
        ),
        (
            country().is("FR"),
            condition("profile", "country", "EQ", json!("FR")),
        ),
        (
            education().is_not(Education::Basic),
            condition("profile", "education", "NE", json!("BASIC")),
        ),
        (
            adult_allowed().is(true),
            condition("profile", "adult_allowed", "EQ", json!(true)),
        ),
        (
            date_of_birth().below(604_972_800),
            condition("profile", "date_of_birth", "LT", json!(604_972_800)),
        ),
        (
            city().includes(213),
            condition("profile", "city", "IN", json!(213)),
        ),
        (
            languages().excludes("EN"),
            condition("profile", "languages", "NOT_IN", json!("EN")),
        ),
        (
            client_type().is(ClientType::TolokaApp),
            condition("computed", "client_type", "EQ", json!("TOLOKA_APP")),
        ),
        (
            os_version().at_least(14),
            condition("computed", "os_version", "GTE", json!(14)),
        ),
    ] {
        assert_eq!(written(&filter), expected);
    }
}

#[test]
fn filters_are_joined_to_an_and_of_ors_as_the_kit_writes_them() {
    let filter = languages().includes("RU")
        & (client_type().is(ClientType::Browser) | client_type().is(ClientType::TolokaApp))
        & (skill("7").at_least(80) | skill("7").is_missing());
    let filter = written(&filter);
    let ors = filter["and"].as_array().unwrap();
    let lengths: Vec<_> = ors
        .iter()
        .map(|or| or["or"].as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [1, 2, 2]);
    assert_eq!(ors[1]["or"][1]["value"], "TOLOKA_APP");

    let any = languages().includes_any(["EN", "FR"]) | country().is("GB");
    assert_eq!(written(&any)["or"].as_array().unwrap().len(), 3);
    // Everybody, and those: those.
    let all = Filter::default() & any.clone();
    assert_eq!(all, Filter::And(vec![any]));
}

#[test]
fn every_collector_is_written_with_its_counts_settings_and_actions() {
    let ban = |time| (BanScope::Project, time, "why");
    macro_rules! ban {
        ($time:expr) => {{
            let (scope, time, why) = ban($time);
            Action::ban(scope, time, why)
        }};
    }
    let quality = QualityControl::default()
        .require_training("55", 80)
        .collect(GoldenSet::collector().history_size(10).rule(
            [
                GoldenSet::total_answers_count().at_least(3),
                GoldenSet::golden_correct_answers_rate().below(60),
            ],
            Action::set_skill_from("42", GoldenSet::correct_answers_rate()),
        ))
        .collect(MajorityVote::collector(3).history_size(5).rule(
            [MajorityVote::incorrect_answers_rate().at_least(50)],
            ban!(BanFor::Hours(3)),
        ))
        .collect(Captcha::collector().rule([Captcha::fail_rate().above(30)], ban!(BanFor::Days(1))))
        .collect(Income::collector().rule(
            [Income::sum_for_last_24_hours().at_least(20)],
            ban!(BanFor::Minutes(9)),
        ))
        .collect(SkippedInRow::collector().rule(
            [SkippedInRow::skipped_in_row_count().is(3)],
            ban!(BanFor::Ever),
        ))
        .collect(AnswerCount::collector().rule(
            [AnswerCount::assignments_accepted_count().above(12)],
            Action::set_skill("42", 1),
        ))
        .collect(SubmitTime::collector(15).sharing_counts_of("uuid-1").rule(
            [SubmitTime::fast_submitted_count().is_not(0)],
            Action::reject_all_assignments("too fast"),
        ))
        .collect(AcceptanceRate::collector().rule(
            [AcceptanceRate::rejected_assignments_rate().at_most(5)],
            Action::approve_all_assignments(),
        ))
        .collect(AssignmentsAssessment::collector().rule(
            [AssignmentsAssessment::assessment_event().is(AssessmentEvent::Reject)],
            Action::change_overlap(1, true),
        ))
        .collect(UsersAssessment::collector().rule(
            [
                UsersAssessment::pool_access_revoked_reason().is(RevokedReason::SkillChange),
                UsersAssessment::skill_id().is("42"),
            ],
            Action::change_overlap(1, false),
        ));

    let one = |kind: &str, parameters: Value, conditions: &[(&str, &str, Value)], action: Value| {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(key, operator, value)| json!({ "key": key, "operator": operator, "value": value }))
            .collect();
        let mut collector = json!({ "type": kind });
        if !parameters.is_null() {
            collector["parameters"] = parameters;
        }
        json!({
            "collector_config": collector,
            "rules": [{ "conditions": conditions, "action": action }],
        })
    };
    let restriction = |time: Value| {
        let mut parameters = json!({ "scope": "PROJECT", "private_comment": "why" });
        parameters
            .as_object_mut()
            .unwrap()
            .extend(time.as_object().unwrap().clone());
        json!({ "type": "RESTRICTION_V2", "parameters": parameters })
    };
    let mut submit_time = one(
        "ASSIGNMENT_SUBMIT_TIME",
        json!({ "fast_submit_threshold_seconds": 15 }),
        &[("fast_submitted_count", "NE", json!(0))],
        json!({ "type": "REJECT_ALL_ASSIGNMENTS", "parameters": { "public_comment": "too fast" } }),
    );
    submit_time["collector_config"]["uuid"] = json!("uuid-1");
    let expected = json!({
        "training_requirement": { "training_pool_id": "55", "training_passing_skill_value": 80 },
        "configs": [
            one(
                "GOLDEN_SET",
                json!({ "history_size": 10 }),
                &[
                    ("total_answers_count", "GTE", json!(3)),
                    ("golden_set_correct_answers_rate", "LT", json!(60)),
                ],
                json!({
                    "type": "SET_SKILL_FROM_OUTPUT_FIELD",
                    "parameters": { "skill_id": "42", "from_field": "correct_answers_rate" },
                }),
            ),
            one(
                "MAJORITY_VOTE",
                json!({ "answer_threshold": 3, "history_size": 5 }),
                &[("incorrect_answers_rate", "GTE", json!(50))],
                restriction(json!({ "duration": 3, "duration_unit": "HOURS" })),
            ),
            one(
                "CAPTCHA",
                Value::Null,
                &[("fail_rate", "GT", json!(30))],
                restriction(json!({ "duration": 1, "duration_unit": "DAYS" })),
            ),
            one(
                "INCOME",
                Value::Null,
                &[("income_sum_for_last_24_hours", "GTE", json!(20))],
                restriction(json!({ "duration": 9, "duration_unit": "MINUTES" })),
            ),
            one(
                "SKIPPED_IN_ROW_ASSIGNMENTS",
                Value::Null,
                &[("skipped_in_row_count", "EQ", json!(3))],
                restriction(json!({ "duration_unit": "PERMANENT" })),
            ),
            one(
                "ANSWER_COUNT",
                Value::Null,
                &[("assignments_accepted_count", "GT", json!(12))],
                json!({ "type": "SET_SKILL", "parameters": { "skill_id": "42", "skill_value": 1 } }),
            ),
            submit_time,
            one(
                "ACCEPTANCE_RATE",
                Value::Null,
                &[("rejected_assignments_rate", "LTE", json!(5))],
                json!({ "type": "APPROVE_ALL_ASSIGNMENTS" }),
            ),
            one(
                "ASSIGNMENTS_ASSESSMENT",
                Value::Null,
                &[("assessment_event", "EQ", json!("REJECT"))],
                json!({ "type": "CHANGE_OVERLAP", "parameters": { "delta": 1, "open_pool": true } }),
            ),
            one(
                "USERS_ASSESSMENT",
                Value::Null,
                &[
                    ("pool_access_revoked_reason", "EQ", json!("SKILL_CHANGE")),
                    ("skill_id", "EQ", json!("42")),
                ],
                json!({ "type": "CHANGE_OVERLAP", "parameters": { "delta": 1, "open_pool": false } }),
            ),
        ],
    });
    assert_eq!(serde_json::to_value(&quality).unwrap(), expected);
}

#[test]
fn a_message_names_its_recipients_in_one_way() {
    let text = || LocalizedText::from([("EN".to_owned(), "Hello".to_owned())]);
    let form = |message: &ComposeMessage| serde_json::to_value(message).unwrap();
    let direct = form(&ComposeMessage::direct(text(), text(), ["u1", "u2"]));
    assert_eq!(direct["recipients_select_type"], "DIRECT");
    assert_eq!(direct["recipients_ids"], json!(["u1", "u2"]));
    let filtered = form(&ComposeMessage::filtered(
        text(),
        text(),
        skill("7").above(90),
    ));
    assert_eq!(filtered["recipients_select_type"], "FILTER");
    assert_eq!(filtered["recipients_filter"]["operator"], "GT");
    assert!(filtered.get("recipients_ids").is_none());
    let all = form(&ComposeMessage::to_all(text(), text()));
    assert_eq!(all["recipients_select_type"], "ALL");
}

#[test]
fn an_aggregation_has_what_its_type_needs() {
    let form = |request: &AggregationRequest| serde_json::to_value(request).unwrap();
    assert_eq!(
        form(&AggregationRequest::dawid_skene("1", "out")),
        json!({ "type": "DAWID_SKENE", "pool_id": "1", "fields": [{ "name": "out" }] })
    );
    assert_eq!(
        form(&AggregationRequest::weighted_task(
            "1",
            "t",
            "9",
            ["a", "b"]
        )),
        json!({
            "type": "WEIGHTED_DYNAMIC_OVERLAP", "pool_id": "1", "task_id": "t",
            "answer_weight_skill_id": "9", "fields": [{ "name": "a" }, { "name": "b" }],
        })
    );
}

#[test]
fn limits_of_money_are_dollars() {
    let [min, max, reward] = [limits::MIN_BONUS, limits::MAX_BONUS, limits::MIN_REWARD];
    assert_eq!(
        (min.to_string(), max.to_string(), reward.to_string()),
        ("0.005".into(), "100".into(), "0.005".into())
    );
}
