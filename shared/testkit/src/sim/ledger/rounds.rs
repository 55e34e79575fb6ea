//! ROUND items.

use quorate_core::ids::RoundId;
use quorate_core::ports::{Admitted, PortError, PortResult, Write};
use quorate_core::state::{Close, Round, RoundPool, RoundState, SealReason};
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;

use super::{Omission, State, done_if};

impl State {
    /// Opens a round; the same round opened at the same instant is the same write.
    pub(super) fn open_round(&mut self, id: &RoundId, at: Timestamp) -> Write {
        if let Some(round) = self.records.rounds.get(id) {
            return done_if(round.opened == at);
        }
        let Some(campaign) = self.records.campaigns.get_mut(&id.campaign) else {
            return Write::Lost;
        };
        if campaign.round.checked_add(1) != Some(id.number) {
            return Write::Lost;
        }
        campaign.round = id.number;
        self.records.rounds.insert(id.clone(), Round::open(id, at));
        Write::Done
    }

    pub(super) fn round(&self, id: &RoundId) -> Option<Round> {
        let mut round = self.records.rounds.get(id)?.clone();
        if self.omits(Omission::Drained) {
            round.counts.batches_done = round.counts.batches;
        }
        Some(round)
    }

    pub(super) fn unfinished_rounds(&self) -> Vec<RoundId> {
        let rounds = self.records.rounds.values();
        let unfinished = rounds.filter(|round| round.state != RoundState::Aggregated);
        unfinished.map(|round| round.id.clone()).collect()
    }

    /// A round that is closed has no use for a pool, so this is for `OPEN` and `SEALED` ones.
    pub(super) fn set_pool(&mut self, id: &RoundId, pool: &RoundPool) -> Write {
        let Some(round) = self.records.rounds.get_mut(id) else {
            return Write::Lost;
        };
        if let Some(stored) = &round.pool {
            return done_if(stored == pool);
        }
        if round.state > RoundState::Sealed {
            return Write::Lost;
        }
        round.pool = Some(pool.clone());
        Write::Done
    }

    pub(super) fn pool_opened(&mut self, id: &RoundId, batches_done: u64) -> Write {
        match self.records.rounds.get_mut(id) {
            Some(round) if round.opened_with <= batches_done => {
                round.opened_with = batches_done;
                Write::Done
            }
            _ => Write::Lost,
        }
    }

    /// A closed round has no reservation any more, what it spent took its place: it counts as
    /// sealed.
    pub(super) fn reserve(
        &mut self,
        id: &RoundId,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> PortResult<Admitted> {
        if self.standing(id)?.state > RoundState::Sealed {
            return Ok(Admitted::Sealed);
        }
        if let Some(over) = self.over_budget(&id.campaign, amount, budget)? {
            return Ok(over);
        }
        self.commit(&id.campaign, amount);
        let round = self.standing(id)?;
        round.reserved += amount;
        Ok(Admitted::Done {
            images: round.counts.images,
        })
    }

    /// Sealing for the same reason is the same write, whoever asks for it.
    pub(super) fn seal_round(&mut self, id: &RoundId, reason: SealReason) -> Write {
        let Some(round) = self.records.rounds.get_mut(id) else {
            return Write::Lost;
        };
        if round.state != RoundState::Open {
            return done_if(round.seal == Some(reason));
        }
        round.state = RoundState::Sealed;
        round.seal = Some(reason);
        Write::Done
    }

    /// A close with the same `last_stopped` is the same close, whenever and by whom it is recorded.
    pub(super) fn close_round(&mut self, id: &RoundId, close: &Close) -> Write {
        let drained = self.omits(Omission::Drained);
        let release = !self.omits(Omission::Release);
        let Some(round) = self.records.rounds.get_mut(id) else {
            return Write::Lost;
        };
        if let Some(stored) = &round.close {
            return done_if(stored.last_stopped == close.last_stopped);
        }
        let drained = drained || round.counts.batches_done == round.counts.batches;
        if round.state != RoundState::Sealed || !drained {
            return Write::Lost;
        }
        round.state = RoundState::Closed;
        round.close = Some(close.clone());
        let released = if release {
            round.reserved
        } else {
            Decimal::ZERO
        };
        self.commit(&id.campaign, close.spent - released);
        Write::Done
    }

    pub(super) fn claim_round(
        &mut self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Round> {
        let round = self.records.rounds.get_mut(id)?;
        if round.state != RoundState::Closed {
            return None;
        }
        let is_claimed = round.fence > 0 && round.writer == writer && round.due == until;
        if !is_claimed {
            if round.due > now {
                return None;
            }
            round.fence += 1;
            round.attempts += 1;
            writer.clone_into(&mut round.writer);
            round.due = until;
        }
        self.round(id)
    }

    pub(super) fn postpone_round(&mut self, id: &RoundId, fence: u64, due: Timestamp) -> Write {
        self.under_fence(id, fence, |round| {
            let closed = round.state == RoundState::Closed;
            if closed {
                round.due = due;
            }
            done_if(closed)
        })
    }

    /// The fence stands still once a round is aggregated: it tells the writer that did it.
    pub(super) fn round_aggregated(&mut self, id: &RoundId, fence: u64) -> Write {
        self.under_fence(id, fence, |round| {
            let closed = round.state >= RoundState::Closed;
            if closed {
                round.state = RoundState::Aggregated;
            }
            done_if(closed)
        })
    }

    fn under_fence(
        &mut self,
        id: &RoundId,
        fence: u64,
        write: impl FnOnce(&mut Round) -> Write,
    ) -> Write {
        let any = self.omits(Omission::Fence);
        match self.records.rounds.get_mut(id) {
            Some(round) if any || round.fence == fence => write(round),
            _ => Write::Lost,
        }
    }

    /// The round that something is to come into.
    pub(super) fn standing(&mut self, id: &RoundId) -> PortResult<&mut Round> {
        let round = self.records.rounds.get_mut(id);
        round.ok_or_else(|| PortError::Refused(format!("there is no round {id}")))
    }
}
