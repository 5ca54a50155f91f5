//! `trine ledger …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use trine_crdt::RegionId;
use trine_doors::model::value::{base64, hex};
use trine_doors::model::{Appended, Record, Records, Value};
use trine_identity::{bundle, files};
use trine_ledger::Checkpoint;
use trine_ledger::tree::verify_consistency;
use trine_protocol::reply::{Page, RecordView, Reply};
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, Precondition,
};
use trine_protocol::{Durability, Request};

use super::args::{Globals, ReadArgs, WriteArgs};
use super::connect::{Connection, identity};
use super::exit::{Exit, Failure};
use super::input::ValueArgs;
use super::output::{Output, pairs, shortened, table};
use super::verify::{self, VerifyArgs, save_proof};

/// Records that nobody can alter.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Append a record
    Append(AppendArgs),
    /// Read the latest version of a key, or one record by its place
    Get(GetArgs),
    /// All versions of a key, oldest first
    History(HistoryArgs),
    /// The latest versions of the keys with a prefix
    Range(RangeArgs),
    /// Verify a proof file; needs no cluster
    Verify(VerifyArgs),
    /// The latest signed checkpoint of a region's ledger
    Checkpoint(CheckpointArgs),
    /// The cluster's founding document, which proofs are verified with
    Genesis(GenesisArgs),
}

/// Which key.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// The key
    pub key: String,
    /// The ledger namespace: its name or id
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
}

/// `trine ledger append`.
#[derive(Debug, Args)]
pub struct AppendArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    value: ValueArgs,
    /// The value's media type; text/plain for UTF-8, otherwise application/octet-stream
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A name and value that travel with the record; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    meta: Vec<(String, String)>,
    /// The same key within ten minutes returns the first append's answer; each region has its own, so with several --region is needed
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Append only when the key has no version in the ledger of --region
    #[arg(long, conflicts_with = "if_match")]
    if_absent: bool,
    /// Append only when the key's latest version in the ledger of --region is the record of this index
    #[arg(long, value_name = "INDEX")]
    if_match: Option<u64>,
    /// What it must survive: region (a minority of the region's nodes); there is no less, and no more yet
    #[arg(long, value_name = "LEVEL")]
    durability: Option<Durability>,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// `trine ledger get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The key
    #[arg(required_unless_present = "at")]
    key: Option<String>,
    /// The ledger namespace: its name or id
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// The record at this place of a region's ledger, such as us-east-1/17
    #[arg(long, value_name = "REGION/INDEX", conflicts_with = "key", value_parser = place)]
    at: Option<(RegionId, u64)>,
    /// Write the record with its proof to a new file, for `trine ledger verify`
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine ledger history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Where to go on: `next` of the last page
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine ledger range`.
#[derive(Debug, Args)]
pub struct RangeArgs {
    /// Only keys that start so
    #[arg(default_value = "")]
    prefix: String,
    /// The ledger namespace: its name or id
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Only keys after this one: `next` of the last page
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine ledger checkpoint`.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// Whose ledger
    region: RegionId,
    /// An earlier checkpoint of it: prove that the latest one extends it
    #[arg(long, value_name = "FILE")]
    extends: Option<PathBuf>,
    /// Where the genesis document and ca.crt are, to check the signatures; otherwise those of the identity
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine ledger genesis`.
#[derive(Debug, Args)]
pub struct GenesisArgs {
    /// Write it to a new file, for `trine ledger verify --genesis FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The authority's certificate that it is checked with; otherwise ca.crt of the identity
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &LedgerCommand) -> Result<Output, Failure> {
    match command {
        LedgerCommand::Append(args) => append(globals, args).await,
        LedgerCommand::Get(args) => get(globals, args).await,
        LedgerCommand::History(args) => {
            let request = Request::LedgerHistory(LedgerHistory {
                namespace: args.key.namespace.clone(),
                key: args.key.key.clone(),
                after: args.after.clone(),
                limit: args.limit,
            });
            page(globals, &args.read, request).await
        }
        LedgerCommand::Range(args) => {
            let request = Request::LedgerRange(LedgerRange {
                namespace: args.namespace.clone(),
                prefix: args.prefix.clone(),
                after: args.after.clone(),
                limit: args.limit,
            });
            page(globals, &args.read, request).await
        }
        LedgerCommand::Verify(args) => verify::run(globals, args),
        LedgerCommand::Checkpoint(args) => checkpoint(globals, args).await,
        LedgerCommand::Genesis(args) => genesis(globals, args).await,
    }
}

