//! What faults do to disks: other errors, other contents, none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;

use super::{Faults, pause, wake};
use crate::arena::cluster::{Layout, NodeLayout, State};
use crate::arena::disk::fault::Fault as DiskFault;
use crate::arena::run::happening::Happening;
use crate::arena::run::watch::Watch;
use crate::arena::run::{members, of_region};
use crate::arena::{Arena, disk};

impl Faults {
    pub(super) fn fail(
        &self,
        arena: &mut Arena,
        nodes: &[String],
        fault: DiskFault,
    ) -> anyhow::Result<(Happening, String)> {
        for node in nodes {
            arena.disks().get(node)?.set(fault.clone());
        }
        let detail = format!("{fault:?}");
        Ok((Happening::Disk { nodes: nodes.to_vec(), fault }, detail))
    }

    /// What else is wrong with a disk of which one fault is over.
    pub(super) fn fail_again(&self, arena: &mut Arena, node: &String) -> anyhow::Result<()> {
        for (happening, _) in self.going_on.values() {
            if let Happening::Disk { nodes, fault } = happening
                && nodes.contains(node)
            {
                arena.disks().get(node)?.set(fault.clone());
            }
        }
        Ok(())
    }

    /// Takes a node's disk away for good, and asks for its replacement under its name. It is not started.
    pub(super) async fn renew(&mut self, arena: &mut Arena, watch: &Watch, name: &String) -> anyhow::Result<()> {
        let id = watch.last(name).with_context(|| format!("{name} was never seen"))?.id;
        self.kill(arena, std::slice::from_ref(name)).await?;
        let layout = arena.parts().0.node(name)?.layout().clone();
        if arena.disks().is_empty() {
            disk::empty(&Layout::data(&layout))?;
        } else {
            arena.disks().get(name)?.wipe()?;
        }
        self.members.change(arena, &layout, members::replace(id))
    }

    /// Puts the images of these nodes' disks in their place, and lets an operator bring back what their regions lost.
    pub(super) async fn put_back(&mut self, arena: &mut Arena, nodes: &[String]) -> anyhow::Result<()> {
        self.kill(arena, nodes).await?;
        let mut regions = BTreeSet::new();
        for name in nodes {
            let layout = arena.parts().0.node(name)?.layout().clone();
            disk::copy(&image_of(&layout), &Layout::data(&layout))?;
            self.old.insert(name.clone());
            regions.insert(layout.region);
        }
        regions.iter().try_for_each(|region| self.members.recover(arena, region))
    }

    /// Gives a node an empty disk that ended because its own went back, as it asks for, and starts it.
    pub(super) fn empty(&mut self, arena: &mut Arena, watch: &Watch, name: &String) -> anyhow::Result<()> {
        let id = watch.last(name).with_context(|| format!("{name} was never seen"))?.id;
        let layout = arena.parts().0.node(name)?.layout().clone();
        disk::empty(&Layout::data(&layout))?;
        let alone = of_region(&arena.cluster().layout().nodes, &layout.region).count() == 1;
        if !alone {
            self.members.change(arena, &layout, members::replace(id))?;
        }
        self.members.recover(arena, &layout.region)?;
        self.start(arena, name)
    }
}

/// Where the image of a node's disk lies.
fn image_of(layout: &NodeLayout) -> PathBuf {
    layout.directory.join("image")
}

/// Takes an image of a node's disk at one moment: the node stands still meanwhile.
pub(super) fn image(arena: &mut Arena, name: &str) -> anyhow::Result<()> {
    let node = arena.parts().0.node(name)?;
    let (layout, runs) = (node.layout().clone(), node.state() == State::Running);
    pause(arena, name)?;
    disk::copy(&Layout::data(&layout), &image_of(&layout))?;
    if runs { wake(arena, name) } else { Ok(()) }
}
