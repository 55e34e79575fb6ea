//! Message threads: what requesters, workers and the platform write to each other.
//!
//! A thread belongs to a requester, who sorts it into folders. A message to one worker is a
//! conversation with that worker. A message to many is one thread for all of them; who answers it
//! begins a thread of its own below it (`parent`), which nobody else sees. Texts are data: they are
//! kept and answered as they came, and it is the reader's page that must not take them for HTML.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse as _,
    routing::{get, post},
};
use quorate_toloka::types::{
    ComposeDetails, FieldError, Folder, Interlocutor, InterlocutorRole, LocalizedText, Message,
    MessageMeta, MessageThread, ReplyMessage, Values,
};
use rusqlite::Row;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, WorkerToken, json, ok},
    list::{self, Kind, Spec, Use},
    model::{PoolRow, WorkerRow, decimal_id, from_column, wire},
    platform::Platform,
    store::{Db, Tx},
};

/// The most characters of a topic, over all its languages.
pub(crate) const MOST_TOPIC_CHARS: usize = 1_000;

/// The most characters of a message, over all its languages.
pub(crate) const MOST_TEXT_CHARS: usize = 10_000;

/// The most languages of one text.
const MOST_LANGUAGES: usize = 50;

/// The most bytes of text in one thread: whoever reads a thread gets all of it.
const MOST_THREAD_BYTES: i64 = 262_144;

/// The most messages of one worker within a day.
const MOST_DAILY: i64 = 200;

/// The most workers that a thread names.
const MOST_NAMED: i64 = 100;

/// The routes of the worker API about messages.
pub(crate) fn routes() -> Router<Platform> {
    Router::new()
        .route("/api/worker/v1/messages", get(list).post(start))
        .route("/api/worker/v1/messages/{id}/reply", post(reply))
        .route("/api/worker/v1/messages/{id}/read", post(read))
}

/// The bit of a folder.
pub(crate) fn bit(folder: &Folder) -> Option<i64> {
    Some(match folder {
        Folder::Inbox => 1,
        Folder::Outbox => 2,
        Folder::AutomaticNotification => 4,
        Folder::Important => 8,
        Folder::Unread => 16,
        Folder::Unknown(_) => return None,
    })
}

const INBOX: i64 = 1;
const OUTBOX: i64 = 2;
const AUTOMATIC_NOTIFICATION: i64 = 4;
const UNREAD: i64 = 16;

/// The folders of a set of bits.
fn folders(bits: i64) -> Vec<Folder> {
    [
        Folder::Inbox,
        Folder::Outbox,
        Folder::AutomaticNotification,
        Folder::Important,
        Folder::Unread,
    ]
    .into_iter()
    .filter(|folder| bit(folder).is_some_and(|bit| bits & bit != 0))
    .collect()
}

/// Why a text is refused, if it is: it needs at least one language, and is not endless.
pub(crate) fn refused(text: &LocalizedText, most_chars: usize) -> Option<FieldError> {
    if text.values().all(|text| text.trim().is_empty()) {
        let message = "Give the text in at least one language, such as {\"EN\": \"…\"}";
        return Some(field_error("VALUE_REQUIRED", message));
    }
    let is_code = |code: &String| {
        (1..=16).contains(&code.len())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if text.len() > MOST_LANGUAGES || !text.keys().all(is_code) {
        let message = format!("The keys are up to {MOST_LANGUAGES} language codes such as EN");
        return Some(field_error("INVALID_VALUE", message));
    }
    let chars: usize = text.values().map(|text| text.chars().count()).sum();
    (chars > most_chars).then(|| {
        let message = format!("{chars} characters are too many, at most {most_chars}");
        field_error("STRING_LENGTH_GREATER_THAN_MAX", message)
    })
}

/// Refuses a topic and text that cannot be sent.
pub(crate) fn check(topic: Option<&LocalizedText>, text: &LocalizedText) -> Result<()> {
    let topic = topic.and_then(|topic| Some(("topic", refused(topic, MOST_TOPIC_CHARS)?)));
    let text = refused(text, MOST_TEXT_CHARS).map(|error| ("text", error));
    let errors: FieldErrors = topic
        .into_iter()
        .chain(text)
        .map(|(field, error)| (field.to_owned(), error))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::validation(errors))
    }
}

