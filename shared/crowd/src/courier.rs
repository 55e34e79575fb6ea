//! Brings webhooks what happened: at least once, in order, for as long as a subscription lives.
//!
//! Events wait in the database, written down with what they tell of. The courier sends all that
//! wait for a subscription together, up to [`MOST_EVENTS`], and strikes them out when the receiver
//! answers with a 2xx; a process that is killed in between sends them again, with the same `uuid`s.
//! After anything else it tries again, after a second, then after twice as long each time, up to
//! [`LONGEST_PAUSE`]. A subscription has one delivery under way at most, so its events come in
//! order; a receiver has [`AT_ONCE_TO_ONE`], so one that hangs does not hold up the others.
//!
//! Deliveries live in the time of the machine, not of the platform: pauses, the delivery log, and
//! the `ts` of a signature, whose age receivers check. The `event_time` of an event is the
//! platform's, which may run faster.
//!
//! Requesters choose where the platform posts to. Who lets strangers be requesters should bound
//! what the machine reaches (a proxy is used as the environment says, but for loopback addresses).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quorate_toloka::{
    Secret,
    types::{Event, EventType},
    webhook,
};
use reqwest::{StatusCode, Url, header, redirect};
use serde_json::Value;
use tokio::sync::{Notify, OnceCell, Semaphore};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    model::wire,
    platform::{Platform, REST, TickError},
    simulate,
    store::{Db, Tx},
};

/// The most events of one delivery.
const MOST_EVENTS: i64 = 100;

/// A delivery takes no further event when it is this large.
const ENOUGH_BYTES: usize = 1 << 18;

/// Deliveries that are under way at once.
const AT_ONCE: usize = 64;

/// Deliveries to one receiver (scheme, host and port) that are under way at once.
const AT_ONCE_TO_ONE: usize = 4;

/// Tests of subscriptions that are under way at once.
const TESTS_AT_ONCE: usize = 8;

/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds after the first failed attempt.
const FIRST_PAUSE: i64 = 1_000;

/// The most milliseconds between two attempts.
const LONGEST_PAUSE: i64 = 300_000;

/// The longest sleep of the courier: the machine's clock may be set.
const LONGEST_SLEEP: i64 = 60_000;

/// Attempts of a subscription that are remembered.
pub(crate) const LOGGED: i64 = 100;

/// What the courier remembers between deliveries; the rest is in the database.
pub(crate) struct Courier {
    /// The subscriptions with a delivery under way, and their receivers.
    busy: Arc<Mutex<BTreeMap<i64, String>>>,
    /// Something was written down.
    woken: Notify,
    clients: OnceCell<Clients>,
    tests: Semaphore,
}

impl Default for Courier {
    fn default() -> Self {
        Self {
            busy: Arc::default(),
            woken: Notify::new(),
            clients: OnceCell::new(),
            tests: Semaphore::new(TESTS_AT_ONCE),
        }
    }
}

impl Courier {
    /// Lets the courier look for what waits.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }
}

/// HTTP to receivers: straight to those on this machine, by the environment's proxy to others.
struct Clients {
    near: reqwest::Client,
    far: reqwest::Client,
}

impl Clients {
    fn new() -> reqwest::Result<Self> {
        let builder = || {
            quorate_toloka::http_builder()
                .redirect(redirect::Policy::none())
                .timeout(PATIENCE)
        };
        Ok(Self {
            near: builder().no_proxy().build()?,
            far: builder().build()?,
        })
    }
}

/// The right to deliver to a subscription, which nobody else has meanwhile.
struct Claim {
    busy: Arc<Mutex<BTreeMap<i64, String>>>,
    webhook: i64,
}

