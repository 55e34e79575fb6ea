//! A pool: its tasks, who is given which of them, and when it closes.

use std::time::Duration;

use quorate_core::ids::ImageId;
use quorate_core::ports::{NewTask, PoolSpec};
use quorate_core::state::Kind;
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

/// How long a pool may stay open.
const LIFETIME: Duration = Duration::from_secs(180 * 86_400);

/// Why a pool is closed that somebody closed.
pub(super) const MANUAL: &str = "MANUAL";
/// Why a pool is closed whose settings change.
pub(super) const FOR_UPDATE: &str = "FOR_UPDATE";
/// After which it opens by itself.
const UPDATE: Duration = Duration::from_secs(900);

/// A task at the crowd.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its id; ids grow in the order in which tasks are made.
    pub id: String,
    /// The image that it carries.
    pub image: ImageId,
    /// The known answer of a control task: it is shown to every worker, however many they are.
    pub known: Option<String>,
    /// What a training says to a wrong answer.
    pub hint: Option<String>,
    /// Answers to it.
    pub done: u32,
    /// Answers, and pages in hand that will bring one.
    pub issued: u32,
    /// The workers who ever had it.
    given: Vec<usize>,
}

/// Where a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// In a worker's hand.
    Active,
    /// Sent in and paid.
    Accepted,
    /// Given back.
    Skipped,
    /// Its time was over.
    Expired,
}

impl PageState {
    /// As Toloka writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Accepted => "ACCEPTED",
            Self::Skipped => "SKIPPED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// A page of tasks that a worker took: Toloka's assignment.
#[derive(Clone, Debug)]
pub struct WorkerPage {
    /// Its id; ids grow in the order in which pages are taken.
    pub id: String,
    /// The worker's number.
    pub worker: usize,
    /// Where it stands.
    pub state: PageState,
    /// Positions of its tasks among the pool's.
    pub tasks: Vec<usize>,
    /// The answers, in the order of the tasks; none before it is sent in.
    pub labels: Vec<String>,
    /// When it was taken.
    pub created: Timestamp,
    /// When it was sent in.
    pub submitted: Option<Timestamp>,
    deadline: Timestamp,
}

/// How pages of a pool are made and paid.
#[derive(Clone, Debug)]
struct Recipe {
    /// Images on a full page.
    images: usize,
    /// The least images on a page.
    least: usize,
    /// Control tasks on a page.
    controls: usize,
    /// No page with fewer control tasks.
    least_controls: usize,
    /// Answers that an image gets.
    overlap: u32,
    /// Time for a page.
    time: Duration,
}

/// A pool or a training.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project: String,
    /// What it is.
    pub kind: Kind,
    /// What it was created under.
    pub marker: String,
    /// Workers are given its tasks.
    pub open: bool,
    /// It was put away: it does not open any more.
    pub archived: bool,
    /// Why it closed last.
    pub close_reason: Option<&'static str>,
    /// When it closed last.
    pub last_stopped: Option<Timestamp>,
    /// Paid for a page, without fee.
    pub reward: Decimal,
    /// All tasks, in the order in which they were made.
    pub tasks: Vec<Task>,
    /// All pages, in the order in which they were taken.
    pub pages: Vec<WorkerPage>,
    pub(super) created: Timestamp,
    /// The answers that its tasks allow.
    pub(super) labels: Vec<String>,
    /// The field that holds the label.
    pub(super) answer_field: String,
    /// The fields that a task must have.
    fields: Vec<String>,
    recipe: Recipe,
    /// Positions of the pages in hand.
    active: Vec<usize>,
    accepted: u64,
    /// When it opens by itself, after it was closed for an update.
    reopens: Option<Timestamp>,
    expires: Timestamp,
}

