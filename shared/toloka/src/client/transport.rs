//! One request: how it is sent, sent again, and how its answer is read.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Client, query::Pairs};
use crate::{
    Error, Secret,
    error::{Call, Failure, TransportKind},
    retry::Retries,
};

/// A request that is not sent yet.
pub(super) struct Request {
    method: Method,
    /// Below `/api`, not encoded.
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    repeatable: bool,
}

impl Request {
    fn new<'a>(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        // POST creates or starts something and PATCH is not promised to be idempotent.
        let repeatable = matches!(method, Method::GET | Method::PUT | Method::DELETE);
        Self {
            method,
            path: path.into_iter().map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            repeatable,
        }
    }

    pub(super) fn get<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn patch<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(super) fn delete<'a>(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn query(mut self, pairs: Pairs) -> Self {
        self.query.extend(pairs.into_vec());
        self
    }

    pub(super) fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::Usage(format!("cannot write the request as JSON: {error}")))?;
        self.body = Some(bytes.into());
        Ok(self)
    }

    /// States that sending it twice does its work once.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The address. Every segment is encoded, so that an id cannot reach another route.
    fn url(&self, base: &Url) -> Result<Url, Error> {
        let mut url = base.clone();
        {
            let mut segments = url
                .path_segments_mut()
                .map_err(|()| Error::Usage("the base URL cannot have a path".into()))?;
            segments.pop_if_empty().push("api");
            for segment in &self.path {
                // `Url` would drop the dots, and an empty id would name the whole list.
                if matches!(segment.as_str(), "" | "." | "..") {
                    return Err(Error::Usage(format!("`{segment}` is not an id")));
                }
                segments.push(segment);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// A successful answer.
pub(super) struct Reply {
    call: Call,
    status: StatusCode,
    body: Bytes,
}

impl Reply {
    /// Reads the body as JSON; an error tells where in it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| Error::Decode {
            call: self.call.clone(),
            at: error.path().to_string(),
            reason: error.into_inner().to_string(),
        })
    }

    /// `None` when the platform had nothing to do or nothing to say.
    pub(super) fn json_if_any<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        if self.status == StatusCode::NO_CONTENT || self.body.is_empty() {
            return Ok(None);
        }
        self.json().map(Some)
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&self, request: Request) -> Result<Reply, Error> {
        let mut retries = Retries::new(&self.inner.retry, &self.inner.random);
        loop {
            match self.attempt(&request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => self.pause(&mut retries, &request, error).await?,
            }
        }
    }

    /// Sends a request and leaves the body of the answer to be read bit by bit.
    pub(super) async fn download(&self, request: Request) -> Result<(Call, Response), Error> {
        let mut retries = Retries::new(&self.inner.retry, &self.inner.random);
        loop {
            match self.start(&request, None).await {
                Ok(started) => return Ok(started),
                Err(error) => self.pause(&mut retries, &request, error).await?,
            }
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Reply, Error> {
        let (call, response) = self.start(request, Some(self.inner.timeout)).await?;
        let status = response.status();
        match response.bytes().await {
            Ok(body) => Ok(Reply { call, status, body }),
            Err(source) => Err(transport_error(call, source)),
        }
    }

    /// Sends, once more if the key is refused and there is another one, and returns when the head
    /// of a successful answer is there.
    async fn start(
        &self,
        request: &Request,
        timeout: Option<Duration>,
    ) -> Result<(Call, Response), Error> {
        let secret = self.inner.credentials.current();
        match self.start_as(&secret, request, timeout).await {
            Err(refusal @ Error::Auth(_)) => {
                match self.inner.credentials.other_than(&secret).await {
                    Some(other) => self.start_as(&other, request, timeout).await,
                    None => Err(refusal),
                }
            }
            answer => answer,
        }
    }

    /// Sends once, signed in with `secret`.
    async fn start_as(
        &self,
        secret: &Secret,
        request: &Request,
        timeout: Option<Duration>,
    ) -> Result<(Call, Response), Error> {
        let url = request.url(&self.inner.base)?;
        let call = Call {
            method: request.method.clone(),
            path: url.path().to_owned(),
        };
        let mut http = self
            .inner
            .http
            .request(request.method.clone(), url)
            .headers(self.inner.headers.clone())
            .header(AUTHORIZATION, self.inner.credentials.header(secret)?);
        if let Some(timeout) = timeout {
            http = http.timeout(timeout);
        }
        if let Some(body) = &request.body {
            http = http
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        self.take_turn().await;
        tracing::debug!(%call, "request");
        let response = match http.send().await {
            Ok(response) => response,
            Err(source) => return Err(transport_error(call, source)),
        };
        if response.status().is_success() {
            return Ok((call, response));
        }
        let (status, wait) = (response.status(), retry_after(response.headers()));
        // The status already says that it failed; a broken body only loses the reason.
        let body = response.bytes().await.unwrap_or_default();
        Err(Error::from_failure(
            Failure::read(call, status, &body),
            wait,
        ))
    }

    /// Waits before the next try, or tells how the call ended.
    async fn pause(
        &self,
        retries: &mut Retries<'_>,
        request: &Request,
        error: Error,
    ) -> Result<(), Error> {
        tracing::debug!(%error, "a try failed");
        let wait = retries.next_wait(error, request.repeatable)?;
        self.sleep(wait).await;
        Ok(())
    }
}

/// The error of a call without an answer; its URL, which has the query, is cut off.
pub(super) fn transport_error(call: Call, source: reqwest::Error) -> Error {
    let kind = if source.is_connect() {
        TransportKind::Connect
    } else if source.is_timeout() {
        TransportKind::Timeout
    } else {
        TransportKind::Broken
    };
    Error::Transport {
        call,
        kind,
        source: source.without_url(),
    }
}

/// `Retry-After` in seconds, or as a date, which is counted from the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let value = text(RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date =
        |text| -> Option<Timestamp> { rfc2822::DateTimeParser::new().parse_timestamp(text).ok() };
    let wait = date(value)?.duration_since(date(text(DATE)?)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}
