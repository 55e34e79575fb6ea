//! Rows of the database and the wire types they become.

use quorate_toloka::types::{
    Decimal, Defaults, MixerConfig, Owner, Pool, PoolType, Project, QualityControl, Skill, Task,
    TaskSpec, Time, Training, TrainingConfig, UserRestriction, UserSkill, Values,
};
use rusqlite::Row;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock,
    error::{Error, Result},
    store::{Db, Tx},
};

/// The overlap that stands for "any number" in a training.
const TRAINING_OVERLAP: u32 = 30_000;

/// How long a training page may take when the requester does not say.
const TRAINING_SECONDS: u32 = 24 * 60 * 60;

/// A time on the wire.
pub(crate) fn wire(millis: i64) -> Time {
    clock::timestamp(millis).into()
}

/// Reads JSON that the platform wrote into a text column.
pub(crate) fn from_column<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

fn to_column(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Reads money that the platform wrote into a text column.
pub(crate) fn money(text: &str) -> rusqlite::Result<Decimal> {
    text.parse().map_err(|error: rust_decimal::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

/// A decimal id on the wire; a text that is no number belongs to nothing.
pub(crate) fn decimal_id(what: &str, id: &str) -> Result<i64> {
    id.parse().map_err(|_| Error::not_found(what, id))
}

pub(crate) fn owner(id: &str) -> Owner {
    Owner {
        id: Some(id.to_owned()),
        myself: Some(true),
        ..Owner::default()
    }
}

/// Refuses what belongs to another account.
pub(crate) fn owned_by(owner: &str, who: &str, what: &str, id: &str) -> Result<()> {
    if owner == who {
        Ok(())
    } else {
        Err(Error::denied(what, id))
    }
}

/// What kind of task it is, by what the requester said about its solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Real,
    Golden,
    Training,
}

impl Kind {
    pub(crate) fn of(task: &Task) -> Self {
        match (&task.known_solutions, &task.message_on_unknown_solution) {
            (Some(known), hint) if !known.is_empty() => {
                if hint.as_ref().is_some_and(|hint| !hint.is_empty()) {
                    Self::Training
                } else {
                    Self::Golden
                }
            }
            _ => Self::Real,
        }
    }

    pub(crate) fn column(self) -> i64 {
        match self {
            Self::Real => 0,
            Self::Golden => 1,
            Self::Training => 2,
        }
    }

    pub(crate) fn from_column(kind: i64) -> Self {
        match kind {
            1 => Self::Golden,
            2 => Self::Training,
            _ => Self::Real,
        }
    }
}

/// A project.
pub(crate) struct ProjectRow {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) status: String,
    pub(crate) created: i64,
    pub(crate) form: Project,
}

impl ProjectRow {
    pub(crate) const SELECT: &str = "SELECT id, owner, status, created, body FROM projects";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            owner: row.get(1)?,
            status: row.get(2)?,
            created: row.get(3)?,
            form: from_column(row.get_ref(4)?.as_str()?)?,
        })
    }

    pub(crate) fn wire(self) -> Project {
        Project {
            id: self.id.to_string(),
            status: Some(self.status.into()),
            created: Some(wire(self.created)),
            owner: Some(owner(&self.owner)),
            ..self.form
        }
    }

    pub(crate) fn spec(&self) -> TaskSpec {
        self.form.task_spec.clone().unwrap_or_default()
    }
}

/// What of a project is kept: what the requester may set.
pub(crate) fn project_body(form: &Project) -> Result<String> {
    to_column(&Project {
        id: String::new(),
        status: None,
        created: None,
        owner: None,
        other: Values::new(),
        ..form.clone()
    })
}

/// A pool or training.
pub(crate) struct PoolRow {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) project: i64,
    pub(crate) status: String,
    pub(crate) last_close_reason: Option<String>,
    pub(crate) created: i64,
    pub(crate) last_started: Option<i64>,
    pub(crate) last_stopped: Option<i64>,
    pub(crate) priority: i32,
    /// The training's skill.
    pub(crate) skill: Option<i64>,
    pub(crate) will_expire: Option<i64>,
    pub(crate) close_at: Option<i64>,
    pub(crate) last_added: i64,
    /// Settings as a pool; those of a training are translated.
    pub(crate) form: Pool,
    /// The settings of a training as the requester wrote them.
    pub(crate) training: Option<Training>,
}

