//! How well workers' skills explain labels.

use super::accuracy::decided;
use super::check_skills;
use crate::answers::count_as_f64;
use crate::{Aggregated, Answers, MethodError};

/// The posterior probability of every task's label, given workers' skills, in the order of [`Answers::tasks`].
///
/// For a label, the probability of the answers is the product of `s` for each answer that gives it and
/// `(1 − s) / (K − 1)` for each other, over the task's answers, where `s` is the skill of the worker; the result is
/// that of the label in `found` divided by the sum over all `K` labels. It is 0 if the answers are impossible for
/// every label, and `None` for a task that is not in `found`. crowd-kit's `consistency(by_task=True)`, whose products
/// underflow with many answers; here they are sums of logarithms.
///
/// `skills` are one for each worker, such as [`Aggregated::worker_skills`].
///
/// # Errors
/// [`MethodError::Setting`] for skills that are not as many as workers or not between 0 and 1.
pub fn consistency_by_task(
    answers: &Answers,
    found: &Aggregated,
    skills: &[f64],
) -> Result<Vec<Option<f64>>, MethodError> {
    check_skills(answers, skills)?;
    let labels = answers.labels().len();
    let mut products = vec![Product::default(); labels];
    let mut of_task = |(task, decided): (usize, Option<usize>)| {
        let decided = decided?;
        // What all answers make of a label that nobody gave; then, what those that give a label change about it.
        let mut base = Product::default();
        products.fill(Product::default());
        for (worker, label) in answers.of_task(task) {
            let skill = skills.get(worker).copied().unwrap_or_default();
            let error = (1.0 - skill) / count_as_f64(labels.max(2) - 1);
            base.multiply(error);
            if let Some(product) = products.get_mut(label) {
                product.multiply(skill);
                product.divide(error);
            }
        }
        let logarithm = |product: &Product| {
            if base.zeros + product.zeros > 0 {
                f64::NEG_INFINITY
            } else {
                base.logarithm + product.logarithm
            }
        };
        let of_label = products.get(decided).map_or(f64::NEG_INFINITY, logarithm);
        if of_label.is_infinite() {
            return Some(0.0);
        }
        let sum: f64 = products
            .iter()
            .map(|product| (logarithm(product) - of_label).exp())
            .sum();
        Some(1.0 / sum)
    };
    let decided = decided(answers, found).into_iter();
    Ok(decided.enumerate().map(&mut of_task).collect())
}

/// A product of factors of 0 or more, any of which may be taken out again.
#[derive(Debug, Clone, Copy, Default)]
struct Product {
    /// Of the factors that are not zero.
    logarithm: f64,
    zeros: i64,
}

impl Product {
    fn multiply(&mut self, factor: f64) {
        if factor > 0.0 {
            self.logarithm += factor.ln();
        } else {
            self.zeros += 1;
        }
    }

    fn divide(&mut self, factor: f64) {
        if factor > 0.0 {
            self.logarithm -= factor.ln();
        } else {
            self.zeros -= 1;
        }
    }
}
