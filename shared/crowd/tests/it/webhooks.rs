//! Webhooks: what receivers get, believed by the signature check of our own client.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use futures_util::future::join_all;
use proptest::prelude::*;
use quorate_crowd::{Config, RequesterKey};
use quorate_toloka::{
    Client, Secret,
    types::{Delivery, Event, EventType, Time},
    webhook,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    restart::in_a_process,
    world::{Worker, World, config, id, many, parse, real},
};

const SECRET: &str = "a-secret-of-the-receiver";
const PATH: &str = "/api/v1/webhook-subscriptions";

/// Somebody on a port of this machine who takes deliveries.
struct Receiver {
    url: String,
    inbox: Arc<Inbox>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Inbox {
    /// Signature and body of each delivery, as they came.
    came: Mutex<Vec<(Option<String>, Bytes)>>,
    /// The next answers; 204 when there is none. `None` is one when it is released.
    answers: Mutex<VecDeque<Option<u16>>>,
    arrived: Notify,
    released: Notify,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    async fn new() -> Self {
        Self::answering([]).await
    }

    async fn answering<const N: usize>(answers: [Option<u16>; N]) -> Self {
        let inbox = Arc::new(Inbox::default());
        inbox.answers.lock().unwrap().extend(answers);
        let app = Router::new()
            .route("/hook", post(take))
            .with_state(Arc::clone(&inbox));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            inbox,
            server: tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }),
        }
    }

    fn answer_next(&self, answers: &[Option<u16>]) {
        self.inbox.answers.lock().unwrap().extend(answers);
    }

    /// The events of every delivery so far, whose signatures are good at the platform's time.
    fn deliveries(&self, w: &World) -> Vec<Vec<Event>> {
        let now = w.platform().clock().now().as_millisecond();
        let secrets = [Secret::from(SECRET)];
        let came = self.inbox.came.lock().unwrap();
        came.iter()
            .map(|(signature, body)| {
                webhook::open(signature.as_deref(), body, &secrets, now)
                    .unwrap()
                    .events
            })
            .collect()
    }

    /// The events so far, whenever they were signed.
    fn all_events(&self) -> Vec<Event> {
        let came = self.inbox.came.lock().unwrap();
        let read = |body: &Bytes| serde_json::from_slice::<Delivery>(body).unwrap().events;
        came.iter().flat_map(|(_, body)| read(body)).collect()
    }

    /// The kinds of the events of every delivery.
    fn kinds(&self, w: &World) -> Vec<Vec<EventType>> {
        let kinds = |events: Vec<Event>| events.into_iter().map(|event| event.kind).collect();
        self.deliveries(w).into_iter().map(kinds).collect()
    }
}

