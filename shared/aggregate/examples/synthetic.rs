//! Writes the answers of a synthetic crowd: `cargo run --release -p quorate-aggregate --example synthetic -- help`.
//!
//! Nothing is kept in memory but the workers and the answers held back: 10⁸ answers need no more than 10⁵.

mod common;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use common::Crowd;

const USAGE: &str = "\
usage: synthetic [SETTING=VALUE]… ANSWERS [TRUTH]

Writes the table task,worker,label to ANSWERS and task,label to TRUTH, with commas, or with tabs into a .tsv file.

  tasks=20000      how many tasks
  answers=5        answers a task, each of another worker
  workers=1000     how many workers
  classes=4        how many labels
  accuracy=8,3     workers' accuracies are drawn from this Beta distribution
  spammers=0.1     share of workers who answer at random or, as many, always the same
  imbalance=0.5    the n-th class is 1/n^0.5 as frequent as the first; 0: all alike
  difficulty=0.5   on the hardest task half of what an accuracy is above guessing is lost; 0: all tasks alike
  window=100000    so many answers are held back and come in random order; 1: in the order of tasks
  seed=1           the same seed gives the same crowd";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut crowd = Crowd::default();
    let mut files = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some((setting, value)) => set(&mut crowd, setting, value)
                .map_err(|error| format!("{argument}: {error}\n\n{USAGE}"))?,
            None => files.push(argument),
        }
    }
    let (answers, truth) = match files.as_slice() {
        [answers] => (answers, None),
        [answers, truth] => (answers, Some(truth)),
        _ => return Err(USAGE.into()),
    };
    let (mut answers, comma) = create(answers)?;
    writeln!(answers, "task{comma}worker{comma}label")?;
    let mut truth = truth.map(|file| create(file)).transpose()?;
    if let Some((file, comma)) = &mut truth {
        writeln!(file, "task{comma}label")?;
    }
    crowd.generate(
        |task, label| match &mut truth {
            Some((file, comma)) => Ok(writeln!(file, "{task}{comma}{label}")?),
            None => Ok(()),
        },
        |(task, worker, label)| Ok(writeln!(answers, "{task}{comma}{worker}{comma}{label}")?),
    )?;
    answers.flush()?;
    if let Some((file, _)) = &mut truth {
        file.flush()?;
    }
    Ok(())
}

fn set(crowd: &mut Crowd, setting: &str, value: &str) -> Result<(), Box<dyn Error>> {
    match setting {
        "tasks" => crowd.tasks = value.parse()?,
        "answers" => crowd.answers = value.parse()?,
        "workers" => crowd.workers = value.parse()?,
        "classes" => crowd.classes = value.parse()?,
        "accuracy" => {
            let (right, wrong) = value.split_once(',').ok_or("not two numbers")?;
            crowd.accuracy = (right.parse()?, wrong.parse()?);
        }
        "spammers" => crowd.spammers = value.parse()?,
        "imbalance" => crowd.imbalance = value.parse()?,
        "difficulty" => crowd.difficulty = value.parse()?,
        "window" => crowd.window = value.parse()?,
        "seed" => crowd.seed = value.parse()?,
        _ => return Err("no such setting".into()),
    }
    Ok(())
}

/// An empty file, and what separates its cells.
fn create(file: &str) -> Result<(BufWriter<File>, char), Box<dyn Error>> {
    let separator = if file.ends_with(".tsv") { '\t' } else { ',' };
    let file = File::create(file).map_err(|error| format!("{file}: {error}"))?;
    Ok((BufWriter::new(file), separator))
}
