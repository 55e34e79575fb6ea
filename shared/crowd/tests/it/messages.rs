//! What requesters and workers write to each other.

use serde_json::{Value, json};

use crate::world::{Worker, World, id, many, real};

const PATH: &str = "/api/v1/message-threads";

fn en(text: &str) -> Value {
    json!({ "EN": text })
}

fn direct(workers: &[&Worker]) -> Value {
    let ids: Vec<&str> = workers.iter().map(|worker| worker.id.as_str()).collect();
    json!({"topic": en("Hello"), "text": en("How are you?"), "recipients_select_type": "DIRECT", "recipients_ids": ids})
}

async fn inbox(w: &World, worker: &Worker) -> Vec<Value> {
    let (status, list) = w
        .work(worker, "GET", "/messages?sort=-id", Value::Null)
        .await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

/// The ids of the threads that a list finds.
async fn filed(w: &World, query: &str) -> Vec<String> {
    let list = w.get(&format!("{PATH}?{query}")).await;
    list["items"].as_array().unwrap().iter().map(id).collect()
}

async fn reply(w: &World, worker: &Worker, thread: &str, text: &str) -> (u16, Value) {
    let path = format!("/messages/{thread}/reply");
    w.work(worker, "POST", &path, json!({"text": en(text)}))
        .await
}

#[tokio::test]
async fn a_requester_and_a_worker_talk() {
    let w = World::new().await;
    let ann = w.worker("ann").await;
    let bob = w.worker("bob").await;
    let (status, thread) = w
        .call("POST", &format!("{PATH}/compose"), direct(&[&ann]))
        .await;
    assert_eq!(status, 201, "{thread}");
    let thread_id = id(&thread);
    assert_eq!(thread["folders"], json!(["OUTBOX"]));
    assert_eq!(
        thread["compose_details"],
        json!({"recipients_select_type": "DIRECT", "recipients_ids": [ann.id]})
    );
    let requester = id(&w.get("/api/v1/requester").await);
    let mut interlocutors = vec![
        json!({"id": requester, "role": "REQUESTER", "myself": true}),
        json!({"id": ann.id, "role": "USER"}),
    ];
    interlocutors.sort_by_key(id);
    assert_eq!(thread["interlocutors"], json!(interlocutors), "by id");
    assert_eq!(thread["messages"][0]["text"], en("How are you?"));
    assert!(inbox(&w, &bob).await.is_empty(), "others see nothing");

    let seen = &inbox(&w, &ann).await[0];
    assert_eq!(
        (seen["unread"].as_bool(), seen["answerable"].as_bool()),
        (Some(true), Some(true))
    );
    assert_eq!(
        seen["messages"][0]["from"],
        json!({"role": "REQUESTER", "myself": false})
    );
    let (status, _) = w
        .work(
            &ann,
            "POST",
            &format!("/messages/{thread_id}/read"),
            Value::Null,
        )
        .await;
    assert_eq!(status, 204);
    assert_eq!(inbox(&w, &ann).await[0]["unread"], false);
    for path in ["reply", "read"] {
        let path = format!("/messages/{thread_id}/{path}");
        let (status, _) = w
            .work(&bob, "POST", &path, json!({"text": en("me too")}))
            .await;
        assert_eq!(status, 404, "a thread is of those who take part");
    }

    let (status, _) = reply(&w, &ann, &thread_id, "Fine").await;
    assert_eq!(status, 200);
    assert_eq!(
        filed(&w, "folder=UNREAD,IMPORTANT").await,
        [thread_id.as_str()]
    );
    assert_eq!(filed(&w, "folder=INBOX").await, [thread_id.as_str()]);
    let path = format!("{PATH}/{thread_id}/reply");
    let thread = w.ok("POST", &path, json!({"text": en("Good")})).await;
    assert_eq!(
        thread["folders"],
        json!(["INBOX", "OUTBOX"]),
        "who answers has read"
    );
    let texts: Vec<&Value> = thread["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["text"]["EN"])
        .collect();
    assert_eq!(texts, ["Good", "Fine", "How are you?"], "new ones first");
    assert_eq!(inbox(&w, &ann).await[0]["unread"], true);
}

#[tokio::test]
async fn who_answers_a_message_to_many_talks_alone() {
    let w = World::new().await;
    let (ann, bob) = (w.worker("ann").await, w.worker("bob").await);
    let all = w
        .ok(
            "POST",
            &format!("{PATH}/compose"),
            direct(&[&ann, &bob, &bob]),
        )
        .await;
    let (_, first) = reply(&w, &ann, &id(&all), "A question").await;
    let (_, second) = reply(&w, &ann, &id(&all), "Another").await;
    assert_eq!(
        id(&first),
        id(&second),
        "one conversation below the message"
    );
    assert_ne!(id(&first), id(&all));
    assert_eq!(first["parent_id"], all["id"]);
    assert_eq!(
        inbox(&w, &bob).await.len(),
        1,
        "others do not see the answer"
    );
    assert_eq!(inbox(&w, &ann).await.len(), 2);
    assert_eq!(filed(&w, "folder=INBOX").await, [id(&first)]);
    let list = w
        .get(&format!("{PATH}?sort=-created&id_gt={}", id(&all)))
        .await;
    assert_eq!(list["items"][0]["messages"].as_array().unwrap().len(), 2);
    // What the requester adds to the message goes to all of them.
    w.ok(
        "POST",
        &format!("{PATH}/{}/reply", id(&all)),
        json!({"text": en("P.S.")}),
    )
    .await;
    assert_eq!(
        inbox(&w, &bob).await[0]["messages"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn messages_go_by_filter_or_to_all_who_worked() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let ann = w
        .worker_with("ann", json!({"languages": ["EN"], "country": "DE"}))
        .await;
    let bob = w.worker_with("bob", json!({"languages": ["RU"]})).await;
    let skill = w.skill("good").await;
    let set = json!({"skill_id": skill, "user_id": bob.id, "value": 90});
    w.ok("PUT", "/api/v1/user-skills", set).await;
    w.take(&bob, &pool).await.unwrap();
    let german = json!({"category": "profile", "key": "country", "operator": "EQ", "value": "DE"});
    let good =
        json!({"and": [{"category": "skill", "key": skill, "operator": "GTE", "value": 90}]});
    for (how, filter, reached) in [
        ("FILTER", german.clone(), [1, 0]),
        ("FILTER", good.clone(), [1, 1]),
        ("FILTER", json!({"or": [german, good]}), [2, 2]),
        ("ALL", Value::Null, [2, 3]),
    ] {
        let form = json!({"topic": en("t"), "text": en("x"), "recipients_select_type": how, "recipients_filter": filter});
        let thread = w.ok("POST", &format!("{PATH}/compose"), form).await;
        assert_eq!(thread["compose_details"]["recipients_select_type"], how);
        let counts = [inbox(&w, &ann).await.len(), inbox(&w, &bob).await.len()];
        assert_eq!(counts, reached, "{how} {thread}");
    }
}

#[tokio::test]
async fn threads_are_sorted_into_folders() {
    let w = World::new().await;
    let ann = w.worker("ann").await;
    let compose = format!("{PATH}/compose");
    let thread = id(&w.ok("POST", &compose, direct(&[&ann])).await);
    let other = id(&w.ok("POST", &compose, direct(&[&ann])).await);
    let path = |what: &str| format!("{PATH}/{thread}/{what}");
    let marked = w
        .ok(
            "POST",
            &path("add-to-folders"),
            json!({"folders": ["IMPORTANT", "UNREAD"]}),
        )
        .await;
    assert_eq!(marked["folders"], json!(["OUTBOX", "IMPORTANT", "UNREAD"]));
    assert_eq!(
        filed(&w, "folder=OUTBOX&folder_ne=IMPORTANT").await,
        [other.as_str()]
    );
    assert_eq!(filed(&w, "folder_ne=UNREAD,INBOX").await, [other.as_str()]);
    assert_eq!(filed(&w, "folder=").await, [thread.as_str(), &other]);
    let read = w
        .ok(
            "POST",
            &path("remove-from-folders"),
            json!({"folders": ["UNREAD"]}),
        )
        .await;
    assert_eq!(read["folders"], json!(["OUTBOX", "IMPORTANT"]));
    for body in [
        json!({"folders": ["ATTIC"]}),
        json!({"folders": []}),
        json!({}),
    ] {
        let refused = w.fails("POST", &path("add-to-folders"), body).await;
        assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()));
    }
    let refused = w
        .fails("GET", &format!("{PATH}?folder=ATTIC"), Value::Null)
        .await;
    assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()));
}

