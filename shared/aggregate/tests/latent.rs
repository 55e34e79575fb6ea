//! GLAD, MACE and KOS on real crowds: the compatible mode gives what crowd-kit gave, and the default mode is no worse.
//! `tests/data/README.md` says where the files come from.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;

mod crowds;

use crowds::{answers, open, truth};
use quorate_aggregate::{Aggregated, Glad, Gold, Kos, Mace, MaceLearning, Mode, glad, kos, mace};

fn json<T: serde::de::DeserializeOwned>(set: &str, file: &str) -> T {
    serde_json::from_reader(open(set, file)).unwrap()
}

/// Demands crowd-kit's labels, and its probabilities to the given tolerance.
fn assert_same(set: &str, method: &str, found: &Aggregated, tolerance: f64) {
    type Row = (String, String, Vec<f64>);
    let mut table = csv::Reader::from_reader(open(set, &format!("{method}.csv")));
    let expected: BTreeMap<String, (String, Vec<f64>)> = table
        .deserialize()
        .map(|row| row.map(|(task, label, p): Row| (task, (label, p))))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(found.tasks().len(), expected.len(), "{method} on {set}");
    for (index, (task, label, _)) in found.decisions().enumerate() {
        let (expected_label, expected_row) = &expected[task];
        assert_eq!(label, expected_label, "{method} on {set}, task {task}");
        let row = found.task_probabilities(index).unwrap();
        for (found, expected) in row.iter().zip(expected_row) {
            assert!(
                (found - expected).abs() <= tolerance,
                "{method} on {set}, task {task}: {found} instead of {expected}"
            );
        }
    }
}

/// The greatest difference between a column and what is expected by name.
fn difference<'a>(
    names: impl Iterator<Item = &'a str>,
    column: impl Iterator<Item = f64>,
    expected: &BTreeMap<String, f64>,
) -> f64 {
    let differences = names
        .zip(column)
        .map(|(name, value)| (value - expected[name]).abs());
    differences.fold(0.0, f64::max)
}

fn column<'a>(
    columns: &'a [(&'static str, Vec<f64>)],
    name: &str,
) -> impl Iterator<Item = f64> + 'a {
    let (_, values) = columns.iter().find(|(own, _)| *own == name).unwrap();
    values.iter().copied()
}

const MACE_SETS: [(&str, MaceLearning, &str); 7] = [
    ("bluebirds", MaceLearning::VariationalBayes, "MACE1"),
    ("labelme", MaceLearning::VariationalBayes, "MACE1"),
    ("weather_amt", MaceLearning::VariationalBayes, "MACE1"),
    ("s_adult", MaceLearning::VariationalBayes, "MACE1"),
    (
        "bluebirds",
        MaceLearning::ExpectationMaximisation,
        "MACE1em",
    ),
    ("labelme", MaceLearning::ExpectationMaximisation, "MACE1em"),
    (
        "weather_amt",
        MaceLearning::ExpectationMaximisation,
        "MACE1em",
    ),
];

#[test]
fn mace_is_crowd_kits() {
    for (set, learning, file) in MACE_SETS {
        let settings = Mace {
            learning,
            mode: Mode::CrowdKit,
            ..Mace::default()
        };
        let found = mace(&answers(set), &settings).unwrap();
        assert_same(set, file, &found, 1e-9);
        assert_eq!(found.iterations(), 50);
        let difference = difference(
            found.workers().iter(),
            column(found.worker_columns(), "spamming"),
            &json(set, &format!("{file}.spamming.json")),
        );
        assert!(difference <= 1e-9, "{file} on {set}: {difference}");
    }
}

/// Which worker gets whose strategy is crowd-kit's, too.
#[test]
fn strategies_are_crowd_kits() {
    let settings = Mace {
        mode: Mode::CrowdKit,
        ..Mace::default()
    };
    let found = mace(&answers("bluebirds"), &settings).unwrap();
    let thetas: BTreeMap<String, BTreeMap<String, f64>> = json("bluebirds", "MACE1.thetas.json");
    let spamming: Vec<f64> = column(found.worker_columns(), "spamming").collect();
    for (index, worker) in found.workers().iter().enumerate() {
        let matrix = found.worker_confusion(index).unwrap();
        let strategy = &thetas[worker];
        for (wrong, label) in [(2, "0"), (1, "1")] {
            let expected = spamming[index] * strategy[label];
            assert!((matrix[wrong] - expected).abs() <= 1e-9, "{worker} {label}");
        }
    }
}

#[derive(serde::Deserialize)]
struct GladSide {
    #[serde(rename = "alphas_")]
    alphas: BTreeMap<String, f64>,
    #[serde(rename = "betas_")]
    betas: BTreeMap<String, f64>,
    loss_history_: Vec<f64>,
    /// The objective of our default mode at crowd-kit's parameters.
    log_posterior: f64,
}

