//! What holds for GLAD, MACE and KOS on every crowd, and on odd ones.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use proptest::prelude::*;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, Glad, Gold, Kos, Mace, MaceLearning, MethodError, Mode,
    glad, kos, mace, majority_vote,
};

type Row = (u32, u32, u32);

/// Answers with so many labels, of which some may be given by nobody.
fn build(rows: &[Row], labels: u32) -> Answers {
    let mut builder =
        AnswersBuilder::with_labels((0..labels).map(|label| label.to_string())).unwrap();
    for (task, worker, label) in rows {
        builder
            .push(
                &format!("t{task}"),
                &format!("w{worker}"),
                &label.to_string(),
            )
            .unwrap();
    }
    builder.finish().unwrap()
}

const LEARNING: [MaceLearning; 2] = [
    MaceLearning::VariationalBayes,
    MaceLearning::ExpectationMaximisation,
];

/// Runs to the limit: no stop depends on a rounding error.
fn of_mode(answers: &Answers, mode: Mode, gold: &Gold) -> Vec<Aggregated> {
    let tolerance = f64::NEG_INFINITY;
    let mut found: Vec<_> = LEARNING
        .into_iter()
        .map(|learning| Mace {
            iterations: 15,
            tolerance,
            restarts: 2,
            learning,
            mode,
            gold: gold.clone(),
            ..Mace::default()
        })
        .map(|settings| mace(answers, &settings).unwrap())
        .collect();
    let settings = Glad {
        iterations: 6,
        tolerance,
        mode,
        gold: gold.clone(),
        ..Glad::default()
    };
    found.push(glad(answers, &settings).unwrap());
    if answers.labels().len() == 2 {
        let settings = Kos {
            mode,
            ..Kos::default()
        };
        found.push(kos(answers, &settings).unwrap());
    }
    found
}

fn all(answers: &Answers) -> Vec<Aggregated> {
    [Mode::Default, Mode::CrowdKit]
        .into_iter()
        .flat_map(|mode| of_mode(answers, mode, &Gold::new()))
        .collect()
}

