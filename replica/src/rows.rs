//! Where each thing stands in the two key spaces, declared once.
//!
//! A key is a letter and then parts that sort as their values do: ids as `trine_crdt` writes them, numbers
//! big-endian, user keys escaped so that none is a prefix of another's rows.
//!
//! An append costs each node of its region about as much as the rows that it makes there. So whatever can be found by a
//! number stands in one row for all records of an entry, found by the last row at or below the number; only a version
//! of a key needs a row of its own.
//!
//! ```text
//! synced   c                                   clock: high-water mark, u64
//!          w writer                            an incarnation that this disk has written under
//!          o partition key                     object, canonical bytes
//!          v partition writer                  last sequence number held of the writer, u64; where the delta log has
//!                                              rows of it: up to where they were dropped, and how many, u64 each
//!          d partition writer upto             delta log: after u64, then keys and deltas
//!          g partition                         sum of the partition's object digests, and how many objects
//!                                              have anything left
//!          j                                   there while this disk, which was new, catches up with its peers
//!          q region                            evidence of a fork: two checkpoints that cannot both be true
//! derived  a                                   own ledger: state after the last applied entry
//!          b                                   own region's registry, after the log index of its last change
//!          e                                   own region: latest Raft membership
//!          u                                   own region: the voters of that membership, u64 each
//!          i index                             own records from an index on that one entry brought: log index u64, then
//!                                              the number of each one's command, u32
//!          x hash                              idempotency: row number, record index, stamp, leaf
//!          z number                            idempotency: hash and stamp of the rows from a number on that one entry
//!                                              brought, 56 bytes each
//!          l region index                      leaves from an index on that came together, 32 bytes each
//!          t region level index                tree node of a level above 0 that 8 divides, 32 bytes
//!          k namespace key region stamp index  a version of a key, any region's: its leaf
//!          f region                            mirror: state after the last verified record
//!          m region index                      mirrored record
//!          p region size                       mirror: the checkpoint received with a tail
//!          y key                               metadata entry
//!          s key                               metadata entry of the own region's to be signed, once that may be
//! ```

use bytes::Bytes;
use trine_crdt::{NamespaceId, PartitionId, RegionId, Timestamp, WriterId};

/// The clock's high-water mark.
pub const CLOCK: &[u8] = b"c";
/// This disk catches up with its peers.
pub const JOINING: &[u8] = b"j";
/// The value of [`JOINING`] where the disk's rows were lost to damage: then it waits for somebody who has them.
pub const JOINING_DAMAGED: &[u8] = b"damaged";
/// Own ledger's state after the last applied entry.
pub const LEDGER_STATE: &[u8] = b"a";
/// The own region's registry: log index of its last change, then its bytes.
pub const REGISTRY: &[u8] = b"b";
/// The latest Raft membership of the own region.
pub const MEMBERSHIP: &[u8] = b"e";
/// The voters of the latest Raft membership of the own region, of the sets of both sides while it changes.
pub const VOTERS: &[u8] = b"u";

/// An incarnation that this disk has written under.
#[must_use]
pub fn own_writer(writer: WriterId) -> Bytes {
    Key::new(b'w').bytes(&writer.0).done()
}

/// An object.
#[must_use]
pub fn object(partition: &PartitionId, key: &[u8]) -> Bytes {
    Key::new(b'o').partition(partition).bytes(key).done()
}

/// Last sequence number held of a writer in a partition.
#[must_use]
pub fn vector(partition: &PartitionId, writer: WriterId) -> Bytes {
    Key::new(b'v').partition(partition).bytes(&writer.0).done()
}

/// The delta log's row that ends at `upto`.
#[must_use]
pub fn delta(partition: &PartitionId, writer: WriterId, upto: u64) -> Bytes {
    Key::new(b'd').partition(partition).bytes(&writer.0).number(upto).done()
}

/// The sum of a partition's object digests and their count.
#[must_use]
pub fn digest(partition: &PartitionId) -> Bytes {
    Key::new(b'g').partition(partition).done()
}

/// Evidence of a region's fork.
#[must_use]
pub fn fork(region: &RegionId) -> Bytes {
    Key::new(b'q').region(region).done()
}

/// Where the own records from `index` on stand in the log.
#[must_use]
pub fn own_records(index: u64) -> Bytes {
    Key::new(b'i').number(index).done()
}

/// An idempotency key's first append.
#[must_use]
pub fn idempotency(hash: &[u8; 32]) -> Bytes {
    Key::new(b'x').bytes(hash).done()
}

