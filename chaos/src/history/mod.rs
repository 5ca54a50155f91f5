//! What clients did and were told, as it happened: the only thing that a checker believes about the past.
//!
//! A call is written down with its beginning, its end and its outcome, which is one of three: done, not done, or
//! unknown. A time-out is unknown: neither done nor not done, now and for ever. Everything else is judged from that
//! and from what the nodes hold in the end.
//!
//! A history is kept as JSON lines (`json`), which `trine-chaos check` reads again, and can be written in Jepsen's EDN
//! (`edn`), so that Elle and Jepsen's own checkers can have their say.

pub mod answer;
pub mod call;
pub mod edn;
pub mod hex;
pub mod json;
pub mod recorder;
pub mod seen;
pub mod text;

#[cfg(test)]
mod tests;

pub use call::{Action, After, Call, Edit, Outcome};
pub use edn::Form;
pub use recorder::Recorder;
pub use seen::{Known, Placed, Proof, Seen, Shown, Version, View};

/// All calls of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The calls, in the order in which they began.
    calls: Vec<Call>,
}

impl History {
    /// The history of these calls.
    #[must_use]
    pub fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| (call.invoked_ns, call.id));
        Self { calls }
    }

    /// The calls, in the order in which they began.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The calls about a key.
    pub fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.key == key)
    }

    /// How many calls were done, failed, and are of unknown fate.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| self.calls.iter().filter(|call| wanted(&call.outcome)).count();
        (
            count(|outcome| matches!(outcome, Outcome::Ok(_))),
            count(|outcome| matches!(outcome, Outcome::Fail(_))),
            count(|outcome| matches!(outcome, Outcome::Unknown(_))),
        )
    }
}
