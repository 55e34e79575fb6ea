//! What toloka-kit, the Python client, needs beyond what the API's reference says.

use serde_json::{Value, json};

use crate::world::{World, id, real};

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
