//! Tasks and the task suites (pages) that they are given out in.

use serde::{Deserialize, Serialize};

use super::{Decimal, LocalizationConfig, Time, Values};

/// One task.
///
/// Without `known_solutions` it is a *real* task, with them a *control* task, and with a hint
/// (`message_on_unknown_solution`) besides a *training* task. The same struct describes a task
/// inside a task suite or assignment, where `pool_id` and the overlap are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The pool or training; empty inside a task suite.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The values that the worker sees.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub input_values: Values,
    /// Right answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_solutions: Option<Vec<KnownSolution>>,
    /// The hint that is shown on a wrong answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_on_unknown_solution: Option<String>,
    /// How many workers are asked, 1–30,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u32>,
    /// Whether any number of workers may be asked; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite_overlap: Option<bool>,
    /// Read-only: how many workers are still to be asked; absent when infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_overlap: Option<u32>,
    /// The only workers who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<Vec<String>>,
    /// Workers who may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_for: Option<Vec<String>>,
    /// Votes that dynamic overlap starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_solutions: Option<Vec<BaselineSolution>>,
    /// Read-only: the task that it was copied from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_task_id: Option<String>,
    /// Translations of the hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_config: Option<LocalizationConfig>,
    /// Traits that a worker must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_all_of: Option<Vec<String>>,
    /// Traits of which a worker must have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_any_of: Option<Vec<String>>,
    /// Traits that a worker must not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_none_of_any: Option<Vec<String>>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl Task {
    /// Numbers a task within a creation, so that the operation's log can be matched with the
    /// request ([`super::OperationLogItem::item_index`]). The platform does not store the number.
    pub fn set_item_index(&mut self, index: usize) {
        self.other.insert(
            super::operation::ITEM_INDEX.to_owned(),
            index.to_string().into(),
        );
    }
}

/// A right answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KnownSolution {
    /// Its output fields.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub output_values: Values,
    /// How right it is, 0–1; 1 when absent.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub correctness_weight: Option<Decimal>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A vote that dynamic overlap starts from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BaselineSolution {
    /// Its output fields.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub output_values: Values,
    /// Its weight; 1 when absent.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub confidence_weight: Option<Decimal>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A change of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskPatch {
    /// How many workers are asked; never fewer than were asked already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u32>,
    /// Whether any number of workers may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite_overlap: Option<bool>,
    /// Votes that dynamic overlap starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_solutions: Option<Vec<BaselineSolution>>,
    /// Right answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_solutions: Option<Vec<KnownSolution>>,
    /// The hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_on_unknown_solution: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A change of a task's or task suite's overlap that cannot fail for being too low: the result is at least the number given out already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OverlapPatch {
    /// How many workers are asked; 0 stops giving it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u32>,
    /// Whether any number of workers may be asked. Tasks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite_overlap: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A page of tasks that one worker does in one go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSuite {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The tasks, in order.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub tasks: Vec<Task>,
    /// How many workers are asked, 1–30,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u32>,
    /// Whether any number of workers may be asked; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite_overlap: Option<bool>,
    /// Read-only: how many workers are still to be asked; absent when infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_overlap: Option<u32>,
    /// The only workers who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<Vec<String>>,
    /// Workers who may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_for: Option<Vec<String>>,
    /// Higher ones are given out first, ±99,999.99999; 0 when absent.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub issuing_order_override: Option<Decimal>,
    /// Read-only: whether the platform made it out of single tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<bool>,
    /// Read-only: whether it holds a task of another pool with the same input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automerged: Option<bool>,
    /// Traits that a worker must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_all_of: Option<Vec<String>>,
    /// Traits of which a worker must have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_any_of: Option<Vec<String>>,
    /// Traits that a worker must not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits_none_of_any: Option<Vec<String>>,
    /// The place on the map, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// The place on the map, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Translations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_config: Option<LocalizationConfig>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A change of one task suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSuitePatch {
    /// How many workers are asked; never fewer than were asked already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u32>,
    /// Whether any number of workers may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite_overlap: Option<bool>,
    /// Higher ones are given out first.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub issuing_order_override: Option<Decimal>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
