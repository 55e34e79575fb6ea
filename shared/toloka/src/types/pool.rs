//! Pools: who works on which tasks, for how much, and how well.

use serde::{Deserialize, Serialize};

use super::{
    Decimal, Distribution, Filter, Metadata, Owner, QualityControl, Time, Values,
    open_enum::open_enum,
};

/// A pool: a set of tasks of one project with its price, audience and quality rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The project whose tasks it holds.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub project_id: String,
    /// The name that the requester sees.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub private_name: String,
    /// A note for the requester only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// Replaces the project's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_description: Option<String>,
    /// Replaces the project's instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_instructions: Option<String>,
    /// Whether only workers who agreed to adult content may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_contain_adult_content: Option<bool>,
    /// When the pool closes whatever its state. Required when a pool is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub will_expire: Option<Time>,
    /// How long the pool stays open after its last answer, 0–259,200 s; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_close_after_complete_delay_seconds: Option<u32>,
    /// Dollars per task suite; 0 is allowed for exams. Required when a pool is created.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub reward_per_assignment: Option<Decimal>,
    /// Other prices for other skills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_pricing_config: Option<DynamicPricingConfig>,
    /// How long a worker may take, from 5 s. Required when a pool is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_max_duration_seconds: Option<u32>,
    /// Whether answers are accepted at once; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_accept_solutions: Option<bool>,
    /// Days (1–21) after which answers that nobody reviewed are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_accept_period_day: Option<u32>,
    /// The order of task suites; only without a mixer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignments_issuing_config: Option<IssuingConfig>,
    /// Who may work here; everybody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_control: Option<QualityControl>,
    /// How the platform makes task suites out of tasks; absent when the requester makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixer_config: Option<MixerConfig>,
    /// Ask more workers where answers disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_overlap_config: Option<DynamicOverlapConfig>,
    /// Read-only, for trainings: how long their skill lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_config: Option<TrainingConfig>,
    /// The overlap of tasks that name none. Required when a pool is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// Which pool of a project goes first, −100–100; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Leaves out workers by rating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_quality_balance: Option<SpeedQualityBalance>,
    /// Free-form labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Read-only.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PoolType>,
    /// Read-only: whether it is a training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<bool>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PoolStatus>,
    /// Read-only: why it was closed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_close_reason: Option<CloseReason>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Read-only: when it was opened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started: Option<Time>,
    /// Read-only: when it was closed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stopped: Option<Time>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The state of a pool or training.
    PoolStatus {
        /// Gives out no assignments; the state of a new pool.
        Closed = "CLOSED",
        /// Gives out assignments.
        Open = "OPEN",
        /// Put away, for good.
        Archived = "ARCHIVED",
        /// Held by an operation that runs.
        Locked = "LOCKED",
    }
}

open_enum! {
    /// Why a pool was closed.
    CloseReason {
        /// Somebody closed it.
        Manual = "MANUAL",
        /// `will_expire` has passed.
        Expired = "EXPIRED",
        /// Every task has its answers.
        Completed = "COMPLETED",
        /// The requester's money is used up.
        NotEnoughBalance = "NOT_ENOUGH_BALANCE",
        /// The pool has as many assignments as a pool may have.
        AssignmentsLimitExceeded = "ASSIGNMENTS_LIMIT_EXCEEDED",
        /// The platform blocked the requester.
        Blocked = "BLOCKED",
        /// Closed for a change; opens again by itself.
        ForUpdate = "FOR_UPDATE",
    }
}

open_enum! {
    /// The kind of a pool.
    PoolType {
        /// A pool; exams too.
        Regular = "REGULAR",
        /// A training seen through the pool routes.
        Training = "TRAINING",
    }
}

/// A change of a pool that may be made while it is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolPatch {
    /// The new priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The overlap of tasks and task suites that name none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// For task suites, and for tasks when the other one is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_overlap_for_new_task_suites: Option<u32>,
    /// For tasks of a pool with a mixer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_overlap_for_new_tasks: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// How the platform makes task suites out of single tasks ("smart mixing").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MixerConfig {
    /// Real tasks on a page, 0–500.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub real_tasks_count: u32,
    /// Control tasks on a page, 0–500.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub golden_tasks_count: u32,
    /// Training tasks on a page, 0–500.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub training_tasks_count: u32,
    /// The fewest real tasks; the full count when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_real_tasks_count: Option<u32>,
    /// The fewest control tasks; the full count when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_golden_tasks_count: Option<u32>,
    /// The fewest training tasks; the full count when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_training_tasks_count: Option<u32>,
    /// Whether the last page of the pool may be shorter; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_last_assignment: Option<bool>,
    /// How long after the last upload that is allowed, 0–86,400 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_last_assignment_delay_seconds: Option<u32>,
    /// Whether old tasks go first; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix_tasks_in_creation_order: Option<bool>,
    /// Whether the order on a page is random; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_tasks_in_task_suite: Option<bool>,
    /// Gives out control tasks by tasks done in place of a count per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden_task_distribution_function: Option<Distribution>,
    /// The same for training tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_task_distribution_function: Option<Distribution>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The order in which task suites of a pool without a mixer are given out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IssuingConfig {
    /// Whether old ones go first; else at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_task_suites_in_creation_order: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// How long the skill of a training lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingConfig {
    /// Days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_skill_ttl_days: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Ask more workers until the answers agree well enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DynamicOverlapConfig {
    /// How. Required by the platform.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<DynamicOverlapType>,
    /// The most answers, 1–30,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_overlap: Option<u32>,
    /// Enough agreement, 0–1.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub min_confidence: Option<Decimal>,
    /// The skill that weighs a worker's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_weight_skill_id: Option<String>,
    /// The output fields that must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldName>>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// How dynamic overlap is steered.
    DynamicOverlapType {
        /// By the confidence of the answer so far.
        Basic = "BASIC",
    }
}

/// The name of an output field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldName {
    /// The name.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl FieldName {
    /// The output field with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            other: Values::new(),
        }
    }
}

/// Prices by skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DynamicPricingConfig {
    /// How. Required by the platform.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<DynamicPricingType>,
    /// The skill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_id: Option<String>,
    /// Prices; they do not overlap, outside them the pool's price holds.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub intervals: Vec<PricingInterval>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What a price depends on.
    DynamicPricingType {
        /// A skill of the worker.
        Skill = "SKILL",
    }
}

/// The price for a range of a skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PricingInterval {
    /// The least skill; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The greatest skill; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Dollars per task suite.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub reward_per_assignment: Option<Decimal>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Leaves out workers by rating.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpeedQualityBalance {
    /// How. Required by the platform.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<SpeedQualityType>,
    /// The best 10–100 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// The best 0–100 workers at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// How workers are left out by rating.
    SpeedQualityType {
        /// Only the best `percent` may work.
        TopPercentage = "TOP_PERCENTAGE_BY_QUALITY",
        /// Only the best `count` may work at a time.
        BestConcurrentUsers = "BEST_CONCURRENT_USERS_BY_QUALITY",
    }
}

impl SpeedQualityBalance {
    /// Only the best workers: 10, 20, …, 100 percent of them.
    #[must_use]
    pub fn top_percentage(percent: u32) -> Self {
        Self {
            kind: Some(SpeedQualityType::TopPercentage),
            percent: Some(percent),
            ..Self::default()
        }
    }

    /// Only the best workers, so many at a time, 0–100.
    #[must_use]
    pub fn best_concurrent_users(count: u32) -> Self {
        Self {
            kind: Some(SpeedQualityType::BestConcurrentUsers),
            count: Some(count),
            ..Self::default()
        }
    }
}
