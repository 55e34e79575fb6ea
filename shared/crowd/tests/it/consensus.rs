//! Dynamic overlap, aggregated solutions, selective votes.

use serde_json::{Value, json};

use crate::world::{Worker, World, ban, golden, id, many, merge, real, rule, task_ids, when};

/// A project whose answers are `OK`, `BAD` and `404`, as in the documentation.
async fn project(w: &World) -> String {
    let spec =
        json!({"task_spec": {"output_spec": {"result": {"allowed_values": ["OK", "BAD", "404"]}}}});
    w.project_with(spec).await
}

/// Workers with these values of a skill.
async fn skilled(w: &World, skill: &str, values: &[(&str, i64)]) -> Vec<Worker> {
    let mut workers = Vec::new();
    for (name, value) in values {
        let worker = w.worker(name).await;
        let body = json!({"skill_id": skill, "user_id": worker.id, "value": value});
        w.ok("PUT", "/api/v1/user-skills", body).await;
        workers.push(worker);
    }
    workers
}

async fn overlap(w: &World, task: &str) -> Value {
    w.get(&format!("/api/v1/tasks/{task}")).await["overlap"].clone()
}

#[tokio::test]
async fn more_workers_are_asked_until_the_answer_is_sure_enough() {
    let w = World::new().await;
    let skill = w.skill("control").await;
    let workers = skilled(&w, &skill, &[("a", 70), ("b", 90), ("c", 80)]).await;
    let dynamic = json!({
        "mixer_config": {"real_tasks_count": 1},
        "defaults": {"default_overlap_for_new_tasks": 2},
        "dynamic_overlap_config": {"type": "BASIC", "max_overlap": 5, "min_confidence": 0.9,
            "answer_weight_skill_id": skill, "fields": [{"name": "result"}]}});
    let pool = w.pool(&project(&w).await, dynamic).await;
    let task = w.tasks(vec![real(&pool, 1)]).await.remove(0);
    w.open(&pool).await;
    w.do_page(&workers[0], &pool, 60, "OK").await;
    w.do_page(&workers[1], &pool, 60, "BAD").await;
    // BAD has 76.1 %: too little.
    assert_eq!(overlap(&w, &task).await, 3);
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.do_page(&workers[2], &pool, 60, "BAD").await;
    // 96.2 %.
    assert_eq!(overlap(&w, &task).await, 3);
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
}

#[tokio::test]
async fn no_more_than_the_most_are_asked_however_unsure_the_answer() {
    let w = World::new().await;
    let skill = w.skill("control").await;
    let dynamic = json!({
        "mixer_config": {"real_tasks_count": 1},
        "defaults": {"default_overlap_for_new_tasks": 1},
        "dynamic_overlap_config": {"type": "BASIC", "max_overlap": 2, "min_confidence": 0.99,
            "answer_weight_skill_id": skill, "fields": [{"name": "result"}]}});
    let pool = w.pool(&project(&w).await, dynamic).await;
    w.tasks(vec![real(&pool, 1)]).await;
    w.open(&pool).await;
    for name in ["a", "b"] {
        assert_eq!(w.pool_state(&pool).await.0, "OPEN");
        w.do_page(
            &w.worker(name).await,
            &pool,
            60,
            name.replace('a', "OK").replace('b', "BAD").as_str(),
        )
        .await;
    }
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
}

