//! Projects.

use futures_util::Stream;

use super::{Client, ProjectQuery, transport::Request};
use crate::{
    Error, limits,
    types::{Operation, Page, Project, ProjectCheck},
};

impl Client {
    /// Creates a project. Not repeated after a lost answer: look for it with
    /// [`Client::find_projects`] before trying again.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn create_project(&self, project: &Project) -> Result<Project, Error> {
        self.send(Request::post(["v1", "projects"]).json(project)?)
            .await?
            .json()
    }

    /// Reads a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_project(&self, project_id: &str) -> Result<Project, Error> {
        self.send(Request::get(["v1", "projects", project_id]))
            .await?
            .json()
    }

    /// One page of projects.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_projects(&self, query: &ProjectQuery) -> Result<Page<Project>, Error> {
        self.find("projects", query).await
    }

    /// All projects that match, page by page, by id.
    pub fn projects(
        &self,
        query: ProjectQuery,
    ) -> impl Stream<Item = Result<Project, Error>> + Send + use<> {
        self.stream(
            "projects",
            limits::CONTAINER_PAGE,
            query,
            |item: &Project| &item.id,
        )
    }

    /// Replaces a project; it may be in use.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn update_project(
        &self,
        project_id: &str,
        project: &Project,
    ) -> Result<Project, Error> {
        self.send(Request::put(["v1", "projects", project_id]).json(project)?)
            .await?
            .json()
    }

    /// Tells what a change of a project would mean for its pools; changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such project.
    pub async fn check_project(
        &self,
        project_id: &str,
        project: &Project,
    ) -> Result<ProjectCheck, Error> {
        let request = Request::post(["staging", "projects", project_id, "check"]).repeatable();
        self.send(request.json(project)?).await?.json()
    }

    /// Puts a project away, for good. `None` when it is away already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a pool of it is still in use.
    pub async fn archive_project(&self, project_id: &str) -> Result<Option<Operation>, Error> {
        let request = Request::post(["v1", "projects", project_id, "archive"]).repeatable();
        self.send(request).await?.json_if_any()
    }
}
