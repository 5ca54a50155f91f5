//! The names of regions, nodes, writers, namespaces and partitions.
//!
//! None of them is ever reused: a node that lost its disk comes back as another `NodeId`, a restarted node
//! writes as another `WriterId`, and a namespace is named by where it was created, not by its label.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::REGION_NAME_BYTES_MAX;

/// What is wrong with the text of an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A region name is empty, too long, or has a character other than `a-z`, `0-9` and `-`.
    #[error("`{0}` is no region name: use 1 to 63 of a-z, 0-9 and -")]
    Region(String),
    /// A node id is not 16 hexadecimal digits.
    #[error("`{0}` is no node id: use 16 hexadecimal digits")]
    Node(String),
    /// A writer id is not 32 hexadecimal digits.
    #[error("`{0}` is no writer id: use 32 hexadecimal digits")]
    Writer(String),
    /// A namespace id is not `REGION/INDEX`.
    #[error("`{0}` is no namespace id: use REGION/INDEX, such as us-east-1/17")]
    Namespace(String),
}

/// The name of a region, such as `us-east-1`. `_` is reserved for what the genesis created.
///
/// There are few of them and they are told all the time, so that a copy shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(Arc<str>);

impl RegionId {
    /// The creator of the namespaces that exist from the start.
    #[must_use]
    pub fn genesis() -> Self {
        Self("_".into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegionId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=REGION_NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits || text == "_" { Ok(Self(text.into())) } else { Err(IdentityError::Region(text.to_owned())) }
    }
}

impl TryFrom<String> for RegionId {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&str> for RegionId {
    type Error = IdentityError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RegionId> for String {
    fn from(region: RegionId) -> Self {
        region.0.as_ref().to_owned()
    }
}

impl Serialize for RegionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RegionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = RegionId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RegionId, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's disk: eight random bytes drawn when its data directory was empty. Also its Raft id.
/// A wiped node gets another, so that it never votes under its old identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IdentityError::Node(text.to_owned());
        if text.len() != 16 {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

/// A writer: one incarnation of a node, 16 random bytes drawn by the driver at each start. It mints no dot
/// before its registration is committed in its region's ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct WriterId(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for WriterId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IdentityError::Writer(text.to_owned());
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// A namespace: the region whose ledger created it and the Raft log index of the creating entry there.
/// Written `us-east-1/17`; those of the genesis are `_/0` (`default`) and `_/1` (`objects`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceId {
    /// The creating region.
    pub region: RegionId,
    /// The index of the creating entry in that region's log.
    pub index: u64,
}

impl NamespaceId {
    /// `default`, a ledger namespace that exists from the start.
    #[must_use]
    pub fn default_ledger() -> Self {
        Self { region: RegionId::genesis(), index: 0 }
    }

    /// `objects`, an objects namespace that exists from the start.
    #[must_use]
    pub fn default_objects() -> Self {
        Self { region: RegionId::genesis(), index: 1 }
    }

    /// The id as bytes that sort as `Ord` does and are no prefix of another's: name, NUL, big-endian index.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.region.as_str().as_bytes());
        out.push(0);
        out.extend_from_slice(&self.index.to_be_bytes());
    }

    /// Reads what [`Self::write_key`] wrote and returns the rest.
    #[must_use]
    pub fn read_key(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let region = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
        let (index, rest) = bytes[end + 1..].split_first_chunk::<8>()?;
        Some((Self { region, index: u64::from_be_bytes(*index) }, rest))
    }
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.index)
    }
}

impl fmt::Debug for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for NamespaceId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IdentityError::Namespace(text.to_owned());
        let (region, index) = text.split_once('/').ok_or_else(wrong)?;
        if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self { region: region.parse().map_err(|_| wrong())?, index: index.parse().map_err(|_| wrong())? })
    }
}

impl TryFrom<String> for NamespaceId {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NamespaceId> for String {
    fn from(namespace: NamespaceId) -> Self {
        namespace.to_string()
    }
}

/// A partition of an objects namespace: the unit of delivery. The slot is the top bits of BLAKE3(key).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId {
    /// The namespace; a partition belongs to one.
    pub namespace: NamespaceId,
    /// The slot, below the namespace's slot count (a power of two, 256 by default).
    pub slot: u32,
}

impl PartitionId {
    /// The partition of `key` in a namespace of `slots` slots (a power of two).
    #[must_use]
    pub fn of_key(namespace: NamespaceId, key: &[u8], slots: u32) -> Self {
        debug_assert!(slots.is_power_of_two());
        let hash = blake3::hash(key);
        let top = u32::from_be_bytes(*hash.as_bytes().first_chunk::<4>().expect("a hash has 32 bytes"));
        let slot = if slots <= 1 { 0 } else { top >> (32 - slots.trailing_zeros()) };
        Self { namespace, slot }
    }

    /// The id as bytes that sort as `Ord` does and are no prefix of another's.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        self.namespace.write_key(out);
        out.extend_from_slice(&self.slot.to_be_bytes());
    }

    /// Reads what [`Self::write_key`] wrote and returns the rest.
    #[must_use]
    pub fn read_key(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (namespace, rest) = NamespaceId::read_key(bytes)?;
        let (slot, rest) = rest.split_first_chunk::<4>()?;
        Some((Self { namespace, slot: u32::from_be_bytes(*slot) }, rest))
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.namespace, self.slot)
    }
}
