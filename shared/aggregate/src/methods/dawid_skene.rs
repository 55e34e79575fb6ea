//! Dawid and Skene (1979): every worker has a confusion matrix, found together with the labels by
//! expectation-maximisation.

use std::collections::BTreeMap;

use crate::aggregated::{Aggregated, Confusion, Imagined};
use crate::answers::{Answers, Ids, Names, count_as_f64};
use crate::gold::known_labels;
use crate::methods::blocks::add;
use crate::methods::confusion::{Confusions, rows};
use crate::methods::em::{
    CROWD_KIT_EPSILON, Course, Limits, Role, check_tolerance, checked_roles, climb,
    crowd_kit_entropy, crowd_kit_priors, plain_roles, sum_of_logarithms,
};
use crate::methods::majority_vote::vote_shares;
use crate::methods::one_coin_dawid_skene::{check_imagined, estimate_accuracies};
use crate::{Gold, MethodError, Mode, Progress};

/// What is believed about workers before their answers are seen.
///
/// First, one accuracy is estimated for each worker, as if it erred alike on every class, with `right` and `wrong`
/// imagined answers. Then each row of the worker's confusion matrix starts from imagined answers that are
/// distributed by that accuracy: `strength` × (1 + 3 / the mean number of answers of a worker on a class) of them.
/// So a worker with few answers on a class is judged by its other answers, and the more so the smaller the crowd's
/// work is. Classes are believed to be as frequent as twenty imagined tasks, evenly divided, and the others say.
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
            right: 12.0,
            wrong: 2.0,
        }
    }
}

/// How often a worker gave a label, or the probability of it, given each true label in the order of
/// [`Answers::labels`]: (worker, answered label) → a row.
pub type ErrorRows = BTreeMap<(String, String), Vec<f64>>;

/// What the first maximisation takes confusion matrices from: crowd-kit's `initial_error_strategy`. Later ones forget it.
///
/// Rows of workers without an answer do not matter. In the default mode the prior's imagined answers are added.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum InitialErrors {
    /// The votes.
    #[default]
    None,
    /// These instead of the votes: numbers of answers, or probabilities that sum to one for each worker and true label.
    /// There must be a row for every label that a worker has given.
    Assign(ErrorRows),
    /// Numbers of answers that are added to the votes.
    Add(ErrorRows),
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
/// | 5 answers, 25 % spammers, 10 golden images as known labels | 0.895 | 0.936 | 17 |
/// | 5 answers, 25 % spammers | 0.892 | 0.937 | 16 |
/// | 5 answers, 40 % spammers, 10 golden | 0.802 | 0.887 | 3 |
/// | 3 answers, 25 % spammers, 10 golden | 0.802 | 0.842 | 25 |
/// | 5 answers, 25 % spammers, 60 % of the images of one class | 0.918 | 0.940 | 42 |
/// | 5 answers, no spammers | 0.977 | 0.979 | 44 |
/// | 3 answers, no spammers, 60 % of the images of one class | 0.951 | 0.940 | 108 |
///
/// It gains where workers differ. It cannot gain, and may lose a percent, where nobody spams, answers are few, and
/// most images are of one class. With one answer an image it is exactly the majority vote. On real crowds:
/// bluebirds 0.898 (majority 0.759, crowd-kit 0.889), labelme 0.792 (0.769, 0.792), `s_adult` 0.778 (0.763, 0.766),
/// weather 0.847 (0.847, 0.840).
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
    /// What is known of how workers err, for the first maximisation only.
    pub initial_errors: InitialErrors,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for DawidSkene {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            mode: Mode::Default,
            gold: Gold::new(),
            prior: Prior::default(),
            initial_errors: InitialErrors::None,
            progress: Progress::default(),
        }
    }
}

