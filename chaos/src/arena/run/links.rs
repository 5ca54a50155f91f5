//! From a plan's words about the network to the router's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;

use crate::arena::Arena;
use crate::arena::control::Reshape;
use crate::arena::network::{Cut, Direction};
use crate::plan::{Inject, Spot, Way};

/// The cut that takes the first spot off the others, or off all.
pub fn cut(spots: &[Spot], way: Way, flap: Option<Duration>) -> Cut {
    let direction = match way {
        Way::Both => Direction::Both,
        Way::In => Direction::In,
        Way::Out => Direction::Out,
    };
    let mut names = spots.iter().map(|spot| match spot {
        Spot::Region(region) => vec![region.clone()],
        Spot::Nodes(nodes) => nodes.clone(),
        Spot::Clients(None) => vec!["clients".to_owned()],
        Spot::Clients(Some(region)) => vec![format!("clients of {region}")],
    });
    let places = names.next().unwrap_or_default();
    Cut { places, from: names.flatten().collect(), clients: false, direction, flap }
}

/// The directions between two spots.
pub fn pairs(arena: &Arena, spots: &[Spot], one_way: bool) -> anyhow::Result<Vec<(usize, usize)>> {
    let map = arena.network().map();
    let places = |spot: &Spot| -> anyhow::Result<Vec<usize>> {
        match spot {
            Spot::Region(region) => Ok(vec![map.find(region)?]),
            // All nodes, within regions too; clients from outside are the last.
            _ => Ok((0..map.sites().len() - 1).collect()),
        }
    };
    let [from, to] = spots else { bail!("a link has two ends") };
    let (from, to) = (places(from)?, places(to)?);
    let mut pairs = BTreeSet::new();
    for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
        pairs.insert((a, b));
        if !one_way {
            pairs.insert((b, a));
        }
    }
    Ok(pairs.into_iter().collect())
}

/// How a fault of links changes them.
pub fn reshape(inject: &Inject) -> Reshape {
    let Inject::Link { delay, jitter, loss, duplicate, reorder, late, bytes_per_s, .. } = inject else {
        return Reshape::default();
    };
    Reshape {
        delay: *delay,
        jitter: *jitter,
        loss: *loss,
        duplicate: *duplicate,
        reorder: *reorder,
        reorder_late: *late,
        rate_bytes: *bytes_per_s,
        queue_bytes: None,
    }
}
