//! What an answer shows: values, stamps, a record's place, and what the session knows from then on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trine_crdt::Timestamp;
use trine_protocol::SessionToken;

/// What a done call saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The answer's hybrid time: of an edit its own stamp, of anything else the node's latest.
    #[serde(with = "crate::history::text")]
    pub stamp: Timestamp,
    /// An append's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Placed>,
    /// What a read showed, and an edit showed of the object after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// What the session must not read behind of from now on.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub session: Known,
}

/// Where an append stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// Whose ledger.
    pub region: String,
    /// The record's index.
    pub index: u64,
    /// The record's stamp.
    #[serde(with = "crate::history::text")]
    pub stamp: Timestamp,
    /// The leaf hash.
    #[serde(with = "crate::history::hex")]
    pub leaf: [u8; 32],
    /// Whether the node said that an earlier attempt had done it.
    #[serde(default)]
    pub again: bool,
    /// An inclusion proof, when one was asked for and came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// Why a record is in a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The size of the ledger at its checkpoint.
    pub size: u64,
    /// Its root there.
    #[serde(with = "crate::history::hex")]
    pub root: [u8; 32],
    /// The leaf hash of the header that came with it.
    #[serde(with = "crate::history::hex")]
    pub leaf: [u8; 32],
    /// The hashes from the leaf upwards.
    #[serde(with = "crate::history::hex::list")]
    pub path: Vec<[u8; 32]>,
}

/// What a read showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Nothing is there.
    Nothing,
    /// Records of a key, oldest first. More than the page holds are not asked for.
    Records {
        /// The records.
        records: Vec<Version>,
        /// Whether there were more.
        more: bool,
    },
    /// An object: one view a kind.
    Object(Vec<View>),
}

/// One record as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Whose ledger.
    pub region: String,
    /// Its index there.
    pub index: u64,
    /// Its stamp.
    #[serde(with = "crate::history::text")]
    pub stamp: Timestamp,
    /// Its value.
    pub value: String,
}

/// What an object looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// A counter's total.
    Counter(i64),
    /// A register's value.
    Register(String),
    /// A multi-value register's values.
    MultiValue(BTreeSet<String>),
    /// A set's elements.
    Set(BTreeSet<String>),
    /// A map's names and what stands under each.
    Map(BTreeMap<String, Vec<View>>),
}

/// What a session knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Known {
    /// Records, by region: how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ledgers: BTreeMap<String, u64>,
    /// Object writes: partition and writer, and the writer's last number there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, u64>,
}

impl Known {
    /// Whether it knows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ledgers.is_empty() && self.positions.is_empty()
    }

    /// Whether it knows all that another does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |mine: &BTreeMap<String, u64>, theirs: &BTreeMap<String, u64>| {
            theirs.iter().all(|(at, upto)| mine.get(at).is_some_and(|known| known >= upto))
        };
        covers(&self.ledgers, &other.ledgers) && covers(&self.positions, &other.positions)
    }
}

impl From<&SessionToken> for Known {
    fn from(token: &SessionToken) -> Self {
        let at = |at: &trine_protocol::session::Position| (format!("{} {}", at.partition, at.writer), at.seq);
        Self {
            ledgers: token.ledgers.iter().map(|(region, size)| (region.to_string(), *size)).collect(),
            positions: token.positions.iter().map(at).collect(),
        }
    }
}

impl From<&trine_protocol::View> for View {
    fn from(view: &trine_protocol::View) -> Self {
        use trine_protocol::View as Told;
        match view {
            Told::Counter(total) => Self::Counter(*total),
            Told::Register(value) => Self::Register(text(value)),
            Told::MultiValue(values) => Self::MultiValue(values.iter().map(|value| text(value)).collect()),
            Told::Set(elements) => Self::Set(elements.iter().map(|element| text(element)).collect()),
            Told::Map(fields) => {
                let views = |views: &Vec<Told>| views.iter().map(Self::from).collect();
                Self::Map(fields.iter().map(|(name, field)| (name.clone(), views(field))).collect())
            }
        }
    }
}

impl From<&trine_crdt::View> for View {
    fn from(view: &trine_crdt::View) -> Self {
        use trine_crdt::View as Held;
        match view {
            Held::Counter(total) => Self::Counter(*total),
            Held::Register(value) => Self::Register(text(value)),
            Held::MultiValue(values) => Self::MultiValue(values.iter().map(|value| text(value)).collect()),
            Held::Set(elements) => Self::Set(elements.iter().map(|element| text(element)).collect()),
            Held::Map(fields) => {
                let views = |views: &Vec<Held>| views.iter().map(Self::from).collect();
                Self::Map(fields.iter().map(|(name, field)| (name.clone(), views(field))).collect())
            }
        }
    }
}

/// Bytes as the text that workloads write.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
