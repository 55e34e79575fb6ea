//! Dawid and Skene's model with one coin a worker: each has one accuracy, and errs evenly.
//!
//! Every label that a task did not get has the same likelihood, so a task costs as many steps as it has answers,
//! however many labels there are: the likelihood of a label is the product of the *odds* of the answers that gave it
//! (right against wrong), beside one factor for all labels.

use std::f64::consts::LN_2;

use crate::aggregated::{Aggregated, Confusion};
use crate::answers::{Answers, Pair, count_as_f64};
use crate::gold::known_labels;
use crate::methods::blocks::{add, each};
use crate::methods::em::{
    ANSWERS_PER_BLOCK, CHUNK, CROWD_KIT_EPSILON, Course, Limits, Role, check_tolerance,
    checked_roles, climb, crowd_kit_entropy, crowd_kit_priors, log_product, plain_roles,
    power_of_two, take_exponent, tasks_per_block,
};
use crate::{Gold, MethodError, Mode, Progress};

/// Settings of [`one_coin_dawid_skene()`].
#[derive(Debug, Clone, PartialEq)]
pub struct OneCoinDawidSkene {
    /// At most so many iterations; 0 gives the majority vote with known labels put in place.
    pub iterations: usize,
    /// Stop when an iteration gains less than this in log-likelihood an answer.
    pub tolerance: f64,
    /// The rules to follow.
    pub mode: Mode,
    /// Known labels. They are never changed, and teach how accurate workers are. crowd-kit has none for this method;
    /// in its mode they are what they are for its `DawidSkene`.
    pub gold: Gold,
    /// Imagined right answers of every worker; not used in [`Mode::CrowdKit`].
    pub right: f64,
    /// Imagined wrong answers of every worker; not used in [`Mode::CrowdKit`].
    pub wrong: f64,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for OneCoinDawidSkene {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            mode: Mode::Default,
            gold: Gold::new(),
            right: 40.0,
            wrong: 0.25,
            progress: Progress::default(),
        }
    }
}

/// Finds labels together with one accuracy for each worker, by expectation-maximisation (the one-coin model of Zhang,
/// Chen, Zhou and Jordan, *Spectral Methods Meet EM*, 2014; crowd-kit's `OneCoinDawidSkene`).
///
/// [`Mode::Default`] believes in `right` and `wrong` imagined answers of every worker, and takes all classes for equally
/// frequent: a model this simple would learn from its own errors that one class is everything, as crowd-kit's does when
/// answers are few. An answer that nobody checked, because it is the task's only one, teaches nothing. The objective is
/// the logarithm of the answers' likelihood and of the density of what is believed.
///
/// The believed answers are 40 right ones to a quarter of a wrong one: every worker is trusted until its own answers say
/// otherwise. On real crowds: bluebirds 0.750 (majority 0.759, crowd-kit 0.583), labelme 0.767 (0.769, 0.767), `s_adult`
/// 0.760 (0.763, 0.709), weather 0.860 (0.847, 0.860).
///
/// [`Mode::CrowdKit`] gives crowd-kit's numbers: nothing is imagined, accuracies are kept 10⁻¹⁰ away from 0 and 1, and
/// the objective counts a task's class prior once for every answer, so that it can fall and end the run early.
///
/// # Errors
/// [`MethodError`] for a setting out of range or a known label that does not exist.
pub fn one_coin_dawid_skene(
    answers: &Answers,
    settings: &OneCoinDawidSkene,
) -> Result<Aggregated, MethodError> {
    check_tolerance(settings.tolerance)?;
    check_imagined("right", settings.right)?;
    check_imagined("wrong", settings.wrong)?;
    let known = known_labels(answers, &settings.gold)?;
    let limits = Limits {
        iterations: settings.iterations,
        tolerance: settings.tolerance,
        progress: &settings.progress,
    };
    Ok(match settings.mode {
        Mode::Default => {
            let roles = checked_roles(answers, &known);
            let imagined = [settings.right, settings.wrong];
            let (mut model, course) = with_beliefs(answers, &roles, limits, imagined);
            for trials in &mut model.trials {
                *trials += settings.right + settings.wrong;
            }
            model.finish(course, 0.0)
        }
        Mode::CrowdKit => {
            let roles = plain_roles(&known);
            let (model, course) = like_crowd_kit(answers, &roles, limits);
            model.finish(course, CROWD_KIT_EPSILON)
        }
    })
}

/// Bounds that keep every probability far from zero.
pub(crate) fn check_imagined(setting: &'static str, value: f64) -> Result<(), MethodError> {
    if (1e-3..=1e6).contains(&value) {
        return Ok(());
    }
    Err(MethodError::Setting {
        setting,
        value,
        must: "between 0.001 and 1000000",
    })
}

