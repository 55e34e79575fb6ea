//! How often a requester may ask: so many requests a second, and quotas of some methods per minute,
//! hour and day, in the numbers of [`quorate_toloka::limits`].
//!
//! A quota's minute, hour or day is the one of the machine's clock, however fast platform time runs:
//! a client that is told to wait waits in it. (Token buckets such as governor's would let through
//! twice a quota within its interval, or need a second one beside them for each.) A request that is
//! let through counts, whatever becomes of it; where created objects are counted, those that it
//! holds. What is used is kept in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{FromRequest as _, FromRequestParts as _, MatchedPath, Request, State},
    http::header::RETRY_AFTER,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use quorate_toloka::{
    limits::{self, Quota},
    types::Pool,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    error::{Error, Result},
    http::{Body, Requester},
    platform::Platform,
};

/// What is counted over: its length in milliseconds and, for a quota, its name on the wire.
const INTERVALS: [(i64, Option<&str>); 4] = [
    (1_000, None),
    (60_000, Some("MIN")),
    (3_600_000, Some("HOUR")),
    (86_400_000, Some("DAY")),
];

/// What requesters have used.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<(String, &'static str), [Used; INTERVALS.len()]>>);

/// What is used within one interval, which is counted from 1970.
#[derive(Clone, Copy, Default)]
struct Used {
    interval: i64,
    count: u32,
}

/// What a request needs.
struct Cost {
    /// What there may be so many of.
    of: &'static str,
    /// The most in each of [`INTERVALS`].
    most: [Option<u32>; INTERVALS.len()],
    amount: u32,
}

impl Cost {
    /// One request of those that a requester may make in a second.
    fn request() -> Self {
        Self {
            of: "requests",
            most: [Some(limits::REQUESTS_PER_SECOND), None, None, None],
            amount: 1,
        }
    }

    /// One of a quota.
    fn one(of: &'static str, quota: Quota) -> Self {
        Self {
            of,
            most: [None, quota.per_minute, quota.per_hour, quota.per_day],
            amount: 1,
        }
    }

    /// One of a quota for each object of a body, which is an array or one.
    fn each(of: &'static str, quota: Quota, body: &[u8]) -> Self {
        let items = serde_json::from_slice::<Vec<IgnoredAny>>(body);
        Self {
            amount: items.map_or(1, |items| u32::try_from(items.len()).unwrap_or(u32::MAX)),
            ..Self::one(of, quota)
        }
    }
}

impl Limits {
    /// Counts what a request needs, or nothing when there is not enough.
    fn spend(&self, now: i64, who: &str, cost: &Cost) -> std::result::Result<(), Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry((who.to_owned(), cost.of)).or_default();
        for ((used, most), (millis, name)) in used.iter_mut().zip(cost.most).zip(INTERVALS) {
            let interval = now.div_euclid(millis);
            if used.interval != interval {
                *used = Used { interval, count: 0 };
            }
            let after = used.count.saturating_add(cost.amount);
            if let Some(most) = most.filter(|most| after > *most) {
                let wait = millis - now.rem_euclid(millis);
                return Err(Refusal::over(cost.of, most, name, wait));
            }
        }
        for used in used {
            used.count = used.count.saturating_add(cost.amount);
        }
        Ok(())
    }
}

/// Why a request is not let through.
struct Refusal {
    error: Error,
    /// Seconds to wait.
    retry_after: Option<u64>,
}

