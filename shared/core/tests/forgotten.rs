//! A batch that waits for longer than the crowd remembers requests, in a world in memory.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use quorate_core::event::Event;
use quorate_core::ids::{BatchId, OperationId, RoundId};
use quorate_core::ingest::{self, Upload};
use quorate_core::link::LinkSigner;
use quorate_core::ports::{Crowd as _, Ledger as _, NewTask, Notify, PortResult, World};
use quorate_core::state::{Batch, BatchState, Image, Outcome};
use quorate_core::time::Timestamp;
use quorate_core::{dispatch, rounds};
use quorate_testkit::png;
use quorate_testkit::sim::crowd::{Options, Request};
use quorate_testkit::sim::{SimClock, SimCrowd, SimLedger, SimObjects};

const NOON: Timestamp = Timestamp(1_767_268_800_000);
const DAY: Duration = Duration::from_secs(86_400);
/// A round that stays open for months.
const CATS: &[u8] = br#"
question = "Cat or dog?"
labels = ["CAT", "DOG"]
reward_per_page = 0.05
budget = 25
[round]
idle_minutes = 1e6
max_age_hours = 1e6
"#;

/// What people were told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Event>>);

impl Notify for Told {
    async fn notify(&self, event: &Event) -> PortResult<()> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

struct Memory {
    clock: SimClock,
    ledger: SimLedger,
    crowd: SimCrowd,
    uploads: SimObjects,
    results: SimObjects,
    told: Told,
}

impl World for Memory {
    type Ledger = SimLedger;
    type Crowd = SimCrowd;
    type Objects = SimObjects;
    type Clock = SimClock;
    type Notify = Told;

    fn ledger(&self) -> &SimLedger {
        &self.ledger
    }
    fn crowd(&self) -> &SimCrowd {
        &self.crowd
    }
    fn uploads(&self) -> &SimObjects {
        &self.uploads
    }
    fn results(&self) -> &SimObjects {
        &self.results
    }
    fn clock(&self) -> &SimClock {
        &self.clock
    }
    fn notify(&self) -> &Told {
        &self.told
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        let keys = BTreeMap::from([("k1".to_owned(), vec![7; 40])]);
        Ok(LinkSigner::new("https://links.example", keys).unwrap())
    }
    fn writer(&self) -> &str {
        "test"
    }
}

/// What a future gives; in memory nothing waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// A world whose one batch of three images has a pool and was tried once, but the crowd took no
/// requests for tasks: the batch.
fn waiting() -> (Memory, Batch) {
    let clock = SimClock::new(NOON);
    let world = Memory {
        ledger: SimLedger::new(),
        crowd: SimCrowd::new(clock.clone(), Options::default()),
        uploads: SimObjects::new("uploads", clock.clone()),
        results: SimObjects::new("results", clock.clone()),
        told: Told::default(),
        clock,
    };
    world.crowd.block(Request::Submit, NOON.plus(25 * DAY));
    let mut uploads = Vec::new();
    let files = [("campaign.toml", CATS.to_vec())].into_iter().chain([
        ("images/1.png", png(1)),
        ("images/2.png", png(2)),
        ("images/3.png", png(3)),
    ]);
    for (file, bytes) in files {
        let key = format!("cats/{file}");
        world.uploads.upload(&key, &bytes);
        uploads.push(Upload { key, version: None });
    }
    for taken in now(ingest::create_tasks(&world, &uploads)) {
        taken.unwrap();
    }
    assert!(world.told.0.lock().unwrap().is_empty(), "{:?}", world.told);
    world.clock.advance(Duration::from_secs(60));
    now(rounds::check_pools(&world)).unwrap();
    let batch = world.batch();
    assert_eq!((batch.state, batch.attempts), (BatchState::Ready, 1));
    assert_eq!(batch.members.len(), 3);
    (world, batch)
}

impl Memory {
    fn round(&self) -> RoundId {
        now(self.ledger.unfinished_rounds()).unwrap()[0].clone()
    }

