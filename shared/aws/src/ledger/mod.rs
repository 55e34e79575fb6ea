//! The ledger in one DynamoDB table.
//!
//! | `pk` | `sk` | what it holds | written |
//! |---|---|---|---|
//! | `CAMPAIGN#<name>` | `DEFINITION` | the campaign, its setups and lease (packed); `revision` | by saves |
//! | | `TOTALS` | `round`: the newest one's number; `committed`: money | by rounds |
//! | `CAMPAIGNS` | `<name>` | nothing: a pointer | with revision 1 |
//! | `ROUND#<name>/<n>` | `ROUND` | state, counters, `reserved`, times, seal, close, fence, lease | small, often |
//! | | `POOL` | its `RoundPool` (packed) | once |
//! | | `BATCH#<id>` | nothing: a pointer | once |
//! | | `ALIAS#<id>` | an alias, as its IMAGE item | once |
//! | `UNFINISHED` | `<name>/<n>` | nothing: a pointer | deleted when the round is aggregated |
//! | `BATCH#<id>` | `BATCH` | state, fence, lease, `size`; once it is done its outcomes (packed) | small, often |
//! | | `MEMBERS` | its members (packed) | once |
//! | `IMAGE#<id>` | `IMAGE` | an image | once |
//! | `CONTENT#<name>#<sha256>` | `CONTENT` | `image`: the id of the one that claimed these bytes | once |
//! | `CONTROLS#<name>` | `<sha256>` | a control image, as its IMAGE item | once |
//! | `TOLD#<event id>` | `TOLD` | `event`: its JSON | once; `expires` |
//!
//! *Packed* is deflated JSON in a binary attribute. Every item has `v`, its format. `expires` is the
//! attribute that DynamoDB deletes items by, in seconds. What is written often is apart from what is
//! large, because DynamoDB charges for the whole item.
//!
//! The index `work` has the key `work`, `due` and holds keys alone: `READY` batches by their due time,
//! `PARKED#<name>` batches by their age (their `due` is when they were made), and each `PROBLEM` that
//! was told by its time. An item leaves it with its attribute `work`. It lags behind the table: what
//! it finds are candidates, and the condition of the write that follows decides.
//!
//! ## Writes
//!
//! Every method writes by one request, an update (U) or a transaction (T); `put_images` and
//! `remember_told` put items in chunks, unconditionally, because these are the same every time. Where
//! a condition fails DynamoDB tells the item that was there, so that a write that is asked for again
//! because its reply was lost finds its own trace and answers as it did the first time.
//!
//! | method | | changes, each *if* its condition holds | it was this writer if |
//! |---|---|---|---|
//! | `save_campaign` | T | DEFINITION *if* `revision` is one less; revision 1: *if* there is none, with TOTALS and the pointer | it is the same |
//! | `open_round` | T | ROUND *if* there is none; TOTALS' `round` *if* it is one less; pointer | `opened` is the same |
//! | `set_pool` | T | POOL *if* there is none; *if* ROUND is open or sealed | it is the same |
//! | `pool_opened` | U | ROUND *if* `opened_with` is not greater | written again |
//! | `reserve` | T | ROUND's `reserved` *if* open or sealed; TOTALS' `committed` *if* there is room | harmless |
//! | `seal_round` | U | ROUND *if* open | the reason is the same |
//! | `close_round` | T | ROUND *if* sealed, all batches done and `reserved` as it was read; TOTALS' `committed` | `last_stopped` is the same |
//! | `claim_round` | U | ROUND *if* closed and due | writer and lease are the same |
//! | `postpone_round` | U | ROUND *if* closed and the fence is the same | written again |
//! | `round_aggregated` | T | ROUND *if* the fence is the same, closed or aggregated; pointer deleted | written again |
//! | `admit` | T | BATCH *if* there is none; MEMBERS; pointer; a CONTENT (or IMAGE) of each member *if* there is none; IMAGE *if* there is none and ALIAS of each alias; ROUND's counters *if* open; `committed` *if* there is room | `Known` |
//! | `park` | T | as `admit` without pointer and money; ROUND's counters only for aliases | `Known` |
//! | `unpark` | T | BATCH *if* parked; pointer; ROUND's counters *if* open; `committed` *if* there is room | `Known` |
//! | `add_control` | T | IMAGE *if* there is none; CONTROLS *if* there is none | the image that is kept |
//! | `add_control_batch` | T | BATCH *if* there is none; MEMBERS; pointer and ROUND's counter *if* open or sealed; *if* there is no POOL | `Lost`: look again |
//! | `claim_batch` | U | BATCH *if* ready and due | writer and lease are the same |
//! | `postpone_batch` | U | BATCH *if* ready and the fence is the same | written again |
//! | `finish_batch` | T | BATCH *if* ready and the fence is the same; ROUND's counters | fence and outcomes are the same |
//!
//! A transaction has at most 100 items: 95 members, and five for their batch. If several conditions
//! fail, what was there already goes before the round's state and that before money.
//!
//! Writers that collide are told to come again by DynamoDB; they do so after a moment, for about a
//! second. A round's counters are one item, as is a campaign's money: at some dozens of admissions a
//! second, which is more than the crowd takes, that is enough. `last_upload` is the time of the last
//! admission to be written; clocks of writers may differ.
//!
//! Reads are strongly consistent but for `known_images` and the index.

mod batches;
mod campaigns;
mod change;
mod codec;
mod images;
mod keys;
mod request;
mod rounds;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Admitted, Ledger, Page, PortResult, Write};
use quorate_core::state::{
    Batch, CampaignItem, Close, Image, Kind, Outcome, Round, RoundPool, SealReason,
};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use codec::Item;
use keys::Key;

