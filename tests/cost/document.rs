//! The part of `infra/COST.md` that is counted.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::meter::Counts;
use crate::prices::{
    EVENTS, GB_SECONDS, INVOCATIONS, Price, READ_UNITS, S3_GETS, S3_PUTS, SCHEDULES, SECRETS, SQS,
    TRANSFER, WRITE_UNITS,
};
use crate::{Counted, IMAGES, OVERLAP, Part};

const BEGIN: &str = "<!-- counted by tests/cost: begin -->\n";
const END: &str = "<!-- counted by tests/cost: end -->\n";

/// Rounds of [`IMAGES`] in a million images.
const ROUNDS: f64 = 1e6 / IMAGES as f64;
/// Requests to a queue for a message: one to send it, and one to receive and one to delete each ten.
const REQUESTS_A_MESSAGE: f64 = 1.2;
/// Megabytes of an image, as workers load it. Assumed.
const MEGABYTES: f64 = 0.2;
/// Seconds that a function waits for AWS and for the crowd, a request, as if each waited for the
/// one before. Assumed: most are sent side by side, so that less is paid.
const AWS_SECONDS: f64 = 0.02;
const CROWD_SECONDS: f64 = 0.2;
/// Ticks in a month: every minute of `check-pools`, every five of `reconcile`.
const MONTH: [u64; 2] = [43_200, 8_640];

/// The most that is allowed, as the project's bars have it: units an image, and requests to the
/// crowd for a thousand images.
const MOST_WRITES: f64 = 4.0;
const MOST_READS: f64 = 2.0;
const MOST_CROWD: f64 = 45.0;

/// The document with its counted part replaced.
pub(crate) fn replace(document: &str, counted: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) =
        parts.context("infra/COST.md has lost the marks around what is counted")?;
    Ok(format!("{before}{BEGIN}{counted}{END}{after}"))
}

/// The counted part.
pub(crate) fn of(counted: &Counted) -> String {
    let mut text = String::new();
    text.push_str(&bars(counted));
    text.push_str(&parts(counted));
    text.push_str(&operations(counted));
    text.push_str(&million(counted));
    text.push_str(&month(counted));
    text
}

fn sum(parts: &[Part]) -> (Counts, Counts) {
    let (mut aws, mut crowd) = (Counts::default(), Counts::default());
    for part in parts {
        aws.add(&part.aws);
        crowd.add(&part.crowd);
    }
    (aws, crowd)
}

/// Write and read units an image, and requests to the crowd for a thousand images.
fn figures(counted: &Counted) -> [f64; 3] {
    let (aws, crowd) = sum(&counted.round);
    let images = IMAGES as f64;
    let asked = crowd.of("") as f64;
    [
        aws.units.writes / images,
        aws.units.reads / images,
        asked * 1000.0 / images,
    ]
}

/// Whether the bars are met.
pub(crate) fn is_cheap(counted: &Counted) -> bool {
    let [writes, reads, asked] = figures(counted);
    writes <= MOST_WRITES && reads <= MOST_READS && asked <= MOST_CROWD
}

fn bars(counted: &Counted) -> String {
    let [writes, reads, asked] = figures(counted);
    let (_, crowd) = sum(&counted.round);
    let batches = crowd.of("POST /tasks");
    let for_batches = batches + crowd.of("GET /operations");
    format!(
        "| | counted | at most |\n|---|--:|--:|\n\
         | DynamoDB write units an image | {writes:.2} | {MOST_WRITES} |\n\
         | DynamoDB read units an image | {reads:.2} | {MOST_READS} |\n\
         | requests to the crowd for 1000 images | {asked:.0} | {MOST_CROWD} |\n\n\
         The crowd was asked {for_batches} times for the tasks of {batches} batches, and {} times besides, \
         most of which a round of any size takes.\n\n",
        crowd.of("") - for_batches
    )
}

fn parts(counted: &Counted) -> String {
    let mut text = format!(
        "### A round of {IMAGES} images\n\n\
         | function | what it does | invoked | requests to AWS | write units | read units | requests to the crowd |\n\
         |---|---|--:|--:|--:|--:|--:|\n"
    );
    for part in all(counted) {
        row(
            &mut text,
            [
                format!("`{}`", part.function),
                part.doing.to_owned(),
                part.invocations.to_string(),
                part.aws.of("").to_string(),
                format!("{:.0}", part.aws.units.writes),
                format!("{:.0}", part.aws.units.reads),
                part.crowd.of("").to_string(),
            ],
        );
    }
    text.push('\n');
    text
}

fn all(counted: &Counted) -> impl Iterator<Item = &Part> {
    let round = counted.round.iter().chain([&counted.views]);
    round.chain(&counted.ticks)
}

/// Every kind of request, by function.
fn operations(counted: &Counted) -> String {
    let mut text =
        "Of these requests:\n\n| function | what it does | requests |\n|---|---|---|\n".to_owned();
    for part in all(counted) {
        let requests = part.aws.requests.iter().chain(&part.crowd.requests);
        let requests: Vec<String> = requests
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        row(
            &mut text,
            [
                format!("`{}`", part.function),
                part.doing.to_owned(),
                requests.join(", "),
            ],
        );
    }
    text.push('\n');
    text
}

