//! Pools, and trainings, which are pools with a skill.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use quorate_toloka::types::{Decimal, LocalizedText, Pool, PoolPatch, Skill, Training};
use serde_json::json;

use super::{
    operations::{self, Done},
    projects::{self, keep_collectors, name_collectors},
};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    lifecycle,
    list::{self, Kind, Spec, Use},
    model::{PoolRow, ProjectRow, pool_body, training_body},
    platform::Platform,
    store::{Db, Tx},
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("status", "status", Kind::Words, Use::Equal),
        ("project_id", "project", Kind::Number, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
        ("last_started", "last_started", Kind::Time, Use::Order),
        ("owner_id", "owner", Kind::Text, Use::Equal),
        // No account belongs to a company.
        ("owner_company_id", "NULL", Kind::Text, Use::Equal),
    ],
    default_limit: 50,
    max_limit: 300,
};

/// The highest price of a page: far above any real one, far below where sums overflow.
const MOST_DOLLARS: u32 = 10_000;

/// What a field may be; the errors of a form.
struct Check(FieldErrors);

impl Check {
    fn required(&mut self, path: &str, missing: bool) {
        if missing {
            self.0.insert(
                path.to_owned(),
                field_error("VALUE_REQUIRED", "Value must be present"),
            );
        }
    }

    fn range(&mut self, path: &str, value: Option<impl Into<i64>>, least: i64, most: i64) {
        let Some(value) = value.map(Into::into) else {
            return;
        };
        if value < least || value > most {
            let message = format!("Value must be between {least} and {most}");
            self.0
                .insert(path.to_owned(), field_error("VALUE_OUT_OF_BOUNDS", message));
        }
    }

    fn price(&mut self, path: &str, price: Option<Decimal>) {
        let Some(price) = price.filter(|price| !price.is_zero()) else {
            return;
        };
        if price < Decimal::new(5, 3) || price > Decimal::from(MOST_DOLLARS) {
            let message = format!("A page costs 0.005 to {MOST_DOLLARS} dollars, or nothing");
            self.0
                .insert(path.to_owned(), field_error("VALUE_OUT_OF_BOUNDS", message));
        }
    }

    fn exists(&mut self, path: &str, what: &str, id: &str, found: bool) {
        if !id.is_empty() && !found {
            let message = format!("There is no {what} `{id}`");
            self.0.insert(
                path.to_owned(),
                field_error("ENTITY_DOES_NOT_EXIST", message),
            );
        }
    }

    fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::validation(self.0))
        }
    }
}

/// The active project that a form names.
fn project_of(db: &Db<'_>, who: &str, id: &str) -> Result<Option<ProjectRow>> {
    match projects::find(db, who, id) {
        Ok(project) if project.status == "ACTIVE" => Ok(Some(project)),
        Ok(_) => Err(Error::conflict(
            "PROJECT_INAPPROPRIATE_STATUS",
            format!("Project {id} is archived"),
        )),
        Err(_) => Ok(None),
    }
}

/// Checks how many tasks a page has and how many workers a task gets.
fn check_counts(form: &Pool, check: &mut Check) {
    if let Some(mixer) = &form.mixer_config {
        for (name, count) in [
            ("real_tasks_count", mixer.real_tasks_count),
            ("golden_tasks_count", mixer.golden_tasks_count),
            ("training_tasks_count", mixer.training_tasks_count),
        ] {
            check.range(&format!("mixer_config.{name}"), Some(count), 0, 500);
        }
    }
    if let Some(defaults) = &form.defaults {
        // The reference says 1 or more; clients send 0 for a kind of work that the pool has not.
        for (name, overlap) in [
            (
                "default_overlap_for_new_task_suites",
                defaults.default_overlap_for_new_task_suites,
            ),
            (
                "default_overlap_for_new_tasks",
                defaults.default_overlap_for_new_tasks,
            ),
        ] {
            check.range(&format!("defaults.{name}"), overlap, 0, 30_000);
        }
    }
}

/// Checks that the training that a pool asks for is there.
fn check_required_training(db: &Db<'_>, who: &str, form: &Pool, check: &mut Check) {
    if let Some(required) = form
        .quality_control
        .as_ref()
        .and_then(|one| one.training_requirement.as_ref())
    {
        let path = "quality_control.training_requirement.training_pool_id";
        let id = &required.training_pool_id;
        check.required(path, id.is_empty());
        let found = db
            .pool_of(who, id)
            .is_ok_and(|training| training.is_training());
        check.exists(path, "training", id, found);
        check.range(
            "quality_control.training_requirement.training_passing_skill_value",
            required.training_passing_skill_value,
            0,
            100,
        );
    }
}

