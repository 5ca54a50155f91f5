//! The log's files as bytes.

use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader, Frame, FrameKind, TailState, scan};

use crate::fixture::entries;
use crate::target::{Memory, Sample, Target, Verdict};

/// `frame::scan`: the frames that are found are the file's bytes up to where they end, and a tail is not both.
pub const TARGET: Target = Target { name: "log_file", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(scan) = scan(bytes) else { return Verdict::Refused };
    let mut written = scan.header.to_bytes().to_vec();
    for placed in &scan.frames {
        assert_eq!(placed.at, written.len() as u64);
        let read = scan.header.read_frame(placed.at, &bytes[written.len()..]);
        assert_eq!(read.as_ref(), Ok(&placed.frame), "a frame is read in another way than it is found");
        scan.header.write_frame(&placed.frame, &mut written).expect("what was read is within bounds");
    }
    assert_eq!(written, bytes[..written.len()], "a frame has a second encoding");
    assert_eq!(scan.end, written.len() as u64);
    match scan.tail {
        TailState::Clean => {
            // Room that was made ahead.
            assert!(bytes[written.len()..].iter().all(|byte| *byte == 0));
            Verdict::Accepted
        }
        TailState::Torn { at } | TailState::Damaged { at } => {
            assert!(at == scan.end && written.len() < bytes.len());
            Verdict::Refused
        }
    }
}

/// A file whose first entry has this index, with every kind of frame.
pub fn file(first: u64) -> Vec<u8> {
    let header = FileHeader { first, salt: [42; 32] };
    let mut bytes = header.to_bytes().to_vec();
    let entry = entries()[1].to_bytes().expect("within bounds");
    let position = |index: u64| LogPosition { term: 3, leader: NodeId(7), index };
    let frames: [(FrameKind, u64, &[u8]); 5] = [
        (FrameKind::Blank, 0, b""),
        (FrameKind::Membership, 1, b"membership"),
        (FrameKind::Entry, 2, &entry),
        (FrameKind::Truncate, 2, b""),
        (FrameKind::Entry, 2, &entry),
    ];
    for (kind, index, payload) in frames {
        let synced = if bytes.len() > 200 { FILE_HEADER_BYTES as u64 } else { 0 };
        let frame = Frame { kind, position: position(first.wrapping_add(index)), synced, payload };
        header.write_frame(&frame, &mut bytes).expect("within bounds");
    }
    bytes
}

fn samples() -> Vec<Sample> {
    let whole = file(0);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut samples = Sample::broken("file", &whole);
    samples.retain(|sample| !sample.name.ends_with("followed"));
    samples.extend([
        Sample::valid("file", &whole),
        Sample::valid("later", file(1 << 40)),
        Sample::valid("begun", &whole[..FILE_HEADER_BYTES]),
        Sample::hostile("a-first-frame-that-was-synced", flipped(FILE_HEADER_BYTES)),
        Sample::hostile("a-payload-that-was-synced", flipped(whole.len() - 200)),
        Sample::hostile("a-header-that-is-none", flipped(20)),
        Sample::hostile("two-files", [&whole[..], &whole].concat()),
        Sample::valid("with-room", [&whole[..], &[0; 512]].concat()),
        Sample::hostile("followed", [&whole[..], &[0; 512], &[1]].concat()),
    ]);
    samples
}
