//! MACE (Hovy, Berg-Kirkpatrick, Vaswani and Hovy 2013): a worker either knows the label, or spams: it answers by a
//! strategy of its own, whatever is true.
//!
//! A worker spams with a probability, and its strategy is a distribution over labels. Which answers are spam is
//! found together with the labels, by expectation-maximisation or, by default, by variational Bayes.
//!
//! An answer multiplies the probability of its own label against all others by (spam + knowing) / spam. So the
//! expectation is a sum of logarithms for each answered label, which never underflows, and an iteration costs as much
//! as there are answers, however many labels there are. What it learns is one number a (worker, label) pair: how many
//! answers were given knowingly.

use crate::aggregated::{Aggregated, Confusion, StopReason};
use crate::answers::{Answers, count_as_f64};
use crate::gamma::{digamma, ln_gamma};
use crate::gold::known_labels;
use crate::methods::blocks::{Block, add, blocks, each, table_of_tasks};
use crate::methods::em::check_tolerance;
use crate::methods::mace::habits::Habits;
use crate::methods::posterior::Posterior;
use crate::methods::summary::mean_row;
use crate::random::RandomState;
use crate::{Gold, MethodError, Mode, Progress};

mod crowd_kit;
pub(crate) mod habits;

/// How MACE learns about its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaceLearning {
    /// Variational Bayes: a distribution of each worker's parameters. crowd-kit's `method="vb"`.
    #[default]
    VariationalBayes,
    /// Expectation-maximisation: the most probable parameters. crowd-kit's `method="em"`.
    ExpectationMaximisation,
}

/// Settings of [`mace()`].
///
/// # The default mode
///
/// Beforehand, each worker is believed to have given four answers knowingly and two as spam, and to have spammed
/// two thirds of an answer for each label that exists: a third of these evenly, the rest as the crowd's labels are
/// frequent. The search starts from the majority vote, then from `restarts` random guesses, and the best by the
/// objective is kept: the evidence lower bound, or the penalised log-likelihood. No iteration makes it worse.
///
/// # crowd-kit's mode
///
/// The same numbers as crowd-kit's `MACE` with its default settings, its flaws included:
///
/// - It makes all restarts from the same seed, so they are all the same; one is made here, `restarts` is not used.
/// - It ignores its setting `smoothing`.
/// - It mixes up strategies: it counts them by workers and labels in sorted order but uses them in the order of first
///   appearance, so a worker gets another one's strategy. Workers are sorted as text here, as when they were read
///   with `dtype=str`.
/// - It multiplies probabilities. Where the product of many answers is too small, it gives no probabilities
///   at all; here, all labels are then equally probable.
/// - It always makes all iterations, and no use of known labels; `tolerance` and `gold` are not used.
/// - In variational Bayes, its parameters do not sum to one; nor do the columns and confusion matrices here.
///
/// One thing differs: the smallest of equally probable labels is decided for, not the first to appear.
///
/// Accuracy on real crowds (crowd-kit's mode in brackets): bluebirds 0.889 (0.806), labelme 0.786 (0.773), `s_adult`
/// 0.787 (0.763), weather 0.867 (0.867).
#[derive(Debug, Clone, PartialEq)]
pub struct Mace {
    /// At most so many iterations from every start.
    pub iterations: usize,
    /// Stop when an iteration gains less than this in the objective an answer.
    pub tolerance: f64,
    /// How many random starts to make after the one from the majority vote.
    pub restarts: usize,
    /// How to learn about workers.
    pub learning: MaceLearning,
    /// The seed of the random starts.
    pub seed: u32,
    /// The rules to follow.
    pub mode: Mode,
    /// Known labels. They are never changed, and teach which answers are spam. Tasks that nobody answered do not
    /// matter.
    pub gold: Gold,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for Mace {
    fn default() -> Self {
        Self {
            iterations: 50,
            tolerance: 1e-6,
            restarts: 9,
            learning: MaceLearning::default(),
            seed: 0,
            mode: Mode::Default,
            gold: Gold::new(),
            progress: Progress::default(),
        }
    }
}

/// Finds labels together with who spams and how.
///
/// [`Aggregated::worker_columns`] has `spamming`, the probability that an answer of the worker is spam. The confusion
/// matrices follow from it and the worker's strategy.
///
/// # Errors
/// [`MethodError`] for a setting out of range or a known label that does not exist.
pub fn mace(answers: &Answers, settings: &Mace) -> Result<Aggregated, MethodError> {
    check_tolerance(settings.tolerance)?;
    if settings.mode == Mode::CrowdKit {
        return Ok(crowd_kit::mace(answers, settings));
    }
    let known = known_labels(answers, &settings.gold)?;
    Ok(Search::new(answers, settings, known).best())
}

/// Imagined answers of every worker that are spam, and that are given knowingly.
const IMAGINED: [f64; 2] = [2.0, 4.0];
/// Imagined spam of every worker for each label that exists, and which share of it is even among labels.
const IMAGINED_STRATEGY: f64 = 2.0 / 3.0;
const EVEN: f64 = 1.0 / 3.0;

/// What the answers and the settings say.
struct Search<'a> {
    answers: &'a Answers,
    settings: &'a Mace,
    known: Vec<Option<u32>>,
    blocks: Vec<Block>,
    /// How many answers every pair has.
    given: Vec<f64>,
    /// Imagined spam of every worker, by label.
    imagined: Vec<f64>,
}

