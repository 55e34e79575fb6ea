//! The safe default: a hierarchical Dawid-Skene model that leans on votes where answers are few, and is calibrated on
//! known labels.

use crate::aggregated::{Aggregated, Calibration, Confusion, Imagined, Warning, arg_max};
use crate::answers::{Answers, Names, count_as_f64};
use crate::gold::known_labels;
use crate::methods::blocks::add;
use crate::methods::calibration::{
    FEWEST, Judged, Pool, Support, set_confidence, to_probabilities,
};
use crate::methods::common::Common;
use crate::methods::confusion::Confusions;
use crate::methods::dawid_skene::{finish, labels, maximise_priors};
use crate::methods::em::{
    Course, Limits, check_tolerance, checked_roles, climb, one_hot, sum, sum_of_logarithms,
};
use crate::methods::majority_vote::vote_shares;
use crate::size::check_size;
use crate::{Gold, MethodError, Progress};

/// Tasks that are imagined, evenly of every class, so that a frequent class does not swallow a rare one early.
const IMAGINED_TASKS: f64 = 200.0;
/// So often it is learned anew what workers have in common; then that is kept, and no iteration makes the objective
/// worse. More learning gains nothing, and lets small crowds drift.
const LESSONS: usize = 3;
/// The weight of votes beside a model that has learned from very many answers.
const VOTES: f64 = 0.3;
/// Imagined votes for every label.
const IMAGINED_VOTES: f64 = 0.1;

/// Settings of [`hierarchical_dawid_skene()`]. There is nothing to tune: what a crowd is like is learned from it.
#[derive(Debug, Clone, PartialEq)]
pub struct HierarchicalDawidSkene {
    /// At most so many iterations, of which the first three learn what workers have in common and do not count in the
    /// history; 0 gives the majority vote with known labels put in place.
    pub iterations: usize,
    /// Stop when an iteration gains less than this in log-likelihood an answer.
    pub tolerance: f64,
    /// Known labels. They are never changed, teach how workers err, and calibrate the probabilities of the other tasks.
    pub gold: Gold,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for HierarchicalDawidSkene {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            gold: Gold::new(),
            progress: Progress::default(),
        }
    }
}

/// Finds labels and confusion matrices together, safely: for whoever does not want to choose a method.
///
/// It is Dawid and Skene's model (1979) with a level above the workers, as in the hierarchical model of Paun, Carpenter,
/// Chamberlain, Hovy, Kruschwitz and Poesio (*Comparing Bayesian Models of Annotation*, 2018):
///
/// * **A crowd's errors.** What the workers have in common is learned from all of them: which labels are confused with
///   which. A worker is expected to err like that, more or less often by its accuracy, and its own answers correct the
///   expectation. How many of them it takes is learned as well (empirical Bayes): where workers are alike, their
///   matrices are pulled together, where each errs in its own way, they are left apart.
/// * **Votes.** What the model finds is combined with the share of votes by a logarithmic opinion pool (Genest and
///   Zidek, *Combining Probability Distributions*, 1986). Votes weigh the more the fewer answers there are of a worker
///   on a class: at one answer they weigh more than the model, at a hundred a third of it. With one answer a task the
///   outcome is the majority vote.
/// * **Known labels** are kept, and teach how workers err. Then it is found how far the model and the votes can be
///   believed, a temperature for each, by how often labels of known tasks are right if the model does not know them:
///   each half of them is judged by a model that knows the other half, and a task that more workers than usual answered
///   by each part of them that is as large as usual. It is used if that makes it likelier which known labels are right
///   that it was not found on, and says how sure to be: labels stay as they are. Without known labels, probabilities
///   are the model's own: they are too sure of themselves where people err together.
///
/// [`Aggregated::majority`] has the majority vote beside it, and [`Aggregated::warnings`] tell where the two disagree much.
///
/// # What it is worth
///
/// Accuracy on real crowds, all answers, no known labels: bluebirds 0.898 (majority vote 0.759, crowd-kit's Dawid-Skene
/// 0.889), labelme 0.786 (0.769, 0.792), `s_adult` 0.790 (0.763, 0.766), weather 0.857 (0.847, 0.840).
/// With a fifth of the labels known, the expected calibration error of the others falls from 0.131 to 0.041 on labelme and
/// from 0.142 to 0.059 on weather. `cargo run --release -p quorate-aggregate --example accuracy` compares it with every
/// method, also where few answers are left of each task.
///
/// # Errors
/// [`MethodError`] for a tolerance that is no number, a known label that does not exist, or too many labels: there are
/// tables with a column for each, and a row for each worker and label that it gave, or for each label.
pub fn hierarchical_dawid_skene(
    answers: &Answers,
    settings: &HierarchicalDawidSkene,
) -> Result<Aggregated, MethodError> {
    check_tolerance(settings.tolerance)?;
    answers.check_confusions()?;
    let labels = answers.labels().len();
    check_size(answers.len(), labels, &[("labels", labels)])?;
    let known = known_labels(answers, &settings.gold)?;
    let limits = Limits {
        iterations: settings.iterations,
        tolerance: settings.tolerance,
        progress: &settings.progress,
    };
    let mut found = fit(answers, &known, limits);
    if limits.iterations > 0 {
        let pool = Pool::weighing(weight_of_votes(answers));
        let judged = judge_blindly(answers, &known, limits, pool);
        let calibrated = pool.calibrate(&judged);
        let sums = add_votes(answers, &known, pool, calibrated, &mut found.probabilities);
        found.calibration = calibrated.map(|calibrated| {
            let unknown = count_as_f64(known.len() - judged.len());
            let [before, after] = sums.map(|sum| sum / unknown);
            Calibration {
                known: judged.len(),
                temperatures: pool.over(calibrated),
                before,
                after,
            }
        });
    }
    (found.majority, found.warnings) = compare_with_votes(answers, &known, &found);
    Ok(found)
}

