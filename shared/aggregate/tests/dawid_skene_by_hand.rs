//! One iteration, worked out by hand.
//!
//! Three tasks and the answers (a, a, b), (b, b, b) and (a, b, a) of workers 1, 2 and 3. Votes put the tasks' probability
//! of `a` at ⅔, 0 and ⅔, so its share is 4/9.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::sync::{Arc, Mutex};

use quorate_aggregate::{
    Answers, AnswersBuilder, DawidSkene, ErrorRows, Gold, InitialErrors, Mode, OneCoinDawidSkene,
    Progress, dawid_skene, one_coin_dawid_skene,
};

fn answers() -> Answers {
    let mut builder = AnswersBuilder::new();
    for (task, given) in ["aab", "bbb", "aba"].into_iter().enumerate() {
        for (worker, label) in given.chars().enumerate() {
            builder
                .push(&task.to_string(), &worker.to_string(), &label.to_string())
                .unwrap();
        }
    }
    builder.finish().unwrap()
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

fn one_iteration(mode: Mode) -> DawidSkene {
    DawidSkene {
        iterations: 1,
        mode,
        ..DawidSkene::default()
    }
}

/// Dawid and Skene (1979), equations 2.3 to 2.5. By 2.3, π(answer | truth), worker 1 gave `a` to tasks 0 and 2 and `b` to
/// task 1: π(a|a) = (⅔ + ⅔) / (4/3) = 1, π(a|b) = (⅓ + ⅓) / (5/3) = 2/5. Worker 2 gave `a` to task 0 only:
/// π(a|a) = ½, π(a|b) = ⅓ / (5/3) = 1/5; worker 3 to task 2 only: the same. By 2.4, the share of `a` is 4/9. By 2.5,
/// task 0 with (a, a, b): a: 4/9 · 1 · ½ · ½ = 1/9; b: 5/9 · 2/5 · 1/5 · 4/5 = 8/225. So P(a) = 25/33. Task 2 with
/// (a, b, a): the same. Task 1 with (b, b, b): a: 0; b: all.
#[test]
fn an_iteration_of_dawid_and_skene() {
    let found = dawid_skene(&answers(), &one_iteration(Mode::CrowdKit)).unwrap();
    for (task, expected) in [25.0 / 33.0, 0.0, 25.0 / 33.0].into_iter().enumerate() {
        assert_close(found.task_probabilities(task).unwrap()[0], expected);
    }
    // The maximisation after it: worker 2 gave `a` to task 0 only.
    let matrix = found.worker_confusion(1).unwrap();
    assert_close(matrix[0], 0.5);
    // Of `b` there are 8/33, 1 and 8/33 expected: π(a|b) = (8/33) / (49/33).
    assert_close(matrix[2], 8.0 / 49.0);
    // √(½ · ½ / (50/33 + 1)), and √(8/49 · 41/49 / (49/33 + 1)).
    let deviation = found.worker_confusion_deviation(1).unwrap();
    assert_close(deviation[0], (0.25_f64 * 33.0 / 83.0).sqrt());
    assert_close(deviation[2], (8.0 * 41.0 / 2401.0 * 33.0 / 82.0_f64).sqrt());
    // The skill: 50/99 · ½ + 49/99 · 41/49, and its variance by the shares' squares.
    assert_close(found.worker_skills()[1], 66.0 / 99.0);
    let variance = (50.0 / 99.0 * deviation[0]).powi(2) + (49.0 / 99.0 * deviation[3]).powi(2);
    assert_close(found.worker_skill_deviation(1).unwrap(), variance.sqrt());
}

/// Zhang, Chen, Zhou and Jordan (2014), the one-coin model. By votes, worker 1 is right ⅔ + 1 + ⅔ of three times: 7/9;
/// workers 2 and 3 ⅔ + 1 + ⅓: 2/3. Task 0: a: 4/9 · 7/9 · ⅔ · ⅓ = 56/729; b: 5/9 · 2/9 · ⅓ · ⅔ = 20/729.
/// So P(a) = 56/76. Task 1: a: 4/9 · 2/9 · ⅓ · ⅓ = 8/729; b: 5/9 · 7/9 · ⅔ · ⅔ = 140/729. So P(a) = 8/148.
#[test]
fn an_iteration_with_one_coin() {
    let settings = OneCoinDawidSkene {
        iterations: 1,
        mode: Mode::CrowdKit,
        ..OneCoinDawidSkene::default()
    };
    let found = one_coin_dawid_skene(&answers(), &settings).unwrap();
    for (task, expected) in [56.0 / 76.0, 8.0 / 148.0, 56.0 / 76.0]
        .into_iter()
        .enumerate()
    {
        assert_close(found.task_probabilities(task).unwrap()[0], expected);
    }
    let skill = (56.0 / 76.0 * 2.0 + 140.0 / 148.0) / 3.0;
    assert_close(found.worker_skills()[0], skill);
    let matrix = found.worker_confusion(0).unwrap();
    assert_close(matrix[0], skill);
    assert_close(matrix[1], 1.0 - skill);
    let deviation = found.worker_skill_deviation(0).unwrap();
    assert_close(deviation, (skill * (1.0 - skill) / 4.0).sqrt());
}

/// The same with 3 imagined right answers and 1 wrong one, and classes of equal share. By votes, worker 1 is right with
/// (7/3 + 3) / 7 = 16/21, workers 2 and 3 with (2 + 3) / 7 = 5/7. Task 0, (a, a, b): workers 2 and 3 cancel out, and
/// P(a) = 16/21. Task 1: the odds of `b` are 16/5 · (5/2)² = 20.
#[test]
fn an_iteration_with_one_coin_and_imagined_answers() {
    let settings = OneCoinDawidSkene {
        iterations: 1,
        right: 3.0,
        wrong: 1.0,
        ..OneCoinDawidSkene::default()
    };
    let found = one_coin_dawid_skene(&answers(), &settings).unwrap();
    for (task, expected) in [16.0 / 21.0, 1.0 / 21.0, 16.0 / 21.0]
        .into_iter()
        .enumerate()
    {
        assert_close(found.task_probabilities(task).unwrap()[0], expected);
    }
    // Given the labels, of the answers: each task's likelihood is the mean of both classes'. Task 0 and 2 have
    // ½ · (5/7 · 2/7) · 1; task 1 ½ · (16 · 25 + 5 · 4) / (21 · 49). The beliefs: 3 ln s + ln (1 − s) for each.
    let likelihood = 2.0 * (5.0 / 49.0_f64).ln() + (210.0 / 1029.0_f64).ln();
    let belief = |s: f64| 3.0 * s.ln() + (1.0 - s).ln();
    let beliefs = belief(16.0 / 21.0) + 2.0 * belief(5.0 / 7.0);
    assert_close(found.log_likelihood()[0], (likelihood + beliefs) / 9.0);
}

#[test]
fn known_labels_teach_and_stay() {
    let gold = Gold::from([("1".to_owned(), "a".to_owned())]);
    for mode in [Mode::Default, Mode::CrowdKit] {
        let without = OneCoinDawidSkene {
            mode,
            ..OneCoinDawidSkene::default()
        };
        let with = OneCoinDawidSkene {
            gold: gold.clone(),
            ..without.clone()
        };
        let without = one_coin_dawid_skene(&answers(), &without).unwrap();
        let with = one_coin_dawid_skene(&answers(), &with).unwrap();
        assert_eq!(with.label(1), Some("a"));
        for worker in 0..3 {
            assert!(with.worker_skills()[worker] < without.worker_skills()[worker]);
        }
    }
}

#[test]
fn initial_errors_that_do_not_fit_are_named() {
    let rows = |rows: &[(&str, &str, [f64; 2])]| -> ErrorRows {
        let row = |&(worker, label, row): &(&str, &str, [f64; 2])| {
            ((worker.to_owned(), label.to_owned()), row.to_vec())
        };
        rows.iter().map(row).collect()
    };
    let problem = |initial_errors| {
        let settings = DawidSkene {
            initial_errors,
            ..one_iteration(Mode::CrowdKit)
        };
        dawid_skene(&answers(), &settings).map_err(|error| error.to_string())
    };
    let add = |row| problem(InitialErrors::Add(rows(&[row])));
    assert!(add(("0", "a", [9.0, 1.0])).is_ok());
    assert!(add(("unheard of", "z", [9.0, 1.0])).is_ok());
    let error = add(("0", "z", [9.0, 1.0])).unwrap_err();
    assert_eq!(
        error,
        "the initial errors of worker \"0\" have a label that does not exist"
    );
    assert!(
        add(("0", "a", [-1.0, 1.0]))
            .unwrap_err()
            .contains("negative")
    );
    let of_all = |first| {
        let row = |worker, label| (worker, label, if label == "a" { first } else { [0.2, 0.8] });
        let pairs = ["0", "1", "2"]
            .into_iter()
            .flat_map(|w| ["a", "b"].map(|l| row(w, l)));
        pairs.collect::<Vec<_>>()
    };
    let assign = |given: &[_]| problem(InitialErrors::Assign(rows(given)));
    assert!(assign(&of_all([0.8, 0.2])).is_ok());
    let uneven = assign(&of_all([0.7, 0.2])).unwrap_err();
    assert!(uneven.contains("do not sum to one"), "{uneven}");
    let missing = assign(&of_all([0.8, 0.2])[1..]).unwrap_err();
    assert!(missing.contains("\"0\" have no row"), "{missing}");
}

#[test]
fn a_listener_hears_the_history() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let settings = OneCoinDawidSkene {
        progress: Progress::new(move |at| listener.lock().unwrap().push(at)),
        ..OneCoinDawidSkene::default()
    };
    let found = one_coin_dawid_skene(&answers(), &settings).unwrap();
    let heard = heard.lock().unwrap();
    let objectives: Vec<f64> = heard.iter().map(|at| at.objective).collect();
    assert_eq!(objectives, found.log_likelihood());
    assert!((1..).zip(&*heard).all(|(number, at)| at.number == number));
    assert!(heard.iter().all(|at| at.limit == settings.iterations));
}
