//! Ma and Olshevsky (2020): skills from how often pairs of workers agree, robust against adversaries.
//!
//! If every worker `i` is right with probability `p_i` and errs evenly over the other of `K` labels, the agreement of
//! two workers, scaled so that chance is 0, is expected to be `s_i · s_j`, with `s = (K·p − 1) / (K − 1)`. So the
//! matrix of agreements has rank one, and skills are found by completing it from the pairs that have tasks in common.
//! A mean that leaves out the largest and smallest values keeps a few lying workers from spoiling it.
//!
//! Only pairs with common tasks are stored and visited, never workers × workers. Comparing the answers of a task in
//! pairs is quadratic in their number; from [`COMPARED`] on, an answer is compared with that many others only.

use rayon::prelude::*;

use crate::aggregated::{Aggregated, StopReason};
use crate::answers::{Answers, count_as_f64};
use crate::methods::majority_vote::{softmax, voted};
use crate::{MethodError, Progress, majority_vote};

/// With how many others an answer is compared at most, in the sorted circle of the task's answers.
const COMPARED: usize = 256;

/// Settings of [`mmsr()`].
#[derive(Debug, Clone, PartialEq)]
pub struct Mmsr {
    /// At most so many iterations; at least 1.
    pub iterations: usize,
    /// Stop when the rank-one matrix moves by less than this share of its size (Frobenius norms); 0 or more. crowd-kit
    /// takes the move as it is, which a large crowd's rounding errors never get below.
    pub tolerance: f64,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for Mmsr {
    fn default() -> Self {
        Self {
            iterations: 1000,
            tolerance: 1e-6,
            progress: Progress::default(),
        }
    }
}

/// Finds skills by robust rank-one completion of the matrix of agreements (M-MSR), then decides every task by votes
/// that weigh `ln((K − 1)·p / (1 − p))`.
///
/// Follows Qianqian Ma and Alex Olshevsky, *Adversarial Crowdsourcing Through Robust Rank-One Matrix Completion*
/// (`NeurIPS` 2020). With these weights, the sum of votes for a label is the logarithm of its probability, up to a
/// constant; so unlike in crowd-kit, where they are shares of the sum of weights, probabilities are their softmax. A
/// weight may be negative: who is worse than chance speaks for the other labels.
///
/// There is one mode. crowd-kit's `MMSR` rests on random starts and an eigenvector from ARPACK, so there are no exact
/// numbers to agree with, and these of its rules are flawed and not repeated:
///
/// - Shares of a negative sum turn the decision round: the worst label wins. (rte: 0.858, here 0.925.)
/// - The bound that keeps `s` from ±1 is 1/√(all tasks), though most workers do few of them. Here it is
///   1/√(the worker's answers + 1).
/// - Signs come from an eigenvector of a matrix of (workers + agreeing pairs)². Here, from the leading eigenvector of
///   the signed agreements, weighted by common tasks, which is found by multiplication; of both solutions, the one
///   where workers are right on the whole.
/// - A worker without anybody to compare with keeps a random skill. Here it is taken for an average one.
/// - If some worker has fewer than two others to compare with, the number of values to leave out is −1, which in
///   Python leaves only the largest. Here it is 0.
///
/// Every start is the same here, so there is no seed. On real crowds: bluebirds .713 (crowd-kit .713), labelme .773
/// (.767), weather .860 (.860).
///
/// The result's [`Aggregated::worker_columns`] have the `weight`; [`Aggregated::log_likelihood`] is minus what the
/// tolerance bounds. Memory is 16 bytes for every worker and other worker with common tasks; time is
/// Σ (answers of a task)² once, and that memory's entries in every iteration. At most 256 other answers of a task count
/// in this square: in a task of more, an answer is compared with those of the workers next to it in order.
///
/// # Errors
/// [`MethodError::Setting`] for a tolerance that is negative or not a number, or for no iterations.
pub fn mmsr(answers: &Answers, settings: &Mmsr) -> Result<Aggregated, MethodError> {
    let Mmsr {
        iterations,
        tolerance,
        ..
    } = *settings;
    if tolerance.is_nan() || tolerance < 0.0 {
        return Err(MethodError::Setting {
            setting: "tolerance",
            value: tolerance,
            must: "0 or more",
        });
    }
    if iterations == 0 {
        return Err(MethodError::Setting {
            setting: "iterations",
            value: 0.0,
            must: "at least 1",
        });
    }
    let classes = answers.labels().len();
    if classes < 2 {
        return Ok(majority_vote(answers));
    }
    let partners = partners(answers);
    let mut completion = Completion::start(&partners);
    let (history, stop) = completion.run(settings);
    let strengths = completion.strengths();
    let signs = signs(&partners);

    let chance = 1.0 / count_as_f64(classes);
    let counts = answers.worker_counts();
    let skills: Vec<f64> = strengths
        .iter()
        .zip(signs)
        .zip(&counts)
        .map(|((strength, sign), &count)| {
            let error = 1.0 / (f64::from(count) + 1.0).sqrt();
            let lowest = (error - chance / (1.0 - chance)).min(0.0);
            let above_chance = (sign * strength).max(lowest).min(1.0 - error);
            chance + (1.0 - chance) * above_chance
        })
        .collect();
    let weight = |skill: &f64| (skill * (1.0 - chance) / ((1.0 - skill) * chance)).ln();
    let weights: Vec<f64> = skills.iter().map(weight).collect();
    let outcome = softmax(answers, |worker| weights.get(worker).copied());
    Ok(Aggregated {
        history,
        stop,
        worker_columns: vec![("weight", weights)],
        ..voted(answers, outcome, skills)
    })
}

/// Another worker with tasks in common.
#[derive(Debug, Clone, Copy)]
struct Partner {
    worker: u32,
    /// How many answers were compared.
    compared: u32,
    /// How many of them agree, scaled so that 0 is chance and 1 is always.
    agreement: f64,
}

/// For every worker those it can be compared with, sorted.
fn partners(answers: &Answers) -> Vec<Vec<Partner>> {
    let of_worker = positions_by_worker(answers);
    let workers = answers.workers().len();
    let classes = count_as_f64(answers.labels().len());
    (0..workers)
        .into_par_iter()
        .with_min_len(64)
        .map_init(
            || (vec![[0_u32; 2]; workers], Vec::new()),
            |(counts, met), worker| {
                for &(task, position) in of_worker.get(worker).into_iter().flatten() {
                    compare(answers, (task, position), |other, agrees| {
                        if let Some([all, agreeing]) = counts.get_mut(other) {
                            if *all == 0 {
                                met.push(other);
                            }
                            *all += 1;
                            *agreeing += u32::from(agrees);
                        }
                    });
                }
                met.sort_unstable();
                let partner = |other: usize| {
                    let [compared, agreeing] = std::mem::take(counts.get_mut(other)?);
                    let share = f64::from(agreeing) / f64::from(compared);
                    Some(Partner {
                        worker: u32::try_from(other).ok()?,
                        compared,
                        agreement: (classes * share - 1.0) / (classes - 1.0),
                    })
                };
                met.drain(..).filter_map(partner).collect()
            },
        )
        .collect()
}

/// For every worker the task of each of its answers, and the answer's position in the task.
fn positions_by_worker(answers: &Answers) -> Vec<Vec<(usize, usize)>> {
    let counts = answers.worker_counts();
    let mut of_worker: Vec<_> = counts
        .iter()
        .map(|&count| Vec::with_capacity(count as usize))
        .collect();
    for task in 0..answers.tasks().len() {
        for (position, (worker, _)) in answers.of_task(task).enumerate() {
            if let Some(own) = of_worker.get_mut(worker) {
                own.push((task, position));
            }
        }
    }
    of_worker
}

/// Calls `met` with the worker of every answer to compare an answer with, and whether both give the same label.
fn compare(answers: &Answers, (task, position): (usize, usize), mut met: impl FnMut(usize, bool)) {
    let start = |task: usize| {
        answers
            .starts()
            .get(task)
            .map_or(0, |&start| start as usize)
    };
    let own = answers.by_task().get(start(task)..start(task + 1));
    let own = own.unwrap_or_default();
    let pair = |position: usize| answers.names().pairs.get(*own.get(position)? as usize);
    let Some(answer) = pair(position) else {
        return;
    };
    let mut meet = |position: usize| {
        if let Some(other) = pair(position)
            && other.worker != answer.worker
        {
            met(other.worker as usize, other.label == answer.label);
        }
    };
    if own.len() <= COMPARED + 1 {
        (0..own.len()).for_each(meet);
        return;
    }
    // As many before as behind, so that who is compared with whom does not depend on the side.
    for distance in 1..=COMPARED / 2 {
        meet((position + distance) % own.len());
        meet((position + own.len() - distance) % own.len());
    }
}

/// The search for `left` and `right` whose product is the matrix of absolute agreements.
struct Completion<'a> {
    partners: &'a [Vec<Partner>],
    /// How many values are left out of a mean, at most, on each side.
    left_out: usize,
    left: Vec<f64>,
    right: Vec<f64>,
}

