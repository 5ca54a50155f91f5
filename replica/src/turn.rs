//! One call of the door: what it may read, and what it wants done.

use trine_crdt::{NodeId, Now};

use crate::effect::Effect;
use crate::message::PeerMessage;
use crate::store::Store;

/// The clocks, the store and the effects of one call of `handle`.
pub struct Turn<'a> {
    /// What the clocks say.
    pub now: Now,
    /// Local state.
    pub store: &'a dyn Store,
    /// What is to be done, in order; let out when what it reveals is on disk.
    pub effects: Vec<Effect>,
}

impl Turn<'_> {
    /// Sends a message to a peer.
    pub fn send(&mut self, to: NodeId, message: PeerMessage) {
        self.effects.push(Effect::Send { to, message });
    }
}
