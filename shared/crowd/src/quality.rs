//! Quality control at work: collects what the rules need, and does what they say.

use std::collections::{BTreeSet, VecDeque};

use quorate_toloka::types::{
    Action, ActionParameters, ActionType, CollectorType, Decimal, DurationUnit, QualityConfig,
    RestrictionScope,
};
use rusqlite::types::Value;
use rust_decimal::prelude::FromPrimitive;

use crate::{
    access,
    error::Result,
    lifecycle,
    model::{AssignmentRow, Kind, PoolRow, WorkerRow, money},
    rules::{self, Facts},
    store::{Db, Tx},
    work,
};

/// Something that a worker or reviewer did.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Submitted {
        assignment: String,
    },
    Skipped {
        assignment: String,
    },
    /// Accepted or rejected; `how` names the verdict of a person, and is `None` when accepted at once.
    Reviewed {
        assignment: String,
        how: Option<&'static str>,
    },
}

impl Event {
    /// Whether a collector of this kind counts such an event.
    fn concerns(&self, kind: &CollectorType) -> bool {
        use CollectorType as Type;
        match self {
            Self::Submitted { .. } => matches!(
                kind,
                Type::GoldenSet | Type::MajorityVote | Type::AssignmentSubmitTime
            ),
            Self::Skipped { .. } => matches!(kind, Type::SkippedInRowAssignments),
            Self::Reviewed { how, .. } => match kind {
                Type::Income | Type::AnswerCount | Type::AcceptanceRate => true,
                Type::AssignmentsAssessment => how.is_some(),
                _ => false,
            },
        }
    }
}

/// A collector in its place: whose answers in which pools it counts.
struct Collector<'a> {
    config: &'a QualityConfig,
    uuid: &'a str,
    /// Where it counts: its pool, or all pools of its project.
    pools: Vec<i64>,
}

impl<'a> Collector<'a> {
    fn new(config: &'a QualityConfig, pools: Vec<i64>) -> Self {
        Self {
            config,
            uuid: config.collector_config.uuid.as_deref().unwrap_or_default(),
            pools,
        }
    }

    fn history(&self) -> Option<u32> {
        self.config
            .collector_config
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.history_size)
    }
}

/// Who an action is about.
struct Target<'a> {
    pool: &'a PoolRow,
    worker: i64,
    /// The pages in question: the one that set the rule off, or all of a worker who lost access.
    pages: Vec<i64>,
}

/// What actions set off in their turn.
#[derive(Default)]
struct Effects {
    reviews: VecDeque<Event>,
    access: Vec<AccessChange>,
}

/// A worker's skills or bans changed.
struct AccessChange {
    owner: String,
    user: String,
    reason: Reason,
}

/// Why a worker may have lost access.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// This skill changed.
    Skill(i64),
    Restriction,
}

/// Evaluates the rules of the pool and its project after `events`, and after what follows from them.
pub(crate) fn handle(tx: &Tx<'_>, events: Vec<Event>) -> Result<()> {
    let effects = Effects {
        reviews: events.into(),
        access: Vec::new(),
    };
    settle(tx, effects)
}

/// Evaluates the rules about workers who lost access, after a skill or a ban of a worker changed.
pub(crate) fn access_changed(tx: &Tx<'_>, owner: &str, user: &str, reason: Reason) -> Result<()> {
    let change = AccessChange {
        owner: owner.to_owned(),
        user: user.to_owned(),
        reason,
    };
    let effects = Effects {
        reviews: VecDeque::new(),
        access: vec![change],
    };
    settle(tx, effects)
}

/// First the reviews, then who lost access by them. What the rules about the latter change in skills
/// and bans sets off nothing more: two of them could set each other off for ever.
fn settle(tx: &Tx<'_>, mut effects: Effects) -> Result<()> {
    review_rules(tx, &mut effects)?;
    for change in std::mem::take(&mut effects.access) {
        access_rules(tx, &change, &mut effects)?;
    }
    review_rules(tx, &mut effects)
}

