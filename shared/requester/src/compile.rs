//! Campaigns in the terms of the Toloka API.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::campaign::Campaign;
use quorate_core::ports::PoolSpec;
use quorate_toloka::filter;
use quorate_toloka::template::{Choice, Classification, Subject};
use quorate_toloka::types::{
    Defaults, FieldSpec, FieldType, Filter, FilterCategory, IssuingType, MixerConfig, Operator,
    Pool, Project, QualityConfig, QualityControl, Time, Training, TrainingRequirement,
};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::IMAGE_ID;

/// The key of a training's metadata that holds its marker.
pub const MARKER: &str = "quorate";

/// How long a pool may stay open.
const LIFETIME: Duration = Duration::from_secs(180 * 86_400);
/// Up to as many labels are shown as buttons in a row.
const BUTTONS: usize = 5;

/// The project of a campaign.
///
/// # Errors
/// If the campaign's `project.json` is no project.
pub fn project(campaign: &Campaign, marker: &str) -> Result<Project, String> {
    let mut project = match &campaign.toloka {
        Some(files) => document("project.json", &files.project)?,
        None => native_project(campaign),
    };
    project.private_comment = Some(marker.to_owned());
    let id = FieldSpec {
        kind: FieldType::String,
        required: Some(false),
        hidden: Some(true),
        ..FieldSpec::default()
    };
    project
        .task_spec
        .get_or_insert_default()
        .input_spec
        .insert(IMAGE_ID.to_owned(), id);
    Ok(project)
}

fn native_project(campaign: &Campaign) -> Project {
    let subject = if campaign.takes_rows() {
        Subject::texts(campaign.fields.clone())
    } else {
        Subject::image("image")
    };
    let choice = if campaign.labels.len() > BUTTONS {
        Choice::Radio
    } else {
        Choice::Buttons
    };
    let page = campaign.labels.iter().fold(
        Classification::new(subject, campaign.answer_field.as_str())
            .choice(choice)
            .question(campaign.question.as_str())
            .hint("Choose one answer"),
        |page, label| page.label(label.as_str(), campaign.title_of(label)),
    );
    Project {
        public_name: campaign.title.clone(),
        public_description: Some(campaign.question.clone()),
        public_instructions: Some(campaign.instructions.clone()),
        task_spec: Some(page.task_spec()),
        assignments_issuing_type: Some(IssuingType::Automated),
        ..Project::default()
    }
}

/// The pool of a round.
///
/// # Errors
/// If the campaign's `pool.json` is no pool.
pub fn pool(spec: &PoolSpec<'_>) -> Result<Pool, String> {
    let campaign = spec.campaign;
    let mut pool = match &campaign.toloka {
        Some(files) => document("pool.json", &files.pool)?,
        None => native_pool(spec),
    };
    pool.project_id = spec.project.to_owned();
    pool.private_comment = Some(spec.marker.clone());
    pool.will_expire.get_or_insert_with(|| expiry(spec));
    pool.reward_per_assignment = Some(campaign.reward_per_page);
    if let (Some(mixer), false) = (&mut pool.mixer_config, spec.golden) {
        mixer.golden_tasks_count = 0;
        mixer.min_golden_tasks_count = None;
    }
    if let Some(skill) = spec.exam_skill {
        let passing = campaign.exam.passing_accuracy;
        let passed = Filter::condition(FilterCategory::Skill, skill, Operator::Gte, passing);
        let mut parts = vec![passed];
        parts.extend(pool.filter.take());
        pool.filter = Some(Filter::And(parts));
    }
    require_training(spec, &mut pool);
    if campaign.budget.is_some() {
        // What a page costs is known, how many there can be only if each is full.
        set_least_images(&mut pool, campaign.images_per_page);
    }
    Ok(pool)
}

/// No page of `pool` has fewer images: 1 if the last images of a worker may make a page however few
/// they are, which is so unless the pool says otherwise.
#[must_use]
pub fn least_images(pool: &Pool) -> u32 {
    let mixer = pool.mixer_config.as_ref();
    let strict = mixer.filter(|mixer| mixer.force_last_assignment == Some(false));
    strict.map_or(1, |mixer| {
        let full = mixer.real_tasks_count;
        mixer
            .min_real_tasks_count
            .map_or(full, |least| least.min(full))
            .max(1)
    })
}

/// Lets no page of `pool` have fewer than `least` images, the last ones neither.
pub fn set_least_images(pool: &mut Pool, least: u32) {
    if let Some(mixer) = &mut pool.mixer_config {
        mixer.min_real_tasks_count = Some(least.min(mixer.real_tasks_count));
        mixer.force_last_assignment = Some(false);
    }
}

