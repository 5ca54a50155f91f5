//! Who belongs to a region, on real processes: wiped, removed, replaced, newly joined.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use trine_cli::up::cluster::ClusterNode;

use super::bad_region::{PATIENCE, Region, free_ports};

/// Waits until something holds.
pub fn until(region: &Region, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            let figure = |at| region.http(at, "GET", "/metrics", "").body;
            let raft: Vec<String> =
                figure(0).lines().filter(|line| line.starts_with("trine_raft")).map(str::to_owned).collect();
            panic!("{what} does not come true; node 0 has {raft:?}");
        }
    }
}

/// Appends, again and again: while nodes look for a leader, nobody may know what became of one.
pub fn append(region: &Region, at: usize, key: &str, value: &str) {
    until(region, "an append", || {
        region.http(at, "PUT", &format!("/api/v1/ledger/default/{key}"), value).status == 201
    });
}

/// The id of the node of that name, as node `at` lists it.
pub fn id(region: &Region, at: usize, name: &str) -> Option<String> {
    let listed: serde_json::Value = serde_json::from_str(&region.http(at, "GET", "/api/v1/nodes", "").body).unwrap();
    let mut nodes = listed["nodes"].as_array().unwrap().iter();
    nodes.find(|node| node["name"] == name).map(|node| node["id"].as_str().unwrap().to_owned())
}

/// Waits until node `at` sees these numbers of voters and learners.
pub fn members(region: &Region, at: usize, voters: usize, learners: usize) {
    until(region, &format!("{voters} voters and {learners} learners"), || {
        // Of one answer: a newcomer that is promoted between two would be counted in neither.
        let body = region.http(at, "GET", "/metrics", "").body;
        [format!("trine_raft_voters {voters}"), format!("trine_raft_learners {learners}")]
            .iter()
            .all(|figure| body.lines().any(|line| line == figure))
    });
}