/// Lets the collectors hear of what was done and reviewed, and of what that sets off.
fn review_rules(tx: &Tx<'_>, effects: &mut Effects) -> Result<()> {
    while let Some(event) = effects.reviews.pop_front() {
        let id = match &event {
            Event::Submitted { assignment }
            | Event::Skipped { assignment }
            | Event::Reviewed { assignment, .. } => assignment,
        };
        let assignment = tx.assignment(id)?;
        let pool = tx.pool(assignment.pool)?;
        let project = tx.project(pool.project)?;
        let in_pool = pool.quality().map_or(&[][..], |quality| &quality.configs);
        for config in in_pool {
            let pools = pools_with(tx, config, &pool)?;
            collect(tx, &event, config, pools, &pool, &assignment, effects)?;
        }
        if let Some(quality) = &project.form.quality_control
            && !quality.configs.is_empty()
        {
            let pools = pools_of(tx, project.id)?;
            for config in &quality.configs {
                let pools = pools.clone();
                collect(tx, &event, config, pools, &pool, &assignment, effects)?;
            }
        }
    }
    Ok(())
}

/// Tells the collectors of pools where the worker has worked and may not any more.
fn access_rules(tx: &Tx<'_>, change: &AccessChange, effects: &mut Effects) -> Result<()> {
    let concerned: Vec<i64> = tx.rows(
        "SELECT DISTINCT p.id FROM collectors c
           JOIN pools p ON p.project = c.project AND (c.pool = 0 OR c.pool = p.id)
         WHERE c.owner = ?1 AND c.kind = 'USERS_ASSESSMENT' AND p.status <> 'ARCHIVED'",
        [&change.owner],
        |row| row.get(0),
    )?;
    if concerned.is_empty() {
        return Ok(());
    }
    let Some(worker) = tx.find_worker(&change.user)? else {
        return Ok(());
    };
    for id in concerned {
        let pool = tx.pool(id)?;
        if access::is_admitted(tx, &worker, &pool)? {
            tx.run(
                "DELETE FROM revoked WHERE worker = ?1 AND pool = ?2",
                (worker.n, id),
            )?;
        } else if tx.run(
            "INSERT OR IGNORE INTO revoked (worker, pool) VALUES (?1, ?2)",
            (worker.n, id),
        )? > 0
        {
            access_revoked(tx, &worker, &pool, change.reason, effects)?;
        }
    }
    Ok(())
}

/// Does what the rules of a pool say about a worker who lost access to it.
fn access_revoked(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    pool: &PoolRow,
    reason: Reason,
    effects: &mut Effects,
) -> Result<()> {
    let pages = tx.rows(
        "SELECT n FROM assignments WHERE worker = ?1 AND pool = ?2 AND status = 'ACCEPTED'",
        (worker.n, pool.id),
        |row| row.get(0),
    )?;
    let facts = rules::access_revoked(reason);
    let project = tx.project(pool.project)?;
    let quality = [pool.quality(), project.form.quality_control.as_ref()];
    let configs = quality.into_iter().flatten().flat_map(|one| &one.configs);
    let target = Target {
        pool,
        worker: worker.n,
        pages,
    };
    for config in configs {
        if config.collector_config.kind != CollectorType::UsersAssessment {
            continue;
        }
        let collector = Collector::new(config, vec![pool.id]);
        for action in rules::fired(&config.rules, &facts) {
            apply(tx, action, &collector, &target, &facts, effects)?;
        }
    }
    Ok(())
}

/// The pools that share a pool's collector: clones that kept its id.
fn pools_with(db: &Db<'_>, config: &QualityConfig, pool: &PoolRow) -> Result<Vec<i64>> {
    let mut pools = db.rows(
        "SELECT pool FROM collectors WHERE uuid = ?1 AND owner = ?2 AND pool <> 0",
        (&config.collector_config.uuid, &pool.owner),
        |row| row.get(0),
    )?;
    if pools.is_empty() {
        pools.push(pool.id);
    }
    Ok(pools)
}

