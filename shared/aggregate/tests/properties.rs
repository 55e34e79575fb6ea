//! What holds for every crowd, whatever the method.
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

/// A method by its name; iterations are few and their number is fixed, so that no stop depends on a rounding error.
type Method = (&'static str, fn(&Answers) -> Aggregated);

const ITERATIONS: usize = 10;

const MAJORITY_VOTE: Method = ("majority vote", majority_vote);
const DAWID_SKENE: Method = ("Dawid-Skene", |answers| run(answers, Mode::Default));
const CROWD_KIT_DAWID_SKENE: Method = ("Dawid-Skene as crowd-kit", |answers| {
    run(answers, Mode::CrowdKit)
});

/// All methods.
const METHODS: &[Method] = &[MAJORITY_VOTE, DAWID_SKENE, CROWD_KIT_DAWID_SKENE];

/// Those whose log-likelihood never falls.
const CLIMBING: &[Method] = &[DAWID_SKENE];

/// Those that a minority cannot fool. crowd-kit's rules for Dawid-Skene are not among them: without a prior, a class
/// that only one worker ever answered may explain the answers of all others best.
const ROBUST: &[Method] = &[MAJORITY_VOTE, DAWID_SKENE];

/// Those to which the same crowd a second time is nothing new. To a model of independent workers it is: every
/// answer counts twice, so its certainty grows, and a label may change where many weak answers meet few strong ones.
const PROPORTIONAL: &[Method] = &[MAJORITY_VOTE];

fn settings(mode: Mode) -> DawidSkene {
    DawidSkene {
        iterations: ITERATIONS,
        tolerance: f64::NEG_INFINITY,
        mode,
        ..DawidSkene::default()
    }
}

fn run(answers: &Answers, mode: Mode) -> Aggregated {
    dawid_skene(answers, &settings(mode)).unwrap()
}

/// Task, worker, label.
type Row = (usize, usize, usize);

const TASKS: usize = 10;
const WORKERS: usize = 6;
const LABELS: [&str; 3] = ["ant", "bee", "cat"];

/// Any answers; the same answer may occur twice.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..TASKS, 0..WORKERS, 0..LABELS.len()), 1..80)
}

fn build(rows: &[Row]) -> Answers {
    renamed(
        rows,
        |task| format!("t{task}"),
        |worker| format!("w{worker}"),
        LABELS,
    )
}

fn renamed(
    rows: &[Row],
    task_name: impl Fn(usize) -> String,
    worker_name: impl Fn(usize) -> String,
    labels: [&str; LABELS.len()],
) -> Answers {
    let mut builder = AnswersBuilder::with_labels(labels).unwrap();
    for &(task, worker, label) in rows {
        builder
            .push(&task_name(task), &worker_name(worker), labels[label])
            .unwrap();
    }
    builder.finish().unwrap()
}

fn labels(found: &Aggregated) -> Vec<&str> {
    found.decisions().map(|(_, label, _)| label).collect()
}

/// All numbers of a result, to the last bit.
fn bits(found: &Aggregated) -> Vec<u64> {
    let columns = found.worker_columns().iter().chain(found.task_columns());
    [
        found.probabilities(),
        found.priors(),
        found.worker_skills(),
        found.log_likelihood(),
    ]
    .into_iter()
    .chain(columns.map(|(_, column)| column.as_slice()))
    .flatten()
    .map(|value| value.to_bits())
    .collect()
}

