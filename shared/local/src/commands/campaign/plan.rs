//! `quorate campaign plan`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use quorate_core::budget;
use quorate_core::campaign::Campaign;
use quorate_core::ids::CampaignName;
use quorate_core::state::{Kind, Round};
use rust_decimal::Decimal;
use serde::Serialize;

use super::definition::{Definition, name_of};
use super::rehearsal::{Rehearsal, Waiting, rehearse};
use crate::commands::{count, dollars, print, print_json};

/// What a campaign would create, and what that costs.
#[derive(Serialize)]
struct Plan {
    campaign: CampaignName,
    title: String,
    labels: Vec<String>,
    /// Tasks of the training, the exam, and control tasks for the pools.
    training_tasks: u64,
    exam_tasks: u64,
    golden_tasks: u64,
    rounds: Vec<RoundPlan>,
    #[serde(with = "rust_decimal::serde::float")]
    fee: Decimal,
    /// The rewards of all pages, if every page is full, and the fee on them.
    #[serde(with = "rust_decimal::serde::float")]
    expected: Decimal,
    /// What is reserved when the rounds get their pools: full pages, and for each round some that are
    /// not full; if more of those are needed, more is reserved.
    #[serde(with = "rust_decimal::serde::float")]
    reserved: Decimal,
    #[serde(with = "rust_decimal::serde::float_option")]
    budget: Option<Decimal>,
    /// What the budget has left when all that is expected is spent.
    #[serde(with = "rust_decimal::serde::float_option")]
    left: Option<Decimal>,
    /// Images that the budget does not cover.
    waiting: Waiting,
    rejected: u64,
}

/// A round: one pool.
#[derive(Serialize)]
struct RoundPlan {
    images: u64,
    same_bytes: u64,
    tasks: u64,
    /// Different pages.
    pages: u64,
    /// Pages that are paid: each is given to as many people as the overlap asks for.
    assignments: u64,
    answers: u64,
    #[serde(with = "rust_decimal::serde::float")]
    expected: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    reserved: Decimal,
}

/// Prints the plan.
pub(super) async fn run(folder: &Path, fee: Decimal, json: bool) -> anyhow::Result<ExitCode> {
    let name = name_of(folder)?.context("choose another folder name")?;
    let definition = Definition::of_folder(folder)?;
    if let Err(error) = definition.parse(fee) {
        let shown = definition.show_all(&error.problems);
        bail!("{} defines no campaign yet\n\n{shown}", folder.display());
    }
    let plan = Plan::of(&name, &rehearse(folder, &name, fee).await?, fee);
    if json {
        print_json(&plan)?;
    } else {
        print(plan.show())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Plan {
    fn of(name: &CampaignName, rehearsal: &Rehearsal, fee: Decimal) -> Self {
        let campaign = &rehearsal.item.campaign;
        let rounds: Vec<RoundPlan> = rehearsal
            .rounds
            .iter()
            .filter(|round| round.counts.images > 0)
            .map(|round| RoundPlan::of(campaign, round, fee))
            .collect();
        // Nothing is spent beyond the budget: its pools make no pages beyond it.
        let capped = |sum: Decimal| campaign.budget.map_or(sum, |budget| sum.min(budget));
        let expected = capped(rounds.iter().map(|round| round.expected).sum());
        let reserved = capped(rounds.iter().map(|round| round.reserved).sum());
        let golden = campaign.golden.per_page > 0;
        Self {
            campaign: name.clone(),
            title: campaign.title.clone(),
            labels: campaign.labels.clone(),
            training_tasks: rehearsal.control_count(Kind::Training),
            exam_tasks: rehearsal.control_count(Kind::Exam),
            golden_tasks: if golden {
                rehearsal.control_count(Kind::Golden)
            } else {
                0
            },
            rounds,
            fee,
            expected,
            reserved,
            budget: campaign.budget,
            left: campaign.budget.map(|budget| budget - expected),
            waiting: rehearsal.waiting,
            rejected: rehearsal.rejected.len() as u64,
        }
    }

    fn show(&self) -> String {
        let mut lines = vec![(
            "project".to_owned(),
            format!("{} ({})", self.title, self.labels.join(", ")),
        )];
        let mut line = |name: &str, text: String| lines.push((name.to_owned(), text));
        if self.training_tasks > 0 {
            line("training", count(self.training_tasks, "task"));
        }
        if self.exam_tasks > 0 {
            line("exam", count(self.exam_tasks, "task"));
        }
        if self.golden_tasks > 0 {
            line(
                "golden",
                format!("{} in every pool", count(self.golden_tasks, "control task")),
            );
        }
        for (number, round) in (1..).zip(&self.rounds) {
            line(&format!("round {number}"), round.show());
        }
        if self.rounds.is_empty() {
            line("rounds", "none: images/ (or rows/) is empty".to_owned());
        }
        let fee = (self.fee * Decimal::ONE_HUNDRED).normalize();
        line(
            "cost",
            format!(
                "{} expected with full pages, {fee} % fee included",
                dollars(self.expected)
            ),
        );
        line(
            "reserved",
            format!(
                "{} to begin with; pages that are not full may take more",
                dollars(self.reserved)
            ),
        );
        line("budget", self.show_budget());
        if self.waiting.images > 0 {
            line("waiting", self.show_waiting());
        }
        if self.rejected > 0 {
            line(
                "rejected",
                format!(
                    "{}; see `quorate campaign check`",
                    count(self.rejected, "upload")
                ),
            );
        }
        let mut text = format!("{} would create\n", self.campaign);
        for (name, what) in lines {
            text.push_str(&format!("  {name:<9} {what}\n"));
        }
        text
    }

    fn show_budget(&self) -> String {
        match (self.budget, self.left) {
            (Some(budget), Some(left)) => format!("{}, {} left", dollars(budget), dollars(left)),
            _ => "none: nothing limits what this campaign spends".to_owned(),
        }
    }

    fn show_waiting(&self) -> String {
        format!(
            "{} that cost {} do not fit; raise `budget` in campaign.toml",
            count(self.waiting.images, "image"),
            dollars(self.waiting.cost)
        )
    }
}

impl RoundPlan {
    fn of(campaign: &Campaign, round: &Round, fee: Decimal) -> Self {
        let tasks = round.counts.images - round.counts.aliases;
        let pages = tasks.div_ceil(u64::from(campaign.images_per_page.max(1)));
        let tail = if tasks > 0 {
            budget::tail(campaign, fee)
        } else {
            Decimal::ZERO
        };
        Self {
            images: round.counts.images,
            same_bytes: round.counts.aliases,
            tasks,
            pages,
            assignments: pages * u64::from(campaign.overlap),
            answers: tasks * u64::from(campaign.overlap),
            expected: Decimal::from(pages) * budget::page_cost(campaign, fee),
            reserved: round.reserved + tail,
        }
    }

    fn show(&self) -> String {
        let same = match self.same_bytes {
            0 => String::new(),
            same => format!(
                " (and {} with the bytes of one of them)",
                count(same, "image")
            ),
        };
        format!(
            "{}{same} on {}, {} to pay, {}",
            count(self.tasks, "task"),
            count(self.pages, "page"),
            count(self.assignments, "assignment"),
            count(self.answers, "answer"),
        )
    }
}
