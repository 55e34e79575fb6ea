//! The disk of the state is full, the results cannot be written: a person is told, nothing is lost,
//! and work goes on by itself when the trouble is over.

use std::fs;
use std::path::Path;

use crate::chance::Chance;
use crate::disk::{Mount, limit_files, unimpressed};
use crate::process::Process;
use crate::stack::Stack;

/// How often the disk is full.
const FULL: usize = 3;

#[test]
fn a_full_disk_loses_nothing() {
    let stack = Stack::new();
    fs::create_dir(stack.path("state")).unwrap();
    let Some(disk) = Mount::small(&stack.path("state")) else {
        eprintln!("not tested: only root can mount a small disk");
        return;
    };
    disk.fill();
    let mut refused = stack.start();
    while refused.ended().is_none() {
        crate::process::look_again_later();
    }
    let (log, state) = (refused.last_words(), stack.path("state"));
    assert!(log.starts_with("error: cannot "), "{log}");
    assert!(log.contains(state.to_str().unwrap()), "{log}");
    disk.free();
    suffer(
        stack,
        |_, room| if room { disk.free() } else { disk.fill() },
    );
}

#[test]
fn files_that_may_not_grow_lose_nothing() {
    let stack = Stack::new();
    if !limit_files(&Process::start(&mut stack.up()), true) {
        eprintln!("not tested: this system cannot limit a process that runs");
        return;
    }
    suffer(stack, |process, room| {
        // One that was killed needs no room.
        let _changed = limit_files(process, room);
    });
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let mut stack = Stack::new();
    stack.drop_images(2);
    let mut process = Process::unheard(&mut stack.up());
    stack.wait_until_done(&mut process);
    process.kill();
    stack.check_done();
}

/// Runs a stack that has no room again and again.
fn suffer(mut stack: Stack, room: impl Fn(&Process, bool)) {
    let mut chance = Chance::new();
    let start = |stack: &Stack| Process::start(&mut unimpressed(&stack.up()));
    let mut process = start(&stack);
    for _ in 0..FULL {
        stack.drop_images(1 + chance.below(4));
        stack.wait_for(&mut process, chance.below(150));
        room(&process, false);
        let before = troubles(&process);
        stack.drop_images(1);
        stack.wait(&mut process, |_, process| troubles(process) > before);
        stack.check_so_far();
        if chance.below(3) == 0 {
            process.kill();
            room(&process, true);
            process = start(&stack);
        } else {
            room(&process, true);
        }
    }
    stack.wait_until_done(&mut process);
    process.kill();
    stack.check_done();
}

/// How often a process said that it cannot write.
fn troubles(process: &Process) -> usize {
    let log = process.log();
    [
        "disk is full",
        "No space left",
        "disk I/O error",
        "File too large",
    ]
    .iter()
    .map(|words| log.matches(words).count())
    .sum()
}

#[test]
fn results_wait_until_their_folder_can_be_written() {
    let stack = Stack::new();
    let results = stack.path("results");
    fs::create_dir(&results).unwrap();
    let Some(mount) = Mount::same(&results) else {
        eprintln!("not tested: only root can mount a folder read-only");
        return;
    };
    wait_for_results(stack, |_, writable| mount.writable(writable), &results);
}

#[test]
fn results_wait_until_nothing_is_in_their_way() {
    let stack = Stack::new();
    let campaign = stack.path("results/cells");
    let report = stack.path("results/cells/round=1/report.html");
    let toggle = |writable: bool| {
        if writable {
            fs::remove_dir(&report).unwrap();
        } else {
            // The files before this one can be written.
            fs::create_dir_all(&report).unwrap();
        }
    };
    wait_for_results(stack, |_, writable| toggle(writable), &campaign);
}

fn wait_for_results(mut stack: Stack, writable: impl Fn(&Stack, bool), place: &Path) {
    writable(&stack, false);
    stack.drop_images(1);
    let mut process = stack.start();
    stack.wait(&mut process, |stack, _| !stack.problems().is_empty());
    // Whoever starts it again is not told again.
    process.kill();
    let mut process = stack.start();
    let attempts = stack.count("round", "sum(attempts)").unwrap();
    stack.wait(&mut process, |stack, _| {
        stack.count("round", "sum(attempts)").unwrap() > attempts + 1
    });
    assert_eq!(
        stack.count("round WHERE state = 'CLOSED'", "count(*)"),
        Some(1)
    );
    assert!(stack.manifests().is_empty());
    let problems = stack.problems();
    let [problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert!(
        problem.contains("round cells/1 could not be aggregated"),
        "{problem}"
    );
    assert!(problem.contains(place.to_str().unwrap()), "{problem}");
    writable(&stack, true);
    stack.wait_until_done(&mut process);
    process.kill();
    stack.check_done();
    assert_eq!(stack.problems().len(), 1);
}
