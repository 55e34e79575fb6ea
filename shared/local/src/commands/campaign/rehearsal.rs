//! What would happen to a campaign's folder: the intake itself, run in memory.
//!
//! The use case that takes uploads in on AWS and in the local stack runs here over a ledger in
//! memory and the files as they lie in the folder. So `check` and `plan` cannot disagree with what
//! happens later: there are no second rules.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use indicatif::ProgressBar;
use quorate_core::admission;
use quorate_core::event::{Detail, Event, Problem};
use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ingest::{self, Upload};
use quorate_core::link::LinkSigner;
use quorate_core::ports::{
    Clock, Ledger, Notify, ObjectMeta, Objects, Page, PortError, PortResult, Put, World,
};
use quorate_core::setup;
use quorate_core::state::{CampaignItem, Image, Kind, Round};
use quorate_core::time::Timestamp;
use quorate_requester::Requester;
use quorate_toloka::Client;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::commands::progress;
use crate::ledger::SqliteLedger;

/// Requests to a ledger that are under way at once: one on AWS is some milliseconds away.
const AT_ONCE: usize = 16;
/// Objects in a page of a listing.
const PAGE: usize = 1000;
/// Every file has one version: the one that is there.
const VERSION: &str = "present";

/// What the intake made of a folder.
pub(super) struct Rehearsal {
    /// The campaign in the ledger.
    pub(super) item: CampaignItem,
    /// Its rounds, the first to the newest.
    pub(super) rounds: Vec<Round>,
    /// Control images of each kind.
    pub(super) controls: BTreeMap<Kind, Vec<Image>>,
    /// What the budget does not cover.
    pub(super) waiting: Waiting,
    /// Uploads that cannot become tasks, in order of their keys.
    pub(super) rejected: Vec<Rejected>,
    /// What a person was told of besides.
    pub(super) told: Vec<Problem>,
}

/// Images that wait for a higher budget.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Waiting {
    /// How many.
    pub(crate) images: u64,
    /// What they would cost.
    #[serde(with = "rust_decimal::serde::float")]
    pub(crate) cost: Decimal,
}

/// An upload that cannot become a task.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Rejected {
    /// Its key: the path, from the campaign's folder on.
    pub(super) key: String,
    /// The row's number, from 1, if it is about one row of a file.
    pub(super) row: Option<u64>,
    /// Why.
    pub(super) reason: String,
}

impl Waiting {
    /// What waits in `ledger` for a campaign.
    pub(crate) async fn of(ledger: &impl Ledger, name: &CampaignName) -> PortResult<Self> {
        let parked = ledger.parked(name).await?;
        stream::iter(parked)
            .map(|id| ledger.batch(id))
            .buffered(AT_ONCE)
            .try_fold(Self::default(), |mut waiting, batch| {
                if let Some(batch) = batch {
                    waiting.images += batch.members.len() as u64;
                    waiting.cost += batch.reserved;
                }
                future::ready(Ok(waiting))
            })
            .await
    }
}

impl Rehearsal {
    /// How many images (or rows) became work, waiting ones included.
    pub(super) fn images(&self) -> u64 {
        let taken: u64 = self.rounds.iter().map(|round| round.counts.images).sum();
        taken + self.waiting.images
    }

    /// How many of them have the bytes of another one.
    pub(super) fn same_bytes(&self) -> u64 {
        self.rounds.iter().map(|round| round.counts.aliases).sum()
    }

    /// How many control images of a kind there are.
    pub(super) fn control_count(&self, kind: Kind) -> u64 {
        self.controls
            .get(&kind)
            .map_or(0, |images| images.len() as u64)
    }
}

/// Runs the intake over the files of `folder`.
///
/// # Errors
/// If a file cannot be read.
pub(super) async fn rehearse(
    folder: &Path,
    name: &CampaignName,
    fee: Decimal,
) -> anyhow::Result<Rehearsal> {
    let files = files_of(folder, name)?;
    let stage = Stage::new(files, fee)?;
    setup::configure(&stage, name).await?;
    // Configuring took in what has its place; this tells of the rest.
    let misplaced: Vec<Upload> = stage
        .files
        .keys()
        .filter(|key| admission::place(key).is_err())
        .map(|key| Upload {
            key: key.clone(),
            version: None,
        })
        .collect();
    for result in ingest::create_tasks(&stage, &misplaced).await {
        result?;
    }
    stage.progress.finish_and_clear();
    stage.into_rehearsal(name).await
}

/// Every file in a campaign's folder by its key; hidden ones are nobody's work. Links to files
/// count as the files, so that images need not be copied to be checked.
pub(super) fn files_of(
    folder: &Path,
    name: &CampaignName,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![(name.to_string(), folder.to_owned())];
    while let Some((prefix, folder)) = pending.pop() {
        let failed = || format!("cannot read the folder {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let (path, name) = (entry.path(), entry.file_name());
            let key = format!("{prefix}/{}", name.to_string_lossy());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if entry.file_type().with_context(failed)?.is_dir() {
                pending.push((key, path));
                continue;
            }
            let meta = fs::metadata(&path);
            let meta = meta.with_context(|| format!("cannot read {}", path.display()))?;
            // A link to a folder may lead back here, and reading a pipe may never end.
            ensure!(
                meta.is_file(),
                "{} is neither a file nor a folder: put what it leads to in its place",
                path.display()
            );
            files.insert(key, path);
        }
    }
    Ok(files)
}

