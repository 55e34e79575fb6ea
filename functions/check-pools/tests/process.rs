//! The very binary that Lambda runs, against an imitation of Lambda's runtime API and of the AWS
//! services that it asks: how it starts, answers, fails and goes on.
#![expect(
    clippy::disallowed_methods,
    reason = "a process of its own runs in real time, and this one waits for it"
)]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::collections::VecDeque;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const TICK: &str = include_str!("../../../events/scheduler-tick.json");
/// More than the function keeps back of its time.
const LONG: Duration = Duration::from_secs(60);

/// What the function is given, and what it is asked to be.
struct Lambda {
    address: String,
    events: Arc<Events>,
    answers: UnboundedReceiver<(String, Value)>,
}

struct Events {
    waiting: Mutex<VecDeque<(String, Duration)>>,
    answers: UnboundedSender<(String, Value)>,
    /// Whether the table keeps its answers to itself, until the function gives up.
    silent: AtomicBool,
}

impl Lambda {
    /// Gives out `events`, each with the time that the function has for it.
    async fn new(events: &[(&str, Duration)]) -> Self {
        let (sender, answers) = unbounded_channel();
        let events = events
            .iter()
            .map(|(event, time)| ((*event).to_owned(), *time));
        let events = Arc::new(Events {
            waiting: Mutex::new(events.collect()),
            answers: sender,
            silent: AtomicBool::new(false),
        });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answer))
            .fallback(aws)
            .with_state(Arc::clone(&events));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            events,
            answers,
        }
    }

    /// Starts the function with everything that it needs but `without`.
    fn start(&self, without: &str) -> Child {
        let local = format!("http://{}", self.address);
        let secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:quorate-1";
        let variables = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", &local),
            ("AWS_LAMBDA_FUNCTION_NAME", "check-pools"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_RUNTIME_API", &self.address),
            ("QUORATE_STACK", "test"),
            ("QUORATE_TABLE", "quorate"),
            ("QUORATE_UPLOADS_BUCKET", "quorate-uploads"),
            ("QUORATE_RESULTS_BUCKET", "quorate-results"),
            ("QUORATE_BUS", "quorate"),
            ("QUORATE_TOLOKA_URL", &local),
            ("QUORATE_TOLOKA_FEE", "0.2"),
            ("QUORATE_TOLOKA_SECRET", secret),
            ("QUORATE_LINKS_URL", &local),
            ("QUORATE_LINK_SECRET", secret),
            ("QUORATE_WEBHOOK_URL", &local),
            ("QUORATE_WEBHOOK_SECRET", secret),
        ];
        Command::new(env!("CARGO_BIN_EXE_check-pools"))
            .env_clear()
            .envs(variables.into_iter().filter(|(name, _)| *name != without))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// The function's next answer: `response` or `error`, and its body.
    async fn answer(&mut self) -> (String, Value) {
        let answer = tokio::time::timeout(LONG, self.answers.recv());
        answer.await.unwrap().unwrap()
    }
}

async fn next(State(events): State<Arc<Events>>) -> Response {
    let event = events.waiting.lock().unwrap().pop_front();
    let Some((event, time)) = event else {
        return std::future::pending().await;
    };
    let deadline = SystemTime::now() + time;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let headers = [
        ("lambda-runtime-aws-request-id", "r1".to_owned()),
        (
            "lambda-runtime-deadline-ms",
            deadline.as_millis().to_string(),
        ),
        ("lambda-runtime-invoked-function-arn", "arn".to_owned()),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned(),
        ),
    ];
    (headers, event).into_response()
}

async fn answer(
    State(events): State<Arc<Events>>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) {
    let body = serde_json::from_slice(&body).unwrap();
    events.silent.store(false, Ordering::Relaxed);
    events.answers.send((kind, body)).unwrap();
}

/// What AWS answers when everything is there and there is nothing to do.
async fn aws(State(events): State<Arc<Events>>, headers: HeaderMap) -> String {
    let target = headers
        .get("x-amz-target")
        .map(|name| name.to_str().unwrap());
    let operation = target.and_then(|name| name.split('.').next_back());
    let body = match operation {
        Some("DescribeTable") => json!({"Table": {"TableStatus": "ACTIVE"}}),
        Some("GetSecretValue") => {
            json!({"SecretString": json!({"k1": "0".repeat(32)}).to_string()})
        }
        Some("Query") if events.silent.load(Ordering::Relaxed) => std::future::pending().await,
        Some("Query") => json!({"Items": [], "Count": 0}),
        _ => json!({}),
    };
    body.to_string()
}

/// What a function wrote until it ended, or was ended.
async fn lines(mut function: Child) -> (Option<i32>, Vec<Value>) {
    // It may have ended by itself.
    drop(function.start_kill());
    let Output {
        status,
        stdout,
        stderr,
    } = function.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    let stdout = String::from_utf8(stdout).unwrap();
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (status.code(), lines.collect())
}

#[tokio::test]
async fn a_variable_that_is_not_set_ends_the_start_with_one_line_that_names_it() {
    let lambda = Lambda::new(&[]).await;
    for variable in [
        "QUORATE_STACK",
        "QUORATE_TABLE",
        "QUORATE_TOLOKA_SECRET",
        "AWS_REGION",
    ] {
        let mut function = lambda.start(variable);
        function.wait().await.unwrap();
        let (code, lines) = lines(function).await;
        assert_eq!(code, Some(1), "{variable}: {lines:?}");
        assert_eq!(lines.len(), 1, "{variable}: {lines:?}");
        let message = lines[0]["message"].as_str().unwrap();
        let expected = format!("{variable} is not set");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[tokio::test]
async fn a_tick_is_answered_and_a_bad_command_is_an_error_that_no_repeat_mends() {
    let events = [(TICK, LONG), (r#"{"seal": 3}"#, LONG), (TICK, LONG)];
    let mut lambda = Lambda::new(&events).await;
    let function = lambda.start("");
    let done = ("response".to_owned(), Value::Null);
    assert_eq!(lambda.answer().await, done);
    let (kind, error) = lambda.answer().await;
    assert_eq!(
        (kind.as_str(), &error["errorType"]),
        ("error", &json!("NonRetryable"))
    );
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("cannot read the command"), "{message}");
    assert_eq!(lambda.answer().await, done);

    let (_, lines) = lines(function).await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["function"], "check-pools");
    assert_eq!(line["requestId"], "r1");
    assert_eq!(
        line["xrayTraceId"],
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"
    );
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("cannot read the command")
    );
}

#[tokio::test]
async fn a_tick_that_takes_too_long_is_given_up_and_the_next_one_is_answered() {
    let mut lambda = Lambda::new(&[(TICK, Duration::from_millis(2100)), (TICK, LONG)]).await;
    lambda.events.silent.store(true, Ordering::Relaxed);
    let _function = lambda.start("");
    let (kind, error) = lambda.answer().await;
    assert_eq!(
        (kind.as_str(), &error["errorType"]),
        ("error", &json!("Retryable"))
    );
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("not done after"), "{message}");
    assert_eq!(lambda.answer().await.0, "response");
}
