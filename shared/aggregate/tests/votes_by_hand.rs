//! The voting methods on examples small enough to compute by hand, and what holds for every crowd.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use proptest::prelude::*;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, Gold, GoldMajorityVote, MethodError, MissingSkill, Mmsr,
    Mode, Skills, StopReason, WeightedMajorityVote, ZeroBasedSkill, gold_majority_vote,
    majority_vote, mmsr, wawa, weighted_majority_vote, zero_based_skill,
};

const TOLERANCE: f64 = 1e-12;

fn build(rows: &[(&str, &str, &str)]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder.push(task, worker, label).unwrap();
    }
    builder.finish().unwrap()
}

fn skills(of: &[(&str, f64)]) -> Skills {
    of.iter()
        .map(|&(worker, skill)| (worker.to_owned(), skill))
        .collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(expected) {
        assert!(
            (one - other).abs() < TOLERANCE,
            "{found:?} instead of {expected:?}"
        );
    }
}

/// The example in the documentation of crowd-kit's `MajorityVote`: with skills .5, .7, .4, label 1 has .9 of 1.6 votes
/// for t2.
#[test]
fn votes_weigh_as_much_as_skills() {
    let answers = build(&[
        ("t1", "p1", "0"),
        ("t1", "p2", "0"),
        ("t1", "p3", "1"),
        ("t2", "p1", "1"),
        ("t2", "p2", "0"),
        ("t2", "p3", "1"),
    ]);
    let settings = WeightedMajorityVote {
        skills: skills(&[("p1", 0.5), ("p2", 0.7), ("p3", 0.4), ("nobody", 9.0)]),
        missing: MissingSkill::Reject,
    };
    let found = weighted_majority_vote(&answers, &settings).unwrap();
    assert_near(found.probabilities(), &[0.75, 0.25, 0.4375, 0.5625]);
    assert_eq!((found.label(0), found.label(1)), (Some("0"), Some("1")));
    // The skills of the outcome are the agreement with it.
    assert_near(found.worker_skills(), &[1.0, 0.5, 0.5]);
}

#[test]
fn who_has_no_skill_is_an_error_or_left_out_or_has_a_given_one() {
    let answers = build(&[
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("1", "eve", "b"),
        ("2", "bob", "b"),
    ]);
    let vote = |missing, of: &[(&str, f64)]| {
        let skills = skills(of);
        weighted_majority_vote(&answers, &WeightedMajorityVote { skills, missing })
    };
    let error = vote(MissingSkill::Reject, &[("ann", 0.5), ("eve", 0.5)]).unwrap_err();
    assert_eq!(
        error,
        MethodError::MissingSkill {
            worker: "bob".to_owned()
        }
    );
    let error = vote(MissingSkill::Ignore, &[("ann", 0.5), ("eve", 0.5)]).unwrap_err();
    assert_eq!(
        error,
        MethodError::NoVotes {
            task: "2".to_owned()
        }
    );
    let found = vote(MissingSkill::Ignore, &[("ann", 0.6), ("bob", 0.2)]).unwrap();
    assert_near(found.probabilities(), &[0.75, 0.25, 0.0, 1.0]);
    let found = vote(MissingSkill::Value(0.1), &[("ann", 0.6)]).unwrap();
    assert_near(found.probabilities(), &[0.75, 0.25, 0.0, 1.0]);
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let error = vote(MissingSkill::Value(bad), &[]).unwrap_err();
        assert!(error.to_string().starts_with("a worker's skill is"));
        assert!(vote(MissingSkill::Ignore, &[("ann", bad)]).is_err());
    }
}

/// crowd-kit divides 0 by 0 here and gives no label.
#[test]
fn votes_without_any_weight_count_alike() {
    let answers = build(&[
        ("1", "ann", "b"),
        ("1", "bob", "b"),
        ("1", "eve", "a"),
        ("1", "joe", "a"),
        ("1", "kim", "a"),
    ]);
    let settings = WeightedMajorityVote {
        skills: skills(&[("ann", 0.0), ("bob", 0.0), ("eve", 0.0)]),
        missing: MissingSkill::Ignore,
    };
    let found = weighted_majority_vote(&answers, &settings).unwrap();
    // Who does not vote still does not.
    assert_near(found.probabilities(), &[1.0 / 3.0, 2.0 / 3.0]);
}

