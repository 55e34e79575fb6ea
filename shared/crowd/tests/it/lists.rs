//! Every list: its bounds, sort keys and filters.

use serde_json::{Value, json};

use crate::world::{World, id, many, real};

#[tokio::test]
async fn lists_are_sorted_compared_and_bounded_as_documented() {
    let w = World::new().await;
    let pool = w.pool(&w.project().await, json!({})).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    let in_pool = format!("pool_id={pool}");
    let lists: [(&str, &str, u32, &[&str]); 14] = [
        (
            "projects",
            "",
            300,
            &["id", "created", "public_name", "private_comment"],
        ),
        ("pools", "", 300, &["id", "created", "last_started"]),
        ("trainings", "", 300, &["id", "created", "last_started"]),
        ("skills", "", 100, &["id", "created"]),
        (
            "assignments",
            &in_pool,
            100_000,
            &[
                "id",
                "created",
                "submitted",
                "accepted",
                "rejected",
                "skipped",
                "expired",
            ],
        ),
        ("tasks", &in_pool, 100_000, &["id", "created"]),
        ("task-suites", &in_pool, 100_000, &["id", "created"]),
        ("user-skills", "", 1_000, &["id", "created", "modified"]),
        ("user-restrictions", "", 500, &["id", "created"]),
        ("user-bonuses", "", 300, &["id", "created"]),
        ("operations", "", 500, &["id", "submitted", "finished"]),
        ("attachments", &in_pool, 100, &["id", "created"]),
        ("message-threads", "", 300, &["id", "created"]),
        ("webhook-subscriptions", "", 300, &["id", "created"]),
    ];
    for (list, needs, most, keys) in lists {
        let path = format!("/api/v1/{list}?{needs}");
        let page = w.get(&format!("{path}&limit={most}&unknown=1")).await;
        assert!(
            page["items"].is_array() && page["has_more"].is_boolean(),
            "{list}"
        );
        for limit in ["0", "-1", "x", &(most + 1).to_string()] {
            let refused = w
                .fails("GET", &format!("{path}&limit={limit}"), Value::Null)
                .await;
            assert_eq!(
                refused,
                (400, "VALIDATION_ERROR".to_owned()),
                "{list} {limit}"
            );
        }
        for key in keys {
            w.get(&format!("{path}&sort=-{key},id")).await;
            let bound = match *key {
                "id" => "1",
                "public_name" | "private_comment" => continue,
                _ => "2026-01-01T00:00:00.123456",
            };
            let compare =
                ["lt", "lte", "gt", "gte"].map(|operator| format!("&{key}_{operator}={bound}"));
            w.get(&format!("{path}{}", compare.concat())).await;
            if *key != "id" {
                let refused = w
                    .fails("GET", &format!("{path}&{key}_gt=soon"), Value::Null)
                    .await;
                assert_eq!(
                    refused,
                    (400, "VALIDATION_ERROR".to_owned()),
                    "{list} {key}"
                );
            }
        }
        let refused = w
            .fails("GET", &format!("{path}&sort=color"), Value::Null)
            .await;
        assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()), "{list}");
    }
}