/// The default mode: one accuracy for each worker.
pub(crate) fn estimate_accuracies(
    answers: &Answers,
    roles: &[Role],
    limits: Limits<'_>,
    imagined: [f64; 2],
) -> Vec<f64> {
    with_beliefs(answers, roles, limits, imagined).0.accuracies
}

fn with_beliefs<'a>(
    answers: &'a Answers,
    roles: &'a [Role],
    limits: Limits<'_>,
    imagined: [f64; 2],
) -> (OneCoin<'a>, Course) {
    let mut model = OneCoin::start(answers, roles);
    let mut log_prior = model.maximise(imagined);
    let course = climb(limits, answers.len(), || {
        let log_likelihood = model.expect(|judged| judged.log_likelihood()) + model.log_wrong();
        let objective = log_likelihood + log_prior;
        log_prior = model.maximise(imagined);
        objective
    });
    (model, course)
}

fn like_crowd_kit<'a>(
    answers: &'a Answers,
    roles: &'a [Role],
    limits: Limits<'_>,
) -> (OneCoin<'a>, Course) {
    let mut model = OneCoin::start(answers, roles);
    model.maximise_like_crowd_kit();
    let course = climb(limits, answers.len(), || {
        let entropy = model.expect(|judged| judged.crowd_kit_entropy());
        model.maximise_like_crowd_kit() + entropy
    });
    (model, course)
}

/// The parameters.
#[derive(Debug, Default)]
struct Coins {
    /// The probability of every class.
    priors: Vec<f64>,
    /// For every worker: the probability of one certain wrong label.
    wrong: Vec<f64>,
    /// For every worker: the probability of the right label, divided by that of one certain wrong label.
    odds: Vec<f64>,
}

/// What is expected, and the parameters that follow.
#[derive(Debug)]
struct OneCoin<'a> {
    answers: &'a Answers,
    roles: &'a [Role],
    /// The number of answers of every worker, without those to unchecked tasks.
    trials: Vec<f64>,
    /// The expected number of right ones.
    hits: Vec<f64>,
    /// The expected number of tasks of every class, without unchecked tasks.
    class_counts: Vec<f64>,
    /// The expected number of answers to tasks of every class, without unchecked tasks.
    class_answers: Vec<f64>,
    accuracies: Vec<f64>,
    coins: Coins,
    /// The parameters of the last expectation; none before the first.
    judged_by: Option<Coins>,
}

impl<'a> OneCoin<'a> {
    /// Starts from votes.
    fn start(answers: &'a Answers, roles: &'a [Role]) -> Self {
        let names = answers.names();
        let (workers, classes) = (names.workers.len(), names.labels.len());
        let mut start = Self {
            answers,
            roles,
            trials: vec![0.0; workers],
            hits: vec![0.0; workers],
            class_counts: vec![0.0; classes],
            class_answers: vec![0.0; classes],
            accuracies: vec![0.0; workers],
            coins: Coins {
                priors: vec![0.0; classes],
                ..Coins::default()
            },
            judged_by: None,
        };
        for (own, &role) in answers.pairs_by_task().zip(roles) {
            for pair in pairs(answers, own) {
                if let Some(trials) = start.trials.get_mut(pair.worker as usize)
                    && role != Role::Unchecked
                {
                    *trials += 1.0;
                }
            }
        }
        start.pass(None, |_| 0.0);
        start
    }

