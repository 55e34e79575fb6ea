//! Where a schedule's choices come from: a seed, or a tape of earlier choices.
//!
//! Choice 0 is always what happens in a world without trouble, so a tape of zeros is the run
//! without faults, and a failure gets easier to read the more of its choices are 0.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Answers every question of a schedule, and keeps the answers.
#[derive(Debug)]
pub struct Choices {
    source: Source,
    taken: Vec<u32>,
}

#[derive(Debug)]
enum Source {
    Seed(Box<ChaCha8Rng>),
    Tape(std::vec::IntoIter<u32>),
}

impl Choices {
    /// Random ones; the same seed gives the same.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::from(Source::Seed(Box::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// Those of a tape, then 0 for ever.
    #[must_use]
    pub fn tape(tape: Vec<u32>) -> Self {
        Self::from(Source::Tape(tape.into_iter()))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            taken: Vec::new(),
        }
    }

    /// The choices so far, without the zeros at the end: they are a tape.
    #[must_use]
    pub fn taken(&self) -> Vec<u32> {
        let mut taken = self.taken.clone();
        while taken.last() == Some(&0) {
            taken.pop();
        }
        taken
    }

    /// A number below `n`; every one is as likely.
    pub fn below(&mut self, n: u32) -> u32 {
        self.take(n, |random, n| random.random_range(0..n))
    }

    /// One of several, of which there is at least one; every one is as likely.
    pub fn one_of<T: Copy>(&mut self, several: &[T]) -> T {
        let choice = self.below(u32::try_from(several.len()).unwrap_or(u32::MAX));
        several[choice as usize]
    }

    /// A number below `n` that is 0 but for one time in `rarity`.
    pub fn rarely(&mut self, rarity: u32, n: u32) -> u32 {
        self.take(n, |random, n| {
            if random.random_range(0..rarity.max(1)) == 0 {
                random.random_range(0..n)
            } else {
                0
            }
        })
    }

    fn take(&mut self, n: u32, draw: impl FnOnce(&mut ChaCha8Rng, u32) -> u32) -> u32 {
        if n < 2 {
            return 0;
        }
        let choice = match &mut self.source {
            Source::Seed(random) => draw(random, n),
            // A shortened tape may answer another question than it was made for.
            Source::Tape(tape) => tape.next().unwrap_or(0) % n,
        };
        self.taken.push(choice);
        choice
    }
}
