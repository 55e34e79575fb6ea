//! Workers in a hurry, a crowd that keeps only what a pool's settings say, and requests that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::campaign::{self, Campaign};
use crate::event::Event;
use crate::ids::{BatchId, CampaignName, OperationId, RoundId};
use crate::link::LinkSigner;
use crate::ports::*;
use crate::state::{Batch, CampaignItem, Close, Counts, Image, Kind, Outcome, SealReason};

/// A page's state at the crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Accepted,
    GivenBack,
}

/// A page in or out of a worker's hands.
#[derive(Debug)]
struct Sheet {
    worker: usize,
    images: Vec<usize>,
    state: State,
    submitted: Timestamp,
}

/// The pool of one sealed round, its workers and its money.
#[derive(Debug)]
struct Pool {
    campaign: Campaign,
    images: usize,
    least: usize,
    open: bool,
    reason: Option<String>,
    sheets: Vec<Sheet>,
    /// What each worker was given, never to be given again.
    seen: BTreeMap<usize, BTreeSet<usize>>,
    reserved: Decimal,
    /// What the other rounds of the campaign have.
    others: Decimal,
    now: Timestamp,
    /// The request that fails, if there is one: before its effect, or after it.
    fails: Option<(usize, bool)>,
    told: Vec<Event>,
}

/// The world of [`let_out`].
#[derive(Debug)]
struct Model(Mutex<Pool>);

impl Pool {
    fn page_size(&self) -> usize {
        self.campaign.images_per_page as usize
    }

    fn count(&self, state: State) -> usize {
        self.sheets
            .iter()
            .filter(|sheet| sheet.state == state)
            .count()
    }

    /// Answers to an image, those of pages in hand included.
    fn issued(&self, image: usize) -> usize {
        let issued =
            |sheet: &&Sheet| sheet.state != State::GivenBack && sheet.images.contains(&image);
        self.sheets.iter().filter(issued).count()
    }

    /// Gives a worker as many images as fit on a page, from `first` on in turn.
    fn take(&mut self, worker: usize, first: usize) -> bool {
        let overlap = self.campaign.overlap as usize;
        let seen = self.seen.entry(worker).or_default().clone();
        let images: Vec<usize> = (0..self.images)
            .map(|image| (image + first) % self.images)
            .filter(|image| !seen.contains(image) && self.issued(*image) < overlap)
            .take(self.page_size())
            .collect();
        if !self.open || images.is_empty() || images.len() < self.least {
            return false;
        }
        self.seen.entry(worker).or_default().extend(&images);
        self.sheets.push(Sheet {
            worker,
            images,
            state: State::Active,
            submitted: self.now,
        });
        true
    }

    /// Ends one of the pages in hand.
    fn end(&mut self, which: usize, state: State) {
        let now = self.now;
        let active = self
            .sheets
            .iter_mut()
            .filter(|sheet| sheet.state == State::Active);
        let mut active: Vec<&mut Sheet> = active.collect();
        if !active.is_empty() {
            let which = which % active.len();
            active[which].state = state;
            active[which].submitted = now;
        }
    }

    fn is_complete(&self) -> bool {
        (0..self.images).all(|image| self.issued(image) == self.campaign.overlap as usize)
            && self.count(State::Active) == 0
    }

    /// What all pages cost if those in hand are sent in.
    fn cost(&self) -> Decimal {
        let pages = self.count(State::Active) + self.count(State::Accepted);
        Decimal::from(pages) * self.campaign.reward_per_page
    }

    fn check(&self) {
        assert!(
            self.cost() <= self.reserved,
            "{} > {}",
            self.cost(),
            self.reserved
        );
        let committed = self.reserved + self.others;
        assert!(committed <= self.campaign.budget.unwrap(), "{committed}");
    }
}