/// Who writes.
#[derive(Clone, Copy)]
pub(crate) enum Author {
    Requester,
    Platform,
    Worker(i64),
}

impl Author {
    fn column(self) -> Option<i64> {
        match self {
            Self::Requester => None,
            Self::Platform => Some(0),
            Self::Worker(n) => Some(n),
        }
    }

    fn from_column(worker: Option<i64>) -> Self {
        match worker {
            None => Self::Requester,
            Some(0) => Self::Platform,
            Some(n) => Self::Worker(n),
        }
    }

    fn role(self) -> InterlocutorRole {
        match self {
            Self::Requester => InterlocutorRole::Requester,
            Self::Platform => InterlocutorRole::System,
            Self::Worker(_) => InterlocutorRole::User,
        }
    }

    /// Where the requester finds a message.
    fn folders(self) -> i64 {
        match self {
            Self::Requester => OUTBOX,
            Self::Platform => AUTOMATIC_NOTIFICATION | UNREAD,
            Self::Worker(_) => INBOX | UNREAD,
        }
    }
}

/// A thread that begins.
#[derive(Clone, Copy)]
pub(crate) struct NewThread<'a> {
    /// The requester.
    pub(crate) owner: &'a str,
    pub(crate) parent: Option<i64>,
    pub(crate) topic: &'a LocalizedText,
    pub(crate) answerable: bool,
    pub(crate) compose: Option<&'a ComposeDetails>,
    pub(crate) meta: Option<&'a MessageMeta>,
}

/// The work in a pool, or one page of it, as what a thread is about.
pub(crate) fn about(pool: &PoolRow, assignment: Option<&str>) -> MessageMeta {
    MessageMeta {
        pool_id: Some(pool.id.to_string()),
        project_id: Some(pool.project.to_string()),
        assignment_id: assignment.map(str::to_owned),
        other: Values::new(),
    }
}

/// Begins a thread with these workers and its first message; returns its id.
pub(crate) fn begin(
    tx: &Tx<'_>,
    new: &NewThread<'_>,
    workers: &[i64],
    author: Author,
    text: &LocalizedText,
) -> Result<i64> {
    let id = tx.next_decimal("threads")?;
    tx.run(
        "INSERT INTO threads (id, owner, parent, topic, answerable, folders, compose, meta, created)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)",
        (
            id,
            new.owner,
            new.parent,
            serde_json::to_string(new.topic)?,
            new.answerable,
            new.compose.map(serde_json::to_string).transpose()?,
            new.meta.map(serde_json::to_string).transpose()?,
            tx.now(),
        ),
    )?;
    for worker in workers {
        tx.run(
            "INSERT OR IGNORE INTO thread_workers (worker, thread, unread) VALUES (?1, ?2, 0)",
            (worker, id),
        )?;
    }
    add(tx, id, author, text)?;
    Ok(id)
}

/// Adds a message to a thread: it is new to everybody but its author.
pub(crate) fn add(tx: &Tx<'_>, thread: i64, author: Author, text: &LocalizedText) -> Result<()> {
    let text = serde_json::to_string(text)?;
    let held = tx.number(
        "SELECT sum(octet_length(text)) FROM messages WHERE thread = ?1",
        [thread],
    )?;
    if held.saturating_add_unsigned(text.len() as u64) > MOST_THREAD_BYTES {
        return Err(Error::conflict(
            "CONFLICT_STATE",
            format!("A thread holds at most {MOST_THREAD_BYTES} bytes of text; begin another"),
        ));
    }
    tx.run(
        "INSERT INTO messages (n, thread, worker, text, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        (tx.next(), thread, author.column(), text, tx.now()),
    )?;
    // Who answers has read what was there.
    let read = match author {
        Author::Requester => UNREAD,
        Author::Platform | Author::Worker(_) => 0,
    };
    tx.run(
        "UPDATE threads SET folders = (folders & ~?2) | ?3 WHERE id = ?1",
        (thread, read, author.folders()),
    )?;
    tx.run(
        "UPDATE thread_workers SET unread = (worker IS NOT ?2) WHERE thread = ?1",
        (thread, author.column()),
    )?;
    Ok(())
}

