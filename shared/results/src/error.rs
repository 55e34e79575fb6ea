//! Why a round did not become labels.

use quorate_aggregate::{AnswersError, MethodError};
use quorate_core::{PortError, RoundId};

/// Why a round did not become labels.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed; try again.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An image has the bytes of one in this earlier round, which has no labels yet; try again
    /// once it has. The round was not claimed.
    #[error("the round waits for the labels of round {0}, which has an image with the same bytes")]
    NotYet(RoundId),
    /// Other results were committed while these were made; those stay.
    #[error(
        "{manifest} was committed by somebody else with other contents and was kept: compare the \
         files beside it with the digests in it before you rely on them"
    )]
    Conflict {
        /// The key of the manifest that is kept.
        manifest: String,
    },
    /// An object or item that must be there is not, or cannot be read.
    #[error("{what} {reason}")]
    Damaged {
        /// Which.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are more answers than can be counted, or a label is empty.
    #[error("the answers cannot be aggregated: {0}")]
    Answers(#[from] AnswersError),
    /// The method does not run on these answers.
    #[error("the answers cannot be aggregated: {0}")]
    Method(#[from] MethodError),
    /// A file cannot be written as text.
    #[error("cannot write the result files: {0}")]
    Files(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<csv::Error> for Error {
    fn from(error: csv::Error) -> Self {
        Self::Files(Box::new(error))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Files(Box::new(error))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Files(Box::new(error))
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Files(Box::new(error))
    }
}
