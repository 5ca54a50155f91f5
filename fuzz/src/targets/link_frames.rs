//! What nodes say to each other on links, around the core's own messages.

use bytes::Bytes;
use trine_crdt::{FORMAT_LEVELS, NodeId, VersionRange};
use trine_node::net::frame::{LinkFrame, LinkHello, Reached};

use crate::cbor;
use crate::target::{Memory, Sample, Target, Verdict};

/// Hellos, heartbeats and their echoes; messages of the core are `peer_message`'s.
pub const TARGET: Target = Target { name: "link_frames", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    match selector {
        0 => Verdict::of(cbor::again::<LinkHello>(rest)),
        1 => Verdict::of(cbor::again::<LinkFrame>(rest)),
        _ => Verdict::Refused,
    }
}

fn samples() -> Vec<Sample> {
    let hello = LinkHello {
        versions: VersionRange { lowest: 1, highest: u16::MAX },
        levels: FORMAT_LEVELS,
        cluster: "c".repeat(64),
        node: NodeId(u64::MAX),
        certificate: Bytes::from_static(b"certificate"),
        process: 1,
        running_ms: 60_000,
        number: u64::MAX,
        reached: Reached { libp2p: vec!["/dns/node/tcp/1".to_owned()], raft: "node:2".to_owned() },
    };
    let mut samples: Vec<Sample> = Sample::family(0, "hello", cbor::samples(&[("whole", hello)])).collect();
    let frames = [("beat", LinkFrame::Beat(u64::MAX)), ("echo", LinkFrame::Echo(0)), ("taken", LinkFrame::Taken)];
    samples.extend(Sample::family(1, "frame", cbor::samples(&frames)));
    samples
}
