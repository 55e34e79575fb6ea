//! `report.html`: one page for people, without scripts and without network.
//!
//! Keys, rows, labels, answers, worker ids and instructions come from outside. They reach the page
//! only through the template, which escapes them, in text and in attributes; pictures were decoded
//! and encoded anew. A content security policy allows nothing but the page's own style and data.

use std::collections::BTreeMap;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quorate_core::ImageId;
use quorate_core::campaign::{Campaign, Method};
use quorate_core::state::{Content, Image};

use crate::error::Error;
use crate::results::{ImageResult, RoundResults, share};

/// Cards in a section, at most.
const CARDS: usize = 24;
/// Cards in all galleries together, at most: they share it, so that the page stays small.
const GALLERY_CARDS: usize = 240;
/// Rows in the tables of workers and of unlabelled images, at most.
const ROWS: usize = 200;
/// Characters of a row's field on a card, at most.
const FIELD_CHARS: usize = 280;
/// Colours that labels take turns with.
const HUES: usize = 8;

/// The images that the report shows a picture of: make a [`crate::thumbnail()`] of each.
#[must_use]
pub fn pictures_wanted(results: &RoundResults) -> Vec<&Image> {
    let shown = Shown::of(results);
    let galleries = shown.galleries.iter().flat_map(|(_, images)| images);
    let images = shown.disputed.iter().chain(galleries);
    let mut wanted: Vec<&Image> = images
        .map(|result| &result.image)
        .filter(|image| image.content == Content::Picture)
        .collect();
    wanted.sort_by_key(|image| image.id);
    wanted.dedup_by_key(|image| image.id);
    wanted
}

/// The page, with the pictures (JPEG) that there are.
///
/// # Errors
/// [`Error::Files`] if the page cannot be written.
pub fn report(
    results: &RoundResults,
    pictures: &BTreeMap<ImageId, Vec<u8>>,
) -> Result<String, Error> {
    Ok(Page::new(results, pictures).render()?)
}

/// Which images the report shows.
struct Shown<'a> {
    /// The ones that workers disagree on, the least certain first.
    disputed: Vec<&'a ImageResult>,
    /// Images of each label (and how many it has), spread evenly over the keys.
    galleries: Vec<(usize, Vec<&'a ImageResult>)>,
}

impl<'a> Shown<'a> {
    fn of(results: &'a RoundResults) -> Self {
        let own: Vec<&ImageResult> = results
            .images
            .iter()
            .filter(|result| result.image.same_as.is_none() && result.decision.label.is_some())
            .collect();
        let certainty = |result: &ImageResult| {
            let agreement = result.decision.agreement().unwrap_or(1.0);
            (result.decision.confidence.unwrap_or(1.0), agreement)
        };
        let mut disputed: Vec<&ImageResult> = own
            .iter()
            .copied()
            .filter(|result| certainty(result).0 < 0.9 || certainty(result).1 < 1.0)
            .collect();
        disputed.sort_by(|a, b| {
            let (a, b) = (certainty(a), certainty(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        disputed.truncate(CARDS);
        let labels = &results.campaign.labels;
        let cards = (GALLERY_CARDS / labels.len().max(1)).clamp(1, CARDS);
        let galleries = labels.iter().map(|label| {
            let of_label = own
                .iter()
                .filter(|result| result.decision.label.as_ref() == Some(label));
            let of_label: Vec<&ImageResult> = of_label.copied().collect();
            (of_label.len(), spread(&of_label, cards))
        });
        Self {
            galleries: galleries.collect(),
            disputed,
        }
    }
}

/// At most `count` of `all`, evenly spaced.
fn spread<'a>(all: &[&'a ImageResult], count: usize) -> Vec<&'a ImageResult> {
    let shown = count.min(all.len());
    (0..shown)
        .filter_map(|i| all.get(i * all.len() / shown).copied())
        .collect()
}

/// A figure at the top.
struct Tile {
    name: &'static str,
    value: String,
    note: String,
}

/// A label with its colour and its share of something.
struct Bar<'a> {
    label: &'a str,
    hue: usize,
    count: u64,
    percent: String,
}

