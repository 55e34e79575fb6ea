//! The expectation step that the confusion-matrix methods share, fused with the sums of the next maximisation.
//!
//! One pass over the answers in task order. Likelihoods are *products*, not sums of logarithms: no exponential, and
//! one logarithm a task. A product of up to [`CHUNK`] factors cannot underflow (every factor is at least 10⁻²⁰, a
//! count of at least 10⁻¹⁰ over at most 2³² answers); longer ones carry a binary exponent for every class.
//! Multiplication, addition and division are exact to the last bit on every machine, so the probabilities are, too.

use std::f64::consts::LN_2;

use crate::answers::Answers;

/// How many factors are multiplied before the exponents are taken out.
const CHUNK: usize = 8;

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

/// The model's parameters.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// The probability of every class.
    pub(crate) priors: Vec<f64>,
    /// Pairs × classes: the probability of the pair's answer given each class.
    pub(crate) errors: Vec<f64>,
}

/// What is expected under the parameters.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// Tasks × classes: the posterior of each class.
    pub(crate) probabilities: Vec<f64>,
    /// Pairs × classes: the expected number of the pair's answers on tasks of each class, without unchecked tasks.
    pub(crate) counts: Vec<f64>,
    /// The expected number of tasks of each class, without unchecked tasks.
    pub(crate) class_counts: Vec<f64>,
    /// The log-likelihood of the answers and the known labels, without unchecked tasks.
    pub(crate) log_likelihood: f64,
}

impl Expectation {
    /// Starts from given probabilities (tasks × classes), with known labels put in their place.
    pub(crate) fn start(answers: &Answers, roles: &[Role], mut probabilities: Vec<f64>) -> Self {
        let classes = answers.labels().len();
        let mut counts = vec![0.0; answers.names().pairs.len() * classes];
        let mut class_counts = vec![0.0; classes];
        let rows = probabilities.chunks_exact_mut(classes);
        for ((own, &role), row) in answers.pairs_by_task().zip(roles).zip(rows) {
            if let Role::Known(label) = role {
                one_hot(row, label);
            }
            if role != Role::Unchecked {
                add(&mut class_counts, row);
                add_counts(&mut counts, own, row);
            }
        }
        Self {
            probabilities,
            counts,
            class_counts,
            log_likelihood: f64::NEG_INFINITY,
        }
    }

    /// Recomputes everything under `parameters`.
    pub(crate) fn update(&mut self, answers: &Answers, roles: &[Role], parameters: &Parameters) {
        // A row of fixed length lives in registers; the common lengths get code of their own.
        match parameters.priors.len() {
            2 => self.sweep(answers, roles, parameters, [0.0; 2], [0; 2]),
            3 => self.sweep(answers, roles, parameters, [0.0; 3], [0; 3]),
            4 => self.sweep(answers, roles, parameters, [0.0; 4], [0; 4]),
            5 => self.sweep(answers, roles, parameters, [0.0; 5], [0; 5]),
            6 => self.sweep(answers, roles, parameters, [0.0; 6], [0; 6]),
            7 => self.sweep(answers, roles, parameters, [0.0; 7], [0; 7]),
            8 => self.sweep(answers, roles, parameters, [0.0; 8], [0; 8]),
            classes => self.sweep(
                answers,
                roles,
                parameters,
                vec![0.0; classes],
                vec![0; classes],
            ),
        }
    }

