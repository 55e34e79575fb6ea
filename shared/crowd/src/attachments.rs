//! Files that workers upload as answers to fields of type `file` and `array_file`.
//!
//! A worker uploads a file for a page in hand and answers with its id. When the page is submitted,
//! every id must be a file of that page, and files that are no part of the answer go; when it is
//! skipped, left or expires, all of them go. The bytes stay in the database in parts, so that a
//! download holds one part at a time.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quorate_toloka::types::{FieldType, TaskSpec, Values};
use serde_json::{Value, json};

use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Id, Query, WorkerToken, json},
    ids,
    model::{AssignmentRow, WorkerRow, wire},
    platform::Platform,
    store::{Db, Tx},
    work,
};

/// The largest file.
const MOST_FILE_BYTES: usize = 16 * 1024 * 1024;

/// The most files of one assignment.
const MOST_FILES: i64 = 50;

/// The most bytes of all files of one assignment.
const MOST_BYTES: i64 = 64 * 1024 * 1024;

/// The most characters of a file's name.
const MOST_NAME_CHARS: usize = 255;

/// The bytes of a file that are stored and sent at a time.
const PART_BYTES: usize = 256 * 1024;

/// The media type of a file when its worker names none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The route of the worker API about files.
pub(crate) fn routes() -> Router<Platform> {
    Router::new().route(
        "/api/worker/v1/assignments/{id}/attachments",
        post(upload).layer(DefaultBodyLimit::max(MOST_FILE_BYTES)),
    )
}

fn is_file(kind: &FieldType) -> bool {
    matches!(kind, FieldType::File | FieldType::ArrayFile)
}

/// Whether answers may hold files. A project without output fields derives them from its view.
fn takes_files(spec: &TaskSpec) -> bool {
    spec.output_spec.is_empty() || spec.output_spec.values().any(|field| is_file(&field.kind))
}

/// Takes a file: the body is its bytes, `?name=` its name, `Content-Type` its media type.
async fn upload(
    State(p): State<Platform>,
    token: WorkerToken,
    Id(id): Id,
    query: Query,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Answer {
    let bytes = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Error::too_large(format!("A file has at most {MOST_FILE_BYTES} bytes"))
        } else {
            Error::body("The file could not be read")
        }
    })?;
    let name = file_name(query.0.get("name").map_or("", String::as_str))?.to_owned();
    let media_type = media_type(&headers).to_owned();
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let file = store(tx, &worker, &id, &name, &media_type, &bytes)?;
        Ok(json(StatusCode::CREATED, file))
    })
    .await
}

/// A name without a path.
fn file_name(name: &str) -> Result<&str> {
    let length = name.chars().count();
    let unsafe_char = |c: char| c.is_control() || c == '/' || c == '\\';
    if (1..=MOST_NAME_CHARS).contains(&length)
        && !name.contains(unsafe_char)
        && !matches!(name, "." | "..")
    {
        return Ok(name);
    }
    let message = format!("Send ?name= with 1 to {MOST_NAME_CHARS} characters and no path");
    Err(Error::field("name", "INVALID_VALUE", message))
}

