//! The answers of a crowd in memory: interned ids, grouped by task.
//!
//! An answer is stored as one `u32`: the index of its *pair*, an observed (worker, label) combination. Pairs are
//! sorted by worker, then label, so a worker's pairs are neighbours and a method needs tables only for what was
//! observed, not for every worker × label × label. Resident size: 8 bytes an answer, 4 a task, 8 a pair, and 8 an id
//! with its text; while building, 8 bytes an answer and a table of hashes more. 10⁸ answers to 2·10⁷ tasks take 1.3 GB
//! in the end, and at most 2.3 GB on the way there from a file.

mod builder;
mod ids;
mod interner;

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::TooLarge;
use crate::size::check_size;

pub use builder::AnswersBuilder;
pub(crate) use builder::RawAnswer;
pub use ids::{Ids, IdsIter};

/// What is wrong with an answer, or with all of them together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswersError {
    /// The task, the worker or the label of an answer is the empty text.
    #[error("the {what} is empty")]
    Empty {
        /// `task`, `worker` or `label`.
        what: &'static str,
    },
    /// The task, the worker or the label of an answer is not UTF-8.
    #[error("the {what} is not UTF-8")]
    NotUtf8 {
        /// `task`, `worker` or `label`.
        what: &'static str,
    },
    /// The labels were given up front and this is none of them.
    #[error("label {label:?} is not one of the labels {}", list(.labels))]
    UnknownLabel {
        /// The label of the answer.
        label: String,
        /// The labels that were given.
        labels: Vec<String>,
    },
    /// There is no answer at all, so there is nothing to decide.
    #[error("there are no answers: nothing to aggregate")]
    NoAnswers,
    /// More answers, or more distinct tasks, workers or labels, than 32 bits can count.
    #[error("too many {what}s: at most {} are supported", u32::MAX)]
    TooMany {
        /// What there is too much of: `answer`, `task`, `worker` or `label`.
        what: &'static str,
    },
    /// The table of probabilities, tasks × labels, would be too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// The first labels of a list, quoted, for a message.
fn list(labels: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = labels
        .iter()
        .take(SHOWN)
        .map(|label| format!("{label:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    if labels.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// An observed combination of a worker and a label that it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) worker: u32,
    pub(crate) label: u32,
}

impl Hash for Pair {
    /// As one number, which is faster than as two.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.worker) << u32::BITS | u64::from(self.label));
    }
}

/// What answers and their aggregation share: the ids in order, and the observed pairs.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) tasks: Ids,
    pub(crate) workers: Ids,
    pub(crate) labels: Ids,
    /// Sorted by worker, then label.
    pub(crate) pairs: Vec<Pair>,
    /// Where each worker's pairs start: one more than there are workers.
    worker_starts: Vec<u32>,
    /// For every worker, and for every label, how many others appeared before it. crowd-kit's draws of random numbers
    /// depend on it.
    pub(crate) worker_appearance: Vec<u32>,
    pub(crate) label_appearance: Vec<u32>,
}

impl Names {
    /// The indices of a worker's pairs.
    pub(crate) fn pairs_of(&self, worker: usize) -> Range<usize> {
        let at = |index: usize| {
            self.worker_starts
                .get(index)
                .map_or(0, |&start| start as usize)
        };
        at(worker)..at(worker + 1)
    }
}

/// The answers of a crowd, grouped by task. At least one answer; read only.
///
/// Tasks, workers and labels are in sorted order: as numbers if all of them are integers, else as text. Their
/// position in that order is the index that all methods here use.
#[derive(Debug, Clone)]
pub struct Answers {
    names: Arc<Names>,
    /// Where each task's answers start in `by_task`: one more than there are tasks.
    starts: Vec<u32>,
    /// The pair of every answer, sorted by task, then pair.
    by_task: Vec<u32>,
    /// The position at which every answer was added, in the order of `by_task`.
    rows: Vec<u32>,
}

impl Answers {
    /// The tasks, sorted.
    #[must_use]
    pub fn tasks(&self) -> &Ids {
        &self.names.tasks
    }

    /// The workers, sorted.
    #[must_use]
    pub fn workers(&self) -> &Ids {
        &self.names.workers
    }

    /// The labels, sorted.
    #[must_use]
    pub fn labels(&self) -> &Ids {
        &self.names.labels
    }

    /// The number of answers; never zero.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one answer"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_task.len()
    }

    /// The (worker index, label index) of every answer to a task, sorted; nothing for a task that does not exist.
    pub fn of_task(&self, task: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let at = |index: usize| self.starts.get(index).map_or(0, |&start| start as usize);
        let own = self.by_task.get(at(task)..at(task + 1)).unwrap_or_default();
        own.iter()
            .filter_map(|&pair| self.names.pairs.get(pair as usize))
            .map(|pair| (pair.worker as usize, pair.label as usize))
    }

    /// For every task the pairs of its answers.
    pub(crate) fn pairs_by_task(&self) -> impl Iterator<Item = &[u32]> {
        self.starts.windows(2).map(|bounds| match bounds {
            &[start, end] => self
                .by_task
                .get(start as usize..end as usize)
                .unwrap_or_default(),
            _ => &[],
        })
    }

    /// Where each task's answers start among all, in the order of tasks: one more than there are tasks.
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The pair of every answer, sorted by task, then pair.
    pub(crate) fn by_task(&self) -> &[u32] {
        &self.by_task
    }

    /// The position at which every answer was added, in the order of [`Answers::by_task`].
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The number of answers of every worker.
    pub(crate) fn worker_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.workers().len()];
        for &pair in &self.by_task {
            if let Some(pair) = self.names.pairs.get(pair as usize)
                && let Some(count) = counts.get_mut(pair.worker as usize)
            {
                *count += 1;
            }
        }
        counts
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Whether there can be the tables that a confusion matrix for every worker takes: pairs × labels, workers × labels.
    pub(crate) fn check_confusions(&self) -> Result<(), TooLarge> {
        let tables = [
            (
                "combinations of a worker and a label",
                self.names.pairs.len(),
            ),
            ("workers", self.workers().len()),
        ];
        check_size(self.len(), self.labels().len(), &tables)
    }
}

/// A count as a float; exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
pub(crate) fn count_as_f64(count: usize) -> f64 {
    count as f64
}
