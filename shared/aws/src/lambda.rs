//! What stands between Lambda and a handler: start, deadline, panics, and how failures are named.
//!
//! ```text
//! start ──► telemetry, configuration, clients, checks ──┬─► one line that names the fault, exit 1
//!                                                       └─► next event ──► handler ──► answer ─┐
//!                                                               ▲                              │
//!                                                               └──────────────────────────────┘
//! ```
//!
//! A failed invocation is answered with one of two types of error, so that a log or an alarm can
//! tell them apart:
//!
//! | `errorType` | when |
//! |---|---|
//! | `Retryable` | a service was unavailable or a quota used up, or the time was up |
//! | `NonRetryable` | a request was refused, the event is of another kind, or the program panicked |
//!
//! What Lambda does then is the same for both: it repeats what its trigger says. All messages of
//! a failed batch come again; a tick is followed by the next one. A single message that fails is
//! not a failed invocation: handlers of queues name it in their answer.

use std::any::type_name;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use quorate_core::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::telemetry;

/// Time that is left to answer, and to write the last lines, when a handler is given up.
const RESERVE: Duration = Duration::from_secs(2);

/// What is shown of an event of another kind, in characters.
const EXCERPT: usize = 200;

/// Why an invocation failed, by whether the same event may succeed later.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Failure {
    /// It may.
    #[error("{0}")]
    Retryable(String),
    /// It will not; a person must look at it.
    #[error("{0}")]
    NonRetryable(String),
}

impl Failure {
    /// A failure because of `cause`, in the words of `error`.
    pub fn new(cause: &PortError, error: impl Display) -> Self {
        match cause {
            PortError::Unavailable(_) | PortError::Blocked { .. } => {
                Self::Retryable(error.to_string())
            }
            PortError::Refused(_) => Self::NonRetryable(error.to_string()),
        }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::new(&error, &error)
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let error_type = match failure {
            Failure::Retryable(_) => "Retryable",
            Failure::NonRetryable(_) => "NonRetryable",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: failure.to_string(),
        }
    }
}

