//! Where values are read and written.

use serde_json::Value;

use super::component::{Any, Source, component, set};

/// A place for a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Data(Value);

/// An input field of the task. A path goes into objects and lists by dots (`"photo.url"`).
#[must_use]
pub fn input(path: &str) -> Data {
    Data::new("data.input", path)
}

/// An output field of the task: the answer.
#[must_use]
pub fn output(path: &str) -> Data {
    Data::new("data.output", path)
}

/// A place that is forgotten after the page.
#[must_use]
pub fn internal(path: &str) -> Data {
    Data::new("data.internal", path)
}

/// The current element of a [`transform`](super::helper::transform) or the like.
#[must_use]
pub fn local(path: &str) -> Data {
    Data::new("data.local", path)
}

/// A place within the element of a [`field::list`](super::field::list).
#[must_use]
pub fn relative(path: &str) -> Data {
    Data::new("data.relative", path)
}

/// Where the worker is, `latitude,longitude`.
#[must_use]
pub fn location() -> Data {
    Data(component("@yandex-toloka/data.location"))
}

impl Data {
    fn new(kind: &str, path: &str) -> Self {
        let mut data = component(kind);
        set(&mut data, "path", path);
        Self(data)
    }

    pub(super) fn from_value(value: Value) -> Self {
        Self(value)
    }

    /// The value while nothing else is written.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Any>) -> Self {
        set(&mut self.0, "default", value.into());
        self
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        data.0
    }
}

impl Source for Data {}
