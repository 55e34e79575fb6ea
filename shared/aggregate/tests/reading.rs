//! Answers from text.

use quorate_aggregate::{
    Answers, AnswersBuilder, AnswersError, BadRow, Format, HeaderError, InvalidRows, Place,
    ReadError, ReadReport, RowProblem,
};

fn rows(answers: &Answers) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    for (index, task) in answers.tasks().iter().enumerate() {
        for (worker, label) in answers.of_task(index) {
            let (worker, label) = (&answers.workers()[worker], &answers.labels()[label]);
            rows.push((task.to_string(), worker.to_string(), label.to_string()));
        }
    }
    rows
}

fn read(text: &str, format: Format) -> Result<Vec<(String, String, String)>, ReadError> {
    Answers::read(text.as_bytes(), format).map(|answers| rows(&answers))
}

fn row(task: &str, worker: &str, label: &str) -> (String, String, String) {
    (task.to_owned(), worker.to_owned(), label.to_owned())
}

#[test]
fn every_format_gives_the_same_answers() {
    let expected = [row("1", "ann", "true"), row("2", "bob", "big, red")];
    let csv = "\u{feff}label,when,task,worker\r\ntrue,now,1,ann\r\n\"big, red\",,2,bob\r\n";
    let tsv = "task\tworker\tlabel\n1\tann\ttrue\n\n2\tbob\tbig, red";
    let json = "\u{feff}{\"task\":1,\"worker\":\"ann\",\"label\":true,\"extra\":{}}\n\n{\"label\":\"big, red\",\"worker\":\"bob\",\"task\":\"2\"}";
    assert_eq!(read(csv, Format::Csv).unwrap(), expected);
    assert_eq!(read(tsv, Format::Tsv).unwrap(), expected);
    assert_eq!(read(json, Format::JsonLines).unwrap(), expected);
}

#[test]
fn toloka_files_are_understood_and_control_tasks_left_out() {
    let text = "INPUT:image\tOUTPUT:result\tGOLDEN:result\tHINT:text\tASSIGNMENT:worker_id\tASSIGNMENT:status\n\
        a.jpg\tcat\t\t\tann\tAPPROVED\n\
        g.jpg\tcat\tdog\t\tann\tAPPROVED\n\
        a.jpg\tdog\t\t\tbob\tAPPROVED\n";
    let mut builder = AnswersBuilder::new();
    let report = builder
        .read(text.as_bytes(), Format::Tsv, InvalidRows::Reject)
        .unwrap();
    assert_eq!(
        report,
        ReadReport {
            answers: 2,
            golden: 1,
            ..ReadReport::default()
        }
    );
    assert_eq!(
        rows(&builder.finish().unwrap()),
        [row("a.jpg", "ann", "cat"), row("a.jpg", "bob", "dog")]
    );
}

#[test]
fn several_toloka_inputs_make_one_task_whatever_the_order_of_columns() {
    let one = "INPUT:b\tINPUT:a\tINPUT:c\tOUTPUT:r\tASSIGNMENT:worker_id\n2\t1\t\tyes\tann\n";
    let other = "ASSIGNMENT:worker_id\tINPUT:a\tOUTPUT:r\tINPUT:b\nbob\t1\tno\t2\n";
    let mut builder = AnswersBuilder::new();
    for text in [one, other] {
        builder
            .read(text.as_bytes(), Format::Tsv, InvalidRows::Reject)
            .unwrap();
    }
    let task = r#"{"a":"1","b":"2"}"#;
    assert_eq!(
        rows(&builder.finish().unwrap()),
        [row(task, "ann", "yes"), row(task, "bob", "no")]
    );
}

