//! The worker API under `/api/worker/v1`: sign in, see pools, take, submit, skip and leave pages.
//!
//! The reference platform has no public worker API, so this one is ours. The page for people and
//! the simulated workers use it alike. All routes but sign-in need `Authorization: Worker <token>`.

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};
use quorate_toloka::types::{Decimal, Solution, Values};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    access, attachments,
    error::{Error, Result},
    http::{Answer, Body, Id, Query, WorkerToken, json, ok},
    ids, messages,
    model::{AssignmentRow, PoolRow, WorkerRow, decimal_id, money},
    platform::{Platform, blocking},
    store::Db,
    work::{self, Taken},
};

/// The most characters of a login or password.
const MOST_CHARS: usize = 128;

/// How many passwords are stretched at a time: it keeps a processor busy by design, and anybody may
/// ask for it.
static STRETCHING: Semaphore = Semaphore::const_new(2);

/// The most bytes of a request to sign in.
const MOST_SIGN_IN_BYTES: usize = 65_536;

/// The most bytes of a profile.
const MOST_PROFILE_BYTES: usize = 16_384;

/// The routes of the worker API.
pub(crate) fn routes() -> Router<Platform> {
    Router::new()
        .route(
            "/api/worker/v1/workers",
            post(sign_in).layer(DefaultBodyLimit::max(MOST_SIGN_IN_BYTES)),
        )
        .route("/api/worker/v1/me", get(me))
        .route("/api/worker/v1/pools", get(pools))
        .route("/api/worker/v1/pools/{id}/assignments", post(take))
        .route("/api/worker/v1/assignments", get(assignments))
        .route("/api/worker/v1/assignments/{id}/submit", post(submit))
        .route("/api/worker/v1/assignments/{id}/skip", post(skip))
        .route("/api/worker/v1/assignments/{id}/exit", post(exit))
        .merge(attachments::routes())
        .merge(messages::routes())
}

/// What a new worker, or one who comes back, sends.
#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    /// Needed the first time.
    #[serde(default)]
    invite: String,
    #[serde(default)]
    profile: Values,
}

impl SignIn {
    fn check(&self) -> Result<()> {
        for (name, text) in [("login", &self.login), ("password", &self.password)] {
            let length = text.chars().count();
            if length == 0 || length > MOST_CHARS || text.chars().any(char::is_control) {
                let message = format!("{name} must have 1 to {MOST_CHARS} printable characters");
                return Err(Error::field(name, "STRING_LENGTH_OUT_OF_BOUNDS", message));
            }
        }
        if serde_json::to_string(&self.profile)?.len() > MOST_PROFILE_BYTES {
            let message = format!("A profile has at most {MOST_PROFILE_BYTES} bytes");
            return Err(Error::field(
                "profile",
                "OBJECT_SIZE_BYTES_GREATER_THAN_MAX",
                message,
            ));
        }
        Ok(())
    }
}

fn find(db: &Db<'_>, login: &str) -> Result<Option<WorkerRow>> {
    db.row(
        &format!("{} WHERE login = ?1", WorkerRow::SELECT),
        [login],
        WorkerRow::read,
    )
}

fn signed_in(status: StatusCode, p: &Platform, id: &str, salt: &str) -> Answer {
    let token = ids::token(&p.settings().secret, id, salt);
    Ok(json(status, json!({ "worker_id": id, "token": token })))
}

/// Signs a worker up, or in when the login exists.
async fn sign_in(State(p): State<Platform>, body: Body) -> Answer {
    let form: SignIn = body.parse()?;
    form.check()?;
    let login = form.login.clone();
    let known = p.read(move |db| find(db, &login)).await?;
    // One message for every reason, and the password is stretched for each: neither the answer nor
    // its time may tell which logins exist.
    let wrong = || Error::authentication("Login, password or invite is wrong");
    let (salt, rounds) = match &known {
        Some(worker) => (worker.salt.clone(), worker.rounds),
        None => (ids::random_secret(), p.settings().password_rounds),
    };
    // Nobody else waits for it.
    let (password, key) = (form.password.clone(), salt.clone());
    let turn = STRETCHING.acquire().await.map_err(Error::internal)?;
    let stretched = blocking(move || Ok(ids::stretch(&password, &key, rounds))).await?;
    drop(turn);
    if let Some(worker) = known {
        if ids::same_secret(&stretched, &worker.password) {
            return signed_in(StatusCode::OK, &p, &worker.id, &worker.salt);
        }
        return Err(wrong());
    }
    if !ids::same_secret(&form.invite, &p.settings().invite) {
        return Err(wrong());
    }
    let id = ids::account("worker", &form.login);
    let (new, new_salt) = (id.clone(), salt.clone());
    p.write(move |tx| {
        if find(tx, &form.login)?.is_some() {
            return Err(Error::conflict(
                "USER_ALREADY_REGISTERED",
                "Somebody has just taken this login; sign in again",
            ));
        }
        tx.run(
            "INSERT INTO workers (id, login, salt, rounds, password, profile, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                new,
                &form.login,
                new_salt,
                rounds,
                stretched,
                serde_json::to_string(&form.profile)?,
                tx.now(),
            ),
        )?;
        Ok(())
    })
    .await?;
    signed_in(StatusCode::CREATED, &p, &id, &salt)
}

