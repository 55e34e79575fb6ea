//! Campaigns defined by Toloka's own files, as users of its API keep them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Campaign, CampaignError, Problem};

/// Settings of a pool that let it cost more than is known beforehand: where, what, why.
const UNBOUNDED: [(&str, &str, &str); 5] = [
    (
        "/dynamic_overlap_config",
        "dynamic_overlap_config",
        "it asks for more answers than the overlap",
    ),
    (
        "/dynamic_pricing_config",
        "dynamic_pricing_config",
        "pages have other prices",
    ),
    (
        "/quality_control/checkpoints_config",
        "quality_control.checkpoints_config",
        "it asks for more answers than the overlap",
    ),
    (
        "/mixer_config/golden_task_distribution_function",
        "mixer_config.golden_task_distribution_function",
        "control tasks take the places of images",
    ),
    (
        "/mixer_config/training_task_distribution_function",
        "mixer_config.training_task_distribution_function",
        "training tasks take the places of images",
    ),
];

/// The documents; unknown fields in them are kept and sent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TolokaFiles {
    /// `project.json`.
    pub project: Value,
    /// `pool.json`.
    pub pool: Value,
    /// `exam.json`: the form of a training.
    pub training: Option<Value>,
}

impl TolokaFiles {
    /// Reads the texts of the files.
    ///
    /// # Errors
    /// JSON that does not parse, with its place, and files that are not objects.
    pub fn read(project: &str, pool: &str, training: Option<&str>) -> Result<Self, CampaignError> {
        let mut problems = Vec::new();
        let mut document = |file: &str, text: &str| match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() => value,
            Ok(_) => {
                problems.push(problem(file, "is not a JSON object"));
                Value::Null
            }
            Err(error) => {
                problems.push(Problem {
                    line: Some(error.line()),
                    column: Some(error.column()),
                    ..problem(file, &error.to_string())
                });
                Value::Null
            }
        };
        let files = Self {
            project: document("project.json", project),
            pool: document("pool.json", pool),
            training: training.map(|text| document("exam.json", text)),
        };
        if problems.is_empty() {
            Ok(files)
        } else {
            Err(CampaignError { problems })
        }
    }

    /// The campaign that these files describe.
    pub(super) fn campaign(&self) -> Result<Campaign, Problem> {
        let mut campaign = Campaign::blank();
        self.read_project(&mut campaign)?;
        self.read_pool(&mut campaign)?;
        if let Some(training) = &self.training {
            campaign.training.tasks_per_page =
                count(training, "/training_tasks_in_task_suite_count")
                    .unwrap_or(campaign.training.tasks_per_page);
        }
        Ok(campaign)
    }

    /// What in these files lets a pool cost more than its images reserve, so that no budget holds.
    pub(super) fn unbounded(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |file: &str, what: &str, why: &str| {
            problems.push(problem(
                file,
                &format!("{what} and a `budget` do not go together: {why}; remove one of them"),
            ));
        };
        for (pointer, what, why) in UNBOUNDED {
            if self
                .pool
                .pointer(pointer)
                .is_some_and(|value| !value.is_null())
            {
                refuse("pool.json", what, why);
            }
        }
        if self.pool.get("auto_accept_solutions") == Some(&Value::Bool(false)) {
            let why = "what waits for a verdict is neither paid nor free";
            refuse("pool.json", "auto_accept_solutions = false", why);
        }
        if raises_overlap(&self.pool) {
            let why = "it asks again for answers that were paid (only of rejected pages it may)";
            refuse("pool.json", "a quality rule with CHANGE_OVERLAP", why);
        }
        if self.project.get("assignments_automerge_enabled") == Some(&Value::Bool(true)) {
            let why = "pages of merged tasks hold fewer images";
            refuse("project.json", "assignments_automerge_enabled", why);
        }
        problems
    }

    fn read_project(&self, campaign: &mut Campaign) -> Result<(), Problem> {
        let text = |pointer: &str| {
            self.project
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        campaign.title = text("/public_name");
        campaign.question = campaign.title.clone();
        campaign.instructions = text("/public_instructions");
        let output = self
            .project
            .pointer("/task_spec/output_spec")
            .and_then(Value::as_object)
            .ok_or_else(|| problem("project.json", "task_spec.output_spec is missing"))?;
        let required: Vec<&String> = output
            .iter()
            .filter(|(_, spec)| {
                spec.get("required")
                    .and_then(Value::as_bool)
                    .unwrap_or(true)
            })
            .map(|(name, _)| name)
            .collect();
        let [field] = required.as_slice() else {
            return Err(problem(
                "project.json",
                &format!(
                    "task_spec.output_spec must have one required field, the label; it has {}",
                    required.len()
                ),
            ));
        };
        campaign.answer_field = (*field).clone();
        let config = self.view_config()?;
        let allowed = output
            .get(*field)
            .and_then(|spec| spec.get("allowed_values"))
            .and_then(Value::as_array);
        campaign.labels = match allowed {
            Some(values) => values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        for (value, title) in options(&config, field) {
            if allowed.is_none() {
                campaign.labels.push(value.clone());
            }
            campaign.titles.insert(value, title);
        }
        if campaign.labels.len() < 2 {
            return Err(problem(
                "project.json",
                &format!(
                    "no labels found: give output field {field:?} `allowed_values`, or options in view_spec.config"
                ),
            ));
        }
        self.read_input(campaign)
    }

    fn read_input(&self, campaign: &mut Campaign) -> Result<(), Problem> {
        let input = self
            .project
            .pointer("/task_spec/input_spec")
            .and_then(Value::as_object)
            .ok_or_else(|| problem("project.json", "task_spec.input_spec is missing"))?;
        let shown: Vec<String> = input
            .iter()
            .filter(|(_, spec)| {
                spec.get("required")
                    .and_then(Value::as_bool)
                    .unwrap_or(true)
            })
            .map(|(name, _)| name.clone())
            .collect();
        // One field called image is filled with a link; anything else comes from the columns of rows.
        if shown != ["image"] {
            campaign.fields = shown;
        }
        Ok(())
    }

    fn view_config(&self) -> Result<Value, Problem> {
        match self.project.pointer("/task_spec/view_spec/config") {
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|error| {
                problem(
                    "project.json",
                    &format!("task_spec.view_spec.config is not JSON: {error}"),
                )
            }),
            Some(other) => Ok(other.clone()),
            None => Ok(Value::Null),
        }
    }

    fn read_pool(&self, campaign: &mut Campaign) -> Result<(), Problem> {
        let pool = &self.pool;
        campaign.overlap = count(pool, "/defaults/default_overlap_for_new_tasks")
            .or_else(|| count(pool, "/defaults/default_overlap_for_new_task_suites"))
            .ok_or_else(|| {
                problem(
                    "pool.json",
                    "defaults.default_overlap_for_new_tasks is missing",
                )
            })?;
        if campaign.overlap == 0 {
            return Err(problem(
                "pool.json",
                "the overlap is 0: nobody would judge anything",
            ));
        }
        campaign.images_per_page = count(pool, "/mixer_config/real_tasks_count")
            .filter(|count| *count > 0)
            .ok_or_else(|| problem("pool.json", "mixer_config.real_tasks_count is missing or 0: tasks are mixed into pages by it"))?;
        campaign.golden.per_page = count(pool, "/mixer_config/golden_tasks_count").unwrap_or(0);
        if let Some(seconds) = count(pool, "/assignment_max_duration_seconds") {
            campaign.seconds_per_page = seconds;
        }
        campaign.reward_per_page = pool
            .get("reward_per_assignment")
            .and_then(|reward| reward.to_string().parse::<Decimal>().ok())
            .ok_or_else(|| problem("pool.json", "reward_per_assignment is missing or no number"))?;
        Ok(())
    }
}

