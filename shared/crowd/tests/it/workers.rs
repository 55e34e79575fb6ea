//! The worker API: signing in, pages, answers.

use serde_json::{Value, json};

use crate::world::{INVITE, World, id, many, parse, real, task_ids};

async fn open_pool(w: &World, over: Value) -> String {
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(6, |n| real(&pool, n))).await;
    w.open(&pool).await;
    pool
}

#[tokio::test]
async fn signing_up_needs_the_invite_and_signing_in_the_password() {
    let w = World::new().await;
    let send = async |login: &str, password: &str, invite: &str| {
        let body = json!({"login": login, "password": password, "invite": invite}).to_string();
        let (status, text) = w
            .send(None, "POST", "/api/worker/v1/workers", Some(body))
            .await;
        (status, parse(&text))
    };
    assert_eq!(send("ann", "secret", "guess").await.0, 403);
    let (status, first) = send("ann", "secret", INVITE).await;
    assert_eq!(status, 201);
    assert_eq!(first["worker_id"].as_str().unwrap().len(), 32);
    assert_eq!(
        send("ann", "secret", "").await,
        (200, first.clone()),
        "who is known needs no invite"
    );
    let (status, wrong) = send("ann", "guess", INVITE).await;
    assert_eq!(
        (status, wrong["code"].as_str()),
        (403, Some("AUTHENTICATION_ERROR"))
    );
    assert_eq!(send("", "x", INVITE).await.0, 400);

    let token = first["token"].as_str().unwrap();
    let me = async |token: &str| {
        w.send(
            Some(&format!("Worker {token}")),
            "GET",
            "/api/worker/v1/me",
            None,
        )
        .await
    };
    let (status, text) = me(token).await;
    assert_eq!(
        (status, parse(&text)),
        (
            200,
            json!({"worker_id": first["worker_id"], "login": "ann", "earned": 0.0, "banned": false})
        )
    );
    let forged = format!(
        "{}.{}",
        first["worker_id"].as_str().unwrap(),
        "0".repeat(64)
    );
    for wrong in [forged.as_str(), "x", "", &token[..token.len() - 1]] {
        assert_eq!(me(wrong).await.0, 403, "{wrong}");
    }
    let as_requester = w
        .send(
            Some(&format!("Worker {token}")),
            "GET",
            "/api/v1/requester",
            None,
        )
        .await;
    assert_eq!(as_requester.0, 403);
}

#[tokio::test]
async fn pools_are_offered_with_everything_that_the_page_needs() {
    let w = World::new().await;
    let pool = open_pool(
        &w,
        json!({"public_description": "Own words", "priority": 1}),
    )
    .await;
    let better = open_pool(&w, json!({"priority": 2})).await;
    let a = w.worker("a").await;
    let (_, offers) = w.work(&a, "GET", "/pools", Value::Null).await;
    let items = offers["items"].as_array().unwrap();
    assert_eq!(
        (&items[0]["pool_id"], &items[1]["pool_id"]),
        (&json!(better), &json!(pool))
    );
    let offer = &items[1];
    assert_eq!(
        (&offer["title"], &offer["description"]),
        (&json!("Cat or dog?"), &json!("Own words"))
    );
    assert_eq!(
        (&offer["instructions"], &offer["reward"]),
        (&json!("<p>Decide</p>"), &json!(0.1))
    );
    assert_eq!(
        (
            &offer["training"],
            &offer["assignment_max_duration_seconds"]
        ),
        (&json!(false), &json!(600))
    );
    assert_eq!(
        offer["task_spec"]["output_spec"]["result"]["type"],
        "string"
    );
    assert_eq!(offer["task_spec"]["view_spec"]["type"], "tb");
}

