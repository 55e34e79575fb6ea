//! No request makes the platform hold much more than it was sent.

use serde_json::{Value, json};

use crate::world::{World, golden, id, many, real};

/// Small values in large numbers: each takes far more memory than text.
fn many_values(count: usize) -> String {
    format!("[{}{{}}]", "{\"a\":0},".repeat(count / 2))
}

#[tokio::test]
async fn a_body_of_too_many_values_is_refused_before_it_is_read() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let worker = w.worker("a").await;
    let as_worker = format!("Worker {}", worker.token);
    let values = many_values(1_100_000);
    let solutions = format!("{{\"solutions\": {values}}}");
    let form = format!(
        "{{\"public_name\": \"p\", \"metadata\": {}}}",
        many_values(110_000)
    );
    let profile = format!("{{\"profile\": {{\"a\": {}}}}}", many_values(110_000));
    let name = format!("{{\"private_name\": \"{}\"}}", "x".repeat(3 << 20));
    for (who, method, path, body) in [
        ("ApiKey local", "POST", "/api/v1/tasks", &values),
        ("ApiKey local", "POST", "/api/v1/projects", &form),
        (
            "ApiKey local",
            "PUT",
            &format!("/api/v1/pools/{pool}"),
            &name,
        ),
        (
            &as_worker,
            "POST",
            "/api/worker/v1/assignments/x/submit",
            &solutions,
        ),
        ("", "POST", "/api/worker/v1/workers", &profile),
    ] {
        let (status, answer) = w.send(Some(who), method, path, Some(body.clone())).await;
        assert_eq!(status, 413, "{method} {path}: {answer}");
    }
    // What fits the documented sizes is read.
    let small = many(
        20_000,
        |n| json!({"pool_id": pool, "input_values": {"image": format!("/{n}")}, "overlap": 1}),
    );
    let path = "/api/v1/tasks?async_mode=true";
    assert_eq!(
        w.ok("POST", path, Value::Array(small)).await["status"],
        "SUCCESS"
    );
}

#[tokio::test]
async fn large_objects_come_in_smaller_pages_and_all_of_them_come() {
    const COUNT: usize = 12;
    let w = World::new().await;
    let spec = json!({"task_spec": {
        "input_spec": {"image": {"required": false}, "text": {"type": "string"}},
    }});
    let over = json!({"mixer_config": {"real_tasks_count": 1}});
    let pool = w.pool(&w.project_with(spec).await, over).await;
    let large = "x".repeat(1_000_000);
    for _ in 0..COUNT {
        w.tasks(vec![
            json!({"pool_id": pool, "input_values": {"text": large}}),
        ])
        .await;
    }
    w.open(&pool).await;
    let worker = w.worker("a").await;
    for _ in 0..COUNT {
        w.do_page(&worker, &pool, 60, "cat").await;
    }
    for of in ["tasks", "task-suites", "assignments"] {
        let (mut after, mut seen, mut pages) = (String::new(), 0, 0);
        loop {
            let path = format!("/api/v1/{of}?pool_id={pool}&limit=1000&sort=id&id_gt={after}");
            let page = w.get(&path).await;
            let items = page["items"].as_array().unwrap();
            seen += items.len();
            pages += 1;
            after = id(items.last().unwrap());
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!((seen, pages), (COUNT, 2), "{of}");
    }
    let path = format!("/api/new/requester/pools/{pool}/assignments.tsv?status=APPROVED");
    let (_, table) = w.download(&path).await;
    let lines = table
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    assert_eq!(lines.count(), COUNT + 1);
}

#[tokio::test]
async fn the_largest_page_is_taken_and_submitted() {
    let w = World::new().await;
    let mixer =
        json!({"real_tasks_count": 500, "golden_tasks_count": 500, "training_tasks_count": 0});
    let pool = w
        .pool(&w.project().await, json!({"mixer_config": mixer}))
        .await;
    w.tasks(many(1_000, |n| real(&pool, n))).await;
    w.tasks(many(500, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    let page = w.do_page(&w.worker("a").await, &pool, 60, "cat").await;
    assert_eq!(page["tasks"].as_array().unwrap().len(), 1_000);
}
