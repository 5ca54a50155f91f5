//! openraft's network: one [`Peer`] for each task that talks to a node.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use tokio::time::timeout;
use trine_crdt::WriterId;

use super::addresses::Addresses;
use super::append::{self, AppendConnection};
use super::control::Control;
use super::dial::Dialer;
use super::frame;
use super::limits::{CONTROL_FRAME_BYTES_MAX, PREFIX_PATIENCE, RETRY_PAUSE};
use super::wire::{AppendForm, Call, EntryForm, Lane, PrefixStep, Reply};
use crate::hold::Known;
use crate::prefix::Prefix;
use crate::types::{Member, Snapshot, TypeConfig, Vote};

/// Makes [`Peer`]s; control connections are shared between them and outlive them.
#[derive(Clone)]
pub struct Network {
    dialer: Dialer,
    controls: Arc<Mutex<BTreeMap<(u64, String), Control>>>,
}

impl Network {
    /// None is connected yet.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer, controls: Arc::default() }
    }

    fn control(&self, target: u64, member: &Member) -> Control {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (target, member.address.clone());
        let new = || Control::new(self.dialer.clone(), Some(target), member.clone());
        controls.entry(key).or_insert_with(new).clone()
    }

    /// Forgets connections with nodes that are not members any more.
    pub fn retain(&self, members: &BTreeMap<u64, &Member>) {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.retain(|(node, _), _| members.contains_key(node));
        self.dialer.reach.retain(|name| members.values().any(|member| member.name == name));
    }

    /// Where members are, as they say.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.dialer.addresses
    }

    /// Asks whoever is at a founder's address whether it is empty.
    ///
    /// # Errors
    /// When it cannot be reached or does not say.
    pub async fn ask_empty(&self, member: &Member, patience: Duration) -> io::Result<(u64, bool)> {
        let control = Control::new(self.dialer.clone(), None, member.clone());
        match control.call(Call::Empty, patience).await? {
            Reply::Empty { node, empty } => Ok((node, empty)),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks a member what it knows of this node; none when it does not say.
    pub async fn ask_known(&self, target: u64, member: &Member, patience: Duration) -> Option<Known> {
        match self.control(target, member).call(Call::Known, patience).await {
            Ok(Reply::Known { writer, acknowledged, committed }) => {
                Some(Known { writer: writer.map(WriterId), acknowledged, committed })
            }
            _ => None,
        }
    }

    fn peer(&self, target: u64, member: &Member, lane: Lane) -> Peer {
        Peer {
            dialer: self.dialer.clone(),
            control: self.control(target, member),
            target,
            member: member.clone(),
            lane,
            appends: None,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &Member) -> Peer {
        self.peer(target, node, Lane::Append)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Peer {
        self.peer(target, node, Lane::Control)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Peer {
        self.peer(target, node, Lane::Prefix)
    }
}

/// One node, as one of openraft's tasks reaches it.
pub struct Peer {
    dialer: Dialer,
    control: Control,
    target: u64,
    member: Member,
    lane: Lane,
    appends: Option<AppendConnection>,
}

impl Peer {
    async fn ask(&self, call: Call, patience: Duration) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.control.call(call, patience).await.map_err(|error| self.unreachable(&error))? {
            Reply::Vote(response) => Ok(response),
            other => Err(self.unreachable(&unexpected(&other))),
        }
    }

    async fn heartbeat(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        patience: Duration,
    ) -> Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>> {
        let call = Call::Heartbeat(AppendForm::new(0, request));
        match self.control.call(call, patience).await.map_err(|error| self.unreachable(&error))? {
            Reply::Appended(answer) => Ok(answer.into()),
            other => Err(self.unreachable(&unexpected(&other))),
        }
    }

    fn unreachable(&self, error: &io::Error) -> RPCError<TypeConfig> {
        RPCError::Unreachable(Unreachable::from_string(format!("{}: {error}", self.member)))
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(match reply {
        Reply::Refused(reason) => format!("refused: {reason}"),
        other => format!("unexpected answer {other:?}"),
    })
}

impl NetStreamAppend<TypeConfig> for Peer {
    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>, RPCError<TypeConfig>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            if self.lane == Lane::Control {
                let answers = match input.next().await {
                    Some(request) => vec![self.heartbeat(request, option.hard_ttl()).await],
                    None => Vec::new(),
                };
                let answers: BoxStream<'s, _> = Box::pin(stream::iter(answers));
                return Ok(answers);
            }
            let connection = match self.appends.take() {
                Some(connection) if !connection.is_stale() && self.dialer.is_current(connection.greeting()).is_ok() => {
                    connection
                }
                _ => {
                    match self.dialer.dial(Some(self.target), &self.member, Lane::Append).await {
                        Ok(dialled) => AppendConnection::new(dialled),
                        Err(error) => {
                            // openraft pauses when a request is taken from `input`, and none was: it would dial a
                            // node that is down again and again without a rest.
                            tokio::time::sleep(RETRY_PAUSE).await;
                            return Err(self.unreachable(&error));
                        }
                    }
                }
            };
            let (member, dialer) = (self.member.clone(), self.dialer.clone());
            let made = connection.greeting().clone();
            let outdated = {
                let (member, dialer, made) = (member.clone(), dialer.clone(), made.clone());
                async move { dialer.outdated(&member, &made).await }
            };
            let input = {
                let (dialer, made) = (dialer.clone(), made.clone());
                input.map(move |request| dialer.is_current(&made).map(|()| request))
            };
            // A node that says it is elsewhere answers no more here; the stream ends, and the next one goes there.
            let answers = append::session(&mut self.appends, connection, input).take_until(Box::pin(outdated));
            let answers = answers.map(move |answer| match dialer.is_current(&made).and(answer) {
                Ok(answer) => {
                    dialer.reach.answered(&member);
                    Ok(answer)
                }
                Err(error) => {
                    dialer.reach.failed(&member, &error);
                    Err(RPCError::Network(NetworkError::from_string(format!("{member}: {error}"))))
                }
            });
            let answers: BoxStream<'s, _> = Box::pin(answers);
            Ok(answers)
        })
    }
}

impl NetVote<TypeConfig> for Peer {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Call::Vote(request), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Call::PreVote(request), option.hard_ttl()).await
    }
}

