//! Money: reserved, parked, spent, released.

use futures_util::future::join_all;
use quorate_core::ports::{Admission, Admitted, Ledger, Write};
use quorate_core::state::{Batch, BatchState, Close, Counts, Image, SealReason};
use rust_decimal::Decimal;

use super::{Case, at, close, only};
use crate::eventually;

/// What a round reserves is committed until its close, and then what it spent.
pub async fn money_is_reserved_spent_and_released(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let budget = Some(Decimal::TWO);
    let within = |range| Admission {
        budget,
        ..case.admission(case.images(range))
    };
    ledger.admit(&within(0..1)).await.unwrap();
    ledger.admit(&within(1..2)).await.unwrap();
    let over = Admitted::OverBudget {
        committed: Decimal::TWO,
    };
    assert_eq!(ledger.admit(&within(2..3)).await, Ok(over.clone()));
    assert_eq!(case.counts(1).await.images, 2);
    let reserve = async |budget| ledger.reserve(&id, Decimal::ONE, budget).await;
    assert_eq!(reserve(budget).await, Ok(over));
    assert_eq!(reserve(None).await, Ok(Admitted::Done { images: 2 }));
    assert_eq!(case.committed().await, Decimal::from(3));
    let nowhere = ledger.reserve(&case.round(9), Decimal::ONE, None).await;
    assert!(nowhere.is_err());

    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    assert_eq!(reserve(None).await, Ok(Admitted::Done { images: 2 }));
    let close_as = async |close: &Close| ledger.close_round(&id, close).await;
    assert_eq!(close_as(&close(125)).await, Ok(Write::Lost));
    case.work_off(1, at(1)).await;
    assert_eq!(close_as(&close(125)).await, Ok(Write::Done));
    let later = Close {
        at: at(99),
        ..close(125)
    };
    assert_eq!(close_as(&later).await, Ok(Write::Done));
    let other = Close {
        last_stopped: "2026-01-02T12:00:00".to_owned(),
        ..close(125)
    };
    assert_eq!(close_as(&other).await, Ok(Write::Lost));
    assert_eq!(case.committed().await, Decimal::new(125, 2));
    assert_eq!(reserve(None).await, Ok(Admitted::Sealed));
    let nowhere = ledger.close_round(&case.round(9), &close(0)).await;
    assert_eq!(nowhere, Ok(Write::Lost));
}

/// What is there goes before the seal, and the seal before the budget: whoever asks again for what
/// was done must not be told to do it elsewhere.
pub async fn the_first_reason_is_what_is_there(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let admission = |range| Admission {
        budget: Some(Decimal::ONE),
        ..case.admission(case.images(range))
    };
    let done = Admitted::Done { images: 1 };
    assert_eq!(ledger.admit(&admission(0..1)).await, Ok(done));
    let over = Admitted::OverBudget {
        committed: Decimal::ONE,
    };
    assert_eq!(ledger.admit(&admission(0..1)).await, Ok(Admitted::Known));
    assert_eq!(ledger.admit(&admission(0..2)).await, Ok(Admitted::Known));
    assert_eq!(ledger.admit(&admission(1..2)).await, Ok(over));
    let parked = admission(2..3);
    ledger.park(&parked).await.unwrap();
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    assert_eq!(ledger.admit(&admission(0..1)).await, Ok(Admitted::Known));
    assert_eq!(ledger.admit(&admission(1..2)).await, Ok(Admitted::Sealed));
    let batch = parked.batch.unwrap();
    let unpark = async |round| {
        let budget = Some(Decimal::ONE);
        ledger
            .unpark(&batch, &case.round(round), budget, at(9))
            .await
    };
    assert_eq!(unpark(1).await, Ok(Admitted::Sealed));
    ledger.open_round(&case.round(2), at(1)).await.unwrap();
    let more = ledger.unpark(&batch, &case.round(2), None, at(9)).await;
    assert_eq!(more, Ok(Admitted::Done { images: 1 }));
    assert_eq!(unpark(1).await, Ok(Admitted::Known));
    assert_eq!(unpark(2).await, Ok(Admitted::Known));
}

