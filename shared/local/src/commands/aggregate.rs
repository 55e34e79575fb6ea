//! `quorate aggregate`: labels from a file of answers, offline.

mod document;
mod input;
mod wait;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use quorate_aggregate::{
    Aggregated, Answers, Format, Gold, InvalidRows, LabelSets, Method, MethodError, Mode,
    MultiLabel, ReadReport, Separator, Setting, Settings, StopReason, aggregate, binary_relevance,
};
use serde::Serialize;

use self::document::{Document, Found, FoundSets, Measures, Run, Seconds};
use self::input::{is_parquet, read_answers, read_known};
use self::wait::Wait;
use super::{count, print, say, write_whole};

/// The arguments of `quorate aggregate`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Labels from an answers file, offline",
    long_about = "Turns answers into labels: who answered what to which task, in; one label a task with its confidence, \
        out. The same answers give the same bytes, in whatever order they come, on any number of threads.\n\n\
        ANSWERS is a table with the columns task, worker, label (.csv, .tsv), JSON lines with these members \
        (.jsonl), a Parquet file with these columns (.parquet; needs a quorate that was built for it), or the \
        assignments file of a Toloka pool (.tsv), whose control tasks are left out; `-` is stdin. What the name does \
        not tell, the first line does.\n\n\
        Which method? Without --method, one that can be used blindly: it learns how each worker errs and leans on \
        the votes where answers are few, makes use of known labels (--gold), is the only one that calibrates its \
        confidences on them, and warns when it differs much from the majority. `majority-vote` explains itself to \
        anybody. `dawid-skene` is for many answers of each worker, `one-coin-dawid-skene` for fewer of them or very \
        many labels, `mace` against spammers; `glad` tells which tasks are difficult. `--mode crowd-kit` follows the \
        rules of the Python library crowd-kit.",
    after_help = "Examples:\n  \
        quorate aggregate answers.csv > labels.tsv\n  \
        quorate aggregate assignments.tsv --gold golden.tsv --output labels.csv --workers workers.csv\n  \
        quorate aggregate --method dawid-skene --mode crowd-kit answers.csv --probabilities probas.tsv\n  \
        quorate aggregate --method mace answers.csv --truth truth.csv --output labels.tsv\n  \
        quorate aggregate --multi-label ',' tags.tsv\n  \
        zcat answers.jsonl.gz | quorate aggregate --method majority-vote --json -"
)]
pub struct Args {
    /// The answers; `-` is stdin
    #[arg(value_name = "ANSWERS")]
    answers: PathBuf,
    /// How answers become labels
    #[arg(long, value_name = "METHOD", value_parser = methods(), default_value_t = Method::default())]
    method: Method,
    /// Whose rules to follow
    #[arg(long, value_enum, default_value_t = Rules::Default)]
    mode: Rules,
    /// At most so many iterations; each method has its own default
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Stop when an iteration gains less than this (log-likelihood an answer); each method has its own default
    #[arg(long, value_name = "T")]
    tolerance: Option<f64>,
    /// Known labels, a table with the columns task and label: they teach how workers err
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// The seed of random starts [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u32>,
    /// How many threads compute; 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Each answer is a set of labels with this character between them, or a JSON array: decide on each label apart
    #[arg(
        long,
        value_name = "SEPARATOR",
        conflicts_with_all = ["gold", "truth", "workers", "tasks", "confusion"]
    )]
    multi_label: Option<char>,
    /// Known labels to compare with, a table with the columns task and label: nothing is learned from them
    ///
    /// Tells accuracy, calibration, and how much answers agree. Tasks that are in --gold do not count.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Where the table task, label, confidence goes: .csv or .tsv; `-` is stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Also write a table of every label's probability for each task
    #[arg(long, value_name = "FILE")]
    probabilities: Option<PathBuf>,
    /// Also write a table worker, answers, skill, and what else the method knows of workers
    #[arg(long, value_name = "FILE")]
    workers: Option<PathBuf>,
    /// Also write a table task, label, confidence, and what else the method knows of tasks: the majority vote beside
    /// it (the default method), easiness (glad)
    #[arg(long, value_name = "FILE")]
    tasks: Option<PathBuf>,
    /// Also write a table worker, truth, answer, probability, deviation: how each worker errs
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
    /// Leave rows out that are no answers, instead of stopping at the first
    #[arg(long)]
    skip_invalid: bool,
    /// Print one JSON document instead of the table: what was read, how it went, and the labels
    #[arg(long)]
    json: bool,
}

/// The methods by name.
fn methods() -> impl TypedValueParser<Value = Method> {
    let values =
        Method::ALL.map(|method| PossibleValue::new(method.name()).help(method.description()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Method>())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rules {
    /// As the method's paper means it, and safe for small crowds
    Default,
    /// The same numbers as crowd-kit, its flaws included; not for `hierarchical-dawid-skene` and `mmsr`
    CrowdKit,
}

impl Rules {
    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::CrowdKit => "crowd-kit",
        }
    }
}

impl From<Rules> for Mode {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules::Default => Self::Default,
            Rules::CrowdKit => Self::CrowdKit,
        }
    }
}

