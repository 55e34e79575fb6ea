//! What holds for every round.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use quorate_core::campaign::Method;

const METHODS: [Method; 10] = [
    Method::HierarchicalDawidSkene,
    Method::MajorityVote,
    Method::GoldMajorityVote,
    Method::Wawa,
    Method::ZeroBasedSkill,
    Method::DawidSkene,
    Method::OneCoinDawidSkene,
    Method::Glad,
    Method::Mace,
    Method::Mmsr,
];

/// A page: worker, status, reward in mills, and (task, label, carries its image's id) of each task.
type Drawn = (u8, bool, i64, Vec<(usize, usize, bool)>);

fn drawn_pages() -> impl Strategy<Value = Vec<Drawn>> {
    let tasks = prop::collection::vec((0..14_usize, 0..4_usize, any::<bool>()), 0..5);
    prop::collection::vec((0..5_u8, any::<bool>(), 5..97_i64, tasks), 0..30)
}

/// Tasks 0 to 7 are of images, 8 of a refused one, 9 to 11 golden, 12 and 13 of nobody.
fn drawn_round(pages: &[Drawn]) -> (Members, Vec<Assignment>) {
    let images: Vec<Image> = (0..9).map(|i| image(&format!("images/{i}.jpg"))).collect();
    let golden: Vec<Image> = (0..3)
        .map(|i| image(&format!("golden/cat/{i}.jpg")))
        .collect();
    let strange = [image("strange/1.jpg"), image("strange/2.jpg")];
    let all: Vec<&Image> = images.iter().chain(&golden).chain(&strange).collect();
    let labels = ["dog", "cat", "neither", "none of them"];
    let pages = pages.iter().enumerate();
    let pages = pages.map(|(number, (worker, paid, mills, tasks))| {
        let answers = tasks.iter().map(|&(task, label, by_image)| {
            let mut answer = answer(all[task], labels[label]);
            answer.image = answer.image.filter(|_| by_image);
            answer.known = None;
            answer
        });
        let mut page = page(
            &format!("A{number}"),
            &format!("w{worker}"),
            answers.collect(),
        );
        page.reward = Decimal::new(*mills, 3);
        page.status = if *paid { "ACCEPTED" } else { "SUBMITTED" }.to_owned();
        page
    });
    let pages = pages.collect();
    let mut copy = image("images/copy.jpg");
    copy.same_as = Some(images[0].id);
    let mut members = Members {
        images: images.into_iter().map(member).collect(),
        golden: golden.into_iter().map(member).collect(),
        aliases: vec![copy],
        ..Members::default()
    };
    members.images[8].outcome = Some(Outcome::Refused("no".to_owned()));
    (members, pages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_image_has_one_row_and_every_cent_an_image(
        drawn in drawn_pages(), method in prop::sample::select(&METHODS[..])
    ) {
        let (members, pages) = drawn_round(&drawn);
        let mut campaign = pets();
        campaign.aggregation.method = method;
        let results = counted(campaign, members, &pages, Vec::new());

        let names: BTreeSet<String> = results.images.iter().map(|i| i.image.name()).collect();
        prop_assert_eq!(names.len(), 10);
        prop_assert_eq!(results.images.len(), 10);
        for image in &results.images {
            let decision = &image.decision;
            prop_assert_ne!(decision.label.is_some(), decision.reason.is_some());
            prop_assert_eq!(decision.label.is_some(), decision.answers > 0);
            prop_assert!(decision.confidence.is_none_or(|share| (0.2..=1.0).contains(&share)));
            prop_assert_eq!(decision.votes.values().sum::<u32>(), decision.answers);
        }

        let paid: Decimal = pages.iter().filter(|p| p.status == "ACCEPTED").map(|p| p.reward).sum();
        let shares: Decimal = results.images.iter().map(|image| image.cost).sum();
        prop_assert_eq!(shares, results.cost);
        prop_assert_eq!(results.cost, paid * Decimal::new(12, 1));

        let own = results.images.iter().filter(|i| i.image.same_as.is_none());
        let votes: u64 = own.map(|image| u64::from(image.decision.answers)).sum();
        prop_assert_eq!(votes, results.answers);
        let all: usize = pages.iter().map(|page| page.answers.len()).sum();
        let counted = results.answers + results.golden.answers + results.unused_answers;
        prop_assert_eq!(counted, all as u64);
    }
}

#[test]
fn control_tasks_never_vote() {
    let (real, golden) = (image("images/a.jpg"), image("golden/dog/g.jpg"));
    let mut marked = answer(&real, "cat");
    marked.known = Some("cat".to_owned());
    let mut by_task_alone = answer(&golden, "cat");
    (by_task_alone.image, by_task_alone.known) = (None, None);
    let members = Members {
        images: vec![member(real)],
        golden: vec![member(golden)],
        ..Members::default()
    };
    let pages = [
        // A task of the image that somebody made a control task.
        page("A1", "ann", vec![marked]),
        // A control task that is only known by its id.
        page("A2", "bob", vec![by_task_alone]),
    ];
    let results = counted(pets(), members, &pages, Vec::new());
    assert_eq!((results.answers, results.golden.answers), (0, 2));
    assert_eq!(results.images.len(), 1, "no row for the golden image");
    assert_eq!(results.images[0].decision.label, None);
    assert_eq!(results.golden.right, 1);
}

#[test]
fn control_tasks_teach_whom_to_trust() {
    // Two against one on every image, but the two are wrong on every control task.
    let golden: Vec<Image> = (0..12)
        .map(|i| image(&format!("golden/{}/{i}.jpg", ["dog", "cat"][i % 2])))
        .collect();
    let real = image("images/a.jpg");
    let wrong = |known: &str| if known == "dog" { "cat" } else { "dog" };
    let work = |id: &str, worker: &str, good: bool| {
        let on_golden = golden.iter().map(|image| {
            let known = image.known.as_deref().unwrap();
            answer(image, if good { known } else { wrong(known) })
        });
        let on_real = answer(&real, if good { "dog" } else { "cat" });
        page(id, worker, on_golden.chain([on_real]).collect())
    };
    let members = Members {
        images: vec![member(real.clone())],
        golden: golden.iter().cloned().map(member).collect(),
        ..Members::default()
    };
    let pages = [
        work("A1", "good", true),
        work("A2", "bad", false),
        work("A3", "worse", false),
    ];
    let results = counted(pets(), members, &pages, Vec::new());
    let decision = decision_on(&results, "images/a.jpg");
    assert_eq!(decision.label.as_deref(), Some("dog"));
    assert_eq!(decision.majority_label.as_deref(), Some("cat"));
    assert_eq!(decision.agreement(), Some(1.0 / 3.0));
}
