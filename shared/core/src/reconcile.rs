//! The sweep that finishes what a crash, a throttle or a lost reply left half done.
//!
//! Queues are hints, this is the truth: it finds work by the ledger alone. Everything that it
//! calls may be called at any time, by anyone, any number of times.

use std::time::Duration;

use crate::dispatch;
use crate::ids::CampaignName;
use crate::ingest;
use crate::look;
use crate::ports::{Admitted, Clock, Ledger, PortResult, World};
use crate::rounds;
use crate::state::{BatchState, RoundState};
use crate::time::Timestamp;

/// Longer than a batch that could not be sent is put off.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 86_400);
/// Batches sent in one sweep.
const DISPATCH_LIMIT: usize = 500;

/// Sends batches whose lease ran out, gets parked batches into a round once the budget covers them,
/// tells again of closed rounds that nobody aggregated, and once an hour looks for uploads whose
/// event was lost.
///
/// # Errors
/// If the ledger, the bus or a bucket fails; the next sweep goes on.
pub async fn reconcile<W: World>(world: &W) -> PortResult<()> {
    let campaigns = world.ledger().campaigns().await?;
    for campaign in &campaigns {
        unpark(world, campaign).await?;
    }
    dispatch::dispatch_due(world, DISPATCH_LIMIT).await?;
    let mut oldest = oldest_batch(world).await?;
    for id in world.ledger().unfinished_rounds().await? {
        if let Some(round) = world.ledger().round(&id).await?
            && round.state == RoundState::Closed
        {
            let closed = round.close.as_ref().map(|close| close.at);
            oldest = oldest.into_iter().chain(closed).min();
            rounds::emit_closed(world, &round).await?;
        }
    }
    let now = world.clock().now();
    let age = oldest.map_or(Duration::ZERO, |since| now.since(since));
    tracing::info!(metric.oldest_work_seconds = age.as_secs(), "swept");
    // Last, because it takes longest.
    look::look(world, &campaigns).await
}

/// When the first batch in line was written that the crowd does not have yet.
async fn oldest_batch<W: World>(world: &W) -> PortResult<Option<Timestamp>> {
    let ledger = world.ledger();
    let due = ledger
        .due_batches(world.clock().now().plus(LONGEST_WAIT), 1)
        .await?;
    let Some(id) = due.first() else {
        return Ok(None);
    };
    let batch = ledger.batch(*id).await?;
    Ok(batch
        .filter(|batch| batch.state == BatchState::Ready)
        .map(|batch| batch.created))
}

/// Parked batches go into the open round, oldest first, as far as the budget reaches.
async fn unpark<W: World>(world: &W, name: &CampaignName) -> PortResult<()> {
    let ledger = world.ledger();
    let parked = ledger.parked(name).await?;
    if parked.is_empty() {
        return Ok(());
    }
    let Some(item) = ledger.campaign(name).await? else {
        return Ok(());
    };
    for id in parked {
        let Some(batch) = ledger.batch(id).await? else {
            continue;
        };
        let covered = item
            .campaign
            .budget
            .is_none_or(|budget| item.committed + batch.reserved <= budget);
        if !covered {
            return Ok(());
        }
        let round = ingest::open_round(world, name).await?;
        let at = world.clock().now();
        if let Admitted::OverBudget { .. } = ledger
            .unpark(&batch, &round.id, item.campaign.budget, at)
            .await?
        {
            return Ok(());
        }
    }
    Ok(())
}