/// An image.
struct Card<'a> {
    name: String,
    key: String,
    picture: Option<String>,
    fields: Vec<(&'a str, String)>,
    label: &'a str,
    hue: usize,
    confidence: String,
    votes: Vec<Bar<'a>>,
}

struct Gallery<'a> {
    bar: Bar<'a>,
    cards: Vec<Card<'a>>,
    hidden: usize,
}

/// A confusion matrix.
struct Matrix<'a> {
    title: &'static str,
    note: &'static str,
    labels: Vec<&'a str>,
    rows: Vec<(&'a str, Vec<Cell>)>,
}

/// A cell of a confusion matrix.
struct Cell {
    /// `right` on the diagonal, else `wrong`.
    class: &'static str,
    /// Its share of its row, from 0 to 1.
    share: String,
    text: String,
}

struct WorkerRow<'a> {
    worker: &'a str,
    answers: u32,
    pages: u32,
    skill: String,
    skill_percent: String,
    golden: String,
    agreement: String,
    earned: String,
    banned: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    question: &'a str,
    instructions: &'a str,
    campaign: &'a str,
    round: u32,
    /// Whether cards show text, not pictures.
    rows: bool,
    /// What to know before trusting the labels.
    warnings: &'a [String],
    tiles: Vec<Tile>,
    /// Whether confidences can be taken at their word.
    trust: String,
    classes: Vec<Bar<'a>>,
    disputed: Vec<Card<'a>>,
    galleries: Vec<Gallery<'a>>,
    matrices: Vec<Matrix<'a>>,
    workers: Vec<WorkerRow<'a>>,
    more_workers: usize,
    banned_workers: usize,
    unlabelled: Vec<(String, &'a str)>,
    more_unlabelled: usize,
    how: Vec<(&'static str, String)>,
}

impl<'a> Page<'a> {
    fn new(results: &'a RoundResults, pictures: &BTreeMap<ImageId, Vec<u8>>) -> Self {
        let campaign = &results.campaign;
        let shown = Shown::of(results);
        let cards = |images: &[&'a ImageResult]| -> Vec<Card<'a>> {
            images.iter().map(|i| card(i, campaign, pictures)).collect()
        };
        let classes = classes(results);
        let galleries = classes.iter().zip(&shown.galleries);
        let galleries = galleries.filter(|(_, (_, images))| !images.is_empty());
        let unlabelled: Vec<&ImageResult> = results
            .images
            .iter()
            .filter(|result| result.decision.label.is_none())
            .collect();
        let reason = |result: &&'a ImageResult| {
            let reason = result.decision.reason.as_deref().unwrap_or_default();
            (result.image.name(), reason)
        };
        Self {
            title: &campaign.title,
            question: &campaign.question,
            instructions: &campaign.instructions,
            campaign: results.round.campaign.as_str(),
            round: results.round.number,
            rows: campaign.takes_rows(),
            warnings: &results.model.warnings,
            tiles: tiles(results),
            trust: trust(results),
            disputed: cards(&shown.disputed),
            galleries: galleries
                .map(|(bar, (total, images))| Gallery {
                    bar: Bar {
                        percent: bar.percent.clone(),
                        ..*bar
                    },
                    cards: cards(images),
                    hidden: total - images.len(),
                })
                .collect(),
            matrices: matrices(results),
            workers: worker_rows(results),
            more_workers: results.workers.len().saturating_sub(ROWS),
            banned_workers: results
                .workers
                .iter()
                .filter(|w| !w.bans.is_empty())
                .count(),
            more_unlabelled: unlabelled.len().saturating_sub(ROWS),
            unlabelled: unlabelled.iter().take(ROWS).map(reason).collect(),
            how: how(results),
            classes,
        }
    }
}

/// A share as percent with at most one digit, e.g. `93.4`.
fn percent(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    format!("{rounded}")
}

/// A probability as percent; one that is not quite certain never reads as 100.
fn certainty(probability: f64) -> String {
    if (0.9995..1.0).contains(&probability) {
        "> 99.9".to_owned()
    } else {
        percent(probability)
    }
}

fn percent_or_dash(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{} %", percent(share)))
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun.
fn counted(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", grouped(number))
}

/// A duration in its two largest units, e.g. `3 h 20 min`.
fn duration(seconds: i64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn tiles(results: &RoundResults) -> Vec<Tile> {
    let images = results.images.len() as u64;
    let labelled = results.labelled() as u64;
    let what = if results.campaign.takes_rows() {
        "row"
    } else {
        "image"
    };
    let golden = &results.golden;
    let span = results.span.map(|(first, last)| {
        let seconds = last.as_second() - first.as_second();
        (
            duration(seconds),
            format!("since {}", first.strftime("%-d %b %Y, %H:%M UTC")),
        )
    });
    let (took, since) = span.unwrap_or_else(|| ("–".to_owned(), "no answers".to_owned()));
    let each = rust_decimal::Decimal::from(labelled.max(1));
    let tile = |name, value: String, note: String| Tile { name, value, note };
    vec![
        tile(
            "labelled",
            grouped(labelled),
            format!(
                "of {}, {} without a label",
                counted(images, what, &format!("{what}s")),
                grouped(images - labelled)
            ),
        ),
        tile(
            "right on control tasks",
            percent_or_dash(golden.accuracy()),
            match golden.answers {
                0 => "none were answered".to_owned(),
                all => format!("{} of {} answers", grouped(golden.right), grouped(all)),
            },
        ),
        tile(
            "answers",
            grouped(results.answers),
            format!("on {}", counted(results.pages, "page", "pages")),
        ),
        tile(
            "workers",
            grouped(results.workers.len() as u64),
            counted(
                results
                    .workers
                    .iter()
                    .filter(|w| !w.bans.is_empty())
                    .count() as u64,
                "was banned",
                "were banned",
            ),
        ),
        tile(
            "cost",
            format!("${:.2}", results.cost),
            format!("${:.3} a label, with fee", results.cost / each),
        ),
        tile("first to last answer", took, since),
    ]
}

fn hue_of(campaign: &Campaign, label: &str) -> usize {
    let place = campaign.labels.iter().position(|l| l == label);
    place.unwrap_or_default() % HUES
}

/// How many images have each label.
fn classes(results: &RoundResults) -> Vec<Bar<'_>> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let labels = results
        .images
        .iter()
        .filter_map(|i| i.decision.label.as_deref());
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    let all = counts.values().sum();
    let bar = |label: &'_ String| counts.get(label.as_str()).copied().unwrap_or_default();
    results
        .campaign
        .labels
        .iter()
        .map(|label| Bar {
            label,
            hue: hue_of(&results.campaign, label),
            count: bar(label),
            percent: percent(share(bar(label), all).unwrap_or_default()),
        })
        .collect()
}

fn card<'a>(
    result: &'a ImageResult,
    campaign: &'a Campaign,
    pictures: &BTreeMap<ImageId, Vec<u8>>,
) -> Card<'a> {
    let (image, decision) = (&result.image, &result.decision);
    let mut votes: Vec<Bar<'a>> = decision
        .votes
        .iter()
        .filter(|(_, votes)| **votes > 0)
        .map(|(label, &votes)| Bar {
            label,
            hue: hue_of(campaign, label),
            count: votes.into(),
            percent: percent(share(votes.into(), decision.answers.into()).unwrap_or_default()),
        })
        .collect();
    votes.sort_by(|a, b| b.count.cmp(&a.count).then(a.label.cmp(b.label)));
    let label = decision.label.as_deref().unwrap_or_default();
    let picture = pictures.get(&image.id);
    let key = image.name();
    Card {
        name: key.rsplit('/').next().unwrap_or_default().to_owned(),
        key,
        picture: picture.map(|jpeg| format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))),
        fields: fields(image),
        label,
        hue: hue_of(campaign, label),
        confidence: certainty(decision.confidence.unwrap_or_default()),
        votes,
    }
}