#[test]
fn column_names_that_do_not_do_are_explained() {
    let header = |text: &str| match read(text, Format::Tsv) {
        Err(ReadError::Header(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        header("task\tperformer\tlabel\n").to_string(),
        "there is no column \"worker\"; the columns are task, performer, label"
    );
    assert_eq!(
        header("task\ttask\tworker\tlabel\n"),
        HeaderError::Repeated {
            column: "task".to_owned()
        }
    );
    assert_eq!(
        header("INPUT:i\tOUTPUT:a\tOUTPUT:b\tASSIGNMENT:worker_id\n").to_string(),
        "exactly one OUTPUT column can be aggregated; this file has 2: a, b"
    );
    assert!(matches!(
        header("INPUT:i\tOUTPUT:a\n"),
        HeaderError::Missing {
            column: "ASSIGNMENT:worker_id",
            ..
        }
    ));
    assert!(matches!(
        header("OUTPUT:a\tASSIGNMENT:worker_id\n"),
        HeaderError::Missing {
            column: "INPUT:…",
            ..
        }
    ));
    assert!(matches!(
        header(""),
        HeaderError::Missing { column: "task", .. }
    ));
}

#[test]
fn a_bad_row_is_named_by_its_line() {
    let line = |text: &[u8], format| match Answers::read(text, format) {
        Err(ReadError::Row(BadRow {
            place: Place::Line(line),
            problem,
        })) => (line, problem),
        other => panic!("{other:?}"),
    };
    let cells = RowProblem::Cells {
        found: 2,
        expected: 3,
    };
    assert_eq!(
        line(b"task,worker,label\n1,a,x\n2,b\n", Format::Csv),
        (3, cells.clone())
    );
    assert_eq!(
        line(b"task,worker,label\r\n1,a,x\r\n2,b\r\n", Format::Csv),
        (3, cells.clone())
    );
    assert_eq!(
        line(b"task,worker,label\n\"1\n1\",a,x\n\n\n2,b", Format::Csv),
        (6, cells)
    );
    let empty = RowProblem::Answer(AnswersError::Empty { what: "label" });
    assert_eq!(line(b"task,worker,label\n1,a,\n", Format::Csv), (2, empty));
    assert_eq!(
        line(b"task,worker,label\n1,a,\xff\n", Format::Csv),
        (
            2,
            RowProblem::Answer(AnswersError::NotUtf8 { what: "label" })
        )
    );
    let (number, problem) = line(
        b"{\"task\":1,\"worker\":2,\"label\":3}\n\n{\"task\":1,\"worker\":2}\n",
        Format::JsonLines,
    );
    assert_eq!(number, 3);
    assert_eq!(
        problem.to_string(),
        "not a JSON object with task, worker and label: missing field `label` at column 21"
    );
    let (_, problem) = line(
        b"{\"task\":null,\"worker\":2,\"label\":3}",
        Format::JsonLines,
    );
    assert!(
        problem
            .to_string()
            .contains("expected a text, a number or a boolean"),
        "{problem}"
    );
}

#[test]
fn bad_rows_can_be_skipped_and_are_reported_up_to_a_limit() {
    let mut text = "task,worker,label\n1,ann,cat\n".to_owned();
    text.push_str(&"1,ann\n".repeat(500));
    text.push_str("1,bob,cow\n2,bob,dog\n");
    let mut builder = AnswersBuilder::with_labels(["cat", "dog"]).unwrap();
    let report = builder
        .read(text.as_bytes(), Format::Csv, InvalidRows::Skip)
        .unwrap();
    assert_eq!((report.answers, report.skipped), (2, 501));
    assert_eq!(report.first_skipped.len(), ReadReport::SHOWN);
    assert_eq!(
        report.first_skipped[0].to_string(),
        "line 3: 2 cells where the first line has 3 columns"
    );
    assert_eq!(
        rows(&builder.finish().unwrap()),
        [row("1", "ann", "cat"), row("2", "bob", "dog")]
    );
}

#[test]
fn a_text_without_rows_has_no_answers() {
    assert!(matches!(
        read("task,worker,label\n", Format::Csv),
        Err(ReadError::Answers(AnswersError::NoAnswers))
    ));
    assert!(matches!(
        read("", Format::JsonLines),
        Err(ReadError::Answers(AnswersError::NoAnswers))
    ));
}

#[test]
fn file_names_tell_the_format() {
    assert_eq!(Format::of_file_name("a/b.CSV"), Some(Format::Csv));
    assert_eq!(Format::of_file_name("b.tsv"), Some(Format::Tsv));
    assert_eq!(Format::of_file_name("b.ndjson"), Some(Format::JsonLines));
    assert_eq!(Format::of_file_name("csv"), None);
}
