//! A model and votes put together, and how much each of them is to be believed, found on known labels that the model did
//! not see: temperature scaling (Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*, 2017), with a
//! temperature for each of the two.

use crate::answers::count_as_f64;

/// The power that each of two probabilities is raised to before they are multiplied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pool {
    model: f64,
    votes: f64,
}

/// The logarithms of the probabilities that a model and votes give.
#[derive(Debug, Clone)]
pub(crate) struct Opinions {
    pub(crate) model: Vec<f64>,
    pub(crate) votes: Vec<f64>,
}

/// A task whose label is known: what each part of its answers says of it, and the index of the label.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) parts: Vec<Opinions>,
    pub(crate) label: usize,
}

/// Parts that known labels are divided into, to judge each by what was found on the others.
const FOLDS: usize = 5;
/// With fewer known labels, nothing is found.
const FEWEST: usize = 10;
/// So many known labels are enough to find two numbers.
const MOST: usize = 1000;
/// What is found must make the labels that it was not found on likelier by so much, as a logarithm.
const MARGIN: f64 = 2.0;
/// How strongly the power of the model, and that of votes, are believed to be what they were: the weight of half the
/// squared logarithm of their change. A model is often too sure, by much; votes seldom are.
const BELIEF: [f64; 2] = [0.1, 1.0];
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

    /// By how much probabilities were evened out: 1 if not, more if they were too sure.
    pub(crate) fn temperature(self) -> f64 {
        1.0 / (self.model + self.votes)
    }

    /// Turns the logarithms of a model's probabilities into probabilities of both together.
    pub(crate) fn put_together(self, model: &mut [f64], votes: &[f64]) {
        for (value, votes) in model.iter_mut().zip(votes) {
            *value = self.model * *value + self.votes * votes;
        }
        to_probabilities(model);
    }

    /// The powers that make known labels likeliest; `None` if powers found so do not make known labels that they were
    /// not found on likelier, or if there are too few to tell.
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

    /// Goes in ever smaller steps to where the labels are likeliest. Votes never gain on the model: it is judged without
    /// the known labels that taught it whom to trust, so it is better than it seems.
    fn likeliest(self, judged: &[&Judged]) -> Self {
        let score = |pool: Self| {
            let change = |now: f64, then: f64| (now / then).ln().powi(2);
            let changes = BELIEF[0] * change(pool.model, self.model)
                + BELIEF[1] * change(pool.votes, self.votes);
            pool.loss(judged) + changes / 2.0
        };
        let mut best = (score(self), self);
        for step in STEPS.map(f64::exp2) {
            let better = |pool: Self| {
                let allowed = |pool: &Self| !pool.leans_more_on_votes(self);
                let steps = pool.neighbours(step).into_iter().filter(allowed);
                steps.map(|pool| (score(pool), pool)).reduce(lower)
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

    /// Whether votes weigh more beside the model than in another pool.
    fn leans_more_on_votes(self, than: Self) -> bool {
        self.votes * than.model > than.votes * self.model * (1.0 + 1e-9)
    }

    /// The negative log-likelihood of known labels; a task's is the mean over its parts.
    fn loss(self, judged: &[&Judged]) -> f64 {
        let mut row = Vec::new();
        let mut loss = 0.0;
        for Judged { parts, label } in judged {
            for part in parts {
                row.clone_from(&part.model);
                self.put_together(&mut row, &part.votes);
                let probability = row.get(*label).copied().unwrap_or_default();
                loss -= probability.max(f64::MIN_POSITIVE).ln() / count_as_f64(parts.len());
            }
        }
        loss
    }
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
    use super::{Judged, Opinions, Pool};

    /// A model that says `sure` for the first label and votes that say nothing; every `wrong`th time it is the second.
    fn crowd(sure: f64, wrong: usize) -> Vec<Judged> {
        let judged = |task| Judged {
            parts: vec![Opinions {
                model: vec![f64::ln(sure), f64::ln(1.0 - sure)],
                votes: vec![0.5_f64.ln(); 2],
            }],
            label: usize::from(task % wrong == 0),
        };
        (0..140).map(judged).collect()
    }

    fn said(pool: Pool, judged: &Judged) -> f64 {
        let mut row = judged.parts[0].model.clone();
        pool.put_together(&mut row, &judged.parts[0].votes);
        row[0]
    }

    #[test]
    fn a_pool_is_a_product_of_powers() {
        let mut row = [0.8_f64.ln(), 0.2_f64.ln()];
        Pool {
            model: 0.5,
            votes: 2.0,
        }
        .put_together(&mut row, &[0.6_f64.ln(), 0.4_f64.ln()]);
        assert!((row[0] / row[1] - 2.0 * 2.25).abs() < 1e-12);
        assert!((row[0] + row[1] - 1.0).abs() < 1e-12);
        assert!((Pool::weighing(3.0).temperature() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn sureness_is_cooled_to_what_is_right() {
        let judged = crowd(0.999, 7);
        let found = Pool::weighing(0.3).calibrate(&judged).unwrap();
        assert!(found.temperature() > 1.5, "{found:?}");
        assert!(
            (said(found, &judged[0]) - 6.0 / 7.0).abs() < 0.03,
            "{found:?}"
        );
    }

    #[test]
    fn what_is_right_already_or_too_little_is_left_alone() {
        let pool = Pool::weighing(1e-3);
        assert_eq!(pool.calibrate(&crowd(0.999, 7)[..9]), None);
        assert_eq!(pool.calibrate(&crowd(6.0 / 7.0, 7)), None);
    }
}
