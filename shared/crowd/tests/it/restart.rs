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
    let invite = w.platform().invite().to_owned();
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
    assert_eq!(w.platform().invite(), invite);
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

/// Where the child process of the next test keeps its data; set only there.
const CHILD: &str = "QUORATE_CROWD_TEST_CHILD";

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
async fn serve_until_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let w = World::with(Config {
        data: Some(folder.clone().into()),
        ..config()
    })
    .await;
    let address = std::path::Path::new(&folder).join("address");
    std::fs::write(address.with_extension("new"), w.url()).unwrap();
    std::fs::rename(address.with_extension("new"), address).unwrap();
    std::future::pending::<()>().await;
}

/// A platform in a process of its own, to be killed.
pub(crate) async fn in_a_process(folder: &std::path::Path) -> (std::process::Child, World) {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::serve_until_killed"])
        .env(CHILD, folder)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let address = folder.join("address");
    let url = loop {
        match std::fs::read_to_string(&address) {
            Ok(url) => break url,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    (child, World::at(url))
}

#[tokio::test]
async fn a_platform_killed_in_the_middle_keeps_all_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, w) = in_a_process(folder.path()).await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let batch = |n: usize| json!(many(50, |k| real(&pool, n * 50 + k)));
    let send = async |w: &World, n: usize| {
        let operation = uuid::Uuid::from_u128(n as u128);
        let path =
            format!("/api/v1/tasks?async_mode=true&allow_defaults=true&operation_id={operation}");
        w.try_call("POST", &path, batch(n)).await
    };
    for n in 0..5 {
        assert_eq!(send(&w, n).await, Some(202));
    }
    // The kill comes while requests are on their way: each is acknowledged and there, or neither.
    let first = tokio::sync::Notify::new();
    let sent = (5..15).map(async |n| {
        let answer = send(&w, n).await;
        first.notify_one();
        answer
    });
    let (last, ()) = tokio::join!(futures_util::future::join_all(sent), async {
        first.notified().await;
        child.kill().unwrap();
    });
    child.wait().unwrap();

    let again = World::with(Config {
        data: Some(folder.path().to_owned()),
        ..config()
    })
    .await;
    let mut kept = 0;
    for n in 0..15 {
        let operation = format!("/api/v1/operations/{}", uuid::Uuid::from_u128(n as u128));
        let (status, stored) = again.call("GET", &operation, Value::Null).await;
        let acknowledged = n < 5 || last[n - 5] == Some(202);
        assert!(
            status == 200 || !acknowledged,
            "batch {n} was acknowledged and is gone"
        );
        if status == 200 {
            assert_eq!(stored["details"]["success_count"], 50);
            kept += 1;
        }
    }
    let tasks = again
        .get(&format!("/api/v1/tasks?pool_id={pool}&limit=1000"))
        .await;
    assert_eq!(
        tasks["items"].as_array().unwrap().len(),
        kept * 50,
        "an operation comes with its tasks"
    );
    for n in 0..15 {
        assert!(
            matches!(send(&again, n).await, Some(202 | 409)),
            "sending all again completes the work"
        );
    }
    let tasks = again
        .get(&format!("/api/v1/tasks?pool_id={pool}&limit=1000"))
        .await;
    assert_eq!(tasks["items"].as_array().unwrap().len(), 15 * 50);
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
    w.platform().clock().wait_until(expires.timestamp()).await;
    w.platform().tick().unwrap();
    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(
        (&stored["status"], &stored["expired"]),
        (&json!("EXPIRED"), &page["expires"])
    );
}
