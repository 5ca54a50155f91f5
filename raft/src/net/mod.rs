//! Raft's calls between the nodes of one region, over long-lived mTLS connections of our own.
//!
//! A pair of nodes has up to three connections a direction, so that what is urgent never waits behind what is big:
//! *control* (heartbeats, votes, transfer of leadership: small, answered out of order), *append* (the log's entries,
//! pipelined in order), *prefix* (a log's prefix, once in a blue moon). Both ends prove by certificate that they are
//! nodes of the same cluster and region; the first frame says which node is meant, so that a call for a node that lost
//! its disk never reaches its successor at the same address.
//!
//! A connection that owes an answer for too long is given up and dialled afresh: after a cut, TCP's own patience
//! would keep a peer away for many seconds after the network came back.

pub mod addresses;
pub mod append;
pub mod control;
pub mod dial;
pub mod frame;
pub mod limits;
pub mod peer;
pub mod processes;
pub mod reach;
pub mod serve;
pub mod server;
pub mod wire;