fn pools_of(db: &Db<'_>, project: i64) -> Result<Vec<i64>> {
    db.rows(
        "SELECT id FROM pools WHERE project = ?1",
        [project],
        |row| row.get(0),
    )
}

/// One collector hears of one event.
fn collect(
    tx: &Tx<'_>,
    event: &Event,
    config: &QualityConfig,
    pools: Vec<i64>,
    pool: &PoolRow,
    assignment: &AssignmentRow,
    effects: &mut Effects,
) -> Result<()> {
    let kind = &config.collector_config.kind;
    if !event.concerns(kind) {
        return Ok(());
    }
    let collector = Collector::new(config, pools);
    let workers = if *kind == CollectorType::MajorityVote {
        vote(tx, &collector, pool, assignment)?
    } else {
        BTreeSet::from([assignment.worker])
    };
    for worker in workers {
        let facts = facts(tx, &collector, worker, pool, assignment, event)?;
        let target = Target {
            pool,
            worker,
            pages: vec![assignment.n],
        };
        for action in rules::fired(&config.rules, &facts) {
            apply(tx, action, &collector, &target, &facts, effects)?;
        }
    }
    Ok(())
}

/// What a collector knows about a worker.
fn facts(
    db: &Db<'_>,
    collector: &Collector<'_>,
    worker: i64,
    pool: &PoolRow,
    assignment: &AssignmentRow,
    event: &Event,
) -> Result<Facts> {
    use CollectorType as Type;
    let since = db.counts_from(worker, collector.uuid)?;
    let pools = Among::new(&collector.pools);
    let limit = collector.history().map_or(-1, i64::from);
    Ok(match collector.config.collector_config.kind {
        Type::GoldenSet => {
            let pools = golden_pools(db, collector, pool)?;
            let answers = known_answers(db, worker, &pools, since, collector.history())?;
            rules::known_answers(&answers)
        }
        Type::MajorityVote => rules::votes(&db.rows(
            &format!(
                "SELECT score FROM scores WHERE worker = ?1
               AND {among} AND source = ?3 AND at > ?4
             ORDER BY at DESC LIMIT ?5",
                among = pools.condition
            ),
            (worker, &pools.value, collector.uuid, since, limit),
            |row| row.get(0),
        )?),
        Type::AssignmentSubmitTime => {
            let parameters = collector.config.collector_config.parameters.as_ref();
            let threshold = parameters.and_then(|one| one.fast_submit_threshold_seconds);
            let taken = submit_times(db, worker, &pools, since, limit)?;
            rules::submit_times(&taken, threshold.unwrap_or(0))
        }
        Type::Income => Facts::from([(
            "income_sum_for_last_24_hours",
            work::number(income(db, worker, &pools, since)?),
        )]),
        Type::SkippedInRowAssignments => Facts::from([(
            "skipped_in_row_count",
            skipped_in_row(db, worker, &pools, since)?.into(),
        )]),
        Type::AnswerCount => Facts::from([(
            "assignments_accepted_count",
            accepted_count(db, worker, &pools, since)?.into(),
        )]),
        Type::AcceptanceRate => rules::reviews(&reviews(db, worker, &pools, since, limit)?),
        Type::AssignmentsAssessment => assessment(db, assignment, event)?,
        _ => Facts::new(),
    })
}

/// How long the worker's last pages took, in milliseconds. `since` is the
/// event from which on pages count; a negative `limit` is none. The same holds for the functions that
/// follow.
fn submit_times(
    db: &Db<'_>,
    worker: i64,
    pools: &Among,
    since: i64,
    limit: i64,
) -> Result<Vec<i64>> {
    db.rows(
        &format!(
            "SELECT submitted - created FROM assignments WHERE worker = ?1
           AND {among} AND submitted IS NOT NULL AND ended > ?3
         ORDER BY ended DESC LIMIT ?4",
            among = pools.condition
        ),
        (worker, &pools.value, since, limit),
        |row| row.get(0),
    )
}

