//! The use case: a closed round becomes labels.
//!
//! Any number of writers may run it at once or one after another, and each may stop anywhere. A
//! lease keeps them from working for nothing; what makes it safe is the manifest, which only the
//! first of them puts. Until then the other files may be written again and again.
//!
//! ```text
//!  PoolClosed ──► CLOSED? ──no──► nothing to do: not closed yet, or aggregated before
//!                   │ yes
//!                   ▼
//!           earlier rounds that it takes labels from have a manifest ──no──► Waits: told again at the next tick
//!                   │
//!                   ▼
//!           claim_round [CLOSED, due] ──lost──► nothing to do: it is in somebody's hands
//!                   │ fence + 1, lease
//!                   ▼
//!           _manifest.json there? ──yes────────────────────────────────────┐
//!                   │ no                                                   │
//!                   ▼                                                      │
//!           answers, page by page ──► labels ──► files, last _manifest.json│
//!                   │                            [there is none]           │
//!                   │                            │ another's: its bytes are│ours, or Conflict
//!                   ▼                            ▼                         ▼
//!           a failure: postpone_round      RoundAggregated told ──► round_aggregated [same fence]
//!           [same fence], twice as long
//! ```
//!
//! The manifest is the commit point: before it nothing is a result, after it nothing else is. Who
//! dies before it leaves a round that is due again when the lease is over, and files that the next
//! one writes over with the same bytes. Who dies behind it leaves a round that the next one only
//! tells of and marks. Who comes back after its lease finds the manifest, or puts the same; its mark
//! is lost to the greater fence, and the round ends by the other. The event is told before the mark,
//! because who is marked is looked at by nobody: it may come twice.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::campaign::Campaign;
use quorate_core::event::{self, Event, Problem, ProblemKind};
use quorate_core::ports::{Clock, Crowd, Ledger, Notify, Objects, Put, World, Write};
use quorate_core::state::{Round, RoundState};
use quorate_core::{ImageId, PortError, RoundId};

use crate::error::Error;
use crate::manifest::Manifest;
use crate::members::{self, Members, read_object};
use crate::report::{pictures_wanted, report};
use crate::results::RoundResults;
use crate::tables::files;
use crate::tally::{Setting, Tally};
use crate::thumbnail::thumbnail;

/// How long a claimed round is left to its writer: as long as a function may run.
pub const LEASE: Duration = Duration::from_secs(15 * 60);

/// How long a round rests after a failure; doubled each time up to the lease.
const BACKOFF: Duration = Duration::from_secs(15);
/// Attempts after which a person is told.
const STUCK_AFTER: u32 = 5;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The round is not closed yet, is aggregated already, or is in somebody else's hands.
    NothingToDo,
    /// Images take their label from this earlier round, which is not aggregated yet. Nothing was
    /// done; the round is told of again until it is aggregated.
    WaitsFor(RoundId),
    /// The results are committed and the round is aggregated.
    Aggregated(Box<Manifest>),
}

/// Turns the answers of a closed round into committed results, tells of them, and marks the round.
///
/// Safe to call at any time and any number of times.
///
/// # Errors
/// [`Error::Port`]: call again later. [`Error::Conflict`]: other results are
/// committed; a problem is told, and the next call marks the round. Others need a person.
pub async fn aggregate_round<W: World>(world: &W, round: &RoundId) -> Result<Outcome, Error> {
    let ledger = world.ledger();
    let item = match ledger.round(round).await? {
        Some(item) if item.state == RoundState::Closed => item,
        _ => return Ok(Outcome::NothingToDo),
    };
    // Before the claim, so that a round that has to wait for an earlier one is not held.
    let members = match members::read(world, &item).await {
        Err(Error::NotYet(earlier)) => return Ok(Outcome::WaitsFor(earlier)),
        read => read?,
    };
    let now = world.clock().now();
    let claim = ledger.claim_round(round, world.writer(), now, now.plus(LEASE));
    let Some(item) = claim.await? else {
        return Ok(Outcome::NothingToDo);
    };
    match work_on(world, &item, members).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            give_back(world, &item, &error).await?;
            Err(error)
        }
    }
}

/// Works on a claimed round.
async fn work_on<W: World>(world: &W, item: &Round, members: Members) -> Result<Outcome, Error> {
    let round = &item.id;
    let manifest = match committed(world, round).await? {
        Some(manifest) => manifest,
        None => {
            let results = tally(world, item, members).await?;
            tell_overwritten(world, &results).await?;
            commit(world, results).await?
        }
    };
    // Told before it is marked: nobody looks at an aggregated round again.
    let event = Event::round_aggregated(manifest.event(round), world.clock().now());
    world.notify().notify(&event).await?;
    match world.ledger().round_aggregated(round, item.fence).await? {
        Write::Done => Ok(Outcome::Aggregated(Box::new(manifest))),
        Write::Lost => Ok(Outcome::NothingToDo),
    }
}

/// Gives a round back after a failure, to be tried again without waiting for the lease; tells a
/// person when that goes on.
async fn give_back<W: World>(world: &W, item: &Round, error: &Error) -> Result<(), Error> {
    let wait = BACKOFF
        .saturating_mul(1 << item.attempts.min(16))
        .min(LEASE);
    let due = world.clock().now().plus(wait);
    world
        .ledger()
        .postpone_round(&item.id, item.fence, due)
        .await?;
    if item.attempts < STUCK_AFTER {
        return Ok(());
    }
    let problem = Problem {
        kind: ProblemKind::Stuck,
        campaign: item.id.campaign.to_string(),
        round: Some(item.id.number),
        key: None,
        message: format!(
            "round {} could not be aggregated in {} attempts: {error}; nothing is lost, mend the cause: it is \
             tried again every quarter of an hour",
            item.id, item.attempts
        ),
    };
    let occasion = format!("{}/aggregate", item.id);
    Ok(event::tell(world, problem, &occasion).await?)
}

