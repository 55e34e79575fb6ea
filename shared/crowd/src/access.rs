//! Who may work in a pool, and on which tasks.

use quorate_toloka::types::{Decimal, Distribution, DistributionScope, Filter, PricingInterval};
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use crate::{
    error::Result,
    filter,
    mixer::Recipe,
    model::{Kind, PoolRow, ProjectRow, WorkerRow, money},
    store::{Db, Tx},
};

/// How many pages of a project a worker may have in hand when the project does not say: enough for
/// anybody honest, and nobody can take a whole pool away from the others.
const MOST_ACTIVE: u32 = 50;

/// Why a worker gets no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    PoolClosed,
    Access,
    TooManyActive,
    Tasks,
}

impl No {
    /// The reason on the wire.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::PoolClosed => "POOL_CLOSED",
            Self::Access => "NO_ACCESS",
            Self::TooManyActive => "TOO_MANY_ACTIVE_ASSIGNMENTS",
            Self::Tasks => "NO_TASKS",
        }
    }
}

/// Why a worker may not work in a pool now, if so. Whether there are tasks is another question.
pub(crate) fn denied(
    db: &Db<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    project: &ProjectRow,
) -> Result<Option<No>> {
    if !pool.is_open() || pool.will_expire.is_some_and(|end| end <= db.now()) {
        return Ok(Some(No::PoolClosed));
    }
    if !is_admitted(db, worker, pool)? {
        return Ok(Some(No::Access));
    }
    let limit = project
        .form
        .max_active_assignments_count
        .unwrap_or(MOST_ACTIVE);
    let active = db.number(
        "SELECT count(*) FROM assignments a JOIN pools p ON p.id = a.pool
         WHERE a.worker = ?1 AND a.status = 'ACTIVE' AND p.project = ?2",
        (worker.n, project.id),
    )?;
    Ok((active >= i64::from(limit)).then_some(No::TooManyActive))
}

/// Whether a pool is for this worker, open or not.
pub(crate) fn is_admitted(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<bool> {
    if is_banned(db, &worker.id, pool)? || !may_see(worker, pool) {
        return Ok(false);
    }
    if let Some(filter) = &pool.form.filter
        && !passes(db, &pool.owner, filter, worker)?
    {
        return Ok(false);
    }
    passed_training(db, worker, pool)
}

/// Whether a ban keeps a worker out of a pool now.
pub(crate) fn is_banned(db: &Db<'_>, user: &str, pool: &PoolRow) -> Result<bool> {
    Ok(db.number(
        "SELECT EXISTS (SELECT 1 FROM restrictions WHERE user = ?1
           AND (will_expire IS NULL OR will_expire > ?5)
           AND (scope = 'SYSTEM' OR (owner = ?2 AND (scope = 'ALL_PROJECTS'
             OR (scope = 'PROJECT' AND project = ?3) OR (scope = 'POOL' AND pool = ?4)))))",
        (user, &pool.owner, pool.project, pool.id, db.now()),
    )? != 0)
}

fn may_see(worker: &WorkerRow, pool: &PoolRow) -> bool {
    !pool.form.may_contain_adult_content.unwrap_or(false)
        || worker.profile.get("adult_allowed").and_then(Value::as_bool) == Some(true)
}

/// How many workers are looked at together when all of them are: a profile has up to 16 KB.
const WORKERS_AT_ONCE: i64 = 500;

/// The workers who pass a requester's filter; with a time, only those who took or submitted a page
/// since then.
pub(crate) fn workers_passing(
    db: &Db<'_>,
    owner: &str,
    filter: &Filter,
    active_since: Option<i64>,
) -> Result<Vec<i64>> {
    let sql = format!(
        "{} WHERE n > ?1 AND (?2 IS NULL
           OR n IN (SELECT worker FROM worker_activity WHERE at >= ?2)) ORDER BY n LIMIT ?3",
        WorkerRow::SELECT
    );
    let mut passing = Vec::new();
    let mut after = 0;
    loop {
        let some = db.rows(
            &sql,
            (after, active_since, WORKERS_AT_ONCE),
            WorkerRow::read,
        )?;
        let Some(last) = some.last() else {
            return Ok(passing);
        };
        after = last.n;
        for worker in &some {
            if passes(db, owner, filter, worker)? {
                passing.push(worker.n);
            }
        }
    }
}