/// Runs `trine nodes VERB` as the administrator, asked of a node that stays, and says which id it was about.
pub fn nodes(region: &Region, verb: &str, node: &str) -> String {
    let output = region.trine(&["nodes", verb, node, "--yes", "-q", "--timeout", "30s", "--endpoint", "us-east-1-a"]);
    assert!(output.status.success(), "{verb} {node}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until node `at` lists the node of that name as a voter: numbers alone may be those of a former membership.
fn votes(region: &Region, at: usize, name: &str) {
    until(region, &format!("a vote of {name}"), || {
        let listed = region.http(at, "GET", "/api/v1/nodes", "").body;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let mut nodes = listed["nodes"].as_array().into_iter().flatten();
        nodes.any(|node| node["name"] == name && (node["raft"] == "voter" || node["raft"] == "leader"))
    });
}

pub fn wipe(region: &Region, at: usize) {
    std::fs::remove_dir_all(region.data(at)).unwrap();
}

/// Files of one more node of the region, with these lines in its section `cluster`.
pub fn newcomer(region: &mut Region, name: &str, cluster: &str) -> usize {
    let (ports, old) = (free_ports(3), region.node(0).clone());
    let mut home = region.directory.join("nodes").join(name);
    if home.exists() {
        home = region.directory.join("nodes").join(format!("{name}-double"));
    }
    let bundle = region.ca().issue_node(&old.region, name).unwrap();
    bundle.write(&home).unwrap();
    for file in ["log.key", "genesis.json"] {
        std::fs::copy(old.directory.join(file), home.join(file)).unwrap();
    }
    let [http, libp2p, raft] = [0, 1, 2].map(|port| format!("127.0.0.1:{}", ports + port));
    let config = home.join("node.toml");
    let text = format!(
        "[node]\nname = \"{name}\"\nregion = \"{region}\"\n\
         [cluster]\ngenesis_file = \"genesis.json\"\n{cluster}\n\
         [tls]\nca_file = \"ca.crt\"\ncertificate_file = \"tls.crt\"\nkey_file = \"tls.key\"\nlog_key_file = \"log.key\"\n\
         [listen]\nhttp = \"{http}\"\nlibp2p = \"{libp2p}\"\nraft = \"{raft}\"\n",
        region = old.region,
    );
    std::fs::write(&config, text).unwrap();
    let libp2p = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", ports + 1, bundle.key.peer());
    region.adopt(ClusterNode { name: name.to_owned(), directory: home, config, http, libp2p, raft, ..old })
}

/// Moves the founders' libp2p ports, so that what the genesis says of them leads nowhere; the new ports.
fn moved(region: &Region, listen: &str, cluster: impl Fn(&[u16]) -> String) -> Vec<u16> {
    let first = free_ports(3);
    let ports: Vec<u16> = (first..first + 3).collect();
    for (at, port) in ports.iter().enumerate() {
        let path = &region.node(at).config;
        let text = std::fs::read_to_string(path).unwrap();
        let old = text.lines().find(|line| line.starts_with("libp2p = ")).unwrap().to_owned();
        let text = text.replace(&old, &format!("libp2p = \"{listen}:{port}\""));
        let advertise = format!("\n[advertise]\nlibp2p = [\"/ip4/127.0.0.1/tcp/{port}\"]\n");
        std::fs::write(path, text.replace("[cluster]", &format!("[cluster]\n{}", cluster(&ports))) + &advertise)
            .unwrap();
    }
    ports
}

#[test]
fn a_region_whose_nodes_all_moved_finds_itself_by_one_seed() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    append(&region, 0, "before", "kept");
    (0..3).for_each(|at| region.stop(at));
    // Everything but HTTP is elsewhere, by name, and only the first one's new place is told to the others.
    let first = free_ports(6);
    for at in 0..3_u16 {
        let path = &region.node(at.into()).config;
        let text = std::fs::read_to_string(path).unwrap();
        let (libp2p, raft) = (first + 2 * at, first + 2 * at + 1);
        let moved = text.lines().map(|line| match line.split(" = ").next() {
            Some("libp2p") => format!("libp2p = \"localhost:{libp2p}\""),
            Some("raft") => format!("raft = \"localhost:{raft}\""),
            _ if line == "[cluster]" && at > 0 => format!("[cluster]\nseeds = [\"localhost:{first}\"]"),
            _ => line.to_owned(),
        });
        let moved: Vec<String> = moved.collect();
        std::fs::write(path, moved.join("\n") + "\n").unwrap();
    }
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    region.is_well("moved");
    assert_eq!(region.http(2, "GET", "/api/v1/ledger/default/before", "").body, "kept");

    // Each is where it says by then, so any of them may go.
    members(&region, 0, 3, 0);
    region.kill(0);
    append(&region, 1, "without-the-first", "kept");
}

#[test]
fn a_wiped_founder_comes_back_under_a_new_id_and_votes_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    assert_eq!(region.http(0, "PUT", "/api/v1/ledger/default/before", "kept").status, 201);
    let increment = r#"{"op":"increment","by":3}"#;
    assert_eq!(region.http(1, "POST", "/api/v1/objects/objects/visits", increment).status, 200);
    // The one that would found the group, were the others empty, too.
    let before = id(&region, 1, "us-east-1-a").unwrap();
    region.stop(0);
    wipe(&region, 0);
    region.start(0);
    region.ready(0);
    until(&region, "the new id", || id(&region, 1, "us-east-1-a").is_some_and(|now| now != before));
    for at in [1, 0] {
        votes(&region, at, "us-east-1-a");
        members(&region, at, 3, 0);
    }

    // It votes: without it there is no majority any more.
    region.kill(1);
    append(&region, 0, "after", "two of three");
    assert_eq!(region.http(0, "GET", "/api/v1/ledger/default/before", "").body, "kept");
    until(&region, "the object's repair", || {
        region.http(0, "GET", "/api/v1/objects/objects/visits", "").body.contains(r#""total":3"#)
    });
    region.start(1);
    region.ready(1);
    region.is_well("wiped");
}

#[test]
fn a_removed_node_ends_and_stays_out_until_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    let removed = nodes(&region, "remove", "us-east-1-c");
    let deadline = Instant::now() + 2 * PATIENCE;
    while region.lives(2) {
        assert!(Instant::now() < deadline, "a removed node goes on");
    }
    assert!(region.log(2).contains("removed from its region's roster"), "it says why");
    members(&region, 0, 2, 0);

    // Neither its old disk nor an empty one lets it in again, also when those that judge have restarted.
    for at in [0, 1] {
        region.stop(at);
        region.start(at);
        region.ready(at);
    }
    assert_eq!(region.tried(2), Some(5), "{}", region.log(2));
    wipe(&region, 2);
    region.start(2);
    until(&region, "its answer", || {
        super::bad_region::try_http(&region.node(2).http, "GET", "/readyz", &[], b"").is_some()
    });
    for number in 0..20 {
        append(&region, 0, &format!("without-{number}"), "c");
    }
    assert_eq!(id(&region, 0, "us-east-1-c"), None);
    members(&region, 0, 2, 0);

    until(&region, "its reason", || {
        let why = super::bad_region::try_http(&region.node(2).http, "GET", "/readyz", &[], b"");
        why.is_some_and(|why| why.detail().contains("trine nodes readmit us-east-1-c"))
    });
    until(&region, "its log", || region.log(2).contains("trine nodes readmit us-east-1-c"));
    let unknown = region.trine(&["nodes", "replace", "us-east-1-c", "--yes"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("readmit"), "{unknown:?}");
    assert_eq!(nodes(&region, "readmit", "us-east-1-c"), "us-east-1-c");
    assert_ne!(id(&region, 0, "us-east-1-c"), Some(removed));
    region.ready(2);
    members(&region, 0, 3, 0);
    region.is_well("replaced");
}

#[test]
fn a_lost_node_is_replaced_by_a_new_machine_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    // While it answers nobody gives it up by mistake.
    let refused = region.trine(&["nodes", "replace", "us-east-1-c", "--yes", "--endpoint", "us-east-1-a"]);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("answers; it has been registered since") && !words.contains("the key"), "{refused:?}");
    region.kill(2);
    until(&region, "its silence", || {
        region.trine(&["nodes", "replace", "us-east-1-c", "--dry-run"]).status.success()
            && region.http(0, "GET", "/api/v1/nodes", "").body.contains("silent_ms")
    });
    let lost = id(&region, 0, "us-east-1-c").unwrap();
    until(&region, "its being given up", || {
        let given_up = ["nodes", "replace", "us-east-1-c", "--yes", "--endpoint", "us-east-1-a"];
        region.trine(&given_up).status.success()
    });
    members(&region, 0, 2, 0);

    wipe(&region, 2);
    let home = region.node(2).directory.clone();
    ["tls.crt", "tls.key", "ca.crt"].iter().for_each(|file| std::fs::remove_file(home.join(file)).unwrap());
    region.ca().issue_node(&region.node(2).region, "us-east-1-c").unwrap().write(&home).unwrap();
    region.start(2);
    region.ready(2);
    members(&region, 0, 3, 0);
    assert!(id(&region, 0, "us-east-1-c").is_some_and(|now| now != lost));
    region.is_well("another");
}

