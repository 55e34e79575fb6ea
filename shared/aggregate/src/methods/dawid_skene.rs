//! Dawid and Skene (1979): every worker has a confusion matrix, found together with the labels by
//! expectation-maximisation.

use std::sync::Arc;

use crate::aggregated::{Aggregated, Confusion, StopReason};
use crate::answers::{Answers, Names, Pair, count_as_f64};
use crate::gold::known_labels;
use crate::methods::em::{Expectation, Parameters, Role};
use crate::methods::majority_vote::vote_shares;
use crate::{Gold, MethodError, Mode};

/// What is believed about workers before their answers are seen.
///
/// First, one accuracy is estimated for each worker, as if it erred alike on every class, with `right` and `wrong`
/// imagined answers. Then each row of the worker's confusion matrix starts from imagined answers that are
/// distributed by that accuracy: `strength` × (1 + 6 / the mean number of answers of a worker on a class) of them.
/// So a worker with few answers on a class is judged by its other answers, and the more so the smaller the crowd's
/// work is. Classes are believed to be as frequent as twelve imagined tasks, evenly divided, and the others say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// How strongly a worker is pulled towards one accuracy for all classes.
    pub strength: f64,
    /// Imagined right answers of every worker.
    pub right: f64,
    /// Imagined wrong answers of every worker.
    pub wrong: f64,
}

impl Default for Prior {
    fn default() -> Self {
        Self {
            strength: 1.0,
            right: 4.0,
            wrong: 2.0,
        }
    }
}

/// Settings of [`dawid_skene()`].
///
/// # What the default mode is worth
///
/// Mean accuracy over 200 simulated crowds each (20 workers of accuracy 0.7 to 0.95, 60 images of 4 classes, half of
/// the spammers answering at random and half always the same), and in how many of the 200 the majority vote was
/// better:
///
/// | crowd | majority | default mode | majority better |
/// |---|---|---|---|
/// | 5 answers, 25 % spammers, 10 golden images as known labels | 0.895 | 0.937 | 19 |
/// | 5 answers, 25 % spammers | 0.892 | 0.937 | 18 |
/// | 5 answers, 40 % spammers, 10 golden | 0.802 | 0.889 | 5 |
/// | 3 answers, 25 % spammers, 10 golden | 0.802 | 0.844 | 25 |
/// | 5 answers, 25 % spammers, 60 % of the images of one class | 0.918 | 0.945 | 35 |
/// | 5 answers, no spammers | 0.977 | 0.979 | 44 |
/// | 3 answers, no spammers, 60 % of the images of one class | 0.951 | 0.941 | 105 |
///
/// It gains where workers differ. It cannot gain, and may lose a percent, where nobody spams, answers are few, and
/// most images are of one class. With one answer an image it is exactly the majority vote. On real crowds:
/// bluebirds 0.898 (majority 0.759, crowd-kit 0.889), labelme 0.793 (0.769, 0.792), weather 0.847 (0.847, 0.840).
#[derive(Debug, Clone, PartialEq)]
pub struct DawidSkene {
    /// At most so many iterations; 0 gives the majority vote with known labels put in place. In the default mode the
    /// estimation of accuracies that comes first is limited to as many of its own.
    pub iterations: usize,
    /// Stop when an iteration gains less than this in log-likelihood an answer.
    pub tolerance: f64,
    /// The rules to follow.
    pub mode: Mode,
    /// Known labels. They are never changed, and teach how workers err. Tasks that nobody answered do not matter.
    pub gold: Gold,
    /// What is believed about workers beforehand; not used in [`Mode::CrowdKit`].
    pub prior: Prior,
}

impl Default for DawidSkene {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            mode: Mode::Default,
            gold: Gold::new(),
            prior: Prior::default(),
        }
    }
}

/// Finds labels and confusion matrices together.
///
/// # Errors
/// [`MethodError`] for a setting out of range or a known label that does not exist.
pub fn dawid_skene(answers: &Answers, settings: &DawidSkene) -> Result<Aggregated, MethodError> {
    check(settings)?;
    let known = known_labels(answers, &settings.gold)?;
    Ok(match settings.mode {
        Mode::Default => with_prior(answers, settings, &known),
        Mode::CrowdKit => like_crowd_kit(answers, settings, &known),
    })
}

fn check(settings: &DawidSkene) -> Result<(), MethodError> {
    if settings.tolerance.is_nan() {
        let must = "a number";
        return Err(MethodError::Setting {
            setting: "tolerance",
            value: settings.tolerance,
            must,
        });
    }
    let Prior {
        strength,
        right,
        wrong,
    } = settings.prior;
    for (setting, value) in [
        ("prior strength", strength),
        ("prior right", right),
        ("prior wrong", wrong),
    ] {
        // The bounds keep every probability far from zero.
        if !(1e-3..=1e6).contains(&value) {
            return Err(MethodError::Setting {
                setting,
                value,
                must: "between 0.001 and 1000000",
            });
        }
    }
    Ok(())
}

