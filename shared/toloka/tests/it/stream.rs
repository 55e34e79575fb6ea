//! Lists page by page, and the table of answers.

use futures_util::TryStreamExt as _;
use quorate_toloka::{
    AssignmentQuery, Bounds, Error, TaskQuery, TransportKind, TsvColumn, TsvQuery,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::server::{Reply, Server, builder};

fn page(ids: &[&str], has_more: bool) -> Reply {
    let items: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "pool_id": "1" }))
        .collect();
    Reply::json(200, &json!({ "items": items, "has_more": has_more }))
}

#[tokio::test]
async fn a_stream_walks_all_pages_by_id_and_keeps_the_callers_bounds() {
    let server = Server::start([
        page(&["a", "b"], true),
        page(&["c"], true),
        page(&["d"], false),
    ])
    .await;
    let query = TaskQuery {
        id: Bounds {
            gte: Some("a".into()),
            lte: Some("z".into()),
            ..Bounds::default()
        },
        ..TaskQuery::pool("1")
    };
    let tasks: Vec<_> = server
        .client()
        .tasks(query)
        .map_ok(|task| task.id)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(tasks, ["a", "b", "c", "d"]);
    let after: Vec<_> = server
        .seen()
        .into_iter()
        .map(|seen| {
            let query: std::collections::BTreeMap<_, _> = seen.query.into_iter().collect();
            assert_eq!(
                (
                    query["sort"].as_str(),
                    query["id_gte"].as_str(),
                    query["id_lte"].as_str()
                ),
                ("id", "a", "z")
            );
            assert_eq!(query["limit"], "1000");
            query.get("id_gt").cloned()
        })
        .collect();
    assert_eq!(after, [None, Some("b".into()), Some("c".into())]);
}

#[tokio::test]
async fn an_empty_list_is_one_request() {
    let server = Server::start([page(&[], false)]).await;
    let all: Vec<_> = server
        .client()
        .assignments(AssignmentQuery::pool("1"))
        .try_collect()
        .await
        .unwrap();
    assert!(all.is_empty());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn every_list_is_walked_by_its_key_in_pages_that_the_platform_gives() {
    let server = Server::start([]).await;
    let client = server.client();
    // Two pages of each; the second is asked for after the key of the first.
    macro_rules! walks {
        ($($stream:expr => $path:literal, $key:literal, $limit:literal;)+) => {$(
            for (key, has_more) in [("k", true), ("l", false)] {
                // With what an operation and a restriction must have.
                let item = json!({
                    $key: key, "type": "ANALYTICS", "status": "SUCCESS", "scope": "POOL",
                });
                let page = json!({ "items": [item], "has_more": has_more });
                server.push(Reply::json(200, &page));
            }
            let all: Vec<_> = $stream.try_collect().await.unwrap();
            assert_eq!(all.len(), 2, $path);
            let seen = server.seen();
            for (seen, after) in seen.iter().zip([None, Some("k")]) {
                assert_eq!(seen.path, concat!("/api/v1/", $path));
                let get = |name: &str| {
                    let mut pairs = seen.query.iter();
                    Some(pairs.find(|pair| pair.0 == name)?.1.as_str())
                };
                assert_eq!((get("sort"), get("limit")), (Some($key), Some($limit)), $path);
                assert_eq!(get(concat!($key, "_gt")), after, $path);
            }
            assert_eq!(seen.len(), 2);
        )+};
    }
    walks! {
        client.projects(Default::default()) => "projects", "id", "300";
        client.pools(Default::default()) => "pools", "id", "300";
        client.trainings(Default::default()) => "trainings", "id", "300";
        client.tasks(Default::default()) => "tasks", "id", "1000";
        client.task_suites(Default::default()) => "task-suites", "id", "1000";
        client.assignments(Default::default()) => "assignments", "id", "1000";
        client.skills(Default::default()) => "skills", "id", "100";
        client.user_skills(Default::default()) => "user-skills", "id", "1000";
        client.user_bonuses(Default::default()) => "user-bonuses", "id", "300";
        client.user_restrictions(Default::default()) => "user-restrictions", "id", "500";
        client.operations(Default::default()) => "operations", "id", "500";
        client.attachments(Default::default()) => "attachments", "id", "100";
        client.message_threads(Default::default()) => "message-threads", "id", "300";
        client.aggregated_solutions("op", Default::default())
            => "aggregated-solutions/op", "task_id", "1000";
    }
}

#[tokio::test]
async fn a_list_that_does_not_move_on_is_an_error_not_a_loop() {
    for replies in [
        vec![page(&[], true)],
        vec![page(&["a"], true), page(&["a"], true)],
    ] {
        let server = Server::start(replies).await;
        let result = server
            .client()
            .tasks(TaskQuery::pool("1"))
            .try_collect::<Vec<_>>()
            .await;
        assert!(matches!(result, Err(Error::Decode { .. })), "{result:?}");
    }
}

const TABLE: &str = "INPUT:image\tOUTPUT:result\tGOLDEN:result\tASSIGNMENT:worker_id\n\
    a.jpg\tcat\tcat\tw1\n\
    b.jpg\t\"two\nlines and \"\"quotes\"\"\"\t\tw2\n";

#[tokio::test]
async fn the_table_of_answers_is_read_row_by_row() {
    let server = Server::start([Reply::text(200, TABLE)]).await;
    let table = server
        .client()
        .assignments_tsv("1", &TsvQuery::default())
        .await
        .unwrap();
    assert_eq!(table.columns().len(), 4);
    let rows: Vec<_> = table.into_stream().try_collect().await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].is_golden() && !rows[1].is_golden());
    assert_eq!(rows[1].get("INPUT:image"), Some("b.jpg"));
    assert_eq!(rows[1].get("GOLDEN:result"), None);
    assert_eq!(rows[1].get("no such column"), None);
    assert_eq!(
        rows[1].group("OUTPUT:").collect::<Vec<_>>(),
        [("result", "two\nlines and \"quotes\"")]
    );
    assert_eq!(rows[1].assignment(&TsvColumn::WorkerId), Some("w2"));
}