#[tokio::test]
async fn a_page_is_taken_found_again_and_submitted() {
    let w = World::new().await;
    let pool = open_pool(&w, json!({})).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    assert_eq!(
        (&page["status"], &page["reward"], &page["training"]),
        (&json!("ACTIVE"), &json!(0.1), &json!(false))
    );
    assert_eq!(
        (&page["created"], &page["expires"]),
        (
            &json!("2026-01-01T00:00:00.000"),
            &json!("2026-01-01T00:10:00.000")
        )
    );
    let (_, mine) = w
        .work(&a, "GET", "/assignments?status=ACTIVE", Value::Null)
        .await;
    assert_eq!(mine["items"], json!([page]));
    w.pass(60);
    assert_eq!(
        w.submit(&a, &page, &["cat", "dog"]).await,
        (200, json!({"status": "ACCEPTED", "hints": []}))
    );

    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(
        (&stored["status"], &stored["user_id"]),
        (&json!("ACCEPTED"), &json!(a.id))
    );
    assert_eq!(
        (&stored["submitted"], &stored["accepted"]),
        (
            &json!("2026-01-01T00:01:00.000"),
            &json!("2026-01-01T00:01:00.000")
        )
    );
    assert_eq!(
        stored["solutions"],
        json!([{"output_values": {"result": "cat"}}, {"output_values": {"result": "dog"}}])
    );
    assert_eq!(task_ids(&stored), task_ids(&page));
    let (_, me) = w.work(&a, "GET", "/me", Value::Null).await;
    assert_eq!(me["earned"], 0.1);
}

#[tokio::test]
async fn the_same_answers_again_get_the_same_reply_and_pay_once() {
    let w = World::new().await;
    let pool = open_pool(&w, json!({})).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    let before = w.balance().await;
    let first = w.submit(&a, &page, &["cat", "dog"]).await;
    assert_eq!(w.submit(&a, &page, &["cat", "dog"]).await, first);
    assert!((before - w.balance().await - 0.1).abs() < 1e-9);
    let (status, other) = w.submit(&a, &page, &["dog", "dog"]).await;
    assert_eq!(
        (status, other["code"].as_str()),
        (409, Some("INAPPROPRIATE_STATUS"))
    );
}

#[tokio::test]
async fn answers_must_fit_the_project() {
    let w = World::new().await;
    let pool = open_pool(&w, json!({})).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    let path = format!("/assignments/{}/submit", id(&page));
    let cases = [
        (
            json!([{"output_values": {"result": "cat"}}]),
            "solutions",
            "ARRAY_SIZE_OUT_OF_BOUNDS",
        ),
        (
            json!([{"output_values": {"result": "cow"}}, {"output_values": {"result": "cat"}}]),
            "solutions.0.output_values.result",
            "VALUE_NOT_ALLOWED",
        ),
        (
            json!([{"output_values": {"result": "cat"}}, {"output_values": {}}]),
            "solutions.1.output_values.result",
            "VALUE_REQUIRED",
        ),
        (
            json!([{"output_values": {"result": "cat"}}, {"output_values": {"result": null}}]),
            "solutions.1.output_values.result",
            "VALUE_REQUIRED",
        ),
        (
            json!([{"output_values": {"result": "cat"}}, {"output_values": {"result": "cat", "x": 1}}]),
            "solutions.1.output_values.x",
            "VALUE_NOT_ALLOWED",
        ),
    ];
    for (solutions, field, code) in cases {
        let (status, answer) = w
            .work(&a, "POST", &path, json!({"solutions": solutions}))
            .await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (400, Some("VALIDATION_ERROR"))
        );
        assert_eq!(answer["payload"][field]["code"], code, "{answer}");
    }
    assert_eq!(
        w.work(&a, "POST", &path, json!({"solutions": 5})).await.0,
        400
    );
    assert_eq!(
        w.submit(&a, &page, &["cat", "dog"]).await.0,
        200,
        "a refused submit costs nothing"
    );
}

#[tokio::test]
async fn a_late_page_is_expired_and_its_tasks_go_to_others() {
    let w = World::new().await;
    let over = json!({"defaults": {"default_overlap_for_new_tasks": 1}});
    let pool = open_pool(&w, over).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let page = w.take(&a, &pool).await.unwrap();
    let task = format!("/api/v1/tasks/{}", task_ids(&page)[0]);
    assert_eq!(w.get(&task).await["remaining_overlap"], 0);
    w.pass(600);
    let (status, answer) = w.submit(&a, &page, &["cat", "dog"]).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some("ASSIGNMENT_EXPIRED"))
    );
    assert_eq!(w.get(&task).await["remaining_overlap"], 1);
    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(
        (&stored["status"], &stored["expired"]),
        (&json!("EXPIRED"), &json!("2026-01-01T00:10:00.000"))
    );
    let mut others = Vec::new();
    while let Ok(page) = w.take(&b, &pool).await {
        others.extend(task_ids(&page));
    }
    assert_eq!(others.len(), 6);
}

