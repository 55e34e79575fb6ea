//! The conformance suite on the simulation, and what only a simulation can do.

use futures_util::FutureExt as _;
use quorate_core::campaign;
use quorate_core::ids::BatchId;
use quorate_core::ports::{Crowd, OperationStatus, PoolOpened, PoolSpec, Submitted};
use quorate_core::state::Kind;

use super::*;
use crate::crowd::{BALANCE, Held, Workers};
use crate::ledger::NOON;

impl Workers for SimCrowd {
    type Crowd = Self;

    fn crowd(&self) -> &Self {
        self
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn finish_operations(&self) {
        Self::finish_operations(self);
    }

    async fn take(&self, pool: &str, worker: usize) -> Option<Held> {
        let id = Self::take(self, pool, worker)?;
        let state = self.state();
        let (pool, page) = state.find_active(&id)?;
        let tasks = state.pools[&pool].pages[page].tasks.len();
        Some(Held { id, worker, tasks })
    }

    async fn submit(&self, page: &Held, labels: &[&str]) -> Vec<String> {
        self.submit_labels(&page.id, labels)
    }

    async fn skip(&self, page: &Held) {
        assert!(self.skip_page(&page.id));
    }

    async fn ban(&self, worker: usize, scope: &Scope, reason: &str) -> String {
        Self::ban(self, worker, scope.clone(), reason);
        worker_id(worker)
    }
}

fn run(check: impl AsyncFnOnce(&SimCrowd)) {
    let options = Options {
        balance: BALANCE,
        ..Options::default()
    };
    now(check(&SimCrowd::new(SimClock::new(NOON), options)));
}

crate::crowd_checks!(run);

/// What is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

const CAMPAIGN: &str = "question = \"Cat or dog?\"\nlabels = [\"cat\", \"dog\", \"bird\"]\noverlap = 3\n\
     images_per_page = 4\nreward_per_page = 0.05\nbudget = 10\n";

/// A crowd with a pool, and its clock.
fn with_pool(options: Options) -> (SimCrowd, SimClock, String) {
    let clock = SimClock::new(NOON);
    let crowd = SimCrowd::new(clock.clone(), options);
    let mut campaign =
        campaign::of_files([Some(CAMPAIGN), None, None, None], Decimal::ZERO).unwrap();
    campaign.budget = None;
    let project = now(crowd.create_project(&campaign, "project")).unwrap();
    let spec = PoolSpec {
        campaign: &campaign,
        marker: "pool".to_owned(),
        project: &project,
        kind: Kind::Real,
        golden: false,
        exam_skill: None,
        quality_skill: None,
        training: None,
        tasks: 0,
        now: NOON,
    };
    let pool = now(crowd.create_pool(&spec)).unwrap();
    (crowd, clock, pool)
}

fn image(number: u64) -> ImageId {
    ImageId::of_row("b", "k", "v", number)
}

/// Asks for tasks of these images.
fn ask(crowd: &SimCrowd, pool: &str, id: OperationId, images: &[u64]) -> PortResult<Submitted> {
    let task = |number: &u64| NewTask {
        image: image(*number),
        input: BTreeMap::from([("image".to_owned(), "https://example.com".to_owned())]),
        known: None,
        hint: None,
    };
    let tasks: Vec<NewTask> = images.iter().map(task).collect();
    now(Crowd::submit(crowd, pool, "label", id, &tasks))
}

fn operation(name: &str) -> OperationId {
    BatchId::of(name, []).operation()
}

fn tasks(crowd: &SimCrowd, pool: &str) -> usize {
    crowd.look(|pools| pools[pool].tasks.len())
}

/// A pool with these images, opened.
fn worked(options: Options, images: &[u64]) -> (SimCrowd, SimClock, String) {
    let (crowd, clock, pool) = with_pool(options);
    ask(&crowd, &pool, operation("all"), images).unwrap();
    SimCrowd::finish_operations(&crowd);
    assert_eq!(now(crowd.open_pool(&pool)), Ok(PoolOpened::Opened));
    (crowd, clock, pool)
}

/// The label that each worker gave to each image.
fn answers(crowd: &SimCrowd, pool: &str) -> BTreeMap<(ImageId, usize), String> {
    crowd.look(|pools| {
        let pool = &pools[pool];
        let of_page = |page: &WorkerPage| {
            let images = page.tasks.iter().map(|task| pool.tasks[*task].image);
            let keys: Vec<_> = images.map(|image| (image, page.worker)).collect();
            keys.into_iter().zip(page.labels.clone())
        };
        pool.pages.iter().flat_map(of_page).collect()
    })
}

#[test]
fn tasks_are_made_when_the_world_says_so() {
    let (crowd, _, pool) = with_pool(Options::default());
    crowd.refuse(image(2));
    for (name, images) in [("b", &[1, 2][..]), ("a", &[3])] {
        assert_eq!(
            ask(&crowd, &pool, operation(name), images),
            Ok(Submitted::Accepted)
        );
    }
    let status = |name| now(crowd.operation(operation(name))).unwrap();
    assert_eq!(status("b"), OperationStatus::Running);
    assert_eq!(tasks(&crowd, &pool), 0);
    assert_eq!(crowd.running(), [operation("b"), operation("a")]);
    assert!(crowd.finish_operation(operation("a")));
    assert!(!crowd.finish_operation(operation("a")));
    assert_eq!(
        (status("a"), status("b")),
        (OperationStatus::Finished, OperationStatus::Running)
    );
    SimCrowd::finish_operations(&crowd);
    let log = now(crowd.operation_log(operation("b"))).unwrap();
    assert!(matches!(log[&image(1)], Outcome::Task(_)), "{log:?}");
    assert!(matches!(log[&image(2)], Outcome::Refused(_)), "{log:?}");
    assert_eq!(tasks(&crowd, &pool), 2);
}

/// The danger that the pipeline has to look out for.
#[test]
fn an_operation_that_is_forgotten_makes_its_tasks_again() {
    let (crowd, clock, pool) = worked(Options::default(), &[1, 2]);
    clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(
        ask(&crowd, &pool, operation("all"), &[1, 2]),
        Ok(Submitted::Existed)
    );
    clock.advance(Duration::from_secs(1));
    let status = now(crowd.operation(operation("all")));
    assert_eq!(status, Ok(OperationStatus::Unknown));
    assert!(now(crowd.operation_log(operation("all"))).is_err());
    assert_eq!(
        ask(&crowd, &pool, operation("all"), &[1, 2]),
        Ok(Submitted::Accepted)
    );
    SimCrowd::finish_operations(&crowd);
    assert_eq!(tasks(&crowd, &pool), 4);
}

#[test]
fn without_operation_ids_a_request_sent_twice_makes_its_tasks_twice() {
    let (crowd, _, pool) = with_pool(Options {
        operation_ids: false,
        ..Options::default()
    });
    for _ in 0..2 {
        assert_eq!(
            ask(&crowd, &pool, operation("a"), &[1]),
            Ok(Submitted::Accepted)
        );
    }
    SimCrowd::finish_operations(&crowd);
    let status = now(crowd.operation(operation("a")));
    assert_eq!(status, Ok(OperationStatus::Unknown));
    assert_eq!(tasks(&crowd, &pool), 2);
}

#[test]
fn lists_lag_behind_what_was_made() {
    let lag = Duration::from_secs(60);
    let (crowd, clock, pool) = with_pool(Options {
        lag,
        ..Options::default()
    });
    let project = crowd.look(|pools| pools[&pool].project.clone());
    let skill = now(crowd.create_skill("skill")).unwrap();
    let found = || {
        (
            now(crowd.find_project("project")).unwrap(),
            now(crowd.find_skill("skill")).unwrap(),
            now(crowd.find_pool(&project, Kind::Real, "pool")).unwrap(),
        )
    };
    assert_eq!(found(), (None, None, None));
    clock.advance(lag);
    assert_eq!(
        found(),
        (Some(project.clone()), Some(skill), Some(pool.clone()))
    );
}

#[test]
fn answers_depend_on_seed_worker_and_image_alone() {
    let options = Options {
        workers: 3,
        errors: 0.3,
        ..Options::default()
    };
    let images: Vec<u64> = (0..400).collect();
    let reversed: Vec<u64> = images.iter().rev().copied().collect();
    let worked = |options: &Options, images: &[u64]| {
        let (crowd, _, pool) = worked(options.clone(), images);
        crowd.work_all(&pool);
        let status = now(crowd.pool(&pool)).unwrap();
        assert_eq!(status.close_reason.as_deref(), Some("COMPLETED"));
        answers(&crowd, &pool)
    };
    let given = worked(&options, &images);
    assert_eq!(given.len(), 1200);
    assert_eq!(worked(&options, &reversed), given);
    let right = worked(
        &Options {
            errors: 0.0,
            ..options.clone()
        },
        &images,
    );
    for (image, _) in right.keys() {
        // Who is always right says what the others say.
        assert_eq!(right[&(*image, 0)], right[&(*image, 2)]);
    }
    let wrong = given.iter().filter(|(key, label)| right[key] != **label);
    assert!((300..420).contains(&wrong.count()));
    let other = Options { seed: 1, ..options };
    assert_ne!(worked(&other, &images), given);
}

#[test]
fn pages_in_hand_end_by_themselves() {
    let (crowd, clock, pool) = worked(Options::default(), &[1, 2]);
    let page = SimCrowd::take(&crowd, &pool, 0).unwrap();
    let gone = SimCrowd::take(&crowd, &pool, 1).unwrap();
    assert_eq!(crowd.active(), [page.clone(), gone.clone()]);
    assert!(crowd.expire_page(&gone));
    assert!(!crowd.expire_page(&gone));
    clock.advance(Duration::from_secs(599));
    assert_eq!(crowd.active(), [page.as_str()]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(crowd.active(), Vec::<String>::new());
    assert!(!crowd.submit_page(&page));
    assert!(!crowd.skip_page(&page));
    clock.advance(Duration::from_secs(180 * 86_400));
    let status = now(crowd.pool(&pool)).unwrap();
    assert_eq!(
        (status.open, status.close_reason.as_deref()),
        (false, Some("EXPIRED"))
    );
    assert_eq!(
        status.last_stopped.as_deref(),
        Some("2026-06-30T12:00:00.000")
    );
}

#[test]
fn money_is_held_before_it_is_paid() {
    let (crowd, _, pool) = worked(
        Options {
            fee: Decimal::new(2, 1),
            ..Options::default()
        },
        &[1, 2],
    );
    let page = SimCrowd::take(&crowd, &pool, 0).unwrap();
    let cents = |paid, held| Money {
        paid: Decimal::new(paid, 2),
        held: Decimal::new(held, 2),
    };
    assert_eq!(crowd.money(), cents(0, 6));
    let _other = SimCrowd::take(&crowd, &pool, 1).unwrap();
    assert!(crowd.submit_page(&page));
    assert_eq!(crowd.money_of(&pool), cents(6, 6));
    assert_eq!(crowd.money().paid_and_held(), Decimal::new(12, 2));
    // The requester reads what workers got.
    assert_eq!(now(crowd.spent(&pool)), Ok(Decimal::new(5, 2)));
    crowd.deposit(Decimal::new(12, 2) - Decimal::from(1_000_000));
    assert_eq!(SimCrowd::take(&crowd, &pool, 2), None);
    let status = now(crowd.pool(&pool)).unwrap();
    assert_eq!(status.close_reason.as_deref(), Some("NOT_ENOUGH_BALANCE"));
}

#[test]
fn a_fork_goes_its_own_way() {
    let (crowd, _, pool) = worked(Options::default(), &[1, 2, 3]);
    let other = SimClock::new(NOON);
    let fork = crowd.fork(other.clone());
    crowd.work_all(&pool);
    other.advance(Duration::from_secs(5));
    assert!(now(fork.pool(&pool)).unwrap().open);
    fork.work_all(&pool);
    assert_eq!(answers(&fork, &pool), answers(&crowd, &pool));
    let stopped = |crowd: &SimCrowd| now(crowd.pool(&pool)).unwrap().last_stopped.unwrap();
    assert!(stopped(&crowd) < stopped(&fork));
}

#[test]
fn quotas_and_keys_keep_requests_out() {
    let (crowd, clock, pool) = with_pool(Options::default());
    let hour = Duration::from_secs(3600);
    crowd.block(Request::Submit, NOON.plus(hour));
    clock.advance(Duration::from_secs(600));
    let blocked = ask(&crowd, &pool, operation("a"), &[1]);
    let PortError::Blocked { after, .. } = blocked.unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(after, Duration::from_secs(3000));
    assert!(now(crowd.pool(&pool)).is_ok());
    clock.advance(after);
    assert_eq!(
        ask(&crowd, &pool, operation("a"), &[1]),
        Ok(Submitted::Accepted)
    );
    crowd.revoke();
    let refused = ask(&crowd, &pool, operation("b"), &[1]);
    assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
    crowd.restore();
    assert_eq!(
        ask(&crowd, &pool, operation("a"), &[1]),
        Ok(Submitted::Existed)
    );
    assert_eq!(crowd.busiest_second(), 3);
}
