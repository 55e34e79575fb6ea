//! The requester API: shapes, errors, lists, operations.

use quorate_crowd::{Config, RequesterKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, config, golden, id, lesson, many, parse, real};

pub(crate) fn keyed() -> Config {
    let key = |account: &str, key: &str| RequesterKey {
        account: account.into(),
        key: key.into(),
    };
    Config {
        keys: vec![key("ann", "key-a"), key("bob", "key-b")],
        ..config()
    }
}

#[tokio::test]
async fn every_error_is_json_with_a_code() {
    let w = World::new().await;
    let (status, text) = w.send(None, "GET", "/api/v1/requester", None).await;
    assert_eq!(
        (status, parse(&text)["code"].as_str()),
        (403, Some("AUTHENTICATION_ERROR"))
    );
    let cases = [
        ("GET", "/api/v1/nothing", Value::Null, 404, "DOES_NOT_EXIST"),
        (
            "GET",
            "/api/app/v0/apps",
            Value::Null,
            404,
            "DOES_NOT_EXIST",
        ),
        (
            "DELETE",
            "/api/v1/projects",
            Value::Null,
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "GET",
            "/api/v1/projects/1000000",
            Value::Null,
            404,
            "DOES_NOT_EXIST",
        ),
        ("GET", "/api/v1/pools/x", Value::Null, 404, "DOES_NOT_EXIST"),
        (
            "POST",
            "/api/v1/projects",
            json!([1]),
            400,
            "VALIDATION_ERROR",
        ),
        (
            "POST",
            "/api/v1/projects",
            json!({}),
            400,
            "VALIDATION_ERROR",
        ),
        ("POST", "/api/v1/tasks", json!("x"), 400, "VALIDATION_ERROR"),
        ("GET", "/api/v1/tasks", Value::Null, 400, "VALIDATION_ERROR"),
        (
            "GET",
            "/api/v1/assignments",
            Value::Null,
            400,
            "VALIDATION_ERROR",
        ),
        (
            "GET",
            "/api/v1/pools?limit=301",
            Value::Null,
            400,
            "VALIDATION_ERROR",
        ),
        (
            "GET",
            "/api/v1/tasks/%ff",
            Value::Null,
            400,
            "VALIDATION_ERROR",
        ),
        (
            "GET",
            "/api/v1/operations/x/log",
            Value::Null,
            404,
            "DOES_NOT_EXIST",
        ),
    ];
    for (method, path, body, status, code) in cases {
        assert_eq!(
            w.fails(method, path, body).await,
            (status, code.to_owned()),
            "{method} {path}"
        );
    }
    let (status, text) = w
        .send(
            Some("OAuth x"),
            "POST",
            "/api/v1/projects",
            Some("{".into()),
        )
        .await;
    assert_eq!(
        (status, parse(&text)["code"].as_str()),
        (400, Some("VALIDATION_ERROR"))
    );
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let (status, _) = w
        .send(Some("OAuth x"), "POST", "/api/v1/projects", Some(deep))
        .await;
    assert_eq!(status, 400);
    let huge = "x".repeat(40 * 1024 * 1024);
    let (status, _) = w
        .send(Some("OAuth x"), "POST", "/api/v1/projects", Some(huge))
        .await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_validation_error_names_the_fields() {
    let w = World::new().await;
    let (_, answer) = w
        .call(
            "POST",
            "/api/v1/pools",
            json!({"project_id": "5", "priority": 101}),
        )
        .await;
    let codes: Vec<(&str, &str)> = answer["payload"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(field, error)| (field.as_str(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ("assignment_max_duration_seconds", "VALUE_REQUIRED"),
            ("defaults", "VALUE_REQUIRED"),
            ("priority", "VALUE_OUT_OF_BOUNDS"),
            ("private_name", "VALUE_REQUIRED"),
            ("project_id", "ENTITY_DOES_NOT_EXIST"),
            ("reward_per_assignment", "VALUE_REQUIRED"),
            ("will_expire", "VALUE_REQUIRED"),
        ]
    );
}

#[tokio::test]
async fn without_keys_only_this_machine_may_ask() {
    let w = World::new().await;
    for name in ["127.0.0.1:80", "localhost", "LOCALHOST:9", "[::1]:80"] {
        assert_eq!(w.status_under(name).await, 200, "{name}");
    }
    for name in ["evil.example", "localhost.evil.example:80", "10.0.0.1"] {
        assert_eq!(w.status_under(name).await, 403, "{name}");
    }
    let w = World::with(keyed()).await;
    assert_eq!(w.status_under("crowd.example").await, 200);
}

#[tokio::test]
async fn prices_are_bounded() {
    let w = World::new().await;
    let project = w.project().await;
    let pool = id(&w
        .get(&format!(
            "/api/v1/pools/{}",
            w.pool(&project, json!({})).await
        ))
        .await);
    let mut form = w.get(&format!("/api/v1/pools/{pool}")).await;
    for price in [-1.0, 0.004, 10_001.0, 7e28] {
        form["reward_per_assignment"] = json!(price);
        assert_eq!(
            w.fails("POST", "/api/v1/pools", form.clone()).await.0,
            400,
            "{price}"
        );
    }
    form["reward_per_assignment"] = json!(0);
    w.ok("POST", "/api/v1/pools", form).await;
}

#[tokio::test]
async fn accounts_see_only_what_is_theirs() {
    let w = World::with(keyed()).await;
    let as_key = async |key: &str, method: &str, path: &str, body: Option<String>| {
        let (status, text) = w.send(Some(key), method, path, body).await;
        (status, parse(&text))
    };
    let form =
        json!({"public_name": "p", "task_spec": {"input_spec": {}, "output_spec": {}}}).to_string();
    let (_, project) = as_key("ApiKey key-a", "POST", "/api/v1/projects", Some(form)).await;
    let path = format!("/api/v1/projects/{}", id(&project));
    assert_eq!(as_key("OAuth key-a", "GET", &path, None).await.0, 200);
    let (status, answer) = as_key("ApiKey key-b", "GET", &path, None).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (403, Some("ACCESS_DENIED"))
    );
    let (_, list) = as_key("ApiKey key-b", "GET", "/api/v1/projects", None).await;
    assert_eq!(list["items"], json!([]));
    for wrong in ["ApiKey key-c", "Basic key-a", "key-a", "ApiKey "] {
        let (status, answer) = as_key(wrong, "GET", &path, None).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (403, Some("AUTHENTICATION_ERROR")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn lists_page_by_id_and_combine_ranges() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let ids = w.tasks(many(120, |n| real(&pool, n))).await;
    assert!(ids.is_sorted(), "ids grow");
    let range = format!(
        "/api/v1/tasks?pool_id={pool}&id_gte={}&id_lte={}&sort=id",
        ids[5], ids[115]
    );
    let mut seen = Vec::new();
    let mut path = range.clone();
    loop {
        let page = w.get(&path).await;
        let items: Vec<String> = page["items"].as_array().unwrap().iter().map(id).collect();
        assert!(items.len() <= 50);
        seen.extend(items);
        if page["has_more"] == json!(false) {
            break;
        }
        path = format!("{range}&id_gt={}", seen.last().unwrap());
    }
    assert_eq!(seen, ids[5..=115]);
    let last = w
        .get(&format!("/api/v1/tasks?pool_id={pool}&sort=-id&limit=1"))
        .await;
    assert_eq!(id(&last["items"][0]), ids[119]);
    assert_eq!(last["has_more"], true);
}

#[tokio::test]
async fn an_operation_id_is_kept_and_a_repeat_makes_nothing() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let operation = Uuid::from_u128(5).to_string();
    let path =
        format!("/api/v1/tasks?operation_id={operation}&async_mode=true&allow_defaults=true");
    let mut item = real(&pool, 1);
    item["__item_idx"] = json!("0");
    item["id"] = json!("ignored");
    let (status, answer) = w.call("POST", &path, json!([item])).await;
    assert_eq!((status, id(&answer)), (202, operation.clone()));
    assert_eq!(answer["type"], "TASK.BATCH_CREATE");
    assert_eq!(
        w.fails("POST", &path, json!([item])).await,
        (409, "OPERATION_ALREADY_EXISTS".to_owned())
    );

    let stored = w.get(&format!("/api/v1/operations/{operation}")).await;
    assert_eq!(stored["status"], "SUCCESS");
    assert_eq!(stored["details"]["success_count"], 1);
    let log = w.get(&format!("/api/v1/operations/{operation}/log")).await;
    assert_eq!(
        log[0]["input"], item,
        "the item comes back with every key that it had"
    );
    let tasks = w.get(&format!("/api/v1/tasks?pool_id={pool}")).await;
    assert_eq!(tasks["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        id(&tasks["items"][0]),
        log[0]["output"]["task_id"].as_str().unwrap()
    );
    assert_eq!(
        tasks["items"][0].get("__item_idx"),
        None,
        "unknown keys are not part of the task"
    );
    assert_ne!(id(&tasks["items"][0]), "ignored");
    let bad = "/api/v1/tasks?operation_id=5&async_mode=true";
    assert_eq!(
        w.fails("POST", bad, json!([item])).await,
        (400, "VALIDATION_ERROR".to_owned())
    );
}

#[tokio::test]
async fn one_bad_task_fails_the_batch_unless_bad_ones_are_skipped() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let count = async || {
        w.get(&format!("/api/v1/tasks?pool_id={pool}")).await["items"]
            .as_array()
            .unwrap()
            .len()
    };
    let mut wrong = real(&pool, 1);
    wrong["input_values"] = json!({"image": 5, "extra": 1});
    let nowhere = real("99", 2);
    let unknown = json!({"pool_id": pool, "input_values": {"image": "https://e.com/1.png"},
        "known_solutions": [{"output_values": {"result": "cow"}}]});
    let items = json!([real(&pool, 0), wrong, nowhere, unknown]);

    let path = "/api/v1/tasks?async_mode=true&allow_defaults=true";
    let failed = w.ok("POST", path, items.clone()).await;
    assert_eq!(failed["status"], "FAIL");
    assert_eq!(
        failed["details"],
        json!({"total_count": 4, "valid_count": 1, "not_valid_count": 3,
        "success_count": 0, "failed_count": 4})
    );
    assert_eq!(count().await, 0);

    let (status, refused) = w
        .call("POST", "/api/v1/tasks?allow_defaults=true", items.clone())
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        refused["payload"]["1"]["input_values.image"]["code"],
        "STRING_EXPECTED"
    );
    assert_eq!(
        refused["payload"]["1"]["input_values.extra"]["code"],
        "VALUE_NOT_ALLOWED"
    );
    assert_eq!(
        refused["payload"]["2"]["pool_id"]["code"],
        "ENTITY_DOES_NOT_EXIST"
    );
    assert_eq!(
        refused["payload"]["3"]["known_solutions.0.output_values.result"]["code"],
        "VALUE_NOT_ALLOWED"
    );
    assert_eq!(count().await, 0);

    let path = "/api/v1/tasks?allow_defaults=true&skip_invalid_items=true";
    let answer = w.ok("POST", path, items.clone()).await;
    assert_eq!(
        answer["items"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["0"]
    );
    assert_eq!(answer["validation_errors"].as_object().unwrap().len(), 3);
    assert_eq!(count().await, 1);

    let path = "/api/v1/tasks?allow_defaults=true&skip_invalid_items=true&async_mode=true";
    let operation = w.ok("POST", path, items).await;
    let log = w
        .get(&format!("/api/v1/operations/{}/log", id(&operation)))
        .await;
    let lines: Vec<(&str, bool)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["type"].as_str().unwrap(),
                line["success"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("TASK_CREATE", true),
            ("TASK_VALIDATE", false),
            ("TASK_VALIDATE", false),
            ("TASK_VALIDATE", false)
        ]
    );
}

/// toloka-kit takes a step that succeeded for a task that was made, and looks for its id.
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
async fn overlap_is_the_tasks_own_or_the_pools_default_when_allowed() {
    let w = World::new().await;
    let project = w.project().await;
    let pool = w.pool(&project, json!({})).await;
    let (_, refused) = w.call("POST", "/api/v1/tasks", real(&pool, 0)).await;
    assert_eq!(refused["payload"]["overlap"]["code"], "VALUE_REQUIRED");
    let mut own = real(&pool, 1);
    own["overlap"] = json!(5);
    assert_eq!(
        w.ok("POST", "/api/v1/tasks", own.clone()).await["remaining_overlap"],
        5
    );
    let task = w.ok("POST", "/api/v1/tasks", golden(&pool, 1)).await;
    assert_eq!(task["infinite_overlap"], true);
    assert_eq!(task.get("remaining_overlap"), None);

    // A smart-mixing pool that names only the default of suites gets it for tasks too.
    let mut form = w.get(&format!("/api/v1/pools/{pool}")).await;
    form["defaults"] = json!({"default_overlap_for_new_task_suites": 4});
    let other = id(&w.ok("POST", "/api/v1/pools", form).await);
    let task = w
        .ok("POST", "/api/v1/tasks?allow_defaults=true", real(&other, 2))
        .await;
    assert_eq!(task["overlap"], 4);

    own["overlap"] = json!(30_001);
    let (_, refused) = w.call("POST", "/api/v1/tasks", own).await;
    assert_eq!(refused["payload"]["overlap"]["code"], "VALUE_OUT_OF_BOUNDS");
}

#[tokio::test]
async fn overlap_changes_never_fall_below_what_was_given_out() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let ids = w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    for name in ["a", "b"] {
        w.take(&w.worker(name).await, &pool).await.unwrap();
    }
    let path = format!("/api/v1/tasks/{}", ids[0]);
    assert_eq!(w.fails("PATCH", &path, json!({"overlap": 1})).await.0, 400);
    assert_eq!(
        w.ok("PATCH", &path, json!({"overlap": 9})).await["remaining_overlap"],
        7
    );
    let task = w
        .ok(
            "PATCH",
            &format!("{path}/set-overlap-or-min"),
            json!({"overlap": 0}),
        )
        .await;
    assert_eq!(
        (&task["overlap"], &task["remaining_overlap"]),
        (&json!(2), &json!(0))
    );
    let task = w
        .ok(
            "PATCH",
            &path,
            json!({"overlap": null, "infinite_overlap": true}),
        )
        .await;
    assert_eq!(task["infinite_overlap"], true);
}

