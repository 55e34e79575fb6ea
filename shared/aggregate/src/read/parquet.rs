//! Parquet files: the three columns side by side, a batch of rows at a time.

use std::fs::File;
use std::io::{self, Write};

use parquet::basic::{ConvertedType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::{Content, HeaderError, InvalidRows, Place, ReadError, ReadReport, Row, RowProblem};
use crate::answers::{AnswersBuilder, RawAnswer};

/// How many rows are decoded at a time.
const BATCH: usize = 1024;

impl From<ParquetError> for ReadError {
    fn from(error: ParquetError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

impl AnswersBuilder {
    /// Adds all answers of a Parquet file: the columns `task`, `worker` and `label` in any order among others, each of
    /// texts, integers or booleans. A row with a null in one of them is invalid. Needs the feature `parquet`.
    ///
    /// # Errors
    /// [`ReadError`]; rows before the failing one have been added.
    pub fn read_parquet(
        &mut self,
        file: File,
        invalid: InvalidRows,
    ) -> Result<ReadReport, ReadError> {
        let file = SerializedFileReader::new(file)?;
        let schema = file.metadata().file_metadata().schema_descr();
        let task = find(schema, "task")?;
        let worker = find(schema, "worker")?;
        let label = find(schema, "label")?;
        let mut report = ReadReport::default();
        let mut before = 0;
        for group in 0..file.num_row_groups() {
            let group = file.get_row_group(group)?;
            let open = |index: usize| {
                let reader = group.get_column_reader(index)?;
                Ok::<_, ParquetError>(Column::new(reader, &schema.column(index)))
            };
            let (mut task, mut worker, mut label) = (open(task)?, open(worker)?, open(label)?);
            loop {
                let len = task.read()?;
                if worker.read()? != len || label.read()? != len {
                    let problem = "the columns are of different lengths";
                    return Err(ParquetError::General(problem.to_owned()).into());
                }
                if len == 0 {
                    break;
                }
                let cells = task.cells().zip(worker.cells()).zip(label.cells());
                let rows = cells.map(|((task, worker), label)| row_of(task, worker, label));
                let place = |index| Place::Row(before + 1 + index as u64);
                self.add_rows(rows.collect(), place, invalid, &mut report)?;
                before += len as u64;
            }
        }
        Ok(report)
    }
}

fn row_of<'a>(
    task: Option<&'a [u8]>,
    worker: Option<&'a [u8]>,
    label: Option<&'a [u8]>,
) -> Row<'a> {
    let null = |column| RowProblem::Null { column };
    Ok(Content::Answer(RawAnswer {
        task: task.ok_or(null("task"))?.into(),
        worker: worker.ok_or(null("worker"))?,
        label: label.ok_or(null("label"))?,
    }))
}

/// The index of a column that must exist, with a type that can be read.
fn find(schema: &SchemaDescriptor, name: &'static str) -> Result<usize, HeaderError> {
    let mut columns = schema.columns().iter();
    let index = columns
        .position(|column| column.path().parts() == [name])
        .ok_or_else(|| HeaderError::Missing {
            column: name,
            columns: schema
                .columns()
                .iter()
                .map(|column| column.path().string())
                .collect(),
        })?;
    let column = schema.column(index);
    if is_readable(&column) {
        return Ok(index);
    }
    let found = match column.logical_type_ref() {
        Some(logical) => format!("{logical:?}"),
        None => column.physical_type().to_string(),
    };
    Err(HeaderError::Type {
        column: name,
        found,
    })
}

/// Whether the values are texts, integers or booleans, one a row: no dates that only look like integers.
fn is_readable(column: &ColumnDescriptor) -> bool {
    let plain = match column.converted_type() {
        // Newer types have no converted type.
        ConvertedType::NONE => column.logical_type_ref().is_none(),
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => true,
        ConvertedType::INT_8
        | ConvertedType::INT_16
        | ConvertedType::INT_32
        | ConvertedType::INT_64 => true,
        other => is_unsigned(other),
    };
    let physical = column.physical_type();
    plain
        && column.max_rep_level() == 0
        && matches!(
            physical,
            Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::BYTE_ARRAY
        )
}

fn is_unsigned(converted: ConvertedType) -> bool {
    matches!(
        converted,
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    )
}

/// A column of a group of rows.
struct Column {
    reader: ColumnReader,
    unsigned: bool,
    cells: Cells,
}

/// A batch of a column's cells, as text.
struct Cells {
    /// The level of a value that is not null.
    present: i16,
    levels: Vec<i16>,
    text: Vec<u8>,
    /// Where each cell ends in `text`; `None` for a null.
    ends: Vec<Option<usize>>,
}

impl Column {
    fn new(reader: ColumnReader, descriptor: &ColumnDescriptor) -> Self {
        Self {
            reader,
            unsigned: is_unsigned(descriptor.converted_type()),
            cells: Cells {
                present: descriptor.max_def_level(),
                levels: Vec::new(),
                text: Vec::new(),
                ends: Vec::new(),
            },
        }
    }

    /// The cells of the rows that were read; `None` for a null.
    fn cells(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.cells.ends.iter().map(move |end| {
            let cell = self.cells.text.get(start..(*end)?);
            start = (*end)?;
            cell
        })
    }

    /// Reads the next rows and gives their number; none at the end.
    fn read(&mut self) -> Result<usize, ParquetError> {
        let (cells, unsigned) = (&mut self.cells, self.unsigned);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                cells.fill(reader, |value, text| write!(text, "{value}"))
            }
            ColumnReader::Int32ColumnReader(reader) if unsigned => cells
                .fill(reader, |value, text| {
                    write!(text, "{}", value.cast_unsigned())
                }),
            ColumnReader::Int32ColumnReader(reader) => {
                cells.fill(reader, |value, text| write!(text, "{value}"))
            }
            ColumnReader::Int64ColumnReader(reader) if unsigned => cells
                .fill(reader, |value, text| {
                    write!(text, "{}", value.cast_unsigned())
                }),
            ColumnReader::Int64ColumnReader(reader) => {
                cells.fill(reader, |value, text| write!(text, "{value}"))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                cells.fill(reader, |value, text| text.write_all(value.data()))
            }
            // Not let in by `is_readable`.
            _ => Err(ParquetError::NYI("columns of this type".to_owned())),
        }
    }
}

impl Cells {
    fn fill<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        write: impl Fn(&T::T, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<usize, ParquetError> {
        self.levels.clear();
        self.text.clear();
        self.ends.clear();
        let mut values = Vec::new();
        let (rows, ..) = reader.read_records(BATCH, Some(&mut self.levels), None, &mut values)?;
        // Without nulls there are no levels.
        self.levels.resize(rows, self.present);
        let mut values = values.iter();
        for &level in &self.levels {
            let value = (level == self.present).then(|| values.next()).flatten();
            if let Some(value) = value {
                write(value, &mut self.text)?;
            }
            self.ends.push(value.map(|_| self.text.len()));
        }
        Ok(rows)
    }
}
