//! The immutable log as a value: records, hash tree, signed checkpoints, proofs, segments, and who may sign.
//!
//! Nothing here touches a disk, a clock or chance; salts and stamps are arguments. A region's ledger comes to be
//! from its committed log ([`Entry`]) by [`LedgerState::apply`] alone, and its head is signed as a [`Checkpoint`].

pub mod limits;

pub mod position;

mod form;
pub mod record;
pub mod tree;

pub mod checkpoint;
pub mod proof;

pub mod entry;
pub mod registry;
pub mod segment;
pub mod state;

pub mod apply;
pub mod outcome;

pub mod frame;

pub mod certificate;
pub mod genesis;
pub mod marks;
pub mod mutants;

pub use apply::{Applied, AppliedRecord, ApplyError, Change, Lookup, Outcome, Refusal, Remembered};
pub use certificate::{CertificateError, CertificateRole, Claims, peer_id};
pub use checkpoint::{Checkpoint, CheckpointError, origin};
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use entry::{AppendCommand, Command, Condition, Entry, NamespaceKind, idempotency_key};
pub use form::FormError;
pub use genesis::{Genesis, GenesisError, GenesisNode, GenesisRegion};
pub use position::LogPosition;
pub use proof::{ProofFile, ProofFileError, Verified};
pub use record::{Body, Record, RecordError, RecordHeader};
pub use registry::{NamespaceRecord, NodeRecord, Registry};
pub use segment::{OpenSegment, SegmentInfo};
pub use state::LedgerState;
pub use tree::{Frontier, Hash, ProofError, TreeNode};
