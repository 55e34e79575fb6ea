//! `quorate status`: what the ledger of a stack says, on this machine or on AWS.
//!
//! The ledger is read, never written, and can be read while the stack runs.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use quorate_core::event::{Detail, Event, Problem};
use quorate_core::ids::CampaignName;
use quorate_core::ports::Ledger;
use quorate_core::state::{CampaignItem, Counts, Round, RoundState, SealReason};
use rust_decimal::Decimal;
use serde::Serialize;

use super::campaign::{Waiting, rounds_of};
use super::deployed::OnAws;
use super::pace::{Pace, crowd_of};
use super::{DataFolder, count, dollars, print, print_json};
use quorate_requester::Requester;

/// How much of the end of the events file is looked at.
const TAIL: u64 = 256 * 1024;

/// The arguments of `quorate status`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Tell where the campaigns of a stack stand",
    long_about = "Tells where the campaigns of a stack stand: rounds, tasks, money, what waits for a higher budget, \
        how far the crowd is, where results are, and the last problems. It reads the stack's ledger, whether the \
        stack runs or not.\n\n\
        A round is OPEN (takes uploads), SEALED (its tasks are worked on), CLOSED (every answer is in), then \
        AGGREGATED (its labels are with the results).\n\n\
        With --stack it is a stack on AWS. The AWS profile then needs cloudformation:DescribeStacks on the stack, \
        and dynamodb:GetItem, BatchGetItem and Query on its table. How many answers are in is not told there: only \
        the crowd platform knows, and its key stays in the stack.",
    after_help = "Examples:\n  quorate status\n  quorate status --data /srv/quorate\n  \
        quorate status --stack quorate --profile labels --region eu-west-1\n  \
        quorate status --json | jq '.campaigns[].rounds[] | select(.state == \"OPEN\")'"
)]
pub struct Args {
    /// The folder of the local stack
    #[arg(long, value_name = "DIR", default_value = DataFolder::DEFAULT, conflicts_with = "stack")]
    data: PathBuf,
    #[command(flatten)]
    on_aws: OnAws,
    /// How many of the last problems to tell
    #[arg(long, value_name = "N", default_value_t = 10)]
    problems: usize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Everything that is told, as `--json` shows it.
#[derive(Serialize)]
struct Status {
    campaigns: Vec<CampaignStatus>,
    /// The last problems, oldest first.
    problems: Vec<Told>,
}

#[derive(Serialize)]
struct CampaignStatus {
    campaign: CampaignName,
    title: String,
    #[serde(with = "rust_decimal::serde::float_option")]
    budget: Option<Decimal>,
    /// Spent in closed rounds and reserved for the others.
    #[serde(with = "rust_decimal::serde::float")]
    committed: Decimal,
    /// Images that the budget does not cover.
    waiting: Waiting,
    rounds: Vec<RoundStatus>,
}

#[derive(Serialize)]
struct RoundStatus {
    round: u32,
    state: RoundState,
    sealed_by: Option<SealReason>,
    #[serde(flatten)]
    counts: Counts,
    pool: Option<String>,
    /// How far the crowd is, while it works on the pool and can be asked.
    pace: Option<Pace>,
    #[serde(with = "rust_decimal::serde::float")]
    reserved: Decimal,
    #[serde(with = "rust_decimal::serde::float_option")]
    spent: Option<Decimal>,
    opened: String,
    last_upload: String,
    closed: Option<String>,
    /// Where its results are, once they are whole: a folder, or an `s3://` address.
    results: Option<String>,
}

/// A problem and when it was told.
#[derive(Serialize)]
struct Told {
    time: String,
    #[serde(flatten)]
    problem: Problem,
}

impl Told {
    /// The problem that an event tells of, if it is one.
    fn of(event: Event) -> Option<Self> {
        match event.detail {
            Detail::Problem(problem) => Some(Self {
                time: event.time,
                problem,
            }),
            Detail::PoolClosed(_) | Detail::RoundAggregated(_) | Detail::CrowdMoved(_) => None,
        }
    }
}

/// Runs `quorate status`.
///
/// # Errors
/// If there is no such stack, or its ledger cannot be read.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let status = Status::read(&args).await?;
    if args.json {
        print_json(&status)?;
    } else {
        print(status.show())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Status {
    async fn read(args: &Args) -> anyhow::Result<Self> {
        #[cfg(feature = "aws")]
        if let Some(stack) = args.on_aws.find().await? {
            let told = stack.ledger.last_problems(args.problems).await?;
            return Ok(Self {
                campaigns: campaigns(&stack.ledger, None, &stack.results).await?,
                problems: told.into_iter().rev().filter_map(Told::of).collect(),
            });
        }
        let data = DataFolder(args.data.clone());
        let (crowd, results) = (crowd_of(&data.state()), data.results());
        let results = results.display().to_string();
        Ok(Self {
            campaigns: campaigns(&data.ledger()?, crowd.as_ref(), &results).await?,
            problems: last_problems(&data.events(), args.problems)?,
        })
    }
}

/// Every campaign in `ledger`; `results` is where results are.
async fn campaigns(
    ledger: &impl Ledger,
    crowd: Option<&Requester>,
    results: &str,
) -> anyhow::Result<Vec<CampaignStatus>> {
    let mut campaigns = Vec::new();
    for name in ledger.campaigns().await? {
        if let Some(item) = ledger.campaign(&name).await? {
            campaigns.push(CampaignStatus::of(ledger, crowd, item, results).await?);
        }
    }
    Ok(campaigns)
}

impl CampaignStatus {
    async fn of(
        ledger: &impl Ledger,
        crowd: Option<&Requester>,
        item: CampaignItem,
        results: &str,
    ) -> anyhow::Result<Self> {
        let mut rounds = Vec::new();
        for round in rounds_of(ledger, &item).await? {
            let worked_on = matches!(round.state, RoundState::Open | RoundState::Sealed);
            let pace = match crowd.filter(|_| worked_on) {
                Some(crowd) => Pace::of(crowd, &round).await,
                None => None,
            };
            rounds.push(RoundStatus::of(round, pace, results));
        }
        Ok(Self {
            waiting: Waiting::of(ledger, &item.name).await?,
            rounds,
            campaign: item.name,
            title: item.campaign.title,
            budget: item.campaign.budget,
            committed: item.committed,
        })
    }
}

impl RoundStatus {
    fn of(round: Round, pace: Option<Pace>, results: &str) -> Self {
        Self {
            round: round.id.number,
            state: round.state,
            sealed_by: round.seal,
            counts: round.counts,
            pool: round.pool.map(|pool| pool.id),
            pace,
            reserved: round.reserved,
            spent: round.close.as_ref().map(|close| close.spent),
            opened: round.opened.to_string(),
            last_upload: round.last_upload.to_string(),
            closed: round.close.as_ref().map(|close| close.at.to_string()),
            results: (round.state == RoundState::Aggregated)
                .then(|| format!("{results}/{}", round.id.results_prefix())),
        }
    }

    /// The cells of its row; see [`HEADER`].
    fn cells(&self) -> [String; 8] {
        let counts = &self.counts;
        [
            self.round.to_string(),
            self.state.as_str().to_owned(),
            counts.images.to_string(),
            counts.tasks.to_string(),
            format!("{}/{}", counts.batches_done, counts.batches),
            dollars(self.reserved),
            self.spent.map(dollars).unwrap_or_default(),
            self.results.clone().unwrap_or_default(),
        ]
    }
}

const HEADER: [&str; 8] = [
    "round", "state", "images", "tasks", "batches", "reserved", "spent", "results",
];

impl Status {
    fn show(&self) -> String {
        let mut text = String::new();
        for campaign in &self.campaigns {
            text.push_str(&campaign.show());
            text.push('\n');
        }
        if self.campaigns.is_empty() {
            text.push_str(
                "no campaign yet: drop one into the uploads, or `quorate campaign apply DIR`\n",
            );
        }
        if !self.problems.is_empty() {
            text.push_str("last problems\n");
        }
        for Told { time, problem } in &self.problems {
            let message = problem.message.escape_debug();
            text.push_str(&format!(
                "  {time} {}: {message}\n",
                problem.campaign.escape_debug()
            ));
        }
        text
    }
}

impl CampaignStatus {
    fn show(&self) -> String {
        let mut text = format!("{}: {}\n", self.campaign, self.title);
        let committed = dollars(self.committed);
        text.push_str(&match self.budget {
            Some(budget) => format!(
                "  budget {}, {committed} spent or reserved, {} left\n",
                dollars(budget),
                dollars(budget - self.committed)
            ),
            None => format!("  no budget, {committed} spent or reserved\n"),
        });
        if self.waiting.images > 0 {
            text.push_str(&format!(
                "  {} wait for a higher budget (they cost {})\n",
                count(self.waiting.images, "image"),
                dollars(self.waiting.cost)
            ));
        }
        if self.rounds.is_empty() {
            text.push_str("  no round yet: nothing was uploaded\n");
        } else {
            let rows = self.rounds.iter().map(RoundStatus::cells);
            text.push_str(&table(
                std::iter::once(HEADER.map(str::to_owned)).chain(rows),
            ));
        }
        for round in &self.rounds {
            if let Some(pace) = round.pace.filter(|pace| pace.wanted > 0) {
                text.push_str(&show_pace(round.round, pace));
            }
        }
        text
    }
}

fn show_pace(round: u32, pace: Pace) -> String {
    let Pace {
        answers,
        wanted,
        seconds_left,
    } = pace;
    let left = match seconds_left {
        None | Some(0) => String::new(),
        Some(seconds @ ..120) => format!(", about {} left at this pace", count(seconds, "second")),
        Some(seconds @ ..7200) => format!(
            ", about {} left at this pace",
            count(seconds / 60, "minute")
        ),
        Some(seconds) => format!(
            ", about {} left at this pace",
            count(seconds / 3600, "hour")
        ),
    };
    format!(
        "  round {round}: {answers} of {} are in{left}\n",
        count(wanted, "answer")
    )
}

/// Rows with their columns aligned.
fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The last `most` problems in the events file, oldest first.
fn last_problems(path: &Path, most: usize) -> anyhow::Result<Vec<Told>> {
    let text = match tail(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut problems: Vec<Told> = text.lines().rev().filter_map(problem).take(most).collect();
    problems.reverse();
    Ok(problems)
}

/// The problem that a line of the events file tells of. Other events are none, and neither is a
/// line that is cut off: by the start of the tail, or because it is being written right now.
fn problem(line: &str) -> Option<Told> {
    Told::of(serde_json::from_str(line).ok()?)
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
