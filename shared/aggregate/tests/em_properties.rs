//! What holds for expectation-maximisation on every crowd, and on any number of threads.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use proptest::prelude::*;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, DawidSkene, Gold, Mode, OneCoinDawidSkene, StopReason,
    dawid_skene, majority_vote, one_coin_dawid_skene,
};

type Row = (usize, usize, usize);

fn build(rows: &[Row], labels: usize) -> Answers {
    let names: Vec<String> = (0..labels).map(|label| label.to_string()).collect();
    let mut builder = AnswersBuilder::with_labels(&names).unwrap();
    for (task, worker, label) in rows {
        let (task, worker) = (task.to_string(), worker.to_string());
        builder.push(&task, &worker, &names[*label]).unwrap();
    }
    builder.finish().unwrap()
}

/// Rows, the number of labels, and known labels. Sizes are drawn first, so that 1 of anything, 30 answers a task and
/// duplicates are common; one worker never agrees with the others.
fn crowds() -> impl Strategy<Value = (Vec<Row>, usize, Gold)> {
    let sizes = (1..8_usize, 1..12_usize, 1..13_usize, any::<bool>());
    sizes.prop_flat_map(|(tasks, workers, labels, contrarian)| {
        let row = (0..tasks, 0..workers, 0..labels).prop_map(move |(task, worker, label)| {
            let fixed = contrarian && labels > 1;
            let label = match worker {
                0 if fixed => labels - 1,
                _ if fixed => label.min(labels - 2),
                _ => label,
            };
            (task, worker, label)
        });
        let gold = prop::collection::btree_map(0..tasks, 0..labels, 0..=tasks);
        let rows = prop::collection::vec(row, 1..250);
        (rows, Just(labels), gold).prop_map(|(rows, labels, gold)| {
            let gold = gold.into_iter();
            let gold = gold.map(|(task, label)| (task.to_string(), label.to_string()));
            (rows, labels, gold.collect())
        })
    })
}

fn both(answers: &Answers, mode: Mode, iterations: usize, gold: &Gold) -> [Aggregated; 2] {
    let tolerance = f64::NEG_INFINITY;
    let matrices = DawidSkene {
        iterations,
        tolerance,
        mode,
        gold: gold.clone(),
        ..DawidSkene::default()
    };
    let coins = OneCoinDawidSkene {
        iterations,
        tolerance,
        mode,
        gold: gold.clone(),
        ..OneCoinDawidSkene::default()
    };
    [
        dawid_skene(answers, &matrices).unwrap(),
        one_coin_dawid_skene(answers, &coins).unwrap(),
    ]
}

fn bits(found: &Aggregated) -> Vec<u64> {
    let mut values = [
        found.probabilities(),
        found.priors(),
        found.worker_skills(),
        found.log_likelihood(),
    ]
    .concat();
    for worker in 0..found.workers().len().min(20) {
        values.extend(found.worker_confusion(worker).unwrap());
        values.extend(found.worker_confusion_deviation(worker).unwrap());
        values.push(found.worker_skill_deviation(worker).unwrap());
    }
    values.iter().map(|value| value.to_bits()).collect()
}