/// What the worker says that the file is, when it has the form `type/subtype`.
fn media_type(headers: &HeaderMap) -> &str {
    let token = |part: &str| {
        (1..=64).contains(&part.len())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .filter(|value| {
            value
                .split_once('/')
                .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        })
        .unwrap_or(UNKNOWN_TYPE)
}

/// Stores a file for a page that the worker has in hand.
fn store(
    tx: &Tx<'_>,
    worker: &WorkerRow,
    assignment: &str,
    name: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<Value> {
    let row = work::own(tx, worker, assignment)?;
    work::must_be_active(&row)?;
    let project = tx.project(tx.pool(row.pool)?.project)?;
    if !takes_files(&project.spec()) {
        return Err(Error::conflict(
            "CONFLICT_STATE",
            "The project asks for no files: none of its output fields is a file",
        ));
    }
    if bytes.is_empty() {
        return Err(Error::body("The file is empty"));
    }
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let (files, held) = tx
        .row(
            "SELECT count(*), coalesce(sum(size), 0) FROM attachments WHERE assignment = ?1",
            [row.n],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?
        .unwrap_or_default();
    if files >= MOST_FILES || held.saturating_add(size) > MOST_BYTES {
        return Err(Error::too_large(format!(
            "A page takes at most {MOST_FILES} files of {MOST_BYTES} bytes together"
        )));
    }
    let id = ids::object(row.pool, tx.now(), tx.next());
    tx.run(
        "INSERT INTO attachments (id, assignment, pool, name, media_type, size, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (&id, row.n, row.pool, name, media_type, size, tx.now()),
    )?;
    let attachment = tx.conn.last_insert_rowid();
    for (position, part) in (0_i64..).zip(bytes.chunks(PART_BYTES)) {
        tx.run(
            "INSERT INTO attachment_parts (attachment, position, bytes) VALUES (?1, ?2, ?3)",
            (attachment, position, part),
        )?;
    }
    Ok(json!({
        "id": id,
        "name": name,
        "media_type": media_type,
        "size": size,
        "created": wire(tx.now()),
    }))
}

/// Checks that the files in the answers to a page were uploaded for it.
pub(crate) fn check(
    db: &Db<'_>,
    row: &AssignmentRow,
    spec: &TaskSpec,
    solutions: &[Values],
) -> Result<()> {
    let fields: Vec<&String> = spec
        .output_spec
        .iter()
        .filter(|(_, field)| is_file(&field.kind))
        .map(|(name, _)| name)
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    let uploaded: BTreeSet<String> = db
        .rows(
            "SELECT id FROM attachments WHERE assignment = ?1",
            [row.n],
            |row| row.get(0),
        )?
        .into_iter()
        .collect();
    let mut errors = FieldErrors::new();
    for (index, values) in solutions.iter().enumerate() {
        for name in &fields {
            let Some(value) = values.get(*name) else {
                continue;
            };
            let mut named = BTreeSet::new();
            texts(value, &mut named);
            if let Some(missing) = named.iter().find(|id| !uploaded.contains(**id)) {
                errors.insert(
                    format!("solutions.{index}.output_values.{name}"),
                    field_error(
                        "ENTITY_DOES_NOT_EXIST",
                        format!("No file `{missing}` was uploaded for this page"),
                    ),
                );
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::validation(errors))
    }
}

/// All texts in a value.
fn texts<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => drop(found.insert(text)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// Removes the files of a page that are no part of its answers; without answers, all of them.
pub(crate) fn keep_only(tx: &Tx<'_>, assignment: i64, solutions: &[Values]) -> Result<()> {
    let uploaded: Vec<(i64, String)> = tx.rows(
        "SELECT n, id FROM attachments WHERE assignment = ?1",
        [assignment],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut named = BTreeSet::new();
    for value in solutions.iter().flat_map(Values::values) {
        texts(value, &mut named);
    }
    for (n, id) in uploaded {
        if !named.contains(id.as_str()) {
            tx.run("DELETE FROM attachment_parts WHERE attachment = ?1", [n])?;
            tx.run("DELETE FROM attachments WHERE n = ?1", [n])?;
        }
    }
    Ok(())
}

/// A stored file, to be sent.
pub(crate) struct File {
    pub(crate) n: i64,
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) size: i64,
}

impl File {
    /// The file as a download, part by part. It came from a worker: no browser may show it as a
    /// page of this site.
    pub(crate) fn download(self, p: Platform) -> Response {
        let n = self.n;
        let parts = stream::unfold(Some(0_i64), move |position| {
            let p = p.clone();
            async move {
                let position = position?;
                let part = p
                    .read(move |db| {
                        db.row(
                            "SELECT bytes FROM attachment_parts WHERE attachment = ?1 AND position = ?2",
                            (n, position),
                            |row| row.get::<_, Vec<u8>>(0),
                        )
                    })
                    .await;
                match part {
                    Ok(None) => None,
                    Ok(Some(bytes)) => Some((Ok(Bytes::from(bytes)), Some(position + 1))),
                    // The reason is in the log; the client sees a broken transfer.
                    Err(_) => Some((Err(std::io::Error::other("the file broke off")), None)),
                }
            }
        });
        let name = utf8_percent_encode(&self.name, NON_ALPHANUMERIC);
        let headers = [
            (header::CONTENT_TYPE, self.media_type),
            (header::CONTENT_LENGTH, self.size.to_string()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename*=UTF-8''{name}"),
            ),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; sandbox".to_owned(),
            ),
        ];
        (headers, Body::from_stream(parts)).into_response()
    }
}