/// A parked batch is in no round and costs nothing until it is unparked.
pub async fn a_parked_batch_waits_for_money(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let Case { ledger, campaign } = case;
    let late = Admission {
        batch: Some(Batch {
            created: at(5),
            ..case.batch(case.images(2..4), 100)
        }),
        ..case.admission(Vec::new())
    };
    let nothing = Admitted::Done { images: 0 };
    assert_eq!(ledger.park(&late).await, Ok(nothing.clone()));
    let early = case.admission(case.images(0..2));
    assert_eq!(ledger.park(&early).await, Ok(nothing));
    assert_eq!(ledger.park(&early).await, Ok(Admitted::Known));
    assert_eq!(ledger.admit(&early).await, Ok(Admitted::Known));
    assert_eq!(case.counts(1).await, Counts::default());
    assert_eq!(case.committed().await, Decimal::ZERO);

    let ids = [early, late].map(|admission| admission.batch.unwrap().id);
    eventually(Ok(ids.to_vec()), async || ledger.parked(campaign).await).await;
    assert_eq!(case.due(&ids, at(9)).await, []);
    let waiting = ledger.batch(ids[0]).await.unwrap().unwrap();
    assert_eq!((waiting.state, &waiting.round), (BatchState::Parked, &None));
    assert_eq!(waiting.members, case.images(0..2));
    let claimed = ledger.claim_batch(ids[0], "w", at(9), at(99)).await;
    assert_eq!(claimed, Ok(None));

    let half = Decimal::new(5, 1);
    let round = case.round(1);
    let unparked = ledger.unpark(&waiting, &round, Some(half), at(9)).await;
    let over = Admitted::OverBudget {
        committed: Decimal::ZERO,
    };
    assert_eq!(unparked, Ok(over));
    let cheaper = Batch {
        reserved: half,
        ..waiting
    };
    let unpark = async || ledger.unpark(&cheaper, &round, Some(half), at(9)).await;
    assert_eq!(unpark().await, Ok(Admitted::Done { images: 2 }));
    assert_eq!(unpark().await, Ok(Admitted::Known));
    assert_eq!(case.committed().await, half);
    eventually(Ok(vec![ids[1]]), async || ledger.parked(campaign).await).await;
    eventually(vec![ids[0]], async || case.due(&ids, at(9)).await).await;
    let ready = ledger.batch(ids[0]).await.unwrap().unwrap();
    assert_eq!((ready.reserved, ready.round), (half, Some(case.round(1))));
    assert_eq!(case.batches(1).await.len(), 1);

    let second = ledger.batch(ids[1]).await.unwrap().unwrap();
    let age = SealReason::Age;
    ledger.seal_round(&case.round(1), age).await.unwrap();
    let sealed = ledger.unpark(&second, &case.round(1), None, at(9)).await;
    assert_eq!(sealed, Ok(Admitted::Sealed));
    let unknown = case.batch(case.images(7..8), 0);
    let unparked = ledger.unpark(&unknown, &round, None, at(9)).await;
    assert!(unparked.is_err());
}

/// Aliases cost nothing: they do not wait with the batch that they came with.
pub async fn aliases_of_a_parked_batch_count_in_the_round(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let alias = |name: &str, of: u32| {
        let original = case.images(of..of + 1).remove(0);
        Image {
            same_as: Some(original.id),
            ..case.image(name, &original.sha256)
        }
    };
    let parked = Admission {
        aliases: vec![alias("copy.png", 0)],
        ..case.admission(case.images(0..1))
    };
    let done = Admitted::Done { images: 1 };
    assert_eq!(ledger.park(&parked).await, Ok(done));
    assert_eq!(ledger.park(&parked).await, Ok(Admitted::Known));
    assert_eq!(case.counts(1).await.aliases, 1);
    let age = SealReason::Age;
    ledger.seal_round(&case.round(1), age).await.unwrap();
    let late = Admission {
        aliases: vec![alias("copy2.png", 1)],
        ..case.admission(case.images(1..2))
    };
    assert_eq!(ledger.park(&late).await, Ok(Admitted::Sealed));
    let batch = late.batch.unwrap().id;
    assert_eq!(ledger.batch(batch).await, Ok(None));
    let hashes = ["bytes1".to_owned()];
    let claimed = ledger.originals(&case.campaign, &hashes).await.unwrap();
    assert!(claimed.is_empty());
}

