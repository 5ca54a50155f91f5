//! Who is who: the cluster's certificate authority, the keys and certificates that it issues, and the files they live in.
//!
//! A node has one Ed25519 key. It is the key of its X.509 certificate and of its libp2p identity, so that the peer
//! id follows from the certificate and neither can be borrowed. What the holder is stands in the certificate's only
//! subject alternative name:
//!
//! ```text
//! trine://<cluster>/<role>/<region>/<name>/<peer id>      role: node admin writer reader; a client's region is `_`
//! ```
//!
//! There are no host names in it: addresses change, identities do not. TLS connections therefore verify this name by
//! `tls` and never by rustls' own host name check, and libp2p connections by the first frames on them ([`admission`]).
//!
//! Three files make an identity, in one directory: `ca.crt` (whom to believe), `tls.crt` (who I am) and `tls.key`
//! (proof of it, readable by the owner only). The authority's own directory holds `ca.crt` and `ca.key`; it is needed
//! to issue certificates and to sign the genesis, never to run a node. HTTPS shows other certificates: see `https`.

pub mod admission;
#[cfg(feature = "issuing")]
pub mod authority;
pub mod bundle;
pub mod files;
#[cfg(feature = "issuing")]
pub mod https;
pub mod https_files;
pub mod key;
pub mod limits;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "issuing")]
pub use authority::Ca;
pub use bundle::Bundle;
pub use files::IdentityFileError;
#[cfg(feature = "issuing")]
pub use https::HttpsCa;
pub use https_files::HttpsFiles;
pub use key::Key;
