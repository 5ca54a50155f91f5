//! The door for clients: `/trine/client/1`, requests pipelined, answers as they come.
//!
//! One task a stream reads requests and hands them to the driver, another writes answers, in the order in which the
//! driver gives them. Both are bounded: in requests per stream, in bytes over all streams. A client that sends too much
//! is not read from; one that does not read its answers, or leaves a frame half sent, is hung up on.

use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter, ReadHalf, WriteHalf};
use futures::stream::FuturesUnordered;
use libp2p::{PeerId, Stream};
use metrics::{counter, gauge};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use trine_client::framing::{self, FrameError};
use trine_crdt::{NodeId, RegionId, codec};
use trine_identity::admission::{Admitted, Gate, Refusal};
use trine_protocol::frame::PROTOCOL_VERSION;
use trine_protocol::limits::FRAME_BYTES_MAX;
use trine_protocol::reply::Answer;
use trine_protocol::{ClientFrame, ClientHello, NodeFrame, NodeHello, RequestError, Role};
use trine_replica::NotReady;

use super::event::NetEvent;
use super::limits::{
    ANSWERS_IN_A_ROW, CLIENT_BUFFER_BYTES, CLIENT_FRAME_TIMEOUT, CLIENT_IDLE_MAX, CLIENT_REQUESTS_MAX,
    CLIENT_STALL_MAX, CLIENT_WRITE_TIMEOUT, HELLO_BYTES_MAX, HELLO_TIMEOUT, READER_FRAME_BYTES_MAX,
};
use super::room::{ClientRoom, Share};

/// What all client streams share.
pub(super) struct Door {
    pub gate: Arc<Gate>,
    pub node: NodeId,
    pub region: RegionId,
    pub events: mpsc::Sender<NetEvent>,
    pub room: ClientRoom,
    pub others: RwLock<Vec<(RegionId, String)>>,
}

impl Door {
    /// Replaces the nodes that clients are told of.
    pub fn set_others(&self, others: Vec<(RegionId, String)>) {
        *self.others.write().unwrap_or_else(PoisonError::into_inner) = others;
    }

