//! Zero-based skill: votes weighted by skills, and skills that follow the agreement with the votes' outcome.

use crate::aggregated::{Aggregated, StopReason};
use crate::answers::count_as_f64;
use crate::methods::majority_vote::{shares, tallies, voted, winners};
use crate::{Answers, MethodError, Mode, Progress};

/// Skills move all the way to the agreement at first, …
const LEARNING_RATE: f64 = 1.0;
/// … and by half as much from every so many iterations on, which ends a back and forth.
const STEPS: usize = 20;
const REDUCTION: f64 = 0.5;

/// Settings of [`zero_based_skill()`].
#[derive(Debug, Clone, PartialEq)]
pub struct ZeroBasedSkill {
    /// At most so many votes before the last.
    pub iterations: usize,
    /// Stop when no skill moves by more than this; 0 or more. As in crowd-kit, skills start from this above chance.
    pub tolerance: f64,
    /// [`Mode::CrowdKit`] always does all iterations.
    pub mode: Mode,
    /// Who is told of every iteration.
    pub progress: Progress,
}

impl Default for ZeroBasedSkill {
    fn default() -> Self {
        Self {
            iterations: 100,
            tolerance: 1e-5,
            mode: Mode::Default,
            progress: Progress::default(),
        }
    }
}

/// Votes with skills as weights, moves every skill towards the share of the worker's answers that agree with the
/// outcome, and so on; then votes for the last time.
///
/// All skills start equal, so the first vote is the majority's, and the second is [`wawa()`](crate::wawa)'s. The
/// step is 1 at first, and half of that from iterations 20, 40, … on. These are the rules of crowd-kit's
/// `ZeroBasedSkill`, whose `eps`, here the tolerance, stops nothing: it always votes a hundred times. The default
/// mode stops as soon as skills are at rest, mostly after five votes. In both modes a worker's skill is a number
/// between 0 and 1, and [`Aggregated::log_likelihood`] is minus what is minimised: the mean square of (agreement −
/// skill) over workers.
///
/// # Errors
/// [`MethodError::Setting`] for a tolerance that is not between 0 and 1.
pub fn zero_based_skill(
    answers: &Answers,
    settings: &ZeroBasedSkill,
) -> Result<Aggregated, MethodError> {
    let tolerance = settings.tolerance;
    if !(0.0..=1.0).contains(&tolerance) {
        return Err(MethodError::Setting {
            setting: "tolerance",
            value: tolerance,
            must: "between 0 and 1",
        });
    }
    let workers = answers.workers().len();
    let mut skills = vec![1.0 / count_as_f64(answers.labels().len()) + tolerance; workers];
    let mut history = Vec::new();
    let mut stop = StopReason::IterationLimit;
    let mut rate = LEARNING_RATE;
    for iteration in 1..=settings.iterations {
        if iteration % STEPS == 0 {
            rate *= REDUCTION;
        }
        let winners = winners(answers, |worker| skills.get(worker).copied());
        let tallies = tallies(answers, |task| winners.get(task).copied());
        let (mut squares, mut largest) = (0.0, 0.0_f64);
        for (skill, tally) in skills.iter_mut().zip(tallies) {
            let difference = tally.accuracy().unwrap_or_default() - *skill;
            squares += difference * difference;
            largest = largest.max((rate * difference).abs());
            *skill += rate * difference;
        }
        history.push(-squares / count_as_f64(workers));
        settings.progress.tell(&history, settings.iterations);
        if settings.mode == Mode::Default && largest <= tolerance {
            stop = StopReason::Converged;
            break;
        }
    }
    let outcome = shares(answers, |worker| skills.get(worker).copied());
    Ok(Aggregated {
        history,
        stop,
        ..voted(answers, outcome, skills)
    })
}
