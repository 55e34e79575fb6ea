//! What requesters may write into projects, pools and trainings: required fields, ranges, and things
//! that must exist. Every field that is refused is named by its path.
//!
//! Ranges follow the reference, except where published clients are known to send less:
//! overlaps of 0 for a kind of work that a pool has not, no limit on when a pool expires.

use std::collections::BTreeMap;

use quorate_toloka::types::{
    Action, ActionType, CheckpointsConfig, CollectorType, Decimal, Distribution, DurationUnit,
    DynamicOverlapConfig, FieldName, FieldSpec, FieldType, Filter, MixerConfig, Operator, Pool,
    PricingInterval, Project, QualityConfig, QualityControl, Rule, RuleKey, TaskSpec, Training,
    ViewKind,
};
use serde_json::Value;

use super::{projects, skills};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    model::ProjectRow,
    store::Db,
};

/// The highest price of a page: far above any real one, far below where sums overflow.
const MOST_DOLLARS: u32 = 10_000;

/// The most intervals, rules and parts of a filter: the reference's number for intervals.
const MOST_PARTS: usize = 10_000;

/// How deep a filter nests.
const MOST_DEPTH: usize = 32;

/// The refused fields of a form.
struct Check<'a> {
    db: &'a Db<'a>,
    who: &'a str,
    errors: FieldErrors,
}

impl<'a> Check<'a> {
    fn new(db: &'a Db<'a>, who: &'a str) -> Self {
        Self {
            db,
            who,
            errors: FieldErrors::new(),
        }
    }

    fn refuse(&mut self, path: &str, code: &str, message: impl Into<String>) {
        self.errors
            .insert(path.to_owned(), field_error(code, message));
    }

    fn required(&mut self, path: &str, missing: bool) {
        if missing {
            self.refuse(path, "VALUE_REQUIRED", "Value must be present");
        }
    }

    /// Whether a number that is there is within its range.
    fn range(&mut self, path: &str, value: Option<impl Into<i64>>, least: i64, most: i64) {
        let Some(value) = value.map(Into::into) else {
            return;
        };
        if value < least || value > most {
            let message = format!("Value must be between {least} and {most}");
            self.refuse(path, "VALUE_OUT_OF_BOUNDS", message);
        }
    }

    /// The same for a number that must be there.
    fn required_range(&mut self, path: &str, value: Option<impl Into<i64>>, least: i64, most: i64) {
        self.required(path, value.is_none());
        self.range(path, value, least, most);
    }

    fn price(&mut self, path: &str, price: Option<Decimal>) {
        let Some(price) = price.filter(|price| !price.is_zero()) else {
            return;
        };
        if price < Decimal::new(5, 3) || price > Decimal::from(MOST_DOLLARS) {
            let message = format!("A page costs 0.005 to {MOST_DOLLARS} dollars, or nothing");
            self.refuse(path, "VALUE_OUT_OF_BOUNDS", message);
        }
    }

    fn exists(&mut self, path: &str, what: &str, id: &str, found: bool) {
        if !id.is_empty() && !found {
            let message = format!("There is no {what} `{id}`");
            self.refuse(path, "ENTITY_DOES_NOT_EXIST", message);
        }
    }

    /// A skill of the requester that must be named.
    fn skill(&mut self, path: &str, id: Option<&str>) {
        let id = id.unwrap_or_default();
        self.required(path, id.is_empty());
        let found = skills::find(self.db, self.who, id).is_ok();
        self.exists(path, "skill", id, found);
    }

    /// A word that must be known, if it is there.
    fn word(&mut self, path: &str, word: Option<(&str, bool)>) {
        if let Some((word, false)) = word {
            let message = format!("There is no `{word}` here");
            self.refuse(path, "UNKNOWN_ENUM_VALUE", message);
        }
    }

    fn size(&mut self, path: &str, count: usize) {
        if count > MOST_PARTS {
            let message = format!("There may be {MOST_PARTS}, not {count}");
            self.refuse(path, "ARRAY_SIZE_GREATER_THAN_MAX", message);
        }
    }

    fn finish(self) -> Result<()> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Error::validation(self.errors))
        }
    }
}

// --- Projects.

