//! The client library against real networks, with scripted answers in the place of a core.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpListener;
use trine_client::{AppendRequest, BuildError, CallOptions, Client, ClientError, Session};
use trine_crdt::{NodeId, Timestamp};
use trine_node::net::NetEvent;
use trine_protocol::reply::{Answer, Appended, Health, NamespaceView, RegionView, Reply};
use trine_protocol::request::{Append, LedgerGet, NamespaceDelete, NamespaceKind, NamespaceRename, ObjectGet};
use trine_protocol::{Missing, Request, RequestError, Role, SessionToken};

use crate::net_world::{Node, World};

pub type Script = dyn Fn(&Request) -> Option<Result<Reply, RequestError>> + Send + Sync;

/// Answers a node's requests; `None` leaves one without an answer.
pub fn answer(node: Node, script: Arc<Script>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        // The network ends with its last handle.
        let Node { handle: _handle, mut events, .. } = node;
        let mut unanswered = Vec::new();
        while let Some(event) = events.recv().await {
            let NetEvent::Request { request, reply, .. } = event else { continue };
            match script(&request) {
                Some(outcome) => {
                    let session = SessionToken {
                        ledgers: BTreeMap::from([("left".parse().expect("a region"), 7)]),
                        positions: Vec::new(),
                    };
                    let _ = reply.send(outcome.map(|reply| Answer { reply, session, timestamp: Timestamp::ZERO }));
                }
                None => unanswered.push(reply),
            }
        }
    })
}

fn appended(index: u64, region: &str) -> Reply {
    let region = region.parse().expect("a region");
    let (timestamp, leaf) = (Timestamp::ZERO, [0; 32]);
    Reply::Appended(Appended { region, index, timestamp, duplicate: false, leaf, proof: None, header: None })
}

