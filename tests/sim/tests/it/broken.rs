//! Pipelines that are broken on purpose: a thousand schedules must notice each.

use quorate_sim::choices::Choices;
use quorate_sim::run::{Broken, Setting, run};
use quorate_testkit::sim::Omission;

/// Schedules within which it must be noticed.
const SCHEDULES: u64 = 1000;

/// The first failure of a broken pipeline.
fn caught(broken: Broken) -> String {
    let setting = Setting {
        broken: Some(broken),
        ..Setting::default()
    };
    let mut failures = (0..SCHEDULES).filter_map(|seed| {
        let outcome = run(Choices::seeded(seed), &setting);
        outcome
            .failure
            .map(|failure| format!("seed {seed}: {failure}"))
    });
    let Some(failure) = failures.next() else {
        panic!("{SCHEDULES} schedules did not notice {broken:?}");
    };
    failure
}

macro_rules! each_is_caught {
    ($($name:ident: $broken:expr, $says:literal;)*) => {
        $(#[test]
        fn $name() {
            let failure = caught($broken);
            assert!(failure.contains($says), "{failure}");
        })*
    };
}

each_is_caught! {
    without_a_fence: Broken::Ledger(Omission::Fence), "under fence";
    without_a_condition_on_the_image: Broken::Ledger(Omission::ImageCondition), "two tasks";
    with_a_fresh_operation_id_for_each_try: Broken::FreshOperationIds, "two tasks";
    with_messages_acknowledged_before_the_intent: Broken::AcknowledgedFirst, "the queue has forgotten";
    with_a_round_that_closes_before_its_batches_are_done: Broken::Ledger(Omission::Drained), "";
    with_the_manifest_before_the_parts: Broken::ManifestFirst, "";
    with_a_counter_that_is_added_to_twice: Broken::Ledger(Omission::CountOnce), "batches";
    with_a_reservation_that_is_never_released: Broken::Ledger(Omission::Release), "";
    with_an_index_that_is_trusted_without_the_base_item: Broken::Ledger(Omission::BaseItem), "";
}
