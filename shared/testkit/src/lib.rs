//! What every implementation of the ports has to do, as tests to run against one.
//!
//! A check panics if the implementation does not do what the port says. Checks need no async
//! runtime of their own and no empty place: each works under its own name, so that all of them can
//! run at once in one table or bucket. A reader may lag where the port allows it; the checks then
//! ask again.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

pub mod crowd;
pub mod ledger;
pub mod objects;
mod png;
pub mod sim;

pub use png::{chunk, png};

/// How often a check asks again for what may lag.
const PATIENCE: usize = 500;

/// Asks until the answer is `expected`.
async fn eventually<T: PartialEq + std::fmt::Debug>(expected: T, ask: impl AsyncFn() -> T) {
    let mut answer = ask().await;
    for _ in 0..PATIENCE {
        if answer == expected {
            return;
        }
        answer = ask().await;
    }
    assert_eq!(answer, expected, "asked {PATIENCE} times");
}
