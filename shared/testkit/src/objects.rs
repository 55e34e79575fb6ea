//! The conformance suite of [`Objects`]: a bucket that keeps versions.
//!
//! [`objects_checks!`](crate::objects_checks) makes a test of every check.

use futures_util::future::join_all;
use quorate_core::ports::{Objects, Put};

/// Makes a test of each check of the suite, by its name. `$run` takes each as an
/// `AsyncFnOnce(&Objects)`: it makes a bucket and an async runtime and awaits the check. See
/// [`ledger_checks!`](crate::ledger_checks) for an example.
#[macro_export]
macro_rules! objects_checks {
    ($(#[$attribute:meta])* $run:ident) => {
        $crate::checks!(
            $crate::objects, [$(#[$attribute])*], $run,
            an_object_is_what_was_put_last
            a_later_version_is_not_older
            of_many_puts_if_absent_one_creates
            what_was_read_stays_readable
            a_limit_cuts_an_object_off
            any_key_comes_back_as_it_was
            a_listing_is_whole_and_in_key_order
            a_prefix_is_no_folder
        );
    };
}

/// A bucket, and a prefix in it that a check has to itself.
#[derive(Debug)]
pub struct Case<'a, O> {
    /// The bucket.
    pub objects: &'a O,
    /// The prefix; it ends with `/`.
    pub prefix: String,
}

impl<'a, O: Objects> Case<'a, O> {
    /// A case under the prefix `name/`.
    #[must_use]
    pub fn new(objects: &'a O, name: &str) -> Self {
        let prefix = format!("{name}/");
        Self { objects, prefix }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn put(&self, name: &str, body: &[u8]) {
        assert_eq!(self.objects.put(&self.key(name), body).await, Ok(()));
    }

    /// The newest version under a key.
    async fn version(&self, name: &str) -> String {
        let head = self.objects.head(&self.key(name)).await;
        head.unwrap().unwrap().version
    }

    async fn get(&self, name: &str, version: &str, limit: u64) -> Option<Vec<u8>> {
        let got = self.objects.get(&self.key(name), version, limit).await;
        got.unwrap()
    }

    /// All keys behind the prefix and `start`, page by page.
    async fn list(&self, start: &str) -> Vec<String> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = self.objects.list(&self.key(start), after.as_deref()).await;
            let page = page.unwrap();
            assert!(page.items.len() <= 1000);
            keys.extend(page.items.into_iter().map(|meta| meta.key));
            after = page.next;
            if after.is_none() {
                return keys;
            }
        }
    }
}

/// A put replaces; what is not there is told as that.
pub async fn an_object_is_what_was_put_last(case: &Case<'_, impl Objects>) {
    assert!(!case.objects.bucket().is_empty());
    assert_eq!(case.objects.head(&case.key("a")).await, Ok(None));
    case.put("a", b"one").await;
    let first = case.objects.head(&case.key("a")).await.unwrap().unwrap();
    assert_eq!((first.key, first.size), (case.key("a"), 3));
    assert_eq!(case.get("a", &first.version, 9).await.unwrap(), b"one");
    case.put("a", b"second").await;
    let second = case.objects.head(&case.key("a")).await.unwrap().unwrap();
    assert_eq!(second.size, 6);
    assert_ne!(second.version, first.version);
    assert_eq!(case.get("a", &second.version, 9).await.unwrap(), b"second");
    case.put("empty", b"").await;
    let empty = case.version("empty").await;
    assert_eq!(case.get("empty", &empty, 9).await.unwrap(), b"");
    let listed = case.objects.list(&case.prefix, None).await.unwrap();
    let listed: Vec<_> = listed
        .items
        .into_iter()
        .map(|it| (it.version, it.size))
        .collect();
    assert_eq!(listed, [(second.version, 6), (empty, 0)]);
}

/// What came since the last look is told from what was there before it.
pub async fn a_later_version_is_not_older(case: &Case<'_, impl Objects>) {
    let modified = async || {
        let head = case.objects.head(&case.key("a")).await.unwrap().unwrap();
        let listed = case.objects.list(&case.key("a"), None).await.unwrap();
        // A head's time is in whole seconds on S3, a listing's may be in milliseconds.
        assert_eq!(head.modified.seconds(), listed.items[0].modified.seconds());
        head.modified
    };
    case.put("a", b"one").await;
    let first = modified().await;
    assert!(first.0 > 0, "{first}");
    case.put("a", b"second").await;
    assert!(first <= modified().await);
}

/// The commit point of results: the first writer wins, and nobody after it changes anything.
pub async fn of_many_puts_if_absent_one_creates(case: &Case<'_, impl Objects>) {
    let key = case.key("manifest.json");
    let bodies: Vec<Vec<u8>> = (0..6u8).map(|n| vec![n; 10_000]).collect();
    let puts = join_all(
        bodies
            .iter()
            .map(|body| case.objects.put_if_absent(&key, body)),
    )
    .await;
    let created: Vec<usize> = (0..6).filter(|n| puts[*n] == Ok(Put::Created)).collect();
    assert_eq!(created.len(), 1, "{puts:?}");
    // Writers at the same moment may be told to try again, but not that they created it.
    let again = case.objects.put_if_absent(&key, b"late").await;
    assert_eq!(again, Ok(Put::Existed));
    let version = case.version("manifest.json").await;
    let body = case.get("manifest.json", &version, 99_999).await.unwrap();
    assert_eq!(body, bodies[created[0]]);
}

/// What workers are shown is what was admitted, whatever is uploaded later.
pub async fn what_was_read_stays_readable(case: &Case<'_, impl Objects>) {
    case.put("1.jpg", b"first").await;
    let first = case.version("1.jpg").await;
    assert_eq!(case.get("1.jpg", &first, 99).await.unwrap(), b"first");
    case.put("1.jpg", b"second").await;
    let second = case.version("1.jpg").await;
    assert_eq!(case.get("1.jpg", &first, 99).await.unwrap(), b"first");
    assert_eq!(case.get("1.jpg", &second, 99).await.unwrap(), b"second");
}

/// Nobody has to take more bytes than wanted.
pub async fn a_limit_cuts_an_object_off(case: &Case<'_, impl Objects>) {
    case.put("1.jpg", b"0123456789").await;
    let version = case.version("1.jpg").await;
    assert_eq!(case.get("1.jpg", &version, 4).await.unwrap(), b"0123");
    assert_eq!(
        case.get("1.jpg", &version, 10).await.unwrap(),
        b"0123456789"
    );
    assert_eq!(
        case.get("1.jpg", &version, 11).await.unwrap(),
        b"0123456789"
    );
}

/// Keys are text, not URLs or paths of a shell.
pub async fn any_key_comes_back_as_it_was(case: &Case<'_, impl Objects>) {
    let names = [
        "a b.jpg",
        "a+b.jpg",
        "a%20b.jpg",
        "100%.jpg",
        "größe/日本語.png",
        "a&b=c;d,e?f#g.jpg",
        "x..y.jpg",
        "~*'\"!(){}[]^`|.jpg",
        "<tag>&amp;.jpg",
    ];
    for name in names {
        case.put(name, name.as_bytes()).await;
        let meta = case.objects.head(&case.key(name)).await.unwrap().unwrap();
        assert_eq!(meta.key, case.key(name));
        let bytes = case.get(name, &meta.version, 1000).await;
        assert_eq!(bytes.as_deref(), Some(name.as_bytes()), "{name}");
        let absent = case.objects.put_if_absent(&case.key(name), b"x").await;
        assert_eq!(absent, Ok(Put::Existed), "{name}");
    }
    let mut expected = names.map(|name| case.key(name));
    expected.sort();
    assert_eq!(case.list("").await, expected);
}

/// A sweep finds every upload, also in a folder of more than one page.
pub async fn a_listing_is_whole_and_in_key_order(case: &Case<'_, impl Objects>) {
    let mut expected: Vec<String> = (0..1100).map(|n| case.key(&format!("{n}.jpg"))).collect();
    for chunk in expected.chunks(50) {
        let puts = join_all(chunk.iter().map(|key| case.objects.put(key, b"x"))).await;
        assert!(puts.iter().all(Result::is_ok), "{puts:?}");
    }
    expected.sort();
    assert_eq!(case.list("").await, expected);
    assert_eq!(case.list("10").await.len(), 111);
    assert_eq!(case.list("y").await, [""; 0]);
    let from = case.objects.list(&case.prefix, Some(&expected[1097])).await;
    let from: Vec<String> = from.unwrap().items.into_iter().map(|it| it.key).collect();
    assert_eq!(from, expected[1098..]);
}

/// `a` is not in the way of `a/b`'s neighbours, and a listing by prefix is by text.
pub async fn a_prefix_is_no_folder(case: &Case<'_, impl Objects>) {
    let names = ["a-1", "a/1", "a/1.b", "a/1/2", "a0"];
    for name in names {
        if case.objects.put(&case.key(name), b"x").await.is_err() {
            // A folder of a file system cannot be a file, too.
            assert_eq!(name, "a/1/2");
        }
    }
    let mut listed = case.list("a").await;
    listed.retain(|key| *key != case.key("a/1/2"));
    let expected = ["a-1", "a/1", "a/1.b", "a0"].map(|name| case.key(name));
    assert_eq!(listed, expected);
    assert_eq!(case.list("a/1.").await, [case.key("a/1.b")]);
}
