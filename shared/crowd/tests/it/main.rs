//! The platform over real HTTP on loopback: what requesters and workers get.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may panic like the tests themselves"
)]

mod api;
mod attachments;
mod bodies;
mod bonuses;
mod bounds;
mod clones;
mod consensus;
mod figures;
mod fuzz;
mod hostile;
mod limits;
mod lists;
mod lives;
mod messages;
mod metrics;
mod mixing;
mod money;
mod properties;
mod raw;
mod restart;
mod rules;
mod strangers;
mod suites;
mod table;
mod trainings;
mod webhooks;
mod workers;
mod world;
