//! The conformance suite on the simulated ledger, and that it notices what a broken one leaves out.

use futures_util::FutureExt as _;

use super::*;
use crate::ledger::{self, Case, NOON, at, tasks};

/// The output of a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn run(check: impl AsyncFnOnce(&SimLedger)) {
    now(check(&SimLedger::new()));
}

crate::ledger_checks!(run);

/// Makes a test that a check fails on a ledger that leaves something out.
macro_rules! noticed {
    ($($name:ident: $omission:ident is noticed by $check:ident;)*) => {$(
        #[test]
        #[should_panic = "assertion"]
        fn $name() {
            let ledger = SimLedger::without(Omission::$omission);
            now(ledger::$check(&Case::new(&ledger, "cells")));
        }
    )*};
}

noticed! {
    a_batch_without_fence: Fence is noticed by a_batch_has_one_sender_at_a_time;
    a_round_without_fence: Fence is noticed by a_round_has_one_aggregator_at_a_time;
    no_condition_on_images: ImageCondition is noticed by an_image_is_admitted_once;
    closing_what_is_not_done: Drained is noticed by money_is_reserved_spent_and_released;
    counting_an_end_twice: CountOnce is noticed by a_batch_is_counted_once;
    counting_an_admission_twice: CountOnce is noticed by an_image_is_admitted_once;
    keeping_what_was_reserved: Release is noticed by money_is_reserved_spent_and_released;
    claiming_what_is_listed: BaseItem is noticed by a_stale_list_of_batches_does_no_harm;
    claiming_what_is_leased: BaseItem is noticed by a_batch_has_one_sender_at_a_time;
}

#[test]
fn what_may_lag_lags_until_it_catches_up() {
    let ledger = SimLedger::new();
    let case = Case::new(&ledger, "cells");
    now(case.open());
    let admissions = [0, 2, 4].map(|n| Admission {
        claim_content: false,
        ..case.admission(case.images(n..n + 2))
    });
    let [first, second, third] = &admissions;
    let id = |admission: &Admission| admission.batch.as_ref().unwrap().id;
    now(ledger.admit(first)).unwrap();
    now(ledger.park(second)).unwrap();
    ledger.freeze_index();
    now(ledger.admit(third)).unwrap();
    let parked = now(ledger.batch(id(second))).unwrap().unwrap();
    now(ledger.unpark(&parked, &case.round(1), None, at(1))).unwrap();
    now(ledger.claim_batch(id(first), "w", at(1), at(60))).unwrap();
    now(ledger.finish_batch(id(first), 1, &tasks(2))).unwrap();

    let ids: Vec<ImageId> = case.images(0..6).iter().map(|image| image.id).collect();
    let lists = || {
        let due = now(ledger.due_batches(at(1), 9)).unwrap();
        let parked = now(ledger.parked(&case.campaign)).unwrap();
        (due, parked, now(ledger.known_images(&ids)).unwrap())
    };
    let known = |range: std::ops::Range<usize>| ids[range].iter().copied().collect();
    let (due, waiting) = (vec![id(first)], vec![id(second)]);
    assert_eq!(lists(), (due, waiting, known(0..4)));
    // What is asked for by its key is there at once.
    assert!(now(ledger.image(ids[5])).unwrap().is_some());
    ledger.freeze_index();
    let due = vec![id(third), id(second)];
    assert_eq!(lists(), (due.clone(), vec![], known(0..6)));
    now(ledger.claim_batch(id(third), "w", at(1), at(60))).unwrap();
    assert_eq!(lists(), (due, vec![], known(0..6)));
    ledger.catch_up();
    assert_eq!(lists(), (vec![id(second)], vec![], known(0..6)));
}

#[test]
fn a_fork_goes_its_own_way_and_can_be_aggregated_again() {
    let ledger = SimLedger::without(Omission::Fence);
    let case = Case::new(&ledger, "cells");
    now(case.open());
    let id = case.round(1);
    let close = Close {
        reason: "EMPTY".to_owned(),
        last_stopped: String::new(),
        at: NOON,
        spent: Decimal::ZERO,
        campaign: None,
    };
    let open = ledger.fork();
    open.forget_aggregation(&id);
    assert_eq!(open.look(Records::clone), ledger.look(Records::clone));
    now(ledger.seal_round(&id, SealReason::Age)).unwrap();
    now(ledger.close_round(&id, &close)).unwrap();
    let closed = ledger.look(Records::clone);
    now(ledger.claim_round(&id, "w", at(1), at(60))).unwrap();
    now(ledger.round_aggregated(&id, 1)).unwrap();
    ledger.freeze_index();

    let fork = ledger.fork();
    fork.forget_aggregation(&id);
    assert_eq!(fork.look(Records::clone), closed);
    assert_eq!(now(fork.unfinished_rounds()), Ok(vec![id.clone()]));
    now(fork.claim_round(&id, "x", NOON, at(60))).unwrap();
    assert_eq!(now(fork.round_aggregated(&id, 2)), Ok(Write::Lost));
    assert_eq!(now(ledger.unfinished_rounds()), Ok(vec![]));
    let admission = case.admission(case.images(0..1));
    assert_eq!(now(fork.admit(&admission)), Ok(Admitted::Sealed));
}

#[test]
fn a_request_is_no_larger_than_the_database_takes() {
    let ledger = SimLedger::new();
    let case = Case::new(&ledger, "cells");
    now(case.open());
    let before = ledger.look(Records::clone);
    let admissions = [
        case.admission(case.images(0..96)),
        case.admission([case.images(0..2), case.images(1..2)].concat()),
        Admission {
            claim_content: false,
            aliases: case.images(1..2),
            ..case.admission(case.images(0..2))
        },
        Admission {
            aliases: case.images(10..58),
            ..case.admission(Vec::new())
        },
    ];
    for admission in admissions {
        assert!(now(ledger.admit(&admission)).is_err());
        assert_eq!(ledger.look(Records::clone), before);
    }
    let parked = case.admission(case.images(0..97));
    assert!(now(ledger.park(&parked)).is_ok());
    let twice = [case.images(0..25), case.images(0..1), case.images(0..1)].concat();
    assert!(now(ledger.put_images(&twice)).is_err());
    assert_eq!(ledger.look(|it| it.images.len()), 25, "the first chunk");
}
