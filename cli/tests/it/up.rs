//! `trine up`: what it plans, what it writes.

use std::net::TcpListener;
use std::path::Path;

use clap::Parser as _;
use expect_test::expect;
use trine_cli::up::choice::{self, Why};
use trine_cli::up::cluster::Cluster;
use trine_cli::up::plan::plan;
use trine_cli::up::prepare::{cluster, prepare};
use trine_cli::{Cli, Command};

#[test]
fn nodes_take_three_ports_each_from_the_first_on() {
    let planned = plan(2, 2, 7420, &[]).unwrap();
    let told: String = planned
        .iter()
        .map(|node| format!("{} {} {} {} {}\n", node.name, node.region, node.http, node.libp2p, node.raft))
        .collect();
    expect![[r#"
        us-east-1-a us-east-1 127.0.0.1:7420 127.0.0.1:7421 127.0.0.1:7422
        us-east-1-b us-east-1 127.0.0.1:7423 127.0.0.1:7424 127.0.0.1:7425
        eu-west-1-a eu-west-1 127.0.0.1:7426 127.0.0.1:7427 127.0.0.1:7428
        eu-west-1-b eu-west-1 127.0.0.1:7429 127.0.0.1:7430 127.0.0.1:7431
    "#]]
    .assert_eq(&told);
    assert_eq!(plan(5, 1, 1, &[]).unwrap()[4].name, "region-5-a");
}

#[test]
fn hosts_are_of_regions_or_of_single_nodes() {
    let hosts = ["us-east-1=10.0.1.1".to_owned(), "us-east-1-b=10.0.1.2".to_owned()];
    let planned = plan(2, 2, 7420, &hosts).unwrap();
    let libp2p: Vec<String> = planned.iter().map(|node| node.libp2p.ip().to_string()).collect();
    assert_eq!(libp2p, ["10.0.1.1", "10.0.1.2", "127.0.0.1", "127.0.0.1"]);
    assert!(planned.iter().all(|node| node.http.ip().is_loopback()));
    // Who has a machine to itself has the default ports; who shares one has ports of its own.
    let ports: Vec<u16> = planned.iter().map(|node| node.http.port()).collect();
    assert_eq!(ports, [7420, 7420, 7420, 7423]);
    let loopbacks = ["us-east-1=127.0.0.1".to_owned(), "eu-west-1=127.0.0.2".to_owned()];
    let ports: Vec<u16> = plan(2, 1, 7420, &loopbacks).unwrap().iter().map(|node| node.http.port()).collect();
    assert_eq!(ports, [7420, 7423], "all of loopback is one machine");
    let wrong = |host: &str| plan(1, 1, 7420, &[host.to_owned()]).unwrap_err().to_string();
    expect!["--host eu-west-1: there is no such region or node"].assert_eq(&wrong("eu-west-1=10.0.0.1"));
    expect!["`10.0.0.1` is no host: use --host us-east-1=10.0.0.1, with a region's or a node's name"]
        .assert_eq(&wrong("10.0.0.1"));
    expect!["9 nodes need 27 ports from 65510 on, and there are none above 65535: choose a lower --port"]
        .assert_eq(&plan(3, 3, 65510, &[]).unwrap_err().to_string());
}

#[test]
fn a_cluster_is_prepared_once_and_then_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster");
    let planned = plan(1, 2, 7420, &[]).unwrap();
    let made = prepare(&path, &planned).unwrap();
    assert_eq!(asked(&path, &[]).unwrap(), made, "what is there decides when nothing else is asked for");
    assert_eq!(asked(&path, &["--regions", "1", "--nodes", "2", "--port", "7420"]).unwrap(), made);
    assert_eq!(Cluster::read(&path).unwrap(), made);
    let config = trine_node::config::load_from(&[made.nodes[1].config.clone()], [], &[]).unwrap().config;
    assert_eq!(config.node.name, "us-east-1-b");
    assert_eq!(config.tls.key_file, made.nodes[1].directory.join("tls.key"));
    let refused = |options: &[&str]| asked(&path, options).unwrap_err().to_string();
    let other = refused(&["--nodes", "3"]);
    assert!(other.contains("holds a cluster of other nodes (us-east-1-a, us-east-1-b)"), "{other}");
    for moved in [&["--port", "9420"][..], &["--prepare", "--host", "us-east-1=10.0.0.1"]] {
        let moved = refused(moved);
        assert!(moved.contains("listens elsewhere (us-east-1-a at 127.0.0.1:7420 and 127.0.0.1:7422)"), "{moved}");
    }
}

#[test]
fn the_place_or_a_choice_decides_which_cluster_is_asked_and_never_the_latest_start() {
    let home = tempfile::tempdir().unwrap();
    let (state, at) = (home.path().join("state"), |name: &str| home.path().join(name));
    let planned = plan(1, 1, 7420, &[]).unwrap();
    for name in ["work/trine-data", "elsewhere", "third"] {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        prepare(&at(name), &planned).unwrap();
    }
    let deep = at("work/a/b");
    std::fs::create_dir_all(&deep).unwrap();
    let outside = at("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let found =
        |working: &Path| choice::find_from(working, Some(&state)).unwrap().map(|found| (found.directory, found.why));
    assert_eq!(found(&outside), None);
    choice::remember_in(&state, &at("elsewhere")).unwrap();
    assert_eq!(found(&outside), Some((at("elsewhere"), Why::Only)));
    choice::remember_in(&state, &at("third")).unwrap();
    assert_eq!(found(&outside), None, "the one started last is nobody's choice");
    choice::choose_in(&state, Some(&at("elsewhere"))).unwrap();
    choice::remember_in(&state, &at("third")).unwrap();
    assert_eq!(found(&outside), Some((at("elsewhere"), Why::Chosen)));
    for working in [at("work"), deep, at("work/trine-data"), at("work/trine-data/nodes")] {
        assert_eq!(found(&working), Some((at("work/trine-data"), Why::Nearest)), "{}", working.display());
    }
    choice::choose_in(&state, None).unwrap();
    assert_eq!(found(&outside), None);
    assert!(choice::choose_in(&state, Some(&outside)).is_err());
}

/// What `trine up` makes of these options, up to starting nodes.
fn asked(data: &Path, options: &[&str]) -> anyhow::Result<Cluster> {
    let line = ["trine", "up", "--data", data.to_str().unwrap()];
    match Cli::try_parse_from([&line, options].concat()).unwrap().command {
        Command::Up(args) => cluster(&args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_taken_port_is_named_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = format!("{:#}", asked(&path, &["--regions", "1", "--nodes", "1", "--port", &port]).unwrap_err());
    assert!(error.contains(&format!("us-east-1-a HTTP: 127.0.0.1:{port} is already in use")), "{error}");
    assert!(error.contains("--port"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("letter"), "dear").unwrap();
    let error = prepare(directory.path(), &plan(1, 1, 7420, &[]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("is not empty and holds no cluster"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
