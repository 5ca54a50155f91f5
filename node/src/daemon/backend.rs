//! The node as its HTTP API sees it.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use trine_crdt::RegionId;
use trine_doors::http::Backend;
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role};
use trine_replica::NotReady;

use crate::driver::{DriverHandle, Readiness};

/// Answers by the driver.
pub(super) struct NodeBackend {
    pub(super) driver: DriverHandle,
    pub(super) readiness: Readiness,
    pub(super) stopping: Arc<Mutex<bool>>,
    pub(super) region: RegionId,
}

impl Backend for NodeBackend {
    fn request(&self, role: Role, options: Options, request: Request) -> BoxFuture<'_, Result<Answer, RequestError>> {
        Box::pin(self.driver.request(role, options, request))
    }

    fn ready(&self) -> Result<(), String> {
        if *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(NotReady::Stopping.to_string());
        }
        self.readiness.get().map_err(|why| why.to_string())
    }

    fn writes(&self) -> Result<(), String> {
        self.ready()?;
        self.readiness.writes().map_err(|why| why.to_string())
    }

    fn region(&self) -> RegionId {
        self.region.clone()
    }
}
