//! Batches: `BATCH`, which every claim writes, and `MEMBERS`, written once.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use quorate_core::ids::{BatchId, CampaignName, RoundId};
use quorate_core::ports::{Admission, Admitted, Page, PortError, PortResult, Write};
use quorate_core::state::{Batch, BatchState, Image, Kind, Outcome, RoundState};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::change::Change;
use super::codec::{Item, attribute, bare, decode, encode, pack, unpack};
use super::keys::{self, Key};
use super::request::{behind, of};
use super::{DynamoLedger, campaigns, done_if, fenced, images, page, rounds};

/// Batches in a page: some thousands of images, and the most that one request reads.
const PAGE: usize = 50;
/// Batches to be sent, as the index of work calls them.
const READY: &str = "READY";

/// What comes into a round.
#[derive(Default)]
struct Arrivals {
    images: usize,
    aliases: usize,
    batches: usize,
    reserved: Decimal,
}

pub(super) async fn admit(ledger: &DynamoLedger, admission: &Admission) -> PortResult<Admitted> {
    let batch = admission.batch.as_ref();
    let aliases = admission.aliases.len();
    let arrivals = Arrivals {
        images: aliases + batch.map_or(0, |batch| batch.members.len()),
        aliases,
        batches: usize::from(batch.is_some()),
        reserved: batch.map_or(Decimal::ZERO, |batch| batch.reserved),
    };
    let round = &admission.round;
    let mut changes = images::admit(admission)?;
    changes.push(count_in(round, &arrivals, admission.at)?);
    if let Some(batch) = batch {
        changes.extend(put(batch, BatchState::Ready, Some(round))?);
        changes.push(campaigns::commit(
            &round.campaign,
            batch.reserved,
            admission.budget,
        ));
    }
    rounds::taken_in(ledger, round, changes).await
}

/// Aliases cost nothing and wait for nothing: they go into the round, which must then be open.
pub(super) async fn park(ledger: &DynamoLedger, admission: &Admission) -> PortResult<Admitted> {
    let round = &admission.round;
    let aliases = admission.aliases.len();
    let mut changes = images::admit(admission)?;
    if let Some(batch) = &admission.batch {
        changes.extend(put(batch, BatchState::Parked, None)?);
    }
    changes.push(if aliases == 0 {
        Change::check(keys::round(round)).when("attribute_exists(#pk)")
    } else {
        let arrivals = Arrivals {
            images: aliases,
            aliases,
            ..Arrivals::default()
        };
        count_in(round, &arrivals, admission.at)?
    });
    rounds::taken_in(ledger, round, changes).await
}

pub(super) async fn parked(
    ledger: &DynamoLedger,
    campaign: &CampaignName,
) -> PortResult<Vec<BatchId>> {
    let query = ledger.work(&parked_work(campaign));
    waiting(ledger, query, usize::MAX).await
}

pub(super) async fn due(
    ledger: &DynamoLedger,
    now: Timestamp,
    limit: usize,
) -> PortResult<Vec<BatchId>> {
    let query = ledger
        .work(READY)
        .key_condition_expression("#work = :work AND #due <= :now")
        .expression_attribute_names("#due", "due")
        .expression_attribute_values(":now", attribute(&now)?);
    waiting(ledger, query, limit).await
}

/// The batches that a query of the index finds, by their due time and id.
async fn waiting(
    ledger: &DynamoLedger,
    query: aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder,
    limit: usize,
) -> PortResult<Vec<BatchId>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let entry = |item: &Item| {
        let due: i64 = item.get("due")?.as_n().ok()?.parse().ok()?;
        let id: BatchId = of(item, "BATCH#")?.parse().ok()?;
        Some((due, id))
    };
    let items = ledger.found(query, None, limit).await?;
    let mut entries: Vec<(i64, BatchId)> = items.iter().filter_map(entry).collect();
    entries.sort_unstable();
    Ok(entries.into_iter().map(|(_, id)| id).collect())
}

