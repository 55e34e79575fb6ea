//! What every ledger must do, whatever it is made of. Each check takes an empty ledger.

use std::collections::BTreeSet;

use quorate_core::campaign::{self, Campaign};
use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Admitted, Ledger, Write};
use quorate_core::state::{
    Batch, BatchState, CampaignItem, Close, Content, Counts, Image, Kind, Lease, Outcome,
    RoundPool, RoundState, SealReason,
};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

const NOON: Timestamp = Timestamp(1_767_268_800_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1000)
}

fn cells() -> CampaignName {
    "cells".parse().unwrap()
}

pub(super) fn round(number: u32) -> RoundId {
    RoundId {
        campaign: cells(),
        number,
    }
}

fn definition() -> Campaign {
    campaign::of_files([Some(campaign::TEMPLATE), None, None, None], Decimal::ZERO).unwrap()
}

fn item(revision: u64) -> CampaignItem {
    CampaignItem {
        name: cells(),
        campaign: definition(),
        revision,
        setups: std::collections::BTreeMap::new(),
        lease: None,
        round: 0,
        committed: Decimal::ZERO,
    }
}

/// An image under `key` whose bytes are told by `content`.
fn image(key: &str, content: &str) -> Image {
    Image {
        id: ImageId::of_object("uploads", key, content),
        campaign: cells(),
        key: key.to_owned(),
        version: content.to_owned(),
        row: None,
        kind: Kind::Real,
        content: Content::Picture,
        known: None,
        sha256: content.to_owned(),
        media_type: "image/png".to_owned(),
        same_as: None,
    }
}

fn control(kind: Kind, key: &str, content: &str) -> Image {
    Image {
        kind,
        known: Some("cat".to_owned()),
        ..image(key, content)
    }
}

pub(super) fn images(range: std::ops::Range<u32>) -> Vec<Image> {
    range
        .map(|n| image(&format!("cells/images/{n}.png"), &format!("bytes{n}")))
        .collect()
}

fn batch(members: Vec<Image>, reserved: i64) -> Batch {
    Batch {
        id: BatchId::of("cells", members.iter().map(|image| image.id)),
        campaign: cells(),
        round: Some(round(1)),
        kind: members.first().map_or(Kind::Real, |image| image.kind),
        pool: None,
        members,
        state: BatchState::Ready,
        reserved: Decimal::new(reserved, 2),
        created: NOON,
        first_sent: None,
        fence: 0,
        writer: String::new(),
        due: NOON,
        attempts: 0,
        last_error: None,
        outcomes: Vec::new(),
    }
}

/// Images for round 1 that reserve a dollar.
pub(super) fn admission(members: Vec<Image>) -> Admission {
    Admission {
        batch: Some(batch(members, 100)),
        aliases: Vec::new(),
        round: round(1),
        claim_content: true,
        budget: None,
        at: NOON,
    }
}

fn close(spent: i64) -> Close {
    Close {
        reason: "COMPLETED".to_owned(),
        last_stopped: "2026-01-01T12:00:00".to_owned(),
        at: NOON,
        spent: Decimal::new(spent, 2),
    }
}

fn tasks(count: usize) -> Vec<Outcome> {
    (0..count)
        .map(|n| Outcome::Task(format!("task-{n}")))
        .collect()
}

pub(super) async fn with_open_round(ledger: &impl Ledger) {
    assert_eq!(ledger.save_campaign(&item(1)).await, Ok(Write::Done));
    assert_eq!(ledger.open_round(&round(1), NOON).await, Ok(Write::Done));
}

async fn committed(ledger: &impl Ledger) -> Decimal {
    let item = ledger.campaign(&cells()).await.unwrap().unwrap();
    item.committed
}

async fn counts(ledger: &impl Ledger, number: u32) -> Counts {
    ledger.round(&round(number)).await.unwrap().unwrap().counts
}

/// Sends every batch of a round and records that all of it became tasks.
async fn work_off(ledger: &impl Ledger, now: Timestamp) {
    for id in ledger.due_batches(now, 1000).await.unwrap() {
        let until = now.plus(std::time::Duration::from_secs(60));
        let claimed = ledger.claim_batch(id, "w", now, until).await;
        let claimed = claimed.unwrap().unwrap();
        let outcomes = tasks(claimed.members.len());
        let finished = ledger.finish_batch(id, claimed.fence, &outcomes).await;
        assert_eq!(finished, Ok(Write::Done));
    }
}

