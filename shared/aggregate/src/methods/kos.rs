//! KOS (Karger, Oh and Shah 2011, 2014): tasks and workers send each other messages, in the manner of belief
//! propagation.
//!
//! For two labels, +1 and −1. A task's message to a worker is what its other workers say, weighted by their
//! reliability; a worker's message to a task, its reliability, is how well it agrees with what its other tasks say.
//! In the end, workers vote, weighted by their messages.

use crate::aggregated::{Aggregated, StopReason};
use crate::answers::{Answers, count_as_f64};
use crate::methods::majority_vote::vote_shares;
use crate::methods::summary::{mean_of_own_answers, mean_row};
use crate::random::RandomState;
use crate::{MethodError, Mode, Progress};

/// Settings of [`kos()`].
///
/// # The default mode
///
/// The paper supposes that each worker has equally many tasks. Where that is not so, sums of messages grow with a
/// worker's tasks until a few busy workers decide everything. So a worker's message is the *mean* over its other
/// tasks here, which is the same but for a constant in the paper's case. Messages start at 1 and are scaled after
/// every iteration, and ten iterations are made; more make no crowd better that was tried. As turning all signs
/// around changes nothing for the messages, the signs are taken that agree with the majority vote on more tasks.
/// Accuracy on bluebirds 0.722 (crowd-kit 0.722); on the RTE crowd of Snow et al. (2008) 0.918 (crowd-kit 0.498, as
/// good as chance).
///
/// # crowd-kit's mode
///
/// The same labels as crowd-kit's `KOS`: messages start at random, from numpy's `RandomState(seed)` in the order in
/// which answers were added; the first answer's label is +1; sums of messages are not scaled, and iteration stops
/// when one exceeds 10³⁰⁰. Where messages cancel out, crowd-kit fails; here, as in the default mode, the majority
/// decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kos {
    /// So many iterations; `None` for 10 in the default mode, 100 in [`Mode::CrowdKit`].
    pub iterations: Option<usize>,
    /// The seed of the random start; only used in [`Mode::CrowdKit`].
    pub seed: u32,
    /// The rules to follow.
    pub mode: Mode,
    /// Who is told of every iteration.
    pub progress: Progress,
}

/// Finds labels by messages between tasks and workers.
///
/// A label's probability is its share of the weight of all messages to the task; it is not calibrated, the method
/// knows no probabilities. A skill is the mean probability of the worker's answers, and
/// [`Aggregated::worker_columns`] has `reliability`, the mean of the worker's messages, scaled so that the mean square
/// of all messages is 1; it is negative for workers who are mostly wrong. KOS maximises nothing:
/// [`Aggregated::log_likelihood`] has minus the mean square by which an iteration changed the scaled messages.
///
/// # Errors
/// [`MethodError::NotBinary`] unless there are two labels.
pub fn kos(answers: &Answers, settings: &Kos) -> Result<Aggregated, MethodError> {
    let labels = answers.labels().len();
    if labels != 2 {
        return Err(MethodError::NotBinary {
            method: "KOS",
            labels,
        });
    }
    let graph = Graph::new(answers);
    let mut messages = match settings.mode {
        Mode::Default => vec![1.0; answers.len()],
        Mode::CrowdKit => random_messages(answers, settings.seed),
    };
    let limit = settings.iterations.unwrap_or(match settings.mode {
        Mode::Default => 10,
        Mode::CrowdKit => 100,
    });
    let mut history = Vec::new();
    let mut last = scaled(&messages);
    for _ in 0..limit {
        let Some(next) = graph.exchange(&messages, settings.mode) else {
            break;
        };
        let scaled = scaled(&next);
        messages = match settings.mode {
            Mode::Default => scaled.clone(),
            Mode::CrowdKit => next,
        };
        let squares = scaled
            .iter()
            .zip(&last)
            .map(|(new, old)| (new - old).powi(2));
        history.push(-squares.sum::<f64>() / count_as_f64(answers.len()));
        settings.progress.tell(&history, limit);
        last = scaled;
    }
    if settings.mode == Mode::Default && graph.disagrees_with_majority(&last) {
        last.iter_mut().for_each(|message| *message = -*message);
    }
    Ok(graph.decide(&last, history))
}

/// A sum of messages beyond this ends crowd-kit's iterations.
const CROWD_KIT_LIMIT: f64 = 1e300;

/// 1 plus a normal number for every answer.
fn random_messages(answers: &Answers, seed: u32) -> Vec<f64> {
    let mut random = RandomState::new(seed);
    let drawn: Vec<f64> = (0..answers.len()).map(|_| 1.0 + random.normal()).collect();
    let rows = answers.rows().iter();
    rows.map(|&row| drawn.get(row as usize).copied().unwrap_or_default())
        .collect()
}

/// Messages with mean square 1; all 0 if they are.
fn scaled(messages: &[f64]) -> Vec<f64> {
    // Messages may be so large that their squares are not finite.
    let largest = messages
        .iter()
        .fold(0.0, |largest: f64, message| largest.max(message.abs()));
    if largest <= 0.0 {
        return messages.to_vec();
    }
    let squares: f64 = messages
        .iter()
        .map(|message| (message / largest).powi(2))
        .sum();
    let scale = (squares / count_as_f64(messages.len())).sqrt() * largest;
    messages.iter().map(|message| message / scale).collect()
}

