use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::NamespaceId;
use trine_ledger::LogPosition;
use trine_ledger::apply::Applied;
use trine_ledger::entry::{Command, Entry, NamespaceKind};
use trine_ledger::record::Body;
use trine_ledger::registry::NamespaceRecord;
use trine_ledger::tree::empty_root;
use trine_protocol::RequestError;

use super::{AppendDraft, Became, Draft, DraftCommand, Drafted, OwnLedger, Withheld};
use crate::cluster::{Cluster, registry_bytes};
use crate::effect::Effect;
use crate::fixture::{Bench, FAR, HERE, NEAR, WRITER, cluster, region, registry, stamp};
use crate::input::{CommittedEntry, Leadership, Payload, ProposeOutcome};
use crate::records::Records;

/// The ledger of a leader, with what it needs.
struct Node {
    cluster: Cluster,
    bench: Bench,
    records: Records,
    ledger: OwnLedger,
}

impl Node {
    fn new() -> Self {
        let (mut cluster, bench) = (cluster(), Bench::new(WRITER));
        cluster.set_leadership(Leadership { leader: Some(HERE), term: 1, serving: true });
        let ledger = OwnLedger::open(cluster.config(), bench.store()).expect("an empty store");
        Self { records: Records::new(cluster.config()), cluster, bench, ledger }
    }

    fn append(&mut self, wait: u64, value: &'static str) {
        let (key, value) = ("key".to_owned(), Bytes::from_static(value.as_bytes()));
        let body = Body { salts: [[0; 32]; 3], key, metadata: BTreeMap::new(), value };
        let (namespace, content_type) = (NamespaceId::default_ledger(), String::new());
        let append = AppendDraft { namespace, content_type, body, idempotency: None, condition: None };
        let command = DraftCommand::Append(Box::new(append));
        self.ledger.enqueue(Draft { wait, command, with_proof: false, asked: None });
    }

    /// Drafts and proposes; who waits for the entry, and its bytes.
    fn propose(&mut self, waits: impl Fn(u64) -> bool) -> Option<(Vec<u64>, Bytes)> {
        let Self { cluster, bench, records, ledger } = self;
        let (entered, mut effects) = bench.turn(|turn| {
            let drafted = ledger.next_entry(turn, cluster, records, waits, |_, _| Ok(())).expect("the store reads")?;
            let Drafted { entry, entered, refused } = drafted;
            assert!(refused.is_empty(), "nothing speaks against a record");
            let (entry, stamps) = entry?;
            ledger.propose(turn, entry, stamps);
            Some(entered.into_iter().map(|entered| entered.wait).collect())
        });
        match effects.pop() {
            Some(Effect::Propose { entry, .. }) => Some((entered?, entry)),
            _ => None,
        }
    }

    fn commit(&mut self, index: u64, entry: Bytes) -> Vec<Became> {
        let Self { cluster, bench, records, ledger } = self;
        let position = LogPosition { term: 1, leader: HERE, index };
        let committed = CommittedEntry { position, payload: Payload::Entry(entry) };
        let (became, _) = bench.turn(|turn| {
            let became = ledger.apply(turn, cluster, records, committed);
            ledger.applied(turn);
            became
        });
        became.expect("the store reads")
    }

    /// The other region's node, a mirror, says what it holds; the own region's says that it has asked.
    fn told(&mut self, from: trine_crdt::NodeId, size: u64) {
        let Self { cluster, bench, records, ledger } = self;
        let told = (size, empty_root(), true, true);
        let (contradicts, _) = bench.turn(|turn| ledger.take_told(turn, cluster, records, from, told));
        assert_eq!(contradicts, Ok(None));
    }

    fn tick(&mut self) -> bool {
        let Self { cluster, bench, ledger, .. } = self;
        bench.now.monotonic_ns += 1_000_000_000;
        bench.turn(|turn| ledger.signing_tick(turn, cluster));
        ledger.begins_to_sign(cluster)
    }
}

#[test]
fn the_first_that_comes_goes_at_once_and_the_next_ones_gather_while_it_is_under_way() {
    let mut node = Node::new();
    node.append(1, "a");
    let (entered, first) = node.propose(|_| true).expect("nothing is under way");
    assert_eq!(entered, [1]);
    (2..=4).for_each(|wait| node.append(wait, "b"));
    assert!(node.propose(|_| true).is_none(), "three are not worth an entry of their own");
    assert!(matches!(&node.commit(0, first)[..], [Became { applied: Applied::Record(_), .. }]));
    // The third was given up meanwhile.
    let (entered, second) = node.propose(|wait| wait != 3).expect("what is in the log is not under way any more");
    assert_eq!(entered, [2, 4]);
    let stamps: Vec<_> = node.commit(1, second).into_iter().map(|became| became.stamp).collect();
    assert!(stamps.is_sorted() && node.ledger.size() == 3);
    let again = OwnLedger::open(node.cluster.config(), node.bench.store()).expect("its own rows");
    assert_eq!(again.head(), node.ledger.head());
}

