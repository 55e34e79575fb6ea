//! The port, answered from the crowd's state.

use std::collections::BTreeMap;

use quorate_core::campaign::Campaign;
use quorate_core::ids::{BatchId, ImageId, OperationId};
use quorate_core::ports::{
    Assignment, Ban, Clock as _, Crowd, NewTask, OperationStatus, Page, PoolOpened, PoolSpec,
    PoolStatus, PortError, PortResult, Submitted, TaskAnswer,
};
use quorate_core::state::{Kind, Outcome};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::pool::{FOR_UPDATE, MANUAL, PageState, Pool, WorkerPage};
use super::{Made, Operation, Request, SimCrowd, State, worker_id};

/// What is not there is refused.
fn not_found(what: &str, id: impl std::fmt::Display) -> PortError {
    PortError::Refused(format!("DOES_NOT_EXIST: there is no {what} {id}"))
}

/// An instant as Toloka writes it: UTC without a zone.
fn wire(at: Timestamp) -> String {
    at.to_string().trim_end_matches('Z').to_owned()
}

/// A page of what comes after `after`, by ids that grow.
fn page_of<T>(
    items: impl Iterator<Item = T>,
    id: impl Fn(&T) -> &str,
    after: Option<&str>,
    most: usize,
) -> (Vec<T>, Option<String>) {
    let behind = items.skip_while(|item| after.is_some_and(|after| id(item) <= after));
    let mut found: Vec<T> = behind.take(most + 1).collect();
    let more = found.len() > most;
    found.truncate(most);
    let next = found
        .last()
        .filter(|_| more)
        .map(|item| id(item).to_owned());
    (found, next)
}

impl State {
    fn pool(&mut self, id: &str) -> PortResult<&mut Pool> {
        self.pools.get_mut(id).ok_or_else(|| not_found("pool", id))
    }

    /// Whether lists show what was created then.
    fn is_listed(&self, created: Timestamp, now: Timestamp) -> bool {
        created.plus(self.options.lag) <= now
    }

    /// An operation that the crowd has not forgotten.
    fn operation(&mut self, id: OperationId, now: Timestamp) -> Option<&Operation> {
        let memory = self.options.memory;
        let finished = self.operations.get(&id)?.finished.as_ref();
        if finished.is_some_and(|(at, _)| now.since(*at) > memory) {
            self.operations.remove(&id);
        }
        self.operations.get(&id)
    }
}

impl Pool {
    fn assignment(&self, page: &WorkerPage, field: &str) -> Assignment {
        let ours = field == self.answer_field;
        let answers = page.tasks.iter().zip(&page.labels).map(|(task, label)| {
            let task = &self.tasks[*task];
            TaskAnswer {
                task: task.id.clone(),
                image: Some(task.image),
                label: ours.then(|| label.clone()),
                known: task.known.clone().filter(|_| ours),
            }
        });
        Assignment {
            id: page.id.clone(),
            worker: worker_id(page.worker),
            status: page.state.as_str().to_owned(),
            reward: self.reward,
            created: wire(page.created),
            submitted: page.submitted.map(wire),
            answers: answers.collect(),
        }
    }
}

impl Crowd for SimCrowd {
    fn fee(&self) -> Decimal {
        self.state().options.fee
    }

    async fn find_project(&self, marker: &str) -> PortResult<Option<String>> {
        let state = self.enter(Request::FindProject)?;
        Ok(self.find(&state, &state.projects, marker))
    }

    async fn create_project(&self, _campaign: &Campaign, marker: &str) -> PortResult<String> {
        let mut state = self.enter(Request::CreateProject)?;
        let made = self.made(&mut state, marker);
        let id = made.id.clone();
        state.projects.push(made);
        Ok(id)
    }

    async fn find_skill(&self, name: &str) -> PortResult<Option<String>> {
        let state = self.enter(Request::FindSkill)?;
        Ok(self.find(&state, &state.skills, name))
    }

