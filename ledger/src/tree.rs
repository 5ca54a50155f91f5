//! The hash tree over a ledger's leaves (RFC 9162, section 2.1), in time logarithmic in its size.
//!
//! A leaf hash is SHA-256(0x00 ‖ leaf), an inner hash SHA-256(0x01 ‖ left ‖ right); the prefixes keep anyone from
//! passing a node off as a leaf. A tree of n leaves splits at the largest power of two below n, and an odd leaf
//! is never doubled. So each complete subtree, aligned to its size, is computed once and never changes:
//!
//! ```text
//! level 2            (2,0)                     size 7: the frontier is (2,0) (1,2) (0,6)
//! level 1      (1,0)       (1,1)    (1,2)
//! level 0    (0,0) (0,1) (0,2) (0,3) (0,4) (0,5) (0,6)
//! ```
//!
//! The [`Frontier`] holds the roots of the complete subtrees at the right edge, one for each bit set in the size,
//! which is all that appending needs. As leaves come it emits each node that became complete, level 0 included;
//! the caller stores them by (level, index), and proofs are made from at most two such rows a level.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::form::{FormError, Reader};
use crate::limits::PROOF_HASHES_MAX;
use crate::mutants::{self, Mutant};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// A complete subtree: the leaves `index << level` to `(index + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeNode {
    /// The binary logarithm of how many leaves are below it.
    pub level: u8,
    /// Its place among the nodes of its level.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

/// Why there is no proof, or why one does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf in a tree of that size, or no such smaller tree.
    #[error("{at} does not lie in a tree of {size}")]
    OutOfRange {
        /// The leaf's index, or the smaller size.
        at: u64,
        /// The tree's size.
        size: u64,
    },
    /// A stored node is missing.
    #[error("the tree's node ({level}, {index}) is not stored")]
    Missing {
        /// Its level.
        level: u8,
        /// Its index.
        index: u64,
    },
    /// The proof has more or fewer hashes than such a proof has.
    #[error("the proof has {hashes} hashes, which is not what a proof of these sizes has")]
    Length {
        /// How many it has.
        hashes: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Mismatch,
}

/// SHA-256(0x00 ‖ `leaf`).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let prefix = u8::from(mutants::is(Mutant::LeafAsNode));
    Sha256::new().chain_update([prefix]).chain_update(leaf).finalize().into()
}

/// SHA-256(0x01 ‖ `left` ‖ `right`).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// A tree's right edge: all that appending to it and its root need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, the largest first; as many as `size` has bits set.
    edge: Vec<Hash>,
}

