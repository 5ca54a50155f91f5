//! What a region's Raft log carries: entries, each a batch of commands in the order in which they take effect.
//!
//! The leader stamps each command before it proposes, above every stamp in its log; so stamps rise along the log,
//! and whoever applies it reads no clock. Entries are the ledger's only home on disk: a record's bytes are taken
//! from its `Append` command.
//!
//! ```text
//! entry:    version 1 │ commands u32 │ command …
//! command:  kind u8   │ fields
//!   1 append     header u16+bytes │ body │ flag, idempotency 32 │ condition 0, 1 absent, 2 index u64
//!   2 register   stamp 24 │ node u64 │ name │ peer │ addresses u32, each │ raft │ flag, http │ writer 16 │ levels u16, u16
//!   3 retire     stamp │ node        4 replace  stamp │ node
//!   5 namespace  stamp │ name │ kind u8 │ slots u32
//!   6 seal       stamp
//!   7 recover    stamp │ node u64 │ survivor u64
//!   8 restore    index u64 │ header u16+bytes │ body
//!   9 resume     stamp │ version u64 │ registry u32+bytes
//!  10 rename     stamp │ namespace region, index u64 │ name
//!  11 delete     stamp │ namespace region, index u64
//! ```

use bytes::Bytes;
use sha2::{Digest, Sha256};
use trine_crdt::{NamespaceId, NodeId, Timestamp};

use crate::form::{FormError, Reader, bounded, put_count, put_long, put_short};
use crate::limits::{
    ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX, HEADER_BYTES_MAX, NAME_BYTES_MAX, REGISTRY_BYTES_MAX, SLOTS_MAX,
};
use crate::record::{Body, Record, put_namespace, read_namespace, stamp_of};
use crate::registry::{NodeRecord, Registry};

const VERSION: u8 = 1;

/// One log entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The commands, at most [`ENTRY_COMMANDS_MAX`], at most one of them creating a namespace.
    pub commands: Vec<Command>,
}

/// One thing that a region's ledger is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Append a record.
    Append(Box<AppendCommand>),
    /// Put a node on the roster, or its new incarnation.
    Register(NodeRecord),
    /// Take a node off the roster for good; nobody may register under its name until it is replaced.
    Retire {
        /// When.
        stamp: Timestamp,
        /// Which.
        node: NodeId,
    },
    /// Take a node off the roster for good and let another disk register under its name.
    Replace {
        /// When.
        stamp: Timestamp,
        /// Which.
        node: NodeId,
    },
    /// Create a namespace; its id is this region and the entry's log index.
    CreateNamespace {
        /// When.
        stamp: Timestamp,
        /// Its label.
        name: String,
        /// What it holds.
        kind: NamespaceKind,
        /// How many partitions (objects), a power of two.
        slots: u32,
    },
    /// Give a namespace that this region created another name; its id stays, and with it all that it holds.
    RenameNamespace {
        /// When.
        stamp: Timestamp,
        /// Which.
        namespace: NamespaceId,
        /// Its label from now on.
        name: String,
    },
    /// Hide a namespace that this region created: its name is free, and nothing is written into it any more.
    DeleteNamespace {
        /// When.
        stamp: Timestamp,
        /// Which.
        namespace: NamespaceId,
    },
    /// Fix the border of a segment after the last record.
    Seal {
        /// When.
        stamp: Timestamp,
    },
    /// The region's majority was lost for ever, and an operator made a region of one node of what a disk still held:
    /// all nodes of before are retired. What only the lost disks held is gone.
    Recover {
        /// When.
        stamp: Timestamp,
        /// The disk's new id.
        node: NodeId,
        /// The node whose disk it was.
        survivor: NodeId,
    },
    /// Put back a record that the region's disks lost and others kept: as it was, at its index or not at all. Its stamp may
    /// lie below the log's last one.
    Restore {
        /// The index that it has.
        index: u64,
        /// The header's bytes.
        header: Bytes,
        /// The body that the header commits to.
        body: Box<Body>,
    },
    /// Take in the registry as the region told it before its disks went back, and count its versions on from there.
    Resume {
        /// When.
        stamp: Timestamp,
        /// The latest version that was told.
        version: u64,
        /// What it said.
        registry: Box<Registry>,
    },
}

/// A record to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendCommand {
    /// The header's bytes; its stamp is the command's.
    pub header: Bytes,
    /// The body that the header commits to.
    pub body: Body,
    /// See [`idempotency_key`].
    pub idempotency: Option<[u8; 32]>,
    /// What the key's latest version in this ledger must be.
    pub condition: Option<Condition>,
}

/// What the key's latest version in this ledger must be for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// It is the record of this index.
    Index(u64),
}

