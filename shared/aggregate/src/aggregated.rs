//! The outcome of a method: labels, probabilities, workers.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use crate::answers::{Answers, Ids, Names, count_as_f64};
use crate::gold::Gold;
use crate::methods::common::Common;
use crate::methods::confusion::rows;
use crate::methods::mace::habits::Habits;
use crate::size::check_size;

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

/// How workers err.
#[derive(Debug, Clone)]
pub(crate) enum Confusion {
    /// A matrix for each worker, as far as it was observed; unobserved cells follow from what was imagined.
    Matrices {
        /// Pairs × classes: the probability of the pair's answer given each true class.
        observed: Vec<f64>,
        /// Workers × classes: the expected and imagined answers of a worker on tasks of each class.
        totals: Vec<f64>,
        imagined: Imagined,
    },
    /// Every worker errs evenly, by its skill.
    OneCoin {
        /// For every worker: the answers, expected and imagined, that the skill was estimated from.
        trials: Vec<f64>,
    },
    /// They know, or answer by habit.
    Habits(Habits),
}

/// How many answers a method imagined for every worker.
#[derive(Debug, Clone)]
pub(crate) enum Imagined {
    /// None: unobserved answers have probability zero.
    Nothing,
    /// On each true class: so many with the right label, and so many with one certain wrong label.
    Evenly(Vec<[f64; 2]>),
    /// As the crowd errs.
    Common(Common),
}

impl Imagined {
    /// How many of a worker with `label` on tasks of class `truth`.
    fn answers(&self, worker: usize, truth: usize, label: usize) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Evenly(workers) => {
                let [right, wrong] = workers.get(worker).copied().unwrap_or_default();
                if label == truth { right } else { wrong }
            }
            Self::Common(common) => common.imagined(worker, truth, label),
        }
    }
}

/// What to know before trusting labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// On many tasks the label is not one of those with the most votes.
    DiffersFromMajority {
        /// So many tasks.
        differ: usize,
        /// Of so many whose label was not known.
        tasks: usize,
    },
    /// Most tasks have fewer than three answers.
    FewAnswers {
        /// So many tasks.
        few: usize,
        /// Of so many whose label was not known.
        tasks: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiffersFromMajority { differ, tasks } => write!(
                formatter,
                "{differ} of {tasks} labels are not those that most workers chose: look at some of them, or give known \
                 labels"
            ),
            Self::FewAnswers { few, tasks } => write!(
                formatter,
                "{few} of {tasks} tasks have fewer than three answers: little can be learned about who is right"
            ),
        }
    }
}

/// The standard deviation of a probability whose posterior is a Beta distribution, or one cell of a Dirichlet
/// distribution, of so many answers in total.
fn deviation(probability: f64, total: f64) -> f64 {
    (probability * (1.0 - probability)).max(0.0).sqrt() / (total + 1.0).sqrt()
}

/// The labels that a method decided on, with everything it learned on the way.
///
/// Tasks, workers and labels are in the order of the [`Answers`] they come from; indices below are
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
    pub(crate) calibration: Option<Calibration>,
    /// Empty if the method does not compare itself with the majority vote.
    pub(crate) majority: Vec<u32>,
    pub(crate) warnings: Vec<Warning>,
}

