//! The answers of a pool as a table, read while it arrives.

use std::{collections::HashMap, mem, sync::Arc};

use bytes::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use futures_util::stream::{self, Stream};
use reqwest::Response;

use super::{query::Pairs, transport::transport_error};
use crate::{
    Error,
    error::Call,
    types::{Time, open_enum::open_enum},
};

/// The longest row that is read: several times what the platform accepts as one answer.
const LONGEST_ROW: usize = 32 << 20;

/// The most cells of a row that are read: more columns than any project has fields.
const MOST_CELLS: usize = 1 << 16;

open_enum! {
    /// The state of an assignment in the words of the download.
    TsvStatus {
        /// Accepted; other parts of the API say `ACCEPTED`.
        Approved = "APPROVED",
        /// The worker has it.
        Active = "ACTIVE",
        /// It waits for review.
        Submitted = "SUBMITTED",
        /// Rejected.
        Rejected = "REJECTED",
        /// The worker skipped it.
        Skipped = "SKIPPED",
        /// Its time ran out.
        Expired = "EXPIRED",
    }
}

open_enum! {
    /// A column about the assignment.
    TsvColumn {
        /// A link to the assignment in the web interface.
        Link = "ASSIGNMENT:link",
        /// The assignment.
        AssignmentId = "ASSIGNMENT:assignment_id",
        /// The task.
        TaskId = "ASSIGNMENT:task_id",
        /// The task suite.
        TaskSuiteId = "ASSIGNMENT:task_suite_id",
        /// The worker.
        WorkerId = "ASSIGNMENT:worker_id",
        /// The state.
        Status = "ASSIGNMENT:status",
        /// When it was taken.
        Started = "ASSIGNMENT:started",
        /// When it was submitted.
        Submitted = "ASSIGNMENT:submitted",
        /// When it was accepted.
        Accepted = "ASSIGNMENT:accepted",
        /// When it was rejected.
        Rejected = "ASSIGNMENT:rejected",
        /// When it was skipped.
        Skipped = "ASSIGNMENT:skipped",
        /// When it ran out.
        Expired = "ASSIGNMENT:expired",
        /// The price.
        Reward = "ASSIGNMENT:reward",
    }
}

/// Which rows and columns. By default accepted answers with link, assignment, worker, state and
/// time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsvQuery {
    /// Assignments in one of these states; in any when empty.
    pub status: Vec<TsvStatus>,
    /// Assignments taken at this time or later.
    pub start_time_from: Option<Time>,
    /// Assignments taken at this time or earlier.
    pub start_time_to: Option<Time>,
    /// Whether to leave out workers who are banned.
    pub exclude_banned: Option<bool>,
    /// The columns about the assignment.
    pub columns: Vec<TsvColumn>,
}

impl Default for TsvQuery {
    fn default() -> Self {
        Self {
            status: vec![TsvStatus::Approved],
            start_time_from: None,
            start_time_to: None,
            exclude_banned: None,
            columns: vec![
                TsvColumn::Link,
                TsvColumn::AssignmentId,
                TsvColumn::WorkerId,
                TsvColumn::Status,
                TsvColumn::Started,
            ],
        }
    }
}

impl TsvQuery {
    pub(super) fn pairs(&self) -> Pairs {
        let status: Vec<_> = self.status.iter().map(TsvStatus::as_str).collect();
        let columns: Vec<_> = self.columns.iter().map(TsvColumn::as_str).collect();
        Pairs::default()
            .add("status", status.join(","))
            .add_some("startTimeFrom", self.start_time_from)
            .add_some("startTimeTo", self.start_time_to)
            .add_some("excludeBanned", self.exclude_banned)
            .add("field", columns.join(","))
            .add("addRowDelimiter", false)
    }
}

/// A table of answers that is being downloaded.
#[derive(Debug)]
pub struct AssignmentsTsv {
    call: Call,
    response: Response,
    parser: Parser,
    chunk: Bytes,
    header: Arc<Header>,
    rows: u64,
}