fn native_pool(spec: &PoolSpec<'_>) -> Pool {
    let campaign = spec.campaign;
    let mut rules = work_rules(campaign);
    if spec.golden {
        rules.extend(golden_rules(campaign, spec.quality_skill));
    }
    Pool {
        private_name: format!("{}: work", campaign.title),
        may_contain_adult_content: Some(false),
        assignment_max_duration_seconds: Some(campaign.seconds_per_page),
        auto_accept_solutions: Some(true),
        filter: languages(campaign),
        quality_control: Some(QualityControl {
            configs: rules,
            ..QualityControl::default()
        }),
        mixer_config: Some(MixerConfig {
            real_tasks_count: campaign.images_per_page,
            golden_tasks_count: campaign.golden.per_page,
            training_tasks_count: 0,
            // A worker who has seen every control task goes on without.
            min_golden_tasks_count: Some(0),
            force_last_assignment: Some(true),
            ..MixerConfig::default()
        }),
        defaults: Some(overlap(campaign.overlap)),
        ..Pool::default()
    }
}

/// The exam: a page of control tasks that sets the exam skill; nobody takes it twice.
#[must_use]
pub fn exam(spec: &PoolSpec<'_>) -> Pool {
    let campaign = spec.campaign;
    let page = campaign
        .exam
        .tasks_per_page
        .min(u32::try_from(spec.tasks).unwrap_or(u32::MAX))
        .max(1);
    let skill = spec.exam_skill.unwrap_or_default();
    let mut rules = fast_rules(campaign);
    rules.extend(quality(json!({
        "collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": page}},
        "rules": [{
            "conditions": [{"key": "total_answers_count", "operator": "GTE", "value": page}],
            "action": {
                "type": "SET_SKILL_FROM_OUTPUT_FIELD",
                "parameters": {"skill_id": skill, "from_field": "correct_answers_rate"},
            },
        }],
    })));
    let mut filters = vec![filter::skill(skill).is_missing()];
    filters.extend(languages(campaign));
    let mut pool = Pool {
        project_id: spec.project.to_owned(),
        private_name: format!("{}: exam", campaign.title),
        private_comment: Some(spec.marker.clone()),
        may_contain_adult_content: Some(false),
        will_expire: Some(expiry(spec)),
        reward_per_assignment: Some(Decimal::ZERO),
        assignment_max_duration_seconds: Some(campaign.seconds_per_page),
        auto_accept_solutions: Some(true),
        filter: Some(Filter::And(filters)),
        quality_control: Some(QualityControl {
            configs: rules,
            ..QualityControl::default()
        }),
        mixer_config: Some(MixerConfig {
            real_tasks_count: 0,
            golden_tasks_count: page,
            training_tasks_count: 0,
            ..MixerConfig::default()
        }),
        defaults: Some(overlap(campaign.overlap)),
        ..Pool::default()
    };
    require_training(spec, &mut pool);
    pool
}

/// The training.
///
/// # Errors
/// If the campaign's `exam.json` is no training.
pub fn training(spec: &PoolSpec<'_>) -> Result<Training, String> {
    let campaign = spec.campaign;
    let tasks = u32::try_from(spec.tasks).unwrap_or(u32::MAX).max(1);
    // The crowd makes full pages only: one that asks for more tasks than there are admits nobody.
    let fitting = |page: u32| page.clamp(1, tasks);
    let page = fitting(campaign.training.tasks_per_page);
    let pages = tasks.div_ceil(page).min(500);
    let file = campaign
        .toloka
        .as_ref()
        .and_then(|files| files.training.as_ref());
    let mut training = match file {
        Some(file) => {
            let mut training: Training = document("exam.json", file)?;
            training.training_tasks_in_task_suite_count =
                training.training_tasks_in_task_suite_count.map(fitting);
            training
        }
        None => Training {
            private_name: format!("{}: training", campaign.title),
            inherited_instructions: Some(true),
            may_contain_adult_content: Some(false),
            assignment_max_duration_seconds: Some(campaign.seconds_per_page),
            training_tasks_in_task_suite_count: Some(page),
            task_suites_required_to_pass: Some(pages),
            retry_training_after_days: Some(campaign.training.retry_after_days),
            ..Training::default()
        },
    };
    training.project_id = spec.project.to_owned();
    training
        .metadata
        .get_or_insert_default()
        .insert(MARKER.to_owned(), vec![spec.marker.clone()]);
    Ok(training)
}

/// Whoever works here must have passed the training: to the exam if there is one, else to the work.
fn require_training(spec: &PoolSpec<'_>, pool: &mut Pool) {
    let campaign = spec.campaign;
    let exam_guards = spec.kind != quorate_core::state::Kind::Exam && spec.exam_skill.is_some();
    let quality = pool.quality_control.get_or_insert_default();
    let asked = quality
        .training_requirement
        .take()
        .and_then(|asked| asked.training_passing_skill_value);
    let Some(training) = spec.training.filter(|_| !exam_guards || asked.is_some()) else {
        return;
    };
    quality.training_requirement = Some(TrainingRequirement {
        training_pool_id: training.to_owned(),
        training_passing_skill_value: asked
            .or_else(|| Some(percent(campaign.training.passing_accuracy))),
        ..TrainingRequirement::default()
    });
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a percentage, clamped"
)]
fn percent(value: f64) -> u32 {
    value.clamp(0.0, 100.0).round() as u32
}

