//! BATCH items: how images enter a round, and what becomes of them.

use quorate_core::ids::{BatchId, CampaignName, RoundId};
use quorate_core::ports::{Admission, Admitted, Page, Write};
use quorate_core::state::{Batch, BatchState, Kind, Outcome, RoundState};
use quorate_core::time::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use rust_decimal::Decimal;

use super::codec::{Count, Json, Word};
use super::rounds::done_if;
use super::{Failure, Step, campaigns, images, page};

/// Batches in a page: some thousands of images.
const PAGE: usize = 50;

/// What comes into a round.
#[derive(Default)]
struct Arrivals {
    images: u64,
    aliases: u64,
    batches: u64,
    reserved: Decimal,
}

/// What an intake asks of a round before it changes it.
struct Standing {
    state: RoundState,
    images: u64,
    reserved: Decimal,
}

pub(super) fn admit(tx: &Transaction<'_>, admission: &Admission) -> Step<Admitted> {
    // Known goes before sealed: an admission that is asked for again after its round was sealed
    // must not be sent on to the next round.
    if known(tx, admission)? {
        return Ok(Admitted::Known);
    }
    let batch = admission.batch.as_ref();
    let aliases = count(admission.aliases.len());
    let arrivals = Arrivals {
        images: aliases + batch.map_or(0, |batch| count(batch.members.len())),
        aliases,
        batches: u64::from(batch.is_some()),
        reserved: batch.map_or(Decimal::ZERO, |batch| batch.reserved),
    };
    let admitted = take_in(
        tx,
        &admission.round,
        &arrivals,
        admission.budget,
        admission.at,
    )?;
    if let Admitted::Done { .. } = admitted {
        put_images(tx, admission)?;
        if let Some(batch) = batch {
            put(tx, batch, BatchState::Ready, Some(&admission.round))?;
        }
    }
    Ok(admitted)
}

/// Aliases cost nothing and wait for nothing: they go into the round, which must then be open.
pub(super) fn park(tx: &Transaction<'_>, admission: &Admission) -> Step<Admitted> {
    if known(tx, admission)? {
        return Ok(Admitted::Known);
    }
    let aliases = count(admission.aliases.len());
    let parked = if aliases == 0 {
        Admitted::Done {
            images: standing(tx, &admission.round)?.images,
        }
    } else {
        let arrivals = Arrivals {
            images: aliases,
            aliases,
            ..Arrivals::default()
        };
        take_in(tx, &admission.round, &arrivals, None, admission.at)?
    };
    if let Admitted::Done { .. } = parked {
        put_images(tx, admission)?;
        if let Some(batch) = &admission.batch {
            put(tx, batch, BatchState::Parked, None)?;
        }
    }
    Ok(parked)
}

pub(super) fn parked(tx: &Transaction<'_>, campaign: &CampaignName) -> Step<Vec<BatchId>> {
    let ids = tx
        .prepare_cached(
            "SELECT id FROM batch WHERE campaign = ?1 AND state = 'PARKED' ORDER BY created, id",
        )?
        .query_map([campaign.as_str()], |row| row.get(0).map(|Word(id)| id))?
        .collect::<Result<_, _>>()?;
    Ok(ids)
}

pub(super) fn unpark(
    tx: &Transaction<'_>,
    batch: &Batch,
    round: &RoundId,
    budget: Option<Decimal>,
    at: Timestamp,
) -> Step<Admitted> {
    let Some(stored) = get(tx, batch.id)? else {
        return Err(Failure::Refused(format!("there is no batch {}", batch.id)));
    };
    if stored.state != BatchState::Parked {
        return Ok(Admitted::Known);
    }
    let arrivals = Arrivals {
        images: count(stored.members.len()),
        batches: 1,
        reserved: batch.reserved,
        ..Arrivals::default()
    };
    let admitted = take_in(tx, round, &arrivals, budget, at)?;
    if let Admitted::Done { .. } = admitted {
        tx.prepare_cached(
            "UPDATE batch SET state = 'READY', round = ?2, reserved = ?3, due = ?4 WHERE id = ?1",
        )?
        .execute(params![
            Word(batch.id),
            round.number,
            Word(batch.reserved),
            at.0
        ])?;
    }
    Ok(admitted)
}

/// Whether anything that an admission would write exists.
fn known(tx: &Transaction<'_>, admission: &Admission) -> Step<bool> {
    for alias in &admission.aliases {
        if images::exists(tx, alias.id)? {
            return Ok(true);
        }
    }
    let Some(batch) = &admission.batch else {
        return Ok(false);
    };
    for image in &batch.members {
        let known = if admission.claim_content {
            images::original(tx, &image.campaign, &image.sha256)?.is_some()
        } else {
            images::exists(tx, image.id)?
        };
        if known {
            return Ok(true);
        }
    }
    let exists = tx
        .prepare_cached("SELECT 1 FROM batch WHERE id = ?1")?
        .exists([Word(batch.id)])?;
    Ok(exists)
}

