//! What two tokens know together: the laws that merging keeps while there is room, and what it loses when there is none.
//!
//! Of ledgers a token forgets nothing. Of object writes it has room for sixteen pairs of partition and writer; as long as
//! two tokens name no more than that together, merging them is the join of a lattice (per pair the greater number), and
//! only the order in which they stand, which says who gives way first, depends on who is merged into whom. Beyond, the
//! oldest give way, and no law but these is left: what comes is kept, and nothing is made up.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::{NamespaceId, PartitionId, RegionId, WriterId};
use trine_protocol::SessionToken;
use trine_protocol::limits::SESSION_POSITIONS_MAX;
use trine_protocol::session::Position;

/// A pair of partition and writer, by number: there are two writers for each partition.
fn position(pair: u32, seq: u64) -> Position {
    let partition = PartitionId { namespace: NamespaceId::default_objects(), slot: pair / 2 };
    Position { partition, writer: WriterId([(pair % 2) as u8; 16]), seq }
}

/// What a session that saw these positions in this order knows.
fn seen(positions: &[(u32, u64)]) -> SessionToken {
    let mut token = SessionToken::default();
    positions.iter().for_each(|(pair, seq)| token.see_position(position(*pair, *seq)));
    token
}

fn merged(a: &SessionToken, b: &SessionToken) -> SessionToken {
    let mut token = a.clone();
    token.merge(b);
    token
}

/// What a token knows, whatever its order.
type Knowledge = (BTreeMap<RegionId, u64>, BTreeMap<(PartitionId, WriterId), u64>);

fn known(token: &SessionToken) -> Knowledge {
    let at = |at: &Position| ((at.partition.clone(), at.writer), at.seq);
    let positions: BTreeMap<_, _> = token.positions.iter().map(at).collect();
    assert_eq!(positions.len(), token.positions.len(), "a pair stands twice");
    (token.ledgers.clone(), positions)
}

/// Whether one token knows all that another does.
fn covers(token: &SessionToken, other: &SessionToken) -> bool {
    let (token, other) = (known(token), known(other));
    let ledgers = other.0.iter().all(|(region, size)| token.0.get(region) >= Some(size));
    ledgers && other.1.iter().all(|(pair, seq)| token.1.get(pair) >= Some(seq))
}

/// The least that covers both.
fn together(a: &SessionToken, b: &SessionToken) -> Knowledge {
    let (mut of_a, of_b) = (known(a), known(b));
    for (region, size) in of_b.0 {
        let known = of_a.0.entry(region).or_default();
        *known = size.max(*known);
    }
    for (pair, seq) in of_b.1 {
        let known = of_a.1.entry(pair).or_default();
        *known = seq.max(*known);
    }
    of_a
}

/// The laws of two tokens that have room together.
fn two(a: &SessionToken, b: &SessionToken) {
    let both = merged(a, b);
    assert_eq!(known(&both), together(a, b), "the least that covers both: {a:?} and {b:?}");
    assert_eq!(known(&both), known(&merged(b, a)), "commutative: {a:?} and {b:?}");
    assert!(covers(&both, a) && covers(&both, b), "monotone: {a:?} and {b:?}");
    assert_eq!(known(&merged(&both, a)), known(&both), "absorbing: {a:?} and {b:?}");
    assert_eq!(known(&merged(&both, b)), known(&both), "absorbing: {a:?} and {b:?}");
}

/// The laws of each token, at capacity too.
fn one(a: &SessionToken) {
    assert_eq!(merged(a, a), *a, "idempotent, and in the same order");
    assert_eq!(merged(a, &SessionToken::default()), *a, "nothing is neutral");
    assert_eq!(merged(&SessionToken::default(), a), *a, "nothing is neutral");
}

fn three(a: &SessionToken, b: &SessionToken, c: &SessionToken) {
    let (left, right) = (merged(&merged(a, b), c), merged(a, &merged(b, c)));
    assert_eq!(known(&left), known(&right), "associative: {a:?}, {b:?} and {c:?}");
    // A greater token merged into, or with, a greater one knows no less.
    assert!(covers(&merged(&merged(a, c), b), &merged(a, b)), "monotone: {a:?}, {b:?} and {c:?}");
    assert!(covers(&merged(a, &merged(b, c)), &merged(a, b)), "monotone: {a:?}, {b:?} and {c:?}");
}

/// All tokens with up to three pairs, in every order, and numbers of 1 and 2.
fn small_universe() -> Vec<SessionToken> {
    let mut all = vec![Vec::new()];
    let mut begun = 0;
    while begun < all.len() {
        let first: Vec<(u32, u64)> = all[begun].clone();
        begun += 1;
        for pair in (0..3).filter(|pair| first.iter().all(|(known, _)| known != pair)) {
            all.extend([1, 2].map(|seq| [&first[..], &[(pair, seq)]].concat()));
        }
    }
    all.iter().map(|positions| seen(positions)).collect()
}

#[test]
fn within_capacity_merging_is_a_join_exhaustively() {
    let all = small_universe();
    assert_eq!(all.len(), 1 + 3 * 2 + 6 * 4 + 6 * 8);
    for a in &all {
        one(a);
        for b in &all {
            two(a, b);
            all.iter().for_each(|c| three(a, b, c));
        }
    }
}