/// Tells a requester something that the platform did with a pool.
pub(crate) fn notify(tx: &Tx<'_>, pool: &PoolRow, topic: &str, text: &str) -> Result<()> {
    let english = |text: &str| LocalizedText::from([("EN".to_owned(), text.to_owned())]);
    let new = NewThread {
        owner: &pool.owner,
        parent: None,
        topic: &english(topic),
        answerable: false,
        compose: None,
        meta: Some(&about(pool, None)),
    };
    begin(tx, &new, &[], Author::Platform, &english(text))?;
    Ok(())
}

/// A thread.
pub(crate) struct ThreadRow {
    pub(crate) id: i64,
    pub(crate) owner: String,
    parent: Option<i64>,
    topic: LocalizedText,
    answerable: bool,
    folders: i64,
    compose: Option<ComposeDetails>,
    meta: Option<MessageMeta>,
    created: i64,
}

impl ThreadRow {
    pub(crate) const SELECT: &str =
        "SELECT id, owner, parent, topic, answerable, folders, compose, meta, created FROM threads";

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let compose: Option<String> = row.get(6)?;
        let meta: Option<String> = row.get(7)?;
        Ok(Self {
            id: row.get(0)?,
            owner: row.get(1)?,
            parent: row.get(2)?,
            topic: from_column(row.get_ref(3)?.as_str()?)?,
            answerable: row.get(4)?,
            folders: row.get(5)?,
            compose: compose.as_deref().map(from_column).transpose()?,
            meta: meta.as_deref().map(from_column).transpose()?,
            created: row.get(8)?,
        })
    }

    fn find(db: &Db<'_>, id: i64) -> Result<Self> {
        db.row(&format!("{} WHERE id = ?1", Self::SELECT), [id], Self::read)?
            .ok_or_else(|| Error::not_found("message thread", &id.to_string()))
    }

    /// The messages, new ones first.
    fn messages(&self, db: &Db<'_>) -> Result<Vec<(Author, LocalizedText, i64)>> {
        db.rows(
            "SELECT worker, text, created FROM messages WHERE thread = ?1 ORDER BY n DESC",
            [self.id],
            |row| {
                Ok((
                    Author::from_column(row.get(0)?),
                    from_column(row.get_ref(1)?.as_str()?)?,
                    row.get(2)?,
                ))
            },
        )
    }

    /// The thread as its requester sees it.
    pub(crate) fn wire(self, db: &Db<'_>) -> Result<MessageThread> {
        let workers: Vec<String> = db.rows(
            "SELECT w.id FROM thread_workers t JOIN workers w ON w.n = t.worker
             WHERE t.thread = ?1 ORDER BY t.worker LIMIT ?2",
            (self.id, MOST_NAMED),
            |row| row.get(0),
        )?;
        let takes_part = db.number(
            "SELECT count(*) FROM thread_workers WHERE thread = ?1",
            [self.id],
        )?;
        let somebody = |id: String, role: InterlocutorRole| Interlocutor {
            myself: (role == InterlocutorRole::Requester).then_some(true),
            id,
            role: Some(role),
            other: Values::new(),
        };
        let myself = somebody(self.owner.clone(), InterlocutorRole::Requester);
        let mut messages = Vec::new();
        for (author, text, created) in self.messages(db)? {
            messages.push(Message {
                text,
                from: Some(match author {
                    Author::Requester => myself.clone(),
                    Author::Platform => somebody(String::new(), author.role()),
                    Author::Worker(n) => somebody(db.worker(n)?.id, author.role()),
                }),
                created: Some(wire(created)),
                other: Values::new(),
            });
        }
        let others = workers
            .into_iter()
            .map(|id| somebody(id, InterlocutorRole::User));
        let mut interlocutors: Vec<_> = std::iter::once(myself).chain(others).collect();
        interlocutors.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(MessageThread {
            id: self.id.to_string(),
            parent_id: self.parent.map(|id| id.to_string()),
            topic: self.topic,
            interlocutors_inlined: Some(takes_part <= MOST_NAMED),
            interlocutors: Some(interlocutors),
            messages_inlined: Some(true),
            messages: Some(messages),
            compose_details: self.compose,
            meta: self.meta,
            folders: folders(self.folders),
            answerable: Some(self.answerable),
            created: Some(wire(self.created)),
            other: Values::new(),
        })
    }

    /// The thread as one of its workers sees it.
    fn seen_by(self, db: &Db<'_>, worker: &WorkerRow) -> Result<Value> {
        let unread = db.number(
            "SELECT unread FROM thread_workers WHERE worker = ?1 AND thread = ?2",
            (worker.n, self.id),
        )? != 0;
        let messages: Vec<Value> = self
            .messages(db)?
            .into_iter()
            .map(|(author, text, created)| {
                let myself = author.column() == Some(worker.n);
                json!({
                    "from": { "role": author.role(), "myself": myself },
                    "text": text,
                    "created": wire(created),
                })
            })
            .collect();
        Ok(json!({
            "id": self.id.to_string(),
            "parent_id": self.parent.map(|id| id.to_string()),
            "topic": self.topic,
            "messages": messages,
            "meta": self.meta,
            "answerable": self.answerable,
            "unread": unread,
            "created": wire(self.created),
        }))
    }
}

