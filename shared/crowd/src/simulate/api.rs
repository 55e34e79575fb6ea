//! The worker API of the platform, as a client sees it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// Why a request of a simulated worker failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No reply came.
    #[error("{request}: the crowd platform did not answer; is it running at this address?")]
    NoReply {
        /// Method and path.
        request: String,
        /// What went wrong on the way.
        source: reqwest::Error,
    },
    /// The platform refused.
    #[error("{request}: refused with status {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The platform's `code` and `message`, or the start of what it said.
        message: String,
    },
    /// The reply is not what the worker API promises.
    #[error(
        "{request}: the reply cannot be read; do the platform and the simulation have the same version?"
    )]
    Unreadable {
        /// Method and path.
        request: String,
        /// What is wrong with the reply.
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the platform answered and said no to this very request, so that repeating it is useless.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400..=499,
                ..
            }
        ) && !self.is_about_sign_in()
    }

    /// Whether the platform itself failed, as it does when its disk is full.
    pub(super) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 500..=599,
                ..
            }
        )
    }

    /// Whether the worker has to sign in (again).
    pub(super) fn is_about_sign_in(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
            || matches!(self, Self::Refused { status: 403, message, .. } if message.starts_with("AUTHENTICATION_ERROR"))
    }
}

/// Who the worker is to the platform, and the token for its other requests.
#[derive(Debug, Deserialize)]
pub(super) struct SignedIn {
    pub(super) worker_id: String,
    pub(super) token: String,
}

#[derive(Debug, Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

/// A pool that the worker may work in.
#[derive(Debug, Deserialize)]
pub(super) struct Pool {
    pub(super) pool_id: String,
    pub(super) project_id: String,
    #[serde(default)]
    pub(super) reward: f64,
    #[serde(default)]
    pub(super) training: bool,
    pub(super) task_spec: Value,
}

#[derive(Debug, Deserialize)]
struct Taken {
    assignment: Option<Assignment>,
}

/// A page of tasks that the worker has taken.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Assignment {
    pub(super) id: String,
    pub(super) project_id: String,
    #[serde(deserialize_with = "utc")]
    pub(super) expires: Timestamp,
    #[serde(default)]
    pub(super) training: bool,
    pub(super) tasks: Vec<Task>,
    /// The project's page, where the platform shows it with the assignment; else it stands in the list of pools.
    #[serde(default)]
    pub(super) task_spec: Option<Value>,
}

/// One task on a page.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Task {
    pub(super) input_values: Map<String, Value>,
}

/// What the platform says to a submitted page.
#[derive(Debug, Deserialize)]
pub(super) struct Submitted {
    pub(super) status: String,
    #[serde(default)]
    pub(super) hints: Vec<Hint>,
}

/// A task of a training that was answered wrongly.
#[derive(Debug, Deserialize)]
pub(super) struct Hint {
    pub(super) task_index: usize,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
struct Me {
    banned: bool,
}

/// The API writes UTC without a zone.
fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: DateTime = text.parse().map_err(serde::de::Error::custom)?;
    time.to_zoned(TimeZone::UTC)
        .map(|zoned| zoned.timestamp())
        .map_err(serde::de::Error::custom)
}

/// Speaks the worker API at one address.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) http: Client,
    base_url: String,
}

impl Api {
    pub(super) fn new(http: Client, base_url: &str) -> Self {
        Self {
            http,
            base_url: base_url.trim_end_matches('/').to_owned(),
        }
    }

    /// Signs a worker up or in.
    pub(super) async fn sign_in(&self, body: &Value) -> Result<SignedIn, Error> {
        self.call(Method::POST, "/workers", None, Some(body)).await
    }

    pub(super) async fn pools(&self, token: &str) -> Result<Vec<Pool>, Error> {
        Ok(self
            .call::<Items<_>>(Method::GET, "/pools", Some(token), None)
            .await?
            .items)
    }

    pub(super) async fn is_banned(&self, token: &str) -> Result<bool, Error> {
        Ok(self
            .call::<Me>(Method::GET, "/me", Some(token), None)
            .await?
            .banned)
    }

    pub(super) async fn take(
        &self,
        token: &str,
        pool_id: &str,
    ) -> Result<Option<Assignment>, Error> {
        let path = format!("/pools/{pool_id}/assignments");
        Ok(self
            .call::<Taken>(Method::POST, &path, Some(token), None)
            .await?
            .assignment)
    }

    pub(super) async fn active(&self, token: &str) -> Result<Vec<Assignment>, Error> {
        Ok(self
            .call::<Items<_>>(Method::GET, "/assignments?status=ACTIVE", Some(token), None)
            .await?
            .items)
    }

    pub(super) async fn submit(
        &self,
        token: &str,
        id: &str,
        answers: Vec<Value>,
    ) -> Result<Submitted, Error> {
        let solutions: Vec<Value> = answers
            .into_iter()
            .map(|output| json!({ "output_values": output }))
            .collect();
        let body = json!({ "solutions": solutions });
        self.call(
            Method::POST,
            &format!("/assignments/{id}/submit"),
            Some(token),
            Some(&body),
        )
        .await
    }

    /// Gives a page back: `way` is `skip` or `exit`.
    pub(super) async fn give_back(&self, token: &str, id: &str, way: &str) -> Result<(), Error> {
        let path = format!("/assignments/{id}/{way}");
        self.call::<Value>(Method::POST, &path, Some(token), None)
            .await
            .map(drop)
    }

    /// Uploads a small text file for a page; returns its id.
    pub(super) async fn upload(&self, token: &str, id: &str) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct File {
            id: String,
        }
        let path = format!("/assignments/{id}/attachments?name=simulated.txt");
        let (name, request) = self.request(Method::POST, &path, Some(token));
        let request = request
            .header("Content-Type", "text/plain")
            .body("A file of a simulated worker.\n");
        Ok(reply::<File>(name, request).await?.id)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let (name, mut request) = self.request(method, path, token);
        if let Some(body) = body {
            request = request.json(body);
        }
        reply(name, request).await
    }

    /// A request and what errors call it.
    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
    ) -> (String, reqwest::RequestBuilder) {
        let name = format!("{method} /api/worker/v1{path}");
        let mut request = self
            .http
            .request(method, format!("{}/api/worker/v1{path}", self.base_url));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Worker {token}"));
        }
        (name, request)
    }
}

/// The answer to a request.
async fn reply<T: DeserializeOwned>(
    name: String,
    request: reqwest::RequestBuilder,
) -> Result<T, Error> {
    let (status, bytes) = match exchange(request).await {
        Ok(reply) => reply,
        Err(source) => {
            return Err(Error::NoReply {
                request: name,
                source,
            });
        }
    };
    if !status.is_success() {
        return Err(Error::Refused {
            request: name,
            status: status.as_u16(),
            message: refusal(&bytes),
        });
    }
    let text = if bytes.is_empty() {
        b"null"
    } else {
        bytes.as_slice()
    };
    serde_json::from_slice(text).map_err(|source| Error::Unreadable {
        request: name,
        source,
    })
}

async fn exchange(
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let reply = request.send().await?;
    let status = reply.status();
    Ok((status, reply.bytes().await?.into()))
}

fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
        message: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { code, message }) => format!("{code}: {message}"),
        Err(_) => String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}
