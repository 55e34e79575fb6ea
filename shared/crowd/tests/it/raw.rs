//! A platform that is called without sockets, with any bytes: one of everything is in it, and
//! every answer is checked.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, header};
use quorate_crowd::{Clock, Config, Platform, RequesterKey};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{INVITE, START, id, many, real};

/// The key of the requester to whom everything belongs.
pub(crate) const KEY: &str = "the-key-of-ann";

const PASSWORD: &str = "a-password-of-wim";

/// Every route and its methods.
pub(crate) const ROUTES: &[(&str, &str)] = &[
    ("/api/v1/requester", "GET"),
    ("/api/v1/projects", "GET POST"),
    ("/api/v1/projects/{id}", "GET PUT"),
    ("/api/v1/projects/{id}/archive", "POST"),
    ("/api/v1/pools", "GET POST"),
    ("/api/v1/pools/{id}", "GET PUT PATCH"),
    ("/api/v1/pools/{id}/open", "POST"),
    ("/api/v1/pools/{id}/close", "POST"),
    ("/api/v1/pools/{id}/close-for-update", "POST"),
    ("/api/v1/pools/{id}/archive", "POST"),
    ("/api/v1/pools/{id}/clone", "POST"),
    ("/api/v1/trainings", "GET POST"),
    ("/api/v1/trainings/{id}", "GET PUT"),
    ("/api/v1/trainings/{id}/open", "POST"),
    ("/api/v1/trainings/{id}/close", "POST"),
    ("/api/v1/trainings/{id}/close-for-update", "POST"),
    ("/api/v1/trainings/{id}/archive", "POST"),
    ("/api/v1/trainings/{id}/clone", "POST"),
    ("/api/v1/tasks", "GET POST"),
    ("/api/v1/tasks/{id}", "GET PATCH"),
    ("/api/v1/tasks/{id}/set-overlap-or-min", "PATCH"),
    ("/api/v1/task-suites", "GET POST"),
    ("/api/v1/task-suites/{id}", "GET PATCH"),
    ("/api/v1/task-suites/{id}/set-overlap-or-min", "PATCH"),
    ("/api/v1/assignments", "GET"),
    ("/api/v1/assignments/{id}", "GET PATCH"),
    ("/api/v1/skills", "GET POST"),
    ("/api/v1/skills/{id}", "GET PUT"),
    ("/api/v1/user-skills", "GET PUT"),
    ("/api/v1/user-skills/{id}", "GET DELETE"),
    ("/api/v1/user-restrictions", "GET PUT"),
    ("/api/v1/user-restrictions/{id}", "GET DELETE"),
    ("/api/v1/user-metadata/{id}", "GET"),
    ("/api/v1/aggregated-solutions/aggregate-by-pool", "POST"),
    ("/api/v1/aggregated-solutions/aggregate-by-task", "POST"),
    ("/api/v1/aggregated-solutions/{id}", "GET"),
    ("/api/v1/user-bonuses", "GET POST"),
    ("/api/v1/user-bonuses/{id}", "GET"),
    ("/api/v1/attachments", "GET"),
    ("/api/v1/attachments/{id}", "GET"),
    ("/api/v1/attachments/{id}/download", "GET"),
    ("/api/v1/message-threads", "GET"),
    ("/api/v1/message-threads/compose", "POST"),
    ("/api/v1/message-threads/{id}/reply", "POST"),
    ("/api/v1/message-threads/{id}/add-to-folders", "POST"),
    ("/api/v1/message-threads/{id}/remove-from-folders", "POST"),
    ("/api/v1/operations", "GET"),
    ("/api/v1/operations/{id}", "GET"),
    ("/api/v1/operations/{id}/log", "GET"),
    ("/api/v1/webhook-subscriptions", "GET PUT"),
    ("/api/v1/webhook-subscriptions/{id}", "GET DELETE"),
    ("/api/v1/webhook-subscriptions/{id}/test", "POST"),
    (
        "/api/platform/v1/webhook-subscriptions/{id}/deliveries",
        "GET",
    ),
    ("/api/staging/analytics-2", "POST"),
    ("/api/staging/projects/{id}/check", "POST"),
    ("/api/new/requester/pools/{id}/assignments.tsv", "GET"),
    ("/api/worker/v1/workers", "POST"),
    ("/api/worker/v1/me", "GET"),
    ("/api/worker/v1/pools", "GET"),
    ("/api/worker/v1/pools/{id}/assignments", "POST"),
    ("/api/worker/v1/assignments", "GET"),
    ("/api/worker/v1/assignments/{id}/submit", "POST"),
    ("/api/worker/v1/assignments/{id}/skip", "POST"),
    ("/api/worker/v1/assignments/{id}/exit", "POST"),
    ("/api/worker/v1/assignments/{id}/attachments", "POST"),
    ("/api/worker/v1/messages", "GET POST"),
    ("/api/worker/v1/messages/{id}/reply", "POST"),
    ("/api/worker/v1/messages/{id}/read", "POST"),
    ("/metrics", "GET"),
];

