//! BATCH items: how images enter a round, and what becomes of them.

use std::ops::Bound;

use quorate_core::ids::{BatchId, CampaignName, RoundId};
use quorate_core::ports::{Admission, Admitted, Page, PortError, PortResult, Write};
use quorate_core::state::{Batch, BatchState, Kind, Outcome, RoundState};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::images::is_transaction;
use super::{Omission, State, behind, count, done_if, page};

/// Batches in a page.
const PAGE: usize = 50;

/// What comes into a round.
#[derive(Default)]
struct Arrivals {
    images: u64,
    aliases: u64,
    batches: u64,
    reserved: Decimal,
}

impl State {
    pub(super) fn admit(&mut self, admission: &Admission) -> PortResult<Admitted> {
        let batch = admission.batch.as_ref();
        // Its round; and the batch, its members, the round's pointer to it, money.
        is_transaction(admission, 1 + batch.map_or(0, |_| 4))?;
        let aliases = count(admission.aliases.len());
        let arrivals = Arrivals {
            images: aliases + batch.map_or(0, |batch| count(batch.members.len())),
            aliases,
            batches: u64::from(batch.is_some()),
            reserved: batch.map_or(Decimal::ZERO, |batch| batch.reserved),
        };
        if self.knows(admission) {
            if self.omits(Omission::CountOnce) {
                self.take_in(&admission.round, &arrivals, None, admission.at)?;
            }
            return Ok(Admitted::Known);
        }
        let (round, budget) = (&admission.round, admission.budget);
        let admitted = self.take_in(round, &arrivals, budget, admission.at)?;
        if let Admitted::Done { .. } = admitted {
            self.admit_images(admission);
            if let Some(batch) = batch {
                self.put_batch(batch, BatchState::Ready, Some(round));
            }
        }
        Ok(admitted)
    }

    /// Aliases cost nothing and wait for nothing: they go into the round, which must then be open.
    pub(super) fn park(&mut self, admission: &Admission) -> PortResult<Admitted> {
        let batch = admission.batch.as_ref();
        // Its round; and the batch and its members.
        is_transaction(admission, 1 + batch.map_or(0, |_| 2))?;
        if self.knows(admission) {
            return Ok(Admitted::Known);
        }
        let aliases = count(admission.aliases.len());
        let parked = if aliases == 0 {
            let images = self.standing(&admission.round)?.counts.images;
            Admitted::Done { images }
        } else {
            let arrivals = Arrivals {
                images: aliases,
                aliases,
                ..Arrivals::default()
            };
            self.take_in(&admission.round, &arrivals, None, admission.at)?
        };
        if let Admitted::Done { .. } = parked {
            self.admit_images(admission);
            if let Some(batch) = batch {
                self.put_batch(batch, BatchState::Parked, None);
            }
        }
        Ok(parked)
    }

