//! What happens between an upload and its label.
//!
//! This crate holds the pipeline's words, states, decisions and use cases, and the [ports]
//! through which they reach the world. It knows no cloud, no HTTP and no async runtime, so that one
//! use case runs on Lambda, on one machine and in simulation.
//!
//! ```text
//!  upload ──► admit ──► batch ──► dispatch ──► tasks at the crowd
//!               │         │                        │
//!               ▼         ▼                        ▼
//!            rejected   parked (budget)      pool complete ──► round CLOSED ──► AGGREGATED
//! ```
//!
//! Every trigger may come twice, late, out of order or not at all. Three rules keep work single:
//!
//! * **R1** the intent, with every input of the effect, is in the ledger before the effect.
//! * **R2** the effect carries a key derived from the intent and the other side dedupes on it.
//! * **R3** a conditional write stores who wrote it, so that a retry recognises its own success.

pub mod admission;
pub mod budget;
pub mod campaign;
pub mod dispatch;
pub mod event;
pub mod ids;
pub mod ingest;
pub mod link;
pub mod look;
pub mod ports;
pub mod reconcile;
mod rest;
pub mod rounds;
pub mod rows;
pub mod serve;
pub mod setup;
pub mod state;
pub mod time;

pub use campaign::Campaign;
pub use ids::{BatchId, CampaignName, ImageId, OperationId, RoundId};
pub use ports::{Clock, Crowd, Ledger, Notify, Objects, PortError, World};
pub use time::Timestamp;
