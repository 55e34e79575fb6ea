//! Money: held while a page is in hand, paid when accepted, never more than there is.

use quorate_crowd::Config;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::world::{World, config, id, many, real};

async fn world(balance: i64, fee: Decimal) -> World {
    World::with(Config {
        balance: Decimal::from(balance),
        fee,
        ..config()
    })
    .await
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn a_requester_pays_reward_and_fee_for_accepted_pages_only() {
    let w = world(100, Decimal::new(2, 1)).await;
    let pool = w
        .pool(&w.project().await, json!({"auto_accept_solutions": false}))
        .await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let page = w.take(&a, &pool).await.unwrap();
    assert!(close(w.balance().await, 100.0));
    w.submit(&a, &page, &["cat", "cat"]).await;
    assert!(close(w.balance().await, 99.88), "reserved until the review");
    let path = format!("/api/v1/assignments/{}", id(&page));
    w.ok(
        "PATCH",
        &path,
        json!({"status": "REJECTED", "public_comment": "no"}),
    )
    .await;
    assert!(close(w.balance().await, 100.0), "rejected work is not paid");
    w.ok(
        "PATCH",
        &path,
        json!({"status": "ACCEPTED", "public_comment": "sorry"}),
    )
    .await;
    assert!(close(w.balance().await, 99.88));
    let page = w.take(&a, &pool).await.unwrap();
    w.work(
        &a,
        "POST",
        &format!("/assignments/{}/skip", id(&page)),
        Value::Null,
    )
    .await;
    assert!(close(w.balance().await, 99.88));
}

#[tokio::test]
async fn a_pool_opens_only_when_the_money_is_there() {
    let w = world(1, Decimal::ZERO).await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    let path = format!("/api/v1/pools/{pool}/open");
    // 8 tasks × 3 answers on pages of 2 are 12 pages of 0.1 dollars.
    assert_eq!(
        w.fails("POST", &path, Value::Null).await,
        (409, "NOT_ENOUGH_BALANCE".to_owned())
    );
}

#[tokio::test]
async fn a_pool_closes_when_the_money_runs_out_and_nobody_works_for_nothing() {
    let w = world(1, Decimal::ZERO).await;
    let project = w.project().await;
    let mut pools = Vec::new();
    // Each pool alone can be paid, the two together cannot.
    for _ in 0..2 {
        let pool = w
            .pool(
                &project,
                json!({"defaults": {"default_overlap_for_new_tasks": 1}}),
            )
            .await;
        w.tasks(many(16, |n| real(&pool, n))).await;
        w.open(&pool).await;
        pools.push(pool);
    }
    let a = w.worker("a").await;
    let mut pages = Vec::new();
    for pool in &pools {
        while let Ok(page) = w.take(&a, pool).await {
            pages.push(page);
        }
    }
    assert_eq!(pages.len(), 10, "ten pages of 0.1 are one dollar");
    assert_eq!(
        w.pool_state(&pools[1]).await,
        ("CLOSED".to_owned(), json!("NOT_ENOUGH_BALANCE"))
    );
    for page in &pages {
        assert_eq!(w.submit(&a, page, &["cat", "cat"]).await.0, 200);
    }
    assert!(close(w.balance().await, 0.0));
    assert!(close(
        w.work(&a, "GET", "/me", Value::Null).await.1["earned"]
            .as_f64()
            .unwrap(),
        1.0
    ));
}

#[tokio::test]
async fn the_price_of_a_page_is_fixed_when_it_is_taken() {
    let w = world(100, Decimal::ZERO).await;
    let skill = w.skill("quality").await;
    let pricing = json!({"type": "SKILL", "skill_id": skill,
        "intervals": [{"from": 80, "to": 100, "reward_per_assignment": 0.5}]});
    let pool = w
        .pool(
            &w.project().await,
            json!({"dynamic_pricing_config": pricing}),
        )
        .await;
    w.tasks(many(8, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let a = w.worker("a").await;
    let first = w.take(&a, &pool).await.unwrap();
    w.ok(
        "PUT",
        "/api/v1/user-skills",
        json!({"skill_id": skill, "user_id": a.id, "value": 90}),
    )
    .await;
    let second = w.take(&a, &pool).await.unwrap();
    assert_eq!(
        (&first["reward"], &second["reward"]),
        (&json!(0.1), &json!(0.5))
    );
    w.submit(&a, &first, &["cat", "cat"]).await;
    assert!(close(w.balance().await, 99.9));
    w.submit(&a, &second, &["cat", "cat"]).await;
    assert!(close(w.balance().await, 99.4));
}

#[tokio::test]
async fn money_that_was_promised_is_free_again_when_the_page_is_paid_or_given_back() {
    let w = world(1, Decimal::ZERO).await;
    let over = json!({"defaults": {"default_overlap_for_new_tasks": 1}});
    let pool = w.pool(&w.project().await, over).await;
    w.tasks(many(20, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (a, b) = (w.worker("a").await, w.worker("b").await);
    for verb in ["skip", "exit", "skip"] {
        let page = w.take(&a, &pool).await.unwrap();
        let path = format!("/assignments/{}/{verb}", id(&page));
        w.work(&a, "POST", &path, Value::Null).await;
    }
    for _ in 0..10 {
        w.do_page(&b, &pool, 60, "cat").await;
    }
    assert_eq!(
        w.pool_state(&pool).await,
        ("CLOSED".to_owned(), json!("COMPLETED"))
    );
    assert!(close(w.balance().await, 0.0));
}
