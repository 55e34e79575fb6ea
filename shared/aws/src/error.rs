//! What a failure of an AWS service means for the caller.

use std::error::Error;
use std::fmt::{Display, Write as _};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use quorate_core::ports::PortError;

/// Codes of refusals that pass by themselves, whatever status they come with.
const PASSING: [&str; 7] = [
    "ConditionalRequestConflict",
    "InternalFailure",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// Sorts a failure by what the caller should do; the text begins with `what` was asked for.
pub(crate) fn port_error<E>(what: impl Display, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(refusal) = error else {
        let text = format!("{what}: {}", chain(error));
        return match error {
            // It cannot be sent as it is.
            SdkError::ConstructionFailure(_) => PortError::Refused(text),
            SdkError::DispatchFailure(failure) if failure.is_user() => PortError::Refused(text),
            _ => PortError::Unavailable(text),
        };
    };
    let status = refusal.raw().status().as_u16();
    let mut text = format!("{what}: {status}");
    for part in [refusal.err().code(), refusal.err().message()] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            // Writing to a string cannot fail.
            let _written = write!(text, " {part}");
        }
    }
    if status >= 500 || status == 429 || is_passing(refusal.err().code()) {
        PortError::Unavailable(text)
    } else {
        PortError::Refused(text)
    }
}

/// Whether a refusal with this code passes by itself.
pub(crate) fn is_passing(code: Option<&str>) -> bool {
    code.is_some_and(|code| PASSING.contains(&code))
}

/// The HTTP status and the code of a refusal.
pub(crate) fn refusal<E>(error: &SdkError<E, HttpResponse>) -> Option<(u16, &str)>
where
    E: ProvideErrorMetadata,
{
    let SdkError::ServiceError(refusal) = error else {
        return None;
    };
    let status = refusal.raw().status().as_u16();
    Some((status, refusal.err().code().unwrap_or_default()))
}

/// An error with its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
