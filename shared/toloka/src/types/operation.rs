//! Operations: work that the platform does after it has answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Time, Values, open_enum::open_enum};

/// Work that the platform does after it has answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The operation; chosen by the client when it sent an `operation_id`.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// What is done.
    #[serde(rename = "type")]
    pub kind: OperationType,
    /// How far it is.
    pub status: OperationStatus,
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Time>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u32>,
    /// What was asked for: `pool_id`, or the switches of a creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// The result: [`CreationDetails`] of a creation, `value` of analytics, an error of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl Operation {
    /// What was asked for; all empty when the operation does not tell.
    #[must_use]
    pub fn typed_parameters(&self) -> OperationParameters {
        let read = |value| OperationParameters::deserialize(value).ok();
        self.parameters.as_ref().and_then(read).unwrap_or_default()
    }

    /// The pool that a clone of a pool has made, or the training.
    #[must_use]
    pub fn cloned_id(&self) -> Option<&str> {
        let details = self.details.as_ref()?;
        let id = details
            .get("pool_id")
            .or_else(|| details.get("training_id"));
        id?.as_str()
    }

    /// The counts of a creation that has ended.
    #[must_use]
    pub fn creation_details(&self) -> Option<CreationDetails> {
        CreationDetails::deserialize(self.details.as_ref()?).ok()
    }

    /// The answers of statistics that have been computed.
    #[must_use]
    pub fn analytics(&self) -> Option<Vec<AnalyticsResult>> {
        Vec::deserialize(self.details.as_ref()?.get("value")?).ok()
    }
}

/// The `parameters` of an operation: which object, or the switches of a creation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationParameters {
    /// Operations on a project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Operations on a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_id: Option<String>,
    /// Operations on a training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_id: Option<String>,
    /// Creations: whether the pool is opened afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_pool: Option<bool>,
    /// Creations: whether the pool's default overlap is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_defaults: Option<bool>,
    /// Creations: whether good items are created when others are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_invalid_items: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The counts in the `details` of a creation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CreationDetails {
    /// Items in the request.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub total_count: u64,
    /// Items without a mistake.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub valid_count: u64,
    /// Items with a mistake.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub not_valid_count: u64,
    /// Items that were created.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub success_count: u64,
    /// Items that were not.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub failed_count: u64,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What an operation does.
    OperationType {
        /// Creates tasks.
        TaskBatchCreate = "TASK.BATCH_CREATE",
        /// Creates task suites.
        TaskSuiteBatchCreate = "TASK_SUITE.BATCH_CREATE",
        /// Pays bonuses.
        UserBonusBatchCreate = "USER_BONUS.BATCH_CREATE",
        /// Opens a pool.
        PoolOpen = "POOL.OPEN",
        /// Closes a pool.
        PoolClose = "POOL.CLOSE",
        /// Puts a pool away.
        PoolArchive = "POOL.ARCHIVE",
        /// Copies a pool without its tasks.
        PoolClone = "POOL.CLONE",
        /// Opens a training.
        TrainingOpen = "TRAINING.OPEN",
        /// Closes a training.
        TrainingClose = "TRAINING.CLOSE",
        /// Puts a training away.
        TrainingArchive = "TRAINING.ARCHIVE",
        /// Copies a training without its tasks.
        TrainingClone = "TRAINING.CLONE",
        /// Puts a project away.
        ProjectArchive = "PROJECT.ARCHIVE",
        /// Aggregates the answers of a pool.
        SolutionAggregate = "SOLUTION.AGGREGATE",
        /// Computes statistics.
        Analytics = "ANALYTICS",
    }
}

open_enum! {
    /// How far an operation is.
    OperationStatus {
        /// Not begun.
        Pending = "PENDING",
        /// Begun.
        Running = "RUNNING",
        /// Done.
        Success = "SUCCESS",
        /// Failed; the `details` or the log say why.
        Fail = "FAIL",
    }
}

