//! The hourly look at the uploads bucket: what came there without its event is taken in.
//!
//! An event may be lost, or end in a dead-letter queue that nobody empties. The bucket itself says
//! what was uploaded, so once an hour each campaign's folder is listed, and what the ledger should
//! know by now but does not is treated as if its event had come:
//!
//! ```text
//!      swept - MARGIN          swept                now - GRACE        now
//! ────────────┼──────────────────┼────────────────────────┼─────────────┼──► modified
//!  seen by a  │       looked at, and taken in if neither   │  left to its event
//!  look before│       an IMAGE nor a rejected/ record      │  and the next look
//! ```
//!
//! `swept` is when the last look *began*, and it is saved when a look is whole: one that is cut off
//! is repeated by the next tick. Saving it competes with the other writers of the campaign; whoever
//! loses loses little. A folder that belongs to no campaign gets one if the files that define it are
//! there; what was told of such a folder is not told again.
//!
//! It costs a page of a listing for every 1000 objects, and reads of the ledger for what is new.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::admission::{self, Place};
use crate::campaign;
use crate::ids::CampaignName;
use crate::ingest::{self, Found};
use crate::ports::{Clock, Ledger, ObjectMeta, Objects, PortResult, World};
use crate::setup::{self, Definition};
use crate::state::CampaignItem;
use crate::time::Timestamp;

/// A look is due when such a span of the clock began since the last one, so that all campaigns are
/// looked at in the same tick.
const EVERY: Duration = Duration::from_secs(3_600);
/// What is this young is left to its event, which is on its way. It may also be half written still:
/// on one machine an object is a file, and one that changes is young.
const GRACE: Duration = Duration::from_secs(300);
/// How much older than the last look an object may be and have been missed by it: the grace, the
/// bucket's clock against ours, and an upload in parts, which is as old as its first part.
const MARGIN: Duration = Duration::from_secs(3_600);

/// Looks at the folders of those of `campaigns` that are due, and at folders of no campaign. A
/// folder that fails does not keep the others waiting.
///
/// # Errors
/// The first failure, after all folders had their turn.
pub(crate) async fn look<W: World>(world: &W, campaigns: &[CampaignName]) -> PortResult<()> {
    let now = world.clock().now();
    // Without any campaign there is no record of the last look, and hardly anything to list.
    let mut is_due = campaigns.is_empty();
    let mut looked = Vec::new();
    for name in campaigns {
        if let Some(item) = world.ledger().campaign(name).await?
            && due(item.swept, now)
        {
            is_due = true;
            looked.push(look_at(world, &item, now).await);
        }
    }
    if is_due {
        for name in folders(world).await? {
            if !campaigns.contains(&name) {
                looked.push(look_for_definition(world, &name, now).await);
            }
        }
    }
    looked.into_iter().collect()
}

fn due(swept: Option<Timestamp>, now: Timestamp) -> bool {
    let span = |at: Timestamp| at.since(Timestamp::default()).as_secs() / EVERY.as_secs();
    swept.is_none_or(|swept| span(swept) < span(now))
}

/// Whether the event of an object should have been here by now.
fn is_late(meta: &ObjectMeta, now: Timestamp) -> bool {
    meta.modified.plus(GRACE) <= now
}

/// Takes in what came into a campaign's folder since the last look.
async fn look_at<W: World>(world: &W, item: &CampaignItem, now: Timestamp) -> PortResult<()> {
    let name = &item.name;
    let is_new = |meta: &ObjectMeta| {
        let swept = item.swept;
        swept.is_none_or(|swept| meta.modified.plus(MARGIN) >= swept)
    };
    let prefix = format!("{name}/");
    let (mut defined, mut taken) = (false, Ok(()));
    let mut after: Option<String> = None;
    loop {
        let page = world.uploads().list(&prefix, after.as_deref()).await?;
        let mut found = Vec::new();
        for meta in page.items {
            if !is_new(&meta) || !is_late(&meta, now) {
                continue;
            }
            match admission::place(&meta.key) {
                Ok((_, Place::Ignored)) => {}
                Ok((_, Place::Definition)) => defined = true,
                Ok((_, place)) => found.push(Found { meta, place }),
                Err(reason) => ingest::reject_misplaced(world, &meta.key, &reason).await?,
            }
        }
        taken = taken.and(ingest::take_lost(world, name, found).await);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if defined {
        follow(world, name).await?;
    }
    taken?;
    record(world, name, now).await
}

/// Follows a campaign's files; if they are new, everything in its folder is looked at by them.
async fn follow<W: World>(world: &W, name: &CampaignName) -> PortResult<()> {
    match setup::find(world, name).await? {
        Definition::Missing | Definition::Known => Ok(()),
        Definition::New => {
            tracing::warn!(campaign = %name, "a definition was found whose event did not come");
            ingest::sweep(world, name).await
        }
        Definition::Broken(broken) if broken.was_told(world).await? => Ok(()),
        Definition::Broken(broken) => broken.tell(world, name).await,
    }
}

/// Saves when a campaign's folder was looked at, unless somebody works on the campaign's setup, who
/// would be disturbed: then the next tick looks again.
async fn record<W: World>(world: &W, name: &CampaignName, at: Timestamp) -> PortResult<()> {
    let Some(item) = world.ledger().campaign(name).await? else {
        return Ok(());
    };
    if item.lease.as_ref().is_some_and(|lease| lease.until > at) {
        return Ok(());
    }
    let item = CampaignItem {
        swept: Some(at),
        revision: item.revision + 1,
        ..item
    };
    world.ledger().save_campaign(&item).await.map(drop)
}

/// Follows the files of a folder that has no campaign yet.
async fn look_for_definition<W: World>(
    world: &W,
    name: &CampaignName,
    now: Timestamp,
) -> PortResult<()> {
    for file in campaign::FILES {
        let meta = world.uploads().head(&format!("{name}/{file}")).await?;
        if meta.is_some_and(|meta| is_late(&meta, now)) {
            return follow(world, name).await;
        }
    }
    Ok(())
}

/// The folders of the bucket that may be a campaign's.
async fn folders<W: World>(world: &W) -> PortResult<BTreeSet<CampaignName>> {
    let mut names = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = world.uploads().list("", after.as_deref()).await?;
        let folders = page
            .items
            .iter()
            .filter_map(|meta| meta.key.split_once('/'));
        names.extend(folders.filter_map(|(folder, _)| folder.parse().ok()));
        let Some(next) = page.next else {
            return Ok(names);
        };
        // The rest of a folder tells nothing new: `0` comes right behind `/`.
        let behind = next.split_once('/').map(|(folder, _)| format!("{folder}0"));
        after = behind.or(Some(next));
    }
}