    pub(super) fn unpark(
        &mut self,
        batch: &Batch,
        round: &RoundId,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> PortResult<Admitted> {
        let trusting = self.omits(Omission::BaseItem);
        let Some(stored) = self.records.batches.get(&batch.id) else {
            let reason = format!("there is no batch {}", batch.id);
            return Err(PortError::Refused(reason));
        };
        if stored.state != BatchState::Parked && !trusting {
            return Ok(Admitted::Known);
        }
        let arrivals = Arrivals {
            images: count(batch.members.len()),
            batches: 1,
            reserved: batch.reserved,
            ..Arrivals::default()
        };
        let admitted = self.take_in(round, &arrivals, budget, at)?;
        if let Admitted::Done { .. } = admitted
            && let Some(stored) = self.records.batches.get_mut(&batch.id)
        {
            stored.state = BatchState::Ready;
            stored.round = Some(round.clone());
            stored.reserved = batch.reserved;
            stored.due = at;
        }
        Ok(admitted)
    }

    /// Whether anything that an admission would write exists.
    fn knows(&self, admission: &Admission) -> bool {
        let batch = admission.batch.as_ref();
        batch.is_some_and(|batch| self.records.batches.contains_key(&batch.id))
            || self.has_images_of(admission)
    }

    /// Counts arrivals in an open round and reserves their money under the budget.
    fn take_in(
        &mut self,
        id: &RoundId,
        arrivals: &Arrivals,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> PortResult<Admitted> {
        if self.standing(id)?.state != RoundState::Open {
            return Ok(Admitted::Sealed);
        }
        if arrivals.batches > 0 {
            let over = self.over_budget(&id.campaign, arrivals.reserved, budget)?;
            if let Some(over) = over {
                return Ok(over);
            }
            self.commit(&id.campaign, arrivals.reserved);
        }
        let round = self.standing(id)?;
        round.counts.images += arrivals.images;
        round.counts.aliases += arrivals.aliases;
        round.counts.batches += arrivals.batches;
        round.reserved += arrivals.reserved;
        round.last_upload = at;
        Ok(Admitted::Done {
            images: round.counts.images,
        })
    }

    /// What a control batch reserves, if anything, is its caller's affair: no round counts it.
    pub(super) fn add_control_batch(&mut self, batch: &Batch) -> Write {
        if self.records.batches.contains_key(&batch.id) {
            return Write::Lost;
        }
        if let Some(round) = &batch.round {
            match self.records.rounds.get_mut(round) {
                Some(round) if round.state <= RoundState::Sealed && round.pool.is_none() => {
                    round.counts.batches += 1;
                }
                _ => return Write::Lost,
            }
        }
        self.put_batch(batch, batch.state, batch.round.as_ref());
        Write::Done
    }

    /// Writes a batch that does not exist.
    fn put_batch(&mut self, batch: &Batch, state: BatchState, round: Option<&RoundId>) {
        let due = match state {
            BatchState::Parked => batch.created,
            BatchState::Ready | BatchState::Done => batch.due,
        };
        let batch = Batch {
            round: round.cloned(),
            state,
            due,
            ..batch.clone()
        };
        self.records.batches.insert(batch.id, batch);
    }

    pub(super) fn parked(&self, campaign: &CampaignName) -> Vec<BatchId> {
        self.waiting(BatchState::Parked, |batch, _| batch.campaign == *campaign)
    }

    pub(super) fn due_batches(&self, now: Timestamp, limit: usize) -> Vec<BatchId> {
        let mut due = self.waiting(BatchState::Ready, |_, due| due <= now);
        due.truncate(limit);
        due
    }

    /// What the index of work finds, by due time and id.
    fn waiting(
        &self,
        wanted: BatchState,
        is_wanted: impl Fn(&Batch, Timestamp) -> bool,
    ) -> Vec<BatchId> {
        let entry = |batch: &Batch| {
            let (state, due) = match &self.lag {
                Some(lag) => *lag.work.get(&batch.id)?,
                None => (batch.state, batch.due),
            };
            (state == wanted && is_wanted(batch, due)).then_some((due, batch.id))
        };
        let batches = self.records.batches.values();
        let mut entries: Vec<(Timestamp, BatchId)> = batches.filter_map(entry).collect();
        entries.sort_unstable();
        entries.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn claim_batch(
        &mut self,
        id: BatchId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Batch> {
        let trusting = self.omits(Omission::BaseItem);
        let batch = self.records.batches.get_mut(&id)?;
        if !trusting {
            if batch.state != BatchState::Ready {
                return None;
            }
            if batch.fence > 0 && batch.writer == writer && batch.due == until {
                return Some(batch.clone());
            }
            if batch.due > now {
                return None;
            }
        }
        batch.fence += 1;
        batch.attempts += 1;
        writer.clone_into(&mut batch.writer);
        batch.due = until;
        batch.first_sent.get_or_insert(now);
        Some(batch.clone())
    }

    pub(super) fn postpone_batch(
        &mut self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> Write {
        let any = self.omits(Omission::Fence);
        match self.records.batches.get_mut(&id) {
            Some(batch) if batch.state == BatchState::Ready && (any || batch.fence == fence) => {
                batch.due = due;
                batch.last_error = error.map(str::to_owned);
                Write::Done
            }
            _ => Write::Lost,
        }
    }

    pub(super) fn finish_batch(
        &mut self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> PortResult<Write> {
        let any = self.omits(Omission::Fence);
        let again = self.omits(Omission::CountOnce);
        let Some(batch) = self.records.batches.get_mut(&id) else {
            return Ok(Write::Lost);
        };
        let holds = any || batch.fence == fence;
        let (kind, round) = (batch.kind, batch.round.clone());
        let written = match batch.state {
            BatchState::Ready if holds => {
                if batch.members.len() != outcomes.len() {
                    let reason = format!("batch {id} does not have {} members", outcomes.len());
                    return Err(PortError::Refused(reason));
                }
                batch.state = BatchState::Done;
                batch.outcomes = outcomes.to_vec();
                Write::Done
            }
            BatchState::Done if batch.outcomes == outcomes && again => done_if(holds),
            BatchState::Done => return Ok(done_if(holds && batch.outcomes == outcomes)),
            BatchState::Parked | BatchState::Ready => return Ok(Write::Lost),
        };
        if let Some(round) = round {
            self.count_done(&round, kind, outcomes)?;
        }
        Ok(written)
    }

    fn count_done(&mut self, round: &RoundId, kind: Kind, outcomes: &[Outcome]) -> PortResult<()> {
        let is_task = |outcome: &&Outcome| matches!(outcome, Outcome::Task(_));
        let made = count(outcomes.iter().filter(is_task).count());
        let counts = &mut self.standing(round)?.counts;
        counts.batches_done += 1;
        match kind {
            Kind::Real => {
                counts.tasks += made;
                counts.refused += count(outcomes.len()) - made;
            }
            Kind::Golden => counts.golden_tasks += made,
            Kind::Exam | Kind::Training => {}
        }
        Ok(())
    }

    pub(super) fn round_batches(
        &self,
        id: &RoundId,
        after: Option<&str>,
    ) -> PortResult<Page<Batch>> {
        let from = behind::<BatchId>(after)?;
        let batches = self.records.batches.range((from, Bound::Unbounded));
        let batches = batches.map(|(_, batch)| batch);
        let batches = batches.filter(|batch| batch.round.as_ref() == Some(id));
        Ok(page(batches, PAGE, |batch| batch.id.to_string()))
    }
}
