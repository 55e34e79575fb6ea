//! The conformance suite of [`Crowd`].
//!
//! [`crowd_checks!`](crate::crowd_checks) makes a test of every check. A crowd has two sides, and
//! the port is one of them: what workers do, and what passes by itself, a check asks for through
//! [`Workers`].

mod pages;
mod pools;
mod tasks;

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::campaign::{self, Campaign};
use quorate_core::ids::{BatchId, ImageId, OperationId};
use quorate_core::ports::{
    Assignment, Crowd, NewTask, OperationStatus, PoolOpened, PoolSpec, PoolStatus, PortError,
    Submitted,
};
use quorate_core::state::{Kind, Outcome};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use crate::eventually;
pub use crate::sim::crowd::Scope;
pub use pages::*;
pub use pools::*;
pub use tasks::*;

/// Makes a test of each check of the suite, by its name. `$run` takes each as an
/// `AsyncFnOnce(&Workers)`: it makes a crowd and an async runtime and awaits the check. See
/// [`ledger_checks!`](crate::ledger_checks) for an example.
#[macro_export]
macro_rules! crowd_checks {
    ($(#[$attribute:meta])* $run:ident) => {
        $crate::checks!(
            $crate::crowd, [$(#[$attribute])*], $run,
            what_is_made_is_found_by_its_marker
            nothing_is_made_only_once_for_its_marker
            a_pool_is_closed_until_it_is_opened_with_tasks
            a_pool_that_is_closed_by_hand_says_so_and_opens_again
            a_pool_closed_for_an_update_opens_by_itself
            an_archived_pool_stays_closed
            the_least_images_on_a_page_are_kept_to
            a_campaign_with_a_budget_begins_with_full_pages
            a_pool_is_complete_when_its_work_is_done
            new_tasks_leave_a_closed_pool_closed
            control_tasks_alone_are_never_complete
            a_pool_opens_only_if_the_account_covers_it
            a_pool_closes_when_the_account_is_empty
            an_operation_makes_its_tasks_once
            operations_are_told_apart
            a_task_that_cannot_be_made_keeps_no_other_from_it
            tasks_are_listed_whole_and_in_order
            nobody_gets_a_task_twice
            pages_are_full_while_there_are_images
            control_tasks_serve_the_images
            answers_come_back_as_they_were_given
            a_training_shows_its_hint
            pages_are_listed_by_status_and_in_order
            what_was_given_back_goes_to_others
            what_is_sent_in_is_paid
            a_page_in_hand_outlives_the_closing
            bans_are_told_where_they_concern
        );
    };
}

/// Dollars in the account of a crowd that checks run against.
pub const BALANCE: Decimal = Decimal::ONE_THOUSAND;

/// How long a pool may be closed for an update.
const UPDATE_TIME: Duration = Duration::from_secs(900);
/// Longer than a worker may hold a page.
const PAGE_TIME: Duration = Duration::from_secs(601);

/// A page that a worker holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The crowd's id of it.
    pub id: String,
    /// The number of its worker.
    pub worker: usize,
    /// How many tasks are on it.
    pub tasks: usize,
}

/// A crowd with both its sides. Workers go by numbers; those below ten are there.
///
/// The account has [`BALANCE`] dollars and pays no fee.
pub trait Workers: Sync {
    /// The requester's side.
    type Crowd: Crowd;
    /// The requester's side.
    fn crowd(&self) -> &Self::Crowd;
    /// Now, at the crowd.
    fn now(&self) -> Timestamp;
    /// Lets time pass at the crowd.
    fn pass(&self, time: Duration);
    /// Lets the crowd finish the operations that it has taken, if that needs doing.
    fn finish_operations(&self);
    /// Gives a worker the next page of a pool; none if there is none for this worker.
    fn take(&self, pool: &str, worker: usize) -> impl Future<Output = Option<Held>> + Send;
    /// Sends a page in with one label for each of its tasks, in their order. The hints of training
    /// tasks whose answers are wrong; then the page is still in hand.
    fn submit(&self, page: &Held, labels: &[&str]) -> impl Future<Output = Vec<String>> + Send;
    /// Gives a page back unanswered.
    fn skip(&self, page: &Held) -> impl Future<Output = ()> + Send;
    /// Bans a worker; the crowd's id of the worker.
    fn ban(
        &self,
        worker: usize,
        scope: &Scope,
        reason: &str,
    ) -> impl Future<Output = String> + Send;
}

/// A crowd, and a name under which a check has campaigns there to itself.
#[derive(Debug)]
pub struct Case<'a, W> {
    /// The crowd and its workers.
    pub workers: &'a W,
    /// The name.
    pub name: &'static str,
    campaign: Campaign,
}

/// A campaign of two labels and pages of two images, whose rules ban nobody. It gets no budget, so
/// that a page may have less.
const CAMPAIGN: &str = r#"
question = "Cat or dog?"
labels = ["cat", "dog"]
overlap = 2
images_per_page = 2
reward_per_page = 0.05
minutes_per_page = 10
budget = 1000
[golden]
per_page = 1
min_accuracy = 0
[exam]
tasks_per_page = 2
[training]
tasks_per_page = 2
[quality]
min_seconds_per_page = 0
max_skips_in_row = 0
"#;

/// What a pool of a check is like.
struct Shape<'a> {
    kind: Kind,
    golden: bool,
    project: &'a str,
    exam_skill: Option<&'a str>,
}