fn overlap(overlap: u32) -> Defaults {
    Defaults {
        default_overlap_for_new_task_suites: Some(overlap),
        default_overlap_for_new_tasks: Some(overlap),
        ..Defaults::default()
    }
}

fn expiry(spec: &PoolSpec<'_>) -> Time {
    let millis = spec.now.plus(LIFETIME).0;
    Time::from(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
}

fn languages(campaign: &Campaign) -> Option<Filter> {
    let some = !campaign.languages.is_empty();
    some.then(|| {
        Filter::And(vec![
            filter::languages().includes_any(campaign.languages.clone()),
        ])
    })
}

fn document<T: DeserializeOwned>(file: &str, value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("{file}: {error}"))
}

/// A rule written as the API writes it; `None` only if this module has a typing error, which its
/// tests would show.
fn quality(rule: Value) -> Option<QualityConfig> {
    serde_json::from_value(rule).ok()
}

fn ban(scope: &str, days: Option<u32>, why: &str) -> Value {
    let mut parameters = BTreeMap::from([
        ("scope", json!(scope)),
        (
            "duration_unit",
            json!(if days.is_some() { "DAYS" } else { "PERMANENT" }),
        ),
        ("private_comment", json!(why)),
    ]);
    if let Some(days) = days {
        parameters.insert("duration", json!(days));
    }
    json!({"type": "RESTRICTION_V2", "parameters": parameters})
}

/// Pages sent in too fast ban.
fn fast_rules(campaign: &Campaign) -> Vec<QualityConfig> {
    let rules = campaign.quality;
    if rules.min_seconds_per_page == 0 || rules.max_fast_pages == 0 {
        return Vec::new();
    }
    let rule = json!({
        "collector_config": {
            "type": "ASSIGNMENT_SUBMIT_TIME",
            "parameters": {"fast_submit_threshold_seconds": rules.min_seconds_per_page, "history_size": 10},
        },
        "rules": [{
            "conditions": [{"key": "fast_submitted_count", "operator": "GTE", "value": rules.max_fast_pages}],
            "action": ban("PROJECT", None, "answers too fast"),
        }],
    });
    quality(rule).into_iter().collect()
}

/// What bans a worker in the work pool besides control tasks.
fn work_rules(campaign: &Campaign) -> Vec<QualityConfig> {
    let rules = campaign.quality;
    let mut configs = fast_rules(campaign);
    if rules.max_skips_in_row > 0 {
        configs.extend(quality(json!({
            "collector_config": {"type": "SKIPPED_IN_ROW_ASSIGNMENTS"},
            "rules": [{
                "conditions": [{"key": "skipped_in_row_count", "operator": "GTE", "value": rules.max_skips_in_row}],
                "action": ban("PROJECT", Some(1), "skips too many pages in a row"),
            }],
        })));
    }
    if rules.max_income_per_day > 0.0 {
        configs.extend(quality(json!({
            "collector_config": {"type": "INCOME"},
            "rules": [{
                "conditions": [{"key": "income_sum_for_last_24_hours", "operator": "GTE", "value": rules.max_income_per_day}],
                "action": ban("PROJECT", Some(1), "earned the most for a day"),
            }],
        })));
    }
    if rules.majority && campaign.overlap >= 3 {
        configs.extend(quality(json!({
            "collector_config": {
                "type": "MAJORITY_VOTE",
                "parameters": {"answer_threshold": campaign.overlap / 2 + 1, "history_size": 20},
            },
            "rules": [{
                "conditions": [
                    {"key": "total_answers_count", "operator": "GTE", "value": 10},
                    {"key": "correct_answers_rate", "operator": "LT", "value": 50},
                ],
                "action": ban("PROJECT", None, "leaves the majority too often"),
            }],
        })));
    }
    configs
}

/// Wrong answers to control tasks ban, and the rate of right ones is kept as a skill.
fn golden_rules(campaign: &Campaign, skill: Option<&str>) -> Option<QualityConfig> {
    let golden = campaign.golden;
    let enough =
        json!({"key": "golden_set_answers_count", "operator": "GTE", "value": golden.min_answers});
    let mut rules = vec![json!({
        "conditions": [
            enough,
            {"key": "golden_set_correct_answers_rate", "operator": "LT", "value": golden.min_accuracy},
        ],
        "action": ban("PROJECT", None, "too many wrong answers to control tasks"),
    })];
    if let Some(skill) = skill {
        rules.push(json!({
            "conditions": [enough],
            "action": {
                "type": "SET_SKILL_FROM_OUTPUT_FIELD",
                "parameters": {"skill_id": skill, "from_field": "golden_set_correct_answers_rate"},
            },
        }));
    }
    quality(json!({"collector_config": {"type": "GOLDEN_SET", "parameters": {}}, "rules": rules}))
}
