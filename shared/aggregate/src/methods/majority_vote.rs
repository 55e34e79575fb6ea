//! Votes: every answer has one, or as many as its worker's skill says.
//!
//! Sums of votes carry the rounding error along, so they do not depend on the order of workers: a tie is a tie
//! however workers are called. Blocks of tasks are counted in parallel; a block's result does not depend on the
//! thread that counts it, and blocks are put together in order.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::aggregated::Aggregated;
use crate::answers::{Answers, count_as_f64};
use crate::methods::blocks::add;
use crate::{GoldTally, MethodError};

/// How skilled workers are, and so how much their votes weigh: worker → skill.
pub type Skills = BTreeMap<String, f64>;

/// What to do with answers of workers whose skill is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum MissingSkill {
    /// [`MethodError::MissingSkill`].
    #[default]
    Reject,
    /// They do not vote; [`MethodError::NoVotes`] if that leaves a task without any.
    Ignore,
    /// They have this skill.
    Value(f64),
}

/// Settings of [`weighted_majority_vote`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WeightedMajorityVote {
    /// The weight of every worker's votes, at least 0. Only ratios matter. Workers without answers do not matter.
    pub skills: Skills,
    /// What to do with workers who are not in `skills`.
    pub missing: MissingSkill,
}

/// Decides every task for the label with the most answers; the smallest label wins a tie.
///
/// A label's probability is its share of the task's answers, the priors are the mean of these, and a worker's skill
/// is the share of its answers that agree with the decision (the same answer given twice counts once), as in
/// crowd-kit's `MajorityVote`.
#[must_use]
pub fn majority_vote(answers: &Answers) -> Aggregated {
    let skills = agreement(answers, |_| Some(1.0));
    voted(answers, shares(answers, |_| Some(1.0)), skills)
}

/// Decides every task for the label whose answers' workers have the largest sum of skills; the smallest label wins a
/// tie.
///
/// A label's probability is its share of that sum. Priors and skills in the result are those of [`majority_vote()`]
/// for these decisions: agreement, not the weights that were given. The rules are those of crowd-kit's
/// `MajorityVote` with `skills`, but where all voters of a task have skill 0: crowd-kit divides by zero and gives no
/// label, here they vote with equal weights.
///
/// # Errors
/// [`MethodError::MissingSkill`] and [`MethodError::NoVotes`] as [`MissingSkill`] says, [`MethodError::Setting`] for
/// a skill that is negative, larger than 10¹² or not a number.
pub fn weighted_majority_vote(
    answers: &Answers,
    settings: &WeightedMajorityVote,
) -> Result<Aggregated, MethodError> {
    let weights = weights(answers, settings)?;
    let weight = |worker: usize| weights.get(worker).copied().flatten();
    let skills = agreement(answers, weight);
    Ok(voted(answers, shares(answers, weight), skills))
}

/// The weight of every worker; one who does not vote has none.
fn weights(
    answers: &Answers,
    settings: &WeightedMajorityVote,
) -> Result<Vec<Option<f64>>, MethodError> {
    let default = match settings.missing {
        MissingSkill::Value(value) => Some(check(value)?),
        MissingSkill::Reject | MissingSkill::Ignore => None,
    };
    let mut weights = Vec::with_capacity(answers.workers().len());
    for worker in answers.workers() {
        let weight = match settings.skills.get(worker) {
            Some(&skill) => Some(check(skill)?),
            None => default,
        };
        if weight.is_none() && settings.missing == MissingSkill::Reject {
            let worker = worker.to_string();
            return Err(MethodError::MissingSkill { worker });
        }
        weights.push(weight);
    }
    for (index, task) in answers.tasks().iter().enumerate() {
        let mut of_task = answers.of_task(index);
        if !of_task.any(|(worker, _)| weights.get(worker).is_some_and(Option::is_some)) {
            let task = task.to_string();
            return Err(MethodError::NoVotes { task });
        }
    }
    Ok(weights)
}

fn check(skill: f64) -> Result<f64, MethodError> {
    if (0.0..=1e12).contains(&skill) {
        return Ok(skill);
    }
    Err(MethodError::Setting {
        setting: "a worker's skill",
        value: skill,
        must: "between 0 and 10^12",
    })
}
/// Tasks that are counted as one: the unit of parallel work.
const BLOCK: usize = 1 << 12;

/// The share of every label among a task's answers: tasks × labels.
pub(crate) fn vote_shares(answers: &Answers) -> Vec<f64> {
    shares(answers, |_| Some(1.0)).probabilities
}

/// A table of probabilities and the means of its columns.
pub(crate) struct Outcome {
    /// Tasks × labels.
    probabilities: Vec<f64>,
    priors: Vec<f64>,
}

/// The share of every label among a task's votes: tasks × labels. A worker without a weight does not vote; one who
/// does must be at every task.
pub(crate) fn shares(answers: &Answers, weight: impl Fn(usize) -> Option<f64> + Sync) -> Outcome {
    outcome(answers, |ballot, task, row| {
        ballot.count(answers, task, &weight, |label, share| {
            if let Some(sum) = row.get_mut(label) {
                *sum += share;
            }
        });
    })
}

/// The softmax of the sums of the votes, which may be negative: tasks × labels.
pub(crate) fn softmax(answers: &Answers, weight: impl Fn(usize) -> Option<f64> + Sync) -> Outcome {
    outcome(answers, |ballot, task, row| {
        ballot.add(answers, task, &weight);
        for (_, label) in answers.of_task(task) {
            if let Some(sum) = row.get_mut(label) {
                *sum += ballot.take(label);
            }
        }
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for value in &mut *row {
            *value = (*value - largest).exp();
        }
        let sum: f64 = row.iter().sum();
        for value in row {
            *value /= sum;
        }
    })
}

