//! One stream to one node: requests out as they come, answers back in any order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter, ReadHalf, WriteHalf};
use libp2p::{Multiaddr, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use trine_crdt::{RegionId, codec};
use trine_protocol::frame::PROTOCOL_VERSION;
use trine_protocol::limits::FRAME_BYTES_MAX;
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{ClientFrame, ClientHello, NodeFrame, NodeHello, Request, RequestError};

use crate::admission::Refusal;
use crate::client::Endpoint;
use crate::error::ClientError;
use crate::framing;
use crate::limits::{
    ANSWER_STALL_MAX, BUFFER_BYTES, CONNECT_TIMEOUT, IN_FLIGHT_MAX, NODE_HELLO_BYTES_MAX, SILENT_MAX, UNIT_BYTES,
    UNSENT_BYTES_MAX,
};
use crate::network::Network;
use crate::other_protocol;

type Reply = Result<Answer, RequestError>;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It never left; the connection is gone.
    NotSent,
    /// It left, and the connection broke before the answer came.
    Lost,
    /// The node answered with an error.
    Answered(RequestError),
}

/// A connection that requests can be sent on.
pub(crate) struct Connection {
    pub endpoint: Endpoint,
    pub others: Vec<(RegionId, String)>,
    /// The round trip of the hello.
    pub round_trip: Duration,
    outgoing: mpsc::Sender<(Vec<u8>, OwnedSemaphorePermit)>,
    unsent: Arc<Semaphore>,
    slots: Semaphore,
    waiting: Arc<Mutex<Waiting>>,
    tasks: [tokio::task::AbortHandle; 2],
}

#[derive(Default)]
struct Waiting {
    last: u64,
    answers: BTreeMap<u64, oneshot::Sender<Reply>>,
    closed: bool,
}

impl Connection {
    /// Connects, exchanges hellos and starts the tasks.
    pub async fn open(network: &Network, address: &Multiaddr) -> Result<Self, ClientError> {
        let open = async {
            let (peer, stream) = network.open(address).await.map_err(|what| ClientError::Unreachable { what })?;
            let (reader, mut writer) = stream.split();
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
            let began = Instant::now();
            let hello = exchange(&mut reader, &mut writer, network).await.map_err(|error| match error {
                framing::FrameError::Length { .. } | framing::FrameError::Undecodable(_) => {
                    ClientError::Refused(Refusal::Conversation { what: "an undecodable hello" })
                }
                error => ClientError::Unreachable { what: format!("{address}: {error}") },
            })?;
            let round_trip = began.elapsed();
            let admitted = network.gate.admitted(&peer).ok_or(Refusal::NoCertificate)?;
            if hello.certificate != admitted.certificate || hello.region != admitted.claims.region {
                return Err(Refusal::Conversation { what: "a hello that contradicts the certificate" }.into());
            }
            if hello.version != PROTOCOL_VERSION {
                return Err(Refusal::Conversation { what: "no protocol version in common" }.into());
            }
            let endpoint = Endpoint {
                node: hello.node,
                name: admitted.claims.name,
                region: hello.region,
                peer,
                address: address.to_string(),
            };
            Ok(Self::start(endpoint, hello.others, round_trip, reader, writer))
        };
        let outcome = tokio::time::timeout(CONNECT_TIMEOUT, open).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(ClientError::Unreachable { what: format!("{address}: no answer in time") }));
        match outcome {
            Err(error) => Err(match (network.take_refusal(), error) {
                (Some(refusal), _) => ClientError::Refused(refusal),
                (None, error @ ClientError::Unreachable { .. }) => match other_protocol::spoken_at(address).await {
                    Some(spoken) => ClientError::Unreachable {
                        what: format!(
                            "{address} speaks {spoken}: name the node's libp2p port (`listen.libp2p`) instead"
                        ),
                    },
                    None => error,
                },
                (None, error) => error,
            }),
            opened => opened,
        }
    }

    fn start(
        endpoint: Endpoint,
        others: Vec<(RegionId, String)>,
        round_trip: Duration,
        reader: BufReader<ReadHalf<Stream>>,
        writer: WriteHalf<Stream>,
    ) -> Self {
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let (outgoing, to_write) = mpsc::channel(IN_FLIGHT_MAX);
        let (reads, writes) = (waiting.clone(), waiting.clone());
        let reading = tokio::spawn(async move {
            let error = read(reader, &reads).await;
            tracing::debug!(%error, "connection ends");
            close(&reads);
        });
        let writing = tokio::spawn(async move {
            if write(writer, to_write).await.is_err() {
                close(&writes);
            }
        });
        Self {
            endpoint,
            others,
            round_trip,
            outgoing,
            unsent: Arc::new(Semaphore::new(UNSENT_BYTES_MAX / UNIT_BYTES)),
            slots: Semaphore::new(IN_FLIGHT_MAX),
            waiting,
            tasks: [reading.abort_handle(), writing.abort_handle()],
        }
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        lock(&self.waiting).closed
    }

    /// Sends a request and waits for its answer.
    pub async fn call(&self, options: Options, request: Request) -> Result<Answer, Failure> {
        let _slot = self.slots.acquire().await.map_err(|_| Failure::NotSent)?;
        let (sender, answer) = oneshot::channel();
        let entry = Entry { number: self.register(sender)?, waiting: &self.waiting };
        let frame = ClientFrame { number: entry.number, options, request };
        let frame = framing::frame(&frame, FRAME_BYTES_MAX).ok_or_else(|| {
            let (what, limit) = ("the request".to_owned(), FRAME_BYTES_MAX as u64);
            Failure::Answered(RequestError::TooLarge { what, bytes: codec::encode(&frame).len() as u64, limit })
        })?;
        let units = u32::try_from(frame.len().div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let room = self.unsent.clone().acquire_many_owned(units).await.map_err(|_| Failure::NotSent)?;
        self.outgoing.send((frame, room)).await.map_err(|_| Failure::NotSent)?;
        answer.await.map_err(|_| Failure::Lost)?.map_err(Failure::Answered)
    }

    fn register(&self, sender: oneshot::Sender<Reply>) -> Result<u64, Failure> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(Failure::NotSent);
        }
        waiting.last += 1;
        let number = waiting.last;
        waiting.answers.insert(number, sender);
        Ok(number)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// A place among those that wait; given up when the call is.
