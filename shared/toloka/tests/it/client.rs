//! Every recorded request is sent the same way by this client, and its answer is understood.

use std::{collections::BTreeMap, str::FromStr};

use quorate_toloka::{
    AggregatedSolutionQuery, AssignmentQuery, AttachmentQuery, Bounds, Client, CreateOptions,
    Error, MessageThreadQuery, OperationQuery, PoolQuery, ProjectQuery, SkillQuery, TaskQuery,
    TsvColumn, TsvQuery, TsvStatus, UserBonusQuery, UserRestrictionQuery, UserSkillQuery,
    WebhookQuery,
    types::{MessageFolders, ReplyMessage, Time, WebhookErrorType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    compare::difference,
    data::{self, Exchange},
    server::{Reply, Seen, Server},
};

/// The query of a recorded request, taken apart.
struct Params(BTreeMap<String, String>);

impl Params {
    fn take<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.0.remove(name)?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("cannot read {name}={text}")),
        )
    }

    fn word<T: From<String>>(&mut self, name: &str) -> Option<T> {
        self.0.remove(name).map(T::from)
    }

    fn words<T: From<String>>(&mut self, name: &str) -> Vec<T> {
        let list = self.0.remove(name).unwrap_or_default();
        list.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| T::from(word.to_owned()))
            .collect()
    }

    fn bounds<T: FromStr>(&mut self, name: &str) -> Bounds<T> {
        Bounds {
            gt: self.take(&format!("{name}_gt")),
            gte: self.take(&format!("{name}_gte")),
            lt: self.take(&format!("{name}_lt")),
            lte: self.take(&format!("{name}_lte")),
        }
    }
}