async fn append(globals: &Globals, args: &AppendArgs) -> Result<Output, Failure> {
    if args.durability == Some(Durability::Local) {
        return Err(Failure::usage(
            "a record survives a minority of its region, never less: durability local is for objects",
        ));
    }
    let write = WriteArgs { durability: args.durability, dry_run: args.dry_run };
    let value = args.value.read()?;
    let text = std::str::from_utf8(&value).is_ok();
    let content_type = args
        .content_type
        .clone()
        .unwrap_or_else(|| if text { "text/plain; charset=utf-8" } else { "application/octet-stream" }.to_owned());
    let connection = Connection::open(globals)?;
    if write.dry_run {
        let what = format!("would append {} bytes of {content_type} under {}", value.len(), args.key.key);
        return Ok(Output::new(&serde_json::json!({ "dry_run": true, "bytes": value.len() }), what));
    }
    let request = Request::Append(Append {
        namespace: args.key.namespace.clone(),
        key: args.key.key.clone(),
        value,
        content_type,
        metadata: args.meta.iter().cloned().collect(),
        idempotency_key: args.idempotency_key.clone(),
        if_match: args.if_match.map(Precondition::Index).or(args.if_absent.then_some(Precondition::Absent)),
        with_proof: false,
    });
    let Reply::Appended(view) = connection.write(&write, request).await? else {
        return Err(Failure::unexpected());
    };
    let appended = Appended::from(&view);
    let mut lines = vec![
        ("version", appended.version.clone()),
        ("region", appended.region.clone()),
        ("index", appended.index.to_string()),
        ("time", appended.time.clone()),
        ("timestamp", appended.timestamp.clone()),
        ("leaf", appended.leaf.clone()),
    ];
    if appended.duplicate {
        lines.push(("duplicate", "yes: this is the first append's answer".to_owned()));
    }
    Ok(Output::new(&appended, pairs(&lines)).ids([&appended.version]).changed())
}

async fn get(globals: &Globals, args: &GetArgs) -> Result<Output, Failure> {
    let with_proof = args.proof.is_some();
    let request = match (&args.at, &args.key) {
        (Some((region, index)), _) => {
            Request::LedgerRecord(LedgerRecord { region: region.clone(), index: *index, with_proof })
        }
        (None, Some(key)) => {
            Request::LedgerGet(LedgerGet { namespace: args.namespace.clone(), key: key.clone(), with_proof })
        }
        (None, None) => return Err(Failure::usage("which key? Give one, or --at REGION/INDEX")),
    };
    let Reply::Record(view) = Connection::open(globals)?.read(&args.read, request).await? else {
        return Err(Failure::unexpected());
    };
    let output = record(&view);
    match &args.proof {
        Some(path) => {
            save_proof(&view, path)?;
            Ok(output.note(format!("wrote the proof to {}; check it with: trine ledger verify {0}", path.display())))
        }
        None => Ok(output),
    }
}

fn record(view: &RecordView) -> Output {
    let record = Record::from(view);
    let value = Value { value: record.value.clone(), encoding: record.encoding };
    let mut lines = vec![
        ("key", record.key.clone()),
        ("value", value.shown()),
        ("version", record.version.clone()),
        ("namespace", record.namespace.clone()),
        ("content type", record.content_type.clone()),
        ("time", record.time.clone()),
        ("timestamp", record.timestamp.clone()),
    ];
    let metadata: Vec<String> = record.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !metadata.is_empty() {
        lines.push(("metadata", metadata.join(" ")));
    }
    Output::new(&record, pairs(&lines)).value(&view.value)
}

async fn page(globals: &Globals, read: &ReadArgs, request: Request) -> Result<Output, Failure> {
    let Reply::Page(page) = Connection::open(globals)?.read(read, request).await? else {
        return Err(Failure::unexpected());
    };
    Ok(records(&page))
}

fn records(page: &Page) -> Output {
    let records = Records::from(page);
    let rows = records.records.iter().map(|record| {
        let value = Value { value: record.value.clone(), encoding: record.encoding };
        vec![record.key.clone(), record.version.clone(), record.time.clone(), shortened(&value.shown())]
    });
    let people = table(&["key", "version", "time", "value"], rows);
    let output = Output::new(&records, people).ids(records.records.iter().map(|record| &record.version));
    match &records.next {
        Some(next) => output.note(format!("there is more: go on with --after {next}")),
        None => output,
    }
}

