//! What the methods of expectation-maximisation share: the role of a task, the climb, the division of work, and
//! products that cannot underflow.
//!
//! **Work** is divided into blocks that depend on nothing but the answers, and what the blocks give is summed in their
//! order: results are the same bits on any number of threads.
//!
//! **Likelihoods** are products, not sums of logarithms: no exponential, and one logarithm a task. A product of up to
//! [`CHUNK`] factors between 10⁻³⁵ and 10³⁵ is in range; longer ones carry a binary exponent. Multiplication, addition
//! and division are exact to the last bit on every machine, so the probabilities are, too.

use std::f64::consts::LN_2;

use crate::aggregated::StopReason;
use crate::answers::{Answers, count_as_f64};
use crate::methods::blocks::add;
use crate::{MethodError, Progress};

/// What a task contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its label is to be found, and found labels teach how workers err.
    Open,
    /// Its label is to be found, but teaches nothing.
    Unchecked,
    /// Its label is known.
    Known(u32),
}

/// What every task contributes in the default mode.
///
/// The only answer to a task always agrees with the task's label, so it says nothing about its worker. Learning
/// from it anyway makes the largest class swallow the others when there is about one answer a task.
pub(crate) fn checked_roles(answers: &Answers, known: &[Option<u32>]) -> Vec<Role> {
    let worker = |pair: Option<&u32>| {
        answers
            .names()
            .pairs
            .get(*pair? as usize)
            .map(|pair| pair.worker)
    };
    let of_task = |(own, known): (&[u32], &Option<u32>)| match known {
        Some(label) => Role::Known(*label),
        // Pairs are sorted by worker.
        None if worker(own.first()) == worker(own.last()) => Role::Unchecked,
        None => Role::Open,
    };
    answers.pairs_by_task().zip(known).map(of_task).collect()
}

/// What every task contributes in crowd-kit's mode.
pub(crate) fn plain_roles(known: &[Option<u32>]) -> Vec<Role> {
    known
        .iter()
        .map(|known| known.map_or(Role::Open, Role::Known))
        .collect()
}

/// When to stop, and whom to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) iterations: usize,
    /// Gain in the objective, an answer.
    pub(crate) tolerance: f64,
    pub(crate) progress: &'a Progress,
}

/// How a climb went: the objective after every iteration, divided by the number of answers, and why it ended.
pub(crate) type Course = (Vec<f64>, StopReason);

/// Repeats `iterate`, which gives the objective, until it gains too little.
pub(crate) fn climb(
    limits: Limits<'_>,
    answers: usize,
    mut iterate: impl FnMut() -> f64,
) -> Course {
    let mut history = Vec::new();
    let mut last = f64::NEG_INFINITY;
    while history.len() < limits.iterations {
        let objective = iterate() / count_as_f64(answers);
        history.push(objective);
        limits.progress.tell(&history, limits.iterations);
        if objective - last < limits.tolerance {
            return (history, StopReason::Converged);
        }
        last = objective;
    }
    (history, StopReason::IterationLimit)
}

/// A tolerance must be a number.
pub(crate) fn check_tolerance(tolerance: f64) -> Result<(), MethodError> {
    if tolerance.is_nan() {
        return Err(MethodError::Setting {
            setting: "tolerance",
            value: tolerance,
            must: "a number",
        });
    }
    Ok(())
}

/// crowd-kit's smallest probability.
pub(crate) const CROWD_KIT_EPSILON: f64 = 1e-10;

/// crowd-kit's share of every class.
pub(crate) fn crowd_kit_priors(class_counts: &[f64], tasks: usize, priors: &mut [f64]) {
    for (prior, count) in priors.iter_mut().zip(class_counts) {
        *prior = (count / count_as_f64(tasks)).max(CROWD_KIT_EPSILON);
    }
}

/// The entropy of a posterior by crowd-kit: probabilities below its smallest count as that.
pub(crate) fn crowd_kit_entropy(row: &[f64]) -> f64 {
    // ε · ln ε
    const OF_SMALLEST: f64 = CROWD_KIT_EPSILON * -23.025_850_929_940_457;
    -row.iter()
        .map(|&probability| {
            if probability > CROWD_KIT_EPSILON {
                probability * probability.ln()
            } else {
                OF_SMALLEST
            }
        })
        .sum::<f64>()
}

