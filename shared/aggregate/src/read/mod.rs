//! Answers from text: tables and JSON lines, some rows at a time, never the whole text at once. With the feature
//! `parquet`, also from Parquet files.

mod json_lines;
#[cfg(feature = "parquet")]
mod parquet;
mod table;

use std::fmt;
use std::io::Read;

use crate::answers::{Answers, AnswersBuilder, AnswersError, RawAnswer};

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

    /// Counts a row that is invalid.
    fn skip(&mut self, row: BadRow, invalid: InvalidRows) -> Result<(), BadRow> {
        if invalid == InvalidRows::Reject {
            return Err(row);
        }
        self.skipped += 1;
        if self.first_skipped.len() < Self::SHOWN {
            self.first_skipped.push(row);
        }
        Ok(())
    }
}

/// A row as it was read.
type Row<'a> = Result<Content<'a>, RowProblem>;

/// What is in a row.
enum Content<'a> {
    Answer(RawAnswer<'a>),
    /// A control task.
    Golden,
}

/// A row that is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BadRow {
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub problem: RowProblem,
}

/// Where a row is; the first of all is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The line of a text that the row starts on.
    Line(u64),
    /// The row of a file that has no lines.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Row(row) => write!(formatter, "row {row}"),
        }
    }
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
    /// There is nothing in a column that an answer needs.
    #[error("the {column} is null")]
    Null {
        /// `task`, `worker` or `label`.
        column: &'static str,
    },
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
    /// A Parquet column holds something else than an answer's parts.
    #[error("the column {column:?} holds no texts, integers or booleans but {found}")]
    Type {
        /// The column.
        column: &'static str,
        /// Its type, as Parquet names it.
        found: String,
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

    /// Adds rows and counts them; `place` tells where each of them is.
    fn add_rows(
        &mut self,
        rows: Vec<Row<'_>>,
        place: impl Fn(usize) -> Place,
        invalid: InvalidRows,
        report: &mut ReadReport,
    ) -> Result<(), BadRow> {
        let answers = rows.iter().filter_map(|row| match row {
            Ok(Content::Answer(answer)) => Some(answer),
            _ => None,
        });
        let mut known = self.look_up_all(answers).into_iter();
        for (index, row) in rows.iter().enumerate() {
            let problem = match row {
                Ok(Content::Golden) => {
                    report.golden += 1;
                    continue;
                }
                Ok(Content::Answer(answer)) => {
                    match self.push_raw(answer, known.next().unwrap_or_default()) {
                        Ok(()) => {
                            report.answers += 1;
                            continue;
                        }
                        Err(error) => error.into(),
                    }
                }
                Err(problem) => problem.clone(),
            };
            let place = place(index);
            report.skip(BadRow { place, problem }, invalid)?;
        }
        Ok(())
    }
}
