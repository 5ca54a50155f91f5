//! Admission: every connection shows a certificate before anything else can be said on it.
//!
//! A libp2p key proves who speaks, not that the speaker belongs here. So the step that authenticates a connection
//! does not end with the noise handshake: both sides then send their certificate as the first bytes of the
//! encrypted channel, and until the other's is verified (issued by the cluster's authority, for this very key,
//! valid now) not one byte reaches the multiplexer. A stranger therefore never opens a stream, never speaks
//! gossip, and costs one bounded read.
//!
//! ```text
//!   dialler                                   listener
//!      | ── tcp, noise ───────────────────────── |
//!      | ── length, certificate ──────────────▶  |  verified before the connection exists
//!      |  ◀────────────── length, certificate ── |  verified before the first byte is read
//!      | ── yamux ────────────────────────────── |
//! ```
//!
//! The dialler does not wait for the listener's certificate before it sends (that would cost a round trip across
//! an ocean on every healed link); its first read fails when the certificate is not acceptable.

mod authority;
mod claims;
mod gate;
mod refusal;
mod stream;
mod upgrade;

pub use authority::Authority;
pub use claims::{Claims, Verify};
pub use gate::{Admitted, Gate, unix_now_s};
pub use refusal::Refusal;
pub use stream::AdmittedStream;
pub use upgrade::{Admission, AdmissionError, admit};
