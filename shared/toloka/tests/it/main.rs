//! Tests of the wire types and the client: recorded exchanges of toloka-kit, and a scripted server
//! on loopback.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod builders;
mod client;
mod clone;
mod compare;
mod data;
mod failures;
mod follow;
mod page;
mod server;
mod stream;
mod webhook;
mod wire;
