//! Every decoder of bytes from outside, as a function that may be fed anything.
//!
//! What a stranger, a peer, a disk or an operator hands over is decoded before it is believed, so the decoders meet
//! everything first. Each has a [`Target`] here: a function of bytes that decodes them and then asks for what must hold
//! of whatever was accepted. *Canonical* forms encode to the very bytes again; others decode to the same value again; a
//! proof, a certificate or a signed note that is accepted is one that was really made; what is applied leaves a state
//! that is sound. A broken expectation is a panic, as is a decoder's own.
//!
//! The same functions serve twice. `tests/it` feeds them the committed corpora and thousands of mutations of those from
//! a fixed seed, on every build, and counts the memory they take. `guided/` puts them under libFuzzer, which looks for
//! inputs that reach code nobody thought of; what it finds is added to the corpora.
//!
//! ```text
//! corpus/<target>/valid-*      made by the product's own encoders: must be accepted
//! corpus/<target>/hostile-*    made by hand to do harm: must be refused
//! corpus/<target>/found-*      what a search came upon: must do no harm
//! ```

pub mod corpus;
pub mod mutate;
pub mod target;
pub mod targets;

mod cbor;
mod fixture;
mod node;

pub use target::{Sample, Target, Verdict};
pub use targets::TARGETS;
