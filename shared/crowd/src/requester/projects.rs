//! Projects.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use quorate_toloka::types::{Project, QualityControl};
use serde_json::json;

use super::{
    forms,
    operations::{self, Done},
};
use crate::{
    error::{Error, Result},
    http::{Answer, Body, Id, Query, Requester, json, ok},
    ids,
    list::{self, Kind, Spec, Use},
    model::{ProjectRow, decimal_id, owned_by, project_body},
    platform::Platform,
    store::{Db, Tx},
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Number, Use::Order),
        ("status", "status", Kind::Words, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
        (
            "public_name",
            "body ->> 'public_name'",
            Kind::Text,
            Use::Order,
        ),
        (
            "private_comment",
            "body ->> 'private_comment'",
            Kind::Text,
            Use::Order,
        ),
        ("owner_id", "owner", Kind::Text, Use::Equal),
        // No account belongs to a company.
        ("owner_company_id", "NULL", Kind::Text, Use::Equal),
    ],
    default_limit: 50,
    max_limit: 300,
};

/// A project of `who`.
pub(super) fn find(db: &Db<'_>, who: &str, id: &str) -> Result<ProjectRow> {
    let project = db
        .row(
            &format!("{} WHERE id = ?1", ProjectRow::SELECT),
            [decimal_id("project", id)?],
            ProjectRow::read,
        )?
        .ok_or_else(|| Error::not_found("project", id))?;
    owned_by(&project.owner, who, "project", id)?;
    Ok(project)
}

/// Writes down the collectors of a pool, or of a project (`pool` 0): instead of those it had.
pub(super) fn keep_collectors(
    tx: &Tx<'_>,
    who: &str,
    project: i64,
    pool: i64,
    quality: Option<&QualityControl>,
) -> Result<()> {
    tx.run(
        "DELETE FROM collectors WHERE project = ?1 AND pool = ?2",
        (project, pool),
    )?;
    for config in quality.into_iter().flat_map(|quality| &quality.configs) {
        let collector = &config.collector_config;
        let parameters = collector.parameters.as_ref();
        tx.run(
            "INSERT OR REPLACE INTO collectors (uuid, project, pool, owner, kind, history)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                &collector.uuid,
                project,
                pool,
                who,
                collector.kind.as_str(),
                parameters.is_some_and(|one| one.history_size.is_some()),
            ),
        )?;
    }
    Ok(())
}

/// Gives every collector that has none an id of its own.
pub(super) fn name_collectors(tx: &Tx<'_>, quality: Option<&mut QualityControl>) {
    for config in quality.into_iter().flat_map(|quality| &mut quality.configs) {
        let uuid = &mut config.collector_config.uuid;
        if uuid.as_ref().is_none_or(String::is_empty) {
            *uuid = Some(ids::uuid(tx.settings.seed, "collector", tx.next()));
        }
    }
}

pub(super) async fn create(State(p): State<Platform>, who: Requester, body: Body) -> Answer {
    p.write(move |tx| {
        let mut form: Project = body.parse()?;
        forms::check_project(tx, &who.0, &form)?;
        name_collectors(tx, form.quality_control.as_mut());
        let id = tx.next_decimal("projects")?;
        tx.run(
            "INSERT INTO projects (id, owner, status, created, body) VALUES (?1, ?2, 'ACTIVE', ?3, ?4)",
            (id, &who.0, tx.now(), project_body(&form)?),
        )?;
        keep_collectors(tx, &who.0, id, 0, form.quality_control.as_ref())?;
        Ok(json(StatusCode::CREATED, tx.project(id)?.wire()))
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
        let project = find(tx, &who.0, &id)?;
        let mut form: Project = body.parse()?;
        forms::check_project(tx, &who.0, &form)?;
        name_collectors(tx, form.quality_control.as_mut());
        tx.run(
            "UPDATE projects SET body = ?2 WHERE id = ?1",
            (project.id, project_body(&form)?),
        )?;
        keep_collectors(tx, &who.0, project.id, 0, form.quality_control.as_ref())?;
        Ok(ok(tx.project(project.id)?.wire()))
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
            .page(db, ProjectRow::SELECT, |row| {
                ProjectRow::read(row).map(ProjectRow::wire)
            })?;
        Ok(ok(page))
    })
    .await
}

pub(super) async fn archive(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.write(move |tx| {
        let project = find(tx, &who.0, &id)?;
        if project.status == "ARCHIVED" {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let live = tx.number(
            "SELECT EXISTS (SELECT 1 FROM pools WHERE project = ?1 AND status <> 'ARCHIVED')",
            [project.id],
        )?;
        if live != 0 {
            return Err(Error::conflict(
                "UNARCHIVED_POOLS_CONFLICT",
                "Archive all pools of the project first",
            ));
        }
        tx.run(
            "UPDATE projects SET status = 'ARCHIVED' WHERE id = ?1",
            [project.id],
        )?;
        let operation = operations::record(
            tx,
            &who.0,
            Done {
                id: None,
                kind: "PROJECT.ARCHIVE",
                success: true,
                parameters: json!({ "project_id": id }),
                details: None,
                log: Vec::new(),
            },
        )?;
        operations::accepted(tx, &who.0, &operation)
    })
    .await
}
