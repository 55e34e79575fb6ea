//! The results of a pool as a table: one row per task of each assignment, tab-separated.
//!
//! Columns are `INPUT:<field>`…, `OUTPUT:<field>`…, `GOLDEN:<field>`…, `HINT:text`,
//! `HINT:default_language`, then what `field=` asks for. An empty cell is a missing value, so
//! `GOLDEN` is empty for real tasks.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::IntoResponse,
};
use futures_util::stream;
use quorate_toloka::types::{TaskSpec, Values};
use rusqlite::types::Value as Sql;
use serde_json::Value;

use crate::{
    access,
    error::{Error, Result},
    http::{Answer, Id, Query, Requester},
    list::Params,
    model::{AssignmentRow, Kind, PoolRow, TaskRow, wire},
    platform::Platform,
    store::Db,
};

/// Assignments that are read at a time, so that a long download never holds the database.
const CHUNK: i64 = 500;

/// The bytes after which a chunk ends, however few assignments are in it.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Columns about the assignment, by name.
const COLUMNS: [&str; 13] = [
    "link",
    "assignment_id",
    "task_id",
    "task_suite_id",
    "worker_id",
    "status",
    "started",
    "submitted",
    "accepted",
    "rejected",
    "skipped",
    "expired",
    "reward",
];

/// What a client gets that names no columns.
const DEFAULT_COLUMNS: [&str; 5] = ["link", "assignment_id", "worker_id", "status", "started"];

/// One download.
struct Table {
    who: String,
    pool: String,
    spec: TaskSpec,
    columns: Vec<&'static str>,
    /// States as they are stored; empty is all.
    statuses: Vec<String>,
    from: Option<i64>,
    to: Option<i64>,
    exclude_banned: bool,
    /// Whether the review columns are part of it.
    review: bool,
}

pub(super) async fn download(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    query: Query,
) -> Answer {
    let table = p
        .read(move |db| {
            let pool = db.pool_of(&who.0, &id)?;
            let spec = db.project(pool.project)?.spec();
            Table::read(who.0, id, spec, &query)
        })
        .await?;
    let header = line(&table.header());
    let rows = stream::unfold(
        Some((p, std::sync::Arc::new(table), String::new(), Some(header))),
        |state| async {
            let (p, table, after, header) = state?;
            if let Some(header) = header {
                return Some((Ok(Bytes::from(header)), Some((p, table, after, None))));
            }
            let asked = std::sync::Arc::clone(&table);
            match p.read(move |db| asked.chunk(db, &after)).await {
                Ok(None) => None,
                Ok(Some((text, last))) => {
                    Some((Ok(Bytes::from(text)), Some((p, table, last, None))))
                }
                // The reason is in the log; the client sees a broken transfer, not a short table.
                Err(_) => Some((Err(std::io::Error::other("the table broke off")), None)),
            }
        },
    );
    let content = (
        header::CONTENT_TYPE,
        "text/tab-separated-values; charset=utf-8",
    );
    Ok(([content], Body::from_stream(rows)).into_response())
}

impl Table {
    fn read(who: String, pool: String, spec: TaskSpec, query: &Query) -> Result<Self> {
        let params = &query.0;
        let statuses: Vec<String> = words(params, "status")
            .map(|word| {
                if word == "APPROVED" {
                    "ACCEPTED".to_owned()
                } else {
                    word.to_owned()
                }
            })
            .collect();
        let mut columns = Vec::new();
        for name in words(params, "field") {
            let known = name
                .strip_prefix("ASSIGNMENT:")
                .and_then(|name| COLUMNS.iter().find(|column| **column == name))
                .ok_or_else(|| {
                    Error::field(
                        "field",
                        "INVALID_VALUE",
                        format!("There is no column `{name}`"),
                    )
                })?;
            columns.push(*known);
        }
        if columns.is_empty() {
            columns = DEFAULT_COLUMNS.to_vec();
        }
        Ok(Self {
            who,
            pool,
            spec,
            columns,
            review: statuses
                .iter()
                .any(|status| status == "SUBMITTED" || status == "REJECTED"),
            statuses,
            from: time(params, "startTimeFrom")?,
            to: time(params, "startTimeTo")?,
            exclude_banned: query.flag("excludeBanned")?,
        })
    }

    fn header(&self) -> Vec<String> {
        let fields = |prefix: &str, spec: &std::collections::BTreeMap<String, _>| {
            spec.keys()
                .map(|name| format!("{prefix}:{name}"))
                .collect::<Vec<_>>()
        };
        let mut header = fields("INPUT", &self.spec.input_spec);
        header.extend(fields("OUTPUT", &self.spec.output_spec));
        header.extend(fields("GOLDEN", &self.spec.output_spec));
        header.extend(["HINT:text".to_owned(), "HINT:default_language".to_owned()]);
        header.extend(self.columns.iter().map(|name| format!("ASSIGNMENT:{name}")));
        if self.review {
            header.extend(["ACCEPT:verdict".to_owned(), "ACCEPT:comment".to_owned()]);
        }
        header
    }