/// Whether a quality rule asks for more answers, unless it is for those of a rejected page.
fn raises_overlap(pool: &Value) -> bool {
    let list = |value: &Value, field: &str| -> Vec<Value> {
        let list = value.get(field).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let text = |value: &Value, pointer: &str, expected: &str| {
        value.pointer(pointer).and_then(Value::as_str) == Some(expected)
    };
    let rejected = |condition: &Value| {
        text(condition, "/key", "assessment_event")
            && text(condition, "/operator", "EQ")
            && text(condition, "/value", "REJECT")
    };
    let quality = pool.get("quality_control").unwrap_or(&Value::Null);
    list(quality, "configs").iter().any(|config| {
        let mut rules = list(config, "rules").into_iter();
        rules.any(|rule| {
            text(&rule, "/action/type", "CHANGE_OVERLAP")
                && !list(&rule, "conditions").iter().any(rejected)
        })
    })
}

fn problem(file: &str, message: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line: None,
        column: None,
        message: message.to_owned(),
    }
}

fn count(value: &Value, pointer: &str) -> Option<u32> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok())
}

/// The `options` (value, label) of the component that writes the output field `field`.
fn options(config: &Value, field: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![config];
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(object) => {
                let writes = object.get("data").is_some_and(|data| {
                    data.get("type").and_then(Value::as_str) == Some("data.output")
                        && data.get("path").and_then(Value::as_str) == Some(field)
                });
                if let (true, Some(Value::Array(list))) = (writes, object.get("options")) {
                    for option in list {
                        if let Some(value) = option.get("value").and_then(Value::as_str) {
                            let title =
                                option.get("label").and_then(Value::as_str).unwrap_or(value);
                            found.insert(value.to_owned(), title.to_owned());
                        }
                    }
                }
                pending.extend(object.values());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::campaign;

    /// What is wrong with a pool of this patch, in a campaign with or without a budget.
    fn problems(pool: &Value, project: &Value, toml: &str) -> Option<String> {
        let patched = |mut document: Value, patch: &Value| {
            let fields = document.as_object_mut().unwrap();
            fields.extend(patch.as_object().unwrap().clone());
            document.to_string()
        };
        let output = json!({"label": {"allowed_values": ["a", "b"]}});
        let spec = json!({"input_spec": {"image": {}}, "output_spec": output});
        let project = patched(json!({"public_name": "x", "task_spec": spec}), project);
        let mixer = json!({"real_tasks_count": 4, "golden_tasks_count": 1});
        let defaults = json!({"default_overlap_for_new_tasks": 3});
        let pool = patched(
            json!({"defaults": defaults, "mixer_config": mixer, "reward_per_assignment": 0.05}),
            pool,
        );
        let files = [Some(toml), Some(&project), Some(&pool), None];
        campaign::of_files(files, Decimal::ZERO)
            .err()
            .map(|error| error.to_string())
    }

    fn rule(collector: &str, condition: &Value) -> Value {
        let action = json!({"type": "CHANGE_OVERLAP", "parameters": {"delta": 1}});
        let rules = json!([{"conditions": [condition], "action": action}]);
        let config = json!({"collector_config": {"type": collector}, "rules": rules});
        json!({"quality_control": {"configs": [config]}})
    }

    #[test]
    fn what_no_budget_can_bound_is_refused_beside_one() {
        let revoked =
            json!({"key": "pool_access_revoked_reason", "operator": "EQ", "value": "SKILL_CHANGE"});
        let mixer = json!({
            "real_tasks_count": 4,
            "golden_tasks_count": 1,
            "golden_task_distribution_function": {"scope": "POOL"},
        });
        let nothing = json!({});
        for (pool, project, what) in [
            (
                json!({"dynamic_overlap_config": {}}),
                &nothing,
                "dynamic_overlap_config",
            ),
            (
                json!({"dynamic_pricing_config": {}}),
                &nothing,
                "dynamic_pricing_config",
            ),
            (
                json!({"mixer_config": mixer}),
                &nothing,
                "golden_task_distribution",
            ),
            (
                json!({"quality_control": {"checkpoints_config": {}}}),
                &nothing,
                "checkpoints_config",
            ),
            (
                json!({"auto_accept_solutions": false}),
                &nothing,
                "auto_accept",
            ),
            (
                rule("USERS_ASSESSMENT", &revoked),
                &nothing,
                "CHANGE_OVERLAP",
            ),
            (
                nothing.clone(),
                &json!({"assignments_automerge_enabled": true}),
                "automerge",
            ),
        ] {
            assert_eq!(problems(&pool, project, ""), None, "{what}");
            let told = problems(&pool, project, "budget = 10").unwrap();
            assert!(told.contains(what) && told.lines().count() == 1, "{told}");
        }
    }

    #[test]
    fn rules_that_cost_nothing_go_with_a_budget() {
        let rejected = json!({"key": "assessment_event", "operator": "EQ", "value": "REJECT"});
        for pool in [
            json!({"dynamic_overlap_config": null, "auto_accept_solutions": true}),
            rule("ASSIGNMENTS_ASSESSMENT", &rejected),
        ] {
            assert_eq!(problems(&pool, &json!({}), "budget = 10"), None);
        }
    }

    #[test]
    fn a_pools_overlap_is_its_own() {
        let told = problems(&json!({}), &json!({}), "budget = 10\noverlap = 1").unwrap();
        assert_eq!(
            told,
            "campaign.toml:2:11: `overlap` is defined by pool.json; remove it here"
        );
    }
}
