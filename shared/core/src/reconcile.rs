//! The sweep that finishes what a crash, a throttle or a lost reply left half done.
//!
//! Queues are hints, this is the truth: it finds work by the ledger alone. Everything that it
//! calls may be called at any time, by anyone, any number of times.

use crate::dispatch;
use crate::ids::CampaignName;
use crate::ingest;
use crate::ports::{Admitted, Clock, Ledger, PortResult, World};
use crate::rounds;
use crate::state::RoundState;

/// Batches sent in one sweep.
const DISPATCH_LIMIT: usize = 500;

/// Sends batches whose lease ran out, gets parked batches into a round once the budget covers them,
/// and tells again of closed rounds that nobody aggregated.
///
/// # Errors
/// If the ledger or the bus fails; the next sweep goes on.
pub async fn reconcile<W: World>(world: &W) -> PortResult<()> {
    for campaign in world.ledger().campaigns().await? {
        unpark(world, &campaign).await?;
    }
    dispatch::dispatch_due(world, DISPATCH_LIMIT).await?;
    for id in world.ledger().unfinished_rounds().await? {
        if let Some(round) = world.ledger().round(&id).await?
            && round.state == RoundState::Closed
        {
            rounds::emit_closed(world, &round).await?;
        }
    }
    Ok(())
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
