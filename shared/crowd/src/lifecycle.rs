//! How pools live: open, complete, close; and what happens by itself when its time comes.

use rust_decimal::Decimal;

use crate::{
    error::{Error, Result},
    model::{Kind, PoolRow},
    quality::{self, Reason},
    store::{Db, Tx},
    webhooks, work,
};

/// How long a pool that was closed for an update stays closed.
const UPDATE_MILLIS: i64 = 15 * 60 * 1000;

/// Something that happens by itself at a time.
#[derive(Clone, Copy)]
enum Due {
    /// An assignment expires, or is accepted because nobody reviewed it.
    Assignment,
    /// A pool's last day is over.
    Expiry,
    /// A complete pool closes.
    Completion,
    /// A pool that was closed for an update opens.
    Reopening,
    /// A worker's skill lapses.
    Skill,
}

/// The first thing that is due, whenever that is: what, its row, and when.
fn first_due(db: &Db<'_>) -> Result<Option<(Due, i64, i64)>> {
    db.row(
        "SELECT kind, id, due FROM (
           SELECT * FROM (SELECT 0 AS kind, n AS id, deadline AS due FROM assignments
             WHERE deadline IS NOT NULL ORDER BY deadline, n LIMIT 1)
           UNION ALL SELECT * FROM (SELECT 1, id, will_expire FROM pools
             WHERE status = 'OPEN' AND will_expire IS NOT NULL ORDER BY will_expire LIMIT 1)
           UNION ALL SELECT * FROM (SELECT 2, id, close_at FROM pools
             WHERE close_at IS NOT NULL ORDER BY close_at LIMIT 1)
           UNION ALL SELECT * FROM (SELECT 3, id, reopen_at FROM pools
             WHERE reopen_at IS NOT NULL ORDER BY reopen_at LIMIT 1)
           UNION ALL SELECT * FROM (SELECT 4, id, expires FROM user_skills
             WHERE expires IS NOT NULL ORDER BY expires LIMIT 1))
         ORDER BY due, kind LIMIT 1",
        [],
        |row| {
            let kind = match row.get(0)? {
                0 => Due::Assignment,
                1 => Due::Expiry,
                2 => Due::Completion,
                3 => Due::Reopening,
                _ => Due::Skill,
            };
            Ok((kind, row.get(1)?, row.get(2)?))
        },
    )
}

/// When something is due next, past or future.
pub(crate) fn next_due(db: &Db<'_>) -> Result<Option<i64>> {
    Ok(first_due(db)?.map(|(_, _, at)| at))
}

/// Does everything that is due, in the order of its times and as of those times: a request sees
/// the same state whether or not anybody asked in between.
pub(crate) fn catch_up(tx: &Tx<'_>) -> Result<()> {
    while let Some((due, id, at)) = first_due(tx)?
        && at <= tx.now()
    {
        tx.at(at, || match due {
            Due::Assignment => work::overdue(tx, id),
            Due::Expiry => close(tx, id, "EXPIRED"),
            Due::Completion => close(tx, id, "COMPLETED"),
            Due::Reopening => open(tx, &tx.pool(id)?),
            Due::Skill => lapse(tx, id),
        })?;
    }
    Ok(())
}

/// Opens a pool that is closed.
pub(crate) fn open(tx: &Tx<'_>, pool: &PoolRow) -> Result<()> {
    tx.run(
        "UPDATE pools SET status = 'OPEN', last_started = ?2, reopen_at = NULL WHERE id = ?1",
        (pool.id, tx.now()),
    )?;
    refresh(tx, pool.id)
}

/// Opens a pool for its requester. False: it is open already.
pub(crate) fn try_open(tx: &Tx<'_>, pool: &PoolRow) -> Result<bool> {
    match pool.status.as_str() {
        "OPEN" => return Ok(false),
        "CLOSED" => {}
        status => {
            return Err(Error::state(
                format!(
                    "The {} is {status}; only a closed one can be opened",
                    pool.noun()
                ),
                &["CLOSED"],
            ));
        }
    }
    if tx.project(pool.project)?.status != "ACTIVE" {
        return Err(Error::conflict(
            "PROJECT_INAPPROPRIATE_STATUS",
            format!("Project {} is archived", pool.project),
        ));
    }
    if tx.number(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE pool = ?1)",
        [pool.id],
    )? == 0
    {
        return Err(Error::conflict(
            "EMPTY_POOL",
            "Pool contains no tasks. Operation is not allowed",
        ));
    }
    let (needed, free) = (worst_cost(tx, pool)?, tx.account(&pool.owner)?.free());
    if needed > free {
        return Err(Error::conflict(
            "NOT_ENOUGH_BALANCE",
            format!("The pool may cost {needed} dollars, the account has {free} left"),
        ));
    }
    open(tx, pool)?;
    Ok(true)
}