pub(super) async fn unpark(
    ledger: &DynamoLedger,
    batch: &Batch,
    round: &RoundId,
    budget: Option<Decimal>,
    at: Timestamp,
) -> PortResult<Admitted> {
    let key = keys::batch(batch.id);
    let arrivals = Arrivals {
        images: batch.members.len(),
        batches: 1,
        reserved: batch.reserved,
        ..Arrivals::default()
    };
    let ready = Change::update(
        key.clone(),
        "SET #state = :ready, #round = :round, #reserved = :reserved, #due = :at, #work = :work",
    )
    .when("#state = :parked")
    .with(":parked", &BatchState::Parked)?
    .with(":ready", &BatchState::Ready)?
    .with(":work", &READY)?
    .with(":round", round)?
    .with(":at", &at)?
    .with_money(":reserved", batch.reserved);
    let changes = vec![
        ready,
        pointer(round, batch.id),
        count_in(round, &arrivals, at)?,
        campaigns::commit(&round.campaign, batch.reserved, budget),
    ];
    let unparked = rounds::taken_in(ledger, round, changes).await?;
    if unparked == Admitted::Known && ledger.get(&key).await?.is_none() {
        return Err(PortError::Refused(format!(
            "there is no batch {}",
            batch.id
        )));
    }
    Ok(unparked)
}

/// Counts arrivals in an open round and reserves their money there.
fn count_in(round: &RoundId, arrivals: &Arrivals, at: Timestamp) -> PortResult<Change> {
    Ok(Change::update(
        keys::round(round),
        "SET #counts.#images = #counts.#images + :images, \
         #counts.#aliases = #counts.#aliases + :aliases, \
         #counts.#batches = #counts.#batches + :batches, \
         #reserved = #reserved + :reserved, #last_upload = :at",
    )
    .when("#state = :open")
    .with(":open", &RoundState::Open)?
    .with(":images", &arrivals.images)?
    .with(":aliases", &arrivals.aliases)?
    .with(":batches", &arrivals.batches)?
    .with(":at", &at)?
    .with_money(":reserved", arrivals.reserved))
}

/// What a control batch reserves, if anything, is its caller's affair: no round counts it.
pub(super) async fn add_control(ledger: &DynamoLedger, batch: &Batch) -> PortResult<Write> {
    let mut changes = put(batch, batch.state, batch.round.as_ref())?;
    if let Some(round) = &batch.round {
        let count = Change::update(
            keys::round(round),
            "SET #counts.#batches = #counts.#batches + :one",
        )
        .with(":one", &1)?;
        changes.push(rounds::in_work(count)?);
        changes.push(Change::check(keys::pool(round)).when("attribute_not_exists(#pk)"));
    }
    Ok(done_if(ledger.transact(changes).await?.is_ok()))
}

/// Writes a batch that does not exist.
fn put(batch: &Batch, state: BatchState, round: Option<&RoundId>) -> PortResult<Vec<Change>> {
    let (key, members) = (keys::batch(batch.id), keys::members(batch.id));
    let head = Batch {
        round: round.cloned(),
        state,
        members: Vec::new(),
        outcomes: Vec::new(),
        ..batch.clone()
    };
    let mut item = encode(&key, &head)?;
    item.remove("members");
    item.remove("outcomes");
    item.insert("size".to_owned(), attribute(&batch.members.len())?);
    if !batch.outcomes.is_empty() {
        item.insert("outcomes".to_owned(), pack(&batch.outcomes)?);
    }
    match state {
        BatchState::Ready => {
            item.insert("work".to_owned(), attribute(&READY)?);
        }
        BatchState::Parked => {
            item.insert("work".to_owned(), attribute(&parked_work(&batch.campaign))?);
            item.insert("due".to_owned(), attribute(&batch.created)?);
        }
        BatchState::Done => {}
    }
    let mut packed = bare(&members);
    packed.insert("packed".to_owned(), pack(&batch.members)?);
    let mut changes = vec![Change::create(key, item), Change::put(members, packed)];
    changes.extend(round.map(|round| pointer(round, batch.id)));
    Ok(changes)
}

/// The parked batches of a campaign, as the index of work calls them.
fn parked_work(campaign: &CampaignName) -> String {
    format!("PARKED#{campaign}")
}

