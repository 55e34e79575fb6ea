//! `labels.csv`, `labels.jsonl` and `workers.csv`, and the list of all files.

use std::collections::BTreeMap;

use quorate_core::ImageId;
use quorate_core::state::Content;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::results::{Decision, ImageResult, RoundResults, six_digits};

/// A result file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in the round's folder.
    pub name: &'static str,
    /// Its contents.
    pub body: Vec<u8>,
}

/// The files of a round but for the manifest; `report` is the page that [`crate::report()`] made.
///
/// # Errors
/// [`Error::Files`] if a table cannot be written.
pub fn files(results: RoundResults, report: String) -> Result<Vec<File>, Error> {
    let file = |name, body| File { name, body };
    Ok(vec![
        file("labels.csv", labels_csv(&results)?),
        file("labels.jsonl", labels_jsonl(&results)?),
        file("workers.csv", workers_csv(&results)?),
        file("report.html", report.into_bytes()),
        file("answers.csv", results.answers_csv),
    ])
}

/// A line of `labels.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    image: String,
    pub(crate) image_id: ImageId,
    version: String,
    label: Option<String>,
    confidence: Option<f64>,
    votes: BTreeMap<String, u32>,
    answers: u32,
    agreement: Option<f64>,
    majority_label: Option<String>,
    #[serde(with = "rust_decimal::serde::float")]
    cost: Decimal,
    same_as: Option<ImageId>,
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    input: BTreeMap<String, String>,
}

impl Line {
    fn new(result: &ImageResult, labels: &[String]) -> Self {
        let ImageResult {
            image,
            decision,
            cost,
        } = result;
        let mut votes: BTreeMap<String, u32> = labels.iter().map(|l| (l.clone(), 0)).collect();
        votes.extend(decision.votes.clone());
        Self {
            image: image.name(),
            image_id: image.id,
            version: image.version.clone(),
            label: decision.label.clone(),
            confidence: decision.confidence.map(six_digits),
            votes,
            answers: decision.answers,
            agreement: decision.agreement().map(six_digits),
            majority_label: decision.majority_label.clone(),
            cost: *cost,
            same_as: image.same_as,
            reason: decision.reason.clone(),
            input: match &image.content {
                Content::Row(fields) => fields.clone(),
                Content::Picture => BTreeMap::new(),
            },
        }
    }

    /// What the line says was decided.
    pub(crate) fn decision(self) -> Decision {
        Decision {
            label: self.label,
            confidence: self.confidence,
            votes: self.votes,
            answers: self.answers,
            majority_label: self.majority_label,
            reason: self.reason,
        }
    }
}

fn labels_jsonl(results: &RoundResults) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for image in &results.images {
        serde_json::to_writer(&mut body, &Line::new(image, &results.campaign.labels))?;
        body.push(b'\n');
    }
    Ok(body)
}

/// A number, or nothing.
fn cell(value: Option<f64>) -> String {
    value
        .map(six_digits)
        .map_or_else(String::new, |value| value.to_string())
}

fn labels_csv(results: &RoundResults) -> Result<Vec<u8>, Error> {
    let labels = &results.campaign.labels;
    let fields = &results.campaign.fields;
    let mut table = csv::Writer::from_writer(Vec::new());
    let front = ["image", "image_id", "version", "label", "confidence"];
    let back = [
        "answers",
        "agreement",
        "majority_label",
        "cost",
        "same_as",
        "reason",
    ];
    let mut head: Vec<String> = front.map(str::to_owned).into();
    head.extend(labels.iter().map(|label| format!("votes_{label}")));
    head.extend(back.map(str::to_owned));
    head.extend(fields.iter().map(|field| format!("input_{field}")));
    table.write_record(&head)?;
    for result in &results.images {
        let line = Line::new(result, labels);
        let votes = labels
            .iter()
            .map(|l| line.votes.get(l).copied().unwrap_or(0));
        let mut row = vec![
            line.image,
            line.image_id.to_string(),
            line.version,
            line.label.unwrap_or_default(),
            cell(line.confidence),
        ];
        row.extend(votes.map(|votes| votes.to_string()));
        row.extend([
            line.answers.to_string(),
            cell(line.agreement),
            line.majority_label.unwrap_or_default(),
            line.cost.to_string(),
            line.same_as.map(|id| id.to_string()).unwrap_or_default(),
            line.reason.unwrap_or_default(),
        ]);
        let mut input = line.input;
        row.extend(
            fields
                .iter()
                .map(|field| input.remove(field).unwrap_or_default()),
        );
        table.write_record(&row)?;
    }
    finish(table)
}

fn workers_csv(results: &RoundResults) -> Result<Vec<u8>, Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "worker",
        "answers",
        "pages",
        "golden_answers",
        "golden_accuracy",
        "estimated_skill",
        "agreement",
        "banned",
        "earned",
    ])?;
    for worker in &results.workers {
        table.write_record([
            &worker.worker,
            &worker.answers.to_string(),
            &worker.pages.to_string(),
            &worker.golden_answers.to_string(),
            &cell(worker.golden_accuracy()),
            &cell(worker.estimated_skill),
            &cell(worker.agreement),
            &worker.banned(),
            &worker.earned.normalize().to_string(),
        ])?;
    }
    finish(table)
}

fn finish(table: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, Error> {
    Ok(table
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?)
}
