//! `quorate up` dies, stands still and is started twice, again and again, while images come in and a
//! crowd works.

use std::fs;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::process::{Process, look_again_later};
use crate::stack::{Stack, TIME_SCALE};

const ROUNDS: usize = 20;
/// Platform time for which others leave a batch to who claimed it, and a little more.
const DISPATCH_LEASE: Duration = Duration::from_secs(75);
/// The same for a round that is aggregated.
const AGGREGATE_LEASE: Duration = Duration::from_secs(16 * 60);

#[test]
fn twenty_rounds_end_well_whatever_happens_to_the_process() {
    let mut chance = Chance::new();
    let mut stack = Stack::new();
    fs::create_dir(stack.path("state")).unwrap();
    fs::write(stack.path("state/.quorate-killed"), "half a file").unwrap();
    let mut process = stack.start();
    for _ in 0..3 {
        // The very first start, up to where it serves.
        for _ in 0..chance.below(40) {
            look_again_later();
        }
        process = killed(&mut stack, &mut process, &mut chance);
    }
    while stack.rounds() < ROUNDS {
        // Some images come while it is down or stands still, some while it runs.
        let size = if chance.below(5) == 0 { 9 } else { 3 };
        stack.drop_images(1 + chance.below(size));
        stack.wait_for(&mut process, chance.below(60));
        suffer(&mut stack, &mut process, &mut chance);
        stack.check_so_far();
        // Some images come after the seal, some right at it.
        if chance.below(4) > 0 {
            stack.wait_until_sealed(&mut process);
        }
    }
    stack.wait_until_done(&mut process);
    process.kill();
    stack.check_done();
    assert_eq!(stack.problems(), [""; 0]);
}

fn suffer(stack: &mut Stack, process: &mut Process, chance: &mut Chance) {
    match chance.below(8) {
        0 => *process = killed(stack, process, chance),
        1 => {
            // Hardly up, it dies again.
            *process = killed(stack, process, chance);
            stack.wait_for(process, chance.below(3));
            *process = killed(stack, process, chance);
        }
        2 => {
            process.stop();
            platform_time_passes(DISPATCH_LEASE);
            process.go_on();
        }
        3 => {
            process.stop();
            stack.drop_images(chance.below(3));
            platform_time_passes(AGGREGATE_LEASE);
            process.go_on();
        }
        4 => {
            process.stop();
            platform_time_passes(DISPATCH_LEASE);
            *process = killed(stack, process, chance);
        }
        5 => assert_refused(stack, &mut stack.start()),
        6 => {
            // One that stands still still has the folder.
            process.stop();
            assert_refused(stack, &mut stack.start());
            process.go_on();
        }
        _ => {
            process.kill();
            *process = the_first_of_two(stack);
        }
    }
}

/// Kills the process; images come; the next one.
fn killed(stack: &mut Stack, process: &mut Process, chance: &mut Chance) -> Process {
    process.kill();
    stack.drop_images(chance.below(2));
    stack.start()
}

/// Starts two at once: one runs, the other is told to go.
fn the_first_of_two(stack: &Stack) -> Process {
    let (mut one, mut other) = (stack.start(), stack.start());
    loop {
        if one.ended().is_some() {
            assert_refused(stack, &mut one);
            return other;
        }
        if other.ended().is_some() {
            assert_refused(stack, &mut other);
            return one;
        }
        look_again_later();
    }
}

/// Waits for the end of a process that finds the folder taken.
fn assert_refused(stack: &Stack, process: &mut Process) {
    let status = loop {
        if let Some(status) = process.ended() {
            break status;
        }
        look_again_later();
    };
    let state = stack.path("state");
    let reason = format!("error: another quorate runs on {}", state.display());
    let log = process.last_words();
    assert!(
        status.code() == Some(1) && log.starts_with(&reason),
        "{log}"
    );
}

/// Waits while a process stands still: nothing but the clock tells for how long.
fn platform_time_passes(time: Duration) {
    let since = Instant::now();
    while since.elapsed() * TIME_SCALE < time {
        look_again_later();
    }
}
