//! Invariants that hold for every pool, crew and order of events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Worker, World, ban, golden, id, many, merge, real, rule, task_ids, when};

/// A random pool.
#[derive(Clone, Debug)]
struct Setting {
    tasks: usize,
    goldens: usize,
    overlap: i64,
    per_page: usize,
    golden_per_page: usize,
    in_order: bool,
    manual: bool,
}

/// What one worker does next.
#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    /// Submits the oldest page in hand; the flag says whether control tasks are answered rightly.
    Submit(usize, bool),
    Skip(usize),
    Exit(usize),
    Pass(u64),
    Review(bool),
}

fn setting() -> impl Strategy<Value = Setting> {
    (
        1..12usize,
        2..6usize,
        1..4i64,
        1..4usize,
        0..2usize,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(tasks, goldens, overlap, per_page, golden_per_page, in_order, manual)| Setting {
                tasks,
                goldens,
                overlap,
                per_page,
                golden_per_page,
                in_order,
                manual,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4usize;
    prop_oneof![
        5 => who.clone().prop_map(Step::Take),
        5 => (who.clone(), prop::bool::weighted(0.8)).prop_map(|(who, right)| Step::Submit(who, right)),
        1 => who.clone().prop_map(Step::Skip),
        1 => who.prop_map(Step::Exit),
        1 => (1..400u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Review),
    ]
}

/// The pool, its workers, and what the test knows about them.
struct Run {
    w: World,
    pool: String,
    setting: Setting,
    workers: Vec<Worker>,
    hands: Vec<Vec<Value>>,
    seen: Vec<BTreeSet<String>>,
    goldens: BTreeSet<String>,
    start_balance: f64,
}

impl Run {
    async fn new(setting: Setting) -> Self {
        let w = World::new().await;
        let conditions = json!([when("golden_set_incorrect_answers_rate", "GT", 0)]);
        let mut over = rule("GOLDEN_SET", json!({}), conditions, ban("POOL"));
        merge(
            &mut over,
            json!({
                "auto_accept_solutions": !setting.manual,
                "assignment_max_duration_seconds": 300,
                "defaults": {"default_overlap_for_new_tasks": setting.overlap},
                "mixer_config": {
                    "real_tasks_count": setting.per_page,
                    "golden_tasks_count": setting.golden_per_page,
                    "mix_tasks_in_creation_order": setting.in_order,
                },
            }),
        );
        let pool = w.pool(&w.project().await, over).await;
        w.tasks(many(setting.tasks, |n| real(&pool, n))).await;
        let goldens = w
            .tasks(many(setting.goldens, |n| golden(&pool, n)))
            .await
            .into_iter()
            .collect();
        w.open(&pool).await;
        let mut workers = Vec::new();
        for name in ["a", "b", "c", "d"] {
            workers.push(w.worker(name).await);
        }
        let start_balance = w.balance().await;
        Self {
            w,
            pool,
            setting,
            workers,
            hands: vec![Vec::new(); 4],
            seen: vec![BTreeSet::new(); 4],
            goldens,
            start_balance,
        }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Take(who) => self.take(who).await,
            Step::Submit(who, right) => self.submit(who, right).await,
            Step::Skip(who) => self.give_back(who, "skip").await,
            Step::Exit(who) => self.give_back(who, "exit").await,
            Step::Pass(seconds) => self.w.pass(seconds),
            Step::Review(accept) => self.review(accept).await,
        }
    }

    async fn take(&mut self, who: usize) {
        let banned = !self.w.bans(&self.workers[who]).await.is_empty();
        let (state, _) = self.w.pool_state(&self.pool).await;
        let Ok(page) = self.w.take(&self.workers[who], &self.pool).await else {
            return;
        };
        assert!(!banned, "a ban is effective at once");
        assert_eq!(state, "OPEN", "a closed pool gives nothing out");
        let tasks = task_ids(&page);
        let golden = tasks
            .iter()
            .filter(|task| self.goldens.contains(*task))
            .count();
        assert_eq!(golden, self.setting.golden_per_page);
        assert!((1..=self.setting.per_page).contains(&(tasks.len() - golden)));
        for task in tasks {
            assert!(self.seen[who].insert(task), "nobody gets a task twice");
        }
        self.hands[who].push(page);
    }

    async fn submit(&mut self, who: usize, right: bool) {
        if self.hands[who].is_empty() {
            return;
        }
        let page = self.hands[who].remove(0);
        let answers: Vec<&str> = task_ids(&page)
            .iter()
            .map(|task| {
                if self.goldens.contains(task) && right {
                    "cat"
                } else {
                    "dog"
                }
            })
            .collect();
        let (status, answer) = self.w.submit(&self.workers[who], &page, &answers).await;
        assert!(
            status == 200 || answer["code"] == "ASSIGNMENT_EXPIRED",
            "{answer}"
        );
        let failed = status == 200 && !right && self.setting.golden_per_page > 0;
        if failed {
            assert!(!self.w.bans(&self.workers[who]).await.is_empty());
        }
    }

    async fn give_back(&mut self, who: usize, verb: &str) {
        if let Some(page) = self.hands[who].pop() {
            let path = format!("/assignments/{}/{verb}", id(&page));
            let (status, _) = self
                .w
                .work(&self.workers[who], "POST", &path, Value::Null)
                .await;
            assert!(status == 200 || status == 409);
        }
    }

    async fn review(&mut self, accept: bool) {
        let path = format!(
            "/api/v1/assignments?pool_id={}&status=SUBMITTED&limit=1",
            self.pool
        );
        if let Some(first) = self.w.get(&path).await["items"].as_array().unwrap().first() {
            let status = if accept { "ACCEPTED" } else { "REJECTED" };
            let path = format!("/api/v1/assignments/{}", id(first));
            self.w
                .ok(
                    "PATCH",
                    &path,
                    json!({"status": status, "public_comment": "x"}),
                )
                .await;
        }
    }

    /// What must be true after every step.
    async fn check(&self) {
        let path = format!("/api/v1/assignments?pool_id={}&limit=1000", self.pool);
        let assignments = self.w.get(&path).await["items"].as_array().unwrap().clone();
        let mut out: BTreeMap<String, i64> = BTreeMap::new();
        let mut done: BTreeMap<String, i64> = BTreeMap::new();
        let (mut paid, mut active) = (0.0, false);
        for assignment in &assignments {
            let status = assignment["status"].as_str().unwrap();
            let came = ["SUBMITTED", "ACCEPTED", "REJECTED"].contains(&status);
            active |= status == "ACTIVE";
            if status == "ACCEPTED" || status == "SUBMITTED" {
                paid += assignment["reward"].as_f64().unwrap();
            }
            for task in task_ids(assignment) {
                *out.entry(task.clone()).or_default() += i64::from(came || status == "ACTIVE");
                *done.entry(task).or_default() += i64::from(came);
            }
        }
        let tasks = self
            .w
            .get(&format!("/api/v1/tasks?pool_id={}&limit=1000", self.pool))
            .await;
        let mut complete = !active;
        for task in tasks["items"].as_array().unwrap() {
            if task["infinite_overlap"] == true {
                continue;
            }
            let given = out.get(&id(task)).copied().unwrap_or(0);
            assert!(given <= self.setting.overlap, "overlap is never exceeded");
            assert_eq!(
                task["remaining_overlap"],
                self.setting.overlap - given,
                "what comes back is given out again"
            );
            complete &= done.get(&id(task)).copied().unwrap_or(0) == self.setting.overlap;
        }
        let (state, reason) = self.w.pool_state(&self.pool).await;
        assert_eq!(
            state == "CLOSED",
            complete,
            "a pool closes exactly when it is complete"
        );
        assert!(!complete || reason == "COMPLETED");
        assert!(
            (self.start_balance - self.w.balance().await - paid).abs() < 1e-9,
            "what is paid is the sum of the rewards"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(setting in setting(), steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut run = Run::new(setting).await;
            for step in &steps {
                run.step(step).await;
                run.check().await;
            }
        });
    }
}
