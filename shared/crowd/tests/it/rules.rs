//! Quality rules: each collector with what it does to a worker.

use serde_json::{Value, json};

use crate::world::{Worker, World, ban, golden, id, many, merge, real, rule, when};

const NO: &str = "NO_ACCESS";

/// An open pool of 20 real and 20 control tasks with the given settings.
async fn pool(w: &World, over: Value) -> String {
    let project = w.project().await;
    pool_in(w, &project, over).await
}

async fn pool_in(w: &World, project: &str, over: Value) -> String {
    let pool = w.pool(project, over).await;
    w.tasks(many(20, |n| real(&pool, n))).await;
    w.tasks(many(20, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    pool
}

/// One control task a page besides the real ones.
fn with_golden(mut over: Value) -> Value {
    merge(
        &mut over,
        json!({"mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 1}}),
    );
    over
}

async fn banned(w: &World, worker: &Worker, pool: &str) -> bool {
    match w.take(worker, pool).await {
        Ok(page) => {
            let exit = format!("/assignments/{}/exit", id(&page));
            w.work(worker, "POST", &exit, Value::Null).await;
            false
        }
        Err(reason) => reason == NO,
    }
}

#[tokio::test]
async fn golden_set_bans_whoever_fails_control_tasks() {
    let w = World::new().await;
    let conditions = json!([
        when("golden_set_correct_answers_rate", "LT", 60),
        when("golden_set_answers_count", "GTE", 3)
    ]);
    let over = with_golden(rule("GOLDEN_SET", json!({}), conditions, ban("PROJECT")));
    let project = w.project().await;
    let here = pool_in(&w, &project, over).await;
    let there = pool_in(&w, &project, json!({})).await;
    let elsewhere = pool(&w, json!({})).await;
    let (good, bad) = (w.worker("good").await, w.worker("bad").await);
    for page in 1..=3 {
        assert!(
            !banned(&w, &bad, &there).await,
            "two answers are too few to judge, page {page}"
        );
        w.do_page(&bad, &here, 60, "dog").await;
        w.do_page(&good, &here, 60, "cat").await;
    }
    assert!(banned(&w, &bad, &here).await);
    assert!(
        banned(&w, &bad, &there).await,
        "the whole project is closed to the worker"
    );
    assert!(!banned(&w, &bad, &elsewhere).await);
    assert!(!banned(&w, &good, &here).await);
    assert_eq!(w.bans(&bad).await, [("PROJECT".to_owned(), Value::Null)]);
}

#[tokio::test]
async fn golden_set_looks_at_the_last_answers_only_when_it_has_a_history() {
    let w = World::new().await;
    let conditions = json!([
        when("correct_answers_rate", "LT", 50),
        when("total_answers_count", "GTE", 2)
    ]);
    let windowed = with_golden(rule(
        "GOLDEN_SET",
        json!({"history_size": 2}),
        conditions.clone(),
        ban("POOL"),
    ));
    let whole = with_golden(rule("GOLDEN_SET", json!({}), conditions, ban("POOL")));
    for (over, expected) in [(windowed, true), (whole, false)] {
        let pool = pool(&w, over).await;
        let worker = w.worker(&format!("w{expected}")).await;
        for answer in ["cat", "cat", "cat", "dog", "dog"] {
            w.do_page(&worker, &pool, 60, answer).await;
        }
        // The last two are wrong; over all five, three are right.
        assert_eq!(banned(&w, &worker, &pool).await, expected);
    }
}

#[tokio::test]
async fn golden_sets_with_a_history_share_it_within_the_project() {
    let w = World::new().await;
    let conditions = json!([
        when("total_answers_count", "GTE", 3),
        when("correct_answers_rate", "EQ", 0)
    ]);
    let shared = with_golden(rule(
        "GOLDEN_SET",
        json!({"history_size": 10}),
        conditions.clone(),
        ban("POOL"),
    ));
    let project = w.project().await;
    let (first, second) = (
        pool_in(&w, &project, shared.clone()).await,
        pool_in(&w, &project, shared).await,
    );
    let alone = pool_in(
        &w,
        &project,
        with_golden(rule("GOLDEN_SET", json!({}), conditions, ban("POOL"))),
    )
    .await;
    let a = w.worker("a").await;
    for _ in 0..2 {
        w.do_page(&a, &first, 60, "dog").await;
        w.do_page(&a, &alone, 60, "dog").await;
    }
    assert!(!banned(&w, &a, &second).await);
    w.do_page(&a, &second, 60, "dog").await;
    assert!(
        banned(&w, &a, &second).await,
        "two there and one here are three"
    );
    assert!(
        !banned(&w, &a, &alone).await,
        "a collector without a history counts its own pool"
    );
}

#[tokio::test]
async fn a_ban_ends_when_its_time_is_over_and_clears_the_history() {
    let w = World::new().await;
    let action = json!({"type": "RESTRICTION_V2", "parameters": {"scope": "POOL", "duration": 2, "duration_unit": "HOURS"}});
    let conditions = json!([
        when("incorrect_answers_rate", "GTE", 50),
        when("total_answers_count", "GTE", 2)
    ]);
    let pool = pool(
        &w,
        with_golden(rule(
            "GOLDEN_SET",
            json!({"history_size": 10}),
            conditions,
            action,
        )),
    )
    .await;
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 60, "dog").await;
    w.do_page(&a, &pool, 60, "dog").await;
    assert_eq!(
        w.bans(&a).await,
        [("POOL".to_owned(), json!("2026-01-01T02:02:00.000"))]
    );
    assert!(banned(&w, &a, &pool).await);
    w.pass(7_200);
    w.do_page(&a, &pool, 60, "cat").await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert!(
        !banned(&w, &a, &pool).await,
        "the wrong answers from before the ban are forgotten"
    );
}

#[tokio::test]
async fn too_fast_is_a_ban_at_once_by_platform_time() {
    let w = World::new().await;
    let parameters = json!({"fast_submit_threshold_seconds": 7, "history_size": 5});
    let conditions = json!([when("fast_submitted_count", "GTE", 2)]);
    let pool = pool(
        &w,
        rule(
            "ASSIGNMENT_SUBMIT_TIME",
            parameters,
            conditions,
            ban("POOL"),
        ),
    )
    .await;
    let (fast, slow) = (w.worker("fast").await, w.worker("slow").await);
    for _ in 0..2 {
        assert!(!banned(&w, &fast, &pool).await);
        w.do_page(&fast, &pool, 6, "cat").await;
        w.do_page(&slow, &pool, 7, "cat").await;
    }
    assert!(banned(&w, &fast, &pool).await);
    assert!(!banned(&w, &slow, &pool).await);
}

#[tokio::test]
async fn majority_vote_judges_when_a_task_has_all_its_answers() {
    let w = World::new().await;
    let conditions = json!([
        when("total_answers_count", "GTE", 2),
        when("correct_answers_rate", "LT", 75)
    ]);
    let over = rule(
        "MAJORITY_VOTE",
        json!({"answer_threshold": 2, "history_size": 10}),
        conditions,
        ban("POOL"),
    );
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.tasks(many(2, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    let (a, b, c) = (
        w.worker("a").await,
        w.worker("b").await,
        w.worker("c").await,
    );
    w.do_page(&b, &pool, 60, "dog").await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert!(
        w.bans(&b).await.is_empty(),
        "two of three answers are not all"
    );
    w.do_page(&c, &pool, 60, "cat").await;
    assert_eq!(
        w.bans(&b).await,
        [("POOL".to_owned(), Value::Null)],
        "judged by answers that came later"
    );
    assert!(w.bans(&a).await.is_empty() && w.bans(&c).await.is_empty());
}

#[tokio::test]
async fn income_limits_what_a_worker_earns_within_a_day() {
    let w = World::new().await;
    let action = json!({"type": "RESTRICTION_V2", "parameters": {"scope": "POOL", "duration": 1, "duration_unit": "DAYS"}});
    let conditions = json!([when("income_sum_for_last_24_hours", "GTE", 0.3)]);
    let pool = pool(&w, rule("INCOME", json!({}), conditions, action)).await;
    let a = w.worker("a").await;
    for _ in 0..3 {
        assert!(!banned(&w, &a, &pool).await);
        w.do_page(&a, &pool, 60, "cat").await;
    }
    assert!(banned(&w, &a, &pool).await);
    w.pass(86_400);
    assert!(!banned(&w, &a, &pool).await);
}

#[tokio::test]
async fn skipping_in_a_row_is_a_ban_and_a_submit_starts_the_count_again() {
    let w = World::new().await;
    let conditions = json!([when("skipped_in_row_count", "GTE", 2)]);
    let action =
        json!({"type": "RESTRICTION", "parameters": {"scope": "PROJECT", "duration_days": 3}});
    let pool = pool(
        &w,
        rule("SKIPPED_IN_ROW_ASSIGNMENTS", json!({}), conditions, action),
    )
    .await;
    let a = w.worker("a").await;
    let skip = async || {
        let page = w.take(&a, &pool).await.unwrap();
        w.work(
            &a,
            "POST",
            &format!("/assignments/{}/skip", id(&page)),
            Value::Null,
        )
        .await;
    };
    skip().await;
    w.do_page(&a, &pool, 60, "cat").await;
    skip().await;
    assert!(w.bans(&a).await.is_empty());
    skip().await;
    assert_eq!(
        w.bans(&a).await,
        [("PROJECT".to_owned(), json!("2026-01-04T00:01:00.000"))]
    );
}

#[tokio::test]
async fn answer_count_sets_a_fixed_skill() {
    let w = World::new().await;
    let skill = w.skill("done").await;
    let action = json!({"type": "SET_SKILL", "parameters": {"skill_id": skill, "skill_value": 7}});
    let conditions = json!([when("assignments_accepted_count", "EQ", 2)]);
    let pool = pool(&w, rule("ANSWER_COUNT", json!({}), conditions, action)).await;
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert_eq!(w.skill_value(&a, &skill).await, None);
    w.do_page(&a, &pool, 60, "cat").await;
    assert_eq!(w.skill_value(&a, &skill).await, Some(7.0));
}

#[tokio::test]
async fn a_skill_lapses_after_its_time_to_live() {
    let w = World::new().await;
    let skill = id(&w
        .ok(
            "POST",
            "/api/v1/skills",
            json!({"name": "s", "skill_ttl_hours": 2}),
        )
        .await);
    let a = w.worker("a").await;
    let form = json!({"skill_id": skill, "user_id": a.id, "value": 50});
    w.ok("PUT", "/api/v1/user-skills", form.clone()).await;
    w.pass(7_000);
    w.ok("PUT", "/api/v1/user-skills", form).await;
    w.pass(7_199);
    assert_eq!(
        w.skill_value(&a, &skill).await,
        Some(50.0),
        "setting it starts its time again"
    );
    w.pass(1);
    assert_eq!(w.skill_value(&a, &skill).await, None);
}

#[tokio::test]
async fn control_answers_set_the_exact_rate_as_a_skill() {
    let w = World::new().await;
    let skill = w.skill("quality").await;
    let action = json!({"type": "SET_SKILL_FROM_OUTPUT_FIELD", "parameters": {"skill_id": skill, "from_field": "golden_set_correct_answers_rate"}});
    let conditions = json!([when("golden_set_answers_count", "GTE", 3)]);
    let pool = pool(
        &w,
        with_golden(rule("GOLDEN_SET", json!({}), conditions, action)),
    )
    .await;
    let a = w.worker("a").await;
    for answer in ["cat", "dog", "cat"] {
        assert_eq!(w.skill_value(&a, &skill).await, None);
        w.do_page(&a, &pool, 60, answer).await;
    }
    assert!((w.skill_value(&a, &skill).await.unwrap() - 200.0 / 3.0).abs() < 1e-9);
}

#[tokio::test]
async fn everything_of_a_bad_worker_is_rejected_and_of_a_good_one_accepted() {
    for (answer, kind, expected) in [
        ("dog", "REJECT_ALL_ASSIGNMENTS", "REJECTED"),
        ("cat", "APPROVE_ALL_ASSIGNMENTS", "ACCEPTED"),
    ] {
        let w = World::new().await;
        let action = json!({"type": kind, "parameters": {"public_comment": "see the rules"}});
        let conditions = json!([when("golden_set_answers_count", "GTE", 2)]);
        let mut over = with_golden(rule("GOLDEN_SET", json!({}), conditions, action));
        over["auto_accept_solutions"] = json!(false);
        let pool = pool(&w, over).await;
        let a = w.worker("a").await;
        w.do_page(&a, &pool, 60, answer).await;
        w.do_page(&a, &pool, 60, answer).await;
        let list = w.get(&format!("/api/v1/assignments?pool_id={pool}")).await;
        for assignment in list["items"].as_array().unwrap() {
            assert_eq!(assignment["status"], expected);
        }
    }
}

#[tokio::test]
async fn a_rejected_page_is_asked_again_when_a_rule_says_so() {
    let w = World::new().await;
    let action = json!({"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": true}});
    let conditions = json!([when("assessment_event", "EQ", "REJECT")]);
    let mut over = rule("ASSIGNMENTS_ASSESSMENT", json!({}), conditions, action);
    merge(
        &mut over,
        json!({"auto_accept_solutions": false, "defaults": {"default_overlap_for_new_tasks": 1}}),
    );
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let page = w.do_page(&w.worker("a").await, &pool, 60, "dog").await;
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED")),
        "whatever the review will say"
    );
    let path = format!("/api/v1/assignments/{}", id(&page));
    w.ok(
        "PATCH",
        &path,
        json!({"status": "REJECTED", "public_comment": "no"}),
    )
    .await;
    assert_eq!(w.pool_state(&pool).await.0, "OPEN");
    w.do_page(&w.worker("b").await, &pool, 60, "cat").await;
    assert_eq!(w.pool_state(&pool).await.0, "CLOSED");
}

#[tokio::test]
async fn acceptance_rate_bans_whose_work_is_rejected() {
    let w = World::new().await;
    let conditions = json!([
        when("total_assignments_count", "GTE", 2),
        when("rejected_assignments_rate", "GT", 40)
    ]);
    let mut over = rule("ACCEPTANCE_RATE", json!({}), conditions, ban("POOL"));
    over["auto_accept_solutions"] = json!(false);
    let pool = pool(&w, over).await;
    let a = w.worker("a").await;
    for (status, bans) in [("REJECTED", 0), ("ACCEPTED", 1)] {
        let page = w.do_page(&a, &pool, 60, "cat").await;
        let path = format!("/api/v1/assignments/{}", id(&page));
        w.ok(
            "PATCH",
            &path,
            json!({"status": status, "public_comment": "x"}),
        )
        .await;
        assert_eq!(w.bans(&a).await.len(), bans);
    }
}

#[tokio::test]
async fn rules_of_a_project_count_in_all_its_pools() {
    let w = World::new().await;
    let quality = rule(
        "ANSWER_COUNT",
        json!({}),
        json!([when("assignments_accepted_count", "GTE", 2)]),
        ban("PROJECT"),
    );
    let project = w.project_with(quality).await;
    let (first, second) = (
        pool_in(&w, &project, json!({})).await,
        pool_in(&w, &project, json!({})).await,
    );
    let a = w.worker("a").await;
    w.do_page(&a, &first, 60, "cat").await;
    assert!(!banned(&w, &a, &second).await);
    w.do_page(&a, &second, 60, "cat").await;
    assert!(banned(&w, &a, &first).await);
}

#[tokio::test]
async fn captchas_are_always_passed() {
    let w = World::new().await;
    let conditions = json!([when("fail_rate", "GTE", 0)]);
    let mut over = rule(
        "CAPTCHA",
        json!({"history_size": 5}),
        conditions,
        ban("POOL"),
    );
    over["quality_control"]["captcha_frequency"] = json!("MEDIUM");
    let pool = pool(&w, over).await;
    let a = w.worker("a").await;
    w.do_page(&a, &pool, 60, "cat").await;
    assert!(!banned(&w, &a, &pool).await);
}
