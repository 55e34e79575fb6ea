//! What a change of a project means for the tasks and answers that are there already.

use std::collections::BTreeMap;

use axum::extract::State;
use quorate_toloka::types::{DifferenceLevel, FieldSpec, Project, ProjectCheck, TaskSpec, Values};
use serde_json::Value;

use super::{forms, projects};
use crate::{
    error::Result,
    http::{Answer, Body, Id, Requester, ok},
    model::project_body,
    platform::Platform,
};

/// Tells what putting the project would mean; changes nothing.
pub(super) async fn check(
    State(p): State<Platform>,
    who: Requester,
    Id(id): Id,
    body: Body,
) -> Answer {
    p.read(move |db| {
        let project = projects::find(db, &who.0, &id)?;
        let form: Project = body.parse()?;
        forms::check_project(db, &who.0, &form)?;
        Ok(ok(ProjectCheck {
            difference_level: Some(difference(&project.form, &form)?),
            other: Values::new(),
        }))
    })
    .await
}

fn difference(old: &Project, new: &Project) -> Result<DifferenceLevel> {
    let (old, new) = (normal(old), normal(new));
    if project_body(&old)? == project_body(&new)? {
        return Ok(DifferenceLevel::Equal);
    }
    let (old, new) = (
        old.task_spec.unwrap_or_default(),
        new.task_spec.unwrap_or_default(),
    );
    let all_fit =
        fits(&old.input_spec, &new.input_spec) && fits(&old.output_spec, &new.output_spec);
    Ok(if all_fit {
        DifferenceLevel::NonBreakingChange
    } else {
        DifferenceLevel::BreakingChange
    })
}

/// The project with the defaults of its fields written out: leaving them out is no difference.
fn normal(project: &Project) -> Project {
    let mut project = project.clone();
    if let Some(TaskSpec {
        input_spec,
        output_spec,
        ..
    }) = &mut project.task_spec
    {
        for field in input_spec.values_mut().chain(output_spec.values_mut()) {
            field.required.get_or_insert(true);
            field.hidden.get_or_insert(false);
        }
    }
    project
}

/// Whether all values that fit the old fields fit the new ones. Without any fields everything fits:
/// the view decides.
fn fits(old: &BTreeMap<String, FieldSpec>, new: &BTreeMap<String, FieldSpec>) -> bool {
    if new.is_empty() {
        return true;
    }
    let kept = old
        .iter()
        .all(|(name, old)| new.get(name).is_some_and(|new| field_fits(old, new)));
    let added = new
        .iter()
        .filter(|(name, _)| !old.contains_key(*name))
        .all(|(_, new)| new.required == Some(false));
    // From no fields at all to some: the old values have names that may not be among them.
    kept && added && !old.is_empty()
}

fn field_fits(old: &FieldSpec, new: &FieldSpec) -> bool {
    let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
    let count = |value: Option<u32>| value.map(f64::from);
    let allowed = match (&old.allowed_values, &new.allowed_values) {
        (_, None) => true,
        (_, Some(new)) if new.is_empty() => true,
        (Some(old), Some(new)) => !old.is_empty() && old.iter().all(|value| new.contains(value)),
        (None, Some(_)) => false,
    };
    old.kind == new.kind
        && (new.required == Some(false) || old.required == Some(true))
        && allowed
        && at_least(number(&old.min_value), number(&new.min_value))
        && at_most(number(&old.max_value), number(&new.max_value))
        && at_least(count(old.min_length), count(new.min_length))
        && at_most(count(old.max_length), count(new.max_length))
        && at_least(count(old.min_size), count(new.min_size))
        && at_most(count(old.max_size), count(new.max_size))
}

/// Whether what is at least `old` is at least `new`.
fn at_least(old: Option<f64>, new: Option<f64>) -> bool {
    new.is_none_or(|new| old.is_some_and(|old| old >= new))
}

/// Whether what is at most `old` is at most `new`.
fn at_most(old: Option<f64>, new: Option<f64>) -> bool {
    new.is_none_or(|new| old.is_some_and(|old| old <= new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn project(input: Value, output: Value) -> Value {
        json!({
            "public_name": "p",
            "task_spec": {"input_spec": input, "output_spec": output, "view_spec": {"type": "tb", "config": "{}"}},
        })
    }

    fn level(old: &Value, new: &Value) -> DifferenceLevel {
        let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        difference(&read(old), &read(new)).unwrap()
    }

    #[test]
    fn a_change_breaks_when_an_old_value_could_be_refused() {
        let image = json!({"image": {"type": "url"}});
        let spec = json!({"type": "string", "allowed_values": ["a", "b"], "max_length": 5});
        let old = project(image.clone(), json!({"r": spec}));
        let changed = |over: Value| {
            let mut spec = spec.clone();
            let fields = over.as_object().unwrap().clone();
            spec.as_object_mut().unwrap().extend(fields);
            project(image.clone(), json!({"r": spec}))
        };
        use DifferenceLevel::{BreakingChange, Equal, NonBreakingChange};
        let cases = [
            (changed(json!({})), Equal),
            (changed(json!({"required": true, "hidden": false})), Equal),
            (changed(json!({"required": false})), NonBreakingChange),
            (changed(json!({"hidden": true})), NonBreakingChange),
            (changed(json!({"type": "integer"})), BreakingChange),
            (changed(json!({"allowed_values": ["a"]})), BreakingChange),
            (
                changed(json!({"allowed_values": ["a", "b", "c"]})),
                NonBreakingChange,
            ),
            (changed(json!({"allowed_values": null})), NonBreakingChange),
            (changed(json!({"max_length": 4})), BreakingChange),
            (changed(json!({"max_length": null})), NonBreakingChange),
            (changed(json!({"min_length": 1})), BreakingChange),
            (project(json!({}), json!({"r": spec})), NonBreakingChange),
            (project(image.clone(), json!({"s": spec})), BreakingChange),
            (
                project(
                    json!({"image": {"type": "url"}, "id": {"type": "string"}}),
                    json!({"r": spec}),
                ),
                BreakingChange,
            ),
            (
                project(
                    json!({"image": {"type": "url"}, "id": {"type": "string", "required": false}}),
                    json!({"r": spec}),
                ),
                NonBreakingChange,
            ),
        ];
        for (new, expected) in cases {
            assert_eq!(level(&old, &new), expected, "{new}");
        }
        let mut renamed = old.clone();
        renamed["public_name"] = json!("q");
        assert_eq!(level(&old, &renamed), NonBreakingChange);
        let free = project(json!({}), json!({}));
        assert_eq!(level(&free, &old), BreakingChange);
    }

    #[test]
    fn bounds_may_widen_but_not_narrow() {
        assert!(
            at_least(Some(2.0), Some(1.0)) && at_least(Some(2.0), None) && at_least(None, None)
        );
        assert!(!at_least(Some(1.0), Some(2.0)) && !at_least(None, Some(0.0)));
        assert!(at_most(Some(1.0), Some(2.0)) && !at_most(Some(2.0), Some(1.0)));
        assert!(!at_most(None, Some(1.0)));
    }
}
