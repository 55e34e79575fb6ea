//! Small and odd inputs.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use quorate_aggregate::{
    Answers, AnswersBuilder, AnswersError, DawidSkene, Format, Gold, MethodError, Mode, Prior,
    Separator, StopReason, dawid_skene, gold_tallies, majority_vote,
};

fn answers(rows: &[(&str, &str, &str)]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder.push(task, worker, label).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn no_answers_is_an_error_that_says_so() {
    let error = AnswersBuilder::new().finish().unwrap_err();
    assert_eq!(error, AnswersError::NoAnswers);
    assert_eq!(
        error.to_string(),
        "there are no answers: nothing to aggregate"
    );
}

#[test]
fn labels_given_up_front_exist_without_answers_and_exclude_others() {
    let mut builder = AnswersBuilder::with_labels(["dog", "cat", "fox", "cat"]).unwrap();
    builder.push("1", "ann", "dog").unwrap();
    let error = builder.push("1", "bob", "cow").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"label "cow" is not one of the labels "cat", "dog", "fox""#
    );
    let answers = builder.finish().unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(
        answers
            .labels()
            .iter()
            .map(|label| &**label)
            .collect::<Vec<_>>(),
        ["cat", "dog", "fox"]
    );
    assert_eq!(majority_vote(&answers).probabilities(), [0.0, 1.0, 0.0]);
    let found = dawid_skene(&answers, &DawidSkene::default()).unwrap();
    assert_eq!(found.label(0), Some("dog"));
    assert_eq!(found.worker_confusion(0).unwrap().len(), 9);
}

