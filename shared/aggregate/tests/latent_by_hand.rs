//! GLAD, MACE and KOS on crowds small enough to compute by hand, from the formulas of their papers.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use quorate_aggregate::{
    Answers, AnswersBuilder, Glad, Gold, Kos, Mace, MaceLearning, Mode, glad, kos, mace,
};

fn answers(rows: &[(&str, &str, &str)]) -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, worker, label) in rows {
        builder.push(task, worker, label).unwrap();
    }
    builder.finish().unwrap()
}

fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-12,
        "{found} instead of {expected}"
    );
}

/// One iteration of expectation-maximisation, Hovy et al. (2013), section 3: an answer is likely by
/// (1 − s)·[it is the true label] + s·ξ.
#[test]
fn mace_from_the_majority_vote() {
    let rows = [
        ("1", "ann", "a"),
        ("1", "bob", "a"),
        ("2", "ann", "a"),
        ("2", "bob", "b"),
    ];
    let settings = Mace {
        iterations: 1,
        restarts: 0,
        learning: MaceLearning::ExpectationMaximisation,
        ..Mace::default()
    };
    let found = mace(&answers(&rows), &settings).unwrap();
    // Three of four answers are a, so 4/3 imagined spam answers are 2/9 + 2/3 of a and 2/9 + 2/9 of b. Half of the
    // vote is taken for knowledge: of Ann's two a it is 1/2 + 1/4, of Bob's a 1/2 and of his b 1/4.
    let [imagined_a, imagined_b, imagined] = [8.0 / 9.0, 4.0 / 9.0, 4.0 / 3.0];
    // Both have 1.25 spam and 0.75 knowing answers, and 2 and 4 imagined ones.
    let [spams, knows] = [3.25 / 8.0, 4.75 / 8.0];
    let ann_a = spams * (1.25 + imagined_a) / (1.25 + imagined);
    let bob_a = spams * (0.5 + imagined_a) / (1.25 + imagined);
    let bob_b = spams * (0.75 + imagined_b) / (1.25 + imagined);
    let first = [(ann_a + knows) * (bob_a + knows), ann_a * bob_a];
    let second = [(ann_a + knows) * bob_b, ann_a * (bob_b + knows)];
    for (task, [a, b]) in [first, second].into_iter().enumerate() {
        let row = found.task_probabilities(task).unwrap();
        close(row[0], a / (a + b));
        close(row[1], b / (a + b));
    }
    // The log-likelihood, and the logarithms of the densities, without what never changes.
    let likelihood: f64 = [first, second]
        .iter()
        .map(|[a, b]| ((a + b) / 2.0).ln())
        .sum();
    let workers = 2.0 * (2.0 * spams.ln() + 4.0 * knows.ln());
    let strategies = imagined_a * (1.25 + imagined_a).ln()
        + imagined_a * (0.5 + imagined_a).ln()
        + imagined_b * (0.75 + imagined_b).ln()
        - 2.0 * imagined * (1.25 + imagined).ln();
    close(
        found.log_likelihood()[0],
        (likelihood + workers + strategies) / 4.0,
    );
    assert_eq!(found.worker_columns()[0].0, "spamming");
    close(found.worker_columns()[0].1[0], spams);
    // True a, then true b.
    let bob = found.worker_confusion(1).unwrap();
    for (found, expected) in bob.iter().zip([knows + bob_a, bob_b, bob_a, knows + bob_b]) {
        close(*found, expected);
    }
    close(
        found.worker_skills()[1],
        found.priors()[0] * bob[0] + found.priors()[1] * bob[3],
    );
}

/// crowd-kit draws the probabilities of spamming and the strategies from the same numbers, the first of numpy's
/// `RandomState(0)`.
#[test]
fn crowd_kits_mace_before_the_first_iteration() {
    let mut builder = AnswersBuilder::with_labels(["a", "b"]).unwrap();
    builder.push("1", "ann", "a").unwrap();
    let settings = Mace {
        iterations: 0,
        mode: Mode::CrowdKit,
        ..Mace::default()
    };
    let found = mace(&builder.finish().unwrap(), &settings).unwrap();
    let [one, two] =
        [0.548_813_503_927_324_8, 0.715_189_366_372_419_5].map(|drawn| 1.0 + 1.5 * drawn);
    let [spams, knows] = [one / (one + two), two / (one + two)];
    let by_spam = spams * spams;
    close(
        found.confidence(0).unwrap(),
        (by_spam + knows) / (2.0 * by_spam + knows),
    );
}

