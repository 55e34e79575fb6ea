//! The demo, as a user runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quorate_local::demo;
use serde_json::Value;

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

#[tokio::test(flavor = "multi_thread")]
async fn every_image_has_one_label_and_it_is_nearly_always_right() {
    let out = tempfile::tempdir().unwrap();
    demo::run(args(out.path())).await.unwrap();
    let folder = out.path().join("results/blood-cells/round=1");
    let labels = fs::read_to_string(folder.join("labels.jsonl")).unwrap();
    let rows: Vec<Value> = labels
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let images: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["image"].as_str().unwrap())
        .collect();
    assert_eq!((rows.len(), images.len()), (72, 72));
    let truth = include_str!("../../shared/local/demo/truth.csv");
    let right = rows.iter().filter(|row| {
        let file = row["image"].as_str().unwrap().rsplit('/').next().unwrap();
        truth.contains(&format!("{file},{}\n", row["label"].as_str().unwrap()))
    });
    let right = right.count();
    assert!(right >= 68, "{right} of 72 labels are right");
}

#[tokio::test]
async fn a_folder_of_real_work_is_never_cleared() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir_all(out.path().join("state")).unwrap();
    fs::write(out.path().join("state/ledger.sqlite"), "work").unwrap();
    let error = demo::run(args(out.path())).await.unwrap_err().to_string();
    assert!(error.contains("no former demo"), "{error}");
    assert!(out.path().join("state/ledger.sqlite").exists());
}
