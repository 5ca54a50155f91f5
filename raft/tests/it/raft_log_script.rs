//! A script of log operations on the forgetful disk, what it was promised, and what a disk must still hold.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, RaftLogStorage as _};
use openraft::type_config::TypeConfigExt as _;
use trine_raft::LogConfig;
use trine_raft::config::Fatal;
use trine_raft::log::writer::{Turn, Writer};
use trine_raft::log::{LogError, LogStore};
use trine_raft::types::{AppData, Entry, Led, LogId, TypeConfig, Vote};

use crate::raft_log_disk::{Dice, ForgetfulDisk};

pub type Log = LogStore<ForgetfulDisk, TypeConfig>;
pub type LogWriter = Writer<ForgetfulDisk, TypeConfig>;

/// Where the log lives on the disk.
pub const DIRECTORY: &str = "/raft";

/// An operation.
#[derive(Debug, Clone)]
pub enum Step {
    Append(Vec<Entry>),
    Vote(Vote),
    Truncate(u64),
    Purge(LogId),
}

/// What the log holds after some operations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    pub entries: Vec<Entry>,
    pub vote: Option<Vote>,
}

impl Held {
    pub fn after(&self, step: &Step) -> Self {
        let mut held = self.clone();
        match step {
            Step::Append(entries) => held.entries.extend(entries.iter().cloned()),
            Step::Vote(vote) => held.vote = Some(*vote),
            Step::Truncate(from) => held.entries.truncate(usize::try_from(*from).expect("small")),
            Step::Purge(_) => {}
        }
        held
    }

    /// Whether a disk may hold this when `step` had begun after `before`: an append may have arrived in part.
    fn is_between(&self, before: &Self, step: Option<&Step>) -> bool {
        if self == before {
            return true;
        }
        let Some(Step::Append(entries)) = step else { return false };
        let more = self.entries.len().checked_sub(before.entries.len());
        more.is_some_and(|more| {
            let partial = Step::Append(entries[..more.min(entries.len())].to_vec());
            *self == before.after(&partial)
        })
    }
}

/// All steps issued so far, what was held after each, and how many were acknowledged.
#[derive(Default)]
pub struct History {
    steps: Vec<Step>,
    held: Vec<Held>,
    waiting: VecDeque<Pin<Box<dyn Future<Output = bool> + Send>>>,
    acknowledged: usize,
    failed: bool,
}

impl History {
    pub fn new() -> Self {
        Self { held: vec![Held::default()], ..Self::default() }
    }

    pub fn now(&self) -> &Held {
        self.held.last().expect("never empty")
    }

    fn issue(&mut self, step: Step, answer: impl Future<Output = bool> + Send + 'static) {
        self.held.push(self.now().after(&step));
        self.steps.push(step);
        let mut answer = Box::pin(answer);
        // The first poll puts it into the queue.
        match answer.as_mut().now_or_never() {
            Some(done) => self.waiting.push_back(Box::pin(std::future::ready(done))),
            None => self.waiting.push_back(answer),
        }
    }

    /// Puts entries into a log's queue.
    pub fn append(&mut self, log: &Log, entries: Vec<Entry>) {
        issue(log, Step::Append(entries), self);
    }

    /// How many steps were acknowledged, all before them included.
    pub fn acknowledged(&mut self) -> usize {
        while let Some(first) = self.waiting.front_mut() {
            match first.as_mut().now_or_never() {
                Some(true) => {
                    assert!(!self.failed, "acknowledged after one that was not");
                    self.acknowledged += 1;
                }
                Some(false) => self.failed = true,
                None => break,
            }
            self.waiting.pop_front();
        }
        self.acknowledged
    }

    /// Whether everything was acknowledged.
    pub fn is_complete(&mut self) -> bool {
        self.acknowledged() == self.steps.len()
    }

    /// Why `found` is not what a disk may hold.
    pub fn refutes(&mut self, found: &Held) -> Option<String> {
        let from = self.acknowledged();
        let may = (from..self.held.len()).any(|at| found.is_between(&self.held[at], self.steps.get(at)));
        (!may).then(|| {
            let length = |held: &Held| (held.entries.len(), held.vote);
            format!(
                "{from} of {} steps acknowledged, then {:?}; found {:?}, not from {:?} to {:?}",
                self.steps.len(),
                self.steps.get(from),
                length(found),
                length(&self.held[from]),
                length(self.now())
            )
        })
    }
}

/// Small, so that scripts cross segments and read from files.
fn config(room_bytes: usize) -> LogConfig {
    LogConfig { segment_bytes: 2_500, cache_bytes: 1_000, reserve_bytes: 0, room_bytes }
}

/// Opens the log, to be written with this much room ahead of the frames.
pub fn open(disk: &ForgetfulDisk, room_bytes: usize) -> Result<(Log, LogWriter), LogError> {
    open_telling(disk, room_bytes, Arc::new(|_| {}))
}

