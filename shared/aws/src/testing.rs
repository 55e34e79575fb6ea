//! A service on loopback in the place of AWS, for tests of what goes over the wire.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::config::Account;
use crate::connection::Connection;

/// A request to AWS.
pub(crate) struct Asked {
    /// The operation of a JSON protocol, such as `AWSEvents.PutEvents`; else the HTTP method.
    pub(crate) operation: String,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Serves `answer` as all of AWS until the test ends; the endpoint.
pub(crate) async fn serve<F>(answer: F) -> String
where
    F: Fn(Asked) -> Response + Clone + Send + Sync + 'static,
{
    let handler = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let target = headers.get("x-amz-target");
        let operation = target.map_or(method.as_str(), |target| target.to_str().unwrap());
        answer(Asked {
            operation: operation.to_owned(),
            uri,
            headers,
            body,
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(tokio::spawn(async move {
        let router = Router::new().fallback(handler);
        axum::serve(listener, router).await.unwrap();
    }));
    endpoint
}

/// A connection to what [`serve`] serves, without retries.
pub(crate) async fn connect<F>(answer: F) -> Connection
where
    F: Fn(Asked) -> Response + Clone + Send + Sync + 'static,
{
    Connection::open(Account {
        region: "eu-west-1".to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "hush".into(),
        session_token: None,
        endpoint: Some(serve(answer).await),
    })
    .unwrap()
    .trying_once()
}

/// An answer of a JSON protocol.
pub(crate) fn json_answer(value: &Value) -> Response {
    axum::Json(value).into_response()
}

/// A refusal of a JSON protocol.
pub(crate) fn json_refusal(code: &str) -> Response {
    let body = json!({"__type": code, "message": "no", "Message": "no"});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}
