//! A simulated crowd that works any client's project through the worker API, over real HTTP.
//!
//! It is a discrete-event simulation: every worker has one next event (sign of life, submit, skip, …) in a queue keyed
//! (time, worker), [`Simulation::step`] performs the earliest. Durations come from each worker's [`Character`], so
//! rules such as "faster than 7 s" see plausible times on the platform's clock. Everything is drawn from one seed:
//! with the same seed and a platform that behaves the same, the same requests go out in the same order. An answer
//! depends only on the seed, the worker and the task, so even a run with other timing gets the same answers for the
//! same pages.
//!
//! Workers see what people see: the pools that the platform offers, the task's inputs, the labels of the project's
//! page and, in trainings, the hints. What is right comes from [`Truth`], which the platform never sees.
//!
//! After a restart of the simulation its workers sign in again and finish the pages that they had taken; how many
//! pages they had done (for quitters, and spammers that behave at first) starts anew.

mod api;
mod character;
mod floor;
mod form;
mod images;
mod truth;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::future::Future;
use std::pin::pin;

use jiff::{SignedDuration, Timestamp};

use self::api::Api;
use self::floor::{Floor, Worker};
use self::images::Images;
pub(crate) use self::images::is_loopback;
use crate::clock::Clock;

pub use self::api::Error as RequestError;
pub use self::character::Character;
pub(crate) use self::form::number_of_choices;
pub use self::truth::{Lookup, Truth, TruthError};

/// Workers arrive within this many seconds after the start.
const ARRIVAL_SECONDS: f64 = 120.0;
/// Pause after a request that failed.
const RETRY_SECONDS: f64 = 30.0;

/// What to simulate.
#[derive(Clone)]
pub struct Config {
    /// Address of the crowd platform, such as `http://127.0.0.1:8080`.
    pub base_url: String,
    /// The invitation code that new workers must show.
    pub invite: String,
    /// The same seed makes the same crowd. It is part of the workers' logins: another seed is another crowd.
    pub seed: u64,
    /// How many workers; see [`Character`] for the mix.
    pub workers: usize,
    /// What the right answers are.
    pub truth: Truth,
    /// The platform's clock.
    pub clock: Clock,
}

impl fmt::Debug for Config {
    /// Without the invitation, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base_url", &self.base_url)
            .field("seed", &self.seed)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// Why the simulation cannot go on, or one worker's action failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be set up.
    #[error("the HTTP client of the simulated workers cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A worker's request failed.
    #[error("simulated worker {login}")]
    Request {
        /// The worker's login.
        login: String,
        /// What failed.
        source: RequestError,
    },
}

/// What the crowd has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pages (assignments) submitted and taken by the platform.
    pub pages: u64,
    /// Answers on those pages.
    pub answers: u64,
    /// Hints received in trainings.
    pub hints: u64,
    /// Pages skipped, those with an image that did not open included.
    pub skips: u64,
    /// Pages left with "exit".
    pub exits: u64,
    /// Pages left to expire on purpose.
    pub left_to_expire: u64,
    /// Pages that the platform no longer took when they were submitted: expired, or closed by the requester.
    pub too_late: u64,
    /// Pages whose answers the platform refused as invalid.
    pub refused: u64,
    /// Images that did not open, by HTTP status; 0 means that no answer came.
    pub image_failures: BTreeMap<u16, u64>,
    /// The same by character.
    pub characters: BTreeMap<Character, CharacterStats>,
}

/// What the workers of one character have done; trainings are not counted, as hints correct them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CharacterStats {
    /// Workers of this character.
    pub workers: u64,
    /// Answers submitted.
    pub answers: u64,
    /// Answers that agree with the truth.
    pub correct: u64,
}

/// A crowd at work.
pub struct Simulation {
    floor: Floor,
    workers: Vec<Worker>,
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

impl fmt::Debug for Simulation {
    /// Without the workers' passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("workers", &self.workers.len())
            .field("next_event", &self.next_event())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Makes the crowd; nothing is sent before [`Simulation::start`].
    ///
    /// # Errors
    ///
    /// [`Error::Client`] if the HTTP client cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        let http = images::client().map_err(Error::Client)?;
        let workers: Vec<Worker> = (0..config.workers)
            .map(|index| Worker::new(&config, index))
            .collect();
        let mut stats = Stats::default();
        for worker in &workers {
            stats
                .characters
                .entry(worker.mind.character)
                .or_default()
                .workers += 1;
        }
        let api = Api::new(http.clone(), &config.base_url);
        let floor = Floor {
            api,
            images: Images::new(http),
            truth: config.truth,
            clock: config.clock,
            stats,
        };
        Ok(Self {
            floor,
            workers,
            queue: BinaryHeap::new(),
        })
    }

    /// Signs every worker in, finds the pages that they still have in work, and sets their arrival times. A worker for
    /// whom the platform fails comes later.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for the first worker that the platform does not let in.
    pub async fn start(&mut self) -> Result<(), Error> {
        self.queue.clear();
        let now = self.floor.clock.now();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            worker.forget();
            let wait = match self.floor.report_in(worker).await {
                Ok(()) => worker.mind.seconds_between(0.0, ARRIVAL_SECONDS),
                Err(source) if source.is_failure() => RETRY_SECONDS,
                Err(source) => return Err(worker.error(source)),
            };
            self.queue.push(Reverse((later(now, wait), index)));
        }
        Ok(())
    }

    /// When the next worker does something; `None` before the start, or when every worker has gone for good.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Performs the earliest event: one action of one worker. It does not wait for the event's time: see
    /// [`Simulation::run`]. Does nothing if there is no event.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the platform could not be reached or failed. The worker tries again later, so the caller
    /// may go on.
    pub async fn step(&mut self) -> Result<(), Error> {
        let Some(Reverse((at, index))) = self.queue.pop() else {
            return Ok(());
        };
        let Some(worker) = self.workers.get_mut(index) else {
            return Ok(());
        };
        let outcome = self.floor.act(worker).await;
        // A clock that runs fast may be ahead of the event; durations count from what the platform has seen.
        let now = self.floor.clock.now().max(at);
        let (wait, result) = match outcome {
            Ok(wait) => (wait, Ok(())),
            Err(source) => {
                worker.note_failure(&source);
                (Some(RETRY_SECONDS), Err(worker.error(source)))
            }
        };
        if let Some(seconds) = wait {
            self.queue.push(Reverse((later(now, seconds), index)));
        }
        result
    }

    /// Works until `shutdown` is ready: waits on the clock for each event and performs it. With a clock that jumps
    /// this runs as fast as the platform answers and never idles; step by hand to stop at a goal. Failed requests are
    /// logged and tried again.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        while let Some(next) = self.next_event() {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.floor.clock.wait_until(next) => {}
            }
            if let Err(error) = self.step().await {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::warn!(%error, %cause, "a simulated worker tries again later");
            }
        }
        shutdown.await;
    }

    /// The platform's id of every worker and what kind of worker it is; ids are empty before the start.
    pub fn workers(&self) -> impl Iterator<Item = (&str, Character)> {
        self.workers
            .iter()
            .map(|worker| (worker.id.as_str(), worker.mind.character))
    }

    /// What the crowd has done so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.floor.stats
    }
}

/// Some seconds after `time`, in whole milliseconds as the API writes them.
fn later(time: Timestamp, seconds: f64) -> Timestamp {
    let seconds = (seconds * 1000.0).round() / 1000.0;
    let wait = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
