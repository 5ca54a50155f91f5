//! What the simulated world leaves behind for the checkers: what is on the nodes' disks, read row by row.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::digest::SumDigest;
use trine_crdt::{Object, PartitionId, RegionId};
use trine_ledger::record::Record;
use trine_replica::rows;

use crate::check::{Evidence, Held, HeldLedger, HeldObject, HeldRecord, KeptSum, Sum, Wall};
use crate::derived::{Derived, LETTERS};
use crate::history::View;
use crate::history::seen::text;
use crate::sim::disk::Rows;
use crate::sim::ledger::{Model, replay};
use crate::sim::node::{Node, WALL_START_NS};
use crate::sim::world::World;

/// Whether all nodes run and hold the same, by what is on their disks: a quick look, before the checkers' thorough one.
///
/// # Errors
/// Where they differ.
pub fn converged(world: &World) -> Result<(), String> {
    if let Some(node) = world.present().find(|node| world.nodes[*node].replica.is_none()) {
        return Err(format!("{} does not run", world.name(node)));
    }
    let Some(first) = world.present().next() else { return Ok(()) };
    let those = objects(&world.nodes[first].disk.synced);
    for node in world.present().skip(1) {
        if objects(&world.nodes[node].disk.synced).ne(those.clone()) {
            return Err(format!("the objects of {} and {} differ", world.name(first), world.name(node)));
        }
    }
    for (number, region) in world.regions.iter().enumerate() {
        let head = model(world, number).head();
        for place in world.present() {
            let held = world.nodes[place].replica.as_ref().and_then(|replica| replica.head(region));
            if holds_whole(world, place, number) && held != Some(head) {
                let (held, size) = (held.map(|(size, _)| size), head.0);
                return Err(format!("{} holds {held:?} records of {region}, which has {size}", world.name(place)));
            }
        }
    }
    Ok(())
}

/// Whether no node keeps deltas any longer, because all nodes have them.
///
/// # Errors
/// Who keeps some.
pub fn trimmed(world: &World) -> Result<(), String> {
    for number in world.present() {
        let kept = world.nodes[number].disk.synced.range(Bytes::from_static(b"d")..Bytes::from_static(b"e")).count();
        if kept > 0 {
            return Err(format!("{} keeps {kept} rows of deltas that all nodes have", world.name(number)));
        }
    }
    Ok(())
}

/// Everything about a run that is over. The history and what happened on the way are the world's own.
#[must_use]
pub fn gather(world: &World) -> Evidence {
    let models: Vec<Model> = (0..world.regions.len()).map(|region| model(world, region)).collect();
    // Nodes mostly hold the same bytes: each object is decoded once.
    let mut decoded: BTreeMap<Bytes, Result<HeldObject, String>> = BTreeMap::new();
    Evidence {
        history: world.clients.history(),
        bounds: world.plan.bounds.clone(),
        held: world.present().map(|node| hold(world, node, &models, &mut decoded)).collect(),
        faults: world.happened.clone(),
        ended_ns: Some(world.end_ns()),
        healed_ns: world.healed_ns,
        converged_ns: world.converged_ns,
        clocks: world.clocks.clone(),
        events: world.events.clone(),
        wall_ns: Some(WALL_START_NS),
        walls: world.nodes.iter().map(wall).collect(),
        said: world.said.clone(),
        uptimes: world.uptimes.clone(),
        heads: world.restored.heads(),
        key_window_ns: Some(world.plan.nodes.sizes.idempotency.window_ms.saturating_mul(1_000_000)),
    }
}

fn wall(node: &Node) -> Wall {
    Wall {
        node: node.name.to_string(),
        ahead_ns: node.ahead_ns.max(0).unsigned_abs(),
        behind_ns: node.behind_ns.max(0).unsigned_abs(),
        starts: node.life,
    }
}

