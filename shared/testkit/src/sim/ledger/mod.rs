//! A ledger in memory.
//!
//! It answers as the one on DynamoDB does, also where the port leaves a choice: a transaction has
//! at most 100 items and no item twice, `last_upload` is the time of the last admission to be
//! written whatever the clocks say, a parked batch is due since it was made, and
//! [`put_images`](Ledger::put_images) writes whatever is there. What an item's condition refuses is
//! told in the same order: what was there already goes before the round's state, and that before
//! money.
//!
//! Reads are strongly consistent but for three, as there: `known_images`, and `due_batches` and
//! `parked`, which read the index of work. [`SimLedger::freeze_index`] holds these back.
//!
//! What other ledgers do in two requests, such as a transaction and a look at the round behind it,
//! is one step here: a crash between the two is a reply that was lost.

mod batches;
mod campaigns;
mod images;
mod rounds;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Admitted, Ledger, Page, PortError, PortResult, Write};
use quorate_core::state::{
    Batch, BatchState, CampaignItem, Close, Image, Kind, Outcome, Round, RoundPool, RoundState,
    SealReason,
};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

/// A [`Ledger`] in memory; every future is ready when it is first polled.
#[derive(Debug, Default)]
pub struct SimLedger {
    state: Mutex<State>,
}

/// All that a ledger holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// CAMPAIGN items.
    pub campaigns: BTreeMap<CampaignName, CampaignItem>,
    /// ROUND items with their counters.
    pub rounds: BTreeMap<RoundId, Round>,
    /// BATCH items.
    pub batches: BTreeMap<BatchId, Batch>,
    /// IMAGE items.
    pub images: BTreeMap<ImageId, Image>,
    /// The aliases of each round that has some.
    pub aliases: BTreeMap<RoundId, BTreeMap<ImageId, Image>>,
    /// The control images of each campaign by the SHA-256 of their bytes.
    pub controls: BTreeMap<CampaignName, BTreeMap<String, Image>>,
    /// For each campaign, which image claimed the bytes of this SHA-256.
    pub contents: BTreeMap<CampaignName, BTreeMap<String, ImageId>>,
}

/// What a ledger that is broken on purpose leaves out, to see whether that is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omission {
    /// Whoever had a batch or a round may give it back, finish it or say that it is aggregated: the
    /// fence is not compared.
    Fence,
    /// An admission does not ask whether its images and their bytes are new.
    ImageCondition,
    /// A round closes and is shown as if all its batches were done.
    Drained,
    /// An admission of what was admitted, and the end of a batch that is told again by whomever, are
    /// answered as they should be but counted again.
    CountOnce,
    /// The close of a round commits what was spent and keeps what was reserved.
    Release,
    /// What the index of work finds is taken at its word: a claim asks neither for the batch's state
    /// nor for its lease, and unparking not whether it is parked.
    BaseItem,
}

#[derive(Clone, Debug, Default)]
struct State {
    records: Records,
    /// What lagging reads see, while they lag.
    lag: Option<Lag>,
    omission: Option<Omission>,
}

#[derive(Clone, Debug)]
struct Lag {
    /// The index of work: batches that wait, and their due time.
    work: BTreeMap<BatchId, (BatchState, Timestamp)>,
    /// Images that were put since.
    unseen: BTreeSet<ImageId>,
}

