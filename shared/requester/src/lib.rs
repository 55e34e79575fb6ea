//! The pipeline's [`Crowd`] port, spoken in the Toloka API.
//!
//! A campaign becomes a project, pools and a training of the API's own terms ([`compile`]); answers
//! come back as the pipeline's. Everything that the API keeps no idempotency key for is created
//! under a *marker*, by which it is found again: `private_comment` of projects and pools,
//! `metadata` of trainings, the name of skills.

pub mod compile;
pub mod pace;

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::campaign::Campaign;
use quorate_core::ids::{ImageId, OperationId};
use quorate_core::ports::{
    Assignment, Ban, Crowd, NewTask, OperationStatus, Page, PoolOpened, PoolSpec, PoolStatus,
    PortError, PortResult, Submitted, TaskAnswer,
};
use quorate_core::state::{Kind, Outcome};
use quorate_toloka::types::{
    self, AnalyticsName, AnalyticsRequest, AssignmentStatus, EventType, KnownSolution,
    OperationLogItem, Task, Values, WebhookSubscription,
};
use quorate_toloka::{
    AssignmentQuery, Bounds, Client, CreateOptions, Error, PoolQuery, ProjectQuery, Secret,
    SkillQuery, TaskQuery, UserRestrictionQuery, WaitPolicy, codes,
};
use rust_decimal::Decimal;

/// The hidden input field in which a task carries its image's id.
pub const IMAGE_ID: &str = "image_id";

/// Assignments and tasks in one page.
const PAGE: u32 = 1000;
/// Projects, pools and trainings in one page: the API's maximum.
const LIST: u32 = 300;
/// Restrictions in one page: the API's maximum.
const RESTRICTIONS: u32 = 500;

/// A requester's account at a platform that speaks the Toloka API.
#[derive(Clone, Debug)]
pub struct Requester {
    client: Client,
    fee: Decimal,
    webhook: Option<Webhook>,
}

/// Where the platform tells what happens in pools, and the key that it signs with.
#[derive(Clone, Debug)]
struct Webhook {
    url: String,
    secret: Secret,
}

/// What a webhook is told of a pool: that it closed, and that its pages went out or came back.
const TOLD: [EventType; 5] = [
    EventType::PoolClosed,
    EventType::AssignmentCreated,
    EventType::AssignmentSubmitted,
    EventType::AssignmentSkipped,
    EventType::AssignmentExpired,
];

impl Requester {
    /// Works through `client`; the platform adds `fee` (a share, e.g. 0.2) to every reward.
    #[must_use]
    pub fn new(client: Client, fee: Decimal) -> Self {
        Self {
            client,
            fee,
            webhook: None,
        }
    }

    /// From now on asks the platform to tell `url` what happens in a pool, signed with `secret`,
    /// whenever it opens one. Pools that are open already keep what they were told, and with it
    /// the secret of then.
    #[must_use]
    pub fn with_webhook(mut self, url: impl Into<String>, secret: Secret) -> Self {
        let url = url.into();
        self.webhook = Some(Webhook { url, secret });
        self
    }

    /// Subscribes the webhook to a pool, if there is one: again each time, which changes nothing.
    /// A pool opens without it as well; then only a tick finds out what happens there.
    async fn subscribe(&self, pool: &str) {
        let Some(webhook) = &self.webhook else {
            return;
        };
        let subscriptions = TOLD.map(|event_type| WebhookSubscription {
            event_type,
            webhook_url: webhook.url.clone(),
            pool_id: pool.to_owned(),
            secret_key: Some(webhook.secret.clone()),
            ..WebhookSubscription::default()
        });
        let made = self
            .client
            .upsert_webhook_subscriptions(&subscriptions)
            .await;
        let refused = match made {
            Ok(made) if made.validation_errors.is_empty() => return,
            Ok(made) => {
                let errors = made.validation_errors.into_values().flatten();
                let errors = errors.map(|(field, error)| format!("{field}: {}", error.code));
                errors.collect::<Vec<_>>().join(", ")
            }
            Err(error) => describe(&error),
        };
        tracing::warn!(pool, %refused, "the crowd will not tell what happens in a pool");
    }
}

/// Sorts the client's errors by what the pipeline does about them.
fn port_error(error: Error) -> PortError {
    let text = describe(&error);
    match error {
        Error::RateLimited {
            retry_after: Some(after),
            ..
        } if after >= Duration::from_secs(60) => PortError::Blocked {
            after,
            reason: text,
        },
        error if error.is_retryable() => PortError::Unavailable(text),
        // The effect happened, and what it was is asked for again.
        Error::Decode { .. } => PortError::Unavailable(text),
        _ => PortError::Refused(text),
    }
}

