//! The items of the ledger and their states.
//!
//! Every arrow is one write of the [`Ledger`](crate::ports::Ledger). What stands in brackets is its
//! condition: it is part of the write, so that of two writers one comes first and the other is told
//! that it has lost, and looks again. A write that succeeded and whose reply was lost recognises
//! itself when it is repeated. No state is gone back to.
//!
//! # Round
//!
//! ```text
//!  [campaign's newest round is the one before]
//!        │ open_round
//!        ▼       seal_round [OPEN]         close_round [SEALED, batches_done = batches]
//!      OPEN ─────────────────► SEALED ─────────────────► CLOSED
//!                                                        │    ▲
//!                 claim_round [CLOSED, due ≤ now]: fence + 1, due = end of lease
//!                 postpone_round [CLOSED, same fence]: due = later
//!                                                        │
//!                                   round_aggregated [CLOSED, same fence]
//!                                                        ▼
//!                                                    AGGREGATED
//! ```
//!
//! * *OPEN* takes images: `admit` and `unpark` ask for it in their own transaction, so that no image
//!   gets into a sealed round. *SEALED* takes no more. Control batches
//!   count only in a round that has no pool yet, so that what a pool shows is complete before it opens.
//! * The pool is set once [OPEN or SEALED, no pool yet]. `opened_with` only rises: it says how many
//!   batches were done when the pool was opened last, so that a completion which did not know of the
//!   last tasks is not taken for the end. [`rounds`](crate::rounds) decides when.
//! * *CLOSED* is told by a `PoolClosed`, again by every tick and sweep as long as the round is due:
//!   losing the event loses time, no round. Two invocations may work on it, one after the lease of
//!   the other; what makes one result of it is `_manifest.json`, which only the first can put.
//!
//! # Batch
//!
//! ```text
//!    admit [images new, round OPEN,               park [images new; round OPEN, if
//!           budget has room]                            there are aliases for it]
//!        │                unpark [PARKED, room, OPEN]             │
//!        ▼    ◄────────────────────────────────────────────────  ▼
//!      READY                                                   PARKED
//!      │   ▲
//!      │   claim_batch [READY, due ≤ now]: fence + 1, attempts + 1, due = end of lease
//!      │   postpone_batch [READY, same fence]: due = later, last_error
//!      │
//!      │ finish_batch [READY, same fence]: outcomes, and the round counts them
//!      ▼
//!     DONE
//! ```
//!
//! * A *READY* batch may have been sent any number of times: its operation id makes that harmless.
//!   `due` is lease and pause in one: whoever dies leaves a batch that is due when its lease is over,
//!   and takes nothing with it; whoever comes back late has an older fence, and its write is lost.
//!   [`dispatch`](crate::dispatch) says how a batch that was sent before is gone on with.
//! * *Blocked*: a used-up quota puts `due` as far away as the crowd says; nobody asks before.
//! * *PARKED* belongs to no round and reserves nothing. [`reconcile`](crate::reconcile) unparks in the
//!   order of age when the budget covers it.
//! * *Control batches* begin READY (`add_control_batch` [no such batch; its round, if it has one,
//!   OPEN or SEALED and without a pool]). Those of an exam or a training belong to no round, and no round waits for them to be
//!   done; a round's pool is opened only after them.
//!
//! # Image
//!
//! An image has no states: it exists once it is admitted, in the write that makes its batch (or its
//! place as an alias), and never changes. With deduplication by content the write claims its bytes,
//! by which an event that comes again is recognised; the IMAGE item follows right before the batch is
//! sent, so that no worker meets a link that leads nowhere. What became of an image is its batch's outcome and, in the end, its row in the results:
//!
//! ```text
//!  upload ─┬─► rejected/ record with the reason            (it cannot be a task)
//!          └─► IMAGE ─┬─► Task ───► label, or why there is none
//!                     ├─► Refused ─► no label, the crowd's reason
//!                     └─► alias ───► the label of its original
//! ```
//!
//! # Money
//!
//! `committed` of a campaign rises with the reservation of a batch, in the write that makes it READY
//! [committed + reserved ≤ budget], and with what a round reserves beside [the same]. `close_round`
//! replaces all that the round reserved by what it spent: nothing is released twice, because a round
//! closes once.
//!
//! # Campaign
//!
//! A campaign is saved whole [its revision is one less]; its newest round and its money are no part of
//! that. Who sets it up at the crowd holds a lease in it [no lease, or it is over, or one's own], saves
//! what each step made before the next, and stops if a save is lost. After a lease is over another
//! writer goes on from what was saved, and looks for what was made but not saved.
//!
//! # What never succeeds
//!
//! | what | until when it is tried | where it is seen |
//! |---|---|---|
//! | an upload that cannot be a task | once | `rejected/<id>.json`, a problem event |
//! | an upload that fails for another reason | five deliveries, then by every hourly [look](crate::look) | dead-letter queue and its alarm; the log of `reconcile`, which fails |
//! | a batch that the crowd cannot be asked for, or refuses whole | for ever, at most every ten minutes, or when the quota renews | `last_error` and `attempts` in the ledger, a problem event a day |
//! | a parked batch | until the budget is raised or a round ends cheaper | a problem event, `quorate status` |
//! | a round that cannot be aggregated | for ever, at most every quarter of an hour | a problem event after five attempts |
//!
//! # Why counters are not sharded
//!
//! A round's counts are one item, and so is a campaign's money. The crowd takes 200 000 tasks a
//! minute, some 35 batches a second; one item of DynamoDB takes a thousand writes a second, some
//! hundred of them in transactions. Writers that collide are told so and come again. Sums over shards
//! would make every condition on a count or on the budget a read of many items that is no part of the
//! write.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::campaign::Campaign;
use crate::ids::{BatchId, CampaignName, ImageId, OperationId, RoundId};
use crate::time::Timestamp;

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An image whose label we want.
    Real,
    /// A control task: its label is known to us, not to the worker.
    Golden,
    /// A task of the exam pool.
    Exam,
    /// A task of the training: a wrong answer shows the hint.
    Training,
}

