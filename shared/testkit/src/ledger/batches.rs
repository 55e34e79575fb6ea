//! Batches: claimed, finished, listed.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use quorate_core::ids::{BatchId, ImageId};
use quorate_core::ports::{Admission, Admitted, Ledger, Write};
use quorate_core::state::{Batch, BatchState, Content, Counts, Image, Kind, Outcome, SealReason};

use super::rounds::pool;
use super::{Case, at, close, tasks};
use crate::eventually;

/// Control tasks count as batches of their round, not as images.
pub async fn control_batches_count_in_an_unfinished_round(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let golden = |n: u32| {
        let image = case.control(Kind::Golden, &format!("{n}.png"), &format!("{n}"));
        case.batch(vec![image], 0)
    };
    let add = async |batch: &Batch| ledger.add_control_batch(batch).await;
    assert_eq!(add(&golden(1)).await, Ok(Write::Done));
    assert_eq!(add(&golden(1)).await, Ok(Write::Lost));
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    assert_eq!(add(&golden(2)).await, Ok(Write::Done));
    let exam = Batch {
        round: None,
        pool: Some("exam".to_owned()),
        ..case.batch(vec![case.control(Kind::Exam, "1.png", "c")], 0)
    };
    assert_eq!(add(&exam).await, Ok(Write::Done));
    assert_eq!(ledger.batch(exam.id).await, Ok(Some(exam.clone())));
    case.work_off(1, at(1)).await;
    case.send(exam.id, at(1), at(60)).await;
    let expected = Counts {
        batches: 2,
        batches_done: 2,
        golden_tasks: 2,
        ..Counts::default()
    };
    assert_eq!(case.counts(1).await, expected);
    let stored = ledger.batch(exam.id).await.unwrap().unwrap();
    assert_eq!(stored.state, BatchState::Done);
    assert_eq!(stored.outcomes, tasks(1));

    // What a pool shows is complete before the round has it.
    ledger.set_pool(&id, &pool("1")).await.unwrap();
    assert_eq!(add(&golden(3)).await, Ok(Write::Lost));
    ledger.close_round(&id, &close(0)).await.unwrap();
    assert_eq!(add(&golden(3)).await, Ok(Write::Lost));
    assert_eq!(ledger.batch(golden(3).id).await, Ok(None));
}

/// A lease keeps others away until it runs out; whoever lost it changes nothing any more.
pub async fn a_batch_has_one_sender_at_a_time(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..2));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_batch(id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|batch| batch.fence)
    };
    assert_eq!(claim("a", -1, 60).await, None, "not due");
    assert_eq!(claim("a", 1, 60).await, Some(1));
    assert_eq!(claim("a", 1, 60).await, Some(1), "its reply was lost");
    assert_eq!(claim("a", 2, 61).await, None, "another claim, not due");
    assert_eq!(claim("b", 2, 60).await, None);
    eventually(Vec::new(), async || case.due(&[id], at(59)).await).await;
    eventually(vec![id], async || case.due(&[id], at(60)).await).await;
    assert_eq!(claim("b", 60, 120).await, Some(2), "the lease ran out");

    // The first writer comes back from the dead.
    let finished = ledger.finish_batch(id, 1, &tasks(2)).await;
    assert_eq!(finished, Ok(Write::Lost));
    let postponed = ledger.postpone_batch(id, 1, at(5), None).await;
    assert_eq!(postponed, Ok(Write::Lost));

    let postpone = async |fence, due, error| {
        let postponed = ledger.postpone_batch(id, fence, at(due), error).await;
        postponed.unwrap()
    };
    assert_eq!(postpone(2, 300, Some("busy")).await, Write::Done);
    assert_eq!(postpone(2, 300, Some("busy")).await, Write::Done);
    assert_eq!(claim("c", 299, 400).await, None);
    assert_eq!(claim("c", 300, 400).await, Some(3));
    let batch = ledger.batch(id).await.unwrap().unwrap();
    assert_eq!(batch.first_sent, Some(at(1)));
    assert_eq!((batch.attempts, batch.writer.as_str()), (3, "c"));
    assert_eq!(batch.last_error.as_deref(), Some("busy"));
    assert_eq!(claim("c", 400, 500).await, Some(4), "its own lease ran out");
    assert_eq!(postpone(4, 600, None).await, Write::Done);
    let batch = ledger.batch(id).await.unwrap().unwrap();
    assert_eq!(batch.last_error, None);

    let unknown = case.batch(case.images(7..8), 0).id;
    let claimed = ledger.claim_batch(unknown, "a", at(1), at(60)).await;
    assert_eq!(claimed, Ok(None));
    let finished = ledger.finish_batch(unknown, 1, &tasks(1)).await;
    assert_eq!(finished, Ok(Write::Lost));
}

