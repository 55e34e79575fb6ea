//! Why a method cannot run.

use crate::method::list;
use crate::{AnswersError, Method, Mode, Setting, TooLarge, UnknownGoldLabel};

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
    /// The method follows only the default rules.
    #[error(
        "{method} has no crowd-kit mode, but {} have",
        list(Method::ALL.into_iter().filter(|method| method.has(Mode::CrowdKit)))
    )]
    NoSuchMode {
        /// The method.
        method: Method,
    },
    /// A setting would make no difference.
    #[error("{method} does not use {setting}{}; these do: {}", in_mode(*.mode), list(users(*.setting, *.mode)))]
    Unused {
        /// The method.
        method: Method,
        /// The setting that was given.
        setting: Setting,
        /// The rules to follow.
        mode: Mode,
    },
    /// The method rests on known labels, and there are none.
    #[error("{method} needs known labels")]
    NeedsGold {
        /// The method.
        method: Method,
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

fn in_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Default => "",
        Mode::CrowdKit => " in crowd-kit mode",
    }
}

fn users(setting: Setting, mode: Mode) -> impl Iterator<Item = Method> {
    let methods = Method::ALL.into_iter();
    methods.filter(move |method| method.has(mode) && method.uses(setting, mode))
}
