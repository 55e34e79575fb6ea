//! Figures about pools, answered as an operation whose details hold them.

use axum::extract::State;
use quorate_toloka::types::{AnalyticsName, AnalyticsRequest, Decimal, Filter};
use serde_json::{Value, json};

use super::operations::{self, Done};
use crate::{
    access,
    error::{Error, Result},
    http::{Answer, Body, Requester},
    model::{PoolRow, money, wire},
    platform::Platform,
    store::Db,
    work,
};

/// The most figures in one request.
const MOST_FIGURES: usize = 1_000;

/// The longest time over which workers are counted, a year.
const MOST_HOURS: u32 = 8_784;

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    let account = who.0.clone();
    // Nobody who writes waits while the figures are read.
    let (asked, values) = p
        .read(move |db| {
            let asked: Vec<AnalyticsRequest> = body.parse()?;
            let values = figures(db, &account, &asked)?;
            Ok((asked, values))
        })
        .await?;
    p.write(move |tx| {
        let operation = operations::record(
            tx,
            &who.0,
            Done {
                id: None,
                kind: "ANALYTICS",
                success: true,
                parameters: json!({ "value": asked }),
                details: Some(json!({ "value": values })),
                log: Vec::new(),
            },
        )?;
        operations::accepted(tx, &who.0, &operation)
    })
    .await
}

/// The answers to all questions, in their order.
fn figures(db: &Db<'_>, who: &str, asked: &[AnalyticsRequest]) -> Result<Vec<Value>> {
    if asked.is_empty() || asked.len() > MOST_FIGURES {
        return Err(Error::body(format!("Ask for 1 to {MOST_FIGURES} figures")));
    }
    let mut values = Vec::new();
    for request in asked {
        if request.subject != "POOL" {
            return Err(Error::field(
                "subject",
                "VALUE_NOT_ALLOWED",
                "The subject must be POOL",
            ));
        }
        let pool = db.pool_of(who, &request.subject_id)?;
        values.push(json!({
            "request": request,
            "result": figure(db, request, &pool)?,
            "finished": wire(db.now()),
        }));
    }
    Ok(values)
}

/// One figure about a pool. Each is read from sums or once per worker, never once per task.
fn figure(db: &Db<'_>, request: &AnalyticsRequest, pool: &PoolRow) -> Result<Value> {
    use AnalyticsName as Name;
    let in_state =
        |states: &[&str]| -> Result<Value> { Ok(assignments(db, pool, states)?.0.into()) };
    match &request.name {
        Name::CompletionPercentage => completion(db, pool),
        Name::RealTasksCount => {
            let sql = "SELECT tasks FROM task_sums WHERE pool = ?1 AND kind = 0";
            db.number(sql, [pool.id]).map(Value::from)
        }
        Name::SubmittedAssignmentsCount => in_state(SUBMITTED),
        Name::SkippedAssignmentsCount => in_state(&["SKIPPED"]),
        Name::RejectedAssignmentsCount => in_state(&["REJECTED"]),
        Name::ApprovedAssignmentsCount => in_state(&["ACCEPTED"]),
        Name::AvgSubmitAssignmentMillis => {
            let (count, millis) = assignments(db, pool, SUBMITTED)?;
            Ok((millis / count.max(1)).into())
        }
        Name::SpentBudget => spent(db, pool),
        Name::UniqueWorkersCount => workers(db, pool, ""),
        Name::UniqueSubmittersCount => workers(db, pool, "AND a.submitted IS NOT NULL"),
        Name::EstimatedAssignmentsCount => estimated(db, pool),
        Name::ActiveWorkersByFilterCount => active_workers(db, pool, request.interval_hours),
        Name::Unknown(_) => Err(Error::field(
            "name",
            "UNKNOWN_ENUM_VALUE",
            format!("The figure {} is not offered", request.name),
        )),
    }
}

/// The states of an assignment that has been submitted.
const SUBMITTED: &[&str] = &["SUBMITTED", "ACCEPTED", "REJECTED"];

/// How many assignments are in one of these states, and the milliseconds that they took.
fn assignments(db: &Db<'_>, pool: &PoolRow, states: &[&str]) -> Result<(i64, i64)> {
    let mut sums = (0, 0);
    for state in states {
        let found: Option<(i64, i64)> = db.row(
            "SELECT coalesce(sum(assignments), 0), coalesce(sum(millis), 0) FROM assignment_sums
             WHERE pool = ?1 AND status = ?2",
            (pool.id, state),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (count, millis) = found.unwrap_or_default();
        sums = (sums.0 + count, sums.1 + millis);
    }
    Ok(sums)
}

/// How many percent of the answers that the pool waits for are there: answers to real tasks, or to
/// the others in a pool without. A pool that waits for no certain number (infinite overlap only)
/// says so.
fn completion(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let (wanted, done): (i64, i64) = db
        .row(
            "SELECT wanted, done FROM task_sums WHERE pool = ?1 AND tasks > 0
             ORDER BY kind LIMIT 1",
            [pool.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .unwrap_or_default();
    let value = if wanted == 0 { 0 } else { 100 * done / wanted };
    Ok(json!({ "type": "NORMAL", "value": value, "infinite": wanted == 0, "approximate": false }))
}

/// Rewards that were paid, without the fee.
fn spent(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let groups: Vec<(Decimal, i64)> = db.rows(
        "SELECT reward, assignments FROM assignment_sums WHERE pool = ?1 AND status = 'ACCEPTED'",
        [pool.id],
        |row| Ok((money(row.get_ref(0)?.as_str()?)?, row.get(1)?)),
    )?;
    let sum: Decimal = groups
        .iter()
        .map(|(reward, count)| reward * Decimal::from(*count))
        .sum();
    Ok(work::number(sum))
}

/// How many workers have an assignment of the pool that is `such`.
fn workers(db: &Db<'_>, pool: &PoolRow, such: &str) -> Result<Value> {
    let sql = format!(
        "SELECT count(*) FROM workers w WHERE EXISTS
           (SELECT 1 FROM assignments a WHERE a.worker = w.n AND a.pool = ?1 {such})"
    );
    db.number(&sql, [pool.id]).map(Value::from)
}

/// How many workers pass the pool's filter and took or submitted a page, of any pool, within the
/// last hours.
fn active_workers(db: &Db<'_>, pool: &PoolRow, hours: Option<u32>) -> Result<Value> {
    let path = "interval_hours";
    let hours =
        hours.ok_or_else(|| Error::field(path, "VALUE_REQUIRED", "Say how many hours back"))?;
    if !(1..=MOST_HOURS).contains(&hours) {
        let message = format!("Value must be between 1 and {MOST_HOURS}");
        return Err(Error::field(path, "VALUE_OUT_OF_BOUNDS", message));
    }
    let since = db.now() - i64::from(hours) * 3_600_000;
    let everybody = Filter::And(Vec::new());
    let filter = pool.form.filter.as_ref().unwrap_or(&everybody);
    let active = access::workers_passing(db, &pool.owner, filter, Some(since))?;
    Ok(active.len().into())
}

/// Pages that the pool takes in all, when every page is full.
fn estimated(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let answers = db.number(
        "SELECT wanted FROM task_sums WHERE pool = ?1 AND kind = 0",
        [pool.id],
    )?;
    let per_page = u64::from(pool.mixer().real_tasks_count.max(1));
    Ok(answers.cast_unsigned().div_ceil(per_page).into())
}