/// What a row's card shows in place of a picture.
fn fields(image: &Image) -> Vec<(&str, String)> {
    let Content::Row(fields) = &image.content else {
        return Vec::new();
    };
    let shorten = |text: &String| match text.char_indices().nth(FIELD_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.clone(),
    };
    let fields = fields.iter();
    fields
        .map(|(name, text)| (name.as_str(), shorten(text)))
        .collect()
}

fn matrix_row((row, cells): (usize, &Vec<f64>), text: fn(f64, f64) -> String) -> Vec<Cell> {
    let sum: f64 = cells.iter().sum();
    let cell = |(column, &value): (usize, &f64)| {
        let share = if sum > 0.0 { value / sum } else { 0.0 };
        Cell {
            class: if row == column { "right" } else { "wrong" },
            share: format!("{share:.3}"),
            text: text(value, share),
        }
    };
    cells.iter().enumerate().map(cell).collect()
}

fn matrices(results: &RoundResults) -> Vec<Matrix<'_>> {
    let labels: Vec<&str> = results.campaign.labels.iter().map(String::as_str).collect();
    let matrix = |title, note, cells: &[Vec<f64>], text: fn(f64, f64) -> String| Matrix {
        title,
        note,
        rows: labels
            .iter()
            .copied()
            .zip(cells.iter().enumerate().map(|row| matrix_row(row, text)))
            .collect(),
        labels: labels.clone(),
    };
    let mut matrices = Vec::new();
    if results.golden.answers > 0 {
        matrices.push(matrix(
            "On control tasks",
            "Known answer in rows, given answer in columns: how often.",
            &results.golden.confusion,
            |count, _| {
                if count > 0.0 {
                    count.to_string()
                } else {
                    String::new()
                }
            },
        ));
    }
    if let Some(confusion) = &results.model.confusion {
        matrices.push(matrix(
            "As the model sees it",
            "True label in rows, answer in columns: how the average answer falls, in percent.",
            confusion,
            |_, part| percent(part),
        ));
    }
    matrices
}

