//! Rounds.

use futures_util::future::join_all;
use quorate_core::ids::RoundId;
use quorate_core::ports::{Admission, Admitted, Ledger, PortResult, Write};
use quorate_core::state::{Close, RoundPool, RoundState, SealReason};
use rust_decimal::Decimal;

use super::{Case, NOON, at, close, definition, only};

impl<L: Ledger> Case<'_, L> {
    /// The campaign's rounds that are not aggregated.
    async fn unfinished(&self) -> Vec<RoundId> {
        let mut rounds = self.ledger.unfinished_rounds().await.unwrap();
        rounds.retain(|round| round.campaign == self.campaign);
        rounds
    }
}

/// `OPEN → SEALED → CLOSED → AGGREGATED`, each once, whoever asks again.
pub async fn a_round_goes_one_way(case: &Case<'_, impl Ledger>) {
    let ledger = case.ledger;
    let id = case.round(1);
    let open = async |number, at| ledger.open_round(&case.round(number), at).await;
    assert_eq!(open(1, NOON).await, Ok(Write::Lost), "no such campaign");
    assert_eq!(ledger.round(&id).await, Ok(None));
    case.open().await;
    assert_eq!(open(1, NOON).await, Ok(Write::Done), "its reply was lost");
    assert_eq!(open(1, at(1)).await, Ok(Write::Lost));
    assert_eq!(open(3, NOON).await, Ok(Write::Lost));
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_round(&id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|round| round.fence)
    };
    assert_eq!(claim("w", 9, 99).await, None);

    let seal = async |reason| ledger.seal_round(&id, reason).await;
    let missing = ledger.seal_round(&case.round(9), SealReason::Idle).await;
    assert_eq!(missing, Ok(Write::Lost));
    assert_eq!(ledger.close_round(&id, &close(0)).await, Ok(Write::Lost));
    assert_eq!(seal(SealReason::Idle).await, Ok(Write::Done));
    assert_eq!(seal(SealReason::Idle).await, Ok(Write::Done));
    assert_eq!(seal(SealReason::Size).await, Ok(Write::Lost));
    assert_eq!(ledger.close_round(&id, &close(0)).await, Ok(Write::Done));
    assert_eq!(seal(SealReason::Idle).await, Ok(Write::Done));
    assert_eq!(seal(SealReason::Age).await, Ok(Write::Lost));
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Lost));

    assert_eq!(claim("w", 9, 99).await, Some(1));
    assert_eq!(case.unfinished().await, std::slice::from_ref(&id));
    let postpone = async |fence| ledger.postpone_round(&id, fence, at(50)).await;
    assert_eq!(postpone(2).await, Ok(Write::Lost));
    assert_eq!(postpone(1).await, Ok(Write::Done));
    assert_eq!(postpone(1).await, Ok(Write::Done));
    assert_eq!(claim("x", 49, 60).await, None);
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Done));
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Done));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Lost));
    assert_eq!(postpone(1).await, Ok(Write::Lost));
    assert_eq!(claim("w", 100, 200).await, None);
    assert_eq!(case.unfinished().await, []);
    let ended = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(ended.state, RoundState::Aggregated);
    assert_eq!(ended.seal, Some(SealReason::Idle));
    assert_eq!(ended.close, Some(close(0)));

    // Ten of them, because 10 comes behind 9.
    for number in 2..=10 {
        assert_eq!(open(number, at(9)).await, Ok(Write::Done));
    }
    let expected: Vec<RoundId> = (2..=10).map(|number| case.round(number)).collect();
    assert_eq!(case.unfinished().await, expected);
    let newest = ledger.campaign(&case.campaign).await.unwrap().unwrap();
    assert_eq!(newest.round, 10);
}

