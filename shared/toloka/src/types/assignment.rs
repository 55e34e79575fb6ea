//! Assignments: one worker's work on one task suite.

use serde::{Deserialize, Serialize};

use super::{Decimal, Owner, Task, Time, Values, open_enum::open_enum};

/// One worker's work on one task suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The assignment.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The task suite.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub task_suite_id: String,
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_id: String,
    /// Its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AssignmentStatus>,
    /// Dollars, fixed when the worker took it.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub reward: Option<Decimal>,
    /// The tasks, in the order of the page.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub tasks: Vec<Task>,
    /// The answers in the same order; absent before the worker submits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solutions: Option<Vec<Solution>>,
    /// Trainings: the first, wrong answers, in the order of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_declined_solution_attempt: Option<Vec<Option<Solution>>>,
    /// What the worker was told at the review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_comment: Option<String>,
    /// Whether the platform made the task suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<bool>,
    /// Whether the answers were copied from identical tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automerged: Option<bool>,
    /// Bonuses that were paid for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bonus_ids: Option<Vec<String>>,
    /// The requester.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// When the worker took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// When the worker submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Time>,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Time>,
    /// When it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Time>,
    /// When the worker skipped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Time>,
    /// When its time ran out or the worker left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// An answer to one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Solution {
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The task; absent where the order says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The assignment; absent within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// The output fields.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub output_values: Values,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The state of an assignment.
    AssignmentStatus {
        /// The worker has it.
        Active = "ACTIVE",
        /// It waits for review.
        Submitted = "SUBMITTED",
        /// Accepted, by the requester or automatically.
        Accepted = "ACCEPTED",
        /// Rejected at the review.
        Rejected = "REJECTED",
        /// The worker skipped it.
        Skipped = "SKIPPED",
        /// Its time ran out, or the worker left.
        Expired = "EXPIRED",
    }
}

/// The review of one assignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssignmentPatch {
    /// `ACCEPTED` or `REJECTED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AssignmentStatus>,
    /// What the worker is told, up to 2,048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_comment: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