#[tokio::test]
async fn a_worker_asks_about_work() {
    let w = World::new().await;
    let project = w.project().await;
    let pool = w.pool(&project, json!({})).await;
    let closed = w.pool(&project, json!({})).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let (ann, bob) = (w.worker("ann").await, w.worker("bob").await);
    let page = id(&w.take(&ann, &pool).await.unwrap());
    let ask = async |worker: &Worker, about: Value| {
        let mut body = json!({"topic": en("?"), "text": en("<script>alert(1)</script>")});
        crate::world::merge(&mut body, about);
        w.work(worker, "POST", "/messages", body).await
    };
    let (status, thread) = ask(&ann, json!({"assignment_id": page})).await;
    assert_eq!(status, 201, "{thread}");
    let meta = json!({"pool_id": pool, "project_id": project, "assignment_id": page});
    assert_eq!(thread["meta"], meta);
    let list = w.get(&format!("{PATH}?folder=UNREAD")).await;
    assert_eq!(list["items"][0]["meta"], meta);
    assert_eq!(
        list["items"][0]["messages"][0]["from"],
        json!({"id": ann.id, "role": "USER"})
    );
    assert_eq!(
        list["items"][0]["messages"][0]["text"],
        en("<script>alert(1)</script>"),
        "a text is data and stays as it is"
    );
    assert_eq!(
        ask(&bob, json!({"pool_id": pool})).await.0,
        201,
        "an open pool is everybody's"
    );
    for about in [
        json!({"pool_id": closed}),
        json!({"assignment_id": page}),
        json!({"pool_id": "9"}),
    ] {
        let (status, answer) = ask(&bob, about.clone()).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (404, Some("DOES_NOT_EXIST")),
            "{about}"
        );
    }
    assert_eq!(ask(&bob, json!({})).await.0, 400);
}

