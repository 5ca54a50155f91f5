//! One file: what is durable of it stands in a file of the real disk, what is not stands here, in pages.
//!
//! ```text
//!   image    ████████████████████░░░░      the real file; only `sync` writes it (and a loss that leaves something)
//!   seen     ─────────────▶│                bytes of the image that a cut of the file's length has left visible
//!   pages        ▓▓    ▓▓     ▓▓▓           whole pages, each laid over the image
//!   len      ───────────────────────▶│      what a reader sees as the length
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::limits::{PAGE_BYTES, SECTOR_BYTES};
use super::loss::Pages;
use crate::chance::Chance;

/// A page that was not synced.
#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    /// A sync of it failed: it is shown, and never written again unless it is changed, as systems do.
    abandoned: bool,
}

/// A file's content.
#[derive(Debug)]
pub struct Content {
    image: Arc<File>,
    image_len: u64,
    seen: u64,
    len: u64,
    pages: BTreeMap<u64, Page>,
}

impl Content {
    /// A file as its image stands.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn new(image: File) -> io::Result<Self> {
        let len = image.metadata()?.len();
        Ok(Self { image: Arc::new(image), image_len: len, seen: len, len, pages: BTreeMap::new() })
    }

    /// The real file.
    #[must_use]
    pub fn image(&self) -> &Arc<File> {
        &self.image
    }

    /// Goes on with another real file, which becomes equal to this one's.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn move_to(&mut self, image: File) -> io::Result<()> {
        let mut offset = 0;
        let mut bytes = vec![0; PAGE_BYTES as usize * 16];
        loop {
            let length = self.image.read_at(&mut bytes, offset)?;
            if length == 0 {
                break;
            }
            image.write_all_at(&bytes[..length], offset)?;
            offset += length as u64;
        }
        self.image = Arc::new(image);
        Ok(())
    }

    /// The length that a reader sees.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether a reader sees nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes in pages that were not synced.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE_BYTES
    }

    /// Whether everything is synced.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.pages.is_empty() && self.seen == self.image_len && self.len == self.image_len
    }

    /// What a reader sees.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(size).min(self.len).max(offset);
        let size = usize::try_from(end - offset).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        let visible = usize::try_from(self.seen.min(end).saturating_sub(offset)).map_err(io::Error::other)?;
        if visible > 0 {
            self.image.read_exact_at(&mut bytes[..visible], offset)?;
        }
        for (number, page) in self.pages.range(offset / PAGE_BYTES..=end / PAGE_BYTES) {
            let start = number * PAGE_BYTES;
            let (from, to) = (start.max(offset), (start + PAGE_BYTES).min(end));
            if from < to {
                bytes[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&page.bytes[(from - start) as usize..(to - start) as usize]);
            }
        }
        Ok(bytes)
    }

    /// Changes what a reader sees; nothing of it is durable.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        let mut at = offset;
        while at < end {
            let number = at / PAGE_BYTES;
            let start = number * PAGE_BYTES;
            let to = (start + PAGE_BYTES).min(end);
            let page = self.page(number, at == start && to == start + PAGE_BYTES)?;
            page.bytes[(at - start) as usize..(to - start) as usize]
                .copy_from_slice(&data[(at - offset) as usize..(to - offset) as usize]);
            at = to;
        }
        self.len = self.len.max(end);
        Ok(())
    }

    /// Whether a page is there already.
    #[must_use]
    pub fn has_page(&self, number: u64) -> bool {
        self.pages.contains_key(&number)
    }

    fn page(&mut self, number: u64, whole: bool) -> io::Result<&mut Page> {
        if !self.pages.contains_key(&number) {
            let mut bytes = if whole { Vec::new() } else { self.read(number * PAGE_BYTES, PAGE_BYTES)? };
            bytes.resize(PAGE_BYTES as usize, 0);
            self.pages.insert(number, Page { bytes: bytes.into(), abandoned: false });
        }
        let page = self.pages.get_mut(&number).expect("it was just put there");
        page.abandoned = false;
        Ok(page)
    }

    /// Cuts or lengthens what a reader sees.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.seen = self.seen.min(len);
            self.pages.split_off(&len.div_ceil(PAGE_BYTES));
            if let Some(page) = self.pages.get_mut(&(len / PAGE_BYTES)) {
                page.bytes[(len % PAGE_BYTES) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Brings the image up to what a reader sees. It is durable when the caller has synced the image.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.seen < self.image_len {
            self.image.set_len(self.seen)?;
            self.image_len = self.seen;
        }
        let mut run: Vec<u8> = Vec::new();
        let mut start = 0;
        for (number, page) in self.pages.iter().filter(|(_, page)| !page.abandoned) {
            let offset = number * PAGE_BYTES;
            if start + run.len() as u64 != offset {
                self.image.write_all_at(&run, start)?;
                run.clear();
                start = offset;
            }
            let visible = self.len.saturating_sub(offset).min(PAGE_BYTES);
            run.extend_from_slice(&page.bytes[..visible as usize]);
        }
        self.image.write_all_at(&run, start)?;
        self.image.set_len(self.len)?;
        self.image_len = self.len;
        self.seen = self.len;
        self.pages.retain(|_, page| page.abandoned);
        Ok(())
    }

    /// A sync failed: what it was about is given up.
    pub fn abandon(&mut self) {
        self.pages.values_mut().for_each(|page| page.abandoned = true);
    }

    /// Leaves in the image what a loss of power leaves.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn lose(&self, how: Pages, chance: &mut Chance) -> io::Result<()> {
        if how == Pages::Lost {
            return Ok(());
        }
        if self.seen < self.image_len && chance.happens(0.5) {
            self.image.set_len(self.seen)?;
        }
        for (number, page) in self.pages.iter().filter(|(_, page)| !page.abandoned) {
            let offset = number * PAGE_BYTES;
            let visible = &page.bytes[..self.len.saturating_sub(offset).min(PAGE_BYTES) as usize];
            let step = if how == Pages::Torn { SECTOR_BYTES } else { PAGE_BYTES as usize };
            for (place, piece) in visible.chunks(step).enumerate() {
                if chance.happens(0.5) {
                    self.image.write_all_at(piece, offset + (place * step) as u64)?;
                }
            }
        }
        if self.len > self.image.metadata()?.len() && chance.happens(0.5) {
            self.image.set_len(self.len)?;
        }
        Ok(())
    }
}
