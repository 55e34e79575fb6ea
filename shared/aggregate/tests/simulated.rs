//! What the default mode is worth on simulated small crowds, against the majority vote, over 200 seeds each. The
//! table in [`DawidSkene`]'s documentation is what this prints with `--nocapture`.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure and a table is printed"
)]

use quorate_aggregate::{Answers, AnswersBuilder, DawidSkene, Gold, dawid_skene, majority_vote};

const SEEDS: u32 = 200;

/// The `SplitMix64` generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 2_f64.powi(32)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

#[derive(Clone, Copy)]
struct Crowd {
    name: &'static str,
    images: usize,
    golden: usize,
    workers: usize,
    classes: usize,
    overlap: usize,
    /// The share of workers who answer at random or, as many, always the same.
    spammers: f64,
    /// The others' accuracy is even between these.
    accuracy: (f64, f64),
    /// The share of images that are of the first class.
    first_class: f64,
}

#[derive(Clone, Copy)]
enum Worker {
    Careful(f64),
    Random,
    OneAnswer(usize),
}

impl Crowd {
    fn worker(&self, random: &mut Random) -> Worker {
        let (character, favourite, (low, high)) =
            (random.unit(), random.below(self.classes), self.accuracy);
        let careful = Worker::Careful(low + (high - low) * random.unit());
        match character / self.spammers {
            share if share < 0.5 => Worker::Random,
            share if share < 1.0 => Worker::OneAnswer(favourite),
            _ => careful,
        }
    }

    fn answer(&self, worker: Worker, truth: usize, random: &mut Random) -> usize {
        let other = random.below(self.classes - 1);
        match worker {
            Worker::Random => random.below(self.classes),
            Worker::OneAnswer(favourite) => favourite,
            Worker::Careful(accuracy) if random.unit() < accuracy => truth,
            Worker::Careful(_) => (truth + 1 + other) % self.classes,
        }
    }

    /// The answers, the golden tasks' labels, and the images' true labels.
    fn simulate(&self, seed: u32) -> (Answers, Gold, Gold) {
        let mut random = Random(u64::from(seed));
        let workers: Vec<Worker> = (0..self.workers)
            .map(|_| self.worker(&mut random))
            .collect();
        let labels: Vec<String> = (0..self.classes)
            .map(|class| format!("class {class}"))
            .collect();
        let mut builder = AnswersBuilder::with_labels(&labels).unwrap();
        let (mut gold, mut truths) = (Gold::new(), Gold::new());
        for task in 0..self.images + self.golden {
            let first = random.unit() < self.first_class;
            let truth = if first {
                0
            } else {
                1 + random.below(self.classes - 1)
            };
            let known = if task < self.golden {
                &mut gold
            } else {
                &mut truths
            };
            known.insert(task.to_string(), labels[truth].clone());
            let mut free: Vec<usize> = (0..self.workers).collect();
            for _ in 0..self.overlap {
                let worker = free.swap_remove(random.below(free.len()));
                let answer = self.answer(workers[worker], truth, &mut random);
                builder
                    .push(&task.to_string(), &worker.to_string(), &labels[answer])
                    .unwrap();
            }
        }
        (builder.finish().unwrap(), gold, truths)
    }

    /// Mean accuracy of majority vote and of the default mode, and in how many seeds the latter is lower.
    fn measure(&self) -> (f64, f64, u32) {
        let (mut majority_sum, mut found_sum, mut lower) = (0.0, 0.0, 0);
        for seed in 0..SEEDS {
            let (answers, gold, truth) = self.simulate(seed);
            let majority = majority_vote(&answers).accuracy(&truth).unwrap();
            let settings = DawidSkene {
                gold,
                ..DawidSkene::default()
            };
            let found = dawid_skene(&answers, &settings)
                .unwrap()
                .accuracy(&truth)
                .unwrap();
            majority_sum += majority;
            found_sum += found;
            lower += u32::from(found < majority);
        }
        let mean = |sum: f64| sum / f64::from(SEEDS);
        println!(
            "{:42} {:.4} {:.4} {lower}",
            self.name,
            mean(majority_sum),
            mean(found_sum)
        );
        (mean(majority_sum), mean(found_sum), lower)
    }
}

/// The crowd of a first campaign: 60 images, 10 golden ones, 5 answers each of 20 workers, a quarter spammers.
const SMALL: Crowd = Crowd {
    name: "5 answers, 25 % spammers, 10 golden",
    images: 60,
    golden: 10,
    workers: 20,
    classes: 4,
    overlap: 5,
    spammers: 0.25,
    accuracy: (0.7, 0.95),
    first_class: 0.25,
};

#[test]
fn better_than_the_majority_on_small_crowds_with_spammers() {
    let crowds = [
        (SMALL, 0.03),
        (
            Crowd {
                name: "5 answers, 25 % spammers",
                golden: 0,
                ..SMALL
            },
            0.03,
        ),
        (
            Crowd {
                name: "5 answers, 40 % spammers, 10 golden",
                spammers: 0.4,
                ..SMALL
            },
            0.05,
        ),
        (
            Crowd {
                name: "3 answers, 25 % spammers, 10 golden",
                overlap: 3,
                ..SMALL
            },
            0.03,
        ),
        (
            Crowd {
                name: "5 answers, 25 % spammers, 60 % one class",
                golden: 0,
                first_class: 0.6,
                ..SMALL
            },
            0.0,
        ),
    ];
    for (crowd, gain) in crowds {
        let (majority, found, lower) = crowd.measure();
        assert!(
            found >= majority + gain,
            "{}: {found}, majority {majority}",
            crowd.name
        );
        assert!(lower <= SEEDS / 4, "{}: lower in {lower} seeds", crowd.name);
    }
}

#[test]
fn as_good_as_the_majority_where_there_is_nothing_to_gain() {
    let careful = Crowd {
        golden: 0,
        spammers: 0.0,
        ..SMALL
    };
    let ten = Crowd {
        images: 500,
        workers: 50,
        classes: 10,
        accuracy: (0.9, 0.99),
        first_class: 0.1,
        ..careful
    };
    let crowds = [
        Crowd {
            name: "5 answers, no spammers",
            ..careful
        },
        Crowd {
            name: "3 answers, no spammers, 60 % one class",
            overlap: 3,
            first_class: 0.6,
            ..careful
        },
        Crowd {
            name: "500 images, 10 labels, 2 answers",
            overlap: 2,
            ..ten
        },
        Crowd {
            name: "500 images, 10 labels, 1 answer",
            overlap: 1,
            ..ten
        },
    ];
    for crowd in crowds {
        let (majority, found, lower) = crowd.measure();
        assert!(
            found >= majority - 0.012,
            "{}: {found}, majority {majority}",
            crowd.name
        );
        assert!(
            crowd.overlap > 1 || lower == 0,
            "{}: lower in {lower} seeds",
            crowd.name
        );
    }
}
