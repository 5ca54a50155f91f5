//! A node of a few lines behind the HTTP API: it remembers what it was asked and answers from maps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::{oneshot, watch};
use trine_crdt::{NamespaceId, NodeId, RegionId, Timestamp, WriterId};
use trine_doors::http::{Backend, HttpConfig, HttpServer};
use trine_protocol::reply::{
    Answer, Appended, Health, NamespaceView, NodeView, Page, RaftRole, RecordView, Recovered, RegionView, Reply,
    StatusView,
};
use trine_protocol::request::{
    Append, CheckpointGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, NamespaceCreate, NamespaceKind,
    NamespaceRename, ObjectEdit, ObjectGet, ObjectList, Options, Precondition,
};
use trine_protocol::{
    Conflict, Edit, Missing, ObjectEntry, ObjectPage, ObjectView, Request, RequestError, Role, SessionToken, View,
};

/// How long it is waited for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the node was asked, as it arrived.
pub type Asked = (Role, Options, Request);

#[derive(Default)]
struct Held {
    records: Vec<RecordView>,
    objects: BTreeMap<String, View>,
    asked: Vec<Asked>,
    refuse: Option<RequestError>,
    unready: Option<String>,
    full: Option<String>,
}

/// The node.
#[derive(Clone)]
pub struct FakeNode(Arc<Mutex<Held>>, Arc<watch::Sender<bool>>);

impl Default for FakeNode {
    fn default() -> Self {
        Self(Arc::default(), Arc::new(watch::Sender::new(false)))
    }
}

/// A served API; it stops when dropped.
pub struct Served {
    pub address: SocketAddr,
    pub node: FakeNode,
    _stop: oneshot::Sender<()>,
}

/// Serves a fresh node on a port of this machine.
pub async fn serve() -> Served {
    serve_with(|_| {}).await
}

/// Serves a fresh node with a changed configuration.
pub async fn serve_with(change: impl FnOnce(&mut HttpConfig)) -> Served {
    let mut config = HttpConfig::plain("127.0.0.1:0".parse().expect("an address"));
    change(&mut config);
    let node = FakeNode::default();
    let server = HttpServer::bind(config, Arc::new(node.clone())).await.expect("bound");
    let address = server.address().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve(async move {
        let _ = stopped.await;
    }));
    Served { address, node, _stop: stop }
}

pub fn home() -> RegionId {
    "us-east-1".parse().expect("a region")
}

pub fn stamp(time: u64) -> Timestamp {
    Timestamp { time: time << 32, writer: WriterId([7; 16]) }
}

impl FakeNode {
    /// What it was asked last.
    pub fn last(&self) -> Asked {
        self.0.lock().expect("held").asked.last().cloned().expect("something was asked")
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.0.lock().expect("held").asked.len()
    }

    /// Answers everything with this error from now on.
    pub fn refuse(&self, error: RequestError) {
        self.0.lock().expect("held").refuse = Some(error);
    }

    /// Answers nothing until it goes on.
    pub fn stall(&self) {
        self.1.send_replace(true);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.1.send_replace(false);
    }

    /// Takes no writes, for this reason.
    pub fn full(&self, reason: &str) {
        self.0.lock().expect("held").full = Some(reason.to_owned());
    }

    /// Does not serve, for this reason.
    pub fn unready(&self, reason: &str) {
        self.0.lock().expect("held").unready = Some(reason.to_owned());
    }
}

impl Backend for FakeNode {
    fn request(&self, role: Role, options: Options, request: Request) -> BoxFuture<'_, Result<Answer, RequestError>> {
        async move {
            self.0.lock().expect("held").asked.push((role, options, request.clone()));
            let _ = self.1.subscribe().wait_for(|stalled| !stalled).await;
            let mut held = self.0.lock().expect("held");
            if let Some(error) = &held.refuse {
                return Err(error.clone());
            }
            let reply = held.answer(request)?;
            let mut session = SessionToken::default();
            session.see_ledger(&home(), held.records.len() as u64);
            Ok(Answer { reply, session, timestamp: stamp(99) })
        }
        .boxed()
    }

    fn ready(&self) -> Result<(), String> {
        self.0.lock().expect("held").unready.clone().map_or(Ok(()), Err)
    }

    fn writes(&self) -> Result<(), String> {
        self.ready()?;
        self.0.lock().expect("held").full.clone().map_or(Ok(()), Err)
    }

    fn region(&self) -> RegionId {
        home()
    }
}