/// Tells of keys that were given new content while the round took uploads: each version was an
/// upload of its own and has its own label.
async fn tell_overwritten<W: World>(world: &W, results: &RoundResults) -> Result<(), Error> {
    let mut versions: BTreeMap<(&str, Option<u64>), u32> = BTreeMap::new();
    for image in &results.images {
        *versions
            .entry((&image.image.key, image.image.row))
            .or_default() += 1;
    }
    for ((key, _), count) in versions.into_iter().filter(|(_, count)| *count > 1) {
        let problem = Problem {
            kind: ProblemKind::UploadOverwritten,
            campaign: results.round.campaign.to_string(),
            round: Some(results.round.number),
            key: Some(key.to_owned()),
            message: format!(
                "{key} was uploaded {count} times with other content in round {}: each upload was \
                 labelled; `version` in labels.csv tells them apart",
                results.round.number
            ),
        };
        let occasion = format!("{}/{key}", results.round);
        event::tell(world, problem, &occasion).await?;
    }
    Ok(())
}

/// The manifest of results that are committed.
async fn committed<W: World>(world: &W, round: &RoundId) -> Result<Option<Manifest>, Error> {
    let key = Manifest::key(round);
    let Some(body) = read_object(world.results(), &key).await? else {
        return Ok(None);
    };
    let manifest = serde_json::from_slice(&body).map_err(|error| Error::Damaged {
        what: key,
        reason: format!("is not a manifest of results: {error}"),
    })?;
    Ok(Some(manifest))
}

/// Reads every page of the round's pool and decides.
async fn tally<W: World>(world: &W, item: &Round, members: Members) -> Result<RoundResults, Error> {
    let close = item.close.as_ref();
    let setting = Setting {
        round: item.id.clone(),
        campaign: campaign_of(item)?,
        close_reason: close.map_or_else(String::new, |close| close.reason.clone()),
        fee: world.crowd().fee(),
    };
    let mut tally = Tally::new(setting, members)?;
    let Some(pool) = &item.pool else {
        return tally.finish();
    };
    let (id, field) = (pool.id.as_str(), pool.campaign.answer_field.as_str());
    let mut after = None;
    loop {
        let statuses = ["ACCEPTED", "SUBMITTED"];
        let page = world
            .crowd()
            .assignments(id, field, &statuses, after.as_deref())
            .await?;
        for assignment in &page.items {
            tally.add(assignment)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = world
            .crowd()
            .bans(&pool.project, id, after.as_deref())
            .await?;
        page.items.into_iter().for_each(|ban| tally.ban(ban));
        after = page.next;
        if after.is_none() {
            return tally.finish();
        }
    }
}

/// The campaign as it was when the round got its pool, or was closed without one.
fn campaign_of(item: &Round) -> Result<Campaign, Error> {
    let pool = item.pool.as_ref().map(|pool| &pool.campaign);
    let close = item.close.as_ref();
    pool.or(close.and_then(|close| close.campaign.as_deref()))
        .cloned()
        .ok_or_else(|| Error::Damaged {
            what: format!("round {}", item.id),
            reason: "has neither a pool nor the campaign that it was closed with".to_owned(),
        })
}

/// Writes the files, then the manifest: from then on they are the round's results.
async fn commit<W: World>(world: &W, results: RoundResults) -> Result<Manifest, Error> {
    let round = results.round.clone();
    let pictures = pictures(world, &results).await?;
    let page = report(&results, &pictures)?;
    let manifest = Manifest::of(&results);
    let files = files(results, page)?;
    let manifest = manifest.with_files(&files);
    let key = Manifest::key(&round);
    for file in &files {
        // A writer that was overtaken must not write over what is committed.
        if world.results().head(&key).await?.is_some() {
            break;
        }
        let key = format!("{}{}", round.results_prefix(), file.name);
        world.results().put(&key, &file.body).await?;
    }
    let body = manifest.to_json()?;
    match world.results().put_if_absent(&key, &body).await? {
        Put::Created => Ok(manifest),
        Put::Existed if read_object(world.results(), &key).await?.as_ref() == Some(&body) => {
            Ok(manifest)
        }
        Put::Existed => Err(conflict(world, &round, key).await?),
    }
}

/// Tells that other results are committed than these.
async fn conflict<W: World>(world: &W, round: &RoundId, manifest: String) -> Result<Error, Error> {
    let error = Error::Conflict { manifest };
    let problem = Problem {
        kind: ProblemKind::Stuck,
        campaign: round.campaign.to_string(),
        round: Some(round.number),
        key: Some(Manifest::key(round)),
        message: error.to_string(),
    };
    event::tell(world, problem, &round.to_string()).await?;
    Ok(error)
}

/// Thumbnails for the report. A picture that is gone, forbidden or broken has none.
async fn pictures<W: World>(
    world: &W,
    results: &RoundResults,
) -> Result<BTreeMap<ImageId, Vec<u8>>, Error> {
    let limit = results
        .campaign
        .images
        .max_megabytes
        .saturating_mul(1_000_000);
    let mut pictures = BTreeMap::new();
    for image in pictures_wanted(results) {
        let bytes = match world.uploads().get(&image.key, &image.version, limit).await {
            Ok(bytes) => bytes,
            Err(PortError::Refused(reason)) => {
                tracing::warn!(image = %image.id, reason, "no picture in the report");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(small) = bytes.as_deref().and_then(thumbnail) {
            pictures.insert(image.id, small);
        }
    }
    Ok(pictures)
}
