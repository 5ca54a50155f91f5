//! What a node says to a configuration, good or bad.

use std::path::PathBuf;
use std::time::Duration;

use expect_test::{Expect, expect};
use trine_node::config::{Layers, Loaded, check_addresses, check_free, load_from};

const MINIMAL: &str = "[node]\nname = \"us-east-1-a\"\nregion = \"us-east-1\"\n";

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What comes of one file and some variables; the file's folder is called DIR.
fn loaded(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "node.toml", text);
    let dir = directory.path().display().to_string();
    load_from(&[path], variables(environment), &[]).map_err(|error| error.to_string().replace(&dir, "DIR"))
}

fn refused(text: &str, environment: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&loaded(text, environment).map(|_| ()).unwrap_err());
}

#[test]
fn defaults_fill_what_a_file_leaves_out() {
    let config = loaded(MINIMAL, &[]).unwrap().config;
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:7420");
    assert_eq!(config.limits.disk_reserve, 64 << 20);
    assert_eq!(config.storage.derived_flush, Duration::from_secs(1));
    assert!(config.cluster.gossip);
}

#[test]
fn later_layers_win_and_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let first =
        file(&directory, "global.toml", &format!("{MINIMAL}[limits]\ndisk_reserve = \"1GiB\"\nvalue_max = \"1MiB\"\n"));
    let second = file(&directory, "us-east-1.toml", "[limits]\ndisk_reserve = \"2GiB\"\n");
    let environment = variables(&[
        ("TRINE_LOG__FILTER", "warn"),
        ("TRINE_US_EAST_1__CLUSTER__GOSSIP", "false"),
        ("TRINE_EU_WEST_1__CLUSTER__MDNS", "true"),
        ("TRINE_ENDPOINT", "127.0.0.1:1"),
    ]);
    let flags = variables(&[("node.data_dir", "/elsewhere")]);
    let loaded = load_from(&[first, second], environment, &flags).unwrap();
    assert_eq!(loaded.config.limits.disk_reserve, 2 << 30);
    assert_eq!(loaded.config.limits.value_max, 1 << 20);
    assert!(!loaded.config.cluster.gossip, "a variable of the own region counts");
    assert!(!loaded.config.cluster.mdns, "a variable of another region does not");
    assert_eq!(loaded.config.node.data_dir, PathBuf::from("/elsewhere"));
    let dir = directory.path().display().to_string();
    let told: String = loaded
        .values
        .iter()
        .filter(|value| !value.source.contains("defaults"))
        .map(|value| format!("{} = {} from {}\n", value.key, value.value, value.source.replace(&dir, "DIR")))
        .collect();
    expect![[r#"
        cluster.gossip = false from the variable TRINE_US_EAST_1__CLUSTER__GOSSIP
        limits.disk_reserve = "2GiB" from DIR/us-east-1.toml
        limits.value_max = "1MiB" from DIR/global.toml
        log.filter = "warn" from the variable TRINE_LOG__FILTER
        node.data_dir = "/elsewhere" from a flag (--set)
        node.name = "us-east-1-a" from DIR/global.toml
        node.region = "us-east-1" from DIR/global.toml
    "#]]
    .assert_eq(&told);
}

/// Shared files of two regions and a node's own, and what the layers come to.
fn chained(environment: Option<&str>, set: &[&str]) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().join("shared");
    std::fs::create_dir_all(shared.join("us-east-1")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(shared.join(name), text).unwrap();
    write("global.toml", "[limits]\nvalue_max = \"1MiB\"\ndisk_reserve = \"1GiB\"\n[cluster]\nmdns = true\n");
    write("us-east-1.toml", "[limits]\ndisk_reserve = \"2GiB\"\n[log]\nformat = \"json\"\n");
    write("eu-west-1.toml", "[limits]\ndisk_reserve = \"9GiB\"\n");
    write("us-east-1/production.toml", "[log]\nfilter = \"warn\"\n");
    write("us-east-1/test.toml", "[log]\nfilter = \"debug\"\nfromat = \"text\"\n");
    let own = file(&directory, "node.toml", &format!("{MINIMAL}[cluster]\nmdns = false\n"));
    let layers = Layers {
        shared: Some(shared),
        environment: environment.map(str::to_owned),
        set: set.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    let dir = directory.path().display().to_string();
    let loaded = layers.load_from(&[own], variables(&[("TRINE_LIMITS__VALUE_MAX", "3MiB")]));
    let told = |loaded: Loaded| {
        let set = loaded.values.into_iter().filter(|value| !value.source.contains("defaults"));
        set.map(|value| format!("{} = {} from {}\n", value.key, value.value, value.source)).collect::<String>()
    };
    loaded
        .map(told)
        .map_err(|error| error.to_string())
        .map(|text| text.replace(&dir, "DIR"))
        .map_err(|text| text.replace(&dir, "DIR"))
}

#[test]
fn shared_files_come_before_the_nodes_own_and_flags_last() {
    expect![[r#"
        cluster.mdns = false from DIR/node.toml
        limits.disk_reserve = "4GiB" from a flag (--set)
        limits.value_max = "3MiB" from the variable TRINE_LIMITS__VALUE_MAX
        log.filter = "warn" from DIR/shared/us-east-1/production.toml
        log.format = "json" from DIR/shared/us-east-1.toml
        node.name = "us-east-1-a" from DIR/node.toml
        node.region = "us-east-1" from DIR/node.toml
    "#]]
    .assert_eq(&chained(Some("production"), &["limits.disk_reserve=4GiB"]).unwrap());
}

#[test]
fn a_layer_that_is_wrong_or_not_there_is_named() {
    let refused =
        |environment, set: &[&str], expected: Expect| expected.assert_eq(&chained(environment, set).unwrap_err());
    refused(
        Some("test"),
        &[],
        expect!["unknown key `log.fromat` in DIR/shared/us-east-1/test.toml; did you mean `log.format`?"],
    );
    refused(
        Some("staging"),
        &[],
        expect![
            "cannot read the configuration file DIR/shared/us-east-1/staging.toml: No such file or directory (os error 2)"
        ],
    );
    refused(None, &["limits.disk"], expect!["`limits.disk` sets nothing: use section.field=value"]);
    refused(
        None,
        &["limits.disk_reserv=1GiB"],
        expect!["unknown key `limits.disk_reserv` in a flag (--set); did you mean `limits.disk_reserve`?"],
    );
    let directory = tempfile::tempdir().unwrap();
    let own = file(&directory, "node.toml", MINIMAL);
    let layers = Layers { shared: Some(directory.path().to_owned()), ..Layers::default() };
    let error = layers.load_from(&[own], []).unwrap_err().to_string();
    assert!(error.contains("has no file for this node; it could have global.toml, us-east-1.toml"), "{error}");
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "node.toml", &format!("{MINIMAL}[tls]\nca_file = \"pki/ca.crt\"\n"));
    let config = load_from(&[path], [], &[]).unwrap().config;
    assert_eq!(config.tls.ca_file, directory.path().join("pki/ca.crt"));
    assert_eq!(config.node.data_dir, directory.path().join("data"));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    refused(
        &format!("{MINIMAL}[limits]\ndisk_reserv = \"1GiB\"\n"),
        &[],
        expect!["unknown key `limits.disk_reserv` in DIR/node.toml; did you mean `limits.disk_reserve`?"],
    );
    refused(
        &format!("{MINIMAL}[listn]\nhttp = \"127.0.0.1:1\"\n"),
        &[],
        expect!["unknown key `listn` in DIR/node.toml; did you mean `listen`?"],
    );
    refused(
        MINIMAL,
        &[("TRINE_CLUSTER__GOSIP", "true")],
        expect!["unknown key `cluster.gosip` in the variable TRINE_CLUSTER__GOSIP; did you mean `cluster.gossip`?"],
    );
    refused(
        &format!("{MINIMAL}[log]\nqqqqqqqqqqqq = 1\n"),
        &[],
        expect!["unknown key `log.qqqqqqqqqqqq` in DIR/node.toml"],
    );
}

#[test]
fn sizes_and_durations_need_units() {
    refused(
        &format!("{MINIMAL}[limits]\ndisk_reserve = 64\n"),
        &[],
        expect![[
            r#"`limits.disk_reserve` in DIR/node.toml: `64` is no size: use a whole number and B, KiB, MiB or GiB, such as "64MiB""#
        ]],
    );
    refused(
        &format!("{MINIMAL}[storage]\nderived_flush = \"0.2s\"\n"),
        &[],
        expect![[
            r#"`storage.derived_flush` in DIR/node.toml: `0.2s` is no duration: use a whole number and ms, s, m or h, such as "500ms""#
        ]],
    );
}

#[test]
fn what_cannot_be_nothing_is_refused_as_nothing() {
    refused(
        &format!("{MINIMAL}[storage]\ndelta_rows = 0\n"),
        &[],
        expect!["`storage.delta_rows` in DIR/node.toml: invalid value signed int `0`, expected a nonzero u64"],
    );
    refused(
        &format!("{MINIMAL}[storage]\nsegment = \"0B\"\n"),
        &[],
        expect![[r#"`storage.segment` in DIR/node.toml: nothing fits into 0 bytes: use at least "1B""#]],
    );
}

#[test]
fn what_a_variable_means_its_field_decides() {
    let directory = tempfile::tempdir().unwrap();
    let own = file(&directory, "node.toml", "");
    let texts = ["1234", "007", "true", "1.5", "[a]", "{a}", "'a'", "", "0x10", "1_000"];
    for text in texts {
        let environment =
            variables(&[("TRINE_NODE__NAME", text), ("TRINE_NODE__REGION", "007"), ("TRINE_LOG__FILTER", text)]);
        let flags = variables(&[("node.data_dir", text)]);
        let loaded = load_from(std::slice::from_ref(&own), environment, &flags).unwrap();
        let config = loaded.config;
        assert_eq!((config.node.name.as_str(), config.log.filter.as_str()), (text, text));
        assert_eq!((config.node.data_dir, config.node.region.as_str()), (PathBuf::from(text), "007"));
        let shown = loaded.values.iter().find(|value| value.key == "node.region").unwrap();
        assert_eq!(shown.value, r#""007""#);
    }
    let list = |text| loaded(MINIMAL, &[("TRINE_HTTP__HOSTS", text)]).unwrap().config.http.hosts;
    assert_eq!(list("[1234, \"007\",'true', a.example]"), ["1234", "007", "true", "a.example"]);
    assert_eq!(list("a.example"), ["a.example"]);
    assert!(list("[]").is_empty());
    let config =
        loaded(MINIMAL, &[("TRINE_STORAGE__DELTA_ROWS", "12"), ("TRINE_CLUSTER__MDNS", "true")]).unwrap().config;
    assert_eq!((config.storage.delta_rows.get(), config.cluster.mdns), (12, true));
    refused(
        MINIMAL,
        &[("TRINE_CLUSTER__GOSSIP", "0")],
        expect![[
            r#"`cluster.gossip` in the variable TRINE_CLUSTER__GOSSIP: invalid type: found string "0", expected a boolean"#
        ]],
    );
    refused(
        MINIMAL,
        &[("TRINE_STORAGE__DELTA_ROWS", "many")],
        expect![[
            r#"`storage.delta_rows` in the variable TRINE_STORAGE__DELTA_ROWS: invalid type: found string "many", expected a nonzero u64"#
        ]],
    );
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    refused(
        "[node]\nregion = \"us-east-1\"\n",
        &[],
        expect!["`node.name` is not set: set it in a file or as TRINE_NODE__NAME"],
    );
    refused(
        "[node]\nname = \"a\"\nregion = \"US\"\n",
        &[],
        expect!["`node.region` in DIR/node.toml: `US` is no region name: use 1 to 63 of a-z, 0-9 and -"],
    );
    refused(
        &format!("{MINIMAL}[listen]\nhttp = \"localhost\"\n"),
        &[],
        expect![[
            r"`listen.http` in DIR/node.toml: `localhost` is no address: use host:port, the host a name or an IP address (IPv6 in brackets)"
        ]],
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = check_free("listen.http", address).unwrap_err().to_string();
    assert_eq!(error, format!("listen.http: {address} is already in use"));
    drop(taken);
    check_free("listen.http", address).unwrap();
}

#[test]
fn addresses_are_names_or_numbers_and_what_others_are_told_must_lead_to_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let checked = |sections: &str| {
        let file = directory.path().join("node.toml");
        std::fs::write(&file, format!("{MINIMAL}{sections}")).unwrap();
        let loaded = load_from(&[file], [], &[]).map_err(|error| error.to_string())?;
        check_addresses(&loaded.config).map_err(|error| error.to_string())?;
        Ok::<_, String>(loaded.config)
    };
    let listen = "[listen]\nlibp2p = \"localhost:7421\"\nraft = \"127.0.0.1:7422\"\n";
    let config = checked(listen).unwrap();
    assert!(config.listen.libp2p.ip().is_loopback() && config.listen.libp2p.port() == 7421);
    let told = "[advertise]\nraft = \"node-a.example.org:9\"\nlibp2p = [\"node-a:8\", \"/dns4/node/tcp/7\"]\n";
    let config = checked(told).unwrap();
    assert_eq!(config.raft_advertised(), "node-a.example.org:9");
    assert_eq!(config.libp2p_advertised(), ["/dns/node-a/tcp/8", "/dns4/node/tcp/7"]);

    // By default a node listens at any address, of which the others can make nothing.
    let untold = checked("").unwrap_err();
    assert!(untold.starts_with("advertise.raft is not set and listen.raft is `0.0.0.0:7422`"), "{untold}");
    assert!(untold.contains("advertise.raft = \"us-east-1-a.example.org:7422\""), "it says what to write: {untold}");
    for (sections, what) in [
        (format!("{listen}[advertise]\nraft = \"0.0.0.0:1\"\n"), "advertise.raft is `0.0.0.0:1`, where no other node"),
        (format!("{listen}[advertise]\nraft = \"[::]:1\"\n"), "advertise.raft is `[::]:1`, where no other node"),
        (
            format!("{listen}[advertise]\nlibp2p = [\"/ip4/0.0.0.0/tcp/1\"]\n"),
            "advertise.libp2p is `/ip4/0.0.0.0/tcp/1`",
        ),
        (format!("{listen}[advertise]\nraft = \"nonsense\"\n"), "advertise.raft: `nonsense` is no address"),
        (format!("{listen}[advertise]\nlibp2p = [\"nonsense\"]\n"), "advertise.libp2p: `nonsense` is no address"),
        ("[listen]\nraft = \"no-such-host.invalid:1\"\n".to_owned(), "the host of `no-such-host.invalid:1`"),
    ] {
        let error = checked(&sections).unwrap_err();
        assert!(error.contains(what), "{sections}: {error}");
    }
}

#[test]
fn a_log_file_is_beside_its_configuration_and_has_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    let loaded = |section: &str| {
        std::fs::write(&file, format!("{MINIMAL}[log]\n{section}\n")).unwrap();
        load_from(std::slice::from_ref(&file), [], &[])
    };
    assert_eq!(loaded("").unwrap().config.log.file, PathBuf::new(), "standard error");
    let log =
        loaded("file = \"node.log\"\nfile_bytes = \"1MiB\"\nfile_age = \"1h\"\nfiles_kept = 3").unwrap().config.log;
    assert_eq!(log.file, directory.path().join("node.log"));
    assert_eq!((log.file_bytes, log.file_age.as_secs(), log.files_kept), (1 << 20, 3600, 3));
    let refused = |section: &str| loaded(section).unwrap_err().to_string();
    assert!(refused("file_bytes = \"0B\"").contains("log.file_bytes"));
    assert!(refused("file_age = \"a day\"").contains("log.file_age"));
    assert!(refused("files_kept = -1").contains("log.files_kept"));
}
