//! What goes wrong, to whom, when and for how long.
//!
//! ```toml
//! [[faults]]
//! at = "5s"              # after the clients' start
//! for = "10s"            # none: until everything heals at the end
//! every = "20s"          # again and again until the end; targets are drawn anew each time
//! spread = "2s"          # begins later by up to this, drawn
//! kind = "split"
//! target = "any-region"
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::plan::Target;
use crate::units::{Offset, maybe_time, time};

/// One fault of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// When it begins, after the clients began.
    #[serde(with = "time")]
    pub at: Duration,
    /// It begins later by up to this, drawn.
    #[serde(with = "time", skip_serializing_if = "Duration::is_zero")]
    pub spread: Duration,
    /// How long it lasts; none: until everything heals.
    #[serde(rename = "for", with = "maybe_time", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// From one beginning to the next; none: once.
    #[serde(with = "maybe_time", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// What goes wrong.
    #[serde(flatten)]
    pub inject: Inject,
}

/// Which direction of a split is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// What goes to the target is dropped.
    In,
    /// What the target sends is dropped.
    Out,
}

/// What goes wrong. What it does to a process ends with the process being started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Inject {
    /// Nothing passes between the target and the others.
    Split {
        /// A region (its nodes and clients still reach each other), nodes (cut off from all other nodes, their own region's
        /// too; clients still reach them), or clients (cut off from all nodes).
        target: Target,
        /// Only from these regions, nodes or clients.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        from: Vec<Target>,
        /// One way only.
        #[serde(default)]
        way: Way,
        /// Closed for so long, open for as long, and so on.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        flap: Option<Duration>,
    },
    /// How messages between two places travel. What is not named stays as it is.
    Link {
        /// From here (`all`: from everywhere).
        from: Target,
        /// To there (`all`: to everywhere).
        to: Target,
        /// Only in this direction.
        #[serde(default)]
        one_way: bool,
        /// The one-way delay.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        delay: Option<Duration>,
        /// Up to this much more, drawn for each.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        jitter: Option<Duration>,
        /// The share lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loss: Option<f64>,
        /// The share that arrives twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duplicate: Option<f64>,
        /// The share that arrives late, behind what was sent after it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reorder: Option<f64>,
        /// At most how late.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        late: Option<Duration>,
        /// Bytes a second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_s: Option<u64>,
    },
    /// SIGKILL: what was written survives, synced or not.
    Kill {
        /// Whose nodes.
        target: Target,
    },
    /// The power goes: what was not synced is lost, directory entries too.
    PowerLoss {
        /// Whose nodes.
        target: Target,
    },
    /// The process stops in its tracks, then goes on as if nothing had been.
    Pause {
        /// Whose nodes.
        target: Target,
    },
    /// The wall clock is off by this, and right again afterwards.
    Skew {
        /// Whose nodes.
        target: Target,
        /// By how much.
        by: Offset,
    },
    /// The wall clock is set, once, and stays so until everything heals.
    Jump {
        /// Whose nodes.
        target: Target,
        /// By how much.
        by: Offset,
    },
    /// The wall clock runs fast or slow; it keeps what it gained.
    Drift {
        /// Whose nodes.
        target: Target,
        /// Microseconds a second; below zero: slow.
        ppm: i64,
    },
    /// No byte fits on the disk.
    DiskFull {
        /// Whose nodes.
        target: Target,
    },
    /// Writes and syncs take longer.
    DiskSlow {
        /// Whose nodes.
        target: Target,
        /// By how much.
        #[serde(with = "time")]
        by: Duration,
    },
    /// Writes and syncs fail with an input/output error.
    DiskFails {
        /// Whose nodes.
        target: Target,
        /// The share that fails.
        share: f64,
    },
    /// Power loss in the middle of a write: a part of it reached the disk.
    TornWrite {
        /// Whose nodes.
        target: Target,
    },
    /// The disk is gone for good: an operator replaces the node by a new one under its name.
    DiskLost {
        /// Whose nodes.
        target: Target,
    },
    /// The disk comes back as it was when this began: a backup or an image of a machine was put in its place.
    DiskRestored {
        /// Whose nodes.
        target: Target,
    },
    /// A share of the ledger tails that it sends has its records in a wrong order.
    Disorder {
        /// Whose nodes.
        target: Target,
        /// The share.
        share: f64,
    },
    /// The region's leader steps down.
    Elect {
        /// Which region.
        target: Target,
    },
    /// A share of proposals is refused by the region's log, or done without its proposer hearing of it.
    Proposals {
        /// Whose nodes.
        target: Target,
        /// The share.
        share: f64,
    },
    /// A node joins a region.
    Join {
        /// Which region.
        target: Target,
    },
    /// A node is taken off its region's roster.
    Leave {
        /// The node.
        target: Target,
    },
    /// A running node is replaced by a new one under its name.
    Replace {
        /// The node.
        target: Target,
    },
}