/// In floating point, .1 + .2 + .3 is more than .3 + .2 + .1.
#[test]
fn a_tie_is_a_tie_in_any_order() {
    let weights = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1];
    let (mut rows, mut known) = (Vec::new(), Skills::new());
    for ((worker, weight), label) in (0..).zip(weights).zip(["b", "b", "b", "a", "a", "a"]) {
        rows.push((format!("w{worker}"), label));
        known.insert(format!("w{worker}"), weight);
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|(worker, label)| ("1", &**worker, *label))
        .collect();
    let settings = WeightedMajorityVote {
        skills: known,
        missing: MissingSkill::Reject,
    };
    let found = weighted_majority_vote(&build(&rows), &settings).unwrap();
    assert_eq!(found.probabilities(), [0.5, 0.5]);
    assert_eq!(found.label(0), Some("a"));
}

/// The majority is a, b, a. Ann and Eve agree with it in 2 of 3 answers, Bob in all; so on the first two tasks
/// votes are 5/3 against 2/3.
const THREE: [(&str, &str, &str); 9] = [
    ("1", "ann", "a"),
    ("1", "bob", "a"),
    ("1", "eve", "b"),
    ("2", "ann", "a"),
    ("2", "bob", "b"),
    ("2", "eve", "b"),
    ("3", "ann", "a"),
    ("3", "bob", "a"),
    ("3", "eve", "a"),
];

#[test]
fn wawa_votes_twice() {
    let found = wawa(&build(&THREE));
    let (most, least) = (5.0 / 7.0, 2.0 / 7.0);
    assert_near(found.probabilities(), &[most, least, least, most, 1.0, 0.0]);
    assert_near(found.worker_skills(), &[2.0 / 3.0, 1.0, 2.0 / 3.0]);
}

#[test]
fn zero_based_skill_rests_where_skills_are_the_agreement() {
    let answers = build(&THREE);
    let found = zero_based_skill(&answers, &ZeroBasedSkill::default()).unwrap();
    assert_near(found.probabilities(), wawa(&answers).probabilities());
    assert_eq!(
        (found.iterations(), found.stop_reason()),
        (2, StopReason::Converged)
    );
    // The start is 1/2 + 10⁻⁵: skills are off by 1/6, 1/2 and 1/6 at first.
    let off = [1.0 / 6.0 - 1e-5, 0.5 - 1e-5, 1.0 / 6.0 - 1e-5].map(|off: f64| off * off);
    assert_near(
        found.log_likelihood(),
        &[-off.iter().sum::<f64>() / 3.0, 0.0],
    );
    let crowd_kit = ZeroBasedSkill {
        iterations: 7,
        mode: Mode::CrowdKit,
        ..ZeroBasedSkill::default()
    };
    let found = zero_based_skill(&answers, &crowd_kit).unwrap();
    assert_eq!(
        (found.iterations(), found.stop_reason()),
        (7, StopReason::IterationLimit)
    );
    let bad = ZeroBasedSkill {
        tolerance: f64::NAN,
        ..ZeroBasedSkill::default()
    };
    assert!(zero_based_skill(&answers, &bad).is_err());
}

