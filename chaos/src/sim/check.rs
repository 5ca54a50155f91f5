//! The judges: what must hold when the world is calm again. One property a function.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::digest::SumDigest;
use trine_crdt::{Object, PartitionId, Timestamp, View};
use trine_ledger::record::Record;
use trine_ledger::tree::{Frontier, Hash};
use trine_protocol::object::{Edit, View as Seen};
use trine_protocol::{Reply, Request};
use trine_replica::rows;

use crate::sim::disk::Rows;
use crate::sim::history::Operation;
use crate::sim::ledger::{Model, replay};
use crate::sim::world::World;

/// Whether all nodes hold the same, by what is on their disks.
///
/// # Errors
/// Where they differ.
pub fn converged(world: &World) -> Result<(), String> {
    if let Some(node) = (0..world.nodes.len()).find(|node| world.nodes[*node].replica.is_none()) {
        return Err(format!("node {node} does not run"));
    }
    let first = objects(&world.nodes[0].disk.synced);
    for (number, node) in world.nodes.iter().enumerate().skip(1) {
        let other = objects(&node.disk.synced);
        if other != first {
            let differs = first.iter().find(|(key, value)| other.get(*key) != Some(*value)).map(|(key, _)| *key);
            let differs = differs.or_else(|| other.keys().find(|key| !first.contains_key(*key)).copied());
            let held = |rows: &BTreeMap<&Bytes, &Bytes>| {
                let bytes = differs.and_then(|key| rows.get(key).copied());
                bytes.and_then(|bytes| Object::from_bytes(bytes).ok())
            };
            let (here, there) = (held(&first), held(&other));
            return Err(format!(
                "objects of node 0 and node {number} differ, at {differs:?}:\n  {here:?}\n  {there:?}"
            ));
        }
    }
    for (number, region) in world.regions.iter().enumerate() {
        let (size, root) = model(world, number).head();
        for (place, node) in world.nodes.iter().enumerate() {
            let head = node.replica.as_ref().and_then(|replica| replica.head(region));
            let mirrors = node.region == number || node.replica.as_ref().is_some_and(trine_replica::Replica::mirrors);
            if mirrors && head != Some((size, root)) {
                let held = head.map(|(size, _)| size);
                return Err(format!("node {place} holds {held:?} records of {region}, which has {size}"));
            }
        }
    }
    Ok(())
}

/// All judges' findings.
#[must_use]
pub fn judge(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let models: Vec<Model> = (0..world.regions.len()).map(|region| model(world, region)).collect();
    sums_follow_objects(world, &mut found);
    acknowledged_appends_stand(world, &models, &mut found);
    histories_are_of_records(world, &models, &mut found);
    sets_hold_what_was_acknowledged(world, &mut found);
    counters_lie_within_bounds(world, &mut found);
    registers_hold_the_latest(world, &mut found);
    stamps_rise(world, &mut found);
    mirrors_prove_their_records(world, &models, &mut found);
    found
}

fn model(world: &World, region: usize) -> Model {
    replay(&world.regions[region], &world.logs[region].borrow())
}

fn objects(rows: &Rows) -> BTreeMap<&Bytes, &Bytes> {
    rows.range(Bytes::from_static(b"o")..Bytes::from_static(b"p")).collect()
}

fn partition_and_key(row: &Bytes) -> Option<(PartitionId, Bytes)> {
    let (partition, key) = PartitionId::read_key(&row[1..])?;
    Some((partition, row.slice_ref(key)))
}

/// The final object of a key, on the first node.
fn object(world: &World, key: &str) -> Option<Object> {
    let bytes = objects(&world.nodes[0].disk.synced)
        .into_iter()
        .find(|(row, _)| partition_and_key(row).is_some_and(|(_, found)| found == key.as_bytes()))?
        .1;
    Object::from_bytes(bytes).ok()
}