/// Finds labels and confusion matrices together (Dawid and Skene, *Maximum Likelihood Estimation of Observer Error-Rates
/// Using the EM Algorithm*, 1979; crowd-kit's `DawidSkene`).
///
/// [`Mode::Default`] maximises the logarithm of the answers' likelihood and of the density of the [`Prior`], and an
/// answer that nobody checked, because it is the task's only one, teaches nothing.
///
/// [`Mode::CrowdKit`] gives crowd-kit's numbers: no priors, expected counts of at least 10⁻¹⁰, and an objective that
/// counts a task's class prior once for every answer, so that it can fall and end the run early.
///
/// # Errors
/// [`MethodError`] for a setting out of range, a known label that does not exist, initial errors that do not fit, or too
/// many labels: there are tables with a column for each, and a row for each worker and label that it gave.
pub fn dawid_skene(answers: &Answers, settings: &DawidSkene) -> Result<Aggregated, MethodError> {
    check_tolerance(settings.tolerance)?;
    answers.check_confusions()?;
    check_imagined("prior strength", settings.prior.strength)?;
    check_imagined("prior right", settings.prior.right)?;
    check_imagined("prior wrong", settings.prior.wrong)?;
    let known = known_labels(answers, &settings.gold)?;
    let initial = Initial::new(answers.names(), &settings.initial_errors)?;
    let initial = initial.as_ref();
    Ok(match settings.mode {
        Mode::Default => with_prior(answers, settings, checked_roles(answers, &known), initial),
        Mode::CrowdKit => like_crowd_kit(answers, settings, plain_roles(&known), initial),
    })
}

fn limits(settings: &DawidSkene) -> Limits<'_> {
    Limits {
        iterations: settings.iterations,
        tolerance: settings.tolerance,
        progress: &settings.progress,
    }
}

/// The default mode.
fn with_prior(
    answers: &Answers,
    settings: &DawidSkene,
    roles: Vec<Role>,
    initial: Option<&Initial>,
) -> Aggregated {
    let names = answers.names();
    let Prior { right, wrong, .. } = settings.prior;
    let accuracies = estimate_accuracies(answers, &roles, limits(settings), [right, wrong]);
    let classes = names.labels.len();
    let prior = ConfusionPrior::new(
        &accuracies,
        imagined_answers(answers, settings.prior),
        classes,
    );

    let mut model = Confusions::start(answers, roles, vote_shares(answers));
    let maximise = |model: &mut Confusions<'_>, initial: Option<&Initial>| {
        maximise_priors(IMAGINED_TASKS, &model.class_counts, &mut model.priors)
            + model.maximise(|worker, rows, totals| {
                if let Some(initial) = initial {
                    initial.apply(names, worker, rows, totals);
                }
                prior.maximise(names, worker, rows, totals)
            })
    };
    let mut log_prior = maximise(&mut model, initial);
    let course = climb(limits(settings), answers.len(), || {
        let objective = model.expect(|_, likelihood| likelihood.ln()) + log_prior;
        log_prior = maximise(&mut model, None);
        objective
    });
    finish(answers, model, course, Imagined::Evenly(prior.imagined))
}

/// At so many answers of a worker on a class, on average, the imagined answers are doubled. Chosen, as the other
/// defaults of the prior, because it did well on both real and simulated crowds.
const SCARCITY: f64 = 6.0;

/// How many answers are imagined for every worker and true class.
fn imagined_answers(answers: &Answers, prior: Prior) -> f64 {
    let names = answers.names();
    let cells = count_as_f64(names.workers.len()) * count_as_f64(names.labels.len());
    prior.strength * (1.0 + SCARCITY * cells / count_as_f64(answers.len()))
}

/// Tasks that are imagined, evenly of every class, so that a frequent class does not swallow a rare one early.
const IMAGINED_TASKS: f64 = 20.0;

/// Sets the class priors, and gives the logarithm of the density of what is believed about them.
pub(crate) fn maximise_priors(
    imagined_tasks: f64,
    class_counts: &[f64],
    priors: &mut [f64],
) -> f64 {
    let imagined = imagined_tasks / count_as_f64(priors.len());
    let total = imagined_tasks + class_counts.iter().sum::<f64>();
    let mut log_prior = 0.0;
    for (prior, count) in priors.iter_mut().zip(class_counts) {
        *prior = (count + imagined) / total;
        log_prior += imagined * prior.ln();
    }
    log_prior
}

/// What is believed about the rows of confusion matrices: as many imagined answers on each true class, divided by the
/// worker's accuracy.
struct ConfusionPrior {
    strength: f64,
    /// For every worker and any class: how many imagined answers give the true label, and how many one certain other.
    imagined: Vec<[f64; 2]>,
}

impl ConfusionPrior {
    fn new(accuracies: &[f64], strength: f64, classes: usize) -> Self {
        let imagined = accuracies.iter().map(|accuracy| match classes {
            // A single class has no other label, and all imagined answers give that class.
            1 => [strength, 0.0],
            _ => {
                let wrong = (1.0 - accuracy) / count_as_f64(classes - 1);
                [strength * accuracy, strength * wrong]
            }
        });
        Self {
            strength,
            imagined: imagined.collect(),
        }
    }

