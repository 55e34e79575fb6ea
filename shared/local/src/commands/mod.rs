//! The commands of `quorate`, one module each.

pub mod aggregate;
pub mod campaign;
pub mod crowd;
mod deployed;
mod pace;
pub mod status;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::ledger::SqliteLedger;

/// The folder of a local stack, as [`crate::stack`] lays it out.
#[derive(Clone, Debug)]
struct DataFolder(PathBuf);

impl DataFolder {
    /// The folder that commands use when none is named.
    const DEFAULT: &str = "quorate-data";

    /// The ledger, if a stack has ever run in this folder.
    fn ledger(&self) -> anyhow::Result<SqliteLedger> {
        let file = self.state().join("ledger.sqlite");
        // Opening would make an empty ledger, and then nothing would seem to be there.
        anyhow::ensure!(
            file.is_file(),
            "there is no local stack in {}: start one with `quorate up`, or name its folder with --data",
            self.0.display()
        );
        Ok(SqliteLedger::open(&file)?)
    }

    /// What the stack keeps for itself.
    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// The bucket that results go to.
    fn results(&self) -> PathBuf {
        self.0.join("results")
    }

    /// Every event, one JSON object a line.
    fn events(&self) -> PathBuf {
        self.state().join("events.jsonl")
    }
}

/// Writes to stdout.
pub(crate) fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}

/// Writes a line to stderr. If nobody can read it (the log's disk is full, the terminal is gone),
/// work goes on all the same, where `eprintln` would panic.
pub(crate) fn say(line: impl Display) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Writes a value to stdout as one JSON document.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A progress bar on stderr; it shows on a terminal only.
fn progress(len: u64, doing: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_message(doing)
}

/// Writes a file that is whole whenever it can be seen: beside its place first, under a hidden
/// name, then renamed. What is there and no regular file (a pipe, `/dev/null`) is written to.
fn write_whole(
    path: &Path,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        let mut file = File::options()
            .write(true)
            .open(path)
            .with_context(failed)?;
        return body(&mut file).with_context(failed);
    }
    let name = path
        .file_name()
        .with_context(|| format!("{} names no file", path.display()))?;
    let hidden = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
    let part = path.with_file_name(hidden);
    let written = File::create(&part).and_then(|file| {
        let mut writer = BufWriter::new(file);
        body(&mut writer)?;
        writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        fs::rename(&part, path)
    });
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        drop(fs::remove_file(&part));
    }
    written.with_context(failed)
}

/// Dollars as people write them: cents, and up to a hundredth of a cent where it matters.
fn dollars(amount: Decimal) -> String {
    let rounded = amount.round_dp(4).normalize();
    if rounded.scale() <= 2 {
        format!("${rounded:.2}")
    } else {
        format!("${rounded}")
    }
}

/// `1 image`, `2 images`.
fn count(number: u64, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// Reads a share such as `0.2` (20 %).
pub(crate) fn share(text: &str) -> Result<Decimal, String> {
    text.parse()
        .ok()
        .filter(|share| (Decimal::ZERO..Decimal::TEN).contains(share))
        .ok_or_else(|| "write it as a share, e.g. 0.2 for 20 %".to_owned())
}

/// Waits for Ctrl-C, or for SIGTERM where there is such a thing.
pub(crate) async fn stopped() -> anyhow::Result<()> {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        tokio::select! {
            done = interrupt => done.context("cannot wait for Ctrl-C")?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupt.await.context("cannot wait for Ctrl-C")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_shows_cents_and_small_prices_in_full() {
        let shown = |text: &str| dollars(text.parse().unwrap());
        assert_eq!(shown("2.5"), "$2.50");
        assert_eq!(shown("25"), "$25.00");
        assert_eq!(shown("0.005"), "$0.005");
        assert_eq!(shown("0.016667"), "$0.0167");
        assert_eq!(shown("0.500007"), "$0.50");
        assert_eq!(shown("0.1500"), "$0.15");
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.tsv");
        write_whole(&path, |to| to.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("gone"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