/// An error with its causes on one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn next_page<T>(page: types::Page<T>, id: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    let next = page
        .items
        .last()
        .filter(|_| page.has_more)
        .map(|item| id(item).to_owned());
    (page.items, next)
}

fn after_id(after: Option<&str>) -> Bounds<String> {
    Bounds {
        gt: after.map(str::to_owned),
        ..Bounds::default()
    }
}

fn image_of(input: &Values) -> Option<ImageId> {
    input.get(IMAGE_ID)?.as_str()?.parse().ok()
}

/// What a log item says of its task.
fn outcome_of(item: &OperationLogItem) -> Option<(ImageId, Outcome)> {
    let input = item.input.as_ref()?.get("input_values")?.as_object()?;
    let image = image_of(input)?;
    let outcome = match item.task_id().filter(|_| item.success) {
        Some(task) => Outcome::Task(task.to_owned()),
        None if item.success => return None,
        None => Outcome::Refused(item.output.as_ref().map_or_else(
            || "the crowd gave no reason".to_owned(),
            ToString::to_string,
        )),
    };
    Some((image, outcome))
}

fn task_of(pool: &str, answer_field: &str, task: &NewTask) -> Task {
    let mut input: Values = task
        .input
        .iter()
        .map(|(field, value)| (field.clone(), value.clone().into()))
        .collect();
    input.insert(IMAGE_ID.to_owned(), task.image.to_string().into());
    let known = task.known.as_ref().map(|label| KnownSolution {
        output_values: Values::from_iter([(answer_field.to_owned(), label.clone().into())]),
        ..KnownSolution::default()
    });
    Task {
        pool_id: pool.to_owned(),
        input_values: input,
        // Control tasks serve every worker.
        infinite_overlap: known.as_ref().map(|_| true),
        known_solutions: known.map(|known| vec![known]),
        message_on_unknown_solution: task.hint.clone(),
        ..Task::default()
    }
}

