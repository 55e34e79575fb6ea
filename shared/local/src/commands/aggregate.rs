//! `quorate aggregate`: labels from a file of answers, offline.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use quorate_aggregate::{
    Aggregated, Answers, AnswersBuilder, DawidSkene, Format, Gold, InvalidRows, Mode, ReadReport,
    Separator, StopReason, dawid_skene, majority_vote,
};
use serde::Serialize;

use super::{count, print, print_json, write_whole};

/// The longest first line that the format is told from.
const FIRST_LINE: u64 = 1 << 20;

/// The arguments of `quorate aggregate`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Labels from an answers file, offline",
    long_about = "Turns answers into labels: who answered what to which task, in; one label a task with its confidence, \
        out. The same answers give the same bytes, in whatever order they come.\n\n\
        ANSWERS is a table with the columns task, worker, label (.csv, .tsv), JSON lines with these members \
        (.jsonl), or the assignments file of a Toloka pool (.tsv); `-` is stdin. What the name does not tell, the \
        first line does.",
    after_help = "Examples:\n  \
        quorate aggregate answers.csv > labels.tsv\n  \
        quorate aggregate assignments.tsv --gold golden.tsv --output labels.csv --workers workers.csv\n  \
        zcat answers.jsonl.gz | quorate aggregate --method majority-vote --json -"
)]
pub struct Args {
    /// The answers; `-` is stdin
    #[arg(value_name = "ANSWERS")]
    answers: PathBuf,
    /// How answers become labels
    #[arg(long, value_enum, default_value_t = Method::DawidSkene)]
    method: Method,
    /// The rules of Dawid-Skene
    #[arg(long, value_enum, default_value_t = Rules::Default)]
    mode: Rules,
    /// The most iterations of Dawid-Skene
    #[arg(long, value_name = "N", default_value_t = DawidSkene::default().iterations)]
    iterations: usize,
    /// Dawid-Skene stops when an iteration gains less than this (log-likelihood an answer)
    #[arg(long, value_name = "T", default_value_t = DawidSkene::default().tolerance)]
    tolerance: f64,
    /// Known labels, a table with the columns task and label: they are kept, and teach how workers err
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// Where the table task, label, confidence goes: .csv or .tsv; `-` is stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Also write a table of every label's probability for each task
    #[arg(long, value_name = "FILE")]
    probabilities: Option<PathBuf>,
    /// Also write a table worker, answers, skill
    #[arg(long, value_name = "FILE")]
    workers: Option<PathBuf>,
    /// Leave rows out that are no answers, instead of stopping at the first
    #[arg(long)]
    skip_invalid: bool,
    /// Print one JSON document instead of the table: what was read, how it went, and the labels
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// The label that most workers chose
    MajorityVote,
    /// Dawid and Skene's model of every worker's errors
    DawidSkene,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rules {
    /// With a prior: safe on small crowds
    Default,
    /// The same numbers as crowd-kit's `DawidSkene`
    CrowdKit,
}

/// What `--json` shows.
#[derive(Serialize)]
struct Summary<'a> {
    method: Method,
    tasks: usize,
    workers: usize,
    answers: u64,
    /// Rows left out as control tasks, and as no answers.
    golden: u64,
    skipped: u64,
    iterations: usize,
    converged: bool,
    labels: Vec<Decision<'a>>,
}

#[derive(Serialize)]
struct Decision<'a> {
    task: &'a str,
    label: &'a str,
    confidence: f64,
}

/// Runs `quorate aggregate`.
///
/// # Errors
/// If the answers cannot be read, a row is none, or a table cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    // Checked first: a typo should not cost the computation.
    for path in [
        Some(&args.output),
        args.probabilities.as_ref(),
        args.workers.as_ref(),
    ] {
        path.map(|path| separator_of(path)).transpose()?;
    }
    let gold = args
        .gold
        .as_deref()
        .map(read_gold)
        .transpose()?
        .unwrap_or_default();
    ensure!(
        gold.is_empty() || args.method == Method::DawidSkene,
        "--gold is used by Dawid-Skene only: leave it out, or use --method dawid-skene"
    );
    let (answers, report) = read_answers(&args.answers, args.skip_invalid, &gold)?;
    tell_skipped(&report);
    let aggregated = aggregate(args, &answers, gold)?;
    if aggregated.stop_reason() == StopReason::IterationLimit && args.iterations > 0 {
        eprintln!(
            "note: not converged after {}; --iterations allows more",
            count(aggregated.iterations() as u64, "iteration")
        );
    }
    write_tables(args, &aggregated)?;
    if args.json {
        print_json(&summary(args.method, &aggregated, &report))?;
    }
    Ok(())
}

fn aggregate(args: &Args, answers: &Answers, gold: Gold) -> anyhow::Result<Aggregated> {
    if args.method == Method::MajorityVote {
        return Ok(majority_vote(answers));
    }
    let settings = DawidSkene {
        iterations: args.iterations,
        tolerance: args.tolerance,
        mode: match args.mode {
            Rules::Default => Mode::Default,
            Rules::CrowdKit => Mode::CrowdKit,
        },
        gold,
        ..DawidSkene::default()
    };
    Ok(dawid_skene(answers, &settings)?)
}

