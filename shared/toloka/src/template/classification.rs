//! Pages for classification: one thing to look at, one question, a few labels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Page, View, action, condition, data, field, helper,
    plugin::{self, Key, Layout},
    view,
};
use crate::types::{FieldSpec, FieldType, TaskSpec, ViewSpec};

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
    fn views(&self) -> Vec<View> {
        match self {
            Self::Texts { fields } => {
                let text = |field: &String| view::text(data::input(field)).label(field.as_str());
                fields.iter().map(|field| text(field).into()).collect()
            }
            Self::Image {
                field,
                ratio,
                rotatable,
                max_width,
            } => {
                let mut image = view::image(data::input(field)).ratio([ratio.0, ratio.1]);
                if *rotatable {
                    image = image.rotatable(true);
                }
                if let Some(pixels) = *max_width {
                    image = image.max_width(pixels);
                }
                vec![image.into()]
            }
            Self::Text { field, prefix } => {
                let text = data::input(field);
                vec![match prefix {
                    Some(prefix) => {
                        view::text(helper::join().item(prefix.as_str()).item(text)).into()
                    }
                    None => view::text(text).into(),
                }]
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
        let views = self.subject.views().into_iter();
        let list = views.fold(view::list(), view::ListView::item);
        let layout = plugin::toloka()
            .layout(Layout::Scroll)
            .task_width(self.task_width);
        let mut page = Page::new(list.item(self.labels_field())).plugin(layout);
        if self.hotkeys && !self.labels.is_empty() {
            let keys = Key::DIGITS.into_iter().zip(&self.labels);
            page = page.plugin(keys.fold(plugin::hotkeys(), |keys, (key, (value, _))| {
                keys.key(key, action::set(data::output(&self.output), value.as_str()))
            }));
        }
        page.view_spec()
    }

    fn labels_field(&self) -> View {
        let mut required = condition::required();
        if let Some(hint) = &self.hint {
            required = required.hint(hint.as_str());
        }
        let output = data::output(&self.output);
        macro_rules! group {
            ($group:expr) => {{
                let group = self.labels.iter().fold($group, |group, (value, words)| {
                    group.option(value.as_str(), words.as_str())
                });
                let group = group.validation(required);
                match &self.question {
                    Some(question) => group.label(question.as_str()).into(),
                    None => group.into(),
                }
            }};
        }
        match self.choice {
            Choice::Buttons => group!(field::button_radio_group(output)),
            Choice::Radio => group!(field::radio_group(output)),
        }
    }
}