fn pointer(round: &RoundId, batch: BatchId) -> Change {
    let key = keys::pointer(round, batch);
    let item = bare(&key);
    Change::put(key, item)
}

pub(super) async fn get(ledger: &DynamoLedger, id: BatchId) -> PortResult<Option<Batch>> {
    let query = ledger.query(&keys::in_batch(id));
    let items = ledger.found(query, None, usize::MAX).await?;
    if items.is_empty() {
        return Ok(None);
    }
    assemble(id, items).map(Some)
}

/// A batch from its two items.
fn assemble(id: BatchId, items: impl IntoIterator<Item = Item>) -> PortResult<Batch> {
    let (mut batch, mut members) = (None, None);
    for item in items {
        if behind(&item, keys::MEMBERS).is_some() {
            members = Some(members_in(&item)?);
        } else {
            batch = Some(head(item)?);
        }
    }
    match (batch, members) {
        (Some(batch), Some(members)) => Ok(Batch { members, ..batch }),
        _ => Err(broken(id)),
    }
}

/// A batch without its members.
fn head(mut item: Item) -> PortResult<Batch> {
    let outcomes = match item.contains_key("outcomes") {
        true => unpack(&item, "outcomes")?,
        false => Vec::new(),
    };
    item.remove("outcomes");
    item.insert("members".to_owned(), AttributeValue::L(Vec::new()));
    let batch: Batch = decode(item)?;
    Ok(Batch { outcomes, ..batch })
}

fn members_in(item: &Item) -> PortResult<Vec<Image>> {
    unpack(item, "packed")
}

fn broken(id: BatchId) -> PortError {
    PortError::Refused(format!("an item of the batch {id} is missing"))
}

pub(super) async fn claim(
    ledger: &DynamoLedger,
    id: BatchId,
    writer: &str,
    now: Timestamp,
    until: Timestamp,
) -> PortResult<Option<Batch>> {
    let claim = Change::update(
        keys::batch(id),
        "SET #fence = #fence + :one, #attempts = #attempts + :one, #writer = :writer, \
         #due = :until, #first_sent = if_not_exists(#first_sent, :now)",
    )
    .when(
        "#state = :ready AND #due <= :now AND \
         NOT (#fence > :none AND #writer = :writer AND #due = :until)",
    )
    .with(":ready", &BatchState::Ready)?
    .with(":none", &0)?
    .with(":one", &1)?
    .with(":writer", &writer)?
    .with(":now", &now)?
    .with(":until", &until)?;
    let claimed = match ledger.update(&claim).await? {
        Ok(new) => head(new)?,
        Err(old) if old.is_empty() => return Ok(None),
        Err(old) => {
            let old = head(old)?;
            if !is_claimed(&old, writer, until) {
                return Ok(None);
            }
            old
        }
    };
    let members = ledger.get(&keys::members(id)).await?;
    let members = members_in(&members.ok_or_else(|| broken(id))?)?;
    Ok(Some(Batch { members, ..claimed }))
}

/// Whether this very claim was made before.
fn is_claimed(batch: &Batch, writer: &str, until: Timestamp) -> bool {
    batch.state == BatchState::Ready
        && batch.fence > 0
        && batch.writer == writer
        && batch.due == until
}

pub(super) async fn postpone(
    ledger: &DynamoLedger,
    id: BatchId,
    fence: u64,
    due: Timestamp,
    error: Option<&str>,
) -> PortResult<Write> {
    let key = keys::batch(id);
    let change = match error {
        Some(error) => {
            Change::update(key, "SET #due = :due, #last_error = :error").with(":error", &error)?
        }
        None => Change::update(key, "SET #due = :due REMOVE #last_error"),
    };
    let change = change
        .when("#fence = :fence AND #state = :ready")
        .with(":ready", &BatchState::Ready)?
        .with(":fence", &fence)?
        .with(":due", &due)?;
    let written = done_if(ledger.update(&change).await?.is_ok());
    Ok(fenced(written, "a batch could not be given back", &id))
}