/// How confidences were calibrated on known labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// How many known labels it rests on.
    pub known: usize,
    /// By what the logarithms of odds that the model, and that votes, give a label are divided: more than 1 for what
    /// proved too sure, less for what proved not sure enough.
    pub temperatures: [f64; 2],
    /// The mean confidence of tasks with an unknown label as the method itself sees it.
    pub before: f64,
    /// The same, calibrated.
    pub after: f64,
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
    /// Nothing yet, of these answers.
    pub(crate) fn of(answers: &Answers) -> Self {
        Self {
            names: Arc::clone(answers.names()),
            probabilities: Vec::new(),
            priors: Vec::new(),
            worker_answers: answers.worker_counts(),
            skills: Vec::new(),
            confusion: None,
            history: Vec::new(),
            stop: StopReason::Direct,
            worker_columns: Vec::new(),
            task_columns: Vec::new(),
            calibration: None,
            majority: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The tasks, sorted.
    #[must_use]
    pub fn tasks(&self) -> &Ids {
        &self.names.tasks
    }

    /// The labels, sorted.
    #[must_use]
    pub fn labels(&self) -> &Ids {
        &self.names.labels
    }

    /// The workers, sorted.
    #[must_use]
    pub fn workers(&self) -> &Ids {
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
        self.labels().get(self.label_index(task)?)
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
                task,
                self.labels().get(decided)?,
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
    /// `None` if the method does not estimate it, the worker does not exist, or there are more than 2¹⁴ labels, whose
    /// matrix would take more than 2 GiB.
    ///
    /// In crowd-kit mode of Dawid-Skene, columns that the worker never answered are zero.
    #[must_use]
    pub fn worker_confusion(&self, worker: usize) -> Option<Vec<f64>> {
        let skill = *self.skills.get(worker)?;
        let classes = self.labels().len();
        let mut matrix = self.empty_matrix()?;
        match self.confusion.as_ref()? {
            Confusion::Habits(habits) => return habits.confusion(worker),
            Confusion::OneCoin { .. } => {
                let wrong = (1.0 - skill) / count_as_f64(classes.max(2) - 1);
                for (truth, row) in matrix.chunks_exact_mut(classes).enumerate() {
                    fill(row, truth, [skill, wrong]);
                }
            }
            Confusion::Matrices {
                observed,
                totals,
                imagined,
            } => {
                let totals = totals.get(worker * classes..(worker + 1) * classes)?;
                let of_truths = matrix.chunks_exact_mut(classes).zip(totals);
                for (truth, (row, total)) in of_truths.enumerate() {
                    for (label, cell) in row.iter_mut().enumerate() {
                        *cell = imagined.answers(worker, truth, label) / total;
                    }
                }
                for (pair, by_truth) in rows(&self.names, observed, worker) {
                    for (row, &probability) in matrix.chunks_exact_mut(classes).zip(by_truth) {
                        if let Some(cell) = row.get_mut(pair.label as usize) {
                            *cell = probability;
                        }
                    }
                }
            }
        }
        Some(matrix)
    }

    /// Labels × labels; `None` if that is too large for one worker.
    fn empty_matrix(&self) -> Option<Vec<f64>> {
        let classes = self.labels().len();
        check_size(1, classes, &[("labels", classes)]).ok()?;
        Some(vec![0.0; classes * classes])
    }

    /// How uncertain each cell of [`Aggregated::worker_confusion`] is: its standard deviation, in the same order.
    ///
    /// A row's posterior is taken as a Dirichlet distribution of the worker's expected and imagined answers on tasks of
    /// that true label: with *n* of them in total, a cell of probability *p* has deviation √(*p* (1 − *p*) / (*n* + 1)).
    /// With one coin for each worker, *n* counts its answers on tasks of any label, and a wrong cell is the wrong
    /// answers' share divided by the number of other labels. The labels' own uncertainty is in *n* only on average, so
    /// where the crowd is wrong together it says too little.
    #[must_use]
    pub fn worker_confusion_deviation(&self, worker: usize) -> Option<Vec<f64>> {
        let classes = self.labels().len();
        match self.confusion.as_ref()? {
            Confusion::Habits(_) => None,
            Confusion::OneCoin { trials } => {
                let right = deviation(*self.skills.get(worker)?, *trials.get(worker)?);
                let wrong = right / count_as_f64(classes.max(2) - 1);
                let mut matrix = self.empty_matrix()?;
                for (truth, row) in matrix.chunks_exact_mut(classes).enumerate() {
                    fill(row, truth, [right, wrong]);
                }
                Some(matrix)
            }
            Confusion::Matrices { totals, .. } => {
                let mut matrix = self.worker_confusion(worker)?;
                let totals = totals.get(worker * classes..(worker + 1) * classes)?;
                for (row, &total) in matrix.chunks_exact_mut(classes).zip(totals) {
                    for cell in row {
                        *cell = deviation(*cell, total);
                    }
                }
                Some(matrix)
            }
        }
    }

    /// How uncertain a worker's skill is: its standard deviation. `None` if the method does not estimate it or the
    /// worker does not exist.
    ///
    /// With one coin for each worker, that of a Beta distribution: √(*s* (1 − *s*) / (*n* + 1)) for a skill *s* from
    /// *n* expected and imagined answers. With confusion matrices, the skill is the sum over labels of their share
    /// times the probability of a right answer, and so its variance is the sum of the squared shares times the
    /// variances of those, as [`Aggregated::worker_confusion_deviation`] gives them.
    #[must_use]
    pub fn worker_skill_deviation(&self, worker: usize) -> Option<f64> {
        let (classes, skill) = (self.labels().len(), *self.skills.get(worker)?);
        match self.confusion.as_ref()? {
            Confusion::Habits(_) => None,
            Confusion::OneCoin { trials } => Some(deviation(skill, *trials.get(worker)?)),
            Confusion::Matrices { totals, .. } => {
                let totals = totals.get(worker * classes..(worker + 1) * classes)?;
                let diagonal = self.diagonal(worker)?;
                let cells = diagonal.iter().zip(totals).zip(&self.priors);
                let variance = cells
                    .map(|((&right, &total), share)| (share * deviation(right, total)).powi(2))
                    .sum::<f64>();
                Some(variance.sqrt())
            }
        }
    }

    /// The probability of a right answer of a worker given each true label; `None` without confusion matrices.
    pub(crate) fn diagonal(&self, worker: usize) -> Option<Vec<f64>> {
        let Some(Confusion::Matrices {
            observed,
            totals,
            imagined,
        }) = &self.confusion
        else {
            return None;
        };
        let classes = self.labels().len();
        let totals = totals.get(worker * classes..(worker + 1) * classes)?;
        let unobserved = |(class, total)| imagined.answers(worker, class, class) / total;
        let mut diagonal: Vec<f64> = totals.iter().enumerate().map(unobserved).collect();
        for (pair, by_truth) in rows(&self.names, observed, worker) {
            let label = pair.label as usize;
            if let (Some(cell), Some(&probability)) = (diagonal.get_mut(label), by_truth.get(label))
            {
                *cell = probability;
            }
        }
        Some(diagonal)
    }

    /// How confidences were calibrated on known labels; `None` if they are the method's own.
    #[must_use]
    pub fn calibration(&self) -> Option<Calibration> {
        self.calibration
    }

    /// The label of a task by majority vote, the smallest of equals, if the method compares itself with it; `None` for
    /// a task that does not exist.
    #[must_use]
    pub fn majority(&self, task: usize) -> Option<&str> {
        let label = *self.majority.get(task)?;
        self.labels().get(label as usize)
    }

    /// What to know before trusting the labels.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
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
        table.write_record(std::iter::once("task").chain(self.labels()))?;
        for (task, row) in self
            .tasks()
            .iter()
            .zip(self.probabilities.chunks_exact(self.labels().len()))
        {
            table.write_field(task)?;
            for probability in row {
                table.write_field(probability.to_string())?;
            }
            table.write_record(None::<&[u8]>)?;
        }
        table.flush()
    }

    /// Writes a table with a row for every worker in order: `worker, answers, skill`, then `skill_deviation` if the
    /// method estimates it, then the columns of [`Aggregated::worker_columns`].
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_workers(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        let mut header = vec!["worker", "answers", "skill"];
        header.extend(self.worker_skill_deviation(0).map(|_| "skill_deviation"));
        header.extend(self.worker_columns.iter().map(|(name, _)| name));
        table.write_record(header)?;
        let workers = self.workers().iter().zip(&self.worker_answers);
        for (index, ((worker, answers), skill)) in workers.zip(&self.skills).enumerate() {
            for field in [worker, &answers.to_string(), &skill.to_string()] {
                table.write_field(field)?;
            }
            if let Some(deviation) = self.worker_skill_deviation(index) {
                table.write_field(deviation.to_string())?;
            }
            finish_row(&mut table, &self.worker_columns, index)?;
        }
        table.flush()
    }

    /// Writes a table with a row for every task in order: `task, label, confidence`, then `majority` if the method
    /// compares itself with the majority vote, then the columns of [`Aggregated::task_columns`].
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_tasks(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        let mut header = vec!["task", "label", "confidence"];
        header.extend(self.majority(0).map(|_| "majority"));
        header.extend(self.task_columns.iter().map(|(name, _)| name));
        table.write_record(header)?;
        for (index, (task, label, confidence)) in self.decisions().enumerate() {
            for field in [task, label, &confidence.to_string()] {
                table.write_field(field)?;
            }
            if let Some(majority) = self.majority(index) {
                table.write_field(majority)?;
            }
            finish_row(&mut table, &self.task_columns, index)?;
        }
        table.flush()
    }

    /// Writes a table `worker, truth, answer, probability, deviation`: how probable each answer of each worker is given
    /// each true label, and its standard deviation if the method estimates it, else nothing. Workers × labels × labels
    /// rows, in order; none if the method has no confusion matrices.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_confusion(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_record(["worker", "truth", "answer", "probability", "deviation"])?;
        for (index, worker) in self.workers().iter().enumerate() {
            let matrix = self.worker_confusion(index).unwrap_or_default();
            let deviations = self.worker_confusion_deviation(index).unwrap_or_default();
            let mut deviations = deviations.iter();
            let labels = self.labels().iter();
            let cells =
                labels.flat_map(|truth| self.labels().iter().map(move |answer| (truth, answer)));
            for ((truth, answer), probability) in cells.zip(&matrix) {
                let deviation = deviations.next().map(f64::to_string).unwrap_or_default();
                table.write_record([
                    worker,
                    truth,
                    answer,
                    &probability.to_string(),
                    &deviation,
                ])?;
            }
        }
        table.flush()
    }
}

/// Sets a row of a confusion matrix to the probability of a right answer and of each wrong one.
fn fill(row: &mut [f64], truth: usize, [right, wrong]: [f64; 2]) {
    row.fill(wrong);
    if let Some(cell) = row.get_mut(truth) {
        *cell = right;
    }
}

/// Writes the last cells of a row: a number of every column.
fn finish_row<W: Write>(
    table: &mut csv::Writer<W>,
    columns: &[(&str, Vec<f64>)],
    row: usize,
) -> std::io::Result<()> {
    for value in columns.iter().filter_map(|(_, values)| values.get(row)) {
        table.write_field(value.to_string())?;
    }
    Ok(table.write_record(None::<&[u8]>)?)
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
