//! The platform's state: one SQLite file, one writer, and requests as transactions.
//!
//! A request that was answered is on disk (write-ahead log, `synchronous=NORMAL`), so that killing
//! the process loses nothing. Every write transaction also stores the platform's time and counter,
//! so that neither goes back after a restart.

use std::{
    cell::Cell,
    ops::Deref,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Params, Row, TransactionBehavior, config::DbConfig};

use crate::{error::Result, platform::Settings};

const SCHEMA: &str = include_str!("schema.sql");

/// The version of the schema, kept in the file's `user_version`.
const VERSION: i64 = 2;

/// Why the platform's data cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("cannot make the data folder {path}: {source}")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the crowd's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Another version of the platform wrote the database.
    #[error(
        "the crowd's database has version {found}, this program knows version {known}; start with an empty data folder or use the program that wrote it"
    )]
    Version {
        /// The version of the file.
        found: i64,
        /// The version of this program.
        known: i64,
    },
}

/// Pages of the write-ahead log after which it is copied into the file: 64 MB.
const LOG_PAGES: i64 = 16_384;

/// The most memory that the writer keeps the file's pages in.
const CACHE_KILOBYTES: i64 = 65_536;

/// How many requests read at a time; what takes long must not keep the others waiting.
const READERS: usize = 4;

/// The database: a writer, and for a file readers that do not wait for it.
pub(crate) struct Store {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
}

/// A view of the state within one request.
pub(crate) struct Db<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) settings: &'a Settings,
    now: Cell<i64>,
}

/// A request that changes the state: all of it or nothing.
pub(crate) struct Tx<'a> {
    db: Db<'a>,
    counter: Cell<i64>,
    told: Cell<bool>,
}

impl<'a> Deref for Tx<'a> {
    type Target = Db<'a>;

    fn deref(&self) -> &Db<'a> {
        &self.db
    }
}

impl Store {
    /// Opens the database in `folder`, or an empty one in memory.
    pub(crate) fn open(folder: Option<&Path>) -> std::result::Result<Self, OpenError> {
        let Some(folder) = folder else {
            let writer = Connection::open_in_memory()?;
            prepare(&writer)?;
            return Ok(Self {
                writer: Mutex::new(writer),
                readers: Vec::new(),
            });
        };
        make_private(folder).map_err(|source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let file = folder.join("crowd.sqlite");
        let writer = Connection::open(&file)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        // A page of tasks touches dozens of pages of the file: as many as can be are written
        // together, and those in use stay in memory.
        writer.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        writer.pragma_update(None, "journal_size_limit", 2 * LOG_PAGES * 4096)?;
        writer.pragma_update(None, "cache_size", -CACHE_KILOBYTES)?;
        prepare(&writer)?;
        let reader = || -> std::result::Result<_, rusqlite::Error> {
            let reader = Connection::open(&file)?;
            keep_plans(&reader)?;
            reader.set_prepared_statement_cache_capacity(128);
            reader.pragma_update(None, "query_only", true)?;
            Ok(Mutex::new(reader))
        };
        Ok(Self {
            writer: Mutex::new(writer),
            readers: (0..READERS)
                .map(|_| reader())
                .collect::<std::result::Result<_, _>>()?,
        })
    }

    /// Reads a consistent state.
    pub(crate) fn read<T>(
        &self,
        settings: &Settings,
        now: i64,
        body: impl FnOnce(&Db<'_>) -> Result<T>,
    ) -> Result<T> {
        let idle = self
            .readers
            .iter()
            .find_map(|reader| reader.try_lock().ok());
        let mut conn = idle.unwrap_or_else(|| lock(self.readers.first().unwrap_or(&self.writer)));
        let snapshot = conn.transaction()?;
        body(&Db {
            conn: &snapshot,
            settings,
            now: Cell::new(now),
        })
    }

    /// Changes the state: commits when `body` succeeds, else leaves everything as it was.
    pub(crate) fn write<T>(
        &self,
        settings: &Settings,
        now: i64,
        body: impl FnOnce(&Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut conn = lock(&self.writer);
        let changes = conn.total_changes();
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (floor, counter) = marks(&transaction)?;
        let tx = Tx {
            db: Db {
                conn: &transaction,
                settings,
                now: Cell::new(now.max(floor)),
            },
            counter: Cell::new(counter),
            told: Cell::new(false),
        };
        let value = body(&tx)?;
        let (now, counter) = (tx.now(), tx.counter.get());
        if transaction.total_changes() != changes {
            transaction
                .prepare_cached("UPDATE meta SET value = ?2 WHERE key = ?1")?
                .execute(("time", now.to_string()))?;
            transaction
                .prepare_cached("UPDATE meta SET value = ?2 WHERE key = ?1")?
                .execute(("counter", counter.to_string()))?;
            transaction.commit()?;
        }
        Ok(value)
    }

    /// The highest time that the platform has stored.
    pub(crate) fn floor(&self) -> std::result::Result<i64, rusqlite::Error> {
        marks(&lock(&self.writer)).map(|(time, _)| time)
    }

    /// A value that is made once and then kept.
    pub(crate) fn kept(
        &self,
        key: &str,
        make: impl FnOnce() -> String,
    ) -> std::result::Result<String, rusqlite::Error> {
        let conn = lock(&self.writer);
        let found: Option<String> = conn
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(value) = found {
            return Ok(value);
        }
        let value = make();
        conn.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)",
            (key, &value),
        )?;
        Ok(value)
    }
}

impl Db<'_> {
    /// The platform's time in milliseconds, the same during the whole request.
    pub(crate) fn now(&self) -> i64 {
        self.now.get()
    }

