//! One schedule, from the first upload to the last label.
//!
//! Invocations of the functions wait at the [`Desk`] with their requests. Each step decides one thing:
//! which request goes on and how it ends, which function starts, what workers and people do, or that
//! time passes. Without trouble the choice is always what would come next by itself; how much
//! trouble there is, the schedule draws at its beginning. After a while trouble ends, and the schedule
//! must come to its end: every image labelled, or a reason told.

mod functions;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use quorate_core::ids::{ImageId, RoundId};
use quorate_core::ports::Clock as _;
use quorate_core::time::Timestamp;
use quorate_testkit::sim::crowd::Options as CrowdOptions;
use quorate_testkit::sim::{Omission, SimClock, SimCrowd, SimLedger};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use functions::Function;
use functions::{invocation, queue_of};

use crate::choices::Choices;
use crate::gate::{Desk, Fate, Gate, Waiting};
use crate::pace::Pace;
use crate::script::{CAMPAIGN, Script, Step};
use crate::site::{Message, NOON, Site};
use crate::watch::Watch;
use crate::world::SimWorld;

/// What a request takes: so little that only the limiters keep the crowd's limit.
const LATENCY: Duration = Duration::from_millis(1);
/// Between two ticks of check-pools, and of reconcile.
const CHECK: Duration = Duration::from_secs(60);
const SWEEP: Duration = Duration::from_secs(300);
/// How often a person looks after dead letters.
const REDRIVE: Duration = Duration::from_secs(3600);
/// What a worker takes for a page.
const PAGE: Duration = Duration::from_secs(10);
/// Steps after which a schedule without trouble must have come to its end.
const PATIENCE: u32 = 60_000;
/// Messages in one delivery of uploads.
const UPLOADS: usize = 10;

/// What a deliberately broken pipeline does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The ledger leaves a condition out.
    Ledger(Omission),
    /// Every request for tasks has a new operation id.
    FreshOperationIds,
    /// Messages are forgotten before they are worked off.
    AcknowledgedFirst,
    /// The manifest is written before the files that it names.
    ManifestFirst,
}

/// What a schedule is, besides its choices.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// What people do; none to draw it.
    pub script: Option<Script>,
    /// How requests end, by their number in the order of decisions: the trouble of a schedule that
    /// has no other.
    pub fates: BTreeMap<u64, Fate>,
    /// Whether there is no trouble but `fates`.
    pub planned: bool,
    /// What is broken.
    pub broken: Option<Broken>,
    /// Whether to write down what happens.
    pub traced: bool,
}

/// What came of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it is not right, if it is not.
    pub failure: Option<String>,
    /// The choices that were taken, as a tape.
    pub tape: Vec<u32>,
    /// Requests that were decided on.
    pub requests: u64,
    /// A digest of everything that happened, in order.
    pub digest: String,
    /// What happened, if that was asked for.
    pub trace: Vec<String>,
    /// The committed results, by key.
    pub results: BTreeMap<String, Arc<[u8]>>,
}

/// Runs a schedule to its end.
#[must_use]
pub fn run(choices: Choices, setting: &Setting) -> Outcome {
    let mut schedule = Schedule::new(choices, setting);
    let failure = schedule.run().err();
    let mut digest = schedule.digest.clone();
    let results = schedule.site.results.current();
    for (key, body) in &results {
        digest.update(key);
        digest.update(body);
    }
    Outcome {
        failure,
        tape: schedule.choices.taken(),
        requests: schedule.decided,
        digest: quorate_core::campaign::hex(&digest.finalize()),
        trace: schedule.trace,
        results,
    }
}

/// An invocation that runs.
struct Invocation {
    function: Function,
    /// The messages that it works off.
    messages: BTreeSet<u64>,
    /// Whether there was a campaign when it started.
    campaign: bool,
    /// Gives the messages that failed.
    future: Pin<Box<dyn Future<Output = BTreeSet<u64>> + Send>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How much trouble a schedule has.
struct Habits {
    /// One request in so many ends badly.
    faults: u32,
    /// One step in so many is out of order.
    disorder: u32,
    /// Invocations of one function that may run at once.
    at_once: usize,
    /// Steps before trouble ends.
    steps: u32,
    /// How long a message is hidden whose function died.
    hidden: Duration,
}

impl Habits {
    fn draw(choices: &mut Choices, planned: bool) -> Self {
        if planned {
            return Self {
                faults: 0,
                disorder: 0,
                at_once: 1,
                steps: 0,
                hidden: Duration::from_secs(60),
            };
        }
        Self {
            faults: choices.one_of(&[0, 60, 20, 8]),
            disorder: choices.one_of(&[0, 40, 8, 2]),
            at_once: 3 + choices.below(6) as usize,
            steps: 50 + 50 * choices.below(16),
            hidden: Duration::from_secs(1800),
        }
    }
}

struct Schedule<'a> {
    setting: &'a Setting,
    choices: Choices,
    habits: Habits,
    script: Script,
    site: Arc<Site>,
    desk: Arc<Desk>,
    running: BTreeMap<u64, Invocation>,
    /// Requests that hang, and until when.
    hanging: BTreeMap<u64, Timestamp>,
    /// Invocations so far.
    started: u64,
    decided: u64,
    steps: u32,
    next_check: Timestamp,
    next_sweep: Timestamp,
    next_redrive: Timestamp,
    /// When the script went on last.
    last_step: Timestamp,
    workers: usize,
    next_worker: usize,
    calm: bool,
    pace: Pace,
    watch: Watch,
    digest: Sha256,
    trace: Vec<String>,
}

