//! The hash tree against the RFC's own recursion.

use std::collections::BTreeMap;

use trine_ledger::tree::{
    consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root_at, verify_consistency, verify_inclusion,
};
use trine_ledger::{Frontier, Hash, ProofError};

/// RFC 9162, 2.1.1, word for word, remembering what it has computed.
#[derive(Default)]
struct Naive {
    leaves: Vec<Hash>,
    known: BTreeMap<(usize, usize), Hash>,
}

impl Naive {
    fn new(size: u64) -> Self {
        let leaves = (0..size).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
        Self { leaves, known: BTreeMap::new() }
    }

    fn root(&mut self, start: usize, end: usize) -> Hash {
        match end - start {
            0 => empty_root(),
            1 => self.leaves[start],
            n => {
                if let Some(hash) = self.known.get(&(start, end)) {
                    return *hash;
                }
                let k = Self::k(n);
                let hash = node_hash(&self.root(start, start + k), &self.root(start + k, end));
                self.known.insert((start, end), hash);
                hash
            }
        }
    }

    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    fn path(&mut self, m: usize, start: usize, end: usize) -> Vec<Hash> {
        let n = end - start;
        if n == 1 {
            return Vec::new();
        }
        let k = Self::k(n);
        let (mut path, sibling) = if m < k {
            (self.path(m, start, start + k), self.root(start + k, end))
        } else {
            (self.path(m - k, start + k, end), self.root(start, start + k))
        };
        path.push(sibling);
        path
    }

    fn subproof(&mut self, m: usize, start: usize, end: usize, known: bool) -> Vec<Hash> {
        let n = end - start;
        if m == n {
            return if known { Vec::new() } else { vec![self.root(start, end)] };
        }
        let k = Self::k(n);
        let (mut proof, sibling) = if m <= k {
            (self.subproof(m, start, start + k, known), self.root(start + k, end))
        } else {
            (self.subproof(m - k, start + k, end, false), self.root(start, start + k))
        };
        proof.push(sibling);
        proof
    }
}

/// A tree of `size` leaves as it is kept: the frontier and the nodes that it emitted.
fn grown(size: u64) -> (Frontier, BTreeMap<(u8, u64), Hash>) {
    let (mut frontier, mut nodes) = (Frontier::default(), BTreeMap::new());
    for leaf in 0..size {
        frontier.push(leaf_hash(&leaf.to_be_bytes()), |node| {
            assert!(nodes.insert((node.level, node.index), node.hash).is_none(), "a node is complete once");
        });
    }
    (frontier, nodes)
}

fn reader(nodes: &BTreeMap<(u8, u64), Hash>) -> impl Fn(u8, u64) -> Option<Hash> {
    |level, index| nodes.get(&(level, index)).copied()
}

#[test]
fn the_published_vectors_hold() {
    let leaves: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(super::fixture::hex(&frontier.root()).trim(), roots[0]);
    for (leaf, root) in leaves.into_iter().zip(&roots[1..]) {
        frontier.push(leaf_hash(leaf), |_| {});
        assert_eq!(super::fixture::hex(&frontier.root()).trim(), *root);
    }
}

#[test]
fn every_inclusion_proof_up_to_513_leaves_is_the_rfcs() {
    let (mut naive, nodes) = (Naive::new(513), grown(513).1);
    let mut frontier = Frontier::default();
    for size in 1..=513_u64 {
        frontier.push(leaf_hash(&(size - 1).to_be_bytes()), |_| {});
        let root = naive.root(0, size as usize);
        assert_eq!(frontier.root(), root);
        assert_eq!(root_at(size, reader(&nodes)), Ok(root));
        assert_eq!(Frontier::at(size, reader(&nodes)).as_ref(), Ok(&frontier));
        for index in 0..size {
            let path = inclusion_proof(index, size, reader(&nodes)).expect("the leaf is there");
            assert_eq!(path, naive.path(index as usize, 0, size as usize));
            assert_eq!(verify_inclusion(&naive.leaves[index as usize], index, size, &path, &root), Ok(()));
        }
    }
}

#[test]
fn every_consistency_proof_up_to_257_leaves_is_the_rfcs() {
    let (mut naive, nodes) = (Naive::new(257), grown(257).1);
    for to in 0..=257_u64 {
        let to_root = naive.root(0, to as usize);
        for from in 0..=to {
            let from_root = naive.root(0, from as usize);
            let proof = consistency_proof(from, to, reader(&nodes)).expect("the trees are there");
            if from > 0 && from < to {
                assert_eq!(proof, naive.subproof(from as usize, 0, to as usize, true));
            } else {
                assert_eq!(proof, Vec::<Hash>::new());
            }
            assert_eq!(verify_consistency(from, to, &from_root, &to_root, &proof), Ok(()), "{from} to {to}");
        }
    }
}

