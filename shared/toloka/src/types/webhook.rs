//! Webhook subscriptions and the events that they deliver.

use serde::{Deserialize, Serialize};

use super::{CloseReason, Decimal, Time, Values, open_enum::open_enum};
use crate::Secret;

/// A secret on the wire; it has no serde traits of its own, so that none is written by accident.
mod secret_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Secret;

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.map(Secret::from))
    }
}

/// A wish to be told about one kind of event in one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WebhookSubscription {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The kind of event.
    pub event_type: EventType,
    /// Where the platform posts it.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub webhook_url: String,
    /// The pool.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub pool_id: String,
    /// The key that deliveries are signed with. Sent, never returned.
    #[serde(default, with = "secret_text", skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Secret>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The kind of an event.
    EventType {
        /// A pool was closed.
        PoolClosed = "POOL_CLOSED",
        /// Dynamic overlap is content with a task.
        DynamicOverlapCompleted = "DYNAMIC_OVERLAP_COMPLETED",
        /// A worker took an assignment.
        AssignmentCreated = "ASSIGNMENT_CREATED",
        /// A worker submitted one.
        AssignmentSubmitted = "ASSIGNMENT_SUBMITTED",
        /// A worker skipped one.
        AssignmentSkipped = "ASSIGNMENT_SKIPPED",
        /// One ran out of time.
        AssignmentExpired = "ASSIGNMENT_EXPIRED",
        /// One was accepted.
        AssignmentApproved = "ASSIGNMENT_APPROVED",
        /// One was rejected.
        AssignmentRejected = "ASSIGNMENT_REJECTED",
        /// A delivery that only tests the receiver.
        TestEvent = "TEST_EVENT",
    }
}

/// The body of one delivery. Deliveries may repeat and come in any order: know events by `uuid`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The events, one or more.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub events: Vec<Event>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Identifies the event.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub uuid: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Time>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_id: Option<String>,
    /// The subscription that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_subscription_id: Option<String>,
    /// Assignment events: the task suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_suite_id: Option<String>,
    /// Assignment events: the assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// `POOL_CLOSED`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    /// `DYNAMIC_OVERLAP_COMPLETED`: the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// `DYNAMIC_OVERLAP_COMPLETED`: how sure the answer is, 0–1.
    #[serde(
        with = "rust_decimal::serde::float_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub confidence: Option<Decimal>,
    /// `DYNAMIC_OVERLAP_COMPLETED`: the assignments that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_ids: Option<Vec<String>>,
    /// `DYNAMIC_OVERLAP_COMPLETED`: the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_values: Option<Values>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// How the test of a subscription went: the platform sends a [`EventType::TestEvent`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WebhookTest {
    /// Whether the receiver took it.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub success: bool,
    /// When the receiver's answer came.
    #[serde(rename = "responseReceivedAt", skip_serializing_if = "Option::is_none")]
    pub response_received_at: Option<Time>,
    /// What went wrong.
    #[serde(rename = "errorType", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<WebhookErrorType>,
    /// The HTTP status that the receiver answered.
    #[serde(rename = "originalStatusCode", skip_serializing_if = "Option::is_none")]
    pub original_status_code: Option<u16>,
    /// The events that were sent.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub uuids: Vec<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Why a delivery did not reach its receiver.
    WebhookErrorType {
        /// Unknown to the platform too.
        UnknownError = "UNKNOWN",
        /// No connection.
        ConnectionError = "CONNECTION_ERROR",
        /// No answer in time.
        RequestTimeout = "REQUEST_TIMEOUT",
        /// The receiver answered, but not with success.
        WrongStatusCode = "WRONG_STATUS_CODE",
        /// The platform has too many connections to the receiver.
        TooManyConnections = "TOO_MANY_CONNECTIONS",
        /// The platform failed.
        InternalError = "INTERNAL_ERROR",
    }
}
