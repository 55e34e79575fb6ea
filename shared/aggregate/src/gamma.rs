//! The logarithm of the gamma function and its derivative, for positive numbers.
//!
//! Both are Stirling's series (Abramowitz and Stegun 1964, 6.1.41 and 6.3.18), after the argument was raised above
//! [`FAR`] by the recurrence Γ(x + 1) = xΓ(x).

/// From here on, the first term left out of either series is below 10⁻¹⁶.
const FAR: f64 = 10.0;

/// ½ ln 2π.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// ψ(x) = d ln Γ(x) / dx.
pub(crate) fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < FAR {
        below += 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = polynomial(
        square,
        [
            1.0 / 12.0,
            -1.0 / 120.0,
            1.0 / 252.0,
            -1.0 / 240.0,
            1.0 / 132.0,
            -691.0 / 32_760.0,
            1.0 / 12.0,
        ],
    );
    x.ln() - 0.5 / x - square * series - below
}

/// ln Γ(x).
pub(crate) fn ln_gamma(x: f64) -> f64 {
    let (far, below) = far_logarithm(x);
    far - below.ln()
}

/// ln (Γ(x + by) / Γ(x)).
pub(crate) fn ln_rising(x: f64, by: f64) -> f64 {
    let (far, below) = far_logarithm(x);
    let (far_above, below_above) = far_logarithm(x + by);
    far_above - far + (below / below_above).ln()
}

/// ln Γ of `x` raised above [`FAR`], and what Γ was multiplied by on the way.
fn far_logarithm(mut x: f64) -> (f64, f64) {
    let mut below = 1.0;
    while x < FAR {
        below *= x;
        x += 1.0;
    }
    let series = polynomial(
        1.0 / (x * x),
        [
            1.0 / 12.0,
            -1.0 / 360.0,
            1.0 / 1_260.0,
            -1.0 / 1_680.0,
            1.0 / 1_188.0,
            -691.0 / 360_360.0,
            1.0 / 156.0,
        ],
    );
    ((x - 0.5) * x.ln() - x + HALF_LN_TAU + series / x, below)
}

/// c₀ + c₁x + c₂x² + …
fn polynomial(x: f64, coefficients: [f64; 7]) -> f64 {
    coefficients
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::{digamma, ln_gamma, ln_rising};

    /// x, ψ(x), ln Γ(x) from scipy 1.17; ψ(1) is minus Euler's constant, and ψ has its root at 1.4616….
    const KNOWN: [(f64, f64, f64); 12] = [
        (0.001, -1_000.575_571_931_810_3, 6.907_178_885_383_853),
        (0.22, -4.809_438_245_498_766, 1.423_224_370_785_475_3),
        (0.5, -1.963_510_026_021_423_5, 0.572_364_942_924_7),
        (1.0, -0.577_215_664_901_532_9, 0.0),
        (1.461_632_144_968_362_2, 0.0, -0.121_486_290_535_849_7),
        (2.0, 0.422_784_335_098_467_13, 0.0),
        (3.75, 1.182_537_388_611_796_2, 1.486_815_578_593_417_2),
        (9.999, 2.251_647_417_205_735, 12.799_575_780_077_413),
        (10.0, 2.251_752_589_066_721, 12.801_827_480_081_469),
        (100.0, 4.600_161_852_738_088, 359.134_205_369_575_4),
        (12_345.678, 9.421_020_820_741_761, 103_959.919_905_546_06),
        (1e9, 20.723_265_836_446_412, 19_723_265_827.503_716),
    ];

    #[test]
    fn values_are_the_known_ones() {
        for (x, psi, logarithm) in KNOWN {
            for (found, expected) in [(digamma(x), psi), (ln_gamma(x), logarithm)] {
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error <= 1e-14, "at {x}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn rising_is_the_difference() {
        for (x, _, below) in KNOWN {
            for by in [1e-3, 0.5, 3.0, 20.0] {
                let (found, expected) = (ln_rising(x, by), ln_gamma(x + by) - below);
                let error = (found - expected).abs() / below.abs().max(1.0);
                assert!(error <= 1e-13, "{x}, {by}: {found} instead of {expected}");
            }
        }
    }
}
