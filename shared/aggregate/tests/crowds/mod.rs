//! The real crowds of the tests' data.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use quorate_aggregate::{Answers, Format};

/// A file of a set, or what is in its `.gz`.
pub(crate) fn open(set: &str, file: &str) -> Box<dyn Read> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data", set, file]
        .iter()
        .collect();
    match File::open(&path) {
        Ok(file) => Box::new(file),
        Err(_) => {
            let packed = File::open(path.with_added_extension("gz")).unwrap();
            Box::new(GzDecoder::new(packed))
        }
    }
}

/// The answers of a set.
pub(crate) fn answers(set: &str) -> Answers {
    Answers::read(open(set, "answers.tsv"), Format::Tsv).unwrap()
}

/// The known labels of a set, in the order of the file.
pub(crate) fn truth(set: &str) -> Vec<(String, String)> {
    let mut table = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .from_reader(open(set, "gt.tsv"));
    table.deserialize().map(Result::unwrap).collect()
}
