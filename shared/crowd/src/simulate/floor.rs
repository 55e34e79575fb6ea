//! The workers on the platform's floor: what each does next, and how it goes.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::api::{Api, Assignment, Error, Hint, Pool, Submitted};
use super::character::{self, Character, Fate, Mind};
use super::form::Form;
use super::images::Images;
use super::truth::{self, Truth};
use super::{Config, Stats};
use crate::clock::Clock;

/// First and longest pause of a worker that finds nothing to do; it doubles from one to the other.
const IDLE_SECONDS: (f64, f64) = (20.0, 180.0);
/// Pause of a worker that is banned from everything.
const BANNED_SECONDS: f64 = 3600.0;

/// One simulated person.
pub(super) struct Worker {
    pub(super) mind: Mind,
    login: String,
    /// The platform's id for it, known once it has signed in.
    pub(super) id: String,
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
    pub(super) fn new(config: &Config, index: usize) -> Self {
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

    /// Starts over, as after a restart.
    pub(super) fn forget(&mut self) {
        (self.in_hand, self.token, self.out_of_step) = (None, None, true);
    }

    /// A reply may be lost after the platform acted on the request: what has it in work now? A page in hand is simply
    /// handed in again.
    pub(super) fn note_failure(&mut self, error: &Error) {
        self.out_of_step = self.in_hand.is_none();
        if error.is_about_sign_in() {
            (self.token, self.out_of_step) = (None, true);
        }
    }

    pub(super) fn error(&self, source: Error) -> super::Error {
        super::Error::Request {
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
pub(super) struct Floor {
    pub(super) api: Api,
    pub(super) images: Images,
    pub(super) truth: Truth,
    pub(super) clock: Clock,
    pub(super) stats: Stats,
}

impl Floor {
    /// One action of a worker; the seconds until its next one.
    pub(super) async fn act(&mut self, worker: &mut Worker) -> Result<Option<f64>, Error> {
        if worker.out_of_step {
            self.report_in(worker).await?;
        }
        match worker.in_hand.clone() {
            None => self.visit(worker).await,
            Some(page) => self.finish(worker, page).await,
        }
    }

    /// Signs in, if it has to, and asks for the pages in work.
    pub(super) async fn report_in(&self, worker: &mut Worker) -> Result<(), Error> {
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
    async fn visit(&mut self, worker: &mut Worker) -> Result<Option<f64>, Error> {
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
    ) -> Result<Option<f64>, Error> {
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
    fn read(&self, mind: &Mind, form: &Form, input: &Map<String, Value>) -> Question {
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
    async fn finish(&mut self, worker: &mut Worker, page: Page) -> Result<Option<f64>, Error> {
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

    async fn submit(&mut self, worker: &mut Worker, mut page: Page) -> Result<Option<f64>, Error> {
        let answer = |question: &Question| {
            page.form.output_values(
                question
                    .labels
                    .get(question.chosen)
                    .map_or("", String::as_str),
            )
        };
        let answers = page.questions.iter().map(answer).collect();
        let reply = match self.send_in(worker, &page, answers).await {
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

    /// Submits answers, with a file where the project asks for one.
    async fn send_in(
        &self,
        worker: &Worker,
        page: &Page,
        mut answers: Vec<Value>,
    ) -> Result<Submitted, Error> {
        let id = &page.assignment.id;
        if page.form.wants_file() {
            let file = self.api.upload(worker.token(), id).await?;
            for answer in &mut answers {
                page.form.put_file(answer, &file);
            }
        }
        self.api.submit(worker.token(), id, answers).await
    }

    fn note_refusal(&mut self, error: &Error) {
        if matches!(error, Error::Refused { status: 409, .. }) {
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
async fn give_back(api: &Api, token: &str, id: &str, way: &str) -> Result<(), Error> {
    match api.give_back(token, id, way).await {
        Err(error) if error.is_refusal() => Ok(()),
        done => done,
    }
}
