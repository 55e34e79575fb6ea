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
