//! Lists: equality filters, comparisons by suffix, sorting, and pages by key.
//!
//! `?status=OPEN&created_gte=…&id_gt=…&sort=-created,id&limit=50`. Filters combine; there is no
//! offset: a client asks for what comes after the last key it has seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use axum::{http::header, response::IntoResponse as _};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use quorate_toloka::types::Page;
use rusqlite::{Row, types::Value as Sql};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    http::Answer,
    store::Db,
};

/// The bytes after which a page has no further item: large objects come in smaller pages.
const MOST_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Query parameters by name.
pub(crate) type Params = BTreeMap<String, String>;

/// How a field is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number, such as a decimal id.
    Number,
    /// Text, such as the id of a task.
    Text,
    /// Text; the parameter may name several values, separated by commas.
    Words,
    /// A time.
    Time,
}

/// What a field may be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// `field=`.
    Equal,
    /// `field_gt=` and its like, and sorting.
    Order,
    /// Both.
    Both,
}

/// A field that lists are filtered or sorted by: name, SQL expression, kind, use.
pub(crate) type Field = (&'static str, &'static str, Kind, Use);

/// What a list offers.
pub(crate) struct Spec {
    pub(crate) fields: &'static [Field],
    pub(crate) default_limit: usize,
    pub(crate) max_limit: usize,
}

/// The SQL of one list request.
pub(crate) struct Query {
    condition: String,
    values: Vec<Sql>,
    order: String,
    limit: usize,
}

impl Query {
    /// Reads the parameters. Parameters that the list does not know are ignored, as the API does.
    pub(crate) fn parse(spec: &Spec, params: &Params) -> Result<Self> {
        let mut query = Self {
            condition: "1".to_owned(),
            values: Vec::new(),
            order: String::new(),
            limit: limit(spec, params)?,
        };
        for (name, value) in params {
            for (field, column, kind, usage) in spec.fields {
                if name == field && *usage != Use::Order {
                    query.equal(column, *kind, name, value)?;
                } else if *usage != Use::Equal
                    && let Some(operator) = name.strip_prefix(field).and_then(operator)
                {
                    query.compare(column, *kind, operator, name, value)?;
                }
            }
        }
        query.order = order(spec, params.get("sort").map_or("id", String::as_str))?;
        Ok(query)
    }

    /// Adds a condition that the request did not name. `?` is the place of the value.
    pub(crate) fn and(mut self, condition: &str, value: impl Into<Sql>) -> Self {
        self.values.push(value.into());
        let place = format!("?{}", self.values.len());
        let _ = write!(self.condition, " AND ({})", condition.replace('?', &place));
        self
    }

    /// Runs `select` (up to its FROM clause) with the conditions, order and limit.
    pub(crate) fn page<T>(
        self,
        db: &Db<'_>,
        select: &str,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Page<T>> {
        let sql = format!(
            "{select} WHERE {} ORDER BY {} LIMIT {}",
            self.condition,
            self.order,
            self.limit + 1
        );
        let mut statement = db.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(self.values))?;
        let (mut items, mut bytes) = (Vec::new(), 0);
        let mut has_more = false;
        while let Some(row) = rows.next()? {
            has_more = items.len() == self.limit || bytes >= MOST_PAGE_BYTES;
            if has_more {
                break;
            }
            bytes += size(row);
            items.push(read(row)?);
        }
        Ok(Page { items, has_more })
    }

    fn equal(&mut self, column: &str, kind: Kind, name: &str, value: &str) -> Result<()> {
        let values: Vec<&str> = match kind {
            Kind::Words => value.split(',').filter(|word| !word.is_empty()).collect(),
            _ => vec![value],
        };
        if values.is_empty() {
            return Ok(());
        }
        let mut places = Vec::new();
        for value in values {
            self.values.push(sql_value(kind, "=", name, value)?);
            places.push(format!("?{}", self.values.len()));
        }
        let _ = write!(self.condition, " AND {column} IN ({})", places.join(", "));
        Ok(())
    }

    fn compare(
        &mut self,
        column: &str,
        kind: Kind,
        operator: &str,
        name: &str,
        value: &str,
    ) -> Result<()> {
        self.values.push(sql_value(kind, operator, name, value)?);
        let _ = write!(
            self.condition,
            " AND {column} {operator} ?{}",
            self.values.len()
        );
        Ok(())
    }
}

/// The bytes of a row's texts.
fn size(row: &Row<'_>) -> usize {
    let columns = 0..row.as_ref().column_count();
    let texts = columns.filter_map(|column| row.get_ref(column).ok()?.as_bytes().ok());
    texts.map(<[u8]>::len).sum()
}

/// 200 with the items of a page as `wire` makes them, which may be much larger than their rows. Of
/// items that are too large together, it has the first ones.
pub(crate) fn answer<R, T: Serialize>(
    page: Page<R>,
    mut wire: impl FnMut(R) -> Result<T>,
) -> Answer {
    let mut text = b"{\"items\":[".to_vec();
    let mut has_more = page.has_more;
    for (index, row) in page.items.into_iter().enumerate() {
        if text.len() >= MOST_PAGE_BYTES {
            has_more = true;
            break;
        }
        if index > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &wire(row)?)?;
    }
    text.extend_from_slice(format!("],\"has_more\":{has_more}}}").as_bytes());
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

fn operator(suffix: &str) -> Option<&'static str> {
    Some(match suffix {
        "_lt" => "<",
        "_lte" => "<=",
        "_gt" => ">",
        "_gte" => ">=",
        _ => return None,
    })
}

