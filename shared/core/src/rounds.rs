//! Rounds: seal them, watch their pools, close them. The use case of `check-pools`.
//!
//! ```text
//!          no upload for a while,           all batches DONE, pool opened after the last, crowd
//!          full, old, or asked to           says it is closed, nobody works on it, archived
//!   OPEN ───────────────────────► SEALED ───────────────────────────────► CLOSED ──► PoolClosed
//! ```
//!
//! When a round is over is our decision, never the crowd's: a pool completes whenever its tasks of
//! the moment are done, more uploads open it again, and only a sealed round can close. A pool
//! counts as finished only if it was opened after the last batch was done, so that a completion
//! that did not know of the last tasks is not taken for the end. Before a round closes its pool is
//! archived: a tick that hung and comes back late cannot open it, so nothing is paid that no round counts.
//!
//! A round of a campaign with a budget is worked on full pages first, so that its pool can cost no more
//! than is reserved ([`budget`]). When it is sealed and what is left fills no full page, smaller
//! ones are let out as far as the money goes:
//!
//! ```text
//!      nobody has a page and the rest is small: list the paid pages, reserve, m := the least that fits
//!                ┌──────────────────────────────────────────────────────────────┐
//!   pool OPEN ───┤                                                              ├──► OPEN with m
//!                └─► closed FOR_UPDATE ──► least images on a page := m ──► open ┘
//! ```
//!
//! Dying between these steps leaves a pool that is closed `FOR_UPDATE`, which nobody takes for one that
//! was closed by hand: the next tick begins again, and so does the crowd if there is none.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::budget;
use crate::campaign::Campaign;
use crate::dispatch;
use crate::event::{self, Event, Problem, ProblemKind};
use crate::ids::RoundId;
use crate::ports::{
    Admitted, Clock, Crowd, Ledger, Notify, PoolOpened, PoolStatus, PortError, PortResult, World,
    Write,
};
use crate::rest;
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
    reserve_shortfall(world, &round).await?;
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
        if rest::let_out(world, &round, pool, status).await? {
            return Ok(());
        }
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

/// A campaign that has become more expensive since a round's images came: they go to the pool when
/// the money for them is reserved.
async fn reserve_shortfall<W: World>(world: &W, round: &Round) -> PortResult<()> {
    let missing = budget::shortfall(round, world.crowd().fee());
    if missing.is_zero() {
        return Ok(());
    }
    let ledger = world.ledger();
    let item = ledger.campaign(&round.id.campaign).await?;
    let cap = item.and_then(|item| item.campaign.budget);
    let Admitted::OverBudget { committed } = ledger.reserve(&round.id, missing, cap).await? else {
        return Ok(());
    };
    let message = format!(
        "round {}: its images cost {missing} dollars more than when they came, and {committed} of the budget are \
         spent or reserved: they wait; raise `budget` in campaign.toml to go on",
        round.id
    );
    let kind = ProblemKind::BudgetReached;
    problem(world, &round.id, kind, "shortfall", message).await
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
        PoolOpened::Archived => {
            // By the crowd after a month, or by a person: what is in it is all there will be.
            let done = counts.batches_done;
            world.ledger().pool_opened(&round.id, done).await?;
            Ok(false)
        }
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
            campaign: campaign_without_pool(world, round).await?,
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
    if has_active_pages(world, pool).await? {
        return Ok(());
    }
    archive(world, round, pool).await?;
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
        campaign: None,
    };
    finish(world, round, &close).await
}

/// What a round's results are made by if it has no pool that says so: whoever makes them, and however
/// late, they are the same.
async fn campaign_without_pool<W: World>(
    world: &W,
    round: &Round,
) -> PortResult<Option<Box<Campaign>>> {
    if round.pool.is_some() {
        return Ok(None);
    }
    let item = world.ledger().campaign(&round.id.campaign).await?;
    Ok(item.map(|item| Box::new(item.campaign)))
}

/// Nobody opens a pool again whose round is over, also no tick of ours that comes late: what it has
/// cost is final.
async fn archive<W: World>(world: &W, round: &Round, pool: &RoundPool) -> PortResult<()> {
    match world.crowd().archive_pool(&pool.id).await {
        Err(PortError::Refused(reason)) => {
            tracing::warn!(round = %round.id, pool = pool.id, reason, "the pool is not archived");
            Ok(())
        }
        archived => archived,
    }
}

/// Whether somebody has a page of a pool.
pub(crate) async fn has_active_pages<W: World>(world: &W, pool: &RoundPool) -> PortResult<bool> {
    let field = &pool.campaign.answer_field;
    let crowd = world.crowd();
    let pages = crowd
        .assignments(&pool.id, field, &["ACTIVE"], None)
        .await?;
    Ok(!pages.items.is_empty())
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

pub(crate) async fn problem<W: World>(
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
