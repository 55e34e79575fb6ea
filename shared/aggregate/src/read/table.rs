//! Tables: comma- or tab-separated, of our own columns or Toloka's.

use std::collections::BTreeMap;
use std::io::Read;

use csv::{ByteRecord, Position, StringRecord, Terminator};

use super::{HeaderError, InvalidRows, Place, ReadError, ReadReport, RowProblem};
use crate::answers::AnswersBuilder;

/// How much is read at a time.
const BUFFER: usize = 1 << 18;

impl From<csv::Error> for ReadError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

impl AnswersBuilder {
    pub(super) fn read_table(
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
            .buffer_capacity(BUFFER)
            .from_reader(reader.chain(b"\n".as_slice()));
        let columns = Columns::find(table.headers()?)?;
        let mut report = ReadReport::default();
        let mut record = ByteRecord::new();
        let mut task = Vec::new();
        while table.read_byte_record(&mut record)? {
            if record.as_slice() == b"\r" {
                continue;
            }
            let outcome = columns.row(&record, &mut task).and_then(|row| match row {
                Row::Golden => Ok(false),
                Row::Answer {
                    task,
                    worker,
                    label,
                } => Ok(self.push_bytes(task, worker, label).map(|()| true)?),
            });
            let line = || Place::Line(first_line(&record, table.position()));
            report.count(line, outcome, invalid)?;
        }
        Ok(report)
    }
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

/// A table's row.
enum Row<'a> {
    Golden,
    Answer {
        task: &'a [u8],
        worker: &'a [u8],
        label: &'a [u8],
    },
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

    /// Reads a row; a task of several columns goes into `memory`.
    fn row<'a>(
        &self,
        record: &'a ByteRecord,
        memory: &'a mut Vec<u8>,
    ) -> Result<Row<'a>, RowProblem> {
        if record.len() != self.width {
            return Err(RowProblem::Cells {
                found: record.len(),
                expected: self.width,
            });
        }
        let cell = |index: usize| {
            let cell = record.get(index).unwrap_or_default();
            if index + 1 == self.width {
                cell.strip_suffix(b"\r").unwrap_or(cell)
            } else {
                cell
            }
        };
        if self.golden.iter().any(|&index| !cell(index).is_empty()) {
            return Ok(Row::Golden);
        }
        let task = if let &[(_, index)] = self.task.as_slice() {
            cell(index)
        } else {
            memory.clear();
            self.join_task(cell, memory)?;
            memory
        };
        Ok(Row::Answer {
            task,
            worker: cell(self.worker),
            label: cell(self.label),
        })
    }

    /// Writes the cells of a task's columns as a JSON object; nothing if all are empty.
    fn join_task<'a>(
        &self,
        cell: impl Fn(usize) -> &'a [u8],
        task: &mut Vec<u8>,
    ) -> Result<(), RowProblem> {
        let mut fields = BTreeMap::new();
        for (name, index) in &self.task {
            let text = std::str::from_utf8(cell(*index)).map_err(|_| RowProblem::NotUtf8)?;
            if !text.is_empty() {
                fields.insert(name.as_str(), text);
            }
        }
        if fields.is_empty() {
            return Ok(());
        }
        serde_json::to_writer(task, &fields).map_err(|error| RowProblem::Json(error.to_string()))
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
