//! The items of the ledger and their states.
//!
//! ```text
//! ROUND   OPEN ──seal──► SEALED ──crowd done, all batches done──► CLOSED ──manifest──► AGGREGATED
//!
//! BATCH   READY ──claim (lease, fence)──► READY ──log read──► DONE
//!           ▲ reserve
//!         PARKED (the budget does not cover it; it belongs to no round yet)
//! ```
//!
//! A round never goes back. A batch in `READY` may have been sent any number of times: its
//! operation id makes that harmless.

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

/// What is counted in a round. On DynamoDB the sum of its shards.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The crowd's reason (`COMPLETED`, `MANUAL`, …), or `EMPTY` for a round without a pool.
    pub reason: String,
    /// The pool's `last_stopped`, as the crowd wrote it; with the pool the identity of this close.
    pub last_stopped: String,
    /// When we recorded it.
    pub at: Timestamp,
    /// Money spent in the round's pool, fee included.
    pub spent: Decimal,
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