impl Claim {
    /// None if a delivery is under way already, or as many to the receiver as may be.
    fn new(courier: &Courier, webhook: i64, receiver: String) -> Option<Self> {
        let mut busy = lock(&courier.busy);
        let to_it = busy.values().filter(|other| **other == receiver).count();
        if to_it >= AT_ONCE_TO_ONE || busy.contains_key(&webhook) {
            return None;
        }
        busy.insert(webhook, receiver);
        Some(Self {
            busy: Arc::clone(&courier.busy),
            webhook,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.busy).remove(&self.webhook);
    }
}

fn lock(busy: &Mutex<BTreeMap<i64, String>>) -> MutexGuard<'_, BTreeMap<i64, String>> {
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the deliveries of a subscription go.
pub(crate) struct Address {
    pub(crate) webhook: i64,
    pub(crate) url: String,
    pub(crate) secret: Option<Secret>,
}

impl Address {
    /// The address of a subscription for which events wait.
    fn waiting(db: &Db<'_>, webhook: i64) -> Result<Option<Self>> {
        db.row(
            "SELECT url, secret FROM webhooks WHERE n = ?1 AND waiting > 0",
            [webhook],
            |row| {
                Ok(Self {
                    webhook,
                    url: row.get(0)?,
                    secret: row.get::<_, Option<String>>(1)?.map(Secret::from),
                })
            },
        )
    }
}

/// Events that are sent together.
struct Parcel {
    address: Address,
    body: String,
    events: i64,
    /// The last of the events.
    last: i64,
}

impl Parcel {
    /// The events that wait longest for a subscription.
    fn pack(db: &Db<'_>, address: Address) -> Result<Self> {
        let mut parcel = Self {
            address,
            body: String::new(),
            events: 0,
            last: 0,
        };
        let mut statement = db.conn.prepare_cached(
            "SELECT n, body FROM webhook_events WHERE webhook = ?1 ORDER BY n LIMIT ?2",
        )?;
        let mut rows = statement.query((parcel.address.webhook, MOST_EVENTS))?;
        while parcel.body.len() < ENOUGH_BYTES
            && let Some(row) = rows.next()?
        {
            let start = if parcel.events == 0 { "" } else { "," };
            parcel.body.push_str(start);
            parcel
                .body
                .push_str(row.get_ref(1)?.as_str().map_err(Error::internal)?);
            parcel.last = row.get(0)?;
            parcel.events += 1;
        }
        parcel.body = enveloped(&parcel.body);
        Ok(parcel)
    }
}

/// The body of a delivery of these events, which are JSON with commas between them.
fn enveloped(events: &str) -> String {
    format!("{{\"events\":[{events}]}}")
}

/// How an attempt to deliver went.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    /// When it began, in the machine's milliseconds.
    pub(crate) sent: i64,
    /// When it ended, likewise.
    pub(crate) ended: i64,
    /// What the receiver answered.
    pub(crate) status: Option<u16>,
    /// Why it failed, in the API's words.
    pub(crate) error: Option<&'static str>,
}

impl Attempt {
    fn failed(sent: i64, error: &'static str) -> Self {
        Self {
            sent,
            ended: sent,
            status: None,
            error: Some(error),
        }
    }
}

/// What may be sent now, and when there is something next.
struct Round {
    parcels: Vec<(Claim, Parcel)>,
    next: Option<i64>,
}

impl Platform {
    /// Delivers the webhooks that are due, until none is: what waits for a receiver that failed
    /// stays for later. A served platform does this by itself unless its clock is moved by hand,
    /// which then also says when a failed delivery is due again.
    ///
    /// # Errors
    ///
    /// When the database fails; a receiver that fails is none.
    pub async fn deliver(&self) -> std::result::Result<(), TickError> {
        let mut flights = FuturesUnordered::new();
        loop {
            let round = self.round().await.map_err(|_| TickError)?;
            flights.extend(round.parcels.into_iter().map(|parcel| self.bring(parcel)));
            match flights.next().await {
                Some(brought) => brought.map_err(|_| TickError)?,
                None => return Ok(()),
            }
        }
    }

