//! The rest of a round that fills no full page: let out on smaller pages, as far as the money goes.
//!
//! *When.* A round is sealed, all its tasks are in the pool, nobody has a page, and the rest is small:
//! at most `o·(m − 1)` answers are wanted, with `o` answers an image and `m` images on a page at
//! least. While there are more, any `o` workers who have judged nothing but what is answered can go
//! on: an image that misses `x` answers is new to at least `x` of them, so together they have more than
//! `o·(m − 1)` images to judge, and one of them has `m`.
//!
//! *How small.* As small as the pages that are reserved allow, see [`budget`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::budget;
use crate::event::ProblemKind;
use crate::ids::ImageId;
use crate::ports::{Admitted, Assignment, Clock, Crowd, Ledger, PoolStatus, PortResult, World};
use crate::rounds;
use crate::state::{Round, RoundPool, RoundState};
use crate::time::Timestamp;

/// When workers who skip pages have left so much that nobody is offered a full page, the rest is not
/// small. So long without a page, smaller ones are let out all the same, from what is reserved.
const STILL: Duration = Duration::from_secs(3600);
/// How long a pool whose rest is small waits for somebody new before it is given up: a weekend.
const GIVE_UP: Duration = Duration::from_secs(3 * 86_400);

/// Lets out smaller pages if that is due, or closes the pool if the budget has none. Whether the pool
/// is another now.
pub(crate) async fn let_out<W: World>(
    world: &W,
    round: &Round,
    pool: &RoundPool,
    status: &PoolStatus,
) -> PortResult<bool> {
    let updating = !status.open && status.close_reason.as_deref() == Some("FOR_UPDATE");
    if !(updating || status.open && status.least_images > 1) || !is_whole(round, pool) {
        return Ok(false);
    }
    let crowd = world.crowd();
    if status.open && rounds::has_active_pages(world, pool).await? {
        return Ok(false);
    }
    let rest = Rest::of(world, round, pool).await?;
    let present = u64::from(status.least_images);
    let least = least_images(world, round, pool, &rest, present).await?;
    if least < present {
        if status.open {
            crowd.close_for_update(&pool.id).await?;
        }
        tracing::info!(round = %round.id, least, wanted = rest.wanted, "the rest goes out on smaller pages");
        crowd
            .set_least_images(&pool.id, u32::try_from(least).unwrap_or(u32::MAX))
            .await?;
    } else if status.open {
        if !rest.is_stuck(present, world.clock().now()) {
            return Ok(false);
        }
        give_up(world, round, &rest).await?;
        crowd.close_pool(&pool.id).await?;
        return Ok(true);
    }
    // If the balance does not cover it, the next tick comes here again.
    crowd.open_pool(&pool.id).await?;
    Ok(true)
}

/// Whether a round with a budget gets no more tasks, and its workers have all of them.
fn is_whole(round: &Round, pool: &RoundPool) -> bool {
    let counts = &round.counts;
    pool.campaign.budget.is_some()
        && round.state == RoundState::Sealed
        && counts.batches_done == counts.batches
        && round.opened_with == counts.batches
}

/// What workers did in a round.
#[derive(Debug, Default)]
struct Done {
    /// Pages that are paid.
    pages: u64,
    /// Answers to each image.
    answers: BTreeMap<ImageId, u64>,
    /// When the last page was sent in.
    last: Option<Timestamp>,
}

impl Done {
    fn add(&mut self, page: &Assignment) {
        self.pages += 1;
        let real = page.answers.iter().filter(|answer| answer.known.is_none());
        for image in real.filter_map(|answer| answer.image) {
            *self.answers.entry(image).or_default() += 1;
        }
        self.last = self.last.max(page.submitted.as_deref().and_then(instant));
    }
}

/// What is left of a round.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    /// Pages that are paid.
    paid: u64,
    /// Answers that are still wanted; those of pages in somebody's hands are.
    wanted: u64,
    /// Images that still want answers.
    images: u64,
    /// Answers that an image wants in all.
    overlap: u64,
    /// When the last page was sent in.
    last: Option<Timestamp>,
}

