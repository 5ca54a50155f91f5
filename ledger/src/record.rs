//! One record: a header that everyone may see, and a body that only some may.
//!
//! The header is the leaf of the hash tree. It commits to key, metadata and value without showing them, because
//! it travels to every region and stands in public tiles, while a body stays where its namespace allows. Hashes of
//! small values could be guessed; so each commitment is salted with 32 bytes of its own, kept with the body:
//!
//! ```text
//! commitment = SHA-256(domain ‖ salt ‖ bytes)     domain: "trine/record/key/1\0", ".../metadata/1\0", ".../value/1\0"
//! leaf       = SHA-256(0x00 ‖ header)
//!
//! header:  version 1 │ namespace u16+text, u64 │ stamp 24 │ content type u16+text │ seen u32, 32 each
//!          │ subject key flag, 16 │ value bytes u64 │ commitments 3 × 32                     at most 4 KiB
//! body:    version 1 │ salts 3 × 32 │ key u16+text │ metadata u32+bytes │ value u32+bytes
//! metadata: pairs u32, then name u16+text, value u16+text, names ascending
//! record:  version 1 │ header u16+bytes │ body flag, body u32+bytes
//! ```
//!
//! The stamp's writer is the incarnation of the leader that stamped the record. `seen` are the leaf hashes of the
//! versions of the key that the leader knew of, in any region's ledger: they order versions without clocks.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use trine_crdt::{NamespaceId, Timestamp};

use crate::form::{FormError, Reader, bounded, put_count, put_long, put_short};
use crate::limits::{
    CONTENT_TYPE_BYTES_MAX, HEADER_BYTES_MAX, KEY_BYTES_MAX, METADATA_ENCODED_BYTES_MAX, METADATA_PAIRS_MAX,
    RECORD_BYTES_MAX, SEEN_MAX, VALUE_BYTES_MAX,
};
use crate::tree::{Hash, leaf_hash};

const VERSION: u8 = 1;
const DOMAINS: [&[u8]; 3] = [b"trine/record/key/1\0", b"trine/record/metadata/1\0", b"trine/record/value/1\0"];

/// Why a record's header and body do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a record's form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The body is not here.
    #[error("the record has no body here")]
    NoBody,
    /// The header commits to another key, metadata or value.
    #[error("the header commits to another {part}")]
    Commitment {
        /// `key`, `metadata` or `value`.
        part: &'static str,
    },
}

/// What everyone may see of a record; its bytes are the leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The namespace.
    pub namespace: NamespaceId,
    /// When it was appended, and by which leader's incarnation.
    pub stamp: Timestamp,
    /// The value's media type.
    pub content_type: String,
    /// Leaf hashes of the versions seen, ascending and without repetition, at most [`SEEN_MAX`].
    pub seen: Vec<Hash>,
    /// The key that encrypts the value, when a subject may ask for erasure.
    pub subject_key: Option<[u8; 16]>,
    /// The value's length, in bytes.
    pub value_bytes: u64,
    /// Salted commitments to key, metadata and value, in this order.
    pub commitments: [Hash; 3],
}

/// What only some may see of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The salts of the commitments to key, metadata and value, in this order.
    pub salts: [[u8; 32]; 3],
    /// The key, 1 to 1024 bytes of UTF-8.
    pub key: String,
    /// Names and values that travel with it.
    pub metadata: BTreeMap<String, String>,
    /// The value.
    pub value: Bytes,
}

/// A record as it is stored and sent: its header, byte for byte, and its body where that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The header's bytes.
    pub header: Bytes,
    /// The body.
    pub body: Option<Body>,
}

impl RecordHeader {
    /// The header of a body. `seen` is sorted and cut to its bound.
    ///
    /// # Errors
    /// [`FormError`] when a part of the body is beyond its bound.
    pub fn of(
        namespace: NamespaceId,
        stamp: Timestamp,
        content_type: String,
        mut seen: Vec<Hash>,
        subject_key: Option<[u8; 16]>,
        body: &Body,
    ) -> Result<Self, FormError> {
        body.check()?;
        seen.sort_unstable();
        seen.dedup();
        seen.truncate(SEEN_MAX);
        let (value_bytes, commitments) = (body.value.len() as u64, body.commitments());
        Ok(Self { namespace, stamp, content_type, seen, subject_key, value_bytes, commitments })
    }