fn check_pool(db: &Db<'_>, who: &str, form: &Pool) -> Result<ProjectRow> {
    let project = project_of(db, who, &form.project_id)?;
    let mut check = Check(FieldErrors::new());
    check.required("project_id", form.project_id.is_empty());
    check.exists("project_id", "project", &form.project_id, project.is_some());
    check.required("private_name", form.private_name.trim().is_empty());
    check.required("will_expire", form.will_expire.is_none());
    check.required(
        "reward_per_assignment",
        form.reward_per_assignment.is_none(),
    );
    check.required(
        "assignment_max_duration_seconds",
        form.assignment_max_duration_seconds.is_none(),
    );
    check.required("defaults", form.defaults.is_none());
    check.range(
        "assignment_max_duration_seconds",
        form.assignment_max_duration_seconds,
        5,
        2_147_483_647,
    );
    check.range(
        "auto_close_after_complete_delay_seconds",
        form.auto_close_after_complete_delay_seconds,
        0,
        259_200,
    );
    check.range("auto_accept_period_day", form.auto_accept_period_day, 1, 21);
    check.range("priority", form.priority, -100, 100);
    check.price("reward_per_assignment", form.reward_per_assignment);
    let intervals = form
        .dynamic_pricing_config
        .iter()
        .flat_map(|pricing| &pricing.intervals);
    for (index, interval) in intervals.enumerate() {
        let path = format!("dynamic_pricing_config.intervals.{index}.reward_per_assignment");
        check.price(&path, interval.reward_per_assignment);
    }
    check_counts(form, &mut check);
    check_required_training(db, who, form, &mut check);
    check.finish()?;
    project.ok_or_else(|| Error::not_found("project", &form.project_id))
}

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let mut form: Pool = body.parse()?;
        let project = check_pool(tx, &who.0, &form)?;
        let id = insert(tx, &who.0, project.id, &mut form)?;
        Ok(json(StatusCode::CREATED, tx.pool(id)?.wire()))
    })
    .await
}

/// Stores a new pool, closed, and returns its id.
pub(super) fn insert(tx: &Tx<'_>, who: &str, project: i64, form: &mut Pool) -> Result<i64> {
    name_collectors(tx, form.quality_control.as_mut());
    let id = tx.next_decimal("pools")?;
    tx.run(
        "INSERT INTO pools (id, owner, project, training, status, created, priority, will_expire,
           last_added, body) VALUES (?1, ?2, ?3, 0, 'CLOSED', ?4, ?5, ?6, ?4, ?7)",
        (
            id,
            who,
            project,
            tx.now(),
            form.priority.unwrap_or(0),
            form.will_expire.map(|time| time.as_millis()),
            pool_body(form)?,
        ),
    )?;
    keep_collectors(tx, who, project, id, form.quality_control.as_ref())?;
    Ok(id)
}

/// Settings change only while nobody works by them.
fn must_be_closed(pool: &PoolRow) -> Result<()> {
    if pool.status == "CLOSED" {
        return Ok(());
    }
    Err(Error::state(
        format!("The {} is {}; close it first", pool.noun(), pool.status),
        &["CLOSED"],
    ))
}

pub(super) async fn update(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let pool = tx.pool_of(&who.0, &id)?;
        must_be_closed(&pool)?;
        if pool.is_training() {
            return Err(Error::conflict(
                "POOL_IS_TRAINING",
                "Change a training under /trainings",
            ));
        }
        let mut form: Pool = body.parse()?;
        form.project_id = pool.project.to_string();
        check_pool(tx, &who.0, &form)?;
        name_collectors(tx, form.quality_control.as_mut());
        tx.run(
            "UPDATE pools SET body = ?2, will_expire = ?3, priority = ?4 WHERE id = ?1",
            (
                pool.id,
                pool_body(&form)?,
                form.will_expire.map(|time| time.as_millis()),
                form.priority.unwrap_or(pool.priority),
            ),
        )?;
        let quality = form.quality_control.as_ref();
        keep_collectors(tx, &who.0, pool.project, pool.id, quality)?;
        Ok(ok(tx.pool(pool.id)?.wire()))
    })
    .await
}

pub(super) async fn patch(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let pool = tx.pool_of(&who.0, &id)?;
        if pool.status == "ARCHIVED" {
            return Err(Error::state("The pool is archived", &["OPEN", "CLOSED"]));
        }
        let form: PoolPatch = body.parse()?;
        let mut check = Check(FieldErrors::new());
        check.range("priority", form.priority, -100, 100);
        check.finish()?;
        if let Some(priority) = form.priority {
            tx.run(
                "UPDATE pools SET priority = ?2 WHERE id = ?1",
                (pool.id, priority),
            )?;
        }
        Ok(ok(tx.pool(pool.id)?.wire()))
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(db.pool_of(&who.0, &id)?.wire())))
        .await
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("training = 0 AND owner = ?", who.0)
            .page(db, PoolRow::SELECT, |row| {
                PoolRow::read(row).map(PoolRow::wire)
            })?;
        Ok(ok(page))
    })
    .await
}

