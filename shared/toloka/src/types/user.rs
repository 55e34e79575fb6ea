//! Workers: restrictions, bonuses, what the platform knows about them.

use serde::{Deserialize, Serialize};

use super::{Decimal, LocalizedText, RestrictionScope, Time, Values, open_enum::open_enum};

/// A ban: where a worker may not work, and until when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserRestriction {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// Where.
    pub scope: RestrictionScope,
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_id: String,
    /// The project, with scope `PROJECT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The pool, with scope `POOL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_id: Option<String>,
    /// A note for the requester only, up to 499 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// Until when; for good when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub will_expire: Option<Time>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Money for a worker beside the price of the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserBonus {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_id: String,
    /// Dollars, 0.005–100. Required by the platform.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub amount: Option<Decimal>,
    /// The work that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// A note for the requester only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// The title that the worker sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_title: Option<LocalizedText>,
    /// The text that the worker sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_message: Option<LocalizedText>,
    /// Whether the worker is told nothing; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_message: Option<bool>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// What the platform tells about a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserMetadata {
    /// The worker.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// ISO code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Language codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Whether the worker agreed to adult content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adult_allowed: Option<bool>,
    /// What the platform computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<UserAttributes>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// What the platform computed about a worker's device and whereabouts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserAttributes {
    /// ISO code of the telephone number's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_by_phone: Option<String>,
    /// ISO code of the network address's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_by_ip: Option<String>,
    /// `BROWSER` or `TOLOKA_APP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_type: Option<String>,
    /// The kind of software, such as `BROWSER` or `MOBILE_BROWSER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent_type: Option<String>,
    /// The kind of device, such as `SMARTPHONE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_category: Option<String>,
    /// The operating system, such as `ANDROID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_family: Option<String>,
    /// Its version, major and minor.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<Decimal>,
    /// Its major version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version_major: Option<i64>,
    /// Its minor version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version_minor: Option<i64>,
    /// Its bug-fix version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version_bugfix: Option<i64>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// A file that a worker uploaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment_type: Option<AttachmentType>,
    /// Its name.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<AttachmentDetails>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<super::Owner>,
    /// When it was uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// What a file belongs to.
    AttachmentType {
        /// An assignment.
        Assignment = "ASSIGNMENT_ATTACHMENT",
    }
}

/// Where a file came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttachmentDetails {
    /// The worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// The pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_id: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
