//! A closed round in a world.

use std::collections::BTreeMap;

use quorate_core::event::{Detail, ProblemKind};
use quorate_core::ports::{Clock, PortError};
use quorate_core::state::{Close, Counts, Round, RoundPool, RoundState};

use super::world::{Memory, run};
use super::*;
use crate::{Error, LEASE, Manifest, aggregate_round};

const MANIFEST: &str = "pets/round=1/_manifest.json";

fn closed(number: u32, pool: bool) -> Round {
    Round {
        id: round(number),
        state: RoundState::Closed,
        opened: Timestamp(0),
        last_upload: Timestamp(0),
        counts: Counts::default(),
        reserved: Decimal::ZERO,
        pool: pool.then(|| RoundPool {
            id: format!("pool-{number}"),
            project: "project".to_owned(),
            golden: true,
            campaign: pets(),
            exam_pool: None,
            training: None,
        }),
        opened_with: 0,
        seal: None,
        close: Some(Close {
            reason: if pool { "COMPLETED" } else { "EMPTY" }.to_owned(),
            last_stopped: String::new(),
            at: Timestamp(0),
            spent: Decimal::ZERO,
            campaign: (!pool).then(|| Box::new(pets())),
        }),
        fence: 0,
        writer: String::new(),
        due: Timestamp(0),
        attempts: 0,
    }
}

/// The small round, closed.
fn world() -> Memory {
    let (members, pages, bans) = small_round();
    let batches = vec![
        batch(Kind::Real, &members.images),
        batch(Kind::Golden, &members.golden),
    ];
    Memory {
        rounds: BTreeMap::from([(round(1), closed(1, true))]).into(),
        batches: [(round(1), batches)].into(),
        aliases: [(round(1), members.aliases)].into(),
        pages,
        bans,
        ..Memory::default()
    }
}

fn aggregate(world: &Memory, number: u32) -> Result<crate::Outcome, Error> {
    run(aggregate_round(world, &round(number)))
}

fn aggregated(outcome: Result<crate::Outcome, Error>) -> Manifest {
    match outcome.unwrap() {
        crate::Outcome::Aggregated(manifest) => *manifest,
        other => panic!("there was something to do: {other:?}"),
    }
}

fn state(world: &Memory, number: u32) -> RoundState {
    world.rounds.lock().unwrap()[&round(number)].state
}

/// What a lease that ran out looks like.
fn lease_ends(world: &Memory) {
    let mut rounds = world.rounds.lock().unwrap();
    rounds
        .values_mut()
        .for_each(|round| round.due = Timestamp(0));
}

fn text(world: &Memory, key: &str) -> String {
    String::from_utf8(world.results.read(key).unwrap()).unwrap()
}

#[test]
fn a_closed_round_becomes_files_an_event_and_an_aggregated_round() {
    let world = world();
    let manifest = aggregated(aggregate(&world, 1));
    assert_eq!(state(&world, 1), RoundState::Aggregated);
    for file in &manifest.files {
        let body = world
            .results
            .read(&format!("pets/round=1/{}", file.name))
            .unwrap();
        assert_eq!(body.len() as u64, file.bytes);
    }
    assert_eq!(
        text(&world, MANIFEST).as_bytes(),
        manifest.to_json().unwrap()
    );
    let told = world.told.lock().unwrap();
    let [event] = told.as_slice() else {
        panic!("{told:?}")
    };
    let Detail::RoundAggregated(event) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!((event.labelled, event.unlabelled), (3, 2));
    assert_eq!(event.manifest, MANIFEST);
    assert_eq!(event.cost, Decimal::new(24, 2));
    assert_eq!(event.golden_accuracy, Some(0.8));
}

#[test]
fn the_world_and_the_pure_steps_make_the_same_results() {
    let world = world();
    let made = aggregated(aggregate(&world, 1));
    let expected = Manifest::of(&small_results());
    assert_eq!(
        Manifest {
            files: Vec::new(),
            ..made
        },
        expected
    );
}

#[test]
fn once_is_enough() {
    let world = world();
    aggregated(aggregate(&world, 1));
    assert_eq!(aggregate(&world, 1).unwrap(), crate::Outcome::NothingToDo);
    assert_eq!(aggregate(&world, 9).unwrap(), crate::Outcome::NothingToDo);
    assert_eq!(world.told.lock().unwrap().len(), 1);
}