    /// Finds every task's posterior under the parameters. Gives the sum over all tasks but unchecked ones of `gain`.
    fn expect(&mut self, gain: impl Fn(&Judged<'_>) -> f64 + Send + Sync) -> f64 {
        let coins = std::mem::take(&mut self.coins);
        let gain = self.pass(Some(&coins), gain);
        self.coins.priors = coins.priors.clone();
        self.judged_by = Some(coins);
        gain
    }

    fn pass(
        &mut self,
        coins: Option<&Coins>,
        gain: impl Fn(&Judged<'_>) -> f64 + Send + Sync,
    ) -> f64 {
        let answers = self.answers;
        let names = answers.names();
        // What blocks add up is small beside their answers.
        let most = answers.len() / (names.workers.len() + 4 * names.labels.len());
        let blocks = answers.len().div_ceil(ANSWERS_PER_BLOCK).min(most.max(1));
        let size = tasks_per_block(answers, blocks);
        let jobs = (0..).step_by(size).zip(self.roles.chunks(size)).collect();
        let blocks = each(jobs, |(first, roles)| {
            let mut sums = Sums::new(names.workers.len(), names.labels.len());
            let mut task = Task::new(answers, coins);
            for (own, &role) in answers.pairs_by_task().skip(first).zip(roles) {
                if role != Role::Unchecked {
                    let judged = task.judge(own, role);
                    sums.gain += gain(&judged);
                    sums.count(answers, own, &judged);
                }
                task.forget();
            }
            sums
        });
        let mut sums = Sums::new(names.workers.len(), names.labels.len());
        for block in &blocks {
            sums.add(block);
        }
        let [all, all_answers] = sums.scales;
        self.hits = sums.hits;
        for (label, of_label) in sums.of_labels.iter().enumerate() {
            let prior = coins.and_then(|coins| coins.priors.get(label));
            let prior = prior.copied().unwrap_or_default();
            let [given, scale, given_answers, scale_answers] = *of_label;
            // The tasks that did not get the label have their scale of its prior.
            if let Some(count) = self.class_counts.get_mut(label) {
                *count = given + prior * (all - scale).max(0.0);
            }
            if let Some(count) = self.class_answers.get_mut(label) {
                *count = given_answers + prior * (all_answers - scale_answers).max(0.0);
            }
        }
        sums.gain
    }

    /// What the likelihood of all answers has beside their odds, as a logarithm.
    fn log_wrong(&self) -> f64 {
        let Some(coins) = &self.judged_by else {
            return 0.0;
        };
        let each = self.trials.iter().zip(&coins.wrong);
        each.map(|(trials, wrong)| trials * wrong.ln()).sum()
    }

    /// Sets the parameters to the best, and gives the logarithm of the density of what is believed about them.
    fn maximise(&mut self, [right, wrong]: [f64; 2]) -> f64 {
        let mut log_prior = 0.0;
        let classes = count_as_f64(self.class_counts.len());
        self.coins.priors.fill(1.0 / classes);
        let other_classes = self.other_classes();
        let of_workers = self.accuracies.iter_mut().zip(&self.hits).zip(&self.trials);
        (self.coins.wrong, self.coins.odds) = of_workers
            .map(|((accuracy, hits), trials)| {
                *accuracy = (hits + right) / (trials + right + wrong);
                let error = (trials - hits + wrong) / (trials + right + wrong) / other_classes;
                log_prior += right * accuracy.ln() + wrong * error.ln();
                (error, *accuracy / error)
            })
            .unzip();
        log_prior
    }

    /// crowd-kit's maximisation, and its objective without the entropy.
    fn maximise_like_crowd_kit(&mut self) -> f64 {
        crowd_kit_priors(
            &self.class_counts,
            self.answers.tasks().len(),
            &mut self.coins.priors,
        );
        let mut joint = 0.0;
        // The class prior belongs to a task, yet crowd-kit adds it for every answer.
        for (prior, answers) in self.coins.priors.iter().zip(&self.class_answers) {
            joint += answers * prior.ln();
        }
        let other_classes = self.other_classes();
        let clip = |value: f64| value.clamp(CROWD_KIT_EPSILON, 1.0 - CROWD_KIT_EPSILON);
        let of_workers = self.accuracies.iter_mut().zip(&self.hits).zip(&self.trials);
        (self.coins.wrong, self.coins.odds) = of_workers
            .map(|((accuracy, hits), trials)| {
                *accuracy = hits / trials;
                let right = clip(*accuracy);
                let wrong = clip((1.0 - *accuracy) / other_classes);
                joint += hits * right.ln() + (trials - hits) * wrong.ln();
                (wrong, right / wrong)
            })
            .unzip();
        joint
    }

    fn other_classes(&self) -> f64 {
        count_as_f64(self.class_counts.len().max(2) - 1)
    }

    /// Writes every task's posterior down; no probability is below `least`.
    fn finish(self, (history, stop): Course, least: f64) -> Aggregated {
        let names = self.answers.names();
        let classes = names.labels.len();
        let mut probabilities = vec![0.0; names.tasks.len() * classes];
        let size = tasks_per_block(self.answers, self.answers.len().div_ceil(ANSWERS_PER_BLOCK));
        let rows = probabilities.chunks_mut(size * classes);
        let jobs = (0..)
            .step_by(size)
            .zip(self.roles.chunks(size).zip(rows))
            .collect();
        let coins = self.judged_by.as_ref();
        let least = if coins.is_some() { least } else { 0.0 };
        each(jobs, |(first, (roles, rows)): (_, (_, &mut [f64]))| {
            let mut task = Task::new(self.answers, coins);
            let own = self.answers.pairs_by_task().skip(first).zip(roles);
            for ((own, &role), row) in own.zip(rows.chunks_exact_mut(classes)) {
                let judged = task.judge(own, role);
                for (label, cell) in row.iter_mut().enumerate() {
                    *cell = judged.probability(label).max(least);
                }
                task.forget();
            }
        });
        // With a single label, there are no wrong answers to imagine.
        let skills = match classes {
            1 => vec![1.0; self.accuracies.len()],
            _ => self.accuracies,
        };
        Aggregated {
            probabilities,
            priors: self.coins.priors,
            skills,
            confusion: Some(Confusion::OneCoin {
                trials: self.trials,
            }),
            history,
            stop,
            ..Aggregated::of(self.answers)
        }
    }
}

fn pairs<'a>(answers: &'a Answers, own: &'a [u32]) -> impl Iterator<Item = &'a Pair> {
    let pairs = &answers.names().pairs;
    own.iter().filter_map(|&pair| pairs.get(pair as usize))
}

/// What the tasks of a block add up to.
struct Sums {
    gain: f64,
    hits: Vec<f64>,
    /// For every label, over the tasks that got it: the posterior, the scale, and both times the number of answers.
    of_labels: Vec<[f64; 4]>,
    /// Over all tasks: the scale, and it times the number of answers.
    scales: [f64; 2],
}

impl Sums {
    fn new(workers: usize, labels: usize) -> Self {
        Self {
            gain: 0.0,
            hits: vec![0.0; workers],
            of_labels: vec![[0.0; 4]; labels],
            scales: [0.0; 2],
        }
    }

    fn count(&mut self, answers: &Answers, own: &[u32], judged: &Judged<'_>) {
        let (scale, number) = (judged.scale, count_as_f64(own.len()));
        add(&mut self.scales, &[scale, scale * number]);
        for &label in &judged.task.given {
            let value = judged.task.value(label);
            if let Some(sums) = self.of_labels.get_mut(label as usize) {
                add(sums, &[value, scale, value * number, scale * number]);
            }
        }
        for pair in pairs(answers, own) {
            if let Some(hits) = self.hits.get_mut(pair.worker as usize) {
                *hits += judged.task.value(pair.label);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.gain += other.gain;
        add(&mut self.hits, &other.hits);
        add(&mut self.scales, &other.scales);
        for (sums, of_label) in self.of_labels.iter_mut().zip(&other.of_labels) {
            add(sums, of_label);
        }
    }
}

/// One label of a task.
#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    value: f64,
    exponent: i32,
    given: bool,
}

/// A task at work. One is enough for all: it is emptied, not made anew.
struct Task<'a> {
    answers: &'a Answers,
    /// Before the first expectation, votes count.
    voting: bool,
    priors: &'a [f64],
    odds: &'a [f64],
    all_priors: f64,
    largest_prior: f64,
    candidates: Vec<Candidate>,
    /// The distinct labels that the task got.
    given: Vec<u32>,
}

/// A task's posterior: of the labels that it got, in `task`; of the others, `scale` times the prior.
struct Judged<'a> {
    task: &'a Task<'a>,
    scale: f64,
    /// The likelihood of the known label, or else of any, without the factor that all labels share: a number times a
    /// power of e.
    likelihood: f64,
    log_scale: f64,
}

impl<'a> Task<'a> {
    fn new(answers: &'a Answers, coins: Option<&'a Coins>) -> Self {
        let (priors, odds) = coins.map_or((&[][..], &[][..]), |coins| (&coins.priors, &coins.odds));
        Self {
            answers,
            voting: coins.is_none(),
            priors,
            odds,
            all_priors: priors.iter().sum(),
            largest_prior: priors.iter().copied().fold(0.0, f64::max),
            candidates: vec![Candidate::default(); answers.labels().len()],
            given: Vec::new(),
        }
    }

