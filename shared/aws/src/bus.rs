//! Events on EventBridge, from where rules take them to functions and people.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use quorate_core::event::{Detail, Event};
use quorate_core::ports::{Notify, PortError, PortResult};
use quorate_core::time::Timestamp;
use serde_json::Value;

use crate::error::{is_passing, port_error};
use crate::ledger::DynamoLedger;

/// The source of our events.
pub const SOURCE: &str = "quorate";

/// How long it is remembered that something was told.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);

/// What is sent of a problem's message, in bytes: an entry may have 256 kB, and JSON makes six bytes
/// of some characters.
const MESSAGE: usize = 32 * 1024;

/// An event bus.
///
/// What people are told (problems, aggregated rounds) goes out once for each event id, which the
/// ledger remembers for 90 days; if the process dies between the two, it goes out again. What wakes
/// functions goes out each time, because that is how it is not lost.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
    ledger: DynamoLedger,
}

impl Bus {
    /// The bus `name`; `ledger` remembers what was told.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>, ledger: DynamoLedger) -> Self {
        Self {
            client,
            name: name.into(),
            ledger,
        }
    }

    async fn publish(&self, event: &Event, time: jiff::Timestamp) -> PortResult<()> {
        let (detail_type, detail) = parts(event)?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .time(DateTime::from_millis(time.as_millisecond()))
            .detail_type(detail_type)
            .detail(detail)
            .build();
        let what = format!("event bus {}", self.name);
        let put = self.client.put_events().entries(entry).send().await;
        let put = put.map_err(|error| port_error(&what, &error))?;
        if put.failed_entry_count() == 0 {
            return Ok(());
        }
        let failed = put.entries().first();
        let code = failed.and_then(|entry| entry.error_code());
        let message = failed.and_then(|entry| entry.error_message());
        let text = format!(
            "{what}: {} {}",
            code.unwrap_or("it did not take the event"),
            message.unwrap_or_default()
        );
        Err(match is_passing(code) {
            true => PortError::Unavailable(text),
            false => PortError::Refused(text),
        })
    }
}

impl Notify for Bus {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        let time: jiff::Timestamp = event
            .time
            .parse()
            .map_err(|error| PortError::Refused(format!("{}: {error}", event.time)))?;
        match event.detail {
            Detail::PoolClosed(_) | Detail::CrowdMoved(_) => self.publish(event, time).await,
            Detail::Problem(_) | Detail::RoundAggregated(_) => {
                if self.ledger.told(event.id).await? {
                    return Ok(());
                }
                self.publish(event, time).await?;
                if let Detail::Problem(problem) = &event.detail {
                    tracing::warn!(metric.problems = 1, kind = ?problem.kind, "{}", problem.message);
                }
                let until = Timestamp::from(time).plus(REMEMBERED);
                self.ledger.remember_told(event, until).await
            }
        }
    }
}

