//! What hostile requests get: an error in JSON with a code, and nothing else.
//! [`Raw::send`] checks every answer; the tests here say which requests.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, header};
use futures_util::TryStreamExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quorate_crowd::{Config, RequesterKey};
use quorate_toloka::Client;
use serde_json::{Value, json};

use crate::raw::{KEY, Raw, SIGN_IN, Sample, TEXTS, pointers, routes, samples};
use crate::world::{World, config, id, merge};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn raw() -> (tempfile::TempDir, Raw) {
    let folder = tempfile::tempdir().unwrap();
    let raw = Raw::new(folder.path()).await;
    (folder, raw)
}

#[test]
fn every_route_is_tried() {
    let sources = [
        include_str!("../../src/requester/mod.rs"),
        include_str!("../../src/requester/webhooks.rs"),
        include_str!("../../src/worker.rs"),
        include_str!("../../src/attachments.rs"),
        include_str!("../../src/messages.rs"),
        include_str!("../../src/metrics.rs"),
    ];
    let quoted = sources.iter().flat_map(|source| source.split('"'));
    let found: BTreeSet<&str> = quoted.filter(|text| text.starts_with("/api/")).collect();
    let tried: BTreeSet<&str> = routes().map(|(_, route)| route).collect();
    assert!(found.len() > 60);
    assert!(found.is_subset(&tried), "{:?}", found.difference(&tried));
}

#[tokio::test]
async fn who_has_no_key_or_that_of_the_other_side_is_turned_away() {
    let (_folder, raw) = raw().await;
    let token = &raw.known.token;
    let worker = token.split_once('.').unwrap().0;
    let both = [
        String::new(),
        "Basic YTpi".into(),
        "ApiKey".into(),
        "ApiKey ".into(),
        "ApiKey wrong".into(),
        "Bearer x".into(),
        "x".repeat(9_000),
        format!("ApiKey {KEY} {KEY}"),
        format!("Worker {worker}."),
        format!("Worker {worker}.{}", "0".repeat(64)),
        "ApiKey ' OR 1=1 --".into(),
        "Worker ' OR 1=1 --.x".into(),
    ];
    for (method, route) in routes().filter(|(_, route)| *route != SIGN_IN) {
        let others = if route.starts_with("/api/worker/") {
            [format!("Worker {KEY}"), format!("ApiKey {KEY}")]
        } else {
            [format!("ApiKey {token}"), format!("Worker {token}")]
        };
        let mut values: Vec<HeaderValue> = both
            .iter()
            .chain(&others)
            .map(|value| value.parse().unwrap())
            .collect();
        values.push(HeaderValue::from_bytes(b"ApiKey \xff\xfe").unwrap());
        for value in values {
            let path = format!("{}?name=a", raw.known.path(route));
            let request = Request::builder().method(method).uri(path);
            let request = request.header(header::AUTHORIZATION, value.clone());
            let reply = raw.send(request.body("{}".into()).unwrap()).await;
            let got = (reply.status, reply.code());
            let expected = (403, "AUTHENTICATION_ERROR".to_owned());
            assert_eq!(got, expected, "{method} {route} with {value:?}");
        }
    }
}

