//! Tasks: creation in batches, reading, overlap.

use axum::extract::State;
use quorate_toloka::types::{Defaults, OverlapPatch, Task, TaskPatch};
use serde_json::Value;

use super::{
    batch::{self, Batch, Request},
    upload::{self, Place, Places},
};
use crate::{
    error::{Error, FieldErrors, Result},
    http::{Answer, Body, Id, Query, Requester, ok},
    ids, lifecycle,
    list::{self, Kind as By, Params, Spec, Use},
    model::{Kind, PoolRow, TaskRow, owned_by, task_body},
    platform::Platform,
    store::{Db, Tx},
};

/// What batches of tasks are called.
const TASKS: batch::Words = batch::Words {
    operation: "TASK.BATCH_CREATE",
    create: "TASK_CREATE",
    validate: "TASK_VALIDATE",
    id: "task_id",
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", By::Text, Use::Both),
        ("pool_id", "pool", By::Number, Use::Equal),
        ("created", "created", By::Time, Use::Order),
        ("overlap", "overlap", By::Number, Use::Both),
    ],
    default_limit: 50,
    max_limit: 100_000,
};

/// An item that can become a task.
struct Valid<'a> {
    task: Task,
    place: &'a Place,
    /// `None` is infinite.
    overlap: Option<u32>,
}

/// Reads one item of a batch, or says what is wrong with it.
fn check<'a>(
    item: &Value,
    places: &'a Places,
    request: &Request,
) -> std::result::Result<Valid<'a>, FieldErrors> {
    let task: Task = upload::parse(item, "task")?;
    let place = places.of(&task.pool_id)?;
    let mut errors = FieldErrors::new();
    upload::check_values(&task, &place.spec, "", &mut errors);
    let default = |defaults: &Defaults| {
        defaults
            .default_overlap_for_new_tasks
            .or(defaults.default_overlap_for_new_task_suites)
    };
    match upload::overlap(task.overlap, task.infinite_overlap, place, default, request) {
        Ok(overlap) if errors.is_empty() => Ok(Valid {
            task,
            place,
            overlap,
        }),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.insert("overlap".to_owned(), error);
            Err(errors)
        }
    }
}

/// Stores a task, one of a task suite if that is named, and returns its id.
pub(super) fn insert(
    tx: &Tx<'_>,
    task: &Task,
    pool: i64,
    overlap: Option<u32>,
    suite: Option<i64>,
) -> Result<String> {
    let counter = tx.next();
    let id = ids::object(pool, tx.now(), counter);
    tx.run(
        "INSERT INTO tasks (id, pool, kind, overlap, place, reserved, unavailable, created, body, suite)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            &id,
            pool,
            Kind::of(task).column(),
            overlap,
            ids::scatter(tx.settings.seed, counter),
            upload::workers(&task.reserved_for),
            upload::workers(&task.unavailable_for),
            tx.now(),
            task_body(task)?,
            suite,
        ),
    )?;
    Ok(id)
}

/// Only pools of which the platform makes the pages take tasks.
fn takes_tasks(pool: &PoolRow) -> Result<()> {
    if pool.form.mixer_config.is_none() {
        return Err(Error::conflict(
            "MIXER_CONFIG_REQUIRED",
            format!(
                "Pool {} has no mixer_config, so it takes task suites, not tasks",
                pool.id
            ),
        ));
    }
    Ok(())
}

/// Makes the tasks of a batch: all, the valid ones when asked for, or none.
fn create_batch(tx: &Tx<'_>, who: &str, request: &Request) -> Result<Batch> {
    let places = Places::read(tx, who, &request.items, takes_tasks)?;
    let mut batch = batch::make(
        &TASKS,
        request,
        |item| check(item, &places, request),
        |valid| insert(tx, &valid.task, valid.place.pool.id, valid.overlap, None),
    )?;
    places.added(tx, request, &mut batch)?;
    Ok(batch)
}