/// Refuses a project whose fields are wrong.
pub(super) fn check_project(db: &Db<'_>, who: &str, form: &Project) -> Result<()> {
    let mut check = Check::new(db, who);
    check.required("public_name", form.public_name.trim().is_empty());
    check.required("task_spec", form.task_spec.is_none());
    let issuing = form.assignments_issuing_type.as_ref();
    let issuing = issuing.map(|kind| (kind.as_str(), kind.is_known()));
    check.word("assignments_issuing_type", issuing);
    let active = form.max_active_assignments_count;
    check.range("max_active_assignments_count", active, 1, 1_000_000);
    if let Some(spec) = &form.task_spec {
        check_spec(&mut check, spec);
    }
    if let Some(quality) = &form.quality_control {
        check_quality(&mut check, quality);
    }
    check.finish()
}

fn check_spec(check: &mut Check<'_>, spec: &TaskSpec) {
    for (place, fields, is_input) in [
        ("input_spec", &spec.input_spec, true),
        ("output_spec", &spec.output_spec, false),
    ] {
        check_fields(check, place, fields, is_input);
    }
    let Some(view) = &spec.view_spec else { return };
    let kind = Some((view.kind.as_str(), view.kind.is_known()));
    check.word("task_spec.view_spec.type", kind);
    let is_json = |text: &String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if view.kind == ViewKind::Tb && view.config.as_ref().is_some_and(|text| !is_json(text)) {
        let message = "The configuration of the page is JSON as text";
        check.refuse("task_spec.view_spec.config", "JSON_EXPECTED", message);
    }
}

fn check_fields(
    check: &mut Check<'_>,
    place: &str,
    fields: &BTreeMap<String, FieldSpec>,
    is_input: bool,
) {
    for (name, field) in fields {
        let path = |key: &str| format!("task_spec.{place}.{name}.{key}");
        let kind = Some((field.kind.as_str(), field.kind.is_known()));
        check.word(&path("type"), kind);
        if is_input && matches!(field.kind, FieldType::File | FieldType::ArrayFile) {
            let message = "Files come from workers; an input field is a `url`";
            check.refuse(&path("type"), "VALUE_NOT_ALLOWED", message);
        }
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
        let (least, most) = (number(&field.min_value), number(&field.max_value));
        let crossed = [
            ("min_length", crosses(field.min_length, field.max_length)),
            ("min_size", crosses(field.min_size, field.max_size)),
            ("min_value", crosses(least, most)),
        ];
        for (key, crossed) in crossed {
            if crossed {
                let message = "The least is greater than the most";
                check.refuse(&path(key), "VALUE_OUT_OF_BOUNDS", message);
            }
        }
    }
}

fn crosses<T: PartialOrd>(least: Option<T>, most: Option<T>) -> bool {
    matches!((least, most), (Some(least), Some(most)) if least > most)
}

/// The active project that a form names.
fn project_of(db: &Db<'_>, who: &str, id: &str) -> Result<Option<ProjectRow>> {
    match projects::find(db, who, id) {
        Ok(project) if project.status == "ACTIVE" => Ok(Some(project)),
        Ok(_) => Err(Error::conflict(
            "PROJECT_INAPPROPRIATE_STATUS",
            format!("Project {id} is archived"),
        )),
        Err(_) => Ok(None),
    }
}

// --- Pools.

/// Refuses a pool whose fields are wrong; returns its project.
pub(super) fn check_pool(db: &Db<'_>, who: &str, form: &Pool) -> Result<ProjectRow> {
    let project = project_of(db, who, &form.project_id)?;
    let mut check = Check::new(db, who);
    check.required("project_id", form.project_id.is_empty());
    check.exists("project_id", "project", &form.project_id, project.is_some());
    check.required("private_name", form.private_name.trim().is_empty());
    check.required("will_expire", form.will_expire.is_none());
    check_money(&mut check, form);
    let seconds = form.assignment_max_duration_seconds;
    check.required_range("assignment_max_duration_seconds", seconds, 5, 2_147_483_647);
    let delay = form.auto_close_after_complete_delay_seconds;
    check.range("auto_close_after_complete_delay_seconds", delay, 0, 259_200);
    check.range("auto_accept_period_day", form.auto_accept_period_day, 1, 21);
    check.range("priority", form.priority, -100, 100);
    check_defaults(&mut check, form);
    if let Some(mixer) = &form.mixer_config {
        check_mixer(&mut check, mixer);
    }
    if let Some(filter) = &form.filter {
        check_filter(&mut check, filter, MOST_DEPTH);
    }
    if let Some(config) = &form.dynamic_overlap_config {
        let spec = project.as_ref().map(ProjectRow::spec);
        check_dynamic_overlap(&mut check, config, &spec.unwrap_or_default());
    }
    if let Some(balance) = &form.speed_quality_balance {
        let kind = balance
            .kind
            .as_ref()
            .map(|kind| (kind.as_str(), kind.is_known()));
        check.word("speed_quality_balance.type", kind);
        check.range("speed_quality_balance.percent", balance.percent, 10, 100);
        check.range("speed_quality_balance.count", balance.count, 0, 100);
    }
    if let Some(quality) = &form.quality_control {
        check_quality(&mut check, quality);
    }
    check.finish()?;
    project.ok_or_else(|| Error::not_found("project", &form.project_id))
}

