//! Requests made of any bytes. An input is read as a list of choices: which requests, and what of
//! their bodies, parameters and bytes is changed. [`Raw::send`] checks every answer.
//!
//! As a test it runs the same inputs every time, and those in `tests/fuzz`, which found something
//! once. By hand libFuzzer looks for inputs that reach new code: `./test fuzz`.

use std::mem::discriminant;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::raw::{Known, Raw, Sample, TEXTS, pointers, samples};

/// Inputs of the ordinary test, and the most bytes of one.
const INPUTS: u64 = 100;
const MOST_BYTES: usize = 400;

/// The most requests of one input.
const MOST_REQUESTS: usize = 12;

/// What all inputs begin with: one of everything, in a folder that each copies.
struct Start {
    folder: tempfile::TempDir,
    known: Known,
    /// Without a body, and with one.
    samples: (Vec<Sample>, Vec<Sample>),
}

static START: LazyLock<Start> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let known = run(async { Raw::new(folder.path()).await.known });
    // It would call the receiver.
    let samples = samples(&known).into_iter();
    let samples = samples.filter(|one| !one.route.ends_with("/test"));
    let samples = samples.partition(|one| one.body.is_null());
    Start {
        folder,
        samples,
        known,
    }
});

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Choices out of bytes; after the last one they are all 0.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `most`, which is not 0.
    fn below(&mut self, most: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % most
    }

    fn pick<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        &of[self.below(of.len())]
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

/// Values at the edges of what fields hold.
static EDGES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut edges = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(100),
        json!(30_000),
        json!(30_001),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!(0.005),
        json!(0.000_000_001),
        json!(1e18),
        json!(1e30),
        json!(-1e308),
        json!(5e-324),
        json!(1e-28),
        json!(""),
        json!(" "),
        json!("\0"),
        json!("0"),
        json!("-1"),
        json!("1e400"),
        json!("NaN"),
        json!("9223372036854775807"),
        json!("79228162514264337593543950335"),
        json!("0001-01-01T00:00:00"),
        json!("9999-12-31T23:59:59.999"),
        json!("-9999-01-01T00:00:00"),
        json!("2026-01-01T00:00:01"),
        json!([]),
        json!({}),
        json!([[]]),
        json!([null]),
        json!({"": {}}),
        json!("x".repeat(3_000)),
        json!(vec![0; 300]),
        json!("OPEN"),
        json!("ACCEPTED"),
        json!("REJECTED"),
        json!("DELETED"),
        json!("EN"),
        json!({"EN": "text"}),
        json!("result"),
        json!("cat"),
        json!("color"),
        json!("AUTOMATED"),
        json!("DAWID_SKENE"),
        json!("skill"),
        json!("DYNAMIC"),
        json!("PERMANENT"),
        json!("DAYS"),
    ];
    edges.extend(TEXTS.iter().map(|text| json!(text)));
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    edges.push(deep);
    edges.extend(START.known.ids.values().map(|id| json!(id)));
    edges
});

/// Pieces of JSON, some of which break it.
const PIECES: &[&str] = &[
    "1e400",
    "NaN",
    "-",
    "\\ud800",
    "\\u0000",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\u{feff}",
    "0x1",
    "//",
    "9999999999999999999999",
    "0.00000000000000000000000000000001",
    "\n",
    "\\",
];

/// Changes one part of a body.
fn change(body: &mut Value, choices: &mut Choices<'_>) {
    let mut places = Vec::new();
    pointers(body, String::new(), &mut places);
    let place = choices.pick(&places).clone();
    let how = choices.byte() % 8;
    let Some(part) = body.pointer_mut(&place) else {
        return;
    };
    match how {
        0 | 1 => *part = choices.pick(&EDGES).clone(),
        2 | 3 => {
            let alike = EDGES
                .iter()
                .filter(|edge| discriminant(*edge) == discriminant(part));
            let alike: Vec<&Value> = alike.collect();
            *part = (*choices.pick(&alike)).clone();
        }
        4 => {
            let other = &choices.pick(&START.samples.1).body;
            let mut parts = Vec::new();
            pointers(other, String::new(), &mut parts);
            let of = choices.pick(&parts).as_str();
            *part = other.pointer(of).unwrap().clone();
        }
        5 => *part = json!(vec![part.clone(); choices.below(40)]),
        6 => match part {
            Value::Object(fields) => {
                let value = choices.pick(&EDGES).clone();
                let name = *choices.pick(TEXTS);
                fields.insert(name.to_owned(), value);
            }
            _ => *part = json!({"and": [part]}),
        },
        _ => {
            let (parent, key) = place.rsplit_once('/').unwrap_or_default();
            match body.pointer_mut(parent) {
                Some(Value::Object(fields)) => drop(fields.remove(key)),
                Some(Value::Array(items)) if !items.is_empty() => drop(items.pop()),
                _ => {}
            }
        }
    }
}