async fn me(State(p): State<Platform>, token: WorkerToken) -> Answer {
    p.read(move |db| {
        let worker = token.worker(db)?;
        let rewards: Vec<(Decimal, i64)> = db.rows(
            "SELECT reward, count(*) FROM assignments WHERE worker = ?1 AND status = 'ACCEPTED' GROUP BY reward",
            [worker.n],
            |row| Ok((money(row.get_ref(0)?.as_str()?)?, row.get(1)?)),
        )?;
        let bonuses: Vec<(Decimal, i64)> = db.rows(
            "SELECT amount, count(*) FROM bonuses WHERE user = ?1 GROUP BY amount",
            [&worker.id],
            |row| Ok((money(row.get_ref(0)?.as_str()?)?, row.get(1)?)),
        )?;
        let paid = rewards.iter().chain(&bonuses);
        let earned: Decimal = paid.map(|(amount, count)| amount * Decimal::from(*count)).sum();
        let banned = db.number(
            "SELECT EXISTS (SELECT 1 FROM restrictions WHERE user = ?1
               AND scope IN ('SYSTEM', 'ALL_PROJECTS') AND (will_expire IS NULL OR will_expire > ?2))",
            (&worker.id, db.now()),
        )? != 0;
        Ok(ok(json!({
            "worker_id": worker.id,
            "login": worker.login,
            "earned": work::number(earned),
            "banned": banned,
        })))
    })
    .await
}

async fn pools(State(p): State<Platform>, token: WorkerToken) -> Answer {
    p.read(move |db| {
        let worker = token.worker(db)?;
        let open = db.rows(
            &format!(
                "{} WHERE status = 'OPEN' ORDER BY priority DESC, id",
                PoolRow::SELECT
            ),
            [],
            PoolRow::read,
        )?;
        let mut items = Vec::new();
        for pool in open {
            items.extend(offer(db, &worker, &pool)?);
        }
        Ok(ok(json!({ "items": items })))
    })
    .await
}

/// A pool as a worker sees it, if there is a page for this worker now.
fn offer(db: &Db<'_>, worker: &WorkerRow, pool: &PoolRow) -> Result<Option<Value>> {
    let project = db.project(pool.project)?;
    if access::denied(db, worker, pool, &project)?.is_some()
        || access::next_page(db, worker, pool)?.is_none()
    {
        return Ok(None);
    }
    let form = &pool.form;
    let description = form
        .public_description
        .as_ref()
        .or(project.form.public_description.as_ref())
        .map_or("", String::as_str);
    Ok(Some(json!({
        "pool_id": pool.id.to_string(),
        "project_id": project.id.to_string(),
        "title": project.form.public_name,
        "description": description,
        "instructions": pool.instructions(&project),
        "reward": work::number(access::reward(db, worker, pool)?),
        "training": pool.is_training(),
        "assignment_max_duration_seconds": pool.max_duration_millis() / 1000,
        "task_spec": project.spec(),
    })))
}

async fn take(State(p): State<Platform>, token: WorkerToken, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let pool = tx
            .find_pool(decimal_id("pool", &id)?)?
            .ok_or_else(|| Error::not_found("pool", &id))?;
        Ok(ok(match work::take(tx, &worker, &pool)? {
            Taken::Page(row) => json!({ "assignment": work::view(tx, &row)? }),
            Taken::Nothing(no) => json!({ "assignment": null, "reason": no.code() }),
        }))
    })
    .await
}

async fn assignments(State(p): State<Platform>, token: WorkerToken, query: Query) -> Answer {
    p.read(move |db| {
        let worker = token.worker(db)?;
        let status = query.0.get("status").map_or("ACTIVE", String::as_str);
        let rows = db.rows(
            &format!(
                "{} WHERE worker = ?1 AND status = ?2 ORDER BY n DESC LIMIT 100",
                AssignmentRow::SELECT
            ),
            (worker.n, status),
            AssignmentRow::read,
        )?;
        let items: Result<Vec<Value>> = rows.iter().rev().map(|row| work::view(db, row)).collect();
        Ok(ok(json!({ "items": items? })))
    })
    .await
}

/// The answers to a page, in the order of its tasks.
#[derive(Deserialize)]
struct Submit {
    solutions: Vec<Solution>,
}

async fn submit(State(p): State<Platform>, token: WorkerToken, Id(id): Id, body: Body) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let form: Submit = body.parse_batch()?;
        let solutions: Vec<Values> = form
            .solutions
            .into_iter()
            .map(|one| one.output_values)
            .collect();
        let done = work::submit(tx, &worker, &id, &solutions)?;
        let hints: Vec<Value> = done
            .hints
            .into_iter()
            .map(|(index, message)| json!({ "task_index": index, "message": message }))
            .collect();
        Ok(ok(json!({ "status": done.status, "hints": hints })))
    })
    .await
}

async fn skip(State(p): State<Platform>, token: WorkerToken, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        Ok(ok(json!({ "status": work::skip(tx, &worker, &id)? })))
    })
    .await
}

async fn exit(State(p): State<Platform>, token: WorkerToken, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        Ok(ok(json!({ "status": work::exit(tx, &worker, &id)? })))
    })
    .await
}
