//! Settings of a client.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    redirect,
};

use super::{
    Client, Inner, Pace, Sleep,
    credentials::{Credentials, Renew},
};
use crate::{
    Error, Secret,
    retry::{Random, RetryPolicy},
};

const ACT_UNDER_ACCOUNT: HeaderName = HeaderName::from_static("x-act-under-account-id");

/// Settings of a [`Client`]; start with [`Client::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    base_url: String,
    http: Option<reqwest::Client>,
    credentials: Option<(&'static str, Secret)>,
    renew: Option<Renew>,
    account: Option<String>,
    user_agent: String,
    timeout: Duration,
    retry: RetryPolicy,
    seed: Option<u64>,
    sleep: Sleep,
    pace: Option<Pace>,
}

impl ClientBuilder {
    pub(super) fn new(base_url: String) -> Self {
        Self {
            base_url,
            http: None,
            credentials: None,
            renew: None,
            account: None,
            user_agent: concat!("quorate-toloka/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            seed: None,
            sleep: Box::new(|duration| Box::pin(tokio::time::sleep(duration))),
            pace: None,
        }
    }

    /// Signs in with an API key, Toloka's present scheme.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.credentials = Some(("ApiKey", key.into()));
        self
    }

    /// Signs in with an OAuth token, the scheme of Yandex Tasks and of Toloka's past.
    pub fn oauth(mut self, token: impl Into<Secret>) -> Self {
        self.credentials = Some(("OAuth", token.into()));
        self
    }

    /// Where another key comes from while the client lives, for keys that are rotated: asked with
    /// the refused key when the platform answers 401 or 403. If there is another one, the request
    /// is sent once more with that, and so is everything after it; if not (none, or the same
    /// again), the refusal stands.
    pub fn renew_with<F, Fut>(mut self, renew: F) -> Self
    where
        F: Fn(Secret) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Secret>> + Send + 'static,
    {
        self.renew = Some(Box::new(move |refused| Box::pin(renew(refused))));
        self
    }

    /// Sends through `http`, to share its connections, instead of a client of its own. Its connect
    /// and read timeouts hold, it must not follow redirects, and whether it goes through a proxy is
    /// its affair.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Acts for another account of the same company.
    pub fn act_under_account(mut self, account_id: impl Into<String>) -> Self {
        self.account = Some(account_id.into());
        self
    }

    /// Names the program that calls; `quorate-toloka/<version>` by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How long one try may take, 10 s by default; for a download the longest silence.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When requests are sent again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Fixes the random part of the waits; different for each client by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Replaces the timer that waits between tries and while operations run.
    pub fn sleep_with<F, Fut>(mut self, sleep: F) -> Self
    where
        F: Fn(Duration) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.sleep = Box::new(move |duration| Box::pin(sleep(duration)));
        self
    }

    /// Sends requests at a pace, those that are repeated, too, for who shares an account's
    /// [limit](crate::limits) with others. `pace` is asked before every request how long to wait,
    /// and again when that has passed; zero lets the request through.
    pub fn pace_with(mut self, pace: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.pace = Some(Box::new(pace));
        self
    }

    /// Builds the client. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] when the address is not an HTTP address, asks for HTTPS in a build without
    /// the `tls` feature, or a setting cannot be sent in a header.
    pub fn build(self) -> Result<Client, Error> {
        let base = parse_base(&self.base_url)?;
        if base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!(url = %base, "credentials travel unencrypted over plain HTTP");
        }
        let headers = self.headers()?;
        let (scheme, secret) = self
            .credentials
            .ok_or_else(|| Error::Usage("no credentials: call `api_key` or `oauth`".into()))?;
        let http = match self.http {
            Some(http) => http,
            None => http_client(&base, self.timeout)?,
        };
        let seed = self
            .seed
            .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                base,
                credentials: Credentials::new(scheme, secret, self.renew)?,
                headers,
                timeout: self.timeout,
                retry: self.retry,
                random: Random::new(seed),
                sleep: self.sleep,
                pace: self.pace,
            }),
        })
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        if let Some(account) = &self.account {
            headers.insert(ACT_UNDER_ACCOUNT, header("account", account)?);
        }
        headers.insert(USER_AGENT, header("user agent", &self.user_agent)?);
        Ok(headers)
    }
}

/// An HTTP client for `base` alone.
fn http_client(base: &Url, timeout: Duration) -> Result<reqwest::Client, Error> {
    let mut builder = crate::http_builder()
        .connect_timeout(timeout)
        .read_timeout(timeout)
        // The API never redirects; following would send the body to somebody else.
        .redirect(redirect::Policy::none());
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Error::Usage(format!("cannot set up HTTP: {error}")))
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

pub(super) fn header(name: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|_| {
        Error::Usage(format!(
            "the {name} has characters that a header cannot have"
        ))
    })
}

/// Checks the address. Messages do not repeat it whole: it may hold a password.
fn parse_base(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text)
        .map_err(|error| Error::Usage(format!("the base URL is not a URL: {error}")))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => {
            return Err(Error::Usage(
                "the base URL asks for HTTPS, but this program is built without it: build with \
                 the feature `tls` of quorate-toloka"
                    .into(),
            ));
        }
        scheme => {
            return Err(Error::Usage(format!(
                "the base URL begins with `{scheme}:`, not `https:`"
            )));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Usage(
            "the base URL holds a user or password; use `api_key`".into(),
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Usage("the base URL has a query or fragment".into()));
    }
    if url.path().trim_end_matches('/').ends_with("/api/v1")
        || url.path().trim_end_matches('/').ends_with("/api")
    {
        return Err(Error::Usage(
            "the base URL is the address without `/api/v1`, such as https://toloka.dev".into(),
        ));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}
