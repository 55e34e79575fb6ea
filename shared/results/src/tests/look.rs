//! A report to look at: `REPORT_IMAGES=<folder of JPEGs> cargo test -p quorate-results -- --ignored`
//! writes `report.html` into the temporary directory.

use std::collections::BTreeMap;

use super::*;
use crate::{pictures_wanted, report, thumbnail};

#[test]
#[ignore = "needs a folder of pictures; for people to look at"]
#[expect(clippy::disallowed_methods, reason = "who looks names the folder")]
fn a_report_of_real_pictures() {
    let folder = std::path::PathBuf::from(std::env::var("REPORT_IMAGES").unwrap());
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.truncate(64);
    let mut campaign = pets();
    campaign.title = "White blood cells".to_owned();
    campaign.question = "Which kind of white blood cell is in the picture?".to_owned();
    campaign.labels = ["NEUTROPHIL", "EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE"]
        .map(str::to_owned)
        .into();
    let mut members = Members::default();
    for path in &paths {
        let file = path.file_name().unwrap().to_string_lossy();
        members
            .images
            .push(member(image(&format!("images/{file}"))));
    }
    for label in &campaign.labels {
        members
            .golden
            .push(member(image(&format!("golden/{label}/1.jpg"))));
    }
    members.images[7].outcome = Some(Outcome::Refused("VALUE_REQUIRED: image".to_owned()));
    let mut seed = 7_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let mut pages = Vec::new();
    for (number, member) in members.images.iter().enumerate().filter(|(i, _)| *i != 7) {
        for copy in 0..5 {
            let worker = (number + copy * 3) % 13;
            let wrong = if worker == 4 { 70 } else { 6 + worker * 2 };
            let truth = [0, 0, 1, 0, 2, 0, 3, 1][number % 8];
            let mut pick = |right: usize| if draw(100) < wrong { draw(4) } else { right };
            let golden = &members.golden[(number + copy) % 4].image;
            let answers = vec![
                answer(&member.image, &campaign.labels[pick(truth)]),
                answer(golden, &campaign.labels[pick((number + copy) % 4)]),
            ];
            let id = format!("A{number:04}-{copy}");
            let mut sent = page(&id, &format!("worker-{worker:02}"), answers);
            sent.submitted = Some(format!("2026-01-01T1{copy}:{:02}:30", number % 60));
            pages.push(sent);
        }
    }
    let ban = Ban {
        worker: "worker-04".to_owned(),
        scope: "PROJECT".to_owned(),
        reason: "fewer than 60 % of control tasks right".to_owned(),
    };
    let results = counted(campaign, members, &pages, vec![ban]);
    let mut pictures = BTreeMap::new();
    for image in pictures_wanted(&results) {
        let bytes = std::fs::read(folder.join(image.key.rsplit('/').next().unwrap())).unwrap();
        pictures.insert(image.id, thumbnail(&bytes).unwrap());
    }
    let path = std::env::temp_dir().join("report.html");
    std::fs::write(&path, report(&results, &pictures).unwrap()).unwrap();
    println!("{}", path.display());
}