/// Each partition's kept sum is the sum of its objects' digests.
fn sums_follow_objects(world: &World, found: &mut Vec<String>) {
    for (number, node) in world.nodes.iter().enumerate() {
        let mut sums: BTreeMap<PartitionId, (u64, SumDigest)> = BTreeMap::new();
        for (row, bytes) in objects(&node.disk.synced) {
            let Some((partition, key)) = partition_and_key(row) else { continue };
            let sum = sums.entry(partition).or_default();
            sum.0 += 1;
            sum.1.add(&key, blake3::hash(bytes).as_bytes());
        }
        for (partition, (count, digest)) in sums {
            let kept = node.disk.synced.get(&rows::digest(&partition));
            let expected = [count.to_be_bytes().as_slice(), &digest.0].concat();
            if kept.is_none_or(|kept| kept.as_ref() != expected) {
                found.push(format!("node {number}: the sum of {partition} is not that of its objects"));
            }
        }
    }
}

/// Every acknowledged append is the record that it was said to be, and no two are the same record.
fn acknowledged_appends_stand(world: &World, models: &[Model], found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (number, operation) in &world.history.operations {
        let Request::Append { key, value, .. } = &operation.request else { continue };
        let written: Vec<(usize, &crate::sim::ledger::Entry)> = models
            .iter()
            .enumerate()
            .flat_map(|(region, model)| model.records.iter().map(move |record| (region, record)))
            .filter(|(_, record)| record.key == *key && record.value == *value)
            .collect();
        if written.len() > 1 {
            found.push(format!("append {number} stands {} times", written.len()));
        }
        let Some(Reply::Appended(appended)) = operation.ok().map(|answer| &answer.reply) else {
            if !operation.unknown() && !written.is_empty() {
                found.push(format!("append {number} was refused with {:?} and stands", operation.answered));
            }
            continue;
        };
        let region = world.nodes[operation.node].region;
        let record = models[region].records.get(appended.index as usize);
        let right =
            record.is_some_and(|record| record.key == *key && record.value == *value && record.leaf == appended.leaf);
        if !right {
            found.push(format!("append {number} was acknowledged as record {} and is not it", appended.index));
        }
        if !seen.insert((region, appended.index)) {
            found.push(format!("record {} was acknowledged twice", appended.index));
        }
        if let (Some(proof), Some(header)) = (&appended.proof, &appended.header) {
            let path: Option<Vec<Hash>> = proof.path.iter().map(|hash| hash.as_ref().try_into().ok()).collect();
            let holds = trine_ledger::checkpoint::Checkpoint::peek(&proof.checkpoint).ok().zip(path).is_some_and(
                |(checkpoint, path)| {
                    let leaf = trine_ledger::tree::leaf_hash(header);
                    let (index, size) = (appended.index, checkpoint.size);
                    models[region].root_at(size) == Some(checkpoint.root)
                        && trine_ledger::tree::verify_inclusion(&leaf, index, size, &path, &checkpoint.root).is_ok()
                },
            );
            if !holds {
                found.push(format!("the proof of append {number} does not hold"));
            }
        }
    }
}

/// A history shows records that exist, and all that its session knew of.
fn histories_are_of_records(world: &World, models: &[Model], found: &mut Vec<String>) {
    for (number, operation) in &world.history.operations {
        let (Request::LedgerHistory { key, .. }, Some(answer)) = (&operation.request, operation.ok()) else { continue };
        let Reply::Page(page) = &answer.reply else { continue };
        for record in &page.records {
            let region = world.regions.iter().position(|region| *region == record.region).unwrap_or(usize::MAX);
            let real = models.get(region).and_then(|model| model.records.get(record.index as usize));
            if real.is_none_or(|real| real.key != record.key || real.value != record.value) {
                found.push(format!("history {number} of {key} shows a record that is none"));
            }
        }
        // Acknowledged to the same session before this began: it must be there.
        for earlier in world.history.operations.values() {
            let (Request::Append { key: other, value, .. }, Some((at, Ok(_)))) = (&earlier.request, &earlier.answered)
            else {
                continue;
            };
            let before = earlier.session == operation.session && *at < operation.begun_ns;
            if before && other == key && !page.records.iter().any(|record| record.value == *value) {
                found.push(format!("history {number} of {key} lacks its session's own append"));
            }
        }
    }
}