#[test]
fn a_round_in_other_hands_is_left_alone() {
    let world = world();
    let until = world.now().plus(LEASE);
    world.rounds.lock().unwrap().get_mut(&round(1)).unwrap().due = until;
    assert_eq!(aggregate(&world, 1).unwrap(), crate::Outcome::NothingToDo);
    assert!(world.results.objects.lock().unwrap().is_empty());
}

#[test]
fn a_crash_after_any_put_is_made_good_by_the_next_attempt() {
    let whole = world();
    aggregated(aggregate(&whole, 1));
    for puts in 0..6 {
        let world = world();
        *world.results.puts_left.lock().unwrap() = Some(puts);
        let failed = aggregate(&world, 1);
        assert!(
            matches!(failed, Err(Error::Port(PortError::Unavailable(_)))),
            "{puts}"
        );
        assert_eq!(
            world.results.read(MANIFEST),
            None,
            "committed without all its files"
        );
        *world.results.puts_left.lock().unwrap() = None;
        lease_ends(&world);
        aggregated(aggregate(&world, 1));
        let objects = world.results.objects.lock().unwrap();
        assert!(*objects == *whole.results.objects.lock().unwrap(), "{puts}");
    }
}

#[test]
fn committed_results_are_never_overwritten() {
    let mut world = world();
    aggregated(aggregate(&world, 1));
    let committed = world.results.objects.lock().unwrap().clone();
    // A crash before the round was marked, and a worker's page that changed since.
    world.rounds = BTreeMap::from([(round(1), closed(1, true))]).into();
    world.pages.pop();
    let manifest = aggregated(aggregate(&world, 1));
    assert_eq!(manifest.to_json().unwrap(), committed[MANIFEST]);
    assert!(*world.results.objects.lock().unwrap() == committed);
    assert_eq!(state(&world, 1), RoundState::Aggregated);
    let told = world.told.lock().unwrap();
    assert_eq!(told[0].id, told[1].id, "the same event again");
}

#[test]
fn a_rival_with_the_same_bytes_is_no_conflict() {
    let first = world();
    aggregated(aggregate(&first, 1));
    let second = world();
    let same = first.results.read(MANIFEST).unwrap();
    *second.results.rival_before.lock().unwrap() = MANIFEST.to_owned();
    second
        .results
        .rival
        .lock()
        .unwrap()
        .insert(MANIFEST.to_owned(), same);
    aggregated(aggregate(&second, 1));
}

#[test]
fn a_rival_with_other_bytes_wins_and_a_person_is_told() {
    let mut other = world();
    other.pages.pop();
    aggregated(aggregate(&other, 1));
    let theirs = other.results.read(MANIFEST).unwrap();

    let world = world();
    *world.results.rival_before.lock().unwrap() = MANIFEST.to_owned();
    let rival = [(MANIFEST.to_owned(), theirs.clone())];
    world.results.rival.lock().unwrap().extend(rival);
    let error = aggregate(&world, 1).unwrap_err();
    assert!(
        matches!(&error, Error::Conflict { manifest } if manifest == MANIFEST),
        "{error}"
    );
    assert_eq!(world.results.read(MANIFEST).unwrap(), theirs);
    assert!(matches!(
        &world.told.lock().unwrap()[0].detail,
        Detail::Problem(problem) if problem.kind == ProblemKind::Stuck
    ));
    lease_ends(&world);
    aggregated(aggregate(&world, 1));
    assert_eq!(state(&world, 1), RoundState::Aggregated);
}

#[test]
fn an_overtaken_writer_stops_writing() {
    let world = world();
    // Their commit comes while we put our first file.
    *world.results.rival_before.lock().unwrap() = "pets/round=1/labels.csv".to_owned();
    let commit = [("pets/round=1/labels.jsonl", "theirs"), (MANIFEST, "{}")];
    let commit = commit.map(|(key, body)| (key.to_owned(), body.into()));
    world.results.rival.lock().unwrap().extend(commit);
    let error = aggregate(&world, 1).unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(text(&world, "pets/round=1/labels.jsonl"), "theirs");
}

/// Round 2 with an alias of `a.jpg` of round 1.
fn with_alias_in_round_2(mut world: Memory) -> Memory {
    let mut again = image("images/again.jpg");
    again.same_as = Some(image("images/a.jpg").id);
    world.aliases.insert(round(2), vec![again]);
    world
        .rounds
        .lock()
        .unwrap()
        .insert(round(2), closed(2, false));
    world.campaign = Some(pets());
    world
}

