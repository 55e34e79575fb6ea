//! Whether values fit a project's field specification.

use std::collections::BTreeMap;

use quorate_toloka::types::{FieldSpec, FieldType, Values};
use serde_json::Value;

use crate::error::{FieldErrors, field_error};

/// How strictly values are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Required fields must be there.
    Whole,
    /// Only what is there is checked: a known solution may leave fields out.
    Part,
}

/// Adds an error for every value that does not fit, under `path.<field>`.
pub(crate) fn check(
    values: &Values,
    spec: &BTreeMap<String, FieldSpec>,
    path: &str,
    strictness: Strictness,
    errors: &mut FieldErrors,
) {
    for (name, field) in spec {
        let at = format!("{path}.{name}");
        match values.get(name) {
            None | Some(Value::Null) => {
                if strictness == Strictness::Whole && field.required.unwrap_or(true) {
                    errors.insert(at, field_error("VALUE_REQUIRED", "Value must be present"));
                }
            }
            Some(value) => check_field(value, field, &at, errors),
        }
    }
    for name in values.keys().filter(|name| !spec.contains_key(*name)) {
        errors.insert(
            format!("{path}.{name}"),
            field_error("VALUE_NOT_ALLOWED", "The project has no such field"),
        );
    }
}

fn check_field(value: &Value, field: &FieldSpec, at: &str, errors: &mut FieldErrors) {
    let refused = match element_type(&field.kind) {
        Some(element) => check_array(value, &element, field, at, errors),
        None => check_single(value, &field.kind, field),
    };
    if let Some((code, message)) = refused {
        errors.insert(at.to_owned(), field_error(code, message));
    }
}

