//! A simulated crowd that works any client's project through the worker API, over real HTTP.
//!
//! It is a discrete-event simulation: every worker has one next event (sign of life, submit, skip, …) in a queue keyed
//! (time, worker), [`Simulation::step`] performs the earliest. Durations come from each worker's [`Character`], so
//! rules such as "faster than 7 s" see plausible times on the platform's clock. Everything is drawn from one seed:
//! with the same seed and a platform that behaves the same, the same requests go out in the same order. An answer
//! depends only on the seed, the worker and the task, so even a run with other timing gets the same answers for the
//! same pages.
//!
//! Workers see what people see: the pools that the platform offers, the task's inputs, the labels of the project's
//! page and, in trainings, the hints. What is right comes from [`Truth`], which the platform never sees.
//!
//! After a restart of the simulation its workers sign in again and finish the pages that they had taken; how many
//! pages they had done (for quitters, and spammers that behave at first) starts anew.

mod api;
mod character;
mod form;
mod images;
mod truth;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::api::{Api, Assignment, Hint, Pool};
use self::character::{Fate, Mind};
use self::form::Form;
use self::images::Images;
use crate::clock::Clock;

pub use self::api::Error as RequestError;
pub use self::character::Character;
pub use self::truth::{Lookup, Truth, TruthError};

/// Workers arrive within this many seconds after the start.
const ARRIVAL_SECONDS: f64 = 120.0;
/// First and longest pause of a worker that finds nothing to do; it doubles from one to the other.
const IDLE_SECONDS: (f64, f64) = (20.0, 180.0);
/// Pause of a worker that is banned from everything.
const BANNED_SECONDS: f64 = 3600.0;
/// Pause after a request that failed.
const RETRY_SECONDS: f64 = 30.0;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the crowd platform, such as `http://127.0.0.1:8080`.
    pub base_url: String,
    /// The invitation code that new workers must show.
    pub invite: String,
    /// The same seed makes the same crowd. It is part of the workers' logins: another seed is another crowd.
    pub seed: u64,
    /// How many workers; see [`Character`] for the mix.
    pub workers: usize,
    /// What the right answers are.
    pub truth: Truth,
    /// The platform's clock.
    pub clock: Clock,
}

/// Why the simulation cannot go on, or one worker's action failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be set up.
    #[error("the HTTP client of the simulated workers cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A worker's request failed.
    #[error("simulated worker {login}")]
    Request {
        /// The worker's login.
        login: String,
        /// What failed.
        source: RequestError,
    },
}

/// What the crowd has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pages (assignments) submitted and taken by the platform.
    pub pages: u64,
    /// Answers on those pages.
    pub answers: u64,
    /// Hints received in trainings.
    pub hints: u64,
    /// Pages skipped, those with an image that did not open included.
    pub skips: u64,
    /// Pages left with "exit".
    pub exits: u64,
    /// Pages left to expire on purpose.
    pub left_to_expire: u64,
    /// Pages that the platform no longer took when they were submitted: expired, or closed by the requester.
    pub too_late: u64,
    /// Pages whose answers the platform refused as invalid.
    pub refused: u64,
    /// Images that did not open, by HTTP status; 0 means that no answer came.
    pub image_failures: BTreeMap<u16, u64>,
    /// The same by character.
    pub characters: BTreeMap<Character, CharacterStats>,
}

/// What the workers of one character have done; trainings are not counted, as hints correct them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CharacterStats {
    /// Workers of this character.
    pub workers: u64,
    /// Answers submitted.
    pub answers: u64,
    /// Answers that agree with the truth.
    pub correct: u64,
}

