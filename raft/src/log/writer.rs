//! The one thread that writes a log: group commit.
//!
//! It takes whatever has queued up, writes it with one call, makes it durable with one `fdatasync`, and then answers
//! all. While it syncs, the next group gathers. The order of effects is the safety argument:
//!
//! 1. Entries are written and synced, then `durable` rises, then callbacks run. Nothing is promised before.
//! 2. Files are begun, filled and synced as [`trine_journal::appender`] says; when that fails, nobody knows what the disk
//!    holds: the process is told to end, and nothing is promised any more.
//! 3. A truncation first lowers the floor durably, then writes its marker: a crash between leaves a longer log than
//!    the floor says, never a shorter one.
//! 4. What a full disk keeps from being written until the log closes ends the writer's work: what comes behind it would
//!    leave a gap.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use trine_crdt::NodeId;
use trine_journal::LogError;
use trine_journal::appender::{Appender, Closing as _, Stop};
use trine_journal::disk::Disk;
use trine_journal::queue::{Jobs, Next, Queue};
use trine_ledger::LogPosition;
use trine_ledger::frame::{Frame, FrameKind};

use super::convert;
use super::job::Job;
use super::shared::Shared;
use super::state::State;
use crate::config::Fatal;
use crate::limits::{LOG_FLOOR_IDLE, LOG_FLOOR_LAG, LOG_GROUP_BYTES_MAX};
use crate::mutants::{self, Mutant};
use crate::types::{Entry, LogId, Types};

/// The writer's own state.
pub struct Writer<D: Disk, C: Types> {
    /// Where it writes.
    pub disk: D,
    /// Keeps others from writing there.
    pub lock: D::Lock,
    /// What readers see.
    pub shared: Arc<Shared<D>>,
    /// Its jobs.
    pub queue: Arc<Queue<Job<C>>>,
    /// The index after the last written entry.
    pub next: u64,
    /// Where its frames go.
    pub appender: Appender<D>,
    /// What the state file holds.
    pub state: State,
    /// Told when the process must end.
    pub fatal: Fatal,
}

/// Whether the writer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It does.
    Done,
    /// The log closed, or the disk failed.
    Ended,
}

struct Group<C: Types> {
    entries: Vec<Entry>,
    callbacks: Vec<IOFlushed<C>>,
    bytes: usize,
}

impl<C: Types> Default for Group<C> {
    fn default() -> Self {
        Self { entries: Vec::new(), callbacks: Vec::new(), bytes: 0 }
    }
}

impl<D: Disk, C: Types> Writer<D, C> {
    /// Works until the queue closes.
    pub fn run(mut self) {
        let mut floor_written = Instant::now();
        loop {
            let next = self.queue.take(LOG_FLOOR_IDLE);
            let floor_due = matches!(next, Next::Idle) || floor_written.elapsed() >= LOG_FLOOR_LAG;
            if self.turn(next, floor_due) == Turn::Ended {
                return;
            }
            if floor_due {
                floor_written = Instant::now();
            }
        }
    }

    /// Does what waits, without waiting itself: for a writer without a thread of its own.
    pub fn step(&mut self, floor_due: bool) -> Turn {
        let next = self.queue.take(Duration::ZERO);
        self.turn(next, floor_due)
    }