pub(super) async fn a_campaign_is_saved_by_one_writer_at_a_time(ledger: &impl Ledger) {
    assert_eq!(ledger.campaign(&cells()).await, Ok(None));
    assert_eq!(ledger.save_campaign(&item(2)).await, Ok(Write::Lost));
    let first = CampaignItem {
        round: 7,
        committed: Decimal::ONE,
        ..item(1)
    };
    assert_eq!(ledger.save_campaign(&first).await, Ok(Write::Done));
    // Rounds and money are not a save's to write.
    assert_eq!(ledger.campaign(&cells()).await, Ok(Some(item(1))));

    let leased = |writer: &str| CampaignItem {
        lease: Some(Lease {
            writer: writer.to_owned(),
            until: at(60),
        }),
        ..item(2)
    };
    assert_eq!(ledger.save_campaign(&leased("a")).await, Ok(Write::Done));
    assert_eq!(ledger.save_campaign(&leased("b")).await, Ok(Write::Lost));
    assert_eq!(ledger.save_campaign(&leased("a")).await, Ok(Write::Done));
    assert_eq!(ledger.campaign(&cells()).await, Ok(Some(leased("a"))));

    let other = CampaignItem {
        name: "birds".parse().unwrap(),
        ..item(1)
    };
    assert_eq!(ledger.save_campaign(&other).await, Ok(Write::Done));
    assert_eq!(ledger.campaigns().await, Ok(vec![other.name, cells()]));
}

pub(super) async fn a_round_goes_one_way(ledger: &impl Ledger) {
    assert_eq!(ledger.open_round(&round(1), NOON).await, Ok(Write::Lost));
    with_open_round(ledger).await;
    assert_eq!(ledger.open_round(&round(1), NOON).await, Ok(Write::Done));
    assert_eq!(ledger.open_round(&round(1), at(1)).await, Ok(Write::Lost));
    assert_eq!(ledger.open_round(&round(3), NOON).await, Ok(Write::Lost));
    assert_eq!(
        ledger.claim_round(&round(1), "w", at(9), at(99)).await,
        Ok(None)
    );

    let id = round(1);
    assert_eq!(ledger.close_round(&id, &close(0)).await, Ok(Write::Lost));
    assert_eq!(
        ledger.seal_round(&id, SealReason::Idle).await,
        Ok(Write::Done)
    );
    assert_eq!(
        ledger.seal_round(&id, SealReason::Idle).await,
        Ok(Write::Done)
    );
    assert_eq!(
        ledger.seal_round(&id, SealReason::Size).await,
        Ok(Write::Lost)
    );
    assert_eq!(ledger.close_round(&id, &close(0)).await, Ok(Write::Done));
    assert_eq!(
        ledger.seal_round(&id, SealReason::Age).await,
        Ok(Write::Lost)
    );
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Lost));

    let claimed = ledger.claim_round(&id, "w", at(9), at(99)).await;
    assert_eq!(claimed.unwrap().unwrap().fence, 1);
    assert_eq!(ledger.unfinished_rounds().await, Ok(vec![id.clone()]));
    assert_eq!(ledger.postpone_round(&id, 2, at(50)).await, Ok(Write::Lost));
    assert_eq!(ledger.postpone_round(&id, 1, at(50)).await, Ok(Write::Done));
    assert_eq!(ledger.claim_round(&id, "x", at(49), at(60)).await, Ok(None));
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Done));
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Done));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Lost));
    assert_eq!(
        ledger.claim_round(&id, "w", at(100), at(200)).await,
        Ok(None)
    );
    assert_eq!(ledger.unfinished_rounds().await, Ok(Vec::new()));
    let ended = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(ended.state, RoundState::Aggregated);
    assert_eq!(ended.seal, Some(SealReason::Idle));
    assert_eq!(ended.close, Some(close(0)));

    assert_eq!(ledger.open_round(&round(2), at(9)).await, Ok(Write::Done));
    assert_eq!(ledger.unfinished_rounds().await, Ok(vec![round(2)]));
    let newest = ledger.campaign(&cells()).await.unwrap().unwrap();
    assert_eq!(newest.round, 2);
}

