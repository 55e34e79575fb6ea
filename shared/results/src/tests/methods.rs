//! How answers become labels, and what is told about it.

use std::collections::BTreeMap;

use super::*;
use crate::{Manifest, files, report};
use quorate_core::campaign::Method;

/// So many images below `path`.
fn images(path: &str, count: usize) -> Vec<Image> {
    (0..count)
        .map(|number| image(&format!("{path}/{number}.jpg")))
        .collect()
}

fn members(images: &[Image], golden: &[Image]) -> Members {
    Members {
        images: images.iter().cloned().map(member).collect(),
        golden: golden.iter().cloned().map(member).collect(),
        ..Members::default()
    }
}

/// A page of each worker, who answers to every image what `label` says.
fn pages_of<'a>(
    workers: &[&str],
    images: &[Image],
    label: impl Fn(&str, usize) -> &'a str,
) -> Vec<Assignment> {
    let page_of = |worker: &&str| {
        let answers = images.iter().enumerate();
        let answers = answers.map(|(number, image)| answer(image, label(worker, number)));
        page(&format!("A-{worker}"), worker, answers.collect())
    };
    workers.iter().map(page_of).collect()
}

/// Five workers agree on all of 20 images, and on all of 40 control tasks; they are wrong on every
/// `nth` of these.
fn agreed_round(method: Method, nth: usize) -> RoundResults {
    let golden = images("golden/dog", 40);
    let real = images("images", 20);
    let all: Vec<Image> = golden.iter().chain(&real).cloned().collect();
    let pages = pages_of(&["ann", "bob", "cyd", "dan", "eva"], &all, |_, number| {
        let wrong = number < 40 && number % nth == 0;
        if wrong || number % 2 == 1 && number >= 40 {
            "cat"
        } else {
            "dog"
        }
    });
    let mut campaign = pets();
    campaign.aggregation.method = method;
    counted(campaign, members(&real, &golden), &pages, Vec::new())
}

fn page_of(results: &RoundResults) -> String {
    report(results, &BTreeMap::new()).unwrap()
}

/// The column of `labels.csv`.
fn column(results: RoundResults, name: &str) -> Vec<String> {
    let files = files(results, String::new()).unwrap();
    let labels = files.iter().find(|file| file.name == "labels.csv").unwrap();
    let mut table = csv::Reader::from_reader(&*labels.body);
    let place = table.headers().unwrap().iter().position(|h| h == name);
    let rows = table.records();
    rows.map(|row| row.unwrap()[place.unwrap()].to_owned())
        .collect()
}

#[test]
fn control_tasks_calibrate_the_confidences_that_are_written() {
    let results = agreed_round(Method::HierarchicalDawidSkene, 5);
    let calibration = results.model.calibration.unwrap();
    assert!(
        calibration.after < calibration.before - 0.1,
        "{calibration:?}"
    );
    let told = Manifest::of(&results).calibration.unwrap();
    assert_eq!(told.known, calibration.known);
    assert!((told.after - calibration.after).abs() < 1e-6, "{told:?}");
    let page = page_of(&results);
    assert!(page.contains("Confidences are calibrated"));
    // All agree, and so did they on control tasks, of which four in five were right.
    for confidence in column(results, "confidence") {
        let confidence: f64 = confidence.parse().unwrap();
        assert!((0.7..0.9).contains(&confidence), "{confidence}");
    }
}

#[test]
fn what_is_not_calibrated_is_said_to_be_so() {
    let other = agreed_round(Method::DawidSkene, 5);
    assert_eq!(Manifest::of(&other).calibration, None);
    assert!(page_of(&other).contains("this method does not do that"));
    for confidence in column(other, "confidence") {
        assert!(confidence.parse::<f64>().unwrap() > 0.95, "{confidence}");
    }
    let real = images("images", 3);
    let pages = pages_of(&["ann", "bob", "cyd"], &real, |_, _| "dog");
    let untaught = counted(pets(), members(&real, &[]), &pages, Vec::new());
    assert_eq!(untaught.model.calibration, None);
    let page = page_of(&untaught);
    assert!(page.contains("there were no control tasks to calibrate them on"));
    let (few, pages, bans) = small_round();
    let page = page_of(&counted(pets(), few, &pages, bans));
    assert!(page.contains("control tasks were too few, or showed nothing to correct"));
}

#[test]
fn labels_that_leave_the_majority_are_warned_of() {
    // Two against one on every image, but the two are wrong on every control task.
    let golden = images("golden/dog", 20);
    let real = images("images", 10);
    let all: Vec<Image> = golden.iter().chain(&real).cloned().collect();
    let pages = pages_of(&["good", "bad", "worse"], &all, |worker, _| {
        if worker == "good" { "dog" } else { "cat" }
    });
    let results = counted(pets(), members(&real, &golden), &pages, Vec::new());
    assert_eq!(results.majority_agreement(), Some(0.0));
    let warning = "10 of 10 labels are not those that most workers chose";
    let manifest = Manifest::of(&results);
    assert_eq!(manifest.warnings.len(), 1);
    assert!(manifest.warnings[0].starts_with(warning));
    let page = page_of(&results);
    let at = |text: &str| page.find(text).unwrap();
    assert!(at("Before you rely on these labels") < at(warning));
    assert!(at(warning) < at("<h2>Labels</h2>"), "first of all");
    assert_eq!(column(results, "majority_label"), ["cat"; 10]);

    let quiet = agreed_round(Method::HierarchicalDawidSkene, 5);
    assert_eq!(Manifest::of(&quiet).warnings, [""; 0]);
    assert!(!page_of(&quiet).contains("Before you rely"));
}

#[test]
fn with_one_answer_to_each_image_the_answer_is_the_label() {
    let labels = ["dog", "cat", "neither"];
    let real = images("images", 60);
    let pages: Vec<Assignment> = (0..4)
        .map(|worker| {
            let answers = real.iter().enumerate().skip(worker).step_by(4);
            let answers = answers.map(|(number, image)| {
                // Mostly dogs, and one worker sees cats only.
                let label = labels[number * number % 7 % 3];
                answer(image, if worker == 3 { "cat" } else { label })
            });
            page(
                &format!("A{worker}"),
                &format!("w{worker}"),
                answers.collect(),
            )
        })
        .collect();
    let results = counted(pets(), members(&real, &[]), &pages, Vec::new());
    assert_eq!(
        results.model.method,
        Method::HierarchicalDawidSkene,
        "the default"
    );
    assert_eq!(results.majority_agreement(), Some(1.0));
    let warning = "60 of 60 tasks have fewer than three answers";
    assert!(results.model.warnings[0].starts_with(warning));
    for result in &results.images {
        assert!(result.decision.confidence.unwrap() > 0.5, "{result:?}");
    }
}
