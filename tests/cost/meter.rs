//! Counts the requests that pass on their way to a service.
//!
//! What is counted is what is sent, retries included.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::units::{self, Units};

/// Requests by what was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Requests by service and operation, such as `S3 GetObject`.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Units of DynamoDB.
    pub(crate) units: Units,
}

impl Counts {
    /// Requests whose name begins with `prefix`.
    pub(crate) fn of(&self, prefix: &str) -> u64 {
        let some = self
            .requests
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        some.map(|(_, count)| count).sum()
    }

    /// Adds what `other` counts.
    pub(crate) fn add(&mut self, other: &Self) {
        for (name, count) in &other.requests {
            *self.requests.entry(name.clone()).or_default() += count;
        }
        self.units.writes += other.units.writes;
        self.units.reads += other.units.reads;
    }
}

/// A way to a service that counts; it lasts as long as the process.
#[derive(Clone)]
pub(crate) struct Meter {
    /// Where to send to instead.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    counts: Mutex<Counts>,
}

impl Meter {
    /// A way to `upstream`.
    pub(crate) async fn start(upstream: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: quorate_toloka::http_builder().no_proxy().build()?,
            counts: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { url, shared })
    }

    /// What was counted since it was asked for last.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut *self.shared.lock())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn forward(&self, request: Request) -> Result<Response> {
        let (head, body) = request.into_parts();
        let mut body = to_bytes(body, usize::MAX).await?;
        let mut name = name(&head);
        let operation = name.strip_prefix("DynamoDB ").map(str::to_owned);
        let mut asked = Value::Null;
        if operation.is_some() {
            asked = serde_json::from_slice(&body).context("a request to DynamoDB")?;
            units::ask(&mut asked);
            body = serde_json::to_vec(&asked)?.into();
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        // The host stays: it is signed in presigned addresses.
        let mut headers = head.headers.clone();
        for given in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            headers.remove(given);
        }
        let answer = self
            .client
            .request(head.method.clone(), format!("{}{path}", self.upstream))
            .headers(headers)
            .body(body)
            .send()
            .await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        let body = answer.bytes().await?;
        let mut taken = Units::default();
        if !(status.is_success() || status.is_redirection()) {
            name.push_str(&format!(" ({})", status.as_u16()));
        } else if let Some(operation) = &operation {
            taken = units::taken(operation, &asked, &serde_json::from_slice(&body)?);
        }
        self.lock().add(&Counts {
            requests: BTreeMap::from([(name, 1)]),
            units: taken,
        });
        Ok((status, headers, Body::from(body)).into_response())
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answer = shared.forward(request).await;
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

/// Service and operation of a request.
fn name(head: &Parts) -> String {
    let path = head.uri.path();
    let header = |name: &str| text(&head.headers, name);
    if header("authorization").starts_with("ApiKey") {
        let words: Vec<&str> = path.split('/').skip(3).map(word).collect();
        return format!("{} /{}", head.method, words.join("/"));
    }
    match header("x-amz-target").split_once('.') {
        Some((service, operation)) => {
            let service = match service {
                "AWSEvents" => "EventBridge",
                "secretsmanager" => "Secrets Manager",
                other => other.split('_').next().unwrap_or(other),
            };
            format!("{service} {operation}")
        }
        None => format!("S3 {}", object_operation(head)),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A segment of a path of Toloka's API; ids, which are numbers and UUIDs, are all alike.
fn word(segment: &str) -> &str {
    if segment.len() == 36 || segment.bytes().all(|byte| byte.is_ascii_digit()) {
        "{id}"
    } else {
        segment
    }
}

/// What is asked of S3, whose buckets are the first segment of a path.
fn object_operation(head: &Parts) -> &'static str {
    let is_bucket = head.uri.path().trim_matches('/').split('/').count() < 2;
    match (head.method.as_str(), is_bucket) {
        ("GET", true) => "ListObjects",
        ("GET", false) => "GetObject",
        ("HEAD", true) => "HeadBucket",
        ("HEAD", false) => "HeadObject",
        ("PUT", _) => "PutObject",
        _ => "other",
    }
}
