//! The same campaign once more, on one machine: SQLite and folders instead of DynamoDB and S3, and
//! no functions, but the very crowd that the deployed pipeline worked with.
//!
//! Identities are derived from what they name. So when this ledger, which begins empty, takes in the
//! same versions of the same objects in the same batches, it finds at the crowd what the deployed
//! pipeline made there: the project, the pools, and behind every operation id the tasks. The answers
//! are the same, because they are the same answers; the results must be the same bytes.
//!
//! Usage: `one_machine PLAN.json`, see [`Plan`]. The results are in `<folder>/results`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use quorate_core::ids::{CampaignName, ImageId, RoundId};
use quorate_core::ingest::{self, Upload};
use quorate_core::link::LinkSigner;
use quorate_core::ports::{
    Clock, Ledger as _, ObjectMeta, Objects, Page, PortError, PortResult, Put, World,
};
use quorate_core::time::Timestamp;
use quorate_core::{reconcile, rounds};
use quorate_local::ledger::SqliteLedger;
use quorate_local::notify::LocalNotify;
use quorate_local::objects::Folder;
use quorate_requester::Requester;
use quorate_results::{Outcome, aggregate_round};
use quorate_toloka::Client;
use rust_decimal::Decimal;
use serde::Deserialize;
use tokio::sync::mpsc;

/// Ticks after which the round should have been aggregated: all of its answers are there.
const TICKS: u32 = 60;
/// Milliseconds between two ticks.
const TICK: i64 = 60_000;

/// What to do again.
#[derive(Deserialize)]
struct Plan {
    campaign: CampaignName,
    /// The name of the uploads bucket.
    bucket: String,
    /// The versions that the bucket gave the objects, by key.
    versions: BTreeMap<String, String>,
    /// Where the objects' bytes are, in files under their keys.
    uploads: PathBuf,
    /// The ids of the images in each batch that the crowd was sent, in order.
    batches: Vec<Vec<ImageId>>,
    /// Address and key of the crowd, and its share on rewards.
    crowd: String,
    key: String,
    fee: Decimal,
    /// Where everything else goes.
    folder: PathBuf,
}

/// A folder; its objects have the versions that a bucket gave them, if that is told.
struct Bucket {
    name: String,
    folder: Folder,
    versions: Option<BTreeMap<String, String>>,
}

impl Bucket {
    fn versioned(&self, meta: ObjectMeta) -> Option<ObjectMeta> {
        let Some(versions) = &self.versions else {
            return Some(meta);
        };
        let version = versions.get(&meta.key)?.clone();
        Some(ObjectMeta { version, ..meta })
    }
}

impl Objects for Bucket {
    fn bucket(&self) -> &str {
        &self.name
    }

    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        let meta = self.folder.head(key).await?;
        Ok(meta.and_then(|meta| self.versioned(meta)))
    }

    async fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        let Some(here) = self.folder.head(key).await? else {
            return Ok(None);
        };
        match self.versioned(here.clone()) {
            Some(meta) if meta.version == version => {
                self.folder.get(key, &here.version, limit).await
            }
            _ => Ok(None),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let page = self.folder.list(prefix, after).await?;
        let items = page.items.into_iter();
        Ok(Page {
            items: items.filter_map(|meta| self.versioned(meta)).collect(),
            next: page.next,
        })
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        self.folder.put(key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        self.folder.put_if_absent(key, body).await
    }
}

/// Stands still between ticks. Milliseconds since 1970.
struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct OneMachine {
    ledger: SqliteLedger,
    crowd: Requester,
    uploads: Bucket,
    results: Bucket,
    clock: StillClock,
    notify: LocalNotify,
}

impl World for OneMachine {
    type Ledger = SqliteLedger;
    type Crowd = Requester;
    type Objects = Bucket;
    type Clock = StillClock;
    type Notify = LocalNotify;