    fn batch(&self) -> Batch {
        let page = now(self.ledger.round_batches(&self.round(), None)).unwrap();
        page.items.into_iter().next().unwrap()
    }

    /// Makes tasks of some of the batch's images, as a request does that the crowd does not tell of.
    fn make(&self, batch: &Batch, members: std::ops::Range<usize>) {
        let round = now(self.ledger.round(&self.round())).unwrap().unwrap();
        let pool = round.pool.unwrap().id;
        let operation: OperationId = BatchId::of(&format!("{members:?}"), []).operation();
        let task = |image: &Image| NewTask {
            image: image.id,
            input: BTreeMap::from([("image".to_owned(), "https://links.example/1".to_owned())]),
            known: None,
            hint: None,
        };
        let tasks: Vec<NewTask> = batch.members[members].iter().map(task).collect();
        now(self.crowd.submit(&pool, "result", operation, &tasks)).unwrap();
        self.crowd.finish_operations();
    }

    /// Lets time pass, and then one tick.
    fn later(&self, by: Duration) -> Batch {
        self.clock.advance(by);
        now(dispatch::dispatch_due(self, 10)).unwrap();
        self.batch()
    }
}

/// How many tasks the crowd has, and how many of the batch's outcomes are tasks.
fn tasks(world: &Memory, batch: &Batch) -> (usize, usize) {
    let made = world
        .crowd
        .pools()
        .iter()
        .map(|pool| pool.tasks.len())
        .sum();
    let is_task = |outcome: &&Outcome| matches!(outcome, Outcome::Task(_));
    (made, batch.outcomes.iter().filter(is_task).count())
}

#[test]
fn a_batch_of_which_the_crowd_has_nothing_is_sent() {
    let (world, _) = waiting();
    let batch = world.later(26 * DAY);
    assert_eq!((batch.state, batch.attempts), (BatchState::Ready, 2));
    world.crowd.finish_operations();
    let batch = world.later(DAY);
    assert_eq!(
        (batch.state, tasks(&world, &batch)),
        (BatchState::Done, (3, 3))
    );
}

#[test]
fn a_batch_of_which_the_crowd_has_everything_is_not_sent_again() {
    let (world, batch) = waiting();
    world.clock.advance(25 * DAY);
    world.make(&batch, 0..3);
    let batch = world.later(DAY);
    assert_eq!(
        (batch.state, tasks(&world, &batch)),
        (BatchState::Done, (3, 3))
    );
}

#[test]
fn tasks_that_are_still_being_made_are_waited_for() {
    let (world, batch) = waiting();
    world.clock.advance(25 * DAY);
    world.make(&batch, 0..1);
    let found = world.later(DAY);
    assert_eq!(found.state, BatchState::Ready);
    assert!(found.last_error.unwrap().contains("1 of 3 tasks are there"));
    world.make(&batch, 1..2);
    let found = world.later(Duration::from_secs(601));
    assert_eq!(
        found.state,
        BatchState::Ready,
        "it has changed: count again"
    );
    world.make(&batch, 2..3);
    let found = world.later(Duration::from_secs(601));
    assert_eq!(
        (found.state, tasks(&world, &found)),
        (BatchState::Done, (3, 3))
    );
}

#[test]
fn images_that_the_crowd_made_no_task_of_end_with_a_reason() {
    let (world, batch) = waiting();
    world.clock.advance(25 * DAY);
    world.make(&batch, 0..2);
    assert_eq!(world.later(DAY).state, BatchState::Ready);
    let found = world.later(Duration::from_secs(599));
    assert_eq!(found.state, BatchState::Ready, "too early to say");
    let found = world.later(Duration::from_secs(2));
    assert_eq!(
        (found.state, tasks(&world, &found)),
        (BatchState::Done, (2, 2))
    );
    let reason = Outcome::Refused("the crowd has forgotten why it made no task of it".to_owned());
    assert_eq!(found.outcomes[2], reason);
}
