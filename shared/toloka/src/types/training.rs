//! Trainings: tasks with hints that a worker learns from before real work.

use serde::{Deserialize, Serialize};

use super::{CloseReason, Metadata, Owner, PoolStatus, Time, Values};

/// A training. It is also a pool: its id works in the pool routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The project whose tasks it teaches.
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
    /// Whether the project's instructions are shown; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited_instructions: Option<bool>,
    /// Its own instructions, HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_instructions: Option<String>,
    /// Whether only workers who agreed to adult content may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_contain_adult_content: Option<bool>,
    /// How long a worker may take for a page, from 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_max_duration_seconds: Option<u32>,
    /// Whether old tasks go first; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix_tasks_in_creation_order: Option<bool>,
    /// Whether the order on a page is random; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_tasks_in_task_suite: Option<bool>,
    /// Tasks on a page, 0–500. Required by the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_tasks_in_task_suite_count: Option<u32>,
    /// Pages until the result is written, 0–500; earlier when tasks run out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_suites_required_to_pass: Option<u32>,
    /// Days without work after which the result lapses and the training may be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_training_after_days: Option<u32>,
    /// Free-form labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
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
