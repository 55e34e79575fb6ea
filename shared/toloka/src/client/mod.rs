//! The client: one method a request, streams on top.

mod aggregated;
mod assignments;
mod attachments;
mod builder;
mod clone;
mod credentials;
mod follow;
mod messages;
mod operations;
mod pools;
mod projects;
mod query;
mod requester;
mod skills;
mod stream;
mod tasks;
mod trainings;
mod transport;
mod tsv;
mod users;
mod webhooks;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use reqwest::{Url, header::HeaderMap};

use self::credentials::Credentials;
pub use self::{
    attachments::Download,
    builder::ClientBuilder,
    clone::ClonedProject,
    follow::{Cursor, Follow, TimeKey, WINDOW},
    operations::WaitPolicy,
    query::{
        AggregatedSolutionQuery, AssignmentQuery, AttachmentQuery, Bounds, MessageThreadQuery,
        OperationQuery, PoolQuery, ProjectQuery, SkillQuery, TaskQuery, UserBonusQuery,
        UserRestrictionQuery, UserSkillQuery, WebhookQuery,
    },
    tasks::CreateOptions,
    tsv::{AssignmentsTsv, TsvColumn, TsvQuery, TsvRow, TsvStatus},
};
use crate::retry::{Random, RetryPolicy};

/// Toloka.
pub const TOLOKA: &str = "https://toloka.dev";
/// Toloka's sandbox: the same without money.
pub const TOLOKA_SANDBOX: &str = "https://sandbox.toloka.dev";
/// Yandex Tasks, which documents the same API.
pub const YANDEX_TASKS: &str = "https://tasks.yandex.ru";

/// A client of the Toloka API. Cheap to clone; clones share their connections.
///
/// Every method is exactly one request, so that each call is a point at which a caller may crash and
/// start again, but for the streams over lists, what waits for an operation, and
/// [`Client::clone_project`]. A request that is safe to repeat is sent again by the [`RetryPolicy`].
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    /// Sent with every request, beside the credentials.
    headers: HeaderMap,
    timeout: Duration,
    retry: RetryPolicy,
    random: Random,
    sleep: Sleep,
    pace: Option<Pace>,
}

/// How the client waits: between tries, while an operation runs, and for its turn.
type Sleep = Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// How long to wait before a request may be sent; zero if it may be sent now, and is counted.
type Pace = Box<dyn Fn() -> Duration + Send + Sync>;

impl Client {
    /// Starts a client of the API at `base_url`, such as [`TOLOKA`] or `http://127.0.0.1:8080`.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url.into())
    }

    /// The address without credentials.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.inner.base
    }

    async fn sleep(&self, duration: Duration) {
        (self.inner.sleep)(duration).await;
    }

    /// Waits until the pace lets a request through.
    async fn take_turn(&self) {
        let Some(pace) = &self.inner.pace else {
            return;
        };
        loop {
            let wait = pace();
            if wait.is_zero() {
                return;
            }
            self.sleep(wait).await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.inner.base.as_str())
            .finish_non_exhaustive()
    }
}
