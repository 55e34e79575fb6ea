//! Workers who answer the same too often.

use super::check_skills;
use super::uncertainty::of_workers;
use crate::answers::count_as_f64;
use crate::{Answers, AnswersBuilder, MethodError};

/// Settings of [`entropy_threshold`].
#[derive(Debug, Clone, PartialEq)]
pub struct EntropyThreshold {
    /// Workers whose entropy is at most this percentile of all workers' are dropped; between 0 and 100.
    pub percentile: f64,
    /// Workers with fewer answers are neither dropped nor part of the percentile.
    pub min_answers: u32,
}

impl Default for EntropyThreshold {
    fn default() -> Self {
        Self {
            percentile: 10.0,
            min_answers: 2,
        }
    }
}

/// Answers without those of dropped workers.
#[derive(Debug, Clone)]
pub struct Thresholded {
    /// The answers that are left, with the same labels as before; `None` if none is.
    pub answers: Option<Answers>,
    /// The workers who were dropped, sorted.
    pub dropped: Vec<String>,
    /// How many of their answers were.
    pub dropped_answers: usize,
}

/// Two entropies that differ by no more than rounding are the same.
const ROUNDING: f64 = 1e-12;

/// Drops the answers of workers whose answers differ least: those with an
/// [uncertainty](super::uncertainty_by_worker) at or below a percentile of all.
///
/// It finds workers who click one button only, and, since *somebody* is always below a percentile, honest ones as
/// well: look at who was dropped. If all workers are equally uncertain, all are dropped. Follows crowd-kit's `entropy_threshold`, which warns if half of the
/// answers are dropped; that is [`Thresholded::dropped_answers`] here.
///
/// # Errors
/// [`MethodError::Setting`] for a percentile or skills out of range.
pub fn entropy_threshold(
    answers: &Answers,
    skills: Option<&[f64]>,
    settings: &EntropyThreshold,
) -> Result<Thresholded, MethodError> {
    if !(0.0..=100.0).contains(&settings.percentile) {
        return Err(MethodError::Setting {
            setting: "percentile",
            value: settings.percentile,
            must: "between 0 and 100",
        });
    }
    if let Some(skills) = skills {
        check_skills(answers, skills)?;
    }
    let counts = answers.worker_counts();
    let judged: Vec<bool> = counts
        .iter()
        .map(|&count| count >= settings.min_answers)
        .collect();
    let entropies = of_workers(answers, skills, labels_of(answers, &judged));
    let mut sorted: Vec<f64> = entropies
        .iter()
        .zip(&judged)
        .filter_map(|(&entropy, &judged)| judged.then_some(entropy))
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let cutoff = percentile(&sorted, settings.percentile) + ROUNDING;
    let is_dropped: Vec<bool> = entropies
        .iter()
        .zip(judged)
        .map(|(&entropy, judged)| judged && entropy <= cutoff)
        .collect();
    let left = without(answers, &is_dropped)?;
    Ok(Thresholded {
        dropped: answers
            .workers()
            .iter()
            .zip(&is_dropped)
            .filter(|(_, dropped)| **dropped)
            .map(|(worker, _)| worker.to_string())
            .collect(),
        dropped_answers: answers.len() - left.as_ref().map_or(0, Answers::len),
        answers: left,
    })
}

/// How many labels these workers gave: crowd-kit knows no others.
fn labels_of(answers: &Answers, workers: &[bool]) -> usize {
    let mut labels: Vec<u32> = answers
        .names()
        .pairs
        .iter()
        .filter(|pair| workers.get(pair.worker as usize) == Some(&true))
        .map(|pair| pair.label)
        .collect();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}

/// The largest of sorted values that is not above a percentile; nothing is below that of no values.
///
/// numpy's percentile lies between this value and the next, by linear interpolation; no value is between them.
fn percentile(sorted: &[f64], percentile: f64) -> f64 {
    let place = percentile / 100.0 * count_as_f64(sorted.len().saturating_sub(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let place = place as usize;
    sorted.get(place).copied().unwrap_or(f64::NEG_INFINITY)
}

fn without(answers: &Answers, is_dropped: &[bool]) -> Result<Option<Answers>, MethodError> {
    let (tasks, workers, labels) = (answers.tasks(), answers.workers(), answers.labels());
    let mut builder = AnswersBuilder::with_labels(labels)?;
    for (index, task) in tasks.iter().enumerate() {
        for (worker, label) in answers.of_task(index) {
            if let (Some(worker), Some(label), Some(false)) = (
                workers.get(worker),
                labels.get(label),
                is_dropped.get(worker),
            ) {
                builder.push(task, worker, label)?;
            }
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    Ok(Some(builder.finish()?))
}
