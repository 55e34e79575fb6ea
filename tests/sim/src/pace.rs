//! The limiters of the crowd's adapter, on simulated time.

use std::time::Duration;

use governor::RateLimiter;
use governor::clock::{Clock as _, FakeRelativeClock};
use quorate_core::time::Timestamp;
use quorate_requester::pace::{INSTANCES, quota};

type Limiter = RateLimiter<
    governor::state::NotKeyed,
    governor::state::InMemoryState,
    FakeRelativeClock,
    governor::middleware::NoOpMiddleware<<FakeRelativeClock as governor::clock::Clock>::Instant>,
>;

/// As many limiters as the adapter reckons with instances; invocations share them.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: FakeRelativeClock,
    now: Timestamp,
    limiters: Vec<Limiter>,
}

impl Pace {
    pub(crate) fn new(now: Timestamp) -> Self {
        let clock = FakeRelativeClock::default();
        let limiter = |_| RateLimiter::direct_with_clock(quota(), clock.clone());
        Self {
            limiters: (0..INSTANCES).map(limiter).collect(),
            clock,
            now,
        }
    }

    /// How long an invocation has to wait before it may ask the crowd; zero is its turn, which is
    /// taken then.
    pub(crate) fn turn(&mut self, invocation: u64, now: Timestamp) -> Duration {
        self.clock.advance(now.since(self.now));
        self.now = now;
        let at = usize::try_from(invocation).unwrap_or(0) % self.limiters.len();
        match self.limiters.get(at).map(RateLimiter::check) {
            Some(Err(early)) => early.wait_time_from(self.clock.now()),
            _ => Duration::ZERO,
        }
    }
}
