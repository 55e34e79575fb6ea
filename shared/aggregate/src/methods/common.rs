//! What the workers of a crowd have in common, and how much they differ: the upper level of the hierarchical model.

use crate::answers::{Names, count_as_f64};
use crate::gamma::ln_gamma;
use crate::methods::confusion::rows;

/// Imagined answers of every worker, as often right as the crowd's are.
const ACCURACY: f64 = 40.0;
/// Imagined answers of the crowd on each true class, as often right as on all of them.
const CONFUSION: f64 = 400.0;
/// How many imagined answers of a worker on each true class there can be; the most likely of these is taken.
const STRENGTHS: [f64; 6] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// Answers that are imagined to be right, and in all, before there is any.
const START: [f64; 2] = [4.0, 6.0];
/// Expected numbers of answers below this say nothing about how much workers differ.
const NEGLIGIBLE: f64 = 1e-3;

/// What the workers have in common.
///
/// A worker is expected to err as the crowd does, more or less often by its accuracy: the odds of a right answer on a
/// class are those of the crowd on this class, times the ratio of the worker's odds to the crowd's over all classes.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// The share of right answers of the crowd.
    accuracy: f64,
    /// The same of every worker.
    accuracies: Vec<f64>,
    /// Classes × classes: the probability of each answer of the crowd given each true class.
    confusion: Vec<f64>,
    /// How many answers of a worker on a class are worth as much as what is expected of it.
    pub(crate) strength: f64,
}

impl Common {
    /// Learns from expected numbers of answers, pairs × classes.
    pub(crate) fn learn(names: &Names, counts: &[f64]) -> Self {
        let (workers, classes) = (names.workers.len(), names.labels.len());
        let mut tallies = vec![[0.0; 2]; workers];
        let mut confusion = vec![0.0; classes * classes];
        for (worker, [right, all]) in tallies.iter_mut().enumerate() {
            for (pair, row) in rows(names, counts, worker) {
                let label = pair.label as usize;
                *right += row.get(label).copied().unwrap_or_default();
                *all += row.iter().sum::<f64>();
                for (truth, count) in confusion.chunks_exact_mut(classes).zip(row) {
                    if let Some(cell) = truth.get_mut(label) {
                        *cell += count;
                    }
                }
            }
        }
        let [right, all] = tallies.iter().fold(START, |[right, all], tally| {
            [right + tally[0], all + tally[1]]
        });
        let accuracy = right / all;
        let accuracies = tallies
            .iter()
            .map(|[right, all]| (right + ACCURACY * accuracy) / (all + ACCURACY));
        let mut common = Self {
            accuracy,
            accuracies: accuracies.collect(),
            confusion: complete(confusion, classes, accuracy),
            strength: 0.0,
        };
        common.strength = common.likeliest_strength(names, counts);
        common
    }

    /// How many answers of a worker with `label` are imagined on tasks of class `truth`.
    pub(crate) fn imagined(&self, worker: usize, truth: usize, label: usize) -> f64 {
        self.strength * self.expected(worker, truth, label)
    }

    /// How probable an answer of a worker is expected to be given the true class.
    fn expected(&self, worker: usize, truth: usize, label: usize) -> f64 {
        let classes = self.confusion.len().isqrt();
        let of_crowd = |label| {
            let cell = self.confusion.get(truth * classes + label);
            cell.copied().unwrap_or_default()
        };
        if classes == 1 {
            return 1.0;
        }
        let odds = |probability: f64| probability / (1.0 - probability);
        let own = self.accuracies.get(worker).copied().unwrap_or_default();
        let right = of_crowd(truth);
        let odds = odds(right) * odds(own) / odds(self.accuracy);
        if label == truth {
            odds / (1.0 + odds)
        } else {
            of_crowd(label) / (1.0 - right) / (1.0 + odds)
        }
    }

    /// The strength under which the expected numbers of answers are most likely, as draws from Dirichlet-multinomial
    /// distributions (Minka, *Estimating a Dirichlet distribution*, 2000).
    fn likeliest_strength(&self, names: &Names, counts: &[f64]) -> f64 {
        let classes = names.labels.len();
        let mut scores = STRENGTHS.map(|strength| (0.0, strength));
        let mut totals = vec![0.0; classes];
        for worker in 0..names.workers.len() {
            totals.fill(0.0);
            for (pair, row) in rows(names, counts, worker) {
                for (truth, (total, &count)) in totals.iter_mut().zip(row).enumerate() {
                    *total += count;
                    if count > NEGLIGIBLE {
                        let expected = self.expected(worker, truth, pair.label as usize);
                        for (score, strength) in &mut scores {
                            *score += log_rising(*strength * expected, count);
                        }
                    }
                }
            }
            for &total in totals.iter().filter(|total| **total > NEGLIGIBLE) {
                for (score, strength) in &mut scores {
                    *score -= log_rising(*strength, total);
                }
            }
        }
        let best = scores
            .into_iter()
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map_or(1.0, |(_, strength)| strength)
    }
}

/// Adds the imagined answers of the crowd, and turns numbers of answers into probabilities.
fn complete(mut confusion: Vec<f64>, classes: usize, accuracy: f64) -> Vec<f64> {
    let wrong = CONFUSION * (1.0 - accuracy) / count_as_f64(classes.max(2) - 1);
    for (truth, row) in confusion.chunks_exact_mut(classes).enumerate() {
        for (label, cell) in row.iter_mut().enumerate() {
            *cell += if label == truth {
                CONFUSION * accuracy
            } else {
                wrong
            };
        }
        let total = row.iter().sum::<f64>();
        row.iter_mut().for_each(|cell| *cell /= total);
    }
    confusion
}

/// ln (Γ(start + by) / Γ(start)).
fn log_rising(start: f64, by: f64) -> f64 {
    ln_gamma(start + by) - ln_gamma(start)
}
