//! The network's bounds, in one place.

use std::time::Duration;

pub use trine_identity::limits::{REFUSAL_QUIET, REFUSALS_REMEMBERED_MAX};

pub use trine_ledger::limits::ADDRESSES_MAX;

/// The largest frame on a link, in bytes.
pub const LINK_FRAME_BYTES_MAX: usize = trine_crdt::codec::ENCODED_BYTES_MAX;
/// The largest hello on a link or client stream, in bytes.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// The most bytes that wait to be sent on one link; what does not fit is dropped.
pub const LINK_QUEUE_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Of these, what only control messages may use.
pub const LINK_CONTROL_BYTES_RESERVED: usize = 4 * 1024 * 1024;
/// The most bytes received and not yet dealt with by the driver, over all links.
pub const LINK_RECEIVED_BYTES_MAX: usize = 96 * 1024 * 1024;
/// The most bytes of requests and answers held for clients, over all streams.
pub const CLIENT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Beside those, what each client has for itself, over all of its streams, in bytes.
pub const CLIENT_SHARE_BYTES: usize = 64 * 1024;
/// The largest frame of a client that may only read, in bytes: a question, and all that its session has seen.
pub const READER_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The most requests under way on one client stream.
pub const CLIENT_REQUESTS_MAX: usize = 4096;
/// The unit in which room for received bytes is handed out, in bytes.
pub const ROOM_UNIT_BYTES: usize = 1024;
/// The most events that wait for the driver.
pub const EVENTS_MAX: usize = 1024;
/// The largest rumor, in bytes.
pub const GOSSIP_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// How often a link says that it lives.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// After so long without a byte a link is closed.
pub const SILENCE_MAX: Duration = Duration::from_millis(1500);
/// A link on which a beat came back so fast and so lately is not given up for one with another process of the same node.
pub const ANSWER_MAX: Duration = SILENCE_MAX;
/// Two processes of a node that began within this of each other began together: which is the node, their numbers say. Hellos
/// travel, each for another time, so that peers see two that began about this far apart in two orders; longer than most do.
pub const BEGAN_APART_MIN: Duration = Duration::from_secs(5);
/// A process that hears for so long that another one is its node, and nothing else, is a copy. Longer than a peer takes to miss
/// the process before a restart.
pub const TAKEN_MAX: Duration = Duration::from_secs(5);
/// When that was not said for so long, it counts from anew.
pub const TAKEN_QUIET_MAX: Duration = Duration::from_secs(2);
/// With how many disks under one key a link may stand: a node's, and a newcomer's that is to be told whose name it is.
pub const LINKS_PER_KEY_MAX: usize = 2;
/// How often a missing peer is dialled afresh.
pub const DIAL_INTERVAL: Duration = Duration::from_millis(125);
/// How long one dial may take, admission included.
pub const LINK_DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many dials to one peer may be under way.
pub const DIALS_PER_PEER_MAX: usize = 16;
/// How long an incoming connection may take until its certificate is verified.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the hellos of a link may take; one that takes longer was caught in a cut.
pub const LINK_HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an admitted connection may stand without a hello on a stream.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may leave a frame unfinished without sending a byte of it.
pub const CLIENT_STALL_MAX: Duration = Duration::from_secs(10);
/// How long a frame of a client may take as a whole.
pub const CLIENT_FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may be silent with nothing under way.
pub const CLIENT_IDLE_MAX: Duration = Duration::from_secs(600);
/// How long a client may leave an answer unread.
pub const CLIENT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often connected certificates are looked at again.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(15);
/// Incoming connections, where the system allows that many open files.
pub const INCOMING_MAX: usize = 4096;
/// Of these, the share, in fourths, that clients may have; the rest is for nodes.
pub const CLIENTS_FOURTHS: usize = 3;
/// Connections per peer; several while dials cross.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 48;
/// Streams of one kind that one connection may open.
pub const STREAMS_PER_CONNECTION_MAX: usize = 64;
/// The most seeds and discovered addresses that are dialled.
pub const SEEDS_MAX: usize = 256;
/// The most nodes whose ids are remembered for the authors of rumors.
pub const NODES_REMEMBERED_MAX: usize = 1024;

// A listener is a listener, whoever comes.
const _: () = assert!(trine_client::limits::LISTEN_BACKLOG == trine_seats::limits::BACKLOG);
const _: () = assert!(ANSWER_MAX.as_millis() >= 2 * HEARTBEAT_INTERVAL.as_millis());
const _: () = assert!(BEGAN_APART_MIN.as_millis() > 2 * LINK_HELLO_TIMEOUT.as_millis());
const _: () = assert!(TAKEN_MAX.as_millis() >= 3 * SILENCE_MAX.as_millis());
const _: () = assert!(LINK_QUEUE_BYTES_MAX > LINK_FRAME_BYTES_MAX + LINK_CONTROL_BYTES_RESERVED);
const _: () = assert!(LINK_RECEIVED_BYTES_MAX > LINK_FRAME_BYTES_MAX);
const _: () = assert!(CLIENT_BYTES_MAX > 2 * trine_protocol::limits::FRAME_BYTES_MAX);
/// How often the dialler is asked.
pub const DIAL_TICK: Duration = Duration::from_millis(25);
/// How long a link that we opened may be without a hello before the peer is dialled again.
pub const OPENING_MAX: Duration = SILENCE_MAX;
/// How many frames of data go before one of bulk.
pub const DATA_IN_A_ROW: u32 = 8;
/// What a rumor's envelope (author, number, topic, signature, key) may take beside it, in bytes.
pub const ENVELOPE_BYTES: usize = 1024;
/// How many bytes are gathered for one write to a client or read from it.
pub const CLIENT_BUFFER_BYTES: usize = 64 * 1024;
/// How many answers are written before the client must have taken them.
pub const ANSWERS_IN_A_ROW: usize = 64;
/// How many beats are remembered until their echo comes.
pub const BEATS_MAX: usize = 16;
/// How many bytes are gathered for one write to a link or read from it.
pub const LINK_BUFFER_BYTES: usize = 64 * 1024;
/// How long a replaced link stays open when everything was sent.
pub const CLOSE_DELAY: Duration = Duration::from_secs(1);
/// How long a replaced link goes on reading what is still under way.
pub const LEAVE_GRACE: Duration = Duration::from_secs(3);
/// Commands that wait for the swarm's task.
pub const COMMANDS_MAX: usize = 256;
/// Reports of tasks that wait for the swarm's task.
pub const REPORTS_MAX: usize = 256;
/// How long an address may take until it is listened on.
pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