/// What the worker earned within a day.
fn income(db: &Db<'_>, worker: i64, pools: &Among, since: i64) -> Result<Decimal> {
    let rewards: Vec<Decimal> = db.rows(
        &format!(
            "SELECT reward FROM assignments WHERE worker = ?1
           AND {among} AND status = 'ACCEPTED'
           AND accepted > ?3 AND ended > ?4",
            among = pools.condition
        ),
        (worker, &pools.value, db.now() - 86_400_000, since),
        |row| money(row.get_ref(0)?.as_str()?),
    )?;
    Ok(rewards.iter().sum())
}

/// Pages that the worker skipped since the last one that was submitted.
fn skipped_in_row(db: &Db<'_>, worker: i64, pools: &Among, since: i64) -> Result<i64> {
    db.number(
        &format!(
            "SELECT count(*) FROM assignments WHERE worker = ?1
           AND {among} AND status = 'SKIPPED'
           AND ended > (SELECT coalesce(max(ended), 0) FROM assignments WHERE worker = ?1
             AND {among} AND submitted IS NOT NULL)
           AND ended > ?3",
            among = pools.condition
        ),
        (worker, &pools.value, since),
    )
}

/// Pages of the worker that were accepted.
fn accepted_count(db: &Db<'_>, worker: i64, pools: &Among, since: i64) -> Result<i64> {
    db.number(
        &format!(
            "SELECT count(*) FROM assignments WHERE worker = ?1
           AND {among} AND status = 'ACCEPTED' AND ended > ?3",
            among = pools.condition
        ),
        (worker, &pools.value, since),
    )
}

/// The verdicts on the worker's last pages: accepted or not.
fn reviews(db: &Db<'_>, worker: i64, pools: &Among, since: i64, limit: i64) -> Result<Vec<bool>> {
    db.rows(
        &format!(
            "SELECT status = 'ACCEPTED' FROM assignments WHERE worker = ?1
           AND {among} AND status IN ('ACCEPTED', 'REJECTED')
           AND ended > ?3 ORDER BY ended DESC LIMIT ?4",
            among = pools.condition
        ),
        (worker, &pools.value, since, limit),
        |row| row.get(0),
    )
}

/// The answers to tasks with a known solution, newest first.
pub(crate) fn known_answers(
    db: &Db<'_>,
    worker: i64,
    pools: &[i64],
    since: i64,
    history: Option<u32>,
) -> Result<Vec<(Kind, f64)>> {
    let pools = Among::new(pools);
    db.rows(
        &format!(
            "SELECT kind, score FROM scores WHERE worker = ?1
           AND {among} AND source = 'known' AND at > ?3
         ORDER BY at DESC LIMIT ?4",
            among = pools.condition
        ),
        (worker, &pools.value, since, history.map_or(-1, i64::from)),
        |row| Ok((Kind::from_column(row.get(0)?), row.get(1)?)),
    )
}

/// Where known answers count: collectors with a history share it with the others of the project
/// that have one.
fn golden_pools(db: &Db<'_>, collector: &Collector<'_>, pool: &PoolRow) -> Result<Vec<i64>> {
    let mut pools = collector.pools.clone();
    if collector.history().is_some() {
        let others: Vec<i64> = db.rows(
            "SELECT DISTINCT pool FROM collectors
             WHERE project = ?1 AND pool <> 0 AND kind = 'GOLDEN_SET' AND history",
            [pool.project],
            |row| row.get(0),
        )?;
        pools.extend(others);
        pools.sort_unstable();
        pools.dedup();
    }
    Ok(pools)
}

