//! What `quorate aggregate` reads: answers, and tables of known labels.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use quorate_aggregate::{
    Answers, AnswersBuilder, Format, Gold, InvalidRows, ReadReport, Separator,
};

use super::separator_of;
use super::wait::Wait;

/// The longest first line that the format is told from.
const FIRST_LINE: u64 = 1 << 20;

/// Reads the answers. The known labels are among the labels even if nobody gave them.
pub(super) fn read_answers(
    path: &Path,
    invalid: InvalidRows,
    gold: &Gold,
    wait: &Wait,
) -> anyhow::Result<(Answers, ReadReport)> {
    let shown = if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let mut builder = AnswersBuilder::new();
    let not_read = || format!("cannot read {shown}");
    let read = if is_parquet(path) {
        #[cfg(not(feature = "parquet"))]
        bail!(
            "this quorate was built without support for Parquet: build one that has it with \
             `cargo install --path shared/local --features parquet`, or write the answers as CSV"
        );
        #[cfg(feature = "parquet")]
        builder.read_parquet(File::open(path).with_context(not_read)?, invalid)
    } else {
        let (reader, format) = open(path, wait).with_context(not_read)?;
        builder.read(reader, format, invalid)
    };
    let report = read.with_context(|| {
        let hint = match invalid {
            InvalidRows::Skip => "",
            InvalidRows::Reject => " (--skip-invalid leaves bad rows out)",
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

pub(super) fn is_parquet(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// A reader of the file, and its format: by its name, else by its first line.
fn open(path: &Path, wait: &Wait) -> io::Result<(Box<dyn Read>, Format)> {
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(wait.for_reading(io::stdin().lock(), None))
    } else {
        let file = File::open(path)?;
        let length = file.metadata().ok().filter(|file| file.is_file());
        Box::new(wait.for_reading(file, length.map(|file| file.len())))
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
pub(super) fn read_known(path: &Path) -> anyhow::Result<Gold> {
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
    let mut known = Gold::new();
    for row in table.records() {
        let row = row.with_context(failed)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: usize| row.get(at).filter(|cell| !cell.is_empty());
        let (Some(task), Some(label)) = (cell(task), cell(label)) else {
            bail!("{}:{line}: the task or the label is empty", path.display());
        };
        if let Some(other) = known.insert(task.to_owned(), label.to_owned())
            && other != label
        {
            bail!(
                "{}:{line}: task {task:?} has the label {other:?} already",
                path.display()
            );
        }
    }
    Ok(known)
}