/// Refuses a priority that is none.
pub(super) fn check_priority(priority: Option<i32>) -> Result<()> {
    match priority {
        Some(priority) if !(-100..=100).contains(&priority) => Err(Error::field(
            "priority",
            "VALUE_OUT_OF_BOUNDS",
            "Value must be between -100 and 100",
        )),
        _ => Ok(()),
    }
}

/// The price of a page, and the prices by skill.
fn check_money(check: &mut Check<'_>, form: &Pool) {
    let path = "reward_per_assignment";
    check.required(path, form.reward_per_assignment.is_none());
    check.price(path, form.reward_per_assignment);
    let Some(pricing) = &form.dynamic_pricing_config else {
        return;
    };
    let kind = pricing
        .kind
        .as_ref()
        .map(|kind| (kind.as_str(), kind.is_known()));
    check.word("dynamic_pricing_config.type", kind);
    check.skill(
        "dynamic_pricing_config.skill_id",
        pricing.skill_id.as_deref(),
    );
    let intervals = &pricing.intervals;
    check.size("dynamic_pricing_config.intervals", intervals.len());
    let ends = |one: &PricingInterval| (one.from.unwrap_or(0), one.to.unwrap_or(100));
    let mut sorted: Vec<(i64, i64)> = intervals.iter().map(ends).collect();
    sorted.sort_unstable();
    let overlap = sorted
        .windows(2)
        .any(|two| matches!(two, [(_, to), (from, _)] if from <= to));
    if overlap || sorted.iter().any(|(from, to)| from > to) {
        let message = "Intervals must not overlap, nor end before they begin";
        check.refuse("dynamic_pricing_config.intervals", "INVALID_VALUE", message);
    }
    for (index, interval) in intervals.iter().enumerate() {
        let path = format!("dynamic_pricing_config.intervals.{index}.reward_per_assignment");
        check.price(&path, interval.reward_per_assignment);
    }
}

/// How many workers a task gets that does not say.
fn check_defaults(check: &mut Check<'_>, form: &Pool) {
    check.required("defaults", form.defaults.is_none());
    let Some(defaults) = &form.defaults else {
        return;
    };
    let suites = defaults.default_overlap_for_new_task_suites;
    check.range(
        "defaults.default_overlap_for_new_task_suites",
        suites,
        0,
        30_000,
    );
    let tasks = defaults.default_overlap_for_new_tasks;
    check.range("defaults.default_overlap_for_new_tasks", tasks, 0, 30_000);
}

/// How many tasks a page has.
fn check_mixer(check: &mut Check<'_>, mixer: &MixerConfig) {
    for (name, count) in [
        ("real_tasks_count", Some(mixer.real_tasks_count)),
        ("golden_tasks_count", Some(mixer.golden_tasks_count)),
        ("training_tasks_count", Some(mixer.training_tasks_count)),
        ("min_real_tasks_count", mixer.min_real_tasks_count),
        ("min_golden_tasks_count", mixer.min_golden_tasks_count),
        ("min_training_tasks_count", mixer.min_training_tasks_count),
    ] {
        check.range(&format!("mixer_config.{name}"), count, 0, 500);
    }
    let delay = mixer.force_last_assignment_delay_seconds;
    check.range(
        "mixer_config.force_last_assignment_delay_seconds",
        delay,
        0,
        86_400,
    );
    for (name, function) in [
        (
            "golden_task_distribution_function",
            &mixer.golden_task_distribution_function,
        ),
        (
            "training_task_distribution_function",
            &mixer.training_task_distribution_function,
        ),
    ] {
        if let Some(function) = function {
            check_distribution(check, &format!("mixer_config.{name}"), function);
        }
    }
}

