//! A bucket with versioning, as S3 has it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::ports::{Clock as _, ObjectMeta, Objects, Page, PortResult, Put};
use quorate_core::time::Timestamp;

use super::SimClock;

/// Versions in a page of a listing.
const PAGE: usize = 1000;

/// An [`Objects`] in memory. Versions are named by a counter, so that the same puts in the same
/// order make the same versions.
#[derive(Debug)]
pub struct SimObjects {
    name: String,
    clock: SimClock,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The number of the last version.
    last: u64,
    /// The versions under each key, the oldest first.
    keys: BTreeMap<String, Vec<Version>>,
}

#[derive(Clone, Debug)]
struct Version {
    id: String,
    /// None for a delete marker.
    body: Option<Arc<[u8]>>,
    modified: Timestamp,
}

impl SimObjects {
    /// An empty bucket.
    #[must_use]
    pub fn new(name: &str, clock: SimClock) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            state: Mutex::default(),
        }
    }

    /// A bucket of its own with all that is in this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            name: self.name.clone(),
            clock: self.clock.clone(),
            state: Mutex::new(self.lock().clone()),
        }
    }

    /// Puts an object; its version.
    pub fn upload(&self, key: &str, body: &[u8]) -> String {
        let now = self.now();
        self.lock().push(key, Some(body.into()), now)
    }

    /// Puts a delete marker on top of what is under `key`: it is gone from `head` and `list`, and
    /// its versions stay readable.
    pub fn delete(&self, key: &str) {
        let now = self.now();
        self.lock().push(key, None, now);
    }

    /// What is there now: the newest version under each key that is not deleted.
    #[must_use]
    pub fn current(&self) -> BTreeMap<String, Arc<[u8]>> {
        let state = self.lock();
        let newest = |(key, versions): (&String, &Vec<Version>)| {
            let body = versions.last()?.body.clone()?;
            Some((key.clone(), body))
        };
        state.keys.iter().filter_map(newest).collect()
    }

    /// Now, as S3 tells it: in whole seconds.
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().seconds() * 1000)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, key: &str, body: Option<Arc<[u8]>>, modified: Timestamp) -> String {
        self.last += 1;
        let id = format!("v{}", self.last);
        let versions = self.keys.entry(key.to_owned()).or_default();
        versions.push(Version {
            id: id.clone(),
            body,
            modified,
        });
        id
    }

    fn newest(&self, key: &str) -> Option<ObjectMeta> {
        meta(key, self.keys.get(key)?)
    }
}

/// The newest of a key's versions, if it is not a delete marker.
fn meta(key: &str, versions: &[Version]) -> Option<ObjectMeta> {
    let newest = versions.last()?;
    let size = newest.body.as_ref()?.len();
    Some(ObjectMeta {
        key: key.to_owned(),
        version: newest.id.clone(),
        size: u64::try_from(size).unwrap_or(u64::MAX),
        modified: newest.modified,
    })
}

impl Objects for SimObjects {
    fn bucket(&self) -> &str {
        &self.name
    }

    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        Ok(self.lock().newest(key))
    }

    async fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        let state = self.lock();
        let versions = state.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().find(|found| found.id == version);
        let body = found.and_then(|found| found.body.as_deref());
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(body.map(|body| body.iter().copied().take(limit).collect()))
    }

    /// As on S3 a page is one of *all* versions, of which only the newest ones are given: it may
    /// have less than 1000 items, even none, before there are no more.
    async fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let state = self.lock();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = state.keys.range::<str, _>((from, Bound::Unbounded));
        let (mut items, mut seen, mut last) = (Vec::new(), 0, None);
        for (key, versions) in keys.take_while(|(key, _)| key.starts_with(prefix)) {
            if seen >= PAGE {
                return Ok(Page { items, next: last });
            }
            items.extend(meta(key, versions));
            seen += versions.len();
            last = Some(key.clone());
        }
        Ok(Page { items, next: None })
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        self.upload(key, body);
        Ok(())
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let now = self.now();
        let mut state = self.lock();
        if state.newest(key).is_some() {
            return Ok(Put::Existed);
        }
        state.push(key, Some(body.into()), now);
        Ok(Put::Created)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::ledger::{NOON, at};

    /// The answer of a future that is ready at once.
    fn now<T>(future: impl Future<Output = PortResult<T>>) -> T {
        future.now_or_never().unwrap().unwrap()
    }

    fn bucket() -> SimObjects {
        SimObjects::new("uploads", SimClock::new(NOON))
    }

    fn run(check: impl AsyncFnOnce(&SimObjects)) {
        check(&bucket()).now_or_never().unwrap();
    }

    crate::objects_checks!(run);

    #[test]
    fn what_is_deleted_is_gone_but_its_versions_stay() {
        let bucket = bucket();
        now(bucket.put("a", b"one"));
        let version = now(bucket.head("a")).unwrap().version;
        let fork = bucket.fork();
        bucket.delete("a");
        assert_eq!(now(bucket.head("a")), None);
        assert_eq!(now(bucket.list("", None)).items, []);
        assert!(bucket.current().is_empty());
        assert_eq!(now(bucket.get("a", &version, 9)).unwrap(), b"one");
        assert_eq!(now(bucket.get("a", "v2", 9)), None);
        assert_eq!(now(bucket.put_if_absent("a", b"two")), Put::Created);
        assert_eq!(now(bucket.head("a")).unwrap().version, "v3");
        // The other bucket knows nothing of it.
        assert_eq!(&*fork.current()["a"], b"one");
    }

    #[test]
    fn a_page_may_be_empty_and_not_the_last() {
        let bucket = bucket();
        for _ in 0..PAGE {
            bucket.delete("a");
        }
        now(bucket.put("b", b""));
        let page = now(bucket.list("", None));
        assert_eq!((page.items, page.next.as_deref()), (vec![], Some("a")));
        let page = now(bucket.list("", Some("a")));
        assert_eq!((page.items[0].key.as_str(), page.next), ("b", None));
    }

    #[test]
    fn an_object_came_in_a_second() {
        let clock = SimClock::new(Timestamp(at(1).0 + 999));
        let bucket = SimObjects::new("uploads", clock.clone());
        let first = bucket.upload("a", b"one");
        clock.set(at(2));
        bucket.upload("b", b"two");
        let objects = now(bucket.list("", None)).items;
        let modified = objects.iter().map(|it| it.modified);
        assert_eq!(modified.collect::<Vec<_>>(), [at(1), at(2)]);
        assert_eq!(objects[0].version, first);
    }
}
