//! A crowd in memory: Toloka as the requester shows it, and the workers at its other side.
//!
//! Creations have no idempotency key: two under one marker make two. Tasks are asked for under an
//! operation id, on which the crowd dedupes until it forgets it; they are made when the operation
//! finishes, which is when the world says so. A pool closes by itself when its work is done, when
//! its time is over or when the money is. Who may work where is not simulated, but for bans:
//! trainings and exams admit everybody.
//!
//! Workers go by numbers from 0. What a worker answers depends on nothing but the seed, the worker
//! and the image: the same images get the same answers in whatever order they are worked.

mod pool;
mod port;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::ids::{ImageId, OperationId};
use quorate_core::ports::{Ban, Clock as _, NewTask, PortError, PortResult};
use quorate_core::state::{Kind, Outcome};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::SimClock;
pub use pool::{PageState, Pool, Task, WorkerPage};

/// The first id of projects, skills and pools: high enough that string order is their order.
const FIRST_ID: u64 = 1_000_000;

/// What a crowd is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the answers come from.
    pub seed: u64,
    /// How many workers there are.
    pub workers: usize,
    /// The share of wrong answers.
    pub errors: f64,
    /// The platform's share on top of rewards.
    pub fee: Decimal,
    /// Dollars in the account to begin with.
    pub balance: Decimal,
    /// Items in one page of a listing.
    pub page: usize,
    /// How old a creation must be for `find_*` to see it.
    pub lag: Duration,
    /// How long the crowd knows a finished operation.
    pub memory: Duration,
    /// Whether the adapter passes operation ids on. If not, every request goes out under an id of
    /// its own, as a careless client would send it: then the same request makes its tasks again.
    pub operation_ids: bool,
}

impl Default for Options {
    /// Ten workers who are always right, a million dollars and no fee; lists do not lag, and
    /// operations are known for 30 days.
    fn default() -> Self {
        Self {
            seed: 0,
            workers: 10,
            errors: 0.0,
            fee: Decimal::ZERO,
            balance: Decimal::from(1_000_000),
            page: 1000,
            lag: Duration::ZERO,
            memory: Duration::from_secs(30 * 86_400),
            operation_ids: true,
        }
    }
}

/// The requests of the port, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are called as the port's methods are")]
pub enum Request {
    FindProject,
    CreateProject,
    FindSkill,
    CreateSkill,
    FindPool,
    CreatePool,
    OpenPool,
    ClosePool,
    ArchivePool,
    UpdatePool,
    Pool,
    Submit,
    Operation,
    OperationLog,
    Tasks,
    Assignments,
    Bans,
    Spent,
}

/// Where a ban keeps a worker out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of one pool.
    Pool(String),
    /// Of one project.
    Project(String),
    /// Of everything that the requester has.
    AllProjects,
}

impl Scope {
    /// As Toloka writes it.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Pool(_) => "POOL",
            Self::Project(_) => "PROJECT",
            Self::AllProjects => "ALL_PROJECTS",
        }
    }

    fn concerns(&self, project: &str, pool: &str) -> bool {
        match self {
            Self::Pool(id) => id == pool,
            Self::Project(id) => id == project,
            Self::AllProjects => true,
        }
    }
}

/// What work has cost, the platform's fee included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Paid for pages.
    pub paid: Decimal,
    /// Promised for pages in hand.
    pub held: Decimal,
}

impl Money {
    /// What will have been paid if every page in hand is sent in.
    #[must_use]
    pub fn paid_and_held(self) -> Decimal {
        self.paid + self.held
    }
}

/// A crowd in memory.
#[derive(Debug)]
pub struct SimCrowd {
    clock: SimClock,
    state: Mutex<State>,
}

/// A project or a skill.
#[derive(Clone, Debug)]
struct Made {
    id: String,
    marker: String,
    created: Timestamp,
}

/// A request for tasks.
#[derive(Clone, Debug)]
struct Operation {
    /// Requests are carried out in the order of their numbers, unless the world wills otherwise.
    number: u64,
    pool: String,
    tasks: Vec<NewTask>,
    /// When it finished, and what became of each task.
    finished: Option<(Timestamp, Vec<(ImageId, Outcome)>)>,
}

