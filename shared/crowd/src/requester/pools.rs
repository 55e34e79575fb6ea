//! Pools, and trainings, which are pools with a skill.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use quorate_toloka::types::{LocalizedText, Pool, PoolPatch, Skill, Training};
use serde_json::json;

use super::{
    forms,
    operations::{self, Done},
    projects::{keep_collectors, name_collectors},
};
use crate::{
    error::{Error, Result},
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

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let mut form: Pool = body.parse()?;
        let project = forms::check_pool(tx, &who.0, &form)?;
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
        forms::check_pool(tx, &who.0, &form)?;
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
        forms::check_priority(form.priority)?;
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

pub(super) async fn create_training(
    State(p): State<Platform>,
    who: Requester,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let form: Training = body.parse()?;
        let project = forms::check_training(tx, &who.0, &form)?;
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
        forms::check_training(tx, &who.0, &form)?;
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
