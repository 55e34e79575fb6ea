//! A worker's page from taking to paying: take, submit, skip, leave, expire, review.

use std::collections::BTreeMap;

use quorate_toloka::limits::ASSIGNMENTS_PER_POOL;
use quorate_toloka::types::{Decimal, EventType, TaskSpec, Values};
use serde_json::{Value, json};

use crate::{
    access::{self, NextPage, No},
    attachments, consensus,
    error::{Error, FieldErrors, Result},
    ids, lifecycle, messages, mixer,
    model::{AssignmentRow, Kind, PoolRow, TaskRow, WorkerRow},
    quality::{self, Event},
    rules,
    store::{Db, Tx},
    validate::{self, Strictness},
    webhooks,
};

/// Days after which an unreviewed page is accepted when the pool does not say.
const REVIEW_DAYS: u32 = 21;

/// The most bytes that one submit may hold in output values.
const MOST_OUTPUT_BYTES: usize = 4_194_304;

/// What came of asking for a page.
pub(crate) enum Taken {
    Page(Box<AssignmentRow>),
    Nothing(No),
}

/// What came of submitting a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Submitted {
    /// The state of the assignment now; `ACTIVE` when training answers must be corrected.
    pub(crate) status: String,
    /// Position in the page and hint of every training task that is still wrong.
    pub(crate) hints: Vec<(usize, String)>,
}

impl Submitted {
    fn done(accepted: bool) -> Self {
        let status = if accepted { "ACCEPTED" } else { "SUBMITTED" };
        Self {
            status: status.to_owned(),
            hints: Vec::new(),
        }
    }
}

