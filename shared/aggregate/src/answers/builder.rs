//! From single answers to [`Answers`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::interner::{Interner, Lookup, ranks};
use super::{Answers, AnswersError, Names, Pair};
use crate::size::check_size;

/// An answer as it was read: bytes that need not be UTF-8. Those that are known are not checked again.
#[derive(Debug)]
pub(crate) struct RawAnswer<'a> {
    pub(crate) task: Cow<'a, [u8]>,
    pub(crate) worker: &'a [u8],
    pub(crate) label: &'a [u8],
}

/// The numbers of those parts of an answer that were seen before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    task: Option<u32>,
    worker: Option<u32>,
    label: Option<u32>,
    pair: Option<u32>,
}

/// Collects answers one by one, from memory or from readers, and sorts them into [`Answers`].
///
/// At most 2³² − 1 answers. Of each, 8 bytes are kept, and the text of each distinct id once.
#[derive(Debug, Default)]
pub struct AnswersBuilder {
    tasks: Interner,
    workers: Interner,
    labels: Interner,
    /// Whether an answer must have one of the labels that were given.
    fixed_labels: bool,
    /// What was observed, numbered by first appearance; workers and labels by theirs.
    pairs: HashMap<Pair, u32, foldhash::fast::RandomState>,
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
            builder.add_label(label.as_ref())?;
        }
        Ok(builder)
    }

    /// Makes a label exist even if nobody answers it, such as one that is only known from gold.
    ///
    /// # Errors
    /// [`AnswersError::Empty`] for an empty label.
    pub fn add_label(&mut self, label: &str) -> Result<(), AnswersError> {
        let found = self.labels.look_up(label.as_bytes(), "label")?;
        self.labels.number(found, "label")?;
        Ok(())
    }

    /// Adds an answer. The same answer added twice counts twice.
    ///
    /// # Errors
    /// [`AnswersError`] when a part is empty, the label is not one of the given labels, or there are too many; the
    /// builder is then as it was before.
    pub fn push(&mut self, task: &str, worker: &str, label: &str) -> Result<(), AnswersError> {
        let answer = RawAnswer {
            task: task.as_bytes().into(),
            worker: worker.as_bytes(),
            label: label.as_bytes(),
        };
        self.push_raw(&answer, Known::default())
    }

    /// Adds an answer; what is known of it is not looked up again.
    pub(crate) fn push_raw(
        &mut self,
        answer: &RawAnswer<'_>,
        known: Known,
    ) -> Result<(), AnswersError> {
        if self.answers.len() >= u32::MAX as usize {
            return Err(AnswersError::TooMany { what: "answer" });
        }
        // All is looked up before anything is kept: a task of a wrong answer must not stay behind without answers.
        let task = match known.task {
            Some(number) => Lookup::Known(number),
            None => self.look_up_task(&answer.task)?,
        };
        let worker = match known.worker {
            Some(number) => Lookup::Known(number),
            None => self.workers.look_up(answer.worker, "worker")?,
        };
        let label = match known.label {
            Some(number) => Lookup::Known(number),
            None => self.look_up_label(answer.label)?,
        };
        let label = self.labels.number(label, "label")?;
        let worker = self.workers.number(worker, "worker")?;
        let task = self.tasks.number(task, "task")?;
        let pair = match known.pair {
            Some(number) => number,
            None => self.pair(worker, label)?,
        };
        self.answers.push((task, pair));
        Ok(())
    }

    /// Looks up what is known of answers that are added next: faster for many than for one after the other.
    pub(crate) fn look_up_all<'a>(
        &self,
        answers: impl Iterator<Item = &'a RawAnswer<'a>> + Clone,
    ) -> Vec<Known> {
        let tasks = answers.clone().map(|answer| &*answer.task);
        let tasks = self.tasks.look_up_all(tasks);
        let workers = answers.clone().map(|answer| answer.worker);
        let workers = self.workers.look_up_all(workers);
        let labels = answers.map(|answer| answer.label);
        let labels = self.labels.look_up_all(labels);
        let known = |((task, worker), label): ((_, Option<u32>), Option<u32>)| {
            let pair = worker.zip(label).and_then(|(worker, label)| {
                let pair = Pair { worker, label };
                self.pairs.get(&pair).copied()
            });
            Known {
                task,
                worker,
                label,
                pair,
            }
        };
        tasks
            .into_iter()
            .zip(workers)
            .zip(labels)
            .map(known)
            .collect()
    }

    /// Answers to the same task often follow each other.
    fn look_up_task<'a>(&self, task: &'a [u8]) -> Result<Lookup<'a>, AnswersError> {
        match self.answers.last() {
            Some(&(last, _)) if self.tasks.ids().bytes(last) == task => Ok(Lookup::Known(last)),
            _ => self.tasks.look_up(task, "task"),
        }
    }

    fn look_up_label<'a>(&self, label: &'a [u8]) -> Result<Lookup<'a>, AnswersError> {
        match self.labels.look_up(label, "label")? {
            Lookup::New { id, .. } if self.fixed_labels => {
                let mut labels: Vec<String> = self.labels.ids().iter().map(str::to_owned).collect();
                labels.sort_unstable();
                Err(AnswersError::UnknownLabel {
                    label: id.to_owned(),
                    labels,
                })
            }
            found => Ok(found),
        }
    }

    fn pair(&mut self, worker: u32, label: u32) -> Result<u32, AnswersError> {
        let key = Pair { worker, label };
        if let Some(&pair) = self.pairs.get(&key) {
            return Ok(pair);
        }
        let pair = u32::try_from(self.pairs.len())
            .map_err(|_| AnswersError::TooMany { what: "answer" })?;
        self.pairs.insert(key, pair);
        Ok(pair)
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
    /// [`AnswersError::NoAnswers`] when nothing was added, [`AnswersError::TooLarge`] if no method could give a
    /// probability for every task and label.
    pub fn finish(self) -> Result<Answers, AnswersError> {
        if self.answers.is_empty() {
            return Err(AnswersError::NoAnswers);
        }
        let tasks = self.tasks.ids().len();
        check_size(
            self.answers.len(),
            self.labels.ids().len(),
            &[("tasks", tasks)],
        )?;
        let (tasks, task_ranks) = self.tasks.sorted();
        let (workers, worker_ranks) = self.workers.sorted();
        let (labels, label_ranks) = self.labels.sorted();

        let mut pairs: Vec<(Pair, u32)> = self
            .pairs
            .into_iter()
            .map(|(Pair { worker, label }, number)| {
                let (worker, label) = (at(&worker_ranks, worker), at(&label_ranks, label));
                (Pair { worker, label }, number)
            })
            .collect();
        pairs.sort_unstable();
        let pair_ranks = ranks(pairs.iter().map(|&(_, number)| number), pairs.len());
        let pairs: Vec<Pair> = pairs.into_iter().map(|(pair, _)| pair).collect();

        let worker_starts = starts_of(pairs.iter().map(|pair| pair.worker), workers.len());
        let (starts, by_task, rows) = group(self.answers, &task_ranks, &pair_ranks);
        Ok(Answers {
            names: Arc::new(Names {
                tasks,
                workers,
                labels,
                pairs,
                worker_starts,
                worker_appearance: ranks(worker_ranks.iter().copied(), worker_ranks.len()),
                label_appearance: ranks(label_ranks.iter().copied(), label_ranks.len()),
            }),
            starts,
            by_task,
            rows,
        })
    }
}

