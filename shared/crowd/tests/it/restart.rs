//! What survives: everything that was acknowledged.

use quorate_crowd::{Clock, Config};
use serde_json::{Value, json};

use crate::world::{World, config, id, many, real};

#[tokio::test]
async fn a_restarted_platform_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let stored = || Config {
        data: Some(folder.path().to_owned()),
        invite: None,
        ..config()
    };
    let w = World::with(stored()).await;
    let invite = w.platform.invite().to_owned();
    assert_eq!(invite.len(), 64);
    let pool = w.pool(&w.project().await, json!({})).await;
    let ids = w.tasks(many(6, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let sign_in =
        json!({"login": "a", "password": "p", "invite": invite, "profile": {}}).to_string();
    let (_, text) = w
        .send(None, "POST", "/api/worker/v1/workers", Some(sign_in))
        .await;
    let signed: Value = serde_json::from_str(&text).unwrap();
    let a = crate::world::Worker {
        id: signed["worker_id"].as_str().unwrap().into(),
        token: signed["token"].as_str().unwrap().into(),
    };
    w.pass(5_000);
    let page = w.take(&a, &pool).await.unwrap();
    let before = w.get(&format!("/api/v1/pools/{pool}")).await;
    drop(w);

    // The clock starts at its first instant again, the platform's time does not.
    let w = World::with(stored()).await;
    assert_eq!(w.platform.invite(), invite);
    assert_eq!(w.get(&format!("/api/v1/pools/{pool}")).await, before);
    w.pass(60);
    assert_eq!(
        w.submit(&a, &page, &["cat", "cat"]).await.0,
        200,
        "token and page are still good"
    );
    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(stored["submitted"], "2026-01-01T01:24:20.000");
    let more = w.tasks(vec![real(&pool, 9)]).await;
    assert!(more[0] > ids[5], "ids keep growing");
}

#[tokio::test]
async fn a_running_clock_serves_and_expires_without_being_asked() {
    let clock = Clock::scaled(crate::world::START.parse().unwrap(), 50_000.0);
    let w = World::with(Config { clock, ..config() }).await;
    let over = json!({"assignment_max_duration_seconds": 3600});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let page = w.take(&w.worker("a").await, &pool).await.unwrap();
    let expires: quorate_toloka::types::Time = page["expires"].as_str().unwrap().parse().unwrap();
    w.platform.clock().wait_until(expires.timestamp()).await;
    w.platform.tick().unwrap();
    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(
        (&stored["status"], &stored["expired"]),
        (&json!("EXPIRED"), &page["expires"])
    );
}
