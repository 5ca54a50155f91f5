//! What the HTTP API asks of the node behind it.

use futures::future::BoxFuture;
use trine_crdt::RegionId;
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role};

/// A node that answers requests. The daemon's driver is one; tests have their own.
pub trait Backend: Send + Sync + 'static {
    /// Answers one request of a caller with `role`. The node checks the role, serves or forwards the request, and
    /// answers within the options' timeout.
    fn request(&self, role: Role, options: Options, request: Request) -> BoxFuture<'_, Result<Answer, RequestError>>;

    /// Whether the node serves, and if not, why.
    ///
    /// # Errors
    /// The reason, for people.
    fn ready(&self) -> Result<(), String>;

    /// Whether the node takes writes, and if not, why.
    ///
    /// # Errors
    /// The reason, for people.
    fn writes(&self) -> Result<(), String> {
        self.ready()
    }

    /// The node's region.
    fn region(&self) -> RegionId;
}
