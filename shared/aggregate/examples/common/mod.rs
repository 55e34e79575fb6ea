//! Synthetic crowds: as large as wanted, in little memory, and the same for the same seed.

use std::error::Error;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Beta, Distribution as _};

/// What the crowd is like.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) tasks: usize,
    /// Answers a task, each of another worker.
    pub(crate) answers: usize,
    pub(crate) workers: usize,
    pub(crate) classes: usize,
    /// The parameters of the Beta distribution that workers' accuracies are drawn from.
    pub(crate) accuracy: (f64, f64),
    /// The share of workers who do not look: half of them answer at random, half always the same.
    pub(crate) spammers: f64,
    /// The n-th class is 1 / n^`imbalance` as frequent as the first.
    pub(crate) imbalance: f64,
    /// How far the hardest task pulls everybody's accuracy down to that of guessing, between 0 and 1; each task is
    /// between that and not hard at all, evenly.
    pub(crate) difficulty: f64,
    /// So many answers are held back and let go at random, as a crowd works on many tasks at once; 1 keeps the order.
    pub(crate) window: usize,
    pub(crate) seed: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            tasks: 20_000,
            answers: 5,
            workers: 1_000,
            classes: 4,
            accuracy: (8.0, 3.0),
            spammers: 0.1,
            imbalance: 0.5,
            difficulty: 0.5,
            window: 100_000,
            seed: 1,
        }
    }
}

/// Task, worker and label of an answer.
pub(crate) type Answer = (usize, usize, usize);

#[derive(Clone, Copy)]
enum Worker {
    Looks { accuracy: f64 },
    Repeats { label: usize },
}

impl Crowd {
    /// Gives the true label of every task to `truth`, and every answer to `answer`.
    ///
    /// # Errors
    /// A setting out of range, and whatever the two fail with.
    pub(crate) fn generate(
        &self,
        mut truth: impl FnMut(usize, usize) -> Result<(), Box<dyn Error>>,
        mut answer: impl FnMut(Answer) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        self.check()?;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let classes = self.class_frequencies()?;
        let workers = self.workers(&mut random)?;
        let mut asked = Vec::with_capacity(self.answers);
        let mut held_back = Vec::with_capacity(self.window);
        for task in 0..self.tasks {
            let true_label = classes.sample(&mut random);
            truth(task, true_label)?;
            let difficulty = self.difficulty * random.random::<f64>();
            asked.clear();
            while asked.len() < self.answers {
                let worker = random.random_range(0..self.workers);
                let (Some(&character), false) = (workers.get(worker), asked.contains(&worker))
                else {
                    continue;
                };
                asked.push(worker);
                let label = self.label(character, true_label, difficulty, &mut random);
                let mut next = (task, worker, label);
                if held_back.len() < self.window {
                    held_back.push(next);
                } else if let Some(held) = held_back.get_mut(random.random_range(0..self.window)) {
                    std::mem::swap(held, &mut next);
                    answer(next)?;
                }
            }
        }
        if self.window > 1 {
            held_back.shuffle(&mut random);
        }
        held_back.into_iter().try_for_each(answer)
    }

    fn check(&self) -> Result<(), Box<dyn Error>> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let wrong = [
            (
                self.answers > self.workers,
                "answers: more than there are workers",
            ),
            (!share(self.spammers), "spammers: not between 0 and 1"),
            (!share(self.difficulty), "difficulty: not between 0 and 1"),
            (self.window == 0, "window: not at least 1"),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, problem)) => Err((*problem).into()),
            None => Ok(()),
        }
    }

    fn workers(&self, random: &mut ChaCha8Rng) -> Result<Vec<Worker>, Box<dyn Error>> {
        let (right, wrong) = self.accuracy;
        let accuracies = Beta::new(right, wrong)?;
        let worker = |_| {
            if !random.random_bool(self.spammers) {
                let accuracy = accuracies.sample(random);
                Worker::Looks { accuracy }
            } else if random.random() {
                let accuracy = self.guessing();
                Worker::Looks { accuracy }
            } else {
                let label = random.random_range(0..self.classes);
                Worker::Repeats { label }
            }
        };
        Ok((0..self.workers).map(worker).collect())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "there are not that many classes"
    )]
    fn class_frequencies(&self) -> Result<WeightedAliasIndex<f64>, Box<dyn Error>> {
        let weights = (1..=self.classes).map(|class| (class as f64).powf(-self.imbalance));
        Ok(WeightedAliasIndex::new(weights.collect())?)
    }

    /// The accuracy of who does not look.
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are not that many classes"
    )]
    fn guessing(&self) -> f64 {
        1.0 / self.classes as f64
    }

    fn label(
        &self,
        worker: Worker,
        truth: usize,
        difficulty: f64,
        random: &mut ChaCha8Rng,
    ) -> usize {
        match worker {
            Worker::Repeats { label } => label,
            Worker::Looks { accuracy } => {
                let accuracy = accuracy + difficulty * (self.guessing() - accuracy);
                if self.classes == 1 || random.random::<f64>() < accuracy {
                    truth
                } else {
                    (truth + random.random_range(1..self.classes)) % self.classes
                }
            }
        }
    }
}