/// The detail type and the detail as JSON.
fn parts(event: &Event) -> PortResult<(String, String)> {
    let mut detail = event.detail.clone();
    if let Detail::Problem(problem) = &mut detail {
        let end = problem.message.floor_char_boundary(MESSAGE);
        problem.message.truncate(end);
    }
    let unwritten = || PortError::Refused(format!("the event {} cannot be written", event.id));
    let written = serde_json::to_value(&detail).map_err(|_| unwritten())?;
    let (Some(Value::String(kind)), Some(detail)) =
        (written.get("detail-type"), written.get("detail"))
    else {
        return Err(unwritten());
    };
    Ok((kind.clone(), detail.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};

    use quorate_core::event::{Problem, ProblemKind};
    use serde_json::json;

    use super::*;
    use crate::testing::{Asked, connect, json_answer, json_refusal};

    /// A bus and the table that remembers: what came over the bus, and the keys in the table.
    #[derive(Clone, Default)]
    struct Aws {
        entries: Arc<Mutex<Vec<Value>>>,
        told: Arc<Mutex<HashSet<String>>>,
        /// What the bus answers instead of taking an event.
        refusal: Option<Value>,
    }

    impl Aws {
        async fn bus(&self) -> Bus {
            let aws = self.clone();
            let connection = connect(move |asked| aws.answer(&asked)).await;
            let ledger = DynamoLedger::new(connection.dynamodb(), "quorate");
            Bus::new(connection.eventbridge(), "quorate-bus", ledger)
        }

        fn answer(&self, asked: &Asked) -> axum::response::Response {
            let body = asked.json();
            match asked.operation.as_str() {
                "AWSEvents.PutEvents" => {
                    if let Some(refusal) = &self.refusal {
                        return json_answer(refusal);
                    }
                    let entries = body["Entries"].as_array().unwrap();
                    self.entries.lock().unwrap().extend(entries.clone());
                    json_answer(&json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}))
                }
                "DynamoDB_20120810.GetItem" => {
                    let key = body["Key"]["pk"]["S"].as_str().unwrap();
                    match self.told.lock().unwrap().contains(key) {
                        true => json_answer(&json!({"Item": body["Key"]})),
                        false => json_answer(&json!({})),
                    }
                }
                "DynamoDB_20120810.BatchWriteItem" => {
                    let item = &body["RequestItems"]["quorate"][0]["PutRequest"]["Item"];
                    let key = item["pk"]["S"].as_str().unwrap().to_owned();
                    self.told.lock().unwrap().insert(key);
                    json_answer(&json!({"UnprocessedItems": {}}))
                }
                other => panic!("{other}"),
            }
        }

        fn sent(&self) -> Vec<Value> {
            std::mem::take(&mut *self.entries.lock().unwrap())
        }
    }

    /// The events of the project's `events/`, which its schemas describe.
    fn fixtures() -> [Value; 4] {
        [
            include_str!("../../../events/pool-closed.json"),
            include_str!("../../../events/round-aggregated.json"),
            include_str!("../../../events/problem.json"),
            include_str!("../../../events/crowd-moved.json"),
        ]
        .map(|text| serde_json::from_str(text).unwrap())
    }

    fn event(fixture: &Value) -> Event {
        serde_json::from_value(fixture.clone()).unwrap()
    }

    #[tokio::test]
    async fn an_event_is_sent_as_its_schema_says() {
        let aws = Aws::default();
        let bus = aws.bus().await;
        for fixture in fixtures() {
            bus.notify(&event(&fixture)).await.unwrap();
            let [entry] = &aws.sent()[..] else { panic!() };
            assert_eq!(entry["EventBusName"], "quorate-bus");
            assert_eq!(entry["Source"], fixture["source"]);
            assert_eq!(entry["DetailType"], fixture["detail-type"]);
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            assert_eq!(detail, fixture["detail"]);
        }
    }

    #[tokio::test]
    async fn people_are_told_once_and_functions_are_woken_each_time() {
        let aws = Aws::default();
        let bus = aws.bus().await;
        for fixture in fixtures() {
            for _ in 0..2 {
                bus.notify(&event(&fixture)).await.unwrap();
            }
            let times = match fixture["detail-type"].as_str().unwrap() {
                "PoolClosed" | "CrowdMoved" => 2,
                _ => 1,
            };
            assert_eq!(aws.sent().len(), times, "{fixture}");
        }
    }

    #[tokio::test]
    async fn what_the_bus_did_not_take_is_told_again() {
        for (code, passes) in [("ThrottlingException", true), ("NotAuthorized", false)] {
            let entries = [json!({"ErrorCode": code, "ErrorMessage": "no"})];
            let refusing = Aws {
                refusal: Some(json!({"FailedEntryCount": 1, "Entries": entries})),
                ..Aws::default()
            };
            let [_, _, problem, _] = fixtures();
            let error = refusing.bus().await.notify(&event(&problem)).await;
            let error = error.unwrap_err();
            assert_eq!(
                matches!(error, PortError::Unavailable(_)),
                passes,
                "{error}"
            );
            let line = error.to_string();
            assert!(
                line.contains("quorate-bus") && line.contains(code),
                "{line}"
            );
            assert!(refusing.told.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_bus_that_is_not_there_is_named() {
        let connection = connect(|_| json_refusal("ResourceNotFoundException")).await;
        let ledger = DynamoLedger::new(connection.dynamodb(), "quorate");
        let bus = Bus::new(connection.eventbridge(), "quorate-bus", ledger);
        let [closed, ..] = fixtures();
        let error = bus.notify(&event(&closed)).await.unwrap_err();
        let PortError::Refused(line) = error else {
            panic!("{error:?}")
        };
        assert!(line.contains("event bus quorate-bus"), "{line}");
    }

    #[test]
    fn a_message_of_any_length_fits_into_an_entry() {
        let problem = Problem {
            kind: ProblemKind::UploadRejected,
            campaign: "cells".to_owned(),
            round: None,
            key: Some("\u{1}".repeat(1024)),
            // The worst: six bytes of JSON for one.
            message: "\u{1}".repeat(1_000_000),
        };
        let event = Event::problem(problem, "1", Timestamp(0));
        let (_, detail) = parts(&event).unwrap();
        assert!(detail.len() < 256_000, "{}", detail.len());
        assert!(detail.len() > 100_000, "{}", detail.len());
    }
}
