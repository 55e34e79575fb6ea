//! Answers that are sets of labels.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use proptest::prelude::*;
use quorate_aggregate::{
    Answers, AnswersError, DawidSkene, Format, Gold, LabelSets, LabelSetsBuilder, LabelSetsError,
    MethodError, Mode, MultiLabel, Separator, binary_relevance, dawid_skene, majority_vote,
};

/// The example in the documentation of crowd-kit's `BinaryRelevance`.
fn example() -> LabelSets {
    let mut builder = LabelSetsBuilder::new();
    for (task, worker, labels) in [
        ("t1", "w1", vec!["house", "tree"]),
        ("t1", "w2", vec!["house"]),
        ("t1", "w3", vec!["house", "tree", "grass"]),
        ("t2", "w1", vec!["car"]),
        ("t2", "w2", vec!["car", "human"]),
        ("t2", "w3", vec!["train"]),
    ] {
        builder.push(task, worker, labels).unwrap();
    }
    builder.finish().unwrap()
}

fn labels(found: &MultiLabel) -> Vec<Vec<&str>> {
    (0..found.tasks().len())
        .map(|task| found.labels(task).collect())
        .collect()
}

#[test]
fn every_class_is_voted_on() {
    let sets = example();
    assert_eq!(
        sets.classes(),
        ["car", "grass", "house", "human", "train", "tree"]
    );
    let found = binary_relevance(&sets, |answers| Ok(majority_vote(answers))).unwrap();
    assert_eq!(labels(&found), [vec!["house", "tree"], vec!["car"]]);
    let (third, two_thirds) = (1.0 / 3.0, 2.0 / 3.0);
    assert_eq!(
        found.task_probabilities(0).unwrap(),
        [0.0, third, 1.0, 0.0, 0.0, two_thirds]
    );
    assert_eq!(found.confidence(0), Some(two_thirds));
    assert_eq!(found.task_probabilities(2), None);
    assert_eq!(found.labels(2).count(), 0);
}

/// What crowd-kit 1.4.2 gives for `BinaryRelevance(DawidSkene(n_iter=10))`.
#[test]
fn any_method_does() {
    let settings = DawidSkene {
        iterations: 10,
        mode: Mode::CrowdKit,
        ..DawidSkene::default()
    };
    let found = binary_relevance(&example(), |answers| dawid_skene(answers, &settings)).unwrap();
    assert_eq!(labels(&found), [vec!["house", "tree"], vec!["car"]]);
}

#[test]
fn an_error_of_the_method_is_passed_on() {
    let settings = DawidSkene {
        gold: Gold::from([("t1".to_owned(), "house".to_owned())]),
        ..DawidSkene::default()
    };
    let error = binary_relevance(&example(), |answers| dawid_skene(answers, &settings));
    assert!(matches!(error, Err(MethodError::UnknownGoldLabel(_))));
}

fn parse(cells: &[&str], separator: char) -> Result<Vec<Vec<String>>, LabelSetsError> {
    let mut text = Vec::new();
    let mut table = csv::Writer::from_writer(&mut text);
    table.write_record(["task", "worker", "label"]).unwrap();
    for (task, cell) in cells.iter().enumerate() {
        table.write_record([&task.to_string(), "w", cell]).unwrap();
    }
    drop(table);
    let answers = Answers::read(text.as_slice(), Format::Csv).unwrap();
    let sets = LabelSets::parse(answers, separator)?;
    let found = binary_relevance(&sets, |answers| Ok(majority_vote(answers))).unwrap();
    let owned = |labels: Vec<&str>| labels.into_iter().map(str::to_owned).collect();
    Ok(labels(&found).into_iter().map(owned).collect())
}

