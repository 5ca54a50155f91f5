//! Raft's membership as bytes: in log frames, on the wire, and in the core's rows.
//!
//! openraft's own form has maps with numbers as keys, which our codec refuses; ours is lists in order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trine_crdt::codec::{self, DecodeError};

use super::types::{LogId, Member, Membership, StoredMembership};

/// A membership as lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipForm {
    voters: Vec<BTreeSet<u64>>,
    nodes: Vec<(u64, Member)>,
}

impl From<&Membership> for MembershipForm {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(node, member)| (*node, member.clone())).collect(),
        }
    }
}

impl TryFrom<MembershipForm> for Membership {
    type Error = String;

    fn try_from(form: MembershipForm) -> Result<Self, String> {
        let nodes: BTreeMap<u64, Member> = form.nodes.into_iter().collect();
        Self::new(form.voters, nodes).map_err(|error| error.to_string())
    }
}

/// A membership's bytes.
#[must_use]
pub fn encode(membership: &Membership) -> Vec<u8> {
    codec::encode(&MembershipForm::from(membership))
}

/// Reads [`encode`].
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Membership, String> {
    let form: MembershipForm = codec::decode(bytes).map_err(|error: DecodeError| error.to_string())?;
    form.try_into()
}

/// The bytes of a membership with its position.
#[must_use]
pub fn encode_stored(stored: &StoredMembership) -> Vec<u8> {
    codec::encode(&(stored.log_id(), MembershipForm::from(stored.membership())))
}

/// Reads [`encode_stored`].
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_stored(bytes: &[u8]) -> Result<StoredMembership, String> {
    let (id, form): (Option<LogId>, MembershipForm) =
        codec::decode(bytes).map_err(|error: DecodeError| error.to_string())?;
    Ok(StoredMembership::new(id, form.try_into()?))
}
