//! One fault, or two, at every request of a campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use quorate_sim::choices::Choices;
use quorate_sim::gate::Fate;
use quorate_sim::run::{Outcome, Setting, run};
use quorate_sim::script::Script;
use serde_json::Value;

use super::{for_each, show};

const FAULTS: [Fate; 4] = [
    Fate::CrashBefore,
    Fate::CrashAfter,
    Fate::ReplyLost,
    Fate::Failed,
];

const CRASHES: [Fate; 2] = [Fate::CrashBefore, Fate::CrashAfter];

fn planned(script: &Script, fates: &[(u64, Fate)]) -> (Setting, Outcome) {
    let setting = Setting {
        script: Some(script.clone()),
        fates: fates.iter().copied().collect(),
        planned: true,
        ..Setting::default()
    };
    let outcome = run(Choices::tape(Vec::new()), &setting);
    (setting, outcome)
}

/// The lines of all `labels.csv`, without their heads.
fn lines(outcome: &Outcome) -> BTreeSet<String> {
    let files = outcome.results.iter();
    let tables = files.filter(|(key, _)| key.ends_with("labels.csv"));
    tables
        .flat_map(|(_, body)| {
            String::from_utf8_lossy(body)
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Label and votes of each image: of a line what does not depend on which images shared a page or
/// a round.
fn votes(outcome: &Outcome) -> BTreeMap<String, [Value; 3]> {
    let files = outcome.results.iter();
    let mut labels = BTreeMap::new();
    for (_, body) in files.filter(|(key, _)| key.ends_with("labels.jsonl")) {
        for line in body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let row: Value = serde_json::from_slice(line).unwrap();
            let image = row["image"].as_str().unwrap().to_owned();
            labels.insert(
                image,
                ["majority_label", "votes", "reason"].map(|it| row[it].clone()),
            );
        }
    }
    labels
}

/// Runs a campaign with these faults: what is `seen` of it must be as without.
fn check<T: PartialEq + Debug>(
    script: &Script,
    faults: &[(u64, Fate)],
    seen: fn(&Outcome) -> T,
    without: &T,
) -> Outcome {
    let (setting, outcome) = planned(script, faults);
    if outcome.failure.is_some() {
        show(&format!("{faults:?}"), &outcome, &setting);
    }
    assert_eq!(&seen(&outcome), without, "{faults:?}");
    outcome
}

/// Runs a campaign once for every request and every way in which it can fail.
fn one_fault<T: PartialEq + Debug + Sync>(script: &Script, seen: fn(&Outcome) -> T) {
    let (setting, without) = planned(script, &[]);
    if without.failure.is_some() {
        show("without faults", &without, &setting);
    }
    let expected = seen(&without);
    for_each(without.requests, |at| {
        for fault in FAULTS {
            check(script, &[(at, fault)], seen, &expected);
        }
    });
}

/// With one image a page, nothing depends on what comes together: the bytes are the same.
#[test]
fn one_fault_at_any_request_changes_no_byte_of_the_labels() {
    one_fault(&Script::full(1), lines);
}

/// With several, the last pages are let out when the round is sealed.
#[test]
fn one_fault_at_any_request_changes_no_vote() {
    one_fault(&Script::full(3), votes);
}

#[test]
fn two_crashes_at_any_requests_of_a_small_campaign_change_no_vote() {
    let script = Script::small();
    let (setting, without) = planned(&script, &[]);
    if without.failure.is_some() {
        show("without faults", &without, &setting);
    }
    let expected = votes(&without);
    for_each(without.requests, |first| {
        for fault in CRASHES {
            let first = (first, fault);
            let once = check(&script, &[first], votes, &expected);
            for second in first.0 + 1..once.requests {
                for fault in CRASHES {
                    check(&script, &[first, (second, fault)], votes, &expected);
                }
            }
        }
    });
}
