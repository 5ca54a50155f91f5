//! Answering: what comes on a greeted connection goes to Raft, the answers go back.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::VoteRequest;
use openraft::storage::{RaftStateMachine, Snapshot as OpenraftSnapshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use trine_replica::effect::Roster;

use super::frame::{self, FrameReader};
use super::limits::{
    APPEND_REQUESTS_MAX, BULK_FRAME_BYTES_MAX, CONTROL_CALLS_MAX, CONTROL_FRAME_BYTES_MAX, IDLE_SERVER,
    PREFIX_PATIENCE, TERM_JUMP_MAX,
};
use super::processes::Processes;
use super::wire::{AppendForm, Appended, Call, Numbered, PrefixStep, Reply};
use crate::foreign::Foreign;
use crate::heard::Heard;
use crate::hold::Hold;
use crate::log::{LogStore, Origin};
use crate::prefix::{Prefix, Spool};
use crate::types::{Entry, Raft, TypeConfig, Types};

/// Raft, as callers reach it.
#[derive(Clone)]
pub struct Service {
    /// This node's id.
    pub node: u64,
    /// Raft.
    pub raft: Raft,
    /// The log, to say whether it is empty.
    pub log: LogStore,
    /// Told of each leader that speaks.
    pub heard: Heard,
    /// Where a received prefix is spooled.
    pub directory: PathBuf,
    /// The roster, to say what it knows of a caller.
    pub roster: watch::Receiver<Roster>,
    /// Whether this node votes.
    pub hold: Hold,
    /// Names of nodes that called and are of another group.
    pub foreign: Foreign,
    /// Which process of a node is spoken with.
    pub processes: Processes,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its id, as it says; bound to its certificate's name as far as membership knows the id.
    pub node: u64,
    /// The name in its certificate.
    pub name: String,
    /// Whether it meant this very node.
    pub meant: bool,
    /// The group of its log, as its hello said.
    pub origin: Option<Origin>,
    /// Its process.
    pub process: u64,
}

impl Service {
    /// Why a caller may not connect: it is of another group, or uses the id of a member with another name.
    #[must_use]
    pub fn refuses(&self, node: u64, name: &str, origin: Option<Origin>) -> Option<String> {
        let refused = Origin::refuses(*self.log.origin().borrow(), origin);
        self.foreign.called(name, refused.as_deref());
        if refused.is_some() {
            return refused;
        }
        let metrics = self.raft.metrics().borrow_watched().membership_config.clone();
        let member = metrics.get_node(&node)?;
        (member.name != name).then(|| format!("node {node:016x} is {}, not {name}", member.name))
    }

    /// Why Raft takes nothing from a caller: its hello named no group, or another than that which this node has come into
    /// since, or its node answers from another process by now. It dials anew, and is judged by what it says then.
    fn outdated(&self, caller: &Caller) -> Option<String> {
        let here = *self.log.origin().borrow();
        if here.is_some() && here != caller.origin {
            return Some("this connection was made before it had a group".to_owned());
        }
        self.processes.refuses(caller.node, caller.process)
    }

    /// Serves a control connection.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn control<R, W>(self, caller: Caller, mut reader: FrameReader<R>, mut writer: W) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut calls = JoinSet::new();
        let room = Arc::new(Semaphore::new(CONTROL_CALLS_MAX));
        loop {
            tokio::select! {
                Some(done) = calls.join_next() => {
                    let reply: Numbered<Reply> = done.map_err(io::Error::other)?;
                    timeout(IDLE_SERVER, frame::write(&mut writer, &reply)).await??;
                }
                read = timeout(IDLE_SERVER, reader.next(CONTROL_FRAME_BYTES_MAX)), if room.available_permits() > 0 => {
                    let Some(bytes) = read?? else { return Ok(()) };
                    let Numbered { number, body } = frame::decode::<Numbered<Call>>(&bytes)?;
                    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
                    let (service, caller) = (self.clone(), caller.clone());
                    calls.spawn(async move {
                        let body = service.answer(&caller, body).await;
                        drop(permit);
                        Numbered { number, body }
                    });
                }
            }
        }
    }

    async fn answer(&self, caller: &Caller, call: Call) -> Reply {
        if !caller.meant && call != Call::Empty {
            return Reply::Refused("say whom you mean".to_owned());
        }
        if !matches!(call, Call::Empty | Call::Known)
            && let Some(reason) = self.outdated(caller)
        {
            return Reply::Refused(reason);
        }
        let stopped = |error: &dyn std::fmt::Display| Reply::Refused(format!("stopping: {error}"));
        match call {
            Call::Heartbeat(form) => match form.into_request() {
                Ok(request) => {
                    self.heard.note(&request.vote);
                    let (before, last) = (request.prev_log_id, request.entries.last().map(|entry| entry.log_id));
                    match self.raft.append_entries(request).await {
                        Ok(response) => Reply::Appended(response.into_stream_result(before, last.or(before)).into()),
                        Err(error) => stopped(&error),
                    }
                }
                Err(reason) => Reply::Refused(reason),
            },
            Call::Vote(request) => match self.refuses_vote(caller, &request) {
                Some(reason) => Reply::Refused(reason),
                None => self.raft.vote(request).await.map_or_else(|error| stopped(&error), Reply::Vote),
            },
            Call::PreVote(request) => match self.refuses_vote(caller, &request) {
                Some(reason) => Reply::Refused(reason),
                None => self.raft.pre_vote(request).await.map_or_else(|error| stopped(&error), Reply::Vote),
            },
            Call::Transfer(_) if self.hold.why().is_some() => Reply::Refused(self.hold.why().unwrap_or_default()),
            Call::Transfer(form) => match self.raft.handle_transfer_leader(form.into()).await {
                Ok(taken) => Reply::Transfer(taken.map_err(|error| error.to_string())),
                Err(error) => stopped(&error),
            },
            Call::Known => self.known(caller.node),
            Call::Empty => Reply::Empty { node: self.node, empty: self.log.is_empty() },
        }
    }

    /// What is known here of a member.
    fn known(&self, node: u64) -> Reply {
        let roster = self.roster.borrow().clone();
        let on = roster.nodes.iter().find(|on| on.node.0 == node);
        let metrics = self.raft.metrics().borrow_watched().clone();
        let leads = metrics.state.is_leader();
        let matched = metrics.replication.as_ref().and_then(|matched| matched.get(&node).copied().flatten());
        Reply::Known {
            writer: on.map(|on| on.writer.0),
            acknowledged: matched.map(|id| id.index),
            committed: metrics.local_committed.map(|id| id.index).filter(|_| leads),
        }
    }

    /// Why a vote is not even considered: who asks is no member, asks for another, or names an absurd term; or this node's
    /// word counts for nothing.
    fn refuses_vote(&self, caller: &Caller, request: &VoteRequest<TypeConfig>) -> Option<String> {
        if let Some(why) = self.hold.refuses(caller.node) {
            return Some(why);
        }
        let metrics = self.raft.metrics().borrow_watched().clone();
        let candidate = request.vote.leader_id().node;
        if candidate != caller.node {
            return Some(format!("node {:016x} asks for node {candidate:016x}", caller.node));
        }
        if request.vote.leader_id().term > metrics.current_term.saturating_add(TERM_JUMP_MAX) {
            return Some(format!("term {} is absurd", request.vote.leader_id().term));
        }
        stranger(&self.raft, request)
    }

    /// Serves an append connection: one stream into Raft for each session.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn append<R, W>(self, caller: &Caller, mut reader: FrameReader<R>, writer: W) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (answers, answering) = mpsc::channel(APPEND_REQUESTS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(write_all(writer, answering));
        let mut current: Option<(u64, mpsc::Sender<_>)> = None;
        loop {
            let bytes = tokio::select! {
                Some(ended) = tasks.join_next() => {
                    ended.map_err(io::Error::other)??;
                    continue;
                }
                read = timeout(IDLE_SERVER, reader.next(BULK_FRAME_BYTES_MAX)) => match read?? {
                    Some(bytes) => bytes,
                    None => return Ok(()),
                },
            };
            let form: AppendForm = frame::decode(&bytes)?;
            let session = form.session;
            let request = form.into_request().map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
            if let Some(reason) = self.outdated(caller) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
            }
            self.heard.note(&request.vote);
            if current.as_ref().is_none_or(|(running, _)| *running != session) {
                let (requests, incoming) = mpsc::channel(1);
                let incoming = stream::unfold(incoming, |mut incoming: mpsc::Receiver<_>| async move {
                    incoming.recv().await.map(|request| (request, incoming))
                });
                let mut results = Box::pin(self.raft.stream_append(incoming));
                let answers = answers.clone();
                tasks.spawn(async move {
                    while let Some(result) = results.next().await {
                        let answer = result.map_err(io::Error::other)?.into();
                        if answers.send(Appended { session, answer }).await.is_err() {
                            break;
                        }
                    }
                    Ok(())
                });
                current = Some((session, requests));
            }
            if let Some((_, requests)) = &current {
                // A session that ended by a conflict takes no more requests; the leader is told and starts another.
                let _ = requests.send(request).await;
            }
        }
    }

    /// Receives a log's prefix.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn prefix<R, W>(self, caller: &Caller, mut reader: FrameReader<R>, mut writer: W) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let first: PrefixStep = timeout(PREFIX_PATIENCE, reader.expect(BULK_FRAME_BYTES_MAX)).await??;
        let (vote, meta) = first.begun().ok_or_else(invalid)?;
        let limit = meta.last_log_id.map_or(0, |last| last.index + 1);
        let mut spool = Spool::new(&self.directory)?;
        let mut next = None;
        loop {
            match timeout(PREFIX_PATIENCE, reader.expect(BULK_FRAME_BYTES_MAX)).await?? {
                PrefixStep::Entries(forms) => {
                    let entries: Vec<Entry> =
                        forms.into_iter().map(Entry::try_from).collect::<Result<_, _>>().map_err(|_| invalid())?;
                    for entry in &entries {
                        let index = entry.log_id.index;
                        if next.is_some_and(|next| next != index) || index >= limit {
                            return Err(invalid());
                        }
                        next = Some(index + 1);
                    }
                    let push: JoinHandle<io::Result<Spool>> = tokio::task::spawn_blocking(move || {
                        spool.push(&entries)?;
                        Ok(spool)
                    });
                    spool = push.await.map_err(io::Error::other)??;
                }
                PrefixStep::End => break,
                PrefixStep::Begin { .. } => return Err(invalid()),
            }
        }
        if let Some(reason) = self.outdated(caller) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let snapshot = OpenraftSnapshot { meta, snapshot: Prefix::received(spool.finish()?) };
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(io::Error::other)?;
        frame::write(&mut writer, &response.vote).await
    }
}

/// Why a candidate is no member. A node that is not initialised knows no members and takes the vote of whoever founds
/// the group.
pub fn stranger<C: Types, M: RaftStateMachine<C>>(
    raft: &openraft::Raft<C, M>,
    request: &VoteRequest<C>,
) -> Option<String> {
    let membership = raft.metrics().borrow_watched().membership_config.clone();
    let candidate = request.vote.leader_id().node;
    let unknown = membership.nodes().next().is_some() && membership.get_node(&candidate).is_none();
    unknown.then(|| format!("node {candidate:016x} is no member"))
}

async fn write_all<W: AsyncWrite + Unpin>(mut writer: W, mut answers: mpsc::Receiver<Appended>) -> io::Result<()> {
    while let Some(answer) = answers.recv().await {
        timeout(IDLE_SERVER, frame::write(&mut writer, &answer)).await??;
    }
    Ok(())
}