impl Model {
    /// A pool of full pages whose images have reserved their shares, in a campaign whose budget has
    /// `spare` pages more.
    fn new(images: usize, per_page: u32, overlap: u32, spare: u32) -> Self {
        let text = format!(
            "labels = [\"a\", \"b\"]\noverlap = {overlap}\nimages_per_page = {per_page}\nreward_per_page = 0.05\nbudget = 1000\n"
        );
        let mut campaign =
            campaign::of_files([Some(&text), None, None, None], Decimal::ZERO).unwrap();
        let reserved: Decimal = (0..images)
            .map(|_| budget::share(&campaign, 1, Decimal::ZERO))
            .sum();
        let others = Decimal::ONE;
        let spare = Decimal::from(spare) * campaign.reward_per_page;
        campaign.budget = Some(others + reserved + spare);
        Self(Mutex::new(Pool {
            least: campaign.images_per_page as usize,
            campaign,
            images,
            open: true,
            reason: None,
            sheets: Vec::new(),
            seen: BTreeMap::new(),
            reserved,
            others,
            now: Timestamp(1_767_225_600_000),
            fails: None,
            told: Vec::new(),
        }))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Pool) -> T) -> T {
        let mut pool = self.0.lock().unwrap();
        let out = change(&mut pool);
        pool.check();
        out
    }

    /// A request with this effect; it may be the one that fails.
    fn ask<T>(&self, effect: impl FnOnce(&mut Pool) -> T) -> PortResult<T> {
        self.with(|pool| {
            let lost = || PortError::Unavailable("lost".to_owned());
            match &mut pool.fails {
                Some((0, happens)) => {
                    let happens = *happens;
                    pool.fails = None;
                    if happens {
                        effect(pool);
                    }
                    return Err(lost());
                }
                Some((left, _)) => *left -= 1,
                None => {}
            }
            Ok(effect(pool))
        })
    }

    /// What a tick does with the pool.
    fn tick(&self) -> PortResult<bool> {
        let (round, status) = self.with(|pool| {
            if pool.is_complete() && pool.open {
                (pool.open, pool.reason) = (false, Some("COMPLETED".to_owned()));
            }
            (pool.round(), pool.status())
        });
        let future = let_out(self, &round, round.pool.as_ref().unwrap(), &status);
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nothing in memory waits"),
        }
    }
}

impl Pool {
    fn round(&self) -> Round {
        let id: RoundId = "cats/1".parse().unwrap();
        Round {
            id,
            state: RoundState::Sealed,
            opened: self.now,
            last_upload: self.now,
            counts: Counts {
                images: self.images as u64,
                tasks: self.images as u64,
                batches: 1,
                batches_done: 1,
                ..Counts::default()
            },
            reserved: self.reserved,
            pool: Some(RoundPool {
                id: "pool".to_owned(),
                project: "project".to_owned(),
                golden: false,
                campaign: self.campaign.clone(),
                exam_pool: None,
                training: None,
            }),
            opened_with: 1,
            seal: Some(SealReason::Command),
            close: None,
            fence: 0,
            writer: String::new(),
            due: self.now,
            attempts: 0,
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus {
            open: self.open,
            close_reason: self.reason.clone(),
            last_stopped: None,
            least_images: u32::try_from(self.least).unwrap(),
        }
    }

    /// How the crowd tells of a page.
    fn assignment(&self, number: usize, sheet: &Sheet) -> Assignment {
        let answer = |image: &usize| TaskAnswer {
            task: image.to_string(),
            image: Some(ImageId::of_object("bucket", &image.to_string(), "1")),
            label: Some("a".to_owned()),
            known: None,
        };
        Assignment {
            id: format!("{number:06}"),
            worker: sheet.worker.to_string(),
            status: format!("{:?}", sheet.state).to_uppercase(),
            reward: self.campaign.reward_per_page,
            created: String::new(),
            submitted: Some(sheet.submitted.to_string()),
            answers: sheet.images.iter().map(answer).collect(),
        }
    }
}

macro_rules! never_asked {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(async fn $name(&self, $($arg: $type),*) -> PortResult<$out> {
            unreachable!("this is not asked here")
        })*
    };
}