#[tokio::test]
async fn tasks_go_only_into_pools_with_a_mixer() {
    let w = World::new().await;
    let pool = w
        .pool(&w.project().await, json!({"mixer_config": null}))
        .await;
    let answer = w
        .fails("POST", "/api/v1/tasks?allow_defaults=true", real(&pool, 0))
        .await;
    assert_eq!(answer, (409, "MIXER_CONFIG_REQUIRED".to_owned()));
}

#[tokio::test]
async fn too_much_input_in_one_request_is_refused() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    let big = format!("https://e.com/{}", "x".repeat(600_000));
    let item = json!({"pool_id": pool, "overlap": 1, "input_values": {"image": big}});
    assert_eq!(
        w.fails("POST", "/api/v1/tasks", json!([item, item]))
            .await
            .0,
        413
    );
    w.ok("POST", "/api/v1/tasks", json!([item])).await;
}

#[tokio::test]
async fn a_read_object_can_be_sent_back() {
    let w = World::new().await;
    let project = w.project().await;
    let mut read = w.get(&format!("/api/v1/projects/{project}")).await;
    read["public_name"] = json!("New name");
    read["unknown"] = json!({"a": 1});
    let updated = w
        .ok("PUT", &format!("/api/v1/projects/{project}"), read)
        .await;
    assert_eq!(
        (id(&updated), &updated["public_name"]),
        (project.clone(), &json!("New name"))
    );
    assert_eq!(updated.get("unknown"), None);

    let pool = w
        .pool(&project, json!({"type": "EXAM", "priority": 3}))
        .await;
    let mut read = w.get(&format!("/api/v1/pools/{pool}")).await;
    assert_eq!(
        read["type"], "REGULAR",
        "old clients do not know other words"
    );
    assert_eq!(read["created"], "2026-01-01T00:00:00.000");
    read["reward_per_assignment"] = json!(0.2);
    read["status"] = json!("OPEN");
    let updated = w
        .ok("PUT", &format!("/api/v1/pools/{pool}"), read.clone())
        .await;
    assert_eq!(
        (&updated["reward_per_assignment"], &updated["status"]),
        (&json!(0.2), &json!("CLOSED"))
    );
    w.tasks(vec![real(&pool, 0)]).await;
    w.open(&pool).await;
    let answer = w.fails("PUT", &format!("/api/v1/pools/{pool}"), read).await;
    assert_eq!(answer, (409, "INAPPROPRIATE_STATUS".to_owned()));
    let patched = w
        .ok(
            "PATCH",
            &format!("/api/v1/pools/{pool}"),
            json!({"priority": 9}),
        )
        .await;
    assert_eq!(patched["priority"], 9);
}

