//! Whole campaigns with every kind of trouble; see the crate's documentation.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, a panic is a failure"
)]

mod broken;
mod exhaustive;
mod logs;
mod random;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use quorate_sim::choices::Choices;
use quorate_sim::run::{Outcome, Setting, run};
use quorate_sim::shorten::shorten;

/// Does a job for every number below `end`, on all cores.
fn for_each(end: u64, job: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return;
            }
            job(number);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Panics with all that happened in a schedule that failed, made as short as can be.
fn show(what: &str, outcome: &Outcome, setting: &Setting) -> ! {
    let failure = outcome.failure.as_deref().unwrap_or_default();
    let traced = Setting {
        traced: true,
        ..setting.clone()
    };
    let short = run(
        Choices::tape(shorten(outcome.tape.clone(), setting)),
        &traced,
    );
    panic!(
        "{what}: {failure}\nthe shortest schedule found that fails: {}\n{}",
        short.failure.unwrap_or_default(),
        short.trace.join("\n")
    );
}