impl Crowd for Model {
    fn fee(&self) -> Decimal {
        Decimal::ZERO
    }
    async fn assignments(
        &self,
        _pool: &str,
        _field: &str,
        statuses: &[&str],
        after: Option<&str>,
    ) -> PortResult<Page<Assignment>> {
        self.ask(|pool| {
            let pages = pool.sheets.iter().enumerate();
            let mut items: Vec<Assignment> = pages
                .map(|(number, sheet)| pool.assignment(number, sheet))
                .filter(|page| statuses.contains(&page.status.as_str()))
                .filter(|page| after.is_none_or(|after| page.id.as_str() > after))
                .collect();
            let more = items.len() > 3;
            items.truncate(3);
            let next = items.last().filter(|_| more).map(|page| page.id.clone());
            Page { items, next }
        })
    }
    async fn open_pool(&self, _pool: &str) -> PortResult<PoolOpened> {
        self.ask(|pool| {
            pool.open = true;
            PoolOpened::Opened
        })
    }
    async fn close_pool(&self, _pool: &str) -> PortResult<()> {
        self.ask(|pool| (pool.open, pool.reason) = (false, Some("MANUAL".to_owned())))
    }
    async fn close_for_update(&self, _pool: &str) -> PortResult<()> {
        self.ask(|pool| {
            if pool.open {
                (pool.open, pool.reason) = (false, Some("FOR_UPDATE".to_owned()));
            }
        })
    }
    async fn set_least_images(&self, _pool: &str, least: u32) -> PortResult<()> {
        self.ask(|pool| {
            assert!(!pool.open, "settings change only while a pool is closed");
            pool.least = least as usize;
        })
    }
    never_asked! {
        archive_pool(_pool: &str) -> ();
        find_project(_marker: &str) -> Option<String>;
        create_project(_campaign: &Campaign, _marker: &str) -> String;
        find_skill(_name: &str) -> Option<String>;
        create_skill(_name: &str) -> String;
        find_pool(_project: &str, _kind: Kind, _marker: &str) -> Option<String>;
        create_pool(_spec: &PoolSpec<'_>) -> String;
        pool(_pool: &str) -> PoolStatus;
        submit(_pool: &str, _field: &str, _id: OperationId, _tasks: &[NewTask]) -> Submitted;
        operation(_id: OperationId) -> OperationStatus;
        operation_log(_id: OperationId) -> BTreeMap<ImageId, Outcome>;
        tasks(_pool: &str, _after: Option<&str>) -> Page<(ImageId, String)>;
        bans(_project: &str, _pool: &str, _after: Option<&str>) -> Page<Ban>;
        spent(_pool: &str) -> Decimal;
    }
}

impl Ledger for Model {
    async fn campaign(&self, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
        self.ask(|pool| {
            Some(CampaignItem {
                name: name.clone(),
                campaign: pool.campaign.clone(),
                revision: 1,
                setups: BTreeMap::new(),
                lease: None,
                swept: None,
                round: 1,
                committed: pool.reserved + pool.others,
            })
        })
    }
    async fn reserve(
        &self,
        _id: &RoundId,
        money: Decimal,
        cap: Option<Decimal>,
    ) -> PortResult<Admitted> {
        assert!(money > Decimal::ZERO, "{money}");
        self.ask(|pool| {
            let committed = pool.reserved + pool.others;
            if cap.is_some_and(|cap| committed + money > cap) {
                return Admitted::OverBudget { committed };
            }
            pool.reserved += money;
            Admitted::Done { images: 0 }
        })
    }
    never_asked! {
        campaigns() -> Vec<CampaignName>;
        save_campaign(_item: &CampaignItem) -> Write;
        open_round(_id: &RoundId, _at: Timestamp) -> Write;
        round(_id: &RoundId) -> Option<Round>;
        unfinished_rounds() -> Vec<RoundId>;
        set_pool(_id: &RoundId, _pool: &RoundPool) -> Write;
        pool_opened(_id: &RoundId, _done: u64) -> Write;
        seal_round(_id: &RoundId, _reason: SealReason) -> Write;
        close_round(_id: &RoundId, _close: &Close) -> Write;
        claim_round(_id: &RoundId, _by: &str, _now: Timestamp, _until: Timestamp) -> Option<Round>;
        postpone_round(_id: &RoundId, _fence: u64, _due: Timestamp) -> Write;
        round_aggregated(_id: &RoundId, _fence: u64) -> Write;
        known_images(_ids: &[ImageId]) -> BTreeSet<ImageId>;
        image(_id: ImageId) -> Option<Image>;
        originals(_name: &CampaignName, _sha256: &[String]) -> BTreeMap<String, ImageId>;
        put_images(_images: &[Image]) -> ();
        admit(_admission: &Admission) -> Admitted;
        park(_admission: &Admission) -> Admitted;
        parked(_name: &CampaignName) -> Vec<BatchId>;
        unpark(_batch: &Batch, _round: &RoundId, _cap: Option<Decimal>, _at: Timestamp) -> Admitted;
        add_control(_image: &Image) -> Image;
        controls(_name: &CampaignName, _kind: Kind) -> Vec<Image>;
        add_control_batch(_batch: &Batch) -> Write;
        batch(_id: BatchId) -> Option<Batch>;
        due_batches(_now: Timestamp, _limit: usize) -> Vec<BatchId>;
        claim_batch(_id: BatchId, _by: &str, _now: Timestamp, _until: Timestamp) -> Option<Batch>;
        postpone_batch(_id: BatchId, _fence: u64, _due: Timestamp, _why: Option<&str>) -> Write;
        finish_batch(_id: BatchId, _fence: u64, _outcomes: &[Outcome]) -> Write;
        round_batches(_id: &RoundId, _after: Option<&str>) -> Page<Batch>;
        round_aliases(_id: &RoundId, _after: Option<&str>) -> Page<Image>;
    }
}

impl Objects for Model {
    fn bucket(&self) -> &str {
        "bucket"
    }
    never_asked! {
        head(_key: &str) -> Option<ObjectMeta>;
        get(_key: &str, _version: &str, _limit: u64) -> Option<Vec<u8>>;
        list(_prefix: &str, _after: Option<&str>) -> Page<ObjectMeta>;
        put(_key: &str, _body: &[u8]) -> ();
        put_if_absent(_key: &str, _body: &[u8]) -> Put;
    }
}

impl Clock for Model {
    fn now(&self) -> Timestamp {
        self.with(|pool| pool.now)
    }
}

impl Notify for Model {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        self.ask(|pool| pool.told.push(event.clone()))
    }
}

