//! Choosing nodes for a thing by rendezvous hashing: everybody picks the same ones, and few change when nodes do.
//!
//! Each node draws a number for the thing by hashing both, and the lowest win. A node that leaves loses only what
//! it held; a node that comes takes only its share, and nothing moves between others. With weights the draw is an
//! exponential variate, `-ln(u) / weight`, whose least is at a node with a probability in proportion to its weight
//! (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
//!
//! All nodes must agree to the bit, and the logarithm of floating point differs between machines. So the logarithm
//! here is of whole numbers, and draws are compared by cross-multiplication.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use trine_crdt::{NodeId, PartitionId, RegionId};

/// A node that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub node: NodeId,
    /// Its share next to the others'; 0 is never chosen.
    pub weight: u32,
    /// The part of its region that fails together with it, where known.
    pub zone: Option<String>,
}

impl Candidate {
    /// A node like any other.
    #[must_use]
    pub fn plain(node: NodeId) -> Self {
        Self { node, weight: 1, zone: None }
    }
}

/// All nodes of weight above 0, best first, for the thing that these bytes name.
#[must_use]
pub fn ranking<'a>(thing: &[u8], nodes: &'a [Candidate]) -> Vec<&'a Candidate> {
    let mut drawn: Vec<(Draw, &Candidate)> = nodes
        .iter()
        .filter(|candidate| candidate.weight > 0)
        .map(|candidate| (Draw::of(thing, candidate), candidate))
        .collect();
    drawn.sort_by(|(a, _), (b, _)| a.cmp(b));
    drawn.dedup_by_key(|(_, candidate)| candidate.node);
    drawn.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The nodes that hold a thing, best first: at most `copies`, in as many zones as there are. A node without a zone is
/// one of its own.
#[must_use]
pub fn choose(thing: &[u8], nodes: &[Candidate], copies: usize) -> Vec<NodeId> {
    let mut zones = BTreeSet::new();
    let (first, rest): (Vec<&Candidate>, Vec<&Candidate>) = ranking(thing, nodes)
        .into_iter()
        .partition(|candidate| candidate.zone.as_deref().is_none_or(|zone| zones.insert(zone)));
    first.into_iter().chain(rest).take(copies).map(|candidate| candidate.node).collect()
}

/// The nodes that hold a partition, best first.
#[must_use]
pub fn holders(partition: &PartitionId, nodes: &[Candidate], copies: usize) -> Vec<NodeId> {
    choose(&partition_name(partition), nodes, copies)
}

/// Which of a region's nodes takes a partition's deltas from outside and hands them on within. Given the nodes that
/// can be reached; none when none can.
#[must_use]
pub fn entry_holder(partition: &PartitionId, reachable: &[NodeId]) -> Option<NodeId> {
    let mut name = partition_name(partition);
    name.extend_from_slice(b"entry");
    first(&name, reachable)
}

/// The nodes of a region that mirror another region's ledger, best first.
#[must_use]
pub fn mirror_holders(ledger: &RegionId, nodes: &[Candidate], copies: usize) -> Vec<NodeId> {
    choose(&ledger_name(ledger), nodes, copies)
}

/// Which of a ledger's nodes a mirror follows, so that mirrors spread over them. Given those that can be reached.
#[must_use]
pub fn mirror_source(ledger: &RegionId, mirror: NodeId, reachable: &[NodeId]) -> Option<NodeId> {
    let mut name = ledger_name(ledger);
    name.extend_from_slice(&mirror.0.to_be_bytes());
    first(&name, reachable)
}

fn first(thing: &[u8], nodes: &[NodeId]) -> Option<NodeId> {
    let nodes: Vec<Candidate> = nodes.iter().copied().map(Candidate::plain).collect();
    ranking(thing, &nodes).first().map(|candidate| candidate.node)
}

fn partition_name(partition: &PartitionId) -> Vec<u8> {
    let mut name = b"partition\0".to_vec();
    partition.write_key(&mut name);
    name
}

fn ledger_name(ledger: &RegionId) -> Vec<u8> {
    let mut name = b"ledger\0".to_vec();
    name.extend_from_slice(ledger.as_str().as_bytes());
    name.push(0);
    name
}

/// What a node drew: lower is better.
#[derive(Debug, PartialEq, Eq)]
struct Draw {
    /// `-log2(u)` of a uniform u in (0, 1], in 2^-48ths.
    exponent: u64,
    weight: u32,
    node: NodeId,
}

impl Draw {
    fn of(thing: &[u8], candidate: &Candidate) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&candidate.node.0.to_be_bytes());
        hasher.update(thing);
        let uniform = u64::from_be_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"));
        Self { exponent: minus_log2(uniform), weight: candidate.weight, node: candidate.node }
    }
}

impl Ord for Draw {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = u128::from(self.exponent) * u128::from(other.weight);
        let others = u128::from(other.exponent) * u128::from(self.weight);
        own.cmp(&others).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Draw {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `-log2((x + 1) / 2^64)` in 2^-48ths, rounded up: the leading bit gives the whole part, and squaring the rest
/// yields a binary digit of the fraction each time it passes 2.
fn minus_log2(x: u64) -> u64 {
    const FRACTION_BITS: u32 = 48;
    let Some(x) = x.checked_add(1) else { return 0 };
    let whole = u64::from(63 - x.leading_zeros());
    let mut rest = u128::from(x) << x.leading_zeros();
    let mut fraction = 0_u64;
    for _ in 0..FRACTION_BITS {
        rest = (rest * rest) >> 63;
        fraction <<= 1;
        if rest >> 64 != 0 {
            fraction |= 1;
            rest >>= 1;
        }
    }
    (64 << FRACTION_BITS) - ((whole << FRACTION_BITS) | fraction)
}

#[cfg(test)]
mod tests {
    use super::minus_log2;

    /// The logarithm agrees with that of floating point as far as the latter goes, and never rises.
    #[test]
    fn the_logarithm_of_whole_numbers_is_one() {
        let mut before = u64::MAX;
        for shift in (0..64).rev() {
            for offset in [0, 1, 12_345] {
                let x = (u64::MAX >> shift).saturating_sub(offset);
                let expected = 64.0 - (x as f64 + 1.0).log2();
                let got = minus_log2(x) as f64 / 2_f64.powi(48);
                assert!((got - expected).abs() < 1e-9, "-log2 of {x}: {got}, not {expected}");
            }
            let now = minus_log2(u64::MAX >> shift);
            assert!(now < before);
            before = now;
        }
        assert_eq!(minus_log2(u64::MAX), 0);
        assert_eq!(minus_log2(0), 64 << 48);
    }
}
