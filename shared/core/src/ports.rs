//! The ports: everything that the use cases ask of the world.
//!
//! Each method is exactly one request, because every network boundary is a place where we can
//! crash. Nothing here retries; a caller that cannot go on leaves the work to the next sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::campaign::Campaign;
use crate::event::Event;
use crate::ids::{BatchId, CampaignName, ImageId, OperationId, RoundId};
use crate::link::LinkSigner;
use crate::state::{
    Batch, CampaignItem, Close, Image, Kind, Outcome, Round, RoundPool, SealReason,
};
use crate::time::Timestamp;

/// Why a request to a port failed, by what the caller should do.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortError {
    /// Throttled, unreachable or timed out; the effect may or may not have happened. Try later.
    #[error("{0}")]
    Unavailable(String),
    /// A quota is used up; nothing will succeed before it renews.
    #[error("{reason} (try again in {} s)", after.as_secs())]
    Blocked {
        /// When to try again.
        after: Duration,
        /// What was refused.
        reason: String,
    },
    /// The request is wrong or forbidden; repeating it will not help.
    #[error("{0}")]
    Refused(String),
}

/// What a port answers.
pub type PortResult<T> = Result<T, PortError>;

/// A page of a listing, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass it as `after` to get the next page; none on the last one.
    pub next: Option<String>,
}

/// An instant from outside.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// An object as a bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key, decoded.
    pub key: String,
    /// Its version id, else its etag without quotes.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// When this version came into the bucket, by the bucket's clock. S3 counts an upload in parts
    /// from its first part; a folder says when it first saw the file as it is.
    pub modified: Timestamp,
}

/// Whether a put-if-absent wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is ours.
    Created,
    /// There was one already; nothing was written.
    Existed,
}

/// A bucket. Versions stay readable after an overwrite or a delete.
pub trait Objects: Send + Sync {
    /// The bucket's name: part of every image's identity.
    fn bucket(&self) -> &str;
    /// The newest version under `key`, if there is one.
    fn head(&self, key: &str) -> impl Future<Output = PortResult<Option<ObjectMeta>>> + Send;
    /// At most `limit` first bytes of `version` under `key`; none if it is gone.
    fn get(
        &self,
        key: &str,
        version: &str,
        limit: u64,
    ) -> impl Future<Output = PortResult<Option<Vec<u8>>>> + Send;
    /// A page (at most 1000) of the newest versions whose key starts with `prefix`, in key order.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<ObjectMeta>>> + Send;
    /// Writes the object; when it returns, it is durable and whole or was not written.
    fn put(&self, key: &str, body: &[u8]) -> impl Future<Output = PortResult<()>> + Send;
    /// Writes the object only if there is none under `key`.
    fn put_if_absent(&self, key: &str, body: &[u8])
    -> impl Future<Output = PortResult<Put>> + Send;
}

/// New images for the open round: one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The batch to write; none if there are only aliases.
    pub batch: Option<Batch>,
    /// Images with the bytes of another one; they get no task. Their IMAGE items are put here, and
    /// none of them may exist.
    pub aliases: Vec<Image>,
    /// The round that takes them; it must be open.
    pub round: RoundId,
    /// How a member is kept from being admitted twice. If set, it claims its bytes, which nobody of
    /// the campaign may have claimed, and its IMAGE item follows by [`Ledger::put_images`] before it
    /// becomes a task; otherwise its IMAGE item is put here and may not exist.
    pub claim_content: bool,
    /// The campaign's cap on committed money; none for no cap. Ignored for a parked batch.
    pub budget: Option<Decimal>,
    /// Now: the round's last upload.
    pub at: Timestamp,
}

/// The answer to an [`Admission`].
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// Written, with the round's images after it.
    Done {
        /// Images in the round now.
        images: u64,
    },
    /// An image, its bytes or the batch exist already: nothing was written; look again.
    Known,
    /// The round takes no more uploads: nothing was written; use the next.
    Sealed,
    /// The reservation would pass the budget: nothing was written.
    OverBudget {
        /// What is committed already.
        committed: Decimal,
    },
}

/// Whether a conditional write happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It did (or this writer's same write had happened before).
    Done,
    /// Somebody was faster, or the state has moved on: nothing was written; look again.
    Lost,
}

/// The record of what is intended, under way and done. What a method writes it writes in one
/// request: on AWS one of DynamoDB, on one machine one transaction of SQLite.
pub trait Ledger: Send + Sync {
    /// A campaign.
    fn campaign(
        &self,
        name: &CampaignName,
    ) -> impl Future<Output = PortResult<Option<CampaignItem>>> + Send;
    /// The names of all campaigns, in order.
    fn campaigns(&self) -> impl Future<Output = PortResult<Vec<CampaignName>>> + Send;
    /// Saves `item` (but for `round` and `committed`) if the stored revision is one less than its
    /// own, or if it is revision 1 and there is none.
    fn save_campaign(&self, item: &CampaignItem) -> impl Future<Output = PortResult<Write>> + Send;

