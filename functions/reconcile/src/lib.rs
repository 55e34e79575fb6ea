//! A tick finishes what was left half done: [`reconcile::reconcile`] on a schedule.
//!
//! Ticks may overlap, come twice or be left out: the next one finds the same work.

use quorate_core::ports::{PortResult, World};
use quorate_core::reconcile;
use serde_json::Value;

/// Sweeps once. The event only says that it is time; whatever it holds is ignored.
///
/// # Errors
/// If the ledger or the bus fails; the next tick goes on with what this one left.
pub async fn handle<W: World>(world: &W, _tick: Value) -> PortResult<()> {
    reconcile::reconcile(world).await
}
