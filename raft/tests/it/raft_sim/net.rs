//! A network that loses, delays, repeats and reorders. What is sent is judged before it leaves.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use openraft::AsyncRuntime as _;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft_rt_sim::SimRuntime;
use trine_raft::net::serve::stranger;
use trine_raft::prefix::Prefix;
use trine_raft::types::{Entry, Member, SnapshotMeta, Vote};

use super::Simulated;
use super::node::{Live, Raft};
use super::story::World;

type Snapshot = openraft::alias::SnapshotOf<Simulated, Prefix>;
type Sent = (Vote, SnapshotMeta, Vec<Entry>);
type Failed = RPCError<Simulated>;

/// Requests on their way to one node, for those that do not wait for each answer.
const PIPELINE: usize = 6;

/// Makes [`Peer`]s for one incarnation of a node.
pub struct Network {
    pub world: Arc<World>,
    pub from: Arc<Live>,
}

/// One node as another reaches it.
#[derive(Clone)]
pub struct Peer {
    world: Arc<World>,
    from: Arc<Live>,
    to: u64,
}

impl RaftNetworkFactory<Simulated> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &Member) -> Peer {
        Peer { world: self.world.clone(), from: self.from.clone(), to: target }
    }
}

fn lost(what: &str) -> Failed {
    RPCError::Unreachable(Unreachable::from_string(what))
}

