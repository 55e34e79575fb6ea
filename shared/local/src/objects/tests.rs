use std::collections::BTreeMap;
use std::sync::Barrier;

use proptest::prelude::*;

use super::*;

/// When the places of these tests are made.
const MORNING: Timestamp = Timestamp(1_767_225_600_000);

struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    store: PathBuf,
    clock: Clock,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    Place {
        _folder: folder,
        root: base.join("uploads"),
        store: base.join("versions"),
        clock: Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()),
    }
}

impl Place {
    fn folder(&self) -> Folder {
        Folder::keeping("uploads", &self.root, &self.store, self.clock.clone()).unwrap()
    }

    fn write(&self, key: &str, body: &[u8]) {
        let path = self.root.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }

    fn delete(&self, key: &str) {
        fs::remove_file(self.root.join(key)).unwrap();
    }

    /// Sets a file's times back, so that it counts as settled.
    fn age(&self, key: &str) {
        let file = File::options()
            .write(true)
            .open(self.root.join(key))
            .unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(hour_ago).unwrap();
    }
}

fn run(check: impl AsyncFnOnce(&Folder)) {
    let place = place();
    let folder = place.folder();
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(check(&folder));
}

quorate_testkit::objects_checks!(run);

#[tokio::test]
async fn a_file_came_when_it_was_first_seen_as_it_is() {
    let place = place();
    let folder = place.folder();
    let modified = async || folder.head("cats/1.jpg").await.unwrap().unwrap().modified;
    place.write("cats/1.jpg", b"first");
    place.age("cats/1.jpg");
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(modified().await, MORNING.plus(Duration::from_secs(60)));
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(modified().await, MORNING.plus(Duration::from_secs(60)));
    place.write("cats/1.jpg", b"second");
    let listed = folder.list("cats/", None).await.unwrap();
    assert_eq!(
        listed.items[0].modified,
        MORNING.plus(Duration::from_secs(120))
    );
    // A folder that is moved here brings files of any age.
    fs::create_dir(place.root.join("old")).unwrap();
    fs::rename(place.root.join("cats"), place.root.join("old/cats")).unwrap();
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(folder.head("cats/1.jpg").await, Ok(None));
    fs::rename(place.root.join("old/cats"), place.root.join("cats")).unwrap();
    assert_eq!(modified().await, MORNING.plus(Duration::from_secs(180)));
}

async fn list(folder: &Folder, prefix: &str) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = folder.list(prefix, after.as_deref()).await.unwrap();
        assert!(page.items.len() <= PAGE);
        keys.extend(page.items.into_iter().map(|meta| meta.key));
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

async fn version(folder: &Folder, key: &str) -> String {
    folder.head(key).await.unwrap().unwrap().version
}

#[tokio::test]
async fn any_name_that_a_file_can_have_is_a_key() {
    let place = place();
    let folder = place.folder();
    let keys = [
        "cells/images/a b+c%20&?#.jpg",
        "cells/images/größe/日本語.png",
        "cells/images/line\nbreak.jpg",
        "cells/images/x..y.jpg",
        "cells/images/~*'\"\\.jpg",
    ];
    for key in keys {
        folder.put(key, key.as_bytes()).await.unwrap();
        let meta = folder.head(key).await.unwrap().unwrap();
        assert_eq!((meta.key.as_str(), meta.size), (key, key.len() as u64));
        let bytes = folder.get(key, &meta.version, 1000).await.unwrap();
        assert_eq!(bytes.as_deref(), Some(key.as_bytes()));
    }
    let mut expected = keys.map(str::to_owned);
    expected.sort();
    assert_eq!(list(&folder, "cells/").await, expected);
}

