//! What is missing is told as data, over the wire, too, and in words that name it.

use trine_crdt::{NodeId, RegionId, codec};
use trine_protocol::{Missing, NodeFrame, RequestError};

fn all() -> Vec<(Missing, &'static str)> {
    let region: RegionId = "us-east-1".parse().expect("a region");
    let key = "order-17".to_owned();
    let node = |left| Missing::Node { node: NodeId(u64::MAX), region: region.clone(), left };
    vec![
        (Missing::Key { key: key.clone() }, "key order-17"),
        (Missing::Object { key }, "object order-17"),
        (Missing::namespace("carts"), "namespace carts"),
        (Missing::Namespace { namespace: "carts".to_owned(), deleted: true }, "namespace carts (it was deleted)"),
        (Missing::Record { region: region.clone(), index: u64::MAX }, "record 18446744073709551615 of us-east-1"),
        (Missing::Checkpoint { region: region.clone() }, "checkpoint of us-east-1"),
        (Missing::Ledger { region: region.clone() }, "the ledger of us-east-1 here: ask a node of us-east-1"),
        (Missing::Region { region: region.clone() }, "region us-east-1"),
        (Missing::Genesis, "the genesis document at this node"),
        (node(true), "node ffffffffffffffff on the roster (it has left, and another one may have its name by now)"),
        (node(false), "node ffffffffffffffff on the roster of us-east-1, or on any other that is known there"),
        (
            Missing::ClosedName { name: "us-east-1-c".to_owned(), region: region.clone() },
            "a removed node named us-east-1-c in us-east-1",
        ),
    ]
}

#[test]
fn what_is_missing_is_named_in_words() {
    for (missing, words) in all() {
        assert_eq!(RequestError::from(missing).to_string(), format!("{words} not found"));
    }
}

#[test]
fn what_is_missing_arrives_as_it_was_sent() {
    for (missing, words) in all() {
        let frame = NodeFrame { number: 1, answer: Err(missing.into()) };
        assert_eq!(codec::decode::<NodeFrame>(&codec::encode(&frame)).expect(words), frame);
    }
}