fn client(world: &World, nodes: &[&Node]) -> Client {
    let identity = world.ca.issue_client(Role::Writer, "app").expect("a certificate");
    let mut builder = Client::builder()
        .identity(identity.key.libp2p(), Bytes::copy_from_slice(&identity.certificate))
        .authority(world.authority.clone());
    for node in nodes {
        builder = builder.seed(&node.address().to_string()).expect("an address");
    }
    builder.build().expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_renamed_and_deleted() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    let id: trine_crdt::NamespaceId = "left/17".parse().expect("an id");
    let view = NamespaceView { id, name: "carts-left".to_owned(), kind: NamespaceKind::Objects, slots: 256 };
    let renamed = view.clone();
    answer(
        node,
        Arc::new(move |request| {
            Some(match request {
                Request::NamespaceRename(NamespaceRename { namespace, name }) if namespace == "left/17" => {
                    Ok(Reply::Namespace(NamespaceView { name: name.clone(), ..renamed.clone() }))
                }
                Request::NamespaceDelete(NamespaceDelete { force: true, vetted: false, .. }) => Ok(Reply::Done),
                Request::NamespaceDelete(NamespaceDelete { namespace, .. }) => {
                    Err(RequestError::NotEmpty { what: format!("namespace {namespace} holds 1 object") })
                }
                other => panic!("{other:?}"),
            })
        }),
    );
    assert_eq!(client.namespace_rename("left/17", "carts-left").await.expect("renamed"), view);
    let refused = client.namespace_delete("carts-left", false).await;
    let Err(ClientError::Request(error)) = refused else { panic!("it holds something: {refused:?}") };
    assert_eq!(
        (error.code(), error.to_string()),
        ("not_empty", "refused: namespace carts-left holds 1 object".to_owned())
    );
    client.namespace_delete("carts-left", true).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_is_no_value_and_a_missing_namespace_is_an_error() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    let missing = |namespace: &str, there: Missing| match namespace {
        "nowhere" => Missing::namespace(namespace),
        _ => there,
    };
    answer(
        node,
        Arc::new(move |request| {
            Some(match request {
                Request::LedgerGet(LedgerGet { namespace, key, .. }) => {
                    Err(missing(namespace, Missing::Key { key: key.clone() }).into())
                }
                Request::ObjectGet(ObjectGet { namespace, key }) => {
                    Err(missing(namespace, Missing::Object { key: key.clone() }).into())
                }
                other => panic!("{other:?}"),
            })
        }),
    );
    // Keys named as namespaces are: what is compared is no text.
    for key in ["k", "nowhere", "default"] {
        assert_eq!(client.get("default", key).await.expect("an answer"), None);
        assert_eq!(client.object_get("objects", key).await.expect("an answer"), None);
        let none = ClientError::Request(Missing::namespace("nowhere").into());
        assert_eq!(client.get("nowhere", key).await.expect_err("no namespace"), none);
        let call = CallOptions::new();
        assert_eq!(client.get_with_proof(&call, "nowhere", key).await.expect_err("no namespace"), none);
        assert_eq!(client.object_get("nowhere", key).await.expect_err("no namespace"), none);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_requests_share_one_connection() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    answer(
        node,
        Arc::new(move |request| match request {
            Request::Append(Append { key, idempotency_key, .. }) => {
                assert!(idempotency_key.is_some(), "an append carries a key");
                counted.fetch_add(1, Ordering::Relaxed);
                Some(Ok(appended(key.parse().expect("a number"), "left")))
            }
            _ => Some(Ok(Reply::Done)),
        }),
    );
    let began = Instant::now();
    let calls = (0..5000_u64).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { (number, client.append("default", &number.to_string(), "value").await) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (number, outcome) = call.await.expect("no panic");
        assert_eq!(outcome.expect("appended").index, number);
    }
    println!("5000 appends in flight together: {:?}", began.elapsed());
    assert_eq!(count.load(Ordering::Relaxed), 5000);
    assert_eq!(client.endpoint().expect("connected").node, NodeId(1));
    assert_eq!(client.session().token().ledgers.values().copied().collect::<Vec<_>>(), [7]);
    let handed: Session = client.session().to_string().parse().expect("its own text");
    assert_eq!(handed.token(), client.session().token());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_did_nothing_is_retried_and_others_are_not() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    answer(
        node,
        Arc::new(move |request| {
            let attempt = counted.fetch_add(1, Ordering::Relaxed);
            Some(match request {
                Request::Append(_) if attempt < 2 => {
                    Err(RequestError::Overloaded { retry_after: Duration::from_millis(1) })
                }
                Request::Append(_) => Ok(appended(1, "left")),
                _ => Err(RequestError::Unknown),
            })
        }),
    );
    assert_eq!(client.append("default", "k", "v").await.expect("third time").index, 1);
    assert_eq!(tries.swap(0, Ordering::Relaxed), 3);
    let once = CallOptions::new().retries(0);
    let append = AppendRequest::new("default", "k", "v");
    let refused = client.append_with(&once, append).await.expect_err("no retry");
    assert_eq!(refused, ClientError::Request(RequestError::Overloaded { retry_after: Duration::from_millis(1) }));
    tries.store(0, Ordering::Relaxed);
    // An edit whose fate is unknown is not repeated.
    assert_eq!(client.incr("objects", "n", 1).await, Err(ClientError::Request(RequestError::Unknown)));
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_node_serves_when_one_dies() {
    let world = World::new();
    let (one, two) = (world.node(1, "left-a", &[]).await, world.node(2, "right-a", &[]).await);
    let client = client(&world, &[&one, &two]);
    let script: Arc<Script> = Arc::new(|_| Some(Ok(Reply::Regions(Vec::new()))));
    let handles = [one.handle.clone(), two.handle.clone()];
    let _tasks = [answer(one, script.clone()), answer(two, script)];
    client.regions().await.expect("the nearest answers");
    let first = client.endpoint().expect("connected").node;
    handles[usize::try_from(first.0).expect("small") - 1].shutdown().await;
    let began = Instant::now();
    client.regions().await.expect("the other answers");
    assert_ne!(client.endpoint().expect("connected").node, first);
    println!("failed over in {:?}", began.elapsed());
    println!("closed after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_unknown_fate_is_never_repeated_in_another_region() {
    let world = World::new();
    let (one, two) = (world.node(1, "left-a", &[]).await, world.node(2, "right-a", &[]).await);
    let (one_handle, one_address) = (one.handle.clone(), one.address().to_string());
    let elsewhere = Arc::new(AtomicUsize::new(0));
    let counted = elsewhere.clone();
    let identity = world.ca.issue_client(Role::Writer, "app").expect("a certificate");
    let client = Client::builder()
        .identity(identity.key.libp2p(), Bytes::copy_from_slice(&identity.certificate))
        .authority(world.authority.clone())
        .seed(&one_address)
        .and_then(|builder| builder.seed(&two.address().to_string()))
        .expect("addresses")
        .region("left")
        .deadline(Duration::from_secs(3))
        .build()
        .expect("a client");
    let (took, taken) = tokio::sync::mpsc::channel::<()>(8);
    let _one = answer(
        one,
        Arc::new(move |request| match request {
            Request::RegionList => Some(Ok(regions(&["left", "right"]))),
            _ => {
                let _ = took.try_send(());
                None
            }
        }),
    );
    let _two = answer(
        two,
        Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Some(Ok(appended(1, "right")))
        }),
    );
    assert_eq!(client.connect().await.expect("a node").region.as_str(), "left");
    let call = tokio::spawn(async move { client.append("default", "k", "v").await });
    let mut taken = taken;
    taken.recv().await.expect("the first node took it");
    one_handle.shutdown().await;
    let outcome = call.await.expect("no panic");
    assert!(matches!(outcome, Err(ClientError::Lost | ClientError::TimedOut { .. })), "{outcome:?}");
    assert_eq!(elsewhere.load(Ordering::Relaxed), 0);
}

fn regions(names: &[&str]) -> Reply {
    let view = |name: &&str| RegionView {
        id: name.parse().expect("a region"),
        health: Health::Healthy,
        nodes: 1,
        reachable: 1,
        ledger_size: 0,
        ledger_root: [0; 32],
        checkpoint_size: 0,
        fork: None,
        recoveries: Vec::new(),
    };
    Reply::Regions(names.iter().map(view).collect())
}

/// A client of two regions' nodes, which both take every append, and how many each has taken.
async fn two_regions(
    world: &World,
    prefer: Option<&str>,
    writes_stay: bool,
) -> (Client, [Arc<AtomicUsize>; 2], [tokio::task::JoinHandle<()>; 2]) {
    let (one, two) = (world.node(1, "left-a", &[]).await, world.node(2, "right-a", &[]).await);
    let taken: [Arc<AtomicUsize>; 2] = Default::default();
    let identity = world.ca.issue_client(Role::Writer, "app").expect("a certificate");
    let mut builder = Client::builder()
        .identity(identity.key.libp2p(), Bytes::copy_from_slice(&identity.certificate))
        .authority(world.authority.clone())
        .seed(&one.address().to_string())
        .and_then(|builder| builder.seed(&two.address().to_string()))
        .expect("addresses")
        .deadline(Duration::from_secs(5));
    if let Some(region) = prefer {
        builder = builder.region(region);
    }
    if writes_stay {
        builder = builder.writes_stay();
    }
    let script = |counted: Arc<AtomicUsize>, region: &'static str| -> Arc<Script> {
        Arc::new(move |request| match request {
            Request::RegionList => Some(Ok(regions(&["left", "right"]))),
            Request::Append(_) => {
                counted.fetch_add(1, Ordering::Relaxed);
                Some(Ok(appended(1, region)))
            }
            _ => Some(Err(RequestError::Unavailable { what: "a script".to_owned() })),
        })
    };
    let nodes = [answer(one, script(taken[0].clone(), "left")), answer(two, script(taken[1].clone(), "right"))];
    (builder.build().expect("a client"), taken, nodes)
}