impl<'a> Completion<'a> {
    fn start(partners: &'a [Vec<Partner>]) -> Self {
        let compared = partners.iter().map(Vec::len).filter(|&len| len > 0);
        Self {
            partners,
            left_out: (compared.min().unwrap_or(0) / 2).saturating_sub(1),
            left: vec![0.5; partners.len()],
            right: vec![0.5; partners.len()],
        }
    }

    /// Sets each side in turn, until the product rests. Gives minus the distances that it moved.
    fn run(&mut self, settings: &Mmsr) -> (Vec<f64>, StopReason) {
        let mut history = Vec::new();
        for _ in 0..settings.iterations {
            let right = self.fit(&self.left, &self.right);
            let left = self.fit(&right, &self.left);
            let moved =
                distance([&left, &right], [&self.left, &self.right]) / (norm(&left) * norm(&right));
            (self.left, self.right) = (left, right);
            history.push(-moved);
            settings.progress.tell(&history, settings.iterations);
            if moved < settings.tolerance {
                return (history, StopReason::Converged);
            }
        }
        (history, StopReason::IterationLimit)
    }

    /// For every worker the mean of |agreement| / `other`, without values that are farthest from what it is now.
    fn fit(&self, other: &[f64], now: &[f64]) -> Vec<f64> {
        let mean = |values: &mut Vec<f64>, (partners, &now): (&Vec<Partner>, &f64)| {
            let value = |partner: &Partner| {
                Some(partner.agreement.abs() / other.get(partner.worker as usize)?)
            };
            values.clear();
            values.extend(partners.iter().filter_map(value));
            let below = values.iter().filter(|&&value| value < now).count();
            let above = values.iter().filter(|&&value| value > now).count();
            let kept = middle(values, self.left_out.min(below), self.left_out.min(above));
            let sum: f64 = kept.iter().sum();
            if kept.is_empty() {
                now
            } else {
                // Nobody's agreement is known better than this, and nothing may be divided by zero.
                (sum / count_as_f64(kept.len())).max(1e-9)
            }
        };
        self.partners
            .par_iter()
            .zip(now)
            .with_min_len(64)
            .map_init(Vec::new, mean)
            .collect()
    }