impl Refusal {
    /// There are no more than `most` in an interval, which ends in `wait` milliseconds.
    fn over(of: &str, most: u32, interval: Option<&str>, wait: i64) -> Self {
        let seconds = wait.unsigned_abs().div_ceil(1_000);
        let each = match interval {
            None => "second",
            Some("MIN") => "minute",
            Some("HOUR") => "hour",
            Some(_) => "day",
        };
        let message = format!("At most {most} {of} a {each}; go on in {seconds} s");
        Self {
            error: Error::too_many(message, interval),
            retry_after: Some(seconds),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Keeps requesters within their limits, if the platform has any.
pub(crate) fn guard(platform: &Platform, routes: Router<Platform>) -> Router<Platform> {
    if platform.limits().is_none() {
        return routes;
    }
    routes.route_layer(from_fn_with_state(platform.clone(), check))
}

async fn check(State(p): State<Platform>, request: Request, next: Next) -> Response {
    match admit(&p, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The request again when it is within the limits.
async fn admit(p: &Platform, request: Request) -> std::result::Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    let who = Requester::from_request_parts(&mut parts, p).await;
    let (Ok(who), Some(limits)) = (who, p.limits()) else {
        // Nobody's request; the handler says why.
        return Ok(Request::from_parts(parts, body));
    };
    let now = p.clock().machine_millis();
    limits.spend(now, &who.0, &Cost::request())?;
    let body = Body::from_request(Request::from_parts(parts.clone(), body), p)
        .await?
        .into_bytes();
    let route = parts.extensions.get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let cost = match (parts.method.as_str(), route) {
        ("PUT", "/api/v1/pools/{id}") => {
            let id = parts.uri.path().rsplit('/').next().unwrap_or_default();
            let changes = changes_overlap(p, &who.0, id, &body).await?;
            changes.then(|| Cost::one("changes of a default overlap", limits::UPDATE_POOL_OVERLAP))
        }
        (method, route) => cost(method, route, &body),
    };
    if let Some(cost) = cost {
        limits.spend(now, &who.0, &cost)?;
    }
    Ok(Request::from_parts(parts, body.into()))
}

/// What a request needs of a quota, if its method has one.
fn cost(method: &str, route: &str, body: &[u8]) -> Option<Cost> {
    Some(match (method, route) {
        ("POST", "/api/v1/projects") => Cost::one("new projects", limits::CREATE_CONTAINERS),
        ("POST", "/api/v1/pools") => Cost::one("new pools", limits::CREATE_CONTAINERS),
        ("POST", "/api/v1/trainings") => Cost::one("new trainings", limits::CREATE_CONTAINERS),
        ("POST", "/api/v1/pools/{id}/clone") => Cost::one("clones of pools", limits::CLONE),
        ("POST", "/api/v1/trainings/{id}/clone") => Cost::one("clones of trainings", limits::CLONE),
        ("POST", "/api/v1/skills") => Cost::one("new skills", limits::CREATE_SKILLS),
        ("POST", "/api/v1/tasks") => Cost::each("new tasks", limits::CREATE_TASKS, body),
        ("POST", "/api/v1/task-suites") => {
            Cost::each("new task suites", limits::CREATE_TASK_SUITES, body)
        }
        ("PUT", "/api/v1/user-skills") => Cost::one("user skills", limits::SET_USER_SKILLS),
        ("POST", "/api/v1/user-bonuses") => {
            Cost::one("requests for bonuses", limits::CREATE_USER_BONUSES)
        }
        ("POST", "/api/v1/aggregated-solutions/aggregate-by-pool") => {
            Cost::one("aggregations", limits::AGGREGATE_BY_POOL)
        }
        ("GET", "/api/v1/aggregated-solutions/{id}") => {
            Cost::one("requests for aggregations", limits::AGGREGATE_BY_POOL)
        }
        ("POST", "/api/v1/message-threads/compose") => message(body),
        _ => return None,
    })
}

/// What a message needs: there are fewer for those to all workers.
fn message(body: &[u8]) -> Cost {
    #[derive(Deserialize)]
    struct Message {
        recipients_select_type: String,
    }
    match serde_json::from_slice(body) {
        Ok(Message {
            recipients_select_type,
        }) if recipients_select_type == "ALL" => {
            Cost::one("messages to all workers", limits::MESSAGE_ALL)
        }
        _ => Cost::one("messages", limits::MESSAGE_CHOSEN),
    }
}

/// Whether a body gives a pool other default overlaps than it has.
async fn changes_overlap(p: &Platform, who: &str, pool: &str, body: &[u8]) -> Result<bool> {
    let Ok(form) = serde_json::from_slice::<Pool>(body) else {
        return Ok(false);
    };
    let (who, pool) = (who.to_owned(), pool.to_owned());
    let old = p.read(move |db| Ok(db.pool_of(&who, &pool)?.form)).await?;
    let overlaps = |pool: Pool| {
        let defaults = pool.defaults.unwrap_or_default();
        (
            defaults.default_overlap_for_new_tasks,
            defaults.default_overlap_for_new_task_suites,
        )
    };
    Ok(overlaps(form) != overlaps(old))
}
