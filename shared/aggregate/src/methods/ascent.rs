//! Climbs a smooth function: nonlinear conjugate gradients (Polak and Ribière 1969; Gilbert and Nocedal 1992), as in
//! scipy's `minimize(method="CG")`, on axes that may be scaled.

use crate::methods::line_search::{Trial, search};

/// A function at a point.
pub(crate) struct Slope {
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// Positive numbers near minus the second derivative along each axis. They make the first step long or short.
    pub(crate) curvature: Vec<f64>,
}

/// When to stop, and how to step.
pub(crate) struct Ascent {
    /// At most so many steps.
    pub(crate) limit: usize,
    /// Where no derivative is larger than this, the function is flat enough.
    pub(crate) flat: f64,
    /// Whether each axis is scaled by its curvature; scipy does not.
    pub(crate) scaled: bool,
}

/// A direction must lead upwards at least so much, in comparison with the gradient.
const UPWARDS: f64 = 0.01;

impl Ascent {
    /// Climbs from `start`; gives where it got to, and the function there. No step makes it smaller.
    pub(crate) fn run(
        &self,
        start: Vec<f64>,
        function: impl Fn(&[f64]) -> Slope,
    ) -> (Vec<f64>, f64) {
        let mut point = start;
        let mut here = function(&point);
        let mut uphill = self.uphill(&here);
        let mut direction = uphill.clone();
        let mut gain = if self.scaled {
            f64::INFINITY
        } else {
            // Scipy's guess, by which the first step is about 1 long.
            dot(&here.gradient, &here.gradient).sqrt() / 2.0
        };
        for _ in 0..self.limit {
            if here.gradient.iter().all(|slope| slope.abs() <= self.flat) {
                break;
            }
            let slope = dot(&here.gradient, &direction);
            let first = (1.01 * 2.0 * gain / slope).min(1.0);
            let Some((next, there)) = step(&point, &here, &direction, first, &function) else {
                break;
            };
            let next_uphill = self.uphill(&there);
            let change = dot(&there.gradient, &next_uphill) - dot(&here.gradient, &next_uphill);
            let keep = (change / dot(&here.gradient, &uphill)).max(0.0);
            for (direction, uphill) in direction.iter_mut().zip(&next_uphill) {
                *direction = uphill + keep * *direction;
            }
            let steepest = dot(&there.gradient, &next_uphill);
            if dot(&there.gradient, &direction) < UPWARDS * steepest {
                direction.clone_from(&next_uphill);
            }
            gain = there.value - here.value;
            (point, here, uphill) = (next, there, next_uphill);
        }
        (point, here.value)
    }

    fn uphill(&self, at: &Slope) -> Vec<f64> {
        let axes = at.gradient.iter().zip(&at.curvature);
        axes.map(|(slope, curvature)| {
            if self.scaled {
                slope / curvature
            } else {
                *slope
            }
        })
        .collect()
    }
}

/// Takes a step along `direction`; `None` if there is none that gains enough.
fn step(
    point: &[f64],
    here: &Slope,
    direction: &[f64],
    first: f64,
    function: impl Fn(&[f64]) -> Slope,
) -> Option<(Vec<f64>, Slope)> {
    let mut reached = None;
    let start = Trial {
        step: 0.0,
        value: -here.value,
        slope: -dot(&here.gradient, direction),
    };
    search(start, first, |step| {
        let next: Vec<f64> = point
            .iter()
            .zip(direction)
            .map(|(x, direction)| x + step * direction)
            .collect();
        let there = function(&next);
        let trial = Trial {
            step,
            value: -there.value,
            slope: -dot(&there.gradient, direction),
        };
        reached = Some((next, there));
        trial
    })?;
    reached
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::{Ascent, Slope};

    /// Minus Rosenbrock's (1960) valley, whose top is at (1, 1).
    fn rosenbrock(point: &[f64]) -> Slope {
        let (x, y) = (point[0], point[1]);
        let valley = y - x * x;
        Slope {
            value: -100.0 * valley * valley - (1.0 - x).powi(2),
            gradient: vec![400.0 * x * valley + 2.0 * (1.0 - x), -200.0 * valley],
            curvature: vec![1200.0 * x * x + 2.0, 200.0],
        }
    }

    #[test]
    fn the_top_of_a_bent_ridge_is_found() {
        for scaled in [false, true] {
            let ascent = Ascent {
                limit: 200,
                flat: 1e-9,
                scaled,
            };
            let (top, _) = ascent.run(vec![-1.2, 1.0], rosenbrock);
            assert!(
                (top[0] - 1.0).abs() < 1e-8 && (top[1] - 1.0).abs() < 1e-8,
                "{top:?}"
            );
        }
    }

    /// Minus the example of Boyd and Vandenberghe (2004), section 9.3.2.
    fn exponentials(point: &[f64]) -> Slope {
        let [x, y] = [point[0], point[1]];
        let [one, two, three] = [x + 3.0 * y, x - 3.0 * y, -x].map(|sum| (sum - 0.1).exp());
        Slope {
            value: -(one + two + three),
            gradient: vec![three - one - two, 3.0 * (two - one)],
            curvature: vec![one + two + three, 9.0 * (one + two)],
        }
    }

    /// From scipy 1.17's `minimize(method="CG", tol=1e-9)`, after so many iterations.
    const SCIPY: [(usize, [f64; 2]); 4] = [
        (1, [-1.500_836_586_637_485_3, -0.009_999_653_526_078_012]),
        (2, [-0.763_450_178_771_292_3, -0.232_776_039_829_992_73]),
        (3, [-0.562_389_703_880_498_5, 0.072_834_299_150_309_76]),
        (5, [-0.338_913_566_511_012_1, 0.000_263_826_097_982_880_5]),
    ];

    #[test]
    fn the_first_steps_are_scipys() {
        for (limit, expected) in SCIPY {
            let ascent = Ascent {
                limit,
                flat: 1e-9,
                scaled: false,
            };
            let (found, _) = ascent.run(vec![-1.5, 1.0], exponentials);
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-9,
                    "{found} instead of {expected}"
                );
            }
        }
    }
}
