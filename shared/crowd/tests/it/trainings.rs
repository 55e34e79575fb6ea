//! Trainings and exams.

use serde_json::{Value, json};

use crate::world::{World, golden, id, lesson, many, real, rule, when};

/// A training of 4 lessons, 2 a page, and a main pool that asks for 50.
async fn school(w: &World, over: Value) -> (String, String, String) {
    let project = w.project().await;
    let training = w.training(&project, over).await;
    let required = json!({"training_pool_id": training, "training_passing_skill_value": 50});
    let pool = w
        .pool(
            &project,
            json!({"quality_control": {"training_requirement": required}}),
        )
        .await;
    w.tasks(many(4, |n| lesson(&training, n))).await;
    w.tasks(many(20, |n| real(&pool, n))).await;
    w.open(&training).await;
    w.open(&pool).await;
    let skills = w
        .get("/api/v1/skills?name=Cat%20or%20dog%3F%20-%20training")
        .await;
    assert_eq!(skills["items"][0]["training"], true);
    (training, pool, id(&skills["items"][0]))
}

#[tokio::test]
async fn a_wrong_answer_shows_the_hint_and_only_the_first_attempt_counts() {
    let w = World::new().await;
    let (training, pool, skill) = school(&w, json!({})).await;
    let a = w.worker("a").await;
    assert_eq!(w.take(&a, &pool).await, Err("NO_ACCESS".to_owned()));
    let page = w.take(&a, &training).await.unwrap();
    assert_eq!(page["training"], true);
    let hint = |index: usize| json!({"task_index": index, "message": "It is a cat"});
    let (_, answer) = w.submit(&a, &page, &["dog", "cat"]).await;
    assert_eq!(answer, json!({"status": "ACTIVE", "hints": [hint(0)]}));
    let (_, answer) = w.submit(&a, &page, &["dog", "dog"]).await;
    assert_eq!(
        answer,
        json!({"status": "ACTIVE", "hints": [hint(0), hint(1)]})
    );
    let (_, answer) = w.submit(&a, &page, &["cat", "cat"]).await;
    assert_eq!(answer, json!({"status": "ACCEPTED", "hints": []}));
    assert_eq!(w.skill_value(&a, &skill).await, None, "one more page to go");

    let stored = w.get(&format!("/api/v1/assignments/{}", id(&page))).await;
    assert_eq!(
        stored["first_declined_solution_attempt"],
        json!([{"output_values": {"result": "dog"}}, {"output_values": {"result": "cat"}}])
    );
    assert_eq!(
        stored["solutions"][0],
        json!({"output_values": {"result": "cat"}})
    );

    w.do_page(&a, &training, 60, "cat").await;
    assert_eq!(
        w.skill_value(&a, &skill).await,
        Some(75.0),
        "3 of 4 were right at first, and no page is left"
    );
    assert!(w.take(&a, &pool).await.is_ok());
}

#[tokio::test]
async fn a_training_page_that_expired_can_be_taken_again() {
    let w = World::new().await;
    let (training, pool, skill) = school(&w, json!({})).await;
    let a = w.worker("a").await;
    for _ in 0..3 {
        let page = w.take(&a, &training).await.unwrap();
        let exit = format!("/assignments/{}/exit", id(&page));
        w.work(&a, "POST", &exit, Value::Null).await;
    }
    for _ in 0..2 {
        w.do_page(&a, &training, 60, "cat").await;
    }
    assert!(w.skill_value(&a, &skill).await.is_some());
    assert!(w.take(&a, &pool).await.is_ok());
}

#[tokio::test]
async fn a_training_passes_after_the_asked_pages() {
    let w = World::new().await;
    let (training, pool, skill) = school(&w, json!({"task_suites_required_to_pass": 1})).await;
    let a = w.worker("a").await;
    w.do_page(&a, &training, 60, "cat").await;
    assert_eq!(w.skill_value(&a, &skill).await, Some(100.0));
    assert!(w.take(&a, &pool).await.is_ok());
    assert!(
        (w.balance().await - 1_000_000.0).abs() < 1e-9,
        "learning is not paid"
    );
}

