//! Prints what aggregation costs: `cargo run --release -p quorate-aggregate --example speed [answers]`.
//!
//! One thread, synthetic answers, five a task. An iteration is one pass of expectation and maximisation; its cost is
//! the difference of a long and a short run, so it does not contain what is done once. The default mode makes two
//! climbs of the given iterations each, both of which are counted.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "timing and printing are what this example is for"
)]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use quorate_aggregate::{Answers, DawidSkene, Format, Mode, dawid_skene, majority_vote};

const OVERLAP: u64 = 5;
const SHORT: usize = 2;
const LONG: usize = 7;
/// The fastest of so many runs counts.
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let answers: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |count| count.parse())?;
    println!("{answers} answers; nanoseconds an answer");
    println!("labels workers |  read   majority | an iteration: default  crowd-kit");
    for (labels, workers) in [(2, 2_000), (4, 2_000), (10, 2_000), (100, 2_000)] {
        let text = synthetic(answers, workers, labels)?;
        let start = Instant::now();
        let read = Answers::read(text.as_slice(), Format::Csv)?;
        let reading = nanoseconds(start, answers);
        let start = Instant::now();
        std::hint::black_box(majority_vote(&read));
        let majority = nanoseconds(start, answers);
        let default = iteration(&read, Mode::Default, answers)? / 2.0;
        let crowd_kit = iteration(&read, Mode::CrowdKit, answers)?;
        println!(
            "{labels:6} {workers:7} | {reading:5.0} {majority:10.1} | {default:21.1} {crowd_kit:10.1}"
        );
    }
    Ok(())
}

/// A table of answers by workers of accuracy 0.5 to 0.95, from a `SplitMix64` generator.
fn synthetic(answers: u64, workers: u64, labels: u64) -> Result<Vec<u8>, std::io::Error> {
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let mut text = b"task,worker,label\n".to_vec();
    for answer in 0..answers {
        let task = answer / OVERLAP;
        let worker = random() % workers;
        let right = random() % 100 < 50 + worker % 46;
        let label = if right {
            task.wrapping_mul(0x9E37_79B9) % labels
        } else {
            random() % labels
        };
        writeln!(text, "image-{task},worker-{worker},label-{label}")?;
    }
    Ok(text)
}

/// What one more iteration costs.
fn iteration(answers: &Answers, mode: Mode, count: u64) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    let mut shortest = f64::INFINITY;
    for _ in 0..RUNS {
        shortest = shortest.min(run(answers, mode, SHORT, count)?);
        best = best.min(run(answers, mode, LONG, count)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let more = (LONG - SHORT) as f64;
    Ok((best - shortest) / more)
}

fn run(
    answers: &Answers,
    mode: Mode,
    iterations: usize,
    count: u64,
) -> Result<f64, Box<dyn Error>> {
    let settings = DawidSkene {
        iterations,
        tolerance: f64::NEG_INFINITY,
        mode,
        ..DawidSkene::default()
    };
    let start = Instant::now();
    std::hint::black_box(dawid_skene(answers, &settings)?);
    Ok(nanoseconds(start, count))
}

#[expect(clippy::cast_precision_loss, reason = "a figure to print")]
fn nanoseconds(start: Instant, answers: u64) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / answers as f64
}
