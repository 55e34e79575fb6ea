//! How far to go along a line: the search of Moré and Thuente (1994), as in MINPACK-2's `dcsrch`, which scipy uses.
//!
//! It looks for a step that gains enough and leaves little of the slope (the strong Wolfe conditions), between the
//! best step so far and another one beyond the top, by cubic and quadratic interpolation. As in the original, values
//! are to become small.

/// A function and its derivative at a step along the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trial {
    pub(crate) step: f64,
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

/// A step must gain at least this share of what the slope at the start promises, and leave at most this share of it.
const GAIN: f64 = 1e-4;
const LEFT: f64 = 0.4;
/// Scipy's other settings.
const TRIES: usize = 100;
const SHORTEST: f64 = 1e-100;
const LONGEST: f64 = 1e100;
const NARROWEST: f64 = 1e-14;

/// The best step so far, and the interval to look into.
struct Interval {
    best: Trial,
    other: Trial,
    /// Whether the top is between the two.
    bracketed: bool,
    shortest: f64,
    longest: f64,
}

/// Finds a step, beginning with `first`; `None` if there is none, or if rounding prevents progress. The last call of
/// `evaluate` is for the step that is found.
pub(crate) fn search(
    start: Trial,
    first: f64,
    mut evaluate: impl FnMut(f64) -> Trial,
) -> Option<Trial> {
    let promise = GAIN * start.slope;
    let mut interval = Interval {
        best: start,
        other: start,
        bracketed: false,
        shortest: 0.0,
        longest: 5.0 * first,
    };
    let mut gained = false;
    let (mut width, mut width_before) = (LONGEST, 2.0 * LONGEST);
    let mut step = first;
    for _ in 0..TRIES {
        let trial = evaluate(step);
        let enough = start.value + step * promise;
        if trial.value <= enough && trial.slope.abs() <= LEFT * -start.slope {
            return Some(trial);
        }
        if interval.bracketed && interval.is_used_up(step) {
            return None;
        }
        gained |= trial.value <= enough && trial.slope >= 0.0;
        // Until a step has gained enough, what it should gain is taken off.
        let tilt = if !gained && trial.value <= interval.best.value && trial.value > enough {
            promise
        } else {
            0.0
        };
        step = interval.narrow(trial, tilt);
        if interval.bracketed {
            let length = interval.other.step - interval.best.step;
            if length.abs() >= 0.66 * width_before {
                step = interval.best.step + 0.5 * length;
            }
            (width_before, width) = (width, length.abs());
        }
        interval.bound(step);
        step = step.clamp(SHORTEST, LONGEST);
        if interval.bracketed && interval.is_used_up(step) {
            step = interval.best.step;
        }
        if !step.is_finite() {
            return None;
        }
    }
    None
}

impl Interval {
    fn is_used_up(&self, step: f64) -> bool {
        step <= self.shortest
            || step >= self.longest
            || self.longest - self.shortest <= NARROWEST * self.longest
    }

    fn bound(&mut self, step: f64) {
        let (best, other) = (self.best.step, self.other.step);
        (self.shortest, self.longest) = if self.bracketed {
            (best.min(other), best.max(other))
        } else {
            (step + 1.1 * (step - best), step + 4.0 * (step - best))
        };
    }

    /// Takes a trial into the interval, and gives the next step: `dcstep`.
    fn narrow(&mut self, trial: Trial, tilt: f64) -> f64 {
        let tilted = |trial: Trial| Trial {
            value: trial.value - trial.step * tilt,
            slope: trial.slope - tilt,
            ..trial
        };
        let (x, y, p) = (tilted(self.best), tilted(self.other), tilted(trial));
        let turned = p.slope.signum() * x.slope.signum() < 0.0;
        let ahead = p.step > x.step;
        let step = if p.value > x.value {
            self.bracketed = true;
            let cubic = cubic(x, p);
            let promised = (x.value - p.value) / (p.step - x.step) + x.slope;
            let quadratic = x.step + x.slope / promised / 2.0 * (p.step - x.step);
            if (cubic - x.step).abs() <= (quadratic - x.step).abs() {
                cubic
            } else {
                cubic + (quadratic - cubic) / 2.0
            }
        } else if turned {
            self.bracketed = true;
            farther(p, cubic(p, x), secant(x, p))
        } else if p.slope.abs() < x.slope.abs() {
            let cubic = cubic(p, x);
            let beyond = if ahead { self.longest } else { self.shortest };
            // Only a cubic whose top is beyond the trial says something.
            let cubic = if (cubic - p.step) * (p.step - x.step) > 0.0 {
                cubic
            } else {
                beyond
            };
            let secant = secant(x, p);
            if self.bracketed {
                let nearer = if (cubic - p.step).abs() < (secant - p.step).abs() {
                    cubic
                } else {
                    secant
                };
                let within = p.step + 0.66 * (y.step - p.step);
                if ahead {
                    within.min(nearer)
                } else {
                    within.max(nearer)
                }
            } else {
                farther(p, cubic, secant)
                    .max(self.shortest)
                    .min(self.longest)
            }
        } else if self.bracketed {
            cubic(p, y)
        } else if ahead {
            self.longest
        } else {
            self.shortest
        };
        if p.value > x.value {
            self.other = trial;
        } else {
            if turned {
                self.other = self.best;
            }
            self.best = trial;
        }
        step
    }
}

