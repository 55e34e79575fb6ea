//! How often answers agree with decided labels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::methods::majority_vote::tallies;
use crate::{Aggregated, Answers, GoldTally};

/// The share of answers that equal the label of their task: crowd-kit's `accuracy_on_aggregates`.
///
/// right answers / answers, over all distinct answers (the same one given twice counts once) to tasks that are in
/// `found`; between 0 and 1. `found` may come from other answers: tasks and labels are matched by name. `None` if
/// there is no such answer.
#[must_use]
pub fn accuracy(answers: &Answers, found: &Aggregated) -> Option<f64> {
    let tallies = by_worker(answers, found);
    let [answered, right] = tallies.iter().fold([0_u64; 2], |[answered, right], tally| {
        [
            answered + u64::from(tally.answered),
            right + u64::from(tally.right),
        ]
    });
    #[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
    (answered > 0).then(|| right as f64 / answered as f64)
}

/// [`accuracy()`] of every worker's answers, in the order of [`Answers::workers`]; `None` for a worker without an answer
/// to a task that is in `found`. crowd-kit's `accuracy_on_aggregates(by='worker')`.
#[must_use]
pub fn accuracy_by_worker(answers: &Answers, found: &Aggregated) -> Vec<Option<f64>> {
    let tallies = by_worker(answers, found).into_iter();
    tallies.map(GoldTally::accuracy).collect()
}

/// [`accuracy()`] of every task's answers, in the order of [`Answers::tasks`]; `None` for a task that is not in `found`.
/// crowd-kit's `accuracy_on_aggregates(by='task')`.
#[must_use]
pub fn accuracy_by_task(answers: &Answers, found: &Aggregated) -> Vec<Option<f64>> {
    let of_task = |(task, decided): (usize, Option<usize>)| {
        let decided = decided?;
        let mut tally = GoldTally::default();
        let mut previous = None;
        for answer in answers.of_task(task) {
            // Answers are sorted, so the same ones are neighbours.
            if previous.replace(answer) != Some(answer) {
                tally.answered += 1;
                tally.right += u32::from(answer.1 == decided);
            }
        }
        tally.accuracy()
    };
    let decided = decided(answers, found).into_iter();
    decided.enumerate().map(of_task).collect()
}

fn by_worker(answers: &Answers, found: &Aggregated) -> Vec<GoldTally> {
    let decided = decided(answers, found);
    tallies(answers, |task| decided.get(task).copied().flatten())
}

/// The label of every task as an index among the labels of `answers`; `None` for a task that is not in `found`. A
/// label that is none of the answers' has an index that no answer has.
pub(super) fn decided(answers: &Answers, found: &Aggregated) -> Vec<Option<usize>> {
    if Arc::ptr_eq(answers.names(), &found.names) {
        return (0..answers.tasks().len())
            .map(|task| found.label_index(task))
            .collect();
    }
    let index: HashMap<&str, usize> = answers.labels().iter().zip(0..).collect();
    let labels: HashMap<&str, &str> = found
        .decisions()
        .map(|(task, label, _)| (task, label))
        .collect();
    let of_task = |task: &str| {
        let label = labels.get(task)?;
        Some(index.get(label).copied().unwrap_or(index.len()))
    };
    answers.tasks().iter().map(of_task).collect()
}
