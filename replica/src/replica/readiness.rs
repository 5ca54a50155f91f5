//! What this node serves now, and why not.

use super::Organs;
use crate::turn::Clock;

impl Organs {
    /// Whether this node serves reads; the reason when it does not. On a full disk and without its region's majority it goes on
    /// to: see [`Self::writes`].
    ///
    /// # Errors
    /// The reason.
    pub(super) fn ready(&self, clock: &Clock) -> Result<(), String> {
        if let Some(why) = self.cluster.held_back() {
            return Err(why.clone());
        }
        if self.cluster.leaving() {
            return Err(
                "this node was removed from its region's roster: it votes until the others can do without it, \
                        and then stops"
                    .to_owned(),
            );
        }
        clock.stamps(self.cluster.peers())?;
        if !self.cluster.registered() {
            let leader = if self.cluster.leadership().leader.is_none() { ": the region has no leader" } else { "" };
            let refusal = self.ledger.founds().refusal().filter(|_| self.ledger.holds_nothing());
            return Err(match (self.cluster.not_admitted_for(), refusal) {
                (Some(reason), _) => self.cluster.waits_for(reason),
                (None, Some(refusal)) => refusal,
                (None, None) => format!("its incarnation is not yet registered in the region's ledger{leader}"),
            });
        }
        self.joining.waits().map_or(Ok(()), Err)
    }

    /// Whether edits of objects made here can be acknowledged as edits are by default, by a majority of the region.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn edits(&self, clock: &Clock) -> Result<(), String> {
        self.takes(clock)?;
        let (others, needed) = (self.cluster.region_peers().len(), self.cluster.majority_others());
        if others < needed {
            return Err(format!(
                "taken at durability local only: {others} other nodes of the region are reached where a majority needs {needed}"
            ));
        }
        Ok(())
    }

    /// Whether appends asked for here can be acknowledged.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn appends(&self, clock: &Clock) -> Result<(), String> {
        self.takes(clock)?;
        match self.cluster.leadership().leader {
            None => Err("the region has no leader that a majority knows".to_owned()),
            Some(leader) if leader == self.cluster.config().node && !self.cluster.serving() => {
                Err("this node has been elected and is not up to date yet".to_owned())
            }
            Some(leader) if leader != self.cluster.config().node && !self.cluster.linked(leader) => {
                Err("the region's leader is not reached from here".to_owned())
            }
            Some(_) => self.ledger.withheld(&self.cluster).map_or(Ok(()), |withheld| Err(withheld.to_string())),
        }
    }

    fn takes(&self, clock: &Clock) -> Result<(), String> {
        self.ready(clock)?;
        if self.cluster.writable() {
            Ok(())
        } else {
            Err("the disk is full: writes are refused, reads go on".to_owned())
        }
    }

    /// Whether this node takes writes of both kinds; when not, which it does not take, and why.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn writes(&self, clock: &Clock) -> Result<(), String> {
        let taken = |kind: Result<(), String>| kind.err().unwrap_or_else(|| "taken".to_owned());
        match (self.edits(clock), self.appends(clock)) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(edits), Err(appends)) if edits == appends => Err(edits),
            (edits, appends) => Err(format!("edits: {}; appends: {}", taken(edits), taken(appends))),
        }
    }
}