struct Entry<'a> {
    number: u64,
    waiting: &'a Mutex<Waiting>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        lock(self.waiting).answers.remove(&self.number);
    }
}

async fn exchange(
    reader: &mut BufReader<ReadHalf<Stream>>,
    writer: &mut WriteHalf<Stream>,
    network: &Network,
) -> Result<NodeHello, framing::FrameError> {
    let versions = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    let hello = ClientHello { versions, certificate: network.gate.certificate().clone() };
    let frame = framing::frame(&hello, NODE_HELLO_BYTES_MAX).unwrap_or_default();
    framing::write_frame(writer, &frame, CONNECT_TIMEOUT).await?;
    framing::read_value(reader, NODE_HELLO_BYTES_MAX, CONNECT_TIMEOUT).await
}

async fn read(mut reader: BufReader<ReadHalf<Stream>>, waiting: &Mutex<Waiting>) -> framing::FrameError {
    loop {
        let step = async {
            let length = framing::read_length(&mut reader, FRAME_BYTES_MAX, SILENT_MAX, ANSWER_STALL_MAX).await?;
            let body = framing::read_body(&mut reader, length, ANSWER_STALL_MAX).await?;
            Ok::<NodeFrame, framing::FrameError>(codec::decode(&body)?)
        };
        match step.await {
            Ok(NodeFrame { number, answer }) => {
                if let Some(sender) = lock(waiting).answers.remove(&number) {
                    let _ = sender.send(answer);
                }
            }
            Err(error) => return error,
        }
    }
}

async fn write(
    writer: WriteHalf<Stream>,
    mut to_write: mpsc::Receiver<(Vec<u8>, OwnedSemaphorePermit)>,
) -> std::io::Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    while let Some((frame, _room)) = to_write.recv().await {
        writer.write_all(&frame).await?;
        // Whatever else waits goes into the same packet.
        while let Ok((frame, _room)) = to_write.try_recv() {
            writer.write_all(&frame).await?;
        }
        writer.flush().await?;
    }
    writer.close().await
}

/// Fails all that wait: their senders are dropped.
fn close(waiting: &Mutex<Waiting>) {
    let mut waiting = lock(waiting);
    waiting.closed = true;
    waiting.answers.clear();
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
