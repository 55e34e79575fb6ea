//! A real HTTP server on loopback that answers from a script and remembers what it was asked.

use std::{
    collections::VecDeque,
    future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body},
    extract::{Query, Request, State},
    http::{HeaderMap, Response},
};
use quorate_toloka::{Client, ClientBuilder, RetryPolicy};
use serde_json::Value;
use tokio::net::TcpListener;

/// One answer of the script.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    hangs: bool,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            hangs: false,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::text(status, "")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Never answers.
    pub(crate) fn hang() -> Self {
        Self {
            hangs: true,
            ..Self::empty(200)
        }
    }
}

/// One request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
}

pub(crate) struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            replies: replies.into_iter().collect(),
            seen: Vec::new(),
        }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, script }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn push(&self, reply: Reply) {
        self.script.lock().unwrap().replies.push_back(reply);
    }

    /// What was asked since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.script.lock().unwrap().seen)
    }

    /// A client that sends every request once.
    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder(self.url()).api_key("secret-key");
        builder.retry(RetryPolicy::never()).build().unwrap()
    }

    /// A client with the usual retries, and the waits that it would have slept.
    pub(crate) fn retrying_client(&self) -> (Client, Waits) {
        let (sleep, waits) = recorded_sleep();
        (
            builder(&self.url()).sleep_with(sleep).build().unwrap(),
            waits,
        )
    }
}

pub(crate) fn builder(url: &str) -> ClientBuilder {
    Client::builder(url).api_key("secret-key").seed(1)
}

pub(crate) type Waits = Arc<Mutex<Vec<Duration>>>;

/// A timer that does not wait but remembers.
pub(crate) fn recorded_sleep() -> (
    impl Fn(Duration) -> future::Ready<()> + Send + Sync + 'static,
    Waits,
) {
    let waits = Waits::default();
    let recorded = Arc::clone(&waits);
    let sleep = move |duration| {
        recorded.lock().unwrap().push(duration);
        future::ready(())
    };
    (sleep, waits)
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = body::to_bytes(body, usize::MAX).await.unwrap();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: Query::try_from_uri(&head.uri).unwrap().0,
        headers: head.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    let reply = {
        let mut script = script.lock().unwrap();
        script.seen.push(seen);
        script
            .replies
            .pop_front()
            .unwrap_or_else(|| Reply::text(418, "the script is at its end"))
    };
    if reply.hangs {
        future::pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}