impl PoolRow {
    pub(crate) const SELECT: &str = "SELECT id, owner, project, training, status, \
        last_close_reason, created, last_started, last_stopped, priority, skill, will_expire, \
        close_at, last_added, body FROM pools";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let body = row.get_ref(14)?.as_str()?;
        let training: Option<Training> = if row.get(3)? {
            Some(from_column(body)?)
        } else {
            None
        };
        Ok(Self {
            id: row.get(0)?,
            owner: row.get(1)?,
            project: row.get(2)?,
            status: row.get(4)?,
            last_close_reason: row.get(5)?,
            created: row.get(6)?,
            last_started: row.get(7)?,
            last_stopped: row.get(8)?,
            priority: row.get(9)?,
            skill: row.get(10)?,
            will_expire: row.get(11)?,
            close_at: row.get(12)?,
            last_added: row.get(13)?,
            form: match &training {
                Some(training) => training_as_pool(training),
                None => from_column(body)?,
            },
            training,
        })
    }

    /// What workers read before the first page: its own instructions, else the project's.
    pub(crate) fn instructions<'a>(&'a self, project: &'a ProjectRow) -> &'a str {
        let own = self.form.public_instructions.as_deref();
        own.or(project.form.public_instructions.as_deref())
            .unwrap_or_default()
    }

    pub(crate) fn is_training(&self) -> bool {
        self.training.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status == "OPEN"
    }

    pub(crate) fn noun(&self) -> &'static str {
        if self.is_training() {
            "training"
        } else {
            "pool"
        }
    }

    pub(crate) fn wire(self) -> Pool {
        Pool {
            id: self.id.to_string(),
            project_id: self.project.to_string(),
            kind: Some(if self.training.is_some() {
                PoolType::Training
            } else {
                PoolType::Regular
            }),
            training: Some(self.training.is_some()),
            priority: Some(self.priority),
            status: Some(self.status.into()),
            last_close_reason: self.last_close_reason.map(Into::into),
            created: Some(wire(self.created)),
            last_started: self.last_started.map(wire),
            last_stopped: self.last_stopped.map(wire),
            owner: Some(owner(&self.owner)),
            ..self.form
        }
    }

    pub(crate) fn wire_training(self) -> Result<Training> {
        let id = self.id.to_string();
        let training = self
            .training
            .ok_or_else(|| Error::not_found("training", &id))?;
        Ok(Training {
            id,
            project_id: self.project.to_string(),
            status: Some(self.status.into()),
            last_close_reason: self.last_close_reason.map(Into::into),
            created: Some(wire(self.created)),
            last_started: self.last_started.map(wire),
            last_stopped: self.last_stopped.map(wire),
            owner: Some(owner(&self.owner)),
            ..training
        })
    }

    pub(crate) fn mixer(&self) -> MixerConfig {
        self.form.mixer_config.clone().unwrap_or_default()
    }

    pub(crate) fn quality(&self) -> Option<&QualityControl> {
        self.form.quality_control.as_ref()
    }

    pub(crate) fn auto_accepts(&self) -> bool {
        self.form.auto_accept_solutions.unwrap_or(true)
    }

    pub(crate) fn max_duration_millis(&self) -> i64 {
        i64::from(
            self.form
                .assignment_max_duration_seconds
                .unwrap_or(TRAINING_SECONDS),
        ) * 1000
    }
}

/// A training seen as a pool: unpaid, any number of answers, pages of training tasks only.
fn training_as_pool(training: &Training) -> Pool {
    Pool {
        private_name: training.private_name.clone(),
        public_instructions: training.public_instructions.clone(),
        may_contain_adult_content: training.may_contain_adult_content,
        reward_per_assignment: Some(Decimal::ZERO),
        assignment_max_duration_seconds: Some(
            training
                .assignment_max_duration_seconds
                .unwrap_or(TRAINING_SECONDS),
        ),
        auto_accept_solutions: Some(true),
        mixer_config: Some(MixerConfig {
            training_tasks_count: training.training_tasks_in_task_suite_count.unwrap_or(0),
            mix_tasks_in_creation_order: Some(training.mix_tasks_in_creation_order.unwrap_or(true)),
            shuffle_tasks_in_task_suite: Some(training.shuffle_tasks_in_task_suite.unwrap_or(true)),
            ..MixerConfig::default()
        }),
        training_config: Some(TrainingConfig {
            training_skill_ttl_days: training.retry_training_after_days,
            other: Values::new(),
        }),
        defaults: Some(Defaults {
            default_overlap_for_new_task_suites: Some(TRAINING_OVERLAP),
            ..Defaults::default()
        }),
        metadata: training.metadata.clone(),
        ..Pool::default()
    }
}

