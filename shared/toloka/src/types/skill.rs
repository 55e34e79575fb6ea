//! Skills: numbers that the requester keeps about workers.

use serde::{Deserialize, Serialize};

use super::{Decimal, LocalizedText, Owner, Time, Values};

/// A skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The name that the requester sees; treated as a key by most clients.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// The name that workers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_name: Option<LocalizedText>,
    /// A note for the requester only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// What other requesters read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_requester_description: Option<LocalizedText>,
    /// Whether workers cannot see it; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Hours without a change after which a worker loses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_ttl_hours: Option<u32>,
    /// Whether it is no longer in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
    /// Read-only: whether it belongs to a training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<bool>,
    /// Read-only: whether the platform made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<bool>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A worker's value of a skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserSkill {
    /// The pair of worker and skill.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The skill.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub skill_id: String,
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_id: String,
    /// The value in whole numbers, 0–100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// The value itself, 0–100.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub exact_value: Option<Decimal>,
    /// When it was set first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// When it was set last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Gives a worker a value of a skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetUserSkill {
    /// The skill.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub skill_id: String,
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_id: String,
    /// The value, 0–100. Required by the platform.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Decimal>,
    /// A note for the requester only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
