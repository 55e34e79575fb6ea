//! Toloka's wire types, shared by the client and by servers that speak the same API.
//!
//! Field names and meanings follow the API reference (<https://toloka.ai/docs/api/api-reference/>,
//! also published in <https://github.com/Toloka/docs>). Four rules hold everywhere:
//!
//! * **Nothing is lost.** An object keeps fields that it does not know in `other`, an enum keeps a
//!   value that it does not know in `Unknown`, and both are written back as they came.
//! * **Absent is `None`.** An optional field that is absent or `null` reads as `None` and is not
//!   written. A required string that is absent or `null` reads as the empty string and is not
//!   written, so that a server can answer with a validation error that names the field, and an
//!   object that is not created yet has an empty `id`.
//! * **Money and other decimal numbers are exact** ([`Decimal`]) and travel as JSON numbers.
//! * **Times are UTC without a zone**, see [`Time`].

mod aggregated;
mod assignment;
mod filter;
mod localization;
mod message;
pub(crate) mod open_enum;
mod operation;
mod pool;
mod project;
mod quality;
mod requester;
mod skill;
mod task;
mod time;
mod training;
mod user;
mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub use rust_decimal::Decimal;

pub use self::{
    aggregated::*, assignment::*, filter::*, localization::*, message::*, operation::*, pool::*,
    project::*, quality::*, requester::*, skill::*, task::*, time::*, training::*, user::*,
    webhook::*,
};

/// A JSON object: values of a task's fields, or the unknown fields of a struct.
pub type Values = serde_json::Map<String, serde_json::Value>;

/// A text by language code (`"EN"`).
pub type LocalizedText = BTreeMap<String, String>;

/// Free-form labels that a requester puts on a project, pool or training.
pub type Metadata = BTreeMap<String, Vec<String>>;

/// One page of a list, in the order that the request asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The objects of this page.
    pub items: Vec<T>,
    /// Whether more objects match after the last one of this page.
    pub has_more: bool,
}

/// What a synchronous creation of several objects answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchCreated<T> {
    /// The objects that were made, by their position in the request (`"0"`, `"1"`, …).
    #[serde(default = "BTreeMap::new")]
    pub items: BTreeMap<String, T>,
    /// The errors of the others: position → field → error.
    #[serde(default)]
    pub validation_errors: BTreeMap<String, BTreeMap<String, FieldError>>,
}

/// Why one field was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldError {
    /// What is wrong, such as `VALUE_REQUIRED`.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub code: String,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Numbers or names that belong to the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<serde_json::Value>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    /// Identifies the request at the platform's support.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub request_id: String,
    /// What went wrong, such as `VALIDATION_ERROR`.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub code: String,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Details: the refused fields of a `VALIDATION_ERROR`, `appropriate_statuses` of an `INAPPROPRIATE_STATUS`, the `interval` of a quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Who made an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// The requester.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether that is the requester who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub myself: Option<bool>,
    /// The requester's company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Reads `null` like a field that is absent.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
