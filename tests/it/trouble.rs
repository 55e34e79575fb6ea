//! The crowd refuses, is used up or is away: work waits, one person is told, nothing is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use quorate_local::stack::Stack;
use quorate_requester::Requester;
use quorate_testkit::png;
use quorate_toloka::Client;
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::world::{CATS, World};

/// The way to the platform, which can be shut.
#[derive(Clone)]
struct Gate {
    platform: String,
    /// What requests for tasks are answered with.
    shut: Arc<Mutex<Option<(StatusCode, Value)>>>,
    /// Requests for tasks that were answered so.
    refused: Arc<AtomicUsize>,
}

impl Gate {
    /// A gate before `platform` and its address.
    async fn before(platform: &str) -> (Self, String) {
        let gate = Self {
            platform: platform.to_owned(),
            shut: Arc::default(),
            refused: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(pass).with_state(gate.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (gate, address)
    }

    fn shut(&self, status: u16, body: Value) {
        *self.shut.lock().unwrap() = Some((StatusCode::from_u16(status).unwrap(), body));
    }

    fn open(&self) {
        *self.shut.lock().unwrap() = None;
    }
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let shut = gate.shut.lock().unwrap().clone();
    if let Some((status, answer)) = shut.filter(|_| head.uri.path() == "/api/v1/tasks") {
        gate.refused.fetch_add(1, Ordering::Relaxed);
        return (status, answer.to_string()).into_response();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = quorate_toloka::http_builder()
        .build()
        .unwrap()
        .request(head.method, format!("{}{}", gate.platform, head.uri))
        .headers(head.headers)
        .body(body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap()).into_response()
}

/// A stack whose way to the crowd goes through a gate.
async fn gated(world: &World) -> (Stack, Gate) {
    let stack = world.day.stack();
    let (gate, address) = Gate::before(stack.base_url()).await;
    let client = Client::builder(&address)
        .api_key(world.requester_key())
        .sleep_with(|_| std::future::ready(()))
        .build()
        .unwrap();
    (
        stack.with_crowd(Requester::new(client, Decimal::ZERO)),
        gate,
    )
}

/// Minutes with a tick of the stack each, of which some may fail.
async fn minutes(stack: &Stack, world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        let _failed = quorate_check_pools::handle(stack, json!({})).await;
        quorate_reconcile::handle(stack, json!({})).await.unwrap();
        world.day.pass(Duration::from_secs(60)).await.unwrap();
    }
}

/// The longest time between two tries of what was not refused for longer.
const SOON: Duration = Duration::from_secs(11 * 60);
const DAY: Duration = Duration::from_secs(86_400);

/// Uploads three images, works for an hour with the gate shut, then opens it and works on `later`;
/// how many requests for tasks were refused, and the problems that were told.
async fn trouble(status: u16, body: Value, later: Duration) -> (usize, Vec<String>) {
    let mut world = World::new(6, &[]).await;
    let (gated, gate) = gated(&world).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    for number in 1..=3 {
        let key = format!("cats/images/{number}.png");
        world.drop_file(&key, png(number)).await;
    }
    gate.shut(status, body);
    minutes(&gated, &mut world, 60).await;
    let pool = world.pool("cats").await;
    assert_eq!(world.tasks(&pool).await.len(), 0);
    gate.open();
    world.day.pass(later).await.unwrap();
    minutes(&gated, &mut world, 2).await;
    assert_eq!(world.tasks(&pool).await.len(), 3);
    world.work("cats").await;
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 3);
    assert!(
        labels.iter().all(|row| row["label"].is_string()),
        "{labels:?}"
    );
    (
        gate.refused.load(Ordering::Relaxed),
        world.problems("stuck"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stops_the_work_until_there_is_another() {
    let refusal = json!({"code": "AUTHENTICATION_ERROR", "message": "Unknown token"});
    let (_, told) = trouble(401, refusal, SOON).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("Unknown token") && told[0].contains("mend the cause"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_down_for_an_hour_is_told_of_once() {
    let refusal = json!({"code": "INTERNAL_ERROR", "message": "Service unavailable"});
    let (_, told) = trouble(503, refusal, SOON).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("it is tried again every few minutes"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_a_day_is_not_asked_again_before_it_renews() {
    let refusal = json!({
        "code": "TOO_MANY_REQUESTS",
        "message": "Too many tasks",
        "payload": {"interval": "DAY"},
    });
    let (refused, told) = trouble(429, refusal, DAY).await;
    // Once for each batch; each image is one, because they came one by one.
    assert!(refused <= 3, "{refused}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("it waits until the quota renews"),
        "{told:?}"
    );
}
