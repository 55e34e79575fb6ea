//! Assignments: what workers did, and its review.

use axum::extract::State;
use quorate_toloka::types::{
    Assignment, AssignmentPatch, AssignmentStatus, Solution, Task, Values,
};

use crate::{
    error::{Error, Result},
    http::{Answer, Body, Id, Query, Requester, ok},
    lifecycle,
    list::{self, Kind, Spec, Use},
    model::{AssignmentRow, owned_by, owner, wire},
    platform::Platform,
    quality,
    store::Db,
    work,
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Text, Use::Order),
        ("status", "status", Kind::Words, Use::Equal),
        ("pool_id", "pool", Kind::Number, Use::Equal),
        ("task_suite_id", "suite", Kind::Text, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
        ("submitted", "submitted", Kind::Time, Use::Order),
        ("accepted", "accepted", Kind::Time, Use::Order),
        ("rejected", "rejected", Kind::Time, Use::Order),
        ("skipped", "skipped", Kind::Time, Use::Order),
        ("expired", "expired", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 100_000,
};

fn solution(output_values: Values) -> Solution {
    Solution {
        output_values,
        ..Solution::default()
    }
}

/// The assignment as requesters see it.
pub(super) fn view(db: &Db<'_>, row: AssignmentRow, who: &str) -> Result<Assignment> {
    let user = db.worker(row.worker)?.id;
    let bonuses = db.bonus_ids(&row.id)?;
    let mut tasks = Vec::new();
    let mut solutions = Vec::new();
    for (task, answer) in db.page(row.n)? {
        solutions.extend(answer.map(solution));
        tasks.push(Task {
            id: task.id,
            pool_id: task.pool.to_string(),
            input_values: task.form.input_values,
            known_solutions: task.form.known_solutions,
            message_on_unknown_solution: task.form.message_on_unknown_solution,
            baseline_solutions: task.form.baseline_solutions,
            ..Task::default()
        });
    }
    Ok(Assignment {
        id: row.id,
        task_suite_id: row.suite,
        pool_id: row.pool.to_string(),
        user_id: user,
        status: Some(row.status.into()),
        reward: Some(row.reward),
        tasks,
        solutions: row.submitted.map(|_| solutions),
        first_declined_solution_attempt: row.first.map(|first| {
            first
                .into_iter()
                .map(|values| Some(solution(values)))
                .collect()
        }),
        public_comment: row.comment,
        mixed: Some(row.mixed),
        automerged: Some(false),
        bonus_ids: (!bonuses.is_empty()).then_some(bonuses),
        owner: Some(owner(who)),
        created: Some(wire(row.created)),
        submitted: row.submitted.map(wire),
        accepted: row.accepted.map(wire),
        rejected: row.rejected.map(wire),
        skipped: row.skipped.map(wire),
        expired: row.expired.map(wire),
        other: Values::new(),
    })
}

/// An assignment in a pool of `who`.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<AssignmentRow> {
    let row = db.assignment(id)?;
    owned_by(&db.pool(row.pool)?.owner, who, "assignment", id)?;
    Ok(row)
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let params = &query.0;
        if !["pool_id", "task_suite_id", "task_id"].iter().any(|name| params.contains_key(*name)) {
            return Err(Error::field("pool_id", "VALUE_REQUIRED", "Say which pool, task suite or task"));
        }
        if let Some(pool) = params.get("pool_id") {
            db.pool_of(&who.0, pool)?;
        }
        let mut list = list::Query::parse(&LIST, params)?
            .and("pool IN (SELECT p.id FROM pools p WHERE p.owner = ?)", who.0.clone());
        if let Some(user) = params.get("user_id") {
            list = list.and("worker = (SELECT w.n FROM workers w WHERE w.id = ?)", user.clone());
        }
        if let Some(task) = params.get("task_id") {
            list = list.and(
                "n IN (SELECT a.assignment FROM answers a JOIN tasks t ON t.n = a.task WHERE t.id = ?)",
                task.clone(),
            );
        }
        let page = list.page(db, AssignmentRow::SELECT, AssignmentRow::read)?;
        list::answer(page, |row| view(db, row, &who.0))
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| {
        let row = find(db, &who.0, &id)?;
        Ok(ok(view(db, row, &who.0)?))
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
        let row = find(tx, &who.0, &id)?;
        let form: AssignmentPatch = body.parse()?;
        let comment = form.public_comment.as_deref();
        if comment.is_some_and(|text| text.chars().count() > 2_048) {
            return Err(Error::field(
                "public_comment",
                "STRING_LENGTH_GREATER_THAN_MAX",
                "A comment has at most 2048 characters",
            ));
        }
        let accept = match form.status {
            Some(AssignmentStatus::Accepted) => true,
            Some(AssignmentStatus::Rejected) => false,
            Some(_) => {
                return Err(Error::field(
                    "status",
                    "VALUE_NOT_ALLOWED",
                    "Set ACCEPTED or REJECTED",
                ));
            }
            None => {
                return Err(Error::field(
                    "status",
                    "VALUE_REQUIRED",
                    "Set ACCEPTED or REJECTED",
                ));
            }
        };
        let events = work::review(tx, &row, accept, comment)?;
        quality::handle(tx, events)?;
        lifecycle::refresh(tx, row.pool)?;
        Ok(ok(view(tx, tx.assignment(&id)?, &who.0)?))
    })
    .await
}
