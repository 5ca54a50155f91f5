//! Random histories of up to four writers, and random ways through them.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::{Delta, Object, Operation};

use crate::cases::cases;
use crate::history::{History, Knowledge, Step, assert_same, union, writer};

const WRITERS: usize = 4;

fn leaf() -> impl Strategy<Value = Operation> {
    let value = || prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(Bytes::from);
    prop_oneof![
        2 => (-5i64..=5).prop_map(Operation::Increment),
        2 => value().prop_map(Operation::Set),
        2 => value().prop_map(Operation::Put),
        4 => value().prop_map(Operation::Add),
        3 => value().prop_map(Operation::Remove),
        1 => Just(Operation::Delete),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let name = || prop_oneof![Just("x".to_owned()), Just("y".to_owned())];
    leaf().prop_recursive(3, 8, 1, move |below| {
        prop_oneof![
            4 => (name(), below).prop_map(|(name, operation)| Operation::Field { name, operation: Box::new(operation) }),
            1 => name().prop_map(Operation::RemoveField),
        ]
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (0..WRITERS, 0..3u64, operation()).prop_map(|(by, skip, operation)| Step::Edit { by, skip, operation });
    let sync = (0..WRITERS, 1..WRITERS).prop_map(|(from, on)| Step::Sync { from, to: (from + on) % WRITERS });
    vec(prop_oneof![3 => edit, 2 => sync], 0..40)
}

/// Part of what happened, by fractions of 256.
fn part(history: &History, fractions: [u8; WRITERS]) -> Knowledge {
    history.all().iter().zip(fractions).map(|(all, part)| (all * usize::from(part) + 128) / 256).collect()
}

fn joined(a: &Object, b: &Object) -> Object {
    let mut object = a.clone();
    object.join(b);
    object
}

fn through_bytes(object: &Object) -> Object {
    Object::from_bytes(&object.to_bytes()).expect("our own bytes")
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn joins_are_commutative_associative_idempotent(steps in steps(), parts in any::<[[u8; WRITERS]; 3]>()) {
        let history = History::run(WRITERS, &steps);
        let [a, b, c] = parts.map(|fractions| history.state(&part(&history, fractions)));
        assert_same(&joined(&a, &b), &joined(&b, &a), "commutative");
        assert_same(&joined(&joined(&a, &b), &c), &joined(&a, &joined(&b, &c)), "associative");
        assert_same(&joined(&a, &a), &a, "idempotent");
        let more = joined(&a, &b);
        assert_same(&joined(&more, &a), &more, "absorbing");
    }

    #[test]
    fn every_knowledge_is_what_the_model_says(steps in steps(), fractions in any::<[u8; WRITERS]>()) {
        let history = History::run(WRITERS, &steps);
        let known = part(&history, fractions);
        history.model.check(&history.state(&known), &known);
        history.model.check(&history.state(&history.all()), &history.all());
    }

    /// Intervals of any length, overlapping, again, in any order between writers, mixed with whole objects that came
    /// from elsewhere and with restarts from bytes: the same bytes as edit by edit.
    #[test]
    fn any_way_to_the_same_knowledge_gives_the_same_bytes(
        steps in steps(),
        moves in vec((0..WRITERS, any::<[u8; WRITERS]>(), any::<(u8, u8, u8)>()), 0..30),
    ) {
        let history = History::run(WRITERS, &steps);
        let all = history.all();
        let mut object = Object::default();
        let mut known = vec![0; WRITERS];
        for (by, fractions, (how, back, on)) in moves {
            match how % 8 {
                0 => {
                    let theirs = part(&history, fractions);
                    object.join(&history.state(&theirs));
                    known = union(&known, &theirs);
                }
                1 => object = through_bytes(&object),
                _ => {
                    let from = known[by] - known[by].min(usize::from(back % 4));
                    let to = all[by].min(from + 1 + usize::from(on % 6));
                    if from < to {
                        let delta = history.interval(by, from, to);
                        let delta = Delta::from_bytes(&delta.to_bytes()).expect("our own bytes");
                        object.apply(writer(by), history.seq(by, from), &delta);
                        known[by] = known[by].max(to);
                    }
                }
            }
            assert_same(&object, &history.state(&known), "on the way");
        }
    }

    /// What a writer did, joined interval by interval, is one delta however it is cut.
    #[test]
    fn coalescing_is_associative(steps in steps(), cuts in any::<(u8, u8)>()) {
        let history = History::run(WRITERS, &steps);
        let (by, all) = history.all().into_iter().enumerate().max_by_key(|(_, all)| *all).expect("there are writers");
        prop_assume!(all >= 3);
        let one = 1 + usize::from(cuts.0) % (all - 2);
        let two = one + 1 + usize::from(cuts.1) % (all - one - 1);
        let mut left = history.interval(by, 0, one);
        left.then(history.interval(by, one, two));
        left.then(history.interval(by, two, all));
        let mut tail = history.interval(by, one, two);
        tail.then(history.interval(by, two, all));
        let mut right = history.interval(by, 0, one);
        right.then(tail);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(left.to_bytes(), history.interval(by, 0, all).to_bytes());
        prop_assert!(left.to_bytes().len() <= left.weight());
    }

    #[test]
    fn bytes_give_back_what_they_were_made_of(steps in steps(), fractions in any::<[u8; WRITERS]>()) {
        let history = History::run(WRITERS, &steps);
        let object = history.state(&part(&history, fractions));
        assert_same(&through_bytes(&object), &object, "object");
        prop_assert!(object.to_bytes().len() <= object.weight());
        for made in &history.made {
            let bytes = made.delta.to_bytes();
            prop_assert_eq!(&Delta::from_bytes(&bytes).expect("our own bytes"), &made.delta);
        }
    }
}