/// Two sweeps find the same batch at the same time.
pub async fn of_many_claims_one_wins(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..3));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let writers: Vec<String> = (0..8).map(|n| format!("writer {n}")).collect();
    let claim = |writer| ledger.claim_batch(id, writer, at(1), at(60));
    let claims = join_all(writers.iter().map(|writer| claim(writer))).await;
    let won: Vec<&Batch> = claims.iter().flatten().flatten().collect();
    assert_eq!(won.len(), 1, "{claims:?}");
    assert!(claims.iter().all(Result::is_ok), "{claims:?}");
    assert_eq!(won[0].members, case.images(0..3));
    let stored = ledger.batch(id).await.unwrap().unwrap();
    assert_eq!((stored.fence, stored.writer), (1, won[0].writer.clone()));
}

/// What a list of due or parked batches names may have gone on since.
pub async fn a_stale_list_of_batches_does_no_harm(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let Case { ledger, campaign } = case;
    let admissions = [0, 2].map(|n| case.admission(case.images(n..n + 2)));
    let ids = admissions
        .clone()
        .map(|admission| admission.batch.unwrap().id);
    ledger.admit(&admissions[0]).await.unwrap();
    ledger.park(&admissions[1]).await.unwrap();
    eventually(vec![ids[0]], async || case.due(&ids, at(1)).await).await;
    eventually(Ok(vec![ids[1]]), async || ledger.parked(campaign).await).await;
    // Somebody else does it all before we begin with what we listed.
    case.send(ids[0], at(1), at(60)).await;
    let parked = ledger.batch(ids[1]).await.unwrap().unwrap();
    let unpark = async || ledger.unpark(&parked, &case.round(1), None, at(1)).await;
    assert_eq!(unpark().await, Ok(Admitted::Done { images: 4 }));

    let claimed = ledger.claim_batch(ids[0], "late", at(99), at(199)).await;
    assert_eq!(claimed, Ok(None));
    assert_eq!(unpark().await, Ok(Admitted::Known));
    assert_eq!(case.counts(1).await.images, 4);
    // And in the end the lists tell so.
    eventually(vec![ids[1]], async || case.due(&ids, at(999)).await).await;
    eventually(Ok(Vec::new()), async || ledger.parked(campaign).await).await;
}

/// The outcomes of a batch are recorded once, and its round counts them once.
pub async fn a_batch_is_counted_once(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..3));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claimed = ledger.claim_batch(id, "w", at(1), at(60)).await;
    let fence = claimed.unwrap().unwrap().fence;
    assert!(ledger.finish_batch(id, fence, &tasks(2)).await.is_err());
    let mut outcomes = tasks(2);
    outcomes.push(Outcome::Refused("too large".to_owned()));
    let finish = async |outcomes: &[Outcome]| ledger.finish_batch(id, fence, outcomes).await;
    assert_eq!(finish(&outcomes).await, Ok(Write::Done));
    assert_eq!(finish(&outcomes).await, Ok(Write::Done));
    assert_eq!(finish(&tasks(3)).await, Ok(Write::Lost));
    let expected = Counts {
        images: 3,
        batches: 1,
        batches_done: 1,
        tasks: 2,
        refused: 1,
        ..Counts::default()
    };
    assert_eq!(case.counts(1).await, expected);
    let stored = ledger.batch(id).await.unwrap().unwrap();
    assert_eq!(stored.outcomes, outcomes);
    let claimed = ledger.claim_batch(id, "w", at(99), at(199)).await;
    assert_eq!(claimed, Ok(None));
    let postponed = ledger.postpone_batch(id, fence, at(5), None).await;
    assert_eq!(postponed, Ok(Write::Lost));
    eventually(Vec::new(), async || case.due(&[id], at(999)).await).await;
}

