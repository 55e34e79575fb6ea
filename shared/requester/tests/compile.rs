//! What a campaign becomes in the terms of the Toloka API.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use quorate_core::Timestamp;
use quorate_core::campaign::{self, Campaign};
use quorate_core::ports::PoolSpec;
use quorate_core::state::Kind;
use quorate_requester::compile;
use rust_decimal::Decimal;
use serde_json::{Value, json};

const CELLS: &str = r#"
title = "Cells"
question = "Which cell?"
instructions = "Look at the purple one."
labels = ["NEUTROPHIL", "EOSINOPHIL"]
overlap = 5
images_per_page = 8
reward_per_page = 0.05
minutes_per_page = 15
budget = 10
languages = ["EN", "DE"]
[titles]
NEUTROPHIL = "Neutrophil"
[golden]
per_page = 2
min_accuracy = 60
min_answers = 4
[exam]
tasks_per_page = 10
passing_accuracy = 70
[training]
tasks_per_page = 4
passing_accuracy = 50
[quality]
min_seconds_per_page = 15
max_fast_pages = 2
max_skips_in_row = 3
max_income_per_day = 20
majority = true
"#;

fn cells() -> Campaign {
    campaign::of_files([Some(CELLS), None, None, None], Decimal::ZERO).unwrap()
}

fn clickbait() -> Campaign {
    let project = include_str!("data/project.json");
    let pool = include_str!("data/pool.json");
    let exam = include_str!("data/exam.json");
    campaign::of_files([None, Some(project), Some(pool), Some(exam)], Decimal::ZERO).unwrap()
}

fn spec(campaign: &Campaign, kind: Kind) -> PoolSpec<'_> {
    PoolSpec {
        campaign,
        marker: "quorate round cells/1".to_owned(),
        project: "10",
        kind,
        golden: true,
        exam_skill: Some("20"),
        quality_skill: Some("21"),
        training: Some("30"),
        tasks: 7,
        now: Timestamp(1_767_225_600_000),
    }
}

fn wire<T: serde::Serialize>(value: T) -> Value {
    serde_json::to_value(value).unwrap()
}

/// The collectors of a pool with their rules, by type.
fn rules<'a>(pool: &'a Value, kind: &str) -> &'a Value {
    let configs = pool["quality_control"]["configs"].as_array().unwrap();
    let found = configs
        .iter()
        .find(|config| config["collector_config"]["type"] == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {configs:?}"))["rules"]
}

#[test]
fn a_project_asks_the_question_and_hides_the_image_id() {
    let project = wire(compile::project(&cells(), "quorate cells 1").unwrap());
    assert_eq!(project["public_name"], "Cells");
    assert_eq!(project["private_comment"], "quorate cells 1");
    let fields = &project["task_spec"];
    assert_eq!(fields["input_spec"]["image"]["type"], "url");
    assert_eq!(
        fields["input_spec"]["image_id"],
        json!({"type": "string", "required": false, "hidden": true})
    );
    assert_eq!(
        fields["output_spec"]["label"]["allowed_values"],
        json!(["NEUTROPHIL", "EOSINOPHIL"])
    );
    let view = fields["view_spec"]["config"].as_str().unwrap();
    assert!(
        view.contains("\"label\":\"Neutrophil\"") && view.contains("Which cell?"),
        "{view}"
    );
}

#[test]
fn a_pool_pays_mixes_and_bans_as_the_campaign_says() {
    let campaign = cells();
    let pool = wire(compile::pool(&spec(&campaign, Kind::Real)).unwrap());
    assert_eq!(pool["reward_per_assignment"], 0.05);
    assert_eq!(pool["assignment_max_duration_seconds"], 900);
    assert_eq!(pool["defaults"]["default_overlap_for_new_tasks"], 5);
    assert_eq!(pool["mixer_config"]["real_tasks_count"], 8);
    assert_eq!(pool["mixer_config"]["golden_tasks_count"], 2);
    assert_eq!(pool["will_expire"], "2026-06-30T00:00:00.000");
    let filter = pool["filter"].to_string();
    assert!(
        filter.contains("\"key\":\"20\"") && filter.contains("\"DE\""),
        "{filter}"
    );
    // Who passed the exam has passed the training before it.
    assert_eq!(pool["quality_control"]["training_requirement"], Value::Null);

    let golden = rules(&pool, "GOLDEN_SET");
    assert_eq!(golden[0]["conditions"][0]["value"], 4);
    assert_eq!(golden[0]["conditions"][1]["value"], 60.0);
    assert_eq!(
        golden[0]["action"]["parameters"]["duration_unit"],
        "PERMANENT"
    );
    assert_eq!(golden[1]["action"]["parameters"]["skill_id"], "21");
    assert_eq!(
        rules(&pool, "ASSIGNMENT_SUBMIT_TIME")[0]["conditions"][0]["value"],
        2
    );
    assert_eq!(
        rules(&pool, "SKIPPED_IN_ROW_ASSIGNMENTS")[0]["conditions"][0]["value"],
        3
    );
    assert_eq!(rules(&pool, "INCOME")[0]["conditions"][0]["value"], 20.0);
    assert_eq!(
        rules(&pool, "MAJORITY_VOTE")[0]["conditions"][1]["value"],
        50
    );
}