/// Facts about the suite of a reviewed assignment.
fn assessment(db: &Db<'_>, assignment: &AssignmentRow, event: &Event) -> Result<Facts> {
    let Event::Reviewed { how: Some(how), .. } = event else {
        return Ok(Facts::new());
    };
    let count = |status: &str| {
        db.number(
            "SELECT count(*) FROM assignments WHERE suite = ?1 AND status = ?2",
            (&assignment.suite, status),
        )
    };
    Ok(Facts::from([
        ("assessment_event", (*how).into()),
        ("pending_assignments_count", count("SUBMITTED")?.into()),
        ("accepted_assignments_count", count("ACCEPTED")?.into()),
        ("rejected_assignments_count", count("REJECTED")?.into()),
    ]))
}

/// Scores the real tasks of a page that have all their answers now. Returns whose score changed.
fn vote(
    tx: &Tx<'_>,
    collector: &Collector<'_>,
    pool: &PoolRow,
    assignment: &AssignmentRow,
) -> Result<BTreeSet<i64>> {
    let parameters = collector.config.collector_config.parameters.as_ref();
    let threshold = parameters.and_then(|one| one.answer_threshold).unwrap_or(1);
    let checkpoints = pool
        .quality()
        .and_then(|quality| quality.checkpoints_config.as_ref());
    let selective = checkpoints.is_some_and(|config| config.real_settings.is_some());
    let mut scored = BTreeSet::new();
    for (task, _) in tx.page(assignment.n)? {
        let complete = task.overlap.is_some_and(|overlap| task.done >= overlap);
        if task.kind != Kind::Real || !complete || (selective && !task.checkpoint) {
            continue;
        }
        let answers: Vec<(i64, String)> = tx.rows(
            "SELECT s.worker, a.answer FROM answers a JOIN assignments s ON s.n = a.assignment
             WHERE a.task = ?1 AND s.status IN ('SUBMITTED', 'ACCEPTED') ORDER BY s.ended",
            [task.n],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let texts: Vec<&str> = answers.iter().map(|(_, answer)| answer.as_str()).collect();
        let Some(majority) = rules::majority(&texts, threshold) else {
            continue;
        };
        for (worker, answer) in &answers {
            tx.run(
                "INSERT OR REPLACE INTO scores (worker, pool, source, task, kind, at, score)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
                (
                    worker,
                    pool.id,
                    collector.uuid,
                    task.n,
                    tx.next(),
                    i64::from(answer == majority),
                ),
            )?;
            scored.insert(*worker);
        }
    }
    Ok(scored)
}

/// Does what a rule says. A rule that names what does not exist is reported to the log: the worker
/// whose page set it off is not to blame.
fn apply(
    tx: &Tx<'_>,
    action: &Action,
    collector: &Collector<'_>,
    target: &Target<'_>,
    facts: &Facts,
    effects: &mut Effects,
) -> Result<()> {
    let none = ActionParameters::default();
    let parameters = action.parameters.as_ref().unwrap_or(&none);
    match action.kind {
        ActionType::Restriction | ActionType::RestrictionV2 => {
            restrict(tx, &action.kind, parameters, target, effects)?;
            if collector.config.collector_config.kind == CollectorType::GoldenSet
                && collector.history().is_some()
            {
                tx.forget(target.worker, collector.uuid)?;
            }
        }
        ActionType::SetSkill => {
            let value = parameters.skill_value.map(Decimal::from);
            set_skill(tx, parameters, target, value, effects)?;
        }
        ActionType::SetSkillFromOutputField => {
            let field = parameters.from_field.as_ref();
            let value = field.and_then(|field| rules::output_field(facts, field.as_str()));
            set_skill(tx, parameters, target, value.map(exact), effects)?;
        }
        ActionType::ChangeOverlap => change_overlap(tx, parameters, target)?,
        ActionType::ApproveAllAssignments => {
            effects.reviews.extend(review_all(tx, target, true, None)?);
        }
        ActionType::RejectAllAssignments => {
            let comment = parameters.public_comment.as_deref();
            effects
                .reviews
                .extend(review_all(tx, target, false, comment)?);
        }
        ActionType::CleanCollector => tx.forget(target.worker, collector.uuid)?,
        ActionType::CleanAssignmentsHistory => forget_all(tx, target)?,
        ActionType::SetPoolComplete => {
            if target.pool.is_open() {
                lifecycle::close(tx, target.pool.id, "COMPLETED")?;
            }
        }
        ActionType::Unknown(ref other) => {
            tracing::warn!(pool = target.pool.id, action = %other, "a quality rule has an unknown action");
        }
    }
    Ok(())
}

/// Lets all collectors of the pool count the worker from now on.
fn forget_all(tx: &Tx<'_>, target: &Target<'_>) -> Result<()> {
    let configs = target
        .pool
        .quality()
        .map_or(&[][..], |quality| &quality.configs);
    for config in configs {
        let uuid = config.collector_config.uuid.as_deref().unwrap_or_default();
        tx.forget(target.worker, uuid)?;
    }
    Ok(())
}

/// A rate as an exact number: the digits that a float means.
pub(crate) fn exact(rate: f64) -> Decimal {
    Decimal::from_f64(rate).unwrap_or_default()
}

fn restrict(
    tx: &Tx<'_>,
    kind: &ActionType,
    parameters: &ActionParameters,
    target: &Target<'_>,
    effects: &mut Effects,
) -> Result<()> {
    let minutes = if *kind == ActionType::Restriction {
        parameters
            .duration_days
            .map(|days| i64::from(days) * 24 * 60)
    } else {
        let unit = match parameters.duration_unit {
            Some(DurationUnit::Minutes) => Some(1),
            Some(DurationUnit::Hours) => Some(60),
            Some(DurationUnit::Days) => Some(24 * 60),
            _ => None,
        };
        unit.map(|unit| unit * i64::from(parameters.duration.unwrap_or(1)))
    };
    let scope = parameters.scope.clone().unwrap_or(RestrictionScope::Pool);
    let (project, pool) = match scope {
        RestrictionScope::Pool => (0, target.pool.id),
        RestrictionScope::Project => (target.pool.project, 0),
        _ => (0, 0),
    };
    let user = tx.worker(target.worker)?.id;
    tx.restrict(&Restriction {
        owner: &target.pool.owner,
        // Only the platform itself bans from everything.
        scope: if scope == RestrictionScope::System {
            "ALL_PROJECTS"
        } else {
            scope.as_str()
        },
        user: &user,
        project,
        pool,
        comment: parameters.private_comment.as_deref(),
        will_expire: minutes.map(|minutes| tx.now().saturating_add(minutes * 60_000)),
    })?;
    effects.access.push(AccessChange {
        owner: target.pool.owner.clone(),
        user,
        reason: Reason::Restriction,
    });
    Ok(())
}

/// A ban to be written.
pub(crate) struct Restriction<'a> {
    pub(crate) owner: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) user: &'a str,
    /// 0 unless the scope is `PROJECT`.
    pub(crate) project: i64,
    /// 0 unless the scope is `POOL`.
    pub(crate) pool: i64,
    pub(crate) comment: Option<&'a str>,
    /// `None` is for good.
    pub(crate) will_expire: Option<i64>,
}

