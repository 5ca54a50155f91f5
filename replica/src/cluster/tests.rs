use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{NamespaceId, NodeId, PartitionId, VersionRange};
use trine_ledger::entry::NamespaceKind as LedgerKind;
use trine_ledger::registry::{NamespaceRecord, Registry};
use trine_protocol::RequestError;
use trine_protocol::request::NamespaceKind;

use crate::cluster::Cluster;
use crate::fixture::{FAR, HERE, NEAR, OTHER, WRITER, cluster, cluster_of, config, region, registry, stamp};
use crate::message::NotAdmitted;

fn namespace(of: &str, index: u64, name: &str, slots: u32) -> (NamespaceId, NamespaceRecord) {
    let id = NamespaceId { region: region(of), index };
    let record = NamespaceRecord {
        id: id.clone(),
        name: name.to_owned(),
        kind: LedgerKind::Objects,
        slots,
        stamp: stamp(WRITER),
        altered: None,
        deleted: false,
    };
    (id, record)
}

#[test]
fn the_first_of_a_roster_is_no_majority_of_the_founders() {
    let new = |own: Registry| Cluster::new(config(&["a", "b", "c"]), own, BTreeMap::new(), BTreeSet::new(), None);
    assert_eq!(new(registry(&[HERE])).majority_others(), 1, "two founders have yet to register");
    let mut gone = registry(&[HERE]);
    gone.retired.extend([NodeId(8), NodeId(9)]);
    assert_eq!(new(gone).majority_others(), 0, "and these never will");
    assert_eq!(new(registry(&[HERE, NEAR, NodeId(3), NodeId(4)])).majority_others(), 2);
}

#[test]
fn a_namespace_is_found_by_its_name_while_that_is_one_s_alone_and_by_its_id() {
    let mut cluster = cluster();
    let mut own = cluster.own().clone();
    own.namespaces.extend([namespace("here", 5, "carts", 16)]);
    cluster.set_own(&own);
    assert_eq!(cluster.namespace("carts", NamespaceKind::Objects).map(|found| found.slots), Ok(16));
    assert!(matches!(cluster.namespace("carts", NamespaceKind::Ledger), Err(RequestError::Invalid { .. })));
    let (id, there) = namespace("there", 7, "carts", 8);
    cluster.told_mut().entry(region("there")).or_default().namespaces.insert(id.clone(), there);
    assert!(matches!(cluster.namespace("carts", NamespaceKind::Objects), Err(RequestError::Ambiguous { .. })));
    assert_eq!(cluster.namespace(&id.to_string(), NamespaceKind::Objects).map(|found| found.slots), Ok(8));
    assert!(cluster.admits(&PartitionId { namespace: id.clone(), slot: 7 }));
    assert!(!cluster.admits(&PartitionId { namespace: id, slot: 8 }), "it has eight");
}

#[test]
fn a_cluster_writes_what_all_its_nodes_read_and_admits_nobody_who_does_not() {
    let mut cluster = cluster();
    let registering = |lowest, highest| {
        let mut registration = cluster_of(NodeId(3), OTHER).registration();
        (registration.node, registration.name) = (NodeId(3), "node-3".to_owned());
        registration.levels = VersionRange { lowest, highest };
        registration
    };
    let told = |cluster: &mut Cluster, highest: [u16; 3]| {
        let mut own = registry(&[HERE, NEAR]);
        let mut there = registry(&[FAR]);
        own.roster.get_mut(&HERE).expect("it is").levels.highest = highest[0];
        own.roster.get_mut(&NEAR).expect("it is").levels.highest = highest[1];
        there.roster.get_mut(&FAR).expect("it is").levels.highest = highest[2];
        cluster.set_own(&own);
        cluster.told_mut().insert(region("there"), there);
    };
    assert_eq!(cluster.level(), Some(1));
    told(&mut cluster, [2, 2, 1]);
    assert_eq!(cluster.level(), Some(1), "one that knows no newer level is left, in another region");
    assert_eq!(cluster.not_admitted(&registering(1, 1)), None);
    told(&mut cluster, [2, 2, 2]);
    assert_eq!(cluster.level(), Some(2));
    let node = VersionRange { lowest: 1, highest: 1 };
    assert_eq!(cluster.not_admitted(&registering(1, 1)), Some(NotAdmitted::Level { cluster: 2, node }));
    assert_eq!(cluster.not_admitted(&registering(2, 3)), None);
}

#[test]
fn only_its_own_region_sends_a_node_away() {
    let mut cluster = cluster();
    cluster.told_mut().entry(region("there")).or_default().retired.extend([NEAR, FAR]);
    assert!(cluster.retired(FAR, &region("there")));
    assert!(!cluster.retired(NEAR, &region("here")), "a region that lies could send all others' nodes away");
}

#[test]
fn a_node_that_is_gone_and_still_votes_is_not_let_go() {
    let mut cluster = cluster();
    cluster.set_voters(&BTreeSet::from([HERE, NEAR]));
    let mut own = cluster.own().clone();
    own.retired.insert(NEAR);
    cluster.set_own(&own);
    assert!(cluster.retired(NEAR, &region("here")) && !cluster.gone(NEAR, &region("here")));
    cluster.set_voters(&BTreeSet::from([HERE]));
    assert!(cluster.gone(NEAR, &region("here")));
}

#[test]
fn the_driver_hears_of_rosters_only_when_they_say_where_somebody_is() {
    let (mut cluster, both) = (cluster(), BTreeSet::from([region("here"), region("there")]));
    let peers = cluster.reached_anew(&both).expect("it knows nothing yet");
    assert_eq!(peers.iter().map(|peer| peer.peer.as_str()).collect::<Vec<_>>(), ["peer-11", "peer-2"]);
    assert_eq!(cluster.reached_anew(&both), None);
    cluster.told_mut().insert(region("there"), registry(&[FAR, NodeId(12)]));
    assert_eq!(cluster.reached_anew(&both).map(|peers| peers.len()), Some(3));
    assert_eq!(cluster.all_others().map(|others| others.len()), Some(3));
}
