//! Figures about pools, answered as an operation whose details hold them.

use axum::extract::State;
use quorate_toloka::types::{AnalyticsName, AnalyticsRequest, Decimal};
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Value, json};

use super::operations::{self, Done};
use crate::{
    error::{Error, Result},
    filter,
    http::{Answer, Body, Requester},
    model::{PoolRow, money, wire},
    platform::Platform,
    store::Db,
    work,
};

/// The most figures in one request.
const MOST_FIGURES: usize = 1_000;

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let asked: Vec<AnalyticsRequest> = body.parse()?;
        if asked.is_empty() || asked.len() > MOST_FIGURES {
            return Err(Error::body(format!("Ask for 1 to {MOST_FIGURES} figures")));
        }
        let mut values = Vec::new();
        for request in &asked {
            if request.subject != "POOL" {
                return Err(Error::field(
                    "subject",
                    "VALUE_NOT_ALLOWED",
                    "The subject must be POOL",
                ));
            }
            let pool = tx.pool_of(&who.0, &request.subject_id)?;
            values.push(json!({
                "request": request,
                "result": figure(tx, request, &pool)?,
                "finished": wire(tx.now()),
            }));
        }
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

/// One figure about a pool.
fn figure(db: &Db<'_>, asked: &AnalyticsRequest, pool: &PoolRow) -> Result<Value> {
    use AnalyticsName as Name;
    let count = |sql: &str| db.number(sql, [pool.id]).map(Value::from);
    match &asked.name {
        Name::CompletionPercentage => completion(db, pool),
        Name::RealTasksCount => count("SELECT count(*) FROM tasks WHERE pool = ?1 AND kind = 0"),
        Name::SubmittedAssignmentsCount => {
            count("SELECT count(*) FROM assignments WHERE pool = ?1 AND submitted IS NOT NULL")
        }
        Name::SkippedAssignmentsCount => {
            count("SELECT count(*) FROM assignments WHERE pool = ?1 AND status = 'SKIPPED'")
        }
        Name::RejectedAssignmentsCount => {
            count("SELECT count(*) FROM assignments WHERE pool = ?1 AND status = 'REJECTED'")
        }
        Name::ApprovedAssignmentsCount => {
            count("SELECT count(*) FROM assignments WHERE pool = ?1 AND status = 'ACCEPTED'")
        }
        Name::AvgSubmitAssignmentMillis => count(
            "SELECT CAST(avg(submitted - created) AS INTEGER) FROM assignments
             WHERE pool = ?1 AND submitted IS NOT NULL",
        ),
        Name::SpentBudget => spent(db, pool),
        Name::UniqueWorkersCount => {
            count("SELECT count(DISTINCT worker) FROM assignments WHERE pool = ?1")
        }
        Name::UniqueSubmittersCount => count(
            "SELECT count(DISTINCT worker) FROM assignments WHERE pool = ?1 AND submitted IS NOT NULL",
        ),
        Name::EstimatedAssignmentsCount => estimated(db, pool),
        Name::ActiveWorkersByFilterCount => match asked.interval_hours {
            Some(hours) => active_by_filter(db, pool, hours),
            None => Err(Error::field(
                "interval_hours",
                "VALUE_REQUIRED",
                "Say within how many hours the workers were active",
            )),
        },
        Name::Unknown(name) => Err(Error::field(
            "name",
            "UNKNOWN_ENUM_VALUE",
            format!("The figure {name} is not offered"),
        )),
    }
}

/// How many percent of the answers that the pool waits for are there. A pool that waits for no
/// certain number (infinite overlap only) says so.
fn completion(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let (wanted, done): (i64, i64) = db
        .row(
            "SELECT coalesce(sum(overlap), 0), coalesce(sum(min(done, overlap)), 0) FROM tasks
             WHERE pool = ?1 AND overlap IS NOT NULL
               AND kind = (SELECT min(kind) FROM tasks WHERE pool = ?1)",
            [pool.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .unwrap_or_default();
    let value = if wanted == 0 { 0 } else { 100 * done / wanted };
    Ok(json!({ "type": "NORMAL", "value": value, "infinite": wanted == 0, "approximate": false }))
}

/// How many workers took a page within the last hours, on the whole platform, and pass the pool's
/// filter now.
fn active_by_filter(db: &Db<'_>, pool: &PoolRow, hours: u32) -> Result<Value> {
    let since = db.now() - i64::from(hours) * 3_600_000;
    // Pages are numbered as they are taken: this reads the latest ones only.
    let workers: Vec<i64> = db.rows(
        "SELECT DISTINCT worker FROM assignments WHERE n > coalesce(
           (SELECT n FROM assignments WHERE created < ?1 ORDER BY n DESC LIMIT 1), 0)",
        [since],
        |row| row.get(0),
    )?;
    let mut passing = 0;
    for n in workers {
        let worker = db.worker(n)?;
        let skill = |id: &str| match id.parse() {
            Ok(id) => Ok(db.skill_value(&worker.id, id)?.and_then(|value| value.to_f64())),
            Err(_) => Ok(None),
        };
        let filter = pool.form.filter.as_ref();
        if filter.map_or(Ok(true), |filter| filter::passes(filter, &worker.profile, &skill))? {
            passing += 1;
        }
    }
    Ok(Value::from(passing))
}

/// Rewards that were paid, without the fee.
fn spent(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let groups: Vec<(Decimal, i64)> = db.rows(
        "SELECT reward, count(*) FROM assignments WHERE pool = ?1 AND status = 'ACCEPTED' GROUP BY reward",
        [pool.id],
        |row| Ok((money(row.get_ref(0)?.as_str()?)?, row.get(1)?)),
    )?;
    let sum: Decimal = groups
        .iter()
        .map(|(reward, count)| reward * Decimal::from(*count))
        .sum();
    Ok(work::number(sum))
}

/// Pages that the pool takes in all, when every page is full.
fn estimated(db: &Db<'_>, pool: &PoolRow) -> Result<Value> {
    let answers = db.number(
        "SELECT sum(overlap) FROM tasks WHERE pool = ?1 AND kind = 0 AND overlap IS NOT NULL",
        [pool.id],
    )?;
    let per_page = u64::from(pool.mixer().real_tasks_count.max(1));
    Ok(answers.cast_unsigned().div_ceil(per_page).into())
}
