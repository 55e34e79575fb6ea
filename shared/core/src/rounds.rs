//! Rounds: seal them, watch their pools, close them. The use case of `check-pools`.
//!
//! ```text
//!          no upload for a while,           all batches DONE, pool opened after the last,
//!          full, old, or asked to           crowd says it is closed and nobody works on it
//!   OPEN ───────────────────────► SEALED ───────────────────────────────► CLOSED ──► PoolClosed
//! ```
//!
//! When a round is over is our decision, never the crowd's: a pool completes whenever its tasks of
//! the moment are done, more uploads open it again, and only a sealed round can close. A pool
//! counts as finished only if it was opened after the last batch was done, so that a completion
//! that did not know of the last tasks is not taken for the end.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::budget;
use crate::dispatch;
use crate::event::{self, Event, Problem, ProblemKind};
use crate::ids::RoundId;
use crate::ports::{
    Admitted, Clock, Crowd, Ledger, Notify, PoolOpened, PoolStatus, PortError, PortResult, World,
    Write,
};
use crate::setup;
use crate::state::{Close, Round, RoundPool, RoundState, SealReason};

/// Images and their control images usually come together; a pool is made when uploads pause for
/// this long, because its shape depends on whether there are control images.
const SETTLE: Duration = Duration::from_secs(10);
/// Batches sent in one tick.
const DISPATCH_LIMIT: usize = 200;