/// A crowd at work.
#[derive(Debug)]
pub struct Simulation {
    floor: Floor,
    workers: Vec<Worker>,
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

impl Simulation {
    /// Makes the crowd; nothing is sent before [`Simulation::start`].
    ///
    /// # Errors
    ///
    /// [`Error::Client`] if the HTTP client cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        let http = images::client().map_err(Error::Client)?;
        let workers: Vec<Worker> = (0..config.workers)
            .map(|index| Worker::new(&config, index))
            .collect();
        let mut stats = Stats::default();
        for worker in &workers {
            stats
                .characters
                .entry(worker.mind.character)
                .or_default()
                .workers += 1;
        }
        let api = Api::new(http.clone(), &config.base_url);
        let floor = Floor {
            api,
            images: Images::new(http),
            truth: config.truth,
            clock: config.clock,
            stats,
        };
        Ok(Self {
            floor,
            workers,
            queue: BinaryHeap::new(),
        })
    }

    /// Signs every worker in, finds the pages that they still have in work, and sets their arrival times.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for the first worker that the platform does not let in.
    pub async fn start(&mut self) -> Result<(), Error> {
        self.queue.clear();
        let now = self.floor.clock.now();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            worker.in_hand = None;
            worker.token = None;
            self.floor
                .report_in(worker)
                .await
                .map_err(|source| worker.error(source))?;
            let wait = worker.mind.seconds_between(0.0, ARRIVAL_SECONDS);
            self.queue.push(Reverse((later(now, wait), index)));
        }
        Ok(())
    }

    /// When the next worker does something; `None` before the start, or when every worker has gone for good.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Performs the earliest event: one action of one worker. It does not wait for the event's time: see
    /// [`Simulation::run`]. Does nothing if there is no event.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the platform could not be reached or failed. The worker tries again later, so the caller
    /// may go on.
    pub async fn step(&mut self) -> Result<(), Error> {
        let Some(Reverse((at, index))) = self.queue.pop() else {
            return Ok(());
        };
        let Some(worker) = self.workers.get_mut(index) else {
            return Ok(());
        };
        let outcome = self.floor.act(worker).await;
        // A clock that runs fast may be ahead of the event; durations count from what the platform has seen.
        let now = self.floor.clock.now().max(at);
        let (wait, result) = match outcome {
            Ok(wait) => (wait, Ok(())),
            Err(source) => {
                // A reply may be lost after the platform acted on the request.
                worker.out_of_step = worker.in_hand.is_none();
                if source.is_about_sign_in() {
                    (worker.token, worker.out_of_step) = (None, true);
                }
                (Some(RETRY_SECONDS), Err(worker.error(source)))
            }
        };
        if let Some(seconds) = wait {
            self.queue.push(Reverse((later(now, seconds), index)));
        }
        result
    }

    /// Works until `shutdown` is ready: waits on the clock for each event and performs it. With a clock that jumps
    /// this runs as fast as the platform answers and never idles; step by hand to stop at a goal. Failed requests are
    /// logged and tried again.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        while let Some(next) = self.next_event() {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.floor.clock.wait_until(next) => {}
            }
            if let Err(error) = self.step().await {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::warn!(%error, %cause, "a simulated worker tries again later");
            }
        }
        shutdown.await;
    }

    /// The platform's id of every worker and what kind of worker it is; ids are empty before the start.
    pub fn workers(&self) -> impl Iterator<Item = (&str, Character)> {
        self.workers
            .iter()
            .map(|worker| (worker.id.as_str(), worker.mind.character))
    }

    /// What the crowd has done so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.floor.stats
    }
}

/// One simulated person.
#[derive(Debug)]
struct Worker {
    mind: Mind,
    login: String,
    /// The platform's id for it, known once it has signed in.
    id: String,
    sign_in: Value,
    token: Option<String>,
    /// Whether it must ask the platform which pages it has in work: at first, and when a reply was lost.
    out_of_step: bool,
    /// Pages in work that it found so.
    found: Vec<Assignment>,
    /// The page it is working on; without one it looks for work.
    in_hand: Option<Page>,
    /// How often in a row it found nothing to do.
    idle: u32,
}

/// A page in work, and what is going to happen to it.
#[derive(Debug, Clone)]
struct Page {
    assignment: Assignment,
    form: Form,
    questions: Vec<Question>,
    fate: Fate,
}