/// Iterates expectation and maximisation.
struct Climb<'a> {
    answers: &'a Answers,
    roles: Vec<Role>,
    limit: usize,
    tolerance: f64,
    expectation: Expectation,
    parameters: Parameters,
}

impl<'a> Climb<'a> {
    fn start(answers: &'a Answers, settings: &DawidSkene, roles: Vec<Role>) -> Self {
        let classes = answers.labels().len();
        Self {
            answers,
            limit: settings.iterations,
            tolerance: settings.tolerance,
            expectation: Expectation::start(answers, &roles, vote_shares(answers)),
            parameters: Parameters {
                priors: vec![0.0; classes],
                errors: vec![0.0; answers.names().pairs.len() * classes],
            },
            roles,
        }
    }

    /// Repeats until an iteration gains too little. `maximise` sets the parameters to the best for what is expected
    /// and gives the objective. Gives the objective's history, divided by the number of answers.
    fn run(
        &mut self,
        mut maximise: impl FnMut(&Expectation, &mut Parameters) -> f64,
    ) -> (Vec<f64>, StopReason) {
        let answers = count_as_f64(self.answers.len());
        let mut history = Vec::new();
        let mut last = f64::NEG_INFINITY;
        // What is expected at the start follows from votes, not from parameters: its objective has no meaning.
        maximise(&self.expectation, &mut self.parameters);
        for _ in 0..self.limit {
            self.expectation
                .update(self.answers, &self.roles, &self.parameters);
            let value = maximise(&self.expectation, &mut self.parameters) / answers;
            history.push(value);
            if value - last < self.tolerance {
                return (history, StopReason::Converged);
            }
            last = value;
        }
        (history, StopReason::IterationLimit)
    }
}

/// The default mode.
fn with_prior(answers: &Answers, settings: &DawidSkene, known: &[Option<u32>]) -> Aggregated {
    let names = answers.names();
    let (workers, classes) = (names.workers.len(), names.labels.len());
    let roles = roles(answers, known);

    let prior = ConfusionPrior {
        accuracies: estimate_accuracies(answers, settings, &roles),
        strength: imagined_answers(answers, settings.prior),
        classes,
    };
    let mut totals = vec![0.0; workers * classes];
    let mut climb = Climb::start(answers, settings, roles);
    let mut log_prior = 0.0;
    let (history, stop) = climb.run(|expectation, parameters| {
        let value = expectation.log_likelihood + log_prior;
        log_prior = maximise_confusion(names, &prior, expectation, parameters, &mut totals);
        value
    });
    finish(answers, climb, history, stop, prior.unobserved(&totals))
}

/// At so many answers of a worker on a class, on average, the imagined answers are doubled. Chosen, as the other
/// defaults of the prior, because it did well on both real and simulated crowds.
const SCARCITY: f64 = 6.0;

/// How many answers are imagined for every worker and true class.
fn imagined_answers(answers: &Answers, prior: Prior) -> f64 {
    let names = answers.names();
    let mean = count_as_f64(answers.len()) / count_as_f64(names.workers.len() * names.labels.len());
    prior.strength * (1.0 + SCARCITY / mean)
}

/// Estimates one accuracy for each worker.
fn estimate_accuracies(answers: &Answers, settings: &DawidSkene, roles: &[Role]) -> Vec<f64> {
    let names = answers.names();
    let mut accuracies = vec![0.0; names.workers.len()];
    let mut log_prior = 0.0;
    Climb::start(answers, settings, roles.to_vec()).run(|expectation, parameters| {
        let value = expectation.log_likelihood + log_prior;
        log_prior = maximise_accuracies(
            names,
            settings.prior,
            expectation,
            parameters,
            &mut accuracies,
        );
        value
    });
    accuracies
}

/// What every task contributes in the default mode.
///
/// The only answer to a task always agrees with the task's label, so it says nothing about its worker. Learning
/// from it anyway makes the largest class swallow the others when there is about one answer a task.
fn roles(answers: &Answers, known: &[Option<u32>]) -> Vec<Role> {
    let worker = |pair: Option<&u32>| {
        answers
            .names()
            .pairs
            .get(*pair? as usize)
            .map(|pair| pair.worker)
    };
    let of_task = |(own, known): (&[u32], &Option<u32>)| match known {
        Some(label) => Role::Known(*label),
        // Pairs are sorted by worker.
        None if worker(own.first()) == worker(own.last()) => Role::Unchecked,
        None => Role::Open,
    };
    answers.pairs_by_task().zip(known).map(of_task).collect()
}

/// Tasks that are imagined, evenly of every class, so that a frequent class does not swallow a rare one early.
const IMAGINED_TASKS: f64 = 12.0;