    /// Turns a worker's numbers of answers into its probabilities, and gives the logarithm of their prior density.
    fn maximise(&self, names: &Names, worker: usize, rows: &mut [f64], totals: &mut [f64]) -> f64 {
        let [right, wrong] = self.imagined.get(worker).copied().unwrap_or_default();
        totals.iter_mut().for_each(|total| *total += self.strength);
        for row in rows.chunks_exact(totals.len()) {
            add(totals, row);
        }
        // Cells that were not observed have `imagined / total`; the constant `ln imagined` does not matter.
        let mut log_prior = -self.strength * sum_of_logarithms(totals);
        for (label, row) in labels(names, worker).zip(rows.chunks_exact_mut(totals.len())) {
            let own = row.get(label).map_or(1.0, |count| count + right);
            row.iter_mut().for_each(|count| *count += wrong);
            if let Some(cell) = row.get_mut(label) {
                *cell = 1.0;
            }
            log_prior += wrong * sum_of_logarithms(row) + right * own.ln();
            if let Some(cell) = row.get_mut(label) {
                *cell = own;
            }
            for (cell, total) in row.iter_mut().zip(&*totals) {
                *cell /= total;
            }
        }
        log_prior
    }
}

/// The labels that a worker gave.
pub(crate) fn labels(names: &Names, worker: usize) -> impl Iterator<Item = usize> {
    let own = names.pairs.get(names.pairs_of(worker)).unwrap_or_default();
    own.iter().map(|pair| pair.label as usize)
}

/// The compatible mode.
fn like_crowd_kit(
    answers: &Answers,
    settings: &DawidSkene,
    roles: Vec<Role>,
    initial: Option<&Initial>,
) -> Aggregated {
    let names = answers.names();
    let mut model = Confusions::start(answers, roles, vote_shares(answers));
    let maximise = |model: &mut Confusions<'_>, initial: Option<&Initial>| {
        crowd_kit_priors(&model.class_counts, names.tasks.len(), &mut model.priors);
        let priors = std::mem::take(&mut model.priors);
        let joint = model.maximise(|worker, rows, totals| {
            if let Some(initial) = initial {
                initial.apply(names, worker, rows, totals);
            }
            maximise_like_crowd_kit(&priors, rows, totals)
        });
        model.priors = priors;
        joint
    };
    maximise(&mut model, initial);
    let course = climb(limits(settings), answers.len(), || {
        let entropy = model.expect(|posterior, _| crowd_kit_entropy(posterior));
        maximise(&mut model, None) + entropy
    });
    if !course.0.is_empty() {
        for probability in &mut model.probabilities {
            *probability = probability.max(CROWD_KIT_EPSILON);
        }
    }
    finish(answers, model, course, Imagined::Nothing)
}

/// Below this, what an expected number of answers adds to the objective is below its last bit.
const NEGLIGIBLE: f64 = 1e-25;

/// crowd-kit's maximisation for one worker, and its objective without the entropy.
fn maximise_like_crowd_kit(priors: &[f64], rows: &mut [f64], totals: &mut [f64]) -> f64 {
    for row in rows.chunks_exact(totals.len()) {
        for (total, count) in totals.iter_mut().zip(row) {
            *total += count.max(CROWD_KIT_EPSILON);
        }
    }
    let mut joint = 0.0;
    for row in rows.chunks_exact_mut(totals.len()) {
        for ((cell, total), prior) in row.iter_mut().zip(&*totals).zip(priors) {
            let count = *cell;
            *cell = count.max(CROWD_KIT_EPSILON) / total;
            // The class prior belongs to a task, yet crowd-kit adds it for every answer.
            if count > NEGLIGIBLE {
                joint += count * (*cell * prior).ln();
            }
        }
    }
    joint
}

/// Initial errors by index.
struct Initial {
    /// Whether they replace the votes.
    assign: bool,
    /// Pairs × classes.
    rows: Vec<f64>,
    /// Workers × classes: the sums of rows for labels that the worker never gave, which crowd-kit lets count.
    elsewhere: Vec<f64>,
}

