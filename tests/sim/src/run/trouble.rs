//! What goes wrong in a schedule, or comes in another order than by itself.

use std::time::Duration;

use quorate_testkit::sim::crowd::Request;
use rust_decimal::Decimal;

use super::{Function, MORE_WORKERS, Schedule};

impl Schedule<'_> {
    /// Does one thing out of order, if the schedule wants to. Whether it did.
    pub(super) fn out_of_order(&mut self) -> bool {
        if self.calm || self.habits.disorder == 0 {
            return false;
        }
        match self.choices.rarely(self.habits.disorder, 10) {
            0 => return false,
            1 => self.start_another(),
            2 => self.decide_any(),
            3 => self.act(),
            4 => self.work_anyhow(),
            5 => self.finish_any_operation(),
            6 => self.trouble_index(),
            7 => self.trouble_queues(),
            8 => self.jump(),
            _ => self.trouble_crowd(),
        }
        true
    }

    /// Some worker does something.
    fn work_anyhow(&mut self) {
        let active = self.site.crowd.active();
        let what = self.choices.below(5);
        if what > 1 && !active.is_empty() {
            let pages: Vec<&String> = active.iter().collect();
            let page = self.choices.one_of(&pages);
            match what {
                2 => self.site.crowd.submit_page(page),
                3 => self.site.crowd.skip_page(page),
                _ => self.site.crowd.expire_page(page),
            };
            self.note(&format!("a page is done with ({what})"), page);
            return;
        }
        let pools = self.site.crowd.open_pools();
        if pools.is_empty() {
            return;
        }
        let pool =
            pools[self.choices.below(u32::try_from(pools.len()).unwrap_or(1)) as usize].as_str();
        let worker = self.choices.below(u32::try_from(self.workers).unwrap_or(1)) as usize;
        if let Some(page) = self.site.crowd.take(pool, worker) {
            self.note("a page is taken", &page);
        }
    }

    fn finish_any_operation(&mut self) {
        let running = self.site.crowd.running();
        let Ok(some) = u32::try_from(running.len()) else {
            return;
        };
        if let Some(operation) = running.get(self.choices.below(some) as usize) {
            self.site.crowd.finish_operation(*operation);
            self.note("an operation is finished", "");
        }
    }

    /// Starts something although something else runs.
    fn start_another(&mut self) {
        let function = self.choices.one_of(&Function::ALL);
        self.start(function);
    }

    /// Any request goes on, not the oldest.
    fn decide_any(&mut self) {
        let waiting = self.awake();
        let Ok(some) = u32::try_from(waiting.len()) else {
            return;
        };
        if let Some(request) = waiting.get(self.choices.below(some) as usize) {
            self.decide(*request);
        }
    }

    fn trouble_index(&mut self) {
        if self.choices.below(2) == 0 {
            self.site.ledger.freeze_index();
            self.note("the index lags", "");
        } else {
            self.site.ledger.catch_up();
            self.note("the index catches up", "");
        }
    }

    fn trouble_queues(&mut self) {
        let later = self
            .now()
            .plus(Duration::from_secs(self.choices.one_of(&[0, 60, 7200])));
        let mut queues = self.site.queues();
        let which = self.choices.below(2);
        let queue = if which == 0 {
            &mut queues.uploads
        } else {
            &mut queues.closed
        };
        let at = self.choices.below(u32::try_from(queue.len()).unwrap_or(0)) as usize;
        let what = self.choices.below(4);
        match what {
            0 => queue.duplicate(at, later),
            1 => queue.hurry(at),
            2 => queue.lose(at),
            _ => queue.redrive(later),
        }
        drop(queues);
        self.note(&format!("queue {which}: message {at}: {what}"), "");
    }

    fn jump(&mut self) {
        let mut seconds = self
            .choices
            .one_of(&[1, 15, 70, 1000, 8000, 400_000, 3_000_000]);
        // The last is longer than the crowd remembers operations. No function lives for days.
        if !self.running.is_empty() {
            seconds = seconds.min(8000);
        }
        self.site.clock.advance(Duration::from_secs(seconds));
        self.note("time jumps", "");
    }

    fn trouble_crowd(&mut self) {
        let what = self.choices.below(8);
        let later = self.now().plus(Duration::from_secs(3600));
        let crowd = &self.site.crowd;
        match what {
            0 => crowd.block(Request::Submit, later),
            1 => crowd.block(Request::CreatePool, later),
            2 => crowd.revoke(),
            3 => crowd.restore(),
            4 => crowd.deposit(Decimal::from(-1_000_000)),
            5 => crowd.change(|crowd| crowd.lag = Duration::from_secs(90)),
            6 => {
                if let Some(pool) = crowd.open_pools().first() {
                    crowd.close(pool, "NOT_ENOUGH_BALANCE");
                }
            }
            _ => crowd.deposit(Decimal::from(1_000_000)),
        }
        self.note(&format!("trouble at the crowd: {what}"), "");
    }

    /// All trouble ends.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.hanging.clear();
        self.site.crowd.restore();
        self.site.crowd.deposit(Decimal::from(100_000_000));
        self.site.crowd.change(|crowd| {
            crowd.workers = MORE_WORKERS;
            crowd.lag = Duration::ZERO;
        });
        self.workers = MORE_WORKERS;
        self.site.ledger.catch_up();
        self.note("trouble ends", "");
    }
}
