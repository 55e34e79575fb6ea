//! What the right answer to a task is, so that a simulated worker can be right or wrong about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Finds the label of a task from its `input_values`; `None` if it does not know.
pub type Lookup = Arc<dyn Fn(&Map<String, Value>) -> Option<String> + Send + Sync>;

/// The true label of every task, from the first source that names one of the task's labels:
///
/// 1. the lookup given to [`Truth::with_lookup`],
/// 2. the map filled by [`Truth::insert`] or [`Truth::from_csv`]; a key matches a whole input value, else the end of
///    its path (`b/cat.png` matches `http://host/a/b/cat.png`; the longest such key wins),
/// 3. a folder in the path of an input value that is named as a label (the innermost wins),
/// 4. a hash of the input values, so that any project can be worked and two tasks with the same input agree.
///
/// Labels compare without regard to ASCII case when no exact match exists.
#[derive(Clone, Default)]
pub struct Truth {
    lookup: Option<Lookup>,
    known: BTreeMap<String, String>,
}

/// Why a truth file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The file is not readable as UTF-8 CSV; the source names the line.
    #[error("the truth file cannot be read as CSV")]
    Csv(#[from] csv::Error),
    /// The first line has not the two columns that are needed.
    #[error(
        "line 1: the header must have the columns `file` (or `task`) and `label`, found `{found}`"
    )]
    Header {
        /// The header as found, its columns joined with commas.
        found: String,
    },
    /// A line that cannot be used.
    #[error("line {line}: {problem}")]
    Line {
        /// Number of the line in the file, the header being line 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl Truth {
    /// Knows nothing: folder names and hashes decide.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `lookup` before any other source.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = Some(lookup);
        self
    }

    /// Sets the label of a task: `key` is an input value, a file name or the end of a path.
    pub fn insert(&mut self, key: impl Into<String>, label: impl Into<String>) {
        self.known.insert(key.into(), label.into());
    }

    /// Reads a CSV file whose header has a column `file` (or `task`) and a column `label`; other columns are ignored.
    ///
    /// # Errors
    ///
    /// [`TruthError`] with the line, when the header lacks a column, a cell is empty, or a file has two labels.
    pub fn from_csv(reader: impl Read) -> Result<Self, TruthError> {
        let mut rows = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(reader);
        let header = rows.headers()?.clone();
        let column = |names: &[&str]| header.iter().position(|name| names.contains(&name));
        let (Some(file), Some(label)) = (column(&["file", "task"]), column(&["label"])) else {
            return Err(TruthError::Header {
                found: header.iter().collect::<Vec<_>>().join(","),
            });
        };
        let mut truth = Self::new();
        for row in rows.records() {
            let row = row?;
            let line = row.position().map_or(0, csv::Position::line);
            truth
                .add_row(row.get(file), row.get(label))
                .map_err(|problem| TruthError::Line { line, problem })?;
        }
        Ok(truth)
    }

    fn add_row(&mut self, file: Option<&str>, label: Option<&str>) -> Result<(), String> {
        let file = file
            .filter(|cell| !cell.is_empty())
            .ok_or("the file is empty")?;
        let label = label
            .filter(|cell| !cell.is_empty())
            .ok_or_else(|| format!("`{file}` has no label"))?;
        match self.known.insert(file.to_owned(), label.to_owned()) {
            Some(other) if other != label => Err(format!(
                "`{file}` has the label `{label}` here and `{other}` on an earlier line"
            )),
            _ => Ok(()),
        }
    }

    /// The labels that the map knows, sorted: the vocabulary of a task that offers none.
    pub(super) fn vocabulary(&self) -> BTreeSet<&str> {
        self.known.values().map(String::as_str).collect()
    }

    /// The true label of a task among `labels`. With `open` the task takes any string, so a label that is not among
    /// them counts too. Empty only if there are no labels and nothing is known.
    pub(super) fn label(&self, input: &Map<String, Value>, labels: &[&str], open: bool) -> String {
        self.given(input)
            .and_then(|given| match same_label(labels, &given) {
                Some(label) => Some(label.to_owned()),
                None => open.then_some(given),
            })
            .or_else(|| folder_label(input, labels))
            .unwrap_or_else(|| hashed_label(input, labels))
    }

    fn given(&self, input: &Map<String, Value>) -> Option<String> {
        let looked_up = self.lookup.as_ref().and_then(|lookup| lookup(input));
        looked_up.or_else(|| {
            let mut texts = input.values().filter_map(Value::as_str);
            texts
                .find_map(|text| self.known_label(text))
                .map(str::to_owned)
        })
    }

    fn known_label(&self, text: &str) -> Option<&str> {
        let exact = self.known.get(text);
        let label = exact.or_else(|| {
            let segments = path_segments(text);
            (0..segments.len()).find_map(|start| self.known.get(&segments.get(start..)?.join("/")))
        });
        label.map(String::as_str)
    }
}

