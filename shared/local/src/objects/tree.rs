//! Keys as relative paths, and what of a directory tree counts as objects: plain files whose names
//! are UTF-8 and, like those of their folders, do not begin with a dot. Symbolic links are never
//! followed.

use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// The path of `key` under `root`.
///
/// # Errors
/// Why it is no key of a folder, for a person.
pub(crate) fn path_of(root: &Path, key: &str) -> Result<PathBuf, String> {
    let mut path = root.to_owned();
    for segment in key.split('/') {
        if !is_segment(segment) {
            return Err(format!(
                "{key:?} cannot be a file: {segment:?} is no name for a file or folder here"
            ));
        }
        path.push(segment);
    }
    Ok(path)
}

/// The key of a path under `root`; none if it is, or is in, something hidden or not UTF-8.
pub(crate) fn key_of(root: &Path, path: &Path) -> Option<String> {
    let mut key = String::new();
    for component in path.strip_prefix(root).ok()?.components() {
        let segment = component.as_os_str().to_str()?;
        if !is_segment(segment) {
            return None;
        }
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(segment);
    }
    Some(key).filter(|key| !key.is_empty())
}

/// Whether this is one visible name on every system: not empty, `.`, `..`, a drive or a path.
fn is_segment(segment: &str) -> bool {
    let mut components = Path::new(segment).components();
    let one = matches!(components.next(), Some(Component::Normal(name)) if name == segment);
    one && components.next().is_none() && !segment.starts_with('.') && !segment.contains('\0')
}

/// What is under `path`, which must be `root` and names below it: the file's metadata, or none if
/// it is not there, is no plain file, or lies behind a link.
pub(crate) fn plain_file(root: &Path, path: &Path) -> io::Result<Option<Metadata>> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut place = root.to_owned();
    let mut found = None;
    for component in below.components() {
        if found
            .as_ref()
            .is_some_and(|above: &Metadata| !above.is_dir())
        {
            return Ok(None);
        }
        place.push(component);
        found = match fs::symlink_metadata(&place) {
            Ok(metadata) => Some(metadata),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(found.filter(Metadata::is_file))
}

/// Whether an error says that there is no such file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Visits the keys under `root` that begin with `prefix` and come after `after`, in byte order,
/// until `visit` breaks. Memory: the names in the folders on the way to a key.
pub(crate) fn walk(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    visit: &mut impl FnMut(String) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    walk_folder(root, "", prefix, after, visit)
}

fn walk_folder(
    folder: &Path,
    folder_key: &str,
    prefix: &str,
    after: Option<&str>,
    visit: &mut impl FnMut(String) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    for name in names(folder)? {
        let key = format!("{folder_key}{name}");
        let flow = if let Some(name) = name.strip_suffix('/') {
            // Everything in here begins with `key`: is anything of that wanted?
            let in_prefix = key.starts_with(prefix) || prefix.starts_with(&key);
            let passed =
                after.is_some_and(|after| after > key.as_str() && !after.starts_with(&key));
            if !in_prefix || passed {
                continue;
            }
            walk_folder(&folder.join(name), &key, prefix, after, visit)?
        } else if key.starts_with(prefix) && after.is_none_or(|after| after < key.as_str()) {
            visit(key)
        } else {
            continue;
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The visible names in a folder, those of folders with a `/` behind them, in the order in which
/// their keys sort. A folder that is gone has none.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot list {}: {error}", folder.display());
            return Err(io::Error::new(error.kind(), message));
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            Err(name) => {
                let (name, folder) = (name.display(), folder.display());
                tracing::warn!(%name, %folder, "a name that is not UTF-8 cannot be a key; left out");
                continue;
            }
        };
        let kind = entry.file_type()?;
        if !is_segment(&name) {
            continue;
        } else if kind.is_dir() {
            names.push(name + "/");
        } else if kind.is_file() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What changes when a file's content does, short of reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// When the content was last written, as the writer states it.
    pub(crate) modified: SystemTime,
    /// When content or metadata last changed, as the system saw it; `modified` where it cannot say.
    pub(crate) changed: SystemTime,
    inode: u64,
}

impl Stamp {
    /// The stamp in a file's metadata.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let (inode, changed) = system_stamp(metadata);
        Self {
            size: metadata.len(),
            modified,
            changed: changed.unwrap_or(modified).max(modified),
            inode,
        }
    }
}

#[cfg(unix)]
fn system_stamp(metadata: &Metadata) -> (u64, Option<SystemTime>) {
    use std::os::unix::fs::MetadataExt as _;
    let since = u64::try_from(metadata.ctime())
        .ok()
        .zip(u32::try_from(metadata.ctime_nsec()).ok())
        .map(|(seconds, nanos)| std::time::Duration::new(seconds, nanos));
    let changed = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    (metadata.ino(), changed)
}

#[cfg(not(unix))]
fn system_stamp(_: &Metadata) -> (u64, Option<SystemTime>) {
    (0, None)
}
