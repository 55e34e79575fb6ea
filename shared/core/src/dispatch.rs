//! Batches become tasks at the crowd.
//!
//! ```text
//! READY ──claim──► submit(operation id) ──► operation ──► log ──► DONE
//!                        │ "existed"            │ running
//!                        └──────► the same      └──► given back, due a moment later
//! ```
//!
//! Dying anywhere leaves the batch `READY` under a lease that runs out; whoever takes it next sends
//! the same request under the same operation id, and the crowd creates nothing twice. The crowd
//! remembers operation ids for some weeks only: an older batch is looked up among the pool's tasks
//! before it is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{self, Problem, ProblemKind};
use crate::ids::{BatchId, ImageId};
use crate::link::{self, LinkSigner};
use crate::ports::{Clock, Crowd, Ledger, NewTask, OperationStatus, PortError, PortResult, World};
use crate::state::{Batch, CampaignItem, Content, Kind, Outcome};
use crate::time::Timestamp;

/// How long one attempt may take before others may take the batch over.
const LEASE: Duration = Duration::from_secs(60);
/// When a running operation is looked at again.
const POLL: Duration = Duration::from_secs(1);
/// When a batch whose round has no pool yet is looked at again.
const NO_POOL: Duration = Duration::from_secs(10);
/// When a failed attempt is repeated; doubled each time up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// Attempts after which a person is told.
const STUCK_AFTER: u32 = 10;
/// The crowd keeps operations for a month; beyond this a batch is looked up first.
const OPERATION_MEMORY: Duration = Duration::from_secs(20 * 86_400);

/// Sends the batches that are due, at most `limit`. Batches whose round has no pool yet wait for it.
///
/// # Errors
/// If the ledger fails. What the crowd refuses is kept with the batch and tried again later.
pub async fn dispatch_due<W: World>(world: &W, limit: usize) -> PortResult<usize> {
    let due = world
        .ledger()
        .due_batches(world.clock().now(), limit)
        .await?;
    let mut done = 0;
    for id in due {
        done += usize::from(dispatch(world, id).await?);
    }
    Ok(done)
}

/// Sends one batch, if it has a pool and nobody else is at it. Whether it is done now.
async fn dispatch<W: World>(world: &W, id: BatchId) -> PortResult<bool> {
    let ledger = world.ledger();
    let Some(waiting) = ledger.batch(id).await? else {
        return Ok(false);
    };
    let now = world.clock().now();
    let Some(pool) = pool_of(world, &waiting).await? else {
        // Out of the way of batches that can be sent.
        ledger
            .postpone_batch(id, waiting.fence, now.plus(NO_POOL), None)
            .await?;
        return Ok(false);
    };
    let Some(batch) = ledger
        .claim_batch(id, world.writer(), now, now.plus(LEASE))
        .await?
    else {
        return Ok(false);
    };
    match send(world, &batch, &pool).await {
        Ok(Some(outcomes)) => {
            ledger.finish_batch(id, batch.fence, &outcomes).await?;
            Ok(true)
        }
        Ok(None) => {
            ledger
                .postpone_batch(id, batch.fence, now.plus(POLL), None)
                .await?;
            Ok(false)
        }
        Err(error) => {
            postpone(world, &batch, &error).await?;
            Ok(false)
        }
    }
}

/// The pool that a batch goes to, if it exists yet.
async fn pool_of<W: World>(world: &W, batch: &Batch) -> PortResult<Option<String>> {
    if batch.pool.is_some() {
        return Ok(batch.pool.clone());
    }
    let Some(round) = &batch.round else {
        return Ok(None);
    };
    Ok(world
        .ledger()
        .round(round)
        .await?
        .and_then(|round| round.pool)
        .map(|pool| pool.id))
}