/// What kind of data a namespace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamespaceKind {
    /// Records.
    Ledger,
    /// Objects.
    Objects,
}

/// The name under which an append is remembered: SHA-256 over namespace and the client's key.
#[must_use]
pub fn idempotency_key(namespace: &NamespaceId, client_key: &str) -> [u8; 32] {
    let mut prefix = b"trine/idempotency/1\0".to_vec();
    namespace.write_key(&mut prefix);
    Sha256::new().chain_update(prefix).chain_update(client_key).finalize().into()
}

impl NamespaceKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ledger => 1,
            Self::Objects => 2,
        }
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormError> {
        match reader.u8("namespace kind")? {
            1 => Ok(Self::Ledger),
            2 => Ok(Self::Objects),
            _ => Err(FormError::Malformed { field: "namespace kind" }),
        }
    }
}

impl AppendCommand {
    /// The record that this appends.
    #[must_use]
    pub fn record(&self) -> Record {
        Record { header: self.header.clone(), body: Some(self.body.clone()) }
    }
}

impl Command {
    /// When the leader stamped it.
    ///
    /// # Errors
    /// [`FormError`] when an append's header does not begin as one.
    pub fn stamp(&self) -> Result<Timestamp, FormError> {
        match self {
            Self::Append(append) => stamp_of(&append.header),
            Self::Restore { header, .. } => stamp_of(header),
            Self::Register(record) => Ok(record.stamp),
            Self::Resume { stamp, .. } => Ok(*stamp),
            Self::Retire { stamp, .. }
            | Self::Replace { stamp, .. }
            | Self::CreateNamespace { stamp, .. }
            | Self::RenameNamespace { stamp, .. }
            | Self::DeleteNamespace { stamp, .. }
            | Self::Recover { stamp, .. }
            | Self::Seal { stamp } => Ok(*stamp),
        }
    }

    /// About how many bytes it takes in an entry; never fewer than it does.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        match self {
            Self::Append(append) => record_bytes_max(&append.header, &append.body),
            Self::Restore { header, body, .. } => record_bytes_max(header, body),
            Self::Resume { registry, .. } => registry.bytes_max() + 64,
            Self::Register(record) => record.bytes_max() + 1,
            Self::CreateNamespace { name, .. } => name.len() + 64,
            Self::RenameNamespace { namespace, name, .. } => namespace.region.as_str().len() + name.len() + 64,
            Self::DeleteNamespace { namespace, .. } => namespace.region.as_str().len() + 64,
            Self::Retire { .. } | Self::Replace { .. } | Self::Seal { .. } | Self::Recover { .. } => 64,
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), FormError> {
        let head = |out: &mut Vec<u8>, kind: u8, stamp: &Timestamp| {
            out.push(kind);
            out.extend_from_slice(&stamp.to_bytes());
        };
        match self {
            Self::Append(append) => {
                bounded("header", append.header.len(), HEADER_BYTES_MAX)?;
                append.body.check()?;
                out.push(1);
                put_short(out, &append.header);
                append.body.write(out);
                out.push(u8::from(append.idempotency.is_some()));
                append.idempotency.iter().for_each(|key| out.extend_from_slice(key));
                match append.condition {
                    None => out.push(0),
                    Some(Condition::Absent) => out.push(1),
                    Some(Condition::Index(index)) => {
                        out.push(2);
                        out.extend_from_slice(&index.to_be_bytes());
                    }
                }
            }
            Self::Register(record) => {
                out.push(2);
                record.write(out)?;
            }
            Self::Retire { stamp, node } => {
                head(out, 3, stamp);
                out.extend_from_slice(&node.0.to_be_bytes());
            }
            Self::Replace { stamp, node } => {
                head(out, 4, stamp);
                out.extend_from_slice(&node.0.to_be_bytes());
            }
            Self::CreateNamespace { stamp, name, kind, slots } => {
                bounded("name", name.len(), NAME_BYTES_MAX)?;
                head(out, 5, stamp);
                put_short(out, name.as_bytes());
                out.push(kind.code());
                out.extend_from_slice(&slots.to_be_bytes());
            }
            Self::Seal { stamp } => head(out, 6, stamp),
            Self::Recover { stamp, node, survivor } => {
                head(out, 7, stamp);
                out.extend_from_slice(&node.0.to_be_bytes());
                out.extend_from_slice(&survivor.0.to_be_bytes());
            }
            Self::Restore { index, header, body } => {
                bounded("header", header.len(), HEADER_BYTES_MAX)?;
                body.check()?;
                out.push(8);
                out.extend_from_slice(&index.to_be_bytes());
                put_short(out, header);
                body.write(out);
            }
            Self::Resume { stamp, version, registry } => {
                let registry = registry.to_bytes()?;
                bounded("registry", registry.len(), REGISTRY_BYTES_MAX)?;
                head(out, 9, stamp);
                out.extend_from_slice(&version.to_be_bytes());
                put_long(out, &registry);
            }
            Self::RenameNamespace { stamp, namespace, name } => {
                bounded("name", name.len(), NAME_BYTES_MAX)?;
                head(out, 10, stamp);
                put_namespace(out, namespace);
                put_short(out, name.as_bytes());
            }
            Self::DeleteNamespace { stamp, namespace } => {
                head(out, 11, stamp);
                put_namespace(out, namespace);
            }
        }
        Ok(())
    }

    fn read(reader: &mut Reader) -> Result<Self, FormError> {
        let kind = reader.u8("command")?;
        if kind == 1 {
            return Ok(Self::Append(Box::new(read_append(reader)?)));
        }
        if kind == 2 {
            return Ok(Self::Register(NodeRecord::read(reader)?));
        }
        if kind == 8 {
            let index = reader.u64("index")?;
            let header = reader.short("header", HEADER_BYTES_MAX)?;
            return Ok(Self::Restore { index, header, body: Box::new(Body::read(reader)?) });
        }
        if !(3..=7).contains(&kind) && !(9..=11).contains(&kind) {
            return Err(FormError::Malformed { field: "command" });
        }
        let stamp = Timestamp::from_bytes(&reader.array("stamp")?);
        match kind {
            3 => Ok(Self::Retire { stamp, node: NodeId(reader.u64("node")?) }),
            4 => Ok(Self::Replace { stamp, node: NodeId(reader.u64("node")?) }),
            5 => {
                let name = reader.text("name", NAME_BYTES_MAX)?;
                let kind = NamespaceKind::read(reader)?;
                let slots = reader.u32("slots")?;
                if name.is_empty() || !slots.is_power_of_two() || slots > SLOTS_MAX {
                    return Err(FormError::Malformed { field: "namespace" });
                }
                Ok(Self::CreateNamespace { stamp, name, kind, slots })
            }
            6 => Ok(Self::Seal { stamp }),
            7 => {
                let (node, survivor) = (NodeId(reader.u64("node")?), NodeId(reader.u64("survivor")?));
                Ok(Self::Recover { stamp, node, survivor })
            }
            9 => {
                let version = reader.u64("version")?;
                let registry = Registry::from_bytes(&reader.long("registry", REGISTRY_BYTES_MAX)?)?;
                Ok(Self::Resume { stamp, version, registry: Box::new(registry) })
            }
            10 => {
                let namespace = read_namespace(reader)?;
                let name = reader.text("name", NAME_BYTES_MAX)?;
                if name.is_empty() {
                    return Err(FormError::Malformed { field: "namespace" });
                }
                Ok(Self::RenameNamespace { stamp, namespace, name })
            }
            _ => Ok(Self::DeleteNamespace { stamp, namespace: read_namespace(reader)? }),
        }
    }
}

