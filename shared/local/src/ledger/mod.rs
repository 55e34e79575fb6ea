//! The ledger in one SQLite file.
//!
//! Every method of the port is exactly one transaction; those that write begin it `IMMEDIATE`, so
//! that what a condition read is still so when the write commits. Statements are short and the file
//! is local: the futures are ready when they are first polled.
//!
//! A write that is asked for again because its reply was lost finds its own trace (the same fence,
//! writer and lease, or the very value that it would write) and answers as it did the first time.

mod batches;
mod campaigns;
mod codec;
mod images;
mod rounds;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Admitted, Ledger, Page, PortError, PortResult, Write};
use quorate_core::state::{
    Batch, CampaignItem, Close, Image, Kind, Outcome, Round, RoundPool, SealReason,
};
use quorate_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use rust_decimal::Decimal;

const SCHEMA: &str = include_str!("schema.sql");
/// Kept in the file's `user_version`; raised by every change of `schema.sql`.
const SCHEMA_VERSION: i64 = 3;
/// How long a statement waits for another process that writes to the file.
const BUSY: Duration = Duration::from_secs(5);
/// The most keys that one request may name.
const MAX_KEYS: usize = 100;

/// A [`Ledger`] in a SQLite file (WAL), or in memory.
pub struct SqliteLedger {
    connection: Mutex<Connection>,
    place: String,
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteLedger").field(&self.place).finish()
    }
}

/// Why a ledger does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another version of this program wrote it.
    #[error(
        "the ledger {place} has format {found}, this program knows format {SCHEMA_VERSION}: \
         use the version of quorate that wrote it, or start with another state folder"
    )]
    OtherFormat {
        /// The file.
        place: String,
        /// Its format.
        found: i64,
    },
    /// SQLite refuses the file.
    #[error("cannot open the ledger {place}: {error}")]
    Sqlite {
        /// The file.
        place: String,
        /// What SQLite says.
        #[source]
        error: rusqlite::Error,
    },
}

/// What goes wrong within a transaction, which is then rolled back.
enum Failure {
    Sqlite(rusqlite::Error),
    Refused(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

type Step<T> = Result<T, Failure>;

impl SqliteLedger {
    /// Opens the ledger in the file `path`, which is created if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be opened, is no SQLite file, or is of another format.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::prepare(Connection::open(path), path.display().to_string())
    }

    /// When the last upload came in; none if there was none.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn last_upload(&self) -> PortResult<Option<Timestamp>> {
        self.read(|tx| {
            let query = "SELECT max(last_upload) FROM round";
            let latest: Option<i64> = tx.query_row(query, [], |row| row.get(0))?;
            Ok(latest.map(Timestamp))
        })
    }

    /// A ledger that is gone with this value.
    ///
    /// # Errors
    /// If SQLite has no memory.
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::prepare(Connection::open_in_memory(), "in memory".to_owned())
    }

    fn prepare(connection: rusqlite::Result<Connection>, place: String) -> Result<Self, OpenError> {
        let opened = connection.and_then(|mut connection| {
            let found = migrate(&mut connection)?;
            Ok((connection, found))
        });
        match opened {
            Ok((connection, SCHEMA_VERSION)) => Ok(Self {
                connection: Mutex::new(connection),
                place,
            }),
            Ok((_, found)) => Err(OpenError::OtherFormat { place, found }),
            Err(error) => Err(OpenError::Sqlite { place, error }),
        }
    }

    fn write<T>(&self, step: impl FnOnce(&Transaction<'_>) -> Step<T>) -> PortResult<T> {
        self.transaction(TransactionBehavior::Immediate, step)
    }

    fn read<T>(&self, step: impl FnOnce(&Transaction<'_>) -> Step<T>) -> PortResult<T> {
        self.transaction(TransactionBehavior::Deferred, step)
    }

    fn transaction<T>(
        &self,
        behavior: TransactionBehavior,
        step: impl FnOnce(&Transaction<'_>) -> Step<T>,
    ) -> PortResult<T> {
        // A panic in a step rolled its transaction back; the connection is as good as before.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let answer = step(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        run().map_err(|failure| self.explain(failure))
    }

    fn explain(&self, failure: Failure) -> PortError {
        let error = match failure {
            Failure::Refused(reason) => return PortError::Refused(reason),
            Failure::Sqlite(error) => error,
        };
        let message = format!("the ledger {}: {error}", self.place);
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::SystemIoFailure,
            ) => PortError::Unavailable(message),
            _ => PortError::Refused(message),
        }
    }
}

/// Sets the connection up and creates the tables of a new file; the format that the file has. One
/// of another format is left as it is.
fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let format = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    connection.busy_timeout(BUSY)?;
    let found = format(connection)?;
    if found != 0 && found != SCHEMA_VERSION {
        return Ok(found);
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format(&transaction)? == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(SCHEMA_VERSION)
}

/// Cuts one item more than a page holds down to a page that tells where the next begins.
fn page<T>(mut items: Vec<T>, size: usize, id: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(id);
    Page { items, next }
}

fn at_most_keys(count: usize) -> Step<()> {
    if count > MAX_KEYS {
        return Err(Failure::Refused(format!(
            "{count} keys in one request to the ledger: at most {MAX_KEYS}"
        )));
    }
    Ok(())
}

