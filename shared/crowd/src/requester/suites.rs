//! Task suites: pages that the requester makes, and those that the platform made by mixing.

use axum::extract::State;
use quorate_toloka::types::{
    Decimal, Defaults, OverlapPatch, Task, TaskSuite, TaskSuitePatch, Values,
};
use rusqlite::Row;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use super::{
    batch::{self, Batch, Request},
    tasks,
    upload::{self, Place, Places},
};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, ok},
    ids,
    list::{self, Kind as By, Spec, Use},
    model::{PoolRow, TaskRow, from_column, owned_by, wire},
    platform::Platform,
    store::{Db, Tx},
};

/// What batches of task suites are called.
const SUITES: batch::Words = batch::Words {
    operation: "TASK_SUITE.BATCH_CREATE",
    create: "TASK_SUITE_CREATE",
    validate: "TASK_SUITE_VALIDATE",
    id: "task_suite_id",
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

/// `issuing_order_override` has five decimals and this bound.
const RANK_SCALE: i64 = 100_000;
const MOST_RANK: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 5);

/// A task suite.
struct SuiteRow {
    n: i64,
    id: String,
    pool: i64,
    /// Whether the platform made it.
    mixed: bool,
    /// `None` is infinite.
    overlap: Option<i64>,
    issued: i64,
    /// In 1/100000.
    rank: i64,
    created: i64,
    form: TaskSuite,
}

impl SuiteRow {
    const SELECT: &str =
        "SELECT n, id, pool, mixed, overlap, issued, rank, created, body FROM suites";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get(0)?,
            id: row.get(1)?,
            pool: row.get(2)?,
            mixed: row.get(3)?,
            overlap: row.get(4)?,
            issued: row.get(5)?,
            rank: row.get(6)?,
            created: row.get(7)?,
            form: from_column(row.get_ref(8)?.as_str()?)?,
        })
    }

    /// The suite as requesters see it.
    fn wire(self, db: &Db<'_>) -> Result<TaskSuite> {
        let count = |count: i64| u32::try_from(count).unwrap_or(0);
        let tasks = self.tasks(db)?;
        Ok(TaskSuite {
            id: self.id,
            pool_id: self.pool.to_string(),
            tasks: tasks.into_iter().map(inner).collect(),
            overlap: self.overlap.map(count),
            infinite_overlap: Some(self.overlap.is_none()),
            remaining_overlap: self.overlap.map(|all| count(all - self.issued)),
            issuing_order_override: Some(Decimal::new(self.rank, 5).normalize()),
            mixed: Some(self.mixed),
            automerged: Some(false),
            created: Some(wire(self.created)),
            ..self.form
        })
    }

    fn tasks(&self, db: &Db<'_>) -> Result<Vec<TaskRow>> {
        if !self.mixed {
            return db.rows(
                &format!("{} WHERE suite = ?1 ORDER BY n", TaskRow::SELECT),
                [self.n],
                TaskRow::read,
            );
        }
        let page = db.number("SELECT n FROM assignments WHERE suite = ?1", [&self.id])?;
        Ok(db.page(page)?.into_iter().map(|(task, _)| task).collect())
    }
}

/// A task as it stands in a suite.
fn inner(task: TaskRow) -> Task {
    Task {
        id: task.id,
        ..task.form
    }
}

/// What of a suite is kept: what the requester may set and no column holds.
fn body(form: &TaskSuite) -> Result<String> {
    Ok(serde_json::to_string(&TaskSuite {
        id: String::new(),
        pool_id: String::new(),
        tasks: Vec::new(),
        overlap: None,
        infinite_overlap: None,
        remaining_overlap: None,
        issuing_order_override: None,
        mixed: None,
        automerged: None,
        created: None,
        other: Values::new(),
        ..form.clone()
    })?)
}

