//! A libp2p client that speaks the protocol and verifies what it is told.
//!
//! [`Client`] is cheap to clone and to be shared by thousands of tasks: all of them pipeline their requests over one
//! connection to the nearest node. When that node fails, the next call goes to another of its region, then to another
//! region. What a session has seen travels with each request ([`Session`]); what a proof claims is checked against
//! the log keys of the genesis ([`proof`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = trine_client::Client::builder()
//!     .seed("/ip4/127.0.0.1/tcp/7421")?
//!     .directory(std::path::Path::new("tls/client"))?
//!     .build()?;
//! let appended = client.append("default", "order-17", "paid").await?;
//! println!("{} of {}", appended.index, appended.region);
//! client.incr("objects", "visits", 1).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Retries happen only when nothing was done or when repeating does no harm (reads; appends, which carry an
//! idempotency key and are repeated in the same region only). An edit of an object whose fate is unknown is never
//! repeated. An append with a precondition or an idempotency key of the caller's stays in one region, which the builder names.

mod builder;
mod call;
mod client;
mod connection;
mod error;
pub mod framing;
mod identity;
mod leader;
pub mod limits;
pub mod names;
mod network;
mod other_protocol;
mod pool;
pub mod proof;
mod session;
pub mod transport;

pub use builder::Builder;
pub use call::CallOptions;
pub use client::{AppendRequest, Client, Endpoint};
pub use error::{BuildError, ClientError};
pub use session::{Session, SessionTextError};
pub use trine_crdt::RegionId;
pub use trine_identity::admission;
pub use trine_protocol::{Consistency, Durability, Edit, ObjectEntry, ObjectKind, ObjectPage, ObjectView, View};
