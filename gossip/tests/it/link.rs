//! The window of a link: everything arrives, nothing is sent twice without need, nothing grows.

use std::collections::BTreeMap;

use trine_crdt::{NamespaceId, PartitionId, WriterId};
use trine_gossip::Link;
use trine_gossip::link::{Config, Push, Range};

use crate::chance::Chance;

const MS: u64 = 1_000_000;
const DELTA_BYTES: usize = 100;

fn partition(slot: u32) -> PartitionId {
    PartitionId { namespace: NamespaceId::default_objects(), slot }
}

fn writer(writer: u8) -> WriterId {
    WriterId([writer; 16])
}

fn range(slot: u32, after: u64, upto: u64) -> Range {
    Range { partition: partition(slot), writer: writer(1), after, upto }
}

/// What a caller does: fills a batch from a log of deltas that are all alike.
fn fill(Push { ranges, bytes_max }: Push) -> (Vec<Range>, usize) {
    let mut bytes = 0;
    let mut batch = Vec::new();
    for mut range in ranges {
        let room = (bytes_max.saturating_sub(bytes) / DELTA_BYTES) as u64;
        let room = if batch.is_empty() { room.max(1) } else { room };
        range.upto = range.upto.min(range.after + room);
        if range.upto > range.after {
            bytes += DELTA_BYTES * usize::try_from(range.upto - range.after).expect("small");
            batch.push(range);
        }
    }
    (batch, bytes)
}

#[test]
fn a_backlog_leaves_as_one_interval() {
    let mut link = Link::new(Config { batches_max: 1, ..Config::default() });
    link.mark_dirty(partition(0), writer(1), 0, 1);
    let push = link.next().expect("the window is open");
    let first = link.sent(0, &push.ranges, 100);
    for seq in 2..=50 {
        link.mark_dirty(partition(0), writer(1), seq - 1, seq);
        assert_eq!(link.next(), None, "the window is full");
    }
    assert_eq!(link.dirty(), 1);
    assert!(link.acked(first));
    assert!(!link.acked(first), "twice is once");
    assert_eq!(link.next().expect("open again").ranges, [range(0, 1, 50)]);
}

#[test]
fn a_shorter_batch_leaves_the_rest_dirty() {
    let mut link = Link::new(Config::default());
    link.mark_dirty(partition(0), writer(1), 4, 10);
    link.sent(0, &[range(0, 4, 7)], 300);
    assert_eq!(link.next().expect("more").ranges, [range(0, 7, 10)]);
}

#[test]
fn what_is_under_way_or_held_is_not_sent_again() {
    let mut link = Link::new(Config::default());
    link.mark_dirty(partition(0), writer(1), 0, 10);
    let batch = link.sent(0, &[range(0, 0, 10)], 1_000);
    // A comparison that the batch has overtaken.
    link.mark_dirty(partition(0), writer(1), 3, 10);
    assert_eq!(link.next(), None);
    link.mark_dirty(partition(0), writer(1), 3, 12);
    assert_eq!(link.next().expect("the end is new").ranges, [range(0, 10, 12)]);
    // Somebody else told the peer.
    link.has(&partition(0), writer(1), 11);
    assert_eq!(link.next().expect("the very end is new").ranges, [range(0, 11, 12)]);
    link.has(&partition(0), writer(1), 12);
    link.acked(batch);
    assert!(link.is_idle());
}

#[test]
fn a_lost_batch_closes_the_window_until_vectors_are_compared() {
    let mut link = Link::new(Config { timeout_ns: 100 * MS, ..Config::default() });
    assert!(link.take_repair(), "a new link compares first");
    assert!(!link.take_repair());
    link.mark_dirty(partition(0), writer(1), 0, 5);
    let lost = link.sent(10 * MS, &[range(0, 0, 5)], 500);
    link.mark_dirty(partition(0), writer(1), 5, 6);
    assert_eq!(link.deadline(), Some(110 * MS));
    assert!(!link.on_tick(109 * MS));
    assert!(link.on_tick(110 * MS));
    assert!(link.take_repair());
    assert!(link.is_idle(), "sending 6 without 5 would be in vain");
    assert!(!link.acked(lost), "too late to free anything");
    link.mark_dirty(partition(0), writer(1), 0, 6);
    assert_eq!(link.next().expect("repair").ranges, [range(0, 0, 6)]);
}

