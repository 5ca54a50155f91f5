//! What is asked of a healed region, to see whether it answers again: an append and an edit.

use trine_protocol::{Consistency, Durability};

use crate::history::{Action, Call, Edit};
use crate::workload::Next;

/// A kind of write that a region must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// An append, which its ledger's leader must take.
    Append,
    /// An edit of an object, which a majority of it must have.
    Edit,
}

impl Asked {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Append, Self::Edit];

    /// Which of them a call is; none: a read.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        match call.action {
            Action::Append { .. } => Some(Self::Append),
            Action::Edit(_) => Some(Self::Edit),
            _ => None,
        }
    }

    /// What is asked of a node, with a value of its own.
    #[must_use]
    pub fn next(self, node: &str, region: &str, value: String) -> Next {
        let (node, region) = (node.to_owned(), region.to_owned());
        let (key, request_id, action) = match self {
            Self::Append => (format!("own-{value}"), Some(value.clone()), Action::Append { value, only_after: None }),
            Self::Edit => ("set-0".to_owned(), None, Action::Edit(Edit::Add(value))),
        };
        let (consistency, durability) = (Consistency::Session, Durability::Region);
        Next { node, region, key, action, consistency, durability, request_id, with_proof: false }
    }
}
