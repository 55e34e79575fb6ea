//! When a request is sent again, and how long that waits.
//!
//! A policy is data. A request is repeated when
//!
//! * it certainly had no effect: the platform refused it with 429, or there was no connection; or
//! * its effect is unknown or it failed (timeout, broken connection, 408, 500, 502, 503, 504), and
//!   repeating it cannot do its work twice: reads, `PUT`, opening and closing, and creations that
//!   carry an `operation_id`, which the platform knows again.
//!
//! The wait is what `Retry-After` says, else the quota's `interval`, else a random one that grows
//! ("decorrelated jitter",
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>). A wait longer than
//! [`RetryPolicy::longest_wait`] is not slept out: the caller gets the error with the wait in it.
//!
//! A call that gives up after several tries ends with the last error, unless that one had no effect
//! and an earlier one may have had: then with the earlier one, so that
//! [`Error::may_have_had_effect`] speaks of the whole call.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::Error;

/// When and how often a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most; 1 means never again.
    pub max_tries: u32,
    /// The shortest random wait.
    pub base: Duration,
    /// The longest random wait.
    pub cap: Duration,
    /// The longest wait asked for by the platform that is slept out.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 3,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            longest_wait: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// Sends every request once.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_tries: 1,
            ..Self::default()
        }
    }
}

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retries<'a> {
    policy: &'a RetryPolicy,
    random: &'a Random,
    tries: u32,
    previous: Duration,
    /// The last try whose effect is unknown.
    uncertain: Option<Error>,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, random: &'a Random) -> Self {
        Self {
            policy,
            random,
            tries: 1,
            previous: policy.base,
            uncertain: None,
        }
    }

    /// How long to wait before the request is sent again.
    ///
    /// # Errors
    /// The error of the whole call when it is not sent again.
    pub(crate) fn next_wait(&mut self, error: Error, repeatable: bool) -> Result<Duration, Error> {
        let safe = repeatable || !error.may_have_had_effect();
        if !error.is_retryable() || !safe || self.tries >= self.policy.max_tries {
            return Err(self.outcome(error));
        }
        let wait = match &error {
            Error::RateLimited {
                retry_after: Some(wait),
                ..
            } if *wait > self.policy.longest_wait => {
                return Err(self.outcome(error));
            }
            Error::RateLimited {
                retry_after: Some(wait),
                ..
            } => *wait,
            _ => self.jitter(),
        };
        self.tries += 1;
        if error.may_have_had_effect() {
            self.uncertain = Some(error);
        }
        Ok(wait)
    }

    /// When the last try had no effect but an earlier one may have had, the earlier one tells the
    /// truth about the call.
    fn outcome(&mut self, last: Error) -> Error {
        match self.uncertain.take() {
            Some(earlier) if last.is_retryable() && !last.may_have_had_effect() => earlier,
            _ => last,
        }
    }

    /// Between the base and three times the wait before, but no more than the cap.
    fn jitter(&mut self) -> Duration {
        let ceiling = (self.previous * 3).min(self.policy.cap);
        let span = ceiling.saturating_sub(self.policy.base);
        self.previous = (self.policy.base + span.mul_f64(self.random.unit())).min(self.policy.cap);
        self.previous
    }
}

/// A small random generator (`SplitMix64`, Steele et al. 2014): waits need spread, not secrecy.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number in `[0, 1)`.
    fn unit(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // 32 bits are plenty and exact in a double.
        f64::from(u32::try_from(z >> 32).unwrap_or_default()) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_random_wait_stays_within_its_bounds(seed: u64, base in 1u64..1_000, extra in 0u64..10_000) {
            let policy = RetryPolicy {
                base: Duration::from_millis(base),
                cap: Duration::from_millis(base + extra),
                ..RetryPolicy::default()
            };
            let random = Random::new(seed);
            let mut retries = Retries::new(&policy, &random);
            let mut previous = policy.base;
            for _ in 0..10 {
                let wait = retries.jitter();
                prop_assert!(wait >= policy.base && wait <= policy.cap);
                prop_assert!(wait <= previous * 3);
                previous = wait;
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let policy = RetryPolicy::default();
        let waits = |seed| {
            let random = Random::new(seed);
            let mut retries = Retries::new(&policy, &random);
            (0..5).map(|_| retries.jitter()).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
