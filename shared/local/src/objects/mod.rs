//! A bucket that is a folder: keys are relative paths.
//!
//! The version of an object is the beginning of the SHA-256 of its bytes, so the same file has the
//! same version wherever and whenever it is looked at. Versions are computed when they are asked
//! for and remembered until the file changes.
//!
//! A folder forgets a version when its file is overwritten or deleted; a bucket must not. A folder
//! that [keeps versions](Folder::keeping) therefore has a store of copies beside it, and the rule
//! is: *whatever `get` has returned whole stays readable*. The pipeline reads an upload whole before
//! it admits it, so that what workers are shown is what was admitted. A copy is as durable as the
//! file that it copies, no more: it is not synced to the disk, and one that a power cut damaged is
//! noticed by its hash and made again from the file. A folder of results keeps no
//! versions: its objects are written once, or replaced by what is meant to be read instead.
//!
//! A file's own times say when its bytes were written, not when they came here: files and folders
//! that are moved keep them. So an object counts as modified when this process first saw its file as
//! it is, on the clock of whoever has the folder.
//!
//! Hidden files (`.name`) are no objects, so that half-written ones can be there under such a name;
//! symbolic links are never followed.

pub(crate) mod tree;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quorate_core::campaign::hex;
use quorate_core::ports::{ObjectMeta, Objects, Page, PortError, PortResult, Put};
use quorate_core::time::Timestamp;
use quorate_crowd::Clock;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use tree::Stamp;

/// Objects in a page of a listing.
const PAGE: usize = 1000;
/// A file that changed more recently than this may change again without its times telling, because
/// file systems round them (FAT to two seconds): its version is not remembered.
const FRESH: Duration = Duration::from_secs(2);

/// An [`Objects`] over a folder. Cheap to clone; needs a tokio runtime, whose blocking threads do
/// the file work.
#[derive(Clone, Debug)]
pub struct Folder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: String,
    root: PathBuf,
    kept: Option<PathBuf>,
    clock: Clock,
    seen: Mutex<HashMap<String, Seen>>,
}

/// What is remembered of a file until it changes.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    since: Timestamp,
    /// None as long as the file may change without its stamp telling.
    version: Option<Version>,
}

type Version = [u8; 16];

impl Folder {
    /// The bucket called `bucket` in the folder `root`, which is created if it does not exist.
    ///
    /// # Errors
    /// If the folder cannot be created or read.
    pub fn new(bucket: &str, root: &Path) -> io::Result<Self> {
        Self::with(bucket, root, None, Clock::real())
    }

    /// Like [`Folder::new`]; what `get` returns whole is kept as a copy in the folder `store`, and
    /// `clock` says when objects came.
    ///
    /// # Errors
    /// If one of the folders cannot be created or read.
    pub fn keeping(bucket: &str, root: &Path, store: &Path, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(store)?;
        Self::with(bucket, root, Some(store.canonicalize()?), clock)
    }

    fn with(bucket: &str, root: &Path, kept: Option<PathBuf>, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            inner: Arc::new(Inner {
                bucket: bucket.to_owned(),
                root: root.canonicalize()?,
                kept,
                clock,
                seen: Mutex::default(),
            }),
        })
    }

    /// The folder, with links in its own path resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The whole of `version` under `key` as a file that will not change, for streaming; none if it
    /// is gone or this folder keeps no versions.
    ///
    /// # Errors
    /// As [`Objects::get`].
    pub async fn open(&self, key: &str, version: &str) -> PortResult<Option<File>> {
        let (key, version) = (key.to_owned(), version.to_owned());
        self.blocking(move |inner| {
            if let Some(copy) = inner.kept_copy(&version)? {
                return Ok(Some(copy));
            }
            inner.get(&key, &version, u64::MAX)?;
            inner.kept_copy(&version)
        })
        .await
    }

    /// Deletes the half-written files that a killed process left here. Only for the one process that
    /// writes here, before it does.
    ///
    /// # Errors
    /// If a folder cannot be listed or a file cannot be deleted.
    pub fn remove_unfinished(&self) -> io::Result<()> {
        remove_temps(&self.inner.root)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|error| Err(PortError::Unavailable(format!("file work: {error}"))))
    }
}

impl Objects for Folder {
    fn bucket(&self) -> &str {
        &self.inner.bucket
    }

    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.head(&key)).await
    }

    async fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        let (key, version) = (key.to_owned(), version.to_owned());
        self.blocking(move |inner| inner.get(&key, &version, limit))
            .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking(move |inner| inner.list(&prefix, after.as_deref()))
            .await
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        let (key, body) = (key.to_owned(), body.to_owned());
        self.blocking(move |inner| inner.put(&key, &body)).await
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let (key, body) = (key.to_owned(), body.to_owned());
        self.blocking(move |inner| inner.put_if_absent(&key, &body))
            .await
    }
}

