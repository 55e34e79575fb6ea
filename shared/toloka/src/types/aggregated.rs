//! Answers that the platform aggregates.

use serde::{Deserialize, Serialize};

use super::{Decimal, FieldName, Values, open_enum::open_enum};

open_enum! {
    /// How the platform aggregates answers.
    AggregationType {
        /// By agreement; needs no skill and takes one field.
        DawidSkene = "DAWID_SKENE",
        /// By a skill that weighs the workers.
        WeightedDynamicOverlap = "WEIGHTED_DYNAMIC_OVERLAP",
    }
}

/// Asks for the aggregated answers of a pool, or of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AggregationRequest {
    /// How. Required by the platform; one task is aggregated by skill only.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<AggregationType>,
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The task, when it is one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The skill that weighs a worker's answer, with `WEIGHTED_DYNAMIC_OVERLAP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_weight_skill_id: Option<String>,
    /// The output fields.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub fields: Vec<FieldName>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl AggregationRequest {
    /// The answers of a pool in one field, by agreement.
    pub fn dawid_skene(pool_id: impl Into<String>, field: impl Into<String>) -> Self {
        Self {
            kind: Some(AggregationType::DawidSkene),
            pool_id: pool_id.into(),
            fields: vec![FieldName::new(field)],
            ..Self::default()
        }
    }

    /// The answers of a pool in some fields, weighed by a skill.
    pub fn weighted<S: Into<String>>(
        pool_id: impl Into<String>,
        skill_id: impl Into<String>,
        fields: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            kind: Some(AggregationType::WeightedDynamicOverlap),
            pool_id: pool_id.into(),
            answer_weight_skill_id: Some(skill_id.into()),
            fields: fields.into_iter().map(FieldName::new).collect(),
            ..Self::default()
        }
    }

    /// The answers to one task, weighed by a skill.
    pub fn weighted_task<S: Into<String>>(
        pool_id: impl Into<String>,
        task_id: impl Into<String>,
        skill_id: impl Into<String>,
        fields: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            task_id: Some(task_id.into()),
            ..Self::weighted(pool_id, skill_id, fields)
        }
    }
}

/// An aggregated answer, computed by the platform.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AggregatedSolution {
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The task.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub task_id: String,
    /// How sure it is, 0–1.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub confidence: Option<Decimal>,
    /// The answer.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub output_values: Values,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