/// Whether every number is one, and every probability a probability.
fn check_numbers(name: &str, found: &Aggregated) -> Result<(), TestCaseError> {
    for &bits in &bits(found) {
        prop_assert!(f64::from_bits(bits).is_finite(), "{}: {:?}", name, found);
    }
    let classes = found.labels().len();
    let workers = 0..found.workers().len().min(WORKERS);
    let confusion = workers.flat_map(|worker| found.worker_confusion(worker).unwrap_or_default());
    let tables = [
        found.probabilities(),
        found.priors(),
        &confusion.collect::<Vec<_>>(),
    ];
    for row in tables.iter().flat_map(|table| table.chunks(classes)) {
        prop_assert!(
            (row.iter().sum::<f64>() - 1.0).abs() < 1e-9,
            "{}: {:?}",
            name,
            row
        );
        prop_assert!(
            row.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)),
            "{}: {:?}",
            name,
            row
        );
    }
    let skills = found.worker_skills();
    prop_assert!(
        skills
            .iter()
            .all(|skill| (0.0..=1.0 + 1e-9).contains(skill)),
        "{}: {:?}",
        name,
        skills
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_numbers_and_rows_sum_to_one(rows in rows()) {
        for (name, method) in METHODS {
            check_numbers(name, &method(&build(&rows)))?;
        }
    }

    #[test]
    fn the_order_of_rows_does_not_change_a_bit((rows, shuffled) in rows().prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    })) {
        let (answers, shuffled) = (build(&rows), build(&shuffled));
        for (name, method) in METHODS {
            let (one, other) = (method(&answers), method(&shuffled));
            prop_assert_eq!(one.tasks(), other.tasks());
            prop_assert_eq!(bits(&one), bits(&other), "{}", name);
        }
    }

    #[test]
    fn other_names_in_the_same_order_do_not_change_a_bit(rows in rows()) {
        let numbers = |number: usize| (number * 7).to_string();
        let (answers, other) = (build(&rows), renamed(&rows, numbers, numbers, ["9", "10", "11"]));
        for (name, method) in METHODS {
            prop_assert_eq!(bits(&method(&answers)), bits(&method(&other)), "{}", name);
        }
    }

    /// Sums are in another order then, so they may differ in their last bits.
    #[test]
    fn names_in_another_order_change_no_probability(rows in rows()) {
        let backwards = |number: usize| format!("{}", 99 - number);
        // Sorted, these are in the order c, a, b of the originals.
        let labels = ["yak", "zebra", "xerus"];
        let (answers, other) = (build(&rows), renamed(&rows, backwards, backwards, labels));
        for (name, method) in METHODS {
            let (one, other) = (method(&answers), method(&other));
            let tasks = answers.tasks().len();
            for task in 0..tasks {
                let one = one.task_probabilities(task).unwrap();
                let other = other.task_probabilities(tasks - 1 - task).unwrap();
                for (label, place) in [(0, 1), (1, 2), (2, 0)] {
                    prop_assert!((one[label] - other[place]).abs() < 1e-7, "{}: {:?} {:?}", name, one, other);
                }
            }
        }
    }

    #[test]
    fn the_log_likelihood_never_falls(rows in rows()) {
        for (name, method) in CLIMBING {
            let found = method(&build(&rows));
            prop_assert!(!found.log_likelihood().is_empty());
            for step in found.log_likelihood().windows(2) {
                prop_assert!(step[1] >= step[0] - 1e-12, "{}: {:?}", name, found.log_likelihood());
            }
        }
    }

    /// Two workers with the same answers have the same skill and errors, two tasks with the same answers the same label.
    #[test]
    fn twins_are_treated_alike(rows in rows()) {
        let double = |(task, worker, label)| {
            [(0, 0), (0, WORKERS), (TASKS, 0), (TASKS, WORKERS)].map(|(t, w)| (task + t, worker + w, label))
        };
        let rows: Vec<Row> = rows.into_iter().flat_map(double).collect();
        // Numbers, so that the twins of all come after all.
        let answers = renamed(&rows, |task| task.to_string(), |worker| worker.to_string(), LABELS);
        let (tasks, workers) = (answers.tasks().len() / 2, answers.workers().len() / 2);
        for (name, method) in METHODS {
            let found = method(&answers);
            let (one, other) = found.probabilities().split_at(tasks * LABELS.len());
            prop_assert_eq!(one, other, "{}", name);
            let (one, other) = found.worker_skills().split_at(workers);
            prop_assert_eq!(one, other, "{}", name);
            for worker in 0..workers {
                prop_assert_eq!(found.worker_confusion(worker), found.worker_confusion(worker + workers), "{}", name);
            }
        }
    }

    #[test]
    fn the_same_crowd_again_changes_no_label(rows in rows()) {
        let again = rows.iter().map(|&(task, worker, label)| (task, worker + WORKERS, label));
        let twice = build(&rows.iter().copied().chain(again).collect::<Vec<_>>());
        for (name, method) in PROPORTIONAL {
            let (once, twice) = (method(&build(&rows)), method(&twice));
            prop_assert_eq!(once.probabilities(), twice.probabilities(), "{}", name);
        }
    }

    /// Twice as many perfect workers as there are others, whatever the others answer.
    #[test]
    fn enough_perfect_workers_are_always_right(
        truth in prop::collection::vec(0..LABELS.len(), TASKS),
        others in prop::collection::vec(prop::collection::vec(0..LABELS.len(), TASKS), 0..WORKERS),
    ) {
        let perfect = std::iter::repeat_n(truth.clone(), 2 * others.len() + 1);
        let answers = build(&everybody_answers(others.into_iter().chain(perfect)));
        for (name, method) in ROBUST {
            let found = method(&answers);
            prop_assert_eq!(labels(&found), names(&truth), "{}", name);
        }
    }

    /// One worker answers at random, always the same, or never what the others say, who all agree.
    #[test]
    fn one_spammer_changes_nothing_and_is_found(
        truth in prop::collection::vec(0..LABELS.len(), TASKS),
        others in 3..WORKERS,
        spam in prop_oneof![
            prop::collection::vec(0..LABELS.len(), TASKS),
            (0..LABELS.len()).prop_map(|label| vec![label; TASKS]),
            Just(Vec::new()),
        ],
    ) {
        let contrary = truth.iter().map(|label| (label + 1) % LABELS.len()).collect();
        let spam = if spam.is_empty() { contrary } else { spam };
        let others = std::iter::repeat_n(truth.clone(), others);
        let answers = build(&everybody_answers(std::iter::once(spam.clone()).chain(others)));
        for (name, method) in ROBUST {
            let found = method(&answers);
            prop_assert_eq!(labels(&found), names(&truth), "{}", name);
            let (spammer, others) = found.worker_skills().split_first().unwrap();
            for other in others {
                prop_assert!(spammer < other || spam == truth, "{}: {:?}", name, found.worker_skills());
            }
        }
    }

    #[test]
    fn one_class_is_certain(rows in prop::collection::vec((0..TASKS, 0..WORKERS, Just(0)), 1..40)) {
        let mut builder = AnswersBuilder::new();
        for (task, worker, _) in rows {
            builder.push(&task.to_string(), &worker.to_string(), "ant").unwrap();
        }
        let answers = builder.finish().unwrap();
        for (name, method) in METHODS {
            let found = method(&answers);
            check_numbers(name, &found)?;
            prop_assert!(found.probabilities().iter().all(|p| (p - 1.0).abs() < 1e-9), "{}", name);
        }
    }

    /// With nothing to tell workers apart, the most answers win.
    #[test]
    fn one_task_is_a_vote(answers in prop::collection::vec(0..LABELS.len(), 1..40)) {
        let votes = |label| answers.iter().filter(|&&answer| answer == label).count();
        let most = (0..LABELS.len()).map(votes).max().unwrap();
        let winners: Vec<usize> = (0..LABELS.len()).filter(|&label| votes(label) == most).collect();
        let rows: Vec<Row> = answers.iter().enumerate().map(|(worker, &label)| (0, worker, label)).collect();
        for (name, method) in METHODS {
            let found = method(&build(&rows));
            check_numbers(name, &found)?;
            if let &[winner] = winners.as_slice() {
                prop_assert_eq!(found.label(0), Some(LABELS[winner]), "{}", name);
            }
        }
    }

    #[test]
    fn one_worker_is_believed(answers in prop::collection::vec(0..LABELS.len(), 1..TASKS)) {
        for (name, method) in METHODS {
            let found = method(&build(&everybody_answers([answers.clone()])));
            check_numbers(name, &found)?;
            prop_assert_eq!(labels(&found), names(&answers), "{}", name);
        }
    }

    /// Without a second opinion anywhere there is nothing to learn, and every task keeps its only answer.
    #[test]
    fn one_answer_a_task_is_the_label(labels in prop::collection::vec((0..5_usize, 0..3_usize), 1..60)) {
        let rows: Vec<Row> = (0..).zip(labels).map(|(task, (worker, label))| (task, worker, label)).collect();
        let answers = build(&rows);
        let found = dawid_skene(&answers, &DawidSkene::default()).unwrap();
        let majority = majority_vote(&answers);
        for task in 0..answers.tasks().len() {
            prop_assert_eq!(found.label(task), majority.label(task));
        }
    }

    #[test]
    fn the_log_likelihood_never_falls_with_known_labels(
        rows in rows(),
        known in prop::collection::btree_map(0..TASKS, 0..LABELS.len(), 0..4),
    ) {
        let gold: Gold = known.into_iter().map(|(task, label)| (format!("t{task}"), LABELS[label].to_owned())).collect();
        let settings = DawidSkene { gold, iterations: 60, ..settings(Mode::Default) };
        let found = dawid_skene(&build(&rows), &settings).unwrap();
        for step in found.log_likelihood().windows(2) {
            prop_assert!(step[1] >= step[0] - 1e-12, "{:?}", found.log_likelihood());
        }
    }

    #[test]
    fn known_labels_are_kept(rows in rows(), label in 0..LABELS.len()) {
        let answers = build(&rows);
        let task = answers.tasks()[0].to_string();
        let gold = Gold::from([(task, LABELS[label].to_owned())]);
        for mode in [Mode::Default, Mode::CrowdKit] {
            let found = dawid_skene(&answers, &DawidSkene { gold: gold.clone(), ..settings(mode) }).unwrap();
            prop_assert_eq!(found.label(0), Some(LABELS[label]));
            prop_assert!(found.confidence(0).unwrap() > 1.0 - 1e-9);
        }
        let answered: u32 = gold_tallies(&answers, &gold).iter().map(|tally| tally.answered).sum();
        prop_assert_eq!(answered as usize, answers.of_task(0).count());
    }
}

