//! Texts, by Toloka's own files: headlines of the data set in `data/clickbait`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quorate_local::demo;

use crate::world::{CATS, World};

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

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_tasks_one_by_one_and_bad_ones_say_where_they_are() {
    let mut world = World::new(10, &[]).await;
    let campaign = CATS.replace("[quality]", "fields = [\"name\"]\n[quality]");
    let files = [
        ("campaign.toml", campaign.as_str()),
        ("golden/CAT/known.csv", "name\nTom\n"),
        (
            "golden/known.jsonl",
            "{\"name\": \"Rex\", \"label\": \"DOG\"}\n{\"name\": \"Max\", \"label\": \"DOGG\"}\n",
        ),
        (
            "rows/a.csv",
            "id,name\n1,Felix\n2,\n3,\"Fi, do\"\n4,Felix\n",
        ),
        ("rows/b.jsonl", "{\"name\": \"<b>Größe</b>\"}\nno row\n"),
        ("rows/c.csv", "title\nFelix\n"),
        ("rows/d.txt", "Felix\n"),
        ("images/1.png", "an image has no place here"),
    ];
    let keys = files.map(|(name, text)| {
        let key = format!("cats/{name}");
        world.put(&key, text);
        key
    });
    world.deliver(&keys.each_ref().map(String::as_str)).await;
    world.work("cats").await;

    let labels = world.labels("cats", 1);
    let rows: Vec<(&str, &str)> = labels
        .iter()
        .map(|row| {
            (
                row["image"].as_str().unwrap(),
                row["input"]["name"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("cats/rows/a.csv#1", "Felix"),
        ("cats/rows/a.csv#3", "Fi, do"),
        ("cats/rows/a.csv#4", "Felix"),
        ("cats/rows/b.jsonl#1", "<b>Größe</b>"),
    ];
    assert_eq!(rows, expected);
    assert!(labels.iter().all(|row| row["label"].is_string()));
    assert_eq!(labels[2]["same_as"], labels[0]["image_id"]);
    assert_eq!(world.rounds("cats").await[0].counts.golden_tasks, 2);
    let rejected = world.rejected("cats");
    let expected = [
        (
            "cats/golden/known.jsonl",
            "line 2: \"DOGG\" is not a label of this campaign; did you mean \"DOG\"?",
        ),
        (
            "cats/images/1.png",
            "this campaign labels rows: put them into rows/*.csv or rows/*.jsonl",
        ),
        ("cats/rows/a.csv", "line 3: its \"name\" is empty"),
        ("cats/rows/b.jsonl", "line 2: it is not a JSON object"),
        (
            "cats/rows/c.csv",
            "its header has no column \"name\" (it has [\"title\"])",
        ),
        ("cats/rows/d.txt", "rows/ takes .csv and .jsonl files"),
    ];
    assert_eq!(rejected.len(), expected.len(), "{rejected:?}");
    for ((key, reason), (of, starts)) in rejected.iter().zip(expected) {
        assert!(key == of && reason.starts_with(starts), "{key}: {reason}");
    }
    assert_eq!(world.problems("upload_rejected").len(), expected.len());
}
