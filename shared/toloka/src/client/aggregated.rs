//! Answers that the platform aggregates.

use futures_util::Stream;

use super::{AggregatedSolutionQuery, Client, query::Query as _, transport::Request};
use crate::{
    Error, limits,
    types::{AggregatedSolution, AggregationRequest, Operation, Page},
};

impl Client {
    /// Aggregates the answers of a pool: wait for the operation, then read
    /// [`Client::aggregated_solutions`]. Not repeated after a lost answer, as only few are allowed
    /// ([`AGGREGATE_BY_POOL`](limits::AGGREGATE_BY_POOL)).
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses; the code
    /// [`UNSUPPORTED_ALGORITHM`](crate::codes::UNSUPPORTED_ALGORITHM) when it cannot aggregate so.
    pub async fn aggregate_solutions_by_pool(
        &self,
        request: &AggregationRequest,
    ) -> Result<Operation, Error> {
        let path = ["v1", "aggregated-solutions", "aggregate-by-pool"];
        self.send(Request::post(path).json(request)?).await?.json()
    }

    /// Aggregates the answers to one task, weighed by a skill; computes and changes nothing.
    ///
    /// # Errors
    /// Like [`Client::aggregate_solutions_by_pool`].
    pub async fn aggregate_solutions_by_task(
        &self,
        request: &AggregationRequest,
    ) -> Result<AggregatedSolution, Error> {
        let path = ["v1", "aggregated-solutions", "aggregate-by-task"];
        let request = Request::post(path).repeatable().json(request)?;
        self.send(request).await?.json()
    }

    /// One page of the answers that an operation has aggregated.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such operation.
    pub async fn find_aggregated_solutions(
        &self,
        operation_id: &str,
        query: &AggregatedSolutionQuery,
    ) -> Result<Page<AggregatedSolution>, Error> {
        let path = ["v1", "aggregated-solutions", operation_id];
        self.find_in(&path, query.pairs()).await
    }

    /// All answers that an operation has aggregated, page by page, by task.
    pub fn aggregated_solutions(
        &self,
        operation_id: &str,
        query: AggregatedSolutionQuery,
    ) -> impl Stream<Item = Result<AggregatedSolution, Error>> + Send + use<> {
        let path = vec![
            "v1".to_owned(),
            "aggregated-solutions".to_owned(),
            operation_id.to_owned(),
        ];
        self.stream_in(
            path,
            limits::WORK_PAGE,
            query,
            |item: &AggregatedSolution| &item.task_id,
        )
    }
}