/// Gives the worker the next page of a pool.
pub(crate) fn take(tx: &Tx<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Taken> {
    let project = tx.project(pool.project)?;
    if let Some(no) = access::denied(tx, worker, pool, &project)? {
        return Ok(Taken::Nothing(no));
    }
    let Some(page) = access::next_page(tx, worker, pool)? else {
        return Ok(Taken::Nothing(No::Tasks));
    };
    let given = tx.number(
        "SELECT sum(assignments) FROM assignment_sums WHERE pool = ?1",
        [pool.id],
    )?;
    if given >= i64::from(ASSIGNMENTS_PER_POOL) {
        lifecycle::close(tx, pool.id, "ASSIGNMENTS_LIMIT_EXCEEDED")?;
        return Ok(Taken::Nothing(No::PoolClosed));
    }
    let reward = access::reward(tx, worker, pool)?;
    if !tx.hold(&pool.owner, tx.cost(reward))? {
        lifecycle::close(tx, pool.id, "NOT_ENOUGH_BALANCE")?;
        messages::notify(
            tx,
            pool,
            &format!("Pool {} was closed", pool.id),
            "The balance does not cover the next page. Open the pool again when it does.",
        )?;
        return Ok(Taken::Nothing(No::PoolClosed));
    }
    let (suite, tasks) = match page {
        NextPage::Suite(suite) => issue(tx, suite)?,
        NextPage::Mixed(tasks) => mix(tx, worker, pool, tasks)?,
    };
    choose_checkpoints(tx, worker, pool, &tasks)?;
    let id = hand_out(tx, worker, pool, reward, &suite, &tasks)?;
    if pool.close_at.is_some() {
        lifecycle::refresh(tx, pool.id)?;
    }
    Ok(Taken::Page(Box::new(tx.assignment(&id)?)))
}

/// The task suite of a page.
struct Suite {
    id: String,
    /// Whether the platform made it.
    mixed: bool,
}

/// Counts that a task suite of the requester is given out once more; its tasks in upload order.
fn issue(tx: &Tx<'_>, suite: i64) -> Result<(Suite, Vec<i64>)> {
    tx.run(
        "UPDATE suites SET issued = issued + 1 WHERE n = ?1",
        [suite],
    )?;
    let id = tx.row("SELECT id FROM suites WHERE n = ?1", [suite], |row| {
        row.get(0)
    })?;
    let id = id.ok_or_else(|| Error::internal(format!("task suite {suite} vanished")))?;
    let tasks = tx.rows(
        "SELECT n FROM tasks WHERE suite = ?1 ORDER BY n",
        [suite],
        |row| row.get(0),
    )?;
    Ok((Suite { id, mixed: false }, tasks))
}

/// Makes a task suite of single tasks, in the page's order.
fn mix(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    mut tasks: Vec<i64>,
) -> Result<(Suite, Vec<i64>)> {
    let mixer = pool.mixer();
    if mixer.mix_tasks_in_creation_order.unwrap_or(false) {
        access::move_cursor(tx, worker, &tasks)?;
    }
    let shuffle = mixer.shuffle_tasks_in_task_suite.unwrap_or(true);
    mixer::arrange(
        &mut tasks,
        shuffle,
        tx.settings.seed,
        &worker.id,
        worker.taken,
    );
    let id = ids::object(pool.id, tx.now(), tx.next());
    tx.run(
        "INSERT INTO suites (id, pool, mixed, overlap, issued, created, body)
         VALUES (?1, ?2, 1, 1, 1, ?3, '{}')",
        (&id, pool.id, tx.now()),
    )?;
    Ok((Suite { id, mixed: true }, tasks))
}

/// Selective majority vote: more workers are asked about the tasks of the page that the pool's
/// distribution functions pick.
fn choose_checkpoints(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    tasks: &[i64],
) -> Result<()> {
    let Some(config) = pool
        .quality()
        .and_then(|quality| quality.checkpoints_config.as_ref())
    else {
        return Ok(());
    };
    for (kind, settings) in [
        (Kind::Real, &config.real_settings),
        (Kind::Golden, &config.golden_settings),
        (Kind::Training, &config.training_settings),
    ] {
        let Some(settings) = settings else { continue };
        let (Some(target), Some(function)) = (
            settings.target_overlap,
            &settings.task_distribution_function,
        ) else {
            continue;
        };
        let done = access::tasks_done(tx, worker, pool, function)?;
        for (nth, task) in (done + 1..).zip(tasks) {
            if mixer::picks(function, nth) {
                tx.run(
                    "UPDATE tasks SET checkpoint = 1, overlap = max(overlap, ?3)
                     WHERE n = ?1 AND kind = ?2 AND overlap IS NOT NULL",
                    (task, kind.column(), target),
                )?;
            }
        }
    }
    Ok(())
}

/// Writes down that a worker has a page in hand; returns the assignment's id.
fn hand_out(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    reward: Decimal,
    suite: &Suite,
    tasks: &[i64],
) -> Result<String> {
    let id = ids::object(pool.id, tx.now(), tx.next());
    tx.run(
        "INSERT INTO assignments (id, suite, mixed, size, pool, worker, status, reward, cost, created, deadline)
         VALUES (?1, ?2, ?9, ?10, ?3, ?4, 'ACTIVE', ?5, ?6, ?7, ?8)",
        (
            &id,
            &suite.id,
            pool.id,
            worker.n,
            reward.to_string(),
            tx.cost(reward).to_string(),
            tx.now(),
            tx.now().saturating_add(pool.max_duration_millis()),
            suite.mixed,
            i64::try_from(tasks.len()).unwrap_or(i64::MAX),
        ),
    )?;
    let assignment = tx.conn.last_insert_rowid();
    for (position, task) in (0_i64..).zip(tasks) {
        tx.run(
            "INSERT INTO answers (assignment, position, task) VALUES (?1, ?2, ?3)",
            (assignment, position, task),
        )?;
        tx.run(
            "INSERT INTO given (worker, task) VALUES (?1, ?2)",
            (worker.n, task),
        )?;
        tx.run("UPDATE tasks SET issued = issued + 1 WHERE n = ?1", [task])?;
    }
    tx.run(
        "UPDATE workers SET taken = taken + 1 WHERE n = ?1",
        [worker.n],
    )?;
    // Whoever gets a page may work here, whatever was before.
    tx.run(
        "DELETE FROM revoked WHERE worker = ?1 AND pool = ?2",
        (worker.n, pool.id),
    )?;
    webhooks::assignment(tx, EventType::AssignmentCreated, pool.id, &suite.id, &id)?;
    Ok(id)
}

/// An assignment of this worker.
pub(crate) fn own(db: &Db<'_>, worker: &WorkerRow, id: &str) -> Result<AssignmentRow> {
    let row = db.assignment(id)?;
    if row.worker == worker.n {
        Ok(row)
    } else {
        Err(Error::not_found("assignment", id))
    }
}

/// Refuses what is no longer in the worker's hand.
pub(crate) fn must_be_active(row: &AssignmentRow) -> Result<()> {
    match row.status.as_str() {
        "ACTIVE" => Ok(()),
        "EXPIRED" => Err(Error::conflict(
            "ASSIGNMENT_EXPIRED",
            "The time for this page is over; its tasks went back to the pool",
        )),
        status => Err(Error::state(format!("The page is {status}"), &["ACTIVE"])),
    }
}

/// Takes a worker's answers. Sending the same answers again gets the same reply.
pub(crate) fn submit(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    id: &str,
    solutions: &[Values],
) -> Result<Submitted> {
    let row = own(tx, worker, id)?;
    let solutions: Vec<Values> = solutions.iter().map(without_nulls).collect();
    let sent = canonical_list(&solutions)?;
    if sent.len() > MOST_OUTPUT_BYTES {
        return Err(Error::too_large(format!(
            "The answers are larger than {MOST_OUTPUT_BYTES} bytes"
        )));
    }
    let digest = ids::digest(sent.as_bytes());
    if row.sent.as_deref() == Some(&digest) {
        // The reply to the first submit was lost; what happened since is not its business.
        return Ok(Submitted::done(row.accepted == row.submitted));
    }
    must_be_active(&row)?;
    let pool = tx.pool(row.pool)?;
    let page: Vec<TaskRow> = tx.page(row.n)?.into_iter().map(|(task, _)| task).collect();
    let spec = tx.project(pool.project)?.spec();
    check_solutions(&spec, &page, &solutions)?;
    attachments::check(tx, &row, &spec, &solutions)?;

    let hints = wrong_training(&page, &solutions);
    if hints.is_empty() {
        record(tx, &pool, &row, &page, &solutions, &digest)?;
        attachments::keep_only(tx, row.n, &solutions)?;
        consensus::adapt_overlap(tx, &pool, &page)?;
        follow_up(tx, worker, &pool, &row)?;
        return Ok(Submitted::done(pool.auto_accepts()));
    }
    if row.first.is_none() {
        tx.run(
            "UPDATE assignments SET first = ?2 WHERE n = ?1",
            (row.n, &sent),
        )?;
    }
    Ok(Submitted {
        status: "ACTIVE".to_owned(),
        hints,
    })
}

/// What a submitted page sets off: skills, quality rules, the end of the pool.
fn follow_up(tx: &Tx<'_>, worker: &WorkerRow, pool: &PoolRow, row: &AssignmentRow) -> Result<()> {
    if pool.is_training() {
        pass_training(tx, worker, pool)?;
    } else {
        keep_training_skill(tx, worker, pool)?;
    }
    let mut events = vec![Event::Submitted {
        assignment: row.id.clone(),
    }];
    if pool.auto_accepts() {
        events.push(Event::Reviewed {
            assignment: row.id.clone(),
            how: None,
        });
    }
    quality::handle(tx, events)?;
    lifecycle::refresh(tx, pool.id)
}

/// Refuses answers that do not fit the page or the project.
fn check_solutions(spec: &TaskSpec, page: &[TaskRow], solutions: &[Values]) -> Result<()> {
    if solutions.len() != page.len() {
        return Err(Error::field(
            "solutions",
            "ARRAY_SIZE_OUT_OF_BOUNDS",
            format!(
                "The page has {} tasks, {} solutions came",
                page.len(),
                solutions.len()
            ),
        ));
    }
    if spec.output_spec.is_empty() {
        // The project derives its fields from the view; there is nothing to check against.
        return Ok(());
    }
    let mut errors = FieldErrors::new();
    for (index, values) in solutions.iter().enumerate() {
        let path = format!("solutions.{index}.output_values");
        validate::check(
            values,
            &spec.output_spec,
            &path,
            Strictness::Whole,
            &mut errors,
        );
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::validation(errors))
    }
}

