//! A session as text.

use trine_client::Session;
use trine_crdt::{NamespaceId, PartitionId, WriterId};
use trine_protocol::SessionToken;
use trine_protocol::limits::SESSION_POSITIONS_MAX;
use trine_protocol::session::Position;

/// As many regions as a cluster is meant to have, and more.
const REGIONS: usize = 16;

#[test]
fn a_session_is_handed_over_as_text() {
    let session = Session::new();
    let mut seen = SessionToken::default();
    seen.see_ledger(&"us-east-1".parse().expect("a region"), 42);
    for seq in 1..=SESSION_POSITIONS_MAX as u64 {
        let partition =
            PartitionId { namespace: NamespaceId::default_objects(), slot: u32::try_from(seq).expect("small") };
        seen.see_position(Position { partition, writer: WriterId([9; 16]), seq });
    }
    session.see(&seen);
    let elsewhere: Session = session.to_string().parse().expect("its own text");
    assert_eq!(elsewhere.token(), seen);
}

/// What a session grows to by itself, it must be able to hand over: full, with the longest names, in as many regions as there may be.
#[test]
fn the_largest_session_is_handed_over_too() {
    let name = |number: usize| format!("{number:063}").parse().expect("a region");
    let mut seen = SessionToken::default();
    for number in 0..REGIONS {
        seen.see_ledger(&name(number), u64::MAX);
    }
    for number in 0..SESSION_POSITIONS_MAX {
        let namespace = NamespaceId { region: name(number), index: u64::MAX };
        let partition = PartitionId { namespace, slot: u32::MAX };
        seen.see_position(Position { partition, writer: WriterId([9; 16]), seq: u64::MAX });
    }
    let session = Session::from(seen.clone());
    println!("{} bytes", session.to_string().len() / 2);
    let elsewhere: Session = session.to_string().parse().expect("its own text");
    assert_eq!(elsewhere.token(), seen);
}

#[test]
fn a_clone_shares_what_is_seen_and_nothing_goes_back() {
    let session = Session::new();
    let clone = session.clone();
    let region = "us-east-1".parse().expect("a region");
    for size in [7, 3] {
        let mut seen = SessionToken::default();
        seen.see_ledger(&region, size);
        clone.see(&seen);
    }
    assert_eq!(session.token().ledgers[&region], 7);
}

#[test]
fn other_text_is_refused() {
    let text = Session::new().to_string();
    for wrong in ["", "0", "zz", "ä0", &text[2..], &format!("{text}00"), &"a0".repeat(100_000)] {
        assert!(wrong.parse::<Session>().is_err(), "`{}` was taken", &wrong[..wrong.len().min(40)]);
    }
}
