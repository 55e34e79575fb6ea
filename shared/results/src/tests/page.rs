//! The report.

use std::collections::BTreeMap;

use super::*;
use crate::{pictures_wanted, report};

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&";

fn page_of(results: &RoundResults) -> String {
    report(results, &BTreeMap::new()).unwrap()
}

/// What a browser would take for tags, without attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split([' ', '>', '\n']).next())
        .collect()
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let plain = "plain";
    let [evil, plain] = [EVIL, plain].map(|text| {
        let mut campaign = pets();
        campaign.title = text.to_owned();
        campaign.question = text.to_owned();
        campaign.instructions = text.to_owned();
        campaign.labels = vec![text.to_owned(), "other".to_owned()];
        let picture = image(&format!("images/{text}"));
        let mut row = image(&format!("rows/{text}"));
        row.content = Content::Row([(text.to_owned(), text.to_owned())].into());
        let golden = image(&format!("golden/{text}/g"));
        let mut golden_answer = answer(&golden, text);
        golden_answer.known = Some(text.to_owned());
        let refused = Member {
            image: image(&format!("images/no-{text}")),
            outcome: Some(Outcome::Refused(text.to_owned())),
        };
        let answers = vec![answer(&picture, text), answer(&row, text), golden_answer];
        let other = vec![answer(&picture, "other"), answer(&row, text)];
        let members = Members {
            images: vec![member(picture), member(row), refused],
            golden: vec![member(golden)],
            ..Members::default()
        };
        let ban = Ban {
            worker: text.to_owned(),
            scope: text.to_owned(),
            reason: text.to_owned(),
        };
        let pages = [page("A1", text, answers), page("A2", "zoe", other)];
        page_of(&counted(campaign, members, &pages, vec![ban]))
    });
    assert!(!evil.contains(EVIL) && !evil.contains("<script") && !evil.contains("\"'>"));
    assert_eq!(tags(&evil), tags(&plain));
    assert!(evil.matches("&#60;script&#62;").count() > 20);
}

#[test]
fn it_is_one_file_without_scripts_and_network() {
    let page = page_of(&small_results());
    assert!(page.contains("default-src 'none'"));
    for outside in [
        "http:", "https:", "url(", "@import", "<script", "<link", " src=",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn it_shows_what_was_decided_and_why() {
    let page = page_of(&small_results());
    for shown in [
        "Cat or dog?",
        "of 5 images, 2 without a label",
        "refused by the crowd: VALUE_REQUIRED",
        "POOL: control tasks: 0 %",
        "4 of 5 answers",
        "$0.24",
        "Hierarchical Dawid-Skene",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn a_picture_is_shown_as_data_and_a_missing_one_by_its_name() {
    let results = small_results();
    let wanted = pictures_wanted(&results);
    assert_eq!(wanted.len(), 2, "the labelled originals");
    let pictures = [(image("images/a.jpg").id, b"jpeg".to_vec())].into();
    let page = report(&results, &pictures).unwrap();
    assert!(page.contains("src=\"data:image/jpeg;base64,anBlZw==\""));
    assert!(page.contains("<span>b, &#34;c&#34;.jpg</span>"));
}

#[test]
fn a_large_round_makes_a_page_of_bounded_size() {
    let images: Vec<Image> = (0..3000)
        .map(|i| image(&format!("images/{i}.jpg")))
        .collect();
    let pages: Vec<Assignment> = images
        .iter()
        .enumerate()
        .map(|(i, image)| {
            page(
                &format!("A{i}"),
                &format!("w{i}"),
                vec![answer(image, "cat")],
            )
        })
        .collect();
    let members = Members {
        images: images.into_iter().map(member).collect(),
        ..Members::default()
    };
    let results = counted(pets(), members, &pages, Vec::new());
    assert_eq!(results.labelled(), 3000);
    assert!(pictures_wanted(&results).len() <= 48);
    assert!(page_of(&results).len() < 400_000);
}
