//! Metrics are crowd-kit's on real crowds, to 10⁻⁹, and right on small examples.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use proptest::prelude::*;
use quorate_aggregate::metrics::{
    EntropyThreshold, accuracy, accuracy_by_task, accuracy_by_worker, alpha_krippendorff,
    brier_score, consistency_by_task, entropy_threshold, expected_calibration_error,
    negative_log_likelihood, uncertainty_by_task, uncertainty_by_worker,
};
mod crowds;

use crowds::{answers, truth};
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, Gold, Ids, MethodError, majority_vote,
};

const TOLERANCE: f64 = 1e-9;

#[derive(serde::Deserialize)]
struct Expected {
    alpha_krippendorff: f64,
    accuracy: f64,
    accuracy_by_worker: Each,
    accuracy_by_task: Each,
    uncertainty_by_task: Each,
    uncertainty_by_worker: Each,
    uncertainty_by_task_with_skills: Each,
    uncertainty_by_worker_with_skills: Each,
    consistency_by_task: Each,
    entropy_threshold: Left,
    entropy_threshold_25_20_with_skills: Left,
    expected_calibration_error: f64,
    negative_log_likelihood: f64,
    brier_score: f64,
}

#[derive(serde::Deserialize)]
struct Each {
    mean: f64,
    /// By task or worker; not kept for all sets.
    #[serde(default)]
    each: BTreeMap<String, f64>,
}

#[derive(serde::Deserialize)]
struct Left {
    dropped: Vec<String>,
    left: usize,
}

fn data(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", file]
        .iter()
        .collect()
}

fn assert_near(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{what}: {found} instead of {expected}"
    );
}

fn assert_each(what: &str, names: &Ids, found: &[f64], expected: &Each) {
    assert_eq!(found.len(), names.len(), "{what}");
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    assert_near(what, mean, expected.mean);
    assert!(expected.each.is_empty() || expected.each.len() == names.len());
    for (name, found) in names.iter().zip(found) {
        if let Some(&expected) = expected.each.get(name) {
            assert_near(&format!("{what} of {name}"), *found, expected);
        }
    }
}

