//! Webhook subscriptions, and how their deliveries went.
//!
//! The first four routes follow <https://toloka.ai/docs/api/api-reference/#tag--webhook-subscriptions>;
//! the delivery log is ours and stands under a prefix of ours.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use quorate_toloka::{
    Secret,
    types::{Event, EventType, WebhookSubscription},
};
use reqwest::Url;
use rusqlite::Row;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    courier::{self, Address},
    error::{Error, FieldErrors, Result, field_error},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    list::{self, Kind, Spec, Use},
    model::wire,
    platform::Platform,
    store::{Db, Tx},
};

/// The most subscriptions of one request.
const MOST_ITEMS: usize = 300;

/// The most addresses that are told of one kind of event in one pool: each event is written down
/// for all of them.
const MOST_ADDRESSES: i64 = 10;

/// The most characters of an address or secret.
const MOST_CHARS: usize = 2_048;

const SELECT: &str = "SELECT id, event, url, pool, created FROM webhooks";

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Text, Use::Order),
        ("event_type", "event", Kind::Words, Use::Equal),
        ("pool_id", "pool", Kind::Number, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 300,
};

/// The routes of webhook subscriptions.
pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/api/v1/webhook-subscriptions", get(list).put(upsert))
        .route(
            "/api/v1/webhook-subscriptions/{id}",
            get(read).delete(delete),
        )
        .route("/api/v1/webhook-subscriptions/{id}/test", post(test))
        .route(
            "/api/platform/v1/webhook-subscriptions/{id}/deliveries",
            get(deliveries),
        )
}

/// The subscription as its requester sees it: without the secret.
fn view(row: &Row<'_>) -> rusqlite::Result<WebhookSubscription> {
    Ok(WebhookSubscription {
        id: row.get(0)?,
        event_type: row.get::<_, String>(1)?.into(),
        webhook_url: row.get(2)?,
        pool_id: row.get::<_, i64>(3)?.to_string(),
        created: Some(wire(row.get(4)?)),
        ..WebhookSubscription::default()
    })
}

/// A subscription that a requester asks for, and may.
struct Form {
    url: String,
    /// Scheme, host and port of the address.
    receiver: String,
    event: EventType,
    pool: i64,
    secret: Option<String>,
}

impl Form {
    /// Reads one item of a request by hand: no message may hold a part of a secret.
    fn read(
        db: &Db<'_>,
        who: &str,
        item: &Value,
    ) -> Result<std::result::Result<Self, FieldErrors>> {
        let mut errors = FieldErrors::new();
        let url = text(item, "webhook_url", &mut errors);
        let event = text(item, "event_type", &mut errors).map(EventType::from);
        let pool = text(item, "pool_id", &mut errors);
        let secret = match item.get("secret_key") {
            None | Some(Value::Null) => None,
            Some(_) => text(item, "secret_key", &mut errors),
        };
        let mut refuse = |field: &str, code: &str, message: String| {
            errors.insert(field.to_owned(), field_error(code, message));
        };
        let receiver = url.and_then(receiver);
        if url.is_some() && receiver.is_none() {
            let message = if cfg!(feature = "tls") {
                "Give an address such as https://example.com/toloka".to_owned()
            } else {
                "Give an http address; https needs a program that is built with the feature `tls`"
                    .to_owned()
            };
            refuse("webhook_url", "INVALID_URL_SYNTAX", message);
        }
        if let Some(EventType::Unknown(kind)) = &event {
            refuse(
                "event_type",
                "UNKNOWN_ENUM_VALUE",
                format!("There is no event `{kind}`"),
            );
        }
        let pool = match pool {
            Some(id) => match owner(db, id)? {
                Some((pool, owner)) if owner == who => Some(pool),
                Some(_) => {
                    let message = format!("The pool `{id}` belongs to another account");
                    refuse("pool_id", "ENTITY_ACCESS_DENIED", message);
                    None
                }
                None => {
                    let message = format!("There is no pool `{id}`");
                    refuse("pool_id", "ENTITY_DOES_NOT_EXIST", message);
                    None
                }
            },
            None => None,
        };
        if let (Some(pool), Some(event), Some(url)) = (pool, &event, url) {
            let others = db.number(
                "SELECT count(*) FROM webhooks WHERE pool = ?1 AND event = ?2 AND url <> ?3",
                (pool, event.as_str(), url),
            )?;
            if others >= MOST_ADDRESSES {
                let message =
                    format!("{MOST_ADDRESSES} addresses are told of this already; delete one");
                refuse("webhook_url", "VALUE_NOT_ALLOWED", message);
            }
        }
        Ok(match (url, receiver, event, pool) {
            (Some(url), Some(receiver), Some(event), Some(pool)) if errors.is_empty() => Ok(Self {
                url: url.to_owned(),
                receiver,
                event,
                pool,
                secret: secret.map(str::to_owned),
            }),
            _ => Err(errors),
        })
    }