// --- What workers do.

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 100,
};

/// A thread that a worker takes part in.
fn own(db: &Db<'_>, worker: &WorkerRow, id: &str) -> Result<ThreadRow> {
    let n = decimal_id("message thread", id)?;
    let takes_part = db.number(
        "SELECT EXISTS (SELECT 1 FROM thread_workers WHERE worker = ?1 AND thread = ?2)",
        (worker.n, n),
    )? != 0;
    if takes_part {
        ThreadRow::find(db, n)
    } else {
        Err(Error::not_found("message thread", id))
    }
}

async fn list(State(p): State<Platform>, token: WorkerToken, query: Query) -> Answer {
    p.read(move |db| {
        let worker = token.worker(db)?;
        let page = list::Query::parse(&LIST, &query.0)?
            .and(
                "id IN (SELECT thread FROM thread_workers WHERE worker = ?)",
                worker.n,
            )
            .page(db, ThreadRow::SELECT, ThreadRow::read)?;
        list::answer(page, |thread| thread.seen_by(db, &worker))
    })
    .await
}

/// A question of a worker about a pool, or about one page of it.
#[derive(Deserialize)]
struct Start {
    pool_id: Option<String>,
    assignment_id: Option<String>,
    #[serde(default)]
    topic: LocalizedText,
    #[serde(default)]
    text: LocalizedText,
}

/// The work that a worker asks about: a page of their own, or a pool that is open or that they
/// have worked in.
fn asked_about(db: &Db<'_>, worker: &WorkerRow, form: &Start) -> Result<(PoolRow, MessageMeta)> {
    if let Some(id) = &form.assignment_id {
        let row = crate::work::own(db, worker, id)?;
        let pool = db.pool(row.pool)?;
        let meta = about(&pool, Some(id));
        return Ok((pool, meta));
    }
    let id = form.pool_id.as_deref().ok_or_else(|| {
        Error::field(
            "pool_id",
            "VALUE_REQUIRED",
            "Say which pool or assignment it is about",
        )
    })?;
    let no_such = || Error::not_found("pool", id);
    let pool = db.find_pool(decimal_id("pool", id)?)?.ok_or_else(no_such)?;
    let known = pool.is_open()
        || db.number(
            "SELECT EXISTS (SELECT 1 FROM assignments WHERE worker = ?1 AND pool = ?2)",
            (worker.n, pool.id),
        )? != 0;
    if !known {
        return Err(no_such());
    }
    let meta = about(&pool, None);
    Ok((pool, meta))
}

