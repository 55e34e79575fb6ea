//! What uploads of tasks and of task suites have in common: the pools that they go to, the checks of
//! values and overlap, and what a pool does when it has more to do.

use std::collections::BTreeMap;

use quorate_toloka::types::{Defaults, FieldError, Task, TaskSpec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::batch::{Batch, Request};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::Query,
    lifecycle,
    model::{PoolRow, owned_by},
    store::{Db, Tx},
    validate::{self, Strictness},
};

/// The most bytes of input values in one request.
const MOST_INPUT_BYTES: usize = 1_048_576;

/// The most objects that one request makes while the client waits.
const MOST_SYNCHRONOUS: usize = 5_000;

/// The most workers that are asked about one task.
pub(super) const MOST_OVERLAP: u32 = 30_000;

/// A pool that the items of an upload name, with what they are checked against.
pub(super) struct Place {
    pub(super) pool: PoolRow,
    pub(super) spec: TaskSpec,
}

/// The pools that an upload names: `None` for one that there is not.
pub(super) struct Places(BTreeMap<String, Option<Place>>);

impl Places {
    /// Looks the pools up. `takes` refuses a pool that takes no such objects.
    pub(super) fn read(
        db: &Db<'_>,
        who: &str,
        items: &[Value],
        takes: impl Fn(&PoolRow) -> Result<()>,
    ) -> Result<Self> {
        let mut places = BTreeMap::new();
        for item in items {
            let Some(id) = item.get("pool_id").and_then(Value::as_str) else {
                continue;
            };
            if !places.contains_key(id) {
                let place = find(db, who, id)?;
                place.iter().try_for_each(|place| takes(&place.pool))?;
                places.insert(id.to_owned(), place);
            }
        }
        Ok(Self(places))
    }

    /// The pool of one item.
    pub(super) fn of(&self, pool_id: &str) -> std::result::Result<&Place, FieldErrors> {
        if pool_id.is_empty() {
            return Err(single("pool_id", "VALUE_REQUIRED", "Value must be present"));
        }
        match self.0.get(pool_id) {
            Some(Some(place)) => Ok(place),
            _ => {
                let message = format!("There is no pool `{pool_id}`");
                Err(single("pool_id", "ENTITY_DOES_NOT_EXIST", message))
            }
        }
    }

    /// Tells the pools of a batch that they have more to do, and opens them when asked for.
    pub(super) fn added(&self, tx: &Tx<'_>, request: &Request, batch: &mut Batch) -> Result<()> {
        if batch.made.is_empty() {
            return Ok(());
        }
        for place in self.0.values().flatten() {
            added(tx, &place.pool, request.open_pool, &mut batch.log)?;
        }
        Ok(())
    }
}

/// A pool of `who` that is not archived.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<Option<Place>> {
    let Ok(n) = id.parse() else {
        return Ok(None);
    };
    let Some(pool) = db.find_pool(n)? else {
        return Ok(None);
    };
    owned_by(&pool.owner, who, "pool", id)?;
    must_not_be_archived(&pool)?;
    let spec = db.project(pool.project)?.spec();
    Ok(Some(Place { pool, spec }))
}

pub(super) fn must_not_be_archived(pool: &PoolRow) -> Result<()> {
    if pool.status == "ARCHIVED" {
        return Err(Error::conflict(
            "POOL_INAPPROPRIATE_STATUS",
            format!("The {} {} is archived", pool.noun(), pool.id),
        ));
    }
    Ok(())
}

/// One field is refused.
pub(super) fn single(path: &str, code: &str, message: impl Into<String>) -> FieldErrors {
    FieldErrors::from([(path.to_owned(), field_error(code, message))])
}

/// Reads an item as an object of this kind; an error names the field.
pub(super) fn parse<T: DeserializeOwned>(
    item: &Value,
    noun: &str,
) -> std::result::Result<T, FieldErrors> {
    if !item.is_object() {
        let message = format!("A {} must be an object", noun.replace('_', " "));
        return Err(single(noun, "OBJECT_EXPECTED", message));
    }
    serde_path_to_error::deserialize(item).map_err(|error| {
        let path = error.path().to_string();
        single(&path, "INVALID_VALUE", error.inner().to_string())
    })
}

/// Checks the values of a task; `path` is where it stands in the item, such as `tasks.0.`.
pub(super) fn check_values(task: &Task, spec: &TaskSpec, path: &str, errors: &mut FieldErrors) {
    if !spec.input_spec.is_empty() {
        validate::check(
            &task.input_values,
            &spec.input_spec,
            &format!("{path}input_values"),
            Strictness::Whole,
            errors,
        );
    }
    if !spec.output_spec.is_empty() {
        for (index, known) in task.known_solutions.iter().flatten().enumerate() {
            validate::check(
                &known.output_values,
                &spec.output_spec,
                &format!("{path}known_solutions.{index}.output_values"),
                Strictness::Part,
                errors,
            );
        }
    }
}

