//! Task suites that the requester makes.

use serde_json::{Value, json};

use crate::world::{World, golden, id, many, merge, real, task_ids};

/// A pool without a mixer.
async fn pool(w: &World, over: Value) -> String {
    let mut form = json!({"mixer_config": null});
    merge(&mut form, over);
    w.pool(&w.project().await, form).await
}

/// A suite of two tasks, the first one's number given.
fn suite(pool: &str, n: usize, over: Value) -> Value {
    let inner = |n: usize| json!({"input_values": {"image": format!("https://e.com/{n}.png")}});
    let mut suite = json!({"pool_id": pool, "overlap": 1, "tasks": [inner(n), inner(n + 1)]});
    merge(&mut suite, over);
    suite
}

/// Uploads suites; returns them as they came back.
async fn upload(w: &World, suites: Vec<Value>) -> Vec<Value> {
    let mut made = Vec::new();
    for suite in suites {
        made.push(w.ok("POST", "/api/v1/task-suites", suite).await);
    }
    made
}

fn suite_of(page: Result<Value, String>) -> String {
    page.unwrap()["task_suite_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_suite_is_one_page_with_its_tasks_in_their_order() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let made = upload(&w, vec![suite(&pool, 1, json!({"overlap": 2}))])
        .await
        .remove(0);
    assert_eq!(
        (&made["mixed"], &made["remaining_overlap"]),
        (&json!(false), &json!(2))
    );
    w.open(&pool).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let page = w.do_page(&a, &pool, 60, "cat").await;
    assert_eq!(page["task_suite_id"], made["id"]);
    assert_eq!(task_ids(&page), task_ids(&made));
    assert_eq!(
        w.take(&a, &pool).await,
        Err("NO_TASKS".to_owned()),
        "nobody gets a suite twice"
    );
    w.do_page(&b, &pool, 60, "cat").await;
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );

    let path = format!("/api/v1/task-suites/{}", id(&made));
    assert_eq!(w.get(&path).await["remaining_overlap"], 0);
    let assignments = w
        .get(&format!("/api/v1/assignments?task_suite_id={}", id(&made)))
        .await;
    assert_eq!(assignments["items"].as_array().unwrap().len(), 2);
    assert_eq!(assignments["items"][0]["mixed"], false);
    let table = w
        .send(
            Some("ApiKey local"),
            "GET",
            &format!("/api/new/requester/pools/{pool}/assignments.tsv"),
            None,
        )
        .await;
    assert_eq!(table.1.lines().count(), 5, "{}", table.1);
}

#[tokio::test]
async fn higher_suites_go_first_and_then_the_older_if_the_pool_says_so() {
    let w = World::new().await;
    let in_order =
        json!({"assignments_issuing_config": {"issue_task_suites_in_creation_order": true}});
    let pool = pool(&w, in_order).await;
    let ranks = [
        json!(0),
        json!(-5.5),
        json!(99_999.999_99),
        json!(0),
        json!(null),
    ];
    let suites = ranks
        .iter()
        .enumerate()
        .map(|(n, rank)| suite(&pool, 10 * n, json!({"issuing_order_override": rank})));
    let made = upload(&w, suites.collect()).await;
    assert_eq!(made[2]["issuing_order_override"], 99_999.999_99);
    w.open(&pool).await;
    let a = w.worker("a").await;
    let mut order = Vec::new();
    for _ in 0..5 {
        order.push(suite_of(w.take(&a, &pool).await));
    }
    let expected: Vec<String> = [2, 0, 3, 4, 1].iter().map(|n| id(&made[*n])).collect();
    assert_eq!(order, expected);

    let too_high = suite(&pool, 90, json!({"issuing_order_override": 100_000}));
    let (status, answer) = w.call("POST", "/api/v1/task-suites", too_high).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["payload"]["issuing_order_override"]["code"],
        "VALUE_OUT_OF_BOUNDS"
    );
}

#[tokio::test]
async fn what_is_skipped_goes_to_somebody_else() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let made = upload(&w, vec![suite(&pool, 1, json!({}))]).await;
    w.open(&pool).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let page = w.take(&a, &pool).await.unwrap();
    assert_eq!(w.take(&b, &pool).await, Err("NO_TASKS".to_owned()));
    w.work(
        &a,
        "POST",
        &format!("/assignments/{}/skip", id(&page)),
        Value::Null,
    )
    .await;
    assert_eq!(w.take(&a, &pool).await, Err("NO_TASKS".to_owned()));
    assert_eq!(suite_of(w.take(&b, &pool).await), id(&made[0]));
}