/// Sets the priors, and gives the logarithm of the density of what is believed about them.
fn maximise_priors(expectation: &Expectation, priors: &mut [f64]) -> f64 {
    let imagined = IMAGINED_TASKS / count_as_f64(priors.len());
    let total = IMAGINED_TASKS + expectation.class_counts.iter().sum::<f64>();
    let mut log_prior = 0.0;
    for (prior, count) in priors.iter_mut().zip(&expectation.class_counts) {
        *prior = (count + imagined) / total;
        log_prior += imagined * prior.ln();
    }
    log_prior
}

/// The maximisation step when a worker has one accuracy for all classes and errs evenly (the "one-coin" model).
fn maximise_accuracies(
    names: &Names,
    Prior { right, wrong, .. }: Prior,
    expectation: &Expectation,
    parameters: &mut Parameters,
    accuracies: &mut [f64],
) -> f64 {
    let classes = names.labels.len();
    let other_classes = count_as_f64(classes.max(2) - 1);
    let mut log_prior = maximise_priors(expectation, &mut parameters.priors);
    for (worker, accuracy) in accuracies.iter_mut().enumerate() {
        let pairs = names.pairs_of(worker);
        let (mut hits, mut all) = (right, right + wrong);
        for (pair, counts) in rows(names, &expectation.counts, pairs.clone()) {
            hits += counts.get(pair.label as usize).copied().unwrap_or_default();
            all += counts.iter().sum::<f64>();
        }
        *accuracy = hits / all;
        let error = (1.0 - *accuracy) / other_classes;
        log_prior += right * accuracy.ln() + wrong * error.ln();
        for (index, row) in pairs
            .clone()
            .zip(rows_mut(&mut parameters.errors, pairs, classes))
        {
            row.fill(error);
            let label = names.pairs.get(index).map_or(0, |pair| pair.label as usize);
            if let Some(cell) = row.get_mut(label) {
                *cell = *accuracy;
            }
        }
    }
    log_prior
}

/// The imagined answers of every worker: `strength` on each true class, by the worker's accuracy.
struct ConfusionPrior {
    accuracies: Vec<f64>,
    strength: f64,
    classes: usize,
}

impl ConfusionPrior {
    /// How many imagined answers of a worker give the true label, and how many give one certain other label.
    fn imagined(&self, worker: usize) -> [f64; 2] {
        let accuracy = self.accuracies.get(worker).copied().unwrap_or_default();
        // A single class has no other label, and all imagined answers give that class.
        let other_classes = self.classes.saturating_sub(1);
        if other_classes == 0 {
            return [self.strength, 0.0];
        }
        [
            self.strength * accuracy,
            self.strength * (1.0 - accuracy) / count_as_f64(other_classes),
        ]
    }

    /// The probabilities of labels that a worker never answered; `totals` are imagined and expected answers by
    /// worker and class.
    fn unobserved(&self, totals: &[f64]) -> Vec<[f64; 2]> {
        let of_worker = |(worker, totals): (usize, &[f64])| {
            let [right, wrong] = self.imagined(worker);
            totals
                .iter()
                .map(|total| [right / total, wrong / total])
                .collect::<Vec<_>>()
        };
        totals
            .chunks_exact(self.classes)
            .enumerate()
            .flat_map(of_worker)
            .collect()
    }
}

/// The maximisation step with confusion matrices.
fn maximise_confusion(
    names: &Names,
    prior: &ConfusionPrior,
    expectation: &Expectation,
    parameters: &mut Parameters,
    totals: &mut [f64],
) -> f64 {
    let classes = names.labels.len();
    let mut log_prior = maximise_priors(expectation, &mut parameters.priors);
    totals.fill(prior.strength);
    for (worker, totals) in totals.chunks_exact_mut(classes).enumerate() {
        let [right, wrong] = prior.imagined(worker);
        let pairs = names.pairs_of(worker);
        for (_, counts) in rows(names, &expectation.counts, pairs.clone()) {
            for (total, count) in totals.iter_mut().zip(counts) {
                *total += count;
            }
        }
        // Cells that were not observed have `imagined / total`; the constant `ln imagined` does not matter.
        log_prior -= totals
            .iter()
            .map(|total| prior.strength * total.ln())
            .sum::<f64>();
        let error_rows = rows_mut(&mut parameters.errors, pairs.clone(), classes);
        for ((pair, counts), errors) in rows(names, &expectation.counts, pairs).zip(error_rows) {
            for (truth, ((error, count), total)) in
                (0..).zip(errors.iter_mut().zip(counts).zip(&*totals))
            {
                let imagined = if truth == pair.label { right } else { wrong };
                *error = (count + imagined) / total;
                log_prior += imagined * (count + imagined).ln();
            }
        }
    }
    log_prior
}

