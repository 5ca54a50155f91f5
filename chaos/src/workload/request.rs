//! From what a client asks to the protocol's request, the same for both arenas.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_protocol::Request;
use trine_protocol::request::{Append, LedgerGet, LedgerHistory, ObjectEdit, ObjectGet, Precondition};

use crate::history::{Action, After, Call, Edit, Known, Outcome};
use crate::workload::Next;

/// The ledger's namespace.
pub const LEDGER: &str = "default";
/// The objects' namespace.
pub const OBJECTS: &str = "objects";
/// More records than a run gives to one key.
const PAGE_RECORDS: u32 = 1000;

impl Next {
    /// The request.
    #[must_use]
    pub fn request(&self) -> Request {
        let key = self.key.clone();
        match &self.action {
            Action::Append { value, only_after } => Request::Append(Append {
                namespace: LEDGER.to_owned(),
                key,
                value: Bytes::from(value.clone()),
                content_type: "text/plain".to_owned(),
                metadata: BTreeMap::new(),
                idempotency_key: self.request_id.clone(),
                if_match: only_after.map(|after| match after {
                    After::Nothing => Precondition::Absent,
                    After::Record(index) => Precondition::Index(index),
                }),
                with_proof: self.with_proof,
            }),
            Action::Latest => Request::LedgerGet(LedgerGet { namespace: LEDGER.to_owned(), key, with_proof: false }),
            Action::Versions => Request::LedgerHistory(LedgerHistory {
                namespace: LEDGER.to_owned(),
                key,
                after: None,
                limit: PAGE_RECORDS,
            }),
            Action::Edit(edit) => {
                Request::ObjectEdit(ObjectEdit { namespace: OBJECTS.to_owned(), key, edit: asked(edit) })
            }
            Action::Read => Request::ObjectGet(ObjectGet { namespace: OBJECTS.to_owned(), key }),
        }
    }
}

fn asked(edit: &Edit) -> trine_protocol::Edit {
    use trine_protocol::Edit as Asked;
    let bytes = |value: &String| Bytes::from(value.clone());
    match edit {
        Edit::Increment(by) => Asked::Increment(*by),
        Edit::Set(value) => Asked::Set(bytes(value)),
        Edit::Put(value) => Asked::Put(bytes(value)),
        Edit::Add(element) => Asked::Add(bytes(element)),
        Edit::Remove(element) => Asked::Remove(bytes(element)),
        Edit::Field(name, edit) => Asked::Field { name: name.clone(), edit: Box::new(asked(edit)) },
        Edit::RemoveField(name) => Asked::RemoveField(name.clone()),
        Edit::Delete => Asked::Delete,
    }
}

impl Next {
    /// The call as it begins: nobody has answered yet.
    #[must_use]
    pub fn call(&self, id: u64, client: usize, session: usize, knew: Known, invoked_ns: u64) -> Call {
        let writes = matches!(self.action, Action::Append { .. } | Action::Edit(_));
        Call {
            id,
            client,
            session,
            region: self.region.clone(),
            node: Some(self.node.clone()),
            key: self.key.clone(),
            action: self.action.clone(),
            consistency: (!writes).then_some(self.consistency),
            durability: writes.then_some(self.durability),
            request_id: self.request_id.clone(),
            knew,
            invoked_ns,
            returned_ns: None,
            outcome: Outcome::Unknown("never answered".to_owned()),
        }
    }
}
