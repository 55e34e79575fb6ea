//! Majority vote: every answer has one vote.

use std::sync::Arc;

use crate::aggregated::{Aggregated, StopReason, arg_max};
use crate::answers::{Answers, count_as_f64};

/// Decides every task for the label with the most answers; the smallest label wins a tie.
///
/// A label's probability is its share of the task's answers, the priors are the mean of these, and a worker's skill
/// is the share of its answers that agree with the decision (the same answer given twice counts once), as in
/// crowd-kit's `MajorityVote`.
#[must_use]
pub fn majority_vote(answers: &Answers) -> Aggregated {
    let classes = answers.labels().len();
    let probabilities = vote_shares(answers);
    let mut priors = vec![0.0; classes];
    for row in probabilities.chunks_exact(classes) {
        for (prior, share) in priors.iter_mut().zip(row) {
            *prior += share;
        }
    }
    let tasks = count_as_f64(answers.tasks().len());
    for prior in &mut priors {
        *prior /= tasks;
    }
    Aggregated {
        skills: agreement(answers, &probabilities),
        worker_answers: answers.worker_counts(),
        names: Arc::clone(answers.names()),
        probabilities,
        priors,
        confusion: None,
        history: Vec::new(),
        stop: StopReason::Direct,
        worker_columns: Vec::new(),
        task_columns: Vec::new(),
        temperature: None,
        majority: Vec::new(),
        warnings: Vec::new(),
    }
}

/// The share of every label among a task's answers: tasks × labels.
pub(crate) fn vote_shares(answers: &Answers) -> Vec<f64> {
    let classes = answers.labels().len();
    let mut shares = vec![0.0; answers.tasks().len() * classes];
    for (task, row) in shares.chunks_exact_mut(classes).enumerate() {
        let mut votes = 0.0;
        for (_, label) in answers.of_task(task) {
            if let Some(share) = row.get_mut(label) {
                *share += 1.0;
                votes += 1.0;
            }
        }
        for share in row {
            *share /= votes;
        }
    }
    shares
}

/// The share of every worker's distinct answers that equal the most probable label.
fn agreement(answers: &Answers, probabilities: &[f64]) -> Vec<f64> {
    let mut tallies = vec![(0.0, 0.0); answers.workers().len()];
    for (task, row) in probabilities
        .chunks_exact(answers.labels().len())
        .enumerate()
    {
        let decided = arg_max(row);
        let mut previous = None;
        for answer in answers.of_task(task) {
            // Answers are sorted, so duplicates are neighbours.
            if previous.replace(answer) == Some(answer) {
                continue;
            }
            if let Some((right, all)) = tallies.get_mut(answer.0) {
                *all += 1.0;
                *right += f64::from(u8::from(answer.1 == decided));
            }
        }
    }
    tallies
        .into_iter()
        .map(|(right, all)| right / all)
        .collect()
}
