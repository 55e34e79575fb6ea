//! What methods say about classes and workers, if all that they find are probabilities.

use crate::answers::{Answers, count_as_f64};
use crate::methods::blocks::add_to;

/// The mean row of a table: the share of every class.
pub(crate) fn mean_row(probabilities: &[f64], classes: usize) -> Vec<f64> {
    let rows = probabilities.chunks_exact(classes);
    let count = count_as_f64(rows.len());
    let mut mean = vec![0.0; classes];
    for row in rows {
        add_to(&mut mean, row);
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}