#[derive(Debug, Default)]
struct Header {
    names: Vec<String>,
    index: HashMap<String, usize>,
}

/// One row: the answer of one worker to one task.
#[derive(Clone, Debug)]
pub struct TsvRow {
    header: Arc<Header>,
    cells: Vec<String>,
}

impl TsvRow {
    /// A cell by the name of its column, such as `INPUT:image`; `None` when it is empty or there
    /// is no such column. Arrays and JSON values are JSON text.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        let cell = self.cells.get(*self.header.index.get(column)?)?;
        Some(cell.as_str()).filter(|cell| !cell.is_empty())
    }

    /// A column about the assignment.
    #[must_use]
    pub fn assignment(&self, column: &TsvColumn) -> Option<&str> {
        self.get(column.as_str())
    }

    /// The cells with a value of the columns that begin with a prefix such as `INPUT:`, `OUTPUT:`
    /// or `GOLDEN:`, by the rest of the name.
    pub fn group<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.header.names.iter().zip(&self.cells);
        named.filter_map(move |(name, cell)| {
            let name = name.strip_prefix(prefix)?;
            (!cell.is_empty()).then_some((name, cell.as_str()))
        })
    }

    /// Whether the row answers a control or training task, whose solution is known.
    #[must_use]
    pub fn is_golden(&self) -> bool {
        self.group("GOLDEN:").next().is_some()
    }
}

impl AssignmentsTsv {
    pub(super) async fn open(call: Call, response: Response) -> Result<Self, Error> {
        let (parser, chunk, header) = (Parser::new(), Bytes::new(), Arc::default());
        let mut table = Self {
            call,
            response,
            parser,
            chunk,
            header,
            rows: 0,
        };
        let names = table.next_record().await?.unwrap_or_default();
        let index = names
            .iter()
            .cloned()
            .enumerate()
            .map(|(index, name)| (name, index))
            .collect();
        table.header = Arc::new(Header { names, index });
        Ok(table)
    }

