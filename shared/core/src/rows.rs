//! Rows files: work that is not an image, one task a row.

use std::collections::BTreeMap;

/// The most bytes that a row's fields may have together.
const MAX_ROW: usize = 64 * 1024;

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1, headers and blank lines not counted.
    pub number: u64,
    /// The line it begins on, from 1.
    pub line: u64,
    /// The campaign's fields, and the label if one was asked for; or why it is no row.
    pub content: Result<(BTreeMap<String, String>, Option<String>), String>,
}

/// Reads a `.csv` file with a header or a `.jsonl` file. Of each row only `fields` are kept; with
/// `label_columns`, the first of them that is there gives the row's label.
///
/// # Errors
/// If the file as a whole cannot be read: no UTF-8, a header without the fields.
pub fn read(
    key: &str,
    bytes: &[u8],
    fields: &[String],
    label_columns: &[&str],
) -> Result<Vec<Row>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 text (at byte {})", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if key.to_ascii_lowercase().ends_with(".jsonl") {
        Ok(read_jsonl(text, fields, label_columns))
    } else {
        read_csv(text, fields, label_columns)
    }
}

fn read_csv(text: &str, fields: &[String], label_columns: &[&str]) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| format!("its header cannot be read: {error}"))?
        .clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    for field in fields {
        if column(field).is_none() {
            let columns: Vec<&str> = header.iter().collect();
            return Err(format!(
                "its header has no column {field:?} (it has {columns:?})"
            ));
        }
    }
    let label_column = label_columns.iter().find_map(|name| column(name));
    if !label_columns.is_empty() && label_column.is_none() {
        return Err(format!(
            "its header has no column with the label: name it {:?}",
            label_columns.join("\" or \"")
        ));
    }
    let mut rows = Vec::new();
    for (number, record) in (1..).zip(reader.records()) {
        let line = match &record {
            Ok(record) => record.position().map_or(0, csv::Position::line),
            Err(error) => error.position().map_or(0, csv::Position::line),
        };
        let content = record
            .map_err(|error| error.to_string())
            .and_then(|record| {
                let cell = |name: &str| {
                    column(name)
                        .and_then(|at| record.get(at))
                        .map(str::to_owned)
                };
                let label = label_column
                    .and_then(|at| record.get(at))
                    .map(str::to_owned);
                row(fields, cell, label, label_column.is_some())
            });
        rows.push(Row {
            number,
            line,
            content,
        });
    }
    Ok(rows)
}

fn read_jsonl(text: &str, fields: &[String], label_columns: &[&str]) -> Vec<Row> {
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    (1..)
        .zip(lines)
        .map(|(number, (line, text))| {
            let content = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
                .map_err(|error| format!("it is not a JSON object: {error}"))
                .and_then(|object| {
                    let cell = |name: &str| match object.get(name) {
                        None | Some(serde_json::Value::Null) => None,
                        Some(serde_json::Value::String(text)) => Some(text.clone()),
                        Some(other) => Some(other.to_string()),
                    };
                    let label = label_columns.iter().find_map(|name| cell(name));
                    row(fields, cell, label, !label_columns.is_empty())
                });
            Row {
                number,
                line,
                content,
            }
        })
        .collect()
}

fn row(
    fields: &[String],
    cell: impl Fn(&str) -> Option<String>,
    label: Option<String>,
    wants_label: bool,
) -> Result<(BTreeMap<String, String>, Option<String>), String> {
    let mut values = BTreeMap::new();
    for field in fields {
        let value = cell(field).filter(|value| !value.trim().is_empty());
        values.insert(
            field.clone(),
            value.ok_or_else(|| format!("its {field:?} is empty"))?,
        );
    }
    if values.values().map(String::len).sum::<usize>() > MAX_ROW {
        return Err(format!("it is longer than {MAX_ROW} bytes"));
    }
    if wants_label && label.is_none() {
        return Err("its label is missing".to_owned());
    }
    Ok((values, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<String> {
        vec!["headline".to_owned()]
    }

    #[test]
    fn csv_rows_keep_the_fields_and_say_where_they_are_bad() {
        let text = "\u{feff}id,headline,category\n1,\"a, \"\"b\"\"\nc\",x\n2,  ,y\n3,d,\n";
        let rows = read("k.csv", text.as_bytes(), &fields(), &["label", "category"]).unwrap();
        let (values, label) = rows[0].content.clone().unwrap();
        assert_eq!(values["headline"], "a, \"b\"\nc");
        assert_eq!(label.as_deref(), Some("x"));
        assert_eq!(
            (rows[1].line, rows[1].content.clone()),
            (4, Err("its \"headline\" is empty".to_owned()))
        );
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn a_header_without_the_field_is_explained() {
        let error = read("k.csv", b"title\nx\n", &fields(), &[]).unwrap_err();
        assert_eq!(
            error,
            "its header has no column \"headline\" (it has [\"title\"])"
        );
        assert!(
            read("k.csv", b"\xff\xfe", &fields(), &[])
                .unwrap_err()
                .contains("UTF-8")
        );
    }

    #[test]
    fn one_bad_line_of_jsonl_leaves_the_others() {
        let rows = read(
            "k.jsonl",
            b"{\"headline\":\"a\"}\n\nnope\n{\"headline\":3}\n",
            &fields(),
            &[],
        )
        .unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1].line, 3);
        assert!(rows[1].content.is_err());
        assert_eq!(rows[2].content.clone().unwrap().0["headline"], "3");
    }
}
