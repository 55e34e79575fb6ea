//! Every body that the real client is known to send, sent to a running platform.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::{World, id, many, real};

/// One request of toloka-kit.
#[derive(Deserialize)]
struct Exchange {
    method: String,
    route: String,
    path: String,
    query: Vec<(String, String)>,
    body: Value,
}

/// The requests with a body; see the README beside the file.
fn exchanges() -> Vec<Exchange> {
    let file = "../toloka/tests/data/exchanges.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut exchanges: Vec<Exchange> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    exchanges.retain(|exchange| !exchange.body.is_null());
    exchanges
}

/// What a request that failed refused: its code, and the fields or the message.
fn refusal(status: u16, text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    let code = answer["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code: {text}"));
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{text}"
    );
    let mut fields = Vec::new();
    if let Some(payload) = answer["payload"].as_object() {
        for (key, value) in payload {
            match (value["code"].as_str(), value.as_object()) {
                (Some(code), _) => fields.push(format!("{key} {code}")),
                (None, Some(of_item)) => fields.extend(of_item.iter().map(|(field, error)| {
                    format!("{key}.{field} {}", error["code"].as_str().unwrap())
                })),
                (None, None) => {}
            }
        }
    }
    format!("{status} {code} {}", fields.join(", "))
}

async fn send(w: &World, exchange: &Exchange, path: &str, body: &Value) -> Option<String> {
    let query: Vec<String> = exchange
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let path = format!("{path}?{}", query.join("&"));
    let (status, text) = w
        .send(
            Some("ApiKey local"),
            &exchange.method,
            &path,
            Some(body.to_string()),
        )
        .await;
    assert!(
        status < 500,
        "{} {path} {body}: {status} {text}",
        exchange.method
    );
    if status >= 400 {
        return Some(refusal(status, &text));
    }
    if !text.is_empty() {
        serde_json::from_str::<Value>(&text).unwrap();
    }
    None
}

#[tokio::test]
async fn every_recorded_body_gets_an_answer_that_says_what_is_missing() {
    let w = World::new().await;
    let exchanges = exchanges();
    assert!(exchanges.len() > 150, "{}", exchanges.len());
    for exchange in &exchanges {
        if let Some(refused) = send(&w, exchange, &exchange.path, &exchange.body).await {
            let names_it = refused.contains("DOES_NOT_EXIST")
                || refused.contains("VALUE_REQUIRED")
                || refused.starts_with("409")
                || refused.len() > "400 VALIDATION_ERROR ".len();
            assert!(names_it, "{} {}: {refused}", exchange.method, exchange.path);
        }
    }
}

/// The objects that the recorded requests speak of, as the platform has them.
struct Known {
    ids: BTreeMap<&'static str, String>,
}

impl Known {
    async fn new(w: &World) -> Self {
        let project = w
            .project_with(json!({"task_spec": {
                "input_spec": {"image": {"type": "url"}},
                "output_spec": {
                    "result": {"type": "string", "required": false, "allowed_values": ["cat"]},
                    "color": {"type": "string", "required": false},
                    "out1": {"type": "string", "required": false},
                },
            }}))
            .await;
        let pool = w
            .pool(&project, json!({"auto_accept_solutions": false}))
            .await;
        let tasks = w.tasks(many(2, |n| real(&pool, n))).await;
        let suite = json!({"pool_id": pool, "overlap": 3, "tasks": [{"input_values": {"image": "https://e.com/1.png"}}]});
        let suite = id(&w.ok("POST", "/api/v1/task-suites", suite).await);
        w.open(&pool).await;
        let worker = w.worker("ann").await;
        let page = id(&w.do_page(&worker, &pool, 30, "cat").await);
        w.ok("POST", &format!("/api/v1/pools/{pool}/close"), Value::Null)
            .await;
        let thread = json!({"topic": {"EN": "t"}, "text": {"EN": "x"},
            "recipients_select_type": "DIRECT", "recipients_ids": [worker.id]});
        let thread = w
            .ok("POST", "/api/v1/message-threads/compose", thread)
            .await;
        Self {
            ids: BTreeMap::from([
                ("pools", pool),
                ("trainings", w.training(&project, json!({})).await),
                // Settings are put to a project that no task depends on.
                ("projects", w.project().await),
                ("tasks", tasks[0].clone()),
                ("task-suites", suite),
                ("assignments", page),
                ("workers", worker.id),
                ("skills", w.skill("s").await),
                ("message-threads", id(&thread)),
            ]),
        }
    }

