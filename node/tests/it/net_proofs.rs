//! The client believes a record only with its proof, and a ledger only while it keeps to its past.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use trine_client::proof::ProofError;
use trine_client::{CallOptions, Client, ClientError};
use trine_crdt::{NamespaceId, RegionId, Timestamp};
use trine_identity::Key;
use trine_ledger::tree::{consistency_proof, inclusion_proof, leaf_hash};
use trine_ledger::{Body, Checkpoint, Frontier, Genesis, GenesisRegion, Hash, RecordHeader, SigningKey, origin};
use trine_protocol::reply::{InclusionView, RecordView, Reply};
use trine_protocol::request::{ConsistencyGet, LedgerGet};
use trine_protocol::{Missing, Request, RequestError, Role};

use crate::net_client::answer;
use crate::net_world::World;

/// A region's ledger in memory.
struct Ledger {
    cluster: String,
    key: SigningKey,
    records: Vec<(Bytes, Body)>,
    frontier: Frontier,
    nodes: BTreeMap<(u8, u64), Hash>,
}

fn left() -> RegionId {
    "left".parse().expect("a region")
}

impl Ledger {
    fn append(&mut self, key: &str, value: &str) {
        let body = Body {
            salts: [[1; 32], [2; 32], [3; 32]],
            key: key.to_owned(),
            metadata: BTreeMap::new(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        let (namespace, media) = (NamespaceId::default_ledger(), "text/plain".to_owned());
        let header = RecordHeader::of(namespace, Timestamp::ZERO, media, Vec::new(), None, &body).expect("a header");
        let header = header.to_bytes().expect("within bounds");
        let nodes = &mut self.nodes;
        self.frontier.push(leaf_hash(&header), |node| {
            nodes.insert((node.level, node.index), node.hash);
        });
        self.records.push((header, body));
    }

    fn read(&self) -> impl Fn(u8, u64) -> Option<Hash> {
        |level, index| self.nodes.get(&(level, index)).copied()
    }

    fn checkpoint(&self) -> Bytes {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        Checkpoint { origin: origin(&self.cluster, &left()), size, root }.sign(&self.key)
    }

    fn record(&self, key: &str) -> Option<RecordView> {
        let index = self.records.iter().rposition(|(_, body)| body.key == key)?;
        let (header, body) = &self.records[index];
        let index = index as u64;
        let path = inclusion_proof(index, self.frontier.size(), self.read()).expect("a proof");
        let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
        Some(RecordView {
            region: left(),
            index,
            namespace: NamespaceId::default_ledger(),
            key: body.key.clone(),
            timestamp: Timestamp::ZERO,
            value: body.value.clone(),
            content_type: "text/plain".to_owned(),
            metadata: BTreeMap::new(),
            header: header.clone(),
            salts: Bytes::from(body.salts.concat()),
            proof: Some(InclusionView { checkpoint: self.checkpoint(), path }),
        })
    }

    fn answer(&self, request: &Request) -> Result<Reply, RequestError> {
        match request {
            Request::LedgerGet(LedgerGet { key, .. }) => {
                self.record(key).map(Reply::Record).ok_or_else(|| Missing::Key { key: key.clone() }.into())
            }
            Request::Consistency(ConsistencyGet { from, to, .. }) => {
                let proof = consistency_proof(*from, *to, self.read());
                let proof = proof.map_err(|error| RequestError::Invalid { what: error.to_string() })?;
                Ok(Reply::Consistency(proof.iter().map(|hash| Bytes::copy_from_slice(hash)).collect()))
            }
            _ => Err(RequestError::Unsupported { what: "not here".to_owned() }),
        }
    }
}

/// A client of one node that answers from a ledger, which the test may change, and as `forge` wants it.
async fn told(forge: fn(&mut RecordView)) -> (Client, Arc<Mutex<Ledger>>, tokio::task::JoinHandle<()>) {
    let world = World::new();
    let key = Key::generate();
    let ledger = Ledger {
        cluster: world.ca.cluster().to_owned(),
        key: key.signing().clone(),
        records: Vec::new(),
        frontier: Frontier::default(),
        nodes: BTreeMap::new(),
    };
    let region = GenesisRegion { id: left(), log_key: key.public(), nodes: Vec::new() };
    let genesis = Genesis { cluster: world.ca.cluster().to_owned(), regions: vec![region] };
    let node = world.node(1, "left-a", &[]).await;
    let identity = world.ca.issue_client(Role::Reader, "auditor").expect("a certificate");
    let client = Client::builder()
        .identity(identity.key.libp2p(), Bytes::copy_from_slice(&identity.certificate))
        .authority(world.authority.clone())
        .genesis(genesis)
        .seed(&node.address().to_string())
        .and_then(trine_client::Builder::build)
        .expect("a client");
    let ledger = Arc::new(Mutex::new(ledger));
    let answering = ledger.clone();
    let task = answer(
        node,
        Arc::new(move |request| {
            let reply = answering.lock().expect("no panic").answer(request);
            Some(reply.map(|reply| match reply {
                Reply::Record(mut record) => {
                    forge(&mut record);
                    Reply::Record(record)
                }
                other => other,
            }))
        }),
    );
    (client, ledger, task)
}

async fn get(client: &Client, key: &str) -> Result<Option<Bytes>, ClientError> {
    let record = client.get_with_proof(&CallOptions::new(), "default", key).await?;
    Ok(record.map(|record| record.value))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_growing_ledger_is_believed_at_every_size() {
    let (client, ledger, _task) = told(|_| {}).await;
    for number in 0..20 {
        ledger.lock().expect("no panic").append(&format!("k{number}"), "v");
        assert_eq!(get(&client, &format!("k{number}")).await, Ok(Some(Bytes::from("v"))));
        assert_eq!(get(&client, "k0").await, Ok(Some(Bytes::from("v"))));
    }
    assert_eq!(get(&client, "nothing").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_the_way_is_not_believed() {
    type Forgery = fn(&mut RecordView);
    let forgeries: [Forgery; 6] = [
        |record| record.value = Bytes::from("forged"),
        |record| record.content_type = "text/html".to_owned(),
        |record| record.index += 1,
        |record| record.proof = None,
        |record| {
            let proof = record.proof.as_mut().expect("a proof");
            proof.path[0] = Bytes::from(vec![0; 32]);
        },
        |record| {
            let proof = record.proof.as_mut().expect("a proof");
            let mut note = proof.checkpoint.to_vec();
            let last = note.len() - 10;
            note[last] = if note[last] == b'A' { b'B' } else { b'A' };
            proof.checkpoint = Bytes::from(note);
        },
    ];
    for (place, forge) in forgeries.into_iter().enumerate() {
        let (client, ledger, _task) = told(forge).await;
        for key in ["a", "b", "c"] {
            ledger.lock().expect("no panic").append(key, "v");
        }
        let outcome = get(&client, "b").await;
        assert!(matches!(outcome, Err(ClientError::Proof(_))), "forgery {place}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_past_under_the_same_signature_is_a_fork() {
    let (client, ledger, _task) = told(|_| {}).await;
    for key in ["a", "b", "c"] {
        ledger.lock().expect("no panic").append(key, "v");
    }
    get(&client, "a").await.expect("believed");
    {
        let mut ledger = ledger.lock().expect("no panic");
        (ledger.records, ledger.frontier, ledger.nodes) = (Vec::new(), Frontier::default(), BTreeMap::new());
        for key in ["a", "x", "c", "d"] {
            ledger.append(key, "another");
        }
    }
    let fork = ProofError::Fork { region: left(), pinned: 3, size: 4 };
    assert_eq!(get(&client, "a").await, Err(ClientError::Proof(fork)));
}
