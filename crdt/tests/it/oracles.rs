//! The `crdts` crate's types, as oracles: for each kind on its own, the same edits and syncs give the same values.

use std::collections::BTreeSet;

use bytes::Bytes;
use crdts::{CmRDT, CvRDT, LWWReg, MVReg, Orswot, PNCounter};
use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::{Dot, Object, Operation, Timestamp, View, WriterId};

use crate::cases::cases;
use crate::history::writer;

const WRITERS: usize = 4;

/// What happens: an edit with a number between 0 and 7, or a sync.
#[derive(Debug, Clone)]
enum Step {
    Edit(usize, u8),
    Sync(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (0..WRITERS, 0..8u8).prop_map(|(by, what)| Step::Edit(by, what));
    let sync = (0..WRITERS, 1..WRITERS).prop_map(|(from, on)| Step::Sync(from, (from + on) % WRITERS));
    vec(prop_oneof![3 => edit, 2 => sync], 0..60)
}

/// Runs the steps on objects and on an oracle side by side.
fn beside<O: Clone + Default>(
    steps: &[Step],
    operation: impl Fn(u8) -> Operation,
    edit: impl Fn(&mut O, usize, u8, Timestamp),
    merge: impl Fn(&mut O, O),
    compare: impl Fn(&Object, &O),
) {
    let mut objects = vec![Object::default(); WRITERS];
    let mut oracles = vec![O::default(); WRITERS];
    let mut seqs = [0; WRITERS];
    for (time, step) in steps.iter().enumerate() {
        match *step {
            Step::Edit(by, what) => {
                seqs[by] += 1;
                let stamp = Timestamp { time: time as u64 + 1, writer: writer(by) };
                let dot = Dot::new(writer(by), seqs[by]);
                objects[by].edit(dot, seqs[by] - 1, stamp, &operation(what)).expect("one kind only");
                edit(&mut oracles[by], by, what, stamp);
            }
            Step::Sync(from, to) => {
                let (object, oracle) = (objects[from].clone(), oracles[from].clone());
                objects[to].join(&object);
                merge(&mut oracles[to], oracle);
            }
        }
        for (object, oracle) in objects.iter().zip(&oracles) {
            compare(object, oracle);
        }
    }
}

fn value(what: u8) -> Bytes {
    Bytes::copy_from_slice(&[what])
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn sets_are_orswots(steps in steps()) {
        beside::<Orswot<u8, WriterId>>(
            &steps,
            |what| if what < 4 { Operation::Add(value(what)) } else { Operation::Remove(value(what - 4)) },
            |set, by, what, _| {
                let op = if what < 4 {
                    set.add(what, set.read_ctx().derive_add_ctx(writer(by)))
                } else {
                    set.rm(what - 4, set.contains(&(what - 4)).derive_rm_ctx())
                };
                set.apply(op);
            },
            CvRDT::merge,
            |object, set| {
                let sorted: BTreeSet<u8> = set.read().val.into_iter().collect();
                let expected: Vec<View> =
                    if sorted.is_empty() { vec![] } else { vec![View::Set(sorted.into_iter().map(value).collect())] };
                assert_eq!(object.view(), expected);
            },
        );
    }

    #[test]
    fn multi_value_registers_are_mvregs(steps in steps()) {
        beside::<MVReg<u8, WriterId>>(
            &steps,
            |what| Operation::Put(value(what)),
            |register, by, what, _| {
                let op = register.write(what, register.read_ctx().derive_add_ctx(writer(by)));
                register.apply(op);
            },
            CvRDT::merge,
            |object, register| {
                let sorted: BTreeSet<u8> = register.read().val.into_iter().collect();
                let expected: Vec<View> =
                    if sorted.is_empty() { vec![] } else { vec![View::MultiValue(sorted.into_iter().map(value).collect())] };
                assert_eq!(object.view(), expected);
            },
        );
    }

    #[test]
    fn counters_are_pncounters(steps in steps()) {
        beside::<PNCounter<WriterId>>(
            &steps,
            |what| Operation::Increment(i64::from(what) - 4),
            |counter, by, what, _| {
                let op = if what < 4 {
                    counter.dec_many(writer(by), u64::from(4 - what))
                } else {
                    counter.inc_many(writer(by), u64::from(what - 4))
                };
                counter.apply(op);
            },
            CvRDT::merge,
            |object, counter| {
                let total = i64::try_from(counter.read()).expect("small");
                match &object.view()[..] {
                    [] => assert_eq!(total, 0),
                    views => assert_eq!(views, [View::Counter(total)]),
                }
            },
        );
    }

    #[test]
    fn registers_are_lwwregs(steps in steps()) {
        beside::<LWWReg<u8, (u64, WriterId)>>(
            &steps,
            |what| Operation::Set(value(what)),
            |register, _, what, stamp| register.update(what, (stamp.time, stamp.writer)),
            CvRDT::merge,
            |object, register| match &object.view()[..] {
                [] => assert_eq!(register.marker.0, 0),
                views => assert_eq!(views, [View::Register(value(register.val))]),
            },
        );
    }
}