/// Uploads that come at once do not pass the budget together.
pub async fn of_many_admissions_the_budget_covers_some(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let admissions: Vec<Admission> = (0..8)
        .map(|n| Admission {
            budget: Some(Decimal::from(3)),
            ..case.admission(case.images(n..n + 1))
        })
        .collect();
    let admitted = join_all(admissions.iter().map(|it| case.ledger.admit(it))).await;
    let over = Admitted::OverBudget {
        committed: Decimal::from(3),
    };
    let is_over = |it: &&Result<Admitted, _>| **it == Ok(over.clone());
    assert_eq!(admitted.iter().filter(is_over).count(), 5, "{admitted:?}");
    assert!(admitted.iter().all(Result::is_ok), "{admitted:?}");
    assert_eq!(case.committed().await, Decimal::from(3));
    assert_eq!(case.counts(1).await.images, 3);
}

/// What was reserved twice because a reply was lost is released once and for all at the close.
pub async fn what_is_reserved_twice_is_released(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let admission = case.admission(case.images(0..1));
    ledger.admit(&admission).await.unwrap();
    let budget = Some(Decimal::from(3));
    let reserve = async |amount| ledger.reserve(&id, amount, budget).await;
    for _ in 0..2 {
        let reserved = reserve(Decimal::ONE).await;
        assert_eq!(
            reserved,
            Ok(Admitted::Done { images: 1 }),
            "up to the budget"
        );
    }
    let over = Admitted::OverBudget {
        committed: Decimal::from(3),
    };
    assert_eq!(reserve(Decimal::new(1, 2)).await, Ok(over));
    let nothing = reserve(Decimal::ZERO).await;
    assert_eq!(nothing, Ok(Admitted::Done { images: 1 }));
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    case.work_off(1, at(1)).await;
    for _ in 0..2 {
        assert_eq!(ledger.close_round(&id, &close(75)).await, Ok(Write::Done));
        assert_eq!(case.committed().await, Decimal::new(75, 2));
    }
}

/// Sweeps that find the same parked batch unpark it once, though not all into the same round; and
/// one that comes later does not begin it anew.
pub async fn of_many_who_unpark_a_batch_one_does(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    ledger.open_round(&case.round(2), at(1)).await.unwrap();
    let admission = case.admission(case.images(0..2));
    ledger.park(&admission).await.unwrap();
    let id = admission.batch.unwrap().id;
    let parked = ledger.batch(id).await.unwrap().unwrap();
    let rounds = [1, 2, 1, 2, 1, 2, 1, 2].map(|number| case.round(number));
    let unpark = |round| ledger.unpark(&parked, round, None, at(9));
    let unparked = join_all(rounds.iter().map(unpark)).await;
    let won = rounds[only(&unparked, Ok(Admitted::Done { images: 2 }))].number;
    let known = unparked.iter().filter(|it| **it == Ok(Admitted::Known));
    assert_eq!(known.count(), 7, "{unparked:?}");

    let lost = 3 - won;
    let counts = case.counts(won).await;
    assert_eq!((counts.images, counts.batches), (2, 1));
    assert_eq!(case.counts(lost).await, Counts::default());
    assert_eq!(case.batches(lost).await, []);
    assert_eq!(case.batches(won).await[0].round, Some(case.round(won)));
    assert_eq!(case.committed().await, Decimal::ONE);

    case.send(id, at(9), at(60)).await;
    let done = ledger.batch(id).await;
    for round in &rounds {
        assert_eq!(unpark(round).await, Ok(Admitted::Known));
    }
    assert_eq!(ledger.batch(id).await, done);
    assert_eq!(case.counts(won).await.batches, 1);
}

/// A batch without aliases is parked whatever becomes of the round: it is in none.
pub async fn a_sealed_round_is_no_reason_not_to_park(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    let park = async |range| ledger.park(&case.admission(case.images(range))).await;
    let nothing = Admitted::Done { images: 0 };
    assert_eq!(park(0..1).await, Ok(nothing.clone()));
    ledger.close_round(&id, &close(0)).await.unwrap();
    assert_eq!(park(1..2).await, Ok(nothing));
    assert_eq!(
        park(0..2).await,
        Ok(Admitted::Known),
        "their bytes are claimed"
    );
    let nowhere = Admission {
        round: case.round(9),
        ..case.admission(case.images(2..3))
    };
    assert!(ledger.park(&nowhere).await.is_err());
    assert_eq!(case.committed().await, Decimal::ZERO);
    assert_eq!(case.counts(1).await, Counts::default());
}