/// What an open file is at one moment.
struct Snapshot {
    stamp: Stamp,
    since: Timestamp,
    version: Version,
}

impl Inner {
    fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        let Some(mut file) = self.open_file(key)? else {
            return Ok(None);
        };
        let snapshot = self.snapshot(key, &mut file).map_err(in_file(key))?;
        let snapshot = snapshot.ok_or_else(|| {
            PortError::Unavailable(format!("{key} is being written; try again later"))
        })?;
        Ok(Some(meta(key, &snapshot)))
    }

    /// A file that changes while it is read for its version is left out: it is not whole yet, and
    /// the end of its change is told by the watcher.
    fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let mut keys = Vec::new();
        let flow = tree::walk(&self.root, prefix, after, &mut |key| {
            if keys.len() == PAGE {
                return ControlFlow::Break(());
            }
            keys.push(key);
            ControlFlow::Continue(())
        })
        .map_err(in_file(prefix))?;
        let next = keys.last().filter(|_| flow.is_break()).cloned();
        let mut items = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(mut file) = self.open_file(&key)?
                && let Some(snapshot) = self.snapshot(&key, &mut file).map_err(in_file(&key))?
            {
                items.push(meta(&key, &snapshot));
            }
        }
        Ok(Page { items, next })
    }

    fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        if let Some(file) = self.kept_copy(version)? {
            return read(file, limit).map(Some).map_err(in_file(key));
        }
        let Some(mut file) = self.open_file(key)? else {
            return Ok(None);
        };
        let size = file.metadata().map_err(in_file(key))?.len();
        if size > limit {
            return self
                .beginning(key, version, file, limit)
                .map_err(in_file(key));
        }
        let bytes = read(&mut file, limit).map_err(in_file(key))?;
        if text(&digest(&bytes)) != version {
            return Ok(None);
        }
        if let Some(store) = &self.kept {
            keep(store, version, &bytes).map_err(in_file(key))?;
        }
        Ok(Some(bytes))
    }

    /// The first `limit` bytes of a file, if it was of this version before and after reading them.
    fn beginning(
        &self,
        key: &str,
        version: &str,
        mut file: File,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(before) = self.snapshot(key, &mut file)? else {
            return Ok(None);
        };
        file.rewind()?;
        let bytes = read(&mut file, limit)?;
        let unchanged = Stamp::of(&file.metadata()?) == before.stamp;
        Ok(Some(bytes).filter(|_| unchanged && text(&before.version) == version))
    }

    /// The file under a key, if it is a plain one.
    fn open_file(&self, key: &str) -> PortResult<Option<File>> {
        let path = tree::path_of(&self.root, key).map_err(PortError::Refused)?;
        if tree::plain_file(&self.root, &path)
            .map_err(in_file(key))?
            .is_none()
        {
            self.remembered().remove(key);
            return Ok(None);
        }
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if tree::is_missing(&error) => Ok(None),
            Err(error) => Err(in_file(key)(error)),
        }
    }

    /// The version of an open file; none if it changes meanwhile.
    fn snapshot(&self, key: &str, file: &mut File) -> io::Result<Option<Snapshot>> {
        let stamp = Stamp::of(&file.metadata()?);
        let Seen { since, version, .. } = self.seen(key, stamp);
        if let Some(version) = version {
            return Ok(Some(Snapshot {
                stamp,
                since,
                version,
            }));
        }
        let version = digest_file(file)?;
        if Stamp::of(&file.metadata()?) != stamp {
            return Ok(None);
        }
        let age = SystemTime::now().duration_since(stamp.changed);
        if age.is_ok_and(|age| age >= FRESH)
            && let Some(seen) = self.remembered().get_mut(key)
            && seen.stamp == stamp
        {
            seen.version = Some(version);
        }
        Ok(Some(Snapshot {
            stamp,
            since,
            version,
        }))
    }

    /// What is remembered of the file under a key, which now has this stamp.
    fn seen(&self, key: &str, stamp: Stamp) -> Seen {
        let new = Seen {
            stamp,
            since: self.clock.now().into(),
            version: None,
        };
        let mut remembered = self.remembered();
        let seen = remembered.entry(key.to_owned()).or_insert(new);
        if seen.stamp != stamp {
            *seen = new;
        }
        *seen
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy of a version; none if there is none, or only a damaged one.
    fn kept_copy(&self, version: &str) -> PortResult<Option<File>> {
        let Some(store) = self.kept.as_ref().filter(|_| is_version(version)) else {
            return Ok(None);
        };
        let path = store.join(version);
        let checked = File::open(&path).and_then(|mut file| {
            let whole = text(&digest_file(&mut file)?) == version;
            file.rewind()?;
            Ok(Some(file).filter(|_| whole))
        });
        match checked {
            Err(error) if tree::is_missing(&error) => Ok(None),
            checked => checked.map_err(in_file(version)),
        }
    }

    fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        let path = self.place_for(key)?;
        let written = write_synced(&path, body).and_then(|temp| {
            temp.persist(&path)?;
            sync_parent(&path)
        });
        written.map_err(in_file(path.display()))
    }

    fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let path = self.place_for(key)?;
        // Saves the writing when it is there; what decides is the rename below.
        let exists = fs::symlink_metadata(&path).is_ok();
        let created = if exists {
            false
        } else {
            let temp = write_synced(&path, body).map_err(in_file(path.display()))?;
            match temp.persist_noclobber(&path) {
                Ok(_) => true,
                Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(failed) => return Err(in_file(path.display())(failed.error)),
            }
        };
        // Also if another one wrote it just now: what is answered must not be lost.
        sync_parent(&path).map_err(in_file(path.display()))?;
        Ok(if created { Put::Created } else { Put::Existed })
    }

    /// The path for a key to write, in folders that exist now and are no links.
    fn place_for(&self, key: &str) -> PortResult<PathBuf> {
        let path = tree::path_of(&self.root, key).map_err(PortError::Refused)?;
        let parents = path.parent().unwrap_or(&self.root);
        let mut folder = self.root.clone();
        for name in parents.strip_prefix(&self.root).unwrap_or(parents) {
            folder.push(name);
            make_folder(&folder).map_err(in_file(folder.display()))?;
        }
        Ok(path)
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => return sync_parent(folder),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    if fs::symlink_metadata(folder)?.is_dir() {
        return Ok(());
    }
    let message = "it is in the way: it is no folder";
    Err(io::Error::new(io::ErrorKind::NotADirectory, message))
}