/// How right labels of known tasks are by a model that does not know them: each half of them is judged by a model that was
/// told the other half.
///
/// Known tasks are often those that many workers get, to be tested by. With so many answers the model is far surer than
/// it is of a task with a few, and what is right for the one is wrong for the other. So a known task is judged in parts
/// that have about as many answers as a task with an unknown label.
fn judge_blindly(
    answers: &Answers,
    known: &[Option<u32>],
    limits: Limits<'_>,
    pool: Pool,
) -> Vec<Judged> {
    let names = answers.names();
    let tasks = answers.pairs_by_task().zip(known).enumerate();
    let known_tasks: Vec<(usize, &[u32], u32)> = tasks
        .filter_map(|(task, (pairs, known))| Some((task, pairs, (*known)?)))
        .collect();
    if known_tasks.len() < FEWEST || known_tasks.len() == known.len() {
        return Vec::new();
    }
    let usual = usual_answers(answers, known);
    let mut judged = Vec::new();
    for half in 0..2 {
        let unknown = || known_tasks.iter().skip(half).step_by(2);
        let mut told = known.to_vec();
        for (task, ..) in unknown() {
            if let Some(label) = told.get_mut(*task) {
                *label = None;
            }
        }
        let model = fit(answers, &told, limits);
        for &(_, pairs, label) in unknown() {
            // As near to `usual` as equal parts can be.
            let parts = ((2 * pairs.len() + usual) / (2 * usual)).max(1);
            let parts = pairs.chunks(pairs.len().div_ceil(parts));
            judged.push(Judged {
                parts: parts
                    .map(|pairs| judge(names, &model, pool, pairs, label))
                    .collect(),
            });
        }
    }
    judged
}

/// What supports the label that some answers lead to, and whether it is this one.
fn judge(
    names: &Names,
    model: &Aggregated,
    pool: Pool,
    pairs: &[u32],
    label: u32,
) -> (Support, bool) {
    let mut votes = vec![0.0; model.priors.len()];
    log_votes(names, pairs, &mut votes);
    let mut row = posterior(model, pairs);
    to_logarithms(&mut row);
    let (decided, support) = pool.decide(&mut row, &votes);
    (support, decided == label as usize)
}