pub(super) async fn finish(
    ledger: &DynamoLedger,
    id: BatchId,
    fence: u64,
    outcomes: &[Outcome],
) -> PortResult<Write> {
    let written = try_finish(ledger, id, fence, outcomes).await?;
    Ok(fenced(
        written,
        "a batch's outcomes are not its outcomes",
        &id,
    ))
}

async fn try_finish(
    ledger: &DynamoLedger,
    id: BatchId,
    fence: u64,
    outcomes: &[Outcome],
) -> PortResult<Write> {
    let key = keys::batch(id);
    let Some(item) = ledger.get(&key).await? else {
        return Ok(Write::Lost);
    };
    let size = item.get("size").cloned();
    let batch = head(item)?;
    if batch.state != BatchState::Ready || batch.fence != fence {
        return Ok(done_if(is_finished(&batch, fence, outcomes)));
    }
    if size != Some(attribute(&outcomes.len())?) {
        return Err(PortError::Refused(format!(
            "batch {id} does not have {} members",
            outcomes.len()
        )));
    }
    let done = Change::update(
        key.clone(),
        "SET #state = :done, #outcomes = :outcomes REMOVE #work",
    )
    .when("#state = :ready AND #fence = :fence")
    .with(":ready", &BatchState::Ready)?
    .with(":done", &BatchState::Done)?
    .with(":fence", &fence)?
    .with_packed(":outcomes", pack(&outcomes)?);
    let mut changes = vec![done];
    if let Some(round) = &batch.round {
        changes.push(count_done(round, batch.kind, outcomes)?);
    }
    match ledger.transact(changes).await? {
        Ok(()) => Ok(Write::Done),
        Err(failed) => match failed.at(&key) {
            Some(old) if !old.is_empty() => {
                Ok(done_if(is_finished(&head(old.clone())?, fence, outcomes)))
            }
            _ => Ok(Write::Lost),
        },
    }
}

/// Whether these outcomes were written before under this fence.
fn is_finished(batch: &Batch, fence: u64, outcomes: &[Outcome]) -> bool {
    batch.state == BatchState::Done && batch.fence == fence && batch.outcomes == outcomes
}

fn count_done(round: &RoundId, kind: Kind, outcomes: &[Outcome]) -> PortResult<Change> {
    let is_task = |outcome: &&Outcome| matches!(outcome, Outcome::Task(_));
    let made = outcomes.iter().filter(is_task).count();
    let (tasks, refused, golden_tasks) = match kind {
        Kind::Real => (made, outcomes.len() - made, 0),
        Kind::Golden => (0, 0, made),
        Kind::Exam | Kind::Training => (0, 0, 0),
    };
    Change::update(
        keys::round(round),
        "SET #counts.#batches_done = #counts.#batches_done + :one, \
         #counts.#tasks = #counts.#tasks + :tasks, \
         #counts.#refused = #counts.#refused + :refused, \
         #counts.#golden_tasks = #counts.#golden_tasks + :golden",
    )
    .with(":one", &1)?
    .with(":tasks", &tasks)?
    .with(":refused", &refused)?
    .with(":golden", &golden_tasks)
}

pub(super) async fn of_round(
    ledger: &DynamoLedger,
    round: &RoundId,
    after: Option<&str>,
) -> PortResult<Page<Batch>> {
    let pointers = ledger
        .in_round(round, keys::BATCHES, after, PAGE + 1)
        .await?;
    let id = |item: &Item| behind(item, keys::BATCHES)?.parse().ok();
    let ids: Vec<BatchId> = pointers.iter().filter_map(id).collect();
    let Page { items: ids, next } = page(ids, PAGE, BatchId::to_string);
    let wanted: Vec<Key> = ids
        .iter()
        .flat_map(|id| [keys::batch(*id), keys::members(*id)])
        .collect();
    let mut parts: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in ledger.get_all(&wanted, true).await? {
        let id = of(&item, "BATCH#").unwrap_or_default().to_owned();
        parts.entry(id).or_default().push(item);
    }
    let batches: PortResult<Vec<Batch>> = ids
        .iter()
        .map(|id| assemble(*id, parts.remove(&id.to_string()).unwrap_or_default()))
        .collect();
    Ok(Page {
        items: batches?,
        next,
    })
}
