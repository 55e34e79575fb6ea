//! What the platform is doing, in numbers, for Prometheus: `GET /metrics`.
//!
//! Requests are counted here as they come. Numbers of the state are read from the database when
//! somebody asks; what would take long to count is kept there as sums.
//! Labels name routes and states only, never who or what was asked for.

use std::{collections::BTreeMap, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};

use crate::{
    error::{Error, Result},
    http::{Answer, Watcher},
    platform::Platform,
    store::Db,
};

/// What every name begins with.
const PREFIX: &str = "quorate_crowd";

/// The format of the answer.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds that split the times of answers.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The states of pools.
const POOLS: [&str; 3] = ["OPEN", "CLOSED", "ARCHIVED"];

/// The states of assignments.
const ASSIGNMENTS: [&str; 6] = [
    "ACTIVE",
    "SUBMITTED",
    "ACCEPTED",
    "REJECTED",
    "SKIPPED",
    "EXPIRED",
];

/// The route that all requests for nothing have.
const NOWHERE: &str = "none";

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
}

/// What was asked, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

/// The requests so far.
pub(crate) struct Metrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let seconds =
            Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from a request to the beginning of its answer",
            seconds.clone(),
        );
        Self {
            requests,
            seconds,
            registry,
        }
    }
}

/// The route of the metrics.
pub(crate) fn routes() -> Router<Platform> {
    Router::new().route("/metrics", get(scrape))
}

/// Counts a request and its time.
pub(crate) async fn measure(State(p): State<Platform>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(NOWHERE, MatchedPath::as_str).to_owned();
    let method = known(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let asked = Asked { route, method };
    let seconds = started.elapsed().as_secs_f64();
    p.metrics().seconds.get_or_create(&asked).observe(seconds);
    let answered = Answered {
        route: asked.route,
        method,
        status: response.status().as_u16(),
    };
    p.metrics().requests.get_or_create(&answered).inc();
    response
}

/// A method by its name; clients may make up others.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let mut known = KNOWN.into_iter();
    known
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

async fn scrape(State(p): State<Platform>, _: Watcher) -> Answer {
    let state = p.read(state).await?;
    let mut text = String::new();
    encode_registry(&mut text, &p.metrics().registry)
        .and_then(|()| encode_registry(&mut text, &state))
        .and_then(|()| encode_eof(&mut text))
        .map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, FORMAT)], text).into_response())
}

/// The numbers of the platform's state.
fn state(db: &Db<'_>) -> Result<Registry> {
    let tallies = numbers(db, "SELECT name, value FROM tallies")?;
    let pools = numbers(db, "SELECT status, count(*) FROM pools GROUP BY status")?;
    let total = |name| ConstCounter::new(number(&tallies, name).unsigned_abs());
    let sum = |of: &str| {
        let sum = db.number(&format!("SELECT sum({of}) FROM assignment_sums"), [])?;
        Ok::<_, Error>(ConstCounter::new(sum.unsigned_abs()))
    };
    let assignments = numbers(
        db,
        "SELECT status, sum(assignments) FROM assignment_sums GROUP BY status",
    )?;
    let count = |sql| Ok::<_, Error>(ConstGauge::new(db.number(sql, [])?));

    let mut state = Registry::with_prefix(PREFIX);
    let of_pools = by_status(&POOLS, &pools);
    state.register("pools", "Pools and trainings by status", of_pools);
    let of_assignments = by_status(&ASSIGNMENTS, &assignments);
    state.register("assignments", "Assignments by status", of_assignments);
    let taken = sum("assignments")?;
    state.register("pages_taken", "Pages given to workers", taken);
    let answers = sum("answers")?;
    state.register(
        "answers_submitted",
        "Answers to tasks that came in",
        answers,
    );
    let workers = count("SELECT count(*) FROM workers")?;
    state.register("workers", "Workers who signed up", workers);
    let waiting = count("SELECT sum(waiting) FROM webhooks WHERE waiting > 0")?;
    state.register(
        "webhook_events_waiting",
        "Events that are not delivered yet",
        waiting,
    );
    state.register(
        "webhook_events_delivered",
        "Events that their receivers acknowledged",
        total("delivered"),
    );
    state.register(
        "webhook_attempts_failed",
        "Attempts to deliver events that failed",
        total("failed"),
    );
    let bytes = count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?;
    state.register("database_bytes", "Size of the database", bytes);
    Ok(state)
}

/// Numbers by name.
fn numbers(db: &Db<'_>, sql: &str) -> Result<BTreeMap<String, i64>> {
    let rows = db.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

fn number(numbers: &BTreeMap<String, i64>, name: &str) -> i64 {
    numbers.get(name).copied().unwrap_or_default()
}

/// A gauge for each status, those of nothing too.
fn by_status(
    statuses: &[&'static str],
    numbers: &BTreeMap<String, i64>,
) -> Family<[(&'static str, &'static str); 1], Gauge> {
    let gauges = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for status in statuses {
        gauges
            .get_or_create(&[("status", status)])
            .set(number(numbers, status));
    }
    gauges
}
