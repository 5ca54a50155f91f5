//! `trine up`: what it plans, what it writes.

use expect_test::expect;
use trine_node::up::cluster::Cluster;
use trine_node::up::plan::plan;
use trine_node::up::prepare::prepare;

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
    assert_eq!(prepare(&path, &planned).unwrap(), made);
    assert_eq!(Cluster::read(&path).unwrap(), made);
    let config = trine_node::config::load_from(&[made.nodes[1].config.clone()], [], &[]).unwrap().config;
    assert_eq!(config.node.name, "us-east-1-b");
    assert_eq!(config.tls.key_file, made.nodes[1].directory.join("tls.key"));
    let other = prepare(&path, &plan(1, 3, 7420, &[]).unwrap()).unwrap_err().to_string();
    assert!(other.contains("holds a cluster of other nodes (us-east-1-a, us-east-1-b)"), "{other}");
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("letter"), "dear").unwrap();
    let error = prepare(directory.path(), &plan(1, 1, 7420, &[]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("is not empty and holds no cluster"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
