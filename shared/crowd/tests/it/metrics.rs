//! `/metrics`, as Prometheus reads it.

use std::collections::BTreeMap;

use quorate_crowd::{Config, RequesterKey};
use serde_json::{Value, json};

use crate::world::{World, config, id, many, real};

/// The samples by name and labels, with a check of the format on the way.
async fn scrape(w: &World) -> BTreeMap<String, String> {
    let (status, text) = w.send(None, "GET", "/metrics", None).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.strip_prefix("quorate_crowd_").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_numbers_are_those_of_what_happened() {
    let w = World::new().await;
    let zero = scrape(&w).await;
    assert_eq!(zero["pools{status=\"OPEN\"}"], "0");
    assert_eq!(zero["assignments{status=\"ACTIVE\"}"], "0");

    let over = json!({"auto_accept_solutions": false, "mixer_config": {"real_tasks_count": 3}});
    let pool = w.pool(&w.project().await, over).await;
    w.pool(&w.project().await, json!({})).await;
    w.tasks(many(30, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let url = "http://127.0.0.1:1/hook";
    let hook = json!({"webhook_url": url, "event_type": "ASSIGNMENT_CREATED", "pool_id": pool});
    w.ok("PUT", "/api/v1/webhook-subscriptions", hook).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let page = w.do_page(&a, &pool, 1, "cat").await;
    let accept = json!({"status": "ACCEPTED", "public_comment": ""});
    w.ok(
        "PATCH",
        &format!("/api/v1/assignments/{}", id(&page)),
        accept,
    )
    .await;
    w.do_page(&a, &pool, 1, "cat").await;
    w.take(&b, &pool).await.unwrap();
    w.pass(601);
    let page = w.take(&a, &pool).await.unwrap();
    let skip = format!("/assignments/{}/skip", id(&page));
    w.work(&a, "POST", &skip, Value::Null).await;
    w.take(&a, &pool).await.unwrap();
    w.platform().deliver().await.unwrap();

    let now = scrape(&w).await;
    for (name, value) in [
        ("pools{status=\"OPEN\"}", "1"),
        ("pools{status=\"CLOSED\"}", "1"),
        ("assignments{status=\"ACTIVE\"}", "1"),
        ("assignments{status=\"SUBMITTED\"}", "1"),
        ("assignments{status=\"ACCEPTED\"}", "1"),
        ("assignments{status=\"REJECTED\"}", "0"),
        ("assignments{status=\"SKIPPED\"}", "1"),
        ("assignments{status=\"EXPIRED\"}", "1"),
        ("pages_taken_total", "5"),
        ("answers_submitted_total", "6"),
        ("workers", "2"),
        ("webhook_events_waiting", "5"),
        ("webhook_events_delivered_total", "0"),
        ("webhook_attempts_failed_total", "1"),
        (
            "http_requests_total{route=\"/api/worker/v1/pools/{id}/assignments\",method=\"POST\",status=\"200\"}",
            "5",
        ),
        (
            "http_request_duration_seconds_count{route=\"/api/v1/pools\",method=\"POST\"}",
            "2",
        ),
        (
            "http_requests_total{route=\"/metrics\",method=\"GET\",status=\"200\"}",
            "1",
        ),
    ] {
        let sample = now.get(name).map(String::as_str);
        assert_eq!(sample, Some(value), "{name} in {now:#?}");
    }
    assert!(now["database_bytes"].parse::<u64>().unwrap() > 100_000);
}

#[tokio::test]
async fn requests_for_nothing_make_no_new_labels() {
    let w = World::new().await;
    for n in 0..3 {
        for method in ["GET", "BREW", "TEAPOT"] {
            w.send(None, method, &format!("/nowhere/{n}"), None).await;
            w.send(None, method, &format!("/api/v1/pools/{n}/open"), None)
                .await;
        }
    }
    let now = scrape(&w).await;
    let requests = now.keys().filter(|name| name.starts_with("http_requests"));
    let mut requests: Vec<&str> = requests.map(String::as_str).collect();
    requests.sort_unstable();
    let request = |route: &str, method: &str, status: u16| {
        format!("http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}")
    };
    assert_eq!(
        requests,
        [
            request("/api/v1/pools/{id}/open", "GET", 405),
            request("/api/v1/pools/{id}/open", "other", 405),
            request("none", "GET", 404),
            request("none", "other", 404),
        ]
    );
}

#[tokio::test]
async fn with_keys_the_metrics_ask_for_one_and_show_none() {
    let w = World::with(Config {
        keys: vec![RequesterKey {
            account: "acme".to_owned(),
            key: "key-of-acme".to_owned(),
        }],
        ..config()
    })
    .await;
    assert_eq!(w.send(None, "GET", "/metrics", None).await.0, 403);
    let wrong = w.send(Some("ApiKey wrong"), "GET", "/metrics", None).await;
    assert_eq!(wrong.0, 403);
    let (status, text) = w
        .send(Some("ApiKey key-of-acme"), "GET", "/metrics", None)
        .await;
    assert_eq!(status, 200);
    assert!(!text.contains("acme"), "{text}");
}

#[tokio::test]
async fn without_keys_only_this_machine_sees_them() {
    let w = World::new().await;
    let http = quorate_toloka::http_builder().build().unwrap();
    let request = http.get(format!("{}/metrics", w.url()));
    let answer = request.header("Host", "evil.example").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
}