/// Ann was right once, Bob wrong once, Eve was never seen: skills of 5/7, 4/7 and 4/6, which are 3/7, 1/7 and 1/3
/// above chance. For task 2 that is 9/21 against 3/21 + 7/21.
#[test]
fn gold_weighs_by_accuracy_above_chance() {
    let answers = build(&[
        ("1", "ann", "a"),
        ("1", "bob", "b"),
        ("2", "ann", "a"),
        ("2", "bob", "b"),
        ("2", "eve", "b"),
    ]);
    let gold = Gold::from([
        ("1".to_owned(), "a".to_owned()),
        ("nobody answered".to_owned(), "z".to_owned()),
    ]);
    let mut settings = GoldMajorityVote {
        gold,
        mode: Mode::Default,
    };
    let found = gold_majority_vote(&answers, &settings).unwrap();
    assert_near(found.worker_skills(), &[5.0 / 7.0, 4.0 / 7.0, 4.0 / 6.0]);
    assert_near(
        &found.worker_columns()[0].1,
        &[3.0 / 7.0, 1.0 / 7.0, 1.0 / 3.0],
    );
    assert_near(
        found.probabilities(),
        &[0.75, 0.25, 9.0 / 19.0, 10.0 / 19.0],
    );

    settings.mode = Mode::CrowdKit;
    let error = gold_majority_vote(&answers, &settings).unwrap_err();
    assert_eq!(
        error,
        MethodError::MissingSkill {
            worker: "eve".to_owned()
        }
    );
    // Six wrong answers: a skill of 4/12 is below chance, and does not vote.
    settings.mode = Mode::Default;
    let mut rows: Vec<_> = ["1", "2", "3", "4", "5", "6"]
        .map(|task| (task, "ann", "a"))
        .into();
    rows.extend([("7", "ann", "a"), ("7", "bob", "b")]);
    settings.gold = (1..=6)
        .map(|task: u8| (task.to_string(), "b".to_owned()))
        .collect();
    let found = gold_majority_vote(&build(&rows), &settings).unwrap();
    assert_near(&found.worker_columns()[0].1, &[0.0, 1.0 / 3.0]);
    assert_eq!(found.task_probabilities(6), Some([0.0, 1.0].as_slice()));

    settings.mode = Mode::CrowdKit;
    settings.gold = Gold::from([("1".to_owned(), "a".to_owned())]);
    // Eve is wrong about task 2, and Ann and Bob about it and a label that nobody gave.
    settings.gold.insert("2".to_owned(), "z".to_owned());
    let found = gold_majority_vote(&answers, &settings).unwrap();
    assert_near(found.worker_skills(), &[0.5, 0.0, 0.0]);
    assert_near(found.probabilities(), &[1.0, 0.0, 1.0, 0.0]);
}

/// Three workers, two labels, 80 tasks: Ann agrees with each of the others on 56, they with each other on 50. Scaled,
/// that is .4, .4 and .25, which is the products of .8, .5 and .5 (Ma and Olshevsky 2020, equation 2); so accuracies
/// are .9, .75 and .75, and weights ln 9, ln 3 and ln 3.
#[test]
fn mmsr_finds_skills_whose_products_are_the_agreements() {
    let mut builder = AnswersBuilder::with_labels(["x", "y"]).unwrap();
    let mut task = 0;
    for (times, labels) in [
        (41, ["x", "x", "x"]),
        (9, ["y", "x", "x"]),
        (15, ["x", "y", "x"]),
        (15, ["x", "x", "y"]),
    ] {
        for _ in 0..times {
            for (worker, label) in ["ann", "bob", "eve"].into_iter().zip(labels) {
                builder.push(&task.to_string(), worker, label).unwrap();
            }
            task += 1;
        }
    }
    let answers = builder.finish().unwrap();
    let settings = Mmsr {
        tolerance: 1e-12,
        ..Mmsr::default()
    };
    let found = mmsr(&answers, &settings).unwrap();
    assert_eq!(found.stop_reason(), StopReason::Converged);
    for (skill, expected) in found.worker_skills().iter().zip([0.9, 0.75, 0.75]) {
        assert!((skill - expected).abs() < 1e-9, "{skill}");
    }
    // All for x: ln 81 against 0. Ann for x and Bob against her: ln 9 + ln 3 against ln 3.
    assert!((found.confidence(0).unwrap() - 81.0 / 82.0).abs() < 1e-9);
    assert!((found.confidence(55).unwrap() - 9.0 / 10.0).abs() < 1e-9);
}

