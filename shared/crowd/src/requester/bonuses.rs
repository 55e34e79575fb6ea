//! Bonuses: money for workers beside the price of their work.
//!
//! A bonus leaves the requester's balance when it is made, without a fee, and the worker is told in
//! a message unless the requester does not want that.

use std::collections::BTreeMap;

use axum::extract::State;
use quorate_toloka::{
    limits::{BONUSES_PER_SYNC_REQUEST, MAX_BONUS, MIN_BONUS},
    types::{
        ComposeDetails, Decimal, FieldError, LocalizedText, MessageMeta, RecipientsSelectType,
        UserBonus, Values,
    },
};
use rusqlite::Row;
use serde_json::{Value, json};

use super::batch::{self, Request};
use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, ok},
    list::{self, Kind, Spec, Use},
    messages::{self, Author, NewThread},
    model::{decimal_id, from_column, owned_by, wire},
    platform::Platform,
    store::{Db, Tx},
};

/// The most characters of a note.
const MOST_COMMENT_CHARS: usize = 2_048;

/// What batches of bonuses are called.
const BONUSES: batch::Words = batch::Words {
    operation: "USER_BONUS.BATCH_CREATE",
    create: "USER_BONUS_PERSIST",
    validate: "USER_BONUS_VALIDATE",
    id: "user_bonus_id",
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("user_id", "user", Kind::Text, Use::Equal),
        ("assignment_id", "assignment", Kind::Text, Use::Equal),
        ("private_comment", "comment", Kind::Text, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 300,
};

const SELECT: &str = "SELECT id, created, body, owner FROM bonuses";

fn read_row(row: &Row<'_>) -> rusqlite::Result<UserBonus> {
    Ok(UserBonus {
        id: row.get::<_, i64>(0)?.to_string(),
        created: Some(wire(row.get(1)?)),
        ..from_column(row.get_ref(2)?.as_str()?)?
    })
}

/// A bonus of `who`.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<UserBonus> {
    let (bonus, owner): (UserBonus, String) = db
        .row(
            &format!("{SELECT} WHERE id = ?1"),
            [decimal_id("user bonus", id)?],
            |row| Ok((read_row(row)?, row.get(3)?)),
        )?
        .ok_or_else(|| Error::not_found("user bonus", id))?;
    owned_by(&owner, who, "user bonus", id)?;
    Ok(bonus)
}

/// What the items of a batch name and the platform has.
#[derive(Default)]
struct Known {
    /// Workers by their ids on the wire.
    workers: BTreeMap<String, i64>,
    /// Assignments in pools of the requester: whose, and what a message about it is about.
    assignments: BTreeMap<String, (i64, MessageMeta)>,
}

fn known(db: &Db<'_>, who: &str, items: &[Value]) -> Result<Known> {
    let mut known = Known::default();
    for item in items {
        let named = |field: &str| item.get(field).and_then(Value::as_str);
        if let Some(id) = named("user_id")
            && let Some(n) = db.row("SELECT n FROM workers WHERE id = ?1", [id], |row| {
                row.get(0)
            })?
        {
            known.workers.insert(id.to_owned(), n);
        }
        if let Some(id) = named("assignment_id")
            && let Some((worker, pool)) = db.row(
                "SELECT worker, pool FROM assignments WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
            )?
        {
            let pool = db.pool(pool)?;
            if pool.owner == who {
                let meta = messages::about(&pool, Some(id));
                known.assignments.insert(id.to_owned(), (worker, meta));
            }
        }
    }
    Ok(known)
}

/// A bonus that can be paid.
struct Valid {
    form: UserBonus,
    amount: Decimal,
    worker: i64,
    meta: Option<MessageMeta>,
}

/// Why an amount is refused, if it is.
fn refused_amount(amount: Option<Decimal>) -> Option<FieldError> {
    match amount {
        None => Some(field_error("VALUE_REQUIRED", "Value must be present")),
        Some(amount) if amount < MIN_BONUS => {
            let message = format!("A bonus is at least {MIN_BONUS} dollars");
            Some(field_error("VALUE_LESS_THAN_MIN", message))
        }
        Some(amount) if amount > MAX_BONUS => {
            let message = format!("A bonus is at most {MAX_BONUS} dollars");
            Some(field_error("VALUE_GREATER_THAN_MAX", message))
        }
        Some(_) => None,
    }
}

