//! A folder that tells of its files as a bucket tells of its objects: one key for every file that
//! came or changed, once it is whole.
//!
//! Three things make sure that no file is missed: the system's notifications tell of most at once;
//! a sweep at the start tells of every file that is there; and a sweep every half minute tells of
//! what changed without a notification. A folder that appears is swept soon after, because files
//! may have been put into it before it was watched.
//!
//! A file is whole when the system says that its writer closed it or moved it here (Linux does), or
//! when nobody has written to it for a while.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::objects::tree::{self, Stamp};

/// How long a file must be left alone to count as whole, if nobody was seen to write to it.
const QUIET: Duration = Duration::from_secs(1);
/// The same for a file that somebody was seen to write to. Where the system tells when a file is
/// closed, that is waited for: a copy over the network may stall for long.
const UNCLOSED: Duration = if cfg!(target_os = "linux") {
    Duration::from_secs(30)
} else {
    QUIET
};
/// How often files that may become quiet are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often everything is looked at.
const SWEEP: Duration = Duration::from_secs(30);
/// When to sweep after a folder appeared.
const SOON: Duration = Duration::from_millis(500);
/// Keys that wait to be received.
const QUEUE: usize = 1024;

/// Watches a folder until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    touched: Arc<Touched>,
    _system: Option<RecommendedWatcher>,
}

impl Watcher {
    /// Watches `root` and everything below it. The receiver gets the key of every file that is
    /// there, and then of every file that comes or changes; a key may come more than once. If the
    /// system cannot watch the folder, that is logged and the sweeps alone find files.
    ///
    /// # Errors
    /// If the folder is not there or no thread can be started.
    pub fn start(root: &Path) -> io::Result<(Self, mpsc::Receiver<String>)> {
        let root = root.canonicalize()?;
        let touched = Arc::new(Touched::default());
        let system = watch(&root, &touched)
            .inspect_err(|error| {
                let seconds = SWEEP.as_secs();
                tracing::warn!(%error, "cannot watch {}: its files are found within {seconds} s", root.display());
            })
            .ok();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let run = Run {
            root,
            touched: Arc::clone(&touched),
            sender,
            settling: Settling::default(),
        };
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || run.run())?;
        let watcher = Self {
            touched,
            _system: system,
        };
        Ok((watcher, receiver))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.touched.change(|news| news.stop = true);
    }
}

/// What is known of a file's writer. Later ones outdo earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    /// None was seen.
    Unseen,
    /// One was seen to write.
    Writing,
    /// It is done.
    Done,
}

/// What notifications have told since they were last looked at.
#[derive(Debug, Default)]
struct News {
    /// Ordered, so that keys come in order.
    paths: BTreeMap<PathBuf, Writer>,
    /// Everything must be looked at.
    sweep: bool,
    stop: bool,
}

/// News on their way from the system's thread to ours.
#[derive(Debug, Default)]
struct Touched {
    news: Mutex<News>,
    changed: Condvar,
}

impl Touched {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// The news, after at most `timeout`.
    fn take(&self, timeout: Duration) -> News {
        let nothing = |news: &mut News| news.paths.is_empty() && !news.sweep && !news.stop;
        let (mut news, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *news)
    }
}

fn watch(root: &Path, touched: &Arc<Touched>) -> notify::Result<RecommendedWatcher> {
    let touched = Arc::clone(touched);
    let config = notify::Config::default().with_follow_symlinks(false);
    let handler = move |event: notify::Result<Event>| match event {
        Ok(event) => touched.change(|news| news.add(event)),
        Err(error) => {
            tracing::warn!(%error, "a notification of the file system was lost; looking at all files");
            touched.change(|news| news.sweep = true);
        }
    };
    let mut system = RecommendedWatcher::new(handler, config)?;
    system.watch(root, RecursiveMode::Recursive)?;
    Ok(system)
}

