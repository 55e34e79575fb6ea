//! What the ledger makes of answers that an emulator never gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use quorate_core::ids::{BatchId, ImageId, RoundId};
use quorate_core::ports::{Ledger as _, PortError, Write};
use quorate_core::state::SealReason;
use quorate_core::time::Timestamp;
use serde_json::{Value, json};

use super::DynamoLedger;
use crate::testing::{Asked, connect, json_answer, json_refusal};

/// A ledger whose requests get these answers, the last one again and again; and their number.
async fn ledger(
    answers: impl Fn(usize, &Asked) -> Response + Send + Sync + 'static,
) -> (DynamoLedger, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, answers) = (Arc::clone(&asked), Arc::new(answers));
    let answer = move |it: Asked| answers(count.fetch_add(1, Ordering::Relaxed), &it);
    let client = connect(answer).await.dynamodb();
    (DynamoLedger::new(client, "quorate"), asked)
}

fn cancelled(codes: &[&str]) -> Response {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled",
        "CancellationReasons": reasons,
    });
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

fn round() -> RoundId {
    "cells/1".parse().unwrap()
}

#[tokio::test]
async fn writers_that_collide_come_again() {
    let (ledger, asked) = ledger(|n, _| match n {
        0 => cancelled(&["ConditionalCheckFailed", "TransactionConflict"]),
        1 => cancelled(&["None", "ThrottlingError"]),
        2 => json_refusal("TransactionInProgressException"),
        _ => json_answer(&json!({})),
    })
    .await;
    let written = ledger.round_aggregated(&round(), 1).await;
    assert_eq!(written, Ok(Write::Done));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn an_update_waits_for_a_transaction_at_its_item() {
    let (ledger, asked) = ledger(|n, _| match n {
        0 => json_refusal("TransactionConflictException"),
        _ => json_answer(&json!({"Attributes": {}})),
    })
    .await;
    let sealed = ledger.seal_round(&round(), SealReason::Age).await;
    assert_eq!(sealed, Ok(Write::Done));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn who_collides_for_too_long_is_told_to_come_later() {
    let (ledger, asked) = ledger(|_, _| cancelled(&["TransactionConflict", "None"])).await;
    let error = ledger.round_aggregated(&round(), 1).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("quorate"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 8);
}

#[tokio::test]
async fn failures_are_sorted_by_what_helps() {
    let refused = [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
    ];
    for code in refused {
        let (ledger, _) = ledger(move |_, _| json_refusal(code)).await;
        let error = ledger.check().await.unwrap_err();
        assert!(matches!(error, PortError::Refused(_)), "{error:?}");
        let line = error.to_string();
        assert!(
            line.contains("GetItem on the DynamoDB table quorate"),
            "{line}"
        );
        assert!(line.contains(code), "{line}");
    }
    let passing = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    ];
    for code in passing {
        let (ledger, _) = ledger(move |_, _| json_refusal(code)).await;
        let error = ledger.check().await.unwrap_err();
        assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    }
    let (ledger, _) = ledger(|_, _| StatusCode::SERVICE_UNAVAILABLE.into_response()).await;
    let error = ledger.check().await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    let invalid = cancelled_with("ValidationError").await;
    assert!(matches!(invalid, PortError::Refused(_)), "{invalid:?}");
}

async fn cancelled_with(code: &'static str) -> PortError {
    let (ledger, _) = ledger(move |_, _| cancelled(&[code, "None"])).await;
    ledger.round_aggregated(&round(), 1).await.unwrap_err()
}

#[tokio::test]
async fn keys_that_were_not_processed_are_asked_for_again() {
    let (ledger, asked) = ledger(|n, it| {
        let keys = it.json()["RequestItems"]["quorate"]["Keys"].clone();
        let (mut found, mut left) = (keys.as_array().unwrap().clone(), Vec::new());
        if n == 0 {
            left = found.split_off(2);
        }
        let mut answer = json!({"Responses": {"quorate": found}, "UnprocessedKeys": {}});
        if !left.is_empty() {
            answer["UnprocessedKeys"] = json!({"quorate": {"Keys": left}});
        }
        json_answer(&answer)
    })
    .await;
    let ids: Vec<ImageId> = (0..5)
        .map(|n| ImageId::of_row("uploads", "rows.csv", "1", n))
        .collect();
    let known = ledger.known_images(&ids).await.unwrap();
    assert_eq!(known, ids.into_iter().collect());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_listing_goes_on_where_a_page_ends() {
    let key = |id: &BatchId| {
        let text = |text: &str| json!({"S": text});
        json!({"pk": text(&format!("BATCH#{id}")), "sk": text("BATCH"),
               "work": text("READY"), "due": {"N": "5"}})
    };
    let ids: Vec<BatchId> = (0..3)
        .map(|n| BatchId::of("cells", [ImageId::of_row("b", "k", "1", n)]))
        .collect();
    let pages = ids.clone();
    let (ledger, asked) = ledger(move |n, it| {
        let started = it.json().get("ExclusiveStartKey").cloned();
        assert_eq!(started, n.checked_sub(1).map(|before| key(&pages[before])));
        let mut answer = json!({"Items": [key(&pages[n])]});
        if n < 2 {
            answer["LastEvaluatedKey"] = key(&pages[n]);
        }
        json_answer(&answer)
    })
    .await;
    let mut due = ledger.due_batches(Timestamp(9), 7).await.unwrap();
    let mut expected = ids;
    due.sort_unstable();
    expected.sort_unstable();
    assert_eq!(due, expected);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
