//! What nodes of a region say to each other on Raft's connections, and Raft's memberships.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use serde::Serialize;
use trine_crdt::codec;
use trine_raft::log::Origin;
use trine_raft::membership;
use trine_raft::net::wire::{
    AppendForm, Appended, AppendedForm, Call, Hello, Lane, Numbered, PrefixStep, Reply, VERSIONS, Welcome,
};
use trine_raft::types::{
    AppData, Entry, Led, LogId, Member, Membership, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

use crate::cbor;
use crate::fixture::entries;
use crate::target::{Memory, Sample, Target, Verdict};

/// Every frame of Raft's three lanes, in both directions.
pub const TARGET: Target = Target { name: "raft_frames", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    match selector {
        0 => Verdict::of(cbor::again::<Hello>(rest)),
        1 => Verdict::of(cbor::again::<Welcome>(rest)),
        2 => Verdict::of(cbor::again::<AppendForm>(rest).and_then(|form| form.into_request().ok())),
        3 => Verdict::of(cbor::again::<Appended>(rest)),
        4 => Verdict::of(cbor::again::<Numbered<Call>>(rest)),
        5 => Verdict::of(cbor::again::<Numbered<Reply>>(rest)),
        6 => match cbor::again::<PrefixStep>(rest) {
            Some(PrefixStep::Entries(entries)) => {
                let entries: Result<Vec<Entry>, String> = entries.into_iter().map(Entry::try_from).collect();
                Verdict::of(entries.ok())
            }
            Some(step @ PrefixStep::Begin { .. }) => Verdict::of(step.begun()),
            Some(PrefixStep::End) => Verdict::Accepted,
            None => Verdict::Refused,
        },
        7 => {
            let Ok(read) = membership::decode_stored(rest) else { return Verdict::Refused };
            let again = membership::decode_stored(&membership::encode_stored(&read));
            assert_eq!(again, Ok(read), "a membership changed on its way through its form");
            Verdict::Accepted
        }
        _ => Verdict::Refused,
    }
}

fn at(index: u64) -> LogId {
    LogId::new(Led { term: 3, node: 7 }, index)
}

fn three() -> Membership {
    let member = |node: u64| Member { address: format!("127.0.0.1:{node}"), name: format!("us-east-1-{node}") };
    let nodes: BTreeMap<u64, Member> = (1..=3).map(|node| (node, member(node))).collect();
    Membership::new(vec![BTreeSet::from([1, 2, 3])], nodes).expect("voters are nodes")
}

/// A membership's form, of which nothing was checked.
#[derive(Serialize)]
struct Voters {
    voters: Vec<BTreeSet<u64>>,
    nodes: Vec<(u64, Member)>,
}

fn samples() -> Vec<Sample> {
    let vote = Vote::new(3, 7);
    let stored = StoredMembership::new(Some(at(4)), three());
    let data = AppData(entries()[1].to_bytes().expect("within bounds"));
    let payloads = [EntryPayload::Blank, EntryPayload::Normal(data), EntryPayload::Membership(three())];
    let logged: Vec<Entry> = (5..).zip(payloads).map(|(index, payload)| Entry { log_id: at(index), payload }).collect();
    let append = |entries: Vec<Entry>| {
        AppendForm::new(
            u64::MAX,
            AppendEntriesRequest::<TypeConfig> { vote, prev_log_id: Some(at(4)), leader_commit: Some(at(2)), entries },
        )
    };
    let meta = SnapshotMeta { last_log_id: Some(at(9)), last_membership: stored.clone() };
    let origin = Origin::of(&Entry { log_id: at(0), payload: EntryPayload::Membership(three()) });
    let hello = |to, origin| Hello { versions: VERSIONS, from: u64::MAX, to, lane: Lane::Append, origin, process: 5 };
    let call = |body| Numbered { number: 1, body };
    let ask = VoteRequest::<TypeConfig> { vote, last_log_id: Some(at(9)), leadership_transfer: false };
    let answer = |body| Numbered { number: 1, body };
    let mut samples: Vec<Sample> =
        Sample::family(0, "hello", cbor::samples(&[("to-one", hello(Some(1), origin)), ("to-any", hello(None, None))]))
            .collect();
    let no = Welcome::No { reason: "another node lives here".to_owned() };
    samples.extend(Sample::family(
        1,
        "welcome",
        cbor::samples(&[("yes", Welcome::Yes { node: 7, process: 5, version: 1 }), ("no", no)]),
    ));
    samples.extend(Sample::family(
        2,
        "append",
        cbor::samples(&[("whole", append(logged.clone())), ("none", append(Vec::new()))]),
    ));
    let upto = Appended { session: 9, answer: AppendedForm::Upto(Some(at(9))) };
    let conflict = Appended { session: 9, answer: AppendedForm::Conflict(at(4)) };
    let higher = Appended { session: 9, answer: AppendedForm::Higher(vote) };
    samples.extend(Sample::family(
        3,
        "appended",
        cbor::samples(&[("upto", upto), ("conflict", conflict), ("higher", higher)]),
    ));
    let calls = [
        ("beat", call(Call::Heartbeat(append(Vec::new())))),
        ("vote", call(Call::Vote(ask.clone()))),
        ("prevote", call(Call::PreVote(ask))),
        ("empty", call(Call::Empty)),
    ];
    samples.extend(Sample::family(4, "call", cbor::samples(&calls)));
    let replies = [
        ("appended", answer(Reply::Appended(AppendedForm::Upto(None)))),
        ("transfer", answer(Reply::Transfer(Err("no".to_owned())))),
        ("empty", answer(Reply::Empty { node: 7, empty: true })),
        ("refused", answer(Reply::Refused("stopping".to_owned()))),
    ];
    samples.extend(Sample::family(5, "reply", cbor::samples(&replies)));
    let steps = [
        ("begin", PrefixStep::begin(vote, &meta)),
        ("entries", PrefixStep::Entries(logged.into_iter().map(Into::into).collect())),
        ("end", PrefixStep::End),
    ];
    samples.extend(Sample::family(6, "prefix", cbor::samples(&steps)));
    let whole = membership::encode_stored(&stored);
    let mut members = Sample::broken("three", &whole);
    members.push(Sample::valid("three", &whole));
    let nobody = (None::<LogId>, Voters { voters: vec![BTreeSet::from([1])], nodes: Vec::new() });
    members.push(Sample::hostile("a-voter-that-is-no-node", codec::encode(&nobody)));
    members.extend(cbor::hostile());
    samples.extend(Sample::family(7, "membership", members));
    samples
}
