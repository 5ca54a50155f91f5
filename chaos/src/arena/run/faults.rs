//! A plan's faults, carried out on real processes, links, disks and clocks when their time has come.

mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail};

use super::happening::Happening;
use super::links;
use super::members::{self, Members};
use super::watch::Watch;
use crate::arena::cluster::clock::Skew;
use crate::arena::cluster::{NodeLayout, State};
use crate::arena::disk::fault::Fault as DiskFault;
use crate::arena::disk::loss::Loss;
use crate::arena::network::Rules;
use crate::arena::run::limits::{DEPOSED_MAX, RESTARTS_MAX};
use crate::arena::{Arena, disk};
use crate::chance::Chance;
use crate::check::{Did, Happened, NodeEvent};
use crate::history::Recorder;
use crate::plan::{Inject, Occurrence, Plan, Spot, Target};
use crate::units::{Offset, show_time};

/// All faults of a run.
#[derive(Debug)]
pub struct Faults {
    plan: Plan,
    recorder: Recorder,
    timeline: Vec<Occurrence>,
    begun: usize,
    going_on: BTreeMap<usize, (Happening, usize)>,
    happened: Vec<Happened>,
    events: Vec<NodeEvent>,
    /// The network as it is when nothing is wrong.
    calm: Rules,
    members: Members,
    /// When each node was started last, in nanoseconds of the run.
    started_ns: BTreeMap<String, u64>,
    /// Nodes that ended by themselves, of which that has been told.
    ended: BTreeSet<String>,
    restarts: BTreeMap<String, u32>,
    /// Nodes whose disks were put back to what they were before. One that finds that out and ends gets an empty one.
    old: BTreeSet<String>,
}

impl Faults {
    /// A plan's faults, none begun.
    #[must_use]
    pub fn new(arena: &Arena, plan: &Plan, seed: u64, recorder: &Recorder) -> Self {
        Self {
            plan: plan.clone(),
            recorder: recorder.clone(),
            timeline: plan.timeline(seed),
            begun: 0,
            going_on: BTreeMap::new(),
            happened: Vec::new(),
            events: Vec::new(),
            calm: arena.network().router().rules(),
            members: Members::default(),
            started_ns: BTreeMap::new(),
            ended: BTreeSet::new(),
            restarts: BTreeMap::new(),
            old: BTreeSet::new(),
        }
    }