    /// The rows of the next assignments after the one with the id `after`, and the id of the last.
    fn chunk(&self, db: &Db<'_>, after: &str) -> Result<Option<(String, String)>> {
        let pool = db.pool_of(&self.who, &self.pool)?;
        let rows = self.assignments(db, &pool, after)?;
        let (mut text, mut last) = (String::new(), None);
        for row in rows {
            if text.len() >= CHUNK_BYTES {
                break;
            }
            last = Some(row.id.clone());
            let user = db.worker(row.worker)?.id;
            if self.exclude_banned && access::is_banned(db, &user, &pool)? {
                continue;
            }
            for (position, (task, answer)) in db.page(row.n)?.into_iter().enumerate() {
                text.push_str(&line(&self.cells(
                    &row,
                    &user,
                    position,
                    &task,
                    answer.as_ref(),
                )));
            }
        }
        Ok(last.map(|last| (text, last)))
    }

    fn assignments(&self, db: &Db<'_>, pool: &PoolRow, after: &str) -> Result<Vec<AssignmentRow>> {
        // By any other index every chunk would sort all that are left.
        let mut sql = format!(
            "{} INDEXED BY assignments_pool WHERE pool = ?1 AND id > ?2",
            AssignmentRow::SELECT
        );
        let mut values: Vec<Sql> = vec![pool.id.into(), after.to_owned().into()];
        let mut place = |value: Sql| {
            values.push(value);
            format!("?{}", values.len())
        };
        if !self.statuses.is_empty() {
            let places: Vec<String> = self
                .statuses
                .iter()
                .map(|status| place(status.clone().into()))
                .collect();
            sql.push_str(&format!(" AND status IN ({})", places.join(", ")));
        }
        if let Some(from) = self.from {
            sql.push_str(&format!(" AND created >= {}", place(from.into())));
        }
        if let Some(to) = self.to {
            sql.push_str(&format!(" AND created <= {}", place(to.into())));
        }
        sql.push_str(&format!(" ORDER BY id LIMIT {CHUNK}"));
        db.rows(
            &sql,
            rusqlite::params_from_iter(values),
            AssignmentRow::read,
        )
    }

    fn cells(
        &self,
        row: &AssignmentRow,
        user: &str,
        position: usize,
        task: &TaskRow,
        answer: Option<&Values>,
    ) -> Vec<String> {
        let form = &task.form;
        // In a training the first attempt is what counts.
        let first = row.first.as_ref().and_then(|first| first.get(position));
        let output = if task.kind == Kind::Training {
            first.or(answer)
        } else {
            answer
        };
        let golden = form
            .known_solutions
            .as_ref()
            .and_then(|known| known.first());
        let pick = |values: Option<&Values>, name: &String| {
            cell(values.and_then(|values| values.get(name)))
        };

        let mut cells: Vec<String> = self
            .spec
            .input_spec
            .keys()
            .map(|name| pick(Some(&form.input_values), name))
            .collect();
        cells.extend(self.spec.output_spec.keys().map(|name| pick(output, name)));
        let known = golden.map(|golden| &golden.output_values);
        cells.extend(self.spec.output_spec.keys().map(|name| pick(known, name)));
        cells.push(form.message_on_unknown_solution.clone().unwrap_or_default());
        cells.push(String::new());
        cells.extend(self.columns.iter().map(|name| about(row, user, task, name)));
        if self.review {
            let verdict = match row.status.as_str() {
                "ACCEPTED" => "+",
                "REJECTED" => "-",
                _ => "",
            };
            cells.push(verdict.to_owned());
            cells.push(row.comment.clone().unwrap_or_default());
        }
        cells
    }
}

/// One column about the assignment.
fn about(row: &AssignmentRow, user: &str, task: &TaskRow, name: &str) -> String {
    let time =
        |millis: Option<i64>| millis.map_or(String::new(), |millis| wire(millis).to_string());
    match name {
        "link" => format!("/api/v1/assignments/{}", row.id),
        "assignment_id" => row.id.clone(),
        "task_id" => task.id.clone(),
        "task_suite_id" => row.suite.clone(),
        "worker_id" => user.to_owned(),
        // This table's word for it.
        "status" if row.status == "ACCEPTED" => "APPROVED".to_owned(),
        "status" => row.status.clone(),
        "started" => time(Some(row.created)),
        "submitted" => time(row.submitted),
        "accepted" => time(row.accepted),
        "rejected" => time(row.rejected),
        "skipped" => time(row.skipped),
        "expired" => time(row.expired),
        "reward" => row.reward.to_string(),
        _ => String::new(),
    }
}

/// A value as text; lists and objects as JSON.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// One line of the table. A cell with a tab, a quote or a line break is quoted, as `pandas` reads it.
fn line(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains(['\t', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    let mut line = cells.iter().map(quoted).collect::<Vec<_>>().join("\t");
    line.push('\n');
    line
}

fn words<'a>(params: &'a Params, name: &str) -> impl Iterator<Item = &'a str> {
    params
        .get(name)
        .map_or("", String::as_str)
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn time(params: &Params, name: &str) -> Result<Option<i64>> {
    let Some(text) = params.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse::<quorate_toloka::types::Time>()
        .map(|time| Some(time.as_millis()))
        .map_err(|_| {
            Error::field(
                name,
                "INVALID_DATE_TIME_SYNTAX",
                format!("`{text}` is no time"),
            )
        })
}