/// As many members as an admission has, with all that a row may hold: some 200 kB.
pub async fn a_large_batch_comes_back(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let row = |n: u32| {
        // Digits that do not repeat, so that nobody's compression makes it small.
        let digits: String = (0..52)
            .map(|part| ImageId::of_row("b", "k", &part.to_string(), n.into()).to_string())
            .collect();
        let fields = [
            ("text", digits),
            ("empty", String::new()),
            ("größe", "日本\n\"".to_owned()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Image {
            row: Some(n.into()),
            content: Content::Row(BTreeMap::from(fields)),
            media_type: String::new(),
            ..case.image(&format!("rows.csv#{n}"), &format!("row {n}"))
        }
    };
    let members: Vec<Image> = (1..96).map(row).collect();
    for claim_content in [true, false] {
        let images = match claim_content {
            true => members.clone(),
            false => members.iter().map(again).collect(),
        };
        let admission = Admission {
            claim_content,
            ..case.admission(images.clone())
        };
        let admitted = ledger.admit(&admission).await.unwrap();
        assert!(matches!(admitted, Admitted::Done { .. }), "{admitted:?}");
        ledger.put_images(&images).await.unwrap();
        assert_eq!(
            ledger.image(images[94].id).await,
            Ok(Some(images[94].clone()))
        );
        let batch = admission.batch.unwrap();
        assert_eq!(ledger.batch(batch.id).await, Ok(Some(batch.clone())));
        let claimed = ledger.claim_batch(batch.id, "w", at(1), at(60)).await;
        let claimed = claimed.unwrap().unwrap();
        assert_eq!(claimed.members, images);
        let long = "it is not an image at all. ".repeat(20);
        let outcomes: Vec<Outcome> = (0..95)
            .map(|n| Outcome::Refused(format!("{n}: {long}")))
            .collect();
        let finished = ledger
            .finish_batch(batch.id, claimed.fence, &outcomes)
            .await;
        assert_eq!(finished, Ok(Write::Done));
        let stored = ledger.batch(batch.id).await.unwrap().unwrap();
        assert_eq!((stored.members, stored.outcomes), (images, outcomes));
    }
    let listed = case.batches(1).await;
    assert_eq!(
        listed
            .iter()
            .map(|batch| batch.members.len())
            .sum::<usize>(),
        190
    );
}

/// The same row of another version of its file.
fn again(image: &Image) -> Image {
    Image {
        id: ImageId::of_object("uploads", &image.key, "2"),
        version: "2".to_owned(),
        ..image.clone()
    }
}

/// A round may have more batches than a page.
pub async fn batches_are_listed_whole_and_in_order(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let mut ids = Vec::new();
    for n in 0..120 {
        let admission = case.admission(case.images(n * 2..n * 2 + 2));
        ledger.admit(&admission).await.unwrap();
        ids.push(admission.batch.unwrap().id);
    }
    ids.sort_unstable();
    let batches = case.batches(1).await;
    assert!(batches.iter().all(|batch| batch.members.len() == 2));
    let listed: Vec<BatchId> = batches.iter().map(|batch| batch.id).collect();
    assert_eq!(listed, ids);
    let due = async |limit| ledger.due_batches(at(1), limit).await.unwrap().len();
    eventually(7, async || due(7).await).await;
    assert_eq!(due(0).await, 0);
}

/// Nobody waits behind those who came later.
pub async fn the_longest_due_comes_first(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let mut expected = Vec::new();
    for (n, due) in [(0, 30), (1, 10), (2, 20)] {
        let mut admission = case.admission(case.images(n..n + 1));
        let batch = admission.batch.as_mut().unwrap();
        batch.due = at(due);
        expected.push((due, batch.id));
        case.ledger.admit(&admission).await.unwrap();
    }
    expected.sort_unstable();
    let ids: Vec<BatchId> = expected.into_iter().map(|(_, id)| id).collect();
    eventually(ids.clone(), async || case.due(&ids, at(30)).await).await;
    eventually(ids[..1].to_vec(), async || case.due(&ids, at(19)).await).await;
}

/// Who lost a batch comes back after all is over; so do requests that were under way for long.
pub async fn a_late_writer_changes_nothing(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..2));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_batch(id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|batch| batch.fence)
    };
    let finish = async |fence, outcomes: &[Outcome]| {
        let finished = ledger.finish_batch(id, fence, outcomes).await;
        finished.unwrap()
    };
    assert_eq!(claim("a", 1, 60).await, Some(1));
    assert_eq!(claim("b", 60, 120).await, Some(2));
    assert_eq!(claim("a", 61, 60).await, None, "its first claim again");
    assert_eq!(finish(1, &tasks(2)).await, Write::Lost);
    assert_eq!(finish(3, &tasks(2)).await, Write::Lost, "nobody's fence");
    assert_eq!(finish(2, &tasks(2)).await, Write::Done);

    let (batch, counts) = (ledger.batch(id).await, case.counts(1).await);
    let mut others = tasks(2);
    others.reverse();
    for (fence, outcomes) in [(1, &tasks(2)), (1, &others), (2, &others), (3, &tasks(2))] {
        assert_eq!(finish(fence, outcomes).await, Write::Lost);
    }
    for fence in [1, 2, 3] {
        let postponed = ledger.postpone_batch(id, fence, at(5), Some("late")).await;
        assert_eq!(postponed, Ok(Write::Lost));
    }
    for (writer, now, until) in [("a", 1, 60), ("b", 60, 120), ("c", 999, 1099)] {
        assert_eq!(claim(writer, now, until).await, None);
    }
    assert_eq!(
        finish(2, &tasks(2)).await,
        Write::Done,
        "its reply was lost"
    );
    let admission = case.admission(case.images(0..2));
    assert_eq!(ledger.admit(&admission).await, Ok(Admitted::Known));
    assert_eq!(ledger.park(&admission).await, Ok(Admitted::Known));
    assert_eq!(ledger.batch(id).await, batch);
    assert_eq!(case.counts(1).await, counts);
}

