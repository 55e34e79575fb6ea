//! Rounds: `ROUND`, small because every admission writes it, and `POOL`, written once.

use quorate_core::ids::RoundId;
use quorate_core::ports::{Admitted, PortError, PortResult, Write};
use quorate_core::state::{Close, Round, RoundPool, RoundState, SealReason};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::change::Change;
use super::codec::{Item, attribute, bare, decode, encode, pack, unpack};
use super::keys;
use super::request::{Failed, behind};
use super::{DynamoLedger, campaigns, done_if, fenced};

/// Opens a round; the same round opened at the same instant is the same write.
pub(super) async fn open(ledger: &DynamoLedger, id: &RoundId, at: Timestamp) -> PortResult<Write> {
    let round = Round::open(id, at);
    let (key, pointer) = (keys::round(id), keys::unfinished(id));
    let changes = vec![
        Change::create(key.clone(), encode(&key, &round)?),
        campaigns::next_round(id)?,
        Change::put(pointer.clone(), bare(&pointer)),
    ];
    match ledger.transact(changes).await? {
        Ok(()) => Ok(Write::Done),
        Err(failed) => {
            let old = was(&failed, id)?;
            Ok(done_if(old.is_some_and(|old| old.opened == at)))
        }
    }
}

pub(super) async fn get(ledger: &DynamoLedger, id: &RoundId) -> PortResult<Option<Round>> {
    let query = ledger
        .query(&keys::in_round(id))
        .key_condition_expression("pk = :pk AND sk BETWEEN :pool AND :round")
        .expression_attribute_values(":pool", attribute(&keys::POOL)?)
        .expression_attribute_values(":round", attribute(&keys::ROUND)?);
    let items = ledger.found(query, None, usize::MAX).await?;
    let (mut round, mut pool) = (None, None);
    for item in items {
        if behind(&item, keys::POOL).is_some() {
            pool = Some(pool_in(&item)?);
        } else {
            round = Some(decode::<Round>(item)?);
        }
    }
    Ok(round.map(|round| Round { pool, ..round }))
}

/// Images in a round, aliases included.
pub(super) async fn images(ledger: &DynamoLedger, id: &RoundId) -> PortResult<u64> {
    let item = ledger.get(&keys::round(id)).await?;
    let item = item.ok_or_else(|| missing(id))?;
    Ok(decode::<Round>(item)?.counts.images)
}

pub(super) async fn unfinished(ledger: &DynamoLedger) -> PortResult<Vec<RoundId>> {
    let query = ledger.query(keys::UNFINISHED);
    let items = ledger.found(query, None, usize::MAX).await?;
    let id = |item: &Item| behind(item, "")?.parse().ok();
    let mut ids: Vec<RoundId> = items.iter().filter_map(id).collect();
    ids.sort();
    Ok(ids)
}

/// A round that is closed has no use for a pool, so this is for `OPEN` and `SEALED` ones.
pub(super) async fn set_pool(
    ledger: &DynamoLedger,
    id: &RoundId,
    pool: &RoundPool,
) -> PortResult<Write> {
    let key = keys::pool(id);
    let mut item = bare(&key);
    item.insert("packed".to_owned(), pack(pool)?);
    let changes = vec![
        Change::create(key.clone(), item),
        in_work(Change::check(keys::round(id)))?,
    ];
    let failed = match ledger.transact(changes).await? {
        Ok(()) => return Ok(Write::Done),
        Err(failed) => failed,
    };
    match failed.at(&key) {
        Some(old) => Ok(done_if(pool_in(old)? == *pool)),
        None => Ok(Write::Lost),
    }
}

pub(super) async fn pool_opened(
    ledger: &DynamoLedger,
    id: &RoundId,
    batches_done: u64,
) -> PortResult<Write> {
    let change = Change::update(keys::round(id), "SET #opened_with = :done")
        .when("#opened_with <= :done")
        .with(":done", &batches_done)?;
    Ok(done_if(ledger.update(&change).await?.is_ok()))
}

/// A closed round has no reservation any more, what it spent took its place: it counts as sealed.
pub(super) async fn reserve(
    ledger: &DynamoLedger,
    id: &RoundId,
    amount: Decimal,
    budget: Option<Decimal>,
) -> PortResult<Admitted> {
    let change = Change::update(keys::round(id), "SET #reserved = #reserved + :amount")
        .with_money(":amount", amount);
    let changes = vec![
        in_work(change)?,
        campaigns::commit(&id.campaign, amount, budget),
    ];
    taken_in(ledger, id, changes).await
}

/// Sealing for the same reason is the same write, whoever asks for it.
pub(super) async fn seal(
    ledger: &DynamoLedger,
    id: &RoundId,
    reason: SealReason,
) -> PortResult<Write> {
    let change = Change::update(keys::round(id), "SET #state = :sealed, #seal = :reason")
        .when("#state = :open")
        .with(":open", &RoundState::Open)?
        .with(":sealed", &RoundState::Sealed)?
        .with(":reason", &reason)?;
    match ledger.update(&change).await? {
        Ok(_) => Ok(Write::Done),
        Err(old) => {
            let old = round_in(old)?;
            Ok(done_if(old.is_some_and(|old| old.seal == Some(reason))))
        }
    }
}

