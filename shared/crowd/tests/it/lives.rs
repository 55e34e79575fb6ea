//! How pools live: open, complete, expire, close.

use serde_json::{Value, json};

use crate::world::{World, golden, id, many, real};

#[tokio::test]
async fn a_pool_opens_and_closes_by_hand_once() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let path = |verb: &str| format!("/api/v1/pools/{pool}/{verb}");
    assert_eq!(
        w.fails("POST", &path("open"), Value::Null).await,
        (409, "EMPTY_POOL".to_owned())
    );
    assert_eq!(
        w.call("POST", &path("close"), Value::Null).await,
        (204, Value::Null)
    );
    w.tasks(vec![real(&pool, 0)]).await;
    let (status, operation) = w.call("POST", &path("open"), Value::Null).await;
    assert_eq!((status, &operation["type"]), (202, &json!("POOL.OPEN")));
    assert_eq!(operation["parameters"], json!({"pool_id": pool}));
    assert_eq!(
        w.get(&format!("/api/v1/operations/{}", id(&operation)))
            .await["status"],
        "SUCCESS"
    );
    assert_eq!(
        w.call("POST", &path("open"), Value::Null).await,
        (204, Value::Null)
    );
    w.pass(60);
    assert_eq!(w.call("POST", &path("close"), Value::Null).await.0, 202);
    let closed = w.get(&format!("/api/v1/pools/{pool}")).await;
    assert_eq!(
        (&closed["status"], &closed["last_close_reason"]),
        (&json!("CLOSED"), &json!("MANUAL"))
    );
    assert_eq!(closed["last_started"], "2026-01-01T00:00:00.000");
    assert_eq!(closed["last_stopped"], "2026-01-01T00:01:00.000");
    assert_eq!(w.call("POST", &path("archive"), Value::Null).await.0, 202);
    assert_eq!(
        w.fails("POST", &path("open"), Value::Null).await,
        (409, "INAPPROPRIATE_STATUS".to_owned())
    );
    let late = w
        .fails("POST", "/api/v1/tasks?allow_defaults=true", real(&pool, 1))
        .await;
    assert_eq!(late, (409, "POOL_INAPPROPRIATE_STATUS".to_owned()));
}

#[tokio::test]
async fn a_pool_closes_after_its_last_answer_and_its_delay() {
    let w = World::new().await;
    let over = json!({"auto_close_after_complete_delay_seconds": 100});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    for name in ["a", "b"] {
        w.do_page(&w.worker(name).await, &pool, 60, "cat").await;
    }
    w.pass(1_000);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN", "one answer is missing");
    w.do_page(&w.worker("c").await, &pool, 60, "cat").await;
    w.pass(99);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.pass(1);
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
    let stopped = &w.get(&format!("/api/v1/pools/{pool}")).await["last_stopped"];
    assert_eq!(
        stopped, "2026-01-01T00:21:20.000",
        "when it was due, not when somebody looked"
    );
}

#[tokio::test]
async fn new_tasks_and_higher_overlap_start_the_wait_again() {
    let w = World::new().await;
    let over = json!({"auto_close_after_complete_delay_seconds": 100,
        "defaults": {"default_overlap_for_new_tasks": 1}});
    let pool = w.pool(&w.project().await, over).await;
    let ids = w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    w.do_page(&w.worker("a").await, &pool, 60, "cat").await;
    w.pass(50);
    w.ok(
        "PATCH",
        &format!("/api/v1/tasks/{}", ids[0]),
        json!({"overlap": 2}),
    )
    .await;
    w.pass(200);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.do_page(&w.worker("b").await, &pool, 10, "cat").await;
    w.pass(50);
    w.tasks(vec![real(&pool, 9)]).await;
    w.pass(200);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.do_page(&w.worker("c").await, &pool, 10, "cat").await;
    w.pass(100);
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
}

#[tokio::test]
async fn a_page_in_hand_keeps_a_complete_pool_open() {
    let w = World::new().await;
    let over = json!({"mixer_config": {"real_tasks_count": 1}});
    let pool = w.pool(&w.project().await, over).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let mut endless = real(&pool, 0);
    endless["infinite_overlap"] = json!(true);
    endless["reserved_for"] = json!([a.id]);
    let mut single = real(&pool, 1);
    single["overlap"] = json!(1);
    single["reserved_for"] = json!([b.id]);
    w.tasks(vec![endless, single]).await;
    w.open(&pool).await;
    let held = w.take(&a, &pool).await.unwrap();
    w.do_page(&b, &pool, 60, "cat").await;
    assert_eq!(
        w.pool_state(&pool).await.0,
        "OPEN",
        "all answers are in, but one page is not"
    );
    assert_eq!(w.submit(&a, &held, &["cat"]).await.0, 200);
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
}

#[tokio::test]
async fn a_pool_of_infinite_tasks_never_completes() {
    let w = World::new().await;
    let over = json!({"mixer_config": {"real_tasks_count": 0, "golden_tasks_count": 2}});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    w.do_page(&w.worker("a").await, &pool, 60, "cat").await;
    w.pass(86_400);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
}