/// Reads the answers. The known labels are among the labels even if nobody gave them.
fn read_answers(
    path: &Path,
    skip_invalid: bool,
    gold: &Gold,
) -> anyhow::Result<(Answers, ReadReport)> {
    let shown = if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let (reader, format) = open(path).with_context(|| format!("cannot read {shown}"))?;
    let invalid = if skip_invalid {
        InvalidRows::Skip
    } else {
        InvalidRows::Reject
    };
    let mut builder = AnswersBuilder::new();
    let report = builder.read(reader, format, invalid).with_context(|| {
        let hint = if skip_invalid {
            ""
        } else {
            " (--skip-invalid leaves bad rows out)"
        };
        format!("{shown} is no answers file{hint}")
    })?;
    for label in gold.values() {
        builder.add_label(label)?;
    }
    let answers = builder
        .finish()
        .with_context(|| format!("{shown} has nothing to aggregate"))?;
    Ok((answers, report))
}

/// A reader of the file, and its format: by its name, else by its first line.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, Format)> {
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    if let Some(format) = path.to_str().and_then(Format::of_file_name) {
        return Ok((source, format));
    }
    let mut source = BufReader::new(source);
    let mut first = Vec::new();
    source
        .by_ref()
        .take(FIRST_LINE)
        .read_until(b'\n', &mut first)?;
    let format = format_of(&first);
    Ok((Box::new(Cursor::new(first).chain(source)), format))
}

fn format_of(first_line: &[u8]) -> Format {
    let line = first_line
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(first_line);
    if line.trim_ascii_start().first() == Some(&b'{') {
        Format::JsonLines
    } else if line.contains(&b'\t') {
        Format::Tsv
    } else {
        Format::Csv
    }
}

/// Reads a table with the columns `task` and `label`.
fn read_gold(path: &Path) -> anyhow::Result<Gold> {
    let delimiter = match separator_of(path)? {
        Separator::Comma => b',',
        Separator::Tab => b'\t',
    };
    let failed = || format!("cannot read the known labels in {}", path.display());
    let mut table = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_path(path)
        .with_context(failed)?;
    let header = table.headers().with_context(failed)?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim() == name);
    let (Some(task), Some(label)) = (column("task"), column("label")) else {
        bail!("{} must have the columns task and label", path.display());
    };
    let mut gold = Gold::new();
    for row in table.records() {
        let row = row.with_context(failed)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: usize| row.get(at).filter(|cell| !cell.is_empty());
        let (Some(task), Some(label)) = (cell(task), cell(label)) else {
            bail!("{}:{line}: the task or the label is empty", path.display());
        };
        if let Some(other) = gold.insert(task.to_owned(), label.to_owned())
            && other != label
        {
            bail!(
                "{}:{line}: task {task:?} has the label {other:?} already",
                path.display()
            );
        }
    }
    Ok(gold)
}

fn tell_skipped(report: &ReadReport) {
    if report.golden > 0 {
        eprintln!(
            "note: {} of control tasks left out",
            count(report.golden, "row")
        );
    }
    for row in &report.first_skipped {
        eprintln!("skipped: {row}");
    }
    let shown = report.first_skipped.len() as u64;
    if report.skipped > shown {
        eprintln!("skipped: {} more", count(report.skipped - shown, "row"));
    }
}

fn write_tables(args: &Args, aggregated: &Aggregated) -> anyhow::Result<()> {
    if args.output != Path::new("-") {
        let separator = separator_of(&args.output)?;
        write_whole(&args.output, |to| aggregated.write_labels(to, separator))?;
    } else if !args.json {
        let mut table = Vec::new();
        aggregated.write_labels(&mut table, Separator::Tab)?;
        print(table)?;
    }
    if let Some(path) = &args.probabilities {
        let separator = separator_of(path)?;
        write_whole(path, |to| aggregated.write_probabilities(to, separator))?;
    }
    if let Some(path) = &args.workers {
        let separator = separator_of(path)?;
        write_whole(path, |to| aggregated.write_workers(to, separator))?;
    }
    Ok(())
}

/// What separates the cells of a table with this name; tabs unless it says so.
fn separator_of(path: &Path) -> anyhow::Result<Separator> {
    match path.to_str().and_then(Format::of_file_name) {
        Some(Format::Csv) => Ok(Separator::Comma),
        Some(Format::Tsv) | None => Ok(Separator::Tab),
        Some(Format::JsonLines) => bail!(
            "{} would be a table: name it .tsv or .csv, or use --json for JSON on stdout",
            path.display()
        ),
    }
}

fn summary<'a>(method: Method, aggregated: &'a Aggregated, report: &ReadReport) -> Summary<'a> {
    Summary {
        method,
        tasks: aggregated.tasks().len(),
        workers: aggregated.workers().len(),
        answers: report.answers,
        golden: report.golden,
        skipped: report.skipped,
        iterations: aggregated.iterations(),
        converged: aggregated.stop_reason() != StopReason::IterationLimit,
        labels: aggregated
            .decisions()
            .map(|(task, label, confidence)| Decision {
                task,
                label,
                confidence,
            })
            .collect(),
    }
}
