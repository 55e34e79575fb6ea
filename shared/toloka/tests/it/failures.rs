//! What the client does when things go wrong: what it sends again, how long it waits, what it tells.

use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::TryStreamExt as _;
use quorate_toloka::{
    Client, CreateOptions, Error, QuotaInterval, RetryPolicy, TransportKind, WaitPolicy, codes,
    types::{
        AggregationRequest, ComposeMessage, Folder, LocalizedText, OperationStatus, PoolPatch,
        Project, Task, UserBonus,
    },
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::server::{Reply, Server, builder, recorded_sleep};

fn error(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "request_id": "req-1", "code": code, "message": "no" }),
    )
}

fn pool() -> Reply {
    Reply::text(200, r#"{"id":"1"}"#)
}

fn options() -> CreateOptions {
    CreateOptions::new(uuid::Uuid::from_u128(7))
}

/// Calls that may be repeated, and calls that may not.
async fn call(client: &Client, name: &str) -> Result<(), Error> {
    match name {
        "get" => client.get_pool("1").await.map(drop),
        "update" => client.update_pool("1", &Default::default()).await.map(drop),
        "open" => client.open_pool("1").await.map(drop),
        "create tasks" => client
            .create_tasks(&[Task::default()], &options())
            .await
            .map(drop),
        "create project" => client.create_project(&Project::default()).await.map(drop),
        "patch" => client
            .patch_pool("1", &PoolPatch::default())
            .await
            .map(drop),
        "clone" => client.clone_pool("1").await.map(drop),
        "delete" => client.delete_user_skill("1").await,
        "create a bonus" => client
            .create_user_bonus_now(&UserBonus::default(), &options())
            .await
            .map(drop),
        "file a message" => client
            .add_message_thread_to_folders("1", &[Folder::Important])
            .await
            .map(drop),
        "write" => client
            .compose_message_thread(&ComposeMessage::default())
            .await
            .map(drop),
        "answer" => client
            .reply_message_thread("1", LocalizedText::new())
            .await
            .map(drop),
        "aggregate" => client
            .aggregate_solutions_by_pool(&AggregationRequest::default())
            .await
            .map(drop),
        _ => unreachable!(),
    }
}

const REPEATABLE: [&str; 7] = [
    "get",
    "update",
    "open",
    "create tasks",
    "delete",
    "create a bonus",
    "file a message",
];
const ONCE: [&str; 6] = [
    "create project",
    "patch",
    "clone",
    "write",
    "answer",
    "aggregate",
];

#[tokio::test]
async fn a_failure_is_sent_again_three_times_only_where_that_is_safe() {
    for status in [408, 500, 502, 503, 504] {
        for (names, tries) in [(&REPEATABLE[..], 3), (&ONCE[..], 1)] {
            for name in names {
                let server = Server::start(vec![error(status, ""); 4]).await;
                let (client, waits) = server.retrying_client();
                let failed = call(&client, name).await.unwrap_err();
                assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
                assert!(failed.is_retryable() && failed.may_have_had_effect());
                assert_eq!(server.seen().len(), tries, "{name} after {status}");
                assert_eq!(waits.lock().unwrap().len(), tries - 1);
            }
        }
    }
}

#[tokio::test]
async fn a_refused_call_had_no_effect_and_is_always_sent_again() {
    for name in ONCE {
        let server = Server::start([error(429, codes::TOO_MANY_REQUESTS), error(429, "")]).await;
        let (client, _) = server.retrying_client();
        // The third answer comes from the end of the script: no answer of the API.
        let failed = call(&client, name).await.unwrap_err();
        assert!(matches!(failed, Error::Api(_)), "{failed:?}");
        assert_eq!(server.seen().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn an_earlier_try_of_unknown_effect_is_not_forgotten() {
    let minute = json!({ "code": "TOO_MANY_REQUESTS", "payload": { "interval": "MIN" } });
    for last in [
        vec![error(429, ""), error(429, "")],
        vec![Reply::json(429, &minute)],
    ] {
        let server = Server::start([vec![error(504, "")], last].concat()).await;
        let (client, _) = server.retrying_client();
        let failed = call(&client, "create tasks").await.unwrap_err();
        assert!(failed.may_have_had_effect(), "{failed:?}");
    }
    // The platform's word on what it did before is better than our doubt.
    let server = Server::start([error(504, ""), error(409, codes::OPERATION_ALREADY_EXISTS)]).await;
    let (client, _) = server.retrying_client();
    let failed = call(&client, "create tasks").await.unwrap_err();
    assert!(
        matches!(failed, Error::OperationAlreadyExists(_)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_retry_may_succeed_and_sends_the_same_again() {
    let created = Reply::text(
        202,
        r#"{"id":"op","type":"TASK.BATCH_CREATE","status":"RUNNING"}"#,
    );
    let server = Server::start([Reply::text(502, "<html>bad gateway</html>"), created]).await;
    let (client, _) = server.retrying_client();
    assert_eq!(
        client
            .create_tasks(&[Task::default()], &options())
            .await
            .unwrap()
            .id,
        "op"
    );
    let seen = server.seen();
    assert_eq!(
        (&seen[0].query, &seen[0].body),
        (&seen[1].query, &seen[1].body)
    );
}

#[tokio::test]
async fn other_refusals_are_not_sent_again() {
    for (reply, kind) in [
        (error(400, codes::VALIDATION_ERROR), "Validation"),
        (error(403, codes::AUTHENTICATION_ERROR), "Auth"),
        (error(403, codes::ACCESS_DENIED), "Auth"),
        (Reply::empty(401), "Auth"),
        (error(404, codes::DOES_NOT_EXIST), "NotFound"),
        (Reply::text(404, "<html>"), "NotFound"),
        (error(409, codes::EMPTY_POOL), "Conflict"),
        (
            error(409, codes::OPERATION_ALREADY_EXISTS),
            "OperationAlreadyExists",
        ),
        (error(413, ""), "Api"),
        (
            Reply::empty(302).header("location", "http://127.0.0.1:1/"),
            "Api",
        ),
    ] {
        let server = Server::start([reply]).await;
        let (client, _) = server.retrying_client();
        let failed = client.get_pool("1").await.unwrap_err();
        assert!(
            format!("{failed:?}").starts_with(kind),
            "{kind}: {failed:?}"
        );
        assert!(!failed.is_retryable() && !failed.may_have_had_effect());
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn the_platforms_wait_is_honoured_before_the_quota_and_the_random_one() {
    let minute = json!({ "code": "TOO_MANY_REQUESTS", "payload": { "interval": "MIN" } });
    for (reply, expected) in [
        (error(429, "").header("retry-after", "7"), 7),
        (Reply::json(429, &minute).header("retry-after", "3"), 3),
        (
            error(429, "")
                .header("date", "Wed, 21 Oct 2015 07:28:00 GMT")
                .header("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT"),
            9,
        ),
    ] {
        let server = Server::start([reply, pool()]).await;
        let (client, waits) = server.retrying_client();
        client.get_pool("1").await.unwrap();
        assert_eq!(*waits.lock().unwrap(), [Duration::from_secs(expected)]);
    }
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let quota = |interval| {
        Reply::json(
            429,
            &json!({ "code": "TOO_MANY_REQUESTS", "payload": { "interval": interval } }),
        )
    };
    for (reply, seconds, quota) in [
        (quota("MIN"), Some(60), Some(QuotaInterval::Minute)),
        (quota("HOUR"), Some(3_600), Some(QuotaInterval::Hour)),
        (quota("DAY"), Some(86_400), Some(QuotaInterval::Day)),
        (error(429, "").header("retry-after", "600"), Some(600), None),
    ] {
        let server = Server::start([reply]).await;
        let (client, waits) = server.retrying_client();
        let failed = client.get_pool("1").await.unwrap_err();
        let Error::RateLimited {
            retry_after,
            interval,
            ..
        } = failed
        else {
            panic!("{failed:?}")
        };
        assert_eq!(
            (retry_after, interval),
            (seconds.map(Duration::from_secs), quota)
        );
        assert!(waits.lock().unwrap().is_empty(), "it slept");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn no_answer_in_time_has_an_unknown_effect() {
    let server = Server::start([Reply::hang()]).await;
    let once = builder(&server.url())
        .retry(RetryPolicy::never())
        .timeout(Duration::from_millis(20));
    let failed = once
        .build()
        .unwrap()
        .create_project(&Project::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            failed,
            Error::Transport {
                kind: TransportKind::Timeout,
                ..
            }
        ),
        "{failed:?}"
    );
    assert!(failed.may_have_had_effect());
    assert!(!failed.to_string().contains("127.0.0.1"), "{failed}");
}

#[tokio::test]
async fn no_connection_has_no_effect_and_everything_is_sent_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (sleep, waits) = recorded_sleep();
    let client = builder(&url).sleep_with(sleep).build().unwrap();
    let failed = client
        .create_project(&Project::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            failed,
            Error::Transport {
                kind: TransportKind::Connect,
                ..
            }
        ),
        "{failed:?}"
    );
    assert!(!failed.may_have_had_effect());
    assert_eq!(waits.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_has_an_unknown_effect() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let (sleep, waits) = recorded_sleep();
    let client = builder(&url).sleep_with(sleep).build().unwrap();
    let failed = client
        .create_project(&Project::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            failed,
            Error::Transport {
                kind: TransportKind::Broken,
                ..
            }
        ),
        "{failed:?}"
    );
    assert!(failed.may_have_had_effect());
    assert!(
        waits.lock().unwrap().is_empty(),
        "a project was created twice"
    );
    client.get_pool("1").await.unwrap_err();
    assert_eq!(waits.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_tells_where() {
    let body = r#"{"items":[{"id":"1"},{"id":"2","overlap":"three"}],"has_more":false}"#;
    let server = Server::start([Reply::text(200, body)]).await;
    let (client, _) = server.retrying_client();
    let failed = client.find_tasks(&Default::default()).await.unwrap_err();
    let text = failed.to_string();
    assert!(
        text.contains("GET /api/v1/tasks") && text.contains("items[1].overlap"),
        "{text}"
    );
    assert!(failed.may_have_had_effect());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_validation_error_names_the_fields() {
    let payload = json!({
        "0": { "input_values.image": { "code": "VALUE_REQUIRED", "message": "Value must be present" } },
        "3": { "overlap": { "code": "VALUE_LESS_THAN_MIN", "message": "too low", "params": [1] } },
    });
    let body = json!({ "request_id": "r", "code": "VALIDATION_ERROR", "message": "Validation failed", "payload": payload });
    let server = Server::start([Reply::json(400, &body)]).await;
    let failed = server
        .client()
        .create_tasks(&[], &options())
        .await
        .unwrap_err();
    let fields = failed.failure().unwrap().fields();
    let paths: Vec<_> = fields
        .iter()
        .map(|(path, error)| (path.as_str(), error.code.as_str()))
        .collect();
    assert_eq!(
        paths,
        [
            ("0.input_values.image", "VALUE_REQUIRED"),
            ("3.overlap", "VALUE_LESS_THAN_MIN")
        ]
    );
    assert_eq!(
        failed.to_string(),
        "POST /api/v1/tasks: 400 VALIDATION_ERROR Validation failed: 0.input_values.image: Value must be \
         present, 3.overlap: too low (request r)"
    );
}

#[tokio::test]
async fn an_operation_is_looked_at_until_it_ends() {
    let state = |status: &str| {
        Reply::json(
            200,
            &json!({ "id": "op", "type": "POOL.OPEN", "status": status }),
        )
    };
    let server = Server::start([
        state("PENDING"),
        state("RUNNING"),
        state("RUNNING"),
        state("FAIL"),
    ])
    .await;
    let (client, waits) = server.retrying_client();
    let operation = client
        .wait_operation("op", WaitPolicy::default())
        .await
        .unwrap();
    assert_eq!(operation.status, OperationStatus::Fail);
    assert_eq!(
        *waits.lock().unwrap(),
        [250, 500, 1_000].map(Duration::from_millis)
    );
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_given_back() {
    let running = Reply::text(200, r#"{"id":"op","type":"POOL.OPEN","status":"RUNNING"}"#);
    let server = Server::start(vec![running; 20]).await;
    let (client, waits) = server.retrying_client();
    let policy = WaitPolicy {
        first: Duration::from_secs(2),
        longest: Duration::from_secs(4),
        timeout: Duration::from_secs(9),
    };
    let failed = client.wait_operation("op", policy).await.unwrap_err();
    assert!(matches!(failed, Error::StillRunning { .. }) && failed.is_retryable());
    assert_eq!(
        failed.to_string(),
        "operation op (POOL.OPEN) is still RUNNING after 9s"
    );
    assert_eq!(*waits.lock().unwrap(), [2, 4, 3].map(Duration::from_secs));
}

/// A client that knows `keys` beside `secret-key`, and gives them one by one.
fn renewing_client(server: &Server, keys: &[&'static str]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, keys) = (
        Arc::clone(&asked),
        Mutex::new(VecDeque::from(keys.to_vec())),
    );
    let client = builder(&server.url())
        .retry(RetryPolicy::never())
        .renew_with(move |refused| {
            log.lock().unwrap().push(refused.expose().to_owned());
            ready(keys.lock().unwrap().pop_front().map(Into::into))
        })
        .build()
        .unwrap();
    (client, asked)
}

/// The keys that the requests carried.
fn keys(server: &Server) -> Vec<String> {
    let seen = server.seen().into_iter();
    seen.map(|request| {
        request.headers["authorization"]
            .to_str()
            .unwrap()
            .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_conflict_names_what_is_allowed() {
    let refusal = json!({
        "code": codes::INAPPROPRIATE_STATUS, "message": "no",
        "payload": { "appropriate_statuses": ["OPEN", "CLOSED"] },
    });
    // Whatever the status of the answer.
    for status in [409, 400] {
        let server = Server::start([Reply::json(status, &refusal)]).await;
        let error = server.client().archive_pool("1").await.unwrap_err();
        let Error::Conflict(failure) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.appropriate_statuses(), ["OPEN", "CLOSED"]);
    }
}

/// Every code is spelt as documented: no list has a code twice, nor two lists the same one.
#[test]
fn every_documented_code_has_its_constant() {
    let all = [codes::COMMON, codes::STATE, codes::FIELDS].concat();
    assert_eq!(
        (codes::COMMON.len(), codes::STATE.len(), codes::FIELDS.len()),
        (8, 63, 40)
    );
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(
        codes::UNARCHIVED_POOLS_CONFLICT,
        "UNARCHIVED_POOLS_CONFLICT"
    );
}

#[tokio::test]
async fn each_look_at_an_operation_tells_its_progress() {
    let look = |status: &str, progress: u32| {
        Reply::json(
            200,
            &json!({ "id": "op", "type": "POOL.OPEN", "status": status, "progress": progress }),
        )
    };
    let server = Server::start([
        look("PENDING", 0),
        look("RUNNING", 40),
        look("SUCCESS", 100),
    ])
    .await;
    let (client, waits) = server.retrying_client();
    let states = client.operation_states("op", WaitPolicy::default());
    let progress: Vec<_> = states
        .map_ok(|operation| operation.progress.unwrap())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(progress, [0, 40, 100]);
    assert_eq!(waits.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_operation_that_fails_tells_which_items_failed_and_why() {
    let failed = json!({
        "id": "op", "type": "TASK.BATCH_CREATE", "status": "FAIL",
        "details": { "code": "BATCH_REJECTED", "message": "nothing was created" },
    });
    let log = json!([
        { "type": "TASK_VALIDATE", "success": true, "input": { "__item_idx": "0" }, "output": {} },
        { "type": "TASK_VALIDATE", "success": false, "input": { "__item_idx": "1" },
          "output": { "overlap": { "code": "VALUE_REQUIRED", "message": "May not be null" } } },
        { "type": "TASK_VALIDATE", "success": false, "input": { "__item_idx": "2" }, "output": {} },
    ]);
    let server = Server::start([
        Reply::json(200, &failed),
        Reply::json(200, &log),
        Reply::json(200, &failed),
        error(404, codes::OPERATION_LOGS_ARCHIVED),
    ])
    .await;
    let client = server.client();
    let error = client
        .complete_operation("op", WaitPolicy::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "operation op (TASK.BATCH_CREATE) failed: BATCH_REJECTED: nothing was created: \
         TASK_VALIDATE, overlap: May not be null, and 1 more"
    );
    assert!(!error.is_retryable() && error.may_have_had_effect());
    let Error::OperationFailed { failed, .. } = &error else {
        panic!("{error:?}");
    };
    let items: Vec<_> = failed.iter().map(|item| item.item_index()).collect();
    assert_eq!(items, [Some(1), Some(2)]);
    let errors = failed[0].errors();
    assert_eq!(
        (errors[0].0.as_str(), errors[0].1.code.as_str()),
        ("overlap", codes::VALUE_REQUIRED)
    );

    // Without the log it has failed all the same.
    let error = client
        .complete_operation("op", WaitPolicy::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OperationFailed { failed, .. } if failed.is_empty()));
}

#[tokio::test]
async fn a_rotated_key_is_taken_and_kept_when_the_old_one_is_refused() {
    for refusal in [
        error(401, codes::AUTHENTICATION_ERROR),
        error(403, codes::ACCESS_DENIED),
    ] {
        let server = Server::start([refusal, pool(), pool()]).await;
        let (client, asked) = renewing_client(&server, &["new-key"]);
        // Even what must not be repeated: a refused request had no effect.
        client.create_project(&Project::default()).await.unwrap();
        client.get_pool("1").await.unwrap();
        assert_eq!(
            keys(&server),
            ["ApiKey secret-key", "ApiKey new-key", "ApiKey new-key"]
        );
        assert_eq!(*asked.lock().unwrap(), ["secret-key"]);
    }
}

#[tokio::test]
async fn a_refusal_stands_when_there_is_no_other_key() {
    for known in [&[][..], &["secret-key"]] {
        let server = Server::start([error(401, codes::AUTHENTICATION_ERROR)]).await;
        let (client, _) = renewing_client(&server, known);
        let refusal = client.get_pool("1").await.unwrap_err();
        assert!(matches!(refusal, Error::Auth(_)), "{refusal}");
        assert_eq!(keys(&server), ["ApiKey secret-key"]);
    }
    let refusals = [403, 403].map(|status| error(status, codes::ACCESS_DENIED));
    let server = Server::start(refusals).await;
    let (client, _) = renewing_client(&server, &["new-key", "third-key"]);
    let refusal = client.get_pool("1").await.unwrap_err();
    assert!(matches!(refusal, Error::Auth(_)), "{refusal}");
    assert_eq!(keys(&server), ["ApiKey secret-key", "ApiKey new-key"]);
}

#[tokio::test]
async fn a_new_key_that_cannot_be_sent_is_said_so_without_showing_it() {
    let server = Server::start([error(401, codes::AUTHENTICATION_ERROR)]).await;
    let (client, _) = renewing_client(&server, &["two\nlines"]);
    let error = client.get_pool("1").await.unwrap_err().to_string();
    assert!(
        error.contains("credentials") && !error.contains("lines"),
        "{error}"
    );
}