#[tokio::test]
async fn a_key_never_leaves_the_folder() {
    let place = place();
    let folder = place.folder();
    place.write("../secret.txt", b"secret");
    for key in [
        "../secret.txt",
        "a/../../secret.txt",
        "/etc/passwd",
        "a//b",
        "a/",
        "",
        ".",
        "a/./b",
        ".hidden",
        "nul\0",
    ] {
        let refused = |error: PortError| matches!(error, PortError::Refused(_));
        assert!(folder.head(key).await.is_err_and(refused), "{key:?}");
        assert!(
            folder
                .get(key, &"0".repeat(32), 9)
                .await
                .is_err_and(refused),
            "{key:?}"
        );
        assert!(folder.put(key, b"x").await.is_err_and(refused), "{key:?}");
        assert!(
            folder.put_if_absent(key, b"x").await.is_err_and(refused),
            "{key:?}"
        );
    }
    assert_eq!(
        fs::read(place.root.join("../secret.txt")).unwrap(),
        b"secret"
    );
    let version = "../secret.txt";
    assert_eq!(folder.get("a", version, 9).await, Ok(None));
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let place = place();
    let folder = place.folder();
    place.write("../outside/secret.jpg", b"secret");
    place.write("cells/images/1.jpg", b"mine");
    let outside = place.root.join("../outside");
    symlink(&outside, place.root.join("cells/link")).unwrap();
    symlink(
        outside.join("secret.jpg"),
        place.root.join("cells/images/2.jpg"),
    )
    .unwrap();
    assert_eq!(list(&folder, "").await, ["cells/images/1.jpg"]);
    for key in ["cells/link/secret.jpg", "cells/images/2.jpg"] {
        assert_eq!(folder.head(key).await, Ok(None));
        let version = text(&digest(b"secret"));
        assert_eq!(folder.get(key, &version, 99).await, Ok(None));
    }
    assert!(folder.put("cells/link/new.jpg", b"x").await.is_err());
    assert!(!outside.join("new.jpg").exists());
}

#[tokio::test]
async fn a_version_is_told_by_the_bytes() {
    let place = place();
    let folder = place.folder();
    place.write("a/1", b"one");
    place.write("a/2", b"one");
    let first = version(&folder, "a/1").await;
    assert_eq!(first, &hex(&Sha256::digest(b"one"))[..32]);
    assert_eq!(version(&folder, "a/2").await, first);
    place.age("a/1");
    assert_eq!(version(&folder, "a/1").await, first);
    // The same length and the same stated time: only the content tells.
    place.write("a/1", b"two");
    place.age("a/1");
    assert_ne!(version(&folder, "a/1").await, first);
    let reopened = place.folder();
    assert_eq!(version(&reopened, "a/2").await, first);
    assert_eq!(folder.head("a/3").await, Ok(None));
    assert_eq!(folder.head("a").await, Ok(None));
    assert_eq!(folder.head("a/1/x").await, Ok(None));
}

#[tokio::test]
async fn what_was_read_whole_stays_readable() {
    let place = place();
    let folder = place.folder();
    place.write("a/1", b"first");
    let first = version(&folder, "a/1").await;
    let get = async |version: &str, limit| folder.get("a/1", version, limit).await.unwrap();
    assert_eq!(get(&first, 5).await.unwrap(), b"first");
    place.write("a/1", b"second");
    assert_eq!(get(&first, 99).await.unwrap(), b"first");
    assert_eq!(get(&first, 2).await.unwrap(), b"fi");
    let second = version(&folder, "a/1").await;
    assert_eq!(get(&second, 99).await.unwrap(), b"second");
    place.delete("a/1");
    let after_restart = place.folder();
    let kept = after_restart.get("a/1", &second, 99).await.unwrap();
    assert_eq!(kept.unwrap(), b"second");
    assert!(folder.open("a/1", &first).await.unwrap().is_some());
    assert_eq!(get(&"0".repeat(32), 99).await, None);
}

#[tokio::test]
async fn a_version_that_nobody_read_is_gone_with_its_file() {
    let place = place();
    let folder = place.folder();
    place.write("a/1", b"first");
    let first = version(&folder, "a/1").await;
    let begun = folder.get("a/1", &first, 2).await.unwrap();
    assert_eq!(begun.unwrap(), b"fi");
    place.write("a/1", b"second");
    assert_eq!(folder.get("a/1", &first, 2).await, Ok(None));
    assert_eq!(folder.get("a/1", &first, 99).await, Ok(None));
    assert!(folder.open("a/1", &first).await.unwrap().is_none());
}

#[tokio::test]
async fn opening_a_version_keeps_it() {
    let place = place();
    let folder = place.folder();
    place.write("a/1", b"first");
    let first = version(&folder, "a/1").await;
    let file = folder.open("a/1", &first).await.unwrap().unwrap();
    fs::write(place.root.join("a/1"), b"second").unwrap();
    assert_eq!(read(file, 99).unwrap(), b"first");
}

#[tokio::test]
async fn a_damaged_copy_is_made_again() {
    let place = place();
    let folder = place.folder();
    place.write("a/1", b"first");
    let first = version(&folder, "a/1").await;
    let get = async || folder.get("a/1", &first, 99).await.unwrap();
    get().await.unwrap();
    // What a power cut may leave.
    fs::write(place.store.join(&first), b"").unwrap();
    assert_eq!(get().await.unwrap(), b"first");
    assert_eq!(fs::read(place.store.join(&first)).unwrap(), b"first");
    fs::write(place.store.join(&first), b"other").unwrap();
    place.delete("a/1");
    assert_eq!(get().await, None);
}