    /// Delivers for ever.
    pub(crate) async fn keep_delivering(&self) {
        let mut flights = FuturesUnordered::new();
        loop {
            let sleep = match self.round().await {
                Ok(round) => {
                    flights.extend(round.parcels.into_iter().map(|parcel| self.bring(parcel)));
                    let now = self.clock().machine_millis();
                    let millis = round.next.map_or(LONGEST_SLEEP, |next| next - now);
                    Duration::from_millis(millis.clamp(1, LONGEST_SLEEP).unsigned_abs())
                }
                Err(_) => REST,
            };
            tokio::select! {
                Some(brought) = flights.next() => if brought.is_err() {
                    // Brought but not struck out: the database fails. Without a rest the receiver
                    // would get the same again and again.
                    tokio::time::sleep(REST).await;
                },
                () = self.courier().woken.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Claims what is due and not under way, as far as there is room.
    async fn round(&self) -> Result<Round> {
        let platform = self.clone();
        let (claims, next) = self
            .read(move |db| {
                let now = platform.clock().machine_millis();
                let next = db.row(
                    "SELECT min(next_try) FROM webhooks WHERE waiting > 0 AND next_try > ?1",
                    [now],
                    |row| row.get(0),
                )?;
                Ok((claim_due(db, platform.courier(), now)?, next.flatten()))
            })
            .await?;
        let mut parcels = Vec::new();
        if !claims.is_empty() {
            // Another look at the database, now that nobody else delivers: what was claimed may
            // have been struck out since the first.
            parcels = self.read(move |db| pack(db, claims)).await?;
        }
        Ok(Round { parcels, next })
    }

    /// Sends a parcel and writes down how it went.
    async fn bring(&self, (claim, parcel): (Claim, Parcel)) -> Result<()> {
        let attempt = self.post(&parcel.address, parcel.body).await?;
        let (webhook, events, last) = (parcel.address.webhook, parcel.events, parcel.last);
        self.write(move |tx| settle(tx, webhook, events, last, &attempt))
            .await?;
        // Only now: the next delivery must see what this one struck out.
        drop(claim);
        Ok(())
    }

    /// Sends a subscription an event that only tests its receiver, at once; returns the event's
    /// `uuid` and how it went.
    pub(crate) async fn test_webhook(
        &self,
        address: Address,
        event: Event,
    ) -> Result<(String, Attempt)> {
        let event = Event {
            uuid: Uuid::new_v4().to_string(),
            kind: EventType::TestEvent,
            event_time: Some(wire(self.clock().millis())),
            ..event
        };
        let body = enveloped(&serde_json::to_string(&event)?);
        let attempt = match self.courier().tests.try_acquire() {
            Ok(_permit) => self.post(&address, body).await?,
            Err(_) => Attempt::failed(self.clock().machine_millis(), "TOO_MANY_CONNECTIONS"),
        };
        self.write(move |tx| {
            log(tx, address.webhook, 1, &attempt)?;
            if attempt.error.is_none() {
                // The receiver is back: what waits for it need not wait longer.
                tx.run(
                    "UPDATE webhooks SET next_try = 0 WHERE n = ?1",
                    [address.webhook],
                )?;
                tx.has_told();
            }
            Ok(())
        })
        .await?;
        Ok((event.uuid, attempt))
    }

    /// Posts a body. What the receiver answers is not read, but for the status.
    async fn post(&self, address: &Address, body: String) -> Result<Attempt> {
        let clients = self
            .courier()
            .clients
            .get_or_try_init(async || Clients::new().map_err(Error::internal))
            .await?;
        let sent = self.clock().machine_millis();
        let Ok(url) = Url::parse(&address.url) else {
            return Ok(Attempt::failed(sent, "INTERNAL_ERROR"));
        };
        let client = if simulate::is_loopback(&url) {
            &clients.near
        } else {
            &clients.far
        };
        let mut request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(secret) = &address.secret {
            let signature = webhook::sign(secret, sent, body.as_bytes());
            request = request.header(webhook::SIGNATURE, signature);
        }
        let answer = request.body(body).send().await;
        let (status, error) = match answer {
            Ok(answer) => (Some(answer.status()), wrong(answer.status())),
            Err(error) => (None, Some(kind(&error))),
        };
        Ok(Attempt {
            sent,
            ended: self.clock().machine_millis(),
            status: status.map(|status| status.as_u16()),
            error,
        })
    }
}

/// Claims subscriptions that are due, those first that wait longest, without reading all of them.
fn claim_due(db: &Db<'_>, courier: &Courier, now: i64) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    // A time beyond the longest pause is from before the machine's clock was set back.
    let mut statement = db.conn.prepare_cached(
        "SELECT n, receiver FROM webhooks
         WHERE waiting > 0 AND (next_try <= ?1 OR next_try > ?2) ORDER BY next_try",
    )?;
    let mut rows = statement.query((now, now.saturating_add(LONGEST_PAUSE)))?;
    let mut room = AT_ONCE.saturating_sub(lock(&courier.busy).len());
    while room > 0
        && let Some(row) = rows.next()?
    {
        if let Some(claim) = Claim::new(courier, row.get(0)?, row.get(1)?) {
            claims.push(claim);
            room -= 1;
        }
    }
    Ok(claims)
}

/// What waits for the claimed subscriptions.
fn pack(db: &Db<'_>, claims: Vec<Claim>) -> Result<Vec<(Claim, Parcel)>> {
    let mut parcels = Vec::new();
    for claim in claims {
        if let Some(address) = Address::waiting(db, claim.webhook)? {
            parcels.push((claim, Parcel::pack(db, address)?));
        }
    }
    Ok(parcels)
}

/// Writes down how a delivery went: what was brought waits no more, for the rest there is a pause.
fn settle(tx: &Tx<'_>, webhook: i64, events: i64, last: i64, attempt: &Attempt) -> Result<()> {
    let failures: Option<i64> = tx.row(
        "SELECT failures FROM webhooks WHERE n = ?1",
        [webhook],
        |row| row.get(0),
    )?;
    let Some(failures) = failures else {
        // Deleted meanwhile, with its events.
        return Ok(());
    };
    if attempt.error.is_none() {
        tx.run(
            "DELETE FROM webhook_events WHERE webhook = ?1 AND n <= ?2",
            (webhook, last),
        )?;
        tx.run(
            "UPDATE webhooks SET waiting = waiting - ?2, failures = 0, next_try = 0 WHERE n = ?1",
            (webhook, events),
        )?;
        tx.run(
            "UPDATE tallies SET value = value + ?1 WHERE name = 'delivered'",
            [events],
        )?;
    } else {
        tx.run(
            "UPDATE webhooks SET failures = failures + 1, next_try = ?2 WHERE n = ?1",
            (webhook, attempt.ended + pause(failures)),
        )?;
        tx.run(
            "UPDATE tallies SET value = value + 1 WHERE name = 'failed'",
            [],
        )?;
    }
    log(tx, webhook, events, attempt)
}

/// Milliseconds until the next attempt, when so many failed before this one.
fn pause(failures: i64) -> i64 {
    // Nine doublings are more than the longest pause.
    (FIRST_PAUSE << failures.clamp(0, 9)).min(LONGEST_PAUSE)
}

/// Keeps an attempt, and of the older ones as many as are kept.
fn log(tx: &Tx<'_>, webhook: i64, events: i64, attempt: &Attempt) -> Result<()> {
    tx.run(
        "INSERT INTO webhook_deliveries (webhook, sent, millis, events, status, error)
         SELECT n, ?2, ?3, ?4, ?5, ?6 FROM webhooks WHERE n = ?1",
        (
            webhook,
            attempt.sent,
            (attempt.ended - attempt.sent).max(0),
            events,
            attempt.status,
            attempt.error,
        ),
    )?;
    tx.run(
        "DELETE FROM webhook_deliveries WHERE webhook = ?1 AND n <= (
           SELECT n FROM webhook_deliveries WHERE webhook = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
        (webhook, LOGGED),
    )?;
    Ok(())
}

/// The kind of error that a status is, if it is one. A redirect is: nobody follows it.
fn wrong(status: StatusCode) -> Option<&'static str> {
    (!status.is_success()).then_some("WRONG_STATUS_CODE")
}

/// The kind of error when there was no answer.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "REQUEST_TIMEOUT"
    } else if error.is_builder() {
        "INTERNAL_ERROR"
    } else if error.is_connect() || error.is_request() {
        "CONNECTION_ERROR"
    } else {
        "UNKNOWN"
    }
}

/// How many events wait for a subscription, and when the next attempt is made at the earliest if
/// the last one failed.
pub(crate) fn waiting(db: &Db<'_>, webhook: i64) -> Result<(i64, Value)> {
    let found = db.row(
        "SELECT waiting, next_try FROM webhooks WHERE n = ?1",
        [webhook],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
    )?;
    let (waiting, next_try) = found.unwrap_or_default();
    let next = (waiting > 0 && next_try > 0).then(|| wire(next_try));
    Ok((waiting, serde_json::to_value(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<i64> = (0..10).map(pause).collect();
        assert_eq!(
            pauses,
            [
                1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000
            ]
        );
        assert_eq!(pause(i64::MAX), LONGEST_PAUSE);
    }
}