/// Training tasks that are answered wrongly, with their hints.
fn wrong_training(page: &[TaskRow], solutions: &[Values]) -> Vec<(usize, String)> {
    let wrong = |task: &TaskRow, answer: &Values| {
        let known = task.form.known_solutions.as_deref().unwrap_or_default();
        task.kind == Kind::Training && rules::correctness(known, answer) <= 0.0
    };
    page.iter()
        .zip(solutions)
        .enumerate()
        .filter(|(_, (task, answer))| wrong(task, answer))
        .map(|(index, (task, _))| {
            (
                index,
                task.form
                    .message_on_unknown_solution
                    .clone()
                    .unwrap_or_default(),
            )
        })
        .collect()
}

/// Stores the answers and pays for them.
fn record(
    tx: &Tx<'_>,
    pool: &PoolRow,
    row: &AssignmentRow,
    page: &[TaskRow],
    solutions: &[Values],
    digest: &str,
) -> Result<()> {
    for (position, (task, answer)) in (0_i64..).zip(page.iter().zip(solutions)) {
        tx.run(
            "UPDATE answers SET answer = ?3 WHERE assignment = ?1 AND position = ?2",
            (row.n, position, canonical(answer)?),
        )?;
        tx.run("UPDATE tasks SET done = done + 1 WHERE n = ?1", [task.n])?;
    }
    score(tx, row, page, solutions)?;
    // With manual review the money is reserved until the verdict.
    tx.settle(&pool.owner, row.cost)?;
    let accepted = pool.auto_accepts();
    let review_by =
        tx.now() + i64::from(pool.form.auto_accept_period_day.unwrap_or(REVIEW_DAYS)) * 86_400_000;
    tx.run(
        "UPDATE assignments SET status = ?2, submitted = ?3, accepted = ?4, deadline = ?5,
           ended = ?6, sent = ?7 WHERE n = ?1",
        (
            row.n,
            if accepted { "ACCEPTED" } else { "SUBMITTED" },
            tx.now(),
            accepted.then(|| tx.now()),
            (!accepted).then_some(review_by),
            tx.next(),
            digest,
        ),
    )?;
    tell(tx, row, EventType::AssignmentSubmitted)?;
    if accepted {
        tell(tx, row, EventType::AssignmentApproved)?;
    }
    Ok(())
}

