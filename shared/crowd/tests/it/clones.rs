//! Copies of pools and trainings, and what a change of a project means.

use serde_json::{Value, json};

use crate::world::{World, ban, id, lesson, many, merge, real, rule, when};

/// Copies a pool or training; the copy's id.
async fn clone(w: &World, path: &str, key: &str) -> String {
    let (status, operation) = w.call("POST", &format!("{path}/clone"), Value::Null).await;
    assert_eq!(
        (status, operation["status"].as_str()),
        (202, Some("SUCCESS")),
        "{operation}"
    );
    operation["details"][key].as_str().unwrap().to_owned()
}

/// Removes what two copies may not share.
fn settings(mut object: Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    for own in [
        "id",
        "created",
        "status",
        "last_started",
        "last_stopped",
        "last_close_reason",
    ] {
        fields.remove(own);
    }
    object
}

#[tokio::test]
async fn a_copy_of_a_pool_has_its_settings_and_nothing_else() {
    let w = World::new().await;
    let project = w.project().await;
    let income = when("income_sum_for_last_24_hours", "GTE", 1);
    let mut over = rule("INCOME", json!({}), json!([income]), ban("POOL"));
    merge(
        &mut over,
        json!({"priority": 7, "filter": {"and": []}, "metadata": {"a": ["b"]}}),
    );
    let pool = w.pool(&project, over).await;
    w.tasks(many(2, |n| real(&pool, n))).await;
    w.open(&pool).await;
    let copy = clone(&w, &format!("/api/v1/pools/{pool}"), "pool_id").await;
    assert_ne!(copy, pool);
    let read = async |id: &str| w.get(&format!("/api/v1/pools/{id}")).await;
    assert_eq!(
        w.pool_state(&copy).await,
        ("CLOSED".to_owned(), Value::Null)
    );
    let uuid =
        |pool: &Value| pool["quality_control"]["configs"][0]["collector_config"]["uuid"].clone();
    let (mut old, new) = (read(&pool).await, read(&copy).await);
    assert_ne!(uuid(&old), uuid(&new), "a copy counts for itself");
    old["quality_control"]["configs"][0]["collector_config"]["uuid"] = uuid(&new);
    assert_eq!(settings(old), settings(new));
    let tasks = w.get(&format!("/api/v1/tasks?pool_id={copy}")).await;
    assert_eq!(tasks["items"], json!([]));
}

#[tokio::test]
async fn a_copy_of_a_training_has_a_skill_of_its_own() {
    let w = World::new().await;
    let project = w.project().await;
    let training = w
        .training(&project, json!({"task_suites_required_to_pass": 1}))
        .await;
    let copy = clone(&w, &format!("/api/v1/trainings/{training}"), "training_id").await;
    let read = async |id: &str| settings(w.get(&format!("/api/v1/trainings/{id}")).await);
    assert_eq!(read(&training).await, read(&copy).await);
    // Who passes the copy has passed only the copy.
    w.tasks(many(2, |n| lesson(&copy, n))).await;
    w.open(&copy).await;
    let worker = w.worker("ann").await;
    w.do_page(&worker, &copy, 10, "cat").await;
    let needs = async |training: &str| {
        let over = json!({"quality_control": {"training_requirement": {
            "training_pool_id": training, "training_passing_skill_value": 50}}});
        let pool = w.pool(&project, over).await;
        w.tasks(many(2, |n| real(&pool, n))).await;
        w.open(&pool).await;
        w.take(&worker, &pool).await.is_ok()
    };
    assert!(needs(&copy).await);
    assert!(!needs(&training).await);
    // A training answers under both of its addresses.
    let other = clone(&w, &format!("/api/v1/pools/{training}"), "pool_id").await;
    assert_eq!(read(&other).await, read(&training).await);
}

#[tokio::test]
async fn an_archived_pool_can_be_copied_but_not_in_an_archived_project() {
    let w = World::new().await;
    let project = w.project().await;
    let pool = w.pool(&project, json!({})).await;
    w.ok(
        "POST",
        &format!("/api/v1/pools/{pool}/archive"),
        Value::Null,
    )
    .await;
    let copy = clone(&w, &format!("/api/v1/pools/{pool}"), "pool_id").await;
    w.ok(
        "POST",
        &format!("/api/v1/pools/{copy}/archive"),
        Value::Null,
    )
    .await;
    w.ok(
        "POST",
        &format!("/api/v1/projects/{project}/archive"),
        Value::Null,
    )
    .await;
    let refused = w
        .fails("POST", &format!("/api/v1/pools/{pool}/clone"), Value::Null)
        .await;
    assert_eq!(refused, (409, "PROJECT_INAPPROPRIATE_STATUS".to_owned()));
}

#[tokio::test]
async fn a_client_copies_a_whole_project_from_what_it_reads() {
    let w = World::new().await;
    let config = rule(
        "INCOME",
        json!({}),
        json!([when("income_sum_for_last_24_hours", "GTE", 9)]),
        ban("PROJECT"),
    );
    let project = w.project_with(config.clone()).await;
    let training = w.training(&project, json!({})).await;
    let mut over = config;
    merge(
        &mut over,
        json!({"quality_control": {"training_requirement": {
        "training_pool_id": training, "training_passing_skill_value": 80}}}),
    );
    let pool = w.pool(&project, over).await;

    let read = async |path: &str, id: &str| w.get(&format!("/api/v1/{path}/{id}")).await;
    let old = read("projects", &project).await;
    let new_project = id(&w.ok("POST", "/api/v1/projects", old.clone()).await);
    let mut form = read("trainings", &training).await;
    form["project_id"] = json!(new_project);
    let new_training = id(&w.ok("POST", "/api/v1/trainings", form).await);
    let mut form = read("projects", &new_project).await;
    form["quality_control"] = old["quality_control"].clone();
    w.ok("PUT", &format!("/api/v1/projects/{new_project}"), form)
        .await;
    let mut form = read("pools", &pool).await;
    form["project_id"] = json!(new_project);
    form["quality_control"]["training_requirement"]["training_pool_id"] = json!(new_training);
    let new_pool = w.ok("POST", "/api/v1/pools", form.clone()).await;

    assert_eq!(
        settings(read("projects", &new_project).await),
        settings(old)
    );
    assert_eq!(
        settings(new_pool),
        settings(form),
        "collectors that are sent keep their ids"
    );
    let check = async |form: &Value| {
        let path = format!("/api/staging/projects/{new_project}/check");
        w.ok("POST", &path, form.clone()).await["differenceLevel"].clone()
    };
    let mut form = read("projects", &new_project).await;
    assert_eq!(check(&form).await, "EQUAL");
    form["public_description"] = json!("New words");
    assert_eq!(check(&form).await, "NON_BREAKING_CHANGE");
    form["task_spec"]["output_spec"]["result"]["allowed_values"] = json!(["cat"]);
    assert_eq!(check(&form).await, "BREAKING_CHANGE");
    assert_eq!(
        read("projects", &new_project).await["public_description"],
        "Look",
        "a check changes nothing"
    );
    let path = format!("/api/staging/projects/{new_project}/check");
    let refused = w.fails("POST", &path, json!({})).await;
    assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()));
}