/// What a million images come to.
fn million(counted: &Counted) -> String {
    let images = 1e6;
    let views = images * OVERLAP as f64;
    let (round, _) = sum(&counted.round);
    let seen = &counted.views.aws;
    let in_all =
        |of: &dyn Fn(&Counts) -> f64| of(&round) * ROUNDS + of(seen) * views / IMAGES as f64;
    let requests = |names: &[&str]| {
        in_all(&|counts| names.iter().map(|name| counts.of(name)).sum::<u64>() as f64)
    };
    let invocations: u64 = counted.round.iter().map(|part| part.invocations).sum();
    let seconds: f64 = counted.round.iter().map(gb_seconds).sum();
    let views_seconds = gb_seconds(&counted.views) * views / IMAGES as f64;
    let lines = [
        ("uploads", images, S3_PUTS, "one an image"),
        ("S3 tells of uploads", images, EVENTS, "one an image"),
        (
            "the queue of uploads",
            images * REQUESTS_A_MESSAGE,
            SQS,
            "computed",
        ),
        (
            "the table",
            in_all(&|counts| counts.units.writes),
            WRITE_UNITS,
            "counted",
        ),
        (
            "the table",
            in_all(&|counts| counts.units.reads),
            READ_UNITS,
            "counted",
        ),
        (
            "S3: results",
            requests(&["S3 Put", "S3 List"]),
            S3_PUTS,
            "counted",
        ),
        (
            "S3: images",
            requests(&["S3 Get", "S3 Head"]),
            S3_GETS,
            "counted",
        ),
        (
            "events of our own",
            requests(&["EventBridge"]),
            EVENTS,
            "counted",
        ),
        ("secrets", requests(&["Secrets"]), SECRETS, "counted"),
        (
            "functions",
            invocations as f64 * ROUNDS,
            INVOCATIONS,
            "counted",
        ),
        ("functions", seconds * ROUNDS, GB_SECONDS, "estimated"),
        ("`serve-image`", views, INVOCATIONS, "one a view"),
        ("`serve-image`", views_seconds, GB_SECONDS, "estimated"),
        (
            "images to workers",
            views * MEGABYTES / 1e3,
            TRANSFER,
            "assumed: 0.2 MB an image",
        ),
    ];
    let title = format!(
        "### A million images, in dollars\n\nIn rounds of {IMAGES}, each image judged by {OVERLAP} people.\n\n"
    );
    title + &bill(&lines)
}

/// What a round that is worked on for a month comes to, whatever its size.
fn month(counted: &Counted) -> String {
    let mut lines = Vec::new();
    for (part, ticks) in counted.ticks.iter().zip(MONTH) {
        let times = ticks as f64;
        let name = part.function;
        lines.extend([
            (name, times, SCHEDULES, "every tick"),
            (name, times, INVOCATIONS, "every tick"),
            (name, gb_seconds(part) * times, GB_SECONDS, "estimated"),
            (name, part.aws.units.writes * times, WRITE_UNITS, "counted"),
            (name, part.aws.units.reads * times, READ_UNITS, "counted"),
        ]);
    }
    "### A month of looking, in dollars\n\nWith one round that the crowd works on all the time.\n\n"
        .to_owned()
        + &bill(&lines)
}

/// Estimated: see [`AWS_SECONDS`]; memory as the template has it.
fn gb_seconds(part: &Part) -> f64 {
    let megabytes = match part.function {
        "create-tasks" => 1769.0,
        "aggregate-pool" => 1024.0,
        _ => 512.0,
    };
    let seconds = part.aws.of("") as f64 * AWS_SECONDS + part.crowd.of("") as f64 * CROWD_SECONDS;
    seconds * megabytes / 1024.0
}

fn bill(lines: &[(&str, f64, Price, &str)]) -> String {
    let mut text =
        "| for | how many | how it is known | price | dollars |\n|---|--:|---|---|--:|\n"
            .to_owned();
    let mut sum = 0.0;
    for (what, amount, price, known) in lines.iter().filter(|line| line.1 > 0.0) {
        let dollars = price.of(*amount);
        sum += dollars;
        row(
            &mut text,
            [
                (*what).to_owned(),
                short(*amount),
                (*known).to_owned(),
                price.words(),
                format!("{dollars:.2}"),
            ],
        );
    }
    row(
        &mut text,
        [
            "**sum**".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            format!("**{sum:.2}**"),
        ],
    );
    text.push('\n');
    text
}

fn short(amount: f64) -> String {
    match amount {
        1e6.. => format!("{:.2} million", amount / 1e6),
        1e4.. => format!("{:.0} thousand", amount / 1e3),
        _ => format!("{amount:.0}"),
    }
}

fn row<const N: usize>(text: &mut String, cells: [String; N]) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "| {} |", cells.join(" | "));
}