/// A [`Ledger`] in a DynamoDB table; cheap to clone.
#[derive(Clone, Debug)]
pub struct DynamoLedger {
    client: Client,
    table: String,
}

impl DynamoLedger {
    /// The ledger in `table`, which the project's template describes.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let table = table.into();
        Self { client, table }
    }

    /// Asks for one item, to see whether the table can be used.
    ///
    /// # Errors
    /// `Refused` if there is no such table or access to it is denied, with the table's name.
    pub async fn check(&self) -> PortResult<()> {
        self.get(&Key::new(keys::CAMPAIGNS, "-")).await.map(drop)
    }

    /// At most `limit` items of a round whose sort key is `prefix` and something behind `after`.
    async fn in_round(
        &self,
        round: &RoundId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<Item>> {
        let pk = keys::in_round(round);
        let query = self
            .query(&pk)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        let after = after.map(|after| Key::new(pk, format!("{prefix}{after}")));
        self.found(query, after, limit).await
    }
}

fn done_if(condition: bool) -> Write {
    if condition { Write::Done } else { Write::Lost }
}

/// Counts a write under a fence that was lost.
fn fenced(write: Write, message: &str, id: &impl Display) -> Write {
    if write == Write::Lost {
        tracing::warn!(metric.fence_losses = 1, %id, "{message}: somebody else has it");
    }
    write
}

/// Cuts one item more than a page holds down to a page that tells where the next begins.
fn page<T>(mut items: Vec<T>, size: usize, id: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(id);
    Page { items, next }
}

impl Ledger for DynamoLedger {
    async fn campaign(&self, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
        campaigns::get(self, name).await
    }

    async fn campaigns(&self) -> PortResult<Vec<CampaignName>> {
        campaigns::names(self).await
    }

    async fn save_campaign(&self, item: &CampaignItem) -> PortResult<Write> {
        campaigns::save(self, item).await
    }

    async fn open_round(&self, id: &RoundId, at: Timestamp) -> PortResult<Write> {
        rounds::open(self, id, at).await
    }

    async fn round(&self, id: &RoundId) -> PortResult<Option<Round>> {
        rounds::get(self, id).await
    }

    async fn unfinished_rounds(&self) -> PortResult<Vec<RoundId>> {
        rounds::unfinished(self).await
    }

    async fn set_pool(&self, id: &RoundId, pool: &RoundPool) -> PortResult<Write> {
        rounds::set_pool(self, id, pool).await
    }

    async fn pool_opened(&self, id: &RoundId, batches_done: u64) -> PortResult<Write> {
        rounds::pool_opened(self, id, batches_done).await
    }

    async fn reserve(
        &self,
        id: &RoundId,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> PortResult<Admitted> {
        rounds::reserve(self, id, amount, budget).await
    }

    async fn seal_round(&self, id: &RoundId, reason: SealReason) -> PortResult<Write> {
        rounds::seal(self, id, reason).await
    }

    async fn close_round(&self, id: &RoundId, close: &Close) -> PortResult<Write> {
        rounds::close(self, id, close).await
    }

    async fn claim_round(
        &self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Round>> {
        rounds::claim(self, id, writer, now, until).await
    }

    async fn postpone_round(&self, id: &RoundId, fence: u64, due: Timestamp) -> PortResult<Write> {
        rounds::postpone(self, id, fence, due).await
    }

    async fn round_aggregated(&self, id: &RoundId, fence: u64) -> PortResult<Write> {
        rounds::aggregated(self, id, fence).await
    }

    async fn known_images(&self, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
        images::known(self, ids).await
    }

    async fn image(&self, id: ImageId) -> PortResult<Option<Image>> {
        images::get(self, id).await
    }

    async fn originals(
        &self,
        campaign: &CampaignName,
        sha256: &[String],
    ) -> PortResult<BTreeMap<String, ImageId>> {
        images::originals(self, campaign, sha256).await
    }

    async fn put_images(&self, images: &[Image]) -> PortResult<()> {
        images::put_all(self, images).await
    }

    async fn admit(&self, admission: &Admission) -> PortResult<Admitted> {
        batches::admit(self, admission).await
    }

    async fn park(&self, admission: &Admission) -> PortResult<Admitted> {
        batches::park(self, admission).await
    }

    async fn parked(&self, campaign: &CampaignName) -> PortResult<Vec<BatchId>> {
        batches::parked(self, campaign).await
    }

    async fn unpark(
        &self,
        batch: &Batch,
        round: &RoundId,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> PortResult<Admitted> {
        batches::unpark(self, batch, round, budget, at).await
    }

    async fn add_control(&self, image: &Image) -> PortResult<Image> {
        images::add_control(self, image).await
    }

    async fn controls(&self, campaign: &CampaignName, kind: Kind) -> PortResult<Vec<Image>> {
        images::controls(self, campaign, kind).await
    }

    async fn add_control_batch(&self, batch: &Batch) -> PortResult<Write> {
        batches::add_control(self, batch).await
    }

    async fn batch(&self, id: BatchId) -> PortResult<Option<Batch>> {
        batches::get(self, id).await
    }

    async fn due_batches(&self, now: Timestamp, limit: usize) -> PortResult<Vec<BatchId>> {
        batches::due(self, now, limit).await
    }

    async fn claim_batch(
        &self,
        id: BatchId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Batch>> {
        batches::claim(self, id, writer, now, until).await
    }

    async fn postpone_batch(
        &self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> PortResult<Write> {
        batches::postpone(self, id, fence, due, error).await
    }

    async fn finish_batch(
        &self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> PortResult<Write> {
        batches::finish(self, id, fence, outcomes).await
    }

    async fn round_batches(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Batch>> {
        batches::of_round(self, id, after).await
    }

    async fn round_aliases(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Image>> {
        images::aliases(self, id, after).await
    }
}
