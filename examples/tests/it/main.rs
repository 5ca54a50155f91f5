//! The registry's stories, as far as they need no cluster.

mod claims;
mod real_packages;
mod stanzas;
mod trusting;