async fn take(
    State(inbox): State<Arc<Inbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let signature = headers
        .get(webhook::SIGNATURE)
        .map(|value| value.to_str().unwrap().to_owned());
    inbox.came.lock().unwrap().push((signature, body));
    inbox.arrived.notify_one();
    let answer = inbox.answers.lock().unwrap().pop_front();
    let status = match answer {
        Some(Some(status)) => status,
        Some(None) => {
            inbox.released.notified().await;
            204
        }
        None => 204,
    };
    let mut headers = HeaderMap::new();
    if status == 302 {
        headers.insert("location", "/hook".parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

fn subscription(pool: &str, event: &str, url: &str) -> Value {
    json!({"webhook_url": url, "event_type": event, "pool_id": pool, "secret_key": SECRET})
}

const ALL: [&str; 7] = [
    "ASSIGNMENT_CREATED",
    "ASSIGNMENT_SUBMITTED",
    "ASSIGNMENT_APPROVED",
    "ASSIGNMENT_REJECTED",
    "ASSIGNMENT_SKIPPED",
    "ASSIGNMENT_EXPIRED",
    "POOL_CLOSED",
];

/// Subscribes to every kind of event of a pool; returns the ids in the order of [`ALL`].
async fn subscribe(w: &World, pool: &str, url: &str) -> Vec<String> {
    let items: Vec<Value> = ALL
        .iter()
        .map(|kind| subscription(pool, kind, url))
        .collect();
    let made = w.ok("PUT", PATH, json!(items)).await;
    assert_eq!(made["validation_errors"], json!({}));
    (0..ALL.len())
        .map(|n| id(&made["items"][n.to_string()]))
        .collect()
}

/// An open pool of `tasks` tasks, two on a page.
async fn open_pool(w: &World, tasks: usize, over: Value) -> String {
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(tasks, |n| real(&pool, n))).await;
    w.open(&pool).await;
    pool
}

async fn log(w: &World, webhook: &str) -> Value {
    w.get(&format!(
        "/api/platform/v1/webhook-subscriptions/{webhook}/deliveries"
    ))
    .await
}

#[tokio::test]
async fn everything_that_becomes_of_a_page_is_told_and_signed() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let pool = open_pool(&w, 20, json!({"auto_accept_solutions": false, "auto_accept_period_day": 1, "assignment_max_duration_seconds": 60})).await;
    let webhooks = subscribe(&w, &pool, &r.url).await;
    let a = w.worker("a").await;

    let first = w.do_page(&a, &pool, 30, "cat").await;
    let path = format!("/api/v1/assignments/{}", id(&first));
    for status in ["REJECTED", "ACCEPTED"] {
        w.pass(1);
        let verdict = json!({"status": status, "public_comment": "because"});
        w.ok("PATCH", &path, verdict).await;
    }
    let second = w.take(&a, &pool).await.unwrap();
    w.pass(1);
    let skip = format!("/assignments/{}/skip", id(&second));
    w.work(&a, "POST", &skip, Value::Null).await;
    let third = w.take(&a, &pool).await.unwrap();
    w.pass(61);
    let fourth = w.do_page(&a, &pool, 1, "dog").await;
    w.pass(86_400);
    w.get("/api/v1/requester").await;
    w.pass(1);
    w.ok("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
        .await;
    w.platform().deliver().await.unwrap();

    let mut came: Vec<Event> = r.deliveries(&w).into_iter().flatten().collect();
    came.sort_by_key(|event| event.event_time);
    let of = |page: &Value| -> Vec<&str> {
        let mine = came
            .iter()
            .filter(|event| event.assignment_id == Some(id(page)));
        mine.map(|event| event.kind.as_str().split_once('_').unwrap().1)
            .collect()
    };
    assert_eq!(of(&first), ["CREATED", "SUBMITTED", "REJECTED", "APPROVED"]);
    assert_eq!(of(&second), ["CREATED", "SKIPPED"]);
    assert_eq!(of(&third), ["CREATED", "EXPIRED"]);
    // The last by itself, after a day without review.
    assert_eq!(of(&fourth), ["CREATED", "SUBMITTED", "APPROVED"]);
    let expired = came
        .iter()
        .find(|event| event.kind == EventType::AssignmentExpired)
        .unwrap();
    let stored = w.get(&format!("/api/v1/assignments/{}", id(&third))).await;
    assert_eq!(
        json!(expired.event_time),
        stored["expired"],
        "as of when it was due"
    );
    assert_eq!(
        expired.task_suite_id.as_deref(),
        stored["task_suite_id"].as_str()
    );
    let closed = came.last().unwrap();
    assert_eq!(closed.kind, EventType::PoolClosed);
    assert_eq!(closed.close_reason.as_ref().unwrap().as_str(), "MANUAL");
    assert_eq!(closed.assignment_id, None);
    for event in &came {
        let nth = ALL
            .iter()
            .position(|kind| *kind == event.kind.as_str())
            .unwrap();
        assert_eq!(event.webhook_subscription_id.as_ref(), Some(&webhooks[nth]));
        assert_eq!(event.pool_id.as_ref(), Some(&pool));
        assert!(event.project_id.is_some());
    }
    let mut uuids: Vec<&String> = came.iter().map(|event| &event.uuid).collect();
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), came.len());
}

#[tokio::test]
async fn what_is_accepted_at_once_is_told_as_submitted_and_approved() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let pool = open_pool(
        &w,
        2,
        json!({"auto_accept_solutions": true, "defaults": {"default_overlap_for_new_tasks": 1}}),
    )
    .await;
    subscribe(&w, &pool, &r.url).await;
    w.do_page(&w.worker("a").await, &pool, 30, "cat").await;
    w.get("/api/v1/requester").await;
    w.platform().deliver().await.unwrap();
    let mut kinds: Vec<String> = r
        .kinds(&w)
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "ASSIGNMENT_APPROVED",
            "ASSIGNMENT_CREATED",
            "ASSIGNMENT_SUBMITTED",
            "POOL_CLOSED"
        ]
    );
    let closed = r
        .deliveries(&w)
        .concat()
        .into_iter()
        .find(|e| e.kind == EventType::PoolClosed);
    assert_eq!(closed.unwrap().close_reason.unwrap().as_str(), "COMPLETED");
}