/// The `SplitMix64` generator.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Workers of whom each is right in so many of a hundred answers; the truth of task t is t mod 3.
fn crowd(accuracies: &[u64], tasks: u64) -> (Answers, Gold) {
    let mut builder = AnswersBuilder::new();
    let mut gold = Gold::new();
    let mut state = 7;
    for task in 0..tasks {
        gold.insert(task.to_string(), (task % 3).to_string());
        for (worker, accuracy) in accuracies.iter().enumerate() {
            let wrong = 1 + random(&mut state) % 2;
            let label = (task
                + if random(&mut state) % 100 < *accuracy {
                    0
                } else {
                    wrong
                })
                % 3;
            builder
                .push(&task.to_string(), &worker.to_string(), &label.to_string())
                .unwrap();
        }
    }
    (builder.finish().unwrap(), gold)
}

#[test]
fn mmsr_turns_liars_round() {
    let (answers, truth) = crowd(&[70, 70, 70, 70, 70, 70, 2, 2, 2, 2, 2], 300);
    let found = mmsr(&answers, &Mmsr::default()).unwrap();
    let weights = &found.worker_columns()[0].1;
    assert!(
        weights[..6].iter().all(|weight| *weight > 0.0),
        "{weights:?}"
    );
    assert!(
        weights[6..].iter().all(|weight| *weight < 0.0),
        "{weights:?}"
    );
    let (accuracy, majority) = (
        found.accuracy(&truth).unwrap(),
        majority_vote(&answers).accuracy(&truth).unwrap(),
    );
    assert!(accuracy > 0.95 && majority < 0.8, "{accuracy}, {majority}");
}

/// Tasks of 600 answers: each is compared with 256, and that is enough.
#[test]
fn mmsr_does_not_compare_all_pairs_of_a_crowded_task() {
    let mut accuracies = vec![80; 300];
    accuracies.resize(600, 40);
    let (answers, truth) = crowd(&accuracies, 60);
    let settings = Mmsr {
        tolerance: 1e-4,
        ..Mmsr::default()
    };
    let found = mmsr(&answers, &settings).unwrap();
    assert_eq!(found.accuracy(&truth), Some(1.0));
    let mean = |skills: &[f64]| skills.iter().sum::<f64>() / 300.0;
    // Workers are sorted as numbers.
    let (good, bad) = found.worker_skills().split_at(300);
    assert!((mean(good) - 0.8).abs() < 0.03, "{}", mean(good));
    assert!((mean(bad) - 0.4).abs() < 0.08, "{}", mean(bad));
}

#[test]
fn mmsr_without_anybody_to_compare_is_the_majority() {
    let answers = build(&[("1", "ann", "b"), ("2", "bob", "a"), ("3", "bob", "b")]);
    let found = mmsr(&answers, &Mmsr::default()).unwrap();
    let labels: Vec<_> = found.decisions().map(|(_, label, _)| label).collect();
    assert_eq!(labels, ["b", "a", "b"]);
    let one_label = build(&[("1", "ann", "b"), ("1", "bob", "b")]);
    assert_eq!(
        mmsr(&one_label, &Mmsr::default()).unwrap().confidence(0),
        Some(1.0)
    );
    for (setting, bad) in [
        (
            "tolerance",
            Mmsr {
                tolerance: f64::NAN,
                ..Mmsr::default()
            },
        ),
        (
            "iterations",
            Mmsr {
                iterations: 0,
                ..Mmsr::default()
            },
        ),
    ] {
        assert!(
            mmsr(&answers, &bad)
                .unwrap_err()
                .to_string()
                .starts_with(setting)
        );
    }
}