impl fmt::Debug for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookup = self.lookup.is_some();
        f.debug_struct("Truth")
            .field("lookup", &lookup)
            .field("known", &self.known.len())
            .finish()
    }
}

/// The label that `name` means: the same, else the same but for ASCII case.
fn same_label<'a>(labels: &[&'a str], name: &str) -> Option<&'a str> {
    let exact = labels.iter().find(|label| **label == name);
    exact
        .or_else(|| labels.iter().find(|label| label.eq_ignore_ascii_case(name)))
        .copied()
}

fn folder_label(input: &Map<String, Value>, labels: &[&str]) -> Option<String> {
    input.values().filter_map(Value::as_str).find_map(|text| {
        let segments = path_segments(text);
        let folders = segments.split_last()?.1;
        folders
            .iter()
            .rev()
            .find_map(|folder| same_label(labels, folder))
            .map(str::to_owned)
    })
}

fn hashed_label(input: &Map<String, Value>, labels: &[&str]) -> String {
    let [a, b, c, d, ..] = digest(&["truth", &essence(input)]);
    let count = labels.len().max(1);
    let pick = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0) % count;
    labels.get(pick).copied().unwrap_or_default().to_owned()
}

/// The segments of a URL's path, decoded, or of a plain path.
fn path_segments(text: &str) -> Vec<String> {
    let Ok(url) = Url::parse(text) else {
        return text
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(str::to_owned)
            .collect();
    };
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    url.path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decode)
        .collect()
}

/// The input values as one string that stays the same when only the server's address changes: of URLs the scheme,
/// host and port are left out, so that a run on another port is the same run.
pub(super) fn essence(input: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = input.iter().collect();
    let mut text = String::new();
    for (name, value) in sorted {
        let value = match value.as_str().map(|s| (s, Url::parse(s))) {
            Some((_, Ok(url))) if url.has_host() => {
                format!("{}?{}", url.path(), url.query().unwrap_or_default())
            }
            Some((s, _)) => s.to_owned(),
            None => value.to_string(),
        };
        text.push_str(&format!("{}:{name}={}:{value};", name.len(), value.len()));
    }
    text
}

