//! Records as mirrors receive them and proof files carry them.

use bytes::Bytes;
use trine_ledger::{Record, RecordHeader};

use crate::fixture::record;
use crate::target::{Memory, Sample, Target, Verdict};

/// `Record::from_bytes` and its header: canonical; a body that is believed is the one committed to.
pub const TARGET: Target = Target { name: "record", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(record) = Record::from_bytes(&Bytes::copy_from_slice(bytes)) else { return Verdict::Refused };
    assert_eq!(record.to_bytes().expect("what was read is within bounds"), bytes, "a record has a second encoding");
    let header = record.header().expect("a record's header was read with it");
    assert_eq!(header.to_bytes().expect("within bounds"), record.header, "a header has a second encoding");
    assert_eq!(RecordHeader::from_bytes(&record.header).as_ref(), Ok(&header));
    if let Ok(verified) = record.verify() {
        let body = record.body.as_ref().expect("only a body is verified");
        assert_eq!((verified.commitments, verified.value_bytes), (body.commitments(), body.value.len() as u64));
    }
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let whole = record(1);
    let bytes = whole.to_bytes().expect("within bounds");
    let bare = Record { body: None, ..whole.clone() }.to_bytes().expect("within bounds");
    let mut samples = Sample::broken("record", &bytes);
    let header = whole.header.len();
    let with = |at: usize, byte: u8| {
        let mut changed = bytes.to_vec();
        changed[at] = byte;
        changed
    };
    samples.extend([
        Sample::valid("record", &bytes),
        Sample::valid("bare", bare),
        Sample::hostile("a-flag-of-two", with(3 + header, 2)),
        Sample::hostile("another-version", with(0, 2)),
        Sample::hostile("a-header-of-64-kib", with(1, 0xff)),
        Sample::hostile("a-key-of-64-kib", with(3 + header + 1 + 1 + 96, 0xff)),
        Sample::hostile("metadata-of-2-32", with(3 + header + 1 + 1 + 96 + 2 + 7, 0xff)),
        Sample::hostile("a-body-of-2-32", [&bytes[..bytes.len() - 8], &[0xff; 4], b"paid"].concat()),
    ]);
    samples
}