/// One task of a page as the worker sees it.
#[derive(Debug, Clone)]
struct Question {
    task: String,
    labels: Vec<String>,
    truth: usize,
    chosen: usize,
    /// Labels that hints have shown to be wrong.
    ruled_out: Vec<usize>,
}

impl Question {
    fn choose(&mut self, mind: &Mind) {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        self.chosen = mind.answer(&self.task, &labels, self.truth, &self.ruled_out);
    }
}

impl Worker {
    fn new(config: &Config, index: usize) -> Self {
        const COUNTRIES: [&str; 5] = ["DE", "US", "IN", "BR", "KE"];
        let login = format!("sim-{}-{index:03}", config.seed);
        let mut password = String::new();
        for byte in truth::digest(&["password", &login]) {
            // Writing to a string cannot fail.
            let _infallible = write!(password, "{byte:02x}");
        }
        let sign_in = json!({
            "login": &login,
            "password": password,
            "invite": &config.invite,
            "profile": {
                "languages": ["EN"],
                "country": COUNTRIES.get(index % COUNTRIES.len()),
                "client_type": "BROWSER",
                "adult_allowed": true,
            },
        });
        Self {
            mind: Mind::new(config.seed, index),
            login,
            id: String::new(),
            sign_in,
            token: None,
            out_of_step: true,
            found: Vec::new(),
            in_hand: None,
            idle: 0,
        }
    }

    /// Empty before it has signed in; the platform then asks it to.
    fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    fn error(&self, source: RequestError) -> Error {
        Error::Request {
            login: self.login.clone(),
            source,
        }
    }

    /// Seconds until it looks for work again, having found none.
    fn idle_seconds(&mut self) -> f64 {
        let (first, longest) = IDLE_SECONDS;
        let pause = (first * f64::from(self.idle.min(10)).exp2()).min(longest);
        self.idle += 1;
        pause * self.mind.seconds_between(0.8, 1.2)
    }

    /// Leaves a page behind: the seconds until it looks for the next one, none if it stops for good.
    fn leave_page(&mut self) -> Option<f64> {
        self.in_hand = None;
        self.mind.finish_page();
        (!self.mind.stops()).then(|| self.mind.seconds_between(2.0, 15.0))
    }
}

/// What all workers share: the platform, the images, the truth.
#[derive(Debug)]
struct Floor {
    api: Api,
    images: Images,
    truth: Truth,
    clock: Clock,
    stats: Stats,
}

impl Floor {
    /// One action of a worker; the seconds until its next one.
    async fn act(&mut self, worker: &mut Worker) -> Result<Option<f64>, RequestError> {
        if worker.out_of_step {
            self.report_in(worker).await?;
        }
        match worker.in_hand.clone() {
            None => self.visit(worker).await,
            Some(page) => self.finish(worker, page).await,
        }
    }

    /// Signs in, if it has to, and asks for the pages in work.
    async fn report_in(&self, worker: &mut Worker) -> Result<(), RequestError> {
        if worker.token.is_none() {
            let signed = self.api.sign_in(&worker.sign_in).await?;
            worker.token = Some(signed.token);
            worker.id = signed.worker_id;
        }
        let active = self
            .api
            .active(worker.token.as_deref().unwrap_or_default())
            .await?;
        let in_hand = worker
            .in_hand
            .as_ref()
            .map(|page| page.assignment.id.as_str());
        worker.found = active
            .into_iter()
            .filter(|assignment| Some(assignment.id.as_str()) != in_hand)
            .collect();
        worker.out_of_step = false;
        Ok(())
    }

    /// Looks at the pools on offer and takes a page.
    async fn visit(&mut self, worker: &mut Worker) -> Result<Option<f64>, RequestError> {
        let mut pools = self.api.pools(worker.token()).await?;
        if let Some(assignment) = worker.found.pop() {
            return self.go_on(worker, &pools, assignment).await;
        }
        order_by_liking(&mut pools, &mut worker.mind);
        for pool in &pools {
            let taken = match self.api.take(worker.token(), &pool.pool_id).await {
                Err(error) if error.is_refusal() => None,
                taken => taken?,
            };
            if let Some(assignment) = taken {
                let form = Form::of_task_spec(&pool.task_spec, &self.truth);
                return Ok(self.begin(worker, form, assignment).await);
            }
        }
        let banned = pools.is_empty() && self.api.is_banned(worker.token()).await?;
        Ok(Some(if banned {
            BANNED_SECONDS
        } else {
            worker.idle_seconds()
        }))
    }

