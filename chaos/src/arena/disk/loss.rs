//! What a loss of power leaves of what was not synced.
//!
//! The worst case is that all of it is gone. Real disks are worse than the worst case: they had begun to write. So pages and
//! names can also survive at random, and pages in parts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of pages that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pages {
    /// All are gone.
    #[default]
    Lost,
    /// Each is there or not.
    Some,
    /// Each sector of each page is there or not.
    Torn,
}

/// What becomes of created, renamed and removed names whose directory was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// All changes are undone.
    #[default]
    Lost,
    /// In each directory, the changes up to some point are there, the later ones undone.
    Ordered,
    /// Each change is there or undone.
    Any,
}

/// How power is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Pages.
    pub pages: Pages,
    /// Names.
    pub names: Names,
}

impl Loss {
    /// Nothing survives that was not synced.
    pub const ALL: Self = Self { pages: Pages::Lost, names: Names::Lost };
    /// Pages survive or not, names up to some point.
    pub const SOME: Self = Self { pages: Pages::Some, names: Names::Ordered };
    /// Sectors and names survive or not, in no order.
    pub const TORN: Self = Self { pages: Pages::Torn, names: Names::Any };

    /// By the name that the command line uses.
    ///
    /// # Errors
    /// With the names that there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "all" => Ok(Self::ALL),
            "some" => Ok(Self::SOME),
            "torn" => Ok(Self::TORN),
            _ => Err("all, some or torn".to_owned()),
        }
    }
}

/// What a loss took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Forgotten {
    /// Files with unsynced data.
    pub files: u64,
    /// Bytes in pages that were not synced, whether or not some survived.
    pub bytes: u64,
    /// Changes of names that were not synced.
    pub names: u64,
}

impl Forgotten {
    /// Adds another loss.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.names += other.names;
    }

    /// Whether there was anything to lose.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {} files, {} names", self.bytes, self.files, self.names)
    }
}
