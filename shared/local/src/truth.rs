//! Truth files: what is known of images from elsewhere, to compare with and to simulate by.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Reads a CSV file with the header `file,label`: the label by the file's name or key.
///
/// # Errors
/// If the file cannot be read, has another header, or names a file twice; with the line.
pub fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

/// The same from text.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers()?;
    ensure!(
        header == vec!["file", "label"],
        "line 1: the header must be file,label; it is {}",
        header.iter().collect::<Vec<_>>().join(",")
    );
    let mut truth = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let (Some(file), Some(label)) = (record.get(0), record.get(1)) else {
            bail!("line {line}: a file and its label are needed");
        };
        ensure!(
            !file.is_empty() && !label.is_empty(),
            "line {line}: a file and its label are needed"
        );
        ensure!(
            truth.insert(file.to_owned(), label.to_owned()).is_none(),
            "line {line}: {file} is named twice"
        );
    }
    Ok(truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_by_file_and_problems_told_by_line() {
        let truth = parse("file,label\na.jpg,CAT\n\"b,1.jpg\",DOG\n").unwrap();
        assert_eq!(truth["b,1.jpg"], "DOG");
        for (text, why) in [
            ("name,label\n", "header must be file,label"),
            ("file,label\na.jpg,\n", "line 2"),
            (
                "file,label\na.jpg,CAT\na.jpg,DOG\n",
                "line 3: a.jpg is named twice",
            ),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
