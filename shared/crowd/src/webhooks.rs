//! Webhooks, on the side of what happened: an event is written down in the transaction of what it
//! tells of, for everybody who subscribed to it. The [`courier`](crate::courier) brings it.

use quorate_toloka::types::{CloseReason, Event, EventType};
use uuid::Uuid;

use crate::{error::Result, model::wire, store::Tx};

/// Tells who subscribed that something happened in a pool. The event needs only its kind and what
/// belongs to the kind; each subscription gets it with a `uuid` of its own.
///
/// `DYNAMIC_OVERLAP_COMPLETED` has `task_id`, `confidence`, `assignment_ids` and `output_values`.
pub(crate) fn tell(tx: &Tx<'_>, pool: i64, event: Event) -> Result<()> {
    let subscribed = tx.rows(
        "SELECT n, id FROM webhooks WHERE pool = ?1 AND event = ?2 ORDER BY n",
        (pool, event.kind.as_str()),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    if subscribed.is_empty() {
        return Ok(());
    }
    let project = tx.number("SELECT project FROM pools WHERE id = ?1", [pool])?;
    for (webhook, id) in subscribed {
        let event = Event {
            // Not derived from the seed: receivers know events by it, those of other platforms too.
            uuid: Uuid::new_v4().to_string(),
            event_time: Some(wire(tx.now())),
            project_id: Some(project.to_string()),
            pool_id: Some(pool.to_string()),
            webhook_subscription_id: Some(id),
            ..event.clone()
        };
        tx.run(
            "INSERT INTO webhook_events (webhook, body) VALUES (?1, ?2)",
            (webhook, serde_json::to_string(&event)?),
        )?;
        tx.run(
            "UPDATE webhooks SET waiting = waiting + 1 WHERE n = ?1",
            [webhook],
        )?;
    }
    tx.has_told();
    Ok(())
}

/// Tells what became of an assignment.
pub(crate) fn assignment(
    tx: &Tx<'_>,
    kind: EventType,
    pool: i64,
    suite: &str,
    id: &str,
) -> Result<()> {
    let event = Event {
        kind,
        task_suite_id: Some(suite.to_owned()),
        assignment_id: Some(id.to_owned()),
        ..Event::default()
    };
    tell(tx, pool, event)
}

/// Tells that a pool was closed.
pub(crate) fn closed(tx: &Tx<'_>, pool: i64, reason: &str) -> Result<()> {
    let event = Event {
        kind: EventType::PoolClosed,
        close_reason: Some(CloseReason::from(reason)),
        ..Event::default()
    };
    tell(tx, pool, event)
}