#[tokio::test]
async fn a_table_may_be_empty_or_begin_with_a_byte_order_mark() {
    let server = Server::start([
        Reply::text(200, ""),
        Reply::text(200, "INPUT:image\tOUTPUT:result\n"),
        Reply::text(200, "\u{feff}INPUT:image\r\na.jpg\r\n"),
    ])
    .await;
    for (columns, images) in [(0, vec![]), (2, vec![]), (1, vec!["a.jpg"])] {
        let table = server
            .client()
            .assignments_tsv("1", &TsvQuery::default())
            .await
            .unwrap();
        assert_eq!(table.columns().len(), columns);
        let rows: Vec<_> = table.into_stream().try_collect().await.unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| row.get("INPUT:image").unwrap())
            .collect();
        assert_eq!(found, images);
    }
}

#[tokio::test]
async fn a_table_that_is_not_one_tells_the_row() {
    let server = Server::start([
        Reply::text(200, "a\tb\n1\t2\n3\n"),
        Reply::text(200, b"a\n\xff\n".to_vec()),
    ])
    .await;
    for row in ["row 2", "row 0"] {
        let mut table = server
            .client()
            .assignments_tsv("1", &TsvQuery::default())
            .await
            .unwrap();
        let error = loop {
            match table.next_row().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains(row), "{error}");
    }
}

/// The address of a server that promises 1,000 bytes and breaks off after these.
async fn breaking_off(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
        socket.write_all(head).await.unwrap();
        socket.write_all(bytes).await.unwrap();
    });
    url
}

fn is_broken(error: &Error) -> bool {
    let broken = TransportKind::Broken;
    matches!(error, Error::Transport { kind, .. } if *kind == broken)
}

#[tokio::test]
async fn a_file_that_breaks_off_does_not_look_complete() {
    let url = breaking_off(b"the beginning").await;
    let client = builder(&url).build().unwrap();
    let file = client.download_attachment("1").await.unwrap();
    assert_eq!(file.length(), Some(1_000));
    let error = file
        .into_stream()
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert!(is_broken(&error), "{error:?}");
}

#[tokio::test]
async fn a_download_that_breaks_off_does_not_look_complete() {
    let url = breaking_off(b"a\tb\n1\t2\n").await;
    let client = builder(&url).build().unwrap();
    let mut table = client
        .assignments_tsv("1", &TsvQuery::default())
        .await
        .unwrap();
    assert!(table.next_row().await.unwrap().is_some());
    let error = table.next_row().await.unwrap_err();
    assert!(is_broken(&error), "{error:?}");
}
