//! Tests, and the small round that they share.

mod formats;
mod look;
mod methods;
mod page;
mod properties;
mod use_case;
mod world;

use quorate_core::campaign::{self, Campaign};
use quorate_core::ports::{Assignment, Ban, TaskAnswer};
use quorate_core::state::{Batch, BatchState, Content, Image, Kind, Outcome};
use quorate_core::{BatchId, CampaignName, ImageId, RoundId, Timestamp};
use rust_decimal::Decimal;

use crate::{Decision, Member, Members, RoundResults, Setting, Tally};

pub(crate) fn name() -> CampaignName {
    "pets".parse().unwrap()
}

pub(crate) fn round(number: u32) -> RoundId {
    RoundId {
        campaign: name(),
        number,
    }
}

pub(crate) fn pets() -> Campaign {
    let toml = r#"
        title = "Cat or dog?"
        question = "Which animal is in the picture?"
        instructions = "Choose the animal that is easiest to see."
        labels = ["dog", "cat", "neither"]
        overlap = 3
        images_per_page = 2
        budget = 25
        reward_per_page = 0.05
        minutes_per_page = 10
        [golden]
        per_page = 1
    "#;
    campaign::of_files([Some(toml), None, None, None], fee()).unwrap()
}

/// The platform takes a fifth.
pub(crate) fn fee() -> Decimal {
    Decimal::new(2, 1)
}

pub(crate) fn setting(campaign: Campaign) -> Setting {
    Setting {
        round: round(1),
        campaign,
        close_reason: "COMPLETED".to_owned(),
        fee: fee(),
    }
}

/// The picture under `pets/<path>`.
pub(crate) fn image(path: &str) -> Image {
    let key = format!("pets/{path}");
    let golden = path.strip_prefix("golden/");
    let known = golden.and_then(|path| path.split('/').next());
    Image {
        id: ImageId::of_object("uploads", &key, "v1"),
        campaign: name(),
        version: "v1".to_owned(),
        row: None,
        kind: known.map_or(Kind::Real, |_| Kind::Golden),
        content: Content::Picture,
        known: known.map(str::to_owned),
        sha256: String::new(),
        media_type: "image/jpeg".to_owned(),
        same_as: None,
        key,
    }
}

pub(crate) fn task(image: &Image) -> String {
    format!("task-{}", image.name())
}

/// An image with its task.
pub(crate) fn member(image: Image) -> Member {
    let outcome = Some(Outcome::Task(task(&image)));
    Member { image, outcome }
}

pub(crate) fn answer(image: &Image, label: &str) -> TaskAnswer {
    TaskAnswer {
        task: task(image),
        image: Some(image.id),
        label: Some(label.to_owned()),
        known: image.known.clone(),
    }
}

/// A page that was paid 5 cents for.
pub(crate) fn page(id: &str, worker: &str, answers: Vec<TaskAnswer>) -> Assignment {
    Assignment {
        id: id.to_owned(),
        worker: worker.to_owned(),
        status: "ACCEPTED".to_owned(),
        reward: Decimal::new(5, 2),
        created: "2026-01-01T10:00:00".to_owned(),
        submitted: Some("2026-01-01T10:00:12.5".to_owned()),
        answers,
    }
}

pub(crate) fn batch(kind: Kind, members: &[Member]) -> Batch {
    let images: Vec<Image> = members.iter().map(|m| m.image.clone()).collect();
    Batch {
        id: BatchId::of("pets", images.iter().map(|image| image.id)),
        campaign: name(),
        round: Some(round(1)),
        kind,
        pool: None,
        members: images,
        state: BatchState::Done,
        reserved: Decimal::ONE,
        created: Timestamp(0),
        first_sent: None,
        fence: 1,
        writer: String::new(),
        due: Timestamp(0),
        attempts: 1,
        last_error: None,
        outcomes: members.iter().filter_map(|m| m.outcome.clone()).collect(),
    }
}

/// A round with one of everything: `(members, pages, bans)`.
pub(crate) fn small_round() -> (Members, Vec<Assignment>, Vec<Ban>) {
    let clear = image("images/a.jpg");
    let quoted = image("images/b, \"c\".jpg");
    let formula = image("images/=1+1.jpg");
    let golden = image("golden/dog/g.jpg");
    let mut copy = image("images/z-copy.jpg");
    copy.same_as = Some(clear.id);
    let refused = Member {
        image: image("images/refused.jpg"),
        outcome: Some(Outcome::Refused("VALUE_REQUIRED".to_owned())),
    };
    let both = |first: &str, second: &str, control: &str| {
        vec![
            answer(&clear, first),
            answer(&golden, control),
            answer(&quoted, second),
        ]
    };
    let mut unpaid = page("A4", "=eve()", both("neither", "neither", "cat"));
    unpaid.status = "SUBMITTED".to_owned();
    let pages = vec![
        page("A1", "ann", both("cat", "dog", "dog")),
        page("A2", "bob", both("cat", "dog", "dog")),
        page("A3", "cyd", both("cat", "cat", "dog")),
        unpaid,
        page("A5", "ann", vec![answer(&golden, "dog")]),
    ];
    let members = Members {
        images: vec![
            refused,
            member(quoted.clone()),
            member(clear.clone()),
            member(formula),
        ],
        golden: vec![member(golden.clone())],
        aliases: vec![copy],
        ..Members::default()
    };
    let ban = Ban {
        worker: "=eve()".to_owned(),
        scope: "POOL".to_owned(),
        reason: "control tasks: 0 %".to_owned(),
    };
    (members, pages, vec![ban])
}

pub(crate) fn counted(
    campaign: Campaign,
    members: Members,
    pages: &[Assignment],
    bans: Vec<Ban>,
) -> RoundResults {
    let mut tally = Tally::new(setting(campaign), members).unwrap();
    pages.iter().for_each(|page| tally.add(page).unwrap());
    bans.into_iter().for_each(|ban| tally.ban(ban));
    tally.finish().unwrap()
}

pub(crate) fn small_results() -> RoundResults {
    let (members, pages, bans) = small_round();
    counted(pets(), members, &pages, bans)
}

pub(crate) fn decision_on<'a>(results: &'a RoundResults, path: &str) -> &'a Decision {
    let key = format!("pets/{path}");
    let image = results.images.iter().find(|i| i.image.name() == key);
    &image.unwrap().decision
}
