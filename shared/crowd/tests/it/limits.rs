//! Rates and quotas, as our own client meets them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_crowd::{Config, RequesterKey};
use quorate_toloka::{Client, Error, QuotaInterval, RetryPolicy, codes, limits, types::Skill};
use serde_json::{Value, json};

use crate::world::{World, config, id, many, real};

/// A platform that keeps requesters within their limits. Its clock stands at midnight.
async fn world() -> World {
    World::with(Config {
        rate_limits: true,
        ..config()
    })
    .await
}

fn skill(n: usize) -> Skill {
    Skill {
        name: format!("skill {n}"),
        ..Skill::default()
    }
}

#[tokio::test]
async fn our_client_waits_as_long_as_it_is_told_and_gets_on() {
    let w = world().await;
    w.pass(20);
    let clock = w.platform().clock().clone();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let slept = Arc::clone(&waits);
    let client = Client::builder(w.url())
        .api_key("local")
        .retry(RetryPolicy {
            longest_wait: Duration::from_secs(60),
            ..RetryPolicy::default()
        })
        .sleep_with(move |wait| {
            clock.advance(wait);
            slept.lock().unwrap().push(wait);
            std::future::ready(())
        })
        .build()
        .unwrap();
    for n in 0..25 {
        client.create_skill(&skill(n)).await.unwrap();
    }
    let waits = waits.lock().unwrap().clone();
    let seconds: Vec<u64> = waits.iter().map(Duration::as_secs).collect();
    assert_eq!(
        seconds,
        [40, 60],
        "to the end of the minute, and of the next"
    );
    let page = w.get("/api/v1/skills?limit=100").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 25, "none twice");
}

#[tokio::test]
async fn a_refused_request_names_the_quota_and_has_no_effect() {
    let w = world().await;
    let client = Client::builder(w.url()).api_key("local");
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    for n in 0..10 {
        client.create_skill(&skill(n)).await.unwrap();
    }
    w.pass(30);
    let refused = client.create_skill(&skill(10)).await.unwrap_err();
    assert_eq!(refused.code(), Some(codes::TOO_MANY_REQUESTS));
    let Error::RateLimited {
        retry_after,
        interval,
        ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(30)));
    assert_eq!(interval, Some(QuotaInterval::Minute));
    let page = w.get("/api/v1/skills?limit=100").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 10);

    // A day has 100, however its minutes are used.
    for minute in 1..10 {
        w.pass(60);
        for n in 0..10 {
            client.create_skill(&skill(10 * minute + n)).await.unwrap();
        }
    }
    w.pass(60);
    let Error::RateLimited { interval, .. } = client.create_skill(&skill(100)).await.unwrap_err()
    else {
        panic!("the day is used up");
    };
    assert_eq!(interval, Some(QuotaInterval::Day));
    w.pass(86_400);
    client.create_skill(&skill(100)).await.unwrap();
}

#[tokio::test]
async fn tasks_are_counted_by_what_is_created() {
    let w = world().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let most = limits::CREATE_TASKS.per_minute.unwrap() as usize;
    // Items are counted before anybody looks into them.
    let junk = |count: usize| Value::Array(vec![json!(0); count]);
    let path = "/api/v1/tasks";
    assert_eq!(
        w.fails("POST", path, junk(most)).await.1,
        "VALIDATION_ERROR"
    );
    let (status, code) = w.fails("POST", path, real(&pool, 0)).await;
    assert_eq!((status, code.as_str()), (429, "TOO_MANY_REQUESTS"));
    w.pass(60);
    w.tasks(many(3, |n| real(&pool, n))).await;
    let (status, _) = w.fails("POST", path, junk(most - 2)).await;
    assert_eq!(status, 429);
    assert_eq!(w.fails("POST", path, junk(most - 3)).await.0, 400);
}

#[tokio::test]
async fn pools_may_be_changed_but_their_overlap_only_so_often() {
    let w = world().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let path = format!("/api/v1/pools/{pool}");
    let mut form = w.get(&path).await;
    for n in 0..15 {
        form["private_name"] = json!(format!("name {n}"));
        w.ok("PUT", &path, form.clone()).await;
    }
    for n in 0..10 {
        form["defaults"]["default_overlap_for_new_tasks"] = json!(10 + n);
        w.ok("PUT", &path, form.clone()).await;
    }
    form["defaults"]["default_overlap_for_new_tasks"] = json!(5);
    let (status, refused) = w.call("PUT", &path, form).await;
    assert_eq!(
        (status, &refused["payload"]["interval"]),
        (429, &json!("HOUR"))
    );
    assert_eq!(
        w.get(&path).await["defaults"]["default_overlap_for_new_tasks"],
        19
    );
}

#[tokio::test]
async fn everybody_has_limits_of_their_own_and_workers_have_none() {
    let key = |account: &str| RequesterKey {
        account: account.to_owned(),
        key: account.to_owned(),
    };
    let w = World::with(Config {
        rate_limits: true,
        keys: vec![key("local"), key("other")],
        ..config()
    })
    .await;
    let path = "/api/v1/requester";
    for _ in 0..limits::REQUESTS_PER_SECOND {
        w.get(path).await;
    }
    let (status, refused) = w.call("GET", path, Value::Null).await;
    assert_eq!(
        (status, &refused["code"]),
        (429, &json!("TOO_MANY_REQUESTS"))
    );
    assert_eq!(refused["payload"], Value::Null, "no quota, a rate");
    let as_other = w.send(Some("ApiKey other"), "GET", path, None).await;
    assert_eq!(as_other.0, 200);
    let wrong = w.send(Some("ApiKey wrong"), "GET", path, None).await;
    assert_eq!(wrong.0, 403);
    w.worker("a").await;
    w.pass(1);
    w.get(path).await;
}

#[tokio::test]
async fn without_the_setting_there_are_none() {
    let w = World::new().await;
    for n in 0..21 {
        w.skill(&format!("skill {n}")).await;
    }
    for _ in 0..21 {
        id(&json!({"id": w.project().await}));
    }
}
