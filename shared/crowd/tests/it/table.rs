//! The results of a pool as a table.

use serde_json::{Value, json};

use crate::world::{World, golden, id, lesson, many, real};

async fn table(w: &World, pool: &str, query: &str) -> Vec<Vec<String>> {
    let path = format!("/api/new/requester/pools/{pool}/assignments.tsv?{query}");
    let (status, text) = w.send(Some("OAuth x"), "GET", &path, None).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[tokio::test]
async fn the_table_has_a_row_for_every_task_and_known_answers_only_for_control_tasks() {
    let w = World::new().await;
    let over = json!({"mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 1}});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(vec![real(&pool, 1), golden(&pool, 1)]).await;
    let header = [
        "INPUT:image",
        "OUTPUT:result",
        "GOLDEN:result",
        "HINT:text",
        "HINT:default_language",
        "ASSIGNMENT:link",
        "ASSIGNMENT:assignment_id",
        "ASSIGNMENT:worker_id",
        "ASSIGNMENT:status",
        "ASSIGNMENT:started",
    ];
    assert_eq!(
        table(&w, &pool, "status=APPROVED").await,
        [header],
        "a header even without rows"
    );
    w.open(&pool).await;
    let a = w.worker("a").await;
    let page = w.do_page(&a, &pool, 60, "dog").await;
    let mut rows = table(&w, &pool, "status=APPROVED&addRowDelimiter=false")
        .await
        .split_off(1);
    rows.sort_unstable();
    let link = format!("/api/v1/assignments/{}", id(&page));
    let about = [
        link,
        id(&page),
        a.id.clone(),
        "APPROVED".into(),
        "2026-01-01T00:00:00.000".into(),
    ];
    let row = |cells: [&str; 5]| {
        cells
            .iter()
            .map(|cell| (*cell).to_owned())
            .chain(about.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rows,
        [
            row(["https://e.com/1.png", "dog", "", "", ""]),
            row(["https://e.com/g1.png", "dog", "cat", "", ""]),
        ]
    );
}

#[tokio::test]
async fn rows_are_chosen_by_status_time_and_bans() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(6, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    w.do_page(&a, &pool, 100, "cat").await;
    let page = w.take(&b, &pool).await.unwrap();
    w.work(
        &b,
        "POST",
        &format!("/assignments/{}/skip", id(&page)),
        Value::Null,
    )
    .await;
    w.take(&b, &pool).await.unwrap();
    let states = async |query: &str| {
        let rows = table(&w, &pool, &format!("{query}&field=ASSIGNMENT:status")).await;
        rows[1..]
            .iter()
            .map(|row| row.last().unwrap().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states("status=").await,
        [
            "APPROVED", "APPROVED", "SKIPPED", "SKIPPED", "ACTIVE", "ACTIVE"
        ]
    );
    assert_eq!(states("status=ACTIVE,SKIPPED").await.len(), 4);
    assert_eq!(states("status=APPROVED").await.len(), 2);
    assert_eq!(states("startTimeFrom=2026-01-01T00:01:00").await.len(), 4);
    assert_eq!(states("startTimeTo=2026-01-01T00:01:00").await.len(), 2);
    w.ok(
        "PUT",
        "/api/v1/user-restrictions",
        json!({"scope": "POOL", "pool_id": pool, "user_id": b.id}),
    )
    .await;
    assert_eq!(states("excludeBanned=true").await, ["APPROVED", "APPROVED"]);
    assert_eq!(states("excludeBanned=false").await.len(), 6);
    let path = format!("/api/new/requester/pools/{pool}/assignments.tsv?field=ASSIGNMENT:nothing");
    assert_eq!(w.fails("GET", &path, Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_training_shows_first_attempts_and_hints() {
    let w = World::new().await;
    let training = w.training(&w.project().await, json!({})).await;
    w.tasks(many(2, |n| lesson(&training, n))).await;
    w.open(&training).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &training).await.unwrap();
    w.submit(&a, &page, &["dog", "cat"]).await;
    w.submit(&a, &page, &["cat", "cat"]).await;
    let rows = table(&w, &training, "status=APPROVED&field=ASSIGNMENT:reward").await;
    assert_eq!(rows[1][1..], ["dog", "cat", "It is a cat", "", "0"]);
    assert_eq!(rows[2][1..], ["cat", "cat", "It is a cat", "", "0"]);
}

#[tokio::test]
async fn cells_with_tabs_and_quotes_are_quoted() {
    let w = World::new().await;
    let spec = json!({"task_spec": {"input_spec": {"text": {"type": "string"}, "list": {"type": "array_integer"}}}});
    let pool = w.pool(&w.project_with(spec).await, json!({})).await;
    let input = json!({"image": "/a", "text": "a\t\"b\"\nc", "list": [1, 2]});
    w.tasks(vec![json!({"pool_id": pool, "input_values": input})])
        .await;
    w.open(&pool).await;
    w.do_page(&w.worker("a").await, &pool, 60, "cat").await;
    let path = format!(
        "/api/new/requester/pools/{pool}/assignments.tsv?status=APPROVED&field=ASSIGNMENT:task_id"
    );
    let (_, text) = w.send(Some("OAuth x"), "GET", &path, None).await;
    assert!(
        text.contains("/a\t[1,2]\t\"a\t\"\"b\"\"\nc\"\tcat\t"),
        "{text}"
    );
}
