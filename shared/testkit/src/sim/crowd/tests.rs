//! The conformance suite on the simulation, and what only a simulation can do.

use futures_util::FutureExt as _;

use super::*;
use crate::crowd::{BALANCE, Held, Workers};
use crate::ledger::NOON;

impl Workers for SimCrowd {
    type Crowd = Self;

    fn crowd(&self) -> &Self {
        self
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn finish_operations(&self) {
        Self::finish_operations(self);
    }

    async fn take(&self, pool: &str, worker: usize) -> Option<Held> {
        let id = Self::take(self, pool, worker)?;
        let state = self.state();
        let (pool, page) = state.find_active(&id)?;
        let tasks = state.pools[&pool].pages[page].tasks.len();
        Some(Held { id, worker, tasks })
    }

    async fn submit(&self, page: &Held, labels: &[&str]) -> Vec<String> {
        self.submit_labels(&page.id, labels)
    }

    async fn skip(&self, page: &Held) {
        assert!(self.skip_page(&page.id));
    }

    async fn ban(&self, worker: usize, scope: &Scope, reason: &str) -> String {
        Self::ban(self, worker, scope.clone(), reason);
        worker_id(worker)
    }
}

fn crowd(options: Options) -> SimCrowd {
    SimCrowd::new(SimClock::new(NOON), options)
}

fn run(check: impl AsyncFnOnce(&SimCrowd)) {
    let options = Options {
        balance: BALANCE,
        ..Options::default()
    };
    check(&crowd(options)).now_or_never().unwrap();
}

crate::crowd_checks!(run);
