//! Bonuses: paid once, or not at all.

use serde_json::{Value, json};
use uuid::Uuid;

use quorate_crowd::Config;

use crate::world::{Worker, World, config, id, many, real};

const PATH: &str = "/api/v1/user-bonuses";

/// The dollars left.
async fn balance(w: &World) -> Value {
    w.get("/api/v1/requester").await["balance"].clone()
}

/// A worker who has submitted a page, and the page's id.
async fn worked(w: &World) -> (Worker, String) {
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let worker = w.worker("ann").await;
    let page = w.do_page(&worker, &pool, 10, "cat").await;
    (worker, id(&page))
}

#[tokio::test]
async fn a_bonus_is_paid_told_and_found() {
    let w = World::new().await;
    let (worker, page) = worked(&w).await;
    let before = balance(&w).await.as_f64().unwrap();
    let form = json!({
        "user_id": worker.id, "assignment_id": page, "amount": 1.5, "private_comment": "june",
        "public_title": {"EN": "Well done"}, "public_message": {"EN": "Ten pages"},
    });
    let (status, bonus) = w.call("POST", PATH, form.clone()).await;
    assert_eq!(status, 201, "{bonus}");
    for (field, value) in form.as_object().unwrap() {
        assert_eq!(&bonus[field], value);
    }
    assert_eq!(balance(&w).await, json!(before - 1.5));

    assert_eq!(w.get(&format!("{PATH}/{}", id(&bonus))).await, bonus);
    for query in [
        format!("user_id={}", worker.id),
        format!("assignment_id={page}"),
        "private_comment=june&created_gte=2026-01-01T00:00:00&sort=-created,id".to_owned(),
        format!("id_gte={0}&id_lte={0}", id(&bonus)),
    ] {
        let list = w.get(&format!("{PATH}?{query}")).await;
        assert_eq!(list["items"], json!([bonus]), "{query}");
    }
    for query in [
        "user_id=x",
        "private_comment=may",
        "created_lt=2026-01-01T00:00:00",
    ] {
        let list = w.get(&format!("{PATH}?{query}")).await;
        assert_eq!(list["items"], json!([]), "{query}");
    }
    let assignment = w.get(&format!("/api/v1/assignments/{page}")).await;
    assert_eq!(assignment["bonus_ids"], json!([id(&bonus)]));

    let (_, me) = w.work(&worker, "GET", "/me", Value::Null).await;
    assert_eq!(me["earned"], 1.6, "the page's reward and the bonus");
    let (_, messages) = w.work(&worker, "GET", "/messages", Value::Null).await;
    let thread = &messages["items"][0];
    assert_eq!(thread["topic"], json!({"EN": "Well done"}));
    assert_eq!(thread["messages"][0]["text"], json!({"EN": "Ten pages"}));
    assert_eq!(thread["meta"]["assignment_id"], page.as_str());
}

#[tokio::test]
async fn the_worker_is_told_unless_the_requester_does_not_want_that() {
    let w = World::new().await;
    let (worker, _) = worked(&w).await;
    let messages = async || {
        let (_, list) = w.work(&worker, "GET", "/messages", Value::Null).await;
        list["items"].as_array().unwrap().clone()
    };
    let quiet = json!({"user_id": worker.id, "amount": 1, "without_message": true});
    w.ok("POST", PATH, quiet).await;
    assert_eq!(messages().await.len(), 0);
    w.ok("POST", PATH, json!({"user_id": worker.id, "amount": 0.5}))
        .await;
    let text = &messages().await[0]["messages"][0]["text"]["EN"];
    assert_eq!(text, "You received a bonus of 0.5 dollars.");
}