#[tokio::test]
async fn projects_and_pools_are_found_by_their_own_fields() {
    let w = World::new().await;
    let b = w.project_with(json!({"public_name": "b"})).await;
    let a = w
        .project_with(json!({"public_name": "a", "private_comment": "z"}))
        .await;
    let pool = w.pool(&a, json!({})).await;
    let training = w.training(&a, json!({})).await;
    let me = id(&w.get("/api/v1/requester").await);
    let found = async |path: &str| {
        let page = w.get(&format!("/api/v1/{path}")).await;
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect::<Vec<_>>()
    };
    for (path, expected) in [
        ("projects?sort=public_name".to_owned(), vec![&a, &b]),
        ("projects?sort=-public_name,id".to_owned(), vec![&b, &a]),
        ("projects?sort=-private_comment".to_owned(), vec![&a, &b]),
        (
            format!("projects?owner_id={me}&status=ACTIVE"),
            vec![&b, &a],
        ),
        (format!("projects?status=&id_gt={b}"), vec![&a]),
        ("projects?owner_id=x".to_owned(), vec![]),
        ("projects?owner_company_id=x".to_owned(), vec![]),
        ("projects?status=ARCHIVED".to_owned(), vec![]),
        (
            format!("pools?project_id={a}&status=OPEN,CLOSED"),
            vec![&pool],
        ),
        (format!("pools?project_id={b}"), vec![]),
        ("pools?owner_id=x".to_owned(), vec![]),
        (
            format!("trainings?project_id={a}&owner_id={me}"),
            vec![&training],
        ),
        ("trainings?status=OPEN".to_owned(), vec![]),
    ] {
        assert_eq!(
            found(&path).await.iter().collect::<Vec<_>>(),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_known_about_a_worker_is_passed_on_only_in_the_right_types() {
    let w = World::new().await;
    let profile = json!({
        "country": "DE", "languages": ["EN", 5, "DE"], "adult_allowed": true, "city": 1,
        "country_by_phone": "DE", "country_by_ip": "FR", "client_type": "BROWSER",
        "user_agent_type": "BROWSER", "device_category": "PERSONAL_COMPUTER", "os_family": "LINUX",
        "os_version": 6.1, "os_version_major": 6, "os_version_minor": 1, "os_version_bugfix": 0,
    });
    let worker = w.worker_with("ann", profile).await;
    let known = w.get(&format!("/api/v1/user-metadata/{}", worker.id)).await;
    assert_eq!(
        known,
        json!({
            "id": worker.id, "country": "DE", "languages": ["EN", "DE"], "adult_allowed": true,
            "attributes": {
                "country_by_phone": "DE", "country_by_ip": "FR", "client_type": "BROWSER",
                "user_agent_type": "BROWSER", "device_category": "PERSONAL_COMPUTER",
                "os_family": "LINUX", "os_version": 6.1, "os_version_major": 6,
                "os_version_minor": 1, "os_version_bugfix": 0,
            },
        })
    );
    let hostile = json!({"country": {"a": 1}, "languages": "EN", "adult_allowed": "yes", "os_version": "6", "os_family": []});
    let worker = w.worker_with("eve", hostile).await;
    let known = w.get(&format!("/api/v1/user-metadata/{}", worker.id)).await;
    assert_eq!(known, json!({"id": worker.id, "attributes": {}}));
}

#[tokio::test]
async fn a_skill_is_given_with_a_reason_and_lapses_after_its_time() {
    let w = World::new().await;
    let worker = w.worker("ann").await;
    let skill = json!({"name": "short", "skill_ttl_hours": 2, "hidden": false});
    let skill = w.ok("POST", "/api/v1/skills", skill).await;
    assert_eq!(
        (skill["skill_ttl_hours"].as_u64(), skill["global"].as_bool()),
        (Some(2), Some(false))
    );
    for (global, found) in [("true", 0), ("false", 1)] {
        let list = w.get(&format!("/api/v1/skills?global={global}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), found);
    }
    let skill = id(&skill);
    let form = json!({"skill_id": skill, "user_id": worker.id, "value": 84.6, "reason": "checked by hand"});
    let given = w.ok("PUT", "/api/v1/user-skills", form.clone()).await;
    assert_eq!(
        (given["value"].as_i64(), given["exact_value"].as_f64()),
        (Some(85), Some(84.6))
    );
    w.pass(7_199);
    let again = w.ok("PUT", "/api/v1/user-skills", form).await;
    assert_eq!(again["id"], given["id"], "a worker has a skill once");
    w.pass(7_199);
    assert_eq!(w.skill_value(&worker, &skill).await, Some(84.6));
    w.pass(1);
    assert_eq!(w.skill_value(&worker, &skill).await, None);
}