#[tokio::test]
async fn messages_are_checked_and_bounded() {
    let w = World::new().await;
    let ann = w.worker("ann").await;
    let compose = format!("{PATH}/compose");
    for (over, field, code) in [
        (json!({"topic": {}}), "topic", "VALUE_REQUIRED"),
        (json!({"text": {"EN": null}}), "text.EN", "INVALID_VALUE"),
        (json!({"text": {"EN": " "}}), "text", "VALUE_REQUIRED"),
        (
            json!({"text": {"EN": "x".repeat(10_001)}}),
            "text",
            "STRING_LENGTH_GREATER_THAN_MAX",
        ),
        (
            json!({"topic": {"not a language": "x"}}),
            "topic",
            "INVALID_VALUE",
        ),
        (
            json!({"recipients_ids": []}),
            "recipients_ids",
            "ARRAY_SIZE_OUT_OF_BOUNDS",
        ),
        (
            json!({"recipients_ids": vec!["x"; 101]}),
            "recipients_ids",
            "ARRAY_SIZE_OUT_OF_BOUNDS",
        ),
        (
            json!({"recipients_ids": [ann.id, "x"]}),
            "recipients_ids.1",
            "ENTITY_DOES_NOT_EXIST",
        ),
        (
            json!({"recipients_select_type": "SOME"}),
            "recipients_select_type",
            "UNKNOWN_ENUM_VALUE",
        ),
        (
            json!({"recipients_select_type": null}),
            "recipients_select_type",
            "VALUE_REQUIRED",
        ),
        (
            json!({"recipients_select_type": "FILTER"}),
            "recipients_filter",
            "VALUE_REQUIRED",
        ),
    ] {
        let mut form = direct(&[&ann]);
        for (key, value) in over.as_object().unwrap() {
            form[key] = value.clone();
        }
        let (status, answer) = w.call("POST", &compose, form).await;
        assert_eq!(
            (status, &answer["payload"][field]["code"]),
            (400, &json!(code)),
            "{over} {answer}"
        );
    }
    let nobody = json!({"topic": en("t"), "text": en("x"), "recipients_select_type": "ALL"});
    let refused = w.fails("POST", &compose, nobody).await;
    assert_eq!(refused, (409, "INCORRECT_RECIPIENTS".to_owned()));
    assert!(inbox(&w, &ann).await.is_empty());

    let mut silent = direct(&[&ann]);
    silent["answerable"] = json!(false);
    let thread = w.ok("POST", &compose, silent).await;
    let (status, answer) = reply(&w, &ann, &id(&thread), "x").await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some("CONFLICT_STATE"))
    );

    // A thread is not endless, and neither is a worker's day.
    let open = id(&w.ok("POST", &compose, direct(&[&ann])).await);
    let long = "x".repeat(10_000);
    let mut sent = 0;
    while reply(&w, &ann, &open, &long).await.0 == 200 {
        sent += 1;
    }
    assert_eq!(sent, 26, "256 KiB in a thread");
    let other = id(&w.ok("POST", &compose, direct(&[&ann])).await);
    while reply(&w, &ann, &other, "x").await.0 == 200 {
        sent += 1;
    }
    assert_eq!(sent, 200, "200 messages a day");
    w.pass(86_401);
    assert_eq!(reply(&w, &ann, &other, "x").await.0, 200);
}

#[tokio::test]
async fn a_requester_is_told_when_the_balance_closes_a_pool() {
    let w = World::with(quorate_crowd::Config {
        balance: "0.2".parse().unwrap(),
        ..crate::world::config()
    })
    .await;
    let pool = w
        .pool(&w.project().await, json!({"reward_per_assignment": 0.01}))
        .await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let ann = w.worker("ann").await;
    w.ok(
        "POST",
        "/api/v1/user-bonuses",
        json!({"user_id": ann.id, "amount": 0.195}),
    )
    .await;
    assert_eq!(w.take(&ann, &pool).await, Err("POOL_CLOSED".to_owned()));
    let list = w
        .get(&format!("{PATH}?folder=AUTOMATIC_NOTIFICATION"))
        .await;
    let note = &list["items"][0];
    assert_eq!(note["meta"]["pool_id"], pool.as_str());
    assert_eq!(note["topic"]["EN"], format!("Pool {pool} was closed"));
    assert_eq!(note["messages"][0]["from"]["role"], "SYSTEM");
    assert_eq!(note["folders"], json!(["AUTOMATIC_NOTIFICATION", "UNREAD"]));
}