/// Tells the requester's webhooks what became of an assignment.
fn tell(tx: &Tx<'_>, row: &AssignmentRow, kind: EventType) -> Result<()> {
    webhooks::assignment(tx, kind, row.pool, &row.suite, &row.id)
}

/// Writes down how right the answers to tasks with a known solution are. A training counts the
/// first attempt: with the hint anybody is right.
fn score(tx: &Tx<'_>, row: &AssignmentRow, page: &[TaskRow], solutions: &[Values]) -> Result<()> {
    for (position, (task, answer)) in page.iter().zip(solutions).enumerate() {
        let known = task.form.known_solutions.as_deref().unwrap_or_default();
        let first = row.first.as_ref().and_then(|first| first.get(position));
        let counted = match task.kind {
            Kind::Real => continue,
            Kind::Golden => answer,
            Kind::Training => first.unwrap_or(answer),
        };
        tx.run(
            "INSERT OR REPLACE INTO scores (worker, pool, source, task, kind, at, score)
             VALUES (?1, ?2, 'known', ?3, ?4, ?5, ?6)",
            (
                row.worker,
                row.pool,
                task.n,
                task.kind.column(),
                tx.next(),
                rules::correctness(known, counted),
            ),
        )?;
    }
    Ok(())
}

/// Writes a training's skill when the training is done: as many pages as it asks for, or no
/// further page for this worker.
fn pass_training(tx: &Tx<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<()> {
    let (Some(training), Some(skill)) = (&pool.training, pool.skill) else {
        return Ok(());
    };
    let since = tx.counts_from(worker.n, &lifecycle::training_source(pool.id))?;
    let submitted = tx.number(
        "SELECT count(*) FROM assignments
         WHERE worker = ?1 AND pool = ?2 AND ended > ?3 AND submitted IS NOT NULL",
        (worker.n, pool.id, since),
    )?;
    let answers = quality::known_answers(tx, worker.n, &[pool.id], since, None)?;
    let enough = training
        .task_suites_required_to_pass
        .is_some_and(|count| i64::from(count) == submitted);
    let done = enough || (!answers.is_empty() && access::next_page(tx, worker, pool)?.is_none());
    let facts = rules::known_answers(&answers);
    if let (true, Some(rate)) = (done, rules::output_field(&facts, "correct_answers_rate")) {
        tx.set_skill(&worker.id, skill, quality::exact(rate), retry_millis(pool))?;
    }
    Ok(())
}

/// After how long without work a training's skill lapses.
fn retry_millis(training: &PoolRow) -> Option<i64> {
    let days = training.training.as_ref()?.retry_training_after_days?;
    Some(i64::from(days) * 86_400_000)
}

/// Work in a pool keeps the skill of the training that the pool asks for.
fn keep_training_skill(tx: &Tx<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<()> {
    let required = pool
        .quality()
        .and_then(|quality| quality.training_requirement.as_ref());
    let Some(Ok(id)) = required.map(|required| required.training_pool_id.parse::<i64>()) else {
        return Ok(());
    };
    let Some(training) = tx.find_pool(id)? else {
        return Ok(());
    };
    if let (Some(skill), Some(retry)) = (training.skill, retry_millis(&training)) {
        tx.run(
            "UPDATE user_skills SET expires = ?3 WHERE skill = ?1 AND user = ?2",
            (skill, &worker.id, tx.now() + retry),
        )?;
    }
    Ok(())
}

/// Gives a page back unanswered. The worker does not get its tasks again.
pub(crate) fn skip(tx: &Tx<'_>, worker: &WorkerRow, id: &str) -> Result<String> {
    let row = own(tx, worker, id)?;
    if row.status != "SKIPPED" {
        must_be_active(&row)?;
        give_back(tx, &row, "SKIPPED")?;
        quality::handle(tx, vec![Event::Skipped { assignment: row.id }])?;
        lifecycle::refresh(tx, row.pool)?;
    }
    Ok("SKIPPED".to_owned())
}

/// Leaves a page: it expires now.
pub(crate) fn exit(tx: &Tx<'_>, worker: &WorkerRow, id: &str) -> Result<String> {
    let row = own(tx, worker, id)?;
    if row.status != "EXPIRED" {
        must_be_active(&row)?;
        give_back(tx, &row, "EXPIRED")?;
        lifecycle::refresh(tx, row.pool)?;
    }
    Ok("EXPIRED".to_owned())
}

/// What happens to an assignment whose deadline has come.
pub(crate) fn overdue(tx: &Tx<'_>, n: i64) -> Result<()> {
    let row = tx
        .row(
            &format!("{} WHERE n = ?1", AssignmentRow::SELECT),
            [n],
            AssignmentRow::read,
        )?
        .ok_or_else(|| Error::internal(format!("assignment {n} vanished")))?;
    if row.status == "SUBMITTED" {
        let events = review(tx, &row, true, None)?;
        return quality::handle(tx, events);
    }
    give_back(tx, &row, "EXPIRED")?;
    lifecycle::refresh(tx, row.pool)
}

/// Ends an active assignment without answers: overlap and money go back. The tasks of a training
/// page that expired are for its worker again: who closed the page too early could never finish the
/// training otherwise, and would be shut out of the pools that want it.
fn give_back(tx: &Tx<'_>, row: &AssignmentRow, status: &str) -> Result<()> {
    let (when, kind) = if status == "SKIPPED" {
        ("skipped", EventType::AssignmentSkipped)
    } else {
        ("expired", EventType::AssignmentExpired)
    };
    tx.run(
        &format!("UPDATE assignments SET status = ?2, {when} = ?3, deadline = NULL, ended = ?4 WHERE n = ?1"),
        (row.n, status, tx.now(), tx.next()),
    )?;
    tx.run(
        "UPDATE tasks SET issued = issued - 1 WHERE n IN (SELECT task FROM answers WHERE assignment = ?1)",
        [row.n],
    )?;
    attachments::keep_only(tx, row.n, &[])?;
    tx.run(
        "UPDATE suites SET issued = issued - 1 WHERE id = ?1 AND mixed = 0",
        [&row.suite],
    )?;
    let pool = tx.pool(row.pool)?;
    if pool.is_training() && status == "EXPIRED" {
        tx.run(
            "DELETE FROM given WHERE worker = ?2
               AND task IN (SELECT task FROM answers WHERE assignment = ?1)",
            (row.n, row.worker),
        )?;
    }
    tell(tx, row, kind)?;
    tx.release(&pool.owner, row.cost)
}

/// Accepts or rejects a page that waits for it; a rejected one may still be accepted. Returns what
/// the quality rules must hear of.
pub(crate) fn review(
    tx: &Tx<'_>,
    row: &AssignmentRow,
    accept: bool,
    comment: Option<&str>,
) -> Result<Vec<Event>> {
    let pool = tx.pool(row.pool)?;
    if pool.status == "ARCHIVED" {
        return Err(Error::conflict(
            "POOL_INAPPROPRIATE_STATUS",
            "The pool is archived",
        ));
    }
    let how = match (row.status.as_str(), accept) {
        ("SUBMITTED", true) => "ACCEPT",
        ("SUBMITTED", false) => {
            tx.pay(&pool.owner, -row.cost)?;
            "REJECT"
        }
        ("REJECTED", true) => {
            tx.pay(&pool.owner, row.cost)?;
            "ACCEPT_AFTER_REJECT"
        }
        (status, true) => {
            return Err(Error::state(
                format!("The assignment is {status}"),
                &["SUBMITTED", "REJECTED"],
            ));
        }
        (status, false) => {
            return Err(Error::state(
                format!("The assignment is {status}"),
                &["SUBMITTED"],
            ));
        }
    };
    let (status, when, kind) = if accept {
        ("ACCEPTED", "accepted", EventType::AssignmentApproved)
    } else {
        ("REJECTED", "rejected", EventType::AssignmentRejected)
    };
    tx.run(
        &format!(
            "UPDATE assignments SET status = ?2, {when} = ?3, deadline = NULL,
               comment = coalesce(?4, comment) WHERE n = ?1"
        ),
        (row.n, status, tx.now(), comment),
    )?;
    tell(tx, row, kind)?;
    Ok(vec![Event::Reviewed {
        assignment: row.id.clone(),
        how: Some(how),
    }])
}

/// A value that is not set is absent, not null.
fn without_nulls(values: &Values) -> Values {
    values
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// An answer as JSON text with sorted keys, so that equal answers are equal texts.
pub(crate) fn canonical(values: &Values) -> Result<String> {
    let sorted: BTreeMap<&String, &Value> = values.iter().collect();
    Ok(serde_json::to_string(&sorted)?)
}

fn canonical_list(solutions: &[Values]) -> Result<String> {
    let sorted: Vec<BTreeMap<&String, &Value>> = solutions
        .iter()
        .map(|values| values.iter().collect())
        .collect();
    Ok(serde_json::to_string(&sorted)?)
}

/// What a worker sees of an assignment: never solutions, hints or hidden fields. It says all that
/// is needed to go on with it, because its pool may be offered no more.
pub(crate) fn view(db: &Db<'_>, row: &AssignmentRow) -> Result<Value> {
    let pool = db.pool(row.pool)?;
    let project = db.project(pool.project)?;
    let spec = project.spec();
    let shown = |name: &String| {
        !spec
            .input_spec
            .get(name)
            .is_some_and(|field| field.hidden.unwrap_or(false))
    };
    let tasks: Vec<Value> = db
        .page(row.n)?
        .into_iter()
        .map(|(task, _)| {
            let values: Values = task
                .form
                .input_values
                .into_iter()
                .filter(|(name, _)| shown(name))
                .collect();
            json!({ "id": task.id, "input_values": values })
        })
        .collect();
    Ok(json!({
        "id": row.id,
        "pool_id": pool.id.to_string(),
        "project_id": pool.project.to_string(),
        "task_suite_id": row.suite,
        "status": row.status,
        "created": crate::model::wire(row.created),
        "expires": row.deadline.map(crate::model::wire),
        "reward": number(row.reward),
        "training": pool.is_training(),
        "title": project.form.public_name,
        "instructions": pool.instructions(&project),
        "task_spec": spec,
        "tasks": tasks,
    }))
}

/// Money as a JSON number.
pub(crate) fn number(amount: Decimal) -> Value {
    use rust_decimal::prelude::ToPrimitive;
    amount.to_f64().map_or(Value::Null, Value::from)
}