/// The workers, those with the most answers first.
fn worker_rows(results: &RoundResults) -> Vec<WorkerRow<'_>> {
    let mut workers: Vec<_> = results.workers.iter().collect();
    workers.sort_by(|a, b| b.answers.cmp(&a.answers).then(a.worker.cmp(&b.worker)));
    let rows = workers.into_iter().take(ROWS);
    rows.map(|worker| WorkerRow {
        worker: &worker.worker,
        answers: worker.answers,
        pages: worker.pages,
        skill: percent_or_dash(worker.estimated_skill),
        skill_percent: percent(worker.estimated_skill.unwrap_or_default()),
        golden: match worker.golden_answers {
            0 => "–".to_owned(),
            all => format!("{} of {all}", worker.golden_right),
        },
        agreement: percent_or_dash(worker.agreement),
        earned: format!("${:.2}", worker.earned),
        banned: worker.banned(),
    })
    .collect()
}

fn method_in_words(method: Method) -> &'static str {
    match method {
        Method::HierarchicalDawidSkene => {
            "Hierarchical Dawid-Skene: how the crowd errs and how each worker differs from it is \
             estimated together with the labels, so a careful worker weighs more; where answers \
             are few, votes decide."
        }
        Method::MajorityVote => {
            "Majority vote: the label that most workers chose; the first in the alphabet of \
             equals. The confidence is its share of votes."
        }
        Method::GoldMajorityVote => {
            "Gold majority vote: a worker who did well on control tasks has a heavier vote. The \
             confidence is the label's share of them."
        }
        Method::Wawa => {
            "Wawa: a worker who agrees with the majority has a heavier vote. The confidence is \
             the label's share of them."
        }
        Method::ZeroBasedSkill => {
            "Zero-based skill: a worker who agrees with the outcome has a heavier vote, and so \
             on until skills are at rest. The confidence is the label's share of the votes."
        }
        Method::DawidSkene => {
            "Dawid-Skene: how each worker errs is estimated together with the labels, so a \
             careful worker weighs more."
        }
        Method::OneCoinDawidSkene => {
            "One-coin Dawid-Skene: how often each worker errs is estimated together with the \
             labels, so a careful worker weighs more."
        }
        Method::Glad => {
            "GLAD: how able workers are and how easy tasks are is estimated together with the \
             labels."
        }
        Method::Mace => {
            "MACE: who knows and who answers by habit is estimated together with the labels."
        }
        Method::Mmsr => {
            "M-MSR: skills follow from how workers agree with each other, whatever a minority of \
             liars does; a skilled worker has a heavier vote."
        }
    }
}

