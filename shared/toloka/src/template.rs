//! Pages for classification: one thing to look at, one question, a few labels.
//!
//! Builds a Template Builder configuration (<https://toloka.ai/docs/template-builder/>): a list of
//! the thing and a group of labels of which one must be chosen, with number keys for the labels.
//!
//! ```
//! use quorate_toloka::template::{Classification, Subject};
//!
//! let task_spec = Classification::new(Subject::image("image"), "result")
//!     .label("cat", "Cat")
//!     .label("dog", "Dog")
//!     .task_spec();
//! assert!(task_spec.output_spec.contains_key("result"));
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::types::{FieldSpec, FieldType, TaskSpec, ViewKind, ViewSpec};

/// The version of every component.
const VERSION: &str = "1.0.0";

/// What the worker looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// An image whose address is in an input field.
    Image {
        /// The input field.
        field: String,
        /// Width to height of the frame.
        ratio: (u32, u32),
        /// Whether the worker may turn it.
        rotatable: bool,
        /// The greatest width, pixels.
        max_width: Option<u32>,
    },
    /// A text in an input field.
    Text {
        /// The input field.
        field: String,
        /// What stands before the text.
        prefix: Option<String>,
    },
    /// Texts in several input fields, one below the other, each under its field's name.
    Texts {
        /// The input fields, in order.
        fields: Vec<String>,
    },
}

impl Subject {
    /// An image in a square frame.
    pub fn image(field: impl Into<String>) -> Self {
        Self::Image {
            field: field.into(),
            ratio: (1, 1),
            rotatable: false,
            max_width: None,
        }
    }

    /// A text.
    pub fn text(field: impl Into<String>) -> Self {
        Self::Text {
            field: field.into(),
            prefix: None,
        }
    }

    /// Texts in several input fields.
    pub fn texts<S: Into<String>>(fields: impl IntoIterator<Item = S>) -> Self {
        Self::Texts {
            fields: fields.into_iter().map(Into::into).collect(),
        }
    }

    fn fields(&self) -> (Vec<&str>, FieldType) {
        match self {
            Self::Image { field, .. } => (vec![field], FieldType::Url),
            Self::Text { field, .. } => (vec![field], FieldType::String),
            Self::Texts { fields } => (
                fields.iter().map(String::as_str).collect(),
                FieldType::String,
            ),
        }
    }

    /// What the page shows, one component below the other.
    fn views(&self) -> Vec<Value> {
        match self {
            Self::Texts { fields } => fields
                .iter()
                .map(|field| {
                    let text = json!({ "type": "data.input", "path": field });
                    json!({ "type": "view.text", "label": field, "content": text })
                })
                .collect(),
            Self::Image {
                field,
                ratio,
                rotatable,
                max_width,
            } => {
                let mut view = json!({
                    "type": "view.image",
                    "url": { "type": "data.input", "path": field },
                    "ratio": [ratio.0, ratio.1],
                });
                set(
                    &mut view,
                    "rotatable",
                    rotatable.then_some(Value::Bool(true)),
                );
                set(&mut view, "maxWidth", max_width.map(Value::from));
                vec![view]
            }
            Self::Text { field, prefix } => {
                let text = json!({ "type": "data.input", "path": field });
                let content = match prefix {
                    Some(prefix) => json!({ "type": "helper.join", "items": [prefix, text] }),
                    None => text,
                };
                vec![json!({ "type": "view.text", "content": content })]
            }
        }
    }
}

/// How the labels look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Buttons side by side.
    Buttons,
    /// Round marks below each other; better for many labels.
    Radio,
}

/// A page that asks for one label.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a builder does nothing until it is asked for its page"]
pub struct Classification {
    subject: Subject,
    output: String,
    labels: Vec<(String, String)>,
    choice: Choice,
    question: Option<String>,
    hint: Option<String>,
    hotkeys: bool,
    task_width: u32,
}

impl Classification {
    /// A page about `subject` whose answer goes to the output field `output`: buttons, number
    /// keys, 500 pixels wide.
    pub fn new(subject: Subject, output: impl Into<String>) -> Self {
        Self {
            subject,
            output: output.into(),
            labels: Vec::new(),
            choice: Choice::Buttons,
            question: None,
            hint: None,
            hotkeys: true,
            task_width: 500,
        }
    }

