//! Batches: many objects made in one request. All of them are made, or the valid ones when the
//! client asks for that, or none; the log of the operation tells what became of each.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::operations::{self, Done};
use crate::{
    error::{Error, FieldErrors, Result},
    http::{Answer, Body, Query, json},
    store::{Db, Tx},
};

/// A request to make objects: the items, and the query parameters of the reference.
pub(super) struct Request {
    pub(super) items: Vec<Value>,
    /// One item came by itself, not in an array.
    single: bool,
    operation_id: Option<String>,
    pub(super) async_mode: bool,
    pub(super) skip_invalid_items: bool,
    pub(super) allow_defaults: bool,
    pub(super) open_pool: bool,
}

impl Request {
    /// Reads a request; refuses an operation id that was used before: the batch was made then.
    pub(super) fn read(db: &Db<'_>, query: &Query, body: &Body) -> Result<Self> {
        let operation_id = query.0.get("operation_id").map(|id| uuid(id)).transpose()?;
        let (items, single) = match body.parse_batch()? {
            Value::Array(items) => (items, false),
            item @ Value::Object(_) => (vec![item], true),
            _ => return Err(Error::body("Send an object or an array of objects")),
        };
        if let Some(id) = &operation_id {
            operations::must_be_new(db, id)?;
        }
        Ok(Self {
            items,
            single,
            operation_id,
            async_mode: query.flag("async_mode")?,
            skip_invalid_items: query.flag("skip_invalid_items")?,
            allow_defaults: query.flag("allow_defaults")?,
            open_pool: query.flag("open_pool")?,
        })
    }
}

fn uuid(id: &str) -> Result<String> {
    match Uuid::parse_str(id) {
        Ok(uuid) => Ok(uuid.to_string()),
        Err(_) => Err(Error::field(
            "operation_id",
            "UUID_EXPECTED",
            format!("`{id}` is no UUID"),
        )),
    }
}

/// What the batches of one kind of object are called.
pub(super) struct Words {
    /// The type of the operation.
    pub(super) operation: &'static str,
    /// The step in the log that made an object.
    pub(super) create: &'static str,
    /// The step in the log that only checked one.
    pub(super) validate: &'static str,
    /// The key of the object's id in the log.
    pub(super) id: &'static str,
}

/// What became of a batch.
pub(super) struct Batch {
    /// The ids of the objects that were made, by position.
    pub(super) made: BTreeMap<usize, String>,
    /// What is wrong with the others.
    refused: BTreeMap<usize, FieldErrors>,
    pub(super) log: Vec<Value>,
}

/// Makes the objects of a batch: `check` reads an item or says what is wrong with it, `insert`
/// stores one and returns its id.
pub(super) fn make<T>(
    words: &Words,
    request: &Request,
    check: impl Fn(&Value) -> std::result::Result<T, FieldErrors>,
    insert: impl Fn(&T) -> Result<String>,
) -> Result<Batch> {
    let mut batch = Batch {
        made: BTreeMap::new(),
        refused: BTreeMap::new(),
        log: Vec::new(),
    };
    let mut valid = BTreeMap::new();
    for (index, item) in request.items.iter().enumerate() {
        match check(item) {
            Ok(one) => drop(valid.insert(index, one)),
            Err(errors) => drop(batch.refused.insert(index, errors)),
        }
    }
    let make = batch.refused.is_empty() || request.skip_invalid_items;
    for (index, item) in request.items.iter().enumerate() {
        let (kind, success, output) = match (valid.get(&index), batch.refused.get(&index)) {
            (Some(one), _) if make => {
                let id = insert(one)?;
                let output = json!({ words.id: id });
                batch.made.insert(index, id);
                (words.create, true, output)
            }
            (_, Some(errors)) => (words.validate, false, json!(errors)),
            // Nothing became of it. Clients take every step that succeeded for an object made.
            _ => continue,
        };
        batch
            .log
            .push(json!({ "type": kind, "success": success, "input": item, "output": output }));
    }
    Ok(batch)
}

/// Writes the operation of a batch and answers: 202 with it, or 201 with what was made, which
/// `read` looks up; 400 when the client waits and the batch failed.
pub(super) fn answer<T: Serialize>(
    tx: &Tx<'_>,
    who: &str,
    words: &Words,
    request: &Request,
    parameters: Value,
    batch: Batch,
    read: impl Fn(&str) -> Result<T>,
) -> Answer {
    let success = batch.refused.is_empty() || request.skip_invalid_items;
    if !request.async_mode && (!success || (request.single && batch.made.is_empty())) {
        return Err(refusal(batch.refused, request.single));
    }
    let total = request.items.len();
    let (made, refused) = (batch.made.len(), batch.refused.len());
    let operation = operations::record(
        tx,
        who,
        Done {
            id: request.operation_id.clone(),
            kind: words.operation,
            success,
            parameters,
            details: Some(json!({
                "total_count": total,
                "valid_count": total - refused,
                "not_valid_count": refused,
                "success_count": made,
                "failed_count": total - made,
            })),
            log: batch.log,
        },
    )?;
    if request.async_mode {
        return operations::accepted(tx, who, &operation);
    }
    let mut items = BTreeMap::new();
    for (index, id) in &batch.made {
        items.insert(index.to_string(), read(id)?);
    }
    if request.single
        && let Some((_, object)) = items.pop_first()
    {
        return Ok(json(StatusCode::CREATED, object));
    }
    let body = json!({ "items": items, "validation_errors": batch.refused });
    Ok(json(StatusCode::CREATED, body))
}

/// 400 with the errors by position, or of the one item.
fn refusal(refused: BTreeMap<usize, FieldErrors>, single: bool) -> Error {
    if single {
        Error::validation(refused.into_values().next().unwrap_or_default())
    } else {
        Error::refused(json!(refused))
    }
}
