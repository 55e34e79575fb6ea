//! What survives: everything that was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use quorate_crowd::{Clock, Config};
use serde_json::{Value, json};

use crate::world::{Worker, World, config, id, many, real, task_ids};

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
    let a = Worker {
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

/// A page that a worker has, and the answers that were sent, if any were.
struct Page {
    worker: Worker,
    id: String,
    tasks: Vec<String>,
    sent: Option<Vec<String>>,
    acknowledged: bool,
}

impl Page {
    async fn submit(&self, w: &World) -> Option<(u16, Value)> {
        let answers = self.sent.iter().flatten();
        let solutions: Vec<Value> = answers
            .map(|answer| json!({"output_values": {"result": answer}}))
            .collect();
        let path = format!("/assignments/{}/submit", self.id);
        let body = json!({ "solutions": solutions });
        w.try_work(&self.worker, &path, body).await
    }
}

/// Takes and submits pages until the platform is dead or has no more. Every answer is another.
async fn work_until_killed(
    w: &World,
    worker: &Worker,
    pool: &str,
    acknowledged: impl Fn(),
) -> Vec<Page> {
    let mut pages = Vec::new();
    let take = format!("/pools/{pool}/assignments");
    while let Some((200, taken)) = w.try_work(worker, &take, Value::Null).await {
        let assignment = &taken["assignment"];
        if assignment.is_null() {
            break;
        }
        let mut page = Page {
            worker: worker.clone(),
            id: id(assignment),
            tasks: task_ids(assignment),
            sent: None,
            acknowledged: false,
        };
        let answer = |task| format!("{} on {task}", worker.id);
        page.sent = Some(page.tasks.iter().map(answer).collect());
        let answered = page.submit(w).await;
        page.acknowledged = answered.is_some();
        pages.push(page);
        match answered {
            Some((status, done)) => {
                assert_eq!((status, &done["status"]), (200, &json!("ACCEPTED")))
            }
            None => break,
        }
        acknowledged();
    }
    pages
}

#[tokio::test]
async fn fifty_workers_lose_no_submit_when_the_platform_is_killed() {
    const OVERLAP: u64 = 3;
    let folder = tempfile::tempdir().unwrap();
    let (mut child, w) = in_a_process(folder.path()).await;
    let free_text = json!({"task_spec": {"output_spec": {"result": {"allowed_values": null}}}});
    let pool = w.pool(&w.project_with(free_text).await, json!({})).await;
    w.tasks(many(400, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let workers = join_all((0..50).map(async |n| w.worker(&format!("worker {n}")).await)).await;

    // The kill comes while everybody takes and submits.
    let (submitted, enough) = (AtomicUsize::new(0), tokio::sync::Notify::new());
    let count = || {
        if submitted.fetch_add(1, Ordering::Relaxed) == 150 {
            enough.notify_one();
        }
    };
    let working = join_all(
        workers
            .iter()
            .map(|worker| work_until_killed(&w, worker, &pool, count)),
    );
    let (pages, ()) = tokio::join!(working, async {
        enough.notified().await;
        child.kill().unwrap();
    });
    child.wait().unwrap();
    let pages: Vec<Page> = pages.into_iter().flatten().collect();

    let again = World::with(Config {
        data: Some(folder.path().to_owned()),
        ..config()
    })
    .await;
    let stored = async || {
        let path = format!("/api/v1/assignments?pool_id={pool}&limit=10000");
        let list = again.get(&path).await["items"].as_array().unwrap().clone();
        let all = list.len();
        let by_id: BTreeMap<String, Value> = list.into_iter().map(|one| (id(&one), one)).collect();
        assert_eq!(by_id.len(), all);
        by_id
    };
    let accepted = |stored: &BTreeMap<String, Value>| {
        let done = stored.values().filter(|one| one["status"] == "ACCEPTED");
        done.count()
    };
    let found = stored().await;
    for page in &pages {
        let one = &found[&page.id];
        assert_eq!(one["user_id"], json!(page.worker.id));
        assert_eq!(task_ids(one), page.tasks);
        let answers: Option<Vec<String>> = one["solutions"].as_array().map(|solutions| {
            let answer = |one: &Value| one["output_values"]["result"].as_str().unwrap().to_owned();
            solutions.iter().map(answer).collect()
        });
        if one["status"] == "ACCEPTED" {
            assert_eq!(answers, page.sent, "exactly the answers that were sent");
        } else {
            assert!(!page.acknowledged, "an acknowledged submit is gone");
            assert_eq!(one["status"], "ACTIVE");
        }
    }

    // Money and overlap fit what is stored, whatever was in the air.
    let paid = |pages: usize| 1_000_000.0 - 0.1 * pages as f64;
    let same = |a: f64, b: f64| (a - b).abs() < 1e-6;
    assert!(same(again.balance().await, paid(accepted(&found))));
    let tasks = again
        .get(&format!("/api/v1/tasks?pool_id={pool}&limit=1000"))
        .await;
    for task in tasks["items"].as_array().unwrap() {
        let given = found.values().flat_map(task_ids);
        let given = given.filter(|one| *one == id(task)).count() as u64;
        assert_eq!(task["remaining_overlap"], json!(OVERLAP - given));
    }

    // Everybody who got no reply sends the same again, and so do the others.
    for _ in 0..2 {
        for page in &pages {
            let (status, done) = page.submit(&again).await.unwrap();
            assert_eq!(
                (status, done),
                (200, json!({"status": "ACCEPTED", "hints": []}))
            );
        }
        let found = stored().await;
        let lost = found.len() - pages.len();
        assert_eq!(accepted(&found) + lost, found.len(), "each page once");
        assert!(same(again.balance().await, paid(pages.len())), "paid once");
    }
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