/// Bodies that are no request of any route.
fn wrong_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| (open.repeat(10_000) + &close.repeat(10_000)).into_bytes();
    vec![
        ("nothing", Vec::new()),
        ("half", b"{\"public_name\": \"a".to_vec()),
        ("two", b"{} {}".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"12".to_vec()),
        ("a text", b"\"x\"".to_vec()),
        ("numbers", b"[1, 2]".to_vec()),
        ("NaN", b"{\"overlap\": NaN}".to_vec()),
        (
            "too large a number",
            b"{\"overlap\": 1e400, \"priority\": 1e400, \"a\": [-1e999]}".to_vec(),
        ),
        (
            "a long number",
            format!("{{\"overlap\": {}}}", "9".repeat(100_000)).into_bytes(),
        ),
        ("no text", b"{\"a\": \"\xff\xfe\"}".to_vec()),
        ("no key", b"{\"\xc3\x28\": 1}".to_vec()),
        ("half a character", b"{\"a\": \"\\ud800\"}".to_vec()),
        ("a control character", b"{\"a\": \"\n\"}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", b"{\0}\0".to_vec()),
        ("deep arrays", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        (
            "a deep filter",
            [
                b"{\"filter\":".to_vec(),
                deep("{\"and\":[", "]}"),
                b"}".to_vec(),
            ]
            .concat(),
        ),
        (
            "deep values",
            [
                b"[{\"input_values\":".to_vec(),
                deep("[", "]"),
                b"}]".to_vec(),
            ]
            .concat(),
        ),
        ("deep unclosed", b"[".repeat(1_000_000)),
        (
            "one key twice",
            b"{\"text\": {}, \"text\": {}, \"overlap\": 1, \"overlap\": 2}".to_vec(),
        ),
        (
            "a long text",
            format!("{{\"name\": 1, \"x\": \"{}\"}}", "x".repeat(3 << 20)).into_bytes(),
        ),
        (
            "a long key",
            format!("{{\"{}\": 1}}", "x".repeat(3 << 20)).into_bytes(),
        ),
        (
            "many values",
            format!("[{}0]", "0,".repeat(500_000)).into_bytes(),
        ),
        ("a form", b"a=1&b=2".to_vec()),
        (
            "markup",
            b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"b\">]><a>&b;</a>".to_vec(),
        ),
    ]
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_and_leaves_nothing() {
    let (_folder, raw) = raw().await;
    let samples = samples(&raw.known);
    let takes_body = |route: &str, method: &str| {
        let mut bodies = samples
            .iter()
            .filter(|one| one.route == route && one.method == method);
        bodies.any(|one| !one.body.is_null())
    };
    for (method, route) in routes().filter(|(method, route)| takes_body(route, method)) {
        for (what, body) in wrong_bodies() {
            let reply = raw.call(method, &raw.known.path(route), body).await;
            // Some fields may all be left out, and what nobody knows is passed over.
            let known = ["one key twice", "a long text", "a long key"].contains(&what);
            let optional = known && (method == "PATCH" || route.ends_with("/check"));
            let refused = reply.status >= 400 || reply.json()["items"] == json!({});
            assert!(refused || optional, "{what}: {method} {route}: {reply:?}");
        }
    }
    raw.still_works().await;
}

/// Values of any type and size, to stand where another is expected.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "null",
        "true",
        "-1",
        "1.5",
        "1e400",
        "9223372036854775808",
        "\"\"",
        "\"\\u0000\"",
        "\"9999-12-31T23:59:59.999\"",
        "[]",
        "{}",
        "[[null]]",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push(json!("x".repeat(3_000)).to_string());
    values.push("[".repeat(200) + &"]".repeat(200));
    values
}

/// The bodies that come of a value put in the place of each part of `body`.
fn replaced(body: &Value, seen: &mut BTreeSet<String>, route: &str) -> Vec<String> {
    const PLACE: &str = "\"the place of a value\"";
    let mut places = Vec::new();
    pointers(body, String::new(), &mut places);
    let mut bodies = Vec::new();
    for place in places {
        let turn = seen.len();
        let anywhere = place.split('/').map(|part| {
            if part.parse::<usize>().is_ok() {
                "0"
            } else {
                part
            }
        });
        let name = format!("{route} {}", anywhere.collect::<Vec<_>>().join("/"));
        if !seen.insert(name) {
            continue;
        }
        let mut with_place = body.clone();
        *with_place.pointer_mut(&place).unwrap() = serde_json::from_str(PLACE).unwrap();
        let text = with_place.to_string();
        // Each place gets half of the values, the next one the others.
        let values = values().into_iter().skip(turn % 2).step_by(2);
        bodies.extend(values.map(|value| text.replace(PLACE, &value)));
    }
    bodies
}

#[tokio::test]
async fn a_value_of_another_type_in_any_field_breaks_nothing() {
    let (_folder, raw) = raw().await;
    let mut seen = BTreeSet::new();
    for Sample {
        method,
        route,
        query,
        body,
    } in samples(&raw.known)
    {
        // It would call the receiver.
        if body.is_null() || route.ends_with("/test") {
            continue;
        }
        let mut pairs: Vec<String> = query
            .iter()
            .filter(|(name, _)| name != "operation_id")
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        pairs.push("skip_invalid_items=true".to_owned());
        let path = format!("{}?{}", raw.known.path(&route), pairs.join("&"));
        let same = format!("{method} {route}");
        for body in replaced(&body, &mut seen, &same) {
            raw.call(&method, &path, body).await;
        }
    }
    assert!(seen.len() > 700);
    raw.still_works().await;
}