#[test]
fn too_much_dirt_is_found_again_by_comparing_once_there_is_room() {
    let mut link = Link::new(Config { dirty_max: 100, ..Config::default() });
    link.take_repair();
    for slot in 0..1_000 {
        link.mark_dirty(partition(slot), writer(1), 0, 1);
        assert!(link.dirty() <= 100);
    }
    assert!(!link.take_repair(), "there is no room for what comparing would find");
    let push = link.next().expect("dirty");
    link.sent(0, &push.ranges[..50], 5_000);
    assert!(link.take_repair());
}

#[test]
fn a_busy_row_does_not_starve_the_others() {
    let config = Config { batches_max: 1, batch_bytes_max: 2 * DELTA_BYTES, ..Config::default() };
    let mut link = Link::new(config);
    for slot in 0..10 {
        link.mark_dirty(partition(slot), writer(1), 0, 1_000);
    }
    let mut served = [0; 10];
    for _ in 0..20 {
        let (ranges, bytes) = fill(link.next().expect("dirty"));
        for range in &ranges {
            served[range.partition.slot as usize] += range.upto - range.after;
        }
        let batch = link.sent(0, &ranges, bytes);
        link.acked(batch);
    }
    assert_eq!(served, [4; 10]);
}

/// A writer's side, a peer that ignores what does not connect, and a network between them.
struct World {
    link: Link,
    log: BTreeMap<(u32, u8), u64>,
    peer: BTreeMap<(u32, u8), u64>,
    now_ns: u64,
    deltas_sent: u64,
}

impl World {
    fn push(&mut self, chance: &mut Chance, lost_percent: u64) {
        while let Some(push) = self.link.next() {
            let (ranges, bytes) = fill(push);
            let batch = self.link.sent(self.now_ns, &ranges, bytes);
            self.deltas_sent += ranges.iter().map(|range| range.upto - range.after).sum::<u64>();
            if chance.percent(lost_percent) {
                continue;
            }
            for range in &ranges {
                let has = self.peer.entry((range.partition.slot, range.writer.0[0])).or_default();
                if range.after <= *has {
                    *has = (*has).max(range.upto);
                }
            }
            if !chance.percent(lost_percent) {
                self.link.acked(batch);
            }
        }
    }

    fn compare(&mut self) {
        for ((slot, writer_no), upto) in &self.log {
            let has = self.peer.get(&(*slot, *writer_no)).copied().unwrap_or(0);
            if has < *upto {
                self.link.mark_dirty(partition(*slot), writer(*writer_no), has, *upto);
            }
        }
    }
}

#[test]
fn everything_arrives_whatever_is_lost() {
    let config = Config {
        batches_max: 4,
        window_bytes_max: 20 * DELTA_BYTES,
        batch_bytes_max: 6 * DELTA_BYTES,
        timeout_ns: 50 * MS,
        dirty_max: 12,
        ranges_max: 7,
    };
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let lost_percent = [0, 10, 40][usize::try_from(seed % 3).expect("small")];
        let mut world =
            World { link: Link::new(config), log: BTreeMap::new(), peer: BTreeMap::new(), now_ns: 0, deltas_sent: 0 };
        world.link.take_repair();
        for step in 0..600 {
            world.now_ns += chance.below(10) * MS;
            // Few enough rows to stay within `dirty_max`, except for every tenth seed.
            let row = (u32::try_from(chance.below(if seed % 10 == 0 { 20 } else { 4 })).expect("small"), 1);
            if step < 500 {
                let seq = world.log.entry(row).or_default();
                *seq += 1;
                world.link.mark_dirty(partition(row.0), writer(row.1), *seq - 1, *seq);
            }
            if chance.percent(30) || step >= 500 {
                world.push(&mut chance, if step < 500 { lost_percent } else { 0 });
            }
            world.link.on_tick(world.now_ns);
            if world.link.take_repair() {
                world.compare();
            }
            let (batches, bytes) = world.link.under_way();
            assert!(batches <= config.batches_max);
            assert!(bytes < config.window_bytes_max + config.batch_bytes_max);
            assert!(world.link.dirty() <= config.dirty_max);
        }
        assert_eq!(world.peer, world.log, "seed {seed}");
        assert!(world.link.is_idle(), "seed {seed}");
        if lost_percent == 0 && seed % 10 != 0 {
            assert_eq!(world.deltas_sent, 500, "seed {seed}: each delta once");
        }
    }
}