fn text_of(values: &Values, field: &str) -> Option<String> {
    match values.get(field)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn assignment_of(assignment: types::Assignment, field: &str) -> Assignment {
    let solutions = assignment.solutions.unwrap_or_default();
    let answers = assignment
        .tasks
        .into_iter()
        .zip(solutions)
        .map(|(task, solution)| TaskAnswer {
            image: image_of(&task.input_values),
            label: text_of(&solution.output_values, field),
            known: task
                .known_solutions
                .as_ref()
                .and_then(|known| known.first())
                .and_then(|known| text_of(&known.output_values, field)),
            task: task.id,
        })
        .collect();
    Assignment {
        id: assignment.id,
        worker: assignment.user_id,
        status: assignment
            .status
            .map(|status| status.to_string())
            .unwrap_or_default(),
        reward: assignment.reward.unwrap_or_default(),
        created: assignment
            .created
            .map(|time| time.to_string())
            .unwrap_or_default(),
        submitted: assignment.submitted.map(|time| time.to_string()),
        answers,
    }
}

impl Crowd for Requester {
    fn fee(&self) -> Decimal {
        self.fee
    }

    async fn find_project(&self, marker: &str) -> PortResult<Option<String>> {
        // The newest ones: a project that a crash left behind was just made.
        let query = ProjectQuery {
            sort: Some("-id".to_owned()),
            limit: Some(LIST),
            ..ProjectQuery::default()
        };
        let page = self
            .client
            .find_projects(&query)
            .await
            .map_err(port_error)?;
        let found = page
            .items
            .into_iter()
            .find(|project| project.private_comment.as_deref() == Some(marker));
        Ok(found.map(|project| project.id))
    }

    async fn create_project(&self, campaign: &Campaign, marker: &str) -> PortResult<String> {
        let project = compile::project(campaign, marker).map_err(PortError::Refused)?;
        let created = self
            .client
            .create_project(&project)
            .await
            .map_err(port_error)?;
        Ok(created.id)
    }

    async fn find_skill(&self, name: &str) -> PortResult<Option<String>> {
        let query = SkillQuery {
            name: Some(name.to_owned()),
            ..SkillQuery::default()
        };
        let page = self.client.find_skills(&query).await.map_err(port_error)?;
        Ok(page.items.into_iter().next().map(|skill| skill.id))
    }

    async fn create_skill(&self, name: &str) -> PortResult<String> {
        let skill = types::Skill {
            name: name.to_owned(),
            hidden: Some(true),
            ..types::Skill::default()
        };
        Ok(self
            .client
            .create_skill(&skill)
            .await
            .map_err(port_error)?
            .id)
    }

    async fn find_pool(
        &self,
        project: &str,
        kind: Kind,
        marker: &str,
    ) -> PortResult<Option<String>> {
        let query = PoolQuery {
            project_id: Some(project.to_owned()),
            sort: Some("-id".to_owned()),
            limit: Some(LIST),
            ..PoolQuery::default()
        };
        if kind == Kind::Training {
            let page = self
                .client
                .find_trainings(&query)
                .await
                .map_err(port_error)?;
            let found = page.items.into_iter().find(|training| {
                training
                    .metadata
                    .as_ref()
                    .and_then(|metadata| metadata.get(compile::MARKER))
                    == Some(&vec![marker.to_owned()])
            });
            return Ok(found.map(|training| training.id));
        }
        let page = self.client.find_pools(&query).await.map_err(port_error)?;
        let found = page
            .items
            .into_iter()
            .find(|pool| pool.private_comment.as_deref() == Some(marker));
        Ok(found.map(|pool| pool.id))
    }

    async fn create_pool(&self, spec: &PoolSpec<'_>) -> PortResult<String> {
        if spec.kind == Kind::Training {
            let training = compile::training(spec).map_err(PortError::Refused)?;
            return Ok(self
                .client
                .create_training(&training)
                .await
                .map_err(port_error)?
                .id);
        }
        let pool = match spec.kind {
            Kind::Exam => compile::exam(spec),
            _ => compile::pool(spec).map_err(PortError::Refused)?,
        };
        Ok(self.client.create_pool(&pool).await.map_err(port_error)?.id)
    }

    async fn open_pool(&self, pool: &str) -> PortResult<PoolOpened> {
        self.subscribe(pool).await;
        match self.client.open_pool(pool).await {
            Ok(_) => Ok(PoolOpened::Opened),
            Err(error) => match error.code() {
                Some(codes::EMPTY_POOL) => Ok(PoolOpened::Empty),
                Some(codes::NOT_ENOUGH_BALANCE) => Ok(PoolOpened::NotEnoughBalance),
                _ if matches!(error, Error::Conflict(_)) => {
                    let found = self.client.get_pool(pool).await.map_err(port_error)?;
                    match found.status {
                        Some(types::PoolStatus::Archived) => Ok(PoolOpened::Archived),
                        _ => Err(port_error(error)),
                    }
                }
                _ => Err(port_error(error)),
            },
        }
    }

    async fn close_pool(&self, pool: &str) -> PortResult<()> {
        self.client
            .close_pool(pool)
            .await
            .map(|_| ())
            .map_err(port_error)
    }

    async fn close_for_update(&self, pool: &str) -> PortResult<()> {
        self.client
            .close_pool_for_update(pool)
            .await
            .map(|_| ())
            .map_err(port_error)
    }

    async fn archive_pool(&self, pool: &str) -> PortResult<()> {
        match self.client.archive_pool(pool).await {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Some(codes::THERE_IS_REJECTED_ASSIGNMENT) => {
                    Err(PortError::Refused(describe(&error)))
                }
                _ if matches!(error, Error::Conflict(_)) => {
                    Err(PortError::Unavailable(describe(&error)))
                }
                _ => Err(port_error(error)),
            },
        }
    }

    async fn set_least_images(&self, pool: &str, least: u32) -> PortResult<()> {
        let mut settings = self.client.get_pool(pool).await.map_err(port_error)?;
        compile::set_least_images(&mut settings, least);
        match self.client.update_pool(pool, &settings).await {
            Ok(_) => Ok(()),
            // Somebody opened it meanwhile.
            Err(error @ Error::Conflict(_)) => Err(PortError::Unavailable(describe(&error))),
            Err(error) => Err(port_error(error)),
        }
    }

    async fn pool(&self, pool: &str) -> PortResult<PoolStatus> {
        let pool = self.client.get_pool(pool).await.map_err(port_error)?;
        // A locked pool is held by an operation: it is not over.
        let open = !matches!(
            pool.status,
            Some(types::PoolStatus::Closed | types::PoolStatus::Archived)
        );
        Ok(PoolStatus {
            open,
            least_images: compile::least_images(&pool),
            close_reason: pool.last_close_reason.map(|reason| reason.to_string()),
            last_stopped: pool.last_stopped.map(|time| time.to_string()),
        })
    }

    async fn submit(
        &self,
        pool: &str,
        answer_field: &str,
        operation: OperationId,
        tasks: &[NewTask],
    ) -> PortResult<Submitted> {
        let tasks: Vec<Task> = tasks
            .iter()
            .enumerate()
            .map(|(index, task)| {
                let mut task = task_of(pool, answer_field, task);
                task.set_item_index(index);
                task
            })
            .collect();
        let options = CreateOptions {
            skip_invalid_items: true,
            allow_defaults: true,
            ..CreateOptions::new(operation.0)
        };
        match self.client.create_tasks(&tasks, &options).await {
            Ok(_) => Ok(Submitted::Accepted),
            Err(Error::OperationAlreadyExists(_)) => Ok(Submitted::Existed),
            Err(error) => Err(port_error(error)),
        }
    }

    async fn operation(&self, operation: OperationId) -> PortResult<OperationStatus> {
        match self.client.get_creation(operation.0).await {
            Ok(operation) if operation.status.is_final() => Ok(OperationStatus::Finished),
            Ok(_) => Ok(OperationStatus::Running),
            Err(Error::NotFound(_)) => Ok(OperationStatus::Unknown),
            Err(error) => Err(port_error(error)),
        }
    }

    async fn operation_log(
        &self,
        operation: OperationId,
    ) -> PortResult<BTreeMap<ImageId, Outcome>> {
        let log = self
            .client
            .operation_log(&operation.to_string())
            .await
            .map_err(port_error)?;
        let mut outcomes = BTreeMap::new();
        for (image, outcome) in log.iter().filter_map(outcome_of) {
            // A created task stands against any step that failed.
            if matches!(outcome, Outcome::Task(_)) || !outcomes.contains_key(&image) {
                outcomes.insert(image, outcome);
            }
        }
        Ok(outcomes)
    }

    async fn tasks(&self, pool: &str, after: Option<&str>) -> PortResult<Page<(ImageId, String)>> {
        let query = TaskQuery {
            id: after_id(after),
            sort: Some("id".to_owned()),
            limit: Some(PAGE),
            ..TaskQuery::pool(pool)
        };
        let page = self.client.find_tasks(&query).await.map_err(port_error)?;
        let (tasks, next) = next_page(page, |task| &task.id);
        let items = tasks
            .into_iter()
            .filter_map(|task| Some((image_of(&task.input_values)?, task.id)))
            .collect();
        Ok(Page { items, next })
    }

    async fn assignments(
        &self,
        pool: &str,
        answer_field: &str,
        statuses: &[&str],
        after: Option<&str>,
    ) -> PortResult<Page<Assignment>> {
        let query = AssignmentQuery {
            status: statuses
                .iter()
                .map(|status| AssignmentStatus::from(*status))
                .collect(),
            id: after_id(after),
            sort: Some("id".to_owned()),
            limit: Some(PAGE),
            ..AssignmentQuery::pool(pool)
        };
        let page = self
            .client
            .find_assignments(&query)
            .await
            .map_err(port_error)?;
        let (items, next) = next_page(page, |assignment| &assignment.id);
        let items = items
            .into_iter()
            .map(|assignment| assignment_of(assignment, answer_field))
            .collect();
        Ok(Page { items, next })
    }

    async fn bans(&self, project: &str, pool: &str, after: Option<&str>) -> PortResult<Page<Ban>> {
        let query = UserRestrictionQuery {
            id: after_id(after),
            sort: Some("id".to_owned()),
            limit: Some(RESTRICTIONS),
            ..UserRestrictionQuery::default()
        };
        let page = self
            .client
            .find_user_restrictions(&query)
            .await
            .map_err(port_error)?;
        let (items, next) = next_page(page, |restriction| &restriction.id);
        let concerns =
            |restriction: &types::UserRestriction| match restriction.scope.to_string().as_str() {
                "POOL" => restriction.pool_id.as_deref() == Some(pool),
                "PROJECT" => restriction.project_id.as_deref() == Some(project),
                _ => true,
            };
        let items = items
            .into_iter()
            .filter(concerns)
            .map(|restriction| Ban {
                worker: restriction.user_id,
                scope: restriction.scope.to_string(),
                reason: restriction.private_comment.unwrap_or_default(),
            })
            .collect();
        Ok(Page { items, next })
    }

    async fn spent(&self, pool: &str) -> PortResult<Decimal> {
        let question = AnalyticsRequest::pool(AnalyticsName::SpentBudget, pool);
        let mut operation = self
            .client
            .request_analytics(&[question])
            .await
            .map_err(port_error)?;
        if !operation.status.is_final() {
            operation = self
                .client
                .wait_operation(&operation.id, WaitPolicy::default())
                .await
                .map_err(port_error)?;
        }
        let spent = operation
            .analytics()
            .and_then(|answers| answers.first()?.number());
        spent
            .and_then(|dollars| Decimal::try_from(dollars).ok())
            .map(|dollars| dollars.round_dp(6))
            .ok_or_else(|| {
                PortError::Unavailable(format!("the crowd did not tell what pool {pool} has cost"))
            })
    }
}
