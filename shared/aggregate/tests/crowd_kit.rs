//! On real crowds, the compatible mode gives what crowd-kit gave: the same labels, probabilities to 10⁻⁹, the same
//! number of iterations with the same objective. `tests/data/README.md` says where the files come from.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;

mod crowds;

use crowds::{answers, open, truth};
use quorate_aggregate::{
    Aggregated, DawidSkene, ErrorRows, Gold, Ids, InitialErrors, Mode, OneCoinDawidSkene,
    StopReason, dawid_skene, majority_vote, one_coin_dawid_skene,
};

const SETS: [&str; 4] = ["bluebirds", "labelme", "s_adult", "weather_amt"];
const TOLERANCE: f64 = 1e-9;

/// A task's label and the probability of every label, by task.
type Expected = BTreeMap<String, (String, Vec<f64>)>;

fn expected(set: &str, method: &str) -> Expected {
    let mut table = csv::Reader::from_reader(open(set, &format!("{method}.csv")));
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
    #[serde(default, rename = "skills_")]
    skills: BTreeMap<String, f64>,
}

fn side(set: &str, method: &str) -> Side {
    serde_json::from_reader(open(set, &format!("{method}.side.json"))).unwrap()
}

/// Of `s_adult` every tenth task is kept.
fn assert_same(what: &str, found: &Aggregated, expected: &Expected) {
    let mut compared = 0;
    for (index, (task, label, _)) in found.decisions().enumerate() {
        let Some((expected_label, expected_row)) = expected.get(task) else {
            continue;
        };
        compared += 1;
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
    assert_eq!(compared, expected.len(), "{what}");
    assert!(compared * 10 >= found.tasks().len(), "{what}");
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
    for set in ["bluebirds", "labelme", "weather_amt"] {
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
        // Of s_adult's, where it stops after 2 iterations, only one is kept.
        let long = (set != "s_adult").then_some(("DawidSkene", 100));
        for (method, iterations) in long.into_iter().chain([("DawidSkene20", 20)]) {
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
    for set in ["bluebirds", "labelme", "weather_amt"] {
        let answers = answers(set);
        let settings = DawidSkene {
            iterations: 20,
            mode: Mode::CrowdKit,
            ..DawidSkene::default()
        };
        let found = dawid_skene(&answers, &settings).unwrap();
        let position =
            |names: &Ids, name: &str| names.iter().position(|other| other == name).unwrap();
        let mut table = csv::Reader::from_reader(open(set, "DawidSkene20.errors.csv"));
        for row in table.deserialize() {
            let (worker, answered, by_truth): (String, String, Vec<f64>) = row.unwrap();
            let matrix = found
                .worker_confusion(position(found.workers(), &worker))
                .unwrap();
            let answered = position(found.labels(), &answered);
            for (row, expected) in matrix.chunks(by_truth.len()).zip(&by_truth) {
                assert!(
                    (row[answered] - expected).abs() <= TOLERANCE,
                    "{set}, {worker}"
                );
            }
        }
    }
}

/// Three iterations from made-up confusion matrices; of the tasks every tenth is kept.
#[test]
fn dawid_skene_from_initial_errors_is_crowd_kits() {
    let answers = answers("labelme");
    let row = |worker: usize, answered: usize| -> Vec<f64> {
        let cell = |truth: usize| {
            let spread = 1 + (7 * worker + 3 * answered + 5 * truth) % 11;
            f64::from(u8::try_from(spread).unwrap()) + f64::from(u8::from(answered == truth)) * 10.0
        };
        (0..8).map(cell).collect()
    };
    let rows = |wanted: &dyn Fn(usize, usize) -> bool| -> ErrorRows {
        let mut rows = ErrorRows::new();
        for (worker, name) in answers.workers().iter().enumerate() {
            for (answered, label) in answers.labels().iter().enumerate() {
                if wanted(worker, answered) {
                    rows.insert((name.to_string(), label.to_string()), row(worker, answered));
                }
            }
        }
        rows
    };
    let assign = InitialErrors::Assign(rows(&|_, _| true));
    let add = InitialErrors::Add(rows(&|worker, answered| worker % 3 == 0 && answered != 2));
    for (method, initial_errors) in [
        ("DawidSkene3+assign", assign),
        ("DawidSkene3+addition", add),
    ] {
        let settings = DawidSkene {
            iterations: 3,
            tolerance: -1e9,
            mode: Mode::CrowdKit,
            initial_errors,
            ..DawidSkene::default()
        };
        let found = dawid_skene(&answers, &settings).unwrap();
        assert_same(method, &found, &expected("labelme", method));
        let side = side("labelme", method);
        for (found, expected) in found.log_likelihood().iter().zip(&side.loss_history_) {
            assert!((found - expected).abs() <= TOLERANCE, "{method}");
        }
    }
}

#[test]
fn one_coin_dawid_skene_is_crowd_kits() {
    for set in SETS {
        let settings = OneCoinDawidSkene {
            iterations: 20,
            mode: Mode::CrowdKit,
            ..OneCoinDawidSkene::default()
        };
        let found = one_coin_dawid_skene(&answers(set), &settings).unwrap();
        let (method, what) = ("OneCoinDawidSkene20", format!("one coin on {set}"));
        let side = side(set, method);
        assert_same(&what, &found, &expected(set, method));
        assert_same_course(&what, &found, &side, 20);
        for (worker, skill) in found.workers().iter().zip(found.worker_skills()) {
            assert!((skill - side.skills[worker]).abs() <= TOLERANCE, "{what}");
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

/// The default mode on the same crowds: no worse than crowd-kit's.
#[test]
fn the_default_modes_hold_their_own_on_real_crowds() {
    for (set, matrices, coins) in [
        ("bluebirds", 0.8889, 0.5833),
        ("labelme", 0.7920, 0.7670),
        ("s_adult", 0.7658, 0.7087),
        ("weather_amt", 0.8400, 0.8600),
    ] {
        let answers = answers(set);
        let truth: Gold = truth(set).into_iter().collect();
        let found = dawid_skene(&answers, &DawidSkene::default()).unwrap();
        let one_coin = one_coin_dawid_skene(&answers, &OneCoinDawidSkene::default()).unwrap();
        let accuracies = [found, one_coin].map(|found| found.accuracy(&truth).unwrap());
        println!("{set}: {accuracies:?}");
        let at_least = |accuracy, bar| accuracy > bar - 5e-5;
        assert!(at_least(accuracies[0], matrices), "{set}: {accuracies:?}");
        assert!(at_least(accuracies[1], coins), "{set}: {accuracies:?}");
    }
}