type Refusal = Option<(&'static str, String)>;

fn refuse(code: &'static str, message: impl Into<String>) -> Refusal {
    Some((code, message.into()))
}

/// The type of an array's elements; `None` for what is no array.
fn element_type(kind: &FieldType) -> Option<FieldType> {
    Some(match kind {
        FieldType::ArrayString => FieldType::String,
        FieldType::ArrayBoolean => FieldType::Boolean,
        FieldType::ArrayInteger => FieldType::Integer,
        FieldType::ArrayFloat => FieldType::Float,
        FieldType::ArrayUrl => FieldType::Url,
        FieldType::ArrayFile => FieldType::File,
        FieldType::ArrayCoordinates => FieldType::Coordinates,
        FieldType::ArrayJson => FieldType::Json,
        _ => return None,
    })
}

fn check_array(
    value: &Value,
    element: &FieldType,
    field: &FieldSpec,
    at: &str,
    errors: &mut FieldErrors,
) -> Refusal {
    let Value::Array(items) = value else {
        return refuse("ARRAY_EXPECTED", "Value must be an array");
    };
    if field.min_size.is_some_and(|min| items.len() < min as usize) {
        return refuse(
            "ARRAY_SIZE_LESS_THAN_MIN",
            format!("{} items are too few", items.len()),
        );
    }
    if field.max_size.is_some_and(|max| items.len() > max as usize) {
        return refuse(
            "ARRAY_SIZE_GREATER_THAN_MAX",
            format!("{} items are too many", items.len()),
        );
    }
    for (index, item) in items.iter().enumerate() {
        if let Some((code, message)) = check_single(item, element, field) {
            errors.insert(format!("{at}.{index}"), field_error(code, message));
        }
    }
    None
}

fn check_single(value: &Value, kind: &FieldType, field: &FieldSpec) -> Refusal {
    let shape = match kind {
        FieldType::String | FieldType::File => check_string(value, field),
        FieldType::Url => check_url(value, field),
        FieldType::Boolean if !value.is_boolean() => {
            refuse("BOOLEAN_EXPECTED", "Value must be true or false")
        }
        FieldType::Integer => check_number(value, field, true),
        FieldType::Float => check_number(value, field, false),
        FieldType::Coordinates => check_coordinates(value),
        // JSON is anything; so is a type that this version does not know.
        _ => None,
    };
    shape.or_else(|| match &field.allowed_values {
        Some(allowed) if !allowed.is_empty() && !allowed.contains(value) => {
            refuse("VALUE_NOT_ALLOWED", "Value is not among the allowed ones")
        }
        _ => None,
    })
}

fn check_string(value: &Value, field: &FieldSpec) -> Refusal {
    let Value::String(text) = value else {
        return refuse("STRING_EXPECTED", "Value must be a string");
    };
    let length = text.chars().count();
    if length == 0 && field.required.unwrap_or(true) {
        return refuse("BLANK_STRING_NOT_ALLOWED", "Value must not be empty");
    }
    if field.min_length.is_some_and(|min| length < min as usize) {
        return refuse(
            "STRING_LENGTH_LESS_THAN_MIN",
            format!("{length} characters are too few"),
        );
    }
    if field.max_length.is_some_and(|max| length > max as usize) {
        return refuse(
            "STRING_LENGTH_GREATER_THAN_MAX",
            format!("{length} characters are too many"),
        );
    }
    None
}

/// An address with a scheme, or a path on the platform.
fn check_url(value: &Value, field: &FieldSpec) -> Refusal {
    check_string(value, field).or_else(|| {
        let text = value.as_str().unwrap_or_default();
        let scheme = text.split_once("://").is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if clean && (scheme || text.starts_with('/')) {
            None
        } else {
            refuse(
                "INVALID_URL_SYNTAX",
                "Value must be an address such as https://example.com/1.png",
            )
        }
    })
}

fn check_number(value: &Value, field: &FieldSpec, integer: bool) -> Refusal {
    let Some(number) = value.as_f64().filter(|_| value.is_number()) else {
        return if integer {
            refuse("INTEGER_EXPECTED", "Value must be an integer")
        } else {
            refuse("FLOAT_EXPECTED", "Value must be a number")
        };
    };
    if integer && number.fract().abs() > 0.0 {
        return refuse("INTEGER_EXPECTED", "Value must be an integer");
    }
    let bound = |limit: &Option<Value>| limit.as_ref().and_then(Value::as_f64);
    if bound(&field.min_value).is_some_and(|min| number < min) {
        return refuse("VALUE_LESS_THAN_MIN", "Value is too small");
    }
    if bound(&field.max_value).is_some_and(|max| number > max) {
        return refuse("VALUE_GREATER_THAN_MAX", "Value is too large");
    }
    None
}

/// `"<latitude>,<longitude>"`.
fn check_coordinates(value: &Value) -> Refusal {
    let valid = value
        .as_str()
        .and_then(|text| text.split_once(','))
        .is_some_and(|(lat, lon)| {
            let within = |text: &str, limit: f64| {
                text.trim()
                    .parse::<f64>()
                    .is_ok_and(|degrees| degrees.abs() <= limit)
            };
            within(lat, 90.0) && within(lon, 180.0)
        });
    if valid {
        None
    } else {
        refuse(
            "INVALID_COORDINATES_SYNTAX",
            "Value must be `latitude,longitude`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The code for one field of `spec`, if `value` is refused.
    fn code(spec: Value, value: Value) -> Option<String> {
        let spec = BTreeMap::from([("f".to_owned(), serde_json::from_value(spec).unwrap())]);
        let mut values = Values::new();
        if !value.is_null() {
            values.insert("f".to_owned(), value);
        }
        let mut errors = FieldErrors::new();
        check(
            &values,
            &spec,
            "output_values",
            Strictness::Whole,
            &mut errors,
        );
        errors.remove("output_values.f").map(|error| error.code)
    }

    #[test]
    fn values_are_checked_by_type_bounds_and_allowed_values() {
        let cases = [
            (json!({"type": "string"}), json!("x"), None),
            (
                json!({"type": "string"}),
                json!(null),
                Some("VALUE_REQUIRED"),
            ),
            (
                json!({"type": "string"}),
                json!(""),
                Some("BLANK_STRING_NOT_ALLOWED"),
            ),
            (
                json!({"type": "string", "required": false}),
                json!(null),
                None,
            ),
            (json!({"type": "string"}), json!(1), Some("STRING_EXPECTED")),
            (
                json!({"type": "string", "max_length": 2}),
                json!("äöü"),
                Some("STRING_LENGTH_GREATER_THAN_MAX"),
            ),
            (
                json!({"type": "string", "min_length": 3}),
                json!("äö"),
                Some("STRING_LENGTH_LESS_THAN_MIN"),
            ),
            (
                json!({"type": "string", "allowed_values": ["a"]}),
                json!("b"),
                Some("VALUE_NOT_ALLOWED"),
            ),
            (json!({"type": "url"}), json!("https://e.com/1.png"), None),
            (json!({"type": "url"}), json!("/files/1.png"), None),
            (
                json!({"type": "url"}),
                json!("javascript:alert(1)"),
                Some("INVALID_URL_SYNTAX"),
            ),
            (
                json!({"type": "integer", "max_value": 5}),
                json!(6),
                Some("VALUE_GREATER_THAN_MAX"),
            ),
            (
                json!({"type": "integer"}),
                json!(1.5),
                Some("INTEGER_EXPECTED"),
            ),
            (
                json!({"type": "integer"}),
                json!("1"),
                Some("INTEGER_EXPECTED"),
            ),
            (
                json!({"type": "float", "min_value": 0}),
                json!(-0.5),
                Some("VALUE_LESS_THAN_MIN"),
            ),
            (
                json!({"type": "boolean"}),
                json!("true"),
                Some("BOOLEAN_EXPECTED"),
            ),
            (json!({"type": "boolean"}), json!(true), None),
            (json!({"type": "coordinates"}), json!("55.7,37.6"), None),
            (
                json!({"type": "coordinates"}),
                json!("155.7,37.6"),
                Some("INVALID_COORDINATES_SYNTAX"),
            ),
            (
                json!({"type": "array_string", "max_size": 1}),
                json!(["a", "b"]),
                Some("ARRAY_SIZE_GREATER_THAN_MAX"),
            ),
            (
                json!({"type": "array_string", "min_size": 1}),
                json!([]),
                Some("ARRAY_SIZE_LESS_THAN_MIN"),
            ),
            (
                json!({"type": "array_string"}),
                json!("a"),
                Some("ARRAY_EXPECTED"),
            ),
            (json!({"type": "json"}), json!({"a": [1]}), None),
        ];
        for (spec, value, expected) in cases {
            assert_eq!(
                code(spec.clone(), value.clone()).as_deref(),
                expected,
                "{spec} {value}"
            );
        }
    }

    #[test]
    fn unknown_fields_and_single_array_items_are_named() {
        let spec = BTreeMap::from([(
            "a".to_owned(),
            serde_json::from_value(json!({"type": "array_integer"})).unwrap(),
        )]);
        let mut errors = FieldErrors::new();
        let values = json!({"a": [1, "x"], "b": 1});
        check(
            values.as_object().unwrap(),
            &spec,
            "v",
            Strictness::Part,
            &mut errors,
        );
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["v.a.1", "v.b"]);
    }
}
