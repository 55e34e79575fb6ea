//! Runs random schedules until its time is over, and shows the first one that fails.
//!
//! ```text
//! ./test sim [MINUTES]       from seed 0 on, for a minute if none is given
//! SIM_SEED=4711 ./test sim   one schedule, with all that happens in it
//! ```

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_sim::choices::Choices;
use quorate_sim::run::{Outcome, Setting, run};
use quorate_sim::shorten::shorten;

/// Between two lines that say how far it is.
const NEWS: Duration = Duration::from_secs(10);

#[expect(
    clippy::disallowed_methods,
    reason = "schedules have their own time and chance; only how long to go on is up to the user"
)]
fn main() -> ExitCode {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        return match seed.parse() {
            Ok(seed) => replay(seed),
            Err(_) => usage(&format!("SIM_SEED={seed} is no number")),
        };
    }
    let minutes = std::env::args().nth(1).map_or(Ok(1.0), |it| it.parse());
    let Ok(Ok(time)) = minutes.map(|minutes: f64| Duration::try_from_secs_f64(minutes * 60.0))
    else {
        return usage("how many minutes?");
    };
    let begin = Instant::now();
    let found = search(|| begin.elapsed() < time, begin);
    match found {
        Some(seed) => replay(seed),
        None => ExitCode::SUCCESS,
    }
}

fn usage(wrong: &str) -> ExitCode {
    println!("{wrong}\nusage: ./test sim [MINUTES], or SIM_SEED=<number> ./test sim");
    ExitCode::from(2)
}

/// Runs schedules on all cores; the smallest seed that failed.
#[expect(
    clippy::disallowed_methods,
    reason = "news come by the time of the reader"
)]
fn search(go_on: impl Fn() -> bool + Sync, begin: Instant) -> Option<u64> {
    let (next, requests, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let found: Mutex<Option<u64>> = Mutex::new(None);
    let told = Mutex::new(begin);
    let work = || {
        while go_on() && !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let outcome = run(Choices::seeded(seed), &Setting::default());
            requests.fetch_add(outcome.requests, Ordering::Relaxed);
            if outcome.failure.is_some() {
                failed.store(true, Ordering::Relaxed);
                let mut found = lock(&found);
                *found = Some(found.map_or(seed, |before| before.min(seed)));
            }
            let mut told = lock(&told);
            if told.elapsed() >= NEWS {
                *told = Instant::now();
                news(seed, begin.elapsed());
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let schedules = next.load(Ordering::Relaxed);
    news(schedules, begin.elapsed());
    println!("{} requests", requests.load(Ordering::Relaxed));
    *lock(&found)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn news(schedules: u64, time: Duration) {
    let rate = schedules as f64 / time.as_secs_f64();
    println!(
        "{schedules} schedules in {:.0} s, {rate:.0} a second",
        time.as_secs_f64()
    );
}

/// Runs one schedule again; if it fails, tells the shortest one found that fails like it.
fn replay(seed: u64) -> ExitCode {
    let setting = Setting {
        traced: true,
        ..Setting::default()
    };
    let outcome = run(Choices::seeded(seed), &setting);
    let Some(failure) = &outcome.failure else {
        show(&outcome);
        println!("seed {seed}: as it should be; digest {}", outcome.digest);
        return ExitCode::SUCCESS;
    };
    println!(
        "seed {seed} fails after {} requests: {failure}",
        outcome.requests
    );
    println!("looking for a shorter schedule …");
    let short = run(
        Choices::tape(shorten(outcome.tape, &Setting::default())),
        &setting,
    );
    show(&short);
    println!(
        "{} requests; {}",
        short.requests,
        short.failure.unwrap_or_default()
    );
    println!("again: SIM_SEED={seed} ./test sim");
    ExitCode::FAILURE
}

fn show(outcome: &Outcome) {
    for line in &outcome.trace {
        println!("{line}");
    }
}