    /// Goes on with a page that was in work before. Nobody can answer a page that is no longer shown: it is skipped.
    async fn go_on(
        &mut self,
        worker: &mut Worker,
        pools: &[Pool],
        assignment: Assignment,
    ) -> Result<Option<f64>, RequestError> {
        let offered = pools
            .iter()
            .find(|pool| pool.project_id == assignment.project_id);
        let task_spec = assignment
            .task_spec
            .as_ref()
            .or(offered.map(|pool| &pool.task_spec));
        if let Some(task_spec) = task_spec {
            let form = Form::of_task_spec(task_spec, &self.truth);
            return Ok(self.begin(worker, form, assignment).await);
        }
        give_back(&self.api, worker.token(), &assignment.id, "skip").await?;
        self.stats.skips += 1;
        Ok(worker.leave_page())
    }

    /// Opens a page and decides what becomes of it.
    async fn begin(
        &mut self,
        worker: &mut Worker,
        form: Form,
        assignment: Assignment,
    ) -> Option<f64> {
        worker.idle = 0;
        let seconds_left = self
            .clock
            .now()
            .duration_until(assignment.expires)
            .as_secs_f64();
        let mut fate = worker.mind.fate();
        let seconds = worker.mind.seconds_to_answer(assignment.tasks.len());
        if self.has_broken_image(&assignment).await {
            fate = Fate::Skip;
        }
        if fate == Fate::LetExpire {
            self.stats.left_to_expire += 1;
            return worker
                .leave_page()
                .map(|pause| seconds_left.max(0.0) + pause);
        }
        let questions = assignment
            .tasks
            .iter()
            .map(|task| self.read(&worker.mind, &form, &task.input_values))
            .collect();
        worker.in_hand = Some(Page {
            assignment,
            form,
            questions,
            fate,
        });
        // People see the countdown and hurry.
        let latest = (seconds_left * 0.9).max(0.0);
        let until_then = if fate == Fate::Submit {
            seconds
        } else {
            seconds / 4.0
        };
        Some(until_then.min(latest))
    }

    async fn has_broken_image(&mut self, assignment: &Assignment) -> bool {
        let mut broken = false;
        for task in &assignment.tasks {
            for status in self.images.open(&task.input_values).await {
                *self.stats.image_failures.entry(status).or_default() += 1;
                broken = true;
            }
        }
        broken
    }

    /// Reads one task and makes up the worker's mind about it.
    fn read(&self, mind: &Mind, form: &Form, input: &serde_json::Map<String, Value>) -> Question {
        let names: Vec<&str> = form
            .choices
            .iter()
            .map(|choice| choice.name.as_str())
            .collect();
        let true_label = self.truth.label(input, &names, form.open);
        let mut labels: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let truth = labels
            .iter()
            .position(|label| *label == true_label)
            .unwrap_or_else(|| {
                labels.push(true_label);
                labels.len() - 1
            });
        let mut question = Question {
            task: truth::essence(input),
            labels,
            truth,
            chosen: 0,
            ruled_out: Vec::new(),
        };
        question.choose(mind);
        question
    }

    /// Submits, skips or exits the page in hand.
    async fn finish(
        &mut self,
        worker: &mut Worker,
        page: Page,
    ) -> Result<Option<f64>, RequestError> {
        let id = &page.assignment.id;
        match page.fate {
            Fate::Submit => return self.submit(worker, page).await,
            Fate::Skip | Fate::LetExpire => {
                give_back(&self.api, worker.token(), id, "skip").await?;
                self.stats.skips += 1;
            }
            Fate::Exit => {
                give_back(&self.api, worker.token(), id, "exit").await?;
                self.stats.exits += 1;
            }
        }
        Ok(worker.leave_page())
    }

