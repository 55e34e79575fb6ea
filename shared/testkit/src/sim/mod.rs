//! A simulated world: time, a ledger, buckets and a crowd in memory.
//!
//! Nothing here waits, reads a clock or draws at random: every future is ready when it is first
//! polled, and then its effect has happened whole. When it is polled, and whether its answer
//! arrives, is for a scheduler to decide.

mod clock;
pub mod crowd;
mod ledger;
mod objects;

pub use clock::SimClock;
pub use crowd::SimCrowd;
pub use ledger::{Omission, Records, SimLedger};
pub use objects::SimObjects;