    fn forget(&mut self) {
        for label in self.given.drain(..) {
            if let Some(candidate) = self.candidates.get_mut(label as usize) {
                candidate.given = false;
            }
        }
    }

    fn value(&self, label: u32) -> f64 {
        let candidate = self.candidates.get(label as usize);
        candidate.map_or(0.0, |candidate| candidate.value)
    }

    fn prior(&self, label: u32) -> f64 {
        self.priors.get(label as usize).copied().unwrap_or_default()
    }

    fn odds(&self, pair: &Pair) -> f64 {
        let odds = self.odds.get(pair.worker as usize);
        odds.copied().unwrap_or(1.0)
    }

    /// The likelihood of a label that the task gets; `first` if it did not have it before.
    fn give(&mut self, label: u32, first: f64) -> Option<&mut Candidate> {
        let candidate = self.candidates.get_mut(label as usize)?;
        if !candidate.given {
            self.given.push(label);
            *candidate = Candidate {
                value: first,
                exponent: 0,
                given: true,
            };
        }
        Some(candidate)
    }

    fn judge(&mut self, own: &[u32], role: Role) -> Judged<'_> {
        let answers = self.answers;
        match (role, self.voting) {
            (Role::Known(known), _) => {
                for pair in pairs(answers, own) {
                    self.give(pair.label, 0.0);
                }
                if let Some(candidate) = self.give(known, 0.0) {
                    candidate.value = 1.0;
                }
                let own = pairs(answers, own).filter(|pair| pair.label == known);
                let odds = own.map(|pair| self.odds(pair));
                let log_scale = log_product(std::iter::once(self.prior(known)).chain(odds));
                Judged {
                    task: self,
                    scale: 0.0,
                    likelihood: 1.0,
                    log_scale,
                }
            }
            (_, true) => {
                let share = 1.0 / count_as_f64(own.len());
                for pair in pairs(answers, own) {
                    if let Some(candidate) = self.give(pair.label, 0.0) {
                        candidate.value += share;
                    }
                }
                Judged {
                    task: self,
                    scale: 0.0,
                    likelihood: 1.0,
                    log_scale: 0.0,
                }
            }
            (_, false) => self.judge_open(own),
        }
    }