/// Acknowledged adds stand unless removed; refused ones and removed ones do not; reads show their session's adds.
fn sets_hold_what_was_acknowledged(world: &World, found: &mut Vec<String>) {
    for set in 0..4 {
        let key = format!("set-{set}");
        let elements = object(world, &key).map(|object| elements(&object)).unwrap_or_default();
        let mut removed: BTreeMap<Bytes, bool> = BTreeMap::new();
        for operation in world.history.operations.values() {
            let Request::ObjectEdit { key: other, edit: Edit::Remove(element), .. } = &operation.request else {
                continue;
            };
            if *other == key && (operation.ok().is_some() || operation.unknown()) {
                *removed.entry(element.clone()).or_default() |= operation.ok().is_some();
            }
        }
        for (number, operation) in &world.history.operations {
            let Request::ObjectEdit { key: other, edit: Edit::Add(element), .. } = &operation.request else { continue };
            if *other != key {
                continue;
            }
            let there = elements.contains(element);
            if operation.ok().is_some() && !there && !removed.contains_key(element) {
                found.push(format!("add {number} to {key} was acknowledged and is lost"));
            }
            if operation.ok().is_none() && !operation.unknown() && there {
                found.push(format!("add {number} to {key} was refused with {:?} and is there", operation.answered));
            }
        }
        for (number, operation) in &world.history.operations {
            let Request::ObjectEdit { key: other, edit: Edit::Remove(element), .. } = &operation.request else {
                continue;
            };
            // Removed where its add had been seen: it must not come back.
            let saw = *other == key && operation.ok().is_some() && saw_add(world, operation, element);
            if saw && elements.contains(element) {
                found.push(format!("{element:?} was removed from {key} by {number} and came back"));
            }
        }
        for (number, operation) in &world.history.operations {
            let (Request::ObjectGet { key: other, .. }, Some(answer)) = (&operation.request, operation.ok()) else {
                continue;
            };
            let Reply::Object(view) = &answer.reply else { continue };
            let shown: BTreeSet<&Bytes> = view.views.iter().flat_map(shown).collect();
            for earlier in world.history.operations.values() {
                let (Request::ObjectEdit { key: written, edit: Edit::Add(element), .. }, Some((at, Ok(told)))) =
                    (&earlier.request, &earlier.answered)
                else {
                    continue;
                };
                let own = *at < operation.begun_ns && written == other && operation.knew(told);
                if own && *other == key && !removed.contains_key(element) && !shown.contains(element) {
                    found.push(format!("read {number} of {key} lacks its session's own {element:?}"));
                }
            }
        }
    }
}

/// Whether the node that took a removal had the element then: it was added through the same node before.
fn saw_add(world: &World, removal: &Operation, element: &Bytes) -> bool {
    world.history.operations.values().any(|operation| {
        let Request::ObjectEdit { edit: Edit::Add(added), .. } = &operation.request else { return false };
        let before = operation.answered.as_ref().is_some_and(|(at, answer)| answer.is_ok() && *at < removal.begun_ns);
        added == element && operation.node == removal.node && before
    })
}

/// A counter is at least what was acknowledged and at most what was tried.
fn counters_lie_within_bounds(world: &World, found: &mut Vec<String>) {
    for counter in 0..4 {
        let key = format!("counter-{counter}");
        let total = object(world, &key).map_or(0, |object| {
            object.view().iter().map(|view| if let View::Counter(total) = view { *total } else { 0 }).sum()
        });
        let (mut least, mut most) = (0, 0);
        for operation in world.history.operations.values() {
            let Request::ObjectEdit { key: other, edit: Edit::Increment(by), .. } = &operation.request else {
                continue;
            };
            if *other == key {
                least += if operation.ok().is_some() { *by } else { 0 };
                most += if operation.ok().is_some() || operation.unknown() { *by } else { 0 };
            }
        }
        if !(least..=most).contains(&total) {
            found.push(format!("{key} is {total}, acknowledged were {least}, tried {most}"));
        }
    }
}

