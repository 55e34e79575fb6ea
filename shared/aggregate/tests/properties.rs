//! What holds for every crowd.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use proptest::prelude::*;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, DawidSkene, Gold, Mode, dawid_skene, gold_tallies,
    majority_vote,
};

type Row = (u8, u8, u8);

const LABELS: [&str; 3] = ["ant", "bee", "cat"];

fn build(rows: &[Row], labels: [&str; 3]) -> Answers {
    let mut builder = AnswersBuilder::with_labels(labels).unwrap();
    for &(task, worker, label) in rows {
        builder
            .push(
                &format!("t{task}"),
                &format!("w{worker}"),
                labels[label as usize],
            )
            .unwrap();
    }
    builder.finish().unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..10_u8, 0..6_u8, 0..3_u8), 1..80)
}

/// Runs to the limit: no stop depends on a rounding error.
fn settings(mode: Mode, iterations: usize) -> DawidSkene {
    DawidSkene {
        iterations,
        tolerance: f64::NEG_INFINITY,
        mode,
        ..DawidSkene::default()
    }
}

fn all_methods(answers: &Answers, iterations: usize) -> Vec<Aggregated> {
    let mut found = vec![majority_vote(answers)];
    for mode in [Mode::Default, Mode::CrowdKit] {
        found.push(dawid_skene(answers, &settings(mode, iterations)).unwrap());
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rows_does_not_change_a_bit((rows, shuffled) in rows().prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let (answers, shuffled) = (build(&rows, LABELS), build(&shuffled, LABELS));
        for (one, other) in all_methods(&answers, 20).iter().zip(all_methods(&shuffled, 20)) {
            prop_assert_eq!(one.tasks(), other.tasks());
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(one.probabilities()), bits(other.probabilities()));
            prop_assert_eq!(bits(one.worker_skills()), bits(other.worker_skills()));
            prop_assert_eq!(bits(one.log_likelihood()), bits(other.log_likelihood()));
        }
    }

    #[test]
    fn renaming_labels_renames_results(rows in rows()) {
        // Sorted, these are in the order c, a, b of the originals.
        let (answers, renamed) = (build(&rows, LABELS), build(&rows, ["yak", "zebra", "xerus"]));
        for (one, other) in all_methods(&answers, 8).iter().zip(all_methods(&renamed, 8)) {
            for task in 0..answers.tasks().len() {
                let (one, other) = (one.task_probabilities(task).unwrap(), other.task_probabilities(task).unwrap());
                for (label, place) in [(0, 1), (1, 2), (2, 0)] {
                    prop_assert!((one[label] - other[place]).abs() < 1e-7, "{one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn probabilities_are_probabilities(rows in rows()) {
        let answers = build(&rows, LABELS);
        for found in all_methods(&answers, 20) {
            for row in found.probabilities().chunks(3) {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)));
            }
            prop_assert!((found.priors().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(found.worker_skills().iter().all(|skill| (0.0..=1.0 + 1e-9).contains(skill)));
        }
        let found = dawid_skene(&answers, &settings(Mode::Default, 20)).unwrap();
        for worker in 0..answers.workers().len() {
            for row in found.worker_confusion(worker).unwrap().chunks(3) {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_objective_never_falls(rows in rows(), known in prop::collection::btree_map(0..10_u8, 0..3_usize, 0..4)) {
        let answers = build(&rows, LABELS);
        let gold: Gold = known.into_iter().map(|(task, label)| (format!("t{task}"), LABELS[label].to_owned())).collect();
        let settings = DawidSkene { gold, ..settings(Mode::Default, 60) };
        let found = dawid_skene(&answers, &settings).unwrap();
        for step in found.log_likelihood().windows(2) {
            prop_assert!(step[1] >= step[0] - 1e-12, "{:?}", found.log_likelihood());
        }
    }

    #[test]
    fn known_labels_are_kept(rows in rows(), label in 0..3_usize) {
        let answers = build(&rows, LABELS);
        let task = answers.tasks()[0].to_string();
        let gold = Gold::from([(task, LABELS[label].to_owned())]);
        for mode in [Mode::Default, Mode::CrowdKit] {
            let found = dawid_skene(&answers, &DawidSkene { gold: gold.clone(), ..settings(mode, 10) }).unwrap();
            prop_assert_eq!(found.label(0), Some(LABELS[label]));
            prop_assert!(found.confidence(0).unwrap() > 1.0 - 1e-9);
        }
        let answered: u32 = gold_tallies(&answers, &gold).iter().map(|tally| tally.answered).sum();
        prop_assert_eq!(answered as usize, answers.of_task(0).count());
    }

    /// Without a second opinion anywhere there is nothing to learn, and every task keeps its only answer.
    #[test]
    fn one_answer_a_task_is_the_label(labels in prop::collection::vec((0..5_u8, 0..3_u8), 1..60)) {
        let rows: Vec<Row> = (0..).zip(labels).map(|(task, (worker, label))| (task, worker, label)).collect();
        let answers = build(&rows, LABELS);
        let found = dawid_skene(&answers, &DawidSkene::default()).unwrap();
        let majority = majority_vote(&answers);
        for task in 0..answers.tasks().len() {
            prop_assert_eq!(found.label(task), majority.label(task));
        }
    }
}