impl Kind {
    /// The kind as the ledger and messages write it; also the folder of the three control kinds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Golden => "golden",
            Self::Exam => "exam",
            Self::Training => "training",
        }
    }
}

/// What workers are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A picture, shown through a signed link.
    Picture,
    /// The fields of a row, shown as they are.
    Row(BTreeMap<String, String>),
}

/// One upload that became work: an IMAGE item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its derived identity.
    pub id: ImageId,
    /// The campaign it belongs to.
    pub campaign: CampaignName,
    /// The object's key in the uploads bucket.
    pub key: String,
    /// The object's version: its version id, else its etag.
    pub version: String,
    /// The row's number (from 1) if the object is a rows file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// What it is for.
    pub kind: Kind,
    /// What workers are shown.
    pub content: Content,
    /// The known answer of a control task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// SHA-256 of the bytes (of the canonical fields, for a row), in hex.
    pub sha256: String,
    /// Media type found in the bytes, e.g. `image/jpeg`; empty for rows.
    #[serde(default)]
    pub media_type: String,
    /// The image whose label this one takes because its bytes are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<ImageId>,
}

impl Image {
    /// How people name it: the key, with `#row` behind it for a row.
    #[must_use]
    pub fn name(&self) -> String {
        match self.row {
            Some(row) => format!("{}#{row}", self.key),
            None => self.key.clone(),
        }
    }
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BatchState {
    /// The budget does not cover it; not sent, in no round.
    Parked,
    /// To be sent (again, until its outcome is known).
    Ready,
    /// The crowd's answer about every member is recorded.
    Done,
}

/// Images that go to the crowd in one request: a BATCH item. Its request is rebuilt from it alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Derived from its members.
    pub id: BatchId,
    /// The campaign.
    pub campaign: CampaignName,
    /// The round it counts in; none while parked and for exam and training tasks.
    pub round: Option<RoundId>,
    /// What its tasks are for: all of one kind.
    pub kind: Kind,
    /// The pool it goes to when that is not the round's: exam, training.
    pub pool: Option<String>,
    /// The members in the order in which they are sent.
    pub members: Vec<Image>,
    /// Where it stands.
    pub state: BatchState,
    /// Money reserved for it.
    pub reserved: Decimal,
    /// When it was written.
    pub created: Timestamp,
    /// When it was first claimed to be sent; the crowd forgets operation ids some time after.
    #[serde(default)]
    pub first_sent: Option<Timestamp>,
    /// Raised by every claim; a writer with an older one has lost.
    #[serde(default)]
    pub fence: u64,
    /// Who claimed it last.
    #[serde(default)]
    pub writer: String,
    /// Not to be claimed before this instant.
    pub due: Timestamp,
    /// How often it was claimed.
    #[serde(default)]
    pub attempts: u32,
    /// Why the last attempt did not finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What the crowd made of each member, in order; empty until `DONE`.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
}

impl Batch {
    /// The key under which the crowd dedupes it.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.id.operation()
    }
}

/// What became of a member at the crowd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is this task.
    Task(String),
    /// The crowd refused it, and why.
    Refused(String),
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RoundState {
    /// Takes uploads.
    Open,
    /// Takes none; its tasks are being worked on.
    Sealed,
    /// Every answer is in.
    Closed,
    /// Its results are committed.
    Aggregated,
}

impl RoundState {
    /// As the ledger and messages write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Sealed => "SEALED",
            Self::Closed => "CLOSED",
            Self::Aggregated => "AGGREGATED",
        }
    }
}

/// Why a round stopped taking uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealReason {
    /// It holds as many images as the campaign allows in one round.
    Size,
    /// No upload came for the campaign's idle time.
    Idle,
    /// It reached the campaign's maximal age.
    Age,
    /// Somebody asked for it.
    Command,
}