/// What names of half-written files begin with.
pub(crate) const TEMP: &str = ".quorate-";

/// Deletes half-written files in a folder and below it. Links are not followed.
fn remove_temps(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_temps(&entry.path())?;
        } else if kind.is_file()
            && entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(TEMP.as_bytes())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A hidden file beside `path`, deleted unless it is renamed.
fn write_temp(path: &Path, body: &[u8]) -> io::Result<NamedTempFile<File>> {
    let folder = path.parent().unwrap_or(path);
    let mut temp = tempfile::Builder::new()
        .prefix(TEMP)
        .make_in(folder, |path| File::create_new(path))?;
    temp.write_all(body)?;
    Ok(temp)
}

/// The same, and its bytes are on the disk.
fn write_synced(path: &Path, body: &[u8]) -> io::Result<NamedTempFile<File>> {
    let temp = write_temp(path, body)?;
    temp.as_file().sync_all()?;
    Ok(temp)
}

/// Makes the names in a path's folder durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and renames are durable by themselves.
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Stores a version's bytes in the versions folder.
fn keep(store: &Path, version: &str, bytes: &[u8]) -> io::Result<()> {
    let path = store.join(version);
    write_temp(&path, bytes)?.persist(&path)?;
    Ok(())
}

fn read(file: impl io::Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn digest_file(file: &mut File) -> io::Result<Version> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            None | Some([]) => return Ok(beginning_of(&hasher.finalize())),
            Some(chunk) => hasher.update(chunk),
        }
    }
}

fn digest(bytes: &[u8]) -> Version {
    beginning_of(&Sha256::digest(bytes))
}

fn beginning_of(digest: &[u8]) -> Version {
    digest.first_chunk().copied().unwrap_or_default()
}

/// A version as the port writes it: 32 hex digits.
fn text(version: &Version) -> String {
    hex(version)
}

fn is_version(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn meta(key: &str, snapshot: &Snapshot) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        version: text(&snapshot.version),
        size: snapshot.stamp.size,
        modified: snapshot.since,
    }
}

/// What an I/O error at a key means to the caller of a port. What cannot be written is named by its
/// path, so that a person finds it.
fn in_file(place: impl Display) -> impl Fn(io::Error) -> PortError {
    use io::ErrorKind as Kind;
    move |error| {
        let message = format!("{place}: {error}");
        match error.kind() {
            Kind::PermissionDenied
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::InvalidFilename
            | Kind::InvalidInput
            | Kind::ReadOnlyFilesystem => PortError::Refused(message),
            _ => PortError::Unavailable(message),
        }
    }
}
