//! The demo, as a user runs it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quorate_local::demo;

fn args(out: &Path) -> demo::Args {
    demo::Args {
        images: None,
        truth: None,
        campaign: None,
        workers: 20,
        seed: 1,
        out: out.to_owned(),
        json: true,
    }
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_bytes_in_every_result_file() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    demo::run(args(one.path())).await.unwrap();
    demo::run(args(two.path())).await.unwrap();
    let results = files(&one.path().join("results"));
    assert_eq!(results.len(), 6, "{:?}", results.keys());
    assert!(
        results == files(&two.path().join("results")),
        "the results of two runs differ"
    );
}