/// One tick: moves every unfinished round as far as it goes. A round that fails does not keep the
/// others waiting.
///
/// # Errors
/// The first failure, after all rounds had their turn.
pub async fn check_pools<W: World>(world: &W) -> PortResult<()> {
    let mut failure = None;
    for id in world.ledger().unfinished_rounds().await? {
        if let Err(error) = check_round(world, &id).await {
            tracing::warn!(round = %id, %error, "round not checked; the next tick tries again");
            // What was refused is refused again until a person changes something.
            if !matches!(error, PortError::Unavailable(_)) {
                event::tell_stuck(world, &id.campaign, Some(id.number), &error).await?;
            }
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Seals a campaign's open round now.
///
/// # Errors
/// If the ledger fails, or the round is not open.
pub async fn seal<W: World>(world: &W, id: &RoundId) -> PortResult<()> {
    match world.ledger().seal_round(id, SealReason::Command).await? {
        Write::Done => Ok(()),
        Write::Lost => Err(PortError::Refused(format!("round {id} is not open"))),
    }
}

async fn check_round<W: World>(world: &W, id: &RoundId) -> PortResult<()> {
    let ledger = world.ledger();
    let Some(mut round) = ledger.round(id).await? else {
        return Ok(());
    };
    if round.state == RoundState::Closed {
        return emit_closed(world, &round).await;
    }
    if round.state == RoundState::Open
        && let Some(reason) = seal_reason(world, &round).await?
    {
        ledger.seal_round(id, reason).await?;
    }
    if round.pool.is_none() && needs_pool(world, &round) {
        setup::prepare(world, &round).await?;
    }
    dispatch::dispatch_due(world, DISPATCH_LIMIT).await?;
    let Some(fresh) = ledger.round(id).await? else {
        return Ok(());
    };
    round = fresh;
    let status = match &round.pool {
        Some(pool) => Some(world.crowd().pool(&pool.id).await?),
        None => None,
    };
    let pool = round.pool.as_ref().zip(status.as_ref());
    if let Some((pool, status)) = pool {
        if open_if_due(world, &round, pool, status).await? && !status.open {
            // Nobody has a page of what is new in it, and it is not over.
            return Ok(());
        }
        guard(world, &round, pool, status).await?;
    }
    close_if_done(world, &round, pool).await
}

/// Whether a round's intake is over, and why.
async fn seal_reason<W: World>(world: &W, round: &Round) -> PortResult<Option<SealReason>> {
    let Some(item) = world.ledger().campaign(&round.id.campaign).await? else {
        return Ok(None);
    };
    let rules = item.campaign.round;
    let now = world.clock().now();
    let minutes = |minutes: f64| Duration::from_secs_f64(minutes.clamp(0.0, 1e9) * 60.0);
    if round.counts.images == 0 {
        return Ok(None);
    }
    Ok(if round.counts.images >= rules.max_images {
        Some(SealReason::Size)
    } else if now.since(round.last_upload) >= minutes(rules.idle_minutes) {
        Some(SealReason::Idle)
    } else if now.since(round.opened) >= minutes(rules.max_age_hours * 60.0) {
        Some(SealReason::Age)
    } else {
        None
    })
}

fn needs_pool<W: World>(world: &W, round: &Round) -> bool {
    let settled = world.clock().now().since(round.last_upload) >= SETTLE;
    round.counts.batches > 0 && (settled || round.state != RoundState::Open)
}

/// Opens a pool that has got tasks since it was opened last. Whether it did.
async fn open_if_due<W: World>(
    world: &W,
    round: &Round,
    pool: &RoundPool,
    status: &PoolStatus,
) -> PortResult<bool> {
    let counts = &round.counts;
    let golden_missing =
        pool.golden && counts.golden_tasks == 0 && counts.batches_done < counts.batches;
    let reason = status.close_reason.as_deref().filter(|_| !status.open);
    let has_new = round.opened_with < counts.batches_done || reason == Some("NOT_ENOUGH_BALANCE");
    if counts.tasks == 0 || golden_missing || !has_new {
        return Ok(false);
    }
    // Who closes a pool by hand wants it closed.
    if reason == Some("MANUAL") || !setup::open_admission(world, pool, &round.id.campaign).await? {
        return Ok(false);
    }
    match world.crowd().open_pool(&pool.id).await? {
        PoolOpened::Opened => {
            tracing::info!(
                "round {}: {} tasks are open to workers",
                round.id,
                counts.tasks
            );
            world
                .ledger()
                .pool_opened(&round.id, counts.batches_done)
                .await?;
            Ok(true)
        }
        PoolOpened::Empty => Ok(false),
        PoolOpened::NotEnoughBalance => {
            let message = format!(
                "round {}: the account's balance does not cover pool {}; top it up, the pool opens by itself then",
                round.id, pool.id
            );
            problem(
                world,
                &round.id,
                ProblemKind::NotEnoughBalance,
                "open",
                message,
            )
            .await?;
            Ok(false)
        }
    }
}

/// Keeps what a pool costs within what is reserved for it: pages at the end of a pool are not full,
/// so they can be more than planned. Reserves more while the budget has it, else closes the pool.
/// Pages that workers hold count as paid; what they take between two ticks can still pass the cap.
async fn guard<W: World>(
    world: &W,
    round: &Round,
    pool: &RoundPool,
    status: &PoolStatus,
) -> PortResult<()> {
    let item = world.ledger().campaign(&round.id.campaign).await?;
    let cap = item.and_then(|item| item.campaign.budget);
    if !status.open || cap.is_none() {
        return Ok(());
    }
    let crowd = world.crowd();
    let paid = crowd.spent(&pool.id).await?;
    let field = &pool.campaign.answer_field;
    let held = crowd
        .assignments(&pool.id, field, &["ACTIVE"], None)
        .await?;
    let held: Decimal = held.items.iter().map(|page| page.reward).sum();
    let cost = budget::with_fee(paid + held, crowd.fee());
    let tail = budget::tail(&pool.campaign, crowd.fee());
    if cost + tail / Decimal::TWO <= round.reserved {
        return Ok(());
    }
    let reserved = world.ledger().reserve(&round.id, tail, cap).await?;
    let next_page = budget::with_fee(pool.campaign.reward_per_page, crowd.fee());
    let no_more = cost + next_page > round.reserved;
    if let (Admitted::OverBudget { .. }, true) = (reserved, no_more) {
        crowd.close_pool(&pool.id).await?;
        let message = format!(
            "round {}: {cost} dollars are spent or out with workers and the budget has no more: its pool was \
             closed; images may have fewer answers than the overlap asks for",
            round.id
        );
        problem(
            world,
            &round.id,
            ProblemKind::BudgetReached,
            "guard",
            message,
        )
        .await?;
    }
    Ok(())
}

/// Closes a sealed round whose work at the crowd is over.
async fn close_if_done<W: World>(
    world: &W,
    round: &Round,
    pool: Option<(&RoundPool, &PoolStatus)>,
) -> PortResult<()> {
    let drained = round.counts.batches_done == round.counts.batches;
    if round.state != RoundState::Sealed || !drained {
        return Ok(());
    }
    let Some((pool, status)) = pool.filter(|_| round.counts.tasks > 0) else {
        // Nothing to work on: only images with the bytes of others, or all were refused.
        let close = Close {
            reason: "EMPTY".to_owned(),
            last_stopped: String::new(),
            at: world.clock().now(),
            spent: Decimal::ZERO,
        };
        return finish(world, round, &close).await;
    };
    let reason = status.close_reason.clone().unwrap_or_default();
    let by_hand = !matches!(
        reason.as_str(),
        "" | "COMPLETED" | "NOT_ENOUGH_BALANCE" | "FOR_UPDATE"
    );
    if status.open
        || !(reason == "COMPLETED" && round.opened_with == round.counts.batches_done || by_hand)
    {
        return Ok(());
    }
    let working = world
        .crowd()
        .assignments(&pool.id, &pool.campaign.answer_field, &["ACTIVE"], None)
        .await?;
    if !working.items.is_empty() {
        return Ok(());
    }
    if by_hand {
        let message = format!(
            "round {}: pool {} was closed ({reason}) before its work was done; labels rest on the answers so far",
            round.id, pool.id
        );
        problem(
            world,
            &round.id,
            ProblemKind::PoolClosedEarly,
            "close",
            message,
        )
        .await?;
    }
    let rewards = world.crowd().spent(&pool.id).await?;
    let close = Close {
        reason,
        last_stopped: status.last_stopped.clone().unwrap_or_default(),
        at: world.clock().now(),
        spent: budget::with_fee(rewards, world.crowd().fee()),
    };
    finish(world, round, &close).await
}

async fn finish<W: World>(world: &W, round: &Round, close: &Close) -> PortResult<()> {
    match world.ledger().close_round(&round.id, close).await? {
        Write::Done => {
            let cost = close.spent.to_f64().unwrap_or_default();
            tracing::info!(round = %round.id, reason = close.reason, metric.rounds_closed = 1, metric.cost_dollars = cost, "round closed");
            world
                .notify()
                .notify(&Event::pool_closed(&round.id, close.at))
                .await
        }
        Write::Lost => Ok(()),
    }
}

/// Tells again that a round is closed, until it is aggregated. A round that somebody aggregates
/// right now is left alone.
pub(crate) async fn emit_closed<W: World>(world: &W, round: &Round) -> PortResult<()> {
    let now = world.clock().now();
    if round.due > now {
        return Ok(());
    }
    world
        .notify()
        .notify(&Event::pool_closed(&round.id, now))
        .await
}

async fn problem<W: World>(
    world: &W,
    id: &RoundId,
    kind: ProblemKind,
    occasion: &str,
    message: String,
) -> PortResult<()> {
    let problem = Problem {
        kind,
        campaign: id.campaign.to_string(),
        round: Some(id.number),
        key: None,
        message,
    };
    let occasion = format!("{id}/{occasion}");
    event::tell(world, problem, &occasion).await
}