    /// The leaf's bytes.
    ///
    /// # Errors
    /// [`FormError`] when a field is beyond its bound.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        bounded("content type", self.content_type.len(), CONTENT_TYPE_BYTES_MAX)?;
        bounded("seen", self.seen.len(), SEEN_MAX)?;
        let mut out = Vec::with_capacity(256 + 32 * self.seen.len());
        out.push(VERSION);
        put_namespace(&mut out, &self.namespace);
        out.extend_from_slice(&self.stamp.to_bytes());
        put_short(&mut out, self.content_type.as_bytes());
        put_count(&mut out, self.seen.len());
        self.seen.iter().for_each(|hash| out.extend_from_slice(hash));
        out.push(u8::from(self.subject_key.is_some()));
        self.subject_key.iter().for_each(|id| out.extend_from_slice(id));
        out.extend_from_slice(&self.value_bytes.to_be_bytes());
        self.commitments.iter().for_each(|hash| out.extend_from_slice(hash));
        bounded("header", out.len(), HEADER_BYTES_MAX)?;
        Ok(out.into())
    }

    /// Reads [`Self::to_bytes`]; accepts nothing that it would not write.
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormError> {
        bounded("header", bytes.len(), HEADER_BYTES_MAX)?;
        let mut reader = Reader::new(bytes);
        reader.version("header", VERSION)?;
        let namespace = read_namespace(&mut reader)?;
        let stamp = Timestamp::from_bytes(&reader.array("stamp")?);
        let content_type = reader.text("content type", CONTENT_TYPE_BYTES_MAX)?;
        let count = reader.count("seen", SEEN_MAX)?;
        let seen = (0..count).map(|_| reader.array("seen")).collect::<Result<Vec<Hash>, _>>()?;
        if !seen.is_sorted_by(|a, b| a < b) {
            return Err(FormError::Malformed { field: "seen" });
        }
        let subject_key = if reader.flag("subject key")? { Some(reader.array("subject key")?) } else { None };
        let value_bytes = reader.u64("value bytes")?;
        let commitments =
            [reader.array("key commitment")?, reader.array("metadata commitment")?, reader.array("value commitment")?];
        reader.end()?;
        Ok(Self { namespace, stamp, content_type, seen, subject_key, value_bytes, commitments })
    }
}

/// The stamp in a header's bytes, without reading what comes behind it.
///
/// # Errors
/// [`FormError`] when the bytes do not begin as a header does.
pub(crate) fn stamp_of(header: &[u8]) -> Result<Timestamp, FormError> {
    let malformed = || FormError::Truncated { field: "stamp" };
    let (version, rest) = header.split_first().ok_or_else(malformed)?;
    if *version != VERSION {
        return Err(FormError::Version { field: "header", version: *version });
    }
    let (region_bytes, rest) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*region_bytes)) + 8..).ok_or_else(malformed)?;
    Ok(Timestamp::from_bytes(rest.first_chunk().ok_or_else(malformed)?))
}

impl Body {
    /// Salted commitments to key, metadata and value.
    #[must_use]
    pub fn commitments(&self) -> [Hash; 3] {
        let metadata = metadata_to_bytes(&self.metadata);
        let parts: [&[u8]; 3] = [self.key.as_bytes(), &metadata, &self.value];
        std::array::from_fn(|part| {
            let hash = Sha256::new().chain_update(DOMAINS[part]);
            hash.chain_update(self.salts[part]).chain_update(parts[part]).finalize().into()
        })
    }

    /// Whether every part is within its bounds.
    ///
    /// # Errors
    /// [`FormError`] names the part that is not.
    pub fn check(&self) -> Result<(), FormError> {
        if self.key.is_empty() {
            return Err(FormError::Malformed { field: "key" });
        }
        bounded("key", self.key.len(), KEY_BYTES_MAX)?;
        bounded("metadata", self.metadata.len(), METADATA_PAIRS_MAX)?;
        let pairs = self.metadata.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        bounded("metadata", pairs + 4, METADATA_ENCODED_BYTES_MAX)?;
        bounded("value", self.value.len(), VALUE_BYTES_MAX)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        out.extend_from_slice(&self.value);
    }

    /// All but the value, which comes last.
    fn write_head(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.salts.iter().for_each(|salt| out.extend_from_slice(salt));
        put_short(out, self.key.as_bytes());
        put_long(out, &metadata_to_bytes(&self.metadata));
        put_count(out, self.value.len());
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormError> {
        reader.version("body", VERSION)?;
        let salts = [reader.array("salt")?, reader.array("salt")?, reader.array("salt")?];
        let key = reader.text("key", KEY_BYTES_MAX)?;
        let metadata = metadata_from_bytes(&reader.long("metadata", METADATA_ENCODED_BYTES_MAX)?)?;
        let value = reader.long("value", VALUE_BYTES_MAX)?;
        let body = Self { salts, key, metadata, value };
        body.check()?;
        Ok(body)
    }
}

impl Record {
    /// The record's canonical bytes.
    ///
    /// # Errors
    /// [`FormError`] when a part is beyond its bound.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        bounded("header", self.header.len(), HEADER_BYTES_MAX)?;
        let value_bytes = self.body.as_ref().map_or(0, |body| body.value.len());
        let mut out = Vec::with_capacity(self.header.len() + value_bytes + 512);
        out.push(VERSION);
        put_short(&mut out, &self.header);
        out.push(u8::from(self.body.is_some()));
        if let Some(body) = &self.body {
            body.check()?;
            body.write(&mut out);
        }
        Ok(out.into())
    }

