//! Workers: restrictions, bonuses, what the platform tells about them.

use futures_util::Stream;

use super::{Client, CreateOptions, UserBonusQuery, UserRestrictionQuery, transport::Request};
use crate::{
    Error, limits,
    types::{BatchCreated, Operation, Page, UserBonus, UserMetadata, UserRestriction},
};

impl Client {
    /// Keeps a worker out of a pool, a project or all projects.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn set_user_restriction(
        &self,
        restriction: &UserRestriction,
    ) -> Result<UserRestriction, Error> {
        self.send(Request::put(["v1", "user-restrictions"]).json(restriction)?)
            .await?
            .json()
    }

    /// Reads a restriction.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_user_restriction(
        &self,
        restriction_id: &str,
    ) -> Result<UserRestriction, Error> {
        self.send(Request::get(["v1", "user-restrictions", restriction_id]))
            .await?
            .json()
    }

    /// One page of restrictions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_user_restrictions(
        &self,
        query: &UserRestrictionQuery,
    ) -> Result<Page<UserRestriction>, Error> {
        self.find("user-restrictions", query).await
    }

    /// All restrictions that match, page by page, by id.
    pub fn user_restrictions(
        &self,
        query: UserRestrictionQuery,
    ) -> impl Stream<Item = Result<UserRestriction, Error>> + Send + use<> {
        self.stream(
            "user-restrictions",
            limits::RESTRICTION_PAGE,
            query,
            |item: &UserRestriction| &item.id,
        )
    }

    /// Lifts a restriction. Tried again after a lost answer, so that [`Error::NotFound`] can also
    /// mean that an earlier try has lifted it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_user_restriction(&self, restriction_id: &str) -> Result<(), Error> {
        let path = ["v1", "user-restrictions", restriction_id];
        self.send(Request::delete(path)).await.map(drop)
    }

    /// Pays a bonus, asynchronously, like [`Client::create_user_bonuses`].
    ///
    /// # Errors
    /// Like [`Client::create_user_bonuses`].
    pub async fn create_user_bonus(
        &self,
        bonus: &UserBonus,
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("user-bonuses", bonus, options, true).await
    }

    /// Pays a bonus and waits for it in one request. Safe to repeat.
    ///
    /// # Errors
    /// Like [`Client::create_user_bonuses`]; [`Error::Validation`] names the refused fields.
    pub async fn create_user_bonus_now(
        &self,
        bonus: &UserBonus,
        options: &CreateOptions,
    ) -> Result<UserBonus, Error> {
        self.create("user-bonuses", bonus, options, false).await
    }

    /// Pays bonuses, asynchronously: the operation's log tells which were paid. Safe to repeat. The
    /// options `open_pool` and `allow_defaults` do not apply.
    ///
    /// # Errors
    /// [`Error::OperationAlreadyExists`] when the `operation_id` was used before: read that
    /// operation.
    pub async fn create_user_bonuses(
        &self,
        bonuses: &[UserBonus],
        options: &CreateOptions,
    ) -> Result<Operation, Error> {
        self.create("user-bonuses", bonuses, options, true).await
    }

    /// Pays up to 100 bonuses and waits for them in one request. Safe to repeat, but after a lost
    /// answer only the operation's log tells which were paid.
    ///
    /// # Errors
    /// Like [`Client::create_user_bonuses`].
    pub async fn create_user_bonuses_now(
        &self,
        bonuses: &[UserBonus],
        options: &CreateOptions,
    ) -> Result<BatchCreated<UserBonus>, Error> {
        self.create("user-bonuses", bonuses, options, false).await
    }

    /// Reads a bonus.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_user_bonus(&self, bonus_id: &str) -> Result<UserBonus, Error> {
        self.send(Request::get(["v1", "user-bonuses", bonus_id]))
            .await?
            .json()
    }

    /// One page of bonuses.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_user_bonuses(
        &self,
        query: &UserBonusQuery,
    ) -> Result<Page<UserBonus>, Error> {
        self.find("user-bonuses", query).await
    }

    /// All bonuses that match, page by page, by id.
    pub fn user_bonuses(
        &self,
        query: UserBonusQuery,
    ) -> impl Stream<Item = Result<UserBonus, Error>> + Send + use<> {
        self.stream(
            "user-bonuses",
            limits::BONUS_PAGE,
            query,
            |item: &UserBonus| &item.id,
        )
    }

    /// What the platform tells about a worker.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_user(&self, user_id: &str) -> Result<UserMetadata, Error> {
        self.send(Request::get(["v1", "user-metadata", user_id]))
            .await?
            .json()
    }
}
