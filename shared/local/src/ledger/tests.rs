//! The conformance suite on SQLite, and what only a file can do.

use std::sync::Barrier;

use proptest::prelude::*;
use quorate_core::ports::Admitted;
use quorate_core::state::BatchState;
use quorate_testkit::ledger::{Act, Case, lives};

use super::*;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn run(check: impl AsyncFnOnce(&SqliteLedger)) {
    block_on(check(&SqliteLedger::in_memory().unwrap()));
}

quorate_testkit::ledger_checks!(run);

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
    fn no_life_passes_its_budget(acts in prop::collection::vec(act(), 1..40)) {
        run(async |ledger| lives(&Case::new(ledger, "cells"), &acts).await);
    }
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let (admission, round) = block_on(async {
        let ledger = SqliteLedger::open(&path).unwrap();
        let case = Case::new(&ledger, "cells");
        case.open().await;
        let admission = case.admission(case.images(0..5));
        ledger.admit(&admission).await.unwrap();
        (admission, ledger.round(&case.round(1)).await.unwrap())
    });
    let ledger = SqliteLedger::open(&path).unwrap();
    assert_eq!(block_on(ledger.round(&admission.round)).unwrap(), round);
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
    let case = Case::new(&ledgers[0], "cells");
    block_on(case.open());
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
    let round = block_on(ledgers[0].round(&case.round(1)));
    let counts = round.unwrap().unwrap().counts;
    assert_eq!((counts.images, counts.batches), (40, 20));
}

/// Both admit the same images and then claim what they can.
async fn admit_and_claim(ledger: &SqliteLedger, writer: &str) -> usize {
    let case = Case::new(ledger, "cells");
    let mut claimed = 0;
    for n in 0..20 {
        let admission = case.admission(case.images(n * 2..n * 2 + 2));
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