    /// The pass itself; `zeros` and `exponents` are rows of one element a class.
    fn sweep<Row: AsMut<[f64]> + Clone>(
        &mut self,
        answers: &Answers,
        roles: &[Role],
        parameters: &Parameters,
        zeros: Row,
        mut exponents: impl AsMut<[i32]>,
    ) {
        let (mut joint, mut prior, mut class_counts) = (zeros.clone(), zeros.clone(), zeros);
        let (joint, prior, class_counts) = (joint.as_mut(), prior.as_mut(), class_counts.as_mut());
        prior.copy_from_slice(&parameters.priors);
        self.counts.fill(0.0);
        let mut log_likelihood = 0.0;
        let rows = self.probabilities.chunks_exact_mut(joint.len());
        for ((own, &role), row) in answers.pairs_by_task().zip(roles).zip(rows) {
            joint.copy_from_slice(prior);
            let log_scale = multiply_all(joint, &parameters.errors, own, exponents.as_mut());
            let mut likelihood: f64 = joint.iter().sum();
            if let Role::Known(label) = role {
                likelihood = joint
                    .get(label as usize)
                    .copied()
                    .unwrap_or_default()
                    .max(f64::MIN_POSITIVE);
                one_hot(joint, label);
            } else {
                let scale = 1.0 / likelihood;
                joint.iter_mut().for_each(|value| *value *= scale);
            }
            row.copy_from_slice(joint);
            if role != Role::Unchecked {
                log_likelihood += likelihood.ln() + log_scale;
                add(class_counts, joint);
                add_counts(&mut self.counts, own, joint);
            }
        }
        self.class_counts.copy_from_slice(class_counts);
        self.log_likelihood = log_likelihood;
    }
}

fn one_hot(row: &mut [f64], label: u32) {
    row.fill(0.0);
    if let Some(cell) = row.get_mut(label as usize) {
        *cell = 1.0;
    }
}

fn add(sums: &mut [f64], row: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value;
    }
}

/// Adds a task's row to the row of each of its pairs.
fn add_counts(counts: &mut [f64], own: &[u32], row: &[f64]) {
    for &pair in own {
        let start = pair as usize * row.len();
        if let Some(sums) = counts.get_mut(start..start + row.len()) {
            add(sums, row);
        }
    }
}

/// Multiplies `joint` by the error row of every pair; gives the natural logarithm of the factor taken out.
fn multiply_all(joint: &mut [f64], errors: &[f64], own: &[u32], exponents: &mut [i32]) -> f64 {
    if own.len() <= CHUNK {
        multiply(joint, errors, own);
        return 0.0;
    }
    exponents.fill(0);
    for chunk in own.chunks(CHUNK) {
        multiply(joint, errors, chunk);
        for (value, exponent) in joint.iter_mut().zip(exponents.iter_mut()) {
            *exponent += take_exponent(value);
        }
    }
    let largest = exponents.iter().copied().max().unwrap_or_default();
    for (value, exponent) in joint.iter_mut().zip(exponents) {
        *value *= power_of_two(*exponent - largest);
    }
    f64::from(largest) * LN_2
}

fn multiply(joint: &mut [f64], errors: &[f64], own: &[u32]) {
    for &pair in own {
        let start = pair as usize * joint.len();
        if let Some(row) = errors.get(start..start + joint.len()) {
            for (value, error) in joint.iter_mut().zip(row) {
                *value *= error;
            }
        }
    }
}

const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1023;

/// Scales a normal positive number into [1, 2) and gives the exponent taken out.
fn take_exponent(value: &mut f64) -> i32 {
    const EXPONENT_MASK: u64 = 0x7ff << MANTISSA_BITS;
    let bits = value.to_bits();
    *value = f64::from_bits((bits & !EXPONENT_MASK) | 1.0_f64.to_bits());
    i32::try_from((bits & EXPONENT_MASK) >> MANTISSA_BITS)
        .map_or(0, |biased| biased - EXPONENT_BIAS)
}

/// 2 to a power of at most zero; zero below the range of normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    match u64::try_from(exponent + EXPONENT_BIAS) {
        Ok(biased) if biased > 0 => f64::from_bits(biased << MANTISSA_BITS),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{multiply_all, power_of_two, take_exponent};

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

    /// 200 strong answers for one class, then as many for the other: plain products would lose both.
    #[test]
    fn a_long_tug_of_war_ends_in_a_tie() {
        let errors = [1e-10, 0.5, 0.5, 1e-10];
        let mut own = vec![0; 200];
        own.extend([1; 200]);
        let mut joint = [0.5, 0.5];
        let log_scale = multiply_all(&mut joint, &errors, &own, &mut [0, 0]);
        assert!((joint[0] / joint[1] - 1.0).abs() < 1e-12);
        let expected = 0.5_f64.ln() + 200.0 * (1e-10_f64.ln() + 0.5_f64.ln());
        assert!((joint[0].ln() + log_scale - expected).abs() < 1e-7);
    }
}
