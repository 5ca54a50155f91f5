//! Making names durable: the real directory is brought to what it is to hold.
//!
//! A directory whose own name is not durable has no real one; its synced names are remembered, and made real together with
//! it. Power lost in the middle leaves some names changed and others not, which a sync that has not returned may do.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::directory::Entries;
use super::limits::PAGE_BYTES;
use super::loss::{Forgotten, Loss};
use super::tree::{Inode, Kind, Tree};
use crate::chance::Chance;

impl Tree {
    /// Makes a directory's names durable, once the caller has synced the real directories that are given back.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn sync_directory(&mut self, number: u64) -> io::Result<Vec<Arc<File>>> {
        let before = self.directory(number)?.synced.clone();
        let target = self.directory_mut(number)?.sync();
        let mut touched = Vec::new();
        self.settle(number, target, &mut touched)?;
        before.into_values().for_each(|inode| self.reap(inode));
        Ok(touched)
    }

    /// Makes everything durable, as a clean unmount does.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn sync_all(&mut self) -> io::Result<()> {
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        for number in &numbers {
            if let Some(Kind::File(content)) = self.inodes.get_mut(number).map(|inode| &mut inode.kind)
                && !content.is_synced()
            {
                content.sync()?;
                content.image().sync_data()?;
            }
        }
        for number in numbers {
            if self.directory(number).is_ok_and(|directory| directory.unsynced() > 0) {
                for image in self.sync_directory(number)? {
                    image.sync_all()?;
                }
            }
        }
        Ok(())
    }

    /// Loses power: the image holds afterwards what the next start finds, and this tree is of no more use.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn lose(&mut self, how: Loss, chance: &mut Chance) -> io::Result<Forgotten> {
        let mut forgotten = Forgotten::default();
        for inode in self.inodes.values() {
            match &inode.kind {
                Kind::File(content) => {
                    forgotten.files += u64::from(!content.is_synced());
                    forgotten.bytes += content.unsynced_bytes().min(content.len().next_multiple_of(PAGE_BYTES));
                }
                Kind::Directory(directory) => forgotten.names += directory.unsynced() as u64,
            }
        }
        if how == Loss::ALL {
            return Ok(forgotten);
        }
        let mut directories = Vec::new();
        for (number, inode) in &self.inodes {
            match &inode.kind {
                Kind::File(content) => content.lose(how.pages, chance)?,
                Kind::Directory(directory) => {
                    let target = directory.lose(how.names, chance);
                    directories.push((directory.image.is_some(), *number, target));
                }
            }
        }
        // Those without a real directory first: they become real together with their names.
        directories.sort_by_key(|(real, number, _)| (*real, *number));
        for (_, number, target) in directories {
            self.settle(number, target, &mut Vec::new())?;
        }
        Ok(forgotten)
    }

    /// Brings a real directory from what is durable to `target`.
    fn settle(&mut self, number: u64, target: Entries, touched: &mut Vec<Arc<File>>) -> io::Result<()> {
        let directory = self.directory_mut(number)?;
        let Some(image) = directory.image.clone() else {
            directory.synced = target;
            return Ok(());
        };
        let mut held = std::mem::replace(&mut directory.synced, target.clone());
        let mut aside = Vec::new();
        let gone = difference(&held, &target);
        for (name, of) in gone.into_iter().filter(|(_, of)| self.directory(*of).is_ok()).collect::<Vec<_>>() {
            if target.values().any(|kept| *kept == of) {
                image.set_aside(&name, of)?;
                aside.push(of);
            } else {
                image.remove(&name, true)?;
                self.unmake(of);
            }
            held.remove(&name);
        }
        for of in difference(&held, &target).into_values().filter(|of| !target.values().any(|kept| kept == of)) {
            self.keep_nameless(of, number)?;
        }
        // All links before all renames: a rename may take the last name of a file that is to have another.
        for of in difference(&target, &held).into_values() {
            if let Ok(content) = self.file(of) {
                image.link(content.image(), of)?;
            }
        }
        for (name, of) in difference(&target, &held) {
            let Some(inode) = self.inodes.get_mut(&of) else { continue };
            let mode = inode.mode;
            match &mut inode.kind {
                Kind::File(_) => image.bring_back(of, &name)?,
                Kind::Directory(child) => {
                    if held.contains_key(&name) {
                        image.remove(&name, false)?;
                    }
                    if aside.contains(&of) {
                        image.bring_back(of, &name)?;
                    } else if child.image.is_none() {
                        child.image = Some(image.make(&name, mode)?);
                        let names = std::mem::take(&mut child.synced);
                        self.settle(of, names, touched)?;
                    }
                }
            }
            held.insert(name, of);
        }
        for name in held.keys().filter(|name| !target.contains_key(*name)) {
            image.remove(name, false)?;
        }
        touched.push(image.file().clone());
        Ok(())
    }

    /// A file is about to lose its last real name, and may get one in another directory: a real file that has lost its last
    /// name can have none again, so it goes on as a nameless copy.
    fn keep_nameless(&mut self, number: u64, losing: u64) -> io::Result<()> {
        let mentions = |inode: &Inode| matches!(&inode.kind, Kind::Directory(other) if other.mentions(number));
        if !self.inodes.iter().any(|(other, inode)| *other != losing && mentions(inode)) {
            return Ok(());
        }
        match self.inodes.get_mut(&number) {
            Some(Inode { kind: Kind::File(content), mode, .. }) => content.move_to(self.root.nameless(*mode)?),
            _ => Ok(()),
        }
    }

    /// A directory and all in it have no real ones any more.
    fn unmake(&mut self, number: u64) {
        let Ok(directory) = self.directory_mut(number) else { return };
        directory.image = None;
        let below: Vec<u64> = std::mem::take(&mut directory.synced).into_values().collect();
        below.into_iter().for_each(|below| self.unmake(below));
    }
}

/// What stands in the first and not, or not so, in the second.
fn difference(of: &Entries, from: &Entries) -> Entries {
    let differs = |(name, inode): &(&std::ffi::OsString, &u64)| from.get(*name) != Some(*inode);
    of.iter().filter(differs).map(|(name, inode)| (name.clone(), *inode)).collect()
}
