//! Filters: who may work in a pool.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::Value;

use super::{Values, open_enum::open_enum};

/// Who may work in a pool: a tree of *and*, *or* and conditions.
///
/// New clients write "and of ors", older ones and hand-written files nest freely, so any tree
/// reads and is written back as it is. `{}` reads as the empty *and*, which everybody passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All parts must hold; true without parts.
    And(Vec<Self>),
    /// One part must hold; false without parts.
    Or(Vec<Self>),
    /// One fact about the worker.
    Condition(FilterCondition),
}

impl Filter {
    /// Who reads and writes this language (`"EN"`).
    pub fn language(code: impl Into<String>) -> Self {
        Self::condition(
            FilterCategory::Profile,
            "languages",
            Operator::In,
            code.into(),
        )
    }

    /// Who reads and writes one of these languages.
    pub fn any_language<S: Into<String>>(codes: impl IntoIterator<Item = S>) -> Self {
        Self::Or(codes.into_iter().map(Self::language).collect())
    }

    /// Who works in this client: `BROWSER` or `TOLOKA_APP`.
    pub fn client_type(client: impl Into<String>) -> Self {
        Self::condition(
            FilterCategory::Computed,
            "client_type",
            Operator::Eq,
            client.into(),
        )
    }

    /// Who works in a browser or in the app: everybody that can see a page at all.
    #[must_use]
    pub fn browser_or_app() -> Self {
        Self::Or(vec![
            Self::client_type("TOLOKA_APP"),
            Self::client_type("BROWSER"),
        ])
    }

    /// Who has at least this value of a skill.
    pub fn skill_at_least(skill_id: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::condition(FilterCategory::Skill, skill_id, Operator::Gte, value)
    }

    /// Who does not have a skill.
    pub fn skill_missing(skill_id: impl Into<String>) -> Self {
        Self::condition(FilterCategory::Skill, skill_id, Operator::Eq, Value::Null)
    }

    /// Who has at least this value of a skill, or does not have it yet: newcomers may work until
    /// they are known.
    pub fn skill_at_least_or_missing(skill_id: impl Into<String>, value: impl Into<Value>) -> Self {
        let skill_id = skill_id.into();
        Self::Or(vec![
            Self::skill_at_least(skill_id.clone(), value),
            Self::skill_missing(skill_id),
        ])
    }

    /// One fact about the worker.
    pub fn condition(
        category: FilterCategory,
        key: impl Into<String>,
        operator: Operator,
        value: impl Into<Value>,
    ) -> Self {
        Self::Condition(FilterCondition {
            category,
            key: key.into(),
            operator,
            value: value.into(),
            other: Values::new(),
        })
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

/// One fact about a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilterCondition {
    /// Where the fact comes from.
    pub category: FilterCategory,
    /// Which fact: a field of the profile, a computed value, or a skill's id.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with. Always written: for a skill, `null` with [`Operator::Eq`] means
    /// "has no such skill".
    #[serde(default)]
    pub value: Value,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// Where a fact about a worker comes from.
    FilterCategory {
        /// What the worker wrote into the profile.
        Profile = "profile",
        /// What the platform saw: device, software, region.
        Computed = "computed",
        /// A skill.
        Skill = "skill",
    }
}

open_enum! {
    /// How two values are compared, in filters and in quality rules.
    Operator {
        /// Equal.
        Eq = "EQ",
        /// Not equal.
        Ne = "NE",
        /// Greater.
        Gt = "GT",
        /// Greater or equal.
        Gte = "GTE",
        /// Less.
        Lt = "LT",
        /// Less or equal.
        Lte = "LTE",
        /// The value is among the worker's values (languages, regions).
        In = "IN",
        /// The value is not among the worker's values.
        NotIn = "NOT_IN",
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, parts) = match self {
            Self::And(parts) => ("and", parts),
            Self::Or(parts) => ("or", parts),
            Self::Condition(condition) => return condition.serialize(serializer),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, parts)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Values::deserialize(deserializer)?;
        if object.is_empty() {
            return Ok(Self::default());
        }
        for (key, node) in [
            ("and", Self::And as fn(Vec<Self>) -> Self),
            ("or", Self::Or),
        ] {
            if let Some(parts) = object.remove(key) {
                if let Some(extra) = object.keys().next() {
                    return Err(de::Error::custom(format_args!(
                        "`{extra}` beside `{key}` in a filter"
                    )));
                }
                return serde_json::from_value(parts)
                    .map(node)
                    .map_err(de::Error::custom);
            }
        }
        serde_json::from_value(Value::Object(object))
            .map(Self::Condition)
            .map_err(de::Error::custom)
    }
}
