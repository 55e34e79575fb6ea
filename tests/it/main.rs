//! One machine: the real handlers over SQLite and folders, real HTTP to the crowd platform.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy.toml allows them in tests; these are helpers of tests"
)]

mod campaigns;
mod demo;
mod functions;
mod intake;
mod lost;
mod results;
mod rounds;
mod rows;
mod trouble;
mod world;
