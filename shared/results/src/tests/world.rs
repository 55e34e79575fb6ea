//! A world in memory: the ports that aggregation asks, and a panic for the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use quorate_core::event::Event;
use quorate_core::link::LinkSigner;
use quorate_core::ports::*;
use quorate_core::state::{CampaignItem, Close, Round, RoundPool, RoundState, SealReason};
use quorate_core::{BatchId, CampaignName, OperationId};

use super::*;

/// Everything at once; requests see what requests before them did.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) rounds: Mutex<BTreeMap<RoundId, Round>>,
    pub(crate) batches: BTreeMap<RoundId, Vec<Batch>>,
    pub(crate) aliases: BTreeMap<RoundId, Vec<Image>>,
    pub(crate) pages: Vec<Assignment>,
    pub(crate) bans: Vec<Ban>,
    pub(crate) uploads: Bucket,
    pub(crate) results: Bucket,
    pub(crate) told: Mutex<Vec<Event>>,
    pub(crate) campaign: Option<Campaign>,
}

/// Objects by key; each has one version, `v1`.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Puts that still work, if they are numbered.
    pub(crate) puts_left: Mutex<Option<u32>>,
    /// Another writer's objects, which are there when the key `rival_before` is put.
    pub(crate) rival: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) rival_before: Mutex<String>,
}

impl Bucket {
    pub(crate) fn read(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.lock().unwrap().get(key).cloned()
    }

    fn may_put(&self, key: &str) -> PortResult<()> {
        if *self.rival_before.lock().unwrap() == key {
            let theirs = std::mem::take(&mut *self.rival.lock().unwrap());
            self.objects.lock().unwrap().extend(theirs);
        }
        match self.puts_left.lock().unwrap().as_mut() {
            Some(0) => Err(PortError::Unavailable("the bucket is away".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// One item a page, so that every listing has to be read on.
fn one_a_page<T: Clone>(all: &[T], after: Option<&str>) -> Page<T> {
    let start = after.map_or(0, |after| after.parse::<usize>().unwrap());
    let end = all.len().min(start + 1);
    Page {
        items: all[start..end].to_vec(),
        next: (end < all.len()).then(|| end.to_string()),
    }
}

macro_rules! never_asked {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(async fn $name(&self, $($arg: $type),*) -> PortResult<$out> {
            unreachable!("aggregation does not ask this")
        })*
    };
}

impl Objects for Bucket {
    fn bucket(&self) -> &str {
        "bucket"
    }
    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        Ok(self.read(key).map(|body| ObjectMeta {
            key: key.to_owned(),
            version: "v1".to_owned(),
            size: body.len() as u64,
            modified: Timestamp::default(),
        }))
    }
    async fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        if key.contains("forbidden") {
            return Err(PortError::Refused("forbidden".to_owned()));
        }
        let body = self.read(key).filter(|_| version == "v1");
        Ok(body.map(|mut body| {
            body.truncate(usize::try_from(limit).unwrap());
            body
        }))
    }
    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        self.may_put(key)?;
        let mut objects = self.objects.lock().unwrap();
        objects.insert(key.to_owned(), body.to_vec());
        Ok(())
    }
    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        self.may_put(key)?;
        let mut objects = self.objects.lock().unwrap();
        if objects.contains_key(key) {
            return Ok(Put::Existed);
        }
        objects.insert(key.to_owned(), body.to_vec());
        Ok(Put::Created)
    }
    never_asked! {
        list(_prefix: &str, _after: Option<&str>) -> Page<ObjectMeta>;
    }
}