/// Idempotency rows from a number on.
#[must_use]
pub fn idempotency_numbers(number: u64) -> Bytes {
    Key::new(b'z').number(number).done()
}

/// Leaves of a ledger's tree from an index on.
#[must_use]
pub fn leaves(region: &RegionId, index: u64) -> Bytes {
    Key::new(b'l').region(region).number(index).done()
}

/// A node of a ledger's tree.
#[must_use]
pub fn tree(region: &RegionId, level: u8, index: u64) -> Bytes {
    Key::new(b't').region(region).bytes(&[level]).number(index).done()
}

/// The number that a row's key ends with.
#[must_use]
pub fn last_number(row: &[u8]) -> Option<u64> {
    row.last_chunk().map(|number| u64::from_be_bytes(*number))
}

/// One version of a key.
#[must_use]
pub fn version(namespace: &NamespaceId, key: &[u8], region: &RegionId, stamp: &Timestamp, index: u64) -> Bytes {
    Key::new(b'k').namespace(namespace).escaped(key).region(region).bytes(&stamp.to_bytes()).number(index).done()
}

/// All versions of a key in one region: the prefix of their rows.
#[must_use]
pub fn versions_in(namespace: &NamespaceId, key: &[u8], region: &RegionId) -> Bytes {
    Key::new(b'k').namespace(namespace).escaped(key).region(region).done()
}

/// All versions of a key: the prefix of their rows.
#[must_use]
pub fn versions(namespace: &NamespaceId, key: &[u8]) -> Bytes {
    Key::new(b'k').namespace(namespace).escaped(key).done()
}

/// All versions of all keys that begin with `prefix`: the prefix of their rows.
#[must_use]
pub fn versions_from(namespace: &NamespaceId, prefix: &[u8]) -> Bytes {
    Key::new(b'k').namespace(namespace).escaped_open(prefix).done()
}

/// Reads key, region, stamp and index back from a row key of [`version`].
#[must_use]
pub fn read_version(row: &[u8]) -> Option<(Vec<u8>, RegionId, Timestamp, u64)> {
    let (_, mut rest) = NamespaceId::read_key(row.strip_prefix(b"k")?)?;
    let mut key = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        if *byte != 0 {
            key.push(*byte);
            continue;
        }
        let (mark, after) = rest.split_first()?;
        rest = after;
        match mark {
            0 => break,
            _ => key.push(0),
        }
    }
    let end = rest.iter().position(|byte| *byte == 0)?;
    let region = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let (stamp, index) = rest[end + 1..].split_first_chunk::<24>()?;
    Some((key, region, Timestamp::from_bytes(stamp), u64::from_be_bytes(index.try_into().ok()?)))
}

/// A mirror's state after the last verified record.
#[must_use]
pub fn mirror(region: &RegionId) -> Bytes {
    Key::new(b'f').region(region).done()
}

/// A mirrored record.
#[must_use]
pub fn mirrored(region: &RegionId, index: u64) -> Bytes {
    Key::new(b'm').region(region).number(index).done()
}

/// A checkpoint received with a tail.
#[must_use]
pub fn note(region: &RegionId, size: u64) -> Bytes {
    Key::new(b'p').region(region).number(size).done()
}

/// A metadata entry.
#[must_use]
pub fn metadata(key: &[u8]) -> Bytes {
    Key::new(b'y').bytes(key).done()
}

/// What the own region's ledger said while nothing could be signed.
#[must_use]
pub fn unsaid(key: &[u8]) -> Bytes {
    Key::new(b's').bytes(key).done()
}

/// The range of all keys that begin with `prefix`: from it, up to this.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0xff; 40])
}

/// A row key under construction.
struct Key(Vec<u8>);

impl Key {
    fn new(letter: u8) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(letter);
        Self(bytes)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn region(self, region: &RegionId) -> Self {
        self.bytes(region.as_str().as_bytes()).bytes(&[0])
    }

    fn namespace(mut self, namespace: &NamespaceId) -> Self {
        namespace.write_key(&mut self.0);
        self
    }

    fn partition(mut self, partition: &PartitionId) -> Self {
        partition.write_key(&mut self.0);
        self
    }

    /// NUL becomes NUL 0xff, so that the closing NUL NUL sorts below any longer key.
    fn escaped_open(mut self, key: &[u8]) -> Self {
        for byte in key {
            self.0.push(*byte);
            if *byte == 0 {
                self.0.push(0xff);
            }
        }
        self
    }

    fn escaped(self, key: &[u8]) -> Self {
        self.escaped_open(key).bytes(&[0, 0])
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}
