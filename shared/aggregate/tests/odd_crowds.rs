//! Every method on every odd crowd: no panic, no number that is none, the same bits whatever the order and the threads,
//! and an error where a table would be too large.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, AnswersError, DawidSkene, Glad, Gold, GoldMajorityVote,
    HierarchicalDawidSkene, Kos, LabelSets, Mace, MaceLearning, MethodError, Mmsr, Mode,
    OneCoinDawidSkene, WeightedMajorityVote, ZeroBasedSkill, binary_relevance, dawid_skene, glad,
    gold_majority_vote, hierarchical_dawid_skene, kos, mace, majority_vote, mmsr,
    one_coin_dawid_skene, wawa, weighted_majority_vote, zero_based_skill,
};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

type Run = fn(&Answers, &Gold, Mode) -> Result<Aggregated, MethodError>;

/// What a method promises.
#[derive(Clone, Copy, PartialEq)]
enum Promise {
    /// That its objective never falls in the default mode.
    Climbs,
    Nothing,
}
use Promise::{Climbs, Nothing};

/// Few iterations: some odd crowds are large.
const ITERATIONS: usize = 12;
/// So that no stop depends on a rounding error.
const NEVER: f64 = f64::NEG_INFINITY;

const METHODS: &[(&str, Promise, Run)] = &[
    ("majority-vote", Nothing, |answers, _, _| {
        Ok(majority_vote(answers))
    }),
    ("weighted-majority-vote", Nothing, |answers, _, _| {
        let skills = answers.workers().iter().zip(1..);
        let skills = skills.map(|(worker, skill)| (worker.to_owned(), f64::from(skill)));
        let settings = WeightedMajorityVote {
            skills: skills.collect(),
            ..WeightedMajorityVote::default()
        };
        weighted_majority_vote(answers, &settings)
    }),
    ("wawa", Nothing, |answers, _, _| Ok(wawa(answers))),
    ("zero-based-skill", Nothing, |answers, _, mode| {
        let settings = ZeroBasedSkill {
            mode,
            ..ZeroBasedSkill::default()
        };
        zero_based_skill(answers, &settings)
    }),
    ("gold-majority-vote", Nothing, |answers, gold, mode| {
        let gold = gold.clone();
        gold_majority_vote(answers, &GoldMajorityVote { gold, mode })
    }),
    ("mmsr", Nothing, |answers, _, _| {
        mmsr(answers, &Mmsr::default())
    }),
    ("dawid-skene", Climbs, |answers, gold, mode| {
        let settings = DawidSkene {
            iterations: ITERATIONS,
            tolerance: NEVER,
            mode,
            gold: gold.clone(),
            ..DawidSkene::default()
        };
        dawid_skene(answers, &settings)
    }),
    ("one-coin-dawid-skene", Climbs, |answers, gold, mode| {
        let settings = OneCoinDawidSkene {
            iterations: ITERATIONS,
            tolerance: NEVER,
            mode,
            gold: gold.clone(),
            ..OneCoinDawidSkene::default()
        };
        one_coin_dawid_skene(answers, &settings)
    }),
    ("hierarchical-dawid-skene", Climbs, |answers, gold, _| {
        let settings = HierarchicalDawidSkene {
            iterations: ITERATIONS,
            tolerance: NEVER,
            gold: gold.clone(),
            ..HierarchicalDawidSkene::default()
        };
        hierarchical_dawid_skene(answers, &settings)
    }),
    ("glad", Climbs, |answers, gold, mode| {
        let settings = Glad {
            iterations: ITERATIONS / 2,
            tolerance: NEVER,
            mode,
            gold: gold.clone(),
            ..Glad::default()
        };
        glad(answers, &settings)
    }),
    ("mace", Climbs, |answers, gold, mode| {
        run_mace(answers, gold, mode, MaceLearning::VariationalBayes)
    }),
    ("mace by em", Climbs, |answers, gold, mode| {
        run_mace(answers, gold, mode, MaceLearning::ExpectationMaximisation)
    }),
    ("kos", Nothing, |answers, _, mode| {
        let settings = Kos {
            mode,
            ..Kos::default()
        };
        kos(answers, &settings)
    }),
];

