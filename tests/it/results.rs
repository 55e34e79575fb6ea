//! What comes back: files that belong together, answers that count, links that open for a time.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use quorate_core::campaign::hex;
use quorate_testkit::png;
use reqwest::Method;
use sha2::{Digest, Sha256};

use crate::world::{CATS, World, get};

/// Uploads a campaign with control images of every kind, and six images.
async fn with_controls(world: &World) {
    world.put("cats/campaign.toml", CATS);
    let mut keys = vec!["cats/campaign.toml".to_owned()];
    for (kind, first) in [("golden", 100), ("exam", 200), ("training", 300)] {
        for number in first..first + 6 {
            let label = if number % 2 == 0 { "CAT" } else { "DOG" };
            keys.push(format!("cats/{kind}/{label}/{number}.png"));
            world.put(keys.last().unwrap(), png(number));
        }
    }
    for number in 1..=6 {
        keys.push(format!("cats/images/{number}.png"));
        world.put(keys.last().unwrap(), png(number));
    }
    world
        .deliver(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_answers_measure_workers_and_decide_nothing() {
    let mut world = World::new(20, &[]).await;
    with_controls(&world).await;
    world.work("cats").await;

    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 6);
    for row in &labels {
        assert!(
            row["image"].as_str().unwrap().starts_with("cats/images/"),
            "{row}"
        );
        let votes: u64 = row["votes"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum();
        assert_eq!((row["answers"].as_u64(), votes), (Some(3), 3), "{row}");
    }
    let answers = world.answers("cats", 1);
    let folders: BTreeSet<&str> = answers
        .iter()
        .map(|answer| answer["image"].split('/').nth(1).unwrap())
        .collect();
    assert_eq!(folders, BTreeSet::from(["golden", "images"]));
    let (control, real): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| !answer["golden"].is_empty());
    assert!(
        control
            .iter()
            .all(|answer| answer["image"].starts_with("cats/golden/"))
    );
    assert_eq!(real.len(), 6 * 3);
    let right = control
        .iter()
        .filter(|answer| answer["label"] == answer["golden"])
        .count();
    let share = (right as f64 / control.len() as f64 * 1e6).round() / 1e6;
    let manifest = world.manifest("cats", 1);
    assert_eq!(manifest.golden_accuracy, Some(share));
    assert_eq!(
        (manifest.counts.answers, manifest.counts.golden_answers),
        (18, control.len() as u64)
    );
    let events = world.events();
    let told = events
        .iter()
        .find(|event| event["detail-type"] == "RoundAggregated")
        .unwrap();
    assert_eq!(told["detail"]["golden_accuracy"].as_f64(), Some(share));
    assert_eq!(told["detail"]["labelled"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_describes_the_files_beside_it() {
    let mut world = World::new(10, &[]).await;
    with_controls(&world).await;
    world.work("cats").await;

    let folder = world.result("cats/round=1");
    let manifest = world.manifest("cats", 1);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "_manifest.json",
            "answers.csv",
            "labels.csv",
            "labels.jsonl",
            "report.html",
            "workers.csv"
        ]
    );
    assert_eq!(manifest.files.len(), 5);
    for file in &manifest.files {
        let bytes = fs::read(folder.join(&file.name)).unwrap();
        assert_eq!(
            (file.bytes, &file.sha256),
            (bytes.len() as u64, &hex(&Sha256::digest(&bytes))),
            "{}",
            file.name
        );
    }
    // The two tables of labels say the same.
    let mut table = csv::Reader::from_path(folder.join("labels.csv")).unwrap();
    let rows: Vec<(String, String)> = table
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[0].to_owned(), row[3].to_owned()))
        .collect();
    let lines = world.labels("cats", 1);
    let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().to_owned();
    let lines: Vec<(String, String)> = lines
        .iter()
        .map(|row| (text(row, "image"), text(row, "label")))
        .collect();
    assert_eq!(rows, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_loads_nothing_and_runs_nothing_whatever_a_file_is_called() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    // On disk the slash of the closing tag makes this a folder and a file; the key is whole.
    let hostile = "cats/images/\"><script>alert(1)</script>.jpg";
    world.drop_file(hostile, png(1)).await;
    world.work("cats").await;

    assert_eq!(world.labels("cats", 1)[0]["image"], hostile);
    let report = fs::read_to_string(world.result("cats/round=1/report.html")).unwrap();
    assert!(
        report.contains("&lt;script&gt;") || report.contains("&#60;script&#62;"),
        "the name is not in it"
    );
    let lower = report.to_lowercase();
    for never in [
        "<script",
        "http:",
        "https:",
        "javascript:",
        "<iframe",
        "<link",
        "@import",
        " onload",
        " onerror",
    ] {
        assert!(!lower.contains(never), "{never} is in the report");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_its_image_for_a_time_and_nothing_else() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put("cats/images/1.png", png(1));
    world.put("cats/images/2.png", png(2));
    world
        .deliver(&["cats/images/1.png", "cats/images/2.png"])
        .await;
    world.minutes(2).await;
    let pool = world.pool("cats").await;
    let answer = world
        .requester(Method::GET, &format!("tasks?pool_id={pool}"))
        .await;
    let link = |task: usize| {
        answer["items"][task]["input_values"]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let id = |task: usize| {
        answer["items"][task]["input_values"]["image_id"]
            .as_str()
            .unwrap()
    };
    assert_eq!(get(&link(0)).await, (200, png(1)));

    let (path, query) = link(0)
        .split_once('?')
        .map(|(path, query)| (path.to_owned(), query.to_owned()))
        .unwrap();
    for tampered in [
        path.clone(),
        link(0).replace(id(0), id(1)),
        link(0).replace("/cats/", "/dogs/"),
        link(0).replace("expires=1", "expires=9"),
        format!("{path}?{}0", &query[..query.len() - 1]),
        format!("{path}?{}1", &query[..query.len() - 1]),
    ]
    .into_iter()
    .filter(|tampered| *tampered != link(0))
    {
        assert_eq!(get(&tampered).await.0, 403, "{tampered}");
    }
    world
        .day
        .pass(Duration::from_secs(91 * 86_400))
        .await
        .unwrap();
    let (status, body) = get(&link(0)).await;
    assert_eq!(
        (status, String::from_utf8(body).unwrap().as_str()),
        (410, "This link has expired.\n")
    );
}
