//! Runs schedules for as long as it is asked to, and tells of the first that fails.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_sim::choices::Choices;
use quorate_sim::run::{Setting, run};

fn main() {
    let seed: u64 = std::env::var("SIM_SEED")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    let traced = std::env::var("SIM_TRACE").is_ok();
    let setting = Setting {
        traced,
        ..Setting::default()
    };
    let outcome = run(Choices::seeded(seed), &setting);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!(
        "{:?} {} {}",
        outcome.failure, outcome.requests, outcome.digest
    );
    if traced {
        return;
    }
    let begin = Instant::now();
    let n: u64 = std::env::var("N")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(200);
    let mut failed = 0;
    let mut kinds = std::collections::BTreeMap::<String, (u32, u64)>::new();
    for seed in seed..seed + n {
        let outcome = run(Choices::seeded(seed), &Setting::default());
        if std::env::var("V").is_ok() {
            println!(
                "{seed} {} {:?} {:?}",
                outcome.requests,
                begin.elapsed(),
                outcome.failure
            );
        }
        if let Some(failure) = outcome.failure {
            failed += 1;
            let short: String = failure
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(60)
                .collect();
            let e = kinds.entry(short).or_insert((0, seed));
            e.0 += 1;
        }
    }
    for (k, v) in kinds {
        println!("{v:?} {k}");
    }
    println!(
        "{failed} failed, {:.1}/s",
        n as f64 / begin.elapsed().as_secs_f64()
    );
}
