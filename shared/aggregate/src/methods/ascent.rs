//! Climbs a smooth function: nonlinear conjugate gradients (Polak and Ribière 1969), preconditioned by the curvature
//! along each axis.

/// A function at a point.
pub(crate) struct Slope {
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// Positive numbers near minus the second derivatives. They set the scale of the first step only.
    pub(crate) curvature: Vec<f64>,
}

/// When to stop.
pub(crate) struct Ascent {
    /// At most so many steps.
    pub(crate) limit: usize,
    /// Where no derivative is larger than this, the function is flat enough.
    pub(crate) flat: f64,
}

/// A step must gain at least this share of what the slope promises…
const GAIN: f64 = 1e-4;
/// …and should leave at most this share of the slope.
const LEFT: f64 = 0.4;
/// So many points are tried for a step.
const TRIES: usize = 12;

impl Ascent {
    /// Climbs from `start`; no step makes the function smaller.
    pub(crate) fn run(&self, start: Vec<f64>, function: impl Fn(&[f64]) -> Slope) -> Vec<f64> {
        let mut point = start;
        let mut here = function(&point);
        let mut direction = newton(&here);
        let mut length = 1.0;
        for _ in 0..self.limit {
            if here.gradient.iter().all(|slope| slope.abs() <= self.flat) {
                break;
            }
            let Some((stride, next, there)) = step(&point, &here, &direction, length, &function)
            else {
                break;
            };
            let (old, new) = (newton(&here), newton(&there));
            let change = dot(&there.gradient, &new) - dot(&there.gradient, &old);
            let keep = (change / dot(&here.gradient, &old)).max(0.0);
            let conjugate: Vec<f64> = new
                .iter()
                .zip(&direction)
                .map(|(new, direction)| new + keep * direction)
                .collect();
            // Where the conjugate direction does not lead upwards, begin anew.
            direction = if dot(&there.gradient, &conjugate) > 0.0 {
                conjugate
            } else {
                new
            };
            (length, point, here) = (stride, next, there);
        }
        point
    }
}

/// The step to the top if each axis were on its own.
fn newton(at: &Slope) -> Vec<f64> {
    let axes = at.gradient.iter().zip(&at.curvature);
    axes.map(|(slope, curvature)| slope / curvature).collect()
}

/// Finds a step along `direction` that gains enough; `None` if there is none. The first try is of the given length.
fn step(
    point: &[f64],
    here: &Slope,
    direction: &[f64],
    first: f64,
    function: impl Fn(&[f64]) -> Slope,
) -> Option<(f64, Vec<f64>, Slope)> {
    let promise = dot(&here.gradient, direction);
    let mut length = first;
    let mut best: Option<(f64, Vec<f64>, Slope)> = None;
    for _ in 0..TRIES {
        let next: Vec<f64> = point
            .iter()
            .zip(direction)
            .map(|(x, direction)| x + length * direction)
            .collect();
        let there = function(&next);
        let floor = best.as_ref().map_or(here.value, |(.., best)| best.value);
        // Not a number is no gain.
        let enough = there.value >= here.value + GAIN * length * promise && there.value > floor;
        if !enough {
            if best.is_some() {
                break;
            }
            length *= shrink(here.value, promise, length, there.value);
            continue;
        }
        let slope = dot(&there.gradient, direction);
        let tried = length;
        // Where the slope would be zero, if it changed evenly.
        length *= (promise / (promise - slope)).clamp(0.1, 4.0);
        if !length.is_finite() {
            length = 4.0 * tried;
        }
        best = Some((tried, next, there));
        if slope.abs() <= LEFT * promise {
            break;
        }
    }
    best
}

/// By how much to shorten a step that gained too little: to the top of the parabola, within bounds.
fn shrink(value: f64, promise: f64, length: f64, reached: f64) -> f64 {
    let missing = value + length * promise - reached;
    let factor = 0.5 * length * promise / missing;
    if factor.is_finite() { factor.clamp(0.1, 0.5) } else { 0.1 }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}
