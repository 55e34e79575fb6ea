//! A campaign's life, act by act: whatever happens, the books are right.

use quorate_core::ports::{Admission, Admitted, Ledger, Write};
use quorate_core::state::{BatchState, Close, SealReason};
use rust_decimal::Decimal;

use super::{Case, NOON, close};

/// A step of a campaign's life.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Images that reserve these cents come; they are parked if the budget is used up.
    Upload(u32),
    /// The parked batches are tried again.
    Unpark,
    /// The open round is sealed and worked off, closes having spent this share (in percent) of its
    /// reservation, and the next one opens.
    Turn(u32),
}

/// The budget is never passed, money and counts always add up, and every image is in one place.
pub async fn the_budget_is_never_passed(case: &Case<'_, impl Ledger>) {
    use Act::{Turn, Unpark, Upload};
    let acts = [
        Upload(100),
        Upload(150),
        Upload(80),
        Unpark,
        Upload(50),
        Turn(40),
        Unpark,
        Upload(1),
        Upload(149),
        Turn(100),
        Unpark,
        Upload(30),
        Turn(0),
        Upload(99),
    ];
    lives(case, &acts).await;
}

/// [`the_budget_is_never_passed`] with other acts.
pub async fn lives(case: &Case<'_, impl Ledger>, acts: &[Act]) {
    case.open().await;
    let mut life = Life {
        case,
        round: 1,
        batches: Vec::new(),
        spent: Decimal::ZERO,
        budget: Decimal::from(3),
    };
    for act in acts {
        match act {
            Act::Upload(cents) => life.upload(*cents).await,
            Act::Unpark => life.unpark().await,
            Act::Turn(percent) => life.turn(*percent).await,
        }
        life.check_books().await;
    }
}

struct Life<'a, L> {
    case: &'a Case<'a, L>,
    round: u32,
    batches: Vec<quorate_core::ids::BatchId>,
    spent: Decimal,
    budget: Decimal,
}

impl<L: Ledger> Life<'_, L> {
    async fn upload(&mut self, cents: u32) {
        let (case, ledger) = (self.case, self.case.ledger);
        let first = u32::try_from(self.batches.len()).unwrap() * 2;
        let batch = case.batch(case.images(first..first + 2), cents.into());
        self.batches.push(batch.id);
        let admission = Admission {
            batch: Some(batch),
            round: case.round(self.round),
            budget: Some(self.budget),
            ..case.admission(Vec::new())
        };
        if let Admitted::OverBudget { .. } = ledger.admit(&admission).await.unwrap() {
            ledger.park(&admission).await.unwrap();
        }
    }

    async fn unpark(&self) {
        let (case, ledger) = (self.case, self.case.ledger);
        for id in ledger.parked(&case.campaign).await.unwrap() {
            let batch = ledger.batch(id).await.unwrap().unwrap();
            let round = case.round(self.round);
            let unparked = ledger.unpark(&batch, &round, Some(self.budget), NOON);
            unparked.await.unwrap();
        }
    }

    async fn turn(&mut self, percent: u32) {
        let (case, ledger) = (self.case, self.case.ledger);
        let id = case.round(self.round);
        ledger.seal_round(&id, SealReason::Size).await.unwrap();
        case.work_off(self.round, NOON).await;
        let reserved = ledger.round(&id).await.unwrap().unwrap().reserved;
        let close = Close {
            spent: reserved * Decimal::new(percent.into(), 2),
            ..close(0)
        };
        self.spent += close.spent;
        assert_eq!(ledger.close_round(&id, &close).await, Ok(Write::Done));
        self.round += 1;
        let opened = ledger.open_round(&case.round(self.round), NOON).await;
        assert_eq!(opened, Ok(Write::Done));
    }

    async fn check_books(&self) {
        let (case, budget) = (self.case, self.budget);
        let open = case.ledger.round(&case.round(self.round)).await;
        let committed = case.committed().await;
        assert_eq!(committed, self.spent + open.unwrap().unwrap().reserved);
        assert!(committed <= budget, "{committed} of {budget} committed");
        let mut in_rounds = 0;
        for number in 1..=self.round {
            let counts = case.counts(number).await;
            assert_eq!(counts.images, counts.batches * 2);
            assert_eq!(counts.tasks, counts.batches_done * 2);
            assert_eq!(counts.batches, case.batches(number).await.len() as u64);
            in_rounds += counts.batches;
        }
        let mut parked = 0;
        for id in &self.batches {
            let batch = case.ledger.batch(*id).await.unwrap().unwrap();
            parked += u64::from(batch.state == BatchState::Parked);
        }
        assert_eq!(in_rounds + parked, self.batches.len() as u64);
    }
}
