//! Groups of nodes over loopback mTLS on real disks: founding, leading, losing, coming back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use trine_crdt::{NodeId, RegionId, WriterId};
use trine_identity::{Bundle, Ca};
use trine_ledger::LogPosition;
use trine_raft::config::Fatal;
use trine_raft::net::processes::{Answering, Processes};
use trine_raft::{Applied, Founder, Group, GroupConfig, LogConfig, StartError, Timing};
use trine_replica::effect::{Roster, RosterNode};
use trine_replica::input::{CommittedEntry, Payload, ProposeOutcome};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// The incarnation of a node.
fn writer(id: NodeId) -> WriterId {
    WriterId(u128::from(id.0).to_be_bytes())
}

/// What a core would keep: everything handed over, in order.
#[derive(Default)]
pub struct Core {
    entries: Mutex<Vec<CommittedEntry>>,
    pub count: watch::Sender<usize>,
}

impl Core {
    pub fn positions(&self) -> Vec<LogPosition> {
        self.entries.lock().expect("alive").iter().map(|entry| entry.position).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        let entries = self.entries.lock().expect("alive");
        let text = |entry: &CommittedEntry| match &entry.payload {
            Payload::Entry(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Payload::Blank | Payload::Membership { .. } => None,
        };
        entries.iter().filter_map(text).collect()
    }
}

impl Applied for Core {
    fn last_applied(&self) -> (Option<LogPosition>, Option<Bytes>) {
        let entries = self.entries.lock().expect("alive");
        let membership = entries.iter().rev().find_map(|entry| match &entry.payload {
            Payload::Membership { bytes, .. } => Some(bytes.clone()),
            Payload::Blank | Payload::Entry(_) => None,
        });
        (entries.last().map(|entry| entry.position), membership)
    }

    fn committed(&self, new: Vec<CommittedEntry>) -> BoxFuture<'_, ()> {
        let mut entries = self.entries.lock().expect("alive");
        for entry in new {
            let expected = entries.last().map_or(0, |last| last.position.index + 1);
            assert_eq!(entry.position.index, expected, "in order, without gaps, each once");
            entries.push(entry);
        }
        self.count.send_replace(entries.len());
        Box::pin(async {})
    }
}

/// A running node.
pub struct Node {
    id: NodeId,
    pub core: Arc<Core>,
    pub group: Group,
}

/// A region on this machine.
pub struct Region {
    pub directory: TempDir,
    pub ca: Ca,
    pub name: RegionId,
    pub founders: Vec<Founder>,
    /// Where nodes listen, when that is not where they are dialled.
    pub listen: BTreeMap<String, SocketAddr>,
    pub nodes: BTreeMap<String, Node>,
    /// Which process of a node answers on its link, in everybody's eyes.
    pub answering: Answering,
    log: LogConfig,
}

impl Region {
    pub async fn new(names: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = TempDir::new().expect("a directory");
        let ca = Ca::create(&directory.path().join("ca")).expect("a CA");
        let founders = names.iter().map(|name| Founder { name: (*name).to_owned(), raft: free_address().to_string() });
        let founders = founders.collect();
        let log =
            LogConfig { segment_bytes: 64 * 1024, cache_bytes: 64 * 1024, reserve_bytes: 0, ..LogConfig::default() };
        Self {
            directory,
            ca,
            name: "eu".parse().expect("a region"),
            founders,
            listen: BTreeMap::new(),
            nodes: BTreeMap::new(),
            answering: Arc::new(|_| None),
            log,
        }
    }

    pub async fn founded(names: &[&str]) -> Self {
        let mut region = Self::new(names).await;
        for (number, name) in names.iter().enumerate() {
            region.start(name, NodeId(number as u64 + 1), Arc::default()).await.expect("starts");
        }
        region
    }

    fn directory_of(&self, id: NodeId) -> PathBuf {
        self.directory.path().join(id.to_string())
    }

    fn config(&self, name: &str, id: NodeId, identity: Bundle) -> GroupConfig {
        let founder = self.founders.iter().find(|founder| founder.name == name).expect("a founder");
        let fatal: Fatal = Arc::new(|reason| panic!("the log gave up: {reason}"));
        GroupConfig {
            node: id,
            name: name.to_owned(),
            region: self.name.clone(),
            directory: self.directory_of(id),
            listen: self.listen.get(name).copied().unwrap_or_else(|| founder.raft.parse().expect("an address")),
            advertise: founder.raft.clone(),
            identity,
            roster: Roster::default(),
            writers: [writer(id)].into(),
            released: false,
            founders: self.founders.clone(),
            founds: watch::channel(trine_replica::Founds::Yes).1,
            timing: Timing::default(),
            log: self.log,
            fatal,
            connections_max: trine_raft::net::limits::RAFT_CONNECTIONS_MAX,
            processes: Processes { own: id.0, answering: self.answering.clone() },
        }
    }