fn bound_appends() -> [(CallOptions, AppendRequest); 3] {
    let append = || AppendRequest::new("default", "k", "v");
    [
        (CallOptions::new().idempotency_key("once"), append()),
        (CallOptions::new(), append().if_absent()),
        (CallOptions::new(), append().if_latest(3)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_counts_in_one_ledger_needs_its_region_and_stays_there() {
    let world = World::new();
    let (client, taken, _nodes) = two_regions(&world, None, false).await;
    for (call, append) in bound_appends() {
        let outcome = client.append_with(&call, append).await;
        assert!(matches!(&outcome, Err(ClientError::RegionNeeded { known }) if known.len() == 2), "{outcome:?}");
    }
    assert_eq!(taken.each_ref().map(|taken| taken.load(Ordering::Relaxed)), [0, 0]);
    client.append("default", "k", "v").await.expect("an append that is bound to no region");

    let (client, taken, nodes) = two_regions(&world, Some("right"), false).await;
    for (call, append) in bound_appends() {
        assert_eq!(client.append_with(&call, append).await.expect("appended").region.as_str(), "right");
    }
    let [_left, right] = nodes;
    right.abort();
    let _ = right.await;
    for (call, append) in bound_appends() {
        let outcome = client.append_with(&call, append).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    assert_eq!(taken[0].load(Ordering::Relaxed), 0, "the other region is not asked instead");
    client.append("default", "k", "v").await.expect("what is bound to no region goes elsewhere");
    assert_eq!(taken[0].load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_region_was_named_goes_there_or_nowhere() {
    let world = World::new();
    let (client, taken, nodes) = two_regions(&world, Some("right"), true).await;
    let append = |client: Client| async move { client.append("default", "k", "v").await };
    assert_eq!(append(client.clone()).await.expect("appended").region.as_str(), "right");
    let [_left, right] = nodes;
    right.abort();
    let _ = right.await;
    // The first may have been on its way.
    let _ = append(client.clone()).await;
    let outcome = append(client.clone()).await;
    assert!(
        matches!(&outcome, Err(ClientError::RegionUnreachable { region, .. }) if region.as_str() == "right"),
        "{outcome:?}"
    );
    assert_eq!(taken[0].load(Ordering::Relaxed), 0, "the other region is not asked instead");
    assert_eq!(client.regions().await.expect("a read goes elsewhere").len(), 2);
    assert_eq!(client.endpoint().expect("a node").region.as_str(), "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_refusal_says_why_a_call_came_to_nothing() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    let _node = answer(node, Arc::new(|_| Some(Err(RequestError::Unavailable { what: "no leader".to_owned() }))));
    let call = CallOptions::new().deadline(Duration::from_millis(900));
    let outcome = client.append_with(&call, AppendRequest::new("default", "k", "v")).await;
    assert!(
        matches!(&outcome, Err(ClientError::Request(RequestError::Unavailable { what })) if what == "no leader"),
        "{outcome:?}"
    );
    // No time at all is no time, and not a cluster that is away.
    let outcome = client.request(&CallOptions::new().deadline(Duration::ZERO), Request::Status).await;
    assert!(
        matches!(outcome, Err(ClientError::TooShort { .. } | ClientError::TimedOut { writes: false, .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_there_is_an_error_and_not_another_region() {
    let world = World::new();
    let (client, taken, _nodes) = two_regions(&world, Some("rihgt"), false).await;
    let outcome = client.append("default", "k", "v").await;
    assert!(matches!(&outcome, Err(ClientError::UnknownRegion { known, .. }) if known.len() == 2), "{outcome:?}");
    assert_eq!(taken.each_ref().map(|taken| taken.load(Ordering::Relaxed)), [0, 0]);
    let outcome = Client::builder().seed("/ip4/127.0.0.1/tcp/1").expect("an address").region("US EAST").build();
    assert!(matches!(outcome, Err(BuildError::Region { known, .. }) if known.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_http_is_named_as_one() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(axum::serve(listener, axum::Router::new()).into_future());
    let identity = world.ca.issue_client(Role::Writer, "app").expect("a certificate");
    let builder = Client::builder()
        .identity(identity.key.libp2p(), Bytes::copy_from_slice(&identity.certificate))
        .authority(world.authority.clone())
        .seed(&trine_node::config::multiaddr(address))
        .expect("an address");
    let outcome = builder.retries(0).build().expect("a client").status().await;
    assert!(matches!(&outcome, Err(ClientError::Unreachable { what }) if what.contains("speaks HTTP")), "{outcome:?}");
    served.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_is_unreachable_within_the_deadline() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let client = client(&world, &[&node]);
    node.handle.shutdown().await;
    let began = Instant::now();
    let call = CallOptions::new().deadline(Duration::from_secs(2));
    let outcome = client.request(&call, Request::Status).await;
    assert!(matches!(outcome, Err(ClientError::Unreachable { .. })), "{outcome:?}");
    println!("closed after {:?}", began.elapsed());
}
