//! Files that workers upload with their answers.

use serde_json::{Value, json};

use crate::world::{Worker, World, id, many, real};

/// An open pool whose answers are a file and perhaps more files.
async fn with_files(w: &World) -> String {
    let project = w
        .project_with(json!({"task_spec": {"output_spec": {
            "result": {"type": "file", "allowed_values": null},
            "more": {"type": "array_file", "required": false},
        }}}))
        .await;
    let pool = w
        .pool(&project, json!({"mixer_config": {"real_tasks_count": 1}}))
        .await;
    w.tasks(many(3, |n| real(&pool, n))).await;
    w.open(&pool).await;
    pool
}

async fn submit(w: &World, worker: &Worker, page: &str, values: Value) -> (u16, Value) {
    let body = json!({"solutions": [{"output_values": values}]});
    w.work(worker, "POST", &format!("/assignments/{page}/submit"), body)
        .await
}

async fn listed(w: &World, query: &str) -> Vec<String> {
    let list = w.get(&format!("/api/v1/attachments?{query}")).await;
    list["items"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn a_file_is_uploaded_answered_with_and_downloaded() {
    let w = World::new().await;
    let pool = with_files(&w).await;
    let worker = w.worker("ann").await;
    let page = id(&w.take(&worker, &pool).await.unwrap());
    // More than one part, and not a whole number of them.
    let bytes: Vec<u8> = (0..700_001_u32).map(|n| (n % 251) as u8).collect();
    let (status, file) = w
        .upload(&worker, &page, "my%20%22cat%22.png", bytes.clone())
        .await;
    assert_eq!(status, 201, "{file}");
    let (_, more) = w.upload(&worker, &page, "b.png", b"b".to_vec()).await;
    let (_, unused) = w.upload(&worker, &page, "c.png", b"c".to_vec()).await;
    assert_eq!(listed(&w, &format!("pool_id={pool}")).await.len(), 3);
    let answer = json!({"result": id(&file), "more": [id(&more)]});
    let (status, done) = submit(&w, &worker, &page, answer).await;
    assert_eq!(status, 200, "{done}");

    let read = w.get(&format!("/api/v1/attachments/{}", id(&file))).await;
    assert_eq!(read["name"], "my \"cat\".png");
    assert_eq!(read["media_type"], "image/png");
    assert_eq!(read["attachment_type"], "ASSIGNMENT_ATTACHMENT");
    let details = json!({"user_id": worker.id, "assignment_id": page, "pool_id": pool});
    assert_eq!(read["details"], details);
    assert_eq!(read["owner"]["myself"], true);

    let path = format!("/api/v1/attachments/{}/download", id(&file));
    let (headers, got) = w.download(&path).await;
    assert!(got == bytes, "{} bytes of {}", got.len(), bytes.len());
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-length"), "700001");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename*=UTF-8''my%20%22cat%22%2Epng"
    );
    assert_eq!(header("x-content-type-options"), "nosniff");

    let kept = [id(&file), id(&more)];
    assert_eq!(
        listed(&w, &format!("assignment_id={page}")).await,
        kept,
        "what was not answered with is gone"
    );
    for query in ["name=b.png", "type=ASSIGNMENT_ATTACHMENT&id_gt=&name=b.png"] {
        assert_eq!(
            listed(&w, &format!("pool_id={pool}&{query}")).await,
            [id(&more)],
            "{query}"
        );
    }
    let mine = w.get("/api/v1/requester").await;
    let all = format!(
        "pool_id={pool}&user_id={}&owner_id={}&sort=-id",
        worker.id,
        id(&mine)
    );
    assert_eq!(listed(&w, &all).await, [id(&more), id(&file)]);
    for other in [
        "user_id=x",
        "owner_id=x",
        "owner_company_id=x",
        "type=OTHER",
        "created_gt=2027-01-01T00:00:00",
    ] {
        assert_eq!(
            listed(&w, &format!("pool_id={pool}&{other}")).await,
            [""; 0],
            "{other}"
        );
    }
    let gone = w
        .fails(
            "GET",
            &format!("/api/v1/attachments/{}", id(&unused)),
            Value::Null,
        )
        .await;
    assert_eq!(gone, (404, "DOES_NOT_EXIST".to_owned()));
    let all = w.fails("GET", "/api/v1/attachments", Value::Null).await;
    assert_eq!(all, (400, "VALIDATION_ERROR".to_owned()));
}

#[tokio::test]
async fn an_answer_names_only_files_of_its_own_page() {
    let w = World::new().await;
    let pool = with_files(&w).await;
    let (ann, bob) = (w.worker("ann").await, w.worker("bob").await);
    let first = id(&w.take(&ann, &pool).await.unwrap());
    let second = id(&w.take(&bob, &pool).await.unwrap());
    let (_, of_ann) = w.upload(&ann, &first, "a.png", b"a".to_vec()).await;
    let (_, of_bob) = w.upload(&bob, &second, "b.png", b"b".to_vec()).await;
    let (status, _) = w.upload(&bob, &first, "b.png", b"b".to_vec()).await;
    assert_eq!(status, 404, "a page belongs to its worker");
    for (values, field) in [
        (
            json!({"result": id(&of_bob)}),
            "solutions.0.output_values.result",
        ),
        (
            json!({"result": "../../etc/passwd"}),
            "solutions.0.output_values.result",
        ),
        (
            json!({"result": id(&of_ann), "more": [id(&of_ann), id(&of_bob)]}),
            "solutions.0.output_values.more",
        ),
    ] {
        let (status, refused) = submit(&w, &ann, &first, values).await;
        assert_eq!(status, 400);
        assert_eq!(
            refused["payload"][field]["code"], "ENTITY_DOES_NOT_EXIST",
            "{refused}"
        );
    }
    let (status, _) = submit(&w, &ann, &first, json!({"result": id(&of_ann)})).await;
    assert_eq!(status, 200);
    let (status, refused) = w.upload(&ann, &first, "late.png", b"x".to_vec()).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (409, Some("INAPPROPRIATE_STATUS"))
    );
}