impl Frontier {
    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash and hands over each node that is complete with it, the leaf first.
    pub fn push(&mut self, leaf: Hash, mut emit: impl FnMut(TreeNode)) {
        let (mut level, mut index, mut hash) = (0, self.size, leaf);
        emit(TreeNode { level, index, hash });
        while index & 1 == 1 {
            let left = self.edge.pop().expect("a bit of the size stands for a subtree");
            (level, index, hash) = (level + 1, index >> 1, node_hash(&left, &hash));
            emit(TreeNode { level, index, hash });
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut edge = self.edge.iter().rev();
        let Some(last) = edge.next() else { return empty_root() };
        edge.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The frontier of the first `size` leaves, from stored nodes.
    ///
    /// # Errors
    /// [`ProofError::Missing`] when a node is not stored.
    pub fn at(size: u64, read: impl Fn(u8, u64) -> Option<Hash>) -> Result<Self, ProofError> {
        let mut edge = Vec::new();
        for level in (0..64).rev().filter(|level| size >> level & 1 == 1) {
            edge.push(stored(&read, level, (size >> level) - 1)?);
        }
        Ok(Self { size, edge })
    }

    /// Its bytes: the size, then the hashes, the largest subtree's first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.edge.len());
        out.extend_from_slice(&self.size.to_be_bytes());
        self.edge.iter().for_each(|hash| out.extend_from_slice(hash));
        out
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormError> {
        let mut reader = Reader::new(bytes);
        let frontier = Self::read(&mut reader)?;
        reader.end()?;
        Ok(frontier)
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormError> {
        let size = reader.u64("tree size")?;
        let edge = (0..size.count_ones()).map(|_| reader.array("tree edge")).collect::<Result<_, _>>()?;
        Ok(Self { size, edge })
    }
}

/// The root of the first `size` leaves, from stored nodes.
///
/// # Errors
/// [`ProofError::Missing`] when a node is not stored.
pub fn root_at(size: u64, read: impl Fn(u8, u64) -> Option<Hash>) -> Result<Hash, ProofError> {
    Ok(Frontier::at(size, read)?.root())
}

/// The path of leaf `index` to the root of the first `size` leaves, siblings from the leaf upwards.
///
/// # Errors
/// [`ProofError`] when there is no such leaf, or a node is not stored.
pub fn inclusion_proof(index: u64, size: u64, read: impl Fn(u8, u64) -> Option<Hash>) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { at: index, size });
    }
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(middle, end, &read)?);
            end = middle;
        } else {
            path.push(range(start, middle, &read)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// That the tree of the first `to` leaves extends the one of the first `from`. Empty when `from` is 0 or `to`.
///
/// # Errors
/// [`ProofError`] when `from` is above `to`, or a node is not stored.
pub fn consistency_proof(from: u64, to: u64, read: impl Fn(u8, u64) -> Option<Hash>) -> Result<Vec<Hash>, ProofError> {
    if from > to {
        return Err(ProofError::OutOfRange { at: from, size: to });
    }
    if from == 0 || from == to {
        return Ok(Vec::new());
    }
    // Descend to where the smaller tree ends, at a subtree that belongs whole to it (RFC 9162, SUBPROOF).
    let (mut start, mut end, mut proof) = (0, to, Vec::new());
    while from != end {
        let middle = start + split(end - start);
        if from <= middle {
            proof.push(range(middle, end, &read)?);
            end = middle;
        } else {
            proof.push(range(start, middle, &read)?);
            start = middle;
        }
    }
    if start != 0 {
        proof.push(range(start, end, &read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `path` leads from `leaf`, at `index` of `size`, to `root`.
///
/// # Errors
/// [`ProofError`] when it does not.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { at: index, size });
    }
    let wrong_length = ProofError::Length { hashes: path.len() };
    if path.len() > PROOF_HASHES_MAX {
        return Err(wrong_length);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (_, true) if mutants::is(Mutant::ProofOfAnyLength) => Ok(()),
        (0, false) => Err(ProofError::Mismatch),
        _ => Err(wrong_length),
    }
}

/// Whether `proof` shows that the tree of `to` leaves with root `to_root` extends the one of `from` with `from_root`.
///
/// # Errors
/// [`ProofError`] when it does not.
pub fn verify_consistency(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if from > to {
        return Err(ProofError::OutOfRange { at: from, size: to });
    }
    let wrong_length = ProofError::Length { hashes: proof.len() };
    if proof.len() > PROOF_HASHES_MAX {
        return Err(wrong_length);
    }
    if from == 0 || from == to {
        let equal = if from == to { from_root == to_root } else { *from_root == empty_root() };
        return match (proof.is_empty(), equal) {
            (false, _) => Err(wrong_length),
            (true, false) => Err(ProofError::Mismatch),
            (true, true) => Ok(()),
        };
    }
    let mut hashes = proof.iter();
    let first = if from.is_power_of_two() { *from_root } else { *hashes.next().ok_or(wrong_length)? };
    let shift = (from - 1).trailing_ones();
    let (mut at, mut last) = ((from - 1) >> shift, (to - 1) >> shift);
    let (mut small, mut large) = (first, first);
    for hash in hashes {
        if last == 0 {
            return Err(wrong_length);
        }
        if at & 1 == 1 || at == last {
            (small, large) = (node_hash(hash, &small), node_hash(hash, &large));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            large = node_hash(&large, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    let extends = small == *from_root || mutants::is(Mutant::AnyPastExtended);
    match (last, extends && large == *to_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Mismatch),
        _ => Err(wrong_length),
    }
}

/// The largest power of two below `leaves` (two or more).
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The hash of the subtree over `start..end`, where `start` is aligned as the tree's own splits are.
fn range(start: u64, end: u64, read: &impl Fn(u8, u64) -> Option<Hash>) -> Result<Hash, ProofError> {
    let leaves = end - start;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros() as u8;
        return stored(read, level, start >> level);
    }
    let middle = start + split(leaves);
    Ok(node_hash(&range(start, middle, read)?, &range(middle, end, read)?))
}

fn stored(read: &impl Fn(u8, u64) -> Option<Hash>, level: u8, index: u64) -> Result<Hash, ProofError> {
    read(level, index).ok_or(ProofError::Missing { level, index })
}