#[test]
fn a_newcomer_joins_by_one_seed_and_takes_a_lost_voters_place() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared(&directory.path().join("cluster"), &[]);
    let seed = |port: u16| format!("seeds = [\"/ip4/127.0.0.1/tcp/{port}\"]");
    let ports = moved(&region, "127.0.0.1", |ports| seed(ports[0]));
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    region.is_well("moved");

    let new = newcomer(&mut region, "us-east-1-d", &seed(ports[1]));
    region.start(new);
    region.ready(new);
    members(&region, 0, 3, 1);
    // The seed dies; who came by it stays connected with the others, and takes its place when it is given up.
    region.kill(1);
    append(&region, new, "without-the-seed", "kept");
    let endpoint = format!("127.0.0.1:{}", ports[0]);
    let removed =
        region.trine(&["nodes", "remove", "us-east-1-b", "--yes", "--timeout", "30s", "--endpoint", &endpoint]);
    assert!(removed.status.success(), "{removed:?}");
    members(&region, 0, 3, 0);
    region.kill(2);
    append(&region, new, "as-a-voter", "kept");
    assert_eq!(region.http(new, "GET", "/api/v1/ledger/default/without-the-seed", "").body, "kept");
}

/// Whether a datagram to the group of multicast DNS comes back here.
fn multicast_works() -> bool {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let hear = || -> std::io::Result<bool> {
        let ear = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        ear.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        ear.set_read_timeout(Some(Duration::from_secs(2)))?;
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"heard", (group, ear.local_addr()?.port()))?;
        Ok(ear.recv(&mut [0; 16])? == 5)
    };
    hear().unwrap_or(false)
}

#[test]
fn neighbours_find_each_other_by_multicast_dns() {
    if !multicast_works() {
        println!("passed over: multicast does not work on this machine");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared(&directory.path().join("cluster"), &[]);
    moved(&region, "0.0.0.0", |_| "mdns = true".to_owned());
    (0..3).for_each(|at| region.start(at));
    // A node serves once it is registered, and those that do not lead register over a link.
    (0..3).for_each(|at| region.ready(at));
    region.is_well("found");
    assert!((0..3).any(|at| region.log(at).contains("found a node on the local network")));
}
