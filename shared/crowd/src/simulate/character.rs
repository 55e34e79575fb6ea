//! How a simulated worker behaves: its character, what it confuses, how fast it is, what it leaves undone.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::form::Choice;
use super::truth::digest;

/// What kind of worker somebody is. Ten workers in a row are four careful, three average, one of each other kind
/// (twenty: 8, 6, 2, 2, 2).
///
/// | character | right | seconds a task + a page | skips | lets expire | exits | stops |
/// |---|---|---|---|---|---|---|
/// | careful | 95 % | 9 + 6 | 1 % | 0.3 % | – | never |
/// | average | 80 % | 8 + 4 | 2 % | 1 % | 0.5 % | never |
/// | random spammer | any label | 1 + 1 | 1 % | 0.5 % | – | never |
/// | one-answer spammer | one label always | 0.6 + 1 | 1 % | 0.5 % | – | never |
/// | quitter | 93 % | 9 + 6 | 8 % | 25 % | 10 % | after 2 to 5 pages |
///
/// Accuracy varies a little from worker to worker and label to label; seconds are medians of a log-normal. Every other
/// spammer on average behaves like an average worker on its first 1 to 4 pages, because real ones want past the
/// training and the exam; the rest pass only by luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Character {
    /// Nearly always right.
    Careful,
    /// Wrong once in five.
    Average,
    /// Chooses any label, fast.
    RandomSpammer,
    /// Chooses the same label always, fast.
    OneAnswerSpammer,
    /// Careful, but leaves pages undone and is gone after a few.
    Quitter,
}

/// The characters of ten workers in a row, spread so that a smaller crowd is mixed too.
const MIX: [Character; 10] = [
    Character::Careful,
    Character::Average,
    Character::Careful,
    Character::Average,
    Character::RandomSpammer,
    Character::Careful,
    Character::Average,
    Character::OneAnswerSpammer,
    Character::Careful,
    Character::Quitter,
];

/// The row of the table above that belongs to a character.
struct Habits {
    /// Share of right answers, and how much it differs between workers.
    accuracy: (f64, f64),
    seconds_per_task: f64,
    seconds_per_page: f64,
    skips: f64,
    lets_expire: f64,
    exits: f64,
}

impl Character {
    /// The character of the worker with this number.
    #[must_use]
    pub fn of_worker(index: usize) -> Self {
        MIX.get(index % MIX.len()).copied().unwrap_or(Self::Average)
    }

    /// Whether it answers without looking.
    #[must_use]
    pub const fn is_spammer(self) -> bool {
        matches!(self, Self::RandomSpammer | Self::OneAnswerSpammer)
    }

    const fn habits(self) -> Habits {
        let (accuracy, seconds_per_task, seconds_per_page, skips, lets_expire, exits) = match self {
            Self::Careful => ((0.95, 0.015), 9.0, 6.0, 0.01, 0.003, 0.0),
            Self::Average => ((0.80, 0.03), 8.0, 4.0, 0.02, 0.01, 0.005),
            Self::RandomSpammer => ((0.0, 0.0), 1.0, 1.0, 0.01, 0.005, 0.0),
            Self::OneAnswerSpammer => ((0.0, 0.0), 0.6, 1.0, 0.01, 0.005, 0.0),
            Self::Quitter => ((0.93, 0.015), 9.0, 6.0, 0.08, 0.25, 0.10),
        };
        Habits {
            accuracy,
            seconds_per_task,
            seconds_per_page,
            skips,
            lets_expire,
            exits,
        }
    }
}

/// What a worker does with a page that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Submit,
    Skip,
    Exit,
    LetExpire,
}

/// One worker's head. Answers depend only on (seed, worker, page count for spammers, task), never on the order of
/// tasks, so that a crowd gives the same answers even where timing gives it other pages.
#[derive(Debug, Clone)]
pub(super) struct Mind {
    seed: u64,
    index: usize,
    pub(super) character: Character,
    /// Factor on all its times.
    pace: f64,
    accuracy_shift: f64,
    warm_up_pages: u32,
    stops_after: Option<u32>,
    pages: u32,
    /// For everything but answers: pauses, skips, which pool.
    rng: ChaCha8Rng,
}

impl Mind {
    pub(super) fn new(seed: u64, index: usize) -> Self {
        let character = Character::of_worker(index);
        let mut rng = generator(seed, index, &["life"]);
        let pace = (0.2 * normal(&mut rng)).exp();
        let accuracy_shift = normal(&mut rng);
        let warms_up = rng.random_bool(0.5);
        let first_pages = rng.random_range(1..=4);
        let last_page = rng.random_range(2..=5);
        Self {
            seed,
            index,
            character,
            pace,
            accuracy_shift,
            warm_up_pages: if character.is_spammer() && warms_up {
                first_pages
            } else {
                0
            },
            stops_after: (character == Character::Quitter).then_some(last_page),
            pages: 0,
            rng,
        }
    }