/// Whether a worker passes a requester's filter. Skills of other requesters are unknown to it.
pub(crate) fn passes(
    db: &Db<'_>,
    owner: &str,
    filter: &Filter,
    worker: &WorkerRow,
) -> Result<bool> {
    let skill = |id: &str| {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(None);
        };
        let value = db.row(
            "SELECT value FROM user_skills WHERE skill = ?1 AND user = ?2 AND owner = ?3",
            (id, &worker.id, owner),
            |row| money(row.get_ref(0)?.as_str()?),
        )?;
        Ok(value.and_then(|value| value.to_f64()))
    };
    filter::passes(filter, &worker.profile, &skill)
}

fn passed_training(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<bool> {
    let Some(requirement) = pool
        .quality()
        .and_then(|quality| quality.training_requirement.as_ref())
    else {
        return Ok(true);
    };
    let needed = Decimal::from(requirement.training_passing_skill_value.unwrap_or(0));
    let Some(skill) = training_skill(db, &requirement.training_pool_id)? else {
        return Ok(false);
    };
    Ok(db
        .skill_value(&worker.id, skill)?
        .is_some_and(|value| value >= needed))
}

/// The skill of a training.
pub(crate) fn training_skill(db: &Db<'_>, training: &str) -> Result<Option<i64>> {
    let Ok(id) = training.parse::<i64>() else {
        return Ok(None);
    };
    Ok(db.find_pool(id)?.and_then(|training| training.skill))
}

/// What a worker would earn with a page of the pool now: the pool's price, or the one of the
/// worker's skill.
pub(crate) fn reward(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Decimal> {
    let base = pool.form.reward_per_assignment.unwrap_or_default();
    let Some(pricing) = &pool.form.dynamic_pricing_config else {
        return Ok(base);
    };
    let skill = pricing.skill_id.as_deref().and_then(|id| id.parse().ok());
    let value = match skill {
        Some(skill) => db.skill_value(&worker.id, skill)?,
        None => None,
    };
    let priced = |interval: &&PricingInterval| {
        value.is_some_and(|value| {
            value >= interval.from.unwrap_or(0).into() && value <= interval.to.unwrap_or(100).into()
        })
    };
    Ok(pricing
        .intervals
        .iter()
        .find(priced)
        .and_then(|interval| interval.reward_per_assignment)
        .unwrap_or(base))
}

/// The next page of a worker.
pub(crate) enum NextPage {
    /// A task suite that the requester made.
    Suite(i64),
    /// Tasks of which the platform makes one; in no order.
    Mixed(Vec<i64>),
}

/// The worker's next page in a pool; `None` when there is none. What the requester put together goes
/// first.
pub(crate) fn next_page(
    db: &Db<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
) -> Result<Option<NextPage>> {
    if let Some(suite) = next_suite(db, worker, pool)? {
        return Ok(Some(NextPage::Suite(suite)));
    }
    Ok(next_tasks(db, worker, pool)?.map(NextPage::Mixed))
}

/// The next task suite of those that the requester made.
fn next_suite(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Option<i64>> {
    let config = pool.form.assignments_issuing_config.as_ref();
    let in_order = config.and_then(|config| config.issue_task_suites_in_creation_order);
    let (index, order) = if in_order.unwrap_or(false) {
        ("suites_oldest", "n")
    } else {
        ("suites_next", "issued, place")
    };
    let sql = format!(
        "SELECT n FROM suites INDEXED BY {index}
         WHERE pool = ?1 AND mixed = 0 AND (overlap IS NULL OR issued < overlap)
           AND {FOR_WORKER}
           AND NOT EXISTS (SELECT 1 FROM tasks t JOIN given g ON g.task = t.n
             WHERE t.suite = suites.n AND g.worker = ?2)
         ORDER BY rank DESC, {order} LIMIT 1"
    );
    db.row(&sql, (pool.id, worker.n, &worker.id), |row| row.get(0))
}

/// Whether a task or task suite may be given to the worker with the id `?3`.
const FOR_WORKER: &str = "\
    (reserved IS NULL OR EXISTS (SELECT 1 FROM json_each(reserved) WHERE value = ?3))
    AND (unavailable IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(unavailable) WHERE value = ?3))";

/// The tasks of the worker's next mixed page, in no order; `None` when no page can be made.
fn next_tasks(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Option<Vec<i64>>> {
    if pool.form.mixer_config.is_none() {
        return Ok(None);
    }
    let recipe = recipe(db, worker, pool)?;
    let real = candidates(
        db,
        worker,
        pool,
        Kind::Real,
        recipe.real.full,
        recipe.in_order,
    )?;
    let golden = candidates(
        db,
        worker,
        pool,
        Kind::Golden,
        recipe.golden.full,
        recipe.in_order,
    )?;
    let training = candidates(
        db,
        worker,
        pool,
        Kind::Training,
        recipe.training.full,
        recipe.in_order,
    )?;
    let idle = db.now() - pool.last_added;
    if !recipe.suffices(real.len(), golden.len(), training.len(), idle) {
        return Ok(None);
    }
    Ok(Some([real, golden, training].concat()))
}

/// What the worker's next page is made of.
fn recipe(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Recipe> {
    let mixer = pool.mixer();
    let done = |function: &Option<Distribution>| match function {
        Some(function) => tasks_done(db, worker, pool, function),
        None => Ok(0),
    };
    Ok(Recipe::of(
        &mixer,
        done(&mixer.golden_task_distribution_function)?,
        done(&mixer.training_task_distribution_function)?,
    ))
}

/// How many tasks a worker has been given and not given back, where and since when a distribution
/// function counts them.
pub(crate) fn tasks_done(
    db: &Db<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    function: &Distribution,
) -> Result<u64> {
    let project = function.scope == Some(DistributionScope::Project);
    let since = function
        .window_days
        .map_or(i64::MIN, |days| db.now() - i64::from(days) * 86_400_000);
    let done = db.number(
        "SELECT sum(size) FROM assignments WHERE worker = ?1
           AND pool IN (SELECT id FROM pools WHERE CASE WHEN ?4 THEN project = ?3 ELSE id = ?2 END)
           AND status NOT IN ('SKIPPED', 'EXPIRED') AND created > ?5",
        (worker.n, pool.id, pool.project, project, since),
    )?;
    Ok(done.cast_unsigned())
}

/// Up to `most` tasks that the worker may get, never one that the worker has been given before.
fn candidates(
    db: &Db<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    kind: Kind,
    most: usize,
    in_order: bool,
) -> Result<Vec<i64>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let new = format!(
        "suite IS NULL AND (overlap IS NULL OR issued < overlap) AND {FOR_WORKER}
           AND NOT EXISTS (SELECT 1 FROM given WHERE worker = ?2 AND task = tasks.n)"
    );
    let sql = if in_order {
        format!(
            "WITH cursor AS (SELECT coalesce((SELECT n FROM cursors
                WHERE worker = ?2 AND pool = ?1 AND kind = ?4), 0) AS at)
             SELECT n FROM (
               SELECT * FROM (SELECT n FROM tasks INDEXED BY tasks_returned
                 WHERE pool = ?1 AND kind = ?4 AND returned = 1 AND n <= (SELECT at FROM cursor)
                   AND {new} ORDER BY n LIMIT ?5)
               UNION ALL
               SELECT * FROM (SELECT n FROM tasks INDEXED BY tasks_oldest
                 WHERE pool = ?1 AND kind = ?4 AND n > (SELECT at FROM cursor)
                   AND {new} ORDER BY n LIMIT ?5))
             ORDER BY n LIMIT ?5"
        )
    } else {
        format!(
            "SELECT n FROM tasks INDEXED BY tasks_next WHERE pool = ?1 AND kind = ?4 AND {new}
             ORDER BY issued, place LIMIT ?5"
        )
    };
    db.rows(
        &sql,
        (
            pool.id,
            worker.n,
            &worker.id,
            kind.column(),
            i64::try_from(most).unwrap_or(i64::MAX),
        ),
        |row| row.get(0),
    )
}

/// Remembers up to where a worker has all tasks of a pool that gives out the oldest first, after
/// these were chosen.
pub(crate) fn move_cursor(tx: &Tx<'_>, worker: &WorkerRow, tasks: &[i64]) -> Result<()> {
    for task in tasks {
        tx.run(
            "INSERT INTO cursors (worker, pool, kind, n)
             SELECT ?1, pool, kind, n FROM tasks WHERE n = ?2
             ON CONFLICT (worker, pool, kind) DO UPDATE SET n = max(n, excluded.n)",
            (worker.n, task),
        )?;
    }
    Ok(())
}

impl Tx<'_> {
    /// Lets a worker have all tasks of a pool again.
    pub(crate) fn forget_given(&self, worker: i64, pool: i64) -> Result<()> {
        self.run(
            "DELETE FROM given WHERE worker = ?1 AND task IN (SELECT n FROM tasks WHERE pool = ?2)",
            (worker, pool),
        )?;
        self.run(
            "DELETE FROM cursors WHERE worker = ?1 AND pool = ?2",
            (worker, pool),
        )?;
        Ok(())
    }
}
