//! The public conversation as values: requests, replies, errors, levels, session tokens, positions.
//!
//! HTTP and the command line are mechanical mappings of what stands here; the client library speaks it over
//! libp2p. One request has one reply; a reply names its request by the number in its envelope, so that one
//! connection carries many at once.

pub mod conflict;
pub mod error;
pub mod frame;
pub mod level;
pub mod limits;
pub mod missing;
pub mod mutants;
pub mod object;
pub mod reply;
pub mod request;
pub mod session;

pub use conflict::Conflict;
pub use error::RequestError;
pub use frame::{ClientFrame, ClientHello, NodeFrame, NodeHello};
pub use level::{Consistency, Durability};
pub use missing::Missing;
pub use object::{Edit, ObjectEntry, ObjectKind, ObjectPage, ObjectView, View};
pub use reply::Reply;
pub use request::{Request, Role};
pub use session::SessionToken;
