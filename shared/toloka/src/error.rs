//! What can go wrong, sorted by what a caller does about it.

use std::{fmt, time::Duration};

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::{
    codes,
    types::{ApiError, FieldError, Operation, OperationLogItem, open_enum::open_enum},
};

/// What can go wrong with a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot be built or the call cannot be sent as it is; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// An operation with this `operation_id` was started before: read that operation.
    #[error("{0}")]
    OperationAlreadyExists(Box<Failure>),
    /// There is no such object.
    #[error("{0}")]
    NotFound(Box<Failure>),
    /// The object's state does not allow the call; [`Failure::code`] says why.
    #[error("{0}")]
    Conflict(Box<Failure>),
    /// The body or a parameter is wrong; [`Failure::fields`] says where.
    #[error("{0}")]
    Validation(Box<Failure>),
    /// The credentials are missing or wrong, or do not suffice.
    #[error("{0}; check the API key and which account it belongs to")]
    Auth(Box<Failure>),
    /// A rate or quota is used up. The call had no effect.
    #[error("{failure}{}", Wait(*.retry_after))]
    RateLimited {
        /// The answer.
        failure: Box<Failure>,
        /// How long to wait, when the platform named it.
        retry_after: Option<Duration>,
        /// Which quota, when the platform named it.
        interval: Option<QuotaInterval>,
    },
    /// The platform failed. Whether the call had an effect is unknown.
    #[error("{0}; the service is unavailable, try again later")]
    Unavailable(Box<Failure>),
    /// No answer came. See [`Error::may_have_had_effect`].
    #[error("{call}: {kind}")]
    Transport {
        /// The call.
        call: Call,
        /// How far the call got.
        kind: TransportKind,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The call succeeded but its answer is not what the API promises.
    #[error("{call}: cannot read the answer at `{at}`: {reason}")]
    Decode {
        /// The call.
        call: Call,
        /// Where in the answer: a path into the JSON, or a row of a table.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// An operation did not end within the time that the caller allowed; it goes on.
    #[error(
        "operation {} ({}) is still {} after {waited:?}",
        .operation.id, .operation.kind, .operation.status
    )]
    StillRunning {
        /// The operation as it was seen last.
        operation: Box<Operation>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// An operation ended badly.
    #[error(
        "operation {} ({}) failed{}",
        .operation.id, .operation.kind, Reason(.operation, .failed)
    )]
    OperationFailed {
        /// The operation; its `details` may say more.
        operation: Box<Operation>,
        /// The entries of its log that failed: which items, and why
        /// ([`OperationLogItem::errors`]).
        failed: Vec<OperationLogItem>,
    },
    /// Any other refusal.
    #[error("{0}")]
    Api(Box<Failure>),
}

impl Error {
    /// Whether the same call may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Unavailable(_)
                | Self::Transport { .. }
                | Self::StillRunning { .. }
        )
    }

    /// Whether the call may have done its work all the same, so that it must not be repeated
    /// blindly. False when it certainly had no effect.
    #[must_use]
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Transport { kind, .. } => *kind != TransportKind::Connect,
            // The answer was a success that could not be read.
            // A failed operation may have created some of its items.
            Self::Unavailable(_)
            | Self::Decode { .. }
            | Self::StillRunning { .. }
            | Self::OperationFailed { .. } => true,
            _ => false,
        }
    }

    /// The answer of the platform, when there was one and it was no success.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::OperationAlreadyExists(failure)
            | Self::NotFound(failure)
            | Self::Conflict(failure)
            | Self::Validation(failure)
            | Self::Auth(failure)
            | Self::RateLimited { failure, .. }
            | Self::Unavailable(failure)
            | Self::Api(failure) => Some(failure),
            _ => None,
        }
    }

    /// The platform's error code, when there was one; compare with [`crate::codes`].
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.failure().map(|failure| failure.code.as_str())
    }

    /// Sorts an answer that is no success. The only place that knows what a status means.
    pub(crate) fn from_failure(failure: Failure, retry_after: Option<Duration>) -> Self {
        let failure = Box::new(failure);
        match (failure.status.as_u16(), failure.code.as_str()) {
            (_, codes::OPERATION_ALREADY_EXISTS) => Self::OperationAlreadyExists(failure),
            (429, _) | (_, codes::TOO_MANY_REQUESTS) => {
                let interval = failure.interval();
                let retry_after =
                    retry_after.or_else(|| interval.as_ref().and_then(QuotaInterval::duration));
                Self::RateLimited {
                    failure,
                    retry_after,
                    interval,
                }
            }
            (408 | 500 | 502 | 503 | 504, _) | (_, codes::REMOTE_SERVICE_UNAVAILABLE) => {
                Self::Unavailable(failure)
            }
            (401 | 403, _)
            | (
                _,
                codes::AUTHENTICATION_ERROR
                | codes::OAUTH_AUTHENTICATION_ERROR
                | codes::ACCESS_DENIED,
            ) => Self::Auth(failure),
            (404, _) | (_, codes::DOES_NOT_EXIST) => Self::NotFound(failure),
            (409, _) | (_, codes::CONFLICT_STATE | codes::INAPPROPRIATE_STATUS) => {
                Self::Conflict(failure)
            }
            (400, _) | (_, codes::VALIDATION_ERROR) => Self::Validation(failure),
            _ => Self::Api(failure),
        }
    }
}