#[tokio::test]
async fn events_wait_for_a_receiver_that_fails_and_come_in_order() {
    let w = World::new().await;
    let r = Receiver::answering([Some(500), Some(302), Some(404)]).await;
    let pool = open_pool(&w, 20, json!({})).await;
    let webhook = subscribe(&w, &pool, &r.url).await.remove(0);
    let a = w.worker("a").await;

    let first = w.do_page(&a, &pool, 1, "cat").await;
    w.ok(
        "DELETE",
        &format!("{PATH}/{}", webhook_of(&w, "ASSIGNMENT_SUBMITTED").await),
        Value::Null,
    )
    .await;
    w.ok(
        "DELETE",
        &format!("{PATH}/{}", webhook_of(&w, "ASSIGNMENT_APPROVED").await),
        Value::Null,
    )
    .await;
    w.platform().deliver().await.unwrap();
    assert_eq!(r.deliveries(&w).len(), 1, "nobody knocks twice at once");
    let second = w.do_page(&a, &pool, 0, "cat").await;
    w.platform().deliver().await.unwrap();
    assert_eq!(
        r.deliveries(&w).len(),
        1,
        "the pause holds for new events too"
    );
    for (pause, tries) in [(1, 2), (1, 2), (1, 3), (3, 3), (2, 4)] {
        w.pass(pause);
        w.platform().deliver().await.unwrap();
        assert_eq!(r.deliveries(&w).len(), tries, "after {pause} s");
    }
    let came = r.deliveries(&w);
    assert_eq!(came[0].len(), 1);
    for later in &came[1..] {
        assert_eq!(later[0], came[0][0], "the same event again");
        let pages: Vec<&str> = later
            .iter()
            .map(|e| e.assignment_id.as_deref().unwrap())
            .collect();
        assert_eq!(
            pages,
            [id(&first), id(&second)],
            "and what came since behind it"
        );
    }
    let log = log(&w, &webhook).await;
    assert_eq!(log["waiting"], 0);
    assert_eq!(log["next_try"], Value::Null);
    let outcomes: Vec<Value> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            json!([
                item["events"],
                item["status_code"],
                item["error_type"],
                item["success"]
            ])
        })
        .collect();
    let wrong = "WRONG_STATUS_CODE";
    assert_eq!(
        json!(outcomes),
        json!([
            [2, 204, null, true],
            [2, 404, wrong, false],
            [2, 302, wrong, false],
            [1, 500, wrong, false]
        ])
    );
    assert_eq!(log["items"][3]["sent"], "2026-01-01T00:00:01.000");
}

async fn webhook_of(w: &World, kind: &str) -> String {
    id(&w.get(&format!("{PATH}?event_type={kind}")).await["items"][0])
}

#[tokio::test]
async fn events_outlive_the_process_and_what_was_sent_but_not_noted_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let stored = || Config {
        data: Some(folder.path().to_owned()),
        ..config()
    };
    let r = Receiver::answering([None]).await;
    let w = World::with(stored()).await;
    let pool = open_pool(&w, 20, json!({})).await;
    let made = w
        .ok(
            "PUT",
            PATH,
            subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
        )
        .await;
    let webhook = id(&made["items"]["0"]);
    w.take(&w.worker("a").await, &pool).await.unwrap();
    // The receiver has it, and the platform dies before it hears so.
    let platform = w.platform().clone();
    tokio::select! {
        _ = platform.deliver() => panic!("the receiver does not answer"),
        () = r.inbox.arrived.notified() => {}
    }
    drop((w, platform));

    let w = World::with(stored()).await;
    assert_eq!(log(&w, &webhook).await["waiting"], 1);
    w.platform().deliver().await.unwrap();
    let came = r.deliveries(&w);
    assert_eq!(came.len(), 2);
    assert_eq!(
        came[0], came[1],
        "with the same uuid, by which receivers know it"
    );
    assert_eq!(log(&w, &webhook).await["waiting"], 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody_else_and_no_worker() {
    let w = World::new().await;
    let dead = Receiver::answering([None; 8]).await;
    let alive = Receiver::new().await;
    let pool = open_pool(&w, 20, json!({})).await;
    subscribe(&w, &pool, &dead.url).await;
    subscribe(&w, &pool, &alive.url).await;
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 1, "cat").await;
    let platform = w.platform().clone();
    let deliver = platform.deliver();
    let meanwhile = async {
        while alive.deliveries(&w).concat().len() < 3 {
            alive.inbox.arrived.notified().await;
        }
        while dead.deliveries(&w).len() < 3 {
            dead.inbox.arrived.notified().await;
        }
        w.do_page(&a, &pool, 1, "cat").await;
    };
    tokio::select! {
        _ = deliver => panic!("a receiver hangs"),
        () = meanwhile => {}
    }
}