/// Fills a table of tasks × labels, block by block, and takes the means of its columns.
fn outcome(answers: &Answers, fill: impl Fn(&mut Ballot, usize, &mut [f64]) + Sync) -> Outcome {
    let classes = answers.labels().len();
    let tasks = answers.tasks().len();
    let mut probabilities = vec![0.0; tasks * classes];
    let blocks: Vec<Vec<f64>> = probabilities
        .par_chunks_mut(BLOCK * classes)
        .enumerate()
        .map(|(block, rows)| {
            let mut ballot = Ballot::new(classes);
            let mut sums = vec![0.0; classes];
            for (row, task) in rows.chunks_exact_mut(classes).zip(block * BLOCK..) {
                fill(&mut ballot, task, row);
                add(&mut sums, row);
            }
            sums
        })
        .collect();
    let mut priors = vec![0.0; classes];
    for sums in blocks {
        add(&mut priors, &sums);
    }
    for prior in &mut priors {
        *prior /= count_as_f64(tasks);
    }
    Outcome {
        probabilities,
        priors,
    }
}

/// The label that wins every task: the first maximum of [`shares`], without a table of them.
pub(crate) fn winners(
    answers: &Answers,
    weight: impl Fn(usize) -> Option<f64> + Sync,
) -> Vec<usize> {
    let mut winners = vec![0; answers.tasks().len()];
    winners
        .par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(block, winners)| {
            let mut ballot = Ballot::new(answers.labels().len());
            for (winner, task) in winners.iter_mut().zip(block * BLOCK..) {
                let mut best = 0.0;
                ballot.count(answers, task, &weight, |label, share| {
                    if share > best || (share >= best && label < *winner) {
                        (best, *winner) = (share, label);
                    }
                });
            }
        });
    winners
}

/// Counts votes, one task at a time.
struct Ballot {
    /// The votes for every label; zero in between.
    sums: Vec<Sum>,
}

impl Ballot {
    fn new(classes: usize) -> Self {
        Self {
            sums: vec![Sum::default(); classes],
        }
    }

    /// Gives the share of every label that was answered, at the first of its answers; at others, a share of 0.
    fn count(
        &mut self,
        answers: &Answers,
        task: usize,
        weight: impl Fn(usize) -> Option<f64>,
        mut share: impl FnMut(usize, f64),
    ) {
        let mut total = self.add(answers, task, &weight);
        if total <= 0.0 {
            total = self.add(answers, task, |worker| weight(worker).map(|_| 1.0));
        }
        for (_, label) in answers.of_task(task) {
            share(label, self.take(label) / total);
        }
    }

    /// The votes for a label, which are then zero again.
    fn take(&mut self, label: usize) -> f64 {
        self.sums
            .get_mut(label)
            .map_or(0.0, |sum| std::mem::take(sum).value())
    }

    /// Adds a task's votes, and gives the sum of all of them.
    fn add(
        &mut self,
        answers: &Answers,
        task: usize,
        weight: impl Fn(usize) -> Option<f64>,
    ) -> f64 {
        let mut total = Sum::default();
        for (worker, label) in answers.of_task(task) {
            if let (Some(weight), Some(sum)) = (weight(worker), self.sums.get_mut(label)) {
                sum.add(weight);
                total.add(weight);
            }
        }
        total.value()
    }
}

/// A sum with the rounding error that it has lost (Knuth's two-sum), so that the order of addends does not matter.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    rounded: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, addend: f64) {
        let sum = self.rounded + addend;
        let added = sum - self.rounded;
        self.lost += (self.rounded - (sum - added)) + (addend - added);
        self.rounded = sum;
    }

    fn value(self) -> f64 {
        self.rounded + self.lost
    }
}

/// How many distinct answers every worker gave to tasks with a true label, and how many equal it: the counts of
/// crowd-kit's `get_accuracy`, for which the same answer given twice is one. A true label that is none of the
/// answers' labels makes every answer wrong.
pub(crate) fn tallies(
    answers: &Answers,
    truth: impl Fn(usize) -> Option<usize> + Sync,
) -> Vec<GoldTally> {
    let empty = || vec![GoldTally::default(); answers.workers().len()];
    (0..answers.tasks().len())
        .into_par_iter()
        .with_min_len(BLOCK)
        .fold(empty, |mut tallies, task| {
            if let Some(truth) = truth(task) {
                // Answers are sorted, so the same ones are neighbours.
                let mut previous = None;
                for (worker, label) in answers.of_task(task) {
                    if previous.replace((worker, label)) != Some((worker, label))
                        && let Some(tally) = tallies.get_mut(worker)
                    {
                        tally.answered += 1;
                        tally.right += u32::from(label == truth);
                    }
                }
            }
            tallies
        })
        // Whole numbers: the order does not matter.
        .reduce(empty, |mut tallies, others| {
            for (tally, other) in tallies.iter_mut().zip(others) {
                tally.answered += other.answered;
                tally.right += other.right;
            }
            tallies
        })
}

/// The share of every worker's distinct answers that equal the label that wins the vote.
pub(crate) fn agreement(
    answers: &Answers,
    weight: impl Fn(usize) -> Option<f64> + Sync,
) -> Vec<f64> {
    let winners = winners(answers, weight);
    // Every worker has an answer, and every task is decided.
    tallies(answers, |task| winners.get(task).copied())
        .into_iter()
        .map(|tally| tally.accuracy().unwrap_or_default())
        .collect()
}

/// The outcome of a vote, with skills.
pub(crate) fn voted(answers: &Answers, outcome: Outcome, skills: Vec<f64>) -> Aggregated {
    Aggregated {
        probabilities: outcome.probabilities,
        priors: outcome.priors,
        skills,
        ..Aggregated::of(answers)
    }
}
