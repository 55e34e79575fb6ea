//! Measures of answers, of workers and of labels: pure functions, no settings kept.
//!
//! | question | measure |
//! |---|---|
//! | How often do workers agree with the labels? | [`accuracy()`], [`accuracy_by_worker`], [`accuracy_by_task`] |
//! | How much do answers differ? | [`uncertainty_by_task`], [`uncertainty_by_worker`] |
//! | How well do workers' skills explain the labels? | [`consistency_by_task`] |
//! | Do workers agree more than by chance? | [`alpha_krippendorff`] |
//! | Who always answers the same? | [`entropy_threshold()`] |
//! | Do probabilities mean what they say? | [`expected_calibration_error`], [`negative_log_likelihood`], [`brier_score`] |
//!
//! Those by task or by worker give one number for each, in the order of `Answers`; the single number
//! that crowd-kit gives by default is their mean.

mod accuracy;
mod calibration;
mod consistency;
mod entropy_threshold;
mod krippendorff;
mod uncertainty;

pub use accuracy::{accuracy, accuracy_by_task, accuracy_by_worker};
pub use calibration::{brier_score, expected_calibration_error, negative_log_likelihood};
pub use consistency::consistency_by_task;
pub use entropy_threshold::{EntropyThreshold, Thresholded, entropy_threshold};
pub use krippendorff::alpha_krippendorff;
pub use uncertainty::{uncertainty_by_task, uncertainty_by_worker};

use crate::answers::count_as_f64;
use crate::{Answers, MethodError};

/// Skills must be one for each worker, each a probability.
fn check_skills(answers: &Answers, skills: &[f64]) -> Result<(), MethodError> {
    if skills.len() != answers.workers().len() {
        return Err(MethodError::Setting {
            setting: "the number of skills",
            value: count_as_f64(skills.len()),
            must: "the number of workers",
        });
    }
    match skills.iter().find(|skill| !(0.0..=1.0).contains(*skill)) {
        Some(&value) => Err(MethodError::Setting {
            setting: "a worker's skill",
            value,
            must: "between 0 and 1",
        }),
        None => Ok(()),
    }
}
