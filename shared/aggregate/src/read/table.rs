//! Tables: comma- or tab-separated, of our own columns or Toloka's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use csv::{ByteRecord, Position, StringRecord, Terminator};

use super::{Content, HeaderError, InvalidRows, Place, ReadError, ReadReport, Row, RowProblem};
use crate::answers::{AnswersBuilder, RawAnswer};

/// How much is read at a time.
const BUFFER: usize = 1 << 18;

/// How many records are looked up together.
const BATCH: usize = 64;

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
        let mut records = vec![(ByteRecord::new(), Position::new()); BATCH];
        loop {
            let (len, end) = fill(&mut table, &mut records);
            let records = records.get(..len).unwrap_or_default();
            let rows = records.iter().map(|(record, _)| columns.row(record));
            let place = |index| {
                let record = records.get(index);
                Place::Line(record.map_or(0, |(record, behind)| first_line(record, behind)))
            };
            self.add_rows(rows.collect(), place, invalid, &mut report)?;
            end?;
            if len < BATCH {
                return Ok(report);
            }
        }
    }
}

/// Reads the next records, each with the position behind it, and gives their number; less than there is space for at
/// the end, or at an error.
fn fill(
    table: &mut csv::Reader<impl Read>,
    records: &mut [(ByteRecord, Position)],
) -> (usize, Result<(), csv::Error>) {
    let mut len = 0;
    while let Some((record, behind)) = records.get_mut(len) {
        match table.read_byte_record(record) {
            // An empty line.
            Ok(true) if record.as_slice() == b"\r" => {}
            Ok(true) => {
                behind.clone_from(table.position());
                len += 1;
            }
            Ok(false) => return (len, Ok(())),
            Err(error) => return (len, Err(error)),
        }
    }
    (len, Ok(()))
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

    fn row<'a>(&self, record: &'a ByteRecord) -> Row<'a> {
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
            return Ok(Content::Golden);
        }
        let task = match self.task.as_slice() {
            &[(_, index)] => Cow::Borrowed(cell(index)),
            columns => Cow::Owned(joined(columns, cell)?),
        };
        Ok(Content::Answer(RawAnswer {
            task,
            worker: cell(self.worker),
            label: cell(self.label),
        }))
    }
}

/// The cells of a task's columns as a JSON object; nothing if all are empty.
fn joined<'a>(
    columns: &[(String, usize)],
    cell: impl Fn(usize) -> &'a [u8],
) -> Result<Vec<u8>, RowProblem> {
    let mut fields = BTreeMap::new();
    for (name, index) in columns {
        let text = std::str::from_utf8(cell(*index)).map_err(|_| RowProblem::NotUtf8)?;
        if !text.is_empty() {
            fields.insert(name.as_str(), text);
        }
    }
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(&fields).map_err(|error| RowProblem::Json(error.to_string()))
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
