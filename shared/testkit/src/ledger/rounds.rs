//! Rounds.

use futures_util::future::join_all;
use quorate_core::ids::RoundId;
use quorate_core::ports::{Ledger, Write};
use quorate_core::state::{RoundPool, RoundState, SealReason};

use super::{Case, NOON, at, close, definition};

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
    let pool = |id: &str| RoundPool {
        id: id.to_owned(),
        project: "p".to_owned(),
        golden: true,
        campaign: definition(),
        exam_pool: Some("e".to_owned()),
        training: None,
    };
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
async fn open_and_close(
    case: &Case<'_, impl Ledger>,
    number: u32,
) -> quorate_core::ports::PortResult<Write> {
    let (ledger, id) = (case.ledger, case.round(number));
    ledger.open_round(&id, NOON).await.unwrap();
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    ledger.close_round(&id, &close(0)).await.unwrap();
    let pool = RoundPool {
        id: "late".to_owned(),
        project: "p".to_owned(),
        golden: false,
        campaign: definition(),
        exam_pool: None,
        training: None,
    };
    ledger.set_pool(&id, &pool).await
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
