//! The world as one invocation of a function sees it: every request passes the [`Gate`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::campaign::Campaign;
use quorate_core::event::Event;
use quorate_core::ids::{BatchId, CampaignName, ImageId, OperationId, RoundId};
use quorate_core::link::LinkSigner;
use quorate_core::ports::*;
use quorate_core::state::{
    Batch, CampaignItem, Close, Image, Kind, Outcome, Round, RoundPool, SealReason,
};
use quorate_core::time::Timestamp;
use quorate_testkit::sim::{Records, SimCrowd, SimLedger, SimObjects};
use rust_decimal::Decimal;

use crate::gate::Gate;
use crate::site::Site;

/// Longer requests are cut in traces.
const SHOWN: usize = 160;

/// What a request asks, for a trace.
fn shown(asks: &dyn std::fmt::Debug) -> String {
    let mut text = format!("{asks:?}");
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Methods of a port, each through the gate.
macro_rules! gated {
    ($port:literal: $($method:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(async fn $method(&self, $($arg: $type),*) -> PortResult<$out> {
            let asks = || shown(&($(&$arg,)*));
            let effect = self.port.$method($($arg),*);
            self.gate.pass(concat!($port, ".", stringify!($method)), asks, effect).await
        })*
    };
}

/// The ledger behind its gate.
#[derive(Debug)]
pub struct Books {
    port: Arc<SimLedger>,
    gate: Gate,
    site: Arc<Site>,
}

impl Books {
    /// A write under a fence: it must not count if the fence is not the latest.
    async fn fenced(
        &self,
        method: &'static str,
        asks: impl FnOnce() -> String,
        fence: u64,
        latest: impl FnOnce(&Records) -> Option<u64>,
        write: impl Future<Output = PortResult<Write>>,
    ) -> PortResult<Write> {
        let effect = async {
            let written = write.await?;
            let latest = self.port.look(latest);
            if written == Write::Done && latest != Some(fence) {
                self.site.break_rule(format!(
                    "{method} under fence {fence} counted, although the latest is {latest:?}"
                ));
            }
            Ok(written)
        };
        self.gate.pass(method, asks, effect).await
    }
}

impl Ledger for Books {
    async fn postpone_round(&self, id: &RoundId, fence: u64, due: Timestamp) -> PortResult<Write> {
        let asks = || shown(&(id, fence, due));
        let latest = |records: &Records| Some(records.rounds.get(id)?.fence);
        let write = self.port.postpone_round(id, fence, due);
        self.fenced("ledger.postpone_round", asks, fence, latest, write)
            .await
    }

    async fn round_aggregated(&self, id: &RoundId, fence: u64) -> PortResult<Write> {
        let asks = || shown(&(id, fence));
        let latest = |records: &Records| Some(records.rounds.get(id)?.fence);
        let write = self.port.round_aggregated(id, fence);
        self.fenced("ledger.round_aggregated", asks, fence, latest, write)
            .await
    }

    async fn postpone_batch(
        &self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> PortResult<Write> {
        let asks = || shown(&(id, fence, due, error));
        let latest = |records: &Records| Some(records.batches.get(&id)?.fence);
        let write = self.port.postpone_batch(id, fence, due, error);
        self.fenced("ledger.postpone_batch", asks, fence, latest, write)
            .await
    }

    async fn finish_batch(
        &self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> PortResult<Write> {
        let asks = || shown(&(id, fence, outcomes));
        let latest = |records: &Records| Some(records.batches.get(&id)?.fence);
        let write = self.port.finish_batch(id, fence, outcomes);
        self.fenced("ledger.finish_batch", asks, fence, latest, write)
            .await
    }

    gated! { "ledger":
        campaign(name: &CampaignName) -> Option<CampaignItem>;
        campaigns() -> Vec<CampaignName>;
        save_campaign(item: &CampaignItem) -> Write;
        open_round(id: &RoundId, at: Timestamp) -> Write;
        round(id: &RoundId) -> Option<Round>;
        unfinished_rounds() -> Vec<RoundId>;
        set_pool(id: &RoundId, pool: &RoundPool) -> Write;
        pool_opened(id: &RoundId, batches_done: u64) -> Write;
        reserve(id: &RoundId, amount: Decimal, budget: Option<Decimal>) -> Admitted;
        seal_round(id: &RoundId, reason: SealReason) -> Write;
        close_round(id: &RoundId, close: &Close) -> Write;
        claim_round(id: &RoundId, writer: &str, now: Timestamp, until: Timestamp) -> Option<Round>;
        known_images(ids: &[ImageId]) -> BTreeSet<ImageId>;
        image(id: ImageId) -> Option<Image>;
        originals(campaign: &CampaignName, sha256: &[String]) -> BTreeMap<String, ImageId>;
        put_images(images: &[Image]) -> ();
        admit(admission: &Admission) -> Admitted;
        park(admission: &Admission) -> Admitted;
        parked(campaign: &CampaignName) -> Vec<BatchId>;
        unpark(batch: &Batch, round: &RoundId, budget: Option<Decimal>, at: Timestamp) -> Admitted;
        add_control(image: &Image) -> Image;
        controls(campaign: &CampaignName, kind: Kind) -> Vec<Image>;
        add_control_batch(batch: &Batch) -> Write;
        batch(id: BatchId) -> Option<Batch>;
        due_batches(now: Timestamp, limit: usize) -> Vec<BatchId>;
        claim_batch(id: BatchId, writer: &str, now: Timestamp, until: Timestamp) -> Option<Batch>;
        round_batches(id: &RoundId, after: Option<&str>) -> Page<Batch>;
        round_aliases(id: &RoundId, after: Option<&str>) -> Page<Image>;
    }
}

/// The crowd behind its gate.
#[derive(Debug)]
pub struct People {
    port: Arc<SimCrowd>,
    gate: Gate,
}

impl Crowd for People {
    fn fee(&self) -> Decimal {
        self.port.fee()
    }

    gated! { "crowd":
        find_project(marker: &str) -> Option<String>;
        create_project(campaign: &Campaign, marker: &str) -> String;
        find_skill(name: &str) -> Option<String>;
        create_skill(name: &str) -> String;
        find_pool(project: &str, kind: Kind, marker: &str) -> Option<String>;
        create_pool(spec: &PoolSpec<'_>) -> String;
        open_pool(pool: &str) -> PoolOpened;
        close_pool(pool: &str) -> ();
        close_for_update(pool: &str) -> ();
        archive_pool(pool: &str) -> ();
        set_least_images(pool: &str, least: u32) -> ();
        pool(pool: &str) -> PoolStatus;
        submit(pool: &str, answer_field: &str, operation: OperationId, tasks: &[NewTask]) -> Submitted;
        operation(operation: OperationId) -> OperationStatus;
        operation_log(operation: OperationId) -> BTreeMap<ImageId, Outcome>;
        tasks(pool: &str, after: Option<&str>) -> Page<(ImageId, String)>;
        assignments(pool: &str, answer_field: &str, statuses: &[&str], after: Option<&str>) -> Page<Assignment>;
        bans(project: &str, pool: &str, after: Option<&str>) -> Page<Ban>;
        spent(pool: &str) -> Decimal;
    }
}

/// A key and its body.
type Object = (String, Vec<u8>);

/// A bucket behind a gate.
#[derive(Debug)]
pub struct Bucket {
    port: Arc<SimObjects>,
    gate: Gate,
    /// What is not written before the manifest is, if the writer is broken in this way.
    held: Option<Mutex<Vec<Object>>>,
}

impl Objects for Bucket {
    fn bucket(&self) -> &str {
        self.port.bucket()
    }

    gated! { "objects":
        head(key: &str) -> Option<ObjectMeta>;
        get(key: &str, version: &str, limit: u64) -> Option<Vec<u8>>;
        list(prefix: &str, after: Option<&str>) -> Page<ObjectMeta>;
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        if let Some(held) = &self.held {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.push((key.to_owned(), body.to_vec()));
            return Ok(());
        }
        let effect = self.port.put(key, body);
        self.gate
            .pass("objects.put", || key.to_owned(), effect)
            .await
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let effect = self.port.put_if_absent(key, body);
        let put = self
            .gate
            .pass("objects.put_if_absent", || key.to_owned(), effect)
            .await?;
        let held = self
            .held
            .as_ref()
            .map(|held| std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner)));
        for (key, body) in held.into_iter().flatten() {
            let effect = self.port.put(&key, &body);
            self.gate
                .pass("objects.put", || key.clone(), effect)
                .await?;
        }
        Ok(put)
    }
}

/// The bus behind its gate.
#[derive(Debug)]
pub struct GatedBus {
    site: Arc<Site>,
    gate: Gate,
}

impl Notify for GatedBus {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        let asks = || shown(&event.detail);
        let effect = async {
            self.site.bus(event);
            Ok(())
        };
        self.gate.pass("bus.notify", asks, effect).await
    }
}

/// A clock that goes wrong by a constant.
#[derive(Debug)]
pub struct SkewedClock {
    site: Arc<Site>,
    /// Milliseconds that it is ahead.
    ahead: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let now = self.site.clock.now();
        Timestamp(now.0 + self.ahead)
    }
}

/// What one invocation may touch.
#[derive(Debug)]
pub struct SimWorld {
    site: Arc<Site>,
    gate: Gate,
    writer: String,
    ledger: Books,
    crowd: People,
    uploads: Bucket,
    results: Bucket,
    clock: SkewedClock,
    notify: GatedBus,
}

impl SimWorld {
    /// The world of the invocation behind `gate`, whose clock is ahead by so many milliseconds.
    /// `manifest_first` breaks it: files of results are written behind their manifest.
    #[must_use]
    pub fn new(
        site: &Arc<Site>,
        gate: &Gate,
        writer: String,
        ahead: i64,
        manifest_first: bool,
    ) -> Self {
        let site = || Arc::clone(site);
        let bucket = |port: &Arc<SimObjects>| Bucket {
            port: Arc::clone(port),
            gate: gate.clone(),
            held: manifest_first.then(Mutex::default),
        };
        Self {
            ledger: Books {
                port: Arc::clone(&site().ledger),
                gate: gate.clone(),
                site: site(),
            },
            crowd: People {
                port: Arc::clone(&site().crowd),
                gate: gate.clone(),
            },
            uploads: bucket(&site().uploads),
            results: bucket(&site().results),
            clock: SkewedClock {
                site: site(),
                ahead,
            },
            notify: GatedBus {
                site: site(),
                gate: gate.clone(),
            },
            site: site(),
            gate: gate.clone(),
            writer,
        }
    }
}

impl World for SimWorld {
    type Ledger = Books;
    type Crowd = People;
    type Objects = Bucket;
    type Clock = SkewedClock;
    type Notify = GatedBus;

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }
    fn crowd(&self) -> &Self::Crowd {
        &self.crowd
    }
    fn uploads(&self) -> &Self::Objects {
        &self.uploads
    }
    fn results(&self) -> &Self::Objects {
        &self.results
    }
    fn clock(&self) -> &Self::Clock {
        &self.clock
    }
    fn notify(&self) -> &Self::Notify {
        &self.notify
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        let effect = async { Ok(self.site.links.clone()) };
        self.gate.pass("links", String::new, effect).await
    }
    fn writer(&self) -> &str {
        &self.writer
    }
}