#[tokio::test]
async fn what_happens_during_a_delivery_is_in_the_next() {
    let w = World::new().await;
    let r = Receiver::answering([None]).await;
    let pool = open_pool(&w, 20, json!({})).await;
    let item = subscription(&pool, "ASSIGNMENT_CREATED", &r.url);
    w.ok("PUT", PATH, item).await;
    let a = w.worker("a").await;
    let first = w.take(&a, &pool).await.unwrap();
    let meanwhile = async {
        r.inbox.arrived.notified().await;
        let second = w.take(&a, &pool).await.unwrap();
        // A second courier does not bring what the first one has.
        w.platform().deliver().await.unwrap();
        assert_eq!(r.deliveries(&w).len(), 1);
        r.inbox.released.notify_one();
        second
    };
    let (done, second) = tokio::join!(w.platform().deliver(), meanwhile);
    done.unwrap();
    let told: Vec<String> = assignments(r.deliveries(&w).concat());
    assert_eq!(told, [id(&first), id(&second)]);
}

#[tokio::test]
async fn many_events_come_in_few_deliveries_and_none_is_lost() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let pool = open_pool(&w, 300, json!({"mixer_config": {"real_tasks_count": 1}})).await;
    w.ok(
        "PUT",
        PATH,
        subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
    )
    .await;
    let a = w.worker("a").await;
    let mut pages = Vec::new();
    for _ in 0..105 {
        pages.push(id(&w.do_page(&a, &pool, 1, "cat").await));
    }
    w.platform().deliver().await.unwrap();
    let came = r.deliveries(&w);
    let sizes: Vec<usize> = came.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 5]);
    let told: Vec<String> = assignments(came.concat());
    assert_eq!(told, pages, "in the order in which it happened");
}

#[tokio::test]
async fn who_does_not_subscribe_or_ends_it_is_told_nothing() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let (pool, other) = (
        open_pool(&w, 20, json!({})).await,
        open_pool(&w, 20, json!({})).await,
    );
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 1, "cat").await;
    let webhooks = subscribe(&w, &pool, &r.url).await;
    w.do_page(&a, &other, 1, "cat").await;
    w.platform().deliver().await.unwrap();
    assert_eq!(
        r.deliveries(&w).len(),
        0,
        "neither of before nor of other pools"
    );
    w.do_page(&a, &pool, 1, "cat").await;
    for webhook in webhooks {
        let path = format!("{PATH}/{webhook}");
        assert_eq!(w.call("DELETE", &path, Value::Null).await.0, 204);
        assert_eq!(w.call("DELETE", &path, Value::Null).await.0, 404);
        assert_eq!(w.call("GET", &path, Value::Null).await.0, 404);
    }
    w.platform().deliver().await.unwrap();
    assert_eq!(r.deliveries(&w).len(), 0);
    assert_eq!(w.get(PATH).await["items"], json!([]));
}

