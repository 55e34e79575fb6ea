//! Several labels a task: each answer is a *set* of labels, and every label is a yes-or-no question of its own.
//!
//! ```
//! use quorate_aggregate::{Answers, Format, LabelSets, binary_relevance, majority_vote};
//!
//! let csv = "task,worker,label\n1.jpg,ann,cat|dog\n1.jpg,bob,cat\n1.jpg,eve,\"[\"\"cat\"\",\"\"fox\"\"]\"\n2.jpg,ann,[]\n";
//! let sets = LabelSets::parse(Answers::read(csv.as_bytes(), Format::Csv)?, '|')?;
//! let found = binary_relevance(&sets, |answers| Ok(majority_vote(answers)))?;
//! assert_eq!(found.labels(0).collect::<Vec<_>>(), ["cat"]);
//! assert_eq!(found.task_probabilities(0), Some([1.0, 1.0 / 3.0, 1.0 / 3.0].as_slice()));
//! assert_eq!(found.labels(1).count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use crate::MethodError;
use crate::aggregated::{Aggregated, Separator, table};
use crate::answers::{Answers, AnswersBuilder, AnswersError, Ids, Names};
use crate::size::check_size;

/// A text that should hold a set of labels does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} starts like a JSON array of labels, but is none: {reason}")]
pub struct LabelSetError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why answers are no sets of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum LabelSetsError {
    /// There are no answers, or too many.
    Answers(#[from] AnswersError),
    /// An answer is no set.
    Set(#[from] LabelSetError),
}

/// The answers of a crowd where each answer is a set of labels; a *class* is a label that may be in it.
///
/// An answer says of every class whether it applies, so the empty set is an answer as well: "none of them".
#[derive(Debug, Clone)]
pub struct LabelSets {
    /// The label of each answer is the text of a set.
    answers: Answers,
    classes: Vec<String>,
    /// The classes in each text, sorted.
    classes_of: Vec<Vec<usize>>,
    separator: char,
}

impl LabelSets {
    /// Takes the label of each answer for the text of a set: labels separated by a character, or a JSON array.
    ///
    /// Spaces around labels and empty labels do not count, nor does a repeated label. A text that starts with `[` is a
    /// JSON array of texts, numbers or booleans. `[]` and a lone separator are the set of no labels. An empty cell is
    /// not: it may as well be an answer that is missing, so the reader does not let it through.
    ///
    /// # Errors
    /// [`LabelSetError`] for a text that starts with `[` and is no such array.
    pub fn parse(answers: Answers, separator: char) -> Result<Self, LabelSetError> {
        let sets: Vec<Vec<String>> = answers
            .labels()
            .iter()
            .map(|text| labels_of(text, separator))
            .collect::<Result<_, _>>()?;
        let classes = in_order(sets.iter().flatten());
        let index: BTreeMap<&String, usize> = classes.iter().zip(0..).collect();
        let in_set = |set: &Vec<String>| {
            let mut own: Vec<usize> = set
                .iter()
                .filter_map(|label| index.get(label).copied())
                .collect();
            own.sort_unstable();
            own
        };
        let classes_of = sets.iter().map(in_set).collect();
        Ok(Self {
            answers,
            classes,
            classes_of,
            separator,
        })
    }

    /// The labels that are in any set, in order: as numbers if all of them are integers, else as text.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// One class as a problem of its own: the same answers with the label `1` where the class is in the set, else `0`.
    ///
    /// # Errors
    /// None that can happen: these are as many tasks and workers as before, and two labels.
    fn problem(&self, class: usize) -> Result<Answers, AnswersError> {
        let mut problem = AnswersBuilder::with_labels(["0", "1"])?;
        let workers = self.answers.workers();
        for (index, task) in self.answers.tasks().iter().enumerate() {
            for (worker, set) in self.answers.of_task(index) {
                let of_set = self.classes_of.get(set).map(Vec::as_slice);
                let contains = of_set.unwrap_or_default().binary_search(&class).is_ok();
                let label = if contains { "1" } else { "0" };
                let worker = workers.get(worker);
                problem.push(task, worker.unwrap_or_default(), label)?;
            }
        }
        problem.finish()
    }
}

/// Collects answers that are sets of labels.
#[derive(Debug, Default)]
pub struct LabelSetsBuilder {
    answers: AnswersBuilder,
}

impl LabelSetsBuilder {
    /// A builder without answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer; no label at all is the answer "none of them".
    ///
    /// # Errors
    /// [`AnswersError`] when the task, the worker or a label is empty, or there are too many.
    pub fn push<L: AsRef<str>>(
        &mut self,
        task: &str,
        worker: &str,
        labels: impl IntoIterator<Item = L>,
    ) -> Result<(), AnswersError> {
        let mut set = Vec::new();
        for label in labels {
            if label.as_ref().is_empty() {
                return Err(AnswersError::Empty { what: "label" });
            }
            set.push(label.as_ref().to_owned());
        }
        self.answers.push(task, worker, &json_array(&set))
    }

    /// Puts the answers together.
    ///
    /// # Errors
    /// [`LabelSetsError`] when nothing was added.
    pub fn finish(self) -> Result<LabelSets, LabelSetsError> {
        // Arrays are read whatever the separator is.
        Ok(LabelSets::parse(self.answers.finish()?, '|')?)
    }
}

/// The labels in the text of a set.
fn labels_of(text: &str, separator: char) -> Result<Vec<String>, LabelSetError> {
    let error = |reason: String| LabelSetError {
        text: text.to_owned(),
        reason,
    };
    if !text.trim_start().starts_with('[') {
        let labels = text.split(separator).map(str::trim);
        return Ok(labels
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect());
    }
    let values: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|reason| error(reason.to_string()))?;
    values
        .into_iter()
        .filter(|value| value != "")
        .map(|value| match value {
            serde_json::Value::String(label) => Ok(label),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Ok(value.to_string()),
            other => Err(error(format!("{other} is no label"))),
        })
        .collect()
}

/// Distinct labels in the order that [`Answers::labels`] has.
fn in_order<'a>(labels: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut labels: Vec<String> = labels.cloned().collect();
    labels.sort_unstable();
    labels.dedup();
    let number = |label: &String| label.parse::<i64>().ok();
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(number);
    }
    labels
}

