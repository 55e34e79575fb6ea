//! One HTTP client for everything: the AWS SDK and the Toloka client share its connections, its TLS
//! and its settings.
//!
//! The SDK brings a client of its own, with a second TLS stack and a folder of certificates to read
//! at start; [`ReqwestClient`] lets it use ours.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

/// How long a connection may take: the SDK's default. `reqwest` sets it for a whole client, so
/// [`HttpConnectorSettings::connect_timeout`] is not looked at.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// The longest silence while an answer arrives.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Servers drop connections that idle for a minute or so; a frozen function does not notice.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The client that a process builds once.
///
/// # Errors
/// One line: what cannot be set up.
pub fn client() -> Result<reqwest::Client, String> {
    builder()?
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| format!("cannot set up HTTP: {error}"))
}

/// A client to be, without a limit for how long a request may take to be sent and answered.
///
/// Plain HTTP is for loopback only, so it never goes through a proxy; HTTPS goes through
/// `HTTPS_PROXY` if that is set, except to what `NO_PROXY` names.
///
/// # Errors
/// One line: what cannot be set up.
pub fn builder() -> Result<reqwest::ClientBuilder, String> {
    let mut builder = quorate_toloka::http_builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        // Neither API redirects on its own account; following would send a body to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let proxy = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::https(proxy)
            .map_err(|_| "HTTPS_PROXY: expected a URL such as http://proxy.example:3128")?;
        builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()));
    }
    Ok(builder)
}

/// Lets the AWS SDK send its requests through a [`reqwest::Client`].
#[derive(Clone, Debug)]
pub struct ReqwestClient(reqwest::Client);

impl ReqwestClient {
    /// The client as the SDK takes it (`SdkConfig`'s `http_client`).
    #[must_use]
    pub fn shared(client: reqwest::Client) -> SharedHttpClient {
        SharedHttpClient::new(Self(client))
    }
}

impl HttpClient for ReqwestClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            client: self.0.clone(),
            first_byte: settings.read_timeout(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    client: reqwest::Client,
    /// How long the head of an answer may take.
    first_byte: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, first_byte) = (self.client.clone(), self.first_byte);
        HttpConnectorFuture::new(async move {
            let sent = client.execute(to_reqwest(request)?);
            let response = match first_byte {
                Some(limit) => tokio::time::timeout(limit, sent)
                    .await
                    .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
                None => sent.await,
            };
            from_reqwest(response.map_err(sort)?)
        })
    }
}

fn to_reqwest(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?
        .map(reqwest::Body::wrap);
    let path = request.uri().path().to_owned();
    let request: reqwest::Request = request.try_into().map_err(sort)?;
    if request.url().path() != path {
        // It would be another object, and the signature would not be right either.
        return Err(ConnectorError::user(
            format!("{path}: a path with `.` or `..` in it cannot be asked for").into(),
        ));
    }
    Ok(request)
}

/// The body stays a stream: the SDK watches that it does not stall.
fn from_reqwest(response: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    http::Response::<reqwest::Body>::from(response)
        .map(SdkBody::from_body_1_x)
        .try_into()
        .map_err(|error: aws_smithy_runtime_api::http::HttpError| {
            ConnectorError::other(error.into(), None)
        })
}

/// Sorts an error as the SDK's retries expect it. The address is cut off: it may be presigned.
fn sort(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_connect() {
        ConnectorError::io(error.into()).never_connected()
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else if error.is_request() || error.is_body() {
        ConnectorError::io(error.into())
    } else {
        ConnectorError::other(error.into(), None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::body::Bytes;
    use axum::http::{HeaderMap, Method, StatusCode, Uri};
    use axum::routing::{any, get, post};
    use tokio::net::TcpListener;

    use super::*;

    async fn serve(router: axum::Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
        base
    }

    fn connector(first_byte: Option<Duration>) -> Connector {
        Connector {
            client: client().unwrap(),
            first_byte,
        }
    }

    fn request(method: &str, uri: String, body: &'static str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).unwrap();
        request.set_uri(uri).unwrap();
        request
    }

    #[tokio::test]
    async fn a_request_arrives_whole_and_so_does_its_answer() {
        let echo = any(
            |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
                let (length, mine) = (&headers["content-length"], &headers["x-amz-target"]);
                let seen = format!(
                    "{method} {uri} {} {} {}",
                    length.to_str().unwrap(),
                    mine.to_str().unwrap(),
                    String::from_utf8_lossy(&body)
                );
                ([("x-amz-version-id", "v1")], seen)
            },
        );
        let base = serve(axum::Router::new().fallback(echo)).await;
        let mut request = request("PUT", format!("{base}/a%2Fb%20c/?x=%2B"), "body");
        request.headers_mut().insert("x-amz-target", "Put");
        let response = connector(None).call(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers().get("x-amz-version-id"), Some("v1"));
        let body = aws_smithy_types::byte_stream::ByteStream::new(response.into_body())
            .collect()
            .await
            .unwrap();
        assert_eq!(body.into_bytes(), "PUT /a%2Fb%20c/?x=%2B 4 Put body");
    }

    #[tokio::test]
    async fn the_sdk_tries_again_through_it() {
        use aws_sdk_dynamodb::config::retry::RetryConfig;
        use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let table = post(
            async move || match counted.fetch_add(1, Ordering::Relaxed) {
                0 => (StatusCode::SERVICE_UNAVAILABLE, "{}"),
                _ => (StatusCode::OK, r#"{"TableNames":["quorate"]}"#),
            },
        );
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .region(Region::new("eu-west-1"))
            .endpoint_url(serve(axum::Router::new().route("/", table)).await)
            .http_client(ReqwestClient::shared(client().unwrap()))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .build();
        let tables = aws_sdk_dynamodb::Client::from_conf(config).list_tables();
        assert_eq!(tables.send().await.unwrap().table_names(), ["quorate"]);
        assert_eq!(tries.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let away = get(|| async { axum::response::Redirect::temporary("http://127.0.0.1:9/") });
        let base = serve(axum::Router::new().route("/", away)).await;
        let response = connector(None)
            .call(request("GET", base, ""))
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 307);
    }

    #[tokio::test]
    async fn a_failure_is_sorted_as_the_retries_expect_it() {
        // Nobody listens on a port that was just given back.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = connector(None).call(request("GET", closed, "")).await;
        assert!(error.unwrap_err().is_io());

        // The kernel takes the connection; nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", silent.local_addr().unwrap());
        let short = Some(Duration::from_millis(20));
        let error = connector(short).call(request("GET", base, "")).await;
        assert!(error.unwrap_err().is_timeout());

        let breaking = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", breaking.local_addr().unwrap());
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = breaking.accept().await {
                drop(stream);
            }
        }));
        let error = connector(None).call(request("GET", base, "")).await;
        assert!(error.unwrap_err().is_io());

        for unsendable in ["/relative", "http://127.0.0.1:9/bucket/a/../b"] {
            let request = request("GET", unsendable.to_owned(), "");
            let error = connector(None).call(request).await;
            assert!(error.unwrap_err().is_user(), "{unsendable}");
        }
    }
}