    async fn create_skill(&self, name: &str) -> PortResult<String> {
        let mut state = self.enter(Request::CreateSkill)?;
        let made = self.made(&mut state, name);
        let id = made.id.clone();
        state.skills.push(made);
        Ok(id)
    }

    async fn find_pool(
        &self,
        project: &str,
        kind: Kind,
        marker: &str,
    ) -> PortResult<Option<String>> {
        let state = self.enter(Request::FindPool)?;
        let now = self.clock.now();
        let mut newest_first = state.pools.values().rev();
        let found = newest_first.find(|pool| {
            pool.project == project
                && pool.marker == marker
                && (pool.kind == Kind::Training) == (kind == Kind::Training)
                && state.is_listed(pool.created, now)
        });
        Ok(found.map(|pool| pool.id.clone()))
    }

    async fn create_pool(&self, spec: &PoolSpec<'_>) -> PortResult<String> {
        let mut state = self.enter(Request::CreatePool)?;
        if !state.projects.iter().any(|it| it.id == spec.project) {
            return Err(not_found("project", spec.project));
        }
        let id = state.decimal_id();
        let pool = Pool::new(id.clone(), spec, self.clock.now());
        state.pools.insert(id.clone(), pool);
        Ok(id)
    }

    async fn open_pool(&self, pool: &str) -> PortResult<PoolOpened> {
        let mut state = self.enter(Request::OpenPool)?;
        let closed = state.pool(pool)?;
        if closed.open {
            return Ok(PoolOpened::Opened);
        }
        if closed.archived {
            return Ok(PoolOpened::Archived);
        }
        if closed.tasks.is_empty() {
            return Ok(PoolOpened::Empty);
        }
        let worst = closed.worst_cost();
        if !state.covers(worst) {
            return Ok(PoolOpened::NotEnoughBalance);
        }
        state.pool(pool)?.open(self.clock.now());
        Ok(PoolOpened::Opened)
    }

    async fn close_pool(&self, pool: &str) -> PortResult<()> {
        let mut state = self.enter(Request::ClosePool)?;
        state.pool(pool)?.close(MANUAL, self.clock.now());
        Ok(())
    }

    async fn close_for_update(&self, pool: &str) -> PortResult<()> {
        let mut state = self.enter(Request::ClosePool)?;
        state.pool(pool)?.close(FOR_UPDATE, self.clock.now());
        Ok(())
    }

    async fn archive_pool(&self, pool: &str) -> PortResult<()> {
        let mut state = self.enter(Request::ArchivePool)?;
        let pool = state.pool(pool)?;
        if pool.open || pool.active().next().is_some() {
            let reason = format!("pool {} is open, or somebody has a page of it", pool.id);
            return Err(PortError::Unavailable(reason));
        }
        pool.archive();
        Ok(())
    }

    async fn set_least_images(&self, pool: &str, least: u32) -> PortResult<()> {
        let mut state = self.enter(Request::UpdatePool)?;
        let pool = state.pool(pool)?;
        if pool.open {
            let reason = format!("pool {} is open: its settings cannot change", pool.id);
            return Err(PortError::Unavailable(reason));
        }
        pool.set_least_images(least as usize);
        Ok(())
    }

    async fn pool(&self, pool: &str) -> PortResult<PoolStatus> {
        let mut state = self.enter(Request::Pool)?;
        let pool = state.pool(pool)?;
        Ok(PoolStatus {
            open: pool.open,
            close_reason: pool.close_reason.map(str::to_owned),
            last_stopped: pool.last_stopped.map(wire),
            least_images: u32::try_from(pool.least_images()).unwrap_or(u32::MAX),
        })
    }

