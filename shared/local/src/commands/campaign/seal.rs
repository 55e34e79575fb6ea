//! `quorate campaign seal`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ports::{Ledger, Write};
use quorate_core::state::SealReason;

use crate::commands::deployed::OnAws;
use crate::commands::{DataFolder, count, print};

/// The arguments of `quorate campaign seal`.
#[derive(Debug, clap::Args)]
#[command(
    about = "End the intake of a campaign's open round now",
    long_about = "Seals the open round of a campaign: it takes no more uploads, and its labels come when its work is \
        done. The next upload opens the next round. Rounds also end by themselves, by size, without uploads or by \
        age: see [round] in campaign.toml.\n\n\
        With --stack it is a campaign of a stack on AWS. The AWS profile then needs cloudformation:DescribeStacks on \
        the stack, and dynamodb:GetItem, BatchGetItem, Query and UpdateItem on its table.",
    after_help = "Examples:\n  quorate campaign seal cells\n  quorate campaign seal cells --stack quorate"
)]
pub(super) struct Args {
    /// The campaign's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The folder of the local stack
    #[arg(long, value_name = "DIR", default_value = DataFolder::DEFAULT, conflicts_with = "stack")]
    data: PathBuf,
    #[command(flatten)]
    on_aws: OnAws,
}

/// Runs `quorate campaign seal`.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    #[cfg(feature = "aws")]
    if let Some(stack) = args.on_aws.find().await? {
        return seal(&args.name, &stack.ledger).await;
    }
    seal(&args.name, &DataFolder(args.data).ledger()?).await
}

/// Seals the open round of campaign `name` in the ledger; a running stack sees it at its next tick.
async fn seal(name: &str, ledger: &impl Ledger) -> anyhow::Result<()> {
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