/// What is believed about each pair's answers.
struct Beliefs {
    /// The label that an answer gives, and by how much it makes that label more probable, as a logarithm.
    odds: Vec<(u32, f64)>,
    /// How probable it is that an answer with the true label was given knowingly.
    knowing: Vec<f64>,
    /// The part of the objective that no label changes.
    base: f64,
}

impl Beliefs {
    /// Finds the posterior of one task; gives its log-likelihood but for the constant part.
    fn judge(&self, own: &[u32], known: Option<u32>, posterior: &mut Posterior) -> f64 {
        posterior.clear();
        for &pair in own {
            if let Some(&(label, odds)) = self.odds.get(pair as usize) {
                posterior.add(label, odds);
            }
        }
        posterior.normalise(known)
    }
}

/// Where one search got to.
struct Found {
    /// Of every pair, how many answers were given knowingly.
    knowing: Vec<f64>,
    beliefs: Beliefs,
    history: Vec<f64>,
    stop: StopReason,
}

impl<'a> Search<'a> {
    fn new(answers: &'a Answers, settings: &'a Mace, known: Vec<Option<u32>>) -> Self {
        let names = answers.names();
        let mut given = vec![0.0; names.pairs.len()];
        for &pair in answers.by_task() {
            if let Some(given) = given.get_mut(pair as usize) {
                *given += 1.0;
            }
        }
        let mut imagined = vec![0.0; names.labels.len()];
        for (pair, given) in names.pairs.iter().zip(&given) {
            if let Some(sum) = imagined.get_mut(pair.label as usize) {
                *sum += given;
            }
        }
        let frequent = IMAGINED_STRATEGY * (1.0 - EVEN) * count_as_f64(names.labels.len())
            / count_as_f64(answers.len());
        for sum in &mut imagined {
            *sum = IMAGINED_STRATEGY * EVEN + frequent * *sum;
        }
        Self {
            answers,
            settings,
            known,
            blocks: blocks(answers),
            given,
            imagined,
        }
    }

    /// The best of all searches, the first of equals.
    fn best(&self) -> Aggregated {
        let mut random = RandomState::new(self.settings.seed);
        let mut best = self.climb(self.votes());
        for _ in 0..self.settings.restarts {
            let guess = self.given.iter().map(|given| given * random.uniform());
            let found = self.climb(guess.collect());
            if found.history.last() > best.history.last() {
                best = found;
            }
        }
        self.finish(best)
    }

    /// Half of the answers to a task that agree are taken to be given knowingly.
    fn votes(&self) -> Vec<f64> {
        let parts = each(self.blocks.clone(), |block| {
            let mut knowing = vec![0.0; self.given.len()];
            let mut votes = Posterior::new(self.imagined.len());
            for own in block.pairs_by_task(self.answers) {
                votes.clear();
                let vote = 0.5 / count_as_f64(own.len());
                for &pair in own {
                    votes.add(self.label(pair as usize), vote);
                }
                for &pair in own {
                    if let Some(sum) = knowing.get_mut(pair as usize) {
                        *sum += votes.of(self.label(pair as usize));
                    }
                }
            }
            knowing
        });
        self.sum(&parts)
    }

