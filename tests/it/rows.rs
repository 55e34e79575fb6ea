//! Texts, by Toloka's own files: headlines of the data set in `data/clickbait`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quorate_local::demo;

use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/clickbait")
}

/// The files of the campaign but for its README, name and text.
pub(crate) fn clickbait() -> Vec<(&'static str, String)> {
    let names = [
        "project.json",
        "pool.json",
        "exam.json",
        "golden/known.csv",
        "training/known.csv",
        "rows/headlines.csv",
    ];
    names
        .map(|name| (name, fs::read_to_string(folder().join(name)).unwrap()))
        .into()
}

/// The headlines of one of its tables.
fn headlines(name: &str) -> BTreeSet<String> {
    let mut table = csv::Reader::from_path(folder().join(name)).unwrap();
    table
        .records()
        .map(|record| record.unwrap()[0].to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_headline_gets_a_label_by_the_rules_of_the_campaigns_own_files() {
    let mut world = World::new(60, &[]).await;
    let mut keys = Vec::new();
    for (name, text) in clickbait() {
        let key = format!("headlines/{name}");
        world.put(&key, text);
        keys.push(key);
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    world.deliver(&keys).await;
    world.work("headlines").await;

    let labels = world.labels("headlines", 1);
    let seen: BTreeSet<String> = labels
        .iter()
        .map(|row| row["input"]["headline"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        (labels.len(), &seen),
        (100, &headlines("rows/headlines.csv"))
    );
    for row in &labels {
        assert!(
            ["clickbait", "notclickbait"].contains(&row["label"].as_str().unwrap()),
            "{row}"
        );
        assert_eq!(row["answers"], 3, "{row}");
    }
    let known = &headlines("golden/known.csv") | &headlines("training/known.csv");
    assert!(seen.is_disjoint(&known));
    assert!(world.manifest("headlines", 1).counts.golden_answers > 0);
    assert_eq!(world.rejected("headlines"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_a_folder_of_headlines() {
    let out = tempfile::tempdir().unwrap();
    let args = demo::Args {
        images: Some(folder()),
        truth: None,
        campaign: None,
        workers: 60,
        seed: 2,
        out: out.path().to_owned(),
        json: true,
    };
    demo::run(args).await.unwrap();
    let labels = fs::read_to_string(out.path().join("results/demo/round=1/labels.jsonl")).unwrap();
    assert_eq!(labels.lines().count(), 100);
    assert!(!labels.contains("\"label\":null"));
}