/// Keeps the images of an admission from being admitted again.
fn put_images(tx: &Transaction<'_>, admission: &Admission) -> Step<()> {
    for image in admission.batch.iter().flat_map(|batch| &batch.members) {
        if admission.claim_content {
            images::claim_content(tx, image)?;
        } else {
            images::put(tx, image, None)?;
        }
    }
    for alias in &admission.aliases {
        images::put(tx, alias, Some(&admission.round))?;
    }
    Ok(())
}

/// Counts arrivals in an open round and reserves their money under the budget.
fn take_in(
    tx: &Transaction<'_>,
    round: &RoundId,
    arrivals: &Arrivals,
    budget: Option<Decimal>,
    at: Timestamp,
) -> Step<Admitted> {
    let standing = standing(tx, round)?;
    if standing.state != RoundState::Open {
        return Ok(Admitted::Sealed);
    }
    let committed = campaigns::committed(tx, &round.campaign)?;
    let after = committed + arrivals.reserved;
    if arrivals.batches > 0 && budget.is_some_and(|budget| after > budget) {
        return Ok(Admitted::OverBudget { committed });
    }
    campaigns::set_committed(tx, &round.campaign, after)?;
    tx.prepare_cached(
        "UPDATE round SET images = images + ?3, aliases = aliases + ?4, batches = batches + ?5,
             reserved = ?6, last_upload = max(last_upload, ?7)
         WHERE campaign = ?1 AND number = ?2",
    )?
    .execute(params![
        round.campaign.as_str(),
        round.number,
        Count(arrivals.images),
        Count(arrivals.aliases),
        Count(arrivals.batches),
        Word(standing.reserved + arrivals.reserved),
        at.0,
    ])?;
    Ok(Admitted::Done {
        images: standing.images + arrivals.images,
    })
}

fn standing(tx: &Transaction<'_>, round: &RoundId) -> Step<Standing> {
    let standing = tx
        .prepare_cached(
            "SELECT state, images, reserved FROM round WHERE campaign = ?1 AND number = ?2",
        )?
        .query_row(params![round.campaign.as_str(), round.number], |row| {
            let (Word(state), Count(images), Word(reserved)) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Standing {
                state,
                images,
                reserved,
            })
        })
        .optional()?;
    standing.ok_or_else(|| Failure::Refused(format!("there is no round {round}")))
}

/// What a control batch reserves, if anything, is its caller's affair: no round counts it.
pub(super) fn add_control(tx: &Transaction<'_>, batch: &Batch) -> Step<Write> {
    if get(tx, batch.id)?.is_some() {
        return Ok(Write::Lost);
    }
    if let Some(round) = &batch.round {
        let counted = tx
            .prepare_cached(
                "UPDATE round SET batches = batches + 1 WHERE campaign = ?1 AND number = ?2
                 AND state IN ('OPEN', 'SEALED') AND pool IS NULL",
            )?
            .execute(params![round.campaign.as_str(), round.number])?;
        if counted == 0 {
            return Ok(Write::Lost);
        }
    }
    put(tx, batch, batch.state, batch.round.as_ref())?;
    Ok(Write::Done)
}

fn put(
    tx: &Transaction<'_>,
    batch: &Batch,
    state: BatchState,
    round: Option<&RoundId>,
) -> Step<()> {
    tx.prepare_cached(
        "INSERT INTO batch (id, campaign, round, kind, pool, members, state, reserved, created,
             first_sent, fence, writer, due, attempts, last_error, outcomes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        Word(batch.id),
        batch.campaign.as_str(),
        round.map(|round| round.number),
        Word(batch.kind),
        batch.pool,
        Json(&batch.members),
        Word(state),
        Word(batch.reserved),
        batch.created.0,
        batch.first_sent.map(|at| at.0),
        Count(batch.fence),
        batch.writer,
        batch.due.0,
        batch.attempts,
        batch.last_error,
        Json(&batch.outcomes),
    ])?;
    Ok(())
}

pub(super) fn get(tx: &Transaction<'_>, id: BatchId) -> Step<Option<Batch>> {
    let batch = tx
        .prepare_cached("SELECT * FROM batch WHERE id = ?1")?
        .query_row([Word(id)], from_row)
        .optional()?;
    Ok(batch)
}