    async fn submit(
        &self,
        pool: &str,
        _answer_field: &str,
        operation: OperationId,
        tasks: &[NewTask],
    ) -> PortResult<Submitted> {
        let mut state = self.enter(Request::Submit)?;
        let number = state.next();
        let id = if state.options.operation_ids {
            operation
        } else {
            BatchId::of(&format!("nobody knows {number}"), []).operation()
        };
        if state.operation(id, self.clock.now()).is_some() {
            return Ok(Submitted::Existed);
        }
        if state.pool(pool)?.archived {
            return Err(PortError::Refused(format!("pool {pool} is archived")));
        }
        let asked = Operation {
            number,
            pool: pool.to_owned(),
            tasks: tasks.to_vec(),
            finished: None,
        };
        state.operations.insert(id, asked);
        Ok(Submitted::Accepted)
    }

    async fn operation(&self, operation: OperationId) -> PortResult<OperationStatus> {
        let mut state = self.enter(Request::Operation)?;
        Ok(match state.operation(operation, self.clock.now()) {
            None => OperationStatus::Unknown,
            Some(operation) if operation.finished.is_none() => OperationStatus::Running,
            Some(_) => OperationStatus::Finished,
        })
    }

    async fn operation_log(
        &self,
        operation: OperationId,
    ) -> PortResult<BTreeMap<ImageId, Outcome>> {
        let mut state = self.enter(Request::OperationLog)?;
        let known = state.operation(operation, self.clock.now());
        let known = known.ok_or_else(|| not_found("operation", operation))?;
        let log = known.finished.iter().flat_map(|(_, log)| log.clone());
        Ok(log.collect())
    }

    async fn tasks(&self, pool: &str, after: Option<&str>) -> PortResult<Page<(ImageId, String)>> {
        let mut state = self.enter(Request::Tasks)?;
        let most = state.options.page;
        let tasks = state.pool(pool)?.tasks.iter();
        let (found, next) = page_of(tasks, |task| &task.id, after, most);
        let items = found.into_iter().map(|task| (task.image, task.id.clone()));
        let items = items.collect();
        Ok(Page { items, next })
    }

    async fn assignments(
        &self,
        pool: &str,
        answer_field: &str,
        statuses: &[&str],
        after: Option<&str>,
    ) -> PortResult<Page<Assignment>> {
        let mut state = self.enter(Request::Assignments)?;
        let most = state.options.page;
        let pool = &*state.pool(pool)?;
        let wanted = |page: &&WorkerPage| statuses.contains(&PageState::as_str(page.state));
        let pages = pool.pages.iter().filter(wanted);
        let (found, next) = page_of(pages, |page| &page.id, after, most);
        let items = found.into_iter();
        let items = items.map(|page| pool.assignment(page, answer_field));
        let items = items.collect();
        Ok(Page { items, next })
    }

    async fn bans(&self, project: &str, pool: &str, after: Option<&str>) -> PortResult<Page<Ban>> {
        let state = self.enter(Request::Bans)?;
        let start: usize = after.map_or(Ok(0), str::parse).map_err(|_| {
            PortError::Refused("VALIDATION_ERROR: id_gt is no restriction".to_owned())
        })?;
        let end = state
            .bans
            .len()
            .min(start.saturating_add(state.options.page));
        // The crowd pages over all bans; those of others are left out then.
        let concern = |(scope, _): &&_| super::Scope::concerns(scope, project, pool);
        let items = state.bans[start.min(end)..end].iter().filter(concern);
        Ok(Page {
            items: items.map(|(_, ban)| ban.clone()).collect(),
            next: (end < state.bans.len()).then(|| end.to_string()),
        })
    }

    async fn spent(&self, pool: &str) -> PortResult<Decimal> {
        let mut state = self.enter(Request::Spent)?;
        Ok(state.pool(pool)?.paid())
    }
}

impl SimCrowd {
    /// The newest that was made under a marker, if lists show it yet.
    fn find(&self, state: &State, made: &[Made], marker: &str) -> Option<String> {
        let now = self.clock.now();
        let found = made
            .iter()
            .rev()
            .find(|it| it.marker == marker && state.is_listed(it.created, now));
        found.map(|it| it.id.clone())
    }

    fn made(&self, state: &mut State, marker: &str) -> Made {
        Made {
            id: state.decimal_id(),
            marker: marker.to_owned(),
            created: self.clock.now(),
        }
    }
}