impl NetTransferLeader<TypeConfig> for Peer {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<openraft::raft::TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let call = Call::Transfer(request.into());
        match self.control.call(call, option.hard_ttl()).await.map_err(|error| self.unreachable(&error))? {
            Reply::Transfer(Ok(())) => Ok(Ok(())),
            Reply::Transfer(Err(reason)) => Err(self.unreachable(&io::Error::other(reason))),
            other => Err(self.unreachable(&unexpected(&other))),
        }
    }
}

impl NetBackoff<TypeConfig> for Peer {
    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY_PAUSE)))
    }
}

impl NetSnapshot<TypeConfig> for Peer {
    type SnapshotData = Prefix;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let member = self.member.clone();
        let failed = |error: io::Error| NetworkError::from_string(format!("{member}: {error}"));
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.send_prefix(vote, snapshot) => {
                let vote = sent.map_err(failed)?;
                Ok(SnapshotResponse::new(vote))
            }
        }
    }
}

impl Peer {
    async fn send_prefix(&self, vote: Vote, snapshot: Snapshot) -> io::Result<Vote> {
        const ENTRIES: usize = 256;
        const BYTES: usize = 1024 * 1024;
        let mut connection = self.dialer.dial(Some(self.target), &self.member, Lane::Prefix).await?;
        let writer = &mut connection.writer;
        timeout(PREFIX_PATIENCE, frame::write(writer, &PrefixStep::begin(vote, &snapshot.meta))).await??;
        let mut entries = snapshot.snapshot.entries();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            bytes += crate::log::recent::weight(&entry);
            batch.push(EntryForm::from(entry));
            if batch.len() >= ENTRIES || bytes >= BYTES {
                let step = PrefixStep::Entries(std::mem::take(&mut batch));
                timeout(PREFIX_PATIENCE, frame::write(writer, &step)).await??;
                bytes = 0;
            }
        }
        timeout(PREFIX_PATIENCE, frame::write(writer, &PrefixStep::Entries(batch))).await??;
        timeout(PREFIX_PATIENCE, frame::write(writer, &PrefixStep::End)).await??;
        let answer = timeout(PREFIX_PATIENCE, connection.reader.expect(CONTROL_FRAME_BYTES_MAX)).await?;
        self.dialer.is_current(&connection.greeting)?;
        answer
    }
}