/// The overlap that an item gets: its own, or when asked for the pool's default; `None` is infinite.
pub(super) fn overlap(
    own: Option<u32>,
    infinite: Option<bool>,
    place: &Place,
    default: impl Fn(&Defaults) -> Option<u32>,
    request: &Request,
) -> std::result::Result<Option<u32>, FieldError> {
    // Trainings are never used up.
    if place.pool.is_training() || infinite == Some(true) {
        return Ok(None);
    }
    let defaults = place.pool.form.defaults.as_ref();
    let default = || {
        defaults
            .filter(|_| request.allow_defaults)
            .and_then(default)
    };
    match own.or_else(default) {
        Some(overlap @ 1..=MOST_OVERLAP) => Ok(Some(overlap)),
        Some(_) => Err(field_error(
            "VALUE_OUT_OF_BOUNDS",
            format!("overlap must be between 1 and {MOST_OVERLAP}"),
        )),
        None => Err(field_error(
            "VALUE_REQUIRED",
            "Give it an overlap, or send allow_defaults=true and give the pool a default",
        )),
    }
}

/// A list of workers as it is stored; nothing for an empty one.
pub(super) fn workers(list: &Option<Vec<String>>) -> Option<String> {
    list.as_ref()
        .filter(|list| !list.is_empty())
        .map(|list| json!(list).to_string())
}

/// Refuses uploads that are too large.
pub(super) fn check_size<'a>(
    request: &Request,
    inputs: impl Iterator<Item = &'a Value>,
) -> Result<()> {
    if !request.async_mode && request.items.len() > MOST_SYNCHRONOUS {
        let message = format!("More than {MOST_SYNCHRONOUS} objects need async_mode=true");
        return Err(Error::field(
            "items",
            "ARRAY_SIZE_GREATER_THAN_MAX",
            message,
        ));
    }
    let bytes: usize = inputs
        .filter_map(|task| task.get("input_values"))
        .map(|values| values.to_string().len())
        .sum();
    if bytes > MOST_INPUT_BYTES {
        return Err(Error::too_large(format!(
            "The input values are {bytes} bytes, at most {MOST_INPUT_BYTES} go into one request"
        )));
    }
    Ok(())
}

/// Tells a pool that it has more to do.
fn added(tx: &Tx<'_>, pool: &PoolRow, open: bool, log: &mut Vec<Value>) -> Result<()> {
    tx.run(
        "UPDATE pools SET last_added = ?2, close_at = NULL WHERE id = ?1",
        (pool.id, tx.now()),
    )?;
    if open {
        let (success, output) = match lifecycle::try_open(tx, pool) {
            Ok(_) => (true, json!({})),
            Err(error) => (false, error.to_json()),
        };
        let input = json!({ "pool_id": pool.id.to_string() });
        log.push(
            json!({ "type": "POOL_OPEN", "success": success, "input": input, "output": output }),
        );
    }
    lifecycle::refresh(tx, pool.id)
}

/// After the overlap of a task or task suite was set: a pool with more to do stays open longer.
pub(super) fn overlap_set(
    tx: &Tx<'_>,
    pool: i64,
    before: Option<i64>,
    after: Option<i64>,
) -> Result<()> {
    let risen = match (before, after) {
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
        (None, _) => false,
    };
    if risen {
        tx.run(
            "UPDATE pools SET last_added = ?2, close_at = NULL WHERE id = ?1",
            (pool, tx.now()),
        )?;
    }
    lifecycle::refresh(tx, pool)
}

/// An overlap that somebody sets: at least 1 and what was given out already.
pub(super) fn check_overlap(overlap: u32, issued: i64) -> Result<i64> {
    if !(1..=MOST_OVERLAP).contains(&overlap) || i64::from(overlap) < issued {
        let message = format!("overlap must be {} to {MOST_OVERLAP}", issued.max(1));
        return Err(Error::field("overlap", "VALUE_OUT_OF_BOUNDS", message));
    }
    Ok(overlap.into())
}

/// An overlap as low as can be: what was given out cannot be taken back.
pub(super) fn overlap_or_min(overlap: u32, issued: i64) -> Result<i64> {
    if overlap > MOST_OVERLAP {
        let message = format!("overlap must be 0 to {MOST_OVERLAP}");
        return Err(Error::field("overlap", "VALUE_OUT_OF_BOUNDS", message));
    }
    Ok(i64::from(overlap).max(issued))
}

/// What was asked for, as the operation tells it.
pub(super) fn parameters(request: &Request) -> Value {
    json!({
        "skip_invalid_items": request.skip_invalid_items,
        "allow_defaults": request.allow_defaults,
        "open_pool": request.open_pool,
    })
}

/// Opens the pool of what was changed, when that is asked for.
pub(super) fn open_if_asked(tx: &Tx<'_>, query: &Query, pool: i64) -> Result<()> {
    if query.flag("open_pool")? {
        lifecycle::try_open(tx, &tx.pool(pool)?)?;
    }
    Ok(())
}
