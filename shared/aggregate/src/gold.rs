//! Known answers: which labels are right, and how workers did on them.

use std::collections::BTreeMap;

use crate::Answers;

/// Tasks whose right label is known: task → label.
pub type Gold = BTreeMap<String, String>;

/// The known label of an answered task is none of the labels of the answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the known label {label:?} of task {task:?} is none of the labels of the answers; give all labels up front"
)]
pub struct UnknownGoldLabel {
    /// The task.
    pub task: String,
    /// Its known label.
    pub label: String,
}

/// The known label index of every task; tasks in `gold` that nobody answered are left out.
pub(crate) fn known_labels(
    answers: &Answers,
    gold: &Gold,
) -> Result<Vec<Option<u32>>, UnknownGoldLabel> {
    let index: BTreeMap<&str, u32> = (0..)
        .zip(answers.labels())
        .map(|(index, label)| (label, index))
        .collect();
    answers
        .tasks()
        .iter()
        .map(|task| {
            let Some(label) = gold.get(task) else {
                return Ok(None);
            };
            let known = index.get(label.as_str()).copied();
            known.map(Some).ok_or_else(|| UnknownGoldLabel {
                task: task.to_string(),
                label: label.clone(),
            })
        })
        .collect()
}

/// How a worker did on the tasks whose label is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GoldTally {
    /// Answers on tasks with a known label.
    pub answered: u32,
    /// Those that gave the known label.
    pub right: u32,
}

impl GoldTally {
    /// The share of right answers, `None` without any answer.
    #[must_use]
    pub fn accuracy(self) -> Option<f64> {
        (self.answered > 0).then(|| f64::from(self.right) / f64::from(self.answered))
    }
}

/// How every worker did on the known labels, in the order of [`Answers::workers`].
///
/// Tasks that nobody answered do not matter, and a known label that nobody gave just makes every answer wrong.
#[must_use]
pub fn gold_tallies(answers: &Answers, gold: &Gold) -> Vec<GoldTally> {
    let mut tallies = vec![GoldTally::default(); answers.workers().len()];
    for (index, task) in answers.tasks().iter().enumerate() {
        let Some(known) = gold.get(task) else {
            continue;
        };
        for (worker, label) in answers.of_task(index) {
            if let Some(tally) = tallies.get_mut(worker) {
                tally.answered += 1;
                tally.right += u32::from(
                    answers
                        .labels()
                        .get(label)
                        .is_some_and(|label| label == known),
                );
            }
        }
    }
    tallies
}
