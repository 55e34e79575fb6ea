//! Webhook subscriptions.

use std::time::Duration;

use futures_util::stream::{self, Stream};

use super::{Client, Cursor, WebhookQuery, transport::Request};
use crate::{
    Error,
    types::{BatchCreated, Page, WebhookSubscription, WebhookTest},
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
        self.find("webhook-subscriptions", query).await
    }

    /// All subscriptions that match, page by page, by time of creation.
    pub fn webhook_subscriptions(
        &self,
        query: WebhookQuery,
    ) -> impl Stream<Item = Result<WebhookSubscription, Error>> + Send + use<> {
        // Several may be made at the same time, and the list has no other key to page by.
        let follow = self
            .follow(query, WebhookQuery::CREATED, Cursor::default())
            .window(Duration::ZERO);
        stream::try_unfold(follow, |mut follow| async move {
            Ok(follow.next().await?.map(|item| (item, follow)))
        })
    }

    /// Ends a subscription. Tried again after a lost answer, so that [`Error::NotFound`] can also
    /// mean that an earlier try has ended it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_webhook_subscription(&self, id: &str) -> Result<(), Error> {
        let path = ["v1", "webhook-subscriptions", id];
        self.send(Request::delete(path)).await.map(drop)
    }

    /// Has the platform send a [`TEST_EVENT`](crate::types::EventType::TestEvent) to a
    /// subscription's address, and tells what came of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such subscription. A receiver that does not answer is
    /// no error: see [`WebhookTest::success`].
    pub async fn test_webhook_subscription(&self, id: &str) -> Result<WebhookTest, Error> {
        let path = ["v1", "webhook-subscriptions", id, "test"];
        self.send(Request::post(path).repeatable()).await?.json()
    }
}