fn record_bytes_max(header: &Bytes, body: &Body) -> usize {
    let metadata = body.metadata.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    header.len() + body.key.len() + metadata + body.value.len() + 256
}

fn read_append(reader: &mut Reader) -> Result<AppendCommand, FormError> {
    let header = reader.short("header", HEADER_BYTES_MAX)?;
    let body = Body::read(reader)?;
    let idempotency = if reader.flag("idempotency")? { Some(reader.array("idempotency")?) } else { None };
    let condition = match reader.u8("condition")? {
        0 => None,
        1 => Some(Condition::Absent),
        2 => Some(Condition::Index(reader.u64("condition")?)),
        _ => return Err(FormError::Malformed { field: "condition" }),
    };
    Ok(AppendCommand { header, body, idempotency, condition })
}

impl Entry {
    /// The entry's bytes.
    ///
    /// # Errors
    /// [`FormError`] when the entry or a part of it is beyond its bound.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        bounded("commands", self.commands.len(), ENTRY_COMMANDS_MAX)?;
        let mut out = Vec::with_capacity(8 + self.commands.iter().map(Command::bytes_max).sum::<usize>());
        out.push(VERSION);
        put_count(&mut out, self.commands.len());
        for command in &self.commands {
            command.write(&mut out)?;
        }
        bounded("entry", out.len(), ENTRY_BYTES_MAX)?;
        Ok(out.into())
    }

    /// Reads [`Self::to_bytes`]; values share the memory of `bytes`.
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormError> {
        bounded("entry", bytes.len(), ENTRY_BYTES_MAX)?;
        let mut reader = Reader::new(bytes);
        reader.version("entry", VERSION)?;
        let count = reader.count("commands", ENTRY_COMMANDS_MAX)?;
        let commands = (0..count).map(|_| Command::read(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { commands })
    }
}
