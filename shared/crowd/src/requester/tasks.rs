//! Tasks: creation in batches, reading, overlap.

use std::collections::BTreeMap;

use axum::extract::State;
use quorate_toloka::types::{OverlapPatch, Task, TaskPatch, TaskSpec};
use serde_json::{Value, json};

use super::batch::{self, Batch, Request};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, ok},
    ids, lifecycle,
    list::{self, Kind as By, Params, Spec, Use},
    model::{Kind, PoolRow, TaskRow, owned_by, task_body},
    platform::Platform,
    store::{Db, Tx},
    validate::{self, Strictness},
};

/// The most bytes of input values in one request.
const MOST_INPUT_BYTES: usize = 1_048_576;

/// The most tasks that one request makes while the client waits.
const MOST_SYNCHRONOUS: usize = 5_000;

const MOST_OVERLAP: u32 = 30_000;

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

/// A pool that the items of a batch name, with what they are checked against.
struct Place {
    pool: PoolRow,
    spec: TaskSpec,
}

/// An item that can become a task.
struct Valid {
    task: Task,
    pool: i64,
    /// `None` is infinite.
    overlap: Option<u32>,
}

type Places = BTreeMap<String, Option<Place>>;

/// The pools that the items name: `None` for one that there is not.
fn places(db: &Db<'_>, who: &str, items: &[Value]) -> Result<Places> {
    let mut places = Places::new();
    for item in items {
        let Some(id) = item.get("pool_id").and_then(Value::as_str) else {
            continue;
        };
        if places.contains_key(id) {
            continue;
        }
        let place = match id
            .parse()
            .ok()
            .map(|n| db.find_pool(n))
            .transpose()?
            .flatten()
        {
            Some(pool) => Some(place(db, who, id, pool)?),
            None => None,
        };
        places.insert(id.to_owned(), place);
    }
    Ok(places)
}

fn place(db: &Db<'_>, who: &str, id: &str, pool: PoolRow) -> Result<Place> {
    owned_by(&pool.owner, who, "pool", id)?;
    if pool.status == "ARCHIVED" {
        return Err(Error::conflict(
            "POOL_INAPPROPRIATE_STATUS",
            format!("Pool {id} is archived"),
        ));
    }
    if pool.form.mixer_config.is_none() {
        return Err(Error::conflict(
            "MIXER_CONFIG_REQUIRED",
            format!("Pool {id} has no mixer_config, so it takes task suites, not tasks"),
        ));
    }
    let spec = db.project(pool.project)?.spec();
    Ok(Place { pool, spec })
}

/// Reads one item of a batch, or says what is wrong with it.
fn check(
    item: &Value,
    places: &Places,
    allow_defaults: bool,
) -> std::result::Result<Valid, FieldErrors> {
    let single = |path: &str, code: &str, message: String| {
        FieldErrors::from([(path.to_owned(), field_error(code, message))])
    };
    if !item.is_object() {
        return Err(single(
            "task",
            "OBJECT_EXPECTED",
            "A task must be an object".to_owned(),
        ));
    }
    let task: Task = serde_path_to_error::deserialize(item).map_err(|error| {
        single(
            &error.path().to_string(),
            "INVALID_VALUE",
            error.inner().to_string(),
        )
    })?;
    if task.pool_id.is_empty() {
        return Err(single(
            "pool_id",
            "VALUE_REQUIRED",
            "Value must be present".to_owned(),
        ));
    }
    let Some(Some(place)) = places.get(&task.pool_id) else {
        let message = format!("There is no pool `{}`", task.pool_id);
        return Err(single("pool_id", "ENTITY_DOES_NOT_EXIST", message));
    };
    let mut errors = FieldErrors::new();
    check_values(&task, &place.spec, &mut errors);
    let overlap = overlap(&task, &place.pool, allow_defaults).unwrap_or_else(|error| {
        errors.insert("overlap".to_owned(), error);
        None
    });
    if errors.is_empty() {
        Ok(Valid {
            pool: place.pool.id,
            task,
            overlap,
        })
    } else {
        Err(errors)
    }
}

fn check_values(task: &Task, spec: &TaskSpec, errors: &mut FieldErrors) {
    if !spec.input_spec.is_empty() {
        validate::check(
            &task.input_values,
            &spec.input_spec,
            "input_values",
            Strictness::Whole,
            errors,
        );
    }
    if !spec.output_spec.is_empty() {
        for (index, known) in task.known_solutions.iter().flatten().enumerate() {
            let path = format!("known_solutions.{index}.output_values");
            validate::check(
                &known.output_values,
                &spec.output_spec,
                &path,
                Strictness::Part,
                errors,
            );
        }
    }
}

/// The overlap that a task gets: its own, or the pool's default; `None` is infinite.
fn overlap(
    task: &Task,
    pool: &PoolRow,
    allow_defaults: bool,
) -> std::result::Result<Option<u32>, quorate_toloka::types::FieldError> {
    // Trainings are never used up.
    if pool.is_training() || task.infinite_overlap == Some(true) {
        return Ok(None);
    }
    let default = || {
        let defaults = pool.form.defaults.as_ref()?;
        defaults
            .default_overlap_for_new_tasks
            .or(defaults.default_overlap_for_new_task_suites)
            .filter(|_| allow_defaults)
    };
    match task.overlap.or_else(default) {
        Some(overlap @ 1..=MOST_OVERLAP) => Ok(Some(overlap)),
        Some(_) => Err(field_error(
            "VALUE_OUT_OF_BOUNDS",
            format!("overlap must be between 1 and {MOST_OVERLAP}"),
        )),
        None => Err(field_error(
            "VALUE_REQUIRED",
            "Give the task an overlap, or send allow_defaults=true and give the pool a default",
        )),
    }
}