/// Changes bytes of a body.
fn damage(text: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let at = choices.below(text.len() + 1);
    match choices.byte() % 4 {
        0 => text.truncate(at),
        1 => drop(text.splice(at..at, choices.pick(PIECES).bytes())),
        2 => drop(text.splice(at..at, choices.bytes().iter().copied())),
        _ => {
            let until = text.len().min(at + choices.below(20));
            drop(text.splice(at..until, choices.pick(PIECES).bytes()));
        }
    }
}

fn path(sample: &Sample, choices: &mut Choices<'_>) -> String {
    let mut query = sample.query.clone();
    if choices.byte().is_multiple_of(4) {
        let names = START.samples.0.iter().flat_map(|one| &one.query);
        let names: Vec<&(String, String)> = names.collect();
        let (name, value) = *choices.pick(&names);
        let value = match choices.pick(&EDGES) {
            _ if choices.byte().is_multiple_of(2) => value.clone(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        query.push((name.clone(), value));
    }
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let (ids, path) = (&START.known.ids, START.known.path(&sample.route));
    // One pool is open, the other one is closed.
    let path = match choices.byte() % 2 {
        0 => path.replace(&ids["pools"], &ids["by hand"]),
        _ => path,
    };
    format!("{path}?{pairs}")
}

/// Sends what an input says.
pub(crate) fn requests(input: &[u8]) {
    // It runs a future of its own.
    LazyLock::force(&START);
    run(send(input));
}

async fn send(input: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(START.folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let raw = Raw::open(folder.path(), START.known.clone());
    let mut choices = Choices(input);
    let verbose = std::env::var_os("FUZZ_SHOW").is_some();
    for _ in 0..MOST_REQUESTS {
        if choices.0.is_empty() {
            break;
        }
        // Mostly requests with a body.
        let (reads, writes) = &START.samples;
        let of = if choices.byte() < 50 { reads } else { writes };
        let sample = choices.pick(of);
        let path = path(sample, &mut choices);
        let how = choices.byte();
        let mut body = sample.body.clone();
        for _ in 0..how % 4 {
            change(&mut body, &mut choices);
        }
        let mut text = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        if how >= 224 {
            damage(&mut text, &mut choices);
        } else if how >= 216 {
            text = choices.bytes().to_vec();
        }
        if verbose {
            println!(
                "{} {path} {}",
                sample.method,
                String::from_utf8_lossy(&text)
            );
        }
        let reply = raw.call(&sample.method, &path, text).await;
        if verbose {
            println!("  {reply:?}");
        }
        if how.is_multiple_of(16) {
            let seconds = [1, 700, 90_000, 40 * 86_400][usize::from(how) / 16 % 4];
            raw.platform.clock().advance(Duration::from_secs(seconds));
            raw.platform.tick().unwrap();
        }
    }
    raw.still_works().await;
}

/// The inputs that found something once.
fn finds() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let mut finds: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    finds.sort();
    finds
}

/// A number from the environment, for runs by hand.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn any_requests_get_a_proper_answer() {
    for find in finds() {
        println!("{}", find.display());
        requests(&std::fs::read(find).unwrap());
    }
    let first = setting("FUZZ_SEED", 0);
    for seed in first..first + setting("FUZZ_INPUTS", INPUTS) {
        println!("FUZZ_SEED={seed} FUZZ_INPUTS=1 FUZZ_SHOW=1 shows what follows");
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut input = vec![0; random.next_u32() as usize % MOST_BYTES];
        random.fill_bytes(&mut input);
        requests(&input);
    }
}
