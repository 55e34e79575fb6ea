//! The pages that workers see: Template Builder configurations.
//!
//! A [`Page`] is made of components, each with what it must have and only the properties that it
//! knows (<https://toloka.ai/docs/template-builder/>): what is seen ([`view`]), filled in
//! ([`field`]) and arranged ([`layout`]); what must hold ([`condition`]), what is done ([`action`]);
//! where values come from and go to ([`data`], [`helper`]); and what belongs to the page as a whole
//! ([`plugin`]). The versions of the components, the `lock`, are computed.
//!
//! ```
//! use quorate_toloka::template::{
//!     Page, condition, data, field, helper, layout, plugin, plugin::Layout, view,
//! };
//!
//! let image = |name| view::image(data::input(name)).rotatable(true);
//! let better = field::button_radio_group(data::output("better"))
//!     .label("Which one is sharper?")
//!     .option("left", "The left one")
//!     .option("right", "The right one")
//!     .option("none", "I cannot tell")
//!     .validation(condition::required().hint("Choose one."));
//! let why = field::textarea(data::output("why")).label("Why?");
//! let cannot_tell = condition::equals("none").data(data::output("better"));
//!
//! let page = Page::new(
//!     layout::side_by_side(view::list().item(better).item(helper::when(cannot_tell, why)))
//!         .item(image("left"))
//!         .item(image("right")),
//! )
//! .plugin(plugin::toloka().layout(Layout::Pager));
//! assert_eq!(page.view_spec().lock.unwrap()["layout.side-by-side"], "1.0.0");
//! ```
//!
//! Most pages show one thing and ask for one label: [`Classification`] makes those, with the fields
//! of the task.
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

pub mod action;
mod classification;
mod component;
pub mod condition;
pub mod data;
pub mod field;
pub mod helper;
pub mod layout;
mod page;
pub mod plugin;
pub mod view;

pub use self::{
    classification::{Choice, Classification, Subject},
    component::{
        Action, Any, Condition, Flag, List, Number, Plugin, Ratio, Reference, Source, Text, View,
        reference,
    },
    page::Page,
};
