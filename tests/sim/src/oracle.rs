//! The same round once more, by one writer and without faults: its results must have the same bytes.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use quorate_core::ids::RoundId;
use quorate_results::{Outcome, aggregate_round};

use crate::gate::{Desk, Fate, Gate};
use crate::site::Site;
use crate::world::SimWorld;

/// Compares a round's results with those of a run without faults over the same answers.
pub(crate) fn same_without_faults(site: &Site, round: &RoundId) -> Result<(), String> {
    let again = Arc::new(site.fork());
    again.ledger.forget_aggregation(round);
    let prefix = round.results_prefix();
    let committed = site.results.current();
    for key in committed.keys().filter(|key| key.starts_with(&prefix)) {
        again.results.delete(key);
    }
    aggregate(&again, round)?;
    let anew = again.results.current();
    let of_round = |(key, _): &(&String, _)| key.starts_with(&prefix);
    for (key, body) in anew.iter().filter(of_round) {
        if committed.get(key) != Some(body) {
            let text = |body: Option<&Arc<[u8]>>| {
                body.map(|body| String::from_utf8_lossy(body).into_owned())
            };
            return Err(format!(
                "{key} has other bytes than without faults: {:?}, not {:?}",
                text(committed.get(key)),
                text(Some(body))
            ));
        }
    }
    Ok(())
}

/// Aggregates a round in a world where everything works.
fn aggregate(site: &Arc<Site>, round: &RoundId) -> Result<(), String> {
    let desk = Arc::new(Desk::new(false));
    let gate = Gate::new(Arc::clone(&desk), 0);
    let world = SimWorld::new(site, &gate, "oracle".to_owned(), 0, false);
    let mut work = std::pin::pin!(aggregate_round(&world, round));
    loop {
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Outcome::Aggregated(_))) => return Ok(()),
            Poll::Ready(other) => return Err(format!("without faults: {other:?}")),
            Poll::Pending => {}
        }
        for request in desk.waiting() {
            desk.decide(request.number, Fate::Done);
        }
    }
}
