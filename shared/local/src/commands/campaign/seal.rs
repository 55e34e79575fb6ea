//! `quorate campaign seal`.

use anyhow::{Context as _, bail};
use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ports::{Ledger as _, Write};
use quorate_core::state::SealReason;

use crate::commands::{DataFolder, count, print};

/// Seals the open round of campaign `name` in the ledger; a running stack sees it at its next tick.
pub(super) async fn run(name: &str, data: &DataFolder) -> anyhow::Result<()> {
    let ledger = data.ledger()?;
    let item = match name.parse::<CampaignName>() {
        Ok(name) => ledger.campaign(&name).await?,
        Err(_) => None,
    };
    let Some(item) = item else {
        let known: Vec<String> = ledger
            .campaigns()
            .await?
            .iter()
            .map(ToString::to_string)
            .collect();
        bail!(
            "there is no campaign {name:?}; there are: {}",
            known.join(", ")
        );
    };
    let id = RoundId {
        campaign: item.name,
        number: item.round,
    };
    let round = ledger.round(&id).await?;
    let round =
        round.with_context(|| format!("{} has no round yet: nothing was uploaded", id.campaign))?;
    match ledger.seal_round(&id, SealReason::Command).await? {
        Write::Done => print(format!(
            "round {id} is sealed with {}; its labels come when its work is done\n",
            count(round.counts.images, "image")
        )),
        Write::Lost => bail!(
            "round {id} is {} already; the next upload opens the next round",
            round.state.as_str()
        ),
    }
}