    /// Stores the subscription; pool, kind of event and address name one. An older secret is
    /// replaced, by none if there is none.
    fn store(self, tx: &Tx<'_>, who: &str) -> Result<WebhookSubscription> {
        let key = (self.pool, self.event.as_str(), &self.url);
        let known = tx.run(
            "UPDATE webhooks SET secret = ?4 WHERE pool = ?1 AND event = ?2 AND url = ?3",
            (key.0, key.1, key.2, &self.secret),
        )?;
        if known == 0 {
            // Each later than the one before: clients page through the list by this time.
            let last = tx.number("SELECT created FROM webhooks ORDER BY n DESC LIMIT 1", [])?;
            tx.run(
                "INSERT INTO webhooks (id, owner, pool, event, url, receiver, secret, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    Uuid::new_v4().to_string(),
                    who,
                    key.0,
                    key.1,
                    key.2,
                    &self.receiver,
                    &self.secret,
                    tx.now().max(last + 1),
                ),
            )?;
        }
        tx.row(
            &format!("{SELECT} WHERE pool = ?1 AND event = ?2 AND url = ?3"),
            key,
            view,
        )?
        .ok_or_else(|| Error::internal("a webhook subscription vanished"))
    }
}

/// A required text of an item, not empty and of bounded length.
fn text<'a>(item: &'a Value, name: &str, errors: &mut FieldErrors) -> Option<&'a str> {
    let (code, message) = match item.get(name) {
        None | Some(Value::Null) => ("VALUE_REQUIRED", "Value must be present".to_owned()),
        Some(Value::String(text)) if text.trim().is_empty() => (
            "BLANK_STRING_NOT_ALLOWED",
            "It must not be empty".to_owned(),
        ),
        Some(Value::String(text)) if text.chars().count() > MOST_CHARS => (
            "STRING_LENGTH_GREATER_THAN_MAX",
            format!("It may have {MOST_CHARS} characters at most"),
        ),
        Some(Value::String(text)) => return Some(text),
        Some(_) => ("STRING_EXPECTED", "It must be a text".to_owned()),
    };
    errors.insert(name.to_owned(), field_error(code, message));
    None
}

/// Scheme, host and port of an address that can be posted to.
fn receiver(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let spoken = url.scheme() == "http" || (cfg!(feature = "tls") && url.scheme() == "https");
    let http = spoken && url.has_host();
    http.then(|| url.origin().ascii_serialization())
}