/// What the answers that are still missing cost when every page is full.
fn worst_cost(tx: &Tx<'_>, pool: &PoolRow) -> Result<Decimal> {
    let reward = pool.form.reward_per_assignment.unwrap_or_default();
    let per_page = pool.mixer().real_tasks_count;
    if reward.is_zero() {
        return Ok(Decimal::ZERO);
    }
    let missing = tx.number(
        "SELECT sum(overlap - issued) FROM tasks
         WHERE pool = ?1 AND kind = ?2 AND suite IS NULL AND overlap IS NOT NULL AND issued < overlap",
        (pool.id, Kind::Real.column()),
    )?;
    let mixed = match per_page {
        0 => 0,
        per_page => missing.cast_unsigned().div_ceil(per_page.into()),
    };
    let suites = tx.number(
        "SELECT sum(overlap - issued) FROM suites
         WHERE pool = ?1 AND mixed = 0 AND overlap IS NOT NULL AND issued < overlap",
        [pool.id],
    )?;
    Ok(tx.cost(reward) * (Decimal::from(mixed) + Decimal::from(suites)))
}

/// Closes an open pool. Pages in hand may still be submitted.
pub(crate) fn close(tx: &Tx<'_>, pool: i64, reason: &str) -> Result<()> {
    let reopen = (reason == "FOR_UPDATE").then(|| tx.now() + UPDATE_MILLIS);
    tx.run(
        "UPDATE pools SET status = 'CLOSED', last_close_reason = ?2, last_stopped = ?3,
           close_at = NULL, reopen_at = ?4 WHERE id = ?1",
        (pool, reason, tx.now(), reopen),
    )?;
    webhooks::closed(tx, pool, reason)
}

/// Sets or clears the time when an open pool closes by itself, after anything that may complete it
/// or make it incomplete.
pub(crate) fn refresh(tx: &Tx<'_>, id: i64) -> Result<()> {
    let pool = tx.pool(id)?;
    let close_at = if pool.is_open() && is_complete(tx, id)? {
        let delay = pool
            .form
            .auto_close_after_complete_delay_seconds
            .unwrap_or(0);
        pool.close_at.or(Some(tx.now() + i64::from(delay) * 1000))
    } else {
        None
    };
    if close_at != pool.close_at {
        tx.run(
            "UPDATE pools SET close_at = ?2 WHERE id = ?1",
            (id, close_at),
        )?;
    }
    Ok(())
}

/// Whether nothing is left to do: no page in hand, and every task of finite overlap has all its
/// answers.
///
/// Control and training tasks only serve the real ones, so in a pool with real tasks only these
/// count: leftover control tasks make
/// no page and would keep the pool open for ever.
/// A pool without tasks of finite overlap is never complete.
fn is_complete(db: &Db<'_>, pool: i64) -> Result<bool> {
    let active = db.number(
        "SELECT EXISTS (SELECT 1 FROM assignments WHERE pool = ?1 AND status = 'ACTIVE')",
        [pool],
    )?;
    if active != 0 {
        return Ok(false);
    }
    let has_real = db.number(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE pool = ?1 AND kind = 0)",
        [pool],
    )? != 0;
    let kinds: &[i64] = if has_real { &[0] } else { &[1, 2] };
    let mut any_finite = false;
    for kind in kinds {
        let pending = db.number(
            "SELECT EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_pending
               WHERE pool = ?1 AND kind = ?2 AND overlap IS NOT NULL AND done < overlap)",
            (pool, kind),
        )?;
        if pending != 0 {
            return Ok(false);
        }
        any_finite |= db.number(
            "SELECT EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_kind
               WHERE pool = ?1 AND kind = ?2 AND overlap > 0)",
            (pool, kind),
        )? != 0;
    }
    Ok(any_finite)
}

/// Takes a skill from a worker whose time has come. The skill of a training goes with the memory
/// of the training, which may then be done again.
fn lapse(tx: &Tx<'_>, user_skill: i64) -> Result<()> {
    let lapsed: Option<(i64, i64)> = tx.row(
        "SELECT w.n, p.id FROM user_skills u JOIN workers w ON w.id = u.user
           JOIN pools p ON p.skill = u.skill WHERE u.id = ?1",
        [user_skill],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if let Some((worker, training)) = lapsed {
        tx.forget_given(worker, training)?;
        tx.forget(worker, &training_source(training))?;
    }
    let gone = tx.row(
        "DELETE FROM user_skills WHERE id = ?1 RETURNING owner, user, skill",
        [user_skill],
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get(2)?,
            ))
        },
    )?;
    match gone {
        Some((owner, user, skill)) => {
            quality::access_changed(tx, &owner, &user, Reason::Skill(skill))
        }
        None => Ok(()),
    }
}

/// What a training's history is kept under.
pub(crate) fn training_source(training: i64) -> String {
    format!("training:{training}")
}

impl Tx<'_> {
    /// Lets a source count for a worker only what comes after now.
    pub(crate) fn forget(&self, worker: i64, source: &str) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO resets (worker, source, at) VALUES (?1, ?2, ?3)",
            (worker, source, self.next()),
        )?;
        Ok(())
    }
}

impl Db<'_> {
    /// From which event on a source counts for a worker.
    pub(crate) fn counts_from(&self, worker: i64, source: &str) -> Result<i64> {
        self.number(
            "SELECT at FROM resets WHERE worker = ?1 AND source = ?2",
            (worker, source),
        )
    }
}
