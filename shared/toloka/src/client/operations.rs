//! Operations, and statistics, which are operations too.

use std::time::Duration;

use futures_util::{
    TryStreamExt as _, future,
    stream::{self, Stream},
};
use uuid::Uuid;

use super::{Client, OperationQuery, transport::Request};
use crate::{
    Error, limits,
    types::{AnalyticsRequest, Operation, OperationLogItem, OperationStatus, Page},
};

/// How [`Client::wait_operation`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitPolicy {
    /// The wait after the first look; each further one is twice as long.
    pub first: Duration,
    /// The longest wait between two looks.
    pub longest: Duration,
    /// The sum of all waits after which it gives up. The time of the requests is not counted.
    pub timeout: Duration,
}

impl Default for WaitPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(5),
            timeout: Duration::from_secs(600),
        }
    }
}

impl Client {
    /// Reads an operation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_operation(&self, operation_id: &str) -> Result<Operation, Error> {
        self.send(Request::get(["v1", "operations", operation_id]))
            .await?
            .json()
    }

    /// One page of operations.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_operations(&self, query: &OperationQuery) -> Result<Page<Operation>, Error> {
        self.find("operations", query).await
    }

    /// All operations that match, page by page, by id.
    pub fn operations(
        &self,
        query: OperationQuery,
    ) -> impl Stream<Item = Result<Operation, Error>> + Send + use<> {
        self.stream(
            "operations",
            limits::OPERATION_PAGE,
            query,
            |item: &Operation| &item.id,
        )
    }

    /// The log of an operation: what became of each item. Kept for a month.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such operation; the code
    /// [`OPERATION_LOGS_ARCHIVED`](crate::codes::OPERATION_LOGS_ARCHIVED) when the log is gone.
    pub async fn operation_log(&self, operation_id: &str) -> Result<Vec<OperationLogItem>, Error> {
        self.send(Request::get(["v1", "operations", operation_id, "log"]))
            .await?
            .json()
    }

    /// Looks at an operation until it has ended, and hands out each look, to show the progress. The
    /// last one has ended, well or badly.
    ///
    /// Ends with [`Error::StillRunning`] when the policy's time is used up; the operation goes on.
    pub fn operation_states(
        &self,
        operation_id: &str,
        policy: WaitPolicy,
    ) -> impl Stream<Item = Result<Operation, Error>> + Send + use<> {
        let watch = Watch {
            client: self.clone(),
            id: operation_id.to_owned(),
            policy,
            waited: Duration::ZERO,
            step: policy.first,
            last: None,
        };
        stream::try_unfold(watch, |mut watch| async move {
            Ok(watch.next().await?.map(|operation| (operation, watch)))
        })
    }

    /// Looks at an operation until it has ended, well or badly: check its `status`.
    ///
    /// # Errors
    /// [`Error::StillRunning`] when the policy's time is used up; the operation goes on.
    pub async fn wait_operation(
        &self,
        operation_id: &str,
        policy: WaitPolicy,
    ) -> Result<Operation, Error> {
        let states = self.operation_states(operation_id, policy);
        // There is at least one look, or an error.
        states
            .try_fold(Operation::default(), |_, look| future::ok(look))
            .await
    }

    /// Waits until an operation has ended well.
    ///
    /// # Errors
    /// [`Error::OperationFailed`] when it ended badly, with the items of its log that failed.
    /// [`Error::StillRunning`] when the policy's time is used up; the operation goes on.
    pub async fn complete_operation(
        &self,
        operation_id: &str,
        policy: WaitPolicy,
    ) -> Result<Operation, Error> {
        let operation = self.wait_operation(operation_id, policy).await?;
        if operation.status != OperationStatus::Fail {
            return Ok(operation);
        }
        // Without its log it has failed all the same.
        let mut failed = self.operation_log(operation_id).await.unwrap_or_default();
        failed.retain(|item| !item.success);
        Err(Error::OperationFailed {
            operation: Box::new(operation),
            failed,
        })
    }

    /// The operation of a creation, see [`super::CreateOptions::operation_id`].
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing was ever sent under this id.
    pub async fn get_creation(&self, operation_id: Uuid) -> Result<Operation, Error> {
        self.get_operation(&operation_id.to_string()).await
    }

    /// Asks for statistics of pools. The operation's `details` hold the answers when it has
    /// ended, see [`Operation::analytics`].
    ///
    /// # Errors
    /// [`Error::Validation`] names the questions that the platform refuses.
    pub async fn request_analytics(
        &self,
        questions: &[AnalyticsRequest],
    ) -> Result<Operation, Error> {
        // Asking twice computes twice but changes nothing.
        let request = Request::post(["staging", "analytics-2"]).repeatable();
        self.send(request.json(questions)?).await?.json()
    }
}

/// An operation that is waited for.
struct Watch {
    client: Client,
    id: String,
    policy: WaitPolicy,
    waited: Duration,
    step: Duration,
    last: Option<Operation>,
}

impl Watch {
    /// Waits, except before the first look, and looks; `None` when it has ended.
    async fn next(&mut self) -> Result<Option<Operation>, Error> {
        if let Some(last) = self.last.take() {
            if last.status.is_final() {
                return Ok(None);
            }
            let left = self.policy.timeout.saturating_sub(self.waited);
            // A step of nothing would never use up the time.
            let wait = self
                .step
                .max(Duration::from_millis(1))
                .min(self.policy.longest)
                .min(left);
            if wait.is_zero() {
                return Err(Error::StillRunning {
                    operation: Box::new(last),
                    waited: self.waited,
                });
            }
            self.client.sleep(wait).await;
            self.waited += wait;
            self.step = self.step.saturating_mul(2);
        }
        let operation = self.client.get_operation(&self.id).await?;
        self.last = Some(operation.clone());
        Ok(Some(operation))
    }
}
