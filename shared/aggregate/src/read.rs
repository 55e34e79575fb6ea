//! Answers from text: tables and JSON lines, row by row, never the whole text at once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use csv::{ByteRecord, Position, StringRecord, Terminator};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::answers::{Answers, AnswersBuilder, AnswersError};

/// How answers are written down.
///
/// Tables start with a line of column names: `task`, `worker` and `label` in any order among others, or those of a
/// Toloka assignments file: `INPUT:…` columns (the task is the text of the column; if there are several, a JSON
/// object of those that are not empty), exactly one `OUTPUT:…` column (the label), `ASSIGNMENT:worker_id`. Rows with
/// a `GOLDEN:…` cell are control tasks and left out. Rows count whatever the status of their assignment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One JSON object a line with the members `task`, `worker`, `label`: texts, numbers or booleans.
    JsonLines,
}

impl Format {
    /// The format that a file name ends in: `.csv`, `.tsv`, `.jsonl` or `.ndjson`, upper or lower case.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// What to do with a row that is no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InvalidRows {
    /// Stop with [`ReadError::Row`].
    #[default]
    Reject,
    /// Leave it out and report it.
    Skip,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Rows that became answers.
    pub answers: u64,
    /// Rows left out because they are control tasks.
    pub golden: u64,
    /// Rows left out because they are invalid.
    pub skipped: u64,
    /// The first of the invalid rows, at most [`ReadReport::SHOWN`].
    pub first_skipped: Vec<BadRow>,
}

impl ReadReport {
    /// How many invalid rows are reported one by one, so that a hostile file cannot fill the memory.
    pub const SHOWN: usize = 100;

    fn skip(&mut self, row: BadRow) {
        self.skipped += 1;
        if self.first_skipped.len() < Self::SHOWN {
            self.first_skipped.push(row);
        }
    }
}

/// A row that is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadRow {
    /// The line that the row starts on; the first line of the text is 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: RowProblem,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// The row has more or fewer cells than there are columns.
    #[error("{found} cells where the first line has {expected} columns")]
    Cells {
        /// Cells in the row.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The line is not the JSON object that it should be.
    #[error("not a JSON object with task, worker and label: {0}")]
    Json(String),
    /// The answer itself is wrong.
    #[error(transparent)]
    Answer(#[from] AnswersError),
}

/// What is wrong with a table's column names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A column is missing.
    #[error("there is no column {column:?}; the columns are {}", .columns.join(", "))]
    Missing {
        /// The column that is needed.
        column: &'static str,
        /// The columns that exist.
        columns: Vec<String>,
    },
    /// A column that is needed exists twice.
    #[error("there are two columns {column:?}")]
    Repeated {
        /// The column.
        column: String,
    },
    /// A Toloka file must have exactly one output field to aggregate.
    #[error("exactly one OUTPUT column can be aggregated; this file has {}: {}", .columns.len(), .columns.join(", "))]
    Outputs {
        /// The output columns that exist.
        columns: Vec<String>,
    },
}

/// Why a text could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader failed.
    #[error("cannot read the answers")]
    Io(#[from] std::io::Error),
    /// The table's column names do not do.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A row is no answer.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// The rows together are no answers.
    #[error(transparent)]
    Answers(#[from] AnswersError),
}

impl From<csv::Error> for ReadError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

impl Answers {
    /// Reads all answers of a text; the first invalid row is an error. Use [`AnswersBuilder::read`] for more control.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(reader: impl Read, format: Format) -> Result<Self, ReadError> {
        let mut builder = AnswersBuilder::new();
        builder.read(reader, format, InvalidRows::Reject)?;
        Ok(builder.finish()?)
    }
}

impl AnswersBuilder {
    /// Adds all answers of a text. May be called for one text after another.
    ///
    /// # Errors
    /// [`ReadError`]; rows before the failing one have been added.
    pub fn read(
        &mut self,
        reader: impl Read,
        format: Format,
        invalid: InvalidRows,
    ) -> Result<ReadReport, ReadError> {
        match format {
            Format::Csv => self.read_table(reader, b',', invalid),
            Format::Tsv => self.read_table(reader, b'\t', invalid),
            Format::JsonLines => self.read_json_lines(reader, invalid),
        }
    }