    fn turn(&mut self, next: Next<Job<C>>, floor_due: bool) -> Turn {
        let (jobs, closed) = match next {
            Next::Jobs(jobs) => (jobs, false),
            Next::Idle => (Vec::new(), false),
            Next::Closed => (Vec::new(), true),
        };
        let worked = match self.work(jobs) {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Closed) => self.finish(),
            Ok(()) if closed => self.finish(),
            Ok(()) if floor_due => self.write_floor().map(|()| Turn::Done),
            Ok(()) => Ok(Turn::Done),
        };
        worked.unwrap_or_else(|error| {
            self.fail(&error);
            Turn::Ended
        })
    }

    fn work(&mut self, jobs: Jobs<Job<C>>) -> Result<(), Stop> {
        let mut group = Group::default();
        // Permits are held until the jobs are done: they are what bounds the queue.
        for (job, _permit) in jobs {
            match job {
                Job::Append(entries, callback) => {
                    group.bytes += entries.iter().map(super::recent::weight).sum::<usize>();
                    group.entries.extend(entries);
                    group.callbacks.push(callback);
                    if group.bytes >= LOG_GROUP_BYTES_MAX {
                        self.commit(std::mem::take(&mut group))?;
                    }
                }
                Job::Truncate(from, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.truncate(from)?;
                    let _ = done.send(Ok(()));
                }
                Job::Vote(vote, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.state.vote = Some(vote);
                    if mutants::is(Mutant::VoteBeforeSync) {
                        self.shared.lock().vote = Some(vote);
                        let _ = done.send(Ok(()));
                        self.store_state()?;
                        continue;
                    }
                    // Not stored is not promised: whoever asked sees a closed channel.
                    self.store_state()?;
                    self.shared.lock().vote = Some(vote);
                    let _ = done.send(Ok(()));
                }
                Job::Purge(upto, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.state.purged = Some(upto);
                    self.store_state()?;
                    let _ = done.send(Ok(()));
                }
            }
        }
        self.commit(group)
    }

    fn commit(&mut self, group: Group<C>) -> Result<(), Stop> {
        let Some(last) = group.entries.last().map(|entry| entry.log_id) else {
            group.callbacks.into_iter().for_each(|callback| callback.io_completed(Ok(())));
            return Ok(());
        };
        let first = group.entries.first().map_or(last.index, |entry| entry.log_id.index);
        let (file, start) = self.appender.segment(first, self.next, self.queue.as_ref())?;
        let mut bytes = Vec::with_capacity(group.bytes);
        let mut ends = Vec::with_capacity(group.entries.len());
        for entry in &group.entries {
            convert::write_entry(&mut bytes, &file.header, entry, start);
            ends.push(bytes.len());
        }
        self.appender.write(&file, start, &bytes, self.queue.as_ref())?;
        {
            let mut inner = self.shared.lock();
            let base = u32::try_from(start).expect("a segment file stays far below 4 GiB");
            let mut from = base;
            for (entry, end) in group.entries.iter().zip(ends) {
                let end = base + u32::try_from(end).expect("a group is far below 4 GiB");
                inner.index.push(&file, entry.log_id.index, from, end);
                from = end;
            }
            inner.recent.shrink(last.index + 1);
        }
        self.next = last.index + 1;
        self.shared.durable.send_replace(Some(last));
        group.callbacks.into_iter().for_each(|callback| callback.io_completed(Ok(())));
        Ok(())
    }

    fn truncate(&mut self, from: u64) -> Result<(), Stop> {
        let kept = self.shared.lock().kept(from)?;
        if self.state.floor > kept {
            self.state.floor = kept;
            self.store_state()?;
        }
        let (file, start) = self.appender.segment(self.next, self.next, self.queue.as_ref())?;
        let leader = self.state.vote.map(|vote| vote.leader_id).unwrap_or_default();
        let position = LogPosition { term: leader.term, leader: NodeId(leader.node), index: from };
        let marker = Frame { kind: FrameKind::Truncate, position, synced: start, payload: &[] };
        let mut bytes = Vec::new();
        file.header.write_frame(&marker, &mut bytes).expect("no payload is within bounds");
        self.appender.write(&file, start, &bytes, self.queue.as_ref())?;
        {
            let mut inner = self.shared.lock();
            inner.index.truncate(from);
            inner.recent.truncate(from);
            inner.last = kept;
        }
        if from == 0 {
            self.shared.origin.send_replace(None);
        }
        self.next = from;
        self.shared.durable.send_replace(kept);
        Ok(())
    }

    /// What is done at the end: a floor that covers everything, and no zeros behind the frames.
    fn finish(&mut self) -> Result<Turn, LogError> {
        self.write_floor()?;
        self.appender.cut()?;
        Ok(Turn::Ended)
    }

    fn write_floor(&mut self) -> Result<(), LogError> {
        let floor: Option<LogId> = *self.shared.durable.borrow();
        let committed = self.shared.lock().committed;
        if self.state.floor == floor && self.state.committed == committed {
            return Ok(());
        }
        let next = State { floor, committed, ..self.state.clone() };
        let before = std::mem::replace(&mut self.state, next);
        match self.state.store(&self.disk, &self.shared.directory) {
            // A floor that lags is safe; without room for it, the old one stands.
            Err(error) if error.is_full() => {
                self.state = before;
                Ok(())
            }
            stored => stored,
        }
    }

    /// Stores the state, waiting while the disk is full.
    fn store_state(&mut self) -> Result<(), Stop> {
        self.state.committed = self.shared.lock().committed;
        loop {
            match self.state.store(&self.disk, &self.shared.directory) {
                Err(error) if error.is_full() => {
                    if self.queue.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                stored => return Ok(stored?),
            }
        }
    }

    fn fail(&self, error: &LogError) {
        // Jobs still queued are dropped with the queue: their callers see a closed channel, never a success.
        self.queue.close();
        let Next::Jobs(jobs) = self.queue.take(Duration::ZERO) else { return (self.fatal)(error.to_string()) };
        for (job, _) in jobs {
            if let Job::Append(_, callback) = job {
                callback.io_completed(Err(io::Error::other(error.to_string())));
            }
        }
        (self.fatal)(error.to_string());
    }
}
