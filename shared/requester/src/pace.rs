//! How fast a function may ask the crowd.
//!
//! Toloka counts requests by account and second, and functions do not know of each other. So each
//! has a share of the limit that it never passes by itself: what is over waits its turn, some
//! milliseconds. Should there be more instances than the shares are made for, the platform answers
//! 429, and the request is repeated later.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::{Quota, RateLimiter};
use quorate_toloka::ClientBuilder;
use quorate_toloka::limits::REQUESTS_PER_SECOND;

/// Instances that may ask the crowd at the same time: five of `check-pools` and three of
/// `reconcile`, whose ticks overlap when they take as long as their functions may (300 s every
/// minute, 900 s every five), and the two of `aggregate-pool` that its queue allows. Hints of the
/// crowd start more of `check-pools`, for moments.
pub const INSTANCES: u32 = 10;

/// Requests of one instance that may go out at once.
const BURST: u32 = 5;

/// The share of one instance: in no second more than its part of [`REQUESTS_PER_SECOND`], a burst
/// and what is let through behind it together.
#[must_use]
pub fn quota() -> Quota {
    let steady = REQUESTS_PER_SECOND / INSTANCES - BURST;
    Quota::per_second(NonZeroU32::new(steady).unwrap_or(NonZeroU32::MIN))
        .allow_burst(NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN))
}

/// Keeps the clients that are built from `client` within the [`quota`] of one instance.
///
/// For an account that others use as well. The platform on one machine has no limit and one caller.
pub fn paced(client: ClientBuilder) -> ClientBuilder {
    let turn = turns(Uptime::new());
    client.pace_with(turn)
}

/// How long to wait for the next turn by `clock`; zero is a turn, which is taken then.
fn turns<C: Clock + Clone>(clock: C) -> impl Fn() -> Duration {
    let limiter = Arc::new(RateLimiter::direct_with_clock(quota(), clock.clone()));
    move || match limiter.check() {
        Ok(()) => Duration::ZERO,
        // Never zero, which would be a turn.
        Err(early) => early
            .wait_time_from(clock.now())
            .max(Duration::from_millis(1)),
    }
}

/// The time since it was made.
#[derive(Clone, Copy, Debug)]
struct Uptime(Instant);

impl Uptime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the limit is the platform's, in real time; a simulation brings a clock of its own"
    )]
    fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn no_second_has_more_requests_than_the_share() {
        let clock = FakeRelativeClock::default();
        let turn = turns(clock.clone());
        let (mut now, mut sent) = (Duration::ZERO, Vec::new());
        while now < Duration::from_secs(5) {
            let wait = turn();
            if wait.is_zero() {
                sent.push(now);
            } else {
                clock.advance(wait);
                now += wait;
            }
            // A pause in which a burst is saved up.
            if sent.len() == 40 {
                clock.advance(Duration::from_secs(1));
                now += Duration::from_secs(1);
                sent.push(now);
            }
        }
        let share = usize::try_from(REQUESTS_PER_SECOND / INSTANCES).unwrap();
        let busiest = (0..sent.len()).map(|first| {
            let end = sent[first] + Duration::from_secs(1);
            sent[first..].iter().take_while(|at| **at < end).count()
        });
        let busiest = busiest.max().unwrap();
        assert!(busiest <= share, "{busiest} of {share}");
        assert!(
            busiest > share * 8 / 10,
            "{busiest} of {share}: it wastes its share"
        );
    }
}
