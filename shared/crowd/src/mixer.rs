//! Which tasks make a page ("smart mixing").
//!
//! A page has so many real, control (golden) and training tasks as the pool's mixer says. The
//! database offers the candidates of one worker; the decision is made here, without it.

use quorate_toloka::types::MixerConfig;
use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha256};

/// The most tasks of one kind on a page.
const MOST: u32 = 500;

/// How many tasks of one kind a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// So many when there are enough.
    pub(crate) full: usize,
    /// No page with fewer.
    pub(crate) least: usize,
}

impl Share {
    fn new(full: u32, least: Option<u32>) -> Self {
        let full = full.min(MOST) as usize;
        Self {
            full,
            // The least number is the full one unless the pool says less.
            least: least.map_or(full, |least| full.min(least as usize)),
        }
    }
}

/// How a pool's pages are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) real: Share,
    pub(crate) golden: Share,
    pub(crate) training: Share,
    /// Oldest tasks first, instead of those with the fewest answers.
    pub(crate) in_order: bool,
    /// Random order within the page, instead of upload order.
    pub(crate) shuffle: bool,
    /// Whether the last tasks of a worker make a page although they are too few.
    force_last: bool,
    /// … so long after the last upload.
    force_last_delay_millis: i64,
}

impl Recipe {
    pub(crate) fn of(mixer: &MixerConfig) -> Self {
        Self {
            real: Share::new(mixer.real_tasks_count, mixer.min_real_tasks_count),
            golden: Share::new(mixer.golden_tasks_count, mixer.min_golden_tasks_count),
            training: Share::new(mixer.training_tasks_count, mixer.min_training_tasks_count),
            in_order: mixer.mix_tasks_in_creation_order.unwrap_or(false),
            shuffle: mixer.shuffle_tasks_in_task_suite.unwrap_or(true),
            force_last: mixer.force_last_assignment.unwrap_or(true),
            force_last_delay_millis: 1000
                * i64::from(mixer.force_last_assignment_delay_seconds.unwrap_or(0)),
        }
    }

    /// Whether candidates of these numbers make a page. `idle_millis` is the time since the last
    /// upload to the pool.
    pub(crate) fn suffices(
        &self,
        real: usize,
        golden: usize,
        training: usize,
        idle_millis: i64,
    ) -> bool {
        let last = self.force_last && idle_millis >= self.force_last_delay_millis;
        golden >= self.golden.least
            && training >= self.training.least
            // A page that should have real tasks is never made of control tasks alone.
            && (self.real.full == 0 || (real > 0 && (real >= self.real.least || last)))
            && real + golden + training > 0
    }
}

/// Puts the tasks of a page in order: upload order, or random but the same for the same seed,
/// worker and number of the worker's page.
pub(crate) fn arrange(tasks: &mut [i64], shuffle: bool, seed: u64, worker: &str, taken: i64) {
    tasks.sort_unstable();
    if shuffle {
        let key = Sha256::digest(format!("{seed}:{worker}:{taken}").as_bytes());
        tasks.shuffle(&mut ChaCha8Rng::from_seed(key.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(mixer: MixerConfig) -> Recipe {
        Recipe::of(&mixer)
    }

    #[test]
    fn a_page_needs_its_full_count_of_control_tasks_unless_a_least_one_is_given() {
        let mut mixer = MixerConfig {
            real_tasks_count: 4,
            golden_tasks_count: 2,
            ..MixerConfig::default()
        };
        assert!(recipe(mixer.clone()).suffices(4, 2, 0, 0));
        assert!(!recipe(mixer.clone()).suffices(4, 1, 0, 0));
        mixer.min_golden_tasks_count = Some(1);
        assert!(recipe(mixer).suffices(4, 1, 0, 0));
    }

    #[test]
    fn the_last_tasks_make_a_short_page_only_when_forced_and_after_the_delay() {
        let mut mixer = MixerConfig {
            real_tasks_count: 4,
            min_real_tasks_count: Some(3),
            force_last_assignment_delay_seconds: Some(10),
            ..MixerConfig::default()
        };
        assert!(recipe(mixer.clone()).suffices(3, 0, 0, 0));
        assert!(!recipe(mixer.clone()).suffices(2, 0, 0, 9_999));
        assert!(recipe(mixer.clone()).suffices(2, 0, 0, 10_000));
        assert!(!recipe(mixer.clone()).suffices(0, 0, 0, 10_000));
        mixer.force_last_assignment = Some(false);
        assert!(!recipe(mixer).suffices(2, 0, 0, 10_000));
    }

    #[test]
    fn a_page_of_control_tasks_alone_is_an_exam_not_a_leftover() {
        let exam = MixerConfig {
            golden_tasks_count: 3,
            ..MixerConfig::default()
        };
        assert!(recipe(exam).suffices(0, 3, 0, 0));
        let main = MixerConfig {
            real_tasks_count: 1,
            golden_tasks_count: 3,
            min_real_tasks_count: Some(0),
            ..MixerConfig::default()
        };
        assert!(!recipe(main).suffices(0, 3, 0, 1_000_000));
    }

    #[test]
    fn the_same_seed_worker_and_page_give_the_same_order() {
        let arranged = |seed, worker, taken| {
            let mut tasks: Vec<i64> = (0..20).rev().collect();
            arrange(&mut tasks, true, seed, worker, taken);
            tasks
        };
        assert_eq!(arranged(1, "w", 0), arranged(1, "w", 0));
        assert_ne!(arranged(1, "w", 0), arranged(1, "w", 1));
        assert_ne!(arranged(1, "w", 0), arranged(2, "w", 0));
        let mut plain = vec![3, 1, 2];
        arrange(&mut plain, false, 1, "w", 0);
        assert_eq!(plain, [1, 2, 3]);
    }
}