impl<'a, W: Workers> Case<'a, W> {
    /// A case whose markers contain `name`.
    #[must_use]
    pub fn new(workers: &'a W, name: &'static str) -> Self {
        let campaign = campaign::of_files([Some(CAMPAIGN), None, None, None], Decimal::ZERO);
        Self {
            workers,
            name,
            campaign: campaign.unwrap(),
        }
        .with(|campaign| campaign.budget = None)
    }

    /// The same with another campaign.
    fn with(&self, change: impl FnOnce(&mut Campaign)) -> Self {
        let mut campaign = self.campaign.clone();
        change(&mut campaign);
        Self {
            workers: self.workers,
            name: self.name,
            campaign,
        }
    }

    /// The same with pages that pay so much.
    fn paying(&self, reward: Decimal) -> Self {
        self.with(|campaign| campaign.reward_per_page = reward)
    }

    fn crowd(&self) -> &'a W::Crowd {
        self.workers.crowd()
    }

    fn marker(&self, what: &str) -> String {
        format!("{} {what}", self.name)
    }

    async fn project(&self) -> String {
        let marker = self.marker("project");
        let made = self.crowd().create_project(&self.campaign, &marker).await;
        made.unwrap()
    }

    async fn pool_of(&self, shape: &Shape<'_>, marker: &str) -> String {
        let spec = PoolSpec {
            campaign: &self.campaign,
            marker: self.marker(marker),
            project: shape.project,
            kind: shape.kind,
            golden: shape.golden,
            exam_skill: shape.exam_skill,
            quality_skill: None,
            training: None,
            tasks: 2,
            now: self.workers.now(),
        };
        self.crowd().create_pool(&spec).await.unwrap()
    }

    /// A pool for work in a project of its own, with control tasks or without.
    async fn pool(&self, golden: bool) -> String {
        let shape = Shape {
            kind: Kind::Real,
            golden,
            project: &self.project().await,
            exam_skill: None,
        };
        self.pool_of(&shape, "pool").await
    }

    /// An open pool with so many images.
    async fn open_pool(&self, images: u64) -> String {
        let pool = self.pool(false).await;
        self.add(&pool, 0, self.images(0..images)).await;
        self.open(&pool).await;
        pool
    }

    async fn open(&self, pool: &str) {
        let opened = self.crowd().open_pool(pool).await;
        assert_eq!(opened, Ok(PoolOpened::Opened));
    }

    fn image(&self, number: u64) -> ImageId {
        ImageId::of_row(self.name, "k", "v", number)
    }

    fn task(&self, number: u64) -> NewTask {
        let link = format!("https://example.com/{number}.png");
        NewTask {
            image: self.image(number),
            input: BTreeMap::from([("image".to_owned(), link)]),
            known: None,
            hint: None,
        }
    }

    fn images(&self, numbers: std::ops::Range<u64>) -> Vec<NewTask> {
        numbers.map(|number| self.task(number)).collect()
    }

    fn control(&self, number: u64, known: &str, hint: Option<&str>) -> NewTask {
        NewTask {
            known: Some(known.to_owned()),
            hint: hint.map(str::to_owned),
            ..self.task(number)
        }
    }

    fn operation(&self, number: u64) -> OperationId {
        BatchId::of(&format!("{} {number}", self.name), []).operation()
    }

    async fn submit(&self, pool: &str, operation: u64, tasks: &[NewTask]) -> Submitted {
        let operation = self.operation(operation);
        let field = &self.campaign.answer_field;
        let sent = self.crowd().submit(pool, field, operation, tasks).await;
        sent.unwrap()
    }

    async fn status(&self, operation: u64) -> OperationStatus {
        let status = self.crowd().operation(self.operation(operation)).await;
        status.unwrap()
    }

    /// The log of an operation when it is finished.
    async fn log(&self, operation: u64) -> BTreeMap<ImageId, Outcome> {
        self.workers.finish_operations();
        let status = async || self.status(operation).await;
        eventually(OperationStatus::Finished, status).await;
        let log = self.crowd().operation_log(self.operation(operation)).await;
        log.unwrap()
    }

    /// Puts tasks into a pool; what became of them.
    async fn add(
        &self,
        pool: &str,
        operation: u64,
        tasks: Vec<NewTask>,
    ) -> BTreeMap<ImageId, Outcome> {
        let sent = self.submit(pool, operation, &tasks).await;
        assert_eq!(sent, Submitted::Accepted);
        self.log(operation).await
    }

    /// A pool's tasks, page by page.
    async fn tasks(&self, pool: &str) -> Vec<(ImageId, String)> {
        let (mut tasks, mut after) = (Vec::new(), None);
        loop {
            let page = self.crowd().tasks(pool, after.as_deref()).await.unwrap();
            assert!(page.items.len() <= 1000);
            tasks.extend(page.items);
            after = page.next;
            if after.is_none() {
                return tasks;
            }
        }
    }

    /// A pool's pages of these statuses.
    async fn pages(&self, pool: &str, statuses: &[&str]) -> Vec<Assignment> {
        let field = &self.campaign.answer_field;
        let page = self.crowd().assignments(pool, field, statuses, None).await;
        page.unwrap().items
    }

    async fn pool_status(&self, pool: &str) -> PoolStatus {
        self.crowd().pool(pool).await.unwrap()
    }

    /// Whether the pool is open, and why it closed last.
    async fn openness(&self, pool: &str) -> (bool, Option<String>) {
        let status = self.pool_status(pool).await;
        (status.open, status.close_reason)
    }

    async fn spent(&self, pool: &str) -> Decimal {
        self.crowd().spent(pool).await.unwrap()
    }

    async fn take(&self, pool: &str, worker: usize) -> Held {
        self.workers.take(pool, worker).await.unwrap()
    }

    /// Takes a page and answers `cat` to all of it.
    async fn work(&self, pool: &str, worker: usize) {
        let page = self.take(pool, worker).await;
        self.send_in(&page).await;
    }

    async fn send_in(&self, page: &Held) {
        let hints = self.workers.submit(page, &vec!["cat"; page.tasks]).await;
        assert_eq!(hints, Vec::<String>::new());
    }
}

fn complete() -> (bool, Option<String>) {
    (false, Some("COMPLETED".to_owned()))
}

fn by_hand() -> (bool, Option<String>) {
    (false, Some("MANUAL".to_owned()))
}
