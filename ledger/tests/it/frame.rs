//! The log's files: what a crash leaves is told apart from what a disk lost.

use expect_test::expect_file;
use proptest::prelude::*;
use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader, Frame, FrameError, FrameKind, TailState, scan};

use crate::fixture::hex;

const HEADER: FileHeader = FileHeader { first: 10, salt: [3; 32] };

fn entry(index: u64, synced: u64, payload: &[u8]) -> Frame<'_> {
    let position = LogPosition { term: 2, leader: NodeId(7), index };
    Frame { kind: FrameKind::Entry, position, synced, payload }
}

fn truncate(index: u64, synced: u64) -> Frame<'static> {
    Frame { kind: FrameKind::Truncate, payload: &[], ..entry(index, synced, &[]) }
}

/// A file; each group of frames is one write that was synced before the next one.
fn file(groups: &[&[(u64, &[u8])]]) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut offsets) = (HEADER.to_bytes().to_vec(), Vec::new());
    for group in groups {
        let synced = bytes.len() as u64;
        for (index, payload) in *group {
            offsets.push(bytes.len() as u64);
            HEADER.write_frame(&entry(*index, synced, payload), &mut bytes).expect("within bounds");
        }
    }
    (bytes, offsets)
}

fn tail(bytes: &[u8]) -> (usize, TailState) {
    let scan = scan(bytes).expect("the header is whole");
    (scan.frames.len(), scan.tail)
}

#[test]
fn the_bytes_stay_what_they_were() {
    let (mut bytes, _) = file(&[&[(10, b"ten")], &[(11, b"eleven"), (12, b"")]]);
    HEADER.write_frame(&truncate(11, 60), &mut bytes).expect("within bounds");
    HEADER.write_frame(&entry(11, 60, b"another"), &mut bytes).expect("within bounds");
    expect_file!["../../testdata/log.hex"].assert_eq(&hex(&bytes));
    let scan = scan(&bytes).expect("our own bytes");
    assert_eq!((scan.header, scan.tail, scan.end), (HEADER, TailState::Clean, bytes.len() as u64));
    let indexes: Vec<_> = scan.frames.iter().map(|placed| (placed.frame.kind, placed.frame.position.index)).collect();
    let entry = FrameKind::Entry;
    assert_eq!(indexes, [(entry, 10), (entry, 11), (entry, 12), (FrameKind::Truncate, 11), (entry, 11)]);
    for placed in &scan.frames {
        let read = HEADER.read_frame(placed.at, &bytes[placed.at as usize..]);
        assert_eq!(read, Ok(placed.frame));
    }
}

#[test]
fn wherever_a_crash_cuts_the_last_write_the_tail_is_torn() {
    let (bytes, offsets) = file(&[&[(10, b"ten")], &[(11, b"eleven"), (12, b"twelve")]]);
    for end in FILE_HEADER_BYTES..bytes.len() {
        let whole = offsets.iter().skip(1).chain([&(bytes.len() as u64)]).filter(|at| **at <= end as u64).count();
        let at = [FILE_HEADER_BYTES as u64, offsets[1], offsets[2]][whole];
        // A length begins with zeros, and zeros are no part of anything.
        let nothing = bytes[at as usize..end].iter().all(|byte| *byte == 0);
        let expected = if nothing { TailState::Clean } else { TailState::Torn { at } };
        assert_eq!(tail(&bytes[..end]), (whole, expected), "cut at {end}");
    }
}

#[test]
fn zeros_behind_the_last_frame_are_room_and_leftovers_are_a_torn_tail() {
    let (bytes, _) = file(&[&[(10, b"ten")]]);
    let at = bytes.len() as u64;
    assert_eq!(tail(&[&bytes[..], &[0; 4096]].concat()), (1, TailState::Clean));
    assert_eq!(tail(&[&bytes[..], &[0; 4096], &[1]].concat()), (1, TailState::Torn { at }));
    // A block of a file that was deleted: whole frames, but of another salt.
    let other = FileHeader { salt: [4; 32], ..HEADER };
    let mut leftover = Vec::new();
    other.write_frame(&entry(11, 1 << 40, b"stale"), &mut leftover).expect("within bounds");
    assert_eq!(tail(&[&bytes[..], &leftover].concat()), (1, TailState::Torn { at }));
}

