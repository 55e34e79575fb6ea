//! The functions of the pipeline, and how one is invoked.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::{Value, json};

use crate::site::{Message, Queue, Queues};
use crate::world::SimWorld;

/// A function of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Uploads become batches.
    CreateTasks,
    /// Rounds are moved on.
    CheckPools,
    /// Answers become labels.
    AggregatePool,
    /// What was left is finished.
    Reconcile,
}

impl Function {
    pub(super) const ALL: [Self; 4] = [
        Self::CreateTasks,
        Self::CheckPools,
        Self::AggregatePool,
        Self::Reconcile,
    ];
}

pub(super) fn queue_of(function: Function, queues: &mut Queues) -> Option<&mut Queue> {
    match function {
        Function::CreateTasks => Some(&mut queues.uploads),
        Function::AggregatePool => Some(&mut queues.closed),
        Function::CheckPools | Function::Reconcile => None,
    }
}

/// The handler of a function at work; it gives the messages that failed.
pub(super) fn invocation(
    function: Function,
    world: SimWorld,
    received: Vec<Message>,
    event: Value,
) -> Pin<Box<dyn Future<Output = BTreeSet<u64>> + Send>> {
    match function {
        Function::CreateTasks => Box::pin(async move {
            failed(&quorate_create_tasks::handle(&world, sqs_event(&received)).await)
        }),
        Function::AggregatePool => Box::pin(async move {
            failed(&quorate_aggregate_pool::handle(&world, sqs_event(&received)).await)
        }),
        Function::CheckPools => Box::pin(async move {
            // The next tick goes on with what this one left.
            drop(quorate_check_pools::handle(&world, event).await);
            BTreeSet::new()
        }),
        Function::Reconcile => Box::pin(async move {
            drop(quorate_reconcile::handle(&world, event).await);
            BTreeSet::new()
        }),
    }
}

fn sqs_event(messages: &[Message]) -> SqsEvent {
    let record = |it: &Message| json!({"messageId": it.id.to_string(), "body": it.body, "eventSource": "aws:sqs"});
    let records: Vec<Value> = messages.iter().map(record).collect();
    serde_json::from_value(json!({"Records": records})).unwrap_or_default()
}

fn failed(response: &SqsBatchResponse) -> BTreeSet<u64> {
    let failures = response.batch_item_failures.iter();
    failures
        .filter_map(|failure| failure.item_identifier.parse().ok())
        .collect()
}