impl<'a> Schedule<'a> {
    fn new(mut choices: Choices, setting: &'a Setting) -> Self {
        let habits = Habits::draw(&mut choices, setting.planned);
        let script = setting
            .script
            .clone()
            .unwrap_or_else(|| Script::any(&mut choices));
        let clock = SimClock::new(NOON);
        let ledger = match setting.broken {
            Some(Broken::Ledger(omission)) => SimLedger::without(omission),
            _ => SimLedger::new(),
        };
        // Where a run is compared with another, every image is judged by the same people: by all.
        let workers = match script.overlap() {
            Some(overlap) if setting.planned => overlap as usize,
            _ => WORKERS,
        };
        let crowd = CrowdOptions {
            workers,
            errors: 0.2,
            fee: Decimal::new(2, 1),
            operation_ids: setting.broken != Some(Broken::FreshOperationIds),
            ..CrowdOptions::default()
        };
        let crowd = SimCrowd::new(clock.clone(), crowd);
        Self {
            setting,
            habits,
            script,
            site: Arc::new(Site::new(clock, ledger, crowd)),
            desk: Arc::new(Desk::new(setting.traced)),
            running: BTreeMap::new(),
            hanging: BTreeMap::new(),
            started: 0,
            decided: 0,
            steps: 0,
            next_check: NOON.plus(CHECK),
            next_sweep: NOON.plus(SWEEP),
            next_redrive: NOON,
            last_step: NOON,
            workers,
            next_worker: 0,
            calm: setting.planned,
            pace: Pace::new(NOON),
            watch: Watch::default(),
            digest: Sha256::new(),
            trace: Vec::new(),
            choices,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            self.poll();
            self.watch.always(&self.site)?;
            if self.running.is_empty() {
                self.watch.quiet(&self.site)?;
                if self.calm && self.is_over() {
                    return self.watch.end(&self.site);
                }
            }
            self.steps += 1;
            if !self.calm && self.steps > self.habits.steps {
                self.calm_down();
            }
            if self.steps > PATIENCE {
                let missing = self.watch.missing(&self.site);
                return Err(format!("it does not come to an end: {missing:?}"));
            }
            if !self.out_of_order() {
                self.go_on();
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.site.clock.now()
    }

    /// Writes down what happens.
    fn note(&mut self, what: &str, details: &str) {
        let now = self.now();
        self.digest.update(now.0.to_be_bytes());
        self.digest.update(what);
        if self.setting.traced {
            let mut line = format!("{:9.3} s  {what}", seconds_since_noon(now));
            if !details.is_empty() {
                let _ = write!(line, "  {details}");
            }
            self.trace.push(line);
        }
    }

    /// Lets invocations run until each waits for a decision, and buries the dead.
    fn poll(&mut self) {
        let woken: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, it)| it.woken.0.swap(false, Ordering::Relaxed))
            .map(|(id, _)| *id)
            .collect();
        for id in woken {
            let Some(invocation) = self.running.get_mut(&id) else {
                continue;
            };
            let waker = Waker::from(Arc::clone(&invocation.woken));
            let polled = invocation
                .future
                .as_mut()
                .poll(&mut Context::from_waker(&waker));
            if self.desk.bury().is_some() {
                // Its messages come again when they are visible again.
                self.running.remove(&id);
                self.note(&format!("#{id} dies"), "");
            } else if let Poll::Ready(failed) = polled {
                self.end(id, &failed);
            }
        }
    }

