//! What the workers of a crowd have in common, and how much they differ: the upper level of the hierarchical model.

use crate::answers::{Names, count_as_f64};
use crate::gamma::ln_rising;
use crate::methods::blocks::{add, each};
use crate::methods::confusion::rows;
use crate::methods::em::sum;

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
/// Workers whose answers one thread weighs up in one go.
const WORKERS_PER_BLOCK: usize = 64;

/// What the workers have in common.
///
/// A worker is expected to err as the crowd does, more or less often by its accuracy: the odds of a right answer on a
/// class are those of the crowd on this class, times the ratio of the worker's odds to the crowd's over all classes.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// The share of right answers of every worker.
    accuracies: Vec<f64>,
    /// For every true class: the crowd's odds of a right answer, divided by those over all classes.
    odds: Vec<f64>,
    /// Labels × true classes: the probability of each label among the wrong answers of the crowd.
    mistakes: Vec<f64>,
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
                *all += sum(row);
                let of_label = confusion.get_mut(label * classes..(label + 1) * classes);
                add(of_label.unwrap_or_default(), row);
            }
        }
        let [right, all] = tallies.iter().fold(START, |[right, all], tally| {
            [right + tally[0], all + tally[1]]
        });
        let accuracy = right / all;
        let accuracies = tallies
            .iter()
            .map(|[right, all]| (right + ACCURACY * accuracy) / (all + ACCURACY));
        let accuracies = accuracies.collect();
        complete(&mut confusion, classes, accuracy);
        let diagonal = confusion.iter().step_by(classes + 1);
        let mut common = Self {
            accuracies,
            odds: diagonal
                .map(|&right| odds(right) / odds(accuracy))
                .collect(),
            mistakes: mistakes(confusion, classes),
            strength: 0.0,
        };
        common.strength = common.likeliest_strength(names, counts);
        common
    }

    /// How many answers of a worker with `label` are imagined on tasks of class `truth`.
    pub(crate) fn imagined(&self, worker: usize, truth: usize, label: usize) -> f64 {
        let right = self.right(worker, truth);
        if label == truth {
            return self.strength * right;
        }
        let mistake = self.mistakes.get(label * self.odds.len() + truth);
        self.strength * (1.0 - right) * mistake.copied().unwrap_or_default()
    }

    /// How probable an answer of a worker is expected to be right given the true class.
    fn right(&self, worker: usize, truth: usize) -> f64 {
        if self.odds.len() == 1 {
            return 1.0;
        }
        let own = self.accuracies.get(worker).copied().unwrap_or_default();
        let odds = self.odds.get(truth).copied().unwrap_or_default() * odds(own);
        odds / (1.0 + odds)
    }

    /// What is imagined of one worker.
    pub(crate) fn of_worker(&self, worker: usize) -> Imagined<'_> {
        self.scaled(worker, self.strength)
    }

    fn scaled(&self, worker: usize, strength: f64) -> Imagined<'_> {
        let right = (0..self.odds.len()).map(|truth| self.right(worker, truth));
        let [right, wrong]: [Vec<f64>; 2] = [
            right.clone().map(|right| strength * right).collect(),
            right.map(|right| strength * (1.0 - right)).collect(),
        ];
        Imagined {
            mistakes: &self.mistakes,
            row: wrong.clone(),
            right,
            wrong,
        }
    }

    /// The strength under which the expected numbers of answers are most likely, as draws from Dirichlet-multinomial
    /// distributions (Minka, *Estimating a Dirichlet distribution*, 2000).
    fn likeliest_strength(&self, names: &Names, counts: &[f64]) -> f64 {
        let workers: Vec<usize> = (0..names.workers.len()).collect();
        let blocks = workers.chunks(WORKERS_PER_BLOCK).collect();
        let of_blocks = each(blocks, |workers: &[usize]| {
            let mut scores = [0.0; STRENGTHS.len()];
            for &worker in workers {
                self.score_strengths(names, counts, worker, &mut scores);
            }
            scores
        });
        let mut scores = [0.0; STRENGTHS.len()];
        for of_block in &of_blocks {
            add(&mut scores, of_block);
        }
        let best = scores
            .into_iter()
            .zip(STRENGTHS)
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map_or(1.0, |(_, strength)| strength)
    }

    /// Adds to the score of every strength how likely it makes a worker's answers, as a logarithm.
    fn score_strengths(&self, names: &Names, counts: &[f64], worker: usize, scores: &mut [f64]) {
        let mut expected = self.scaled(worker, 1.0);
        let mut totals = vec![0.0; self.odds.len()];
        for (pair, row) in rows(names, counts, worker) {
            add(&mut totals, row);
            let expected = expected.of_label(pair.label as usize);
            for (&count, &expected) in row.iter().zip(expected) {
                if count > NEGLIGIBLE {
                    for (score, strength) in scores.iter_mut().zip(STRENGTHS) {
                        *score += ln_rising(strength * expected, count);
                    }
                }
            }
        }
        for &total in totals.iter().filter(|total| **total > NEGLIGIBLE) {
            for (score, strength) in scores.iter_mut().zip(STRENGTHS) {
                *score -= ln_rising(strength, total);
            }
        }
    }
}

/// The imagined answers of one worker: what depends on it alone is found once, then rows are quickly made.
pub(crate) struct Imagined<'a> {
    mistakes: &'a [f64],
    /// For every true class how many are right, and how many wrong.
    right: Vec<f64>,
    wrong: Vec<f64>,
    row: Vec<f64>,
}

impl Imagined<'_> {
    /// For every true class, how many answers there are with this label.
    pub(crate) fn of_label(&mut self, label: usize) -> &[f64] {
        let classes = self.wrong.len();
        let mistakes = self.mistakes.get(label * classes..(label + 1) * classes);
        let mistakes = mistakes.unwrap_or_default();
        for ((cell, mistake), wrong) in self.row.iter_mut().zip(mistakes).zip(&self.wrong) {
            *cell = mistake * wrong;
        }
        if let (Some(cell), Some(right)) = (self.row.get_mut(label), self.right.get(label)) {
            *cell = *right;
        }
        &self.row
    }
}

fn odds(probability: f64) -> f64 {
    probability / (1.0 - probability)
}

/// Adds the imagined answers of the crowd to numbers of answers, labels × true classes, and turns them into
/// probabilities of each label given the true class.
fn complete(confusion: &mut [f64], classes: usize, accuracy: f64) {
    let wrong = CONFUSION * (1.0 - accuracy) / count_as_f64(classes.max(2) - 1);
    let mut totals = vec![0.0; classes];
    for (label, row) in confusion.chunks_exact_mut(classes).enumerate() {
        for (truth, cell) in row.iter_mut().enumerate() {
            *cell += if label == truth {
                CONFUSION * accuracy
            } else {
                wrong
            };
        }
        add(&mut totals, row);
    }
    for row in confusion.chunks_exact_mut(classes) {
        for (cell, total) in row.iter_mut().zip(&totals) {
            *cell /= total;
        }
    }
}

/// Turns probabilities of each label given the true class into those among wrong answers.
fn mistakes(mut confusion: Vec<f64>, classes: usize) -> Vec<f64> {
    let diagonal = confusion.iter().step_by(classes + 1);
    let right: Vec<f64> = diagonal.copied().collect();
    for row in confusion.chunks_exact_mut(classes) {
        for (cell, right) in row.iter_mut().zip(&right) {
            *cell /= 1.0 - right;
        }
    }
    confusion
}