/// Runs the function `function`: waits for `world`, then gives each event, read as an `E`, to
/// `handler` until the process is ended. One event at a time, so one thread is enough.
///
/// A handler is dropped two seconds before the function's time is up; that is safe, because every
/// use case goes on with what a crash left. The exit code is 1 if the function cannot start; the
/// last line of the log says why.
pub fn run<W, E, A, Error>(
    function: &'static str,
    world: impl Future<Output = Result<W, Error>>,
    handler: impl AsyncFn(&W, E) -> Result<A, Failure>,
) -> ExitCode
where
    E: DeserializeOwned,
    A: Serialize,
    Error: Display,
{
    let serve = async {
        telemetry::init(function).map_err(|error| error.to_string())?;
        let world = world.await.map_err(|error| error.to_string())?;
        let answer = async |event| answer(&world, &handler, event).await;
        let served = lambda_runtime::run(service_fn(answer)).await;
        served.map_err(|error| format!("Lambda's runtime API failed: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve),
        Err(error) => Err(format!("no thread can be started: {error}")),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Lets the handler answer one event in its time.
#[expect(clippy::future_not_send, reason = "there is one thread")]
async fn answer<W, E, A>(
    world: &W,
    handler: &impl AsyncFn(&W, E) -> Result<A, Failure>,
    LambdaEvent { payload, context }: LambdaEvent<Value>,
) -> Result<A, Failure>
where
    E: DeserializeOwned,
{
    let event = E::deserialize(&payload).map_err(|error| unexpected::<E>(&payload, &error))?;
    drop(payload);
    let left = context.deadline().duration_since(SystemTime::now());
    let left = left.unwrap_or_default().saturating_sub(RESERVE);
    let attempt = AssertUnwindSafe(handler(world, event)).catch_unwind();
    match tokio::time::timeout(left, attempt).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Failure::NonRetryable(
            "the program panicked, the log says where; this is a bug".to_owned(),
        )),
        Err(_) => Err(Failure::Retryable(format!(
            "not done after {} s; the next invocation goes on with what is left. If this comes \
             often, give the function more time",
            left.as_secs()
        ))),
    }
}

/// The failure for an event that is no `E`.
fn unexpected<E>(event: &Value, error: &serde_json::Error) -> Failure {
    let expected = type_name::<E>();
    let expected = expected.rsplit("::").next().unwrap_or(expected);
    let excerpt: String = event.to_string().chars().take(EXCERPT).collect();
    Failure::NonRetryable(format!(
        "the event is no {expected} ({error}); it begins {excerpt}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
    use lambda_runtime::Context;
    use serde_json::json;

    fn event(payload: Value, left: Duration) -> LambdaEvent<Value> {
        let deadline = SystemTime::now() + left;
        let since = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let mut context = Context::default();
        context.deadline = u64::try_from(since.as_millis()).unwrap();
        LambdaEvent::new(payload, context)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    async fn ids(_: &(), batch: SqsEvent) -> Result<SqsBatchResponse, Failure> {
        let mut response = SqsBatchResponse::default();
        for record in batch.records {
            response.add_failure(record.message_id.unwrap_or_default());
        }
        Ok(response)
    }

    #[tokio::test]
    async fn a_handler_gets_the_event_and_gives_the_answer() {
        let batch = include_str!("../../../events/sqs-pool-closed.json");
        let batch = serde_json::from_str(batch).unwrap();
        let response = answer(&(), &ids, event(batch, MINUTE)).await.unwrap();
        assert_eq!(response.batch_item_failures.len(), 2);
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_refused_with_its_beginning() {
        let tick = json!({"version": "0", "detail": "x".repeat(1_000_000)});
        let failure = answer(&(), &ids, event(tick, MINUTE)).await.unwrap_err();
        let Failure::NonRetryable(message) = failure else {
            panic!("{failure:?}");
        };
        assert!(
            message.starts_with(
                "the event is no SqsEvent (missing field `Records`); it begins {\"detail\":\"xxx"
            ),
            "{message}"
        );
        assert!(message.chars().count() < 300, "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_is_given_up_two_seconds_before_the_time_is_up() {
        let sleeps = |seconds| {
            async move |(): &(), _: Value| {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(())
            }
        };
        let tick = || event(Value::Null, MINUTE);
        assert_eq!(answer(&(), &sleeps(57), tick()).await, Ok(()));
        let failure = answer(&(), &sleeps(59), tick()).await.unwrap_err();
        let Failure::Retryable(message) = failure else {
            panic!("{failure:?}");
        };
        assert!(message.starts_with("not done after 57 s"), "{message}");
    }

    #[tokio::test]
    async fn a_panic_fails_its_event_and_no_other() {
        let handler = async |(): &(), event: Value| {
            assert_ne!(event, json!("bad"), "asked for by the test");
            Ok(())
        };
        let failure = answer(&(), &handler, event(json!("bad"), MINUTE)).await;
        assert!(
            matches!(failure, Err(Failure::NonRetryable(_))),
            "{failure:?}"
        );
        let next = answer(&(), &handler, event(json!("good"), MINUTE)).await;
        assert_eq!(next, Ok(()));
    }

    #[test]
    fn a_failure_says_whether_the_same_event_may_succeed_later() {
        let blocked = PortError::Blocked {
            after: MINUTE,
            reason: "daily limit".to_owned(),
        };
        for (error, error_type, message) in [
            (
                PortError::Unavailable("throttled".to_owned()),
                "Retryable",
                "throttled",
            ),
            (blocked, "Retryable", "daily limit (try again in 60 s)"),
            (
                PortError::Refused("no such table".to_owned()),
                "NonRetryable",
                "no such table",
            ),
        ] {
            let diagnostic = Diagnostic::from(Failure::from(error));
            assert_eq!(diagnostic.error_type, error_type);
            assert_eq!(diagnostic.error_message, message);
        }
    }
}
