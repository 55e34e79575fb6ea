//! The answers of a crowd in memory: interned ids, grouped by task.
//!
//! An answer is stored as one `u32`: the index of its *pair*, an observed (worker, label) combination. Pairs are
//! sorted by worker, then label, so a worker's pairs are neighbours and a method needs tables only for what was
//! observed, not for every worker × label × label. Resident size: 8 bytes an answer, 4 a task, 8 a pair, plus the
//! text of each distinct id once; while building, 8 bytes an answer more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

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
    #[error("too many {what}: at most {} are supported", u32::MAX)]
    TooMany {
        /// What there is too much of.
        what: &'static str,
    },
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

/// Distinct texts numbered by first appearance.
#[derive(Debug, Default)]
struct Interner {
    // Only ever looked up; `sorted` puts the ids in an order that does not depend on the hash.
    ids: HashMap<Box<str>, u32>,
}

impl Interner {
    fn get(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    fn intern(&mut self, text: &str, what: &'static str) -> Result<u32, AnswersError> {
        if let Some(id) = self.get(text) {
            return Ok(id);
        }
        let id = u32::try_from(self.ids.len()).map_err(|_| AnswersError::TooMany { what })?;
        self.ids.insert(text.into(), id);
        Ok(id)
    }

    /// The texts in order, and for every id its position in that order. Texts that are all integers are ordered
    /// as numbers, else all of them as text.
    fn sorted(self) -> (Vec<Box<str>>, Vec<u32>) {
        let mut entries: Vec<(Option<i64>, Box<str>, u32)> = self
            .ids
            .into_iter()
            .map(|(text, id)| (text.parse().ok(), text, id))
            .collect();
        if entries.iter().any(|(number, ..)| number.is_none()) {
            for (number, ..) in &mut entries {
                *number = None;
            }
        }
        entries.sort_unstable();
        let ranks = ranks(entries.iter().map(|&(.., id)| id), entries.len());
        (
            entries.into_iter().map(|(_, text, _)| text).collect(),
            ranks,
        )
    }
}

/// Turns "which old id is at each position" into "at which position is each old id".
fn ranks(old_ids: impl Iterator<Item = u32>, len: usize) -> Vec<u32> {
    let mut ranks = vec![0; len];
    for (position, old) in (0..).zip(old_ids) {
        if let Some(rank) = ranks.get_mut(old as usize) {
            *rank = position;
        }
    }
    ranks
}

/// Collects answers one by one, from memory or from readers, and sorts them into [`Answers`].
#[derive(Debug, Default)]
pub struct AnswersBuilder {
    tasks: Interner,
    workers: Interner,
    labels: Interner,
    /// Whether `labels` was given and must not grow.
    fixed_labels: bool,
    pairs: HashMap<(u32, u32), u32>,
    /// Task and pair of every answer.
    answers: Vec<(u32, u32)>,
}

impl AnswersBuilder {
    /// A builder that takes the labels from the answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder for a known set of labels: a label that nobody answered still exists, and an answer with another
    /// label is an error. The order does not matter and repeated labels count once.
    ///
    /// # Errors
    /// [`AnswersError::Empty`] for an empty label.
    pub fn with_labels<L: AsRef<str>>(
        labels: impl IntoIterator<Item = L>,
    ) -> Result<Self, AnswersError> {
        let mut builder = Self {
            fixed_labels: true,
            ..Self::default()
        };
        for label in labels {
            builder
                .labels
                .intern(not_empty(label.as_ref(), "label")?, "labels")?;
        }
        Ok(builder)
    }

    /// Adds an answer. The same answer added twice counts twice.
    ///
    /// # Errors
    /// [`AnswersError`] when a part is empty, the label is not one of the given labels, or there are too many; the
    /// builder is then as it was before, except for ids that were new.
    pub fn push(&mut self, task: &str, worker: &str, label: &str) -> Result<(), AnswersError> {
        let (task, worker) = (not_empty(task, "task")?, not_empty(worker, "worker")?);
        let label = self.label_id(not_empty(label, "label")?)?;
        if self.answers.len() >= u32::MAX as usize {
            return Err(AnswersError::TooMany { what: "answers" });
        }
        let (task, worker) = (
            self.tasks.intern(task, "tasks")?,
            self.workers.intern(worker, "workers")?,
        );
        // Cannot overflow: there are no more pairs than answers.
        let next = u32::try_from(self.pairs.len())
            .map_err(|_| AnswersError::TooMany { what: "answers" })?;
        let pair = *self.pairs.entry((worker, label)).or_insert(next);
        self.answers.push((task, pair));
        Ok(())
    }