/// A pool's number and owner.
fn owner(db: &Db<'_>, pool: &str) -> Result<Option<(i64, String)>> {
    let Ok(id) = pool.parse::<i64>() else {
        return Ok(None);
    };
    db.row("SELECT id, owner FROM pools WHERE id = ?1", [id], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// The row of a subscription of `who`.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<i64> {
    db.row(
        "SELECT n FROM webhooks WHERE id = ?1 AND owner = ?2",
        (id, who),
        |row| row.get(0),
    )?
    .ok_or_else(|| Error::not_found("webhook subscription", id))
}

async fn upsert(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let (items, single) = match body.parse()? {
            Value::Array(items) => (items, false),
            item @ Value::Object(_) => (vec![item], true),
            _ => return Err(Error::body("Send a subscription or an array of them")),
        };
        if items.len() > MOST_ITEMS {
            return Err(Error::body(format!(
                "Send {MOST_ITEMS} subscriptions at most"
            )));
        }
        let (mut made, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for (index, item) in items.iter().enumerate() {
            match Form::read(tx, &who.0, item)? {
                Ok(form) => drop(made.insert(index, form.store(tx, &who.0)?)),
                Err(errors) if single => return Err(Error::validation(errors)),
                Err(errors) => drop(refused.insert(index, errors)),
            }
        }
        let body = json!({ "items": made, "validation_errors": refused });
        Ok(json(StatusCode::CREATED, body))
    })
    .await
}

async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("owner = ?", who.0)
            .page(db, SELECT, view)?;
        Ok(ok(page))
    })
    .await
}

async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| {
        let n = find(db, &who.0, &id)?;
        Ok(ok(db.row(&format!("{SELECT} WHERE n = ?1"), [n], view)?))
    })
    .await
}

/// Ends a subscription; what is not delivered yet never will be.
async fn delete(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let n = find(tx, &who.0, &id)?;
        tx.run("DELETE FROM webhook_events WHERE webhook = ?1", [n])?;
        tx.run("DELETE FROM webhook_deliveries WHERE webhook = ?1", [n])?;
        tx.run("DELETE FROM webhooks WHERE n = ?1", [n])?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

async fn test(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    let (address, event) = p
        .read(move |db| {
            let webhook = find(db, &who.0, &id)?;
            let found = db.row(
                "SELECT w.url, w.secret, w.pool, p.project FROM webhooks w
                   JOIN pools p ON p.id = w.pool WHERE w.n = ?1",
                [webhook],
                |row| {
                    let address = Address {
                        webhook,
                        url: row.get(0)?,
                        secret: row.get::<_, Option<String>>(1)?.map(Secret::from),
                    };
                    let event = Event {
                        pool_id: Some(row.get::<_, i64>(2)?.to_string()),
                        project_id: Some(row.get::<_, i64>(3)?.to_string()),
                        webhook_subscription_id: Some(id.clone()),
                        ..Event::default()
                    };
                    Ok((address, event))
                },
            )?;
            found.ok_or_else(|| Error::not_found("webhook subscription", &id))
        })
        .await?;
    let (uuid, attempt) = p.test_webhook(address, event).await?;
    let body = json!({
        "success": attempt.error.is_none(),
        "responseReceivedAt": attempt.status.map(|_| wire(attempt.ended)),
        "errorType": attempt.error,
        "originalStatusCode": attempt.status,
        "uuids": [uuid],
    });
    Ok(json(StatusCode::CREATED, body))
}

/// The last attempts, the latest first, and what waits. Times are the machine's, in which receivers
/// live.
async fn deliveries(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| {
        let n = find(db, &who.0, &id)?;
        let items = db.rows(
            "SELECT sent, millis, events, status, error FROM webhook_deliveries
             WHERE webhook = ?1 ORDER BY n DESC LIMIT ?2",
            (n, courier::LOGGED),
            |row| {
                let error = row.get::<_, Option<String>>(4)?;
                Ok(json!({
                    "sent": wire(row.get(0)?),
                    "duration_milliseconds": row.get::<_, i64>(1)?,
                    "events": row.get::<_, i64>(2)?,
                    "success": error.is_none(),
                    "status_code": row.get::<_, Option<u16>>(3)?,
                    "error_type": error,
                }))
            },
        )?;
        let (waiting, next_try) = courier::waiting(db, n)?;
        Ok(ok(
            json!({ "items": items, "waiting": waiting, "next_try": next_try }),
        ))
    })
    .await
}