#[tokio::test]
async fn a_subscription_is_named_by_pool_event_and_address_and_keeps_its_secret() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let url = "http://example.com/hook?of=us";
    let items = json!([
        {"webhook_url": url, "event_type": "POOL_CLOSED", "pool_id": pool, "secret_key": SECRET},
        {"event_type": "POOL_OPENED", "pool_id": 7},
        {"webhook_url": "ftp://example.com", "event_type": "POOL_CLOSED", "pool_id": "7"},
        {"webhook_url": url, "event_type": "POOL_CLOSED", "pool_id": pool, "secret_key": ""},
        {"webhook_url": url, "event_type": "TEST_EVENT", "pool_id": pool},
        "nonsense",
    ]);
    let (status, made) = w.call("PUT", PATH, items).await;
    assert_eq!(status, 201);
    assert!(!made.to_string().contains(SECRET));
    let codes = |n: &str| -> Value {
        let fields = made["validation_errors"][n].as_object().unwrap();
        fields
            .iter()
            .map(|(name, error)| (name.clone(), error["code"].clone()))
            .collect()
    };
    assert_eq!(
        codes("1"),
        json!({"webhook_url": "VALUE_REQUIRED", "event_type": "UNKNOWN_ENUM_VALUE", "pool_id": "STRING_EXPECTED"})
    );
    assert_eq!(
        codes("2"),
        json!({"webhook_url": "INVALID_URL_SYNTAX", "pool_id": "ENTITY_DOES_NOT_EXIST"})
    );
    assert_eq!(
        codes("3"),
        json!({"secret_key": "BLANK_STRING_NOT_ALLOWED"})
    );
    assert_eq!(codes("5").as_object().unwrap().len(), 3);
    assert_eq!(made["items"].as_object().unwrap().len(), 2);

    let first = &made["items"]["0"];
    assert_eq!(first["webhook_url"], url);
    let again = w
        .ok("PUT", PATH, subscription(&pool, "POOL_CLOSED", url))
        .await;
    assert_eq!(&again["items"]["0"], first, "known again");
    let read = w.get(&format!("{PATH}/{}", id(first))).await;
    assert_eq!(&read, first);
    assert!(read.get("secret_key").is_none());
    assert_eq!(w.fails("PUT", PATH, json!({"pool_id": pool})).await.0, 400);
    assert_eq!(w.fails("PUT", PATH, json!(7)).await.0, 400);
    let page = w
        .get(&format!("{PATH}?pool_id={pool}&sort=created&limit=1"))
        .await;
    assert_eq!(
        (&page["items"][0], &page["has_more"]),
        (first, &json!(true))
    );
    let next = format!(
        "{PATH}?created_gt={}&sort=created",
        first["created"].as_str().unwrap()
    );
    assert_eq!(
        w.get(&next).await["items"],
        json!([made["items"]["4"]]),
        "no two at one time"
    );
    assert_eq!(
        w.fails("GET", &format!("{PATH}?limit=301"), Value::Null)
            .await
            .0,
        400
    );
    let others: Vec<Value> = (0..11)
        .map(|n| subscription(&pool, "TEST_EVENT", &format!("http://example.com/{n}")))
        .collect();
    let made = w.ok("PUT", PATH, json!(others)).await;
    assert_eq!(
        made["items"].as_object().unwrap().len(),
        9,
        "ten addresses at most"
    );
}

#[tokio::test]
async fn webhooks_of_other_requesters_are_out_of_reach() {
    let key = |account: &str| RequesterKey {
        account: account.to_owned(),
        key: account.to_owned(),
    };
    let keys = vec![key("local"), key("other")];
    let w = World::with(Config { keys, ..config() }).await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let item = subscription(&pool, "POOL_CLOSED", "http://127.0.0.1:9/hook");
    let made = w.ok("PUT", PATH, item.clone()).await;
    let webhook = id(&made["items"]["0"]);

    let as_other = async |method: &str, path: &str, body: Option<String>| {
        let (status, text) = w.send(Some("ApiKey other"), method, path, body).await;
        (status, parse(&text))
    };
    let (status, refused) = as_other("PUT", PATH, Some(item.to_string())).await;
    assert_eq!(
        (status, &refused["payload"]["pool_id"]["code"]),
        (400, &json!("ENTITY_ACCESS_DENIED"))
    );
    let ours = format!("/api/platform/v1/webhook-subscriptions/{webhook}/deliveries");
    for (method, path) in [
        ("GET", format!("{PATH}/{webhook}")),
        ("DELETE", format!("{PATH}/{webhook}")),
        ("POST", format!("{PATH}/{webhook}/test")),
        ("GET", ours),
    ] {
        let (status, _) = as_other(method, &path, None).await;
        assert_eq!(status, 404, "{method} {path}");
    }
    assert_eq!(as_other("GET", PATH, None).await.1["items"], json!([]));
}