    fn label_id(&mut self, label: &str) -> Result<u32, AnswersError> {
        if !self.fixed_labels {
            return self.labels.intern(label, "labels");
        }
        self.labels.get(label).ok_or_else(|| {
            let mut labels: Vec<String> = self
                .labels
                .ids
                .keys()
                .map(|label| label.to_string())
                .collect();
            labels.sort_unstable();
            AnswersError::UnknownLabel {
                label: label.to_owned(),
                labels,
            }
        })
    }

    /// The number of answers so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is no answer yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Sorts the answers by task, then worker, then label.
    ///
    /// # Errors
    /// [`AnswersError::NoAnswers`] when nothing was added.
    pub fn finish(self) -> Result<Answers, AnswersError> {
        if self.answers.is_empty() {
            return Err(AnswersError::NoAnswers);
        }
        let (tasks, task_rank) = self.tasks.sorted();
        let (workers, worker_rank) = self.workers.sorted();
        let (labels, label_rank) = self.labels.sorted();

        let rank = |ranks: &[u32], id: u32| ranks.get(id as usize).copied().unwrap_or_default();
        let mut pairs: Vec<(Pair, u32)> = self
            .pairs
            .into_iter()
            .map(|((worker, label), id)| {
                (
                    Pair {
                        worker: rank(&worker_rank, worker),
                        label: rank(&label_rank, label),
                    },
                    id,
                )
            })
            .collect();
        pairs.sort_unstable();
        let pair_rank = ranks(pairs.iter().map(|&(_, id)| id), pairs.len());
        let pairs: Vec<Pair> = pairs.into_iter().map(|(pair, _)| pair).collect();

        let (starts, grouped) = group(
            self.answers.iter().zip(0..).map(|(&(task, pair), row)| {
                (rank(&task_rank, task), (rank(&pair_rank, pair), row))
            }),
            tasks.len(),
            self.answers.len(),
        );
        let (by_task, rows) = grouped.into_iter().unzip();
        let worker_starts = starts_of(pairs.iter().map(|pair| pair.worker), workers.len());
        Ok(Answers {
            names: Arc::new(Names {
                tasks,
                workers,
                labels,
                pairs,
                worker_starts,
                worker_appearance: ranks(worker_rank.iter().copied(), worker_rank.len()),
                label_appearance: ranks(label_rank.iter().copied(), label_rank.len()),
            }),
            starts,
            by_task,
            rows,
        })
    }
}

fn not_empty<'a>(text: &'a str, what: &'static str) -> Result<&'a str, AnswersError> {
    if text.is_empty() {
        Err(AnswersError::Empty { what })
    } else {
        Ok(text)
    }
}

/// Where each group starts when values are sorted by group: `groups + 1` offsets.
fn starts_of(group_of: impl Iterator<Item = u32>, groups: usize) -> Vec<u32> {
    let mut starts = vec![0_u32; groups + 1];
    for group in group_of {
        if let Some(count) = starts.get_mut(group as usize + 1) {
            *count += 1;
        }
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    starts
}

/// Groups (group, value) items by group and sorts the values inside each.
fn group<V: Copy + Default + Ord>(
    items: impl Iterator<Item = (u32, V)> + Clone,
    groups: usize,
    len: usize,
) -> (Vec<u32>, Vec<V>) {
    let starts = starts_of(items.clone().map(|(group, _)| group), groups);
    let mut next = starts.clone();
    let mut values = vec![V::default(); len];
    for (group, value) in items {
        if let Some(slot) = next.get_mut(group as usize) {
            if let Some(place) = values.get_mut(*slot as usize) {
                *place = value;
            }
            *slot += 1;
        }
    }
    for bounds in starts.windows(2) {
        if let &[start, end] = bounds
            && let Some(own) = values.get_mut(start as usize..end as usize)
        {
            own.sort_unstable();
        }
    }
    (starts, values)
}

/// An observed combination of a worker and a label that it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) worker: u32,
    pub(crate) label: u32,
}

/// What answers and their aggregation share: the ids in order, and the observed pairs.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) tasks: Vec<Box<str>>,
    pub(crate) workers: Vec<Box<str>>,
    pub(crate) labels: Vec<Box<str>>,
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
    pub fn tasks(&self) -> &[Box<str>] {
        &self.names.tasks
    }

    /// The workers, sorted.
    #[must_use]
    pub fn workers(&self) -> &[Box<str>] {
        &self.names.workers
    }

    /// The labels, sorted.
    #[must_use]
    pub fn labels(&self) -> &[Box<str>] {
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
}

/// A count as a float; exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
pub(crate) fn count_as_f64(count: usize) -> f64 {
    count as f64
}