/// Refuses the message of a worker who has written too many today.
fn not_too_many(db: &Db<'_>, worker: &WorkerRow) -> Result<()> {
    let today = db.number(
        "SELECT count(*) FROM messages WHERE worker = ?1 AND created > ?2",
        (worker.n, db.now() - 86_400_000),
    )?;
    if today >= MOST_DAILY {
        return Err(Error::conflict(
            "CONFLICT_STATE",
            format!("You have written {MOST_DAILY} messages within a day; write on tomorrow"),
        ));
    }
    Ok(())
}

async fn start(State(p): State<Platform>, token: WorkerToken, body: Body) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let form: Start = body.parse()?;
        check(Some(&form.topic), &form.text)?;
        let (pool, meta) = asked_about(tx, &worker, &form)?;
        not_too_many(tx, &worker)?;
        let new = NewThread {
            owner: &pool.owner,
            parent: None,
            topic: &form.topic,
            answerable: true,
            compose: None,
            meta: Some(&meta),
        };
        let author = Author::Worker(worker.n);
        let id = begin(tx, &new, &[worker.n], author, &form.text)?;
        let thread = ThreadRow::find(tx, id)?.seen_by(tx, &worker)?;
        Ok(json(StatusCode::CREATED, thread))
    })
    .await
}

/// Answers in a conversation, or begins one below a message to many.
async fn reply(State(p): State<Platform>, token: WorkerToken, Id(id): Id, body: Body) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let thread = own(tx, &worker, &id)?;
        if !thread.answerable {
            return Err(Error::conflict(
                "CONFLICT_STATE",
                "This message takes no answer",
            ));
        }
        let form: ReplyMessage = body.parse()?;
        check(None, &form.text)?;
        not_too_many(tx, &worker)?;
        let author = Author::Worker(worker.n);
        let id = match conversation(tx, &thread, &worker)? {
            Some(id) => {
                add(tx, id, author, &form.text)?;
                id
            }
            None => {
                let new = NewThread {
                    owner: &thread.owner,
                    parent: Some(thread.id),
                    topic: &thread.topic,
                    answerable: true,
                    compose: None,
                    meta: thread.meta.as_ref(),
                };
                begin(tx, &new, &[worker.n], author, &form.text)?
            }
        };
        Ok(ok(ThreadRow::find(tx, id)?.seen_by(tx, &worker)?))
    })
    .await
}

/// Where a worker's answer to a thread belongs; `None`: in a thread that is not there yet.
fn conversation(db: &Db<'_>, thread: &ThreadRow, worker: &WorkerRow) -> Result<Option<i64>> {
    let others = db.number(
        "SELECT EXISTS (SELECT 1 FROM thread_workers WHERE thread = ?1 AND worker <> ?2)",
        (thread.id, worker.n),
    )? != 0;
    if !others {
        return Ok(Some(thread.id));
    }
    db.row(
        // From the few threads of the worker, not from the many answers to the message.
        "SELECT t.id FROM thread_workers w CROSS JOIN threads t ON t.id = w.thread
         WHERE t.parent = ?1 AND w.worker = ?2",
        (thread.id, worker.n),
        |row| row.get(0),
    )
}

async fn read(State(p): State<Platform>, token: WorkerToken, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let worker = token.worker(tx)?;
        let thread = own(tx, &worker, &id)?;
        tx.run(
            "UPDATE thread_workers SET unread = 0 WHERE worker = ?1 AND thread = ?2",
            (worker.n, thread.id),
        )?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}
