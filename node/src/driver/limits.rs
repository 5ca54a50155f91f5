//! What may wait in front of the core.

use std::time::Duration;
/// Inputs of links, the Raft group and the watchers that may wait; more and their senders wait.
pub const INPUTS_MAX: usize = 1024;
/// Clients' requests that may wait; more are refused as overloaded.
pub const REQUESTS_MAX: usize = 4096;
/// What waiting inputs may weigh together, in KiB.
pub const INPUTS_KIB_MAX: u32 = 64 * 1024;
/// What the requests of clients may weigh together from their arrival to their answer, in KiB.
pub const REQUESTS_KIB_MAX: u32 = 64 * 1024;
/// Inputs handled between two looks at the clock, the committers and the clients' queue.
pub const BURST_INPUTS_MAX: usize = 256;
/// How long a request may take when it does not say.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a request may take at most.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// How long after a request's timeout the driver still waits for the core to say so.
pub const TIMEOUT_GRACE: Duration = Duration::from_millis(500);
/// When an overloaded client should try again.
pub const OVERLOADED_RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often waiters that went away are forgotten.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

const _: () = assert!((INPUTS_KIB_MAX as usize) * 1024 >= 2 * trine_protocol::limits::FRAME_BYTES_MAX);
const _: () = assert!((REQUESTS_KIB_MAX as usize) * 1024 >= 2 * trine_protocol::limits::FRAME_BYTES_MAX);
/// A core that said nothing for so long is stuck: it is called at least every second while it lives.
pub const READINESS_SILENCE_MAX: Duration = Duration::from_secs(3);
/// How long what was logged of readiness stands before something else is: what changes back and forth would fill the log.
pub const READINESS_TOLD_INTERVAL: Duration = Duration::from_secs(1);