/// Of those who make a pool for a round one gives it its own.
pub async fn a_round_gets_one_pool(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let id = case.round(1);
    let set = async |id: &RoundId, name| ledger.set_pool(id, &pool(name)).await;
    assert_eq!(set(&case.round(9), "1").await, Ok(Write::Lost));
    assert_eq!(set(&id, "1").await, Ok(Write::Done));
    assert_eq!(set(&id, "1").await, Ok(Write::Done));
    assert_eq!(set(&id, "2").await, Ok(Write::Lost));
    let opened = async |id: &RoundId, batches| ledger.pool_opened(id, batches).await;
    assert_eq!(opened(&case.round(9), 3).await, Ok(Write::Lost));
    assert_eq!(opened(&id, 3).await, Ok(Write::Done));
    assert_eq!(opened(&id, 3).await, Ok(Write::Done));
    assert_eq!(opened(&id, 2).await, Ok(Write::Lost));
    let stored = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(stored.pool, Some(pool("1")));
    assert_eq!(stored.opened_with, 3);

    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    assert_eq!(set(&id, "1").await, Ok(Write::Done), "its reply was lost");
    let claimed = ledger.claim_round(&id, "w", at(1), at(60)).await;
    assert_eq!(claimed.unwrap().unwrap().pool, Some(pool("1")));
    assert_eq!(open_and_close(case, 2).await, Ok(Write::Lost));
}

/// Giving a pool to a round that is closed already.
async fn open_and_close(case: &Case<'_, impl Ledger>, number: u32) -> PortResult<Write> {
    let (ledger, id) = (case.ledger, case.round(number));
    ledger.open_round(&id, NOON).await.unwrap();
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    ledger.set_pool(&id, &pool("late")).await
}

pub(super) fn pool(id: &str) -> RoundPool {
    RoundPool {
        id: id.to_owned(),
        project: "p".to_owned(),
        golden: true,
        campaign: definition(),
        exam_pool: Some("e".to_owned()),
        training: None,
    }
}

/// A lease keeps others away until it runs out, and its fence tells who has it.
pub async fn a_round_has_one_aggregator_at_a_time(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_round(&id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|round| (round.fence, round.attempts))
    };
    assert_eq!(claim("a", 1, 60).await, Some((1, 1)));
    assert_eq!(claim("a", 1, 60).await, Some((1, 1)), "its reply was lost");
    assert_eq!(claim("b", 59, 120).await, None);
    assert_eq!(claim("a", 59, 120).await, None);
    assert_eq!(claim("b", 60, 120).await, Some((2, 2)));
    assert_eq!(claim("b", 121, 120).await, Some((2, 2)), "very late");
    assert_eq!(claim("b", 120, 180).await, Some((3, 3)));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Lost));
    assert_eq!(ledger.round_aggregated(&id, 3).await, Ok(Write::Done));
}

/// Writers who find no open round open the next one at the same time, at different instants.
pub async fn of_many_who_open_a_round_one_opens_it(case: &Case<'_, impl Ledger>) {
    let ledger = case.ledger;
    ledger.save_campaign(&case.item(1)).await.unwrap();
    let id = case.round(1);
    let opened = join_all((0..8).map(|n| ledger.open_round(&id, at(n)))).await;
    let done = opened.iter().filter(|it| **it == Ok(Write::Done)).count();
    assert_eq!(done, 1, "{opened:?}");
    let lost = opened.iter().filter(|it| **it == Ok(Write::Lost)).count();
    assert_eq!(lost, 7, "{opened:?}");
}