impl News {
    fn add(&mut self, event: Event) {
        let writer = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Writer::Done,
            EventKind::Create(CreateKind::Folder) => {
                self.sweep = true;
                return;
            }
            EventKind::Access(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => {
                Writer::Writing
            }
        };
        self.sweep |= event.need_rescan();
        for path in event.paths {
            let known = self.paths.entry(path).or_insert(writer);
            *known = writer.max(*known);
        }
    }
}

/// The thread that turns news into keys.
struct Run {
    root: PathBuf,
    touched: Arc<Touched>,
    sender: mpsc::Sender<String>,
    settling: Settling,
}

impl Run {
    fn run(mut self) {
        let mut next_sweep = Instant::now();
        loop {
            let pause = next_sweep.saturating_duration_since(Instant::now());
            let pause = if self.settling.waiting.is_empty() {
                pause
            } else {
                pause.min(LOOK)
            };
            let news = self.touched.take(pause);
            if news.stop || self.sender.is_closed() {
                return;
            }
            let now = Instant::now();
            let mut ready = Vec::new();
            for (path, writer) in news.paths {
                match std::fs::symlink_metadata(&path) {
                    Ok(metadata) if metadata.is_dir() => {
                        next_sweep = next_sweep.min(now + SOON);
                    }
                    _ => ready.extend(self.look(&path, writer, now)),
                }
            }
            if news.sweep {
                next_sweep = next_sweep.min(now + SOON);
            }
            if next_sweep <= now {
                ready.extend(self.sweep(now));
                next_sweep = Instant::now() + SWEEP;
            }
            ready.extend(self.look_again(now));
            for key in ready {
                if self.sender.blocking_send(key).is_err() {
                    return;
                }
            }
        }
    }

    /// The key of a path, if its file is to be told of now.
    fn look(&mut self, path: &Path, writer: Writer, now: Instant) -> Option<String> {
        let key = tree::key_of(&self.root, path)?;
        let stamp = self.stamp(&key);
        self.settling
            .observe(&key, stamp, writer, now)
            .then_some(key)
    }

    fn look_again(&mut self, now: Instant) -> Vec<String> {
        let keys: Vec<String> = self.settling.waiting.keys().cloned().collect();
        keys.into_iter()
            .filter(|key| {
                let stamp = self.stamp(key);
                self.settling.observe(key, stamp, Writer::Unseen, now)
            })
            .collect()
    }

    fn sweep(&mut self, now: Instant) -> Vec<String> {
        let mut keys = Vec::new();
        let walked = tree::walk(&self.root, "", None, &mut |key| {
            keys.push(key);
            ControlFlow::Continue(())
        });
        if let Err(error) = walked {
            tracing::warn!(%error, "not all files were looked at; trying again in {} s", SWEEP.as_secs());
        } else {
            self.settling.forget_all_but(&keys);
        }
        keys.retain(|key| {
            let stamp = self.stamp(key);
            self.settling.observe(key, stamp, Writer::Unseen, now)
        });
        keys
    }

    fn stamp(&self, key: &str) -> Option<Stamp> {
        let path = tree::path_of(&self.root, key).ok()?;
        let metadata = tree::plain_file(&self.root, &path).ok()??;
        Some(Stamp::of(&metadata))
    }
}

/// Which files have been told of, and which wait to become whole.
#[derive(Default)]
struct Settling {
    told: HashMap<String, Stamp>,
    /// Ordered, so that keys come in order.
    waiting: BTreeMap<String, Waiting>,
}

/// A file that may not be whole.
#[derive(Clone, Copy)]
struct Waiting {
    stamp: Stamp,
    /// Since when it has this stamp.
    since: Instant,
    writer: Writer,
}

impl Settling {
    /// Whether a file with this stamp (none if it is gone) is to be told of now.
    fn observe(&mut self, key: &str, stamp: Option<Stamp>, writer: Writer, now: Instant) -> bool {
        let Some(stamp) = stamp.filter(|stamp| self.told.get(key) != Some(stamp)) else {
            self.waiting.remove(key);
            return false;
        };
        let mut waiting = Waiting {
            stamp,
            since: now,
            writer,
        };
        match self.waiting.get(key) {
            Some(before) if before.stamp == stamp => {
                waiting.since = before.since;
                waiting.writer = before.writer.max(writer);
            }
            // One that was done has begun again.
            Some(before) if before.writer == Writer::Writing => {
                waiting.writer = Writer::Writing.max(writer);
            }
            _ => {}
        }
        let whole = waiting.is_whole(now);
        if whole {
            self.waiting.remove(key);
            self.told.insert(key.to_owned(), stamp);
        } else {
            self.waiting.insert(key.to_owned(), waiting);
        }
        whole
    }

