//! Calibration: one temperature for all probabilities, found on known labels that the model did not see (Guo, Pleiss,
//! Sun, Weinberger, *On Calibration of Modern Neural Networks*, 2017).

use crate::answers::count_as_f64;

/// What was found of a task by each part of its answers, and the index of its known label.
pub(crate) type Judged = (Vec<Vec<f64>>, usize);

/// Parts that known labels are divided into, to judge each by a temperature found on the others.
const FOLDS: usize = 5;
/// No probability counts as less.
const LEAST: f64 = 1e-12;
/// How strongly a temperature is believed to be near to 1: the weight of half its squared logarithm.
const BELIEF: f64 = 0.1;

/// Raises every probability to the power of 1 / `temperature`, and scales them to sum to one.
pub(crate) fn temper(row: &mut [f64], temperature: f64) {
    let largest = row.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut total = 0.0;
    for value in row.iter_mut() {
        *value = (*value / largest).powf(1.0 / temperature);
        total += *value;
    }
    row.iter_mut().for_each(|value| *value /= total);
}

/// The temperature that makes known labels likeliest; `None` if temperatures found so make known labels that they were
/// not found on less likely than no temperature does, or if there are too few to tell.
pub(crate) fn find_temperature(judged: &[Judged]) -> Option<f64> {
    if judged.len() < 2 * FOLDS {
        return None;
    }
    let (mut with, mut without) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let part = |held_out: bool| -> Vec<&Judged> {
            let rows = judged.iter().enumerate();
            rows.filter(|(index, _)| (index % FOLDS == fold) == held_out)
                .map(|(_, row)| row)
                .collect()
        };
        let held_out = part(true);
        with += loss(&held_out, likeliest(&part(false)));
        without += loss(&held_out, 1.0);
    }
    (with < without).then(|| likeliest(&judged.iter().collect::<Vec<_>>()))
}

/// The best of the temperatures 2^(-2), 2^(-1.95), …, 2^6.
fn likeliest(judged: &[&Judged]) -> f64 {
    let mut best = (f64::INFINITY, 1.0);
    for step in -40..=120_i32 {
        let temperature = (f64::from(step) / 20.0).exp2();
        let score = loss(judged, temperature) + BELIEF * temperature.ln().powi(2) / 2.0;
        if score < best.0 {
            best = (score, temperature);
        }
    }
    best.1
}

/// The negative log-likelihood of the known labels; a task's is the mean over its parts.
fn loss(judged: &[&Judged], temperature: f64) -> f64 {
    let of_part = |row: &Vec<f64>, label: usize| {
        let mut row = row.clone();
        temper(&mut row, temperature);
        -row.get(label).copied().unwrap_or_default().max(LEAST).ln()
    };
    let of_task = |(parts, label): &&Judged| {
        let sum: f64 = parts.iter().map(|row| of_part(row, *label)).sum();
        sum / count_as_f64(parts.len())
    };
    judged.iter().map(of_task).sum()
}

#[cfg(test)]
mod tests {
    use super::{find_temperature, temper};

    #[test]
    fn a_temperature_of_two_takes_square_roots() {
        let mut row = [0.8, 0.2, 0.0];
        temper(&mut row, 2.0);
        assert!((row[0] / row[1] - 2.0).abs() < 1e-12);
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    /// Always sure of the first label, right in four of five: cooled until 0.8 is said.
    #[test]
    fn sureness_is_cooled_to_what_is_right() {
        let judged: Vec<_> = (0..100)
            .map(|task| (vec![vec![0.999, 0.001]], usize::from(task % 7 == 0)))
            .collect();
        let found = find_temperature(&judged).unwrap_or_default();
        let mut row = [0.999, 0.001];
        temper(&mut row, found);
        assert!((row[0] - 0.85).abs() < 0.01, "{found}: {row:?}");
    }

    #[test]
    fn what_is_right_already_or_too_little_is_left_alone() {
        assert_eq!(find_temperature(&vec![(vec![vec![0.6, 0.4]], 0); 9]), None);
        let judged: Vec<_> = (0..100)
            .map(|task| (vec![vec![0.8, 0.2]], usize::from(task % 5 == 0)))
            .collect();
        let found = find_temperature(&judged).unwrap_or(1.0);
        assert!((found - 1.0).abs() < 0.05, "{found}");
    }
}
