//! Assignments.

use futures_util::Stream;

use super::{AssignmentQuery, AssignmentsTsv, Client, TsvQuery, transport::Request};
use crate::{
    Error, limits,
    types::{Assignment, AssignmentPatch, AssignmentStatus, Page},
};

impl Client {
    /// Reads an assignment.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_assignment(&self, assignment_id: &str) -> Result<Assignment, Error> {
        self.send(Request::get(["v1", "assignments", assignment_id]))
            .await?
            .json()
    }

    /// One page of assignments.
    ///
    /// # Errors
    /// [`Error::Validation`] when the query names neither pool, task suite nor task.
    pub async fn find_assignments(
        &self,
        query: &AssignmentQuery,
    ) -> Result<Page<Assignment>, Error> {
        self.find("assignments", query).await
    }

    /// All assignments that match, page by page, by id.
    pub fn assignments(
        &self,
        query: AssignmentQuery,
    ) -> impl Stream<Item = Result<Assignment, Error>> + Send + use<> {
        self.stream(
            "assignments",
            limits::WORK_PAGE,
            query,
            |item: &Assignment| &item.id,
        )
    }

    /// Reviews an assignment.
    ///
    /// # Errors
    /// [`Error::Conflict`] with [`INAPPROPRIATE_STATUS`](crate::codes::INAPPROPRIATE_STATUS) when
    /// it does not wait for review.
    pub async fn patch_assignment(
        &self,
        assignment_id: &str,
        patch: &AssignmentPatch,
    ) -> Result<Assignment, Error> {
        self.send(Request::patch(["v1", "assignments", assignment_id]).json(patch)?)
            .await?
            .json()
    }

    /// Accepts an assignment, with a comment to the worker.
    ///
    /// # Errors
    /// Like [`Client::patch_assignment`].
    pub async fn accept_assignment(
        &self,
        assignment_id: &str,
        public_comment: &str,
    ) -> Result<Assignment, Error> {
        self.review(assignment_id, AssignmentStatus::Accepted, public_comment)
            .await
    }

    /// Rejects an assignment, with a comment to the worker. It is not paid.
    ///
    /// # Errors
    /// Like [`Client::patch_assignment`].
    pub async fn reject_assignment(
        &self,
        assignment_id: &str,
        public_comment: &str,
    ) -> Result<Assignment, Error> {
        self.review(assignment_id, AssignmentStatus::Rejected, public_comment)
            .await
    }

    async fn review(
        &self,
        assignment_id: &str,
        status: AssignmentStatus,
        comment: &str,
    ) -> Result<Assignment, Error> {
        let patch = AssignmentPatch {
            status: Some(status),
            public_comment: Some(comment.to_owned()),
            ..AssignmentPatch::default()
        };
        self.patch_assignment(assignment_id, &patch).await
    }

    /// Downloads the answers of a pool as a table, one row for each task of each assignment. Rows
    /// are read while they arrive; the table is never in memory as a whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such pool.
    pub async fn assignments_tsv(
        &self,
        pool_id: &str,
        query: &TsvQuery,
    ) -> Result<AssignmentsTsv, Error> {
        let path = ["new", "requester", "pools", pool_id, "assignments.tsv"];
        let (call, response) = self
            .download(Request::get(path).query(query.pairs()))
            .await?;
        AssignmentsTsv::open(call, response).await
    }
}