    /// The character it shows now: a spammer that wants in behaves at first.
    fn shown(&self) -> Character {
        if self.pages < self.warm_up_pages {
            Character::Average
        } else {
            self.character
        }
    }

    /// Counts a finished page.
    pub(super) fn finish_page(&mut self) {
        self.pages += 1;
    }

    /// Whether it has had enough.
    pub(super) fn stops(&self) -> bool {
        self.stops_after.is_some_and(|pages| self.pages >= pages)
    }

    /// How likely it chooses each of `labels` when `truth` is right: one row of its confusion matrix, which sums to 1.
    /// Errors fall mostly on the labels that stand next to the right one, more or less so for each worker.
    pub(super) fn confusion_row(&self, labels: &[&str], truth: usize) -> Vec<f64> {
        let count = labels.len();
        match self.shown() {
            _ if count < 2 => vec![1.0; count],
            Character::RandomSpammer => (0..count).map(|_| 1.0 / as_float(count)).collect(),
            Character::OneAnswerSpammer => {
                let favourite =
                    generator(self.seed, self.index, &["favourite"]).random_range(0..count);
                (0..count)
                    .map(|label| if label == favourite { 1.0 } else { 0.0 })
                    .collect()
            }
            honest => self.honest_row(honest.habits().accuracy, labels, truth),
        }
    }

    fn honest_row(&self, (mean, spread): (f64, f64), labels: &[&str], truth: usize) -> Vec<f64> {
        let count = labels.len();
        let name = labels.get(truth).copied().unwrap_or_default();
        let mut rng = generator(self.seed, self.index, &["confusion", name]);
        let accuracy = mean + spread * self.accuracy_shift + 0.01 * normal(&mut rng);
        let accuracy = accuracy.clamp(0.5, 0.999);
        let mut weigh = |label: usize| {
            let apart = label.abs_diff(truth);
            let nearness = -as_float(apart.min(count - apart));
            if label == truth {
                0.0
            } else {
                nearness.exp2() * (0.5 * normal(&mut rng)).exp()
            }
        };
        let weights: Vec<f64> = (0..count).map(&mut weigh).collect();
        let total: f64 = weights.iter().sum();
        let share = |(label, weight): (usize, &f64)| {
            if label == truth {
                accuracy
            } else {
                (1.0 - accuracy) * weight / total
            }
        };
        weights.iter().enumerate().map(share).collect()
    }

    /// The label it chooses for a task, given by what its input says. `ruled_out` are labels that it already knows to
    /// be wrong, from hints.
    pub(super) fn answer(
        &self,
        task: &str,
        labels: &[&str],
        truth: usize,
        ruled_out: &[usize],
    ) -> usize {
        let mut row = self.confusion_row(labels, truth);
        for wrong in ruled_out {
            if let Some(weight) = row.get_mut(*wrong) {
                *weight = 0.0;
            }
        }
        if row.iter().sum::<f64>() <= 0.0 {
            // A one-answer spammer that must correct itself: whatever is left.
            row = (0..labels.len())
                .map(|label| if ruled_out.contains(&label) { 0.0 } else { 1.0 })
                .collect();
        }
        let attempt = ruled_out.len().to_string();
        let mut draw =
            generator(self.seed, self.index, &["answer", task, &attempt]).random::<f64>();
        draw *= row.iter().sum::<f64>();
        let mut last = 0;
        for (label, weight) in row.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            last = label;
            draw -= weight;
            if draw < 0.0 {
                break;
            }
        }
        last
    }

    /// What it will do with the page it just took.
    pub(super) fn fate(&mut self) -> Fate {
        let habits = self.shown().habits();
        let draw = self.rng.random::<f64>();
        if draw < habits.skips {
            Fate::Skip
        } else if draw < habits.skips + habits.exits {
            Fate::Exit
        } else if draw < habits.skips + habits.exits + habits.lets_expire {
            Fate::LetExpire
        } else {
            Fate::Submit
        }
    }

    /// Seconds that it takes to answer `tasks` tasks on one page.
    pub(super) fn seconds_to_answer(&mut self, tasks: usize) -> f64 {
        let habits = self.shown().habits();
        let pages = habits.seconds_per_page * self.around_one();
        (0..tasks).fold(pages, |sum, _| {
            sum + habits.seconds_per_task * self.around_one()
        })
    }

    /// A log-normal factor with median near 1: this worker's pace, and the luck of the moment.
    fn around_one(&mut self) -> f64 {
        self.pace * (0.35 * normal(&mut self.rng)).exp()
    }

    /// Some seconds between two bounds.
    pub(super) fn seconds_between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.random::<f64>()
    }

    /// Any of `count` things; 0 if there are none.
    pub(super) fn any_of(&mut self, count: usize) -> usize {
        if count > 1 {
            self.rng.random_range(0..count)
        } else {
            0
        }
    }
}

