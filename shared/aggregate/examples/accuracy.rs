//! How right each method is on crowds whose truth is known, and whether its probabilities can be believed:
//! `cargo run --release -p quorate-aggregate --example accuracy -- [seeds=5] [only=METHOD,…] [DIR…]`.
//!
//! Every folder has `answers.tsv` or `answers.tsv.gz` (task, worker, label) and `gt.tsv` (task, label); without any, it is the crowds of
//! this crate's tests. A table is printed for all answers and for at most 1, 2 and 3 random answers a task, each
//! without and with a random fifth of the truth given as gold; accuracy and expected calibration error (15 bins) are
//! of the tasks that are not gold. What is random is drawn for every seed, and is the same for all methods.
#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, AnswersError, Format, Gold, Method, MethodError, Mode,
    Setting, Settings, aggregate, majority_vote,
};
use rand::seq::SliceRandom as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

/// What is compared; the majority vote is what all are measured against. Gold majority vote needs gold, and KOS two
/// labels: they are left out.
fn methods() -> impl Iterator<Item = (String, Method, Mode)> {
    let left_out = [Method::GoldMajorityVote, Method::Kos];
    let ours = Method::ALL
        .into_iter()
        .filter(move |method| !left_out.contains(method));
    let flawed = [Method::DawidSkene, Method::OneCoinDawidSkene, Method::Mace];
    let theirs = flawed.map(|method| (format!("{method}, as crowd-kit"), method, Mode::CrowdKit));
    ours.map(|method| (method.to_string(), method, Mode::Default))
        .chain(theirs)
}

fn run(
    answers: &Answers,
    gold: &Gold,
    method: Method,
    mode: Mode,
) -> Result<Aggregated, MethodError> {
    let uses_gold = method.uses(Setting::Gold, mode);
    let settings = Settings {
        mode,
        gold: if uses_gold { gold.clone() } else { Gold::new() },
        ..Settings::default()
    };
    aggregate(answers, method, &settings)
}

/// One task in so many is gold.
const GOLD_EVERY: usize = 5;
const BINS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seeds, mut only, mut folders) = (5, None, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("seeds", count)) => seeds = count.parse()?,
            Some(("only", names)) => only = Some(names.to_owned()),
            _ => folders.push(PathBuf::from(argument)),
        }
    }
    if folders.is_empty() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for entry in data.read_dir()? {
            folders.push(entry?.path());
        }
        folders.retain(|folder| folder.join("gt.tsv").exists());
        folders.sort_unstable();
    }
    let crowds = folders
        .iter()
        .map(|folder| Crowd::read(folder).map_err(|error| format!("{}: {error}", folder.display())))
        .collect::<Result<Vec<_>, _>>()?;
    let chosen = |name: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|one| one == name))
    };
    let mut methods: Vec<_> = methods()
        .filter(|(name, ..)| chosen(name))
        .map(|method| (method, Vec::new()))
        .collect();

    for kept in [None, Some(1), Some(2), Some(3)] {
        for with_gold in [false, true] {
            let random = kept.is_some() || with_gold;
            let seeds = if random { seeds } else { 1 };
            let trials = crowds
                .iter()
                .map(|crowd| {
                    (0..seeds)
                        .map(|seed| crowd.trial(kept, with_gold, seed))
                        .collect()
                })
                .collect::<Result<Vec<Vec<_>>, _>>()?;
            print_head(kept, with_gold, seeds, &crowds);
            for ((name, method, mode), overall) in &mut methods {
                let results: Vec<_> = trials
                    .iter()
                    .map(|trials| measure(trials, *method, *mode))
                    .collect();
                print_row(name, &crowds, &results);
                overall.extend(results.into_iter().flatten());
            }
        }
    }
    println!("\nAll tables above\n");
    println!("| method | accuracy | ECE | against majority, worst set | worst run |");
    println!("|---|---|---|---|---|");
    for ((name, ..), overall) in &methods {
        println!(
            "| {name} | {:.4} | {:.3} | {:+.4} | {:+.4} |",
            mean(overall, |result| result.accuracy),
            mean(overall, |result| result.calibration_error),
            least(overall, |result| result.gain),
            least(overall, |result| result.least_gain),
        );
    }
    Ok(())
}

/// Answers and truth as they were published.
struct Crowd {
    name: String,
    answers: Answers,
    /// Of answered tasks only.
    truth: Gold,
}

/// What a method is given, and what it is scored on.
struct Trial {
    answers: Answers,
    gold: Gold,
    scored: Gold,
    /// The accuracy of the majority vote.
    majority: f64,
}