    fn end(&mut self, id: u64, failed: &BTreeSet<u64>) {
        self.desk.forget(id);
        let Some(invocation) = self.running.remove(&id) else {
            return;
        };
        let now = self.now();
        let done = &invocation.messages - failed;
        if let Some(queue) = queue_of(invocation.function, &mut self.site.queues()) {
            let forgotten = queue.delete(&done);
            queue.give_back(failed, now);
            if invocation.campaign {
                self.watch.forgotten(&forgotten);
            }
        }
        self.note(
            &format!("#{id} ends"),
            &format!(
                "{} of {} messages failed",
                failed.len(),
                invocation.messages.len()
            ),
        );
    }

    /// What would come next by itself.
    fn go_on(&mut self) {
        let now = self.now();
        self.hanging.retain(|_, until| *until > now);
        let waiting = self.awake();
        if let Some(request) = waiting.first() {
            return self.decide(*request);
        }
        if self.start(Function::CreateTasks)
            || self.start(Function::AggregatePool)
            || self.next_check <= now && self.start(Function::CheckPools)
            || self.next_sweep <= now && self.start(Function::Reconcile)
        {
            return;
        }
        if self
            .script
            .wait()
            .is_some_and(|wait| now.since(self.last_step) >= wait)
        {
            self.act();
        } else if !self.site.crowd.running().is_empty() {
            self.site.crowd.finish_operations();
            self.note("the crowd finishes its operations", "");
        } else if !self.work() {
            self.wait();
        }
    }

    /// Requests that can be decided on.
    fn awake(&self) -> Vec<Waiting> {
        let waiting = self.desk.waiting().into_iter();
        waiting
            .filter(|request| !self.hanging.contains_key(&request.number))
            .collect()
    }

    /// Lets time pass until something can happen.
    fn wait(&mut self) {
        let queues = self.site.queues();
        let next = [
            Some(self.next_check),
            Some(self.next_sweep),
            queues.uploads.next_visible(),
            queues.closed.next_visible(),
            self.script.wait().map(|wait| self.last_step.plus(wait)),
        ];
        drop(queues);
        let hanging = self.hanging.values().copied();
        let next = next.into_iter().flatten().chain(hanging).min();
        let now = self.now();
        if let Some(next) = next.filter(|next| *next > now) {
            self.site.clock.set(next);
        } else {
            self.site.clock.advance(Duration::from_secs(1));
        }
        self.note("time passes", "");
    }

    /// Starts an invocation if there is work for it and not too many run already. Whether it did.
    fn start(&mut self, function: Function) -> bool {
        let same = |it: &&Invocation| it.function == function;
        if self.running.values().filter(same).count() >= self.habits.at_once {
            return false;
        }
        let now = self.now();
        let hidden = self.habits.hidden;
        let received = match function {
            Function::CreateTasks => self.site.queues().uploads.receive(UPLOADS, now, hidden),
            Function::AggregatePool => self.site.queues().closed.receive(1, now, hidden),
            Function::CheckPools => {
                self.next_check = now.plus(CHECK);
                Vec::new()
            }
            Function::Reconcile => {
                self.next_sweep = now.plus(SWEEP);
                Vec::new()
            }
        };
        if received.is_empty()
            && matches!(function, Function::CreateTasks | Function::AggregatePool)
        {
            return false;
        }
        self.invoke(function, received, json!({}));
        true
    }

    fn invoke(&mut self, function: Function, received: Vec<Message>, event: Value) {
        self.started += 1;
        let id = self.started;
        let mut messages: BTreeSet<u64> = received.iter().map(|it| it.id).collect();
        let campaign = self
            .site
            .ledger
            .look(|records| !records.campaigns.is_empty());
        if self.setting.broken == Some(Broken::AcknowledgedFirst)
            && let Some(queue) = queue_of(function, &mut self.site.queues())
        {
            let forgotten = queue.delete(&messages);
            if campaign {
                self.watch.forgotten(&forgotten);
            }
            messages.clear();
        }
        let ahead = if self.calm || self.habits.disorder == 0 {
            0
        } else {
            [0, 2_000, -2_000, 45_000, -45_000][self.choices.rarely(4, 5) as usize]
        };
        let gate = Gate::new(Arc::clone(&self.desk), id);
        let manifest_first = self.setting.broken == Some(Broken::ManifestFirst);
        let world = SimWorld::new(
            &self.site,
            &gate,
            format!("writer-{id}"),
            ahead,
            manifest_first,
        );
        self.note(
            &format!("#{id} {function:?} starts"),
            &format!("{} messages, {ahead} ms ahead", received.len()),
        );
        let future = invocation(function, world, received, event);
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let invocation = Invocation {
            function,
            messages,
            campaign,
            future,
            woken,
        };
        self.running.insert(id, invocation);
    }