    fn judge_open(&mut self, own: &[u32]) -> Judged<'_> {
        let answers = self.answers;
        let long = own.len() > CHUNK;
        for chunk in own.chunks(CHUNK) {
            for pair in pairs(answers, chunk) {
                let odds = self.odds(pair);
                if let Some(candidate) = self.give(pair.label, self.prior(pair.label)) {
                    candidate.value *= odds;
                }
            }
            if long {
                // The others have not changed.
                for pair in pairs(answers, chunk) {
                    if let Some(candidate) = self.candidates.get_mut(pair.label as usize) {
                        candidate.exponent += take_exponent(&mut candidate.value);
                    }
                }
            }
        }
        // The labels that were not given have exponent zero.
        let exponent = |&label: &u32| Some(self.candidates.get(label as usize)?.exponent);
        let largest = match long {
            true => self.given.iter().filter_map(exponent).fold(0, i32::max),
            false => 0,
        };
        let others = power_of_two(-largest);
        let mut total = self.others() * others;
        for &label in &self.given {
            if let Some(candidate) = self.candidates.get_mut(label as usize) {
                if long {
                    candidate.value *= power_of_two(candidate.exponent - largest);
                }
                total += candidate.value;
            }
        }
        let scale = 1.0 / total;
        for &label in &self.given {
            if let Some(candidate) = self.candidates.get_mut(label as usize) {
                candidate.value *= scale;
            }
        }
        Judged {
            task: self,
            scale: others * scale,
            likelihood: total,
            log_scale: f64::from(largest) * LN_2,
        }
    }

    /// The prior probability of all labels that the task did not get.
    fn others(&self) -> f64 {
        let given: f64 = self.given.iter().map(|&label| self.prior(label)).sum();
        if given <= self.all_priors / 2.0 {
            return self.all_priors - given;
        }
        // A small difference of large numbers is wrong.
        let others = self.priors.iter().zip(&self.candidates);
        others
            .filter(|(_, candidate)| !candidate.given)
            .map(|(prior, _)| prior)
            .sum()
    }
}

impl Judged<'_> {
    fn log_likelihood(&self) -> f64 {
        self.likelihood.ln() + self.log_scale
    }

    fn probability(&self, label: usize) -> f64 {
        match self.task.candidates.get(label) {
            Some(candidate) if candidate.given => candidate.value,
            _ => {
                let prior = self.task.priors.get(label);
                // The scale comes of a difference: a rounding more would be more than certain.
                (self.scale * prior.copied().unwrap_or_default()).min(1.0)
            }
        }
    }

    fn crowd_kit_entropy(&self) -> f64 {
        if self.scale * self.task.largest_prior > CROWD_KIT_EPSILON {
            let labels = 0..self.task.candidates.len();
            return labels
                .map(|label| crowd_kit_entropy(&[self.probability(label)]))
                .sum();
        }
        let given = self.task.given.iter().map(|&label| self.task.value(label));
        let others = count_as_f64(self.task.candidates.len() - self.task.given.len());
        given.map(|value| crowd_kit_entropy(&[value])).sum::<f64>()
            + others * crowd_kit_entropy(&[0.0])
    }
}
