//! Subscribing a webhook, over real HTTP.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use quorate_core::ports::{Crowd as _, PoolOpened};
use quorate_requester::Requester;
use quorate_toloka::{Client, RetryPolicy, Secret};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const URL: &str = "https://example.lambda-url.eu-central-1.on.aws/";

/// A platform that opens every pool and answers subscriptions with a status and a body.
struct Platform {
    subscriptions: (StatusCode, Value),
    seen: Mutex<Vec<(String, Value)>>,
}

async fn answer(State(platform): State<Arc<Platform>>, request: Request) -> (StatusCode, String) {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX)
        .await
        .unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let subscribes = asked == "PUT /api/v1/webhook-subscriptions";
    platform.seen.lock().unwrap().push((asked, body));
    if subscribes {
        let (status, body) = &platform.subscriptions;
        (*status, body.to_string())
    } else {
        (StatusCode::NO_CONTENT, String::new())
    }
}

/// A requester with a webhook at a platform that answers subscriptions so.
async fn requester(status: StatusCode, body: Value) -> (Requester, Arc<Platform>) {
    let platform = Arc::new(Platform {
        subscriptions: (status, body),
        seen: Mutex::default(),
    });
    let app = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&platform));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::builder(format!("http://{address}")).api_key("key");
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    let secret = Secret::from("sign-with-this");
    let requester = Requester::new(client, Decimal::ZERO).with_webhook(URL, secret);
    (requester, platform)
}

#[tokio::test]
async fn a_pool_opens_with_its_subscriptions_made_before() {
    let made = json!({"items": {}, "validation_errors": {}});
    let (requester, platform) = requester(StatusCode::CREATED, made).await;
    assert_eq!(requester.open_pool("5").await, Ok(PoolOpened::Opened));
    let seen = platform.seen.lock().unwrap();
    let asked: Vec<&str> = seen.iter().map(|(asked, _)| asked.as_str()).collect();
    assert_eq!(
        asked,
        [
            "PUT /api/v1/webhook-subscriptions",
            "POST /api/v1/pools/5/open"
        ]
    );
    let kinds = [
        "POOL_CLOSED",
        "ASSIGNMENT_CREATED",
        "ASSIGNMENT_SUBMITTED",
        "ASSIGNMENT_SKIPPED",
        "ASSIGNMENT_EXPIRED",
    ];
    let expected = kinds.map(|kind| {
        json!({"event_type": kind, "pool_id": "5", "webhook_url": URL, "secret_key": "sign-with-this"})
    });
    assert_eq!(seen[0].1, json!(expected));
}

#[tokio::test]
async fn a_pool_opens_whatever_becomes_of_its_subscriptions() {
    let error = json!({"code": "VALUE_NOT_ALLOWED", "message": "no"});
    let refused = json!({"items": {}, "validation_errors": {"0": {"webhook_url": error}}});
    for (status, body) in [
        (StatusCode::CREATED, refused),
        (StatusCode::CREATED, json!("what is this")),
        (StatusCode::FORBIDDEN, json!({"code": "ACCESS_DENIED"})),
        (StatusCode::NOT_FOUND, json!(null)),
        (StatusCode::SERVICE_UNAVAILABLE, json!(null)),
    ] {
        let (requester, _) = requester(status, body.clone()).await;
        assert_eq!(
            requester.open_pool("5").await,
            Ok(PoolOpened::Opened),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn the_secret_is_never_shown() {
    let (requester, _) = requester(StatusCode::CREATED, json!({})).await;
    assert!(!format!("{requester:?}").contains("sign-with-this"));
}