/// How many answers a task with an unknown label has: the median.
fn usual_answers(answers: &Answers, known: &[Option<u32>]) -> usize {
    let tasks = answers.pairs_by_task().map(<[u32]>::len);
    let unknown = tasks.zip(known).filter(|(_, known)| known.is_none());
    let mut counts: Vec<usize> = unknown.map(|(count, _)| count).collect();
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().unwrap_or(1)
}

/// What the model says of a task with these answers.
fn posterior(model: &Aggregated, pairs: &[u32]) -> Vec<f64> {
    let mut row: Vec<f64> = model.priors.iter().map(|prior| prior.ln()).collect();
    let Some(Confusion::Matrices { observed, .. }) = &model.confusion else {
        return row;
    };
    let classes = row.len();
    for &pair in pairs {
        let errors = observed.get(pair as usize * classes..).unwrap_or_default();
        for (sum, error) in row.iter_mut().zip(errors) {
            *sum += error.ln();
        }
    }
    to_probabilities(&mut row);
    row
}

/// Puts every task's probabilities together with its votes, as sure as calibrated, and known labels in their place. Gives
/// the sums of confidences that were calibrated, before and after.
fn add_votes(
    answers: &Answers,
    known: &[Option<u32>],
    pool: Pool,
    calibrated: Option<Pool>,
    probabilities: &mut [f64],
) -> [f64; 2] {
    let mut confidences = [0.0; 2];
    let mut votes = vec![0.0; answers.labels().len()];
    let rows = probabilities.chunks_exact_mut(votes.len()).zip(known);
    for ((row, known), pairs) in rows.zip(answers.pairs_by_task()) {
        if let Some(label) = known {
            one_hot(row, *label);
            continue;
        }
        log_votes(answers.names(), pairs, &mut votes);
        to_logarithms(row);
        let Some(calibrated) = calibrated else {
            pool.put_together(row, &votes);
            continue;
        };
        let (label, support) = pool.decide(row, &votes);
        let before = row.get(label).copied().unwrap_or_default();
        set_confidence(row, label, calibrated.confidence(support));
        let after = row.get(label).copied().unwrap_or_default();
        add(&mut confidences, &[before, after]);
    }
    confidences
}

/// No probability of the model counts as less.
const LEAST: f64 = 1e-5;

fn to_logarithms(row: &mut [f64]) {
    row.iter_mut()
        .for_each(|value| *value = (*value + LEAST).ln());
}

/// The logarithms of the shares of votes among some answers, smoothed.
fn log_votes(names: &Names, pairs: &[u32], votes: &mut [f64]) {
    votes.fill(IMAGINED_VOTES);
    count_votes(names, pairs, votes);
    let all: f64 = votes.iter().sum();
    votes
        .iter_mut()
        .for_each(|votes| *votes = (*votes / all).ln());
}

/// Climbs to the likeliest parameters.
fn fit(answers: &Answers, known: &[Option<u32>], limits: Limits<'_>) -> Aggregated {
    let names = answers.names();
    let mut model = Confusions::start(answers, checked_roles(answers, known), vote_shares(answers));
    let mut common = learn(names, &mut model);
    let mut log_prior = maximise(names, &mut model, &common);
    let lessons = LESSONS.min(limits.iterations);
    for _ in 0..lessons {
        model.expect(|_, likelihood| likelihood.ln());
        common = learn(names, &mut model);
        log_prior = maximise(names, &mut model, &common);
    }
    let limits = Limits {
        iterations: limits.iterations - lessons,
        ..limits
    };
    let course: Course = climb(limits, answers.len(), || {
        let objective = model.expect(|_, likelihood| likelihood.ln()) + log_prior;
        log_prior = maximise(names, &mut model, &common);
        objective
    });
    finish(answers, model, course, Imagined::Common(common))
}

/// What workers have in common by what is expected now. Leaves expected numbers of answers in the model's table.
fn learn(names: &Names, model: &mut Confusions<'_>) -> Common {
    model.maximise(|_, _, _| 0.0);
    Common::learn(names, &model.errors)
}

