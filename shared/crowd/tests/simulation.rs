//! A simulated crowd works real projects on the real platform, over loopback HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeSet;

use axum::Router;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use quorate_crowd::simulate::{self, Character, Simulation, Truth};
use quorate_crowd::{Clock, Config, Platform, serve};
use serde_json::{Value, json};

const LABELS: [&str; 3] = ["cat", "dog", "other"];

/// A platform on a loopback port with a clock that jumps, and a requester's client.
struct World {
    base_url: String,
    clock: Clock,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::manual("2026-01-05T08:00:00Z".parse::<Timestamp>().unwrap());
        let platform = Platform::open(Config {
            clock: clock.clone(),
            seed: 5,
            invite: Some("team".to_owned()),
            password_rounds: 1,
            ..Config::default()
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, platform, std::future::pending()));
        Self {
            base_url,
            clock,
            http: quorate_toloka::http_builder().build().unwrap(),
        }
    }

    fn simulation(&self, seed: u64, workers: usize, truth: Truth) -> Simulation {
        Simulation::new(simulate::Config {
            base_url: self.base_url.clone(),
            invite: "team".to_owned(),
            seed,
            workers,
            truth,
            clock: self.clock.clone(),
        })
        .unwrap()
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> String {
        let url = format!("{}{path}", self.base_url);
        let mut request = self
            .http
            .request(method, &url)
            .header("Authorization", "ApiKey any");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {text}");
        text
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let text = self
            .call(reqwest::Method::POST, &format!("/api/v1{path}"), Some(body))
            .await;
        serde_json::from_str(&text).unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let text = self
            .call(reqwest::Method::GET, &format!("/api/v1{path}"), None)
            .await;
        serde_json::from_str(&text).unwrap()
    }

    async fn create(&self, path: &str, body: Value) -> String {
        let made = self.post(path, body).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn open(&self, path: &str) {
        self.call(reqwest::Method::POST, &format!("/api/v1{path}/open"), None)
            .await;
    }

    async fn is_open(&self, pool: &str) -> bool {
        self.get(&format!("/pools/{pool}")).await["status"] == "OPEN"
    }

    /// Lets the crowd work until `pool` closes by itself.
    async fn work_until_closed(&self, simulation: &mut Simulation, pool: &str) {
        let mut steps = 0;
        while self.is_open(pool).await {
            for _ in 0..20 {
                self.clock
                    .wait_until(simulation.next_event().unwrap())
                    .await;
                simulation.step().await.unwrap();
                steps += 1;
            }
            assert!(
                steps < 5_000,
                "the pool does not come to its end: {:?}",
                simulation.stats()
            );
        }
    }

    async fn answers(&self, pool: &str) -> String {
        let path = format!("/api/new/requester/pools/{pool}/assignments.tsv?status=APPROVED");
        self.call(reqwest::Method::GET, &path, None).await
    }
}

fn project() -> Value {
    let options: Vec<Value> = LABELS
        .iter()
        .map(|label| json!({"value": label, "label": label}))
        .collect();
    let data = json!({"type": "data.output", "path": "result"});
    let field = json!({"type": "field.radio-group", "data": data, "options": options});
    let view = json!({"view": {"type": "view.list", "items": [field]}});
    json!({
        "public_name": "Animals",
        "public_description": "Which animal is it?",
        "assignments_issuing_type": "AUTOMATED",
        "task_spec": {
            "input_spec": {"image": {"type": "string"}},
            "output_spec": {"result": {"type": "string"}},
            "view_spec": {"type": "tb", "config": view.to_string()},
        },
    })
}

fn pool(project: &str, golden: u32, real: u32) -> Value {
    json!({
        "project_id": project,
        "private_name": "pool",
        "may_contain_adult_content": false,
        "will_expire": "2027-01-01T00:00:00",
        "reward_per_assignment": 0.05,
        "assignment_max_duration_seconds": 600,
        "auto_close_after_complete_delay_seconds": 0,
        "auto_accept_solutions": true,
        "defaults": {"default_overlap_for_new_tasks": 3, "default_overlap_for_new_task_suites": 3},
        "mixer_config": {"golden_tasks_count": golden, "real_tasks_count": real, "training_tasks_count": 0},
    })
}

/// Whoever fails too many of the last five control tasks is banned from the project.
fn golden_rule() -> Value {
    let condition = |key: &str, operator: &str, value: u32| json!({"key": key, "operator": operator, "value": value});
    let parameters = json!({"scope": "PROJECT", "duration_unit": "PERMANENT", "private_comment": "control tasks"});
    json!({"configs": [{
        "collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": 5}},
        "rules": [{
            "conditions": [
                condition("golden_set_answers_count", "GTE", 3),
                condition("golden_set_correct_answers_rate", "LT", 50),
            ],
            "action": {"type": "RESTRICTION_V2", "parameters": parameters},
        }],
    }]})
}