#[tokio::test]
async fn a_repeated_batch_pays_once() {
    let w = World::new().await;
    let (worker, _) = worked(&w).await;
    let before = balance(&w).await.as_f64().unwrap();
    let operation = Uuid::from_u128(9);
    let path = format!("{PATH}?operation_id={operation}&async_mode=true");
    let items = json!([
        {"user_id": worker.id, "amount": 1, "__item_idx": "0"},
        {"user_id": worker.id, "amount": 2, "__item_idx": "1"},
    ]);
    let (status, answer) = w.call("POST", &path, items.clone()).await;
    assert_eq!((status, id(&answer)), (202, operation.to_string()));
    assert_eq!(answer["type"], "USER_BONUS.BATCH_CREATE");
    assert_eq!(answer["parameters"], json!({"skip_invalid_items": false}));
    let again = w.fails("POST", &path, items.clone()).await;
    assert_eq!(again, (409, "OPERATION_ALREADY_EXISTS".to_owned()));
    assert_eq!(balance(&w).await, json!(before - 3.0));

    let log = w.get(&format!("/api/v1/operations/{operation}/log")).await;
    let made: Vec<Value> = w.get(PATH).await["items"].as_array().unwrap().clone();
    assert_eq!(made.len(), 2);
    for (index, (entry, bonus)) in log.as_array().unwrap().iter().zip(&made).enumerate() {
        assert_eq!(entry["type"], "USER_BONUS_PERSIST");
        assert_eq!(entry["input"], items[index]);
        assert_eq!(entry["output"]["user_bonus_id"], bonus["id"]);
        assert_eq!(bonus.get("__item_idx"), None);
    }
}

#[tokio::test]
async fn one_bad_bonus_fails_the_batch_unless_bad_ones_are_skipped() {
    let w = World::new().await;
    let (worker, page) = worked(&w).await;
    let other = w.worker("bob").await;
    let before = balance(&w).await.as_f64().unwrap();
    let items = json!([
        {"user_id": worker.id, "amount": 1},
        {"user_id": worker.id, "amount": 0.0049},
        {"user_id": worker.id, "amount": 100.01},
        {"user_id": "nobody", "amount": 1},
        {"user_id": other.id, "assignment_id": page, "amount": 1},
        {"user_id": worker.id, "amount": "1e999"},
        {"user_id": worker.id, "amount": 1, "public_title": {}},
        {"user_id": worker.id, "amount": 1, "public_message": {"EN": "x".repeat(10_001)}},
        7,
        {},
    ]);
    let (status, answer) = w.call("POST", PATH, items.clone()).await;
    assert_eq!(status, 400);
    let code = |at: &str, field: &str| answer["payload"][at][field]["code"].clone();
    assert_eq!(code("1", "amount"), "VALUE_LESS_THAN_MIN");
    assert_eq!(code("2", "amount"), "VALUE_GREATER_THAN_MAX");
    assert_eq!(code("3", "user_id"), "ENTITY_DOES_NOT_EXIST");
    assert_eq!(code("4", "assignment_id"), "ENTITY_DOES_NOT_EXIST");
    assert_eq!(code("5", "amount"), "INVALID_VALUE");
    assert_eq!(code("6", "public_title"), "VALUE_REQUIRED");
    assert_eq!(
        code("7", "public_message"),
        "STRING_LENGTH_GREATER_THAN_MAX"
    );
    assert_eq!(code("8", "user_bonus"), "INVALID_VALUE");
    assert_eq!(code("9", "amount"), "VALUE_REQUIRED");
    assert_eq!(balance(&w).await, json!(before));

    let failed = w
        .ok("POST", &format!("{PATH}?async_mode=true"), items.clone())
        .await;
    assert_eq!(failed["status"], "FAIL");
    assert_eq!(balance(&w).await, json!(before));

    let path = format!("{PATH}?skip_invalid_items=true");
    let answer = w.ok("POST", &path, items).await;
    assert_eq!(answer["items"].as_object().unwrap().len(), 1);
    assert_eq!(answer["validation_errors"].as_object().unwrap().len(), 9);
    assert_eq!(balance(&w).await, json!(before - 1.0));
}

#[tokio::test]
async fn what_is_not_there_cannot_be_paid() {
    let w = World::with(Config {
        balance: 150.into(),
        ..config()
    })
    .await;
    let worker = w.worker("ann").await;
    let two = json!([{"user_id": worker.id, "amount": 80}, {"user_id": worker.id, "amount": 80}]);
    for path in [PATH.to_owned(), format!("{PATH}?async_mode=true")] {
        let refused = w.fails("POST", &path, two.clone()).await;
        assert_eq!(refused, (409, "NOT_ENOUGH_BALANCE".to_owned()));
        assert_eq!(balance(&w).await, 150.0, "all of them or none");
    }
    let many = vec![json!({"user_id": worker.id, "amount": 0.01}); 101];
    let refused = w.fails("POST", PATH, json!(many)).await;
    assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()));
    w.ok("POST", &format!("{PATH}?async_mode=true"), json!(many))
        .await;
    let (_, me) = w.work(&worker, "GET", "/me", Value::Null).await;
    assert_eq!(me["earned"], 1.01);
}