/// A close with the same `last_stopped` is the same close, whenever and by whom it is recorded.
pub(super) async fn close(ledger: &DynamoLedger, id: &RoundId, close: &Close) -> PortResult<Write> {
    let same = |round: &Round| {
        let stored = round.close.as_ref();
        stored.is_some_and(|stored| stored.last_stopped == close.last_stopped)
    };
    let Some(round) = ledger.get(&keys::round(id)).await? else {
        return Ok(Write::Lost);
    };
    let round: Round = decode(round)?;
    if round.state != RoundState::Sealed {
        return Ok(done_if(same(&round)));
    }
    // What it releases must be what it has reserved at that moment.
    let closed = Change::update(keys::round(id), "SET #state = :closed, #close = :close")
        .when("#state = :sealed AND #counts.#batches_done = #counts.#batches AND #reserved = :reserved")
        .with(":sealed", &RoundState::Sealed)?
        .with(":closed", &RoundState::Closed)?
        .with(":close", close)?
        .with_money(":reserved", round.reserved);
    let released = campaigns::commit(&id.campaign, close.spent - round.reserved, None);
    match ledger.transact(vec![closed, released]).await? {
        Ok(()) => Ok(Write::Done),
        Err(failed) => Ok(done_if(was(&failed, id)?.as_ref().is_some_and(same))),
    }
}

pub(super) async fn claim(
    ledger: &DynamoLedger,
    id: &RoundId,
    writer: &str,
    now: Timestamp,
    until: Timestamp,
) -> PortResult<Option<Round>> {
    let claim = Change::update(
        keys::round(id),
        "SET #fence = #fence + :one, #attempts = #attempts + :one, #writer = :writer, \
         #due = :until",
    )
    .when(
        "#state = :closed AND #due <= :now AND \
         NOT (#fence > :none AND #writer = :writer AND #due = :until)",
    )
    .with(":closed", &RoundState::Closed)?
    .with(":none", &0)?
    .with(":one", &1)?
    .with(":writer", &writer)?
    .with(":now", &now)?
    .with(":until", &until)?;
    let claimed = match ledger.update(&claim).await? {
        Ok(new) => decode(new)?,
        Err(old) => match round_in(old)? {
            Some(old) if is_claimed(&old, writer, until) => old,
            _ => return Ok(None),
        },
    };
    let pool = ledger.get(&keys::pool(id)).await?;
    let pool = pool.as_ref().map(pool_in).transpose()?;
    Ok(Some(Round { pool, ..claimed }))
}

/// Whether this very claim was made before.
fn is_claimed(round: &Round, writer: &str, until: Timestamp) -> bool {
    round.state == RoundState::Closed
        && round.fence > 0
        && round.writer == writer
        && round.due == until
}

pub(super) async fn postpone(
    ledger: &DynamoLedger,
    id: &RoundId,
    fence: u64,
    due: Timestamp,
) -> PortResult<Write> {
    let change = Change::update(keys::round(id), "SET #due = :due")
        .when("#fence = :fence AND #state = :closed")
        .with(":closed", &RoundState::Closed)?
        .with(":fence", &fence)?
        .with(":due", &due)?;
    let written = done_if(ledger.update(&change).await?.is_ok());
    Ok(fenced(written, "a round could not be given back", id))
}

pub(super) async fn aggregated(
    ledger: &DynamoLedger,
    id: &RoundId,
    fence: u64,
) -> PortResult<Write> {
    // The fence stands still once a round is aggregated: it tells the writer that did it.
    let change = Change::update(keys::round(id), "SET #state = :aggregated")
        .when("#fence = :fence AND #state IN (:closed, :aggregated)")
        .with(":closed", &RoundState::Closed)?
        .with(":aggregated", &RoundState::Aggregated)?
        .with(":fence", &fence)?;
    let changes = vec![change, Change::delete(keys::unfinished(id))];
    let written = done_if(ledger.transact(changes).await?.is_ok());
    Ok(fenced(written, "a round's results are not its results", id))
}

/// Only if the round is `OPEN` or `SEALED`.
pub(super) fn in_work(change: Change) -> PortResult<Change> {
    change
        .when("#state IN (:open, :sealed)")
        .with(":open", &RoundState::Open)?
        .with(":sealed", &RoundState::Sealed)
}

/// Makes the changes that bring something into a round and commit money for it; the answer tells
/// what there was already before it tells of the round, and of the round before the money.
pub(super) async fn taken_in(
    ledger: &DynamoLedger,
    id: &RoundId,
    changes: Vec<Change>,
) -> PortResult<Admitted> {
    let failed = match ledger.transact(changes).await? {
        Ok(()) => {
            let images = images(ledger, id).await?;
            return Ok(Admitted::Done { images });
        }
        Err(failed) => failed,
    };
    let standing = [keys::round(id), keys::totals(&id.campaign)];
    if failed.0.iter().any(|(key, _)| !standing.contains(key)) {
        return Ok(Admitted::Known);
    }
    match failed.at(&keys::round(id)) {
        Some(old) if old.is_empty() => Err(missing(id)),
        Some(_) => Ok(Admitted::Sealed),
        None => campaigns::over_budget(&id.campaign, &failed),
    }
}

/// The round as it was when a condition on it failed.
fn was(failed: &Failed, id: &RoundId) -> PortResult<Option<Round>> {
    match failed.at(&keys::round(id)) {
        Some(old) => round_in(old.clone()),
        None => Ok(None),
    }
}

fn round_in(item: Item) -> PortResult<Option<Round>> {
    if item.is_empty() {
        return Ok(None);
    }
    decode(item).map(Some)
}

fn pool_in(item: &Item) -> PortResult<RoundPool> {
    unpack(item, "packed")
}

fn missing(id: &RoundId) -> PortError {
    PortError::Refused(format!("there is no round {id}"))
}
