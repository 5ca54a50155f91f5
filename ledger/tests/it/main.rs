//! The ledger's stories.

mod apply;
mod certificate;
mod checkpoint;
mod entry;
mod fixture;
mod frame;
mod genesis;
mod namespaces;
mod proof;
mod record;
mod replay;
mod tree;