impl AnalyticsRequest {
    /// A question about a pool.
    pub fn pool(name: AnalyticsName, pool_id: impl Into<String>) -> Self {
        Self {
            name,
            subject: "POOL".to_owned(),
            subject_id: pool_id.into(),
            ..Self::default()
        }
    }
}

impl AnalyticsResult {
    /// The answer as a number, whichever form it has.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let result = self.result.as_ref()?;
        result.as_f64().or_else(|| result.get("value")?.as_f64())
    }
}

impl OperationStatus {
    /// Whether nothing will change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Fail)
    }
}

/// One entry of an operation's log: one item of a creation, or one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationLogItem {
    /// The step, such as `TASK_CREATE`, `TASK_VALIDATE` or `POOL_OPEN`.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub kind: String,
    /// Whether it worked.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub success: bool,
    /// The item as it was sent, with its unknown keys such as `__item_idx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// `task_id` of what was made, or the errors by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl OperationLogItem {
    /// What the item was called in the request, see [`super::Task::set_item_index`].
    #[must_use]
    pub fn item_index(&self) -> Option<usize> {
        self.input.as_ref()?.get(ITEM_INDEX)?.as_str()?.parse().ok()
    }

    /// What is wrong with the item, by field; empty when nothing is.
    #[must_use]
    pub fn errors(&self) -> Vec<(String, super::FieldError)> {
        let output = self.output.as_ref().filter(|_| !self.success);
        output.map(crate::error::refused_fields).unwrap_or_default()
    }

    /// The task that was made.
    #[must_use]
    pub fn task_id(&self) -> Option<&str> {
        self.output.as_ref()?.get("task_id")?.as_str()
    }

    /// The bonus that was paid.
    #[must_use]
    pub fn user_bonus_id(&self) -> Option<&str> {
        self.output.as_ref()?.get("user_bonus_id")?.as_str()
    }

    /// The task suite that was made.
    #[must_use]
    pub fn task_suite_id(&self) -> Option<&str> {
        self.output.as_ref()?.get("task_suite_id")?.as_str()
    }
}

/// The key under which clients number the items of a creation. The platform repeats unknown keys
/// of an item in the operation's log and does not store them.
pub(super) const ITEM_INDEX: &str = "__item_idx";

/// A question to the statistics of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalyticsRequest {
    /// What is asked for.
    pub name: AnalyticsName,
    /// `POOL`.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub subject: String,
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub subject_id: String,
    /// Only for `active_workers_by_filter_count`: how far back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_hours: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The answer to an [`AnalyticsRequest`], an element of `value` in the operation's `details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalyticsResult {
    /// The question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<AnalyticsRequest>,
    /// The answer: a number, or an object with `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// When it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What the statistics of a pool can tell.
    AnalyticsName {
        /// How many percent of the pool are done.
        CompletionPercentage = "completion_percentage",
        /// Real tasks.
        RealTasksCount = "real_tasks_count",
        /// Submitted assignments.
        SubmittedAssignmentsCount = "submitted_assignments_count",
        /// Skipped assignments.
        SkippedAssignmentsCount = "skipped_assignments_count",
        /// Rejected assignments.
        RejectedAssignmentsCount = "rejected_assignments_count",
        /// Accepted assignments.
        ApprovedAssignmentsCount = "approved_assignments_count",
        /// Average time of an assignment, milliseconds.
        AvgSubmitAssignmentMillis = "avg_submit_assignment_millis",
        /// Dollars paid.
        SpentBudget = "spent_budget",
        /// Workers who took an assignment.
        UniqueWorkersCount = "unique_workers_count",
        /// Workers who submitted one.
        UniqueSubmittersCount = "unique_submitters_count",
        /// Active workers who pass the pool's filter.
        ActiveWorkersByFilterCount = "active_workers_by_filter_count",
        /// How many assignments the pool will have.
        EstimatedAssignmentsCount = "estimated_assignments_count",
    }
}
