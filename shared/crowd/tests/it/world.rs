//! A platform on loopback with a clock that is moved by hand, and what tests do to it.

use std::time::Duration;

use quorate_crowd::{Clock, Config, Platform, serve};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

pub(crate) const START: &str = "2026-01-01T00:00:00Z";
pub(crate) const INVITE: &str = "let-me-in";

/// A running platform.
pub(crate) struct World {
    /// In this process; a platform in another one is only called.
    platform: Option<Platform>,
    url: String,
    http: reqwest::Client,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// A worker who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) fn config() -> Config {
    Config {
        clock: Clock::manual(START.parse().unwrap()),
        seed: 7,
        invite: Some(INVITE.to_owned()),
        password_rounds: 1,
        ..Config::default()
    }
}

/// Puts the fields of `over` into `base`, recursively.
pub(crate) fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let platform = Platform::open(config).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = platform.clone();
        let server = tokio::spawn(async move {
            serve(listener, served, std::future::pending())
                .await
                .unwrap();
        });
        Self {
            platform: Some(platform),
            url,
            http: quorate_toloka::http_builder().build().unwrap(),
            server: Some(server),
        }
    }

    /// A platform that another process serves at `url`.
    pub(crate) fn at(url: String) -> Self {
        Self {
            platform: None,
            url,
            http: quorate_toloka::http_builder().build().unwrap(),
            server: None,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn platform(&self) -> &Platform {
        self.platform.as_ref().unwrap()
    }

    /// A request of the requester: the status, if the platform lived long enough to send it.
    pub(crate) async fn try_call(&self, method: &str, path: &str, body: Value) -> Option<u16> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("Authorization", "ApiKey local")
            .body(body.to_string());
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// Lets platform time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.platform()
            .clock()
            .advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn send(
        &self,
        authorization: Option<&str>,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> (u16, String) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The status of a request to read the account, sent under another name of the host.
    pub(crate) async fn status_under(&self, host: &str) -> u16 {
        let request = self
            .http
            .get(format!("{}/api/v1/requester", self.url))
            .header("Authorization", "ApiKey key-a")
            .header("Host", host);
        request.send().await.unwrap().status().as_u16()
    }

    /// A request of the requester.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let (status, text) = self.send(Some("ApiKey local"), method, path, body).await;
        (status, parse(&text))
    }

    /// A request of the requester that succeeds.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null).await
    }

    /// A request of the requester that fails: status and code.
    pub(crate) async fn fails(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.call(method, path, body).await;
        assert!(status >= 400, "{method} {path}: {status} {answer}");
        assert!(
            answer["request_id"].is_string() && answer["message"].is_string(),
            "{answer}"
        );
        (status, answer["code"].as_str().unwrap().to_owned())
    }

    /// A project with input `image` and output `result` (cat or dog).
    pub(crate) async fn project(&self) -> String {
        self.project_with(json!({})).await
    }

    pub(crate) async fn project_with(&self, over: Value) -> String {
        let mut form = json!({
            "public_name": "Cat or dog?",
            "public_description": "Look",
            "public_instructions": "<p>Decide</p>",
            "assignments_issuing_type": "AUTOMATED",
            "task_spec": {
                "input_spec": {"image": {"type": "url"}},
                "output_spec": {"result": {"type": "string", "allowed_values": ["cat", "dog"]}},
                "view_spec": {"type": "tb", "config": "{}"},
            },
        });
        merge(&mut form, over);
        id(&self.ok("POST", "/api/v1/projects", form).await)
    }

    /// A pool of 2 real tasks a page, 3 answers a task, 0.1 dollars a page.
    pub(crate) async fn pool(&self, project: &str, over: Value) -> String {
        let mut form = json!({
            "project_id": project,
            "private_name": "pool",
            "will_expire": "2027-01-01T00:00:00",
            "reward_per_assignment": 0.1,
            "assignment_max_duration_seconds": 600,
            "defaults": {"default_overlap_for_new_tasks": 3, "default_overlap_for_new_task_suites": 3},
            "mixer_config": {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0},
        });
        merge(&mut form, over);
        id(&self.ok("POST", "/api/v1/pools", form).await)
    }

    pub(crate) async fn training(&self, project: &str, over: Value) -> String {
        let mut form = json!({
            "project_id": project,
            "private_name": "training",
            "training_tasks_in_task_suite_count": 2,
            "task_suites_required_to_pass": 5,
            "retry_training_after_days": 1,
        });
        merge(&mut form, over);
        id(&self.ok("POST", "/api/v1/trainings", form).await)
    }

    /// Uploads tasks with the pool's default overlap; returns their ids in order.
    pub(crate) async fn tasks(&self, items: Vec<Value>) -> Vec<String> {
        let path = "/api/v1/tasks?allow_defaults=true";
        let answer = self.ok("POST", path, Value::Array(items)).await;
        let mut made: Vec<(usize, String)> = answer["items"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(index, task)| (index.parse().unwrap(), id(task)))
            .collect();
        made.sort_unstable();
        made.into_iter().map(|(_, id)| id).collect()
    }

    /// Opens a pool or training.
    pub(crate) async fn open(&self, pool: &str) {
        let path = format!("/api/v1/pools/{pool}/open");
        let (status, answer) = self.call("POST", &path, Value::Null).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer["status"], "SUCCESS");
    }

    pub(crate) async fn pool_state(&self, pool: &str) -> (String, Value) {
        let pool = self.get(&format!("/api/v1/pools/{pool}")).await;
        (
            pool["status"].as_str().unwrap().to_owned(),
            pool["last_close_reason"].clone(),
        )
    }

    /// A new worker who speaks English and uses a browser.
    pub(crate) async fn worker(&self, login: &str) -> Worker {
        self.worker_with(
            login,
            json!({"languages": ["EN"], "client_type": "BROWSER"}),
        )
        .await
    }

    pub(crate) async fn worker_with(&self, login: &str, profile: Value) -> Worker {
        let body =
            json!({"login": login, "password": "secret", "invite": INVITE, "profile": profile});
        let (status, text) = self
            .send(
                None,
                "POST",
                "/api/worker/v1/workers",
                Some(body.to_string()),
            )
            .await;
        assert_eq!(status, 201, "{text}");
        let answer = parse(&text);
        Worker {
            id: answer["worker_id"].as_str().unwrap().to_owned(),
            token: answer["token"].as_str().unwrap().to_owned(),
        }
    }

    /// A request of a worker.
    pub(crate) async fn work(
        &self,
        worker: &Worker,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let authorization = format!("Worker {}", worker.token);
        let path = format!("/api/worker/v1{path}");
        let (status, text) = self.send(Some(&authorization), method, &path, body).await;
        (status, parse(&text))
    }

    /// A request of a worker, if the platform lives long enough to answer it.
    pub(crate) async fn try_work(
        &self,
        worker: &Worker,
        path: &str,
        body: Value,
    ) -> Option<(u16, Value)> {
        let request = self
            .http
            .post(format!("{}/api/worker/v1{path}", self.url))
            .header("Authorization", format!("Worker {}", worker.token))
            .body(body.to_string());
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, parse(&response.text().await.ok()?)))
    }

    /// Uploads a file of a worker for a page.
    pub(crate) async fn upload(
        &self,
        worker: &Worker,
        page: &str,
        name: &str,
        bytes: Vec<u8>,
    ) -> (u16, Value) {
        let path = format!("/api/worker/v1/assignments/{page}/attachments?name={name}");
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("Authorization", format!("Worker {}", worker.token))
            .header("Content-Type", "image/png; charset=x")
            .body(bytes);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, parse(&response.text().await.unwrap()))
    }

    /// A download of the requester: the headers and the bytes.
    pub(crate) async fn download(&self, path: &str) -> (HeaderMap, Vec<u8>) {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .header("Authorization", "ApiKey local");
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers().clone();
        (headers, response.bytes().await.unwrap().to_vec())
    }

    /// Takes a page: the assignment, or `Err` with the reason.
    pub(crate) async fn take(&self, worker: &Worker, pool: &str) -> Result<Value, String> {
        let path = format!("/pools/{pool}/assignments");
        let (status, answer) = self.work(worker, "POST", &path, Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        match &answer["assignment"] {
            Value::Null => Err(answer["reason"].as_str().unwrap().to_owned()),
            assignment => Ok(assignment.clone()),
        }
    }

    /// Submits one answer for every task of a page.
    pub(crate) async fn submit(
        &self,
        worker: &Worker,
        page: &Value,
        answers: &[&str],
    ) -> (u16, Value) {
        let solutions: Vec<Value> = answers
            .iter()
            .map(|answer| json!({"output_values": {"result": answer}}))
            .collect();
        let path = format!("/assignments/{}/submit", id(page));
        self.work(worker, "POST", &path, json!({"solutions": solutions}))
            .await
    }

    /// Takes a page, works on it for `seconds` and answers `answer` to every task.
    pub(crate) async fn do_page(
        &self,
        worker: &Worker,
        pool: &str,
        seconds: u64,
        answer: &str,
    ) -> Value {
        let page = self.take(worker, pool).await.unwrap();
        self.pass(seconds);
        let answers = vec![answer; page["tasks"].as_array().unwrap().len()];
        let (status, done) = self.submit(worker, &page, &answers).await;
        assert_eq!(status, 200, "{done}");
        page
    }

    pub(crate) async fn skill(&self, name: &str) -> String {
        id(&self
            .ok("POST", "/api/v1/skills", json!({"name": name}))
            .await)
    }

    /// A worker's exact value of a skill.
    pub(crate) async fn skill_value(&self, worker: &Worker, skill: &str) -> Option<f64> {
        let path = format!("/api/v1/user-skills?user_id={}&skill_id={skill}", worker.id);
        self.get(&path).await["items"].as_array().unwrap().first()?["exact_value"].as_f64()
    }

    /// Bans of a worker: scope and end.
    pub(crate) async fn bans(&self, worker: &Worker) -> Vec<(String, Value)> {
        let page = self
            .get(&format!("/api/v1/user-restrictions?user_id={}", worker.id))
            .await;
        let bans = page["items"].as_array().unwrap().clone();
        bans.into_iter()
            .map(|ban| {
                (
                    ban["scope"].as_str().unwrap().to_owned(),
                    ban["will_expire"].clone(),
                )
            })
            .collect()
    }

    pub(crate) async fn balance(&self) -> f64 {
        self.get("/api/v1/requester").await["balance"]
            .as_f64()
            .unwrap()
    }
}