/// Which label a hint names: the one whose title or name stands in it as a word; `None` if none or several do.
/// "Not clickbait" does not name "Clickbait" as well: of labels within each other, the longer one counts.
pub(super) fn named_in_hint(hint: &str, choices: &[Choice]) -> Option<usize> {
    let hint = words(hint);
    let longest = |choice: &Choice| {
        let wordings = [words(&choice.title), words(&choice.name)];
        wordings
            .into_iter()
            .filter(|text| text.len() > 2 && hint.contains(text.as_str()))
            .max_by_key(String::len)
    };
    let named: Vec<(usize, String)> = choices
        .iter()
        .enumerate()
        .filter_map(|(label, choice)| Some((label, longest(choice)?)))
        .collect();
    let within_another = |text: &String| {
        named
            .iter()
            .any(|(_, other)| other != text && other.contains(text.as_str()))
    };
    let mut left = named.iter().filter(|(_, text)| !within_another(text));
    match (left.next(), left.next()) {
        (Some((label, _)), None) => Some(*label),
        _ => None,
    }
}

/// The text in lower case with one space around every word, so that `contains` compares whole words.
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.fold(String::from(" "), |text, word| text + word + " ")
}

fn generator(seed: u64, index: usize, purpose: &[&str]) -> ChaCha8Rng {
    let (seed, index) = (seed.to_string(), index.to_string());
    let parts: Vec<&str> = [seed.as_str(), index.as_str()]
        .into_iter()
        .chain(purpose.iter().copied())
        .collect();
    ChaCha8Rng::from_seed(digest(&parts))
}

/// A draw from the standard normal distribution (Box-Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

