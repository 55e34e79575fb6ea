//! The safe default is safe: on small and odd crowds, on simulated ones whose errors are known, and on real ones.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use proptest::prelude::*;
use quorate_aggregate::metrics::expected_calibration_error;
mod crowds;

use crowds::{answers, truth};
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, DawidSkene, Glad, Gold, GoldMajorityVote,
    HierarchicalDawidSkene, Mace, MaceLearning, MethodError, Mmsr, OneCoinDawidSkene, Warning,
    ZeroBasedSkill, dawid_skene, glad, gold_majority_vote, hierarchical_dawid_skene, mace,
    majority_vote, mmsr, one_coin_dawid_skene, wawa, zero_based_skill,
};
use rand::seq::SliceRandom as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

/// Task, worker, label.
type Row = (usize, usize, usize);

fn build(rows: impl IntoIterator<Item = Row>, labels: usize) -> Answers {
    let mut builder =
        AnswersBuilder::with_labels((0..labels).map(|label| label.to_string())).unwrap();
    for (task, worker, label) in rows {
        let [task, worker, label] = [task, worker, label].map(|number| number.to_string());
        builder.push(&task, &worker, &label).unwrap();
    }
    builder.finish().unwrap()
}

fn gold(labels: impl IntoIterator<Item = (usize, usize)>) -> Gold {
    labels
        .into_iter()
        .map(|(task, label)| (task.to_string(), label.to_string()))
        .collect()
}

fn run(answers: &Answers, gold: &Gold) -> Aggregated {
    let settings = HierarchicalDawidSkene {
        gold: gold.clone(),
        ..HierarchicalDawidSkene::default()
    };
    hierarchical_dawid_skene(answers, &settings).unwrap()
}

fn labels_of(found: &Aggregated) -> Vec<&str> {
    found.decisions().map(|(_, label, _)| label).collect()
}

fn accuracy(found: &Aggregated, truth: &Gold) -> f64 {
    found.accuracy(truth).unwrap()
}

fn calibration_error(found: &Aggregated, truth: &Gold) -> f64 {
    expected_calibration_error(found, truth).unwrap()
}