#[test]
fn integers_are_sorted_as_numbers_but_only_if_all_are() {
    let sorted = |labels: [&str; 3]| {
        let answers = answers(&labels.map(|label| ("t", "w", label)));
        answers
            .labels()
            .iter()
            .map(|label| label.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted(["10", "9", "-1"]), ["-1", "9", "10"]);
    assert_eq!(sorted(["10", "9", "x"]), ["10", "9", "x"]);
}

#[test]
fn the_smallest_label_wins_a_tie() {
    let found = majority_vote(&answers(&[("1", "ann", "10"), ("1", "bob", "9")]));
    assert_eq!(
        (found.label(0), found.confidence(0)),
        (Some("9"), Some(0.5))
    );
}

#[test]
fn the_same_answer_twice_counts_twice_but_not_in_a_workers_agreement() {
    let found = majority_vote(&answers(&[
        ("1", "ann", "a"),
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("2", "ann", "b"),
        ("2", "bob", "a"),
        ("2", "eve", "a"),
    ]));
    assert_eq!(found.task_probabilities(0).unwrap(), [2.0 / 3.0, 1.0 / 3.0]);
    assert_eq!(found.worker_skills(), [0.5, 0.5, 1.0]);
    assert_eq!(found.worker_answers(), [3, 2, 1]);
}

#[test]
fn dawid_skene_counts_the_same_answer_twice_like_two_answers() {
    let once = [
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("2", "ann", "a"),
        ("2", "bob", "a"),
    ];
    let mut twice = once.to_vec();
    twice.push(("1", "ann", "a"));
    for mode in [Mode::Default, Mode::CrowdKit] {
        let settings = DawidSkene {
            mode,
            iterations: 1,
            ..DawidSkene::default()
        };
        let p = |rows: &[_]| {
            dawid_skene(&answers(rows), &settings)
                .unwrap()
                .task_probabilities(0)
                .unwrap()[0]
        };
        assert!(p(&twice) > p(&once) + 0.01, "{mode:?}");
    }
}

#[test]
fn one_answer_is_enough() {
    let answers = answers(&[("1", "ann", "a")]);
    for mode in [Mode::Default, Mode::CrowdKit] {
        let found = dawid_skene(
            &answers,
            &DawidSkene {
                mode,
                ..DawidSkene::default()
            },
        )
        .unwrap();
        assert_eq!(found.decisions().collect::<Vec<_>>(), [("1", "a", 1.0)]);
        assert_eq!(found.worker_confusion(0), Some(vec![1.0]));
        assert_eq!(found.worker_skills(), [1.0]);
        assert_eq!(found.stop_reason(), StopReason::Converged);
    }
}

#[test]
fn an_unchecked_answer_is_believed_as_much_as_the_prior_says() {
    let found = dawid_skene(
        &answers(&[("1", "ann", "a"), ("2", "ann", "b")]),
        &DawidSkene::default(),
    )
    .unwrap();
    assert!((found.confidence(0).unwrap() - 4.0 / 6.0).abs() < 1e-12);
}

#[test]
fn no_iteration_is_the_majority_with_known_labels() {
    let answers = answers(&[("1", "ann", "a"), ("1", "bob", "b"), ("2", "ann", "b")]);
    let gold = Gold::from([("2".to_owned(), "a".to_owned())]);
    for mode in [Mode::Default, Mode::CrowdKit] {
        let settings = DawidSkene {
            iterations: 0,
            mode,
            gold: gold.clone(),
            ..DawidSkene::default()
        };
        let found = dawid_skene(&answers, &settings).unwrap();
        assert_eq!(found.probabilities(), [0.5, 0.5, 1.0, 0.0]);
        assert_eq!(
            (found.iterations(), found.stop_reason()),
            (0, StopReason::IterationLimit)
        );
    }
}

#[test]
fn a_known_label_that_does_not_exist_is_an_error_only_where_it_matters() {
    let answers = answers(&[("1", "ann", "a"), ("1", "bob", "b")]);
    let with = |task: &str| DawidSkene {
        gold: Gold::from([(task.to_owned(), "z".to_owned())]),
        ..DawidSkene::default()
    };
    let error = dawid_skene(&answers, &with("1")).unwrap_err();
    assert!(
        matches!(&error, MethodError::UnknownGoldLabel(unknown) if unknown.task == "1" && unknown.label == "z")
    );
    assert!(dawid_skene(&answers, &with("nobody answered")).is_ok());
}

#[test]
fn settings_out_of_range_are_named() {
    let answers = answers(&[("1", "ann", "a")]);
    let prior = Prior {
        strength: 0.0,
        ..Prior::default()
    };
    let error = dawid_skene(
        &answers,
        &DawidSkene {
            prior,
            ..DawidSkene::default()
        },
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "prior strength is 0; it must be between 0.001 and 1000000"
    );
    let error = dawid_skene(
        &answers,
        &DawidSkene {
            tolerance: f64::NAN,
            ..DawidSkene::default()
        },
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("tolerance is NaN"));
}

#[test]
fn tallies_count_answers_on_known_labels() {
    let answers = answers(&[
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("2", "ann", "b"),
        ("3", "eve", "a"),
    ]);
    let gold = Gold::from([
        ("1".to_owned(), "a".to_owned()),
        ("2".to_owned(), "c".to_owned()),
    ]);
    let accuracies: Vec<_> = gold_tallies(&answers, &gold)
        .iter()
        .map(|tally| tally.accuracy())
        .collect();
    assert_eq!(accuracies, [Some(0.5), Some(0.0), None]);
}

#[test]
fn tables_are_written_in_order_and_quoted() {
    let found = majority_vote(&answers(&[
        ("x,1", "ann", "a"),
        ("x,1", "bob", "b"),
        ("y", "bob", "b"),
    ]));
    let written = |write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        written(&|out| found.write_labels(out, Separator::Comma)),
        "task,label,confidence\n\"x,1\",a,0.5\ny,b,1\n"
    );
    assert_eq!(
        written(&|out| found.write_probabilities(out, Separator::Tab)),
        "task\ta\tb\nx,1\t0.5\t0.5\ny\t0\t1\n"
    );
    assert_eq!(
        written(&|out| found.write_workers(out, Separator::Tab)),
        "worker\tanswers\tskill\nann\t1\t1\nbob\t2\t0.5\n"
    );
}

#[test]
fn accuracy_is_over_the_known_tasks_only() {
    let found = majority_vote(
        &Answers::read("task,worker,label\n1,w,a\n2,w,b\n".as_bytes(), Format::Csv).unwrap(),
    );
    assert_eq!(
        found.accuracy(&Gold::from([("1".to_owned(), "a".to_owned())])),
        Some(1.0)
    );
    assert_eq!(found.accuracy(&Gold::new()), None);
}