/// One round is worked off while the next one takes uploads.
pub async fn rounds_overlap_and_do_not_mix(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let [first, second] = [1, 2].map(|number| case.round(number));
    let into = |round: &RoundId, range| Admission {
        round: round.clone(),
        ..case.admission(case.images(range))
    };
    ledger.admit(&into(&first, 0..3)).await.unwrap();
    ledger.seal_round(&first, SealReason::Age).await.unwrap();
    let open = ledger.open_round(&first, NOON).await;
    assert_eq!(open, Ok(Write::Done), "its reply was lost");
    ledger.open_round(&second, at(9)).await.unwrap();
    let open = ledger.open_round(&first, NOON).await;
    assert_eq!(open, Ok(Write::Done), "and it is asked for again");
    ledger.admit(&into(&second, 3..5)).await.unwrap();
    let before = ledger.round(&second).await;

    case.work_off(1, at(1)).await;
    assert_eq!(ledger.reserve(&first, Decimal::ONE, None).await, done(3));
    assert_eq!(case.committed().await, Decimal::from(3));
    let closed = ledger.close_round(&second, &close(10)).await;
    assert_eq!(closed, Ok(Write::Lost), "it is open");
    let closed = ledger.close_round(&first, &close(250)).await;
    assert_eq!(closed, Ok(Write::Done), "more than its batches reserved");
    assert_eq!(case.committed().await, Decimal::new(350, 2));
    assert_eq!(ledger.round(&second).await, before);
    let claimed = ledger.claim_round(&second, "w", at(9), at(60)).await;
    assert_eq!(claimed, Ok(None));
    assert_eq!(case.unfinished().await, [first.clone(), second.clone()]);
    ledger
        .claim_round(&first, "w", at(9), at(60))
        .await
        .unwrap();
    let aggregated = ledger.round_aggregated(&first, 1).await;
    assert_eq!(aggregated, Ok(Write::Done));
    assert_eq!(case.unfinished().await, std::slice::from_ref(&second));

    let sizes = async |number| {
        let batches = case.batches(number).await;
        let sizes = batches.iter().map(|batch| batch.members.len());
        sizes.collect::<Vec<_>>()
    };
    assert_eq!((sizes(1).await, sizes(2).await), (vec![3], vec![2]));
    let (first, second) = (case.counts(1).await, case.counts(2).await);
    assert_eq!((first.images, first.tasks), (3, 3));
    assert_eq!((second.images, second.batches_done), (2, 0));
    // A batch of the one that is closed is none of the one that is not.
    let newest = ledger.campaign(&case.campaign).await.unwrap().unwrap();
    assert_eq!(newest.round, 2);
}

fn done(images: u64) -> PortResult<Admitted> {
    Ok(Admitted::Done { images })
}

/// Whoever comes late to a round, with whatever, changes nothing.
pub async fn an_aggregated_round_stays_as_it_is(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let admission = case.admission(case.images(0..1));
    ledger.admit(&admission).await.unwrap();
    ledger.set_pool(&id, &pool("1")).await.unwrap();
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    case.work_off(1, at(1)).await;
    ledger.close_round(&id, &close(50)).await.unwrap();
    let claim = async |writer, now, until| {
        let claimed = ledger.claim_round(&id, writer, at(now), at(until)).await;
        claimed.unwrap().map(|round| round.fence)
    };
    assert_eq!(claim("a", 1, 60).await, Some(1));
    assert_eq!(claim("b", 60, 120).await, Some(2));
    let postpone = async |fence| ledger.postpone_round(&id, fence, at(5)).await;
    assert_eq!(postpone(1).await, Ok(Write::Lost));
    assert_eq!(claim("a", 61, 60).await, None, "its first claim again");
    assert_eq!(ledger.round_aggregated(&id, 1).await, Ok(Write::Lost));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Done));

    let (stored, committed) = (ledger.round(&id).await, case.committed().await);
    assert_eq!(committed, Decimal::new(50, 2));
    for (writer, now, until) in [("a", 1, 60), ("b", 60, 120), ("c", 999, 1099)] {
        assert_eq!(claim(writer, now, until).await, None);
    }
    for fence in [1, 2, 3] {
        assert_eq!(postpone(fence).await, Ok(Write::Lost));
        let expected = if fence == 2 { Write::Done } else { Write::Lost };
        assert_eq!(ledger.round_aggregated(&id, fence).await, Ok(expected));
    }
    let other = Close {
        last_stopped: "2026-01-02T12:00:00".to_owned(),
        ..close(70)
    };
    assert_eq!(ledger.close_round(&id, &other).await, Ok(Write::Lost));
    let closed = ledger.close_round(&id, &close(70)).await;
    assert_eq!(closed, Ok(Write::Done), "the same close, told again");
    let sealed = ledger.seal_round(&id, SealReason::Size).await;
    assert_eq!(sealed, Ok(Write::Lost));
    assert_eq!(ledger.set_pool(&id, &pool("2")).await, Ok(Write::Lost));
    let reserved = ledger.reserve(&id, Decimal::ONE, None).await;
    assert_eq!(reserved, Ok(Admitted::Sealed));
    assert_eq!(ledger.admit(&admission).await, Ok(Admitted::Known));
    let late = case.admission(case.images(1..2));
    assert_eq!(ledger.admit(&late).await, Ok(Admitted::Sealed));
    assert_eq!(ledger.open_round(&id, at(9)).await, Ok(Write::Lost));
    assert_eq!(ledger.round(&id).await, stored);
    assert_eq!(case.committed().await, committed);
}