fn check_distribution(check: &mut Check<'_>, path: &str, function: &Distribution) {
    let scope = function
        .scope
        .as_ref()
        .map(|scope| (scope.as_str(), scope.is_known()));
    check.required(&format!("{path}.scope"), scope.is_none());
    check.word(&format!("{path}.scope"), scope);
    let spread = function
        .distribution
        .as_ref()
        .map(|one| (one.as_str(), one.is_known()));
    check.word(&format!("{path}.distribution"), spread);
    check.required_range(&format!("{path}.window_days"), function.window_days, 1, 365);
    check.size(&format!("{path}.intervals"), function.intervals.len());
    for (index, interval) in function.intervals.iter().enumerate() {
        let at = |key: &str| format!("{path}.intervals.{index}.{key}");
        check.range(&at("from"), interval.from, 0, 1_000_000);
        check.range(&at("to"), interval.to, 0, 1_000_000);
        check.required_range(&at("frequency"), interval.frequency, 1, 10_000_000);
        if crosses(interval.from, interval.to) {
            let message = "The interval ends before it begins";
            check.refuse(&at("from"), "VALUE_OUT_OF_BOUNDS", message);
        }
    }
}

fn check_dynamic_overlap(check: &mut Check<'_>, config: &DynamicOverlapConfig, spec: &TaskSpec) {
    let path = |key: &str| format!("dynamic_overlap_config.{key}");
    let kind = config
        .kind
        .as_ref()
        .map(|kind| (kind.as_str(), kind.is_known()));
    check.word(&path("type"), kind);
    check.required_range(&path("max_overlap"), config.max_overlap, 1, 30_000);
    check.required(&path("min_confidence"), config.min_confidence.is_none());
    let share = Decimal::ZERO..=Decimal::ONE;
    if config
        .min_confidence
        .is_some_and(|least| !share.contains(&least))
    {
        let message = "Value must be between 0 and 1";
        check.refuse(&path("min_confidence"), "VALUE_OUT_OF_BOUNDS", message);
    }
    check.skill(
        &path("answer_weight_skill_id"),
        config.answer_weight_skill_id.as_deref(),
    );
    let fields = config.fields.as_deref().unwrap_or_default();
    check.required(&path("fields"), fields.is_empty());
    let known = |field: &FieldName| {
        spec.output_spec.is_empty() || spec.output_spec.contains_key(&field.name)
    };
    for (index, field) in fields.iter().enumerate().filter(|(_, field)| !known(field)) {
        let message = format!("The project has no output field `{}`", field.name);
        check.refuse(
            &path(&format!("fields.{index}.name")),
            "VALUE_NOT_ALLOWED",
            message,
        );
    }
}

/// Whether a filter can be understood. What it names need not exist: nobody has a skill that nobody
/// has.
fn check_filter(check: &mut Check<'_>, filter: &Filter, depth: usize) {
    if depth == 0 {
        let message = format!("A filter nests at most {MOST_DEPTH} deep");
        return check.refuse("filter", "INVALID_VALUE", message);
    }
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            check.size("filter", parts.len());
            for part in parts.iter().take(MOST_PARTS) {
                check_filter(check, part, depth - 1);
            }
        }
        Filter::Condition(condition) => {
            let operator = (condition.operator.as_str(), condition.operator.is_known());
            check.word("filter.operator", Some(operator));
            let category = (condition.category.as_str(), condition.category.is_known());
            check.word("filter.category", Some(category));
        }
    }
}

// --- Quality control.

/// Checks the rules of a pool or project.
fn check_quality(check: &mut Check<'_>, quality: &QualityControl) {
    if let Some(required) = &quality.training_requirement {
        let path = "quality_control.training_requirement.training_pool_id";
        let id = &required.training_pool_id;
        check.required(path, id.is_empty());
        let found = check.db.pool_of(check.who, id);
        check.exists(
            path,
            "training",
            id,
            found.is_ok_and(|pool| pool.is_training()),
        );
        let path = "quality_control.training_requirement.training_passing_skill_value";
        check.range(path, required.training_passing_skill_value, 0, 100);
    }
    if let Some(config) = &quality.checkpoints_config {
        check_checkpoints(check, config);
    }
    check.size("quality_control.configs", quality.configs.len());
    for (index, config) in quality.configs.iter().take(MOST_PARTS).enumerate() {
        check_collector(check, &format!("quality_control.configs.{index}"), config);
    }
}

