//! Prints what expectation-maximisation costs:
//! `cargo run --release -p quorate-aggregate --example speed [answers] [threads]`.
//!
//! Synthetic answers, five a task, of 2 000 workers. An iteration is one pass of expectation and maximisation; its cost
//! is the difference of a long and a short run, so it does not contain what is done once. Dawid-Skene's default mode
//! runs the one-coin model first, whose cost is taken off.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "timing and printing are what this example is for"
)]

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use quorate_aggregate::{
    Answers, DawidSkene, Format, Mode, OneCoinDawidSkene, dawid_skene, majority_vote,
    one_coin_dawid_skene,
};

const OVERLAP: u64 = 5;
const WORKERS: u64 = 2_000;
const SHORT: usize = 2;
const LONG: usize = 7;
/// The fastest of so many runs counts.
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let answers = arguments
        .next()
        .map_or(Ok(1_000_000), |count| count.parse())?;
    let threads = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    println!("{answers} answers, {threads} threads; nanoseconds an answer");
    println!("       once:        | an iteration of one coin: | of Dawid-Skene:");
    println!("labels read majority |     default     crowd-kit |  default crowd-kit");
    for labels in [2, 4, 10, 100] {
        let text = synthetic(answers, labels)?;
        let start = Instant::now();
        let read = Answers::read(text.as_slice(), Format::Csv)?;
        let reading = nanoseconds(start, answers);
        let start = Instant::now();
        std::hint::black_box(majority_vote(&read));
        let majority = nanoseconds(start, answers);
        let [coin, crowd_kit_coin] = [Mode::Default, Mode::CrowdKit].map(|mode| {
            iteration(answers, |iterations| {
                let settings = OneCoinDawidSkene {
                    iterations,
                    tolerance: f64::NEG_INFINITY,
                    mode,
                    ..OneCoinDawidSkene::default()
                };
                pool.install(|| one_coin_dawid_skene(&read, &settings))
            })
        });
        let [both, crowd_kit] = [Mode::Default, Mode::CrowdKit].map(|mode| {
            iteration(answers, |iterations| {
                let settings = DawidSkene {
                    iterations,
                    tolerance: f64::NEG_INFINITY,
                    mode,
                    ..DawidSkene::default()
                };
                pool.install(|| dawid_skene(&read, &settings))
            })
        });
        let coin = coin?;
        println!(
            "{labels:6} {reading:4.0} {majority:8.1} | {coin:11.1} {:13.1} | {:8.1} {:9.1}",
            crowd_kit_coin?,
            both? - coin,
            crowd_kit?
        );
    }
    Ok(())
}

/// A table of answers by workers of accuracy 0.5 to 0.95, from a `SplitMix64` generator.
fn synthetic(answers: u64, labels: u64) -> Result<Vec<u8>, std::io::Error> {
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
        let worker = random() % WORKERS;
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

/// What one more iteration costs: nanoseconds an answer.
fn iteration<Found, Problem>(
    answers: u64,
    run: impl Fn(usize) -> Result<Found, Problem>,
) -> Result<f64, Problem> {
    let (mut short, mut long) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        for (iterations, fastest) in [(SHORT, &mut short), (LONG, &mut long)] {
            let start = Instant::now();
            std::hint::black_box(run(iterations)?);
            *fastest = fastest.min(nanoseconds(start, answers));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let more = (LONG - SHORT) as f64;
    Ok((long - short) / more)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to print")]
fn nanoseconds(start: Instant, answers: u64) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / answers as f64
}