    fn read_table(
        &mut self,
        reader: impl Read,
        separator: u8,
        invalid: InvalidRows,
    ) -> Result<ReadReport, ReadError> {
        // Only `\n` ends a row here, and the last row has one for sure: with `\r\n` as one terminator the line number
        // behind a row would depend on which of the two it ended in. The `\r` is taken off the last cell instead.
        let mut table = csv::ReaderBuilder::new()
            .delimiter(separator)
            .terminator(Terminator::Any(b'\n'))
            .flexible(true)
            .from_reader(reader.chain(b"\n".as_slice()));
        let columns = Columns::find(table.headers()?)?;
        let mut report = ReadReport::default();
        let mut record = ByteRecord::new();
        let mut task = String::new();
        while table.read_byte_record(&mut record)? {
            if record.as_slice() == b"\r" {
                continue;
            }
            let outcome = columns.row(&record, &mut task).and_then(|row| match row {
                Row::Golden => Ok(false),
                Row::Answer { worker, label } => {
                    Ok(self.push(&task, worker, label).map(|()| true)?)
                }
            });
            count(
                &mut report,
                || first_line(&record, table.position()),
                outcome,
                invalid,
            )?;
        }
        Ok(report)
    }

    fn read_json_lines(
        &mut self,
        reader: impl Read,
        invalid: InvalidRows,
    ) -> Result<ReadReport, ReadError> {
        let mut reader = BufReader::new(reader);
        let mut report = ReadReport::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            let row = if line == 1 {
                text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text)
            } else {
                &text
            };
            if row.trim_ascii().is_empty() {
                continue;
            }
            let outcome = json_row(row)
                .and_then(
                    |JsonRow {
                         task,
                         worker,
                         label,
                     }| Ok(self.push(&task.0, &worker.0, &label.0)?),
                )
                .map(|()| true);
            count(&mut report, || line, outcome, invalid)?;
        }
        Ok(report)
    }
}

/// Counts a row; `outcome` says whether it became an answer.
fn count(
    report: &mut ReadReport,
    line: impl Fn() -> u64,
    outcome: Result<bool, RowProblem>,
    invalid: InvalidRows,
) -> Result<(), BadRow> {
    match (outcome, invalid) {
        (Ok(true), _) => report.answers += 1,
        (Ok(false), _) => report.golden += 1,
        (Err(problem), InvalidRows::Skip) => report.skip(BadRow {
            line: line(),
            problem,
        }),
        (Err(problem), InvalidRows::Reject) => {
            return Err(BadRow {
                line: line(),
                problem,
            });
        }
    }
    Ok(())
}

/// The line that a record starts on, given the position behind it. The record's own position does not do: it lies
/// before the empty lines that were passed over.
fn first_line(record: &ByteRecord, behind: &Position) -> u64 {
    let inside = record
        .as_slice()
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    behind
        .line()
        .saturating_sub(1 + u64::try_from(inside).unwrap_or_default())
}

/// Where a table has what.
#[derive(Debug)]
struct Columns {
    /// The name and index of the columns that make the task.
    task: Vec<(String, usize)>,
    worker: usize,
    label: usize,
    /// A row with text in one of these is a control task.
    golden: Vec<usize>,
    width: usize,
}