/// Which request: never its query, body or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path of the URL.
    pub path: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The request.
    pub call: Call,
    /// The HTTP status.
    pub status: StatusCode,
    /// The platform's error code; empty when the body had none. Compare with [`crate::codes`].
    pub code: String,
    /// The platform's message, or the beginning of a body that is not JSON.
    pub message: String,
    /// Details, see [`ApiError::payload`].
    pub payload: serde_json::Value,
    /// Identifies the request at the platform's support.
    pub request_id: Option<String>,
}

impl Failure {
    /// Reads the body of an answer that is no success; a proxy's HTML or nothing will do.
    pub(crate) fn read(call: Call, status: StatusCode, body: &[u8]) -> Self {
        let error = serde_json::from_slice(body).unwrap_or_else(|_| ApiError {
            message: Some(excerpt(body)),
            ..ApiError::default()
        });
        Self {
            call,
            status,
            code: error.code,
            message: error.message.unwrap_or_default(),
            payload: error.payload.unwrap_or_default(),
            request_id: Some(error.request_id).filter(|id| !id.is_empty()),
        }
    }

    /// The refused fields of a validation error with their paths. Those of a batch begin with the
    /// position of the item (`"3.input_values.image"`).
    #[must_use]
    pub fn fields(&self) -> Vec<(String, FieldError)> {
        refused_fields(&self.payload)
    }

    /// The statuses in which the object would allow the call, when a conflict names them.
    #[must_use]
    pub fn appropriate_statuses(&self) -> Vec<&str> {
        let statuses = self.payload.get("appropriate_statuses");
        let statuses = statuses.and_then(serde_json::Value::as_array);
        let words = statuses.into_iter().flatten();
        words.filter_map(serde_json::Value::as_str).collect()
    }

    fn interval(&self) -> Option<QuotaInterval> {
        self.payload.get("interval")?.as_str().map(Into::into)
    }
}

/// The refused fields in a payload or in the output of a log's entry, with their paths.
pub(crate) fn refused_fields(payload: &serde_json::Value) -> Vec<(String, FieldError)> {
    let mut fields = Vec::new();
    collect_fields("", payload, &mut fields);
    fields
}

/// Walks down to the objects that have a `code`.
fn collect_fields(path: &str, value: &serde_json::Value, fields: &mut Vec<(String, FieldError)>) {
    let Some(object) = value.as_object() else {
        return;
    };
    if object.get("code").is_some_and(serde_json::Value::is_string) {
        if let Ok(error) = FieldError::deserialize(value) {
            fields.push((path.to_owned(), error));
        }
        return;
    }
    for (key, value) in object {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        collect_fields(&path, value, fields);
    }
}

/// The first characters of a foreign body, fit for a log line.
fn excerpt(body: &[u8]) -> String {
    const BYTES: usize = 200;
    let head = body.get(..BYTES).unwrap_or(body);
    let text = String::from_utf8_lossy(head);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.status.as_u16())?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        for (index, (path, error)) in self.fields().iter().enumerate() {
            let message = error.message.as_deref().unwrap_or(&error.code);
            write!(
                f,
                "{} {path}: {message}",
                if index == 0 { ":" } else { "," }
            )?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// How far a call got that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// No connection: the request was not sent.
    Connect,
    /// No answer in time: whether it had an effect is unknown.
    Timeout,
    /// The connection broke: whether it had an effect is unknown.
    Broken,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "cannot connect; check the address and the network",
            Self::Timeout => "no answer in time; whether it had an effect is unknown",
            Self::Broken => "the connection broke; whether the call had an effect is unknown",
        })
    }
}

open_enum! {
    /// The span of a quota that is used up.
    QuotaInterval {
        /// A minute.
        Minute = "MIN",
        /// An hour.
        Hour = "HOUR",
        /// A day.
        Day = "DAY",
    }
}

impl QuotaInterval {
    /// How long the span is.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Self::Minute => Some(Duration::from_secs(60)),
            Self::Hour => Some(Duration::from_secs(3_600)),
            Self::Day => Some(Duration::from_secs(86_400)),
            Self::Unknown(_) => None,
        }
    }
}

/// Why an operation failed: what its details and the first failed entry of its log say.
struct Reason<'a>(&'a Operation, &'a [OperationLogItem]);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.0.details.as_ref();
        for key in ["code", "message"] {
            let text = details.and_then(|details| details.get(key)?.as_str());
            if let Some(text) = text {
                write!(f, ": {text}")?;
            }
        }
        let Self(_, [first, rest @ ..]) = self else {
            return Ok(());
        };
        write!(f, ": {}", first.kind)?;
        for (path, error) in first.errors() {
            let message = error.message.as_deref().unwrap_or(&error.code);
            write!(f, ", {path}: {message}")?;
        }
        match rest.len() {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

struct Wait(Option<Duration>);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; try again in {} s", wait.as_secs()),
            None => f.write_str("; try again later"),
        }
    }
}
