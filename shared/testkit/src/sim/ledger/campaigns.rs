//! CAMPAIGN items.

use quorate_core::ids::CampaignName;
use quorate_core::ports::{Admitted, PortError, PortResult, Write};
use quorate_core::state::CampaignItem;
use rust_decimal::Decimal;

use super::{State, done_if};

impl State {
    /// The same item saved again is recognised: a lease, where it matters who saved, is part of it.
    pub(super) fn save_campaign(&mut self, item: &CampaignItem) -> Write {
        let stored = self.records.campaigns.get(&item.name);
        let revision = stored.map_or(0, |stored| stored.revision);
        let item = CampaignItem {
            round: stored.map_or(0, |stored| stored.round),
            committed: stored.map_or(Decimal::ZERO, |stored| stored.committed),
            ..item.clone()
        };
        if revision.checked_add(1) != Some(item.revision) {
            return done_if(stored == Some(&item));
        }
        self.records.campaigns.insert(item.name.clone(), item);
        Write::Done
    }

    /// Whether `amount` more of a campaign's money cannot be committed within `budget`.
    pub(super) fn over_budget(
        &self,
        campaign: &CampaignName,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> PortResult<Option<Admitted>> {
        let Some(item) = self.records.campaigns.get(campaign) else {
            let reason = format!("there is no campaign {campaign}");
            return Err(PortError::Refused(reason));
        };
        let committed = item.committed;
        let over = budget.is_some_and(|budget| committed + amount > budget);
        Ok(over.then_some(Admitted::OverBudget { committed }))
    }

    /// Commits `amount` more of a campaign's money.
    pub(super) fn commit(&mut self, campaign: &CampaignName, amount: Decimal) {
        if let Some(item) = self.records.campaigns.get_mut(campaign) {
            item.committed += amount;
        }
    }
}
