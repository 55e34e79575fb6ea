//! crowd-kit's MACE, flaws included; [`Mace`] lists them.

use crate::aggregated::{Aggregated, StopReason};
use crate::answers::{Answers, count_as_f64};
use crate::gamma::digamma;
use crate::methods::blocks::{Block, add, blocks, each, table_of_tasks};
use crate::methods::mace::habits::Habits;
use crate::methods::mace::{Mace, MaceLearning, finish};
use crate::random::RandomState;

pub(super) fn mace(answers: &Answers, settings: &Mace) -> Aggregated {
    let model = Model::new(answers, settings.learning);
    let mut workers = model.random_workers(settings.seed);
    let mut history = Vec::new();
    let mut counts = model.expect(&workers);
    for _ in 0..settings.iterations {
        workers = model.maximise(&counts);
        // The log-likelihood of an iteration is the one under its own parameters.
        counts = model.expect(&workers);
        history.push(counts.log_likelihood / count_as_f64(answers.len()));
        settings.progress.tell(&history, settings.iterations);
    }
    let probabilities = model.probabilities(&workers);
    finish(
        answers,
        probabilities,
        workers,
        history,
        StopReason::IterationLimit,
    )
}

/// The same for all iterations.
struct Model<'a> {
    answers: &'a Answers,
    learning: MaceLearning,
    blocks: Vec<Block>,
    /// For every worker the one whose strategy it gets: the sorted place of one is the other's place of appearance.
    strategy_of: Vec<usize>,
    /// For every label the one that gets its share of the strategy, in the same way.
    share_for: Vec<u32>,
}

/// What is expected: of every pair, how many answers are spam, and how many were given knowingly.
struct Counts {
    spam: Vec<f64>,
    knowing: Vec<f64>,
    log_likelihood: f64,
}

/// The probability of each pair's answer by spam, and with the true label.
struct Chances {
    spam: Vec<f64>,
    right: Vec<f64>,
}

impl<'a> Model<'a> {
    fn new(answers: &'a Answers, learning: MaceLearning) -> Self {
        let names = answers.names();
        let mut sorted_as_text: Vec<usize> = (0..names.workers.len()).collect();
        sorted_as_text.sort_unstable_by_key(|&worker| names.workers.get(worker));
        let strategy_of = |&appearance: &u32| {
            sorted_as_text
                .get(appearance as usize)
                .copied()
                .unwrap_or_default()
        };
        let mut share_for = vec![0; names.labels.len()];
        for (label, &appearance) in (0..).zip(&names.label_appearance) {
            if let Some(place) = share_for.get_mut(appearance as usize) {
                *place = label;
            }
        }
        Self {
            answers,
            learning,
            blocks: blocks(answers),
            strategy_of: names.worker_appearance.iter().map(strategy_of).collect(),
            share_for,
        }
    }

