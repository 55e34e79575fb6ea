//! The conformance suite of [`Ledger`].
//!
//! [`ledger_checks!`](crate::ledger_checks) makes a test of every check.

mod batches;
mod campaigns;
mod images;
mod life;
mod money;
mod rounds;

use std::time::Duration;

use quorate_core::campaign::{self, Campaign};
use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Ledger, Write};
use quorate_core::state::{
    Batch, BatchState, CampaignItem, Close, Content, Counts, Image, Kind, Outcome,
};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

pub use batches::*;
pub use campaigns::*;
pub use images::*;
pub use life::*;
pub use money::*;
pub use rounds::*;

/// When checks begin.
pub const NOON: Timestamp = Timestamp(1_767_268_800_000);
/// More batches than are ever due at once where checks run.
const MANY: usize = 100_000;

/// Makes a test of each check of the suite, by its name. `$run` takes each as an
/// `AsyncFnOnce(&Ledger)`: it makes a ledger and an async runtime and awaits the check.
///
/// ```ignore
/// fn run(check: impl AsyncFnOnce(&MyLedger)) {
///     block_on(check(&MyLedger::new()));
/// }
/// quorate_testkit::ledger_checks!(run);
/// // or, with attributes for every test:
/// quorate_testkit::ledger_checks!(#[ignore = "needs a server"] run);
/// ```
#[macro_export]
macro_rules! ledger_checks {
    ($(#[$attribute:meta])* $run:ident) => {
        $crate::checks!(
            $crate::ledger, [$(#[$attribute])*], $run,
            a_campaign_is_saved_by_one_writer_at_a_time
            a_large_campaign_comes_back
            a_save_leaves_rounds_and_money
            of_many_saves_one_is_taken
            a_round_goes_one_way
            a_round_gets_one_pool
            a_round_has_one_aggregator_at_a_time
            of_many_who_open_a_round_one_opens_it
            rounds_overlap_and_do_not_mix
            an_aggregated_round_stays_as_it_is
            a_round_that_was_given_back_is_claimed_anew
            of_many_pools_a_round_has_one
            of_many_who_move_a_round_one_does
            an_image_is_admitted_once
            images_may_follow_their_admission
            the_same_bytes_have_one_original
            a_sealed_round_takes_no_uploads
            of_many_admissions_of_an_image_one_counts
            admissions_at_once_all_count
            control_images_have_different_bytes
            aliases_are_listed_whole_and_in_order
            uploads_meet_the_seal
            money_is_reserved_spent_and_released
            the_first_reason_is_what_is_there
            a_parked_batch_waits_for_money
            aliases_of_a_parked_batch_count_in_the_round
            of_many_admissions_the_budget_covers_some
            what_is_reserved_twice_is_released
            of_many_who_unpark_a_batch_one_does
            a_sealed_round_is_no_reason_not_to_park
            the_budget_is_never_passed
            control_batches_count_in_an_unfinished_round
            a_batch_has_one_sender_at_a_time
            of_many_claims_one_wins
            a_stale_list_of_batches_does_no_harm
            a_batch_is_counted_once
            a_large_batch_comes_back
            batches_are_listed_whole_and_in_order
            the_longest_due_comes_first
            a_late_writer_changes_nothing
            a_fence_holds_until_the_next_claim
            of_many_ends_of_a_batch_one_counts
            of_many_control_batches_one_counts
        );
    };
}

/// Makes tests of checks: the common part of the suites' macros.
#[doc(hidden)]
#[macro_export]
macro_rules! checks {
    ($suite:path, $attributes:tt, $run:ident, $($check:ident)*) => {
        $($crate::check!($suite, $attributes, $run, $check);)*
    };
}

/// Makes a test of one check.
#[doc(hidden)]
#[macro_export]
macro_rules! check {
    ($suite:path, [$(#[$attribute:meta])*], $run:ident, $check:ident) => {
        #[test]
        $(#[$attribute])*
        fn $check() {
            use $suite as suite;
            $run(async |port: &_| suite::$check(&suite::Case::new(port, stringify!($check))).await);
        }
    };
}

/// A ledger, and a campaign in it that a check has to itself.
#[derive(Debug)]
pub struct Case<'a, L> {
    /// The ledger.
    pub ledger: &'a L,
    /// The campaign.
    pub campaign: CampaignName,
}

/// The instant so many seconds after noon.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1000)
}

fn definition() -> Campaign {
    campaign::of_files([Some(campaign::TEMPLATE), None, None, None], Decimal::ZERO).unwrap()
}

fn close(spent: i64) -> Close {
    Close {
        reason: "COMPLETED".to_owned(),
        last_stopped: "2026-01-01T12:00:00".to_owned(),
        at: NOON,
        spent: Decimal::new(spent, 2),
        campaign: None,
    }
}

/// The outcomes of a batch all of whose members became tasks.
#[must_use]
pub fn tasks(count: usize) -> Vec<Outcome> {
    (0..count)
        .map(|n| Outcome::Task(format!("0000ab12cd--{n:012}")))
        .collect()
}

/// Where the one `wanted` answer is.
fn only<T: PartialEq + std::fmt::Debug>(answers: &[T], wanted: T) -> usize {
    let found: Vec<usize> = (0..answers.len())
        .filter(|at| answers[*at] == wanted)
        .collect();
    assert_eq!(found.len(), 1, "{answers:?}");
    found[0]
}

impl<'a, L: Ledger> Case<'a, L> {
    /// A case whose campaign is called `name`.
    #[must_use]
    pub fn new(ledger: &'a L, name: &str) -> Self {
        let campaign = name.parse().unwrap();
        Self { ledger, campaign }
    }

    /// Round `number` of the campaign.
    #[must_use]
    pub fn round(&self, number: u32) -> RoundId {
        RoundId {
            campaign: self.campaign.clone(),
            number,
        }
    }

    fn item(&self, revision: u64) -> CampaignItem {
        CampaignItem {
            name: self.campaign.clone(),
            campaign: definition(),
            revision,
            setups: std::collections::BTreeMap::new(),
            lease: None,
            swept: None,
            round: 0,
            committed: Decimal::ZERO,
        }
    }

    /// An image called `name` whose bytes are told by `content`.
    fn image(&self, name: &str, content: &str) -> Image {
        let key = format!("{}/images/{name}", self.campaign);
        Image {
            id: ImageId::of_object("uploads", &key, content),
            campaign: self.campaign.clone(),
            key,
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

    fn control(&self, kind: Kind, name: &str, content: &str) -> Image {
        let key = format!("{}/{}/cat/{name}", self.campaign, kind.as_str());
        Image {
            id: ImageId::of_object("uploads", &key, content),
            key,
            kind,
            known: Some("cat".to_owned()),
            ..self.image(name, content)
        }
    }

    /// Images by their numbers, all of different bytes.
    #[must_use]
    pub fn images(&self, range: std::ops::Range<u32>) -> Vec<Image> {
        range
            .map(|n| self.image(&format!("{n}.png"), &format!("bytes{n}")))
            .collect()
    }

    /// A batch of round 1 that reserves `cents`.
    fn batch(&self, members: Vec<Image>, cents: i64) -> Batch {
        Batch {
            id: BatchId::of(self.campaign.as_str(), members.iter().map(|image| image.id)),
            campaign: self.campaign.clone(),
            round: Some(self.round(1)),
            kind: members.first().map_or(Kind::Real, |image| image.kind),
            pool: None,
            members,
            state: BatchState::Ready,
            reserved: Decimal::new(cents, 2),
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
    #[must_use]
    pub fn admission(&self, members: Vec<Image>) -> Admission {
        Admission {
            batch: Some(self.batch(members, 100)),
            aliases: Vec::new(),
            round: self.round(1),
            claim_content: true,
            budget: None,
            at: NOON,
        }
    }

    /// Saves the campaign and opens round 1.
    pub async fn open(&self) {
        let ledger = self.ledger;
        assert_eq!(ledger.save_campaign(&self.item(1)).await, Ok(Write::Done));
        assert_eq!(
            ledger.open_round(&self.round(1), NOON).await,
            Ok(Write::Done)
        );
    }

    async fn committed(&self) -> Decimal {
        let item = self.ledger.campaign(&self.campaign).await;
        item.unwrap().unwrap().committed
    }

    async fn counts(&self, number: u32) -> Counts {
        let round = self.ledger.round(&self.round(number)).await;
        round.unwrap().unwrap().counts
    }

    /// Those of `ids` that are due, in the ledger's order.
    async fn due(&self, ids: &[BatchId], now: Timestamp) -> Vec<BatchId> {
        let mut due = self.ledger.due_batches(now, MANY).await.unwrap();
        due.retain(|id| ids.contains(id));
        due
    }

    /// Sends every batch of a round and records that all of it became tasks.
    async fn work_off(&self, number: u32, now: Timestamp) {
        let until = now.plus(Duration::from_secs(60));
        for batch in self.batches(number).await {
            if batch.state == BatchState::Ready {
                self.send(batch.id, now, until).await;
            }
        }
    }

    async fn send(&self, id: BatchId, now: Timestamp, until: Timestamp) {
        let claimed = self.ledger.claim_batch(id, "w", now, until).await;
        let claimed = claimed.unwrap().unwrap();
        let outcomes = tasks(claimed.members.len());
        let finished = self.ledger.finish_batch(id, claimed.fence, &outcomes);
        assert_eq!(finished.await, Ok(Write::Done));
    }

    /// The batches of a round, page by page.
    async fn batches(&self, number: u32) -> Vec<Batch> {
        let (id, mut batches, mut after) = (self.round(number), Vec::new(), None);
        loop {
            let page = self.ledger.round_batches(&id, after.as_deref()).await;
            let page = page.unwrap();
            batches.extend(page.items);
            after = page.next;
            if after.is_none() {
                return batches;
            }
        }
    }
}
