//! Projects: what a task looks like and what it asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    LocalizationConfig, Metadata, Owner, QualityControl, Time, Values, open_enum::open_enum,
};

/// A project: the fields of its tasks, the page that shows them and the instructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Given by the platform; empty before.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The name that workers see.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub public_name: String,
    /// One or two sentences that workers see in the list of tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_description: Option<String>,
    /// The instructions, HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_instructions: Option<String>,
    /// A note for the requester only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_comment: Option<String>,
    /// The fields and the page of a task. Required when a project is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_spec: Option<TaskSpec>,
    /// How workers get assignments; `AUTOMATED` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignments_issuing_type: Option<IssuingType>,
    /// Texts of the map; only with [`IssuingType::MapSelector`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignments_issuing_view_config: Option<IssuingView>,
    /// Whether an answer also counts for identical tasks of other pools; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignments_automerge_enabled: Option<bool>,
    /// How many assignments one worker may hold at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_assignments_count: Option<u32>,
    /// Whether the content is sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
    /// Rules that hold in every pool of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_control: Option<QualityControl>,
    /// Free-form labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Translations of the texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_config: Option<LocalizationConfig>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ProjectStatus>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Whether a project is in use.
    ProjectStatus {
        /// In use.
        Active = "ACTIVE",
        /// Put away, for good.
        Archived = "ARCHIVED",
    }
}

open_enum! {
    /// How workers get assignments.
    IssuingType {
        /// The platform chooses.
        Automated = "AUTOMATED",
        /// The worker chooses a place on a map.
        MapSelector = "MAP_SELECTOR",
    }
}

/// Texts of the map on which workers choose tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IssuingView {
    /// The title of a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_template: Option<String>,
    /// The text of a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description_template: Option<String>,
    /// Whose map it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_provider: Option<MapProvider>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Whose map workers choose tasks on.
    MapProvider {
        /// Yandex Maps.
        Yandex = "YANDEX",
        /// Google Maps.
        Google = "GOOGLE",
    }
}

/// The fields of a task, and the page that shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Fields that the requester fills in.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub input_spec: BTreeMap<String, FieldSpec>,
    /// Fields that the worker fills in.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub output_spec: BTreeMap<String, FieldSpec>,
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_spec: Option<ViewSpec>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The type and the limits of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldSpec {
    /// The type of the value.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether a value must be there; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Whether workers cannot see it; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Strings: the fewest characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// Strings: the most characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Numbers: the least value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<Value>,
    /// Numbers: the greatest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<Value>,
    /// The only values allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_values: Option<Vec<Value>>,
    /// Coordinates in the output: take the worker's position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_location: Option<bool>,
    /// Arrays: the fewest elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u32>,
    /// Arrays: the most elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The type of a field.
    FieldType {
        /// A text.
        String = "string",
        /// True or false.
        Boolean = "boolean",
        /// A whole number.
        Integer = "integer",
        /// A number.
        Float = "float",
        /// The address of a page or file.
        Url = "url",
        /// An uploaded file; output only.
        File = "file",
        /// `latitude,longitude`.
        Coordinates = "coordinates",
        /// Any JSON value.
        Json = "json",
        /// Several texts.
        ArrayString = "array_string",
        /// Several booleans.
        ArrayBoolean = "array_boolean",
        /// Several whole numbers.
        ArrayInteger = "array_integer",
        /// Several numbers.
        ArrayFloat = "array_float",
        /// Several addresses.
        ArrayUrl = "array_url",
        /// Several files; output only.
        ArrayFile = "array_file",
        /// Several places.
        ArrayCoordinates = "array_coordinates",
        /// Several JSON values.
        ArrayJson = "array_json",
    }
}

/// The page of a task: a Template Builder configuration, or HTML, script and styles.
///
/// Build the first kind with [`crate::template`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewSpec {
    /// Which of the two kinds.
    #[serde(rename = "type")]
    pub kind: ViewKind,
    /// Template Builder: the configuration as JSON text (the reference wrongly says array).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Template Builder: component → version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<BTreeMap<String, String>>,
    /// Template Builder: derive the fields from the configuration.
    #[serde(rename = "inferDataSpec", skip_serializing_if = "Option::is_none")]
    pub infer_data_spec: Option<bool>,
    /// Template Builder: translated texts.
    #[serde(rename = "localizationConfig", skip_serializing_if = "Option::is_none")]
    pub localization_config: Option<Value>,
    /// Classic: HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markup: Option<String>,
    /// Classic: JavaScript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Classic: CSS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub styles: Option<String>,
    /// Classic: further files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<ViewAssets>,
    /// What the page shows around the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<ViewSettings>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The two kinds of page.
    ViewKind {
        /// Template Builder.
        Tb = "tb",
        /// HTML, script and styles.
        Classic = "classic",
    }
}

/// Files that a classic page loads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewAssets {
    /// Scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_urls: Option<Vec<String>>,
    /// Style sheets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style_urls: Option<Vec<String>>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// What the page shows around the tasks. Everything is shown when absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewSettings {
    /// The button that leaves.
    #[serde(rename = "showFinish", skip_serializing_if = "Option::is_none")]
    pub show_finish: Option<bool>,
    /// The button that fills the screen.
    #[serde(rename = "showFullscreen", skip_serializing_if = "Option::is_none")]
    pub show_fullscreen: Option<bool>,
    /// The button that opens the instructions.
    #[serde(rename = "showInstructions", skip_serializing_if = "Option::is_none")]
    pub show_instructions: Option<bool>,
    /// The button that writes to the requester.
    #[serde(rename = "showMessage", skip_serializing_if = "Option::is_none")]
    pub show_message: Option<bool>,
    /// The price.
    #[serde(rename = "showReward", skip_serializing_if = "Option::is_none")]
    pub show_reward: Option<bool>,
    /// The button that skips the page.
    #[serde(rename = "showSkip", skip_serializing_if = "Option::is_none")]
    pub show_skip: Option<bool>,
    /// The button that submits the page.
    #[serde(rename = "showSubmit", skip_serializing_if = "Option::is_none")]
    pub show_submit: Option<bool>,
    /// The time left.
    #[serde(rename = "showTimer", skip_serializing_if = "Option::is_none")]
    pub show_timer: Option<bool>,
    /// The project's name.
    #[serde(rename = "showTitle", skip_serializing_if = "Option::is_none")]
    pub show_title: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// What a change of a project means for its pools, told before the change is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectCheck {
    /// How great the change is.
    #[serde(rename = "differenceLevel", skip_serializing_if = "Option::is_none")]
    pub difference_level: Option<DifferenceLevel>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// How great a change of a project is.
    DifferenceLevel {
        /// Nothing changes.
        Equal = "EQUAL",
        /// Existing tasks and answers stay valid.
        NonBreakingChange = "NON_BREAKING_CHANGE",
        /// Existing tasks or answers do not fit any more.
        BreakingChange = "BREAKING_CHANGE",
    }
}
