//! One link: hello, then frames in both directions until it falls silent.
//!
//! The reader takes a frame at a time, only when there is room for it, and hands it to the driver; while the driver
//! is slow nothing is read and TCP holds the peer back. Silence therefore counts only while the reader waits for the
//! peer. The writer sends what the queue holds, and a beat every [`HEARTBEAT_INTERVAL`]; a beat's echo measures the
//! round trip.
//!
//! A link that was replaced by a better one of the same pair sends what it had taken, reads what is still under way,
//! and goes without a word to the driver. One that lost before it began is read for as long: the peer may have taken
//! it for the pair's link for a moment, and what it said first after a cut is what somebody waits for.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter, ReadHalf, WriteHalf};
use libp2p::PeerId;
use libp2p::swarm::{ConnectionId, Stream};
use metrics::{counter, gauge};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use trine_client::framing::{self, FrameError};
use trine_crdt::codec;
use trine_identity::admission::{Claims, Gate, Refusal};
use trine_protocol::Role;

use super::event::{NetEvent, Room};
use super::frame::{LinkFrame, LinkHello};
use super::limits::{
    CLOSE_DELAY, HEARTBEAT_INTERVAL, HELLO_BYTES_MAX, LEAVE_GRACE, LINK_BUFFER_BYTES, LINK_FRAME_BYTES_MAX,
    LINK_HELLO_TIMEOUT, ROOM_UNIT_BYTES, SILENCE_MAX,
};
use super::process::{Process, Taken};
use super::queue::Next;
use super::table::{Link, Phase, Table};

/// Frames up to this length need no room of their own.
const SMALL_BYTES: usize = 64;

/// A stream whose hellos were exchanged and found in order.
pub(super) struct Candidate {
    pub peer: PeerId,
    pub connection: ConnectionId,
    pub ours: bool,
    /// The number in the opener's hello.
    pub number: u64,
    pub hello: LinkHello,
    pub claims: Claims,
    /// Whose process it is.
    pub process: Process,
    reader: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
}

/// Why no link came of a stream.
pub(super) enum Failure {
    /// The peer broke a rule.
    Refused(Refusal),
    /// The stream broke.
    Broken(FrameError),
}

/// Exchanges hellos.
pub(super) async fn establish(
    stream: Stream,
    (peer, connection, ours): (PeerId, ConnectionId, bool),
    own: LinkHello,
    gate: Arc<Gate>,
) -> Result<Candidate, Failure> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(LINK_BUFFER_BYTES, reader);
    let exchange = async {
        let frame = framing::frame(&own, HELLO_BYTES_MAX).unwrap_or_default();
        framing::write_frame(&mut writer, &frame, LINK_HELLO_TIMEOUT).await?;
        framing::read_value::<LinkHello>(&mut reader, HELLO_BYTES_MAX, LINK_HELLO_TIMEOUT).await
    };
    let hello = match timeout(LINK_HELLO_TIMEOUT, exchange).await {
        Err(_) => return Err(Failure::Broken(FrameError::Silence)),
        Ok(Err(FrameError::Length { .. } | FrameError::Undecodable(_))) => return Err(refused("an undecodable hello")),
        Ok(Err(broken)) => return Err(Failure::Broken(broken)),
        Ok(Ok(hello)) => hello,
    };
    let claims = check(&hello, &own, &gate, peer)?;
    let number = if ours { own.number } else { hello.number };
    let process = Process::said(hello.process, hello.running_ms, Instant::now());
    Ok(Candidate { peer, connection, ours, number, hello, claims, process, reader, writer })
}

fn check(hello: &LinkHello, own: &LinkHello, gate: &Gate, peer: PeerId) -> Result<Claims, Failure> {
    let admitted = gate.admitted(&peer).ok_or(Failure::Refused(Refusal::NoCertificate))?;
    if admitted.claims.role != Role::Node {
        return Err(Failure::Refused(Refusal::Role));
    }
    if hello.certificate != admitted.certificate {
        return Err(refused("a hello with another certificate than the connection's"));
    }
    if hello.cluster != own.cluster || admitted.claims.cluster != own.cluster {
        return Err(Failure::Refused(Refusal::Cluster));
    }
    if own.versions.newest_common(hello.versions).is_none() {
        return Err(refused("no version of links in common"));
    }
    if own.levels.newest_common(hello.levels).is_none() {
        return Err(refused("no format level in common"));
    }
    if hello.node == own.node {
        return Err(refused("a hello with this node's own id"));
    }
    Ok(admitted.claims)
}

