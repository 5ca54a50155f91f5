//! A release: what a stanza must say to be published, and under which keys it is.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};
use trine_protocol::limits::KEY_BYTES_MAX;

use super::stanza::{Stanza, StanzaError, Stanzas};

/// Why a stanza is not published.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is no stanza.
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    /// A field is missing.
    #[error("the stanza at line {line} has no {field}")]
    Missing {
        /// The stanza's first line.
        line: u64,
        /// The field.
        field: &'static str,
    },
    /// A field has not the form that it must have.
    #[error("the stanza at line {line}: `{value}` is no {field}")]
    Malformed {
        /// The stanza's first line.
        line: u64,
        /// The field.
        field: &'static str,
        /// What stands there; the beginning of it, when it is long.
        value: String,
    },
}

/// A release of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The archive's SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// What travels with the record: sha256, architecture, section, …
    pub metadata: BTreeMap<String, String>,
    /// The stanza.
    pub text: String,
}

/// What `latest/<package>` holds, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The version.
    pub version: String,
    /// Whose ledger its record stands in.
    pub region: String,
    /// The record's index there.
    pub index: u64,
}

/// Fields that become metadata when a stanza has them.
const METADATA: [&str; 6] = ["Architecture", "Section", "Priority", "Source", "Size", "Filename"];

impl Release {
    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.package, self.version)
    }

    /// Publishing the same archive again within the cluster's memory is answered as the first time.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("publish/{}", self.sha256)
    }
}

/// The key of the set of a package's versions.
#[must_use]
pub fn versions_key(package: &str) -> String {
    format!("versions/{package}")
}

/// The key of the register of a package's latest release.
#[must_use]
pub fn latest_key(package: &str) -> String {
    format!("latest/{package}")
}

/// The key of the counter of a package's downloads.
#[must_use]
pub fn downloads_key(package: &str) -> String {
    format!("downloads/{package}")
}

impl TryFrom<Stanza> for Release {
    type Error = ReleaseError;

    fn try_from(stanza: Stanza) -> Result<Self, Self::Error> {
        let line = stanza.line;
        let field = |field: &'static str, form: fn(&str) -> bool| {
            let value = stanza.get(field).ok_or(ReleaseError::Missing { line, field })?;
            let shown = || value.chars().take(80).collect();
            if form(value) {
                Ok(value.to_owned())
            } else {
                Err(ReleaseError::Malformed { line, field, value: shown() })
            }
        };
        let package = field("Package", is_package)?;
        let version = field("Version", is_version)?;
        let sha256 = field("SHA256", is_sha256)?.to_ascii_lowercase();
        field("Architecture", |value| !value.is_empty())?;
        field("Size", |value| value.parse::<u64>().is_ok())?;
        let mut metadata: BTreeMap<String, String> = METADATA
            .iter()
            .filter_map(|name| Some((name.to_ascii_lowercase(), stanza.get(name)?.to_owned())))
            .collect();
        metadata.insert("sha256".to_owned(), sha256.clone());
        Ok(Self { package, version, sha256, metadata, text: stanza.text })
    }
}

/// Half a key, lower case letters, digits and `+-.`; Debian policy manual, 5.6.1.
fn is_package(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    text.len() >= 2 && text.len() < KEY_BYTES_MAX / 2 && text.bytes().all(allowed)
}

/// Half a key, letters, digits and `.+-:~`, with a digit; Debian policy manual, 5.6.12.
fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-:~".contains(&byte);
    text.len() < KEY_BYTES_MAX / 2 && text.bytes().all(allowed) && text.contains(|c: char| c.is_ascii_digit())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The releases of an input, one after the other; ends with the first error.
pub fn releases<R: BufRead>(input: R) -> impl Iterator<Item = Result<Release, ReleaseError>> {
    let mut stanzas = Stanzas::new(input);
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let release = stanzas.next()?.map_err(ReleaseError::from).and_then(Release::try_from);
        over = release.is_err();
        Some(release)
    })
}
