//! What a project asks its workers: the labels to choose from and how an answer is written down.

use quorate_toloka::types::TaskSpec;
use serde_json::{Map, Value, json};

use super::truth::Truth;

/// Nodes of a view config that are looked at: a config whose references multiply is cut short, not followed for ever.
const NODE_LIMIT: usize = 50_000;
/// Nesting that is followed; references can make a config nest without end.
const DEPTH_LIMIT: usize = 64;
/// Whole numbers are offered as labels when there are at most this many between `min_value` and `max_value`.
const MAX_NUMBERS: i64 = 100;

/// How many different answers an output field takes: its allowed values, the options that the view
/// offers, or the values of its type; `None` when anything may be answered, or several at once.
pub(crate) fn number_of_choices(task_spec: &TaskSpec, field: &str) -> Option<usize> {
    let task_spec = serde_json::to_value(task_spec).ok()?;
    let config = view_config(&task_spec);
    let mut view = View::new(&config);
    view.walk(config.get("view").unwrap_or(&Value::Null), 0);
    let fields = output_fields(&task_spec, &view.fields);
    let field = fields.iter().find(|known| known.name == field)?;
    let bounded = field.kind != "integer" || field.integer("max_value").is_some();
    let one_of = bounded && field.shape == Shape::Single;
    Some(field.choices.len()).filter(|count| one_of && *count > 0)
}

/// One label that a worker may choose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// The label as text: how truth files and folders name it.
    pub(super) name: String,
    /// What the worker reads on the button; hints use these words too.
    pub(super) title: String,
    value: Value,
}

impl Choice {
    fn new(value: &Value, title: Option<&str>) -> Self {
        let name = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        Self {
            title: title.unwrap_or(&name).to_owned(),
            name,
            value: value.clone(),
        }
    }
}

/// How the chosen label is written into the output field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// The label itself.
    Single,
    /// A list with the label, for `array_…` fields.
    List,
    /// An object `{label: true}`, as `field.checkbox-group` writes.
    Flags,
}

/// The question of a project, from its `task_spec`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    field: Option<String>,
    shape: Shape,
    /// The labels to choose from.
    pub(super) choices: Vec<Choice>,
    /// Whether any other string is an answer too.
    pub(super) open: bool,
    /// Values for the other required fields: valid, and the same in every answer.
    extras: Map<String, Value>,
    /// The fields that want an uploaded file, or (true) a list of them.
    files: Vec<(String, bool)>,
}

impl Form {
    /// Reads a project's `task_spec`. The question is the first required output field with two choices or more, else
    /// any with two choices, else the first required, else the first. Choices come from `allowed_values`, else from
    /// the options of the view's field that writes there, else from the type; a field without choices takes the words
    /// that `truth` knows.
    pub(super) fn of_task_spec(task_spec: &Value, truth: &Truth) -> Self {
        let config = view_config(task_spec);
        let mut view = View::new(&config);
        view.walk(config.get("view").unwrap_or(&Value::Null), 0);
        let fields = output_fields(task_spec, &view.fields);
        let asked = question(&fields);
        let extras = fields
            .iter()
            .filter(|field| field.required && Some(&field.name) != asked.map(|f| &f.name));
        let extras = extras
            .map(|field| (field.name.clone(), field.plausible()))
            .collect();
        let mut form = Self {
            field: None,
            shape: Shape::Single,
            choices: Vec::new(),
            open: false,
            extras,
            files: fields.iter().filter_map(Field::file).collect(),
        };
        if let Some(field) = asked {
            form.field = Some(field.name.clone());
            form.shape = field.shape;
            form.choices.clone_from(&field.choices);
            if form.choices.is_empty() {
                form.open = field.kind.ends_with("string");
                form.choices = field.words(truth);
            }
        }
        form
    }

    /// Whether an answer needs a file.
    pub(super) fn wants_file(&self) -> bool {
        !self.files.is_empty()
    }

    /// Answers with an uploaded file wherever one is wanted.
    pub(super) fn put_file(&self, answer: &mut Value, id: &str) {
        for (field, list) in &self.files {
            if let Some(values) = answer.as_object_mut() {
                let file = if *list { json!([id]) } else { json!(id) };
                values.insert(field.clone(), file);
            }
        }
    }

    /// The `output_values` that say `label`: one of the choices, or with an open form any string.
    pub(super) fn output_values(&self, label: &str) -> Value {
        let mut output = self.extras.clone();
        if let Some(field) = &self.field {
            let chosen = self.choices.iter().find(|choice| choice.name == label);
            let value = chosen.map_or_else(|| json!(label), |choice| choice.value.clone());
            let value = match self.shape {
                Shape::Single => value,
                Shape::List => json!([value]),
                Shape::Flags => json!({ label: true }),
            };
            output.insert(field.clone(), value);
        }
        Value::Object(output)
    }
}

