//! The bytes of the result files.

use super::*;
use crate::{Manifest, files, report};
use std::collections::BTreeMap;

/// Compares with the file in `testdata`; `BLESS=1 cargo test` writes it.
#[expect(clippy::disallowed_methods, reason = "who blesses the files says so")]
fn same_as_kept(name: &str, body: &[u8]) {
    let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, body).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(body), kept, "{name} has changed");
}

fn files_of(results: RoundResults) -> Vec<(String, Vec<u8>)> {
    let page = report(&results, &BTreeMap::new()).unwrap();
    let manifest = Manifest::of(&results);
    let files = files(results, page).unwrap();
    let manifest = manifest.with_files(&files).to_json().unwrap();
    let mut all: Vec<_> = files
        .into_iter()
        .map(|file| (file.name.to_owned(), file.body))
        .collect();
    all.push(("_manifest.json".to_owned(), manifest));
    all
}

#[test]
fn files_are_as_kept() {
    for (name, body) in files_of(small_results()) {
        if name == "_manifest.json" {
            // Without digests: that of the report changes with every change of its looks.
            let mut manifest: Manifest = serde_json::from_slice(&body).unwrap();
            assert_eq!(manifest.files.len(), 5);
            manifest.files.clear();
            same_as_kept(&name, &manifest.to_json().unwrap());
        } else if name != "report.html" {
            same_as_kept(&name, &body);
        }
    }
}

#[test]
fn rows_bring_their_fields_along() {
    let mut campaign = pets();
    campaign.fields = vec!["headline".to_owned(), "url".to_owned()];
    let members = (1..=11)
        .rev()
        .map(|number| {
            let mut row = image("rows/news.csv");
            row.id = ImageId::of_row("uploads", &row.key, "v1", number);
            row.row = Some(number);
            let headline = format!("=Number {number}, \"live\"");
            row.content = Content::Row([("headline".to_owned(), headline)].into());
            member(row)
        })
        .collect();
    let members = Members {
        images: members,
        ..Members::default()
    };
    let files = files_of(counted(campaign, members, &[], Vec::new()));
    for (name, body) in files.iter().filter(|(name, _)| name.starts_with("labels.")) {
        same_as_kept(&format!("rows-{name}"), body);
    }
}

#[test]
fn the_order_in_which_pages_come_changes_no_byte() {
    let (members, mut pages, bans) = small_round();
    let kept = files_of(counted(pets(), members.clone(), &pages, bans.clone()));
    pages.reverse();
    // A page that comes twice counts once.
    pages.push(pages[0].clone());
    assert!(files_of(counted(pets(), members, &pages, bans)) == kept);
}

#[test]
fn the_manifest_holds_the_digest_of_every_file() {
    use sha2::Digest as _;
    let mut files = files_of(small_results());
    let (_, manifest) = files.pop().unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    for (entry, (name, body)) in manifest.files.iter().zip(&files) {
        assert_eq!((&entry.name, entry.bytes), (name, body.len() as u64));
        let digest = sha2::Sha256::digest(body);
        assert_eq!(entry.sha256, quorate_core::campaign::hex(&digest));
    }
}

#[test]
fn jsonl_is_one_object_a_line_whatever_the_cells_hold() {
    let mut campaign = pets();
    let evil = "a\nb\"</script>,";
    campaign.labels.push(evil.to_owned());
    let odd = image("images/new\nline.jpg");
    let members = Members {
        images: vec![member(odd.clone())],
        ..Members::default()
    };
    let pages = [page("A1", "ann\r\n", vec![answer(&odd, evil)])];
    let files = files_of(counted(campaign, members, &pages, Vec::new()));
    for (name, body) in files {
        if name == "labels.jsonl" {
            let text = String::from_utf8(body).unwrap();
            let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
            assert_eq!((&line["label"], text.lines().count()), (&evil.into(), 1));
        } else if name.ends_with(".csv") {
            let rows = csv::Reader::from_reader(&*body).into_records().count();
            assert_eq!(rows, 1, "{name}");
        }
    }
}
