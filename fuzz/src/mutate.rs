//! Mutations from a seed: what a file goes through that is cut, torn, crossed with another or has a bit flipped.
//!
//! No coverage guides them, so they are simple and many; the same seed gives the same inputs on every machine.

/// A stream of numbers that a seed decides (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.bits() % end as u64) as usize }
    }
}

/// Lengths and counts that tend to break things, big-endian as most of ours are.
const EXTREMES: [u64; 8] = [0, 1, 0x7f, 0xff, u32::MAX as u64, 1 << 62, 1 << 63, u64::MAX];

/// One to four changes of `input`, with `other` to splice from; at most `bytes_max` long.
#[must_use]
pub fn mutate(chance: &mut Chance, input: &[u8], other: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=chance.below(4) {
        once(chance, &mut bytes, other);
    }
    bytes.truncate(bytes_max);
    bytes
}

fn once(chance: &mut Chance, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = chance.below(bytes.len());
    match chance.below(9) {
        _ if bytes.is_empty() => bytes.extend_from_slice(other),
        0 | 1 => bytes[at] ^= 1 << chance.below(8),
        2 => bytes[at] = chance.bits() as u8,
        3 => bytes.truncate(at),
        4 => {
            let end = at + chance.below(bytes.len() - at + 1).min(32);
            bytes.drain(at..end);
        }
        5 => {
            let end = at + chance.below(bytes.len() - at + 1).min(64);
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        6 => {
            let from = chance.below(other.len());
            let end = from + chance.below(other.len() - from + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..end]);
        }
        7 => {
            let extreme = EXTREMES[chance.below(EXTREMES.len())].to_be_bytes();
            let width = [1, 2, 4, 8][chance.below(4)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&extreme[8 - width..]);
        }
        _ => {
            let byte = [0, b'\n', b'/', b'.', 0x80, 0xff][chance.below(6)];
            bytes.insert(at, byte);
        }
    }
}
