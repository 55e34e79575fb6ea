//! Whole campaigns in a simulated world, where every request may go wrong.
//!
//! The functions are the real ones; the world under them is simulated: ledger, buckets and crowd
//! ([`quorate_testkit::sim`]), queues and the bus ([`site`]). Every request of a function stops at
//! the [`gate`], and the schedule ([`run`]) decides which goes on and how it ends: done, throttled,
//! done with its answer lost, dead before, dead after, or hanging until its lease is long over.
//! Messages are lost, doubled and late, clocks disagree, indexes lag, people change their minds.
//! [`watch`] says what must be so all the same. A schedule is its [`choices`]: the same seed is the
//! same schedule, to the last byte.

#![expect(
    clippy::indexing_slicing,
    reason = "a simulation that goes wrong fails its test by panicking"
)]

pub mod choices;
pub mod gate;
mod oracle;
mod pace;
pub mod run;
pub mod script;
pub mod shorten;
pub mod site;
pub mod watch;
pub mod world;
