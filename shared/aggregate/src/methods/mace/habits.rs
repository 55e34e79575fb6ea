//! What MACE finds out about workers.

/// Workers who give the true label when they know it, and else answer by a habit of their own, whatever is true.
#[derive(Debug, Clone, Default)]
pub(crate) struct Habits {
    /// For every worker the probability that it answers by habit, and that it knows.
    pub(super) habit_or_knows: Vec<[f64; 2]>,
    /// For every worker, the labels that it answers more often by habit than others, sorted, with their probabilities.
    pub(super) favourites: Vec<Vec<(u32, f64)>>,
    /// The habitual probability of a label is, if it is no favourite, the label's share here…
    pub(super) others: Vec<f64>,
    /// …times the worker's factor.
    pub(super) factor: Vec<f64>,
}

impl Habits {
    /// The probability of one label when the worker answers by habit.
    pub(super) fn share(&self, worker: usize, label: u32) -> Option<f64> {
        let favourites = self.favourites.get(worker)?;
        match favourites.binary_search_by_key(&label, |&(label, _)| label) {
            Ok(place) => favourites.get(place).map(|&(_, probability)| probability),
            Err(_) => Some(self.others.get(label as usize)? * self.factor.get(worker)?),
        }
    }

    /// The probability of every label when the worker answers by habit.
    fn of(&self, worker: usize) -> Option<Vec<f64>> {
        let factor = self.factor.get(worker)?;
        let mut row: Vec<f64> = self.others.iter().map(|share| share * factor).collect();
        for &(label, probability) in self.favourites.get(worker)? {
            *row.get_mut(label as usize)? = probability;
        }
        Some(row)
    }

    /// For every worker the probability that an answer is right, if labels are as frequent as `priors`.
    pub(super) fn skills(&self, priors: &[f64]) -> Vec<f64> {
        let prior = |label: usize| priors.get(label).copied().unwrap_or_default();
        let other = |label: usize| self.others.get(label).copied().unwrap_or_default();
        let by_others: f64 = (0..self.others.len())
            .map(|label| prior(label) * other(label))
            .sum();
        let workers = self
            .habit_or_knows
            .iter()
            .zip(&self.factor)
            .zip(&self.favourites);
        workers
            .map(|((&[habit, knows], factor), favourites)| {
                let by_favourites: f64 = favourites
                    .iter()
                    .map(|&(label, probability)| (label as usize, probability))
                    .map(|(label, probability)| {
                        prior(label) * (probability - other(label) * factor)
                    })
                    .sum();
                knows + habit * (by_others * factor + by_favourites)
            })
            .collect()
    }

    /// Labels × labels: the probability of each answer, for every true label.
    pub(crate) fn confusion(&self, worker: usize) -> Option<Vec<f64>> {
        let &[habit, knows] = self.habit_or_knows.get(worker)?;
        let mut row = self.of(worker)?;
        row.iter_mut().for_each(|probability| *probability *= habit);
        let mut matrix = row.repeat(row.len());
        for right in matrix.iter_mut().step_by(row.len() + 1) {
            *right += knows;
        }
        Some(matrix)
    }
}