impl Crowd {
    fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let plain = folder.join("answers.tsv");
        let answers = if plain.exists() {
            Answers::read(File::open(plain)?, Format::Tsv)?
        } else {
            let packed = File::open(folder.join("answers.tsv.gz"))?;
            Answers::read(GzDecoder::new(packed), Format::Tsv)?
        };
        let mut truth: Gold = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            .from_path(folder.join("gt.tsv"))?
            .deserialize()
            .collect::<Result<_, _>>()?;
        let answered: BTreeSet<&str> = answers.tasks().iter().collect();
        truth.retain(|task, _| answered.contains(task.as_str()));
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            answers,
            truth,
        })
    }

    /// Keeps at most so many answers a task, and makes gold of a part of the truth.
    fn trial(
        &self,
        kept: Option<usize>,
        with_gold: bool,
        seed: u64,
    ) -> Result<Trial, AnswersError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let answers = match kept {
            None => self.answers.clone(),
            Some(kept) => self.thinned(kept, &mut random)?,
        };
        let mut truth: Vec<_> = self.truth.clone().into_iter().collect();
        truth.shuffle(&mut random);
        let gold = if with_gold {
            truth.len() / GOLD_EVERY
        } else {
            0
        };
        let scored: Gold = truth.split_off(gold).into_iter().collect();
        Ok(Trial {
            majority: accuracy(&majority_vote(&answers), &scored),
            gold: truth.into_iter().collect(),
            answers,
            scored,
        })
    }

    /// At most so many answers a task. A label that is gone still exists, as its absence would be a hint.
    fn thinned(&self, kept: usize, random: &mut ChaCha8Rng) -> Result<Answers, AnswersError> {
        let all = &self.answers;
        let mut builder = AnswersBuilder::with_labels(all.labels())?;
        for (index, task) in all.tasks().iter().enumerate() {
            let mut own: Vec<_> = all.of_task(index).collect();
            own.shuffle(random);
            for (worker, label) in own.into_iter().take(kept) {
                if let (Some(worker), Some(label)) =
                    (all.workers().get(worker), all.labels().get(label))
                {
                    builder.push(task, worker, label)?;
                }
            }
        }
        builder.finish()
    }
}

/// A method on one crowd, over all seeds.
struct Measured {
    accuracy: f64,
    calibration_error: f64,
    /// Accuracy less that of the majority vote on the same tasks.
    gain: f64,
    /// The same of the worst seed.
    least_gain: f64,
}

fn measure(trials: &[Trial], method: Method, mode: Mode) -> Result<Measured, MethodError> {
    let runs = trials
        .iter()
        .map(|trial| {
            let found = run(&trial.answers, &trial.gold, method, mode)?;
            let accuracy = accuracy(&found, &trial.scored);
            Ok((
                accuracy,
                calibration_error(&found, &trial.scored),
                accuracy - trial.majority,
            ))
        })
        .collect::<Result<Vec<_>, MethodError>>()?;
    Ok(Measured {
        accuracy: mean(&runs, |run| run.0),
        calibration_error: mean(&runs, |run| run.1),
        gain: mean(&runs, |run| run.2),
        least_gain: least(&runs, |run| run.2),
    })
}

fn accuracy(found: &Aggregated, scored: &Gold) -> f64 {
    found.accuracy(scored).unwrap_or_default()
}

/// By how much, on average over tasks, confidence differs from accuracy among tasks of about the same confidence:
/// the expected calibration error of Naeini, Cooper, Hauskrecht (2015), with bins of equal width.
fn calibration_error(found: &Aggregated, scored: &Gold) -> f64 {
    // The sum of right − confidence of every bin.
    let mut bins = [0.0_f64; BINS];
    for (task, label, confidence) in found.decisions() {
        let Some(truth) = scored.get(task) else {
            continue;
        };
        // A bin contains its lower bound; the last one both.
        let bin = (1..BINS)
            .find(|&upper| confidence < ratio(upper, BINS))
            .unwrap_or(BINS);
        if let Some(sum) = bins.get_mut(bin - 1) {
            *sum += f64::from(u8::from(label == truth)) - confidence;
        }
    }
    bins.iter().map(|sum| sum.abs()).sum::<f64>() / ratio(scored.len(), 1)
}

fn mean<T>(values: &[T], value: impl Fn(&T) -> f64) -> f64 {
    values.iter().map(value).sum::<f64>() / ratio(values.len(), 1)
}

fn least<T>(values: &[T], value: impl Fn(&T) -> f64) -> f64 {
    values.iter().map(value).fold(f64::INFINITY, f64::min)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn print_head(kept: Option<usize>, with_gold: bool, seeds: u64, crowds: &[Crowd]) {
    let kept = match kept {
        None => "All answers".to_owned(),
        Some(1) => "1 answer a task".to_owned(),
        Some(kept) => format!("At most {kept} answers a task"),
    };
    let gold = if with_gold { ", 20 % gold" } else { "" };
    let runs = if seeds > 1 {
        format!(", mean of {seeds} seeds")
    } else {
        String::new()
    };
    println!("\n{kept}{gold}{runs}: accuracy, ECE\n");
    print!("| method |");
    for crowd in crowds {
        print!(" {} |", crowd.name);
    }
    println!(" mean | against majority, worst set | worst run |");
    println!("|{}", "---|".repeat(crowds.len() + 4));
}

fn print_row(name: &str, crowds: &[Crowd], results: &[Result<Measured, MethodError>]) {
    print!("| {name} |");
    for (crowd, result) in crowds.iter().zip(results) {
        match result {
            Ok(found) => print!(" {:.4} {:.3} |", found.accuracy, found.calibration_error),
            Err(error) => {
                eprintln!("{name} on {}: {error}", crowd.name);
                print!(" – |");
            }
        }
    }
    let found: Vec<_> = results.iter().flatten().collect();
    if found.is_empty() {
        println!(" – | – | – |");
        return;
    }
    println!(
        " {:.4} {:.3} | {:+.4} | {:+.4} |",
        mean(&found, |found| found.accuracy),
        mean(&found, |found| found.calibration_error),
        least(&found, |found| found.gain),
        least(&found, |found| found.least_gain),
    );
}