impl Held {
    fn answer(&mut self, request: Request) -> Result<Reply, RequestError> {
        Ok(match request {
            Request::Append(Append { key, value, content_type, metadata, if_match, .. }) => {
                let latest = self.records.iter().rfind(|record| record.key == key).map(|record| record.index);
                if if_match.is_some_and(|wanted| latest.map_or(Precondition::Absent, Precondition::Index) != wanted) {
                    return Err(Conflict::Version { region: home(), latest }.into());
                }
                let index = self.records.len() as u64;
                self.records.push(record(index, key, value, content_type, metadata));
                Reply::Appended(Appended {
                    region: home(),
                    index,
                    timestamp: stamp(index + 1),
                    duplicate: false,
                    leaf: [1; 32],
                    proof: None,
                    header: None,
                })
            }
            Request::LedgerGet(LedgerGet { key, .. }) => {
                let found = self.records.iter().rfind(|record| record.key == key).cloned();
                Reply::Record(found.ok_or(Missing::Key { key })?)
            }
            Request::LedgerRecord(LedgerRecord { region, index, .. }) => {
                let found = self.records.get(usize::try_from(index).expect("small")).cloned();
                Reply::Record(found.ok_or(Missing::Record { region, index })?)
            }
            Request::LedgerHistory(LedgerHistory { key, .. }) => {
                let records = self.records.iter().filter(|record| record.key == key).cloned().collect();
                Reply::Page(Page { records, next: None })
            }
            Request::LedgerRange(LedgerRange { prefix, limit, .. }) => {
                let mut records: Vec<RecordView> =
                    self.records.iter().filter(|record| record.key.starts_with(&prefix)).cloned().collect();
                let more = records.len() > limit as usize;
                records.truncate(limit as usize);
                let next = more.then(|| records.last().expect("limit is above 0").key.clone());
                Reply::Page(Page { records, next })
            }
            Request::Checkpoint(CheckpointGet { region }) => {
                Reply::Checkpoint(Bytes::from(format!("trine/{region}\n1\n")))
            }
            Request::Consistency(_) => Reply::Consistency(vec![Bytes::from_static(&[9; 32])]),
            Request::ObjectGet(ObjectGet { key, .. }) => {
                let view = self.objects.get(&key).cloned().ok_or(Missing::Object { key })?;
                Reply::Object(object(view))
            }
            Request::ObjectList(ObjectList { prefix, kind, after, limit, .. }) => {
                let fits = |key: &str, view: &View| {
                    key.starts_with(&prefix)
                        && after.as_deref().is_none_or(|after| key > after)
                        && kind.is_none_or(|kind| view.kind() == kind)
                };
                let found = self.objects.iter().filter(|(key, view)| fits(key, view));
                let mut objects: Vec<ObjectEntry> =
                    found.map(|(key, view)| ObjectEntry { key: key.clone(), object: object(view.clone()) }).collect();
                let more = objects.len() > limit as usize;
                objects.truncate(limit as usize);
                let next = more.then(|| objects.last().expect("limit is above 0").key.clone());
                Reply::Objects(ObjectPage { objects, next })
            }
            Request::Genesis => Reply::Genesis(Bytes::from_static(b"trine genesis\n")),
            Request::ObjectEdit(ObjectEdit { key, edit: Edit::Delete, .. }) => {
                self.objects.remove(&key);
                Reply::Done
            }
            Request::ObjectEdit(ObjectEdit { key, edit, .. }) => {
                let view = edited(self.objects.remove(&key), edit);
                self.objects.insert(key, view.clone());
                Reply::Object(object(view))
            }
            Request::NamespaceCreate(NamespaceCreate { name, kind, slots }) => Reply::Namespace(NamespaceView {
                id: NamespaceId { region: home(), index: 17 },
                name,
                kind,
                slots: slots.unwrap_or(256),
            }),
            Request::NamespaceRename(NamespaceRename { name, .. }) => Reply::Namespace(NamespaceView {
                id: NamespaceId { region: home(), index: 17 },
                name,
                kind: NamespaceKind::Ledger,
                slots: 1,
            }),
            Request::NamespaceList | Request::NamespaceShow(_) => Reply::Namespaces(vec![NamespaceView {
                id: NamespaceId::default_ledger(),
                name: "default".into(),
                kind: NamespaceKind::Ledger,
                slots: 256,
            }]),
            Request::RegionList => Reply::Regions(vec![RegionView {
                id: home(),
                health: Health::Healthy,
                nodes: 3,
                reachable: 3,
                ledger_size: self.records.len() as u64,
                ledger_root: [2; 32],
                checkpoint_size: 0,
                fork: None,
                recoveries: Vec::new(),
            }]),
            Request::RegionRecover(_) => Reply::Recovered(Recovered { size: 70, restored: 50 }),
            Request::NodeList => Reply::Nodes(vec![this_node()]),
            Request::Status => Reply::Status(Box::new(StatusView {
                cluster: "c".repeat(32),
                format_level: Some(1),
                node: this_node(),
                ready: true,
                reason: None,
                edits: None,
                appends: None,
                leader: Some(NodeId(5)),
                term: 3,
                ledgers: BTreeMap::new(),
                objects: BTreeMap::new(),
                timestamp: stamp(99),
                stamps_held: 0,
                standing: "there is no other region to ask".to_owned(),
                forked: Vec::new(),
                connected: vec![NodeId(6)],
                mirrors: true,
                problems: Vec::new(),
                clock: trine_protocol::reply::ClockView::default(),
            })),
            Request::ManifestShow(_) => Reply::Segments(Vec::new()),
            _ => Reply::Done,
        })
    }
}

