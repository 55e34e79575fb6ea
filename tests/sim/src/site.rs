//! The account in which a campaign happens: what is shared by all functions, and lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::event::{Detail, Event};
use quorate_core::link::LinkSigner;
use quorate_core::ports::Clock as _;
use quorate_core::time::Timestamp;
use quorate_testkit::sim::{SimClock, SimCrowd, SimLedger, SimObjects};
use serde_json::{Value, json};

/// When simulations begin: 2026-01-01T12:00:00Z.
pub const NOON: Timestamp = Timestamp(1_767_268_800_000);
/// How long a message rests that was given back.
const GIVEN_BACK: Duration = Duration::from_secs(30);
/// Receives after which a message goes to the dead-letter queue.
const RECEIVES: u32 = 5;
/// Where signed links lead.
pub const IMAGES: &str = "https://images.example";
/// What nobody but the signer may know.
pub const SECRET: &[u8] = b"the key of links is a secret of 40 bytes";

/// A message of a queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// What it says.
    pub body: String,
    /// Not given to anybody before this instant.
    visible: Timestamp,
    received: u32,
}

/// A queue with its dead-letter queue.
#[derive(Debug, Default)]
pub struct Queue {
    next: u64,
    messages: Vec<Message>,
    dead: Vec<Message>,
}

impl Queue {
    /// Adds a message.
    pub fn push(&mut self, body: String, now: Timestamp) {
        self.next += 1;
        self.messages.push(Message {
            id: self.next,
            body,
            visible: now,
            received: 0,
        });
    }

    /// Gives out up to `limit` messages, and hides them from others for `hidden`.
    pub fn receive(&mut self, limit: usize, now: Timestamp, hidden: Duration) -> Vec<Message> {
        let mut received = Vec::new();
        for message in self.messages.iter_mut().filter(|it| it.visible <= now) {
            if received.len() == limit {
                break;
            }
            message.received += 1;
            message.visible = now.plus(hidden);
            received.push(message.clone());
        }
        received
    }

    /// Forgets messages that were worked off; what they said.
    pub fn delete(&mut self, ids: &BTreeSet<u64>) -> Vec<String> {
        let done = self.messages.extract_if(.., |it| ids.contains(&it.id));
        done.map(|it| it.body).collect()
    }

    /// Takes messages back whose function failed: they come again, or are dead.
    pub fn give_back(&mut self, ids: &BTreeSet<u64>, now: Timestamp) {
        let failed = |it: &mut Message| ids.contains(&it.id);
        for mut message in self.messages.extract_if(.., failed).collect::<Vec<_>>() {
            message.visible = now.plus(GIVEN_BACK);
            if message.received >= RECEIVES {
                self.dead.push(message);
            } else {
                self.messages.push(message);
            }
        }
    }

    /// Moves what is dead back, as a person does who mended the cause.
    pub fn redrive(&mut self, now: Timestamp) {
        for message in self.dead.drain(..) {
            self.messages.push(Message {
                visible: now,
                received: 0,
                ..message
            });
        }
    }

    /// Delivers a message once more, later, although it may be worked off by then.
    pub fn duplicate(&mut self, at: usize, later: Timestamp) {
        if let Some(message) = self.messages.get(at).cloned() {
            self.push(message.body, later);
        }
    }

    /// Loses a message.
    pub fn lose(&mut self, at: usize) {
        if at < self.messages.len() {
            self.messages.remove(at);
        }
    }

    /// Makes the message that is `at` the first.
    pub fn hurry(&mut self, at: usize) {
        if at < self.messages.len() {
            let message = self.messages.remove(at);
            self.messages.insert(0, message);
        }
    }

    /// Messages, hidden ones included, without the dead.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none, dead ones neither.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.dead.is_empty()
    }

    /// When the next message can be received.
    #[must_use]
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.messages.iter().map(|it| it.visible).min()
    }
}

/// The queues between the functions.
#[derive(Debug, Default)]
pub struct Queues {
    /// Of uploads, for create-tasks.
    pub uploads: Queue,
    /// Of closed rounds, for aggregate-pool.
    pub closed: Queue,
}

/// Everything that outlives an invocation.
#[derive(Debug)]
pub struct Site {
    /// The time.
    pub clock: SimClock,
    /// The table.
    pub ledger: Arc<SimLedger>,
    /// The crowd.
    pub crowd: Arc<SimCrowd>,
    /// The bucket of uploads.
    pub uploads: Arc<SimObjects>,
    /// The bucket of results.
    pub results: Arc<SimObjects>,
    /// Signs links.
    pub links: LinkSigner,
    queues: Mutex<Queues>,
    told: Mutex<BTreeMap<String, Event>>,
    /// The first rule that a request broke.
    broken: Mutex<Option<String>>,
}

impl Site {
    /// An empty account.
    ///
    /// # Panics
    /// Never: the key of links is as it should be.
    #[must_use]
    pub fn new(clock: SimClock, ledger: SimLedger, crowd: SimCrowd) -> Self {
        let keys = BTreeMap::from([("k1".to_owned(), SECRET.to_vec())]);
        let Ok(links) = LinkSigner::new(IMAGES, keys) else {
            unreachable!("the key of links is as it should be")
        };
        Self {
            uploads: Arc::new(SimObjects::new("uploads", clock.clone())),
            results: Arc::new(SimObjects::new("results", clock.clone())),
            ledger: Arc::new(ledger),
            crowd: Arc::new(crowd),
            clock,
            links,
            queues: Mutex::default(),
            told: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// An account of its own with the same records, objects and answers; its queues are empty.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            ledger: Arc::new(self.ledger.fork()),
            crowd: Arc::new(self.crowd.fork(self.clock.clone())),
            uploads: Arc::new(self.uploads.fork()),
            results: Arc::new(self.results.fork()),
            links: self.links.clone(),
            queues: Mutex::default(),
            told: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// The queues.
    pub fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a request broke a rule.
    pub(crate) fn break_rule(&self, how: String) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert(how);
    }

    /// The first rule that a request broke.
    pub(crate) fn broken_rule(&self) -> Option<String> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.clone()
    }

    /// What people were told, each event once: the last telling of it.
    #[must_use]
    pub fn told(&self) -> Vec<Event> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.values().cloned().collect()
    }

    /// The bus: its rules bring closed rounds to their queue, and the rest to people.
    pub fn bus(&self, event: &Event) {
        if matches!(event.detail, Detail::PoolClosed(_)) {
            let body = on_bus(event).to_string();
            self.queues().closed.push(body, self.clock.now());
        } else {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(event.id.to_string(), event.clone());
        }
    }

    /// Uploads a file: S3 stores it, and tells of it. Its version.
    pub fn upload(&self, key: &str, bytes: &[u8]) -> String {
        let version = self.uploads.upload(key, bytes);
        let body = json!({
            "version": "0",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "000000000000",
            "region": "sim",
            "resources": [],
            "detail": {
                "bucket": {"name": "uploads"},
                "object": {"key": key, "size": bytes.len(), "version-id": version},
            },
        });
        let now = self.clock.now();
        self.queues().uploads.push(body.to_string(), now);
        version
    }
}

/// An event of ours as the bus delivers it.
fn on_bus(event: &Event) -> Value {
    let mut body = serde_json::to_value(event).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        for (name, value) in [
            ("version", json!("0")),
            ("source", json!("quorate")),
            ("account", json!("000000000000")),
            ("region", json!("sim")),
            ("resources", json!([])),
        ] {
            body.insert(name.to_owned(), value);
        }
    }
    body
}