/// One output field of the project.
struct Field<'a> {
    name: String,
    kind: String,
    required: bool,
    spec: &'a Value,
    shape: Shape,
    choices: Vec<Choice>,
}

fn output_fields<'a>(task_spec: &'a Value, view: &[ViewField]) -> Vec<Field<'a>> {
    let declared = task_spec.get("output_spec").and_then(Value::as_object);
    let declared: Vec<_> = declared.into_iter().flatten().collect();
    if declared.is_empty() {
        // `inferDataSpec`: the view is the specification.
        return view
            .iter()
            .map(|shown| Field::new(&shown.path, &Value::Null, Some(shown)))
            .collect();
    }
    let shown = |name: &str| view.iter().find(|field| field.path == name);
    let hidden = |spec: &Value| spec.get("hidden").and_then(Value::as_bool).unwrap_or(false);
    let visible = declared.into_iter().filter(|(_, spec)| !hidden(spec));
    visible
        .map(|(name, spec)| Field::new(name, spec, shown(name)))
        .collect()
}

fn question<'a, 'b>(fields: &'a [Field<'b>]) -> Option<&'a Field<'b>> {
    let chosen_from = |field: &&Field<'_>| field.choices.len() > 1;
    let mut required = fields.iter().filter(|field| field.required);
    let best = required
        .clone()
        .find(chosen_from)
        .or_else(|| fields.iter().find(chosen_from));
    best.or_else(|| required.next()).or_else(|| fields.first())
}

impl<'a> Field<'a> {
    fn new(name: &str, spec: &'a Value, shown: Option<&ViewField>) -> Self {
        let component = shown.map_or("", |field| field.component.as_str());
        let default_kind = match component {
            "field.checkbox" => "boolean",
            "field.checkbox-group" => "json",
            "field.number" => "float",
            _ => "string",
        };
        let kind = spec
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or(default_kind)
            .to_owned();
        let mut choices = Vec::new();
        if let Some(allowed) = spec.get("allowed_values").and_then(Value::as_array) {
            choices = allowed
                .iter()
                .map(|value| Choice::new(value, None))
                .collect();
        }
        for choice in shown.map_or(&[][..], |field| &field.options) {
            match choices.iter_mut().find(|known| known.name == choice.name) {
                Some(known) => known.title.clone_from(&choice.title),
                None if spec.get("allowed_values").is_none() => choices.push(choice.clone()),
                None => {}
            }
        }
        let shape = match (component, kind.as_str()) {
            ("field.checkbox-group", "json") => Shape::Flags,
            _ if kind.starts_with("array_") => Shape::List,
            _ => Shape::Single,
        };
        let required = spec
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let mut field = Self {
            name: name.to_owned(),
            kind,
            required,
            spec,
            shape,
            choices,
        };
        if field.choices.is_empty() {
            field.choices = field.choices_of_type();
        }
        field
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.spec.get(key).and_then(Value::as_f64)
    }

    fn integer(&self, key: &str) -> Option<i64> {
        self.spec.get(key).and_then(Value::as_i64)
    }

