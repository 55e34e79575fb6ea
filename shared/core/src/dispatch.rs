//! Batches become tasks at the crowd.
//!
//! ```text
//!               not sent yet
//! READY ──claim──► IMAGEs ───► submit(operation id) ─┐
//!           │                                        ├──► operation ──► log ──► DONE
//!           └─ sent before, as far as we know ───────┘        │ running
//!                                                             └──► given back, due a moment later
//! ```
//!
//! Some batches are sent before the first of their operations is asked for: by then the crowd has
//! usually done it.
//!
//! Dying anywhere leaves the batch `READY` under a lease that runs out; whoever takes it next asks
//! for its operation, and sends the same request under the same operation id if the crowd does not
//! know it: the crowd creates nothing twice.
//!
//! The crowd remembers operation ids for some weeks only. As long as it does, one that it does not
//! know never arrived, and sending again is safe whatever is still on its way. A batch that is older
//! than that memory is looked up among the pool's tasks first:
//!
//! ```text
//!                                  none of its tasks is there
//! unknown, first sent long ago ──┬───────────────────────────► sent: it never arrived, or all of it
//!                                │                             was refused, and is again
//!                                ├─ all are ───────────────────────────────────────► DONE
//!                                └─ some are ──► given back once ──still the same──► DONE
//! ```
//!
//! If some are there, the others were refused, or are being made at this moment by a request that
//! the crowd does not tell of yet. So what was found is kept with the batch, and only if nothing has
//! changed a while later the others count as refused. Nobody sends the batch meanwhile: what is
//! there does not go away. A batch is never sent in part, because only the whole has its key.
//!
//! A batch that the crowd refuses again and again stays `READY`, and so its round does not close:
//! the reason is kept with the batch, and a person is told once a day. It goes on by itself when the
//! cause is gone. What the crowd refuses of a batch that it takes are outcomes: these images end without a label, with the crowd's reason.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::budget;
use crate::event;
use crate::ids::{BatchId, CampaignName, ImageId, RoundId};
use crate::link::{self, LinkSigner};
use crate::ports::{
    Clock, Crowd, Ledger, NewTask, OperationStatus, PortError, PortResult, World, Write,
};
use crate::state::{Batch, CampaignItem, Content, Kind, Outcome};
use crate::time::Timestamp;

/// Batches that are sent before their operations are asked for.
const TOGETHER: usize = 20;
/// How long one attempt may take before others may take the batch over.
const LEASE: Duration = Duration::from_secs(60);
/// When a running operation is looked at again.
const POLL: Duration = Duration::from_secs(1);
/// When a batch whose round has no pool yet is looked at again.
const NO_POOL: Duration = Duration::from_secs(10);
/// When a failed attempt is repeated; doubled each time up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// Attempts after which a person is told that the crowd cannot be reached.
const STUCK_AFTER: u32 = 10;
/// When tasks that are not all there are counted again: no request is under way for so long.
const RECOUNT: Duration = Duration::from_secs(600);
/// The crowd keeps operations for a month; beyond this a batch is looked up first.
const OPERATION_MEMORY: Duration = Duration::from_secs(20 * 86_400);

/// Sends the batches that are due, at most `limit`; how many became tasks. Batches whose round has
/// no pool yet wait for it. If the crowd cannot be reached the others wait for the next call.
///
/// # Errors
/// If the ledger fails. What the crowd refuses is kept with the batch and tried again later.
pub async fn dispatch_due<W: World>(world: &W, limit: usize) -> PortResult<usize> {
    let due = world
        .ledger()
        .due_batches(world.clock().now(), limit)
        .await?;
    let mut dispatcher = Dispatcher {
        world,
        pools: BTreeMap::new(),
        campaigns: BTreeMap::new(),
        done: 0,
        out_of_reach: false,
    };
    for some in due.chunks(TOGETHER) {
        dispatcher.dispatch(some).await?;
        if dispatcher.out_of_reach {
            break;
        }
    }
    Ok(dispatcher.done)
}

/// Sends batches. What it reads besides them is as it was when it was first needed.
struct Dispatcher<'a, W> {
    world: &'a W,
    pools: BTreeMap<RoundId, Option<String>>,
    campaigns: BTreeMap<CampaignName, CampaignItem>,
    done: usize,
    /// The crowd did not answer, or a quota is used up: no use in asking on.
    out_of_reach: bool,
}

/// A claimed batch and where it goes.
struct Claimed {
    batch: Batch,
    pool: String,
}

/// How the crowd stands with a batch that it has.
enum Progress {
    Running,
    /// Some of its tasks are there and its operation is forgotten, says this text.
    Partly(String),
    Done(Vec<Outcome>),
}

