//! Invariants that hold for every set of projects, pools and workers, and every order of events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Worker, World, ban, golden, id, many, merge, real, rule, task_ids, when};

/// A random pool.
#[derive(Clone, Debug)]
struct Setting {
    /// One of two projects.
    project: usize,
    tasks: usize,
    goldens: usize,
    overlap: i64,
    per_page: usize,
    golden_per_page: usize,
    /// The requester makes the pages.
    by_hand: bool,
    in_order: bool,
    manual: bool,
    /// What is rejected is asked again.
    reissue: bool,
    /// Where a wrong answer to a control task bans.
    scope: &'static str,
}

/// What happens next: who, in which pool.
#[derive(Clone, Debug)]
enum Step {
    Take(usize, usize),
    /// Submits the oldest page in hand; the flag says whether control tasks are answered rightly.
    Submit(usize, bool),
    Skip(usize),
    Exit(usize),
    Pass(u64),
    Review(usize, bool),
    /// Asks more workers about one of the tasks.
    Raise(usize, usize),
    /// Uploads one more task, or page.
    Upload(usize),
}

fn setting() -> impl Strategy<Value = Setting> {
    let numbers = (
        0..2usize,
        1..10usize,
        2..6usize,
        1..4i64,
        1..4usize,
        0..2usize,
    );
    let scope = prop::sample::select(vec!["POOL", "PROJECT", "ALL_PROJECTS"]);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (numbers, switches, scope).prop_map(|(numbers, switches, scope)| {
        let (project, tasks, goldens, overlap, per_page, golden_per_page) = numbers;
        let (by_hand, in_order, manual, reissue) = switches;
        Setting {
            project,
            tasks,
            goldens,
            overlap,
            per_page,
            golden_per_page,
            by_hand,
            in_order,
            manual,
            reissue,
            scope,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (who, pool) = (0..4usize, 0..3usize);
    prop_oneof![
        6 => (who.clone(), pool.clone()).prop_map(|(who, pool)| Step::Take(who, pool)),
        6 => (who.clone(), prop::bool::weighted(0.8)).prop_map(|(who, right)| Step::Submit(who, right)),
        1 => who.clone().prop_map(Step::Skip),
        1 => who.prop_map(Step::Exit),
        1 => (1..400u64).prop_map(Step::Pass),
        2 => (pool.clone(), any::<bool>()).prop_map(|(pool, accept)| Step::Review(pool, accept)),
        1 => (pool.clone(), 0..10usize).prop_map(|(pool, task)| Step::Raise(pool, task)),
        1 => pool.prop_map(Step::Upload),
    ]
}

/// A pool and what the test knows about it.
struct Place {
    id: String,
    setting: Setting,
    goldens: BTreeSet<String>,
    /// How many workers are to be asked about each task of finite overlap.
    asked: BTreeMap<String, i64>,
    /// The suites of the requester, with their tasks.
    suites: Vec<(String, Vec<String>)>,
    uploaded: usize,
}

struct Run {
    w: World,
    places: Vec<Place>,
    workers: Vec<Worker>,
    /// Pages in hand, with the place.
    hands: Vec<Vec<(usize, Value)>>,
    seen: Vec<BTreeSet<String>>,
    /// Where each worker is banned.
    banned: Vec<BTreeSet<usize>>,
    start_balance: f64,
}

impl Run {
    async fn new(settings: Vec<Setting>) -> Self {
        let w = World::new().await;
        let projects = [w.project().await, w.project().await];
        let mut workers = Vec::new();
        for name in ["a", "b", "c", "d"] {
            workers.push(w.worker(name).await);
        }
        let start_balance = w.balance().await;
        let mut run = Self {
            w,
            places: Vec::new(),
            workers,
            hands: vec![Vec::new(); 4],
            seen: vec![BTreeSet::new(); 4],
            banned: vec![BTreeSet::new(); 4],
            start_balance,
        };
        for setting in settings {
            let project = &projects[setting.project];
            let place = Place::new(&run.w, project, setting).await;
            run.places.push(place);
        }
        run
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Take(who, pool) if pool < self.places.len() => self.take(who, pool).await,
            Step::Submit(who, right) => self.submit(who, right).await,
            Step::Skip(who) => self.give_back(who, "skip").await,
            Step::Exit(who) => self.give_back(who, "exit").await,
            Step::Pass(seconds) => self.w.pass(seconds),
            Step::Review(pool, accept) if pool < self.places.len() => {
                self.review(pool, accept).await
            }
            Step::Raise(pool, task) if pool < self.places.len() => {
                self.places[pool].raise(&self.w, task).await;
            }
            Step::Upload(pool) if pool < self.places.len() => {
                self.places[pool].upload(&self.w, 1).await;
            }
            _ => {}
        }
    }

    async fn take(&mut self, who: usize, pool: usize) {
        let place = &self.places[pool];
        let (state, _) = self.w.pool_state(&place.id).await;
        let page = match self.w.take(&self.workers[who], &place.id).await {
            Ok(page) => page,
            Err(reason) => {
                assert_eq!(reason == "POOL_CLOSED", state == "CLOSED");
                let banned = self.banned[who].contains(&pool);
                assert!(
                    state == "CLOSED" || banned == (reason == "NO_ACCESS"),
                    "{reason}"
                );
                return;
            }
        };
        assert!(
            !self.banned[who].contains(&pool),
            "a ban is effective at once"
        );
        assert_eq!(state, "OPEN", "a closed pool gives nothing out");
        let tasks = task_ids(&page);
        let golden = tasks
            .iter()
            .filter(|task| place.goldens.contains(*task))
            .count();
        assert_eq!(golden, place.setting.golden_per_page);
        assert!((1..=place.setting.per_page).contains(&(tasks.len() - golden)));
        for task in tasks {
            assert!(self.seen[who].insert(task), "nobody gets a task twice");
        }
        self.hands[who].push((pool, page));
    }

    async fn submit(&mut self, who: usize, right: bool) {
        if self.hands[who].is_empty() {
            return;
        }
        let (pool, page) = self.hands[who].remove(0);
        let place = &self.places[pool];
        let answer = |task: &String| {
            if place.goldens.contains(task) && right {
                "cat"
            } else {
                "dog"
            }
        };
        let answers: Vec<&str> = task_ids(&page).iter().map(answer).collect();
        let (status, answer) = self.w.submit(&self.workers[who], &page, &answers).await;
        assert!(
            status == 200 || answer["code"] == "ASSIGNMENT_EXPIRED",
            "{answer}"
        );
        if status == 200 && !right && place.setting.golden_per_page > 0 {
            let covers = |other: &Place| match place.setting.scope {
                "POOL" => other.id == place.id,
                "PROJECT" => other.setting.project == place.setting.project,
                _ => true,
            };
            let covered = self
                .places
                .iter()
                .enumerate()
                .filter(|(_, other)| covers(other));
            let covered: Vec<usize> = covered.map(|(index, _)| index).collect();
            self.banned[who].extend(covered);
        }
    }

    async fn give_back(&mut self, who: usize, verb: &str) {
        if let Some((_, page)) = self.hands[who].pop() {
            let path = format!("/assignments/{}/{verb}", id(&page));
            let (status, _) = self
                .w
                .work(&self.workers[who], "POST", &path, Value::Null)
                .await;
            assert!(status == 200 || status == 409);
        }
    }

    async fn review(&mut self, pool: usize, accept: bool) {
        let place = &mut self.places[pool];
        let path = format!(
            "/api/v1/assignments?pool_id={}&status=SUBMITTED&limit=1",
            place.id
        );
        let waiting = self.w.get(&path).await["items"]
            .as_array()
            .unwrap()
            .first()
            .cloned();
        let Some(first) = waiting else { return };
        let status = if accept { "ACCEPTED" } else { "REJECTED" };
        let path = format!("/api/v1/assignments/{}", id(&first));
        self.w
            .ok(
                "PATCH",
                &path,
                json!({"status": status, "public_comment": "x"}),
            )
            .await;
        if !accept && place.setting.reissue {
            for task in task_ids(&first) {
                place.asked.entry(task).and_modify(|asked| *asked += 1);
            }
        }
    }

    /// What must be true after every step.
    async fn check(&self) {
        let mut paid = 0.0;
        for place in &self.places {
            paid += place.check(&self.w).await;
        }
        assert!(
            (self.start_balance - self.w.balance().await - paid).abs() < 1e-9,
            "what is paid is the sum of the rewards"
        );
    }
}

impl Place {
    async fn new(w: &World, project: &str, setting: Setting) -> Self {
        let conditions = json!([when("golden_set_incorrect_answers_rate", "GT", 0)]);
        let mut over = rule("GOLDEN_SET", json!({}), conditions, ban(setting.scope));
        if setting.reissue {
            let again = json!({
                "collector_config": {"type": "ASSIGNMENTS_ASSESSMENT"},
                "rules": [{
                    "conditions": [when("assessment_event", "EQ", "REJECT")],
                    "action": {"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": true}}}]});
            over["quality_control"]["configs"]
                .as_array_mut()
                .unwrap()
                .push(again);
        }
        let mixer = json!({
            "real_tasks_count": setting.per_page,
            "golden_tasks_count": setting.golden_per_page,
            "mix_tasks_in_creation_order": setting.in_order,
        });
        merge(
            &mut over,
            json!({
                "auto_accept_solutions": !setting.manual,
                "assignment_max_duration_seconds": 300,
                "defaults": {"default_overlap_for_new_tasks": setting.overlap, "default_overlap_for_new_task_suites": setting.overlap},
                "assignments_issuing_config": {"issue_task_suites_in_creation_order": setting.in_order},
                "mixer_config": if setting.by_hand { Value::Null } else { mixer },
            }),
        );
        let mut place = Self {
            id: w.pool(project, over).await,
            goldens: BTreeSet::new(),
            asked: BTreeMap::new(),
            suites: Vec::new(),
            uploaded: 0,
            setting,
        };
        if !place.setting.by_hand {
            let made = w
                .tasks(many(place.setting.goldens, |n| golden(&place.id, n)))
                .await;
            place.goldens.extend(made);
        }
        place.upload(w, place.setting.tasks).await;
        place
    }

    /// Uploads so many tasks, or pages, and sees to it that the pool is open.
    async fn upload(&mut self, w: &World, count: usize) {
        for _ in 0..count {
            self.uploaded += 1;
            if self.setting.by_hand {
                let mut tasks = many(self.setting.per_page, |n| {
                    real(&self.id, 100 * self.uploaded + n)
                });
                tasks.extend(many(self.setting.golden_per_page, |n| {
                    let mut task = golden(&self.id, 100 * self.uploaded + n);
                    task["infinite_overlap"] = Value::Null;
                    task
                }));
                let suite = json!({"pool_id": self.id, "tasks": tasks});
                let path = "/api/v1/task-suites?allow_defaults=true&open_pool=true";
                let suite = w.ok("POST", path, suite).await;
                let tasks = task_ids(&suite);
                self.goldens
                    .extend(tasks.iter().skip(self.setting.per_page).cloned());
                self.asked.extend(
                    tasks
                        .iter()
                        .map(|task| (task.clone(), self.setting.overlap)),
                );
                self.suites.push((id(&suite), tasks));
            } else {
                let path = "/api/v1/tasks?allow_defaults=true&open_pool=true";
                let task = w.ok("POST", path, real(&self.id, self.uploaded)).await;
                self.asked.insert(id(&task), self.setting.overlap);
            }
        }
    }

    async fn raise(&mut self, w: &World, index: usize) {
        let (path, tasks) = if self.setting.by_hand {
            let (suite, tasks) = self.suites[index % self.suites.len()].clone();
            (format!("/api/v1/task-suites/{suite}"), tasks)
        } else {
            let task = self
                .asked
                .keys()
                .nth(index % self.asked.len())
                .unwrap()
                .clone();
            (format!("/api/v1/tasks/{task}"), vec![task])
        };
        let asked = self.asked[&tasks[0]] + 1;
        w.ok(
            "PATCH",
            &format!("{path}?open_pool=true"),
            json!({"overlap": asked}),
        )
        .await;
        for task in tasks {
            self.asked.insert(task, asked);
        }
    }

    /// What must be true of a pool; returns what was paid in it.
    async fn check(&self, w: &World) -> f64 {
        let path = format!("/api/v1/assignments?pool_id={}&limit=1000", self.id);
        let assignments = w.get(&path).await["items"].as_array().unwrap().clone();
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
        let tasks = w
            .get(&format!("/api/v1/tasks?pool_id={}&limit=1000", self.id))
            .await;
        let mut complete = !active;
        for task in tasks["items"].as_array().unwrap() {
            let Some(asked) = self.asked.get(&id(task)) else {
                assert_eq!(task["infinite_overlap"], true);
                continue;
            };
            assert_eq!(task["overlap"], *asked, "as many are asked as was said");
            let given = out.get(&id(task)).copied().unwrap_or(0);
            assert!(given <= *asked, "overlap is never exceeded");
            assert_eq!(
                task["remaining_overlap"],
                asked - given,
                "what comes back is given out again"
            );
            complete &= done.get(&id(task)).copied().unwrap_or(0) == *asked;
        }
        crate::figures::agree(w, &self.id, &tasks, &assignments).await;
        let (state, reason) = w.pool_state(&self.id).await;
        assert_eq!(
            state == "CLOSED",
            complete,
            "a pool closes exactly when it is complete"
        );
        assert!(!complete || reason == "COMPLETED");
        paid
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(
        settings in prop::collection::vec(setting(), 1..4),
        steps in prop::collection::vec(step(), 1..50),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut run = Run::new(settings).await;
            for step in &steps {
                run.step(step).await;
                run.check().await;
            }
        });
    }
}
