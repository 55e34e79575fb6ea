//! What came of a round, before it is written down.

use std::collections::BTreeMap;

use quorate_aggregate::Calibration;
use quorate_core::RoundId;
use quorate_core::campaign::{Campaign, Method};
use quorate_core::ports::Ban;
use quorate_core::state::Image;
use rust_decimal::Decimal;

/// What was decided about an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The label; none if there is nothing to decide by.
    pub label: Option<String>,
    /// The probability that the label is right, 0 to 1, as the method sees it; calibrated if
    /// [`Model::calibration`] says so.
    pub confidence: Option<f64>,
    /// Votes by label; labels without votes may be left out.
    pub votes: BTreeMap<String, u32>,
    /// Votes in all.
    pub answers: u32,
    /// The label that most votes are for, the first in the alphabet of equals.
    pub majority_label: Option<String>,
    /// Why there is no label.
    pub reason: Option<String>,
}

impl Decision {
    /// The share of votes that are for the label.
    #[must_use]
    pub fn agreement(&self) -> Option<f64> {
        let votes = self.votes.get(self.label.as_ref()?).copied().unwrap_or(0);
        (self.answers > 0).then(|| f64::from(votes) / f64::from(self.answers))
    }

    /// No label, because of `reason`.
    pub(crate) fn none(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::default()
        }
    }
}

/// An image with its decision.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageResult {
    /// The image.
    pub image: Image,
    /// What was decided; an alias repeats its original's.
    pub decision: Decision,
    /// Its share of the round's money in dollars, fee included.
    pub cost: Decimal,
}

/// A worker who sent in a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerResult {
    /// The crowd's id.
    pub worker: String,
    /// Answers that voted on images.
    pub answers: u32,
    /// Pages sent in.
    pub pages: u32,
    /// Answers to control tasks.
    pub golden_answers: u32,
    /// Of them, the right ones.
    pub golden_right: u32,
    /// The probability that an answer is right as the model sees it; by majority vote, the
    /// agreement.
    pub estimated_skill: Option<f64>,
    /// The share of answers that equal the image's label.
    pub agreement: Option<f64>,
    /// Bans that concern the round's pool.
    pub bans: Vec<Ban>,
    /// Rewards of paid pages in dollars, without fee.
    pub earned: Decimal,
}

impl WorkerResult {
    /// The share of right answers to control tasks.
    #[must_use]
    pub fn golden_accuracy(&self) -> Option<f64> {
        share(self.golden_right.into(), self.golden_answers.into())
    }

    /// The bans in words, e.g. `POOL: too fast`; empty without any.
    #[must_use]
    pub fn banned(&self) -> String {
        let bans = self.bans.iter();
        let words: Vec<String> = bans
            .map(|ban| format!("{}: {}", ban.scope, ban.reason))
            .collect();
        words.join("; ")
    }
}

/// How the crowd did on control tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Golden {
    /// Answers to control tasks.
    pub answers: u64,
    /// Of them, the right ones.
    pub right: u64,
    /// How often each label (row, in the campaign's order) was answered as each (column).
    pub confusion: Vec<Vec<f64>>,
}

impl Golden {
    /// The share of right answers.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        share(self.right, self.answers)
    }
}

/// How the labels were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The method.
    pub method: Method,
    /// Its settings as JSON; an empty object if it has none.
    pub parameters: serde_json::Value,
    /// Iterations done.
    pub iterations: usize,
    /// Whether it stopped because it could not get better; true for direct methods.
    pub converged: bool,
    /// How often the average worker answers each true label (row, in the campaign's order) as
    /// each (column), if the method estimates it.
    pub confusion: Option<Vec<Vec<f64>>>,
    /// How confidences were calibrated on control tasks; none if they are the method's own.
    pub calibration: Option<Calibration>,
    /// What to know before trusting the labels, in words.
    pub warnings: Vec<String>,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundResults {
    /// The round.
    pub round: RoundId,
    /// The campaign as the round was worked.
    pub campaign: Campaign,
    /// Why the round's pool closed last.
    pub close_reason: String,
    /// Every image of the round once, in order of key, version and row.
    pub images: Vec<ImageResult>,
    /// Every worker who sent in a page, in order.
    pub workers: Vec<WorkerResult>,
    /// How the crowd did on control tasks.
    pub golden: Golden,
    /// How the labels were made.
    pub model: Model,
    /// Paid for accepted pages in dollars, fee included.
    pub cost: Decimal,
    /// Pages sent in.
    pub pages: u64,
    /// Answers that voted on images.
    pub answers: u64,
    /// Answers that neither voted nor were to control tasks: empty, none of the labels, or to a
    /// task that is not this round's.
    pub unused_answers: u64,
    /// When the first page was taken and the last one sent in.
    pub span: Option<(jiff::Timestamp, jiff::Timestamp)>,
    /// `answers.csv`, written while the answers came in.
    pub answers_csv: Vec<u8>,
}

impl RoundResults {
    /// Images with a label.
    #[must_use]
    pub fn labelled(&self) -> usize {
        let labels = self.images.iter();
        labels
            .filter(|image| image.decision.label.is_some())
            .count()
    }

    /// Among the images with a label that are not aliases, the share whose label is the
    /// majority's.
    #[must_use]
    pub fn majority_agreement(&self) -> Option<f64> {
        let own = self
            .images
            .iter()
            .filter(|image| image.image.same_as.is_none());
        let (mut same, mut all) = (0, 0);
        for decision in own.map(|image| &image.decision) {
            all += u64::from(decision.label.is_some());
            let agrees = decision.label.is_some() && decision.label == decision.majority_label;
            same += u64::from(agrees);
        }
        share(same, all)
    }
}

/// `part` of `all`; none of nothing.
pub(crate) fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

/// A share with at most six digits, as files show it.
pub(crate) fn six_digits(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}