/// What people who mean harm write into fields for text.
pub(crate) const TEXTS: &[&str] = &[
    "'; DROP TABLE tasks; --",
    "\" OR \"1\"=\"1",
    "%' UNION SELECT value FROM meta --",
    "?1 :a @b $c",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>\"'><b>",
    "{{7*7}} ${7*7} #{7*7} \\u0000",
    "=HYPERLINK(\"http://e.com\")",
    "a\tb\r\nc\n\"d\"\r",
    "\u{0}\u{1}\u{7f}\u{feff}\u{202e}\u{fffd}\u{10ffff}",
    " ",
    "../../etc/passwd",
];

/// Where workers sign in: the one route that is open to all.
pub(crate) const SIGN_IN: &str = "/api/worker/v1/workers";

/// All methods of all routes.
pub(crate) fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let methods = |(route, methods): &(&'static str, &'static str)| {
        let route = *route;
        methods.split(' ').map(move |method| (method, route))
    };
    ROUTES.iter().flat_map(methods)
}

/// An answer as it came.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:.2000}", self.status, text)
    }
}

/// One of everything: ids by what they are of, and the worker's token.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) ids: BTreeMap<&'static str, String>,
    pub(crate) token: String,
}

impl Known {
    /// The path of a route with the ids of what there is.
    pub(crate) fn path(&self, route: &str) -> String {
        let Some((before, _)) = route.split_once("/{id}") else {
            return route.to_owned();
        };
        let of = match before.rsplit('/').next().unwrap() {
            "assignments" if before.contains("worker") => "active",
            "aggregated-solutions" => "operations",
            "user-metadata" => "workers",
            "messages" => "message-threads",
            of => of,
        };
        route.replace("{id}", &self.ids[of])
    }

    /// What a request to this route is authorized by.
    pub(crate) fn authorization(&self, route: &str) -> String {
        if route.starts_with("/api/worker/") {
            format!("Worker {}", self.token)
        } else {
            format!("ApiKey {KEY}")
        }
    }
}

/// The platform.
pub(crate) struct Raw {
    pub(crate) platform: Platform,
    pub(crate) known: Known,
    router: Router,
    /// Sees whether a request changed the database.
    watch: rusqlite::Connection,
    /// What no answer may tell.
    secrets: Vec<String>,
}

impl Raw {
    /// One of everything, in an empty folder.
    pub(crate) async fn new(folder: &Path) -> Self {
        let mut raw = Self::open(folder, Known::default());
        raw.fill().await;
        raw.find_secrets();
        raw
    }

    /// What is in the folder.
    pub(crate) fn open(folder: &Path, known: Known) -> Self {
        let key = RequesterKey {
            account: "ann".to_owned(),
            key: KEY.to_owned(),
        };
        let platform = Platform::open(Config {
            data: Some(folder.to_owned()),
            clock: Clock::manual(START.parse().unwrap()),
            seed: 7,
            invite: Some(INVITE.to_owned()),
            keys: vec![key],
            password_rounds: 1,
            ..Config::default()
        });
        let platform = platform.unwrap();
        let watch = rusqlite::Connection::open(folder.join("crowd.sqlite")).unwrap();
        let mut raw = Self {
            router: platform.router(),
            platform,
            known,
            watch,
            secrets: Vec::new(),
        };
        raw.find_secrets();
        raw
    }