fn refused(what: &'static str) -> Failure {
    Failure::Refused(Refusal::Conversation { what })
}

/// What all links of a node share.
#[derive(Clone)]
pub(super) struct Shared {
    pub table: Arc<Table>,
    pub gate: Arc<Gate>,
    pub events: mpsc::Sender<NetEvent>,
    pub room: Arc<Semaphore>,
    pub taken: Arc<Taken>,
}

/// The link that stood before, and whether this one replaces it while it stands.
pub(super) type Predecessor = Option<(watch::Receiver<Phase>, bool)>;

/// Serves a link until it ends.
pub(super) async fn run(link: Arc<Link>, candidate: Candidate, before: Predecessor, shared: Shared) {
    let Candidate { reader, writer, .. } = candidate;
    let mut writing = tokio::spawn(write(link.clone(), writer));
    if announce(&link, before, &shared).await {
        let left = async {
            link.leave.notified().await;
            if link.replaced() {
                sleep(LEAVE_GRACE).await;
            }
        };
        let broken = async {
            if let Ok(Ok(())) = (&mut writing).await {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            error = read(&link, reader, &shared) => {
                if let FrameError::Length { .. } | FrameError::Undecodable(_) = error {
                    shared.gate.refuse(Some(link.peer_id), &Refusal::Conversation { what: "an undecodable frame" });
                }
                tracing::debug!(peer = %link.peer.name, %error, "link ends");
            }
            () = left => {}
            () = broken => tracing::debug!(peer = %link.peer.name, "link cannot be written"),
        }
    }
    writing.abort();
    let told = link.end();
    shared.table.remove(&link);
    if told {
        // The driver being gone is no error here: everything ends with it.
        let _ = shared.events.send(NetEvent::PeerDown(link.peer.node)).await;
        link.phase.send_replace(Phase::Down);
    }
}

/// Reads what the peer says on a stream that lost against the pair's standing link, until it ends or the grace is over.
pub(super) async fn drain(standing: Arc<Link>, candidate: Candidate, shared: Shared) {
    let mut phase = standing.phase.subscribe();
    if phase.wait_for(|phase| *phase != Phase::Starting).await.is_ok() {
        let mut reader = candidate.reader;
        let ended = timeout(LEAVE_GRACE, async {
            loop {
                let (frame, room) = next_frame(&mut reader, &shared).await?;
                if let LinkFrame::Message(message) = frame {
                    let event = NetEvent::Message { from: standing.peer.node, message: *message, room };
                    shared.events.send(event).await.map_err(|_| FrameError::Ended)?;
                }
            }
        });
        let ended: Result<Result<(), FrameError>, _> = ended.await;
        tracing::debug!(peer = %standing.peer.name, ?ended, "a second link is over");
    }
}

/// Says that the peer's node is another process, and waits until it may have read that.
pub(super) async fn tell_taken(candidate: Candidate) {
    let Candidate { mut writer, .. } = candidate;
    let frame = framing::frame(&LinkFrame::Taken, LINK_FRAME_BYTES_MAX).unwrap_or_default();
    if framing::write_frame(&mut writer, &frame, LINK_HELLO_TIMEOUT).await.is_ok() {
        sleep(CLOSE_DELAY).await;
    }
}

/// Tells the driver of the peer, unless it knows. False: the driver is gone.
async fn announce(link: &Link, before: Predecessor, shared: &Shared) -> bool {
    let mut known = false;
    if let Some((mut phase, replaced)) = before {
        let settled = if replaced {
            phase.wait_for(|phase| *phase != Phase::Starting).await.map(|phase| *phase)
        } else {
            phase.wait_for(|phase| *phase == Phase::Down).await.map(|phase| *phase)
        };
        known = settled.is_ok_and(|phase| phase == Phase::Up);
    }
    let told = known || shared.events.send(NetEvent::PeerUp(link.peer.clone())).await.is_ok();
    link.phase.send_replace(Phase::Up);
    told
}

async fn read(link: &Link, mut reader: BufReader<ReadHalf<Stream>>, shared: &Shared) -> FrameError {
    let region = link.peer.region.to_string();
    let rtt = gauge!("trine_link_rtt_seconds", "region" => region, "peer" => link.peer.name.clone());
    loop {
        match next_frame(&mut reader, shared).await {
            Err(error) => return error,
            Ok((LinkFrame::Beat(number), _)) => {
                shared.taken.heard();
                link.queue.echo(number);
            }
            Ok((LinkFrame::Echo(number), _)) => {
                if let Some(round_trip) = link.echoed(number) {
                    rtt.set(round_trip.as_secs_f64());
                }
            }
            Ok((LinkFrame::Taken, _)) => {
                if shared.taken.told(Instant::now()) {
                    let _ = shared.events.send(NetEvent::Taken { by: link.peer.clone() }).await;
                }
                return FrameError::Ended;
            }
            Ok((LinkFrame::Message(message), room)) => {
                let event = NetEvent::Message { from: link.peer.node, message: *message, room };
                if shared.events.send(event).await.is_err() {
                    return FrameError::Ended;
                }
            }
        }
    }
}

async fn next_frame(
    reader: &mut BufReader<ReadHalf<Stream>>,
    shared: &Shared,
) -> Result<(LinkFrame, Room), FrameError> {
    let length = framing::read_length(reader, LINK_FRAME_BYTES_MAX, SILENCE_MAX, SILENCE_MAX).await?;
    let room = room_for(&shared.room, length).await;
    let body = framing::read_body(reader, length, SILENCE_MAX).await?;
    counter!("trine_link_received_bytes_total").increment(4 + length as u64);
    Ok((codec::decode(&body)?, room))
}

/// Waits until there is room for `bytes`.
pub(super) async fn room_for(room: &Arc<Semaphore>, bytes: usize) -> Room {
    if bytes <= SMALL_BYTES {
        return Room(Vec::new());
    }
    let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
    Room(room.clone().acquire_many_owned(units).await.into_iter().collect())
}

async fn write(link: Arc<Link>, writer: WriteHalf<Stream>) -> std::io::Result<()> {
    let region = link.peer.region.to_string();
    let queued = gauge!("trine_link_queue_bytes", "region" => region.clone(), "peer" => link.peer.name.clone());
    let sent = ["control", "data", "bulk"]
        .map(|class| counter!("trine_link_bytes_total", "region" => region.clone(), "class" => class));
    let mut writer = BufWriter::with_capacity(LINK_BUFFER_BYTES, writer);
    let mut beats = interval(HEARTBEAT_INTERVAL);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        match link.queue.pop() {
            Next::Frame(class, frame) => {
                sent[class as usize].increment(frame.len() as u64);
                writer.write_all(&frame).await?;
            }
            Next::Echo(number) => write_own(&mut writer, &LinkFrame::Echo(number)).await?,
            Next::Empty => {
                writer.flush().await?;
                queued.set(link.queue.bytes() as f64);
                tokio::select! {
                    _ = beats.tick() => {
                        number += 1;
                        link.beat(number);
                        write_own(&mut writer, &LinkFrame::Beat(number)).await?;
                    }
                    () = link.queue.filled() => {}
                }
                continue;
            }
            Next::Closed => {
                // The other side settles at its own pace; an early end would look to it like a lost peer.
                writer.flush().await?;
                sleep(CLOSE_DELAY).await;
                return writer.close().await;
            }
        }
        if beats.tick().now_or_never().is_some() {
            queued.set(link.queue.bytes() as f64);
            number += 1;
            link.beat(number);
            write_own(&mut writer, &LinkFrame::Beat(number)).await?;
        }
    }
}

async fn write_own(writer: &mut BufWriter<WriteHalf<Stream>>, frame: &LinkFrame) -> std::io::Result<()> {
    writer.write_all(&framing::frame(frame, LINK_FRAME_BYTES_MAX).unwrap_or_default()).await
}
