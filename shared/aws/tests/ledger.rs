//! The ledger on DynamoDB does what the port says, and costs what we say.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod emulator;
mod table;
mod units;

use quorate_aws::ledger::DynamoLedger;
use quorate_core::event::{Detail, Event, Problem, ProblemKind};
use quorate_core::ports::{Admitted, Ledger as _, PortError, Write};
use quorate_core::state::{Image, SealReason};
use quorate_core::time::Timestamp;
use quorate_testkit::ledger::{Case, NOON, at, tasks};
use uuid::Uuid;

use units::Units;

/// Runs a check on a table of its own.
fn run(check: impl AsyncFnOnce(&DynamoLedger)) {
    emulator::block_on(async {
        let client = emulator::connection().dynamodb();
        let table = table::create(&client).await;
        check(&DynamoLedger::new(client.clone(), &table)).await;
        table::delete(&client, &table).await;
    });
}

quorate_testkit::ledger_checks!(
    #[ignore = "needs an emulator: ./test starts one"]
    run
);

/// Two lives in one table do not meet.
#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn campaigns_share_a_table() {
    use quorate_testkit::ledger::{Act, lives};
    run(async |ledger: &DynamoLedger| {
        let acts = [
            Act::Upload(200),
            Act::Upload(200),
            Act::Turn(10),
            Act::Unpark,
        ];
        let (one, other) = (Case::new(ledger, "cells"), Case::new(ledger, "cells-2"));
        tokio::join!(lives(&one, &acts), lives(&other, &acts));
        let rounds = ledger.unfinished_rounds().await.unwrap();
        let closed_and_open = [one.round(1), one.round(2), other.round(1), other.round(2)];
        assert_eq!(rounds, closed_and_open);
    });
}

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_table_that_does_not_exist_is_named() {
    emulator::block_on(async {
        let name = format!("quorate-test-{}", Uuid::new_v4());
        let ledger = DynamoLedger::new(emulator::connection().dynamodb(), &name);
        let refusal = ledger.check().await.unwrap_err();
        let PortError::Refused(line) = refusal else {
            panic!("{refusal:?}");
        };
        assert!(line.contains(&name), "{line}");
        assert!(line.contains("ResourceNotFoundException"), "{line}");
        let round = "cells/1".parse().unwrap();
        let written = ledger.round_aggregated(&round, 1).await;
        assert!(matches!(written, Err(PortError::Refused(_))));
    });
    run(async |ledger: &DynamoLedger| assert_eq!(ledger.check().await, Ok(())));
}

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn what_was_told_is_remembered_and_the_last_problems_are_listed() {
    let problem = |n: i64| {
        let problem = Problem {
            kind: ProblemKind::Stuck,
            campaign: "cells".to_owned(),
            round: Some(7),
            key: None,
            message: format!("it does not go on: {n}"),
        };
        Event::problem(problem, &n.to_string(), at(n))
    };
    run(async |ledger: &DynamoLedger| {
        let later = Timestamp(NOON.0 + 90 * 24 * 3_600_000);
        assert_eq!(ledger.last_problems(9).await, Ok(Vec::new()));
        for n in [1, 3, 2] {
            assert_eq!(ledger.told(problem(n).id).await, Ok(false));
            for _ in 0..2 {
                ledger.remember_told(&problem(n), later).await.unwrap();
            }
            assert_eq!(ledger.told(problem(n).id).await, Ok(true));
        }
        let closed = Event::pool_closed(&Case::new(ledger, "cells").round(1), at(9));
        ledger.remember_told(&closed, later).await.unwrap();
        assert_eq!(ledger.told(closed.id).await, Ok(true));
        // The index lags on AWS.
        let mut listed = Vec::new();
        while listed.len() < 3 {
            listed = ledger.last_problems(9).await.unwrap();
        }
        assert_eq!(listed, [problem(3), problem(2), problem(1)]);
        assert_eq!(ledger.last_problems(1).await, Ok(vec![problem(3)]));
        let wrong = Event {
            time: "noon".to_owned(),
            ..problem(4)
        };
        assert!(matches!(wrong.detail, Detail::Problem(_)));
        assert!(ledger.remember_told(&wrong, later).await.is_err());
    });
}

