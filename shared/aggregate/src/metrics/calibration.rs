//! Whether probabilities mean what they say, by tasks whose true label is known.
//!
//! Each gives `None` if no task of `found` is in `truth`. A true label that is none of `found`'s has probability 0.

use std::collections::HashMap;

use crate::answers::count_as_f64;
use crate::{Aggregated, Gold};

/// Bins of [`expected_calibration_error`].
const BINS: u32 = 15;

/// The expected calibration error: how far confidences are from the share of right decisions, on average; from 0 to 1.
///
/// Tasks are put into 15 bins of equal width by the confidence of their label; the result is the mean over tasks of
/// |share of right labels − mean confidence| of their bin. A confidence at an edge belongs to the bin below:
/// bins are (0, 1/15], (1/15, 2/15], …, (14/15, 1], as in Guo et al., *On Calibration of Modern Neural Networks* (2017).
#[must_use]
pub fn expected_calibration_error(found: &Aggregated, truth: &Gold) -> Option<f64> {
    let mut bins = [[0.0_f64; 2]; BINS as usize];
    let mut tasks = 0.0_f64;
    for (task, label, confidence) in found.decisions() {
        let Some(known) = truth.get(task) else {
            continue;
        };
        tasks += 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a confidence is between 0 and 1, and a cast of a float saturates"
        )]
        let bin = ((confidence * f64::from(BINS)).ceil() as u32).clamp(1, BINS) - 1;
        if let Some([right, confidences]) = bins.get_mut(bin as usize) {
            *right += f64::from(u8::from(label == known));
            *confidences += confidence;
        }
    }
    let error: f64 = bins
        .iter()
        .map(|[right, confidences]| (right - confidences).abs())
        .sum();
    (tasks > 0.0).then(|| error / tasks)
}

/// The mean of `−ln p` over tasks, in nats, where `p` is the probability of the true label; 0 is best. `p` is at least
/// 2⁻⁵², so that one sure error does not outweigh all else (at most 36).
#[must_use]
pub fn negative_log_likelihood(found: &Aggregated, truth: &Gold) -> Option<f64> {
    mean(found, truth, |row, known| {
        -probability(row, known).clamp(f64::EPSILON, 1.0).ln()
    })
}

/// The mean over tasks of `Σ (p − y)²` over labels, where `y` is 1 for the true label and 0 for others; from 0 to 2,
/// and 0 is best. From Glenn Brier, *Verification of Forecasts Expressed in Terms of Probability* (1950).
#[must_use]
pub fn brier_score(found: &Aggregated, truth: &Gold) -> Option<f64> {
    mean(found, truth, |row, known| {
        let squares: f64 = row.iter().map(|p| p * p).sum();
        (squares + 1.0 - 2.0 * probability(row, known)).max(0.0)
    })
}

fn probability(row: &[f64], known: Option<usize>) -> f64 {
    known
        .and_then(|label| row.get(label))
        .copied()
        .unwrap_or_default()
}

/// The mean of a score over tasks with a known label, whose index is given.
fn mean(
    found: &Aggregated,
    truth: &Gold,
    score: impl Fn(&[f64], Option<usize>) -> f64,
) -> Option<f64> {
    let labels: HashMap<&str, usize> = found.labels().iter().zip(0..).collect();
    let (mut sum, mut tasks) = (0.0, 0_usize);
    for (index, task) in found.tasks().iter().enumerate() {
        if let (Some(known), Some(row)) = (truth.get(task), found.task_probabilities(index)) {
            sum += score(row, labels.get(known.as_str()).copied());
            tasks += 1;
        }
    }
    (tasks > 0).then(|| sum / count_as_f64(tasks))
}
