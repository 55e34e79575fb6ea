//! Worker agreement with aggregate: two votes, the second weighted by how workers did in the first.

use crate::Answers;
use crate::aggregated::Aggregated;
use crate::methods::majority_vote::{agreement, shares, voted};

/// Decides by majority vote, takes the share of a worker's answers that agree as its skill, and votes again with
/// skills as weights.
///
/// "Worker agreement with aggregate" is what the trade calls it; the rules, and the numbers, are those of crowd-kit's
/// `Wawa`. A worker's skill in the result is the weight of its votes: its agreement with the *first* vote. The same
/// answer given twice counts twice in votes and once in a skill.
///
/// To weigh the votes on other answers, as crowd-kit does when `fit` and `predict` get different data, give these
/// skills to [`weighted_majority_vote`](crate::weighted_majority_vote).
#[must_use]
pub fn wawa(answers: &Answers) -> Aggregated {
    let skills = agreement(answers, |_| Some(1.0));
    let outcome = shares(answers, |worker| skills.get(worker).copied());
    voted(answers, outcome, skills)
}
