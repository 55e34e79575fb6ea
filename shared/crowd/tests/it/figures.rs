//! Figures about pools.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, golden, id, many, real};

/// The answers to questions about a pool.
async fn figures(w: &World, pool: &str, names: &[&str]) -> Vec<Value> {
    let asked: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "subject": "POOL", "subject_id": pool, "interval_hours": 24}))
        .collect();
    let operation = w.ok("POST", "/api/staging/analytics-2", json!(asked)).await;
    assert_eq!(
        (operation["type"].as_str(), operation["status"].as_str()),
        (Some("ANALYTICS"), Some("SUCCESS"))
    );
    let values = operation["details"]["value"].as_array().unwrap();
    values
        .iter()
        .zip(asked)
        .map(|(value, request)| {
            assert_eq!(value["request"], request);
            value["result"].clone()
        })
        .collect()
}

const COUNTS: [&str; 11] = [
    "real_tasks_count",
    "submitted_assignments_count",
    "skipped_assignments_count",
    "rejected_assignments_count",
    "approved_assignments_count",
    "avg_submit_assignment_millis",
    "spent_budget",
    "unique_workers_count",
    "unique_submitters_count",
    "active_workers_by_filter_count",
    "estimated_assignments_count",
];

/// Checks the figures of a pool, which are read from sums, against all its tasks and assignments.
pub(crate) async fn agree(w: &World, pool: &str, tasks: &Value, assignments: &[Value]) {
    let tasks = tasks["items"].as_array().unwrap();
    let real = |task: &&Value| task.get("known_solutions").is_none_or(Value::is_null);
    let in_state = |states: &[&str]| {
        let found = assignments
            .iter()
            .filter(|one| states.contains(&one["status"].as_str().unwrap()));
        found.count()
    };
    let workers: BTreeSet<&str> = assignments
        .iter()
        .map(|one| one["user_id"].as_str().unwrap())
        .collect();
    let names = [
        "real_tasks_count",
        "submitted_assignments_count",
        "skipped_assignments_count",
        "rejected_assignments_count",
        "approved_assignments_count",
        "unique_workers_count",
        "completion_percentage",
    ];
    let figures = figures(w, pool, &names).await;
    let counts = [
        tasks.iter().filter(real).count(),
        in_state(&["SUBMITTED", "ACCEPTED", "REJECTED"]),
        in_state(&["SKIPPED"]),
        in_state(&["REJECTED"]),
        in_state(&["ACCEPTED"]),
        workers.len(),
    ];
    assert_eq!(json!(figures[..6]), json!(counts));

    let wanted: i64 = tasks
        .iter()
        .filter(real)
        .map(|task| task["overlap"].as_i64().unwrap())
        .sum();
    let done = assignments
        .iter()
        .filter(|one| one.get("submitted").is_some())
        .flat_map(|one| one["tasks"].as_array().unwrap())
        .filter(real)
        .count();
    let percent = 100 * i64::try_from(done).unwrap() / wanted;
    assert_eq!(figures[6]["value"], percent, "{done} of {wanted} answers");
}

#[tokio::test]
async fn all_figures_follow_the_work() {
    let w = World::new().await;
    let english =
        json!({"category": "profile", "key": "languages", "operator": "IN", "value": "EN"});
    let over = json!({"auto_accept_solutions": false, "filter": {"and": [english]}});
    let pool = w.pool(&w.project().await, over).await;
    let nothing = json!([0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0, 0]);
    assert_eq!(json!(figures(&w, &pool, &COUNTS).await), nothing);
    let mut tasks = many(5, |n| real(&pool, n));
    tasks.push(golden(&pool, 1));
    w.tasks(tasks).await;
    w.open(&pool).await;
    let (ann, bob, eve) = (
        w.worker("ann").await,
        w.worker("bob").await,
        w.worker("eve").await,
    );
    w.worker_with("russian", json!({"languages": ["RU"]})).await;
    let accepted = id(&w.do_page(&ann, &pool, 10, "cat").await);
    let rejected = id(&w.do_page(&bob, &pool, 20, "cat").await);
    w.do_page(&bob, &pool, 30, "dog").await;
    for (page, status) in [(accepted, "ACCEPTED"), (rejected, "REJECTED")] {
        let verdict = json!({"status": status, "public_comment": "x"});
        w.ok("PATCH", &format!("/api/v1/assignments/{page}"), verdict)
            .await;
    }
    let page = id(&w.take(&eve, &pool).await.unwrap());
    w.work(
        &eve,
        "POST",
        &format!("/assignments/{page}/skip"),
        Value::Null,
    )
    .await;
    let expected = json!([5, 3, 1, 1, 1, 20_000, 0.1, 3, 2, 3, 8]);
    assert_eq!(json!(figures(&w, &pool, &COUNTS).await), expected);
    let done = figures(&w, &pool, &["completion_percentage"]).await;
    assert_eq!(
        done,
        [json!({"type": "NORMAL", "value": 40, "infinite": false, "approximate": false})],
        "6 of 15 answers"
    );

    // Raising an overlap asks for more; a day later nobody is active.
    let tasks = w
        .get(&format!("/api/v1/tasks?pool_id={pool}&limit=1"))
        .await;
    let task = id(&tasks["items"][0]);
    w.ok(
        "PATCH",
        &format!("/api/v1/tasks/{task}"),
        json!({"overlap": 8}),
    )
    .await;
    w.pass(86_400 + 60);
    let later = figures(
        &w,
        &pool,
        &["completion_percentage", "active_workers_by_filter_count"],
    )
    .await;
    assert_eq!(
        (&later[0]["value"], &later[1]),
        (&json!(30), &json!(0)),
        "6 of 20 answers"
    );
    // A task that becomes a control task is no longer waited for.
    let known = json!({"known_solutions": [{"output_values": {"result": "cat"}}]});
    w.ok("PATCH", &format!("/api/v1/tasks/{task}"), known).await;
    assert_eq!(
        figures(
            &w,
            &pool,
            &["real_tasks_count", "estimated_assignments_count"]
        )
        .await,
        [4, 6]
    );
}

#[tokio::test]
async fn a_question_is_checked() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let good = json!({"name": "real_tasks_count", "subject": "POOL", "subject_id": pool});
    for (over, status, field) in [
        (json!({"name": "height"}), 400, "name"),
        (json!({"subject": "PROJECT"}), 400, "subject"),
        (json!({"subject_id": "7"}), 404, ""),
        (
            json!({"name": "active_workers_by_filter_count"}),
            400,
            "interval_hours",
        ),
        (
            json!({"name": "active_workers_by_filter_count", "interval_hours": 0}),
            400,
            "interval_hours",
        ),
    ] {
        let mut asked = good.clone();
        crate::world::merge(&mut asked, over.clone());
        let (answered, error) = w
            .call("POST", "/api/staging/analytics-2", json!([asked]))
            .await;
        assert_eq!(answered, status, "{over} {error}");
        assert!(
            field.is_empty() || error["payload"][field].is_object(),
            "{over} {error}"
        );
    }
    let refused = w.fails("POST", "/api/staging/analytics-2", json!([])).await;
    assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()));
}
