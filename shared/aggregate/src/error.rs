//! Why a method cannot run.

use crate::{AnswersError, TooLarge, UnknownGoldLabel};

/// Why a method cannot run on these answers with these settings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// A known label does not exist.
    #[error(transparent)]
    UnknownGoldLabel(#[from] UnknownGoldLabel),
    /// The answers that a method makes out of the given ones are none.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// A table of the method would be too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A setting is out of its range.
    #[error("{setting} is {value}; it must be {must}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Initial errors do not fit the answers.
    #[error("the initial errors of worker {worker:?} have {problem}")]
    InitialErrors {
        /// The worker.
        worker: String,
        /// What they have.
        problem: &'static str,
    },
    /// A worker has no skill, and the policy is that each must have one.
    #[error(
        "worker {worker:?} has no skill; give one, leave such workers out, or set a skill for all of them"
    )]
    MissingSkill {
        /// The worker.
        worker: String,
    },
    /// All answers to a task are from workers without a skill, which are left out.
    #[error("task {task:?} has no answer of a worker with a skill")]
    NoVotes {
        /// The task.
        task: String,
    },
    /// The method is for two labels.
    #[error("{method} is for two labels; these answers have {labels}")]
    NotBinary {
        /// The method.
        method: &'static str,
        /// How many labels there are.
        labels: usize,
    },
}
