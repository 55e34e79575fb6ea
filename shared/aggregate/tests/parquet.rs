//! Answers from Parquet files.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use quorate_aggregate::{
    Answers, AnswersBuilder, AnswersError, HeaderError, InvalidRows, Place, ReadError, RowProblem,
};

type Group<'a> = SerializedRowGroupWriter<'a, File>;

/// Writes a file of several groups of rows.
fn file(schema: &str, compression: Compression, groups: &[&dyn Fn(&mut Group<'_>)]) -> File {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut file = tempfile::tempfile().unwrap();
    let mut writer = SerializedFileWriter::new(
        file.try_clone().unwrap(),
        Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).unwrap()),
        Arc::new(properties),
    )
    .unwrap();
    for write in groups {
        let mut group = writer.next_row_group().unwrap();
        write(&mut group);
        group.close().unwrap();
    }
    writer.close().unwrap();
    file.rewind().unwrap();
    file
}

/// Writes the next column: a value for every row that is not null.
fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(values, levels, None)
        .unwrap();
    column.close().unwrap();
}

fn texts<const N: usize>(texts: [&str; N]) -> [ByteArray; N] {
    texts.map(ByteArray::from)
}

fn rows(answers: &Answers) -> Vec<(&str, &str, &str)> {
    let mut rows = Vec::new();
    for (index, task) in answers.tasks().iter().enumerate() {
        for (worker, label) in answers.of_task(index) {
            rows.push((task, &answers.workers()[worker], &answers.labels()[label]));
        }
    }
    rows
}

fn read(file: File) -> Result<Answers, ReadError> {
    let mut builder = AnswersBuilder::new();
    builder.read_parquet(file, InvalidRows::Reject)?;
    Ok(builder.finish()?)
}

#[test]
fn texts_integers_and_booleans_in_any_order_and_compression() {
    let schema = "required boolean label; required double score; optional int64 worker (INTEGER(64,false)); \
        required binary task (STRING);";
    let one = |group: &mut Group<'_>| {
        column::<BoolType>(group, &[true, false, true], None);
        column::<DoubleType>(group, &[0.1, 0.2, 0.3], None);
        column::<Int64Type>(group, &[7, -1, 7], Some(&[1, 1, 1]));
        column::<ByteArrayType>(group, &texts(["b", "a", "a"]), None);
    };
    let other = |group: &mut Group<'_>| {
        column::<BoolType>(group, &[false], None);
        column::<DoubleType>(group, &[0.4], None);
        column::<Int64Type>(group, &[8], Some(&[1]));
        column::<ByteArrayType>(group, &texts(["é"]), None);
    };
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let answers = read(file(schema, compression, &[&one, &other])).unwrap();
        assert_eq!(
            rows(&answers),
            [
                ("a", "18446744073709551615", "false"),
                ("a", "7", "true"),
                ("b", "7", "true"),
                ("é", "8", "false"),
            ],
            "{compression:?}"
        );
    }
}

/// More rows than are decoded at a time, of few distinct texts, which writers keep as a dictionary.
#[test]
fn many_rows_with_dictionaries() {
    let count = 20_000_i32;
    let write = |group: &mut Group<'_>| {
        let tasks: Vec<i32> = (0..count).map(|row| row / 2 - 5).collect();
        let text = |text: String| ByteArray::from(text.as_str());
        let workers: Vec<_> = (0..count)
            .map(|row| text(format!("w{}", row % 3)))
            .collect();
        let labels: Vec<_> = (0..count)
            .map(|row| text(format!("l{}", row % 7)))
            .collect();
        column::<Int32Type>(group, &tasks, None);
        column::<ByteArrayType>(group, &workers, None);
        column::<ByteArrayType>(group, &labels, None);
    };
    let schema = "required int32 task; required binary worker; required binary label (ENUM);";
    let answers = read(file(schema, Compression::SNAPPY, &[&write])).unwrap();
    assert_eq!(answers.len(), 20_000);
    let mut expected: Vec<_> = (0..count)
        .map(|row| {
            (
                row / 2 - 5,
                format!("w{}", row % 3),
                format!("l{}", row % 7),
            )
        })
        .collect();
    expected.sort();
    for ((task, worker, label), expected) in rows(&answers).into_iter().zip(expected) {
        assert_eq!(
            (task.parse().unwrap(), worker.to_owned(), label.to_owned()),
            expected
        );
    }
}

#[test]
fn a_bad_row_is_named_by_its_number() {
    let schema = "optional binary task (STRING); optional int32 worker; optional binary label;";
    let one = |group: &mut Group<'_>| {
        column::<ByteArrayType>(group, &texts(["1", "1", ""]), Some(&[1, 1, 1]));
        column::<Int32Type>(group, &[5, 6], Some(&[1, 0, 1]));
        column::<ByteArrayType>(group, &texts(["a", "b", "b"]), Some(&[1, 1, 1]));
    };
    let other = |group: &mut Group<'_>| {
        column::<ByteArrayType>(group, &texts(["2", "2"]), Some(&[1, 1]));
        column::<Int32Type>(group, &[5, 6], Some(&[1, 1]));
        let labels = [ByteArray::from(b"\xff".to_vec()), ByteArray::from("b")];
        column::<ByteArrayType>(group, &labels, Some(&[1, 1]));
    };
    let file = || file(schema, Compression::UNCOMPRESSED, &[&one, &other]);
    let mut builder = AnswersBuilder::new();
    let report = builder.read_parquet(file(), InvalidRows::Skip).unwrap();
    assert_eq!((report.answers, report.skipped), (2, 3));
    let skipped: Vec<_> = report
        .first_skipped
        .into_iter()
        .map(|row| (row.place, row.problem))
        .collect();
    assert_eq!(
        skipped,
        [
            (Place::Row(2), RowProblem::Null { column: "worker" }),
            (
                Place::Row(3),
                RowProblem::Answer(AnswersError::Empty { what: "task" })
            ),
            (
                Place::Row(4),
                RowProblem::Answer(AnswersError::NotUtf8 { what: "label" })
            ),
        ]
    );
    assert_eq!(
        rows(&builder.finish().unwrap()),
        [("1", "5", "a"), ("2", "6", "b")]
    );
    let error = read(file()).unwrap_err();
    assert_eq!(error.to_string(), "row 2: the worker is null");
}

#[test]
fn columns_that_do_not_do_are_explained() {
    let error = |schema: &str| match read(file(schema, Compression::UNCOMPRESSED, &[])) {
        Err(ReadError::Header(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error(
            "required int32 task; required int32 label; required group worker { required int32 id; }"
        ),
        HeaderError::Missing {
            column: "worker",
            columns: ["task", "label", "worker.id"].map(str::to_owned).to_vec(),
        }
    );
    for (kind, found) in [
        ("required double task;", "DOUBLE"),
        ("repeated int32 task;", "INT32"),
        ("required int32 task (DATE);", "Date"),
        ("required int64 task (TIMESTAMP(NANOS,true));", "Timestamp"),
    ] {
        let schema = format!("{kind} required int32 worker; required int32 label;");
        match error(&schema) {
            HeaderError::Type {
                column: "task",
                found: name,
            } => assert!(name.contains(found), "{name}"),
            other => panic!("{kind} {other:?}"),
        }
    }
}

#[test]
fn what_is_no_parquet_file_is_an_error() {
    let mut text = tempfile::tempfile().unwrap();
    text.write_all(b"task,worker,label\n1,a,x\n").unwrap();
    assert!(matches!(read(text), Err(ReadError::Io(_))));
}