    /// What goes wrong at the moment, in words.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let show = |happened: &Happened| format!("{} {}", happened.kind, happened.targets.join(" "));
        self.going_on.values().map(|(_, at)| show(&self.happened[*at])).collect()
    }

    /// Everything that happened, and what nodes did of themselves.
    #[must_use]
    pub fn told(self) -> (Vec<Happened>, Vec<NodeEvent>) {
        (self.happened, self.events)
    }

    /// The nodes that belong to the cluster.
    #[must_use]
    pub fn members(&self, arena: &Arena) -> Vec<NodeLayout> {
        let nodes = arena.cluster().layout().nodes.iter();
        nodes.filter(|node| !self.members.left.contains(&node.name)).cloned().collect()
    }

    /// Waits until all changes of rosters are done.
    ///
    /// # Errors
    /// When one could not be done.
    pub async fn members_changed(&mut self) -> anyhow::Result<()> {
        self.members.changed().await
    }

    /// Ends and begins what is due.
    ///
    /// # Errors
    /// When something cannot be done.
    pub async fn carry_out(&mut self, arena: &mut Arena, watch: &mut Watch, elapsed: Duration) -> anyhow::Result<()> {
        let over = |number: &&usize| self.timeline[**number].until.is_some_and(|until| until <= elapsed);
        let over: Vec<usize> = self.going_on.keys().filter(over).copied().collect();
        for number in over {
            self.end(arena, number).await?;
        }
        while self.timeline.get(self.begun).is_some_and(|next| next.at <= elapsed) {
            self.begun += 1;
            self.begin(arena, watch, self.begun - 1).await?;
        }
        let awake: Vec<usize> =
            self.going_on.iter().filter(|(_, it)| self.deposed(&it.0, watch)).map(|it| *it.0).collect();
        for number in awake {
            self.end(arena, number).await?;
        }
        Ok(())
    }

    /// Whether a leader that sleeps has slept long enough.
    fn deposed(&self, happening: &Happening, watch: &Watch) -> bool {
        let Happening::Deposed { region, node, since_ns } = happening else { return false };
        let slept = Duration::from_nanos(self.recorder.now_ns().saturating_sub(*since_ns));
        watch.another_leads(region, node, *since_ns) || slept > DEPOSED_MAX
    }

    async fn begin(&mut self, arena: &mut Arena, watch: &mut Watch, number: usize) -> anyhow::Result<()> {
        let occurrence = self.timeline[number].clone();
        let inject = self.plan.faults[occurrence.fault].inject.clone();
        let mut chance = Chance::new(occurrence.seed);
        let led = |target: &&Target| {
            matches!(target, Target::Of(crate::plan::Which::Leader | crate::plan::Which::Follower, _))
        };
        let asks = matches!(inject, Inject::Elect { .. }) || inject.targets().iter().any(led);
        let leaders = if asks { watch.leaders().await } else { BTreeMap::new() };
        let topology = self.plan.topology;
        let leader = |region: &str| leaders.get(region).cloned();
        let spots: Vec<Spot> =
            inject.targets().into_iter().map(|target| target.settle(&topology, &mut chance, leader)).collect();
        let gone = |name: &String| !self.members.left.contains(name);
        let nodes: Vec<String> = spots.first().map(|spot| spot.nodes(&topology)).unwrap_or_default();
        let nodes: Vec<String> = nodes.into_iter().filter(gone).collect();
        let from_ns = self.recorder.now_ns();
        let (happening, detail) = self
            .inject(arena, watch, &inject, &spots, &nodes, &leaders, &mut chance)
            .await
            .with_context(|| format!("fault {} ({})", occurrence.fault + 1, inject.kind()))?;
        let targets = match spots.first() {
            Some(Spot::Clients(None)) => vec!["clients".to_owned()],
            Some(Spot::Clients(Some(region))) => vec![format!("clients of {region}")],
            Some(Spot::Region(region)) if happening.nodes().is_empty() => vec![region.clone()],
            _ if !happening.nodes().is_empty() => happening.nodes().to_vec(),
            _ => nodes,
        };
        let until_ns = matches!(happening, Happening::Once).then_some(from_ns);
        let kind = inject.kind().to_owned();
        if until_ns.is_none() {
            self.going_on.insert(number, (happening, self.happened.len()));
        }
        self.happened.push(Happened { kind, targets, from_ns, until_ns, detail });
        Ok(())
    }

    /// Lets something go wrong; what goes on, and what there is to say of it.
    #[allow(clippy::too_many_arguments, reason = "one fault's circumstances")]
    async fn inject(
        &mut self,
        arena: &mut Arena,
        watch: &mut Watch,
        inject: &Inject,
        spots: &[Spot],
        nodes: &[String],
        leaders: &BTreeMap<String, String>,
        chance: &mut Chance,
    ) -> anyhow::Result<(Happening, String)> {
        let quiet = |happening| Ok((happening, String::new()));
        let all = || nodes.to_vec();
        match inject {
            Inject::Split { way, flap, .. } => {
                let cut = links::cut(spots, *way, *flap);
                let from = if cut.from.is_empty() { String::new() } else { format!(" from {}", cut.from.join(", ")) };
                let flap = flap.map(|flap| format!(", flapping every {}", show_time(flap))).unwrap_or_default();
                let detail = format!("{}{from}{flap}", format!("{way:?}").to_lowercase());
                Ok((Happening::Cut(arena.network().router().cut(cut)?), detail))
            }
            Inject::Link { one_way, .. } => {
                let (pairs, change) = (links::pairs(arena, spots, *one_way)?, links::reshape(inject));
                let happening = Happening::Link { pairs, change };
                self.reshape(arena, Some(&happening));
                quiet(happening)
            }
            Inject::Kill { .. } => {
                self.kill(arena, nodes).await?;
                quiet(Happening::Down(all()))
            }
            Inject::PowerLoss { .. } | Inject::TornWrite { .. } => {
                let torn = matches!(inject, Inject::TornWrite { .. });
                let how = if torn { Loss::TORN } else { [Loss::ALL, Loss::SOME][chance.below(2) as usize] };
                self.kill(arena, nodes).await?;
                let mut forgotten = disk::loss::Forgotten::default();
                for node in nodes {
                    forgotten.add(arena.disks().get(node)?.lose(how, chance.bits())?);
                }
                Ok((Happening::Down(all()), format!("lost {forgotten}")))
            }
            Inject::Pause { .. } => {
                for node in nodes {
                    pause(arena, node)?;
                }
                quiet(Happening::Asleep(all()))
            }
            Inject::Skew { by, .. } => {
                shift(arena, nodes, *by)?;
                quiet(Happening::Skew { nodes: all(), by: *by })
            }
            Inject::Jump { by, .. } => {
                shift(arena, nodes, *by)?;
                quiet(Happening::Once)
            }
            Inject::Drift { ppm, .. } => {
                for node in nodes {
                    arena.parts().0.node(node)?.clock()?.set(Skew::Drift(1.0 + *ppm as f64 / 1e6))?;
                }
                quiet(Happening::Drift(all()))
            }
            Inject::DiskFull { .. } => self.fail(arena, nodes, DiskFault::Full { left_bytes: 0, told: true }),
            Inject::DiskSlow { by, .. } => self.fail(arena, nodes, DiskFault::SlowSync(*by)),
            Inject::DiskFails { share, .. } => {
                let per_mille = (share * 1_000.0).round() as u64;
                self.fail(arena, nodes, DiskFault::FailSome { per_mille, seed: chance.bits() })
            }
            Inject::DiskLost { .. } => {
                for node in nodes {
                    self.renew(arena, watch, node).await?;
                }
                quiet(Happening::Down(all()))
            }
            Inject::Replace { .. } => {
                for node in nodes {
                    self.renew(arena, watch, node).await?;
                    self.start(arena, node)?;
                }
                quiet(Happening::Once)
            }
            Inject::Leave { .. } => {
                for node in nodes {
                    let layout = arena.parts().0.node(node)?.layout().clone();
                    let id = watch.last(node).with_context(|| format!("{node} was never seen"))?.id;
                    self.members.left.insert(node.clone());
                    self.members.change(arena, &layout, members::remove(id))?;
                }
                quiet(Happening::Once)
            }
            Inject::Join { .. } => {
                let Some(Spot::Region(region)) = spots.first() else { bail!("a node joins a region") };
                let node = members::newcomer(arena, region)?;
                arena.adopt(&node)?;
                watch.add(&node)?;
                self.start(arena, &node.name)?;
                Ok((Happening::Once, node.name))
            }
            Inject::Elect { .. } => {
                let Some(Spot::Region(region)) = spots.first() else { bail!("a region's leader steps down") };
                let Some(node) = leaders.get(region).cloned() else {
                    return Ok((Happening::Once, format!("nobody led {region}")));
                };
                pause(arena, &node)?;
                let since_ns = self.recorder.now_ns();
                quiet(Happening::Deposed { region: region.clone(), node, since_ns })
            }
            Inject::DiskRestored { .. } => {
                for node in nodes {
                    storage::image(arena, node)?;
                }
                quiet(Happening::Old(all()))
            }
            Inject::Proposals { .. } | Inject::Disorder { .. } => {
                bail!("only the simulator can do that")
            }
        }
    }

    /// Kills those that run, as near to at once as signals go.
    async fn kill(&mut self, arena: &mut Arena, nodes: &[String]) -> anyhow::Result<()> {
        let (cluster, _) = arena.parts();
        let mut killed = Vec::new();
        for name in nodes {
            let node = cluster.node(name)?;
            if node.state().is_alive() {
                node.send_kill()?;
                killed.push(name);
            }
        }
        for name in killed {
            cluster.node(name)?.kill_sent().await?;
        }
        Ok(())
    }

    fn start(&mut self, arena: &mut Arena, node: &str) -> anyhow::Result<()> {
        let (cluster, network) = arena.parts();
        cluster.start(network, node)?;
        self.started_ns.insert(node.to_owned(), self.recorder.now_ns());
        self.ended.remove(node);
        Ok(())
    }

    async fn end(&mut self, arena: &mut Arena, number: usize) -> anyhow::Result<()> {
        let Some((happening, at)) = self.going_on.remove(&number) else { return Ok(()) };
        self.happened[at].until_ns = Some(self.recorder.now_ns());
        match &happening {
            Happening::Cut(cut) => arena.network().router().mend(*cut),
            Happening::Link { .. } => self.reshape(arena, None),
            Happening::Asleep(nodes) => nodes.iter().try_for_each(|node| wake(arena, node))?,
            Happening::Deposed { node, .. } => wake(arena, node)?,
            Happening::Skew { nodes, by } => shift(arena, nodes, Offset { ns: -by.ns })?,
            Happening::Drift(nodes) => {
                for node in nodes {
                    arena.parts().0.node(node)?.clock()?.set(Skew::Drift(1.0))?;
                }
            }
            Happening::Disk { nodes, .. } => {
                for node in nodes {
                    arena.disks().get(node)?.set(DiskFault::Nothing);
                    self.fail_again(arena, node)?;
                }
            }
            Happening::Old(nodes) => self.put_back(arena, nodes).await?,
            Happening::Down(_) | Happening::Once => {}
        }
        for node in happening.nodes() {
            if !self.is_kept_down(node) && !arena.parts().0.node(node)?.state().is_alive() {
                self.start(arena, node)?;
            }
        }
        Ok(())
    }

    /// Whether another fault keeps a node down, or it left.
    fn is_kept_down(&self, node: &String) -> bool {
        let down = |it: &(Happening, usize)| matches!(&it.0, Happening::Down(nodes) if nodes.contains(node));
        self.members.left.contains(node) || self.going_on.values().any(down)
    }

    /// Gives all links the shape that the faults which go on, and this one, leave them.
    fn reshape(&self, arena: &Arena, new: Option<&Happening>) {
        arena.network().router().change(|map, rules| {
            for from in 0..map.sites().len() {
                for to in 0..map.sites().len() {
                    *rules.shape_mut(from, to) = *self.calm.shape(from, to);
                }
            }
            for happening in self.going_on.values().map(|(happening, _)| happening).chain(new) {
                if let Happening::Link { pairs, change } = happening {
                    pairs.iter().for_each(|(from, to)| change.apply(rules.shape_mut(*from, *to)));
                }
            }
        });
    }

    /// Writes down who ended by itself.
    ///
    /// # Errors
    /// When a node is not known.
    pub fn look(&mut self, arena: &mut Arena, watch: &Watch) -> anyhow::Result<()> {
        for name in arena.cluster().names() {
            let node = arena.parts().0.node(&name)?;
            let state = node.state();
            if state.is_alive() || self.is_kept_down(&name) || state == State::New || !self.ended.insert(name.clone()) {
                continue;
            }
            let started_ns = self.started_ns.get(&name).copied().unwrap_or_default();
            let words = format!("{state}: {}", last_line(&node.last_words()));
            if self.old.remove(&name) {
                let at_ns = self.recorder.now_ns();
                self.events.push(NodeEvent { node: name.clone(), at_ns, what: Did::Tell, words });
                self.empty(arena, watch, &name)?;
                continue;
            }
            let served = watch.last(&name).is_some_and(|last| last.at_ns > started_ns);
            let what = if served { Did::Halt } else { Did::RefuseToStart };
            self.events.push(NodeEvent { node: name, at_ns: self.recorder.now_ns(), what, words });
        }
        Ok(())
    }

    /// Ends everything that goes wrong, and starts what is down.
    ///
    /// # Errors
    /// When something cannot be ended.
    pub async fn heal(&mut self, arena: &mut Arena) -> anyhow::Result<()> {
        for number in self.going_on.keys().copied().collect::<Vec<_>>() {
            self.end(arena, number).await?;
        }
        arena.network().router().heal(None)?;
        for name in arena.cluster().names() {
            if let Ok(clock) = arena.parts().0.node(&name)?.clock() {
                clock.set(Skew::True)?;
            }
        }
        self.start_what_is_down(arena)
    }

    /// Starts what is down, unless it ended by itself again and again.
    ///
    /// # Errors
    /// When a node cannot be started.
    pub fn start_what_is_down(&mut self, arena: &mut Arena) -> anyhow::Result<()> {
        for name in arena.cluster().names() {
            if self.is_kept_down(&name) || arena.parts().0.node(&name)?.state().is_alive() {
                continue;
            }
            let restarts = self.restarts.entry(name.clone()).or_default();
            *restarts += 1;
            if *restarts <= RESTARTS_MAX {
                self.start(arena, &name)?;
            }
        }
        Ok(())
    }
}

fn pause(arena: &mut Arena, node: &str) -> anyhow::Result<()> {
    let node = arena.parts().0.node(node)?;
    if node.state() == State::Running { node.pause() } else { Ok(()) }
}

fn wake(arena: &mut Arena, node: &str) -> anyhow::Result<()> {
    let node = arena.parts().0.node(node)?;
    if node.state() == State::Paused { node.resume() } else { Ok(()) }
}

fn shift(arena: &mut Arena, nodes: &[String], by: Offset) -> anyhow::Result<()> {
    nodes.iter().try_for_each(|node| arena.parts().0.node(node)?.clock()?.shift(by))
}

/// The last thing that a node said.
fn last_line(words: &str) -> String {
    words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