    fn choices_of_type(&self) -> Vec<Choice> {
        match self.kind.trim_start_matches("array_") {
            "boolean" => vec![
                Choice::new(&json!(true), None),
                Choice::new(&json!(false), None),
            ],
            "integer" => {
                let min = self.integer("min_value").unwrap_or(0);
                let max = self.integer("max_value").unwrap_or(min.saturating_add(9));
                let max = max.min(min.saturating_add(MAX_NUMBERS - 1));
                (min..=max)
                    .map(|number| Choice::new(&json!(number), None))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// The choices of a field that names none: for text the words of the truth, else one plausible value.
    fn words(&self, truth: &Truth) -> Vec<Choice> {
        if !self.kind.ends_with("string") {
            return vec![Choice::new(&self.plausible_one(), None)];
        }
        let known = truth.vocabulary();
        let words = if known.is_empty() {
            ["yes", "no", "unsure"].into()
        } else {
            known
        };
        words
            .into_iter()
            .map(|word| Choice::new(&json!(self.fitted(word)), None))
            .collect()
    }

    /// `text` padded and cut to the field's `min_length` and `max_length`.
    fn fitted(&self, text: &str) -> String {
        let length = |key: &str| self.integer(key).and_then(|n| usize::try_from(n).ok());
        let min = length("min_length").unwrap_or(0).min(10_000);
        let max = length("max_length").unwrap_or(usize::MAX);
        text.chars()
            .chain(std::iter::repeat_n('.', min))
            .take(text.chars().count().max(min).min(max))
            .collect()
    }

    /// The field's name, and whether it takes a list, if it must have a file.
    fn file(&self) -> Option<(String, bool)> {
        let list = match self.kind.as_str() {
            "file" => false,
            "array_file" => true,
            _ => return None,
        };
        self.required.then(|| (self.name.clone(), list))
    }

    /// A valid value for a required field that is not the question.
    fn plausible(&self) -> Value {
        let first = self.choices.first();
        match self.shape {
            Shape::Flags => {
                first.map_or_else(|| json!({}), |choice| json!({ choice.name.as_str(): true }))
            }
            Shape::List => {
                let count = self
                    .integer("min_size")
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(1)
                    .clamp(1, 1000);
                Value::Array(vec![self.plausible_one(); count])
            }
            Shape::Single => self.plausible_one(),
        }
    }

    fn plausible_one(&self) -> Value {
        if let Some(choice) = self.choices.first() {
            return choice.value.clone();
        }
        match self.kind.trim_start_matches("array_") {
            "float" => match (self.number("min_value"), self.number("max_value")) {
                (Some(min), Some(max)) => json!(min.midpoint(max)),
                (Some(bound), None) | (None, Some(bound)) => json!(bound),
                (None, None) => json!(0.5),
            },
            "url" => json!("https://example.com/"),
            "coordinates" => json!("52.5200,13.4050"),
            "json" => json!({}),
            _ => json!(self.fitted("fine")),
        }
    }
}

/// A field of the page that writes to `path` of the output.
struct ViewField {
    path: String,
    component: String,
    options: Vec<Choice>,
}

/// The Template Builder config, which the API carries as text; null for a classic view.
fn view_config(task_spec: &Value) -> Value {
    match task_spec.pointer("/view_spec/config") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(config @ Value::Object(_)) => config.clone(),
        _ => Value::Null,
    }
}

/// Collects the fields of a view config in the order in which they stand.
struct View<'a> {
    root: &'a Value,
    nodes_left: usize,
    fields: Vec<ViewField>,
}

impl<'a> View<'a> {
    fn new(config: &'a Value) -> Self {
        Self {
            root: config,
            nodes_left: NODE_LIMIT,
            fields: Vec::new(),
        }
    }