    fn find_secrets(&mut self) {
        let sql = "SELECT value FROM meta WHERE key = 'secret' UNION SELECT salt FROM workers
                   UNION SELECT password FROM workers
                   UNION SELECT secret FROM webhooks WHERE secret IS NOT NULL";
        let mut statement = self.watch.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        self.secrets = found.map(Result::unwrap).collect();
        drop(statement);
        let known = [KEY, PASSWORD, &self.known.token].map(str::to_owned);
        self.secrets
            .extend(known.into_iter().filter(|secret| !secret.is_empty()));
    }

    /// Changes when somebody changes the database.
    fn version(&self) -> i64 {
        self.number("PRAGMA data_version")
    }

    /// A number out of the database.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.watch.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Sends a request and checks what every answer must be: never a 5xx; an error is JSON with a
    /// code and a request id; what is refused or only reads changes nothing; no secret is told.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        // What is due is done by the next request, whichever that is.
        self.platform.tick().unwrap();
        let before = self.version();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap(),
        };
        let what = || format!("{method} {:.300}: {reply:?}", uri.to_string());
        assert!(reply.status < 500, "{}", what());
        if reply.status >= 400 {
            assert_eq!(
                reply.headers[header::CONTENT_TYPE],
                "application/json",
                "{}",
                what()
            );
            if method != "HEAD" {
                let error = reply.json();
                for field in ["code", "request_id", "message"] {
                    let text = error[field].as_str().unwrap_or_default();
                    assert!(!text.is_empty(), "no {field}: {}", what());
                }
            }
        }
        if reply.status >= 400 || method == "GET" {
            assert_eq!(self.version(), before, "it changed something: {}", what());
        }
        let signed_in = uri.path() == SIGN_IN && reply.status < 300;
        let text = String::from_utf8_lossy(&reply.body);
        for secret in self.secrets.iter().filter(|_| !signed_in) {
            assert!(!text.contains(secret), "it tells {secret}: {}", what());
        }
        reply
    }

    /// A request of whoever the route is for.
    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, self.known.authorization(path))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// A request that succeeds.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = self.call(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        if reply.body.is_empty() {
            Value::Null
        } else {
            reply.json()
        }
    }

    /// Everything can still be read, and the platform goes on: what is due later happens, workers
    /// get on with what is open.
    pub(crate) async fn still_works(&self) {
        for (method, route) in routes() {
            let path = self.known.path(route);
            let listed = if route.ends_with("s") {
                "?limit=100"
            } else {
                ""
            };
            let pool = match route {
                "/api/v1/tasks" | "/api/v1/task-suites" => {
                    format!("&pool_id={}", self.known.ids["pools"])
                }
                _ => String::new(),
            };
            if method == "GET" {
                self.call("GET", &format!("{path}{listed}{pool}"), Body::empty())
                    .await;
            }
        }
        let closed = self
            .call(
                "GET",
                "/api/v1/pools?status=CLOSED&limit=5&sort=-id",
                Body::empty(),
            )
            .await;
        for pool in closed.json()["items"].as_array().into_iter().flatten() {
            let task = json!({"pool_id": pool["id"], "overlap": 2, "input_values": {}});
            let page = json!({"pool_id": pool["id"], "overlap": 2, "tasks": [task]});
            let (of, body) = if pool["mixer_config"].is_null() {
                ("task-suites", page)
            } else {
                ("tasks", task)
            };
            let path = format!("/api/v1/{of}?open_pool=true&async_mode=true");
            self.call("POST", &path, body.to_string()).await;
        }
        for _ in 0..2 {
            let open = self
                .call("GET", "/api/worker/v1/pools", Body::empty())
                .await;
            for pool in open.json()["items"].as_array().into_iter().flatten() {
                let path = format!(
                    "/api/worker/v1/pools/{}/assignments",
                    pool["pool_id"].as_str().unwrap()
                );
                let taken = self.call("POST", &path, Body::empty()).await.json();
                if let Some(page) = taken["assignment"]["id"].as_str() {
                    let tasks = taken["assignment"]["tasks"].as_array().unwrap().len();
                    let path = format!("/api/worker/v1/assignments/{page}/submit");
                    let one = json!({"output_values": {"result": "cat"}});
                    let body = json!({"solutions": vec![one; tasks]});
                    self.call("POST", &path, body.to_string()).await;
                }
            }
            self.platform
                .clock()
                .advance(std::time::Duration::from_secs(40 * 86_400));
            self.platform.tick().unwrap();
        }
        assert_eq!(
            self.number("SELECT count(*) FROM pragma_foreign_key_check"),
            0
        );
    }

    /// Makes one of everything.
    async fn fill(&mut self) {
        let of = |object: &Value| id(object);
        let project = self.ok("POST", "/api/v1/projects", json!({
            "public_name": "p", "public_description": "d", "assignments_issuing_type": "AUTOMATED",
            "task_spec": {
                "input_spec": {
                    "image": {"type": "url", "required": false},
                    "text": {"type": "string", "required": false},
                    "number": {"type": "float", "required": false},
                    "data": {"type": "json", "required": false},
                },
                "output_spec": {
                    "result": {"type": "string"},
                    "color": {"type": "string", "required": false},
                    "out1": {"type": "json", "required": false},
                    "file": {"type": "file", "required": false},
                },
                "view_spec": {"type": "tb", "config": "{}"},
            },
        })).await;
        let project = of(&project);
        let training = json!({
            "project_id": project, "private_name": "t", "training_tasks_in_task_suite_count": 1,
            "task_suites_required_to_pass": 1,
        });
        let training = of(&self.ok("POST", "/api/v1/trainings", training).await);
        let mut form = json!({
            "project_id": project, "private_name": "by hand", "will_expire": "2030-01-01T00:00:00",
            "reward_per_assignment": 0.1, "assignment_max_duration_seconds": 600,
            "defaults": {"default_overlap_for_new_tasks": 3, "default_overlap_for_new_task_suites": 3},
            "auto_accept_solutions": false,
        });
        let by_hand = of(&self.ok("POST", "/api/v1/pools", form.clone()).await);
        form["mixer_config"] = json!({"real_tasks_count": 1});
        let pool = of(&self.ok("POST", "/api/v1/pools", form).await);
        let suite =
            json!({"pool_id": by_hand, "overlap": 2, "tasks": [{"input_values": {"text": "a"}}]});
        let suite = of(&self.ok("POST", "/api/v1/task-suites", suite).await);
        let operation = uuid::Uuid::from_u128(1).to_string();
        let path =
            format!("/api/v1/tasks?allow_defaults=true&async_mode=true&operation_id={operation}");
        self.ok("POST", &path, json!(many(6, |n| real(&pool, n))))
            .await;
        let tasks = self
            .ok("GET", &format!("/api/v1/tasks?pool_id={pool}"), Value::Null)
            .await;
        let task = of(&tasks["items"][0]);
        let skill = of(&self
            .ok("POST", "/api/v1/skills", json!({"name": "s"}))
            .await);
        let signed = json!({"login": "wim", "password": PASSWORD, "invite": INVITE, "profile": {"languages": ["EN"]}});
        let signed = self.ok("POST", SIGN_IN, signed).await;
        self.known.token = signed["token"].as_str().unwrap().to_owned();
        let worker = signed["worker_id"].as_str().unwrap().to_owned();
        let webhooks = json!([{"webhook_url": "http://127.0.0.1:9/", "event_type": "POOL_CLOSED",
            "pool_id": pool, "secret_key": "the-secret-of-a-webhook"}]);
        let webhooks = self
            .ok("PUT", "/api/v1/webhook-subscriptions", webhooks)
            .await;
        self.ok("POST", &format!("/api/v1/pools/{pool}/open"), Value::Null)
            .await;
        let take = format!("/api/worker/v1/pools/{pool}/assignments");
        let page = of(&self.ok("POST", &take, Value::Null).await["assignment"]);
        let path = format!("/api/worker/v1/assignments/{page}/attachments?name=a.txt");
        let file =
            of(&serde_json::from_slice(&self.call("POST", &path, "bytes").await.body).unwrap());
        let answers = json!({"solutions": [{"output_values": {"result": "cat", "file": file}}]});
        self.ok(
            "POST",
            &format!("/api/worker/v1/assignments/{page}/submit"),
            answers,
        )
        .await;
        let active = of(&self.ok("POST", &take, Value::Null).await["assignment"]);
        let user_skill = json!({"skill_id": skill, "user_id": worker, "value": 50});
        let user_skill = of(&self.ok("PUT", "/api/v1/user-skills", user_skill).await);
        let ban = json!({"user_id": worker, "scope": "POOL", "pool_id": by_hand});
        let ban = of(&self.ok("PUT", "/api/v1/user-restrictions", ban).await);
        let bonus = json!({"user_id": worker, "amount": 1, "public_title": {"EN": "t"}, "public_message": {"EN": "m"}});
        let bonus = of(&self.ok("POST", "/api/v1/user-bonuses", bonus).await);
        let letter = json!({"recipients_select_type": "DIRECT", "recipients_ids": [worker],
            "topic": {"EN": "t"}, "text": {"EN": "m"}, "answerable": true});
        let thread = of(&self
            .ok("POST", "/api/v1/message-threads/compose", letter)
            .await);
        self.known.ids = BTreeMap::from([
            ("projects", project),
            ("trainings", training),
            ("pools", pool),
            ("by hand", by_hand),
            ("tasks", task),
            ("task-suites", suite),
            ("operations", operation),
            ("skills", skill),
            ("workers", worker),
            ("webhook-subscriptions", id(&webhooks["items"]["0"])),
            ("assignments", page),
            ("active", active),
            ("attachments", file),
            ("user-skills", user_skill),
            ("user-restrictions", ban),
            ("user-bonuses", bonus),
            ("message-threads", thread),
        ]);
    }
}

