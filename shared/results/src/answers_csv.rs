//! `answers.csv`, written while answers come in.
//!
//! The text is collected in memory, since a put takes the whole object: about 200 bytes an answer.
//! A page's lines are remembered as a range, so that the file is in order of assignments whatever
//! order their pages came in.

use std::collections::BTreeMap;
use std::ops::Range;

use quorate_core::ports::Assignment;
use rust_decimal::Decimal;

use crate::error::Error;

const HEADER: [&str; 11] = [
    "task",
    "worker",
    "label",
    "image",
    "assignment",
    "created",
    "submitted",
    "seconds",
    "golden",
    "correct",
    "reward",
];

/// One answer as the file shows it, without what its page says.
#[derive(Debug)]
pub(crate) struct AnswerLine<'a> {
    /// The image's id, else the crowd's task id.
    pub(crate) task: String,
    /// The answer, or empty.
    pub(crate) label: &'a str,
    /// The image's name, or empty.
    pub(crate) image: String,
    /// The known answer of a control task.
    pub(crate) golden: Option<String>,
}

/// The file so far.
#[derive(Debug)]
pub(crate) struct AnswersCsv {
    writer: csv::Writer<Vec<u8>>,
    pages: BTreeMap<String, Range<usize>>,
}

impl AnswersCsv {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER)?;
        writer.flush()?;
        Ok(Self {
            writer,
            pages: BTreeMap::new(),
        })
    }

    /// Whether this page is in the file.
    pub(crate) fn has(&self, assignment: &str) -> bool {
        self.pages.contains_key(assignment)
    }

    /// Adds the lines of a page.
    pub(crate) fn add(&mut self, page: &Assignment, lines: &[AnswerLine<'_>]) -> Result<(), Error> {
        let start = self.writer.get_ref().len();
        let submitted = page.submitted.as_deref().unwrap_or_default();
        let seconds = seconds_between(&page.created, submitted).unwrap_or_default();
        let reward = page.reward.normalize().to_string();
        for line in lines {
            let correct = line.golden.as_ref().map(|known| known == line.label);
            self.writer.write_record([
                line.task.as_str(),
                &page.worker,
                line.label,
                &line.image,
                &page.id,
                &page.created,
                submitted,
                &seconds,
                line.golden.as_deref().unwrap_or_default(),
                correct.map_or("", |right| if right { "true" } else { "false" }),
                &reward,
            ])?;
        }
        self.writer.flush()?;
        let end = self.writer.get_ref().len();
        self.pages.insert(page.id.clone(), start..end);
        Ok(())
    }

    /// The file, in order of assignments.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        let body = self
            .writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        // The crowd lists assignments in order, so there is nothing to move as a rule.
        if self.pages.values().is_sorted_by_key(|lines| lines.start) {
            return Ok(body);
        }
        let header = self.pages.values().map(|lines| lines.start).min();
        let mut file = Vec::with_capacity(body.len());
        for lines in std::iter::once(0..header.unwrap_or(0)).chain(self.pages.into_values()) {
            file.extend_from_slice(body.get(lines).unwrap_or_default());
        }
        Ok(file)
    }
}

/// An instant as the crowd writes it: RFC 3339, or without a zone for UTC.
pub(crate) fn instant(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    })
}

fn seconds_between(created: &str, submitted: &str) -> Option<String> {
    let millis = instant(submitted)?.as_millisecond() - instant(created)?.as_millisecond();
    Some(Decimal::new(millis, 3).normalize().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_a_page_is_read_with_and_without_a_zone() {
        let seconds = seconds_between("2026-01-01T10:00:00.250", "2026-01-01T10:01:00Z");
        assert_eq!(seconds.as_deref(), Some("59.75"));
        assert_eq!(seconds_between("", "2026-01-01T10:01:00Z"), None);
    }
}
