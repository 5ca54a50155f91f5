//! What nodes of a region say to each other on Raft's connections. Version 1.
//!
//! [`Hello`] keeps its shape for ever: whoever knows an older version must read it.

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use trine_crdt::VersionRange;

use crate::log::Origin;
use crate::membership::MembershipForm;
use crate::types::{AppData, Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig, Vote};

/// The versions of this module's forms that this program speaks.
pub const VERSIONS: VersionRange = VersionRange { lowest: 1, highest: 1 };

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Small urgent calls.
    Control,
    /// Log entries.
    Append,
    /// A log's prefix.
    Prefix,
}

/// The first frame, from who dials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The versions that the caller speaks.
    pub versions: VersionRange,
    /// Who dials.
    pub from: u64,
    /// Who is meant; none asks whoever is there, only for [`Call::Empty`].
    pub to: Option<u64>,
    /// What for.
    pub lane: Lane,
    /// The group of who dials; none while its log is empty.
    pub origin: Option<Origin>,
    /// The process that dials: two may claim one disk.
    pub process: u64,
}

/// The answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// Go on.
    Yes {
        /// Who answers.
        node: u64,
        /// The process that answers.
        process: u64,
        /// What is spoken from here on: the newest version that both know.
        version: u16,
    },
    /// Another node lives here now, or another version.
    No {
        /// Why.
        reason: String,
    },
}

/// A log entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryForm {
    id: LogId,
    body: BodyForm,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum BodyForm {
    Blank,
    Entry(Bytes),
    Membership(MembershipForm),
}

impl From<Entry> for EntryForm {
    fn from(entry: Entry) -> Self {
        let body = match entry.payload {
            EntryPayload::Blank => BodyForm::Blank,
            EntryPayload::Normal(data) => BodyForm::Entry(data.0),
            EntryPayload::Membership(membership) => BodyForm::Membership((&membership).into()),
        };
        Self { id: entry.log_id, body }
    }
}

impl TryFrom<EntryForm> for Entry {
    type Error = String;

    fn try_from(form: EntryForm) -> Result<Self, String> {
        let payload = match form.body {
            BodyForm::Blank => EntryPayload::Blank,
            BodyForm::Entry(bytes) if bytes.len() > trine_ledger::limits::ENTRY_BYTES_MAX => {
                return Err(format!("an entry of {} bytes", bytes.len()));
            }
            BodyForm::Entry(bytes) => EntryPayload::Normal(AppData(bytes)),
            BodyForm::Membership(membership) => EntryPayload::Membership(membership.try_into()?),
        };
        Ok(Self { log_id: form.id, payload })
    }
}

/// A leader's request to append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendForm {
    /// Names the stream that the request belongs to; a new one starts afresh after a conflict.
    pub session: u64,
    vote: Vote,
    before: Option<LogId>,
    commit: Option<LogId>,
    entries: Vec<EntryForm>,
}

impl AppendForm {
    /// As it travels.
    #[must_use]
    pub fn new(session: u64, request: AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            session,
            vote: request.vote,
            before: request.prev_log_id,
            commit: request.leader_commit,
            entries: request.entries.into_iter().map(Into::into).collect(),
        }
    }

    /// As openraft wants it.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub fn into_request(self) -> Result<AppendEntriesRequest<TypeConfig>, String> {
        Ok(AppendEntriesRequest {
            vote: self.vote,
            prev_log_id: self.before,
            leader_commit: self.commit,
            entries: self.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?,
        })
    }
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppendedForm {
    /// Durable up to here.
    Upto(Option<LogId>),
    /// The entry before is another one here.
    Conflict(LogId),
    /// A newer leader is known here.
    Higher(Vote),
}

impl From<StreamAppendResult<TypeConfig>> for AppendedForm {
    fn from(result: StreamAppendResult<TypeConfig>) -> Self {
        match result {
            Ok(upto) => Self::Upto(upto),
            Err(StreamAppendError::Conflict(id)) => Self::Conflict(id),
            Err(StreamAppendError::HigherVote(vote)) => Self::Higher(vote),
        }
    }
}

impl From<AppendedForm> for StreamAppendResult<TypeConfig> {
    fn from(form: AppendedForm) -> Self {
        match form {
            AppendedForm::Upto(upto) => Ok(upto),
            AppendedForm::Conflict(id) => Err(StreamAppendError::Conflict(id)),
            AppendedForm::Higher(vote) => Err(StreamAppendError::HigherVote(vote)),
        }
    }
}

/// An append's answer with its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appended {
    /// The request's session.
    pub session: u64,
    /// The answer.
    pub answer: AppendedForm,
}

/// A control call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// A heartbeat: an append without entries.
    Heartbeat(AppendForm),
    /// May I lead?
    Vote(VoteRequest<TypeConfig>),
    /// Would I get your vote?
    PreVote(VoteRequest<TypeConfig>),
    /// Lead, if you can.
    Transfer(TransferForm),
    /// Are you there, and is your log empty?
    Empty,
    /// What do you know of me?
    Known,
}

/// A request to take over leadership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferForm {
    from: Vote,
    to: u64,
    last: Option<LogId>,
}

impl From<TransferLeaderRequest<TypeConfig>> for TransferForm {
    fn from(request: TransferLeaderRequest<TypeConfig>) -> Self {
        Self { from: *request.from_leader(), to: *request.to_node_id(), last: request.last_log_id().copied() }
    }
}

impl From<TransferForm> for TransferLeaderRequest<TypeConfig> {
    fn from(form: TransferForm) -> Self {
        Self::new(form.from, form.to, form.last)
    }
}

/// A call with the number that its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbered<T> {
    /// The number.
    pub number: u64,
    /// The call or answer.
    pub body: T,
}

/// The answer to a control call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To a heartbeat.
    Appended(AppendedForm),
    /// To a vote or pre-vote.
    Vote(VoteResponse<TypeConfig>),
    /// To a transfer: taken up, or why not.
    Transfer(Result<(), String>),
    /// To [`Call::Empty`].
    Empty {
        /// Who is there.
        node: u64,
        /// Whether it holds neither log nor vote.
        empty: bool,
    },
    /// To [`Call::Known`].
    Known {
        /// The caller's incarnation on the roster.
        writer: Option<[u8; 16]>,
        /// Up to where the caller acknowledged the log, at its leader.
        acknowledged: Option<u64>,
        /// Up to where the log is committed, at its leader.
        committed: Option<u64>,
    },
    /// Not served: who calls may not, or the node is stopping.
    Refused(String),
}

/// A step of a prefix' transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixStep {
    /// Whose, and up to where.
    Begin {
        /// The leader's vote.
        vote: Vote,
        /// The last entry.
        last: Option<LogId>,
        /// Where the membership stands.
        membership_at: Option<LogId>,
        /// The membership there.
        membership: MembershipForm,
    },
    /// Entries, in order.
    Entries(Vec<EntryForm>),
    /// All is said.
    End,
}

impl PrefixStep {
    /// The first step.
    #[must_use]
    pub fn begin(vote: Vote, meta: &SnapshotMeta) -> Self {
        Self::Begin {
            vote,
            last: meta.last_log_id,
            membership_at: *meta.last_membership.log_id(),
            membership: meta.last_membership.membership().into(),
        }
    }

    /// What the first step says; none when this is another.
    #[must_use]
    pub fn begun(self) -> Option<(Vote, SnapshotMeta)> {
        let Self::Begin { vote, last, membership_at, membership } = self else { return None };
        let last_membership = StoredMembership::new(membership_at, membership.try_into().ok()?);
        Some((vote, SnapshotMeta { last_log_id: last, last_membership }))
    }
}