impl Tx<'_> {
    /// Bans a worker, or extends the ban that is there; returns its id.
    pub(crate) fn restrict(&self, ban: &Restriction<'_>) -> Result<i64> {
        let id = crate::ids::FIRST_DECIMAL + self.next();
        self.run(
            "INSERT INTO restrictions (id, owner, scope, user, project, pool, comment, will_expire, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (user, owner, scope, project, pool) DO UPDATE SET
               comment = coalesce(?7, comment),
               will_expire = CASE WHEN will_expire IS NULL OR ?8 IS NULL THEN NULL
                                  ELSE max(will_expire, ?8) END",
            (id, ban.owner, ban.scope, ban.user, ban.project, ban.pool, ban.comment, ban.will_expire, self.now()),
        )?;
        self.number(
            "SELECT id FROM restrictions WHERE user = ?1 AND owner = ?2 AND scope = ?3 AND project = ?4 AND pool = ?5",
            (ban.user, ban.owner, ban.scope, ban.project, ban.pool),
        )
    }
}

fn set_skill(
    tx: &Tx<'_>,
    parameters: &ActionParameters,
    target: &Target<'_>,
    value: Option<Decimal>,
    effects: &mut Effects,
) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let skill = parameters
        .skill_id
        .as_deref()
        .and_then(|id| id.parse::<i64>().ok())
        .unwrap_or(0);
    let owned = tx.number(
        "SELECT EXISTS (SELECT 1 FROM skills WHERE id = ?1 AND owner = ?2)",
        (skill, &target.pool.owner),
    )?;
    if owned == 0 {
        tracing::warn!(
            pool = target.pool.id,
            skill,
            "a quality rule sets a skill that does not exist"
        );
        return Ok(());
    }
    let user = tx.worker(target.worker)?.id;
    tx.set_skill(&user, skill, value, None)?;
    effects.access.push(AccessChange {
        owner: target.pool.owner.clone(),
        user,
        reason: Reason::Skill(skill),
    });
    Ok(())
}