    fn hello(&self) -> NodeHello {
        // As many as surely fit into a hello; the rest a client learns with `NodeList`.
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let mut room = HELLO_BYTES_MAX.saturating_sub(self.gate.certificate().len() + 1024);
        let fitting = others.iter().take_while(|(region, address)| {
            let bytes = region.as_str().len() + address.len() + 16;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        NodeHello {
            version: PROTOCOL_VERSION,
            certificate: self.gate.certificate().clone(),
            node: self.node,
            region: self.region.clone(),
            others: fitting.cloned().collect(),
        }
    }
}

/// A request's answer, once the driver gives it.
struct Waiting {
    number: u64,
    writes: bool,
    answer: oneshot::Receiver<Result<Answer, RequestError>>,
}

/// Serves one client stream until it ends.
pub(super) async fn serve(stream: Stream, peer: PeerId, admitted: Admitted, door: Arc<Door>) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(CLIENT_BUFFER_BYTES, reader);
    if let Err(refusal) = greet(&mut reader, &mut writer, &admitted, &door).await {
        if let Some(refusal) = refusal {
            door.gate.refuse(Some(peer), &refusal);
        }
        return;
    }
    gauge!("trine_clients").increment(1);
    let share = door.room.share(peer);
    let slots = Arc::new(Semaphore::new(CLIENT_REQUESTS_MAX));
    let (waiting, to_write) = mpsc::channel(CLIENT_REQUESTS_MAX);
    tokio::select! {
        error = read(&mut reader, &admitted, &door, &share, &slots, waiting) => {
            if let FrameError::Length { .. } | FrameError::Undecodable(_) = error {
                door.gate.refuse(Some(peer), &Refusal::Conversation { what: "an undecodable frame" });
            }
            tracing::debug!(%peer, %error, "client stream ends");
        }
        outcome = write(writer, to_write) => {
            if let Err(error) = outcome {
                tracing::debug!(%peer, %error, "client does not take its answers");
            }
        }
    }
    gauge!("trine_clients").decrement(1);
}

async fn greet(
    reader: &mut BufReader<ReadHalf<Stream>>,
    writer: &mut WriteHalf<Stream>,
    admitted: &Admitted,
    door: &Door,
) -> Result<(), Option<Refusal>> {
    let hello = timeout(HELLO_TIMEOUT, framing::read_value::<ClientHello>(reader, HELLO_BYTES_MAX, HELLO_TIMEOUT));
    let hello = match hello.await {
        Ok(Ok(hello)) => hello,
        Ok(Err(FrameError::Length { .. } | FrameError::Undecodable(_))) => {
            return Err(Some(Refusal::Conversation { what: "an undecodable hello" }));
        }
        _ => return Err(None),
    };
    if hello.certificate != admitted.certificate {
        return Err(Some(Refusal::Conversation { what: "a hello with another certificate than the connection's" }));
    }
    if hello.versions.0 > PROTOCOL_VERSION || hello.versions.1 < PROTOCOL_VERSION {
        return Err(Some(Refusal::Conversation { what: "no protocol version in common" }));
    }
    let frame = framing::frame(&door.hello(), 2 * HELLO_BYTES_MAX).ok_or(None)?;
    framing::write_frame(writer, &frame, HELLO_TIMEOUT).await.map_err(|_| None)
}

async fn read(
    reader: &mut BufReader<ReadHalf<Stream>>,
    admitted: &Admitted,
    door: &Door,
    share: &Share,
    slots: &Arc<Semaphore>,
    waiting: mpsc::Sender<(Waiting, tokio::sync::OwnedSemaphorePermit)>,
) -> FrameError {
    let requests = counter!("trine_client_requests_total");
    // Who may not write has no need of room: it cannot take what writers need by stating more than it may ask.
    let frame_bytes_max = if admitted.claims.role < Role::Writer { READER_FRAME_BYTES_MAX } else { FRAME_BYTES_MAX };
    loop {
        let step = async {
            let length = framing::read_length(reader, frame_bytes_max, CLIENT_IDLE_MAX, CLIENT_STALL_MAX).await?;
            let slot = slots.clone().acquire_owned().await.map_err(|_| FrameError::Ended)?;
            let read = timeout(CLIENT_FRAME_TIMEOUT, share.read(reader, length));
            let (body, room) = read.await.unwrap_or(Err(FrameError::Silence))?;
            Ok((codec::decode::<ClientFrame>(&body)?, slot, room))
        };
        let (ClientFrame { number, options, request }, slot, room) = match step.await {
            Ok(read) => read,
            Err(error) => return error,
        };
        requests.increment(1);
        let (reply, answer) = oneshot::channel();
        let writes = request.writes();
        let (role, caller) = (admitted.claims.role, admitted.claims.name.clone());
        let event = NetEvent::Request { role, caller, options, request, reply, room };
        if door.events.send(event).await.is_err()
            || waiting.send((Waiting { number, writes, answer }, slot)).await.is_err()
        {
            return FrameError::Ended;
        }
    }
}

async fn write(
    writer: WriteHalf<Stream>,
    mut to_write: mpsc::Receiver<(Waiting, tokio::sync::OwnedSemaphorePermit)>,
) -> std::io::Result<()> {
    let mut writer = BufWriter::with_capacity(CLIENT_BUFFER_BYTES, writer);
    let mut pending = FuturesUnordered::new();
    let mut open = true;
    while open || !pending.is_empty() {
        tokio::select! {
            waiting = to_write.recv(), if open => match waiting {
                Some((Waiting { number, writes, answer }, slot)) => pending.push(async move {
                    let answer = answer.await.unwrap_or_else(|_| Err(given_up(writes)));
                    (NodeFrame { number, answer }, slot)
                }),
                None => open = false,
            },
            Some((answer, slot)) = pending.next() => {
                let put = async {
                    put(&mut writer, answer).await?;
                    drop(slot);
                    // Whatever is ready besides goes into the same packet.
                    for _ in 0..ANSWERS_IN_A_ROW {
                        let Some(Some((answer, _slot))) = pending.next().now_or_never() else { break };
                        put(&mut writer, answer).await?;
                    }
                    writer.flush().await
                };
                timeout(CLIENT_WRITE_TIMEOUT, put).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
            }
        }
    }
    Ok(())
}

async fn put(writer: &mut BufWriter<WriteHalf<Stream>>, answer: NodeFrame) -> std::io::Result<()> {
    let number = answer.number;
    let frame = framing::frame(&answer, FRAME_BYTES_MAX).or_else(|| {
        let what = "an answer larger than a frame; ask for less at a time".to_owned();
        framing::frame(&NodeFrame { number, answer: Err(RequestError::Unsupported { what }) }, FRAME_BYTES_MAX)
    });
    writer.write_all(&frame.unwrap_or_default()).await
}

/// The driver dropped the request.
fn given_up(writes: bool) -> RequestError {
    if writes { RequestError::Unknown } else { NotReady::Stopping.into() }
}
