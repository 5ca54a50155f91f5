//! Objects as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trine_protocol::{ObjectPage, ObjectView, View};
use utoipa::ToSchema;

use super::value::{Value, hex, time_of};

/// What an object holds, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectValue {
    /// A counter.
    Counter {
        /// Its total. Readers of JSON that keep numbers as doubles have it rounded beyond 2^53: see `exact`.
        total: i64,
        /// Its total as text.
        #[serde(default)]
        exact: String,
        /// Whether the total is the greatest or least that a counter can show, and the sum may lie beyond it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        saturated: bool,
    },
    /// A last-writer-wins register.
    Register(Value),
    /// A multi-value register.
    MultiValue {
        /// All values that no later one replaced, sorted.
        values: Vec<Value>,
    },
    /// A set.
    Set {
        /// Its elements, sorted.
        elements: Vec<Value>,
    },
    /// A map.
    Map {
        /// What stands under each name; more than one where regions made different kinds at the same time.
        #[schema(no_recursion)]
        fields: BTreeMap<String, Vec<ObjectValue>>,
    },
}

impl From<&View> for ObjectValue {
    fn from(view: &View) -> Self {
        match view {
            View::Counter(total) => Self::Counter {
                total: *total,
                exact: total.to_string(),
                saturated: matches!(*total, i64::MIN | i64::MAX),
            },
            View::Register(value) => Self::Register(Value::of(value)),
            View::MultiValue(values) => {
                Self::MultiValue { values: values.iter().map(|value| Value::of(value)).collect() }
            }
            View::Set(elements) => Self::Set { elements: elements.iter().map(|value| Value::of(value)).collect() },
            View::Map(fields) => Self::Map {
                fields: fields
                    .iter()
                    .map(|(name, views)| (name.clone(), views.iter().map(Self::from).collect()))
                    .collect(),
            },
        }
    }
}

impl ObjectValue {
    /// Its kind, as people name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter { .. } => "counter",
            Self::Register(_) => "register",
            Self::MultiValue { .. } => "multi_value",
            Self::Set { .. } => "set",
            Self::Map { .. } => "map",
        }
    }

    /// How people see it: a line a value or element, names before what stands under them.
    #[must_use]
    pub fn shown(&self) -> String {
        let lines = |values: &[Value]| values.iter().map(Value::shown).collect::<Vec<_>>().join("\n");
        match self {
            Self::Counter { total, saturated: true, .. } => format!("{total} or beyond: the counter is saturated"),
            Self::Counter { total, .. } => total.to_string(),
            Self::Register(value) => value.shown(),
            Self::MultiValue { values } => lines(values),
            Self::Set { elements } => lines(elements),
            Self::Map { fields } => fields
                .iter()
                .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
                .map(|(name, value)| match value {
                    Self::Map { .. } => format!("{name}:\n  {}", value.shown().replace('\n', "\n  ")),
                    _ => format!("{name}: {}", value.shown().replace('\n', ", ")),
                })
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

/// A page of objects.
// Schemas share one room of names, and a node's sum of its objects bears this one already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ObjectPage)]
pub struct Objects {
    /// The objects, in the order of their keys.
    pub objects: Vec<Object>,
    /// Where to go on, when there may be more: a page may be short, even empty, before the last one.
    pub next: Option<String>,
}

impl Objects {
    /// The JSON of a page of a namespace.
    #[must_use]
    pub fn of(namespace: &str, page: &ObjectPage) -> Self {
        let objects = page.objects.iter().map(|entry| Object::of(namespace, &entry.key, &entry.object)).collect();
        Self { objects, next: page.next.clone() }
    }
}

/// An object as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Object {
    /// The namespace, as it was asked for.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// What it holds: one value, or several where regions made different kinds at the same time.
    pub values: Vec<ObjectValue>,
    /// The latest stamp that touched it.
    pub timestamp: String,
    /// The stamp's wall-clock time, UTC.
    pub time: String,
    /// BLAKE3 of its canonical encoding, hexadecimal: equal on nodes that hold the same.
    pub digest: String,
}

impl Object {
    /// The JSON of an object under a key.
    #[must_use]
    pub fn of(namespace: &str, key: &str, view: &ObjectView) -> Self {
        Self {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            values: view.views.iter().map(ObjectValue::from).collect(),
            timestamp: view.timestamp.to_string(),
            time: time_of(view.timestamp),
            digest: hex(&view.digest),
        }
    }
}
