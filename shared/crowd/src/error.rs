//! What a request that fails answers: `{request_id, code, message, payload?}`, always JSON.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use quorate_toloka::types::{ApiError, FieldError, Values};
use serde_json::{Value, json};

/// The answer of a request that fails.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    payload: Option<Value>,
}

/// What every fallible step of a request returns.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Refused fields by their path, such as `input_values.image`.
pub(crate) type FieldErrors = BTreeMap<String, FieldError>;

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            payload: None,
        }
    }

    /// 404: there is no such object.
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "DOES_NOT_EXIST",
            format!("There is no {what} `{id}`"),
        )
    }

    /// 404: there is no such address.
    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "DOES_NOT_EXIST",
            format!("There is nothing at {method} {path}"),
        )
    }

    /// 405: the address exists, the method does not.
    pub(crate) fn no_method(method: &str, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            format!("{path} does not answer {method}"),
        )
    }

    /// 400: these fields are refused.
    pub(crate) fn validation(fields: FieldErrors) -> Self {
        Self::refused(json!(fields))
    }

    /// 400 with a payload that is not a plain map of fields (batches key it by item first).
    pub(crate) fn refused(payload: Value) -> Self {
        Self {
            payload: Some(payload),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                "Validation failed; see the payload for the refused fields",
            )
        }
    }

    /// 400: one field is refused.
    pub(crate) fn field(path: &str, code: &str, message: impl Into<String>) -> Self {
        Self::validation(FieldErrors::from([(
            path.to_owned(),
            field_error(code, message),
        )]))
    }

    /// 400: the body is not what was expected.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    /// 413: the request is too large.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "VALIDATION_ERROR", message)
    }

    /// 414: the path and the query are too long.
    pub(crate) fn uri_too_long(most: usize) -> Self {
        let message = format!("The path and the query have at most {most} bytes");
        Self::new(StatusCode::URI_TOO_LONG, "VALIDATION_ERROR", message)
    }

    /// 403: the credentials are missing or wrong.
    pub(crate) fn authentication(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AUTHENTICATION_ERROR", message)
    }

    /// 403: the object belongs to somebody else.
    pub(crate) fn denied(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "ACCESS_DENIED",
            format!("The {what} `{id}` belongs to another account"),
        )
    }

    /// 409 with a code of its own.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 409: the object's state does not allow this; names the states that would.
    pub(crate) fn state(message: impl Into<String>, appropriate: &[&str]) -> Self {
        Self {
            payload: Some(json!({ "appropriate_statuses": appropriate })),
            ..Self::conflict("INAPPROPRIATE_STATUS", message)
        }
    }

    /// 429: the requester asks too often; `interval` (`MIN`, `HOUR`, `DAY`) names the quota that is
    /// used up, if one is.
    pub(crate) fn too_many(message: impl Into<String>, interval: Option<&str>) -> Self {
        Self {
            payload: interval.map(|interval| json!({ "interval": interval })),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message)
        }
    }

    /// 500: a defect of the platform. The cause goes to the log, not to the client.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "The platform failed; its log says why",
        )
    }

    /// The error as it appears inside an operation's log.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "payload": self.payload })
    }
}

/// Why one field is refused.
pub(crate) fn field_error(code: &str, message: impl Into<String>) -> FieldError {
    FieldError {
        code: code.to_owned(),
        message: Some(message.into()),
        params: None,
        other: Values::new(),
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(format_args!("the crowd's database: {error}"))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = ApiError {
            request_id: uuid::Uuid::new_v4().simple().to_string(),
            code: self.code.to_owned(),
            message: Some(self.message),
            payload: self.payload,
            other: Values::new(),
        };
        (self.status, Json(body)).into_response()
    }
}
