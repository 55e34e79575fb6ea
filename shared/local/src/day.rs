//! A working day in simulated time: ticks of the pipeline, and what simulated workers do between
//! them. Time jumps from one event to the next, so that hours pass in seconds; everything happens
//! one after the other, so that the same seed gives the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use quorate_core::event::Event;
use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ports::{Ledger, World};
use quorate_core::state::{Round, RoundState};
use quorate_crowd::Clock;
use quorate_crowd::simulate::{Simulation, Stats};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::runner;
use crate::stack::{Config, Stack};

/// When a simulated day begins: the same for every run, because times are in the results.
pub const DAWN: &str = "2026-01-05T09:00:00Z";
/// Platform time between two ticks.
const TICK: Duration = Duration::from_secs(60);
/// Platform time after which the crowd has given up on the work.
const PATIENCE: Duration = Duration::from_secs(14 * 86_400);

/// A stack on a clock that is moved by hand, with its simulated workers.
#[derive(Debug)]
pub struct Day {
    stack: Stack,
    bus: UnboundedReceiver<Event>,
    simulation: Simulation,
    clock: Clock,
}

impl Day {
    /// Opens the stack of `config`, whose clock is manual, and signs `workers` simulated workers
    /// in; `truth` is what they know of uploads, by key or file name.
    ///
    /// # Errors
    /// If the stack cannot be opened.
    pub async fn begin(
        config: Config,
        workers: usize,
        truth: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let (clock, seed) = (config.clock.clone(), config.seed);
        let (stack, bus) = Stack::open(config).await?;
        let mut simulation = stack.simulation(workers, seed, truth)?;
        simulation.start().await?;
        Ok(Self {
            stack,
            bus,
            simulation,
            clock,
        })
    }

    /// The stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What the workers did so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.simulation.stats()
    }

    /// Delivers uploads. The keys that have to come again.
    ///
    /// # Errors
    /// If an event cannot be built.
    pub async fn upload(&self, keys: &[String]) -> Result<Vec<String>> {
        let mut failed = Vec::new();
        for chunk in keys.chunks(runner::UPLOADS_AT_ONCE) {
            failed.extend(runner::deliver_uploads(&self.stack, chunk).await?);
        }
        Ok(failed)
    }

    /// Lets time pass until every round of the campaign that has images is aggregated; `watch` sees
    /// these rounds after every tick.
    ///
    /// # Errors
    /// If there is no round, or the crowd does not finish in two weeks.
    pub async fn work(
        &mut self,
        name: &CampaignName,
        mut watch: impl FnMut(&[Round], &Stats) + Send,
    ) -> Result<Vec<Round>> {
        let end = self.clock.now() + PATIENCE;
        while self.clock.now() < end {
            self.tick().await?;
            let mut rounds = self.rounds(name).await?;
            // What waits for the budget leaves an open round behind that nothing came into.
            rounds.retain(|round| round.counts.images > 0);
            watch(&rounds, self.simulation.stats());
            if rounds.is_empty() {
                bail!("no image of {name} could be taken in");
            }
            if rounds
                .iter()
                .all(|round| round.state == RoundState::Aggregated)
            {
                return Ok(rounds);
            }
            self.pass(TICK).await?;
        }
        bail!(
            "the crowd did not finish {name} in {} days; more workers may help",
            PATIENCE.as_secs() / 86_400
        )
    }

    /// One tick of the scheduler, and all that follows from it.
    ///
    /// # Errors
    /// If an event cannot be built.
    pub async fn tick(&mut self) -> Result<()> {
        runner::tick(&self.stack).await;
        runner::deliver_closed(&self.stack, &mut self.bus).await?;
        Ok(())
    }

    /// Lets the workers do what they do in the next `time`.
    ///
    /// # Errors
    /// If the platform fails.
    pub async fn pass(&mut self, time: Duration) -> Result<()> {
        let until: Timestamp = self.clock.now() + time;
        while let Some(next) = self.simulation.next_event().filter(|next| *next <= until) {
            self.clock.wait_until(next).await;
            self.simulation.step().await?;
        }
        self.clock.wait_until(until).await;
        self.stack.platform().tick()?;
        Ok(())
    }

    /// The campaign's rounds, in order.
    ///
    /// # Errors
    /// If the ledger fails.
    pub async fn rounds(&self, name: &CampaignName) -> Result<Vec<Round>> {
        let ledger = self.stack.ledger();
        let newest = ledger.campaign(name).await?.map_or(0, |item| item.round);
        let mut rounds = Vec::new();
        for number in 1..=newest {
            let id = RoundId {
                campaign: name.clone(),
                number,
            };
            rounds.extend(ledger.round(&id).await?);
        }
        Ok(rounds)
    }
}
