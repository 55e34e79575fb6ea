//! A model and votes put together, and how much each of them is to be believed, found on known labels that the model did
//! not see: temperature scaling (Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*, 2017), with a
//! temperature for each of the two, of the odds that the label is right. It changes how sure one may be, never a label.

use crate::aggregated::arg_max;
use crate::answers::count_as_f64;

/// The power that each of two probabilities is raised to before they are multiplied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pool {
    model: f64,
    votes: f64,
}

/// What a model and votes say of a label against all others, as logarithms of odds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Support {
    model: f64,
    votes: f64,
}

/// A task whose label is known: for each part of its answers, what supports the label that it leads to, and whether that
/// is right.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) parts: Vec<(Support, bool)>,
}

/// Parts that known labels are divided into, to judge each by what was found on the others.
const FOLDS: usize = 5;
/// With fewer known labels, nothing is found.
pub(crate) const FEWEST: usize = 10;
/// So many known labels are enough to find two numbers.
const MOST: usize = 1000;
/// What is found must make the labels that it was not found on likelier by so much, as a logarithm.
const MARGIN: f64 = 2.0;
/// How strongly powers are believed to be what they were: the weight of half the squared logarithm of their change.
const BELIEF: f64 = 0.3;
/// The steps of the search, as powers of two.
const STEPS: [f64; 4] = [1.0, 0.5, 0.25, 0.125];

impl Pool {
    /// Where a model weighs one and votes weigh `votes`.
    pub(crate) fn weighing(votes: f64) -> Self {
        Self {
            model: 1.0 / (1.0 + votes),
            votes: votes / (1.0 + votes),
        }
    }

    /// The temperatures that another pool has where this one has 1, of the model and of votes: more than 1 if they were
    /// too sure.
    pub(crate) fn over(self, other: Self) -> [f64; 2] {
        [self.model / other.model, self.votes / other.votes]
    }

    /// Turns the logarithms of a model's probabilities into probabilities of both together.
    pub(crate) fn put_together(self, model: &mut [f64], votes: &[f64]) {
        for (value, votes) in model.iter_mut().zip(votes) {
            *value = self.model * *value + self.votes * votes;
        }
        to_probabilities(model);
    }

    /// Puts both together, and gives the label that they lead to and what supports it.
    pub(crate) fn decide(self, row: &mut [f64], votes: &[f64]) -> (usize, Support) {
        let model = row.to_vec();
        self.put_together(row, votes);
        let label = arg_max(row);
        let support = Support {
            model: log_odds(&model, label),
            votes: log_odds(votes, label),
        };
        (label, support)
    }

    /// The probability of a label with this support.
    pub(crate) fn confidence(self, support: Support) -> f64 {
        1.0 / (1.0 + (-self.log_odds(support)).exp())
    }

    fn log_odds(self, support: Support) -> f64 {
        self.model * support.model + self.votes * support.votes
    }

    /// The powers that make it likeliest which labels are right; `None` if powers found so do not make it likelier of
    /// known labels that they were not found on, or if there are too few to tell.
    pub(crate) fn calibrate(self, judged: &[Judged]) -> Option<Self> {
        if judged.len() < FEWEST {
            return None;
        }
        let used: Vec<&Judged> = judged.iter().step_by(judged.len().div_ceil(MOST)).collect();
        let mut gain = 0.0;
        for fold in 0..FOLDS {
            let part = |held_out: bool| -> Vec<&Judged> {
                let judged = used.iter().enumerate();
                let part = judged.filter(|(index, _)| (index % FOLDS == fold) == held_out);
                part.map(|(_, judged)| *judged).collect()
            };
            let held_out = part(true);
            gain += self.loss(&held_out) - self.likeliest(&part(false)).loss(&held_out);
        }
        (gain > MARGIN).then(|| self.likeliest(&used))
    }

    /// Goes in ever smaller steps to where what is known is likeliest.
    fn likeliest(self, judged: &[&Judged]) -> Self {
        let score = |pool: Self| {
            let change = |now: f64, then: f64| (now / then).ln().powi(2);
            let changes = change(pool.model, self.model) + change(pool.votes, self.votes);
            pool.loss(judged) + BELIEF / 2.0 * changes
        };
        let mut best = (score(self), self);
        for step in STEPS.map(f64::exp2) {
            let better = |pool: Self| {
                let steps = pool.neighbours(step).map(|pool| (score(pool), pool));
                steps.into_iter().reduce(lower)
            };
            while let Some(next) = better(best.1)
                && next.0 < best.0
            {
                best = next;
            }
        }
        best.1
    }

    /// Both powers moved together, and that of votes alone.
    fn neighbours(self, step: f64) -> [Self; 4] {
        let with = |model, votes| Self {
            model: self.model * model,
            votes: self.votes * votes,
        };
        let back = 1.0 / step;
        [
            with(step, step),
            with(back, back),
            with(1.0, step),
            with(1.0, back),
        ]
    }

