//! On real crowds, the compatible mode gives what crowd-kit gave: the same labels, probabilities to 10⁻⁹, the same
//! number of iterations with the same objective. `tests/data/README.md` says where the files come from.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use quorate_aggregate::{
    Aggregated, Answers, DawidSkene, Format, Gold, Mode, StopReason, dawid_skene, majority_vote,
};

const SETS: [&str; 3] = ["bluebirds", "labelme", "weather_amt"];
const TOLERANCE: f64 = 1e-9;

fn path(set: &str, file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", set, file]
        .iter()
        .collect()
}

fn answers(set: &str) -> Answers {
    Answers::read(File::open(path(set, "answers.tsv")).unwrap(), Format::Tsv).unwrap()
}

/// The known labels, in the order of the file.
fn truth(set: &str) -> Vec<(String, String)> {
    let mut table = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .from_path(path(set, "gt.tsv"))
        .unwrap();
    table.deserialize().map(Result::unwrap).collect()
}

/// A task's label and the probability of every label, by task.
type Expected = BTreeMap<String, (String, Vec<f64>)>;

fn expected(set: &str, method: &str) -> Expected {
    let mut table = csv::Reader::from_path(path(set, &format!("{method}.csv"))).unwrap();
    table
        .deserialize()
        .map(|row| row.map(|(task, label, p)| (task, (label, p))))
        .collect::<Result<_, _>>()
        .unwrap()
}

#[derive(serde::Deserialize)]
struct Side {
    #[serde(rename = "priors_")]
    priors: BTreeMap<String, f64>,
    loss_history_: Vec<f64>,
}

fn side(set: &str, method: &str) -> Side {
    serde_json::from_reader(File::open(path(set, &format!("{method}.side.json"))).unwrap()).unwrap()
}

fn assert_same(what: &str, found: &Aggregated, expected: &Expected) {
    assert_eq!(found.tasks().len(), expected.len(), "{what}");
    for (index, (task, label, _)) in found.decisions().enumerate() {
        let (expected_label, expected_row) = &expected[task];
        assert_eq!(label, expected_label, "{what}, task {task}");
        for (found, expected) in found
            .task_probabilities(index)
            .unwrap()
            .iter()
            .zip(expected_row)
        {
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{what}, task {task}: {found} instead of {expected}"
            );
        }
    }
}

fn assert_same_course(what: &str, found: &Aggregated, side: &Side, limit: usize) {
    assert_eq!(found.iterations(), side.loss_history_.len(), "{what}");
    for (found, expected) in found.log_likelihood().iter().zip(&side.loss_history_) {
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "{what}: {found} instead of {expected}"
        );
    }
    for (label, prior) in found.labels().iter().zip(found.priors()) {
        assert!(
            (prior - side.priors[label]).abs() <= TOLERANCE,
            "{what}: prior of {label}"
        );
    }
    let last_two = side.loss_history_.iter().rev().take(2).collect::<Vec<_>>();
    let stop = if last_two[0] - last_two[1] < 1e-5 {
        StopReason::Converged
    } else {
        StopReason::IterationLimit
    };
    assert_eq!(found.stop_reason(), stop, "{what}");
    assert!(found.iterations() <= limit, "{what}");
}

#[test]
fn majority_vote_is_crowd_kits() {
    for set in SETS {
        assert_same(
            set,
            &majority_vote(&answers(set)),
            &expected(set, "MajorityVote"),
        );
    }
}

#[test]
fn dawid_skene_is_crowd_kits() {
    for set in SETS {
        let answers = answers(set);
        for (method, iterations) in [("DawidSkene", 100), ("DawidSkene20", 20)] {
            let settings = DawidSkene {
                iterations,
                mode: Mode::CrowdKit,
                ..DawidSkene::default()
            };
            let found = dawid_skene(&answers, &settings).unwrap();
            let what = format!("{method} on {set}");
            assert_same(&what, &found, &expected(set, method));
            assert_same_course(&what, &found, &side(set, method), iterations);
        }
    }
}

#[test]
fn confusion_matrices_are_crowd_kits() {
    let answers = answers("bluebirds");
    let settings = DawidSkene {
        iterations: 20,
        mode: Mode::CrowdKit,
        ..DawidSkene::default()
    };
    let found = dawid_skene(&answers, &settings).unwrap();
    let mut table = csv::Reader::from_path(path("bluebirds", "DawidSkene20.errors.csv")).unwrap();
    for row in table.deserialize() {
        let (worker, answered, by_truth): (String, usize, Vec<f64>) = row.unwrap();
        let worker = found
            .workers()
            .iter()
            .position(|name| name == worker)
            .unwrap();
        let matrix = found.worker_confusion(worker).unwrap();
        for (truth, expected) in by_truth.iter().enumerate() {
            assert!((matrix[truth * 2 + answered] - expected).abs() <= TOLERANCE);
        }
    }
}

#[test]
fn dawid_skene_with_known_labels_is_crowd_kits() {
    for set in SETS {
        let gold: Gold = truth(set).into_iter().step_by(5).collect();
        let settings = DawidSkene {
            iterations: 20,
            mode: Mode::CrowdKit,
            gold,
            ..DawidSkene::default()
        };
        let found = dawid_skene(&answers(set), &settings).unwrap();
        let what = format!("DawidSkene20+gold20 on {set}");
        assert_same(&what, &found, &expected(set, "DawidSkene20+gold20"));
        assert_same_course(&what, &found, &side(set, "DawidSkene20+gold20"), 20);
    }
}

/// The default mode on the same crowds: no worse than crowd-kit's best of 20 and 100 iterations less half a percent,
/// and never worse than the majority.
#[test]
fn the_default_mode_holds_its_own_on_real_crowds() {
    for (set, at_least) in [
        ("bluebirds", 0.885),
        ("labelme", 0.792),
        ("weather_amt", 0.846),
    ] {
        let answers = answers(set);
        let truth: Gold = truth(set).into_iter().collect();
        let found = dawid_skene(&answers, &DawidSkene::default())
            .unwrap()
            .accuracy(&truth)
            .unwrap();
        let majority = majority_vote(&answers).accuracy(&truth).unwrap();
        println!("{set}: {found:.4}, majority {majority:.4}");
        assert!(
            found >= at_least && found >= majority,
            "{set}: {found}, majority {majority}"
        );
    }
}
