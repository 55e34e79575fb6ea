//! What holds for answers however they were collected.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use proptest::prelude::*;
use quorate_aggregate::{Answers, AnswersBuilder, AnswersError, Format, Ids, InvalidRows};

type Row = (String, String, String);

fn build(rows: &[Row]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder.push(task, worker, label).unwrap();
    }
    builder.finish().unwrap()
}

fn rows_of(answers: &Answers) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, task) in answers.tasks().iter().enumerate() {
        for (worker, label) in answers.of_task(index) {
            let (worker, label) = (&answers.workers()[worker], &answers.labels()[label]);
            rows.push((task.to_owned(), worker.to_owned(), label.to_owned()));
        }
    }
    rows
}

/// Few enough to meet again, and strange: quoted, with separators, lines, zeros, shared beginnings, numbers.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,2}",
        "[ab\0é\",\t\n]{1,3}",
        "shared-beginning-[0-9]{1,2}",
        "[^\r]{1,12}",
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((id(), id(), id()), 1..60)
}

/// Bytes that are often nearly a table or JSON lines.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"task,worker,label\n".to_vec()),
        Just(b"task\tlabel\tworker\r\n".to_vec()),
        Just(b"INPUT:a\tINPUT:b\tOUTPUT:c\tGOLDEN:c\tASSIGNMENT:worker_id\n".to_vec()),
        Just(b"1,ann,cat\n".to_vec()),
        Just(b"1\tann\tcat\n".to_vec()),
        Just(b"{\"task\":1,\"worker\":\"\\u0061\",\"label\":true}\n".to_vec()),
        Just(b"1\t2\t\t3\tann\n".to_vec()),
        prop::collection::vec(
            prop::sample::select(b",\t\n\r\"{}:a1\xff\0".to_vec()),
            0..12
        ),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn is_sorted(ids: &Ids) -> bool {
    let numbers: Result<Vec<i64>, _> = ids.iter().map(str::parse).collect();
    match numbers {
        Ok(numbers) => numbers.is_sorted(),
        Err(_) => ids.iter().is_sorted(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out_sorted_in_whatever_order_it_came((rows, shuffled) in rows().prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let (answers, other) = (build(&rows), build(&shuffled));
        prop_assert_eq!(answers.tasks(), other.tasks());
        prop_assert_eq!(answers.workers(), other.workers());
        prop_assert_eq!(answers.labels(), other.labels());
        prop_assert_eq!(rows_of(&answers), rows_of(&other));
        for ids in [answers.tasks(), answers.workers(), answers.labels()] {
            prop_assert!(is_sorted(ids), "{ids:?}");
        }
        for task in 0..answers.tasks().len() {
            let own: Vec<_> = answers.of_task(task).collect();
            prop_assert!(!own.is_empty() && own.is_sorted());
        }
        let (mut found, mut expected) = (rows_of(&answers), rows);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_table_that_was_written_is_read_as_it_was(rows in rows(), tab in any::<bool>()) {
        let (separator, format) = if tab { (b'\t', Format::Tsv) } else { (b',', Format::Csv) };
        let mut table = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
        table.write_record(["label", "other", "task", "worker"]).unwrap();
        for (task, worker, label) in &rows {
            table.write_record([label, "\"", task, worker]).unwrap();
        }
        let read = Answers::read(table.into_inner().unwrap().as_slice(), format).unwrap();
        prop_assert_eq!(rows_of(&read), rows_of(&build(&rows)));
    }

    #[test]
    fn json_lines_that_were_written_are_read_as_they_were(rows in rows()) {
        let mut text = String::new();
        for (task, worker, label) in &rows {
            let row = serde_json::json!({ "worker": worker, "label": label, "task": task });
            text.push_str(&format!("{row}\n"));
        }
        let read = Answers::read(text.as_bytes(), Format::JsonLines).unwrap();
        prop_assert_eq!(rows_of(&read), rows_of(&build(&rows)));
    }

    #[test]
    fn no_text_is_too_odd(bytes in bytes()) {
        for format in [Format::Csv, Format::Tsv, Format::JsonLines] {
            let mut builder = AnswersBuilder::new();
            let mut strict = AnswersBuilder::new();
            let report = builder.read(bytes.as_slice(), format, InvalidRows::Skip);
            let strictly = strict.read(bytes.as_slice(), format, InvalidRows::Reject);
            let Ok(report) = report else {
                prop_assert!(strictly.is_err());
                continue;
            };
            prop_assert_eq!(report.answers, builder.len() as u64);
            prop_assert_eq!(strictly.is_ok(), report.skipped == 0);
            if builder.is_empty() {
                continue;
            }
            let answers = builder.finish().unwrap();
            for task in 0..answers.tasks().len() {
                prop_assert!(answers.of_task(task).count() > 0);
            }
        }
    }
}

#[test]
fn nothing_stays_behind_of_a_wrong_answer() {
    let mut builder = AnswersBuilder::new();
    builder.push("1", "ann", "cat").unwrap();
    for (task, worker, label, what) in [
        ("", "bob", "dog", "task"),
        ("2", "", "dog", "worker"),
        ("2", "bob", "", "label"),
    ] {
        let error = builder.push(task, worker, label).unwrap_err();
        assert_eq!(error, AnswersError::Empty { what });
    }
    let answers = builder.finish().unwrap();
    assert_eq!(rows_of(&answers).len(), 1);
    for ids in [answers.tasks(), answers.workers(), answers.labels()] {
        assert_eq!(ids.len(), 1);
    }
}

#[test]
fn labels_can_be_added_that_nobody_answers() {
    let mut builder = AnswersBuilder::new();
    builder.push("1", "ann", "cat").unwrap();
    for label in ["dog", "cat", "ant"] {
        builder.add_label(label).unwrap();
    }
    assert_eq!(
        builder.add_label(""),
        Err(AnswersError::Empty { what: "label" })
    );
    builder.push("1", "bob", "emu").unwrap();
    let answers = builder.finish().unwrap();
    let labels: Vec<_> = answers.labels().iter().collect();
    assert_eq!(labels, ["ant", "cat", "dog", "emu"]);
    assert_eq!(answers.of_task(0).collect::<Vec<_>>(), [(0, 1), (1, 3)]);
}

#[test]
fn a_million_labels() {
    let mut builder = AnswersBuilder::new();
    for number in (0..1_000_000_u32).rev() {
        let task = (number % 1000).to_string();
        builder.push(&task, "ann", &number.to_string()).unwrap();
    }
    let answers = builder.finish().unwrap();
    assert_eq!(answers.labels().len(), 1_000_000);
    assert_eq!(&answers.labels()[999_999], "999999");
    let own: Vec<_> = answers.of_task(7).map(|(_, label)| label).collect();
    let expected: Vec<_> = (7..1_000_000).step_by(1000).collect();
    assert_eq!(own, expected);
}