impl Inject {
    /// The kind's name, as plans write it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Split { .. } => "split",
            Self::Link { .. } => "link",
            Self::Kill { .. } => "kill",
            Self::PowerLoss { .. } => "power-loss",
            Self::Pause { .. } => "pause",
            Self::Skew { .. } => "skew",
            Self::Jump { .. } => "jump",
            Self::Drift { .. } => "drift",
            Self::DiskFull { .. } => "disk-full",
            Self::DiskSlow { .. } => "disk-slow",
            Self::DiskFails { .. } => "disk-fails",
            Self::TornWrite { .. } => "torn-write",
            Self::DiskLost { .. } => "disk-lost",
            Self::DiskRestored { .. } => "disk-restored",
            Self::Disorder { .. } => "disorder",
            Self::Elect { .. } => "elect",
            Self::Proposals { .. } => "proposals",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Replace { .. } => "replace",
        }
    }

    /// All targets that it names, the one that it meets first.
    #[must_use]
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Self::Split { target, from, .. } => std::iter::once(target).chain(from).collect(),
            Self::Link { from, to, .. } => vec![from, to],
            Self::Kill { target }
            | Self::PowerLoss { target }
            | Self::Pause { target }
            | Self::Skew { target, .. }
            | Self::Jump { target, .. }
            | Self::Drift { target, .. }
            | Self::DiskFull { target }
            | Self::DiskSlow { target, .. }
            | Self::DiskFails { target, .. }
            | Self::TornWrite { target }
            | Self::DiskLost { target }
            | Self::DiskRestored { target }
            | Self::Disorder { target, .. }
            | Self::Elect { target }
            | Self::Proposals { target, .. }
            | Self::Join { target }
            | Self::Leave { target }
            | Self::Replace { target } => vec![target],
        }
    }

    /// All shares that it names; each must lie between 0 and 1.
    pub(crate) fn shares(&self) -> Vec<f64> {
        match self {
            Self::Link { loss, duplicate, reorder, .. } => {
                [*loss, *duplicate, *reorder].into_iter().flatten().collect()
            }
            Self::DiskFails { share, .. } | Self::Proposals { share, .. } | Self::Disorder { share, .. } => {
                vec![*share]
            }
            _ => Vec::new(),
        }
    }
}

/// The times, then what is left as [`Inject`]: `flatten` and `deny_unknown_fields` do not go together.
impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut table = toml::Table::deserialize(deserializer)?;
        let mut take = |name: &str| -> Result<Option<Duration>, D::Error> {
            let Some(value) = table.remove(name) else { return Ok(None) };
            let text = value.as_str().ok_or_else(|| D::Error::custom(format!("`{name}` is a time such as \"5s\"")))?;
            crate::units::parse_time(text).map(Some).map_err(D::Error::custom)
        };
        let at = take("at")?.ok_or_else(|| D::Error::missing_field("at"))?;
        let (spread, lasts, every) = (take("spread")?.unwrap_or_default(), take("for")?, take("every")?);
        let inject = Inject::deserialize(toml::Value::Table(table)).map_err(D::Error::custom)?;
        Ok(Self { at, spread, lasts, every, inject })
    }
}
