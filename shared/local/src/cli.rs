//! The `quorate` command: what it takes, where it goes, how it speaks.
//!
//! Results go to stdout, progress and the log to stderr. A failure is told as a chain, from what
//! was wanted down to what the machine said, and exits with 1; a wrong command line exits with 2.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::commands::{self, aggregate, campaign, crowd, status};
use crate::{demo, up};

/// Drop images into a bucket, get labels that a crowd agrees on.
#[derive(Debug, Parser)]
#[command(
    name = "quorate",
    version,
    propagate_version = true,
    long_about = "Drop images into a bucket, get labels that a crowd agrees on.\n\n\
        A campaign says what to ask: labels, question, how many people judge each image, quality \
        rules, budget. Images that are dropped into its folder become tasks of a crowd, answers \
        become labels with a confidence, and every label comes with the reason for it.",
    after_help = "Begin with:\n  \
        quorate demo                  the whole pipeline, with images and people simulated\n  \
        quorate campaign new cells    write a campaign to edit\n  \
        quorate campaign plan cells   see what it would create and cost\n  \
        quorate up                    run the local stack\n  \
        quorate campaign apply cells  give it the campaign\n\n\
        `quorate help COMMAND` explains each command."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell more on stderr: -v what happens, -vv details, -vvv everything (or set `RUST_LOG`).
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 1000)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole pipeline once on this machine, with real images and a simulated crowd
    #[command(after_help = "Example:\n  quorate demo")]
    Demo(demo::Args),
    /// Run the local stack until Ctrl-C: folders as the buckets, the crowd platform with its pages
    #[command(after_help = "Examples:\n  quorate up\n  quorate up --simulate 30 --time-scale 60")]
    Up(up::Args),
    Crowd(crowd::Args),
    Campaign(campaign::Args),
    Status(status::Args),
    Aggregate(aggregate::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    match run(cli.command) {
        Ok(code) => code,
        // Whoever reads our stdout has seen enough: `quorate status | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            commands::say(explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Up(args) => up::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Crowd(args) => crowd::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Campaign(args) => campaign::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Aggregate(args) => aggregate::run(&args).map(|()| ExitCode::SUCCESS),
        }
    })
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        // What comes of a round is news that nobody should have to ask for.
        // The SDK warns of every place where it looks for a region in vain.
        0 => "warn,aws_config=error,quorate_core::rounds=info,quorate_local::notify=info",
        1 => "warn,quorate=info",
        2 => "info,quorate=debug",
        _ => "trace",
    };
    let wanted = std::env::var("RUST_LOG").ok();
    let targets = wanted.as_deref().unwrap_or(level).parse::<Targets>();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(verbose > 0)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines)
        // What is no filter shows everything: better than nothing.
        .with(targets.unwrap_or_else(|_| Targets::new().with_default(tracing::Level::TRACE)))
        .init();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// An error as people read it: what failed, then why, one cause a line.
fn explain(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    let mut text = format!("error: {told}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some errors repeat their cause in their own words.
        if !told.ends_with(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause.replace('\n', "\n    "));
            told = cause;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_failure_tells_every_cause_once() {
        let error = anyhow!("disk full")
            .context("cannot write labels.tsv: disk full")
            .context("no labels");
        assert_eq!(
            explain(&error),
            "error: no labels\n  because: cannot write labels.tsv: disk full"
        );
    }
}