/// What is counted in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Images (and rows) admitted, aliases included.
    pub images: u64,
    /// Of them, those that take the label of an image with the same bytes.
    pub aliases: u64,
    /// Batches written, golden ones included.
    pub batches: u64,
    /// Batches whose outcome is recorded.
    pub batches_done: u64,
    /// Tasks that the crowd made of real images.
    pub tasks: u64,
    /// Real images that the crowd refused.
    pub refused: u64,
    /// Control tasks that the crowd made.
    pub golden_tasks: u64,
}

impl Counts {
    /// Images that are tasks of their own.
    #[must_use]
    pub fn originals(&self) -> u64 {
        self.images.saturating_sub(self.aliases)
    }
}

/// How a round ended at the crowd: the CLOSE item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Close {
    /// The crowd's reason (`COMPLETED`, `MANUAL`, …), or `EMPTY` for a round without a pool.
    pub reason: String,
    /// The pool's `last_stopped`, as the crowd wrote it; with the pool the identity of this close.
    pub last_stopped: String,
    /// When we recorded it.
    pub at: Timestamp,
    /// Money spent in the round's pool, fee included.
    pub spent: Decimal,
    /// The campaign as it was then, of a round that had no pool; other rounds keep it with theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Box<Campaign>>,
}

/// One intake window of a campaign, worked in one pool: a ROUND item with its counters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Campaign and number.
    pub id: RoundId,
    /// Where it stands.
    pub state: RoundState,
    /// When it began to take uploads.
    pub opened: Timestamp,
    /// When it last got an upload.
    pub last_upload: Timestamp,
    /// Counters.
    pub counts: Counts,
    /// Money reserved for its batches.
    pub reserved: Decimal,
    /// Its pool, with the campaign as it was when the pool was made; the round keeps both.
    pub pool: Option<RoundPool>,
    /// `counts.batches_done` when the pool was last opened: fewer than now means open it again.
    #[serde(default)]
    pub opened_with: u64,
    /// Why it was sealed.
    #[serde(default)]
    pub seal: Option<SealReason>,
    /// How it ended at the crowd.
    #[serde(default)]
    pub close: Option<Close>,
    /// Raised by every claim for aggregation.
    #[serde(default)]
    pub fence: u64,
    /// Who claimed it last.
    #[serde(default)]
    pub writer: String,
    /// Not to be claimed for aggregation before this instant.
    #[serde(default)]
    pub due: Timestamp,
    /// How often it was claimed for aggregation.
    #[serde(default)]
    pub attempts: u32,
}

impl Round {
    /// A round that begins to take uploads at `at`.
    #[must_use]
    pub fn open(id: &RoundId, at: Timestamp) -> Self {
        Self {
            id: id.clone(),
            state: RoundState::Open,
            opened: at,
            last_upload: at,
            counts: Counts::default(),
            reserved: Decimal::ZERO,
            pool: None,
            opened_with: 0,
            seal: None,
            close: None,
            fence: 0,
            writer: String::new(),
            due: Timestamp::default(),
            attempts: 0,
        }
    }
}

/// The pool of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundPool {
    /// The crowd's id of it.
    pub id: String,
    /// The crowd's id of its project.
    pub project: String,
    /// Whether its pages mix in control tasks.
    pub golden: bool,
    /// What the campaign was when the pool was made.
    pub campaign: Campaign,
    /// The exam's pool, if workers had to pass one.
    pub exam_pool: Option<String>,
    /// The training, if workers had to pass one.
    pub training: Option<String>,
}

/// What a campaign has at the crowd besides pools of rounds. One for each interface of the
/// campaign: changing labels or the question makes another project, old rounds keep theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The project.
    pub project: Option<String>,
    /// The skill that the exam sets.
    pub exam_skill: Option<String>,
    /// The skill that control tasks set.
    pub quality_skill: Option<String>,
    /// The training (it is also a pool).
    pub training: Option<String>,
    /// The exam's pool.
    pub exam_pool: Option<String>,
    /// Training is open to workers.
    #[serde(default)]
    pub training_open: bool,
    /// Exam is open to workers.
    #[serde(default)]
    pub exam_open: bool,
}

/// A campaign in the ledger: a CAMPAIGN item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignItem {
    /// Its name.
    pub name: CampaignName,
    /// The campaign as its files define it now.
    pub campaign: Campaign,
    /// Raised by every save; a save with an older one has lost.
    pub revision: u64,
    /// Setups by [`Campaign::interface_digest`].
    pub setups: BTreeMap<String, Setup>,
    /// Who works on the setup until when.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// When its folder was last looked at for uploads whose event was lost.
    #[serde(default)]
    pub swept: Option<Timestamp>,
    /// The newest round's number, 0 before the first. Not written by a save.
    pub round: u32,
    /// Money spent in closed rounds and reserved for the others. Not written by a save.
    pub committed: Decimal,
}

/// Who works on an item, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The invocation.
    pub writer: String,
    /// When others may take over.
    pub until: Timestamp,
}
