//! Random schedules: all of them must end well, and the same seed is the same schedule.

use std::thread;

use quorate_sim::choices::Choices;
use quorate_sim::run::{Setting, run};

use super::{for_each, show};

/// `quorate-sim` runs more of them, from the same first one on.
const SCHEDULES: u64 = 2000;

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_paid_twice() {
    for_each(SCHEDULES, |seed| {
        let setting = Setting::default();
        let outcome = run(Choices::seeded(seed), &setting);
        if outcome.failure.is_some() {
            show(&format!("SIM_SEED={seed}"), &outcome, &setting);
        }
    });
}

/// What a few schedules come to; each line names a seed and the digest of all that happened.
fn digests() -> Vec<String> {
    let digest = |seed| {
        let outcome = run(Choices::seeded(seed), &Setting::default());
        format!("{seed} {} {}", outcome.requests, outcome.digest)
    };
    (0..20).map(digest).collect()
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let once = digests();
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(digests)).collect();
    for again in threads {
        assert_eq!(again.join().unwrap(), once);
    }
    // The choices of a schedule are the schedule.
    let outcome = run(Choices::seeded(3), &Setting::default());
    let again = run(Choices::tape(outcome.tape.clone()), &Setting::default());
    assert_eq!(again, outcome);
    // Looking at it changes nothing.
    let traced = Setting {
        traced: true,
        ..Setting::default()
    };
    assert_eq!(run(Choices::seeded(3), &traced).digest, outcome.digest);
}

#[test]
fn another_process_has_the_same_schedules() {
    const MARK: &str = "digests: ";
    let line = format!("{MARK}{}", digests().join(", "));
    if std::env::args().any(|argument| argument == "--nocapture") {
        println!("{line}");
        return;
    }
    let name = "random::another_process_has_the_same_schedules";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.lines().find(|line| line.contains(MARK)),
        Some(line.as_str())
    );
}