fn all_methods(answers: &Answers, gold: &Gold) -> Vec<Aggregated> {
    let gold = GoldMajorityVote {
        gold: gold.clone(),
        mode: Mode::Default,
    };
    vec![
        majority_vote(answers),
        wawa(answers),
        zero_based_skill(answers, &ZeroBasedSkill::default()).unwrap(),
        gold_majority_vote(answers, &gold).unwrap(),
        mmsr(answers, &Mmsr::default()).unwrap(),
    ]
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let (answers, mut gold) = crowd(&[90, 80, 70, 60, 50], 20_000);
    gold.retain(|task, _| task.ends_with('7'));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build()
            .unwrap()
            .install(|| all_methods(&answers, &gold))
    };
    for (one, four) in on(1).iter().zip(on(4)) {
        assert_eq!(bits(one.probabilities()), bits(four.probabilities()));
        assert_eq!(bits(one.priors()), bits(four.priors()));
        assert_eq!(bits(one.worker_skills()), bits(four.worker_skills()));
        assert_eq!(bits(one.log_likelihood()), bits(four.log_likelihood()));
    }
}

type Row = (u8, u8, u8);

fn of_rows(rows: &[Row], worker_name: impl Fn(u8) -> String) -> Answers {
    let mut builder = AnswersBuilder::with_labels(["0", "1", "2"]).unwrap();
    for &(task, worker, label) in rows {
        builder
            .push(&task.to_string(), &worker_name(worker), &label.to_string())
            .unwrap();
    }
    builder.finish().unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..10_u8, 0..7_u8, 0..3_u8), 1..100)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_weights_are_the_plain_vote(rows in rows(), weight in 1e-9..1e9_f64) {
        let answers = of_rows(&rows, |worker| worker.to_string());
        let settings = WeightedMajorityVote { missing: MissingSkill::Value(weight), ..WeightedMajorityVote::default() };
        let (plain, found) = (majority_vote(&answers), weighted_majority_vote(&answers, &settings).unwrap());
        for (one, other) in plain.decisions().zip(found.decisions()) {
            prop_assert_eq!(one.1, other.1);
        }
        assert_near(plain.probabilities(), found.probabilities());
    }

    #[test]
    fn only_ratios_of_weights_matter(rows in rows(), weights in prop::collection::vec(0.01..1.0_f64, 7), factor in 1e-6..1e6_f64) {
        let answers = of_rows(&rows, |worker| worker.to_string());
        let vote = |factor: f64| {
            let skills = weights.iter().enumerate().map(|(worker, weight)| (worker.to_string(), weight * factor)).collect();
            weighted_majority_vote(&answers, &WeightedMajorityVote { skills, missing: MissingSkill::Reject }).unwrap()
        };
        assert_near(vote(1.0).probabilities(), vote(factor).probabilities());
    }

    #[test]
    fn outcomes_are_probabilities(rows in rows(), known in prop::collection::btree_map(0..10_u8, 0..4_u8, 0..5)) {
        let answers = of_rows(&rows, |worker| worker.to_string());
        let gold: Gold = known.into_iter().map(|(task, label)| (task.to_string(), label.to_string())).collect();
        for found in all_methods(&answers, &gold) {
            for row in found.probabilities().chunks(3) {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)));
            }
            prop_assert!((found.priors().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(found.worker_skills().iter().all(|skill| (0.0..=1.0).contains(skill)));
            prop_assert!(found.worker_columns().iter().all(|(_, column)| column.len() == answers.workers().len() && column.iter().all(|value| value.is_finite())));
        }
    }

    /// Sums do not depend on the order of workers, so neither do ties.
    #[test]
    fn renaming_workers_changes_no_label(rows in rows(), known in prop::collection::btree_map(0..10_u8, 0..3_u8, 0..5)) {
        let gold: Gold = known.into_iter().map(|(task, label)| (task.to_string(), label.to_string())).collect();
        let one = all_methods(&of_rows(&rows, |worker| worker.to_string()), &gold);
        let other = all_methods(&of_rows(&rows, |worker| (worker * 3 % 7).to_string()), &gold);
        // All but M-MSR, which computes with more than sums.
        for (one, other) in one.iter().zip(&other).take(4) {
            for (one, other) in one.decisions().zip(other.decisions()) {
                prop_assert_eq!(one.1, other.1);
            }
        }
    }
}