#[tokio::test]
async fn a_test_tells_how_the_receiver_answers_and_brings_what_waits() {
    let w = World::new().await;
    let r = Receiver::answering([Some(503), Some(503)]).await;
    let pool = open_pool(&w, 20, json!({})).await;
    let made = w
        .ok(
            "PUT",
            PATH,
            subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
        )
        .await;
    let webhook = id(&made["items"]["0"]);
    w.take(&w.worker("a").await, &pool).await.unwrap();
    w.platform().deliver().await.unwrap();
    assert_eq!(
        log(&w, &webhook).await["next_try"],
        "2026-01-01T00:00:01.000"
    );

    let test = async || {
        w.call("POST", &format!("{PATH}/{webhook}/test"), Value::Null)
            .await
    };
    let (status, failed) = test().await;
    assert_eq!(status, 201);
    assert_eq!(
        (
            &failed["success"],
            &failed["errorType"],
            &failed["originalStatusCode"]
        ),
        (&json!(false), &json!("WRONG_STATUS_CODE"), &json!(503))
    );
    w.platform().deliver().await.unwrap();
    assert_eq!(
        r.deliveries(&w).len(),
        2,
        "a test that fails changes nothing"
    );
    let (_, worked) = test().await;
    assert_eq!(
        (
            &worked["success"],
            &worked["errorType"],
            &worked["originalStatusCode"]
        ),
        (&json!(true), &json!(null), &json!(204))
    );
    assert!(worked["responseReceivedAt"].is_string());
    w.platform().deliver().await.unwrap();
    let came = r.deliveries(&w);
    let kinds: Vec<&str> = came
        .iter()
        .flatten()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "ASSIGNMENT_CREATED",
            "TEST_EVENT",
            "TEST_EVENT",
            "ASSIGNMENT_CREATED"
        ]
    );
    assert_eq!(json!([came[2][0].uuid]), worked["uuids"]);

    drop(r);
    let (_, gone) = test().await;
    assert_eq!(
        (&gone["success"], &gone["errorType"]),
        (&json!(false), &json!("CONNECTION_ERROR"))
    );
    assert_eq!(gone["originalStatusCode"], Value::Null);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_a_new_secret_counts_at_once() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let pool = open_pool(&w, 20, json!({})).await;
    let mut form = subscription(&pool, "ASSIGNMENT_CREATED", &r.url);
    form["secret_key"] = Value::Null;
    w.ok("PUT", PATH, form).await;
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 1, "cat").await;
    w.platform().deliver().await.unwrap();
    assert_eq!(r.inbox.came.lock().unwrap().remove(0).0, None);
    w.ok(
        "PUT",
        PATH,
        subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
    )
    .await;
    w.do_page(&a, &pool, 1, "cat").await;
    w.platform().deliver().await.unwrap();
    assert_eq!(r.deliveries(&w).len(), 1);
}

#[tokio::test]
async fn the_log_keeps_the_last_hundred_attempts() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let pool = open_pool(&w, 2, json!({})).await;
    let made = w
        .ok("PUT", PATH, subscription(&pool, "POOL_CLOSED", &r.url))
        .await;
    let webhook = id(&made["items"]["0"]);
    r.answer_next(&[Some(500)]);
    for _ in 0..101 {
        w.ok("POST", &format!("{PATH}/{webhook}/test"), Value::Null)
            .await;
    }
    let log = log(&w, &webhook).await;
    let items = log["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    assert!(
        items.iter().all(|item| item["success"] == true),
        "the oldest is gone"
    );
}

#[tokio::test]
async fn our_client_subscribes_and_finds_its_subscriptions() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let client = Client::builder(w.url()).api_key("local").build().unwrap();
    let wanted = quorate_toloka::types::WebhookSubscription {
        event_type: EventType::PoolClosed,
        webhook_url: "http://example.com/hook".to_owned(),
        pool_id: pool,
        secret_key: Some(Secret::from(SECRET)),
        ..Default::default()
    };
    let made = client
        .upsert_webhook_subscriptions(std::slice::from_ref(&wanted))
        .await
        .unwrap();
    let made = &made.items["0"];
    assert_eq!(made.event_type, wanted.event_type);
    assert_eq!(
        &client.get_webhook_subscription(&made.id).await.unwrap(),
        made
    );
}

#[tokio::test]
async fn a_running_platform_delivers_by_itself() {
    let w = World::with(Config {
        clock: quorate_crowd::Clock::real(),
        ..config()
    })
    .await;
    let r = Receiver::new().await;
    let over = json!({"will_expire": "2099-01-01T00:00:00"});
    let pool = open_pool(&w, 20, over).await;
    subscribe(&w, &pool, &r.url).await;
    w.take(&w.worker("a").await, &pool).await.unwrap();
    r.inbox.arrived.notified().await;
    assert_eq!(r.kinds(&w), [[EventType::AssignmentCreated]]);
}

#[tokio::test]
async fn a_platform_killed_under_load_tells_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let r = Receiver::new().await;
    let (mut child, w) = in_a_process(folder.path()).await;
    let over = json!({"mixer_config": {"real_tasks_count": 1}});
    let pool = open_pool(&w, 200, over).await;
    w.ok(
        "PUT",
        PATH,
        subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
    )
    .await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let workers = join_all(names.map(|name| w.worker(name))).await;
    let taken = Mutex::new(Vec::new());
    let enough = Notify::new();
    // Until the platform does not answer any more.
    let take = async |worker: &Worker| {
        let path = format!("{}/api/worker/v1/pools/{pool}/assignments", w.url());
        let http = quorate_toloka::http_builder().no_proxy().build().unwrap();
        let request = || {
            http.post(&path)
                .header("Authorization", format!("Worker {}", worker.token))
        };
        while let Ok(answer) = request().send().await
            && let Ok(answer) = answer.json::<Value>().await
            && !answer["assignment"].is_null()
        {
            taken.lock().unwrap().push(id(&answer["assignment"]));
            if taken.lock().unwrap().len() == 40 {
                enough.notify_one();
            }
        }
    };
    let work = join_all(workers.iter().map(take));
    let (_, ()) = tokio::join!(work, async {
        enough.notified().await;
        child.kill().unwrap();
    });
    child.wait().unwrap();

    let again = World::with(Config {
        data: Some(folder.path().to_owned()),
        ..config()
    })
    .await;
    again.platform().deliver().await.unwrap();
    let told: BTreeSet<String> = assignments(r.deliveries(&again).concat());
    let list = format!("/api/v1/assignments?pool_id={pool}&limit=1000");
    let stored = again.get(&list).await;
    let stored: BTreeSet<String> = stored["items"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(told, stored, "an assignment comes with its event");
    let taken: BTreeSet<String> = taken.into_inner().unwrap().into_iter().collect();
    assert!(taken.len() >= 40 && stored.is_superset(&taken));
}