#[test]
fn of_ledgers_nothing_is_ever_lost_exhaustively() {
    let regions: Vec<RegionId> = ["us-east-1", "eu-west-1"].map(|name| name.parse().expect("a name")).into();
    let mut all = Vec::new();
    for sizes in (0..16).map(|number| [number % 4, number / 4]) {
        // Full, so that positions give way all the time.
        let mut token = seen(&(0..20).map(|pair| (pair + 20 * sizes[0] as u32, 1)).collect::<Vec<_>>());
        for (region, size) in regions.iter().zip(sizes).filter(|(_, size)| *size > 0) {
            token.see_ledger(region, size);
        }
        all.push(token);
    }
    for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
        let both = merged(a, b);
        assert_eq!(both.ledgers, together(a, b).0);
        assert_eq!(both.ledgers, merged(b, a).ledgers);
        for c in &all {
            assert_eq!(merged(&both, c).ledgers, merged(a, &merged(b, c)).ledgers);
        }
    }
}

/// Sightings of this many pairs.
fn sightings(pairs: u32, most: usize) -> impl Strategy<Value = Vec<(u32, u64)>> {
    vec((0..pairs, prop_oneof![0..4_u64, Just(u64::MAX)]), 0..most)
}

fn with_ledgers(positions: &[(u32, u64)]) -> SessionToken {
    let mut token = seen(positions);
    for (number, seq) in positions {
        token.see_ledger(&format!("region-{}", number % 5).parse().expect("a name"), *seq);
    }
    token
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn within_capacity_merging_is_a_join(
        [a, b, c] in [sightings(SESSION_POSITIONS_MAX as u32, 60), sightings(16, 60), sightings(16, 60)],
    ) {
        let [a, b, c] = [a, b, c].map(|positions| with_ledgers(&positions));
        one(&a);
        two(&a, &b);
        three(&a, &b, &c);
    }

    /// Whatever the pairs: no more than there is room for; nothing that neither knew; of what came all that was news, in its
    /// order; and of what was there the newest that have room.
    #[test]
    fn at_capacity_what_comes_is_kept_and_the_oldest_give_way(
        [a, b] in [sightings(64, 80), sightings(64, 80)],
    ) {
        let [a, b] = [a, b].map(|positions| with_ledgers(&positions));
        one(&a);
        let both = merged(&a, &b);
        prop_assert_eq!(&both.ledgers, &together(&a, &b).0);
        prop_assert!(both.positions.len() <= SESSION_POSITIONS_MAX);
        let all = [&a.positions[..], &b.positions].concat();
        prop_assert!(both.positions.iter().all(|at| all.contains(at)), "something was made up");
        let pair = |at: &Position| (at.partition.clone(), at.writer);
        let before = known(&a).1;
        let news: Vec<_> = b.positions.iter().filter(|at| before.get(&pair(at)) <= Some(&at.seq)).collect();
        let came: Vec<_> = both.positions.iter().filter(|at| news.contains(at)).collect();
        prop_assert_eq!(came, news.clone(), "something that came was lost, or stands elsewhere");
        let stays: Vec<_> = a.positions.iter().filter(|at| news.iter().all(|new| pair(new) != pair(at))).collect();
        let kept: Vec<_> = both.positions.iter().filter(|at| stays.contains(at)).collect();
        prop_assert!(stays.ends_with(&kept), "a newer position gave way to an older one");
    }
}

/// The sixteen that a session touched last, as pairs 1 to 16, after pair 0.
fn full() -> SessionToken {
    seen(&(0..=16).map(|pair| (pair, 5)).collect::<Vec<_>>())
}

/// What a session loses with its seventeenth pair: its first write, so that a read elsewhere need not show it any more.
#[test]
fn the_seventeenth_pair_makes_a_session_forget_its_first() {
    let token = full();
    assert_eq!(token.positions.len(), SESSION_POSITIONS_MAX);
    assert_eq!(token.positions[0], position(1, 5));
    assert!(!covers(&token, &seen(&[(0, 5)])), "its own write is forgotten");
    let grown = merged(&token, &seen(&[(17, 1)]));
    assert!(!covers(&grown, &token), "a merge lost what was known: not monotone");
}

#[test]
fn beyond_capacity_order_decides() {
    let (a, b) = (full(), seen(&[(20, 1), (21, 1)]));
    assert_ne!(known(&merged(&a, &b)), known(&merged(&b, &a)), "not commutative");
    // Grouped one way, pair 0 is forgotten and comes back with the lower number; grouped the other way it never was.
    let (a, b, c) = (seen(&[(0, 5)]), seen(&(1..=16).map(|pair| (pair, 1)).collect::<Vec<_>>()), seen(&[(0, 3)]));
    let (left, right) = (merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    assert_eq!(left.positions.last(), Some(&position(0, 3)));
    assert_eq!(right.positions.first(), Some(&position(0, 5)), "not associative");
}

/// To see less of a pair than is known of it does not make the pair newer: it gives way as if it had not been seen, and
/// when that happens in the middle of a merge, the lower number takes its place.
#[test]
fn a_pair_that_both_know_can_be_lost_or_go_back() {
    let filled = |first: (u32, u64), from: u32| {
        let rest = (from..from + 15).map(|pair| (pair, 1));
        seen(&std::iter::once(first).chain(rest).collect::<Vec<_>>())
    };
    let (a, b) = (filled((0, 5), 1), filled((0, 3), 20));
    let lost = merged(&a, &b);
    assert!(lost.positions.iter().all(|at| (at.partition.slot, at.writer) != (0, WriterId([0; 16]))), "{lost:?}");
    let late: Vec<_> = b.positions[1..].iter().chain(&b.positions[..1]).cloned().collect();
    let back = merged(&a, &SessionToken { positions: late, ..SessionToken::default() });
    assert_eq!(back.positions.last(), Some(&position(0, 3)), "5 was known, and 3 is what is left");
}
