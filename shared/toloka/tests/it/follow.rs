//! Lists that are followed by a time, on a server whose lists lag behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use proptest::prelude::*;
use quorate_toloka::{
    AssignmentQuery, Bounds, Client, Cursor, Error, RetryPolicy, UserSkillQuery, WINDOW,
    WebhookQuery, types::Time,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::server::{Reply, Server};

fn at(millis: i64) -> Time {
    Timestamp::from_millisecond(millis).unwrap().into()
}

/// Something submitted at a time that the list shows some time later.
#[derive(Clone, Copy, Debug)]
struct Late {
    submitted: i64,
    lag: i64,
}

/// A list of assignments that lags behind: what is in it, and the time.
#[derive(Clone, Default)]
struct Lagging(Arc<Mutex<(Vec<Late>, i64)>>);

impl Lagging {
    async fn start(&self) -> Client {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/api/v1/assignments", get(list))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let builder = Client::builder(url)
            .api_key("key")
            .retry(RetryPolicy::never());
        // Following never waits.
        builder
            .sleep_with(|_| async { panic!("it waits") })
            .build()
            .unwrap()
    }
}

/// As the platform does it: what is visible from a time on, in its order, so many.
async fn list(
    State(lagging): State<Lagging>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<Value> {
    assert_eq!(query["sort"], "submitted");
    let from: Option<Time> = query.get("submitted_gte").map(|time| time.parse().unwrap());
    let limit: usize = query["limit"].parse().unwrap();
    let guard = lagging.0.lock().unwrap();
    let (items, now) = &*guard;
    let mut visible: Vec<_> = items
        .iter()
        .enumerate()
        .filter(|(_, late)| late.submitted + late.lag <= *now)
        .filter(|(_, late)| from.is_none_or(|from| at(late.submitted) >= from))
        .map(|(id, late)| (late.submitted, id))
        .collect();
    visible.sort_unstable();
    let has_more = visible.len() > limit;
    let page: Vec<_> = visible
        .into_iter()
        .take(limit)
        .map(|(submitted, id)| json!({ "id": id.to_string(), "submitted": at(submitted) }))
        .collect();
    Json(json!({ "items": page, "has_more": has_more }))
}

fn query(limit: u32) -> AssignmentQuery {
    AssignmentQuery {
        limit: Some(limit),
        ..AssignmentQuery::pool("1")
    }
}

/// The longest that an object shows up late, and how long objects are submitted.
const LAG: i64 = 50;
const END: i64 = 150;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Looks at random times, each time with the cursor from a file, and each time dying after a
    /// few objects: yet everything comes, and comes once.
    #[test]
    fn each_object_comes_once_however_late_and_whenever_one_looks(
        items in prop::collection::vec((0..END, 0..=LAG), 0..30),
        looks in prop::collection::vec((0..END + LAG, 0..12_usize), 0..10),
        limit in 1..4_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let came = runtime.block_on(async {
            let lagging = Lagging::default();
            let late = |(submitted, lag)| Late { submitted, lag };
            lagging.0.lock().unwrap().0 = items.iter().copied().map(late).collect();
            let client = lagging.start().await;
            let mut looks = looks.clone();
            looks.sort_unstable();
            // In the end everything is visible, and the last look takes all.
            looks.push((END + LAG, usize::MAX));
            let (mut stored, mut came) = (json!({}), Vec::new());
            for (now, takes) in looks {
                lagging.0.lock().unwrap().1 = now;
                let cursor: Cursor = serde_json::from_value(stored).unwrap();
                let window = Duration::from_millis(LAG.unsigned_abs());
                let key = AssignmentQuery::SUBMITTED;
                let mut follow = client.follow(query(limit), key, cursor).window(window);
                for _ in 0..takes {
                    match follow.next().await.unwrap() {
                        Some(assignment) => came.push(assignment.id.parse::<usize>().unwrap()),
                        None => break,
                    }
                }
                stored = serde_json::to_value(follow.cursor()).unwrap();
            }
            came
        });
        let mut sorted = came;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..items.len()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn it_can_be_asked_again_and_forgets_what_left_the_window() {
    let lagging = Lagging::default();
    let client = lagging.start().await;
    let mut follow = client
        .follow(
            query(10),
            AssignmentQuery::SUBMITTED,
            Cursor::since(at(1_000)),
        )
        .window(Duration::from_millis(100));
    let add = |submitted| {
        let mut guard = lagging.0.lock().unwrap();
        guard.0.push(Late { submitted, lag: 0 });
        guard.1 = 10_000;
    };
    assert!(follow.next().await.unwrap().is_none());
    // Before the beginning but within the window; and long before.
    add(950);
    add(100);
    add(2_000);
    let came: Vec<_> = follow
        .stream()
        .map_ok(|one| one.id)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(came, ["0", "2"]);
    assert!(follow.next().await.unwrap().is_none());
    let cursor = follow.into_cursor();
    assert_eq!(cursor.until, Some(at(2_000)));
    assert_eq!(cursor.seen, BTreeSet::from([(at(2_000), "2".to_owned())]));
}

fn page(items: Value, has_more: bool) -> Reply {
    Reply::json(200, &json!({ "items": items, "has_more": has_more }))
}

#[tokio::test]
async fn it_asks_from_the_window_on_but_not_before_the_callers_bound() {
    let server = Server::start([page(json!([]), false), page(json!([]), false)]).await;
    let until = at(1_000_000);
    for (bound, from) in [(None, at(940_000)), (Some(at(999_999)), at(999_999))] {
        let query = AssignmentQuery {
            submitted: Bounds {
                gte: bound,
                ..Bounds::default()
            },
            ..AssignmentQuery::pool("1")
        };
        let client = server.client();
        let mut follow = client.follow(query, AssignmentQuery::SUBMITTED, Cursor::since(until));
        assert!(follow.next().await.unwrap().is_none());
        assert_eq!(WINDOW, Duration::from_secs(60));
        let seen: BTreeMap<_, _> = server.seen().remove(0).query.into_iter().collect();
        assert_eq!(seen["submitted_gte"], from.to_string());
        assert_eq!(seen["limit"], "1000");
    }
}

#[tokio::test]
async fn an_object_that_changes_again_comes_again() {
    let value =
        |modified| json!({ "id": "a", "skill_id": "1", "user_id": "u", "modified": at(modified) });
    let server = Server::start([
        page(json!([value(1)]), false),
        page(json!([value(1)]), false),
        page(json!([value(2)]), false),
    ])
    .await;
    let client = server.client();
    let query = UserSkillQuery::default();
    let mut follow = client.follow(query, UserSkillQuery::MODIFIED, Cursor::default());
    for came in [1, 0, 1] {
        let new: Vec<_> = follow.stream().try_collect().await.unwrap();
        assert_eq!(new.len(), came);
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_followed_is_an_error() {
    let one = json!([{ "id": "a", "submitted": at(5) }]);
    let full = AssignmentQuery {
        limit: Some(100_000),
        ..AssignmentQuery::pool("1")
    };
    for (replies, says) in [
        (vec![page(json!([{ "id": "a" }]), false)], "no `submitted`"),
        (vec![page(json!([]), true)], "does not go beyond"),
        (
            vec![page(one.clone(), true), page(one, true)],
            "does not go beyond",
        ),
    ] {
        let server = Server::start(replies).await;
        let client = server.client();
        let mut follow = client.follow(full.clone(), AssignmentQuery::SUBMITTED, Cursor::default());
        let error = loop {
            match follow.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error: {says}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Decode { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn webhook_subscriptions_that_were_made_at_once_all_come() {
    let one = |id: &str| json!({ "id": id, "event_type": "POOL_CLOSED", "created": at(7) });
    let server = Server::start([
        page(json!([one("a"), one("b")]), true),
        page(json!([one("a"), one("b"), one("c")]), false),
    ])
    .await;
    let query = WebhookQuery {
        limit: Some(2),
        ..WebhookQuery::default()
    };
    let client = server.client();
    let stream = client.webhook_subscriptions(query);
    let ids: Vec<_> = stream.map_ok(|one| one.id).try_collect().await.unwrap();
    assert_eq!(ids, ["a", "b", "c"]);
}
