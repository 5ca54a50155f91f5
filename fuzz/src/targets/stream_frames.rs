//! Lengths and bodies on a stream, as clients and links read them, and as Raft's connections do.

use std::future::Future;
use std::time::Duration;

use trine_client::framing;
use trine_raft::net::frame::FrameReader;

use crate::target::{Memory, Sample, Target, Verdict};

/// Two readers of the same frames, which must read the same.
pub const TARGET: Target = Target { name: "stream_frames", run, samples, memory: Memory::SERDE };

/// The longest frame that is allowed here, in bytes.
const LIMIT: usize = 4096;
/// All bytes are there, so nobody waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(bytes: &[u8]) -> Verdict {
    let (ours, whole) = now(clients(bytes));
    let theirs = now(rafts(bytes));
    match theirs {
        // What both read is the same; only an empty frame is refused by the one and none of the other's business.
        Some(theirs) if whole => assert_eq!(ours, theirs, "two readers disagree"),
        Some(theirs) => assert!(theirs.starts_with(&ours) && theirs.iter().any(Vec::is_empty), "two readers disagree"),
        None => assert!(!whole, "two readers disagree"),
    }
    if whole && !ours.is_empty() { Verdict::Accepted } else { Verdict::Refused }
}

/// The frames, and whether nothing was left over.
async fn clients(bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while !rest.is_empty() {
        let Ok(length) = framing::read_length(&mut rest, LIMIT, PATIENCE, PATIENCE).await else {
            return (frames, false);
        };
        let Ok(body) = framing::read_body(&mut rest, length, PATIENCE).await else { return (frames, false) };
        frames.push(body);
    }
    (frames, true)
}

/// The frames, when there is nothing else.
async fn rafts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut reader, mut frames) = (FrameReader::new(bytes), Vec::new());
    while let Some(frame) = reader.next(LIMIT).await.ok()? {
        frames.push(frame.to_vec());
    }
    Some(frames)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

fn samples() -> Vec<Sample> {
    let frame = |bytes: &[u8]| framing::frame(&bytes, LIMIT).expect("within the limit");
    let (small, large) = (frame(b"a"), frame(&[7; 1500]));
    let both = [&small[..], &large].concat();
    let mut samples = Sample::broken("two", &both);
    // Nothing at all is no frame, and no offence either.
    samples.extend([
        Sample::valid("one", &small),
        Sample::valid("two", &both),
        Sample::hostile("length-of-2-32", [0xff; 4]),
        Sample::hostile("longer-than-allowed", [&4097_u32.to_be_bytes()[..], &[0; 4097]].concat()),
        Sample::hostile("empty-frames", [0; 64]),
        Sample::hostile("an-empty-one-between", [&small[..], &[0; 4], &small].concat()),
    ]);
    samples
}
