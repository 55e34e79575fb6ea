//! Copies of projects.

use quorate_toloka::Client;
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server};

fn page(items: Value) -> Reply {
    Reply::json(200, &json!({ "items": items, "has_more": false }))
}

fn quality(training: Option<&str>) -> Value {
    let mut quality = json!({
        "configs": [{ "collector_config": { "type": "INCOME", "uuid": "counts" }, "rules": [] }],
    });
    if let Some(training) = training {
        quality["training_requirement"] =
            json!({ "training_pool_id": training, "training_passing_skill_value": 80 });
    }
    quality
}

/// A project with two trainings and three pools, one of each put away, and what copying it sends.
async fn copy(share_counts: bool) -> (quorate_toloka::ClonedProject, Vec<Seen>) {
    let project = json!({
        "id": "1", "public_name": "Cats", "status": "ACTIVE", "created": "2020-01-01T00:00:00",
        "owner": { "id": "r" }, "quality_control": quality(None),
    });
    let server = Server::start([
        Reply::json(200, &project),
        page(json!([
            { "id": "10", "project_id": "1", "private_name": "learn", "status": "OPEN" },
            { "id": "11", "project_id": "1", "private_name": "old", "status": "ARCHIVED" },
        ])),
        page(json!([
            { "id": "10", "project_id": "1", "private_name": "learn", "training": true, "status": "OPEN" },
            { "id": "20", "project_id": "1", "private_name": "work", "status": "OPEN", "type": "REGULAR",
              "last_started": "2020-01-01T00:00:00", "quality_control": quality(Some("10")) },
            { "id": "21", "project_id": "1", "private_name": "done", "status": "ARCHIVED" },
            { "id": "22", "project_id": "1", "private_name": "free", "status": "CLOSED" },
        ])),
        Reply::json(201, &json!({ "id": "2", "public_name": "Cats" })),
        Reply::json(201, &json!({ "id": "30", "project_id": "2", "private_name": "learn" })),
        Reply::json(201, &json!({ "id": "40", "project_id": "2", "private_name": "work" })),
        Reply::json(201, &json!({ "id": "41", "project_id": "2", "private_name": "free" })),
    ])
    .await;
    let client: Client = server.client();
    let copy = client.clone_project("1", share_counts).await.unwrap();
    (copy, server.seen())
}

#[tokio::test]
async fn a_copy_has_its_own_trainings_pools_and_counts() {
    let (copy, seen) = copy(false).await;
    assert_eq!(copy.project.id, "2");
    assert_eq!(copy.trainings["10"].id, "30");
    let pools: Vec<_> = copy
        .pools
        .iter()
        .map(|(old, new)| (old.as_str(), new.id.as_str()))
        .collect();
    assert_eq!(pools, [("20", "40"), ("22", "41")]);

    let made: Vec<_> = seen.iter().filter(|seen| seen.method == "POST").collect();
    let paths: Vec<_> = made.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/api/v1/projects",
            "/api/v1/trainings",
            "/api/v1/pools",
            "/api/v1/pools"
        ]
    );
    let collector = json!({ "type": "INCOME" });
    assert_eq!(
        made[0].body,
        json!({
            "public_name": "Cats",
            "quality_control": { "configs": [{ "collector_config": collector, "rules": [] }] },
        })
    );
    assert_eq!(
        made[1].body,
        json!({ "project_id": "2", "private_name": "learn" })
    );
    assert_eq!(
        made[2].body,
        json!({
            "project_id": "2", "private_name": "work",
            "quality_control": {
                "training_requirement": {
                    "training_pool_id": "30", "training_passing_skill_value": 80,
                },
                "configs": [{ "collector_config": collector, "rules": [] }],
            },
        })
    );
}

#[tokio::test]
async fn a_copy_can_share_the_counts_of_the_original() {
    let (_, seen) = copy(true).await;
    let made = seen.iter().filter(|seen| seen.method == "POST");
    let uuids: Vec<_> = made
        .filter_map(|seen| {
            let configs = &seen.body["quality_control"]["configs"];
            Some(configs[0]["collector_config"]["uuid"].as_str()?.to_owned())
        })
        .collect();
    assert_eq!(uuids, ["counts", "counts"]);
}