#[tokio::test]
async fn parameters_are_read_or_refused() {
    const NAMES: &[&str] = &[
        "id",
        "id_gt",
        "id_lte",
        "status",
        "project_id",
        "created_gte",
        "submitted_lt",
        "user_id",
        "skill_id",
        "sort",
        "limit",
        "operation_id",
        "async_mode",
        "allow_defaults",
        "field",
        "startTimeFrom",
        "excludeBanned",
        "name",
        "type",
        "folder",
        "value_gte",
        "overlap",
        "task_id",
    ];
    let (_folder, raw) = raw().await;
    let mut values: Vec<String> = TEXTS.iter().map(|text| encoded(text)).collect();
    values.extend(
        [
            "",
            "%",
            "%zz",
            "%ff%fe",
            "%00",
            "-1",
            "0",
            "1e9",
            "99999999999999999999",
            "NaN",
            "id,id,-id",
            "+1",
            "1&limit=2&limit=x",
            "&&&=&",
            "-9999-01-01T00:00:00",
            "9999-12-31T23:59:60",
            "2020-01-01T00:00:00.000000000000000001",
            "2020-01-01T00:00:00%2B99:99",
            "[]",
            "1;2",
            "a=b=c",
        ]
        .map(str::to_owned),
    );
    values.push("id,".repeat(4_000));
    values.push("OPEN,".repeat(3_000));
    values.push("x".repeat(15_000));
    // Each name of each route gets some of the values, the next name others.
    let mut turn = 0;
    for (method, route) in routes().filter(|(_, route)| !route.ends_with("/test")) {
        // What there is is shut down last; one request of each is tried in another test.
        if method != "GET" && route.contains("{id}") {
            continue;
        }
        let path = raw.known.path(route);
        let pool = &raw.known.ids["pools"];
        for name in NAMES {
            turn += 1;
            for value in values.iter().skip(turn % 7).step_by(7) {
                let path = format!("{path}?pool_id={pool}&{name}={value}");
                raw.call(method, &path, "{}").await;
            }
        }
    }
    raw.still_works().await;
}

#[tokio::test]
async fn an_id_that_is_none_finds_nothing() {
    let (_folder, raw) = raw().await;
    let mut ids: Vec<String> = TEXTS.iter().map(|text| encoded(text)).collect();
    ids.extend(
        [
            "%",
            "%zz",
            "%ff",
            "%00",
            "0",
            "-1",
            "1e3",
            "9223372036854775807",
            "9223372036854775808",
            "..%2f..%2fapi",
            "%2e%2e",
            "%2F",
            "1%2F2",
            "a%20b",
            "*",
            "null",
            "{id}",
        ]
        .map(str::to_owned),
    );
    ids.push("9".repeat(5_000));
    ids.push("x".repeat(60_000));
    for (method, route) in routes().filter(|(_, route)| route.contains("{id}")) {
        for id in &ids {
            let path = route.replace("{id}", id);
            let Ok(request) = Request::builder()
                .method(method)
                .uri(&path)
                .body(Body::empty())
            else {
                continue;
            };
            let (mut parts, body) = request.into_parts();
            let who = raw.known.authorization(route).parse().unwrap();
            parts.headers.insert(header::AUTHORIZATION, who);
            let reply = raw.send(Request::from_parts(parts, body)).await;
            assert!(reply.status >= 400, "{method} {path}: {reply:?}");
        }
    }
    for path in [
        "/api",
        "/api/v1/",
        "//api/v1/pools",
        "/api/v1/pools/",
        "/api/v1/pools//",
        "/%2e%2e/",
        "/x%00",
    ] {
        for method in ["GET", "POST", "TRACE", "PROPFIND"] {
            assert_eq!(
                raw.call(method, path, "").await.status,
                404,
                "{method} {path}"
            );
        }
    }
    for (route, methods) in crate::raw::ROUTES {
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            if !methods.split(' ').any(|known| known == method) {
                let reply = raw.call(method, &raw.known.path(route), "").await;
                assert_eq!(
                    (reply.status, reply.code().as_str()),
                    (405, "METHOD_NOT_ALLOWED")
                );
            }
        }
    }
}