/// A table's row, but for its task.
enum Row<'a> {
    Golden,
    Answer { worker: &'a str, label: &'a str },
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, HeaderError> {
        let names: Vec<&str> = header.iter().map(str::trim).collect();
        let width = names.len();
        let starting = |prefix: &str| -> Vec<(String, usize)> {
            let field = |(index, name): (usize, &&str)| {
                Some((name.strip_prefix(prefix)?.to_owned(), index))
            };
            names.iter().enumerate().filter_map(field).collect()
        };
        let outputs = starting("OUTPUT:");
        let inputs = starting("INPUT:");
        let toloka = !outputs.is_empty() || !inputs.is_empty();
        if !toloka || names.contains(&"task") {
            let task = vec![("task".to_owned(), only(&names, "task")?)];
            let (worker, label) = (only(&names, "worker")?, only(&names, "label")?);
            return Ok(Self {
                task,
                worker,
                label,
                golden: Vec::new(),
                width,
            });
        }
        if inputs.is_empty() {
            return Err(missing(&names, "INPUT:…"));
        }
        let &[(_, label)] = outputs.as_slice() else {
            return Err(HeaderError::Outputs {
                columns: outputs.into_iter().map(|(name, _)| name).collect(),
            });
        };
        let worker = only(&names, "ASSIGNMENT:worker_id")?;
        let golden = starting("GOLDEN:")
            .into_iter()
            .map(|(_, index)| index)
            .collect();
        Ok(Self {
            task: inputs,
            worker,
            label,
            golden,
            width,
        })
    }

    /// Reads a row; the task goes into `task`, whose memory is used again.
    fn row<'a>(&self, record: &'a ByteRecord, task: &mut String) -> Result<Row<'a>, RowProblem> {
        if record.len() != self.width {
            return Err(RowProblem::Cells {
                found: record.len(),
                expected: self.width,
            });
        }
        let bytes = |index: usize| {
            let cell = record.get(index).unwrap_or_default();
            if index + 1 == self.width {
                cell.strip_suffix(b"\r").unwrap_or(cell)
            } else {
                cell
            }
        };
        let text =
            |index: usize| std::str::from_utf8(bytes(index)).map_err(|_| RowProblem::NotUtf8);
        if self.golden.iter().any(|&index| !bytes(index).is_empty()) {
            return Ok(Row::Golden);
        }
        task.clear();
        if let &[(_, index)] = self.task.as_slice() {
            task.push_str(text(index)?);
        } else {
            let mut fields = BTreeMap::new();
            for (name, index) in &self.task {
                fields.insert(name.as_str(), text(*index)?);
            }
            fields.retain(|_, value| !value.is_empty());
            if !fields.is_empty() {
                task.push_str(
                    &serde_json::to_string(&fields)
                        .map_err(|error| RowProblem::Json(error.to_string()))?,
                );
            }
        }
        Ok(Row::Answer {
            worker: text(self.worker)?,
            label: text(self.label)?,
        })
    }
}

/// The index of a column that must exist once.
fn only(names: &[&str], column: &'static str) -> Result<usize, HeaderError> {
    let mut found = names
        .iter()
        .enumerate()
        .filter(|&(_, &name)| name == column)
        .map(|(index, _)| index);
    match (found.next(), found.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => Err(missing(names, column)),
        (Some(_), Some(_)) => Err(HeaderError::Repeated {
            column: column.to_owned(),
        }),
    }
}

fn missing(names: &[&str], column: &'static str) -> HeaderError {
    HeaderError::Missing {
        column,
        columns: names.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[derive(Deserialize)]
struct JsonRow {
    task: Text,
    worker: Text,
    label: Text,
}

fn json_row(row: &[u8]) -> Result<JsonRow, RowProblem> {
    let row = std::str::from_utf8(row).map_err(|_| RowProblem::NotUtf8)?;
    serde_json::from_str(row).map_err(|error| {
        // The parser sees one line and calls it the first; the line's real number is reported with the row.
        let message = error.to_string();
        let reason = message.split(" at line ").next().unwrap_or_default();
        RowProblem::Json(format!("{reason} at column {}", error.column()))
    })
}

/// A JSON text, number or boolean as text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a text, a number or a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Text, E> {
        Ok(Text(value.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Text, E> {
        if value.is_finite() {
            Ok(Text(value.to_string()))
        } else {
            Err(E::custom("the number is too large"))
        }
    }
}
