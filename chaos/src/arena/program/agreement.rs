//! Waiting until all nodes say that they hold the same. Only a signal to go on: the verdict comes from the disks.

use std::time::{Duration, Instant};

use anyhow::bail;
use trine_client::Client;
use trine_protocol::reply::StatusView;

use super::load::pinned;
use crate::arena::cluster::Layout;

const POLL: Duration = Duration::from_millis(50);

/// Asks every node, again and again, until all answers are alike; says how long it took.
///
/// # Errors
/// When the time is over, with what differed last.
pub async fn wait(layout: &Layout, patience: Duration) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let clients: Vec<(String, Client)> = layout
        .nodes
        .iter()
        .map(|node| Ok((node.name.clone(), pinned(&layout.client, &node.libp2p)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let asked = clients.iter().map(|(name, client)| async move { (name, client.status().await) });
        let mut answers = Vec::new();
        for ask in asked {
            answers.push(ask.await);
        }
        let differs = answers.iter().find_map(|(name, answer)| match answer {
            Err(error) => Some(format!("{name}: {error}")),
            Ok(status) => {
                let first = answers.first().and_then(|(_, first)| first.as_ref().ok());
                (first.map(summary) != Some(summary(status))).then(|| format!("{name} differs: {:?}", summary(status)))
            }
        });
        match differs {
            None => return Ok(start.elapsed()),
            Some(what) if start.elapsed() > patience => bail!("no agreement after {} s: {what}", patience.as_secs()),
            Some(_) => {}
        }
    }
}

/// What must be equal.
fn summary(status: &StatusView) -> String {
    let hex = |bytes: &[u8; 32]| bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    let ledgers = status.ledgers.iter().map(|(region, head)| format!("{region}:{}:{}", head.size, hex(&head.root)));
    let objects = status.objects.iter().map(|(id, sum)| format!("{id}:{}:{}", sum.count, hex(&sum.digest)));
    ledgers.chain(objects).collect::<Vec<_>>().join(" ")
}