#[tokio::test]
async fn a_suite_may_be_reserved_for_some_and_kept_from_others() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let made = upload(
        &w,
        vec![
            suite(&pool, 1, json!({"reserved_for": [a.id]})),
            suite(&pool, 3, json!({"unavailable_for": [a.id]})),
        ],
    )
    .await;
    assert_eq!(made[0]["reserved_for"], json!([a.id]));
    w.open(&pool).await;
    assert_eq!(suite_of(w.take(&a, &pool).await), id(&made[0]));
    assert_eq!(suite_of(w.take(&b, &pool).await), id(&made[1]));
    assert!(w.take(&a, &pool).await.is_err() && w.take(&b, &pool).await.is_err());
}

#[tokio::test]
async fn the_overlap_of_a_suite_rises_and_falls_but_not_below_what_is_out() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let made = upload(&w, vec![suite(&pool, 1, json!({"overlap": 3}))])
        .await
        .remove(0);
    let path = format!("/api/v1/task-suites/{}", id(&made));
    w.open(&pool).await;
    for name in ["a", "b"] {
        w.do_page(&w.worker(name).await, &pool, 60, "cat").await;
    }
    let (status, answer) = w.call("PATCH", &path, json!({"overlap": 1})).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["payload"]["overlap"]["message"],
        "overlap must be 2 to 30000"
    );
    let least = w
        .ok(
            "PATCH",
            &format!("{path}/set-overlap-or-min"),
            json!({"overlap": 0}),
        )
        .await;
    assert_eq!(
        (&least["overlap"], &least["remaining_overlap"]),
        (&json!(2), &json!(0))
    );
    w.get("/api/v1/requester").await;
    assert_eq!(
        w.pool_state(&pool).await.0,
        "CLOSED",
        "nothing more is asked for"
    );
    let more = w
        .ok(
            "PATCH",
            &format!("{path}?open_pool=true"),
            json!({"overlap": 3}),
        )
        .await;
    assert_eq!(more["remaining_overlap"], 1);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    let task = format!("/api/v1/tasks/{}", task_ids(&made)[0]);
    assert_eq!(
        w.get(&task).await["overlap"],
        3,
        "a task has the overlap of its suite"
    );
    let (status, answer) = w.call("PATCH", &task, json!({"overlap": 9})).await;
    assert_eq!(
        (status, &answer["payload"]["overlap"]["code"]),
        (400, &json!("VALUE_NOT_ALLOWED"))
    );
    let infinite = w
        .ok("PATCH", &path, json!({"infinite_overlap": true}))
        .await;
    assert_eq!(infinite["overlap"], Value::Null);
}

#[tokio::test]
async fn a_batch_makes_the_valid_ones_and_its_log_tells_of_all() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let mut wrong = suite(&pool, 5, json!({"__item_idx": "1"}));
    wrong["tasks"][1]["input_values"] = json!({"image": "no address"});
    let empty = json!({"pool_id": pool, "overlap": 1, "tasks": []});
    let items = json!([suite(&pool, 1, json!({"__item_idx": "0"})), wrong, empty]);
    let query = "operation_id=4f9bd8d3-3a3e-4f0c-8f4e-0c4a3a1f6b11&async_mode=true";

    let path = format!("/api/v1/task-suites?{query}&skip_invalid_items=true&open_pool=true");
    let operation = w.ok("POST", &path, items.clone()).await;
    assert_eq!(operation["type"], "TASK_SUITE.BATCH_CREATE");
    let counts = ["total_count", "valid_count", "not_valid_count"]
        .map(|name| operation["details"][name].clone());
    assert_eq!(counts, [json!(3), json!(1), json!(2)]);
    let log = w
        .get(&format!("/api/v1/operations/{}/log", id(&operation)))
        .await;
    assert_eq!(
        (&log[0]["type"], &log[0]["input"]["__item_idx"]),
        (&json!("TASK_SUITE_CREATE"), &json!("0"))
    );
    let made = log[0]["output"]["task_suite_id"].as_str().unwrap();
    assert_eq!(
        log[1]["output"]["tasks.1.input_values.image"]["code"],
        "INVALID_URL_SYNTAX"
    );
    assert_eq!(log[2]["output"]["tasks"]["code"], "VALUES_REQUIRED");
    assert_eq!(log[3]["type"], "POOL_OPEN");
    let listed = w
        .get(&format!(
            "/api/v1/task-suites?pool_id={pool}&id_gte={made}&sort=id"
        ))
        .await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        w.fails("POST", &path, items.clone()).await,
        (409, "OPERATION_ALREADY_EXISTS".to_owned())
    );

    let (status, answer) = w.call("POST", "/api/v1/task-suites", items).await;
    assert_eq!(status, 400);
    assert_eq!(answer["payload"]["2"]["tasks"]["code"], "VALUES_REQUIRED");
}