/// Paths of conjugate gradients grow apart with rounding errors: crowd-kit itself gives other numbers if rows are
/// shuffled, about as far apart as is allowed here.
#[test]
fn glad_finds_what_crowd_kit_does() {
    for set in ["bluebirds", "labelme", "weather_amt"] {
        let answers = answers(set);
        let side: GladSide = json(set, "GLAD.side.json");
        let settings = Glad {
            mode: Mode::CrowdKit,
            ..Glad::default()
        };
        let found = glad(&answers, &settings).unwrap();
        assert_same(set, "GLAD", &found, 1e-2);
        let (workers, tasks) = (found.workers().iter(), found.tasks().iter());
        let abilities = column(found.worker_columns(), "ability");
        let easiness = column(found.task_columns(), "easiness").map(f64::ln);
        let alpha = difference(workers, abilities, &side.alphas);
        let beta = difference(tasks, easiness, &side.betas);
        println!("{set}: abilities differ by {alpha:.1e}, logarithms of easiness by {beta:.1e}");
        assert!(alpha <= 1e-2 && beta <= 1e-2, "{set}: {alpha} {beta}");
        // Before rounding errors have grown, the course is the same.
        for (found, expected) in found
            .log_likelihood()
            .iter()
            .zip(&side.loss_history_)
            .take(2)
        {
            assert!(
                (found - expected).abs() <= 1e-9,
                "{set}: {found} instead of {expected}"
            );
        }
        let later = found.iterations() - side.loss_history_.len();
        assert!(later <= 1, "{set}: {later} iterations more");
        let (last, expected) = (found.log_likelihood().last(), side.loss_history_.last());
        assert!(*last.unwrap() >= expected.unwrap() - 1e-12, "{set}");

        let found = glad(&answers, &Glad::default()).unwrap();
        assert!(
            *found.log_likelihood().last().unwrap() >= side.log_posterior,
            "{set}"
        );
    }
}

#[test]
fn kos_is_crowd_kits() {
    let answers = answers("bluebirds");
    let settings = Kos {
        mode: Mode::CrowdKit,
        ..Kos::default()
    };
    let found = kos(&answers, &settings).unwrap();
    let mut table = csv::Reader::from_reader(open("bluebirds", "KOS.csv"));
    let expected: BTreeMap<String, String> = table.deserialize().map(Result::unwrap).collect();
    assert_eq!(found.tasks().len(), expected.len());
    for (task, label, _) in found.decisions() {
        assert_eq!(label, expected[task], "task {task}");
    }
    // Sums exceed the limit after 96 iterations.
    assert_eq!(found.iterations(), 96);
}

/// crowd-kit's accuracy on each crowd, which the default mode must reach.
#[test]
fn the_default_modes_are_no_worse_than_crowd_kit() {
    for (set, by_glad, by_mace) in [
        ("bluebirds", 0.7222, 0.8055),
        ("labelme", 0.7749, 0.7729),
        ("s_adult", 0.0, 0.7627),
        ("weather_amt", 0.8533, 0.8666),
    ] {
        let (answers, truth): (_, Gold) = (answers(set), truth(set).into_iter().collect());
        let mut found = vec![("MACE", mace(&answers, &Mace::default()).unwrap(), by_mace)];
        if by_glad > 0.0 {
            found.push(("GLAD", glad(&answers, &Glad::default()).unwrap(), by_glad));
        }
        if answers.labels().len() == 2 {
            found.push(("KOS", kos(&answers, &Kos::default()).unwrap(), 0.7222));
        }
        for (method, found, at_least) in found {
            let accuracy = found.accuracy(&truth).unwrap();
            println!("{method} on {set}: {accuracy:.4}");
            assert!(accuracy >= at_least, "{method} on {set}: {accuracy}");
        }
    }
}

/// Known labels stay, and teach: workers' skills come nearer to their true accuracy.
#[test]
fn known_labels_are_kept() {
    let truth: Gold = truth("weather_amt").into_iter().collect();
    let answers = answers("weather_amt");
    let gold: Gold = truth
        .iter()
        .step_by(5)
        .map(|(task, label)| (task.clone(), label.clone()))
        .collect();
    let by_mace = Mace {
        gold: gold.clone(),
        ..Mace::default()
    };
    let by_glad = Glad {
        gold: gold.clone(),
        ..Glad::default()
    };
    for found in [
        mace(&answers, &by_mace).unwrap(),
        glad(&answers, &by_glad).unwrap(),
    ] {
        assert_eq!(found.accuracy(&gold), Some(1.0));
        let others: Gold = truth
            .clone()
            .into_iter()
            .filter(|(task, _)| !gold.contains_key(task))
            .collect();
        assert!(found.accuracy(&others).unwrap() > 0.84);
    }
}
