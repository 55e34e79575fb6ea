//! Translations of what workers read.

use serde::{Deserialize, Serialize};

use super::{Values, open_enum::open_enum};

/// The languages that a project's texts, or a task's hint, are in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalizationConfig {
    /// The language of the texts in the object itself (`"EN"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_language: Option<String>,
    /// The translations, one entry a language.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub additional_languages: Vec<AdditionalLanguage>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The texts in one more language. Projects have all but the hint, tasks the hint alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdditionalLanguage {
    /// The language's code (`"ES"`).
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub language: String,
    /// The project's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_name: Option<LocalizedValue>,
    /// The project's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_description: Option<LocalizedValue>,
    /// The instructions, HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_instructions: Option<LocalizedValue>,
    /// The texts of a Template Builder page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tb_view_spec: Option<LocalizedView>,
    /// The hint of a training task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_on_unknown_solution: Option<LocalizedValue>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One translated text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalizedValue {
    /// The text.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub value: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<TranslationSource>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The translated texts of a Template Builder page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalizedView {
    /// The texts.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub keys: Vec<LocalizedKey>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// One translated text of a page, which the page's configuration names by a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalizedKey {
    /// The key.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub key: String,
    /// The text.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub value: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<TranslationSource>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Who wrote a translation.
    TranslationSource {
        /// The requester.
        Requester = "REQUESTER",
    }
}