impl<W: World> Dispatcher<'_, W> {
    async fn dispatch(&mut self, due: &[BatchId]) -> PortResult<()> {
        let mut submitted = Vec::new();
        for id in due {
            if self.out_of_reach {
                break;
            }
            let Some(claimed) = self.claim(*id).await? else {
                continue;
            };
            match self.start(&claimed).await {
                Ok(Some(progress)) => self.settle(&claimed.batch, progress).await?,
                Ok(None) => submitted.push(claimed.batch),
                Err(error) => self.postpone(&claimed.batch, &error).await?,
            }
        }
        for batch in submitted {
            match self.ask(&batch).await {
                Ok(Some(progress)) => self.settle(&batch, progress).await?,
                Ok(None) => {
                    let operation = batch.operation();
                    let reason =
                        format!("the crowd took operation {operation} and does not know it");
                    self.postpone(&batch, &PortError::Unavailable(reason))
                        .await?;
                }
                Err(error) => self.postpone(&batch, &error).await?,
            }
        }
        Ok(())
    }

    /// Takes a batch that has a pool to go to, unless somebody else is at it.
    async fn claim(&mut self, id: BatchId) -> PortResult<Option<Claimed>> {
        let ledger = self.world.ledger();
        let Some(waiting) = ledger.batch(id).await? else {
            return Ok(None);
        };
        let now = self.world.clock().now();
        let Some(pool) = self.pool_of(&waiting).await? else {
            // Out of the way of batches that can be sent.
            ledger
                .postpone_batch(id, waiting.fence, now.plus(NO_POOL), None)
                .await?;
            return Ok(None);
        };
        let claimed = ledger
            .claim_batch(id, self.world.writer(), now, now.plus(LEASE))
            .await?;
        Ok(claimed.map(|batch| Claimed { batch, pool }))
    }

    /// The pool that a batch goes to, if it exists yet and the money for its images is reserved.
    async fn pool_of(&mut self, batch: &Batch) -> PortResult<Option<String>> {
        if batch.pool.is_some() {
            return Ok(batch.pool.clone());
        }
        let Some(id) = &batch.round else {
            return Ok(None);
        };
        if let Some(pool) = self.pools.get(id) {
            return Ok(pool.clone());
        }
        let round = self.world.ledger().round(id).await?;
        let fee = self.world.crowd().fee();
        let pool = round
            .filter(|round| budget::shortfall(round, fee).is_zero())
            .and_then(|round| round.pool)
            .map(|pool| pool.id);
        self.pools.insert(id.clone(), pool.clone());
        Ok(pool)
    }

    async fn campaign_of(&mut self, batch: &Batch) -> PortResult<&CampaignItem> {
        match self.campaigns.entry(batch.campaign.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let item = self.world.ledger().campaign(&batch.campaign).await?;
                let gone = || PortError::Refused(format!("campaign {} is gone", batch.campaign));
                Ok(unknown.insert(item.ok_or_else(gone)?))
            }
        }
    }

    /// How a batch stands that was tried before; one that the crowd does not have is sent, and its
    /// operation is to be asked for.
    async fn start(&mut self, claimed: &Claimed) -> PortResult<Option<Progress>> {
        let Claimed { batch, pool } = claimed;
        if batch.attempts > 1
            && let Some(progress) = self.resume(batch, pool).await?
        {
            return Ok(Some(progress));
        }
        let links = self.world.links().await?;
        let item = self.campaign_of(batch).await?;
        let answer_field = item.campaign.answer_field.clone();
        let tasks = tasks(&links, item, batch);
        if batch.kind == Kind::Real {
            // Before a worker can meet a task: links are looked up by these items.
            self.world.ledger().put_images(&batch.members).await?;
        }
        let crowd = self.world.crowd();
        crowd
            .submit(pool, &answer_field, batch.operation(), &tasks)
            .await?;
        Ok(None)
    }

    async fn resume(&self, batch: &Batch, pool: &str) -> PortResult<Option<Progress>> {
        if let Some(progress) = self.ask(batch).await? {
            return Ok(Some(progress));
        }
        let first_sent = batch.first_sent.unwrap_or(batch.created);
        if self.world.clock().now().since(first_sent) <= OPERATION_MEMORY {
            return Ok(None);
        }
        find_tasks(self.world, batch, pool).await
    }

    /// What the crowd says of a batch's operation; none if it does not know it.
    async fn ask(&self, batch: &Batch) -> PortResult<Option<Progress>> {
        let crowd = self.world.crowd();
        Ok(match crowd.operation(batch.operation()).await? {
            OperationStatus::Unknown => None,
            OperationStatus::Running => Some(Progress::Running),
            OperationStatus::Finished => {
                let log = crowd.operation_log(batch.operation()).await?;
                let missing = "the crowd's log does not name it";
                Some(Progress::Done(outcomes(batch, log, missing)))
            }
        })
    }

    /// Records what the crowd made of a batch, or gives it back until the crowd is through.
    async fn settle(&mut self, batch: &Batch, progress: Progress) -> PortResult<()> {
        let ledger = self.world.ledger();
        let (wait, why) = match &progress {
            Progress::Running => (POLL, None),
            Progress::Partly(found) => (RECOUNT, Some(found.as_str())),
            Progress::Done(outcomes) => return self.finish(batch, outcomes).await,
        };
        let due = self.world.clock().now().plus(wait);
        ledger
            .postpone_batch(batch.id, batch.fence, due, why)
            .await
            .map(drop)
    }

    async fn finish(&mut self, batch: &Batch, outcomes: &[Outcome]) -> PortResult<()> {
        let ledger = self.world.ledger();
        if ledger.finish_batch(batch.id, batch.fence, outcomes).await? == Write::Done {
            self.done += 1;
            let is_task = |outcome: &&Outcome| matches!(outcome, Outcome::Task(_));
            let made = outcomes.iter().filter(is_task).count();
            tracing::info!(batch.id = %batch.id, kind = batch.kind.as_str(), metric.tasks = made, "tasks made");
        }
        Ok(())
    }

    /// Gives a batch back after a failure; tells a person of what will not pass soon.
    async fn postpone(&mut self, batch: &Batch, error: &PortError) -> PortResult<()> {
        let backoff = BACKOFF
            .saturating_mul(1 << batch.attempts.min(16))
            .min(MAX_BACKOFF);
        let wait = match error {
            PortError::Blocked { after, .. } => (*after).max(backoff),
            PortError::Unavailable(_) | PortError::Refused(_) => backoff,
        };
        self.out_of_reach |= !matches!(error, PortError::Refused(_));
        let due = self.world.clock().now().plus(wait);
        tracing::warn!(batch.id = %batch.id, batch.attempts, %error, "batch not sent; tried again later");
        self.world
            .ledger()
            .postpone_batch(batch.id, batch.fence, due, Some(&error.to_string()))
            .await?;
        let passing = matches!(error, PortError::Unavailable(_)) && batch.attempts < STUCK_AFTER;
        if passing {
            return Ok(());
        }
        let round = batch.round.as_ref().map(|round| round.number);
        event::tell_stuck(self.world, &batch.campaign, round, error).await
    }
}