pub(super) async fn a_round_gets_one_pool(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let pool = |id: &str| RoundPool {
        id: id.to_owned(),
        golden: true,
        campaign: definition(),
        exam_pool: Some("e".to_owned()),
        training: None,
    };
    let id = round(1);
    assert_eq!(
        ledger.set_pool(&round(9), &pool("1")).await,
        Ok(Write::Lost)
    );
    assert_eq!(ledger.set_pool(&id, &pool("1")).await, Ok(Write::Done));
    assert_eq!(ledger.set_pool(&id, &pool("1")).await, Ok(Write::Done));
    assert_eq!(ledger.set_pool(&id, &pool("2")).await, Ok(Write::Lost));
    assert_eq!(ledger.pool_opened(&id, 3).await, Ok(Write::Done));
    assert_eq!(ledger.pool_opened(&id, 3).await, Ok(Write::Done));
    assert_eq!(ledger.pool_opened(&id, 2).await, Ok(Write::Lost));
    let stored = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(stored.pool, Some(pool("1")));
    assert_eq!(stored.opened_with, 3);
}

pub(super) async fn an_image_is_admitted_once(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let first = admission(images(0..3));
    let done = Admitted::Done { images: 3 };
    assert_eq!(ledger.admit(&first).await, Ok(done));
    // Its reply was lost: it looks again, and finds its images.
    assert_eq!(ledger.admit(&first).await, Ok(Admitted::Known));
    let ids: Vec<ImageId> = images(0..4).iter().map(|image| image.id).collect();
    let known = ledger.known_images(&ids).await.unwrap();
    assert_eq!(known, ids[..3].iter().copied().collect::<BTreeSet<_>>());
    assert_eq!(ledger.image(ids[1]).await, Ok(images(1..2).pop()));
    assert_eq!(ledger.image(ids[3]).await, Ok(None));

    // One that overlaps with it writes nothing at all.
    let overlapping = admission(images(2..5));
    assert_eq!(ledger.admit(&overlapping).await, Ok(Admitted::Known));
    assert_eq!(ledger.image(ids[3]).await, Ok(None));
    assert_eq!(counts(ledger, 1).await.images, 3);
    assert_eq!(committed(ledger).await, Decimal::ONE);
}

pub(super) async fn the_same_bytes_have_one_original(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    ledger.admit(&admission(images(0..1))).await.unwrap();
    let copy = image("cells/images/copy.png", "bytes0");
    let again = admission(vec![copy.clone()]);
    assert_eq!(ledger.admit(&again).await, Ok(Admitted::Known));
    let hashes = ["bytes0".to_owned(), "bytes9".to_owned()];
    let originals = ledger.originals(&cells(), &hashes).await.unwrap();
    let original = images(0..1)[0].id;
    assert_eq!(originals, [("bytes0".to_owned(), original)].into());

    let alias = Image {
        same_as: Some(original),
        ..copy.clone()
    };
    let aliases = Admission {
        batch: None,
        aliases: vec![alias.clone()],
        at: at(5),
        ..admission(Vec::new())
    };
    assert_eq!(
        ledger.admit(&aliases).await,
        Ok(Admitted::Done { images: 2 })
    );
    assert_eq!(ledger.admit(&aliases).await, Ok(Admitted::Known));
    let page = ledger.round_aliases(&round(1), None).await.unwrap();
    assert_eq!((page.items, page.next), (vec![alias], None));
    let stored = ledger.round(&round(1)).await.unwrap().unwrap();
    assert_eq!(stored.last_upload, at(5));
    let expected = Counts {
        images: 2,
        aliases: 1,
        batches: 1,
        ..Counts::default()
    };
    assert_eq!(stored.counts, expected);

    // A campaign that does not dedupe neither claims nor minds claims.
    let unclaimed = Admission {
        claim_content: false,
        ..admission(vec![
            image("cells/images/x.png", "bytes0"),
            image("cells/images/y.png", "bytes0"),
        ])
    };
    assert_eq!(
        ledger.admit(&unclaimed).await,
        Ok(Admitted::Done { images: 4 })
    );
    // Another campaign has its own bytes.
    let birds: CampaignName = "birds".parse().unwrap();
    assert!(ledger.originals(&birds, &hashes).await.unwrap().is_empty());
}

