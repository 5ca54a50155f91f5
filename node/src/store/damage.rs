//! Damage on this disk: what was found, what is being healed, how often both happened.
//!
//! A block of a table that cannot be read any more does harm twice: to who reads it, and to the whole database as soon as
//! its tables are merged, which then takes no write any more. So a database in which damage was found is never gone on with:
//! the process starts itself anew and puts another in its place. Rows that are derived come again from the log and from
//! peers; objects come from peers. The log has no second copy on this disk and is no node's to make up: a node whose log is
//! damaged says so and what to do.
//!
//! What was found stands in a file, so that the process that heals knows of it and the counts survive it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::counter;
use tokio::sync::Notify;
use trine_journal::textfile::{self, Contents};

use crate::store::limits::REBUILDS_MAX;

const FILE: &str = "damage";

/// What can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Objects, their deltas and vectors, the clock's mark.
    Synced,
    /// What comes again from the log and from peers.
    Derived,
    /// The region's log.
    Log,
}

impl Part {
    const ALL: [Self; 3] = [Self::Synced, Self::Derived, Self::Log];

    /// Its name, which is also that of its directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Derived => "derived",
            Self::Log => "raft",
        }
    }
}

/// What is known of one part.
#[derive(Debug, Clone, Default)]
struct Known {
    found: u64,
    healed: u64,
    tries: u64,
    /// Another database stands in the damaged one's place, and nothing was found in it.
    begun: bool,
    /// What was found, until it is healed.
    pending: Option<String>,
    /// Whether it was found by this process.
    now: bool,
}

/// What is known of all parts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Damage {
    path: PathBuf,
    /// No other node has this one's objects.
    alone: bool,
    known: Arc<Mutex<BTreeMap<Part, Known>>>,
    bell: Arc<Notify>,
}

impl Damage {
    /// What an earlier process left in the data directory; `alone` says that no other node has this one's objects. A file that cannot be read says nothing: the databases are
    /// looked at anyway.
    #[must_use]
    pub fn open(data_dir: &Path, alone: bool) -> Self {
        let path = data_dir.join(FILE);
        let mut known: BTreeMap<Part, Known> = Part::ALL.iter().map(|part| (*part, Known::default())).collect();
        if let Ok(Contents::Lines(lines)) = textfile::read(&path) {
            for (name, value) in lines {
                let Some((part, what)) = name.split_once('.') else { continue };
                let Some(part) = Part::ALL.into_iter().find(|known| known.name() == part) else { continue };
                let entry = known.entry(part).or_default();
                let number = value.parse().unwrap_or_default();
                match what {
                    "found" => entry.found = number,
                    "healed" => entry.healed = number,
                    "tries" => entry.tries = number,
                    "begun" => entry.begun = number > 0,
                    "pending" => entry.pending = Some(value),
                    _ => {}
                }
            }
        }
        // The log is looked at whole when it is opened: what was damaged there is no more, or is found again.
        known.entry(Part::Log).or_default().pending = None;
        Self { path, alone, known: Arc::new(Mutex::new(known)), bell: Arc::new(Notify::new()) }
    }

    /// Damage was met. Of one part only the first counts until it is healed: what it leads to heals all of it.
    pub fn found(&self, part: Part, what: &str) {
        let mut known = self.lock();
        let entry = known.entry(part).or_default();
        if entry.now {
            return;
        }
        (entry.now, entry.begun) = (true, false);
        entry.found += 1;
        entry.pending = Some(what.replace('\n', " "));
        tracing::error!(part = part.name(), what, "damage was found");
        self.write(&known);
        drop(known);
        self.publish();
        self.bell.notify_one();
    }

    /// What is not healed yet, of one part.
    #[must_use]
    pub fn pending(&self, part: Part) -> Option<String> {
        self.lock().get(&part).and_then(|known| known.pending.clone())
    }

    /// All that is not healed yet, in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.lock().values().filter_map(|known| known.pending.clone()).collect()
    }

    /// Whether it was begun already to heal what is pending.
    pub(super) fn heals_already(&self, part: Part) -> bool {
        self.lock().get(&part).is_some_and(|known| known.tries > 0)
    }

    /// Another database stands in the place of the damaged one.
    pub(super) fn begun(&self, part: Part) {
        let mut known = self.lock();
        known.entry(part).or_default().begun = true;
        self.write(&known);
    }

    /// Whether what stands in its place may be gone on with: it is whole, or another than that which is damaged.
    pub(super) fn goes_on(&self, part: Part) -> bool {
        self.lock().get(&part).is_none_or(|known| known.pending.is_none() || known.begun)
    }

    /// A database is made anew; false: it was so often enough.
    pub(super) fn tried(&self, part: Part) -> bool {
        let mut known = self.lock();
        let entry = known.entry(part).or_default();
        entry.tries += 1;
        // From here on what is met is in the new one.
        entry.now = false;
        let again = entry.tries <= REBUILDS_MAX;
        self.write(&known);
        again
    }

    /// All that was pending when this process started is whole again.
    pub fn healed(&self) {
        let mut known = self.lock();
        let healing = known.iter_mut().filter(|(_, known)| known.pending.is_some() && !known.now);
        let mut any = false;
        for (part, entry) in healing {
            tracing::info!(part = part.name(), "damage is healed");
            (entry.healed, entry.tries, entry.pending) = (entry.healed + 1, 0, None);
            (entry.begun, any) = (false, true);
        }
        if any {
            self.write(&known);
        }
        drop(known);
        self.publish();
    }

    /// Waits until this process finds damage.
    pub async fn wait(&self) {
        self.bell.notified().await;
    }

    /// Whether this process found damage in a database, which a new process can heal.
    #[must_use]
    pub fn calls_for_restart(&self) -> bool {
        let healable = |(part, known): (&Part, &Known)| known.now && known.pending.is_some() && self.heals(*part);
        self.lock().iter().any(healable)
    }

    /// Whether a new process can heal a part.
    pub(super) fn heals(&self, part: Part) -> bool {
        match part {
            Part::Synced => !self.alone,
            Part::Derived => true,
            Part::Log => false,
        }
    }

    /// Tells the figures.
    pub fn publish(&self) {
        for (part, known) in self.lock().iter() {
            counter!("trine_damage_found_total", "what" => part.name()).absolute(known.found);
            counter!("trine_damage_healed_total", "what" => part.name()).absolute(known.healed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Part, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Best effort: what is not written is found again.
    fn write(&self, known: &BTreeMap<Part, Known>) {
        let mut lines = Vec::new();
        for (part, known) in known {
            let name = |what: &str| format!("{}.{what}", part.name());
            lines.push((name("found"), known.found.to_string()));
            lines.push((name("healed"), known.healed.to_string()));
            lines.push((name("tries"), known.tries.to_string()));
            lines.push((name("begun"), u64::from(known.begun).to_string()));
            lines.extend(known.pending.iter().map(|pending| (name("pending"), pending.clone())));
        }
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Err(error) = textfile::replace(&self.path, &lines) {
            tracing::warn!(%error, "what was found of damage cannot be written down");
        }
    }
}