    /// Adds a label: the value that is stored and the words that the worker reads.
    pub fn label(mut self, value: impl Into<String>, words: impl Into<String>) -> Self {
        self.labels.push((value.into(), words.into()));
        self
    }

    /// How the labels look.
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// The question above the labels.
    pub fn question(mut self, question: impl Into<String>) -> Self {
        self.question = Some(question.into());
        self
    }

    /// What the worker is told who has chosen nothing.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the keys 1 to 9 choose the first nine labels.
    pub fn hotkeys(mut self, hotkeys: bool) -> Self {
        self.hotkeys = hotkeys;
        self
    }

    /// The width of a task, pixels.
    pub fn task_width(mut self, pixels: u32) -> Self {
        self.task_width = pixels;
        self
    }

    /// The fields and the page. The answer must be one of the labels.
    #[must_use]
    pub fn task_spec(&self) -> TaskSpec {
        let field = |kind, allowed_values| FieldSpec {
            kind,
            required: Some(true),
            hidden: Some(false),
            allowed_values,
            ..FieldSpec::default()
        };
        let (inputs, kind) = self.subject.fields();
        let labels = self
            .labels
            .iter()
            .map(|(value, _)| Value::from(value.as_str()))
            .collect();
        TaskSpec {
            input_spec: inputs
                .into_iter()
                .map(|input| (input.to_owned(), field(kind.clone(), None)))
                .collect(),
            output_spec: BTreeMap::from([(
                self.output.clone(),
                field(FieldType::String, Some(labels)),
            )]),
            view_spec: Some(self.view_spec()),
            ..TaskSpec::default()
        }
    }

    /// The page alone.
    #[must_use]
    pub fn view_spec(&self) -> ViewSpec {
        let mut plugins = vec![json!({
            "type": "plugin.toloka",
            "layout": { "kind": "scroll", "taskWidth": self.task_width },
        })];
        if self.hotkeys && !self.labels.is_empty() {
            plugins.push(self.hotkeys_plugin());
        }
        let mut items = self.subject.views();
        items.push(self.labels_field());
        let config = json!({
            "view": { "type": "view.list", "items": items },
            "plugins": plugins,
        });
        ViewSpec {
            kind: ViewKind::Tb,
            lock: Some(lock(&config)),
            config: Some(config.to_string()),
            infer_data_spec: Some(false),
            ..ViewSpec::default()
        }
    }

    fn labels_field(&self) -> Value {
        let kind = match self.choice {
            Choice::Buttons => "field.button-radio-group",
            Choice::Radio => "field.radio-group",
        };
        let option = |(value, words): &(String, String)| json!({ "value": value, "label": words });
        let mut required = json!({ "type": "condition.required" });
        set(&mut required, "hint", self.hint.as_deref().map(Value::from));
        let mut field = json!({
            "type": kind,
            "data": self.output_data(),
            "options": self.labels.iter().map(option).collect::<Vec<_>>(),
            "validation": required,
        });
        set(
            &mut field,
            "label",
            self.question.as_deref().map(Value::from),
        );
        field
    }

    fn hotkeys_plugin(&self) -> Value {
        let mut plugin = json!({ "type": "plugin.hotkeys" });
        for (key, (value, _)) in (1..=9).zip(&self.labels) {
            let action =
                json!({ "type": "action.set", "data": self.output_data(), "payload": value });
            set(&mut plugin, &key.to_string(), Some(action));
        }
        plugin
    }

    fn output_data(&self) -> Value {
        json!({ "type": "data.output", "path": self.output })
    }
}

/// Sets a key of an object when there is a value for it.
fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

/// The versions of the components that a configuration uses.
fn lock(config: &Value) -> BTreeMap<String, String> {
    let mut components = BTreeSet::from(["core"]);
    collect_components(config, &mut components);
    components
        .into_iter()
        .map(|name| (name.to_owned(), VERSION.to_owned()))
        .collect()
}

fn collect_components<'a>(value: &'a Value, components: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_components(item, components)),
        Value::Object(object) => {
            // Data belongs to the core and has no version of its own.
            let kind = object.get("type").and_then(Value::as_str);
            components.extend(kind.filter(|kind| !kind.starts_with("data.")));
            object
                .values()
                .for_each(|value| collect_components(value, components));
        }
        _ => {}
    }
}