#[derive(Clone, Debug)]
struct State {
    options: Options,
    /// What every id so far was made from.
    counter: u64,
    projects: Vec<Made>,
    skills: Vec<Made>,
    pools: BTreeMap<String, Pool>,
    operations: BTreeMap<OperationId, Operation>,
    bans: Vec<(Scope, Ban)>,
    refused: BTreeSet<ImageId>,
    revoked: bool,
    blocked: BTreeMap<Request, Timestamp>,
    /// The second of the last request, and the requests in it.
    second: (i64, u64),
    busiest: u64,
}

impl SimCrowd {
    /// A crowd without projects.
    #[must_use]
    pub fn new(clock: SimClock, options: Options) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                options,
                counter: 0,
                projects: Vec::new(),
                skills: Vec::new(),
                pools: BTreeMap::new(),
                operations: BTreeMap::new(),
                bans: Vec::new(),
                refused: BTreeSet::new(),
                revoked: false,
                blocked: BTreeMap::new(),
                second: (i64::MIN, 0),
                busiest: 0,
            }),
        }
    }

    /// A crowd that is as this one is now, on a clock of its own; what happens to one does not
    /// happen to the other.
    #[must_use]
    pub fn fork(&self, clock: SimClock) -> Self {
        Self {
            clock,
            state: Mutex::new(self.state().clone()),
        }
    }

    /// The state as of now.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        for pool in state.pools.values_mut() {
            pool.catch_up(now);
        }
        state
    }

    /// Counts a request and answers those that do not get through.
    fn enter(&self, request: Request) -> PortResult<MutexGuard<'_, State>> {
        let mut state = self.state();
        let now = self.clock.now();
        state.count(now);
        if state.revoked {
            return Err(PortError::Refused(
                "ACCESS_DENIED: the key is not valid".to_owned(),
            ));
        }
        match state.blocked.get(&request) {
            Some(until) if *until > now => Err(PortError::Blocked {
                after: until.since(now),
                reason: format!("TOO_MANY_REQUESTS: the quota of {request:?} is used up"),
            }),
            _ => Ok(state),
        }
    }
}

/// What the world does to the crowd.
impl SimCrowd {
    /// Changes what the crowd is like from now on.
    pub fn change(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// From now on the crowd refuses to make tasks of this image.
    pub fn refuse(&self, image: ImageId) {
        self.state().refused.insert(image);
    }

    /// The operations that are not finished, the oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<OperationId> {
        self.state().running()
    }

    /// Carries out an operation; whether it was running.
    pub fn finish_operation(&self, id: OperationId) -> bool {
        self.state().finish(id, self.clock.now())
    }

    /// Carries out every operation, the oldest first.
    pub fn finish_operations(&self) {
        let mut state = self.state();
        for id in state.running() {
            state.finish(id, self.clock.now());
        }
    }

    /// Closes an open pool: by hand (`MANUAL`) or because the platform wants it so (`BLOCKED`, …).
    pub fn close(&self, pool: &str, reason: &'static str) {
        let now = self.clock.now();
        if let Some(pool) = self.state().pools.get_mut(pool) {
            pool.close(reason, now);
        }
    }

    /// Puts dollars into the account, or takes them out if they are negative.
    pub fn deposit(&self, dollars: Decimal) {
        self.state().options.balance += dollars;
    }

    /// From now on requests of this kind are answered with a used-up quota, until `until`.
    pub fn block(&self, request: Request, until: Timestamp) {
        self.state().blocked.insert(request, until);
    }

    /// From now on every request is refused: the key is not valid any more.
    pub fn revoke(&self) {
        self.state().revoked = true;
    }

    /// The key is valid again.
    pub fn restore(&self) {
        self.state().revoked = false;
    }

    /// Bans a worker.
    pub fn ban(&self, worker: usize, scope: Scope, reason: &str) {
        let ban = Ban {
            worker: worker_id(worker),
            scope: scope.as_str().to_owned(),
            reason: reason.to_owned(),
        };
        self.state().bans.push((scope, ban));
    }
}

/// What workers do.
impl SimCrowd {
    /// Gives a worker the next page of a pool, if there is one; its id.
    pub fn take(&self, pool: &str, worker: usize) -> Option<String> {
        self.state().take(pool, worker, self.clock.now())
    }

    /// Sends a page in with this worker's answers; whether it was in hand. It is paid at once.
    pub fn submit_page(&self, page: &str) -> bool {
        let mut state = self.state();
        let Some((id, position)) = state.find_active(page) else {
            return false;
        };
        let pool = &state.pools[&id];
        let WorkerPage { worker, tasks, .. } = &pool.pages[position];
        let labels = tasks
            .iter()
            .map(|task| state.options.answer(pool, &pool.tasks[*task], *worker))
            .collect();
        state.submit(&id, position, labels, self.clock.now());
        true
    }

