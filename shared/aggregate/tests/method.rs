//! The methods by name: each is itself, and a setting is used or refused.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use quorate_aggregate::{
    Aggregated, Answers, Format, Gold, Iteration, Method, MethodError, Mode, Progress, Setting,
    Settings, aggregate, dawid_skene, glad, hierarchical_dawid_skene, kos, mace, majority_vote,
    mmsr, one_coin_dawid_skene, wawa, zero_based_skill,
};

fn bluebirds() -> (Answers, Gold) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bluebirds");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let answers = Answers::read(read("answers.tsv").as_bytes(), Format::Tsv).unwrap();
    let truth = read("gt.tsv");
    let rows = truth
        .lines()
        .skip(1)
        .map(|row| row.split_once('\t').unwrap());
    let gold = rows.map(|(task, label)| (task.to_owned(), label.to_owned()));
    (answers, gold.collect())
}

#[test]
fn a_name_is_read_as_it_is_written() {
    for method in Method::ALL {
        assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
    }
    assert_eq!(Method::default().name(), "hierarchical-dawid-skene");
    let error = "voting".parse::<Method>().unwrap_err().to_string();
    assert!(
        error.starts_with("there is no method \"voting\", but hierarchical-dawid-skene, majority-"),
        "{error}"
    );
}

#[test]
fn a_method_by_name_with_no_settings_is_the_method_with_its_defaults() {
    let (answers, gold) = bluebirds();
    for method in Method::ALL {
        let own = match method {
            Method::HierarchicalDawidSkene => {
                hierarchical_dawid_skene(&answers, &Default::default())
            }
            Method::MajorityVote => Ok(majority_vote(&answers)),
            Method::Wawa => Ok(wawa(&answers)),
            Method::ZeroBasedSkill => zero_based_skill(&answers, &Default::default()),
            Method::DawidSkene => dawid_skene(&answers, &Default::default()),
            Method::OneCoinDawidSkene => one_coin_dawid_skene(&answers, &Default::default()),
            Method::Glad => glad(&answers, &Default::default()),
            Method::Mace => mace(&answers, &Default::default()),
            Method::Kos => kos(&answers, &Default::default()),
            Method::Mmsr => mmsr(&answers, &Default::default()),
            // It has no default: it needs known labels.
            Method::GoldMajorityVote => {
                let error = aggregate(&answers, method, &Settings::default()).unwrap_err();
                assert_eq!(error, MethodError::NeedsGold { method });
                let gold = gold.clone();
                let settings = Settings {
                    gold,
                    ..Settings::default()
                };
                assert!(aggregate(&answers, method, &settings).is_ok());
                continue;
            }
        };
        let found = aggregate(&answers, method, &Settings::default()).unwrap();
        let own = own.unwrap();
        assert_eq!(found.probabilities(), own.probabilities(), "{method}");
        assert_eq!(found.log_likelihood(), own.log_likelihood(), "{method}");
        let confusion = found.worker_confusion(0);
        assert_eq!(confusion.is_some(), method.finds_confusion(), "{method}");
    }
}

/// The outcome, and what was told on the way.
fn told(
    answers: &Answers,
    method: Method,
    settings: Settings,
) -> Result<(Aggregated, Vec<Iteration>), MethodError> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let settings = Settings {
        progress: Progress::new(move |at| listener.lock().unwrap().push(at)),
        ..settings
    };
    let found = aggregate(answers, method, &settings)?;
    let told = told.lock().unwrap().clone();
    Ok((found, told))
}

#[test]
fn a_setting_makes_a_difference_or_is_refused() {
    let (answers, truth) = bluebirds();
    let fifth: Gold = truth.clone().into_iter().step_by(5).collect();
    for method in Method::ALL {
        for mode in [Mode::Default, Mode::CrowdKit] {
            let mut plain = Settings {
                mode,
                ..Settings::default()
            };
            if method == Method::GoldMajorityVote {
                // In crowd-kit's mode, every worker must have been seen on known labels; all have on these.
                plain.gold.clone_from(&fifth);
            }
            let Ok((before, told_before)) = told(&answers, method, plain.clone()) else {
                assert!(!method.has(mode), "{method} {mode:?}");
                continue;
            };
            assert!(method.has(mode), "{method} {mode:?}");
            // All go on for longer with it; these two take no negative one.
            let tolerance = match method {
                Method::ZeroBasedSkill | Method::Mmsr => 0.0,
                _ => -0.01,
            };
            for setting in [
                Setting::Iterations,
                Setting::Tolerance,
                Setting::Gold,
                Setting::Seed,
            ] {
                let mut settings = plain.clone();
                match setting {
                    Setting::Iterations => settings.iterations = Some(1),
                    Setting::Tolerance => settings.tolerance = Some(tolerance),
                    Setting::Gold => settings.gold.clone_from(&truth),
                    Setting::Seed => settings.seed = Some(9),
                }
                let uses = method.uses(setting, mode);
                match told(&answers, method, settings) {
                    Ok((after, told_after)) => {
                        assert!(uses, "{method} {mode:?} takes {setting}");
                        let same = before.probabilities() == after.probabilities();
                        assert!(
                            !same || told_before != told_after,
                            "{method} {mode:?} ignores {setting}"
                        );
                    }
                    Err(error) => {
                        assert!(!uses, "{method} {mode:?} refuses {setting}: {error}");
                        let refused = MethodError::Unused {
                            method,
                            setting,
                            mode,
                        };
                        assert_eq!(error, refused);
                    }
                }
            }
        }
    }
}

#[test]
fn every_iteration_is_told() {
    let (answers, _) = bluebirds();
    for method in Method::ALL {
        for mode in [Mode::Default, Mode::CrowdKit] {
            if method == Method::GoldMajorityVote || !method.has(mode) {
                continue;
            }
            let settings = Settings {
                mode,
                ..Settings::default()
            };
            let (found, told) = told(&answers, method, settings).unwrap();
            let history: Vec<_> = (1..).zip(found.log_likelihood().iter().copied()).collect();
            let told: Vec<_> = told.iter().map(|at| (at.number, at.objective)).collect();
            // A method may climb more than once; the history is of one of these climbs.
            assert!(
                history.is_empty() || told.windows(history.len()).any(|part| part == history),
                "{method} {mode:?}: {history:?}"
            );
            assert_eq!(history.is_empty(), told.is_empty(), "{method} {mode:?}");
        }
    }
}