#[tokio::test]
async fn a_bad_pupil_stays_out() {
    let w = World::new().await;
    let (training, pool, skill) = school(&w, json!({})).await;
    let a = w.worker("a").await;
    for _ in 0..2 {
        let page = w.take(&a, &training).await.unwrap();
        w.submit(&a, &page, &["dog", "dog"]).await;
        w.submit(&a, &page, &["cat", "cat"]).await;
    }
    assert_eq!(w.skill_value(&a, &skill).await, Some(0.0));
    assert_eq!(w.take(&a, &pool).await, Err("NO_ACCESS".to_owned()));
    assert_eq!(w.take(&a, &training).await, Err("NO_TASKS".to_owned()));
}

#[tokio::test]
async fn the_skill_lapses_without_work_and_the_training_can_be_done_again() {
    let w = World::new().await;
    let (training, pool, skill) = school(&w, json!({})).await;
    let a = w.worker("a").await;
    for _ in 0..2 {
        w.do_page(&a, &training, 60, "cat").await;
    }
    w.pass(80_000);
    w.do_page(&a, &pool, 60, "cat").await;
    w.pass(80_000);
    assert_eq!(
        w.skill_value(&a, &skill).await,
        Some(100.0),
        "work keeps the skill"
    );
    w.pass(10_000);
    assert_eq!(w.skill_value(&a, &skill).await, None);
    assert_eq!(w.take(&a, &pool).await, Err("NO_ACCESS".to_owned()));
    w.do_page(&a, &training, 60, "cat").await;
    assert_eq!(
        w.skill_value(&a, &skill).await,
        None,
        "earlier pages no longer count"
    );
    w.do_page(&a, &training, 60, "cat").await;
    assert_eq!(w.skill_value(&a, &skill).await, Some(100.0));
}

#[tokio::test]
async fn an_exam_is_a_free_pool_of_control_tasks_that_sets_a_skill() {
    let w = World::new().await;
    let project = w.project().await;
    let skill = w.skill("exam").await;
    let action = json!({"type": "SET_SKILL_FROM_OUTPUT_FIELD", "parameters": {"skill_id": skill, "from_field": "correct_answers_rate"}});
    let mut over = rule(
        "GOLDEN_SET",
        json!({"history_size": 4}),
        json!([when("total_answers_count", "GTE", 3)]),
        action,
    );
    over["reward_per_assignment"] = json!(0);
    over["mixer_config"] = json!({"real_tasks_count": 0, "golden_tasks_count": 4});
    let exam = w.pool(&project, over).await;
    let filter = json!({"and": [{"or": [{"category": "skill", "key": skill, "operator": "GTE", "value": 80}]}]});
    let main = w.pool(&project, json!({"filter": filter})).await;
    w.tasks(many(4, |n| golden(&exam, n))).await;
    w.tasks(many(4, |n| real(&main, n))).await;
    w.open(&exam).await;
    w.open(&main).await;
    let (good, bad) = (w.worker("good").await, w.worker("bad").await);
    assert_eq!(w.take(&good, &main).await, Err("NO_ACCESS".to_owned()));
    w.do_page(&good, &exam, 60, "cat").await;
    assert_eq!(w.skill_value(&good, &skill).await, Some(100.0));
    assert!(w.take(&good, &main).await.is_ok());
    let page = w.take(&bad, &exam).await.unwrap();
    w.submit(&bad, &page, &["cat", "dog", "dog", "cat"]).await;
    assert_eq!(w.skill_value(&bad, &skill).await, Some(50.0));
    assert_eq!(w.take(&bad, &main).await, Err("NO_ACCESS".to_owned()));
}
