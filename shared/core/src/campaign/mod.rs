//! The campaign: what a team defines once, in one file.
//!
//! A campaign is a folder of the uploads bucket with a `campaign.toml`; or with Toloka's own
//! `project.json`, `pool.json` and `exam.json`, beside which `campaign.toml` is optional and may
//! set what those files cannot say (budget, rounds, aggregation).

mod file;
mod toloka;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use file::TEMPLATE;
pub(crate) use file::nearest;
pub use toloka::TolokaFiles;

use crate::time::Timestamp;

/// The files that define a campaign, by name in its folder.
pub const FILES: [&str; 4] = ["campaign.toml", "project.json", "pool.json", "exam.json"];

/// A checked campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// What workers read in the list of pools.
    pub title: String,
    /// Shown above the answers.
    pub question: String,
    /// Shown before the first task; plain text or HTML.
    pub instructions: String,
    /// The possible answers, in the order in which they are shown.
    pub labels: Vec<String>,
    /// What workers read for a label, where it is not the label itself.
    pub titles: BTreeMap<String, String>,
    /// What a training says after a wrong answer, by the right label.
    pub hints: BTreeMap<String, String>,
    /// Fields of a row that workers see; empty for a campaign of images.
    pub fields: Vec<String>,
    /// The field of an answer that holds the label.
    pub answer_field: String,
    /// Answers wanted for each image.
    pub overlap: u32,
    /// Images on a page, control tasks not counted.
    pub images_per_page: u32,
    /// Paid for a page, in dollars, without the platform's fee.
    pub reward_per_page: Decimal,
    /// Time to finish a page.
    pub seconds_per_page: u32,
    /// Languages (ISO 639-1), one of which a worker must speak; empty for everybody.
    pub languages: Vec<String>,
    /// The most that may be spent, fee included; none for no limit.
    pub budget: Option<Decimal>,
    /// Whether the same bytes under two keys are one task.
    pub dedupe: Dedupe,
    /// Control tasks.
    pub golden: Golden,
    /// The exam.
    pub exam: Exam,
    /// The training.
    pub training: Training,
    /// What gets a worker banned.
    pub quality: Quality,
    /// When a round ends.
    pub round: RoundRules,
    /// How answers become labels.
    pub aggregation: Aggregation,
    /// What an image may be.
    pub images: ImageLimits,
    /// Links to images that were signed before this instant do not open them any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links_since: Option<Timestamp>,
    /// The Toloka files that the project, pools and training are made of, if there are any.
    pub toloka: Option<TolokaFiles>,
}

/// Which uploads are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dedupe {
    /// Those with the same bytes: they are paid once and get one label.
    #[default]
    Content,
    /// None: each upload is its own task.
    None,
}

/// Control tasks: workers do not know that their answers are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Golden {
    /// Control tasks on a page.
    pub per_page: u32,
    /// Percentage of right answers below which a worker is banned.
    pub min_accuracy: f64,
    /// Answers to control tasks before that is judged.
    pub min_answers: u32,
}

impl Default for Golden {
    fn default() -> Self {
        Self {
            per_page: 1,
            min_accuracy: 60.0,
            min_answers: 3,
        }
    }
}

/// The exam: a page of control tasks that admits to the work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exam {
    /// Tasks on the exam's page; fewer if there are fewer exam uploads.
    pub tasks_per_page: u32,
    /// Percentage of right answers that passes.
    pub passing_accuracy: f64,
}

impl Default for Exam {
    fn default() -> Self {
        Self {
            tasks_per_page: 10,
            passing_accuracy: 70.0,
        }
    }
}

/// The training: tasks that explain a wrong answer, before the exam or the work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Tasks on a page of the training.
    pub tasks_per_page: u32,
    /// Percentage of right first answers that passes.
    pub passing_accuracy: f64,
    /// Days after which the training must be passed again.
    pub retry_after_days: u32,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            tasks_per_page: 5,
            passing_accuracy: 0.0,
            retry_after_days: 30,
        }
    }
}

/// What gets a worker banned besides control tasks; 0 switches a rule off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quality {
    /// A page sent in sooner than this is too fast.
    pub min_seconds_per_page: u32,
    /// Too fast pages (of the last ten) that ban.
    pub max_fast_pages: u32,
    /// Pages skipped one after the other that ban.
    pub max_skips_in_row: u32,
    /// Dollars that a worker may earn in a round within 24 hours.
    pub max_income_per_day: f64,
    /// Whether a worker who leaves the majority too often is banned.
    pub majority: bool,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            min_seconds_per_page: 5,
            max_fast_pages: 2,
            max_skips_in_row: 5,
            max_income_per_day: 0.0,
            majority: false,
        }
    }
}

/// When a round stops taking uploads; the next upload opens the next round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoundRules {
    /// Images in a round.
    pub max_images: u64,
    /// Minutes without an upload.
    pub idle_minutes: f64,
    /// Hours since its first upload.
    pub max_age_hours: f64,
}

