//! Rows as the bytes of a group.
//!
//! ```text
//! group:  size u32 little-endian │ LZ4 block, of that many bytes once it is expanded
//! row:    key length u32 │ value length u32, or ffffffff for a row that is deleted │ key │ value        big-endian
//! ```
//!
//! A row written later counts. Compression is for what the rows of one edit have in common: an object and its delta hold the
//! same value.

use bytes::Bytes;

use super::limits::{GROUP_EXPANDED_BYTES_MAX, LZ4_RATIO_MAX};

const DELETED: u32 = u32::MAX;
const HEADER_BYTES: usize = 8;

/// Rows on their way into one group.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Adds a row; no value deletes it. Nothing is larger than 4 GiB.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("rows are far below 4 GiB");
        self.0.extend_from_slice(&length(key).to_be_bytes());
        self.0.extend_from_slice(&value.map_or(DELETED, length).to_be_bytes());
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(value.unwrap_or_default());
    }

    /// Bytes of rows so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The group.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        lz4_flex::block::compress_prepend_size(&self.0)
    }
}

/// The rows of a group, in the order in which they were written.
///
/// # Errors
/// When it is none.
pub fn decode(group: &[u8]) -> Result<Vec<(Bytes, Option<Bytes>)>, String> {
    let size = group.first_chunk().map(|size| u32::from_le_bytes(*size) as usize).ok_or("a group without a size")?;
    // No block expands to more than its format allows: a number alone makes nobody take memory.
    let most = GROUP_EXPANDED_BYTES_MAX.min(group.len().saturating_mul(LZ4_RATIO_MAX));
    if size > most {
        return Err(format!("a group of {size} bytes, where {most} is the most"));
    }
    let bytes = Bytes::from(lz4_flex::block::decompress_size_prepended(group).map_err(|error| error.to_string())?);
    // A block that is cut short at the right place expands without an error, to less.
    if bytes.len() != size {
        return Err(format!("a group of {} bytes that should have {size}", bytes.len()));
    }
    let mut rows = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let header = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER_BYTES>).ok_or("a row is cut short")?;
        let number =
            |from: usize| u32::from_be_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]]);
        let key = at + HEADER_BYTES..at + HEADER_BYTES + number(0) as usize;
        let value = match number(4) {
            DELETED => key.end..key.end,
            length => key.end..key.end + length as usize,
        };
        if value.end > bytes.len() {
            return Err("a row is cut short".to_owned());
        }
        at = value.end;
        rows.push((bytes.slice(key), (number(4) != DELETED).then(|| bytes.slice(value))));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_nothing_else_does() {
        let rows: [(&[u8], Option<&[u8]>); 4] =
            [(b"k", Some(b"value")), (b"k", None), (b"", Some(b"")), (b"other", Some(&[7; 1000]))];
        let mut encoder = Encoder::default();
        for (key, value) in rows {
            encoder.add(key, value);
        }
        assert_eq!(encoder.bytes(), 4 * 8 + 1 + 5 + 1 + 5 + 1000);
        let group = encoder.finish();
        assert!(group.len() < 200, "what repeats is written once: {}", group.len());
        let back = decode(&group).expect("a group");
        let back: Vec<_> = back.iter().map(|(key, value)| (key.as_ref(), value.as_deref())).collect();
        assert_eq!(back, rows);
        assert_eq!(decode(&Encoder::default().finish()), Ok(Vec::new()));
        for cut in 0..group.len() {
            assert!(decode(&group[..cut]).is_err(), "cut at {cut}");
        }
        let huge = [&u32::MAX.to_le_bytes()[..], &group[4..]].concat();
        assert!(decode(&huge).expect_err("too large").contains("the most"));
        let mut short = Encoder::default();
        short.add(b"key", Some(b"value"));
        short.0.pop();
        assert_eq!(decode(&short.finish()), Err("a row is cut short".to_owned()));
    }
}