/// Whether confidences can be taken at their word; nothing to say without labels.
fn trust(results: &RoundResults) -> String {
    let how = match (results.model.calibration, results.model.method) {
        _ if results.labelled() == 0 => return String::new(),
        (Some(calibration), _) => {
            return format!(
                "Confidences are calibrated on {} control tasks, whose labels the model gets right as often as \
                 confidences say now: {} on average, where the method itself is sure by {}.",
                calibration.known,
                percent(calibration.after),
                percent(calibration.before)
            );
        }
        (None, Method::HierarchicalDawidSkene) if results.golden.answers == 0 => {
            "there were no control tasks to calibrate them on"
        }
        (None, Method::HierarchicalDawidSkene) => {
            "control tasks were too few, or showed nothing to correct"
        }
        (None, _) => "this method does not do that",
    };
    format!(
        "Confidences are not calibrated, because {how}. They are the method's own, and too high where \
         people err together: look at the votes as well."
    )
}

/// How the labels were made, in words.
fn how(results: &RoundResults) -> Vec<(&'static str, String)> {
    let (campaign, model) = (&results.campaign, &results.model);
    let mut method = method_in_words(model.method).to_owned();
    if model.iterations > 0 {
        let end = if model.converged {
            "Converged"
        } else {
            "Stopped"
        };
        let iterations = counted(model.iterations as u64, "iteration", "iterations");
        method = format!("{method} {end} after {iterations}.");
    }
    let parameters = model.parameters.as_object().into_iter().flatten();
    let parameters: Vec<String> = parameters
        .map(|(name, value)| format!("{} {value}", name.replace('_', " ")))
        .collect();
    let golden = match model.method {
        _ if results.golden.answers == 0 => "none were answered",
        Method::MajorityVote | Method::Wawa | Method::ZeroBasedSkill | Method::Mmsr => {
            "measure workers; they never vote on an image"
        }
        _ => "measure workers and teach the model; they never vote on an image",
    };
    let page = format!(
        "{} on a page for ${}, {} answers wanted for each",
        campaign.images_per_page,
        campaign.reward_per_page.normalize(),
        campaign.overlap
    );
    let mut how = vec![
        ("Method", method),
        ("Parameters", parameters.join(", ")),
        (
            "Majority vote",
            format!(
                "agrees with {} of the labels",
                percent_or_dash(results.majority_agreement())
            ),
        ),
        ("Control tasks", golden.to_owned()),
        ("Pages", page),
        ("Pool closed", results.close_reason.clone()),
    ];
    if results.unused_answers > 0 {
        let unused = counted(results.unused_answers, "answer", "answers");
        let why = "empty, none of the labels, or to a task that is not this round's";
        how.push(("Not used", format!("{unused}: {why}")));
    }
    how.retain(|(_, text)| !text.is_empty());
    how
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(percent(0.93449), "93.4");
        assert_eq!(percent(1.0), "100");
        assert_eq!(certainty(0.99999), "> 99.9");
        assert_eq!(certainty(1.0), "100");
        assert_eq!(duration(12_000), "3 h 20 min");
        assert_eq!(duration(61), "1 min 1 s");
    }
}