    /// The start: both tables are drawn from the same seed, in the order of appearance.
    fn random_workers(&self, seed: u32) -> Habits {
        let names = self.answers.names();
        let (workers, classes) = (names.workers.len(), names.labels.len());
        let row = |random: &mut RandomState, length| {
            let mut row: Vec<f64> = (0..length).map(|_| 1.0 + 1.5 * random.uniform()).collect();
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= sum);
            row
        };
        let mut by_appearance = vec![0; workers];
        for (worker, &appearance) in names.worker_appearance.iter().enumerate() {
            if let Some(place) = by_appearance.get_mut(appearance as usize) {
                *place = worker;
            }
        }
        let mut habits = Habits {
            habit_or_knows: vec![[0.0; 2]; workers],
            favourites: vec![Vec::new(); workers],
            others: vec![0.0; classes],
            factor: vec![0.0; workers],
        };
        let (mut random, mut same) = (RandomState::new(seed), RandomState::new(seed));
        for worker in by_appearance {
            if let (&[spam, knows], Some(place)) =
                (&*row(&mut random, 2), habits.habit_or_knows.get_mut(worker))
            {
                *place = [spam, knows];
            }
            let strategy = row(&mut same, classes);
            // Only the labels that the worker gave matter.
            let share = |pair: usize| {
                let label = names.pairs.get(pair)?.label;
                let appearance = *names.label_appearance.get(label as usize)? as usize;
                Some((label, *strategy.get(appearance)?))
            };
            if let Some(place) = habits.favourites.get_mut(worker) {
                *place = names.pairs_of(worker).filter_map(share).collect();
            }
        }
        habits
    }

    /// How likely workers are to give their answers.
    fn chances(&self, workers: &Habits) -> Chances {
        let names = self.answers.names();
        let mut chances = Chances {
            spam: vec![0.0; names.pairs.len()],
            right: vec![0.0; names.pairs.len()],
        };
        let cells = chances.spam.iter_mut().zip(&mut chances.right);
        for (pair, (spam, right)) in names.pairs.iter().zip(cells) {
            let worker = pair.worker as usize;
            let habit_or_knows = workers.habit_or_knows.get(worker).copied();
            let [habit, knows] = habit_or_knows.unwrap_or_default();
            *spam = habit * workers.share(worker, pair.label).unwrap_or_default();
            *right = *spam + knows;
        }
        chances
    }

    /// The expectation step. A task whose product is too small for a float teaches nothing.
    fn expect(&self, workers: &Habits) -> Counts {
        let chances = self.chances(workers);
        let pairs = chances.spam.len();
        let parts = each(self.blocks.clone(), |block| {
            let mut counts = Counts {
                spam: vec![0.0; pairs],
                knowing: vec![0.0; pairs],
                log_likelihood: 0.0,
            };
            let mut task = Task::default();
            for own in block.pairs_by_task(self.answers) {
                let sum = task.multiply(self.answers, own, &chances);
                counts.log_likelihood += (sum + 1e-8).ln();
                if sum <= 0.0 {
                    continue;
                }
                for &pair in own {
                    let (spam, right) = chances.of(pair);
                    let true_label = task.of(label(self.answers, pair));
                    let by_spam = (true_label / right + (sum - true_label) / spam) * spam / sum;
                    let knowingly = true_label * (right - spam) / right / sum;
                    for (table, value) in [
                        (&mut counts.spam, by_spam),
                        (&mut counts.knowing, knowingly),
                    ] {
                        if let Some(cell) = table.get_mut(pair as usize) {
                            *cell += value;
                        }
                    }
                }
            }
            counts
        });
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_else(|| Counts {
            spam: vec![0.0; pairs],
            knowing: vec![0.0; pairs],
            log_likelihood: 0.0,
        });
        parts.fold(first, |mut sum, part| {
            add(&mut sum.spam, &part.spam);
            add(&mut sum.knowing, &part.knowing);
            sum.log_likelihood += part.log_likelihood;
            sum
        })
    }

    /// The maximisation step.
    fn maximise(&self, counts: &Counts) -> Habits {
        let names = self.answers.names();
        let classes = count_as_f64(names.labels.len());
        let weight: fn(f64) -> f64 = match self.learning {
            MaceLearning::VariationalBayes => |count| digamma(count).exp(),
            MaceLearning::ExpectationMaximisation => |count| count,
        };
        let (imagined, imagined_spam) = match self.learning {
            MaceLearning::VariationalBayes => (0.5, 10.0),
            MaceLearning::ExpectationMaximisation => (0.01 / classes, 0.01 / classes),
        };
        let sum = |table: &[f64], worker| -> f64 {
            table
                .get(names.pairs_of(worker))
                .unwrap_or_default()
                .iter()
                .sum()
        };
        let mut habits = Habits {
            others: vec![weight(imagined_spam); names.labels.len()],
            ..Habits::default()
        };
        for (worker, &strategy_of) in self.strategy_of.iter().enumerate() {
            let (spam, knowing) = (sum(&counts.spam, worker), sum(&counts.knowing, worker));
            let all = weight(spam + knowing + 2.0 * imagined);
            habits.habit_or_knows.push([
                weight(spam + imagined) / all,
                weight(knowing + imagined) / all,
            ]);
            let all = weight(sum(&counts.spam, strategy_of) + classes * imagined_spam);
            let share = |pair: usize| {
                let spam = counts.spam.get(pair)?;
                let label = names.pairs.get(pair)?.label;
                let label = *self.share_for.get(label as usize)?;
                Some((label, weight(spam + imagined_spam) / all))
            };
            let mut favourites: Vec<_> = names.pairs_of(strategy_of).filter_map(share).collect();
            favourites.sort_unstable_by_key(|&(label, _)| label);
            habits.favourites.push(favourites);
            habits.factor.push(1.0 / all);
        }
        habits
    }

    fn probabilities(&self, workers: &Habits) -> Vec<f64> {
        let chances = self.chances(workers);
        let classes = self.answers.labels().len();
        table_of_tasks(&self.blocks, classes, |block, rows| {
            let mut task = Task::default();
            let tasks = block.pairs_by_task(self.answers);
            for (own, row) in tasks.zip(rows.chunks_exact_mut(classes)) {
                let sum = task.multiply(self.answers, own, &chances);
                if sum > 0.0 {
                    row.fill(task.others / sum);
                    for &(label, product) in &task.products {
                        if let Some(cell) = row.get_mut(label as usize) {
                            *cell = product / sum;
                        }
                    }
                } else {
                    row.fill(1.0 / count_as_f64(classes));
                }
            }
        })
    }
}

fn label(answers: &Answers, pair: u32) -> u32 {
    let pairs = &answers.names().pairs;
    pairs.get(pair as usize).map_or(0, |pair| pair.label)
}

impl Chances {
    fn of(&self, pair: u32) -> (f64, f64) {
        let of = |table: &[f64]| table.get(pair as usize).copied().unwrap_or_default();
        (of(&self.spam), of(&self.right))
    }
}

/// One task: for every label, how likely its answers are if the label is true.
#[derive(Default)]
struct Task {
    /// Labels that were given.
    products: Vec<(u32, f64)>,
    /// Each of the others.
    others: f64,
}

impl Task {
    /// Multiplies plainly, as crowd-kit does; gives the sum over all labels, which may be too small for a float.
    fn multiply(&mut self, answers: &Answers, own: &[u32], chances: &Chances) -> f64 {
        let classes = count_as_f64(answers.labels().len());
        let product = |by_label: Option<u32>| {
            let factor = |&pair: &u32| {
                let (spam, right) = chances.of(pair);
                if by_label == Some(label(answers, pair)) {
                    right
                } else {
                    spam
                }
            };
            own.iter().map(factor).product::<f64>() / classes
        };
        self.products.clear();
        for &pair in own {
            let given = label(answers, pair);
            if !self.products.iter().any(|&(known, _)| known == given) {
                self.products.push((given, product(Some(given))));
            }
        }
        self.others = product(None);
        let unanswered = classes - count_as_f64(self.products.len());
        let answered: f64 = self.products.iter().map(|(_, product)| product).sum();
        answered + unanswered * self.others
    }

    fn of(&self, label: u32) -> f64 {
        let mut products = self.products.iter();
        products
            .find(|&&(given, _)| given == label)
            .map_or(self.others, |&(_, product)| product)
    }
}