#[test]
fn an_alias_takes_the_label_of_an_earlier_round() {
    let world = with_alias_in_round_2(world());
    aggregated(aggregate(&world, 1));
    let manifest = aggregated(aggregate(&world, 2));
    assert_eq!((manifest.counts.images, manifest.counts.labelled), (1, 1));
    let (first, second) = (
        text(&world, "pets/round=1/labels.jsonl"),
        text(&world, "pets/round=2/labels.jsonl"),
    );
    let line = |text: &str, name: &str| -> serde_json::Value {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let (original, alias) = (line(&first, "/a.jpg"), line(&second, "again.jpg"));
    for same in [
        "label",
        "confidence",
        "votes",
        "answers",
        "agreement",
        "majority_label",
    ] {
        assert_eq!(original[same], alias[same], "{same}");
    }
    assert_eq!(alias["same_as"], original["image_id"]);
    assert_eq!(alias["cost"], 0.0);
}

#[test]
fn a_round_waits_for_the_earlier_one_without_holding_it_up() {
    let world = with_alias_in_round_2(world());
    assert_eq!(
        aggregate(&world, 2).unwrap(),
        crate::Outcome::WaitsFor(round(1))
    );
    assert!(world.results.objects.lock().unwrap().is_empty());
    aggregated(aggregate(&world, 1));
    // At once: no lease is in the way.
    aggregated(aggregate(&world, 2));
}

#[test]
fn an_alias_of_an_image_that_no_round_has_says_so() {
    let mut world = with_alias_in_round_2(world());
    aggregated(aggregate(&world, 1));
    let alias = &mut world.aliases.get_mut(&round(2)).unwrap()[0];
    alias.same_as = Some(image("images/parked.jpg").id);
    let manifest = aggregated(aggregate(&world, 2));
    assert_eq!(manifest.counts.unlabelled, 1);
    assert!(text(&world, "pets/round=2/labels.csv").contains("wait for the campaign's budget"));
}

#[test]
fn an_alias_of_a_refused_image_has_no_label_and_the_reason() {
    let (mut members, pages, bans) = small_round();
    let refused = members.images[0].image.id;
    members.aliases[0].same_as = Some(refused);
    let results = counted(pets(), members, &pages, bans);
    let decision = decision_on(&results, "images/z-copy.jpg");
    assert_eq!(decision.label, None);
    assert_eq!(
        decision.reason.as_deref(),
        Some(
            "its bytes are those of pets/images/refused.jpg: refused by the crowd: VALUE_REQUIRED"
        )
    );
}

#[test]
fn a_round_without_answers_has_rows_and_reasons() {
    let mut world = world();
    world.pages.clear();
    let manifest = aggregated(aggregate(&world, 1));
    assert_eq!(
        (manifest.counts.labelled, manifest.counts.unlabelled),
        (0, 5)
    );
    assert_eq!(manifest.golden_accuracy, None);
    let labels = text(&world, "pets/round=1/labels.csv");
    assert!(labels.contains("no usable answers before the pool closed (COMPLETED)"));
}

#[test]
fn pictures_come_from_the_uploads_and_broken_ones_do_not_matter() {
    let mut world = world();
    let mut png = std::io::Cursor::new(Vec::new());
    let grey = image::RgbImage::from_pixel(4, 4, image::Rgb([90, 90, 90]));
    grey.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let uploads = [
        ("pets/images/a.jpg", png.into_inner()),
        ("pets/images/b, \"c\".jpg", b"no picture".to_vec()),
    ];
    let uploads = uploads.map(|(key, body)| (key.to_owned(), body));
    world.uploads.objects.lock().unwrap().extend(uploads);
    let forbidden = super::image("images/forbidden.jpg");
    world
        .pages
        .push(page("A9", "ann", vec![answer(&forbidden, "cat")]));
    let batch = batch(Kind::Real, &[member(forbidden)]);
    world.batches.get_mut(&round(1)).unwrap().push(batch);
    aggregated(aggregate(&world, 1));
    let report = text(&world, "pets/round=1/report.html");
    // Once among the disputed, once among its label's.
    assert_eq!(report.matches("src=\"data:image/jpeg;base64,").count(), 2);
    assert!(report.contains("<span>forbidden.jpg</span>"));
}
