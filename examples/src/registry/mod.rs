//! A package registry with a transparency log: who installs a package can prove that everybody is offered the same one.
//!
//! A registry is a good first use of Trine, because it needs both kinds of data that Trine holds. What was released
//! must never change, and strangers must be able to check that: each release is a *record* of a ledger, with an
//! inclusion proof that holds without trusting the server which hands it out. What is known *about* a package changes
//! all the time and in all regions at once: these are *objects*, which merge.
//!
//! ```text
//! record   <package>/<version>       the release's stanza; its metadata has the archive's SHA-256, section, …
//! set      versions/<package>        every version that was released
//! register latest/<package>          the release published last by hybrid time, and where its record stands
//! counter  downloads/<package>       how often it was fetched; publishing counts as the first fetch
//! ```
//!
//! Releases are read from Debian's `Packages` files ([`stanza`], [`release`]), published from all regions at once
//! ([`publish`]) and written to a log of acknowledgements ([`log`]). That log is what [`verify`] holds any region to
//! later: all that was acknowledged must be there, and proven against the founding document's keys ([`trust`]).

pub mod limits;

pub mod release;
pub mod source;
pub mod stanza;

pub mod place;
pub mod trust;

pub mod latency;
pub mod log;
pub mod publish;
pub mod summary;

pub mod lookup;
pub mod verify;