#[tokio::test]
async fn skipping_and_leaving_give_the_tasks_back_but_not_to_the_same_worker() {
    let w = World::new().await;
    let pool = open_pool(&w, json!({})).await;
    let a = w.worker("a").await;
    let mut seen = Vec::new();
    for (verb, status, time) in [
        ("skip", "SKIPPED", "skipped"),
        ("exit", "EXPIRED", "expired"),
    ] {
        let page = w.take(&a, &pool).await.unwrap();
        let path = format!("/assignments/{}/{verb}", id(&page));
        for _ in 0..2 {
            let answer = w.work(&a, "POST", &path, Value::Null).await;
            assert_eq!(
                answer,
                (200, json!({"status": status})),
                "repeating it changes nothing"
            );
        }
        for task in task_ids(&page) {
            assert_eq!(
                w.get(&format!("/api/v1/tasks/{task}")).await["remaining_overlap"],
                3
            );
            assert!(!seen.contains(&task));
            seen.push(task);
        }
        let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
        assert_eq!(
            (&stored["status"], stored[time].is_string()),
            (&json!(status), true)
        );
        assert_eq!(w.submit(&a, &page, &["cat", "cat"]).await.0, 409);
    }
    assert!(
        task_ids(&w.take(&a, &pool).await.unwrap())
            .iter()
            .all(|task| !seen.contains(task))
    );
}

