//! What methods say about classes and workers, if all that they find are probabilities.

use crate::answers::{Answers, count_as_f64};
use crate::methods::blocks::add;

/// The mean row of a table: the share of every class.
pub(crate) fn mean_row(probabilities: &[f64], classes: usize) -> Vec<f64> {
    let rows = probabilities.chunks_exact(classes);
    let count = count_as_f64(rows.len());
    let mut mean = vec![0.0; classes];
    for row in rows {
        add(&mut mean, row);
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}

/// For every worker the mean probability of the labels that it gave.
pub(crate) fn mean_of_own_answers(answers: &Answers, probabilities: &[f64]) -> Vec<f64> {
    let rows = probabilities.chunks_exact(answers.labels().len());
    let mut sums = vec![0.0; answers.workers().len()];
    for (task, row) in rows.enumerate() {
        for (worker, label) in answers.of_task(task) {
            if let (Some(sum), Some(probability)) = (sums.get_mut(worker), row.get(label)) {
                *sum += probability;
            }
        }
    }
    for (sum, count) in sums.iter_mut().zip(answers.worker_counts()) {
        *sum /= f64::from(count);
    }
    sums
}