    async fn submit(
        &mut self,
        worker: &mut Worker,
        mut page: Page,
    ) -> Result<Option<f64>, RequestError> {
        let answer = |question: &Question| {
            page.form.output_values(
                question
                    .labels
                    .get(question.chosen)
                    .map_or("", String::as_str),
            )
        };
        let answers = page.questions.iter().map(answer).collect();
        let reply = match self
            .api
            .submit(worker.token(), &page.assignment.id, answers)
            .await
        {
            Err(error) if error.is_refusal() => {
                self.note_refusal(&error);
                give_back(&self.api, worker.token(), &page.assignment.id, "skip").await?;
                return Ok(worker.leave_page());
            }
            reply => reply?,
        };
        if reply.status != "ACTIVE" {
            self.count(worker.mind.character, &page);
            return Ok(worker.leave_page());
        }
        self.stats.hints += u64::try_from(reply.hints.len()).unwrap_or(0);
        if !learn(&worker.mind, &mut page, &reply.hints) {
            // Nothing left to try.
            page.fate = Fate::Skip;
        }
        worker.in_hand = Some(page);
        Ok(Some(reply.hints.iter().fold(1.0, |sum, _| {
            sum + worker.mind.seconds_between(2.0, 6.0)
        })))
    }

    fn note_refusal(&mut self, error: &RequestError) {
        if matches!(error, RequestError::Refused { status: 409, .. }) {
            self.stats.too_late += 1;
        } else {
            tracing::warn!(%error, "the platform refused a simulated worker's answers");
            self.stats.refused += 1;
        }
    }

    fn count(&mut self, character: Character, page: &Page) {
        let as_u64 = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let answers = as_u64(page.questions.len());
        self.stats.pages += 1;
        self.stats.answers += answers;
        if !page.assignment.training {
            let right = page
                .questions
                .iter()
                .filter(|question| question.chosen == question.truth)
                .count();
            let of_character = self.stats.characters.entry(character).or_default();
            of_character.answers += answers;
            of_character.correct += as_u64(right);
        }
    }
}

/// Corrects the answers that hints call wrong; whether there was something to correct them to.
fn learn(mind: &Mind, page: &mut Page, hints: &[Hint]) -> bool {
    for hint in hints {
        let Some(question) = page.questions.get_mut(hint.task_index) else {
            continue;
        };
        question.ruled_out.push(question.chosen);
        if question.ruled_out.len() >= question.labels.len() {
            return false;
        }
        match character::named_in_hint(&hint.message, &page.form.choices) {
            Some(label) if !question.ruled_out.contains(&label) => question.chosen = label,
            _ => question.choose(mind),
        }
    }
    !hints.is_empty()
}

/// Paid work before unpaid, the better paid first, trainings last: people train when nothing else is on offer.
/// Between equals each worker chooses for itself.
fn order_by_liking(pools: &mut [Pool], mind: &mut Mind) {
    pools.sort_by(|a, b| {
        a.training
            .cmp(&b.training)
            .then(b.reward.total_cmp(&a.reward))
    });
    let alike = |other: &&Pool| {
        pools.first().is_some_and(|best| {
            other.training == best.training && other.reward.total_cmp(&best.reward).is_eq()
        })
    };
    let count = pools.iter().take_while(alike).count();
    pools
        .get_mut(..count)
        .unwrap_or_default()
        .rotate_left(mind.any_of(count));
}

/// Gives a page back. A platform that refuses no longer counts it as in work, which is as good.
async fn give_back(api: &Api, token: &str, id: &str, way: &str) -> Result<(), RequestError> {
    match api.give_back(token, id, way).await {
        Err(error) if error.is_refusal() => Ok(()),
        done => done,
    }
}

/// Some seconds after `time`, in whole milliseconds as the API writes them.
fn later(time: Timestamp, seconds: f64) -> Timestamp {
    let seconds = (seconds * 1000.0).round() / 1000.0;
    let wait = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