#[tokio::test]
async fn defaults_are_those_of_suites_and_trainings_take_none() {
    let w = World::new().await;
    let pool = pool(
        &w,
        json!({"defaults": {"default_overlap_for_new_task_suites": 4}}),
    )
    .await;
    let bare = suite(&pool, 1, json!({"overlap": null}));
    let made = w
        .ok(
            "POST",
            "/api/v1/task-suites?allow_defaults=true",
            bare.clone(),
        )
        .await;
    assert_eq!(made["overlap"], 4);
    let (_, answer) = w.call("POST", "/api/v1/task-suites", bare).await;
    assert_eq!(answer["payload"]["overlap"]["code"], "VALUE_REQUIRED");
    assert_eq!(
        w.fails("POST", "/api/v1/tasks", real(&pool, 1)).await,
        (409, "MIXER_CONFIG_REQUIRED".to_owned())
    );
    let training = w.training(&w.project().await, json!({})).await;
    let code = w
        .fails(
            "POST",
            "/api/v1/task-suites",
            suite(&training, 1, json!({})),
        )
        .await;
    assert_eq!(code, (409, "POOL_IS_TRAINING".to_owned()));
}

#[tokio::test]
async fn with_a_mixer_suites_by_hand_go_first_and_mixed_ones_are_listed_too() {
    let w = World::new().await;
    let pool = w
        .pool(
            &w.project().await,
            json!({"mixer_config": {"real_tasks_count": 2, "golden_tasks_count": 1}}),
        )
        .await;
    let tasks = w.tasks(many(4, |n| real(&pool, n))).await;
    w.tasks(many(4, |n| golden(&pool, n))).await;
    let by_hand = upload(&w, vec![suite(&pool, 50, json!({}))])
        .await
        .remove(0);
    w.open(&pool).await;
    let a = w.worker("a").await;
    assert_eq!(suite_of(w.take(&a, &pool).await), id(&by_hand));
    let mixed = w.take(&a, &pool).await.unwrap();
    assert!(
        task_ids(&mixed)
            .iter()
            .all(|task| !task_ids(&by_hand).contains(task))
    );

    let listed = w.get(&format!("/api/v1/task-suites?pool_id={pool}")).await;
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(
        listed.iter().map(id).collect::<Vec<_>>(),
        [id(&by_hand), suite_of(Ok(mixed.clone()))]
    );
    assert_eq!(task_ids(&listed[1]), task_ids(&mixed));
    let path = format!("/api/v1/task-suites/{}", id(&listed[1]));
    assert_eq!(w.get(&path).await["mixed"], true);
    assert_eq!(
        w.fails("PATCH", &path, json!({"overlap": 5})).await,
        (409, "CONFLICT_STATE".to_owned())
    );

    let given: Vec<&String> = tasks
        .iter()
        .filter(|task| task_ids(&mixed).contains(task))
        .collect();
    for (task, suite) in [(given[0], &listed[1]), (&task_ids(&by_hand)[1], &by_hand)] {
        let found = w.get(&format!("/api/v1/task-suites?task_id={task}")).await;
        assert_eq!(
            found["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(id)
                .collect::<Vec<_>>(),
            [id(suite)]
        );
    }
}

#[tokio::test]
async fn opening_asks_for_the_money_of_all_suites() {
    let w = World::with(quorate_crowd::Config {
        balance: 1.into(),
        ..crate::world::config()
    })
    .await;
    let pool = pool(&w, json!({})).await;
    upload(&w, many(10, |n| suite(&pool, 2 * n, json!({})))).await;
    w.open(&pool).await;
    w.ok("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
        .await;
    upload(&w, vec![suite(&pool, 90, json!({}))]).await;
    let code = w
        .fails("POST", &format!("/api/v1/pools/{pool}/open"), Value::Null)
        .await;
    assert_eq!(code, (409, "NOT_ENOUGH_BALANCE".to_owned()));
}