    /// The names of the columns; empty for an empty answer.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.header.names
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Transport`] when the download breaks off, [`Error::Decode`] when it is no table.
    /// The rows before were good; start again.
    pub async fn next_row(&mut self) -> Result<Option<TsvRow>, Error> {
        let Some(cells) = self.next_record().await? else {
            return Ok(None);
        };
        self.rows += 1;
        if cells.len() != self.header.names.len() {
            let reason = format!(
                "{} cells under {} columns",
                cells.len(),
                self.header.names.len()
            );
            return Err(self.decode_error(reason));
        }
        Ok(Some(TsvRow {
            header: Arc::clone(&self.header),
            cells,
        }))
    }

    /// The rows as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<TsvRow, Error>> + Send {
        stream::try_unfold(self, |mut table| async move {
            Ok(table.next_row().await?.map(|row| (row, table)))
        })
    }

    async fn next_record(&mut self) -> Result<Option<Vec<String>>, Error> {
        loop {
            match self.parser.push(&mut self.chunk) {
                Ok(Parsed::Record(cells)) => return Ok(Some(cells)),
                Ok(Parsed::End) => return Ok(None),
                Ok(Parsed::NeedsMore) => {}
                Err(reason) => return Err(self.decode_error(reason)),
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => self.parser.ended = true,
                Err(source) => return Err(transport_error(self.call.clone(), source)),
            }
        }
    }

    fn decode_error(&self, reason: String) -> Error {
        Error::Decode {
            call: self.call.clone(),
            at: format!("row {}", self.rows),
            reason,
        }
    }
}

/// Rows out of chunks of bytes, which may end anywhere.
struct Parser {
    /// The first bytes, until they are more than a byte order mark: the reader passes over one
    /// only when it gets it whole, and takes one alone for an empty table.
    head: Option<Vec<u8>>,
    reader: Reader,
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    ends_used: usize,
    ended: bool,
}

enum Parsed {
    Record(Vec<String>),
    NeedsMore,
    End,
}

impl Parser {
    fn new() -> Self {
        Self {
            head: Some(Vec::new()),
            reader: ReaderBuilder::new().delimiter(b'\t').build(),
            bytes: vec![0; 4096],
            used: 0,
            ends: vec![0; 64],
            ends_used: 0,
            ended: false,
        }
    }

    /// Reads from the front of `input` until a row is complete or the input is used up.
    fn push(&mut self, input: &mut Bytes) -> Result<Parsed, String> {
        loop {
            if let Some(mut head) = self.head.take() {
                head.extend_from_slice(&mem::take(input));
                if head.len() <= 3 && !self.ended {
                    self.head = Some(head);
                    return Ok(Parsed::NeedsMore);
                }
                *input = head.into();
            }
            if input.is_empty() && !self.ended {
                return Ok(Parsed::NeedsMore);
            }
            let bytes = self.bytes.get_mut(self.used..).unwrap_or_default();
            let ends = self.ends.get_mut(self.ends_used..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(input, bytes, ends);
            drop(input.split_to(read));
            self.used += written;
            self.ends_used += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.bytes.len() >= LONGEST_ROW => {
                    return Err(format!("a row is longer than {LONGEST_ROW} bytes"));
                }
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MOST_CELLS => {
                    return Err(format!("a row has more than {MOST_CELLS} cells"));
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return self.take().map(Parsed::Record),
                ReadRecordResult::End => return Ok(Parsed::End),
            }
        }
    }

    /// The row that has just been completed.
    fn take(&mut self) -> Result<Vec<String>, String> {
        let (ends_used, _) = (mem::take(&mut self.ends_used), mem::take(&mut self.used));
        let mut start = 0;
        let mut cells = Vec::with_capacity(ends_used);
        for &end in self.ends.iter().take(ends_used) {
            let cell = self.bytes.get(start..end).unwrap_or_default();
            let text = std::str::from_utf8(cell).map_err(|error| format!("not UTF-8: {error}"))?;
            cells.push(text.to_owned());
            start = end;
        }
        Ok(cells)
    }
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of the parser when the table arrives in pieces of the given lengths, and why it ended
    /// before the table did.
    fn try_parse(table: &[u8], pieces: &[usize]) -> (Vec<Vec<String>>, Option<String>) {
        let mut parser = Parser::new();
        let mut rest = Bytes::copy_from_slice(table);
        let mut lengths = pieces.iter().copied().cycle();
        let mut chunk = Bytes::new();
        let mut rows = Vec::new();
        loop {
            match parser.push(&mut chunk) {
                Ok(Parsed::Record(row)) => rows.push(row),
                Ok(Parsed::End) => return (rows, None),
                Ok(Parsed::NeedsMore) => {
                    parser.ended = rest.is_empty();
                    let length = lengths.next().unwrap_or(1).max(1).min(rest.len());
                    chunk = rest.split_to(length);
                }
                Err(reason) => return (rows, Some(reason)),
            }
        }
    }

    fn parse(table: &[u8], pieces: &[usize]) -> Vec<Vec<String>> {
        let (rows, error) = try_parse(table, pieces);
        assert_eq!(error, None);
        rows
    }

    /// What the `csv` crate reads, until a row is not text.
    fn reference(table: &[u8]) -> (Vec<Vec<String>>, bool) {
        let reader = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            .has_headers(false)
            .flexible(true)
            .from_reader(table);
        let mut rows = Vec::new();
        for row in reader.into_byte_records() {
            let cells = row.unwrap();
            let texts = cells.iter().map(|cell| String::from_utf8(cell.to_vec()));
            match texts.collect() {
                Ok(texts) => rows.push(texts),
                Err(_) => return (rows, true),
            }
        }
        (rows, false)
    }

    /// Any bytes, in pieces of any length. The first byte says how the table is cut.
    fn check_any(input: &[u8]) {
        let (cut, table) = input.split_at(input.len().min(3));
        let pieces: Vec<usize> = cut.iter().map(|byte| usize::from(*byte % 40)).collect();
        let (rows, error) = try_parse(table, &pieces);
        let (expected, broken) = reference(table);
        assert_eq!((rows, error.is_some()), (expected, broken), "{input:?}");
    }

    /// What the `csv` crate writes for these rows.
    fn written(rows: &[Vec<String>]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(b'\t')
            .from_writer(Vec::new());
        for row in rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    }

    proptest! {
        #[test]
        fn rows_survive_however_the_download_is_cut(
            rows in prop::collection::vec(prop::collection::vec("[a-z\t\n\r\"é ]{0,12}", 3), 1..8),
            pieces in prop::collection::vec(1usize..9, 1..5),
        ) {
            prop_assert_eq!(parse(&written(&rows), &pieces), rows);
        }
    }

    /// The same inputs every time; `FUZZ_SEED` and `FUZZ_INPUTS` make others, and more.
    #[test]
    fn any_bytes_are_read_as_by_the_csv_crate() {
        // Half of the bytes mean something in a table.
        const OF_TABLES: &[u8] = b"\t\t\t\"\"\"\n\n\r\r a\xc3\xa9\xef\xbb\xbf\0";
        let setting = |name, otherwise| {
            std::env::var(name).map_or(otherwise, |text: String| text.parse().unwrap())
        };
        let first: u64 = setting("FUZZ_SEED", 0);
        for seed in first..first + setting("FUZZ_INPUTS", 5_000) {
            let mut random = proptest::test_runner::TestRng::from_seed(
                proptest::test_runner::RngAlgorithm::ChaCha,
                &[seed.to_le_bytes(), [0; 8], [0; 8], [0; 8]].concat(),
            );
            let length = random.next_u32() as usize % 120;
            let input = (0..length).map(|_| match random.next_u32().to_le_bytes() {
                [which, 0..=127, ..] => OF_TABLES[usize::from(which) % OF_TABLES.len()],
                [byte, ..] => byte,
            });
            let mut input: Vec<u8> = input.collect();
            if seed % 8 == 0 {
                drop(input.splice(0..0, *b"\x01\x01\x01\xef\xbb\xbf"));
            }
            check_any(&input);
        }
    }

    #[test]
    fn a_row_may_be_longer_than_the_buffer() {
        let rows = vec![
            vec!["x".repeat(100_000), "y".into()],
            vec![String::new(), "z".into()],
        ];
        assert_eq!(parse(&written(&rows), &[777]), rows);
    }

    #[test]
    fn a_long_table_takes_no_more_memory_than_its_longest_row() {
        let mut parser = Parser::new();
        let memory = |parser: &Parser| (parser.bytes.len(), parser.ends.len());
        let before = memory(&parser);
        let row = Bytes::from_static(b"image.jpg\tcat\t\"two\nlines\"\n");
        for _ in 0..20_000 {
            let mut chunk = row.clone();
            assert!(
                matches!(parser.push(&mut chunk), Ok(Parsed::Record(cells)) if cells.len() == 3)
            );
        }
        assert_eq!(memory(&parser), before);
    }

    #[test]
    fn a_row_of_cells_without_end_is_refused() {
        let mut parser = Parser::new();
        let mut row = Bytes::from(vec![b'\t'; 2 * MOST_CELLS]);
        assert!(parser.push(&mut row).is_err());
        assert!(parser.ends.len() <= MOST_CELLS);
    }

    #[test]
    fn the_last_row_needs_no_line_end() {
        assert_eq!(parse(b"a\tb\n1\t2", &[3]), [["a", "b"], ["1", "2"]]);
    }
}
