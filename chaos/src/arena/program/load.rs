//! Clients in every region that append, set, add and count, one call after the other, until told to stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trine_client::{CallOptions, Client, ClientError};
use trine_protocol::reply::Reply;
use trine_protocol::{Durability, Edit, Request, RequestError};

use super::history::{Event, History, Kind, Outcome, Placed};
use crate::arena::cluster::Layout;

/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How long a client rests after a failed call, so that a region without a majority is not asked in a tight loop.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(20);

/// The running clients.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// A client of a region, retries off.
///
/// # Errors
/// When the identity cannot be read.
pub fn client(layout: &Layout, region: &str) -> anyhow::Result<Client> {
    let mut builder = Client::builder().directory(&layout.client)?.retries(0).deadline(CALL_DEADLINE);
    builder = builder.region(region.parse().with_context(|| format!("region {region}"))?);
    for node in layout.nodes.iter().filter(|node| node.region == region) {
        builder = builder.seed(&node.libp2p)?;
    }
    Ok(builder.build()?)
}

/// A client of one node, for asking it about itself.
///
/// # Errors
/// When the identity cannot be read.
pub fn pinned(identity: &Path, libp2p: &str) -> anyhow::Result<Client> {
    let builder = Client::builder().directory(identity)?.seed(libp2p)?.pinned();
    Ok(builder.retries(0).deadline(CALL_DEADLINE).build()?)
}

impl Load {
    /// Starts so many clients in each region.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn start(layout: &Layout, clients_per_region: usize, history: &History) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        let mut regions: Vec<&str> = layout.nodes.iter().map(|node| node.region.as_str()).collect();
        regions.dedup();
        for region in regions {
            for _ in 0..clients_per_region {
                let number = clients.len();
                let worker = Worker { number, region: region.to_owned(), client: client(layout, region)? };
                clients.spawn(worker.work(history.clone(), stopped.clone()));
            }
        }
        Ok(Self { stop, clients })
    }

    /// Lets each client finish its call and ends.
    ///
    /// # Errors
    /// When a client panicked.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.context("a client of the load")?;
        }
        Ok(())
    }
}

/// One client.
struct Worker {
    number: usize,
    region: String,
    client: Client,
}

impl Worker {
    async fn work(self, history: History, stopped: watch::Receiver<bool>) {
        let options = CallOptions::new().durability(Durability::Region).retries(0);
        let mut count = 0u64;
        while !*stopped.borrow() {
            count += 1;
            let (kind, key, value, request) = self.next(count);
            let invoked_ns = history.now_ns();
            let result = self.client.request(&options, request).await;
            let returned_ns = history.now_ns();
            let outcome = match result {
                Ok(answer) => Outcome::Ok {
                    node: self.client.endpoint().map(|endpoint| endpoint.name),
                    time: answer.timestamp.time,
                    record: match answer.reply {
                        Reply::Appended(appended) => Some(Placed {
                            region: appended.region.to_string(),
                            index: appended.index,
                            stamp: appended.timestamp.time,
                            leaf: appended.leaf.iter().map(|byte| format!("{byte:02x}")).collect(),
                        }),
                        _ => None,
                    },
                },
                Err(error) if was_not_done(&error) => Outcome::Fail(error.to_string()),
                Err(error) => Outcome::Unknown(error.to_string()),
            };
            let failed = !matches!(outcome, Outcome::Ok { .. });
            let (client, region) = (self.number, self.region.clone());
            history.push(Event { client, region, kind, key, value, invoked_ns, returned_ns, outcome });
            if failed {
                tokio::time::sleep(REST_AFTER_FAILURE).await;
            }
        }
        self.client.close().await;
    }

    fn next(&self, count: u64) -> (Kind, String, String, Request) {
        let value = format!("{}-{count}", self.number);
        let bytes = || Bytes::from(value.clone());
        let (kind, key, edit) = match count % 4 {
            0 => {
                let key = format!("record/{value}");
                let request = Request::Append {
                    namespace: "default".to_owned(),
                    key: key.clone(),
                    value: bytes(),
                    content_type: "text/plain".to_owned(),
                    metadata: BTreeMap::new(),
                    idempotency_key: Some(value.clone()),
                    if_match: None,
                    with_proof: false,
                };
                return (Kind::Append, key, value, request);
            }
            1 => (Kind::Set, format!("register/{}", self.number), Edit::Set(bytes())),
            2 => (Kind::Add, format!("set/{}", self.number % 4), Edit::Add(bytes())),
            _ => (Kind::Increment, counter_key(&self.region), Edit::Increment(1)),
        };
        let request = Request::ObjectEdit { namespace: "objects".to_owned(), key: key.clone(), edit };
        (kind, key, value, request)
    }
}

/// The counter that a region's clients share.
#[must_use]
pub fn counter_key(region: &str) -> String {
    format!("counter/{region}")
}

/// Whether the error says that nothing was done. Everything else counts as unknown.
fn was_not_done(error: &ClientError) -> bool {
    error.retryable()
        || matches!(
            error,
            ClientError::Request(
                RequestError::Invalid { .. }
                    | RequestError::Forbidden { .. }
                    | RequestError::TooLarge { .. }
                    | RequestError::WrongKind { .. }
                    | RequestError::Unsupported { .. }
            )
        )
}
