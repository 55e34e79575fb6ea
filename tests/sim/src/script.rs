//! What people do in a schedule: the campaign that they define, what they upload and when, and what
//! they do to it afterwards.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_testkit::png;
use rust_decimal::Decimal;

use crate::choices::Choices;

/// The campaign's name.
pub const CAMPAIGN: &str = "cats";

/// Seconds after which a message was worked off that was lost once.
const LATER: u32 = 200;

/// One thing that somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Uploads a campaign's definition.
    Define(Shape),
    /// Uploads a file.
    Upload {
        /// Its key.
        key: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Deletes a file.
    Delete(String),
    /// Ends the intake of the newest round.
    Seal,
    /// Closes the newest pool by hand.
    ClosePool,
}

/// What a campaign is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What workers are asked; another question is another project.
    pub question: &'static str,
    /// Answers wanted for each image.
    pub overlap: u32,
    /// Images on a page.
    pub per_page: u32,
    /// The most that may be spent, in cents.
    pub budget: u32,
    /// Images that a round takes.
    pub round: u32,
    /// Whether the same bytes are labelled once.
    pub by_content: bool,
    /// How long no upload may come before a round is over.
    pub idle_minutes: u32,
}

impl Shape {
    /// One round, and money enough.
    fn plain(overlap: u32, per_page: u32, idle_minutes: u32) -> Self {
        Self {
            question: "Cat or dog?",
            overlap,
            per_page,
            budget: 500,
            round: 100,
            by_content: true,
            idle_minutes,
        }
    }

    /// The campaign's file.
    #[must_use]
    pub fn file(&self) -> String {
        let Self {
            question,
            overlap,
            per_page,
            round,
            idle_minutes,
            ..
        } = self;
        let budget = Decimal::new(i64::from(self.budget), 2);
        let dedupe = if self.by_content { "content" } else { "none" };
        format!(
            "question = {question:?}\nlabels = [\"CAT\", \"DOG\"]\noverlap = {overlap}\n\
             images_per_page = {per_page}\nreward_per_page = 0.05\nminutes_per_page = 10\n\
             dedupe = \"{dedupe}\"\nbudget = {budget}\n[golden]\nper_page = 1\n[quality]\n\
             min_seconds_per_page = 0\nmax_skips_in_row = 0\n[round]\nmax_images = {round}\n\
             idle_minutes = {idle_minutes}\n"
        )
    }
}

/// What is done, and how long after the step before.
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: VecDeque<(Duration, Step)>,
}

impl Script {
    /// A campaign with everything in it: control images, an exam, a training, two images with the
    /// same bytes, and one that is no image; so many images on a page. What must be there before
    /// something else comes so much earlier that one lost message changes nothing.
    #[must_use]
    pub fn full(per_page: u32) -> Self {
        let mut script = Self::default();
        script.then(0, Step::Define(Shape::plain(2, per_page, 8)));
        script.upload("training/CAT/1.png", png(101));
        script.upload("exam/DOG/1.png", png(102));
        script.upload("golden/CAT/1.png", png(103));
        script.upload("golden/DOG/2.png", png(104));
        script.then(LATER, upload("images/1.png", png(1)));
        for number in 2..=4 {
            script.upload(&format!("images/{number}.png"), png(number));
        }
        script.upload("images/broken.png", b"this is no picture".to_vec());
        script.then(LATER, upload("images/again.png", png(2)));
        script
    }

    /// The smallest campaign that goes through every state: one image, which fills no page.
    #[must_use]
    pub fn small() -> Self {
        let mut script = Self::default();
        script.then(0, Step::Define(Shape::plain(1, 2, 2)));
        script.upload("images/1.png", png(1));
        script
    }

    /// Any campaign.
    #[must_use]
    pub fn any(choices: &mut Choices) -> Self {
        let shape = Shape {
            question: "Cat or dog?",
            overlap: 1 + choices.below(3),
            per_page: 1 + choices.below(4),
            budget: choices.one_of(&[500, 100, 60, 20]),
            round: choices.one_of(&[100, 4, 2]),
            by_content: choices.below(4) != 3,
            idle_minutes: 5,
        };
        let mut script = Self::default();
        script.then(0, Step::Define(shape.clone()));
        for (kind, first) in [("golden", 1000), ("exam", 1010), ("training", 1020)] {
            for number in 0..choices.rarely(2, 3) {
                let key = format!("{kind}/CAT/{number}.png");
                script.then(choices.rarely(4, 30), upload(&key, png(first + number)));
            }
        }
        let images = 1 + choices.below(9);
        for number in 1..=images {
            let bytes = match choices.rarely(5, 3) {
                1 => png(choices.below(images)),
                2 => b"this is no picture".to_vec(),
                _ => png(number),
            };
            let key = format!("images/{number}.png");
            script.then(choices.rarely(3, 200), upload(&key, bytes));
        }
        for _ in 0..choices.rarely(2, 4) {
            let number = 1 + choices.below(images);
            let key = format!("images/{number}.png");
            let step = match choices.below(6) {
                0 => upload(&key, png(500 + number)),
                1 => Step::Delete(format!("{CAMPAIGN}/{key}")),
                2 => Step::Seal,
                3 => Step::ClosePool,
                4 => Step::Define(Shape {
                    question: "Dog or cat?",
                    ..shape.clone()
                }),
                _ => upload(&format!("images/late{number}.png"), png(600 + number)),
            };
            script.then(choices.below(600), step);
        }
        // Whoever has no money left gets some in the end.
        script.then(
            600,
            Step::Define(Shape {
                budget: 5000,
                ..shape
            }),
        );
        script
    }

    fn then(&mut self, seconds: u32, step: Step) {
        let wait = Duration::from_secs(u64::from(seconds));
        self.steps.push_back((wait, step));
    }

    fn upload(&mut self, path: &str, bytes: Vec<u8>) {
        self.then(0, upload(path, bytes));
    }

    /// Answers wanted for each image, as the campaign says that is defined next.
    #[must_use]
    pub fn overlap(&self) -> Option<u32> {
        self.steps.iter().find_map(|(_, step)| match step {
            Step::Define(shape) => Some(shape.overlap),
            _ => None,
        })
    }

    /// How long after the step before the next one is.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.steps.front().map(|(wait, _)| *wait)
    }

    /// Takes the next step off.
    pub fn take(&mut self) -> Option<Step> {
        self.steps.pop_front().map(|(_, step)| step)
    }
}

fn upload(path: &str, bytes: Vec<u8>) -> Step {
    let key = format!("{CAMPAIGN}/{path}");
    Step::Upload { key, bytes }
}
