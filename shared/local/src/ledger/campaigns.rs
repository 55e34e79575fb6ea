//! CAMPAIGN items.

use quorate_core::ids::CampaignName;
use quorate_core::ports::Write;
use quorate_core::state::CampaignItem;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use rust_decimal::Decimal;

use super::codec::{Count, Json, Word};
use super::{Failure, Step};

pub(super) fn get(tx: &Transaction<'_>, name: &CampaignName) -> Step<Option<CampaignItem>> {
    let item = tx
        .prepare_cached("SELECT * FROM campaign WHERE name = ?1")?
        .query_row([name.as_str()], from_row)
        .optional()?;
    Ok(item)
}

pub(super) fn names(tx: &Transaction<'_>) -> Step<Vec<CampaignName>> {
    let names = tx
        .prepare_cached("SELECT name FROM campaign ORDER BY name")?
        .query_map([], |row| row.get(0).map(|Word(name)| name))?
        .collect::<Result<_, _>>()?;
    Ok(names)
}

/// The same item saved again is recognised: a lease, where it matters who saved, is part of it.
pub(super) fn save(tx: &Transaction<'_>, item: &CampaignItem) -> Step<Write> {
    let stored = get(tx, &item.name)?;
    let (revision, repeated) = stored.map_or((0, false), |stored| {
        let same = (
            &stored.campaign,
            &stored.setups,
            &stored.lease,
            stored.swept,
        ) == (&item.campaign, &item.setups, &item.lease, item.swept);
        (stored.revision, stored.revision == item.revision && same)
    });
    if repeated {
        return Ok(Write::Done);
    }
    if revision.checked_add(1) != Some(item.revision) {
        return Ok(Write::Lost);
    }
    tx.prepare_cached(
        "INSERT INTO campaign (name, revision, campaign, setups, lease, swept)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET revision = excluded.revision,
             campaign = excluded.campaign, setups = excluded.setups, lease = excluded.lease,
             swept = excluded.swept",
    )?
    .execute(params![
        item.name.as_str(),
        Count(item.revision),
        Json(&item.campaign),
        Json(&item.setups),
        Json(&item.lease),
        Json(&item.swept),
    ])?;
    Ok(Write::Done)
}

/// The money that a campaign has spent in closed rounds and reserved for the others.
pub(super) fn committed(tx: &Transaction<'_>, name: &CampaignName) -> Step<Decimal> {
    let committed = tx
        .prepare_cached("SELECT committed FROM campaign WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    match committed {
        Some(Word(money)) => Ok(money),
        None => Err(Failure::Refused(format!("there is no campaign {name}"))),
    }
}

pub(super) fn set_committed(
    tx: &Transaction<'_>,
    name: &CampaignName,
    committed: Decimal,
) -> Step<()> {
    tx.prepare_cached("UPDATE campaign SET committed = ?2 WHERE name = ?1")?
        .execute(params![name.as_str(), Word(committed)])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<CampaignItem> {
    let Word(name) = row.get("name")?;
    let Count(revision) = row.get("revision")?;
    let Json(campaign) = row.get("campaign")?;
    let Json(setups) = row.get("setups")?;
    let Json(lease) = row.get("lease")?;
    let Json(swept) = row.get("swept")?;
    let Word(committed) = row.get("committed")?;
    Ok(CampaignItem {
        name,
        campaign,
        revision,
        setups,
        lease,
        swept,
        round: row.get("round")?,
        committed,
    })
}
