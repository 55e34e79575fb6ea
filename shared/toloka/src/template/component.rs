//! What components are made of: the values that their properties take, and how they are written.

use serde_json::{Map, Value};

use crate::{filter::number, types::Decimal};

use super::data::Data;

/// A component without properties.
pub(super) fn component(kind: &str) -> Value {
    Value::Object(Map::from_iter([("type".to_owned(), kind.into())]))
}

/// The component with one more property.
pub(super) fn with(mut component: Value, key: &str, value: impl Into<Value>) -> Value {
    set(&mut component, key, value);
    component
}

/// The value under a key of an object, `null` when it is new.
fn entry<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    Some(object.as_object_mut()?.entry(key).or_insert(Value::Null))
}

/// Sets a property.
pub(super) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(place) = entry(object, key) {
        *place = value.into();
    }
}

/// Sets a property of the object under `outer`.
pub(super) fn set_within(object: &mut Value, outer: &str, key: &str, value: impl Into<Value>) {
    if let Some(outer) = entry(object, outer) {
        set(outer, key, value);
    }
}

/// Adds an element to the list under a key.
pub(super) fn push(object: &mut Value, key: &str, value: impl Into<Value>) {
    let Some(place) = entry(object, key) else {
        return;
    };
    match place {
        Value::Array(items) => items.push(value.into()),
        other => *other = Value::Array(vec![value.into()]),
    }
}

/// Something that gives a value when the page is shown: data, the result of a helper, or a
/// [`Reference`]. It fits everywhere.
pub trait Source: Into<Value> {}

/// The value of another place of the configuration, by its path (`"vars.text"`).
#[derive(Clone, Debug, PartialEq)]
pub struct Reference(Value);

/// The value of another place of the configuration, by its path: `"vars.text"` for what
/// [`Page::var`](super::Page::var) has named `text`.
pub fn reference(path: &str) -> Reference {
    let mut reference = Value::Null;
    set(&mut reference, "$ref", path);
    Reference(reference)
}

impl Source for Reference {}

/// Newtypes over what is written: with the values that they are made from.
macro_rules! slots {
    ($($(#[$doc:meta])+ $name:ident: $($from:ty),*;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub(super) Value);

        impl<S: Source> From<S> for $name {
            fn from(source: S) -> Self {
                Self(source.into())
            }
        }

        $(impl From<$from> for $name {
            fn from(value: $from) -> Self {
                Self(value.into())
            }
        })*

        impl From<$name> for Value {
            fn from(slot: $name) -> Self {
                slot.0
            }
        }
    )+};
}

slots! {
    /// A text, or what gives one.
    Text: &str, String;
    /// Yes or no, or what gives it: conditions do, too.
    Flag: bool, Condition;
    /// A number, or what gives one.
    Number: i32, u32;
    /// Relative sizes: width to height, or of columns; or what gives them.
    Ratio: Vec<u32>;
    /// Any value, or what gives one.
    Any: &str, String, bool, i32, u32, f64, Value, View, Condition, Action;
    /// A list, or what gives one.
    List: Vec<Value>;
    /// Something to see, to fill in, or an arrangement of those.
    View:;
    /// Something that holds or does not.
    Condition:;
    /// Something that is done.
    Action:;
    /// Something that belongs to the page as a whole.
    Plugin:;
}

impl From<Decimal> for Number {
    fn from(value: Decimal) -> Self {
        Self(number(value))
    }
}

impl<const N: usize> From<[u32; N]> for Ratio {
    fn from(parts: [u32; N]) -> Self {
        Self(parts.to_vec().into())
    }
}

impl From<Reference> for Value {
    fn from(reference: Reference) -> Self {
        reference.0
    }
}

impl From<Reference> for Data {
    fn from(reference: Reference) -> Self {
        Self::from_value(reference.0)
    }
}

/// Closed sets of words.
macro_rules! words {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$word_doc:meta])+ $word:ident = $wire:literal),+ $(,)? })+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])+ $word,)+
        }

        impl From<$name> for serde_json::Value {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$word => $wire.into(),)+
                }
            }
        }
    )+};
}

/// One method that sets a property, by how it is written:
///
/// * `set`: a property;
/// * `within`: a property of an object that is a property;
/// * `push`: an element of a list;
/// * `push_object`: an object that is an element of a list.
macro_rules! property {
    ($(#[$doc:meta])+ set $name:ident ($key:literal: $ty:ty)) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: impl Into<$ty>) -> Self {
            super::component::set(&mut self.0, $key, $name.into());
            self
        }
    };
    ($(#[$doc:meta])+ within $name:ident ($outer:literal, $key:literal: $ty:ty)) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: impl Into<$ty>) -> Self {
            super::component::set_within(&mut self.0, $outer, $key, $name.into());
            self
        }
    };
    ($(#[$doc:meta])+ push $name:ident ($key:literal: $ty:ty)) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: impl Into<$ty>) -> Self {
            super::component::push(&mut self.0, $key, $name.into());
            self
        }
    };
    ($(#[$doc:meta])+ push_object $name:ident ($key:literal: $($arg:ident $arg_key:literal: $ty:ty),+)) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $($arg: impl Into<$ty>),+) -> Self {
            let mut object = serde_json::Value::Null;
            $(super::component::set(&mut object, $arg_key, $arg.into());)+
            super::component::push(&mut self.0, $key, object);
            self
        }
    };
}

/// The components of one kind. Each has a function that makes it with what it must have, and a
/// method for each further property; `common` ones belong to all of the kind.
macro_rules! components {
    (
        $into:tt
        common $common:tt
        $(
            $(#[$doc:meta])+
            $function:ident $name:ident = $wire:literal ($($arg:ident $arg_key:literal: $arg_ty:ty),*)
            { $($(#[$property_doc:meta])+ $verb:ident $property:ident $args:tt;)* }
        )+
    ) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(serde_json::Value);

        $(#[$doc])+
        #[must_use]
        pub fn $function($($arg: impl Into<$arg_ty>),*) -> $name {
            let component = super::component::component($wire);
            $(let component = super::component::with(component, $arg_key, $arg.into());)*
            $name(component)
        }

        impl $name {
            $(super::component::property! { $(#[$property_doc])+ $verb $property $args })*
        }

        impl From<$name> for serde_json::Value {
            fn from(component: $name) -> Self {
                component.0
            }
        }

        super::component::fits! { $into $name }
        super::component::common! { $name $common }
    )+};
}

/// What a component can be used as.
macro_rules! fits {
    (Source $name:ident) => {
        impl super::component::Source for $name {}
    };
    (Plugin $name:ident) => {
        super::component::fits! { @into $name Plugin }
    };
    (Condition $name:ident) => {
        super::component::fits! { @into $name Condition Flag Any }
    };
    ($slot:ident $name:ident) => {
        super::component::fits! { @into $name $slot Any }
    };
    (@into $name:ident $($slot:ident)+) => {
        $(impl From<$name> for super::component::$slot {
            fn from(component: $name) -> Self {
                Self(component.0)
            }
        })+
    };
}

/// The properties that all components of a kind have.
macro_rules! common {
    ($name:ident { $($(#[$doc:meta])+ $verb:ident $property:ident $args:tt;)* }) => {
        impl $name {
            $(super::component::property! { $(#[$doc])+ $verb $property $args })*
        }
    };
}

pub(super) use {common, components, fits, property, words};
