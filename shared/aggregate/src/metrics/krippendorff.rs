//! Agreement beyond chance.

use crate::Answers;

/// Krippendorff's alpha for nominal labels: 1 for full agreement, 0 for agreement by chance, negative for less.
///
/// `1 − D_o / D_e`, where `D_o` is the share of pairs of different labels among all pairs of answers to the same task
/// (each pair divided by the task's answers − 1), and `D_e` that among all pairs of answers whatsoever; tasks with one
/// answer do not count. From Klaus Krippendorff, *Content Analysis: An Introduction to Its Methodology* (1980), in the
/// form of *Computing Krippendorff's Alpha-Reliability* (2011): computed from counts of labels by task, in one pass.
/// crowd-kit's `alpha_krippendorff` and NLTK's `AnnotationTask.alpha` give the same. Below 0.667, no conclusions from
/// the answers are advised; from 0.8 on they are reliable.
///
/// 1 if there is only one label among these answers; `None` if no task has two answers.
#[must_use]
pub fn alpha_krippendorff(answers: &Answers) -> Option<f64> {
    let mut totals = vec![0_u64; answers.labels().len()];
    let mut of_task = vec![0_u64; answers.labels().len()];
    let mut observed = 0.0;
    for task in 0..answers.tasks().len() {
        let mut all = 0;
        for (_, label) in answers.of_task(task) {
            if let Some(count) = of_task.get_mut(label) {
                *count += 1;
                all += 1;
            }
        }
        let mut same = 0;
        for (_, label) in answers.of_task(task) {
            // At the label's first answer; then it is counted.
            let count = of_task.get_mut(label).map_or(0, std::mem::take);
            same += u128::from(count) * u128::from(count);
            if let (true, Some(total)) = (all > 1, totals.get_mut(label)) {
                *total += count;
            }
        }
        if all > 1 {
            observed += as_f64(squared(all) - same) / as_f64(u128::from(all) - 1);
        }
    }
    let all: u64 = totals.iter().sum();
    if all == 0 {
        return None;
    }
    let same: u128 = totals.iter().copied().map(squared).sum();
    if same == squared(all) {
        return Some(1.0);
    }
    let expected = as_f64(squared(all) - same) / as_f64(u128::from(all) - 1);
    Some(1.0 - observed / expected)
}

fn squared(count: u64) -> u128 {
    u128::from(count) * u128::from(count)
}

#[expect(clippy::cast_precision_loss, reason = "rounding is all it does")]
fn as_f64(count: u128) -> f64 {
    count as f64
}