impl SimLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ledger that leaves a condition out.
    #[must_use]
    pub fn without(omission: Omission) -> Self {
        let ledger = Self::default();
        ledger.lock().omission = Some(omission);
        ledger
    }

    /// A ledger of its own with the same records. Its reads do not lag, and it leaves nothing out.
    #[must_use]
    pub fn fork(&self) -> Self {
        let records = self.lock().records.clone();
        Self {
            state: Mutex::new(State {
                records,
                ..State::default()
            }),
        }
    }

    /// Looks at what is really there. `look` must not ask this ledger for anything.
    pub fn look<T>(&self, look: impl FnOnce(&Records) -> T) -> T {
        look(&self.lock().records)
    }

    /// From now on the reads that may lag answer as of now.
    pub fn freeze_index(&self) {
        let mut state = self.lock();
        let waiting = |batch: &&Batch| batch.state != BatchState::Done;
        let batches = state.records.batches.values().filter(waiting);
        let work = batches.map(|batch| (batch.id, (batch.state, batch.due)));
        state.lag = Some(Lag {
            work: work.collect(),
            unseen: BTreeSet::new(),
        });
    }

    /// The reads that may lag do so no more.
    pub fn catch_up(&self) {
        self.lock().lag = None;
    }

    /// Makes a round `CLOSED` as if nobody had claimed it, so that it can be aggregated (again).
    /// Not a thing that a ledger does: it is for a [`fork`](Self::fork). A round that is not closed
    /// yet stays as it is.
    pub fn forget_aggregation(&self, id: &RoundId) {
        let mut state = self.lock();
        if let Some(round) = state.records.rounds.get_mut(id)
            && round.state >= RoundState::Closed
        {
            round.state = RoundState::Closed;
            round.fence = 0;
            round.writer.clear();
            round.due = Timestamp::default();
            round.attempts = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn omits(&self, omission: Omission) -> bool {
        self.omission == Some(omission)
    }
}

fn done_if(condition: bool) -> Write {
    if condition { Write::Done } else { Write::Lost }
}

/// A number of things in memory; it always fits.
fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

/// The first `size` of these, and where the next page begins.
fn page<'a, T: Clone + 'a>(
    mut items: impl Iterator<Item = &'a T>,
    size: usize,
    id: impl Fn(&T) -> String,
) -> Page<T> {
    let page: Vec<T> = items.by_ref().take(size).cloned().collect();
    let more = items.next().is_some();
    let next = page.last().filter(|_| more).map(id);
    Page { items: page, next }
}

/// Where in a listing the page begins that comes after what the one before told.
fn behind<T: FromStr>(after: Option<&str>) -> PortResult<Bound<T>> {
    let Some(after) = after else {
        return Ok(Bound::Unbounded);
    };
    let refused = |_| PortError::Refused(format!("no page begins behind {after:?}"));
    after.parse().map(Bound::Excluded).map_err(refused)
}

impl Ledger for SimLedger {
    async fn campaign(&self, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
        Ok(self.lock().records.campaigns.get(name).cloned())
    }

    async fn campaigns(&self) -> PortResult<Vec<CampaignName>> {
        Ok(self.lock().records.campaigns.keys().cloned().collect())
    }

    async fn save_campaign(&self, item: &CampaignItem) -> PortResult<Write> {
        Ok(self.lock().save_campaign(item))
    }

    async fn open_round(&self, id: &RoundId, at: Timestamp) -> PortResult<Write> {
        Ok(self.lock().open_round(id, at))
    }

    async fn round(&self, id: &RoundId) -> PortResult<Option<Round>> {
        Ok(self.lock().round(id))
    }

    async fn unfinished_rounds(&self) -> PortResult<Vec<RoundId>> {
        Ok(self.lock().unfinished_rounds())
    }

    async fn set_pool(&self, id: &RoundId, pool: &RoundPool) -> PortResult<Write> {
        Ok(self.lock().set_pool(id, pool))
    }

    async fn pool_opened(&self, id: &RoundId, batches_done: u64) -> PortResult<Write> {
        Ok(self.lock().pool_opened(id, batches_done))
    }

    async fn reserve(
        &self,
        id: &RoundId,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> PortResult<Admitted> {
        self.lock().reserve(id, amount, budget)
    }

    async fn seal_round(&self, id: &RoundId, reason: SealReason) -> PortResult<Write> {
        Ok(self.lock().seal_round(id, reason))
    }

    async fn close_round(&self, id: &RoundId, close: &Close) -> PortResult<Write> {
        Ok(self.lock().close_round(id, close))
    }

    async fn claim_round(
        &self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Round>> {
        Ok(self.lock().claim_round(id, writer, now, until))
    }

    async fn postpone_round(&self, id: &RoundId, fence: u64, due: Timestamp) -> PortResult<Write> {
        Ok(self.lock().postpone_round(id, fence, due))
    }

    async fn round_aggregated(&self, id: &RoundId, fence: u64) -> PortResult<Write> {
        Ok(self.lock().round_aggregated(id, fence))
    }

    async fn known_images(&self, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
        self.lock().known_images(ids)
    }

    async fn image(&self, id: ImageId) -> PortResult<Option<Image>> {
        Ok(self.lock().records.images.get(&id).cloned())
    }

    async fn originals(
        &self,
        campaign: &CampaignName,
        sha256: &[String],
    ) -> PortResult<BTreeMap<String, ImageId>> {
        self.lock().originals(campaign, sha256)
    }

    async fn put_images(&self, images: &[Image]) -> PortResult<()> {
        self.lock().put_images(images)
    }

    async fn admit(&self, admission: &Admission) -> PortResult<Admitted> {
        self.lock().admit(admission)
    }

    async fn park(&self, admission: &Admission) -> PortResult<Admitted> {
        self.lock().park(admission)
    }

    async fn parked(&self, campaign: &CampaignName) -> PortResult<Vec<BatchId>> {
        Ok(self.lock().parked(campaign))
    }

    async fn unpark(
        &self,
        batch: &Batch,
        round: &RoundId,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> PortResult<Admitted> {
        self.lock().unpark(batch, round, budget, at)
    }

    async fn add_control(&self, image: &Image) -> PortResult<Image> {
        self.lock().add_control(image)
    }

    async fn controls(&self, campaign: &CampaignName, kind: Kind) -> PortResult<Vec<Image>> {
        Ok(self.lock().controls(campaign, kind))
    }

    async fn add_control_batch(&self, batch: &Batch) -> PortResult<Write> {
        Ok(self.lock().add_control_batch(batch))
    }

    async fn batch(&self, id: BatchId) -> PortResult<Option<Batch>> {
        Ok(self.lock().records.batches.get(&id).cloned())
    }

    async fn due_batches(&self, now: Timestamp, limit: usize) -> PortResult<Vec<BatchId>> {
        Ok(self.lock().due_batches(now, limit))
    }

    async fn claim_batch(
        &self,
        id: BatchId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Batch>> {
        Ok(self.lock().claim_batch(id, writer, now, until))
    }

    async fn postpone_batch(
        &self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> PortResult<Write> {
        Ok(self.lock().postpone_batch(id, fence, due, error))
    }

    async fn finish_batch(
        &self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> PortResult<Write> {
        self.lock().finish_batch(id, fence, outcomes)
    }

    async fn round_batches(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Batch>> {
        self.lock().round_batches(id, after)
    }

    async fn round_aliases(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Image>> {
        self.lock().round_aliases(id, after)
    }
}
