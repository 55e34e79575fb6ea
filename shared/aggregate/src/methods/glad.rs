//! GLAD (Whitehill, Wu, Bergsma, Movellan and Ruvolo 2009): workers differ in ability, and tasks in difficulty.
//!
//! An answer is right with probability 1 / (1 + exp(−*ability* × *easiness*)), and wrong answers are even among the
//! other labels. A worker of ability 0 guesses between right and wrong, and one of negative ability errs on
//! purpose; a task of easiness near 0 is too difficult for everybody. Abilities and the logarithms of easiness are
//! believed to be normal, with mean 1 and deviation 1, and are found together with the labels.
//!
//! What is expected of labels needs no more than the answered ones, and its derivatives no more than the probability
//! that each answer is right: an iteration costs as much as there are answers, however many labels there are.

use std::f64::consts::TAU;

use crate::aggregated::{Aggregated, StopReason};
use crate::answers::{Answers, count_as_f64};
use crate::gold::known_labels;
use crate::methods::ascent::{Ascent, Slope};
use crate::methods::blocks::{Block, add, blocks, cut, each, table_of_tasks};
use crate::methods::em::check_tolerance;
use crate::methods::posterior::Posterior;
use crate::methods::summary::{mean_of_own_answers, mean_row};
use crate::{Gold, MethodError, Mode, Progress};

/// Settings of [`glad()`].
///
/// # The default mode
///
/// The objective is the logarithm of the posterior density of abilities and easiness, and no iteration, of ten steps
/// of conjugate gradients each, makes it worse.
///
/// # crowd-kit's mode
///
/// crowd-kit's `GLAD` with its default settings. Its objective is the expected log-likelihood of answers and labels,
/// divided by answers times labels; it lacks the labels' entropy, so it may fall, and that ends the iterations. The
/// probabilities of labels are older by one maximisation than abilities are. Both are the same here, and so is the
/// maximisation, 25 steps of scipy's conjugate gradients at most. These make small differences large: after two
/// iterations, crowd-kit's own numbers depend on the order of rows, and with them when it stops. So the first gain
/// below the tolerance does not end the iterations here, but the second in a row. On five real crowds labels were
/// crowd-kit's; abilities and logarithms of easiness differed by less than 0.01 on four, and by up to 0.08 on the
/// fifth, where crowd-kit with its rows shuffled differs by 0.1. `gold` is not used, crowd-kit has none.
///
/// Accuracy on real crowds (crowd-kit's mode in brackets): bluebirds 0.722 (0.722), labelme 0.776 (0.775), weather
/// 0.853 (0.853).
#[derive(Debug, Clone, PartialEq)]
pub struct Glad {
    /// At most so many iterations.
    pub iterations: usize,
    /// Stop when an iteration gains less than this in the objective an answer.
    pub tolerance: f64,
    /// The rules to follow.
    pub mode: Mode,
    /// Known labels. They are never changed, and teach how able workers are. Tasks that nobody answered do not matter.
    pub gold: Gold,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for Glad {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            mode: Mode::Default,
            gold: Gold::new(),
            progress: Progress::default(),
        }
    }
}

/// Finds labels together with the abilities of workers and the easiness of tasks.
///
/// [`Aggregated::worker_columns`] has `ability` (crowd-kit's `alphas_`), [`Aggregated::task_columns`] has `easiness`
/// (the exponential of crowd-kit's `betas_`). A skill is the mean probability of the worker's answers.
///
/// # Errors
/// [`MethodError`] for a setting out of range or a known label that does not exist.
pub fn glad(answers: &Answers, settings: &Glad) -> Result<Aggregated, MethodError> {
    check_tolerance(settings.tolerance)?;
    let known = match settings.mode {
        Mode::Default => known_labels(answers, &settings.gold)?,
        Mode::CrowdKit => vec![None; answers.tasks().len()],
    };
    let model = Model {
        answers,
        known,
        blocks: blocks(answers),
        ln_others: count_as_f64(answers.labels().len().max(2) - 1).ln(),
    };
    Ok(match settings.mode {
        Mode::Default => model.climb(settings),
        Mode::CrowdKit => model.climb_like_crowd_kit(settings),
    })
}

