//! The thread between the devices: reads packets, decides, waits, writes.
//!
//! One thread serves all devices. It sleeps in `ppoll` until a packet comes or the next one is due, to the
//! microsecond (its timer slack is 1 ns and it runs before the nodes as far as the kernel lets it). Buffers are
//! used again, so that after the first second a packet costs two system calls and no allocation. Rules change
//! under a lock; the thread copies them when their number has changed.

use std::fs::File;
use std::io::PipeWriter;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{read, write};
use serde::{Deserialize, Serialize};

use super::device::prefer_this_thread;
use super::limits::{COUNTS_EVERY_NS, PACKETS_UNDER_WAY_MAX, READ_BATCH_PACKETS};
use super::link::{Link, Verdict};
use super::map::Map;
use super::queue::DelayQueue;
use super::rules::{Cut, Rules};
use crate::chance::Chance;

/// How far before other threads the router runs.
const NICE: i32 = -15;

/// What the router did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Packets read from a device.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets written to a device.
    pub delivered: u64,
    /// Dropped by a cut.
    pub cut: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped because a link's queue, or the router itself, was full.
    pub overflowed: u64,
    /// For no place that there is, not IPv4, or refused by the kernel.
    pub unroutable: u64,
    /// Packets under way.
    pub under_way: u64,
    /// The processor time of the router's thread, in microseconds.
    pub cpu_us: u64,
}

#[derive(Debug)]
struct Shared {
    map: Arc<Map>,
    rules: Mutex<Rules>,
    change: AtomicU64,
    counts: Mutex<Counts>,
    start: Instant,
}

impl Shared {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The running router; ends when dropped.
#[derive(Debug)]
pub struct Router {
    shared: Arc<Shared>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Starts the thread over the ports' devices, in the map's order.
    ///
    /// # Errors
    /// When there is no thread or pipe to be had.
    pub fn start(map: Arc<Map>, devices: Vec<File>, mtu_bytes: u16, seed: u64) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            rules: Mutex::new(Rules::new(&map)),
            map,
            change: AtomicU64::new(1),
            counts: Mutex::default(),
            start: Instant::now(),
        });
        let (stopped, stop) = std::io::pipe().context("make a pipe")?;
        let mut work = Work::new(shared.clone(), devices, stopped.into(), mtu_bytes, seed);
        let thread = std::thread::Builder::new()
            .name("router".to_owned())
            .spawn(move || work.run())
            .context("start the router")?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Changes the rules; the next packet feels it.
    pub fn change<T>(&self, change: impl FnOnce(&Map, &mut Rules) -> T) -> T {
        let mut rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&self.shared.map, &mut rules);
        self.shared.change.fetch_add(1, Ordering::Release);
        result
    }

    /// Cuts; see [`Rules::cut`].
    ///
    /// # Errors
    /// When a place does not exist.
    pub fn cut(&self, cut: Cut) -> anyhow::Result<u64> {
        let now_ns = self.shared.now_ns();
        self.change(|map, rules| rules.cut(map, cut, now_ns))
    }

    /// Takes one cut back; see [`Rules::mend`].
    pub fn mend(&self, number: u64) {
        self.change(|_, rules| rules.mend(number));
    }

    /// Heals; see [`Rules::heal`].
    ///
    /// # Errors
    /// When the place does not exist.
    pub fn heal(&self, place: Option<&str>) -> anyhow::Result<usize> {
        self.change(|map, rules| rules.heal(map, place))
    }

    /// The rules as they stand.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What happened so far, at most 50 ms old while packets come.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the router's thread had panicked");
        }
    }
}

/// A packet under way.
#[derive(Debug)]
struct Packet {
    from: u16,
    to: u16,
    bytes: Vec<u8>,
}

/// What the thread owns.
struct Work {
    shared: Arc<Shared>,
    devices: Vec<File>,
    stopped: OwnedFd,
    buffer_bytes: usize,
    rules: Rules,
    rules_number: u64,
    links: Vec<Link>,
    queue: DelayQueue<Packet>,
    spare: Vec<Vec<u8>>,
    chance: Chance,
    counts: Counts,
    counts_due_ns: u64,
}

impl Work {
    fn new(shared: Arc<Shared>, devices: Vec<File>, stopped: OwnedFd, mtu_bytes: u16, seed: u64) -> Self {
        let rules = shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sites = shared.map.sites().len();
        Self {
            links: vec![Link::default(); sites * sites],
            shared,
            devices,
            stopped,
            buffer_bytes: mtu_bytes.into(),
            rules,
            rules_number: 0,
            queue: DelayQueue::new(PACKETS_UNDER_WAY_MAX),
            spare: Vec::new(),
            chance: Chance::new(seed),
            counts: Counts::default(),
            counts_due_ns: 0,
        }
    }

    fn run(&mut self) {
        if let Err(errno) = nix::sys::prctl::set_timerslack(1) {
            tracing::warn!("the router's timer stays coarse: {errno}");
        }
        if !prefer_this_thread(NICE) {
            tracing::debug!("the router runs with the usual priority");
        }
        while let Some(readable) = self.wait() {
            self.take_rules();
            for place in readable {
                self.read(place);
                self.deliver();
            }
            self.deliver();
            self.publish();
        }
    }

