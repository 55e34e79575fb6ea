//! Everything on one machine: the quorate command.

pub mod ledger;
