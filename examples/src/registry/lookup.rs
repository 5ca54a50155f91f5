//! One package in one region: what is known about it, and its latest release with the proof that it was published.

use std::fmt;

use anyhow::Context;
use serde::Serialize;
use trine_client::{CallOptions, Client, ClientError};
use trine_crdt::RegionId;
use trine_protocol::reply::{RecordView, Reply};
use trine_protocol::request::LedgerRecord;
use trine_protocol::{Edit, Missing, Request, RequestError, View};

use super::release::{Latest, downloads_key, latest_key, versions_key};
use super::trust::{Doubt, Trust, hex};

/// What a region says about a package.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The package.
    pub package: String,
    /// The region asked.
    pub asked: String,
    /// Every version released.
    pub versions: Vec<String>,
    /// How often it was fetched.
    pub downloads: i64,
    /// The release published last.
    pub latest: Latest,
    /// Its record, proven.
    pub record: Proven,
    /// The release's stanza.
    pub stanza: String,
}

/// A record whose proof holds.
#[derive(Debug, Serialize)]
pub struct Proven {
    /// Its key.
    pub key: String,
    /// Its hybrid time.
    pub timestamp: String,
    /// The archive's SHA-256, as the record's metadata has it.
    pub sha256: Option<String>,
    /// The leaf hash.
    pub leaf: String,
    /// How many records the checkpoint signs.
    pub checkpoint_size: u64,
    /// The root it signs.
    pub checkpoint_root: String,
}

/// Asks a region's client for one object; none when there is none.
///
/// # Errors
/// Whatever the client says.
pub async fn object(client: &Client, namespace: &str, key: &str) -> Result<Option<View>, ClientError> {
    let found = client.object_get_with(&CallOptions::new(), namespace, key).await?;
    Ok(found.and_then(|object| object.views.into_iter().next()))
}

/// Asks a region's client for one record with its proof; none when that region does not hold it.
///
/// # Errors
/// Whatever the client says.
pub async fn record(client: &Client, region: &RegionId, index: u64) -> Result<Option<RecordView>, ClientError> {
    let request = Request::LedgerRecord(LedgerRecord { region: region.clone(), index, with_proof: true });
    match client.request(&CallOptions::new(), request).await {
        Ok(answer) => match answer.reply {
            Reply::Record(view) => Ok(Some(view)),
            _ => Err(ClientError::UnexpectedReply { asked: "record", got: "something else" }),
        },
        Err(ClientError::Request(RequestError::NotFound { what: Missing::Record { .. } })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks a package up; the record comes back as well, for a proof file. With `count`, this is a download.
///
/// # Errors
/// When there is no such package, when objects and ledger contradict each other, or when the proof does not hold.
pub async fn lookup(
    client: &Client,
    trust: &Trust,
    asked: &RegionId,
    objects: &str,
    package: &str,
    count: bool,
) -> anyhow::Result<(Found, RecordView)> {
    if count {
        client.object_edit(objects, &downloads_key(package), Edit::Increment(1)).await?;
    }
    let (latest_key, versions_key, downloads_key) =
        (latest_key(package), versions_key(package), downloads_key(package));
    let (latest, versions, downloads) = tokio::try_join!(
        object(client, objects, &latest_key),
        object(client, objects, &versions_key),
        object(client, objects, &downloads_key),
    )?;
    let Some(View::Register(latest)) = latest else { anyhow::bail!("{asked} knows no package {package}") };
    let latest: Latest =
        serde_json::from_slice(&latest).context("the latest release is not what this program writes")?;
    let Some(View::Set(versions)) = versions else { anyhow::bail!("{asked} has no versions of {package} yet") };
    let downloads = if let Some(View::Counter(total)) = downloads { total } else { 0 };
    let region: RegionId = latest.region.parse().ok().context("the latest release names no region")?;
    let view = record(client, &region, latest.index)
        .await?
        .with_context(|| format!("{asked} does not hold record {} of {region} yet", latest.index))?;
    let (proven, view) = prove(trust, &region, latest.index, &format!("{package}/{}", latest.version), view)?;
    let found = Found {
        package: package.to_owned(),
        asked: asked.to_string(),
        versions: versions.iter().map(|version| String::from_utf8_lossy(version).into_owned()).collect(),
        downloads,
        latest,
        record: proven,
        stanza: String::from_utf8_lossy(&view.value).into_owned(),
    };
    Ok((found, view))
}

/// Whether the record is the one asked for, and proven.
fn prove(
    trust: &Trust,
    region: &RegionId,
    index: u64,
    key: &str,
    view: RecordView,
) -> Result<(Proven, RecordView), Doubt> {
    let verified = trust.check(&view)?;
    if (&view.region, verified.index, view.key.as_str()) != (region, index, key) {
        return Err(Doubt::Contents("record than the one asked for"));
    }
    let proven = Proven {
        key: view.key.clone(),
        timestamp: view.timestamp.to_string(),
        sha256: view.metadata.get("sha256").cloned(),
        leaf: hex(&trine_ledger::tree::leaf_hash(&view.header)),
        checkpoint_size: verified.checkpoint.size,
        checkpoint_root: hex(&verified.checkpoint.root),
    };
    Ok((proven, view))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latest { version, region, index } = &self.latest;
        writeln!(f, "package    {}", self.package)?;
        writeln!(f, "versions   {}", self.versions.join(", "))?;
        writeln!(f, "latest     {version}")?;
        writeln!(f, "downloads  {}", self.downloads)?;
        writeln!(f, "sha256     {}", self.record.sha256.as_deref().unwrap_or("-"))?;
        writeln!(f, "record     {index} of {region}, asked in {}", self.asked)?;
        writeln!(f, "time       {}", self.record.timestamp)?;
        writeln!(f, "proven     among {} records, root {}", self.record.checkpoint_size, self.record.checkpoint_root)
    }
}