/// What of a pool is kept: what the requester may set.
pub(crate) fn pool_body(form: &Pool) -> Result<String> {
    to_column(&Pool {
        id: String::new(),
        project_id: String::new(),
        kind: None,
        training: None,
        training_config: None,
        priority: None,
        status: None,
        last_close_reason: None,
        created: None,
        last_started: None,
        last_stopped: None,
        owner: None,
        other: Values::new(),
        ..form.clone()
    })
}

/// What of a training is kept: what the requester may set.
pub(crate) fn training_body(form: &Training) -> Result<String> {
    to_column(&Training {
        id: String::new(),
        project_id: String::new(),
        status: None,
        last_close_reason: None,
        created: None,
        last_started: None,
        last_stopped: None,
        owner: None,
        other: Values::new(),
        ..form.clone()
    })
}

/// A task with its counts.
pub(crate) struct TaskRow {
    pub(crate) n: i64,
    pub(crate) id: String,
    pub(crate) pool: i64,
    pub(crate) kind: Kind,
    /// `None` is infinite.
    pub(crate) overlap: Option<i64>,
    pub(crate) issued: i64,
    pub(crate) done: i64,
    pub(crate) created: i64,
    /// The task suite that the requester put it in.
    pub(crate) suite: Option<i64>,
    /// Whether it was chosen for a selective majority vote.
    pub(crate) checkpoint: bool,
    pub(crate) form: Task,
}

impl TaskRow {
    pub(crate) const SELECT: &str = "SELECT n, id, pool, kind, overlap, issued, done, created, body, suite, checkpoint FROM tasks";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get(0)?,
            id: row.get(1)?,
            pool: row.get(2)?,
            kind: Kind::from_column(row.get(3)?),
            overlap: row.get(4)?,
            issued: row.get(5)?,
            done: row.get(6)?,
            created: row.get(7)?,
            form: from_column(row.get_ref(8)?.as_str()?)?,
            suite: row.get(9)?,
            checkpoint: row.get(10)?,
        })
    }

    pub(crate) fn wire(self) -> Task {
        let overlap = self.overlap.and_then(|overlap| u32::try_from(overlap).ok());
        let remaining = self
            .overlap
            .map(|overlap| u32::try_from((overlap - self.issued).max(0)).unwrap_or(0));
        Task {
            id: self.id,
            pool_id: self.pool.to_string(),
            overlap,
            infinite_overlap: Some(self.overlap.is_none()),
            remaining_overlap: remaining,
            created: Some(wire(self.created)),
            ..self.form
        }
    }
}

/// What of a task is kept: what the requester may set.
pub(crate) fn task_body(form: &Task) -> Result<String> {
    to_column(&Task {
        id: String::new(),
        pool_id: String::new(),
        overlap: None,
        infinite_overlap: None,
        remaining_overlap: None,
        created: None,
        origin_task_id: None,
        other: Values::new(),
        ..form.clone()
    })
}

/// A worker.
pub(crate) struct WorkerRow {
    pub(crate) n: i64,
    pub(crate) id: String,
    pub(crate) login: String,
    pub(crate) salt: String,
    pub(crate) rounds: u32,
    pub(crate) password: String,
    pub(crate) profile: Values,
    pub(crate) taken: i64,
}

impl WorkerRow {
    pub(crate) const SELECT: &str =
        "SELECT n, id, login, salt, rounds, password, profile, taken FROM workers";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get(0)?,
            id: row.get(1)?,
            login: row.get(2)?,
            salt: row.get(3)?,
            rounds: row.get(4)?,
            password: row.get(5)?,
            profile: from_column(row.get_ref(6)?.as_str()?)?,
            taken: row.get(7)?,
        })
    }
}

/// One worker's work on one page.
pub(crate) struct AssignmentRow {
    pub(crate) n: i64,
    pub(crate) id: String,
    pub(crate) suite: String,
    /// Whether the platform made the task suite.
    pub(crate) mixed: bool,
    pub(crate) pool: i64,
    pub(crate) worker: i64,
    pub(crate) status: String,
    pub(crate) reward: Decimal,
    pub(crate) created: i64,
    pub(crate) submitted: Option<i64>,
    pub(crate) accepted: Option<i64>,
    pub(crate) rejected: Option<i64>,
    pub(crate) skipped: Option<i64>,
    pub(crate) expired: Option<i64>,
    pub(crate) deadline: Option<i64>,
    pub(crate) comment: Option<String>,
    /// The solutions that were declined first.
    pub(crate) first: Option<Vec<Values>>,
    /// The digest of the solutions that were taken.
    pub(crate) sent: Option<String>,
    /// What the requester pays: the reward and the fee.
    pub(crate) cost: Decimal,
}