#[test]
fn no_changed_inclusion_proof_is_accepted() {
    let (mut naive, nodes) = (Naive::new(40), grown(40).1);
    for size in 1..=40_u64 {
        let root = naive.root(0, size as usize);
        for index in 0..size {
            let leaf = naive.leaves[index as usize];
            let path = inclusion_proof(index, size, reader(&nodes)).expect("the leaf is there");
            let refused = |leaf: &Hash, index, size, path: &[Hash], root: &Hash| {
                assert!(verify_inclusion(leaf, index, size, path, root).is_err(), "leaf {index} of {size}");
            };
            for (at, byte) in (0..path.len()).flat_map(|at| (0..32).map(move |byte| (at, byte))) {
                let mut changed = path.clone();
                changed[at][byte] ^= 1 << (byte % 8);
                refused(&leaf, index, size, &changed, &root);
            }
            for other in (0..size + 2).filter(|other| *other != index) {
                refused(&leaf, other, size, &path, &root);
            }
            // A size is bound to its root: by the checkpoint that signs both.
            for other in (0..=40).filter(|other| *other != size) {
                refused(&leaf, index, other, &path, &naive.root(0, other as usize));
            }
            refused(&leaf, index, size, &[path.as_slice(), &[root]].concat(), &root);
            if let Some((_, shorter)) = path.split_last() {
                refused(&leaf, index, size, shorter, &root);
                refused(&leaf, index, size, &path[1..], &root);
            }
        }
    }
}

#[test]
fn no_changed_consistency_proof_is_accepted() {
    let (mut naive, nodes) = (Naive::new(24), grown(24).1);
    for (from, to) in (1..=24_u64).flat_map(|to| (1..to).map(move |from| (from, to))) {
        let (from_root, to_root) = (naive.root(0, from as usize), naive.root(0, to as usize));
        let proof = consistency_proof(from, to, reader(&nodes)).expect("the trees are there");
        let refused = |from, to, from_root: &Hash, to_root: &Hash, proof: &[Hash]| {
            assert!(verify_consistency(from, to, from_root, to_root, proof).is_err(), "{from} to {to}");
        };
        for (at, byte) in (0..proof.len()).flat_map(|at| (0..32).map(move |byte| (at, byte))) {
            let mut changed = proof.clone();
            changed[at][byte] ^= 1 << (byte % 8);
            refused(from, to, &from_root, &to_root, &changed);
        }
        for byte in 0..32 {
            let (mut small, mut large) = (from_root, to_root);
            small[byte] ^= 1;
            large[byte] ^= 1;
            refused(from, to, &small, &to_root, &proof);
            refused(from, to, &from_root, &large, &proof);
        }
        for other in (1..=24).filter(|other| *other != to && *other >= from) {
            refused(from, other, &from_root, &naive.root(0, other as usize), &proof);
        }
        for other in (1..=to).filter(|other| *other != from) {
            refused(other, to, &naive.root(0, other as usize), &to_root, &proof);
        }
        refused(from, to, &from_root, &to_root, &[proof.as_slice(), &[to_root]].concat());
        refused(from, to, &from_root, &to_root, &proof[1..]);
        refused(from, to, &from_root, &to_root, &proof[..proof.len() - 1]);
    }
}

/// The tree does not double an odd leaf, and a node never passes for a leaf.
#[test]
fn known_ways_to_forge_a_tree_fail() {
    let (leaf_a, leaf_b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let root_of = |leaves: &[Hash]| {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf, |_| {}));
        frontier.root()
    };
    let three = [leaf_a, leaf_b, leaf_hash(b"c")];
    let doubled = [three[0], three[1], three[2], three[2]];
    assert_ne!(root_of(&three), root_of(&doubled));
    let node_as_leaf = leaf_hash(&[leaf_a, leaf_b].concat());
    assert_ne!(node_as_leaf, node_hash(&leaf_a, &leaf_b));
}

#[test]
fn proofs_that_cannot_be_are_not_made() {
    let (_, nodes) = grown(8);
    assert_eq!(inclusion_proof(8, 8, reader(&nodes)), Err(ProofError::OutOfRange { at: 8, size: 8 }));
    assert_eq!(inclusion_proof(0, 0, reader(&nodes)), Err(ProofError::OutOfRange { at: 0, size: 0 }));
    assert_eq!(consistency_proof(9, 8, reader(&nodes)), Err(ProofError::OutOfRange { at: 9, size: 8 }));
    assert_eq!(inclusion_proof(0, 9, reader(&nodes)), Err(ProofError::Missing { level: 0, index: 8 }));
}

#[test]
fn a_frontier_goes_through_its_bytes() {
    for size in 0..70 {
        let (frontier, _) = grown(size);
        let bytes = frontier.to_bytes();
        assert_eq!(Frontier::from_bytes(&bytes.clone().into()).as_ref(), Ok(&frontier));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Frontier::from_bytes(&longer.into()).is_err());
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1].to_vec().into()).is_err());
    }
}
