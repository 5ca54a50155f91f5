//! Which versions of something a program knows: two that meet agree on the newest that both know.

use serde::{Deserialize, Serialize};

/// The format levels that this program reads. A level says which forms may be written: of rows, log entries, messages and
/// objects. A cluster writes the newest that every node on its rosters reads, so a program that knows a newer one can be
/// brought in node by node.
pub const FORMAT_LEVELS: VersionRange = VersionRange { lowest: 1, highest: 1 };

/// All versions from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    /// The oldest that is still known.
    pub lowest: u16,
    /// The newest that is known.
    pub highest: u16,
}

impl VersionRange {
    /// Whether a version lies in it.
    #[must_use]
    pub fn contains(self, version: u16) -> bool {
        (self.lowest..=self.highest).contains(&version)
    }

    /// The newest version that both know; none: they cannot talk.
    #[must_use]
    pub fn newest_common(self, other: Self) -> Option<u16> {
        let newest = self.highest.min(other.highest);
        (self.contains(newest) && other.contains(newest)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::VersionRange;

    #[test]
    fn two_ranges_agree_on_the_newest_version_that_both_know() {
        let range = |lowest, highest| VersionRange { lowest, highest };
        for (ours, theirs, agreed) in [
            (range(1, 1), range(1, 1), Some(1)),
            (range(1, 1), range(1, 2), Some(1)),
            (range(1, 3), range(2, 4), Some(3)),
            (range(1, 1), range(2, 2), None),
            (range(3, 4), range(1, 2), None),
            // An empty range, as only somebody's bytes can say it.
            (range(1, 3), range(3, 2), None),
        ] {
            assert_eq!(ours.newest_common(theirs), agreed, "{ours:?} {theirs:?}");
            assert_eq!(theirs.newest_common(ours), agreed, "{theirs:?} {ours:?}");
        }
    }
}