/// A lease that ran out keeps nobody away, but what was done under it counts as long as nobody else
/// began.
pub async fn a_fence_holds_until_the_next_claim(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..1));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let claim = async |now, until| {
        let claimed = ledger.claim_batch(id, "w", at(now), at(until)).await;
        claimed.unwrap().map(|batch| batch.fence)
    };
    let postpone = async |fence, due| {
        let postponed = ledger.postpone_batch(id, fence, at(due), None).await;
        postponed.unwrap()
    };
    assert_eq!(claim(1, 60).await, Some(1));
    assert_eq!(postpone(1, 30).await, Write::Done);
    assert_eq!(claim(2, 60).await, None, "it was given back");
    assert_eq!(postpone(1, 40).await, Write::Done, "and later again");
    assert_eq!(claim(39, 99).await, None);
    assert_eq!(claim(40, 99).await, Some(2));
    assert_eq!(postpone(1, 50).await, Write::Lost);
    assert_eq!(postpone(2, 70).await, Write::Done);
    let finished = ledger.finish_batch(id, 2, &tasks(1)).await;
    assert_eq!(finished, Ok(Write::Done));
    assert_eq!(case.counts(1).await.batches_done, 1);
}

/// The same writer asks many times at once, and not always for the same.
pub async fn of_many_ends_of_a_batch_one_counts(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..2));
    ledger.admit(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    ledger.claim_batch(id, "w", at(1), at(60)).await.unwrap();
    let refused = Outcome::Refused("no such image".to_owned());
    let some = [tasks(1), vec![refused]].concat();
    let ends: Vec<Vec<Outcome>> = (0..8)
        .map(|n| if n % 2 == 0 { tasks(2) } else { some.clone() })
        .collect();
    let finished = join_all(ends.iter().map(|end| ledger.finish_batch(id, 1, end))).await;
    let stored = ledger.batch(id).await.unwrap().unwrap().outcomes;
    for (end, finished) in ends.iter().zip(finished) {
        let expected = if *end == stored {
            Write::Done
        } else {
            Write::Lost
        };
        assert_eq!(finished, Ok(expected));
    }
    let counts = case.counts(1).await;
    assert_eq!((counts.batches_done, counts.tasks + counts.refused), (1, 2));
    let made = if stored == some { 1 } else { 2 };
    assert_eq!(counts.tasks, made);
}

/// Writers who open a pool at the same time send its control tasks once.
pub async fn of_many_control_batches_one_counts(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let golden = case.control(Kind::Golden, "1.png", "a");
    let batch = case.batch(vec![golden], 0);
    let added = join_all((0..8).map(|_| case.ledger.add_control_batch(&batch))).await;
    let count = |wanted| added.iter().filter(|it| **it == Ok(wanted)).count();
    assert_eq!((count(Write::Done), count(Write::Lost)), (1, 7));
    assert_eq!(case.counts(1).await.batches, 1);
    assert_eq!(case.batches(1).await, [batch]);
}