    /// How far every worker's accuracy is from chance; the mean for those without a partner.
    fn strengths(&self) -> Vec<f64> {
        // Only the product is determined: both sides get the same norm.
        let scale = (norm(&self.right) / norm(&self.left)).sqrt();
        let mut strengths: Vec<f64> = self.left.iter().map(|value| value * scale).collect();
        let known = |(partners, _): &(&Vec<Partner>, &f64)| !partners.is_empty();
        let (mut sum, mut all) = (0.0, 0_usize);
        for (_, strength) in self.partners.iter().zip(&strengths).filter(known) {
            sum += strength;
            all += 1;
        }
        for (strength, partners) in strengths.iter_mut().zip(self.partners) {
            if partners.is_empty() && all > 0 {
                *strength = sum / count_as_f64(all);
            }
        }
        strengths
    }
}

/// The values without so many of the smallest and of the largest.
fn middle(values: &mut [f64], smallest: usize, largest: usize) -> &[f64] {
    let end = values.len().saturating_sub(largest);
    if smallest >= end {
        return &[];
    }
    if end < values.len() {
        values.select_nth_unstable_by(end, f64::total_cmp);
    }
    let (kept, _) = values.split_at_mut(end);
    if smallest > 0 {
        kept.select_nth_unstable_by(smallest, f64::total_cmp);
    }
    kept.get(smallest..).unwrap_or_default()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The Frobenius norm of the difference of two rank-one matrices, without the loss of taking it apart by squares.
fn distance([left, right]: [&[f64]; 2], [old_left, old_right]: [&[f64]; 2]) -> f64 {
    let difference = |new: &[f64], old: &[f64]| -> Vec<f64> {
        new.iter().zip(old).map(|(new, old)| new - old).collect()
    };
    let by_left = difference(left, old_left);
    let by_right = difference(right, old_right);
    let square = dot(&by_left, &by_left) * dot(right, right)
        + 2.0 * dot(&by_left, old_left) * dot(right, &by_right)
        + dot(old_left, old_left) * dot(&by_right, &by_right);
    square.max(0.0).sqrt()
}

/// How often the signs' vector is multiplied, at most.
const MULTIPLICATIONS: usize = 500;

/// Whether every worker is rather right (1) or wrong (−1): the signs of the leading eigenvector of agreements, by the
/// power method. It starts from everybody being right, so of a vector and its negative it finds the one that is
/// right on the whole.
fn signs(partners: &[Vec<Partner>]) -> Vec<f64> {
    let evidence = |partner: &Partner| f64::from(partner.compared) * partner.agreement;
    let mut vector = vec![1.0; partners.len()];
    for _ in 0..MULTIPLICATIONS {
        let product: Vec<f64> = partners
            .par_iter()
            .zip(&vector)
            .with_min_len(64)
            .map(|(partners, own)| {
                let (mut sum, mut all) = (0.0, 0.0);
                for partner in partners {
                    let evidence = evidence(partner);
                    sum += evidence * vector.get(partner.worker as usize).copied().unwrap_or(0.0);
                    all += evidence.abs();
                }
                // The own value keeps the power method from swinging between two vectors.
                own + if all > 0.0 { sum / all } else { *own }
            })
            .collect();
        let largest = product
            .iter()
            .fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if largest <= 0.0 {
            break;
        }
        let mut moved: f64 = 0.0;
        for (value, product) in vector.iter_mut().zip(product) {
            moved = moved.max((*value - product / largest).abs());
            *value = product / largest;
        }
        if moved < 1e-9 {
            break;
        }
    }
    let sign = |value: f64| if value < 0.0 { -1.0 } else { 1.0 };
    vector.into_iter().map(sign).collect()
}
