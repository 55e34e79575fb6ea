//! The posterior of a task when every answer speaks for its own label only.
//!
//! In GLAD and MACE an answer multiplies the probability of the label that it gives, against all others alike. So the
//! labels that nobody gave share one probability, and a task costs as much as it has answers, however many labels
//! there are.

use crate::answers::count_as_f64;

/// The probabilities of one task after the other.
#[derive(Debug)]
pub(crate) struct Posterior {
    /// Every answered label with the sum of what was added for it, then with its probability.
    answered: Vec<(u32, f64)>,
    /// For every label its place in `answered`, counted from 1; 0 if nobody gave it.
    places: Vec<u32>,
    /// The probability of each label that nobody gave.
    rest: f64,
}

impl Posterior {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            answered: Vec::new(),
            places: vec![0; classes],
            rest: 0.0,
        }
    }

    /// Begins the next task.
    pub(crate) fn clear(&mut self) {
        for (label, _) in self.answered.drain(..) {
            if let Some(place) = self.places.get_mut(label as usize) {
                *place = 0;
            }
        }
        self.rest = 0.0;
    }

    /// Takes an answer; its label becomes `odds` times as likely, which is given as a logarithm.
    pub(crate) fn add(&mut self, label: u32, odds: f64) {
        let Some(place) = self.places.get_mut(label as usize) else {
            return;
        };
        match self.answered.get_mut((*place as usize).wrapping_sub(1)) {
            Some((_, sum)) => *sum += odds,
            None => {
                self.answered.push((label, odds));
                // There are no more labels than 32 bits can count.
                *place = u32::try_from(self.answered.len()).unwrap_or_default();
            }
        }
    }

    /// What was added for a label, and its probability after [`Posterior::normalise`].
    pub(crate) fn of(&self, label: u32) -> f64 {
        let place = self.places.get(label as usize).copied().unwrap_or_default();
        let answered = self.answered.get((place as usize).wrapping_sub(1));
        answered.map_or(self.rest, |&(_, value)| value)
    }

    /// Turns sums into probabilities; gives the logarithm of what all labels sum up to, where labels without an
    /// answer are 1 each. If the label is known, it gets all the probability, and what it has summed up to is given.
    pub(crate) fn normalise(&mut self, known: Option<u32>) -> f64 {
        if let Some(known) = known {
            let own = self.of(known);
            self.clear();
            self.add(known, 1.0);
            return own;
        }
        let unanswered = count_as_f64(self.places.len() - self.answered.len());
        let least = if unanswered > 0.0 {
            0.0
        } else {
            f64::NEG_INFINITY
        };
        let sums = self.answered.iter().map(|&(_, sum)| sum);
        let largest = sums.fold(least, f64::max);
        let rest = if unanswered > 0.0 {
            (-largest).exp()
        } else {
            0.0
        };
        let mut all = unanswered * rest;
        for (_, value) in &mut self.answered {
            *value = (*value - largest).exp();
            all += *value;
        }
        for (_, value) in &mut self.answered {
            *value /= all;
        }
        self.rest = rest / all;
        largest + all.ln()
    }

    /// Writes the probabilities of all labels.
    pub(crate) fn write(&self, row: &mut [f64]) {
        row.fill(self.rest);
        for &(label, probability) in &self.answered {
            if let Some(cell) = row.get_mut(label as usize) {
                *cell = probability;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Posterior;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-15,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn labels_without_an_answer_share_what_is_left() {
        let mut posterior = Posterior::new(4);
        for odds in [2_f64, 3.0] {
            posterior.add(1, odds.ln());
        }
        posterior.add(3, 0.5_f64.ln());
        // 1, 6, 1 and ½.
        close(posterior.normalise(None), 8.5_f64.ln());
        let mut row = [0.0; 4];
        posterior.write(&mut row);
        for (found, expected) in row.iter().zip([1.0, 6.0, 1.0, 0.5]) {
            close(*found, expected / 8.5);
        }
        posterior.clear();
        posterior.add(0, 800.0);
        posterior.add(1, 801.0);
        posterior.add(2, -800.0);
        posterior.add(3, -800.0);
        assert!((posterior.normalise(None) - 801.0 - (-1_f64).exp().ln_1p()).abs() < 1e-12);
        close(posterior.of(1), 1.0 / (1.0 + (-1_f64).exp()));
    }

    #[test]
    fn a_known_label_has_it_all() {
        let mut posterior = Posterior::new(3);
        posterior.add(0, 2.0);
        close(posterior.normalise(Some(0)), 2.0);
        close(posterior.of(0), 1.0);
        posterior.clear();
        posterior.add(0, 2.0);
        close(posterior.normalise(Some(2)), 0.0);
        let mut row = [0.5; 3];
        posterior.write(&mut row);
        assert_eq!(row.map(f64::to_bits), [0.0, 0.0, 1.0].map(f64::to_bits));
    }
}
