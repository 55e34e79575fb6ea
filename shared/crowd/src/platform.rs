//! The platform as a value: open it, route requests to it, serve it.

use std::{
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::serve::{Listener, ListenerExt as _};
use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    clock::Clock,
    courier::Courier,
    error::{Error, Result},
    ids, lifecycle,
    limits::Limits,
    metrics::Metrics,
    store::{Db, OpenError, Store, Tx},
};

/// How a platform is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the database; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The platform's time.
    pub clock: Clock,
    /// Where all shuffling comes from: the same seed and the same requests give the same pages.
    pub seed: u64,
    /// Who may use the requester API. Empty: any key is the one local requester, and only requests
    /// to a loopback name (`localhost`, `127.0.0.1`, `[::1]`) are answered.
    pub keys: Vec<RequesterKey>,
    /// The platform's fee on every reward, as a share (0.2 is 20 %).
    pub fee: Decimal,
    /// Dollars that a requester starts with.
    pub balance: Decimal,
    /// The key that new workers must know. `None`: made once at random and kept with the data.
    pub invite: Option<String>,
    /// Whether requesters are kept within the documented rates and quotas
    /// ([`quorate_toloka::limits`]). The counts are in memory: a restart begins anew.
    pub rate_limits: bool,
    /// Rounds that a worker's password is stretched by (PBKDF2-HMAC-SHA256).
    pub password_rounds: u32,
}

impl Default for Config {
    /// In memory, on the real clock, without a fee, with a million dollars.
    fn default() -> Self {
        Self {
            data: None,
            clock: Clock::real(),
            seed: 0,
            keys: Vec::new(),
            fee: Decimal::ZERO,
            balance: Decimal::from(1_000_000),
            invite: None,
            rate_limits: false,
            password_rounds: 600_000,
        }
    }
}

/// A key of the requester API.
#[derive(Clone)]
pub struct RequesterKey {
    /// The account; keys with the same name open the same account.
    pub account: String,
    /// The secret that follows `ApiKey` or `OAuth`.
    pub key: String,
}

impl std::fmt::Debug for RequesterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequesterKey")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What every request reads of the configuration.
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) fee: Decimal,
    pub(crate) balance: Decimal,
    pub(crate) password_rounds: u32,
    pub(crate) invite: String,
    /// Signs the tokens of workers.
    pub(crate) secret: String,
    keys: Vec<RequesterKey>,
}

impl Settings {
    /// Whether the requester API asks for keys.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The account that a key opens.
    pub(crate) fn account(&self, key: &str) -> Option<String> {
        if self.keys.is_empty() {
            return Some(ids::account("requester", "local"));
        }
        // All keys are compared, so that the time does not tell which one came close.
        let found = self.keys.iter().fold(None, |found, known| {
            if ids::same_secret(&known.key, key) {
                Some(known)
            } else {
                found
            }
        })?;
        Some(ids::account("requester", &found.account))
    }
}

/// A crowd platform. Cheap to clone; clones are the same platform.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    settings: Settings,
    /// When something is due next (an expiry, a closing), in milliseconds.
    due: AtomicI64,
    courier: Courier,
    limits: Option<Limits>,
    metrics: Metrics,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("clock", &self.0.clock)
            .finish_non_exhaustive()
    }
}

impl Platform {
    /// Opens the platform's data, or starts empty.
    ///
    /// # Errors
    ///
    /// When the folder or the database cannot be opened or is of another version.
    pub fn open(config: Config) -> std::result::Result<Self, OpenError> {
        let store = Store::open(config.data.as_deref())?;
        config
            .clock
            .not_before(crate::clock::timestamp(store.floor()?));
        let invite = match config.invite {
            Some(invite) => invite,
            None => store.kept("invite", ids::random_secret)?,
        };
        let settings = Settings {
            seed: config.seed,
            fee: config.fee,
            balance: config.balance,
            password_rounds: config.password_rounds,
            invite,
            secret: store.kept("secret", ids::random_secret)?,
            keys: config.keys,
        };
        Ok(Self(Arc::new(Inner {
            store,
            clock: config.clock,
            settings,
            due: AtomicI64::new(i64::MIN),
            courier: Courier::default(),
            limits: config.rate_limits.then(Limits::default),
            metrics: Metrics::default(),
        })))
    }

    /// The platform's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The key that new workers must know.
    #[must_use]
    pub fn invite(&self) -> &str {
        &self.0.settings.invite
    }