fn sql_value(kind: Kind, operator: &str, name: &str, value: &str) -> Result<Sql> {
    match kind {
        Kind::Text | Kind::Words => Ok(Sql::Text(value.to_owned())),
        Kind::Number => match value {
            // Flags such as `global=false`.
            "true" => Ok(Sql::Integer(1)),
            "false" => Ok(Sql::Integer(0)),
            _ => value.parse().map(Sql::Integer).map_err(|_| {
                Error::field(
                    name,
                    "INTEGER_EXPECTED",
                    format!("`{value}` is no whole number"),
                )
            }),
        },
        Kind::Time => bound(value, operator).map(Sql::Integer).ok_or_else(|| {
            Error::field(
                name,
                "INVALID_DATE_TIME_SYNTAX",
                format!("`{value}` is no time such as 2026-01-31T09:00:00"),
            )
        }),
    }
}

/// A time as a bound in whole milliseconds, which is what is stored: rounded so that the
/// comparison has the result that it would have with the finer value.
fn bound(text: &str, operator: &str) -> Option<i64> {
    let time: Timestamp = text
        .parse()
        .or_else(|_| {
            let naive: DateTime = text.parse()?;
            Ok::<_, jiff::Error>(naive.to_zoned(TimeZone::UTC)?.timestamp())
        })
        .ok()?;
    let nanos = time.as_nanosecond();
    let floor = nanos.div_euclid(1_000_000);
    let up = matches!(operator, "<" | ">=") && nanos.rem_euclid(1_000_000) != 0;
    i64::try_from(floor + i128::from(up)).ok()
}

fn limit(spec: &Spec, params: &Params) -> Result<usize> {
    let Some(text) = params.get("limit") else {
        return Ok(spec.default_limit);
    };
    match text.parse::<usize>() {
        Err(_) => Err(Error::field(
            "limit",
            "INTEGER_EXPECTED",
            "limit must be a whole number",
        )),
        Ok(0) => Err(Error::field(
            "limit",
            "VALUE_LESS_THAN_MIN",
            "limit must be 1 or more",
        )),
        Ok(limit) if limit > spec.max_limit => Err(Error::field(
            "limit",
            "VALUE_GREATER_THAN_MAX",
            format!("limit must be {} or less", spec.max_limit),
        )),
        Ok(limit) => Ok(limit),
    }
}

fn order(spec: &Spec, sort: &str) -> Result<String> {
    let (mut keys, mut sorted) = (Vec::new(), BTreeSet::new());
    let mut by_id = false;
    for key in sort.split(',').filter(|key| !key.is_empty()) {
        let (name, direction) = match key.strip_prefix('-') {
            Some(name) => (name, "DESC"),
            None => (key, "ASC"),
        };
        let Some((_, column, ..)) = spec
            .fields
            .iter()
            .find(|(field, _, _, usage)| *field == name && *usage != Use::Equal)
        else {
            return Err(Error::field(
                "sort",
                "INVALID_VALUE",
                format!("cannot sort by `{name}`"),
            ));
        };
        by_id |= name == "id";
        // Named again it changes nothing, and SQL takes only so many.
        if sorted.insert(name) {
            keys.push(format!("{column} {direction}"));
        }
    }
    // Equal keys must not come in a different order on every page.
    if !by_id && let Some((_, column, ..)) = spec.fields.iter().find(|(field, ..)| *field == "id") {
        keys.push(format!("{column} ASC"));
    }
    Ok(keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        fields: &[
            ("id", "id", Kind::Text, Use::Order),
            ("status", "status", Kind::Words, Use::Equal),
            ("created", "created", Kind::Time, Use::Order),
        ],
        default_limit: 50,
        max_limit: 100,
    };

    fn parse(params: &[(&str, &str)]) -> Result<Query> {
        let params = params
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Query::parse(&SPEC, &params)
    }

    #[test]
    fn filters_combine_and_sorting_ends_with_the_id() {
        let query = parse(&[
            ("created_gte", "2020-01-01T00:00:00"),
            ("id_gt", "a"),
            ("id_lte", "b"),
            ("sort", "-created"),
            ("status", "A,B"),
            ("unknown", "x"),
        ])
        .unwrap();
        assert_eq!(
            query.condition,
            "1 AND created >= ?1 AND id > ?2 AND id <= ?3 AND status IN (?4, ?5)"
        );
        assert_eq!(query.order, "created DESC, id ASC");
        assert_eq!(query.limit, 50);
        assert_eq!(parse(&[]).unwrap().order, "id ASC");
        let again = parse(&[("sort", "created,-id,-created,id")]).unwrap();
        assert_eq!(again.order, "created ASC, id DESC");
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for wrong in [
            ("limit", "101"),
            ("limit", "0"),
            ("limit", "x"),
            ("sort", "status"),
            ("created_lt", "soon"),
        ] {
            assert!(parse(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_bound_finer_than_a_millisecond_keeps_its_meaning() {
        let text = "1970-01-01T00:00:00.0015";
        assert_eq!(bound(text, "<="), Some(1));
        assert_eq!(bound(text, ">"), Some(1));
        assert_eq!(bound(text, ">="), Some(2));
        assert_eq!(bound(text, "<"), Some(2));
        assert_eq!(bound("1970-01-01T00:00:00.002Z", "<"), Some(2));
    }
}
