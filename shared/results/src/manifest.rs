//! `_manifest.json`: the commit point of a round's results.

use quorate_core::campaign::hex;
use quorate_core::event::RoundAggregated;
use quorate_core::{CampaignName, RoundId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::results::{RoundResults, six_digits};
use crate::tables::File;

/// The manifest's name in the round's folder. A folder without it holds no results yet.
pub const MANIFEST: &str = "_manifest.json";

/// What a round's results are: digests of the files, and the figures of the round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format: 1.
    pub version: u32,
    /// The campaign.
    pub campaign: CampaignName,
    /// The round's number.
    pub round: u32,
    /// Why the round's pool closed last, e.g. `COMPLETED`.
    pub close_reason: String,
    /// What was counted.
    pub counts: Counts,
    /// Paid in dollars, fee included.
    #[serde(with = "rust_decimal::serde::float")]
    pub cost: Decimal,
    /// How labels were made, by the name that `campaign.toml` has for it.
    pub method: String,
    /// The method's settings.
    pub parameters: serde_json::Value,
    /// Iterations done; 0 for direct methods.
    pub iterations: usize,
    /// Whether the method stopped because it could not get better.
    pub converged: bool,
    /// How confidences were calibrated; null if they are the method's own.
    #[serde(default)]
    pub calibration: Option<Calibrated>,
    /// What to know before trusting the labels, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Share of right answers to control tasks, 0 to 1, if there were any.
    pub golden_accuracy: Option<f64>,
    /// Share of labels that the majority vote agrees with, 0 to 1, if there are any.
    pub majority_agreement: Option<f64>,
    /// The other files.
    pub files: Vec<FileEntry>,
}

/// The figures of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Images: rows of `labels.csv`.
    pub images: u64,
    /// Of them, those with a label.
    pub labelled: u64,
    /// Of them, those without.
    pub unlabelled: u64,
    /// Of them, those that take the label of an image with the same bytes.
    pub aliases: u64,
    /// Workers who sent in a page.
    pub workers: u64,
    /// Pages sent in.
    pub pages: u64,
    /// Answers that voted on images.
    pub answers: u64,
    /// Answers to control tasks.
    pub golden_answers: u64,
    /// Other answers: empty, none of the labels, or to a task that is not the round's.
    pub unused_answers: u64,
}

/// A file beside the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// How confidences were calibrated on control tasks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Control tasks that it rests on.
    pub known: usize,
    /// The mean confidence of the method itself, 0 to 1.
    pub before: f64,
    /// The mean confidence that was written.
    pub after: f64,
}

impl Manifest {
    /// The manifest of `results`; its `files` are added with [`Manifest::with_files`].
    #[must_use]
    pub fn of(results: &RoundResults) -> Self {
        let labelled = results.labelled();
        let images = results.images.iter();
        let aliases = images.filter(|image| image.image.same_as.is_some()).count();
        let model = &results.model;
        Self {
            version: 1,
            campaign: results.round.campaign.clone(),
            round: results.round.number,
            close_reason: results.close_reason.clone(),
            counts: Counts {
                images: results.images.len() as u64,
                labelled: labelled as u64,
                unlabelled: (results.images.len() - labelled) as u64,
                aliases: aliases as u64,
                workers: results.workers.len() as u64,
                pages: results.pages,
                answers: results.answers,
                golden_answers: results.golden.answers,
                unused_answers: results.unused_answers,
            },
            cost: results.cost,
            method: model.method.as_str().to_owned(),
            parameters: model.parameters.clone(),
            iterations: model.iterations,
            converged: model.converged,
            calibration: model.calibration.map(|calibration| Calibrated {
                known: calibration.known,
                before: six_digits(calibration.before),
                after: six_digits(calibration.after),
            }),
            warnings: model.warnings.clone(),
            golden_accuracy: results.golden.accuracy().map(six_digits),
            majority_agreement: results.majority_agreement().map(six_digits),
            files: Vec::new(),
        }
    }

    /// The manifest with the digests of `files`.
    #[must_use]
    pub fn with_files(mut self, files: &[File]) -> Self {
        let entry = |file: &File| FileEntry {
            name: file.name.to_owned(),
            bytes: file.body.len() as u64,
            sha256: hex(&Sha256::digest(&file.body)),
        };
        self.files = files.iter().map(entry).collect();
        self
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::Files`] if a number cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Where the manifest of `round` is in the results bucket.
    #[must_use]
    pub fn key(round: &RoundId) -> String {
        format!("{}{MANIFEST}", round.results_prefix())
    }

    /// What is told about the round.
    #[must_use]
    pub fn event(&self, round: &RoundId) -> RoundAggregated {
        RoundAggregated {
            campaign: self.campaign.clone(),
            round: self.round,
            manifest: Self::key(round),
            labelled: self.counts.labelled,
            unlabelled: self.counts.unlabelled,
            cost: self.cost,
            golden_accuracy: self.golden_accuracy,
        }
    }
}