/// Asks the crowd for the batch's tasks: their outcomes, or `None` while it is still at it.
async fn send<W: World>(world: &W, batch: &Batch, pool: &str) -> PortResult<Option<Vec<Outcome>>> {
    let crowd = world.crowd();
    let operation = batch.operation();
    let item = world.ledger().campaign(&batch.campaign).await?;
    let item =
        item.ok_or_else(|| PortError::Refused(format!("campaign {} is gone", batch.campaign)))?;
    let first_sent = batch.first_sent.unwrap_or(batch.created);
    if world.clock().now().since(first_sent) > OPERATION_MEMORY
        && let Some(outcomes) = find_tasks(world, batch, pool).await?
    {
        return Ok(Some(outcomes));
    }
    let tasks = tasks(&world.links().await?, &item, batch);
    let answer_field = &item.campaign.answer_field;
    crowd.submit(pool, answer_field, operation, &tasks).await?;
    match crowd.operation(operation).await? {
        OperationStatus::Running => Ok(None),
        OperationStatus::Unknown => Err(PortError::Unavailable(format!(
            "the crowd took operation {operation} and does not know it"
        ))),
        OperationStatus::Finished => {
            let log = crowd.operation_log(operation).await?;
            Ok(Some(outcomes(batch, log)))
        }
    }
}

/// The request of a batch, from the batch alone.
fn tasks(links: &LinkSigner, item: &CampaignItem, batch: &Batch) -> Vec<NewTask> {
    // Not since it was created: it may have waited long for money or a training.
    let sent = batch.first_sent.unwrap_or(batch.created);
    // Links of a batch that waits while older links are ended must open all the same.
    let signed = item
        .campaign
        .links_since
        .map_or(sent, |since| sent.max(since));
    let expires: Timestamp = signed.plus(link::VALIDITY);
    let task = |image: &crate::state::Image| {
        let input = match &image.content {
            Content::Picture => {
                let link = links.link(&batch.campaign, image.id, &image.key, expires);
                BTreeMap::from([("image".to_owned(), link)])
            }
            Content::Row(fields) => fields.clone(),
        };
        let hint = match (&image.known, batch.kind) {
            (Some(known), Kind::Training) => Some(item.campaign.hint_for(known)),
            _ => None,
        };
        NewTask {
            image: image.id,
            input,
            known: image.known.clone(),
            hint,
        }
    };
    batch.members.iter().map(task).collect()
}

fn outcomes(batch: &Batch, mut log: BTreeMap<ImageId, Outcome>) -> Vec<Outcome> {
    let missing = || Outcome::Refused("the crowd's log does not name it".to_owned());
    batch
        .members
        .iter()
        .map(|image| log.remove(&image.id).unwrap_or_else(missing))
        .collect()
}

/// The outcomes of a batch whose tasks are in the pool; `None` if none of them is.
async fn find_tasks<W: World>(
    world: &W,
    batch: &Batch,
    pool: &str,
) -> PortResult<Option<Vec<Outcome>>> {
    let mut found: BTreeMap<ImageId, Outcome> = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = world.crowd().tasks(pool, after.as_deref()).await?;
        found.extend(
            page.items
                .into_iter()
                .map(|(image, task)| (image, Outcome::Task(task))),
        );
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let any = batch
        .members
        .iter()
        .any(|image| found.contains_key(&image.id));
    Ok(any.then(|| outcomes(batch, found)))
}

/// Gives a batch back after a failure; tells a person when that goes on.
async fn postpone<W: World>(world: &W, batch: &Batch, error: &PortError) -> PortResult<()> {
    let backoff = BACKOFF
        .saturating_mul(1 << batch.attempts.min(16))
        .min(MAX_BACKOFF);
    let wait = match error {
        PortError::Blocked { after, .. } => (*after).max(backoff),
        PortError::Unavailable(_) | PortError::Refused(_) => backoff,
    };
    let now = world.clock().now();
    tracing::warn!(batch.id = %batch.id, batch.attempts, %error, "batch not sent; tried again later");
    world
        .ledger()
        .postpone_batch(
            batch.id,
            batch.fence,
            now.plus(wait),
            Some(&error.to_string()),
        )
        .await?;
    if batch.attempts < STUCK_AFTER {
        return Ok(());
    }
    let problem = Problem {
        kind: ProblemKind::Stuck,
        campaign: batch.campaign.to_string(),
        round: batch.round.as_ref().map(|round| round.number),
        key: batch.members.first().map(|image| image.key.clone()),
        message: format!(
            "a batch of {} images could not be sent in {} attempts: {error}",
            batch.members.len(),
            batch.attempts
        ),
    };
    event::tell(world, problem, &batch.id.to_string()).await
}
