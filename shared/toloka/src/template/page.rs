//! A page as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::component::{Any, Plugin, View};
use crate::types::{Values, ViewKind, ViewSpec};

/// The version of every component.
const VERSION: &str = "1.0.0";

/// A page: what it shows, and its plugins.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a page does nothing until it is asked for its configuration"]
pub struct Page {
    view: View,
    plugins: Vec<Value>,
    vars: Values,
}

impl Page {
    /// A page that shows this.
    pub fn new(view: impl Into<View>) -> Self {
        Self {
            view: view.into(),
            plugins: Vec::new(),
            vars: Values::new(),
        }
    }

    /// Adds a [plugin](mod@super::plugin).
    pub fn plugin(mut self, plugin: impl Into<Plugin>) -> Self {
        self.plugins.push(plugin.into().into());
        self
    }

    /// Names a value, or a component, that is used in several places, by
    /// [`reference("vars.…")`](super::reference).
    pub fn var(mut self, name: impl Into<String>, value: impl Into<Any>) -> Self {
        self.vars.insert(name.into(), value.into().into());
        self
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> Value {
        let mut config = json!({ "view": Value::from(self.view.clone()), "plugins": self.plugins });
        if let (Some(config), false) = (config.as_object_mut(), self.vars.is_empty()) {
            config.insert("vars".to_owned(), self.vars.clone().into());
        }
        config
    }

    /// What a project holds of it: the configuration as text, with the versions of its components.
    #[must_use]
    pub fn view_spec(&self) -> ViewSpec {
        let config = self.config();
        ViewSpec {
            kind: ViewKind::Tb,
            lock: Some(lock(&config)),
            config: Some(config.to_string()),
            infer_data_spec: Some(false),
            ..ViewSpec::default()
        }
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
            let data = |kind: &str| {
                kind.trim_start_matches("@yandex-toloka/")
                    .starts_with("data.")
            };
            let kind = object.get("type").and_then(Value::as_str);
            components.extend(kind.filter(|kind| !data(kind)));
            object
                .values()
                .for_each(|value| collect_components(value, components));
        }
        _ => {}
    }
}