#[test]
fn rules_that_are_switched_off_are_left_out() {
    let mut campaign = cells();
    campaign.quality.min_seconds_per_page = 0;
    campaign.quality.max_skips_in_row = 0;
    campaign.quality.max_income_per_day = 0.0;
    campaign.quality.majority = false;
    let without = PoolSpec {
        golden: false,
        ..spec(&campaign, Kind::Real)
    };
    let pool = wire(compile::pool(&without).unwrap());
    assert_eq!(pool["quality_control"]["configs"], json!([]));
    assert_eq!(pool["mixer_config"]["golden_tasks_count"], 0);
}

#[test]
fn an_exam_is_one_free_page_that_sets_the_skill_once() {
    let campaign = cells();
    let exam = wire(compile::exam(&spec(&campaign, Kind::Exam)));
    assert_eq!(exam["reward_per_assignment"], 0.0);
    // Seven exam tasks make a page of seven, though the campaign would have ten.
    assert_eq!(exam["mixer_config"]["golden_tasks_count"], 7);
    let set = &rules(&exam, "GOLDEN_SET")[0];
    assert_eq!(set["conditions"][0]["value"], 7);
    assert_eq!(set["action"]["parameters"]["skill_id"], "20");
    let filter = exam["filter"].to_string();
    assert!(
        filter.contains("\"key\":\"20\",\"operator\":\"EQ\",\"value\":null"),
        "{filter}"
    );
    let training = &exam["quality_control"]["training_requirement"];
    assert_eq!(training["training_pool_id"], "30");
    assert_eq!(training["training_passing_skill_value"], 50);
}

#[test]
fn a_training_takes_as_many_pages_as_it_has_tasks_for() {
    let campaign = cells();
    let training = wire(compile::training(&spec(&campaign, Kind::Training)).unwrap());
    assert_eq!(training["training_tasks_in_task_suite_count"], 4);
    assert_eq!(training["task_suites_required_to_pass"], 2);
    assert_eq!(
        training["metadata"]["quorate"],
        json!(["quorate round cells/1"])
    );
}

#[test]
fn tolokas_own_files_are_sent_as_they_are_but_for_what_ties_them_together() {
    let campaign = clickbait();
    assert_eq!(campaign.labels, ["clickbait", "notclickbait"]);
    assert_eq!((campaign.overlap, campaign.images_per_page), (3, 4));
    assert_eq!(campaign.fields, ["headline"]);
    assert_eq!(campaign.answer_field, "category");

    let file: Value = serde_json::from_str(include_str!("data/pool.json")).unwrap();
    let spec = PoolSpec {
        exam_skill: None,
        ..spec(&campaign, Kind::Real)
    };
    let pool = wire(compile::pool(&spec).unwrap());
    for kept in [
        "private_name",
        "mixer_config",
        "defaults",
        "assignment_max_duration_seconds",
    ] {
        assert_eq!(pool[kept], file[kept], "{kept}");
    }
    assert_eq!(
        pool["quality_control"]["configs"],
        file["quality_control"]["configs"]
    );
    let training = &pool["quality_control"]["training_requirement"];
    assert_eq!(
        *training,
        json!({"training_pool_id": "30", "training_passing_skill_value": 90})
    );

    let training = wire(compile::training(&spec).unwrap());
    assert_eq!(training["task_suites_required_to_pass"], 10);
    assert_eq!(training["project_id"], "10");
}
