//! The platform over real HTTP on loopback: what requesters and workers get.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may panic like the tests themselves"
)]

mod api;
mod lives;
mod mixing;
mod money;
mod properties;
mod restart;
mod rules;
mod table;
mod trainings;
mod workers;
mod world;