impl Pool {
    pub(super) fn new(id: String, spec: &PoolSpec<'_>, now: Timestamp) -> Self {
        let campaign = spec.campaign;
        let work = spec.kind == Kind::Real;
        let controls = match spec.kind {
            Kind::Real if spec.golden => campaign.golden.per_page as usize,
            Kind::Real => 0,
            Kind::Training => campaign.training.tasks_per_page as usize,
            Kind::Exam | Kind::Golden => campaign.exam.tasks_per_page as usize,
        };
        let controls = if work {
            controls
        } else {
            controls.clamp(1, spec.tasks.max(1))
        };
        let fields = match campaign.fields.as_slice() {
            [] => vec!["image".to_owned()],
            fields => fields.to_vec(),
        };
        Self {
            id,
            project: spec.project.to_owned(),
            kind: spec.kind,
            marker: spec.marker.clone(),
            open: false,
            archived: false,
            close_reason: None,
            last_stopped: None,
            reward: if work {
                campaign.reward_per_page
            } else {
                Decimal::ZERO
            },
            tasks: Vec::new(),
            pages: Vec::new(),
            created: now,
            labels: campaign.labels.clone(),
            answer_field: campaign.answer_field.clone(),
            fields,
            recipe: Recipe {
                images: if work {
                    campaign.images_per_page as usize
                } else {
                    0
                },
                // Without a budget what is left makes a page, as `force_last_assignment` has it.
                least: if work && campaign.budget.is_some() {
                    campaign.images_per_page as usize
                } else {
                    1
                },
                controls,
                // A worker who has seen every control task goes on without; an exam and a training
                // have nothing else.
                least_controls: if work { 0 } else { controls },
                overlap: campaign.overlap,
                time: Duration::from_secs(campaign.seconds_per_page.into()),
            },
            active: Vec::new(),
            accepted: 0,
            reopens: None,
            expires: spec.now.plus(LIFETIME),
        }
    }

    /// From now on no page has fewer images.
    pub fn set_least_images(&mut self, least: usize) {
        self.recipe.least = least.min(self.recipe.images);
    }

    /// The least images on a page.
    #[must_use]
    pub fn least_images(&self) -> usize {
        self.recipe.least
    }

    /// Why a task cannot be made, if so.
    pub(super) fn refuses(&self, task: &NewTask) -> Option<String> {
        let missing = self
            .fields
            .iter()
            .find(|field| !task.input.contains_key(*field));
        missing.map(|field| format!("input_values.{field}: VALUE_REQUIRED"))
    }

    /// Makes a task.
    pub(super) fn add(&mut self, id: String, task: NewTask) {
        self.tasks.push(Task {
            id,
            image: task.image,
            known: task.known,
            hint: task.hint,
            done: 0,
            issued: 0,
            given: Vec::new(),
        });
    }

    /// Paid for pages so far, without fee.
    #[must_use]
    pub fn paid(&self) -> Decimal {
        self.reward * Decimal::from(self.accepted)
    }

    /// What the pages in hand will cost if all are sent in, without fee.
    #[must_use]
    pub fn held(&self) -> Decimal {
        self.reward * Decimal::from(self.active.len())
    }

    /// The pages in hand, in the order in which they were taken.
    pub fn active(&self) -> impl Iterator<Item = &WorkerPage> {
        self.active.iter().map(|page| &self.pages[*page])
    }

    /// What the answers that are still missing cost on full pages, without fee.
    pub(super) fn worst_cost(&self) -> Decimal {
        let missing = self
            .tasks
            .iter()
            .filter(|task| task.known.is_none())
            .map(|task| self.recipe.overlap.saturating_sub(task.issued) as usize);
        let pages = missing.sum::<usize>().div_ceil(self.recipe.images.max(1));
        self.reward * Decimal::from(pages)
    }

    pub(super) fn open(&mut self, now: Timestamp) {
        self.open = true;
        self.reopens = None;
        self.settle(now);
    }

    pub(super) fn archive(&mut self) {
        self.archived = true;
        self.reopens = None;
    }

    /// Closes it if it is open. What is closed by hand stays closed.
    pub(super) fn close(&mut self, reason: &'static str, at: Timestamp) {
        if self.open {
            self.open = false;
            self.close_reason = Some(reason);
            self.last_stopped = Some(at);
            self.reopens = (reason == FOR_UPDATE).then(|| at.plus(UPDATE));
        } else if reason == MANUAL {
            self.reopens = None;
        }
    }

