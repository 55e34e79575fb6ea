//! Platform time: the real clock, a faster one, or one that is moved by hand.
//!
//! Rules such as "faster than 7 s is a ban" and "expires after ten minutes" must hold when a
//! simulated crowd works a day in a minute, so everything on the platform asks this clock.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// The time on the platform, in whole milliseconds. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// The time of the machine plus an offset in milliseconds.
    Real { ahead: AtomicI64 },
    /// `origin + (elapsed since started) × scale`.
    Scaled {
        scale: f64,
        started: Instant,
        origin: AtomicI64,
    },
    /// Stands still until it is moved.
    Manual(Mutex<i64>),
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn real() -> Self {
        Self(Arc::new(Kind::Real {
            ahead: AtomicI64::new(0),
        }))
    }

    /// A clock that shows `start` now and then runs `scale` times as fast as the machine's.
    /// A scale that is not a positive number counts as 1.
    #[must_use]
    pub fn scaled(start: Timestamp, scale: f64) -> Self {
        Self(Arc::new(Kind::Scaled {
            scale: if scale.is_finite() && scale > 0.0 {
                scale
            } else {
                1.0
            },
            started: Instant::now(),
            origin: AtomicI64::new(start.as_millisecond()),
        }))
    }

    /// A clock that shows `start` until [`advance`](Self::advance) or
    /// [`wait_until`](Self::wait_until) moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Kind::Manual(Mutex::new(start.as_millisecond()))))
    }

    /// The platform's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        timestamp(self.millis())
    }

    /// The platform's time in milliseconds since 1970-01-01T00:00:00 UTC.
    pub(crate) fn millis(&self) -> i64 {
        match &*self.0 {
            Kind::Real { ahead } => {
                Timestamp::now().as_millisecond() + ahead.load(Ordering::Relaxed)
            }
            Kind::Scaled {
                scale,
                started,
                origin,
            } => {
                #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
                let passed = (started.elapsed().as_secs_f64() * 1000.0 * scale) as i64;
                origin.load(Ordering::Relaxed).saturating_add(passed)
            }
            Kind::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The time of the machine in milliseconds since 1970: receivers of webhooks and clients that
    /// wait live in it, however fast the platform's time runs. A manual clock is also that.
    pub(crate) fn machine_millis(&self) -> i64 {
        match &*self.0 {
            Kind::Real { .. } | Kind::Scaled { .. } => Timestamp::now().as_millisecond(),
            Kind::Manual(_) => self.millis(),
        }
    }

    /// Moves a manual clock forward; does nothing to a running clock.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(now) = &*self.0 {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
        }
    }

    /// Whether only [`advance`](Self::advance) and [`wait_until`](Self::wait_until) move this clock.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(&*self.0, Kind::Manual(_))
    }

    /// Returns when the clock shows `time` or later. A manual clock jumps there at once.
    pub async fn wait_until(&self, time: Timestamp) {
        let target = time.as_millisecond();
        loop {
            let scale = match &*self.0 {
                Kind::Manual(now) => {
                    let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
                    *now = target.max(*now);
                    return;
                }
                Kind::Real { .. } => 1.0,
                Kind::Scaled { scale, .. } => *scale,
            };
            let left = target.saturating_sub(self.millis());
            if left <= 0 {
                return;
            }
            // An hour at most, so that a far target cannot overflow; the loop sleeps on.
            let millis = (left as f64 / scale).ceil().clamp(1.0, 3_600_000.0);
            tokio::time::sleep(Duration::from_secs_f64(millis / 1000.0)).await;
        }
    }

    /// Moves the clock so that it never shows less than `floor`: time on the platform does not go
    /// back when the platform is started again.
    pub fn not_before(&self, floor: Timestamp) {
        let floor = floor.as_millisecond();
        let behind = floor.saturating_sub(self.millis());
        if behind <= 0 {
            return;
        }
        match &*self.0 {
            Kind::Real { ahead: shift } | Kind::Scaled { origin: shift, .. } => {
                shift.fetch_add(behind, Ordering::Relaxed);
            }
            Kind::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner) = floor,
        }
    }
}

/// The instant of `millis`, or the nearest one that exists.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_by_hand_and_jumps_to_what_is_waited_for() {
        let clock = Clock::manual(timestamp(1_000));
        clock.advance(Duration::from_millis(500));
        assert_eq!(clock.millis(), 1_500);
        clock.wait_until(timestamp(9_000)).await;
        assert_eq!(clock.now(), timestamp(9_000));
        clock.wait_until(timestamp(3_000)).await;
        assert_eq!(clock.millis(), 9_000, "time never goes back");
    }

    #[tokio::test]
    async fn a_scaled_clock_runs_ahead_of_the_machine() {
        let clock = Clock::scaled(timestamp(0), 1_000_000.0);
        clock.wait_until(timestamp(60_000)).await;
        assert!(clock.millis() >= 60_000);
    }

    #[test]
    fn a_restarted_clock_continues_after_the_time_it_showed() {
        for clock in [
            Clock::real(),
            Clock::scaled(timestamp(0), 2.0),
            Clock::manual(timestamp(0)),
        ] {
            let floor = timestamp(Timestamp::now().as_millisecond() + 86_400_000);
            clock.not_before(floor);
            assert!(clock.now() >= floor);
            clock.not_before(timestamp(0));
            assert!(clock.now() >= floor);
        }
    }
}