    /// The negative log-likelihood of labels being right or wrong; a task's is the mean over its parts.
    fn loss(self, judged: &[&Judged]) -> f64 {
        let of_part = |(support, right): &(Support, bool)| {
            let odds = self.log_odds(*support);
            let against = if *right { -odds } else { odds };
            // ln(1 + e^against), which does not overflow so.
            against.max(0.0) + (-against.abs()).exp().ln_1p()
        };
        let of_task = |judged: &&Judged| {
            let sum: f64 = judged.parts.iter().map(of_part).sum();
            sum / count_as_f64(judged.parts.len())
        };
        judged.iter().map(of_task).sum()
    }
}

/// Gives a row's label this probability, but no less than any other has then; the others share the rest as they did.
pub(crate) fn set_confidence(row: &mut [f64], label: usize, confidence: f64) {
    // Above a tie by more than rounding, and by less than anyone sees.
    const ABOVE: f64 = 1.0 + 1e-9;
    let others = || {
        let others = row.iter().enumerate().filter(|(index, _)| *index != label);
        others.map(|(_, value)| *value)
    };
    let rest: f64 = others().sum();
    let largest = ABOVE * others().fold(0.0, f64::max) / rest;
    if rest <= 0.0 {
        return;
    }
    let confidence = confidence.max(largest / (1.0 + largest));
    for (index, value) in row.iter_mut().enumerate() {
        *value = if index == label {
            confidence
        } else {
            *value / rest * (1.0 - confidence)
        };
    }
}

/// The logarithm of the odds of one of several probabilities, of which logarithms are given.
fn log_odds(row: &[f64], of: usize) -> f64 {
    let others = || {
        let others = row.iter().enumerate().filter(|(index, _)| *index != of);
        others.map(|(_, value)| *value)
    };
    let largest = others().fold(f64::NEG_INFINITY, f64::max);
    let rest: f64 = others().map(|value| (value - largest).exp()).sum();
    row.get(of).copied().unwrap_or_default() - largest - rest.ln()
}

/// Turns logarithms into probabilities.
pub(crate) fn to_probabilities(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        total += *value;
    }
    row.iter_mut().for_each(|value| *value /= total);
}

fn lower(one: (f64, Pool), other: (f64, Pool)) -> (f64, Pool) {
    if other.0 < one.0 { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::{Judged, Pool, Support, log_odds, set_confidence, to_probabilities};

    /// A model that is so sure and votes that say nothing; every `wrong`th label is wrong.
    fn crowd(sure: f64, wrong: usize) -> Vec<Judged> {
        let support = Support {
            model: (sure / (1.0 - sure)).ln(),
            votes: 0.0,
        };
        let judged = |task: usize| Judged {
            parts: vec![(support, !task.is_multiple_of(wrong))],
        };
        (0..140).map(judged).collect()
    }

    #[test]
    fn a_pool_is_a_product_of_powers() {
        let mut row = [0.8_f64.ln(), 0.2_f64.ln()];
        let pool = Pool {
            model: 0.5,
            votes: 2.0,
        };
        let votes = [0.6_f64.ln(), 0.4_f64.ln()];
        let (label, support) = pool.decide(&mut row, &votes);
        assert!((row[0] / row[1] - 2.0 * 2.25).abs() < 1e-12);
        assert!((row[0] + row[1] - 1.0).abs() < 1e-12);
        assert_eq!(label, 0);
        assert!((pool.confidence(support) - row[0]).abs() < 1e-12);
        let [model, votes] = pool.over(Pool::weighing(1.0));
        assert!((model - 1.0).abs() < 1e-12 && (votes - 4.0).abs() < 1e-12);
    }

    #[test]
    fn odds_are_against_all_others() {
        let row = [0.5_f64.ln(), 0.2_f64.ln(), 0.3_f64.ln()];
        assert!(log_odds(&row, 0).abs() < 1e-12);
        assert!((log_odds(&row, 1) - 0.25_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn sureness_is_cooled_to_what_is_right() {
        let judged = crowd(0.999, 7);
        let found = Pool::weighing(0.3).calibrate(&judged).unwrap();
        assert!(Pool::weighing(0.3).over(found)[0] > 1.5, "{found:?}");
        let confidence = found.confidence(judged[0].parts[0].0);
        assert!((confidence - 6.0 / 7.0).abs() < 0.03, "{confidence}");
    }

    #[test]
    fn what_is_right_already_or_too_little_is_left_alone() {
        let pool = Pool::weighing(1e-3);
        assert_eq!(pool.calibrate(&crowd(0.999, 7)[..9]), None);
        assert_eq!(pool.calibrate(&crowd(6.0 / 7.0, 7)), None);
    }

    #[test]
    fn a_label_stays_the_likeliest() {
        let row = || {
            let mut row = [0.1_f64.ln(), 0.6_f64.ln(), 0.3_f64.ln()];
            to_probabilities(&mut row);
            row
        };
        let mut sure = row();
        set_confidence(&mut sure, 1, 0.8);
        for (value, expected) in sure.iter().zip([0.05, 0.8, 0.15]) {
            assert!((value - expected).abs() < 1e-12, "{sure:?}");
        }
        let mut unsure = row();
        set_confidence(&mut unsure, 1, 0.2);
        assert!(unsure[1] > unsure[2], "{unsure:?}");
        assert!((unsure[1] - 3.0 / 7.0).abs() < 1e-8, "{unsure:?}");
        assert!((unsure.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