/// The way of 1000 images through the ledger, in batches as large as they get. Their keys and
/// hashes are as long as real ones.
#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn an_image_costs_at_most_four_write_units_and_two_read_units() {
    const IMAGES: u32 = 1000;
    const BATCH: usize = 95;
    emulator::block_on(async {
        let client = emulator::connection().dynamodb();
        let table = table::create(&client).await;
        let units = Units::default();
        let ledger = DynamoLedger::new(units.count(&client), &table);
        let case = Case::new(&ledger, "blood-cells");
        case.open().await;
        let (sealed, whole) = (case.round(1), case.images(0..IMAGES));
        let whole: Vec<Image> = whole.into_iter().map(as_uploaded).collect();
        for images in whole.chunks(BATCH) {
            // What create-tasks asks for, and writes.
            let ids: Vec<_> = images.iter().map(|image| image.id).collect();
            assert!(ledger.known_images(&ids).await.unwrap().is_empty());
            ledger.campaign(&case.campaign).await.unwrap().unwrap();
            ledger.round(&sealed).await.unwrap().unwrap();
            let hashes: Vec<String> = images.iter().map(|it| it.sha256.clone()).collect();
            let originals = ledger.originals(&case.campaign, &hashes).await;
            assert!(originals.unwrap().is_empty());
            let admission = case.admission(images.to_vec());
            let admitted = ledger.admit(&admission).await.unwrap();
            assert!(matches!(admitted, Admitted::Done { .. }), "{admitted:?}");
            ledger.put_images(images).await.unwrap();
            // What sends the batch asks for, and writes.
            let id = admission.batch.unwrap().id;
            let claimed = ledger.claim_batch(id, "writer", at(1), at(60)).await;
            let fence = claimed.unwrap().unwrap().fence;
            ledger.round(&sealed).await.unwrap().unwrap();
            let postponed = ledger.postpone_batch(id, fence, at(2), None).await;
            assert_eq!(postponed, Ok(Write::Done));
            let claimed = ledger.claim_batch(id, "writer", at(2), at(60)).await;
            let fence = claimed.unwrap().unwrap().fence;
            let outcomes = tasks(images.len());
            let finished = ledger.finish_batch(id, fence, &outcomes).await;
            assert_eq!(finished, Ok(Write::Done));
        }
        // What aggregate-pool asks for.
        ledger.seal_round(&sealed, SealReason::Size).await.unwrap();
        let (mut after, mut members) = (None, 0);
        loop {
            let page = ledger.round_batches(&sealed, after.as_deref()).await;
            let page = page.unwrap();
            members += page.items.iter().map(|it| it.members.len()).sum::<usize>();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(members, whole.len());
        ledger.round_aliases(&sealed, None).await.unwrap();
        let total = units.total();
        let (writes, reads) = (
            total.writes / f64::from(IMAGES),
            total.reads / f64::from(IMAGES),
        );
        println!("operation            requests     writes      reads\n{units}");
        println!("an image: {writes:.2} write units, {reads:.2} read units");
        assert!(writes > 3.0 && writes <= 4.0, "{writes} write units");
        assert!(reads > 1.0 && reads <= 2.0, "{reads} read units");
        table::delete(&client, &table).await;
    });
}

/// The image with a key, a version and a hash of the length that real ones have.
fn as_uploaded(image: Image) -> Image {
    let random = Uuid::new_v5(&Uuid::NAMESPACE_URL, image.key.as_bytes()).simple();
    Image {
        key: format!("blood-cells/images/2026/slide-0017/{random}.jpg"),
        version: random.to_string(),
        sha256: format!("{random}{}", image.id.0.simple()),
        ..image
    }
}