    /// Does everything that is due: assignments expire or are accepted, pools close or open again,
    /// skills lapse. Every request does this first, so it matters only while nobody asks.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn tick(&self) -> std::result::Result<(), TickError> {
        self.catch_up().map_err(|_| TickError)
    }

    /// When something is due next, if anything is.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.0.due.load(Ordering::Acquire) {
            i64::MAX => None,
            due => Some(crate::clock::timestamp(due)),
        }
    }

    pub(crate) fn courier(&self) -> &Courier {
        &self.0.courier
    }

    /// What requesters have used of their rates and quotas, if anybody counts.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.0.limits.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn catch_up(&self) -> Result<()> {
        let now = self.0.clock.millis();
        if now >= self.0.due.load(Ordering::Acquire) {
            self.write_now(|_| Ok(()))?;
        }
        Ok(())
    }

    /// Runs one request that changes the state, on this thread.
    pub(crate) fn write_now<T>(&self, body: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let inner = &*self.0;
        let mut told = false;
        let result = inner
            .store
            .write(&inner.settings, inner.clock.millis(), |tx| {
                lifecycle::catch_up(tx)?;
                let value = body(tx)?;
                told = tx.told();
                // Within the lock, so that a later request cannot be overtaken.
                inner.due.store(
                    lifecycle::next_due(tx)?.unwrap_or(i64::MAX),
                    Ordering::Release,
                );
                Ok(value)
            });
        if result.is_err() {
            // What was due is undone with the rest: look again.
            inner.due.store(i64::MIN, Ordering::Release);
        } else if told {
            inner.courier.wake();
        }
        result
    }

    /// Runs one request that only reads, on this thread.
    pub(crate) fn read_now<T>(&self, body: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        self.catch_up()?;
        let inner = &*self.0;
        inner
            .store
            .read(&inner.settings, inner.clock.millis(), body)
    }

    /// Runs one request that changes the state.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let platform = self.clone();
        blocking(move || platform.write_now(body)).await
    }

    /// Runs one request that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let platform = self.clone();
        blocking(move || platform.read_now(body)).await
    }
}

/// The database failed; the log says why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the crowd's database failed; the log says why")]
pub struct TickError;

/// Runs work that may wait for the disk off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(Error::internal(panic)))
}

/// How often a running platform looks for what is due while nobody asks.
const TICK: Duration = Duration::from_millis(250);

/// Serves `platform` on `listener` until `shutdown` completes.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    platform: Platform,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let ticker = tokio::spawn(keep_up(platform.clone()));
    let served = axum::serve(undelayed(listener), platform.router())
        .with_graceful_shutdown(shutdown)
        .await;
    ticker.abort();
    served
}

/// A listener whose answers leave at once. With Nagle's algorithm an answer in several pieces waits
/// for the client's delayed acknowledgement: 40 ms that nobody uses.
pub fn undelayed(listener: TcpListener) -> impl Listener<Addr = SocketAddr, Io = TcpStream> {
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow");
        }
    })
}

/// The same after it failed: the disk may be full for long, and each failure is a line in the log.
pub(crate) const REST: Duration = Duration::from_secs(5);

/// Does what is due on `platform` while nobody asks, and delivers webhooks; for a platform that is
/// not served by [`serve`]. Returns at once if its clock is moved by hand.
pub async fn keep_up(platform: Platform) {
    if platform.clock().is_manual() {
        return;
    }
    let ticks = keep_trying(|| {
        let now = platform.clone();
        blocking(move || now.catch_up())
    });
    futures_util::future::join(ticks, platform.keep_delivering()).await;
}

/// Ticks for ever. A failure is in the log already.
async fn keep_trying<F: Future<Output = Result<()>>>(tick: impl Fn() -> F) {
    loop {
        let done = tick().await.is_ok();
        tokio::time::sleep(if done { TICK } else { REST }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// How often a platform ticks in (not quite) a minute.
    async fn ticks(outcome: Result<()>) -> u32 {
        let count = AtomicU32::new(0);
        let tick = || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(outcome.clone())
        };
        let minute = tokio::time::timeout(Duration::from_millis(59_900), keep_trying(tick)).await;
        assert!(minute.is_err());
        count.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_fails_rests_between_its_ticks() {
        assert_eq!(ticks(Ok(())).await, 240);
        assert_eq!(ticks(Err(Error::internal("disk full"))).await, 12);
    }
}
