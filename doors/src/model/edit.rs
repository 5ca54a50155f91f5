//! The change of an object as JSON.

use serde::{Deserialize, Serialize};
use trine_protocol::Edit;
use trine_protocol::limits::MAP_DEPTH_MAX;
use utoipa::ToSchema;

use super::value::{Encoding, Value};

/// Why a change cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The value says it is base64 and is not.
    #[error("the value is said to be base64 and is not (RFC 4648, with padding)")]
    Base64,
    /// Maps in maps in maps.
    #[error("maps are nested deeper than {MAP_DEPTH_MAX}")]
    Depth,
}

/// One change of an object. The first change of a key decides its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum ObjectEdit {
    /// Adds to a counter; negative subtracts.
    Increment {
        /// How much.
        #[serde(default = "one")]
        by: i64,
    },
    /// Sets a register; the latest by hybrid time wins.
    Set {
        /// The value, in `encoding`.
        value: String,
        /// How the value stands there.
        #[serde(default)]
        encoding: Encoding,
    },
    /// Puts into a multi-value register; concurrent values are all kept until the next put.
    Put {
        /// The value, in `encoding`.
        value: String,
        /// How the value stands there.
        #[serde(default)]
        encoding: Encoding,
    },
    /// Adds an element to a set; an add wins over a concurrent remove.
    Add {
        /// The element, in `encoding`.
        value: String,
        /// How the element stands there.
        #[serde(default)]
        encoding: Encoding,
    },
    /// Removes an element from a set.
    Remove {
        /// The element, in `encoding`.
        value: String,
        /// How the element stands there.
        #[serde(default)]
        encoding: Encoding,
    },
    /// Changes what stands under a name of a map.
    Field {
        /// The name.
        name: String,
        /// The change there.
        #[schema(no_recursion)]
        edit: Box<ObjectEdit>,
    },
    /// Removes a name of a map.
    RemoveField {
        /// The name.
        name: String,
    },
    /// Removes the whole object.
    // With braces, or serde would pass over unknown fields, and what a slip of the pen asked for removes all.
    Delete {},
}

fn one() -> i64 {
    1
}

impl ObjectEdit {
    /// The change as the protocol has it.
    ///
    /// # Errors
    /// When a value is no base64 though said to be, or maps are nested too deeply.
    pub fn edit(self) -> Result<Edit, EditError> {
        self.at_depth(0)
    }

    fn at_depth(self, depth: usize) -> Result<Edit, EditError> {
        let bytes = |value, encoding| Value { value, encoding }.bytes().ok_or(EditError::Base64);
        Ok(match self {
            Self::Increment { by } => Edit::Increment(by),
            Self::Set { value, encoding } => Edit::Set(bytes(value, encoding)?),
            Self::Put { value, encoding } => Edit::Put(bytes(value, encoding)?),
            Self::Add { value, encoding } => Edit::Add(bytes(value, encoding)?),
            Self::Remove { value, encoding } => Edit::Remove(bytes(value, encoding)?),
            Self::Field { .. } | Self::RemoveField { .. } if depth == MAP_DEPTH_MAX => return Err(EditError::Depth),
            Self::Field { name, edit } => Edit::Field { name, edit: Box::new(edit.at_depth(depth + 1)?) },
            Self::RemoveField { name } => Edit::RemoveField(name),
            Self::Delete {} => Edit::Delete,
        })
    }
}