// --- Trainings.

/// A training of `who`.
pub(super) fn training_of(db: &Db<'_>, who: &str, id: &str) -> Result<PoolRow> {
    let pool = db.pool_of(who, id)?;
    if pool.is_training() {
        Ok(pool)
    } else {
        Err(Error::not_found("training", id))
    }
}

fn check_training(db: &Db<'_>, who: &str, form: &Training) -> Result<ProjectRow> {
    let project = project_of(db, who, &form.project_id)?;
    let count = "training_tasks_in_task_suite_count";
    let mut check = Check(FieldErrors::new());
    check.required("project_id", form.project_id.is_empty());
    check.exists("project_id", "project", &form.project_id, project.is_some());
    check.required("private_name", form.private_name.trim().is_empty());
    check.required(count, form.training_tasks_in_task_suite_count.is_none());
    check.range(count, form.training_tasks_in_task_suite_count, 0, 500);
    check.range(
        "task_suites_required_to_pass",
        form.task_suites_required_to_pass,
        0,
        500,
    );
    check.range(
        "retry_training_after_days",
        form.retry_training_after_days,
        1,
        36_500,
    );
    check.range(
        "assignment_max_duration_seconds",
        form.assignment_max_duration_seconds,
        5,
        2_147_483_647,
    );
    check.finish()?;
    project.ok_or_else(|| Error::not_found("project", &form.project_id))
}

pub(super) async fn create_training(
    State(p): State<Platform>,
    who: Requester,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let form: Training = body.parse()?;
        let project = check_training(tx, &who.0, &form)?;
        let id = insert_training(tx, &who.0, &project, &form)?;
        Ok(json(StatusCode::CREATED, tx.pool(id)?.wire_training()?))
    })
    .await
}

/// Stores a new training, closed, with a skill of its own, and returns its id.
pub(super) fn insert_training(
    tx: &Tx<'_>,
    who: &str,
    project: &ProjectRow,
    form: &Training,
) -> Result<i64> {
    let name = format!("{} - training", project.form.public_name);
    let skill = Skill {
        public_name: Some(LocalizedText::from([("EN".to_owned(), name.clone())])),
        name,
        ..Skill::default()
    };
    let skill = tx.add_skill(who, &skill, true)?;
    let id = tx.next_decimal("pools")?;
    tx.run(
        "INSERT INTO pools (id, owner, project, training, status, created, priority, skill,
           last_added, body) VALUES (?1, ?2, ?3, 1, 'CLOSED', ?4, 0, ?5, ?4, ?6)",
        (id, who, project.id, tx.now(), skill, training_body(form)?),
    )?;
    Ok(id)
}

pub(super) async fn update_training(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let pool = training_of(tx, &who.0, &id)?;
        must_be_closed(&pool)?;
        let mut form: Training = body.parse()?;
        form.project_id = pool.project.to_string();
        check_training(tx, &who.0, &form)?;
        tx.run(
            "UPDATE pools SET body = ?2 WHERE id = ?1",
            (pool.id, training_body(&form)?),
        )?;
        Ok(ok(tx.pool(pool.id)?.wire_training()?))
    })
    .await
}

pub(super) async fn read_training(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(training_of(db, &who.0, &id)?.wire_training()?)))
        .await
}

pub(super) async fn list_trainings(
    State(p): State<Platform>,
    who: Requester,
    query: Query,
) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("training = 1 AND owner = ?", who.0)
            .page(db, PoolRow::SELECT, PoolRow::read)?;
        let items: Result<Vec<Training>> =
            page.items.into_iter().map(PoolRow::wire_training).collect();
        Ok(ok(json!({ "items": items?, "has_more": page.has_more })))
    })
    .await
}

// --- Changes of state. A training answers under both of its addresses.

/// What is asked of a pool.
#[derive(Clone, Copy)]
enum Change {
    Open,
    Close,
    CloseForUpdate,
    Archive,
}