fn record(
    index: u64,
    key: String,
    value: Bytes,
    content_type: String,
    metadata: BTreeMap<String, String>,
) -> RecordView {
    RecordView {
        region: home(),
        index,
        namespace: NamespaceId::default_ledger(),
        key,
        timestamp: stamp(index + 1),
        value,
        content_type,
        metadata,
        header: Bytes::from_static(b"header"),
        salts: Bytes::from_static(&[0; 96]),
        proof: None,
    }
}

fn object(view: View) -> ObjectView {
    ObjectView { views: vec![view], timestamp: stamp(42), digest: [3; 32] }
}

fn edited(before: Option<View>, edit: Edit) -> View {
    match (before, edit) {
        (Some(View::Counter(total)), Edit::Increment(by)) => View::Counter(total + by),
        (_, Edit::Increment(by)) => View::Counter(by),
        (Some(View::Set(mut elements)), Edit::Add(element)) => {
            elements.push(element);
            elements.sort();
            View::Set(elements)
        }
        (_, Edit::Add(element)) => View::Set(vec![element]),
        (_, Edit::Field { name, edit }) => View::Map(BTreeMap::from([(name, vec![edited(None, *edit)])])),
        (_, Edit::Set(value) | Edit::Put(value)) => View::Register(value),
        (before, _) => before.unwrap_or(View::Set(Vec::new())),
    }
}

fn this_node() -> NodeView {
    NodeView {
        id: NodeId(5),
        name: "us-east-1-a".into(),
        region: home(),
        peer: "12D3KooW".into(),
        addresses: vec!["/ip4/127.0.0.1/tcp/7421".into()],
        http: Some("127.0.0.1:7420".into()),
        writer: Some(WriterId([7; 16])),
        health: Health::Healthy,
        raft: RaftRole::Leader,
        since: None,
        silent_ms: None,
    }
}