fn real_tasks(pool: &str, count: usize) -> Vec<Value> {
    let label = |n: usize| LABELS[n % LABELS.len()];
    let task = |n| json!({"pool_id": pool, "input_values": {"image": format!("images/{}/{n}.png", label(n))}});
    (0..count).map(task).collect()
}

fn golden_tasks(pool: &str, count: usize) -> Vec<Value> {
    let task = |n: usize| {
        let label = LABELS[n % LABELS.len()];
        json!({
            "pool_id": pool,
            "input_values": {"image": format!("golden/{label}/{n}.png")},
            "known_solutions": [{"output_values": {"result": label}, "correctness_weight": 1}],
            "infinite_overlap": true,
            "overlap": null,
        })
    };
    (0..count).map(task).collect()
}

/// One whole campaign with control tasks: the answers, who was banned, and the simulation at its end.
async fn campaign(seed: u64) -> (String, BTreeSet<String>, Simulation) {
    let world = World::new().await;
    let project = world.create("/projects", project()).await;
    let mut form = pool(&project, 1, 4);
    form["quality_control"] = golden_rule();
    let pool = world.create("/pools", form).await;
    let mut tasks = real_tasks(&pool, 80);
    tasks.extend(golden_tasks(&pool, 15));
    world
        .post("/tasks?async_mode=false&allow_defaults=true", json!(tasks))
        .await;
    world.open(&format!("/pools/{pool}")).await;
    let mut simulation = world.simulation(seed, 10, Truth::new());
    simulation.start().await.unwrap();
    world.work_until_closed(&mut simulation, &pool).await;
    let restrictions = world.get("/user-restrictions?limit=100").await;
    let banned = restrictions["items"].as_array().unwrap().iter();
    let banned = banned
        .map(|ban| ban["user_id"].as_str().unwrap().to_owned())
        .collect();
    (world.answers(&pool).await, banned, simulation)
}

#[tokio::test]
async fn control_tasks_ban_spammers_and_the_same_seed_gives_the_same_answers() {
    let (answers, banned, simulation) = campaign(3).await;
    for (worker, character) in simulation.workers() {
        if character.is_spammer() {
            assert!(
                banned.contains(worker),
                "{character:?} {worker} got away with it"
            );
        }
        if character == Character::Careful {
            assert!(
                !banned.contains(worker),
                "careful worker {worker} was banned"
            );
        }
    }
    let stats = simulation.stats();
    let accuracy = |character| {
        let of = stats.characters[&character];
        let percent = |n: u64| u32::try_from(n * 100 / of.answers.max(1)).unwrap();
        percent(of.correct)
    };
    assert!(
        accuracy(Character::Careful) >= 90,
        "{}",
        accuracy(Character::Careful)
    );
    assert!(
        (65..95).contains(&accuracy(Character::Average)),
        "{}",
        accuracy(Character::Average)
    );
    assert!(
        stats.answers >= 240,
        "80 tasks with three answers each: {}",
        stats.answers
    );
    assert_eq!(stats.refused, 0);

    let (again, banned_again, _) = campaign(3).await;
    assert_eq!(answers, again);
    assert_eq!(banned, banned_again);
    let (other, ..) = campaign(4).await;
    assert_ne!(answers, other, "another seed is another crowd");
}

/// Real tasks behind a training whose hints do not name the label.
#[tokio::test]
async fn hints_take_the_crowd_through_a_training() {
    let world = World::new().await;
    let project = world.create("/projects", project()).await;
    let training = json!({
        "project_id": project,
        "private_name": "training",
        "may_contain_adult_content": false,
        "inherited_instructions": true,
        "assignment_max_duration_seconds": 600,
        "training_tasks_in_task_suite_count": 6,
        "task_suites_required_to_pass": 1,
        "mix_tasks_in_creation_order": true,
        "shuffle_tasks_in_task_suite": true,
    });
    let training = world.create("/trainings", training).await;
    let mut lessons = golden_tasks(&training, 6);
    for lesson in &mut lessons {
        lesson["message_on_unknown_solution"] = json!("Look at the ears again.");
    }
    world
        .post(
            "/tasks?async_mode=false&allow_defaults=true",
            json!(lessons),
        )
        .await;
    world.open(&format!("/trainings/{training}")).await;
    let mut form = pool(&project, 0, 5);
    form["quality_control"] = json!({
        "training_requirement": {"training_pool_id": training, "training_passing_skill_value": 50},
        "configs": [],
    });
    let pool = world.create("/pools", form).await;
    world
        .post(
            "/tasks?async_mode=false&allow_defaults=true",
            json!(real_tasks(&pool, 30)),
        )
        .await;
    world.open(&format!("/pools/{pool}")).await;

    let mut simulation = world.simulation(1, 20, Truth::new());
    simulation.start().await.unwrap();
    world.work_until_closed(&mut simulation, &pool).await;
    let stats = simulation.stats();
    assert!(stats.hints > 0, "{stats:?}");
    let answers = world.answers(&pool).await;
    assert_eq!(
        answers.lines().count(),
        1 + 30 * 3,
        "every task has its three answers"
    );
}

