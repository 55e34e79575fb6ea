//! Tasks and task suites.

use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Client, TaskQuery, query::Pairs, transport::Request};
use crate::{
    Error, limits,
    types::{
        BatchCreated, Operation, OverlapPatch, Page, Task, TaskPatch, TaskSuite, TaskSuitePatch,
    },
};

/// How several objects are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    /// Names this creation for ever; the id of the operation. Sending the same one again does
    /// nothing and answers [`Error::OperationAlreadyExists`]. Derive it from what is created.
    pub operation_id: Uuid,
    /// Whether the good items are created when others are refused; else one bad item refuses all.
    pub skip_invalid_items: bool,
    /// Whether tasks without an overlap take the pool's default; else they are refused.
    pub allow_defaults: bool,
    /// Whether the pool is opened afterwards.
    pub open_pool: bool,
}

impl CreateOptions {
    /// A creation with this identity, everything else off.
    #[must_use]
    pub fn new(operation_id: Uuid) -> Self {
        Self {
            operation_id,
            skip_invalid_items: false,
            allow_defaults: false,
            open_pool: false,
        }
    }

    /// Only what is on is sent, since off is the platform's default.
    fn pairs(&self, async_mode: bool) -> Pairs {
        let on = |switch: bool| switch.then_some(true);
        Pairs::default()
            .add("operation_id", self.operation_id)
            .add("async_mode", async_mode)
            .add_some("skip_invalid_items", on(self.skip_invalid_items))
            .add_some("allow_defaults", on(self.allow_defaults))
            .add_some("open_pool", on(self.open_pool))
    }
}

impl Client {
    /// Creates a task, asynchronously, like [`Client::create_tasks`].
    ///
    /// # Errors
    /// Like [`Client::create_tasks`].
    pub async fn create_task(
        &self,
        task: &Task,
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("tasks", task, options, true).await
    }

    /// Creates a task and waits for it in one request. Safe to repeat.
    ///
    /// # Errors
    /// Like [`Client::create_tasks`]; [`Error::Validation`] names the refused fields.
    pub async fn create_task_now(
        &self,
        task: &Task,
        options: &CreateOptions,
    ) -> Result<Task, Error> {
        self.create("tasks", task, options, false).await
    }

    /// Creates tasks, asynchronously: wait for the operation, then read its log for the outcome of
    /// each task. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::OperationAlreadyExists`] when the `operation_id` was used before: read that
    /// operation. [`Error::Conflict`] with
    /// [`MIXER_CONFIG_REQUIRED`](crate::codes::MIXER_CONFIG_REQUIRED) for a pool of task suites.
    pub async fn create_tasks(
        &self,
        tasks: &[Task],
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("tasks", tasks, options, true).await
    }

    /// Creates up to 5,000 tasks and waits for them in one request. Safe to repeat, but after a
    /// lost answer only the operation's log tells what was made.
    ///
    /// # Errors
    /// Like [`Client::create_tasks`].
    pub async fn create_tasks_now(
        &self,
        tasks: &[Task],
        options: &CreateOptions,
    ) -> Result<BatchCreated<Task>, Error> {
        self.create("tasks", tasks, options, false).await
    }