    /// Does what was due by now: pages expire, and the pool.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        let late = |page: &usize| self.pages[*page].deadline <= now;
        let late: Vec<usize> = self.active.iter().copied().filter(late).collect();
        for page in late {
            self.give_back(page, PageState::Expired, now);
        }
        if self.expires <= now {
            self.close("EXPIRED", self.expires);
        }
        if let Some(at) = self.reopens.filter(|at| *at <= now) {
            self.open(at);
        }
    }

    /// Closes an open pool in which nothing is left to do: every image has its answers, so no page is
    /// in hand either. A pool of control tasks alone is never complete.
    fn settle(&mut self, now: Timestamp) {
        let mut images = self
            .tasks
            .iter()
            .filter(|task| task.known.is_none())
            .peekable();
        if images.peek().is_some() && images.all(|task| task.done >= self.recipe.overlap) {
            self.close("COMPLETED", now);
        }
    }

    /// The tasks of the worker's next page: never one that the worker had, those with the fewest
    /// answers first. None if they do not make a page.
    pub(super) fn next_page(&self, worker: usize) -> Option<Vec<usize>> {
        let recipe = &self.recipe;
        let images = self.candidates(worker, false, recipe.images);
        let controls = self.candidates(worker, true, recipe.controls);
        // A page that should have images is never made of control tasks alone.
        let enough = (recipe.images == 0 || images.len() >= recipe.least.max(1))
            && controls.len() >= recipe.least_controls;
        let page = [images, controls].concat();
        (self.open && enough && !page.is_empty()).then_some(page)
    }

    fn candidates(&self, worker: usize, control: bool, most: usize) -> Vec<usize> {
        let wanted = |task: &Task| {
            task.known.is_some() == control
                && (control || task.issued < self.recipe.overlap)
                && !task.given.contains(&worker)
        };
        let mut found: Vec<usize> = (0..self.tasks.len())
            .filter(|position| wanted(&self.tasks[*position]))
            .collect();
        // By image, so that it does not matter in which order the tasks were made.
        found.sort_by_key(|position| (self.tasks[*position].issued, self.tasks[*position].image));
        found.truncate(most);
        found
    }

    pub(super) fn hand_out(
        &mut self,
        id: String,
        worker: usize,
        tasks: Vec<usize>,
        now: Timestamp,
    ) {
        for task in &tasks {
            let task = &mut self.tasks[*task];
            task.issued += 1;
            task.given.push(worker);
        }
        self.active.push(self.pages.len());
        self.pages.push(WorkerPage {
            id,
            worker,
            state: PageState::Active,
            tasks,
            labels: Vec::new(),
            created: now,
            submitted: None,
            deadline: now.plus(self.recipe.time),
        });
    }

    /// The position of a page in hand.
    pub(super) fn find_active(&self, id: &str) -> Option<usize> {
        let mut active = self.active.iter().copied();
        active.find(|page| self.pages[*page].id == id)
    }

    /// Takes the answers of a page in hand and pays for it. A training whose answers are wrong
    /// shows its hints instead, and the page stays in hand.
    pub(super) fn submit(
        &mut self,
        page: usize,
        labels: Vec<String>,
        now: Timestamp,
    ) -> Vec<String> {
        let tasks = self.pages[page].tasks.clone();
        let wrong = tasks.iter().zip(&labels).filter_map(|(task, label)| {
            let task = &self.tasks[*task];
            let wrong = task.known.as_ref() != Some(label);
            task.hint.clone().filter(|_| wrong)
        });
        let hints: Vec<String> = wrong.collect();
        if !hints.is_empty() {
            return hints;
        }
        for task in tasks {
            self.tasks[task].done += 1;
        }
        let sent = &mut self.pages[page];
        sent.state = PageState::Accepted;
        sent.labels = labels;
        sent.submitted = Some(now);
        self.accepted += 1;
        self.active.retain(|active| *active != page);
        self.settle(now);
        hints
    }

    /// Ends a page in hand without answers: others may answer its tasks. Its worker does not get
    /// them again, but for those of a training whose time was over.
    pub(super) fn give_back(&mut self, page: usize, state: PageState, now: Timestamp) {
        self.pages[page].state = state;
        let again = self.kind == Kind::Training && state == PageState::Expired;
        let WorkerPage { worker, tasks, .. } = &self.pages[page];
        for task in tasks {
            let task = &mut self.tasks[*task];
            task.issued -= 1;
            if again {
                task.given.retain(|given| given != worker);
            }
        }
        self.active.retain(|active| *active != page);
        self.settle(now);
    }
}