/// The cluster's founding document, checked with the authority's certificate of the identity that asks.
async fn genesis(globals: &Globals, args: &GenesisArgs) -> Result<Output, Failure> {
    let Reply::Genesis(document) = Connection::open(globals)?.plain(Request::Genesis).await? else {
        return Err(Failure::unexpected());
    };
    let ca = args.ca.clone().or_else(|| Some(identity(globals).ok()??.join(bundle::CA_FILE)));
    let ca = ca.ok_or_else(|| Failure::usage("no certificate to check it with").hint("name one with --ca FILE"))?;
    let genesis = verify::open_genesis(&document, Path::new("the genesis of the node that was asked"), &ca)?;
    let regions: Vec<&str> = genesis.regions.iter().map(|region| region.id.as_str()).collect();
    let text = String::from_utf8_lossy(&document).into_owned();
    let json = serde_json::json!({ "cluster": genesis.cluster, "regions": regions, "document": text });
    let output = Output::new(&json, text).value(&document);
    match &args.out {
        Some(path) => {
            files::create_public(path, &document)?;
            let people = format!("the genesis of cluster {}, of {}", genesis.cluster, regions.join(", "));
            Ok(Output::new(&json, people).changed().note(format!("wrote {}", path.display())))
        }
        None => Ok(output),
    }
}

async fn checkpoint(globals: &Globals, args: &CheckpointArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let request = Request::Checkpoint(CheckpointGet { region: args.region.clone() });
    let Reply::Checkpoint(note) = connection.read(&args.read, request).await? else {
        return Err(Failure::unexpected());
    };
    let (genesis, _) = verify::genesis(globals, args.genesis.as_deref())?;
    let latest = verify::open_checkpoint(&genesis, &args.region, &note)?;
    let mut json = serde_json::json!({
        "region": args.region,
        "size": latest.size,
        "root": hex(&latest.root),
        "note": String::from_utf8_lossy(&note),
    });
    let output = |json: &serde_json::Value| {
        Output::new(json, String::from_utf8_lossy(&note)).ids([format!("{}/{}", args.region, latest.size)])
    };
    let Some(path) = &args.extends else { return Ok(output(&json)) };
    let earlier = std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let earlier = verify::open_checkpoint(&genesis, &args.region, &earlier)?;
    let hashes = extension(&connection, args, &earlier, &latest).await?;
    json["extends"] = serde_json::json!({ "size": earlier.size, "root": hex(&earlier.root), "proof": hashes });
    Ok(output(&json).note(format!("it extends the earlier checkpoint of {} records", earlier.size)))
}

/// Asks for the proof that one checkpoint extends another, and checks it.
async fn extension(
    connection: &Connection,
    args: &CheckpointArgs,
    earlier: &Checkpoint,
    latest: &Checkpoint,
) -> Result<Vec<String>, Failure> {
    let (from, to) = (earlier.size, latest.size);
    let request = Request::Consistency(ConsistencyGet { region: args.region.clone(), from, to });
    let Reply::Consistency(hashes) = connection.read(&args.read, request).await? else {
        return Err(Failure::unexpected());
    };
    let shown = hashes.iter().map(|hash| base64(hash)).collect();
    let path: Option<Vec<_>> = hashes.iter().map(|hash| hash.as_ref().try_into().ok()).collect();
    let proven = path.is_some_and(|path| verify_consistency(from, to, &earlier.root, &latest.root, &path).is_ok());
    if proven {
        return Ok(shown);
    }
    let what = format!("the ledger of {} at size {to} does not extend the one at size {from}", args.region);
    Err(Failure::new(Exit::Failed, what).hint("keep both checkpoints: together they are evidence of a fork"))
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn place(text: &str) -> Result<(RegionId, u64), String> {
    let wrong = || format!("`{text}` is no place in a ledger: use REGION/INDEX, such as us-east-1/17");
    let (region, index) = text.rsplit_once('/').ok_or_else(wrong)?;
    Ok((region.parse().map_err(|_| wrong())?, index.parse().map_err(|_| wrong())?))
}
