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
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, ensure};
use quorate_core::event::Event;
use quorate_core::ids::{CampaignName, ImageId, RoundId};
use quorate_core::ingest::{self, Upload};
use quorate_core::link::LinkSigner;
use quorate_core::ports::{
    Clock, Ledger as _, Notify, ObjectMeta, Objects, Page, PortError, PortResult, Put, World,
};
use quorate_core::time::Timestamp;
use quorate_core::{reconcile, rounds};
use quorate_local::ledger::SqliteLedger;
use quorate_local::objects::Folder;
use quorate_requester::Requester;
use quorate_results::{Outcome, aggregate_round};
use quorate_toloka::Client;
use rust_decimal::Decimal;
use serde::Deserialize;

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

/// A folder as a bucket.
struct Bucket {
    name: String,
    folder: Folder,
    /// Of uploads: those that came so far, with the versions that they have in the real bucket.
    /// Others in the folder are not there yet.
    versions: Option<Mutex<BTreeMap<String, String>>>,
}

impl Bucket {
    fn versioned(&self, meta: ObjectMeta) -> Option<ObjectMeta> {
        let Some(versions) = &self.versions else {
            return Some(meta);
        };
        let versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.get(&meta.key)?.clone();
        Some(ObjectMeta { version, ..meta })
    }

    fn arrive(&self, key: &str, version: &str) {
        if let Some(versions) = &self.versions {
            let mut versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
            versions.insert(key.to_owned(), version.to_owned());
        }
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

/// Nobody is told anything.
struct Nobody;

impl Notify for Nobody {
    async fn notify(&self, _: &Event) -> PortResult<()> {
        Ok(())
    }
}

struct OneMachine {
    ledger: SqliteLedger,
    crowd: Requester,
    uploads: Bucket,
    results: Bucket,
    clock: StillClock,
    notify: Nobody,
}

impl World for OneMachine {
    type Ledger = SqliteLedger;
    type Crowd = Requester;
    type Objects = Bucket;
    type Clock = StillClock;
    type Notify = Nobody;

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
    fn notify(&self) -> &Nobody {
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
        Ok(Self {
            ledger: SqliteLedger::open(&plan.folder.join("ledger.sqlite"))?,
            crowd: Requester::new(client, plan.fee),
            uploads: Bucket {
                name: plan.bucket.clone(),
                folder: Folder::new(&plan.bucket, &plan.uploads)?,
                versions: Some(Mutex::default()),
            },
            results: Bucket {
                name: "results".to_owned(),
                folder: Folder::new("results", &plan.folder.join("results"))?,
                versions: None,
            },
            clock: StillClock(AtomicI64::new(jiff::Timestamp::now().as_millisecond())),
            notify: Nobody,
        })
    }

    /// Takes these uploads, key and version, in: as one delivery.
    async fn take(&self, some: &[(&String, &String)]) -> Result<()> {
        let mut uploads = Vec::new();
        for (key, version) in some {
            self.uploads.arrive(key, version);
            uploads.push(Upload {
                key: (*key).clone(),
                version: Some((*version).clone()),
            });
        }
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
    let by_id: BTreeMap<ImageId, (&String, &String)> = plan
        .versions
        .iter()
        .map(|(key, version)| {
            (
                ImageId::of_object(&plan.bucket, key, version),
                (key, version),
            )
        })
        .collect();
    let mut batches = Vec::new();
    for batch in &plan.batches {
        let uploads: Option<Vec<_>> = batch.iter().map(|id| by_id.get(id).copied()).collect();
        batches.push(uploads.with_context(|| format!("a batch of unknown images: {batch:?}"))?);
    }
    let sent: BTreeSet<&String> = batches.iter().flatten().map(|(key, _)| *key).collect();
    let folder = format!("{}/images/", plan.campaign);
    let (images, others): (Vec<_>, Vec<_>) = plan
        .versions
        .iter()
        .partition(|(key, _)| key.starts_with(&folder));
    // What is in no batch has the bytes of something that is: it has to come behind that, and before
    // the round is full.
    let last = batches.last_mut().context("there are no batches")?;
    last.extend(images.into_iter().filter(|(key, _)| !sent.contains(key)));

    // The definition sorts before the folders with the control images.
    world.take(&others).await?;
    for batch in &batches {
        ensure!(
            batch.len() <= ingest::BATCH_MEMBERS,
            "a batch is too large: {}",
            batch.len()
        );
        world.take(batch).await?;
    }
    let round = RoundId {
        campaign: plan.campaign,
        number: 1,
    };
    world.finish(&round).await
}
