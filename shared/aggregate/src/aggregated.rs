//! The outcome of a method: labels, probabilities, workers.

use std::io::Write;
use std::sync::Arc;

use crate::answers::{Names, count_as_f64};
use crate::gold::Gold;

/// Why a method stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The method is not iterative.
    Direct,
    /// The last iteration gained less than the tolerance.
    Converged,
    /// The allowed number of iterations was used up before convergence.
    IterationLimit,
}

/// What separates the cells of a written table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// CSV.
    Comma,
    /// TSV.
    Tab,
}

/// How workers err, as far as it was observed; unobserved cells follow from the prior.
#[derive(Debug, Clone)]
pub(crate) struct Confusion {
    /// Pairs × classes: the probability of the pair's answer given each true class.
    pub(crate) observed: Vec<f64>,
    /// Workers × classes × 2: the probability of one unobserved answer that is right, and of one that is wrong.
    /// Empty if unobserved answers have probability zero.
    pub(crate) unobserved: Vec<[f64; 2]>,
}

/// The labels that a method decided on, with everything it learned on the way.
///
/// Tasks, workers and labels are in the order of the [`Answers`](crate::Answers) they come from; indices below are
/// positions in that order.
#[derive(Debug, Clone)]
pub struct Aggregated {
    pub(crate) names: Arc<Names>,
    pub(crate) probabilities: Vec<f64>,
    pub(crate) priors: Vec<f64>,
    pub(crate) worker_answers: Vec<u32>,
    pub(crate) skills: Vec<f64>,
    pub(crate) confusion: Option<Confusion>,
    pub(crate) history: Vec<f64>,
    pub(crate) stop: StopReason,
    pub(crate) worker_columns: Vec<(&'static str, Vec<f64>)>,
    pub(crate) task_columns: Vec<(&'static str, Vec<f64>)>,
}

/// The index of the first maximum.
pub(crate) fn arg_max(row: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

impl Aggregated {
    /// The tasks, sorted.
    #[must_use]
    pub fn tasks(&self) -> &[Box<str>] {
        &self.names.tasks
    }

    /// The labels, sorted.
    #[must_use]
    pub fn labels(&self) -> &[Box<str>] {
        &self.names.labels
    }

    /// The workers, sorted.
    #[must_use]
    pub fn workers(&self) -> &[Box<str>] {
        &self.names.workers
    }

    /// The probability of every label for every task: row-major, tasks × labels, every row sums to one.
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The probability of every label for one task; `None` for a task that does not exist.
    #[must_use]
    pub fn task_probabilities(&self, task: usize) -> Option<&[f64]> {
        let classes = self.labels().len();
        self.probabilities
            .get(task.checked_mul(classes)?..)?
            .get(..classes)
    }

    /// The index of a task's most probable label, the smallest of equals; `None` for a task that does not exist.
    #[must_use]
    pub fn label_index(&self, task: usize) -> Option<usize> {
        self.task_probabilities(task).map(arg_max)
    }

    /// The label of a task; `None` for a task that does not exist.
    #[must_use]
    pub fn label(&self, task: usize) -> Option<&str> {
        self.labels()
            .get(self.label_index(task)?)
            .map(|label| &**label)
    }

    /// The probability of a task's label; `None` for a task that does not exist.
    #[must_use]
    pub fn confidence(&self, task: usize) -> Option<f64> {
        self.task_probabilities(task)?
            .get(self.label_index(task)?)
            .copied()
    }

    /// (task, label, confidence) of every task, in order.
    pub fn decisions(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        let rows = self.probabilities.chunks_exact(self.labels().len());
        self.tasks().iter().zip(rows).filter_map(|(task, row)| {
            let decided = arg_max(row);
            Some((
                &**task,
                &**self.labels().get(decided)?,
                row.get(decided).copied()?,
            ))
        })
    }

    /// The estimated share of every label among the tasks.
    #[must_use]
    pub fn priors(&self) -> &[f64] {
        &self.priors
    }

    /// The number of answers of every worker.
    #[must_use]
    pub fn worker_answers(&self) -> &[u32] {
        &self.worker_answers
    }

    /// The skill of every worker, between 0 and 1: the estimated probability that an answer of theirs is right. How
    /// it is estimated is the method's choice.
    #[must_use]
    pub fn worker_skills(&self) -> &[f64] {
        &self.skills
    }

    /// How a worker answers: row-major, labels × labels; row = true label, column = the probability of each answer.
    /// `None` if the method does not estimate it or the worker does not exist.
    #[must_use]
    pub fn worker_confusion(&self, worker: usize) -> Option<Vec<f64>> {
        let confusion = self.confusion.as_ref()?;
        if worker >= self.workers().len() {
            return None;
        }
        let classes = self.labels().len();
        let mut matrix = vec![0.0; classes * classes];
        if let Some(unobserved) = confusion
            .unobserved
            .get(worker * classes..(worker + 1) * classes)
        {
            for (truth, (row, &[right, wrong])) in
                matrix.chunks_exact_mut(classes).zip(unobserved).enumerate()
            {
                row.fill(wrong);
                if let Some(cell) = row.get_mut(truth) {
                    *cell = right;
                }
            }
        }
        for index in self.names.pairs_of(worker) {
            let answered = self.names.pairs.get(index)?.label as usize;
            let by_truth = confusion
                .observed
                .get(index * classes..(index + 1) * classes)?;
            for (row, &probability) in matrix.chunks_exact_mut(classes).zip(by_truth) {
                if let Some(cell) = row.get_mut(answered) {
                    *cell = probability;
                }
            }
        }
        Some(matrix)
    }

    /// What else the method estimates about every worker, each with its name in the method's paper: GLAD's `ability`,
    /// MACE's `spamming`.
    #[must_use]
    pub fn worker_columns(&self) -> &[(&'static str, Vec<f64>)] {
        &self.worker_columns
    }

    /// What else the method estimates about every task, each with its name in the method's paper: GLAD's `easiness`.
    #[must_use]
    pub fn task_columns(&self) -> &[(&'static str, Vec<f64>)] {
        &self.task_columns
    }

    /// How many iterations were done; 0 for a method that is not iterative.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.history.len()
    }

    /// What the method maximises after every iteration, divided by the number of answers (natural logarithms).
    #[must_use]
    pub fn log_likelihood(&self) -> &[f64] {
        &self.history
    }

    /// Why the method stopped.
    #[must_use]
    pub fn stop_reason(&self) -> StopReason {
        self.stop
    }

    /// The share of tasks with a known label whose decision equals it; `None` without any such task.
    #[must_use]
    pub fn accuracy(&self, truth: &Gold) -> Option<f64> {
        let (mut right, mut all) = (0, 0);
        for (task, label, _) in self.decisions() {
            if let Some(known) = truth.get(task) {
                all += 1;
                right += usize::from(known == label);
            }
        }
        (all > 0).then(|| count_as_f64(right) / count_as_f64(all))
    }

    /// Writes a table `task, label, confidence`, a row for every task in order.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_labels(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_record(["task", "label", "confidence"])?;
        for (task, label, confidence) in self.decisions() {
            table.write_record([task, label, &confidence.to_string()])?;
        }
        table.flush()
    }

    /// Writes a table `task` and a column for every label: the probability of each label for every task in order.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_probabilities(
        &self,
        writer: impl Write,
        separator: Separator,
    ) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_record(
            std::iter::once("task").chain(self.labels().iter().map(|label| &**label)),
        )?;
        for (task, row) in self
            .tasks()
            .iter()
            .zip(self.probabilities.chunks_exact(self.labels().len()))
        {
            table.write_field(&**task)?;
            for probability in row {
                table.write_field(probability.to_string())?;
            }
            table.write_record(None::<&[u8]>)?;
        }
        table.flush()
    }

    /// Writes a table `worker, answers, skill`, a row for every worker in order.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_workers(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_record(["worker", "answers", "skill"])?;
        for ((worker, answers), skill) in self
            .workers()
            .iter()
            .zip(&self.worker_answers)
            .zip(&self.skills)
        {
            table.write_record([&**worker, &answers.to_string(), &skill.to_string()])?;
        }
        table.flush()
    }
}

/// A table to write rows to.
pub(crate) fn table<W: Write>(writer: W, separator: Separator) -> csv::Writer<W> {
    let delimiter = match separator {
        Separator::Comma => b',',
        Separator::Tab => b'\t',
    };
    csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(writer)
}