    /// Opens round `id` if the campaign's newest round is the one before it.
    fn open_round(
        &self,
        id: &RoundId,
        at: Timestamp,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// A round with its counters.
    fn round(&self, id: &RoundId) -> impl Future<Output = PortResult<Option<Round>>> + Send;
    /// The rounds that are not aggregated, in order.
    fn unfinished_rounds(&self) -> impl Future<Output = PortResult<Vec<RoundId>>> + Send;
    /// Gives an unfinished round its pool, if it has none.
    fn set_pool(
        &self,
        id: &RoundId,
        pool: &RoundPool,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// Records that the pool was opened when `batches_done` batches were done; never lowers it.
    fn pool_opened(
        &self,
        id: &RoundId,
        batches_done: u64,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// Reserves `amount` more for an unfinished round, if the campaign's committed money stays
    /// within `budget`. Reserving twice is harmless: what is not spent is released at the close.
    fn reserve(
        &self,
        id: &RoundId,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> impl Future<Output = PortResult<Admitted>> + Send;
    /// `OPEN → SEALED`.
    fn seal_round(
        &self,
        id: &RoundId,
        reason: SealReason,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// `SEALED → CLOSED` if all its batches are done, and replaces the round's reservation in the
    /// campaign's committed money by what was spent.
    fn close_round(
        &self,
        id: &RoundId,
        close: &Close,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// Takes a `CLOSED` round that is due for aggregation until `until`: raises its fence. None if
    /// it is not closed or somebody has it; the same writer with the same `until` has it already.
    fn claim_round(
        &self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<Option<Round>>> + Send;
    /// Gives a claimed round back, to be claimed again from `due` on, under `fence`.
    fn postpone_round(
        &self,
        id: &RoundId,
        fence: u64,
        due: Timestamp,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// `CLOSED → AGGREGATED`, under `fence`.
    fn round_aggregated(
        &self,
        id: &RoundId,
        fence: u64,
    ) -> impl Future<Output = PortResult<Write>> + Send;

    /// Which of `ids` (at most 100) are IMAGE items. One that was put a moment ago may be missing.
    fn known_images(
        &self,
        ids: &[ImageId],
    ) -> impl Future<Output = PortResult<BTreeSet<ImageId>>> + Send;
    /// An image.
    fn image(&self, id: ImageId) -> impl Future<Output = PortResult<Option<Image>>> + Send;
    /// For each of `sha256` (at most 100), the image of `campaign` that claimed these bytes.
    fn originals(
        &self,
        campaign: &CampaignName,
        sha256: &[String],
    ) -> impl Future<Output = PortResult<BTreeMap<String, ImageId>>> + Send;
    /// Puts the IMAGE items of images that become tasks now; one that exists stays. They are what
    /// links and repeated events are looked up by.
    fn put_images(&self, images: &[Image]) -> impl Future<Output = PortResult<()>> + Send;
    /// Puts new images and their batch into a round.
    fn admit(&self, admission: &Admission) -> impl Future<Output = PortResult<Admitted>> + Send;
    /// Keeps the batch of an admission that the budget does not cover: images are admitted, the
    /// batch is `PARKED`, no round counts it and nothing is reserved.
    fn park(&self, admission: &Admission) -> impl Future<Output = PortResult<Admitted>> + Send;
    /// The parked batches of a campaign, oldest first.
    fn parked(
        &self,
        campaign: &CampaignName,
    ) -> impl Future<Output = PortResult<Vec<BatchId>>> + Send;
    /// `PARKED → READY` in an open round, reserving the batch's money under the cap.
    fn unpark(
        &self,
        batch: &Batch,
        round: &RoundId,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> impl Future<Output = PortResult<Admitted>> + Send;

    /// Keeps a control image (golden, exam, training), unless the campaign has one with the same
    /// bytes: the one that is kept, `image` itself or the other.
    fn add_control(&self, image: &Image) -> impl Future<Output = PortResult<Image>> + Send;
    /// The control images of a kind, in order of their keys.
    fn controls(
        &self,
        campaign: &CampaignName,
        kind: Kind,
    ) -> impl Future<Output = PortResult<Vec<Image>>> + Send;
    /// Writes a batch of control tasks; if it names a round, that must be unfinished and without a
    /// pool, and counts it. `Lost` if the batch exists or the round is further.
    fn add_control_batch(&self, batch: &Batch) -> impl Future<Output = PortResult<Write>> + Send;

    /// A batch.
    fn batch(&self, id: BatchId) -> impl Future<Output = PortResult<Option<Batch>>> + Send;
    /// `READY` batches that may be claimed at `now`, the longest due first, at most `limit`.
    fn due_batches(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = PortResult<Vec<BatchId>>> + Send;
    /// Takes a `READY` batch that is due until `until`: raises its fence and attempts, and sets
    /// `first_sent` if this is the first claim. None if it is not ready or somebody has it; the
    /// same writer with the same `until` has it already.
    fn claim_batch(
        &self,
        id: BatchId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<Option<Batch>>> + Send;
    /// Gives a claimed batch back, to be tried again at `due`.
    fn postpone_batch(
        &self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// `READY → DONE` under `fence`, with the members' outcomes in order, and counts it in its
    /// round. The same outcomes written again by the same fence are `Done`.
    fn finish_batch(
        &self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> impl Future<Output = PortResult<Write>> + Send;
    /// The batches of a round in order of their ids, a page at a time.
    fn round_batches(
        &self,
        id: &RoundId,
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<Batch>>> + Send;
    /// The aliases of a round in order of their ids, a page at a time.
    fn round_aliases(
        &self,
        id: &RoundId,
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<Image>>> + Send;
}

/// How a pool stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Workers are given its tasks.
    pub open: bool,
    /// Why it closed last: `COMPLETED`, `MANUAL`, `EXPIRED`, `NOT_ENOUGH_BALANCE`, …
    pub close_reason: Option<String>,
    /// When it closed last, as the crowd writes it.
    pub last_stopped: Option<String>,
    /// No page has fewer images: 1 if the last images of a worker make a page however few they are.
    pub least_images: u32,
}

/// What came of asking the crowd to open a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolOpened {
    /// It is open, or will be.
    Opened,
    /// The account's balance does not cover its tasks.
    NotEnoughBalance,
    /// It has no tasks.
    Empty,
    /// It was archived: its round is over.
    Archived,
}

/// A task to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// The image; the task carries its id.
    pub image: ImageId,
    /// The input fields.
    pub input: BTreeMap<String, String>,
    /// The known answer, of control tasks.
    pub known: Option<String>,
    /// Shown on a wrong answer; makes it a training task.
    pub hint: Option<String>,
}

/// What a batch request led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The crowd took it.
    Accepted,
    /// It had taken it before.
    Existed,
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Not finished.
    Running,
    /// Finished; the log tells of every item.
    Finished,
    /// The crowd does not know it (it forgets after some weeks, or never got it).
    Unknown,
}

/// A page of an answered suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The crowd's id.
    pub id: String,
    /// The worker.
    pub worker: String,
    /// `ACCEPTED`, `SUBMITTED`, …
    pub status: String,
    /// Paid for it, without fee.
    pub reward: Decimal,
    /// When the worker got it, as the crowd writes it.
    pub created: String,
    /// When the worker sent it in.
    pub submitted: Option<String>,
    /// The answers on it, in task order.
    pub answers: Vec<TaskAnswer>,
}

/// An answer to one task of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAnswer {
    /// The task.
    pub task: String,
    /// The image that the task carries.
    pub image: Option<ImageId>,
    /// The answer; none if the worker left the field out.
    pub label: Option<String>,
    /// The task's known answer if it is a control task.
    pub known: Option<String>,
}

/// A worker's ban.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ban {
    /// The worker.
    pub worker: String,
    /// `POOL`, `PROJECT`, `ALL_PROJECTS`, `SYSTEM`.
    pub scope: String,
    /// Why, as the rule says.
    pub reason: String,
}

/// What a pool, exam or training is made of: the crowd port turns it into the crowd's own terms.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Derived from what the pool is for; stored with it so that it can be found again.
    pub marker: String,
    /// Its project.
    pub project: &'a str,
    /// What it is: `Real` for a round's pool, else the exam or the training.
    pub kind: Kind,
    /// Whether pages mix in control tasks.
    pub golden: bool,
    /// The skill that the exam sets (its pool) or asks for (a round's pool).
    pub exam_skill: Option<&'a str>,
    /// The skill that control tasks set.
    pub quality_skill: Option<&'a str>,
    /// The training to pass first.
    pub training: Option<&'a str>,
    /// How many tasks there are to begin with (an exam is passed by answering them).
    pub tasks: usize,
    /// Now; the pool expires long after.
    pub now: Timestamp,
}

/// The crowd, in the terms of Toloka's API.
pub trait Crowd: Send + Sync {
    /// The share that the platform adds to rewards, e.g. `0.2`.
    fn fee(&self) -> Decimal;
    /// The project created under `marker`, if any.
    fn find_project(&self, marker: &str)
    -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// Creates the campaign's project; the id.
    fn create_project(
        &self,
        campaign: &Campaign,
        marker: &str,
    ) -> impl Future<Output = PortResult<String>> + Send;
    /// The skill called `name`, if any.
    fn find_skill(&self, name: &str) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// Creates a hidden skill; the id.
    fn create_skill(&self, name: &str) -> impl Future<Output = PortResult<String>> + Send;
    /// The pool (for `Kind::Training`, the training) of `project` created under `marker`, if any.
    fn find_pool(
        &self,
        project: &str,
        kind: Kind,
        marker: &str,
    ) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// Creates a pool or a training; the id.
    fn create_pool(&self, spec: &PoolSpec<'_>) -> impl Future<Output = PortResult<String>> + Send;
    /// Opens a pool or a training.
    fn open_pool(&self, pool: &str) -> impl Future<Output = PortResult<PoolOpened>> + Send;
    /// Stops giving out a pool's tasks, until somebody opens it.
    fn close_pool(&self, pool: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// Stops giving out a pool's tasks for a change of its settings (`FOR_UPDATE`): if nobody opens
    /// it, the crowd does after a quarter of an hour. Changes nothing in a closed pool.
    fn close_for_update(&self, pool: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// Puts a closed pool away for good: from then on nobody opens it. Unavailable while it is open or
    /// somebody has a page of it; refused if the crowd keeps it, for nine days after a rejection.
    fn archive_pool(&self, pool: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// A closed pool makes no page of fewer than `least` images from now on, whatever is left. Not
    /// one request but two, reading the pool and writing it back: harmless when repeated.
    fn set_least_images(
        &self,
        pool: &str,
        least: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// How a pool stands.
    fn pool(&self, pool: &str) -> impl Future<Output = PortResult<PoolStatus>> + Send;
    /// Asks for tasks under an operation id; invalid ones are skipped and told of in the log.
    /// Known answers belong to `answer_field`.
    fn submit(
        &self,
        pool: &str,
        answer_field: &str,
        operation: OperationId,
        tasks: &[NewTask],
    ) -> impl Future<Output = PortResult<Submitted>> + Send;
    /// How the operation of a batch stands.
    fn operation(
        &self,
        operation: OperationId,
    ) -> impl Future<Output = PortResult<OperationStatus>> + Send;
    /// What became of each image of a finished operation.
    fn operation_log(
        &self,
        operation: OperationId,
    ) -> impl Future<Output = PortResult<BTreeMap<ImageId, Outcome>>> + Send;
    /// A page of a pool's tasks: image and task id.
    fn tasks(
        &self,
        pool: &str,
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<(ImageId, String)>>> + Send;
    /// A page of a pool's assignments with one of these statuses, in order of their ids; labels
    /// are read from `answer_field`.
    fn assignments(
        &self,
        pool: &str,
        answer_field: &str,
        statuses: &[&str],
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<Assignment>>> + Send;
    /// A page of the bans that concern a pool of `project`.
    fn bans(
        &self,
        project: &str,
        pool: &str,
        after: Option<&str>,
    ) -> impl Future<Output = PortResult<Page<Ban>>> + Send;
    /// Rewards of a pool's accepted pages so far, without fee.
    fn spent(&self, pool: &str) -> impl Future<Output = PortResult<Decimal>> + Send;
}

/// Where events go: the bus and a person's inbox on AWS, a file and the terminal on one machine.
pub trait Notify: Send + Sync {
    /// Delivers an event at least once; consumers dedupe by its id.
    fn notify(&self, event: &Event) -> impl Future<Output = PortResult<()>> + Send;
}

/// Everything a use case may touch.
pub trait World: Send + Sync {
    /// The ledger.
    type Ledger: Ledger;
    /// The crowd.
    type Crowd: Crowd;
    /// Buckets.
    type Objects: Objects;
    /// Time.
    type Clock: Clock;
    /// Events.
    type Notify: Notify;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The crowd.
    fn crowd(&self) -> &Self::Crowd;
    /// The bucket that people drop files into.
    fn uploads(&self) -> &Self::Objects;
    /// The bucket that results go to.
    fn results(&self) -> &Self::Objects;
    /// Time.
    fn clock(&self) -> &Self::Clock;
    /// Events.
    fn notify(&self) -> &Self::Notify;
    /// Makes the links under which workers see images.
    fn links(&self) -> impl Future<Output = PortResult<LinkSigner>> + Send;
    /// Names this invocation in leases.
    fn writer(&self) -> &str;
}