#[tokio::test]
async fn leftover_control_tasks_do_not_keep_a_pool_open() {
    let w = World::new().await;
    let over = json!({"defaults": {"default_overlap_for_new_tasks": 1},
        "mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 1}});
    let pool = w.pool(&w.project().await, over).await;
    let mut control = golden(&pool, 0);
    control["infinite_overlap"] = json!(false);
    control["overlap"] = json!(10);
    w.tasks(vec![real(&pool, 0), control]).await;
    w.open(&pool).await;
    w.do_page(&w.worker("a").await, &pool, 60, "cat").await;
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
}

#[tokio::test]
async fn a_pool_expires_and_pages_in_hand_may_still_come_in() {
    let w = World::new().await;
    let over =
        json!({"will_expire": "2026-01-01T01:00:00", "assignment_max_duration_seconds": 600});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(4, |n| real(&pool, n))).await;
    w.open(&pool).await;
    w.pass(3_599);
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    w.pass(1);
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("EXPIRED"))
    );
    assert_eq!(w.take(&a, &pool).await, Err("POOL_CLOSED".to_owned()));
    assert_eq!(w.submit(&a, &page, &["cat", "dog"]).await.0, 200);
}

#[tokio::test]
async fn a_pool_closed_for_an_update_opens_again_by_itself() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(vec![real(&pool, 0)]).await;
    w.open(&pool).await;
    let path = format!("/api/v1/pools/{pool}/close-for-update");
    assert_eq!(w.call("POST", &path, Value::Null).await.0, 202);
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("FOR_UPDATE"))
    );
    w.pass(15 * 60 - 1);
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
    w.pass(1);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.call("POST", &path, Value::Null).await;
    assert_eq!(
        w.call("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
            .await
            .0,
        204
    );
    w.pass(3_600);
    assert_eq!(
        w.pool_state(&pool).await.0,
        "CLOSED",
        "closed by hand it stays closed"
    );
}

#[tokio::test]
async fn a_pool_is_archived_only_when_nothing_waits() {
    let w = World::new().await;
    let over = json!({"auto_accept_solutions": false, "auto_accept_period_day": 1});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, archive) = (w.worker("a").await, format!("/api/v1/pools/{pool}/archive"));
    let page = w.take(&a, &pool).await.unwrap();
    assert_eq!(
        w.fails("POST", &archive, Value::Null).await.1,
        "INAPPROPRIATE_STATUS"
    );
    w.call("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
        .await;
    assert_eq!(
        w.fails("POST", &archive, Value::Null).await.1,
        "THERE_IS_ACTIVE_ASSIGNMENT"
    );
    w.submit(&a, &page, &["cat", "cat"]).await;
    assert_eq!(
        w.fails("POST", &archive, Value::Null).await.1,
        "SUBMITTED_ASSIGNMENTS_CONFLICT"
    );
    w.pass(86_400);
    assert_eq!(w.call("POST", &archive, Value::Null).await.0, 202);
    assert_eq!(w.pool_state(&pool).await.0, "ARCHIVED");
}

#[tokio::test]
async fn figures_of_a_pool() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(4, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    w.do_page(&a, &pool, 60, "cat").await;
    w.do_page(&a, &pool, 30, "cat").await;
    let page = w.take(&b, &pool).await.unwrap();
    w.work(
        &b,
        "POST",
        &format!("/assignments/{}/skip", id(&page)),
        Value::Null,
    )
    .await;
    let names = [
        "real_tasks_count",
        "submitted_assignments_count",
        "approved_assignments_count",
        "skipped_assignments_count",
        "rejected_assignments_count",
        "spent_budget",
        "unique_workers_count",
        "unique_submitters_count",
        "avg_submit_assignment_millis",
        "estimated_assignments_count",
    ];
    let asked: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "subject": "POOL", "subject_id": pool}))
        .collect();
    let (status, operation) = w
        .call("POST", "/api/staging/analytics-2", json!(asked))
        .await;
    assert_eq!((status, &operation["type"]), (202, &json!("ANALYTICS")));
    let values: Vec<f64> = operation["details"]["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["result"].as_f64().unwrap())
        .collect();
    assert_eq!(
        values,
        [4.0, 2.0, 2.0, 1.0, 0.0, 0.2, 2.0, 1.0, 45_000.0, 6.0]
    );
    let asked = json!([{"name": "completion_percentage", "subject": "POOL", "subject_id": pool}]);
    let operation = w.ok("POST", "/api/staging/analytics-2", asked).await;
    assert_eq!(operation["details"]["value"][0]["result"]["value"], 33);
}

#[tokio::test]
async fn the_log_of_an_operation_is_kept_for_a_month() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let path = "/api/v1/tasks?async_mode=true&allow_defaults=true";
    let operation = w.ok("POST", path, json!([real(&pool, 1)])).await;
    let operation = format!("/api/v1/operations/{}", id(&operation));
    w.pass(30 * 86_400 - 1);
    assert_eq!(
        w.get(&format!("{operation}/log")).await[0]["type"],
        "TASK_CREATE"
    );
    w.pass(1);
    let gone = (409, "OPERATION_LOGS_ARCHIVED".to_owned());
    assert_eq!(
        w.fails("GET", &format!("{operation}/log"), Value::Null)
            .await,
        gone
    );
    w.ok("POST", path, json!([real(&pool, 2)])).await;
    assert_eq!(
        w.fails("GET", &format!("{operation}/log"), Value::Null)
            .await,
        gone
    );
    assert_eq!(w.get(&operation).await["status"], "SUCCESS");
}
