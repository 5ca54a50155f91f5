//! How fresh a read is, and what a write survives.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RequestError;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Whatever the node holds.
    Eventual,
    /// Not older than what the session token names.
    #[default]
    Session,
    /// Not older than this.
    Bounded(Duration),
    /// Linearizable within the region.
    Regional,
    /// Linearizable everywhere.
    Global,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A crash of the node that took it.
    Local,
    /// The loss of a minority of the region's nodes.
    #[default]
    Region,
    /// The loss of all but one of this many regions.
    Regions(u16),
    /// Every region has it.
    All,
}

impl FromStr for Consistency {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || RequestError::Invalid {
            what: format!("`{text}` is no consistency: use eventual, session, bounded=500ms, regional or global"),
        };
        match text {
            "eventual" => Ok(Self::Eventual),
            "session" => Ok(Self::Session),
            "regional" => Ok(Self::Regional),
            "global" => Ok(Self::Global),
            _ => {
                let bound = text.strip_prefix("bounded=").ok_or_else(wrong)?;
                parse_duration(bound).map(Self::Bounded).ok_or_else(wrong)
            }
        }
    }
}

/// Reads `500ms`, `5s`, `2m`.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eventual => f.write_str("eventual"),
            Self::Session => f.write_str("session"),
            Self::Bounded(bound) => write!(f, "bounded={}ms", bound.as_millis()),
            Self::Regional => f.write_str("regional"),
            Self::Global => f.write_str("global"),
        }
    }
}

impl FromStr for Durability {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || RequestError::Invalid {
            what: format!("`{text}` is no durability: use local, region, regions=2 or all"),
        };
        match text {
            "local" => Ok(Self::Local),
            "region" => Ok(Self::Region),
            "all" => Ok(Self::All),
            _ => text.strip_prefix("regions=").and_then(|n| n.parse().ok()).map(Self::Regions).ok_or_else(wrong),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Region => f.write_str("region"),
            Self::Regions(count) => write!(f, "regions={count}"),
            Self::All => f.write_str("all"),
        }
    }
}
