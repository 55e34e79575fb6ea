//! ROUND items.

use quorate_core::ids::RoundId;
use quorate_core::ports::{Admitted, Write};
use quorate_core::state::{Close, Counts, Round, RoundPool, RoundState, SealReason};
use quorate_core::time::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use rust_decimal::Decimal;

use super::codec::{Count, Json, Word};
use super::{Failure, Step, campaigns};

/// Opens a round; the same round opened at the same instant is the same write.
pub(super) fn open(tx: &Transaction<'_>, id: &RoundId, at: Timestamp) -> Step<Write> {
    if let Some(round) = get(tx, id)? {
        return Ok(done_if(round.opened == at));
    }
    let opened = tx
        .prepare_cached("UPDATE campaign SET round = ?2 WHERE name = ?1 AND round = ?2 - 1")?
        .execute(params![id.campaign.as_str(), id.number])?;
    if opened == 1 {
        tx.prepare_cached(
            "INSERT INTO round (campaign, number, opened, last_upload) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![id.campaign.as_str(), id.number, at.0])?;
    }
    Ok(done_if(opened == 1))
}

pub(super) fn get(tx: &Transaction<'_>, id: &RoundId) -> Step<Option<Round>> {
    let round = tx
        .prepare_cached("SELECT * FROM round WHERE campaign = ?1 AND number = ?2")?
        .query_row(params![id.campaign.as_str(), id.number], from_row)
        .optional()?;
    Ok(round)
}

pub(super) fn unfinished(tx: &Transaction<'_>) -> Step<Vec<RoundId>> {
    let rounds = tx
        .prepare_cached(
            "SELECT campaign, number FROM round WHERE state <> 'AGGREGATED'
             ORDER BY campaign, number",
        )?
        .query_map([], id_from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rounds)
}

/// A round that is closed has no use for a pool, so this is for `OPEN` and `SEALED` ones.
pub(super) fn set_pool(tx: &Transaction<'_>, id: &RoundId, pool: &RoundPool) -> Step<Write> {
    let Some(round) = get(tx, id)? else {
        return Ok(Write::Lost);
    };
    if let Some(stored) = round.pool {
        return Ok(done_if(stored == *pool));
    }
    if round.state > RoundState::Sealed {
        return Ok(Write::Lost);
    }
    tx.prepare_cached("UPDATE round SET pool = ?3 WHERE campaign = ?1 AND number = ?2")?
        .execute(params![id.campaign.as_str(), id.number, Json(pool)])?;
    Ok(Write::Done)
}

pub(super) fn pool_opened(tx: &Transaction<'_>, id: &RoundId, batches_done: u64) -> Step<Write> {
    let written = tx
        .prepare_cached(
            "UPDATE round SET opened_with = ?3
             WHERE campaign = ?1 AND number = ?2 AND opened_with <= ?3",
        )?
        .execute(params![
            id.campaign.as_str(),
            id.number,
            Count(batches_done)
        ])?;
    Ok(done_if(written == 1))
}

/// A closed round has no reservation any more, what it spent took its place: it counts as sealed.
pub(super) fn reserve(
    tx: &Transaction<'_>,
    id: &RoundId,
    amount: Decimal,
    budget: Option<Decimal>,
) -> Step<Admitted> {
    let Some(round) = get(tx, id)? else {
        return Err(Failure::Refused(format!("there is no round {id}")));
    };
    if round.state > RoundState::Sealed {
        return Ok(Admitted::Sealed);
    }
    let committed = campaigns::committed(tx, &id.campaign)?;
    if budget.is_some_and(|budget| committed + amount > budget) {
        return Ok(Admitted::OverBudget { committed });
    }
    campaigns::set_committed(tx, &id.campaign, committed + amount)?;
    tx.prepare_cached("UPDATE round SET reserved = ?3 WHERE campaign = ?1 AND number = ?2")?
        .execute(params![
            id.campaign.as_str(),
            id.number,
            Word(round.reserved + amount)
        ])?;
    Ok(Admitted::Done {
        images: round.counts.images,
    })
}

/// Sealing for the same reason is the same write, whoever asks for it.
pub(super) fn seal(tx: &Transaction<'_>, id: &RoundId, reason: SealReason) -> Step<Write> {
    let Some(round) = get(tx, id)? else {
        return Ok(Write::Lost);
    };
    if round.state != RoundState::Open {
        return Ok(done_if(round.seal == Some(reason)));
    }
    tx.prepare_cached(
        "UPDATE round SET state = 'SEALED', seal = ?3 WHERE campaign = ?1 AND number = ?2",
    )?
    .execute(params![id.campaign.as_str(), id.number, Word(reason)])?;
    Ok(Write::Done)
}

/// A close with the same `last_stopped` is the same close, whenever and by whom it is recorded.
pub(super) fn close(tx: &Transaction<'_>, id: &RoundId, close: &Close) -> Step<Write> {
    let Some(round) = get(tx, id)? else {
        return Ok(Write::Lost);
    };
    if let Some(stored) = round.close {
        return Ok(done_if(stored.last_stopped == close.last_stopped));
    }
    if round.state != RoundState::Sealed || round.counts.batches_done != round.counts.batches {
        return Ok(Write::Lost);
    }
    tx.prepare_cached(
        "UPDATE round SET state = 'CLOSED', close = ?3 WHERE campaign = ?1 AND number = ?2",
    )?
    .execute(params![id.campaign.as_str(), id.number, Json(close)])?;
    let committed = campaigns::committed(tx, &id.campaign)?;
    let committed = committed - round.reserved + close.spent;
    campaigns::set_committed(tx, &id.campaign, committed)?;
    Ok(Write::Done)
}

pub(super) fn claim(
    tx: &Transaction<'_>,
    id: &RoundId,
    writer: &str,
    now: Timestamp,
    until: Timestamp,
) -> Step<Option<Round>> {
    let Some(round) = get(tx, id)?.filter(|round| round.state == RoundState::Closed) else {
        return Ok(None);
    };
    if round.fence > 0 && round.writer == writer && round.due == until {
        return Ok(Some(round));
    }
    if round.due > now {
        return Ok(None);
    }
    tx.prepare_cached(
        "UPDATE round SET fence = fence + 1, attempts = attempts + 1, writer = ?3, due = ?4
         WHERE campaign = ?1 AND number = ?2",
    )?
    .execute(params![id.campaign.as_str(), id.number, writer, until.0])?;
    get(tx, id)
}

pub(super) fn postpone(
    tx: &Transaction<'_>,
    id: &RoundId,
    fence: u64,
    due: Timestamp,
) -> Step<Write> {
    let written = tx
        .prepare_cached(
            "UPDATE round SET due = ?4 WHERE campaign = ?1 AND number = ?2
             AND fence = ?3 AND state = 'CLOSED'",
        )?
        .execute(params![
            id.campaign.as_str(),
            id.number,
            Count(fence),
            due.0
        ])?;
    Ok(done_if(written == 1))
}

pub(super) fn aggregated(tx: &Transaction<'_>, id: &RoundId, fence: u64) -> Step<Write> {
    // The fence stands still once a round is aggregated: it tells the writer that did it.
    let written = tx
        .prepare_cached(
            "UPDATE round SET state = 'AGGREGATED' WHERE campaign = ?1 AND number = ?2
             AND fence = ?3 AND state IN ('CLOSED', 'AGGREGATED')",
        )?
        .execute(params![id.campaign.as_str(), id.number, Count(fence)])?;
    Ok(done_if(written == 1))
}

pub(super) fn done_if(condition: bool) -> Write {
    if condition { Write::Done } else { Write::Lost }
}

fn id_from_row(row: &Row<'_>) -> rusqlite::Result<RoundId> {
    let Word(campaign) = row.get("campaign")?;
    Ok(RoundId {
        campaign,
        number: row.get("number")?,
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Round> {
    let count = |name: &str| row.get(name).map(|Count(count)| count);
    let Word(state) = row.get("state")?;
    let Word(reserved) = row.get("reserved")?;
    Ok(Round {
        id: id_from_row(row)?,
        state,
        opened: Timestamp(row.get("opened")?),
        last_upload: Timestamp(row.get("last_upload")?),
        counts: Counts {
            images: count("images")?,
            aliases: count("aliases")?,
            batches: count("batches")?,
            batches_done: count("batches_done")?,
            tasks: count("tasks")?,
            refused: count("refused")?,
            golden_tasks: count("golden_tasks")?,
        },
        reserved,
        pool: row.get::<_, Option<_>>("pool")?.map(|Json(pool)| pool),
        opened_with: count("opened_with")?,
        seal: row.get::<_, Option<_>>("seal")?.map(|Word(seal)| seal),
        close: row.get::<_, Option<_>>("close")?.map(|Json(close)| close),
        fence: count("fence")?,
        writer: row.get("writer")?,
        due: Timestamp(row.get("due")?),
        attempts: row.get("attempts")?,
    })
}
