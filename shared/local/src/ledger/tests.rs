//! The conformance suite on SQLite, and what only a file can do.

use std::sync::Barrier;

use proptest::prelude::*;
use quorate_core::ports::Admitted;
use quorate_core::state::BatchState;

use super::conformance::{self, Act};
use super::*;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

macro_rules! conforms {
    ($($check:ident),* $(,)?) => {
        $(
            #[test]
            fn $check() {
                block_on(conformance::$check(&SqliteLedger::in_memory().unwrap()));
            }
        )*
    };
}

conforms!(
    a_campaign_is_saved_by_one_writer_at_a_time,
    a_round_goes_one_way,
    a_round_gets_one_pool,
    an_image_is_admitted_once,
    the_same_bytes_have_one_original,
    a_sealed_round_takes_no_uploads,
    money_is_reserved_spent_and_released,
    a_parked_batch_waits_for_money,
    aliases_of_a_parked_batch_count_in_the_round,
    control_images_have_different_bytes,
    control_batches_count_in_an_unfinished_round,
    a_batch_has_one_sender_at_a_time,
    a_batch_is_counted_once,
    a_round_has_one_aggregator_at_a_time,
    listings_are_whole_and_in_order,
    the_longest_due_comes_first,
);

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u32..150).prop_map(Act::Upload),
        1 => Just(Act::Unpark),
        1 => (0u32..=100).prop_map(Act::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_budget_is_never_passed(acts in prop::collection::vec(act(), 1..40)) {
        let ledger = SqliteLedger::in_memory().unwrap();
        block_on(conformance::the_budget_is_never_passed(&ledger, &acts));
    }
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let admission = conformance::admission(conformance::images(0..5));
    let round = block_on(async {
        let ledger = SqliteLedger::open(&path).unwrap();
        conformance::with_open_round(&ledger).await;
        ledger.admit(&admission).await.unwrap();
        ledger.round(&conformance::round(1)).await.unwrap()
    });
    let ledger = SqliteLedger::open(&path).unwrap();
    assert_eq!(
        block_on(ledger.round(&conformance::round(1))).unwrap(),
        round
    );
    let batch = admission.batch.clone().unwrap();
    assert_eq!(block_on(ledger.batch(batch.id)).unwrap(), Some(batch));
    assert_eq!(block_on(ledger.admit(&admission)), Ok(Admitted::Known));
}

/// Two processes (two connections) at once: one of them gets each batch, none gets it twice.
#[test]
fn two_processes_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let ledgers = [(); 2].map(|()| SqliteLedger::open(&path).unwrap());
    block_on(conformance::with_open_round(&ledgers[0]));
    let start = Barrier::new(2);
    let claimed: Vec<usize> = std::thread::scope(|scope| {
        let workers: Vec<_> = ["a", "b"]
            .iter()
            .zip(&ledgers)
            .map(|(writer, ledger)| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    block_on(admit_and_claim(ledger, writer))
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(claimed.iter().sum::<usize>(), 20, "{claimed:?}");
    let round = block_on(ledgers[0].round(&conformance::round(1)));
    let counts = round.unwrap().unwrap().counts;
    assert_eq!((counts.images, counts.batches), (40, 20));
}

/// Both admit the same images and then claim what they can.
async fn admit_and_claim(ledger: &SqliteLedger, writer: &str) -> usize {
    let mut claimed = 0;
    for n in 0..20 {
        let admission = conformance::admission(conformance::images(n * 2..n * 2 + 2));
        ledger.admit(&admission).await.unwrap();
        let id = admission.batch.unwrap().id;
        let claim = ledger.claim_batch(id, writer, Timestamp(i64::MAX - 1), Timestamp(i64::MAX));
        if let Some(batch) = claim.await.unwrap() {
            assert_eq!((batch.fence, batch.state), (1, BatchState::Ready));
            claimed += 1;
        }
    }
    claimed
}

#[test]
fn a_newer_ledger_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteLedger::open(&path).unwrap_err().to_string();
    assert!(error.contains("format 99"), "{error}");
    assert!(error.contains("ledger.sqlite"), "{error}");
}

#[test]
fn a_file_that_is_no_ledger_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "these are my notes, do not overwrite them. ".repeat(50),
    )
    .unwrap();
    let error = SqliteLedger::open(&path).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}