fn json<T: Serialize>(answer: Result<T, Error>) -> Result<Value, Error> {
    answer.map(|value| serde_json::to_value(value).unwrap())
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

macro_rules! list_query {
    ($query:ident { $($field:ident = $value:expr),* $(,)? }, $params:expr) => {
        $query {
            $($field: $value,)*
            id: $params.bounds("id"),
            sort: $params.take("sort"),
            limit: $params.take("limit"),
        }
    };
}

fn pool_query(p: &mut Params) -> PoolQuery {
    list_query!(PoolQuery {
        status = p.word("status"),
        project_id = p.take("project_id"),
        owner_id = p.take("owner_id"),
        owner_company_id = p.take("owner_company_id"),
        created = p.bounds("created"),
        last_started = p.bounds("last_started"),
    }, p)
}

fn task_query(p: &mut Params) -> TaskQuery {
    list_query!(TaskQuery {
        pool_id = p.take("pool_id"),
        task_id = p.take("task_id"),
        overlap = p.take("overlap"),
        overlaps = p.bounds("overlap"),
        created = p.bounds("created"),
    }, p)
}

fn assignment_query(p: &mut Params) -> AssignmentQuery {
    list_query!(AssignmentQuery {
        status = p.words("status"),
        pool_id = p.take("pool_id"),
        task_suite_id = p.take("task_suite_id"),
        task_id = p.take("task_id"),
        user_id = p.take("user_id"),
        created = p.bounds("created"),
        submitted = p.bounds("submitted"),
        accepted = p.bounds("accepted"),
        rejected = p.bounds("rejected"),
        skipped = p.bounds("skipped"),
        expired = p.bounds("expired"),
    }, p)
}

fn tsv_query(p: &mut Params) -> TsvQuery {
    assert_eq!(p.take::<String>("addRowDelimiter").unwrap(), "false");
    TsvQuery {
        status: p.words::<TsvStatus>("status"),
        columns: p.words::<TsvColumn>("field"),
        start_time_from: p.take::<Time>("startTimeFrom"),
        start_time_to: p.take::<Time>("startTimeTo"),
        exclude_banned: p.take("excludeBanned"),
    }
}

fn create_options(p: &mut Params) -> CreateOptions {
    CreateOptions {
        operation_id: p.take("operation_id").unwrap(),
        skip_invalid_items: p.take("skip_invalid_items").unwrap_or_default(),
        allow_defaults: p.take("allow_defaults").unwrap_or_default(),
        open_pool: p.take("open_pool").unwrap_or_default(),
    }
}

/// The lists: `GET` without an id.
async fn send_list(
    client: &Client,
    resource: &str,
    p: &mut Params,
) -> Option<Result<Value, Error>> {
    Some(match resource {
        "projects" => {
            let query = list_query!(ProjectQuery {
                status = p.word("status"),
                owner_id = p.take("owner_id"),
                owner_company_id = p.take("owner_company_id"),
                created = p.bounds("created"),
            }, p);
            json(client.find_projects(&query).await)
        }
        "pools" => json(client.find_pools(&pool_query(p)).await),
        "trainings" => json(client.find_trainings(&pool_query(p)).await),
        "skills" => {
            let query = list_query!(SkillQuery {
                name = p.take("name"),
                global = p.take("global"),
                created = p.bounds("created"),
            }, p);
            json(client.find_skills(&query).await)
        }
        "user-skills" => {
            let query = list_query!(UserSkillQuery {
                user_id = p.take("user_id"),
                skill_id = p.take("skill_id"),
                created = p.bounds("created"),
                modified = p.bounds("modified"),
            }, p);
            json(client.find_user_skills(&query).await)
        }
        "tasks" => json(client.find_tasks(&task_query(p)).await),
        "task-suites" => json(client.find_task_suites(&task_query(p)).await),
        "assignments" => json(client.find_assignments(&assignment_query(p)).await),
        "user-restrictions" => {
            let query = list_query!(UserRestrictionQuery {
                scope = p.word("scope"),
                user_id = p.take("user_id"),
                project_id = p.take("project_id"),
                pool_id = p.take("pool_id"),
                created = p.bounds("created"),
            }, p);
            json(client.find_user_restrictions(&query).await)
        }
        "user-bonuses" => {
            let query = list_query!(UserBonusQuery {
                user_id = p.take("user_id"),
                assignment_id = p.take("assignment_id"),
                private_comment = p.take("private_comment"),
                created = p.bounds("created"),
            }, p);
            json(client.find_user_bonuses(&query).await)
        }
        "attachments" => {
            let query = list_query!(AttachmentQuery {
                name = p.take("name"),
                kind = p.word("type"),
                user_id = p.take("user_id"),
                assignment_id = p.take("assignment_id"),
                pool_id = p.take("pool_id"),
                owner_id = p.take("owner_id"),
                owner_company_id = p.take("owner_company_id"),
                created = p.bounds("created"),
            }, p);
            json(client.find_attachments(&query).await)
        }
        "message-threads" => {
            let query = list_query!(MessageThreadQuery {
                folder = p.words("folder"),
                folder_ne = p.words("folder_ne"),
                created = p.bounds("created"),
            }, p);
            json(client.find_message_threads(&query).await)
        }
        "operations" => {
            let query = list_query!(OperationQuery {
                kind = p.word("type"),
                status = p.word("status"),
                submitted = p.bounds("submitted"),
                finished = p.bounds("finished"),
            }, p);
            json(client.find_operations(&query).await)
        }
        "webhook-subscriptions" => {
            let query = WebhookQuery {
                event_type: p.word("event_type"),
                pool_id: p.take("pool_id"),
                created: p.bounds("created"),
                sort: p.take("sort"),
                limit: p.take("limit"),
            };
            json(client.find_webhook_subscriptions(&query).await)
        }
        _ => return None,
    })
}

/// Everything else that reads.
async fn send_get(
    client: &Client,
    route: &str,
    id: &str,
    p: &mut Params,
) -> Option<Result<Value, Error>> {
    Some(match route {
        "requester" => json(client.get_requester().await),
        "projects/{id}" => json(client.get_project(id).await),
        "pools/{id}" => json(client.get_pool(id).await),
        "trainings/{id}" => json(client.get_training(id).await),
        "skills/{id}" => json(client.get_skill(id).await),
        "user-skills/{id}" => json(client.get_user_skill(id).await),
        "tasks/{id}" => json(client.get_task(id).await),
        "task-suites/{id}" => json(client.get_task_suite(id).await),
        "assignments/{id}" => json(client.get_assignment(id).await),
        "operations/{id}" => json(client.get_operation(id).await),
        "operations/{id}/log" => json(client.operation_log(id).await),
        "user-restrictions/{id}" => json(client.get_user_restriction(id).await),
        "user-bonuses/{id}" => json(client.get_user_bonus(id).await),
        "user-metadata/{id}" => json(client.get_user(id).await),
        "webhook-subscriptions/{id}" => json(client.get_webhook_subscription(id).await),
        "attachments/{id}" => json(client.get_attachment(id).await),
        "attachments/{id}/download" => {
            let mut file = client.download_attachment(id).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(chunk) = file.next_chunk().await.unwrap() {
                bytes.extend_from_slice(&chunk);
            }
            Ok(match String::from_utf8(bytes) {
                Ok(text) => json!({ "__text__": text }),
                Err(error) => json!({ "__bytes__": error.as_bytes().len() }),
            })
        }
        "aggregated-solutions/{id}" => {
            let query = AggregatedSolutionQuery {
                task_id: p.bounds("task_id"),
                sort: p.take("sort"),
                limit: p.take("limit"),
            };
            json(client.find_aggregated_solutions(id, &query).await)
        }
        "/api/new/requester/pools/{id}/assignments.tsv" => {
            let mut table = client.assignments_tsv(id, &tsv_query(p)).await.unwrap();
            let mut text = format!("{}\n", table.columns().join("\t"));
            while let Some(row) = table.next_row().await.unwrap() {
                let cells: Vec<_> = table
                    .columns()
                    .iter()
                    .map(|name| row.get(name).unwrap_or_default())
                    .collect();
                text += &format!("{}\n", cells.join("\t"));
            }
            Ok(json!({ "__text__": text }))
        }
        list => return send_list(client, list, p).await,
    })
}

/// Creations of one object or several, asynchronous or not.
async fn send_creation(
    client: &Client,
    route: &str,
    body: &Value,
    options: &CreateOptions,
    async_mode: bool,
) -> Option<Result<Value, Error>> {
    macro_rules! create {
        ($one:ident, $one_now:ident, $many:ident, $many_now:ident) => {
            match (body.is_array(), async_mode) {
                (false, true) => json(client.$one(&read(body), options).await),
                (false, false) => json(client.$one_now(&read(body), options).await),
                (true, true) => json(client.$many(&read::<Vec<_>>(body), options).await),
                (true, false) => json(client.$many_now(&read::<Vec<_>>(body), options).await),
            }
        };
    }
    Some(match route {
        "tasks" => create!(create_task, create_task_now, create_tasks, create_tasks_now),
        "task-suites" => create!(
            create_task_suite,
            create_task_suite_now,
            create_task_suites,
            create_task_suites_now
        ),
        "user-bonuses" => create!(
            create_user_bonus,
            create_user_bonus_now,
            create_user_bonuses,
            create_user_bonuses_now
        ),
        _ => return None,
    })
}

/// Everything that writes.
async fn send_write(
    client: &Client,
    exchange: &Exchange,
    route: &str,
    id: &str,
    p: &mut Params,
) -> Option<Result<Value, Error>> {
    let body = &exchange.body;
    if let Some(async_mode) = p.take::<bool>("async_mode") {
        let options = create_options(p);
        return send_creation(client, route, body, &options, async_mode).await;
    }
    Some(match (exchange.method.as_str(), route) {
        ("POST", "pools") if p.0.contains_key("storage_key") => {
            let key = p.take::<String>("storage_key").unwrap();
            json(client.create_pool_stored_in(&read(body), &key).await)
        }
        ("POST", "/api/staging/projects/{id}/check") => {
            json(client.check_project(id, &read(body)).await)
        }
        ("POST", "projects") => json(client.create_project(&read(body)).await),
        ("PUT", "projects/{id}") => json(client.update_project(id, &read(body)).await),
        ("POST", "projects/{id}/archive") => json(client.archive_project(id).await),
        ("POST", "pools") => json(client.create_pool(&read(body)).await),
        ("PUT", "pools/{id}") => json(client.update_pool(id, &read(body)).await),
        ("PATCH", "pools/{id}") => json(client.patch_pool(id, &read(body)).await),
        ("POST", "pools/{id}/open") => json(client.open_pool(id).await),
        ("POST", "pools/{id}/close") => json(client.close_pool(id).await),
        ("POST", "pools/{id}/close-for-update") => json(client.close_pool_for_update(id).await),
        ("POST", "pools/{id}/archive") => json(client.archive_pool(id).await),
        ("POST", "pools/{id}/clone") => json(client.clone_pool(id).await),
        ("POST", "trainings") => json(client.create_training(&read(body)).await),
        ("PUT", "trainings/{id}") => json(client.update_training(id, &read(body)).await),
        ("POST", "trainings/{id}/open") => json(client.open_training(id).await),
        ("POST", "trainings/{id}/close") => json(client.close_training(id).await),
        ("POST", "trainings/{id}/archive") => json(client.archive_training(id).await),
        ("POST", "trainings/{id}/clone") => json(client.clone_training(id).await),
        ("POST", "skills") => json(client.create_skill(&read(body)).await),
        ("PUT", "skills/{id}") => json(client.update_skill(id, &read(body)).await),
        ("PUT", "user-skills") => json(client.set_user_skill(&read(body)).await),
        ("PUT", "user-restrictions") => json(client.set_user_restriction(&read(body)).await),
        ("DELETE", "user-skills/{id}") => json(client.delete_user_skill(id).await),
        ("DELETE", "user-restrictions/{id}") => json(client.delete_user_restriction(id).await),
        ("POST", "aggregated-solutions/aggregate-by-pool") => {
            json(client.aggregate_solutions_by_pool(&read(body)).await)
        }
        ("POST", "aggregated-solutions/aggregate-by-task") => {
            json(client.aggregate_solutions_by_task(&read(body)).await)
        }
        ("POST", "message-threads/compose") => {
            json(client.compose_message_thread(&read(body)).await)
        }
        ("POST", "message-threads/{id}/reply") => {
            let text = read::<ReplyMessage>(body).text;
            json(client.reply_message_thread(id, text).await)
        }
        ("POST", "message-threads/{id}/add-to-folders") => {
            let folders = read::<MessageFolders>(body).folders;
            json(client.add_message_thread_to_folders(id, &folders).await)
        }
        ("POST", "message-threads/{id}/remove-from-folders") => {
            let folders = read::<MessageFolders>(body).folders;
            json(
                client
                    .remove_message_thread_from_folders(id, &folders)
                    .await,
            )
        }
        ("PATCH", "tasks/{id}") => json(
            client
                .patch_task(id, &read(body), p.take("open_pool").unwrap_or_default())
                .await,
        ),
        ("PATCH", "tasks/{id}/set-overlap-or-min") => {
            json(client.set_task_overlap_or_min(id, &read(body)).await)
        }
        ("PATCH", "task-suites/{id}") => json(
            client
                .patch_task_suite(id, &read(body), p.take("open_pool").unwrap_or_default())
                .await,
        ),
        ("PATCH", "task-suites/{id}/set-overlap-or-min") => {
            json(client.set_task_suite_overlap_or_min(id, &read(body)).await)
        }
        ("PATCH", "assignments/{id}") => json(client.patch_assignment(id, &read(body)).await),
        ("PUT", "webhook-subscriptions") => json(
            client
                .upsert_webhook_subscriptions(&read::<Vec<_>>(body))
                .await,
        ),
        ("POST", "/api/staging/analytics-2") => {
            json(client.request_analytics(&read::<Vec<_>>(body)).await)
        }
        _ => return None,
    })
}

/// Sends the recorded request through the client; `None` when it has no method for it.
async fn send(client: &Client, exchange: &Exchange) -> Option<Result<Value, Error>> {
    let route = exchange.route.trim_start_matches("/api/v1/");
    let position = exchange.route.split('/').position(|part| part == "{id}");
    let id = position
        .and_then(|at| exchange.path.split('/').nth(at))
        .unwrap_or_default();
    let mut params = Params(exchange.query.iter().cloned().collect());
    let answer = if exchange.method == "GET" {
        send_get(client, route, id, &mut params).await?
    } else {
        send_write(client, exchange, route, id, &mut params).await?
    };
    assert!(
        params.0.is_empty(),
        "{}: cannot ask for {:?}",
        exchange.path,
        params.0
    );
    Some(answer)
}

/// What differs between the recorded request and the one that came.
fn request_difference(exchange: &Exchange, seen: &Seen) -> Option<String> {
    let query = |pairs: &[(String, String)]| -> Value {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    if (&exchange.method, &exchange.path) != (&seen.method, &seen.path) {
        return Some(format!("{} {}", seen.method, seen.path));
    }
    difference(&query(&exchange.query), &query(&seen.query))
        .or_else(|| difference(&exchange.body, &seen.body))
}

/// The scripted answer: as recorded, but HTTP has no 204 with a body.
fn reply(exchange: &Exchange) -> Reply {
    match &exchange.response {
        Value::Null => Reply::empty(exchange.status),
        value => match value.get("__text__").and_then(Value::as_str) {
            Some(text) => Reply::text(exchange.status, text),
            // Only the length of a file was recorded; these bytes are no text.
            None if value.get("__bytes__").is_some() => {
                let length = value["__bytes__"].as_u64().unwrap();
                Reply::text(exchange.status, vec![0xff; length.try_into().unwrap()])
            }
            None => Reply::json(
                if exchange.status == 204 {
                    200
                } else {
                    exchange.status
                },
                value,
            ),
        },
    }
}

#[tokio::test]
async fn every_recorded_request_is_sent_the_same_way_and_its_answer_understood() {
    let server = Server::start([]).await;
    let client = server.client();
    let (mut sent, mut failures) = (0, Vec::new());
    for exchange in data::exchanges() {
        server.push(reply(&exchange));
        let Some(answer) = send(&client, &exchange).await else {
            panic!("{} {} is not sent", exchange.method, exchange.route);
        };
        sent += 1;
        let seen = server.seen();
        assert_eq!(
            seen.len(),
            1,
            "{} took {} requests",
            exchange.path,
            seen.len()
        );
        let wrong = request_difference(&exchange, &seen[0]).or_else(|| match &answer {
            Ok(value) if exchange.status < 400 => difference(&exchange.response, value),
            Ok(_) => Some("the error was not seen".into()),
            Err(error) if exchange.status >= 400 => {
                let code = exchange
                    .response
                    .get("code")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                (error.code() != Some(code)).then(|| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        });
        failures.extend(wrong.map(|wrong| {
            format!(
                "{} {} ({}): {wrong}",
                exchange.method, exchange.path, exchange.kit_method
            )
        }));
    }
    assert!(
        failures.is_empty(),
        "{} of {sent}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    // 607 were recorded, of which 70 speak to the app projects, which are no part of this API.
    assert_eq!(sent, 607 - 70);
}

/// What the platform documents and toloka-kit has no call for.
#[tokio::test]
async fn routes_that_the_kit_lacks_are_sent_as_documented() {
    let operation = json!({ "id": "op", "type": "TRAINING.CLOSE", "status": "RUNNING" });
    let tested = json!({
        "success": false, "responseReceivedAt": "2026-01-31T09:00:00.000",
        "errorType": "WRONG_STATUS_CODE", "originalStatusCode": 502, "uuids": ["u"],
    });
    let server = Server::start([
        Reply::json(202, &operation),
        Reply::empty(204),
        Reply::json(201, &tested),
        Reply::empty(204),
        Reply::json(404, &json!({ "code": "DOES_NOT_EXIST" })),
    ])
    .await;
    let client = server.client();
    let closing = client.close_training_for_update("1").await.unwrap();
    assert_eq!(closing.unwrap().id, "op");
    assert!(
        client
            .close_training_for_update("1")
            .await
            .unwrap()
            .is_none()
    );
    let test = client.test_webhook_subscription("w").await.unwrap();
    assert_eq!(test.error_type, Some(WebhookErrorType::WrongStatusCode));
    assert_eq!(
        difference(&tested, &serde_json::to_value(test).unwrap()),
        None
    );
    client.delete_webhook_subscription("w").await.unwrap();
    let gone = client.delete_webhook_subscription("w").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(_)));
    let sent: Vec<_> = server
        .seen()
        .into_iter()
        .map(|seen| {
            assert!(seen.query.is_empty() && seen.body.is_null());
            format!("{} {}", seen.method, seen.path)
        })
        .collect();
    assert_eq!(
        sent,
        [
            "POST /api/v1/trainings/1/close-for-update",
            "POST /api/v1/trainings/1/close-for-update",
            "POST /api/v1/webhook-subscriptions/w/test",
            "DELETE /api/v1/webhook-subscriptions/w",
            "DELETE /api/v1/webhook-subscriptions/w",
        ]
    );
}

#[tokio::test]
async fn credentials_account_and_program_travel_in_headers() {
    let server = Server::start([]).await;
    for (builder, authorization) in [
        (
            Client::builder(server.url()).api_key("a.b.c"),
            "ApiKey a.b.c",
        ),
        (Client::builder(server.url()).oauth("token"), "OAuth token"),
    ] {
        server.push(Reply::text(200, r#"{"id":"r","balance":1.25}"#));
        let client = builder
            .act_under_account("acc")
            .user_agent("me/1")
            .build()
            .unwrap();
        client.get_requester().await.unwrap();
        let headers = server.seen().remove(0).headers;
        assert_eq!(headers["authorization"], authorization);
        assert_eq!(headers["x-act-under-account-id"], "acc");
        assert_eq!(headers["user-agent"], "me/1");
        assert!(!headers.contains_key("content-type"), "there is no body");
    }
}

#[tokio::test]
async fn an_id_cannot_reach_another_route() {
    let server = Server::start([Reply::text(404, r#"{"code":"DOES_NOT_EXIST"}"#)]).await;
    let client = server.client();
    client.get_pool("1/../../projects?x=1#y").await.unwrap_err();
    let seen = server.seen().remove(0);
    assert_eq!(seen.path, "/api/v1/pools/1%2F..%2F..%2Fprojects%3Fx=1%23y");
    for id in ["", ".", ".."] {
        assert!(
            matches!(client.get_pool(id).await, Err(Error::Usage(_))),
            "{id}"
        );
    }
    assert!(server.seen().is_empty());
}

#[test]
fn a_client_that_cannot_work_is_not_built() {
    for (url, says) in [
        ("toloka.dev", "not a URL"),
        ("ftp://toloka.dev", "begins with `ftp:`"),
        ("http://user:word@127.0.0.1", "user or password"),
        ("http://127.0.0.1/api/v1", "without `/api/v1`"),
        ("http://127.0.0.1/?a=1", "query"),
    ] {
        let error = Client::builder(url)
            .api_key("k")
            .build()
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{url}: {error}");
        assert!(!error.contains("word@"), "{error}");
    }
    for key in ["", " ", "a\nb"] {
        let error = Client::builder("http://127.0.0.1")
            .api_key(key)
            .build()
            .unwrap_err();
        assert!(matches!(error, Error::Usage(_)));
    }
    assert!(
        Client::builder("http://127.0.0.1")
            .build()
            .unwrap_err()
            .to_string()
            .contains("api_key")
    );
    let https = Client::builder("https://toloka.dev").api_key("k").build();
    assert_eq!(https.is_ok(), cfg!(feature = "tls"));
}

#[test]
fn secrets_are_not_printed() {
    let builder = Client::builder("http://127.0.0.1").api_key("hush");
    assert!(!format!("{builder:?}").contains("hush"));
    assert!(!format!("{:?}", builder.build().unwrap()).contains("hush"));
    assert!(!format!("{:?}", quorate_toloka::Secret::new("hush")).contains("hush"));
}