pub(super) async fn a_sealed_round_takes_no_uploads(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let first = admission(images(0..2));
    ledger.admit(&first).await.unwrap();
    ledger.seal_round(&round(1), SealReason::Age).await.unwrap();
    let late = admission(images(2..4));
    assert_eq!(ledger.admit(&late).await, Ok(Admitted::Sealed));
    assert!(ledger.image(images(2..3)[0].id).await.unwrap().is_none());
    assert_eq!(committed(ledger).await, Decimal::ONE);
    // What went in before the seal is not sent on to the next round.
    assert_eq!(ledger.admit(&first).await, Ok(Admitted::Known));
    ledger.open_round(&round(2), at(1)).await.unwrap();
    let next = Admission {
        round: round(2),
        ..late
    };
    assert_eq!(ledger.admit(&next).await, Ok(Admitted::Done { images: 2 }));
    let of_next = ledger.round_batches(&round(2), None).await.unwrap();
    assert_eq!(of_next.items[0].round, Some(round(2)));
    assert_eq!(counts(ledger, 1).await.images, 2);
}

pub(super) async fn money_is_reserved_spent_and_released(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let budget = Some(Decimal::TWO);
    let within = |range| Admission {
        budget,
        ..admission(images(range))
    };
    ledger.admit(&within(0..1)).await.unwrap();
    ledger.admit(&within(1..2)).await.unwrap();
    let over = Admitted::OverBudget {
        committed: Decimal::TWO,
    };
    assert_eq!(ledger.admit(&within(2..3)).await, Ok(over.clone()));
    assert_eq!(counts(ledger, 1).await.images, 2);
    assert_eq!(
        ledger.reserve(&round(1), Decimal::ONE, budget).await,
        Ok(over)
    );
    let more = ledger.reserve(&round(1), Decimal::ONE, None).await;
    assert_eq!(more, Ok(Admitted::Done { images: 2 }));
    assert_eq!(committed(ledger).await, Decimal::from(3));

    ledger.seal_round(&round(1), SealReason::Age).await.unwrap();
    assert_eq!(
        ledger.close_round(&round(1), &close(125)).await,
        Ok(Write::Lost)
    );
    work_off(ledger, at(1)).await;
    assert_eq!(
        ledger.close_round(&round(1), &close(125)).await,
        Ok(Write::Done)
    );
    let later = Close {
        at: at(99),
        ..close(125)
    };
    assert_eq!(ledger.close_round(&round(1), &later).await, Ok(Write::Done));
    let other = Close {
        last_stopped: "2026-01-02T12:00:00".to_owned(),
        ..close(125)
    };
    assert_eq!(ledger.close_round(&round(1), &other).await, Ok(Write::Lost));
    assert_eq!(committed(ledger).await, Decimal::new(125, 2));
    let closed = ledger.reserve(&round(1), Decimal::ONE, None).await;
    assert_eq!(closed, Ok(Admitted::Sealed));
}

pub(super) async fn a_parked_batch_waits_for_money(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let late = Admission {
        batch: Some(Batch {
            created: at(5),
            ..batch(images(2..4), 100)
        }),
        ..admission(Vec::new())
    };
    assert_eq!(ledger.park(&late).await, Ok(Admitted::Done { images: 0 }));
    let early = admission(images(0..2));
    assert_eq!(ledger.park(&early).await, Ok(Admitted::Done { images: 0 }));
    assert_eq!(ledger.park(&early).await, Ok(Admitted::Known));
    assert_eq!(ledger.admit(&early).await, Ok(Admitted::Known));
    assert_eq!(counts(ledger, 1).await, Counts::default());
    assert_eq!(committed(ledger).await, Decimal::ZERO);
    assert_eq!(ledger.due_batches(at(9), 10).await, Ok(Vec::new()));

    let ids = ledger.parked(&cells()).await.unwrap();
    let expected = [early, late].map(|admission| admission.batch.unwrap().id);
    assert_eq!(ids, expected);
    let waiting = ledger.batch(ids[0]).await.unwrap().unwrap();
    assert_eq!((waiting.state, &waiting.round), (BatchState::Parked, &None));
    assert_eq!(
        ledger.claim_batch(ids[0], "w", at(9), at(99)).await,
        Ok(None)
    );

    let half = Decimal::new(5, 1);
    let unparked = ledger.unpark(&waiting, &round(1), Some(half), at(9)).await;
    let over = Admitted::OverBudget {
        committed: Decimal::ZERO,
    };
    assert_eq!(unparked, Ok(over));
    let cheaper = Batch {
        reserved: half,
        ..waiting
    };
    let unpark = async || ledger.unpark(&cheaper, &round(1), Some(half), at(9)).await;
    assert_eq!(unpark().await, Ok(Admitted::Done { images: 2 }));
    assert_eq!(unpark().await, Ok(Admitted::Known));
    assert_eq!(committed(ledger).await, half);
    assert_eq!(ledger.parked(&cells()).await, Ok(vec![ids[1]]));
    assert_eq!(ledger.due_batches(at(9), 10).await, Ok(vec![ids[0]]));
    let ready = ledger.batch(ids[0]).await.unwrap().unwrap();
    assert_eq!((ready.reserved, ready.round), (half, Some(round(1))));

    ledger.seal_round(&round(1), SealReason::Age).await.unwrap();
    let second = ledger.batch(ids[1]).await.unwrap().unwrap();
    let sealed = ledger.unpark(&second, &round(1), None, at(9)).await;
    assert_eq!(sealed, Ok(Admitted::Sealed));
}

