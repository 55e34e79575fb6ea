//! How much answers differ.

use super::check_skills;
use crate::answers::count_as_f64;
use crate::{Answers, MethodError};

/// The entropy of the answers to every task, in nats, in the order of [`Answers::tasks`].
///
/// An answer of a worker of skill `s` gives its label the weight `s` and each of the other `K − 1` labels
/// `(1 − s) / (K − 1)`. Weights are summed and divided by their sum; the entropy is `−Σ p ln p`, from 0 (all answers
/// are the same) to `ln K`. Without skills, all are 1. crowd-kit's `uncertainty(compute_by='task', aggregate=False)`.
///
/// `skills` are one for each worker, such as [`Aggregated::worker_skills`](crate::Aggregated::worker_skills).
///
/// # Errors
/// [`MethodError::Setting`] for skills that are not as many as workers or not between 0 and 1.
pub fn uncertainty_by_task(
    answers: &Answers,
    skills: Option<&[f64]>,
) -> Result<Vec<f64>, MethodError> {
    if let Some(skills) = skills {
        check_skills(answers, skills)?;
    }
    let mut weights = Weights::new(answers.labels().len());
    let of_task = |task| {
        for (worker, label) in answers.of_task(task) {
            weights.add(label, skill_of(skills, worker), 1.0);
        }
        weights.take_entropy()
    };
    Ok((0..answers.tasks().len()).map(of_task).collect())
}

/// The entropy of the answers of every worker, in nats, in the order of [`Answers::workers`]: as
/// [`uncertainty_by_task`], but over the answers of one worker to all tasks. crowd-kit's
/// `uncertainty(compute_by='worker', aggregate=False)`.
///
/// # Errors
/// [`MethodError::Setting`] for skills that are not as many as workers or not between 0 and 1.
pub fn uncertainty_by_worker(
    answers: &Answers,
    skills: Option<&[f64]>,
) -> Result<Vec<f64>, MethodError> {
    if let Some(skills) = skills {
        check_skills(answers, skills)?;
    }
    Ok(of_workers(answers, skills, answers.labels().len()))
}

/// The entropy of every worker's answers, if there are so many labels.
pub(super) fn of_workers(answers: &Answers, skills: Option<&[f64]>, labels: usize) -> Vec<f64> {
    let names = answers.names();
    let mut counts = vec![0_u32; names.pairs.len()];
    for &pair in answers.pairs_by_task().flatten() {
        if let Some(count) = counts.get_mut(pair as usize) {
            *count += 1;
        }
    }
    let mut weights = Weights {
        labels,
        ..Weights::new(names.labels.len())
    };
    let of_worker = |worker| {
        for index in names.pairs_of(worker) {
            if let (Some(pair), Some(&count)) = (names.pairs.get(index), counts.get(index)) {
                let skill = skill_of(skills, worker);
                weights.add(pair.label as usize, skill, f64::from(count));
            }
        }
        weights.take_entropy()
    };
    (0..names.workers.len()).map(of_worker).collect()
}

fn skill_of(skills: Option<&[f64]>, worker: usize) -> f64 {
    skills.map_or(1.0, |skills| {
        skills.get(worker).copied().unwrap_or_default()
    })
}

/// Sums up what answers say, without a sum for labels that nobody gave: those all have the same.
struct Weights {
    labels: usize,
    /// For every label that was answered what its answers give to it, less what others would have.
    own: Vec<f64>,
    answered: Vec<usize>,
    seen: Vec<bool>,
    /// What all answers together would give to a label that nobody gave.
    other: f64,
}

impl Weights {
    fn new(labels: usize) -> Self {
        Self {
            labels,
            own: vec![0.0; labels],
            answered: Vec::new(),
            seen: vec![false; labels],
            other: 0.0,
        }
    }

    /// Adds `count` answers that give `label`.
    fn add(&mut self, label: usize, skill: f64, count: f64) {
        let other = if self.labels > 1 {
            (1.0 - skill) / count_as_f64(self.labels - 1)
        } else {
            0.0
        };
        if let (Some(own), Some(seen)) = (self.own.get_mut(label), self.seen.get_mut(label)) {
            if !std::mem::replace(seen, true) {
                self.answered.push(label);
            }
            *own += count * (skill - other);
            self.other += count * other;
        }
    }

    /// The entropy of what was added; then, nothing is.
    fn take_entropy(&mut self) -> f64 {
        let others = self.labels.saturating_sub(self.answered.len());
        let other = std::mem::take(&mut self.other);
        let mut answered = Vec::with_capacity(self.answered.len());
        for label in self.answered.drain(..) {
            if let (Some(own), Some(seen)) = (self.own.get_mut(label), self.seen.get_mut(label)) {
                // Not below 0 by rounding.
                answered.push((std::mem::take(own) + other).max(0.0));
                *seen = false;
            }
        }
        // The order of answers does not matter.
        answered.sort_unstable_by(f64::total_cmp);
        let others = count_as_f64(others);
        let total = answered.iter().sum::<f64>() + others * other;
        let term = |weight: f64| {
            if weight > 0.0 {
                -weight / total * (weight / total).ln()
            } else {
                0.0
            }
        };
        let entropy: f64 = answered.into_iter().map(term).sum();
        (entropy + others * term(other)).max(0.0)
    }
}
