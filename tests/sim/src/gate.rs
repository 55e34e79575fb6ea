//! The gate that every request of a function passes: the schedule decides when it goes on, and how
//! it ends.
//!
//! A request waits at the [`Desk`] until the schedule gives it a [`Fate`]. What a request does to the
//! world it does at once, between two decisions of the schedule.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use quorate_core::ports::{PortError, PortResult};

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does what it should.
    Done,
    /// Throttled, unreachable or timed out: nothing happened.
    Failed,
    /// It was done, and the answer got lost.
    ReplyLost,
    /// The function dies before the request left it.
    CrashBefore,
    /// The function dies after the request was done.
    CrashAfter,
}

/// A request that waits.
#[derive(Debug)]
struct Request {
    /// Whose.
    invocation: u64,
    /// Port and method, e.g. `ledger.admit`.
    method: &'static str,
    /// What it asks, if the schedule is traced.
    asks: String,
    fate: Option<Fate>,
    waker: Option<Waker>,
}

/// A request that waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number, in order of arrival.
    pub number: u64,
    /// Whose it is.
    pub invocation: u64,
    /// Port and method, e.g. `ledger.admit`.
    pub method: &'static str,
}

/// The waiting requests, by number in order of their arrival.
#[derive(Debug, Default)]
pub struct Desk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Request>,
    /// The invocation that died, until the schedule has buried it.
    dead: Option<u64>,
    traced: bool,
}

impl Desk {
    /// A desk without requests; `traced` makes requests say what they ask.
    #[must_use]
    pub fn new(traced: bool) -> Self {
        let state = State {
            traced,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waiting requests that have no fate yet.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let state = self.lock();
        let undecided = state.waiting.iter().filter(|(_, it)| it.fate.is_none());
        undecided
            .map(|(number, it)| Waiting {
                number: *number,
                invocation: it.invocation,
                method: it.method,
            })
            .collect()
    }

    /// Decides on a request. What it asks, if it is traced.
    pub fn decide(&self, number: u64, fate: Fate) -> String {
        let mut state = self.lock();
        let Some(request) = state.waiting.get_mut(&number) else {
            return String::new();
        };
        request.fate = Some(fate);
        if let Some(waker) = request.waker.take() {
            waker.wake();
        }
        std::mem::take(&mut request.asks)
    }

    /// The invocation that died since the last call. Its requests are gone with it.
    pub fn bury(&self) -> Option<u64> {
        let mut state = self.lock();
        let dead = state.dead.take()?;
        state.waiting.retain(|_, it| it.invocation != dead);
        Some(dead)
    }

    /// Forgets the requests of an invocation that ended.
    pub fn forget(&self, invocation: u64) {
        let mut state = self.lock();
        state.waiting.retain(|_, it| it.invocation != invocation);
    }

    async fn fate(
        &self,
        invocation: u64,
        method: &'static str,
        asks: impl FnOnce() -> String,
    ) -> Fate {
        let number = {
            let mut state = self.lock();
            let number = state.next;
            state.next += 1;
            let asks = if state.traced { asks() } else { String::new() };
            let request = Request {
                invocation,
                method,
                asks,
                fate: None,
                waker: None,
            };
            state.waiting.insert(number, request);
            number
        };
        poll_fn(|context| {
            let mut state = self.lock();
            let Some(request) = state.waiting.get_mut(&number) else {
                return Poll::Pending;
            };
            match request.fate {
                Some(fate) => {
                    state.waiting.remove(&number);
                    Poll::Ready(fate)
                }
                None => {
                    request.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// The gate of one invocation.
#[derive(Clone, Debug)]
pub struct Gate {
    desk: Arc<Desk>,
    invocation: u64,
}

impl Gate {
    /// The gate through which `invocation` comes to `desk`.
    #[must_use]
    pub fn new(desk: Arc<Desk>, invocation: u64) -> Self {
        Self { desk, invocation }
    }

    /// Lets a request pass when and as the schedule wants.
    ///
    /// # Errors
    /// Those of the request, and `Unavailable` if the schedule lets it fail.
    pub async fn pass<T>(
        &self,
        method: &'static str,
        asks: impl FnOnce() -> String,
        effect: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        match self.desk.fate(self.invocation, method, asks).await {
            Fate::Done => effect.await,
            Fate::Failed => Err(PortError::Unavailable(format!("{method}: throttled"))),
            Fate::ReplyLost => {
                effect.await?;
                Err(PortError::Unavailable(format!("{method}: timed out")))
            }
            Fate::CrashBefore => self.die().await,
            Fate::CrashAfter => {
                drop(effect.await);
                self.die().await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.desk.lock().dead = Some(self.invocation);
        pending().await
    }
}