#[tokio::test]
async fn files_of_abandoned_pages_are_removed() {
    let w = World::new().await;
    let pool = with_files(&w).await;
    let count = async || listed(&w, &format!("pool_id={pool}")).await.len();
    for (name, end) in [("ann", Some("skip")), ("bob", Some("exit")), ("eve", None)] {
        let worker = w.worker(name).await;
        let page = id(&w.take(&worker, &pool).await.unwrap());
        w.upload(&worker, &page, "a.png", b"a".to_vec()).await;
        assert_eq!(count().await, 1);
        match end {
            Some(end) => {
                let path = format!("/assignments/{page}/{end}");
                w.work(&worker, "POST", &path, Value::Null).await;
            }
            None => w.pass(601),
        }
        assert_eq!(count().await, 0, "{name}");
    }
}

#[tokio::test]
async fn files_are_bounded_and_only_where_they_are_asked_for() {
    let w = World::new().await;
    let pool = with_files(&w).await;
    let worker = w.worker("ann").await;
    let page = id(&w.take(&worker, &pool).await.unwrap());
    let refused = async |name: &str, bytes: usize| {
        let (status, answer) = w.upload(&worker, &page, name, vec![1; bytes]).await;
        (
            status,
            answer["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let invalid = (400, "VALIDATION_ERROR".to_owned());
    for name in ["", "..", "a%2Fb", "a%5Cb", "a%00", &"x".repeat(256)] {
        assert_eq!(refused(name, 1).await, invalid, "{name}");
    }
    assert_eq!(refused("empty", 0).await, invalid);
    let large = 16 * 1024 * 1024;
    assert_eq!(refused("large", large + 1).await.0, 413);
    for n in 0..4 {
        assert_eq!(refused(&format!("{n}"), large).await.0, 201);
    }
    assert_eq!(refused("fifth", 1).await.0, 413, "64 MiB a page");

    let other = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(2, |n| real(&other, n))).await;
    w.open(&other).await;
    let page = id(&w.take(&worker, &other).await.unwrap());
    let (status, answer) = w.upload(&worker, &page, "a", vec![1]).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some("CONFLICT_STATE"))
    );
}