/// The mean of abilities, and of logarithms of easiness, beforehand.
const MEAN: f64 = 1.0;
/// How many steps an iteration of the default mode makes.
const STEPS: usize = 10;

struct Model<'a> {
    answers: &'a Answers,
    known: Vec<Option<u32>>,
    blocks: Vec<Block>,
    /// The logarithm of how many labels are wrong.
    ln_others: f64,
}

/// What is expected of labels.
struct Expectation {
    /// For every answer the probability that it is right.
    right: Vec<f64>,
    /// The log-likelihood of the answers.
    log_likelihood: f64,
}

impl Model<'_> {
    /// The default mode: climbs the log-density of abilities and easiness given the answers.
    ///
    /// Its gradient is that of the expected log-likelihood (Fisher's identity), so there is no need to keep what is
    /// expected of labels fixed for many steps, as expectation-maximisation does.
    fn climb(&self, settings: &Glad) -> Aggregated {
        let ascent = Ascent {
            limit: STEPS,
            flat: 0.0,
            scaled: true,
        };
        let log_posterior = |point: &[f64]| {
            let expected = self.expect(point);
            Slope {
                value: expected.log_likelihood + log_density(point),
                ..self.evaluate(&expected, point)
            }
        };
        let mut point = self.start();
        let mut history = Vec::new();
        let mut stop = StopReason::IterationLimit;
        let mut last = f64::NEG_INFINITY;
        while history.len() < settings.iterations {
            let (next, value) = ascent.run(point, log_posterior);
            point = next;
            let value = value / count_as_f64(self.answers.len());
            history.push(value);
            settings.progress.tell(&history, settings.iterations);
            if value - last < settings.tolerance {
                stop = StopReason::Converged;
                break;
            }
            last = value;
        }
        let probabilities = self.probabilities(&point);
        self.finish(&point, probabilities, history, stop)
    }

    fn climb_like_crowd_kit(&self, settings: &Glad) -> Aggregated {
        let mut point = self.start();
        let mut before = point.clone();
        let mut history = Vec::new();
        let mut stop = StopReason::IterationLimit;
        // crowd-kit compares its first value with one that was not divided, so the first test is always passed.
        let mut last = f64::NEG_INFINITY;
        let mut gained = true;
        let cells = count_as_f64(self.answers.len()) * count_as_f64(self.answers.labels().len());
        while history.len() < settings.iterations {
            let expected = self.expect(&point);
            before.clone_from(&point);
            point = self.maximise(&expected, point);
            let wrong = expected.right.iter().map(|right| 1.0 - right).sum::<f64>();
            let value = self.evaluate(&expected, &point).value
                - wrong * self.ln_others
                - 0.5 * TAU.ln() * count_as_f64(point.len());
            let value = value / cells;
            history.push(value);
            settings.progress.tell(&history, settings.iterations);
            let gain = value - last;
            let gains = gain >= settings.tolerance;
            if gain < settings.tolerance.min(0.0) || !(gains || gained) {
                stop = StopReason::Converged;
                break;
            }
            (last, gained) = (value, gains);
        }
        let probabilities = self.probabilities(&before);
        self.finish(&point, probabilities, history, stop)
    }

    /// Abilities of all workers, then logarithms of easiness of all tasks.
    fn start(&self) -> Vec<f64> {
        let names = self.answers.names();
        vec![MEAN; names.workers.len() + names.tasks.len()]
    }

    /// The ability of the worker of a pair, and its label.
    fn of_pair(&self, abilities: &[f64], pair: u32) -> (f64, u32) {
        let pair = self.answers.names().pairs.get(pair as usize);
        pair.map_or((0.0, 0), |pair| {
            let ability = abilities.get(pair.worker as usize).copied();
            (ability.unwrap_or_default(), pair.label)
        })
    }

    /// Finds the posterior of a task; gives its log-likelihood.
    fn judge(
        &self,
        own: &[u32],
        known: Option<u32>,
        abilities: &[f64],
        easiness: f64,
        posterior: &mut Posterior,
    ) -> f64 {
        posterior.clear();
        let mut all_wrong = -count_as_f64(self.answers.labels().len()).ln();
        let mut factors = Factors::default();
        for &pair in own {
            let (ability, label) = self.of_pair(abilities, pair);
            let x = ability * easiness;
            // ln σ(−x) = −max(x, 0) − ln(1 + e^−|x|).
            all_wrong -= x.max(0.0) + self.ln_others;
            factors.multiply(1.0 + (-x.abs()).exp());
            posterior.add(label, x + self.ln_others);
        }
        all_wrong - factors.ln() + posterior.normalise(known)
    }

    fn expect(&self, point: &[f64]) -> Expectation {
        let (abilities, easiness) = self.split(point);
        let mut right = vec![0.0; self.answers.len()];
        let parts = cut(
            &mut right,
            self.blocks.iter().map(|block| block.answers.clone()),
        );
        let work = self.blocks.iter().zip(parts).collect();
        let likelihoods = each(work, |(block, mut right): (&Block, &mut [f64])| {
            let mut posterior = Posterior::new(self.answers.labels().len());
            let mut log_likelihood = 0.0;
            let known = self.known.get(block.tasks.clone()).unwrap_or_default();
            let easiness = easiness.get(block.tasks.clone()).unwrap_or_default();
            let tasks = block.pairs_by_task(self.answers).zip(known).zip(easiness);
            for ((own, &known), log_easiness) in tasks {
                log_likelihood +=
                    self.judge(own, known, abilities, log_easiness.exp(), &mut posterior);
                let (of_task, rest) = right.split_at_mut_checked(own.len()).unwrap_or_default();
                for (right, &pair) in of_task.iter_mut().zip(own) {
                    *right = posterior.of(self.of_pair(abilities, pair).1);
                }
                right = rest;
            }
            log_likelihood
        });
        Expectation {
            right,
            log_likelihood: likelihoods.iter().sum(),
        }
    }

    /// crowd-kit's maximisation step.
    fn maximise(&self, expected: &Expectation, start: Vec<f64>) -> Vec<f64> {
        Ascent {
            limit: 25,
            flat: 1e-2,
            scaled: false,
        }
        .run(start, |point| self.evaluate(expected, point))
        .0
    }

    /// The expected log-likelihood of answers and labels plus the log-density, without constant parts.
    fn evaluate(&self, expected: &Expectation, point: &[f64]) -> Slope {
        let (abilities, easiness) = self.split(point);
        let mut gradient = vec![0.0; point.len()];
        let mut curvature = vec![0.0; point.len()];
        let (ability_gradient, easiness_gradient) = gradient.split_at_mut(abilities.len());
        let (ability_curvature, easiness_curvature) = curvature.split_at_mut(abilities.len());
        let tasks = || self.blocks.iter().map(|block| block.tasks.clone());
        let parts = cut(easiness_gradient, tasks())
            .into_iter()
            .zip(cut(easiness_curvature, tasks()));
        let work = self.blocks.iter().zip(parts).collect();
        let sums = each(
            work,
            |(block, (gradient, curvature)): (&Block, (&mut [f64], &mut [f64]))| {
                let mut sums = Sums::new(abilities.len());
                let mut right = expected
                    .right
                    .get(block.answers.clone())
                    .unwrap_or_default();
                let easiness = easiness.get(block.tasks.clone()).unwrap_or_default();
                let cells = gradient.iter_mut().zip(curvature);
                for ((own, log_easiness), cells) in
                    block.pairs_by_task(self.answers).zip(easiness).zip(cells)
                {
                    let (of_task, rest) = right.split_at_checked(own.len()).unwrap_or_default();
                    (*cells.0, *cells.1) =
                        sums.add(self, abilities, log_easiness.exp(), own.iter().zip(of_task));
                    right = rest;
                }
                sums
            },
        );
        let mut value = log_density(point);
        for part in &sums {
            value += part.value;
            add(ability_gradient, &part.gradient);
            add(ability_curvature, &part.curvature);
        }
        for (gradient, x) in gradient.iter_mut().zip(point) {
            *gradient -= x - MEAN;
        }
        curvature.iter_mut().for_each(|curvature| *curvature += 1.0);
        Slope {
            value,
            gradient,
            curvature,
        }
    }

    fn split<'b>(&self, point: &'b [f64]) -> (&'b [f64], &'b [f64]) {
        let workers = self.answers.names().workers.len();
        point.split_at_checked(workers).unwrap_or_default()
    }

    fn probabilities(&self, point: &[f64]) -> Vec<f64> {
        let (abilities, easiness) = self.split(point);
        let classes = self.answers.labels().len();
        table_of_tasks(&self.blocks, classes, |block, rows| {
            let mut posterior = Posterior::new(classes);
            let known = self.known.get(block.tasks.clone()).unwrap_or_default();
            let easiness = easiness.get(block.tasks.clone()).unwrap_or_default();
            let tasks = block.pairs_by_task(self.answers).zip(known).zip(easiness);
            for (((own, &known), easiness), row) in tasks.zip(rows.chunks_exact_mut(classes)) {
                self.judge(own, known, abilities, easiness.exp(), &mut posterior);
                posterior.write(row);
            }
        })
    }

    fn finish(
        &self,
        point: &[f64],
        probabilities: Vec<f64>,
        history: Vec<f64>,
        stop: StopReason,
    ) -> Aggregated {
        let (abilities, easiness) = self.split(point);
        let easiness = easiness.iter().map(|log_easiness| log_easiness.exp());
        Aggregated {
            priors: mean_row(&probabilities, self.answers.labels().len()),
            skills: mean_of_own_answers(self.answers, &probabilities),
            probabilities,
            history,
            stop,
            worker_columns: vec![("ability", abilities.to_vec())],
            task_columns: vec![("easiness", easiness.collect())],
            ..Aggregated::of(self.answers)
        }
    }
}

