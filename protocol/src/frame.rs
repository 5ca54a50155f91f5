//! The envelopes between client and node on the stream protocol `/trine/client/1`.
//!
//! A frame is a big-endian `u32` length, checked against [`crate::limits::FRAME_BYTES_MAX`] before anything is
//! allocated, and one value of `trine_crdt::codec`. The first frame in each direction is the hello. A client
//! shows its certificate there: the libp2p key proves who speaks, the certificate what it may do.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, RegionId};

use crate::RequestError;
use crate::reply::Answer;
use crate::request::{Options, Request};

/// The stream protocol's name.
pub const CLIENT_PROTOCOL: &str = "/trine/client/1";
/// The only version of the conversation so far.
pub const PROTOCOL_VERSION: u16 = 1;

/// The client's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientHello {
    /// The lowest and highest protocol version that the client speaks.
    pub versions: (u16, u16),
    /// The client's certificate, DER.
    pub certificate: Bytes,
}

/// The node's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeHello {
    /// The protocol version that both will speak.
    pub version: u16,
    /// The node's certificate, DER.
    pub certificate: Bytes,
    /// The node.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// Libp2p addresses (with peer ids) of the other nodes known, with their regions.
    pub others: Vec<(RegionId, String)>,
}

/// Every later frame of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFrame {
    /// The request's number on this stream; the answer bears it.
    pub number: u64,
    /// How it wants to be served.
    pub options: Options,
    /// The request.
    pub request: Request,
}

/// Every later frame of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFrame {
    /// The request's number.
    pub number: u64,
    /// The answer.
    pub answer: Result<Answer, RequestError>,
}