/// Where the cubic through two trials, with their slopes, is smallest; seen from the first. Not a number if nowhere.
fn cubic(near: Trial, far: Trial) -> f64 {
    let theta = 3.0 * (near.value - far.value) / (far.step - near.step) + near.slope + far.slope;
    let scale = theta.abs().max(near.slope.abs()).max(far.slope.abs());
    let square = (theta / scale).powi(2) - (near.slope / scale) * (far.slope / scale);
    let root = (scale * square.sqrt()).copysign(far.step - near.step);
    let share = (root - near.slope + theta) / (root - near.slope + root + far.slope);
    near.step + share * (far.step - near.step)
}

/// Where the slope is zero if it changes evenly.
fn secant(x: Trial, p: Trial) -> f64 {
    p.step + p.slope / (p.slope - x.slope) * (x.step - p.step)
}

/// Whichever of two steps is farther from the trial.
fn farther(p: Trial, cubic: f64, secant: f64) -> f64 {
    if (cubic - p.step).abs() > (secant - p.step).abs() {
        cubic
    } else {
        secant
    }
}

#[cfg(test)]
mod tests {
    use super::{GAIN, LEFT, Trial, search};

    /// The first two functions of Moré and Thuente's section 5.
    fn rational(step: f64) -> Trial {
        let square = step * step + 2.0;
        Trial {
            step,
            value: -step / square,
            slope: (step * step - 2.0) / (square * square),
        }
    }

    fn power(step: f64) -> Trial {
        let x: f64 = step + 0.004;
        Trial {
            step,
            value: x.powi(5) - 2.0 * x.powi(4),
            slope: 5.0 * x.powi(4) - 8.0 * x.powi(3),
        }
    }

    #[test]
    fn steps_keep_the_wolfe_conditions() {
        for function in [rational, power] {
            for first in [1e-3, 0.1, 1.0, 10.0, 1e3] {
                let start = function(0.0);
                let mut last = 0.0;
                let found = search(start, first, |step| {
                    last = step;
                    function(step)
                })
                .unwrap();
                assert!(found.value <= start.value + GAIN * found.step * start.slope);
                assert!(found.slope.abs() <= LEFT * start.slope.abs());
                assert_eq!(last.to_bits(), found.step.to_bits());
            }
        }
    }

    type Function = fn(f64) -> Trial;

    /// From scipy 1.17's `DCSRCH`.
    const SCIPY: [(Function, f64, f64); 8] = [
        (rational, 0.001, 1.365),
        (rational, 0.1, 1.441_372_079_089_274_1),
        (rational, 10.0, 10.0),
        (rational, 1000.0, 111.083_337_885_142_03),
        (power, 0.001, 1.596_000_000_186_075),
        (power, 0.1, 1.596_000_000_004_934_8),
        (power, 10.0, 1.595_999_999_757_203_2),
        (power, 1000.0, 1.595_999_998_872_531),
    ];

    #[test]
    fn steps_are_scipys() {
        for (function, first, expected) in SCIPY {
            let found = search(function(0.0), first, function).unwrap().step;
            assert!(
                (found - expected).abs() <= 1e-12 * expected,
                "{found} instead of {expected}"
            );
        }
    }

    #[test]
    fn a_function_that_is_nowhere_a_number_has_no_step() {
        let start = Trial {
            step: 0.0,
            value: 0.0,
            slope: -1.0,
        };
        let nowhere = |step| Trial {
            step,
            value: f64::NAN,
            slope: f64::NAN,
        };
        assert!(search(start, 1.0, nowhere).is_none());
    }
}