fn as_float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const LABELS: [&str; 4] = ["EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"];

    /// Workers 0, 1, 4, 7, 9 are the first of each character.
    fn accuracy(index: usize) -> f64 {
        let draws = 20_000;
        let mind = Mind {
            warm_up_pages: 0,
            ..Mind::new(7, index)
        };
        let right = (0..draws)
            .filter(|n| mind.answer(&format!("task {n}"), &LABELS, n % 4, &[]) == n % 4)
            .count();
        as_float(right) / as_float(draws)
    }

    #[test]
    fn twenty_workers_are_mixed_as_documented() {
        let count = |character| {
            (0..20)
                .filter(|n| Character::of_worker(*n) == character)
                .count()
        };
        let all = [
            (Character::Careful, 8),
            (Character::Average, 6),
            (Character::RandomSpammer, 2),
            (Character::OneAnswerSpammer, 2),
            (Character::Quitter, 2),
        ];
        for (character, expected) in all {
            assert_eq!(count(character), expected, "{character:?}");
        }
    }

    #[test]
    fn workers_are_as_right_as_their_character() {
        for (index, expected, tolerance) in [
            (0, 0.95, 0.04),
            (1, 0.80, 0.08),
            (4, 0.25, 0.02),
            (7, 0.25, 0.01),
        ] {
            let found = accuracy(index);
            assert!(
                (found - expected).abs() < tolerance,
                "worker {index}: {found}"
            );
        }
    }

    #[test]
    fn a_careful_crowd_is_right_at_the_nominal_rate() {
        let careful: Vec<usize> = (0..400)
            .filter(|n| Character::of_worker(*n) == Character::Careful)
            .collect();
        let rate = |index: &usize| Mind::new(1, *index).confusion_row(&LABELS, 2)[2];
        let mean = careful.iter().map(rate).sum::<f64>() / as_float(careful.len());
        assert!((mean - 0.95).abs() < 0.005, "{mean}");
    }

    #[test]
    fn the_same_worker_answers_the_same_task_alike_in_any_order() {
        let mind = Mind::new(3, 1);
        let answers = |order: &mut dyn Iterator<Item = u32>| {
            let mut all: Vec<_> = order
                .map(|n| (n, mind.answer(&n.to_string(), &LABELS, 0, &[])))
                .collect();
            all.sort_unstable();
            all
        };
        assert_eq!(answers(&mut (0..50)), answers(&mut (0..50).rev()));
        let other = Mind::new(4, 1);
        assert!(
            (0..200).any(|n: u32| other.answer(&n.to_string(), &LABELS, 0, &[])
                != mind.answer(&n.to_string(), &LABELS, 0, &[]))
        );
    }

    #[test]
    fn errors_fall_mostly_on_neighbours() {
        let labels: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let near: f64 = (0..50)
            .map(|worker| Mind::new(worker, 1).confusion_row(&labels, 5))
            .map(|row| row[4] + row[6])
            .sum();
        let far: f64 = (0..50)
            .map(|worker| Mind::new(worker, 1).confusion_row(&labels, 5))
            .map(|row| row[0] + row[1])
            .sum();
        assert!(near > 4.0 * far, "{near} {far}");
    }

    #[test]
    fn spammers_that_warm_up_work_well_and_then_stop_it() {
        let mut mind = Mind {
            warm_up_pages: 1,
            ..Mind::new(1, 7)
        };
        assert!(mind.confusion_row(&LABELS, 0)[0] > 0.6);
        mind.finish_page();
        assert!((0..4).all(|truth| mind.confusion_row(&LABELS, truth).contains(&1.0)));
        let warm = (0..1000)
            .filter(|seed| Mind::new(*seed, 7).warm_up_pages > 0)
            .count();
        assert!(
            (430..570).contains(&warm),
            "about every other spammer: {warm}"
        );
    }

    #[test]
    fn quitters_stop_and_others_do_not() {
        let mut quitter = Mind::new(1, 9);
        (0..5).for_each(|_| quitter.finish_page());
        assert!(quitter.stops());
        let mut careful = Mind::new(1, 0);
        (0..500).for_each(|_| careful.finish_page());
        assert!(!careful.stops());
    }

    #[test]
    fn honest_workers_need_seconds_and_spammers_do_not() {
        let pages = |index: usize| {
            let mut mind = Mind {
                warm_up_pages: 0,
                ..Mind::new(11, index)
            };
            let mut seconds: Vec<f64> = (0..500).map(|_| mind.seconds_to_answer(10)).collect();
            seconds.sort_by(f64::total_cmp);
            (seconds[5], seconds[250], seconds[495])
        };
        let (fastest, median, slowest) = pages(0);
        assert!(
            fastest > 30.0 && (50.0..180.0).contains(&median) && slowest < 400.0,
            "{:?}",
            pages(0)
        );
        assert!(pages(7).1 < 15.0, "{:?}", pages(7));
    }

    #[test]
    fn hints_name_the_right_label_in_words() {
        let choices = |pairs: &[(&str, &str)]| -> Vec<Choice> {
            let options = pairs
                .iter()
                .map(|(value, label)| json!({"value": value, "label": label}))
                .collect::<Vec<_>>();
            let view = json!({"view": {"type": "field.radio-group", "data": {"type": "data.output", "path": "r"}, "options": options}});
            let spec = json!({"view_spec": {"config": view.to_string()}});
            super::super::form::Form::of_task_spec(&spec, &super::super::truth::Truth::new())
                .choices
        };
        let clickbait = choices(&[
            ("clickbait", "Clickbait"),
            ("notclickbait", "Not clickbait"),
        ]);
        assert_eq!(
            named_in_hint("The right answer is \"Not clickbait\".", &clickbait),
            Some(1)
        );
        assert_eq!(named_in_hint("it's CLICKBAIT!", &clickbait), Some(0));
        assert_eq!(named_in_hint("look again", &clickbait), None);
        let animals = choices(&[("cat", "Cat"), ("dog", "Dog")]);
        assert_eq!(
            named_in_hint("a cat, not a dog", &animals),
            None,
            "two labels: no telling"
        );
        assert_eq!(
            named_in_hint("concatenate", &animals),
            None,
            "whole words only"
        );
    }

    proptest! {
        #[test]
        fn confusion_rows_sum_to_one(seed: u64, index in 0_usize..40, count in 1_usize..30, truth in 0_usize..30) {
            let names: Vec<String> = (0..count).map(|n| format!("label {n}")).collect();
            let labels: Vec<&str> = names.iter().map(String::as_str).collect();
            let row = Mind::new(seed, index).confusion_row(&labels, truth % count);
            prop_assert_eq!(row.len(), count);
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(row.iter().all(|share| (0.0..=1.0).contains(share)));
        }

        #[test]
        fn a_ruled_out_label_is_never_chosen_again(seed: u64, index in 0_usize..10, wrong in 0_usize..4, task: String) {
            let mind = Mind::new(seed, index);
            let answer = mind.answer(&task, &LABELS, 0, &[wrong]);
            prop_assert!(answer < 4 && answer != wrong);
        }
    }
}