impl Default for RoundRules {
    fn default() -> Self {
        Self {
            max_images: 50_000,
            idle_minutes: 5.0,
            max_age_hours: 24.0,
        }
    }
}

/// How answers become labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aggregation {
    /// The method.
    pub method: Method,
}

/// An aggregation method: those that need no settings and do with any number of labels. KOS is not
/// among them, because it is for two labels.
///
/// A stored campaign names its method, so a round is aggregated by the one that its pool was made
/// under, whatever becomes the default later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The safe default: how each worker errs, learned from all of them and calibrated on control
    /// tasks.
    #[default]
    HierarchicalDawidSkene,
    /// The label that most workers chose.
    MajorityVote,
    /// Votes weighted by how workers did on control tasks.
    GoldMajorityVote,
    /// Votes weighted by how often workers agree with the majority.
    Wawa,
    /// Votes weighted by how often workers agree with the outcome, again and again.
    ZeroBasedSkill,
    /// Dawid and Skene's model of every worker's errors.
    DawidSkene,
    /// The same with one accuracy for each worker.
    OneCoinDawidSkene,
    /// Able workers, easy tasks.
    Glad,
    /// Who knows, and who answers by habit.
    Mace,
    /// Votes that withstand a minority of liars.
    Mmsr,
}

impl Method {
    /// As files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HierarchicalDawidSkene => "hierarchical-dawid-skene",
            Self::MajorityVote => "majority-vote",
            Self::GoldMajorityVote => "gold-majority-vote",
            Self::Wawa => "wawa",
            Self::ZeroBasedSkill => "zero-based-skill",
            Self::DawidSkene => "dawid-skene",
            Self::OneCoinDawidSkene => "one-coin-dawid-skene",
            Self::Glad => "glad",
            Self::Mace => "mace",
            Self::Mmsr => "mmsr",
        }
    }
}

/// What an image may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageLimits {
    /// Bytes.
    pub max_megabytes: u64,
    /// Pixels on the longer side.
    pub max_side: u64,
    /// Pixels in all, in millions.
    pub max_megapixels: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            max_megabytes: 50,
            max_side: 20_000,
            max_megapixels: 100,
        }
    }
}

impl Campaign {
    /// Whether workers label rows, not images.
    #[must_use]
    pub fn takes_rows(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether its `pool.json` admits only who has passed a training.
    #[must_use]
    pub fn requires_training(&self) -> bool {
        let pool = self.toloka.as_ref().map(|files| &files.pool);
        pool.and_then(|pool| pool.pointer("/quality_control/training_requirement"))
            .is_some_and(|requirement| !requirement.is_null())
    }

    /// What a worker reads for a label.
    #[must_use]
    pub fn title_of<'a>(&'a self, label: &'a str) -> &'a str {
        self.titles.get(label).map_or(label, String::as_str)
    }

    /// What a training says when the right answer was `label`.
    #[must_use]
    pub fn hint_for(&self, label: &str) -> String {
        match self.hints.get(label) {
            Some(hint) => hint.clone(),
            None => format!("The right answer is: {}", self.title_of(label)),
        }
    }

    /// Names the project, training and exam that this campaign needs: two revisions with the same
    /// digest share them, others do not.
    #[must_use]
    pub fn interface_digest(&self) -> String {
        let interface = serde_json::json!([
            self.title,
            self.question,
            self.instructions,
            self.labels,
            self.titles,
            self.hints,
            self.fields,
            self.answer_field,
            self.languages,
            self.exam,
            self.training,
            self.toloka
                .as_ref()
                .map(|files| (&files.project, &files.training)),
        ]);
        hex(&Sha256::digest(interface.to_string()))[..16].to_owned()
    }
}

/// Reads and checks a campaign from the texts of its [`FILES`], in their order, as far as they are
/// there. `fee` is the platform's share on rewards, for checking the budget.
///
/// # Errors
/// Everything that is wrong, with line and column.
pub fn of_files(texts: [Option<&str>; 4], fee: Decimal) -> Result<Campaign, CampaignError> {
    let [toml, project, pool, exam] = texts;
    let toloka = match (project, pool) {
        (Some(project), Some(pool)) => Some(TolokaFiles::read(project, pool, exam)?),
        (None, None) => None,
        (Some(_), None) => return Err(lonely("project.json", "pool.json")),
        (None, Some(_)) => return Err(lonely("pool.json", "project.json")),
    };
    file::parse(toml, toloka, fee)
}

fn lonely(here: &str, missing: &str) -> CampaignError {
    let message =
        format!("{missing} is missing beside it; Toloka's files define a campaign together");
    let problem = Problem {
        file: here.to_owned(),
        line: None,
        column: None,
        message,
    };
    CampaignError {
        problems: vec![problem],
    }
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Why files do not define a campaign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct CampaignError {
    /// Everything that is wrong, at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong in a campaign's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file's name in the campaign's folder.
    pub file: String,
    /// Line, from 1; none if it is about the whole file.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}