/// The request of a batch, from the batch alone.
fn tasks(links: &LinkSigner, item: &CampaignItem, batch: &Batch) -> Vec<NewTask> {
    // Not since it was created: it may have waited long for money or a training.
    let sent = batch.first_sent.unwrap_or(batch.created);
    // Links of a batch that waits while older links are ended must open all the same.
    let signed = item
        .campaign
        .links_since
        .map_or(sent, |since| sent.max(since));
    let expires: Timestamp = signed.plus(link::VALIDITY);
    let task = |image: &crate::state::Image| {
        let input = match &image.content {
            Content::Picture => {
                let link = links.link(&batch.campaign, image.id, &image.key, expires);
                BTreeMap::from([("image".to_owned(), link)])
            }
            Content::Row(fields) => fields.clone(),
        };
        let hint = match (&image.known, batch.kind) {
            (Some(known), Kind::Training) => Some(item.campaign.hint_for(known)),
            _ => None,
        };
        NewTask {
            image: image.id,
            input,
            known: image.known.clone(),
            hint,
        }
    };
    batch.members.iter().map(task).collect()
}

/// The members' outcomes in order; those that `log` does not name were refused because of `missing`.
fn outcomes(batch: &Batch, mut log: BTreeMap<ImageId, Outcome>, missing: &str) -> Vec<Outcome> {
    batch
        .members
        .iter()
        .map(|image| {
            log.remove(&image.id)
                .unwrap_or_else(|| Outcome::Refused(missing.to_owned()))
        })
        .collect()
}

/// How a batch stands by the tasks that are in the pool; `None` if none of them is its.
async fn find_tasks<W: World>(
    world: &W,
    batch: &Batch,
    pool: &str,
) -> PortResult<Option<Progress>> {
    let mut found: BTreeMap<ImageId, Outcome> = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = world.crowd().tasks(pool, after.as_deref()).await?;
        found.extend(
            page.items
                .into_iter()
                .map(|(image, task)| (image, Outcome::Task(task))),
        );
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let there = |image: &&crate::state::Image| found.contains_key(&image.id);
    let (there, all) = (
        batch.members.iter().filter(there).count(),
        batch.members.len(),
    );
    if there == 0 {
        return Ok(None);
    }
    let partly = format!("the crowd has forgotten its operation; {there} of {all} tasks are there");
    if there < all && batch.last_error.as_ref() != Some(&partly) {
        return Ok(Some(Progress::Partly(partly)));
    }
    let missing = "the crowd has forgotten why it made no task of it";
    Ok(Some(Progress::Done(outcomes(batch, found, missing))))
}