fn open_telling(disk: &ForgetfulDisk, room_bytes: usize, fatal: Fatal) -> Result<(Log, LogWriter), LogError> {
    LogStore::stopped(disk.clone(), Path::new(DIRECTORY), config(room_bytes), fatal)
}

/// Everything in a log, what Raft regards as purged included.
pub fn held(log: &Log) -> Held {
    let entries = log.entries(0..u64::MAX).try_collect().now_or_never().expect("nothing waits").expect("readable");
    Held { entries, vote: log.vote() }
}

pub fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let mut text = format!("entry {index} of term {term} ");
    text.extend(std::iter::repeat_n('x', bytes));
    Entry::new_normal(LogId::new(Led { term, node: 7 }, index), AppData(Bytes::from(text)))
}

/// The next step of a script; truncations only where they may stand.
fn step(dice: &mut Dice, held: &Held, first: u64, term: &mut u64, may_truncate: bool) -> Step {
    let next = held.entries.len() as u64;
    let index = |at: u64| usize::try_from(at).expect("small");
    match dice.below(100) {
        0..8 => {
            *term += 1;
            Step::Vote(Vote::new(*term, dice.roll() % 5))
        }
        8..18 if may_truncate && next > first => {
            // Raft takes back only for a newer leader, whose entries follow.
            *term += 1;
            Step::Truncate(first.max(next - 1 - dice.roll() % (next - first).min(30)))
        }
        18..22 if next > first => Step::Purge(held.entries[index(first + dice.roll() % (next - first))].log_id),
        _ => {
            let count = 1 + dice.roll() % 4;
            let size = |dice: &mut Dice| if dice.percent(10) { 300 + dice.below(900) } else { dice.below(120) };
            Step::Append((0..count).map(|more| entry(*term, next + more, size(dice))).collect())
        }
    }
}

fn issue(log: &Log, step: Step, history: &mut History) {
    let mut log = log.clone();
    match step.clone() {
        Step::Append(entries) => {
            let (done, answer) = TypeConfig::oneshot();
            let appended = log.append(entries, IOFlushed::signal(done)).now_or_never().expect("there is room");
            let flushed = async move { appended.is_ok() && matches!(answer.await, Ok(Ok(()))) };
            history.issue(step, flushed);
        }
        Step::Vote(vote) => history.issue(step, async move { log.save_vote(&vote).await.is_ok() }),
        Step::Truncate(0) => history.issue(step, async move { log.truncate_after(None).await.is_ok() }),
        Step::Truncate(from) => {
            let kept = history.now().entries[usize::try_from(from - 1).expect("small")].log_id;
            history.issue(step, async move { log.truncate_after(Some(kept)).await.is_ok() });
        }
        // Hides entries from Raft until the next start, which is nothing to keep and nothing to acknowledge.
        Step::Purge(upto) => log.purge(upto).now_or_never().expect("nothing waits").expect("the entries are there"),
    }
}

/// How a script is run.
pub struct Script {
    pub seed: u64,
    pub steps: usize,
    /// Whether the log is closed with jobs still waiting.
    pub close_early: bool,
    /// Zeros written ahead of the frames at a time.
    pub room_bytes: usize,
}

impl Script {
    /// Runs until its end, until the writer ends, or until the process would: it is told when the disk failed. An error
    /// is one of opening the log.
    pub fn run(&self, disk: &ForgetfulDisk, history: &Arc<Mutex<History>>) -> Result<(), LogError> {
        let mut dice = Dice::new(self.seed);
        let mut term = 1;
        let failed = Arc::new(AtomicBool::new(false));
        let open = || {
            let failed = failed.clone();
            open_telling(disk, self.room_bytes, Arc::new(move |_| failed.store(true, Ordering::Relaxed)))
        };
        let (mut log, mut writer) = open()?;
        let (mut left, mut hidden) = (self.steps, 0);
        while left > 0 {
            // What waits together is written together.
            for _ in 0..=dice.below(4) {
                let mut history = history.lock().expect("alive");
                let may_truncate = history.is_complete();
                let step = step(&mut dice, history.now(), hidden, &mut term, may_truncate);
                if let Step::Purge(upto) = &step {
                    hidden = upto.index + 1;
                }
                let alone = matches!(step, Step::Truncate(_));
                issue(&log, step, &mut history);
                left = left.saturating_sub(1);
                if alone {
                    break;
                }
            }
            if self.close_early {
                log.close();
            }
            // `history` is not locked here: whoever watches the disk asks it.
            if writer.step(dice.percent(15)) == Turn::Ended {
                return Ok(());
            }
            if dice.percent(4) {
                log.close();
                assert_eq!(writer.step(false), Turn::Ended);
                if failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                drop(writer);
                (log, writer) = open()?;
            }
            let mut history = history.lock().expect("alive");
            history.acknowledged();
        }
        log.close();
        writer.step(false);
        Ok(())
    }
}
