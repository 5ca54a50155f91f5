//! A digest of many objects that is cheap to keep: their hashes' sum.
//!
//! Two nodes compare a partition, or a whole namespace, by 32 bytes. The digest must not depend on the order in which
//! objects came, and a change of one object must not cost a walk over all. So it is the sum modulo 2^256 of
//! BLAKE3(key length ‖ key ‖ object digest): take the old term off, add the new one. The key's length is 8 bytes,
//! big-endian. It finds accidents, not adversaries: somebody who may write can with effort make sums collide.

use std::fmt;

/// The sum over a set of objects, big-endian. Zero for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SumDigest(pub [u8; 32]);

impl SumDigest {
    /// Adds an object: its key and [`crate::Object::digest`].
    pub fn add(&mut self, key: &[u8], object: &[u8; 32]) {
        self.0 = sum(self.0, term(key, object));
    }

    /// Takes off an object that was added.
    pub fn sub(&mut self, key: &[u8], object: &[u8; 32]) {
        self.0 = sum(self.0, negated(term(key, object)));
    }

    /// Adds all that another sum holds, such as a partition's to a namespace's.
    pub fn add_sum(&mut self, other: &Self) {
        self.0 = sum(self.0, other.0);
    }

    /// Takes off all that another sum holds.
    pub fn sub_sum(&mut self, other: &Self) {
        self.0 = sum(self.0, negated(other.0));
    }
}

impl fmt::Display for SumDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SumDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn term(key: &[u8], object: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(object);
    *hasher.finalize().as_bytes()
}

fn sum(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut carry = 0u16;
    for place in (0..32).rev() {
        carry += u16::from(a[place]) + u16::from(b[place]);
        out[place] = carry as u8;
        carry >>= 8;
    }
    out
}

/// What added to `a` gives zero: two's complement.
fn negated(a: [u8; 32]) -> [u8; 32] {
    let mut one = [0; 32];
    one[31] = 1;
    sum(a.map(|byte| !byte), one)
}