impl Rest {
    /// What is left of a round in its pool, by the pages that are paid.
    async fn of<W: World>(world: &W, round: &Round, pool: &RoundPool) -> PortResult<Self> {
        let mut done = Done::default();
        let mut after: Option<String> = None;
        loop {
            let (field, statuses) = (&pool.campaign.answer_field, ["ACCEPTED", "SUBMITTED"]);
            let listed = world
                .crowd()
                .assignments(&pool.id, field, &statuses, after.as_deref())
                .await?;
            listed.items.iter().for_each(|page| done.add(page));
            match listed.next {
                Some(next) => after = Some(next),
                None => return Ok(Self::without(round, pool, &done)),
            }
        }
    }

    fn without(round: &Round, pool: &RoundPool, done: &Done) -> Self {
        let (tasks, overlap) = (round.counts.tasks, u64::from(pool.campaign.overlap));
        let answers = done.answers.values();
        let whole = answers
            .clone()
            .filter(|answers| **answers >= overlap)
            .count() as u64;
        let answered = answers.map(|answers| overlap.min(*answers)).sum();
        Self {
            paid: done.pages,
            wanted: budget::answers(&pool.campaign, tasks).saturating_sub(answered),
            images: tasks.saturating_sub(whole),
            overlap,
            last: done.last,
        }
    }

    /// Whether it is so small that perhaps nobody can take a page of `least` images.
    fn is_small(&self, least: u64) -> bool {
        let most = self.overlap.saturating_mul(least.saturating_sub(1));
        (1..=most).contains(&self.wanted)
    }

    /// Whether nobody took a page for so long.
    fn is_still(&self, time: Duration, now: Timestamp) -> bool {
        self.last.is_some_and(|last| now.since(last) >= time)
    }

    /// Whether it stays as it is: there are no pages of `least` images in it, or nobody new comes.
    fn is_stuck(&self, least: u64, now: Timestamp) -> bool {
        self.is_small(least) && (self.images < least || self.is_still(GIVE_UP, now))
    }
}

/// An instant as the crowd writes it: in UTC, without a zone.
fn instant(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.trim_end_matches('Z').parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.into())
}

/// How many images a page must have from now on; `present` if it stays as it is. What smaller pages
/// need is reserved.
async fn least_images<W: World>(
    world: &W,
    round: &Round,
    pool: &RoundPool,
    rest: &Rest,
    present: u64,
) -> PortResult<u64> {
    let price = budget::price(&pool.campaign, world.crowd().fee());
    let least_for = |money: Decimal| {
        let pages = budget::pages_for(money, price).saturating_sub(rest.paid);
        budget::least_images(rest.wanted, pages).min(present)
    };
    let reserved = least_for(round.reserved);
    if !rest.is_small(present) {
        let still = rest.wanted > 0 && rest.is_still(STILL, world.clock().now());
        return Ok(if still { reserved } else { present });
    }
    let missing_for = |least: u64| {
        let pages = rest.paid + rest.wanted / least.max(1);
        Decimal::from(pages) * price - round.reserved
    };
    let item = world.ledger().campaign(&round.id.campaign).await?;
    let cap = item.and_then(|item| item.campaign.budget);
    let mut least = 1;
    // Again with what the budget has left if it has not enough for the smallest pages.
    for _ in 0..2 {
        if least >= reserved {
            break;
        }
        match world
            .ledger()
            .reserve(&round.id, missing_for(least), cap)
            .await?
        {
            Admitted::Done { .. } => return Ok(least),
            Admitted::OverBudget { committed } => {
                let room = (cap.unwrap_or_default() - committed).max(Decimal::ZERO);
                least = least_for(round.reserved + room);
            }
            Admitted::Known | Admitted::Sealed => return Ok(present),
        }
    }
    Ok(reserved)
}

async fn give_up<W: World>(world: &W, round: &Round, rest: &Rest) -> PortResult<()> {
    let message = format!(
        "round {}: {} answers to {} images are missing on pages that the budget does not cover: its pool is \
         closed; images may have fewer answers than the overlap asks for",
        round.id, rest.wanted, rest.images
    );
    rounds::problem(
        world,
        &round.id,
        ProblemKind::BudgetReached,
        "rest",
        message,
    )
    .await
}

#[cfg(test)]
mod tests;