    pub async fn start(&mut self, name: &str, id: NodeId, core: Arc<Core>) -> Result<(), StartError> {
        let identity = self.ca.issue_node(&self.name, name).expect("a certificate");
        let group = Group::start(self.config(name, id, identity), core.clone()).await?;
        self.nodes.insert(name.to_owned(), Node { id, core, group });
        Ok(())
    }

    /// Waits for a leader that serves; its name and term.
    pub async fn leader(&self) -> (String, u64) {
        let waits = self.nodes.iter().map(|(name, node)| {
            let mut leadership = node.group.leadership();
            Box::pin(async move {
                let now = *leadership.wait_for(|now| now.serving).await.expect("running");
                (name.clone(), now.term)
            })
        });
        let ((name, term), _, _) =
            timeout(PATIENCE, futures::future::select_all(waits)).await.expect("a leader in time");
        (name, term)
    }

    pub async fn append(&self, text: &str) -> ProposeOutcome {
        let (leader, term) = self.leader().await;
        self.nodes[&leader].group.propose(term, Bytes::from(text.to_owned())).await
    }

    /// Waits until all nodes hold what `name` holds.
    pub async fn level(&self) {
        let all = self.nodes.values().map(|node| node.core.positions().len()).max().unwrap_or(0);
        for (name, node) in &self.nodes {
            let mut count = node.core.count.subscribe();
            let reached = timeout(PATIENCE, count.wait_for(|count| *count >= all)).await;
            assert!(reached.is_ok(), "{name} has {} of {all}: {:?}", node.core.positions().len(), node.group.metrics());
        }
    }

    fn roster(&self, retired: &[NodeId]) -> Roster {
        let raft = |name: &str| self.founders.iter().find(|founder| founder.name == name).expect("known").raft.clone();
        let on = |(name, node): (&String, &Node)| RosterNode {
            node: node.id,
            name: name.clone(),
            raft: raft(name),
            writer: writer(node.id),
        };
        Roster { nodes: self.nodes.iter().map(on).collect(), retired: retired.iter().copied().collect() }
    }