/// Runs `quorate aggregate`.
///
/// # Errors
/// If options do not suit the method, the answers cannot be read, a row is none, or a table cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    // Checked first: a typo should not cost the computation.
    for path in [
        Some(&args.output),
        args.probabilities.as_ref(),
        args.workers.as_ref(),
        args.tasks.as_ref(),
        args.confusion.as_ref(),
    ] {
        path.map(|path| separator_of(path)).transpose()?;
    }
    ensure!(
        args.confusion.is_none() || args.method.finds_confusion(),
        "{} does not find how each worker errs: leave --confusion out, or choose one of the methods that do, such as \
         dawid-skene",
        args.method
    );
    let known = |path: &Option<PathBuf>| path.as_deref().map(read_known).transpose();
    let wait = Wait::new();
    let settings = Settings {
        mode: args.mode.into(),
        iterations: args.iterations,
        tolerance: args.tolerance,
        gold: known(&args.gold)?.unwrap_or_default(),
        seed: args.seed,
        progress: wait.for_iterations(),
    };
    settings
        .check(args.method)
        .map_err(|error| explain(args.method, error))?;
    let mut truth = known(&args.truth)?;
    if let Some(truth) = &mut truth {
        truth.retain(|task, _| !settings.gold.contains_key(task));
    }
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build()
        .context("cannot start threads")?;
    threads.install(|| make_labels(args, &settings, truth.as_ref(), &wait))
}

/// From the answers to everything that is written.
fn make_labels(
    args: &Args,
    settings: &Settings,
    truth: Option<&Gold>,
    wait: &Wait,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let invalid = if args.skip_invalid {
        InvalidRows::Skip
    } else {
        InvalidRows::Reject
    };
    let (answers, report) = read_answers(&args.answers, invalid, &settings.gold, wait)?;
    let read = Instant::now();
    let run = Run {
        method: args.method.name(),
        mode: args.mode.name(),
        tasks: answers.tasks().len(),
        workers: answers.workers().len(),
        answers: report.answers,
        golden: report.golden,
        skipped: report.skipped,
    };
    if let Some(separator) = args.multi_label {
        let sets = LabelSets::parse(answers, separator)?;
        let found = binary_relevance(&sets, |answers| aggregate(answers, args.method, settings))
            .map_err(|error| explain(args.method, error))?;
        let aggregated = Instant::now();
        wait.end();
        tell_skipped(&report);
        write_sets(args, &found)?;
        if args.json {
            let seconds = seconds(begun, read, aggregated);
            let found = FoundSets::new(&found);
            print_json(&Document {
                run,
                seconds,
                found,
            })?;
        }
        return Ok(());
    }
    let found =
        aggregate(&answers, args.method, settings).map_err(|error| explain(args.method, error))?;
    let aggregated = Instant::now();
    wait.end();
    tell_skipped(&report);
    tell_gold(&answers, &settings.gold);
    tell_outcome(args, settings, &found);
    write_tables(args, &found)?;
    let seconds = seconds(begun, read, aggregated);
    if args.json || truth.is_some() {
        let measures = Measures::new(&answers, &found, truth.unwrap_or(&Gold::new()))?;
        if truth.is_some() {
            tell_measures(&measures);
        }
        if args.json {
            let found = Found::new(&found, &measures);
            print_json(&Document {
                run,
                seconds,
                found,
            })?;
        }
    }
    Ok(())
}

/// The seconds until each instant, and from the last one until now.
fn seconds(begun: Instant, read: Instant, aggregated: Instant) -> Seconds {
    Seconds {
        read: (read - begun).as_secs_f64(),
        aggregate: (aggregated - read).as_secs_f64(),
        write: aggregated.elapsed().as_secs_f64(),
    }
}

/// Why a method cannot run, and what to do.
fn explain(method: Method, error: MethodError) -> anyhow::Error {
    let hint = match &error {
        MethodError::NoSuchMode { .. } => ": leave --mode out, or choose another --method",
        MethodError::Unused { setting, .. } => match setting {
            Setting::Iterations => ": leave --iterations out, or choose another --method",
            Setting::Tolerance => ": leave --tolerance out, or choose another --method",
            Setting::Gold => ": leave --gold out, or choose another --method",
            Setting::Seed => ": leave --seed out, or choose another --method",
        },
        MethodError::NeedsGold { .. } => ": give a table task, label of them with --gold",
        MethodError::NotBinary { .. } => ": choose another --method",
        MethodError::MissingSkill { .. } => {
            ": without --mode crowd-kit, who met no known label is believed to be right in 2 of 3 answers"
        }
        _ => "",
    };
    anyhow::Error::new(error).context(format!("cannot aggregate by {method}{hint}"))
}

fn tell_skipped(report: &ReadReport) {
    if report.golden > 0 {
        say(format_args!(
            "note: {} of control tasks left out",
            count(report.golden, "row")
        ));
    }
    for row in &report.first_skipped {
        say(format_args!("skipped: {row}"));
    }
    let shown = report.first_skipped.len() as u64;
    if report.skipped > shown {
        let more = count(report.skipped - shown, "row");
        say(format_args!("skipped: {more} more"));
    }
}