    /// The path with the id of an object that there is.
    fn path(&self, exchange: &Exchange) -> String {
        let Some((before, after)) = exchange.route.split_once("{id}") else {
            return exchange.path.clone();
        };
        let kind = before.trim_end_matches('/').rsplit('/').next().unwrap();
        format!("{before}{}{after}", self.ids[kind])
    }

    /// The body with such ids.
    fn body(&self, value: &Value) -> Value {
        let kind = |key: &str| {
            Some(match key {
                "project_id" => "projects",
                "pool_id" | "subject_id" => "pools",
                "training_pool_id" => "trainings",
                "task_id" => "tasks",
                "assignment_id" => "assignments",
                "user_id" | "recipients_ids" => "workers",
                "skill_id" | "answer_weight_skill_id" => "skills",
                _ => return None,
            })
        };
        match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| {
                    let value = match (kind(key), value) {
                        (Some(kind), Value::String(_)) => json!(self.ids[kind]),
                        (Some(kind), Value::Array(_)) => json!([self.ids[kind]]),
                        _ => self.body(value),
                    };
                    (key.clone(), value)
                })
                .collect(),
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            _ => value.clone(),
        }
    }
}

#[tokio::test]
async fn recorded_bodies_about_what_is_there_are_taken() {
    let w = World::new().await;
    let known = Known::new(&w).await;
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in exchanges() {
        let body = known.body(&exchange.body);
        if let Some(refusal) = send(&w, &exchange, &known.path(&exchange), &body).await {
            let what = format!("{} {} {refusal}", exchange.method, exchange.route);
            *refused.entry(what).or_default() += 1;
        }
    }
    let refused: Vec<(&str, usize)> = refused
        .iter()
        .map(|(what, count)| (what.as_str(), *count))
        .collect();
    // Everything else is taken.
    let expected = [
        // Only the issuing type: no whole project.
        (
            "POST /api/staging/projects/{id}/check 400 VALIDATION_ERROR \
             public_name VALUE_REQUIRED, task_spec VALUE_REQUIRED",
            3,
        ),
        // A pool without dynamic overlap.
        (
            "POST /api/v1/aggregated-solutions/aggregate-by-task \
             409 ASSIGNMENTS_AGGREGATION_DENIED ",
            1,
        ),
        // Nobody has the skill 2022.
        (
            "POST /api/v1/message-threads/compose 409 INCORRECT_RECIPIENTS ",
            2,
        ),
        // The project has no such field; what is too fast is not said.
        (
            "POST /api/v1/pools 400 VALIDATION_ERROR \
             dynamic_overlap_config.fields.0.name VALUE_NOT_ALLOWED",
            8,
        ),
        (
            "POST /api/v1/pools 400 VALIDATION_ERROR \
             dynamic_overlap_config.fields.0.name VALUE_NOT_ALLOWED, \
             quality_control.configs.0.collector_config.parameters.fast_submit_threshold_seconds \
             VALUE_REQUIRED",
            4,
        ),
        // `operation-i1d`.
        (
            "POST /api/v1/task-suites 400 VALIDATION_ERROR operation_id UUID_EXPECTED",
            2,
        ),
        // The same request again, after an answer that was lost.
        ("POST /api/v1/task-suites 409 OPERATION_ALREADY_EXISTS ", 12),
        // An image that is null.
        (
            "POST /api/v1/tasks 400 VALIDATION_ERROR 1.input_values.image VALUE_REQUIRED",
            6,
        ),
        ("POST /api/v1/tasks 409 OPERATION_ALREADY_EXISTS ", 12),
        ("POST /api/v1/user-bonuses 409 OPERATION_ALREADY_EXISTS ", 7),
        (
            "PUT /api/v1/pools/{id} 400 VALIDATION_ERROR \
             quality_control.configs.0.collector_config.parameters.fast_submit_threshold_seconds \
             VALUE_REQUIRED",
            1,
        ),
    ];
    assert_eq!(refused, expected);
}
