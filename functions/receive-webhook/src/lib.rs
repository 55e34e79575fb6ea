//! The crowd tells that a pool moved: `check-pools` is woken at once.
//!
//! ```text
//! POST, signed ──► believed? ──► 200, and one CrowdMoved on the bus ──► check-pools
//!                      └───────► 403, whatever is wrong with it
//! ```
//!
//! What the crowd tells is a hint and no more: `check-pools` asks the crowd itself how its pools
//! stand. So a delivery that comes twice, late or never does no harm, and the tick is the safety
//! net for all of them.
//!
//! A delivery wakes at most once, however many events it has:
//!
//! | event | wakes | because |
//! |---|---|---|
//! | `POOL_CLOSED` | always | the round may be over |
//! | `ASSIGNMENT_CREATED` | at most every [`PAUSE`] | a page that is out with a worker is money: the budget's guard looks at it |
//! | `ASSIGNMENT_SUBMITTED`, `_SKIPPED`, `_EXPIRED` | at most every [`PAUSE`] | it may be the last page of a closed pool |
//! | others, and kinds that are not known yet | never | nothing that `check-pools` looks at has changed |
//!
//! Each instance of the function keeps its own pause: enough to tame a storm, and nothing to store.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lambda_events::event::lambda_function_urls::LambdaFunctionUrlResponse;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use quorate_core::event::{CrowdMoved, Event};
use quorate_core::ports::{Notify, PortResult};
use quorate_core::time::Timestamp;
use quorate_toloka::types::{self, Delivery, EventType};
use quorate_toloka::{Secret, webhook};
use serde_json::Value;

/// How long events of assignments do not wake again. Every check of a round costs the crowd three
/// requests or more, and the tick comes every minute anyway.
pub const PAUSE: Duration = Duration::from_secs(20);

/// The largest body that is looked at, in bytes as the event has them: some hundred events.
const MAX_BODY: usize = 256 * 1024;

/// When an instance woke `check-pools` last; what it keeps between deliveries.
#[derive(Debug, Default)]
pub struct Woken(AtomicI64);

impl Woken {
    /// Whether [`PAUSE`] has gone by.
    fn long_ago(&self, now: Timestamp) -> bool {
        now.since(Timestamp(self.0.load(Ordering::Relaxed))) >= PAUSE
    }

    fn at(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

/// Answers a request to the function URL (an event in payload format 2.0). A delivery is believed
/// if one of `secrets` signed it a short time ago; see [`quorate_toloka::webhook`].
///
/// Answers 200; 403 for everything that is not believed or cannot be read, with the reason in the
/// log alone; 503 if the bus does not take the event, so that the crowd delivers again.
pub async fn handle<N: Notify>(
    notify: &N,
    secrets: &[Secret],
    woken: &Woken,
    now: Timestamp,
    event: &Value,
) -> LambdaFunctionUrlResponse {
    let delivery = match read(event, secrets, now) {
        Ok(delivery) => delivery,
        Err(reason) => {
            tracing::warn!(reason, "a delivery of the crowd is refused");
            return respond(403, "Refused.\n");
        }
    };
    match wake(notify, woken, now, &delivery).await {
        Ok(()) => respond(200, "Taken.\n"),
        Err(error) => {
            tracing::error!(%error, "check-pools is not woken; its next tick comes all the same");
            respond(503, "Try again later.\n")
        }
    }
}

/// What the request delivers, or why it is refused.
fn read(event: &Value, secrets: &[Secret], now: Timestamp) -> Result<Delivery, String> {
    if event.pointer("/requestContext/http/method") != Some(&Value::from("POST")) {
        return Err("it is no POST".to_owned());
    }
    let body = event.get("body").and_then(Value::as_str).unwrap_or("");
    if body.len() > MAX_BODY {
        return Err(format!("its body has {} bytes", body.len()));
    }
    let encoded = event.get("isBase64Encoded") == Some(&Value::Bool(true));
    let body = if encoded {
        let decoded = BASE64_STANDARD.decode(body);
        decoded.map_err(|error| format!("its body is no base64: {error}"))?
    } else {
        body.as_bytes().to_vec()
    };
    let headers = event.get("headers").and_then(Value::as_object);
    let signature = headers
        .into_iter()
        .flatten()
        .find(|(name, _)| name.eq_ignore_ascii_case(webhook::SIGNATURE))
        .and_then(|(_, value)| value.as_str());
    webhook::open(signature, &body, secrets, now.0).map_err(|refused| refused.to_string())
}

/// Puts one event on the bus if the delivery has news for `check-pools`.
async fn wake<N: Notify>(
    notify: &N,
    woken: &Woken,
    now: Timestamp,
    delivery: &Delivery,
) -> PortResult<()> {
    let paused = !woken.long_ago(now);
    let wakes = |event: &&types::Event| match event.kind {
        EventType::PoolClosed => true,
        EventType::AssignmentCreated
        | EventType::AssignmentSubmitted
        | EventType::AssignmentSkipped
        | EventType::AssignmentExpired => !paused,
        _ => false,
    };
    let news: Vec<&types::Event> = delivery.events.iter().filter(wakes).collect();
    tracing::info!(
        delivered = delivery.events.len(),
        news = news.len(),
        "the crowd delivered events"
    );
    if news.is_empty() {
        return Ok(());
    }
    let moved = CrowdMoved {
        pools: news
            .iter()
            .filter_map(|event| event.pool_id.clone())
            .collect(),
        kinds: news.iter().map(|event| event.kind.to_string()).collect(),
    };
    let ids: Vec<&str> = news.iter().map(|event| event.uuid.as_str()).collect();
    notify.notify(&Event::crowd_moved(moved, &ids, now)).await?;
    woken.at(now);
    Ok(())
}

fn respond(status: i64, message: &str) -> LambdaFunctionUrlResponse {
    let mut response = LambdaFunctionUrlResponse::default();
    response.status_code = status;
    response.body = Some(message.to_owned());
    response
}