#[test]
fn one_write_may_reach_the_disk_in_any_order() {
    // The second write of three frames was not synced; its first frame never arrived and its last did.
    let (mut bytes, offsets) = file(&[&[(10, b"ten")], &[(11, b"eleven"), (12, b"twelve"), (13, b"thirteen")]]);
    bytes[offsets[1] as usize..offsets[2] as usize].fill(0);
    assert_eq!(tail(&bytes), (1, TailState::Torn { at: offsets[1] }));
}

#[test]
fn every_flipped_bit_before_the_last_sync_is_damage() {
    let (bytes, offsets) = file(&[&[(10, b"ten")], &[(11, b"eleven"), (12, b"twelve")], &[(13, b"last")]]);
    for (byte, bit) in (FILE_HEADER_BYTES..offsets[3] as usize).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let mut rotten = bytes.clone();
        rotten[byte] ^= 1 << bit;
        let frame = offsets.iter().rposition(|at| *at <= byte as u64).expect("behind the header");
        assert_eq!(tail(&rotten), (frame, TailState::Damaged { at: offsets[frame] }), "byte {byte}, bit {bit}");
    }
}

#[test]
fn a_damaged_payload_behind_a_damaged_one_does_not_hide_it() {
    let (mut bytes, offsets) = file(&[&[(10, b"ten")], &[(11, b"eleven")]]);
    bytes[offsets[0] as usize + 54] ^= 1;
    bytes[offsets[1] as usize + 54] ^= 1;
    assert_eq!(tail(&bytes), (0, TailState::Damaged { at: offsets[0] }));
}

#[test]
fn a_lost_entry_between_whole_ones_is_damage() {
    let (bytes, offsets) = file(&[&[(10, b"ten")], &[(12, b"twelve")]]);
    assert_eq!(tail(&bytes), (1, TailState::Damaged { at: offsets[1] }));
    let mut bytes = HEADER.to_bytes().to_vec();
    HEADER.write_frame(&truncate(11, 60), &mut bytes).expect("within bounds");
    assert_eq!(tail(&bytes), (0, TailState::Damaged { at: 60 }), "nothing there to take back");
}

#[test]
fn a_suffix_may_be_taken_back_across_files() {
    let mut bytes = HEADER.to_bytes().to_vec();
    for frame in [truncate(4, 60), entry(4, 60, b"four"), entry(5, 60, b"five")] {
        HEADER.write_frame(&frame, &mut bytes).expect("within bounds");
    }
    assert_eq!(tail(&bytes), (3, TailState::Clean));
}

#[test]
fn a_client_cannot_store_a_frame() {
    let mut inner = Vec::new();
    let guess = FileHeader { salt: [0; 32], ..HEADER };
    guess.write_frame(&entry(11, 1 << 40, b"forged"), &mut inner).expect("within bounds");
    let (bytes, offsets) = file(&[&[(10, b"ten")], &[(11, &inner)]]);
    let cut = &bytes[..bytes.len() - 1];
    assert_eq!(tail(cut), (1, TailState::Torn { at: offsets[1] }));
}

#[test]
fn a_file_without_a_whole_header_says_so() {
    let bytes = HEADER.to_bytes();
    for end in 0..FILE_HEADER_BYTES {
        assert_eq!(scan(&bytes[..end]), Err(FrameError::TornHeader));
    }
    for (byte, bit) in (0..FILE_HEADER_BYTES).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let mut rotten = bytes;
        rotten[byte] ^= 1 << bit;
        assert_eq!(scan(&rotten), Err(FrameError::DamagedHeader));
    }
}

proptest! {
    #[test]
    fn noise_is_never_taken_for_a_frame(noise in proptest::collection::vec(any::<u8>(), 1..600)) {
        let (bytes, _) = file(&[&[(10, b"ten")]]);
        let at = bytes.len() as u64;
        prop_assert_eq!(tail(&[&bytes[..], &noise].concat()), (1, TailState::Torn { at }));
        prop_assert!(scan(&noise).is_err());
    }

    #[test]
    fn what_is_written_is_read(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..9)) {
        let group: Vec<_> = payloads.iter().zip(10..).map(|(payload, index)| (index, payload.as_slice())).collect();
        let (bytes, _) = file(&[&group]);
        let scan = scan(&bytes).expect("our own bytes");
        prop_assert_eq!(scan.tail, TailState::Clean);
        let read: Vec<_> = scan.frames.iter().map(|p| (p.frame.position.index, p.frame.payload)).collect();
        prop_assert_eq!(read, group);
    }
}