/// Stores a task and returns its id.
fn insert(tx: &Tx<'_>, valid: &Valid) -> Result<String> {
    let counter = tx.next();
    let id = ids::object(valid.pool, tx.now(), counter);
    let workers = |list: &Option<Vec<String>>| {
        list.as_ref()
            .filter(|list| !list.is_empty())
            .map(|list| json!(list).to_string())
    };
    tx.run(
        "INSERT INTO tasks (id, pool, kind, overlap, place, reserved, unavailable, created, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            &id,
            valid.pool,
            Kind::of(&valid.task).column(),
            valid.overlap,
            ids::scatter(tx.settings.seed, counter),
            workers(&valid.task.reserved_for),
            workers(&valid.task.unavailable_for),
            tx.now(),
            task_body(&valid.task)?,
        ),
    )?;
    Ok(id)
}

/// Makes the tasks of a batch: all, the valid ones when asked for, or none.
fn create_batch(tx: &Tx<'_>, who: &str, request: &Request) -> Result<Batch> {
    let places = places(tx, who, &request.items)?;
    let mut batch = batch::make(
        &TASKS,
        request,
        |item| check(item, &places, request.allow_defaults),
        |valid| insert(tx, valid),
    )?;
    if !batch.made.is_empty() {
        for place in places.values().flatten() {
            added(tx, &place.pool, request.open_pool, &mut batch.log)?;
        }
    }
    Ok(batch)
}

/// Tells a pool that it has more to do.
fn added(tx: &Tx<'_>, pool: &PoolRow, open: bool, log: &mut Vec<Value>) -> Result<()> {
    tx.run(
        "UPDATE pools SET last_added = ?2, close_at = NULL WHERE id = ?1",
        (pool.id, tx.now()),
    )?;
    if open {
        let (success, output) = match lifecycle::try_open(tx, pool) {
            Ok(_) => (true, json!({})),
            Err(error) => (false, error.to_json()),
        };
        let input = json!({ "pool_id": pool.id.to_string() });
        log.push(
            json!({ "type": "POOL_OPEN", "success": success, "input": input, "output": output }),
        );
    }
    lifecycle::refresh(tx, pool.id)
}

pub(super) async fn create(
    State(p): State<Platform>,
    who: Requester,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let request = Request::read(tx, &query, &body)?;
        check_size(&request.items, request.async_mode)?;
        let batch = create_batch(tx, &who.0, &request)?;
        let parameters = json!({
            "skip_invalid_items": request.skip_invalid_items,
            "allow_defaults": request.allow_defaults,
            "open_pool": request.open_pool,
        });
        batch::answer(tx, &who.0, &TASKS, &request, parameters, batch, |id| {
            Ok(find_any(tx, id)?.wire())
        })
    })
    .await
}

fn check_size(items: &[Value], async_mode: bool) -> Result<()> {
    if !async_mode && items.len() > MOST_SYNCHRONOUS {
        let message = format!("More than {MOST_SYNCHRONOUS} tasks need async_mode=true");
        return Err(Error::field(
            "tasks",
            "ARRAY_SIZE_GREATER_THAN_MAX",
            message,
        ));
    }
    let bytes: usize = items
        .iter()
        .filter_map(|item| item.get("input_values"))
        .map(|values| values.to_string().len())
        .sum();
    if bytes > MOST_INPUT_BYTES {
        return Err(Error::too_large(format!(
            "The input values are {bytes} bytes, at most {MOST_INPUT_BYTES} go into one request"
        )));
    }
    Ok(())
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
    tx.run(
        "UPDATE tasks SET overlap = ?2 WHERE n = ?1",
        (task.n, overlap),
    )?;
    let risen = match (task.overlap, overlap) {
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
        (None, _) => false,
    };
    if risen {
        tx.run(
            "UPDATE pools SET last_added = ?2, close_at = NULL WHERE id = ?1",
            (task.pool, tx.now()),
        )?;
    }
    lifecycle::refresh(tx, task.pool)
}

fn must_not_be_archived(pool: &PoolRow) -> Result<()> {
    if pool.status == "ARCHIVED" {
        return Err(Error::conflict(
            "POOL_INAPPROPRIATE_STATUS",
            "The pool is archived",
        ));
    }
    Ok(())
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
        must_not_be_archived(&pool)?;
        let form: TaskPatch = body.parse()?;
        if form.infinite_overlap == Some(true) {
            set(tx, &task, None)?;
        } else if let Some(overlap) = form.overlap {
            if !(1..=MOST_OVERLAP).contains(&overlap) || i64::from(overlap) < task.issued {
                let message = format!("overlap must be {} to {MOST_OVERLAP}", task.issued.max(1));
                return Err(Error::field("overlap", "VALUE_OUT_OF_BOUNDS", message));
            }
            set(tx, &task, Some(overlap.into()))?;
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
        if query.flag("open_pool")? {
            lifecycle::try_open(tx, &tx.pool(pool.id)?)?;
        }
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
        must_not_be_archived(&pool)?;
        let form: OverlapPatch = body.parse()?;
        if form.infinite_overlap == Some(true) {
            set(tx, &task, None)?;
        } else if let Some(overlap) = form.overlap {
            if overlap > MOST_OVERLAP {
                let message = format!("overlap must be 0 to {MOST_OVERLAP}");
                return Err(Error::field("overlap", "VALUE_OUT_OF_BOUNDS", message));
            }
            // What was given out cannot be taken back.
            set(tx, &task, Some(i64::from(overlap).max(task.issued)))?;
        }
        if query.flag("open_pool")? {
            lifecycle::try_open(tx, &tx.pool(pool.id)?)?;
        }
        Ok(ok(find_any(tx, &id)?.wire()))
    })
    .await
}
