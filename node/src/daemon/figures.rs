//! What each figure means: the HELP lines of `/metrics`, and how histograms are cut.
//!
//! A figure without a line here is one that nobody can read; a test compares this list with the sources.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use trine_identity::admission::Refusal;

/// Seconds at which histograms are cut: from a tenth of a millisecond to ten seconds.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Counts at which histograms are cut.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// The histograms that count.
const COUNTING: [&str; 1] = ["trine_commit_batches"];

/// What rises only.
pub const COUNTERS: &[(&str, &str)] = &[
    ("trine_admission_refused_total", "Connections refused because of the certificate that they showed, by reason"),
    ("trine_antientropy_rounds_total", "Comparisons with a peer begun, to find what one of the two lacks"),
    ("trine_client_requests_total", "Requests of clients over libp2p"),
    ("trine_connections_failed_total", "Incoming libp2p connections that came to nothing"),
    ("trine_damage_found_total", "Damage found on this node's disk, by part; any is bad"),
    ("trine_damage_healed_total", "Damage on this node's disk that was healed, by part"),
    ("trine_delta_dropped_total", "Intervals of changes that did not connect to what is held, and were dropped"),
    ("trine_delta_duplicate_total", "Intervals of changes that were here already"),
    ("trine_delta_received_total", "Intervals of changes received"),
    ("trine_delta_rows_trimmed_total", "Rows of the delta log let go before every node had them"),
    ("trine_delta_sent_total", "Intervals of changes sent"),
    ("trine_fork_evidence_total", "Contradicting checkpoints of one region found; any is bad"),
    ("trine_https_handshakes_failed_total", "HTTPS handshakes that failed, for a reason that the log names"),
    ("trine_link_bytes_total", "Bytes sent over links, by the peer's region and class"),
    ("trine_link_dropped_total", "Messages dropped because a link's queue was full or there was no link, by class"),
    ("trine_link_received_bytes_total", "Bytes received over links"),
    ("trine_log_lines_dropped_total", "Log lines that the log could not take in time"),
    (
        "trine_log_lines_repeated_total",
        "Log lines that were counted and not told again, because the same was told a moment ago",
    ),
    ("trine_messages_refused_total", "Messages of peers that were refused"),
    ("trine_raft_peer_failures_total", "Calls to a node of the region's group that came to nothing, by peer"),
    ("trine_records_mirrored_total", "Records of other regions' ledgers taken in, verified"),
    ("trine_rumors_dropped_total", "Rumors dropped because they were too large or nobody had time"),
    ("trine_stamps_held_total", "Messages held back because their stamps are too far ahead"),
    ("trine_writes_refused_total", "Requests refused because too much waits, by reason"),
];

/// What rises and falls.
pub const GAUGES: &[(&str, &str)] = &[
    ("trine_appends_withheld", "1 while this node signs nothing for its region's ledger and takes no appends, else 0"),
    ("trine_clients", "Clients connected over libp2p"),
    ("trine_clock_believed", "1 when this node's clock agrees with most of its peers', else 0"),
    ("trine_clock_hybrid_ahead_seconds", "How far the latest stamp lies ahead of the wall"),
    ("trine_clock_offset_seconds", "How far this node's clock is ahead of a peer's"),
    ("trine_disk_free_bytes", "Free bytes on the data directory's disk"),
    ("trine_driver_clients_waiting", "Requests that wait for an answer of the core"),
    ("trine_driver_inputs_waiting", "Inputs that wait for the core"),
    ("trine_driver_requests_waiting", "Requests that wait for the core"),
    ("trine_link_queue_bytes", "Bytes that wait to be sent over a link"),
    ("trine_link_rtt_seconds", "The round trip to a peer"),
    ("trine_raft_applied_index", "The last entry of the region's log that was applied here"),
    ("trine_raft_commit_index", "The last entry of the region's log known to be committed"),
    ("trine_raft_held_back", "1 while this node votes for nobody, because its disk went back in time, else 0"),
    ("trine_raft_leader", "1 when this node leads its region's group and serves, else 0"),
    ("trine_raft_learners", "Learners of the region's group"),
    ("trine_raft_term", "The term of the region's group"),
    ("trine_raft_voters", "Voters of the region's group"),
    (
        "trine_records_missing",
        "Records of the own region's ledger that others hold and this node lacks, while it may not sign",
    ),
];

/// What is spread.
pub const HISTOGRAMS: &[(&str, &str)] = &[
    ("trine_commit_batches", "Batches of rows that one commit to a database gathered"),
    ("trine_driver_handle_seconds", "How long the core took for one input, by kind"),
    ("trine_flush_seconds", "How long rows took from the journal into their table"),
    ("trine_fsync_seconds", "How long a sync took: of the log, or of a database by name"),
];

/// A recorder that cuts histograms.
///
/// # Errors
/// Never: the lists are not empty.
pub(super) fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
    for name in COUNTING {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &COUNTS)?;
    }
    Ok(builder)
}

/// The counters whose labels are known beforehand: each with its label and the label's values.
fn labelled() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    vec![
        ("trine_admission_refused_total", "reason", Refusal::REASONS.to_vec()),
        ("trine_link_dropped_total", "class", vec!["control", "data", "bulk"]),
        ("trine_writes_refused_total", "reason", vec!["overloaded"]),
    ]
}

/// The counters without labels.
const PLAIN: &[&str] = &[
    "trine_client_requests_total",
    "trine_connections_failed_total",
    "trine_https_handshakes_failed_total",
    "trine_link_received_bytes_total",
    "trine_log_lines_dropped_total",
    "trine_rumors_dropped_total",
];

/// Counters begin at zero: a rate of what has happened once and was never there before is none, and an alarm on it is silent.
pub(super) fn begin() {
    PLAIN.iter().for_each(|&name| counter!(name).absolute(0));
    for (name, label, values) in labelled() {
        values.into_iter().for_each(|value| counter!(name, label => value).absolute(0));
    }
}

/// As [`begin`], for the calls to the other founders of the region.
pub(super) fn begin_peers<'a>(peers: impl Iterator<Item = &'a str>) {
    peers.for_each(|peer| counter!("trine_raft_peer_failures_total", "peer" => peer.to_owned()).absolute(0));
}

/// Tells the recorder what each figure means.
pub(super) fn describe() {
    let unit = |name: &str| match name {
        name if name.ends_with("_bytes") || name.ends_with("_bytes_total") => Unit::Bytes,
        name if name.ends_with("_seconds") => Unit::Seconds,
        _ => Unit::Count,
    };
    COUNTERS.iter().for_each(|&(name, help)| describe_counter!(name, unit(name), help));
    GAUGES.iter().for_each(|&(name, help)| describe_gauge!(name, unit(name), help));
    HISTOGRAMS.iter().for_each(|&(name, help)| describe_histogram!(name, unit(name), help));
}