    /// Waits until the group has this many voters and no learners.
    async fn settled(&self, voters: usize) {
        let (leader, _) = self.leader().await;
        let settled = async {
            loop {
                let metrics = self.nodes[&leader].group.metrics();
                if metrics.voters.len() == voters && metrics.learners.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, settled).await.unwrap_or_else(|_| panic!("{:?}", self.nodes[&leader].group.metrics()));
    }

    pub async fn stop(self) {
        for node in self.nodes.values() {
            node.group.halt().await;
        }
    }
}

pub fn free_address() -> SocketAddr {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    // Below the ports that the system gives outgoing connections, which would take one while its node is down.
    let start = u16::try_from(std::process::id() % 3_000).expect("it fits");
    loop {
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = 28_500 + (start + next) % 3_400;
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("an address");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_empty_nodes_found_a_group_and_agree() {
    let region = Region::founded(&["a", "b", "c"]).await;
    for number in 0..50 {
        assert_eq!(region.append(&format!("entry {number}")).await, ProposeOutcome::Committed);
    }
    region.level().await;
    let expected: Vec<_> = (0..50).map(|number| format!("entry {number}")).collect();
    let positions = region.nodes["a"].core.positions();
    for (name, node) in &region.nodes {
        assert_eq!(node.core.texts(), expected, "{name}");
        assert_eq!(node.core.positions(), positions, "{name}");
        let reader = node.group.log_reader();
        let last = positions.last().expect("entries").index;
        assert_eq!(reader.entry(last).expect("readable").as_deref(), Some(&b"entry 49"[..]), "{name}");
        assert_eq!(reader.entry(0).expect("readable"), None, "the first entry is the membership");
    }
    let (leader, _) = region.leader().await;
    let index = region.nodes[&leader].group.read_index().await.expect("a majority answers");
    assert!(index >= positions.last().expect("entries").index);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_group_of_the_region_overwrites_nothing_of_the_first() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    for number in 0..20 {
        assert_eq!(region.append(&format!("entry {number}")).await, ProposeOutcome::Committed);
    }
    region.level().await;
    let expected = region.nodes["b"].core.texts();
    region.nodes.remove("a").expect("a node").group.halt().await;
    // It comes back on another disk, believes that it founds its region alone, and takes the others for newcomers.
    let all = region.founders.clone();
    region.founders.retain(|founder| founder.name == "a");
    region.start("a", NodeId(9), Arc::default()).await.expect("starts");
    region.founders = all;
    let second = region.nodes.remove("a").expect("a node");
    let mut leads = second.group.leadership();
    let term = timeout(PATIENCE, leads.wait_for(|now| now.serving)).await.expect("in time").expect("running").term;
    for number in 0..3 {
        let outcome = second.group.propose(term, format!("other {number}").into()).await;
        assert_eq!(outcome, ProposeOutcome::Committed);
    }
    region.nodes.insert("a".to_owned(), second);
    let roster = region.roster(&[]);
    let second = region.nodes.remove("a").expect("a node");
    second.group.reconcile(roster);
    for name in ["b", "c"] {
        let mut foreign = region.nodes[name].group.foreign();
        let refused = timeout(PATIENCE, foreign.wait_for(|names| names.contains("a"))).await;
        assert!(refused.is_ok_and(|refused| refused.is_ok()), "{name} is called by none");
    }
    assert_eq!(region.append("after").await, ProposeOutcome::Committed);
    region.level().await;
    let expected: Vec<String> = expected.into_iter().chain(["after".to_owned()]).collect();
    for name in ["b", "c"] {
        assert_eq!(region.nodes[name].core.texts(), expected, "{name}");
    }
    assert_eq!(second.core.texts(), ["other 0", "other 1", "other 2"]);
    second.group.halt().await;
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_proposals_enter_in_the_order_of_the_calls() {
    let region = Region::founded(&["a", "b", "c"]).await;
    let (leader, term) = region.leader().await;
    let group = &region.nodes[&leader].group;
    let proposals: Vec<_> = (0..500).map(|number| group.propose(term, Bytes::from(format!("{number}")))).collect();
    // Polled in the opposite order: the order of the calls counts.
    let outcomes = futures::future::join_all(proposals.into_iter().rev()).await;
    assert!(outcomes.iter().all(|outcome| *outcome == ProposeOutcome::Committed), "{outcomes:?}");
    let expected: Vec<_> = (0..500).map(|number: u32| number.to_string()).collect();
    assert_eq!(region.nodes[&leader].core.texts(), expected);
    assert_eq!(group.propose(term + 1, Bytes::from("later")).await, ProposeOutcome::Refused, "another term");
    assert_eq!(group.propose(term - 1, Bytes::from("earlier")).await, ProposeOutcome::Refused, "another term");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_within_two_seconds() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    let mut times = Vec::new();
    for round in 0..5 {
        assert_eq!(region.append(&format!("before {round}")).await, ProposeOutcome::Committed);
        let (leader, term) = region.leader().await;
        let lost = region.nodes.remove(&leader).expect("the leader");
        let began = Instant::now();
        lost.group.halt().await;
        let (next, later) = region.leader().await;
        let took = began.elapsed();
        assert!(later > term && next != leader);
        println!("round {round}: a new leader after {took:?}");
        times.push(took);
        assert_eq!(region.append(&format!("after {round}")).await, ProposeOutcome::Committed);
        region.start(&leader, lost.id, lost.core).await.expect("comes back");
        region.level().await;
    }
    println!("new leader after {times:?}");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_left_without_a_majority_soon_names_no_leader() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    assert_eq!(region.append("three").await, ProposeOutcome::Committed);
    region.level().await;
    let (leader, _) = region.leader().await;
    let followers: Vec<String> = region.nodes.keys().filter(|name| **name != leader).cloned().collect();
    for gone in [&leader, &followers[0]] {
        region.nodes.remove(gone).expect("a node").group.halt().await;
    }
    let mut left = region.nodes[&followers[1]].group.leadership();
    let named = timeout(PATIENCE, left.wait_for(|now| now.leader.is_none())).await;
    named.expect("the dead leader is named no more").expect("running");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_moved_is_followed_at_once_by_the_leader_that_there_is() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    assert_eq!(region.append("before").await, ProposeOutcome::Committed);
    region.level().await;
    let (leader, term) = region.leader().await;
    let mover = region.nodes.keys().find(|name| **name != leader).expect("a follower").clone();
    let lost = region.nodes.remove(&mover).expect("a follower");
    lost.group.halt().await;
    // What membership says of it leads nowhere from now on; only the node itself says where it is.
    let elsewhere = free_address();
    region.listen.insert(mover.clone(), elsewhere);
    region.start(&mover, lost.id, lost.core).await.expect("comes back");
    assert_eq!(region.append("while it is looked for").await, ProposeOutcome::Committed);
    for node in region.nodes.values() {
        node.group.told(&mover, &elsewhere.to_string());
    }
    region.level().await;
    assert_eq!(region.leader().await, (leader, term), "nobody had to be elected for it");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_moved_as_a_whole_elects_a_leader_once_its_members_hear_of_each_other() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    assert_eq!(region.append("before").await, ProposeOutcome::Committed);
    region.level().await;
    let names: Vec<String> = region.nodes.keys().cloned().collect();
    let mut moved = Vec::new();
    for name in &names {
        let node = region.nodes.remove(name).expect("a node");
        node.group.halt().await;
        let elsewhere = free_address();
        region.listen.insert(name.clone(), elsewhere);
        moved.push((name.clone(), elsewhere, node.id, node.core));
    }
    for (name, _, id, core) in &moved {
        region.start(name, *id, core.clone()).await.expect("comes back");
    }
    // As links would tell, of which one node has two and the others one.
    for (name, elsewhere, ..) in &moved {
        for other in names.iter().filter(|other| *other != name && (*name == names[0] || **other == names[0])) {
            region.nodes[other].group.told(name, &elsewhere.to_string());
        }
    }
    assert_eq!(region.append("after").await, ProposeOutcome::Committed);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_shuts_down_hands_over_at_once() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    region.append("one").await;
    let (leader, _) = region.leader().await;
    let lost = region.nodes.remove(&leader).expect("the leader");
    let began = Instant::now();
    lost.group.shutdown().await;
    region.leader().await;
    println!("handed over after {:?}", began.elapsed());
    assert_eq!(region.append("two").await, ProposeOutcome::Committed);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_over_twenty_restarts() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    let mut acknowledged = Vec::new();
    let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..20 {
        let (leader, term) = region.leader().await;
        let group = region.nodes[&leader].group.clone();
        let load = tokio::spawn(async move {
            let texts: Vec<_> = (0..64).map(|number| format!("{round}/{number}")).collect();
            let proposals = texts.into_iter().map(|text| {
                let outcome = group.propose(term, Bytes::from(text.clone()));
                async move { (text, outcome.await) }
            });
            futures::future::join_all(proposals).await
        });
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let victim = ["a", "b", "c"][usize::try_from(dice >> 33).expect("fits") % 3];
        let lost = region.nodes.remove(victim).expect("a node");
        lost.group.halt().await;
        // Rows derived from the log may be lost with a crash: every third core comes back with none.
        let core = if round % 3 == 0 { Arc::default() } else { lost.core };
        let outcomes = load.await.expect("no panic");
        acknowledged.extend(
            outcomes.into_iter().filter(|(_, outcome)| *outcome == ProposeOutcome::Committed).map(|(text, _)| text),
        );
        region.start(victim, lost.id, core).await.expect("comes back");
    }
    assert_eq!(region.append("the last").await, ProposeOutcome::Committed);
    region.level().await;
    assert!(acknowledged.len() > 100, "the load got through: {}", acknowledged.len());
    let positions = region.nodes["a"].core.positions();
    for (name, node) in &region.nodes {
        let held: std::collections::BTreeSet<_> = node.core.texts().into_iter().collect();
        let missing: Vec<_> = acknowledged.iter().filter(|text| !held.contains(*text)).collect();
        assert!(missing.is_empty(), "{name} lost {missing:?}");
        assert_eq!(held.len(), node.core.texts().len(), "{name} holds something twice");
        assert_eq!(node.core.positions(), positions, "{name}");
    }
    println!("{} acknowledged entries kept", acknowledged.len());
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_voter_comes_back_as_a_learner_under_a_new_id() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    for number in 0..200 {
        region.append(&format!("{number}")).await;
    }
    region.level().await;
    let lost = region.nodes.remove("c").expect("c");
    lost.group.halt().await;
    std::fs::remove_dir_all(region.directory_of(lost.id)).expect("wiped");

    // It is a founder and empty, but the others are not: it must not found anything.
    region.start("c", NodeId(33), Arc::default()).await.expect("starts");
    assert_eq!(region.append("while c waits").await, ProposeOutcome::Committed);
    assert_eq!(region.nodes["c"].core.positions(), [], "nobody talks to the new id");

    for node in region.nodes.values() {
        node.group.reconcile(region.roster(&[lost.id]));
    }
    let began = Instant::now();
    region.settled(3).await;
    println!("back as a voter after {:?}", began.elapsed());
    assert_eq!(region.append("together again").await, ProposeOutcome::Committed);
    region.level().await;
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_never_saw_a_retired_founder_on_the_roster_lets_it_go() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    assert_eq!(region.append("three").await, ProposeOutcome::Committed);
    region.level().await;
    let lost = region.nodes.remove("c").expect("c");
    lost.group.halt().await;
    // As after a restart of everybody: the first roster heard of has no `c` any more.
    for node in region.nodes.values() {
        node.group.reconcile(region.roster(&[lost.id]));
    }
    region.settled(2).await;
    assert_eq!(region.append("two are enough").await, ProposeOutcome::Committed);
    region.level().await;
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_that_has_yet_to_register_keeps_its_vote() {
    let region = Region::founded(&["a", "b", "c"]).await;
    let (leader, _) = region.leader().await;
    let mut roster = region.roster(&[]);
    roster.nodes.retain(|node| node.name != "b");
    for node in region.nodes.values() {
        node.group.reconcile(roster.clone());
    }
    for number in 0..20 {
        assert_eq!(region.append(&format!("{number}")).await, ProposeOutcome::Committed);
    }
    assert_eq!(region.nodes[&leader].group.metrics().voters.len(), 3);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_lost_its_end_does_not_start() {
    let mut region = Region::founded(&["a", "b", "c"]).await;
    for number in 0..20 {
        region.append(&format!("{number}")).await;
    }
    region.level().await;
    let lost = region.nodes.remove("b").expect("b");
    lost.group.halt().await;
    let file = region.directory_of(lost.id).join("0000000000.log");
    let whole = std::fs::read(&file).expect("readable");
    let scan = trine_ledger::frame::scan(&whole).expect("a segment");
    let cut = scan.frames[scan.frames.len() - 3].at;
    std::fs::write(&file, &whole[..usize::try_from(cut).expect("fits")]).expect("cut");
    match region.start("b", lost.id, Arc::default()).await {
        Err(StartError::LogShorterThanFloor { .. }) => {}
        other => panic!("{other:?}"),
    }
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_together_are_all_served() {
    let region = Region::founded(&["a", "b", "c"]).await;
    let (leader, term) = region.leader().await;
    let group = &region.nodes[&leader].group;
    let entry = Bytes::from(vec![7; 256]);
    let pace = |callers: usize, each: usize| {
        let entry = entry.clone();
        async move {
            let began = Instant::now();
            let caller = || async {
                for _ in 0..each {
                    assert_eq!(group.propose(term, entry.clone()).await, ProposeOutcome::Committed);
                }
            };
            futures::future::join_all((0..callers).map(|_| caller())).await;
            let count = u32::try_from(callers * each).expect("small");
            f64::from(count) / began.elapsed().as_secs_f64()
        }
    };
    let alone = pace(1, 200).await;
    let together = pace(64, 50).await;
    println!("256-byte entries a second: {alone:.0} from one caller, {together:.0} from 64");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_regions_under_load_each_replace_their_leader() {
    let mut regions = Vec::new();
    for _ in 0..3 {
        regions.push(Region::founded(&["a", "b", "c"]).await);
    }
    let loads = regions.iter().map(|region| {
        let caller = || async {
            for _ in 0..40 {
                // On a busy machine a leader may be deposed for its silence.
                while region.append(&"7".repeat(256)).await != ProposeOutcome::Committed {}
            }
        };
        futures::future::join_all((0..64).map(move |_| caller()))
    });
    let loads: Vec<_> = loads.collect();
    let began = Instant::now();
    futures::future::join_all(loads).await;
    let pace = 3.0 * 64.0 * 40.0 / began.elapsed().as_secs_f64();
    println!("three groups, 64 callers each: {pace:.0} entries of 256 bytes a second");

    let mut times = Vec::new();
    for region in &mut regions {
        let (leader, _) = region.leader().await;
        let lost = region.nodes.remove(&leader).expect("the leader");
        let began = Instant::now();
        lost.group.halt().await;
        region.leader().await;
        times.push(began.elapsed());
    }
    println!("new leaders after {times:?}");
    for region in regions {
        region.stop().await;
    }
}
