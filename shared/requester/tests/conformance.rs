//! The conformance suite of the crowd on a real platform, over real HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, a panic is a failure"
)]

use std::time::Duration;

use quorate_core::time::Timestamp;
use quorate_crowd::{Clock, Config, Platform, serve};
use quorate_requester::Requester;
use quorate_testkit::crowd::{BALANCE, Held, Scope, Workers};
use quorate_testkit::ledger::NOON;
use quorate_toloka::Client;
use quorate_toloka::types::{RestrictionScope, UserRestriction};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const INVITE: &str = "come in";
/// The field that a campaign keeps labels in if it does not say.
const ANSWER_FIELD: &str = "label";

/// A platform on loopback whose clock is moved by hand.
struct World {
    platform: Platform,
    url: String,
    http: reqwest::Client,
    client: Client,
    requester: Requester,
}

impl World {
    async fn new() -> Self {
        let noon = jiff::Timestamp::from_millisecond(NOON.0).unwrap();
        let config = Config {
            clock: Clock::manual(noon),
            balance: BALANCE,
            invite: Some(INVITE.to_owned()),
            password_rounds: 1,
            ..Config::default()
        };
        let platform = Platform::open(config).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, platform.clone(), std::future::pending()));
        let client = Client::builder(&url).api_key("key").build().unwrap();
        Self {
            platform,
            url,
            http: quorate_toloka::http_builder().build().unwrap(),
            requester: Requester::new(client.clone(), Decimal::ZERO),
            client,
        }
    }

    async fn post(&self, token: Option<&str>, path: &str, body: Value) -> Value {
        let url = format!("{}/api/worker/v1/{path}", self.url);
        let mut request = self.http.post(url).body(body.to_string());
        if let Some(token) = token {
            request = request.header("Authorization", format!("Worker {token}"));
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Signs a worker up, or in; the id and a token.
    async fn sign_in(&self, worker: usize) -> (String, String) {
        let login = format!("worker {worker}");
        let body = json!({"login": login, "password": "secret", "invite": INVITE});
        let answer = self.post(None, "workers", body).await;
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        (text("worker_id"), text("token"))
    }

    async fn act(&self, worker: usize, path: &str, body: Value) -> Value {
        let (_, token) = self.sign_in(worker).await;
        self.post(Some(&token), path, body).await
    }
}

impl Workers for World {
    type Crowd = Requester;

    fn crowd(&self) -> &Requester {
        &self.requester
    }

    fn now(&self) -> Timestamp {
        self.platform.clock().now().into()
    }

    fn pass(&self, time: Duration) {
        self.platform.clock().advance(time);
    }

    /// They are finished when the platform answers.
    fn finish_operations(&self) {}

    async fn take(&self, pool: &str, worker: usize) -> Option<Held> {
        let path = format!("pools/{pool}/assignments");
        let page = self.act(worker, &path, json!({})).await["assignment"].take();
        Some(Held {
            id: page["id"].as_str()?.to_owned(),
            worker,
            tasks: page["tasks"].as_array().unwrap().len(),
        })
    }

    async fn submit(&self, page: &Held, labels: &[&str]) -> Vec<String> {
        let solution = |label: &&str| json!({"output_values": {ANSWER_FIELD: label}});
        let solutions: Vec<Value> = labels.iter().map(solution).collect();
        let path = format!("assignments/{}/submit", page.id);
        let answer = self.act(page.worker, &path, json!({"solutions": solutions}));
        let answer = answer.await;
        let hints = answer["hints"].as_array().unwrap().iter();
        let text = |hint: &Value| hint["message"].as_str().unwrap().to_owned();
        hints.map(text).collect()
    }

    async fn skip(&self, page: &Held) {
        let path = format!("assignments/{}/skip", page.id);
        self.act(page.worker, &path, json!({})).await;
    }

    async fn ban(&self, worker: usize, scope: &Scope, reason: &str) -> String {
        let (user_id, _) = self.sign_in(worker).await;
        let (name, project_id, pool_id) = match scope {
            Scope::Pool(pool) => (RestrictionScope::Pool, None, Some(pool.clone())),
            Scope::Project(project) => (RestrictionScope::Project, Some(project.clone()), None),
            Scope::AllProjects => (RestrictionScope::AllProjects, None, None),
        };
        let restriction = UserRestriction {
            scope: name,
            user_id: user_id.clone(),
            project_id,
            pool_id,
            private_comment: Some(reason.to_owned()),
            ..UserRestriction::default()
        };
        let set = self.client.set_user_restriction(&restriction);
        set.await.unwrap();
        user_id
    }
}

fn run(check: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { check(&World::new().await).await });
}

quorate_testkit::crowd_checks!(run);