/// SHA-256 over the parts, each with its length, so that no two lists of parts run together.
pub(super) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LABELS: [&str; 3] = ["cat", "dog", "other"];

    fn input(value: &str) -> Map<String, Value> {
        json!({ "image": value }).as_object().cloned().unwrap()
    }

    fn label(truth: &Truth, value: &str) -> String {
        truth.label(&input(value), &LABELS, false)
    }

    #[test]
    fn a_key_matches_the_whole_value_the_file_name_or_the_end_of_the_path() {
        let mut truth = Truth::new();
        truth.insert("Some headline/with a slash", "dog");
        truth.insert("my cat.png", "cat");
        truth.insert("b/1.png", "dog");
        truth.insert("1.png", "other");
        assert_eq!(label(&truth, "Some headline/with a slash"), "dog");
        assert_eq!(
            label(&truth, "http://127.0.0.1:1/x/my%20cat.png?sig=1"),
            "cat"
        );
        assert_eq!(
            label(&truth, "http://127.0.0.1/a/b/1.png"),
            "dog",
            "the longest key wins"
        );
        assert_eq!(label(&truth, "http://127.0.0.1/a/c/1.png"), "other");
        assert_eq!(label(&truth, "a/b/1.png"), "dog", "plain paths match too");
    }

    #[test]
    fn the_lookup_goes_first_and_unknown_labels_are_passed_over() {
        let lookup: Lookup =
            Arc::new(|input| (input.get("image")? == "x").then(|| "CAT".to_owned()));
        let mut truth = Truth::new().with_lookup(lookup);
        truth.insert("x", "dog");
        truth.insert("folder/dog/y", "platypus");
        assert_eq!(
            label(&truth, "x"),
            "cat",
            "case differs, the label is the project's"
        );
        assert_eq!(
            label(&truth, "folder/dog/y"),
            "dog",
            "platypus is no label, the folder is"
        );
        assert_eq!(
            truth.label(&input("folder/dog/y"), &LABELS, true),
            "platypus",
            "an open task takes any string"
        );
    }

    #[test]
    fn folders_name_the_label_but_file_names_do_not() {
        let truth = Truth::new();
        assert_eq!(
            label(&truth, "http://localhost/golden/Other/dog/1.png"),
            "dog"
        );
        let by_hash = label(&truth, "http://localhost/images/cat");
        assert_eq!(
            by_hash,
            label(&truth, "https://elsewhere:8443/images/cat"),
            "the host does not matter"
        );
    }

    #[test]
    fn hashes_spread_over_the_labels() {
        let truth = Truth::new();
        let count = |name: &str| {
            (0..3000)
                .filter(|n| label(&truth, &format!("headline {n}")) == name)
                .count()
        };
        for name in LABELS {
            assert!(
                (900..1100).contains(&count(name)),
                "{name}: {}",
                count(name)
            );
        }
    }

    #[test]
    fn different_inputs_never_share_an_essence() {
        let one = json!({"a": "1;1:b=1:2", "b": "3"});
        let two = json!({"a": "1", "b": "2;1:b=1:3"});
        assert_ne!(
            essence(one.as_object().unwrap()),
            essence(two.as_object().unwrap())
        );
        assert_ne!(
            essence(&input("http://h/i?key=1")),
            essence(&input("http://h/i?key=2"))
        );
    }

    #[test]
    fn truth_files_are_read_by_column_name() {
        let truth =
            Truth::from_csv("id,label,file\n1,cat,a.png\n2, dog , b.png\n".as_bytes()).unwrap();
        assert_eq!(label(&truth, "x/b.png"), "dog");
        let truth = Truth::from_csv("task,label\n\"a, quoted\",cat\n".as_bytes()).unwrap();
        assert_eq!(label(&truth, "a, quoted"), "cat");
    }

    #[test]
    fn truth_file_errors_name_the_line() {
        let error = |text: &str| {
            let error = Truth::from_csv(text.as_bytes()).unwrap_err();
            let source = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("{error} {source}")
        };
        assert!(error("file,category\na,b\n").starts_with("line 1: the header must have"));
        assert!(error("").contains("line 1"));
        assert_eq!(
            error("file,label\na,cat\nb,\n").trim(),
            "line 3: `b` has no label"
        );
        assert!(
            error("file,label\na,cat\na,dog\n")
                .contains("line 3: `a` has the label `dog` here and `cat`")
        );
        assert!(
            error("file,label\na,cat\nb\n").contains("line: 3"),
            "{}",
            error("file,label\na,cat\nb\n")
        );
    }
}