/// The world of a rehearsal: the real ledger in memory, the real files, and nobody at the crowd.
struct Stage {
    ledger: SqliteLedger,
    crowd: Requester,
    clock: Now,
    links: LinkSigner,
    told: Told,
    files: BTreeMap<String, PathBuf>,
    written: Mutex<BTreeMap<String, Vec<u8>>>,
    progress: ProgressBar,
}

struct Now(Timestamp);

#[derive(Default)]
struct Told(Mutex<Vec<Problem>>);

impl Stage {
    fn new(files: BTreeMap<String, PathBuf>, fee: Decimal) -> anyhow::Result<Self> {
        // The intake asks the crowd for nothing but its fee, so nothing is ever sent there.
        let nobody = Client::builder("http://127.0.0.1:9")
            .api_key("nobody")
            .build()?;
        let keys = BTreeMap::from([("rehearsal".to_owned(), vec![0; 32])]);
        Ok(Self {
            ledger: SqliteLedger::in_memory()?,
            crowd: Requester::new(nobody, fee),
            clock: Now(jiff::Timestamp::now().into()),
            links: LinkSigner::new("http://127.0.0.1:9", keys).map_err(anyhow::Error::msg)?,
            told: Told::default(),
            progress: progress(files.len() as u64, "checking"),
            files,
            written: Mutex::default(),
        })
    }

    async fn into_rehearsal(self, name: &CampaignName) -> anyhow::Result<Rehearsal> {
        let ledger = &self.ledger;
        let item = ledger.campaign(name).await?;
        let item = item.with_context(|| format!("campaign {name} is not valid"))?;
        let rounds = rounds_of(ledger, &item).await?;
        let mut controls = BTreeMap::new();
        for kind in [Kind::Golden, Kind::Exam, Kind::Training] {
            controls.insert(kind, ledger.controls(name, kind).await?);
        }
        let waiting = Waiting::of(ledger, name).await?;
        let written = self
            .written
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut rejected = written
            .values()
            .map(|record| serde_json::from_slice(record))
            .collect::<Result<Vec<Rejected>, _>>()?;
        rejected.sort();
        Ok(Rehearsal {
            item,
            rounds,
            controls,
            waiting,
            rejected,
            told: self
                .told
                .0
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        })
    }
}

/// The rounds of a campaign, the first to the newest.
pub(crate) async fn rounds_of(ledger: &impl Ledger, item: &CampaignItem) -> PortResult<Vec<Round>> {
    let round = async |number| {
        let campaign = item.name.clone();
        ledger.round(&RoundId { campaign, number }).await
    };
    let rounds: Vec<Option<Round>> = stream::iter(1..=item.round)
        .map(round)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(rounds.into_iter().flatten().collect())
}

impl World for Stage {
    type Ledger = SqliteLedger;
    type Crowd = Requester;
    type Objects = Self;
    type Clock = Now;
    type Notify = Told;

    fn ledger(&self) -> &SqliteLedger {
        &self.ledger
    }
    fn crowd(&self) -> &Requester {
        &self.crowd
    }
    fn uploads(&self) -> &Self {
        self
    }
    fn results(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Now {
        &self.clock
    }
    fn notify(&self) -> &Told {
        &self.told
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        Ok(self.links.clone())
    }
    fn writer(&self) -> &str {
        "rehearsal"
    }
}

impl Clock for Now {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl Notify for Told {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        if let Detail::Problem(problem) = &event.detail {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(problem.clone());
        }
        Ok(())
    }
}

/// Both buckets: files are read from the folder, results are kept in memory.
impl Objects for Stage {
    fn bucket(&self) -> &'static str {
        "uploads"
    }

    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        self.files.get(key).map(|path| meta(key, path)).transpose()
    }

    async fn get(&self, key: &str, _version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        let Some(path) = self.files.get(key) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(limit).read_to_end(&mut bytes))
            .map_err(|error| unreadable(path, &error))?;
        self.progress.inc(1);
        Ok(Some(bytes))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let mut found = self
            .files
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let page = found.by_ref().take(PAGE);
        let items = page
            .map(|(key, path)| meta(key, path))
            .collect::<PortResult<Vec<ObjectMeta>>>()?;
        let last = items.last().map(|meta| meta.key.clone());
        let next = found.next().and(last);
        Ok(Page { items, next })
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(key.to_owned(), body.to_vec());
        Ok(())
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.contains_key(key) {
            return Ok(Put::Existed);
        }
        written.insert(key.to_owned(), body.to_vec());
        Ok(Put::Created)
    }
}

fn meta(key: &str, path: &Path) -> PortResult<ObjectMeta> {
    let size = path
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len();
    Ok(ObjectMeta {
        key: key.to_owned(),
        version: VERSION.to_owned(),
        size,
        // All of it is new.
        modified: Timestamp::default(),
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> PortError {
    PortError::Refused(format!("cannot read {}: {error}", path.display()))
}