/// A register holds the acknowledged write of the latest stamp, or one whose fate is unknown.
fn registers_hold_the_latest(world: &World, found: &mut Vec<String>) {
    for register in 0..4 {
        let key = format!("register-{register}");
        let value = object(world, &key).and_then(|object| {
            object.view().into_iter().find_map(|view| if let View::Register(value) = view { Some(value) } else { None })
        });
        let mut latest: Option<(Timestamp, &Bytes)> = None;
        let mut unknown = BTreeSet::new();
        for operation in world.history.operations.values() {
            let Request::ObjectEdit { key: other, edit: Edit::Set(written), .. } = &operation.request else { continue };
            if *other != key {
                continue;
            }
            if operation.unknown() {
                unknown.insert(written);
            }
            if let Some(stamp) = operation.stamp().filter(|stamp| latest.is_none_or(|(last, _)| *stamp > last)) {
                latest = Some((stamp, written));
            }
        }
        let right = match (&value, latest) {
            (None, None) => true,
            (Some(value), latest) => latest.is_some_and(|(_, last)| last == value) || unknown.contains(value),
            (None, Some(_)) => false,
        };
        if !right {
            found.push(format!("{key} holds {value:?}, the latest acknowledged is {latest:?}"));
        }
    }
}

/// On a node, an operation begun after another was acknowledged has the later stamp, over restarts too.
fn stamps_rise(world: &World, found: &mut Vec<String>) {
    for node in 0..world.nodes.len() {
        let mut acknowledged: Vec<(u64, u64, Timestamp)> = world
            .history
            .operations
            .values()
            .filter(|operation| operation.node == node && matches!(operation.request, Request::ObjectEdit { .. }))
            .filter_map(|operation| Some((operation.begun_ns, operation.answered.as_ref()?.0, operation.stamp()?)))
            .collect();
        acknowledged.sort_unstable_by_key(|(begun, ..)| *begun);
        let mut ended: Vec<(u64, Timestamp)> = acknowledged.iter().map(|(_, end, stamp)| (*end, *stamp)).collect();
        ended.sort_unstable_by_key(|(end, _)| *end);
        let (mut highest, mut next) = (Timestamp::ZERO, 0);
        for (begun, _, stamp) in &acknowledged {
            while ended.get(next).is_some_and(|(end, _)| end < begun) {
                highest = highest.max(ended[next].1);
                next += 1;
            }
            if *stamp <= highest {
                found.push(format!("node {node} stamped {stamp} after it had acknowledged {highest}"));
            }
        }
    }
}

/// What a mirror holds of a ledger hashes to that ledger's root, and each record to its commitments.
fn mirrors_prove_their_records(world: &World, models: &[Model], found: &mut Vec<String>) {
    for (number, node) in world.nodes.iter().enumerate() {
        for (region, id) in world.regions.iter().enumerate().filter(|(region, _)| *region != node.region) {
            let (first, last) = (rows::mirrored(id, 0), rows::mirrored(id, u64::MAX));
            let mut frontier = Frontier::default();
            for (_, bytes) in node.disk.derived.range(first..last) {
                match Record::from_bytes(bytes) {
                    Ok(record) if record.verify().is_ok() => frontier.push(record.leaf(), |_| {}),
                    _ => found.push(format!("node {number}: a mirrored record of {id} is damaged")),
                }
            }
            if models[region].root_at(frontier.size()) != Some(frontier.root()) {
                found.push(format!("node {number}: its mirror of {id} is another ledger"));
            }
        }
    }
}

fn elements(object: &Object) -> BTreeSet<Bytes> {
    let mut all = BTreeSet::new();
    for view in object.view() {
        if let View::Set(elements) = view {
            all.extend(elements);
        }
    }
    all
}

fn shown(view: &Seen) -> Vec<&Bytes> {
    match view {
        Seen::Set(elements) => elements.iter().collect(),
        _ => Vec::new(),
    }
}