    /// Reads [`Self::to_bytes`]; the parts share the memory of `bytes`. The form is checked, the commitments are not:
    /// see [`Self::verify`].
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormError> {
        bounded("record", bytes.len(), RECORD_BYTES_MAX)?;
        let mut reader = Reader::new(bytes);
        reader.version("record", VERSION)?;
        let header = reader.short("header", HEADER_BYTES_MAX)?;
        RecordHeader::from_bytes(&header)?;
        let body = if reader.flag("body")? { Some(Body::read(&mut reader)?) } else { None };
        reader.end()?;
        Ok(Self { header, body })
    }

    /// The leaf hash of the header.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.header)
    }

    /// The header as a value.
    ///
    /// # Errors
    /// [`FormError`] when its bytes are none.
    pub fn header(&self) -> Result<RecordHeader, FormError> {
        RecordHeader::from_bytes(&self.header)
    }

    /// Whether the body is the one that the header commits to; hands over the header.
    ///
    /// # Errors
    /// [`RecordError`] when it is not, or is not here.
    pub fn verify(&self) -> Result<RecordHeader, RecordError> {
        verify(&self.header, self.body.as_ref().ok_or(RecordError::NoBody)?)
    }
}

/// Whether `body` is the one that `header` commits to; hands over the header as a value.
///
/// # Errors
/// [`RecordError`] when it is not.
pub fn verify(header: &Bytes, body: &Body) -> Result<RecordHeader, RecordError> {
    let header = RecordHeader::from_bytes(header)?;
    body.check()?;
    let found = body.commitments();
    for (part, name) in ["key", "metadata", "value"].into_iter().enumerate() {
        if found[part] != header.commitments[part] {
            return Err(RecordError::Commitment { part: name });
        }
    }
    if header.value_bytes != body.value.len() as u64 {
        return Err(RecordError::Commitment { part: "value" });
    }
    Ok(header)
}

/// SHA-256 and length of the canonical bytes of a whole record, without putting them together. Both parts are within
/// their bounds.
pub(crate) fn digest(header: &[u8], body: &Body) -> (Hash, u64) {
    let mut head = vec![VERSION];
    put_short(&mut head, header);
    head.push(1);
    body.write_head(&mut head);
    let bytes = (head.len() + body.value.len()) as u64;
    (Sha256::new().chain_update(&head).chain_update(&body.value).finalize().into(), bytes)
}

/// The bytes that the commitment to metadata is made of.
#[must_use]
pub fn metadata_to_bytes(metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    put_count(&mut out, metadata.len());
    for (name, value) in metadata {
        put_short(&mut out, name.as_bytes());
        put_short(&mut out, value.as_bytes());
    }
    out
}

fn metadata_from_bytes(bytes: &Bytes) -> Result<BTreeMap<String, String>, FormError> {
    let mut reader = Reader::new(bytes);
    let mut metadata = BTreeMap::new();
    for _ in 0..reader.count("metadata", METADATA_PAIRS_MAX)? {
        let name = reader.text("metadata", METADATA_ENCODED_BYTES_MAX)?;
        let value = reader.text("metadata", METADATA_ENCODED_BYTES_MAX)?;
        if metadata.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(FormError::Malformed { field: "metadata" });
        }
        metadata.insert(name, value);
    }
    reader.end()?;
    Ok(metadata)
}

pub(crate) fn put_namespace(out: &mut Vec<u8>, namespace: &NamespaceId) {
    put_short(out, namespace.region.as_str().as_bytes());
    out.extend_from_slice(&namespace.index.to_be_bytes());
}

pub(crate) fn read_namespace(reader: &mut Reader) -> Result<NamespaceId, FormError> {
    let region = reader.text("namespace", trine_crdt::limits::REGION_NAME_BYTES_MAX)?;
    let region = region.parse().map_err(|_| FormError::Malformed { field: "namespace" })?;
    Ok(NamespaceId { region, index: reader.u64("namespace")? })
}
