//! The requester: whoever pays.

use serde::{Deserialize, Serialize};

use super::{Decimal, LocalizedText, Values};

/// The account that a client acts for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requester {
    /// The account.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// Dollars left.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub balance: Option<Decimal>,
    /// The name that workers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_name: Option<LocalizedText>,
    /// The company that the account belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<Company>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A company.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Company {
    /// The company.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The account that manages it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superintendent_id: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