fn run_mace(
    answers: &Answers,
    gold: &Gold,
    mode: Mode,
    learning: MaceLearning,
) -> Result<Aggregated, MethodError> {
    let settings = Mace {
        iterations: ITERATIONS,
        tolerance: NEVER,
        restarts: 1,
        learning,
        mode,
        gold: gold.clone(),
        ..Mace::default()
    };
    mace(answers, &settings)
}

/// Task, worker, label.
type Row = (usize, usize, usize);

/// What is odd, how many labels there are, and the answers.
fn odd_crowds() -> Vec<(&'static str, usize, Vec<Row>)> {
    let random = &mut ChaCha8Rng::seed_from_u64(7);
    let of_all = |tasks: usize, workers: usize| {
        (0..tasks).flat_map(move |task| (0..workers).map(move |worker| (task, worker)))
    };
    let mut at_random = |tasks, workers, labels| -> Vec<Row> {
        let label = |(task, worker)| (task, worker, random.random_range(0..labels));
        of_all(tasks, workers).map(label).collect()
    };
    let right = |(task, worker): (usize, usize)| (task, worker, task % 3);
    vec![
        ("one answer", 1, vec![(0, 0, 0)]),
        ("one answer, two labels", 2, vec![(0, 0, 1)]),
        ("one class", 1, at_random(9, 5, 1)),
        ("two labels", 2, at_random(20, 6, 2)),
        ("three labels", 3, at_random(20, 6, 3)),
        ("one task", 3, at_random(1, 12, 3)),
        ("one worker", 3, at_random(12, 1, 3)),
        (
            "one worker, again and again",
            2,
            [at_random(9, 1, 2), at_random(9, 1, 2)].concat(),
        ),
        ("duplicates", 3, at_random(10, 5, 3).repeat(3)),
        ("60 answers a task", 4, at_random(10, 60, 4)),
        ("400 answers a task", 2, at_random(2, 400, 2)),
        (
            "one of five agrees with nobody",
            4,
            of_all(15, 5)
                .map(|(task, worker)| (task, worker, if worker == 4 { 3 } else { task % 3 }))
                .collect(),
        ),
        (
            "one of five always contradicts",
            2,
            of_all(16, 5)
                .map(|(task, worker)| (task, worker, (task + worker / 4) % 2))
                .collect(),
        ),
        (
            "all contradict one another",
            2,
            of_all(16, 2)
                .map(|(task, worker)| (task, worker, (task + worker) % 2))
                .collect(),
        ),
        (
            "nobody ever agrees",
            6,
            of_all(8, 6)
                .map(|(task, worker)| (task, worker, (task + worker) % 6))
                .collect(),
        ),
        ("all agree", 3, of_all(15, 5).map(right).collect()),
        (
            "one answer a task",
            3,
            (0..30).map(|task| right((task, task % 4))).collect(),
        ),
        (
            "50 labels that nobody gave",
            53,
            of_all(15, 5).map(right).collect(),
        ),
        (
            "nobody gave the first label",
            4,
            of_all(15, 5)
                .map(|(task, worker)| (task, worker, 1 + task % 3))
                .collect(),
        ),
        (
            "300 labels, each once, in one task",
            300,
            (0..300).map(|label| (0, label % 7, label)).collect(),
        ),
        (
            "300 labels, each once, in as many tasks",
            300,
            (0..300).map(|label| (label, label % 7, label)).collect(),
        ),
        (
            "300 labels by 300 workers",
            300,
            (0..300).map(|label| (label % 9, label, label)).collect(),
        ),
        (
            "two crowds that never met",
            4,
            of_all(20, 8)
                .filter(|(task, worker)| task % 2 == worker % 2)
                .map(right)
                .collect(),
        ),
    ]
}

