//! Feeds the functions: what EventBridge, SQS and the scheduler do on AWS, in one process.
//!
//! The events are the real JSON and the handlers are the very ones that run on Lambda. Nothing here
//! has to survive: lost uploads are found again by the sweep at start, lost events by `reconcile`.

use anyhow::{Context, Result};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use quorate_core::event::{Detail, Event};
use quorate_core::ports::{Clock, Objects, World};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::stack::Stack;

/// Records in one delivery of uploads.
pub const UPLOADS_AT_ONCE: usize = 100;

/// Delivers uploads to `create-tasks`. The keys whose records have to come again.
///
/// # Errors
/// If the event cannot be built.
pub async fn deliver_uploads(stack: &Stack, keys: &[String]) -> Result<Vec<String>> {
    let bodies = keys.iter().map(|key| object_created(stack, key)).collect();
    let response = quorate_create_tasks::handle(stack, sqs_event(bodies)?).await;
    Ok(failed(&response)
        .filter_map(|at| keys.get(at).cloned())
        .collect())
}

/// Delivers what is on the bus to `aggregate-pool`, until the bus is empty. How many were delivered.
///
/// # Errors
/// If an event cannot be built.
pub async fn deliver_closed(stack: &Stack, bus: &mut UnboundedReceiver<Event>) -> Result<usize> {
    let mut delivered = 0;
    while let Ok(event) = bus.try_recv() {
        deliver_event(stack, &event).await?;
        delivered += 1;
    }
    Ok(delivered)
}

/// Delivers one event of the bus to the function whose rule it matches.
///
/// # Errors
/// If the event cannot be built.
pub async fn deliver_event(stack: &Stack, event: &Event) -> Result<()> {
    if matches!(event.detail, Detail::PoolClosed(_)) {
        let body = on_bus(event).context("an event is no JSON")?;
        // A record that failed comes again by `reconcile`.
        quorate_aggregate_pool::handle(stack, sqs_event(vec![body])?).await;
    }
    Ok(())
}

/// One scheduled tick: `check-pools`, then `reconcile`. Failures are in the log, and the next tick
/// tries again.
pub async fn tick(stack: &Stack) {
    if let Err(error) = quorate_check_pools::handle(stack, scheduled(stack)).await {
        tracing::warn!("check-pools: {error}");
    }
    if let Err(error) = quorate_reconcile::handle(stack, scheduled(stack)).await {
        tracing::warn!("reconcile: {error}");
    }
}

/// The event of the bucket for an object, as EventBridge writes it.
fn object_created(stack: &Stack, key: &str) -> Value {
    json!({
        "version": "0",
        "id": quorate_core::ids::event_id(&["Object Created", key]),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "time": stack.clock().now().to_string(),
        "region": "local",
        "resources": [format!("arn:aws:s3:::{}", stack.uploads().bucket())],
        "detail": {
            "version": "0",
            "bucket": {"name": stack.uploads().bucket()},
            "object": {"key": key},
            "reason": "PutObject",
        },
    })
}

/// An event of ours as the bus delivers it.
fn on_bus(event: &Event) -> serde_json::Result<Value> {
    let mut body = serde_json::to_value(event)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("version".to_owned(), json!("0"));
        body.insert("source".to_owned(), json!("quorate"));
        body.insert("account".to_owned(), json!("000000000000"));
        body.insert("region".to_owned(), json!("local"));
        body.insert("resources".to_owned(), json!([]));
    }
    Ok(body)
}

/// A tick of the scheduler.
fn scheduled(stack: &Stack) -> Value {
    json!({
        "version": "0",
        "id": quorate_core::ids::event_id(&["Scheduled Event"]),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": stack.clock().now().to_string(),
        "region": "local",
        "resources": [],
        "detail": {},
    })
}

/// A batch of messages; a message's id is its place in the batch.
fn sqs_event(bodies: Vec<Value>) -> Result<SqsEvent> {
    let records: Vec<Value> = bodies
        .into_iter()
        .enumerate()
        .map(|(at, body)| json!({"messageId": at.to_string(), "body": body.to_string(), "eventSource": "aws:sqs"}))
        .collect();
    serde_json::from_value(json!({"Records": records}))
        .context("a batch of messages is no SQS event")
}

fn failed(response: &SqsBatchResponse) -> impl Iterator<Item = usize> {
    response
        .batch_item_failures
        .iter()
        .filter_map(|failure| failure.item_identifier.parse().ok())
}
