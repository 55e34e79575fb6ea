//! A closed round becomes labels: answers read, aggregated, written, committed.
//!
//! [`aggregate_round`] is the use case; underneath are pure steps that need no ports:
//!
//! ```text
//! batches, aliases ──► Members ─┐
//! pages of answers ─────────────┴─► Tally ──► RoundResults ──► files ──► Manifest
//! ```
//!
//! # What decides
//!
//! Only answers to a round's own images decide. Answers to control tasks (golden images, or any
//! task with a known answer) never vote on an image: they measure workers. The campaign's method
//! gets them as separate tasks, which appear in no row of `labels.*`; all but `majority-vote`,
//! `wawa`, `zero-based-skill` and `mmsr` are told their labels and learn from them how each worker
//! errs. Answers of banned workers count like others, since models weigh workers by what they did;
//! `workers.csv` names the ban. An answer that is none of the campaign's labels is written to
//! `answers.csv` and decides nothing.
//!
//! # What a confidence means
//!
//! It is the probability that the label is right as the method sees it. The safe default,
//! `hierarchical-dawid-skene`, calibrates it: control tasks tell how sure the model may be, by how often
//! it is right about them when it does not know their labels. The manifest says by its `calibration` on
//! how many, and what that changed on average; the report says it in words. It is null where control
//! tasks were too few or had nothing to correct; then, and with other methods, confidences are the method's own, and too high where
//! people err together. The manifest and the report also have the method's `warnings`, and
//! `majority_label` in `labels.*` is the majority vote beside each label.
//!
//! # The files
//!
//! The same answers give the same bytes: no clock, no path and no order of arrival is in them.
//! Cells hold exactly what was uploaded or answered. They are data for programs: a spreadsheet
//! that treats a cell beginning with `=`, `+`, `-` or `@` as a formula must import them as text.
//!
//! | file | one row for | order |
//! |---|---|---|
//! | `labels.csv`, `labels.jsonl` | each image of the round, labelled or not | key, version, row |
//! | `answers.csv` | each answer, control tasks included | assignment, place on the page |
//! | `workers.csv` | each worker who sent in a page | worker |
//! | `report.html` | people; one file without scripts or network | |
//! | `_manifest.json` | digests of the others, written last: the commit point | |
//!
//! An image whose bytes equal another's (`same_as`) repeats that image's whole decision, votes
//! included, and costs nothing: count answers over rows without `same_as`. In `answers.csv`,
//! `seconds` and `reward` are those of the whole page that the answer was on.

mod answers_csv;
mod error;
mod manifest;
mod members;
mod method;
mod money;
mod report;
mod results;
mod round;
mod tables;
mod tally;
#[cfg(test)]
mod tests;
mod thumbnail;

pub use error::Error;
pub use manifest::{Calibrated, Counts, FileEntry, MANIFEST, Manifest};
pub use members::{Member, Members};
pub use report::{pictures_wanted, report};
pub use results::{Decision, Golden, ImageResult, Model, RoundResults, WorkerResult};
pub use round::{LEASE, Outcome, aggregate_round};
pub use tables::{File, files};
pub use tally::{Setting, Tally};
pub use thumbnail::thumbnail;