pub(super) fn due(tx: &Transaction<'_>, now: Timestamp, limit: usize) -> Step<Vec<BatchId>> {
    let ids = tx
        .prepare_cached(
            "SELECT id FROM batch WHERE state = 'READY' AND due <= ?1 ORDER BY due, id LIMIT ?2",
        )?
        .query_map(
            params![now.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| row.get(0).map(|Word(id)| id),
        )?
        .collect::<Result<_, _>>()?;
    Ok(ids)
}

pub(super) fn claim(
    tx: &Transaction<'_>,
    id: BatchId,
    writer: &str,
    now: Timestamp,
    until: Timestamp,
) -> Step<Option<Batch>> {
    let Some(batch) = get(tx, id)?.filter(|batch| batch.state == BatchState::Ready) else {
        return Ok(None);
    };
    if batch.fence > 0 && batch.writer == writer && batch.due == until {
        return Ok(Some(batch));
    }
    if batch.due > now {
        return Ok(None);
    }
    tx.prepare_cached(
        "UPDATE batch SET fence = fence + 1, attempts = attempts + 1, writer = ?2, due = ?3,
             first_sent = coalesce(first_sent, ?4)
         WHERE id = ?1",
    )?
    .execute(params![Word(id), writer, until.0, now.0])?;
    get(tx, id)
}

pub(super) fn postpone(
    tx: &Transaction<'_>,
    id: BatchId,
    fence: u64,
    due: Timestamp,
    error: Option<&str>,
) -> Step<Write> {
    let written = tx
        .prepare_cached(
            "UPDATE batch SET due = ?3, last_error = ?4
             WHERE id = ?1 AND fence = ?2 AND state = 'READY'",
        )?
        .execute(params![Word(id), Count(fence), due.0, error])?;
    Ok(done_if(written == 1))
}

pub(super) fn finish(
    tx: &Transaction<'_>,
    id: BatchId,
    fence: u64,
    outcomes: &[Outcome],
) -> Step<Write> {
    let Some(batch) = get(tx, id)?.filter(|batch| batch.fence == fence) else {
        return Ok(Write::Lost);
    };
    match batch.state {
        BatchState::Parked => return Ok(Write::Lost),
        BatchState::Done => return Ok(done_if(batch.outcomes == outcomes)),
        BatchState::Ready => {}
    }
    if batch.members.len() != outcomes.len() {
        return Err(Failure::Refused(format!(
            "batch {id} has {} members, not {}",
            batch.members.len(),
            outcomes.len()
        )));
    }
    tx.prepare_cached("UPDATE batch SET state = 'DONE', outcomes = ?2 WHERE id = ?1")?
        .execute(params![Word(id), Json(outcomes)])?;
    if let Some(round) = &batch.round {
        count_done(tx, round, batch.kind, outcomes)?;
    }
    Ok(Write::Done)
}

fn count_done(tx: &Transaction<'_>, round: &RoundId, kind: Kind, outcomes: &[Outcome]) -> Step<()> {
    let is_task = |outcome: &&Outcome| matches!(outcome, Outcome::Task(_));
    let made = count(outcomes.iter().filter(is_task).count());
    let refused = count(outcomes.len()) - made;
    let (tasks, refused, golden_tasks) = match kind {
        Kind::Real => (made, refused, 0),
        Kind::Golden => (0, 0, made),
        Kind::Exam | Kind::Training => (0, 0, 0),
    };
    tx.prepare_cached(
        "UPDATE round SET batches_done = batches_done + 1, tasks = tasks + ?3,
             refused = refused + ?4, golden_tasks = golden_tasks + ?5
         WHERE campaign = ?1 AND number = ?2",
    )?
    .execute(params![
        round.campaign.as_str(),
        round.number,
        Count(tasks),
        Count(refused),
        Count(golden_tasks),
    ])?;
    Ok(())
}

pub(super) fn of_round(
    tx: &Transaction<'_>,
    round: &RoundId,
    after: Option<&str>,
) -> Step<Page<Batch>> {
    let batches = tx
        .prepare_cached(
            "SELECT * FROM batch WHERE campaign = ?1 AND round = ?2 AND id > ?3
             ORDER BY id LIMIT ?4",
        )?
        .query_map(
            params![
                round.campaign.as_str(),
                round.number,
                after.unwrap_or_default(),
                Count(count(PAGE + 1)),
            ],
            from_row,
        )?
        .collect::<Result<_, _>>()?;
    Ok(page(batches, PAGE, |batch: &Batch| batch.id.to_string()))
}

/// A number of things in memory; it always fits.
pub(super) fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Batch> {
    let Word(id) = row.get("id")?;
    let Word::<CampaignName>(campaign) = row.get("campaign")?;
    let round = row.get::<_, Option<u32>>("round")?.map(|number| RoundId {
        campaign: campaign.clone(),
        number,
    });
    let Word(kind) = row.get("kind")?;
    let Json(members) = row.get("members")?;
    let Word(state) = row.get("state")?;
    let Word(reserved) = row.get("reserved")?;
    let Count(fence) = row.get("fence")?;
    let Json(outcomes) = row.get("outcomes")?;
    Ok(Batch {
        id,
        campaign,
        round,
        kind,
        pool: row.get("pool")?,
        members,
        state,
        reserved,
        created: Timestamp(row.get("created")?),
        first_sent: row.get::<_, Option<i64>>("first_sent")?.map(Timestamp),
        fence,
        writer: row.get("writer")?,
        due: Timestamp(row.get("due")?),
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        outcomes,
    })
}
