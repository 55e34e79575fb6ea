//! What belongs to a requester is invisible and untouchable to all others.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    api::keyed,
    world::{World, id, merge, parse},
};

const OWNER: &str = "ApiKey key-a";
const STRANGER: &str = "ApiKey key-b";

/// The routes of the requester API, as the sources register them: method and path.
fn routes() -> Vec<(String, String)> {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut texts = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut texts,
    );
    let mut routes = Vec::new();
    for route in texts.iter().flat_map(|text| text.split(".route(").skip(1)) {
        let rest = route.trim_start().strip_prefix('"');
        let rest = rest.unwrap_or_else(|| panic!("write the path of a route as it is: {route}"));
        let (path, rest) = rest.split_once('"').unwrap();
        let ours = ["/api/worker/", "/api/"].map(|prefix| path.starts_with(prefix));
        if ours != [false, true] {
            continue;
        }
        let handlers = rest.split(';').next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                routes.push((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    routes.sort();
    routes
}

struct Owned {
    w: World,
    project: String,
    pool: String,
    training: String,
    task: String,
    suite: String,
    assignment: String,
    worker: String,
    skill: String,
    operation: String,
}

impl Owned {
    async fn call(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let (status, text) = self.w.send(Some(key), method, path, body).await;
        // A download and a table are no JSON.
        let answer = if status == 200 && (path.contains("/download") || path.contains(".tsv")) {
            json!(text)
        } else {
            parse(&text)
        };
        (status, answer)
    }

    async fn make(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(OWNER, method, path, &body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// An account with one of everything that pools need.
    async fn new() -> Self {
        let mut owned = Self {
            w: World::with(keyed()).await,
            project: String::new(),
            pool: String::new(),
            training: String::new(),
            task: String::new(),
            suite: String::new(),
            assignment: String::new(),
            worker: String::new(),
            skill: String::new(),
            operation: String::new(),
        };
        let form = json!({"public_name": "p", "assignments_issuing_type": "AUTOMATED", "task_spec": {
            "input_spec": {"image": {"type": "url"}}, "output_spec": {"result": {"type": "file"}}}});
        owned.project = id(&owned.make("POST", "/api/v1/projects", form).await);
        owned.pool = id(&owned
            .make("POST", "/api/v1/pools", owned.pool_form(&owned.project))
            .await);
        owned.training = id(&owned
            .make(
                "POST",
                "/api/v1/trainings",
                owned.training_form(&owned.project),
            )
            .await);
        let task = json!({"pool_id": owned.pool, "overlap": 3, "input_values": {"image": "https://e.com/1.png"}});
        owned.task = id(&owned.make("POST", "/api/v1/tasks", task).await);
        let open = format!("/api/v1/pools/{}/open", owned.pool);
        owned.operation = id(&owned.make("POST", &open, Value::Null).await);
        let worker = owned.w.worker("ann").await;
        let page = owned.w.take(&worker, &owned.pool).await.unwrap();
        owned.assignment = id(&page);
        owned.suite = page["task_suite_id"].as_str().unwrap().to_owned();
        let (_, file) = owned
            .w
            .upload(&worker, &owned.assignment, "a.png", b"a".to_vec())
            .await;
        let answer = json!({"solutions": [{"output_values": {"result": id(&file)}}]});
        let path = format!("/assignments/{}/submit", owned.assignment);
        assert_eq!(owned.w.work(&worker, "POST", &path, answer).await.0, 200);
        owned.worker = worker.id;
        owned.skill = id(&owned
            .make("POST", "/api/v1/skills", json!({"name": "s"}))
            .await);
        owned
    }

    fn pool_form(&self, project: &str) -> Value {
        json!({
            "project_id": project, "private_name": "p", "will_expire": "2027-01-01T00:00:00",
            "reward_per_assignment": 0.1, "assignment_max_duration_seconds": 600,
            "auto_accept_solutions": false, "defaults": {"default_overlap_for_new_task_suites": 3},
            "mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0},
        })
    }

    fn training_form(&self, project: &str) -> Value {
        json!({"project_id": project, "private_name": "t", "training_tasks_in_task_suite_count": 1})
    }

    /// The owner's object that a path with an id is about.
    async fn object(&self, path: &str) -> String {
        let kind = path.split("/{").next().unwrap().rsplit('/').next().unwrap();
        let first = async |list: &str| {
            let page = self
                .make("GET", &format!("/api/v1/{list}"), Value::Null)
                .await;
            id(&page["items"][0])
        };
        match kind {
            "projects" => self.project.clone(),
            "pools" => self.pool.clone(),
            "trainings" => self.training.clone(),
            "tasks" => self.task.clone(),
            "task-suites" => self.suite.clone(),
            "assignments" => self.assignment.clone(),
            "skills" => self.skill.clone(),
            "operations" | "aggregated-solutions" => self.operation.clone(),
            "attachments" => first(&format!("attachments?pool_id={}", self.pool)).await,
            "user-skills" => {
                let body = json!({"skill_id": self.skill, "user_id": self.worker, "value": 5});
                id(&self.make("PUT", "/api/v1/user-skills", body).await)
            }
            "user-restrictions" => {
                let body = json!({"scope": "POOL", "pool_id": self.pool, "user_id": self.worker});
                id(&self.make("PUT", "/api/v1/user-restrictions", body).await)
            }
            "user-bonuses" => {
                let body = json!({"user_id": self.worker, "amount": 1});
                id(&self.make("POST", "/api/v1/user-bonuses", body).await)
            }
            "message-threads" => {
                let body = json!({"topic": {"EN": "t"}, "text": {"EN": "x"},
                    "recipients_select_type": "DIRECT", "recipients_ids": [self.worker]});
                id(&self
                    .make("POST", "/api/v1/message-threads/compose", body)
                    .await)
            }
            "webhook-subscriptions" => {
                let body = json!([{"webhook_url": "http://127.0.0.1:9/", "event_type": "POOL_CLOSED",
                    "pool_id": self.pool}]);
                let made = self
                    .make("PUT", "/api/v1/webhook-subscriptions", body)
                    .await;
                id(&made["items"]["0"])
            }
            _ => panic!("say which object of the owner {path} is about"),
        }
    }

    /// All that the owner reads.
    async fn state(&self) -> Vec<(String, Value)> {
        let mut state = Vec::new();
        for (method, path) in routes() {
            if method == "GET" && !path.contains('{') {
                let path = format!("{path}?pool_id={}", self.pool);
                let (status, answer) = self.call(OWNER, "GET", &path, &Value::Null).await;
                assert_eq!(status, 200, "{path}: {answer}");
                state.push((path, answer));
            }
        }
        assert!(state.len() > 10, "{}", state.len());
        state
    }
}

#[tokio::test]
async fn no_route_opens_what_belongs_to_another_account() {
    let owned = Owned::new().await;
    let routes: Vec<_> = routes()
        .into_iter()
        .filter(|(_, path)| path.contains('{'))
        .collect();
    assert!(routes.len() > 40, "{} routes have an id", routes.len());
    let mut paths = Vec::new();
    for (method, path) in routes {
        // What is known about a worker is known to every requester.
        if path != "/api/v1/user-metadata/{id}" {
            let (before, after) = path.split_once("/{").unwrap();
            let after = after.split_once('}').unwrap().1;
            let object = owned.object(&path).await;
            paths.push((method, format!("{before}/{object}{after}")));
        }
    }
    let before = owned.state().await;
    for (method, path) in &paths {
        let (status, answer) = owned.call(STRANGER, method, path, &json!({})).await;
        let code = answer["code"].as_str();
        assert!(
            matches!(
                (status, code),
                (403, Some("ACCESS_DENIED")) | (404, Some("DOES_NOT_EXIST"))
            ),
            "{method} {path}: {status} {answer}"
        );
    }
    assert_eq!(owned.state().await, before);
    // The same requests do reach the objects with the right key.
    for (method, path) in paths.iter().filter(|(method, _)| method == "GET") {
        let (status, answer) = owned.call(OWNER, method, path, &Value::Null).await;
        let no_solutions = path.contains("aggregated-solutions");
        assert!(status == 200 || no_solutions, "{path}: {status} {answer}");
    }
}

#[tokio::test]
async fn no_list_shows_what_belongs_to_another_account() {
    let owned = Owned::new().await;
    for kind in [
        "user-skills",
        "user-restrictions",
        "user-bonuses",
        "message-threads",
    ] {
        owned.object(&format!("/api/v1/{kind}/{{id}}")).await;
    }
    for (method, path) in routes() {
        if method != "GET" || path.contains('{') || path == "/api/v1/requester" {
            continue;
        }
        let asked = |query: &str| format!("{path}{query}");
        let (status, page) = owned.call(STRANGER, "GET", &path, &Value::Null).await;
        assert!(
            status == 400 || page["items"] == json!([]),
            "{path}: {page}"
        );
        for query in [
            format!("?pool_id={}", owned.pool),
            format!("?assignment_id={}", owned.assignment),
            format!("?task_id={}", owned.task),
            format!("?task_suite_id={}", owned.suite),
            format!("?user_id={}&project_id={}", owned.worker, owned.project),
        ] {
            let (status, page) = owned
                .call(STRANGER, "GET", &asked(&query), &Value::Null)
                .await;
            assert!(
                matches!(status, 400 | 403 | 404) || page["items"] == json!([]),
                "{path}{query}: {status} {page}"
            );
        }
    }
}

#[tokio::test]
async fn no_body_uses_what_belongs_to_another_account() {
    let owned = Owned::new().await;
    let form = json!({"public_name": "p", "task_spec": {"input_spec": {}, "output_spec": {"result": {"type": "string"}}}});
    let (_, mine) = owned
        .call(STRANGER, "POST", "/api/v1/projects", &form)
        .await;
    let mine = id(&mine);
    let requirement = json!({"quality_control": {"training_requirement": {
        "training_pool_id": owned.training, "training_passing_skill_value": 5}}});
    let mut with_training = owned.pool_form(&mine);
    merge(&mut with_training, requirement);
    let (pool, skill, worker) = (&owned.pool, &owned.skill, &owned.worker);
    let task =
        json!({"pool_id": pool, "overlap": 1, "input_values": {"image": "https://e.com/1.png"}});
    let suite = json!({"pool_id": pool, "overlap": 1, "tasks": [{"input_values": {"image": "https://e.com/1.png"}}]});
    let before = owned.state().await;
    for (method, path, body) in [
        ("POST", "/api/v1/pools", owned.pool_form(&owned.project)),
        ("POST", "/api/v1/pools", with_training),
        (
            "POST",
            "/api/v1/trainings",
            owned.training_form(&owned.project),
        ),
        ("POST", "/api/v1/tasks", task.clone()),
        (
            "POST",
            "/api/v1/tasks?skip_invalid_items=true",
            json!([task]),
        ),
        ("POST", "/api/v1/task-suites", suite),
        (
            "PUT",
            "/api/v1/user-skills",
            json!({"skill_id": skill, "user_id": worker, "value": 5}),
        ),
        (
            "PUT",
            "/api/v1/user-restrictions",
            json!({"scope": "POOL", "pool_id": pool, "user_id": worker}),
        ),
        (
            "PUT",
            "/api/v1/user-restrictions",
            json!({"scope": "PROJECT", "project_id": owned.project, "user_id": worker}),
        ),
        (
            "POST",
            "/api/v1/user-bonuses",
            json!({"user_id": worker, "amount": 1, "assignment_id": owned.assignment}),
        ),
        (
            "PUT",
            "/api/v1/webhook-subscriptions",
            json!({"webhook_url": "http://127.0.0.1:9/", "event_type": "POOL_CLOSED", "pool_id": pool}),
        ),
        (
            "POST",
            "/api/staging/analytics-2",
            json!([{"name": "spent_budget", "subject": "POOL", "subject_id": pool}]),
        ),
        (
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-pool",
            json!({"type": "DAWID_SKENE", "pool_id": pool, "fields": [{"name": "result"}]}),
        ),
        (
            "POST",
            "/api/v1/aggregated-solutions/aggregate-by-task",
            json!({"type": "WEIGHTED_DYNAMIC_OVERLAP", "pool_id": pool, "task_id": owned.task, "answer_weight_skill_id": skill, "fields": [{"name": "result"}]}),
        ),
    ] {
        let (status, answer) = owned.call(STRANGER, method, path, &body).await;
        assert!(
            matches!(status, 400 | 403 | 404),
            "{method} {path} {body}: {status} {answer}"
        );
        assert!(answer["code"].is_string(), "{answer}");
    }
    assert_eq!(owned.state().await, before);
}

#[tokio::test]
async fn a_filter_knows_only_the_requesters_own_skills() {
    let owned = Owned::new().await;
    owned.object("/api/v1/user-skills/{id}").await;
    let reaches = async |key: &str| {
        let has = json!({"category": "skill", "key": owned.skill, "operator": "NE", "value": null});
        let body = json!({"topic": {"EN": "t"}, "text": {"EN": "x"}, "recipients_select_type": "FILTER", "recipients_filter": has});
        owned
            .call(key, "POST", "/api/v1/message-threads/compose", &body)
            .await
            .0
    };
    assert_eq!(reaches(OWNER).await, 201);
    assert_eq!(
        reaches(STRANGER).await,
        409,
        "nobody has a skill that it knows"
    );
}