/// Names are of numbers, whose order is that of their index.
fn build(rows: &[Row], labels: usize) -> Answers {
    let mut builder =
        AnswersBuilder::with_labels((0..labels).map(|label| label.to_string())).unwrap();
    for (task, worker, label) in rows {
        let [task, worker, label] = [task, worker, label].map(ToString::to_string);
        builder.push(&task, &worker, &label).unwrap();
    }
    builder.finish().unwrap()
}

/// Known labels: none, of one task, of one task that nobody gave if possible, of all tasks as they may be, of all tasks
/// against all answers, of every third task.
fn golds(answers: &Answers) -> Vec<Gold> {
    let labels: Vec<&str> = answers.labels().iter().collect();
    let tasks = || answers.tasks().iter().enumerate();
    let given = |task: usize, label: usize| answers.of_task(task).any(|(_, given)| given == label);
    let not_given = |task| {
        (0..labels.len())
            .find(|&label| !given(task, label))
            .unwrap_or(0)
    };
    let known =
        |(_, task): (usize, &str), label: usize| (task.to_owned(), labels[label].to_owned());
    vec![
        Gold::new(),
        tasks().take(1).map(|task| known(task, 0)).collect(),
        tasks()
            .take(1)
            .map(|task| known(task, not_given(task.0)))
            .collect(),
        tasks()
            .map(|task| known(task, task.0 % labels.len()))
            .collect(),
        tasks().map(|task| known(task, not_given(task.0))).collect(),
        tasks()
            .step_by(3)
            .map(|task| known(task, task.0 % labels.len()))
            .collect(),
    ]
}

/// Everything that was found.
fn numbers(found: &Aggregated) -> Vec<f64> {
    let columns = found.worker_columns().iter().chain(found.task_columns());
    let mut numbers = [
        found.probabilities(),
        found.priors(),
        found.worker_skills(),
        found.log_likelihood(),
        &found.calibration().map_or([0.0; 4], |calibration| {
            let [model, votes] = calibration.temperatures;
            [model, votes, calibration.before, calibration.after]
        }),
    ]
    .concat();
    numbers.extend(columns.flat_map(|(_, column)| column));
    for worker in 0..found.workers().len().min(4) {
        numbers.extend(found.worker_confusion(worker).into_iter().flatten());
        numbers.extend(
            found
                .worker_confusion_deviation(worker)
                .into_iter()
                .flatten(),
        );
        numbers.extend(found.worker_skill_deviation(worker));
    }
    numbers
}

fn bits(found: &Aggregated) -> Vec<u64> {
    numbers(found).into_iter().map(f64::to_bits).collect()
}

/// crowd-kit's smallest probability is 10⁻¹⁰, and rows that it is put into are not scaled again.
fn check_rows(what: &str, table: &[f64], classes: usize) {
    let tolerance = 1e-9 + 1e-10 * classes as f64;
    for row in table.chunks(classes) {
        let sum: f64 = row.iter().sum();
        assert!(
            (sum - 1.0).abs() < tolerance,
            "{what}: {row:?} sums to {sum}"
        );
        assert!(
            row.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)),
            "{what}: {row:?}"
        );
    }
}

fn check(what: &str, found: &Aggregated, climbs: bool) {
    assert!(
        numbers(found).iter().all(|number| number.is_finite()),
        "{what}: {found:?}"
    );
    let classes = found.labels().len();
    assert_eq!(
        found.probabilities().len(),
        found.tasks().len() * classes,
        "{what}"
    );
    assert_eq!(found.worker_skills().len(), found.workers().len(), "{what}");
    check_rows(what, found.probabilities(), classes);
    check_rows(&format!("{what}, priors"), found.priors(), classes);
    // crowd-kit's MACE learns variationally, and geometric means of probabilities sum up to less than one.
    if !what.starts_with("mace (CrowdKit)") {
        for worker in 0..found.workers().len().min(4) {
            let confusion = found.worker_confusion(worker).unwrap_or_default();
            check_rows(&format!("{what}, confusion"), &confusion, classes);
        }
    }
    let skills = found.worker_skills();
    assert!(
        skills
            .iter()
            .all(|skill| (0.0..=1.0 + 1e-9).contains(skill)),
        "{what}: {skills:?}"
    );
    if climbs {
        for step in found.log_likelihood().windows(2) {
            assert!(
                step[1] >= step[0] - 1e-12 * (1.0 + step[0].abs()),
                "{what}: {:?}",
                found.log_likelihood()
            );
        }
    }
}