    fn walk(&mut self, node: &'a Value, depth: usize) {
        if self.nodes_left == 0 || depth > DEPTH_LIMIT {
            return;
        }
        self.nodes_left -= 1;
        let node = self.resolved(node);
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, depth + 1)),
            Value::Object(component) => {
                self.note_field(component);
                component
                    .values()
                    .filter(|part| part.is_object() || part.is_array())
                    .for_each(|part| self.walk(part, depth + 1));
            }
            _ => {}
        }
    }

    /// Follows `{"$ref": "vars.name"}`, a path into the config.
    fn resolved(&self, mut node: &'a Value) -> &'a Value {
        for _ in 0..16 {
            let Some(path) = node.get("$ref").and_then(Value::as_str) else {
                return node;
            };
            let mut target = Some(self.root);
            for part in path.split('.') {
                target = target.and_then(|value| match value {
                    Value::Array(items) => part
                        .parse::<usize>()
                        .ok()
                        .and_then(|index| items.get(index)),
                    _ => value.get(part),
                });
            }
            let Some(target) = target else {
                return &Value::Null;
            };
            node = target;
        }
        &Value::Null
    }

    fn note_field(&mut self, component: &'a Map<String, Value>) {
        let text = |key: &str| {
            component
                .get(key)
                .map(|value| self.resolved(value))
                .and_then(Value::as_str)
        };
        let data = component
            .get("data")
            .map_or(&Value::Null, |data| self.resolved(data));
        let (Some(kind), Some("data.output"), Some(path)) = (
            text("type"),
            data.get("type").and_then(Value::as_str),
            data.get("path").and_then(Value::as_str),
        ) else {
            return;
        };
        if !kind.starts_with("field.") {
            return;
        }
        let mut options = Vec::new();
        if let Some(listed) = component
            .get("options")
            .and_then(|listed| self.resolved(listed).as_array())
        {
            for option in listed.iter().map(|option| self.resolved(option)) {
                let title = option
                    .get("label")
                    .map(|label| self.resolved(label))
                    .and_then(Value::as_str);
                options.extend(
                    option
                        .get("value")
                        .map(|value| Choice::new(self.resolved(value), title)),
                );
            }
        }
        // `field.button-radio` is one option of several components that write to the same path.
        options.extend(
            component
                .get("valueToSet")
                .map(|value| Choice::new(self.resolved(value), text("label"))),
        );
        match self.fields.iter_mut().find(|field| field.path == path) {
            Some(field) => {
                options
                    .retain(|option| field.options.iter().all(|known| known.name != option.name));
                field.options.append(&mut options);
            }
            None => self.fields.push(ViewField {
                path: path.to_owned(),
                component: kind.to_owned(),
                options,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(task_spec: &Value) -> Form {
        Form::of_task_spec(task_spec, &Truth::new())
    }

    fn names(form: &Form) -> Vec<&str> {
        form.choices
            .iter()
            .map(|choice| choice.name.as_str())
            .collect()
    }

    fn tb(output_spec: &Value, config: &Value) -> Value {
        json!({"input_spec": {}, "output_spec": output_spec, "view_spec": {"type": "tb", "config": config.to_string()}})
    }

    #[test]
    fn the_clickbait_project_offers_the_options_of_its_view() {
        let project: Value =
            serde_json::from_str(include_str!("../../tests/data/clickbait/project.json")).unwrap();
        let form = form(&project["task_spec"]);
        assert_eq!(names(&form), ["clickbait", "notclickbait"]);
        assert_eq!(form.choices[1].title, "Not clickbait");
        assert_eq!(
            form.output_values("notclickbait"),
            json!({"category": "notclickbait"})
        );
    }

    #[test]
    fn allowed_values_win_and_take_their_titles_from_the_view() {
        let spec = json!({"result": {"type": "string", "allowed_values": ["A", "B"]}});
        let data = json!({"type": "data.output", "path": "result"});
        let options =
            json!([{"value": "B", "label": "Basophil"}, {"value": "C", "label": "Other"}]);
        let form = form(&tb(
            &spec,
            &json!({"view": {"type": "field.select", "data": data, "options": options}}),
        ));
        assert_eq!(names(&form), ["A", "B"]);
        assert_eq!(form.choices[1].title, "Basophil");
    }

    #[test]
    fn references_are_followed_and_loops_end() {
        let spec = json!({"result": {"type": "integer"}});
        let config = json!({
            "view": {"$ref": "vars.list"},
            "vars": {
                "list": {"type": "view.list", "items": [{"$ref": "vars.field"}, {"$ref": "vars.list"}]},
                "field": {"type": "field.radio-group", "data": {"$ref": "vars.out"}, "options": {"$ref": "vars.options"}},
                "out": {"type": "data.output", "path": "result"},
                "options": [{"value": 1, "label": "one"}, {"value": 2, "label": "two"}],
            },
        });
        let form = form(&tb(&spec, &config));
        assert_eq!(names(&form), ["1", "2"]);
        assert_eq!(form.output_values("2"), json!({"result": 2}));
    }

    #[test]
    fn other_required_fields_get_valid_values_and_optional_ones_none() {
        let spec = json!({
            "a_remark": {"type": "string", "min_length": 6},
            "b_count": {"type": "integer", "min_value": 3, "max_value": 5, "required": true},
            "c_class": {"type": "boolean"},
            "d_share": {"type": "float", "min_value": 2.0, "max_value": 3.0},
            "e_tags": {"type": "array_string", "min_size": 2, "allowed_values": ["x", "y"]},
            "f_free": {"type": "string", "required": false},
            "g_hidden": {"type": "string", "hidden": true},
        });
        let form = form(&json!({ "output_spec": spec }));
        let expected = json!({"a_remark": "fine..", "b_count": 4, "c_class": true, "d_share": 2.5, "e_tags": ["x", "x"]});
        assert_eq!(form.output_values("4"), expected);
    }

    #[test]
    fn checkbox_groups_and_lists_are_written_in_their_own_shapes() {
        let options = json!([{"value": "cat", "label": "Cat"}, {"value": "dog", "label": "Dog"}]);
        let data = json!({"type": "data.output", "path": "result"});
        let view =
            json!({"view": {"type": "field.checkbox-group", "data": data, "options": options}});
        let flags = form(&tb(&json!({}), &view));
        assert_eq!(flags.output_values("dog"), json!({"result": {"dog": true}}));
        let list = form(
            &json!({"output_spec": {"r": {"type": "array_string", "allowed_values": ["a", "b"]}}}),
        );
        assert_eq!(list.output_values("b"), json!({"r": ["b"]}));
    }

    #[test]
    fn a_field_without_choices_takes_the_words_of_the_truth() {
        let mut truth = Truth::new();
        truth.insert("1.png", "heron");
        truth.insert("2.png", "stork");
        let spec = json!({"output_spec": {"r": {"type": "string"}}});
        let open = Form::of_task_spec(&spec, &truth);
        assert!(open.open);
        assert_eq!(names(&open), ["heron", "stork"]);
        assert_eq!(open.output_values("ibis"), json!({"r": "ibis"}));
        assert_eq!(names(&form(&spec)), ["no", "unsure", "yes"]);
    }

    #[test]
    fn a_project_without_outputs_gets_an_empty_answer() {
        let form = form(&json!({}));
        assert_eq!(form.output_values("anything"), json!({}));
    }
}