    /// The label of a pair.
    fn label(&self, pair: usize) -> u32 {
        let pairs = &self.answers.names().pairs;
        pairs.get(pair).map_or(0, |pair| pair.label)
    }

    fn sum(&self, parts: &[Vec<f64>]) -> Vec<f64> {
        let mut sums = vec![0.0; self.given.len()];
        for part in parts {
            add(&mut sums, part);
        }
        sums
    }

    /// Repeats maximisation and expectation until an iteration gains too little.
    fn climb(&self, mut knowing: Vec<f64>) -> Found {
        let mut history = Vec::new();
        let mut stop = StopReason::IterationLimit;
        let mut last = f64::NEG_INFINITY;
        let mut beliefs = self.maximise(&knowing);
        while history.len() < self.settings.iterations {
            let (next, likelihood) = self.expect(&beliefs);
            let value = (beliefs.base + likelihood) / count_as_f64(self.answers.len());
            history.push(value);
            let Mace {
                progress,
                iterations,
                ..
            } = self.settings;
            progress.tell(&history, *iterations);
            if value - last < self.settings.tolerance {
                stop = StopReason::Converged;
                break;
            }
            last = value;
            if history.len() < self.settings.iterations {
                knowing = next;
                beliefs = self.maximise(&knowing);
            }
        }
        Found {
            knowing,
            beliefs,
            history,
            stop,
        }
    }

    /// The expectation step: of every pair, how many answers were given knowingly; and the log-likelihood that
    /// depends on labels.
    fn expect(&self, beliefs: &Beliefs) -> (Vec<f64>, f64) {
        let parts = each(self.blocks.clone(), |block| {
            let mut right = vec![0.0; self.given.len()];
            let mut posterior = Posterior::new(self.imagined.len());
            let mut likelihood = 0.0;
            let known = self.known.get(block.tasks.clone()).unwrap_or_default();
            for (own, &known) in block.pairs_by_task(self.answers).zip(known) {
                likelihood += beliefs.judge(own, known, &mut posterior);
                for &pair in own {
                    let right = right.get_mut(pair as usize);
                    if let (Some(sum), Some(&(label, _))) = (right, beliefs.odds.get(pair as usize))
                    {
                        *sum += posterior.of(label);
                    }
                }
            }
            (right, likelihood)
        });
        let mut knowing = vec![0.0; self.given.len()];
        let mut likelihood = 0.0;
        for (right, part) in &parts {
            add(&mut knowing, right);
            likelihood += part;
        }
        for (right, share) in knowing.iter_mut().zip(&beliefs.knowing) {
            *right *= share;
        }
        (knowing, likelihood)
    }

    /// The maximisation step: what to believe about workers if so many answers of each pair were given knowingly.
    fn maximise(&self, knowing: &[f64]) -> Beliefs {
        let names = self.answers.names();
        let learn = match self.settings.learning {
            MaceLearning::VariationalBayes => learn_distribution,
            MaceLearning::ExpectationMaximisation => learn_mode,
        };
        let imagined_spam: f64 = self.imagined.iter().sum();
        let mut beliefs = Beliefs {
            odds: Vec::with_capacity(knowing.len()),
            knowing: vec![0.0; knowing.len()],
            base: -count_as_f64(names.tasks.len()) * count_as_f64(names.labels.len()).ln(),
        };
        for worker in 0..names.workers.len() {
            let [spam, knew] = self.tally(worker, knowing);
            let [spams, knows] = [learn(spam, IMAGINED[0]), learn(knew, IMAGINED[1])];
            let answers = learn(spam + knew, IMAGINED[0] + IMAGINED[1]);
            let strategy = learn(spam, imagined_spam);
            beliefs.base += spams.gain + knows.gain - answers.gain - strategy.gain;
            for pair in names.pairs_of(worker) {
                let (given, spam, imagined) = self.spam(pair, knowing);
                let favours = learn(spam, imagined);
                let log_spam = spams.log - answers.log + favours.log - strategy.log;
                beliefs.base += favours.gain + given * log_spam;
                let odds = (knows.log - answers.log - log_spam).exp().ln_1p();
                beliefs.odds.push((self.label(pair), odds));
                if let Some(cell) = beliefs.knowing.get_mut(pair) {
                    *cell = -(-odds).exp_m1();
                }
            }
        }
        beliefs
    }