/// At the start, abilities are 1 and so are logarithms of easiness: an answer is right with probability σ(e)
/// (Whitehill et al. 2009, equation 1), and else one of two wrong ones.
#[test]
fn glad_before_the_first_iteration() {
    let rows = [
        ("1", "ann", "a"),
        ("1", "bob", "a"),
        ("1", "eve", "b"),
        ("2", "eve", "c"),
    ];
    for mode in [Mode::Default, Mode::CrowdKit] {
        let settings = Glad {
            iterations: 0,
            mode,
            ..Glad::default()
        };
        let found = glad(&answers(&rows), &settings).unwrap();
        let right = 1.0 / (1.0 + (-1_f64.exp()).exp());
        let wrong = (1.0 - right) / 2.0;
        let joint = [
            right * right * wrong,
            wrong * wrong * right,
            wrong * wrong * wrong,
        ];
        let sum: f64 = joint.iter().sum();
        for (found, joint) in found.task_probabilities(0).unwrap().iter().zip(joint) {
            close(*found, joint / sum);
        }
        close(found.confidence(1).unwrap(), right);
    }
}

/// With one right answer, the derivatives of ln σ(αe^β) − ½(α − 1)² − ½(β − 1)² are zero at the end.
#[test]
fn glad_of_one_answer_that_is_right() {
    let mut builder = AnswersBuilder::with_labels(["a", "b"]).unwrap();
    builder.push("1", "ann", "a").unwrap();
    let settings = Glad {
        tolerance: 1e-15,
        gold: Gold::from([("1".to_owned(), "a".to_owned())]),
        ..Glad::default()
    };
    let found = glad(&builder.finish().unwrap(), &settings).unwrap();
    let (ability, easiness) = (found.worker_columns()[0].1[0], found.task_columns()[0].1[0]);
    let wrong = 1.0 / (1.0 + (ability * easiness).exp());
    let tolerance = 1e-6;
    assert!((wrong * easiness - (ability - 1.0)).abs() < tolerance);
    assert!((wrong * ability * easiness - (easiness.ln() - 1.0)).abs() < tolerance);
    let objective =
        (1.0 - wrong).ln() - 0.5 * (ability - 1.0).powi(2) - 0.5 * (easiness.ln() - 1.0).powi(2);
    // And the known label had an even chance beforehand.
    close(
        *found.log_likelihood().last().unwrap(),
        objective + 0.5_f64.ln(),
    );
}

/// One iteration of Karger, Oh and Shah (2014), section 2.2, from messages that are all 1, with means for workers.
#[test]
fn kos_after_one_iteration() {
    let rows = [
        ("1", "ann", "+"),
        ("1", "bob", "+"),
        ("1", "eve", "-"),
        ("2", "ann", "+"),
        ("2", "bob", "+"),
        ("3", "ann", "-"),
        ("3", "eve", "-"),
    ];
    let settings = Kos {
        iterations: Some(1),
        ..Kos::default()
    };
    let found = kos(&answers(&rows), &settings).unwrap();
    // Sorted, + is before −. Tasks tell: 1 → Ann 0, Bob 0, Eve +2; 2 → Ann +1, Bob +1; 3 → Ann −1, Eve −1.
    // Agreement: Ann 0, 1, 1; Bob 0, 1; Eve −2, 1. So workers tell: Ann 1, ½, ½; Bob 1, 0; Eve 1, −2.
    // Scores of +: 1 + 1 − 1 of 3; ½ + 0 of ½; −½ + 2 of 2½.
    let plus = [0.5 + 0.5 / 3.0, 1.0, 0.5 + 0.5 * 1.5 / 2.5];
    for (task, plus) in plus.into_iter().enumerate() {
        close(found.task_probabilities(task).unwrap()[0], plus);
    }
    let scale = (7.5_f64 / 7.0).sqrt();
    let (name, reliability) = &found.worker_columns()[0];
    assert_eq!(*name, "reliability");
    for (found, mean) in reliability.iter().zip([2.0 / 3.0, 0.5, -0.5]) {
        close(*found, mean / scale);
    }
    let skill_of_eve = f64::midpoint(1.0 - plus[0], 1.0 - plus[2]);
    close(found.worker_skills()[2], skill_of_eve);
}