    /// Sends a page in with these answers, one for each of its tasks. The hints of a training whose
    /// answers are wrong; then it is still in hand.
    ///
    /// # Panics
    /// If the page is not in hand.
    pub fn submit_labels(&self, page: &str, labels: &[&str]) -> Vec<String> {
        let mut state = self.state();
        let (pool, position) = state.find_active(page).unwrap();
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        state.submit(&pool, position, labels, self.clock.now())
    }

    /// Gives a page back unanswered; whether it was in hand.
    pub fn skip_page(&self, page: &str) -> bool {
        self.state()
            .give_back(page, PageState::Skipped, self.clock.now())
    }

    /// Ends a page whose worker is gone; whether it was in hand. It ends by itself when its time
    /// is over.
    pub fn expire_page(&self, page: &str) -> bool {
        self.state()
            .give_back(page, PageState::Expired, self.clock.now())
    }

    /// Lets all workers finish what is in hand, and then take and finish a page of the pool in
    /// turns, until nobody gets one.
    pub fn work_all(&self, pool: &str) {
        for page in self.active() {
            self.submit_page(&page);
        }
        let workers = self.state().options.workers;
        let mut idle = 0;
        for worker in (0..workers).cycle() {
            match self.take(pool, worker) {
                Some(page) => {
                    self.submit_page(&page);
                    idle = 0;
                }
                None => idle += 1,
            }
            if idle >= workers {
                return;
            }
        }
    }
}

/// What an onlooker sees.
impl SimCrowd {
    /// The ids of the pages in hand, pool by pool, the oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<String> {
        let state = self.state();
        let pages = state.pools.values().flat_map(Pool::active);
        pages.map(|page| page.id.clone()).collect()
    }

    /// Looks at all pools, by their ids, with their tasks and pages. The crowd stands still
    /// meanwhile: `at` must not ask it anything.
    pub fn look<T>(&self, at: impl FnOnce(&BTreeMap<String, Pool>) -> T) -> T {
        at(&self.state().pools)
    }

    /// All pools with their tasks and pages, in the order in which they were made.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        self.look(|pools| pools.values().cloned().collect())
    }

    /// The pools that are open, without trainings and exams.
    #[must_use]
    pub fn open_pools(&self) -> Vec<String> {
        let state = self.state();
        let open = state
            .pools
            .values()
            .filter(|pool| pool.open && pool.kind == Kind::Real);
        open.map(|pool| pool.id.clone()).collect()
    }

    /// What all pools have cost.
    #[must_use]
    pub fn money(&self) -> Money {
        let state = self.state();
        state.money(state.pools.values())
    }

    /// What a pool has cost.
    #[must_use]
    pub fn money_of(&self, pool: &str) -> Money {
        let state = self.state();
        state.money(state.pools.get(pool))
    }

    /// The most requests that came within one second, whether or not they got through.
    #[must_use]
    pub fn busiest_second(&self) -> u64 {
        self.state().busiest
    }
}

impl State {
    fn count(&mut self, now: Timestamp) {
        if self.second.0 != now.seconds() {
            self.second = (now.seconds(), 0);
        }
        self.second.1 += 1;
        self.busiest = self.busiest.max(self.second.1);
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The id of a task or page of `pool`, in Toloka's form.
    fn object_id(&mut self, pool: &str) -> String {
        let pool: u64 = pool.parse().unwrap();
        format!("{pool:010x}--{:024x}", self.next())
    }

    fn decimal_id(&mut self) -> String {
        (FIRST_ID + self.next()).to_string()
    }

    fn running(&self) -> Vec<OperationId> {
        let mut running: Vec<_> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.finished.is_none())
            .map(|(id, operation)| (operation.number, *id))
            .collect();
        running.sort_unstable();
        running.into_iter().map(|(_, id)| id).collect()
    }