    fn ledger(&self) -> &SqliteLedger {
        &self.ledger
    }
    fn crowd(&self) -> &Requester {
        &self.crowd
    }
    fn uploads(&self) -> &Bucket {
        &self.uploads
    }
    fn results(&self) -> &Bucket {
        &self.results
    }
    fn clock(&self) -> &StillClock {
        &self.clock
    }
    fn notify(&self) -> &LocalNotify {
        &self.notify
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        // The tasks exist already, so nobody sees these links.
        let keys = BTreeMap::from([("k1".to_owned(), vec![0; 32])]);
        LinkSigner::new("http://127.0.0.1", keys).map_err(PortError::Refused)
    }
    fn writer(&self) -> &str {
        "one machine"
    }
}

impl OneMachine {
    fn open(plan: &Plan) -> Result<Self> {
        fs::create_dir_all(&plan.folder)?;
        let client = Client::builder(&plan.crowd)
            .api_key(plan.key.as_str())
            .build()?;
        // What is on the bus here is not needed: this program looks after its only round itself.
        let (bus, _) = mpsc::unbounded_channel();
        Ok(Self {
            ledger: SqliteLedger::open(&plan.folder.join("ledger.sqlite"))?,
            crowd: Requester::new(client, plan.fee),
            uploads: Bucket {
                name: plan.bucket.clone(),
                folder: Folder::new(&plan.bucket, &plan.uploads)?,
                versions: Some(plan.versions.clone()),
            },
            results: Bucket {
                name: "results".to_owned(),
                folder: Folder::new("results", &plan.folder.join("results"))?,
                versions: None,
            },
            clock: StillClock(AtomicI64::new(jiff::Timestamp::now().as_millisecond())),
            notify: LocalNotify::open(&plan.folder.join("events.jsonl"), bus)?,
        })
    }

    /// Takes these uploads in, as one delivery.
    async fn take(&self, keys: &[&String]) -> Result<()> {
        let uploads: Vec<Upload> = keys
            .iter()
            .map(|key| Upload {
                key: (*key).clone(),
                version: None,
            })
            .collect();
        for result in ingest::create_tasks(self, &uploads).await {
            result?;
        }
        Ok(())
    }

    /// Ticks until the round is aggregated.
    async fn finish(&self, round: &RoundId) -> Result<()> {
        for _ in 0..TICKS {
            rounds::check_pools(self).await?;
            reconcile::reconcile(self).await?;
            if let Outcome::Aggregated(_) = aggregate_round(self, round).await? {
                return Ok(());
            }
            self.clock.0.fetch_add(TICK, Ordering::Relaxed);
        }
        let round = self.ledger.round(round).await?;
        Err(anyhow!(
            "not aggregated after {TICKS} ticks; did the crowd get batches that it does not know? {round:#?}"
        ))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let path = std::env::args()
        .nth(1)
        .context("usage: one_machine PLAN.json")?;
    let plan: Plan = serde_json::from_slice(&fs::read(&path)?)?;
    let world = OneMachine::open(&plan)?;
    let by_id: BTreeMap<ImageId, &String> = plan
        .versions
        .iter()
        .map(|(key, version)| (ImageId::of_object(&plan.bucket, key, version), key))
        .collect();
    let mut batches = Vec::new();
    for batch in &plan.batches {
        let keys: Option<Vec<&String>> = batch.iter().map(|id| by_id.get(id).copied()).collect();
        batches
            .push(keys.with_context(|| format!("a batch holds what nobody uploaded: {batch:?}"))?);
    }
    let sent: BTreeSet<&String> = batches.iter().flatten().copied().collect();
    let is_image = |key: &&String| key.starts_with(&format!("{}/images/", plan.campaign));
    let (images, others): (Vec<&String>, Vec<&String>) = plan.versions.keys().partition(is_image);
    // What is in no batch has the bytes of something that is: it has to come behind that, and before
    // the round is full.
    let last = batches.last_mut().context("there are no batches")?;
    last.extend(images.into_iter().filter(|key| !sent.contains(*key)));

    // The definition sorts before the folders with the control images.
    world.take(&others).await?;
    for keys in &batches {
        ensure!(
            keys.len() <= ingest::BATCH_MEMBERS,
            "a batch is too large: {}",
            keys.len()
        );
        world.take(keys).await?;
    }
    let round = RoundId {
        campaign: plan.campaign,
        number: 1,
    };
    world.finish(&round).await
}
