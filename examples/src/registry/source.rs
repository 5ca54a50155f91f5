//! Where stanzas come from: a file, compressed or not, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;

/// The first bytes of what gzip writes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An input of stanzas.
pub type Input = Box<dyn BufRead + Send>;

/// Opens a file, or standard input for `-`.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> anyhow::Result<Input> {
    if path == Path::new("-") {
        return Ok(unpack(BufReader::new(io::stdin()))?);
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    unpack(BufReader::new(file)).with_context(|| format!("cannot read {}", path.display()))
}

/// Decompresses what begins as gzip does, and leaves everything else as it is.
///
/// # Errors
/// When not even the beginning can be read.
pub fn unpack(mut input: impl BufRead + Send + 'static) -> io::Result<Input> {
    if input.fill_buf()?.starts_with(&GZIP_MAGIC) {
        Ok(Box::new(BufReader::new(MultiGzDecoder::new(input))))
    } else {
        Ok(Box::new(input))
    }
}
