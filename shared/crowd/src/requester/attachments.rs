//! Files that workers uploaded with their answers.

use axum::extract::State;
use quorate_toloka::types::{Attachment, AttachmentDetails, AttachmentType, Values};
use rusqlite::Row;

use crate::{
    attachments::File,
    error::{Error, Result},
    http::{Answer, Id, Query, Requester, ok},
    list::{self, Kind, Spec, Use},
    model::{owned_by, owner, wire},
    platform::Platform,
    store::Db,
};

const LIST: Spec = Spec {
    fields: &[
        ("id", "id", Kind::Text, Use::Order),
        ("name", "name", Kind::Text, Use::Equal),
        ("type", "'ASSIGNMENT_ATTACHMENT'", Kind::Words, Use::Equal),
        ("user_id", USER, Kind::Text, Use::Equal),
        ("pool_id", "pool", Kind::Number, Use::Equal),
        ("assignment_id", ASSIGNMENT, Kind::Text, Use::Equal),
        ("owner_id", OWNER, Kind::Text, Use::Equal),
        // No account belongs to a company.
        ("owner_company_id", "NULL", Kind::Text, Use::Equal),
        ("created", "created", Kind::Time, Use::Order),
    ],
    default_limit: 50,
    max_limit: 100,
};

const ASSIGNMENT: &str = "(SELECT a.id FROM assignments a WHERE a.n = assignment)";
const USER: &str = "(SELECT w.id FROM assignments a JOIN workers w ON w.n = a.worker
    WHERE a.n = assignment)";
const OWNER: &str = "(SELECT p.owner FROM pools p WHERE p.id = pool)";

fn select() -> String {
    format!(
        "SELECT n, id, name, media_type, size, created, pool, {ASSIGNMENT}, {USER}, {OWNER}
         FROM attachments"
    )
}

/// Reads a file and its owner.
fn read_row(row: &Row<'_>) -> rusqlite::Result<(File, Attachment, String)> {
    let requester: String = row.get(9)?;
    let file = File {
        n: row.get(0)?,
        name: row.get(2)?,
        media_type: row.get(3)?,
        size: row.get(4)?,
    };
    let attachment = Attachment {
        id: row.get(1)?,
        attachment_type: Some(AttachmentType::Assignment),
        name: file.name.clone(),
        media_type: Some(file.media_type.clone()),
        details: Some(AttachmentDetails {
            user_id: row.get(8)?,
            assignment_id: row.get(7)?,
            pool_id: Some(row.get::<_, i64>(6)?.to_string()),
            other: Values::new(),
        }),
        owner: Some(owner(&requester)),
        created: Some(wire(row.get(5)?)),
        other: Values::new(),
    };
    Ok((file, attachment, requester))
}

/// A file in a pool of `who`.
fn find(db: &Db<'_>, who: &str, id: &str) -> Result<(File, Attachment)> {
    let (file, attachment, requester) = db
        .row(&format!("{} WHERE id = ?1", select()), [id], read_row)?
        .ok_or_else(|| Error::not_found("attachment", id))?;
    owned_by(&requester, who, "attachment", id)?;
    Ok((file, attachment))
}

pub(super) async fn list(State(p): State<Platform>, who: Requester, query: Query) -> Answer {
    p.read(move |db| {
        let params = &query.0;
        let mut list = list::Query::parse(&LIST, params)?;
        if let Some(assignment) = params.get("assignment_id") {
            let row = db.assignment(assignment)?;
            owned_by(&db.pool(row.pool)?.owner, &who.0, "assignment", assignment)?;
            list = list.and("assignment = ?", row.n);
        } else {
            super::tasks::listed_pool(db, &who.0, params)?;
        }
        let page = list.page(db, &select(), |row| {
            read_row(row).map(|(_, attachment, _)| attachment)
        })?;
        Ok(ok(page))
    })
    .await
}

pub(super) async fn read(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    p.read(move |db| Ok(ok(find(db, &who.0, &id)?.1))).await
}

pub(super) async fn download(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    let (file, _) = p.read(move |db| find(db, &who.0, &id)).await?;
    Ok(file.download(p))
}
