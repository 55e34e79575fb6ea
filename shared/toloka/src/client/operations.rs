//! Operations, and statistics, which are operations too.

use std::time::Duration;

use uuid::Uuid;

use super::{Client, OperationQuery, transport::Request};
use crate::{
    Error,
    types::{AnalyticsRequest, Operation, OperationLogItem, Page},
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
        self.send(Request::get(["v1", "operations"]).query(query.pairs()))
            .await?
            .json()
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

    /// Looks at an operation until it has ended, well or badly: check its `status`.
    ///
    /// # Errors
    /// [`Error::StillRunning`] when it takes longer than the policy allows.
    pub async fn wait_operation(
        &self,
        operation_id: &str,
        policy: WaitPolicy,
    ) -> Result<Operation, Error> {
        let (mut waited, mut step) = (Duration::ZERO, policy.first);
        loop {
            let operation = self.get_operation(operation_id).await?;
            if operation.status.is_final() {
                return Ok(operation);
            }
            let left = policy.timeout.saturating_sub(waited);
            // A step of nothing would never use up the time.
            let wait = step
                .max(Duration::from_millis(1))
                .min(policy.longest)
                .min(left);
            if wait.is_zero() {
                return Err(Error::StillRunning {
                    operation: Box::new(operation),
                    waited,
                });
            }
            self.sleep(wait).await;
            waited += wait;
            step *= 2;
        }
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