/// Known labels that look as if they were of other answers.
fn tell_gold(answers: &Answers, gold: &Gold) {
    if gold.is_empty() {
        return;
    }
    if !answers.tasks().iter().any(|task| gold.contains_key(task)) {
        say("warning: no task with a known label was answered: are they named as in the answers?");
        return;
    }
    let mut given = vec![false; answers.labels().len()];
    for task in 0..answers.tasks().len() {
        for (_, label) in answers.of_task(task) {
            if let Some(given) = given.get_mut(label) {
                *given = true;
            }
        }
    }
    let given: BTreeSet<&str> = answers
        .labels()
        .iter()
        .zip(&given)
        .filter_map(|(label, &given)| given.then_some(label))
        .collect();
    let other: BTreeSet<&str> = gold.values().map(String::as_str).collect();
    for label in other.difference(&given).take(5) {
        say(format_args!(
            "warning: nobody answered the known label {label:?}: is it spelled as in the answers?"
        ));
    }
}

/// What to know of labels beside them.
fn tell_outcome(args: &Args, settings: &Settings, found: &Aggregated) {
    let stops = args.method.uses(Setting::Tolerance, settings.mode);
    if stops && found.stop_reason() == StopReason::IterationLimit && args.iterations != Some(0) {
        let iterations = count(found.iterations() as u64, "iteration");
        say(format_args!(
            "note: not converged after {iterations}; --iterations allows more"
        ));
    }
    if args.method == Method::HierarchicalDawidSkene {
        match found.calibration() {
            Some(calibration) => say(format_args!(
                "note: confidences are calibrated on {} known labels: {:.3} on average, not {:.3}",
                calibration.known, calibration.after, calibration.before
            )),
            None if settings.gold.is_empty() => say(
                "note: confidences are the model's own; known labels (--gold) would calibrate them",
            ),
            None => say(
                "note: confidences are the model's own: known labels are too few, or do not ask for others",
            ),
        }
    }
    for warning in found.warnings() {
        say(format_args!("warning: {warning}"));
    }
}

fn tell_measures(measures: &Measures) {
    let shown =
        |measure: Option<f64>| measure.map_or("unknown".to_owned(), |value| format!("{value:.4}"));
    say(format_args!(
        "note: accuracy {}, expected calibration error {}, on {} with known labels",
        shown(measures.accuracy),
        shown(measures.expected_calibration_error),
        count(measures.compared as u64, "task")
    ));
    say(format_args!(
        "note: Krippendorff's alpha {}, mean uncertainty of answers {:.4} nats",
        shown(measures.alpha_krippendorff),
        measures.mean_uncertainty
    ));
}

/// Writes a table by its name.
fn write_table(
    path: &Path,
    table: impl FnOnce(&mut dyn Write, Separator) -> io::Result<()>,
) -> anyhow::Result<()> {
    let separator = separator_of(path)?;
    write_whole(path, |to| table(to, separator))
}

/// Writes the labels to where they should go.
fn write_labels(
    args: &Args,
    table: impl FnOnce(&mut dyn Write, Separator) -> io::Result<()>,
) -> anyhow::Result<()> {
    if args.output != Path::new("-") {
        return write_table(&args.output, table);
    }
    if !args.json {
        let mut labels = Vec::new();
        table(&mut labels, Separator::Tab)?;
        print(labels)?;
    }
    Ok(())
}

fn write_tables(args: &Args, found: &Aggregated) -> anyhow::Result<()> {
    write_labels(args, |to, separator| found.write_labels(to, separator))?;
    if let Some(path) = &args.probabilities {
        write_table(path, |to, separator| {
            found.write_probabilities(to, separator)
        })?;
    }
    if let Some(path) = &args.workers {
        write_table(path, |to, separator| found.write_workers(to, separator))?;
    }
    if let Some(path) = &args.tasks {
        write_table(path, |to, separator| found.write_tasks(to, separator))?;
    }
    if let Some(path) = &args.confusion {
        write_table(path, |to, separator| found.write_confusion(to, separator))?;
    }
    Ok(())
}

fn write_sets(args: &Args, found: &MultiLabel) -> anyhow::Result<()> {
    write_labels(args, |to, separator| found.write_labels(to, separator))?;
    if let Some(path) = &args.probabilities {
        write_table(path, |to, separator| {
            found.write_probabilities(to, separator)
        })?;
    }
    Ok(())
}

/// What separates the cells of a table with this name; tabs unless it says so.
fn separator_of(path: &Path) -> anyhow::Result<Separator> {
    match path.to_str().and_then(Format::of_file_name) {
        Some(Format::Csv) => Ok(Separator::Comma),
        Some(Format::Tsv) => Ok(Separator::Tab),
        None if !is_parquet(path) => Ok(Separator::Tab),
        _ => bail!(
            "{} would be a table: name it .tsv or .csv, or use --json for JSON on stdout",
            path.display()
        ),
    }
}

/// Writes a document to stdout as it comes: it may have millions of labels.
fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut stdout, document)
        .map_err(io::Error::from)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}
