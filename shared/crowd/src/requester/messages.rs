//! Message threads of a requester: write to workers, answer them, sort threads into folders.

use axum::{extract::State, http::StatusCode};
use quorate_toloka::{
    limits::RECIPIENTS_PER_MESSAGE,
    types::{
        ComposeDetails, ComposeMessage, Folder, MessageFolders, RecipientsSelectType, ReplyMessage,
        Values,
    },
};

use crate::{
    access,
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    list::{self, Kind, Spec, Use},
    messages::{self, Author, NewThread, ThreadRow},
    model::{decimal_id, owned_by},
    platform::Platform,
    store::Db,
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 300,
};

/// A thread of `who`.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<ThreadRow> {
    let thread = db
        .row(
            &format!("{} WHERE id = ?1", ThreadRow::SELECT),
            [decimal_id("message thread", id)?],
            ThreadRow::read,
        )?
        .ok_or_else(|| Error::not_found("message thread", id))?;
    owned_by(&thread.owner, who, "message thread", id)?;
    Ok(thread)
}

/// The workers whom a message names.
fn named(db: &Db<'_>, ids: &[String]) -> Result<Vec<i64>> {
    if ids.is_empty() || ids.len() > RECIPIENTS_PER_MESSAGE {
        let message = format!("Name 1 to {RECIPIENTS_PER_MESSAGE} workers");
        return Err(Error::field(
            "recipients_ids",
            "ARRAY_SIZE_OUT_OF_BOUNDS",
            message,
        ));
    }
    let mut workers = Vec::new();
    let mut errors = FieldErrors::new();
    for (index, id) in ids.iter().enumerate() {
        match db.row("SELECT n FROM workers WHERE id = ?1", [id], |row| {
            row.get(0)
        })? {
            Some(worker) => workers.push(worker),
            None => {
                errors.insert(
                    format!("recipients_ids.{index}"),
                    field_error(
                        "ENTITY_DOES_NOT_EXIST",
                        format!("There is no worker `{id}`"),
                    ),
                );
            }
        }
    }
    if errors.is_empty() {
        Ok(workers)
    } else {
        Err(Error::validation(errors))
    }
}

/// The workers to whom a message goes.
fn recipients(db: &Db<'_>, who: &str, form: &ComposeMessage) -> Result<Vec<i64>> {
    let workers = match &form.recipients_select_type {
        Some(RecipientsSelectType::Direct) => {
            named(db, form.recipients_ids.as_deref().unwrap_or_default())?
        }
        Some(RecipientsSelectType::Filter) => {
            let filter = form.recipients_filter.as_ref().ok_or_else(|| {
                Error::field(
                    "recipients_filter",
                    "VALUE_REQUIRED",
                    "Say which workers get the message",
                )
            })?;
            access::workers_passing(db, who, filter, None)?
        }
        // Everybody who ever took a page of this requester.
        Some(RecipientsSelectType::All) => db.rows(
            "SELECT n FROM workers w WHERE EXISTS (SELECT 1 FROM assignments a
               JOIN pools p ON p.id = a.pool WHERE a.worker = w.n AND p.owner = ?1)",
            [who],
            |row| row.get(0),
        )?,
        other => {
            let code = if other.is_none() {
                "VALUE_REQUIRED"
            } else {
                "UNKNOWN_ENUM_VALUE"
            };
            return Err(Error::field(
                "recipients_select_type",
                code,
                "Use DIRECT, FILTER or ALL",
            ));
        }
    };
    if workers.is_empty() {
        return Err(Error::conflict(
            "INCORRECT_RECIPIENTS",
            "No worker would get the message",
        ));
    }
    Ok(workers)
}

pub(super) async fn compose(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let form: ComposeMessage = body.parse()?;
        messages::check(Some(&form.topic), &form.text)?;
        let workers = recipients(tx, &who.0, &form)?;
        let direct = form.recipients_select_type == Some(RecipientsSelectType::Direct);
        let filtered = form.recipients_select_type == Some(RecipientsSelectType::Filter);
        let details = ComposeDetails {
            recipients_select_type: form.recipients_select_type,
            recipients_ids: form.recipients_ids.filter(|_| direct),
            recipients_filter: form.recipients_filter.filter(|_| filtered),
            other: Values::new(),
        };
        let new = NewThread {
            owner: &who.0,
            parent: None,
            topic: &form.topic,
            answerable: form.answerable.unwrap_or(true),
            compose: Some(&details),
            meta: None,
        };
        let id = messages::begin(tx, &new, &workers, Author::Requester, &form.text)?;
        let thread = find(tx, &who.0, &id.to_string())?.wire(tx)?;
        Ok(json(StatusCode::CREATED, thread))
    })
    .await
}

pub(super) async fn reply(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let thread = find(tx, &who.0, &id)?;
        let form: ReplyMessage = body.parse()?;
        messages::check(None, &form.text)?;
        messages::add(tx, thread.id, Author::Requester, &form.text)?;
        Ok(ok(find(tx, &who.0, &id)?.wire(tx)?))
    })
    .await
}

/// The bits of folders; an error names the one that there is not.
fn bits<'a>(field: &str, folders: impl IntoIterator<Item = &'a Folder>) -> Result<i64> {
    let mut bits = 0;
    for folder in folders {
        bits |= messages::bit(folder).ok_or_else(|| {
            Error::field(
                field,
                "UNKNOWN_ENUM_VALUE",
                format!("There is no folder `{folder}`"),
            )
        })?;
    }
    Ok(bits)
}

/// Puts a thread into folders, or takes it out of them.
async fn file(p: Platform, who: Requester, id: String, body: Body, add: bool) -> Answer {
    p.write(move |tx| {
        let thread = find(tx, &who.0, &id)?;
        let form: MessageFolders = body.parse()?;
        let bits = bits("folders", &form.folders)?;
        if bits == 0 {
            return Err(Error::field("folders", "VALUE_REQUIRED", "Name a folder"));
        }
        let sql = if add {
            "UPDATE threads SET folders = folders | ?2 WHERE id = ?1"
        } else {
            "UPDATE threads SET folders = folders & ~?2 WHERE id = ?1"
        };
        tx.run(sql, (thread.id, bits))?;
        Ok(ok(find(tx, &who.0, &id)?.wire(tx)?))
    })
    .await
}

pub(super) async fn add_to_folders(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    file(p, who, id, body, true).await
}

pub(super) async fn remove_from_folders(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    file(p, who, id, body, false).await
}

/// Threads in any of the folders of `folder` and in none of `folder_ne`.
pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let params = &query.0;
        let named = |name: &str| {
            let folders: Vec<Folder> = params
                .get(name)
                .map_or("", String::as_str)
                .split(',')
                .filter(|word| !word.is_empty())
                .map(|word| Folder::from(word.to_owned()))
                .collect();
            bits(name, &folders)
        };
        let mut list = list::Query::parse(&LIST, params)?.and("owner = ?", who.0);
        let (within, without) = (named("folder")?, named("folder_ne")?);
        if within != 0 {
            list = list.and("folders & ? <> 0", within);
        }
        let page =
            list.and("folders & ? = 0", without)
                .page(db, ThreadRow::SELECT, ThreadRow::read)?;
        list::answer(page, |thread| thread.wire(db))
    })
    .await
}