#[tokio::test]
async fn a_training_is_also_a_pool() {
    let w = World::new().await;
    let project = w.project().await;
    let training = w.training(&project, json!({})).await;
    let read = w.get(&format!("/api/v1/trainings/{training}")).await;
    assert_eq!(
        (&read["status"], &read["project_id"]),
        (&json!("CLOSED"), &json!(project))
    );
    let pool = w.get(&format!("/api/v1/pools/{training}")).await;
    assert_eq!(
        (&pool["type"], &pool["reward_per_assignment"]),
        (&json!("TRAINING"), &json!(0.0))
    );
    assert_eq!(pool["mixer_config"]["training_tasks_count"], 2);
    assert_eq!(
        pool["defaults"]["default_overlap_for_new_task_suites"],
        30_000
    );
    let tasks = w.tasks(many(2, |n| lesson(&training, n))).await;
    assert_eq!(
        w.get(&format!("/api/v1/tasks/{}", tasks[0])).await["infinite_overlap"],
        true
    );
    w.open(&training).await;
    assert_eq!(
        w.get(&format!("/api/v1/trainings/{training}")).await["status"],
        "OPEN"
    );
    let (status, answer) = w
        .call(
            "POST",
            &format!("/api/v1/trainings/{training}/close"),
            Value::Null,
        )
        .await;
    assert_eq!((status, &answer["type"]), (202, &json!("TRAINING.CLOSE")));
    assert_eq!(
        w.get(&format!("/api/v1/pools?project_id={project}")).await["items"],
        json!([])
    );
    assert_eq!(
        w.get("/api/v1/trainings").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn skills_are_found_by_exact_name_and_values_are_rounded_beside_the_exact_one() {
    let w = World::new().await;
    let skill = w.skill("cats exam").await;
    w.skill("cats").await;
    let found = w.get("/api/v1/skills?name=cats%20exam&sort=id").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(id(&found["items"][0]), skill);
    assert_eq!(found["items"][0]["hidden"], true);

    let worker = w.worker("a").await;
    let form = json!({"skill_id": skill, "user_id": worker.id, "value": 85.5});
    let (status, set) = w.call("PUT", "/api/v1/user-skills", form.clone()).await;
    assert_eq!(
        (status, &set["value"], &set["exact_value"]),
        (201, &json!(86), &json!(85.5))
    );
    assert_eq!(w.call("PUT", "/api/v1/user-skills", form).await.0, 200);
    let path = format!("/api/v1/user-skills/{}", id(&set));
    assert_eq!(w.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(w.call("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_clickbait_flow_is_accepted_as_its_client_sends_it() {
    let w = World::new().await;
    let file = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let project = file(include_str!("../data/project.json"));
    let project = id(&w.ok("POST", "/api/v1/projects", project).await);
    let mut training = file(include_str!("../data/exam.json"));
    training["project_id"] = json!(project);
    let training = id(&w.ok("POST", "/api/v1/trainings", training).await);
    let mut pool = file(include_str!("../data/pool.json"));
    pool["project_id"] = json!(project);
    pool["will_expire"] = json!("2026-01-02T00:00:00");
    pool["quality_control"]["training_requirement"]["training_pool_id"] = json!(training);
    let created = w.ok("POST", "/api/v1/pools", pool.clone()).await;
    assert_eq!(
        created["filter"], pool["filter"],
        "bare conditions stay as they were"
    );
    let uuid = &created["quality_control"]["configs"][0]["collector_config"]["uuid"];
    assert!(
        Uuid::parse_str(uuid.as_str().unwrap()).is_ok(),
        "every collector gets an id"
    );
    let pool = id(&created);

    let headline = |pool: &str, n: usize, known: Option<&str>, hint: Option<&str>| {
        let mut item = json!({"__item_idx": n.to_string(), "pool_id": pool,
            "input_values": {"headline": format!("Headline {n}")}});
        if let Some(known) = known {
            item["known_solutions"] = json!([{"output_values": {"category": known}}]);
        }
        if let Some(hint) = hint {
            item["message_on_unknown_solution"] = json!(hint);
        }
        item
    };
    let send = async |items: Vec<Value>, open: bool| {
        let path = format!(
            "/api/v1/tasks?operation_id={}&async_mode=true&allow_defaults=true&open_pool={open}&skip_invalid_items=false",
            Uuid::new_v4()
        );
        let operation = w.ok("POST", &path, Value::Array(items)).await;
        assert_eq!(operation["status"], "SUCCESS");
        w.get(&format!("/api/v1/operations/{}/log", id(&operation)))
            .await
    };
    send(
        many(20, |n| headline(&pool, n, Some("clickbait"), None)),
        false,
    )
    .await;
    let log = send(
        many(10, |n| {
            headline(&training, n, Some("clickbait"), Some("clickbait"))
        }),
        true,
    )
    .await;
    assert_eq!(log.as_array().unwrap().last().unwrap()["type"], "POOL_OPEN");
    assert_eq!(w.pool_state(&training).await.0, "OPEN");
    send(many(100, |n| headline(&pool, n, None, None)), false).await;
    w.open(&pool).await;
    let figures = json!([{"name": "completion_percentage", "subject": "POOL", "subject_id": pool}]);
    let operation = w.ok("POST", "/api/staging/analytics-2", figures).await;
    let value = &w
        .get(&format!("/api/v1/operations/{}", id(&operation)))
        .await["details"]["value"][0];
    assert_eq!(
        value["result"],
        json!({"type": "NORMAL", "value": 0, "infinite": false, "approximate": false})
    );
}

/// The path and code of every field that a form is refused for.
async fn refused(w: &World, path: &str, form: Value) -> Vec<(String, String)> {
    let (status, answer) = w.call("POST", path, form).await;
    assert_eq!(status, 400, "{answer}");
    let fields = answer["payload"].as_object().unwrap();
    let refused = fields
        .iter()
        .map(|(path, error)| (path.clone(), error["code"].as_str().unwrap().to_owned()));
    refused.collect()
}

#[tokio::test]
async fn every_wrong_setting_of_a_pool_is_named() {
    let w = World::new().await;
    let project = w.project().await;
    let rule = |condition: &str, action: Value| {
        json!({
        "conditions": [{"key": condition, "operator": "GTE", "value": 1}], "action": action})
    };
    let form = json!({
        "project_id": project, "private_name": "p", "will_expire": "2027-01-01T00:00:00",
        "reward_per_assignment": 0.001, "assignment_max_duration_seconds": 1, "defaults": {},
        "auto_accept_period_day": 22, "priority": 101,
        "mixer_config": {"real_tasks_count": 501, "golden_tasks_count": 1, "training_tasks_count": 0,
            "golden_task_distribution_function": {"scope": "TOWN", "distribution": "UNIFORM", "window_days": 366,
                "intervals": [{"from": 5, "to": 1}]}},
        "filter": {"and": [{"category": "hobby", "key": "x", "operator": "LIKE", "value": 1}]},
        "dynamic_pricing_config": {"type": "SKILL", "skill_id": "1", "intervals": [
            {"from": 0, "to": 50, "reward_per_assignment": 0.1}, {"from": 50, "to": 100, "reward_per_assignment": 0.2}]},
        "dynamic_overlap_config": {"type": "BASIC", "max_overlap": 0, "min_confidence": 1.5,
            "answer_weight_skill_id": "1", "fields": [{"name": "colour"}]},
        "speed_quality_balance": {"type": "TOP_PERCENTAGE_BY_QUALITY", "percent": 5},
        "quality_control": {
            "checkpoints_config": {"real_settings": {"target_overlap": 0}},
            "training_requirement": {"training_pool_id": "1", "training_passing_skill_value": 101},
            "configs": [
                {"collector_config": {"type": "TEA_LEAVES"}, "rules": []},
                {"collector_config": {"type": "MAJORITY_VOTE", "parameters": {"history_size": 0}}, "rules": [
                    rule("skipped_in_row_count", json!({"type": "RESTRICTION_V2", "parameters": {"scope": "TOWN", "duration_unit": "DAYS"}})),
                    rule("correct_answers_rate", json!({"type": "SET_SKILL_FROM_OUTPUT_FIELD", "parameters": {"skill_id": "1", "from_field": "fail_rate"}})),
                    rule("correct_answers_rate", json!({"type": "CHANGE_OVERLAP", "parameters": {}})),
                    rule("correct_answers_rate", json!({"type": "TICKLE", "parameters": {}}))]}]},
    });
    let refused = refused(&w, "/api/v1/pools", form).await;
    let refused: Vec<String> = refused
        .into_iter()
        .map(|(path, code)| format!("{path} {code}"))
        .collect();
    let q = "quality_control.configs.1";
    let expected = [
        "assignment_max_duration_seconds VALUE_OUT_OF_BOUNDS".to_owned(),
        "auto_accept_period_day VALUE_OUT_OF_BOUNDS".to_owned(),
        "dynamic_overlap_config.answer_weight_skill_id ENTITY_DOES_NOT_EXIST".to_owned(),
        "dynamic_overlap_config.fields.0.name VALUE_NOT_ALLOWED".to_owned(),
        "dynamic_overlap_config.max_overlap VALUE_OUT_OF_BOUNDS".to_owned(),
        "dynamic_overlap_config.min_confidence VALUE_OUT_OF_BOUNDS".to_owned(),
        "dynamic_pricing_config.intervals INVALID_VALUE".to_owned(),
        "dynamic_pricing_config.skill_id ENTITY_DOES_NOT_EXIST".to_owned(),
        "filter.category UNKNOWN_ENUM_VALUE".to_owned(),
        "filter.operator UNKNOWN_ENUM_VALUE".to_owned(),
        "mixer_config.golden_task_distribution_function.intervals.0.frequency VALUE_REQUIRED".to_owned(),
        "mixer_config.golden_task_distribution_function.intervals.0.from VALUE_OUT_OF_BOUNDS".to_owned(),
        "mixer_config.golden_task_distribution_function.scope UNKNOWN_ENUM_VALUE".to_owned(),
        "mixer_config.golden_task_distribution_function.window_days VALUE_OUT_OF_BOUNDS".to_owned(),
        "mixer_config.real_tasks_count VALUE_OUT_OF_BOUNDS".to_owned(),
        "priority VALUE_OUT_OF_BOUNDS".to_owned(),
        "quality_control.checkpoints_config.real_settings.target_overlap VALUE_OUT_OF_BOUNDS".to_owned(),
        "quality_control.checkpoints_config.real_settings.task_distribution_function VALUE_REQUIRED".to_owned(),
        "quality_control.configs.0.collector_config.type UNKNOWN_ENUM_VALUE".to_owned(),
        format!("{q}.collector_config.parameters.answer_threshold VALUE_REQUIRED"),
        format!("{q}.collector_config.parameters.history_size VALUE_OUT_OF_BOUNDS"),
        format!("{q}.rules.0.action.parameters.duration VALUE_REQUIRED"),
        format!("{q}.rules.0.action.parameters.scope UNKNOWN_ENUM_VALUE"),
        format!("{q}.rules.0.conditions.0.key VALUE_NOT_ALLOWED"),
        format!("{q}.rules.1.action.parameters.from_field VALUE_NOT_ALLOWED"),
        format!("{q}.rules.1.action.parameters.skill_id ENTITY_DOES_NOT_EXIST"),
        format!("{q}.rules.2.action.parameters.delta VALUE_REQUIRED"),
        format!("{q}.rules.3.action.type UNKNOWN_ENUM_VALUE"),
        "quality_control.training_requirement.training_passing_skill_value VALUE_OUT_OF_BOUNDS".to_owned(),
        "quality_control.training_requirement.training_pool_id ENTITY_DOES_NOT_EXIST".to_owned(),
        "reward_per_assignment VALUE_OUT_OF_BOUNDS".to_owned(),
        "speed_quality_balance.percent VALUE_OUT_OF_BOUNDS".to_owned(),
    ];
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn every_wrong_field_of_a_project_is_named() {
    let w = World::new().await;
    let form = json!({
        "assignments_issuing_type": "BY_POST",
        "task_spec": {
            "input_spec": {"photo": {"type": "file"}, "n": {"type": "integer", "min_value": 3, "max_value": 2}},
            "output_spec": {"x": {"type": "smell"}, "y": {"type": "string", "min_length": 9, "max_length": 2}},
            "view_spec": {"type": "tb", "config": "{not json"}},
        "quality_control": {"configs": [{"collector_config": {"type": "INCOME"}, "rules": [{"conditions": [], "action": {"type": "SET_SKILL"}}]}]},
    });
    let refused = refused(&w, "/api/v1/projects", form).await;
    let refused: Vec<String> = refused
        .into_iter()
        .map(|(path, code)| format!("{path} {code}"))
        .collect();
    assert_eq!(
        refused,
        [
            "assignments_issuing_type UNKNOWN_ENUM_VALUE",
            "public_name VALUE_REQUIRED",
            "quality_control.configs.0.rules.0.action.parameters.skill_id VALUE_REQUIRED",
            "quality_control.configs.0.rules.0.action.parameters.skill_value VALUE_REQUIRED",
            "quality_control.configs.0.rules.0.conditions VALUE_REQUIRED",
            "task_spec.input_spec.n.min_value VALUE_OUT_OF_BOUNDS",
            "task_spec.input_spec.photo.type VALUE_NOT_ALLOWED",
            "task_spec.output_spec.x.type UNKNOWN_ENUM_VALUE",
            "task_spec.output_spec.y.min_length VALUE_OUT_OF_BOUNDS",
            "task_spec.view_spec.config JSON_EXPECTED",
        ]
    );
}