/// The answers as signed edges between tasks and workers.
struct Graph<'a> {
    answers: &'a Answers,
    /// The sign of every answer: + for the second label.
    signs: Vec<f64>,
    /// The worker of every answer.
    workers: Vec<u32>,
    /// The share of the second label among each task's answers.
    votes: Vec<f64>,
    /// The number of answers of every worker.
    counts: Vec<u32>,
}

impl<'a> Graph<'a> {
    fn new(answers: &'a Answers) -> Self {
        let pair = |&pair: &u32| answers.names().pairs.get(pair as usize);
        let pairs = || answers.by_task().iter().filter_map(pair);
        Self {
            answers,
            signs: pairs()
                .map(|pair| if pair.label == 1 { 1.0 } else { -1.0 })
                .collect(),
            workers: pairs().map(|pair| pair.worker).collect(),
            votes: vote_shares(answers)
                .iter()
                .skip(1)
                .step_by(2)
                .copied()
                .collect(),
            counts: answers.worker_counts(),
        }
    }

    /// One iteration; `None` if a sum is too large for crowd-kit.
    fn exchange(&self, messages: &[f64], mode: Mode) -> Option<Vec<f64>> {
        let fits = |sums: &[f64]| {
            mode == Mode::Default || sums.iter().all(|sum| sum.abs() <= CROWD_KIT_LIMIT)
        };
        let signed: Vec<f64> = self.signed(messages).collect();
        let sums: Vec<f64> = self.by_task(&signed).map(|own| own.iter().sum()).collect();
        if !fits(&sums) {
            return None;
        }
        // What the others say of the task, seen from the worker's own answer.
        let others = self.by_task(&signed).zip(&sums);
        let of_tasks: Vec<f64> = others
            .flat_map(|(own, sum)| own.iter().map(move |message| sum - message))
            .zip(&self.signs)
            .map(|(message, sign)| message * sign)
            .collect();
        let mut sums = vec![0.0; self.counts.len()];
        for (message, &worker) in of_tasks.iter().zip(&self.workers) {
            if let Some(sum) = sums.get_mut(worker as usize) {
                *sum += message;
            }
        }
        if !fits(&sums) {
            return None;
        }
        let of_workers = of_tasks
            .iter()
            .zip(&self.workers)
            .map(|(message, &worker)| {
                let sum = sums.get(worker as usize).copied().unwrap_or_default();
                let count = self.counts.get(worker as usize).copied().unwrap_or(1);
                match mode {
                    Mode::CrowdKit => sum - message,
                    // A worker with no other task is of unknown reliability.
                    Mode::Default if count == 1 => 0.0,
                    Mode::Default => (sum - message) / f64::from(count - 1),
                }
            });
        Some(of_workers.collect())
    }

    /// What messages say of the second label.
    fn signed(&self, messages: &[f64]) -> impl Iterator<Item = f64> {
        messages
            .iter()
            .zip(&self.signs)
            .map(|(message, sign)| message * sign)
    }

    /// The part of a table of answers that belongs to each task.
    fn by_task<'b>(&self, table: &'b [f64]) -> impl Iterator<Item = &'b [f64]> {
        self.answers.starts().windows(2).map(|bounds| match bounds {
            &[start, end] => table.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        })
    }

    /// Whether more tasks are decided against their majority than for it.
    fn disagrees_with_majority(&self, messages: &[f64]) -> bool {
        let signed: Vec<f64> = self.signed(messages).collect();
        let agreement = self.by_task(&signed).zip(&self.votes).map(|(own, vote)| {
            let product = own.iter().sum::<f64>() * (vote - 0.5);
            i64::from(product > 0.0) - i64::from(product < 0.0)
        });
        agreement.sum::<i64>() < 0
    }

    /// Lets workers vote with their messages.
    fn decide(&self, messages: &[f64], history: Vec<f64>) -> Aggregated {
        let signed: Vec<f64> = self.signed(messages).collect();
        let second = self.by_task(&signed).zip(&self.votes).map(|(own, &vote)| {
            let score: f64 = own.iter().sum();
            let weight: f64 = own.iter().map(|message| message.abs()).sum();
            if score.abs() > 0.0 {
                0.5 + 0.5 * score / weight
            } else {
                vote
            }
        });
        let probabilities: Vec<f64> = second.flat_map(|second| [1.0 - second, second]).collect();
        let mut reliability = vec![0.0; self.counts.len()];
        for (message, &worker) in messages.iter().zip(&self.workers) {
            if let Some(sum) = reliability.get_mut(worker as usize) {
                *sum += message;
            }
        }
        for (sum, &count) in reliability.iter_mut().zip(&self.counts) {
            *sum /= f64::from(count);
        }
        Aggregated {
            priors: mean_row(&probabilities, 2),
            skills: mean_of_own_answers(self.answers, &probabilities),
            probabilities,
            history,
            stop: StopReason::IterationLimit,
            worker_columns: vec![("reliability", reliability)],
            ..Aggregated::of(self.answers)
        }
    }
}