    /// Waits until a packet comes or is due; the places with packets, or none at the end.
    fn wait(&self) -> Option<Vec<usize>> {
        let timeout = self.queue.due_ns().map(|due| {
            let wait = due.saturating_sub(self.shared.now_ns());
            TimeSpec::nanoseconds(i64::try_from(wait).unwrap_or(i64::MAX))
        });
        let mut polled: Vec<PollFd<'_>> =
            self.devices.iter().map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN)).collect();
        polled.push(PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN));
        match ppoll(&mut polled, timeout, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Some(Vec::new()),
            Err(errno) => {
                tracing::error!("the router stops: ppoll: {errno}");
                return None;
            }
        }
        let stop = polled.pop().is_some_and(|last| last.any() != Some(false));
        (!stop).then(|| {
            polled.iter().enumerate().filter(|(_, fd)| fd.any() == Some(true)).map(|(place, _)| place).collect()
        })
    }

    fn take_rules(&mut self) {
        let number = self.shared.change.load(Ordering::Acquire);
        if number == self.rules_number {
            return;
        }
        self.rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.rules_number = number;
        self.links.iter_mut().for_each(Link::reset);
    }

    /// Reads what a device has, up to a batch.
    fn read(&mut self, place: usize) {
        for _ in 0..READ_BATCH_PACKETS {
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.resize(self.buffer_bytes, 0);
            match read(&self.devices[place], &mut bytes) {
                Ok(length) => {
                    bytes.truncate(length);
                    self.counts.packets += 1;
                    self.counts.bytes += length as u64;
                    self.decide(place, bytes);
                }
                Err(errno) => {
                    self.spare.push(bytes);
                    if errno != Errno::EAGAIN && errno != Errno::EINTR {
                        tracing::error!("reading a device failed: {errno}");
                    }
                    return;
                }
            }
        }
    }

    /// Decides what becomes of a packet.
    fn decide(&mut self, from: usize, bytes: Vec<u8>) {
        let Some(target) = target(&bytes) else { return self.drop_unroutable(bytes) };
        let Some(to) = self.shared.map.of_address(target) else { return self.drop_unroutable(bytes) };
        let now_ns = self.shared.now_ns();
        if self.rules.is_cut(from, to, now_ns) {
            self.counts.cut += 1;
            return self.spare.push(bytes);
        }
        let (a, b) = (self.shared.map.ports()[from].site, self.shared.map.ports()[to].site);
        let link = &mut self.links[a * self.shared.map.sites().len() + b];
        match link.pass(self.rules.shape(a, b), now_ns, bytes.len(), &mut self.chance) {
            Verdict::Arrives { at_ns, again_ns } => {
                let double = again_ns.map(|at| (at, bytes.clone()));
                self.enqueue(at_ns, from, to, bytes);
                if let Some((at, bytes)) = double {
                    self.enqueue(at, from, to, bytes);
                }
            }
            Verdict::Lost => {
                self.counts.lost += 1;
                self.spare.push(bytes);
            }
            Verdict::Overflow => {
                self.counts.overflowed += 1;
                self.spare.push(bytes);
            }
        }
    }

    fn enqueue(&mut self, at_ns: u64, from: usize, to: usize, bytes: Vec<u8>) {
        // Their numbers come from two bytes of an address.
        let packet = Packet { from: from as u16, to: to as u16, bytes };
        if let Err(packet) = self.queue.push(at_ns, packet) {
            self.counts.overflowed += 1;
            self.spare.push(packet.bytes);
        }
    }

    /// Writes what is due.
    fn deliver(&mut self) {
        let now_ns = self.shared.now_ns();
        while let Some(packet) = self.queue.pop(now_ns) {
            let (from, to) = (usize::from(packet.from), usize::from(packet.to));
            if self.rules.is_cut(from, to, now_ns) {
                self.counts.cut += 1;
            } else if write(&self.devices[to], &packet.bytes).is_ok() {
                self.counts.delivered += 1;
            } else {
                self.counts.unroutable += 1;
            }
            self.spare.push(packet.bytes);
        }
    }

    fn drop_unroutable(&mut self, bytes: Vec<u8>) {
        self.counts.unroutable += 1;
        self.spare.push(bytes);
    }

    fn publish(&mut self) {
        let now_ns = self.shared.now_ns();
        if now_ns < self.counts_due_ns {
            return;
        }
        self.counts_due_ns = now_ns + COUNTS_EVERY_NS;
        self.counts.under_way = self.queue.len() as u64;
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) {
            let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
            self.counts.cpu_us = u64::try_from(time).unwrap_or_default();
        }
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.counts;
    }
}

/// Where an IPv4 packet goes.
fn target(packet: &[u8]) -> Option<[u8; 4]> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    packet[16..20].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_names_where_it_goes() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[10, 77, 2, 1]);
        assert_eq!(target(&packet), Some([10, 77, 2, 1]));
        packet[0] = 0x60;
        assert_eq!(target(&packet), None, "IPv6 has no way here");
        assert_eq!(target(&packet[..19]), None);
    }
}