/// Changes the state: 202 with an operation, or 204 when there is nothing to change.
async fn change(p: Platform, who: Requester, id: String, change: Change, training: bool) -> Answer {
    p.write(move |tx| {
        let pool = if training {
            training_of(tx, &who.0, &id)?
        } else {
            tx.pool_of(&who.0, &id)?
        };
        let (changed, verb) = match change {
            Change::Open => (lifecycle::try_open(tx, &pool)?, "OPEN"),
            Change::Close => (close_by_hand(tx, &pool, "MANUAL")?, "CLOSE"),
            Change::CloseForUpdate => (close_by_hand(tx, &pool, "FOR_UPDATE")?, "CLOSE"),
            Change::Archive => (archive_pool(tx, &pool)?, "ARCHIVE"),
        };
        if !changed {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let (kind, parameter) = if training {
            ("TRAINING", "training_id")
        } else {
            ("POOL", "pool_id")
        };
        let operation = operations::record(
            tx,
            &who.0,
            Done {
                id: None,
                kind: &format!("{kind}.{verb}"),
                success: true,
                parameters: json!({ parameter: id }),
                details: None,
                log: Vec::new(),
            },
        )?;
        operations::accepted(tx, &who.0, &operation)
    })
    .await
}

fn close_by_hand(tx: &Tx<'_>, pool: &PoolRow, reason: &str) -> Result<bool> {
    match pool.status.as_str() {
        "OPEN" => {
            lifecycle::close(tx, pool.id, reason)?;
            Ok(true)
        }
        "CLOSED" => {
            if reason == "MANUAL" {
                // Closed by hand it stays closed, even if it was to open again after an update.
                tx.run("UPDATE pools SET reopen_at = NULL WHERE id = ?1", [pool.id])?;
            }
            Ok(false)
        }
        status => Err(Error::state(
            format!("The {} is {status}", pool.noun()),
            &["OPEN"],
        )),
    }
}

fn archive_pool(tx: &Tx<'_>, pool: &PoolRow) -> Result<bool> {
    if pool.status == "ARCHIVED" {
        return Ok(false);
    }
    must_be_closed(pool)?;
    for (status, code, message) in [
        (
            "ACTIVE",
            "THERE_IS_ACTIVE_ASSIGNMENT",
            "Workers still have pages of the pool in hand",
        ),
        (
            "SUBMITTED",
            "SUBMITTED_ASSIGNMENTS_CONFLICT",
            "Pages of the pool still wait for review",
        ),
    ] {
        let waiting = tx.number(
            "SELECT EXISTS (SELECT 1 FROM assignments WHERE pool = ?1 AND status = ?2)",
            (pool.id, status),
        )?;
        if waiting != 0 {
            return Err(Error::conflict(code, message));
        }
    }
    let rejected = tx.number(
        "SELECT max(rejected) FROM assignments WHERE pool = ?1 AND status = 'REJECTED'",
        [pool.id],
    )?;
    // Workers have nine days to complain.
    if rejected != 0 && tx.now() < rejected + 9 * 86_400_000 {
        return Err(Error::conflict(
            "THERE_IS_REJECTED_ASSIGNMENT",
            "A pool is archived nine days after its last rejection or later",
        ));
    }
    if pool.is_training() && is_required(tx, pool)? {
        return Err(Error::conflict(
            "TRAINING_ARCHIVE_CONFLICT",
            "Archive the pools that require the training first",
        ));
    }
    tx.run(
        "UPDATE pools SET status = 'ARCHIVED', reopen_at = NULL WHERE id = ?1",
        [pool.id],
    )?;
    Ok(true)
}

/// Whether a pool that is not archived asks for the training.
fn is_required(db: &Db<'_>, training: &PoolRow) -> Result<bool> {
    let id = training.id.to_string();
    let pools = db.rows(
        &format!(
            "{} WHERE project = ?1 AND status <> 'ARCHIVED'",
            PoolRow::SELECT
        ),
        [training.project],
        PoolRow::read,
    )?;
    Ok(pools.iter().any(|pool| {
        pool.quality()
            .and_then(|quality| quality.training_requirement.as_ref())
            .is_some_and(|required| required.training_pool_id == id)
    }))
}

pub(super) async fn open(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    change(p, who, id, Change::Open, false).await
}

pub(super) async fn close(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    change(p, who, id, Change::Close, false).await
}

pub(super) async fn close_for_update(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
) -> Answer {
    change(p, who, id, Change::CloseForUpdate, false).await
}

pub(super) async fn archive(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    change(p, who, id, Change::Archive, false).await
}

pub(super) async fn open_training(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    change(p, who, id, Change::Open, true).await
}

pub(super) async fn close_training(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
) -> Answer {
    change(p, who, id, Change::Close, true).await
}

pub(super) async fn close_training_for_update(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
) -> Answer {
    change(p, who, id, Change::CloseForUpdate, true).await
}

pub(super) async fn archive_training(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
) -> Answer {
    change(p, who, id, Change::Archive, true).await
}