/// An item that can become a task suite.
struct Valid<'a> {
    suite: TaskSuite,
    place: &'a Place,
    /// `None` is infinite.
    overlap: Option<u32>,
    rank: i64,
}

/// Reads one item of a batch, or says what is wrong with it.
fn check<'a>(
    item: &Value,
    places: &'a Places,
    request: &Request,
) -> std::result::Result<Valid<'a>, FieldErrors> {
    let suite: TaskSuite = upload::parse(item, "task_suite")?;
    let place = places.of(&suite.pool_id)?;
    let mut errors = FieldErrors::new();
    if suite.tasks.is_empty() {
        errors.insert(
            "tasks".to_owned(),
            field_error("VALUES_REQUIRED", "A task suite has one task or more"),
        );
    }
    for (index, task) in suite.tasks.iter().enumerate() {
        upload::check_values(task, &place.spec, &format!("tasks.{index}."), &mut errors);
    }
    let default = |defaults: &Defaults| defaults.default_overlap_for_new_task_suites;
    let overlap = upload::overlap(
        suite.overlap,
        suite.infinite_overlap,
        place,
        default,
        request,
    );
    let overlap = overlap.unwrap_or_else(|error| {
        errors.insert("overlap".to_owned(), error);
        None
    });
    let rank = rank(suite.issuing_order_override).unwrap_or_else(|| {
        errors.insert("issuing_order_override".to_owned(), rank_error());
        0
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Valid {
        suite,
        place,
        overlap,
        rank,
    })
}

/// `issuing_order_override` as it is stored, if it is within its bounds.
fn rank(order: Option<Decimal>) -> Option<i64> {
    let order = order.unwrap_or_default();
    (order.abs() <= MOST_RANK)
        .then(|| (order * Decimal::from(RANK_SCALE)).round().to_i64())
        .flatten()
}

fn rank_error() -> quorate_toloka::types::FieldError {
    field_error(
        "VALUE_OUT_OF_BOUNDS",
        format!("Value must be between -{MOST_RANK} and {MOST_RANK}"),
    )
}

/// Stores a task suite with its tasks and returns its id.
fn insert(tx: &Tx<'_>, valid: &Valid<'_>) -> Result<String> {
    let pool = valid.place.pool.id;
    let counter = tx.next();
    let id = ids::object(pool, tx.now(), counter);
    tx.run(
        "INSERT INTO suites (id, pool, mixed, overlap, rank, place, reserved, unavailable, created, body)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            &id,
            pool,
            valid.overlap,
            valid.rank,
            ids::scatter(tx.settings.seed, counter),
            upload::workers(&valid.suite.reserved_for),
            upload::workers(&valid.suite.unavailable_for),
            tx.now(),
            body(&valid.suite)?,
        ),
    )?;
    let suite = tx.conn.last_insert_rowid();
    for task in &valid.suite.tasks {
        tasks::insert(tx, task, pool, valid.overlap, Some(suite))?;
    }
    Ok(id)
}

/// Pages of trainings are made by the platform.
fn takes_suites(pool: &PoolRow) -> Result<()> {
    if pool.is_training() {
        return Err(Error::conflict(
            "POOL_IS_TRAINING",
            format!(
                "{} is a training, which takes tasks, not task suites",
                pool.id
            ),
        ));
    }
    Ok(())
}

/// Makes the suites of a batch: all, the valid ones when asked for, or none.
fn create_batch(tx: &Tx<'_>, who: &str, request: &Request) -> Result<Batch> {
    let places = Places::read(tx, who, &request.items, takes_suites)?;
    let mut batch = batch::make(
        &SUITES,
        request,
        |item| check(item, &places, request),
        |valid| insert(tx, valid),
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
        let inner = |item| Value::as_array(Value::get(item, "tasks")?);
        let tasks = request.items.iter().filter_map(inner).flatten();
        upload::check_size(&request, tasks)?;
        let batch = create_batch(tx, &who.0, &request)?;
        let parameters = upload::parameters(&request);
        batch::answer(tx, &who.0, &SUITES, &request, parameters, batch, |id| {
            find_any(tx, id)?.wire(tx)
        })
    })
    .await
}

