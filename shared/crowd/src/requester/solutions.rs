//! Aggregated solutions: what the answers to the tasks of a pool come to.

use axum::extract::State;
use quorate_aggregate::{AnswersBuilder, DawidSkene, dawid_skene};
use quorate_toloka::types::{
    AggregatedSolution, AggregationRequest, AggregationType, BaselineSolution, Decimal, FieldName,
    Page, TaskSpec, Values,
};
use rusqlite::Row;
use rust_decimal::prelude::FromPrimitive;
use serde_json::json;

use super::{
    operations::{self, Done},
    skills,
};
use crate::{
    consensus::{self, Scale, Vote},
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, ok},
    list::{self, Kind, Spec, Use},
    model::{PoolRow, TaskRow, from_column},
    platform::Platform,
    store::Db,
};

const LIST: Spec = Spec {
    fields: &[("task_id", "task", Kind::Text, Use::Both)],
    default_limit: 50,
    max_limit: 100_000,
};

/// What came out for one task.
struct Solution {
    task: String,
    confidence: f64,
    /// JSON text.
    answer: String,
}

/// What is wrong with a request. `how` is how it would be done.
fn check(
    db: &Db<'_>,
    who: &str,
    form: &AggregationRequest,
    how: &AggregationType,
    spec: &TaskSpec,
) -> Result<()> {
    let mut errors = FieldErrors::new();
    let known = |field: &FieldName| {
        spec.output_spec.is_empty() || spec.output_spec.contains_key(&field.name)
    };
    if form.fields.is_empty() {
        errors.insert(
            "fields".to_owned(),
            field_error("VALUES_REQUIRED", "Name the output fields"),
        );
    }
    for (index, field) in form
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| !known(field))
    {
        let message = format!("The project has no output field `{}`", field.name);
        errors.insert(
            format!("fields.{index}.name"),
            field_error("VALUE_NOT_ALLOWED", message),
        );
    }
    match how {
        AggregationType::DawidSkene if form.fields.len() > 1 => {
            let message = "DAWID_SKENE takes one field";
            errors.insert(
                "fields".to_owned(),
                field_error("ARRAY_SIZE_GREATER_THAN_MAX", message),
            );
        }
        AggregationType::WeightedDynamicOverlap => {
            let path = "answer_weight_skill_id".to_owned();
            match form.answer_weight_skill_id.as_deref() {
                None => {
                    let message = "Name the skill that weighs the workers";
                    errors.insert(path, field_error("VALUE_REQUIRED", message));
                }
                Some(skill) if skills::find(db, who, skill).is_err() => {
                    let message = format!("There is no skill `{skill}`");
                    errors.insert(path, field_error("ENTITY_DOES_NOT_EXIST", message));
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::validation(errors))
    }
}

pub(super) async fn by_pool(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    let form: AggregationRequest = body.parse()?;
    let (owner, asked) = (who.0.clone(), form.clone());
    // Millions of answers take seconds: nobody else waits for them.
    let solutions = p.read(move |db| aggregate(db, &owner, &asked)).await?;
    p.write(move |tx| {
        let done = Done {
            id: None,
            kind: "SOLUTION.AGGREGATE",
            success: true,
            parameters: json!(form),
            details: None,
            log: Vec::new(),
        };
        let operation = operations::record(tx, &who.0, done)?;
        let row = operations::row_number(tx, &operation)?;
        for solution in &solutions {
            tx.run(
                "INSERT INTO solutions (operation, task, confidence, answer) VALUES (?1, ?2, ?3, ?4)",
                (row, &solution.task, solution.confidence, &solution.answer),
            )?;
        }
        operations::accepted(tx, &who.0, &operation)
    })
    .await
}

/// The solutions of all complete real tasks of a pool that has stopped.
fn aggregate(db: &Db<'_>, who: &str, form: &AggregationRequest) -> Result<Vec<Solution>> {
    let pool = db.pool_of(who, &form.pool_id)?;
    if pool.is_open() {
        return Err(Error::state(
            format!("The pool is {}; close it first", pool.status),
            &["CLOSED", "ARCHIVED"],
        ));
    }
    let spec = db.project(pool.project)?.spec();
    let how = form.kind.clone().ok_or_else(|| {
        Error::field(
            "type",
            "VALUE_REQUIRED",
            "Use DAWID_SKENE or WEIGHTED_DYNAMIC_OVERLAP",
        )
    })?;
    check(db, who, form, &how, &spec)?;
    let scale = Scale::read(
        db,
        &spec,
        &form.fields,
        form.answer_weight_skill_id.as_deref(),
    );
    match how {
        AggregationType::DawidSkene => by_agreement(db, &pool, &scale),
        AggregationType::WeightedDynamicOverlap => by_skill(db, &pool, &scale),
        AggregationType::Unknown(name) => Err(Error::field(
            "type",
            "UNKNOWN_ENUM_VALUE",
            format!(
                "There is no aggregation `{name}`; use DAWID_SKENE or WEIGHTED_DYNAMIC_OVERLAP"
            ),
        )),
    }
}

/// Tells `take` every counted answer to a complete real task of a pool, task by task: row and id of
/// the task, row of the worker, the answer.
fn each_answer(
    db: &Db<'_>,
    pool: &PoolRow,
    mut take: impl FnMut(i64, &str, i64, &Values) -> Result<()>,
) -> Result<()> {
    db.each(
        "SELECT t.n, t.id, s.worker, a.answer FROM tasks t
           JOIN answers a ON a.task = t.n JOIN assignments s ON s.n = a.assignment
         WHERE t.pool = ?1 AND t.kind = 0 AND (t.overlap IS NULL OR t.done >= t.overlap)
           AND s.status IN ('SUBMITTED', 'ACCEPTED')
         ORDER BY t.id, a.assignment",
        [pool.id],
        |row| {
            let answer: Values =
                from_column(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
            let id = row.get_ref(1)?;
            take(
                row.get(0)?,
                id.as_str().map_err(rusqlite::Error::from)?,
                row.get(2)?,
                &answer,
            )
        },
    )
}

/// By Dawid and Skene's model of how each worker errs.
fn by_agreement(db: &Db<'_>, pool: &PoolRow, scale: &Scale<'_>) -> Result<Vec<Solution>> {
    let mut answers = AnswersBuilder::new();
    each_answer(db, pool, |_, task, worker, answer| {
        let answer = scale.text(answer)?;
        answers
            .push(task, &worker.to_string(), &answer)
            .map_err(Error::internal)
    })?;
    if answers.is_empty() {
        return Ok(Vec::new());
    }
    let answers = answers.finish().map_err(Error::internal)?;
    let decided = dawid_skene(&answers, &DawidSkene::default()).map_err(Error::internal)?;
    let solution = |(task, answer, confidence): (&str, &str, f64)| Solution {
        task: task.to_owned(),
        confidence,
        answer: answer.to_owned(),
    };
    Ok(decided.decisions().map(solution).collect())
}

/// By a skill that weighs the workers.
fn by_skill(db: &Db<'_>, pool: &PoolRow, scale: &Scale<'_>) -> Result<Vec<Solution>> {
    let mut solutions = Vec::new();
    let mut current: Option<(i64, String)> = None;
    let mut votes = Vec::new();
    let mut finish = |task: Option<(i64, String)>, votes: Vec<Vote>| -> Result<()> {
        let Some((n, id)) = task else { return Ok(()) };
        let decided = scale.decide(&baseline(db, n)?, votes)?;
        solutions.extend(decided.map(|(answer, confidence)| Solution {
            task: id,
            confidence,
            answer,
        }));
        Ok(())
    };
    each_answer(db, pool, |n, id, worker, answer| {
        if current.as_ref().is_none_or(|(task, _)| *task != n) {
            finish(
                current.replace((n, id.to_owned())),
                std::mem::take(&mut votes),
            )?;
        }
        votes.push(scale.vote(worker, answer)?);
        Ok(())
    })?;
    finish(current, votes)?;
    Ok(solutions)
}

/// The baseline solutions of a task.
fn baseline(db: &Db<'_>, task: i64) -> Result<Vec<BaselineSolution>> {
    let found: Option<Option<String>> = db.row(
        "SELECT json_extract(body, '$.baseline_solutions') FROM tasks WHERE n = ?1",
        [task],
        |row| row.get(0),
    )?;
    Ok(match found.flatten() {
        Some(text) => serde_json::from_str(&text)?,
        None => Vec::new(),
    })
}

pub(super) async fn by_task(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.read(move |db| {
        let form: AggregationRequest = body.parse()?;
        let how = AggregationType::WeightedDynamicOverlap;
        if form.kind.as_ref().is_some_and(|kind| *kind != how) {
            let message = "One task is aggregated by WEIGHTED_DYNAMIC_OVERLAP only";
            return Err(Error::field("type", "VALUE_NOT_ALLOWED", message));
        }
        let pool = db.pool_of(&who.0, &form.pool_id)?;
        let spec = db.project(pool.project)?.spec();
        check(db, &who.0, &form, &how, &spec)?;
        let id = form.task_id.as_deref().unwrap_or_default();
        let task = db
            .row(
                &format!("{} WHERE id = ?1 AND pool = ?2", TaskRow::SELECT),
                (id, pool.id),
                TaskRow::read,
            )?
            .ok_or_else(|| Error::not_found("task", id))?;
        let scale = Scale::read(
            db,
            &spec,
            &form.fields,
            form.answer_weight_skill_id.as_deref(),
        );
        let votes: Result<Vec<Vote>> = consensus::answers_to(db, task.n)?
            .iter()
            .map(|(_, worker, answer)| scale.vote(*worker, answer))
            .collect();
        let baseline = task.form.baseline_solutions.as_deref().unwrap_or_default();
        let (answer, confidence) = scale.decide(baseline, votes?)?.ok_or_else(|| {
            Error::conflict(
                "ASSIGNMENTS_AGGREGATION_DENIED",
                "The task has no answers yet",
            )
        })?;
        Ok(ok(view(
            &pool.id.to_string(),
            task.id,
            confidence,
            &answer,
        )?))
    })
    .await
}

fn view(pool: &str, task: String, confidence: f64, answer: &str) -> Result<AggregatedSolution> {
    Ok(AggregatedSolution {
        pool_id: pool.to_owned(),
        task_id: task,
        confidence: Decimal::from_f64(confidence),
        output_values: serde_json::from_str(answer)?,
        other: Values::new(),
    })
}

pub(super) async fn list(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    query: Query,
) -> Answer {
    p.read(move |db| {
        let operation = operations::find(db, &who.0, &id)?;
        let pool = operation
            .parameters
            .as_ref()
            .and_then(|one| one.get("pool_id")?.as_str());
        let Some(pool) = pool.filter(|_| operation.kind.as_str() == "SOLUTION.AGGREGATE") else {
            return Err(Error::conflict(
                "INVALID_OPERATION_TYPE",
                format!("Operation {id} is no aggregation"),
            ));
        };
        let mut params = query.0;
        params
            .entry("sort".to_owned())
            .or_insert_with(|| "task_id".to_owned());
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
        let page = list::Query::parse(&LIST, &params)?
            .and("operation = ?", operations::row_number(db, &operation.id)?)
            .page(db, "SELECT task, confidence, answer FROM solutions", row)?;
        let items: Result<Vec<AggregatedSolution>> = page
            .items
            .into_iter()
            .map(|(task, confidence, answer)| view(pool, task, confidence, &answer))
            .collect();
        Ok(ok(Page {
            items: items?,
            has_more: page.has_more,
        }))
    })
    .await
}