pub(super) async fn aliases_of_a_parked_batch_count_in_the_round(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let alias = Image {
        same_as: Some(images(0..1)[0].id),
        ..image("cells/images/copy.png", "bytes0")
    };
    let parked = Admission {
        aliases: vec![alias.clone()],
        ..admission(images(0..1))
    };
    assert_eq!(ledger.park(&parked).await, Ok(Admitted::Done { images: 1 }));
    assert_eq!(counts(ledger, 1).await.aliases, 1);
    ledger.seal_round(&round(1), SealReason::Age).await.unwrap();
    let late = Admission {
        aliases: vec![image("cells/images/copy2.png", "bytes1")],
        ..admission(images(1..2))
    };
    assert_eq!(ledger.park(&late).await, Ok(Admitted::Sealed));
    assert!(ledger.image(images(1..2)[0].id).await.unwrap().is_none());
}

pub(super) async fn control_images_have_different_bytes(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let golden = control(Kind::Golden, "cells/golden/cat/1.png", "a");
    assert_eq!(ledger.add_control(&golden).await, Ok(golden.clone()));
    assert_eq!(ledger.add_control(&golden).await, Ok(golden.clone()));
    let leak = control(Kind::Exam, "cells/exam/cat/1.png", "a");
    assert_eq!(ledger.add_control(&leak).await, Ok(golden.clone()));
    assert_eq!(ledger.image(leak.id).await, Ok(None));
    assert!(
        ledger
            .add_control(&image("cells/images/1.png", "z"))
            .await
            .is_err()
    );

    let earlier = control(Kind::Golden, "cells/golden/cat/0.png", "b");
    ledger.add_control(&earlier).await.unwrap();
    let exam = control(Kind::Exam, "cells/exam/cat/0.png", "c");
    ledger.add_control(&exam).await.unwrap();
    let goldens = ledger.controls(&cells(), Kind::Golden).await;
    assert_eq!(goldens, Ok(vec![earlier, golden]));
    assert_eq!(ledger.controls(&cells(), Kind::Exam).await, Ok(vec![exam]));
    // They claim nothing: the same picture may also be work.
    let real = admission(vec![image("cells/images/1.png", "a")]);
    assert_eq!(ledger.admit(&real).await, Ok(Admitted::Done { images: 1 }));
}

pub(super) async fn control_batches_count_in_an_unfinished_round(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let golden = control(Kind::Golden, "cells/golden/cat/1.png", "a");
    let first = batch(vec![golden], 0);
    assert_eq!(ledger.add_control_batch(&first).await, Ok(Write::Done));
    assert_eq!(ledger.add_control_batch(&first).await, Ok(Write::Lost));
    ledger.seal_round(&round(1), SealReason::Age).await.unwrap();
    let second = batch(
        vec![control(Kind::Golden, "cells/golden/cat/2.png", "b")],
        0,
    );
    assert_eq!(ledger.add_control_batch(&second).await, Ok(Write::Done));
    let exam = Batch {
        round: None,
        pool: Some("exam".to_owned()),
        ..batch(vec![control(Kind::Exam, "cells/exam/cat/1.png", "c")], 0)
    };
    assert_eq!(ledger.add_control_batch(&exam).await, Ok(Write::Done));
    work_off(ledger, at(1)).await;
    let expected = Counts {
        batches: 2,
        batches_done: 2,
        golden_tasks: 2,
        ..Counts::default()
    };
    assert_eq!(counts(ledger, 1).await, expected);
    let stored = ledger.batch(exam.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.outcomes),
        (BatchState::Done, tasks(1))
    );

    ledger.close_round(&round(1), &close(0)).await.unwrap();
    let late = batch(
        vec![control(Kind::Golden, "cells/golden/cat/3.png", "d")],
        0,
    );
    assert_eq!(ledger.add_control_batch(&late).await, Ok(Write::Lost));
    assert_eq!(ledger.batch(late.id).await, Ok(None));
}