/// Nine answers to a task, none of which is the label: what the others have together is a difference, and rounded.
#[test]
fn nothing_is_more_than_certain() {
    let rows = [
        (2, 5, 0),
        (2, 0, 1),
        (1, 0, 1),
        (1, 8, 1),
        (0, 7, 2),
        (2, 9, 0),
        (0, 5, 1),
        (1, 8, 3),
        (0, 2, 0),
        (2, 2, 2),
        (0, 5, 0),
        (0, 4, 1),
        (1, 2, 1),
        (0, 1, 0),
        (1, 10, 1),
        (0, 4, 1),
        (2, 1, 2),
        (0, 4, 1),
        (0, 3, 3),
        (2, 4, 0),
        (0, 1, 0),
        (0, 8, 2),
        (0, 1, 1),
        (0, 8, 3),
        (1, 3, 1),
        (2, 3, 1),
        (1, 0, 2),
        (1, 10, 2),
        (1, 3, 2),
        (0, 8, 0),
        (2, 0, 0),
        (0, 2, 2),
        (0, 4, 0),
        (2, 0, 0),
        (2, 9, 1),
    ];
    for found in both(&build(&rows, 4), Mode::CrowdKit, 20, &Gold::new()) {
        let largest = found.probabilities().iter().copied().fold(0.0, f64::max);
        assert!(largest <= 1.0, "{largest:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_objective_never_falls((rows, labels, gold) in crowds()) {
        let answers = build(&rows, labels);
        for found in both(&answers, Mode::Default, 60, &gold) {
            for step in found.log_likelihood().windows(2) {
                prop_assert!(step[1] >= step[0] - 1e-12, "{:?}", found.log_likelihood());
            }
        }
    }

    #[test]
    fn every_number_is_in_its_range((rows, labels, gold) in crowds()) {
        let answers = build(&rows, labels);
        for mode in [Mode::Default, Mode::CrowdKit] {
            for found in both(&answers, mode, 20, &gold) {
                for row in found.probabilities().chunks(labels) {
                    prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-8);
                    prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
                }
                prop_assert!(found.log_likelihood().iter().all(|value| value.is_finite()));
                prop_assert_eq!(found.iterations(), 20);
                prop_assert_eq!(found.stop_reason(), StopReason::IterationLimit);
                for worker in 0..answers.workers().len() {
                    let matrix = found.worker_confusion(worker).unwrap();
                    let deviation = found.worker_confusion_deviation(worker).unwrap();
                    for row in matrix.chunks(labels) {
                        prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-8 || labels == 1);
                    }
                    prop_assert!(matrix.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)));
                    prop_assert!(deviation.iter().all(|d| (0.0..=0.5).contains(d)));
                    let deviation = found.worker_skill_deviation(worker).unwrap();
                    prop_assert!((0.0..=0.5).contains(&deviation));
                }
                for (task, label) in &gold {
                    if let Some(task) = found.tasks().iter().position(|name| name == task) {
                        prop_assert_eq!(found.label(task), Some(label.as_str()));
                    }
                }
            }
        }
    }

    /// One coin a worker touches only the labels that a task got; written out over all labels it is the same.
    #[test]
    fn an_iteration_of_one_coin_is_its_formula((rows, labels, _) in crowds()) {
        let answers = build(&rows, labels);
        let [_, before] = both(&answers, Mode::CrowdKit, 3, &Gold::new());
        let [_, after] = both(&answers, Mode::CrowdKit, 4, &Gold::new());
        let wrong = |skill: f64| (1.0 - skill) / (labels.max(2) - 1) as f64;
        for task in 0..answers.tasks().len() {
            let mut row: Vec<f64> = before.priors().iter().map(|prior| prior.ln()).collect();
            for (worker, label) in answers.of_task(task) {
                let skill = before.worker_skills()[worker];
                for (truth, cell) in row.iter_mut().enumerate() {
                    let factor = if truth == label { skill } else { wrong(skill) };
                    *cell += factor.clamp(1e-10, 1.0 - 1e-10).ln();
                }
            }
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|cell| *cell = (*cell - largest).exp());
            let total: f64 = row.iter().sum();
            for (expected, found) in row.iter().zip(after.task_probabilities(task).unwrap()) {
                prop_assert!((expected / total - found).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn one_answer_a_task_is_the_label(given in prop::collection::vec((0..5_usize, 0..3_usize), 1..60)) {
        let rows: Vec<Row> = (0..).zip(given).map(|(task, (worker, label))| (task, worker, label)).collect();
        let answers = build(&rows, 3);
        let majority = majority_vote(&answers);
        for found in both(&answers, Mode::Default, 20, &Gold::new()) {
            for task in 0..answers.tasks().len() {
                prop_assert_eq!(found.label(task), majority.label(task));
            }
        }
    }
}

/// Crowds of several blocks: one whose tables are small beside its answers, one of many labels, one of many workers.
#[test]
fn threads_do_not_change_a_bit() {
    for (workers, labels) in [(40, 3), (60, 30), (20_000, 4)] {
        let mut state = 1_usize;
        let mut random = move |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let rows: Vec<Row> = (0..100_000)
            .map(|answer| {
                let (task, worker) = (answer / 5, random(workers));
                let right = random(100) < 50 + worker % 46;
                let label = if right { task % labels } else { random(labels) };
                (task, worker, label)
            })
            .collect();
        let answers = build(&rows, labels);
        for mode in [Mode::Default, Mode::CrowdKit] {
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                pool.install(|| both(&answers, mode, 4, &Gold::new()).map(|found| bits(&found)))
            };
            let one = on(1);
            assert!(one == on(2) && one == on(3), "{workers} workers, {mode:?}");
        }
    }
}

/// One coin has no table of workers and labels.
#[test]
fn a_million_labels_are_no_trouble_for_one_coin() {
    let names: Vec<String> = (0..1_000_000).map(|label| label.to_string()).collect();
    let mut builder = AnswersBuilder::with_labels(&names).unwrap();
    for (worker, label) in [("1", "7"), ("2", "7"), ("3", "999999")] {
        builder.push("task", worker, label).unwrap();
    }
    let answers = builder.finish().unwrap();
    for found in [Mode::Default, Mode::CrowdKit].map(|mode| {
        let settings = OneCoinDawidSkene {
            mode,
            ..OneCoinDawidSkene::default()
        };
        one_coin_dawid_skene(&answers, &settings).unwrap()
    }) {
        assert_eq!(found.label(0), Some("7"));
        assert!(found.confidence(0).unwrap() > 0.5);
    }
}
