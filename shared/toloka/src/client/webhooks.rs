//! Webhook subscriptions.

use super::{Client, WebhookQuery, transport::Request};
use crate::{
    Error,
    types::{BatchCreated, Page, WebhookSubscription},
};

impl Client {
    /// Makes or changes subscriptions; pool, kind of event and address name one.
    ///
    /// # Errors
    /// See [`Error`]. Subscriptions that are refused one by one are in the answer.
    pub async fn upsert_webhook_subscriptions(
        &self,
        subscriptions: &[WebhookSubscription],
    ) -> Result<BatchCreated<WebhookSubscription>, Error> {
        self.send(Request::put(["v1", "webhook-subscriptions"]).json(subscriptions)?)
            .await?
            .json()
    }

    /// Reads a subscription; its secret is never told.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_webhook_subscription(&self, id: &str) -> Result<WebhookSubscription, Error> {
        self.send(Request::get(["v1", "webhook-subscriptions", id]))
            .await?
            .json()
    }

    /// One page of subscriptions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_webhook_subscriptions(
        &self,
        query: &WebhookQuery,
    ) -> Result<Page<WebhookSubscription>, Error> {
        self.send(Request::get(["v1", "webhook-subscriptions"]).query(query.pairs()))
            .await?
            .json()
    }
}