impl World for Model {
    type Ledger = Self;
    type Crowd = Self;
    type Objects = Self;
    type Clock = Self;
    type Notify = Self;
    fn ledger(&self) -> &Self {
        self
    }
    fn crowd(&self) -> &Self {
        self
    }
    fn uploads(&self) -> &Self {
        self
    }
    fn results(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Self {
        self
    }
    fn notify(&self) -> &Self {
        self
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        unreachable!("nobody looks at images here")
    }
    fn writer(&self) -> &str {
        "writer"
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    /// A worker asks for a page, with the images from this one on.
    Take(usize, usize),
    Submit(usize),
    GiveBack(usize),
    /// A tick, of which a request may fail.
    Tick(Option<(usize, bool)>),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..12_usize, 0..30_usize).prop_map(|(worker, first)| Act::Take(worker, first)),
        4 => (0..9_usize).prop_map(Act::Submit),
        1 => (0..9_usize).prop_map(Act::GiveBack),
        3 => prop::option::of((0..9_usize, any::<bool>())).prop_map(Act::Tick),
        1 => (0..7200_u64).prop_map(Act::Wait),
    ]
}

fn play(model: &Model, act: &Act) {
    match act {
        Act::Take(worker, first) => {
            model.with(|pool| pool.take(*worker, *first));
        }
        Act::Submit(which) => model.with(|pool| pool.end(*which, State::Accepted)),
        Act::GiveBack(which) => model.with(|pool| pool.end(*which, State::GivenBack)),
        Act::Tick(fails) => {
            model.with(|pool| pool.fails = *fails);
            // It may fail; the next one goes on.
            let _failed = model.tick();
            model.with(|pool| pool.fails = None);
        }
        Act::Wait(seconds) => {
            model.with(|pool| pool.now = pool.now.plus(Duration::from_secs(*seconds)))
        }
    }
}

/// Sends in what is in hand, and goes on with new workers until the pool is over; whether each image
/// has its answers.
fn work_off(model: &Model) -> bool {
    for worker in 100..1000 {
        model.with(|pool| {
            while pool.count(State::Active) > 0 {
                pool.end(0, State::Accepted);
            }
        });
        model.tick().unwrap();
        let (over, complete) = model.with(|pool| {
            let over = !pool.open && pool.reason.as_deref() != Some("FOR_UPDATE");
            (over, pool.is_complete())
        });
        if over {
            return complete;
        }
        if !model.with(|pool| pool.take(worker, 0)) {
            model.with(|pool| pool.now = pool.now.plus(Duration::from_secs(3600)));
        }
    }
    panic!("the round never ends: {model:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The cost is checked after every step, see [`Model::with`].
    #[test]
    fn no_order_of_pages_costs_more_than_is_reserved(
        images in 1..30_usize,
        per_page in 1..9_u32,
        overlap in 1..5_u32,
        spare in 0..30_u32,
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let model = Model::new(images, per_page, overlap, spare);
        for act in &acts {
            play(&model, act);
        }
        let complete = work_off(&model);
        let told = model.with(|pool| pool.told.len());
        prop_assert!(complete || told > 0);
    }

    #[test]
    fn with_money_for_the_rest_every_image_gets_its_answers(
        images in 1..30_usize,
        per_page in 1..9_u32,
        overlap in 1..5_u32,
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let model = Model::new(images, per_page, overlap, 1000);
        for act in &acts {
            play(&model, act);
        }
        prop_assert!(work_off(&model));
    }
}

#[test]
fn a_page_is_never_smaller_than_the_money_allows() {
    // Three images on pages of four, three answers each: their shares pay two pages.
    let model = Model::new(3, 4, 3, 0);
    assert!(model.with(|pool| !pool.take(0, 0)));
    assert_eq!(model.tick(), Ok(true));
    // Nine answers on two pages would want four images on a page: there are three.
    let (least, open, told) = model.with(|pool| (pool.least, pool.open, pool.told.len()));
    assert_eq!((least, open, told), (4, false, 1));

    let model = Model::new(3, 4, 3, 1);
    assert_eq!(model.tick(), Ok(true));
    assert_eq!(model.with(|pool| (pool.least, pool.open)), (3, true));
    assert!(work_off(&model));
    assert!(model.with(|pool| pool.told.is_empty()));
}