impl Ledger for SqliteLedger {
    async fn campaign(&self, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
        self.read(|tx| campaigns::get(tx, name))
    }

    async fn campaigns(&self) -> PortResult<Vec<CampaignName>> {
        self.read(campaigns::names)
    }

    async fn save_campaign(&self, item: &CampaignItem) -> PortResult<Write> {
        self.write(|tx| campaigns::save(tx, item))
    }

    async fn open_round(&self, id: &RoundId, at: Timestamp) -> PortResult<Write> {
        self.write(|tx| rounds::open(tx, id, at))
    }

    async fn round(&self, id: &RoundId) -> PortResult<Option<Round>> {
        self.read(|tx| rounds::get(tx, id))
    }

    async fn unfinished_rounds(&self) -> PortResult<Vec<RoundId>> {
        self.read(rounds::unfinished)
    }

    async fn set_pool(&self, id: &RoundId, pool: &RoundPool) -> PortResult<Write> {
        self.write(|tx| rounds::set_pool(tx, id, pool))
    }

    async fn pool_opened(&self, id: &RoundId, batches_done: u64) -> PortResult<Write> {
        self.write(|tx| rounds::pool_opened(tx, id, batches_done))
    }

    async fn reserve(
        &self,
        id: &RoundId,
        amount: Decimal,
        budget: Option<Decimal>,
    ) -> PortResult<Admitted> {
        self.write(|tx| rounds::reserve(tx, id, amount, budget))
    }

    async fn seal_round(&self, id: &RoundId, reason: SealReason) -> PortResult<Write> {
        self.write(|tx| rounds::seal(tx, id, reason))
    }

    async fn close_round(&self, id: &RoundId, close: &Close) -> PortResult<Write> {
        self.write(|tx| rounds::close(tx, id, close))
    }

    async fn claim_round(
        &self,
        id: &RoundId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Round>> {
        self.write(|tx| rounds::claim(tx, id, writer, now, until))
    }

    async fn postpone_round(&self, id: &RoundId, fence: u64, due: Timestamp) -> PortResult<Write> {
        self.write(|tx| rounds::postpone(tx, id, fence, due))
    }

    async fn round_aggregated(&self, id: &RoundId, fence: u64) -> PortResult<Write> {
        self.write(|tx| rounds::aggregated(tx, id, fence))
    }

    async fn known_images(&self, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
        self.read(|tx| images::known(tx, ids))
    }

    async fn image(&self, id: ImageId) -> PortResult<Option<Image>> {
        self.read(|tx| images::get(tx, id))
    }

    async fn originals(
        &self,
        campaign: &CampaignName,
        sha256: &[String],
    ) -> PortResult<BTreeMap<String, ImageId>> {
        self.read(|tx| images::originals(tx, campaign, sha256))
    }

    async fn put_images(&self, images: &[Image]) -> PortResult<()> {
        self.write(|tx| images::put_all(tx, images))
    }

    async fn admit(&self, admission: &Admission) -> PortResult<Admitted> {
        self.write(|tx| batches::admit(tx, admission))
    }

    async fn park(&self, admission: &Admission) -> PortResult<Admitted> {
        self.write(|tx| batches::park(tx, admission))
    }

    async fn parked(&self, campaign: &CampaignName) -> PortResult<Vec<BatchId>> {
        self.read(|tx| batches::parked(tx, campaign))
    }

    async fn unpark(
        &self,
        batch: &Batch,
        round: &RoundId,
        budget: Option<Decimal>,
        at: Timestamp,
    ) -> PortResult<Admitted> {
        self.write(|tx| batches::unpark(tx, batch, round, budget, at))
    }

    async fn add_control(&self, image: &Image) -> PortResult<Image> {
        self.write(|tx| images::add_control(tx, image))
    }

    async fn controls(&self, campaign: &CampaignName, kind: Kind) -> PortResult<Vec<Image>> {
        self.read(|tx| images::controls(tx, campaign, kind))
    }

    async fn add_control_batch(&self, batch: &Batch) -> PortResult<Write> {
        self.write(|tx| batches::add_control(tx, batch))
    }

    async fn batch(&self, id: BatchId) -> PortResult<Option<Batch>> {
        self.read(|tx| batches::get(tx, id))
    }

    async fn due_batches(&self, now: Timestamp, limit: usize) -> PortResult<Vec<BatchId>> {
        self.read(|tx| batches::due(tx, now, limit))
    }

    async fn claim_batch(
        &self,
        id: BatchId,
        writer: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<Batch>> {
        self.write(|tx| batches::claim(tx, id, writer, now, until))
    }

    async fn postpone_batch(
        &self,
        id: BatchId,
        fence: u64,
        due: Timestamp,
        error: Option<&str>,
    ) -> PortResult<Write> {
        self.write(|tx| batches::postpone(tx, id, fence, due, error))
    }

    async fn finish_batch(
        &self,
        id: BatchId,
        fence: u64,
        outcomes: &[Outcome],
    ) -> PortResult<Write> {
        self.write(|tx| batches::finish(tx, id, fence, outcomes))
    }

    async fn round_batches(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Batch>> {
        self.read(|tx| batches::of_round(tx, id, after))
    }

    async fn round_aliases(&self, id: &RoundId, after: Option<&str>) -> PortResult<Page<Image>> {
        self.read(|tx| images::aliases(tx, id, after))
    }
}