pub(super) async fn a_batch_has_one_sender_at_a_time(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let admission = admission(images(0..2));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_batch(id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|batch| batch.fence)
    };
    assert_eq!(claim("a", -1, 60).await, None, "not due");
    assert_eq!(claim("a", 1, 60).await, Some(1));
    assert_eq!(
        claim("a", 1, 60).await,
        Some(1),
        "its own claim, reply lost"
    );
    assert_eq!(claim("a", 2, 61).await, None, "another claim, not due");
    assert_eq!(claim("b", 2, 60).await, None);
    assert_eq!(ledger.due_batches(at(59), 10).await, Ok(Vec::new()));
    assert_eq!(ledger.due_batches(at(60), 10).await, Ok(vec![id]));
    assert_eq!(claim("b", 60, 120).await, Some(2), "the lease ran out");

    // The first writer comes back from the dead.
    assert_eq!(ledger.finish_batch(id, 1, &tasks(2)).await, Ok(Write::Lost));
    let postponed = ledger.postpone_batch(id, 1, at(5), None).await;
    assert_eq!(postponed, Ok(Write::Lost));

    let postpone = async || ledger.postpone_batch(id, 2, at(300), Some("busy")).await;
    assert_eq!(postpone().await, Ok(Write::Done));
    assert_eq!(postpone().await, Ok(Write::Done));
    assert_eq!(claim("c", 299, 400).await, None);
    assert_eq!(claim("c", 300, 400).await, Some(3));
    let batch = ledger.batch(id).await.unwrap().unwrap();
    assert_eq!(batch.first_sent, Some(at(1)));
    assert_eq!((batch.attempts, batch.writer.as_str()), (3, "c"));
    assert_eq!(batch.last_error.as_deref(), Some("busy"));
    assert_eq!(claim("c", 400, 500).await, Some(4), "its own lease ran out");
}

pub(super) async fn a_batch_is_counted_once(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let admission = admission(images(0..3));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claimed = ledger.claim_batch(id, "w", at(1), at(60)).await;
    let fence = claimed.unwrap().unwrap().fence;
    assert!(ledger.finish_batch(id, fence, &tasks(2)).await.is_err());
    let mut outcomes = tasks(2);
    outcomes.push(Outcome::Refused("too large".to_owned()));
    let finish = async || ledger.finish_batch(id, fence, &outcomes).await;
    assert_eq!(finish().await, Ok(Write::Done));
    assert_eq!(finish().await, Ok(Write::Done));
    assert_eq!(
        ledger.finish_batch(id, fence, &tasks(3)).await,
        Ok(Write::Lost)
    );
    let expected = Counts {
        images: 3,
        batches: 1,
        batches_done: 1,
        tasks: 2,
        refused: 1,
        ..Counts::default()
    };
    assert_eq!(counts(ledger, 1).await, expected);
    assert_eq!(ledger.claim_batch(id, "w", at(99), at(199)).await, Ok(None));
    let postponed = ledger.postpone_batch(id, fence, at(5), None).await;
    assert_eq!(postponed, Ok(Write::Lost));
    assert_eq!(ledger.due_batches(at(999), 10).await, Ok(Vec::new()));
}

pub(super) async fn a_round_has_one_aggregator_at_a_time(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let id = round(1);
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_round(&id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|round| (round.fence, round.attempts))
    };
    assert_eq!(claim("a", 1, 60).await, Some((1, 1)));
    assert_eq!(claim("a", 1, 60).await, Some((1, 1)));
    assert_eq!(claim("b", 59, 120).await, None);
    assert_eq!(claim("a", 59, 120).await, None);
    assert_eq!(claim("b", 60, 120).await, Some((2, 2)));
    assert_eq!(claim("b", 120, 180).await, Some((3, 3)));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Lost));
    assert_eq!(ledger.round_aggregated(&id, 3).await, Ok(Write::Done));
}

