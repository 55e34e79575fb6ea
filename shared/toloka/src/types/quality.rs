//! Quality control: what is counted about a worker's answers, and what happens then.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Operator, Values, open_enum::open_enum};

/// The quality rules of a pool or project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityControl {
    /// The training that a worker must have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_requirement: Option<TrainingRequirement>,
    /// How often captchas come; the platform no longer uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captcha_frequency: Option<CaptchaFrequency>,
    /// Asks more workers about some tasks only ("selective majority vote").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoints_config: Option<CheckpointsConfig>,
    /// The collectors with their rules.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub configs: Vec<QualityConfig>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// How often captchas come.
    CaptchaFrequency {
        /// Seldom.
        Low = "LOW",
        /// Now and then.
        Medium = "MEDIUM",
        /// Often.
        High = "HIGH",
    }
}

/// The training that a worker must have passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingRequirement {
    /// The training.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub training_pool_id: String,
    /// The least result, 0–100. Required by the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_passing_skill_value: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Asks more workers about some tasks only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointsConfig {
    /// For real tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_settings: Option<CheckpointSettings>,
    /// For control tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden_settings: Option<CheckpointSettings>,
    /// For training tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_settings: Option<CheckpointSettings>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Which tasks are asked more often, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointSettings {
    /// How many workers are asked about such a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_overlap: Option<u32>,
    /// Which tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_distribution_function: Option<Distribution>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// How often a kind of task comes, by the number of tasks that the worker has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Where the worker's tasks are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<DistributionScope>,
    /// How the tasks are spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<DistributionType>,
    /// How far back they are counted, 1–365 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u32>,
    /// The ranges.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub intervals: Vec<DistributionInterval>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Where the tasks are counted that a worker has done.
    DistributionScope {
        /// In the pool.
        Pool = "POOL",
        /// In all pools of the project.
        Project = "PROJECT",
    }
}

open_enum! {
    /// How tasks of a kind are spread over those that a worker does.
    DistributionType {
        /// Evenly.
        Uniform = "UNIFORM",
    }
}

/// How often a kind of task comes within a range of tasks done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DistributionInterval {
    /// The first task of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The last task of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Every how manieth task is of that kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One collector with its rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityConfig {
    /// What is counted.
    pub collector_config: CollectorConfig,
    /// What happens; each rule on its own.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub rules: Vec<Rule>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// What is counted about a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectorConfig {
    /// What is counted.
    #[serde(rename = "type")]
    pub kind: CollectorType,
    /// Given by the platform; collectors with the same one share their counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Settings of the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<CollectorParameters>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What is counted about a worker.
    CollectorType {
        /// Answers to tasks whose solution is known.
        GoldenSet = "GOLDEN_SET",
        /// Agreement with the majority.
        MajorityVote = "MAJORITY_VOTE",
        /// Captchas; the platform no longer uses them.
        Captcha = "CAPTCHA",
        /// Money earned in the pool within a day.
        Income = "INCOME",
        /// Task suites skipped in a row.
        SkippedInRowAssignments = "SKIPPED_IN_ROW_ASSIGNMENTS",
        /// Accepted task suites.
        AnswerCount = "ANSWER_COUNT",
        /// Answers that came too fast.
        AssignmentSubmitTime = "ASSIGNMENT_SUBMIT_TIME",
        /// Reviewed task suites.
        AcceptanceRate = "ACCEPTANCE_RATE",
        /// The review of one task suite.
        AssignmentsAssessment = "ASSIGNMENTS_ASSESSMENT",
        /// A worker who lost access to the pool.
        UsersAssessment = "USERS_ASSESSMENT",
        /// Made by the platform for trainings.
        Training = "TRAINING",
    }
}

