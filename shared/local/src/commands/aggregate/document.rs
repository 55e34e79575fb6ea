//! What `quorate aggregate --json` prints.

use quorate_aggregate::metrics::{
    alpha_krippendorff, expected_calibration_error, uncertainty_by_task,
};
use quorate_aggregate::{Aggregated, Answers, Gold, MultiLabel, StopReason};
use serde::{Serialize, Serializer};

/// The document; `found` is a [`Found`] or a [`FoundSets`].
#[derive(Serialize)]
pub(super) struct Document<F> {
    #[serde(flatten)]
    pub(super) run: Run,
    pub(super) seconds: Seconds,
    #[serde(flatten)]
    pub(super) found: F,
}

/// What was done with what.
#[derive(Serialize)]
pub(super) struct Run {
    pub(super) method: &'static str,
    pub(super) mode: &'static str,
    pub(super) tasks: usize,
    pub(super) workers: usize,
    pub(super) answers: u64,
    /// Rows left out as control tasks, and as no answers.
    pub(super) golden: u64,
    pub(super) skipped: u64,
}

/// How long each part took.
#[derive(Serialize)]
pub(super) struct Seconds {
    pub(super) read: f64,
    pub(super) aggregate: f64,
    pub(super) write: f64,
}

/// One label a task.
#[derive(Serialize)]
pub(super) struct Found<'a> {
    iterations: usize,
    stopped: &'static str,
    /// What the method maximises, an answer, after every iteration.
    objectives: &'a [f64],
    priors: Vec<Share<'a>>,
    calibration: Option<Calibrated>,
    warnings: Vec<String>,
    measures: &'a Measures,
    #[serde(serialize_with = "decisions")]
    labels: &'a Aggregated,
}

/// Mean confidences, and what they were calibrated by.
#[derive(Serialize)]
struct Calibrated {
    known: usize,
    before: f64,
    after: f64,
    temperatures: Temperatures,
}

#[derive(Serialize)]
struct Temperatures {
    model: f64,
    votes: f64,
}

#[derive(Serialize)]
struct Share<'a> {
    label: &'a str,
    share: f64,
}

#[derive(Serialize)]
struct Decision<'a> {
    task: &'a str,
    label: &'a str,
    confidence: f64,
    /// Of methods that compare themselves with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    majority: Option<&'a str>,
}

impl<'a> Found<'a> {
    pub(super) fn new(aggregated: &'a Aggregated, measures: &'a Measures) -> Self {
        let shares = aggregated.labels().iter().zip(aggregated.priors());
        Self {
            iterations: aggregated.iterations(),
            stopped: match aggregated.stop_reason() {
                StopReason::Direct => "direct",
                StopReason::Converged => "converged",
                _ => "iteration-limit",
            },
            objectives: aggregated.log_likelihood(),
            priors: shares
                .map(|(label, &share)| Share { label, share })
                .collect(),
            calibration: aggregated.calibration().map(|calibration| {
                let [model, votes] = calibration.temperatures;
                Calibrated {
                    known: calibration.known,
                    before: calibration.before,
                    after: calibration.after,
                    temperatures: Temperatures { model, votes },
                }
            }),
            warnings: aggregated
                .warnings()
                .iter()
                .map(ToString::to_string)
                .collect(),
            measures,
            labels: aggregated,
        }
    }
}

/// There may be millions: they are written one by one.
fn decisions<S: Serializer>(aggregated: &&Aggregated, serializer: S) -> Result<S::Ok, S::Error> {
    let decided = aggregated.decisions().enumerate();
    serializer.collect_seq(decided.map(|(index, (task, label, confidence))| Decision {
        task,
        label,
        confidence,
        majority: aggregated.majority(index),
    }))
}

/// How good answers and labels are.
#[derive(Serialize)]
pub(super) struct Measures {
    /// `None` if no task has two answers.
    pub(super) alpha_krippendorff: Option<f64>,
    /// The mean entropy of a task's answers, in nats.
    pub(super) mean_uncertainty: f64,
    /// How many tasks were compared with the truth.
    pub(super) compared: usize,
    /// `None` if no task was.
    pub(super) accuracy: Option<f64>,
    pub(super) expected_calibration_error: Option<f64>,
}

impl Measures {
    pub(super) fn new(
        answers: &Answers,
        aggregated: &Aggregated,
        truth: &Gold,
    ) -> anyhow::Result<Self> {
        let uncertainties = uncertainty_by_task(answers, None)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are fewer than 2^32 tasks"
        )]
        let tasks = uncertainties.len() as f64;
        let known = answers
            .tasks()
            .iter()
            .filter(|task| truth.contains_key(*task));
        Ok(Self {
            alpha_krippendorff: alpha_krippendorff(answers),
            mean_uncertainty: uncertainties.iter().sum::<f64>() / tasks,
            compared: known.count(),
            accuracy: aggregated.accuracy(truth),
            expected_calibration_error: expected_calibration_error(aggregated, truth),
        })
    }
}

/// Any number of labels a task.
#[derive(Serialize)]
pub(super) struct FoundSets<'a> {
    classes: &'a [String],
    #[serde(serialize_with = "sets")]
    labels: &'a MultiLabel,
}

#[derive(Serialize)]
struct DecidedSet<'a> {
    task: &'a str,
    labels: Vec<&'a str>,
    confidence: Option<f64>,
}

impl<'a> FoundSets<'a> {
    pub(super) fn new(found: &'a MultiLabel) -> Self {
        Self {
            classes: found.classes(),
            labels: found,
        }
    }
}

fn sets<S: Serializer>(found: &&MultiLabel, serializer: S) -> Result<S::Ok, S::Error> {
    let tasks = found.tasks().iter().enumerate();
    serializer.collect_seq(tasks.map(|(index, task)| DecidedSet {
        task,
        labels: found.labels(index).collect(),
        confidence: found.confidence(index),
    }))
}
