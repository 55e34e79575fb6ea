//! What hardships are drawn from.

/// Where the chance of a test comes from, unless `SEED` says otherwise.
const SEED: u64 = 20;

/// A sequence of numbers that looks random, made as `SplitMix64` does. It tells its seed when a
/// test fails.
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SEED").map_or(SEED, |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

impl Drop for Chance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("drawn from SEED={}", self.seed);
        }
    }
}