/// The assignments that events are about.
fn assignments<C: FromIterator<String>>(events: Vec<Event>) -> C {
    let ids = events.into_iter().map(|event| event.assignment_id.unwrap());
    ids.collect()
}

/// Time is paused: it passes at once while everybody waits.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_too_long_is_tried_again_later() {
    let w = World::new().await;
    let r = Receiver::answering([None; 2]).await;
    let pool = open_pool(&w, 20, json!({})).await;
    let made = w
        .ok(
            "PUT",
            PATH,
            subscription(&pool, "ASSIGNMENT_CREATED", &r.url),
        )
        .await;
    let webhook = id(&made["items"]["0"]);
    w.take(&w.worker("a").await, &pool).await.unwrap();
    w.platform().deliver().await.unwrap();
    let log = log(&w, &webhook).await;
    assert_eq!(log["items"][0]["error_type"], "REQUEST_TIMEOUT");
    assert_eq!(log["items"][0]["status_code"], Value::Null);
    assert_eq!(log["waiting"], 1);
    assert_eq!(log["next_try"], "2026-01-01T00:00:01.000");
}

#[tokio::test]
async fn only_so_many_tests_run_at_once() {
    let w = World::new().await;
    let r = Receiver::answering([None; 8]).await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let made = w
        .ok("PUT", PATH, subscription(&pool, "POOL_CLOSED", &r.url))
        .await;
    let path = format!("{PATH}/{}/test", id(&made["items"]["0"]));
    let test = async || w.ok("POST", &path, Value::Null).await;
    let ninth = async {
        while r.deliveries(&w).len() < 8 {
            r.inbox.arrived.notified().await;
        }
        test().await
    };
    let tests = join_all((0..8).map(|_| test()));
    tokio::select! {
        _ = tests => panic!("the receiver hangs"),
        result = ninth => assert_eq!(result["errorType"], "TOO_MANY_CONNECTIONS"),
    }
}

/// What may happen next to a pool whose webhooks are watched.
#[derive(Clone, Debug)]
enum Step {
    Take,
    Submit,
    Skip,
    Exit,
    Pass(u64),
    Review(bool),
    /// The receiver fails so often.
    Fail(usize),
    Deliver,
    /// The platform dies and starts again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Take),
        4 => Just(Step::Submit),
        1 => Just(Step::Skip),
        1 => Just(Step::Exit),
        1 => (1..400u64).prop_map(Step::Pass),
        2 => any::<bool>().prop_map(Step::Review),
        2 => (1..4usize).prop_map(Step::Fail),
        3 => Just(Step::Deliver),
        1 => Just(Step::Restart),
    ]
}

/// The events that the state of an assignment says there were.
fn expected(assignment: &Value) -> Vec<(String, &'static str, String)> {
    let id = id(assignment);
    [
        ("created", "ASSIGNMENT_CREATED"),
        ("submitted", "ASSIGNMENT_SUBMITTED"),
        ("accepted", "ASSIGNMENT_APPROVED"),
        ("rejected", "ASSIGNMENT_REJECTED"),
        ("skipped", "ASSIGNMENT_SKIPPED"),
        ("expired", "ASSIGNMENT_EXPIRED"),
    ]
    .into_iter()
    .filter_map(|(when, kind)| Some((id.clone(), kind, assignment[when].as_str()?.to_owned())))
    .collect()
}