fn hold(
    world: &World,
    number: usize,
    models: &[Model],
    decoded: &mut BTreeMap<Bytes, Result<HeldObject, String>>,
) -> Held {
    let node = &world.nodes[number];
    let mut held = Held {
        node: world.name(number),
        region: world.regions[node.region].to_string(),
        mirrors: node.replica.as_ref().is_some_and(trine_replica::Replica::mirrors),
        ..Held::default()
    };
    let mut sums: BTreeMap<PartitionId, (u64, SumDigest)> = BTreeMap::new();
    for (row, bytes) in objects(&node.disk.synced) {
        let Some((partition, key)) = partition_and_key(row) else {
            held.damage.push(format!("an object's row without a partition: {row:?}"));
            continue;
        };
        let sum = sums.entry(partition).or_default();
        // What was removed counts no more; its digest does.
        sum.0 += u64::from(!Object::bytes_are_empty(bytes).unwrap_or(false));
        sum.1.add(&key, blake3::hash(bytes).as_bytes());
        match decoded.entry(bytes.clone()).or_insert_with(|| decode(bytes)) {
            Ok(object) => drop(held.objects.insert(text(&key), object.clone())),
            Err(why) => held.damage.push(format!("{}: {why}", text(&key))),
        }
    }
    let mut namespaces: BTreeMap<String, (u64, SumDigest)> = BTreeMap::new();
    for (partition, (count, digest)) in sums {
        let kept = node.disk.synced.get(&rows::digest(&partition)).and_then(|row| {
            let (count, digest) = row.split_first_chunk::<8>()?;
            let digest = SumDigest(digest.try_into().ok()?).to_string();
            Some(Sum { count: u64::from_be_bytes(*count), digest })
        });
        let counted = Sum { count, digest: digest.to_string() };
        held.partitions.insert(partition.to_string(), KeptSum { counted, kept });
        let sum = namespaces.entry(partition.namespace.to_string()).or_default();
        sum.0 += count;
        sum.1.add_sum(&digest);
    }
    let show = |(name, (count, digest)): (String, (u64, SumDigest))| (name, Sum { count, digest: digest.to_string() });
    held.namespaces = namespaces.into_iter().map(show).collect();
    for (region, id) in world.regions.iter().enumerate() {
        let head = node.replica.as_ref().and_then(|replica| replica.head(id));
        let ledger = if region == node.region {
            let size = head.map_or(0, |(size, _)| size);
            held.damage.extend(derived(&node.disk.derived, id).missing(size));
            own(&models[region], size)
        } else {
            let first = (rows::mirrored(id, 0), rows::mirrored(id, u64::MAX));
            mirrored(&node.disk.derived, first, &id.to_string(), &mut held.damage)
        };
        // A mirror's rows may run ahead of the head that it has verified; the root is that of the head.
        let root = head.filter(|(size, _)| *size == ledger.len() as u64).map(|(_, root)| root);
        held.ledgers.insert(id.to_string(), HeldLedger { records: ledger, root });
    }
    held
}

/// The records of a node's own region. They live in the region's log, which the simulator keeps once for all its nodes.
fn own(model: &Model, size: u64) -> Vec<HeldRecord> {
    let record = |entry: &crate::sim::ledger::Entry| HeldRecord {
        key: entry.key.clone(),
        value: Some(text(&entry.value)),
        stamp: entry.stamp,
        leaf: entry.leaf,
    };
    model.records.iter().take(size as usize).map(record).collect()
}

/// What a node derived of its own region's ledger.
fn derived(rows: &Rows, region: &RegionId) -> Derived {
    let mut derived = Derived::of(region.clone());
    for letter in LETTERS {
        let rows = rows.range(Bytes::copy_from_slice(&[letter])..Bytes::copy_from_slice(&[letter + 1]));
        rows.for_each(|(key, value)| derived.row(key, value));
    }
    derived
}

fn mirrored(derived: &Rows, (first, last): (Bytes, Bytes), region: &str, damage: &mut Vec<String>) -> Vec<HeldRecord> {
    let mut records = Vec::new();
    for (row, bytes) in derived.range(first.clone()..last) {
        if *row != next_row(&first, records.len() as u64) {
            damage.push(format!("the mirror of {region} has no record {}", records.len()));
            break;
        }
        let read = Record::from_bytes(bytes).ok().and_then(|record| {
            let header = record.verify().ok()?;
            let body = record.body.as_ref()?;
            let (key, value) = (body.key.clone(), Some(text(&body.value)));
            Some(HeldRecord { key, value, stamp: header.stamp, leaf: record.leaf() })
        });
        match read {
            Some(record) => records.push(record),
            None => {
                damage.push(format!("the mirrored record {} of {region} is damaged", records.len()));
                break;
            }
        }
    }
    records
}

/// The row of the mirrored record of this index: the first one's with another number at its end.
fn next_row(first: &Bytes, index: u64) -> Bytes {
    let name = first.len() - size_of::<u64>();
    [&first[..name], &index.to_be_bytes()].concat().into()
}

fn decode(bytes: &Bytes) -> Result<HeldObject, String> {
    let object = Object::from_bytes(bytes).map_err(|error| error.to_string())?;
    if object.to_bytes() != *bytes {
        return Err("not in canonical form".to_owned());
    }
    let digest = *blake3::hash(bytes).as_bytes();
    Ok(HeldObject { digest, views: object.view().iter().map(View::from).collect() })
}

fn holds_whole(world: &World, node: usize, region: usize) -> bool {
    let state = &world.nodes[node];
    state.region == region || state.replica.as_ref().is_some_and(trine_replica::Replica::mirrors)
}

fn model(world: &World, region: usize) -> Model {
    replay(&world.regions[region], &world.logs[region].borrow(), world.plan.nodes.sizes.idempotency)
}

fn objects(rows: &Rows) -> std::collections::btree_map::Range<'_, Bytes, Bytes> {
    rows.range(Bytes::from_static(b"o")..Bytes::from_static(b"p"))
}

fn partition_and_key(row: &Bytes) -> Option<(PartitionId, Bytes)> {
    let (partition, key) = PartitionId::read_key(&row[1..])?;
    Some((partition, row.slice_ref(key)))
}
