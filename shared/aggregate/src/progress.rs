//! How far a long run is.

use std::fmt;
use std::sync::Arc;

/// What an iterative method tells after every iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iteration {
    /// Counts from 1. A method that climbs more than once counts anew each time.
    pub number: usize,
    /// The greatest number there can be.
    pub limit: usize,
    /// What the method maximises, as in [`Aggregated::log_likelihood`](crate::Aggregated::log_likelihood).
    pub objective: f64,
}

/// Who is told of every iteration; nobody by default. Listening changes no result.
///
/// ```
/// use quorate_aggregate::{DawidSkene, Progress};
///
/// let settings = DawidSkene {
///     progress: Progress::new(|at| eprintln!("{} of at most {}", at.number, at.limit)),
///     ..DawidSkene::default()
/// };
/// ```
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(Iteration) + Send + Sync>>);

impl Progress {
    /// Calls `listener` after every iteration, in order, from the thread that runs the method.
    pub fn new(listener: impl Fn(Iteration) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells of the last iteration, of at most `limit`; `history` has the objectives of all so far.
    pub(crate) fn tell(&self, history: &[f64], limit: usize) {
        if let (Some(listener), Some(&objective)) = (&self.0, history.last()) {
            listener(Iteration {
                number: history.len(),
                limit,
                objective,
            });
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = if self.0.is_some() {
            "a listener"
        } else {
            "nobody"
        };
        write!(formatter, "Progress({listener})")
    }
}

/// Equal are the same listener, and nobody.
impl PartialEq for Progress {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}