/// A claim that was given back is no claim any more; who gave it back may still have been done.
pub async fn a_round_that_was_given_back_is_claimed_anew(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    let claim = async |now, until| {
        let claimed = ledger.claim_round(&id, "w", at(now), at(until)).await;
        claimed.unwrap().map(|round| round.fence)
    };
    assert_eq!(claim(1, 60).await, Some(1));
    let postponed = ledger.postpone_round(&id, 1, at(30)).await;
    assert_eq!(postponed, Ok(Write::Done));
    assert_eq!(claim(2, 60).await, None);
    assert_eq!(claim(30, 99).await, Some(2));
    let postponed = ledger.postpone_round(&id, 2, at(50)).await;
    assert_eq!(postponed, Ok(Write::Done));
    assert_eq!(ledger.round_aggregated(&id, 2).await, Ok(Write::Done));
}

/// Writers who find a round without a pool make one at the same time; all but one are left over.
pub async fn of_many_pools_a_round_has_one(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let pools: Vec<RoundPool> = (0..8).map(|n| pool(&n.to_string())).collect();
    let set = join_all(pools.iter().map(|pool| ledger.set_pool(&id, pool))).await;
    let won = only(&set, Ok(Write::Done));
    let stored = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(stored.pool.as_ref(), Some(&pools[won]));
}

/// A round is sealed for one reason, closes once and is claimed by one, whoever finds it first.
pub async fn of_many_who_move_a_round_one_does(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let admission = case.admission(case.images(0..1));
    ledger.admit(&admission).await.unwrap();
    case.work_off(1, at(1)).await;
    let reasons = [
        SealReason::Size,
        SealReason::Idle,
        SealReason::Age,
        SealReason::Command,
    ];
    let sealed = join_all(reasons.map(|reason| ledger.seal_round(&id, reason))).await;
    let reason = reasons[only(&sealed, Ok(Write::Done))];

    let closes: Vec<Close> = (0..8)
        .map(|n| Close {
            last_stopped: format!("2026-01-01T12:00:0{n}"),
            ..close(n)
        })
        .collect();
    let closed = join_all(closes.iter().map(|it| ledger.close_round(&id, it))).await;
    let close = &closes[only(&closed, Ok(Write::Done))];
    assert_eq!(case.committed().await, close.spent);

    let writers: Vec<String> = (0..8).map(|n| format!("writer {n}")).collect();
    let claim = |writer| ledger.claim_round(&id, writer, at(1), at(60));
    let claims = join_all(writers.iter().map(|writer| claim(writer))).await;
    let claimed: Vec<bool> = claims.into_iter().map(|it| it.unwrap().is_some()).collect();
    let writer = &writers[only(&claimed, true)];
    let stored = ledger.round(&id).await.unwrap().unwrap();
    assert_eq!(stored.seal, Some(reason));
    assert_eq!(stored.close.as_ref(), Some(close));
    assert_eq!((stored.fence, &stored.writer), (1, writer));
}
