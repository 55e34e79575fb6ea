//! Trainings.

use futures_util::Stream;

use super::{Client, PoolQuery, transport::Request};
use crate::{
    Error, limits,
    types::{Operation, Page, Training},
};

impl Client {
    /// Creates a training; it is closed. Not repeated after a lost answer: look for it with
    /// [`Client::find_trainings`] before trying again.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn create_training(&self, training: &Training) -> Result<Training, Error> {
        self.send(Request::post(["v1", "trainings"]).json(training)?)
            .await?
            .json()
    }

    /// Reads a training.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_training(&self, training_id: &str) -> Result<Training, Error> {
        self.send(Request::get(["v1", "trainings", training_id]))
            .await?
            .json()
    }

    /// One page of trainings.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_trainings(&self, query: &PoolQuery) -> Result<Page<Training>, Error> {
        self.find("trainings", query).await
    }

    /// All trainings that match, page by page, by id.
    pub fn trainings(
        &self,
        query: PoolQuery,
    ) -> impl Stream<Item = Result<Training, Error>> + Send + use<> {
        self.stream(
            "trainings",
            limits::CONTAINER_PAGE,
            query,
            |item: &Training| &item.id,
        )
    }

    /// Replaces a training.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn update_training(
        &self,
        training_id: &str,
        training: &Training,
    ) -> Result<Training, Error> {
        self.send(Request::put(["v1", "trainings", training_id]).json(training)?)
            .await?
            .json()
    }

    /// Opens a training. `None` when it is open already.
    ///
    /// # Errors
    /// [`Error::Conflict`]: [`EMPTY_POOL`](crate::codes::EMPTY_POOL) and others.
    pub async fn open_training(&self, training_id: &str) -> Result<Option<Operation>, Error> {
        self.training_action(training_id, "open").await
    }

    /// Closes a training. `None` when it is closed already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its state does not allow it.
    pub async fn close_training(&self, training_id: &str) -> Result<Option<Operation>, Error> {
        self.training_action(training_id, "close").await
    }

    /// Closes a training for a change; it opens again by itself after 15 minutes. `None` when it is
    /// closed so already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its state does not allow it.
    pub async fn close_training_for_update(
        &self,
        training_id: &str,
    ) -> Result<Option<Operation>, Error> {
        self.training_action(training_id, "close-for-update").await
    }

    /// Copies a training without its tasks; [`Operation::cloned_id`] is the copy when it has ended.
    /// Not repeated after a lost answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn clone_training(&self, training_id: &str) -> Result<Operation, Error> {
        self.send(Request::post(["v1", "trainings", training_id, "clone"]))
            .await?
            .json()
    }

    /// Puts a training away, for good. `None` when it is away already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a pool that asks for it is still in use.
    pub async fn archive_training(&self, training_id: &str) -> Result<Option<Operation>, Error> {
        self.training_action(training_id, "archive").await
    }

    /// Moves a training to a state, which may be done twice.
    async fn training_action(
        &self,
        training_id: &str,
        action: &str,
    ) -> Result<Option<Operation>, Error> {
        let request = Request::post(["v1", "trainings", training_id, action]).repeatable();
        self.send(request).await?.json_if_any()
    }
}