#[tokio::test]
async fn a_page_belongs_to_its_worker() {
    let w = World::new().await;
    let pool = open_pool(&w, json!({})).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let page = w.take(&a, &pool).await.unwrap();
    assert_eq!(w.submit(&b, &page, &["cat", "cat"]).await.0, 404);
    let skip = format!("/assignments/{}/skip", id(&page));
    assert_eq!(w.work(&b, "POST", &skip, Value::Null).await.0, 404);
    assert_eq!(
        w.work(&b, "POST", "/pools/1000009/assignments", Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn the_project_limits_pages_in_hand() {
    let w = World::new().await;
    let project = w
        .project_with(json!({"max_active_assignments_count": 1}))
        .await;
    let pool = w.pool(&project, json!({})).await;
    w.tasks(many(6, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    assert_eq!(
        w.take(&a, &pool).await,
        Err("TOO_MANY_ACTIVE_ASSIGNMENTS".to_owned())
    );
    w.submit(&a, &page, &["cat", "cat"]).await;
    assert!(w.take(&a, &pool).await.is_ok());
}

#[tokio::test]
async fn access_follows_the_filter_the_adult_flag_and_bans() {
    let w = World::new().await;
    let filter = json!({"and": [{"category": "profile", "key": "languages", "operator": "IN", "value": "EN"}]});
    let pool = open_pool(
        &w,
        json!({"filter": filter, "may_contain_adult_content": true}),
    )
    .await;
    let no = Err("NO_ACCESS".to_owned());
    for (login, profile) in [
        ("ru", json!({"languages": ["RU"], "adult_allowed": true})),
        (
            "minor",
            json!({"languages": ["EN"], "adult_allowed": false}),
        ),
        ("silent", json!({})),
    ] {
        let worker = w.worker_with(login, profile).await;
        assert_eq!(w.take(&worker, &pool).await, no, "{login}");
    }
    let good = w
        .worker_with(
            "good",
            json!({"languages": ["EN", "DE"], "adult_allowed": true}),
        )
        .await;
    assert!(w.take(&good, &pool).await.is_ok());
    let ban = json!({"scope": "POOL", "pool_id": pool, "user_id": good.id, "will_expire": "2026-01-01T01:00:00"});
    let ban = w.ok("PUT", "/api/v1/user-restrictions", ban).await;
    assert_eq!(w.take(&good, &pool).await, no, "a ban works at once");
    w.pass(3_600);
    assert!(w.take(&good, &pool).await.is_ok(), "and ends when it said");
    assert_eq!(
        w.call(
            "DELETE",
            &format!("/api/v1/user-restrictions/{}", id(&ban)),
            Value::Null
        )
        .await
        .0,
        204
    );
    let everywhere = json!({"scope": "ALL_PROJECTS", "user_id": good.id});
    w.ok("PUT", "/api/v1/user-restrictions", everywhere).await;
    assert_eq!(w.take(&good, &pool).await, no);
    assert_eq!(
        w.work(&good, "GET", "/me", Value::Null).await.1["banned"],
        true
    );
    let system = json!({"scope": "SYSTEM", "user_id": good.id});
    assert_eq!(
        w.fails("PUT", "/api/v1/user-restrictions", system).await.0,
        409
    );
}

#[tokio::test]
async fn a_person_reviews_when_the_pool_says_so() {
    let w = World::new().await;
    let over = json!({"auto_accept_solutions": false, "auto_accept_period_day": 2});
    let pool = open_pool(&w, over).await;
    let a = w.worker("a").await;
    let mut pages = Vec::new();
    for _ in 0..3 {
        let page = w.take(&a, &pool).await.unwrap();
        assert_eq!(
            w.submit(&a, &page, &["cat", "cat"]).await.1["status"],
            "SUBMITTED"
        );
        pages.push(format!("/api/v1/assignments/{}", id(&page)));
    }
    let set = |status: &str| json!({"status": status, "public_comment": "because"});
    let accepted = w.ok("PATCH", &pages[0], set("ACCEPTED")).await;
    assert_eq!(
        (&accepted["status"], &accepted["public_comment"]),
        (&json!("ACCEPTED"), &json!("because"))
    );
    assert_eq!(
        w.fails("PATCH", &pages[0], set("REJECTED")).await,
        (409, "INAPPROPRIATE_STATUS".to_owned())
    );
    assert_eq!(
        w.ok("PATCH", &pages[1], set("REJECTED")).await["status"],
        "REJECTED"
    );
    assert_eq!(
        w.ok("PATCH", &pages[1], set("ACCEPTED")).await["status"],
        "ACCEPTED"
    );
    assert_eq!(w.fails("PATCH", &pages[2], set("EXPIRED")).await.0, 400);
    w.pass(2 * 86_400 - 1);
    assert_eq!(w.get(&pages[2]).await["status"], "SUBMITTED");
    w.pass(1);
    let waited = w.get(&pages[2]).await;
    assert_eq!(
        (&waited["status"], &waited["accepted"]),
        (&json!("ACCEPTED"), &json!("2026-01-03T00:00:00.000"))
    );
    let listed = w
        .get(&format!(
            "/api/v1/assignments?pool_id={pool}&status=ACCEPTED,REJECTED&sort=-submitted"
        ))
        .await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_at_once_get_every_answer_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = quorate_crowd::Config {
        data: Some(folder.path().to_owned()),
        ..crate::world::config()
    };
    let w = std::sync::Arc::new(World::with(config).await);
    let pool = w.pool(&w.project().await, json!({})).await;
    let ids = w.tasks(many(40, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let mut crew = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (w, pool) = (std::sync::Arc::clone(&w), pool.clone());
        crew.spawn(async move {
            let worker = w.worker(&format!("w{n}")).await;
            while let Ok(page) = w.take(&worker, &pool).await {
                let answers = vec!["cat"; task_ids(&page).len()];
                assert_eq!(w.submit(&worker, &page, &answers).await.0, 200);
            }
        });
    }
    crew.join_all().await;
    let path = format!("/api/v1/assignments?pool_id={pool}&limit=1000");
    let mut answered: Vec<String> = Vec::new();
    for assignment in w.get(&path).await["items"].as_array().unwrap() {
        assert_eq!(assignment["status"], "ACCEPTED");
        answered.extend(task_ids(assignment));
    }
    answered.sort_unstable();
    let expected: Vec<String> = ids.iter().flat_map(|id| vec![id.clone(); 3]).collect();
    assert_eq!(answered, expected);
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
}
