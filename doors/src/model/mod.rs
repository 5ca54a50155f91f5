//! The conversation as JSON: what the HTTP API and `-o json` show.
//!
//! Ids, stamps and hashes are strings; times for people stand beside the stamps that count. Values are text when they
//! are UTF-8 and base64 when not, and `encoding` says which.

pub mod cluster;
pub mod edit;
pub mod object;
pub mod proof;
pub mod record;
pub mod value;

pub use cluster::{
    Manifest, Namespace, Namespaces, Node, NodeClock, Nodes, Problem, Recovered, Recovery, Region, Regions, Status,
    health_name, raft_name,
};
pub use edit::{EditError, ObjectEdit};
pub use object::{Object, ObjectValue, Objects};
pub use record::{Appended, Proof, Record, Records};
pub use value::{Encoding, Value};
