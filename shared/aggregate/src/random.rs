//! numpy's legacy random numbers: `numpy.random.RandomState`, which crowd-kit draws from.
//!
//! numpy has frozen them (NEP 19), so a seed gives the same numbers for ever.

use rand_mt::Mt;

/// `RandomState(seed)`: MT19937 seeded by Knuth's generator.
#[derive(Debug)]
pub(crate) struct RandomState {
    generator: Mt,
    /// Normal numbers are made two at a time.
    spare: Option<f64>,
}

impl RandomState {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            generator: Mt::new(seed),
            spare: None,
        }
    }

    /// `random_sample()`: 53 random bits, from 0 to below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        const TWO_26: f64 = 67_108_864.0;
        const TWO_53: f64 = 9_007_199_254_740_992.0;
        let high = self.generator.next_u32() >> 5;
        let low = self.generator.next_u32() >> 6;
        (f64::from(high) * TWO_26 + f64::from(low)) / TWO_53
    }

    /// `standard_normal()`: Marsaglia's polar method, in numpy's order.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(factor * x);
                return factor * y;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RandomState;

    /// `numpy.random.RandomState(seed)`, printed by numpy 2.
    #[test]
    fn numbers_are_numpys() {
        let mut state = RandomState::new(0);
        let uniform = [0.0; 3].map(|_| state.uniform().to_bits());
        assert_eq!(
            uniform,
            [
                0.548_813_503_927_324_8_f64,
                0.715_189_366_372_419_5,
                0.602_763_376_071_643_9
            ]
            .map(f64::to_bits)
        );
        let expected = [
            1.764_052_345_967_664,
            0.400_157_208_367_223_3,
            0.978_737_984_105_739_2,
        ];
        let mut state = RandomState::new(0);
        for number in expected {
            let found = state.normal();
            assert!(
                (found - number).abs() <= 1e-15,
                "{found} instead of {number}"
            );
        }
        assert_eq!(
            RandomState::new(123_456_789).uniform().to_bits(),
            f64::to_bits(0.532_833_024_789_759)
        );
    }
}
