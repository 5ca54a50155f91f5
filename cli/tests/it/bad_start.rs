//! What a node that is told something wrong says before it ends: real processes, real exit codes.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use trine_identity::Ca;

use crate::bad_region::Region;

/// Runs `trine node` on a prepared region's first node, which must end by itself.
fn node(region: &Region, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
    command.arg("node").arg("--config").arg(&region.node(0).config).envs(environment.iter().copied());
    told(region, &command.output().unwrap())
}

fn told(region: &Region, output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), text.replace(&region.directory.display().to_string(), "DIR"))
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let config = region.node(0).config.clone();
    replace(&config, "data_dir", "data_dri");
    let (code, text) = node(&region, &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("unknown key `node.data_dri` in DIR/nodes/us-east-1-a/node.toml; did you mean `node.data_dir`?"),
        "{text}"
    );
    replace(&config, "data_dri", "data_dir");
    let (code, text) = node(&region, &[("TRINE_LIMITS__VALU_MAX", "1MiB")]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("unknown key `limits.valu_max` in the variable TRINE_LIMITS__VALU_MAX"), "{text}");
    assert!(text.contains("did you mean `limits.value_max`?"), "{text}");
    let (code, text) = node(&region, &[("TRINE_LIMITS__VALUE_MAX", "much")]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("`limits.value_max` in the variable TRINE_LIMITS__VALUE_MAX: `much` is no size"), "{text}");
    assert!(!region.data(0).exists(), "nothing was made");
}

#[test]
fn each_port_in_use_is_named_with_its_purpose() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let first: std::net::SocketAddr = region.node(0).http.parse().unwrap();
    for (offset, purpose) in [(0, "listen.http"), (1, "listen.libp2p"), (2, "listen.raft")] {
        let address = std::net::SocketAddr::new(first.ip(), first.port() + offset);
        let taken = TcpListener::bind(address).unwrap();
        let (code, text) = node(&region, &[]);
        drop(taken);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("{purpose}: {address} is already in use")), "{text}");
    }
    assert!(!region.data(0).exists(), "nothing was made");
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let stranger = Ca::create(&directory.path().join("stranger")).unwrap();
    let bundle = stranger.issue_node(&region.node(0).region, "us-east-1-a").unwrap();
    let wrong = directory.path().join("wrong");
    bundle.write(&wrong).unwrap();
    let at = |name: &str| wrong.join(name).display().to_string();
    let refused = |environment: &[(&str, &str)], words: &[&str]| {
        let (code, text) = node(&region, environment);
        assert_eq!(code, Some(2), "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
    };
    // The authority of another cluster, with a certificate of this one.
    refused(
        &[("TRINE_TLS__CA_FILE", &at("ca.crt"))],
        &["us-east-1-a/tls.crt", "the cluster's CA has not signed this certificate"],
    );
    // A certificate and key of another cluster, with the authority of this one.
    let pair = [("TRINE_TLS__CERTIFICATE_FILE", &*at("tls.crt")), ("TRINE_TLS__KEY_FILE", &*at("tls.key"))];
    refused(&pair, &["wrong/tls.crt", "the cluster's CA has not signed this certificate"]);
    // All of another cluster, but for the genesis.
    let (ca, certificate, key) = (at("ca.crt"), at("tls.crt"), at("tls.key"));
    let all =
        [("TRINE_TLS__CA_FILE", &*ca), ("TRINE_TLS__CERTIFICATE_FILE", &*certificate), ("TRINE_TLS__KEY_FILE", &*key)];
    refused(&all, &["DIR/nodes/us-east-1-a/genesis.json"]);
    // A certificate without its key, another node's name, a client's certificate.
    refused(&[("TRINE_TLS__KEY_FILE", &at("tls.key"))], &["key"]);
    refused(&[("TRINE_NODE__NAME", "us-east-1-b")], &["node.name is `us-east-1-b`", "names `us-east-1-a`"]);
    let client = region.directory.join("clients/admin");
    let (certificate, key) =
        (client.join("tls.crt").display().to_string(), client.join("tls.key").display().to_string());
    let pair = [("TRINE_TLS__CERTIFICATE_FILE", &*certificate), ("TRINE_TLS__KEY_FILE", &*key)];
    refused(&pair, &["is the certificate of a client, not of a node"]);
    assert!(!region.data(0).exists(), "nothing was made");
}

/// Runs `trine config validate` on the region's first node.
fn validated(region: &Region, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
    command.args(["config", "validate"]).arg(&region.node(0).config).envs(environment.iter().copied());
    told(region, &command.output().unwrap())
}