/// Each pair with its row of a pairs × classes table.
fn rows<'a>(
    names: &'a Names,
    table: &'a [f64],
    pairs: std::ops::Range<usize>,
) -> impl Iterator<Item = (&'a Pair, &'a [f64])> {
    let classes = names.labels.len();
    let own = table
        .get(pairs.start * classes..pairs.end * classes)
        .unwrap_or_default();
    names
        .pairs
        .get(pairs)
        .unwrap_or_default()
        .iter()
        .zip(own.chunks_exact(classes))
}

/// The rows of a pairs × classes table.
fn rows_mut(
    table: &mut [f64],
    pairs: std::ops::Range<usize>,
    classes: usize,
) -> impl Iterator<Item = &mut [f64]> {
    table
        .get_mut(pairs.start * classes..pairs.end * classes)
        .unwrap_or_default()
        .chunks_exact_mut(classes)
}

/// crowd-kit's smallest probability.
const CROWD_KIT_EPSILON: f64 = 1e-10;

/// The compatible mode.
fn like_crowd_kit(answers: &Answers, settings: &DawidSkene, known: &[Option<u32>]) -> Aggregated {
    let roles = known
        .iter()
        .map(|known| known.map_or(Role::Open, Role::Known))
        .collect();
    let mut climb = Climb::start(answers, settings, roles);
    let (history, stop) = climb.run(|expectation, parameters| {
        crowd_kit_maximise(answers.names(), expectation, parameters)
    });
    if !history.is_empty() {
        for probability in &mut climb.expectation.probabilities {
            *probability = probability.max(CROWD_KIT_EPSILON);
        }
    }
    finish(answers, climb, history, stop, Vec::new())
}

/// crowd-kit's maximisation step and its "evidence lower bound".
fn crowd_kit_maximise(
    names: &Names,
    expectation: &Expectation,
    parameters: &mut Parameters,
) -> f64 {
    let classes = names.labels.len();
    let tasks = count_as_f64(names.tasks.len());
    let mut joint = 0.0;
    for (prior, count) in parameters.priors.iter_mut().zip(&expectation.class_counts) {
        *prior = (count / tasks).max(CROWD_KIT_EPSILON);
    }
    let mut totals = vec![0.0; classes];
    for worker in 0..names.workers.len() {
        let pairs = names.pairs_of(worker);
        totals.fill(0.0);
        for (_, counts) in rows(names, &expectation.counts, pairs.clone()) {
            for (total, count) in totals.iter_mut().zip(counts) {
                *total += count.max(CROWD_KIT_EPSILON);
            }
        }
        let error_rows = rows_mut(&mut parameters.errors, pairs.clone(), classes);
        for ((_, counts), errors) in rows(names, &expectation.counts, pairs).zip(error_rows) {
            for (((error, count), total), prior) in errors
                .iter_mut()
                .zip(counts)
                .zip(&totals)
                .zip(&parameters.priors)
            {
                *error = count.max(CROWD_KIT_EPSILON) / total;
                // The class prior belongs to a task, yet crowd-kit adds it for every answer.
                joint += count * (*error * prior).ln();
            }
        }
    }
    let entropy: f64 = expectation
        .probabilities
        .iter()
        .map(|probability| probability.max(CROWD_KIT_EPSILON))
        .map(|probability| -probability * probability.ln())
        .sum();
    joint + entropy
}

fn finish(
    answers: &Answers,
    climb: Climb<'_>,
    history: Vec<f64>,
    stop: StopReason,
    unobserved: Vec<[f64; 2]>,
) -> Aggregated {
    let names = answers.names();
    let classes = names.labels.len();
    let Parameters { priors, errors } = climb.parameters;
    // A skill is the diagonal of the confusion matrix, weighed by how frequent the classes are.
    let mut skills = vec![0.0; names.workers.len()];
    for (worker, skill) in skills.iter_mut().enumerate() {
        let mut diagonal: Vec<f64> = match unobserved.get(worker * classes..(worker + 1) * classes)
        {
            Some(cells) => cells.iter().map(|&[right, _]| right).collect(),
            None => vec![0.0; classes],
        };
        for (pair, row) in rows(names, &errors, names.pairs_of(worker)) {
            let label = pair.label as usize;
            if let (Some(cell), Some(&error)) = (diagonal.get_mut(label), row.get(label)) {
                *cell = error;
            }
        }
        *skill = diagonal
            .iter()
            .zip(&priors)
            .map(|(right, prior)| right * prior)
            .sum();
    }
    Aggregated {
        names: Arc::clone(names),
        probabilities: climb.expectation.probabilities,
        priors,
        worker_answers: answers.worker_counts(),
        skills,
        confusion: Some(Confusion::Observed {
            observed: errors,
            unobserved,
        }),
        history,
        stop,
        worker_columns: Vec::new(),
        task_columns: Vec::new(),
    }
}