impl Initial {
    fn new(names: &Names, errors: &InitialErrors) -> Result<Option<Self>, MethodError> {
        let (assign, given) = match errors {
            InitialErrors::None => return Ok(None),
            InitialErrors::Assign(rows) => (true, rows),
            InitialErrors::Add(rows) => (false, rows),
        };
        let classes = names.labels.len();
        let mut initial = Self {
            assign,
            rows: vec![0.0; names.pairs.len() * classes],
            elsewhere: vec![0.0; names.workers.len() * classes],
        };
        let index = |names: &Ids| -> BTreeMap<String, usize> {
            let names = names.iter().map(|name| name.to_string());
            names.zip(0..).collect()
        };
        let (workers, labels) = (index(&names.workers), index(&names.labels));
        let mut given_pairs = vec![false; names.pairs.len()];
        for ((worker, label), row) in given {
            let wrong = |problem| MethodError::InitialErrors {
                worker: worker.clone(),
                problem,
            };
            let Some(&worker) = workers.get(worker) else {
                continue;
            };
            let &label = labels
                .get(label)
                .ok_or_else(|| wrong("a label that does not exist"))?;
            if row.len() != classes {
                return Err(wrong("a row that has not one number for every label"));
            }
            if !row.iter().all(|value| value.is_finite() && *value >= 0.0) {
                return Err(wrong("a number that is negative or not finite"));
            }
            let pairs = names.pairs_of(worker);
            let own = names.pairs.get(pairs.clone()).unwrap_or_default();
            match own.binary_search_by_key(&label, |pair| pair.label as usize) {
                Ok(place) => {
                    let pair = pairs.start + place;
                    if let Some(given) = given_pairs.get_mut(pair) {
                        *given = true;
                    }
                    let own = initial.rows.get_mut(pair * classes..(pair + 1) * classes);
                    add(own.unwrap_or_default(), row);
                }
                Err(_) => {
                    let range = worker * classes..(worker + 1) * classes;
                    let own = initial.elsewhere.get_mut(range).unwrap_or_default();
                    for (sum, value) in own.iter_mut().zip(row) {
                        *sum += value.max(CROWD_KIT_EPSILON);
                    }
                }
            }
        }
        if assign {
            let probabilities = given.values().flatten().all(|value| *value <= 1.0);
            initial.check_assigned(names, &given_pairs, probabilities)?;
        }
        Ok(Some(initial))
    }

    /// There must be a row for every pair, and probabilities must sum to one.
    fn check_assigned(
        &self,
        names: &Names,
        given: &[bool],
        probabilities: bool,
    ) -> Result<(), MethodError> {
        // As `numpy.allclose`.
        const CLOSE: f64 = 1e-5;
        let classes = names.labels.len();
        for (worker, (name, elsewhere)) in names
            .workers
            .iter()
            .zip(self.elsewhere.chunks_exact(classes))
            .enumerate()
        {
            let wrong = |problem| MethodError::InitialErrors {
                worker: name.to_string(),
                problem,
            };
            let own = given.get(names.pairs_of(worker)).unwrap_or_default();
            if !own.iter().all(|given| *given) {
                return Err(wrong("no row for a label that the worker gave"));
            }
            let mut totals = elsewhere.to_vec();
            for (_, row) in rows(names, &self.rows, worker) {
                add(&mut totals, row);
            }
            if probabilities && !totals.iter().all(|total| (total - 1.0).abs() <= CLOSE) {
                return Err(wrong(
                    "probabilities that do not sum to one for every true label",
                ));
            }
        }
        Ok(())
    }

    /// Puts them into a worker's numbers of answers.
    fn apply(&self, names: &Names, worker: usize, counts: &mut [f64], totals: &mut [f64]) {
        let classes = totals.len();
        if self.assign {
            counts.fill(0.0);
        }
        let initial = rows(names, &self.rows, worker);
        for (counts, (_, row)) in counts.chunks_exact_mut(classes).zip(initial) {
            add(counts, row);
        }
        let elsewhere = self.elsewhere.get(worker * classes..(worker + 1) * classes);
        add(totals, elsewhere.unwrap_or_default());
    }
}

pub(crate) fn finish(
    answers: &Answers,
    model: Confusions<'_>,
    (history, stop): Course,
    imagined: Imagined,
) -> Aggregated {
    let mut found = Aggregated {
        probabilities: model.probabilities,
        priors: model.priors,
        skills: Vec::new(),
        confusion: Some(Confusion::Matrices {
            observed: model.errors,
            totals: model.totals,
            imagined,
        }),
        history,
        stop,
        ..Aggregated::of(answers)
    };
    // A skill is the diagonal of the confusion matrix, weighed by how frequent the classes are.
    let skill = |worker| {
        let diagonal = found.diagonal(worker).unwrap_or_default();
        let shares = diagonal.iter().zip(&found.priors);
        shares.map(|(right, share)| right * share).sum()
    };
    found.skills = (0..answers.workers().len()).map(skill).collect();
    found
}