/// The rows of workers who each answer every task.
fn everybody_answers(workers: impl IntoIterator<Item = Vec<usize>>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (worker, answers) in workers.into_iter().enumerate() {
        rows.extend(
            answers
                .into_iter()
                .enumerate()
                .map(|(task, label)| (task, worker, label)),
        );
    }
    rows
}

fn names(labels: &[usize]) -> Vec<&'static str> {
    labels.iter().map(|&label| LABELS[label]).collect()
}

/// Products of so many probabilities are far below the smallest number.
#[test]
fn thousands_of_answers_to_a_task_or_by_a_worker_are_no_trouble() {
    const MANY: usize = 3000;
    let divided = (0..MANY).map(|worker| (0, worker, worker % 2));
    let unanimous = (0..MANY).map(|worker| (1, worker, 2));
    let one_of_them = (2..MANY).map(|task| (task, 0, task % 3));
    let answers = build(
        &divided
            .chain(unanimous)
            .chain(one_of_them)
            .collect::<Vec<_>>(),
    );
    for (name, method) in METHODS {
        let found = method(&answers);
        check_numbers(name, &found).unwrap();
        let unanimous = answers
            .tasks()
            .iter()
            .position(|task| task == "t1")
            .unwrap();
        assert_eq!(found.label(unanimous), Some("cat"), "{name}");
    }
}

/// A million labels exist, of which three occur: tables are for the tasks and what was observed, not for all × all.
#[test]
fn a_million_labels_fit_into_memory() {
    let names: Vec<String> = (0..1_000_000).map(|label| label.to_string()).collect();
    let mut builder = AnswersBuilder::with_labels(&names).unwrap();
    for (task, first) in [("1", 0), ("2", 333_333), ("3", 999_997)] {
        for worker in ["ann", "bob"] {
            builder.push(task, worker, &names[first]).unwrap();
        }
    }
    let answers = builder.finish().unwrap();
    for (name, method) in METHODS {
        let found = method(&answers);
        let sums = found
            .probabilities()
            .chunks(names.len())
            .map(|row| row.iter().sum::<f64>());
        // As crowd-kit, with no probability below 1e-10.
        let tolerance = if name.ends_with("crowd-kit") {
            1e-3
        } else {
            1e-9
        };
        assert!(
            sums.into_iter().all(|sum| (sum - 1.0).abs() < tolerance),
            "{name}"
        );
        assert_eq!(labels(&found), ["0", "333333", "999997"], "{name}");
    }
}
