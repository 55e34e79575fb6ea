//! What toloka-kit, the Python client, needs beyond what the API's reference says.

use serde_json::{Value, json};

use crate::world::{World, id, many, real};

/// The kit takes a step that succeeded for a task that was made, and looks for its id.
#[tokio::test]
async fn a_batch_that_failed_logs_only_what_is_wrong() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let mut bad = real(&pool, 2);
    bad["input_values"] = json!({"picture": "2.png"});
    let items = json!([real(&pool, 1), bad]);
    let path = "/api/v1/tasks?allow_defaults=true&async_mode=true";
    let operation = w.ok("POST", path, items).await;
    assert_eq!(operation["status"], "FAIL");
    assert_eq!(operation["details"]["valid_count"], 1);
    let log = w
        .get(&format!("/api/v1/operations/{}/log", id(&operation)))
        .await;
    let lines: Vec<(&Value, &Value)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["type"], &line["success"]))
        .collect();
    assert_eq!(lines, [(&json!("TASK_VALIDATE"), &json!(false))]);
}

#[tokio::test]
async fn who_was_active_and_passes_the_filter_is_counted() {
    let w = World::new().await;
    let skill = w.skill("fine").await;
    let filter = json!({"and": [{"or": [
        {"category": "skill", "key": skill, "operator": "GTE", "value": 80}
    ]}]});
    let project = w.project().await;
    let (everybody, skilled) = (
        w.pool(&project, json!({})).await,
        w.pool(&project, json!({ "filter": filter })).await,
    );
    w.tasks(many(9, |n| real(&everybody, n))).await;
    w.open(&everybody).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    w.worker("who only signed in").await;
    let value = json!({"skill_id": skill, "user_id": b.id, "value": 90});
    w.ok("PUT", "/api/v1/user-skills", value).await;

    w.do_page(&a, &everybody, 60, "cat").await;
    w.pass(3_600);
    w.do_page(&b, &everybody, 60, "cat").await;

    let count = async |pool: &str, hours: u32| {
        let asked = json!([{"name": "active_workers_by_filter_count", "subject": "POOL",
            "subject_id": pool, "interval_hours": hours}]);
        let operation = w.ok("POST", "/api/staging/analytics-2", asked).await;
        operation["details"]["value"][0]["result"].clone()
    };
    assert_eq!(count(&everybody, 1).await, 1);
    assert_eq!(count(&everybody, 2).await, 2);
    assert_eq!(count(&skilled, 2).await, 1);
    w.pass(3_600);
    assert_eq!(count(&skilled, 1).await, 0);

    let asked = json!([{"name": "active_workers_by_filter_count", "subject": "POOL", "subject_id": everybody}]);
    let (status, refused) = w.call("POST", "/api/staging/analytics-2", asked).await;
    assert_eq!(status, 400);
    assert_eq!(refused["payload"]["interval_hours"]["code"], "VALUE_REQUIRED");
}