impl Peer {
    /// Sends a request on its way, perhaps twice, and waits for an answer as long as the caller would.
    async fn call<Q, A, F>(&self, patience: Duration, name: &'static str, request: Q, serve: F) -> Result<A, Failed>
    where
        Q: Clone + Send + 'static,
        A: Send + 'static,
        F: AsyncServe<Q, A>,
    {
        if !self.from.is_alive() {
            SimRuntime::sleep(patience).await;
            return Err(lost("this node is dead"));
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        let mut answer = Some(answer);
        for _ in 0..self.world.copies() {
            let (answer, request, serve) = (answer.take(), request.clone(), serve.clone());
            let Self { world, from, to } = self.clone();
            let there = world.route(from.node, to, name);
            drop(SimRuntime::spawn(async move {
                let Some(delay) = there else { return };
                SimRuntime::sleep(delay).await;
                let Some(live) = world.reach(from.node, to) else { return };
                world.judge().event(&format!("{name} {} -> {to}", from.node));
                let Some(result) = serve.serve(live.clone(), from.clone(), request).await else { return };
                let Some(delay) = world.route(to, from.node, name).filter(|_| live.is_alive()) else { return };
                SimRuntime::sleep(delay).await;
                if let Some(answer) = answer.filter(|_| world.reach(to, from.node).is_some()) {
                    let _ = answer.send(result);
                }
            }));
        }
        match SimRuntime::timeout(patience, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => {
                // Nobody tells that a message was lost; a connection that breaks does.
                SimRuntime::sleep(patience / 2).await;
                Err(lost("lost"))
            }
            Err(_) => Err(lost("no answer in time")),
        }
    }

    async fn append(
        &self,
        patience: Duration,
        request: AppendEntriesRequest<Simulated>,
    ) -> Result<StreamAppendResult<Simulated>, Failed> {
        if self.from.is_alive() {
            self.world.judge().leads(self.from.node, &request.vote);
        }
        let (before, last) = (request.prev_log_id, request.entries.last().map(|entry| entry.log_id));
        let name = if request.entries.is_empty() { "heartbeat" } else { "append" };
        let answer: AppendEntriesResponse<Simulated> = self
            .call(patience, name, request, |live: Arc<Live>, _, request| async move {
                live.raft().append_entries(request).await.ok()
            })
            .await?;
        Ok(answer.into_stream_result(before, last.or(before)))
    }

    async fn ask(
        &self,
        patience: Duration,
        name: &'static str,
        request: VoteRequest<Simulated>,
    ) -> Result<VoteResponse<Simulated>, Failed> {
        let real = name == "vote";
        if real && self.from.is_alive() {
            self.world.judge().votes(self.from.node, &request.vote, self.from.log.vote());
        }
        let world = self.world.clone();
        self.call(patience, name, request, move |live: Arc<Live>, _, request: VoteRequest<Simulated>| {
            let world = world.clone();
            async move {
                let raft = live.raft();
                if stranger(&raft, &request).is_some() {
                    return None;
                }
                let asked = request.vote;
                let answer = if real { raft.vote(request).await } else { raft.pre_vote(request).await }.ok()?;
                if real && answer.vote_granted && live.is_alive() {
                    world.judge().votes(live.node, &asked, live.log.vote());
                }
                Some(answer)
            }
        })
        .await
    }
}

/// What a node does with a request; none when it does not answer.
trait AsyncServe<Q, A>: Clone + Send + 'static {
    fn serve(&self, live: Arc<Live>, from: Arc<Live>, request: Q) -> impl Future<Output = Option<A>> + Send;
}

impl<Q, A, F, R> AsyncServe<Q, A> for F
where
    F: Fn(Arc<Live>, Arc<Live>, Q) -> R + Clone + Send + 'static,
    R: Future<Output = Option<A>> + Send,
{
    fn serve(&self, live: Arc<Live>, from: Arc<Live>, request: Q) -> impl Future<Output = Option<A>> + Send {
        self(live, from, request)
    }
}

impl NetStreamAppend<Simulated> for Peer {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<Simulated>, Failed>>, Failed>>
    where
        S: Stream<Item = AppendEntriesRequest<Simulated>> + Send + Unpin + 'static,
    {
        let (peer, patience) = (self.clone(), option.hard_ttl());
        let answers = input
            .map(move |request| {
                let peer = peer.clone();
                async move {
                    let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
                    let answer = peer.append(patience, request).await;
                    let whole = matches!(&answer, Ok(Ok(upto)) if *upto == last);
                    (answer, whole)
                }
            })
            .buffered(PIPELINE);
        // As on a connection: the first answer that is not a success is the last one.
        let answers = stream::unfold(Some(Box::pin(answers)), |answers| async move {
            let mut answers = answers?;
            let (answer, whole) = answers.next().await?;
            Some((answer, whole.then_some(answers)))
        });
        let answers: BoxStream<'s, _> = Box::pin(answers);
        Box::pin(async move { Ok(answers) })
    }
}

impl NetVote<Simulated> for Peer {
    async fn vote(
        &mut self,
        request: VoteRequest<Simulated>,
        option: RPCOption,
    ) -> Result<VoteResponse<Simulated>, Failed> {
        self.ask(option.hard_ttl(), "vote", request).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Simulated>,
        option: RPCOption,
    ) -> Result<VoteResponse<Simulated>, Failed> {
        self.ask(option.hard_ttl(), "pre-vote", request).await
    }
}

impl NetTransferLeader<Simulated> for Peer {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Simulated>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Simulated>, Failed> {
        self.call(option.hard_ttl(), "transfer", request, |live: Arc<Live>, _, request| async move {
            live.raft().handle_transfer_leader(request).await.ok()
        })
        .await
    }
}

impl NetBackoff<Simulated> for Peer {
    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(Duration::from_millis(100))))
    }
}

impl NetSnapshot<Simulated> for Peer {
    type SnapshotData = Prefix;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Simulated>, StreamingError<Simulated>> {
        let Snapshot { meta, snapshot } = snapshot;
        let failed = |what: String| NetworkError::from_string(what);
        let entries: Vec<_> = snapshot.entries().try_collect().await.map_err(|error| failed(error.to_string()))?;
        let world = self.world.clone();
        let sent = self.call(
            Duration::from_secs(10),
            "prefix",
            (vote, meta, entries),
            move |live: Arc<Live>, _, request: Sent| {
                let world = world.clone();
                async move {
                    let (vote, meta, entries) = request;
                    world.judge().event(&format!("{} is sent a prefix up to {:?}", live.node, meta.last_log_id));
                    let raft: Raft = live.raft();
                    let snapshot = Snapshot { meta, snapshot: Prefix::of_entries(entries) };
                    let answer = raft.install_full_snapshot(vote, snapshot).await.ok()?;
                    world.count(|count| count.prefixes += 1);
                    Some(answer)
                }
            },
        );
        match futures::future::select(Box::pin(cancel), Box::pin(sent)).await {
            futures::future::Either::Left((closed, _)) => Err(closed.into()),
            futures::future::Either::Right((answer, _)) => answer.map_err(|error| failed(error.to_string()).into()),
        }
    }
}
