//! A requester's money: what is left, and what is promised to workers at work.

use rust_decimal::Decimal;

use crate::{
    error::Result,
    model::money,
    store::{Db, Tx},
};

/// Dollars left, and how many of them are promised for pages in hand.
pub(crate) struct Account {
    pub(crate) balance: Decimal,
    held: Decimal,
}

impl Account {
    /// Dollars that nothing is promised from.
    pub(crate) fn free(&self) -> Decimal {
        self.balance - self.held
    }
}

impl Db<'_> {
    pub(crate) fn account(&self, who: &str) -> Result<Account> {
        let found = self.row(
            "SELECT balance, held FROM requesters WHERE id = ?1",
            [who],
            |row| {
                Ok(Account {
                    balance: money(row.get_ref(0)?.as_str()?)?,
                    held: money(row.get_ref(1)?.as_str()?)?,
                })
            },
        )?;
        Ok(found.unwrap_or(Account {
            balance: self.settings.balance,
            held: Decimal::ZERO,
        }))
    }

    /// What a requester pays for a reward.
    pub(crate) fn cost(&self, reward: Decimal) -> Decimal {
        (reward * (Decimal::ONE + self.settings.fee)).normalize()
    }
}

impl Tx<'_> {
    /// Promises the price of a page; false when it is not there.
    pub(crate) fn hold(&self, who: &str, cost: Decimal) -> Result<bool> {
        let account = self.account(who)?;
        if account.free() < cost {
            return Ok(false);
        }
        self.save(who, account.balance, account.held + cost)?;
        Ok(true)
    }

    /// Takes a promise back: the page was skipped or expired.
    pub(crate) fn release(&self, who: &str, cost: Decimal) -> Result<()> {
        let account = self.account(who)?;
        self.save(who, account.balance, account.held - cost)
    }

    /// Pays for a page that was promised before, or reserves its price until it is reviewed.
    pub(crate) fn settle(&self, who: &str, cost: Decimal) -> Result<()> {
        let account = self.account(who)?;
        self.save(who, account.balance - cost, account.held - cost)
    }

    /// Pays without a promise (a rejected page is accepted after all), or with a negative sum
    /// gives back (a reserved page is rejected).
    pub(crate) fn pay(&self, who: &str, cost: Decimal) -> Result<()> {
        let account = self.account(who)?;
        self.save(who, account.balance - cost, account.held)
    }

    fn save(&self, who: &str, balance: Decimal, held: Decimal) -> Result<()> {
        self.run(
            "INSERT INTO requesters (id, balance, held) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET balance = ?2, held = ?3",
            (who, balance.to_string(), held.to_string()),
        )?;
        Ok(())
    }
}
