//! The real processes under hardship. `quorate up` and `quorate crowd` are killed, stopped and
//! started twice; disks are full, folders cannot be written, the crowd is down or hangs. Whatever
//! happens, every image ends with one label and nothing is done or paid twice.
//!
//! What happens is drawn from a seed: `SEED=7 cargo nextest run -p quorate-local --test hardship`
//! draws other hardships. A failure prints its seed. When the processes get how far is up to the
//! machine: the same seed need not end the same way.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is a failure"
)]

mod chance;
mod check;
mod disk;
mod killed;
mod pipeline;
mod process;
mod stack;
mod trouble;
