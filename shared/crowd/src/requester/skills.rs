//! Skills, and the workers' values of them.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use quorate_toloka::types::{Decimal, SetUserSkill, Skill, UserSkill};

use crate::{
    error::{Error, Result},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    list::{self, Kind, Spec, Use},
    model::{SkillRow, USER_SKILL, decimal_id, owned_by, skill_body, user_skill},
    platform::Platform,
    quality::{self, Reason},
    store::Db,
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("name", "name", Kind::Text, Use::Equal),
        // Skills of the platform itself: there are none.
        ("global", "0", Kind::Number, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 100,
    max_limit: 100,
};

const LIST_USERS: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("skill_id", "skill", Kind::Number, Use::Equal),
        ("user_id", "user", Kind::Text, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
        ("modified", "modified", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 1_000,
};

/// A skill of `who`.
pub(super) fn find(db: &Db<'_>, who: &str, id: &str) -> Result<SkillRow> {
    let skill = db
        .row(
            &format!("{} WHERE id = ?1", SkillRow::SELECT),
            [decimal_id("skill", id)?],
            SkillRow::read,
        )?
        .ok_or_else(|| Error::not_found("skill", id))?;
    owned_by(&skill.owner, who, "skill", id)?;
    Ok(skill)
}

fn check(form: &Skill) -> Result<()> {
    if form.name.trim().is_empty() {
        return Err(Error::field(
            "name",
            "VALUE_REQUIRED",
            "Value must be present",
        ));
    }
    Ok(())
}

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let form: Skill = body.parse()?;
        check(&form)?;
        let id = tx.add_skill(&who.0, &form, false)?;
        Ok(json(
            StatusCode::CREATED,
            find(tx, &who.0, &id.to_string())?.wire(),
        ))
    })
    .await
}

pub(super) async fn update(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.write(move |tx| {
        let skill = find(tx, &who.0, &id)?;
        if skill.training {
            return Err(Error::conflict(
                "SKILL_IS_TRAINING",
                "The skill belongs to a training",
            ));
        }
        let form: Skill = body.parse()?;
        check(&form)?;
        tx.run(
            "UPDATE skills SET name = ?2, body = ?3 WHERE id = ?1",
            (skill.id, &form.name, skill_body(&form)?),
        )?;
        Ok(ok(find(tx, &who.0, &id)?.wire()))
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?.wire())))
        .await
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST, &query.0)?
            .and("owner = ?", who.0)
            .page(db, SkillRow::SELECT, |row| {
                SkillRow::read(row).map(SkillRow::wire)
            })?;
        Ok(ok(page))
    })
    .await
}

/// A worker's value of a skill of `who`, by its own id.
fn find_user(db: &Db<'_>, who: &str, id: &str) -> Result<UserSkill> {
    db.row(
        &format!("{USER_SKILL} WHERE id = ?1 AND owner = ?2"),
        (decimal_id("user skill", id)?, who),
        user_skill,
    )?
    .ok_or_else(|| Error::not_found("user skill", id))
}

pub(super) async fn set_user(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let form: SetUserSkill = body.parse()?;
        if form.user_id.is_empty() {
            return Err(Error::field(
                "user_id",
                "VALUE_REQUIRED",
                "Value must be present",
            ));
        }
        let value = form
            .value
            .ok_or_else(|| Error::field("value", "VALUE_REQUIRED", "Value must be present"))?;
        if value < Decimal::ZERO || value > Decimal::ONE_HUNDRED {
            return Err(Error::field(
                "value",
                "VALUE_OUT_OF_BOUNDS",
                "A skill is 0 to 100",
            ));
        }
        let skill = find(tx, &who.0, &form.skill_id)?;
        let before = tx.skill_value(&form.user_id, skill.id)?;
        tx.set_skill(&form.user_id, skill.id, value, None)?;
        quality::access_changed(tx, &who.0, &form.user_id, Reason::Skill(skill.id))?;
        let after = tx.row(
            &format!("{USER_SKILL} WHERE skill = ?1 AND user = ?2"),
            (skill.id, &form.user_id),
            user_skill,
        )?;
        let status = if before.is_none() {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(json(status, after))
    })
    .await
}

pub(super) async fn read_user(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find_user(db, &who.0, &id)?))).await
}

pub(super) async fn delete_user(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let found = find_user(tx, &who.0, &id)?;
        tx.run(
            "DELETE FROM user_skills WHERE id = ?1",
            [decimal_id("user skill", &found.id)?],
        )?;
        let skill = decimal_id("skill", &found.skill_id)?;
        quality::access_changed(tx, &who.0, &found.user_id, Reason::Skill(skill))?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

pub(super) async fn list_users(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let page = list::Query::parse(&LIST_USERS, &query.0)?
            .and("owner = ?", who.0)
            .page(db, USER_SKILL, user_skill)?;
        Ok(ok(page))
    })
    .await
}