pub(super) async fn listings_are_whole_and_in_order(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let mut ids = Vec::new();
    let mut members = images(0..240).into_iter();
    for _ in 0..120 {
        let admission = admission(members.by_ref().take(2).collect());
        ledger.admit(&admission).await.unwrap();
        ids.push(admission.batch.unwrap().id);
    }
    ids.sort_unstable();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.round_batches(&round(1), after.as_deref()).await;
        let page = page.unwrap();
        assert!(page.items.iter().all(|batch| batch.members.len() == 2));
        listed.extend(page.items.iter().map(|batch| batch.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let due = ledger.due_batches(at(1), 7).await.unwrap();
    assert_eq!(due.len(), 7);
    let too_many: Vec<ImageId> = images(0..101).iter().map(|image| image.id).collect();
    assert!(ledger.known_images(&too_many).await.is_err());
}

pub(super) async fn the_longest_due_comes_first(ledger: &impl Ledger) {
    with_open_round(ledger).await;
    let mut expected = Vec::new();
    for (n, due) in [(0, 30), (1, 10), (2, 20)] {
        let mut admission = admission(images(n..n + 1));
        let batch = admission.batch.as_mut().unwrap();
        batch.due = at(due);
        expected.push((due, batch.id));
        ledger.admit(&admission).await.unwrap();
    }
    expected.sort_unstable();
    let expected: Vec<BatchId> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ledger.due_batches(at(30), 9).await.unwrap(), expected);
    assert_eq!(ledger.due_batches(at(19), 9).await.unwrap(), expected[..1]);
}

/// A step of a random campaign's life.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Images that reserve these cents come; they are parked if the budget is used up.
    Upload(u32),
    /// The parked batches are tried again.
    Unpark,
    /// The open round is sealed and worked off, closes having spent this share (in percent) of its
    /// reservation, and the next one opens.
    Turn(u32),
}

/// The budget is never passed, money and counts always add up, and every image is in one place.
pub(super) async fn the_budget_is_never_passed(ledger: &impl Ledger, acts: &[Act]) {
    with_open_round(ledger).await;
    let budget = Decimal::from(3);
    let (mut number, mut uploads, mut spent) = (1, 0, Decimal::ZERO);
    for act in acts {
        match act {
            Act::Upload(cents) => {
                let members = images(uploads * 2..uploads * 2 + 2);
                uploads += 1;
                let admission = Admission {
                    batch: Some(batch(members, i64::from(*cents))),
                    round: round(number),
                    budget: Some(budget),
                    ..admission(Vec::new())
                };
                if let Admitted::OverBudget { .. } = ledger.admit(&admission).await.unwrap() {
                    ledger.park(&admission).await.unwrap();
                }
            }
            Act::Unpark => {
                for id in ledger.parked(&cells()).await.unwrap() {
                    let batch = ledger.batch(id).await.unwrap().unwrap();
                    let unparked = ledger
                        .unpark(&batch, &round(number), Some(budget), NOON)
                        .await;
                    unparked.unwrap();
                }
            }
            Act::Turn(percent) => {
                let id = round(number);
                ledger.seal_round(&id, SealReason::Size).await.unwrap();
                work_off(ledger, NOON).await;
                let reserved = ledger.round(&id).await.unwrap().unwrap().reserved;
                let close = Close {
                    spent: reserved * Decimal::new(i64::from(*percent), 2),
                    ..close(0)
                };
                spent += close.spent;
                assert_eq!(ledger.close_round(&id, &close).await, Ok(Write::Done));
                number += 1;
                ledger.open_round(&round(number), NOON).await.unwrap();
            }
        }
        check_books(ledger, number, uploads, spent, budget).await;
    }
}

async fn check_books(
    ledger: &impl Ledger,
    number: u32,
    uploads: u32,
    spent: Decimal,
    budget: Decimal,
) {
    let open = ledger.round(&round(number)).await.unwrap().unwrap();
    let committed = committed(ledger).await;
    assert_eq!(committed, spent + open.reserved);
    assert!(committed <= budget, "{committed} of {budget} committed");
    let parked = ledger.parked(&cells()).await.unwrap().len() as u64;
    let mut batches = parked;
    for number in 1..=number {
        let counts = counts(ledger, number).await;
        assert_eq!(counts.images, counts.batches * 2);
        assert_eq!(counts.tasks, counts.batches_done * 2);
        batches += counts.batches;
    }
    assert_eq!(batches, u64::from(uploads));
}