/// Errors that are documented: of methods for two labels, and crowd-kit's of a worker who met no known label.
fn is_expected(name: &str, error: &MethodError, mode: Mode) -> bool {
    match error {
        MethodError::NotBinary { .. } => name == "kos",
        MethodError::MissingSkill { .. } => name == "gold-majority-vote" && mode == Mode::CrowdKit,
        _ => false,
    }
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

#[test]
fn odd_crowds_give_sound_numbers_whatever_is_known_and_in_whatever_order() {
    for (crowd, labels, rows) in odd_crowds() {
        let answers = build(&rows, labels);
        let mut shuffled = rows.clone();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
        let shuffled = build(&shuffled, labels);
        for (name, promise, method) in METHODS {
            for (mode, (number, gold)) in
                [Mode::Default, Mode::CrowdKit]
                    .into_iter()
                    .flat_map(|mode| {
                        golds(&answers)
                            .into_iter()
                            .enumerate()
                            .map(move |gold| (mode, gold))
                    })
            {
                let what = format!("{name} ({mode:?}) of {crowd}, known labels {number}");
                let found = match method(&answers, &gold, mode) {
                    Ok(found) => found,
                    Err(error) if is_expected(name, &error, mode) => continue,
                    Err(error) => panic!("{what}: {error}"),
                };
                check(&what, &found, mode == Mode::Default && *promise == Climbs);
                // crowd-kit's MACE and KOS draw random numbers in the order of rows.
                let in_order_of_rows = name.starts_with("mace") || *name == "kos";
                if (mode == Mode::Default || !in_order_of_rows) && number % 5 == 0 {
                    let other = method(&shuffled, &gold, mode).unwrap();
                    assert!(
                        bits(&found) == bits(&other),
                        "{what}: depends on the order of rows"
                    );
                }
            }
        }
    }
}

/// Large enough for several blocks of work.
#[test]
fn threads_do_not_change_a_bit() {
    for (workers, labels) in [(50, 2), (500, 30)] {
        let random = &mut ChaCha8Rng::seed_from_u64(3);
        let rows: Vec<Row> = (0..70_000)
            .map(|answer| {
                let (task, worker) = (answer / 4, random.random_range(0..workers));
                let is_right = random.random_range(0..100) < 50 + worker % 46;
                let label = if is_right {
                    task % labels
                } else {
                    random.random_range(0..labels)
                };
                (task, worker, label)
            })
            .collect();
        let answers = build(&rows, labels);
        let gold = &golds(&answers)[5];
        for (name, _, method) in METHODS {
            for mode in [Mode::Default, Mode::CrowdKit] {
                let on = |threads| {
                    on_threads(threads, || {
                        method(&answers, gold, mode).map(|found| bits(&found))
                    })
                };
                let one = on(1);
                assert!(one == on(3), "{name} ({mode:?})");
                assert!(
                    one.is_ok() || *name == "kos",
                    "{name}: {:?}",
                    one.map(|bits| bits.len())
                );
            }
        }
    }
}

/// As of free text: 10⁵ tasks × 10⁶ labels, whose probabilities would be 800 GB.
#[test]
fn a_million_labels_of_a_hundred_thousand_tasks_are_an_error() {
    let mut builder = AnswersBuilder::new();
    for answer in 0..1_000_000 {
        let label = answer.to_string();
        builder
            .push(
                &(answer % 100_000).to_string(),
                &(answer % 1000).to_string(),
                &label,
            )
            .unwrap();
    }
    let error = builder.finish().unwrap_err();
    assert!(matches!(&error, AnswersError::TooLarge(large) if large.bytes == 800_000_000_000));
    assert!(
        error.to_string().contains("is the label column free text"),
        "{error}"
    );
}

/// So many labels, each once by a worker of its own, in so many tasks.
fn all_different(labels: usize, tasks: usize, workers: usize) -> Answers {
    let rows: Vec<Row> = (0..labels)
        .map(|answer| (answer % tasks, answer % workers, answer))
        .collect();
    build(&rows, labels)
}

/// Those that have a table with a row for every worker and label that it gave.
const WITH_MATRICES: [&str; 2] = ["dawid-skene", "hierarchical-dawid-skene"];

/// Every method gives labels, or an error if a table of it would be too large.
fn assert_only_matrices_are_too_large(answers: &Answers, mode: Mode, skipped: &[&str]) {
    for (name, _, method) in METHODS {
        if skipped.contains(name) {
            continue;
        }
        let found = method(answers, &Gold::new(), mode);
        if WITH_MATRICES.contains(name) {
            assert!(matches!(found, Err(MethodError::TooLarge(_))), "{name}");
        } else if let Err(error) = found {
            assert!(is_expected(name, &error, mode), "{name}: {error}");
        }
    }
}

#[test]
fn as_many_workers_and_labels_as_answers_are_an_error_where_each_has_a_row() {
    let answers = all_different(20_000, 10, 20_000);
    assert_only_matrices_are_too_large(&answers, Mode::Default, &[]);
    // crowd-kit's MACE draws a number for every worker and label: too slow for a test.
    assert_only_matrices_are_too_large(&answers, Mode::CrowdKit, &["mace", "mace by em"]);
    let error = dawid_skene(&answers, &DawidSkene::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("20000 combinations of a worker and a label × 20000 labels are 4 GB"),
        "{error}"
    );
}

/// 10⁶ labels, each once in one of three tasks. A worker's matrix, 8 TB, is not made, and that is no error of the method.
#[test]
fn a_million_labels_of_three_tasks_are_no_trouble_without_matrices() {
    let answers = all_different(1_000_000, 3, 10);
    // M-MSR compares every answer with 256 others, GLAD and MACE search for long: too slow for a test.
    let skipped = ["mmsr", "glad", "mace by em"];
    assert_only_matrices_are_too_large(&answers, Mode::Default, &skipped);
    let found = one_coin_dawid_skene(&answers, &OneCoinDawidSkene::default()).unwrap();
    assert_eq!(found.worker_confusion(0), None);
    assert_eq!(found.worker_confusion_deviation(0), None);
    assert!(found.worker_skill_deviation(0).is_some());
}

/// The crowd's errors are labels × labels, even if workers gave few of them.
#[test]
fn labels_that_nobody_gave_are_too_many_for_what_workers_have_in_common() {
    let answers = build(&[(0, 0, 0), (0, 1, 0), (1, 0, 99_999)], 100_000);
    assert!(dawid_skene(&answers, &DawidSkene::default()).is_ok());
    let error = hierarchical_dawid_skene(&answers, &HierarchicalDawidSkene::default()).unwrap_err();
    assert!(
        matches!(&error, MethodError::TooLarge(large) if large.what == "labels"),
        "{error}"
    );
}

#[test]
fn sets_of_too_many_labels_are_an_error() {
    let mut builder = AnswersBuilder::new();
    for answer in 0..20_000 {
        let set = format!("{answer}|common|{answer}b");
        builder.push(&answer.to_string(), "ann", &set).unwrap();
    }
    // The answers themselves are too many for a table of tasks × texts.
    assert!(matches!(builder.finish(), Err(AnswersError::TooLarge(_))));
    let mut builder = AnswersBuilder::new();
    for answer in 0..10_000 {
        let set: Vec<String> = (0..4).map(|part| format!("{answer}-{part}")).collect();
        builder
            .push(&answer.to_string(), "ann", &set.join("|"))
            .unwrap();
    }
    let sets = LabelSets::parse(builder.finish().unwrap(), '|').unwrap();
    let error = binary_relevance(&sets, |answers| Ok(majority_vote(answers))).unwrap_err();
    assert!(matches!(error, MethodError::TooLarge(_)), "{error}");
}