pub(crate) fn id(object: &Value) -> String {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {object}"))
        .to_owned()
}

pub(crate) fn parse(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

pub(crate) fn real(pool: &str, n: usize) -> Value {
    json!({"pool_id": pool, "input_values": {"image": format!("https://e.com/{n}.png")}})
}

/// A control task whose right answer is `cat`.
pub(crate) fn golden(pool: &str, n: usize) -> Value {
    json!({
        "pool_id": pool,
        "input_values": {"image": format!("https://e.com/g{n}.png")},
        "known_solutions": [{"output_values": {"result": "cat"}}],
        "infinite_overlap": true,
    })
}

/// A training task whose right answer is `cat`.
pub(crate) fn lesson(pool: &str, n: usize) -> Value {
    let mut task = golden(pool, n);
    task["message_on_unknown_solution"] = json!("It is a cat");
    task
}

pub(crate) fn many(count: usize, task: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(task).collect()
}

pub(crate) fn task_ids(page: &Value) -> Vec<String> {
    page["tasks"].as_array().unwrap().iter().map(id).collect()
}

/// A pool's quality control with one collector and one rule.
pub(crate) fn rule(collector: &str, parameters: Value, conditions: Value, action: Value) -> Value {
    json!({"quality_control": {"configs": [{
        "collector_config": {"type": collector, "parameters": parameters},
        "rules": [{"conditions": conditions, "action": action}]
    }]}})
}

pub(crate) fn ban(scope: &str) -> Value {
    json!({"type": "RESTRICTION_V2", "parameters": {"scope": scope, "duration_unit": "PERMANENT", "private_comment": "bad"}})
}

pub(crate) fn when(key: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"key": key, "operator": operator, "value": value.into()})
}