fn json_array(labels: &[String]) -> String {
    serde_json::Value::from(labels).to_string()
}

/// Decides for every task and every class whether it applies, one class at a time, by any method for labels.
///
/// This is binary relevance, as in crowd-kit's `BinaryRelevance` (whose instances share, and overwrite, one table of
/// fitted aggregators; nothing is shared here). `method` gets the answers of one class after the other, in the order
/// of [`LabelSets::classes`], with the labels `0` and `1`; a class applies where the method decides for `1`. Classes
/// are independent: a task may have any number of labels, or none.
///
/// # Errors
/// The first error of `method`; [`MethodError::TooLarge`] if there are too many tasks and classes for a table.
pub fn binary_relevance(
    sets: &LabelSets,
    mut method: impl FnMut(&Answers) -> Result<Aggregated, MethodError>,
) -> Result<MultiLabel, MethodError> {
    let classes = sets.classes.len();
    let tasks = sets.answers.tasks().len();
    check_size(sets.answers.len(), classes, &[("tasks", tasks)])?;
    let mut found = MultiLabel {
        names: Arc::clone(sets.answers.names()),
        classes: sets.classes.clone(),
        separator: sets.separator,
        applies: vec![false; tasks * classes],
        probabilities: vec![0.0; tasks * classes],
    };
    for class in 0..classes {
        let aggregated = method(&sets.problem(class)?)?;
        let cells = found.applies.iter_mut().zip(&mut found.probabilities);
        for (task, (applies, probability)) in cells.skip(class).step_by(classes).enumerate() {
            *applies = aggregated.label_index(task) == Some(1);
            let row = aggregated.task_probabilities(task);
            *probability = row.and_then(|row| row.get(1)).copied().unwrap_or_default();
        }
    }
    Ok(found)
}

/// Labels of tasks that may have several, or none.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    names: Arc<Names>,
    classes: Vec<String>,
    separator: char,
    /// Tasks × classes.
    applies: Vec<bool>,
    /// Tasks × classes.
    probabilities: Vec<f64>,
}

impl MultiLabel {
    /// The tasks, sorted; indices below are positions in that order.
    #[must_use]
    pub fn tasks(&self) -> &Ids {
        &self.names.tasks
    }

    /// The classes, in the order of [`LabelSets::classes`].
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The labels of a task, in order; none for a task that does not exist.
    pub fn labels(&self, task: usize) -> impl Iterator<Item = &str> {
        let applies = self.row(&self.applies, task).unwrap_or_default();
        let classes = self.classes.iter().zip(applies);
        classes.filter_map(|(class, &applies)| applies.then_some(class.as_str()))
    }

    /// The probability of every class for one task, each between 0 and 1; `None` for a task that does not exist.
    #[must_use]
    pub fn task_probabilities(&self, task: usize) -> Option<&[f64]> {
        self.row(&self.probabilities, task)
    }

    /// The probability of the least certain of a task's decisions on classes; 1 if there are no classes, `None` for a
    /// task that does not exist.
    #[must_use]
    pub fn confidence(&self, task: usize) -> Option<f64> {
        let applies = self.row(&self.applies, task)?;
        let decisions = self.task_probabilities(task)?.iter().zip(applies);
        Some(decisions.fold(1.0, |least: f64, (&probability, &applies)| {
            least.min(if applies {
                probability
            } else {
                1.0 - probability
            })
        }))
    }

    fn row<'a, T>(&self, table: &'a [T], task: usize) -> Option<&'a [T]> {
        if task >= self.tasks().len() {
            return None;
        }
        let classes = self.classes.len();
        table.get(task * classes..(task + 1) * classes)
    }

    /// Writes a table `task, labels, confidence`, a row for every task in order. The labels are in one cell, as
    /// [`LabelSets::parse`] reads it: separated by its separator, or as a JSON array where that would read otherwise.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_labels(&self, writer: impl Write, separator: Separator) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_record(["task", "labels", "confidence"])?;
        for (index, task) in self.tasks().iter().enumerate() {
            let labels: Vec<String> = self.labels(index).map(str::to_owned).collect();
            let confidence = self.confidence(index).unwrap_or_default();
            table.write_record([task, &self.cell(&labels), &confidence.to_string()])?;
        }
        table.flush()
    }

    fn cell(&self, labels: &[String]) -> String {
        let joined = labels.join(self.separator.encode_utf8(&mut [0; 4]));
        let reads_back = labels_of(&joined, self.separator).is_ok_and(|read| read == labels);
        if reads_back && !labels.is_empty() {
            joined
        } else {
            json_array(labels)
        }
    }

    /// Writes a table `task` and a column for every class: the probability of each class for every task in order.
    ///
    /// # Errors
    /// Whatever the writer fails with.
    pub fn write_probabilities(
        &self,
        writer: impl Write,
        separator: Separator,
    ) -> std::io::Result<()> {
        let mut table = table(writer, separator);
        table.write_field("task")?;
        table.write_record(&self.classes)?;
        for (index, task) in self.tasks().iter().enumerate() {
            let row = self.task_probabilities(index).unwrap_or_default();
            table.write_field(task)?;
            table.write_record(row.iter().map(f64::to_string))?;
        }
        table.flush()
    }
}
