//! What this node serves now, and why not.

use super::Organs;
use crate::not_ready::{NotReady, NotTaken};
use crate::turn::Clock;

impl Organs {
    /// Whether this node serves reads; the reason when it does not. On a full disk and without its region's majority it goes on
    /// to: see [`Self::writes`].
    ///
    /// # Errors
    /// The reason.
    pub(super) fn ready(&self, clock: &Clock) -> Result<(), NotReady> {
        if let Some(why) = self.cluster.held_back() {
            return Err(NotReady::WentBack(why.clone()));
        }
        if self.cluster.leaving() {
            return Err(NotReady::Leaving);
        }
        clock.stamps(self.cluster.peers())?;
        if !self.cluster.registered() {
            let refusal = self.ledger.founds().refusal().filter(|_| self.ledger.holds_nothing());
            return Err(match (self.cluster.not_admitted_for(), refusal) {
                (Some(reason), _) => self.cluster.waits_for(reason),
                (None, Some(refusal)) => refusal,
                (None, None) => NotReady::Unregistered { leader: self.cluster.leadership().leader.is_some() },
            });
        }
        self.joining.waits().map_or(Ok(()), |how_far| Err(NotReady::CatchingUp(how_far)))
    }

    /// Whether edits of objects made here can be acknowledged as edits are by default, by a majority of the region.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn edits(&self, clock: &Clock) -> Result<(), NotReady> {
        self.takes(clock)?;
        let (others, needed) = (self.cluster.region_peers().len(), self.cluster.majority_others());
        if others < needed {
            return Err(NotReady::Minority { others, needed });
        }
        Ok(())
    }

    /// Whether appends asked for here can be acknowledged.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn appends(&self, clock: &Clock) -> Result<(), NotReady> {
        self.takes(clock)?;
        match self.cluster.leadership().leader {
            None => Err(NotReady::NoLeader),
            Some(leader) if leader == self.cluster.config().node && !self.cluster.serving() => {
                Err(NotReady::LeaderBehind)
            }
            Some(leader) if leader != self.cluster.config().node && !self.cluster.linked(leader) => {
                Err(NotReady::LeaderUnreached)
            }
            Some(_) => self.ledger.withheld(&self.cluster).map_or(Ok(()), |withheld| Err(withheld.into())),
        }
    }

    fn takes(&self, clock: &Clock) -> Result<(), NotReady> {
        self.ready(clock)?;
        if self.cluster.writable() { Ok(()) } else { Err(NotReady::DiskFull) }
    }

    /// Whether this node takes writes of both kinds; when not, which it does not take, and why.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn writes(&self, clock: &Clock) -> Result<(), NotTaken> {
        match (self.edits(clock).err(), self.appends(clock).err()) {
            (None, None) => Ok(()),
            (edits, appends) => Err(NotTaken { edits, appends }),
        }
    }
}