/// Asks more or fewer workers about the tasks of the pages in question.
fn change_overlap(tx: &Tx<'_>, parameters: &ActionParameters, target: &Target<'_>) -> Result<()> {
    let delta = parameters.delta.unwrap_or(0);
    for page in &target.pages {
        tx.run(
            "UPDATE tasks SET overlap = max(issued, min(30000, overlap + ?2))
             WHERE overlap IS NOT NULL AND n IN (SELECT task FROM answers WHERE assignment = ?1)",
            (page, delta),
        )?;
        tx.run(
            "UPDATE suites SET overlap = max(issued, min(30000, overlap + ?2))
             WHERE overlap IS NOT NULL AND mixed = 0
               AND id = (SELECT suite FROM assignments WHERE n = ?1)",
            (page, delta),
        )?;
    }
    if parameters.open_pool.unwrap_or(false) && target.pool.status == "CLOSED" {
        lifecycle::open(tx, target.pool)
    } else {
        lifecycle::refresh(tx, target.pool.id)
    }
}

/// Reviews everything of a worker in the pool that waits for it.
fn review_all(
    tx: &Tx<'_>,
    target: &Target<'_>,
    accept: bool,
    comment: Option<&str>,
) -> Result<Vec<Event>> {
    let waiting = tx.rows(
        &format!(
            "{} WHERE worker = ?1 AND pool = ?2 AND status = 'SUBMITTED' ORDER BY n",
            AssignmentRow::SELECT
        ),
        (target.worker, target.pool.id),
        AssignmentRow::read,
    )?;
    let mut events = Vec::new();
    for row in waiting {
        events.extend(work::review(tx, &row, accept, comment)?);
    }
    Ok(events)
}

/// Pools as a condition on the parameter `?2`. One pool is compared as it is, so that an index by
/// pool and time gives the latest without looking at the others.
struct Among {
    condition: &'static str,
    value: Value,
}

impl Among {
    fn new(pools: &[i64]) -> Self {
        if let [pool] = pools {
            return Self {
                condition: "pool = ?2",
                value: Value::Integer(*pool),
            };
        }
        let ids: Vec<String> = pools.iter().map(i64::to_string).collect();
        Self {
            condition: "pool IN (SELECT value FROM json_each(?2))",
            value: Value::Text(format!("[{}]", ids.join(","))),
        }
    }
}