#[test]
fn metrics_are_crowd_kits() {
    let expected: BTreeMap<String, Expected> =
        serde_json::from_reader(File::open(data("metrics.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 4);
    for (set, expected) in &expected {
        let answers = answers(set);
        let (tasks, workers) = (answers.tasks(), answers.workers());
        let majority = majority_vote(&answers);
        let skills = majority.worker_skills();
        let what = |metric: &str| format!("{metric} of {set}");
        let all =
            |found: Vec<Option<f64>>| found.into_iter().map(Option::unwrap).collect::<Vec<_>>();

        assert_near(
            &what("alpha"),
            alpha_krippendorff(&answers).unwrap(),
            expected.alpha_krippendorff,
        );
        assert_near(
            &what("accuracy"),
            accuracy(&answers, &majority).unwrap(),
            expected.accuracy,
        );
        let found = all(accuracy_by_worker(&answers, &majority));
        assert_each(
            &what("accuracy by worker"),
            workers,
            &found,
            &expected.accuracy_by_worker,
        );
        let found = all(accuracy_by_task(&answers, &majority));
        assert_each(
            &what("accuracy by task"),
            tasks,
            &found,
            &expected.accuracy_by_task,
        );
        for (skills, by_task, by_worker) in [
            (
                None,
                &expected.uncertainty_by_task,
                &expected.uncertainty_by_worker,
            ),
            (
                Some(skills),
                &expected.uncertainty_by_task_with_skills,
                &expected.uncertainty_by_worker_with_skills,
            ),
        ] {
            let found = uncertainty_by_task(&answers, skills).unwrap();
            assert_each(&what("uncertainty by task"), tasks, &found, by_task);
            let found = uncertainty_by_worker(&answers, skills).unwrap();
            assert_each(&what("uncertainty by worker"), workers, &found, by_worker);
        }
        let found = all(consistency_by_task(&answers, &majority, skills).unwrap());
        assert_each(
            &what("consistency"),
            tasks,
            &found,
            &expected.consistency_by_task,
        );

        let strict = EntropyThreshold {
            percentile: 25.0,
            min_answers: 20,
        };
        for (skills, settings, expected) in [
            (
                None,
                EntropyThreshold::default(),
                &expected.entropy_threshold,
            ),
            (
                Some(skills),
                strict,
                &expected.entropy_threshold_25_20_with_skills,
            ),
        ] {
            let found = entropy_threshold(&answers, skills, &settings).unwrap();
            let mut dropped = found.dropped;
            dropped.sort_unstable();
            assert_eq!(dropped, expected.dropped, "{set}");
            assert_eq!(found.answers.unwrap().len(), expected.left, "{set}");
            assert_eq!(found.dropped_answers, answers.len() - expected.left);
        }

        let truth: Gold = truth(set).into_iter().collect();
        let of = |metric: fn(&Aggregated, &Gold) -> Option<f64>| metric(&majority, &truth).unwrap();
        assert_near(
            &what("ECE"),
            of(expected_calibration_error),
            expected.expected_calibration_error,
        );
        assert_near(
            &what("NLL"),
            of(negative_log_likelihood),
            expected.negative_log_likelihood,
        );
        assert_near(&what("Brier score"), of(brier_score), expected.brier_score);
    }
}

fn build(rows: &[(&str, &str, &str)]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder.push(task, worker, label).unwrap();
    }
    builder.finish().unwrap()
}

/// The examples in the documentation of crowd-kit's `uncertainty`.
#[test]
fn uncertainty_of_crowd_kits_examples() {
    let same = build(&[("X", "A", "Yes"), ("X", "B", "Yes")]);
    assert_eq!(uncertainty_by_task(&same, None).unwrap(), [0.0]);
    let all_differ = build(&[("X", "A", "Yes"), ("X", "B", "No"), ("X", "C", "Maybe")]);
    let found = uncertainty_by_task(&all_differ, None).unwrap();
    assert_near("three labels", found[0], 3_f64.ln());
    let two = build(&[
        ("X", "A", "Yes"),
        ("X", "B", "No"),
        ("Y", "A", "Yes"),
        ("Y", "B", "Yes"),
    ]);
    let found = uncertainty_by_task(&two, Some(&[1.0, 1.0])).unwrap();
    assert_near("X", found[0], 2_f64.ln());
    assert_near("Y", found[1], 0.0);
    let found = uncertainty_by_worker(&two, Some(&[1.0, 1.0])).unwrap();
    assert_near("A", found[0], 0.0);
    assert_near("B", found[1], 2_f64.ln());
}

/// By hand: a worker of skill 0.7 says a, one of skill 0.6 says b; there are three labels. Weights are
/// a: 0.7 + 0.2, b: 0.15 + 0.6, c: 0.15 + 0.2, of 2 together.
#[test]
fn uncertainty_with_skills_by_hand() {
    let mut builder = AnswersBuilder::with_labels(["a", "b", "c"]).unwrap();
    builder.push("1", "ann", "a").unwrap();
    builder.push("1", "bob", "b").unwrap();
    let answers = builder.finish().unwrap();
    let found = uncertainty_by_task(&answers, Some(&[0.7, 0.6])).unwrap();
    let expected: f64 = [0.45_f64, 0.375, 0.175].iter().map(|p| -p * p.ln()).sum();
    assert_near("entropy", found[0], expected);
}

/// By hand, with three labels: workers of skill 0.8 and 0.6 say a, one of skill 0.5 says b. a: 0.8 · 0.6 · 0.25, b: 0.1 · 0.2 · 0.5, c: 0.1 · 0.2 · 0.25.
#[test]
fn consistency_by_hand() {
    let answers = build(&[
        ("1", "ann", "a"),
        ("1", "bob", "a"),
        ("1", "eve", "b"),
        ("2", "eve", "c"),
    ]);
    let majority = majority_vote(&answers);
    let found = consistency_by_task(&answers, &majority, &[0.8, 0.6, 0.5]).unwrap();
    assert_near("1", found[0].unwrap(), 0.12 / (0.12 + 0.01 + 0.005));
    assert_near("2", found[1].unwrap(), 0.5);
    // Sure workers who contradict each other are impossible, and one who never errs is believed.
    let found = consistency_by_task(&answers, &majority, &[1.0, 0.6, 1.0]).unwrap();
    assert_eq!(found, [Some(0.0), Some(1.0)]);
    let found = consistency_by_task(&answers, &majority, &[1.0, 0.0, 0.5]).unwrap();
    assert_eq!(found[0], Some(0.0));
}

/// 3000 answers: their products are below the smallest number, and crowd-kit gives 0.
#[test]
fn consistency_does_not_underflow() {
    let mut builder = AnswersBuilder::new();
    for worker in 0..3000 {
        let label = if worker % 3 == 0 { "b" } else { "a" };
        builder.push("1", &worker.to_string(), label).unwrap();
    }
    let answers = builder.finish().unwrap();
    let found = consistency_by_task(&answers, &majority_vote(&answers), &[0.6; 3000]).unwrap();
    assert_near("consistency", found[0].unwrap(), 1.0);
}

/// The example of Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011), section C: four observers,
/// twelve units, five categories, with gaps; α = 0.743.
#[test]
fn alpha_of_krippendorffs_example() {
    let printed = [
        "123321412...",
        "1233224125.3",
        ".3332342251.",
        "12332441251.",
    ];
    let mut builder = AnswersBuilder::new();
    for (observer, line) in printed.iter().enumerate() {
        for (unit, value) in line.chars().enumerate().filter(|(_, value)| *value != '.') {
            builder
                .push(&unit.to_string(), &observer.to_string(), &value.to_string())
                .unwrap();
        }
    }
    let alpha = alpha_krippendorff(&builder.finish().unwrap()).unwrap();
    assert!((alpha - 0.743).abs() < 5e-4, "{alpha}");
}

/// The examples in the documentation of crowd-kit's `alpha_krippendorff`.
#[test]
fn alpha_of_crowd_kits_examples() {
    let mut rows = vec![
        ("X", "A", "Yes"),
        ("X", "B", "Yes"),
        ("Y", "A", "No"),
        ("Y", "B", "No"),
    ];
    assert_eq!(alpha_krippendorff(&build(&rows)), Some(1.0));
    rows.extend([("Z", "A", "Yes"), ("Z", "B", "No")]);
    let alpha = alpha_krippendorff(&build(&rows)).unwrap();
    assert_near("alpha", alpha, 4.0 / 9.0);
    let lonely = build(&[("X", "A", "Yes"), ("Y", "A", "No")]);
    assert_eq!(alpha_krippendorff(&lonely), None);
}

/// The example in the documentation of crowd-kit's `entropy_threshold`.
#[test]
fn who_always_answers_the_same_is_dropped() {
    let answers = build(&[
        ("1", "A", "dog"),
        ("1", "B", "cat"),
        ("2", "A", "cat"),
        ("2", "B", "cat"),
        ("3", "A", "dog"),
        ("3", "B", "cat"),
        ("3", "C", "cat"),
    ]);
    let found = entropy_threshold(&answers, None, &EntropyThreshold::default()).unwrap();
    // C gave a single answer, about which nothing can be said.
    assert_eq!(found.dropped, ["B"]);
    assert_eq!(found.dropped_answers, 3);
    let left = found.answers.unwrap();
    assert_eq!((left.len(), left.workers().len()), (4, 2));
    let all = EntropyThreshold {
        percentile: 100.0,
        min_answers: 1,
    };
    let found = entropy_threshold(&answers, None, &all).unwrap();
    assert!(found.answers.is_none());
    assert_eq!(found.dropped, ["A", "B", "C"]);
    let none = EntropyThreshold {
        min_answers: 4,
        ..EntropyThreshold::default()
    };
    let found = entropy_threshold(&answers, None, &none).unwrap();
    assert_eq!(found.dropped, Vec::<String>::new());
    assert_eq!(found.answers.unwrap().len(), 7);
}

#[test]
fn accuracy_matches_tasks_and_labels_by_name() {
    let other = build(&[("2", "x", "b"), ("1", "x", "a"), ("9", "x", "z")]);
    let answers = build(&[
        ("1", "ann", "a"),
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("2", "ann", "b"),
        ("3", "eve", "b"),
        ("9", "bob", "b"),
    ]);
    let found = majority_vote(&other);
    // The same answer twice counts once, task 3 has no label, and nobody here knows the label z.
    assert_eq!(accuracy(&answers, &found), Some(0.5));
    assert_eq!(
        accuracy_by_worker(&answers, &found),
        [Some(1.0), Some(0.0), None]
    );
    assert_eq!(
        accuracy_by_task(&answers, &found),
        [Some(0.5), Some(1.0), None, Some(0.0)]
    );
    let elsewhere = build(&[("7", "ann", "a")]);
    assert_eq!(accuracy(&elsewhere, &found), None);
}

/// By hand: confidences 1 (right), 1 (wrong), 2/3 (right) and 0.6 (wrong). The bins are (14/15, 1], (9/15, 10/15] and
/// (8/15, 9/15]: |1 − 2| + |1 − 2/3| + |0 − 0.6|, over 4 tasks.
#[test]
fn calibration_by_hand() {
    let mut rows = vec![("1", "a", "x"), ("2", "a", "x")];
    rows.extend([("3", "a", "x"), ("3", "b", "x"), ("3", "c", "y")]);
    rows.extend([
        ("4", "a", "x"),
        ("4", "b", "x"),
        ("4", "c", "x"),
        ("4", "d", "y"),
        ("4", "e", "y"),
    ]);
    let found = majority_vote(&build(&rows));
    let truth: Gold = [
        ("1", "x"),
        ("2", "y"),
        ("3", "x"),
        ("4", "y"),
        ("elsewhere", "x"),
    ]
    .map(|(task, label)| (task.to_owned(), label.to_owned()))
    .into();
    let expected = (1.0 + 1.0 / 3.0 + 0.6) / 4.0;
    assert_near(
        "ECE",
        expected_calibration_error(&found, &truth).unwrap(),
        expected,
    );
    let expected = -((f64::EPSILON).ln() + (2_f64 / 3.0).ln() + 0.4_f64.ln()) / 4.0;
    assert_near(
        "NLL",
        negative_log_likelihood(&found, &truth).unwrap(),
        expected,
    );
    let expected = (2.0 + 2.0 / 9.0 + 2.0 * 0.36) / 4.0;
    assert_near(
        "Brier score",
        brier_score(&found, &truth).unwrap(),
        expected,
    );
    // A label that nobody gave has probability 0.
    let unknown = Gold::from([("1".to_owned(), "z".to_owned())]);
    assert_near("Brier score", brier_score(&found, &unknown).unwrap(), 2.0);
    let nothing = Gold::new();
    assert_eq!(expected_calibration_error(&found, &nothing), None);
    assert_eq!(brier_score(&found, &nothing), None);
}

#[test]
fn skills_out_of_range_are_named() {
    let answers = build(&[("1", "ann", "a"), ("1", "bob", "b")]);
    let error = uncertainty_by_task(&answers, Some(&[0.5])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the number of skills is 1; it must be the number of workers"
    );
    let error = uncertainty_by_worker(&answers, Some(&[0.5, 1.5])).unwrap_err();
    assert!(matches!(error, MethodError::Setting { value: 1.5, .. }));
    assert!(consistency_by_task(&answers, &majority_vote(&answers), &[0.5, f64::NAN]).is_err());
    let percentile = EntropyThreshold {
        percentile: -1.0,
        ..EntropyThreshold::default()
    };
    assert!(entropy_threshold(&answers, None, &percentile).is_err());
}

type Row = (u8, u8, u8);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..10_u8, 0..6_u8, 0..4_u8), 1..80)
}

