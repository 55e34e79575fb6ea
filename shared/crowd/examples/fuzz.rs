//! Requests to the platform by libFuzzer: `./test fuzz` at the root builds and runs it.
//!
//! Built as usual it sends what the files say that it is given, and shows it.

#![cfg_attr(fuzzing, no_main)]
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the tests' own modules, which may panic like tests and of which only a part is used"
)]

#[path = "../tests/it/fuzz.rs"]
mod fuzz;
#[path = "../tests/it/raw.rs"]
mod raw;
#[path = "../tests/it/world.rs"]
mod world;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::requests(input));

#[cfg(not(fuzzing))]
fn main() {
    for file in std::env::args().skip(1) {
        fuzz::requests(&std::fs::read(file).unwrap());
    }
}