pub(super) async fn create(
    State(p): State<Platform>,
    who: Requester,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let request = Request::read(tx, &query, &body)?;
        upload::check_size(&request, request.items.iter())?;
        let batch = create_batch(tx, &who.0, &request)?;
        let parameters = upload::parameters(&request);
        batch::answer(tx, &who.0, &TASKS, &request, parameters, batch, |id| {
            Ok(find_any(tx, id)?.wire())
        })
    })
    .await
}

fn find_any(db: &Db<'_>, id: &str) -> Result<TaskRow> {
    db.row(
        &format!("{} WHERE id = ?1", TaskRow::SELECT),
        [id],
        TaskRow::read,
    )?
    .ok_or_else(|| Error::not_found("task", id))
}

/// A task of `who` and its pool.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<(TaskRow, PoolRow)> {
    let task = find_any(db, id)?;
    let pool = db.pool(task.pool)?;
    owned_by(&pool.owner, who, "task", id)?;
    Ok((task, pool))
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?.0.wire())))
        .await
}

/// The pool that a list is about; the parameter is required.
pub(super) fn listed_pool(db: &Db<'_>, who: &str, params: &Params) -> Result<PoolRow> {
    let id = params
        .get("pool_id")
        .ok_or_else(|| Error::field("pool_id", "VALUE_REQUIRED", "Say which pool"))?;
    db.pool_of(who, id)
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        listed_pool(db, &who.0, &query.0)?;
        let page = list::Query::parse(&LIST, &query.0)?.page(db, TaskRow::SELECT, |row| {
            TaskRow::read(row).map(TaskRow::wire)
        })?;
        Ok(ok(page))
    })
    .await
}

/// Sets a task's overlap and tells its pool.
fn set(tx: &Tx<'_>, task: &TaskRow, overlap: Option<i64>) -> Result<()> {
    if task.suite.is_some() {
        return Err(Error::field(
            "overlap",
            "VALUE_NOT_ALLOWED",
            "The task belongs to a task suite; set the overlap of that",
        ));
    }
    tx.run(
        "UPDATE tasks SET overlap = ?2 WHERE n = ?1",
        (task.n, overlap),
    )?;
    upload::overlap_set(tx, task.pool, task.overlap, overlap)
}

pub(super) async fn patch(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let (task, pool) = find(tx, &who.0, &id)?;
        upload::must_not_be_archived(&pool)?;
        let form: TaskPatch = body.parse()?;
        if form.infinite_overlap == Some(true) {
            set(tx, &task, None)?;
        } else if let Some(overlap) = form.overlap {
            set(
                tx,
                &task,
                Some(upload::check_overlap(overlap, task.issued)?),
            )?;
        }
        let mut changed = task.form.clone();
        changed.baseline_solutions = form.baseline_solutions.or(changed.baseline_solutions);
        changed.known_solutions = form.known_solutions.or(changed.known_solutions);
        changed.message_on_unknown_solution = form
            .message_on_unknown_solution
            .or(changed.message_on_unknown_solution);
        tx.run(
            "UPDATE tasks SET body = ?2, kind = ?3 WHERE n = ?1",
            (task.n, task_body(&changed)?, Kind::of(&changed).column()),
        )?;
        upload::open_if_asked(tx, &query, pool.id)?;
        lifecycle::refresh(tx, pool.id)?;
        Ok(ok(find_any(tx, &id)?.wire()))
    })
    .await
}

pub(super) async fn set_overlap(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let (task, pool) = find(tx, &who.0, &id)?;
        upload::must_not_be_archived(&pool)?;
        let form: OverlapPatch = body.parse()?;
        if form.infinite_overlap == Some(true) {
            set(tx, &task, None)?;
        } else if let Some(overlap) = form.overlap {
            set(
                tx,
                &task,
                Some(upload::overlap_or_min(overlap, task.issued)?),
            )?;
        }
        upload::open_if_asked(tx, &query, pool.id)?;
        Ok(ok(find_any(tx, &id)?.wire()))
    })
    .await
}