fn check_checkpoints(check: &mut Check<'_>, config: &CheckpointsConfig) {
    for (name, settings) in [
        ("real_settings", &config.real_settings),
        ("golden_settings", &config.golden_settings),
        ("training_settings", &config.training_settings),
    ] {
        let Some(settings) = settings else { continue };
        let path = format!("quality_control.checkpoints_config.{name}");
        let target = settings.target_overlap;
        check.required_range(&format!("{path}.target_overlap"), target, 1, 30_000);
        let function = settings.task_distribution_function.as_ref();
        let at = format!("{path}.task_distribution_function");
        check.required(&at, function.is_none());
        if let Some(function) = function {
            check_distribution(check, &at, function);
        }
    }
}

fn check_collector(check: &mut Check<'_>, path: &str, config: &QualityConfig) {
    let collector = &config.collector_config;
    let kind = (collector.kind.as_str(), collector.kind.is_known());
    check.word(&format!("{path}.collector_config.type"), Some(kind));
    if !collector.kind.is_known() {
        return;
    }
    let parameters = collector.parameters.clone().unwrap_or_default();
    let at = |key: &str| format!("{path}.collector_config.parameters.{key}");
    check.range(&at("history_size"), parameters.history_size, 1, 1_000_000);
    match collector.kind {
        CollectorType::MajorityVote => {
            let votes = parameters.answer_threshold;
            check.required_range(&at("answer_threshold"), votes, 1, 30_000);
        }
        CollectorType::AssignmentSubmitTime => {
            let seconds = parameters.fast_submit_threshold_seconds;
            let at = at("fast_submit_threshold_seconds");
            check.required_range(&at, seconds, 1, 2_147_483_647);
        }
        _ => {}
    }
    check.size(&format!("{path}.rules"), config.rules.len());
    for (index, rule) in config.rules.iter().take(MOST_PARTS).enumerate() {
        check_rule(
            check,
            &format!("{path}.rules.{index}"),
            rule,
            &collector.kind,
        );
    }
}

fn check_rule(check: &mut Check<'_>, path: &str, rule: &Rule, collector: &CollectorType) {
    check.required(&format!("{path}.conditions"), rule.conditions.is_empty());
    check.size(&format!("{path}.conditions"), rule.conditions.len());
    let offered = offers(collector);
    for (index, condition) in rule.conditions.iter().take(MOST_PARTS).enumerate() {
        let at = |key: &str| format!("{path}.conditions.{index}.{key}");
        if !offered.contains(&condition.key) {
            let message = format!("{collector} does not count `{}`", condition.key);
            check.refuse(&at("key"), "VALUE_NOT_ALLOWED", message);
        }
        use Operator::{Eq, Gt, Gte, Lt, Lte, Ne};
        if !matches!(condition.operator, Eq | Ne | Gt | Gte | Lt | Lte) {
            let message = format!("Rules do not compare with `{}`", condition.operator);
            check.refuse(&at("operator"), "UNKNOWN_ENUM_VALUE", message);
        }
        check.required(&at("value"), condition.value.is_null());
    }
    check_action(check, &format!("{path}.action"), &rule.action, offered);
}

