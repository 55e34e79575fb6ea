//! Prints what an iteration of every iterative method costs:
//! `cargo run --release -p quorate-aggregate --example speed [answers]`.
//!
//! Synthetic answers, five a task, of 2 000 workers. The cost of an iteration is the difference of a long and a short
//! run, so it does not contain what is done once. Other work on the machine makes wall time longer, but hardly the
//! time that the processor spends, which Linux tells. Dawid-Skene's default mode runs the one-coin model first, whose
//! cost is taken off; the first three iterations of the safe default learn about the crowd, and are not measured.
//! GLAD climbs many steps an iteration: it gets a fiftieth of the answers, to be done in time.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "timing and printing are what this example is for"
)]

use std::error::Error;
use std::time::Instant;

use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, DawidSkene, Glad, HierarchicalDawidSkene, Kos, Mace,
    MethodError, Mode, OneCoinDawidSkene, dawid_skene, glad, hierarchical_dawid_skene, kos, mace,
    one_coin_dawid_skene,
};
use rayon::ThreadPool;

mod common;

use common::Crowd;

const OVERLAP: usize = 5;
const SHORT: usize = 4;
const LONG: usize = 7;
/// The fastest of so many runs counts.
const RUNS: usize = 2;
const GLAD_SHARE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1);
    let count = count.map_or(Ok(1_000_000), |count| count.parse())?;
    let pools = [pool(1)?, pool(2)?];
    println!("{count} answers; nanoseconds an answer and iteration");
    println!("                                     processor        wall time");
    println!("labels method                  threads:  1      2        1      2");
    for labels in [2, 4, 10, 100] {
        let answers = synthetic(count, labels)?;
        let few_answers = synthetic(count / GLAD_SHARE, labels)?;
        let mut coin = [Cost::default(); 2];
        for (name, run) in methods(labels) {
            let answers = if name == GLAD { &few_answers } else { &answers };
            let mut costs = [Cost::default(); 2];
            for (cost, pool) in costs.iter_mut().zip(&pools) {
                *cost = measure(pool, answers, run)?;
            }
            match name {
                COIN => coin = costs,
                COIN_FIRST => {
                    for (cost, coin) in costs.iter_mut().zip(coin) {
                        cost.processor -= coin.processor;
                        cost.wall -= coin.wall;
                    }
                }
                _ => {}
            }
            let [one, two] = costs;
            println!(
                "{labels:6} {name:30} {:6.1} {:6.1}   {:6.1} {:6.1}",
                one.processor, two.processor, one.wall, two.wall
            );
        }
    }
    Ok(())
}

fn pool(threads: usize) -> Result<ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()
}

fn synthetic(count: usize, labels: usize) -> Result<Answers, Box<dyn Error>> {
    let crowd = Crowd {
        tasks: count / OVERLAP,
        answers: OVERLAP,
        workers: 2_000,
        classes: labels,
        window: 1,
        ..Crowd::default()
    };
    let mut builder = AnswersBuilder::new();
    crowd.generate(
        |_, _| Ok(()),
        |(task, worker, label)| {
            let [task, worker, label] = [task, worker, label].map(|index| index.to_string());
            Ok(builder.push(&task, &worker, &label)?)
        },
    )?;
    Ok(builder.finish()?)
}

type Run = fn(&Answers, usize) -> Result<Aggregated, MethodError>;

const COIN: &str = "one coin";
const GLAD: &str = "GLAD";
const COIN_FIRST: &str = "Dawid-Skene";
/// No method stops before it made all iterations.
const NEVER: f64 = f64::NEG_INFINITY;

fn methods(labels: usize) -> Vec<(&'static str, Run)> {
    let mut methods: Vec<(&'static str, Run)> = vec![
        (COIN, |answers, iterations| {
            coin(answers, iterations, Mode::Default)
        }),
        ("one coin, crowd-kit's", |answers, iterations| {
            coin(answers, iterations, Mode::CrowdKit)
        }),
        (COIN_FIRST, |answers, iterations| {
            matrices(answers, iterations, Mode::Default)
        }),
        ("Dawid-Skene, crowd-kit's", |answers, iterations| {
            matrices(answers, iterations, Mode::CrowdKit)
        }),
        ("the safe default", |answers, iterations| {
            let settings = HierarchicalDawidSkene {
                iterations,
                tolerance: NEVER,
                ..HierarchicalDawidSkene::default()
            };
            hierarchical_dawid_skene(answers, &settings)
        }),
        ("MACE", |answers, iterations| {
            let settings = Mace {
                iterations,
                tolerance: NEVER,
                restarts: 0,
                ..Mace::default()
            };
            mace(answers, &settings)
        }),
        (GLAD, |answers, iterations| {
            let settings = Glad {
                iterations,
                tolerance: NEVER,
                ..Glad::default()
            };
            glad(answers, &settings)
        }),
    ];
    if labels == 2 {
        methods.push(("KOS", |answers, iterations| {
            let settings = Kos {
                iterations: Some(iterations),
                ..Kos::default()
            };
            kos(answers, &settings)
        }));
    }
    methods
}

fn coin(answers: &Answers, iterations: usize, mode: Mode) -> Result<Aggregated, MethodError> {
    let settings = OneCoinDawidSkene {
        iterations,
        tolerance: NEVER,
        mode,
        ..OneCoinDawidSkene::default()
    };
    one_coin_dawid_skene(answers, &settings)
}

fn matrices(answers: &Answers, iterations: usize, mode: Mode) -> Result<Aggregated, MethodError> {
    let settings = DawidSkene {
        iterations,
        tolerance: NEVER,
        mode,
        ..DawidSkene::default()
    };
    dawid_skene(answers, &settings)
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    processor: f64,
    wall: f64,
}

/// What one more iteration costs an answer.
fn measure(pool: &ThreadPool, answers: &Answers, run: Run) -> Result<Cost, Box<dyn Error>> {
    let longest = Cost {
        processor: f64::INFINITY,
        wall: f64::INFINITY,
    };
    let (mut short, mut long) = (longest, longest);
    for _ in 0..RUNS {
        for (iterations, fastest) in [(SHORT, &mut short), (LONG, &mut long)] {
            let (start, before) = (Instant::now(), processor_time()?);
            std::hint::black_box(pool.install(|| run(answers, iterations))?);
            fastest.processor = fastest.processor.min(processor_time()? - before);
            fastest.wall = fastest.wall.min(start.elapsed().as_secs_f64() * 1e9);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "figures to print")]
    let work = (answers.len() * (LONG - SHORT)) as f64;
    Ok(Cost {
        processor: (long.processor - short.processor) / work,
        wall: (long.wall - short.wall) / work,
    })
}

/// What the threads of this process have had of processors, in nanoseconds; 0 where there is no Linux to tell.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Ok(0.0);
    };
    let mut time = 0.0;
    for thread in threads {
        let of_thread = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let running = of_thread.split(' ').next().unwrap_or_default();
        time += running.parse::<f64>()?;
    }
    Ok(time)
}