/// Reads one item of a batch, or says what is wrong with it.
fn check(item: &Value, known: &Known) -> std::result::Result<Valid, FieldErrors> {
    let form: UserBonus = serde_path_to_error::deserialize(item).map_err(|error| {
        let path = match error.path().to_string() {
            whole if whole == "." => "user_bonus".to_owned(),
            path => path,
        };
        FieldErrors::from([(
            path,
            field_error("INVALID_VALUE", error.inner().to_string()),
        )])
    })?;
    let mut errors = FieldErrors::new();
    if let Some(error) = refused_amount(form.amount) {
        errors.insert("amount".to_owned(), error);
    }
    let mut refuse = |path: &str, code: &str, message: &str| {
        errors.insert(path.to_owned(), field_error(code, message));
    };
    let worker = known.workers.get(&form.user_id).copied();
    if form.user_id.is_empty() {
        refuse("user_id", "VALUE_REQUIRED", "Value must be present");
    } else if worker.is_none() {
        let message = format!("There is no worker `{}`", form.user_id);
        refuse("user_id", "ENTITY_DOES_NOT_EXIST", &message);
    }
    let mut meta = None;
    if let Some(id) = &form.assignment_id {
        match known.assignments.get(id) {
            Some((whose, about)) if Some(*whose) == worker => meta = Some(about.clone()),
            _ => {
                let message = format!("The worker has no assignment `{id}` of yours");
                refuse("assignment_id", "ENTITY_DOES_NOT_EXIST", &message);
            }
        }
    }
    let comment = form.private_comment.as_deref().unwrap_or_default();
    if comment.chars().count() > MOST_COMMENT_CHARS {
        let message = format!("A comment has at most {MOST_COMMENT_CHARS} characters");
        refuse(
            "private_comment",
            "STRING_LENGTH_GREATER_THAN_MAX",
            &message,
        );
    }
    for (path, text, most) in [
        (
            "public_title",
            &form.public_title,
            messages::MOST_TOPIC_CHARS,
        ),
        (
            "public_message",
            &form.public_message,
            messages::MOST_TEXT_CHARS,
        ),
    ] {
        if let Some(error) = text.as_ref().and_then(|text| messages::refused(text, most)) {
            errors.insert(path.to_owned(), error);
        }
    }
    match (form.amount, worker) {
        (Some(amount), Some(worker)) if errors.is_empty() => Ok(Valid {
            form,
            amount,
            worker,
            meta,
        }),
        _ => Err(errors),
    }
}

/// Pays a bonus and returns its id.
fn pay(tx: &Tx<'_>, who: &str, valid: &Valid) -> Result<String> {
    let free = tx.account(who)?.free();
    if free < valid.amount {
        return Err(Error::conflict(
            "NOT_ENOUGH_BALANCE",
            format!(
                "The next bonus is {} dollars, the account has {free} left",
                valid.amount
            ),
        ));
    }
    tx.pay(who, valid.amount)?;
    let id = tx.next_decimal("bonuses")?;
    let form = UserBonus {
        id: String::new(),
        created: None,
        other: Values::new(),
        ..valid.form.clone()
    };
    tx.run(
        "INSERT INTO bonuses (id, owner, user, assignment, amount, comment, created, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            id,
            who,
            &form.user_id,
            &form.assignment_id,
            valid.amount.to_string(),
            &form.private_comment,
            tx.now(),
            serde_json::to_string(&form)?,
        ),
    )?;
    if form.without_message != Some(true) {
        tell(tx, who, valid)?;
    }
    Ok(id.to_string())
}

/// Tells the worker about a bonus, in the requester's words if there are any.
fn tell(tx: &Tx<'_>, who: &str, valid: &Valid) -> Result<()> {
    let english = |text: String| LocalizedText::from([("EN".to_owned(), text)]);
    let topic = valid.form.public_title.clone();
    let text = valid.form.public_message.clone();
    let details = ComposeDetails {
        recipients_select_type: Some(RecipientsSelectType::Direct),
        recipients_ids: Some(vec![valid.form.user_id.clone()]),
        ..ComposeDetails::default()
    };
    let new = NewThread {
        owner: who,
        parent: None,
        topic: &topic.unwrap_or_else(|| english("Bonus".to_owned())),
        answerable: true,
        compose: Some(&details),
        meta: valid.meta.as_ref(),
    };
    let text = text.unwrap_or_else(|| {
        english(format!(
            "You received a bonus of {} dollars.",
            valid.amount.normalize()
        ))
    });
    messages::begin(tx, &new, &[valid.worker], Author::Requester, &text)?;
    Ok(())
}

pub(super) async fn create(
    State(p): State<Platform>,
    who: Requester,
    query: Query,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let request = Request::read(tx, &query, &body)?;
        if !request.async_mode && request.items.len() > BONUSES_PER_SYNC_REQUEST {
            let message =
                format!("More than {BONUSES_PER_SYNC_REQUEST} bonuses need async_mode=true");
            return Err(Error::field(
                "user_bonuses",
                "ARRAY_SIZE_GREATER_THAN_MAX",
                message,
            ));
        }
        let known = known(tx, &who.0, &request.items)?;
        let batch = batch::make(
            &BONUSES,
            &request,
            |item| check(item, &known),
            |valid| pay(tx, &who.0, valid),
        )?;
        let parameters = json!({ "skip_invalid_items": request.skip_invalid_items });
        batch::answer(tx, &who.0, &BONUSES, &request, parameters, batch, |id| {
            find(tx, &who.0, id)
        })
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?))).await
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("owner = ?", who.0)
            .page(db, SELECT, read_row)?;
        Ok(ok(page))
    })
    .await
}

impl Db<'_> {
    /// The ids of the bonuses that were paid for an assignment.
    pub(super) fn bonus_ids(&self, assignment: &str) -> Result<Vec<String>> {
        self.rows(
            "SELECT id FROM bonuses WHERE assignment = ?1 ORDER BY id",
            [assignment],
            |row| row.get::<_, i64>(0).map(|id| id.to_string()),
        )
    }
}
