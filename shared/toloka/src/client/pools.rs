//! Pools.

use futures_util::Stream;

use super::{Client, PoolQuery, query::Pairs, transport::Request};
use crate::{
    Error, limits,
    types::{Operation, Page, Pool, PoolPatch},
};

impl Client {
    /// Creates a pool; it is closed. Not repeated after a lost answer: look for it with
    /// [`Client::find_pools`] before trying again.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn create_pool(&self, pool: &Pool) -> Result<Pool, Error> {
        self.send(Request::post(["v1", "pools"]).json(pool)?)
            .await?
            .json()
    }

    /// Creates a pool whose answers are stored in a certain place (`"eu"`), else like
    /// [`Client::create_pool`].
    ///
    /// # Errors
    /// Like [`Client::create_pool`].
    pub async fn create_pool_stored_in(
        &self,
        pool: &Pool,
        storage_key: &str,
    ) -> Result<Pool, Error> {
        let query = Pairs::default().add("storage_key", storage_key);
        self.send(Request::post(["v1", "pools"]).query(query).json(pool)?)
            .await?
            .json()
    }

    /// Reads a pool. A training's id works too.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_pool(&self, pool_id: &str) -> Result<Pool, Error> {
        self.send(Request::get(["v1", "pools", pool_id]))
            .await?
            .json()
    }

    /// One page of pools.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_pools(&self, query: &PoolQuery) -> Result<Page<Pool>, Error> {
        self.find("pools", query).await
    }

    /// All pools that match, page by page, by id.
    pub fn pools(
        &self,
        query: PoolQuery,
    ) -> impl Stream<Item = Result<Pool, Error>> + Send + use<> {
        self.stream("pools", limits::CONTAINER_PAGE, query, |item: &Pool| {
            &item.id
        })
    }

    /// Replaces a pool; it must be closed.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is open, [`Error::Validation`] names the fields that the
    /// platform refuses.
    pub async fn update_pool(&self, pool_id: &str, pool: &Pool) -> Result<Pool, Error> {
        self.send(Request::put(["v1", "pools", pool_id]).json(pool)?)
            .await?
            .json()
    }

    /// Changes what may change while a pool is open.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is archived.
    pub async fn patch_pool(&self, pool_id: &str, patch: &PoolPatch) -> Result<Pool, Error> {
        self.send(Request::patch(["v1", "pools", pool_id]).json(patch)?)
            .await?
            .json()
    }

    /// Opens a pool. `None` when it is open already.
    ///
    /// # Errors
    /// [`Error::Conflict`]: [`EMPTY_POOL`](crate::codes::EMPTY_POOL),
    /// [`NOT_ENOUGH_BALANCE`](crate::codes::NOT_ENOUGH_BALANCE) and others.
    pub async fn open_pool(&self, pool_id: &str) -> Result<Option<Operation>, Error> {
        self.pool_action(pool_id, "open").await
    }

    /// Closes a pool. `None` when it is closed already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its state does not allow it.
    pub async fn close_pool(&self, pool_id: &str) -> Result<Option<Operation>, Error> {
        self.pool_action(pool_id, "close").await
    }

    /// Closes a pool for a change; it opens again by itself after 15 minutes. `None` when it is
    /// closed so already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its state does not allow it.
    pub async fn close_pool_for_update(&self, pool_id: &str) -> Result<Option<Operation>, Error> {
        self.pool_action(pool_id, "close-for-update").await
    }

    /// Puts a closed pool away, for good. `None` when it is away already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is open, or a rejection is younger than nine days.
    pub async fn archive_pool(&self, pool_id: &str) -> Result<Option<Operation>, Error> {
        self.pool_action(pool_id, "archive").await
    }

    /// Copies a pool without its tasks; [`Operation::cloned_id`] is the copy when it has ended.
    /// Not repeated after a lost answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn clone_pool(&self, pool_id: &str) -> Result<Operation, Error> {
        self.send(Request::post(["v1", "pools", pool_id, "clone"]))
            .await?
            .json()
    }

    /// Moves a pool to a state, which may be done twice.
    async fn pool_action(&self, pool_id: &str, action: &str) -> Result<Option<Operation>, Error> {
        let request = Request::post(["v1", "pools", pool_id, action]).repeatable();
        self.send(request).await?.json_if_any()
    }
}