    /// Forgets files that are gone. `keys` is sorted.
    fn forget_all_but(&mut self, keys: &[String]) {
        self.told.retain(|key, _| keys.binary_search(key).is_ok());
    }
}

impl Waiting {
    fn is_whole(&self, now: Instant) -> bool {
        let enough = match self.writer {
            // Some programs create a file, close it, and open it again to write.
            Writer::Done if self.stamp.size > 0 => return true,
            Writer::Unseen | Writer::Done => QUIET,
            Writer::Writing => UNCLOSED,
        };
        let unwritten = SystemTime::now().duration_since(self.stamp.modified);
        let watched = now.saturating_duration_since(self.since);
        watched >= enough || unwritten.is_ok_and(|unwritten| unwritten >= enough)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;

    struct Watched {
        _folder: tempfile::TempDir,
        root: PathBuf,
    }

    fn watched() -> Watched {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("uploads");
        fs::create_dir_all(root.join("cells/images")).unwrap();
        Watched {
            _folder: folder,
            root,
        }
    }

    impl Watched {
        fn write(&self, key: &str, body: &[u8]) {
            fs::write(self.root.join(key), body).unwrap();
        }

        fn stamp(&self, key: &str) -> Option<Stamp> {
            let metadata = fs::metadata(self.root.join(key)).ok()?;
            Some(Stamp::of(&metadata))
        }
    }

    /// Receives until `wanted` came; other keys before it are handed back.
    async fn receive(keys: &mut mpsc::Receiver<String>, wanted: &str) -> Vec<String> {
        let mut others = Vec::new();
        let received = tokio::time::timeout(Duration::from_secs(60), async {
            while let Some(key) = keys.recv().await {
                if key == wanted {
                    return;
                }
                others.push(key);
            }
            panic!("the watcher ended");
        });
        received.await.expect("the key never came");
        others
    }

    #[tokio::test]
    async fn files_are_told_of_whenever_they_come() {
        let folder = watched();
        folder.write("cells/images/before.jpg", b"x");
        let (watcher, mut keys) = Watcher::start(&folder.root).unwrap();
        receive(&mut keys, "cells/images/before.jpg").await;
        folder.write("cells/images/a b+%\n.jpg", b"x");
        receive(&mut keys, "cells/images/a b+%\n.jpg").await;
        // Moved here, after it was written elsewhere.
        folder.write("../elsewhere.jpg", b"x");
        let moved = folder.root.join("cells/images/moved.jpg");
        fs::rename(folder.root.join("../elsewhere.jpg"), moved).unwrap();
        receive(&mut keys, "cells/images/moved.jpg").await;
        // Changed.
        folder.write("cells/images/before.jpg", b"xy");
        receive(&mut keys, "cells/images/before.jpg").await;
        drop(watcher);
        while keys.recv().await.is_some() {}
    }

    #[tokio::test]
    async fn files_in_new_folders_are_told_of() {
        let folder = watched();
        let (_watcher, mut keys) = Watcher::start(&folder.root).unwrap();
        // Complete before it is moved in: nobody is seen to write its files.
        fs::create_dir_all(folder.root.join("../made/golden/cat")).unwrap();
        folder.write("../made/golden/cat/1.jpg", b"x");
        fs::rename(folder.root.join("../made"), folder.root.join("dogs")).unwrap();
        receive(&mut keys, "dogs/golden/cat/1.jpg").await;
        fs::create_dir_all(folder.root.join("birds/images/a/b")).unwrap();
        folder.write("birds/images/a/b/1.jpg", b"x");
        receive(&mut keys, "birds/images/a/b/1.jpg").await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_is_being_written_is_not_told_of() {
        let folder = watched();
        let (_watcher, mut keys) = Watcher::start(&folder.root).unwrap();
        let mut slow = File::create(folder.root.join("cells/images/slow.jpg")).unwrap();
        slow.write_all(b"half").unwrap();
        folder.write("cells/images/quick.jpg", b"x");
        assert_eq!(
            receive(&mut keys, "cells/images/quick.jpg").await,
            [""; 0],
            "the half-written file came first"
        );
        slow.write_all(b"whole").unwrap();
        drop(slow);
        receive(&mut keys, "cells/images/slow.jpg").await;
    }

    #[tokio::test]
    async fn many_files_at_once_all_come() {
        let folder = watched();
        let (_watcher, mut keys) = Watcher::start(&folder.root).unwrap();
        let root = folder.root.clone();
        let writer = std::thread::spawn(move || {
            for n in 0..3000 {
                fs::write(root.join(format!("cells/images/{n}.jpg")), b"x").unwrap();
            }
        });
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 3000 {
            let key = tokio::time::timeout(Duration::from_secs(60), keys.recv());
            seen.insert(key.await.expect("files are missing").unwrap());
        }
        writer.join().unwrap();
    }

    #[test]
    fn a_file_is_told_of_when_it_is_whole() {
        let folder = watched();
        let start = Instant::now();
        let mut settling = Settling::default();
        let mut observe = |time: Duration, writer: Writer| {
            settling.observe("1.jpg", folder.stamp("1.jpg"), writer, start + time)
        };
        let (instant, seconds) = (Duration::from_millis(1), Duration::from_secs);
        folder.write("1.jpg", b"");
        assert!(
            !observe(seconds(0), Writer::Done),
            "it may only be the beginning"
        );
        folder.write("1.jpg", b"half");
        assert!(!observe(seconds(1), Writer::Writing));
        let unclosed = seconds(1) + UNCLOSED;
        assert!(!observe(unclosed - instant, Writer::Unseen));
        assert!(observe(unclosed, Writer::Unseen), "its writer is silent");
        assert!(!observe(unclosed, Writer::Done), "it was told of");
        folder.write("1.jpg", b"whole");
        assert!(observe(unclosed, Writer::Done));
        fs::remove_file(folder.root.join("1.jpg")).unwrap();
        assert!(!observe(unclosed, Writer::Done));
        folder.write("1.jpg", b"found in a sweep");
        assert!(!observe(seconds(100), Writer::Unseen));
        assert!(!observe(seconds(100) + QUIET - instant, Writer::Unseen));
        assert!(observe(seconds(100) + QUIET, Writer::Unseen));
    }

    #[test]
    fn a_file_that_was_left_alone_for_long_is_told_of_at_once() {
        let folder = watched();
        folder.write("1.jpg", b"x");
        let file = File::options().write(true).open(folder.root.join("1.jpg"));
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        file.unwrap().set_modified(hour_ago).unwrap();
        let mut settling = Settling::default();
        let stamp = folder.stamp("1.jpg");
        assert!(settling.observe("1.jpg", stamp, Writer::Writing, Instant::now()));
    }

    #[test]
    fn only_what_may_have_changed_a_file_is_news() {
        let mut news = News::default();
        let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let read = AccessKind::Close(AccessMode::Read);
        news.add(event(EventKind::Access(read), "read"));
        news.add(event(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            "open",
        ));
        news.add(event(EventKind::Create(CreateKind::File), "written"));
        let closed = AccessKind::Close(AccessMode::Write);
        news.add(event(EventKind::Access(closed), "written"));
        news.add(event(EventKind::Modify(ModifyKind::Any), "written"));
        let expected = BTreeMap::from([(PathBuf::from("written"), Writer::Done)]);
        assert_eq!(news.paths, expected);
        assert!(!news.sweep);
        news.add(event(EventKind::Create(CreateKind::Folder), "folder"));
        assert!(news.sweep, "there may be files in it already");
    }
}
