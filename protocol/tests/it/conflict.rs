//! A conflict says which condition did not hold, over the wire, too, and whether it was the caller's own.

use trine_crdt::{NodeId, RegionId, Timestamp, WriterId, codec};
use trine_protocol::{Conflict, NodeFrame, RequestError};

fn all() -> Vec<(Conflict, bool, &'static str)> {
    let region: RegionId = "us-east-1".parse().expect("a region");
    let (name, node) = ("us-east-1-c".to_owned(), NodeId(u64::MAX));
    let since = Timestamp { time: u64::MAX / 3, writer: WriterId([7; 16]) };
    vec![
        (
            Conflict::Version { region: region.clone(), latest: Some(3) },
            true,
            "the key's latest version in us-east-1 is record 3",
        ),
        (Conflict::Version { region: region.clone(), latest: None }, true, "the key has no version in us-east-1"),
        (Conflict::ObjectThere, true, "there is such an object"),
        (Conflict::NoObject, true, "there is no such object"),
        (Conflict::ObjectChanged, true, "the object has another digest at this node: read it again"),
        (
            Conflict::IdempotencyKey { region, index: 3 },
            false,
            "the idempotency key stands for another append, record 3 of us-east-1",
        ),
        (Conflict::NodeAnswers { name: name.clone(), node, since }, false, "us-east-1-c (ffffffffffffffff) answers; "),
        (
            Conflict::NameTaken { name, node },
            false,
            "the name us-east-1-c is not closed: it is that of the node ffffffffffffffff",
        ),
    ]
}

#[test]
fn a_conflict_is_told_in_words_and_says_whose_condition_it_was() {
    for (conflict, of_precondition, words) in all() {
        assert_eq!(conflict.of_precondition(), of_precondition, "{conflict}");
        let told = RequestError::from(conflict).to_string();
        assert!(told.starts_with(&format!("conflict: {words}")), "{told}");
    }
}

#[test]
fn a_conflict_arrives_as_it_was_sent() {
    for (conflict, _, words) in all() {
        let frame = NodeFrame { number: 1, answer: Err(conflict.into()) };
        assert_eq!(codec::decode::<NodeFrame>(&codec::encode(&frame)).expect(words), frame);
    }
}