impl Ledger for Memory {
    async fn round(&self, id: &RoundId) -> PortResult<Option<Round>> {
        Ok(self.rounds.lock().unwrap().get(id).cloned())
    }
    async fn claim_round(
        &self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Round>> {
        let mut rounds = self.rounds.lock().unwrap();
        let round = rounds.get_mut(id).unwrap();
        if round.state != RoundState::Closed || round.due > now {
            return Ok(None);
        }
        round.fence += 1;
        round.due = until;
        round.writer = writer.to_owned();
        Ok(Some(round.clone()))
    }
    async fn postpone_round(&self, id: &RoundId, fence: u64, due: Timestamp) -> PortResult<Write> {
        let mut rounds = self.rounds.lock().unwrap();
        let round = rounds.get_mut(id).unwrap();
        if round.state != RoundState::Closed || round.fence != fence {
            return Ok(Write::Lost);
        }
        round.due = due;
        Ok(Write::Done)
    }
    async fn round_aggregated(&self, id: &RoundId, fence: u64) -> PortResult<Write> {
        let mut rounds = self.rounds.lock().unwrap();
        let round = rounds.get_mut(id).unwrap();
        if round.state != RoundState::Closed || round.fence != fence {
            return Ok(Write::Lost);
        }
        round.state = RoundState::Aggregated;
        Ok(Write::Done)
    }
    async fn round_batches(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Batch>> {
        Ok(one_a_page(
            self.batches.get(id).map_or(&[], Vec::as_slice),
            after,
        ))
    }
    async fn round_aliases(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Image>> {
        Ok(one_a_page(
            self.aliases.get(id).map_or(&[], Vec::as_slice),
            after,
        ))
    }
    async fn campaign(&self, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
        Ok(self.campaign.clone().map(|campaign| CampaignItem {
            name: name.clone(),
            campaign,
            revision: 1,
            setups: BTreeMap::new(),
            lease: None,
            swept: None,
            round: 1,
            committed: Decimal::ZERO,
        }))
    }
    never_asked! {
        campaigns() -> Vec<CampaignName>;
        save_campaign(_item: &CampaignItem) -> Write;
        open_round(_id: &RoundId, _at: Timestamp) -> Write;
        unfinished_rounds() -> Vec<RoundId>;
        set_pool(_id: &RoundId, _pool: &RoundPool) -> Write;
        pool_opened(_id: &RoundId, _done: u64) -> Write;
        seal_round(_id: &RoundId, _reason: SealReason) -> Write;
        close_round(_id: &RoundId, _close: &Close) -> Write;
        known_images(_ids: &[ImageId]) -> BTreeSet<ImageId>;
        image(_id: ImageId) -> Option<Image>;
        originals(_name: &CampaignName, _sha256: &[String]) -> BTreeMap<String, ImageId>;
        put_images(_images: &[Image]) -> ();
        admit(_admission: &Admission) -> Admitted;
        park(_admission: &Admission) -> Admitted;
        parked(_name: &CampaignName) -> Vec<BatchId>;
        unpark(_batch: &Batch, _round: &RoundId, _cap: Option<Decimal>, _at: Timestamp) -> Admitted;
        reserve(_id: &RoundId, _money: Decimal, _cap: Option<Decimal>) -> Admitted;
        add_control(_image: &Image) -> Image;
        controls(_name: &CampaignName, _kind: Kind) -> Vec<Image>;
        add_control_batch(_batch: &Batch) -> Write;
        batch(_id: BatchId) -> Option<Batch>;
        due_batches(_now: Timestamp, _limit: usize) -> Vec<BatchId>;
        claim_batch(_id: BatchId, _by: &str, _now: Timestamp, _until: Timestamp) -> Option<Batch>;
        postpone_batch(_id: BatchId, _fence: u64, _due: Timestamp, _why: Option<&str>) -> Write;
        finish_batch(_id: BatchId, _fence: u64, _outcomes: &[Outcome]) -> Write;
    }
}

impl Crowd for Memory {
    fn fee(&self) -> Decimal {
        fee()
    }
    async fn assignments(
        &self,
        pool: &str,
        answer_field: &str,
        statuses: &[&str],
        after: Option<&str>,
    ) -> PortResult<Page<Assignment>> {
        assert_eq!((pool, answer_field), ("pool-1", &*pets().answer_field));
        let of_status = |page: &&Assignment| statuses.contains(&page.status.as_str());
        let pages: Vec<Assignment> = self.pages.iter().filter(of_status).cloned().collect();
        Ok(one_a_page(&pages, after))
    }
    async fn bans(
        &self,
        _project: &str,
        _pool: &str,
        after: Option<&str>,
    ) -> PortResult<Page<Ban>> {
        Ok(one_a_page(&self.bans, after))
    }
    never_asked! {
        find_project(_marker: &str) -> Option<String>;
        create_project(_campaign: &Campaign, _marker: &str) -> String;
        find_skill(_name: &str) -> Option<String>;
        create_skill(_name: &str) -> String;
        find_pool(_project: &str, _kind: Kind, _marker: &str) -> Option<String>;
        create_pool(_spec: &PoolSpec<'_>) -> String;
        open_pool(_pool: &str) -> PoolOpened;
        close_pool(_pool: &str) -> ();
        close_for_update(_pool: &str) -> ();
        archive_pool(_pool: &str) -> ();
        set_least_images(_pool: &str, _least: u32) -> ();
        pool(_pool: &str) -> PoolStatus;
        submit(_pool: &str, _field: &str, _id: OperationId, _tasks: &[NewTask]) -> Submitted;
        operation(_id: OperationId) -> OperationStatus;
        operation_log(_id: OperationId) -> BTreeMap<ImageId, Outcome>;
        tasks(_pool: &str, _after: Option<&str>) -> Page<(ImageId, String)>;
        spent(_pool: &str) -> Decimal;
    }
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000)
    }
}

impl Notify for Memory {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        self.told.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl World for Memory {
    type Ledger = Self;
    type Crowd = Self;
    type Objects = Bucket;
    type Clock = Self;
    type Notify = Self;
    fn ledger(&self) -> &Self {
        self
    }
    fn crowd(&self) -> &Self {
        self
    }
    fn uploads(&self) -> &Bucket {
        &self.uploads
    }
    fn results(&self) -> &Bucket {
        &self.results
    }
    fn clock(&self) -> &Self {
        self
    }
    fn notify(&self) -> &Self {
        self
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        unreachable!("aggregation makes no links")
    }
    fn writer(&self) -> &str {
        "writer"
    }
}

/// Runs a future that never has to wait.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("nothing in memory waits"),
    }
}