#[test]
fn sets_are_read_from_cells() {
    let cells = [
        "dog|cat",
        " cat | dog |cat",
        "[\"dog\", \"cat\"]",
        "cat|",
        "|",
        "[]",
        "a,b",
    ];
    assert_eq!(
        parse(&cells, '|').unwrap(),
        [
            vec!["cat", "dog"],
            vec!["cat", "dog"],
            vec!["cat", "dog"],
            vec!["cat"],
            vec![],
            vec![],
            vec!["a,b"]
        ]
    );
    assert_eq!(parse(&["a,b|c"], ',').unwrap(), [["a", "b|c"]]);
    // Numbers are in the order of numbers.
    assert_eq!(
        parse(&["10|9", "[2,10]"], '|').unwrap(),
        [["9", "10"], ["2", "10"]]
    );
    // Nobody saw anything.
    assert_eq!(
        parse(&["[]", "|"], '|').unwrap(),
        [Vec::<&str>::new(), vec![]]
    );
    for bad in ["[cat]", "[\"cat\"", "[[\"cat\"]]", "[null]"] {
        let error = parse(&[bad], '|').unwrap_err();
        assert!(error.to_string().contains("is none"), "{error}");
    }
}

#[test]
fn no_label_is_an_answer_and_an_empty_label_is_none() {
    let mut builder = LabelSetsBuilder::new();
    assert_eq!(
        builder.push("1", "ann", ["cat", ""]),
        Err(AnswersError::Empty { what: "label" })
    );
    builder.push("1", "ann", ["cat"]).unwrap();
    builder.push("1", "bob", [] as [&str; 0]).unwrap();
    builder.push("1", "eve", [] as [&str; 0]).unwrap();
    let sets = builder.finish().unwrap();
    let found = binary_relevance(&sets, |answers| Ok(majority_vote(answers))).unwrap();
    assert_eq!(labels(&found), [Vec::<&str>::new()]);
    assert_eq!(found.confidence(0), Some(1.0 - 1.0 / 3.0));
    let error = LabelSetsBuilder::new().finish().unwrap_err();
    assert_eq!(error, LabelSetsError::Answers(AnswersError::NoAnswers));
}

#[test]
fn tables_are_written_as_they_are_read() {
    let mut builder = LabelSetsBuilder::new();
    for (task, labels) in [
        ("1", vec!["cat", "dog"]),
        ("2", vec![]),
        ("3", vec!["a|b", "cat"]),
    ] {
        builder.push(task, "ann", labels).unwrap();
    }
    let found = binary_relevance(&builder.finish().unwrap(), |answers| {
        Ok(majority_vote(answers))
    });
    let found = found.unwrap();
    let mut text = Vec::new();
    found.write_labels(&mut text, Separator::Tab).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "task\tlabels\tconfidence\n1\tcat|dog\t1\n2\t[]\t1\n3\t\"[\"\"a|b\"\",\"\"cat\"\"]\"\t1\n"
    );
    let mut text = Vec::new();
    found
        .write_probabilities(&mut text, Separator::Comma)
        .unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "task,a|b,cat,dog\n1,0,1,1\n2,0,0,0\n3,1,1,0\n"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// With one label in every set, a class applies exactly where more than half of the answers say so.
    #[test]
    fn a_class_applies_by_majority(rows in prop::collection::vec((0..6_u8, 0..5_u8, prop::collection::btree_set("[a-d]", 0..4)), 1..60)) {
        let mut builder = LabelSetsBuilder::new();
        for (task, worker, labels) in &rows {
            builder.push(&task.to_string(), &worker.to_string(), labels).unwrap();
        }
        let found = binary_relevance(&builder.finish().unwrap(), |answers| Ok(majority_vote(answers))).unwrap();
        for (index, task) in found.tasks().iter().enumerate() {
            let sets: Vec<_> = rows.iter().filter(|(of, ..)| of.to_string() == task).map(|(.., set)| set).collect();
            for class in found.classes() {
                let votes = sets.iter().filter(|set| set.contains(class)).count();
                prop_assert_eq!(found.labels(index).any(|label| label == class), 2 * votes > sets.len());
            }
        }
    }
}
