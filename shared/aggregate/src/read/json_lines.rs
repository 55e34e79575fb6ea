//! One JSON object a line.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use super::{BadRow, InvalidRows, Place, ReadError, ReadReport, RowProblem};
use crate::answers::AnswersBuilder;

impl AnswersBuilder {
    pub(super) fn read_json_lines(
        &mut self,
        reader: impl Read,
        invalid: InvalidRows,
    ) -> Result<ReadReport, ReadError> {
        let mut reader = BufReader::new(reader);
        let mut report = ReadReport::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            let row = if line == 1 {
                text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text)
            } else {
                &text
            };
            if row.trim_ascii().is_empty() {
                continue;
            }
            let outcome = row_of(row)
                .and_then(|row| Ok(self.push(&row.task.0, &row.worker.0, &row.label.0)?));
            let place = Place::Line(line);
            match outcome {
                Ok(()) => report.answers += 1,
                Err(problem) => report.skip(BadRow { place, problem }, invalid)?,
            }
        }
        Ok(report)
    }
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    task: Text<'a>,
    #[serde(borrow)]
    worker: Text<'a>,
    #[serde(borrow)]
    label: Text<'a>,
}

fn row_of(line: &[u8]) -> Result<Row<'_>, RowProblem> {
    let line = std::str::from_utf8(line).map_err(|_| RowProblem::NotUtf8)?;
    serde_json::from_str(line).map_err(|error| {
        // The parser sees one line and calls it the first; the line's real number is reported with the row.
        let message = error.to_string();
        let reason = message.split(" at line ").next().unwrap_or_default();
        RowProblem::Json(format!("{reason} at column {}", error.column()))
    })
}

/// A JSON text, number or boolean as text.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a text, a number or a boolean")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.is_finite() {
            Ok(Cow::Owned(value.to_string()))
        } else {
            Err(E::custom("the number is too large"))
        }
    }
}