/// A request with a body that is as it should be, to start from.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
}

/// The recorded requests of toloka-kit (see the README beside them) with the ids of what there is
/// here, those of workers, and one without a body for every other route.
pub(crate) fn samples(known: &Known) -> Vec<Sample> {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../toloka/tests/data/exchanges.json"
    );
    let recorded: Vec<Value> = serde_json::from_slice(&std::fs::read(data).unwrap()).unwrap();
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    let mut add = |method: &str, route: &str, query: Vec<(String, String)>, mut body: Value| {
        name(&mut body, known);
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        let key = format!("{route} {method} {body} {names:?}");
        let (method, route) = (method.to_owned(), route.to_owned());
        samples.entry(key).or_insert(Sample {
            method,
            route,
            query,
            body,
        });
    };
    for (method, route) in routes() {
        let body = match route {
            SIGN_IN => {
                json!({"login": "new", "password": "p", "invite": INVITE, "profile": {"languages": ["EN"]}})
            }
            "/api/worker/v1/assignments/{id}/submit" => {
                json!({"solutions": [{"output_values": {"result": "cat", "out1": [1]}}]})
            }
            "/api/worker/v1/messages" if method == "POST" => {
                json!({"pool_id": "", "topic": {"EN": "t"}, "text": {"EN": "m"}})
            }
            "/api/worker/v1/messages/{id}/reply" => json!({"text": {"EN": "m"}}),
            _ => Value::Null,
        };
        let query = if route.ends_with("attachments") {
            vec![("name".to_owned(), "a".to_owned())]
        } else {
            Vec::new()
        };
        add(method, route, query, body);
    }
    for one in recorded {
        let route = one["route"].as_str().unwrap();
        let known_here = ROUTES.iter().any(|(known, _)| *known == route);
        assert!(known_here, "{route}");
        let query = serde_json::from_value(one["query"].clone()).unwrap();
        add(
            one["method"].as_str().unwrap(),
            route,
            query,
            one["body"].clone(),
        );
    }
    samples.into_values().collect()
}

/// Puts the ids of what there is in the place of recorded ones.
fn name(body: &mut Value, known: &Known) {
    let Value::Object(fields) = body else {
        for item in body.as_array_mut().into_iter().flatten() {
            name(item, known);
        }
        return;
    };
    for (field, value) in fields {
        let of = match field.as_str() {
            "project_id" => "projects",
            "pool_id" if value.is_string() => "pools",
            "training_pool_id" => "trainings",
            "task_id" => "tasks",
            "user_id" => "workers",
            "assignment_id" => "assignments",
            "skill_id" | "answer_weight_skill_id" => "skills",
            // Nobody may be called from here.
            "webhook_url" => {
                *value = json!("http://127.0.0.1:9/");
                continue;
            }
            _ => {
                name(value, known);
                continue;
            }
        };
        *value = json!(known.ids[of]);
    }
}

/// The JSON pointers of all parts of a value.
pub(crate) fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                pointers(item, format!("{at}/{}", escaped(key)), found);
            }
        }
        _ => {}
    }
    found.push(at);
}