fn assert_sound(found: &Aggregated) {
    for task in 0..found.tasks().len() {
        let row = found.task_probabilities(task).unwrap();
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
        assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
    }
    let skills = found.worker_skills();
    assert!(
        skills
            .iter()
            .all(|skill| (0.0..=1.0 + 1e-9).contains(skill)),
        "{skills:?}"
    );
    let columns = found.worker_columns().iter().chain(found.task_columns());
    assert!(
        columns
            .flat_map(|(_, values)| values)
            .all(|value| value.is_finite())
    );
    assert!(found.log_likelihood().iter().all(|value| value.is_finite()));
    assert!((found.priors().iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

fn bits(found: &Aggregated) -> Vec<u64> {
    let columns = found.worker_columns().iter().chain(found.task_columns());
    columns
        .flat_map(|(_, values)| values)
        .chain(found.probabilities())
        .chain(found.worker_skills())
        .chain(found.log_likelihood())
        .map(|value| value.to_bits())
        .collect()
}

fn rows(labels: u32) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..10_u32, 0..6_u32, 0..labels), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn results_are_sound((labels, rows) in (1..4_u32).prop_flat_map(|labels| (Just(labels), rows(labels)))) {
        for found in all(&build(&rows, labels)) {
            assert_sound(&found);
        }
    }

    #[test]
    fn the_order_of_rows_does_not_change_a_bit_by_default((rows, shuffled) in rows(2).prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let one = of_mode(&build(&rows, 2), Mode::Default, &Gold::new());
        let other = of_mode(&build(&shuffled, 2), Mode::Default, &Gold::new());
        for (one, other) in one.iter().zip(&other) {
            prop_assert_eq!(bits(one), bits(other));
        }
    }

    /// Which sign is which label is a matter of the majority.
    #[test]
    fn kos_is_on_the_side_of_the_majority(rows in rows(2)) {
        let answers = build(&rows, 2);
        let (found, majority) = (kos(&answers, &Kos::default()).unwrap(), majority_vote(&answers));
        let mut agreement = 0;
        for task in 0..answers.tasks().len() {
            // Tasks with a tie, there or here, do not count.
            if majority.confidence(task) > Some(0.5) && found.confidence(task) > Some(0.5) {
                agreement += if found.label(task) == majority.label(task) { 1 } else { -1 };
            }
        }
        prop_assert!(agreement >= 0, "{agreement}");
    }

    #[test]
    fn the_objective_never_falls_by_default(
        rows in rows(3),
        known in prop::collection::btree_map(0..10_u32, 0..3_u32, 0..4),
    ) {
        let gold = known.iter().map(|(task, label)| (format!("t{task}"), label.to_string())).collect();
        // KOS, for two labels, has no objective.
        for found in of_mode(&build(&rows, 3), Mode::Default, &gold) {
            for (before, after) in found.log_likelihood().iter().zip(found.log_likelihood().iter().skip(1)) {
                prop_assert!(*after >= before - 1e-12, "{:?}", found.log_likelihood());
            }
            for (task, label, confidence) in found.decisions() {
                if let Some(known) = gold.get(task) {
                    prop_assert_eq!(label, known.as_str());
                    prop_assert!(confidence >= 1.0);
                }
            }
        }
    }
}

#[test]
fn one_answer_is_enough() {
    for found in all(&build(&[(0, 0, 0)], 1)) {
        assert_sound(&found);
        assert_eq!(found.label(0), Some("0"));
    }
    for found in all(&build(&[(0, 0, 1)], 2)) {
        assert_sound(&found);
        assert_eq!(found.label(0), Some("1"));
    }
}

#[test]
fn one_worker_is_believed() {
    let rows: Vec<Row> = (0..20).map(|task| (task, 0, task % 2)).collect();
    let own: Gold = (0..20)
        .map(|task| (format!("t{task}"), (task % 2).to_string()))
        .collect();
    for found in all(&build(&rows, 2)) {
        assert_sound(&found);
        assert_eq!(found.accuracy(&own), Some(1.0));
    }
}

/// Three agree, and one always says the opposite: it is found out, and the others are believed.
#[test]
fn a_worker_who_agrees_with_nobody_is_found_out() {
    let rows: Vec<Row> = (0..30)
        .flat_map(|task| {
            (0..4).map(move |worker| (task, worker, (task + u32::from(worker == 3)) % 2))
        })
        .collect();
    let answers = build(&rows, 2);
    for found in of_mode(&answers, Mode::Default, &Gold::new()) {
        assert_sound(&found);
        let truth: Gold = (0..30)
            .map(|task| (format!("t{task}"), (task % 2).to_string()))
            .collect();
        assert_eq!(found.accuracy(&truth), Some(1.0));
        let [good, .., bad] = found.worker_skills() else {
            panic!("four workers");
        };
        // MACE knows no malice, only spam, which may be right by chance.
        assert!(*good > 0.8 && *bad < 0.6, "{good} {bad}");
    }
}

/// The same answer given again and again, and sixty, and three thousand answers a task.
#[test]
fn many_answers_do_not_underflow() {
    let again: Vec<Row> = (0..200)
        .map(|_| (0, 0, 1))
        .chain([(0, 1, 0), (1, 0, 1)])
        .collect();
    for (workers, rows) in [
        (2, again),
        (
            60,
            (0..600)
                .map(|row| (row / 60, row % 60, row * row % 3))
                .collect(),
        ),
        (
            3000,
            (0..6000)
                .map(|row| (row / 3000, row % 3000, u32::from(row % 5 == 0)))
                .collect(),
        ),
    ] {
        let answers = build(&rows, 3);
        assert_eq!(answers.workers().len(), workers);
        for found in all(&answers) {
            assert_sound(&found);
        }
    }
}

/// Where crowd-kit multiplies too much, it gives no probabilities; here, they are even.
#[test]
fn too_small_a_product_decides_nothing_in_crowd_kits_mode() {
    let rows: Vec<Row> = (0..3000)
        .map(|worker| (0, worker, u32::from(worker % 5 == 0)))
        .collect();
    let settings = |mode| Mace {
        restarts: 0,
        mode,
        ..Mace::default()
    };
    let found = mace(&build(&rows, 2), &settings(Mode::CrowdKit)).unwrap();
    assert_eq!(found.probabilities(), [0.5, 0.5]);
    let found = mace(&build(&rows, 2), &settings(Mode::Default)).unwrap();
    assert!(found.confidence(0).unwrap() > 0.99 && found.label(0) == Some("0"));
}

#[test]
fn a_hundred_thousand_labels_cost_little() {
    let rows: Vec<Row> = (0..300)
        .map(|row| {
            (
                row / 30,
                row % 30,
                if row % 3 == 0 { row * 300 } else { row / 30 },
            )
        })
        .collect();
    let answers = build(&rows, 100_000);
    let majority: Gold = (0..10)
        .map(|task| (format!("t{task}"), task.to_string()))
        .collect();
    for found in all(&answers) {
        assert_sound(&found);
        assert_eq!(found.accuracy(&majority), Some(1.0));
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        state >> 16
    };
    let rows: Vec<Row> = (0..100_000)
        .map(|row| {
            (
                row / 5,
                random() % 200,
                if random() % 3 == 0 {
                    random() % 2
                } else {
                    row / 5 % 2
                },
            )
        })
        .collect();
    let answers = build(&rows, 2);
    let settings = Mace {
        iterations: 3,
        restarts: 1,
        ..Mace::default()
    };
    let results = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let by_glad = Glad {
                iterations: 1,
                ..Glad::default()
            };
            [
                bits(&mace(&answers, &settings).unwrap()),
                bits(
                    &mace(
                        &answers,
                        &Mace {
                            mode: Mode::CrowdKit,
                            ..settings.clone()
                        },
                    )
                    .unwrap(),
                ),
                bits(&glad(&answers, &by_glad).unwrap()),
            ]
        })
    });
    assert!(results[0] == results[1]);
}

#[test]
fn kos_is_for_two_labels() {
    for labels in [1, 3] {
        let error = kos(&build(&[(0, 0, 0)], labels), &Kos::default()).unwrap_err();
        assert_eq!(
            error,
            MethodError::NotBinary {
                method: "KOS",
                labels: labels as usize
            }
        );
    }
}

/// Messages cancel out, and crowd-kit fails; the majority decides.
#[test]
fn where_messages_cancel_out_the_majority_decides() {
    let rows = [(0, 0, 1), (0, 1, 1), (0, 2, 0)];
    for mode in [Mode::Default, Mode::CrowdKit] {
        let settings = Kos {
            mode,
            ..Kos::default()
        };
        let found = kos(&build(&rows, 2), &settings).unwrap();
        assert_eq!(
            (found.label(0), found.confidence(0)),
            (Some("1"), Some(2.0 / 3.0))
        );
    }
}

#[test]
fn a_tolerance_must_be_a_number() {
    let answers = build(&[(0, 0, 0)], 1);
    let by_mace = Mace {
        tolerance: f64::NAN,
        ..Mace::default()
    };
    let by_glad = Glad {
        tolerance: f64::NAN,
        ..Glad::default()
    };
    for error in [
        mace(&answers, &by_mace).unwrap_err(),
        glad(&answers, &by_glad).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "tolerance is NaN; it must be a number");
    }
}
