//! A way back when a majority of a region's nodes is lost for ever: its ledger goes on from one disk that is left.
//!
//! Raft's safety rests on majorities, and there is none any more; so an operator says so, by hand, with every node stopped.
//! Of the surviving disks the one is taken whose log is ahead by Raft's own order (last term, then length): whatever was
//! committed and stands on *any* of them stands on that one, because a leader of a later term had it, too. What had not been
//! committed there counts from now on: nobody was told that it was, and nobody was told that it was not.
//!
//! ```text
//!   … │ last entry │ membership: the new id alone │ recover: who was written off │
//!                    └──────────── appended and synced together, under a new term ┘
//! ```
//!
//! The disk gets another id before it votes again: nodes of before that were not lost after all find that they were retired,
//! and stop. The ledger says for ever that this was done. The others join with empty directories, under their names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use futures::StreamExt as _;
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogStorage as _};
use trine_crdt::{NodeId, Timestamp, WriterId};
use trine_ledger::entry::{Command, Entry as LedgerEntry};
use trine_raft::LogConfig;
use trine_raft::config::Fatal;
use trine_raft::log::LogStore;
use trine_raft::types::{AppData, Entry, Led, LogId, Member, Membership, Vote};

use crate::store::DataDir;
use crate::store::directory::draw_node_id;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// The directory whose disk the region goes on from.
    pub data: PathBuf,
    /// The node's name.
    pub name: String,
    /// The id that the disk had.
    pub survivor: String,
    /// The id that it has now.
    pub node: String,
    /// The last log index that it held.
    pub last_index: u64,
    /// The voters that were written off.
    pub written_off: Vec<String>,
}

/// A disk that is left.
struct Survivor {
    directory: DataDir,
    cluster: String,
    name: String,
    log: LogStore,
    last: LogId,
}

/// What a log says.
#[derive(Default)]
struct Said {
    stamp: Timestamp,
    membership: Option<Membership>,
}

/// Makes a region of one node of the best of these data directories, whose nodes are stopped. `fatal` is called when the
/// disk fails while it is written to, and ends the process.
///
/// # Errors
/// Why not; nothing has changed then, unless the disk failed while it was written to.
pub fn region(paths: &[PathBuf], fatal: &Fatal) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let survivors = paths.iter().map(|path| look(path, fatal)).collect::<anyhow::Result<Vec<_>>>()?;
    let done = runtime.block_on(write(&survivors));
    survivors.iter().for_each(|survivor| survivor.log.close());
    done
}

fn look(path: &Path, fatal: &Fatal) -> anyhow::Result<Survivor> {
    let (directory, cluster, name) = DataDir::found(path)?;
    let raft = directory.raft();
    let log = LogStore::open(&raft, LogConfig::default(), Arc::clone(fatal))
        .with_context(|| format!("{} cannot be gone on from: take another survivor", path.display()))?;
    let last = log.last().with_context(|| format!("{} holds no log: it never took part", path.display()))?;
    Ok(Survivor { directory, cluster, name, log, last })
}

async fn write(survivors: &[Survivor]) -> anyhow::Result<Done> {
    let best = survivors.iter().max_by_key(|survivor| survivor.last).context("name a survivor's --data")?;
    for other in survivors {
        ensure!(other.cluster == best.cluster, "{} and {} are of two clusters", other.name, best.name);
    }
    let old = best.directory.node();
    let said = read(best).await?;
    let membership = said.membership.context("its log holds no Raft membership")?;
    for other in survivors {
        let id = other.directory.node();
        let member = membership.get_node(&id.0);
        ensure!(
            member.is_some_and(|member| member.name == other.name),
            "{} ({id}) is no member of the region of {}: only disks of one region can be compared",
            other.name,
            best.name
        );
    }
    let member = membership.get_node(&old.0).cloned().expect("each of them is a member");
    let written_off = membership.nodes().map(|(node, member)| format!("{} ({})", member.name, NodeId(*node)));
    let written_off: Vec<String> = written_off.collect();
    let node = draw_node_id();
    append(best, node, member, said.stamp).await?;
    best.directory.rename(node, &best.cluster, &best.name)?;
    Ok(Done {
        data: best.directory.path().to_owned(),
        name: best.name.clone(),
        survivor: old.to_string(),
        node: node.to_string(),
        last_index: best.last.index,
        written_off,
    })
}

/// Reads a whole log: its highest stamp, and its last membership.
async fn read(survivor: &Survivor) -> anyhow::Result<Said> {
    let (mut said, mut next) = (Said::default(), 0);
    let mut entries = survivor.log.entries(0..survivor.last.index + 1);
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        if entry.log_id.index != next {
            bail!("the log lacks entry {next}");
        }
        next += 1;
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => said.membership = Some(membership),
            EntryPayload::Normal(AppData(bytes)) => {
                let commands = LedgerEntry::from_bytes(&bytes).map(|entry| entry.commands).unwrap_or_default();
                let stamps = commands.iter().filter_map(|command| command.stamp().ok());
                said.stamp = stamps.max().map_or(said.stamp, |stamp| stamp.max(said.stamp));
            }
        }
    }
    ensure!(next == survivor.last.index + 1, "the log ends at {next}, not behind {}", survivor.last.index);
    Ok(said)
}

/// Puts the new membership and the note of it behind the log, durable.
async fn append(survivor: &Survivor, node: NodeId, member: Member, above: Timestamp) -> anyhow::Result<()> {
    let mut log = survivor.log.clone();
    let voted = log.vote().map_or(0, |vote| vote.leader_id().term);
    let term = voted.max(survivor.last.leader_id.term) + 1;
    log.save_vote(&Vote::new_committed(term, node.0)).await?;
    let id = |after: u64| LogId::new(Led { term, node: node.0 }, survivor.last.index + after);
    let alone = vec![BTreeSet::from([node.0])];
    let membership = Membership::new(alone, BTreeMap::from([(node.0, member)])).context("a membership of one")?;
    let command = Command::Recover { stamp: stamp(above)?, node, survivor: survivor.directory.node() };
    let entry = LedgerEntry { commands: vec![command] }.to_bytes().context("an entry of one command")?;
    let entries = [
        Entry { log_id: id(1), payload: EntryPayload::Membership(membership) },
        Entry { log_id: id(2), payload: EntryPayload::Normal(AppData(entry)) },
    ];
    log.append(entries, IOFlushed::noop()).await?;
    log.wait_durable(id(2)).await?;
    Ok(())
}

/// A stamp of now, above another.
fn stamp(above: Timestamp) -> anyhow::Result<Timestamp> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let wall = (now.as_secs() << 32) | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
    let mut writer = [0; 16];
    getrandom::fill(&mut writer).context("the system has no random source")?;
    let next = above.time.checked_add(1).context("the ledger's time is at its end")?;
    Ok(Timestamp { time: next.max(wall), writer: WriterId(writer) })
}