#[tokio::test]
async fn a_pool_is_aggregated_by_skill_and_by_agreement() {
    let w = World::new().await;
    let skill = w.skill("control").await;
    let workers = skilled(&w, &skill, &[("a", 70), ("b", 90), ("c", 80)]).await;
    let pool = w
        .pool(
            &project(&w).await,
            json!({"mixer_config": {"real_tasks_count": 1, "mix_tasks_in_creation_order": true}}),
        )
        .await;
    let mut unlike = real(&pool, 2);
    unlike["baseline_solutions"] =
        json!([{"output_values": {"result": "404"}, "confidence_weight": 0.99}]);
    let tasks = w.tasks(vec![real(&pool, 1), unlike]).await;
    w.open(&pool).await;
    for _ in 0..2 {
        for (worker, answer) in workers.iter().zip(["OK", "BAD", "BAD"]) {
            w.do_page(worker, &pool, 60, answer).await;
        }
    }
    let weighted = json!({"type": "WEIGHTED_DYNAMIC_OVERLAP", "pool_id": pool,
        "answer_weight_skill_id": skill, "fields": [{"name": "result"}]});
    let operation = w
        .ok(
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-pool",
            weighted.clone(),
        )
        .await;
    assert_eq!(
        (&operation["type"], &operation["status"]),
        (&json!("SOLUTION.AGGREGATE"), &json!("SUCCESS"))
    );
    let path = format!("/api/v1/aggregated-solutions/{}", id(&operation));
    let solutions = w.get(&path).await;
    let solutions = solutions["items"].as_array().unwrap();
    let of = |n: usize| {
        (
            solutions[n]["task_id"].as_str().unwrap(),
            solutions[n]["output_values"]["result"].as_str().unwrap(),
        )
    };
    assert_eq!(
        (of(0), of(1)),
        ((tasks[0].as_str(), "BAD"), (tasks[1].as_str(), "404"))
    );
    assert!(
        (solutions[0]["confidence"].as_f64().unwrap() - 0.962_138_1).abs() < 1e-6,
        "{solutions:?}"
    );
    // 404 has .99 × .15 × .05 × .1, BAD .005 × .15 × .9 × .8.
    let page = w.get(&format!("{path}?limit=1")).await;
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["has_more"]),
        (1, &json!(true))
    );
    let rest = w.get(&format!("{path}?task_id_gt={}", tasks[0])).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);

    let one = json!({"pool_id": pool, "task_id": tasks[0], "answer_weight_skill_id": skill, "fields": [{"name": "result"}]});
    let one = w
        .ok(
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-task",
            one,
        )
        .await;
    assert_eq!(one, solutions[0]);

    let agreed = json!({"type": "DAWID_SKENE", "pool_id": pool, "fields": [{"name": "result"}]});
    let operation = w
        .ok(
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-pool",
            agreed,
        )
        .await;
    let solutions = w
        .get(&format!("/api/v1/aggregated-solutions/{}", id(&operation)))
        .await;
    for solution in solutions["items"].as_array().unwrap() {
        assert_eq!(solution["output_values"], json!({"result": "BAD"}));
    }
    assert_eq!(solutions["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_aggregated_is_refused_with_the_reason() {
    let w = World::new().await;
    let pool = w.pool(&project(&w).await, json!({})).await;
    let task = w.tasks(many(2, |n| real(&pool, n))).await.remove(0);
    w.open(&pool).await;
    let path = "/api/v1/aggregated-solutions/aggregate-by-pool";
    let agreed = json!({"type": "DAWID_SKENE", "pool_id": pool, "fields": [{"name": "result"}]});
    let (status, answer) = w.call("POST", path, agreed.clone()).await;
    assert_eq!(
        (status, &answer["code"]),
        (409, &json!("INAPPROPRIATE_STATUS"))
    );
    assert_eq!(
        answer["payload"]["appropriate_statuses"],
        json!(["CLOSED", "ARCHIVED"])
    );
    w.ok("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
        .await;
    w.ok("POST", path, agreed.clone()).await;
    for (over, field, code) in [
        (
            json!({"fields": [{"name": "colour"}]}),
            "fields.0.name",
            "VALUE_NOT_ALLOWED",
        ),
        (json!({"fields": []}), "fields", "VALUES_REQUIRED"),
        (json!({"type": "MAGIC"}), "type", "UNKNOWN_ENUM_VALUE"),
        (
            json!({"type": "WEIGHTED_DYNAMIC_OVERLAP"}),
            "answer_weight_skill_id",
            "VALUE_REQUIRED",
        ),
        (
            json!({"type": "WEIGHTED_DYNAMIC_OVERLAP", "answer_weight_skill_id": "9"}),
            "answer_weight_skill_id",
            "ENTITY_DOES_NOT_EXIST",
        ),
    ] {
        let mut form = agreed.clone();
        merge(&mut form, over);
        let (status, answer) = w.call("POST", path, form).await;
        assert_eq!(
            (status, &answer["payload"][field]["code"]),
            (400, &json!(code)),
            "{answer}"
        );
    }
    let skill = w.skill("control").await;
    let one = json!({"pool_id": pool, "task_id": task, "answer_weight_skill_id": skill, "fields": [{"name": "result"}]});
    let code = w
        .fails(
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-task",
            one,
        )
        .await;
    assert_eq!(code, (409, "ASSIGNMENTS_AGGREGATION_DENIED".to_owned()));
}

#[tokio::test]
async fn a_selective_vote_asks_more_about_every_third_task_and_judges_by_these() {
    let w = World::new().await;
    let mut over = rule(
        "MAJORITY_VOTE",
        json!({"answer_threshold": 2}),
        json!([
            when("total_answers_count", "GTE", 1),
            when("correct_answers_rate", "EQ", 0)
        ]),
        ban("POOL"),
    );
    let function = json!({"scope": "POOL", "distribution": "UNIFORM", "window_days": 7,
        "intervals": [{"from": 1, "to": 100, "frequency": 3}]});
    merge(
        &mut over,
        json!({
            "mixer_config": {"real_tasks_count": 3, "mix_tasks_in_creation_order": true, "shuffle_tasks_in_task_suite": false},
            "defaults": {"default_overlap_for_new_tasks": 1},
            "quality_control": {"checkpoints_config": {"real_settings": {"target_overlap": 3, "task_distribution_function": function}}},
        }),
    );
    let pool = w.pool(&w.project().await, over).await;
    let tasks = w.tasks(many(3, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, b, c) = (
        w.worker("a").await,
        w.worker("b").await,
        w.worker("c").await,
    );
    w.do_page(&a, &pool, 60, "dog").await;
    assert_eq!(
        (overlap(&w, &tasks[0]).await, overlap(&w, &tasks[1]).await),
        (json!(3), json!(1))
    );
    for worker in [&b, &c] {
        let page = w.do_page(worker, &pool, 60, "cat").await;
        assert_eq!(
            task_ids(&page),
            tasks[..1],
            "only the chosen one is asked again"
        );
    }
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
    assert_eq!(w.bans(&a).await.len(), 1, "outvoted on the one that counts");
    assert!(w.bans(&b).await.is_empty());
}

#[tokio::test]
async fn control_tasks_come_as_often_as_their_distribution_says() {
    let w = World::new().await;
    let mixer = json!({"mixer_config": {"real_tasks_count": 4, "golden_tasks_count": 1,
        "golden_task_distribution_function": {"scope": "POOL", "distribution": "UNIFORM", "window_days": 7,
            "intervals": [{"from": 1, "to": 8, "frequency": 2}, {"from": 9, "to": 1000, "frequency": 8}]}}});
    let pool = w.pool(&w.project().await, mixer).await;
    w.tasks(many(40, |n| real(&pool, n))).await;
    let goldens = w.tasks(many(20, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let mut counts = Vec::new();
    for _ in 0..5 {
        let page = task_ids(&w.do_page(&a, &pool, 60, "cat").await);
        assert_eq!(page.len(), 4);
        counts.push(page.iter().filter(|task| goldens.contains(task)).count());
    }
    assert_eq!(counts, [2, 2, 1, 0, 1]);
}

/// A pool for workers with a skill of 50 or more, that asks again when somebody loses access.
async fn guarded(w: &World, skill: &str) -> (String, Vec<String>) {
    let mut over = rule(
        "USERS_ASSESSMENT",
        json!({}),
        json!([
            when("pool_access_revoked_reason", "EQ", "SKILL_CHANGE"),
            when("skill_id", "EQ", skill)
        ]),
        json!({"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": true}}),
    );
    let banned = json!({
        "conditions": [when("pool_access_revoked_reason", "EQ", "RESTRICTION")],
        "action": {"type": "CHANGE_OVERLAP", "parameters": {"delta": 2, "open_pool": true}}});
    over["quality_control"]["configs"][0]["rules"]
        .as_array_mut()
        .unwrap()
        .push(banned);
    merge(
        &mut over,
        json!({
        "defaults": {"default_overlap_for_new_tasks": 1},
        "filter": {"and": [{"category": "skill", "key": skill, "operator": "GTE", "value": 50}]}}),
    );
    let pool = w.pool(&w.project().await, over).await;
    let tasks = w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    (pool, tasks)
}

#[tokio::test]
async fn who_loses_a_skill_is_replaced_once() {
    let w = World::new().await;
    let skill = w.skill("quality").await;
    let a = skilled(&w, &skill, &[("a", 80)]).await.remove(0);
    let (pool, tasks) = guarded(&w, &skill).await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
    let set = |value: i64| json!({"skill_id": skill, "user_id": a.id, "value": value});
    w.ok("PUT", "/api/v1/user-skills", set(60)).await;
    assert_eq!(
        overlap(&w, &tasks[0]).await,
        1,
        "the worker still has access"
    );
    for value in [40, 30] {
        w.ok("PUT", "/api/v1/user-skills", set(value)).await;
        assert_eq!(overlap(&w, &tasks[0]).await, 2, "asked again, once");
    }
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.ok("PUT", "/api/v1/user-skills", set(90)).await;
    w.ok("PUT", "/api/v1/user-skills", set(10)).await;
    assert_eq!(overlap(&w, &tasks[0]).await, 3, "and when it is lost again");
}

#[tokio::test]
async fn who_is_banned_is_replaced_too() {
    let w = World::new().await;
    let skill = w.skill("quality").await;
    let workers = skilled(&w, &skill, &[("a", 80), ("b", 80)]).await;
    let (pool, tasks) = guarded(&w, &skill).await;
    w.do_page(&workers[0], &pool, 60, "cat").await;
    for worker in &workers {
        let body = json!({"scope": "ALL_PROJECTS", "user_id": worker.id});
        w.ok("PUT", "/api/v1/user-restrictions", body).await;
    }
    assert_eq!(
        overlap(&w, &tasks[0]).await,
        3,
        "the other one had no page there"
    );
}

#[tokio::test]
async fn a_collector_that_a_clone_kept_counts_in_both_pools() {
    let w = World::new().await;
    let mut over = rule(
        "ANSWER_COUNT",
        json!({}),
        json!([when("assignments_accepted_count", "GTE", 2)]),
        ban("PROJECT"),
    );
    let uuid = "0d8a3b5e-9d41-4c0e-8b57-6f1f6d1c9e11";
    over["quality_control"]["configs"][0]["collector_config"]["uuid"] = json!(uuid);
    let project = w.project().await;
    let mut pools = Vec::new();
    for _ in 0..2 {
        let pool = w.pool(&project, over.clone()).await;
        w.tasks(many(4, |n| real(&pool, n))).await;
        w.open(&pool).await;
        pools.push(pool);
    }
    let a = w.worker("a").await;
    w.do_page(&a, &pools[0], 60, "cat").await;
    assert!(w.bans(&a).await.is_empty());
    w.do_page(&a, &pools[1], 60, "cat").await;
    assert_eq!(w.bans(&a).await.len(), 1);
}

#[tokio::test]
async fn a_collector_may_be_cleaned_and_a_pool_completed_by_a_rule() {
    let w = World::new().await;
    let clean = rule(
        "ANSWER_COUNT",
        json!({}),
        json!([when("assignments_accepted_count", "EQ", 1)]),
        json!({"type": "CLEAN_COLLECTOR", "parameters": {}}),
    );
    let mut over = clean.clone();
    let third = json!({"conditions": [when("assignments_accepted_count", "GTE", 2)], "action": ban("POOL")});
    over["quality_control"]["configs"][0]["rules"]
        .as_array_mut()
        .unwrap()
        .push(third);
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    for _ in 0..3 {
        w.do_page(&a, &pool, 60, "cat").await;
    }
    assert!(
        w.bans(&a).await.is_empty(),
        "each page is the first since the cleaning"
    );

    let done = rule(
        "ANSWER_COUNT",
        json!({}),
        json!([when("assignments_accepted_count", "EQ", 1)]),
        json!({"type": "SET_POOL_COMPLETE", "parameters": {}}),
    );
    let pool = w.pool(&w.project().await, done).await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    w.open(&pool).await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
}
