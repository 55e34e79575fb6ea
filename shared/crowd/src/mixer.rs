//! Which tasks make a page ("smart mixing").
//!
//! A page has so many real, control (golden) and training tasks as the pool's mixer says. The
//! database offers the candidates of one worker; the decision is made here, without it.

use quorate_toloka::types::{Distribution, MixerConfig};
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
    /// The recipe of one worker's next page. `golden_done` and `training_done` are the tasks that
    /// the worker has done, as the mixer's distribution functions count them.
    pub(crate) fn of(mixer: &MixerConfig, golden_done: u64, training_done: u64) -> Self {
        // With a distribution function the count of real tasks is the size of the page, and the
        // picked ones of these are of the other kind.
        let size = mixer.real_tasks_count.min(MOST);
        let picked = |function: &Option<Distribution>, done: u64| {
            let function = function.as_ref()?;
            let nth = |slot: &u32| done + u64::from(*slot);
            let count = (1..=size).filter(|slot| picks(function, nth(slot))).count();
            Some(u32::try_from(count).unwrap_or(size))
        };
        let golden = picked(&mixer.golden_task_distribution_function, golden_done);
        let training = picked(&mixer.training_task_distribution_function, training_done)
            .map(|count| count.min(size - golden.unwrap_or(0)));
        let real = size - golden.unwrap_or(0) - training.unwrap_or(0);
        Self {
            real: Share::new(real, mixer.min_real_tasks_count),
            golden: Share::new(
                golden.unwrap_or(mixer.golden_tasks_count),
                mixer.min_golden_tasks_count,
            ),
            training: Share::new(
                training.unwrap_or(mixer.training_tasks_count),
                mixer.min_training_tasks_count,
            ),
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

/// Whether a distribution function picks the `nth` task (from 1) of a worker: the first of an
/// interval, and every `frequency`-th after it.
pub(crate) fn picks(function: &Distribution, nth: u64) -> bool {
    function.intervals.iter().any(|interval| {
        let from = u64::try_from(interval.from.unwrap_or(1)).map_or(1, |from| from.max(1));
        let to = interval
            .to
            .map_or(u64::MAX, |to| u64::try_from(to).unwrap_or(0));
        let frequency = u64::from(interval.frequency.unwrap_or(1).max(1));
        (from..=to).contains(&nth) && (nth - from).is_multiple_of(frequency)
    })
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
        Recipe::of(&mixer, 0, 0)
    }

    #[test]
    fn a_distribution_function_picks_the_first_of_an_interval_and_every_so_manieth_after_it() {
        let function: Distribution = serde_json::from_value(serde_json::json!({
            "scope": "POOL", "distribution": "UNIFORM", "window_days": 3,
            "intervals": [{"from": 1, "to": 9, "frequency": 3}, {"from": 20, "to": 30, "frequency": 10}]}))
        .unwrap();
        let picked: Vec<u64> = (0..50).filter(|nth| picks(&function, *nth)).collect();
        assert_eq!(picked, [1, 4, 7, 20, 30]);
    }

    #[test]
    fn picked_tasks_take_the_place_of_real_ones() {
        let mixer: MixerConfig = serde_json::from_value(serde_json::json!({
            "real_tasks_count": 5, "golden_tasks_count": 2, "training_tasks_count": 0,
            "golden_task_distribution_function": {
                "scope": "POOL", "distribution": "UNIFORM", "window_days": 3,
                "intervals": [{"from": 1, "to": 100, "frequency": 4}]}}))
        .unwrap();
        let counts = |done| {
            let recipe = Recipe::of(&mixer, done, 0);
            (recipe.real.full, recipe.golden.full)
        };
        // Tasks 1 and 5; then 9 alone, in place of the fixed count.
        assert_eq!((counts(0), counts(5)), ((3, 2), (4, 1)));
        assert_eq!(counts(100), (5, 0), "outside the interval there are none");
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