    /// The one row that a query finds, if any.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row(params, read)
            .optional()?)
    }

    /// All rows that a query finds.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Reads all rows that a query finds, one at a time.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            read(row)?;
        }
        Ok(())
    }

    /// The number that a query computes; 0 when it finds nothing or NULL.
    pub(crate) fn number(&self, sql: &str, params: impl Params) -> Result<i64> {
        Ok(self
            .row(sql, params, |row| row.get::<_, Option<i64>>(0))?
            .flatten()
            .unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Runs a statement that returns no rows.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Notes that an event was written down for a webhook.
    pub(crate) fn has_told(&self) {
        self.told.set(true);
    }

    /// Whether an event was written down for a webhook.
    pub(crate) fn told(&self) -> bool {
        self.told.get()
    }

    /// A number that was never returned before.
    pub(crate) fn next(&self) -> i64 {
        let next = self.counter.get() + 1;
        self.counter.set(next);
        next
    }

    /// The id of the next row of a table with decimal ids.
    pub(crate) fn next_decimal(&self, table: &str) -> Result<i64> {
        let last = self.number(&format!("SELECT max(id) FROM {table}"), [])?;
        Ok((last + 1).max(crate::ids::FIRST_DECIMAL))
    }

    /// Runs `body` at the time when something was due, which is not later than now.
    pub(crate) fn at<T>(&self, due: i64, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let now = self.db.now.replace(due);
        let value = body();
        self.db.now.set(now);
        value
    }
}

/// Makes the folder, if it is not there, for nobody else to read: it holds the workers' secrets.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn lock(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic rolled its transaction back; the connection itself is fine.
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stored time and counter.
fn marks(conn: &Connection) -> std::result::Result<(i64, i64), rusqlite::Error> {
    conn.prepare_cached(
        "SELECT (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'time'),
                (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'counter')",
    )?
    .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Plans every statement once, whatever it is given: otherwise SQLite plans again for other values,
/// which took a fifth of a page's time.
fn keep_plans(conn: &Connection) -> std::result::Result<(), rusqlite::Error> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Makes the schema in an empty file, checks its version in another.
fn prepare(conn: &Connection) -> std::result::Result<(), OpenError> {
    keep_plans(conn)?;
    conn.set_prepared_statement_cache_capacity(256);
    match conn.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        0 => {
            conn.execute_batch(&format!(
                "BEGIN; {SCHEMA}
                 INSERT INTO meta (key, value) VALUES ('time', '0'), ('counter', '0');
                 PRAGMA user_version = {VERSION}; COMMIT;"
            ))?;
            Ok(())
        }
        VERSION => Ok(()),
        found => Err(OpenError::Version {
            found,
            known: VERSION,
        }),
    }
}