/// Any answers of up to 12 workers to up to 9 tasks, with up to 6 labels, and known labels of any of them.
fn crowds() -> impl Strategy<Value = (Vec<Row>, usize, Gold)> {
    (1..10_usize, 1..13_usize, 1..7_usize).prop_flat_map(|(tasks, workers, labels)| {
        let rows = prop::collection::vec((0..tasks, 0..workers, 0..labels), 1..150);
        let known = prop::collection::btree_map(0..tasks, 0..labels, 0..=tasks);
        (rows, Just(labels), known.prop_map(gold))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_answer_a_task_is_the_label(
        given in prop::collection::vec((0..6_usize, 0..4_usize), 1..80),
    ) {
        let answers = build((0..).zip(given).map(|(task, (worker, label))| (task, worker, label)), 4);
        let (found, majority) = (run(&answers, &Gold::new()), majority_vote(&answers));
        prop_assert_eq!(labels_of(&found), labels_of(&majority));
    }

    #[test]
    fn known_labels_are_kept_and_nothing_is_no_number((rows, labels, gold) in crowds()) {
        let answers = build(rows, labels);
        let found = run(&answers, &gold);
        for (index, (task, label, confidence)) in found.decisions().enumerate() {
            if let Some(known) = gold.get(task) {
                prop_assert_eq!(label, known);
                prop_assert_eq!(confidence.to_bits(), 1.0_f64.to_bits());
            }
            let row = found.task_probabilities(index).unwrap();
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
            prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        }
        let numbers = [found.worker_skills(), found.priors(), found.log_likelihood()].concat();
        prop_assert!(numbers.iter().all(|number| number.is_finite()), "{numbers:?}");
        for worker in 0..found.workers().len() {
            for row in found.worker_confusion(worker).unwrap().chunks(labels) {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
            }
        }
    }

    #[test]
    fn the_objective_never_falls((rows, labels, gold) in crowds()) {
        let settings = HierarchicalDawidSkene {
            gold,
            tolerance: f64::NEG_INFINITY,
            ..HierarchicalDawidSkene::default()
        };
        let found = hierarchical_dawid_skene(&build(rows, labels), &settings).unwrap();
        for step in found.log_likelihood().windows(2) {
            prop_assert!(step[1] >= step[0] - 1e-12, "{:?}", found.log_likelihood());
        }
    }

    #[test]
    fn no_iteration_is_the_majority_with_known_labels((rows, labels, gold) in crowds()) {
        let answers = build(rows, labels);
        let settings = HierarchicalDawidSkene { iterations: 0, gold: gold.clone(), ..HierarchicalDawidSkene::default() };
        let found = hierarchical_dawid_skene(&answers, &settings).unwrap();
        for ((task, label, _), (_, majority, _)) in found.decisions().zip(majority_vote(&answers).decisions()) {
            prop_assert_eq!(label, gold.get(task).map_or(majority, String::as_str));
        }
        prop_assert!(found.log_likelihood().is_empty());
    }

    #[test]
    fn the_majority_is_beside_it((rows, labels, gold) in crowds()) {
        let answers = build(rows, labels);
        let found = run(&answers, &gold);
        let majority = majority_vote(&answers);
        for task in 0..answers.tasks().len() {
            prop_assert_eq!(found.majority(task), majority.label(task));
        }
        prop_assert_eq!(found.majority(answers.tasks().len()), None);
    }

    /// A second crowd of the same answers to other tasks gets the same labels, and workers the same skills.
    #[test]
    fn two_alike_crowds_are_treated_alike((rows, labels, _) in crowds()) {
        let again = rows.iter().map(|&(task, worker, label)| (task + 100, worker + 100, label));
        let found = run(&build(rows.iter().copied().chain(again), labels), &Gold::new());
        let (one, other) = found.probabilities().split_at(found.probabilities().len() / 2);
        prop_assert_eq!(one, other);
        let (one, other) = found.worker_skills().split_at(found.workers().len() / 2);
        prop_assert_eq!(one, other);
    }
}

/// Truths of so many tasks, and answers: `answer` gets the generator, the worker and the true label.
fn simulate(
    seed: u64,
    [tasks, workers, labels]: [usize; 3],
    answer: impl Fn(&mut ChaCha8Rng, usize, usize) -> usize,
) -> (Vec<Row>, Vec<usize>) {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let truths: Vec<usize> = (0..tasks).map(|_| random.random_range(0..labels)).collect();
    let mut rows = Vec::new();
    for (task, &truth) in truths.iter().enumerate() {
        for worker in 0..workers {
            rows.push((task, worker, answer(random, worker, truth)));
        }
    }
    (rows, truths)
}

/// The right label with this probability, else one of the others.
fn answer_of(random: &mut ChaCha8Rng, skill: f64, truth: usize, labels: usize) -> usize {
    if random.random_bool(skill) {
        truth
    } else {
        (truth + random.random_range(1..labels)) % labels
    }
}

/// Every fifth truth is known; the others are for scoring.
fn fifth(truths: &[usize]) -> (Gold, Gold) {
    let (known, rest): (Vec<_>, Vec<_>) = truths
        .iter()
        .copied()
        .enumerate()
        .partition(|(task, _)| task % 5 == 0);
    (gold(known), gold(rest))
}

/// In a third of the tasks, most of the crowd takes one class for the next: people err together.
#[test]
fn known_labels_cool_a_crowd_that_errs_together() {
    for seed in 0..5 {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let truths: Vec<usize> = (0..500).map(|_| random.random_range(0..3)).collect();
        let mut rows = Vec::new();
        for (task, &truth) in truths.iter().enumerate() {
            let looks_like = if random.random_bool(0.35) {
                (truth + 1 + task % 2) % 3
            } else {
                truth
            };
            for worker in 0..7 {
                rows.push((task, worker, answer_of(random, 0.75, looks_like, 3)));
            }
        }
        let (known, rest) = fifth(&truths);
        let answers = build(rows, 3);
        let (without, with) = (run(&answers, &Gold::new()), run(&answers, &known));
        let errors = [&without, &with].map(|found| calibration_error(found, &rest));
        println!("{:?}, calibration error {errors:?}", with.calibration());
        let calibration = with.calibration().unwrap();
        assert!(
            calibration.known == 100 && calibration.temperatures[0] > 1.5,
            "{calibration:?}"
        );
        assert!(errors[0] > 0.2 && errors[1] < 0.12, "{errors:?}");
        assert_eq!(without.calibration(), None);
    }
}

#[test]
fn a_crowd_that_errs_as_the_model_says_is_not_harmed() {
    for seed in 0..5 {
        let (rows, truths) = simulate(seed, [500, 5, 3], |random, worker, truth| {
            answer_of(
                random,
                0.55 + 0.07 * f64::from(u8::try_from(worker).unwrap()),
                truth,
                3,
            )
        });
        let (known, rest) = fifth(&truths);
        let answers = build(rows, 3);
        let (without, with) = (run(&answers, &Gold::new()), run(&answers, &known));
        let errors = [&without, &with].map(|found| calibration_error(found, &rest));
        println!("{:?}, calibration error {errors:?}", with.calibration());
        assert!(errors[1] < errors[0] + 0.03, "{errors:?}");
        assert!(accuracy(&with, &rest) > accuracy(&without, &rest) - 0.01);
    }
}

/// Six of ten workers answer at random, or always the same.
#[test]
fn spammers_lose_influence() {
    for seed in 0..5 {
        let (rows, truths) = simulate(seed, [200, 10, 4], |random, worker, truth| match worker {
            0..4 => answer_of(random, 0.85, truth, 4),
            4..7 => random.random_range(0..4),
            _ => worker % 4,
        });
        let answers = build(rows, 4);
        let truth = gold(truths.into_iter().enumerate());
        let found = run(&answers, &Gold::new());
        let (careful, spammers) = found.worker_skills().split_at(4);
        let [most, least] = [
            spammers.iter().copied().fold(0.0, f64::max),
            careful.iter().copied().fold(1.0, f64::min),
        ];
        assert!(most < 0.45 && least > 0.7, "{:?}", found.worker_skills());
        let gain = accuracy(&found, &truth) - accuracy(&majority_vote(&answers), &truth);
        println!("{gain:.3} better than the majority");
        assert!(gain > 0.02, "{gain}");
    }
}

/// Three careful workers against four who all give the label 0 to three of four tasks: the labels are not the majority's,
/// and that is said.
#[test]
fn disagreement_with_the_majority_is_told() {
    let lazy = |task: usize| {
        if task.is_multiple_of(4) {
            task / 4 % 3
        } else {
            0
        }
    };
    let rows = (0..120).flat_map(|task| {
        (0..7).map(move |worker| {
            (
                task,
                worker,
                if worker < 3 { task / 4 % 3 } else { lazy(task) },
            )
        })
    });
    let answers = build(rows, 3);
    let known = gold((0..120).step_by(3).map(|task| (task, task / 4 % 3)));
    let found = run(&answers, &known);
    let truth = gold((0..120).map(|task| (task, task / 4 % 3)));
    assert!(
        accuracy(&found, &truth) > 0.95,
        "{}",
        accuracy(&found, &truth)
    );
    let majority = majority_vote(&answers);
    // Known labels were not decided.
    let decided = || {
        found
            .tasks()
            .iter()
            .enumerate()
            .filter(|(_, task)| !known.contains_key(*task))
    };
    let differ = decided()
        .filter(|&(task, _)| found.label(task) != majority.label(task))
        .count();
    let expected = Warning::DiffersFromMajority { differ, tasks: 80 };
    assert_eq!(found.warnings(), [expected]);
    assert!(expected.to_string().starts_with(&format!(
        "{differ} of 80 labels are not those that most workers chose"
    )));
}

#[test]
fn few_answers_are_told_and_enough_are_not() {
    let crowd = |answers: usize| {
        build(
            (0..20).flat_map(|task| (0..answers).map(move |worker| (task, worker, task % 2))),
            2,
        )
    };
    let found = run(&crowd(2), &Gold::new());
    assert_eq!(
        found.warnings(),
        [Warning::FewAnswers { few: 20, tasks: 20 }]
    );
    assert_eq!(run(&crowd(3), &Gold::new()).warnings(), []);
    // Half of the tasks are not most.
    let half =
        (0..20).flat_map(|task| (0..2 + task % 2).map(move |worker| (task, worker, task % 2)));
    assert_eq!(run(&build(half, 2), &Gold::new()).warnings(), []);
}

#[test]
fn settings_out_of_range_are_named() {
    let answers = build([(0, 0, 0)], 2);
    let settings = HierarchicalDawidSkene {
        tolerance: f64::NAN,
        ..HierarchicalDawidSkene::default()
    };
    let error = hierarchical_dawid_skene(&answers, &settings).unwrap_err();
    assert!(error.to_string().starts_with("tolerance is NaN"), "{error}");
    let settings = HierarchicalDawidSkene {
        gold: gold([(0, 7)]),
        ..HierarchicalDawidSkene::default()
    };
    let error = hierarchical_dawid_skene(&answers, &settings).unwrap_err();
    assert!(matches!(error, MethodError::UnknownGoldLabel(_)), "{error}");
}

/// The real crowds, described in `tests/data/README.md`.
const SETS: [&str; 4] = ["bluebirds", "labelme", "s_adult", "weather_amt"];

/// Answers and the true labels in the order of their file.
struct Crowd {
    answers: Answers,
    truth: Vec<(String, String)>,
}

impl Crowd {
    fn read(set: &str) -> Self {
        Self {
            answers: answers(set),
            truth: truth(set),
        }
    }

    /// Every fifth row of the truth from `offset` on is known; the others are for scoring.
    fn fifth(&self, offset: usize) -> (Gold, Gold) {
        let (known, rest): (Vec<_>, Vec<_>) = self
            .truth
            .iter()
            .cloned()
            .enumerate()
            .partition(|(row, _)| row % 5 == offset);
        let labels = |rows: Vec<(usize, _)>| rows.into_iter().map(|(_, row)| row).collect();
        (labels(known), labels(rest))
    }

    fn truth(&self) -> Gold {
        self.truth.iter().cloned().collect()
    }

    /// At most so many random answers a task. A label that is gone still exists: its absence would be a hint.
    fn thinned(&self, kept: usize, seed: u64) -> Self {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut builder = AnswersBuilder::with_labels(self.answers.labels()).unwrap();
        for (index, task) in self.answers.tasks().iter().enumerate() {
            let mut own: Vec<_> = self.answers.of_task(index).collect();
            own.shuffle(random);
            for (worker, label) in own.into_iter().take(kept) {
                let (worker, label) = (
                    &self.answers.workers()[worker],
                    &self.answers.labels()[label],
                );
                builder.push(task, worker, label).unwrap();
            }
        }
        Self {
            answers: builder.finish().unwrap(),
            truth: self.truth.clone(),
        }
    }
}

type Run = fn(&Answers) -> Result<Aggregated, MethodError>;

/// Every other method that is for any number of labels, as it is by default.
const OTHERS: [(&str, Run); 10] = [
    ("majority-vote", |answers| Ok(majority_vote(answers))),
    ("gold-majority-vote", |answers| {
        gold_majority_vote(answers, &GoldMajorityVote::default())
    }),
    ("wawa", |answers| Ok(wawa(answers))),
    ("zero-based-skill", |answers| {
        zero_based_skill(answers, &ZeroBasedSkill::default())
    }),
    ("mmsr", |answers| mmsr(answers, &Mmsr::default())),
    ("dawid-skene", |answers| {
        dawid_skene(answers, &DawidSkene::default())
    }),
    ("one-coin-dawid-skene", |answers| {
        one_coin_dawid_skene(answers, &OneCoinDawidSkene::default())
    }),
    ("glad", |answers| glad(answers, &Glad::default())),
    ("mace", |answers| mace(answers, &Mace::default())),
    ("mace by em", |answers| {
        let learning = MaceLearning::ExpectationMaximisation;
        mace(
            answers,
            &Mace {
                learning,
                ..Mace::default()
            },
        )
    }),
];

#[test]
fn on_real_crowds_it_is_at_least_the_majority_and_on_average_the_best() {
    let crowds = SETS.map(Crowd::read);
    let accuracies = |run: Run| {
        crowds
            .each_ref()
            .map(|crowd| accuracy(&run(&crowd.answers).unwrap(), &crowd.truth()))
    };
    let mean = |accuracies: [f64; 4]| accuracies.iter().sum::<f64>() / 4.0;
    let own = accuracies(|answers| Ok(run(answers, &Gold::new())));
    println!("{own:.4?}");
    for (set, (own, majority)) in SETS.iter().zip(own.iter().zip(accuracies(OTHERS[0].1))) {
        assert!(*own >= majority, "{set}: {own} instead of {majority}");
    }
    for (name, other) in OTHERS {
        let other = accuracies(other);
        println!(
            "{name}: {other:.4?}, mean {:.4} against {:.4}",
            mean(other),
            mean(own)
        );
        assert!(
            mean(own) >= mean(other),
            "{name}: {other:?} against {own:?}"
        );
    }
}

/// Mean of three seeds for 1, 2 and 3 answers a task, with and without known labels.
#[test]
fn with_few_answers_it_is_never_a_point_below_the_majority() {
    for set in SETS {
        let crowd = Crowd::read(set);
        for kept in 1..=3 {
            for with_gold in [false, true] {
                let gains: Vec<f64> = (0..3_u64)
                    .map(|seed| {
                        let thinned = crowd.thinned(kept, seed);
                        let (known, rest) = crowd.fifth(usize::try_from(seed).unwrap());
                        let known = if with_gold { known } else { Gold::new() };
                        accuracy(&run(&thinned.answers, &known), &rest)
                            - accuracy(&majority_vote(&thinned.answers), &rest)
                    })
                    .collect();
                let gain = gains.iter().sum::<f64>() / 3.0;
                println!("{set}, {kept} answers, gold {with_gold}: {gain:+.4}");
                assert!(
                    gain > -0.01,
                    "{set}, {kept} answers, gold {with_gold}: {gains:?}"
                );
            }
        }
    }
}

/// Mean over the five fifths of the truth that can be known. With 240 scored tasks, as in `weather_amt`, even right
/// probabilities have an expected calibration error of about 0.05.
#[test]
fn a_fifth_of_known_labels_calibrates_real_crowds() {
    for (set, most) in [("labelme", 0.055), ("weather_amt", 0.07)] {
        let crowd = Crowd::read(set);
        let without = run(&crowd.answers, &Gold::new());
        let [mut before, mut after] = [0.0; 2];
        for offset in 0..5 {
            let (known, rest) = crowd.fifth(offset);
            before += calibration_error(&without, &rest) / 5.0;
            after += calibration_error(&run(&crowd.answers, &known), &rest) / 5.0;
        }
        println!("{set}: calibration error {before:.3} before, {after:.3} after");
        assert!(
            after <= most && after < 0.7 * before,
            "{set}: {before} {after}"
        );
    }
}
