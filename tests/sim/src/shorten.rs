//! From a schedule that fails to a shorter one that fails: fewer choices, and more of them 0.

use crate::choices::Choices;
use crate::run::{Setting, run};

/// Runs that shortening may take.
const RUNS: usize = 400;

/// The shortest tape found that still fails, however it fails.
#[must_use]
pub fn shorten(mut tape: Vec<u32>, setting: &Setting) -> Vec<u32> {
    let mut runs = 0;
    let mut fails = |tape: &[u32]| {
        runs += 1;
        runs <= RUNS && run(Choices::tape(tape.to_vec()), setting).failure.is_some()
    };
    // What comes after the last choice that matters is 0 anyway.
    let mut length = tape.len();
    while length > 0 {
        let shorter = tape.len().saturating_sub(length);
        if fails(&tape[..shorter]) {
            tape.truncate(shorter);
        }
        length /= 2;
    }
    // Then stretches of it, from long ones to single choices: left out, or else without trouble.
    let mut length = tape.len().next_power_of_two() / 2;
    while length > 0 {
        let mut at = tape.len();
        while at > 0 {
            let from = at.saturating_sub(length);
            let range = from..at.min(tape.len());
            at = from;
            let mut calm = tape.clone();
            calm[range.clone()].fill(0);
            let mut without = tape.clone();
            without.drain(range);
            if fails(&without) {
                tape = without;
            } else if calm != tape && fails(&calm) {
                tape = calm;
            }
        }
        length /= 2;
    }
    tape
}
