//! The requester's own account, bans of workers, what is known about a worker.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use quorate_toloka::types::{
    Decimal, RestrictionScope, UserAttributes, UserMetadata, UserRestriction, Values,
};
use rust_decimal::prelude::FromPrimitive as _;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    list::{self, Kind, Spec, Use},
    model::{RESTRICTION, WorkerRow, decimal_id, restriction as read_restriction},
    platform::Platform,
    quality::{self, Reason, Restriction},
    store::Db,
    work,
};

use super::projects;

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("scope", "scope", Kind::Words, Use::Equal),
        ("user_id", "user", Kind::Text, Use::Equal),
        ("project_id", "project", Kind::Number, Use::Equal),
        ("pool_id", "pool", Kind::Number, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 500,
};

pub(super) async fn requester(State(p): State<Platform>, who: Requester) -> Answer {
    p.read(move |db| {
        Ok(ok(json!({
            "id": who.0,
            "balance": work::number(db.account(&who.0)?.balance),
            "public_name": { "EN": "Requester" },
        })))
    })
    .await
}

fn find(db: &Db<'_>, who: &str, id: &str) -> Result<UserRestriction> {
    db.row(
        &format!("{RESTRICTION} WHERE id = ?1 AND owner = ?2"),
        (decimal_id("user restriction", id)?, who),
        read_restriction,
    )?
    .ok_or_else(|| Error::not_found("user restriction", id))
}

pub(super) async fn restrict(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let form: UserRestriction = body.parse()?;
        let required = |value: &Option<String>, path: &str| {
            value
                .clone()
                .ok_or_else(|| Error::field(path, "VALUE_REQUIRED", "Value must be present"))
        };
        if form.user_id.is_empty() {
            return Err(Error::field("user_id", "VALUE_REQUIRED", "Value must be present"));
        }
        if form.private_comment.as_ref().is_some_and(|text| text.chars().count() > 499) {
            let message = "A comment has at most 499 characters";
            return Err(Error::field("private_comment", "STRING_LENGTH_GREATER_THAN_MAX", message));
        }
        let (project, pool) = match form.scope {
            RestrictionScope::Pool => (0, tx.pool_of(&who.0, &required(&form.pool_id, "pool_id")?)?.id),
            RestrictionScope::Project => {
                (projects::find(tx, &who.0, &required(&form.project_id, "project_id")?)?.id, 0)
            }
            RestrictionScope::AllProjects => (0, 0),
            RestrictionScope::System => {
                return Err(Error::conflict("SYSTEM_SCOPE_MODIFICATION", "Only the platform bans from everything"));
            }
            RestrictionScope::Unknown(_) => {
                return Err(Error::field("scope", "UNKNOWN_ENUM_VALUE", "Use POOL, PROJECT or ALL_PROJECTS"));
            }
        };
        let scope = form.scope.as_str();
        // What the requester says replaces what was there, unlike a rule, which extends it.
        tx.run(
            "DELETE FROM restrictions WHERE user = ?1 AND owner = ?2 AND scope = ?3 AND project = ?4 AND pool = ?5",
            (&form.user_id, &who.0, scope, project, pool),
        )?;
        let id = tx.restrict(&Restriction {
            owner: &who.0,
            scope,
            user: &form.user_id,
            project,
            pool,
            comment: form.private_comment.as_deref(),
            will_expire: form.will_expire.map(|time| time.as_millis()),
        })?;
        quality::access_changed(tx, &who.0, &form.user_id, Reason::Restriction)?;
        Ok(json(StatusCode::CREATED, find(tx, &who.0, &id.to_string())?))
    })
    .await
}

pub(super) async fn restriction(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?))).await
}

pub(super) async fn restrictions(
    State(p): State<Platform>,
    who: Requester,
    query: Query,
) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("owner = ?", who.0)
            .page(db, RESTRICTION, read_restriction)?;
        Ok(ok(page))
    })
    .await
}

pub(super) async fn unrestrict(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let found = find(tx, &who.0, &id)?;
        tx.run(
            "DELETE FROM restrictions WHERE id = ?1",
            [decimal_id("user restriction", &found.id)?],
        )?;
        quality::access_changed(tx, &who.0, &found.user_id, Reason::Restriction)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

pub(super) async fn metadata(State(p): State<Platform>, _: Requester, Id(id): Id) -> Answer {
    p.read(move |db| {
        let worker = db
            .find_worker(&id)?
            .ok_or_else(|| Error::not_found("worker", &id))?;
        Ok(ok(described(&worker)))
    })
    .await
}

/// What requesters may know about a worker. A worker wrote it, so only what has the right type is
/// passed on.
fn described(worker: &WorkerRow) -> UserMetadata {
    let known = |key: &str| worker.profile.get(key);
    let text = |key: &str| known(key).and_then(Value::as_str).map(str::to_owned);
    let whole = |key: &str| known(key).and_then(Value::as_i64);
    let languages = known("languages").and_then(Value::as_array).map(|codes| {
        codes
            .iter()
            .filter_map(|code| code.as_str().map(str::to_owned))
            .collect()
    });
    UserMetadata {
        id: worker.id.clone(),
        country: text("country"),
        languages,
        adult_allowed: known("adult_allowed").and_then(Value::as_bool),
        attributes: Some(UserAttributes {
            country_by_phone: text("country_by_phone"),
            country_by_ip: text("country_by_ip"),
            client_type: text("client_type"),
            user_agent_type: text("user_agent_type"),
            device_category: text("device_category"),
            os_family: text("os_family"),
            os_version: known("os_version")
                .and_then(Value::as_f64)
                .and_then(Decimal::from_f64),
            os_version_major: whole("os_version_major"),
            os_version_minor: whole("os_version_minor"),
            os_version_bugfix: whole("os_version_bugfix"),
            other: Values::new(),
        }),
        other: Values::new(),
    }
}