#[tokio::test]
async fn headers_do_not_change_what_a_request_is() {
    let (_folder, raw) = raw().await;
    let headers: &[(&str, &[u8])] = &[
        ("content-type", b"text/plain"),
        ("content-type", b"application/x-www-form-urlencoded"),
        ("content-type", b"application/json; charset=utf-16"),
        ("content-type", b"\xff"),
        ("content-type", b""),
        ("host", b"e.com"),
        ("host", b"\xff"),
        ("x-forwarded-host", b"e.com"),
        ("x-http-method-override", b"DELETE"),
        ("content-encoding", b"gzip"),
        ("content-length", b"7"),
        ("transfer-encoding", b"chunked"),
        ("expect", b"100-continue"),
        ("accept", b"text/html"),
        ("range", b"bytes=0-1"),
        ("if-none-match", b"*"),
        ("x-act-under-account-id", b"' OR 1=1 --"),
        ("cookie", b"a=b; a=c"),
    ];
    for (name, value) in headers {
        for (method, path, body, expected) in [
            ("GET", "/api/v1/requester", "", 200),
            ("POST", "/api/v1/skills", r#"{"name": "n"}"#, 201),
            ("POST", "/api/v1/skills", "{", 400),
        ] {
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::AUTHORIZATION, format!("ApiKey {KEY}"))
                .body(Body::from(body))
                .unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().append(name.clone(), value.clone());
            let reply = raw.send(request).await;
            assert_eq!(reply.status, expected, "{name}: {value:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_413_or_414() {
    let (_folder, raw) = raw().await;
    let huge = axum::body::Bytes::from(vec![b' '; (32 << 20) + 1]);
    let samples = samples(&raw.known);
    let takes_body = |one: &&Sample| !one.body.is_null() || one.route.ends_with("/attachments");
    let tried = samples
        .iter()
        .filter(takes_body)
        .filter(|one| one.method != "GET");
    let tried: BTreeSet<(&String, &String)> = tried.map(|one| (&one.method, &one.route)).collect();
    assert!(tried.len() > 20);
    for (method, route) in tried {
        let path = format!("{}?name=a", raw.known.path(route));
        let reply = raw.call(method, &path, huge.clone()).await;
        assert_eq!(reply.status, 413, "{method} {route}: {reply:?}");
        assert_eq!(reply.code(), "VALIDATION_ERROR");
    }
    let long = "x".repeat(20_000);
    for path in [
        format!("/api/v1/pools?a={long}"),
        format!("/api/v1/pools/{long}"),
        format!("/{long}"),
    ] {
        let reply = raw.call("GET", &path, "").await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (414, "VALIDATION_ERROR")
        );
        assert!(reply.body.len() < 1_000, "the path is not sent back");
    }
}

/// Bytes that are no request, and some that only begin one, get an answer or are cut off; the
/// platform goes on. Those that end on a wrong length are not taken for a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_http_harms_nobody() {
    let w = World::new().await;
    let address = w.url().strip_prefix("http://").unwrap().to_owned();
    let post = "POST /api/v1/skills HTTP/1.1\r\nhost: localhost\r\nauthorization: ApiKey k\r\n";
    let requests: Vec<Vec<u8>> = vec![
        b"\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        b"GET http://e.com/api/v1/requester HTTP/1.1\r\nhost: e.com\r\nauthorization: ApiKey k\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(70_000)).into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)).into_bytes(),
        format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
        format!("{post}content-length: 100\r\n\r\n{{\"name\": \"short\"}}").into_bytes(),
        format!("{post}content-length: -1\r\n\r\n{{\"name\": \"a\"}}").into_bytes(),
        format!("{post}content-length: 5\r\ncontent-length: 13\r\n\r\n{{\"name\": \"b\"}}").into_bytes(),
        format!("{post}content-length: 99999999999999999999\r\n\r\n{{\"name\": \"c\"}}").into_bytes(),
        format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n{{\"name\": \"d\"}}\r\n0\r\n\r\n").into_bytes(),
        format!("{post}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{{\"name\": \"e\"}}").into_bytes(),
    ];
    for request in requests {
        let address = address.clone();
        let shown = String::from_utf8_lossy(&request)
            .chars()
            .take(120)
            .collect::<String>();
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let mut answer = Vec::new();
            // The platform may hang up before all is sent.
            drop(socket.write_all(&request));
            drop(socket.shutdown(std::net::Shutdown::Write));
            drop(socket.read_to_end(&mut answer));
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .unwrap();
        assert!(!answer.starts_with("HTTP/1.1 2"), "{shown}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{shown}: {answer}");
    }
    assert_eq!(w.get("/api/v1/skills").await["items"], json!([]));
}

/// Every text in these, fields and keys alike, is as bad as can be.
#[tokio::test]
async fn texts_come_back_as_they_were_and_do_nothing_else() {
    let w = World::with(Config {
        keys: vec![RequesterKey {
            account: "ann".into(),
            key: "local".into(),
        }],
        ..config()
    })
    .await;
    let mut answered = Vec::new();
    let bystander = w.project().await;
    let before = w.get(&format!("/api/v1/projects/{bystander}")).await;
    for text in TEXTS {
        let same = async |path: &str, form: Value| -> String {
            let made = w.ok("POST", path, form.clone()).await;
            let found = w.get(&format!("{path}/{}", id(&made))).await;
            let mut expected = found.clone();
            merge(&mut expected, form);
            assert_eq!(found, expected, "{path}");
            id(&made)
        };
        let visible = format!("n{text}");
        let project = same("/api/v1/projects", json!({
            "public_name": visible, "public_description": visible, "public_instructions": text,
            "private_comment": text, "assignments_issuing_type": "AUTOMATED",
            "task_spec": {
                "input_spec": {"text": {"type": "string"}, "data": {"type": "json"}},
                "output_spec": {"result": {"type": "string"}},
                "view_spec": {"type": "classic", "markup": text, "script": text, "styles": text},
            },
        })).await;
        let skill = same("/api/v1/skills", json!({
            "name": visible, "private_comment": text, "public_requester_description": {"EN": text},
        })).await;
        let pool = same("/api/v1/pools", json!({
            "project_id": project, "private_name": visible, "private_comment": text,
            "public_description": text, "public_instructions": text,
            "will_expire": "2030-01-01T00:00:00.000", "reward_per_assignment": 0.1,
            "assignment_max_duration_seconds": 600, "defaults": {"default_overlap_for_new_tasks": 1},
            "mixer_config": {"real_tasks_count": 1}, "metadata": {"k": [text]},
            "filter": {"or": [
                {"category": "profile", "key": "city", "operator": "NE", "value": text},
                {"category": "skill", "key": skill, "operator": "EQ", "value": null},
            ]},
        })).await;
        let task = same("/api/v1/tasks", json!({
            "pool_id": pool, "overlap": 1, "input_values": {"text": visible, "data": {*text: [text]}},
            "message_on_unknown_solution": text,
        })).await;
        w.open(&pool).await;
        let login: String = visible.chars().filter(|c| !c.is_control()).collect();
        let worker = w
            .worker_with(&login, json!({"city": "x", "country": text, *text: text}))
            .await;
        let page = w.take(&worker, &pool).await.unwrap();
        assert_eq!(page["tasks"][0]["input_values"]["text"], json!(visible));
        assert_eq!(w.submit(&worker, &page, &[&visible]).await.0, 200);
        let user = w.get(&format!("/api/v1/user-metadata/{}", worker.id)).await;
        assert_eq!(user["country"], *text);
        same(
            "/api/v1/user-bonuses",
            json!({
                "user_id": worker.id, "amount": 1.0, "private_comment": text,
                "public_title": {"EN": visible}, "public_message": {"EN": visible},
            }),
        )
        .await;
        let letter = json!({
            "recipients_select_type": "DIRECT", "recipients_ids": [worker.id], "answerable": true,
            "topic": {"EN": visible}, "text": {"EN": visible},
        });
        let thread = w
            .ok("POST", "/api/v1/message-threads/compose", letter)
            .await;
        assert_eq!(thread["messages"][0]["text"]["EN"], json!(visible));
        let path = format!("/messages/{}/reply", id(&thread));
        let (status, replied) = w
            .work(&worker, "POST", &path, json!({"text": {"EN": visible}}))
            .await;
        assert_eq!(
            (status, &replied["messages"][1]["text"]["EN"]),
            (200, &json!(visible))
        );
        let ban = json!({"user_id": worker.id, "scope": "ALL_PROJECTS", "private_comment": text});
        let ban = w.ok("PUT", "/api/v1/user-restrictions", ban).await;
        assert_eq!(ban["private_comment"], *text);
        answered.push((pool, task, visible));
    }
    // Nothing but what was asked for was done to anybody.
    assert_eq!(
        w.get(&format!("/api/v1/projects/{bystander}")).await,
        before
    );
    let projects = w.get("/api/v1/projects?limit=100").await;
    assert_eq!(projects["items"].as_array().unwrap().len(), TEXTS.len() + 1);
    let paid = 1.1 * TEXTS.len() as f64;
    assert!((w.balance().await - (1_000_000.0 - paid)).abs() < 1e-6);

    // The table of each pool reads back with our client.
    let client = Client::builder(w.url()).api_key("local").build().unwrap();
    for ((pool, task, visible), text) in answered.iter().zip(TEXTS) {
        let mut query = quorate_toloka::TsvQuery::default();
        query.columns.push(quorate_toloka::TsvColumn::TaskId);
        let table = client.assignments_tsv(pool, &query).await.unwrap();
        let rows: Vec<_> = table.into_stream().try_collect().await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get("INPUT:text"), Some(visible.as_str()));
        assert_eq!(rows[0].get("OUTPUT:result"), Some(visible.as_str()));
        assert_eq!(rows[0].get("HINT:text"), Some(*text));
        assert_eq!(rows[0].get("ASSIGNMENT:task_id"), Some(task.as_str()));
        let data: Value = serde_json::from_str(rows[0].get("INPUT:data").unwrap()).unwrap();
        assert_eq!(data, json!({*text: [text]}));
    }
}
