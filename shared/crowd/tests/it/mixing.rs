//! Which tasks make a page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, golden, many, merge, real, task_ids};

async fn pool(w: &World, mixer: Value) -> String {
    let mut over = json!({"mixer_config": {"real_tasks_count": 4, "golden_tasks_count": 1}});
    merge(&mut over["mixer_config"], mixer);
    w.pool(&w.project().await, over).await
}

#[tokio::test]
async fn a_page_has_its_real_and_control_tasks_and_tells_nothing_about_them() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    let reals = w.tasks(many(8, |n| real(&pool, n))).await;
    let goldens = w.tasks(many(5, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    let ids = task_ids(&page);
    assert_eq!(ids.iter().filter(|id| reals.contains(id)).count(), 4);
    assert_eq!(ids.iter().filter(|id| goldens.contains(id)).count(), 1);
    for task in page["tasks"].as_array().unwrap() {
        assert_eq!(
            task.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["id", "input_values"]
        );
    }
}

#[tokio::test]
async fn hidden_fields_stay_hidden_from_workers() {
    let w = World::new().await;
    let spec = json!({"task_spec": {"input_spec": {"truth": {"type": "string", "hidden": true}}}});
    let project = w.project_with(spec).await;
    let pool = w.pool(&project, json!({})).await;
    let mut task = real(&pool, 1);
    task["input_values"]["truth"] = json!("cat");
    w.tasks(vec![task]).await;
    w.open(&pool).await;
    let page = w.take(&w.worker("a").await, &pool).await.unwrap();
    assert_eq!(
        page["tasks"][0]["input_values"],
        json!({"image": "https://e.com/1.png"})
    );
}

#[tokio::test]
async fn nobody_gets_a_task_twice_and_running_out_of_control_tasks_ends_the_work() {
    let w = World::new().await;
    let pool = pool(&w, json!({})).await;
    w.tasks(many(100, |n| real(&pool, n))).await;
    w.tasks(many(3, |n| golden(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for task in task_ids(&w.do_page(&a, &pool, 60, "cat").await) {
            assert!(seen.insert(task));
        }
    }
    assert_eq!(w.take(&a, &pool).await, Err("NO_TASKS".to_owned()));
    let (_, offers) = w.work(&a, "GET", "/pools", Value::Null).await;
    assert_eq!(
        offers["items"],
        json!([]),
        "a pool without a page is not offered"
    );
}

#[tokio::test]
async fn the_last_page_of_a_worker_is_short_only_if_forced() {
    let w = World::new().await;
    for (force, expected) in [(true, Ok(3)), (false, Err("NO_TASKS".to_owned()))] {
        let pool = pool(
            &w,
            json!({"golden_tasks_count": 0, "force_last_assignment": force}),
        )
        .await;
        w.tasks(many(3, |n| real(&pool, n))).await;
        w.open(&pool).await;
        let worker = w.worker(&format!("w{force}")).await;
        let page = w
            .take(&worker, &pool)
            .await
            .map(|page| task_ids(&page).len());
        assert_eq!(page, expected);
    }
}

#[tokio::test]
async fn a_short_page_waits_for_the_delay_after_the_last_upload() {
    let w = World::new().await;
    let mixer = json!({"golden_tasks_count": 0, "force_last_assignment_delay_seconds": 30});
    let pool = pool(&w, mixer).await;
    w.tasks(many(3, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    assert_eq!(w.take(&a, &pool).await, Err("NO_TASKS".to_owned()));
    w.pass(30);
    assert!(w.take(&a, &pool).await.is_ok());
}

#[tokio::test]
async fn tasks_with_the_fewest_answers_go_first() {
    let w = World::new().await;
    let pool = pool(&w, json!({"golden_tasks_count": 0})).await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = task_ids(&w.take(&w.worker("a").await, &pool).await.unwrap());
    let b = task_ids(&w.take(&w.worker("b").await, &pool).await.unwrap());
    assert!(
        a.iter().all(|task| !b.contains(task)),
        "the second worker fills the other half"
    );
}

#[tokio::test]
async fn creation_order_gives_the_oldest_tasks_in_upload_order() {
    let w = World::new().await;
    let mixer = json!({"golden_tasks_count": 0, "mix_tasks_in_creation_order": true, "shuffle_tasks_in_task_suite": false});
    let pool = pool(&w, mixer).await;
    let ids = w.tasks(many(9, |n| real(&pool, n))).await;
    w.open(&pool).await;
    for name in ["a", "b", "c"] {
        assert_eq!(
            task_ids(&w.take(&w.worker(name).await, &pool).await.unwrap()),
            ids[..4]
        );
    }
    let d = w.worker("d").await;
    assert_eq!(
        task_ids(&w.take(&d, &pool).await.unwrap()),
        ids[4..8],
        "the first four have all their answers out"
    );
}

#[tokio::test]
async fn a_task_may_be_reserved_for_some_and_kept_from_others() {
    let w = World::new().await;
    let pool = pool(&w, json!({"golden_tasks_count": 0})).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    let mut reserved = real(&pool, 0);
    reserved["reserved_for"] = json!([a.id]);
    let mut kept = real(&pool, 1);
    kept["unavailable_for"] = json!([a.id]);
    let ids = w.tasks(vec![reserved, kept, real(&pool, 2)]).await;
    w.open(&pool).await;
    let set = |page: Value| task_ids(&page).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(
        set(w.take(&a, &pool).await.unwrap()),
        BTreeSet::from([ids[0].clone(), ids[2].clone()])
    );
    assert_eq!(
        set(w.take(&b, &pool).await.unwrap()),
        BTreeSet::from([ids[1].clone(), ids[2].clone()])
    );
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_pages() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let w = World::new().await;
        let pool = pool(&w, json!({})).await;
        w.tasks(many(40, |n| real(&pool, n))).await;
        w.tasks(many(10, |n| golden(&pool, n))).await;
        w.open(&pool).await;
        let mut pages = Vec::new();
        for name in ["a", "b"] {
            let worker = w.worker(name).await;
            for _ in 0..3 {
                pages.push(w.take(&worker, &pool).await.unwrap().to_string());
            }
        }
        runs.push(pages);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn in_creation_order_what_comes_back_is_given_out_before_what_is_newer() {
    let w = World::new().await;
    let mixer = json!({"real_tasks_count": 2, "golden_tasks_count": 0, "mix_tasks_in_creation_order": true, "shuffle_tasks_in_task_suite": false});
    let over = json!({"mixer_config": mixer, "defaults": {"default_overlap_for_new_tasks": 1}});
    let pool = w.pool(&w.project().await, over).await;
    let ids = w.tasks(many(12, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, b, c) = (
        w.worker("a").await,
        w.worker("b").await,
        w.worker("c").await,
    );
    let first = w.take(&a, &pool).await.unwrap();
    assert_eq!(task_ids(&w.take(&b, &pool).await.unwrap()), ids[2..4]);
    let skip = format!("/assignments/{}/skip", first["id"].as_str().unwrap());
    w.work(&a, "POST", &skip, Value::Null).await;
    // Somebody asks for more answers to an old task.
    let path = format!("/api/v1/tasks/{}", ids[3]);
    w.ok("PATCH", &path, json!({"overlap": 2})).await;
    assert_eq!(
        task_ids(&w.take(&b, &pool).await.unwrap()),
        ids[..2],
        "b is past them"
    );
    assert_eq!(
        task_ids(&w.take(&b, &pool).await.unwrap()),
        ids[4..6],
        "b has had the old one"
    );
    assert_eq!(
        task_ids(&w.take(&c, &pool).await.unwrap()),
        [ids[3].clone(), ids[6].clone()]
    );
    assert_eq!(
        task_ids(&w.take(&a, &pool).await.unwrap()),
        ids[7..9],
        "a skipped the first two"
    );
}