fn of_rows(rows: &[Row]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder
            .push(&task.to_string(), &worker.to_string(), &label.to_string())
            .unwrap();
    }
    builder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn metrics_are_in_range(rows in rows(), skills in prop::collection::vec(0.0..=1.0_f64, 6), truth in prop::collection::btree_map(0..10_u8, 0..5_u8, 1..10)) {
        let answers = of_rows(&rows);
        let found = majority_vote(&answers);
        let skills = &skills[..answers.workers().len()];
        let most = (answers.labels().len() as f64).ln() + TOLERANCE;
        for skills in [None, Some(skills)] {
            for entropy in uncertainty_by_task(&answers, skills).unwrap() {
                prop_assert!((0.0..=most).contains(&entropy), "{entropy}");
            }
            for entropy in uncertainty_by_worker(&answers, skills).unwrap() {
                prop_assert!((0.0..=most).contains(&entropy), "{entropy}");
            }
            let found = entropy_threshold(&answers, skills, &EntropyThreshold::default()).unwrap();
            let left = found.answers.map_or(0, |answers| answers.len());
            prop_assert_eq!(left + found.dropped_answers, answers.len());
        }
        for consistency in consistency_by_task(&answers, &found, skills).unwrap() {
            prop_assert!((0.0..=1.0).contains(&consistency.unwrap()));
        }
        prop_assert!(alpha_krippendorff(&answers).is_none_or(|alpha| (-1.0..=1.0).contains(&alpha)));
        prop_assert!((0.0..=1.0).contains(&accuracy(&answers, &found).unwrap()));
        let truth: Gold = truth.into_iter().map(|(task, label)| (task.to_string(), label.to_string())).collect();
        if let Some(error) = expected_calibration_error(&found, &truth) {
            prop_assert!((0.0..=1.0).contains(&error));
            prop_assert!(negative_log_likelihood(&found, &truth).unwrap() >= 0.0);
            prop_assert!((0.0..=2.0).contains(&brier_score(&found, &truth).unwrap()));
        }
    }

    #[test]
    fn full_agreement_is_an_alpha_of_one(labels in prop::collection::vec(0..4_u8, 1..20), workers in 2..5_u8) {
        let rows: Vec<Row> = (0..).zip(labels).flat_map(|(task, label)| (0..workers).map(move |worker| (task, worker, label))).collect();
        let answers = of_rows(&rows);
        prop_assert_eq!(alpha_krippendorff(&answers), Some(1.0));
        prop_assert_eq!(accuracy(&answers, &majority_vote(&answers)), Some(1.0));
        prop_assert!(uncertainty_by_task(&answers, None).unwrap().iter().all(|entropy| *entropy <= 0.0));
    }
}