/// About so many answers are a block of their own.
pub(crate) const ANSWERS_PER_BLOCK: usize = 1 << 15;

/// How many tasks make a block when there are to be so many blocks.
pub(crate) fn tasks_per_block(answers: &Answers, blocks: usize) -> usize {
    answers.tasks().len().div_ceil(blocks)
}

pub(crate) fn one_hot(row: &mut [f64], label: u32) {
    row.fill(0.0);
    if let Some(cell) = row.get_mut(label as usize) {
        *cell = 1.0;
    }
}

/// So many columns are worked on at once.
pub(crate) const LANES: usize = 16;

/// The sum of a row, by lanes: a running sum would wait for each addition.
pub(crate) fn sum(row: &[f64]) -> f64 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        add(&mut lanes, chunk);
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// The sum of the logarithms of a row; every value is between 10⁻³⁵ and 10³⁵.
pub(crate) fn sum_of_logarithms(row: &[f64]) -> f64 {
    if row.len() <= LANES {
        let chunks = row.chunks(CHUNK);
        return chunks.map(|chunk| chunk.iter().product::<f64>().ln()).sum();
    }
    // Products by lanes do not wait for each other, and of long rows need one logarithm in place of many.
    let products = row.chunks(CHUNK * LANES).map(|part| {
        let mut lanes = [1.0; LANES];
        for chunk in part.chunks(LANES) {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane *= value;
            }
        }
        log_product(lanes.into_iter())
    });
    products.sum()
}

/// How many factors are multiplied before the exponents are taken out.
pub(crate) const CHUNK: usize = 8;

/// The natural logarithm of a product of any length.
pub(crate) fn log_product(factors: impl Iterator<Item = f64>) -> f64 {
    let (mut product, mut exponent) = (1.0, 0);
    for factor in factors {
        product *= factor;
        exponent += take_exponent(&mut product);
    }
    product.ln() + f64::from(exponent) * LN_2
}

const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1023;

/// Scales a normal positive number into [1, 2) and gives the exponent taken out.
pub(crate) fn take_exponent(value: &mut f64) -> i32 {
    const EXPONENT_MASK: u64 = 0x7ff << MANTISSA_BITS;
    let bits = value.to_bits();
    *value = f64::from_bits((bits & !EXPONENT_MASK) | 1.0_f64.to_bits());
    i32::try_from((bits & EXPONENT_MASK) >> MANTISSA_BITS)
        .map_or(0, |biased| biased - EXPONENT_BIAS)
}

/// 2 to a power of at most zero; zero below the range of normal numbers.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    match u64::try_from(exponent + EXPONENT_BIAS) {
        Ok(biased) if biased > 0 => f64::from_bits(biased << MANTISSA_BITS),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{log_product, power_of_two, sum, sum_of_logarithms, take_exponent};

    #[test]
    fn an_exponent_taken_out_and_put_back_is_the_same_number() {
        for number in [1.0, 0.75, 1e-10, 3e-200, f64::MIN_POSITIVE] {
            let mut mantissa = number;
            let exponent = take_exponent(&mut mantissa);
            assert!((1.0..2.0).contains(&mantissa));
            assert_eq!(
                (mantissa * power_of_two(exponent)).to_bits(),
                f64::to_bits(number)
            );
        }
    }

    #[test]
    fn sums_and_products_of_any_length() {
        for length in 0..40_u32 {
            let row: Vec<f64> = (1..=length).map(f64::from).collect();
            assert!((sum(&row) - row.iter().sum::<f64>()).abs() < 1e-9);
            let logarithms = row.iter().map(|value| value.ln()).sum::<f64>();
            assert!((sum_of_logarithms(&row) - logarithms).abs() < 1e-9);
            assert!((log_product(row.into_iter()) - logarithms).abs() < 1e-9);
        }
        let tiny = log_product(std::iter::repeat_n(1e-10, 1000));
        assert!((tiny - 1000.0 * 1e-10_f64.ln()).abs() < 1e-7);
    }
}