    fn finish(&mut self, id: OperationId, now: Timestamp) -> bool {
        let Some(operation) = self.operations.get_mut(&id) else {
            return false;
        };
        if operation.finished.is_some() {
            return false;
        }
        let (pool, tasks) = (operation.pool.clone(), std::mem::take(&mut operation.tasks));
        let log = tasks
            .into_iter()
            .map(|task| (task.image, self.make(&pool, task)))
            .collect();
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.finished = Some((now, log));
        }
        true
    }

    /// Makes a task, or says why not.
    fn make(&mut self, pool: &str, task: NewTask) -> Outcome {
        let refused = match self.pools.get(pool) {
            None => Some("pool_id: NOT_FOUND".to_owned()),
            Some(_) if self.refused.contains(&task.image) => {
                Some("input_values.image: INVALID_URL_SYNTAX".to_owned())
            }
            Some(pool) => pool.refuses(&task),
        };
        if let Some(reason) = refused {
            return Outcome::Refused(reason);
        }
        let id = self.object_id(pool);
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.add(id.clone(), task);
        }
        Outcome::Task(id)
    }

    fn money<'a>(&self, pools: impl IntoIterator<Item = &'a Pool>) -> Money {
        let cost = Decimal::ONE + self.options.fee;
        pools.into_iter().fold(Money::default(), |sum, pool| Money {
            paid: sum.paid + pool.paid() * cost,
            held: sum.held + pool.held() * cost,
        })
    }

    /// Whether the account covers rewards of so many dollars.
    fn covers(&self, rewards: Decimal) -> bool {
        let gone = self.money(self.pools.values()).paid_and_held();
        gone + rewards * (Decimal::ONE + self.options.fee) <= self.options.balance
    }

    fn is_banned(&self, worker: usize, pool: &Pool) -> bool {
        let id = worker_id(worker);
        let mut bans = self.bans.iter();
        bans.any(|(scope, ban)| ban.worker == id && scope.concerns(&pool.project, &pool.id))
    }

    fn take(&mut self, id: &str, worker: usize, now: Timestamp) -> Option<String> {
        let pool = self.pools.get(id)?;
        if self.is_banned(worker, pool) {
            return None;
        }
        let tasks = pool.next_page(worker)?;
        if !self.covers(pool.reward) {
            self.pools.get_mut(id)?.close("NOT_ENOUGH_BALANCE", now);
            return None;
        }
        let page = self.object_id(id);
        let pool = self.pools.get_mut(id)?;
        pool.hand_out(page.clone(), worker, tasks, now);
        Some(page)
    }

    /// The pool of a page in hand, and the page's position there.
    fn find_active(&self, page: &str) -> Option<(String, usize)> {
        let mut pools = self.pools.values();
        pools.find_map(|pool| Some((pool.id.clone(), pool.find_active(page)?)))
    }

    fn submit(
        &mut self,
        pool: &str,
        page: usize,
        labels: Vec<String>,
        now: Timestamp,
    ) -> Vec<String> {
        let pool = self.pools.get_mut(pool).unwrap();
        pool.submit(page, labels, now)
    }

    fn give_back(&mut self, page: &str, state: PageState, now: Timestamp) -> bool {
        let Some((pool, position)) = self.find_active(page) else {
            return false;
        };
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.give_back(position, state, now);
        }
        true
    }
}

impl Options {
    /// What a worker answers.
    fn answer(&self, pool: &Pool, task: &Task, worker: usize) -> String {
        let image = task.image.0.as_u128();
        let count = pool.labels.len() as u64;
        let right = match &task.known {
            Some(known) => {
                let same = pool.labels.iter().position(|label| label == known);
                same.unwrap_or_default() as u64
            }
            None => scatter(&[self.seed, low(image), high(image)]) % count,
        };
        let chance = scatter(&[self.seed, low(image), high(image), worker as u64]);
        // A training asks until the answer is right.
        let wrong = task.hint.is_none() && share(chance) < self.errors && count > 1;
        let label = if wrong {
            (right + 1 + scatter(&[chance]) % (count - 1)) % count
        } else {
            right
        };
        pool.labels[usize::try_from(label).unwrap()].clone()
    }
}

/// The id of a worker.
fn worker_id(worker: usize) -> String {
    format!("{worker:032x}")
}

#[expect(clippy::cast_possible_truncation, reason = "the low half")]
fn low(number: u128) -> u64 {
    number as u64
}

fn high(number: u128) -> u64 {
    low(number >> 64)
}

/// A number that depends on all of `parts` and looks random (`SplitMix64`; Steele, Lea, Flood
/// 2014).
fn scatter(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum: u64, part| {
        let mut z = (sum ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// A number as a share of all numbers: from 0 to 1, 1 excluded.
fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1u64 << 53) as f64
}