impl AssignmentRow {
    pub(crate) const SELECT: &str = "SELECT n, id, suite, pool, worker, status, reward, created, \
        submitted, accepted, rejected, skipped, expired, deadline, comment, first, sent, cost, mixed \
        FROM assignments";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let first: Option<String> = row.get(15)?;
        Ok(Self {
            n: row.get(0)?,
            id: row.get(1)?,
            suite: row.get(2)?,
            pool: row.get(3)?,
            worker: row.get(4)?,
            status: row.get(5)?,
            reward: money(row.get_ref(6)?.as_str()?)?,
            created: row.get(7)?,
            submitted: row.get(8)?,
            accepted: row.get(9)?,
            rejected: row.get(10)?,
            skipped: row.get(11)?,
            expired: row.get(12)?,
            deadline: row.get(13)?,
            comment: row.get(14)?,
            first: first.as_deref().map(from_column).transpose()?,
            sent: row.get(16)?,
            cost: money(row.get_ref(17)?.as_str()?)?,
            mixed: row.get(18)?,
        })
    }
}

/// A skill.
pub(crate) struct SkillRow {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) training: bool,
    pub(crate) created: i64,
    pub(crate) form: Skill,
}

impl SkillRow {
    pub(crate) const SELECT: &str = "SELECT id, owner, training, created, body FROM skills";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            owner: row.get(1)?,
            training: row.get(2)?,
            created: row.get(3)?,
            form: from_column(row.get_ref(4)?.as_str()?)?,
        })
    }

    pub(crate) fn wire(self) -> Skill {
        Skill {
            id: self.id.to_string(),
            training: Some(self.training),
            global: Some(false),
            created: Some(wire(self.created)),
            owner: Some(owner(&self.owner)),
            ..self.form
        }
    }
}

/// What of a skill is kept: what the requester may set.
pub(crate) fn skill_body(form: &Skill) -> Result<String> {
    to_column(&Skill {
        id: String::new(),
        training: None,
        global: None,
        created: None,
        owner: None,
        hidden: Some(form.hidden.unwrap_or(true)),
        other: Values::new(),
        ..form.clone()
    })
}

/// Columns of [`user_skill`].
pub(crate) const USER_SKILL: &str =
    "SELECT id, skill, user, value, created, modified FROM user_skills";

/// A worker's value of a skill.
pub(crate) fn user_skill(row: &Row<'_>) -> rusqlite::Result<UserSkill> {
    use rust_decimal::prelude::ToPrimitive;
    let value = money(row.get_ref(3)?.as_str()?)?;
    Ok(UserSkill {
        id: row.get::<_, i64>(0)?.to_string(),
        skill_id: row.get::<_, i64>(1)?.to_string(),
        user_id: row.get(2)?,
        value: value
            .round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
            .to_i64(),
        exact_value: Some(value),
        created: Some(wire(row.get(4)?)),
        modified: Some(wire(row.get(5)?)),
        other: Values::new(),
    })
}

/// Columns of [`restriction`].
pub(crate) const RESTRICTION: &str =
    "SELECT id, scope, user, project, pool, comment, will_expire, created FROM restrictions";

/// A ban.
pub(crate) fn restriction(row: &Row<'_>) -> rusqlite::Result<UserRestriction> {
    let named = |id: i64| (id != 0).then(|| id.to_string());
    Ok(UserRestriction {
        id: row.get::<_, i64>(0)?.to_string(),
        scope: row.get::<_, String>(1)?.into(),
        user_id: row.get(2)?,
        project_id: named(row.get(3)?),
        pool_id: named(row.get(4)?),
        private_comment: row.get(5)?,
        will_expire: row.get::<_, Option<i64>>(6)?.map(wire),
        created: Some(wire(row.get(7)?)),
        other: Values::new(),
    })
}