#[test]
fn what_a_start_refuses_validation_refuses_in_the_same_words() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let genesis = directory.path().join("genesis").display().to_string();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let under_a_file = file.join("data").display().to_string();
    let in_nothing = directory.path().join("nothing/node.log").display().to_string();
    let log_key = region.node_path(0, "tls.key").display().to_string();
    let http = region.node(0).http.clone();
    let wrong: &[(&str, &str, &str)] = &[
        ("TRINE_LISTEN__RAFT", &http, "listen.http and listen.raft are both"),
        ("TRINE_CLUSTER__SEEDS", "[10.0.0.1]", "`10.0.0.1`"),
        ("TRINE_ADVERTISE__RAFT", "nonsense", "advertise.raft"),
        ("TRINE_ADVERTISE__HTTP", "host:0", "advertise.http"),
        ("TRINE_ADVERTISE__LIBP2P", "[10.0.0.1]", "advertise.libp2p"),
        ("TRINE_ADVERTISE__RAFT", "0.0.0.0:7422", "where no other node can reach this one"),
        ("TRINE_LOG__FILE", &under_a_file, "log.file: cannot write"),
        ("TRINE_LOG__FILE", &in_nothing, "log.file: cannot write"),
        ("TRINE_LOG__FILTER", "inof", "did you mean `info`?"),
        ("TRINE_LOG__FILTER", "trine_node=loud", "log.filter"),
        ("TRINE_CLUSTER__GENESIS_FILE", &genesis, "cluster.genesis_file: "),
        ("TRINE_TLS__KEY_FILE", &genesis, "tls.key_file: "),
        ("TRINE_TLS__LOG_KEY_FILE", &log_key, "is not the log key of region"),
        ("TRINE_NODE__NAME", "us-east-1-b", "names `us-east-1-a`"),
        ("TRINE_NODE__REGION", "eu-west-1", "names another region"),
        ("TRINE_NODE__DATA_DIR", &under_a_file, "file is a file"),
    ];
    let reason = |text: &str| text.lines().find(|line| line.starts_with("error: ")).unwrap_or_default().to_owned();
    for (name, value, words) in wrong {
        let (code, text) = validated(&region, &[(name, value)]);
        assert_eq!(code, Some(2), "{name}={value}: {text}");
        assert!(text.contains(words), "{name}={value}: {text}");
        let (code, start) = node(&region, &[(name, value)]);
        assert_eq!((code, reason(&start)), (Some(2), reason(&text)), "{name}={value}");
        let cause = text.rsplit(": ").next().unwrap_or_default().lines().next().unwrap_or_default();
        assert_eq!(text.matches(cause).count(), 1, "a reason is told once: {text}");
    }
    let (code, text) = validated(&region, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!region.data(0).exists(), "nothing was made");
    assert!(!directory.path().join("genesis").exists() && file.is_file());
}

#[test]
fn a_joining_nodes_files_are_found_under_the_names_that_they_are_made_with() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let home = directory.path().join("us-east-1-z");
    std::fs::create_dir(&home).unwrap();
    let config = home.join("node.toml");
    let text = "[node]\nname = \"us-east-1-z\"\nregion = \"us-east-1\"\n[advertise]\nlibp2p = [\"10.88.0.2:7421\"]\nraft = \"10.88.0.2:7422\"\n";
    std::fs::write(&config, format!("{text}[listen]\nlibp2p = \"10.88.0.2:7421\"\nraft = \"10.88.0.2:7422\"\n"))
        .unwrap();
    let trine = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_trine")).args(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (config, home) = (config.to_str().unwrap(), home.to_str().unwrap());
    let (code, text) = trine(&["config", "validate", config]);
    assert_eq!(code, Some(2), "{text}");
    for (key, file) in [
        ("cluster.genesis_file", "genesis.json"),
        ("tls.ca_file", "ca.crt"),
        ("tls.certificate_file", "tls.crt"),
        ("tls.key_file", "tls.key"),
        ("tls.log_key_file", "log.key"),
    ] {
        assert!(text.contains(&format!("{key}: {home}/{file}: No such file")), "{key}: {text}");
    }
    let ca = region.directory.join("ca");
    let made =
        trine(&["--region", "us-east-1", "tls", "node", "us-east-1-z", "--ca", ca.to_str().unwrap(), "--out", home]);
    assert_eq!(made.0, Some(0), "{made:?}");
    for file in ["log.key", "genesis.json"] {
        std::fs::copy(region.node_path(0, file), Path::new(home).join(file)).unwrap();
    }
    // Its addresses are another machine's.
    let (code, text) = trine(&["config", "validate", config]);
    assert!(code == Some(2) && text.contains("--elsewhere"), "{text}");
    let (code, text) = trine(&["config", "validate", "--elsewhere", config]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_running_nodes_own_file_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared(&directory.path().join("cluster"), &[]);
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    let (code, text) = validated(&region, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&format!("in use now, by this node if it runs: listen.http {}", region.node(0).http)),
        "{text}"
    );
}

#[test]
fn a_data_directory_in_use_or_of_somebody_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    let data = region.data(0).display().to_string();
    let (http, libp2p, raft) = ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    let elsewhere = [("TRINE_LISTEN__HTTP", http), ("TRINE_LISTEN__LIBP2P", libp2p), ("TRINE_LISTEN__RAFT", raft)];
    let (code, text) = node(&region, &elsewhere);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("DIR/nodes/us-east-1-a/data is in use by another process"), "{text}");
    region.stop(1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
    command.arg("node").arg("--config").arg(&region.node(1).config).env("TRINE_NODE__DATA_DIR", &data);
    region.stop(0);
    let (code, text) = told(&region, &command.output().unwrap());
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("belongs to node `us-east-1-a`, not `us-east-1-b`"), "{text}");
    for at in [0, 1] {
        region.start(at);
        region.ready(at);
    }
    region.is_well("left-alone");
}
