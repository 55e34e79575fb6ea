//! Campaigns: `DEFINITION`, which saves write, and `TOTALS`, which rounds write.

use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ports::{Admitted, PortError, PortResult, Write};
use quorate_core::state::CampaignItem;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::codec::{Item, attribute, bare, decode, encode, pack, unpack};
use super::keys;
use super::request::{Failed, behind};
use super::{DynamoLedger, done_if};

/// What of a campaign no save writes: the TOTALS item.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Totals {
    /// The newest round's number.
    round: u32,
    /// Money spent in closed rounds and reserved for the others.
    committed: Decimal,
}

pub(super) async fn get(
    ledger: &DynamoLedger,
    name: &CampaignName,
) -> PortResult<Option<CampaignItem>> {
    let query = ledger.query(&keys::in_campaign(name));
    let items = ledger.found(query, None, usize::MAX).await?;
    let (mut definition, mut totals) = (None, Totals::default());
    for item in items {
        if behind(&item, keys::TOTALS).is_some() {
            totals = decode(item)?;
        } else {
            definition = Some(saved(&item)?);
        }
    }
    Ok(definition.map(|item| CampaignItem {
        round: totals.round,
        committed: totals.committed,
        ..item
    }))
}

pub(super) async fn names(ledger: &DynamoLedger) -> PortResult<Vec<CampaignName>> {
    let query = ledger.query(keys::CAMPAIGNS);
    let items = ledger.found(query, None, usize::MAX).await?;
    let name = |item: &Item| behind(item, "")?.parse().ok();
    Ok(items.iter().filter_map(name).collect())
}

/// The same item saved again is recognised: a lease, where it matters who saved, is part of it.
pub(super) async fn save(ledger: &DynamoLedger, item: &CampaignItem) -> PortResult<Write> {
    let Some(before) = item.revision.checked_sub(1) else {
        return Ok(Write::Lost);
    };
    let item = CampaignItem {
        round: 0,
        committed: Decimal::ZERO,
        ..item.clone()
    };
    let key = keys::definition(&item.name);
    let mut definition = bare(&key);
    definition.insert("revision".to_owned(), attribute(&item.revision)?);
    definition.insert("packed".to_owned(), pack(&item)?);
    let changes = if before == 0 {
        let totals = keys::totals(&item.name);
        let listed = keys::listed(&item.name);
        vec![
            Change::create(key.clone(), definition),
            Change::put(totals.clone(), encode(&totals, &Totals::default())?),
            Change::put(listed.clone(), bare(&listed)),
        ]
    } else {
        let save = Change::put(key.clone(), definition).when("#revision = :before");
        vec![save.with(":before", &before)?]
    };
    let failed = match ledger.transact(changes).await? {
        Ok(()) => return Ok(Write::Done),
        Err(failed) => failed,
    };
    match failed.at(&key) {
        Some(old) if !old.is_empty() => Ok(done_if(saved(old)? == item)),
        _ => Ok(Write::Lost),
    }
}

fn saved(item: &Item) -> PortResult<CampaignItem> {
    unpack(item, "packed")
}

/// Commits `amount` more of a campaign's money, within `budget`.
pub(super) fn commit(campaign: &CampaignName, amount: Decimal, budget: Option<Decimal>) -> Change {
    let change = Change::update(
        keys::totals(campaign),
        "SET #committed = #committed + :amount",
    )
    .with_money(":amount", amount);
    match budget {
        // An item without the attribute, or none at all, fails the comparison.
        Some(budget) => change
            .when("#committed <= :room")
            .with_money(":room", budget - amount),
        None => change.when("attribute_exists(#pk)"),
    }
}

/// The answer when [`commit`] was refused.
pub(super) fn over_budget(campaign: &CampaignName, failed: &Failed) -> PortResult<Admitted> {
    match failed.at(&keys::totals(campaign)) {
        Some(old) if !old.is_empty() => {
            let Totals { committed, .. } = decode(old.clone())?;
            Ok(Admitted::OverBudget { committed })
        }
        _ => Err(PortError::Refused(format!(
            "there is no campaign {campaign}"
        ))),
    }
}

/// Makes `id` its campaign's newest round.
pub(super) fn next_round(id: &RoundId) -> PortResult<Change> {
    Change::update(keys::totals(&id.campaign), "SET #round = :number")
        .when("#round = :before")
        .with(":number", &id.number)?
        .with(":before", &i64::from(id.number).saturating_sub(1))
}