/// What a collector's rules may ask for.
fn offers(collector: &CollectorType) -> &'static [RuleKey] {
    use {CollectorType as Type, RuleKey as Key};
    match collector {
        Type::GoldenSet => &[
            Key::TotalAnswersCount,
            Key::CorrectAnswersRate,
            Key::IncorrectAnswersRate,
            Key::GoldenSetAnswersCount,
            Key::GoldenSetCorrectAnswersRate,
            Key::GoldenSetIncorrectAnswersRate,
        ],
        Type::MajorityVote => &[
            Key::TotalAnswersCount,
            Key::CorrectAnswersRate,
            Key::IncorrectAnswersRate,
        ],
        Type::Captcha => &[Key::StoredResultsCount, Key::SuccessRate, Key::FailRate],
        Type::Income => &[Key::IncomeSumForLast24Hours],
        Type::SkippedInRowAssignments => &[Key::SkippedInRowCount],
        Type::AnswerCount => &[Key::AssignmentsAcceptedCount],
        Type::AssignmentSubmitTime => &[Key::TotalSubmittedCount, Key::FastSubmittedCount],
        Type::AcceptanceRate => &[
            Key::TotalAssignmentsCount,
            Key::AcceptedAssignmentsRate,
            Key::RejectedAssignmentsRate,
        ],
        Type::AssignmentsAssessment => &[
            Key::PendingAssignmentsCount,
            Key::AcceptedAssignmentsCount,
            Key::RejectedAssignmentsCount,
            Key::AssessmentEvent,
        ],
        Type::UsersAssessment => &[Key::PoolAccessRevokedReason, Key::SkillId],
        Type::Training => &[
            Key::SubmittedAssignmentsCount,
            Key::TotalAnswersCount,
            Key::CorrectAnswersRate,
            Key::IncorrectAnswersRate,
            Key::NextAssignmentAvailable,
        ],
        Type::Unknown(_) => &[],
    }
}

fn check_action(check: &mut Check<'_>, path: &str, action: &Action, offered: &[RuleKey]) {
    let kind = (action.kind.as_str(), action.kind.is_known());
    check.word(&format!("{path}.type"), Some(kind));
    let parameters = action.parameters.clone().unwrap_or_default();
    let at = |key: &str| format!("{path}.parameters.{key}");
    match action.kind {
        ActionType::RestrictionV2 | ActionType::Restriction => {
            let scope = parameters
                .scope
                .as_ref()
                .map(|one| (one.as_str(), one.is_known()));
            check.required(&at("scope"), scope.is_none());
            check.word(&at("scope"), scope);
            let unit = parameters.duration_unit.as_ref();
            check.word(
                &at("duration_unit"),
                unit.map(|one| (one.as_str(), one.is_known())),
            );
            let lasting = unit.is_some_and(|unit| *unit != DurationUnit::Permanent);
            check.required(&at("duration"), lasting && parameters.duration.is_none());
            check.range(&at("duration"), parameters.duration, 1, 1_000_000);
            check.range(&at("duration_days"), parameters.duration_days, 1, 1_000_000);
        }
        ActionType::SetSkill => {
            check.skill(&at("skill_id"), parameters.skill_id.as_deref());
            check.required_range(&at("skill_value"), parameters.skill_value, 0, 100);
        }
        ActionType::SetSkillFromOutputField => {
            check.skill(&at("skill_id"), parameters.skill_id.as_deref());
            let field = parameters.from_field.as_ref();
            check.required(&at("from_field"), field.is_none());
            // Some pages of the reference call the rate of wrong answers so.
            let known =
                |field: &RuleKey| offered.contains(field) || field.as_str() == "wrong_answers_rate";
            if let Some(field) = field.filter(|field| !known(field)) {
                let message = format!("The collector does not count `{field}`");
                check.refuse(&at("from_field"), "VALUE_NOT_ALLOWED", message);
            }
        }
        ActionType::ChangeOverlap => {
            check.required_range(&at("delta"), parameters.delta, -30_000, 30_000);
        }
        _ => {}
    }
}

// --- Trainings.

/// Refuses a training whose fields are wrong; returns its project.
pub(super) fn check_training(db: &Db<'_>, who: &str, form: &Training) -> Result<ProjectRow> {
    let project = project_of(db, who, &form.project_id)?;
    let mut check = Check::new(db, who);
    check.required("project_id", form.project_id.is_empty());
    check.exists("project_id", "project", &form.project_id, project.is_some());
    check.required("private_name", form.private_name.trim().is_empty());
    let count = form.training_tasks_in_task_suite_count;
    check.required_range("training_tasks_in_task_suite_count", count, 0, 500);
    let suites = form.task_suites_required_to_pass;
    check.range("task_suites_required_to_pass", suites, 0, 500);
    let days = form.retry_training_after_days;
    check.range("retry_training_after_days", days, 1, 36_500);
    let seconds = form.assignment_max_duration_seconds;
    check.range("assignment_max_duration_seconds", seconds, 5, 2_147_483_647);
    check.finish()?;
    project.ok_or_else(|| Error::not_found("project", &form.project_id))
}