async fn check_steps(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let stored = || Config {
        data: Some(folder.path().to_owned()),
        ..config()
    };
    let r = Receiver::new().await;
    let mut w = World::with(stored()).await;
    let over = json!({"auto_accept_solutions": false});
    let pool = open_pool(&w, 40, over).await;
    subscribe(&w, &pool, &r.url).await;
    let a = w.worker("a").await;
    let mut hand = Vec::new();
    let list = format!("/api/v1/assignments?pool_id={pool}&limit=1000");
    for step in steps {
        match step {
            Step::Take => hand.extend(w.take(&a, &pool).await),
            Step::Submit => {
                if let Some(page) = hand.pop() {
                    w.submit(&a, &page, &["cat", "cat"]).await;
                }
            }
            Step::Skip | Step::Exit => {
                if let Some(page) = hand.pop() {
                    let how = if matches!(step, Step::Skip) {
                        "skip"
                    } else {
                        "exit"
                    };
                    let path = format!("/assignments/{}/{how}", id(&page));
                    w.work(&a, "POST", &path, Value::Null).await;
                }
            }
            Step::Pass(seconds) => w.pass(seconds),
            Step::Review(accept) => {
                let done = w.get(&format!("{list}&status=SUBMITTED")).await;
                if let Some(page) = done["items"].as_array().unwrap().first() {
                    let status = if accept { "ACCEPTED" } else { "REJECTED" };
                    let verdict = json!({"status": status, "public_comment": "so"});
                    let path = format!("/api/v1/assignments/{}", id(page));
                    w.ok("PATCH", &path, verdict).await;
                }
            }
            Step::Fail(times) => r.answer_next(&vec![Some(503); times]),
            Step::Deliver => w.platform().deliver().await.unwrap(),
            Step::Restart => {
                let now = w.platform().clock().now();
                drop(w);
                w = World::with(stored()).await;
                w.platform().clock().not_before(now);
            }
        }
    }
    r.inbox.answers.lock().unwrap().clear();
    w.pass(300);
    w.platform().tick().unwrap();
    w.platform().deliver().await.unwrap();

    let state = w.get(&list).await;
    let mut expected: Vec<_> = state["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(expected)
        .collect();
    let mut told = Vec::new();
    let mut last: BTreeMap<String, Time> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for event in r.all_events() {
        if !known.insert(event.uuid.clone()) {
            continue;
        }
        let at = event.event_time.unwrap();
        let (webhook, id) = (
            event.webhook_subscription_id.unwrap(),
            event.assignment_id.unwrap(),
        );
        if let Some(before) = last.insert(webhook, at) {
            assert!(before <= at, "in order");
        }
        told.push((id, kind_of(&event.kind), at.to_string()));
    }
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

fn kind_of(kind: &EventType) -> &'static str {
    ALL.into_iter()
        .find(|known| *known == kind.as_str())
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_event_is_told_in_order_whatever_fails(steps in prop::collection::vec(step(), 5..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_steps(steps));
    }
}

#[tokio::test]
async fn the_end_of_dynamic_overlap_is_told_with_its_answer() {
    let w = World::new().await;
    let r = Receiver::new().await;
    let skill = w.skill("control").await;
    let over = json!({
        "mixer_config": {"real_tasks_count": 1},
        "defaults": {"default_overlap_for_new_tasks": 1},
        "dynamic_overlap_config": {"type": "BASIC", "max_overlap": 3, "min_confidence": 0.9,
            "answer_weight_skill_id": skill, "fields": [{"name": "result"}]}});
    let pool = open_pool(&w, 1, over).await;
    w.ok(
        "PUT",
        PATH,
        subscription(&pool, "DYNAMIC_OVERLAP_COMPLETED", &r.url),
    )
    .await;
    let mut pages = Vec::new();
    for name in ["a", "b"] {
        let worker = w.worker(name).await;
        let body = json!({"skill_id": skill, "user_id": worker.id, "value": 80});
        w.ok("PUT", "/api/v1/user-skills", body).await;
        w.platform().deliver().await.unwrap();
        assert!(r.all_events().is_empty(), "one answer is not sure enough");
        pages.push(w.do_page(&worker, &pool, 60, "cat").await);
    }
    w.platform().deliver().await.unwrap();
    let event = r.deliveries(&w).concat().remove(0);
    assert_eq!(
        event.task_id.as_ref(),
        pages[0]["tasks"][0]["id"]
            .as_str()
            .map(str::to_owned)
            .as_ref()
    );
    assert_eq!(
        event.assignment_ids.unwrap(),
        pages.iter().map(id).collect::<Vec<_>>()
    );
    assert_eq!(event.output_values.unwrap()["result"], "cat");
    // .8 × .8 against .2 × .2.
    assert_eq!(event.confidence.unwrap().round_dp(3).to_string(), "0.941");
}