fn at(table: &[u32], index: u32) -> u32 {
    table.get(index as usize).copied().unwrap_or_default()
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

/// Sorts (task, pair) answers by task, then pair, then row, by counting: where each task's answers start, and the pair
/// and the row of each answer.
fn group(
    answers: Vec<(u32, u32)>,
    task_ranks: &[u32],
    pair_ranks: &[u32],
) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let tasks = answers.iter().map(|&(task, _)| at(task_ranks, task));
    let starts = starts_of(tasks, task_ranks.len());
    let mut next = starts.clone();
    let (mut pairs, mut rows) = (vec![0; answers.len()], vec![0; answers.len()]);
    for (row, &(task, pair)) in (0..).zip(&answers) {
        if let Some(place) = next.get_mut(at(task_ranks, task) as usize) {
            if let (Some(own_pair), Some(own_row)) = (
                pairs.get_mut(*place as usize),
                rows.get_mut(*place as usize),
            ) {
                (*own_pair, *own_row) = (at(pair_ranks, pair), row);
            }
            *place += 1;
        }
    }
    drop(answers);
    let mut memory = Vec::new();
    for bounds in starts.windows(2) {
        if let &[start, end] = bounds
            && let Some(pairs) = pairs.get_mut(start as usize..end as usize)
            && let Some(rows) = rows.get_mut(start as usize..end as usize)
        {
            sort_together(pairs, rows, &mut memory);
        }
    }
    (starts, pairs, rows)
}

/// Sorts by pair, then row; the rows are in order.
fn sort_together(pairs: &mut [u32], rows: &mut [u32], memory: &mut Vec<(u32, u32)>) {
    if pairs.is_sorted() {
        return;
    }
    memory.clear();
    memory.extend(pairs.iter().copied().zip(rows.iter().copied()));
    memory.sort_unstable();
    for ((pair, row), &sorted) in pairs.iter_mut().zip(rows).zip(&*memory) {
        (*pair, *row) = sorted;
    }
}