#[tokio::test]
async fn a_restarted_simulation_finishes_the_pages_in_work() {
    let world = World::new().await;
    let project = world.create("/projects", project()).await;
    let pool = world.create("/pools", pool(&project, 0, 5)).await;
    let tasks = json!(real_tasks(&pool, 40));
    world
        .post("/tasks?async_mode=false&allow_defaults=true", tasks)
        .await;
    world.open(&format!("/pools/{pool}")).await;
    let with_status = |status: &str| format!("/assignments?pool_id={pool}&status={status}");
    let ids = |list: &Value| -> BTreeSet<String> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let mut first = world.simulation(2, 3, Truth::new());
    first.start().await.unwrap();
    let mut in_work = BTreeSet::new();
    while in_work.len() < 2 {
        world.clock.wait_until(first.next_event().unwrap()).await;
        first.step().await.unwrap();
        in_work = ids(&world.get(&with_status("ACTIVE")).await);
    }
    drop(first);
    let mut second = world.simulation(2, 3, Truth::new());
    second.start().await.unwrap();
    for _ in 0..12 {
        world.clock.wait_until(second.next_event().unwrap()).await;
        second.step().await.unwrap();
    }
    let accepted = ids(&world.get(&with_status("ACCEPTED")).await);
    assert!(in_work.is_subset(&accepted), "{in_work:?} of {accepted:?}");
}

/// What a start says to a platform that answers everything with `status`, and when the one worker does
/// something next.
async fn start_at(status: u16) -> (Result<(), simulate::Error>, Option<SignedDuration>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(async move || StatusCode::from_u16(status).unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let mut simulation = Simulation::new(simulate::Config {
        base_url,
        invite: String::new(),
        seed: 1,
        workers: 1,
        truth: Truth::new(),
        clock,
    })
    .unwrap();
    let started = simulation.start().await;
    let next = simulation.next_event();
    (
        started,
        next.map(|next| next.duration_since(Timestamp::UNIX_EPOCH)),
    )
}

#[tokio::test]
async fn a_worker_for_whom_the_platform_fails_comes_later() {
    let (started, next) = start_at(500).await;
    assert_eq!(
        (started.is_ok(), next),
        (true, Some(SignedDuration::from_secs(30)))
    );
    let (started, next) = start_at(400).await;
    assert_eq!((started.is_ok(), next), (false, None));
}

#[tokio::test]
async fn pages_with_a_broken_image_are_skipped() {
    let world = World::new().await;
    let project = world.create("/projects", project()).await;
    let pool = world.create("/pools", pool(&project, 0, 1)).await;
    let missing = format!("{}/no-such-image.png", world.base_url);
    let task = json!({"pool_id": pool, "input_values": {"image": missing}});
    world
        .post("/tasks?async_mode=false&allow_defaults=true", json!([task]))
        .await;
    world.open(&format!("/pools/{pool}")).await;
    let mut simulation = world.simulation(2, 3, Truth::new());
    simulation.start().await.unwrap();
    for _ in 0..30 {
        world
            .clock
            .wait_until(simulation.next_event().unwrap())
            .await;
        simulation.step().await.unwrap();
    }
    let stats = simulation.stats();
    assert_eq!((stats.skips, stats.pages), (3, 0));
    assert_eq!(stats.image_failures.get(&404), Some(&3));
}

#[tokio::test]
async fn projects_that_ask_for_files_get_files() {
    let world = World::new().await;
    let mut form = project();
    form["task_spec"]["output_spec"]["photo"] = json!({"type": "file"});
    form["task_spec"]["output_spec"]["more"] = json!({"type": "array_file", "min_size": 1});
    let project = world.create("/projects", form).await;
    let pool = world.create("/pools", pool(&project, 0, 2)).await;
    let path = "/tasks?async_mode=false&allow_defaults=true";
    world.post(path, json!(real_tasks(&pool, 4))).await;
    world.open(&format!("/pools/{pool}")).await;
    let mut simulation = world.simulation(2, 4, Truth::new());
    simulation.start().await.unwrap();
    world.work_until_closed(&mut simulation, &pool).await;
    let pages = world
        .get(&format!("/assignments?pool_id={pool}&status=ACCEPTED"))
        .await;
    let pages = pages["items"].as_array().unwrap();
    assert!(!pages.is_empty());
    for page in pages {
        let path = format!(
            "/attachments?assignment_id={}",
            page["id"].as_str().unwrap()
        );
        let files = world.get(&path).await;
        let file = &files["items"][0]["id"];
        for solution in page["solutions"].as_array().unwrap() {
            assert_eq!(&solution["output_values"]["photo"], file);
            assert_eq!(solution["output_values"]["more"], json!([file]));
        }
    }
}