/// The log-density of abilities and logarithms of easiness beforehand, without the constant part.
fn log_density(point: &[f64]) -> f64 {
    point.iter().map(|x| -0.5 * (x - MEAN).powi(2)).sum()
}

/// The part of a block in the expected log-likelihood, and in its derivatives by ability.
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

/// A product of factors from 1 to 2, of which the logarithm is wanted: one logarithm for many factors.
struct Factors {
    product: f64,
    count: u32,
    ln: f64,
}

impl Default for Factors {
    fn default() -> Self {
        Self {
            product: 1.0,
            count: 0,
            ln: 0.0,
        }
    }
}

impl Factors {
    /// So many factors of 2 are still a float.
    const MOST: u32 = 1000;

    fn multiply(&mut self, factor: f64) {
        self.product *= factor;
        self.count += 1;
        if self.count == Self::MOST {
            self.ln += self.product.ln();
            (self.product, self.count) = (1.0, 0);
        }
    }

    fn ln(&self) -> f64 {
        self.ln + self.product.ln()
    }
}

impl Sums {
    fn new(workers: usize) -> Self {
        Self {
            value: 0.0,
            gradient: vec![0.0; workers],
            curvature: vec![0.0; workers],
        }
    }

    /// Adds a task's answers, each with the probability that it is right; gives the derivative by the logarithm of
    /// easiness, and the curvature.
    fn add<'b>(
        &mut self,
        model: &Model<'_>,
        abilities: &[f64],
        easiness: f64,
        answers: impl Iterator<Item = (&'b u32, &'b f64)>,
    ) -> (f64, f64) {
        let (mut gradient, mut curvature) = (0.0, 0.0);
        let mut factors = Factors::default();
        for (&pair, right) in answers {
            let Some(pair) = model.answers.names().pairs.get(pair as usize) else {
                continue;
            };
            let worker = pair.worker as usize;
            let x = abilities.get(worker).copied().unwrap_or_default() * easiness;
            // ln σ(x) = min(x, 0) − ln(1 + e^−|x|), and ln σ(−x) = ln σ(x) − x.
            let small = (-x.abs()).exp();
            self.value += x.min(0.0) - (1.0 - right) * x;
            factors.multiply(1.0 + small);
            let larger = 1.0 / (1.0 + small);
            let surprise = right - if x >= 0.0 { larger } else { small * larger };
            let variance = small * larger * larger;
            gradient += surprise * x;
            curvature += variance * x * x;
            if let (Some(gradient), Some(curvature)) = (
                self.gradient.get_mut(worker),
                self.curvature.get_mut(worker),
            ) {
                *gradient += surprise * easiness;
                *curvature += variance * easiness * easiness;
            }
        }
        self.value -= factors.ln();
        (gradient, curvature)
    }
}
