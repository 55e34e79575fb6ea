//! `quorate campaign`: write, check, price and submit a campaign.

mod apply;
mod check;
mod create;
mod definition;
mod plan;
mod rehearsal;
mod seal;
#[cfg(feature = "aws")]
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use rust_decimal::Decimal;

pub(super) use self::rehearsal::{Waiting, rounds_of};
use super::share;

/// The arguments of `quorate campaign`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Write a campaign, check it, see its cost, submit it",
    long_about = "A campaign is a folder: campaign.toml says what to ask, its other folders hold the uploads.\n\n\
        \x20 images/**            images to label\n\
        \x20 rows/*.csv|*.jsonl   work that is not an image: one task a row\n\
        \x20 golden/<LABEL>/**    control tasks: the folder's name is the known answer\n\
        \x20 exam/<LABEL>/**      tasks of the exam that admits to the work\n\
        \x20 training/<LABEL>/**  tasks that explain a wrong answer\n\n\
        A folder that is left out leaves its feature out. The folder's own name is the campaign's.",
    after_help = "Examples:\n  \
        quorate campaign new cells\n  \
        quorate campaign check cells && quorate campaign plan cells\n  \
        quorate campaign apply cells"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented campaign.toml to begin with
    #[command(after_help = "Example:\n  quorate campaign new cells\n\n\
        The folder's name becomes the campaign's: lower-case letters, digits, '-', '_' and '.'. \
        Nothing that exists is overwritten.")]
    New {
        /// The campaign's folder; made if it does not exist
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Tell everything that is wrong with a campaign and its uploads
    #[command(
        long_about = "Tells everything that is wrong with a campaign: its definition with line and column, and each \
            upload that could not become a task, with the reason. It is the intake itself, run over \
            the folder in memory: what it takes and refuses here is what it takes and refuses later.",
        after_help = "Exits with 1 if anything is wrong; warnings alone exit with 0.\n\n\
            Examples:\n  \
            quorate campaign check cells\n  \
            quorate campaign check cells/campaign.toml    # the definition alone\n  \
            quorate campaign check cells --json | jq .rejected"
    )]
    Check {
        /// The campaign's folder, or a campaign.toml alone
        #[arg(value_name = "DIR|FILE")]
        path: PathBuf,
        #[command(flatten)]
        fee: Fee,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Tell what a campaign would create and what that costs
    #[command(
        after_help = "Examples:\n  quorate campaign plan cells\n  quorate campaign plan cells --fee 0.2 --json"
    )]
    Plan {
        /// The campaign's folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        #[command(flatten)]
        fee: Fee,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    Apply(apply::Args),
    Seal(seal::Args),
}

#[derive(Debug, clap::Args)]
struct Fee {
    /// What the platform adds to rewards, as a share: 0.2 is 20 %
    #[arg(long = "fee", value_name = "SHARE", default_value = "0", value_parser = share)]
    share: Decimal,
}

/// Runs `quorate campaign`.
///
/// # Errors
/// What could not be read or written, and what to do.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::New { folder } => create::run(&folder).map(|()| ExitCode::SUCCESS),
        Command::Check { path, fee, json } => check::run(&path, fee.share, json).await,
        Command::Plan { folder, fee, json } => plan::run(&folder, fee.share, json).await,
        Command::Apply(args) => apply::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Seal(args) => seal::run(args).await.map(|()| ExitCode::SUCCESS),
    }
}
