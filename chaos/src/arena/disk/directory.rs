//! One directory: the names that a reader sees, those that are durable, and the changes between them, in order.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::image::ImageDirectory;
use super::loss::Names;
use crate::chance::Chance;

/// Names and the inodes they stand for.
pub type Entries = BTreeMap<OsString, u64>;

/// A change that was not synced.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Set(OsString, u64),
    Remove(OsString),
    /// Within this directory: one change, so it is there whole or not at all.
    Rename(OsString, OsString, u64),
}

/// A directory.
#[derive(Debug, Default)]
pub struct Directory {
    /// What a reader sees.
    names: Entries,
    /// What is durable.
    pub synced: Entries,
    /// What happened since.
    changes: Vec<Change>,
    /// The real directory; none while its own name is not durable.
    pub image: Option<ImageDirectory>,
}

impl Directory {
    /// A directory as its image stands.
    #[must_use]
    pub fn found(image: ImageDirectory, names: Entries) -> Self {
        Self { synced: names.clone(), names, changes: Vec::new(), image: Some(image) }
    }

    /// What a reader sees.
    #[must_use]
    pub fn names(&self) -> &Entries {
        &self.names
    }

    /// The inode of a name.
    #[must_use]
    pub fn get(&self, name: &OsStr) -> Option<u64> {
        self.names.get(name).copied()
    }

    /// Changes that were not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.changes.len()
    }

    /// Whether this inode has, had or may have a name here.
    #[must_use]
    pub fn mentions(&self, inode: u64) -> bool {
        let in_change = |change: &Change| match change {
            Change::Set(_, of) | Change::Rename(_, _, of) => *of == inode,
            Change::Remove(_) => false,
        };
        let holds = |entries: &Entries| entries.values().any(|of| *of == inode);
        holds(&self.names) || holds(&self.synced) || self.changes.iter().any(in_change)
    }

    /// Gives a name.
    pub fn set(&mut self, name: &OsStr, inode: u64) {
        self.names.insert(name.to_owned(), inode);
        self.changes.push(Change::Set(name.to_owned(), inode));
    }

    /// Takes a name.
    pub fn remove(&mut self, name: &OsStr) {
        self.names.remove(name);
        self.changes.push(Change::Remove(name.to_owned()));
    }

    /// Gives an inode another name here.
    pub fn rename(&mut self, from: &OsStr, to: &OsStr) {
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.to_owned(), inode);
            self.changes.push(Change::Rename(from.to_owned(), to.to_owned(), inode));
        }
    }

    /// The names are about to be made durable: what they are, and nothing is unsynced any more.
    pub fn sync(&mut self) -> Entries {
        self.changes.clear();
        self.names.clone()
    }

    /// The names that a loss of power leaves.
    #[must_use]
    pub fn lose(&self, how: Names, chance: &mut Chance) -> Entries {
        let mut left = self.synced.clone();
        let upto = match how {
            Names::Lost => 0,
            Names::Ordered => chance.below(self.changes.len() as u64 + 1) as usize,
            Names::Any => self.changes.len(),
        };
        for change in &self.changes[..upto] {
            if how == Names::Any && chance.happens(0.5) {
                continue;
            }
            match change {
                Change::Remove(name) => drop(left.remove(name)),
                Change::Set(name, inode) | Change::Rename(_, name, inode) => {
                    left.retain(|_, of| of != inode);
                    left.insert(name.clone(), *inode);
                }
            }
        }
        left
    }
}