fn find_any(db: &Db<'_>, id: &str) -> Result<SuiteRow> {
    db.row(
        &format!("{} WHERE id = ?1", SuiteRow::SELECT),
        [id],
        SuiteRow::read,
    )?
    .ok_or_else(|| Error::not_found("task suite", id))
}

/// A task suite of `who` and its pool.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<(SuiteRow, PoolRow)> {
    let suite = find_any(db, id)?;
    let pool = db.pool(suite.pool)?;
    owned_by(&pool.owner, who, "task suite", id)?;
    Ok((suite, pool))
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?.0.wire(db)?)))
        .await
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let task = query.0.get("task_id").cloned();
        if task.is_none() {
            tasks::listed_pool(db, &who.0, &query.0)?;
        }
        let mut list = list::Query::parse(&LIST, &query.0)?.and(
            "pool IN (SELECT p.id FROM pools p WHERE p.owner = ?)",
            who.0,
        );
        if let Some(task) = task {
            list = list.and(
                "n IN (SELECT t.suite FROM tasks t WHERE t.id = ? UNION ALL
                   SELECT s.n FROM tasks t JOIN answers a ON a.task = t.n
                     JOIN assignments g ON g.n = a.assignment JOIN suites s ON s.id = g.suite
                   WHERE t.id = ?)",
                task,
            );
        }
        let page = list.page(db, SuiteRow::SELECT, SuiteRow::read)?;
        list::answer(page, |row| row.wire(db))
    })
    .await
}

/// Sets a suite's overlap, which is that of its tasks, and tells its pool.
fn set(tx: &Tx<'_>, suite: &SuiteRow, overlap: Option<i64>) -> Result<()> {
    if suite.mixed {
        return Err(Error::conflict(
            "CONFLICT_STATE",
            "The platform made the task suite for one worker; set the overlap of its tasks",
        ));
    }
    tx.run(
        "UPDATE suites SET overlap = ?2 WHERE n = ?1",
        (suite.n, overlap),
    )?;
    tx.run(
        "UPDATE tasks SET overlap = ?2 WHERE suite = ?1",
        (suite.n, overlap),
    )?;
    upload::overlap_set(tx, suite.pool, suite.overlap, overlap)
}

pub(super) async fn patch(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let (suite, pool) = find(tx, &who.0, &id)?;
        upload::must_not_be_archived(&pool)?;
        let form: TaskSuitePatch = body.parse()?;
        if form.infinite_overlap == Some(true) {
            set(tx, &suite, None)?;
        } else if let Some(overlap) = form.overlap {
            set(
                tx,
                &suite,
                Some(upload::check_overlap(overlap, suite.issued)?),
            )?;
        }
        if let Some(order) = form.issuing_order_override {
            let rank = rank(Some(order)).ok_or_else(|| {
                let errors = [("issuing_order_override".to_owned(), rank_error())];
                Error::validation(FieldErrors::from(errors))
            })?;
            tx.run("UPDATE suites SET rank = ?2 WHERE n = ?1", (suite.n, rank))?;
        }
        upload::open_if_asked(tx, &query, pool.id)?;
        Ok(ok(find_any(tx, &id)?.wire(tx)?))
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
        let (suite, pool) = find(tx, &who.0, &id)?;
        upload::must_not_be_archived(&pool)?;
        let form: OverlapPatch = body.parse()?;
        if let Some(overlap) = form.overlap {
            set(
                tx,
                &suite,
                Some(upload::overlap_or_min(overlap, suite.issued)?),
            )?;
        }
        upload::open_if_asked(tx, &query, pool.id)?;
        Ok(ok(find_any(tx, &id)?.wire(tx)?))
    })
    .await
}
