//! Rumors: small metadata, early, by gossipsub. What it loses, repair over links brings.
//!
//! Only admitted nodes are spoken to ([`super::nodes_only`]). Messages are signed by their author, and one is passed on
//! only when the author is a node that a link once stood with; everything else about it is judged by the core.

use std::collections::BTreeMap;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAcceptance, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use trine_crdt::NodeId;
use trine_identity::admission::Gate;

use super::limits::{ENVELOPE_BYTES, GOSSIP_MESSAGE_BYTES_MAX, NODES_REMEMBERED_MAX};
use super::nodes_only::NodesOnly;

/// Gossipsub with one topic, among nodes.
pub(super) type Behaviour = NodesOnly<gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>>;

/// The cluster's one topic.
pub(super) fn topic(cluster: &str) -> IdentTopic {
    IdentTopic::new(format!("trine/{cluster}/metadata"))
}

/// Builds the behaviour, subscribed to the cluster's topic.
pub(super) fn behaviour(keypair: &Keypair, cluster: &str, gate: Arc<Gate>) -> Result<Behaviour, String> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .max_transmit_size(GOSSIP_MESSAGE_BYTES_MAX + ENVELOPE_BYTES)
        .message_id_fn(message_id)
        .build()
        .map_err(|error| error.to_string())?;
    let topic = topic(cluster);
    let filter = WhitelistSubscriptionFilter(std::iter::once(topic.hash()).collect());
    let authenticity = MessageAuthenticity::Signed(keypair.clone());
    let mut inner =
        gossipsub::Behaviour::new_with_subscription_filter(authenticity, config, filter).map_err(str::to_owned)?;
    inner.subscribe(&topic).map_err(|error| error.to_string())?;
    Ok(NodesOnly::new(inner, gate))
}

/// Author, number and content: the same words said again by the same author are a new rumor, a copy is none.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hash = blake3::Hasher::new();
    hash.update(&message.source.map(PeerId::to_bytes).unwrap_or_default());
    hash.update(&message.sequence_number.unwrap_or_default().to_be_bytes());
    hash.update(&message.data);
    MessageId::from(hash.finalize().as_bytes()[..20].to_vec())
}

/// Which node speaks under which key, as links proved it; the oldest gives way.
#[derive(Default)]
pub(super) struct Authors {
    nodes: BTreeMap<PeerId, (NodeId, u64)>,
    count: u64,
}

impl Authors {
    /// A link proved this.
    pub fn remember(&mut self, peer: PeerId, node: NodeId) {
        self.count += 1;
        self.nodes.insert(peer, (node, self.count));
        if self.nodes.len() > NODES_REMEMBERED_MAX {
            let oldest = self.nodes.iter().min_by_key(|(_, (_, at))| *at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.nodes.remove(&peer));
        }
    }

    /// The node behind a rumor, and whether the rumor is to be passed on.
    pub fn judge(&self, message: &gossipsub::Message) -> (Option<NodeId>, MessageAcceptance) {
        if message.data.len() > GOSSIP_MESSAGE_BYTES_MAX {
            return (None, MessageAcceptance::Reject);
        }
        match message.source.and_then(|author| self.nodes.get(&author)) {
            Some((node, _)) => (Some(*node), MessageAcceptance::Accept),
            None => (None, MessageAcceptance::Ignore),
        }
    }
}
