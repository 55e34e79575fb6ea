//! A closed pool becomes labels: `PoolClosed` events, each given to [`aggregate_round`].
//!
//! ```text
//! check-pools, reconcile ──► EventBridge ──► SQS ──► handle ──► batchItemFailures
//! ```
//!
//! A batch of one message is best: a large round takes minutes, and a batch must be through before
//! the function's time is up. A round that fails is also told of again by `reconcile`, so a message
//! that ends in the dead-letter queue loses nothing.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::FutureExt;
use quorate_core::RoundId;
use quorate_core::event::PoolClosed;
use quorate_core::ports::World;
use quorate_results::{Outcome, aggregate_round};

/// A message that does not say which round is closed: its body is not an event of EventBridge, or
/// the detail is not that of a `PoolClosed`.
#[derive(Debug, thiserror::Error)]
#[error("its body is not a PoolClosed event: {0}")]
pub struct Malformed(#[from] serde_json::Error);

/// Why a message has to come again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("round {0}: {1}")]
    Round(RoundId, #[source] quorate_results::Error),
    /// What the panic said is on stderr.
    #[error("round {0}: the program panicked; this is a bug")]
    Panicked(RoundId),
}

/// Aggregates the rounds that a batch of messages tells of, one after the other.
///
/// The answer names the messages that must come again, so the queue's event source mapping has to
/// have `ReportBatchItemFailures`. A message without an id is named by the empty string, for which
/// Lambda sends the whole batch again. The reason of each failure is logged with the message's id.
pub async fn handle<W: World>(world: &W, event: SqsEvent) -> SqsBatchResponse {
    let aggregate = |round| async move { aggregate_round(world, &round).await };
    each(event, aggregate).await
}

/// The round that a message's body says is closed: none if it is another event.
///
/// # Errors
/// If the body is not an event, or a `PoolClosed` without its round.
pub fn closed_round(body: &str) -> Result<Option<RoundId>, Malformed> {
    let event: EventBridgeEvent = serde_json::from_str(body)?;
    if (event.source.as_str(), event.detail_type.as_str()) != ("quorate", "PoolClosed") {
        return Ok(None);
    }
    let closed: PoolClosed = serde_json::from_value(event.detail)?;
    Ok(Some(RoundId {
        campaign: closed.campaign,
        number: closed.round,
    }))
}

/// Gives every round to `aggregate`; names the messages of those that failed.
async fn each<F, Fut>(event: SqsEvent, aggregate: F) -> SqsBatchResponse
where
    F: Fn(RoundId) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Outcome, quorate_results::Error>> + Send,
{
    let mut response = SqsBatchResponse::default();
    for record in event.records {
        let id = record.message_id.unwrap_or_default();
        if let Err(failure) = one(&record.body.unwrap_or_default(), &aggregate).await {
            tracing::warn!(message_id = id, reason = %failure, "a message is given back to the queue");
            response.add_failure(id);
        }
    }
    response
}

async fn one<F, Fut>(body: &str, aggregate: &F) -> Result<(), Failure>
where
    F: Fn(RoundId) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Outcome, quorate_results::Error>> + Send,
{
    let Some(round) = closed_round(body)? else {
        return Ok(());
    };
    let attempt = AssertUnwindSafe(aggregate(round.clone())).catch_unwind();
    match attempt.await {
        Ok(Ok(Outcome::Aggregated(manifest))) => {
            let counts = &manifest.counts;
            tracing::info!(%round, labelled = counts.labelled, metric.answers = counts.answers, "aggregated");
        }
        Ok(Ok(Outcome::NothingToDo)) => tracing::info!(%round, "nothing to do"),
        Ok(Ok(Outcome::WaitsFor(earlier))) => {
            tracing::info!(%round, %earlier, "waits for an earlier round")
        }
        Ok(Err(error)) => return Err(Failure::Round(round, error)),
        Err(_) => return Err(Failure::Panicked(round)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::PortError;
    use serde_json::{Value, json};
    use std::sync::Mutex;

    const POOL_CLOSED: &str = include_str!("../../../events/pool-closed.json");
    const BATCH: &str = include_str!("../../../events/sqs-pool-closed.json");

    fn edited(pointer: &str, value: Value) -> String {
        let mut body: Value = serde_json::from_str(POOL_CLOSED).unwrap();
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string()
    }

    fn closed(round: &str) -> String {
        let round: RoundId = round.parse().unwrap();
        edited(
            "/detail",
            json!({"campaign": round.campaign, "round": round.number}),
        )
    }

    /// A batch in which message `m0` has the body `bodies[0]`, and so on.
    fn batch(bodies: &[String]) -> SqsEvent {
        let records = bodies.iter().enumerate();
        let records =
            records.map(|(at, body)| json!({"messageId": format!("m{at}"), "body": body}));
        serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap()
    }

    /// The rounds that were given to `aggregate`, and the ids of the messages that come again.
    fn run(
        event: SqsEvent,
        aggregate: impl Fn(&str) -> Result<Outcome, quorate_results::Error> + Send + Sync,
    ) -> (Vec<String>, Vec<String>) {
        let rounds = Mutex::new(Vec::new());
        let (aggregate, given) = (&aggregate, &rounds);
        let response = each(event, |round| async move {
            given.lock().unwrap().push(round.to_string());
            aggregate(&round.to_string())
        });
        let response = response.now_or_never().unwrap();
        let failures = response.batch_item_failures.into_iter();
        let failed = failures.map(|failure| failure.item_identifier).collect();
        (rounds.into_inner().unwrap(), failed)
    }

    #[test]
    fn an_event_names_the_round_that_is_closed() {
        let round = closed_round(POOL_CLOSED).unwrap().unwrap();
        assert_eq!(round.to_string(), "cells/1");
    }

    #[test]
    fn every_round_of_a_batch_is_aggregated() {
        let event = serde_json::from_str(BATCH).unwrap();
        let (rounds, failed) = run(event, |_| Ok(Outcome::NothingToDo));
        assert_eq!(rounds, ["cells/1", "headlines/7"]);
        assert_eq!(failed, [""; 0]);
    }

    #[test]
    fn other_events_are_done_with() {
        for body in [
            include_str!("../../../events/round-aggregated.json").to_owned(),
            include_str!("../../../events/problem.json").to_owned(),
            edited("/source", json!("another.system")),
        ] {
            assert_eq!(closed_round(&body).unwrap(), None, "{body}");
        }
    }

    #[test]
    fn the_reason_of_a_failure_tells_what_to_look_at() {
        for (body, reason) in [
            (String::new(), "not a PoolClosed event: EOF"),
            ("{}".to_owned(), "missing field `detail-type`"),
            (
                edited("/detail", json!({"campaign": "cells"})),
                "missing field `round`",
            ),
            (
                edited("/detail/campaign", json!("../cells")),
                "cannot name a campaign",
            ),
            (
                edited("/detail/round", json!(-1)),
                "invalid value: integer `-1`",
            ),
        ] {
            let error = closed_round(&body).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }

    #[test]
    fn a_message_fails_alone() {
        let event = batch(&[
            closed("good/1"),
            "not JSON".to_owned(),
            closed("throttled/1"),
            closed("panics/1"),
            closed("waits/2"),
            closed("good/2"),
        ]);
        let (rounds, failed) = run(event, |round| match round {
            "throttled/1" => Err(PortError::Unavailable("throttled".to_owned()).into()),
            // Not a failure: a tick tells of it again.
            "waits/2" => Ok(Outcome::WaitsFor("waits/1".parse().unwrap())),
            "panics/1" => panic!("asked for by the test"),
            _ => Ok(Outcome::NothingToDo),
        });
        assert_eq!(
            rounds,
            ["good/1", "throttled/1", "panics/1", "waits/2", "good/2"]
        );
        assert_eq!(failed, ["m1", "m2", "m3"]);
    }
}
