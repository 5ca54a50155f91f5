//! Hashes as hexadecimal text.

use serde::{Deserialize, Deserializer, Serializer};

/// A hash as text.
#[must_use]
pub fn show(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that a text shows.
#[must_use]
pub fn read(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(hash)
}

/// Writes a hash.
///
/// # Errors
/// What the serializer says.
pub fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(hash))
}

/// Reads a hash.
///
/// # Errors
/// When the text is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    read(&String::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("not a hash of 32 bytes"))
}

/// The same for several.
pub mod list {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes hashes.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(hashes: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(|hash| super::show(hash)))
    }

    /// Reads hashes.
    ///
    /// # Errors
    /// When a text is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let hashes: Option<Vec<[u8; 32]>> = texts.iter().map(|text| super::read(text)).collect();
        hashes.ok_or_else(|| serde::de::Error::custom("not a hash of 32 bytes"))
    }
}
