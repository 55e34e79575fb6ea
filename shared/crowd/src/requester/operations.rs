//! Operations: what was asked for, and how it went.
//!
//! The work is done in the same transaction that writes the operation, so an operation that can be
//! read is finished, and a crash leaves neither.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use quorate_toloka::{
    limits::OPERATION_LOG_DAYS,
    types::{Operation, Values},
};
use rusqlite::Row;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    http::{Answer, Id, Query, Requester, json, ok},
    ids,
    list::{self, Kind, Spec, Use},
    model::{from_column, owned_by, wire},
    platform::Platform,
    store::{Db, Tx},
};

const SELECT: &str =
    "SELECT id, type, status, submitted, finished, parameters, details, owner FROM operations";

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Text, Use::Order),
        ("type", "type", Kind::Words, Use::Equal),
        ("status", "status", Kind::Words, Use::Equal),
        ("submitted", "submitted", Kind::Time, Use::Order),
        ("finished", "finished", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 500,
};

/// What an operation did.
pub(super) struct Done<'a> {
    /// The id that the client chose, if it did.
    pub(super) id: Option<String>,
    pub(super) kind: &'a str,
    pub(super) success: bool,
    pub(super) parameters: Value,
    pub(super) details: Option<Value>,
    pub(super) log: Vec<Value>,
}

/// How long a log is kept, in milliseconds.
const LOG_MILLIS: i64 = OPERATION_LOG_DAYS as i64 * 86_400_000;

/// Writes a finished operation and returns its id.
pub(super) fn record(tx: &Tx<'_>, who: &str, done: Done<'_>) -> Result<String> {
    tx.run(
        "UPDATE operations SET log = NULL WHERE log IS NOT NULL AND finished <= ?1",
        [tx.now() - LOG_MILLIS],
    )?;
    let id = match done.id {
        Some(id) => id,
        None => ids::uuid(tx.settings.seed, "operation", tx.next()),
    };
    tx.run(
        "INSERT INTO operations (id, owner, type, status, submitted, finished, parameters, details, log)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)",
        (
            &id,
            who,
            done.kind,
            if done.success { "SUCCESS" } else { "FAIL" },
            tx.now(),
            done.parameters.to_string(),
            done.details.map(|details| details.to_string()),
            Value::Array(done.log).to_string(),
        ),
    )?;
    Ok(id)
}

/// 202 with the operation.
pub(super) fn accepted(db: &Db<'_>, who: &str, id: &str) -> Answer {
    Ok(json(StatusCode::ACCEPTED, find(db, who, id)?))
}

/// Refuses an operation id that was used before.
pub(super) fn must_be_new(db: &Db<'_>, id: &str) -> Result<()> {
    match db.number(
        "SELECT EXISTS (SELECT 1 FROM operations WHERE id = ?1)",
        [id],
    )? {
        0 => Ok(()),
        _ => Err(Error::conflict(
            "OPERATION_ALREADY_EXISTS",
            format!("Operation {id} exists already; read it instead"),
        )),
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<(Operation, String)> {
    let submitted = wire(row.get(3)?);
    let details: Option<String> = row.get(6)?;
    let operation = Operation {
        id: row.get(0)?,
        kind: row.get::<_, String>(1)?.into(),
        status: row.get::<_, String>(2)?.into(),
        submitted: Some(submitted),
        started: Some(submitted),
        finished: row.get::<_, Option<i64>>(4)?.map(wire),
        progress: Some(100),
        parameters: Some(from_column(row.get_ref(5)?.as_str()?)?),
        details: details.as_deref().map(from_column).transpose()?,
        other: Values::new(),
    };
    Ok((operation, row.get(7)?))
}

/// The row of an operation that there is.
pub(super) fn row_number(db: &Db<'_>, id: &str) -> Result<i64> {
    db.number("SELECT n FROM operations WHERE id = ?1", [id])
}

/// An operation of `who`.
pub(super) fn find(db: &Db<'_>, who: &str, id: &str) -> Result<Operation> {
    // Ids are written in lower case whatever the client wrote.
    let id = id.to_ascii_lowercase();
    let (operation, owner) = db
        .row(&format!("{SELECT} WHERE id = ?1"), [&id], row)?
        .ok_or_else(|| Error::not_found("operation", &id))?;
    owned_by(&owner, who, "operation", &id)?;
    Ok(operation)
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("owner = ?", who.0)
            .page(db, SELECT, |found| {
                row(found).map(|(operation, _)| operation)
            })?;
        Ok(ok(page))
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?))).await
}

pub(super) async fn log(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| {
        let operation = find(db, &who.0, &id)?;
        let log: Option<Option<String>> = db.row(
            "SELECT log FROM operations WHERE id = ?1 AND finished > ?2",
            (&operation.id, db.now() - LOG_MILLIS),
            |row| row.get(0),
        )?;
        // The log was written as JSON; it can be megabytes, so it goes out as it is.
        let body = log.flatten().ok_or_else(|| {
            Error::conflict(
                "OPERATION_LOGS_ARCHIVED",
                format!("Logs are kept for {OPERATION_LOG_DAYS} days"),
            )
        })?;
        let response: Response =
            ([(header::CONTENT_TYPE, "application/json")], body).into_response();
        Ok(response)
    })
    .await
}
