//! Deliveries as a function URL hands them over.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::sync::Mutex;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use quorate_core::event::{CrowdMoved, Detail, Event};
use quorate_core::ports::{Notify, PortError, PortResult};
use quorate_core::time::Timestamp;
use quorate_receive_webhook::{PAUSE, Woken, handle};
use quorate_toloka::{Secret, webhook};
use serde_json::{Value, json};

const REQUEST: &str = include_str!("../../../events/function-url-webhook.json");
const CROWD_MOVED: &str = include_str!("../../../events/crowd-moved.json");
/// Four seconds after the fixture was signed.
const NOW: Timestamp = Timestamp(1_767_609_004_000);

/// A bus that keeps what it is told, or is out of order.
#[derive(Default)]
struct Bus {
    told: Mutex<Vec<Event>>,
    broken: bool,
}

impl Notify for Bus {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        if self.broken {
            return Err(PortError::Unavailable("secret-detail".to_owned()));
        }
        self.told.lock().unwrap().push(event.clone());
        Ok(())
    }
}

#[derive(Default)]
struct Receiver {
    bus: Bus,
    woken: Woken,
}

fn secret() -> Secret {
    Secret::from("a-secret-of-the-tests")
}

fn request() -> Value {
    serde_json::from_str(REQUEST).unwrap()
}

/// The fixture with another body, signed now.
fn signed(body: &str, now: Timestamp) -> Value {
    let mut request = request();
    request["headers"]["toloka-signature"] =
        webhook::sign(&secret(), now.0, body.as_bytes()).into();
    request["body"] = body.into();
    request
}

/// A delivery of one event in pool 5.
fn event(kind: &str, now: Timestamp) -> Value {
    let event = json!({"type": kind, "uuid": kind, "pool_id": "5"});
    signed(&json!({"events": [event]}).to_string(), now)
}

impl Receiver {
    async fn take_at(&self, request: &Value, now: Timestamp) -> Value {
        let secrets = [Secret::from("the-new-secret"), secret()];
        let answer = handle(&self.bus, &secrets, &self.woken, now, request).await;
        serde_json::to_value(answer).unwrap()
    }

    async fn take(&self, request: &Value) -> Value {
        self.take_at(request, NOW).await
    }

    fn told(&self) -> Vec<CrowdMoved> {
        let told = self.bus.told.lock().unwrap();
        let moved = told.iter().map(|event| match &event.detail {
            Detail::CrowdMoved(moved) => moved.clone(),
            other => panic!("{other:?}"),
        });
        moved.collect()
    }
}

#[tokio::test]
async fn a_delivery_wakes_check_pools_once_however_many_events_it_has() {
    let receiver = Receiver::default();
    let answer = receiver.take(&request()).await;
    assert_eq!(answer["statusCode"], 200);
    let told = receiver.bus.told.lock().unwrap();
    let mut expected: Value = serde_json::from_str(CROWD_MOVED).unwrap();
    for name in ["version", "source", "account", "region", "resources"] {
        expected.as_object_mut().unwrap().remove(name).unwrap();
    }
    assert_eq!(serde_json::to_value(&*told).unwrap(), json!([expected]));
}

#[tokio::test]
async fn a_body_in_base64_and_a_header_in_capitals_are_the_same_delivery() {
    let mut request = request();
    let body = BASE64_STANDARD.encode(request["body"].as_str().unwrap());
    request["body"] = body.into();
    request["isBase64Encoded"] = true.into();
    let headers = request["headers"].as_object_mut().unwrap();
    let signature = headers.remove("toloka-signature").unwrap();
    headers.insert("Toloka-Signature".to_owned(), signature);
    let receiver = Receiver::default();
    assert_eq!(receiver.take(&request).await["statusCode"], 200);
    assert_eq!(receiver.told().len(), 1);
}

#[tokio::test]
async fn what_is_forged_old_cut_off_or_too_large_gets_one_answer_and_does_nothing() {
    let change = |pointer: &str, value: Value| {
        let mut request = request();
        *request.pointer_mut(pointer).unwrap() = value;
        request
    };
    let body = request()["body"].as_str().unwrap().to_owned();
    let large = json!({"events": [], "x": "x".repeat(300_000)}).to_string();
    let other_secret = webhook::sign(&Secret::from("guess"), NOW.0, body.as_bytes());
    let old = Timestamp(NOW.0 - 600_000);
    let receiver = Receiver::default();
    let mut answers = Vec::new();
    for bad in [
        change("/headers", json!({})),
        change("/headers", json!(null)),
        change("/headers/toloka-signature", json!("{v=1}")),
        change("/headers/toloka-signature", other_secret.into()),
        change("/body", json!(null)),
        change("/body", body.replace("COMPLETED", "MANUAL").into()),
        change("/body", body[..body.len() - 1].into()),
        change("/isBase64Encoded", json!(true)),
        change("/requestContext/http/method", json!("GET")),
        signed(&body, old),
        signed(&large, NOW),
        signed("no JSON", NOW),
        signed("{\"events\": 7}", NOW),
        json!(null),
    ] {
        answers.push(receiver.take(&bad).await);
    }
    // The fixture itself, sent again by somebody an hour later.
    let later = NOW.plus(Duration::from_secs(3600));
    answers.push(receiver.take_at(&request(), later).await);
    for answer in &answers {
        assert_eq!(answer["statusCode"], 403);
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(receiver.told(), []);
}

#[tokio::test]
async fn a_storm_of_assignments_wakes_now_and_then_and_a_closed_pool_always() {
    let receiver = Receiver::default();
    for second in 0..60 {
        let now = NOW.plus(Duration::from_secs(second));
        let request = event("ASSIGNMENT_SUBMITTED", now);
        assert_eq!(receiver.take_at(&request, now).await["statusCode"], 200);
    }
    assert_eq!(receiver.told().len() as u64, 60 / PAUSE.as_secs());
    let now = NOW.plus(Duration::from_secs(60));
    for _ in 0..2 {
        receiver.take_at(&event("POOL_CLOSED", now), now).await;
    }
    assert_eq!(receiver.told().len() as u64, 60 / PAUSE.as_secs() + 2);
}

#[tokio::test]
async fn what_changes_nothing_for_check_pools_is_taken_and_wakes_nobody() {
    let receiver = Receiver::default();
    for kind in [
        "ASSIGNMENT_APPROVED",
        "DYNAMIC_OVERLAP_COMPLETED",
        "TEST_EVENT",
        "POOL_RESTED",
    ] {
        let answer = receiver.take(&event(kind, NOW)).await;
        assert_eq!(answer["statusCode"], 200, "{kind}");
    }
    assert_eq!(
        receiver.take(&signed("{\"events\":[]}", NOW)).await["statusCode"],
        200
    );
    assert_eq!(receiver.told(), []);
}

#[tokio::test]
async fn a_delivery_that_the_bus_did_not_take_is_asked_for_again() {
    let mut receiver = Receiver::default();
    receiver.bus.broken = true;
    let request = event("ASSIGNMENT_SUBMITTED", NOW);
    let answer = receiver.take(&request).await;
    assert_eq!(answer["statusCode"], 503);
    assert!(!answer.to_string().contains("secret-detail"), "{answer}");
    // The failed attempt is no reason for a pause.
    receiver.bus.broken = false;
    assert_eq!(receiver.take(&request).await["statusCode"], 200);
    assert_eq!(receiver.told().len(), 1);
}
