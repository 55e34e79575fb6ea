//! Figures about pools, answered as an operation whose details hold them.

use axum::extract::State;
use quorate_toloka::types::{AnalyticsName, AnalyticsRequest, Decimal};
use serde_json::{Value, json};

use super::operations::{self, Done};
use crate::{
    error::{Error, Result},
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
                "result": figure(tx, &request.name, &pool)?,
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
fn figure(db: &Db<'_>, name: &AnalyticsName, pool: &PoolRow) -> Result<Value> {
    use AnalyticsName as Name;
    let count = |sql: &str| db.number(sql, [pool.id]).map(Value::from);
    match name {
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
        Name::ActiveWorkersByFilterCount | Name::Unknown(_) => Err(Error::field(
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