#[test]
fn a_proposal_is_told_of_once_and_only_when_it_may_not_stand() {
    let mut node = Node::new();
    node.append(1, "a");
    node.propose(|_| true).expect("nothing is under way");
    let stamps = node.ledger.proposed(1, ProposeOutcome::Refused);
    assert_eq!(stamps.map(|stamps| stamps.len()), Some(1));
    assert_eq!(node.ledger.proposed(1, ProposeOutcome::Unknown), None);
    node.append(2, "b");
    node.propose(|_| true).expect("nothing is under way");
    assert_eq!(node.ledger.proposed(2, ProposeOutcome::Committed), None);
}

#[test]
fn nothing_is_signed_before_every_other_region_has_said_what_it_holds() {
    let mut node = Node::new();
    assert!(!node.tick() && node.ledger.withheld(&node.cluster) == Some(Withheld::Asking));
    node.told(FAR, 0);
    assert!(node.tick() && node.ledger.withheld(&node.cluster).is_none());
    assert!(!node.tick(), "it begins once");
}

#[test]
fn who_is_told_of_more_than_it_has_proposes_nothing_also_when_it_may_sign() {
    let mut node = Node::new();
    node.told(FAR, 0);
    assert!(node.tick());
    node.ledger.set_signed(5);
    let withheld = node.ledger.withheld(&node.cluster);
    assert!(matches!(withheld, Some(Withheld::Behind { theirs: 5, here: 0, leads: true, .. })), "{withheld:?}");
    node.cluster.set_leadership(Leadership { leader: Some(NEAR), term: 2, serving: false });
    assert_eq!(node.ledger.withheld(&node.cluster), None, "a follower may be a little behind");
    node.ledger.fork_found();
    assert!(matches!(node.ledger.withheld(&node.cluster), Some(Withheld::Forked { .. })));
}

#[test]
fn a_neighbour_that_has_asked_is_ground_enough_when_its_ledger_ends_within_this_one() {
    let mut node = Node::new();
    node.told(NEAR, 0);
    assert!(node.tick(), "it has asked");
}

#[test]
fn a_namespace_is_not_deleted_while_a_record_may_yet_come_into_it() {
    let mut node = Node::new();
    node.append(1, "a");
    let (_, entry) = node.propose(|_| true).expect("nothing is under way");
    node.ledger.proposed(1, ProposeOutcome::Unknown);
    let judged = |node: &mut Node| {
        let command = DraftCommand::Deletion { namespace: NamespaceId::default_ledger(), force: false };
        node.ledger.enqueue(Draft { wait: 2, command, with_proof: false, asked: None });
        let Node { cluster, bench, records, ledger, .. } = node;
        let held = || Err(RequestError::NotEmpty { what: "it holds records".to_owned() }.into());
        let (drafted, _) = bench.turn(|turn| ledger.next_entry(turn, cluster, records, |_| true, |_, _| held()));
        let mut refused = drafted.expect("the store reads").expect("an answer").refused;
        refused.pop().expect("refused").2
    };
    let why = judged(&mut node);
    assert!(matches!(&why, RequestError::Unavailable { what } if what.contains("not known yet")), "{why:?}");
    node.commit(0, entry);
    assert!(matches!(judged(&mut node), RequestError::NotEmpty { .. }), "all that was proposed is applied");
}

#[test]
fn what_was_told_of_namespaces_is_taken_in_also_when_it_is_heard_of_after_the_rest() {
    let mut node = Node::new();
    let id = NamespaceId { region: region("here"), index: 3 };
    let mut told = registry(&[]);
    let (name, stamp) = ("baskets".to_owned(), stamp(WRITER));
    let (kind, slots, altered, deleted) = (NamespaceKind::Ledger, 1, Some(7), false);
    told.namespaces.insert(id.clone(), NamespaceRecord { id: id.clone(), name, kind, slots, stamp, altered, deleted });
    node.cluster.told_mut().insert(region("here"), told);
    // The rest of the registry is as it is here.
    let said = registry_bytes(&node.ledger.registry().without_namespaces());
    let known = Some((node.ledger.registry_version(), Some(said)));
    let command = node.ledger.resume_registry(&node.cluster, known.clone(), |_| false);
    let Some(Command::Resume { version, registry, .. }) = command else { panic!("taken in, not {command:?}") };
    assert!(version > 7, "what it says from now on is above what was told");
    // As it is stamped when it is proposed.
    let command = Command::Resume { stamp, version, registry };
    let entry = Entry { commands: vec![command] }.to_bytes().expect("within bounds");
    node.commit(0, entry);
    assert_eq!(node.ledger.registry().namespaces.get(&id).map(|known| known.name.as_str()), Some("baskets"));
    assert!(node.ledger.resume_registry(&node.cluster, known, |_| false).is_none(), "once");
}