    /// How many answers of a worker are spam, and how many were given knowingly.
    fn tally(&self, worker: usize, knowing: &[f64]) -> [f64; 2] {
        let own = self.answers.names().pairs_of(worker);
        own.fold([0.0, 0.0], |[all_spam, all_knowing], pair| {
            let (given, spam, _) = self.spam(pair, knowing);
            [all_spam + spam, all_knowing + given - spam]
        })
    }

    /// How many answers a pair has, how many of them are spam, and how much spam is imagined.
    fn spam(&self, pair: usize, knowing: &[f64]) -> (f64, f64, f64) {
        let given = self.given.get(pair).copied().unwrap_or_default();
        let knowing = knowing.get(pair).copied().unwrap_or_default();
        let label = self.label(pair);
        let imagined = self
            .imagined
            .get(label as usize)
            .copied()
            .unwrap_or_default();
        (given, (given - knowing).max(0.0), imagined)
    }

    fn finish(&self, found: Found) -> Aggregated {
        let names = self.answers.names();
        let classes = names.labels.len();
        let probabilities = table_of_tasks(&self.blocks, classes, |block, rows| {
            let mut posterior = Posterior::new(classes);
            let known = self.known.get(block.tasks.clone()).unwrap_or_default();
            let tasks = block.pairs_by_task(self.answers).zip(known);
            for ((own, &known), row) in tasks.zip(rows.chunks_exact_mut(classes)) {
                found.beliefs.judge(own, known, &mut posterior);
                posterior.write(row);
            }
        });
        let habits = self.habits(&found.knowing);
        finish(
            self.answers,
            probabilities,
            habits,
            found.history,
            found.stop,
        )
    }

    /// Workers as they are expected to be, imagined answers included.
    fn habits(&self, knowing: &[f64]) -> Habits {
        let names = self.answers.names();
        let imagined_spam: f64 = self.imagined.iter().sum();
        let mut habits = Habits {
            others: self.imagined.clone(),
            ..Habits::default()
        };
        for worker in 0..names.workers.len() {
            let [spam, knew] = self.tally(worker, knowing);
            let all = spam + knew + IMAGINED[0] + IMAGINED[1];
            let factor = 1.0 / (spam + imagined_spam);
            let of_pair = |pair: usize| {
                let (_, spam, imagined) = self.spam(pair, knowing);
                let label = self.label(pair);
                (label, (spam + imagined) * factor)
            };
            habits
                .favourites
                .push(names.pairs_of(worker).map(of_pair).collect());
            habits.factor.push(factor);
            habits
                .habit_or_knows
                .push([(spam + IMAGINED[0]) / all, (knew + IMAGINED[1]) / all]);
        }
        habits
    }
}

/// What is learned about one outcome of several, of which each was imagined so often before.
struct Learned {
    /// The logarithm of its weight. Its probability is this weight over that of all outcomes together.
    log: f64,
    /// What it adds to the objective; that of all outcomes together is taken away.
    gain: f64,
}

/// The distribution of an outcome's probability, by its expected logarithm and its part of the divergence from what
/// was imagined.
fn learn_distribution(count: f64, imagined: f64) -> Learned {
    let log = digamma(count + imagined);
    Learned {
        log,
        gain: ln_gamma(count + imagined) - ln_gamma(imagined) - count * log,
    }
}

/// The most probable probability of an outcome, and the logarithm of its density beforehand.
fn learn_mode(count: f64, imagined: f64) -> Learned {
    let log = (count + imagined).ln();
    Learned {
        log,
        gain: imagined * log,
    }
}

fn finish(
    answers: &Answers,
    probabilities: Vec<f64>,
    habits: Habits,
    history: Vec<f64>,
    stop: StopReason,
) -> Aggregated {
    let priors = mean_row(&probabilities, answers.labels().len());
    let spamming = habits.habit_or_knows.iter().map(|&[spam, _]| spam);
    Aggregated {
        skills: habits.skills(&priors),
        worker_columns: vec![("spamming", spamming.collect())],
        confusion: Some(Confusion::Habits(habits)),
        probabilities,
        priors,
        history,
        stop,
        ..Aggregated::of(answers)
    }
}