/// Settings of a collector. Which ones apply depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectorParameters {
    /// Count over so many last answers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_size: Option<u32>,
    /// `MAJORITY_VOTE`: how many equal answers are a majority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_threshold: Option<u32>,
    /// `ASSIGNMENT_SUBMIT_TIME`: faster than this is too fast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_submit_threshold_seconds: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One rule: when all conditions hold, do the action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// All must hold.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub conditions: Vec<RuleCondition>,
    /// What happens.
    pub action: Action,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One condition over a collector's counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleCondition {
    /// Which count.
    pub key: RuleKey,
    /// How it is compared.
    pub operator: Operator,
    /// With what: a number, or a word for `assessment_event`, `pool_access_revoked_reason`.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub value: Value,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What a collector offers to its rules.
    RuleKey {
        /// Answers to tasks with a known solution, or votes that were counted.
        TotalAnswersCount = "total_answers_count",
        /// Percent of them that are right.
        CorrectAnswersRate = "correct_answers_rate",
        /// Percent of them that are wrong.
        IncorrectAnswersRate = "incorrect_answers_rate",
        /// Answers to control tasks, training tasks left out.
        GoldenSetAnswersCount = "golden_set_answers_count",
        /// Percent of them that are right.
        GoldenSetCorrectAnswersRate = "golden_set_correct_answers_rate",
        /// Percent of them that are wrong.
        GoldenSetIncorrectAnswersRate = "golden_set_incorrect_answers_rate",
        /// Captchas shown.
        StoredResultsCount = "stored_results_count",
        /// Percent of captchas solved.
        SuccessRate = "success_rate",
        /// Percent of captchas failed.
        FailRate = "fail_rate",
        /// Dollars earned in the pool within 24 hours.
        IncomeSumForLast24Hours = "income_sum_for_last_24_hours",
        /// Task suites skipped in a row.
        SkippedInRowCount = "skipped_in_row_count",
        /// Accepted task suites.
        AssignmentsAcceptedCount = "assignments_accepted_count",
        /// Submitted task suites.
        TotalSubmittedCount = "total_submitted_count",
        /// Task suites that were submitted too fast.
        FastSubmittedCount = "fast_submitted_count",
        /// Reviewed task suites.
        TotalAssignmentsCount = "total_assignments_count",
        /// Percent of them that were accepted.
        AcceptedAssignmentsRate = "accepted_assignments_rate",
        /// Percent of them that were rejected.
        RejectedAssignmentsRate = "rejected_assignments_rate",
        /// Task suites that wait for review.
        PendingAssignmentsCount = "pending_assignments_count",
        /// Accepted task suites.
        AcceptedAssignmentsCount = "accepted_assignments_count",
        /// Rejected task suites.
        RejectedAssignmentsCount = "rejected_assignments_count",
        /// What a review decided: `ACCEPT`, `ACCEPT_AFTER_REJECT` or `REJECT`.
        AssessmentEvent = "assessment_event",
        /// Why a worker lost access: `SKILL_CHANGE` or `RESTRICTION`.
        PoolAccessRevokedReason = "pool_access_revoked_reason",
        /// The skill that changed.
        SkillId = "skill_id",
        /// Task suites of a training that were submitted.
        SubmittedAssignmentsCount = "submitted_assignments_count",
        /// Whether a training has another task suite for the worker.
        NextAssignmentAvailable = "next_assignment_available",
    }
}

/// What a rule does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What it does.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// With which settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<ActionParameters>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What a rule does.
    ActionType {
        /// Keeps the worker out of the pool, the project or all projects for a while or for good.
        RestrictionV2 = "RESTRICTION_V2",
        /// The same with a duration in days; an old form.
        Restriction = "RESTRICTION",
        /// Sets a skill to a count of the collector.
        SetSkillFromOutputField = "SET_SKILL_FROM_OUTPUT_FIELD",
        /// Sets a skill to a fixed value.
        SetSkill = "SET_SKILL",
        /// Asks more or fewer workers.
        ChangeOverlap = "CHANGE_OVERLAP",
        /// Rejects everything of the worker that waits for review.
        RejectAllAssignments = "REJECT_ALL_ASSIGNMENTS",
        /// Accepts everything of the worker that waits for review.
        ApproveAllAssignments = "APPROVE_ALL_ASSIGNMENTS",
        /// Forgets the collector's counts; not documented further.
        CleanCollector = "CLEAN_COLLECTOR",
        /// Forgets the worker's assignments; not documented further.
        CleanAssignmentsHistory = "CLEAN_ASSIGNMENTS_HISTORY",
        /// Completes the pool; not documented further.
        SetPoolComplete = "SET_POOL_COMPLETE",
    }
}

/// Settings of an action. Which ones apply depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionParameters {
    /// Restrictions: where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<RestrictionScope>,
    /// `RESTRICTION_V2`: the unit of `duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_unit: Option<DurationUnit>,
    /// `RESTRICTION_V2`: how long; absent with `PERMANENT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u32>,
    /// `RESTRICTION`: how long; for good when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_days: Option<u32>,
    /// Restrictions: a note for the requester.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// `REJECT_ALL_ASSIGNMENTS`: what the worker is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_comment: Option<String>,
    /// `SET_SKILL…`: the skill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_id: Option<String>,
    /// `SET_SKILL`: the value, 0–100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_value: Option<u32>,
    /// `SET_SKILL_FROM_OUTPUT_FIELD`: the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_field: Option<RuleKey>,
    /// `CHANGE_OVERLAP`: how many more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<i32>,
    /// `CHANGE_OVERLAP`: whether a closed pool is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_pool: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Where a worker may not work.
    RestrictionScope {
        /// In one pool.
        Pool = "POOL",
        /// In one project.
        Project = "PROJECT",
        /// In all projects of the requester.
        AllProjects = "ALL_PROJECTS",
        /// Anywhere; set by the platform only.
        System = "SYSTEM",
    }
}

open_enum! {
    /// The unit of a restriction's duration.
    DurationUnit {
        /// Minutes.
        Minutes = "MINUTES",
        /// Hours.
        Hours = "HOURS",
        /// Days.
        Days = "DAYS",
        /// For good.
        Permanent = "PERMANENT",
    }
}