impl Db<'_> {
    pub(crate) fn project(&self, id: i64) -> Result<ProjectRow> {
        self.row(
            &format!("{} WHERE id = ?1", ProjectRow::SELECT),
            [id],
            ProjectRow::read,
        )?
        .ok_or_else(|| Error::not_found("project", &id.to_string()))
    }

    pub(crate) fn find_pool(&self, id: i64) -> Result<Option<PoolRow>> {
        self.row(
            &format!("{} WHERE id = ?1", PoolRow::SELECT),
            [id],
            PoolRow::read,
        )
    }

    /// A pool or training.
    pub(crate) fn pool(&self, id: i64) -> Result<PoolRow> {
        self.find_pool(id)?
            .ok_or_else(|| Error::not_found("pool", &id.to_string()))
    }

    /// A pool or training of `who`, by its id on the wire.
    pub(crate) fn pool_of(&self, who: &str, id: &str) -> Result<PoolRow> {
        let pool = self
            .find_pool(decimal_id("pool", id)?)?
            .ok_or_else(|| Error::not_found("pool", id))?;
        owned_by(&pool.owner, who, "pool", id)?;
        Ok(pool)
    }

    /// A worker by the id on the wire.
    pub(crate) fn find_worker(&self, id: &str) -> Result<Option<WorkerRow>> {
        self.row(
            &format!("{} WHERE id = ?1", WorkerRow::SELECT),
            [id],
            WorkerRow::read,
        )
    }

    pub(crate) fn worker(&self, n: i64) -> Result<WorkerRow> {
        self.row(
            &format!("{} WHERE n = ?1", WorkerRow::SELECT),
            [n],
            WorkerRow::read,
        )?
        .ok_or_else(|| Error::not_found("worker", &n.to_string()))
    }

    pub(crate) fn assignment(&self, id: &str) -> Result<AssignmentRow> {
        self.row(
            &format!("{} WHERE id = ?1", AssignmentRow::SELECT),
            [id],
            AssignmentRow::read,
        )?
        .ok_or_else(|| Error::not_found("assignment", id))
    }

    /// The tasks of an assignment with the answers, in the page's order.
    pub(crate) fn page(&self, assignment: i64) -> Result<Vec<(TaskRow, Option<Values>)>> {
        self.rows(
            "SELECT t.n, t.id, t.pool, t.kind, t.overlap, t.issued, t.done, t.created, t.body, t.suite,
               t.checkpoint, a.answer FROM answers a JOIN tasks t ON t.n = a.task WHERE a.assignment = ?1 ORDER BY a.position",
            [assignment],
            |row| {
                let answer: Option<String> = row.get(11)?;
                Ok((
                    TaskRow::read(row)?,
                    answer.as_deref().map(from_column).transpose()?,
                ))
            },
        )
    }

    /// A worker's value of a skill.
    pub(crate) fn skill_value(&self, user: &str, skill: i64) -> Result<Option<Decimal>> {
        self.row(
            "SELECT value FROM user_skills WHERE skill = ?1 AND user = ?2",
            (skill, user),
            |row| money(row.get_ref(0)?.as_str()?),
        )
    }
}

impl Tx<'_> {
    /// Makes a row for a new skill and returns its id.
    pub(crate) fn add_skill(&self, who: &str, form: &Skill, training: bool) -> Result<i64> {
        let id = self.next_decimal("skills")?;
        self.run(
            "INSERT INTO skills (id, owner, name, training, created, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (id, who, &form.name, training, self.now(), skill_body(form)?),
        )?;
        Ok(id)
    }

    /// Gives a worker a value of a skill. Its time to live starts again; `ttl` (milliseconds)
    /// replaces the skill's own.
    pub(crate) fn set_skill(
        &self,
        user: &str,
        skill: i64,
        value: Decimal,
        ttl: Option<i64>,
    ) -> Result<()> {
        let Some(row) = self.row(
            &format!("{} WHERE id = ?1", SkillRow::SELECT),
            [skill],
            SkillRow::read,
        )?
        else {
            return Err(Error::not_found("skill", &skill.to_string()));
        };
        let own = row
            .form
            .skill_ttl_hours
            .map(|hours| i64::from(hours) * 3_600_000);
        let expires = ttl.or(own).map(|ttl| self.now().saturating_add(ttl));
        let id = crate::ids::FIRST_DECIMAL + self.next();
        let value = value.clamp(Decimal::ZERO, Decimal::ONE_HUNDRED).normalize();
        self.run(
            "INSERT INTO user_skills (id, skill, owner, user, value, created, modified, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)
             ON CONFLICT (skill, user) DO UPDATE SET value = ?5, modified = ?6, expires = ?7",
            (
                id,
                skill,
                row.owner,
                user,
                value.to_string(),
                self.now(),
                expires,
            ),
        )?;
        Ok(())
    }
}
