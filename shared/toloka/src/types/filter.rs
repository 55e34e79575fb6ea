//! Filters: who may work in a pool.

use std::ops::{BitAnd, BitOr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::Value;

use super::{Values, open_enum::open_enum};

/// Who may work in a pool: a tree of *and*, *or* and conditions.
///
/// New clients write "and of ors", older ones and hand-written files nest freely, so any tree
/// reads and is written back as it is. `{}` reads as the empty *and*, which everybody passes.
///
/// [`crate::filter`] builds filters that the platform understands, and `&` and `|` join them.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a filter does nothing outside of a pool or message"]
pub enum Filter {
    /// All parts must hold; true without parts.
    And(Vec<Self>),
    /// One part must hold; false without parts.
    Or(Vec<Self>),
    /// One fact about the worker.
    Condition(FilterCondition),
}

impl Filter {
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

/// Both must hold. A condition is wrapped in an *or* of its own: the platform's documents, and
/// toloka-kit, know the *and* of *ors* only.
impl BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let parts = |filter| match filter {
            Self::And(parts) => parts,
            Self::Or(_) => vec![filter],
            Self::Condition(_) => vec![Self::Or(vec![filter])],
        };
        Self::And([parts(self), parts(other)].concat())
    }
}

/// One of both must hold.
impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let parts = |filter| match filter {
            Self::Or(parts) => parts,
            other => vec![other],
        };
        Self::Or([parts(self), parts(other)].concat())
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