    /// Reads a task.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_task(&self, task_id: &str) -> Result<Task, Error> {
        self.send(Request::get(["v1", "tasks", task_id]))
            .await?
            .json()
    }

    /// One page of tasks.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_tasks(&self, query: &TaskQuery) -> Result<Page<Task>, Error> {
        self.find("tasks", query).await
    }

    /// All tasks that match, page by page, by id.
    pub fn tasks(
        &self,
        query: TaskQuery,
    ) -> impl Stream<Item = Result<Task, Error>> + Send + use<> {
        self.stream("tasks", limits::WORK_PAGE, query, |item: &Task| &item.id)
    }

    /// Changes a task; `open_pool` opens its pool afterwards.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn patch_task(
        &self,
        task_id: &str,
        patch: &TaskPatch,
        open_pool: bool,
    ) -> Result<Task, Error> {
        let request = Request::patch(["v1", "tasks", task_id]).query(open_pool_pair(open_pool));
        self.send(request.json(patch)?).await?.json()
    }

    /// Changes the overlap of a task, but not below what was given out already; 0 stops it.
    /// Safe to repeat.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such task.
    pub async fn set_task_overlap_or_min(
        &self,
        task_id: &str,
        patch: &OverlapPatch,
    ) -> Result<Task, Error> {
        let request = Request::patch(["v1", "tasks", task_id, "set-overlap-or-min"]).repeatable();
        self.send(request.json(patch)?).await?.json()
    }

    /// Creates a task suite, asynchronously, like [`Client::create_task_suites`].
    ///
    /// # Errors
    /// Like [`Client::create_task_suites`].
    pub async fn create_task_suite(
        &self,
        task_suite: &TaskSuite,
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("task-suites", task_suite, options, true).await
    }

    /// Creates a task suite and waits for it in one request. Safe to repeat.
    ///
    /// # Errors
    /// Like [`Client::create_task_suites`]; [`Error::Validation`] names the refused fields.
    pub async fn create_task_suite_now(
        &self,
        task_suite: &TaskSuite,
        options: &CreateOptions,
    ) -> Result<TaskSuite, Error> {
        self.create("task-suites", task_suite, options, false).await
    }

    /// Creates task suites, asynchronously, like [`Client::create_tasks`].
    ///
    /// # Errors
    /// [`Error::OperationAlreadyExists`] when the `operation_id` was used before: read that
    /// operation.
    pub async fn create_task_suites(
        &self,
        suites: &[TaskSuite],
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("task-suites", suites, options, true).await
    }

    /// Creates task suites and waits for them in one request. Safe to repeat, but after a lost
    /// answer only the operation's log tells what was made.
    ///
    /// # Errors
    /// Like [`Client::create_task_suites`].
    pub async fn create_task_suites_now(
        &self,
        suites: &[TaskSuite],
        options: &CreateOptions,
    ) -> Result<BatchCreated<TaskSuite>, Error> {
        self.create("task-suites", suites, options, false).await
    }

    /// Reads a task suite.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_task_suite(&self, suite_id: &str) -> Result<TaskSuite, Error> {
        self.send(Request::get(["v1", "task-suites", suite_id]))
            .await?
            .json()
    }

    /// One page of task suites.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_task_suites(&self, query: &TaskQuery) -> Result<Page<TaskSuite>, Error> {
        self.find("task-suites", query).await
    }

    /// All task suites that match, page by page, by id.
    pub fn task_suites(
        &self,
        query: TaskQuery,
    ) -> impl Stream<Item = Result<TaskSuite, Error>> + Send + use<> {
        self.stream(
            "task-suites",
            limits::WORK_PAGE,
            query,
            |item: &TaskSuite| &item.id,
        )
    }

    /// Changes a task suite; `open_pool` opens its pool afterwards.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn patch_task_suite(
        &self,
        suite_id: &str,
        patch: &TaskSuitePatch,
        open_pool: bool,
    ) -> Result<TaskSuite, Error> {
        let request =
            Request::patch(["v1", "task-suites", suite_id]).query(open_pool_pair(open_pool));
        self.send(request.json(patch)?).await?.json()
    }

    /// Changes the overlap of a task suite, but not below what was given out already; 0 stops it.
    /// Safe to repeat.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such task suite.
    pub async fn set_task_suite_overlap_or_min(
        &self,
        suite_id: &str,
        patch: &OverlapPatch,
    ) -> Result<TaskSuite, Error> {
        let request =
            Request::patch(["v1", "task-suites", suite_id, "set-overlap-or-min"]).repeatable();
        self.send(request.json(patch)?).await?.json()
    }

    /// A creation of one object or several, repeatable because the platform knows its id again. The
    /// answer is an operation when `async_mode` is on, else what was made.
    pub(super) async fn create<T: Serialize + Sync + ?Sized, R: DeserializeOwned>(
        &self,
        list: &'static str,
        items: &T,
        options: &CreateOptions,
        async_mode: bool,
    ) -> Result<R, Error> {
        let request = Request::post(["v1", list]).query(options.pairs(async_mode));
        self.send(request.json(items)?.repeatable()).await?.json()
    }
}

fn open_pool_pair(open_pool: bool) -> Pairs {
    Pairs::default().add_some("open_pool", open_pool.then_some(true))
}
