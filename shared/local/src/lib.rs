//! Everything on one machine: the quorate command.

pub mod cli;
pub mod commands;
pub mod day;
pub mod demo;
pub mod images;
pub mod ledger;
pub mod notify;
pub mod objects;
pub mod runner;
pub mod stack;
pub mod truth;
pub mod up;
pub mod watch;
