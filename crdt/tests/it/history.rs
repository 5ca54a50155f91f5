//! A history: what some writers did to one object, seeing each other's work now and then.
//!
//! From it any *knowledge* can be built: per writer how many of its edits are known. Also knowledge that no writer
//! ever had, where a removal is known and what it removed is not. [`History::state`] builds it in the plainest way,
//! edit by edit in the order in which they were made; tests compare every other way with that.

use trine_crdt::{Delta, Dot, EditError, Object, Operation, Timestamp, WriterId};

use crate::model::Model;

pub const fn writer(number: usize) -> WriterId {
    WriterId([number as u8 + 1; 16])
}

/// How many edits of each writer are known.
pub type Knowledge = Vec<usize>;

/// One accepted edit.
pub struct Made {
    pub by: usize,
    pub seq: u64,
    pub delta: Delta,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// A writer does something. Its seq jumps by `1 + skip`: other objects of the partition use dots, too.
    Edit { by: usize, skip: u64, operation: Operation },
    /// A writer takes in all that another knows.
    Sync { from: usize, to: usize },
}

pub struct History {
    pub writers: usize,
    pub made: Vec<Made>,
    pub model: Model,
}

impl History {
    pub fn run(writers: usize, steps: &[Step]) -> Self {
        let mut history = Self { writers, made: Vec::new(), model: Model::default() };
        let mut objects = vec![Object::default(); writers];
        let mut known: Vec<Knowledge> = vec![vec![0; writers]; writers];
        let mut seqs = vec![0u64; writers];
        for (time, step) in steps.iter().enumerate() {
            match step {
                Step::Edit { by, skip, operation } => {
                    let after = seqs[*by] + skip;
                    let stamp = Timestamp { time: time as u64 + 1, writer: writer(*by) };
                    let dot = Dot::new(writer(*by), after + 1);
                    match objects[*by].edit(dot, after, stamp, operation) {
                        Ok(delta) => {
                            seqs[*by] = after + 1;
                            history.model.edit(*by, after + 1, stamp, operation, &known[*by]);
                            known[*by][*by] += 1;
                            history.made.push(Made { by: *by, seq: after + 1, delta });
                        }
                        Err(EditError::WrongKind { .. }) => {}
                        Err(other) => panic!("{operation:?} was refused: {other}"),
                    }
                }
                Step::Sync { from, to } => {
                    let theirs = objects[*from].clone();
                    objects[*to].join(&theirs);
                    let theirs = known[*from].clone();
                    known[*to] = union(&known[*to], &theirs);
                }
            }
        }
        for (object, known) in objects.iter().zip(&known) {
            assert_same(object, &history.state(known), "what a writer has");
        }
        history
    }

    /// All that happened.
    pub fn all(&self) -> Knowledge {
        (0..self.writers).map(|by| self.by(by).count()).collect()
    }

    /// One writer's edits.
    pub fn by(&self, by: usize) -> impl Iterator<Item = &Made> {
        self.made.iter().filter(move |made| made.by == by)
    }

    /// The last dot of a writer's first `count` edits.
    pub fn seq(&self, by: usize, count: usize) -> u64 {
        if count == 0 { 0 } else { self.by(by).nth(count - 1).expect("that many edits").seq }
    }

    /// The state of that knowledge, made edit by edit.
    pub fn state(&self, known: &Knowledge) -> Object {
        let mut object = Object::default();
        let mut left = known.clone();
        for made in &self.made {
            if left[made.by] > 0 {
                left[made.by] -= 1;
                object.apply(writer(made.by), made.seq - 1, &made.delta);
            }
        }
        object
    }

    /// A writer's edits after the first `from`, up to the first `to`, as one delta. `from` < `to`.
    pub fn interval(&self, by: usize, from: usize, to: usize) -> Delta {
        let mut deltas = self.by(by).skip(from).take(to - from).map(|made| made.delta.clone());
        let mut joined = deltas.next().expect("an interval with an edit");
        deltas.for_each(|delta| joined.then(delta));
        joined
    }
}

pub fn union(a: &Knowledge, b: &Knowledge) -> Knowledge {
    a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()
}

/// Equal as values, and byte for byte.
#[track_caller]
pub fn assert_same(a: &Object, b: &Object, what: &str) {
    assert_eq!(a, b, "{what}");
    assert_eq!(a.to_bytes(), b.to_bytes(), "{what}");
}