#[tokio::test]
async fn a_put_replaces_and_a_put_if_absent_does_not() {
    let place = place();
    let folder = place.folder();
    assert_eq!(
        folder.put_if_absent("r/a.csv", b"1").await,
        Ok(Put::Created)
    );
    assert_eq!(
        folder.put_if_absent("r/a.csv", b"2").await,
        Ok(Put::Existed)
    );
    assert_eq!(fs::read(place.root.join("r/a.csv")).unwrap(), b"1");
    folder.put("r/a.csv", b"3").await.unwrap();
    assert_eq!(fs::read(place.root.join("r/a.csv")).unwrap(), b"3");
    let left: Vec<_> = fs::read_dir(place.root.join("r")).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file was left");
    let error = folder.put("r/a.csv/b", b"x").await.unwrap_err();
    let in_the_way = folder.root().join("r/a.csv").display().to_string();
    assert!(error.to_string().starts_with(&in_the_way), "{error}");
}

#[test]
fn what_a_killed_writer_left_is_removed_and_nothing_else() {
    let place = place();
    let folder = place.folder();
    for key in ["a/b/.quorate-x", "a/.other", "a/b/1"] {
        place.write(key, b"x");
    }
    folder.remove_unfinished().unwrap();
    assert!(!place.root.join("a/b/.quorate-x").exists());
    assert!(place.root.join("a/.other").exists() && place.root.join("a/b/1").exists());
}

#[test]
fn of_many_writers_one_creates() {
    let place = place();
    let start = Barrier::new(8);
    let outcomes: Vec<(u8, Put)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8u8)
            .map(|n| {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let folder = place.folder();
                    start.wait();
                    let put = folder.inner.put_if_absent("r/manifest", &[n; 100_000]);
                    (n, put.unwrap())
                })
            })
            .collect();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let created: Vec<u8> = outcomes
        .iter()
        .filter(|(_, put)| *put == Put::Created)
        .map(|(n, _)| *n)
        .collect();
    assert_eq!(created.len(), 1, "{outcomes:?}");
    let body = fs::read(place.root.join("r/manifest")).unwrap();
    assert_eq!(body, [created[0]; 100_000]);
}

#[tokio::test]
async fn hidden_files_are_no_objects() {
    let place = place();
    let folder = place.folder();
    for key in ["a/.DS_Store", "a/.quorate-x", ".git/config", "a/1"] {
        place.write(key, b"x");
    }
    assert_eq!(list(&folder, "").await, ["a/1"]);
}

#[tokio::test]
async fn a_long_listing_comes_in_pages() {
    let place = place();
    let folder = place.folder();
    let mut keys: Vec<String> = (0..2500).map(|n| format!("a/{n}.jpg")).collect();
    for key in &keys {
        place.write(key, b"x");
    }
    keys.sort();
    let first = folder.list("a/", None).await.unwrap();
    assert_eq!(
        (first.items.len(), first.next),
        (PAGE, Some(keys[PAGE - 1].clone()))
    );
    assert_eq!(list(&folder, "a/").await, keys);
    assert_eq!(list(&folder, "a/24").await.len(), 111);
    assert_eq!(list(&folder, "b").await, [""; 0]);
}

fn key() -> impl Strategy<Value = String> {
    // Few letters, among them those that sort around the slash: `.` and `-` before, `0` behind.
    prop::collection::vec("[a0][a0.-]{0,2}", 1..4).prop_map(|segments| segments.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn keys_are_listed_in_byte_order_from_anywhere(
        keys in prop::collection::vec(key(), 1..20),
        prefix in "[a0]{0,1}/{0,1}",
        after in proptest::option::of(key()),
    ) {
        let place = place();
        let folder = place.folder();
        let mut written = BTreeMap::new();
        for key in keys {
            // A file where another key needs a folder (or the reverse) cannot be.
            if folder.inner.put(&key, key.as_bytes()).is_ok() {
                written.insert(key, ());
            }
        }
        let expected: Vec<&String> = written
            .keys()
            .filter(|key| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| after < *key))
            .collect();
        let page = folder.inner.list(&prefix, after.as_deref()).unwrap();
        let listed: Vec<&String> = page.items.iter().map(|meta| &meta.key).collect();
        prop_assert_eq!(listed, expected);
    }
}