    /// Decides how a request ends.
    fn decide(&mut self, request: Waiting) {
        let Waiting {
            number,
            invocation,
            method,
        } = request;
        if method.starts_with("crowd.") {
            let now = self.now();
            let wait = self.pace.turn(invocation, now);
            if !wait.is_zero() {
                // Rounded up: time has milliseconds.
                self.hanging
                    .insert(number, now.plus(wait + Duration::from_millis(1)));
                return;
            }
        }
        let fate = if let Some(fate) = self.setting.fates.get(&self.decided) {
            *fate
        } else if self.calm || self.habits.faults == 0 {
            Fate::Done
        } else {
            match self.choices.rarely(self.habits.faults, 9) {
                1 => Fate::Failed,
                2 | 3 => Fate::ReplyLost,
                4 => Fate::CrashBefore,
                5 => Fate::CrashAfter,
                hangs @ 6..=8 => {
                    let seconds = [2, 70, 1000][hangs as usize - 6];
                    return self.hang(number, Duration::from_secs(seconds));
                }
                _ => Fate::Done,
            }
        };
        self.decided += 1;
        let asks = self.desk.decide(number, fate);
        self.site.clock.advance(LATENCY);
        self.note(&format!("#{invocation} {method} {fate:?}"), &asks);
    }

    fn hang(&mut self, number: u64, time: Duration) {
        let until = self.now().plus(time);
        self.hanging.insert(number, until);
        self.note(
            &format!("request {number} hangs"),
            &format!("{} s", time.as_secs()),
        );
    }

    /// Somebody does the next step of the script.
    fn act(&mut self) {
        self.last_step = self.now();
        let Some(step) = self.script.take() else {
            return;
        };
        self.note("somebody", &shown(&step));
        match step {
            Step::Define(shape) => {
                self.watch.budget(shape.budget);
                let key = format!("{CAMPAIGN}/campaign.toml");
                drop(self.site.upload(&key, shape.file().as_bytes()));
            }
            Step::Upload { key, bytes } => {
                let version = self.site.upload(&key, &bytes);
                let refusable = !self.setting.planned && key.contains("/images/");
                if refusable && self.choices.rarely(12, 2) == 1 {
                    let image = ImageId::of_object("uploads", &key, &version);
                    self.site.crowd.refuse(image);
                }
            }
            Step::Delete(key) => self.site.uploads.delete(&key),
            Step::Seal => {
                if let Some(round) = self.newest_round() {
                    let event = json!({"seal": round.to_string()});
                    self.invoke(Function::CheckPools, Vec::new(), event);
                }
            }
            Step::ClosePool => {
                if let Some(pool) = self.site.crowd.pools().last() {
                    self.site.crowd.close(&pool.id, "MANUAL");
                }
            }
        }
    }

    fn newest_round(&self) -> Option<RoundId> {
        self.site
            .ledger
            .look(|records| records.rounds.keys().next_back().cloned())
    }

    /// The workers go on with what is open, one page after the other. Whether there was something.
    fn work(&mut self) -> bool {
        if let Some(page) = self.site.crowd.active().first() {
            self.site.clock.advance(PAGE);
            self.site.crowd.submit_page(page);
            self.note("a page is sent in", page);
            return true;
        }
        for pool in self.site.crowd.open_pools() {
            for _ in 0..self.workers {
                let worker = self.next_worker % self.workers;
                self.next_worker += 1;
                if let Some(page) = self.site.crowd.take(&pool, worker) {
                    self.note("a page is taken", &page);
                    return true;
                }
            }
        }
        false
    }

    /// Whether nothing is left to do; brings back what is dead.
    fn is_over(&mut self) -> bool {
        let now = self.now();
        let mut queues = self.site.queues();
        if self.next_redrive <= now {
            queues.uploads.redrive(now);
            queues.closed.redrive(now);
            self.next_redrive = now.plus(REDRIVE);
        }
        let empty = queues.uploads.is_empty() && queues.closed.is_empty();
        drop(queues);
        empty && self.script.wait().is_none() && self.watch.missing(&self.site).is_none()
    }
}

/// Workers of the crowd while there is trouble.
const WORKERS: usize = 4;
/// And afterwards: whoever skipped a page or let it expire does not see its tasks again.
const MORE_WORKERS: usize = 20;

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds_since_noon(now: Timestamp) -> f64 {
    (now.0 - NOON.0) as f64 / 1000.0
}

fn shown(step: &Step) -> String {
    match step {
        Step::Upload { key, bytes } => format!("uploads {key} ({} bytes)", bytes.len()),
        other => format!("{other:?}"),
    }
}
