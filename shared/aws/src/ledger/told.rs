//! What people were told: events by their ids, for the bus and for `quorate status`.

use std::collections::BTreeMap;

use quorate_core::event::{Detail, Event};
use quorate_core::ports::{PortError, PortResult};
use quorate_core::time::Timestamp;
use uuid::Uuid;

use super::DynamoLedger;
use super::codec::{Item, attribute, bare, text};
use super::keys;
use super::request::of;

/// Problems, as the index of work calls them.
const PROBLEM: &str = "PROBLEM";

impl DynamoLedger {
    /// Whether the event `id` was remembered.
    ///
    /// # Errors
    /// As the port's methods.
    pub async fn told(&self, id: Uuid) -> PortResult<bool> {
        Ok(self.get(&keys::told(id)).await?.is_some())
    }

    /// Remembers an event that was told, until `expires`; again if it is remembered. A problem can
    /// be listed by [`DynamoLedger::last_problems`].
    ///
    /// # Errors
    /// As the port's methods; `Refused` if the event's time is no RFC 3339.
    pub async fn remember_told(&self, event: &Event, expires: Timestamp) -> PortResult<()> {
        let json = serde_json::to_string(event)
            .map_err(|error| PortError::Refused(format!("the event {}: {error}", event.id)))?;
        let mut item = bare(&keys::told(event.id));
        item.insert("event".to_owned(), attribute(&json)?);
        item.insert("expires".to_owned(), attribute(&expires.seconds())?);
        if let Detail::Problem(_) = event.detail {
            let time: jiff::Timestamp = event.time.parse().map_err(|error| {
                PortError::Refused(format!("the time of the event {}: {error}", event.id))
            })?;
            item.insert("work".to_owned(), attribute(&PROBLEM)?);
            item.insert("due".to_owned(), attribute(&Timestamp::from(time))?);
        }
        self.put_all(vec![item]).await
    }

    /// The problems that were told last, at most `limit`, the latest first.
    ///
    /// # Errors
    /// As the port's methods.
    pub async fn last_problems(&self, limit: usize) -> PortResult<Vec<Event>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let query = self.work(PROBLEM).scan_index_forward(false);
        let entries = self.found(query, None, limit).await?;
        let id = |item: &Item| of(item, "TOLD#")?.parse().ok();
        let ids: Vec<Uuid> = entries.iter().filter_map(id).collect();
        let wanted: Vec<_> = ids.iter().map(|id| keys::told(*id)).collect();
        let mut events = BTreeMap::new();
        for item in self.get_all(&wanted, true).await? {
            let event: Event = serde_json::from_str(text(&item, "event")?)
                .map_err(|error| PortError::Refused(format!("an event that was told: {error}")))?;
            events.insert(event.id, event);
        }
        // One that expired since is missing.
        Ok(ids.iter().filter_map(|id| events.remove(id)).collect())
    }
}