/// Sets the parameters to the best for what is expected now, and gives the logarithm of their prior density.
fn maximise(names: &Names, model: &mut Confusions<'_>, common: &Common) -> f64 {
    maximise_priors(IMAGINED_TASKS, &model.class_counts, &mut model.priors)
        + model
            .maximise(|worker, rows, totals| maximise_worker(names, common, worker, rows, totals))
}

/// Turns a worker's expected numbers of answers into probabilities, and gives the logarithm of their prior density over
/// that of the expected probabilities but for a constant: cells that were not observed add nothing.
fn maximise_worker(
    names: &Names,
    common: &Common,
    worker: usize,
    rows: &mut [f64],
    totals: &mut [f64],
) -> f64 {
    totals.fill(common.strength);
    for row in rows.chunks_exact(totals.len()) {
        add(totals, row);
    }
    let factors: Vec<f64> = totals.iter().map(|total| 1.0 / total).collect();
    let mut expected = common.of_worker(worker);
    let mut log_prior = -common.strength * sum_of_logarithms(totals);
    for (label, row) in labels(names, worker).zip(rows.chunks_exact_mut(totals.len())) {
        let imagined = expected.of_label(label);
        log_prior += log_gain(imagined, row);
        // Cells that were not observed have `imagined / total`.
        for ((cell, imagined), factor) in row.iter_mut().zip(imagined).zip(&factors) {
            *cell = (*cell + imagined) * factor;
        }
    }
    log_prior
}

/// The sum of imagined × ln((imagined + count) / imagined).
fn log_gain(imagined: &[f64], counts: &[f64]) -> f64 {
    // Of many classes, most counts are far too small for a logarithm: they add themselves, and what that leaves out is
    // below the last bit of what is imagined.
    const SMALL: f64 = 1e-8;
    let mut gain = sum(counts);
    for (&imagined, &count) in imagined.iter().zip(counts) {
        if count > SMALL * imagined {
            gain += imagined * ((imagined + count) / imagined).ln() - count;
        }
    }
    gain
}

/// How much votes weigh where the model weighs one.
fn weight_of_votes(answers: &Answers) -> f64 {
    let names = answers.names();
    let cells = count_as_f64(names.workers.len()) * count_as_f64(names.labels.len());
    VOTES + cells / count_as_f64(answers.len())
}

fn count_votes(names: &Names, pairs: &[u32], votes: &mut [f64]) {
    for &pair in pairs {
        let label = names.pairs.get(pair as usize).map(|pair| pair.label);
        if let Some(votes) = label.and_then(|label| votes.get_mut(label as usize)) {
            *votes += 1.0;
        }
    }
}

/// With fewer answers, a task has few.
const FEW: usize = 3;
/// Warns of disagreement on more than this share of tasks.
const MUCH: f64 = 0.1;

/// The majority vote of every task, and what to warn of: known labels were not decided, so they do not count.
fn compare_with_votes(
    answers: &Answers,
    known: &[Option<u32>],
    found: &Aggregated,
) -> (Vec<u32>, Vec<Warning>) {
    let classes = answers.labels().len();
    let (mut majority, mut tasks, mut differ, mut few) = (Vec::new(), 0, 0, 0);
    let mut votes = vec![0.0; classes];
    let rows = found.probabilities.chunks_exact(classes).zip(known);
    for ((row, known), pairs) in rows.zip(answers.pairs_by_task()) {
        votes.fill(0.0);
        count_votes(answers.names(), pairs, &mut votes);
        let chosen = arg_max(&votes);
        majority.push(u32::try_from(chosen).unwrap_or_default());
        if known.is_none() {
            tasks += 1;
            // Among equals, the choice of the majority vote is arbitrary: no disagreement.
            differ += usize::from(votes.get(arg_max(row)) < votes.get(chosen));
            few += usize::from(pairs.len() < FEW);
        }
    }
    let mut warnings = Vec::new();
    if count_as_f64(differ) > MUCH * count_as_f64(tasks) {
        warnings.push(Warning::DiffersFromMajority { differ, tasks });
    }
    if 2 * few > tasks {
        warnings.push(Warning::FewAnswers { few, tasks });
    }
    (majority, warnings)
}
