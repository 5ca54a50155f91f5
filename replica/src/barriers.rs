//! Read barriers: one round to a majority serves all reads that came before it began.
//!
//! A read that is to see all that was acknowledged in the region asks the log's leader how far that reaches, which costs a
//! round to a majority. A barrier that is under way began before a read that comes now, so the read waits for the next
//! one; all that come meanwhile wait for the same. So there is one barrier under way at a time, however many read, and
//! nobody waits for more than two rounds.

use crate::effect::Effect;
use crate::input::GroupId;
use crate::marks::{self, Mark};

/// The barriers of this region's log. Each that is asked for is answered once.
#[derive(Debug, Default)]
pub(crate) struct Barriers {
    /// The last ticket given.
    last: u64,
    under_way: Option<u64>,
    /// What is asked for when that is over.
    next: Option<u64>,
}

impl Barriers {
    /// The ticket of a barrier that begins now or later.
    pub fn ask(&mut self, effects: &mut Vec<Effect>) -> u64 {
        if let Some(next) = self.next {
            marks::reached(Mark::BarrierShared);
            return next;
        }
        self.last += 1;
        if self.under_way.is_some() {
            self.next = Some(self.last);
        } else {
            self.begin(effects, self.last);
        }
        self.last
    }

    /// A barrier is answered: the next one may begin.
    pub fn over(&mut self, effects: &mut Vec<Effect>, ticket: u64) {
        if self.under_way != Some(ticket) {
            return;
        }
        self.under_way = None;
        if let Some(next) = self.next.take() {
            self.begin(effects, next);
        }
    }

    fn begin(&mut self, effects: &mut Vec<Effect>, ticket: u64) {
        self.under_way = Some(ticket);
        effects.push(Effect::ReadIndex { group: GroupId::Region, ticket });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_a_barrier_is_under_way_shares_the_next() {
        let (mut barriers, mut effects) = (Barriers::default(), Vec::new());
        let asked = |effects: &[Effect]| -> Vec<u64> {
            let tickets = effects.iter().map(|effect| match effect {
                Effect::ReadIndex { ticket, .. } => *ticket,
                other => panic!("{other:?}"),
            });
            tickets.collect()
        };
        assert_eq!(barriers.ask(&mut effects), 1);
        assert_eq!([barriers.ask(&mut effects), barriers.ask(&mut effects)], [2, 2]);
        assert_eq!(asked(&effects), [1]);
        barriers.over(&mut effects, 7);
        assert_eq!(asked(&effects), [1], "nobody asked for that one");
        barriers.over(&mut effects, 1);
        assert_eq!(asked(&effects), [1, 2]);
        assert_eq!(barriers.ask(&mut effects), 3, "the second began before this read came");
        barriers.over(&mut effects, 2);
        barriers.over(&mut effects, 3);
        assert_eq!(asked(&effects), [1, 2, 3]);
        assert_eq!(barriers.ask(&mut effects), 4);
    }
}
